//! Each way to enter a directory, by options; what is written passes `check`, without the servers and
//! with them.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    check::world::World,
    directory::people,
    slapd::{PEER_IS_SYNC, PEOPLE, SYNC_DN, Setup},
};

/// Has `init` write a configuration of these options for the world's ftrack; what `check` says of the bind
/// with it.
pub fn bind_of(mut world: World, server: &str, options: &[&str]) -> String {
    let key = world.config().with_file_name("ftrack-api-key");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new.toml");
    let of_world = [
        "init",
        "--server",
        server,
        "--base",
        PEOPLE,
        "--ftrack",
        &world.server,
        "--api-user",
        "ldap-sync",
        "--api-key-file",
        key.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    let ended = world.command(&[&of_world, options].concat());
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    // No file for a secret is written that nobody needs.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    world.whole = Some(fs::read_to_string(&out).unwrap());
    let offline = world.check(&["--offline"]);
    assert_eq!((offline.status, offline.trouble()), (0, Vec::new()));
    let checked = world.check(&[]);
    assert_eq!(checked.status, 0, "{:#?}", checked.trouble());
    let mut findings = checked.findings.into_iter();
    let bind = findings.find(|finding| finding.check == "bind").unwrap();
    assert_eq!(bind.result, "ok", "{bind:?}");
    bind.detail
}

#[test]
fn as_the_account_of_a_client_certificate() {
    let slapd = Setup::new(people(3)).start();
    let ca = slapd.ca_file();
    let lines = slapd.bind_by_certificate("ldap-sync", "of-init");
    let file = |ending: &str| {
        let file = ca.with_file_name(format!("of-init.{ending}"));
        assert!(lines.contains(file.to_str().unwrap()), "{lines}");
        file.display().to_string()
    };
    let (certificate, key) = (file("pem"), file("key"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // Also where the certificate is only shown after StartTLS.
    for url in [slapd.tls_url(), slapd.url()] {
        let bind = bind_of(
            World::over(&slapd),
            url.as_str(),
            &[
                "--ca-file",
                ca.to_str().unwrap(),
                "--client-cert-file",
                &certificate,
                "--client-key-file",
                &key,
            ],
        );
        assert!(
            bind.contains("the client certificate") && bind.ends_with(&format!("dn:{SYNC_DN}")),
            "{url}: {bind}"
        );
    }
}

#[test]
fn as_the_programs_user_on_a_socket() {
    let mut setup = Setup::new(people(3));
    setup.global += PEER_IS_SYNC;
    let slapd = setup.start();
    let url = slapd.socket_url();
    let bind = bind_of(World::over(&slapd), url.as_str(), &["--bind", "external"]);
    assert!(
        bind.starts_with("a bind as this machine's user ")
            && bind.ends_with(&format!("dn:{SYNC_DN}")),
        "{bind}"
    );
}

#[test]
fn as_nobody() {
    let slapd = Setup::new(people(3))
        .access("access to attrs=userPassword by anonymous auth by * none")
        .access("access to * by * read")
        .start();
    let bind = bind_of(
        World::over(&slapd),
        slapd.tls_url().as_str(),
        &[
            "--bind",
            "anonymous",
            "--ca-file",
            slapd.ca_file().to_str().unwrap(),
        ],
    );
    assert_eq!(bind, "an anonymous bind is accepted");
}
