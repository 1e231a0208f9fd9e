//! What an administrator should know that concerns nobody in particular.

use std::collections::BTreeMap;

use chrono::Utc;
use serde_json::Value;

use super::Decider;
use crate::{
    directory::LostGroup,
    model::{
        edit::Edit, own_links::left_alone, preferred_server::LONG_ENOUGH_TOLD,
        readable_time::readable_time, user::User,
    },
    sync::{
        decision::{Decision, MayLag, Outcome, Replica},
        matching::Match,
        owner::Owner,
    },
};

/// The most values that are named in one notice.
const NAMED: usize = 8;
/// The longest beginning of a value in a notice, in characters.
const LONGEST_VALUE: usize = 100;

impl Decider<'_, '_> {
    /// Adds the notices, and the doubts about the reading as a whole.
    pub(super) fn notices(&mut self) {
        let of_people = std::mem::take(&mut self.plan.notices);
        self.of_the_readings();
        self.of_the_directory();
        self.of_links();
        self.of_other_jobs();
        self.plan.notices.extend(of_people);
        self.plan
            .notices
            .extend(self.evidence.unanswered.iter().cloned());
        self.of_emptied_bases();
        self.of_referrals();
        self.of_lost_grant_groups();
        self.of_other_writers();
        self.of_the_clocks();
        self.of_unlike_values();
        self.of_unfit_values();
        self.of_unfit_pictures();
        self.of_invitations();
        self.of_the_unclear();
        self.of_disabled_strangers();
        self.of_mails();
    }

    /// Somebody is still waited for, perhaps because a clock is or was wrong.
    fn of_the_clocks(&mut self) {
        let is_waited = |decision: &Decision<'_>| decision.outcome == Outcome::Waiting;
        if !self.plan.decisions.iter().any(is_waited) {
            return;
        }
        let now = self.matched.now;
        let mut since = self
            .plan
            .absences
            .values()
            .chain(self.plan.disabled.values())
            .map(|absence| absence.since);
        let differ = since.clone().any(|since| now.clocks.differ_since(&since));
        let told = now.disagreement().filter(|_| differ);
        let ahead = since.find(|since| now.clocks.is_before(since.here));
        if let Some(told) = told {
            self.notice(format!(
                "{told}; until they agree, people have been missing only for as long as both of \
                 them have counted"
            ));
        } else if let Some(since) = ahead {
            self.notice(format!(
                "people have been missing since {}, which no clock shows yet, so they wait until \
                 then: a clock was wrong, or is now",
                readable_time(since.here, &Utc)
            ));
        }
    }

    pub(super) fn notice(&mut self, text: String) {
        self.plan.notices.push(text);
    }

    fn of_the_readings(&mut self) {
        let matched = self.matched;
        let notes = matched.desired.notes().iter();
        let notes = notes.chain(&matched.current.warnings).cloned();
        self.plan.notices.extend(notes);
        let unidentified = matched.desired.unidentified();
        if unidentified > 0 {
            self.plan.doubts.push(format!(
                "{unidentified} entries show no id attribute, so nobody can be proven absent; \
                 grant the bind account read access to it, or set id_attribute"
            ));
        }
    }

    fn of_the_directory(&mut self) {
        let matched = self.matched;
        if matched.desired.directory().is_none() {
            self.notice(
                "the id of the naming context's own entry cannot be read, so links do not record \
                 the directory of their people; grant the bind account read access to it, or set \
                 id for the directory"
                    .to_owned(),
            );
        }
        if let Some(Replica { server, why }) = &self.plan.replica {
            let text = match why {
                MayLag::NotPreferred => format!(
                    "{server} was read instead of the preferred server, and may lag behind: only \
                     creates are written; trust_replicas = true changes that"
                ),
                MayLag::NewlyFirst(former) => format!(
                    "{server} comes first in the DNS in place of {former}, and may lag behind: only \
                     creates are written until it has been so for {LONG_ENOUGH_TOLD}, or a person \
                     approves what it shows; trust_replicas = true changes that"
                ),
                MayLag::LagsBehind(lag) => format!(
                    "{server} lags behind: {lag}; only creates are written until it has caught up: \
                     see whether its replication works, or whether it was restored from a backup"
                ),
            };
            self.notice(text);
        }
        let latest = matched.now.clocks.latest();
        self.plan
            .notices
            .extend(matched.desired.freshness().ahead(latest));
        for before in matched.owners.former_directories() {
            self.notice(format!(
                "the directory's id differs from the links ({before:?} before), but most of their \
                 people are in it: an approval rewrites them"
            ));
        }
    }

    fn of_links(&mut self) {
        let owned = &self.matched.owned;
        for User { username, .. } in &owned.unreadable {
            self.plan.notices.push(format!(
                "the link of the user {username:?} cannot be read; the user is left alone"
            ));
        }
        for User { username, .. } in &owned.unproven {
            self.plan.notices.push(format!(
                "the user {username:?} is marked as unlinked, and that is not signed with the current \
                 link key: it is left alone; `unlink` signs it, if it is meant, and `link` ends it"
            ));
        }
        for User { username, .. } in &owned.of_another {
            self.plan.notices.push(format!(
                "the link of the user {username:?} names another user, so somebody moved or \
                 copied it; it counts as none"
            ));
        }
        let read = self.matched.desired.id_attribute();
        if let (1.., Some(read)) = (owned.otherwise_identified(), read) {
            self.plan.notices.push(format!(
                "{} users are identified by another id attribute than {read}, which this read \
                 uses, so they are left alone; set id_attribute to the one that identifies them",
                owned.otherwise_identified()
            ));
        }
        if owned.elsewhere > 0 {
            self.plan.notices.push(left_alone(owned.elsewhere));
        }
    }

    fn of_other_jobs(&mut self) {
        let mut of_jobs: BTreeMap<&str, usize> = BTreeMap::new();
        for found in &self.matched.matches {
            if let Match::Linked(_, _, Owner::Sibling { job }) = found {
                *of_jobs.entry(job).or_default() += 1;
            }
        }
        for (job, count) in of_jobs {
            self.notice(format!(
                "{count} of these people are in the search bases of the job {job:?}, which owns \
                 their users"
            ));
        }
    }

    /// A base that is suddenly empty, while people are missing, may be one that the bind account
    /// can no longer read; a server need not report that.
    fn of_emptied_bases(&mut self) {
        if self.plan.absences.is_empty() {
            return;
        }
        for base in &self.evidence.emptied_bases {
            let doubt = format!(
                "people are missing, and the search base {base} shows nobody at all: can the bind \
                 account still read the entries below it, and is it not an alias? If so, approve \
                 it"
            );
            self.plan.notices.push(doubt.clone());
            self.plan.doubts.push(doubt);
        }
    }

    /// A group that had members and shows none may be one whose members the bind account can no longer
    /// read.
    fn of_lost_grant_groups(&mut self) {
        let takes = |edit: &Edit| matches!(edit, Edit::Revoke(_));
        let mut changes = self.plan.changes();
        if !changes.any(|change| change.edits.iter().any(takes)) {
            return;
        }
        drop(changes);
        for lost in &self.evidence.lost_grant_groups {
            let doubt = match lost {
                LostGroup::Hidden(dn) => format!(
                    "roles or memberships would be taken, and the group {dn}, which is a member of a \
                     mapped group, is not seen any more: let the bind account read it; if it is gone, \
                     approve it"
                ),
                LostGroup::Empty(dn) => format!(
                    "roles or memberships would be taken, and the group {dn} shows no members any \
                     more: can the bind account still read them? If they left, approve it"
                ),
            };
            self.plan.notices.push(doubt.clone());
            self.plan.grant_doubts.push(doubt);
        }
    }

    /// A part of the tree that moves to another server, or from one, takes its people along.
    fn of_referrals(&mut self) {
        if self.plan.absences.is_empty() {
            return;
        }
        if let Some((before, now)) = self.evidence.changed_referrals {
            let doubt = format!(
                "people are missing, and the search bases have {now} referral objects, after \
                 {before} before: are these people on another server now? If not, approve it"
            );
            self.plan.notices.push(doubt.clone());
            self.plan.doubts.push(doubt);
        }
    }

    /// Users that somebody else deactivated since the run before, once each: a second writer is
    /// visible, and not overruled.
    fn of_other_writers(&mut self) {
        let known = self.matched.known;
        let Some(before) = known.inactive else { return };
        let new: Vec<&str> = self
            .matched
            .owned
            .inactive
            .iter()
            .filter(|(id, _)| !before.contains(**id))
            .map(|(_, login)| *login)
            .collect();
        if new.is_empty() {
            return;
        }
        let who = if known.has_another_writer {
            "; ftrack's own LDAP synchronisation, which another job starts, may be the cause"
        } else {
            ""
        };
        self.notice(format!(
            "users were deactivated by somebody else since the previous run, and stay inactive: \
             {}{who}",
            new.join(", ")
        ));
    }

    /// Values that ftrack made others of: written twice and accepted, and perhaps wanted otherwise.
    fn of_unlike_values(&mut self) {
        let mut unlike = std::mem::take(&mut self.unlike);
        if unlike.is_empty() {
            return;
        }
        unlike.sort_by(|(one, (of_one, _)), (other, (of_other, _))| {
            (&one.id, of_one).cmp(&(&other.id, of_other))
        });
        let mut said = unlike.iter().map(|(user, (field, values))| {
            format!(
                "{} of the user {:?} as {} instead of {}",
                field.name(),
                user.username,
                beginning(&values.old),
                beginning(&values.new)
            )
        });
        let named: Vec<String> = said.by_ref().take(NAMED).collect();
        let more = match said.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        self.notice(format!(
            "ftrack stores other values than were written, and they are not written again until \
             one of the two sides changes: {}{more}",
            named.join(", ")
        ));
    }
}

/// A value, as far as a notice shows it.
fn beginning(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
