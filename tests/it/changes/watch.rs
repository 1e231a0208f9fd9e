//! The daemon watches the directory: a change reaches ftrack at once, and by the same rules.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{
    openldap::{is_called, leaves, slapd},
    *,
};
use crate::{
    ability::must_skip_as_root,
    daemon::{Daemon, LIMIT, job, must, status},
    directories::{OF_389, OF_SAMBA, servers::RealDirectory, situation},
    slapd::{SYNC_DN, wait_until},
};

/// Everything once a year, and what changed when something does.
const WATCHED: &str =
    "schedule = \"@yearly\"\nwatch = true\nretry = { initial = \"1s\", max = \"1s\" }\n";
/// A slapd with these people, and a studio whose daemon watches it.
fn watched(uids: &[&str], keys: &str) -> (Slapd, Studio) {
    let slapd = slapd(uids, 100);
    let studio = studio(slapd.url().as_str()).for_a_daemon(&format!("{WATCHED}{keys}"));
    (slapd, studio)
}

/// A daemon that watches, after its first run.
fn started(studio: &Studio) -> Daemon {
    let daemon = Daemon::start(studio);
    daemon.event("watch.started");
    assert!(
        wait_until(LIMIT, || !studio.reports().is_empty()),
        "a first run"
    );
    wait_for_idle(studio);
    daemon
}

fn wait_for_idle(studio: &Studio) {
    assert!(wait_until(LIMIT, || job(studio)["phase"] == "idle"));
}

/// So many seconds of the daemon go by.
fn seconds_pass(studio: &Studio, seconds: i64) {
    let beat = || {
        let beat = status(studio)["beat_at"].as_str().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc3339(&beat).unwrap()
    };
    let began = beat();
    assert!(wait_until(LIMIT, || (beat() - began).num_seconds() >= seconds));
}

/// Passes bytes on to a server, and counts those of the server; connections can be cut.
struct Relay {
    address: std::net::SocketAddr,
    is_open: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(upstream: &url::Url) -> Self {
        let upstream = (
            upstream.host_str().unwrap().to_owned(),
            upstream.port().unwrap(),
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            is_open: Arc::new(AtomicBool::new(true)),
            bytes: Arc::default(),
            streams: Arc::default(),
        };
        let (is_open, bytes, streams) = (
            Arc::clone(&relay.is_open),
            Arc::clone(&relay.bytes),
            Arc::clone(&relay.streams),
        );
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect((upstream.0.as_str(), upstream.1)).unwrap();
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    let bytes = Arc::clone(&bytes);
                    thread::spawn(move || {
                        let mut chunk = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut chunk) {
                            bytes.fetch_add(count as u64, Ordering::SeqCst);
                            if to.write_all(&chunk[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                streams.lock().unwrap().extend([near, far]);
            }
        });
        relay
    }

    fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Ends all connections; new ones are passed on or not.
    fn cut(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_change_reaches_ftrack_without_a_schedule_and_by_the_same_rules() {
    let uids = ["ada", "bea", "cleo", "dora"];
    let (slapd, studio) = watched(&uids, "limits = { deactivate = 1 }\n");
    let daemon = started(&studio);
    for number in 0..3 {
        let name = format!("Name {number}");
        slapd.change(&is_called("ada", &name));
        let has_it = || studio.user("ada").last_name.as_deref() == Some(name.as_str());
        assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
    }
    let report = studio.reports().pop().unwrap();
    assert_eq!(report.trigger, Trigger::Watch);
    assert!(part(&report).is_some(), "{report:#?}");
    // Whoever is absent is asked for again, and one is within the limit.
    slapd.change(&leaves("bea"));
    assert!(wait_until(LIMIT, || !studio.user("bea").is_active));
    wait_for_idle(&studio);
    slapd.change(&format!("{}{}", leaves("cleo"), leaves("dora")));
    let is_held = |report: &Report| report.outcome == Outcome::Held;
    assert!(wait_until(LIMIT, || studio.reports().iter().any(is_held)));
    assert!(studio.user("cleo").is_active && studio.user("dora").is_active);
    let text = must(&studio, 0, &["status"]).stdout;
    assert!(text.contains("watching the directory since"), "{text}");
    assert_eq!(job(&studio)["watch"]["watching"], true);
    assert!(daemon.stop().0.success());
}

#[test]
fn what_changes_during_a_run_is_read_by_the_next() {
    let (slapd, studio) = watched(&["ada", "bea"], "");
    let daemon = started(&studio);
    studio.ftrack().forget();
    let gate = studio.hold(ftrack_ldap_sync::demo::ftrack::CallKind::Read);
    slapd.change(&is_called("ada", "First"));
    assert!(wait_until(LIMIT, || job(&studio)["phase"] == "running"));
    slapd.change(&is_called("bea", "Second"));
    gate.open();
    let has_it = || studio.user("bea").last_name.as_deref() == Some("Second");
    assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
    assert!(daemon.stop().0.success());
}

#[test]
fn a_lost_connection_is_made_again_and_what_was_missed_is_read() {
    let (slapd, mut studio) = watched(&["ada"], "");
    let relay = Relay::to(&slapd.url());
    studio.directory_url = relay.url();
    let daemon = started(&studio);
    // Nothing is on the wire while nothing changes, once the run that follows the beginning is over.
    let is_quiet = || {
        let before = relay.bytes.load(Ordering::SeqCst);
        seconds_pass(&studio, 3);
        relay.bytes.load(Ordering::SeqCst) == before
    };
    assert!(wait_until(LIMIT, is_quiet), "it is never quiet");
    relay.cut(false);
    daemon.event("watch.lost");
    assert!(wait_until(LIMIT, || job(&studio)["watch"]["watching"] == false));
    let text = must(&studio, 0, &["status"]).stdout;
    assert!(text.contains("not watching the directory since"), "{text}");
    slapd.change(&is_called("ada", "New"));
    relay.cut(true);
    daemon.nth_event(1, "watch.started");
    let has_it = || studio.user("ada").last_name.as_deref() == Some("New");
    assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
    assert_eq!(daemon.events("watch.lost").len(), 1);
    assert!(daemon.stop().0.success());
}

#[test]
fn a_paused_job_is_not_watched_and_a_reload_watches_anew() {
    let (slapd, studio) = watched(&["ada"], "");
    let daemon = started(&studio);
    must(&studio, 0, &["pause", "artists"]);
    assert!(wait_until(LIMIT, || job(&studio)["watch"]["error"]
        == "the job is paused"));
    slapd.change(&is_called("ada", "New"));
    seconds_pass(&studio, 2);
    assert_eq!(studio.user("ada").last_name.as_deref(), Some("ada"));
    must(&studio, 0, &["resume", "artists"]);
    let has_it = || studio.user("ada").last_name.as_deref() == Some("New");
    assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
    daemon.signal("HUP");
    daemon.event("config.reloaded");
    daemon.nth_event(2, "watch.started");
    wait_for_idle(&studio);
    slapd.change(&is_called("ada", "Newer"));
    let has_it = || studio.user("ada").last_name.as_deref() == Some("Newer");
    assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
    assert!(daemon.stop().0.success());
}

#[test]
fn refused_credentials_are_not_tried_again_by_a_watch() {
    let (slapd, mut studio) = watched(&["ada"], "");
    let relay = Relay::to(&slapd.url());
    studio.directory_url = relay.url();
    let daemon = started(&studio);
    slapd.change(&format!(
        "dn: {SYNC_DN}\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n\n"
    ));
    let binds = || slapd.logged(&format!("BIND dn=\"{SYNC_DN}\" method=128"));
    wait_for_idle(&studio);
    let before = binds();
    relay.cut(true);
    daemon.event("credentials.refused");
    assert_eq!(binds(), before + 1);
    seconds_pass(&studio, 4);
    assert_eq!(binds(), before + 1);
    assert!(wait_until(LIMIT, || {
        job(&studio)["watch"]["error"] == "directory studio refused the credentials"
    }));
    assert!(daemon.stop().0.success());
}

#[test]
fn a_server_that_says_nothing_by_itself_is_named_once() {
    let slapd = Setup::new(person("ada")).start();
    let studio = studio(slapd.url().as_str()).for_a_daemon(WATCHED);
    let daemon = Daemon::start(&studio);
    let event = daemon.event("watch.unavailable");
    let error = event["error"].as_str().unwrap();
    assert!(error.contains("load the overlay syncprov"), "{error}");
    let checked = studio.run(&["check"]).stdout;
    assert!(checked.contains("cannot be watched"), "{checked}");
    assert!(daemon.stop().0.success());
}

/// A real directory of another kind, where somebody joins and somebody gets another name.
fn is_watched(directory: &RealDirectory) {
    directory.join("ada");
    let mut situation = situation(directory);
    *situation = std::mem::replace(&mut *situation, Studio::empty())
        .end_to_end()
        .for_a_daemon(WATCHED);
    let daemon = started(&situation);
    directory.join("cyd");
    let has_cyd = || situation.ftrack().user("cyd").is_some();
    assert!(wait_until(LIMIT, has_cyd), "{:#?}", daemon.logged());
    wait_for_idle(&situation);
    directory.change(&format!(
        "dn: cn=ada,{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: New\n"
    ));
    let has_it = || situation.user("ada").last_name.as_deref() == Some("New");
    assert!(wait_until(LIMIT, has_it));
    assert!(daemon.stop().0.success());
}

#[test]
fn on_389_directory_server_a_persistent_search_is_kept() {
    if must_skip_as_root(
        "on_389_directory_server_a_persistent_search_is_kept",
        OF_389,
    ) {
        return;
    }
    is_watched(&RealDirectory::ds389());
}

#[test]
fn on_active_directory_the_number_of_the_last_change_is_asked_for() {
    if must_skip_as_root(
        "on_active_directory_the_number_of_the_last_change",
        OF_SAMBA,
    ) {
        return;
    }
    is_watched(&RealDirectory::samba());
}
