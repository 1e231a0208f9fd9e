//! What is told where no run begins, since a server refused the credentials; and what is not told, since
//! the person who typed the command saw it.

use ftrack_ldap_sync::demo::ftrack::Fault;

use super::{SIGNED, occasions, sync, told, web::WebSink};
use crate::{
    daemon::{Daemon, LIMIT, credentials, job, status},
    slapd::{self, wait_until},
    studio::{Studio, dn},
};

#[test]
fn a_password_refused_at_the_start_is_told_once_and_so_is_its_end() {
    let slapd = credentials::real_directory();
    let mut studio = Studio::empty().for_a_daemon("schedule = \"* * * * * *\"");
    studio.directory_url = slapd.url().to_string();
    studio.password = "wrong".into();
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, "", SIGNED);
    let daemon = Daemon::start(&studio);
    daemon.event("credentials.refused");
    let received = sink.received_when(1);
    assert_eq!(occasions(&received), [["failed"]]);
    let message = received[0].json();
    let error = message["error"].as_str().unwrap();
    assert!(
        error.starts_with("the run was not started: directory studio refused these credentials")
            && error.contains("invalidCredentials (49)")
            && error.contains("systemctl restart ftrack-ldap-sync"),
        "{error}"
    );
    let now = job(&studio);
    assert_eq!(now["phase"], "backing_off", "{now:#}");
    assert_eq!(now["next_run"], now["refused"]["next"], "{now:#}");
    let shown = studio.run(&["status"]).stdout;
    assert!(
        shown.contains("artists: no run is started: directory studio refused these credentials"),
        "{shown}"
    );
    let checked = studio.run(&["status", "--check"]);
    assert!(
        checked.status == 1
            && checked
                .stdout
                .contains("artists: no run is started before "),
        "{}",
        checked.stdout
    );
    // Another daemon knows that it is told, and the ticks of each second say nothing new.
    daemon.stop();
    let daemon = Daemon::start(&studio);
    daemon.event("credentials.refused");
    let beat = || status(&studio)["beat_at"].clone();
    let before = beat();
    assert!(wait_until(LIMIT, || beat() != before));
    studio.password = slapd::SYNC_PASSWORD.into();
    studio.config();
    assert_eq!(
        occasions(&sink.received_when(2)),
        [["failed"], ["recovered"]]
    );
    daemon.stop();
}

#[test]
fn a_plan_that_is_refused_is_no_failed_run() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, "", SIGNED);
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    assert_eq!(studio.run(&["plan", "--out", plan]).status, 0);
    sync(&studio, 0);
    let again = studio.run(&["apply", plan]);
    assert_eq!(again.status, 1, "{}{}", again.stdout, again.stderr);
    let shown = format!("{}{}", again.stdout, again.stderr);
    assert!(shown.contains("there is nothing left to do"), "{shown}");
    sync(&studio, 0);
    assert!(sink.received().is_empty(), "{:#?}", sink.received());
    assert_eq!(studio.run(&["apply", plan]).status, 1);
    let daemon = Daemon::start(&studio);
    assert_eq!(job(&studio)["last_run"]["outcome"], "succeeded");
    daemon.stop();
    // One that fails otherwise is told, and a refused plan does not end that.
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    sync(&studio, 1);
    studio.ftrack().heal();
    assert_eq!(studio.run(&["apply", plan]).status, 1);
    studio.tree().replace(&dn("ada"), "sn", &["King"]).unwrap();
    sync(&studio, 0);
    assert_eq!(
        occasions(&sink.received_when(2)),
        [["failed"], ["recovered"]]
    );
}
