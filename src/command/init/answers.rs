//! What was answered, and the configuration that it makes.

use std::path::{Path, PathBuf};

use minijinja::{Value, context};
use toml::Value as Toml;
use url::{Host, Url};

use super::{InitArgs, KEY_FILE, PASSWORD_FILE, beside};
use crate::{
    command::config::of_template,
    config::{Environment, Secret, is_socket},
    model::server_kind::ServerKind,
};

/// What stands for what was not answered yet; nothing is asked of it.
const UNKNOWN_FTRACK: &str = "https://unknown.invalid";
const UNKNOWN_BASE: &str = "dc=unknown";

/// Where the zone of this machine stands, and what precedes its name in that link.
const ZONE_LINK: &str = "/etc/localtime";
const ZONES: &str = "zoneinfo/";

/// The answers so far.
#[derive(Debug, Default)]
pub struct Answers {
    pub servers: Servers,
    pub ca_file: Option<PathBuf>,
    pub kind: ServerKind,
    /// None while it is not known: the server is asked without.
    pub bind: Option<Bind>,
    pub base: Option<String>,
    pub ftrack: Option<String>,
    pub ftrack_ca_file: Option<PathBuf>,
    pub api_user: Option<String>,
    pub key: Option<Typed>,
    /// Copies of files that a service could not read where they are.
    pub copies: Vec<Copied>,
    state_dir: Option<PathBuf>,
    /// The folder in which the configuration will be.
    folder: PathBuf,
    /// Whether the program runs in a container: its probes come from outside.
    is_container: bool,
}

/// A copy of a file, which is written beside the configuration.
#[derive(Debug)]
pub struct Copied {
    /// Its name there.
    pub name: &'static str,
    /// Its rights.
    pub mode: u32,
    /// What it contains; of some it is a key.
    pub content: Secret,
}

/// The servers of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// By their URLs, the preferred one first.
    Urls(Vec<Url>),
    /// By the DNS records of a domain.
    Domain(String),
}

impl Default for Servers {
    fn default() -> Self {
        Self::Urls(Vec::new())
    }
}

/// How the directory is entered.
#[derive(Debug, Clone)]
pub enum Bind {
    /// By a DN with its password.
    Password(String, Typed),
    /// By a client certificate and its key, in these files, or as the program's user on a socket.
    External(Option<(PathBuf, PathBuf)>),
    /// With a Kerberos ticket, for this principal if there are several.
    Gssapi(Option<String>),
    /// As nobody in particular.
    Anonymous,
}

/// A secret: in a file of its own already, or to be written to one.
#[derive(Debug, Clone)]
pub enum Typed {
    /// In this file, by its absolute path.
    InFile(PathBuf),
    /// Typed.
    Now(Secret),
}

impl Typed {
    /// The file that the configuration names: one of its own name beside the configuration by that
    /// name alone, as which a service is given it.
    fn file(&self, own: &str, folder: &Path) -> String {
        match self {
            Self::InFile(path) if !self.is_at(&folder.join(own)) => path.display().to_string(),
            Self::InFile(_) | Self::Now(_) => own.to_owned(),
        }
    }

    /// Whether it is in this file already.
    fn is_at(&self, file: &Path) -> bool {
        match self {
            Self::InFile(path) => path == file,
            Self::Now(_) => false,
        }
    }
}

impl Answers {
    /// Only what is not asked.
    pub fn new(args: &InitArgs, out: &Path) -> Self {
        Self {
            folder: beside(out).to_owned(),
            ca_file: args.ca_file.as_deref().map(absolute),
            ftrack_ca_file: args.ftrack_ca_file.as_deref().map(absolute),
            is_container: Environment::of_process().is_container(),
            state_dir: args.state_dir.as_deref().map(absolute),
            ..Self::default()
        }
    }

    /// The secrets, with the names of their own files.
    fn secrets(&self) -> impl Iterator<Item = (&'static str, &Typed)> {
        let password = match &self.bind {
            Some(Bind::Password(_, password)) => Some(password),
            Some(Bind::External(_) | Bind::Gssapi(_) | Bind::Anonymous) | None => None,
        };
        let both = [(PASSWORD_FILE, password), (KEY_FILE, self.key.as_ref())];
        let both = both.into_iter();
        both.filter_map(|(name, secret)| Some((name, secret?)))
    }

    /// The names of the files for the secrets that were typed.
    pub fn typed(&self) -> Vec<&'static str> {
        let typed = self.secrets().filter(|(_, secret)| match secret {
            Typed::Now(_) => true,
            Typed::InFile(_) => false,
        });
        typed.map(|(name, _)| name).collect()
    }

    /// The files of secrets that are in their places already, with their names there.
    pub fn in_place(&self) -> Vec<(&'static str, PathBuf)> {
        let files = self.secrets().map(|(name, secret)| {
            let file = self.folder.join(name);
            secret.is_at(&file).then_some((name, file))
        });
        files.flatten().collect()
    }

    /// What is to be written beside the configuration: the names of the files, their rights, and what they
    /// contain.
    pub fn files(&self) -> Vec<(&'static str, u32, &Secret)> {
        let typed = self.secrets().filter_map(|(name, secret)| match secret {
            Typed::Now(secret) => Some((name, 0o600, secret)),
            Typed::InFile(_) => None,
        });
        let copies = self.copies.iter();
        let copies = copies.map(|copy| (copy.name, copy.mode, &copy.content));
        typed.chain(copies).collect()
    }

    /// The configuration; what is not known yet is filled with something that is never asked.
    ///
    /// # Errors
    /// The template of the program's own is wrong.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        self.to_toml_in(None)
    }

    /// The same for this folder: files in it are named relative to it, so that all of it can be moved.
    ///
    /// # Errors
    /// The template of the program's own is wrong.
    pub fn to_toml_in(&self, folder: Option<&Path>) -> anyhow::Result<String> {
        let inside = |file: &Path| {
            let inside = folder.and_then(|folder| file.strip_prefix(folder).ok());
            inside.unwrap_or(file).to_owned()
        };
        // The state is not moved with the configuration.
        let state_dir = self.state_dir.as_deref().map(path);
        let path = |file: &Path| path(&inside(file));
        let secret = |typed: &Typed, own: &str| {
            quoted(
                inside(Path::new(&typed.file(own, &self.folder)))
                    .display()
                    .to_string(),
            )
        };
        let (urls, srv) = match &self.servers {
            Servers::Urls(urls) => {
                let urls: Vec<String> = urls.iter().map(|url| quoted(shown(url))).collect();
                (urls.join(", "), None)
            }
            Servers::Domain(domain) => (String::new(), Some(quoted(domain))),
        };
        let (password, sasl, certificate, principal) = match &self.bind {
            Some(Bind::Password(dn, password)) => (Some((dn, password)), None, None, None),
            Some(Bind::External(files)) => (None, Some("external"), files.as_ref(), None),
            Some(Bind::Gssapi(principal)) => (None, Some("gssapi"), None, principal.as_deref()),
            Some(Bind::Anonymous) | None => (None, None, None, None),
        };
        let base = self.base.as_deref().unwrap_or(UNKNOWN_BASE);
        let key = self.key.as_ref();
        let values: Value = context! {
            is_written => true,
            state_dir,
            is_container => self.is_container,
            ftrack_ca_file => self.ftrack_ca_file.as_deref().map(path),
            ftrack => quoted(self.ftrack.as_deref().unwrap_or(UNKNOWN_FTRACK)),
            api_user => quoted(self.api_user.as_deref().unwrap_or("unknown")),
            api_key_file => key.map_or_else(|| quoted(KEY_FILE), |key| secret(key, KEY_FILE)),
            srv,
            urls,
            bind_dn => password.map(|(dn, _)| quoted(dn)),
            bind_password_file => password.map(|(_, password)| secret(password, PASSWORD_FILE)),
            sasl,
            client_cert_file => certificate.map(|(certificate, _)| path(certificate)),
            client_key_file => certificate.map(|(_, key)| path(key)),
            principal => principal.map(quoted),
            start_tls => self.needs_start_tls(),
            ca_file => self.ca_file.as_deref().map(path),
            timezone => zone(),
            base => quoted(base),
        };
        of_template(self.kind, values)
    }

    /// Whether a password would go over the network in plain text otherwise, or nobody would see the
    /// client certificate. With a ticket, each message is sealed.
    fn needs_start_tls(&self) -> bool {
        let Servers::Urls(urls) = &self.servers else {
            return false;
        };
        let mut plain = urls.iter().filter(|url| url.scheme() == "ldap");
        match &self.bind {
            Some(Bind::External(Some(_))) => plain.next().is_some(),
            Some(Bind::Gssapi(_)) => false,
            Some(Bind::Password(..) | Bind::External(None) | Bind::Anonymous) | None => {
                plain.any(|url| !is_here(url))
            }
        }
    }

    /// Whether all servers are sockets of this machine.
    pub fn are_sockets(&self) -> bool {
        match &self.servers {
            Servers::Urls(urls) => !urls.is_empty() && urls.iter().all(is_socket),
            Servers::Domain(_) => false,
        }
    }
}

/// Whether a URL is that of this machine.
fn is_here(url: &Url) -> bool {
    match url.host_str().map(Host::parse) {
        Some(Ok(Host::Domain(name))) => name == "localhost",
        Some(Ok(Host::Ipv4(address))) => address.is_loopback(),
        Some(Ok(Host::Ipv6(address))) => address.is_loopback(),
        Some(Err(_)) | None => false,
    }
}

fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// A text as it stands in TOML.
fn quoted(text: impl Into<String>) -> String {
    Toml::String(text.into()).to_string()
}

fn path(path: &Path) -> String {
    quoted(path.display().to_string())
}

pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The time zone of this machine, or UTC.
fn zone() -> String {
    let link = std::fs::read_link(ZONE_LINK).unwrap_or_default();
    let link = link.to_string_lossy().into_owned();
    let name = link.rsplit_once(ZONES).map(|(_, name)| name);
    let known = name.and_then(|name| name.parse::<chrono_tz::Tz>().ok());
    known.map_or_else(|| "UTC".to_owned(), |zone| zone.name().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_answer_leaves_its_place() {
        let odd = "a\"b'c\\d\n[x]\ny = 1 {{ z }}";
        let answers = Answers {
            servers: Servers::Urls(vec!["ldap://ldap.studio.test".parse().unwrap()]),
            ca_file: Some(odd.into()),
            kind: ServerKind::OpenLdap,
            bind: Some(Bind::Password(odd.into(), Typed::InFile(odd.into()))),
            base: Some(odd.into()),
            ftrack: Some(odd.into()),
            ftrack_ca_file: Some(odd.into()),
            api_user: Some(odd.into()),
            key: Some(Typed::Now(Secret::new("planted".into()))),
            copies: Vec::new(),
            state_dir: Some(odd.into()),
            folder: PathBuf::new(),
            is_container: false,
        };
        let text = answers.to_toml().unwrap();
        assert!(!text.contains("planted"), "{text}");
        let config: toml::Table = text.parse().unwrap();
        let directory = &config["directories"]["studio"];
        for value in [
            &config["state_dir"],
            &config["ftrack"]["server"],
            &config["ftrack"]["ca_file"],
            &config["ftrack"]["api_user"],
            &directory["bind_dn"],
            &directory["bind_password_file"],
            &directory["ca_file"],
            &config["jobs"]["artists"]["search_bases"][0],
        ] {
            assert_eq!(value.as_str(), Some(odd));
        }
        assert_eq!(
            directory["urls"][0].as_str(),
            Some("ldap://ldap.studio.test")
        );
        assert_eq!(directory["start_tls"].as_bool(), Some(true));
        assert_eq!(config["ftrack"]["api_key_file"].as_str(), Some(KEY_FILE));
        assert!(!config.contains_key("x") && config.len() == 4, "{text}");
    }

    #[test]
    fn each_way_to_enter_is_a_configuration_of_its_own() {
        let odd = "a\"b'c\\d\n[x]";
        for (bind, keys) in [
            (
                Bind::External(Some((odd.into(), odd.into()))),
                &["client_cert_file", "client_key_file", "sasl"][..],
            ),
            (Bind::External(None), &["sasl"]),
            (Bind::Gssapi(Some(odd.into())), &["principal", "sasl"]),
            (Bind::Gssapi(None), &["sasl"]),
            (Bind::Anonymous, &[]),
        ] {
            let answers = Answers {
                bind: Some(bind),
                ..Answers::default()
            };
            let config: toml::Table = answers.to_toml().unwrap().parse().unwrap();
            let directory = config["directories"]["studio"].as_table().unwrap();
            let mut found: Vec<&str> = directory
                .keys()
                .map(String::as_str)
                .filter(|key| !["kind", "urls"].contains(key))
                .collect();
            found.sort_unstable();
            assert_eq!(found, keys);
            for key in keys.iter().filter(|key| **key != "sasl") {
                assert_eq!(directory[*key].as_str(), Some(odd), "{key}");
            }
        }
    }

    #[test]
    fn only_plain_connections_to_other_machines_are_upgraded() {
        for (url, upgraded) in [
            ("ldap://ldap.studio.test", true),
            ("ldap://192.0.2.1", true),
            ("ldap://localhost:389", false),
            ("ldap://127.0.0.1:389", false),
            ("ldap://[::1]", false),
            ("ldaps://ldap.studio.test", false),
            ("ldapi:///", false),
        ] {
            let answers = Answers {
                servers: Servers::Urls(vec![url.parse().unwrap()]),
                ..Answers::default()
            };
            assert_eq!(answers.needs_start_tls(), upgraded, "{url}");
        }
    }
}
