//! `check`: the configuration, then both servers; each finding says what to do.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::future::join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{print_json, print_text};
use crate::{
    cli::{CheckArgs, Exit, Format, Stop},
    config::Config,
};

mod certificates;
pub mod checks;
pub mod directory;
pub mod finding;
pub mod ftrack;
pub mod offline;
mod people;
mod replicas;
mod settings;
pub(super) mod text;
mod unit;
mod windows;

use directory::Limits;
use finding::{Finding, Verdict};
use offline::Compiled;

/// Time limit for one server. Directories and ftrack are checked in parallel, the servers of one
/// directory in turn, so a check ends within this time for each server of the directory that has
/// the most, and what it takes to read the people.
const LIMIT: Duration = Duration::from_secs(60);
/// Time limit for reading the people of one job from one server, beyond that.
const READ_LIMIT: Duration = Duration::from_secs(600);

/// What `check --format json` prints.
#[derive(Debug, Serialize)]
struct Checked {
    findings: Vec<Finding>,
    /// True if no finding failed.
    ok: bool,
}

/// `check`: 0 when nothing failed, 1 when a check of a server failed, 2 when the configuration is
/// invalid.
///
/// # Errors
/// A stop was requested, or standard output cannot be written.
pub async fn check(
    file: &Path,
    config: &Config,
    args: &CheckArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let (mut findings, is_configured) = findings(config, args.offline, cancel).await?;
    findings.extend(unit::findings(file, config));
    let ok = !has_failed(&findings);
    let checked = Checked { findings, ok };
    match args.format {
        Format::Text => print_text(&text::text(&checked.findings))?,
        Format::Json => print_json(&checked)?,
    };
    Ok(match (is_configured, ok) {
        (false, _) => Exit::Usage,
        (true, false) => Exit::Failed,
        (true, true) => Exit::Done,
    })
}

/// The findings about a configuration and, unless `offline`, its servers, and whether the configuration
/// itself is in order.
///
/// # Errors
/// A stop was requested.
pub(super) async fn findings(
    config: &Config,
    offline: bool,
    cancel: &CancellationToken,
) -> Result<(Vec<Finding>, bool), Stop> {
    let mut looked_at = config.clone();
    looked_at.ftrack = ftrack::settings(&config.ftrack, LIMIT);
    let looked_at = Arc::new(looked_at);
    let (mut findings, compiled) = offline::compile(&looked_at, Utc::now());
    let is_configured = !has_failed(&findings);
    if let (Some(compiled), true, false) = (compiled, is_configured, offline) {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Stop::failed("stopped on request; the check is \
                incomplete")),
            online = servers(&looked_at, &compiled, LIMIT) => findings.extend(online),
        }
        super::lift_lockouts(config, &compiled.servers);
    }
    Ok((findings, is_configured))
}

/// Checks all servers, each for at most `limit`; the order of the findings does not depend on which
/// server answers first.
async fn servers(config: &Config, compiled: &Compiled, limit: Duration) -> Vec<Finding> {
    let directories = config.directories.iter().filter_map(|(name, directory)| {
        let pool = compiled.servers.directory(name)?;
        let jobs: Vec<_> = compiled
            .ldap_jobs()
            .filter(|(_, work)| work.job.directory == *name)
            .collect();
        let limits = Limits {
            server: limit,
            read: READ_LIMIT,
        };
        Some(async move { directory::look(directory, pool, &jobs, limits).await })
    });
    let (of_directories, of_ftrack) = tokio::join!(
        join_all(directories),
        ftrack::look(&config.ftrack, compiled, limit)
    );
    of_directories
        .into_iter()
        .flatten()
        .chain(of_ftrack)
        .collect()
}

pub(super) fn has_failed(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.result == Verdict::Fail)
}
