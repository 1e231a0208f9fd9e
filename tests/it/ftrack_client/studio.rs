//! The client against the ftrack stand-in: it reads back what it writes, and the findings of
//! `check`.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    config::Secret,
    demo::ftrack::{Account, CallKind, Disclosure, Fault, FtrackServer, Options, Rights},
    ftrack::{
        error::{FtrackErrorKind, WriteFailure},
        operation::Operation,
        read::{MissingGroups, ReadCurrent, read},
        rights::{Permission, Right, permission, somebody},
        server::{information, schemas},
        session::{Session, Writer},
        signer::Signer,
        user_state::{Columns, states},
    },
    model::{
        entry::DirectoryId,
        link::{Form, LINK_KEY, Link, LinkContent, LinkFound},
        user::{Current, EntityId, UserKind},
    },
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::scripted::{KEY, config, until};

/// What is read of users beside their own columns and their links.
fn columns(custom_attributes: &[(String, EntityId)]) -> Columns<'_> {
    Columns {
        custom_attributes,
        grants: &[],
    }
}

/// Whether the key may change users, and create them.
async fn allowed(session: &Writer) -> [Permission; 2] {
    let somebody = somebody(session, "ldap-sync", &until()).await.unwrap();
    let somebody = somebody.unwrap();
    let mut found = Vec::new();
    for right in [Right::ChangeUsers, Right::CreateUsers] {
        let allowed = permission(session, right, &somebody, &until()).await;
        found.push(allowed.unwrap());
    }
    found.try_into().unwrap()
}

/// A server with some people, a service, and the custom attribute `badge`; and a session with it.
async fn studio() -> (FtrackServer, Writer) {
    let options = Options {
        api_user: "ldap-sync".to_owned(),
        api_key: KEY.to_owned(),
        ..Options::default()
    };
    let server = FtrackServer::start("127.0.0.1:0".parse().unwrap(), options)
        .await
        .unwrap();
    let studio = server.studio();
    studio.add_custom_attribute("badge", "text").unwrap();
    let person = |number: usize| Account {
        username: format!("user{number}"),
        first_name: Some("Zoë \"Q\"".to_owned()),
        email: Some(format!("user{number}@studio.test")),
        is_active: number != 3,
        ..Account::default()
    };
    let metadata = BTreeMap::from([
        (
            LINK_KEY.to_owned(),
            r#"{"source":"artists","id":"d-7","attribute":"entryUUID","activity":"settled"}"#
                .to_owned(),
        ),
        ("else".to_owned(), "x".to_owned()),
    ]);
    studio.add_users((1..7).map(person)).unwrap();
    studio
        .add_user(&Account {
            metadata,
            custom_attributes: BTreeMap::from([("badge".to_owned(), json!("B7"))]),
            ..person(7)
        })
        .unwrap();
    studio
        .add_user(&Account {
            user_type: "service".to_owned(),
            ..person(8)
        })
        .unwrap();
    let session = Session::new(&config(&server.url().parse().unwrap()))
        .unwrap()
        .writer();
    (server, session)
}

async fn current(session: &Writer) -> Current {
    let request = ReadCurrent {
        grants: &[],
        missing_groups: MissingGroups::default(),
        before: None,
        custom_attributes: &["badge".to_owned()],
        administrator_roles: &["Administrator".to_owned()],
        default_roles: &["User".to_owned()],
    };
    read(session.reader(), request, &until()).await.unwrap()
}

fn link(id: &str) -> Link {
    Link::new(
        DirectoryId::new(id).unwrap(),
        LinkContent {
            form: Form::Earlier,
            ..LinkContent::of(
                "artists".into(),
                ftrack_ldap_sync::model::id::IdAttribute::EntryUuid,
            )
        },
    )
}

fn values(values: Value) -> Map<String, Value> {
    serde_json::from_value(values).unwrap()
}

#[tokio::test]
async fn the_whole_studio_is_read_whatever_the_servers_page_is() {
    let (server, session) = studio().await;
    let whole = current(&session).await;
    let user = |name: &str| {
        whole
            .users
            .iter()
            .find(|user| &*user.username == name)
            .unwrap()
    };
    assert_eq!(whole.users.len(), 10);
    assert!(
        user("admin").administrator
            && user("ldap-sync").administrator
            && !user("user1").administrator
    );
    assert_eq!(
        (user("user8").kind, user("user1").kind),
        (UserKind::Untouchable, UserKind::Person)
    );
    assert_eq!(
        (user("user3").is_active, user("user1").first_name.as_deref()),
        (false, Some("Zoë \"Q\""))
    );
    assert_eq!(user("user7").link, LinkFound::Link(link("d-7")));
    assert_eq!(
        (&user("user7").custom_values[0], &user("user1").link),
        (&json!("B7"), &LinkFound::Absent)
    );
    for cap in [2, 4, 10] {
        server
            .studio()
            .change_rules(|rules| rules.page_cap = Some(cap));
        assert_eq!(current(&session).await.users, whole.users, "cap {cap}");
    }
    assert_eq!(server.studio().counters().write_calls, 0);
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let (server, _) = studio().await;
    // Every list fits into a page, so that no page is asked for in vain and dropped, and the counts
    // can be compared.
    let mut config = config(&server.url().parse().unwrap());
    config.page_size = 100;
    let session = Session::new(&config).unwrap().writer();
    let before = current(&session).await;
    let badge = &before.custom_attributes[0].1;
    let id = EntityId::new(&Uuid::new_v4().to_string()).unwrap();
    let anna = json!({"username": "anna", "first_name": "Anna", "last_name": "Ek", "email": null, "is_active": true});
    let creation = [
        Operation::create_user(&id, values(anna)),
        Operation::create_link(&id, &link("d-1"), None, &Signer::default()).unwrap(),
        Operation::set_custom_value(badge, &id, json!("B1")),
    ];
    session.write_call(&creation, &until()).await.unwrap();
    let ids = [id.clone()];
    let read_back = async || {
        states(
            session.reader(),
            &ids,
            columns(&before.custom_attributes),
            &until(),
        )
        .await
        .unwrap()
        .remove(&id)
        .unwrap()
    };
    let state = read_back().await;
    assert_eq!(
        (
            &*state.username,
            state.last_name.as_deref(),
            state.email,
            state.is_active
        ),
        ("anna", Some("Ek"), None, true)
    );
    assert_eq!(
        (state.link, &state.custom_values[0]),
        (LinkFound::Link(link("d-1")), &json!("B1"))
    );
    assert_eq!(state.user_type.as_ref(), Some(&before.user_types["ftrack"]));

    let change = [
        Operation::update_user(
            &id,
            values(json!({"username": "anna.ek", "is_active": false})),
        ),
        Operation::update_link(&id, &link("d-2"), None, &Signer::default()).unwrap(),
    ];
    session.write_call(&change, &until()).await.unwrap();
    let state = read_back().await;
    assert_eq!(
        (&*state.username, state.is_active, state.link),
        ("anna.ek", false, LinkFound::Link(link("d-2")))
    );
    session
        .write_call(&[Operation::delete_link(&id)], &until())
        .await
        .unwrap();
    assert_eq!(read_back().await.link, LinkFound::Absent);

    let failure = session
        .write_call(&creation[..1], &until())
        .await
        .unwrap_err();
    assert!(
        matches!(failure, WriteFailure::Refused(_)),
        "the id is taken: {failure:?}"
    );
    assert_eq!(
        server.studio().counters().write_calls,
        session.reader().calls().writes
    );
    assert_eq!(
        server.studio().counters().read_calls,
        session.reader().calls().reads
    );
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_found_by_its_id() {
    let (server, session) = studio().await;
    for (fault, written) in [
        (Fault::ResetBefore, false),
        (Fault::ResetAfter, true),
        (Fault::TruncatedJson, true),
        (Fault::CutBody, true),
    ] {
        server
            .studio()
            .fail_next(Some(CallKind::Write), fault.clone());
        let id = EntityId::new(&Uuid::new_v4().to_string()).unwrap();
        let creation = [Operation::create_user(&id, values(json!({"username": id})))];
        let failure = session.write_call(&creation, &until()).await.unwrap_err();
        assert!(
            matches!(failure, WriteFailure::Unclear(_)),
            "{fault:?}: {failure:?}"
        );
        let found = states(
            session.reader(),
            std::slice::from_ref(&id),
            columns(&[]),
            &until(),
        )
        .await
        .unwrap();
        assert_eq!(found.contains_key(&id), written, "{fault:?}");
    }
}

#[tokio::test]
async fn what_check_asks_is_answered() {
    let (server, session) = studio().await;
    assert!(
        !information(session.reader(), &until())
            .await
            .unwrap()
            .version
            .is_empty()
    );
    assert_eq!(
        schemas(session.reader(), &until())
            .await
            .unwrap()
            .lacking(&["badge".to_owned()], &[]),
        [""; 0]
    );
    for disclosure in [Disclosure::Told, Disclosure::Withheld] {
        server
            .studio()
            .change_rules(|rules| rules.user_information = disclosure);
        assert_eq!(
            allowed(&session).await,
            [Permission::Granted, Permission::Granted]
        );
    }
    let changes: Vec<_> = server
        .studio()
        .applied()
        .into_iter()
        .flat_map(|applied| applied.changes)
        .collect();
    assert_eq!(changes, [], "trying the permission changes nothing");
    server
        .studio()
        .change_rules(|rules| rules.rights = Rights::NoUserWrites);
    assert!(matches!(
        allowed(&session).await[..],
        [Permission::Refused(_), Permission::Refused(_)]
    ));

    let mut other = config(&server.url().parse().unwrap());
    other.api_key = Secret::new("wrong".to_owned()).into();
    let error = information(&Session::new(&other).unwrap().reader(), &until())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Credentials(_)),
        "{error:?}"
    );
    server
        .studio()
        .change_rules(|rules| rules.unreadable = ["UserType".to_owned()].into());
    let nothing = read(session.reader(), ReadCurrent::default(), &until())
        .await
        .unwrap_err();
    assert!(nothing.to_string().contains("user types"), "{nothing}");
}
