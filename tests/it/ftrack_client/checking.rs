//! The questions of `check` to the server.

use ftrack_ldap_sync::ftrack::{
    error::FtrackErrorKind,
    server::{Permission, information, permission, schemas},
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

/// What `permission` finds, and the update that it tried.
async fn permission_of(users: Value, reply: Value) -> (Permission, Option<Value>) {
    let page = json!([{"action": "query", "data": users, "metadata": {"next": {"offset": null}}}]);
    let server = Scripted::start(move |number, _| {
        if number == 0 {
            json(&page)
        } else {
            json(&reply)
        }
    })
    .await;
    let found = permission(&server.session(), "ldap-sync", &until())
        .await
        .unwrap();
    (
        found,
        server.calls().get(1).map(|call| call.operations[0].clone()),
    )
}

#[tokio::test]
async fn the_permission_is_tried_with_an_update_that_changes_nothing() {
    let users = json!([{"id": "u-1", "username": "LDAP-sync", "is_active": true}, {"id": "u-2", "username": "anna", "is_active": true}]);
    let taken = json!([{"action": "update", "data": {"__entity_type__": "User", "id": "u-2"}}]);
    let (found, tried) = permission_of(users.clone(), taken.clone()).await;
    assert_eq!(found, Permission::Granted);
    let update = json!({"action": "update", "entity_type": "User", "entity_key": ["u-2"], "entity_data": {"__entity_type__": "User"}});
    assert_eq!(tried, Some(update));

    let (found, _) = permission_of(
        users.clone(),
        json!({"exception": "PermissionError", "content": "no"}),
    )
    .await;
    assert!(matches!(found, Permission::Refused(refusal) if &*refusal.content == "no"));
    let (found, _) = permission_of(
        users,
        json!({"exception": "ValidationError", "content": "nothing to do"}),
    )
    .await;
    assert!(matches!(found, Permission::Unknown(reason) if reason.contains("nothing to do")));
    let (found, tried) = permission_of(
        json!([{"id": "u-1", "username": "ldap-sync", "is_active": true}]),
        taken,
    )
    .await;
    assert!(matches!(found, Permission::Unknown(_)));
    assert_eq!(tried, None);
}
