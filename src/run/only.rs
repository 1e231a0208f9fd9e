//! A run for some people alone: both servers are read completely and everybody is decided about, and
//! what concerns these people is written. Nothing else is remembered of it than of a run that only
//! observes, so that the next run judges everybody as if this one had not been.

use std::{collections::BTreeSet, fmt};

use super::{
    RunContext,
    failure::{Failure, RunStartError},
    ldap_work::LdapWork,
};
use crate::{
    config::did_you_mean,
    model::{absence::Absences, entry::DirectoryId, fold::fold, user::Current},
    state::{Remembered, State, files::StateError},
    sync::{
        decision::{Decision, Plan, Who},
        desired::DesiredValue,
    },
};

pub(super) mod access;

impl<W> RunContext<'_, W> {
    /// Somebody is named whom nobody knows, or several: then it was no run.
    pub(super) fn misnamed(&mut self, why: impl fmt::Display) -> Failure {
        let failure = Failure::refused(why);
        self.no_run = Some(RunStartError::Misnamed(failure.why.clone()));
        failure
    }
}

impl RunContext<'_, LdapWork> {
    /// Whether the run is for everybody.
    pub(super) fn is_for_everybody(&self) -> bool {
        self.prepared.only.is_empty() && self.asked.is_none()
    }

    /// The part of a plan that concerns the people whom the run is for; all of it where it is for
    /// everybody.
    ///
    /// # Errors
    /// Nobody is known by one of the names, several are, or somebody swaps a login or a mail address
    /// with a person who is not among them: then it was no run.
    pub(super) fn restricted<'p>(
        &mut self,
        plan: Plan<'p>,
        current: &Current,
    ) -> Result<Plan<'p>, Failure> {
        if let Some(id) = &self.given_to {
            return self.only_given(plan, id);
        }
        if self.is_for_everybody() {
            return Ok(plan);
        }
        self.only_of(plan, current)
            .map_err(|Failure { why, .. }| self.misnamed(why))
    }

    fn only_of<'p>(&mut self, plan: Plan<'p>, current: &Current) -> Result<Plan<'p>, Failure> {
        let mut kept = BTreeSet::new();
        for who in &self.prepared.only {
            let named = named(&plan, who)?;
            let about = plan.decisions.iter().filter(|about| key(about) == named);
            let about: Vec<&Decision<'_>> = about.collect();
            let person = access::before(who, &named, &about, current);
            self.report.named.push(person);
            kept.insert(named);
        }
        let rotations: BTreeSet<usize> = plan
            .decisions
            .iter()
            .filter(|decision| kept.contains(&key(decision)))
            .filter_map(|decision| decision.change()?.rotation)
            .collect();
        let swaps = |decision: &&Decision<'_>| {
            let rotation = decision.change().and_then(|change| change.rotation);
            rotation.is_some_and(|rotation| rotations.contains(&rotation))
        };
        let mut of_rotations = plan.decisions.iter().filter(swaps);
        if let Some(other) = of_rotations.find(|decision| !kept.contains(&key(decision))) {
            return Err(Failure::refused(format!(
                "--only: somebody of these people and {} take each other's login or mail address, \
                 so name both",
                shown(other)
            )));
        }
        let is_kept = |decision: &Decision<'_>| kept.contains(&key(decision));
        let decisions: Vec<Decision<'p>> = plan.decisions.into_iter().filter(is_kept).collect();
        let people: BTreeSet<_> = decisions
            .iter()
            .filter_map(|decision| match decision.who {
                Who::Person((id, _)) => Some(id.clone()),
                Who::Entry(_) | Who::User(_) => None,
            })
            .collect();
        Ok(Plan {
            unsettled: plan.unsettled.intersection(&people).cloned().collect(),
            decisions,
            ..plan
        })
    }

    /// Saves who has been missing or disabled since when, of whom no link says so: because something
    /// holds the deactivation, nothing is written to ftrack, or nobody is waited for.
    pub(super) fn keep_absences(
        &self,
        state: &State,
        remembered: &Remembered,
        plan: &Plan<'_>,
    ) -> Result<(), StateError> {
        let job = &self.prepared.name;
        let is_in_link =
            |id: &String| DirectoryId::new(id).is_some_and(|id| plan.in_links.contains(&id));
        let others = |all: &Absences| -> Absences {
            let others = all.iter().filter(|(id, _)| !is_in_link(id));
            others
                .map(|(id, absence)| (id.clone(), absence.clone()))
                .collect()
        };
        state.set_absences(job, &remembered.absences, &others(&plan.absences))?;
        state.set_disabled(job, &remembered.disabled, &others(&plan.disabled))
    }

    /// Saves for how long people have been missing or disabled.
    pub(super) fn remember_absences(
        &self,
        state: &State,
        remembered: &Remembered,
        plan: &Plan<'_>,
    ) -> Result<(), Failure> {
        let job = &self.prepared.name;
        self.keep_absences(state, remembered, plan)?;
        state.set_clocks_agreed(job, self.clocks().agreed())?;
        if plan.is_first_contact && !self.is_for_everybody() {
            // It goes on until a run for everybody has come to its end.
            state.set_first_contact(job, self.reader.server(), true)?;
        }
        Ok(())
    }
}

/// What identifies the person of a decision: the directory id, of a user without a person the link's,
/// and of an entry without an id its DN.
fn key(decision: &Decision<'_>) -> String {
    match decision.who {
        Who::Person((id, _)) => id.as_str().to_owned(),
        Who::Entry(entry) => match &entry.id {
            Some(id) => id.as_str().to_owned(),
            None => entry.dn.to_string(),
        },
        Who::User(user) => {
            let link = user.link.link();
            link.map_or_else(|| user.id.to_string(), |link| link.id.as_str().to_owned())
        }
    }
}

/// The person with this login, mail address, DN, directory id or ftrack id.
fn named(plan: &Plan<'_>, who: &str) -> Result<String, Failure> {
    let folded = fold(who);
    let is = |text: &str| fold(text) == folded;
    let is_named = |decision: &&Decision<'_>| {
        let is_person = match decision.who {
            Who::Person((id, person)) => {
                let mail = match &person.email {
                    DesiredValue::Text(mail) => is(mail),
                    DesiredValue::Keep | DesiredValue::Clear => false,
                };
                mail || is(&person.username) || is(&person.dn) || is(id.as_str())
            }
            Who::Entry(entry) => {
                is(&entry.dn)
                    || entry.username.as_deref().is_some_and(is)
                    || entry.id.as_ref().is_some_and(|id| is(id.as_str()))
            }
            Who::User(user) => {
                let link = user.link.link();
                user.is_named(&folded) || link.is_some_and(|link| is(link.id.as_str()))
            }
        };
        is_person || decision.user.is_some_and(|user| user.is_named(&folded))
    };
    let all = plan.decisions.iter().filter(is_named);
    let found: Vec<(String, String)> = all
        .map(|decision| (key(decision), shown(decision)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let keys: BTreeSet<&String> = found.iter().map(|(key, _)| key).collect();
    match (keys.len(), found.first()) {
        (1, Some((key, _))) => Ok(key.clone()),
        (0, _) | (_, None) => Err(Failure::refused(format!(
            "--only: neither the job's people nor its users have the login, mail address, DN or id \
             {who:?}, so nothing was written; `explain` says why{}",
            did_you_mean(who, plan.decisions.iter().filter_map(login))
        ))),
        (_, Some(_)) => {
            let names: BTreeSet<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            Err(Failure::refused(format!(
                "--only: {who:?} may be {}, so nothing was written: name the person by the DN or \
                 an id",
                names.join(" or ")
            )))
        }
    }
}

/// The login of the person of a decision.
fn login<'p>(decision: &'p Decision<'_>) -> Option<&'p str> {
    match decision.who {
        Who::Person((_, person)) => Some(&person.username),
        Who::Entry(entry) => entry.username.as_deref(),
        Who::User(user) => Some(&user.username),
    }
}

/// As whom people know the person of a decision.
fn shown(decision: &Decision<'_>) -> String {
    match decision.who {
        Who::Person((_, person)) => person.dn.to_string(),
        Who::Entry(entry) => entry.dn.to_string(),
        Who::User(user) => user.username.to_string(),
    }
}
