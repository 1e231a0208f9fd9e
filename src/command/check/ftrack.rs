//! Checks ftrack: whether it can be reached, accepts the key, allows writing users, and has what
//! the jobs name.

mod permissions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    certificates,
    finding::{About, Finding},
    offline::Compiled,
};
use crate::{
    config,
    config::WorkInHand,
    ftrack::{
        builtin_sync,
        custom_fault::CustomAttributeFault,
        error::{ConnectErrorKind, FtrackError, FtrackErrorKind},
        read,
        read::{GrantNames, MissingGroups},
        seats, server,
        server::Schemas,
        session::{Reader, Until, Writer},
        user_state,
        user_state::Columns,
    },
    model::{
        clocks::{Clocks, Present},
        custom_kind::CustomKind,
        grant::{Grant, GrantName},
        user::EntityId,
    },
    run::{CompiledJob, LdapWork},
    sync::{rules, rules::BadUserType},
    tls::expiry::{self, Of},
};

/// Settings for the check: each call is tried at most twice, and two calls fit into `limit`.
#[must_use]
pub fn settings(ftrack: &config::Ftrack, limit: Duration) -> config::Ftrack {
    config::Ftrack {
        attempts: ftrack.attempts.min(2),
        request_timeout: ftrack.request_timeout.min(limit / 3),
        connect_timeout: ftrack.connect_timeout.min(limit / 3),
        ..ftrack.clone()
    }
}

/// Checks the server for at most `limit`, for all jobs. The only write that it sends changes
/// nothing.
pub async fn look(ftrack: &config::Ftrack, compiled: &Compiled, limit: Duration) -> Vec<Finding> {
    let writer = compiled.servers.ftrack().writer();
    let reader = writer.reader();
    let ftrack_ldap = compiled.jobs.iter().filter(|job| job.ldap().is_none());
    let mut look = Look {
        ftrack,
        reader,
        writer: &writer,
        jobs: compiled.ldap_jobs().collect(),
        ftrack_ldap: ftrack_ldap.map(CompiledJob::name).collect(),
        // Longer than the limit, which ends the whole check with its own message.
        until: Until {
            deadline: Instant::now() + limit * 2,
            cancel: CancellationToken::new(),
        },
        about: About::new(format!("ftrack {}", reader.server())),
        of_jobs: Vec::new(),
    };
    if tokio::time::timeout(limit, look.whole()).await.is_err() {
        look.about.fail(
            "time",
            format!(
                "checking ftrack took longer than {}, and was stopped",
                humantime::format_duration(limit)
            ),
            "check the load of the server and the network to it",
        );
    }
    look.about
        .into_findings()
        .into_iter()
        .chain(look.of_jobs)
        .collect()
}

struct Look<'a> {
    ftrack: &'a config::Ftrack,
    reader: &'a Reader,
    /// For the one write, which changes nothing.
    writer: &'a Writer,
    jobs: Vec<(&'a str, &'a LdapWork)>,
    /// The names of the jobs of kind `ftrack-ldap`.
    ftrack_ldap: Vec<&'a str>,
    until: Until,
    about: About,
    of_jobs: Vec<Finding>,
}

impl Look<'_> {
    async fn whole(&mut self) {
        if !self.connection().await {
            return;
        }
        self.schemas().await;
        permissions::look(self).await;
        if !self.jobs.is_empty() {
            self.security_roles().await;
            self.of_jobs().await;
            self.sources().await;
        }
        self.ftrack_ldap().await;
    }

    /// Whether further questions can be asked.
    async fn connection(&mut self) -> bool {
        match server::information(self.reader, &self.until).await {
            Ok(information) => {
                self.about.ok(
                    "connection",
                    format!("ftrack {} answers", information.version),
                );
                self.about.ok(
                    "key",
                    format!("the key of {} is accepted", self.ftrack.api_user),
                );
                self.certificate();
                self.clock();
                true
            }
            Err(error) => {
                self.fail(step_of(&error), &error);
                false
            }
        }
    }

    /// How long the certificate is valid that the server showed.
    fn certificate(&mut self) {
        let host = self.ftrack.server.host_str().unwrap_or_default();
        let Some(end) = expiry::of(Of::Ftrack, host) else {
            return;
        };
        certificates::tell(
            &mut self.about,
            "tls",
            ("the certificate, which is trusted,", end),
            "renew it on ftrack's server before then: afterwards no run can read it",
        );
    }

    /// Whether the two clocks agree, by which people are missing and limits are counted.
    fn clock(&mut self) {
        let clocks = Clocks {
            here: Utc::now(),
            ftrack: self.reader.time(),
        };
        if let Some(told) = Present::from(clocks).disagreement() {
            let way_out = "set the clock that is wrong: while they drift apart, limits.per and \
                           users.deactivate_after take longer";
            self.about.warn("clock", told, way_out);
        } else if clocks.ftrack.is_some() {
            let told = "this machine's clock and ftrack's agree";
            self.about.ok("clock", told);
        } else {
            let told = "ftrack's answers do not tell its time (no header Date)";
            self.about.ok("clock", told);
        }
        let ahead = clocks
            .ftrack
            .map(|ftrack| (ftrack - clocks.here).num_seconds());
        let facts = [("difference_seconds", json!(ahead))];
        self.about.facts(&facts.into());
    }

    async fn schemas(&mut self) {
        let custom: BTreeSet<String> = self
            .jobs
            .iter()
            .flat_map(|(_, work)| work.custom_keys().iter().cloned())
            .collect();
        let custom: Vec<String> = custom.into_iter().collect();
        match server::schemas(self.reader, &self.until).await {
            Ok(schemas) => {
                let grants = self.jobs.iter().flat_map(|(_, work)| &work.rules.grants);
                let grants: Vec<GrantName> = grants.cloned().collect();
                let mut lacking = schemas.lacking(&custom, &grants);
                if self.jobs.iter().any(|(_, work)| work.pictures().is_some()) {
                    lacking.extend(schemas.lacking_for_pictures());
                }
                for attribute in &lacking {
                    self.about.fail(
                        "schema",
                        format!(
                            "this ftrack has no attribute {attribute}, which a sync reads or \
                             writes"
                        ),
                        "give the key's role read access to it, or ask the vendor for a version \
                         that has it",
                    );
                }
                if lacking.is_empty() {
                    self.about.ok(
                        "schema",
                        "it has every entity and attribute that a sync uses",
                    );
                }
                self.work(&schemas);
            }
            Err(error) => self.fail("schema", &error),
        }
    }

    async fn security_roles(&mut self) {
        let names = &self.ftrack.administrator_roles;
        let all = [names.as_slice(), &self.ftrack.default_roles].concat();
        let (mut found, known) = match read::security_roles(self.reader, &all, &self.until).await {
            Ok(answer) => answer,
            Err(error) => return self.fail("administrator_role", &error),
        };
        let of_everybody = found.split_off(names.len());
        let mut existing = Vec::new();
        for (name, id) in names.iter().zip(&found) {
            if id.is_some() {
                self.about.ok(
                    "administrator_role",
                    format!("ftrack has the security role {name:?}"),
                );
                existing.push(name.clone());
            } else {
                self.about.fail(
                    "administrator_role",
                    format!("ftrack has no security role {name:?} visible to this key"),
                    choose("name in ftrack.administrator_roles", &known),
                );
            }
        }
        if !existing.is_empty() {
            self.visible_administrators(&existing).await;
        }
        self.default_roles(&of_everybody, &known);
    }

    async fn visible_administrators(&mut self, roles: &[String]) {
        match self.active_administrators(roles).await {
            Ok(0) => self.no_administrator(),
            Ok(1) => self.about.ok(
                "administrators",
                "1 active administrator is visible, and is never deactivated",
            ),
            Ok(count) => self.about.ok(
                "administrators",
                format!("{count} active administrators are visible"),
            ),
            Err(error) => self.fail("administrators", &error),
        }
    }

    /// Whether the roles that every new user gets are known, which the API does not show.
    fn default_roles(&mut self, found: &[Option<EntityId>], known: &[String]) {
        let names = &self.ftrack.default_roles;
        for (name, id) in names.iter().zip(found) {
            if id.is_some() {
                let detail = format!(
                    "ftrack has the security role {name:?}, which new users get; one with others \
                     is adopted only with an approval"
                );
                self.about.ok("default_role", detail);
            } else {
                self.about.warn(
                    "default_role",
                    format!(
                        "ftrack has no security role {name:?} visible to this key, so it is not \
                         known which one new users get"
                    ),
                    choose(
                        "name in ftrack.default_roles what System settings > Security > Settings \
                         have as the default role,",
                        known,
                    ),
                );
            }
        }
    }

    async fn active_administrators(&self, roles: &[String]) -> Result<usize, FtrackError> {
        let users = read::administrators(self.reader, roles, &self.until).await?;
        let states =
            user_state::states(self.reader, &users, Columns::default(), &self.until).await?;
        Ok(states.values().filter(|user| user.is_active).count())
    }

    /// The guard then holds every deactivation, since anybody may be the last administrator.
    fn no_administrator(&mut self) {
        let detail = "no active administrator is visible, so every deactivation would be held";
        let way_out = "give the role of ftrack.api_user read access to users and security roles, \
            or list your administrators' roles in ftrack.administrator_roles";
        if self.jobs.iter().any(|(_, work)| work.job.users.deactivate) {
            self.about.fail("administrators", detail, way_out);
        } else {
            self.about.warn("administrators", detail, way_out);
        }
    }

    /// What can be said about ftrack's own synchronisation without starting it.
    async fn ftrack_ldap(&mut self) {
        for name in &self.ftrack_ldap {
            let mut about = About::new(format!("job {name} at ftrack"));
            match builtin_sync::note(self.reader, &self.until).await {
                Ok(_) => about.ok(
                    "builtin",
                    "the key may read the server's jobs; only the first run shows whether an LDAP \
                     directory is configured in ftrack (System settings > Resources > LDAP \
                     settings)",
                ),
                Err(error) => fail(&mut about, "builtin", &error),
            }
            self.of_jobs.extend(about.into_findings());
        }
    }

    async fn of_jobs(&mut self) {
        let types = read::user_types(self.reader, &self.until).await;
        if let Err(error) = &types {
            self.fail("user_type", error);
        }
        for (job, work) in &self.jobs {
            let mut about = About::new(format!("job {job} at ftrack"));
            if let (Some(name), Ok(types)) = (&work.job.users.user_type, &types) {
                user_type(&mut about, name, types);
            }
            let custom_keys = work.custom_keys();
            match read::custom_attributes(self.reader, custom_keys, &self.until).await {
                Ok(found) => {
                    for (key, found) in custom_keys.iter().zip(found) {
                        custom_attribute(&mut about, key, found);
                    }
                }
                Err(error) => fail(&mut about, "custom_attribute", &error),
            }
            let wanted = GrantNames {
                names: &work.rules.grants,
                missing_groups: MissingGroups::configured(work.job.users.create_groups),
                administrator_roles: &self.ftrack.administrator_roles,
            };
            match read::each_grant(self.reader, wanted, &self.until).await {
                Ok(found) => grants(&mut about, &work.rules.grants, &found),
                Err(error) => fail(&mut about, "role", &error),
            }
            self.of_jobs.extend(about.into_findings());
        }
    }

    /// Whether the users that have an owner belong to jobs, as a run reads them.
    async fn sources(&mut self) {
        let wanted = read::ReadCurrent {
            custom_attributes: &[],
            administrator_roles: &[],
            grants: &[],
            missing_groups: MissingGroups::default(),
            default_roles: &[],
            before: None,
        };
        let current = match read::read(self.reader, wanted, &self.until).await {
            Ok(current) => current,
            Err(error) => return self.fail("users", &error),
        };
        self.seats(current.users.iter().filter(|user| user.is_active).count())
            .await;
        let known: BTreeSet<&str> = self
            .jobs
            .iter()
            .map(|(_, work)| &*work.job.source)
            .collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for link in current.users.iter().filter_map(|user| user.link.link()) {
            if !known.contains(&*link.source) {
                *counts.entry(&link.source).or_default() += 1;
            }
        }
        for (source, users) in counts {
            self.about.warn(
                "source",
                format!("{users} users belong to the source {source:?}, which no job has"),
                format!(
                    "if another installation has it, leave it; otherwise set source = {source:?} \
                     for the job that takes them over"
                ),
            );
        }
    }

    /// How many seats are free, where the server tells.
    async fn seats(&mut self, used: usize) {
        let Some(all) = seats::seats(self.reader, &self.until).await else {
            let detail = "ftrack does not tell how many seats there are, so whether some are free is \
                          not known";
            return self.about.ok("seats", detail);
        };
        let detail = format!("{} of {all} seats are free", all.saturating_sub(used));
        if used < all {
            self.about.ok("seats", detail);
        } else {
            let way_out = "buy seats, or deactivate users whom nobody needs: until then new people \
                           get no active user";
            self.about.warn("seats", detail, way_out);
        }
        let free = all.saturating_sub(used);
        let facts = [("seats", json!(all)), ("free", json!(free))];
        self.about.facts(&facts.into());
    }

    /// Whether the server shows what people carry who are to be deactivated.
    fn work(&mut self, schemas: &Schemas) {
        let asks = |work: &&LdapWork| {
            let users = &work.job.users;
            users.deactivate && users.work_in_hand != WorkInHand::Off
        };
        if !self.jobs.iter().any(|(_, work)| asks(work)) {
            return;
        }
        for lacking in schemas.lacking_for_work() {
            let detail = format!(
                "this ftrack shows no {lacking}, so what people carry of it who are to be \
                 deactivated is not known"
            );
            let way_out = "give the key's role read access to it, or set users.work_in_hand = \
                           \"off\"";
            self.about.warn("work", detail, way_out);
        }
    }

    fn fail(&mut self, check: &'static str, error: &FtrackError) {
        fail(&mut self.about, check, error);
    }
}

fn user_type(about: &mut About, name: &str, types: &BTreeMap<String, EntityId>) {
    match rules::user_type(name, types) {
        Ok(_) => about.ok("user_type", format!("ftrack has the user type {name:?}")),
        Err(BadUserType::Untouchable(_)) => about.fail(
            "user_type",
            format!(
                "users of the type {name:?} are never changed, so they could never be deactivated \
                 either"
            ),
            "name another type in users.user_type",
        ),
        Err(BadUserType::Unknown { .. }) => {
            let known: Vec<String> = types.keys().cloned().collect();
            about.fail(
                "user_type",
                format!("ftrack has no user type {name:?}"),
                choose("name in users.user_type", &known),
            );
        }
    }
}

fn custom_attribute(
    about: &mut About,
    key: &str,
    found: Result<(EntityId, CustomKind), CustomAttributeFault>,
) {
    match found {
        Ok((_, CustomKind::Unknown)) => about.warn(
            "custom_attribute",
            format!(
                "ftrack has the custom attribute {key:?} for users, and does not show of which type \
                 it is: values get the form of those that are there"
            ),
            "give the key's role read access to the types of custom attributes",
        ),
        Ok((_, kind)) => about.ok(
            "custom_attribute",
            format!("ftrack has the custom attribute {key:?} for users, {kind}"),
        ),
        Err(fault) => about.fail("custom_attribute", fault.what(), fault.way_out()),
    }
}

/// What ftrack has of what a job gives and takes.
fn grants(about: &mut About, names: &[GrantName], found: &[Result<Arc<Grant>, FtrackError>]) {
    for (name, found) in names.iter().zip(found) {
        match name {
            GrantName::Role(role) => match found {
                Ok(_) => about.ok(
                    "role",
                    format!("ftrack has the security role {role:?}, which users can be given"),
                ),
                Err(error) => fail(about, "role", error),
            },
            GrantName::ProjectRole { role, project } => match found {
                Ok(_) => about.ok(
                    "project",
                    format!(
                        "ftrack has the project {project:?}, for which users can be given the role \
                         {role:?}"
                    ),
                ),
                Err(error) => fail(about, "project", error),
            },
            GrantName::Group(path) => group(about, path, found),
        }
    }
}

fn group(about: &mut About, path: &str, found: &Result<Arc<Grant>, FtrackError>) {
    let missing = match found.as_deref() {
        Err(error) => return fail(about, "group", error),
        Ok(Grant::Group(group)) => group.missing.len(),
        Ok(Grant::Role(_) | Grant::ProjectRole { .. }) => 0,
    };
    let detail = if missing == 0 {
        format!("ftrack has the group {path:?}")
    } else {
        format!(
            "ftrack has no group {path:?}: it is made once somebody is to be a member \
             (users.create_groups)"
        )
    };
    about.ok("group", detail);
}

/// What to do where there are names to choose from, in a fixed order.
fn choose(what: &str, known: &[String]) -> String {
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.sort_unstable();
    if known.is_empty() {
        "the key can see none; give its role read access to them".into()
    } else {
        format!("{what} one of: {}", known.join(", "))
    }
}

fn fail(about: &mut About, check: &'static str, error: &FtrackError) {
    let (what, way_out) = (error.what(), error.way_out());
    about.fail(check, what, way_out);
}

/// The step of the request at which it failed.
pub fn step_of(error: &FtrackError) -> &'static str {
    match error.kind() {
        FtrackErrorKind::Unreachable { obstacle, .. } => match obstacle {
            ConnectErrorKind::Name => "name",
            ConnectErrorKind::Closed => "port",
            ConnectErrorKind::Untrusted
            | ConnectErrorKind::WrongHost
            | ConnectErrorKind::Certificate(_)
            | ConnectErrorKind::NotTls => "tls",
            ConnectErrorKind::Proxy => "proxy",
            ConnectErrorKind::Slow | ConnectErrorKind::Other => "connection",
        },
        FtrackErrorKind::Credentials(_) => "key",
        FtrackErrorKind::Permission(_) => "permission",
        FtrackErrorKind::Setup(_)
        | FtrackErrorKind::Interrupted(_)
        | FtrackErrorKind::TimedOut(_)
        | FtrackErrorKind::DeadlinePassed
        | FtrackErrorKind::Cancelled
        | FtrackErrorKind::Redirected { .. }
        | FtrackErrorKind::Busy(_)
        | FtrackErrorKind::Status { .. }
        | FtrackErrorKind::NotJson(_)
        | FtrackErrorKind::Damaged(_)
        | FtrackErrorKind::TooLarge(_)
        | FtrackErrorKind::TooMuch(_)
        | FtrackErrorKind::Malformed(_)
        | FtrackErrorKind::Refused(_)
        | FtrackErrorKind::Changing { .. }
        | FtrackErrorKind::CutShort { .. }
        | FtrackErrorKind::CustomAttribute(_)
        | FtrackErrorKind::UnusableGrant { .. } => "connection",
    }
}
