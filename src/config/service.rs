//! Files that a service of systemd or a container may not read: the one gets copies of them, as its
//! unit says, and the other sees them with the rights that they have on the host.

use std::path::Path;

use rustix::process::geteuid;

use super::{
    files::{self, Places},
    finding::KeyPath,
};

/// The unit, as it is called where a person types its name.
pub const UNIT: &str = "ftrack-ldap-sync";

/// The lines of a drop-in by which systemd gives a file to the service, under this name.
#[must_use]
pub fn load_credential(name: &str, file: &Path) -> String {
    format!(
        "add the line `LoadCredential={name}:{}` under [Service] by `sudo systemctl edit {UNIT}`, \
         then `sudo systemctl restart {UNIT}`",
        file.display()
    )
}

/// The name under which a file is to be given to the service, and whether the configuration has to
/// name it so instead: only a name without a folder is looked up among what systemd gives.
#[must_use]
pub fn name_of(written: &Path) -> Option<(String, bool)> {
    let name = written.file_name()?.to_str()?;
    Some((name.to_owned(), Path::new(name) != written))
}

/// What is wrong, and what to do, where a service or a container may not read a file that the
/// configuration names as `written`; none where this is neither, or something else is wrong.
pub(super) fn not_given(places: &Places, key: &KeyPath, written: &Path) -> Option<String> {
    let file = places.find(written);
    let is_given = places.is_container || places.credentials.is_some();
    if !is_given || !files::is_refused(&file) {
        return None;
    }
    if places.is_container {
        return Some(format!(
            "this container, which runs as uid {}, may not read {}: `{}` on the host, where FILE is what is \
             mounted there",
            geteuid().as_raw(),
            file.display(),
            files::chown_to_this_user()
        ));
    }
    let (name, is_to_be_named) = name_of(written)?;
    let key = key.keys().last().copied().unwrap_or_default().to_owned();
    let rename = if is_to_be_named {
        format!("write {key} = {name:?}, ")
    } else {
        String::new()
    };
    Some(format!(
        "the service may not read {}: {rename}{}",
        file.display(),
        load_credential(&name, &file)
    ))
}
