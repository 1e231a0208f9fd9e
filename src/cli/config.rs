//! The arguments of `config`.

use std::path::PathBuf;

use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

use super::Format;
use crate::model::server_kind::ServerKind;

/// What Active Directory is called as well, on the command line.
const SHORT: &str = "ad";

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the effective configuration, with secrets masked; their files are not read
    Show {
        /// Output format; text is TOML
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print the JSON schema of the configuration file
    Schema,
    /// Print a commented example configuration
    Example {
        /// A short one for this kind of directory instead: active-directory, samba, 389, freeipa,
        /// openldap or generic
        #[arg(long, value_parser = kind_parser())]
        kind: Option<ServerKind>,
    },
    /// Test a job's mapping with LDIF files and the users expected of them; no server is asked
    Test(ConfigTestArgs),
}

/// `config test DIR`
#[derive(Debug, Args)]
pub struct ConfigTestArgs {
    /// Folder with files NAME.ldif, as `ldapsearch -LLL` prints them, and NAME.expected.toml beside
    /// them
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Job whose mapping is tested; may be omitted if only one is configured
    #[arg(long)]
    pub job: Option<String>,
    /// Kind of directory, where it is not configured: active-directory, samba, 389, freeipa, openldap
    /// or generic; otherwise as the entries show it
    #[arg(long, value_parser = kind_parser())]
    pub kind: Option<ServerKind>,
    /// Create the expected files, or update them to what the mapping gives now
    #[arg(long)]
    pub write: bool,
    /// Output format of the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// The names of the kinds of directories.
pub(super) fn kind_parser() -> impl TypedValueParser<Value = ServerKind> {
    let values = ServerKind::ALL.map(|kind| {
        let value = PossibleValue::new(kind.name());
        match kind {
            ServerKind::ActiveDirectory => value.alias(SHORT),
            ServerKind::Samba
            | ServerKind::Ds389
            | ServerKind::FreeIpa
            | ServerKind::OpenLdap
            | ServerKind::Generic => value,
        }
    });
    PossibleValuesParser::new(values).try_map(|name| match &*name {
        SHORT => Ok(ServerKind::ActiveDirectory),
        name => ServerKind::named(name).ok_or("there is no such kind"),
    })
}
