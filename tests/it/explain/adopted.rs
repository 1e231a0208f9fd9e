//! An existing user that is to become a person's: what holds that is told, by whatever name is asked.

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::HeldBy,
        explanation::Verdict,
        report::{ChangeResult, Outcome},
    },
};

use super::explain;
use crate::{
    rules::account,
    situations::Situation,
    studio::{dn, person},
};

/// A person whose mail address a user has whom nobody owns, and who has another login. No run of the job
/// has ended without holding anything.
fn with_another_login() -> Situation {
    Situation::of(&["ada", "cyd", "dan"])
        .account(Account {
            email: Some("bob.berg@studio.test".into()),
            ..account("bobb")
        })
        .entry(person("bob.berg", "Bob", "Berg"))
        .then(|studio| assert_eq!(studio.sync().outcome, Outcome::Held))
        .job("users = { adopt = \"email\" }")
}

#[test]
fn a_held_adoption_with_another_login_is_held_before_and_after_a_run_and_by_each_name() {
    let situation = with_another_login();
    let planned = situation.plan(&[]).unwrap();
    let held = planned.changes.iter().map(|planned| planned.held_by);
    assert_eq!(held.collect::<Vec<_>>(), [Some(HeldBy::Adoption)]);
    for is_after_a_run in [false, true] {
        let hold = is_after_a_run.then(|| {
            let run = situation.sync();
            assert_eq!(run.outcome, Outcome::Held, "{run:#?}");
            run.holds_opened[0]
        });
        for who in ["bob.berg", "bob.berg@studio.test", &dn("bob.berg"), "bobb"] {
            let explained = explain(&situation, who);
            assert_eq!(explained.verdict, Verdict::Held, "{who}: {explained:#?}");
            let part = explained.change.as_ref().unwrap();
            assert_eq!(
                (part.result, part.held_by),
                (ChangeResult::Held, Some(HeldBy::Adoption))
            );
            assert_eq!(part.hold, hold, "{who}");
            assert_eq!(
                explained.directory.as_ref().unwrap().dn,
                dn("bob.berg"),
                "{who}"
            );
            assert!(
                !explained.reason.contains("nothing holds"),
                "{}",
                explained.reason
            );
        }
    }
}
