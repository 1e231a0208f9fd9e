//! What an undo or a restore puts back of groups, and of roles for named projects.

use ftrack_ldap_sync::model::report::{Outcome, Report};

use super::{left, nothing_is_done_again, put_back, undo};
use crate::{
    situations::{
        ftrack_groups::{self, MADE, groups, join_by_hand, lighting},
        projects::{self, projects, shows},
        roles::{leads, set_members},
    },
    studio::Studio,
};

fn restore(studio: &Studio, to: &Report) -> Report {
    put_back(studio, &["restore", &to.run])
}

#[test]
fn memberships_are_made_and_taken_back() {
    let studio = lighting(&["ada", "bob", "cyd", "dan"], &["ada", "dan"]);
    studio.sync();
    join_by_hand(&studio, "cyd", "g-light");
    let seen = || ["ada", "bob", "cyd", "dan"].map(|uid| groups(&studio, uid));
    let before = seen();
    set_members(&studio, "leads", &["bob", "cyd", "dan"]);
    let run = studio.sync();
    assert_eq!(run.counts.group_changes, 2);
    let after = seen();
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!((report.counts.group_changes, left(&report)), (2, vec![]));
    assert_eq!(seen(), before);
    nothing_is_done_again(&studio);
    let again = undo(&studio, &report);
    assert_eq!(again.outcome, Outcome::Succeeded, "{again:#?}");
    assert_eq!(seen(), after);
}

#[test]
fn a_membership_that_somebody_else_made_since_stays_and_is_named() {
    let studio = lighting(&["ada", "bob", "cyd"], &["ada"]);
    studio.sync();
    set_members(&studio, "leads", &["bob"]);
    let run = studio.sync();
    join_by_hand(&studio, "cyd", "g-light");
    let report = restore(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let [(who, why)] = left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(
        who == "cyd" && why.contains("somebody else made the membership"),
        "{why}"
    );
    assert_eq!(groups(&studio, "ada"), "Lighting; 1 given");
    assert_eq!(groups(&studio, "bob"), "; 0 given");
    assert_eq!(groups(&studio, "cyd"), "Lighting; 0 given");
    nothing_is_done_again(&studio);
}

#[test]
fn groups_that_a_run_made_stay() {
    let studio = leads(&["ada"], &["ada"]).job(MADE);
    let run = studio.sync();
    let made = ftrack_groups::all_groups(&studio);
    assert_eq!(made, "/Departments Departments/Lighting");
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert!(!studio.user("ada").is_active);
    assert_eq!(ftrack_groups::all_groups(&studio), made);
    nothing_is_done_again(&studio);
}

#[test]
fn roles_for_one_project_are_given_and_taken_back() {
    let studio = shows(&["ada", "bob", "cyd"], &["ada"]);
    studio.sync();
    projects::by_hand(&studio, "cyd", true);
    let seen = || ["ada", "bob", "cyd"].map(|uid| projects(&studio, uid));
    let before = seen();
    set_members(&studio, "leads", &["bob", "cyd"]);
    let run = studio.sync();
    let after = seen();
    assert_ne!(before, after);
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(seen(), before);
    nothing_is_done_again(&studio);
    // Back and forth, as snapshots have it.
    let restored = restore(&studio, &report);
    assert_eq!(restored.outcome, Outcome::Succeeded, "{restored:#?}");
    assert_eq!(seen(), after);
    let restored = restore(&studio, &run);
    assert_eq!(restored.outcome, Outcome::Succeeded, "{restored:#?}");
    assert_eq!(seen(), before);
    nothing_is_done_again(&studio);
}
