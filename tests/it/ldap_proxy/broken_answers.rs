//! Each fault, as a client sees it through the proxy.

use std::{net::SocketAddr, time::Duration};

use ldap3::LdapError;

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast::{self, Oddities},
        directory::DirectoryServer,
    },
};

use super::{Fault, LdapProxy, Trouble};
use crate::ldap_client::{End, LIMIT, PASSWORD, Seen, bound, connect, dns, read_people};

const PEOPLE: usize = 100;
const PAGE: i32 = 30;

async fn directory() -> DirectoryServer {
    let people = cast::people(PEOPLE, 3, Oddities::Some);
    let tree = cast::tree(&people, &Secret::new(PASSWORD.to_owned())).unwrap();
    DirectoryServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), tree)
        .await
        .unwrap()
}

/// Reads all people in pages of 30 through a fault that happens.
async fn read_through(fault: Fault) -> (Seen, End) {
    let directory = directory().await;
    let proxy = LdapProxy::start(directory.address(), fault);
    let mut ldap = bound(&proxy.url()).await;
    assert!(!proxy.injected());
    let read = read_people(&mut ldap, PAGE, Duration::from_millis(500)).await;
    assert!(proxy.injected(), "{fault:?}");
    read
}

#[tokio::test]
async fn without_a_fault_everything_passes() {
    let directory = directory().await;
    let proxy = LdapProxy::start(directory.address(), None);
    let mut ldap = bound(&proxy.url()).await;
    let (seen, end) = read_people(&mut ldap, PAGE, LIMIT).await;
    assert!(matches!(end, End::Complete), "{end:?}");
    assert_eq!((seen.entries.len(), seen.pages), (PEOPLE, 4));
    assert!(!proxy.injected());
}

#[tokio::test]
async fn a_result_code_instead_of_the_rest() {
    for code in [1, 2, 3, 4, 10, 11, 32, 50, 51, 52, 53, 80] {
        for after in [0, 1, 29, 30, 31, 60, 100] {
            let (seen, end) = read_through(Fault::in_search(1, after, Trouble::Result(code))).await;
            assert!(
                matches!(end, End::Code(seen) if seen == u32::from(code)),
                "{code} after {after}: {end:?}"
            );
            assert_eq!(seen.entries.len(), after, "{code} after {after}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends() {
    for trouble in [Trouble::Reset, Trouble::Close] {
        for after in [0, 45, 100] {
            let (seen, end) = read_through(Fault::in_search(1, after, trouble)).await;
            assert!(
                matches!(
                    end,
                    End::Broken(LdapError::EndOfStream | LdapError::ResultRecv { .. })
                ),
                "{trouble:?} after {after}: {end:?}"
            );
            assert!(
                seen.entries.len() <= after,
                "{trouble:?} after {after}: {}",
                seen.entries.len()
            );
        }
    }
}

#[tokio::test]
async fn a_stall_is_seen_by_the_time_limit_only() {
    let (seen, end) = read_through(Fault::in_search(1, 45, Trouble::Stall)).await;
    assert!(
        matches!(end, End::Broken(LdapError::Timeout { .. })),
        "{end:?}"
    );
    assert_eq!(seen.entries.len(), 45);
}

#[tokio::test]
async fn a_reference_on_the_way() {
    for after in [0, 30, 45, 100] {
        let (seen, end) = read_through(Fault::in_search(1, after, Trouble::Reference)).await;
        assert!(matches!(end, End::Complete), "{end:?}");
        assert_eq!(
            (seen.entries.len(), seen.references.len()),
            (PEOPLE, 1),
            "after {after}"
        );
        assert!(
            seen.references[0].starts_with("ldap://127.0.0.1:1/"),
            "{:?}",
            seen.references
        );
    }
}

#[tokio::test]
async fn cookies_without_end() {
    let (seen, end) = read_through(Fault::in_search(1, 45, Trouble::EndlessCookie)).await;
    assert!(matches!(end, End::Endless), "{end:?}");
    let dn = |at: usize| seen.entries[at].dn.clone();
    // Two pages pass; from the end of the second on, the first is served again and again.
    assert_eq!((dn(60), dn(90)), (dn(0), dn(0)));
    assert_ne!(dn(30), dn(0));
}

#[tokio::test]
async fn a_page_that_does_not_say_that_more_follow() {
    let (seen, end) = read_through(Fault::in_search(1, 31, Trouble::NoControl)).await;
    assert!(matches!(end, End::NoControl), "{end:?}");
    assert_eq!(seen.entries.len(), 60);
}

#[tokio::test]
async fn a_fault_happens_once_and_to_its_own_search() {
    let directory = directory().await;
    let proxy = LdapProxy::start(
        directory.address(),
        Fault::in_search(2, 10, Trouble::Result(51)),
    );
    let mut ldap = bound(&proxy.url()).await;
    for expected in ["Complete", "Code(51)", "Complete"] {
        let (_, end) = read_people(&mut ldap, PAGE, LIMIT).await;
        assert_eq!(format!("{end:?}"), expected);
    }
    proxy.set_fault(Fault::in_search(1, PEOPLE + 1, Trouble::Reset));
    assert_eq!(dns(&mut ldap, cast::FILTER).await.len(), PEOPLE);
    assert!(
        !proxy.injected(),
        "a search with fewer entries is not disturbed"
    );
}

#[tokio::test]
async fn binds_that_fail() {
    let directory = directory().await;
    let proxy = LdapProxy::start(directory.address(), None);
    for code in [49, 51, 52] {
        proxy.set_fault(Fault::at_bind(1, Trouble::Result(code)));
        let mut ldap = connect(&proxy.url()).await;
        let refused = ldap
            .with_timeout(LIMIT)
            .simple_bind(cast::SERVICE, PASSWORD)
            .await
            .unwrap();
        assert_eq!(refused.rc, u32::from(code));
        ldap.with_timeout(LIMIT)
            .simple_bind(cast::SERVICE, PASSWORD)
            .await
            .unwrap()
            .success()
            .unwrap();
    }
    for trouble in [Trouble::Reset, Trouble::Close, Trouble::Stall] {
        proxy.set_fault(Fault::at_bind(1, trouble));
        let mut ldap = connect(&proxy.url()).await;
        let failed = ldap
            .with_timeout(Duration::from_millis(300))
            .simple_bind(cast::SERVICE, PASSWORD)
            .await
            .unwrap_err();
        let timed_out = matches!(failed, LdapError::Timeout { .. });
        assert_eq!(
            timed_out,
            trouble == Trouble::Stall,
            "{trouble:?}: {failed}"
        );
        assert!(proxy.injected());
    }
}
