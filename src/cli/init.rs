//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args;

use super::config::kind_parser;
use crate::model::server_kind::ServerKind;

/// `init`
#[derive(Debug, Args)]
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
    /// Account that reads the directory
    #[arg(long, value_name = "DN")]
    pub bind_dn: Option<String>,
    /// File that contains only its password
    #[arg(long, value_name = "FILE")]
    pub bind_password_file: Option<PathBuf>,
    /// Where people are searched for
    #[arg(long, value_name = "DN")]
    pub base: Option<String>,
    /// Address of ftrack, such as https://studio.ftrackapp.com
    #[arg(long, value_name = "URL")]
    pub ftrack: Option<String>,
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
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
}
