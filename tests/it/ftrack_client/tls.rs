//! Trusted certificates of the client: the studio's own authority, and the name in the address.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use ftrack_ldap_sync::{
    config::Directory,
    directory::{DirectoryPool, contact},
    ftrack::{
        error::{ConnectErrorKind, FtrackErrorKind, WriteFailure},
        operation::Operation,
        query,
        session::{CallCounts, Session},
    },
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio_util::sync::CancellationToken;
use url::Url;

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
    let (authority, issuer) = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    showing(certificate.der().clone(), &key.serialize_der(), &authority)
}

/// An authority: its certificate as PEM, and what it signs with.
fn authority() -> (String, Issuer<'static, KeyPair>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    (authority.pem(), Issuer::new(params, authority_key))
}

/// A server on loopback with this certificate and key, and a file with the certificates that are to
/// be trusted.
fn showing(certificate: CertificateDer<'static>, key: &[u8], ca: &str) -> Studio {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(
            vec![certificate],
            any_supported_type(&private_key).unwrap(),
        ))));
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
    std::fs::write(&ca_file, ca).unwrap();
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

/// What a read from this server, and one from a directory at the same port, fail with; nothing where
/// both trust it.
async fn faults(server: &Studio) -> (Option<String>, Option<String>) {
    let ca_file = Some(server.ca_file.clone());
    let ftrack = read(
        &format!("https://127.0.0.1:{}", server.port),
        ca_file.clone(),
    )
    .await;
    let directory = Directory {
        urls: vec![Url::parse(&format!("ldaps://127.0.0.1:{}", server.port)).unwrap()],
        srv: None,
        srv_scheme: None,
        kind: None,
        bind_dn: None,
        bind_password: None,
        start_tls: false,
        ca_file,
        client_cert_file: None,
        client_key_file: None,
        sasl: None,
        principal: None,
        page_size: 100,
        connect_timeout: Duration::from_secs(5),
        // It speaks TLS, and no LDAP.
        operation_timeout: Duration::from_millis(200),
        pool_size: 1,
        allow_plaintext: false,
        id_attribute: None,
        id: None,
        trust_replicas: false,
    };
    let pool = DirectoryPool::new("studio", &directory).unwrap();
    let contact = contact(&pool, &CancellationToken::new()).await;
    let told = contact.unwrap_err().to_string();
    let of_directory = (told.contains("certificate") || told.contains("TLS")).then_some(told);
    (ftrack.err().map(|error| error.to_string()), of_directory)
}

/// Both say the same, each with its way out.
#[track_caller]
fn assert_told(faults: &(Option<String>, Option<String>), what: &str, way_out: &str) {
    for told in [&faults.0, &faults.1] {
        let told = told.as_deref().unwrap_or("nothing");
        assert!(told.contains(what) && told.contains(way_out), "{told}");
        let dumps = ["{", "DnsName", "Error", "Invalid", "::", "\\\""];
        assert!(!dumps.iter().any(|dump| told.contains(dump)), "{told}");
    }
}

#[tokio::test]
async fn a_certificate_that_ca_file_names_is_trusted_itself() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let own = params.self_signed(&key).unwrap();
        let here = showing(own.der().clone(), &key.serialize_der(), &own.pem());
        assert_eq!(faults(&here).await, (None, None), "{is_ca:?}");

        // Its name and its time count all the same.
        let mut params = CertificateParams::new(vec!["elsewhere.test".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let own = params.self_signed(&key).unwrap();
        let elsewhere = showing(own.der().clone(), &key.serialize_der(), &own.pem());
        let (of_ftrack, of_directory) = faults(&elsewhere).await;
        let named = "the server's certificate is not for 127.0.0.1 but for elsewhere.test";
        assert!(of_ftrack.unwrap().contains(named));
        assert!(of_directory.unwrap().contains(named));
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.not_after = date_time_ymd(2020, 1, 1);
        let own = params.self_signed(&key).unwrap();
        let expired = showing(own.der().clone(), &key.serialize_der(), &own.pem());
        assert_told(
            &faults(&expired).await,
            "certificate has expired",
            "renew it",
        );
    }
    // One that an authority issued, without the authority.
    let (_, issuer) = authority();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = params.signed_by(&key, &issuer).unwrap();
    let here = showing(own.der().clone(), &key.serialize_der(), &own.pem());
    assert_eq!(faults(&here).await, (None, None));
}

#[tokio::test]
async fn each_fault_of_a_certificate_is_told_with_its_cure() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    let (other, issuer) = authority();
    let here = showing(own.der().clone(), &key.serialize_der(), &other);
    assert_told(
        &faults(&here).await,
        "is that of an authority (CA:TRUE)",
        "set ca_file to this certificate",
    );

    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "127.0.0.1");
    let nameless = params.signed_by(&key, &issuer).unwrap();
    let here = showing(nameless.der().clone(), &key.serialize_der(), &other);
    assert_told(
        &faults(&here).await,
        "has no subjectAltName",
        "renew it with the name in the URL as subjectAltName",
    );

    let key = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("../certificates/server.key"));
    let key = key.unwrap().secret_pkcs8_der().to_vec();
    let ca = include_str!("../certificates/ca.pem");
    for (pem, what, way_out) in [
        (
            &include_bytes!("../certificates/v1.pem")[..],
            "is of version 1",
            "-extfile with the line subjectAltName",
        ),
        (
            include_bytes!("../certificates/sha1.pem"),
            "such as with SHA-1",
            "renew them with SHA-256",
        ),
    ] {
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let here = showing(certificate, &key, ca);
        assert_told(&faults(&here).await, what, way_out);
    }
}

#[tokio::test]
async fn https_to_a_port_without_tls_is_told() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut tcp, _)) = plain.accept() {
            let _ = tcp.read(&mut [0; 64]);
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let told = read(&format!("https://127.0.0.1:{port}"), None).await;
    let told = told.unwrap_err().to_string();
    assert!(
        told.contains("the server does not speak TLS") && told.contains("ftrack.server"),
        "{told}"
    );
    assert!(
        !told.contains("Invalid") && !told.contains("corrupt"),
        "{told}"
    );
}
