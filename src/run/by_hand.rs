//! Runs that a person asks for by hand, which is itself the approval: `link` gives a user to a person
//! of the directory, `unlink` ends that, and `release` takes the links of all users of a job away.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::{
    Aim, CompiledJob, Progress, Purpose, RunContext,
    failure::{Failure, RunStartError},
    ldap_work::LdapWork,
    outcome,
};
use crate::{
    ftrack::session::Writer,
    model::{
        change::{Action, Change, ChangeParts},
        edit::Edit,
        entry::DirectoryId,
        link::{Activity, Form, Link, LinkFound, Signature},
        reason::{ByHand, Reason},
        report::{Approver, ChangeResult, Report, Reported, RunPhase, Trigger},
        user::{Current, User},
    },
    state::State,
    sync::{
        decide::{GivenUser, Matched, NotGiven, user_named},
        decision::{Decision, Outcome, Plan, Who},
        guard,
        guard::ClosedKinds,
        put_back::elsewhere,
    },
};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Give a user to a person of the directory.
    Link {
        /// The person: login, mail address, DN or directory id.
        who: String,
        /// The user: login, mail address or ftrack id.
        user: String,
    },
    /// End that a user is a person's.
    Unlink {
        /// The user: login, mail address or ftrack id.
        user: String,
    },
    /// Take the links of all users of the job away.
    Release,
}

/// What a person asks for, and who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub asked: Asked,
    /// Who.
    pub by: Approver,
    /// Whether it is only shown.
    pub dry_run: bool,
}

impl Asked {
    /// What started the run.
    #[must_use]
    pub fn trigger(&self) -> Trigger {
        match self {
            Self::Link { .. } | Self::Unlink { .. } => Trigger::Link,
            Self::Release => Trigger::Release,
        }
    }

    /// Whom the run is for, as they are named; nobody in particular where it is for all.
    pub(super) fn only(&self) -> Vec<String> {
        match self {
            Self::Link { who, .. } => vec![who.clone()],
            Self::Unlink { user } => vec![user.clone()],
            Self::Release => Vec::new(),
        }
    }

    /// Whether the directory is read for it.
    pub(super) fn reads_directory(&self) -> bool {
        match self {
            Self::Link { .. } => true,
            Self::Unlink { .. } | Self::Release => false,
        }
    }

    /// Whether another run of the job is waited for.
    fn waits(&self) -> bool {
        match self {
            Self::Link { .. } | Self::Unlink { .. } => true,
            Self::Release => false,
        }
    }
}

impl CompiledJob {
    /// Does what a person asks for. `link` and `unlink` wait for another run of the job, which may be
    /// the daemon's, as long as a run may take.
    ///
    /// # Errors
    /// Another run of the job does not end within its time limit, or is in progress; the job only
    /// observes or reads no directory; or the state directory cannot be used. A run that has started
    /// always returns a report.
    pub async fn by_hand(
        &self,
        state: &State,
        request: &Request,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, RunStartError> {
        let begin = || {
            let purpose = Purpose::ByHand(request.clone());
            self.run(state, request.asked.trigger(), purpose, cancel, progress)
        };
        if !request.asked.waits() {
            return Box::pin(begin()).await;
        }
        self.once_free(cancel, begin, || progress(Progress::WaitingForRun))
            .await
    }
}

/// The links of a job, and what is to be known of those that stay.
struct Released<'c> {
    users: Vec<(&'c User, &'c Link)>,
    notices: Vec<String>,
}

impl<'a> RunContext<'a, LdapWork> {
    /// What is asked for by hand that needs no directory, if the run is for that.
    pub(super) fn asks_ftrack_alone(&self) -> bool {
        let asked = self.asked.as_ref();
        asked.is_some_and(|asked| !asked.reads_directory())
    }

    /// Lets a person's word decide whose user is whose.
    pub(super) fn given<'m>(&mut self, matched: Matched<'m>) -> Result<Matched<'m>, Failure> {
        let Some(Asked::Link { who, user }) = &self.asked else {
            return Ok(matched);
        };
        let given = matched.giving(GivenUser { who, user });
        let (matched, id) = given.map_err(|error| match error {
            NotGiven::Misnamed(_) => self.misnamed(error),
            NotGiven::Refused(_) => Failure::refused(error),
        })?;
        self.given_to = Some(id);
        Ok(matched)
    }

    /// The part of a plan by which a person gets the user that is given to them.
    ///
    /// # Errors
    /// They do not get it, and why.
    pub(super) fn only_given<'p>(
        &self,
        plan: Plan<'p>,
        id: &DirectoryId,
    ) -> Result<Plan<'p>, Failure> {
        let is_of_person = |decision: &Decision<'_>| match decision.who {
            Who::Person((person, _)) => person == id,
            Who::Entry(_) | Who::User(_) => false,
        };
        let mut decisions = plan.decisions;
        decisions.retain(is_of_person);
        let gets_it = |decision: &Decision<'_>| {
            let change = decision.change();
            change.is_some_and(|change| change.action == Action::Adopt)
        };
        match decisions.iter().find(|decision| !gets_it(decision)) {
            None if decisions.is_empty() => Err(Failure::refused(
                "link: nothing is decided about the person, and nothing was written",
            )),
            None => Ok(Plan {
                decisions,
                // Others are no matter of this run.
                unsettled: plan.unsettled.into_iter().filter(|who| who == id).collect(),
                ..plan
            }),
            Some(decision) => Err(Failure::refused(format!(
                "link: the person does not get the user, and nothing was written: {}",
                decision.reason
            ))),
        }
    }

    /// A whole run that reads ftrack alone, and ends links.
    pub(super) async fn end_links(&mut self, aim: Aim, state: &State) -> Result<(), Failure> {
        let remembered = state.remembered(&self.prepared.name, self.reader.server())?;
        let began = Instant::now();
        let current = self.all_users().await?;
        self.record_phase(RunPhase::Ftrack, began.elapsed());
        self.record_current(&current, began.elapsed());
        let earlier = self.confirm_earlier(state, &remembered, &current).await?;
        self.own = self.known_links(&remembered, &current)?;
        let plan = self.ending(&current)?;
        self.begin()?;
        let vetted = guard::give(&plan, &ClosedKinds::default());
        self.record_plan(&plan, &vetted);
        let writer: Writer = match aim {
            Aim::Look | Aim::Observe => {
                self.report.outcome = outcome(&self.report);
                return Ok(());
            }
            Aim::Write { writer, .. } => writer,
        };
        let ready = self.ready_by_hand(vetted, &remembered);
        drop(plan);
        self.carry_out(state, &remembered, ready, (&current, earlier), &writer)
            .await?;
        if self.asked == Some(Asked::Release) {
            self.count_released();
            state.forget_people(&self.prepared.name)?;
        }
        Ok(())
    }

    /// What ends the links that a person asked to end.
    fn ending<'c>(&mut self, current: &'c Current) -> Result<Plan<'c>, Failure> {
        let (decisions, notices) = match &self.asked {
            Some(Asked::Unlink { user }) => {
                let user = user_named(&current.users, user);
                let user = user
                    .map_err(|why| self.misnamed(format!("unlink: {why}; nothing was written")))?;
                self.unlinking(current, user)?
            }
            Some(Asked::Release) => {
                let Released { users, notices } = self.released(current);
                let users = users.into_iter();
                (
                    users.map(|(user, link)| release(user, link)).collect(),
                    notices,
                )
            }
            Some(Asked::Link { .. }) | None => (Vec::new(), Vec::new()),
        };
        let owned = || self.own.users(current);
        Ok(Plan {
            decisions,
            notices,
            owned: owned().count(),
            owned_active: owned().filter(|(user, _)| user.is_active).count(),
            linked: current
                .users
                .iter()
                .filter(|user| user.link.tie().is_some())
                .count(),
            ..Plan::default()
        })
    }

    fn unlinking<'c>(
        &self,
        current: &'c Current,
        user: &'c User,
    ) -> Result<(Vec<Decision<'c>>, Vec<String>), Failure> {
        let refused = |why: String| Failure::refused(format!("unlink: {why}; nothing was written"));
        let name = &*user.username;
        let link = match &user.link {
            LinkFound::Link(link) if self.own.has(link) => link,
            LinkFound::Link(link) | LinkFound::Unlinked(link) if self.own.is_elsewhere(link) => {
                return Err(refused(format!("the user {name:?}: {}", elsewhere(link))));
            }
            LinkFound::Link(link) => return Err(refused(self.of_another_job(name, link))),
            // That it is signed anew is left to do.
            LinkFound::Unlinked(link) if link.signature == Signature::Invalid => link,
            LinkFound::Unlinked(_) => {
                let notice = format!("the user {name:?} is unlinked already");
                return Ok((Vec::new(), vec![notice]));
            }
            LinkFound::Absent | LinkFound::OfAnotherUser => {
                return Err(refused(format!("the user {name:?} is nobody's of any job")));
            }
            LinkFound::Unreadable => {
                return Err(refused(format!(
                    "the link of the user {name:?} cannot be read"
                )));
            }
        };
        let new = link.clone().with(|link| {
            link.activity = Activity::Unlinked;
            link.form = Form::Current;
        });
        let new = new.signed(self.work.rules.signature);
        let change = Change::new(parts(user, link, new, ByHand::Unlinked));
        let kept = keeps(user, link, current);
        let inactive = (!user.is_active).then(|| {
            format!("the user {name:?} is inactive, and nobody activates it but a person")
        });
        let notices = kept.into_iter().chain(inactive).collect();
        Ok((vec![of_user(user, change)], notices))
    }

    fn of_another_job(&self, name: &str, link: &Link) -> String {
        let siblings = &self.work.rules.siblings;
        let job = siblings.iter().find(|job| job.source == link.source);
        match job {
            Some(job) => format!(
                "the user {name:?} belongs to the job {:?}: `unlink --job {}`",
                &*job.job, job.job
            ),
            None => format!(
                "the user {name:?} belongs to the source {:?}, which no job has",
                &*link.source
            ),
        }
    }

    /// The users of the job, all of its directory: another installation may have the same source.
    fn released<'c>(&self, current: &'c Current) -> Released<'c> {
        let source = &self.work.rules.source;
        let users: Vec<_> = self.own.users(current).collect();
        let links = current.users.iter().filter_map(|user| user.link.link());
        let others = links.filter(|link| self.own.is_elsewhere(link)).count();
        let marks = current.users.iter().filter_map(|user| user.link.unlinked());
        let unlinked = marks.filter(|link| self.own.has(link)).count();
        let mut notices = vec![format!(
            "{} users are handed back, and stay as they are in ftrack, with their roles and \
             memberships; a later sync of the job is a first contact again: it adopts users by \
             users.adopt, and takes back those that it once created",
            users.len()
        )];
        if others > 0 {
            notices.push(format!(
                "{} users of the source {source:?} belong to another directory, and keep their links",
                others
            ));
        }
        if unlinked > 0 {
            notices.push(format!(
                "{unlinked} users were unlinked from their people by `unlink`, and stay so"
            ));
        }
        Released { users, notices }
    }

    /// What the job owns once its users are released, for the runs after this one.
    fn count_released(&mut self) {
        let is_gone =
            |change: &&Reported| change.result == ChangeResult::Applied || change.is_so_already();
        let gone = self.report.changes.iter().filter(is_gone).count();
        let ftrack = &mut self.report.ftrack;
        ftrack.owned = ftrack.owned.saturating_sub(gone);
        ftrack.owned_active = ftrack.owned_active.min(ftrack.owned);
        ftrack.linked = ftrack.linked.map(|linked| linked.saturating_sub(gone));
    }
}

/// A change of the link alone.
fn parts(user: &User, link: &Link, new: Link, why: ByHand) -> ChangeParts {
    ChangeParts {
        action: Action::Update,
        username: user.username.to_string(),
        dn: None,
        directory_id: link.id.clone(),
        ftrack_id: user.id.clone(),
        edits: vec![Edit::Link],
        reason: Reason::ByHand(why),
        before: Some(link.clone()),
        link: new,
    }
}

fn release<'c>(user: &'c User, link: &Link) -> Decision<'c> {
    let change = Change::new(parts(user, link, link.clone(), ByHand::Released));
    of_user(user, change.deleting_the_link())
}

fn of_user(user: &User, change: Change) -> Decision<'_> {
    Decision {
        who: Who::User(user),
        user: Some(user),
        reason: change.reason.clone(),
        outcome: Outcome::Change(Box::new(change)),
    }
}

/// That a user keeps the roles and memberships that the job gave, if it gave any.
fn keeps(user: &User, link: &Link, current: &Current) -> Vec<String> {
    let name = &*user.username;
    let (roles, groups) = current.names_of(&link.given);
    let lists = [("security roles", roles), ("memberships of groups", groups)];
    let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
    lists
        .map(|(what, names)| {
            let names = names.join(", ");
            format!("the user {name:?} keeps the {what} that the job gave it: {names}")
        })
        .collect()
}
