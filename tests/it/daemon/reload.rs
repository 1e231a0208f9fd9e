//! SIGHUP: a changed configuration is used for the next run, an invalid one is not.

use std::fs;

use ftrack_ldap_sync::demo::ftrack::CallKind;

use super::{Daemon, LIMIT, job, status};
use crate::{
    slapd::wait_until,
    studio::{Studio, person},
};

#[test]
fn a_changed_configuration_is_used_for_the_next_run() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    studio.job = "schedule = \"* * * * * *\"\ntimezone = \"Europe/Stockholm\"".into();
    studio.config();
    daemon.signal("HUP");
    assert_eq!(daemon.event("config.reloaded")["restart_for"], "");
    assert!(daemon.notified(|line| line == "RELOADING=1").is_some());
    studio.reports_when(1);
    assert_eq!(job(&studio)["timezone"], "Europe/Stockholm");
    // What a restart alone can change is said.
    studio.top += "parallel_runs = 3\n[http]\nlisten = \"127.0.0.1:1\"\n";
    studio.config();
    daemon.signal("HUP");
    assert_eq!(
        daemon.nth_event(1, "config.reloaded")["restart_for"],
        "http.listen"
    );
    assert_eq!(status(&studio)["config"]["restart_for"][0], "http.listen");
}

#[test]
fn a_broken_configuration_leaves_everything_as_it_was() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * * *\"");
    let daemon = Daemon::start(&studio);
    studio.reports_when(1);
    let path = studio.folder().join("config.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("[ftrack]", "[ftrack]\ncolour = 1")).unwrap();
    daemon.signal("HUP");
    let refused = daemon.event("config.refused");
    assert!(
        refused["error"].as_str().unwrap().contains("colour"),
        "{refused:#?}"
    );
    // `status` itself needs a configuration that it can read.
    fs::write(&path, good).unwrap();
    let shown = status(&studio);
    assert_eq!(shown["config"]["reload_failures"], 1);
    assert!(
        shown["config"]["error"]
            .as_str()
            .unwrap()
            .contains("colour")
    );
    let before = studio.reports().len();
    studio.reports_when(before + 1);
    daemon.signal("HUP");
    daemon.event("config.reloaded");
    assert_eq!(status(&studio)["config"]["error"], serde_json::Value::Null);
}

#[test]
fn a_reload_during_a_run_lets_it_go_on_with_what_it_began_with() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * * *\"");
    let gate = studio.hold_when(|call| call.kind == CallKind::Write && call.number_of_kind == 1);
    let daemon = Daemon::start(&studio);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    studio.job = "schedule = \"* * * * * *\"\nusers.create = false".into();
    studio.config();
    daemon.signal("HUP");
    daemon.event("config.reloaded");
    gate.open();
    let reports = studio.reports_when(1);
    assert_eq!(reports[0].counts.created, 1, "{:#?}", reports[0]);
    studio.tree().add(person("bob", "Given", "bob")).unwrap();
    let before = studio.reports().len();
    studio.reports_when(before + 2);
    assert!(
        studio.ftrack().user("bob").is_none(),
        "the new configuration creates nobody"
    );
}

#[test]
fn a_job_that_is_gone_runs_no_more_and_a_new_one_does() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    studio.job = "schedule = \"@yearly\"\n[jobs.others]\nschedule = \"* * * * * *\"\nsearch_bases \
                  = [\"ou=none,dc=studio,dc=test\"]\nfilter = \"(uid=*)\"\nattributes = { \
                  username = \"uid\" }"
        .into();
    studio.config();
    daemon.signal("HUP");
    assert!(wait_until(LIMIT, || studio
        .reports()
        .iter()
        .any(|report| report.job == "others")));
    studio.job = "schedule = \"@yearly\"".into();
    studio.config();
    daemon.signal("HUP");
    daemon.nth_event(1, "config.reloaded");
    let jobs = status(&studio)["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs:#}");
}
