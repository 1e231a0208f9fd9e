//! The first half of a run: reads both servers at the same time, and decides about everybody.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::BTreeMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::{
    Progress, RunContext,
    failure::{Failure, ReadError},
    ldap_work::LdapWork,
    memory, record,
};
use crate::{
    directory,
    directory::{Intake, ReadRequest, Reading},
    ftrack,
    ftrack::read::{MissingGroups, ReadCurrent},
    model::{
        call_sizes::ReadingSizes,
        clocks::Present,
        entry::{DirectoryId, Entry},
        id::IdAttribute,
        own_links::OwnLinks,
        report::{DirectoryPart, Outcome, RunPhase},
        server_kind::ServerKind,
        user::Current,
    },
    state::{Remembered, history::History},
    sync::{
        compared::UsersByPerson,
        decide::{Known, Matched},
        decision::Plan,
        desired::{Desired, Mapped},
        owner::known_attribute,
        settings::{Setting, Settings},
        several,
    },
};

/// The maximum number of reports that are read to find out what a base showed before.
const REPORTS: usize = 20;

/// Maps entries as they arrive, and compares their people with the users that have their links, once
/// all users were read.
struct Arriving<'r> {
    work: &'r LdapWork,
    users: &'r OnceLock<Current>,
    by_person: Option<UsersByPerson<'r>>,
}

impl Intake<Mapped> for Arriving<'_> {
    fn map(&mut self, kind: ServerKind, entry: &Entry) -> Mapped {
        self.work.mappings.of(kind).map(entry)
    }

    fn can_prepare(&mut self) -> bool {
        if self.by_person.is_none() {
            let users = self.users.get();
            self.by_person = users.map(|users| UsersByPerson::new(users, &self.work.rules));
        }
        self.by_person.is_some()
    }

    fn prepare(&mut self, attribute: &IdAttribute, id: &DirectoryId, mapped: &mut Mapped) {
        if let Some(by_person) = &self.by_person {
            by_person.compare(attribute, id, mapped);
        }
    }
}

impl<'a> RunContext<'a, LdapWork> {
    /// Reads both servers at the same time; when one cannot be read, the other is not waited for.
    ///
    /// `before` is the id of the directory that the run before read, and what a reading of ftrack
    /// showed.
    pub(super) async fn read(
        &mut self,
        request: &ReadRequest,
        before: (Option<&str>, Option<ReadingSizes>),
    ) -> Result<(Reading<Mapped>, Current), Failure> {
        let (directory_before, sizes_before) = before;
        let of_trusted_files = self.of_trusted_files();
        self.reader
            .take_key()
            .await
            .map_err(|error| self.record_read_error(ReadError::Ftrack(error)))?;
        let work = self.work;
        let began = Instant::now();
        let (directory_took, ftrack_took) = (OnceLock::new(), OnceLock::new());
        let (shown, users) = (OnceLock::new(), OnceLock::new());
        let directory = async {
            let intake = Arriving {
                work,
                users: &users,
                by_person: None,
            };
            let reading =
                directory::read_into(&work.pool, request, intake, &self.until.cancel, |entries| {
                    (self.progress)(Progress::Entries(entries))
                })
                .await;
            directory_took.get_or_init(|| began.elapsed());
            let reading = reading.map_err(ReadError::Directory)?;
            shown.get_or_init(|| record::part(&reading));
            Ok(reading)
        };
        let wanted = ReadCurrent {
            before: sizes_before,
            ..self.current_wanted()
        };
        let ftrack = async {
            let current = ftrack::read::read(&self.reader, wanted, &self.until).await;
            ftrack_took.get_or_init(|| began.elapsed());
            let current = current.map_err(ReadError::Ftrack)?;
            users.get_or_init(|| current);
            Ok(())
        };
        let both = tokio::try_join!(directory, ftrack);
        let whole = |took: OnceLock<Duration>| took.into_inner().unwrap_or_else(|| began.elapsed());
        let (directory_took, ftrack_took) = (whole(directory_took), whole(ftrack_took));
        self.record_phase(RunPhase::Directory, directory_took);
        self.record_phase(RunPhase::Ftrack, ftrack_took);
        let (reading, ()) = both.map_err(|unread| {
            // What was read of the directory is known also when ftrack cannot be read.
            self.report.directory = shown.into_inner().or(self.report.directory.take());
            // They may tell why, and no plan follows that would.
            self.add_warnings(of_trusted_files.clone());
            self.record_read_error(unread)
        })?;
        let current = users.into_inner();
        let current = current.unwrap_or_else(|| unreachable!("both were read"));
        self.notes.extend(of_trusted_files);
        // An attribute that appears beside the one by which the users are known is none of it.
        let directories = reading.directory_id().into_iter().chain(directory_before);
        let own = OwnLinks::new(&work.rules.source, directories);
        let reading = match known_attribute(&current, &own) {
            Some(attribute) => reading.known_by(attribute),
            None => reading,
        };
        self.record_reading(&reading, directory_took);
        self.record_current(&current, ftrack_took);
        Ok((reading, current))
    }

    /// The state that the directory asks for, unless the reading must not be used.
    pub(super) fn desired(
        &mut self,
        reading: Reading<Mapped>,
        current: &Current,
    ) -> Result<Desired, Failure> {
        let began = Instant::now();
        let notes = reading.notes().to_vec();
        let desired = Desired::new(reading, &self.work.job.limits);
        let user_type = self.work.rules.check_user_type(current);
        self.record_phase(RunPhase::Planning, began.elapsed());
        let desired = desired.map_err(|unfit| {
            // They may tell why, and no plan follows that would.
            self.record_warnings(notes);
            Failure::refused(unfit)
        })?;
        let mapping = self.work.mappings.of(desired.kind());
        let notes = mapping.empty_rules(desired.people());
        let desired = desired.noting(notes);
        let desired = several::settled(desired, current, &self.work.rules);
        user_type.map_err(Failure::refused)?;
        Ok(desired)
    }

    /// Decides about everybody, after a second look for those whose users would be deactivated and
    /// before anything is written.
    pub(super) async fn decide<'r>(
        &mut self,
        desired: &'r Desired,
        current: &'r Current,
        past: (&'r Remembered, &Settings),
        request: &ReadRequest,
    ) -> Result<Plan<'r>, Failure>
    where
        'a: 'r,
    {
        let began = Instant::now();
        let plan = self.decided(desired, current, past, request).await;
        self.record_phase(RunPhase::Planning, began.elapsed());
        let plan = plan?;
        self.confirm(&plan, current).await?;
        Ok(plan)
    }

    async fn decided<'r>(
        &mut self,
        desired: &'r Desired,
        current: &'r Current,
        (remembered, settings): (&'r Remembered, &Settings),
        request: &ReadRequest,
    ) -> Result<Plan<'r>, Failure>
    where
        'a: 'r,
    {
        let known = Known {
            absences: &remembered.absences,
            disabled: &remembered.disabled,
            directory: remembered.directory.as_deref(),
            inactive: remembered.inactive.as_ref(),
            has_another_writer: self.has_another_writer(),
            is_new: !remembered.has_succeeded,
            has_begun: remembered.has_begun,
            stored_otherwise: &remembered.stored_otherwise,
            is_protect_changed: memory::changed(remembered, settings).contains(&Setting::Protect),
            freshness: remembered.freshness_of(desired.directory().map(|id| &**id)),
            preferred_server: self.preferred_server(remembered),
            begun: &remembered.begun,
            rejected: &remembered.rejected,
            users_before: remembered.users_before.as_ref(),
            without_seat: &remembered.without_seat,
        };
        let rules = &self.work.rules;
        let matched = Matched::new(desired, current, rules, known, self.present(remembered));
        let matched = matched.map_err(Failure::refused)?;
        let left = self.left_groups(&matched, desired, request).await?;
        let matched = matched.knowing(left).map_err(Failure::refused)?;
        let matched = self.given(matched)?;
        let mut evidence = self.look_again(&matched, desired, request).await?;
        self.look_at_grants(&matched, desired, request, &mut evidence)
            .await?;
        if let Some(groups) = desired.groups() {
            let before = self.earlier_groups(remembered);
            evidence.lost_grant_groups = groups.lost_of_grants(&before);
        }
        if matched.lacks_anybody() && desired.is_of_everybody() {
            evidence.emptied_bases = self.emptied_bases(remembered);
            if let Some(groups) = desired.groups() {
                let before = self.earlier_groups(remembered).into_owned();
                evidence.lost_groups = groups.lost(&before);
                self.look_at_members(groups, &before, request, &mut evidence)
                    .await?;
            }
            let referrals = (remembered.referrals, self.referrals());
            evidence.changed_referrals = (referrals.0 != referrals.1).then_some(referrals);
        }
        Ok(matched.decide(&evidence))
    }

    /// What the clocks show, and what the job knows of them.
    pub(super) fn present(&self, remembered: &Remembered) -> Present {
        Present {
            clocks: self.clocks(),
            agreed_at: remembered.clocks_agreed_at,
        }
    }

    /// Whether another job starts ftrack's own synchronisation.
    fn has_another_writer(&self) -> bool {
        let mut jobs = self.prepared.config.jobs.values();
        jobs.any(|job| job.ldap().is_none())
    }

    /// The search bases that show nobody, and did before.
    fn emptied_bases(&self, remembered: &Remembered) -> Vec<String> {
        // If the state was lost, or is from an earlier version, the last reports are used instead.
        let reported = OnceCell::new();
        let of_reports = |base: &str| {
            reported
                .get_or_init(|| last_bases(&self.history, &self.prepared.name))
                .as_ref()?
                .get(base)
        };
        let was_empty = |base: &str| {
            remembered
                .bases
                .get(base)
                .or_else(|| of_reports(base))
                .is_some_and(|entries| *entries == 0)
        };
        let searches = self
            .report
            .directory
            .iter()
            .flat_map(|directory| &directory.searches);
        searches
            .filter(|search| search.entries == 0 && !was_empty(&search.base))
            .map(|search| search.base.clone())
            .collect()
    }

    /// How many members each group named before; where the state was lost, the most in the last
    /// reports.
    fn earlier_groups<'m>(&self, remembered: &'m Remembered) -> Cow<'m, BTreeMap<String, usize>> {
        if !remembered.groups.is_empty() {
            return Cow::Borrowed(&remembered.groups);
        }
        let read = read_before(&self.history, &self.prepared.name);
        let groups = read.into_iter().flatten().map(|read| read.groups);
        Cow::Owned(most_of_each(groups.flatten()))
    }

    /// The number of referral objects that were read.
    pub(super) fn referrals(&self) -> usize {
        let directory = self.report.directory.iter();
        let searches = directory.flat_map(|directory| &directory.searches);
        let number: u64 = searches.map(|search| search.referrals).sum();
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// What is read of each user.
    pub(super) fn current_wanted(&self) -> ReadCurrent<'a> {
        let config = &self.prepared.config.ftrack;
        ReadCurrent {
            custom_attributes: self.work.custom_keys(),
            administrator_roles: &config.administrator_roles,
            default_roles: &config.default_roles,
            grants: &self.work.rules.grants,
            missing_groups: MissingGroups::configured(self.work.job.users.create_groups),
            before: None,
        }
    }

    /// What the job reads of the directory.
    pub(super) fn read_request(&self) -> ReadRequest {
        self.work.read_request(self.until.deadline.into())
    }
}

/// What the last runs that did not fail read, the last one first; none where the history cannot be
/// read.
fn read_before(history: &History, job: &str) -> Option<Vec<DirectoryPart>> {
    let runs = history.runs(Some(job)).ok()?;
    let reports = runs
        .iter()
        .take(REPORTS)
        .filter_map(|(run, job)| history.load(job, run).ok());
    let read = reports
        .filter(|report| report.outcome != Outcome::Failed)
        .filter_map(|report| report.directory);
    Some(read.filter(|directory| directory.complete).collect())
}

/// The most entries of each base in the reports of the last runs that did not fail; none where
/// there is no such report.
fn last_bases(history: &History, job: &str) -> Option<BTreeMap<String, usize>> {
    let read = read_before(history, job).filter(|read| !read.is_empty())?;
    let searches = read.into_iter().flat_map(|directory| directory.searches);
    Some(most_of_each(searches.map(|search| {
        let entries = usize::try_from(search.entries).unwrap_or(usize::MAX);
        (search.base, entries)
    })))
}

/// The greatest of the numbers of each name.
fn most_of_each(numbers: impl Iterator<Item = (String, usize)>) -> BTreeMap<String, usize> {
    let mut most = BTreeMap::<String, usize>::new();
    for (name, number) in numbers {
        let known = most.entry(name).or_default();
        *known = (*known).max(number);
    }
    most
}
