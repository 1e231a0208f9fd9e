//! Settings that are valid, and probably not what is intended.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use chrono::{DateTime, Utc};

use super::{certificates, finding::About};
use crate::{
    command::in_container,
    config::{
        Adopt, Config, Credential, Directory, Job, Kerberos, LdapJob, Limit, Sasl, Scope,
        Unreadable, files::chown_to_this_user,
    },
    directory::{certificate::expiry, dn::Dn},
    model::ending,
    tls::ends::Ends,
};

/// Others than the owner and the group may read the file.
const READABLE_BY_OTHERS: u32 = 0o004;

/// The settings outside of jobs: the listener, the files of secrets and certificates.
pub fn of_program(about: &mut About, config: &Config, now: DateTime<Utc>) {
    listener(about, config);
    let mut certificates = vec![("ftrack.ca_file".to_owned(), &config.ftrack.ca_file)];
    for (name, directory) in &config.directories {
        let key = |key: &str| format!("directories.{name}.{key}");
        if let Some(file) = &directory.client_key_file {
            secret_file(about, &key("client_key_file"), file);
        }
        if directory.sasl == Some(Sasl::Gssapi) {
            keys(about, name, directory);
        }
        certificates.push((key("ca_file"), &directory.ca_file));
        certificates.push((key("client_cert_file"), &directory.client_cert_file));
    }
    for (key, secret) in secrets(config) {
        if let Some(file) = Credential::file(secret) {
            secret_file(about, &key, file);
        }
        if let Some(file) = secret.stands_in() {
            secret_inside(about, &key, file);
        }
    }
    for (key, file) in certificates {
        if let Some(file) = file {
            certificate_file(about, &key, file, now);
        }
    }
    for (name, job) in &config.jobs {
        for (key, file) in job.notifications.certificates() {
            let key = format!("jobs.{name}.notifications.{key}");
            certificate_file(about, &key, file, now);
        }
    }
}

fn listener(about: &mut About, config: &Config) {
    let Some(http) = &config.http else { return };
    // In a container, it listens for the port that is published, which says who reaches it.
    if in_container() {
        return;
    }
    // With tokens, the pages ask from other machines for one.
    if http.listen.ip().is_unspecified() && http.tokens.is_empty() {
        about.warn(
            "listener",
            format!(
                "http.listen is {}, so that everybody who can reach this machine sees the status \
                 page",
                http.listen
            ),
            "listen on 127.0.0.1, or let only a proxy that authenticates reach it",
        );
    }
}

/// Where the tickets of a directory come from, in the environment of this process.
fn keys(about: &mut About, name: &str, directory: &Directory) {
    let kerberos = Kerberos::of_process(directory.principal.as_deref());
    match kerberos.try_keytab() {
        Ok(()) => about.ok(
            "kerberos",
            format!(
                "directory {name} is entered by a ticket for {}",
                kerberos.words()
            ),
        ),
        // The daemon may have another environment.
        Err(Unreadable { file, problem }) => about.warn(
            "kerberos",
            format!(
                "the keytab {} for directory {name} {problem}",
                file.display()
            ),
            "name another file in KRB5_CLIENT_KTNAME, or let this program's user read it",
        ),
    }
}

/// Each secret, by the key of its file.
pub(super) fn secrets(config: &Config) -> Vec<(String, &Credential)> {
    let mut secrets = vec![("ftrack.api_key_file".to_owned(), &config.ftrack.api_key)];
    let link_key = config.ftrack.link_key.iter();
    secrets.extend(link_key.map(|key| ("ftrack.link_key_file".to_owned(), key)));
    let tokens = config.http.iter().flat_map(|http| &http.tokens).enumerate();
    secrets.extend(tokens.map(|(nth, token)| {
        let key = format!("http.tokens[{nth}].token_file");
        (key, &token.credential)
    }));
    for (name, directory) in &config.directories {
        let key = format!("directories.{name}.bind_password_file");
        let password = directory.bind_password.iter();
        secrets.extend(password.map(|password| (key.clone(), password)));
    }
    for (name, job) in &config.jobs {
        for (key, secret) in job.notifications.secrets() {
            let table = job.notifications.table_of(key, name);
            let key = format!("{table}.{key}");
            // The table for all jobs is one.
            if !secrets.iter().any(|(known, _)| *known == key) {
                secrets.push((key, secret));
            }
        }
    }
    secrets
}

/// Whether every user of this machine can read a file; one that cannot be read is told elsewhere.
fn is_for_everybody(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.permissions().mode() & READABLE_BY_OTHERS != 0)
}

/// A secret in the configuration itself, which the service must be able to read.
fn secret_inside(about: &mut About, key_of_file: &str, file: &Path) {
    let key = key_of_file.strip_suffix("_file").unwrap_or(key_of_file);
    let first =
        format!("put it into a file of its own, {key_of_file}, which only its owner can read; or ");
    readable_secret(about, key, file, &first);
}

fn secret_file(about: &mut About, key: &str, file: &Path) {
    readable_secret(about, key, file, "");
}

/// Warns of a file that everybody can read, with what to do before its right is taken away.
fn readable_secret(about: &mut About, key: &str, file: &Path, first: &str) {
    if is_for_everybody(file) {
        let shown = file.display();
        let problem = format!("every user of this machine can read {shown}, of {key}");
        let cure = if in_container() {
            // This process may have no other right than that.
            format!(
                "{first}on the host, `{}` and then `chmod 600 FILE`, where FILE is what is mounted there",
                chown_to_this_user()
            )
        } else {
            format!("{first}take the right away: chmod o= {}", quoted(file))
        };
        about.warn("secret", problem, cure);
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |character: char| {
        character.is_alphanumeric() || matches!(character, '/' | '.' | '-' | '_' | '+' | ':' | '@')
    };
    if path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

fn certificate_file(about: &mut About, key: &str, file: &Path, now: DateTime<Utc>) {
    let Some(ends) = Ends::of_file(file, expiry) else {
        return;
    };
    let (all, first, over) = (ends.all(), ends.first(), ends.over(now));
    let near = ends.near(ending::NEAR, now).count();
    let (file, way_out) = (file.display(), "replace it with one that is valid");
    // The program's own is used with its chain; of those that are trusted, one is enough.
    let end = if key.ends_with("client_cert_file") {
        first
    } else {
        ends.last()
    };
    if all == 1 || ending::is_near(end, now) {
        let what = format!("{file}, of {key},");
        return certificates::tell_at(about, "certificate", (&what, end), way_out, now);
    }
    let day = ending::day_of(first, now);
    match (over, near) {
        (0, 0) => about.ok(
            "certificate",
            format!("{file}, of {key}: {all} certificates, of which the first expires on {day}"),
        ),
        (0, near) => about.warn(
            "certificate",
            format!(
                "{file}, of {key}: {near} of {all} certificates expire soon, the first on {day}"
            ),
            way_out,
        ),
        (over, _) => about.warn(
            "certificate",
            format!("{file}, of {key}: {over} of {all} certificates expired, the first on {day}"),
            way_out,
        ),
    }
    certificates::facts(about, first, now);
}

/// The settings of a job.
pub fn of_job(about: &mut About, name: &str, job: &Job, config: &Config) {
    let Some(ldap) = job.ldap() else { return };
    let limits = [
        ("deactivate", ldap.limits.deactivate),
        ("rename", ldap.limits.rename),
        ("clear", ldap.limits.clear),
        ("unusable", ldap.limits.unusable),
    ];
    for (key, limit) in limits {
        if matches!(limit, Limit::Percent(100..)) {
            about.warn(
                "limits",
                format!("limits.{key} is 100%, so that it never holds or fails anything"),
                "choose a lower limit",
            );
        }
    }
    if ldap.users.adopt == Adopt::Email {
        about.warn(
            "adopt",
            "users.adopt is \"email\", so whoever can edit his own mail address in the directory \
             can take over somebody else's ftrack account that has no owner",
            "make sure that people cannot edit their own, or recognise users by their login: \
             users.adopt = \"username\"",
        );
    }
    for (other, of_other) in config.ldap_jobs() {
        if other != name && of_other.directory == ldap.directory && overlap(ldap, of_other) {
            about.warn(
                "overlap",
                format!(
                    "its search bases overlap those of the job {other}; of those who are in both, \
                     each belongs to the job that was first"
                ),
                "if this is not intended, give each job search bases of its own",
            );
        }
    }
}

/// Whether the searches of two jobs can show the same entry.
fn overlap(one: &LdapJob, other: &LdapJob) -> bool {
    one.search_bases.iter().any(|of_one| {
        let mut others = other.search_bases.iter();
        others.any(|of_other| {
            let (Some(of_one), Some(of_other)) = (Dn::parse(of_one), Dn::parse(of_other)) else {
                return false;
            };
            match (of_one.depth_below(&of_other), of_other.depth_below(&of_one)) {
                (Some(0), _) => true,
                (Some(_), _) => covers(other.scope, one.scope, of_one.depth_below(&of_other)),
                (_, Some(_)) => covers(one.scope, other.scope, of_other.depth_below(&of_one)),
                (None, None) => false,
            }
        })
    })
}

/// Whether a search shows entries of a search whose base is so far below its own.
fn covers(upper: Scope, lower: Scope, depth: Option<usize>) -> bool {
    match (upper, lower) {
        (Scope::Subtree, _) => true,
        // The lower base itself is the only entry that both could show.
        (Scope::One, Scope::Subtree) => depth == Some(1),
        (Scope::One, Scope::One) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_searches_both_cover() {
        for (upper, lower, depth, expected) in [
            (Scope::Subtree, Scope::One, 3, true),
            (Scope::Subtree, Scope::Subtree, 1, true),
            (Scope::One, Scope::Subtree, 1, true),
            (Scope::One, Scope::Subtree, 2, false),
            (Scope::One, Scope::One, 1, false),
        ] {
            assert_eq!(
                covers(upper, lower, Some(depth)),
                expected,
                "{upper:?} {lower:?} {depth}"
            );
        }
    }
}
