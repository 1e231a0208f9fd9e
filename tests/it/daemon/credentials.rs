//! Refused credentials are not tried for a while, by any job and over restarts; changed ones are
//! picked up from their file.

use std::{fs, time::Duration};

use ftrack_ldap_sync::{demo::ftrack::Fault, model::report::FailureKind};

use super::{Daemon, LIMIT, job, must, status, wait_for_phase};
use crate::{
    slapd::{self, PEOPLE, Setup, Slapd, ldif_entry, wait_until},
    studio::Studio,
};

const EACH_SECOND: &str = "schedule = \"* * * * * *\"\nretry = { initial = \"1s\", max = \"1s\" }";

/// A slapd with one person.
pub fn real_directory() -> Slapd {
    let dn = format!("uid=ada,{PEOPLE}");
    let person = [
        ("objectClass", "inetOrgPerson"),
        ("uid", "ada"),
        ("cn", "Ada"),
        ("sn", "Byron"),
        ("mail", "ada@studio.test"),
    ];
    Setup::new(ldif_entry(&dn, &person)).start()
}

fn studio(slapd: &Slapd) -> Studio {
    let mut studio = Studio::empty().for_a_daemon(EACH_SECOND);
    studio.directory_url = slapd.url().to_string();
    studio
}

/// The text that the server logs at a bind with a password.
pub fn bind() -> String {
    format!("BIND dn=\"{}\" method=128", slapd::SYNC_DN)
}

/// How many binds the server has seen.
fn binds(slapd: &Slapd) -> usize {
    slapd.logged(&bind())
}

#[test]
fn a_refused_bind_is_one_bind_whoever_asks_and_however_often_it_restarts() {
    let slapd = real_directory();
    let mut studio = studio(&slapd);
    studio.password = "wrong".into();
    let daemon = Daemon::start(&studio);
    let refused = daemon.event("credentials.refused");
    assert_eq!(refused["server"], "directory studio");
    // Ticks each second, retries each second: none of them binds.
    wait_for_phase(&studio, "backing_off");
    for _ in 0..3 {
        let told = must(&studio, 1, &["trigger", "artists"]).stderr;
        assert!(
            told.contains("refused these credentials") && told.contains("tried again at"),
            "{told}"
        );
    }
    daemon.signal("USR1");
    daemon.event("trigger.refused");
    daemon.kill();
    for _ in 0..3 {
        let daemon = Daemon::start(&studio);
        let contacts = || status(&studio)["contacts"].clone();
        let decided = || {
            contacts()[1]["error"]
                .as_str()
                .is_some_and(|error| error.contains("refused"))
        };
        assert!(wait_until(LIMIT, decided), "{:#}", contacts());
        daemon.stop();
    }

    assert_eq!(binds(&slapd), 1, "{}", slapd.log());

    // The right password, in the same file: no waiting any more, and no reload.
    let daemon = Daemon::start(&studio);
    studio.password = slapd::SYNC_PASSWORD.into();
    studio.config();
    assert!(
        wait_until(LIMIT, || studio.ftrack().user("ada").is_some()),
        "{:#?}",
        daemon.logged()
    );
    assert!(wait_until(LIMIT, || job(&studio)["phase"] != "backing_off"));
}

#[test]
fn an_account_that_two_directories_name_is_tried_once() {
    let slapd = real_directory();
    let mut studio = studio(&slapd);
    studio.password = "wrong".into();
    studio.job = format!(
        "{EACH_SECOND}\n[directories.twin]\nurls = [{:?}]\nbind_dn = {:?}\nbind_password_file = \
         \"ldap-password\"\n[jobs.others]\ndirectory = \"twin\"\nschedule = \"* * * * * \
         *\"\nsearch_bases = [{PEOPLE:?}]\nfilter = \"(uid=*)\"\nattributes = {{ username = \
         \"uid\" }}",
        slapd.url().as_str(),
        slapd::SYNC_DN
    );
    let daemon = Daemon::start(&studio);
    daemon.event("credentials.refused");
    let told = || {
        status(&studio)["contacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|contact| contact["error"].is_string())
            .count()
    };
    assert!(wait_until(LIMIT, || told() == 2), "{:#}", status(&studio));
    must(&studio, 1, &["trigger", "others"]);
    assert_eq!(binds(&slapd), 1, "{}", slapd.log());
}

#[test]
fn a_server_is_reached_at_once_when_its_password_was_put_right() {
    let slapd = real_directory();
    let mut studio = studio(&slapd);
    studio.job = "schedule = \"@yearly\"".into();
    studio.password = "wrong".into();
    let daemon = Daemon::start(&studio);
    daemon.event("credentials.refused");
    // Neither a run nor a reload is needed to see it.
    studio.password = slapd::SYNC_PASSWORD.into();
    studio.config();
    let reached = || status(&studio)["contacts"][1]["since"].is_string();
    assert!(wait_until(LIMIT, reached), "{:#}", status(&studio));
    assert_eq!(binds(&slapd), 2, "{}", slapd.log());
}

#[test]
fn a_password_that_changes_is_used_at_the_next_bind() {
    let slapd = real_directory();
    let mut studio = studio(&slapd);
    let daemon = Daemon::start(&studio);
    studio.reports_when(1);
    slapd.change(&format!(
        "dn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: another-secret\n",
        slapd::SYNC_DN
    ));
    studio.password = "another-secret".into();
    studio.config();
    let before = studio.reports().len();
    let reports = studio.reports_when(before + 3);
    assert!(
        reports
            .iter()
            .skip(before + 1)
            .all(|report| report.error.is_none()),
        "{reports:#?}"
    );
    assert_eq!(daemon.events("credentials.refused").len(), 0);
}

#[test]
fn an_empty_password_file_is_no_anonymous_bind() {
    let slapd = real_directory();
    let mut studio = studio(&slapd);
    studio.job = "schedule = \"* * * * * *\"\nretry.initial = \"1h\"".into();
    let daemon = Daemon::start(&studio);
    studio.reports_when(1);
    fs::write(studio.folder().join("ldap-password"), "").unwrap();
    let outage = daemon.event("outage.began");
    assert!(
        outage["error"].as_str().unwrap().contains("ldap-password"),
        "{outage:#?}"
    );
    assert_eq!(slapd.logged("BIND dn=\"\" method=128"), 0);
}

#[test]
fn a_refused_key_is_left_alone_too() {
    let studio = Studio::of(&["ada"]).for_a_daemon(EACH_SECOND);
    studio.ftrack().fail_when(|_| Some(Fault::KeyRefused));
    let daemon = Daemon::start(&studio);
    let refused = daemon.event("credentials.refused");
    assert_eq!(refused["server"], "ftrack");
    wait_for_phase(&studio, "backing_off");
    let calls = studio.ftrack().counters();
    // Two seconds and more of ticks and retries.
    let beats = || status(&studio)["beat_at"].clone();
    let before = beats();
    let mut seen = std::collections::BTreeSet::from([before.to_string()]);
    assert!(wait_until(LIMIT, || {
        seen.insert(beats().to_string());
        seen.len() > 4
    }));
    assert_eq!(studio.ftrack().counters(), calls);
    assert!(
        studio
            .reports()
            .iter()
            .all(|report| report.error_kind == Some(FailureKind::FtrackRefused))
    );
    let (_, took) = daemon.stop();
    assert!(took < Duration::from_secs(10));
}

#[test]
fn a_proxy_that_asks_for_a_login_bars_no_account() {
    let studio = Studio::of(&["ada"]).for_a_daemon(EACH_SECOND);
    studio.ftrack().fail_when(|_| Some(Fault::Html(401)));
    let daemon = Daemon::start(&studio);
    let outage = daemon.event("outage.began");
    assert_eq!(outage["kind"], "ftrack", "{outage:#?}");
    studio.ftrack().heal();
    assert!(
        wait_until(LIMIT, || studio.ftrack().user("ada").is_some()),
        "{:#?}",
        daemon.logged()
    );
    assert_eq!(daemon.events("credentials.refused").len(), 0);
}

#[test]
fn a_bind_in_the_foreground_that_worked_ends_the_waiting_of_the_daemon() {
    let slapd = real_directory();
    let set_password = |password: &str| {
        slapd.change(&format!(
            "dn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n",
            slapd::SYNC_DN
        ));
    };
    let mut studio = studio(&slapd);
    studio.job = "schedule = \"@yearly\"".into();
    for command in ["check", "plan", "sync"] {
        set_password("another-secret");
        let daemon = Daemon::start(&studio);
        daemon.event("credentials.refused");
        assert_eq!(studio.run(&[command]).status, 1, "{command}");
        let contact = || status(&studio)["contacts"][1].clone();
        assert!(contact()["since"].is_null(), "{:#}", contact());
        // The account is right again, as after it was unlocked; what is tried is the same.
        set_password(slapd::SYNC_PASSWORD);
        assert_eq!(studio.run(&[command]).status, 0, "{command}");
        let reached = || contact()["since"].is_string();
        assert!(wait_until(LIMIT, reached), "{command}: {:#}", contact());
        daemon.stop();
    }
}

#[test]
fn a_server_that_wants_tls_has_refused_nothing_and_is_reached_once_the_address_is_right() {
    let dn = format!("uid=ada,{PEOPLE}");
    let person = [
        ("objectClass", "inetOrgPerson"),
        ("uid", "ada"),
        ("cn", "Ada"),
        ("sn", "Byron"),
    ];
    let mut setup = Setup::new(ldif_entry(&dn, &person));
    setup.global = "security simple_bind=128".into();
    let slapd = setup.start();
    let mut studio = studio(&slapd);
    studio.job = "schedule = \"@yearly\"\nretry = { initial = \"1h\", max = \"1h\" }".into();
    let daemon = Daemon::start_with(&studio, |daemon| {
        daemon.env(
            "FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__CA_FILE",
            slapd.ca_file(),
        );
    });
    let told = must(&studio, 1, &["trigger", "artists"]).stdout;
    assert!(
        told.contains("confidentialityRequired (13)") && told.contains("use ldaps://"),
        "{told}"
    );
    wait_for_phase(&studio, "backing_off");
    assert_eq!(daemon.events("credentials.refused").len(), 0);
    studio.directory_url = slapd.tls_url().to_string();
    studio.config();
    daemon.signal("HUP");
    assert!(
        wait_until(LIMIT, || studio.ftrack().user("ada").is_some()),
        "{:#?}",
        daemon.logged()
    );
}
