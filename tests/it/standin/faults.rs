//! The stand-in's injected faults, its paging, and its shutdown.

use std::time::{Duration, Instant, SystemTime};

use ftrack_ldap_sync::demo::ftrack::{CallKind, Fault, Gate, RetryAfter};
use reqwest::{
    Client,
    header::{CONTENT_ENCODING, RETRY_AFTER},
};
use serde_json::{Value, json};

use super::{World, account, create, world};

fn artists(count: usize) -> impl Iterator<Item = ftrack_ldap_sync::demo::ftrack::Account> {
    (0..count).map(|place| account(&format!("artist{place:06}")))
}

/// Waits until that is so, for ten seconds at most.
async fn until(is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < limit, "waited too long");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lost_answer_was_done_and_a_refused_connection_was_not() {
    let world = world().await;
    world
        .studio
        .fail_next(Some(CallKind::Write), Fault::ResetBefore);
    world
        .studio
        .fail_next(Some(CallKind::Write), Fault::ResetAfter);
    assert_eq!(
        world.usernames("where username is admin").await,
        ["admin"],
        "reads meet no fault for writes"
    );
    assert!(world.send(json!([create("one")]), &[]).await.is_err());
    assert!(world.studio.user("one").is_none());
    assert!(world.send(json!([create("two")]), &[]).await.is_err());
    assert!(world.studio.user("two").is_some());
    let counters = world.studio.counters();
    assert_eq!(
        (
            counters.read_calls,
            counters.write_calls,
            counters.operations
        ),
        (1, 2, 2)
    );
}

#[tokio::test]
async fn busy_servers_say_when_to_come_back_and_broken_ones_answer_html() {
    let world = world().await;
    for fault in [
        Fault::TooManyRequests(Some(RetryAfter::Seconds(7))),
        Fault::TooManyRequests(Some(RetryAfter::At(
            SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
        ))),
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
        seen.push(
            response
                .headers()
                .get(RETRY_AFTER)
                .map(|wait| wait.to_str().unwrap().to_owned()),
        );
    }
    assert_eq!(
        seen,
        [
            Some("7".to_owned()),
            Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            None
        ]
    );
    let html = world.send(json!([]), &[]).await.unwrap();
    assert_eq!(html.status(), 502);
    assert!(html.text().await.unwrap().starts_with("<html>"));
    let redirect = world.send(json!([]), &[]).await.unwrap();
    assert_eq!(
        (
            redirect.status().as_u16(),
            redirect.headers()["location"].to_str().unwrap()
        ),
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
    let truncated = world
        .send(query.clone(), &[])
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        serde_json::from_str::<Value>(&truncated)
            .unwrap_err()
            .is_eof()
    );
    let cut = match world.send(query.clone(), &[]).await {
        Ok(response) => response.bytes().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(cut.is_err());
    let asked = Instant::now();
    world.call(query).await;
    assert!(asked.elapsed() >= Duration::from_millis(150));
    for (name, done) in [("after", true), ("before", false)] {
        let calls = world.studio.counters().write_calls;
        tokio::select! {
            answer = world.call(json!([create(name)])) => panic!("answered: {answer}"),
            () = until(|| world.studio.counters().write_calls > calls && (!done || world.studio.user(name).is_some())) => {}
        }
        assert_eq!(world.studio.user(name).is_some(), done);
    }
    world.studio.heal();
    world.call(json!([create("before")])).await;
    assert!(world.studio.user("before").is_some());
}

#[tokio::test]
async fn stopping_ends_calls_that_would_never_end() {
    let World {
        server,
        studio,
        client,
    } = world().await;
    studio.fail_next(None, Fault::StallBefore);
    let call = client
        .post(format!("{}/api", server.url()))
        .header("ftrack-user", "ldap-sync")
        .header("ftrack-api-key", "demo-key")
        .json(&json!([]))
        .send();
    let call = tokio::spawn(call);
    until(|| studio.counters().requests > 0).await;
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
        ids.extend(
            rows.iter()
                .map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        offset = answer[0]["metadata"]["next"]["offset"].as_u64();
    }
    assert_eq!(ids.len(), 12);
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_list_that_is_cut_says_that_it_is_whole_and_shows_all_when_asked_by_id() {
    let world = world().await;
    world.studio.add_users(artists(10)).unwrap();
    let ids = |rows: Vec<Value>| {
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = ids(world.rows("select id from User order by id").await);
    let hidden = all[4].clone();
    world.studio.change_rules(|rules| {
        rules.cut_lists = [("User".to_owned(), 6)].into();
        rules.unlisted = [("User".to_owned(), [hidden].into())].into();
    });
    let listed: Vec<&String> = all
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != 4)
        .map(|(_, id)| id)
        .collect();
    let answer = world
        .call(json!([{"action": "query", "expression": "select id from User order by id offset 3 limit 3"}]))
        .await;
    assert_eq!(answer[0]["metadata"]["next"]["offset"], Value::Null);
    assert_eq!(
        ids(answer[0]["data"].as_array().unwrap().clone())
            .iter()
            .collect::<Vec<_>>(),
        listed[3..6]
    );
    let last = world
        .rows("select id from User order by id descending limit 1")
        .await;
    assert_eq!(ids(last), [all[11].clone()]);
    let by_id = format!(
        "select id from User where id in (\"{}\") order by id",
        all.join("\", \"")
    );
    assert_eq!(ids(world.rows(&by_id).await), all);
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let world = World {
        client: Client::builder().no_gzip().build().unwrap(),
        ..world().await
    };
    world.studio.add_users(artists(100)).unwrap();
    let query = json!([{"action": "query", "expression": "select id, username from User"}]);
    let plain = world
        .send(query.clone(), &[("accept-encoding", "identity")])
        .await
        .unwrap();
    assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    let plain = plain.bytes().await.unwrap();
    let raw = world
        .send(query.clone(), &[("accept-encoding", "gzip")])
        .await
        .unwrap();
    assert_eq!(raw.headers()[CONTENT_ENCODING], "gzip");
    assert!(raw.bytes().await.unwrap().len() < plain.len() / 2);
    let world = World {
        client: Client::new(),
        ..world
    };
    assert_eq!(
        world.call(query).await,
        serde_json::from_slice::<Value>(&plain).unwrap()
    );
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
                "select id, username, email, is_active from User where is_active is True order by \
                 username offset {} limit 500",
                page * 500
            ))
            .await
            .len();
    }
    assert_eq!(read, 100_002);
    // Filtering and sorting once a page instead of once takes minutes in a debug build.
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_server_stops_and_cut_off_when_it_is_dropped() {
    for stopped in [true, false] {
        let World {
            server,
            studio,
            client,
        } = world().await;
        // Held until the server stops.
        studio.fail_next(None, Fault::HoldAnswer(Gate::new()));
        let url = format!("{}/api", server.url());
        let call = client
            .post(url)
            .header("ftrack-user", "ldap-sync")
            .header("ftrack-api-key", "demo-key")
            .json(&json!([create("last")]));
        let call = tokio::spawn(async move { call.send().await?.json::<Value>().await });
        until(|| studio.user("last").is_some()).await;
        if stopped {
            server.stop().await.unwrap();
            assert_eq!(call.await.unwrap().unwrap()[0]["data"]["username"], "last");
        } else {
            drop(server);
            assert!(call.await.unwrap().is_err());
        }
    }
}
