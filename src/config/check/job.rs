//! Checks of the jobs: `[jobs.NAME]`.

use std::collections::BTreeMap;

use super::value::{self, CENTURY, DAY, SECOND};
use crate::{
    config::{
        Adopt, AttributeRule, FtrackLdapJob, Job, JobKind, LdapJob, Limit, Limits, Scope, Users,
        WhenAbsent,
        finding::{KeyPath, did_you_mean, nearest},
        notes::Notes,
        written,
    },
    model::backoff::Retry,
};

/// The ftrack attributes that can be mapped, apart from `custom_attributes.KEY`.
const ATTRIBUTES: [&str; 5] = ["username", "email", "first_name", "last_name", "full_name"];

/// The longest pattern of usernames, in bytes; unbounded nesting would overflow the stack.
const LONGEST_PATTERN: usize = 256;

/// One job, in a configuration with these directories.
pub fn job(notes: &mut Notes, name: &str, job: &written::Job, directories: &[&str]) -> Option<Job> {
    let at = KeyPath::default().key("jobs").key(name);
    value::name(notes, &at, name);
    let schedule = job
        .schedule
        .as_ref()
        .map(|schedule| accepted(notes, &at.key("schedule"), value::schedule(schedule)));
    let timezone = accepted(notes, &at.key("timezone"), value::timezone(&job.timezone));
    let splay = value::period(
        notes,
        &at.key("splay"),
        &job.splay,
        std::time::Duration::ZERO..=DAY,
    );
    let time_limit = value::period(
        notes,
        &at.key("time_limit"),
        &job.time_limit,
        SECOND..=7 * DAY,
    );
    let retry = retry(notes, &at.key("retry"), &job.retry);
    let kind = match job.kind {
        written::Kind::Ldap => {
            ldap(notes, &at, name, job, directories).map(|job| JobKind::Ldap(Box::new(job)))
        }
        written::Kind::FtrackLdap => {
            ftrack_ldap(notes, &at.key("limits"), &job.limits).map(JobKind::FtrackLdap)
        }
    };
    if let Some(None) = schedule {
        return None;
    }
    Some(Job {
        schedule: job.schedule.clone(),
        timezone: timezone?,
        catch_up: job.catch_up,
        splay: splay?,
        time_limit: time_limit?,
        retry: retry?,
        kind: kind?,
    })
}

/// The settings of a job that reads a directory.
fn ldap(
    notes: &mut Notes,
    at: &KeyPath,
    name: &str,
    job: &written::Job,
    directories: &[&str],
) -> Option<LdapJob> {
    let source = value::line(
        notes,
        &at.key("source"),
        job.source.as_deref().unwrap_or(name),
    );
    let directory = directory(
        notes,
        &at.key("directory"),
        job.directory.as_deref(),
        directories,
    );
    search_bases(notes, &at.key("search_bases"), &job.search_bases);
    let filter = filter(notes, &at.key("filter"), job.filter.as_deref());
    let attributes = attributes(notes, &at.key("attributes"), &job.attributes);
    let users = users(notes, &at.key("users"), job, &at.key("attributes"));
    let limits = limits(notes, &at.key("limits"), &job.limits);
    Some(LdapJob {
        source: source?,
        directory: directory?,
        search_bases: job.search_bases.clone(),
        scope: match job.scope.unwrap_or_default() {
            written::Scope::Subtree => Scope::Subtree,
            written::Scope::One => Scope::One,
        },
        filter: filter?,
        attributes: attributes?,
        users: users?,
        limits: limits?,
    })
}

/// The settings of a job of kind `ftrack-ldap`.
fn ftrack_ldap(notes: &mut Notes, at: &KeyPath, limits: &written::Limits) -> Option<FtrackLdapJob> {
    let deactivate = limit(notes, &at.key("deactivate"), &limits.deactivate);
    let rename = limits.rename.clone().unwrap_or_else(written::Limits::tenth);
    let rename = limit(notes, &at.key("rename"), &rename);
    Some(FtrackLdapJob {
        deactivate: deactivate?,
        rename: rename?,
    })
}

fn accepted<V>(notes: &mut Notes, at: &KeyPath, result: Result<V, String>) -> Option<V> {
    result.map_err(|problem| notes.find(at, problem)).ok()
}

fn directory(
    notes: &mut Notes,
    at: &KeyPath,
    name: Option<&str>,
    directories: &[&str],
) -> Option<String> {
    match (name, directories) {
        // A configuration without any directory is a finding of its own.
        (_, []) => None,
        (None, [only]) => Some((*only).to_owned()),
        (None, _) => {
            notes.missing(
                at,
                &format!("there are several directories: {}", directories.join(", ")),
            );
            None
        }
        (Some(name), _) if directories.contains(&name) => Some(name.to_owned()),
        (Some(name), _) => {
            notes.find(
                at,
                format!(
                    "there is no directory {name:?}{}",
                    did_you_mean(name, directories.iter().copied())
                ),
            );
            None
        }
    }
}

fn search_bases(notes: &mut Notes, at: &KeyPath, bases: &[String]) {
    if bases.is_empty() {
        notes.missing(
            at,
            "where the searches start, such as [\"ou=people,dc=studio,dc=test\"]",
        );
    }
    for (index, base) in bases.iter().enumerate() {
        if value::line(notes, &at.index(index), base).is_some() && !value::is_dn(base) {
            notes.find(
                &at.index(index),
                format!("{base:?} is not a DN (RFC 4514) such as \"ou=people,dc=studio,dc=test\""),
            );
        }
    }
}

fn filter(notes: &mut Notes, at: &KeyPath, filter: Option<&str>) -> Option<String> {
    let Some(filter) = filter else {
        notes.missing(
            at,
            "which entries are people, such as \"(objectClass=inetOrgPerson)\"",
        );
        return None;
    };
    accepted(notes, at, value::filter(filter))?;
    Some(filter.to_owned())
}

fn attributes(
    notes: &mut Notes,
    at: &KeyPath,
    written: &BTreeMap<String, written::AttributeRule>,
) -> Option<BTreeMap<String, AttributeRule>> {
    if !written.contains_key("username")
        && !written
            .keys()
            .any(|name| nearest(name, ["username"]).is_some())
    {
        notes.missing(
            &at.key("username"),
            "the login name, such as username = \"uid\"",
        );
    }
    if written.contains_key("full_name") {
        for name in ["first_name", "last_name"]
            .into_iter()
            .filter(|name| written.contains_key(*name))
        {
            notes.find(
                &at.key(name),
                "full_name sets it already; remove one of them",
            );
        }
    }
    let mut rules = BTreeMap::new();
    for (name, rule) in written {
        if notes.is_judged(&at.key(name)) {
            continue;
        }
        let custom = name
            .strip_prefix("custom_attributes.")
            .is_some_and(|key| !key.trim().is_empty() && !key.chars().any(char::is_control));
        if !custom && !ATTRIBUTES.contains(&name.as_str()) {
            let known = ATTRIBUTES.join(", ");
            let problem = match did_you_mean(name, ATTRIBUTES) {
                question if question.is_empty() => format!(
                    "not an ftrack attribute; known attributes are {known} and \
                     \"custom_attributes.KEY\""
                ),
                question => format!("not an ftrack attribute{question}"),
            };
            notes.find(&at.key(name), problem);
        }
        if let Some(rule) = attribute_rule(notes, &at.key(name), name, rule) {
            rules.insert(name.clone(), rule);
        }
    }
    (rules.len() == written.len()).then_some(rules)
}

fn attribute_rule(
    notes: &mut Notes,
    at: &KeyPath,
    name: &str,
    rule: &written::AttributeRule,
) -> Option<AttributeRule> {
    let is_username = name == "username";
    let (from_key, from, when_absent, required) = match rule {
        written::AttributeRule::From(from) => {
            (at.clone(), Some(from), written::WhenAbsent::Keep, None)
        }
        written::AttributeRule::Table(table) => (
            at.key("from"),
            table.from.as_ref(),
            table.when_absent,
            table.required,
        ),
    };
    if is_username && required == Some(false) {
        notes.find(&at.key("required"), "a user needs a username; remove it");
    }
    if is_username && when_absent == written::WhenAbsent::Clear {
        notes.find(&at.key("when_absent"), "a user needs a username; remove it");
    }
    let Some(from) = from else {
        notes.missing(&from_key, "the name of an LDAP attribute, or a template");
        return None;
    };
    if from.contains("{{") || from.contains("{%") {
        if let Err(error) = minijinja::Environment::empty().template_from_str(from) {
            let reason = error
                .detail()
                .map_or_else(|| error.kind().to_string(), str::to_owned);
            notes.find(&from_key, format!("{from:?} is not a template: {reason}"));
        }
    } else if !value::is_attribute(from) {
        notes.find(
            &from_key,
            format!(
                "{from:?} is neither the name of an LDAP attribute (RFC 4512) nor a {{{{ template \
                 }}}}"
            ),
        );
    }
    Some(AttributeRule {
        from: from.clone(),
        when_absent: match when_absent {
            written::WhenAbsent::Keep => WhenAbsent::Keep,
            written::WhenAbsent::Clear => WhenAbsent::Clear,
        },
        required: required.unwrap_or(is_username),
    })
}

fn users(
    notes: &mut Notes,
    at: &KeyPath,
    job: &written::Job,
    attributes: &KeyPath,
) -> Option<Users> {
    let users = &job.users.clone().unwrap_or_default();
    let adopt = match users.adopt {
        written::Adopt::Username => Adopt::Username,
        written::Adopt::Email => Adopt::Email,
        written::Adopt::Never => Adopt::Never,
    };
    if adopt == Adopt::Email
        && !job.attributes.contains_key("email")
        && !notes.is_judged(&attributes.key("email"))
    {
        notes.find(
            &at.key("adopt"),
            "\"email\" needs the attribute email in the job's attributes",
        );
    }
    for (index, pattern) in users.protect.iter().enumerate() {
        let key = at.key("protect").index(index);
        if pattern.len() > LONGEST_PATTERN {
            notes.find(
                &key,
                format!("longer than {LONGEST_PATTERN} bytes, and no username is"),
            );
        } else if value::line(notes, &key, pattern).is_some()
            && let Err(error) = globset::Glob::new(pattern)
        {
            notes.find(
                &key,
                format!("{pattern:?} is not a pattern: {}", error.kind()),
            );
        }
    }
    let user_type = users
        .user_type
        .as_ref()
        .and_then(|name| value::line(notes, &at.key("user_type"), name));
    let deactivate_after = value::period(
        notes,
        &at.key("deactivate_after"),
        &users.deactivate_after,
        std::time::Duration::ZERO..=CENTURY,
    )?;
    Some(Users {
        create: users.create,
        update: users.update,
        deactivate: users.deactivate,
        reactivate: users.reactivate,
        adopt,
        deactivate_after,
        protect: users.protect.clone(),
        user_type,
    })
}

fn limits(notes: &mut Notes, at: &KeyPath, limits: &written::Limits) -> Option<Limits> {
    let default = written::Limits::default();
    let (per, unusable) = (
        limits.per.as_ref().or(default.per.as_ref())?,
        limits.unusable.as_ref().or(default.unusable.as_ref())?,
    );
    let per = value::period(notes, &at.key("per"), per, SECOND..=365 * DAY);
    let deactivate = limit(notes, &at.key("deactivate"), &limits.deactivate);
    let unusable = limit(notes, &at.key("unusable"), unusable);
    let min_entries = value::number(
        notes,
        &at.key("min_entries"),
        limits.min_entries.or(default.min_entries)?,
        0..=100_000_000,
    );
    Some(Limits {
        per: per?,
        deactivate: deactivate?,
        unusable: unusable?,
        min_entries: min_entries?,
    })
}

fn limit(notes: &mut Notes, key: &KeyPath, limit: &written::Limit) -> Option<Limit> {
    match limit {
        written::Limit::Count(count) => {
            value::number(notes, key, *count, 0..=100_000_000).map(Limit::Count)
        }
        written::Limit::Percent(text) => {
            let percent = text
                .trim()
                .strip_suffix('%')
                .and_then(|number| number.trim_end().parse::<u8>().ok())
                .filter(|percent| *percent <= 100);
            if percent.is_none() {
                notes.find(
                    key,
                    format!(
                        "{text:?} is neither a count such as 25 nor a percentage from \"0%\" to \
                         \"100%\""
                    ),
                );
            }
            percent.map(Limit::Percent)
        }
    }
}

fn retry(notes: &mut Notes, at: &KeyPath, retry: &written::Retry) -> Option<Retry> {
    let initial = value::period(notes, &at.key("initial"), &retry.initial, SECOND..=DAY);
    let max = value::period(notes, &at.key("max"), &retry.max, SECOND..=7 * DAY);
    if let (Some(initial), Some(max)) = (initial, max)
        && initial > max
    {
        notes.find(&at.key("initial"), "longer than max");
    }
    let suspend_after = value::number(
        notes,
        &at.key("suspend_after"),
        retry.suspend_after,
        1..=1_000,
    );
    Some(Retry {
        initial: initial?,
        max: max?,
        suspend_after: suspend_after?,
    })
}
