//! Properties of every plan, whatever the directory shows and whatever is in ftrack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    desired::{Desired, DesiredValue, Mapped, Person},
    guard,
    guard::{Bounds, Vetted},
    plan::{Known, PlanRefused, plan},
    rules::Rules,
};
use crate::{
    config::{
        Adopt, AttributeRule, LdapJob, Limit, Limits, Scope, Source, Target, Users, WhenAbsent,
    },
    directory::read::Reading,
    model::{
        change::{Absences, Action, Field, HeldBy, Plan},
        entry::DirectoryId,
        link::{Activity, Form, Link, LinkFound, Signature},
        user::{Current, CustomKind, EntityId, User, UserKind},
    },
};

const LOGINS: [&str; 6] = ["ada", "Ada", "bob", "cyd", "dan", "ldap-sync"];

/// The content of a directory: entries by id, among them entries without an id, and skipped ones.
type Entries = Vec<(Option<u8>, Option<(usize, Option<usize>, Option<u8>)>)>;

fn entries() -> impl Strategy<Value = Entries> {
    let values = (
        0..LOGINS.len(),
        option::of(0..LOGINS.len()),
        option::of(0_u8..3),
    );
    let id = prop_oneof![20 => (0_u8..8).prop_map(Some), 1 => Just(None)];
    proptest::collection::vec((id, option::weighted(0.9, values)), 0..8)
}

fn reading(entries: &Entries) -> Desired {
    let mapped = entries.iter().map(|(id, values)| {
        let mapped = match values {
            None => Mapped::Skipped {
                dn: "cn=skipped".into(),
                reason: "it has no uid".into(),
            },
            Some((login, mail, floor)) => Mapped::Person(Person {
                username: LOGINS[*login].into(),
                email: mail.map_or(DesiredValue::Keep, |mail| {
                    DesiredValue::Text(format!("{}@studio.test", LOGINS[mail]).into())
                }),
                first_name: DesiredValue::Clear,
                custom: [floor.map_or(DesiredValue::Clear, |floor| {
                    DesiredValue::Text(floor.to_string().into())
                })]
                .into(),
                ..Person::unmapped(&format!("uid={login},id={id:?}"), 1)
            }),
        };
        (id.map(directory_id), mapped)
    });
    Desired::new(Reading::for_tests(mapped.collect()), &limits()).unwrap()
}

fn directory_id(number: u8) -> DirectoryId {
    DirectoryId::new(&format!("id-{number}")).unwrap()
}

fn link() -> impl Strategy<Value = LinkFound> {
    let since = || "2026-01-01T00:00:00Z".to_owned();
    let activity = select(vec![
        Activity::Settled,
        Activity::Activating,
        Activity::Deactivating { since: since() },
        Activity::Deactivated { since: since() },
    ]);
    let source = select(vec!["artists", "artists", "artists", "painters"]);
    let directory = select(vec![
        Some("d-1"),
        Some("d-1"),
        Some("d-1"),
        Some("d-2"),
        None,
    ]);
    let ours =
        (0_u8..8, activity, source, directory).prop_map(|(id, activity, source, directory)| {
            LinkFound::Link(Box::new(Link {
                source: source.into(),
                directory: directory.map(Into::into),
                id: directory_id(id),
                attribute: crate::model::id::IdAttribute::EntryUuid,
                activity,
                form: if directory.is_some() {
                    Form::Current
                } else {
                    Form::Earlier
                },
                signature: Signature::NotChecked,
            }))
        });
    prop_oneof![10 => ours, 6 => Just(LinkFound::Absent), 1 => Just(LinkFound::Unreadable), 1 => Just(LinkFound::OfAnotherUser)]
}

fn current() -> impl Strategy<Value = Current> {
    let user = (
        option::of(0..LOGINS.len()),
        any::<bool>(),
        link(),
        0_u8..10,
        option::of(0_u8..3),
    );
    proptest::collection::vec(user, 0..8).prop_map(|users| {
        let users =
            users
                .into_iter()
                .enumerate()
                .map(|(place, (mail, is_active, link, kind, floor))| User {
                    id: EntityId::new(&format!("user-{place}")).unwrap(),
                    // Each login once, in either case: whether two that differ only by case may
                    // exist depends on the server.
                    username: LOGINS
                        .get(place)
                        .copied()
                        .map_or_else(|| format!("other{place}"), str::to_owned)
                        .into(),
                    first_name: None,
                    last_name: Some("Name".into()),
                    email: mail.map(|mail| format!("{}@studio.test", LOGINS[mail]).into()),
                    is_active,
                    kind: if kind == 0 {
                        UserKind::Untouchable
                    } else {
                        UserKind::Person
                    },
                    administrator: kind == 1,
                    link,
                    custom_values: [floor.map_or(Value::Null, |floor| json!(f64::from(floor)))]
                        .into(),
                });
        Current {
            users: users.collect(),
            custom_attributes: vec![("floor".into(), EntityId::new("c-1").unwrap())],
            custom_kinds: vec![CustomKind::Number],
            ..Current::default()
        }
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let adopt = select(vec![Adopt::Username, Adopt::Email, Adopt::Never]);
    (adopt, any::<[bool; 4]>()).prop_map(|(adopt, [create, update, deactivate, reactivate])| {
        let users = Users {
            create,
            update,
            deactivate,
            reactivate,
            adopt,
            deactivate_after: Duration::ZERO,
            protect: vec!["dan".parse().unwrap()],
            user_type: None,
        };
        Rules::new(&job(users), "ldap-sync")
    })
}

fn job(users: Users) -> LdapJob {
    let rule = AttributeRule {
        target: Target::Username,
        from: Source::Attribute("uid".into()),
        when_absent: WhenAbsent::Keep,
        required: true,
    };
    LdapJob {
        source: "artists".into(),
        directory: "studio".into(),
        search_bases: vec!["dc=test".into()],
        scope: Scope::Subtree,
        filter: "(uid=*)".parse().unwrap(),
        attributes: BTreeMap::from([("username".into(), rule)]),
        users,
        limits: limits(),
    }
}

fn limits() -> Limits {
    Limits {
        per: Duration::from_secs(86_400),
        deactivate: Limit::Percent(100),
        unusable: Limit::Percent(100),
        min_entries: 0,
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn planned(entries: &Entries, current: &Current, rules: &Rules) -> Result<Plan, PlanRefused> {
    let before = Known {
        absences: &Absences::new(),
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
        let backwards: Entries = entries.iter().rev().cloned().collect();
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
        let present: BTreeSet<DirectoryId> = entries.iter().filter_map(|(id, _)| *id).map(directory_id).collect();
        let mut users = BTreeSet::new();
        for change in &plan.changes {
            prop_assert!(users.insert(&change.ftrack_id), "two changes for one user: {:#?}", plan.changes);
            prop_assert!(change.action != Action::Deactivate || !present.contains(&change.directory_id), "{:#?}", change);
            let Some(user) = current.users.iter().find(|user| user.id == change.ftrack_id) else {
                prop_assert_eq!(change.action, Action::Create);
                // One id never gets two users, whatever source or directory the first one belongs
                // to.
                let has_one = current.users.iter().any(|user| user.link.link().is_some_and(|link| link.id == change.directory_id));
                prop_assert!(!has_one, "a second user: {:#?}", change);
                continue;
            };
            match &user.link {
                LinkFound::Link(link) => {
                    prop_assert_eq!(&link.id, &change.directory_id);
                    let is_held = plan.holds.get(&user.id).is_some_and(|hold| hold.by == HeldBy::Configuration);
                    prop_assert!(&*link.source == "artists" || is_held, "a stranger: {:#?}", change);
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
            let carriers = current.users.iter().filter(|user| user.link.link().is_some_and(|link| link.id == change.directory_id)).count();
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
}
