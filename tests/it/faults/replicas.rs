//! Two servers of one directory: the second one is used only before the first has answered, and
//! then for the whole run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddr};

use ftrack_ldap_sync::demo::directory::DirectoryServer;

use super::{Expected, NO_LIMIT, assert_done, assert_failed_and_wrote_nothing, settings};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    studio::{Studio, dn},
};

/// A studio with two servers, the first of which can have a fault.
struct Pair {
    studio: Studio,
    first: LdapProxy,
    second: DirectoryServer,
}

impl Pair {
    fn new() -> Self {
        let mut studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve"]).end_to_end();
        studio.job = NO_LIMIT.into();
        let first = LdapProxy::start(studio.directory().address(), None);
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let second = studio
            .runtime()
            .block_on(DirectoryServer::start(anywhere, studio.tree().clone()))
            .unwrap();
        settings(
            &studio,
            2,
            &format!("urls = [{:?}, {:?}]", first.url(), second.url()),
        );
        Self {
            studio,
            first,
            second,
        }
    }
}

#[test]
fn a_server_that_says_nothing_is_replaced() {
    let pair = Pair::new();
    let troubles = [
        Trouble::Reset,
        Trouble::Close,
        Trouble::Result(51),
        Trouble::Result(52),
    ];
    for (nth, trouble) in troubles.into_iter().enumerate() {
        for fault in [Fault::at_bind(1, trouble), Fault::in_search(1, 0, trouble)] {
            pair.first.set_fault(fault);
            let asked = pair.second.counts().searches;
            let report = pair.studio.sync();
            assert!(pair.first.injected(), "{fault:?}");
            assert_eq!(
                report.directory.as_ref().unwrap().server.as_deref(),
                Some(pair.second.url().as_str()),
                "{report:#?}"
            );
            assert!(
                report.directory.as_ref().unwrap().complete
                    && report.directory.as_ref().unwrap().entries == 5,
                "{report:#?}"
            );
            // The root DSE, how current it is, the naming context, the schema and three pages: all from
            // the second.
            assert_eq!(pair.second.counts().searches - asked, 7, "{fault:?}");
            assert!(nth == 0 || report.changes.is_empty(), "{report:#?}");
        }
    }
}

#[test]
fn a_server_that_began_to_answer_is_not() {
    let pair = Pair::new();
    pair.studio.sync();
    pair.studio.tree().remove(&dn("ada")).unwrap();
    for trouble in [
        Trouble::Reset,
        Trouble::Close,
        Trouble::Result(51),
        Trouble::Result(52),
    ] {
        for after in [1, 2, 3, 4] {
            pair.first.set_fault(Fault::in_search(1, after, trouble));
            let report = pair.studio.sync();
            assert!(pair.first.injected(), "{trouble:?}");
            assert_failed_and_wrote_nothing(&pair.studio, &report);
            assert_eq!(
                pair.second.counts().connections + pair.second.counts().searches,
                0
            );
        }
    }
    pair.first.set_fault(None);
    assert_done(&pair.studio.sync(), gone(1));
}

/// What a trouble of the server that was read leaves open is not settled by another one.
#[test]
fn the_second_look_needs_the_server_that_was_read() {
    let pair = Pair::new();
    pair.studio.sync();
    pair.studio.tree().remove(&dn("ada")).unwrap();
    for trouble in [Trouble::Result(51), Trouble::Result(52)] {
        pair.first.set_fault(Fault::in_search(2, 0, trouble));
        let report = pair.studio.sync();
        assert!(pair.first.injected(), "{trouble:?}");
        assert_failed_and_wrote_nothing(&pair.studio, &report);
        assert_eq!(pair.second.counts().searches, 0);
    }
    pair.first.set_fault(None);
    let report = pair.studio.sync();
    assert_done(&report, gone(1));
    assert_eq!(
        report.directory.as_ref().unwrap().asked,
        [pair.first.url(), pair.second.url()]
    );
}

fn gone(deactivated: usize) -> Expected {
    Expected {
        deactivated,
        ..Expected::default()
    }
}
