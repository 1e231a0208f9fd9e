//! Trusted certificates of the client: the studio's own authority, and the name in the address.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    thread,
};

use ftrack_ldap_sync::ftrack::{
    error::{ConnectErrorKind, FtrackErrorKind, WriteFailure},
    operation::Operation,
    query,
    session::{CallCounts, Session},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::scripted::{config, until};

const ANSWER: &str = "[{\"action\":\"query\",\"data\":[],\"metadata\":{}}]";

/// An authority with its certificate in a file, and a server on loopback whose certificate is for
/// `name`.
struct Studio {
    ca_file: PathBuf,
    port: u16,
    _folder: tempfile::TempDir,
}

fn studio(name: &str) -> Studio {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private_key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = Arc::new(tls);
    thread::spawn(move || {
        while let Ok((tcp, _)) = listener.accept() {
            // A client that does not trust the certificate goes away here.
            let _ = answer(tcp, Arc::clone(&tls));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();
    Studio {
        ca_file,
        port,
        _folder: folder,
    }
}

fn answer(tcp: TcpStream, tls: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), tcp);
    let mut request = Vec::new();
    let mut some = [0; 4096];
    while !request.ends_with(b"}]") {
        let read = stream.read(&mut some)?;
        request.extend_from_slice(&some[..read]);
    }
    let length = ANSWER.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{ANSWER}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// What becomes of a read from this address, of a client that trusts the studio's authority or the
/// system's alone.
async fn read(address: &str, ca_file: Option<PathBuf>) -> Result<(), FtrackErrorKind> {
    let mut config = config(&address.parse().unwrap());
    config.ca_file = ca_file;
    let session = Session::new(&config).unwrap().writer();
    let question = [Operation::query(query::user_types().page(0, 2))];
    let answers = session.reader().read_call(&question, &until()).await;
    if answers.is_err() {
        let failure = session.write_call(&question, &until()).await.unwrap_err();
        assert!(
            matches!(failure, WriteFailure::Fatal(_)),
            "a certificate does not mend itself: {failure:?}"
        );
        assert_eq!(session.reader().calls(), CallCounts::default());
    }
    answers.map(|_| ()).map_err(|error| error.kind().clone())
}

#[tokio::test]
async fn a_server_is_trusted_by_the_configured_authority_and_for_its_own_name_alone() {
    let studio_here = studio("127.0.0.1");
    let here = format!("https://127.0.0.1:{}", studio_here.port);
    assert_eq!(read(&here, Some(studio_here.ca_file.clone())).await, Ok(()));

    let untrusted = read(&here, None).await.unwrap_err();
    assert!(
        matches!(
            &untrusted,
            FtrackErrorKind::Unreachable {
                obstacle: ConnectErrorKind::Untrusted,
                ..
            }
        ),
        "{untrusted:?}"
    );
    assert!(
        untrusted.to_string().contains("ftrack.ca_file"),
        "{untrusted}"
    );

    let studio_elsewhere = studio("ftrack.studio.test");
    let elsewhere = format!("https://127.0.0.1:{}", studio_elsewhere.port);
    let other_name = read(&elsewhere, Some(studio_elsewhere.ca_file.clone()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            &other_name,
            FtrackErrorKind::Unreachable {
                obstacle: ConnectErrorKind::WrongHost,
                ..
            }
        ),
        "{other_name:?}"
    );
    let other_authority = read(&elsewhere, Some(studio_here.ca_file))
        .await
        .unwrap_err();
    assert!(
        matches!(
            other_authority,
            FtrackErrorKind::Unreachable {
                obstacle: ConnectErrorKind::Untrusted,
                ..
            }
        ),
        "{other_authority:?}"
    );
}
