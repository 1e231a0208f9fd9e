//! The two kinds of servers: ftrack and LDAP directories.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::Credential;

/// The ftrack server and how to talk to it.
#[derive(Debug, Clone)]
pub struct Ftrack {
    /// The server's address; `https`, or `http` to a loopback host.
    pub server: Url,
    /// The ftrack user whom the key belongs to (or acts as).
    pub api_user: String,
    /// The API key.
    pub api_key: Credential,
    /// The key that signs links, the same on all hosts; links are not signed without it.
    pub link_key: Option<Credential>,
    /// Certificates to trust instead of the system's, for a server of the studio's own.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long one call may take, from the first byte sent to the last received.
    pub request_timeout: Duration,
    /// Rows asked for at a time.
    pub page_size: u32,
    /// Calls in flight at the same time while reading; also the size of the connection pool.
    pub connections: usize,
    /// The most changes sent in one call.
    pub batch_size: usize,
    /// How often a call that may be repeated is tried in all.
    pub attempts: usize,
    /// Names of the security roles that make somebody an administrator.
    pub administrator_roles: Vec<String>,
}

/// One LDAP directory: replicas of the same tree, in order of preference.
#[derive(Debug, Clone)]
pub struct Directory {
    /// `ldap://` or `ldaps://` addresses, the preferred one first; never empty.
    pub urls: Vec<Url>,
    /// Who binds; absent means an anonymous bind (or SASL EXTERNAL).
    pub bind_dn: Option<String>,
    /// The password to `bind_dn`; never empty.
    pub bind_password: Option<Credential>,
    /// Whether `ldap://` connections are upgraded by StartTLS (RFC 4511 section 4.14).
    pub start_tls: bool,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The client certificate chain, PEM.
    pub client_cert_file: Option<PathBuf>,
    /// The key of the client certificate, PEM.
    pub client_key_file: Option<PathBuf>,
    /// A SASL mechanism instead of a simple bind.
    pub sasl: Option<Sasl>,
    /// Entries asked for per page (RFC 2696).
    pub page_size: i32,
    /// How long name resolution, connecting and TLS may take together.
    pub connect_timeout: Duration,
    /// How long a bind, or the next message of a search, may take.
    pub operation_timeout: Duration,
    /// Connections at the same time.
    pub pool_size: usize,
    /// Whether a password may go over plain `ldap://` to a host that is not loopback.
    pub allow_plaintext: bool,
    /// The attribute that identifies an entry for ever; found by itself when absent.
    pub id_attribute: Option<String>,
    /// What identifies the directory itself, instead of the id of the naming context's own entry.
    pub id: Option<String>,
    /// Whether a reading of any server is as good as one of the preferred server.
    pub trust_replicas: bool,
}

/// A SASL mechanism (RFC 4422).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sasl {
    /// The identity of the client certificate (RFC 4422 appendix A).
    External,
}
