//! `config show`, `config schema` and `config example`: each returns the text for standard output.

use minijinja::{Environment, Value, context};
use serde_json::Value as Json;

use crate::{
    cli::Format,
    command::in_container,
    config::{self, EffectiveConfig, PeopleFilter},
    model::server_kind::ServerKind,
};

/// The effective configuration, with every default filled in and every secret masked.
///
/// # Errors
///
/// When a value cannot be written as TOML, such as a path that is not UTF-8.
pub fn show(config: &EffectiveConfig, format: Format) -> anyhow::Result<String> {
    let text = match format {
        Format::Text if waits_for_a_kind(&serde_json::to_value(config)?) => {
            format!("{BY_KIND}{}", config.to_toml()?)
        }
        Format::Text => config.to_toml()?,
        Format::Json => format!("{:#}\n", serde_json::to_value(config)?),
    };
    Ok(text)
}

/// Whether something follows from a kind that is only detected.
fn waits_for_a_kind(config: &Json) -> bool {
    let tables = |name: &str| config.get(name).and_then(Json::as_object).cloned();
    let mut directories = tables("directories").unwrap_or_default().into_iter();
    let mut jobs = tables("jobs").unwrap_or_default().into_iter();
    let lacks = |job: &Json, key: &str| job.get(key).is_none_or(Json::is_null);
    directories.any(|(_, directory)| directory.get("kind").is_some_and(|kind| kind == "auto"))
        && jobs.any(|(_, job)| {
            let reads = job.get("search_bases").is_some();
            reads && (lacks(&job, "filter") || lacks(&job, "attributes"))
        })
}

/// What the configuration alone does not show.
const BY_KIND: &str = "\
# A filter, attributes or disabled that a job lacks here follow from its directory's kind, which is
# detected: `check` names the kind and the filter, and `config example --kind KIND` shows all of it.
";

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

/// The same for this process: in a container it listens for the published port, and certificates are
/// beside the configuration.
pub(super) fn example_here() -> String {
    if !in_container() {
        return example().to_owned();
    }
    example()
        .replace(
            "# [http]\n# listen = \"127.0.0.1:9464\"\n",
            "[http]\nlisten = \"0.0.0.0:9464\"          # in the container; its published port says who reaches it\n",
        )
        .replace("\"/etc/ssl/studio-ca.pem\"\n", "\"ca.pem\"\n")
        .replace("\"/etc/ssl/studio-ca.pem\"", &format!("{:24}", "\"ca.pem\""))
}

/// A short configuration for a kind of directory, which works but for names and secrets.
///
/// # Errors
/// The template of the program's own is wrong.
pub fn example_of(kind: ServerKind) -> anyhow::Result<String> {
    let Names {
        server,
        bind_dn,
        base,
        ..
    } = names(kind);
    let urls = format!("\"ldaps://{server}1.studio.test\", \"ldaps://{server}2.studio.test\"");
    let values = context! {
        urls,
        ftrack => "\"https://studio.ftrackapp.com\"",
        api_user => "\"ldap-sync\"",
        api_key_file => "\"ftrack-api-key\"",
        bind_dn => format!("'{bind_dn}'"),
        bind_password_file => "\"ldap-password\"",
        base => format!("'{base}'"),
        timezone => "Europe/Stockholm",
        is_container => in_container(),
    };
    of_template(kind, values)
}

/// The configuration for a kind of directory, with these values, which are TOML.
///
/// # Errors
/// The template of the program's own is wrong.
pub(super) fn of_template(kind: ServerKind, values: Value) -> anyhow::Result<String> {
    let mapping = config::default_mapping(kind);
    let attributes: Vec<(&str, String)> = ["username", "email", "first_name", "last_name"]
        .into_iter()
        .filter_map(|key| Some((key, mapping.get(key)?.from.to_string())))
        .collect();
    let values = context! {
        product => names(kind).product,
        kind => kind.name(),
        is_domain => kind.is_active_directory(),
        needs_disabled => kind == ServerKind::OpenLdap,
        filter => written(PeopleFilter::of_kind(kind).where_known(|_| false).as_str()),
        attributes,
        ..values
    };
    let template = include_str!("../../config/by-kind.toml.jinja");
    Ok(Environment::new().render_str(template, values)? + "\n")
}

/// A filter in TOML, each thing that it excludes on a line of its own.
fn written(filter: &str) -> String {
    // Where a condition ends and a NOT begins.
    const EXCLUSION: &str = ")(!(";
    if !filter.contains(EXCLUSION) {
        return format!("'{filter}'");
    }
    let escaped = filter.replace('\\', "\\\\");
    let lines = escaped.replace(EXCLUSION, ")\\\n    (!(");
    format!("\"\"\"\\\n    {lines}\"\"\"")
}

/// What is called differently in each kind of directory.
struct Names {
    product: &'static str,
    server: &'static str,
    bind_dn: &'static str,
    base: &'static str,
}

fn names(kind: ServerKind) -> Names {
    let of_ldap = |product| Names {
        product,
        server: "ldap",
        bind_dn: "cn=ldap-sync,ou=services,dc=studio,dc=test",
        base: "ou=people,dc=studio,dc=test",
    };
    let of_domain = |product| Names {
        product,
        server: "dc",
        bind_dn: "ldap-sync@studio.test",
        base: "OU=Artists,DC=studio,DC=test",
    };
    match kind {
        ServerKind::ActiveDirectory => of_domain("Active Directory"),
        ServerKind::Samba => of_domain("a Samba domain"),
        ServerKind::Ds389 => of_ldap("389 Directory Server"),
        ServerKind::FreeIpa => Names {
            product: "FreeIPA",
            server: "ipa",
            bind_dn: "uid=ldap-sync,cn=sysaccounts,cn=etc,dc=studio,dc=test",
            base: "cn=users,cn=accounts,dc=studio,dc=test",
        },
        ServerKind::OpenLdap => of_ldap("OpenLDAP"),
        ServerKind::Generic => of_ldap("an LDAP directory"),
    }
}
