//! The layers of a configuration, from the lowest: ftrack's own variables, the file, the files of
//! its `config.d`, the environment. The only reader of the environment.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use super::{
    document::{self, Document},
    files,
    finding::{Finding, KeyPath, Place},
    notes::Notes,
    schema::{Kind, Kinds},
};

/// The prefix of the program's own variables.
pub(super) const PREFIX: &str = "FTRACK_LDAP_SYNC_";
/// What systemd, Podman and the image of this program name a container with.
const CONTAINER: &str = "container";

/// ftrack's own variables, and the keys of `[ftrack]` that they provide.
const FTRACK_VARIABLES: [(&str, &str); 3] = [
    ("FTRACK_SERVER", "server"),
    ("FTRACK_API_USER", "api_user"),
    ("FTRACK_API_KEY", "api_key"),
];

/// The maximum number of levels in the name of a variable.
const DEEPEST: usize = 16;

/// The environment variables that matter to a configuration; its `Debug` form shows only their
/// names.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// The longest login of a person who called sudo, in characters.
const LONGEST_LOGIN: usize = 256;

/// The variable that names the proxy for URLs with this scheme, as the HTTP client looks for it.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
pub fn proxy_variable(scheme: &str) -> Option<&'static str> {
    let own = if scheme == "https" {
        ["HTTPS_PROXY", "https_proxy"]
    } else {
        ["HTTP_PROXY", "http_proxy"]
    };
    own.into_iter()
        .chain(["ALL_PROXY", "all_proxy"])
        .find(|name| std::env::var(name).is_ok_and(|value| !value.is_empty()))
}

/// A variable of the Kerberos library, which reads it itself.
#[allow(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
pub(super) fn kerberos_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "the one reader of the environment"
    )]
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// An environment with these variables.
    pub fn new<N: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into().into_string().ok()?, value.into())));
        let matters = |name: &str| {
            name.starts_with(PREFIX)
                || matches!(
                    name,
                    "CREDENTIALS_DIRECTORY" | "COLUMNS" | "SUDO_USER" | "NOTIFY_SOCKET" | CONTAINER
                )
                || FTRACK_VARIABLES
                    .iter()
                    .any(|(variable, _)| *variable == name)
        };
        Self {
            variables: variables.filter(|(name, _)| matters(name)).collect(),
        }
    }

    /// The directory in which systemd provides credentials.
    #[must_use]
    pub fn credentials_directory(&self) -> Option<PathBuf> {
        self.variables
            .get("CREDENTIALS_DIRECTORY")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }
}

impl Environment {
    /// The width of a terminal that does not report it, in columns.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        let columns = self.variables.get("COLUMNS")?.to_str()?.parse().ok();
        columns.filter(|columns| *columns > 0)
    }

    /// The control socket that a variable names, whatever the configuration says.
    #[must_use]
    pub fn control_socket(&self) -> Option<PathBuf> {
        let path = self.variables.get("FTRACK_LDAP_SYNC_CONTROL_SOCKET")?;
        (!path.is_empty()).then(|| path.into())
    }

    /// Whether this process runs in a container, whose engine or image says so.
    #[must_use]
    pub fn is_container(&self) -> bool {
        let container = self.variables.get(CONTAINER);
        container.is_some_and(|container| !container.is_empty())
    }

    /// The program's name, as a person of this machine types it for its commands: with sudo where it
    /// runs as a service of systemd, or through sudo itself.
    #[must_use]
    pub fn program(&self) -> &'static str {
        let is_service = self.variables.contains_key("NOTIFY_SOCKET");
        if !self.is_container() && (is_service || self.sudo_user().is_some()) {
            "sudo ftrack-ldap-sync"
        } else {
            "ftrack-ldap-sync"
        }
    }

    /// The login of the person who called sudo, as sudo names it; at most 256 characters.
    #[must_use]
    pub fn sudo_user(&self) -> Option<String> {
        let login = self.variables.get("SUDO_USER")?.to_string_lossy();
        (!login.is_empty()).then(|| login.chars().take(LONGEST_LOGIN).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Reads and merges every layer; `None` when a file is not TOML, which the notes then report.
pub fn read(path: &Path, environment: &Environment, notes: &mut Notes) -> Option<Dict> {
    let mut layers = vec![ftrack_variables(environment), file(path)];
    layers.extend(fragments(path));
    layers.push(variables(environment));
    let mut values = Vec::with_capacity(layers.len());
    let mut readable = true;
    for layer in layers {
        notes.learn(layer.places);
        for finding in layer.findings {
            readable &= !finding.key.is_top();
            notes.add(finding);
        }
        values.push(layer.values);
    }
    replace_secrets(&mut values);
    readable.then(|| merge(values)).flatten()
}

/// Merges tables key by key; otherwise the later value wins.
fn merge(layers: Vec<Dict>) -> Option<Dict> {
    struct Layer(Dict);
    impl Provider for Layer {
        fn metadata(&self) -> Metadata {
            Metadata::named("layer")
        }

        fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
            Ok(Profile::Default.collect(self.0.clone()))
        }
    }
    let figment = layers
        .into_iter()
        .fold(Figment::new(), |figment, layer| figment.merge(Layer(layer)));
    figment
        .data()
        .ok()
        .map(|mut profiles| profiles.remove(&Profile::Default).unwrap_or_default())
}

/// A secret and the file of a secret are two ways to write one value: the later layer's replaces
/// the earlier one's, whichever way each uses.
fn replace_secrets(layers: &mut [Dict]) {
    let known = Kinds::new().secrets();
    for later in 1..layers.len() {
        let (before, after) = layers.split_at_mut(later);
        let Some(layer) = after.first() else { continue };
        for (table, secret) in &known {
            let file = format!("{secret}_file");
            for (way, secrets) in tables(layer, table) {
                let written = (secrets.contains_key(secret), secrets.contains_key(&file));
                let replaced = match written {
                    (true, false) => &file,
                    (false, true) => secret,
                    (true, true) | (false, false) => continue,
                };
                before
                    .iter_mut()
                    .for_each(|layer| remove(layer, &way, replaced));
            }
        }
    }
}

/// The tables that match a pattern, each with its path.
fn tables<'d>(dict: &'d Dict, pattern: &[String]) -> Vec<(Vec<String>, &'d Dict)> {
    let Some((first, rest)) = pattern.split_first() else {
        return vec![(Vec::new(), dict)];
    };
    let mut found = Vec::new();
    for (key, value) in dict
        .iter()
        .filter(|(key, _)| *first == "*" || first == *key)
    {
        let Some(inner) = value.as_dict() else {
            continue;
        };
        for (mut way, table) in tables(inner, rest) {
            way.insert(0, key.clone());
            found.push((way, table));
        }
    }
    found
}

fn remove(dict: &mut Dict, way: &[String], key: &str) {
    match way.split_first() {
        None => {
            dict.remove(key);
        }
        Some((first, rest)) => {
            if let Some(Value::Dict(_, inner)) = dict.get_mut(first) {
                remove(inner, rest, key);
            }
        }
    }
}

/// The layer of one file.
fn file(path: &Path) -> Document {
    if matches!(path.try_exists(), Ok(false)) {
        let way_out = "no configuration found; `ftrack-ldap-sync init` asks for what one needs and \
            writes it, `ftrack-ldap-sync config example` prints an example, and --config names a \
            file elsewhere";
        return unreadable(path, way_out.to_owned());
    }
    match files::read(path, files::CONFIGURATION_LIMIT) {
        Ok(content) => match String::from_utf8(content) {
            Ok(text) => document::parse(path, &text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = error.as_bytes().iter().take(valid);
                let line = before.filter(|byte| **byte == b'\n').count() + 1;
                let problem = "is not UTF-8 text; save the file in that encoding".to_owned();
                unusable(path, Some(line), problem)
            }
        },
        Err(problem) => unreadable(path, problem),
    }
}

/// The layers of the files `config.d/*.toml` beside the file, in the order of their names; hidden
/// files are ignored.
fn fragments(path: &Path) -> Vec<Document> {
    let folder = path.with_file_name("config.d");
    let listed = fs::read_dir(&folder).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => return vec![unreadable(&folder, format!("cannot be read: {error}"))],
    };
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
            && !path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    paths.sort();
    paths.iter().map(|path| file(path)).collect()
}

fn unreadable(path: &Path, problem: String) -> Document {
    unusable(path, None, problem)
}

fn unusable(path: &Path, line: Option<usize>, problem: String) -> Document {
    let place = Place::File {
        path: path.to_owned(),
        line,
    };
    Document {
        findings: vec![Finding {
            place,
            key: KeyPath::default(),
            problem,
        }],
        ..Document::default()
    }
}

/// The layer of ftrack's own variables; an empty one counts as not set, as in ftrack's own clients.
fn ftrack_variables(environment: &Environment) -> Document {
    let mut layer = Document::default();
    for (variable, key) in FTRACK_VARIABLES {
        if let Some(value) = environment
            .variables
            .get(variable)
            .filter(|value| !value.is_empty())
        {
            set(
                &mut layer,
                variable,
                &["ftrack".to_owned(), key.to_owned()],
                Kind::Text,
                value,
            );
        }
    }
    layer
}

/// The layer of the program's own variables.
fn variables(environment: &Environment) -> Document {
    let mut layer = Document::default();
    let kinds = Kinds::new();
    for (variable, value) in &environment.variables {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let way: Vec<String> = name.split("__").map(str::to_lowercase).collect();
        if way.len() > DEEPEST {
            wrong(
                &mut layer,
                variable,
                KeyPath::default(),
                "the name has too many levels",
            );
        } else {
            set(&mut layer, variable, &way, kinds.of(&way), value);
        }
    }
    layer
}

/// Puts the value of a variable into a layer. Text is taken literally, so that a password `00123`
/// or `true` is unchanged; anything else is parsed as TOML.
fn set(layer: &mut Document, variable: &str, way: &[String], kind: Kind, value: &OsString) {
    let path = way
        .iter()
        .fold(KeyPath::default(), |path, key| path.key(key));
    let Some(text) = value.to_str() else {
        return wrong(layer, variable, path, "the value is not UTF-8 text");
    };
    let value = match kind {
        Kind::Text => None,
        Kind::Table | Kind::Other => document::parse_value(text),
    };
    let value = value.unwrap_or_else(|| Value::from(text));
    let place = Place::Variable(variable.to_owned());
    let mut paths = vec![path.clone()];
    paths.extend(
        std::iter::successors(path.parent(), KeyPath::parent).filter(|path| !path.is_top()),
    );
    inner_paths(&path, &value, &mut paths);
    if insert(&mut layer.values, way, value) {
        for path in paths {
            layer.places.entry(path).or_insert_with(|| place.clone());
        }
    } else {
        wrong(
            layer,
            variable,
            path,
            "another variable sets this value, or a value where the table around it should be",
        );
    }
}

/// The paths of everything inside a value.
fn inner_paths(at: &KeyPath, value: &Value, paths: &mut Vec<KeyPath>) {
    let dict = value
        .as_dict()
        .into_iter()
        .flatten()
        .map(|(key, inner)| (at.key(key), inner));
    let list = value
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, inner)| (at.index(index), inner));
    for (path, inner) in dict.chain(list) {
        inner_paths(&path, inner, paths);
        paths.push(path);
    }
}

fn wrong(layer: &mut Document, variable: &str, key: KeyPath, problem: &str) {
    layer.findings.push(Finding {
        place: Place::Variable(variable.to_owned()),
        key,
        problem: problem.to_owned(),
    });
}

/// Puts a value at the end of a path, creating the tables along it; false when something other than
/// a table is in the way.
fn insert(dict: &mut Dict, way: &[String], value: Value) -> bool {
    match way {
        [] => false,
        [key] => dict.insert(key.clone(), value).is_none(),
        [key, rest @ ..] => match dict
            .entry(key.clone())
            .or_insert_with(|| Value::from(Dict::new()))
        {
            Value::Dict(_, inner) => insert(inner, rest, value),
            Value::String(..)
            | Value::Char(..)
            | Value::Bool(..)
            | Value::Num(..)
            | Value::Empty(..)
            | Value::Array(..) => false,
        },
    }
}
