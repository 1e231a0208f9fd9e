//! A replica in place of the preferred server shows nobody absent, and restores no old values.

use ftrack_ldap_sync::{
    demo::directory::DirectoryServer,
    model::{
        change::{Action, HeldBy},
        report::Outcome,
    },
};

use super::{holds, replica};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    rules::{add_config, approve, come_back, leave, logins},
    studio::{Studio, dn, person},
};

/// A studio with a preferred server that can have a fault, and a replica with a tree of its own.
struct Replicated {
    studio: Studio,
    preferred: LdapProxy,
    replica: DirectoryServer,
}

impl Replicated {
    fn new(uids: &[&str]) -> Self {
        let mut studio = Studio::of(uids);
        studio.job = "limits.deactivate = \"100%\"".into();
        let preferred = LdapProxy::start(studio.directory().address(), None);
        let replica = replica(&studio, studio.tree().copy());
        let this = Self {
            studio,
            preferred,
            replica,
        };
        this.settings("");
        this
    }

    fn settings(&self, more: &str) {
        let urls = format!(
            "urls = [{:?}, {:?}]",
            self.preferred.url(),
            self.replica.url()
        );
        add_config(
            &self.studio,
            &format!("[directories.studio]\n{urls}\n{more}\n"),
        );
    }

    /// Nobody can bind to the preferred server.
    fn fail_over(&self) {
        self.preferred
            .set_fault(Fault::at_every_bind(Trouble::Close));
    }

    fn recover(&self) {
        self.preferred.set_fault(None);
    }
}

#[test]
fn a_replica_that_lacks_the_newest_people_locks_nobody_out() {
    let world = Replicated::new(&["ada", "bob", "cyd"]);
    let studio = &world.studio;
    studio.sync();
    for uid in ["dan", "eve"] {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    studio.tree().rename(&dn("bob"), &dn("robert")).unwrap();
    studio
        .tree()
        .replace(&dn("cyd"), "mail", &["new@studio.test"])
        .unwrap();
    assert_eq!(studio.sync().counts.created, 2);
    let before = studio.ftrack().users();

    world.fail_over();
    for _ in 0..2 {
        let report = studio.sync();
        let directory = report.directory.as_ref().unwrap();
        assert_eq!(
            (directory.server.as_deref(), directory.replica),
            (Some(&*world.replica.url()), true)
        );
        assert_eq!(
            (report.outcome, report.ftrack.write_calls),
            (Outcome::Held, 0),
            "{report:#?}"
        );
        assert_eq!(
            holds(&report, Action::Deactivate),
            [("dan", HeldBy::Replica), ("eve", HeldBy::Replica)]
        );
        assert_eq!(
            holds(&report, Action::Update),
            [("bob", HeldBy::Replica), ("cyd", HeldBy::Replica)]
        );
        assert!(
            report
                .warnings
                .iter()
                .any(|warning| warning.contains("was read instead of the preferred server")),
            "{report:#?}"
        );
        assert_eq!(studio.ftrack().users(), before);
    }
    world.recover();
    let report = studio.sync_changes_nothing();
    assert!(!report.directory.unwrap().replica);
}

#[test]
fn a_replica_creates_and_reactivates_nobody() {
    let world = Replicated::new(&["ada", "bob"]);
    let studio = &world.studio;
    studio.sync();
    leave(studio, "bob");
    // The replica knows a newcomer, and nothing of the leaver.
    world
        .replica
        .tree()
        .add(person("joiner", "New", "Face"))
        .unwrap();
    studio
        .ftrack()
        .add_user(&crate::rules::account("stranger"))
        .unwrap();
    world
        .replica
        .tree()
        .add(person("stranger", "Some", "Body"))
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("bob", HeldBy::Replica)],
        "the replica still shows bob: {report:#?}"
    );
    assert_eq!(approve(studio).counts.deactivated, 1);
    world.fail_over();
    let report = studio.sync();
    assert_eq!(
        (logins(&report, Action::Create), report.counts.created),
        (vec!["joiner"], 1),
        "{report:#?}"
    );
    assert_eq!(
        holds(&report, Action::Reactivate),
        [("bob", HeldBy::Replica)],
        "{report:#?}"
    );
    assert_eq!(
        holds(&report, Action::Adopt),
        [("stranger", HeldBy::Replica)],
        "{report:#?}"
    );
    assert!(!studio.user("bob").is_active && studio.user("joiner").is_active);
}

#[test]
fn whoever_any_server_shows_is_not_absent() {
    let world = Replicated::new(&["ada", "bob", "cyd"]);
    let studio = &world.studio;
    studio.sync();
    leave(studio, "ada");
    leave(studio, "bob");
    world
        .replica
        .tree()
        .rename(&dn("bob"), "uid=bob,dc=studio,dc=test")
        .unwrap();
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Deactivate), ["ada", "bob"]);
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Replica)],
        "{report:#?}"
    );
    assert!(studio.user("ada").is_active && !studio.user("bob").is_active);
    let said = format!("{} still shows the person \"ada\"", world.replica.url());
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains(&said)),
        "{report:#?}"
    );
    assert_eq!(
        report.directory.as_ref().unwrap().asked,
        [world.preferred.url(), world.replica.url()]
    );
    // The replica catches up.
    world
        .replica
        .tree()
        .rename(&dn("ada"), "uid=ada,dc=studio,dc=test")
        .unwrap();
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["ada"]);
    assert!(!studio.user("ada").is_active);
    come_back(studio, "ada");
    assert_eq!(logins(&studio.sync(), Action::Reactivate), ["ada"]);
}

#[test]
fn a_replica_that_cannot_be_reached_says_nothing_and_one_that_does_not_answer_holds() {
    let world = Replicated::new(&["ada", "bob", "cyd"]);
    let studio = &world.studio;
    studio.sync();
    leave(studio, "ada");
    let silent = LdapProxy::start(world.replica.address(), None);
    for (fault, held) in [
        (Fault::in_search(1, 0, Trouble::Result(32)), true),
        (Fault::at_bind(1, Trouble::Close), false),
    ] {
        silent.set_fault(fault);
        add_config(
            studio,
            &format!(
                "[directories.studio]\nurls = [{:?}, {:?}]\n",
                world.preferred.url(),
                silent.url()
            ),
        );
        let report = studio.sync();
        let expected: &[_] = if held { &[("ada", HeldBy::Doubt)] } else { &[] };
        assert_eq!(holds(&report, Action::Deactivate), expected, "{report:#?}");
        assert_eq!(studio.user("ada").is_active, held);
        assert_eq!(
            report.directory.as_ref().unwrap().asked,
            [world.preferred.url()]
        );
        assert!(
            held || report
                .warnings
                .iter()
                .any(|warning| warning.contains("could not be asked")),
            "{report:#?}"
        );
    }
}

#[test]
fn trusted_replicas_are_as_good_as_the_preferred_server() {
    let world = Replicated::new(&["ada", "bob"]);
    let studio = &world.studio;
    world.settings("trust_replicas = true");
    studio.sync();
    world
        .replica
        .tree()
        .rename(&dn("bob"), "uid=bob,dc=studio,dc=test")
        .unwrap();
    world.fail_over();
    let report = studio.sync();
    assert_eq!(
        (
            logins(&report, Action::Deactivate),
            report.counts.deactivated
        ),
        (vec!["bob"], 1),
        "{report:#?}"
    );
    // Who is absent is asked for everywhere all the same.
    leave(studio, "bob");
    world.recover();
    come_back(studio, "bob");
    assert_eq!(studio.sync().counts.reactivated, 1);
    leave(studio, "ada");
    assert_eq!(
        holds(&studio.sync(), Action::Deactivate),
        [("ada", HeldBy::Replica)]
    );
}

#[test]
fn a_replica_does_not_count_for_how_long_somebody_is_missing() {
    let mut world = Replicated::new(&["ada", "bob", "cyd"]);
    world.studio.job = "users = { deactivate_after = \"1s\" }\nlimits.deactivate = \"100%\"".into();
    let studio = &world.studio;
    studio.sync();
    world
        .replica
        .tree()
        .rename(&dn("bob"), "uid=bob,dc=studio,dc=test")
        .unwrap();
    world.fail_over();
    for _ in 0..3 {
        studio.sync();
        assert_eq!(
            crate::rules::missing::absences(studio),
            Vec::<String>::new()
        );
    }
    assert!(studio.user("bob").is_active);
}
