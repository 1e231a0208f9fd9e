//! Properties of every plan, whatever the directory shows and whatever is in ftrack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod applied;
mod compared;
pub(in crate::sync) mod generators;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::{prelude::*, sample::select};

use super::{
    decide::{Evidence, Known, Matched, PlanRefused},
    decision::{Decision, Outcome, Plan, Who},
    desired::Desired,
    guard,
    guard::{Bounds, ClosedKinds, Seen, Vetted, VettedNotes, ends_administration},
    owner::LeftGroups,
    rules::Rules,
};
use crate::{
    config::{ConfigChange, Limit, Limits},
    directory::Absent,
    model::{
        absence::Absence,
        account::Account,
        change::{Action, Change, Fingerprint, HeldBy},
        clocks::Clocks,
        edit::{Attribute, Edit, Field},
        entry::DirectoryId,
        given::Given,
        grant::Grant,
        held_people::HeldPeople,
        link::{Activity, Link, LinkFound},
        reason::Cause,
        rejected::Rejected,
        stored_value::StoredOtherwise,
        user::{Current, EntityId, User, UserKind},
    },
};
use applied::applied;
use generators::{
    Entries, current, directory_id, entries, is_with_painters, limits, now, reading, rules,
};

/// Everybody with their users, after what is remembered of earlier reads.
fn matched<'a>(
    (desired, entries): (&'a Desired, &'a Entries),
    current: &'a Current,
    rules: &'a Rules,
) -> Result<Matched<'a>, PlanRefused> {
    let stored = Box::leak(Box::default());
    matched_knowing((desired, entries), current, rules, stored)
}

/// The same, where ftrack is known to store values otherwise.
fn matched_knowing<'a>(
    (desired, entries): (&'a Desired, &'a Entries),
    current: &'a Current,
    rules: &'a Rules,
    stored_otherwise: &'a StoredOtherwise,
) -> Result<Matched<'a>, PlanRefused> {
    let known = Known {
        without_seat: Box::leak(Box::default()),
        absences: &entries.absences,
        disabled: &entries.disabled,
        directory: None,
        inactive: None,
        has_another_writer: false,
        is_new: false,
        has_begun: false,
        users_before: None,
        stored_otherwise,
        is_protect_changed: false,
        freshness: entries.seen.as_ref(),
        preferred_server: None,
        begun: Box::leak(Box::default()),
        rejected: Box::leak(Box::default()),
    };
    Matched::new(desired, current, rules, known, clocks().into())
}

/// Both clocks show the same.
fn clocks() -> Clocks {
    Clocks {
        here: now(),
        ftrack: Some(now()),
    }
}

/// What each clock showed, without what lies in the future.
fn past(since: &Clocks) -> Vec<DateTime<Utc>> {
    let both = [Some(since.here), since.ftrack];
    let times = both.into_iter().flatten();
    times.filter(|since| *since <= now()).collect()
}

/// What is decided, where everybody who is asked for once more is absent.
fn planned<'a>(
    (desired, entries): (&'a Desired, &'a Entries),
    current: &'a Current,
    rules: &'a Rules,
) -> Result<Plan<'a>, PlanRefused> {
    let matched = matched((desired, entries), current, rules)?;
    let ids = matched.due().into_iter().map(|link| link.id.clone());
    let evidence = Evidence {
        absent: ids.map(|id| (id.clone(), Absent::for_tests(id))).collect(),
        ..Evidence::default()
    };
    Ok(matched.decide(&evidence))
}

/// What the guard allows without and with a person's approval.
fn vetted(plan: &Plan<'_>) -> [Vetted; 2] {
    let (limits, held_before, rejected) = (limits(), HeldPeople::default(), Rejected::default());
    let bounds = bounds(&limits, &held_before, &rejected);
    let all = plan.changes().map(|change| change.id).collect();
    [
        guard::vet(plan, &bounds),
        guard::approve(plan, &all, bounds.rejected),
    ]
}

fn bounds<'b>(
    limits: &'b Limits,
    held_before: &'b HeldPeople,
    rejected: &'b Rejected,
) -> Bounds<'b> {
    Bounds {
        unsettled: BTreeMap::new(),
        limits,
        written: BTreeMap::new(),
        clocks: None,
        held_before,
        changed: Vec::new(),
        config_change: ConfigChange::Hold,
        closed: ClosedKinds::default(),
        lifted: None,
        rejected,
        work: None,
    }
}

/// What links are to say beside that.
fn notes_of(plan: &Plan<'_>, vetted: &Vetted) -> VettedNotes {
    let (limits, held_before, rejected) = (limits(), HeldPeople::default(), Rejected::default());
    guard::notes(plan, &bounds(&limits, &held_before, &rejected), vetted)
}

/// Since when the person of a link was known to be missing.
fn known_before(entries: &Entries, link: &Link) -> Option<Absence> {
    let known = [&entries.absences, &entries.disabled].into_iter();
    let known = known.filter_map(|known| known.get(link.id.as_str()));
    let in_state = || known.min_by_key(|before| before.since.here);
    link.notes.missing().or_else(in_state).cloned()
}

/// Who is known to be missing, by links or otherwise, where a reading shows nobody absent.
fn is_as_before(plan: &Plan<'_>, entries: &Entries, current: &Current) -> bool {
    let links = || current.users.iter().filter_map(|user| user.link.link());
    let is_noted = |id: &String, absence: &Absence| {
        links().any(|link| link.id.as_str() == id && link.notes.missing() == Some(absence))
    };
    let mut all = plan.absences.iter();
    plan.disabled == entries.disabled
        && all
            .all(|(id, absence)| entries.absences.get(id) == Some(absence) || is_noted(id, absence))
}

/// Whether a link is certainly that of the person of a change: by the same attribute, whose values
/// are unique everywhere, or of the same directory.
fn is_of(link: &Link, change: &Change, entries: &Entries) -> bool {
    let is_unique = link.attribute.is_universal() || link.directory.as_deref() == Some("d-1");
    link.id == change.directory_id && link.attribute == entries.attribute && is_unique
}

/// The plan; a reading that is refused as a whole has none, and nothing is written.
macro_rules! plan_or_nothing {
    ($desired:expr, $current:expr, $rules:expr) => {
        match planned($desired, $current, $rules) {
            Ok(plan) => plan,
            Err(_) => return Ok(()),
        }
    };
}

mod leavers;

fn changes(plan: &Plan<'_>) -> Vec<Change> {
    plan.changes().cloned().collect()
}

proptest! {
    #[test]
    fn equal_values_give_equal_plans(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let (one, other) = (planned((&desired, &entries), &current, &rules), planned((&desired, &entries), &current, &rules));
        let (Ok(one), Ok(other)) = (&one, &other) else {
            prop_assert_eq!(one.err(), other.err());
            return Ok(());
        };
        prop_assert_eq!(&one.decisions, &other.decisions);
        prop_assert_eq!((one.skipped(), one.warnings()), (other.skipped(), other.warnings()));
    }

    #[test]
    fn everybody_gets_one_decision(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let about = |decision: &Decision<'_>| match decision.who {
            Who::Person((id, person)) => format!("person {id} {}", person.dn),
            Who::Entry(entry) => format!("entry {}", entry.dn),
            Who::User(user) => format!("user {}", user.id),
        };
        let mut decided = BTreeMap::new();
        for decision in &plan.decisions {
            // Somebody whose login is taken is skipped, and changed in everything else.
            if decision.outcome != Outcome::Skipped {
                *decided.entry(about(decision)).or_insert(0) += 1;
            }
            prop_assert!(!decision.reason.to_string().is_empty());
        }
        for (_, person) in desired.people() {
            prop_assert!(plan.decisions.iter().any(|decision| matches!(decision.who, Who::Person((_, of)) if of == person)), "nothing about {:?}", person);
        }
        // Two entries may show one id and one DN here.
        let is_user = |about: &&String| about.starts_with("user ");
        prop_assert!(decided.keys().filter(is_user).all(|about| decided[about] == 1), "{:?}", decided);
        let of_present = |link: &Link| desired.people().iter().any(|(id, _)| *id == link.id);
        for user in &current.users {
            let Some(link) = user.link.link() else { continue };
            let ours = &*link.source == "artists" && link.directory.as_deref() != Some("d-2");
            let is_named = plan.decisions.iter().any(|decision| decision.user.is_some_and(|of| of.id == user.id));
            // A person of the reading stands for its user.
            prop_assert!(!ours || is_named || of_present(link), "nothing about {:?}", user);
        }
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(entries in entries(), current in current(), rules in rules()) {
        let mut backwards = entries.clone();
        backwards.shown.reverse();
        let (one, other) = (reading(&entries), reading(&backwards));
        let (one, other) = (planned((&one, &entries), &current, &rules), planned((&other, &entries), &current, &rules));
        prop_assert_eq!(one.map(|plan| changes(&plan)), other.map(|plan| changes(&plan)));
    }

    #[test]
    fn what_was_written_leaves_nothing_to_do(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let first = plan_or_nothing!((&desired, &entries), &current, &rules);
        let after = applied(&current, first.changes());
        // Once an administrator is active again, others can be distinguished from administrators.
        let sees_one = |current: &Current| current.users.iter().any(|user| user.administrator && user.is_active);
        if sees_one(&current) != sees_one(&after) {
            return Ok(());
        }
        let second = plan_or_nothing!((&desired, &entries), &after, &rules);
        // A user that is new to the job is made no administrator in the same run.
        let is_new = |user: &EntityId| {
            let mut changes = first.changes();
            changes.any(|change| change.ftrack_id == *user && matches!(change.action, Action::Create | Action::Adopt))
        };
        let makes_administrator = |edit: &Edit| matches!(edit, Edit::Grant(grant) if grant.is_administrator());
        // Where the leaver's login is somebody's, the user is proposed to them, and held.
        let is_proposal = |change: &Change| {
            second.holds.get(&change.ftrack_id).is_some_and(|hold| hold.by == HeldBy::Returner)
        };
        let mut rest = changes(&second);
        rest.retain(|change| !(is_proposal(change) || is_new(&change.ftrack_id) && change.edits.iter().all(makes_administrator)));
        prop_assert_eq!(rest, vec![], "after {:#?}", changes(&first));
    }

    #[test]
    fn nobody_whom_no_second_look_proved_absent_is_deactivated(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let Ok(matched) = matched((&desired, &entries), &current, &rules) else {
            return Ok(());
        };
        let plan = matched.decide(&Evidence::default());
        for change in plan.changes_of(Action::Deactivate) {
            prop_assert!(desired.account(&change.directory_id).is_disabled(now()), "{:#?}", change);
        }
    }

    #[test]
    fn nobody_who_is_present_is_deactivated_and_no_stranger_is_touched(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let present: BTreeSet<DirectoryId> = entries.shown.iter().filter_map(|(id, _, _)| *id).map(directory_id).collect();
        let mut users = BTreeSet::new();
        for change in plan.changes() {
            prop_assert!(users.insert(&change.ftrack_id), "two changes for one user: {:#?}", changes(&plan));
            let may_sign_in = present.contains(&change.directory_id) && !desired.account(&change.directory_id).is_disabled(now());
            prop_assert!(change.action != Action::Deactivate || !may_sign_in, "{:#?}", change);
            let Some(user) = current.users.iter().find(|user| user.id == change.ftrack_id) else {
                prop_assert_eq!(change.action, Action::Create);
                // One id never gets two users, whatever source or directory the first one belongs
                // to.
                let has_one = current.users.iter().any(|user| user.link.link().is_some_and(|link| is_of(link, change, &entries)));
                let unlinked = current.users.iter().filter_map(|user| user.link.unlinked());
                let was_unlinked = unlinked.filter(|link| is_of(link, change, &entries)).count();
                prop_assert!(!has_one && was_unlinked == 0, "a second user: {:#?}", change);
                continue;
            };
            match &user.link {
                LinkFound::Link(link) => {
                    // Of somebody who seems to be back, with another entry: held.
                    let is_proposal = plan.holds.get(&user.id).is_some_and(|hold| hold.by == HeldBy::Returner);
                    prop_assert!(link.id == change.directory_id || is_proposal, "{:#?}", change);
                    let is_held = plan.holds.get(&user.id).is_some_and(|hold| hold.by == HeldBy::Configuration);
                    let has_left = !rules.siblings.is_empty() && change.dn.as_ref().is_some_and(|dn| !is_with_painters(dn));
                    prop_assert!(&*link.source == "artists" || is_held || has_left, "a stranger: {:#?}", change);
                }
                LinkFound::Absent | LinkFound::OfAnotherUser => prop_assert!(change.action == Action::Adopt && !user.administrator, "{:#?}", change),
                LinkFound::Unlinked(_) | LinkFound::Unreadable => prop_assert!(false, "{:#?}", change),
            }
            let by_hand = user.link.link().is_some_and(|link| link.activity == Activity::Settled) && !user.is_active;
            prop_assert!(!by_hand || change.action != Action::Reactivate, "{:#?}", change);
            prop_assert!(user.kind == UserKind::Person && *user.username != *"ldap-sync" || change.activity().is_none());
        }
    }

    #[test]
    fn several_users_of_one_link_are_all_left_alone(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        for change in plan.changes().filter(|change| change.action != Action::Create) {
            let carriers = current.users.iter().filter(|user| user.link.link().is_some_and(|link| is_of(link, change, &entries))).count();
            prop_assert!(carriers <= 1 || change.action == Action::Update && change.dn.is_none(), "{:#?}", change);
        }
    }

    #[test]
    fn login_mail_and_activity_of_the_guarded_wait_for_a_person(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let [unapproved, _] = vetted(&plan);
        for change in unapproved.allowed() {
            let user = current.users.iter().find(|user| user.id == change.ftrack_id);
            let is_guarded = user.is_some_and(|user| user.administrator || *user.username == *"dan");
            let fields = change.fields();
            let touches = [Field::Username, Field::Email, Field::IsActive].iter().any(|field| fields.contains_key(field));
            prop_assert!(!is_guarded || !touches, "{:#?}", change);
        }
        // Nothing is lost: the held and the allowed changes together are the plan.
        for change in plan.changes() {
            let parts = unapproved.changes().filter(|part| part.id == change.id);
            prop_assert!(parts.clone().all(|part| part.fingerprint == change.fingerprint));
            let edits: usize = parts.map(|part| part.edits.len()).sum();
            prop_assert_eq!(edits, change.edits.len());
        }
    }

    #[test]
    fn who_has_further_roles_is_adopted_only_with_an_approval(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let [unapproved, approved] = vetted(&plan);
        let has_more = |change: &&Change| {
            let user = current.users.iter().find(|user| user.id == change.ftrack_id);
            change.action == Action::Adopt && user.is_some_and(|user| !user.further_roles.is_empty())
        };
        prop_assert_eq!(unapproved.allowed().iter().find(has_more), None);
        let held = unapproved.held().iter().filter(|held| has_more(&&held.change));
        for held in held {
            prop_assert_eq!(held.hold.by, HeldBy::Adoption);
            prop_assert!(approved.allowed().iter().any(|change| change.id == held.change.id));
        }
    }

    #[test]
    fn no_two_users_are_to_have_one_login_and_the_guard_keeps_an_administrator(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let taken = |changes: &[Change]| -> BTreeSet<String> {
            changes.iter().filter(|change| change.values(&Attribute::Username).is_some()).map(|change| change.username.to_lowercase()).collect()
        };
        let vetted = vetted(&plan);
        let all = changes(&plan);
        for written in [&all[..], vetted[0].allowed(), vetted[1].allowed()] {
            let after = applied(&current, written);
            for login in taken(written) {
                let before = current.users.iter().filter(|user| user.username.to_lowercase() == login).count();
                let holders = after.users.iter().filter(|user| user.username.to_lowercase() == login).count();
                prop_assert!(holders <= before.max(1), "{login}: {:#?}", all);
            }
        }
        for vetted in vetted {
            let stays = |user: &&User| user.administrator && user.is_active && *user.username != *"ldap-sync";
            let keys = |current: &Current| current.users.iter().filter(stays).count();
            prop_assert!(keys(&applied(&current, vetted.allowed())) > 0 || !vetted.allowed().iter().any(ends_administration));
        }
        let [unapproved, _] = self::vetted(&plan);
        prop_assert!(plan.doubts.is_empty() || unapproved.allowed().iter().all(|change| change.action != Action::Deactivate));
    }

    #[test]
    fn roles_and_memberships_are_given_to_members_alone_and_taken_only_where_the_link_names_them(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let [unapproved, _] = vetted(&plan);
        for change in plan.changes() {
            let user = current.users.iter().find(|user| user.id == change.ftrack_id);
            let link = user.and_then(|user| user.link.link());
            let given = link.map_or_else(Given::default, |link| link.given.clone());
            let found = desired.memberships(&change.directory_id);
            let has = |grant: &Grant| user.is_some_and(|user| user.grants.has(grant));
            let is_member = |grant: &Grant| {
                let place = current.grants.iter().position(|known| **known == *grant);
                found.is_some_and(|found| rules.grants_of(&found.of_grants).any(|of| Some(of) == place))
            };
            let is_guarded = user.is_some_and(|user| user.administrator || *user.username == *"dan");
            for edit in &change.edits {
                let is_allowed = unapproved.allowed().iter().any(|allowed| allowed.id == change.id && allowed.has(edit));
                match edit {
                    Edit::Grant(grant) => {
                        prop_assert!(is_member(grant) && !has(grant), "{:#?} {:#?}", user, change);
                        prop_assert!(!is_allowed || !is_guarded && !grant.is_administrator(), "{:#?} {:#?}", user, change);
                    }
                    Edit::Revoke(grant) => {
                        prop_assert!(given.contains(&grant.id()) && has(grant) && !is_member(grant), "{:#?} {:#?}", user, change);
                        let is_unclear = found.is_some_and(|found| found.is_unclear);
                        prop_assert!(!is_allowed || !is_guarded && !is_unclear, "{:#?} {:#?}", user, change);
                    }
                    Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => {}
                }
            }
        }
    }

    #[test]
    fn an_approval_writes_what_was_seen_and_nothing_else(
        entries in entries(), current in current(), rules in rules(), most in select(vec![0_usize, 100]),
        chosen in proptest::collection::vec(any::<bool>(), 16),
    ) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let count = Limit::Count(most);
        let limits = Limits { deactivate: count, rename: count, clear: count, revoke: count, reactivate: count, create: count, ..limits() };
        let (held_before, rejected) = (HeldPeople::default(), Rejected::default());
        let bounds = bounds(&limits, &held_before, &rejected);
        let before = guard::vet(&plan, &bounds);
        let all: BTreeSet<HeldBy> = before.held().iter().map(|held| held.hold.by).filter(|by| *by != HeldBy::Administrator).collect();
        for held_by in all {
            let of_hold = before.held().iter().filter(|held| held.hold.by == held_by);
            let seen: BTreeMap<Fingerprint, &Change> = of_hold.zip(chosen.iter().cycle()).filter(|(_, chosen)| **chosen)
                .map(|(held, _)| (held.change.seen(), &held.change)).collect();
            let lifted = guard::lift(&plan, &bounds, &Seen { held_by, changes: &seen });
            prop_assert_eq!(&lifted.held, before.held());
            prop_assert!(lifted.still.keys().eq(seen.keys()));
            let mut users = BTreeSet::new();
            for change in lifted.vetted.allowed() {
                prop_assert!(users.insert(&change.ftrack_id), "two changes of one user: {:#?}", lifted.vetted);
                let of_user = || seen.values().filter(|part| part.id == change.id);
                prop_assert!(change.edits.iter().all(|edit| of_user().any(|part| part.has(edit))), "{:#?} {:#?}", seen, change);
            }
            let stays = |user: &&User| user.administrator && user.is_active && *user.username != *"ldap-sync";
            let after = applied(&current, lifted.vetted.allowed());
            prop_assert!(after.users.iter().any(|user| stays(&user)) || !lifted.vetted.allowed().iter().any(ends_administration));
        }
    }

    #[test]
    fn a_released_user_is_not_deactivated_unless_the_person_was_back(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let first = plan_or_nothing!((&desired, &entries), &current, &rules);
        let after = applied(&current, first.changes());
        let second = plan_or_nothing!((&desired, &entries), &after, &rules);
        // What the first plan releases is released for the second.
        for (plan, current) in [(&first, &current), (&second, &after)] {
            for change in plan.changes().filter(|change| change.action == Action::Deactivate) {
                let user = current.users.iter().find(|user| user.id == change.ftrack_id).unwrap();
                let activity = &user.link.link().unwrap().activity;
                prop_assert!(!matches!(activity, Activity::Released | Activity::Deactivated { .. }), "{:#?}", change);
            }
        }
    }

    #[test]
    fn a_siblings_people_are_touched_only_after_they_left_its_bases_or_groups(
        entries in entries(), current in current(), rules in rules(), left in proptest::collection::btree_set(0_u8..12, 0..6),
    ) {
        let desired = reading(&entries);
        let left: BTreeSet<DirectoryId> = left.into_iter().map(directory_id).collect();
        let Ok(matched) = matched((&desired, &entries), &current, &rules) else {
            return Ok(());
        };
        let Ok(matched) = matched.knowing(LeftGroups::from([("painters".to_owned(), left.clone())])) else {
            return Ok(());
        };
        let plan = matched.decide(&Evidence::default());
        if rules.siblings.is_empty() {
            return Ok(());
        }
        let painters = current.users.iter().filter(|user| user.link.link().is_some_and(|link| &*link.source == "painters"));
        for user in painters {
            for change in plan.changes().filter(|change| change.ftrack_id == user.id) {
                let has_left = change.dn.as_ref().is_some_and(|dn| !is_with_painters(dn)) || left.contains(&change.directory_id);
                let is_disabled = change.reason.cause() == Some(Cause::Disabled);
                let may_be = matches!(change.action, Action::Update | Action::Reactivate) || is_disabled && change.action == Action::Deactivate;
                prop_assert!(has_left && may_be, "{:#?}", change);
                prop_assert_eq!(&*change.link.source, "artists", "the user is taken over as a whole: {:#?}", change);
            }
        }
    }

    #[test]
    fn users_who_are_known_by_another_attribute_are_left_alone(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let others = current.users.iter().filter(|user| user.link.link().is_some_and(|link| link.attribute != entries.attribute));
        for user in others {
            prop_assert!(plan.changes().all(|change| change.ftrack_id != user.id), "{:#?}", user);
        }
    }

    /// Nor does anybody of whom it cannot be told, without a person's approval.
    #[test]
    fn whoever_may_not_sign_in_gets_no_access(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let gives_access = |change: &&Change| change.activity() == Some(true);
        for change in plan.changes().filter(gives_access) {
            prop_assert!(!desired.account(&change.directory_id).is_disabled(now()), "{:#?}", change);
        }
        let [unapproved, _] = vetted(&plan);
        for change in unapproved.allowed().iter().filter(gives_access) {
            prop_assert!(!matches!(desired.account(&change.directory_id), Account::Unclear(..)), "{:#?}", change);
        }
    }

    #[test]
    fn users_of_the_service_and_demo_types_are_never_changed(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let untouchable = current.users.iter().filter(|user| user.kind == UserKind::Untouchable || *user.username == *"ldap-sync");
        for user in untouchable {
            let touched: Vec<&Change> = plan.changes().filter(|change| change.ftrack_id == user.id).collect();
            prop_assert!(touched.is_empty(), "{:#?} {:#?}", user, touched);
        }
    }

    #[test]
    fn created_users_get_the_type_of_the_rules_and_nobody_else_gets_one(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        for change in plan.changes() {
            let wanted = change.action == Action::Create && rules.users.user_type.is_some();
            prop_assert_eq!(change.values(&Attribute::UserType).is_some(), wanted, "{:#?}", change);
        }
    }
}
