//! Watched directories: when a watch begins and ends, and what follows from what it says.

use super::*;
use crate::daemon::core::effect::WatchNews;

const NONE: [&str; 0] = [];

/// A job that is watched.
fn watched() -> Loaded {
    let mut loaded = loaded(&[("a", "x")]);
    let job = loaded.jobs.get_mut("a").unwrap();
    job.rules.is_watched = true;
    loaded
}

/// A daemon of it that has reached every server, and connects the watch 1.
fn connecting() -> Daemon {
    let (mut daemon, _) = Daemon::starting(watched(), BTreeMap::new(), Persisted::default());
    let of_ftrack = daemon.probed("ftrack", ProbeResult::Well);
    assert!(
        !of_ftrack.contains(&"watch 1 of a".to_owned()),
        "{of_ftrack:?}"
    );
    let begun = daemon.probed("directory x", ProbeResult::Well);
    assert!(begun.contains(&"watch 1 of a".to_owned()), "{begun:?}");
    daemon
}

/// The same daemon, whose watch has begun, and whose first run is over.
fn watching() -> Daemon {
    let mut daemon = connecting();
    let begun = daemon.watch(1, WatchNews::Begun("ldap://x".to_owned()));
    // What was missed before it.
    assert_eq!(
        begun,
        ["log watching a", "count watched change of a", "start a"]
    );
    daemon.ended("a", None);
    daemon
}

fn ended(refused: Option<&str>) -> WatchNews {
    WatchNews::Ended {
        error: "it is gone".to_owned(),
        is_unavailable: false,
        refused: refused.map(|server| {
            let mark = Some("mark".to_owned());
            (server.to_owned(), Access::of(server), mark)
        }),
    }
}

impl Daemon {
    fn watch(&mut self, id: u64, news: WatchNews) -> Vec<String> {
        let job = "a".to_owned();
        self.step(Input::Watch { job, id, news })
    }

    /// The seconds until the watch of the job is started again.
    fn seconds_to(&mut self, watch: &str) -> u32 {
        let is_it = |done: Vec<String>| done.iter().any(|one| one == watch);
        (1..2000).find(|_| is_it(self.after(1))).unwrap()
    }
}

#[test]
fn a_change_starts_a_run_and_one_during_a_run_starts_another() {
    let mut daemon = watching();
    assert_eq!(
        daemon.watch(1, WatchNews::Changed),
        ["count watched change of a", "start a"]
    );
    // Two more while it runs are read by one.
    assert_eq!(
        daemon.watch(1, WatchNews::Changed),
        ["count watched change of a"]
    );
    assert_eq!(daemon.watch(1, WatchNews::Changed), NONE);
    assert!(daemon.ended("a", None).contains(&"start a".to_owned()));
    assert!(!daemon.ended("a", None).contains(&"start a".to_owned()));
    // What an earlier watch says concerns nobody.
    assert_eq!(daemon.watch(7, WatchNews::Changed), NONE);
}

#[test]
fn a_run_that_waits_for_its_retry_is_not_started() {
    let mut daemon = watching();
    daemon.watch(1, WatchNews::Changed);
    daemon.ended("a", Some(FailureKind::Directory));
    assert_eq!(daemon.watch(1, WatchNews::Changed), NONE);
}

#[test]
fn a_lost_watch_is_logged_once_and_begins_again_later_and_later() {
    let mut daemon = watching();
    assert_eq!(daemon.watch(1, ended(None)), ["log watch of a lost"]);
    let mut waits = Vec::new();
    for id in 2..10 {
        waits.push(daemon.seconds_to(&format!("watch {id} of a")));
        assert_eq!(daemon.watch(id, ended(None)), NONE);
    }
    assert!(waits.is_sorted() && waits[0] <= 1, "{waits:?}");
    assert!((30..=60).contains(waits.last().unwrap()), "{waits:?}");
    let id = 10;
    daemon.seconds_to(&format!("watch {id} of a"));
    daemon.watch(id, WatchNews::Begun("ldap://x".to_owned()));
    assert_eq!(daemon.watch(id, ended(None)), ["log watch of a lost"]);
    assert!(daemon.seconds_to("watch 11 of a") <= 1);
}

#[test]
fn refused_credentials_are_not_tried_by_a_watch() {
    let mut daemon = connecting();
    let done = daemon.watch(1, ended(Some("directory x")));
    assert!(
        done.contains(&"log refused by directory x".to_owned()),
        "{done:?}"
    );
    for _ in 0..1000 {
        let done = daemon.after(1);
        assert!(
            !done.iter().any(|one| one.starts_with("watch ")),
            "{done:?}"
        );
    }
}

#[test]
fn a_pause_and_a_stop_end_a_watch() {
    let mut daemon = watching();
    let asked = daemon.pause("a", pause(None));
    let id = asked[0].strip_prefix("save ").unwrap();
    let id = id.split_once(':').unwrap().0.parse().unwrap();
    let done = daemon.saved(id);
    assert!(done.contains(&"no watch of a".to_owned()), "{done:?}");
    assert_eq!(daemon.watch(1, WatchNews::Changed), NONE);
    let mut daemon = watching();
    assert!(
        daemon
            .step(Input::Stop)
            .contains(&"no watch of a".to_owned())
    );
}
