//! Servers that stop answering: the check ends all the same, and reports where.

use std::{
    net::TcpListener,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use ftrack_ldap_sync::{
    command::check::{directory, finding::Finding, ftrack, offline},
    config::{self, Config, Environment},
    demo::ftrack::Fault,
};

use super::{
    slapd,
    world::{Ended, World, bare},
};

#[test]
fn servers_that_stall_end_the_check_by_its_time_limits() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.urls = vec![bare(&slapd.url()), bare(&slapd.tls_url())];
    world.directory_settings += "\nconnect_timeout = \"1s\"\noperation_timeout = \"1s\"";
    world.ftrack_settings = "request_timeout = \"1s\"".into();
    world.studio().fail_when(|_| Some(Fault::StallBefore));
    slapd.signal("STOP");
    let start = Instant::now();
    let checked = world.check(&[]);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    let trouble = checked.trouble();
    let [bind, tls, ftrack] = trouble.as_slice() else {
        panic!("{trouble:#?}")
    };
    let way_out = "check the load of the server and the network to it; a slow server \
                   needs a longer connect_timeout or operation_timeout";
    assert!(
        bind.starts_with("fail bind about ")
            && bind.ends_with(&format!(": the bind took longer than 1s; {way_out}")),
        "{bind}"
    );
    assert!(
        tls.starts_with("fail tls about ")
            && tls.ends_with(&format!(
                ": the TLS handshake took longer than 1s; {way_out}"
            )),
        "{tls}"
    );
    assert!(
        ftrack.starts_with("fail connection about ")
            && ftrack.contains("failed 2 times: no complete answer within 1s"),
        "{ftrack}"
    );
    assert_eq!(checked.status, 1);
}

#[test]
fn a_check_stops_when_it_is_told_to() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::at(format!("ldap://{}", silent.local_addr().unwrap()));
    world.directory_settings = "operation_timeout = \"1h\"".into();
    let start = Instant::now();
    let program = world.start(&[]);
    let _connection = silent.accept().unwrap();
    let status = Command::new("kill")
        .args(["-TERM", &program.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let ended = Ended::of(program);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    assert!(
        ended
            .stderr
            .contains("stopped on request; the check is incomplete"),
        "{}",
        ended.stderr
    );
}

/// The configuration of a world, which is patient without end.
fn patient(world: &World) -> Config {
    config::load(&world.config(), &Environment::default()).unwrap()
}

fn last(findings: &[Finding]) -> (&str, &str) {
    let last = findings.last().unwrap();
    (last.check, &last.detail)
}

#[test]
fn a_look_is_cut_off_whatever_patience_is_configured() {
    const LIMIT: Duration = Duration::from_millis(300);
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.directory_settings += "\nconnect_timeout = \"1h\"\noperation_timeout = \"1h\"";
    world.ftrack_settings = "request_timeout = \"1h\"".into();
    world.studio().fail_when(|_| Some(Fault::StallBefore));
    slapd.signal("STOP");
    let config = Arc::new(patient(&world));
    world.runtime().block_on(async {
        let (_, compiled) = offline::compile(&config, Utc::now());
        let compiled = compiled.unwrap();
        let jobs: Vec<_> = compiled.ldap_jobs().collect();
        let studio = directory::look(
            &config.directories["studio"],
            compiled.servers.directory("studio").unwrap(),
            &jobs,
            directory::Limits {
                server: LIMIT,
                read: LIMIT,
            },
        )
        .await;
        assert_eq!(
            last(&studio),
            (
                "time",
                "checking this server took longer than 300ms, and was stopped"
            )
        );
        assert_eq!(studio[0].check, "name", "what was seen before is told");
        let ftrack = ftrack::look(&config.ftrack, &compiled, LIMIT).await;
        assert_eq!(
            last(&ftrack),
            (
                "time",
                "checking ftrack took longer than 300ms, and was stopped"
            )
        );
    });
}
