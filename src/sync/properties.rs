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
    decide::{Evidence, Known, Matched, PlanRefused},
    decision::{Decision, Outcome, Plan, Who},
    desired::{Desired, DesiredValue, Mapped, Person},
    guard,
    guard::{Bounds, Vetted},
    rules::Rules,
};
use crate::{
    config::{
        Adopt, AttributeRule, LdapJob, Limit, Limits, Scope, Source, Target, Users, WhenAbsent,
    },
    directory::{Absent, read::Reading},
    model::{
        absence::Absences,
        change::{Action, Change, HeldBy},
        edit::{Attribute, Edit, Field},
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

/// What is decided, where everybody who is asked for once more is absent.
fn planned<'a>(
    desired: &'a Desired,
    current: &'a Current,
    rules: &'a Rules,
) -> Result<Plan<'a>, PlanRefused> {
    static NOBODY: Absences = Absences::new();
    let known = Known {
        absences: &NOBODY,
        directory: None,
        inactive: None,
        has_another_writer: false,
    };
    let matched = Matched::new(desired, current, rules, known, now())?;
    let ids = matched.due().into_iter().map(|link| link.id.clone());
    let evidence = Evidence {
        absent: ids.map(|id| (id.clone(), Absent::for_tests(id))).collect(),
        ..Evidence::default()
    };
    Ok(matched.decide(&evidence))
}

/// What the guard allows without and with a person's approval.
fn vetted(plan: &Plan<'_>) -> [Vetted; 2] {
    let limits = limits();
    let bounds = Bounds {
        limits: &limits,
        deactivated: 0,
        held_before: &BTreeSet::new(),
    };
    let all = plan.changes().map(|change| change.id).collect();
    [guard::vet(plan, bounds), guard::approve(plan, &all)]
}

/// The state of ftrack after changes were written.
fn applied<'c>(current: &Current, changes: impl IntoIterator<Item = &'c Change>) -> Current {
    let mut after = current.clone();
    for change in changes {
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
        for edit in &change.edits {
            match edit {
                Edit::Set { attribute, values } => {
                    let text = || values.new.as_str().map(Into::into);
                    match attribute {
                        Attribute::Username => user.username = text().unwrap(),
                        Attribute::FirstName => user.first_name = text(),
                        Attribute::LastName => user.last_name = text(),
                        Attribute::Email => user.email = text(),
                        Attribute::Custom(_) => user.custom_values = [values.new.clone()].into(),
                        Attribute::UserType => {}
                    }
                }
                Edit::Activate => user.is_active = true,
                Edit::Deactivate => user.is_active = false,
                Edit::Link => {}
            }
        }
    }
    after.users.sort_by(|a, b| a.id.cmp(&b.id));
    after
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

fn changes(plan: &Plan<'_>) -> Vec<Change> {
    plan.changes().cloned().collect()
}

proptest! {
    #[test]
    fn equal_values_give_equal_plans(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let (one, other) = (planned(&desired, &current, &rules), planned(&desired, &current, &rules));
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
        let plan = plan_or_nothing!(&desired, &current, &rules);
        let about = |decision: &Decision<'_>| match decision.who {
            Who::Person((id, person)) => format!("person {id} {}", person.dn),
            Who::Entry(entry) => format!("entry {}", entry.dn),
            Who::User(user) => format!("user {}", user.id),
        };
        let mut decided = std::collections::BTreeMap::new();
        for decision in &plan.decisions {
            // A taken login is skipped, and the rest of the change is made.
            if decision.outcome != Outcome::Skipped || decision.change().is_some() {
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
        for user in &current.users {
            let ours = user.link.link().is_some_and(|link| &*link.source == "artists" && link.directory.as_deref() != Some("d-2"));
            let is_named = plan.decisions.iter().any(|decision| decision.user.is_some_and(|of| of.id == user.id));
            let is_contested = plan.decisions.iter().any(|decision| decision.outcome == Outcome::Skipped);
            prop_assert!(!ours || is_named || is_contested, "nothing about {:?}", user);
        }
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(entries in entries(), current in current(), rules in rules()) {
        let backwards: Entries = entries.iter().rev().cloned().collect();
        let (one, other) = (reading(&entries), reading(&backwards));
        let (one, other) = (planned(&one, &current, &rules), planned(&other, &current, &rules));
        prop_assert_eq!(one.map(|plan| changes(&plan)), other.map(|plan| changes(&plan)));
    }

    #[test]
    fn what_was_written_leaves_nothing_to_do(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let first = plan_or_nothing!(&desired, &current, &rules);
        let after = applied(&current, first.changes());
        // Once an administrator is active again, others can be distinguished from administrators.
        let sees_one = |current: &Current| current.users.iter().any(|user| user.administrator && user.is_active);
        if sees_one(&current) != sees_one(&after) {
            return Ok(());
        }
        let second = plan_or_nothing!(&desired, &after, &rules);
        prop_assert_eq!(changes(&second), vec![], "after {:#?}", changes(&first));
    }

    #[test]
    fn nobody_whom_no_second_look_proved_absent_is_deactivated(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        static NOBODY: Absences = Absences::new();
        let known = Known { absences: &NOBODY, directory: None, inactive: None, has_another_writer: false };
        let Ok(matched) = Matched::new(&desired, &current, &rules, known, now()) else {
            return Ok(());
        };
        let plan = matched.decide(&Evidence::default());
        prop_assert_eq!(plan.changes_of(Action::Deactivate).count(), 0);
    }

    #[test]
    fn nobody_who_is_present_is_deactivated_and_no_stranger_is_touched(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!(&desired, &current, &rules);
        let present: BTreeSet<DirectoryId> = entries.iter().filter_map(|(id, _)| *id).map(directory_id).collect();
        let mut users = BTreeSet::new();
        for change in plan.changes() {
            prop_assert!(users.insert(&change.ftrack_id), "two changes for one user: {:#?}", changes(&plan));
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
            prop_assert!(user.kind == UserKind::Person && *user.username != *"ldap-sync" || change.activity().is_none());
        }
    }

    #[test]
    fn several_users_of_one_link_are_all_left_alone(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!(&desired, &current, &rules);
        for change in plan.changes().filter(|change| change.action != Action::Create) {
            let carriers = current.users.iter().filter(|user| user.link.link().is_some_and(|link| link.id == change.directory_id)).count();
            prop_assert!(carriers <= 1 || change.action == Action::Update && change.dn.is_none(), "{:#?}", change);
        }
    }

    #[test]
    fn login_mail_and_activity_of_the_guarded_wait_for_a_person(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!(&desired, &current, &rules);
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
    fn no_two_users_are_to_have_one_login_and_the_guard_keeps_an_administrator(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!(&desired, &current, &rules);
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
            prop_assert!(keys(&applied(&current, vetted.allowed())) > 0 || vetted.allowed().iter().all(|change| change.action != Action::Deactivate));
        }
        let [unapproved, _] = self::vetted(&plan);
        prop_assert!(plan.doubts.is_empty() || unapproved.allowed().iter().all(|change| change.action != Action::Deactivate));
    }
}
