//! `demo`: a sync with nothing installed, shown in chapters, each of which is checked.

use std::{collections::BTreeSet, env, path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{print_text, progress::ProgressLine};
use crate::{
    cli::{DemoArgs, Exit, Stop},
    config,
    config::{Config, Environment},
    demo::{
        ftrack::Account,
        story::{Chapter, Expected, Story, StoryError, Writes},
        world::{JOB, Wanted, World, WorldError},
    },
    model::report::{Report, Trigger},
    run::{
        CompiledJob, Purpose,
        servers::Servers,
        text::{self, Extent},
    },
};

mod narration;
mod serve;

/// How many changes of each kind are shown where there are many.
const FEW: usize = 2;

/// How one chapter ended, for the table at the end.
struct PlayedChapter {
    chapter: Chapter,
    exit: Exit,
    report: Report,
    active: usize,
}

/// `demo`: plays the story, or keeps both servers running.
///
/// # Errors
/// The servers cannot listen, or a chapter did not have the expected result; the error says which
/// and how.
pub async fn demo(args: &DemoArgs, cancel: &CancellationToken) -> Result<Exit, Stop> {
    let wanted = Wanted {
        people: usize::try_from(args.people).unwrap_or(usize::MAX),
        directory: args.ldap_listen,
        ftrack: args.ftrack_listen,
    };
    let world = World::start(wanted).await?;
    let outcome = if args.serve {
        serve::serve(&world, cancel).await
    } else {
        tell(&world, cancel).await
    };
    let ended = world.end().await;
    let exit = outcome?;
    ended?;
    Ok(exit)
}

impl From<WorldError> for Stop {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::NotLoopback(_) => Self::usage(&error),
            WorldError::Listen { .. } | WorldError::Tree(_) | WorldError::Folder { .. } => {
                Self::failed(&error)
            }
        }
    }
}

impl From<StoryError> for Stop {
    fn from(error: StoryError) -> Self {
        Self::failed(&error)
    }
}

/// The story, chapter by chapter.
async fn tell(world: &World, cancel: &CancellationToken) -> Result<Exit, Stop> {
    let story = Story::new(world)?;
    // The environment is ignored: it may name real servers.
    let config = Arc::new(
        config::load(&world.config_file(), &Environment::default())
            .map_err(|findings| Stop::failed(&findings))?,
    );
    print_text(&narration::opening(world))?;
    let before: BTreeSet<String> = world
        .ftrack
        .studio()
        .users()
        .into_iter()
        .map(|user| user.id)
        .collect();
    let mut all = Vec::with_capacity(Chapter::ALL.len());
    let mut wrong = Vec::new();
    for chapter in Chapter::ALL {
        print_text(&narration::before(chapter, &story))?;
        let (played, differences) =
            play(chapter, &story, (world, &config), &before, cancel).await?;
        if cancel.is_cancelled() {
            return Err(Stop {
                exit: Exit::Failed,
                lines: vec![
                    "stopped on request before the end of the demo; everything was removed"
                        .to_owned(),
                ],
            });
        }
        let report = match chapter {
            Chapter::FirstSync | Chapter::HalfGone => {
                text::report(&played.report, Extent::OfEachKind(FEW))
            }
            Chapter::Again
            | Chapter::OrdinaryDay
            | Chapter::Return
            | Chapter::BadDay
            | Chapter::Normal => text::report(&played.report, Extent::Whole),
        };
        print_text(&narration::ran(&report, played.exit))?;
        print_text(&narration::after(chapter, &story))?;
        wrong.extend(
            differences
                .into_iter()
                .map(|difference| format!("{}: {difference}", narration::heading(chapter))),
        );
        all.push(played);
    }
    if wrong.is_empty() {
        print_text(&narration::closing(&all, &binary()))?;
        return Ok(Exit::Done);
    }
    Err(Stop {
        exit: Exit::Failed,
        lines: wrong,
    })
}

/// Plays a chapter and syncs; returns how the result differs from the expected one.
async fn play(
    chapter: Chapter,
    story: &Story,
    (world, config): (&World, &Arc<Config>),
    strangers: &BTreeSet<String>,
    cancel: &CancellationToken,
) -> Result<(PlayedChapter, Vec<String>), Stop> {
    let studio = world.ftrack.studio();
    let (users, calls) = (studio.users(), studio.counters().write_calls);
    story.play(chapter, world)?;
    // With new connections, as `sync` does it.
    let servers = Servers::new(config).map_err(|error| Stop::failed(&error))?;
    let prepared = CompiledJob::new(config, JOB, &servers).map_err(|error| Stop::failed(&error))?;
    let state = super::open_state(config)?;
    let line = ProgressLine::start();
    let report = prepared
        .run(
            &state,
            Trigger::Manual,
            Purpose::Sync,
            cancel,
            &|progress| line.show(progress),
        )
        .await
        .map_err(|error| Stop::failed(&error))?;
    drop(line);
    let then = studio.users();
    let active = then
        .iter()
        .filter(|user| user.is_active && !strangers.contains(&user.id))
        .count();
    let seen = Seen {
        calls: studio.counters().write_calls.saturating_sub(calls),
        active,
        users: if users == then {
            Users::AsBefore
        } else {
            Users::Changed
        },
    };
    let mut differences = differences(&story.expected(chapter), &report, &seen);
    differences.extend(lost_or_replaced(&users, &then, report.counts.created));
    let exit = Exit::of(&report);
    Ok((
        PlayedChapter {
            chapter,
            exit,
            report,
            active,
        },
        differences,
    ))
}

/// What ftrack itself shows after a run, whatever the report says.
struct Seen {
    calls: u64,
    active: usize,
    users: Users,
}

#[derive(PartialEq, Eq)]
enum Users {
    AsBefore,
    Changed,
}

fn differences(expected: &Expected, report: &Report, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, is: String, should: String| {
        if is != should {
            found.push(format!("{what}: {is}, expected {should}"));
        }
    };
    compare(
        "outcome",
        report.outcome.as_str().to_owned(),
        expected.outcome.as_str().to_owned(),
    );
    compare(
        "counts",
        format!("{:?}", report.counts),
        format!("{:?}", expected.counts),
    );
    compare(
        "active users in ftrack",
        seen.active.to_string(),
        expected.active.to_string(),
    );
    compare(
        "write calls in the report",
        report.ftrack.write_calls.to_string(),
        seen.calls.to_string(),
    );
    match expected.writes {
        Writes::None if seen.calls > 0 || seen.users == Users::Changed => found.push(format!(
            "ftrack was written to ({} write calls), expected no write",
            seen.calls
        )),
        Writes::Some if seen.calls == 0 => found.push(
            "ftrack was not written to, expected a \
            write"
                .to_owned(),
        ),
        Writes::None | Writes::Some => {}
    }
    found
}

/// No user may vanish or be replaced by another one.
fn lost_or_replaced(before: &[Account], after: &[Account], created: usize) -> Option<String> {
    let kept: BTreeSet<&str> = after.iter().map(|user| user.id.as_str()).collect();
    let all_there = before.iter().all(|user| kept.contains(user.id.as_str()));
    (!all_there || after.len() != before.len().saturating_add(created)).then(|| {
        format!(
            "ftrack had {} users and has {} after {created} were created, or a user was replaced",
            before.len(),
            after.len()
        )
    })
}

/// How to call this program from a shell, wherever it is.
fn binary() -> String {
    env::current_exe().map_or_else(|_| "ftrack-ldap-sync".to_owned(), |path| quoted(&path))
}

/// A path, quoted for a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    shlex::try_quote(&path).map_or_else(|_| path.clone(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;
    use crate::model::report::{Counts, Outcome};

    fn report(outcome: &str, write_calls: u64, deactivated: usize) -> Report {
        let at = "2026-01-01T00:00:00Z";
        serde_json::from_value(json!({
            "run": "20260101-000000-0000", "job": JOB, "trigger": "manual", "dry_run": false, "started_at": at, "finished_at": at,
            "outcome": outcome, "error": null,
            "directory": {"server": null, "complete": true, "entries": 40, "id_attribute": null, "searches": []},
            "ftrack": {"server": "http://127.0.0.1", "users": 42, "owned": 40, "read_calls": 2, "write_calls": write_calls},
            "counts": Counts { deactivated, unchanged: 40 - deactivated, ..Counts::default() },
            "planned": {}, "changes": [], "skipped": [], "warnings": []
        }))
        .unwrap()
    }

    const NOTHING_TO_DO: Expected = Expected {
        outcome: Outcome::Succeeded,
        counts: Counts {
            created: 0,
            updated: 0,
            deactivated: 0,
            reactivated: 0,
            adopted: 0,
            role_changes: 0,
            group_changes: 0,
            unchanged: 40,
            skipped: 0,
            rejected: 0,
            held: 0,
            failed: 0,
            unconfirmed: 0,
            unsettled: 0,
            active_leavers: 0,
        },
        writes: Writes::None,
        active: 40,
    };

    #[test]
    fn a_chapter_as_told_has_no_differences() {
        let seen = Seen {
            calls: 0,
            active: 40,
            users: Users::AsBefore,
        };
        assert_eq!(
            differences(&NOTHING_TO_DO, &report("succeeded", 0, 0), &seen),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_difference_is_named() {
        let seen = Seen {
            calls: 2,
            active: 38,
            users: Users::Changed,
        };
        let found = differences(&NOTHING_TO_DO, &report("held", 1, 2), &seen);
        assert_eq!(found.len(), 5, "{found:#?}");
        assert_eq!(found[0], "outcome: held, expected succeeded");
        assert_eq!(found[2], "active users in ftrack: 38, expected 40");
        assert_eq!(found[3], "write calls in the report: 1, expected 2");
        assert_eq!(
            found[4],
            "ftrack was written to (2 write calls), expected no write"
        );
    }

    #[test]
    fn a_user_who_vanishes_or_is_replaced_is_a_difference() {
        let user = |id: &str| Account {
            id: id.to_owned(),
            ..Account::default()
        };
        assert_eq!(
            lost_or_replaced(&[user("a")], &[user("a"), user("b")], 1),
            None
        );
        assert!(lost_or_replaced(&[user("a")], &[user("b")], 0).is_some());
        assert!(lost_or_replaced(&[user("a")], &[user("a"), user("b")], 0).is_some());
    }
}
