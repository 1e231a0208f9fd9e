//! Reads some users again by id: after a write, after an unclear answer, after a refused batch. A
//! user that is not in the answer does not exist.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use serde_json::Value;

use super::{
    error::{FtrackError, FtrackErrorKind},
    mapped_grants,
    page::list,
    page::users_a_call,
    query,
    row::{LinkRow, UserRow, ValueRow, are_usable},
    session::{Reader, Until},
};
use crate::{
    ftrack::signer::Signer,
    model::{
        edit::Field,
        grant::{Grant, HeldGrants},
        link::LinkFound,
        picture::PictureDigest,
        user::{EntityId, User},
    },
};

/// The present state of one user.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct UserState {
    pub username: Box<str>,
    /// Absent when null.
    pub first_name: Option<Box<str>>,
    /// Absent when null.
    pub last_name: Option<Box<str>>,
    /// Absent when null.
    pub email: Option<Box<str>>,
    /// Whether the user may sign in, and takes a seat.
    pub is_active: bool,
    /// The id of the user type.
    pub user_type: Option<EntityId>,
    pub link: LinkFound,
    /// The mark of the run that made the link.
    pub link_made_by: Option<Arc<str>>,
    /// The values of the requested custom attributes, in their order; `Value::Null` when there is
    /// none.
    pub custom_values: Box<[Value]>,
    /// What the user has of what the job gives and takes.
    pub grants: HeldGrants,
}

impl From<&User> for UserState {
    fn from(user: &User) -> Self {
        Self {
            username: user.username.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
            is_active: user.is_active,
            user_type: None,
            link: user.link.clone(),
            link_made_by: None,
            custom_values: user.custom_values.clone(),
            grants: user.grants.clone(),
        }
    }
}

impl UserState {
    /// The value of a column; null for the link, and for roles and memberships, whose value depends on
    /// what is to become of them.
    #[must_use]
    pub fn value(&self, field: &Field, custom_attributes: &[(String, EntityId)]) -> Value {
        let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        match field {
            Field::Username => text(Some(&self.username)),
            Field::FirstName => text(self.first_name.as_deref()),
            Field::LastName => text(self.last_name.as_deref()),
            Field::Email => text(self.email.as_deref()),
            Field::IsActive => Value::Bool(self.is_active),
            Field::UserType => self.user_type.as_ref().map_or(Value::Null, Value::from),
            Field::Custom(key) => {
                let place = custom_attributes.iter().position(|(known, _)| known == key);
                place
                    .and_then(|place| self.custom_values.get(place))
                    .cloned()
                    .unwrap_or(Value::Null)
            }
            Field::Thumbnail => {
                let link = self.link.link();
                let picture = link.and_then(|link| link.sent.picture.as_ref());
                text(picture.map(PictureDigest::as_str))
            }
            Field::Role(_)
            | Field::ProjectRole { .. }
            | Field::Group(_)
            | Field::Invitation
            | Field::Link => Value::Null,
        }
    }
}

/// What is read of users beside their own columns and their links, as in
/// [`crate::model::user::Current`].
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Columns<'a> {
    pub custom_attributes: &'a [(String, EntityId)],
    pub grants: &'a [Arc<Grant>],
}

/// The present state of these users; a user that is missing does not exist.
///
/// # Errors
/// Those of [`Reader::read_call`], and those of a list that changes while it is read.
pub async fn states(
    reader: &Reader,
    users: &[EntityId],
    columns: Columns<'_>,
    until: &Until,
) -> Result<BTreeMap<EntityId, UserState>, FtrackError> {
    stream::iter(users.chunks(users_a_call(reader)))
        .map(|users| some(reader, users, columns, until))
        .buffer_unordered(reader.connections())
        .try_fold(BTreeMap::new(), |mut all, some| async move {
            all.extend(some);
            Ok(all)
        })
        .await
}

type States = BTreeMap<EntityId, UserState>;

async fn some(
    reader: &Reader,
    users: &[EntityId],
    Columns {
        custom_attributes,
        grants,
    }: Columns<'_>,
    until: &Until,
) -> Result<States, FtrackError> {
    let (own, links) = (query::users_by_id(users), query::links_of(users));
    let values = custom_attributes.iter().map(|(_, id)| async move {
        list::<ValueRow>(reader, &query::custom_values_of(id, users), until).await
    });
    let values = try_join_all(values);
    let (rows, links, values, mut held) = tokio::try_join!(
        list::<UserRow>(reader, &own, until),
        list::<LinkRow>(reader, &links, until),
        values,
        mapped_grants::of_some(reader, grants, users, until),
    )?;
    let mut states = joined(rows, links, values, reader.signer())
        .map_err(|trouble| reader.error_of("reading users again", trouble))?;
    for (id, state) in &mut states {
        state.grants = held.remove(id).unwrap_or_default();
    }
    Ok(states)
}

fn joined(
    rows: Vec<UserRow>,
    links: Vec<LinkRow>,
    values: Vec<Vec<ValueRow>>,
    signer: &Signer,
) -> Result<States, FtrackErrorKind> {
    // One user may be odd; a column that several lack is missing.
    if rows.len() > 1 {
        are_usable(&rows)?;
    }
    let mut states = States::new();
    // Of a value that is too large it is not known what it is.
    for row in rows.into_iter().filter(|row| row.too_large.is_none()) {
        // Nobody can sign in without a login, and an unknown activity is none that was written.
        let (Some(username), Some(is_active)) = (row.username, row.is_active) else {
            continue;
        };
        let state = UserState {
            username,
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            is_active,
            user_type: row.user_type_id.map(Arc::unwrap_or_clone),
            link: LinkFound::Absent,
            link_made_by: None,
            custom_values: values.iter().map(|_| Value::Null).collect(),
            grants: HeldGrants::default(),
        };
        states.insert(row.id, state);
    }
    for row in links {
        if let Some(state) = states.get_mut(&row.parent_id) {
            state.link_made_by = row.link.made_by().cloned();
            state.link = signer.verified(&row.parent_id, row.link);
        }
    }
    for (place, rows) in values.into_iter().enumerate() {
        for row in rows {
            if let Some(value) = states
                .get_mut(&row.entity_id)
                .and_then(|state| state.custom_values.get_mut(place))
            {
                *value = row.value;
            }
        }
    }
    Ok(states)
}
