//! Faults of the configuration: found without contacting anybody, with exit status 2.

use std::{io::ErrorKind, net::TcpListener};

use super::world::World;

/// A world whose servers are two listeners, and what tells whether anybody knocked at them.
fn listening() -> (World, impl Fn() -> bool) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
    }
    let [ldap, http] =
        [&listeners[0], &listeners[1]].map(|listener| listener.local_addr().unwrap());
    let mut world = World::at(format!("ldap://{ldap}"));
    world.server = format!("http://{http}");
    let is_contacted = move || {
        listeners
            .iter()
            .any(|listener| !matches!(listener.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock))
    };
    (world, is_contacted)
}

#[test]
fn offline_contacts_nobody_and_tells_the_next_runs() {
    let (mut world, is_contacted) = listening();
    world.job = "schedule = \"0 3 * * *\"\ntimezone = \
                 \"Asia/Tokyo\"\n[jobs.on-request]\nsearch_bases = [\"dc=other\"]\nfilter = \
                 \"(uid=*)\"\nattributes = { username = \"uid\" }"
        .into();
    let checked = world.check(&["--offline"]);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let schedules: Vec<&str> = checked
        .findings
        .iter()
        .filter(|finding| finding.check == "schedule")
        .map(|finding| finding.detail.as_str())
        .collect();
    let [daily, none] = schedules.as_slice() else {
        panic!("{schedules:?}")
    };
    assert_eq!(*none, "no schedule; the job runs only on request");
    let runs: Vec<&str> = daily
        .strip_prefix("0 3 * * * in Asia/Tokyo: ")
        .and_then(|runs| runs.strip_suffix(" JST"))
        .unwrap()
        .split(", ")
        .collect();
    assert_eq!(runs.len(), 5);
    assert!(
        runs.is_sorted() && runs.iter().all(|run| run.ends_with(" 03:00:00")),
        "{runs:?}"
    );
    assert!(!is_contacted());
}

#[test]
fn an_unknown_zone_is_refused() {
    let (mut world, is_contacted) = listening();
    world.job = "schedule = \"0 3 * * *\"\ntimezone = \"Europe/Stokholm\"".into();
    for arguments in [&[][..], &["--offline"]] {
        let ended = world.run(arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""));
        let error: serde_json::Value = serde_json::from_str(ended.stderr.trim()).unwrap();
        let message = r#": jobs.artists.timezone: "Europe/Stokholm" is not an IANA time zone such as "Europe/Stockholm"; did you mean "Europe/Stockholm"?"#;
        assert!(
            error["error"].as_str().unwrap().ends_with(message),
            "{error}"
        );
    }
    assert!(!is_contacted());
}

#[test]
fn zones_are_known_on_a_system_that_has_none() {
    let (mut world, _) = listening();
    let folder = tempfile::tempdir().unwrap();
    world.environment = vec![
        ("TZDIR", folder.path().into()),
        ("TZ", folder.path().join("missing")),
    ];
    world.job = "schedule = \"0 3 * * *\"\ntimezone = \"Asia/Tokyo\"".into();
    let checked = world.check(&["--offline"]);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let schedule = checked
        .findings
        .iter()
        .find(|finding| finding.check == "schedule")
        .unwrap();
    assert_eq!(
        schedule.detail.matches(" 03:00:00").count(),
        5,
        "{}",
        schedule.detail
    );
}

#[test]
fn a_malformed_filter_is_named_before_anybody_is_contacted() {
    let (mut world, is_contacted) = listening();
    world.filter = "(uid=a".into();
    for arguments in [&[][..], &["--offline"]] {
        let ended = world.run(arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""));
        assert!(
            ended.stderr.contains("jobs.artists.filter")
                && ended
                    .stderr
                    .contains("the parenthesis at character 1 is not closed"),
            "{}",
            ended.stderr
        );
    }
    assert!(!is_contacted());
}

#[test]
fn a_template_that_can_fit_nobody_is_found_and_nobody_is_contacted() {
    let (mut world, is_contacted) = listening();
    world.attributes = r#"{ username = "{{ uid | lowre }}", email = "{{ mail }}" }"#.into();
    for arguments in [&[][..], &["--offline"]] {
        let ended = world.run(arguments);
        assert_eq!(ended.status, 2);
        for words in [
            "jobs.artists.attributes.username: ",
            "fails for every entry: filter lowre is unknown; did you mean",
        ] {
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
        }
    }
    world.attributes = r#"{ username = "uid", first_name = "{{ given_name }}" }"#.into();
    for arguments in [&[][..], &["--offline"]] {
        let checked = world.check(arguments);
        assert_eq!(checked.status, 2);
        assert_eq!(
            checked.trouble(),
            [
                "fail template about job artists: attributes: a template reads given_name, which \
                 is not a valid LDAP attribute name (RFC 4512); write the LDAP attribute's name, \
                 such as givenName",
            ]
        );
    }
    assert!(!is_contacted());
}

#[test]
fn a_ca_file_whose_certificate_is_none_is_named() {
    let (mut world, is_contacted) = listening();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    world.directory_settings = format!("ca_file = {file:?}");
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 2);
    assert!(
        trouble.starts_with(&format!(
            "fail directory about configuration: the CA file {} cannot be used: ",
            file.display()
        )) && trouble.ends_with("; name another file, or fix this one"),
        "{trouble}"
    );
    world.directory_settings = String::new();
    world.ftrack_settings = format!("ca_file = {file:?}");
    let (trouble, status) = world.check(&["--offline"]).only_trouble();
    let way_out = format!(
        "; check that ftrack.ca_file {} contains complete certificates",
        file.display()
    );
    assert!(
        status == 2
            && trouble
                .starts_with("fail ftrack about configuration: preparing the connection failed: ")
            && trouble.ends_with(&way_out),
        "{trouble}"
    );
    assert!(!is_contacted());
}
