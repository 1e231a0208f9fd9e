//! The certificates that the configuration trusts, which runs warn of before nothing is trusted any more.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::RunContext;
use crate::{
    config::{Config, Job},
    directory::certificate::expiry,
    model::ending,
    tls::ends::Ends,
};

/// Runs warn of a certificate that expires sooner than this; `check` does so earlier.
const SOON: TimeDelta = TimeDelta::days(14);

/// A file of certificates that are trusted, as it was when the connections were set up.
#[derive(Debug)]
pub(super) struct TrustedFile {
    /// The key that names it.
    key: String,
    file: PathBuf,
    ends: Ends,
}

impl TrustedFile {
    /// Those of the servers of a job.
    pub(super) fn of_job(config: &Config, job: &Job) -> Vec<Self> {
        let directory = job.ldap().map(|ldap| &ldap.directory);
        let directory = directory.and_then(|name| {
            let file = config.directories.get(name)?.ca_file.as_deref()?;
            Some((format!("directories.{name}.ca_file"), file))
        });
        let ftrack = config.ftrack.ca_file.as_deref();
        let ftrack = ftrack.map(|file| ("ftrack.ca_file".to_owned(), file));
        let files = directory.into_iter().chain(ftrack);
        files
            .filter_map(|(key, file)| Self::new(key, file))
            .collect()
    }

    fn new(key: String, file: &Path) -> Option<Self> {
        let ends = Ends::of_file(file, expiry)?;
        let file = file.to_owned();
        Some(Self { key, file, ends })
    }

    /// That no certificate is valid any more, or one is not for long. A certificate that has expired
    /// beside others is no trouble: one is enough.
    fn warning(&self, now: DateTime<Utc>) -> Option<String> {
        let Self { key, file, ends } = self;
        let near: Vec<DateTime<Utc>> = ends.near(SOON, now).collect();
        let all = ends.all();
        let (what, day) = match near.as_slice() {
            [] if ends.over(now) < all => return None,
            [] if all == 1 => ("expired on".to_owned(), ends.last()),
            [] => (
                format!("all {all} certificates expired, the last on"),
                ends.last(),
            ),
            [only] if all == 1 => ("expires on".to_owned(), *only),
            [first, ..] => {
                let near = near.len();
                (
                    format!("{near} of {all} certificates expire soon, the first on"),
                    *first,
                )
            }
        };
        let separator = if all == 1 { "," } else { ":" };
        Some(format!(
            "{}, of {key}{separator} {what} {}; replace it with one that is valid",
            file.display(),
            ending::day_of(day, now)
        ))
    }
}

impl<W> RunContext<'_, W> {
    /// What is to be said of the certificates that are trusted.
    pub(super) fn of_trusted_files(&self) -> Vec<String> {
        let now = Utc::now();
        let files = self.prepared.trusted_files.iter();
        files.filter_map(|file| file.warning(now)).collect()
    }
}
