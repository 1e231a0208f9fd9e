//! The questions of `check` to the server.

use ftrack_ldap_sync::ftrack::{
    error::FtrackErrorKind,
    rights::{Permission, Right, permission, somebody},
    server::{information, schemas},
};
use serde_json::{Value, json};

use super::scripted::{Reply, Scripted, until};

fn json(value: &Value) -> Reply {
    value.to_string().into()
}

#[tokio::test]
async fn the_version_is_told_by_an_ftrack_server_alone() {
    let server =
        Scripted::start(|_, _| json(&json!([{"version": "4.13.8.12345", "schema_hash": "x"}])))
            .await;
    assert_eq!(
        information(server.session().reader(), &until())
            .await
            .unwrap()
            .version,
        "4.13.8.12345"
    );
    let server = Scripted::start(|_, _| json(&json!([{"message": "hello"}]))).await;
    let error = information(server.session().reader(), &until())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), FtrackErrorKind::Malformed(_)),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_the_schemas_lack_is_named() {
    let schema = |id: &str, properties: &[&str]| {
        let properties: Value = properties
            .iter()
            .map(|name| ((*name).to_owned(), json!({"type": "string"})))
            .collect();
        json!({"id": id, "type": "object", "properties": properties})
    };
    let list = json!([[
        schema(
            "User",
            &[
                "id",
                "username",
                "first_name",
                "last_name",
                "is_active",
                "user_type_id"
            ]
        ),
        schema("Metadata", &["parent_id", "parent_type", "key", "value"]),
        schema("UserType", &["id", "name"]),
        schema("SecurityRole", &["id", "name"]),
        schema("UserSecurityRole", &["id", "user_id", "security_role_id"]),
        schema(
            "CustomAttributeConfiguration",
            &["id", "key", "entity_type"]
        ),
    ]]);
    let server = Scripted::start(move |_, _| json(&list)).await;
    let schemas_found = schemas(server.session().reader(), &until()).await.unwrap();
    assert!(schemas_found.has("User", "username") && !schemas_found.has("User", "email"));
    assert_eq!(schemas_found.lacking(&[], &[]), ["User.email"]);
    assert_eq!(
        schemas_found.lacking(&["badge".to_owned()], &[]),
        [
            "User.email",
            "UserCustomAttributeValue.configuration_id",
            "UserCustomAttributeValue.entity_id",
            "UserCustomAttributeValue.value"
        ]
    );
    let server = Scripted::start(|_, _| json(&json!([{"schemas": []}]))).await;
    assert!(matches!(
        schemas(server.session().reader(), &until())
            .await
            .unwrap_err()
            .kind(),
        FtrackErrorKind::Malformed(_)
    ));
}

/// What is found about a right, and the operation that was tried.
async fn found(right: Right, users: Value, reply: Value) -> (Permission, Value) {
    let page = json!([{"action": "query", "data": users, "metadata": {"next": {"offset": null}}}]);
    let server = Scripted::start(move |number, _| {
        if number == 0 {
            json(&page)
        } else {
            json(&reply)
        }
    })
    .await;
    let (session, until) = (server.session(), until());
    let somebody = somebody(&session, "ldap-sync", &until).await.unwrap();
    let found = permission(&session, right, &somebody.unwrap(), &until).await;
    (found.unwrap(), server.calls()[1].operations[0].clone())
}

#[tokio::test]
async fn rights_are_tried_with_operations_that_change_nothing() {
    let users = json!([{"id": "u-1", "username": "LDAP-sync", "is_active": true}, {"id": "u-2", "username": "anna", "is_active": true}]);
    let denied = json!({"exception": "PermissionError", "content": "no"});
    let impossible = json!({"exception": "ValidationError", "content": "nothing to do"});
    let taken = json!([{"action": "update", "data": {"__entity_type__": "User", "id": "u-2"}}]);
    for right in [
        Right::ChangeUsers,
        Right::CreateUsers,
        Right::ChangeRoles,
        Right::ChangeMemberships,
    ] {
        let (accepted, tried) = found(right, users.clone(), taken.clone()).await;
        assert_eq!(accepted, Permission::Granted, "{right:?}");
        let (refused, _) = found(right, users.clone(), denied.clone()).await;
        assert!(
            matches!(refused, Permission::Refused(refusal) if &*refusal.content == "no"),
            "{right:?}"
        );
        let (unclear, _) = found(right, users.clone(), impossible.clone()).await;
        let ids = (&tried["entity_key"], &tried["entity_data"]);
        match right {
            // An update of nothing can only be refused for a reason that is not known.
            Right::ChangeUsers => {
                assert!(
                    matches!(unclear, Permission::Unknown(why) if why.contains("nothing to do"))
                );
                assert_eq!(tried["action"], "update");
                assert_eq!(ids, (&json!(["u-2"]), &json!({"__entity_type__": "User"})));
            }
            // The rest can be done by nobody.
            Right::CreateUsers => {
                assert_eq!(unclear, Permission::Granted);
                assert_eq!(tried["action"], "create");
                let same = json!({
                    "__entity_type__": "User", "id": "u-2", "resource_type": "user", "username": "anna"
                });
                assert_eq!(ids, (&json!(["u-2"]), &same));
            }
            Right::ChangeRoles => {
                assert_eq!(unclear, Permission::Granted);
                assert_eq!(tried["action"], "remove_user_security_role");
                assert_ne!(tried["user_id"], "u-2");
            }
            Right::ChangeMemberships => {
                assert_eq!(unclear, Permission::Granted);
                assert_eq!(tried["action"], "delete");
            }
        }
    }
}

#[tokio::test]
async fn rights_are_not_tried_with_the_own_user() {
    let page = json!([{"action": "query", "data": [{"id": "u-1", "username": "LDAP-sync", "is_active": true}], "metadata": {"next": {"offset": null}}}]);
    let server = Scripted::start(move |_, _| json(&page)).await;
    let found = somebody(&server.session(), "ldap-sync", &until()).await;
    assert!(found.unwrap().is_none());
}
