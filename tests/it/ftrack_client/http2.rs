//! The version of HTTP: HTTP/2 where the server offers it in the TLS handshake (ALPN, RFC 7301).

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Request, Response, Version, header::HOST},
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::studio::Studio;

/// A server with TLS in front of ftrack.
struct Front {
    url: String,
    certificate: String,
    seen: Arc<Mutex<Vec<Version>>>,
}

/// Starts one that offers these protocols, the preferred one first.
async fn front(behind: String, offered: &[&str]) -> Front {
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let private_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private_key)
        .unwrap();
    tls.alpn_protocols = offered.iter().map(|name| name.as_bytes().into()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let seen = Arc::<Mutex<Vec<Version>>>::default();
    let noted = Arc::clone(&seen);
    let client = reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .build()
        .unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (noted, client) = (Arc::clone(&noted), client.clone());
            tokio::spawn(serve(tcp, acceptor.clone(), noted, client, behind.clone()));
        }
    });
    Front {
        url,
        certificate: certificate.pem(),
        seen,
    }
}

/// Serves one connection with the protocol that was agreed on; HTTP/1.1 without one.
async fn serve(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    seen: Arc<Mutex<Vec<Version>>>,
    client: reqwest::Client,
    behind: String,
) {
    let Ok(tls) = acceptor.accept(tcp).await else {
        return;
    };
    let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request: Request<Incoming>| {
        seen.lock().unwrap().push(request.version());
        let (client, url) = (client.clone(), format!("{behind}{}", request.uri().path()));
        async move { Ok::<_, Infallible>(pass_on(request, &client, url).await) }
    });
    // Either ends with an error where the client just leaves.
    let connection = TokioIo::new(tls);
    let _ = if is_http2 {
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(connection, service)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(connection, service)
            .await
    };
}

/// Has ftrack answer.
async fn pass_on(
    request: Request<Incoming>,
    client: &reqwest::Client,
    url: String,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(HOST);
    let body = axum::body::to_bytes(Body::new(body), usize::MAX)
        .await
        .unwrap();
    let call = client.request(parts.method, url).headers(parts.headers);
    let answer = call.body(body).send().await.unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in ["content-type", "content-encoding"] {
        if let Some(value) = answer.headers().get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from(answer.bytes().await.unwrap());
    response
}

/// The versions of the requests of a whole sync, where the server offers these.
fn spoken(offered: &[&str]) -> Vec<Version> {
    let mut studio = Studio::of(&["ada", "ben", "cy"]).end_to_end();
    let front = studio
        .runtime()
        .block_on(front(studio.ftrack_url(), offered));
    let authority: PathBuf = studio.folder().join("front.pem");
    std::fs::write(&authority, &front.certificate).unwrap();
    studio.ftrack_at = Some(front.url);
    studio.ftrack_settings = format!("ca_file = {authority:?}\n");
    assert_eq!(studio.sync().counts.created, 3);
    let seen = front.seen.lock().unwrap().clone();
    assert!(seen.len() > 3, "reads and writes pass: {seen:?}");
    seen
}

#[test]
fn a_sync_speaks_http_2_with_a_server_that_offers_it_and_else_http_1() {
    let is_all = |seen: &[Version], version| seen.iter().all(|one| *one == version);
    for (offered, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1", "h2"], Version::HTTP_11),
        (&["http/1.1"], Version::HTTP_11),
        // A server that does not take part in the choice.
        (&[], Version::HTTP_11),
    ] {
        let seen = spoken(offered);
        assert!(is_all(&seen, version), "{offered:?}: {seen:?}");
    }
}
