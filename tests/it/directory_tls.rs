//! TLS to a directory: only a trusted, valid certificate for this host is accepted, and each fault
//! has its own error.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other error fails the test"
)]

use ftrack_ldap_sync::{
    config::Directory,
    directory::{DirectoryError, DirectoryPool},
    tls::TlsFault,
};

use crate::{
    check::world::World,
    directory::{people, read_all, request},
    slapd::{Certificate, Over, Setup},
};

async fn tls_fault(directory: &Directory) -> TlsFault {
    match read_all(directory, &request()).await.unwrap_err().error {
        DirectoryError::Tls { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn faults_of_tls_are_told_apart() {
    let good = Setup::new("").start();
    let wrong_host = Setup::new("").certificate(Certificate::WrongHost).start();
    let expired = Setup::new("").certificate(Certificate::Expired).start();
    for over in [Over::StartTls, Over::Tls] {
        let untrusted = Directory {
            ca_file: Some(expired.ca_file()),
            ..good.directory(over)
        };
        assert!(matches!(
            tls_fault(&untrusted).await,
            TlsFault::UntrustedIssuer { .. }
        ));
        let system = Directory {
            ca_file: None,
            ..good.directory(over)
        };
        assert!(matches!(
            tls_fault(&system).await,
            TlsFault::UntrustedIssuer { .. }
        ));
        let fault = tls_fault(&wrong_host.directory(over)).await;
        assert!(
            matches!(&fault, TlsFault::WrongHost { expected, presented } if expected == "127.0.0.1" && presented[0].contains("elsewhere.test")),
            "{fault:?}"
        );
        assert_eq!(tls_fault(&expired.directory(over)).await, TlsFault::Expired);
    }
    let mut plain_port = good.directory(Over::Tls);
    plain_port.urls = vec![
        good.url()
            .as_str()
            .replace("ldap:", "ldaps:")
            .parse()
            .unwrap(),
    ];
    let fault = tls_fault(&plain_port).await;
    assert!(matches!(fault, TlsFault::NotTls { .. }), "{fault:?}");
    let mut tls_port = good.directory(Over::Plain);
    tls_port.urls = vec![
        good.tls_url()
            .as_str()
            .replace("ldaps:", "ldap:")
            .parse()
            .unwrap(),
    ];
    let failure = read_all(&tls_port, &request()).await.unwrap_err();
    assert!(
        matches!(
            failure.error,
            DirectoryError::Lost { .. } | DirectoryError::Garbled { .. }
        ),
        "{failure:?}"
    );
}

#[tokio::test]
async fn certificate_files_must_hold_certificates() {
    let slapd = Setup::new("").start();
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty, folder.path().join("missing.pem")] {
        let error = DirectoryPool::new(
            "studio",
            &Directory {
                ca_file: Some(file.clone()),
                ..slapd.directory(Over::Tls)
            },
        )
        .unwrap_err();
        assert!(
            matches!(error, DirectoryError::File { .. })
                && error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
    }
    let half = Directory {
        client_key_file: None,
        ..slapd.directory_by_certificate(Over::Tls)
    };
    assert!(matches!(
        DirectoryPool::new("studio", &half).unwrap_err(),
        DirectoryError::Settings { .. }
    ));
}

#[tokio::test]
async fn a_server_may_demand_a_client_certificate() {
    let mut setup = Setup::new(people(3));
    setup.global = "TLSVerifyClient demand".into();
    let slapd = setup.start();
    for over in [Over::StartTls, Over::Tls] {
        let failure = read_all(&slapd.directory(over), &request())
            .await
            .unwrap_err();
        // With an alert or, as slapd of Debian 12 does, without a word.
        let is_told = matches!(
            &failure.error,
            DirectoryError::Tls {
                fault: TlsFault::ClientCertificate { .. },
                ..
            } | DirectoryError::Lost { .. }
        );
        assert!(
            is_told && failure.to_string().contains("client certificate"),
            "{failure}"
        );
        let with_certificate = Directory {
            bind_dn: None,
            ..slapd.directory_by_certificate(over)
        };
        assert_eq!(
            read_all(&with_certificate, &request())
                .await
                .unwrap()
                .entries()
                .len(),
            3
        );
    }
}

/// The plan of a world whose directory is bound to in this way.
fn plan(world: &mut World, bind: String) -> String {
    world.bind = bind;
    let ended = world.command(&["plan"]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[test]
fn a_certificate_counts_by_its_subject() {
    let slapd = Setup::new(people(3)).start();
    let mut world = World::over(&slapd);
    world.job = "limits = { deactivate = \"100%\" }".into();
    let first = slapd.bind_by_certificate("ldap-sync", "first");
    world.bind.clone_from(&first);
    let ended = world.command(&["sync"]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    slapd.change("dn: uid=person0001,ou=people,dc=studio,dc=test\nchangetype: delete\n");
    let as_ever = plan(&mut world, first.clone());
    assert!(
        as_ever.contains("Plan for artists: 1 to deactivate\n"),
        "{as_ever}"
    );
    // Renewed in its file, or in another one.
    for file in ["first", "renewed"] {
        let renewed = slapd.bind_by_certificate("ldap-sync", file);
        assert_eq!(plan(&mut world, renewed), as_ever);
    }
    // That of another account, in another file or in the same one.
    for file in ["other", "first"] {
        let other = slapd.bind_by_certificate("ldap-other", file);
        let plan = plan(&mut world, other);
        let held = "1 change is held: the configuration changed (bind account of the directory)";
        assert!(plan.contains(held), "{plan}");
    }
}
