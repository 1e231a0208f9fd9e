//! Somebody was dismissed, and `sync --only` does not end the access: it says so by its status, and how
//! to end it, as it is.

use ftrack_ldap_sync::model::report::Outcome;
use serde_json::Value;

use super::only;
use crate::{
    rules::leave,
    situations::Situation,
    studio::{Ended, Studio},
};

/// `sync --only` for one person.
fn dismiss(studio: &Studio, who: &str) -> Ended {
    studio.run(&["sync", "--only", who])
}

/// The open holds: the number, and whom each holds.
fn holds(studio: &Studio) -> Vec<(String, Vec<String>)> {
    let ended = studio.run(&["holds", "--format", "json"]);
    let holds: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let of_hold = |hold: &Value| {
        let people = hold["people"].as_array().unwrap().iter();
        let people = people.map(|person| person["username"].as_str().unwrap().to_owned());
        (hold["hold"].to_string(), people.collect())
    };
    holds.iter().map(of_hold).collect()
}

/// Of three users, two who left, none of whom may be deactivated without a person.
fn gone() -> Situation {
    Situation::synced(&["ada", "bob", "cyd"])
        .job("limits.deactivate = 0")
        .then(|studio| leave(studio, "ada"))
}

#[test]
fn what_a_person_rejected_is_no_success_and_can_be_taken_back() {
    let mut situation = gone();
    let hold = situation.sync().holds_opened[0].to_string();
    assert_eq!(situation.run(&["reject", &hold]).status, 0);
    situation.job = "limits.deactivate = \"100%\"".into();
    for _ in 0..2 {
        let ended = dismiss(&situation, "ada@studio.test");
        assert_eq!(ended.status, 3, "{}", ended.stdout);
        let said = &ended.stdout;
        assert!(
            said.contains("ada@studio.test (ada) still has access: "),
            "{said}"
        );
        assert!(
            said.contains("; a person rejected the deactivation"),
            "{said}"
        );
        assert!(said.contains("`unreject --only ada`"), "{said}");
        assert!(said.contains("in ftrack by hand"), "{said}");
        assert!(!said.contains("run it again"), "{said}");
        assert!(situation.user("ada").is_active);
    }
    let report = only(&situation, &["ada"]);
    assert_eq!(
        report.outcome,
        Outcome::Succeeded,
        "the outcome of the run is as ever"
    );
    assert!(report.named[0].due && report.named[0].has_access);
    // A plan for the person tells the same, and somebody in the directory is not due.
    let dry = situation.run(&["sync", "--dry-run", "--only", "ada"]);
    assert_eq!(dry.status, 3, "{}", dry.stdout);
    assert_eq!(dismiss(&situation, "bob").status, 0);
}

#[test]
fn what_was_undone_is_none_either() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| leave(studio, "ada"));
    let run = situation.sync();
    assert_eq!(run.counts.deactivated, 1);
    assert_eq!(situation.run(&["undo", &run.run]).status, 0);
    let ended = dismiss(&situation, "ada");
    assert_eq!(ended.status, 3, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("or had one undone"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("`unreject --only ada`"),
        "{}",
        ended.stdout
    );
}

#[test]
fn what_a_limit_holds_is_in_a_hold_that_can_be_approved_for_the_person() {
    let situation = gone().then(|studio| leave(studio, "bob"));
    let dry = situation.run(&["sync", "--dry-run", "--only", "ada"]);
    assert_eq!(dry.status, 3, "{}", dry.stdout);
    assert!(dry.stdout.contains("without --dry-run"), "{}", dry.stdout);
    assert_eq!(holds(&situation), []);

    let ended = dismiss(&situation, "ada");
    assert_eq!(ended.status, 3, "{}", ended.stdout);
    let [(number, people)] = &holds(&situation)[..] else {
        panic!("{:?}", holds(&situation));
    };
    assert_eq!(people, &["ada"]);
    let advice = format!("`approve {number} --only ada`");
    assert!(ended.stdout.contains(&advice), "{}", ended.stdout);
    // It stays the same hold, and a run for everybody puts the others into another one.
    assert_eq!(dismiss(&situation, "ada").status, 3);
    assert_eq!(holds(&situation).len(), 1);
    situation.sync();
    let both = holds(&situation);
    let of = |who: &str| both.iter().find(|(_, people)| people == &[who]);
    assert_eq!(of("ada").map(|(hold, _)| hold), Some(number), "{both:?}");
    assert!(both.len() == 2 && of("bob").is_some(), "{both:?}");
    // Of those whom a run is not for, nothing is known in it.
    assert_eq!(dismiss(&situation, "cyd").status, 0);
    assert_eq!(holds(&situation), both);

    let approved = situation.run(&["approve", number, "--only", "ada"]);
    assert_eq!(approved.status, 0, "{}{}", approved.stdout, approved.stderr);
    assert!(!situation.user("ada").is_active && situation.user("bob").is_active);
    assert_eq!(dismiss(&situation, "ada").status, 0);
    assert_eq!(holds(&situation).len(), 1);
}

#[test]
fn what_a_window_or_a_delay_keeps_is_no_success() {
    let window = Situation::synced(&["ada", "bob"])
        .job("windows.deactivate = [\"Mon 00:00-00:01\"]\ntimezone = \"Pacific/Kiritimati\"\n[[jobs.artists.freezes]]\nfrom = \"2020-01-01\"\nto = \"2999-01-01\"\nwhat = [\"deactivate\"]")
        .then(|studio| leave(studio, "ada"));
    let waits = Situation::synced(&["ada", "bob"])
        .job("users.deactivate_after = \"2d\"")
        .then(|studio| leave(studio, "ada"));
    for situation in [window, waits] {
        let ended = dismiss(&situation, "ada");
        assert_eq!(ended.status, 3, "{}", ended.stdout);
        assert!(situation.user("ada").is_active);
    }
}
