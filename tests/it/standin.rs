//! The ftrack stand-in itself: its answers, refusals and faults, so that the other tests can rely
//! on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use ftrack_ldap_sync::demo::ftrack::{
    Account, Atomicity, BuiltinSync, Collation, Disclosure, Emails, FtrackServer, Full, NewRoles,
    Options, Rights, Studio,
};
use reqwest::{Client, Response, header::HeaderMap, redirect::Policy};
use serde_json::{Value, json};

mod faults;

/// A server and a plain HTTP client.
struct World {
    server: FtrackServer,
    studio: Studio,
    client: Client,
}

async fn world() -> World {
    let server = FtrackServer::start(
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        Options::default(),
    )
    .await
    .unwrap();
    let client = Client::builder()
        .timeout(Duration::from_secs(20))
        .redirect(Policy::none())
        .build()
        .unwrap();
    World {
        studio: server.studio(),
        client,
        server,
    }
}

impl World {
    async fn send(
        &self,
        operations: Value,
        headers: &[(&'static str, &str)],
    ) -> reqwest::Result<Response> {
        let mut all = HeaderMap::new();
        for (name, value) in [("ftrack-user", "ldap-sync"), ("ftrack-api-key", "demo-key")]
            .iter()
            .chain(headers)
        {
            all.insert(*name, value.parse().unwrap());
        }
        self.client
            .post(format!("{}/api", self.server.url()))
            .headers(all)
            .json(&operations)
            .send()
            .await
    }

    async fn call(&self, operations: Value) -> Value {
        self.send(operations, &[])
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// The exception of a refused call.
    async fn refused(&self, operations: Value) -> String {
        let answer = self.call(operations).await;
        answer["exception"]
            .as_str()
            .unwrap_or_else(|| panic!("not refused: {answer}"))
            .to_owned()
    }

    async fn rows(&self, expression: &str) -> Vec<Value> {
        let answer = self
            .call(json!([{"action": "query", "expression": expression}]))
            .await;
        answer[0]["data"]
            .as_array()
            .unwrap_or_else(|| panic!("no rows: {answer}"))
            .clone()
    }

    async fn usernames(&self, criteria: &str) -> Vec<String> {
        let rows = self
            .rows(&format!("select username from User {criteria}"))
            .await;
        rows.iter()
            .map(|row| row["username"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn create(username: &str) -> Value {
    json!({"action": "create", "entity_type": "User", "entity_data": {"__entity_type__": "User", "username": username, "is_active": true}})
}

fn update(id: &str, fields: &Value) -> Value {
    json!({"action": "update", "entity_type": "User", "entity_key": [id], "entity_data": fields})
}

fn account(username: &str) -> Account {
    Account {
        username: username.to_owned(),
        ..Account::default()
    }
}

#[tokio::test]
async fn an_error_takes_the_place_of_the_list_and_has_a_status_only_in_strict_mode() {
    let world = world().await;
    let wrong_key = [("ftrack-api-key", "wrong")];
    let lenient = world.send(json!([]), &wrong_key).await.unwrap();
    assert_eq!(lenient.status(), 200);
    let body: Value = lenient.json().await.unwrap();
    assert_eq!(body["exception"], "InvalidCredentialsError");
    assert!(body["content"].is_string() && body["error_code"].is_null());
    let strict = world
        .send(
            json!([]),
            &[("ftrack-api-key", "wrong"), ("ftrack-strict-api", "true")],
        )
        .await
        .unwrap();
    assert_eq!(strict.status(), 401);
    assert_eq!(strict.json::<Value>().await.unwrap(), body);
    assert_eq!(world.call(json!([])).await, json!([]));
}

#[tokio::test]
async fn an_inactive_api_user_is_refused() {
    let world = world().await;
    let id = world.studio.user("ldap-sync").unwrap().id;
    world
        .studio
        .change("User", &json!(id), &json!({"is_active": false}))
        .unwrap();
    assert_eq!(world.refused(json!([])).await, "InvalidCredentialsError");
    assert_eq!(world.studio.counters().refused, 1);
}

#[tokio::test]
async fn what_is_no_list_of_operations_is_unprocessable_and_other_places_do_not_exist() {
    let world = world().await;
    let url = world.server.url();
    let response = world
        .client
        .post(format!("{url}//api"))
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 422);
    assert!(response.json::<Value>().await.unwrap()["detail"].is_array());
    assert_eq!(
        world
            .client
            .get(format!("{url}/api"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    assert_eq!(
        world
            .client
            .get(format!("{url}/elsewhere"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert!(
        world
            .client
            .get(&url)
            .send()
            .await
            .unwrap()
            .headers()
            .contains_key("FTRACK_VERSION")
    );
}

#[tokio::test]
async fn an_entity_is_told_once_unless_the_client_asks_otherwise() {
    let world = world().await;
    for name in ["alice", "bob"] {
        world
            .studio
            .add_user(&Account {
                groups: ["Lighting".to_owned()].into(),
                ..account(name)
            })
            .unwrap();
    }
    let query = json!([{"action": "query", "expression": "select group.name, user.username from Membership order by id"}]);
    let told_once = world.call(query.clone()).await;
    assert_eq!(told_once[0]["data"][0]["group"]["name"], "Lighting");
    assert_eq!(
        told_once[0]["data"][0]["user"]["resource_type"], "user",
        "a system projection"
    );
    let second = told_once[0]["data"][1]["group"].as_object().unwrap();
    assert_eq!(second.keys().collect::<Vec<_>>(), ["__entity_type__", "id"]);
    let response = world
        .send(query, &[("ftrack-api-options", "strict:1;denormalize:1")])
        .await
        .unwrap();
    let told_always: Value = response.json().await.unwrap();
    assert_eq!(told_always[0]["data"][1]["group"]["name"], "Lighting");
    assert!(told_always[0]["data"][0]["user"]["resource_type"].is_null());
}

#[tokio::test]
async fn the_query_language_finds_what_it_says() {
    let world = world().await;
    for (name, active) in [("alice", true), ("Bob", false), ("carl", true)] {
        world
            .studio
            .add_user(&Account {
                is_active: active,
                email: Some(format!("{name}@x")),
                metadata: [("k".to_owned(), name.to_owned())].into(),
                ..account(name)
            })
            .unwrap();
    }
    for (criteria, expected) in [
        ("where is_active is False", vec!["Bob"]),
        (
            "where username in (alice, 'carl', nobody) order by username desc",
            vec!["carl", "alice"],
        ),
        (
            "where email like \"%@x\" and not (username is alice or username is carl)",
            vec!["Bob"],
        ),
        (
            "where metadata any (key is k and value is \"carl\")",
            vec!["carl"],
        ),
        (
            "where user_type has (name is ftrack) and metadata any () order by username",
            vec!["Bob", "alice", "carl"],
        ),
        (
            "where metadata.value > alice order by metadata.value",
            vec!["carl"],
        ),
        ("where email is none order by username", vec!["ldap-sync"]),
        (
            "where id in (select parent_id from Metadata where value is Bob)",
            vec!["Bob"],
        ),
        (
            "where email is_not none and username not_like \"%a%\" order by username limit 5 \
             offset 0",
            vec!["Bob"],
        ),
        ("where username is bob", vec![]),
    ] {
        assert_eq!(world.usernames(criteria).await, expected, "{criteria}");
    }
    world
        .studio
        .change_rules(|rules| rules.collation = Collation::IgnoreCase);
    assert_eq!(world.usernames("where username is bob").await, ["Bob"]);
    assert_eq!(
        world.refused(json!([create("BOB")])).await,
        "DuplicateEntryError"
    );
    assert_eq!(
        world
            .refused(json!([{"action": "query", "expression": "User where ("}]))
            .await,
        "ParseError"
    );
}

#[tokio::test]
async fn a_new_user_gets_the_servers_defaults() {
    let world = world().await;
    let answer = world
        .call(json!([{"action": "create", "entity_type": "User", "entity_data": {"__entity_type__": "User", "username": "zoe"}}]))
        .await;
    let user = &answer[0]["data"];
    assert_eq!(
        (&user["first_name"], &user["last_name"], &user["is_active"]),
        (&json!("first"), &json!("last"), &json!(false))
    );
    assert_eq!(user["user_type_id"], "ac9fa5aa-4361-11e0-b7cc-0019bb4983d8");
    assert!(user.get("email").is_none());
    world
        .studio
        .change_rules(|rules| rules.default_role = Some("User".to_owned()));
    world.call(json!([create("yan")])).await;
    assert!(world.studio.user("yan").unwrap().roles.contains("User"));
    let with_key = |key: Value| json!([{"action": "create", "entity_type": "User", "entity_key": key, "entity_data": {"username": key.to_string()}}]);
    for key in [json!("u-1"), json!(["u-2"])] {
        world.call(with_key(key.clone())).await;
        assert_eq!(
            world
                .usernames(&format!("where id is {}", key.as_str().unwrap_or("u-2")))
                .await,
            [key.to_string()]
        );
        assert_eq!(world.refused(with_key(key)).await, "DuplicateEntryError");
    }
    assert_eq!(
        world.refused(with_key(json!(["u\u{1f}3"]))).await,
        "ValidationError"
    );
    let too_long = "x".repeat(256);
    for (fields, exception) in [
        (json!({"username": too_long}), "ValidationError"),
        (json!({"username": 7}), "ValidationError"),
        (json!({"username": "zoe"}), "DuplicateEntryError"),
        (json!({"username": "new", "unknown": 1}), "ValidationError"),
    ] {
        assert_eq!(
            world
                .refused(
                    json!([{"action": "create", "entity_type": "User", "entity_data": fields}])
                )
                .await,
            exception
        );
    }
    assert_eq!(
        world
            .refused(json!([{"action": "create", "entity_type": "Nobody", "entity_data": {}}]))
            .await,
        "ValidationError"
    );
}

#[tokio::test]
async fn metadata_is_created_once_and_then_updated() {
    let world = world().await;
    let id = world.studio.add_user(&account("alice")).unwrap();
    let created = json!({"action": "create", "entity_type": "Metadata", "entity_data": {"key": "k", "parent_id": id, "parent_type": "User", "value": "1"}});
    world.call(json!([created])).await;
    assert_eq!(world.refused(json!([created])).await, "DuplicateEntryError");
    let changed = json!({"action": "update", "entity_type": "Metadata", "entity_key": [id, "k"], "entity_data": {"value": "2"}});
    assert_eq!(world.call(json!([changed])).await[0]["data"]["value"], "2");
    assert_eq!(world.studio.user("alice").unwrap().metadata["k"], "2");
    let applied = world.studio.applied();
    assert_eq!(applied.len(), 2);
    assert_eq!(
        (applied[1].call, applied[1].key.clone()),
        (3, vec![id.clone(), "k".to_owned()])
    );
    assert_eq!(
        (
            &applied[1].changes["value"].old,
            &applied[1].changes["value"].new
        ),
        (&json!("1"), &json!("2"))
    );
}

#[tokio::test]
async fn a_failed_call_leaves_nothing_or_what_came_before_the_error() {
    let world = world().await;
    let batch = json!([create("anna"), create("admin"), create("ben")]);
    assert_eq!(world.refused(batch.clone()).await, "DuplicateEntryError");
    assert!(world.studio.user("anna").is_none() && world.studio.applied().is_empty());
    world
        .studio
        .change_rules(|rules| rules.atomicity = Atomicity::PartialUntilError);
    assert_eq!(world.refused(batch).await, "DuplicateEntryError");
    assert!(world.studio.user("anna").is_some() && world.studio.user("ben").is_none());
    assert_eq!(world.studio.applied().len(), 1);
}

#[tokio::test]
async fn a_full_licence_refuses_or_stores_inactive() {
    let world = world().await;
    world.studio.change_rules(|rules| rules.seats = Some(3));
    world.call(json!([create("third")])).await;
    assert_eq!(
        world.refused(json!([create("fourth")])).await,
        "ValidationError"
    );
    world
        .studio
        .change_rules(|rules| rules.full = Full::StoreInactive);
    assert_eq!(
        world.call(json!([create("fourth")])).await[0]["data"]["is_active"],
        false
    );
    let third = world.studio.user("third").unwrap().id;
    let answer = world
        .call(json!([
            update(&third, &json!({"is_active": false})),
            create("fifth")
        ]))
        .await;
    assert_eq!(answer[1]["data"]["is_active"], true, "the seat was freed");
}

#[tokio::test]
async fn refusals_by_rule_are_told_apart() {
    let world = world().await;
    let id = world
        .studio
        .add_user(&Account {
            email: Some("a@x".to_owned()),
            ..account("alice")
        })
        .unwrap();
    assert_eq!(
        world
            .refused(json!([update("nobody", &json!({"first_name": "N"}))]))
            .await,
        "EntityNotFoundError"
    );
    world.studio.change_rules(|rules| {
        rules
            .refused_users
            .extend(["alice".to_owned(), "eve".to_owned()])
    });
    assert_eq!(
        world
            .refused(json!([update(&id, &json!({"first_name": "A"}))]))
            .await,
        "ValidationError"
    );
    assert_eq!(
        world.refused(json!([create("eve")])).await,
        "ValidationError"
    );
    world
        .studio
        .change_rules(|rules| rules.emails = Emails::Unique);
    let same_mail = json!({"action": "create", "entity_type": "User", "entity_data": {"username": "anna", "email": "a@x"}});
    assert_eq!(
        world.refused(json!([same_mail])).await,
        "DuplicateEntryError"
    );
    world
        .studio
        .change_rules(|rules| rules.rights = Rights::NoUserWrites);
    assert_eq!(
        world
            .refused(json!([update("nobody", &json!({"first_name": "N"}))]))
            .await,
        "PermissionError"
    );
    assert_eq!(
        world.refused(json!([create("nina")])).await,
        "PermissionError"
    );
    let told = world
        .call(json!([{"action": "query_server_information", "values": ["user_information"]}]))
        .await;
    assert_eq!(
        told[0],
        json!({"user_information": {"id": world.studio.user("ldap-sync").unwrap().id, "username": "ldap-sync", "permissions": []}})
    );
    world.studio.change_rules(|rules| {
        rules.user_information = Disclosure::Withheld;
        rules.unreadable.insert("User".to_owned());
    });
    assert!(
        world
            .call(json!([{"action": "query_server_information"}]))
            .await[0]
            .get("user_information")
            .is_none()
    );
    assert!(world.rows("User").await.is_empty());
}

#[tokio::test]
async fn deleting_a_user_takes_along_what_belongs_to_it() {
    let world = world().await;
    world
        .studio
        .add_custom_attribute("employee_number", "text")
        .unwrap();
    let alice = Account {
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        groups: ["Lighting".to_owned()].into(),
        roles: ["User".to_owned()].into(),
        ..account("alice")
    };
    let id = world.studio.add_user(&alice).unwrap();
    assert_eq!(
        world
            .call(json!([{"action": "delete", "entity_type": "User", "entity_key": id}]))
            .await,
        json!([{"action": "delete", "data": true}])
    );
    for (entity, left) in [
        ("Metadata", 0),
        ("Membership", 0),
        ("UserSecurityRole", 2),
        ("UserCustomAttributeValue", 2),
        ("Group", 1),
    ] {
        assert_eq!(world.studio.rows(entity).unwrap().len(), left, "{entity}");
    }
}

#[tokio::test]
async fn security_roles_change_by_their_own_operations_only() {
    let world = world().await;
    let user = world.studio.add_user(&account("alice")).unwrap();
    let role = |name: &str| {
        world
            .studio
            .rows("SecurityRole")
            .unwrap()
            .iter()
            .find(|row| row["name"] == name)
            .unwrap()["id"]
            .clone()
    };
    let (supervisor, plain, api) = (role("Project Manager"), role("User"), role("API"));
    let project = world.studio.rows("Project").unwrap()[0]["id"].clone();
    let held = || {
        world
            .studio
            .rows("UserSecurityRole")
            .unwrap()
            .into_iter()
            .find(|row| row["user_id"] == json!(user))
    };
    let do_with = |action: &str, role: &Value, more: Value| {
        let mut operation = json!({"action": action, "user_id": user, "role_id": role});
        operation
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([operation])
    };
    let none = json!({});
    let refused = world
        .refused(do_with("add_user_security_role", &api, none.clone()))
        .await;
    assert_eq!(refused, "ValidationError", "that role is for keys");
    world
        .call(do_with("add_user_security_role", &plain, none.clone()))
        .await;
    assert_eq!(held().unwrap()["is_all_open_projects"], false);
    assert_eq!(
        world
            .refused(do_with("add_user_security_role", &plain, none.clone()))
            .await,
        "ValidationError"
    );
    let one_project = json!({"project_id": project});
    world
        .call(do_with(
            "grant_user_security_role_project",
            &plain,
            one_project.clone(),
        ))
        .await;
    assert_eq!(
        world
            .refused(do_with(
                "grant_user_security_role_project",
                &plain,
                one_project.clone()
            ))
            .await,
        "ValidationError"
    );
    world
        .call(do_with(
            "revoke_user_security_role_project",
            &plain,
            one_project,
        ))
        .await;
    assert!(
        world
            .studio
            .rows("UserSecurityRoleProject")
            .unwrap()
            .is_empty()
    );
    world
        .call(do_with(
            "grant_user_security_role_project",
            &plain,
            json!({"all_open_projects": true}),
        ))
        .await;
    world
        .call(do_with(
            "update_user_security_role",
            &plain,
            json!({"new_role_id": supervisor}),
        ))
        .await;
    let now = held().unwrap();
    assert_eq!(
        (&now["security_role_id"], &now["is_all_open_projects"]),
        (&supervisor, &json!(true)),
        "the same projects"
    );
    world
        .call(do_with(
            "remove_user_security_role",
            &supervisor,
            none.clone(),
        ))
        .await;
    assert!(held().is_none());
    world
        .studio
        .change_rules(|rules| rules.new_roles = NewRoles::AllOpenProjects);
    world
        .call(do_with("add_user_security_role", &plain, none))
        .await;
    assert_eq!(held().unwrap()["is_all_open_projects"], true);
    assert_eq!(world.studio.applied().len(), 7);
}

#[tokio::test]
async fn a_custom_attribute_has_a_row_for_every_user_and_takes_its_type_only() {
    let world = world().await;
    let before = world.studio.add_user(&account("before")).unwrap();
    let configuration = world
        .studio
        .add_custom_attribute("floor", "number")
        .unwrap();
    let after = world
        .studio
        .add_user(&Account {
            custom_attributes: [("floor".to_owned(), json!(2))].into(),
            ..account("after")
        })
        .unwrap();
    let set = |user: &str, value: Value| json!([{"action": "update", "entity_type": "UserCustomAttributeValue", "entity_key": [configuration, user], "entity_data": {"value": value}}]);
    assert_eq!(
        world.refused(set(&after, json!("three"))).await,
        "ValidationError"
    );
    assert_eq!(
        world.call(set(&before, json!(3))).await[0]["data"]["value"],
        3
    );
    let rows = world
        .rows(&format!(
            "select entity_id, value from UserCustomAttributeValue where configuration_id is \
             {configuration} and value is_not none order by value"
        ))
        .await;
    assert_eq!(
        rows.iter()
            .map(|row| (row["entity_id"].clone(), row["value"].clone()))
            .collect::<Vec<_>>(),
        [(json!(after), json!(2)), (json!(before), json!(3))]
    );
    assert_eq!(
        world
            .usernames("where custom_attributes any (key is floor and value is 3)")
            .await,
        ["before"]
    );
    assert_eq!(
        world.studio.user("before").unwrap().custom_attributes["floor"],
        3
    );
}

#[tokio::test]
async fn the_built_in_synchronisation_ends_as_the_rule_says() {
    let world = world().await;
    world.studio.change_rules(|rules| {
        rules.builtin_sync = BuiltinSync::Fails("no route to the directory".to_owned())
    });
    let started = world
        .call(json!([{"action": "delayed_job", "job_type": "SYNC_USERS_LDAP"}]))
        .await;
    let id = started[0]["data"]["id"].as_str().unwrap().to_owned();
    let query = format!("select status, data, finished_at from Job where id is \"{id}\"");
    assert_eq!(world.rows(&query).await[0]["status"], "running");
    assert_eq!(
        world
            .rows(
                "Job where created_at after '2020-01-01' and created_at before '9999-01-01 \
                 00:00:00'"
            )
            .await
            .len(),
        1
    );
    assert!(
        world
            .rows("Job where created_at less_than '2020-01-01'")
            .await
            .is_empty()
    );
    let ended = world.rows(&query).await;
    assert_eq!(ended[0]["status"], "failed");
    assert_eq!(ended[0]["finished_at"]["__type__"], "datetime");
    assert!(
        ended[0]["data"]
            .as_str()
            .unwrap()
            .contains("no route to the directory")
    );
    world
        .studio
        .change_rules(|rules| rules.rights = Rights::NoUserWrites);
    assert_eq!(
        world
            .refused(json!([{"action": "delayed_job", "job_type": "SYNC_USERS_LDAP"}]))
            .await,
        "PermissionError"
    );
}

#[tokio::test]
async fn what_a_person_does_in_the_meantime_goes_past_the_rules_and_the_log() {
    let world = world().await;
    let id = world.studio.add_user(&account("alice")).unwrap();
    world.studio.change_rules(|rules| rules.seats = Some(0));
    world
        .studio
        .change(
            "User",
            &json!([id]),
            &json!({"is_active": false, "username": "alicia"}),
        )
        .unwrap();
    world
        .studio
        .change("User", &json!(id), &json!({"is_active": true}))
        .unwrap();
    assert_eq!(
        world
            .usernames("where username is alicia and is_active is True")
            .await,
        ["alicia"]
    );
    assert_eq!(
        world
            .studio
            .change("User", &json!("nobody"), &json!({}))
            .unwrap_err()
            .exception,
        "EntityNotFoundError"
    );
    assert_eq!(
        world
            .studio
            .change("User", &json!(id), &json!({"shoe_size": 43}))
            .unwrap_err()
            .exception,
        "ValidationError"
    );
    world
        .studio
        .insert(
            "Setting",
            &json!({"name": "ldap_enabled", "group": "LDAP", "value": "1"}),
        )
        .unwrap();
    assert_eq!(
        world
            .rows("select value from Setting where group is LDAP")
            .await[0]["value"],
        "1"
    );
    world.studio.remove("User", &json!(id)).unwrap();
    assert!(world.studio.user("alicia").is_none() && world.studio.applied().is_empty());
    assert_eq!(
        world
            .studio
            .users()
            .iter()
            .map(|user| user.username.as_str())
            .collect::<Vec<_>>(),
        ["ldap-sync", "admin"]
    );
}
