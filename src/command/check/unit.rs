//! What the unit of systemd gives to the service: a secret that only root can read is none of its
//! files unless the unit loads it, and a file that the unit loads and that is not there keeps the
//! service from starting.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    finding::{About, Finding},
    settings::secrets,
};
use crate::config::{
    Config, Credential, DEFAULT_FILE, Environment, files,
    service::{UNIT, load_credential, name_of},
};

/// Where units lie, the first that has one before the others.
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// The most of a unit or a drop-in that is read, in bytes.
const LONGEST: u64 = 256 << 10;

/// The most drop-ins that are read.
const MOST: usize = 100;

/// The file's group may read it.
const READABLE_BY_GROUP: u32 = 0o040;

/// Everybody may.
const READABLE_BY_ALL: u32 = 0o004;

/// The files that a unit loads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Loaded {
    /// By the name under which the service finds each; empty where the file is not named by its path.
    files: BTreeMap<String, PathBuf>,
    /// The beginnings of names of which it takes whatever the system provides.
    imported: BTreeSet<String>,
}

/// What the unit's service lacks of a configuration, where this is the one that the service uses, and
/// not the service itself that asks.
pub(super) fn findings(file: &Path, config: &Config) -> Vec<Finding> {
    let is_the_service = Environment::of_process().credentials_directory().is_some();
    if is_the_service || file != Path::new(DEFAULT_FILE) {
        return Vec::new();
    }
    let Some(loaded) = Loaded::of_unit(Path::new("/")) else {
        return Vec::new();
    };
    let mut files: Vec<(String, &Path)> = secrets(config)
        .into_iter()
        .filter_map(|(key, secret)| Some((key, Credential::file(secret)?)))
        .collect();
    for (name, directory) in &config.directories {
        let key = format!("directories.{name}.client_key_file");
        files.extend(
            directory
                .client_key_file
                .iter()
                .map(|file| (key.clone(), file.as_path())),
        );
    }
    let folder = file.parent().unwrap_or_else(|| Path::new("/"));
    let mut about = About::new(format!("unit {UNIT}"));
    let only_roots: Vec<(String, &Path)> = files
        .into_iter()
        .filter(|(_, file)| is_only_roots(file))
        .collect();
    lacking(&mut about, &loaded, folder, &only_roots);
    gone(&mut about, &loaded, |file| file.exists());
    about.into_findings()
}

/// Whether nobody but root can read it.
fn is_only_roots(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| {
        let of_group = found.gid() != 0 && found.mode() & READABLE_BY_GROUP != 0;
        let of_all = found.mode() & READABLE_BY_ALL != 0;
        found.uid() == 0 && !of_group && !of_all
    })
}

/// Names the files that only root can read, and that the unit does not load.
fn lacking(about: &mut About, loaded: &Loaded, folder: &Path, files: &[(String, &Path)]) {
    for (key, file) in files {
        let written = file.strip_prefix(folder).unwrap_or(file);
        let Some((name, is_to_be_named)) = name_of(written) else {
            continue;
        };
        if !is_to_be_named && loaded.has(&name) {
            continue;
        }
        let rename = match (is_to_be_named, key.rsplit('.').next()) {
            (true, Some(key)) => format!("write {key} = {name:?}, "),
            (true, None) | (false, _) => String::new(),
        };
        let load = if loaded.has(&name) {
            format!(
                "the unit loads a file of this name: let that be {}",
                file.display()
            )
        } else {
            load_credential(&name, file)
        };
        about.warn(
            "credentials",
            format!(
                "only root can read {}, of {key}, and the unit does not load it, so the service \
                 cannot use it",
                file.display()
            ),
            format!("{rename}{load}"),
        );
    }
}

/// Names the files that the unit loads and that are not there.
fn gone(about: &mut About, loaded: &Loaded, is_there: impl Fn(&Path) -> bool) {
    let named = |file: &&PathBuf| file.is_absolute() && !file.display().to_string().contains('%');
    for file in loaded.files.values().filter(named) {
        if !is_there(file) {
            about.warn(
                "credentials",
                format!(
                    "the unit loads {}, which does not exist, so the service does not start \
                     (243/CREDENTIALS)",
                    file.display()
                ),
                format!(
                    "save it there, or take it out by `sudo systemctl edit {UNIT}`: an empty \
                     `LoadCredential=`, then one for each that is needed"
                ),
            );
        }
    }
}

impl Loaded {
    fn has(&self, name: &str) -> bool {
        let mut imported = self.imported.iter();
        self.files.contains_key(name) || imported.any(|beginning| name.starts_with(&**beginning))
    }

    /// What the unit below a root and its drop-ins load; none where there is no unit.
    fn of_unit(root: &Path) -> Option<Self> {
        let unit = format!("{UNIT}.service");
        let text = FOLDERS
            .iter()
            .map(|folder| root.join(folder).join(&unit))
            .find_map(|file| files::read_text(&file, LONGEST).ok())?;
        let mut loaded = Self::default();
        loaded.read(&text);
        let mut drop_ins: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for folder in FOLDERS {
            let Ok(listed) = fs::read_dir(root.join(folder).join(format!("{unit}.d"))) else {
                continue;
            };
            for path in listed
                .take(MOST)
                .filter_map(|entry| Some(entry.ok()?.path()))
            {
                if let Some(name) = path.file_name()
                    && path
                        .extension()
                        .is_some_and(|extension| extension == "conf")
                {
                    drop_ins.entry(name.into()).or_insert(path);
                }
            }
        }
        for path in drop_ins.values() {
            loaded.read(&files::read_text(path, LONGEST).unwrap_or_default());
        }
        Some(loaded)
    }

    /// The lines of a unit, or of a drop-in after it.
    fn read(&mut self, text: &str) {
        let mut is_of_service = false;
        let text = text.replace("\\\n", " ");
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                is_of_service = line == "[Service]";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_of_service) else {
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            match key {
                "LoadCredential"
                | "LoadCredentialEncrypted"
                | "SetCredential"
                | "SetCredentialEncrypted"
                    if value.is_empty() =>
                {
                    self.files.clear();
                }
                "LoadCredential" | "LoadCredentialEncrypted" => {
                    let (name, file) = value.split_once(':').unwrap_or((value, ""));
                    self.files.insert(name.to_owned(), file.into());
                }
                "SetCredential" | "SetCredentialEncrypted" => {
                    let (name, _) = value.split_once(':').unwrap_or((value, ""));
                    self.files.insert(name.to_owned(), PathBuf::new());
                }
                "ImportCredential" if value.is_empty() => self.imported.clear(),
                "ImportCredential" => {
                    let (beginning, _) = value.split_once('*').unwrap_or((value, ""));
                    self.imported.insert(beginning.to_owned());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A unit in the first or the last folder, and drop-ins.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn names(loaded: &Loaded) -> Vec<&str> {
        loaded.files.keys().map(String::as_str).collect()
    }

    const SHIPPED: &str = include_str!("../../../systemd/ftrack-ldap-sync.service");
    const AT: &str = "usr/lib/systemd/system/ftrack-ldap-sync.service";

    #[test]
    fn the_unit_and_its_drop_ins_load_what_systemd_makes_of_them() {
        let empty = root(&[]);
        assert_eq!(Loaded::of_unit(empty.path()), None);
        let shipped = root(&[(AT, SHIPPED)]);
        let loaded = Loaded::of_unit(shipped.path()).unwrap();
        assert_eq!(names(&loaded), ["ftrack-api-key", "ldap-password"]);
        let folder = "etc/systemd/system/ftrack-ldap-sync.service.d";
        let changed = root(&[
            (AT, SHIPPED),
            (
                &format!("{folder}/override.conf"),
                "# LoadCredential=no:/x\n[Unit]\nLoadCredential=other:/x\n[Service]\nLoadCredential=\\\n\
                 web-token:/etc/ftrack-ldap-sync/web-token\nImportCredential=mail.*\n",
            ),
            (
                &format!("{folder}/10-none.conf"),
                "[Service]\nLoadCredential=\n",
            ),
            (
                &format!("{folder}/README"),
                "[Service]\nLoadCredential=none\n",
            ),
            // The one below etc goes before it.
            (
                "run/systemd/system/ftrack-ldap-sync.service.d/10-none.conf",
                "[Service]\nLoadCredential=none\n",
            ),
        ]);
        let loaded = Loaded::of_unit(changed.path()).unwrap();
        assert_eq!(names(&loaded), ["web-token"]);
        assert!(loaded.has("mail.password") && !loaded.has("ldap-password"));
    }

    #[test]
    fn a_secret_that_the_unit_does_not_load_is_named_with_what_to_add() {
        let mut loaded = Loaded::default();
        loaded.read(SHIPPED);
        let mut about = About::new("unit".into());
        let folder = Path::new("/etc/ftrack-ldap-sync");
        let files: Vec<(String, PathBuf)> = [
            ("ftrack.api_key_file", "ftrack-api-key"),
            ("http.tokens[0].token_file", "web-token"),
            (
                "directories.studio.bind_password_file",
                "/root/ldap-password",
            ),
            ("ftrack.link_key_file", "keys/link"),
        ]
        .map(|(key, file)| (key.to_owned(), folder.join(file)))
        .into();
        let files: Vec<(String, &Path)> = files
            .iter()
            .map(|(key, file)| (key.clone(), file.as_path()))
            .collect();
        lacking(&mut about, &loaded, folder, &files);
        let found: Vec<String> = about
            .into_findings()
            .into_iter()
            .map(|finding| format!("{}; {}", finding.detail, finding.advice.unwrap()))
            .collect();
        let at = "/etc/ftrack-ldap-sync";
        let add = |name: &str, file: &str| {
            format!(
                "add the line `LoadCredential={name}:{file}` under [Service] by `sudo systemctl edit \
                 ftrack-ldap-sync`, then `sudo systemctl restart ftrack-ldap-sync`"
            )
        };
        let only = |file: &str, key: &str| {
            format!(
                "only root can read {file}, of {key}, and the unit does not load it, so the service \
                 cannot use it; "
            )
        };
        let token = format!("{at}/web-token");
        let link = format!("{at}/keys/link");
        assert_eq!(
            found,
            [
                only(&token, "http.tokens[0].token_file") + &add("web-token", &token),
                only(
                    "/root/ldap-password",
                    "directories.studio.bind_password_file"
                ) + "write bind_password_file = \"ldap-password\", the unit loads a file of this \
                     name: let that be /root/ldap-password",
                only(&link, "ftrack.link_key_file")
                    + "write link_key_file = \"link\", "
                    + &add("link", &link),
            ]
        );
    }

    #[test]
    fn a_file_that_the_unit_loads_and_that_is_not_there_is_named() {
        let mut loaded = Loaded::default();
        loaded.read(SHIPPED);
        loaded.read("[Service]\nLoadCredential=a:%E/a\nLoadCredential=b\nSetCredential=c:text\n");
        let mut about = About::new("unit".into());
        gone(&mut about, &loaded, |file| file.ends_with("ftrack-api-key"));
        let found = about.into_findings();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0]
                .detail
                .starts_with("the unit loads /etc/ftrack-ldap-sync/ldap-password, which"),
            "{found:#?}"
        );
    }
}
