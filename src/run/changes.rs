//! A run that reads only what changed. It takes the same way as any other: desired, decide, guard,
//! write, report. Whatever cannot be told from the changes is left to a run that reads everything,
//! and where that concerns the changes themselves, this run reads everything.

use std::{collections::BTreeSet, time::Instant};

use super::{
    Aim, RunContext,
    confirm_earlier::EarlierRuns,
    failure::{Failure, ReadError},
    known_changes::Marks,
    ldap_work::LdapWork,
    memory, record,
};
use crate::{
    directory,
    directory::{
        ChangedEntries, DirectoryError, LostGroup, ReadFailure,
        changes::{Changes, Position, Since},
    },
    event::Event,
    ftrack,
    model::{
        entry::DirectoryId,
        fold::fold,
        freshness::Freshness,
        report::RunPhase,
        user::{Current, EntityId},
    },
    state::{KnownChanges, Remembered, Sought, State, journal},
    sync::{
        desired::{Desired, DesiredValue, Mapped},
        guard::Vetted,
        matching::possible_ids,
        owner::Owners,
        several,
    },
};

mod concerned;

use concerned::Found;

/// Of how many entries a part that is read by id costs less than reading all of them.
const PART: usize = 5;
/// So many entries are always read by id.
const FEW: usize = 200;

/// How a run of changes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangesEnd {
    /// There was nothing to do, and there is no report.
    Nothing,
    /// It did what was to be done.
    Done,
}

/// Why nothing more is done, or everything is read.
enum Instead {
    Nothing,
    Everything(String),
}

/// What is known before anything is asked.
struct Before {
    remembered: Remembered,
    known: KnownChanges,
}

impl RunContext<'_, LdapWork> {
    /// The whole run.
    pub(super) async fn execute_changes(
        &mut self,
        aim: Aim,
        state: &State,
    ) -> Result<ChangesEnd, Failure> {
        let why = match self.before(state)? {
            Err(why) => why,
            Ok(before) => match self.found(&before, state).await? {
                Ok(found) => match self.plan_changes(&aim, state, before, found).await? {
                    Ok(end) => return Ok(end),
                    Err(why) => why,
                },
                Err(Instead::Nothing) => return Ok(ChangesEnd::Nothing),
                Err(Instead::Everything(why)) => why,
            },
        };
        self.notes.push(format!(
            "everything was read instead of what changed: {why}"
        ));
        self.known_dns = None;
        self.begin()?;
        self.execute(aim, state).await?;
        Ok(ChangesEnd::Done)
    }

    /// What is known, or why that is not sufficient.
    fn before(&self, state: &State) -> Result<Result<Before, String>, Failure> {
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        let remembered = state.remembered(job, ftrack)?;
        let Some(known) = state.known_changes(job, ftrack)? else {
            let why = "no run has read everything and noted up to where the changes are known";
            return Ok(Err(why.to_owned()));
        };
        let is_open = |remembered: &Remembered| {
            !remembered.begun.is_empty()
                || remembered.written.iter().any(|written| !written.is_settled)
        };
        let unsettled = journal::unsettled(&self.prepared.config.state_dir, job)?;
        let why = if known.configuration != self.configuration() {
            "the configuration changed"
        } else if !remembered.has_succeeded {
            "no run has come to its end yet"
        } else if !unsettled.is_empty() || is_open(&remembered) {
            "the results of an earlier run are not all known"
        } else {
            return Ok(Ok(Before { remembered, known }));
        };
        Ok(Err(why.to_owned()))
    }

    /// Asks the directory what changed.
    async fn found(
        &mut self,
        before: &Before,
        state: &State,
    ) -> Result<Result<Found, Instead>, Failure> {
        let began = Instant::now();
        let known = &before.known;
        let most = (known.entries / PART).max(FEW);
        let since = Since {
            position: &known.position,
            id_attribute: &known.id_attribute,
            most,
        };
        let (request, cancel) = (self.read_request(), self.until.cancel.clone());
        let pool = &self.work.pool;
        let changes = directory::changes::changes(pool, &request, since, &cancel).await;
        self.record_phase(RunPhase::Directory, began.elapsed());
        let changes =
            changes.map_err(|unread| self.record_read_error(ReadError::Directory(unread)))?;
        let named = match changes {
            Changes::Named(named) => *named,
            Changes::Unknown(why) => return Ok(Err(Instead::Everything(why))),
        };
        let Position {
            server, directory, ..
        } = &named.position;
        let shown = (&named.freshness, directory.as_deref());
        if let Some(why) = self.lags_behind(server, shown, &before.remembered) {
            return Ok(Err(Instead::Everything(why)));
        }
        let found = match self.concerning_people(before, named, most, state).await? {
            Ok(found) => found,
            Err(why) => return Ok(Err(Instead::Everything(why))),
        };
        if found.ids.is_empty() && found.deleted.is_empty() {
            self.keep_position(state, known, found.position)?;
            return Ok(Err(Instead::Nothing));
        }
        if found.ids.len().max(found.deleted.len()) > most {
            let why = "so much changed that reading everything costs no more";
            return Ok(Err(Instead::Everything(why.to_owned())));
        }
        Ok(Ok(found))
    }

    /// Reads the people who are concerned, decides about them, and writes what may be written.
    async fn plan_changes(
        &mut self,
        aim: &Aim,
        state: &State,
        before: Before,
        found: Found,
    ) -> Result<Result<ChangesEnd, String>, Failure> {
        let Before {
            mut remembered,
            known,
        } = before;
        remembered.users_before = Some(known.users.clone());
        let request = self.read_request();
        let entries = match self.read_entries(&known, &found).await? {
            Ok(entries) => entries,
            Err(why) => return Ok(Err(why)),
        };
        let unlike = unlike_before(&entries, &known);
        let lost = || lost_group(&entries, &remembered).filter(|_| !found.deleted.is_empty());
        let part = entries.part();
        let shown = (part.freshness(), part.directory_id());
        let lags = || self.lags_behind(part.server(), shown, &remembered);
        if let Some(why) = unlike.or_else(lost).or_else(lags) {
            return Ok(Err(why));
        }
        let (request, reading) = (
            entries.part().asking_again(request),
            record::part(entries.part()),
        );
        let is_preferred = entries.part().is_preferred();
        let limits = &self.work.job.limits;
        let desired = Desired::of_changes(entries, found.deleted.clone(), known.entries, limits);
        let desired = desired
            .map_err(Failure::refused)?
            .noting(found.notes.clone())
            .noting(found.position.ahead().into_iter().collect());
        self.known_dns = Some(state.dns(&self.prepared.name, &found.deleted)?);
        let current = self
            .read_users(state, &known, &desired, &found.deleted)
            .await?;
        self.work
            .rules
            .check_user_type(&current)
            .map_err(Failure::refused)?;
        let desired = several::settled(desired, &current, &self.work.rules);
        let desired = Box::pin(self.with_pictures_of_few(desired, &request)).await;
        let settings = self.settings(&desired);
        if !memory::changed(&remembered, &settings).is_empty() {
            return Ok(Err(
                "the settings are others than those of the last run".to_owned()
            ));
        }
        self.own = Owners::own_links(&desired, &current, &self.work.rules);
        remembered.rejected.add_links(&current, &self.own);
        let past = (&remembered, &settings);
        let plan = self.decide(&desired, &current, past, &request).await?;
        self.look_at_work(&plan).await;
        self.look_at_pauses(state)?;
        let judged = self.vet(&plan, past, None)?;
        let marks = Marks::of(&desired, &current, &judged.vetted, Some(&known));
        if !is_news(&judged.vetted, &marks, &known) {
            self.keep_position(state, &known, found.position)?;
            return Ok(Ok(ChangesEnd::Nothing));
        }
        self.begin()?;
        let asked = std::mem::take(&mut self.directory_part().asked);
        self.report.directory = Some(reading);
        let part = self.directory_part();
        part.complete = false;
        part.asked = asked;
        part.changes = Some(found.part);
        self.report.ftrack.users = current.users.len();
        let known = KnownChanges {
            position: found.position,
            leavers_wait: known.leavers_wait || !is_preferred,
            ..known
        };
        let Aim::Write { writer, .. } = aim else {
            return Ok(Ok(ChangesEnd::Nothing));
        };
        let planned = (&plan, &desired, &current);
        let known = Some((known, marks));
        let ready = self.ready(state, past, planned, (judged, known)).await?;
        let earlier = EarlierRuns::default();
        self.carry_out(state, &remembered, ready, (&current, earlier), writer)
            .await?;
        Ok(Ok(ChangesEnd::Done))
    }

    /// Why what a server shows may be old, if it shows less than what was seen of its directory
    /// before: what follows from that is decided about everybody.
    fn lags_behind(
        &self,
        server: &str,
        (shown, directory): (&Freshness, Option<&str>),
        remembered: &Remembered,
    ) -> Option<String> {
        let seen = remembered.freshness_of(directory)?;
        let lag = shown.lag(seen, self.clocks().latest())?;
        Some(format!("{server} lags behind: {lag}"))
    }

    async fn read_entries(
        &mut self,
        known: &KnownChanges,
        found: &Found,
    ) -> Result<Result<ChangedEntries<Mapped>, String>, Failure> {
        let began = Instant::now();
        let (work, request) = (self.work, self.read_request());
        let entries = directory::read_changed(
            &work.pool,
            &found.position.server,
            &request,
            (&known.id_attribute, &found.ids),
            |kind, entry| work.mappings.of(kind).map(entry),
            &self.until.cancel,
        )
        .await;
        self.record_phase(RunPhase::Directory, began.elapsed());
        match entries {
            Ok(entries) => Ok(Ok(entries)),
            // What a few entries do not show, others may.
            Err(ReadFailure {
                error: error @ DirectoryError::Group { .. },
                ..
            }) => Ok(Err(error.to_string())),
            Err(unread) => Err(self.record_read_error(ReadError::Directory(unread))),
        }
    }

    /// Reads the users whom these people may concern: theirs, those that this program may have
    /// created for them, and those that have their logins or mail addresses.
    async fn read_users(
        &mut self,
        state: &State,
        known: &KnownChanges,
        desired: &Desired,
        deleted: &BTreeSet<DirectoryId>,
    ) -> Result<Current, Failure> {
        let began = Instant::now();
        let ids = self.users_of(state, known, desired, deleted)?;
        self.reader
            .take_key()
            .await
            .map_err(|error| self.record_read_error(ReadError::Ftrack(error)))?;
        let wanted = self.current_wanted();
        let current = ftrack::read::read_some(&self.reader, wanted, &ids, &self.until).await;
        self.record_phase(RunPhase::Ftrack, began.elapsed());
        current.map_err(|error| self.record_read_error(ReadError::Ftrack(error)))
    }

    fn users_of(
        &self,
        state: &State,
        known: &KnownChanges,
        desired: &Desired,
        deleted: &BTreeSet<DirectoryId>,
    ) -> Result<BTreeSet<EntityId>, Failure> {
        let mut sought = Sought {
            people: desired.shown().chain(deleted).collect(),
            ..Sought::default()
        };
        for (_, person) in desired.people() {
            sought.logins.insert(fold(&person.username).into_owned());
            if let DesiredValue::Text(mail) = &person.email {
                sought.mails.insert(fold(mail).into_owned());
            }
        }
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        let mut ids = state.known_users(job, ftrack, &sought)?;
        let (rules, attribute) = (&self.work.rules, Some(&known.id_attribute));
        let created = sought.people.iter();
        ids.extend(created.flat_map(|id| possible_ids(rules, attribute, id)));
        Ok(ids)
    }

    /// Nothing had to be done about the changes up to there.
    fn keep_position(
        &self,
        state: &State,
        known: &KnownChanges,
        position: Position,
    ) -> Result<(), Failure> {
        if known.position != position {
            let known = KnownChanges {
                position,
                ..known.clone()
            };
            let (job, ftrack) = (&self.prepared.name, self.reader.server());
            state.set_known_changes(job, ftrack, Some(&known))?;
        }
        Event::NothingChanged {
            job: &self.prepared.name,
        }
        .emit();
        Ok(())
    }
}

/// Whether there is anything that the run before did not report.
fn is_news(vetted: &Vetted, marks: &Marks, known: &KnownChanges) -> bool {
    // Whoever was held for being gone may be held for another reason now.
    let is_new = |id: &DirectoryId| marks.again.get(id.as_str()) != known.again.get(id.as_str());
    !vetted.allowed().is_empty()
        || vetted
            .held()
            .iter()
            .any(|held| is_new(&held.change.directory_id))
        || marks
            .without_user
            .iter()
            .any(|id| !known.without_user.contains(id))
}

/// A group that had members in the last complete reading, and does not show them any longer: only a
/// run that reads everything can doubt what follows from it.
fn lost_group(entries: &ChangedEntries<Mapped>, remembered: &Remembered) -> Option<String> {
    let groups = entries.part().groups()?;
    let lost = groups.lost(&remembered.groups).into_iter().next()?;
    Some(match lost {
        LostGroup::Hidden(dn) => format!("the group {dn} is not seen any more"),
        LostGroup::Empty(dn) => format!("the group {dn} shows no members any more"),
    })
}

/// Why the entries that changed cannot be taken together with what the last complete reading
/// showed.
fn unlike_before(entries: &ChangedEntries<Mapped>, known: &KnownChanges) -> Option<String> {
    let part = entries.part();
    if part.directory_id() != known.position.directory.as_deref() {
        return Some("the directory has another id than before".to_owned());
    }
    let attribute = part.id_attribute();
    if attribute.is_some_and(|attribute| *attribute != known.id_attribute) {
        return Some(format!("the entries do not show {}", known.id_attribute));
    }
    let filter = part.filter().map(ToString::to_string);
    let is_another = |filter: &String| {
        known
            .position
            .marks
            .iter()
            .any(|mark| mark.filter != *filter)
    };
    let is_another = filter.is_some_and(|filter| is_another(&filter));
    is_another.then(|| "the filter for people is another one".to_owned())
}
