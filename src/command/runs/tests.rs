//! The list of runs on terminals and in a pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::model::report::{Counts, Outcome, Trigger};

fn run(minute: u32, outcome: Outcome, counts: Counts, error: Option<&str>) -> RunSummary {
    let time = format!("2026-01-31T10:{minute:02}:00Z");
    RunSummary {
        run: format!("20260131-10{minute:02}00-00ff"),
        job: "artists".to_owned(),
        trigger: Trigger::Manual,
        dry_run: false,
        for_some: false,
        observed: false,
        started_at: time.parse().unwrap(),
        finished_at: time.parse().unwrap(),
        outcome,
        error_kind: None,
        error: error.map(str::to_owned),
        ftrack: "https://studio.test".to_owned(),
        replica: None,
        entries: 0,
        owned: 0,
        owned_active: 0,
        linked: None,
        held: counts.held,
        failed: counts.failed,
        unsettled: 0,
        counts,
        planned: std::collections::BTreeMap::new(),
        alarm: false,
        open_holds: 0,
        oldest_hold: None,
        hold_numbers: Vec::new(),
    }
}

fn runs() -> Vec<RunSummary> {
    let created = Counts {
        created: 2,
        ..Counts::default()
    };
    let many = Counts {
        created: 12,
        updated: 3,
        deactivated: 1,
        held: 4,
        ..Counts::default()
    };
    let stale = "the plan is stale, and nothing was written: uid=ada,ou=people,dc=studio,dc=test \
                 was changed in the directory; bob was deactivated in ftrack. Make a new plan, \
                 review it, and apply that";
    let unread = "ftrack could not be read, and nothing was written: reading users at \
                  https://studio.test:443 failed 4 times: no connection";
    vec![
        run(3, Outcome::Failed, Counts::default(), Some(stale)),
        run(2, Outcome::Failed, Counts::default(), Some(unread)),
        run(1, Outcome::Held, many, None),
        run(0, Outcome::Succeeded, created, None),
    ]
}

/// The list, with the times of another zone than the machine's.
fn listed(screen: Screen) -> String {
    let text = table(&runs(), screen);
    let started = |run: &RunSummary| {
        let time = run.started_at.with_timezone(&Local);
        time.format("%Y-%m-%d %H:%M").to_string()
    };
    let zone = text.split_once("STARTED (").unwrap().1;
    let zone = zone.split_once(')').unwrap().0.to_owned();
    let text = text.replacen(&format!("({zone})"), "(UTC)", 1);
    runs().iter().fold(text, |text, run| {
        let time = run.started_at.format("%Y-%m-%d %H:%M").to_string();
        text.replace(&started(run), &time)
    })
}

#[test]
fn what_a_run_did_has_the_width_of_the_terminal() {
    let screen = |columns| Screen::Terminal { columns, rows: 24 };
    insta::assert_snapshot!(listed(screen(80)), @"
    RUN                   STARTED (UTC)     JOB      OUTCOME    WHAT
    20260131-100300-00ff  2026-01-31 10:03  artists  failed
      the plan is stale: uid=ada,ou=people,dc=studio,dc=test was changed in the …
    20260131-100200-00ff  2026-01-31 10:02  artists  failed
      ftrack could not be read: reading users at https://studio.test:443 failed 4 …
    20260131-100100-00ff  2026-01-31 10:01  artists  held
      12 created, 3 updated, 1 deactivated, 4 held
    20260131-100000-00ff  2026-01-31 10:00  artists  succeeded  2 created
    ");
    let wide = listed(screen(160));
    assert!(wide.contains("TOOK"), "{wide}");
    assert!(
        wide.contains("  ftrack could not be read: reading users at "),
        "{wide}"
    );
    for columns in [20, 40, 80, 100, 160] {
        for line in listed(screen(columns)).lines() {
            assert!(
                display_width(line) <= columns || !line.trim().contains(' '),
                "{line}"
            );
        }
    }
}

#[test]
fn nothing_is_left_out_in_a_pipe() {
    insta::assert_snapshot!(listed(Screen::Unbounded), @"
    RUN                   STARTED (UTC)     JOB      OUTCOME    TOOK   WHAT
    20260131-100300-00ff  2026-01-31 10:03  artists  failed     0.0 s  the plan is stale: uid=ada,ou=people,dc=studio,dc=test was changed in the directory; bob was deactivated in ftrack. Make a new plan, review it, and apply that
    20260131-100200-00ff  2026-01-31 10:02  artists  failed     0.0 s  ftrack could not be read: reading users at https://studio.test:443 failed 4 times: no connection
    20260131-100100-00ff  2026-01-31 10:01  artists  held       0.0 s  12 created, 3 updated, 1 deactivated, 4 held
    20260131-100000-00ff  2026-01-31 10:00  artists  succeeded  0.0 s  2 created
    ");
}

#[test]
fn how_a_run_ended_is_below_where_names_of_jobs_are_long() {
    let mut runs = runs();
    for run in &mut runs {
        run.job = "freelancers-and-vendors-of-vancouver".to_owned();
    }
    let screen = Screen::Terminal {
        columns: 80,
        rows: 24,
    };
    let text = table(&runs, screen);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10, "{text}");
    assert_eq!(lines[1], "   OUTCOME, WHAT", "{text}");
    assert_eq!(lines[9], "   succeeded, 2 created", "{text}");
    assert!(
        lines[2].ends_with("  freelancers-and-vendors-of-vancouver"),
        "{text}"
    );
    assert!(
        lines[3].starts_with("   failed, the plan is stale: "),
        "{text}"
    );
    // In a pipe it is a column, as ever.
    let piped = table(&runs, Screen::Unbounded);
    assert!(
        piped.contains("  freelancers-and-vendors-of-vancouver  failed  "),
        "{piped}"
    );
}
