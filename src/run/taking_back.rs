//! A person takes a rejection back: what was rejected is judged anew by the next run.
//!
//! The users' links at ftrack say what is rejected, so they are written first: where that fails, it
//! stays rejected.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Purpose, RunContext, Work,
    failure::{Failure, HoldError, OnlyObserves, RunStartError},
    rejection::free,
};
use crate::{
    config::Mode,
    event::{Event, HoldEvent, RunName},
    model::{
        fold::fold,
        hold_number::HoldNumber,
        listed_rejection::RejectedWho,
        rejected::Rejected,
        report::{Approver, Trigger},
        user::{Current, EntityId},
    },
    state::{RejectedRow, State, history::History},
};

/// What a person takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeBack {
    /// What was rejected of this hold; of any, where it is absent.
    pub hold: Option<HoldNumber>,
    /// Only of these people: login, mail address, DN, directory id or ftrack id; of everybody, where it
    /// is empty.
    pub only: Vec<String>,
    /// The person who takes it back.
    pub by: Approver,
}

impl CompiledJob {
    /// Takes back what was rejected of users of this job, while no run of it is under way; returns their
    /// logins.
    ///
    /// # Errors
    /// Nothing of it is rejected, a run of the job does not end soon, or a link cannot be written: then
    /// it stays rejected.
    pub async fn take_back(
        &self,
        state: &State,
        order: &TakeBack,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, RunStartError> {
        let Work::Ldap(work) = &self.work else {
            return Err(nothing(order).into());
        };
        let _lock = free(&self.config.state_dir, &self.name, cancel).await?;
        let (trigger, history) = (Trigger::Manual, History::new(&self.config.state_dir));
        let (purpose, progress) = (Purpose::Sync, |_| {});
        let (mut context, writer) =
            RunContext::start(self, &**work, trigger, &purpose, history, cancel, &progress);
        context.hurry();
        let failed = |Failure { why, .. }: Failure| HoldError::NotTakenBack(why);
        let current = context.all_users().await.map_err(failed)?;
        let rows = state.rejected_rows(&self.name)?;
        let remembered = state.remembered(&self.name, context.reader.server())?;
        let own = context.known_links(&remembered, &current);
        let own = own.map_err(|error| failed(error.into()))?;
        let mut rejected = Rejected::default();
        for row in rows.iter().filter(|row| !row.is_in_link) {
            rejected.add(row.user.clone(), &row.edit);
        }
        rejected.add_links(&current, &own);
        let chosen = chosen(order, (&rows, &rejected), &current)?;
        if work.job.mode == Mode::Observe && chosen.without_links(&current, &own) != chosen {
            let job = self.name.clone();
            return Err(OnlyObserves { job }.into());
        }
        let rest = rejected.without(&chosen);
        let written = Box::pin(context.write_links((&current, &own), &rest, &writer)).await;
        written.map_err(failed)?;
        state.forget_rejected(&self.name, &chosen)?;
        let users = chosen.users();
        let (job, by) = (&self.name, order.by.to_string());
        let (of, what) = (
            RunName { job, run: "" },
            HoldEvent::Unrejected {
                hold: order.hold,
                people: users.len(),
                by: &by,
            },
        );
        Event::Hold { of, what }.emit();
        Ok(logins(&users, &rows, &current))
    }
}

/// What is to be taken back of what is rejected.
fn chosen(
    order: &TakeBack,
    (rows, rejected): (&[RejectedRow], &Rejected),
    current: &Current,
) -> Result<Rejected, HoldError> {
    let of_hold = match order.hold {
        None => rejected.clone(),
        Some(hold) => {
            let of_hold = rows.iter().filter(|row| row.hold == Some(hold));
            rejected.among(of_hold.map(|row| (&row.user, &*row.edit)))
        }
    };
    let users = of_hold.users();
    if users.is_empty() {
        return Err(nothing(order));
    }
    if order.only.is_empty() {
        return Ok(of_hold);
    }
    let mut wanted = BTreeSet::new();
    for who in &order.only {
        let mut named = named(who, &users, (rows, current));
        match (named.pop_first(), named.is_empty()) {
            (Some(user), true) => drop(wanted.insert(user)),
            (None, _) => return Err(HoldError::NobodyRejected { who: who.clone() }),
            (Some(user), false) => {
                named.insert(user);
                return Err(HoldError::SeveralRejected {
                    who: who.clone(),
                    people: logins(&named, rows, current).join(" and "),
                });
            }
        }
    }
    Ok(of_hold.of_users(&wanted))
}

/// Those of the users who have a name, as it was when it was rejected, or as it is now.
fn named(
    who: &str,
    users: &BTreeSet<EntityId>,
    (rows, current): (&[RejectedRow], &Current),
) -> BTreeSet<EntityId> {
    let who = fold(who);
    let before = rows.iter().filter_map(|row| {
        let known = row.who.as_ref()?;
        known.is_named(&who).then_some(&row.user)
    });
    let now = current.users.iter().filter_map(|user| {
        let is_named = RejectedWho::from(user).is_named(&who);
        is_named.then_some(&user.id)
    });
    let by_id = users.iter().filter(|user| fold(&user.text()) == who);
    let all = before.chain(now).chain(by_id);
    all.filter(|user| users.contains(user)).cloned().collect()
}

/// The logins of users, as far as they are known; otherwise their ids.
fn logins(users: &BTreeSet<EntityId>, rows: &[RejectedRow], current: &Current) -> Vec<String> {
    let login = |id: &EntityId| {
        let user = current.users.iter().find(|user| user.id == *id);
        let row = || rows.iter().find(|row| row.user == *id)?.who.as_ref();
        user.map(|user| user.username.to_string())
            .or_else(|| row().map(|who| who.username.clone()))
            .unwrap_or_else(|| id.to_string())
    };
    let mut logins: Vec<String> = users.iter().map(login).collect();
    logins.sort_unstable();
    logins
}

fn nothing(order: &TakeBack) -> HoldError {
    match order.hold {
        Some(hold) => HoldError::NotRejected { hold },
        None => HoldError::NothingRejected,
    }
}
