//! The tables of the servers as they are written: `[ftrack]` and `[directories.NAME]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;
use crate::config::Secret;

/// The ftrack server and how to talk to it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Ftrack {
    /// The server's address, such as `https://studio.ftrackapp.com`; `http` only to this machine.
    /// Required, here or in the variable FTRACK_SERVER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The ftrack user whom the key acts as. Required, here or in the variable FTRACK_API_USER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_user: Option<String>,
    /// The API key, a secret; better kept in a file of its own, see `api_key_file`. Required, here,
    /// there or in the variable FTRACK_API_KEY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// A file that holds nothing but the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// The key that signs the links at ftrack, a secret of at least 16 characters, the same on all
    /// hosts; better kept in a file of its own, see `link_key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_key: Option<Secret>,
    /// A file that holds nothing but the key that signs the links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_key_file: Option<PathBuf>,
    /// A PEM file of certificates to trust instead of the system's, for a server of the studio's
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take.
    pub connect_timeout: Period,
    /// How long one call may take.
    pub request_timeout: Period,
    /// Rows asked for at a time.
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i64,
    /// Calls in flight at the same time while reading.
    #[schemars(range(min = 1, max = 64))]
    pub connections: i64,
    /// The most changes sent in one call.
    #[schemars(range(min = 1, max = 1_000))]
    pub batch_size: i64,
    /// How often a call that may be repeated is tried in all.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: i64,
    /// The security roles that make somebody an administrator; administrators are never adopted,
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
    /// Who binds, a DN; an anonymous bind when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// The password to `bind_dn`, a secret; better kept in a file of its own, see
    /// `bind_password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password: Option<Secret>,
    /// A file that holds nothing but the password to `bind_dn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_password_file: Option<PathBuf>,
    /// Whether `ldap://` connections are upgraded to TLS by StartTLS before anything else is said.
    pub start_tls: bool,
    /// A PEM file of certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file of the client certificate and what it was signed with; needs `client_key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert_file: Option<PathBuf>,
    /// A PEM file of the client certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<PathBuf>,
    /// A SASL mechanism instead of a bind with a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// Entries asked for per page; servers refuse more than their own limit, which is 1000 for
    /// Active Directory.
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i64,
    /// How long name resolution, connecting and TLS may take together.
    pub connect_timeout: Period,
    /// How long a bind, or the next message of a search, may take.
    pub operation_timeout: Period,
    /// Connections at the same time.
    #[schemars(range(min = 1, max = 64))]
    pub pool_size: i64,
    /// Whether a password may go over plain `ldap://` to another machine, where anybody on the way
    /// can read it.
    pub allow_plaintext: bool,
    /// The attribute that identifies an entry for ever; entryUUID, objectGUID, nsUniqueId or
    /// ipaUniqueID is found by itself when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_attribute: Option<String>,
    /// What identifies the directory itself, where the id of its naming context's own entry cannot
    /// be read; never change it afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether a reading of any server is as good as one of the first; otherwise one of another
    /// server writes nothing but creates.
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
            // Active Directory's MaxPageSize; OpenLDAP's default size limit lets no greater page
            // through either.
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
