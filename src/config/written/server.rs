//! The tables of the servers as they are written: `[ftrack]` and `[directories.NAME]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;
use crate::config::Secret;

/// The ftrack server and how to connect to it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Ftrack {
    /// The server's address, such as `https://studio.ftrackapp.com`; `http` only to this machine.
    /// Required, here or in the variable FTRACK_SERVER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The ftrack user as whom the API key acts. Required, here or in the variable FTRACK_API_USER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_user: Option<String>,
    /// The API key, a secret; preferably in a file of its own, see `api_key_file`. Required, here,
    /// there or in the variable FTRACK_API_KEY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// A file that contains only the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// The key that signs the links in ftrack, a secret of at least 16 characters, the same on all
    /// hosts; preferably in a file of its own, see `link_key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_key: Option<Secret>,
    /// A file that contains only the key that signs the links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_key_file: Option<PathBuf>,
    /// A PEM file of certificates to trust instead of the system's, for a server with its own
    /// certificate authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Time limit for a connection.
    pub connect_timeout: Period,
    /// Time limit for one call.
    pub request_timeout: Period,
    /// Rows per page.
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i64,
    /// Calls in flight at the same time while reading.
    #[schemars(range(min = 1, max = 64))]
    pub connections: i64,
    /// The maximum number of changes in one call.
    #[schemars(range(min = 1, max = 1_000))]
    pub batch_size: i64,
    /// The maximum number of attempts for a call that may be repeated.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: i64,
    /// The security roles that make a user an administrator; administrators are never adopted,
    /// their login, mail and activity change only with a person's approval, and the last active one
    /// is never deactivated.
    pub administrator_roles: Vec<String>,
}

impl Default for Ftrack {
    fn default() -> Self {
        Self {
            server: None,
            api_user: None,
            api_key: None,
            api_key_file: None,
            link_key: None,
            link_key_file: None,
            ca_file: None,
            connect_timeout: Period::new("5s"),
            request_timeout: Period::new("60s"),
            page_size: 500,
            connections: 4,
            batch_size: 100,
            attempts: 5,
            administrator_roles: vec!["Administrator".to_owned()],
        }
    }
}

/// One LDAP directory: replicas of the same tree.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Directory {
    /// `ldaps://` or `ldap://` addresses of replicas, the preferred one first; required.
    pub urls: Vec<String>,
    /// The bind DN; an anonymous bind when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// The password for `bind_dn`, a secret; preferably in a file of its own, see
    /// `bind_password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password: Option<Secret>,
    /// A file that contains only the password for `bind_dn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password_file: Option<PathBuf>,
    /// Whether `ldap://` connections are upgraded to TLS by StartTLS before anything else is sent.
    pub start_tls: bool,
    /// A PEM file of certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file of the client certificate and its issuers; needs `client_key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert_file: Option<PathBuf>,
    /// A PEM file of the client certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<PathBuf>,
    /// A SASL mechanism instead of a bind with a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// Entries per page; servers refuse more than their own limit, which is 1000 for Active
    /// Directory.
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i64,
    /// Time limit for name resolution, connecting and TLS together.
    pub connect_timeout: Period,
    /// Time limit for a bind, or for the next message of a search.
    pub operation_timeout: Period,
    /// The maximum number of open connections.
    #[schemars(range(min = 1, max = 64))]
    pub pool_size: i64,
    /// Whether a password may go over plain `ldap://` to another machine, where anybody on the
    /// network can read it.
    pub allow_plaintext: bool,
    /// The attribute that identifies an entry permanently; entryUUID, objectGUID, nsUniqueId or
    /// ipaUniqueID is detected when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_attribute: Option<String>,
    /// Identifies the directory itself, where the id of its naming context's own entry cannot be
    /// read; never change it afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether a reading of any server is as good as one of the first; otherwise a reading of
    /// another server only creates users.
    pub trust_replicas: bool,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            bind_dn: None,
            bind_password: None,
            bind_password_file: None,
            start_tls: false,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            sasl: None,
            // Active Directory's MaxPageSize; OpenLDAP's default size limit does not allow larger
            // pages either.
            page_size: 1000,
            connect_timeout: Period::new("5s"),
            operation_timeout: Period::new("30s"),
            pool_size: 4,
            allow_plaintext: false,
            id_attribute: None,
            id: None,
            trust_replicas: false,
        }
    }
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "lowercase",
    expecting = "the name of a SASL mechanism in quotes"
)]
pub enum Sasl {
    /// The identity of the client certificate.
    External,
}
