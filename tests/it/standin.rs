//! The ftrack stand-in itself: what it answers, refuses and breaks, so that the other tests may trust it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant, SystemTime},
};

use ftrack_ldap_sync::demo::ftrack::{
    Account, Atomicity, CallKind, Collation, Disclosure, Emails, Fault, FtrackServer, Full, Options, RetryAfter, Rights, Studio,
};
use reqwest::{
    Client, Response,
    header::{CONTENT_ENCODING, HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::{Value, json};

/// A server and a plain HTTP client.
struct World {
    server: FtrackServer,
    studio: Studio,
    client: Client,
}

async fn world() -> World {
    let server = FtrackServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Options::default())
        .await
        .unwrap();
    let client = Client::builder().timeout(Duration::from_secs(20)).redirect(Policy::none()).build().unwrap();
    World {
        studio: server.studio(),
        client,
        server,
    }
}

impl World {
    async fn send(&self, operations: Value, headers: &[(&'static str, &str)]) -> reqwest::Result<Response> {
        let mut all = HeaderMap::new();
        for (name, value) in [("ftrack-user", "ldap-sync"), ("ftrack-api-key", "demo-key")].iter().chain(headers) {
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
        self.send(operations, &[]).await.unwrap().json().await.unwrap()
    }

    /// The exception of a refused call.
    async fn refused(&self, operations: Value) -> String {
        let answer = self.call(operations).await;
        answer["exception"].as_str().unwrap_or_else(|| panic!("not refused: {answer}")).to_owned()
    }

    async fn rows(&self, expression: &str) -> Vec<Value> {
        let answer = self.call(json!([{"action": "query", "expression": expression}])).await;
        answer[0]["data"].as_array().unwrap_or_else(|| panic!("no rows: {answer}")).clone()
    }

    async fn usernames(&self, criteria: &str) -> Vec<String> {
        let rows = self.rows(&format!("select username from User {criteria}")).await;
        rows.iter().map(|row| row["username"].as_str().unwrap().to_owned()).collect()
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

fn artists(count: usize) -> impl Iterator<Item = Account> {
    (0..count).map(|place| Account {
        email: Some(format!("artist{place:06}@studio.test")),
        ..account(&format!("artist{place:06}"))
    })
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
        .send(json!([]), &[("ftrack-api-key", "wrong"), ("ftrack-strict-api", "true")])
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
    world.studio.change("User", &json!(id), &json!({"is_active": false})).unwrap();
    assert_eq!(world.refused(json!([])).await, "InvalidCredentialsError");
    assert_eq!(world.studio.counters().refused, 1);
}

#[tokio::test]
async fn what_is_no_list_of_operations_is_unprocessable_and_other_places_do_not_exist() {
    let world = world().await;
    let url = world.server.url();
    let response = world.client.post(format!("{url}//api")).body("{").send().await.unwrap();
    assert_eq!(response.status(), 422);
    assert!(response.json::<Value>().await.unwrap()["detail"].is_array());
    assert_eq!(world.client.get(format!("{url}/api")).send().await.unwrap().status(), 405);
    assert_eq!(world.client.get(format!("{url}/elsewhere")).send().await.unwrap().status(), 404);
    assert!(world.client.get(&url).send().await.unwrap().headers().contains_key("FTRACK_VERSION"));
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
    assert_eq!(told_once[0]["data"][0]["user"]["resource_type"], "user", "a system projection");
    let second = told_once[0]["data"][1]["group"].as_object().unwrap();
    assert_eq!(second.keys().collect::<Vec<_>>(), ["__entity_type__", "id"]);
    let response = world.send(query, &[("ftrack-api-options", "strict:1;denormalize:1")]).await.unwrap();
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
        ("where username in (alice, 'carl', nobody) order by username desc", vec!["carl", "alice"]),
        ("where email like \"%@x\" and not (username is alice or username is carl)", vec!["Bob"]),
        ("where metadata any (key is k and value is \"carl\")", vec!["carl"]),
        (
            "where user_type has (name is ftrack) and metadata any () order by username",
            vec!["Bob", "alice", "carl"],
        ),
        ("where metadata.value > alice order by metadata.value", vec!["carl"]),
        ("where email is none order by username", vec!["ldap-sync"]),
        ("where id in (select parent_id from Metadata where value is Bob)", vec!["Bob"]),
        (
            "where email is_not none and username not_like \"%a%\" order by username limit 5 offset 0",
            vec!["Bob"],
        ),
        ("where username is bob", vec![]),
    ] {
        assert_eq!(world.usernames(criteria).await, expected, "{criteria}");
    }
    world.studio.change_rules(|rules| rules.collation = Collation::IgnoreCase);
    assert_eq!(world.usernames("where username is bob").await, ["Bob"]);
    assert_eq!(world.refused(json!([create("BOB")])).await, "DuplicateEntryError");
    assert_eq!(world.refused(json!([{"action": "query", "expression": "User where ("}])).await, "ParseError");
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
    world.studio.change_rules(|rules| rules.default_role = Some("User".to_owned()));
    world.call(json!([create("yan")])).await;
    assert!(world.studio.user("yan").unwrap().roles.contains("User"));
    let too_long = "x".repeat(256);
    for (fields, exception) in [
        (json!({"username": too_long}), "ValidationError"),
        (json!({"username": 7}), "ValidationError"),
        (json!({"username": "zoe"}), "DuplicateEntryError"),
        (json!({"username": "new", "unknown": 1}), "ValidationError"),
    ] {
        assert_eq!(
            world.refused(json!([{"action": "create", "entity_type": "User", "entity_data": fields}])).await,
            exception
        );
    }
    assert_eq!(
        world.refused(json!([{"action": "create", "entity_type": "Nobody", "entity_data": {}}])).await,
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
    assert_eq!((applied[1].call, applied[1].key.clone()), (3, vec![id.clone(), "k".to_owned()]));
    assert_eq!((&applied[1].changes["value"].old, &applied[1].changes["value"].new), (&json!("1"), &json!("2")));
}

#[tokio::test]
async fn a_failed_call_leaves_nothing_or_what_came_before_the_error() {
    let world = world().await;
    let batch = json!([create("anna"), create("admin"), create("ben")]);
    assert_eq!(world.refused(batch.clone()).await, "DuplicateEntryError");
    assert!(world.studio.user("anna").is_none() && world.studio.applied().is_empty());
    world.studio.change_rules(|rules| rules.atomicity = Atomicity::PartialUntilError);
    assert_eq!(world.refused(batch).await, "DuplicateEntryError");
    assert!(world.studio.user("anna").is_some() && world.studio.user("ben").is_none());
    assert_eq!(world.studio.applied().len(), 1);
}

#[tokio::test]
async fn a_full_licence_refuses_or_stores_inactive() {
    let world = world().await;
    world.studio.change_rules(|rules| rules.seats = Some(3));
    world.call(json!([create("third")])).await;
    assert_eq!(world.refused(json!([create("fourth")])).await, "ValidationError");
    world.studio.change_rules(|rules| rules.full = Full::StoreInactive);
    assert_eq!(world.call(json!([create("fourth")])).await[0]["data"]["is_active"], false);
    let third = world.studio.user("third").unwrap().id;
    let answer = world.call(json!([update(&third, &json!({"is_active": false})), create("fifth")])).await;
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
        world.refused(json!([update("nobody", &json!({"first_name": "N"}))])).await,
        "EntityNotFoundError"
    );
    world
        .studio
        .change_rules(|rules| rules.refused_users.extend(["alice".to_owned(), "eve".to_owned()]));
    assert_eq!(world.refused(json!([update(&id, &json!({"first_name": "A"}))])).await, "ValidationError");
    assert_eq!(world.refused(json!([create("eve")])).await, "ValidationError");
    world.studio.change_rules(|rules| rules.emails = Emails::Unique);
    let same_mail = json!({"action": "create", "entity_type": "User", "entity_data": {"username": "anna", "email": "a@x"}});
    assert_eq!(world.refused(json!([same_mail])).await, "DuplicateEntryError");
    world.studio.change_rules(|rules| rules.rights = Rights::NoUserWrites);
    assert_eq!(world.refused(json!([update("nobody", &json!({"first_name": "N"}))])).await, "PermissionError");
    assert_eq!(world.refused(json!([create("nina")])).await, "PermissionError");
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
        world.call(json!([{"action": "query_server_information"}])).await[0]
            .get("user_information")
            .is_none()
    );
    assert!(world.rows("User").await.is_empty());
}

#[tokio::test]
async fn deleting_a_user_takes_along_what_belongs_to_it() {
    let world = world().await;
    world.studio.add_custom_attribute("employee_number", "text").unwrap();
    let alice = Account {
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        groups: ["Lighting".to_owned()].into(),
        roles: ["User".to_owned()].into(),
        ..account("alice")
    };
    let id = world.studio.add_user(&alice).unwrap();
    assert_eq!(
        world.call(json!([{"action": "delete", "entity_type": "User", "entity_key": id}])).await,
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
async fn a_lost_answer_was_done_and_a_refused_connection_was_not() {
    let world = world().await;
    world.studio.fail_next(Some(CallKind::Write), Fault::ResetBefore);
    world.studio.fail_next(Some(CallKind::Write), Fault::ResetAfter);
    assert_eq!(world.usernames("where username is admin").await, ["admin"], "reads meet no fault for writes");
    assert!(world.send(json!([create("one")]), &[]).await.is_err());
    assert!(world.studio.user("one").is_none());
    assert!(world.send(json!([create("two")]), &[]).await.is_err());
    assert!(world.studio.user("two").is_some());
    let counters = world.studio.counters();
    assert_eq!((counters.read_calls, counters.write_calls, counters.operations), (1, 2, 2));
}

#[tokio::test]
async fn busy_servers_say_when_to_come_back_and_broken_ones_answer_html() {
    let world = world().await;
    for fault in [
        Fault::TooManyRequests(Some(RetryAfter::Seconds(7))),
        Fault::TooManyRequests(Some(RetryAfter::At(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)))),
        Fault::TooManyRequests(None),
        Fault::Html(502),
        Fault::Redirect("http://elsewhere.test/api".to_owned()),
    ] {
        world.studio.fail_next(None, fault);
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let response = world.send(json!([create("one")]), &[]).await.unwrap();
        assert_eq!(response.status(), 429);
        seen.push(response.headers().get(RETRY_AFTER).map(|wait| wait.to_str().unwrap().to_owned()));
    }
    assert_eq!(seen, [Some("7".to_owned()), Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()), None]);
    let html = world.send(json!([]), &[]).await.unwrap();
    assert_eq!(html.status(), 502);
    assert!(html.text().await.unwrap().starts_with("<html>"));
    let redirect = world.send(json!([]), &[]).await.unwrap();
    assert_eq!(
        (redirect.status().as_u16(), redirect.headers()["location"].to_str().unwrap()),
        (307, "http://elsewhere.test/api")
    );
    assert!(world.studio.user("one").is_none());
}

#[tokio::test]
async fn answers_can_be_cut_delayed_or_withheld() {
    let world = world().await;
    world.studio.fail_when(|call| match call.number {
        1 => Some(Fault::TruncatedJson),
        2 => Some(Fault::CutBody),
        3 => Some(Fault::Delay(Duration::from_millis(150))),
        4 => Some(Fault::StallAfter),
        5 => Some(Fault::StallBefore),
        _ => None,
    });
    let query = json!([{"action": "query", "expression": "select id, username from User"}]);
    let truncated = world.send(query.clone(), &[]).await.unwrap().text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&truncated).unwrap_err().is_eof());
    let cut = match world.send(query.clone(), &[]).await {
        Ok(response) => response.bytes().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(cut.is_err());
    let asked = Instant::now();
    world.call(query).await;
    assert!(asked.elapsed() >= Duration::from_millis(150));
    let impatient = Duration::from_millis(400);
    assert!(tokio::time::timeout(impatient, world.call(json!([create("after")]))).await.is_err());
    assert!(tokio::time::timeout(impatient, world.call(json!([create("before")]))).await.is_err());
    assert!(world.studio.user("after").is_some() && world.studio.user("before").is_none());
    world.studio.heal();
    world.call(json!([create("before")])).await;
    assert!(world.studio.user("before").is_some());
}

#[tokio::test]
async fn stopping_ends_calls_that_would_never_end() {
    let World { server, studio, client } = world().await;
    studio.fail_next(None, Fault::StallBefore);
    let call = client
        .post(format!("{}/api", server.url()))
        .header("ftrack-user", "ldap-sync")
        .header("ftrack-api-key", "demo-key")
        .json(&json!([]))
        .send();
    let call = tokio::spawn(call);
    let limit = Instant::now() + Duration::from_secs(10);
    while studio.counters().requests == 0 && Instant::now() < limit {
        tokio::task::yield_now().await;
    }
    let url = server.url();
    tokio::time::timeout(Duration::from_secs(10), server.stop())
        .await
        .expect("stops in time")
        .unwrap();
    assert!(call.await.unwrap().is_err());
    assert!(client.get(url).send().await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_page_is_capped_below_the_limit_and_says_where_to_go_on() {
    let world = world().await;
    world.studio.add_users(artists(10)).unwrap();
    world.studio.change_rules(|rules| rules.page_cap = Some(5));
    let (mut offset, mut ids) = (Some(0), Vec::new());
    while let Some(from) = offset {
        let answer = world
            .call(json!([{"action": "query", "expression": format!("select id from User order by id offset {from} limit 500")}]))
            .await;
        let rows = answer[0]["data"].as_array().unwrap();
        assert!(rows.len() <= 5);
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        offset = answer[0]["metadata"]["next"]["offset"].as_u64();
    }
    assert_eq!(ids.len(), 12);
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let world = World {
        client: Client::builder().no_gzip().build().unwrap(),
        ..world().await
    };
    world.studio.add_users(artists(100)).unwrap();
    let query = json!([{"action": "query", "expression": "select id, username from User"}]);
    let plain = world.send(query.clone(), &[("accept-encoding", "identity")]).await.unwrap();
    assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    let plain = plain.bytes().await.unwrap();
    let raw = world.send(query.clone(), &[("accept-encoding", "gzip")]).await.unwrap();
    assert_eq!(raw.headers()[CONTENT_ENCODING], "gzip");
    assert!(raw.bytes().await.unwrap().len() < plain.len() / 2);
    let world = World {
        client: Client::new(),
        ..world
    };
    assert_eq!(world.call(query).await, serde_json::from_slice::<Value>(&plain).unwrap());
}

#[tokio::test]
async fn a_hundred_thousand_users_are_read_in_pages_without_sorting_them_each_time() {
    let world = world().await;
    world.studio.add_users(artists(100_000)).unwrap();
    let started = Instant::now();
    let mut read = 0;
    for page in 0..=200 {
        read += world
            .rows(&format!(
                "select id, username, email, is_active from User where is_active is True order by username offset {} limit 500",
                page * 500
            ))
            .await
            .len();
    }
    assert_eq!(read, 100_002);
    // Filtering and sorting once a page instead of once takes minutes in a debug build.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
