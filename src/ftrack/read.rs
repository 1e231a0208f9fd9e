//! Reads everything in ftrack that a plan needs, and reads some users again after a write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use super::{
    complete::confirm,
    custom::custom_attributes,
    groups::MissingGroups,
    mapped_grants::{GrantNames, each_grant},
    roles::{administrators, security_roles},
};

use super::{
    complete,
    complete::{Lists, MissingRows},
    custom::{Custom, custom_values, known_attributes},
    error::{FtrackError, FtrackErrorKind},
    mapped_grants,
    mapped_grants::{Held, Holdings, mapped_grants},
    page::{list, list_of_about, users_a_call},
    query, roles,
    roles::Holders,
    row,
    row::{LinkRow, NamedRow, Row, UserRow, ValueRow},
    session::{Reader, Until},
};
use crate::{
    ftrack::signer::Signer,
    model::{
        call_sizes::ReadingSizes,
        entry::DirectoryId,
        grant::GrantName,
        link::LinkFound,
        user::{Current, EntityId, UNTOUCHABLE, User, UserKind},
    },
};

/// What is read besides the users themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadCurrent<'a> {
    /// The keys of the mapped custom attributes.
    pub custom_attributes: &'a [String],
    /// The names of the administrator roles, compared without case.
    pub administrator_roles: &'a [String],
    /// The names of the roles that every new user gets, compared without case.
    pub default_roles: &'a [String],
    /// What the job gives and takes, by its names, compared without case.
    pub grants: &'a [GrantName],
    /// What is done about groups that ftrack does not have.
    pub missing_groups: MissingGroups,
    /// What an earlier reading showed, if that is known.
    pub before: Option<ReadingSizes>,
}

/// The maximum number of users named in a warning.
const NAMED: usize = 3;

/// The number of attempts to read lists that do not match: users may be created while they are
/// read.
const TRIES: u32 = 3;

/// Reads all users, active or not, with everything that a plan needs to know about them.
///
/// The number of calls depends only on the number of users and mapped custom attributes.
///
/// # Errors
/// The error of any part: there is no partial [`Current`]. A list that was cut short, and a mapped
/// custom attribute or a role that the server does not have, are errors that name it.
pub async fn read(
    reader: &Reader,
    request: ReadCurrent<'_>,
    until: &Until,
) -> Result<Current, FtrackError> {
    let calls_before = reader.calls().reads;
    if let Some(before) = request.before {
        reader.begin_with(before.asked);
    }
    let mut tries = 1;
    loop {
        match once(&reader.for_one_reading(), request, until).await? {
            Ok(current) => {
                let read_calls = reader.calls().reads - calls_before;
                return Ok(Current {
                    read_calls,
                    ..current
                });
            }
            Err(gap) if tries >= TRIES => return Err(gap.error(reader, tries)),
            Err(_) => tries += 1,
        }
    }
}

/// What the next reading can begin with.
#[must_use]
pub fn sizes(reader: &Reader, current: &Current) -> ReadingSizes {
    let linked = current.users.iter().filter(|user| user.link.is_row());
    ReadingSizes {
        asked: reader.sizes(),
        users: current.users.len(),
        links: linked.count() + current.orphans.len(),
    }
}

/// Reads everything once, unless a list turns out to be incomplete.
async fn once(
    reader: &Reader,
    request: ReadCurrent<'_>,
    until: &Until,
) -> Result<Result<Current, MissingRows>, FtrackError> {
    let (users, links) = (query::users(), query::links());
    let ReadCurrent {
        custom_attributes,
        administrator_roles,
        default_roles,
        grants: names,
        missing_groups,
        before,
    } = request;
    let (users_before, links_before) = before.map_or((0, 0), |before| (before.users, before.links));
    let wanted = GrantNames {
        names,
        missing_groups,
        administrator_roles,
    };
    let people = async {
        let (users, links) = tokio::try_join!(
            list_of_about::<UserRow>(reader, &users, users_before, until),
            list_of_about::<LinkRow>(reader, &links, links_before, until),
        )?;
        if users.is_empty() {
            // At least the API user exists. Unseen users would be created a second time.
            let reason = "the list is empty; grant the key's role read access to it".to_owned();
            return Err(reader.error_of("reading users", FtrackErrorKind::Malformed(reason)));
        }
        row::are_usable(&users).map_err(|trouble| reader.error_of("reading users", trouble))?;
        let whole = complete::examine(reader, &users, &links, until).await?;
        Ok((users, links, whole))
    };
    let ((users, links, whole), user_types, custom, holdings) = tokio::try_join!(
        people,
        user_types(reader, until),
        custom_values(reader, custom_attributes, until),
        mapped_grants::of_everybody(reader, wanted, default_roles, until),
    )?;
    let Holdings {
        grants,
        held,
        holders,
    } = holdings;
    let odd = odd_users(&users);
    let orphans = match whole {
        Lists::Whole { orphans } => orphans,
        Lists::Short(gap) => return Ok(Err(gap)),
    };
    let Custom {
        attributes: custom_attributes,
        kinds: custom_kinds,
        values,
    } = custom;
    let mut parts = Parts::new(
        (links, values),
        &user_types,
        (holders, held),
        reader.signer(),
    );
    let users = parts.users(users);
    let claims = parts.claims;
    Ok(Ok(Current {
        users,
        custom_attributes,
        custom_kinds,
        grants,
        user_types,
        warnings: complete::warning(&orphans).into_iter().chain(odd).collect(),
        orphans,
        claims,
        read_calls: 0,
    }))
}

/// Reads some users by id, and all administrators beside them, with everything that a plan needs to
/// know about them. The number of calls depends on the number of these users alone.
///
/// # Errors
/// The error of any part.
pub async fn read_some(
    reader: &Reader,
    request: ReadCurrent<'_>,
    ids: &BTreeSet<EntityId>,
    until: &Until,
) -> Result<Current, FtrackError> {
    let before = reader.calls().reads;
    let ReadCurrent {
        custom_attributes,
        administrator_roles,
        default_roles,
        grants: names,
        missing_groups,
        before: _,
    } = request;
    let wanted = GrantNames {
        names,
        missing_groups,
        administrator_roles,
    };
    let asked: Vec<EntityId> = ids.iter().cloned().collect();
    let of_grants = async {
        let grants = mapped_grants(reader, wanted, until).await?;
        let mut held = Held::default();
        for users in asked.chunks(users_a_call(reader)) {
            held.extend(mapped_grants::of_some(reader, &grants, users, until).await?);
        }
        Ok((grants, held))
    };
    let (user_types, holders, attributes, (grants, held)) = tokio::try_join!(
        user_types(reader, until),
        roles::holders_among(reader, administrator_roles, default_roles, &asked, until),
        known_attributes(reader, custom_attributes, until),
        of_grants,
    )?;
    let mut all: Vec<EntityId> = asked;
    all.extend(holders.administrators().iter().cloned());
    all.sort_unstable();
    all.dedup();
    let (mut users, mut links) = (Vec::new(), Vec::new());
    let mut values: Vec<Vec<ValueRow>> = attributes.iter().map(|_| Vec::new()).collect();
    for ids in all.chunks(users_a_call(reader)) {
        let (of_users, of_links) = (query::users_by_id(ids), query::links_of(ids));
        let (some_users, some_links) = tokio::try_join!(
            list::<UserRow>(reader, &of_users, until),
            list::<LinkRow>(reader, &of_links, until),
        )?;
        users.extend(some_users);
        links.extend(some_links);
        for ((_, id, _), values) in attributes.iter().zip(&mut values) {
            let listing = query::custom_values_of(id, ids);
            values.extend(list::<ValueRow>(reader, &listing, until).await?);
        }
    }
    row::are_usable(&users).map_err(|trouble| reader.error_of("reading users", trouble))?;
    let warnings = odd_users(&users).collect();
    let mut parts = Parts::new(
        (links, values),
        &user_types,
        (holders, held),
        reader.signer(),
    );
    let users = parts.users(users);
    let claims = parts.claims;
    let (custom_attributes, custom_kinds) = attributes
        .into_iter()
        .map(|(key, id, kind)| ((key, id), kind))
        .unzip();
    Ok(Current {
        users,
        custom_attributes,
        custom_kinds,
        grants,
        user_types,
        warnings,
        orphans: BTreeSet::new(),
        claims,
        read_calls: reader.calls().reads - before,
    })
}

/// What is known besides the users' own columns; each list is sorted by user, as the users are.
struct Parts<'a> {
    links: FromTheEnd<LinkRow>,
    values: Vec<FromTheEnd<ValueRow>>,
    user_types: &'a BTreeMap<String, EntityId>,
    holders: Holders,
    held: Held,
    signer: &'a Signer,
    claims: BTreeMap<DirectoryId, EntityId>,
}

impl<'a> Parts<'a> {
    fn new(
        (links, values): (Vec<LinkRow>, Vec<Vec<ValueRow>>),
        user_types: &'a BTreeMap<String, EntityId>,
        (holders, held): (Holders, Held),
        signer: &'a Signer,
    ) -> Self {
        let values = values.into_iter();
        Self {
            links: FromTheEnd(links),
            values: values.map(FromTheEnd).collect(),
            user_types,
            holders,
            held,
            signer,
            claims: BTreeMap::new(),
        }
    }

    /// All users, made from the last one to the first: what is left of a list can give back its
    /// memory from there.
    fn users(&mut self, rows: Vec<UserRow>) -> Vec<User> {
        let mut rows = FromTheEnd(rows);
        let mut users = Vec::with_capacity(rows.0.len());
        while let Some(row) = rows.next() {
            users.push(self.user(row));
        }
        users.reverse();
        users
    }

    fn user(&mut self, row: UserRow) -> User {
        let link = match self.links.of(&row.id) {
            Some(found) => {
                if let Some(person) = found.link.claims() {
                    // Of several, the last one.
                    let claim = self.claims.entry(person.clone());
                    claim.or_insert_with(|| row.id.clone());
                }
                self.signer.verified(&row.id, found.link)
            }
            None => LinkFound::Absent,
        };
        let custom_values = self
            .values
            .iter_mut()
            .map(|values| values.of(&row.id).map_or(Value::Null, |found| found.value));
        let is_odd = row.is_odd();
        User {
            custom_values: custom_values.collect(),
            kind: if is_odd {
                UserKind::Odd
            } else {
                kind(row.user_type_id.as_deref(), self.user_types)
            },
            // Somebody who cannot sign in is not the administrator who is left.
            administrator: !is_odd && self.holders.is_administrator(&row.id),
            further_roles: self.holders.further_roles(&row.id),
            grants: self.held.remove(&row.id).unwrap_or_default(),
            id: row.id,
            username: row.username.unwrap_or_default(),
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            is_active: row.is_active.unwrap_or_default(),
            link,
        }
    }
}

/// A sorted list of rows, which is used up from its end.
struct FromTheEnd<R>(Vec<R>);

/// So many rows are used before what they took is given back.
const GIVEN_BACK: usize = 8 << 10;

impl<R: Row> FromTheEnd<R> {
    fn next(&mut self) -> Option<R> {
        let row = self.0.pop();
        if self.0.capacity() - self.0.len() > GIVEN_BACK {
            self.0.shrink_to_fit();
        }
        row
    }

    /// The next row if it is this user's, before those of unknown users.
    fn of(&mut self, user: &EntityId) -> Option<R> {
        while self.0.last().is_some_and(|row| row.identity() > user) {
            self.next();
        }
        let is_of = self.0.last().is_some_and(|row| row.identity() == user);
        is_of.then(|| self.next())?
    }
}

/// The warnings about users who are odd, with their ids.
fn odd_users(users: &[UserRow]) -> impl Iterator<Item = String> + use<> {
    let (mut lacking, mut large) = (Vec::new(), Vec::new());
    for user in users.iter().filter(|user| user.is_odd()) {
        match user.too_large {
            Some(column) => large.push(format!("{} ({})", user.id, column.name())),
            None => lacking.push(user.id.to_string()),
        }
    }
    let warning = |named: &[String], what| {
        let first = named.get(..NAMED).unwrap_or(named).join(", ");
        let others = if named.len() > NAMED { ", …" } else { "" };
        let count = named.len();
        (count > 0).then(|| {
            format!("{count} users in ftrack have {what}, and are left alone: {first}{others}")
        })
    };
    [
        warning(&lacking, "no username, or no is_active"),
        warning(&large, "values that are too large to be read"),
    ]
    .into_iter()
    .flatten()
}

/// A user without a type counts as a person; one of an unknown type is left alone.
fn kind(user_type: Option<&EntityId>, user_types: &BTreeMap<String, EntityId>) -> UserKind {
    let Some(user_type) = user_type else {
        return UserKind::Person;
    };
    match user_types.iter().find(|(_, id)| *id == user_type) {
        Some((name, _))
            if !UNTOUCHABLE
                .iter()
                .any(|untouchable| name.eq_ignore_ascii_case(untouchable)) =>
        {
            UserKind::Person
        }
        _ => UserKind::Untouchable,
    }
}

/// All user types: the id by name.
///
/// # Errors
///
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::Malformed`] when there are none.
pub async fn user_types(
    reader: &Reader,
    until: &Until,
) -> Result<BTreeMap<String, EntityId>, FtrackError> {
    let rows = list::<NamedRow>(reader, &query::user_types(), until).await?;
    let types: BTreeMap<String, EntityId> = rows
        .into_iter()
        .filter_map(|row| Some((row.name?, row.id)))
        .collect();
    if types.is_empty() {
        // Without them, users that are never changed could not be recognised.
        let reason = "the list is empty; grant the key's role read access to it".to_owned();
        return Err(reader.error_of("reading user types", FtrackErrorKind::Malformed(reason)));
    }
    Ok(types)
}
