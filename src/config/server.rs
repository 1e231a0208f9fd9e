//! The two kinds of servers: ftrack and LDAP directories.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::Credential;

/// `[ftrack]`, checked.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Ftrack {
    /// `https`, or `http` to a loopback host.
    pub server: Url,
    /// The ftrack user as whom the API key acts.
    pub api_user: String,
    pub api_key: Credential,
    /// The key that signs links, the same on all hosts; links are not signed without it.
    pub link_key: Option<Credential>,
    /// Certificates to trust instead of the system's, for a server with its own certificate
    /// authority.
    pub ca_file: Option<PathBuf>,
    /// Time limit for a connection.
    pub connect_timeout: Duration,
    /// Time limit for one call, from the first byte sent to the last received.
    pub request_timeout: Duration,
    /// Rows per page.
    pub page_size: u32,
    /// Calls in flight at the same time while reading; also the size of the connection pool.
    pub connections: usize,
    /// The maximum number of changes in one call.
    pub batch_size: usize,
    /// The maximum number of attempts for a call that may be repeated.
    pub attempts: usize,
    /// The security roles that make a user an administrator.
    pub administrator_roles: Vec<String>,
}

/// One LDAP directory: replicas of the same tree, in order of preference.
#[derive(Debug, Clone)]
pub struct Directory {
    /// `ldap://` or `ldaps://` addresses, the preferred one first; never empty.
    pub urls: Vec<Url>,
    /// The bind DN; absent for an anonymous bind (or SASL EXTERNAL).
    pub bind_dn: Option<String>,
    /// The password for `bind_dn`; never empty.
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
    /// Entries per page (RFC 2696).
    pub page_size: i32,
    /// Time limit for name resolution, connecting and TLS together.
    pub connect_timeout: Duration,
    /// Time limit for a bind, or for the next message of a search.
    pub operation_timeout: Duration,
    /// The maximum number of open connections.
    pub pool_size: usize,
    /// Whether a password may go over plain `ldap://` to a host that is not loopback.
    pub allow_plaintext: bool,
    /// The attribute that identifies an entry permanently; detected when absent.
    pub id_attribute: Option<String>,
    /// Identifies the directory itself, instead of the id of the naming context's own entry.
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
