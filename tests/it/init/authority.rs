//! ftrack behind a certificate by an authority of the studio's own.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, thread};

use ftrack_ldap_sync::demo::cast;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Place, asked::Talk};
use crate::studio::{KEY, PASSWORD, Studio};

/// TLS in front of a server on loopback: its address, and the file of its authority.
struct Front {
    url: String,
    ca_file: PathBuf,
    _folder: TempDir,
}

fn in_front_of(server: SocketAddr) -> Front {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let folder = TempDir::new().unwrap();
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let shown = CertifiedKey::new(
        vec![certificate.der().clone()],
        any_supported_type(&key).unwrap(),
    );
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the certificate goes away here.
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    });
    Front {
        url,
        ca_file,
        _folder: folder,
    }
}

#[test]
fn the_file_of_ftracks_authority_is_asked_for_where_it_is_missing() {
    let studio = Studio::of(&["ada"]);
    let server = studio.ftrack_url().replace("http://", "");
    let front = in_front_of(server.trim_end_matches('/').parse().unwrap());
    let place = Place::new();
    let state = place.file("state").display().to_string();
    let mut talk = Talk::start(place.command(&["init", "--state-dir", &state]));
    talk.answers("Directory server", &studio.directory_url);
    talk.answers("How it is entered", "");
    talk.answers("(bind DN): ", cast::SERVICE);
    talk.hides("Its password (not shown): ", PASSWORD);
    talk.answers("Kind of directory", "");
    talk.answers("Where people are searched for (DN)", "");
    talk.answers("Address of ftrack", &front.url);
    talk.hears("ftrack.ca_file");
    talk.answers("PEM file of ftrack's CA (empty: none, ask again): ", "");
    talk.answers("Address of ftrack", &front.url);
    talk.answers("PEM file of ftrack's CA", "/none/ca.pem");
    talk.hears("/none/ca.pem");
    // The same address, without being asked for it again.
    talk.answers("PEM file of ftrack's CA", front.ca_file.to_str().unwrap());
    talk.answers("as whom the API key acts", "");
    talk.hides("Its API key (not shown): ", KEY);
    talk.hears("and the key is accepted");
    talk.hears("0 failed");
    assert_eq!(talk.status(), 0, "{}", talk.all());
    assert_eq!(talk.all().matches("Address of ftrack").count(), 2);
    let written = fs::read_to_string(place.config()).unwrap();
    let named = format!("ca_file = \"{}\"", front.ca_file.display());
    assert!(written.contains(&named), "{written}");

    // The same by options; without the file, it is what is wrong.
    let mut options = super::with(&place.options(&studio), "--ftrack", &front.url);
    let failed = place.init(&options, &["--force"]);
    assert_eq!(failed.status, 1, "{}{}", failed.stdout, failed.stderr);
    assert!(
        failed.stderr.contains("ftrack.ca_file"),
        "{}",
        failed.stderr
    );
    options.push(("--ftrack-ca-file", front.ca_file.display().to_string()));
    let ended = place.init(&options, &["--force"]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn in_a_container_the_probes_find_where_to_ask() {
    let studio = Studio::of(&["ada"]);
    for (container, listens) in [(None, false), (Some(""), false), (Some("oci"), true)] {
        let place = Place::new();
        let options = place.options(&studio);
        let options = options.iter().flat_map(|(name, value)| [*name, value]);
        let arguments: Vec<&str> = ["init"].into_iter().chain(options).collect();
        let mut command = place.command(&arguments);
        command.envs(container.map(|container| ("container", container)));
        let ended = command.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        let written: toml::Table = fs::read_to_string(place.config()).unwrap().parse().unwrap();
        let listen = written.get("http").map(|http| &http["listen"]);
        assert_eq!(
            listen.and_then(toml::Value::as_str),
            listens.then_some("0.0.0.0:9464")
        );
    }
}
