//! From the written configuration to the values that the program uses: every value is checked, and
//! every finding recorded.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{Config, Http, Reports, files::Places, finding::KeyPath, notes::Notes, written};

mod job;
mod server;
mod value;

pub use value::{is_attribute, schedule};

/// Checks the whole configuration; `None`, with findings in the notes, when anything is wrong.
pub fn config(file: written::File, places: &Places, notes: &mut Notes) -> Option<Config> {
    let top = KeyPath::default();
    for (key, path) in [
        ("state_dir", &file.state_dir),
        ("control_socket", &file.control_socket),
    ] {
        if path.as_os_str().is_empty() {
            notes.find(&top.key(key), "empty");
        }
    }
    let parallel_runs = value::number(notes, &top.key("parallel_runs"), file.parallel_runs, 1..=64);
    let http = file.http.as_ref().map(|http| self::http(notes, http));
    let reports = reports(notes, &file.reports);
    let ftrack = server::ftrack(notes, places, file.ftrack);
    let is_ldap = |(name, job): (&String, &written::Job)| {
        job.kind == written::Kind::Ldap && !notes.is_judged(&top.key("jobs").key(name).key("kind"))
    };
    let reads_a_directory = file.jobs.iter().any(is_ldap);
    if file.directories.is_empty() && (reads_a_directory || file.jobs.is_empty()) {
        notes.missing(
            &top.key("directories"),
            "add a table such as [directories.studio]",
        );
    }
    let mut directories = BTreeMap::new();
    for (name, directory) in &file.directories {
        let at = top.key("directories").key(name);
        value::name(notes, &at, name);
        directories.insert(
            name.clone(),
            server::directory(notes, places, &at, directory),
        );
    }
    if file.jobs.is_empty() {
        notes.missing(&top.key("jobs"), "add a table such as [jobs.artists]");
    }
    let names: Vec<&str> = directories.keys().map(String::as_str).collect();
    let jobs: BTreeMap<_, _> = file
        .jobs
        .iter()
        .map(|(name, job)| (name.clone(), job::job(notes, name, job, &names)))
        .collect();
    sources(notes, &file.jobs);
    if !notes.is_clean() {
        return None;
    }
    Some(Config {
        state_dir: places.beside.join(file.state_dir),
        control_socket: places.beside.join(file.control_socket),
        parallel_runs: parallel_runs?,
        http: http.map_or(Some(None), |http| http.map(Some))?,
        reports: reports?,
        ftrack: ftrack?,
        directories: all(directories)?,
        jobs: all(jobs)?,
    })
}

fn all<V>(values: BTreeMap<String, Option<V>>) -> Option<BTreeMap<String, V>> {
    values
        .into_iter()
        .map(|(name, value)| Some((name, value?)))
        .collect()
}

fn http(notes: &mut Notes, http: &written::Http) -> Option<Http> {
    let key = KeyPath::default().key("http").key("listen");
    let Some(listen) = &http.listen else {
        notes.missing(
            &key,
            "the address and port to listen on, such as \"127.0.0.1:9464\"",
        );
        return None;
    };
    let Ok(listen) = listen.parse::<SocketAddr>() else {
        notes.find(
            &key,
            format!("{listen:?} is not an IP address and a port such as \"127.0.0.1:9464\""),
        );
        return None;
    };
    Some(Http { listen })
}

fn reports(notes: &mut Notes, reports: &written::Reports) -> Option<Reports> {
    let at = KeyPath::default().key("reports");
    let keep = value::number(notes, &at.key("keep"), reports.keep, 1..=1_000_000);
    let keep_for = value::period(
        notes,
        &at.key("keep_for"),
        &reports.keep_for,
        value::HOUR..=value::CENTURY,
    );
    Some(Reports {
        keep: keep?,
        keep_for: keep_for?,
    })
}

/// Two jobs with one source would deactivate each other's people.
fn sources(notes: &mut Notes, jobs: &BTreeMap<String, written::Job>) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, job) in jobs
        .iter()
        .filter(|(_, job)| job.kind == written::Kind::Ldap)
    {
        let source = job.source.as_deref().unwrap_or(name);
        if let Some(owner) = owners.insert(source, name) {
            let key = KeyPath::default().key("jobs").key(name).key("source");
            notes.find(
                &key,
                format!(
                    "{source:?} is already the source of the job {owner:?}; the two would \
                     deactivate each other's people"
                ),
            );
        }
    }
}
