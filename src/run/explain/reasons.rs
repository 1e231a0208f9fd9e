//! The words of an explanation about users and values.

use chrono::TimeDelta;

use super::parts::what;
use crate::{
    model::{
        change::Action,
        fold::fold,
        readable_time::readable_time,
        reason::Reason,
        report::{ChangeResult, Reported},
        user::{Current, User},
    },
    run::{RunContext, ldap_work::LdapWork},
    state::history::RunFilter,
    sync::{
        decision::Decision,
        desired::{DesiredValue, Person},
    },
};

/// How far from the time in a link the run may have begun that wrote it.
const AROUND: TimeDelta = TimeDelta::hours(25);

/// The most runs that are looked through for the one that deactivated somebody.
const RUNS: usize = 500;

impl RunContext<'_, LdapWork> {
    /// Which user is the person's, or why there is none.
    pub(super) fn matched(
        &self,
        decision: &Decision<'_>,
        user: Option<&User>,
        current: &Current,
    ) -> String {
        if let Some(user) = user {
            let active = if user.is_active { "active" } else { "inactive" };
            return format!(
                "the user in ftrack is {} ({}), {active}",
                user.username, user.id
            );
        }
        match holder(decision, current) {
            Some(holder) => {
                let what = if matches!(decision.reason, Reason::NotAdopted(_)) {
                    "is not adopted"
                } else {
                    "is that of somebody else"
                };
                format!(
                    "ftrack has no user of the person's own; {} ({}) {what}",
                    holder.username, holder.id
                )
            }
            None => "ftrack has no user for the person".to_owned(),
        }
    }

    /// Which run deactivated the user, as far as the history has it; empty where it is active, or
    /// this program did not deactivate it.
    pub(super) fn deactivated_by(&self, user: &User) -> String {
        let link = user.link.link().filter(|_| !user.is_active);
        let Some(at) = link.and_then(|link| link.activity.deactivated_at()) else {
            return String::new();
        };
        let day = readable_time(at, &self.prepared.job.timezone);
        let filter = RunFilter {
            since: at.checked_sub_signed(AROUND),
            until: at.checked_add_signed(AROUND),
            changed: true,
            person: Some(user.id.to_string()),
            ..RunFilter::default()
        };
        let runs = self.history.list(&filter, RUNS).unwrap_or_default().runs;
        let is_it = |change: &&Reported| {
            change.ftrack_id == user.id
                && change.action == Action::Deactivate
                && change.result == ChangeResult::Applied
        };
        let mut found = runs.iter().filter_map(|run| {
            let report = self.history.load(&run.job, &run.run).ok()?;
            let change = report.changes.iter().find(is_it)?;
            Some((report.run.clone(), change.reason.clone()))
        });
        match found.next() {
            Some((run, why)) => {
                format!("; the run {run} deactivated the user, at {day}, because {why}")
            }
            None => format!("; this program deactivated the user at {day}"),
        }
    }

    /// The numbered holds of changes to the user that has what the person asks for; empty where there
    /// are none.
    pub(super) fn holds_of_others(&self, decision: &Decision<'_>, current: &Current) -> String {
        let Some(holder) = holder(decision, current) else {
            return String::new();
        };
        let holds = self.open_holds().into_iter().filter(|hold| {
            hold.people
                .iter()
                .any(|person| person.ftrack_id == holder.id)
        });
        let told = holds.map(|hold| {
            format!(
                "; hold {} ({}, {}) waits for a decision about that user: `holds show {}`",
                hold.hold,
                hold.kind,
                hold.held_by.as_str(),
                hold.hold
            )
        });
        told.collect()
    }
}

/// The user that has what a person asks for, and is not adopted.
pub(super) fn not_adopted<'c>(decision: &Decision<'_>, current: &'c Current) -> Option<&'c User> {
    let is_not_adopted = matches!(decision.reason, Reason::NotAdopted(_));
    holder(decision, current).filter(|_| is_not_adopted)
}

/// The user that has the login that a person asks for.
fn holder<'c>(decision: &Decision<'_>, current: &'c Current) -> Option<&'c User> {
    let login = if let Reason::UsernameTaken(taken) = &decision.reason {
        &taken.0
    } else if let Reason::NotAdopted(refused) = &decision.reason {
        &refused.0
    } else {
        return None;
    };
    let login = fold(login).into_owned();
    let mut users = current.users.iter();
    users.find(|user| fold(&user.username) == login)
}

/// The values that a person is to have.
pub(super) fn values(person: &Person, custom_keys: &[String]) -> String {
    let of = |name: &str, value: &DesiredValue| match value {
        DesiredValue::Text(text) => Some(format!("{name} {text:?}")),
        DesiredValue::Clear => Some(format!("{name} is to be empty")),
        DesiredValue::Keep => None,
    };
    let named = [
        ("email", &person.email),
        ("first_name", &person.first_name),
        ("last_name", &person.last_name),
    ];
    let custom = custom_keys.iter().map(String::as_str).zip(&person.custom);
    let mut all = vec![format!("username {:?}", person.username)];
    all.extend(
        named
            .into_iter()
            .chain(custom)
            .filter_map(|(name, value)| of(name, value)),
    );
    all.join(", ")
}

/// What holds the parts of a change, and who rejected which of them, to append to why it is due.
pub(super) fn of_parts(parts: &[Reported], rejections: &[String]) -> String {
    let told = parts.iter().zip(rejections).map(|(part, rejection)| {
        let what = what(part, parts);
        match (part.result, part.held_by) {
            (ChangeResult::Rejected, _) => {
                format!("; {rejection}, so it is not written until its cause has ended")
            }
            (_, Some(by)) => {
                let why = part.hold().unwrap_or_default();
                let number = part.hold.map(|hold| format!(", hold {hold}"));
                let number = number.unwrap_or_default();
                format!("; {what} is held ({}{number}): {why}", by.as_str())
            }
            (_, None) if parts.len() > 1 => format!("; nothing holds {what}"),
            (_, None) => String::new(),
        }
    });
    told.collect()
}
