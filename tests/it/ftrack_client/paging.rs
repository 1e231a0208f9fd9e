//! How many rows are asked for at a time.

use axum::http::StatusCode;
use ftrack_ldap_sync::{
    ftrack::session::{Session, Writer},
    model::{
        call_sizes::{CallSizes, ReadingSizes},
        user::Current,
    },
};
use serde_json::{Value, json};

use super::{
    reading::{Paging, answer, number_after, read_knowing, studio},
    scripted::{Reply, Scripted, broken, config},
};

const PLAIN: Paging = Paging {
    cap: 10_000,
    always_next: false,
};

/// The rows of a table of a studio that has only users, so many of them.
fn table(name: &str, users: usize) -> Vec<Value> {
    let user = |number: usize| {
        json!({"id": format!("u-{number:06}"), "username": format!("user{number}"), "is_active": true,
               "user_type_id": "t-ftrack"})
    };
    match name {
        "User" => (0..users).map(user).collect(),
        "Metadata" => Vec::new(),
        other => studio(other, 1),
    }
}

/// A session that may ask for up to 2,000 rows, in up to 8 calls.
fn session(server: &Scripted) -> Writer {
    let mut config = config(&server.url);
    (config.page_size, config.connections) = (2_000, 8);
    Session::new(&config).unwrap().writer()
}

/// The pages of all users that were asked for: where each begins, and how many rows it may have.
fn pages(server: &Scripted) -> Vec<(usize, usize)> {
    let calls = server.calls();
    let pages = calls
        .iter()
        .flat_map(|call| call.expressions())
        .filter(|expression| expression.contains("from User order by id offset"))
        .map(|expression| {
            (
                number_after(expression, "offset"),
                number_after(expression, "limit"),
            )
        });
    let mut pages: Vec<_> = pages.collect();
    pages.sort_unstable();
    pages
}

/// What an earlier reading of so many users showed.
fn before(users: usize) -> ReadingSizes {
    ReadingSizes {
        asked: CallSizes {
            page_rows: 2_000,
            calls: 8,
            changes: 100,
        },
        users,
        links: 0,
    }
}

fn names(current: &Current) -> usize {
    current.users.len()
}

/// Reads a studio of so many users, where there were so many before.
async fn read_again(users: usize, before_that: usize) -> (usize, Vec<(usize, usize)>) {
    let server =
        Scripted::start(move |_, calls| answer(calls, PLAIN, |name| table(name, users))).await;
    let known = Some(before(before_that));
    let current = read_knowing(&session(&server), &[], known).await.unwrap();
    (names(&current), pages(&server))
}

#[tokio::test]
async fn a_list_of_about_known_length_is_asked_for_in_no_more_pages_than_it_needs() {
    for users in [6_000, 6_050, 5_990, 5_900] {
        let (read, pages) = read_again(users, 6_000).await;
        assert_eq!((read, pages.len()), (users, 4), "{pages:?}");
        assert!(
            pages.iter().all(|(offset, _)| *offset < users),
            "past the end: {pages:?}"
        );
    }
    let (read, pages) = read_again(500, 500).await;
    assert_eq!((read, pages.len()), (500, 1), "{pages:?}");
}

#[tokio::test]
async fn a_list_that_is_much_longer_or_shorter_than_before_is_read_whole() {
    assert_eq!(read_again(9_000, 2_000).await.0, 9_000);
    assert_eq!(read_again(1_000, 9_000).await.0, 1_000);
    assert_eq!(read_again(1, 9_000).await.0, 1);
}

#[tokio::test]
async fn pages_of_a_server_that_answers_fast_become_larger_up_to_the_limit() {
    let server = Scripted::start(|_, calls| answer(calls, PLAIN, |name| table(name, 20_000))).await;
    let session = session(&server);
    let current = read_knowing(&session, &[], None).await.unwrap();
    assert_eq!(names(&current), 20_000);
    let pages = pages(&server);
    assert_eq!(pages[0], (0, 500), "{pages:?}");
    let largest = pages.iter().map(|(_, limit)| *limit).max();
    assert_eq!(largest, Some(2_000), "{pages:?}");
    assert!(pages.len() < 20_000 / 500 / 2, "{pages:?}");
    assert_eq!(session.reader().sizes().page_rows, 2_000);
}

/// Reads 6,000 users from a server that answers a page of more than 500 rows so.
async fn read_from_one_that_fails(reply: fn() -> Reply) -> Vec<(usize, usize)> {
    let server = Scripted::start(move |_, calls| {
        let is_large = calls.iter().any(|call| {
            let expression = call["expression"].as_str().unwrap();
            number_after(expression, "limit") > 500
        });
        if is_large {
            reply()
        } else {
            answer(calls, PLAIN, |name| table(name, 6_000))
        }
    })
    .await;
    let session = session(&server);
    let known = Some(before(6_000));
    let current = read_knowing(&session, &[], known).await.unwrap();
    assert_eq!(names(&current), 6_000);
    assert_eq!(session.reader().sizes().page_rows, 500);
    pages(&server)
}

#[tokio::test]
async fn a_server_that_fails_large_pages_is_asked_for_small_ones_after_each_was_tried_once() {
    let replies: [fn() -> Reply; 3] = [
        || StatusCode::GATEWAY_TIMEOUT.into(),
        || broken().into(),
        || StatusCode::PAYLOAD_TOO_LARGE.into(),
    ];
    for reply in replies {
        let pages = read_from_one_that_fails(reply).await;
        let large = pages.iter().filter(|(_, limit)| *limit > 500).count();
        assert!((1..=6).contains(&large), "{pages:?}");
    }
}

#[tokio::test]
async fn a_server_with_a_limit_of_its_own_is_not_asked_for_more_again() {
    let paging = Paging {
        cap: 1_000,
        always_next: false,
    };
    let server =
        Scripted::start(move |_, calls| answer(calls, paging, |name| table(name, 6_000))).await;
    let session = session(&server);
    for _ in 0..2 {
        let known = Some(before(6_000));
        let current = read_knowing(&session, &[], known).await.unwrap();
        assert_eq!(names(&current), 6_000);
    }
    let larger = pages(&server)
        .iter()
        .filter(|(_, limit)| *limit > 1_000)
        .count();
    assert!((1..=4).contains(&larger), "{:?}", pages(&server));
    assert_eq!(session.reader().sizes().page_rows, 1_000);
}
