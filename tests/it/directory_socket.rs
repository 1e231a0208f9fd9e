//! A directory at a socket of this machine: `ldapi://`, with a password or as the user of the
//! process.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "any other error fails the test, any other request ends the connection"
)]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{
    config::{Directory, Sasl},
    directory::{DirectoryError, DirectoryPool},
};
use futures_util::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec,
    proto::{LdapBindResponse, LdapMsg, LdapOp, LdapResult, LdapResultCode},
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};
use tokio_util::codec::Framed;

use crate::{
    check::world::World,
    directory::{people, read_all, request},
    slapd::{Over, PEER_IS_SYNC, SYNC_DN, Setup, Slapd, socket_url},
};

fn slapd(global: &str) -> Slapd {
    let mut setup = Setup::new(people(250));
    setup.global = global.into();
    setup.start()
}

#[tokio::test]
async fn a_directory_is_read_over_its_socket() {
    let slapd = slapd(PEER_IS_SYNC);
    let server = slapd.socket_url();
    for (directory, method) in [
        (slapd.directory(Over::Socket), "method=128"),
        (slapd.directory_by_peer(), "mech=EXTERNAL"),
    ] {
        let reading = read_all(&directory, &request()).await.unwrap();
        assert_eq!(
            (reading.entries().len(), reading.server()),
            (250, server.as_str())
        );
        assert!(slapd.logged(method) > 0, "{}", slapd.log());
    }
}

#[tokio::test]
async fn a_socket_without_a_server_is_an_error_with_its_file() {
    let slapd = slapd("");
    let folder = TempDir::new().unwrap();
    let stale = folder.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    for (file, reason) in [
        (stale, "Connection refused"),
        (folder.path().join("missing"), "No such file"),
    ] {
        let mut directory = slapd.directory(Over::Socket);
        directory.urls = vec![socket_url(&file)];
        let failure = read_all(&directory, &request()).await.unwrap_err();
        let text = failure.to_string();
        assert!(
            matches!(failure.error, DirectoryError::Connect { .. })
                && text.contains(&format!("cannot connect to {} ({reason}", file.display()))
                && text.contains("listens there"),
            "{text}"
        );
        // A server that is not there may be replaced.
        directory.urls.push(slapd.url());
        assert!(read_all(&directory, &request()).await.is_ok());
    }
}

/// What a server at a socket does with each connection.
#[derive(Debug, Clone, Copy)]
enum Conduct {
    Silence,
    Noise,
    Refusal,
}

/// A server at a socket that is none to be used.
struct Odd {
    folder: TempDir,
    binds: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Odd {
    fn start(conduct: Conduct) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("ldapi")).unwrap();
        let binds = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&binds);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(odd(stream, conduct, Arc::clone(&counted)));
            }
        });
        Self {
            folder,
            binds,
            accepting,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ldapi")
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn odd(stream: UnixStream, conduct: Conduct, binds: Arc<AtomicUsize>) {
    let mut framed = Framed::new(stream, LdapCodec::default());
    while let Some(Ok(LdapMsg { msgid, op, .. })) = framed.next().await {
        if !matches!(op, LdapOp::BindRequest(_)) {
            return;
        }
        binds.fetch_add(1, Ordering::SeqCst);
        match conduct {
            Conduct::Silence => {}
            Conduct::Noise => _ = framed.get_mut().write_all(b"220 mail ESMTP\r\n").await,
            Conduct::Refusal => {
                let res = LdapResult {
                    code: LdapResultCode::InvalidCredentials,
                    matcheddn: String::new(),
                    message: "nobody knows you".into(),
                    referral: Vec::new(),
                };
                let response = LdapBindResponse {
                    res,
                    saslcreds: None,
                };
                _ = framed
                    .send(LdapMsg::new(msgid, LdapOp::BindResponse(response)))
                    .await;
            }
        }
    }
}

/// A directory at this socket, with a certificate for servers elsewhere.
fn at(slapd: &Slapd, file: &Path) -> Directory {
    Directory {
        urls: vec![socket_url(file)],
        operation_timeout: Duration::from_secs(1),
        ..slapd.directory_by_peer()
    }
}

#[tokio::test]
async fn a_socket_is_bounded_like_a_port() {
    let slapd = slapd("");
    for (conduct, is_right) in [
        (
            Conduct::Silence,
            (|error| matches!(error, DirectoryError::TimedOut { .. }))
                as fn(&DirectoryError) -> bool,
        ),
        (Conduct::Noise, |error| {
            matches!(error, DirectoryError::Garbled { .. })
        }),
    ] {
        let server = Odd::start(conduct);
        let began = Instant::now();
        let failure = read_all(&at(&slapd, &server.file()), &request())
            .await
            .unwrap_err();
        assert!(is_right(&failure.error), "{conduct:?}: {failure:?}");
        assert!(began.elapsed() < Duration::from_secs(4), "{conduct:?}");
    }
}

#[tokio::test]
async fn a_refused_identity_is_tried_once_and_told_apart_from_others() {
    let slapd = slapd("");
    let server = Odd::start(Conduct::Refusal);
    let mut directory = at(&slapd, &server.file());
    directory.urls.push(slapd.socket_url());
    let failure = read_all(&directory, &request()).await.unwrap_err();
    let text = failure.to_string();
    let user = rustix::process::geteuid().as_raw();
    assert!(
        failure.error.is_refusal()
            && text.contains(&format!(
                "bind as this machine's user {user} (SASL EXTERNAL)"
            ))
            && text.contains("see which account the server has"),
        "{text}"
    );
    assert_eq!(server.binds.load(Ordering::SeqCst), 1);
    assert_eq!(slapd.logged("BIND "), 0, "tried elsewhere");
    let mut marks = Vec::new();
    for directory in [
        directory,
        Directory {
            sasl: None,
            ..at(&slapd, &server.file())
        },
        slapd.directory_by_certificate(Over::Tls),
        self::slapd("").directory_by_certificate(Over::Tls),
        Directory {
            urls: vec![slapd.tls_url()],
            sasl: Some(Sasl::External),
            ..slapd.directory_by_certificate(Over::Tls)
        },
    ] {
        let pool = DirectoryPool::new("studio", &directory).unwrap();
        let mark = pool.credential_mark("salt").await.unwrap();
        marks.push(mark.split('-').next().unwrap().to_owned());
    }
    let [peer, anonymous, one, other, again] = marks.as_slice() else {
        panic!("{marks:?}")
    };
    assert_eq!(one, again, "the same certificate");
    // It is part of a job's settings: whom the account sees may be others.
    let accounts = [
        at(&slapd, &server.file()).account(),
        slapd.directory_by_certificate(Over::Tls).account(),
        slapd.directory(Over::Socket).account(),
    ];
    assert!(
        accounts.iter().all(Option::is_some)
            && accounts[0] != accounts[1]
            && accounts[2].as_deref() == Some(SYNC_DN),
        "{accounts:?}"
    );
    let different = [peer, anonymous, one, other];
    let distinct = std::collections::BTreeSet::from(different);
    assert_eq!(distinct.len(), different.len(), "{marks:?}");
}

#[test]
fn check_says_as_whom_it_has_entered() {
    for (global, identity) in [
        (
            PEER_IS_SYNC,
            "dn:cn=ldap-sync,ou=services,dc=studio,dc=test".to_owned(),
        ),
        ("", {
            let (group, user) = (rustix::process::getegid(), rustix::process::geteuid());
            format!(
                "dn:gidNumber={}+uidNumber={},cn=peercred,cn=external,cn=auth",
                group.as_raw(),
                user.as_raw()
            )
        }),
    ] {
        let slapd = slapd(global);
        let url = slapd.socket_url();
        let mut world = World::at(url.as_str());
        world.bind = "sasl = \"external\"".into();
        let checked = world.check(&[]);
        let found: Vec<(&str, &str)> = checked
            .findings
            .iter()
            .filter(|finding| finding.about == format!("directory studio {url}"))
            .map(|finding| (finding.check.as_str(), finding.detail.as_str()))
            .collect();
        let file = url.host_str().unwrap().replace("%2F", "/");
        let user = rustix::process::geteuid().as_raw();
        let socket = format!("{file} accepts connections");
        let bind = format!(
            "a bind as this machine's user {user} (SASL EXTERNAL) is accepted; \
             the server knows it as {identity}"
        );
        assert_eq!(
            found[..2],
            [("socket", socket.as_str()), ("bind", bind.as_str())],
            "{found:#?}"
        );
    }
}
