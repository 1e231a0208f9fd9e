//! Links as they are stored, read back, moved, forged, and of other versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::model::{
    given::{Given, GrantId},
    link::Activity,
};

const USER: &str = "11111111-2222-5333-8444-555555555555";
const KEY: &str = "a key of sixteen or more";

fn user() -> EntityId {
    EntityId::new(USER).unwrap()
}

fn signer(key: &str) -> Signer {
    Signer::new(Some(&Secret::new(key.into())))
}

fn read(signer: &Signer, user: &EntityId, text: &str) -> LinkFound {
    signer.verified(user, Unverified::parse(user, text))
}

fn signature(found: &LinkFound) -> Signature {
    found.link().unwrap().signature
}

#[test]
fn a_link_is_read_as_it_was_written() {
    let activities = [
        Activity::Settled,
        Activity::Activating,
        Activity::Deactivated {
            since: "2026-01-01T00:00:00Z".into(),
        },
    ];
    for (activity, signer) in activities.into_iter().flat_map(|activity| {
        [
            (activity.clone(), Signer::default()),
            (activity, signer(KEY)),
        ]
    }) {
        let written = Link::for_tests(activity).signed(signer.signature());
        let text = signer.write(&user(), &written, Some("a1")).unwrap();
        assert_eq!(
            read(&signer, &user(), &text),
            LinkFound::Link(written),
            "{text}"
        );
    }
}

#[test]
fn the_form_that_is_stored() {
    let text = Signer::default()
        .write(&user(), &Link::for_tests(Activity::Settled), Some("a1"))
        .unwrap();
    insta::assert_snapshot!(text, @r#"{"version":2,"user":"11111111-2222-5333-8444-555555555555","source":"artists","directory":"d-1","id":"p-1","attribute":"entryUUID","activity":"settled","by":"a1"}"#);
}

#[test]
fn a_link_on_another_user_counts_as_none() {
    let text = Signer::default()
        .write(&user(), &Link::for_tests(Activity::Settled), Some("a1"))
        .unwrap();
    let found = read(
        &Signer::default(),
        &EntityId::new("somebody-else").unwrap(),
        &text,
    );
    assert_eq!(found, LinkFound::OfAnotherUser);
    assert!(found.is_none() && found.is_row());
}

#[test]
fn an_earlier_link_names_no_user_and_a_newer_one_is_not_understood() {
    let earlier = r#"{"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#;
    let found = read(&Signer::default(), &user(), earlier);
    assert_eq!(
        (found.link().unwrap().form, &found.link().unwrap().directory),
        (Form::Earlier, &None)
    );
    for newer in [
        r#"{"version":3,"user":"x","source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#,
        r#"{"version":2,"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#,
        r#"{"version":0,"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#,
        "not a link",
        "[]",
    ] {
        assert_eq!(
            read(&Signer::default(), &user(), newer),
            LinkFound::Unreadable,
            "{newer}"
        );
    }
}

#[test]
fn what_the_key_did_not_sign_is_told_apart() {
    let signer = signer(KEY);
    let text = signer
        .write(&user(), &Link::for_tests(Activity::Settled), Some("a1"))
        .unwrap();
    assert_eq!(signature(&read(&signer, &user(), &text)), Signature::Valid);
    for forged in [
        text.replace("p-1", "p-2"),
        text.replace("d-1", "d-2"),
        text.replace("artists", "painters"),
        text.replace("settled", "released"),
        text.replace("a1", "a2"),
        Signer::default()
            .write(&user(), &Link::for_tests(Activity::Settled), Some("a1"))
            .unwrap(),
        self::signer("another key of sixteen")
            .write(&user(), &Link::for_tests(Activity::Settled), Some("a1"))
            .unwrap(),
        r#"{"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#
            .to_owned(),
    ] {
        assert_eq!(
            signature(&read(&signer, &user(), &forged)),
            Signature::Invalid,
            "{forged}"
        );
    }
}

#[test]
fn what_was_given_is_read_as_written_and_signed() {
    let id = |text: &str| EntityId::new(text).unwrap();
    let on_project = GrantId::ProjectRole {
        role: id("r-1"),
        project: id("p-1"),
    };
    let all = [
        GrantId::Role(id("r-1")),
        GrantId::Role(id("r-2")),
        on_project,
        GrantId::Group(id("g-1")),
    ];
    let mut written = Link::for_tests(Activity::Settled);
    for place in [3, 1, 0, 2, 1] {
        written.given.note(&all[place]);
    }
    assert_eq!(written.given.iter().cloned().collect::<Vec<_>>(), all);
    let signer = signer(KEY);
    let text = signer.write(&user(), &written, None).unwrap();
    let of_given = r#""roles":["r-1","r-2"],"project_roles":[["r-1","p-1"]],"groups":["g-1"]"#;
    assert!(text.contains(of_given), "{text}");
    let found = read(&signer, &user(), &text);
    assert_eq!(found.link().unwrap().given, written.given);
    assert_eq!(signature(&found), Signature::Valid);
    // A saved plan has the same.
    let saved = serde_json::to_value(&written).unwrap();
    assert_eq!(serde_json::from_value::<Link>(saved).unwrap(), written);
    for (ours, other) in [("r-2", "r-3"), ("p-1", "p-2"), ("g-1", "g-2")] {
        // Whoever writes something else into a link does not become the program.
        let found = read(&signer, &user(), &text.replace(ours, other));
        assert_eq!(signature(&found), Signature::Invalid, "{ours}");
        // What is no id makes no link.
        let odd = read(&Signer::default(), &user(), &text.replace(ours, "x 2"));
        assert_eq!(odd, LinkFound::Unreadable, "{ours}");
    }
    // Links of earlier programs name none.
    written.given = Given::default();
    let text = Signer::default().write(&user(), &written, None).unwrap();
    assert!(!text.contains("roles") && !text.contains("groups"));
    let found = read(&Signer::default(), &user(), &text);
    assert!(found.link().unwrap().given.is_empty());
}
