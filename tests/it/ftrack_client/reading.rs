//! Reading all of ftrack's users, and some of them again, from lists with every kind of paging.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ftrack_ldap_sync::{
    ftrack::{
        custom_fault::CustomAttributeFault,
        error::{FtrackError, FtrackErrorKind},
        read::{MissingGroups, ReadCurrent, read},
        session::{Session, Writer},
        user_state::{Columns, states},
    },
    model::{
        call_sizes::{CallSizes, ReadingSizes},
        entry::DirectoryId,
        link::{Activity, Form, Link, LinkContent, LinkFound},
        user::{Current, EntityId, UserKind},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scripted::{Reply, Scripted, config, until};

/// What is read of users beside their own columns and their links.
fn columns(custom_attributes: &[(String, EntityId)]) -> Columns<'_> {
    Columns {
        custom_attributes,
        grants: &[],
    }
}

/// How the tables are paged; what is not known of the real server is a choice here.
#[derive(Clone, Copy)]
pub struct Paging {
    /// The server's own limit of rows.
    pub cap: usize,
    /// Whether each page names a next one, also the last.
    pub always_next: bool,
}

const PLAIN: Paging = Paging {
    cap: 1000,
    always_next: false,
};

pub fn number_after(expression: &str, word: &str) -> usize {
    let mut words = expression.split(' ').skip_while(|found| *found != word);
    words.nth(1).unwrap().parse().unwrap()
}

pub fn entity(expression: &str) -> &str {
    expression
        .split(' ')
        .skip_while(|word| *word != "from")
        .nth(1)
        .unwrap()
}

/// The page of a table that an expression asks for.
fn page(expression: &str, rows: &[Value], paging: Paging) -> Value {
    let (offset, limit) = (
        number_after(expression, "offset"),
        number_after(expression, "limit"),
    );
    let of_chosen = |row: &&Value| match expression.split_once(" in (") {
        Some((_, list)) => {
            let id = ["entity_id", "parent_id", "security_role_id", "id"]
                .iter()
                .find_map(|column| row[*column].as_str())
                .unwrap();
            list.contains(&format!("\"{id}\""))
        }
        None => true,
    };
    let of_attribute = |row: &&Value| {
        row["configuration_id"]
            .as_str()
            .is_none_or(|id| expression.contains(&format!("\"{id}\"")))
    };
    let rows: Vec<Value> = rows
        .iter()
        .filter(of_chosen)
        .filter(of_attribute)
        .skip(offset)
        .take(limit.min(paging.cap))
        .cloned()
        .collect();
    let next =
        (paging.always_next || rows.len() == limit.min(paging.cap)).then_some(offset + rows.len());
    json!({"action": "query", "data": rows, "metadata": {"next": {"offset": next}}})
}

/// Answers each query of a call from the tables.
pub fn answer(operations: &[Value], paging: Paging, table: impl Fn(&str) -> Vec<Value>) -> Reply {
    let pages = operations.iter().map(|operation| {
        let expression = operation["expression"].as_str().unwrap();
        page(expression, &table(entity(expression)), paging)
    });
    Value::from_iter(pages).to_string().into()
}

fn user(number: usize) -> Value {
    json!({"id": format!("u-{number:03}"), "username": format!("user{number}"), "first_name": "First", "last_name": "Last",
           "email": format!("user{number}@studio.test"), "is_active": !number.is_multiple_of(5), "user_type_id": "t-ftrack", "resource_type": "user"})
}

fn id(text: &str) -> EntityId {
    EntityId::new(text).unwrap()
}

/// A small studio: users 1 to `users`; the second is a service, the third an administrator, the
/// fourth linked, the fifth linked in a way nobody understands.
pub fn studio(table: &str, users: usize) -> Vec<Value> {
    match table {
        "User" => {
            let mut rows: Vec<Value> = (1..=users).map(user).collect();
            rows[1]["user_type_id"] = json!("t-service");
            rows[0]["user_type_id"] = Value::Null;
            rows[0]["email"] = Value::Null;
            rows[0].as_object_mut().unwrap().remove("first_name");
            rows
        }
        "UserType" => vec![json!({"id": "t-ftrack", "name": "ftrack"}), json!({"id": "t-service", "name": "Service"})],
        "SecurityRole" => vec![json!({"id": "r-admin", "name": "Administrator"}), json!({"id": "r-user", "name": "User"}),
                                json!({"id": "r-lead", "name": "Lead"}), json!({"id": "r-none"})],
        "UserSecurityRole" => vec![
            json!({"id": "m-1", "user_id": "u-003", "security_role_id": "r-admin"}),
            json!({"id": "m-2", "user_id": "u-003", "security_role_id": "r-admin"}),
            json!({"id": "m-3", "user_id": "gone", "security_role_id": "r-admin"}),
            json!({"id": "m-4", "user_id": "u-004", "security_role_id": "r-none"}),
            json!({"id": "m-5", "user_id": "u-004", "security_role_id": "r-user"}),
            json!({"id": "m-6", "user_id": "u-004", "security_role_id": "r-lead"}),
            json!({"id": "m-7", "user_id": "u-004", "security_role_id": "r-lead"}),
            json!({"id": "m-8", "user_id": "gone", "security_role_id": "r-lead"}),
        ],
        "Metadata" => vec![
            json!({"parent_id": "a-project", "value": "{}"}),
            json!({"parent_id": "u-004", "value": "{\"source\":\"artists\",\"id\":\"d-4\",\"attribute\":\"entryUUID\",\"activity\":\"deactivated\",\"since\":\"2026-01-01T00:00:00Z\"}"}),
            json!({"parent_id": "u-005", "value": "not a link"}),
        ],
        "CustomAttributeConfiguration" => vec![
            json!({"id": "c-1", "key": "badge", "entity_type": "user"}),
            json!({"id": "c-2", "key": "employee_number", "entity_type": "user"}),
        ],
        "UserCustomAttributeValue" => (1..=users)
            .map(|number| json!({"configuration_id": "c-2", "entity_id": format!("u-{number:03}"), "value": number}))
            .collect(),
        other => panic!("{other} is not read"),
    }
}

async fn read_all(session: &Writer, custom_attributes: &[&str]) -> Result<Current, FtrackError> {
    read_knowing(session, custom_attributes, None).await
}

/// Reads everything, after a reading that showed so much.
pub async fn read_knowing(
    session: &Writer,
    custom_attributes: &[&str],
    before: Option<ReadingSizes>,
) -> Result<Current, FtrackError> {
    let custom_attributes: Vec<String> = custom_attributes
        .iter()
        .map(|key| (*key).to_owned())
        .collect();
    let (roles, default) = (["administrator".to_owned()], ["USER".to_owned()]);
    let request = ReadCurrent {
        grants: &[],
        missing_groups: MissingGroups::default(),
        before,
        custom_attributes: &custom_attributes,
        administrator_roles: &roles,
        default_roles: &default,
    };
    read(session.reader(), request, &until()).await
}

/// Reads a studio of so many users that pages so, in pages of three rows, and how many calls that
/// took.
async fn read_studio(users: usize, paging: Paging) -> (Current, usize) {
    let server = Scripted::start(move |_, operations| {
        answer(operations, paging, |table| studio(table, users))
    })
    .await;
    let current = read_all(&server.session(), &["employee_number"])
        .await
        .unwrap();
    (current, server.calls().len())
}

#[tokio::test]
async fn everything_a_plan_needs_is_read() {
    let (current, calls) = read_studio(7, PLAIN).await;
    assert!(
        current.read_calls >= calls as u64,
        "{calls} of {}",
        current.read_calls
    );
    assert_eq!(
        current.custom_attributes,
        [("employee_number".to_owned(), id("c-2"))]
    );
    assert_eq!(current.user_types["Service"], id("t-service"));
    let names: Vec<&str> = current.users.iter().map(|user| &*user.username).collect();
    assert_eq!(
        names,
        [
            "user1", "user2", "user3", "user4", "user5", "user6", "user7"
        ]
    );

    let [first, service, admin, linked, unreadable, ..] = &current.users[..] else {
        panic!("seven")
    };
    assert_eq!(
        (first.kind, &first.email, &first.first_name),
        (UserKind::Person, &None, &None)
    );
    assert_eq!(first.last_name.as_deref(), Some("Last"));
    assert_eq!(service.kind, UserKind::Untouchable);
    assert!(admin.administrator && !first.administrator && admin.is_active);
    let further: Vec<&str> = linked.further_roles.iter().map(|role| &**role).collect();
    assert_eq!(further, ["Lead", "r-none"]);
    assert!(first.further_roles.is_empty() && admin.further_roles.is_empty());
    let link = Link::new(
        DirectoryId::new("d-4").unwrap(),
        LinkContent {
            activity: Activity::Deactivated {
                since: "2026-01-01T00:00:00Z".to_owned(),
            },
            form: Form::Earlier,
            ..LinkContent::of(
                "artists".into(),
                ftrack_ldap_sync::model::id::IdAttribute::EntryUuid,
            )
        },
    );
    assert_eq!(linked.link, LinkFound::Link(link));
    assert_eq!(
        (&unreadable.link, unreadable.is_active),
        (&LinkFound::Unreadable, false)
    );
    assert_eq!(first.link, LinkFound::Absent);
    assert_eq!(&*linked.custom_values, [json!(4)]);
}

#[tokio::test]
async fn every_way_of_paging_gives_the_same_users() {
    for users in [5, 6, 7, 8, 9, 40] {
        let (plain, _) = read_studio(users, PLAIN).await;
        assert_eq!(plain.users.len(), users);
        for cap in [2, 3, 1000] {
            for always_next in [false, true] {
                let (current, _) = read_studio(users, Paging { cap, always_next }).await;
                assert_eq!(
                    current.users, plain.users,
                    "{users} users, cap {cap}, always next: {always_next}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_studio_of_one_user_is_read_and_a_server_that_cannot_be_paged_is_told() {
    let one = |table: &str| {
        if table == "User" {
            vec![user(1)]
        } else {
            studio(table, 1)
        }
    };
    let server = Scripted::start(move |_, operations| {
        answer(
            operations,
            Paging {
                cap: 3,
                always_next: true,
            },
            one,
        )
    })
    .await;
    assert_eq!(
        read_all(&server.session(), &["employee_number"])
            .await
            .unwrap()
            .users
            .len(),
        1
    );

    let server = Scripted::start(|_, operations| {
        answer(
            operations,
            Paging {
                cap: 1,
                always_next: false,
            },
            |table| studio(table, 5),
        )
    })
    .await;
    let error = read_all(&server.session(), &[]).await.unwrap_err();
    assert!(error.to_string().contains("one row at a time"), "{error}");
}

#[tokio::test]
async fn the_calls_are_as_many_as_the_pages_and_the_small_lists() {
    let (_, small) = read_studio(
        5,
        Paging {
            cap: 1000,
            always_next: false,
        },
    )
    .await;
    let server =
        Scripted::start(|_, operations| answer(operations, PLAIN, |table| studio(table, 40))).await;
    let mut config = config(&server.url);
    config.page_size = 1000;
    let current = read_all(
        &Session::new(&config).unwrap().writer(),
        &["employee_number"],
    )
    .await
    .unwrap();
    // Users, links, types, roles, the holders of those of administrators and of further ones, custom
    // attributes, and the values of one; then the ends of users and links, and whom the link of
    // nobody is of.
    assert_eq!(
        (
            current.users.len(),
            current.read_calls,
            server.calls().len()
        ),
        (40, 11, 11)
    );
    // In pages of three that overlap: three pages of users and of values, two of links and of
    // holders, one of each other list; and one of users and one of values in vain.
    assert!((19..=22).contains(&small), "{small}");
    for call in server.calls() {
        assert!(
            call.operations
                .iter()
                .all(|operation| operation["action"] == "query")
        );
        assert!(
            call.expressions()
                .all(|expression| expression.contains(" order by ")
                    && (expression.ends_with("limit 500") || expression.contains(" descending ")))
        );
    }
}

/// Serves users that differ from one read of a page of them to the next.
async fn changing(
    users: impl Fn(usize) -> Vec<Value> + Send + Sync + 'static,
) -> (Result<Current, FtrackError>, usize) {
    let pages = Arc::new(AtomicUsize::new(0));
    let read = Arc::clone(&pages);
    let server = Scripted::start(move |_, operations| {
        answer(operations, PLAIN, |table| match table {
            "User" => users(read.fetch_add(1, Ordering::Relaxed)),
            _ => studio(table, 9),
        })
    })
    .await;
    let mut config = config(&server.url);
    config.connections = 1;
    let current = read_all(&Session::new(&config).unwrap().writer(), &[]).await;
    (current, pages.load(Ordering::Relaxed))
}

#[tokio::test]
async fn users_who_come_or_go_between_two_pages_lose_nobody() {
    let without = |gone: usize| -> Vec<Value> {
        (1..=9).filter(|number| *number != gone).map(user).collect()
    };
    // Nine users in pages of three, which overlap by one, are four pages: before each of the later
    // ones somebody of the first page goes, or comes.
    for page in 1..4 {
        let (current, pages) =
            changing(move |read| if read < page { without(0) } else { without(2) }).await;
        assert_eq!(current.unwrap().users.len(), 8, "gone before page {page}");
        assert!(pages > 4, "read again: {pages}");
        let (current, pages) =
            changing(move |read| if read < page { without(2) } else { without(0) }).await;
        assert_eq!(current.unwrap().users.len(), 9, "come before page {page}");
        assert!(pages > 4, "read again: {pages}");
    }
}

#[tokio::test]
async fn a_list_that_never_rests_is_an_error() {
    let (current, pages) = changing(|read| (1 + read % 2..=9).map(user).collect()).await;
    let error = current.unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Changing { what, tries: 5 } if what == "users"),
        "{error:?}"
    );
    assert!(
        error.may_be_retried() && error.to_string().contains("users"),
        "{error}"
    );
    assert_eq!(pages, 10);

    let (current, _) = changing(|_| [1, 2, 2, 3].map(user).to_vec()).await;
    assert!(matches!(
        current.unwrap_err().kind(),
        FtrackErrorKind::Changing { .. }
    ));
}

#[tokio::test]
async fn what_is_missing_at_the_server_is_named() {
    let refusing = |missing: &'static str| {
        Scripted::start(move |_, operations| {
            answer(operations, PLAIN, |table| {
                if table == missing {
                    Vec::new()
                } else {
                    studio(table, 5)
                }
            })
        })
    };
    let server =
        Scripted::start(|_, operations| answer(operations, PLAIN, |table| studio(table, 5))).await;
    let error = read_all(&server.session(), &["employee_number", "shoe_size"])
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        &FtrackErrorKind::CustomAttribute(CustomAttributeFault::Unknown("shoe_size".to_owned()))
    );
    let error = read_all(&refusing("SecurityRole").await.session(), &[])
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::UnusableGrant { problem, .. } if problem.contains("\"administrator\"")),
        "{error:?}"
    );
    let error = read_all(&refusing("UserType").await.session(), &[])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("user types"), "{error}");
}

#[tokio::test]
async fn a_user_without_an_id_is_an_error() {
    for (column, value, named) in [
        ("id", Value::Null, "null"),
        ("id", json!("u\" or 1=1"), "entity id"),
        ("username", json!(7), "expected"),
    ] {
        let spoilt = move |table: &str| {
            let mut rows = studio(table, 5);
            if table == "User" {
                rows[2][column] = value.clone();
            }
            rows
        };
        let server = Scripted::start(move |_, operations| answer(operations, PLAIN, &spoilt)).await;
        let mut config = config(&server.url);
        config.page_size = 100;
        let error = read_all(&Session::new(&config).unwrap().writer(), &[])
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), FtrackErrorKind::Malformed(_)),
            "{column}: {error:?}"
        );
        assert!(error.to_string().contains(named), "{column}: {error}");
    }
}

#[tokio::test]
async fn a_column_that_nobody_has_is_an_error() {
    for column in ["username", "is_active"] {
        let spoilt = move |table: &str| {
            let mut rows = studio(table, 5);
            if table == "User" {
                rows.iter_mut().for_each(|row| row[column] = Value::Null);
            }
            rows
        };
        let server = Scripted::start(move |_, operations| answer(operations, PLAIN, spoilt)).await;
        let mut config = config(&server.url);
        config.page_size = 100;
        let session = Session::new(&config).unwrap().writer();
        let error = read_all(&session, &[]).await.unwrap_err();
        let named = format!("no user has a value of {column}; one is u-");
        assert!(error.to_string().contains(&named), "{error}");
    }
}

#[tokio::test]
async fn some_users_are_read_again_by_id() {
    for (cap, always_next) in [(1000, false), (1000, true), (3, false)] {
        let server = Scripted::start(move |_, operations| {
            answer(operations, Paging { cap, always_next }, |table| {
                studio(table, 450)
            })
        })
        .await;
        let mut config = config(&server.url);
        config.page_size = 100;
        let session = Session::new(&config).unwrap().writer();
        let mut ids: Vec<EntityId> = (1..=450)
            .step_by(2)
            .map(|number| id(&format!("u-{number:03}")))
            .collect();
        ids.extend([id("u-004"), id("never-created")]);
        let custom = [
            ("badge".to_owned(), id("c-1")),
            ("employee_number".to_owned(), id("c-2")),
        ];
        let found = states(session.reader(), &ids, columns(&custom), &until())
            .await
            .unwrap();
        assert_eq!(found.len(), 226);
        assert!(!found.contains_key(&id("never-created")));
        let linked = &found[&id("u-004")];
        assert_eq!((&*linked.username, linked.is_active), ("user4", true));
        assert!(matches!(&linked.link, LinkFound::Link(link) if &*link.source == "artists"));
        assert_eq!(&*linked.custom_values, [Value::Null, json!(4)]);
        assert_eq!(found[&id("u-005")].link, LinkFound::Unreadable);
        assert_eq!(found[&id("u-009")].user_type, Some(id("t-ftrack")));
        if (cap, always_next) == (1000, false) {
            assert_eq!(
                session.reader().calls().reads,
                3 * 4,
                "users, links, and two attributes, of 99 users a call"
            );
        }
        assert!(
            states(session.reader(), &[], columns(&custom), &until())
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// What happens to the table of users just before one of its pages is read.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Nothing,
    Comes(usize),
    Goes(usize),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        4 => Just(Happening::Nothing),
        1 => (0_usize..60).prop_map(|number| Happening::Comes(number * 2 + 1)),
        1 => (0_usize..60).prop_map(|number| Happening::Goes(number * 2)),
    ];
    proptest::collection::vec(happening, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Even numbers are there at first and may go, odd ones may come: whoever is there all the time
    /// is read, once.
    #[test]
    fn nobody_who_is_there_all_the_time_is_ever_missed(
        users in 1_usize..60, page_size in 2_u32..12, connections in 1_usize..5, cap in 2_usize..12, always_next: bool, happenings in happenings(),
        believed in 0_usize..90,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let present: std::collections::BTreeSet<usize> = (0..users).map(|number| number * 2).collect();
        let gone = |number: &usize| happenings.iter().any(|happening| matches!(happening, Happening::Goes(goes) if goes == number));
        let there_all_the_time: Vec<String> = present.iter().filter(|number| !gone(number)).map(|number| format!("user{number}")).collect();
        let (table, coming) = (Mutex::new(present), Mutex::new(happenings.clone().into_iter()));
        let current = runtime.block_on(async {
            let server = Scripted::start(move |_, operations| answer(operations, Paging { cap, always_next }, |name| {
                if name != "User" {
                    return studio(name, 1);
                }
                let mut table = table.lock().unwrap();
                match coming.lock().unwrap().next().unwrap_or(Happening::Nothing) {
                    Happening::Nothing => {}
                    Happening::Comes(number) => { table.insert(number); }
                    Happening::Goes(number) => { table.remove(&number); }
                }
                table.iter().copied().map(user).collect()
            })).await;
            let mut config = config(&server.url);
            (config.page_size, config.connections) = (page_size, connections);
            let asked = CallSizes { page_rows: page_size, calls: connections, changes: 1 };
            let before = ReadingSizes { asked, users: believed, links: believed };
            read_knowing(&Session::new(&config).unwrap().writer(), &[], Some(before)).await
        });
        match current {
            Ok(current) => {
                let read: Vec<&str> = current.users.iter().map(|user| &*user.username).collect();
                prop_assert!(current.users.is_sorted_by(|one, other| one.id < other.id), "{:?}", read);
                for username in &there_all_the_time {
                    prop_assert!(read.contains(&username.as_str()), "{} is missing in {:?}", username, read);
                }
            }
            Err(error) => prop_assert!(matches!(error.kind(), FtrackErrorKind::Changing { .. } | FtrackErrorKind::CutShort { .. }), "{}", error),
        }
    }
}
