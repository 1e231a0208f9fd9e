//! Everything behind the server: rows, rules, faults, counters and the log, and the handle to
//! inspect and change them in the same process.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::HeaderValue;
use chrono::Utc;
use serde_json::{Map, Value, json};

use super::{
    account::{self, Account},
    answer::{Repetition, Said},
    error::ApiError,
    fault::{Call, CallKind, Fault, Faults},
    filter::Found,
    operation,
    options::{Atomicity, Options, Rules},
    schema::{EntityRef, Model},
    store::{Cell, Key, Row, Store},
    upload::Files,
    write::{Ids, Writer, key_of},
};

/// The most operations that the log keeps; the oldest go first.
const LOG: usize = 200_000;

/// An operation that took effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The number of the call that it came with, as in [`Call::number`].
    pub call: u64,
    /// `create`, `update`, `delete`, or the name of the operation.
    pub action: String,
    /// The type of the entity; `UserSecurityRole` for the operations on roles, whose key is the
    /// user's id.
    pub entity_type: String,
    /// The entity's primary key.
    pub key: Vec<String>,
    /// What changed, by attribute; what was named, for operations that are no plain change.
    pub changes: BTreeMap<String, Change>,
}

/// One attribute before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it was.
    pub old: Value,
    /// What it is.
    pub new: Value,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Every HTTP request to the API, also those whose credentials were refused.
    pub requests: u64,
    /// Requests whose credentials were refused.
    pub refused: u64,
    /// Calls that only read, also those that met a fault.
    pub read_calls: u64,
    /// Calls that may change something, also those that met a fault.
    pub write_calls: u64,
    /// Operations that were begun.
    pub operations: u64,
}

/// The state of the server.
pub(super) struct World {
    /// The rows.
    pub(super) store: Store,
    pub(super) rules: Rules,
    /// Lists found lately.
    pub(super) found: Found,
    /// The user who calls, once the credentials were accepted.
    pub(super) api_user: String,
    api_key: String,
    faults: Faults,
    ids: Ids,
    counters: Counters,
    log: VecDeque<Applied>,
    /// The files of components.
    pub(super) files: Files,
}

/// A handle on the state of a running server; clones are the same state.
#[derive(Clone)]
pub struct Studio(Arc<Mutex<World>>);

impl std::fmt::Debug for Studio {
    /// Without the rows, and without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Studio")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl Studio {
    /// A studio with the workspace's fixed rows (user types, security roles, types of custom
    /// attributes, one project), the API user and a human `admin`.
    ///
    /// # Errors
    /// Only when the crate's own schemas are broken.
    pub(super) fn new(options: Options) -> Result<Self, ApiError> {
        let model = Model::new().map_err(|error| ApiError::internal(error.to_string()))?;
        let store = Store::new(Arc::new(model))
            .ok_or_else(|| ApiError::internal("The schemas have no User."))?;
        let Options {
            api_user,
            api_key,
            rules,
        } = options;
        let world = World {
            store,
            rules,
            api_key,
            found: Found::default(),
            api_user: api_user.clone(),
            faults: Faults::default(),
            ids: Ids::default(),
            counters: Counters::default(),
            log: VecDeque::new(),
            files: Files::default(),
        };
        let studio = Self(Arc::new(Mutex::new(world)));
        account::furnish(&studio, &api_user)?;
        Ok(studio)
    }

    /// Changes the rules, from the next call on. The closure runs with the state locked: it must
    /// not use a [`Studio`].
    pub fn change_rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.world().rules);
    }

    /// What the clock in answers shows (RFC 9110 section 6.6.1), if it differs from this machine's.
    pub(super) fn date(&self) -> Option<HeaderValue> {
        let ahead = self.world().rules.clock_ahead;
        if ahead.is_zero() {
            return None;
        }
        let date = Utc::now().checked_add_signed(ahead);
        let text = date.map_or_else(
            || "no date".to_owned(),
            |date| date.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        );
        HeaderValue::try_from(text).ok()
    }

    /// Queues a fault for the next call of that kind; for the next of any kind when there is none.
    pub fn fail_next(&self, kind: Option<CallKind>, fault: Fault) {
        self.world().faults.queue(kind, fault);
    }

    /// Asks at every call that no queued fault takes which fault it meets. The closure runs with
    /// the state locked: it must not use a [`Studio`].
    pub fn fail_when(&self, choice: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.world().faults.choose(Box::new(choice));
    }

    /// Forgets all faults to come.
    pub fn heal(&self) {
        self.world().faults.clear();
    }

    /// How much was asked of the server so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.world().counters
    }

    /// The operations that took effect, the oldest first; only the last 200,000 are kept.
    #[must_use]
    pub fn applied(&self) -> Vec<Applied> {
        self.world().log.iter().cloned().collect()
    }

    /// Empties the log and sets the counters to zero.
    pub fn forget(&self) {
        let mut world = self.world();
        world.log.clear();
        world.counters = Counters::default();
    }

    /// Every user with what belongs to it, ordered by id.
    #[must_use]
    pub fn users(&self) -> Vec<Account> {
        account::all(&self.world().store).unwrap_or_default()
    }

    /// The user of that name, letter by letter.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<Account> {
        account::named(&self.world().store, username)
    }

    /// Puts a user in, with metadata, groups, roles and custom attributes, past the API and its
    /// rules; answers the id.
    ///
    /// Groups that do not exist are created. An existing id is replaced.
    ///
    /// # Errors
    /// A user type, a security role or a custom attribute that does not exist.
    pub fn add_user(&self, account: &Account) -> Result<String, ApiError> {
        self.direct(|writer| account::add(writer, account))
    }

    /// Puts many users in, as [`Studio::add_user`] does.
    ///
    /// # Errors
    /// As [`Studio::add_user`]; then none of them is in.
    pub fn add_users(&self, accounts: impl IntoIterator<Item = Account>) -> Result<(), ApiError> {
        self.direct(|writer| {
            accounts
                .into_iter()
                .try_for_each(|account| account::add(writer, &account).map(drop))
        })
    }

    /// Makes a custom attribute of users; `kind` is `text`, `url`, `number`, `boolean`, `date`,
    /// `enumerator`, `dynamic enumerator` or `expression`. Answers the id of its configuration.
    ///
    /// # Errors
    /// An unknown kind.
    pub fn add_custom_attribute(&self, key: &str, kind: &str) -> Result<String, ApiError> {
        self.direct(|writer| account::add_custom_attribute(writer, key, kind, "{}"))
    }

    /// Makes an enumerator of users, with these choices.
    ///
    /// # Errors
    /// None in practice: the kind is there.
    pub fn add_enumerator(
        &self,
        key: &str,
        several: bool,
        choices: &[&str],
    ) -> Result<String, ApiError> {
        let choices = choices
            .iter()
            .map(|choice| json!({"menu": choice, "value": choice}));
        let data = Value::Array(choices.collect()).to_string();
        let config = json!({"multiSelect": several, "data": data}).to_string();
        self.direct(|writer| account::add_custom_attribute(writer, key, "enumerator", &config))
    }

    /// Puts one entity of any type in, past the API's rules but with its defaults; answers the
    /// whole row.
    ///
    /// # Errors
    /// An unknown entity type or attribute.
    pub fn insert(&self, entity_type: &str, fields: &Value) -> Result<Value, ApiError> {
        self.direct(|writer| {
            let entity = writer.store.model.find(entity_type)?;
            let row = account::insert(writer, entity, fields)?;
            Ok(row.to_json(writer.store.model.entity(entity)))
        })
    }

    /// Changes attributes of one entity, past the API's rules: what a person does in the meantime.
    ///
    /// # Errors
    /// An unknown entity or attribute.
    pub fn change(&self, entity_type: &str, key: &Value, fields: &Value) -> Result<(), ApiError> {
        self.direct(|writer| {
            let (entity, key, row) = entity_at(writer, entity_type, key)?;
            let mut cells = row.cells();
            for (name, value) in fields.as_object().into_iter().flatten() {
                let column = writer.store.model.entity(entity).column(name);
                let cell = column.and_then(|column| cells.get_mut(column));
                *cell.ok_or_else(|| {
                    ApiError::validation(format!("{entity_type} has no attribute {name:?}."))
                })? = Cell::from_json(value);
            }
            writer.store.put(entity, &key, Some(Row::new(cells)));
            Ok(())
        })
    }

    /// Takes one entity out, past the API's rules, and nothing else with it.
    ///
    /// # Errors
    /// An unknown entity.
    pub fn remove(&self, entity_type: &str, key: &Value) -> Result<(), ApiError> {
        self.direct(|writer| {
            let (entity, key, _) = entity_at(writer, entity_type, key)?;
            writer.store.put(entity, &key, None);
            Ok(())
        })
    }

    /// Every row of an entity type with all its attributes, ordered by key.
    ///
    /// # Errors
    /// An unknown entity type.
    pub fn rows(&self, entity_type: &str) -> Result<Vec<Value>, ApiError> {
        let world = self.world();
        let entity = world.store.model.find(entity_type)?;
        let shape = world.store.model.entity(entity);
        Ok(world
            .store
            .rows(entity)
            .map(|(_, row)| row.to_json(shape))
            .collect())
    }

    /// Writes past the API, all or nothing.
    pub(super) fn direct<T>(
        &self,
        write: impl FnOnce(&mut Writer<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut world = self.world();
        let World { store, ids, .. } = &mut *world;
        let rules = Rules::default();
        let written = write(&mut Writer {
            store,
            rules: &rules,
            ids,
            call: 0,
            applied: &mut Vec::new(),
            repetition: Repetition::Denormalized,
        });
        if written.is_err() {
            world.store.roll_back(0);
        }
        world.store.commit();
        written
    }

    /// Counts a request, checks its credentials, and says which fault it meets.
    pub(super) fn admit(
        &self,
        user: Option<&str>,
        key: Option<&str>,
        operations: &[Value],
    ) -> Result<(Call, Option<Fault>), ApiError> {
        let mut world = self.world();
        world.counters.requests += 1;
        if let Err(error) = world.authenticate(user, key) {
            world.counters.refused += 1;
            return Err(error);
        }
        let kind = operation::kind(operations);
        let counters = &mut world.counters;
        let number_of_kind = match kind {
            CallKind::Read => &mut counters.read_calls,
            CallKind::Write => &mut counters.write_calls,
        };
        *number_of_kind += 1;
        let number_of_kind = *number_of_kind;
        let call = Call {
            number: counters.read_calls + counters.write_calls,
            kind,
            number_of_kind,
            operations: operations.len(),
        };
        Ok((call, world.faults.take(&call)))
    }

    /// Does all operations of a call, or as the rules say when one fails.
    pub(super) fn call(
        &self,
        call: &Call,
        operations: &[Value],
        repetition: Repetition,
    ) -> Result<Vec<Value>, ApiError> {
        let mut world = self.world();
        let (mut answers, mut said, mut applied) = (
            Vec::with_capacity(operations.len()),
            Said::default(),
            Vec::new(),
        );
        let mut done = Ok(());
        for operation in operations {
            world.counters.operations += 1;
            let (mark, logged) = (world.store.mark(), applied.len());
            match operation::perform(
                &mut world,
                call.number,
                operation,
                (repetition, &mut said),
                &mut applied,
            ) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    let (mark, logged) = match world.rules.atomicity {
                        Atomicity::Transaction => (0, 0),
                        Atomicity::PartialUntilError => (mark, logged),
                    };
                    world.store.roll_back(mark);
                    applied.truncate(logged);
                    done = Err(error);
                    break;
                }
            }
        }
        world.store.commit();
        world.log.extend(applied);
        let surplus = world.log.len().saturating_sub(LOG);
        world.log.drain(..surplus);
        done.map(|()| answers)
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        // A panic elsewhere with the lock held is a test's failed assertion; the state is still the
        // state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// What writes need, for one operation.
    pub(super) fn writer<'a>(
        &'a mut self,
        call: u64,
        applied: &'a mut Vec<Applied>,
        repetition: Repetition,
    ) -> Writer<'a> {
        Writer {
            store: &mut self.store,
            rules: &self.rules,
            ids: &mut self.ids,
            call,
            applied,
            repetition,
        }
    }

    fn authenticate(&self, user: Option<&str>, key: Option<&str>) -> Result<(), ApiError> {
        if key != Some(self.api_key.as_str()) {
            return Err(ApiError::credentials(
                "The supplied API key is not valid. API keys are created from Settings under the \
                 page API keys. The api key should be passed in the request header \
                 \"ftrack-api-key\".",
            ));
        }
        let known = user.and_then(|user| account::row(&self.store, user));
        let users = self.store.model.find("User")?;
        match known {
            Some(row) if row.is_true(self.store.model.entity(users), "is_active") => Ok(()),
            Some(_) | None => Err(ApiError::credentials(
                "The supplied username is not valid or inactive.",
            )),
        }
    }
}

fn entity_at(
    writer: &Writer<'_>,
    entity_type: &str,
    key: &Value,
) -> Result<(EntityRef, Key, Row), ApiError> {
    let entity = writer.store.model.find(entity_type)?;
    let key = key_of(writer.store.model.entity(entity), key)?;
    let row = writer
        .store
        .get(entity, &key)
        .cloned()
        .ok_or_else(|| ApiError::not_found(entity_type, &key.to_string()))?;
    Ok((entity, key, row))
}

/// The object in a field of an operation.
pub(super) fn object<'o>(
    operation: &'o Value,
    name: &str,
) -> Result<&'o Map<String, Value>, ApiError> {
    operation
        .get(name)
        .and_then(Value::as_object)
        .ok_or_else(|| ApiError::validation(format!("{name} is missing or is no object.")))
}
