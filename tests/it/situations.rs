//! Situations: what is in the directory, in ftrack and in the configuration, and the plan that the
//! program makes of them, as `plan` prints it.
//!
//! Everything runs in the process of the test, with the program's own clients and real sockets
//! between them and the servers of the demo. A situation is written down once and read many times,
//! so its result is in the test: `cargo insta` or `INSTA_UPDATE=new` shows what has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adoption;
mod by_hand;
mod clocks;
mod conflicts;
mod custom;
mod disabled;
mod edits;
mod forged;
pub mod ftrack_groups;
mod groups;
mod handed_back;
mod invitations;
mod jobs;
mod jobs_of_groups;
mod leavers;
mod limits;
mod locations;
mod mails;
mod missing_since;
mod pictures;
pub mod projects;
mod protection;
mod returners;
mod rights;
pub mod roles;
mod settings;
mod several;
mod successors;
mod text;
mod unusable;
mod values;

use std::ops::{Deref, DerefMut};

use ftrack_ldap_sync::{
    demo::{directory::TreeEntry, ftrack::Account},
    model::report::{Outcome, Report},
};

use crate::{
    rules::{account, add_config},
    studio::{Studio, person},
};

/// A directory, an ftrack and a configuration.
pub struct Situation(Studio);

impl Deref for Situation {
    type Target = Studio;

    fn deref(&self) -> &Studio {
        &self.0
    }
}

impl DerefMut for Situation {
    fn deref_mut(&mut self) -> &mut Studio {
        &mut self.0
    }
}

impl Situation {
    /// People who are in the directory alone; ftrack has its API user and an administrator.
    pub fn of(uids: &[&str]) -> Self {
        Self(Studio::of(uids))
    }

    /// People who have the users that a sync gave them.
    pub fn synced(uids: &[&str]) -> Self {
        let situation = Self::of(uids);
        situation.sync();
        situation
    }

    /// One more entry.
    pub fn entry(self, entry: TreeEntry) -> Self {
        self.tree().add(entry).unwrap();
        self
    }

    /// One more person, who is known by this number.
    pub fn numbered(self, uid: &str, number: &str) -> Self {
        self.entry(person(uid, "Given", uid).with("employeeNumber", number))
    }

    /// One more user that nobody owns.
    pub fn stranger(self, username: &str) -> Self {
        self.account(account(username))
    }

    /// One more user, as described.
    pub fn account(self, account: Account) -> Self {
        self.ftrack().add_user(&account).unwrap();
        self
    }

    /// Keys of the job.
    pub fn job(mut self, keys: &str) -> Self {
        keys.clone_into(&mut self.0.job);
        self
    }

    /// What else the configuration says.
    pub fn config(self, text: &str) -> Self {
        add_config(&self, text);
        self
    }

    /// Whatever happens then.
    pub fn then(self, happens: impl FnOnce(&Studio)) -> Self {
        happens(&self);
        self
    }

    /// After another sync.
    pub fn after_sync(self) -> Self {
        self.sync();
        self
    }

    /// What `plan` prints, or the error.
    pub fn plan_text(&self) -> String {
        self.plan_text_of(&[])
    }

    /// What `plan JOB` prints, or the error.
    pub fn plan_text_of(&self, job: &[&str]) -> String {
        let plan = self.plan(job);
        let text = plan.map_or_else(|error| format!("error: {error}\n"), text::plan);
        self.plain(&text)
    }

    /// What a report of this situation prints, without times and numbers of calls.
    pub fn report_text(&self, report: &Report) -> String {
        self.plain(&text::report(report))
    }

    /// How many runs are known to have succeeded.
    pub fn succeeded_runs(&self) -> usize {
        let reports = self.reports();
        let succeeded = |report: &&Report| report.outcome == Outcome::Succeeded;
        reports.iter().filter(succeeded).count()
    }

    /// The users of ftrack other than those who are always there, one a line.
    pub fn users(&self) -> String {
        let all = self.ftrack().users();
        let others = all
            .iter()
            .filter(|user| !matches!(&*user.username, "ldap-sync" | "admin"));
        let mut lines: Vec<String> = others.map(text::user).collect();
        lines.sort();
        lines.concat()
    }

    /// Without what differs each time: addresses, ids, times and colours.
    pub fn plain(&self, text: &str) -> String {
        let text = text
            .replace(&self.directory_url, "ldap://directory")
            .replace(&self.ftrack_url(), "http://ftrack");
        text::plain(&text)
    }
}
