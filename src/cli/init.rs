//! The arguments of `init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::config::kind_parser;
use crate::model::server_kind::ServerKind;

/// `init`
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Directory server: a URL such as ldaps://ldap1.studio.test, a host, or a domain whose DNS
    /// records name its servers; several are separated by commas, the preferred one first
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    pub server: Vec<String>,
    /// PEM file of certificates to trust for the directory instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Kind of directory: active-directory, samba, 389, freeipa, openldap or generic; otherwise as the
    /// server shows itself
    #[arg(long, value_parser = kind_parser())]
    pub kind: Option<ServerKind>,
    /// How the directory is entered, if not with a password
    #[arg(long, value_enum, value_name = "METHOD")]
    pub bind: Option<BindWith>,
    /// Account that reads the directory
    #[arg(long, value_name = "DN")]
    pub bind_dn: Option<String>,
    /// File that contains only its password
    #[arg(long, value_name = "FILE")]
    pub bind_password_file: Option<PathBuf>,
    /// PEM file of the client certificate that is the account's (external)
    #[arg(long, value_name = "FILE", requires = "client_key_file")]
    pub client_cert_file: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    pub client_key_file: Option<PathBuf>,
    /// Kerberos principal of the account, if not the only one of the keytab or the credential cache
    /// (gssapi)
    #[arg(long, value_name = "NAME@REALM")]
    pub principal: Option<String>,
    /// Where people are searched for
    #[arg(long, value_name = "DN")]
    pub base: Option<String>,
    /// Address of ftrack, such as https://studio.ftrackapp.com
    #[arg(long, value_name = "URL")]
    pub ftrack: Option<String>,
    /// PEM file of certificates to trust for ftrack instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ftrack_ca_file: Option<PathBuf>,
    /// ftrack user as whom the API key acts
    #[arg(long, value_name = "LOGIN")]
    pub api_user: Option<String>,
    /// File that contains only the API key
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Directory for reports and the state database, if not /var/lib/ftrack-ldap-sync
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file to write, if not that of --config; secrets that are typed are written beside
    /// it, each to a file of its own
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace files that exist; without it, secrets that are saved beside the configuration, as
    /// ldap-password and ftrack-api-key, are used
    #[arg(long)]
    pub force: bool,
}

/// How the directory is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BindWith {
    /// With a bind DN and its password
    Password,
    /// By SASL EXTERNAL: as the account of a client certificate, or on an ldapi:// socket as that of the
    /// user who runs the program
    External,
    /// By SASL GSSAPI: with a Kerberos ticket, of a keytab or a credential cache
    Gssapi,
    /// As nobody in particular
    Anonymous,
}

impl BindWith {
    /// All of them, the most usual first.
    pub const ALL: [Self; 4] = [
        Self::Password,
        Self::External,
        Self::Gssapi,
        Self::Anonymous,
    ];

    /// Its name on the command line, and where it is asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::External => "external",
            Self::Gssapi => "gssapi",
            Self::Anonymous => "anonymous",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bind| bind.name() == name)
    }
}

impl InitArgs {
    /// The way in which the directory is entered: the given one, or that which the other options are for.
    #[must_use]
    pub fn bind_with(&self) -> BindWith {
        if let Some(bind) = self.bind {
            bind
        } else if self.client_cert_file.is_some() {
            BindWith::External
        } else if self.principal.is_some() {
            BindWith::Gssapi
        } else {
            BindWith::Password
        }
    }
}
