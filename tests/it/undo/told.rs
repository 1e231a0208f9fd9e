//! What is told of what was undone: in the lists, and by an undo of an undo; and of many deactivations
//! before they are made.

use serde_json::Value;

use super::{NO_LIMIT, put_back, undo};
use crate::{
    rules::leave,
    studio::{Studio, person},
};

const ALL: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

fn studio() -> Studio {
    let mut studio = Studio::of(&ALL);
    studio.job = NO_LIMIT.into();
    studio
}

fn said(studio: &Studio, arguments: &[&str]) -> String {
    let ended = studio.run(arguments);
    assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

#[test]
fn what_an_undo_rejected_is_counted_and_taken_back_by_its_run() {
    let studio = studio();
    studio.sync();
    leave(&studio, "ada");
    leave(&studio, "bob");
    let run = studio.sync();
    let first = undo(&studio, &run);
    let next = studio.sync();
    assert_eq!(next.counts.rejected, 2);
    let runs = said(&studio, &["runs", "--limit", "1"]);
    assert!(runs.contains("2 rejected"), "{runs}");

    let rejected = said(&studio, &["holds", "--rejected"]);
    let way = format!(
        "`undo {}` takes back what that undo put back, and so what it rejected (2 people).\n",
        first.run
    );
    assert!(rejected.ends_with(&way), "{rejected}");
    // There is no number to give.
    assert!(!rejected.contains("`unreject N`"), "{rejected}");
    let json = said(&studio, &["holds", "--rejected", "--format", "json"]);
    let all: Value = serde_json::from_str(&json).unwrap();
    for one in all.as_array().unwrap() {
        assert_eq!(
            (&one["run"], &one["hold"]),
            (&first.run.clone().into(), &Value::Null)
        );
    }

    let ended = studio.run(&["undo", &first.run]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let again = format!(
        "  undoes     the run {}, so it does again what the run {} did\n",
        first.run, run.run
    );
    for told in [
        &*again,
        "\nWhat the undo had rejected of it is rejected no more.\n",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
    assert!(
        !ended.stdout.contains("counts as rejected"),
        "{}",
        ended.stdout
    );
    assert_eq!(
        said(&studio, &["holds", "--rejected"]),
        "Nothing is rejected.\n"
    );

    // And an undo of that puts back again what the first run did.
    let second = studio.reports().pop().unwrap();
    assert_eq!(second.redoes.as_deref(), Some(&*run.run));
    let third = studio.run(&["undo", &second.run]);
    assert!(
        third.stdout.contains("counts as rejected"),
        "{}",
        third.stdout
    );
    assert_eq!(studio.reports().pop().unwrap().redoes, None);
}

#[test]
fn many_deactivations_are_told_before_they_are_made() {
    let studio = studio();
    let created = studio.sync();
    let most = "his deactivates 6 of the job's active users (6): most of them; no limit holds what is \
                put back\n";
    for command in ["undo", "restore"] {
        let dry = said(&studio, &[command, &created.run, "--dry-run"]);
        assert!(dry.contains(&format!("    t{most}")), "{dry}");
        let asked = studio.on_a_terminal(&format!("{command} {}", created.run), "n\n");
        // A terminal is narrow.
        let words: Vec<&str> = asked.stdout.split_whitespace().collect();
        let shown = words.join(" ");
        let question = format!("shows the rest. T{}", most.trim_end());
        let asked = shown
            .split_once(&question)
            .map(|(_, after)| after.contains("[y/N]"));
        assert_eq!(asked, Some(true), "{shown}");
    }
    // Nobody can be asked, and it is no run.
    let runs = studio.reports().len();
    for arguments in [
        &["undo", &created.run][..],
        &["restore", &created.run],
        &[&["undo", &*created.run, "--only"], &ALL[..]].concat(),
    ] {
        let ended = studio.run(arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""));
        let refused = format!("t{}, so nothing was written: say --yes", most.trim_end());
        assert!(ended.stderr.contains(&refused), "{}", ended.stderr);
    }
    assert_eq!(studio.reports().len(), runs);
    assert_eq!(studio.sync().counts.rejected, 0);
    assert!(ALL.iter().all(|login| studio.user(login).is_active));
    let report = put_back(&studio, &["restore", &created.run]);
    assert_eq!(report.counts.deactivated, 6);
    assert!(
        report.warnings[0].starts_with("this deactivates 6 "),
        "{:?}",
        report.warnings
    );
}

#[test]
fn more_than_the_limit_is_told_and_fewer_are_not() {
    let mut studio = studio();
    studio.sync();
    studio.tree().add(person("gus", "Given", "gus")).unwrap();
    let run = studio.sync();
    let more = "    this deactivates 1 of the job's active users (7): more than limits.deactivate (0) lets a \
                run do by itself; no limit holds what is put back\n";
    for (limit, is_told) in [(1, false), (0, true)] {
        studio.job = format!("limits = {{ deactivate = {limit} }}");
        let dry = said(&studio, &["undo", &run.run, "--dry-run"]);
        assert_eq!(dry.contains(more), is_told, "{dry}");
        assert_eq!(dry.contains("this deactivates"), is_told, "{dry}");
    }
}
