//! Many people, in pages and within limits.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use ldap3::{
    Scope, SearchEntry, SearchOptions,
    controls::{MakeCritical as _, PagedResults},
};

use ftrack_ldap_sync::demo::cast::{self, Oddities};

use super::directory;
use crate::ldap_client::{End, LIMIT, bound, code, read_people};

#[tokio::test]
async fn all_people_page_by_page() {
    let (server, people) = directory(1_000, Oddities::Some).await;
    let mut ldap = bound(&server.url()).await;
    for (page, pages) in [(1_000, 1), (999, 2), (64, 16), (50, 20)] {
        let (seen, end) = read_people(&mut ldap, page, LIMIT).await;
        assert!(matches!(end, End::Complete), "{end:?}");
        assert_eq!(seen.pages, pages, "pages of {page}");
        let got: Vec<&str> = seen.entries.iter().map(|entry| entry.dn.as_str()).collect();
        let expected: Vec<&str> = people
            .iter()
            .map(|person| person.entry.dn.as_str())
            .collect();
        assert_eq!(got, expected, "pages of {page}");
    }
}

#[tokio::test]
async fn the_limits_of_a_search() {
    let (server, _) = directory(100, Oddities::None).await;
    let mut ldap = bound(&server.url()).await;
    for (limit, expected) in [(99, (99, 4)), (100, (100, 0)), (0, (100, 0))] {
        ldap.with_search_options(SearchOptions::new().sizelimit(limit));
        let found = ldap
            .with_timeout(LIMIT)
            .search(cast::PEOPLE, Scope::Subtree, cast::FILTER, vec!["1.1"])
            .await
            .unwrap();
        assert_eq!((found.0.len(), found.1.rc), expected, "limit {limit}");
    }
    let paged = |size, cookie: &[u8]| {
        PagedResults {
            size,
            cookie: cookie.to_vec(),
        }
        .critical()
    };
    // A cookie of nobody, pages of nothing, and a size limit over several pages.
    for (control, expected) in [
        (paged(10, b"nonsense"), 53),
        (paged(10, &[0; 8]), 53),
        (paged(0, b""), 53),
    ] {
        ldap.with_controls(control);
        assert_eq!(
            code(&mut ldap, cast::PEOPLE, Scope::Subtree, cast::FILTER)
                .await
                .0,
            expected
        );
    }
    ldap.with_controls(paged(50, b""));
    ldap.with_search_options(SearchOptions::new().sizelimit(20));
    let found = ldap
        .with_timeout(LIMIT)
        .search(cast::PEOPLE, Scope::Subtree, cast::FILTER, vec!["1.1"])
        .await
        .unwrap();
    assert_eq!((found.0.len(), found.1.rc), (20, 4));
}

#[tokio::test]
async fn a_cookie_belongs_to_its_search_and_is_used_once() {
    let (server, _) = directory(30, Oddities::None).await;
    let mut ldap = bound(&server.url()).await;
    let mut page = async |filter: &str, size, cookie: Vec<u8>| {
        ldap.with_controls(PagedResults { size, cookie }.critical());
        let found = ldap
            .with_timeout(LIMIT)
            .search(cast::PEOPLE, Scope::Subtree, filter, vec!["1.1"])
            .await
            .unwrap();
        let cookie = found
            .1
            .ctrls
            .first()
            .map(|control| control.1.parse::<PagedResults>().cookie);
        (found.1.rc, found.0.len(), cookie.unwrap_or_default())
    };
    let (_, _, cookie) = page(cast::FILTER, 10, Vec::new()).await;
    assert_eq!(page("(uid=*)", 10, cookie.clone()).await.0, 53);
    // The page size may change on the way; a second search on the same connection does not disturb
    // the first.
    let (_, _, other) = page("(uid=*)", 1, Vec::new()).await;
    let (rc, count, next) = page(cast::FILTER, 5, cookie.clone()).await;
    assert_eq!((rc, count), (0, 5));
    assert_eq!(page(cast::FILTER, 5, cookie).await.0, 53);
    assert_eq!(page("(uid=*)", 50, other).await, (0, 29, Vec::new()));
    // A page of none gives up the rest.
    assert_eq!(
        page(cast::FILTER, 0, next.clone()).await,
        (0, 0, Vec::new())
    );
    assert_eq!(page(cast::FILTER, 5, next).await.0, 53);
}

#[tokio::test]
async fn twenty_thousand_people_in_pages() {
    let (server, _) = directory(20_000, Oddities::None).await;
    let mut ldap = bound(&server.url()).await;
    let start = Instant::now();
    let (seen, end) = read_people(&mut ldap, 500, LIMIT).await;
    assert!(matches!(end, End::Complete), "{end:?}");
    let distinct: HashSet<&str> = seen.entries.iter().map(|entry| entry.dn.as_str()).collect();
    assert_eq!((seen.pages, distinct.len()), (40, 20_000));
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(server.counts().searches, 40);
}

#[tokio::test]
async fn changes_between_two_pages_lose_nobody_else() {
    let (server, people) = directory(30, Oddities::None).await;
    let mut ldap = bound(&server.url()).await;
    let dn = |at: usize| people[at].entry.dn.as_str();
    ldap.with_controls(
        PagedResults {
            size: 10,
            cookie: Vec::new(),
        }
        .critical(),
    );
    let first = ldap
        .with_timeout(LIMIT)
        .search(cast::PEOPLE, Scope::Subtree, cast::FILTER, vec!["1.1"])
        .await
        .unwrap();
    let mut cookie = first.1.ctrls[0].1.parse::<PagedResults>().cookie;
    server.tree().remove(dn(3)).unwrap();
    server.tree().remove(dn(9)).unwrap();
    server.tree().remove(dn(12)).unwrap();
    server
        .tree()
        .rename(dn(14), "uid=renamed,ou=people,dc=studio,dc=test")
        .unwrap();
    let mut got: Vec<String> = Vec::new();
    while !cookie.is_empty() {
        ldap.with_controls(PagedResults { size: 10, cookie }.critical());
        let page = ldap
            .with_timeout(LIMIT)
            .search(cast::PEOPLE, Scope::Subtree, cast::FILTER, vec!["1.1"])
            .await
            .unwrap();
        cookie = page.1.ctrls[0].1.parse::<PagedResults>().cookie;
        got.extend(
            page.0
                .into_iter()
                .map(|entry| SearchEntry::construct(entry).dn),
        );
    }
    let mut expected: Vec<&str> = (10..30).filter(|at| *at != 12).map(dn).collect();
    expected[3] = "uid=renamed,ou=people,dc=studio,dc=test";
    assert_eq!(got, expected);
}
