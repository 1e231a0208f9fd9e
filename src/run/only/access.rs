//! Whether the people whom a run is for have access before and after it, and what to do about it.

use serde_json::Value;

use crate::{
    model::{
        access::NamedPerson,
        change::{Action, HeldBy},
        edit::Field,
        reason::Reason,
        report::{ChangeResult, Report, Reported},
        user::{Current, User},
        way_to_approve::in_hold,
    },
    sync::decision::{Decision, Outcome, Who},
};

const BY_HAND: &str = "deactivate the user in ftrack by hand, which the program then leaves so";

/// What is known of a person before anything is written; `decisions` are those about the person.
pub(super) fn before(
    who: &str,
    key: &str,
    decisions: &[&Decision<'_>],
    current: &Current,
) -> NamedPerson {
    let linked = || {
        let mut users = current.users.iter();
        users.find(|user| user.link.link().is_some_and(|link| link.id.as_str() == key))
    };
    let user: Option<&User> = decisions
        .iter()
        .find_map(|decision| decision.user)
        .or_else(linked);
    let asked_for = decisions.iter().find_map(|decision| match decision.who {
        Who::Person((_, person)) => Some(person.username.to_string()),
        Who::Entry(entry) => entry.username.as_deref().map(ToOwned::to_owned),
        Who::User(_) => None,
    });
    let created = decisions.iter().find_map(|decision| {
        let change = decision.change()?;
        (change.action == Action::Create).then(|| change.ftrack_id.clone())
    });
    let has_access = user.is_some_and(|user| user.is_active);
    let is_skipped = |decision: &&&Decision<'_>| decision.outcome == Outcome::Skipped;
    let told = decisions
        .iter()
        .find(is_skipped)
        .or_else(|| decisions.first());
    NamedPerson {
        who: who.to_owned(),
        username: user.map(|user| user.username.to_string()).or(asked_for),
        ftrack_id: user.map(|user| user.id.clone()).or(created),
        had_access: has_access,
        has_access,
        due: has_access && told.is_some_and(|decision| stays_active(&decision.reason)),
        reason: told.map_or_else(String::new, |decision| why(decision, has_access)),
        what_to_do: told.map(|decision| what_to_do(decision)),
    }
}

/// Why somebody has access, or has none; what is changed beside that is no reason.
fn why(decision: &Decision<'_>, has_access: bool) -> String {
    let stays = decision
        .change()
        .is_none_or(|change| change.activity().is_none());
    match (decision.who, &decision.outcome) {
        (Who::Person(_), Outcome::Unchanged | Outcome::Change(_)) if has_access && stays => {
            "the directory shows the person among the job's people".to_owned()
        }
        (Who::Person(_) | Who::Entry(_) | Who::User(_), _) => decision.reason.to_string(),
    }
}

/// Whether a user stays active although its person is missing from the directory or may not sign in.
fn stays_active(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::MissingSince(_)
            | Reason::DisabledSince(_)
            | Reason::DisabledStays(_)
            | Reason::Released
            | Reason::ReleasedBefore
            | Reason::ReleasedDisabled
            | Reason::UntouchableLeft(_)
            | Reason::DeactivateOff
            | Reason::SharedLink
            | Reason::NotAsked
    )
}

/// How to end the access of somebody about whom this was decided.
fn what_to_do(decision: &Decision<'_>) -> String {
    if let Reason::MissingSince(since) | Reason::DisabledSince(since) = &decision.reason {
        return format!(
            "users.{} counts for everybody, and no command passes it for one person: {BY_HAND}, or \
             shorten that time",
            since.key
        );
    }
    match (decision.who, &decision.outcome) {
        (Who::Person(_), Outcome::Unchanged | Outcome::Change(_)) => {
            format!("disable the account in the directory, and name the person again; or {BY_HAND}")
        }
        (Who::Person(_) | Who::Entry(_) | Who::User(_), _) => BY_HAND.to_owned(),
    }
}

/// How to write what is held of a person.
fn approve(change: &Reported) -> String {
    let plan = "`plan --out FILE`, then `apply FILE`, which writes everything that is held";
    match (change.held_by, change.hold) {
        (Some(HeldBy::Paused), _) => format!("approve what is paused ({plan}), or {BY_HAND}"),
        (Some(by), Some(number)) if by.ends_by_approval() => format!(
            "`approve {number} --only {}` writes it for this person alone; or {BY_HAND}",
            change.username
        ),
        // A dry run opens no hold.
        (Some(by), None) if by.ends_by_approval() => format!(
            "the same command without --dry-run names the number with which it can be approved for \
             this person alone; or {BY_HAND}"
        ),
        (Some(_) | None, _) => BY_HAND.to_owned(),
    }
}

/// What is held of a person beside the access, to append; empty where nothing is.
fn held_beside(change: &Reported) -> String {
    let Some(by) = change.held_by else {
        return String::new();
    };
    let what = match change.action {
        Action::Create => "creation",
        Action::Adopt => "adoption",
        Action::Update => "update",
        Action::Deactivate => "deactivation",
        Action::Reactivate => "reactivation",
    };
    let number = change.hold.map(|hold| format!(", hold {hold}"));
    let way = change.hold.filter(|_| by.ends_by_approval());
    let way = way.map(|hold| format!(": `approve {hold} --only {}` writes it", change.username));
    format!(
        "; the {what} is held ({}{}){}",
        by.as_str(),
        number.unwrap_or_default(),
        way.unwrap_or_default()
    )
}

/// How to write what a person rejected.
fn take_back(change: &Reported) -> String {
    format!(
        "`unreject --only {}` takes the rejection back, and then name the person again; or {BY_HAND}",
        change.username
    )
}

fn is_planned(change: &Reported) -> bool {
    change.result == ChangeResult::Planned
}

/// Puts into a report what became of the people whom the run was for.
pub(in crate::run) fn settle(report: &mut Report) {
    let Report {
        named,
        changes,
        dry_run,
        error,
        ..
    } = report;
    for person in named {
        let id = person.ftrack_id.clone();
        let of_person = |change: &&Reported| Some(&change.ftrack_id) == id.as_ref();
        let activity = changes.iter().filter(of_person).find_map(|change| {
            let values = change.fields.get(&Field::IsActive)?;
            Some((change, values.new == Value::Bool(true)))
        });
        if let Some((change, becomes_active)) = activity {
            let what = if becomes_active {
                "activation"
            } else {
                "deactivation"
            };
            person.reason.clone_from(&change.reason);
            match change.result {
                ChangeResult::Applied => {
                    person.has_access = becomes_active;
                    if change.action == Action::Create {
                        "the person is in the directory, and got a user"
                            .clone_into(&mut person.reason);
                    }
                }
                ChangeResult::Planned if change.is_so_already() => {
                    person.has_access = becomes_active;
                }
                ChangeResult::Planned if *dry_run => {
                    person.reason.push_str("; this was a dry run");
                }
                ChangeResult::Held => {
                    let why = change.hold().unwrap_or_default();
                    let why = match change.hold {
                        Some(hold) => in_hold(why, hold),
                        None => why.to_owned(),
                    };
                    let text = format!("; the {what} is held: {why}");
                    person.reason.push_str(&text);
                }
                ChangeResult::Rejected => {
                    let text = format!("; a person rejected the {what}, or had one undone");
                    person.reason.push_str(&text);
                }
                ChangeResult::Planned
                | ChangeResult::Failed
                | ChangeResult::Unsettled
                | ChangeResult::Unconfirmed => {
                    let why = change.error.as_deref().or(error.as_deref());
                    let why = why.unwrap_or("it is not known to be written");
                    person.reason.push_str(&format!("; {why}"));
                }
            }
            if !becomes_active {
                person.due = person.has_access && !(*dry_run && is_planned(change));
                person.what_to_do = Some(match change.result {
                    ChangeResult::Held => approve(change),
                    ChangeResult::Rejected => take_back(change),
                    ChangeResult::Applied
                    | ChangeResult::Failed
                    | ChangeResult::Unsettled
                    | ChangeResult::Unconfirmed
                    | ChangeResult::Planned => format!("run it again, or {BY_HAND}"),
                });
            }
        }
        for change in changes.iter().filter(of_person) {
            if !change.fields.contains_key(&Field::IsActive) {
                person.reason.push_str(&held_beside(change));
            }
        }
        if !person.has_access {
            person.due = false;
            person.what_to_do = None;
        }
    }
}
