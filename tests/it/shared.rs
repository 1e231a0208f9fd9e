//! Several runs over the connections of one configuration, as in a long-running process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, sync::Arc};

use ftrack_ldap_sync::{
    config,
    config::Environment,
    demo::{
        directory::TreeEntry,
        ftrack::{CallKind, Fault},
    },
    model::report::{FailureKind, Outcome, Report, Trigger},
    run::{CompiledJob, Purpose, failure::RunStartError, servers::Servers},
    state::State,
};
use tokio_util::sync::CancellationToken;

use crate::{
    crash::LIMIT,
    slapd::wait_until,
    studio::{KEY, PASSWORD, Studio},
};

/// Both jobs of a studio, over the same servers.
struct Jobs {
    state: State,
    servers: Servers,
    artists: CompiledJob,
    guests: CompiledJob,
}

fn studio() -> Studio {
    let mut studio = Studio::of(&["ada", "bob"]);
    let guests = "ou=guests,dc=studio,dc=test";
    studio
        .tree()
        .add(TreeEntry::new(guests).with("objectClass", "organizationalUnit"))
        .unwrap();
    let mut guest = crate::studio::person("gil", "Given", "Gil");
    guest.dn = format!("uid=gil,{guests}");
    studio.tree().add(guest).unwrap();
    studio.ftrack_settings = "attempts = 1".into();
    studio.job = format!(
        "[jobs.guests]\ndirectory = \"studio\"\nsearch_bases = [{guests:?}]\nfilter = \
         \"(objectClass=inetOrgPerson)\"\nattributes = {{ username = \"uid\", email = \"mail\" \
         }}\n"
    );
    studio
}

fn jobs(studio: &Studio) -> Jobs {
    let config = Arc::new(config::load(&studio.config(), &Environment::default()).unwrap());
    let servers = Servers::new(&config).unwrap();
    let prepared = |name: &str| CompiledJob::new(&config, name, &servers).unwrap();
    Jobs {
        artists: prepared("artists"),
        guests: prepared("guests"),
        servers,
        state: State::open(&config).unwrap().0,
    }
}

async fn run(state: &State, job: &CompiledJob) -> Result<Report, RunStartError> {
    job.run(
        state,
        Trigger::Schedule,
        Purpose::Sync,
        &CancellationToken::new(),
        &|_| (),
    )
    .await
}

#[test]
fn jobs_share_their_connections_and_count_their_own_calls() {
    let studio = studio();
    let jobs = jobs(&studio);
    let (artists, guests) = studio.runtime().block_on(async {
        tokio::join!(
            run(&jobs.state, &jobs.artists),
            run(&jobs.state, &jobs.guests)
        )
    });
    let (artists, guests) = (artists.unwrap(), guests.unwrap());
    assert_eq!(
        (artists.counts.created, guests.counts.created),
        (2, 1),
        "{artists:#?}{guests:#?}"
    );
    let figures = jobs.servers.ftrack().figures();
    assert_eq!(
        figures.read_calls,
        artists.ftrack.read_calls + guests.ftrack.read_calls
    );
    assert_eq!(
        figures.write_calls,
        artists.ftrack.write_calls + guests.ftrack.write_calls
    );
    assert!(
        artists.ftrack.write_calls > 0 && guests.ftrack.write_calls > 0,
        "{figures:?}"
    );
    let again = run_next(&studio, &jobs);
    assert_eq!(
        (again.outcome, again.ftrack.write_calls),
        (Outcome::Succeeded, 0)
    );
    let pool = jobs.servers.directory("studio").unwrap();
    let figures = pool.figures().remove(0);
    assert!((1..=2).contains(&figures.binds_tried), "{figures:?}");
    assert_eq!(
        (figures.open, figures.idle, figures.waiting),
        (figures.idle, figures.open, 0)
    );
    assert_eq!(jobs.servers.directories().count(), 1);
    // A call that is made again is counted as such.
    assert_eq!(jobs.servers.ftrack().figures().retries, 0);
}

#[test]
fn a_call_that_is_made_again_is_counted() {
    let mut studio = studio();
    studio.ftrack_settings = "attempts = 3".into();
    let jobs = jobs(&studio);
    studio
        .ftrack()
        .fail_next(Some(CallKind::Read), Fault::Html(502));
    assert_eq!(
        studio
            .runtime()
            .block_on(run(&jobs.state, &jobs.artists))
            .unwrap()
            .outcome,
        Outcome::Succeeded
    );
    assert_eq!(jobs.servers.ftrack().figures().retries, 1);
}

#[test]
fn a_run_of_a_job_that_runs_already_is_told_from_a_broken_state() {
    let studio = studio();
    let jobs = jobs(&studio);
    let (first, second) = studio.runtime().block_on(async {
        tokio::join!(
            run(&jobs.state, &jobs.artists),
            run(&jobs.state, &jobs.artists)
        )
    });
    assert_eq!(first.unwrap().outcome, Outcome::Succeeded);
    assert!(matches!(second, Err(RunStartError::Busy(_))), "{second:?}");
    fs::remove_dir_all(studio.state_dir().join("locks")).unwrap();
    fs::write(studio.state_dir().join("locks"), "in the way").unwrap();
    let outcome = studio.runtime().block_on(run(&jobs.state, &jobs.artists));
    assert!(
        matches!(outcome, Err(RunStartError::State(_))),
        "{outcome:?}"
    );
}

/// A run that follows another one, whose lock a process that is about to begin may still share.
fn run_next(studio: &Studio, jobs: &Jobs) -> Report {
    let once = || studio.runtime().block_on(run(&jobs.state, &jobs.artists));
    let mut ended = once();
    wait_until(LIMIT, || {
        let is_busy = matches!(ended, Err(RunStartError::Busy(_)));
        if is_busy {
            ended = once();
        }
        !is_busy
    });
    ended.unwrap()
}

#[test]
fn secrets_that_change_in_their_files_are_used_by_the_next_run() {
    let studio = studio();
    let jobs = jobs(&studio);
    let sync = || run_next(&studio, &jobs);
    assert_eq!(sync().error_kind, None);
    for (name, right, kind) in [
        ("ldap-password", PASSWORD, FailureKind::DirectoryRefused),
        ("ftrack-api-key", KEY, FailureKind::FtrackRefused),
    ] {
        let file = studio.folder().join(name);
        fs::write(&file, "wrong").unwrap();
        assert_eq!(sync().error_kind, Some(kind));
        fs::remove_file(&file).unwrap();
        let report = sync();
        assert!(
            report.error_kind.is_some_and(|kind| !kind.is_refusal()),
            "{report:#?}"
        );
        assert!(
            report.error.unwrap().contains(name),
            "the error names the file"
        );
        fs::write(&file, right).unwrap();
        assert_eq!(sync().error_kind, None);
    }
}
