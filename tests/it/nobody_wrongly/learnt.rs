//! The state that a run saves for later ones: neither a lagging replica nor an unrelated approval
//! puts wrong facts into it, and a directory with a changed id continues after an approval.

use chrono::Duration;
use ftrack_ldap_sync::{
    demo::directory::Tree,
    model::{
        change::{Action, HeldBy},
        report::Outcome,
    },
};

use super::{add_unit, holds, inactive, let_pass, many, of, person_in, replica, slapd};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    rules::{add_config, approve, come_back, leave},
    studio::{Studio, dn, person},
};

/// A directory that is called otherwise was approved: the next runs have to succeed, also where
/// somebody had left before.
#[test]
fn after_an_approved_change_of_the_directorys_id_runs_succeed() {
    let before = slapd(
        "d1d1d1d1-0000-4000-8000-000000000001",
        &["ada", "bob", "cyd", "dan"],
    );
    let mut studio = Studio::empty();
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.directory_url = before.url().to_string();
    studio.sync();
    before.change(&format!("dn: {}\nchangetype: delete\n", dn("dan")));
    assert_eq!(studio.sync().counts.deactivated, 1);
    let after = slapd(
        "d2d2d2d2-0000-4000-8000-000000000002",
        &["ada", "bob", "cyd"],
    );
    studio.directory_url = after.url().to_string();
    assert_eq!(studio.sync().counts.held, 3);
    assert_eq!(approve(&studio).counts.updated, 3);
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{:#?}", report.error);
}

/// A base that a replica shows empty is no base that was empty before.
#[test]
fn a_replica_does_not_teach_that_a_base_was_empty() {
    let mut studio = of(&many(20));
    add_unit(&studio, "london");
    studio.tree().add(person_in("london", "lou")).unwrap();
    studio.job = "limits.deactivate = \"100%\"".into();
    let preferred = LdapProxy::start(studio.directory().address(), None);
    let replica = replica(&studio, studio.tree().copy());
    add_config(
        &studio,
        &format!(
            "[directories.studio]\nurls = [{:?}, {:?}]\n[jobs.artists]\nsearch_bases = \
             [\"ou=people,dc=studio,dc=test\", \"ou=london,dc=studio,dc=test\"]\n",
            preferred.url(),
            replica.url()
        ),
    );
    assert_eq!(studio.sync().counts.created, 21);
    // The right to look into the unit is taken away, everywhere; the preferred server is away for a
    // while.
    let hide = |tree: &Tree| {
        tree.rename(
            "uid=lou,ou=london,dc=studio,dc=test",
            "uid=lou,dc=studio,dc=test",
        )
        .unwrap()
    };
    hide(studio.tree());
    hide(replica.tree());
    preferred.set_fault(Fault::at_every_bind(Trouble::Close));
    assert_eq!(holds(&studio.sync(), Action::Deactivate).len(), 1);
    preferred.set_fault(None);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("lou", HeldBy::Doubt)],
        "{report:#?}"
    );
    assert!(studio.user("lou").is_active);
}

/// Time alone frees nobody, also when a replica that lags behind was read in between.
#[test]
fn a_lagging_replica_frees_nobody_whom_a_limit_holds() {
    let uids = many(20);
    let mut studio = of(&uids);
    studio.job = "limits.deactivate = 2".into();
    let preferred = LdapProxy::start(studio.directory().address(), None);
    let lagging = replica(&studio, studio.tree().copy());
    let urls = |second: bool| {
        let more = if second {
            format!(", {:?}", lagging.url())
        } else {
            String::new()
        };
        add_config(
            &studio,
            &format!(
                "[directories.studio]\nurls = [{:?}{more}]\n",
                preferred.url()
            ),
        );
    };
    urls(true);
    studio.sync();
    urls(false);
    for uid in &uids[..3] {
        leave(&studio, uid);
    }
    assert_eq!(holds(&studio.sync(), Action::Deactivate).len(), 3);
    come_back(&studio, &uids[2]);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("user00", HeldBy::Limit), ("user01", HeldBy::Limit)],
        "{report:#?}"
    );
    // The preferred server is away for a while; the replica still shows everybody.
    urls(true);
    preferred.set_fault(Fault::at_every_bind(Trouble::Close));
    studio.sync();
    preferred.set_fault(None);
    for uid in &uids[..2] {
        lagging
            .tree()
            .rename(&dn(uid), &format!("uid={uid},dc=studio,dc=test"))
            .unwrap();
    }
    let_pass(&studio, Duration::hours(25));
    let report = studio.sync();
    assert_eq!(inactive(&studio), 0, "{report:#?}");
}

/// An approval of something else does not cover a search base that shows nobody since.
#[test]
fn an_approval_of_something_else_lifts_no_doubt_of_a_base() {
    let mut studio = of(&many(20));
    add_unit(&studio, "london");
    studio.tree().add(person_in("london", "lou")).unwrap();
    studio.job = "limits.deactivate = \"100%\"".into();
    add_config(
        &studio,
        "[jobs.artists]\nsearch_bases = [\"ou=people,dc=studio,dc=test\", \
         \"ou=london,dc=studio,dc=test\"]\n",
    );
    assert_eq!(studio.sync().counts.created, 21);
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    studio.plan(&["--out", plan]).unwrap();
    studio
        .tree()
        .rename(
            "uid=lou,ou=london,dc=studio,dc=test",
            "uid=lou,dc=studio,dc=test",
        )
        .unwrap();
    assert_eq!(
        studio
            .synced(&["apply", plan, "--format", "json"])
            .counts
            .created,
        1
    );
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("lou", HeldBy::Doubt)],
        "{report:#?}"
    );
}

/// Those who left over the years do not make a directory that is called otherwise another one.
#[test]
fn a_directory_that_is_called_otherwise_is_known_by_those_who_are_there() {
    let before = slapd(
        "d1d1d1d1-0000-4000-8000-000000000001",
        &["ada", "bob", "cyd", "dan", "eve"],
    );
    let mut studio = Studio::empty();
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.directory_url = before.url().to_string();
    studio.sync();
    for uid in ["cyd", "dan", "eve"] {
        before.change(&format!("dn: {}\nchangetype: delete\n", dn(uid)));
    }
    assert_eq!(studio.sync().counts.deactivated, 3);
    let after = slapd("d2d2d2d2-0000-4000-8000-000000000002", &["ada", "bob"]);
    studio.directory_url = after.url().to_string();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.held),
        (Outcome::Held, 2),
        "{:?}",
        report.error
    );
}
