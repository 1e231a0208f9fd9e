//! The groups of a person: those that make one of the job's people, and those that give roles and memberships; and
//! whether the person may sign in.

use chrono::Utc;

use super::{Trace, entry::Chosen};
use crate::{
    model::{
        account::Account,
        entry::DirectoryId,
        explanation::StepName,
        grant::Grant,
        user::{Current, User},
    },
    run::{RunContext, ldap_work::LdapWork},
    sync::desired::Desired,
};

impl RunContext<'_, LdapWork> {
    /// Adds which of the job's groups the person is in, directly or through other groups: those of
    /// `member_of`, and those of all that it gives.
    pub(super) fn record_groups(
        &self,
        desired: &Desired,
        (id, user): (&DirectoryId, Option<&User>),
        current: &Current,
        trace: &mut Trace,
    ) {
        let is_shown = desired.shown().any(|shown| shown == id);
        let groups = &self.work.job.member_of;
        let mut details = Vec::new();
        if !groups.is_empty() {
            let words = if is_shown { "is" } else { "is not" };
            details.push(format!(
                "the person {words} a member of the job's groups: {}",
                groups.join(", ")
            ));
        }
        if is_shown {
            details.extend(self.of_grants(desired, (id, user), current));
        }
        if !details.is_empty() {
            trace.step(StepName::Groups, is_shown, details.join("; "));
        }
    }

    /// For all that the job gives, which of its groups the person is in, and whether the user has it.
    fn of_grants(
        &self,
        desired: &Desired,
        (id, user): (&DirectoryId, Option<&User>),
        current: &Current,
    ) -> Vec<String> {
        let memberships = desired.memberships(id);
        let is_in = |position: u32| {
            memberships.is_some_and(|memberships| memberships.of_grants.contains(&position))
        };
        let mut position = 0_u32;
        let mut lines = Vec::new();
        for mapped in self.work.job.mapped_groups() {
            let mut of = Vec::new();
            for group in mapped.groups {
                if is_in(position) {
                    of.push(group.as_str());
                }
                position = position.saturating_add(1);
            }
            let membership = if of.is_empty() {
                format!(
                    "the person is in none of its groups ({})",
                    mapped.groups.join(", ")
                )
            } else {
                format!("the person is a member of {}", of.join(" and "))
            };
            for name in &mapped.names {
                let grant = current.grants.iter().find(|grant| grant.is_named(name));
                let has = user.zip(grant).map(|(user, grant)| of_user(user, grant));
                lines.push(format!("{name}: {membership}{}", has.unwrap_or_default()));
            }
        }
        if memberships.is_some_and(|memberships| memberships.is_unclear) {
            lines.push(
                "the person may be in more groups, since the entry does not show an attribute by \
                 which they name members (uid, primaryGroupID)"
                    .to_owned(),
            );
        }
        let gives = self.work.job.gives_anything();
        if gives && !self.work.rules.users.update {
            lines.push(
                "users.update is false, so no role or membership is given or taken".to_owned(),
            );
        } else if gives && user.is_some_and(|user| !user.is_active) {
            lines.push("an inactive user keeps its roles and memberships as they are".to_owned());
        }
        lines
    }

    /// Adds whether the person may sign in, and by which rule.
    pub(super) fn record_account(&self, desired: &Desired, id: &DirectoryId, trace: &mut Trace) {
        let account = desired.account(id);
        let rule = self.work.job.account(desired.kind());
        let by = if rule.is_empty() {
            "the job and this kind of directory have no rule for who may not (disabled)".to_owned()
        } else {
            format!("who may not is told by {rule} (disabled, expires)")
        };
        let is_disabled = account.is_disabled(Utc::now());
        let words = match (is_disabled, account) {
            (true, _) => match account.ended(Utc::now()) {
                Some(day) => format!("the person's account ended on {day}"),
                None => "the person may not sign in, as the directory shows".to_owned(),
            },
            (false, Account::Unclear(why, _)) => {
                format!("it cannot be told whether the person may sign in: {why}")
            }
            (false, Account::Until(end)) => format!("the person may sign in until {end}"),
            (false, Account::Enabled | Account::Disabled) => "the person may sign in".to_owned(),
        };
        trace.step(StepName::Disabled, !is_disabled, format!("{words}; {by}"));
    }

    /// The groups that decide about somebody, each once.
    pub(super) fn deciding_groups(&self) -> Vec<&str> {
        let of_grants = self.work.job.mapped_groups();
        let of_grants = of_grants.flat_map(|mapped| mapped.groups);
        let mut groups: Vec<&str> = Vec::new();
        for group in self.work.job.member_of.iter().chain(of_grants) {
            if !groups.contains(&group.as_str()) {
                groups.push(group);
            }
        }
        groups
    }

    /// Adds the commands that show what decided about the groups, and about the account.
    pub(super) fn add_commands(
        &self,
        server: &str,
        chosen: &Chosen,
        desired: &Desired,
        trace: &mut Trace,
    ) {
        for group in self.deciding_groups() {
            let members = ["member", "uniqueMember", "memberUid"].map(ToOwned::to_owned);
            let command = self.ldapsearch(server, (group, "base", "(objectClass=*)"), &members);
            trace.commands.push(command);
        }
        let rule = self.work.job.account(desired.kind());
        if let Some(filter) = &rule.filter {
            let dn = &chosen.found.entry.dn;
            let filter = filter.to_string();
            let none = ["1.1".to_owned()];
            let command = self.ldapsearch(server, (dn, "base", &filter), &none);
            trace.commands.push(command);
        }
    }
}

fn of_user(user: &User, grant: &Grant) -> &'static str {
    let link = user.link.link();
    let is_given = link.is_some_and(|link| link.given.contains(&grant.id()));
    match (user.grants.has(grant), user.grants.covers(grant), grant) {
        (true, _, _) if is_given => ", and the user has it, given by this job",
        (true, _, _) | (false, true, Grant::Group(_)) => {
            ", and the user has it, given by somebody else"
        }
        (false, true, Grant::Role(_) | Grant::ProjectRole { .. }) => {
            ", and the user has the role for all open projects"
        }
        (false, false, Grant::Role(role)) if user.grants.role(&role.id).is_some() => {
            ", and the user has it for single projects alone"
        }
        (false, false, _) => ", and the user does not have it",
    }
}
