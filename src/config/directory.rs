//! `[directories.NAME]`: an LDAP directory.

use std::{fmt, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Credential,
    files::Places,
    finding::KeyPath,
    kind::KindKey,
    named_files,
    notes::Notes,
    table::table,
    value::{
        Address, HOUR, List, Number, Period, attribute, check_name, is_loopback, is_socket, line,
    },
};
use crate::model::server_kind::ServerKind;

table! {
    /// One LDAP directory: replicas of the same tree.
    #[schemars(rename = "Directory")]
    struct DirectoryTable => struct Directory {
        /// `ldaps://`, `ldap://` or `ldapi://` addresses of replicas, the preferred one first; required.
        urls: List<Address> => Vec<Url> = List::default(),
        /// A domain whose DNS records (SRV) name its servers, instead of `urls`.
        #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
        srv: Option<String> => Option<String> = None,
        /// How servers from DNS records are connected to; `ldaps` uses port 636 where a record says
        /// 389.
        #[serde(skip_serializing_if = "Option::is_none")]
        srv_scheme: Option<SrvScheme> => Option<SrvScheme> = None,
        /// The kind of its servers, from which the default filter and mapping of its jobs follow;
        /// detected with `auto`.
        kind: KindKey => Option<ServerKind> = KindKey::default(),
        /// The bind DN; an anonymous bind when absent.
        #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
        bind_dn: Option<String> => Option<String> = None,
        /// The password for `bind_dn`, a secret; preferably in a file of its own, see
        /// `bind_password_file`.
        #[serde(skip_serializing_if = "Option::is_none")]
        bind_password: Option<Credential> => Option<Credential> = None,
        /// A file that contains only the password for `bind_dn`.
        #[serde(skip_serializing_if = "Option::is_none")]
        bind_password_file: Option<PathBuf> = None,
        /// Whether `ldap://` connections are upgraded to TLS by StartTLS before anything else is sent.
        start_tls: bool => bool = false,
        /// A PEM file of certificates to trust instead of the system's: of authorities, or of the
        /// servers themselves.
        #[serde(skip_serializing_if = "Option::is_none")]
        ca_file: Option<PathBuf> => Option<PathBuf> = None,
        /// A PEM file of the client certificate and its issuers; needs `client_key_file`.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_cert_file: Option<PathBuf> => Option<PathBuf> = None,
        /// A PEM file of the client certificate's key.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_key_file: Option<PathBuf> => Option<PathBuf> = None,
        /// A SASL mechanism instead of a bind with a password: `external` binds with the client
        /// certificate, or over `ldapi://` as the user that the program runs as; `gssapi` with a
        /// Kerberos ticket.
        #[serde(skip_serializing_if = "Option::is_none")]
        sasl: Option<Sasl> => Option<Sasl> = None,
        /// The account of `sasl = "gssapi"`, where the keytab or the credential caches have several.
        #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
        principal: Option<String> => Option<String> = None,
        /// Entries per page; servers refuse more than their own limit, which is 1000 for Active
        /// Directory. With 1000 or more, OpenLDAP is asked for up to 5000 people after the first
        /// page, unless it refuses that.
        // OpenLDAP's default size limit does not allow larger pages either.
        page_size: Number<1, 10_000> => i32 = Number(1000),
        /// Time limit for name resolution, connecting and TLS together.
        connect_timeout: Period<100, HOUR> => Duration = Period::seconds(5),
        /// Time limit for a bind, or for the next message of a search.
        operation_timeout: Period<100, HOUR> => Duration = Period::seconds(30),
        /// The maximum number of open connections.
        pool_size: Number<1, 64> => usize = Number(4),
        /// Whether a password may go over plain `ldap://` to another machine, where anybody on the
        /// network can read it.
        allow_plaintext: bool => bool = false,
        /// The attribute that identifies an entry permanently; entryUUID, objectGUID, nsUniqueId or
        /// ipaUniqueID is detected when absent.
        #[serde(deserialize_with = "attribute", skip_serializing_if = "Option::is_none")]
        id_attribute: Option<String> => Option<String> = None,
        /// Identifies the directory itself, where the id of its naming context's own entry cannot be
        /// read; never change it afterwards.
        #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
        id: Option<String> => Option<String> = None,
        /// Whether a reading of any server is as good as one of the first; otherwise a reading of
        /// another server only creates users.
        trust_replicas: bool => bool = false,
    }
}

/// The scheme of servers from DNS records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = "the name of a scheme in quotes")]
pub enum SrvScheme {
    /// TLS from the first byte.
    #[default]
    Ldaps,
    /// Plain, or upgraded by StartTLS.
    Ldap,
}

impl fmt::Display for SrvScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ldaps => "ldaps",
            Self::Ldap => "ldap",
        })
    }
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "lowercase",
    expecting = "the name of a SASL mechanism in quotes"
)]
pub enum Sasl {
    /// The identity of the client certificate, or over a socket that of the program's user.
    External,
    /// A Kerberos ticket, of a keytab or a credential cache (RFC 4752).
    Gssapi,
}

impl Directory {
    /// As whom its servers are entered, where that is somebody: the bind DN, by SASL EXTERNAL the
    /// certificate's file or the user that the program runs as, or by SASL GSSAPI a ticket.
    #[must_use]
    pub fn account(&self) -> Option<String> {
        match (self.sasl, &self.client_cert_file) {
            (None, _) => self.bind_dn.clone(),
            (Some(Sasl::External), Some(file)) => Some(format!("certificate {}", file.display())),
            (Some(Sasl::External), None) => Some("the program's user".into()),
            (Some(Sasl::Gssapi), _) => Some(match &self.principal {
                Some(principal) => format!("a Kerberos ticket of {principal}"),
                None => "a Kerberos ticket".into(),
            }),
        }
    }
}

impl DirectoryTable {
    /// Names the file of the password, to be shown.
    #[must_use]
    pub fn with_files(mut self) -> Self {
        named_files::shown(&mut self.bind_password, &mut self.bind_password_file);
        self
    }
}

/// Checks the table of a directory, and reads the files that it names.
pub fn check(
    notes: &mut Notes,
    places: &Places,
    name: &str,
    mut table: DirectoryTable,
) -> Option<Directory> {
    let at = KeyPath::default().key("directories").key(name);
    check_name(notes, &at, name);
    if table.srv.is_some() || table.srv_scheme.is_some() {
        check_srv(notes, &at, &table);
    } else {
        check_urls(notes, &at, &table);
    }
    let found_before = notes.count();
    let DirectoryTable {
        bind_password,
        bind_password_file,
        ..
    } = &mut table;
    named_files::secret(
        notes,
        places,
        &at,
        "bind_password",
        bind_password,
        bind_password_file,
    );
    let has_password = bind_password.is_some() || notes.count() > found_before;
    check_authentication(notes, &at, &table, has_password);
    for (key, file) in [
        ("ca_file", &mut table.ca_file),
        ("client_cert_file", &mut table.client_cert_file),
    ] {
        named_files::certificates(notes, places, &at.key(key), file);
    }
    named_files::private_key(
        notes,
        places,
        &at.key("client_key_file"),
        &mut table.client_key_file,
    );
    table.complete()
}

/// Checks that servers can be looked up, and how they are then used.
fn check_srv(notes: &mut Notes, at: &KeyPath, table: &DirectoryTable) {
    let (key, scheme) = (at.key("srv"), at.key("srv_scheme"));
    let Some(domain) = &table.srv else {
        return notes.find(
            &scheme,
            "is for servers from DNS records; set srv, or remove it",
        );
    };
    if !table.urls.is_empty() {
        notes.find(&key, "set beside urls; remove one of them");
    }
    let is_label = |label: &str| {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        !label.is_empty() && label.len() < 64 && label.chars().all(is_plain)
    };
    let bare = domain.strip_suffix('.').unwrap_or(domain);
    if !bare.split('.').all(is_label) || bare.len() > 200 {
        notes.find(
            &key,
            format!("{domain:?} is not a domain such as \"studio.test\""),
        );
    }
    let sends_password = table.bind_password.is_some() || table.bind_password_file.is_some();
    match (table.srv_scheme.unwrap_or_default(), table.start_tls) {
        (SrvScheme::Ldaps, true) => notes.find(
            &at.key("start_tls"),
            "ldaps:// is encrypted from the first byte; set srv_scheme = \"ldap\", or remove \
             start_tls",
        ),
        (SrvScheme::Ldap, false) if sends_password && !table.allow_plaintext => notes.find(
            &scheme,
            "the bind password would go over the network in plain text; use \"ldaps\" or \
             start_tls = true, or accept it with allow_plaintext = true",
        ),
        (SrvScheme::Ldaps, false) | (SrvScheme::Ldap, _) => {}
    }
}

fn check_urls(notes: &mut Notes, at: &KeyPath, table: &DirectoryTable) {
    let key = at.key("urls");
    if table.urls.is_empty() {
        notes.missing(
            &key,
            "the addresses of the directory's servers, such as [\"ldaps://ldap.studio.test\"]",
        );
    }
    let has_plain = table.urls.usable().any(|url| url.url().scheme() == "ldap");
    let sends_password = table.bind_password.is_some() || table.bind_password_file.is_some();
    table.urls.check_with(notes, &key, |address| {
        let problem = match address.url().scheme() {
            "ldaps" if table.start_tls => {
                "ldaps:// is encrypted from the first byte; write ldap:// with start_tls = true, \
                 or remove start_tls"
            }
            "ldaps" => return None,
            "ldapi" if table.start_tls && !has_plain => {
                "ldapi:// is a socket of this machine, without TLS; remove start_tls"
            }
            "ldapi" => return None,
            "ldap"
                if table.start_tls
                    || table.allow_plaintext
                    || is_loopback(address.url())
                    || !sends_password =>
            {
                return None;
            }
            "ldap" => {
                "the bind password would go over the network in plain text; use ldaps:// or \
                 start_tls = true, or accept it with allow_plaintext = true"
            }
            scheme => {
                return Some(format!(
                    "{scheme:?} is not an LDAP scheme; write ldaps://, ldap:// or ldapi://"
                ));
            }
        };
        Some(problem.to_owned())
    });
}

/// Checks that the bind settings fit together.
fn check_authentication(
    notes: &mut Notes,
    at: &KeyPath,
    table: &DirectoryTable,
    has_password: bool,
) {
    let (dn, password) = (at.key("bind_dn"), at.key("bind_password"));
    let certificate = table.client_cert_file.is_some();
    let has_tls = has_tls(table);
    if table.principal.is_some() && table.sasl != Some(Sasl::Gssapi) {
        notes.find(
            &at.key("principal"),
            "is for sasl = \"gssapi\"; set that, or remove it",
        );
    }
    if table.sasl == Some(Sasl::Gssapi) {
        check_gssapi(notes, &at.key("sasl"), table, has_password);
    } else if table.sasl.is_some() {
        if table.bind_dn.is_some() || has_password {
            let by_what = if has_tls {
                "binds with the client certificate; remove bind_dn and the password"
            } else {
                "binds as the user that the program runs as; remove bind_dn and the password"
            };
            notes.find(&at.key("sasl"), by_what);
        }
        if !certificate && has_tls {
            notes.missing(
                &at.key("client_cert_file"),
                "sasl = \"external\" binds with the client certificate",
            );
        }
        let mut urls = table.urls.usable();
        let is_plain = urls.any(|address| address.url().scheme() == "ldap")
            || (table.srv.is_some() && table.srv_scheme == Some(SrvScheme::Ldap));
        if !table.start_tls && is_plain {
            notes.find(
                &at.key("sasl"),
                "a client certificate is only used with TLS; use ldaps:// or start_tls = true",
            );
        }
    } else if table.bind_dn.is_some()
        && !has_password
        && !notes.is_judged(&password)
        && !notes.is_judged(&at.key("bind_password_file"))
    {
        notes.find(
            &dn,
            "has no password, which would be an anonymous bind; set bind_password_file = \"file \
             that contains the password\"",
        );
    } else if has_password && table.bind_dn.is_none() {
        notes.missing(&dn, "a password without a bind DN; set bind_dn");
    }
    if !has_tls {
        return files_without_use(notes, at, table);
    }
    if certificate && table.client_key_file.is_none() {
        notes.missing(&at.key("client_key_file"), "client_cert_file needs its key");
    }
    if table.client_key_file.is_some() && !certificate {
        notes.missing(
            &at.key("client_cert_file"),
            "client_key_file needs its certificate",
        );
    }
}

/// Checks that tickets can be used.
fn check_gssapi(notes: &mut Notes, key: &KeyPath, table: &DirectoryTable, has_password: bool) {
    if !cfg!(feature = "gssapi") {
        return notes.find(
            key,
            "\"gssapi\" is not in this build of the program: use the image whose name ends with \
             -gssapi, or build it with `cargo build --features gssapi`",
        );
    }
    if table.bind_dn.is_some() || has_password {
        notes.find(
            key,
            "binds with a Kerberos ticket; remove bind_dn and the password",
        );
    }
    if table.urls.usable().any(|address| is_socket(address.url())) {
        notes.find(
            key,
            "a ticket is for a host, and ldapi:// is a socket of this machine; use \"external\"",
        );
    }
}

/// Whether some connection may be encrypted: all but those to sockets of this machine; of addresses
/// that cannot be used it is not known.
fn has_tls(table: &DirectoryTable) -> bool {
    let mut urls = table.urls.usable().peekable();
    urls.peek().is_none() || urls.any(|address| !is_socket(address.url()))
}

/// Names the files for TLS, where no connection has any.
fn files_without_use(notes: &mut Notes, at: &KeyPath, table: &DirectoryTable) {
    for (key, file) in [
        ("ca_file", &table.ca_file),
        ("client_cert_file", &table.client_cert_file),
        ("client_key_file", &table.client_key_file),
    ] {
        if file.is_some() {
            notes.find(
                &at.key(key),
                "is for TLS, and ldapi:// is a socket of this machine, without TLS; remove it",
            );
        }
    }
}
