//! Reads some users again by id: after a write, after an unclear answer, after a refused batch. Who is not in the answer does not exist.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    answer::{After, Page},
    error::{FtrackError, Trouble},
    operation::Operation,
    query,
    row::{LinkRow, UserRow, ValueRow},
    session::{Session, Until},
    user::{EntityId, LinkFound, User},
};

/// Users asked for in one call; bounds the length of the expressions.
const USERS_A_CALL: usize = 200;

/// What ftrack holds of one user now.
#[derive(Debug, Clone, PartialEq)]
pub struct UserState {
    /// The login.
    pub username: Box<str>,
    /// The first name; absent when null.
    pub first_name: Option<Box<str>>,
    /// The last name; absent when null.
    pub last_name: Option<Box<str>>,
    /// The mail address; absent when null.
    pub email: Option<Box<str>>,
    /// Whether the user may sign in, and takes a seat.
    pub is_active: bool,
    /// The id of the user type.
    pub user_type: Option<EntityId>,
    /// Whose the user is.
    pub link: LinkFound,
    /// The values of the custom attributes that were asked for, in their order; `Value::Null` when there is none.
    pub custom_values: Box<[Value]>,
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
            custom_values: user.custom_values.clone(),
        }
    }
}

/// The present state of these users, and of these custom attributes (as in [`super::user::Current::custom_attributes`]); a user who is missing does not exist.
///
/// # Errors
///
/// Those of [`Session::read_call`].
pub async fn states(
    session: &Session,
    users: &[EntityId],
    custom_attributes: &[(String, EntityId)],
    until: &Until,
) -> Result<BTreeMap<EntityId, UserState>, FtrackError> {
    let configurations: Vec<EntityId> = custom_attributes.iter().map(|(_, id)| id.clone()).collect();
    let mut found = BTreeMap::new();
    let mut chunks: Vec<&[EntityId]> = users.chunks(USERS_A_CALL).collect();
    while !chunks.is_empty() {
        let answers: Vec<_> = stream::iter(std::mem::take(&mut chunks))
            .map(|chunk| {
                let configurations = &configurations;
                async move { some(session, chunk, configurations, until).await.map(|states| (chunk, states)) }
            })
            .buffer_unordered(session.connections())
            .try_collect()
            .await?;
        for (chunk, states) in answers {
            match states {
                Some(states) => found.extend(states),
                // The server gives fewer rows at a time than there are: halves are asked for.
                None if chunk.len() > 1 => {
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    chunks.extend([left, right]);
                }
                None => {
                    let reason = "the server gives fewer rows at a time than one user has".to_owned();
                    return Err(session.trouble("reading users again", Trouble::Malformed(reason)));
                }
            }
        }
    }
    Ok(found)
}

type States = BTreeMap<EntityId, UserState>;

/// The state of a few users; `None` when the server held rows back.
async fn some(session: &Session, users: &[EntityId], configurations: &[EntityId], until: &Until) -> Result<Option<States>, FtrackError> {
    let limit = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX).saturating_add(1);
    let values = users.len() * configurations.len();
    let mut operations = vec![
        Operation::query(query::users_by_id(users).page(0, limit(users.len()))),
        Operation::query(query::links_of(users).page(0, limit(users.len()))),
    ];
    if !configurations.is_empty() {
        operations.push(Operation::query(query::custom_values_of(configurations, users).page(0, limit(values))));
    }
    let mut answers = session.read_call(&operations, until).await?.into_iter();
    let (rows, links) = (
        whole::<UserRow>(session, answers.next(), users.len())?,
        whole::<LinkRow>(session, answers.next(), users.len())?,
    );
    let values = match configurations {
        [] => Some(Vec::new()),
        _ => whole::<ValueRow>(session, answers.next(), values)?,
    };
    let (Some(rows), Some(links), Some(values)) = (rows, links, values) else {
        return Ok(None);
    };
    let states = joined(rows, links, values, configurations).map_err(|trouble| session.trouble("reading users again", trouble))?;
    Ok(Some(states))
}

fn joined(rows: Vec<UserRow>, links: Vec<LinkRow>, values: Vec<ValueRow>, configurations: &[EntityId]) -> Result<States, Trouble> {
    let mut states = States::new();
    for mut row in rows {
        let (username, is_active) = row.required()?;
        let state = UserState {
            username,
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            is_active,
            user_type: row.user_type_id,
            link: LinkFound::Absent,
            custom_values: configurations.iter().map(|_| Value::Null).collect(),
        };
        states.insert(row.id, state);
    }
    for row in links {
        if let Some(state) = states.get_mut(&row.parent_id) {
            state.link = row.link;
        }
    }
    for row in values {
        let place = configurations.iter().position(|id| Some(id) == row.configuration_id.as_ref());
        let Some(place) = place else {
            return Err(Trouble::Malformed(format!(
                "a value of the user {} tells no custom attribute that was asked for",
                row.entity_id
            )));
        };
        if let Some(value) = states.get_mut(&row.entity_id).and_then(|state| state.custom_values.get_mut(place)) {
            *value = row.value;
        }
    }
    Ok(states)
}

/// The rows of an answer that may have `most` of them; `None` when the server held some back.
fn whole<R: DeserializeOwned>(session: &Session, answer: Option<Value>, most: usize) -> Result<Option<Vec<R>>, FtrackError> {
    let doing = "reading users again";
    let page: Page<R> = serde_json::from_value(answer.unwrap_or_default()).map_err(|error| session.malformed(doing, &error))?;
    let (rows, after) = page.rows().map_err(|trouble| session.trouble(doing, trouble))?;
    let whole = after == After::End || rows.is_empty() || rows.len() >= most;
    Ok(whole.then_some(rows))
}
