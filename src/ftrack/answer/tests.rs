//! Answers of every form.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::{After, AnyAnswer, Expected, Page, ResponseItem, at_once};
use crate::{
    config::Secret,
    ftrack::{
        budget::{Budget, OF_A_READING},
        error::FtrackErrorKind,
        key::Keys,
        row::{IdRow, LinkRow, Row, UserRow, ValueRow},
    },
};
use proptest::prelude::*;

fn key() -> Keys {
    Keys::new(Secret::new("the-key".to_owned())).unwrap()
}

fn read<A: ResponseItem>(
    status: u16,
    body: &[u8],
    answers: usize,
    keys: &Keys,
) -> Result<Vec<A>, FtrackErrorKind> {
    let expected = Expected {
        answers,
        rows: 2,
        budget: Budget::of_one_reading(),
    };
    super::read(status, body, &expected, keys)
}

fn trouble(status: u16, body: &str, expected: usize) -> FtrackErrorKind {
    match read::<AnyAnswer>(status, body.as_bytes(), expected, &key()) {
        Ok(_) => panic!("parsed"),
        Err(trouble) => trouble,
    }
}

#[test]
fn a_page_tells_its_rows_and_whether_there_are_more() {
    for (metadata, after) in [
        (r#"{"next":{"offset":1}}"#, After::More),
        (r#"{"next":{"offset":null}}"#, After::End),
        (r#"{"next":null}"#, After::End),
        ("{}", After::End),
    ] {
        let body =
            format!(r#" [{{"action":"query","data":[{{"id":"a"}}],"metadata":{metadata}}}]"#);
        let Ok(mut pages) = read::<Page<IdRow>>(200, body.as_bytes(), 1, &key()) else {
            panic!("{metadata}")
        };
        let (rows, end, _) = pages.pop().unwrap().rows().unwrap();
        assert_eq!((rows.len(), end), (1, after), "{metadata}");
    }
}

#[test]
fn every_form_of_error_is_told_apart() {
    let credentials = r#"{"content":"The supplied API key the-key is not valid.","exception":"InvalidCredentialsError","error_code":null}"#;
    for status in [200, 401, 500] {
        let FtrackErrorKind::Credentials(refusal) = trouble(status, credentials, 1) else {
            panic!("status {status}")
        };
        assert_eq!(&*refusal.content, "The supplied API key *** is not valid.");
    }
    let newer = r#"{"content":"x","exception":"Some","error_code":"api_credentials_invalid"}"#;
    assert!(matches!(
        trouble(403, newer, 1),
        FtrackErrorKind::Credentials(_)
    ));
    assert!(matches!(
        trouble(200, r#"{"exception":"PermissionError","content":"no"}"#, 1),
        FtrackErrorKind::Permission(_)
    ));
    let FtrackErrorKind::Refused(refusal) = trouble(
        422,
        r#"{"detail":[{"loc":["string",0],"msg":"string","type":"string"}]}"#,
        1,
    ) else {
        panic!("422")
    };
    assert_eq!(&*refusal.exception, "invalid request");
    let FtrackErrorKind::Refused(refusal) = trouble(
        200,
        r#"[{"action":"update"},{"exception":"ValidationError","content":"bad"}]"#,
        2,
    ) else {
        panic!("element")
    };
    assert_eq!(refusal.operation, Some(1));
    assert!(matches!(
        trouble(502, "<html>Bad Gateway</html>", 1),
        FtrackErrorKind::Status { status: 502, .. }
    ));
    assert!(matches!(
        trouble(429, r#"{"message":"slow"}"#, 1),
        FtrackErrorKind::Status { status: 429, .. }
    ));
    assert!(matches!(
        trouble(200, "<html>Sign in</html>", 1),
        FtrackErrorKind::NotJson(_)
    ));
    assert!(matches!(trouble(200, "", 1), FtrackErrorKind::NotJson(_)));
    assert!(matches!(
        trouble(200, r#"[{"action":"qu"#, 1),
        FtrackErrorKind::Damaged(_)
    ));
    assert!(matches!(
        trouble(200, r#"{"exception":"Val"#, 1),
        FtrackErrorKind::Damaged(_)
    ));
    assert!(matches!(
        trouble(200, "[] []", 0),
        FtrackErrorKind::Damaged(_)
    ));
    assert!(matches!(
        trouble(200, "{}", 1),
        FtrackErrorKind::Malformed(_)
    ));
    assert!(matches!(
        trouble(200, "[{}]", 2),
        FtrackErrorKind::Malformed(_)
    ));
    let rows = r#"[{"action":"query","data":[{"username":"no id"}]}]"#;
    assert!(matches!(
        read::<Page<UserRow>>(200, rows.as_bytes(), 1, &key()),
        Err(FtrackErrorKind::Malformed(_))
    ));
}

#[test]
fn nothing_beyond_what_was_asked_for_is_parsed() {
    let rows = |count: usize| {
        let row = r#"{"id":"a"}"#;
        format!(r#"[{{"data":[{}]}}]"#, vec![row; count].join(","))
    };
    let three = read::<Page<IdRow>>(200, rows(3).as_bytes(), 1, &key());
    let Err(FtrackErrorKind::Malformed(reason)) = three else {
        panic!("parsed")
    };
    assert!(
        reason.starts_with("more than the 2 rows asked for"),
        "{reason}"
    );
    let FtrackErrorKind::Malformed(reason) = trouble(200, "[{},{},{}]", 2) else {
        panic!("parsed")
    };
    assert!(
        reason.starts_with("more than the 2 answers asked for"),
        "{reason}"
    );
}

#[test]
fn a_text_in_the_wrong_place_is_not_repeated() {
    let long = "\\u0001".repeat(1 << 20);
    for body in [
        format!(r#"["{long}"]"#),
        format!(r#"[{{"data":"{long}"}}]"#),
        format!(r#"[{{"data":[],"metadata":"{long}"}}]"#),
        format!(r#"[{{"data":[{{"id":"a","is_active":"{long}"}}]}}]"#),
        format!(r#"[{{"data":[{{"id":"{long}"}}]}}]"#),
    ] {
        let Err(trouble) = read::<Page<UserRow>>(200, body.as_bytes(), 1, &key()) else {
            panic!("parsed")
        };
        assert!(
            matches!(trouble, FtrackErrorKind::Malformed(_)),
            "{trouble:?}"
        );
        assert!(trouble.to_string().len() < 1000);
    }
}

#[test]
fn a_value_of_many_parts_is_kept_as_text() {
    let many = vec!["0"; 100_000].join(",");
    let body = format!(r#"[{{"data":[{{"entity_id":"a","value":[{many}]}}]}}]"#);
    let Ok(mut pages) = read::<Page<ValueRow>>(200, body.as_bytes(), 1, &key()) else {
        panic!("not parsed")
    };
    let (rows, ..) = pages.pop().unwrap().rows().unwrap();
    assert_eq!(rows[0].value.as_str().map(str::len), Some(many.len() + 2));
}

#[test]
fn what_stands_between_refuses_no_key() {
    for gateway in [
        r#"{"message":"Unauthorized"}"#,
        r#"{"error":"unauthorized"}"#,
        r#"{"detail":"Not authenticated"}"#,
    ] {
        for status in [401, 403, 407] {
            assert!(
                matches!(trouble(status, gateway, 1), FtrackErrorKind::Status { .. }),
                "{status} {gateway}"
            );
        }
    }
}

const BEGINNINGS: &[(&str, &str)] = &[
    (
        r#"[{"action":"query","data":[{"parent_id":"a-1","value":"#,
        r#""{\"version\":2,\"user\":\"a-1\",\"source\":\"s\",\"id\":\"d\",\"attribute\":\"entryUUID\",\"activity\":\"settled\"}""#,
    ),
    (
        r#"[{"action":"query","data":[{"parent_id":"a-2","value":"#,
        r#""{\"version\":2,\"user\":\"a-1\",\"source\":\"s\",\"id\":\"d\",\"attribute\":\"entryUUID\",\"activity\":\"settled\"}""#,
    ),
    (
        r#"[{"data":[{"parent_id":"a-1","value":"#,
        r#""{\"version\":3,\"id\":\"d\"}""#,
    ),
    (r#"[{"data":[{"parent_id":"a-1","value":"#, r#""\ud800""#),
    (
        r#"[{"data":[{"parent_id":"a-1","value":"#,
        r#"[1e999, "x"]"#,
    ),
    (r#"[{"data":[{"entity_id":"a-1","value":"#, r#"{"a":1}"#),
    (
        r#"[{"data":[{"id":"a-1","username":"#,
        r#""anna","first_name":null,"is_active":true"#,
    ),
    (
        r#"[{"exception":null,"data":[{"id":"a-1","email":"#,
        r#""anna\n""#,
    ),
    (r#"[{"data":null,"x":[{"id":"a-1","email":"#, r#""anna""#),
];
const ENDS: &[&str] = &[
    r#"}],"metadata":{"next":{"offset":2}}}]"#,
    r#"}],"metadata":{"next":{"offset":null}}}]"#,
    r#"}],"metadata":null}] "#,
    r#"}]}]"#,
    r#"},{"id":"b"},{"id":"c"}]}]"#,
    r#"}],"exception":"E","content":"c"}]"#,
    r#"}]},{"data":[]}]"#,
    r#"}],"data":[]}]"#,
    r#"}]}]}"#,
];

/// What is parsed in one pass has the same rows by its parts.
fn in_one_pass_as_by_parts<R: Row + std::fmt::Debug>(body: &[u8]) {
    let expected = Expected {
        answers: 1,
        rows: 2,
        budget: Budget::of_one_reading(),
    };
    let Some(pages) = at_once::pages::<R>(body, &expected) else {
        return;
    };
    let by_parts = super::by_parts::<Page<R>>(200, body, &expected, &key())
        .ok()
        .unwrap();
    let shown = |pages: Vec<Page<R>>| {
        let shown = |page: Page<R>| {
            let (rows, after, _) = page.rows().unwrap();
            format!("{rows:?} {after:?}")
        };
        pages.into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(
        shown(pages),
        shown(by_parts),
        "{}",
        String::from_utf8_lossy(body)
    );
}

#[test]
fn a_usual_answer_is_parsed_in_one_pass() {
    let expected = Expected {
        answers: 1,
        rows: 2,
        budget: Budget::of_one_reading(),
    };
    for (start, text) in BEGINNINGS.iter().take(3) {
        let body = [start, text, r#"}],"metadata":{"next":{"offset":2}}}]"#].concat();
        assert!(
            at_once::pages::<LinkRow>(body.as_bytes(), &expected).is_some(),
            "{body}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200), expected in 0_usize..3) {
        let _ = read::<AnyAnswer>(status, &body, expected, &key());
        let _ = read::<Page<UserRow>>(status, &body, expected, &key());
    }

    #[test]
    fn what_is_parsed_in_one_pass_is_what_its_parts_show(
        (start, text) in prop::sample::select(BEGINNINGS),
        end in prop::sample::select(ENDS),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut body = [start, text, end].concat().into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        in_one_pass_as_by_parts::<UserRow>(&body);
        in_one_pass_as_by_parts::<LinkRow>(&body);
        in_one_pass_as_by_parts::<ValueRow>(&body);
    }

    #[test]
    fn no_damage_to_a_good_body_makes_it_panic(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
        let good = r#"[{"action":"query","data":[{"id":"a-1","username":"anna","first_name":null,"is_active":true},{"parent_id":"a-1","value":"{\"source\":\"s\",\"id\":\"d\"}"}],"metadata":{"next":{"offset":2}}}]"#;
        let mut body = good.as_bytes().to_vec();
        if let Some(place) = body.get_mut(at) {
            *place = byte;
        }
        body.truncate(cut.max(1));
        let _ = read::<AnyAnswer>(200, &body, 1, &key());
        let _ = read::<Page<UserRow>>(200, &body, 1, &key());
        let _ = read::<Page<LinkRow>>(200, &body, 1, &key());
    }
}

/// The memory that the rows of so many usual users and of their links take, in bytes.
fn of_usual_users(users: u32, by: impl Fn(u32) -> u32) -> usize {
    let id = |kind: u32, user: u32| format!("{user:08x}-{kind:04x}-5000-8000-00000000000a");
    let row_of = |user: u32| {
        format!(
            r#"{{"id":"{}","username":"firstname.name{user}","first_name":"Firstname","last_name":"Name {user}",
            "email":"firstname.name{user}@studio.test","is_active":true,"user_type_id":"{}"}}"#,
            id(1, user),
            id(2, 0),
        )
    };
    let link_of = |user: u32| {
        let link = format!(
            r#"{{"version":2,"user":"{}","source":"artists","directory":"{}","id":"{}","attribute":"entryUUID",
            "activity":"settled","by":"mark-{}"}}"#,
            id(1, user),
            id(3, 0),
            id(4, user),
            by(user),
        );
        let link = serde_json::Value::from(link);
        format!(r#"{{"parent_id":"{}","value":{link}}}"#, id(1, user))
    };
    let of_user = |user: u32| {
        let (row, link) = (row_of(user), link_of(user));
        let row = UserRow::usual(&mut serde_json::Deserializer::from_str(&row)).unwrap();
        let link = LinkRow::usual(&mut serde_json::Deserializer::from_str(&link)).unwrap();
        assert!(link.link.found.link().is_some());
        row.size() + link.size()
    };
    (0..users).map(of_user).sum()
}

#[test]
fn three_hundred_thousand_usual_users_with_their_links_fit_into_a_reading() {
    let of_hundredth = of_usual_users(3000, |_| 0);
    assert!(
        of_hundredth * 100 < OF_A_READING,
        "{} bytes a user",
        of_hundredth / 3000
    );
}

#[test]
fn what_links_do_not_share_is_counted_for_each() {
    let marks = of_usual_users(100, |user| user) - of_usual_users(100, |_| 1000);
    assert!(marks >= 99 * "mark-10".len(), "{marks} bytes");
}
