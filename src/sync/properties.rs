//! Properties of every plan, whatever the directory shows and whatever is in ftrack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod generators;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::{
    guard,
    guard::{Bounds, Vetted},
    plan::{Known, PlanRefused, plan},
    rules::Rules,
};
use crate::model::{
    change::{Action, Change, Field, HeldBy, Plan},
    entry::DirectoryId,
    link::{Activity, Link, LinkFound},
    user::{Current, User, UserKind},
};
use generators::{
    Entries, current, directory_id, entries, is_with_painters, limits, now, reading, rules,
};

fn planned(entries: &Entries, current: &Current, rules: &Rules) -> Result<Plan, PlanRefused> {
    let before = Known {
        absences: &entries.absences,
        directory: None,
    };
    plan(&reading(entries), current, rules, before, now())
}

/// What the guard allows without and with a person's approval.
fn vetted(plan: &Plan) -> [Vetted; 2] {
    let limits = limits();
    let bounds = Bounds {
        limits: &limits,
        deactivated: 0,
        held_before: &BTreeSet::new(),
    };
    [guard::vet(plan, bounds), guard::approve(plan)]
}

/// The state of ftrack after a plan was written.
fn applied(current: &Current, plan: &Plan) -> Current {
    let mut after = current.clone();
    for change in &plan.changes {
        let place = after
            .users
            .iter()
            .position(|user| user.id == change.ftrack_id)
            .unwrap_or_else(|| {
                after.users.push(User {
                    id: change.ftrack_id.clone(),
                    username: "".into(),
                    first_name: Some("first".into()),
                    last_name: Some("last".into()),
                    email: None,
                    is_active: false,
                    kind: UserKind::Person,
                    administrator: false,
                    link: LinkFound::Absent,
                    custom_values: [Value::Null].into(),
                });
                after.users.len() - 1
            });
        let user = &mut after.users[place];
        user.link = LinkFound::Link(Box::new(change.link.clone()));
        for (field, values) in &change.fields {
            let text = || values.new.as_str().map(Into::into);
            match field {
                Field::Username => user.username = text().unwrap(),
                Field::FirstName => user.first_name = text(),
                Field::LastName => user.last_name = text(),
                Field::Email => user.email = text(),
                Field::IsActive => user.is_active = values.new.as_bool().unwrap(),
                Field::Custom(_) => user.custom_values = [values.new.clone()].into(),
                Field::UserType | Field::Link => {}
            }
        }
    }
    after.users.sort_by(|a, b| a.id.cmp(&b.id));
    after
}

/// Whether a link is certainly that of the person of a change: by the same attribute, whose values
/// are unique everywhere, or of the same directory.
fn is_of(link: &Link, change: &Change, entries: &Entries) -> bool {
    let is_unique = link.attribute.is_universal() || link.directory.as_deref() == Some("d-1");
    link.id == change.directory_id && link.attribute == entries.attribute && is_unique
}

/// The plan; a reading that is refused as a whole has none, and nothing is written.
macro_rules! plan_or_nothing {
    ($entries:expr, $current:expr, $rules:expr) => {
        match planned($entries, $current, $rules) {
            Ok(plan) => plan,
            Err(_) => return Ok(()),
        }
    };
}

proptest! {
    #[test]
    fn equal_values_give_equal_plans(entries in entries(), current in current(), rules in rules()) {
        let (one, other) = (planned(&entries, &current, &rules), planned(&entries, &current, &rules));
        let (Ok(one), Ok(other)) = (&one, &other) else {
            prop_assert_eq!(one.err(), other.err());
            return Ok(());
        };
        prop_assert_eq!(serde_json::to_string(&one.changes).unwrap(), serde_json::to_string(&other.changes).unwrap());
        prop_assert_eq!((&one.skipped, &one.warnings), (&other.skipped, &other.warnings));
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(entries in entries(), current in current(), rules in rules()) {
        let mut backwards = entries.clone();
        backwards.shown.reverse();
        prop_assert_eq!(planned(&entries, &current, &rules).map(|plan| plan.changes), planned(&backwards, &current, &rules).map(|plan| plan.changes));
    }

    #[test]
    fn what_was_written_leaves_nothing_to_do(entries in entries(), current in current(), rules in rules()) {
        let first = plan_or_nothing!(&entries, &current, &rules);
        let after = applied(&current, &first);
        // Once an administrator is active again, others can be distinguished from administrators.
        let sees_one = |current: &Current| current.users.iter().any(|user| user.administrator && user.is_active);
        if sees_one(&current) != sees_one(&after) {
            return Ok(());
        }
        let second = plan_or_nothing!(&entries, &after, &rules).changes;
        prop_assert_eq!(second, vec![], "after {:#?}", first.changes);
    }

    #[test]
    fn nobody_who_is_present_is_deactivated_and_no_stranger_is_touched(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        let present: BTreeSet<DirectoryId> = entries.shown.iter().filter_map(|(id, _)| *id).map(directory_id).collect();
        let mut users = BTreeSet::new();
        for change in &plan.changes {
            prop_assert!(users.insert(&change.ftrack_id), "two changes for one user: {:#?}", plan.changes);
            prop_assert!(change.action != Action::Deactivate || !present.contains(&change.directory_id), "{:#?}", change);
            let Some(user) = current.users.iter().find(|user| user.id == change.ftrack_id) else {
                prop_assert_eq!(change.action, Action::Create);
                // One id never gets two users, whatever source or directory the first one belongs
                // to.
                let has_one = current.users.iter().any(|user| user.link.link().is_some_and(|link| is_of(link, change, &entries)));
                prop_assert!(!has_one, "a second user: {:#?}", change);
                continue;
            };
            match &user.link {
                LinkFound::Link(link) => {
                    prop_assert_eq!(&link.id, &change.directory_id);
                    let is_held = plan.holds.get(&user.id).is_some_and(|hold| hold.by == HeldBy::Configuration);
                    let has_left = !rules.siblings.is_empty() && change.dn.as_ref().is_some_and(|dn| !is_with_painters(dn));
                    prop_assert!(&*link.source == "artists" || is_held || has_left, "a stranger: {:#?}", change);
                }
                LinkFound::Absent | LinkFound::OfAnotherUser => prop_assert!(change.action == Action::Adopt && !user.administrator, "{:#?}", change),
                LinkFound::Unreadable => prop_assert!(false, "{:#?}", change),
            }
            let by_hand = user.link.link().is_some_and(|link| link.activity == Activity::Settled) && !user.is_active;
            prop_assert!(!by_hand || change.action != Action::Reactivate, "{:#?}", change);
            prop_assert!(user.kind == UserKind::Person && *user.username != *"ldap-sync" || !change.fields.contains_key(&Field::IsActive));
        }
    }

    #[test]
    fn several_users_of_one_link_are_all_left_alone(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        for change in plan.changes.iter().filter(|change| change.action != Action::Create) {
            let carriers = current.users.iter().filter(|user| user.link.link().is_some_and(|link| is_of(link, change, &entries))).count();
            prop_assert!(carriers <= 1 || change.action == Action::Update && change.dn.is_none(), "{:#?}", change);
        }
    }

    #[test]
    fn login_mail_and_activity_of_the_guarded_wait_for_a_person(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        let [unapproved, _] = vetted(&plan);
        for change in unapproved.allowed() {
            let user = current.users.iter().find(|user| user.id == change.ftrack_id);
            let is_guarded = user.is_some_and(|user| user.administrator || *user.username == *"dan");
            let touches = [Field::Username, Field::Email, Field::IsActive].iter().any(|field| change.fields.contains_key(field));
            prop_assert!(!is_guarded || !touches, "{:#?}", change);
        }
        // Nothing is lost: the held and the allowed changes together are the plan.
        for change in &plan.changes {
            let parts = unapproved.allowed().iter().chain(unapproved.held().iter().map(|held| &held.change));
            let fields: usize = parts.filter(|part| part.ftrack_id == change.ftrack_id).map(|part| part.fields.len()).sum();
            prop_assert_eq!(fields, change.fields.len());
        }
    }

    #[test]
    fn no_two_users_are_to_have_one_login_and_the_guard_keeps_an_administrator(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        let taken = |plan: &[crate::model::change::Change]| -> BTreeSet<String> {
            plan.iter().filter(|change| change.fields.contains_key(&Field::Username)).map(|change| change.username.to_lowercase()).collect()
        };
        let vetted = vetted(&plan);
        for written in [&plan.changes[..], vetted[0].allowed(), vetted[1].allowed()] {
            let plan = Plan { changes: written.to_vec(), ..Plan::default() };
            let after = applied(&current, &plan);
            for login in taken(written) {
                let before = current.users.iter().filter(|user| user.username.to_lowercase() == login).count();
                let holders = after.users.iter().filter(|user| user.username.to_lowercase() == login).count();
                prop_assert!(holders <= before.max(1), "{login}: {:#?}", plan.changes);
            }
        }
        for vetted in vetted {
            let written = Plan { changes: vetted.allowed().to_vec(), ..Plan::default() };
            let stays = |user: &&User| user.administrator && user.is_active && *user.username != *"ldap-sync";
            let keys = |current: &Current| current.users.iter().filter(stays).count();
            prop_assert!(keys(&applied(&current, &written)) > 0 || vetted.allowed().iter().all(|change| change.action != Action::Deactivate));
        }
        let [unapproved, _] = self::vetted(&plan);
        prop_assert!(plan.doubts.is_empty() || unapproved.allowed().iter().all(|change| change.action != Action::Deactivate));
    }

    #[test]
    fn a_released_user_is_not_deactivated_unless_the_person_was_back(entries in entries(), current in current(), rules in rules()) {
        let first = plan_or_nothing!(&entries, &current, &rules);
        let after = applied(&current, &first);
        let second = plan_or_nothing!(&entries, &after, &rules);
        // What the first plan releases is released for the second.
        for (plan, current) in [(&first, &current), (&second, &after)] {
            for change in plan.changes.iter().filter(|change| change.action == Action::Deactivate) {
                let user = current.users.iter().find(|user| user.id == change.ftrack_id).unwrap();
                let activity = &user.link.link().unwrap().activity;
                prop_assert!(!matches!(activity, Activity::Released | Activity::Deactivated { .. }), "{:#?}", change);
            }
        }
    }

    #[test]
    fn a_siblings_people_are_touched_only_after_they_left_its_bases(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        if rules.siblings.is_empty() {
            return Ok(());
        }
        let painters = current.users.iter().filter(|user| user.link.link().is_some_and(|link| &*link.source == "painters"));
        for user in painters {
            for change in plan.changes.iter().filter(|change| change.ftrack_id == user.id) {
                let has_left = change.dn.as_ref().is_some_and(|dn| !is_with_painters(dn));
                prop_assert!(has_left && matches!(change.action, Action::Update | Action::Reactivate), "{:#?}", change);
                prop_assert_eq!(&*change.link.source, "artists", "the user is taken over as a whole: {:#?}", change);
            }
        }
    }

    #[test]
    fn users_who_are_known_by_another_attribute_are_left_alone(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        let others = current.users.iter().filter(|user| user.link.link().is_some_and(|link| link.attribute != entries.attribute));
        for user in others {
            prop_assert!(plan.changes.iter().all(|change| change.ftrack_id != user.id), "{:#?}", user);
        }
    }

    #[test]
    fn nobody_is_deactivated_before_the_time_is_over_and_two_reads_showed_it(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        if rules.deactivate_after.is_zero() {
            return Ok(());
        }
        for change in plan.changes.iter().filter(|change| change.action == Action::Deactivate) {
            let before = entries.absences.get(change.directory_id.as_str());
            let is_over = before.is_some_and(|before| before.reads >= 1 && before.since + rules.deactivate_after <= now());
            prop_assert!(is_over, "{:#?} {:#?}", before, change);
        }
        // Who is missing now is remembered, from the first time on and never from the future.
        for (id, absence) in &plan.absences {
            let before = entries.absences.get(id).filter(|before| before.since <= now());
            prop_assert_eq!(absence.since, before.map_or_else(now, |before| before.since));
            prop_assert!(absence.reads >= before.map_or(1, |before| (before.reads + 1).min(2)));
        }
    }

    #[test]
    fn users_of_the_service_and_demo_types_are_never_changed(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        let untouchable = current.users.iter().filter(|user| user.kind == UserKind::Untouchable || *user.username == *"ldap-sync");
        for user in untouchable {
            for change in plan.changes.iter().filter(|change| change.ftrack_id == user.id) {
                // What its link says of its activity may become true, which changes nothing else.
                prop_assert!(change.action == Action::Update && change.fields.keys().eq([&Field::Link]), "{:#?} {:#?}", user, change);
                prop_assert!(change.dn.is_none(), "{:#?} {:#?}", user, change);
            }
        }
    }

    #[test]
    fn created_users_get_the_type_of_the_rules_and_nobody_else_gets_one(entries in entries(), current in current(), rules in rules()) {
        let plan = plan_or_nothing!(&entries, &current, &rules);
        for change in &plan.changes {
            let wanted = change.action == Action::Create && rules.users.user_type.is_some();
            prop_assert_eq!(change.fields.contains_key(&Field::UserType), wanted, "{:#?}", change);
        }
    }
}
