//! What is said of a hold: by which digits it is known, and what became of those who left it.

use std::fs;

use super::{holds, left, only_hold};
use crate::{
    daemon::Daemon,
    rules::{add_config, leave},
    studio::{Ended, Studio},
};

/// A studio whose holds have long numbers, since nothing is known of any before.
fn with_long_numbers(left_users: &[usize]) -> (Studio, u64) {
    let studio = left(left_users);
    fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.sync();
    let (number, _) = only_hold(&studio);
    assert!(number > 10_000_000, "{number}");
    (studio, number)
}

fn run(studio: &Studio, status: i32, arguments: &[&str]) -> Ended {
    let ended = studio.run(arguments);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.status, status, "{arguments:?}: {said}");
    ended
}

#[test]
fn the_last_digits_name_an_open_hold_wherever_a_number_does() {
    let (studio, number) = with_long_numbers(&[0, 1, 2]);
    let ending = format!("{:03}", number % 1000);
    let shown = run(&studio, 0, &["holds", "show", &ending]).stdout;
    assert!(
        shown.starts_with(&format!("Hold {number} of artists")),
        "{shown}"
    );
    assert!(!shown.contains("`holds` shows its number"), "{shown}");
    run(&studio, 2, &["holds", "show", &ending[1..]]);
    run(&studio, 0, &["approve", &ending, "--only", "user0"]);
    run(&studio, 0, &["reject", &ending, "--only", "user1"]);
    assert!(!studio.user("user0").is_active && studio.user("user1").is_active);
    run(&studio, 0, &["unreject", &ending, "--only", "user1"]);
    // The daemon is asked for the holds that it knows.
    let studio = studio.for_a_daemon("");
    let daemon = Daemon::start(&studio);
    run(&studio, 0, &["approve", &ending, "--only", "user2"]);
    assert!(!studio.user("user2").is_active);
    assert!(daemon.stop().0.success());
}

#[test]
fn the_only_open_hold_needs_no_number() {
    let studio = left(&[0, 1, 2]);
    let refused = run(&studio, 2, &["holds", "show"]);
    assert!(
        refused.stderr.contains("nothing is held"),
        "{}",
        refused.stderr
    );
    studio.sync();
    let shown = run(&studio, 0, &["holds", "show"]).stdout;
    assert_eq!(shown, run(&studio, 0, &["holds", "show", "1"]).stdout);
    leave(&studio, "user3");
    studio.sync();
    let numbers: Vec<String> = holds(&studio)
        .iter()
        .map(|(hold, _, _)| hold.to_string())
        .collect();
    assert!(numbers.len() > 1);
    let refused = run(&studio, 2, &["holds", "show"]).stderr;
    assert!(refused.contains("`holds show N`"), "{refused}");
    assert!(
        numbers.iter().all(|number| refused.contains(number)),
        "{refused}"
    );
}

#[test]
fn a_list_says_that_what_was_settled_by_hand_ends_with_the_next_run() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let settled = "artists: `link`, `unlink` or `release` changed users after the last run";
    let listed = || run(&studio, 0, &["holds"]).stdout;
    assert!(!listed().contains(settled), "{}", listed());
    run(&studio, 0, &["unlink", "user0"]);
    assert!(listed().contains(settled), "{}", listed());
    studio.sync();
    assert!(!listed().contains(settled), "{}", listed());
    // Times are those of the job, as in `runs show`.
    add_config(&studio, "[jobs.artists]\ntimezone = \"Asia/Tokyo\"\n");
    let (number, _) = only_hold(&studio);
    let shown = run(&studio, 0, &["holds", "show", &number.to_string()]).stdout;
    assert!(shown.contains(" JST, in 2 runs"), "{shown}");
}

#[test]
fn who_left_a_hold_is_told_with_when_and_by_whom() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let number = number.to_string();
    run(&studio, 0, &["approve", &number, "--only", "user0"]);
    run(&studio, 0, &["reject", &number, "--only", "user1"]);
    let shown = run(&studio, 0, &["holds", "show", &number]).stdout;
    for told in [
        "Hold 1 of artists: 1 to deactivate, held by limit",
        "counted by the last run, over all holds of the job: 3 deactivations",
        "deactivate user0: written, by ",
        "deactivate user1: rejected, by ",
        "`unreject 1 --only user1` takes it back",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    for (who, told) in [("user0", "written, by "), ("user1", "rejected, by ")] {
        for command in ["approve", "reject"] {
            let said = run(&studio, 2, &[command, &number, "--only", who]).stderr;
            assert!(
                said.contains(who) && said.contains(&format!("no more: {told}")),
                "{said}"
            );
        }
    }
    // Somebody in another hold is found there.
    leave(&studio, "user3");
    studio.sync();
    let other = holds(&studio)
        .into_iter()
        .map(|(hold, _, _)| hold)
        .max()
        .unwrap();
    let said = run(&studio, 2, &["approve", &number, "--only", "user3"]).stderr;
    assert!(
        said.contains(&format!("hold {other} (deactivate, artists) does")),
        "{said}"
    );
}
