//! Random directories, ftracks and rules.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    config::{
        Adopt, AttributeRule, ConfigChange, DisabledKey, LdapJob, Limit, Limits, Mode, RoleRule,
        Scope, Source, Target, Users, WhenAbsent, WorkInHand, Write,
    },
    directory::{Memberships, Reading},
    model::{
        absence::{Absence, Absences},
        account::Account,
        clocks::Clocks,
        entry::DirectoryId,
        freshness::Freshness,
        grant::{Grant, Group, HeldGrants, HeldGroup, HeldRole, Project, Role},
        id::IdAttribute,
        link::{Activity, Form, Link, LinkContent, LinkFound},
        link_notes::LinkNotes,
        reason::Reason,
        user::{Current, CustomKind, EntityId, User, UserKind},
    },
    sync::{
        compared::UsersByPerson,
        desired::{Desired, DesiredValue, Mapped, Person},
        rules::{Rules, Sibling},
    },
};

/// Where people of this job alone are; its own search base is above both.
const ARTISTS: &str = "ou=artists,dc=test";
/// The search base of the other job.
const PAINTERS: &str = "ou=painters,dc=test";

const LOGINS: [&str; 6] = ["ada", "Ada", "bob", "cyd", "dan", "ldap-sync"];

/// What is known of the directory: what a reading shows, and who was missing before.
#[derive(Debug, Clone)]
pub struct Entries {
    /// Entries by id, among them entries without an id, and skipped ones.
    pub shown: Vec<(Option<u8>, Option<Values>, Account)>,
    /// The attribute that the ids come from.
    pub attribute: IdAttribute,
    /// Who was missing in the reads before.
    pub absences: Absences,
    /// Who might not sign in before.
    pub disabled: Absences,
    /// How current the directory was before.
    pub seen: Option<Freshness>,
}

/// The values of an entry.
#[derive(Debug, Clone)]
pub struct Values {
    login: usize,
    mail: Option<usize>,
    floor: Option<u8>,
    /// Whether it is in the search base of the other job, in which people come and go.
    with_painters: bool,
    /// The groups that give something.
    groups: Vec<u32>,
    /// Whether it may be in more of them.
    is_unclear: bool,
}

fn role(name: &str) -> Role {
    Role {
        id: EntityId::new(&format!("role-{name}")).unwrap(),
        name: name.into(),
        is_administrator: name == "Administrator",
    }
}

fn film() -> Project {
    Project {
        id: EntityId::new("project-film").unwrap(),
        name: "Film".into(),
        is_private: false,
    }
}

/// What the job gives, in the order of its rules: one thing for each of its groups, but for the role for
/// one project, which it once gave for all of them.
fn grants() -> [Arc<Grant>; 5] {
    let lighting = Group {
        id: EntityId::new("group-lighting").unwrap(),
        name: "Lighting".into(),
        missing: [].into(),
    };
    let of_film = Grant::ProjectRole {
        role: role("Producer"),
        project: film(),
    };
    [
        Grant::Role(role("Administrator")),
        Grant::Role(role("Lead")),
        of_film,
        Grant::Role(role("Producer")),
        Grant::Group(lighting),
    ]
    .map(Arc::new)
}

/// The attribute that identifies people: one that servers generate, or one of the operator's.
fn attribute() -> impl Strategy<Value = IdAttribute> {
    let other = || IdAttribute::Other("employeeNumber".into());
    select(vec![
        IdAttribute::EntryUuid,
        IdAttribute::EntryUuid,
        IdAttribute::EntryUuid,
        other(),
    ])
}

/// People who were missing before: for a while or a long time, in one read or several, or by a
/// clock that was ahead; ftrack's may have shown another time, or none.
fn absences() -> impl Strategy<Value = Absences> {
    proptest::collection::btree_map(0_u8..8, absence(), 0..6).prop_map(|absences| {
        let absences = absences.into_iter();
        absences
            .map(|(id, absence)| (directory_id(id).as_str().to_owned(), absence))
            .collect()
    })
}

fn absence() -> impl Strategy<Value = Absence> {
    let hours = || select(vec![-1, 1, 23, 24, 48]);
    (hours(), option::of(hours()), 1_u32..3).prop_map(|(here, ftrack, reads)| {
        let ago = |hours| now() - chrono::Duration::hours(hours);
        let since = Clocks {
            here: ago(here),
            ftrack: ftrack.map(ago),
        };
        Absence { since, reads }
    })
}

pub fn entries() -> impl Strategy<Value = Entries> {
    let values = (
        0..LOGINS.len(),
        option::of(0..LOGINS.len()),
        option::of(0_u8..3),
        any::<bool>(),
        proptest::sample::subsequence(vec![0_u32, 1, 2, 3], 0..=4),
        proptest::bool::weighted(0.1),
    );
    let values =
        values.prop_map(
            |(login, mail, floor, with_painters, groups, is_unclear)| Values {
                login,
                mail,
                floor,
                with_painters,
                groups,
                is_unclear,
            },
        );
    let id = prop_oneof![20 => (0_u8..8).prop_map(Some), 1 => Just(None)];
    let account = prop_oneof![
        10 => Just(Account::Enabled),
        3 => Just(Account::Disabled),
        1 => Just(Account::Until(now() - chrono::Duration::hours(1))),
        1 => Just(Account::Until(now() + chrono::Duration::hours(1))),
        1 => Just(Account::Unclear("hidden".into(), None)),
    ];
    let shown = proptest::collection::vec((id, option::weighted(0.9, values), account), 0..8);
    (shown, attribute(), absences(), absences()).prop_map(
        |(shown, attribute, absences, disabled)| Entries {
            shown,
            attribute,
            absences,
            disabled,
            seen: None,
        },
    )
}

pub fn reading(entries: &Entries) -> Desired {
    Desired::new(shown(entries), &limits()).unwrap()
}

/// The same from another server than the preferred one.
pub fn reading_of_a_replica(entries: &Entries) -> Desired {
    Desired::new(shown(entries).of_a_replica(), &limits()).unwrap()
}

/// The same from a server that shows that it is as current as that.
pub fn reading_as_of(entries: &Entries, freshness: Freshness) -> Desired {
    Desired::new(shown(entries).showing(freshness), &limits()).unwrap()
}

/// The same, of which the entries at these places were compared with users while it was read.
pub fn reading_compared(entries: &Entries, early: &[bool], users: &UsersByPerson<'_>) -> Desired {
    let mut places = early.iter();
    let reading = shown_prepared(entries, |id, mapped| {
        if let (Some(true), Some(id)) = (places.next(), id) {
            users.compare(&entries.attribute, id, mapped);
        }
    });
    Desired::new(reading, &limits()).unwrap()
}

fn shown(entries: &Entries) -> Reading<Mapped> {
    shown_prepared(entries, |_, _| ())
}

fn shown_prepared(
    entries: &Entries,
    mut prepare: impl FnMut(Option<&DirectoryId>, &mut Mapped),
) -> Reading<Mapped> {
    let mapped = entries.shown.iter().map(|(id, values, _)| {
        let mut mapped = match values {
            None => Mapped::Skipped {
                dn: "cn=skipped".into(),
                username: None,
                reason: Reason::MissingValue("uid".into()),
            },
            Some(Values {
                login,
                mail,
                floor,
                with_painters,
                groups: _,
                is_unclear: _,
            }) => {
                let base = if *with_painters { PAINTERS } else { ARTISTS };
                let id = id.map_or_else(|| "none".to_owned(), |id| id.to_string());
                Mapped::Person(Person {
                    username: LOGINS[*login].into(),
                    email: mail.map_or(DesiredValue::Keep, |mail| {
                        DesiredValue::Text(format!("{}@studio.test", LOGINS[mail]).into())
                    }),
                    first_name: DesiredValue::Clear,
                    custom: [floor.map_or(DesiredValue::Clear, |floor| {
                        DesiredValue::Text(floor.to_string().into())
                    })]
                    .into(),
                    ..Person::unmapped(&format!("uid={login},cn={id},{base}"), 1)
                })
            }
        };
        let id = id.map(directory_id);
        prepare(id.as_ref(), &mut mapped);
        (id, mapped)
    });
    let mut reading = Reading::for_tests(mapped.collect()).identified_by(entries.attribute.clone());
    for (place, (_, values, account)) in entries.shown.iter().enumerate() {
        if let Some(values) = values {
            let found = Memberships {
                is_person: true,
                of_grants: values.groups.clone().into(),
                is_unclear: values.is_unclear,
            };
            reading = reading.with_memberships(place, found);
        }
        if *account != Account::Enabled {
            reading = reading.with_account(place, account.clone());
        }
    }
    reading
}

/// Whether an entry is in the search base of the other job.
pub fn is_with_painters(dn: &str) -> bool {
    dn.ends_with(PAINTERS)
}

pub fn directory_id(number: u8) -> DirectoryId {
    DirectoryId::new(&format!("id-{number}")).unwrap()
}

fn link() -> impl Strategy<Value = LinkFound> {
    let since = || "2026-01-01T00:00:00Z".to_owned();
    let activity = select(vec![
        Activity::Settled,
        Activity::Activating,
        Activity::Deactivating { since: since() },
        Activity::Deactivated { since: since() },
        Activity::Released,
    ]);
    let source = select(vec!["artists", "artists", "artists", "painters"]);
    let directory = select(vec![
        Some("d-1"),
        Some("d-1"),
        Some("d-1"),
        Some("d-2"),
        None,
    ]);
    let given = proptest::sample::subsequence(grants().to_vec(), 0..=5);
    let notes = option::of(absence()).prop_map(|missing| LinkNotes::new(missing, Vec::new()));
    let ours = (
        0_u8..8,
        activity,
        source,
        directory,
        attribute(),
        given,
        notes,
    )
        .prop_map(
            |(id, activity, source, directory, attribute, given, notes)| {
                let content = LinkContent {
                    directory: directory.map(Into::into),
                    activity,
                    given: given.iter().map(|grant| grant.id()).collect(),
                    notes,
                    form: if directory.is_some() {
                        Form::Current
                    } else {
                        Form::Earlier
                    },
                    ..LinkContent::of(source.into(), attribute)
                };
                LinkFound::Link(Link::new(directory_id(id), content))
            },
        )
        .boxed();
    let unlinked = ours.clone().prop_map(|found| {
        found.link().map_or(LinkFound::Absent, |link| {
            LinkFound::Unlinked(link.clone().with(|link| link.activity = Activity::Unlinked))
        })
    });
    prop_oneof![10 => ours, 1 => unlinked, 6 => Just(LinkFound::Absent), 1 => Just(LinkFound::Unreadable), 1 => Just(LinkFound::OfAnotherUser)]
}

/// Roles and memberships of a user: none, mostly.
fn held_grants() -> impl Strategy<Value = HeldGrants> {
    let parts = any::<[bool; 3]>();
    let role = |name: &'static str| {
        option::weighted(0.4, parts).prop_map(move |held| {
            let [is_on_all_open, is_on_film, is_on_others] = held?;
            let projects = is_on_film.then(|| film().id);
            Some(HeldRole {
                role: role(name).id,
                is_on_all_open,
                projects: projects.into_iter().collect(),
                is_on_others,
            })
        })
    };
    let group = option::weighted(0.4, any::<bool>()).prop_map(|held| {
        held.map(|is_own| HeldGroup {
            group: EntityId::new("group-lighting").unwrap(),
            is_own,
            is_others: !is_own,
        })
    });
    let roles = (role("Administrator"), role("Lead"), role("Producer"));
    (roles, group).prop_map(|((administrator, lead, producer), group)| HeldGrants {
        roles: [administrator, lead, producer]
            .into_iter()
            .flatten()
            .collect(),
        groups: group.into_iter().collect(),
    })
}

pub fn current() -> impl Strategy<Value = Current> {
    let user = (
        option::of(0..LOGINS.len()),
        any::<bool>(),
        link(),
        0_u8..10,
        option::of(0_u8..3),
        held_grants(),
    );
    proptest::collection::vec(user, 0..8).prop_map(|users| {
        let users = users.into_iter().enumerate().map(
            |(place, (mail, is_active, link, kind, floor, held))| User {
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
                administrator: kind == 1 || held.role(&role("Administrator").id).is_some(),
                further_roles: if kind == 2
                    || ["Lead", "Producer"]
                        .iter()
                        .any(|name| held.role(&role(name).id).is_some())
                {
                    ["Project Manager".into()].into()
                } else {
                    [].into()
                },
                grants: held,
                link,
                custom_values: [floor.map_or(Value::Null, |floor| json!(f64::from(floor)))].into(),
            },
        );
        Current {
            users: users.collect(),
            custom_attributes: vec![("floor".into(), EntityId::new("c-1").unwrap())],
            custom_kinds: vec![CustomKind::Number],
            user_types: BTreeMap::from([("ldap".into(), EntityId::new("t-1").unwrap())]),
            grants: grants().to_vec(),
            ..Current::default()
        }
    })
}

pub fn rules() -> impl Strategy<Value = Rules> {
    let adopt = select(vec![Adopt::Username, Adopt::Email, Adopt::Never]);
    let day = Duration::from_secs(86_400);
    let deactivate_after = select(vec![Duration::ZERO, Duration::ZERO, day]);
    let disabled_after = select(vec![None, Some(Duration::ZERO), Some(day)]);
    let user_type = select(vec![None, Some("ldap".to_owned())]);
    (
        adopt,
        any::<[bool; 4]>(),
        (deactivate_after, disabled_after),
        user_type,
        any::<bool>(),
    )
        .prop_map(
            |(
                adopt,
                [create, update, deactivate, reactivate],
                (deactivate_after, disabled_after),
                user_type,
                has_sibling,
            )| {
                let users = Users {
                    create_groups: false,
                    create,
                    update,
                    deactivate,
                    reactivate,
                    adopt,
                    adopt_always: true,
                    invite: false,
                    deactivate_after,
                    disabled_after: disabled_after.map(Into::into),
                    out_of_scope_after: None,
                    absent_after: None,
                    protect: vec!["dan".parse().unwrap()],
                    work_in_hand: WorkInHand::Report,
                    user_type,
                };
                let mut rules = Rules::new(&job(users), "ldap-sync");
                if has_sibling {
                    let painters = LdapJob {
                        source: "painters".into(),
                        search_bases: vec![PAINTERS.into()],
                        ..job(rules.users.clone())
                    };
                    rules
                        .siblings
                        .push(Sibling::new("painters", &painters, "studio"));
                }
                rules
            },
        )
}

fn job(users: Users) -> LdapJob {
    let rule = AttributeRule {
        target: Target::Username,
        from: Source::Attribute("uid".into()),
        when_absent: WhenAbsent::Keep,
        required: true,
        write: Write::Always,
    };
    let of_all = |role: &str| {
        let rule = RoleRule {
            groups: vec![format!("cn={role}")],
            projects: None,
        };
        (role.to_owned(), rule)
    };
    LdapJob {
        member_of: Vec::new(),
        roles: BTreeMap::from([
            of_all("Administrator"),
            of_all("Lead"),
            (
                "Producer".to_owned(),
                RoleRule {
                    groups: vec!["cn=producers".to_owned()],
                    projects: Some(vec!["Film".to_owned()]),
                },
            ),
        ]),
        groups: BTreeMap::from([("Lighting".to_owned(), vec!["cn=lighting".to_owned()])]),
        group_bases: Vec::new(),
        mode: Mode::Sync,
        changes_schedule: None,
        watch: false,
        source: "artists".into(),
        directory: "studio".into(),
        search_bases: vec!["dc=test".into()],
        scope: Scope::Subtree,
        filter: Some("(uid=*)".parse().unwrap()),
        disabled: DisabledKey::default(),
        expires: None,
        config_change: ConfigChange::Hold,
        attributes: Some(BTreeMap::from([("username".into(), rule)])),
        users,
        limits: limits(),
        windows: BTreeMap::new(),
        freezes: Vec::new(),
    }
}

pub fn limits() -> Limits {
    Limits {
        per: Duration::from_secs(86_400),
        deactivate: Limit::Percent(100),
        rename: Limit::Percent(100),
        clear: Limit::Percent(100),
        revoke: Limit::Percent(100),
        reactivate: Limit::Percent(100),
        create: Limit::Percent(100),
        unusable: Limit::Percent(100),
        min_entries: 0,
    }
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}
