//! `config show`, `config schema` and `config example`: each returns the text for standard output.

use crate::{
    cli::Format,
    config::{self, EffectiveConfig},
};

/// The effective configuration, with every default filled in and every secret masked.
///
/// # Errors
///
/// When a value cannot be written as TOML, such as a path that is not UTF-8.
pub fn show(config: &EffectiveConfig, format: Format) -> anyhow::Result<String> {
    let text = match format {
        Format::Text => config.to_toml()?,
        Format::Json => format!("{:#}\n", serde_json::to_value(config)?),
    };
    Ok(text)
}

/// The JSON schema of the configuration file, for editors and other checkers.
#[must_use]
pub fn schema() -> String {
    format!("{:#}\n", config::schema())
}

/// A commented example with every configuration key.
#[must_use]
pub const fn example() -> &'static str {
    include_str!("../../config/ftrack-ldap-sync.toml")
}
