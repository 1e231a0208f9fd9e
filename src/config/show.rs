//! The effective configuration as TOML, with every default filled in and every secret masked.

use super::{
    Adopt, AttributeRule, Config, Directory, Ftrack, FtrackLdapJob, Job, JobKind, LdapJob, Limit,
    Sasl, Scope, Users, WhenAbsent,
    written::{self, Period},
};

/// The tables and keys of a configuration; secrets are serialised as a mask.
#[must_use]
pub fn written(config: &Config) -> written::File {
    written::File {
        state_dir: config.state_dir.clone(),
        control_socket: config.control_socket.clone(),
        parallel_runs: number(config.parallel_runs),
        http: config.http.as_ref().map(|http| written::Http {
            listen: Some(http.listen.to_string()),
        }),
        reports: written::Reports {
            keep: number(config.reports.keep),
            keep_for: Period::of(config.reports.keep_for),
        },
        ftrack: ftrack(&config.ftrack),
        directories: config
            .directories
            .iter()
            .map(|(name, value)| (name.clone(), directory(value)))
            .collect(),
        jobs: config
            .jobs
            .iter()
            .map(|(name, value)| (name.clone(), job(value)))
            .collect(),
    }
}

fn ftrack(ftrack: &Ftrack) -> written::Ftrack {
    written::Ftrack {
        server: Some(ftrack.server.to_string()),
        api_user: Some(ftrack.api_user.clone()),
        api_key: Some(ftrack.api_key.loaded().clone()),
        api_key_file: None,
        link_key: ftrack.link_key.as_ref().map(|key| key.loaded().clone()),
        link_key_file: None,
        ca_file: ftrack.ca_file.clone(),
        connect_timeout: Period::of(ftrack.connect_timeout),
        request_timeout: Period::of(ftrack.request_timeout),
        page_size: ftrack.page_size.into(),
        connections: number(ftrack.connections),
        batch_size: number(ftrack.batch_size),
        attempts: number(ftrack.attempts),
        administrator_roles: ftrack.administrator_roles.clone(),
    }
}

fn directory(directory: &Directory) -> written::Directory {
    written::Directory {
        urls: directory.urls.iter().map(ToString::to_string).collect(),
        bind_dn: directory.bind_dn.clone(),
        bind_password: directory
            .bind_password
            .as_ref()
            .map(|password| password.loaded().clone()),
        bind_password_file: None,
        start_tls: directory.start_tls,
        ca_file: directory.ca_file.clone(),
        client_cert_file: directory.client_cert_file.clone(),
        client_key_file: directory.client_key_file.clone(),
        sasl: directory.sasl.map(|Sasl::External| written::Sasl::External),
        page_size: directory.page_size.into(),
        connect_timeout: Period::of(directory.connect_timeout),
        operation_timeout: Period::of(directory.operation_timeout),
        pool_size: number(directory.pool_size),
        allow_plaintext: directory.allow_plaintext,
        id_attribute: directory.id_attribute.clone(),
        id: directory.id.clone(),
        trust_replicas: directory.trust_replicas,
    }
}

fn job(job: &Job) -> written::Job {
    let of_kind = match &job.kind {
        JobKind::Ldap(job) => ldap_job(job),
        JobKind::FtrackLdap(job) => ftrack_ldap_job(job),
    };
    written::Job {
        schedule: job.schedule.clone(),
        timezone: job.timezone.name().to_owned(),
        catch_up: job.catch_up,
        splay: Period::of(job.splay),
        time_limit: Period::of(job.time_limit),
        retry: written::Retry {
            initial: Period::of(job.retry.initial),
            max: Period::of(job.retry.max),
            suspend_after: job.retry.suspend_after.into(),
        },
        ..of_kind
    }
}

fn ldap_job(job: &LdapJob) -> written::Job {
    written::Job {
        kind: written::Kind::Ldap,
        source: Some(job.source.clone()),
        directory: Some(job.directory.clone()),
        search_bases: job.search_bases.clone(),
        scope: Some(match job.scope {
            Scope::Subtree => written::Scope::Subtree,
            Scope::One => written::Scope::One,
        }),
        filter: Some(job.filter.clone()),
        attributes: job
            .attributes
            .iter()
            .map(|(name, rule)| (name.clone(), attribute_rule(name, rule)))
            .collect(),
        users: Some(users(&job.users)),
        limits: written::Limits {
            per: Some(Period::of(job.limits.per)),
            deactivate: limit(job.limits.deactivate),
            rename: None,
            unusable: Some(limit(job.limits.unusable)),
            min_entries: Some(number(job.limits.min_entries)),
        },
        ..written::Job::default()
    }
}

fn users(users: &Users) -> written::Users {
    written::Users {
        create: users.create,
        update: users.update,
        deactivate: users.deactivate,
        reactivate: users.reactivate,
        adopt: match users.adopt {
            Adopt::Username => written::Adopt::Username,
            Adopt::Email => written::Adopt::Email,
            Adopt::Never => written::Adopt::Never,
        },
        deactivate_after: Period::of(users.deactivate_after),
        protect: users.protect.clone(),
        user_type: users.user_type.clone(),
    }
}

fn ftrack_ldap_job(job: &FtrackLdapJob) -> written::Job {
    written::Job {
        kind: written::Kind::FtrackLdap,
        scope: None,
        users: None,
        limits: written::Limits {
            per: None,
            deactivate: limit(job.deactivate),
            rename: Some(limit(job.rename)),
            unusable: None,
            min_entries: None,
        },
        ..written::Job::default()
    }
}

fn limit(limit: Limit) -> written::Limit {
    match limit {
        Limit::Count(count) => written::Limit::Count(number(count)),
        Limit::Percent(percent) => written::Limit::Percent(format!("{percent}%")),
    }
}

/// The short form, where it is sufficient.
fn attribute_rule(name: &str, rule: &AttributeRule) -> written::AttributeRule {
    let AttributeRule {
        from,
        when_absent,
        required,
    } = rule;
    if *when_absent == WhenAbsent::Keep && *required == (name == "username") {
        return written::AttributeRule::From(from.clone());
    }
    written::AttributeRule::Table(written::AttributeTable {
        from: Some(from.clone()),
        when_absent: match when_absent {
            WhenAbsent::Keep => written::WhenAbsent::Keep,
            WhenAbsent::Clear => written::WhenAbsent::Clear,
        },
        required: Some(*required),
    })
}

/// Checked numbers are far below the limit of the written form.
fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
