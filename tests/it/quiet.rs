//! Events that a run logs at DEBUG because they are repeated: its progress during an outage, and
//! messages of the previous run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    sync::{Arc, Mutex, Once},
};

use ftrack_ldap_sync::{
    config,
    config::Environment,
    demo::ftrack::{Account, CallKind, Fault},
    event::{AlreadyLogged, LoggedBefore, OutageLogged, without_repeats},
    model::report::{Outcome, Report, Trigger},
    run::{CompiledJob, Purpose, servers::Servers},
    state::State,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

use crate::{
    rules::account,
    studio::{Studio, dn, person},
};

/// A studio with a person who is skipped, one who is to be deactivated and may not, and a user
/// whose link cannot be read.
fn studio() -> Studio {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    studio.tree().remove(&dn("cyd")).unwrap();
    studio.tree().add(nameless("nobody")).unwrap();
    studio.ftrack().add_user(&unreadable()).unwrap();
    studio.job = "limits.deactivate = 0\n".into();
    studio.ftrack_settings = "attempts = 2".into();
    studio
}

fn unreadable() -> Account {
    Account {
        metadata: [("ftrack-ldap-sync".to_owned(), "no link".to_owned())].into(),
        ..account("stranger")
    }
}

fn nameless(cn: &str) -> ftrack_ldap_sync::demo::directory::TreeEntry {
    let mut entry = person("x", "No", "Login");
    entry.dn = format!("cn={cn},ou=people,dc=studio,dc=test");
    entry
        .attributes
        .retain(|(name, _)| name != "uid" && name != "cn");
    entry.with("cn", cn)
}

/// The job of a studio, and what is remembered of it.
fn prepared(studio: &Studio) -> (CompiledJob, State) {
    let config = Arc::new(config::load(&studio.config(), &Environment::default()).unwrap());
    let state = State::open(&config).unwrap().0;
    (
        CompiledJob::new(&config, "artists", &Servers::new(&config).unwrap()).unwrap(),
        state,
    )
}

/// Lets no event be switched off for good: an event that another test says for the first time, while
/// this one sets up its log, would be of interest to nobody from then on.
fn everything_may_be_logged() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let everybody = tracing_subscriber::registry().with(LevelFilter::DEBUG);
        tracing::subscriber::set_global_default(everybody).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
}

/// One run, and its events with their levels, in the order in which they were said.
fn run(
    studio: &Studio,
    (job, state): &(CompiledJob, State),
    quiet: AlreadyLogged,
) -> (Report, Vec<String>) {
    everything_may_be_logged();
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(LevelFilter::DEBUG)
        .with_writer(Mutex::new(log.reopen().unwrap()))
        .finish();
    let report = {
        let _here = tracing::subscriber::set_default(subscriber);
        let cancel = CancellationToken::new();
        let work = async {
            job.run(state, Trigger::Schedule, Purpose::Sync, &cancel, &|_| ())
                .await
        };
        studio
            .runtime()
            .block_on(without_repeats(quiet, work))
            .unwrap()
    };
    let text = fs::read_to_string(log.path()).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let said = lines.filter_map(|line| {
        Some(format!(
            "{} {}",
            line["event"].as_str()?,
            line["level"].as_str()?
        ))
    });
    (report, said.collect())
}

fn outage(outage: OutageLogged) -> AlreadyLogged {
    AlreadyLogged {
        outage,
        ..AlreadyLogged::default()
    }
}

#[test]
fn the_course_of_a_run_in_an_outage_is_not_said_and_its_success_is() {
    let studio = studio();
    let job = prepared(&studio);
    let all_bad = |studio: &Studio| {
        studio
            .ftrack()
            .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::Html(502)));
    };
    let retried = |said: &[String], level: &str| {
        said.iter()
            .filter(|line| **line == format!("ftrack.retried {level}"))
            .count()
    };
    for (quiet, level) in [
        (outage(OutageLogged::Over), ["INFO", "WARN", "ERROR"]),
        (outage(OutageLogged::Lasts), ["DEBUG"; 3]),
    ] {
        all_bad(&studio);
        let (report, said) = run(&studio, &job, quiet.clone());
        assert_eq!(report.outcome, Outcome::Failed);
        let ends = (said.first().unwrap().clone(), said.last().unwrap().clone());
        assert_eq!(
            ends,
            (
                format!("run.started {}", level[0]),
                format!("run.finished {}", level[2])
            ),
            "{said:?}"
        );
        // One cause is said once, however many calls it fails.
        let all = said.len() - 2;
        assert!(all > 1, "{said:?}");
        assert_eq!(
            (retried(&said, level[1]), retried(&said, "DEBUG")),
            match level[1] {
                "WARN" => (1, all - 1),
                _ => (all, all),
            },
            "{said:?}"
        );
        assert_eq!(report.ftrack.retries, all as u64);
        // What comes of a run that is no failure any more is to be seen.
        studio.ftrack().heal();
        studio.tree().add(person(level[0], "Given", "New")).unwrap();
        let (report, said) = run(&studio, &job, quiet);
        assert_eq!(report.outcome, Outcome::Held);
        for event in [
            "run.started",
            "directory.read",
            "ftrack.read",
            "run.planned",
        ] {
            assert!(
                said.contains(&format!("{event} {}", level[0])),
                "{event}: {said:?}"
            );
        }
        for line in [
            "entry.skipped WARN",
            "run.warning WARN",
            "change.held WARN",
            "change.applied INFO",
            "run.finished WARN",
        ] {
            assert!(said.contains(&line.to_owned()), "{line}: {said:?}");
        }
    }
    fs::remove_dir_all(studio.state_dir().join("reports")).unwrap();
    fs::write(studio.state_dir().join("reports"), "in the way").unwrap();
    let (_, said) = run(&studio, &job, outage(OutageLogged::Lasts));
    assert!(said.contains(&"state.failed ERROR".to_owned()), "{said:?}");
}

#[test]
fn what_the_run_before_has_said_is_not_said_again() {
    let studio = studio();
    let job = prepared(&studio);
    let of = |said: &[String]| -> Vec<String> {
        let names = ["entry.skipped", "run.warning", "change.held"];
        let mut of: Vec<String> = said
            .iter()
            .filter(|line| names.iter().any(|name| line.starts_with(name)))
            .cloned()
            .collect();
        of.sort_unstable();
        of
    };
    let mut known: Arc<LoggedBefore> = Arc::default();
    let mut next = || {
        let quiet = AlreadyLogged {
            known: Arc::clone(&known),
            ..AlreadyLogged::default()
        };
        let (report, said) = run(&studio, &job, quiet);
        known = known.after(&report);
        (report, of(&said))
    };
    assert_eq!(
        next().1,
        ["change.held WARN", "entry.skipped WARN", "run.warning WARN"]
    );
    let again = [
        "change.held DEBUG",
        "entry.skipped DEBUG",
        "run.warning DEBUG",
    ];
    assert_eq!(next().1, again);
    // A run that fails says nothing of it, and forgets nothing.
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    let (report, said) = next();
    assert_eq!((report.outcome, said), (Outcome::Failed, Vec::new()));
    studio.ftrack().heal();
    assert_eq!(next().1, again);
    studio.tree().add(nameless("somebody")).unwrap();
    assert_eq!(
        next().1,
        [
            "change.held DEBUG",
            "entry.skipped DEBUG",
            "entry.skipped WARN",
            "run.warning DEBUG"
        ]
    );
    // What was mended and is broken again is said again.
    studio
        .tree()
        .remove("cn=nobody,ou=people,dc=studio,dc=test")
        .unwrap();
    assert_eq!(next().1, again);
    studio.tree().add(nameless("nobody")).unwrap();
    assert_eq!(
        next().1,
        [
            "change.held DEBUG",
            "entry.skipped DEBUG",
            "entry.skipped WARN",
            "run.warning DEBUG"
        ]
    );
}
