//! Checks of the servers: `[ftrack]` and `[directories.NAME]`.

use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use url::Url;

use super::value::{self, HOUR, SECOND};
use crate::config::{
    Credential, Directory, Ftrack, Sasl, Secret,
    files::{self, Places},
    finding::KeyPath,
    notes::Notes,
    written,
};

/// The minimum length of the key that signs links, in characters.
const SHORTEST_LINK_KEY: usize = 16;

/// `[ftrack]`
pub fn ftrack(notes: &mut Notes, places: &Places, ftrack: written::Ftrack) -> Option<Ftrack> {
    let at = KeyPath::default().key("ftrack");
    let written::Ftrack {
        server,
        api_user,
        ca_file,
        ..
    } = &ftrack;
    let server = ftrack_server(notes, &at.key("server"), server.as_deref());
    let api_user = api_user_of(notes, &at.key("api_user"), api_user.as_deref());
    let api_key = api_key_of(notes, places, &at, &ftrack);
    let link_key = link_key_of(notes, places, &at, &ftrack);
    let ca_file = certificates(notes, places, &at.key("ca_file"), ca_file.as_deref());
    let connect_timeout = value::period(
        notes,
        &at.key("connect_timeout"),
        &ftrack.connect_timeout,
        SECOND / 10..=HOUR,
    );
    let request_timeout = value::period(
        notes,
        &at.key("request_timeout"),
        &ftrack.request_timeout,
        SECOND / 10..=HOUR,
    );
    let page_size = value::number(notes, &at.key("page_size"), ftrack.page_size, 1..=10_000);
    let connections = value::number(notes, &at.key("connections"), ftrack.connections, 1..=64);
    let batch_size = value::number(notes, &at.key("batch_size"), ftrack.batch_size, 1..=1_000);
    let attempts = value::number(notes, &at.key("attempts"), ftrack.attempts, 1..=20);
    check_roles(
        notes,
        &at.key("administrator_roles"),
        &ftrack.administrator_roles,
    );
    Some(Ftrack {
        server: server?,
        api_user: api_user?,
        api_key: api_key?,
        link_key,
        ca_file,
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        page_size: page_size?,
        connections: connections?,
        batch_size: batch_size?,
        attempts: attempts?,
        administrator_roles: ftrack.administrator_roles,
    })
}

fn api_user_of(notes: &mut Notes, at: &KeyPath, user: Option<&str>) -> Option<String> {
    if user.is_none() {
        notes.missing(
            at,
            "the ftrack user as whom the API key acts, here or in the variable FTRACK_API_USER",
        );
    }
    value::line(notes, at, user?)
}

fn api_key_of(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    ftrack: &written::Ftrack,
) -> Option<Credential> {
    let found_before = notes.count();
    let key = secret(
        notes,
        places,
        at,
        "api_key",
        ftrack.api_key.as_ref(),
        ftrack.api_key_file.as_deref(),
    );
    let is_missing = key.is_none() && notes.count() == found_before;
    if is_missing && !notes.is_judged(&at.key("api_key_file")) {
        notes.missing(
            &at.key("api_key"),
            "set api_key_file = \"file that contains the key\", or the variable FTRACK_API_KEY",
        );
    }
    key
}

fn link_key_of(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    ftrack: &written::Ftrack,
) -> Option<Credential> {
    let key = secret(
        notes,
        places,
        at,
        "link_key",
        ftrack.link_key.as_ref(),
        ftrack.link_key_file.as_deref(),
    );
    let is_short = |key: &Credential| key.loaded().expose().chars().count() < SHORTEST_LINK_KEY;
    if key.as_ref().is_some_and(is_short) {
        let name = if ftrack.link_key.is_some() {
            "link_key"
        } else {
            "link_key_file"
        };
        notes.find(
            &at.key(name),
            format!("a key of fewer than {SHORTEST_LINK_KEY} characters could be guessed"),
        );
    }
    key
}

fn check_roles(notes: &mut Notes, at: &KeyPath, roles: &[String]) {
    if roles.is_empty() && !notes.is_judged(at) {
        notes.find(
            at,
            "empty; without it the program cannot recognise administrators, whom it must not lock \
             out",
        );
    }
    for (index, role) in roles.iter().enumerate() {
        value::line(notes, &at.index(index), role);
    }
}

fn ftrack_server(notes: &mut Notes, at: &KeyPath, server: Option<&str>) -> Option<Url> {
    let Some(server) = server else {
        notes.missing(
            at,
            "the address of the ftrack server, such as \"https://studio.ftrackapp.com\", here or \
             in the variable FTRACK_SERVER",
        );
        return None;
    };
    let url = address(notes, at, server, "https://studio.ftrackapp.com")?;
    let problem = match url.scheme() {
        "https" => None,
        "http" if value::is_loopback(&url) => None,
        "http" => {
            Some("the API key would go over the network in plain text; write https://".to_owned())
        }
        scheme => Some(format!(
            "{scheme:?} is not a scheme that ftrack uses; write https://"
        )),
    };
    if let Some(problem) = problem {
        notes.find(at, problem);
        return None;
    }
    Some(url)
}

/// A URL of a scheme, a host and optionally a port. A user and password in it are refused, and the
/// URL is never quoted, so that they are not printed.
fn address(notes: &mut Notes, at: &KeyPath, text: &str, example: &str) -> Option<Url> {
    let problem = match Url::parse(text) {
        Err(error) => format!("not a URL such as {example:?}: {error}"),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => {
            format!("a URL without a host; write it such as {example:?}")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "a user or password must not be in the URL".to_owned()
        }
        Ok(url)
            if !matches!(url.path(), "" | "/")
                || url.query().is_some()
                || url.fragment().is_some() =>
        {
            format!("more than a scheme, a host and a port; write it such as {example:?}")
        }
        Ok(url) => return Some(url),
    };
    notes.find(at, problem);
    None
}

/// `[directories.NAME]`
pub fn directory(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    directory: &written::Directory,
) -> Option<Directory> {
    let urls = urls(notes, at, directory);
    let bind_dn = directory
        .bind_dn
        .as_ref()
        .and_then(|dn| value::line(notes, &at.key("bind_dn"), dn));
    let password = password_of(notes, places, at, directory);
    let ca_file = certificates(
        notes,
        places,
        &at.key("ca_file"),
        directory.ca_file.as_deref(),
    );
    let client_cert_file = certificates(
        notes,
        places,
        &at.key("client_cert_file"),
        directory.client_cert_file.as_deref(),
    );
    let client_key_file = private_key(
        notes,
        places,
        &at.key("client_key_file"),
        directory.client_key_file.as_deref(),
    );
    let page_size = value::number(notes, &at.key("page_size"), directory.page_size, 1..=10_000);
    let connect_timeout = value::period(
        notes,
        &at.key("connect_timeout"),
        &directory.connect_timeout,
        SECOND / 10..=HOUR,
    );
    let operation_timeout = value::period(
        notes,
        &at.key("operation_timeout"),
        &directory.operation_timeout,
        SECOND / 10..=HOUR,
    );
    let pool_size = value::number(notes, &at.key("pool_size"), directory.pool_size, 1..=64);
    check_id_attribute(
        notes,
        &at.key("id_attribute"),
        directory.id_attribute.as_deref(),
    );
    let id = directory
        .id
        .as_ref()
        .and_then(|id| value::line(notes, &at.key("id"), id));
    Some(Directory {
        urls: urls?,
        bind_dn,
        bind_password: password,
        start_tls: directory.start_tls,
        ca_file,
        client_cert_file,
        client_key_file,
        sasl: directory.sasl.map(|written::Sasl::External| Sasl::External),
        page_size: page_size?,
        connect_timeout: connect_timeout?,
        operation_timeout: operation_timeout?,
        pool_size: pool_size?,
        allow_plaintext: directory.allow_plaintext,
        id_attribute: directory.id_attribute.clone(),
        id,
        trust_replicas: directory.trust_replicas,
    })
}

fn password_of(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    directory: &written::Directory,
) -> Option<Credential> {
    let found_before = notes.count();
    let password = secret(
        notes,
        places,
        at,
        "bind_password",
        directory.bind_password.as_ref(),
        directory.bind_password_file.as_deref(),
    );
    let has_password = password.is_some() || notes.count() > found_before;
    authentication(notes, at, directory, has_password);
    password
}

fn check_id_attribute(notes: &mut Notes, at: &KeyPath, name: Option<&str>) {
    if let Some(name) = name.filter(|name| !value::is_attribute(name)) {
        notes.find(
            at,
            format!("{name:?} is not the name of an LDAP attribute (RFC 4512)"),
        );
    }
}

fn urls(notes: &mut Notes, at: &KeyPath, directory: &written::Directory) -> Option<Vec<Url>> {
    let key = at.key("urls");
    if directory.urls.is_empty() {
        notes.missing(
            &key,
            "the addresses of the directory's servers, such as [\"ldaps://ldap.studio.test\"]",
        );
        return None;
    }
    let sends_password =
        directory.bind_password.is_some() || directory.bind_password_file.is_some();
    let mut urls = Vec::with_capacity(directory.urls.len());
    for (index, text) in directory.urls.iter().enumerate() {
        let at = key.index(index);
        let Some(url) = address(notes, &at, text, "ldaps://ldap.studio.test") else {
            continue;
        };
        match url.scheme() {
            "ldaps" if directory.start_tls => notes.find(
                &at,
                "ldaps:// is encrypted from the first byte; write ldap:// with start_tls = true, \
                 or remove start_tls",
            ),
            "ldaps" => {}
            "ldap"
                if directory.start_tls
                    || directory.allow_plaintext
                    || value::is_loopback(&url)
                    || !sends_password => {}
            "ldap" => notes.find(
                &at,
                "the bind password would go over the network in plain text; use ldaps:// or \
                 start_tls = true, or accept it with allow_plaintext = true",
            ),
            scheme => notes.find(
                &at,
                format!("{scheme:?} is not an LDAP scheme; write ldaps:// or ldap://"),
            ),
        }
        urls.push(url);
    }
    Some(urls)
}

/// Checks that the bind settings fit together.
fn authentication(
    notes: &mut Notes,
    at: &KeyPath,
    directory: &written::Directory,
    has_password: bool,
) {
    let (dn, password) = (at.key("bind_dn"), at.key("bind_password"));
    let certificate = directory.client_cert_file.is_some();
    if directory.sasl.is_some() {
        if directory.bind_dn.is_some() || has_password {
            notes.find(
                &at.key("sasl"),
                "binds with the client certificate; remove bind_dn and the password",
            );
        }
        if !certificate {
            notes.missing(
                &at.key("client_cert_file"),
                "sasl = \"external\" binds with the client certificate",
            );
        }
        let plain = |url: &String| {
            url.get(..7)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("ldap://"))
        };
        if !directory.start_tls && directory.urls.iter().any(plain) {
            notes.find(
                &at.key("sasl"),
                "a client certificate is only used with TLS; use ldaps:// or start_tls = true",
            );
        }
    } else if directory.bind_dn.is_some()
        && !has_password
        && !notes.is_judged(&password)
        && !notes.is_judged(&at.key("bind_password_file"))
    {
        notes.find(
            &dn,
            "has no password, which would be an anonymous bind; set bind_password_file = \"file \
             that contains the password\"",
        );
    } else if has_password && directory.bind_dn.is_none() {
        notes.missing(&dn, "a password without a bind DN; set bind_dn");
    }
    if certificate && directory.client_key_file.is_none() {
        notes.missing(&at.key("client_key_file"), "client_cert_file needs its key");
    }
    if directory.client_key_file.is_some() && !certificate {
        notes.missing(
            &at.key("client_cert_file"),
            "client_key_file needs its certificate",
        );
    }
}

/// A secret in the configuration or in a file of its own; no message contains it.
fn secret(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    name: &str,
    inline: Option<&Secret>,
    file: Option<&Path>,
) -> Option<Credential> {
    let key = at.key(name);
    let file_key = at.key(&format!("{name}_file"));
    match (inline, file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            notes.find(
                &key,
                format!("set twice, here and in {name}_file; remove one"),
            );
            None
        }
        (Some(secret), None) => Secret::checked(secret.clone())
            .map(Credential::from)
            .map_err(|problem| notes.find(&key, problem))
            .ok(),
        (None, Some(path)) => Credential::of_file(&places.find(path))
            .map_err(|unreadable| notes.find(&file_key, unreadable.to_string()))
            .ok(),
    }
}

/// The path of a PEM file with at least one certificate.
fn certificates(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    path: Option<&Path>,
) -> Option<PathBuf> {
    pem(notes, places, at, path, |content| {
        let mut certificates = CertificateDer::pem_slice_iter(content);
        let first = certificates
            .next()
            .ok_or_else(|| "contains no PEM certificate".to_owned())?;
        first
            .and_then(|_| certificates.try_for_each(|certificate| certificate.map(|_| ())))
            .map_err(|error| format!("is not a PEM file of certificates: {error}"))
    })
}

/// The path of a PEM file with a private key.
fn private_key(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    path: Option<&Path>,
) -> Option<PathBuf> {
    // The reason is omitted: it could quote the file's content.
    pem(notes, places, at, path, |content| {
        PrivateKeyDer::from_pem_slice(content)
            .map(|_| ())
            .map_err(|_| "contains no PEM private key (it must have no passphrase)".to_owned())
    })
}

fn pem(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    path: Option<&Path>,
    holds: impl FnOnce(&[u8]) -> Result<(), String>,
) -> Option<PathBuf> {
    let path = places.find(path?);
    let result = files::read(&path, files::CERTIFICATES_LIMIT).and_then(|content| holds(&content));
    match result {
        Ok(()) => Some(path),
        Err(problem) => {
            notes.find(at, format!("{} {problem}", path.display()));
            None
        }
    }
}
