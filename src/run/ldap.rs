//! A run that reads a directory: from the two readings to the writes.

use std::time::Instant;

use super::{
    Aim, Approved, Progress, RunContext,
    administrators::AdministratorLock,
    approval::ApprovedHold,
    confirm_earlier::EarlierRuns,
    failure::Failure,
    known_changes::{Kept, Marks},
    last_known::LastKnownPeople,
    ldap_work::LdapWork,
    memory, outcome, pictures,
    recorder::Recorder,
    saved::SavedPlan,
};
use crate::{
    config::Mode,
    directory::ReadRequest,
    event::RunName,
    ftrack,
    ftrack::{
        earlier::EarlierWrites,
        session::{Until, Writer},
        stopped::WriteStopped,
        write::WriteLimits,
    },
    model::{
        change::HeldBy,
        report::{DirectoryPart, FailureKind, Reported, RunPhase},
        stored_value::StoredOtherwise,
        user::Current,
    },
    state::{KnownChanges, Remembered, State, Written, journal::Journal},
    sync::{
        decision::Plan,
        desired::Desired,
        guard,
        guard::{Approval, Held, Lifted, Seen, Vetted, VettedNotes},
        owner::Owners,
        settings::Settings,
    },
};

/// Why what is planned is not written.
pub(super) const OBSERVES: &str =
    "the job has mode = \"observe\", so no run writes this, and neither does `apply`";

/// What a person does by hand to a link is an approved adoption, or the end of one.
const BY_HAND: Approval = Approval::OfHold(HeldBy::Adoption);

/// What may be written of a plan.
pub(super) struct Judged {
    pub(super) vetted: Vetted,
    /// What is written into links beside that.
    notes: VettedNotes,
    approval: Approval,
    /// Of a hold that is approved, and what is refused of it.
    of_hold: Option<(ApprovedHold, Vec<Reported>)>,
    /// Everything that is held, where that is not the part of `vetted` that is.
    held: Option<Vec<Held>>,
}

impl Judged {
    /// Of what a person does by hand.
    fn by_hand(vetted: Vetted) -> Self {
        Self {
            vetted,
            notes: VettedNotes::default(),
            approval: BY_HAND,
            of_hold: None,
            held: None,
        }
    }
}

/// What is written, and what is saved after that.
pub(super) struct Ready {
    vetted: Vetted,
    notes: VettedNotes,
    approval: Approval,
    approved: Option<ApprovedHold>,
    counted: Vec<Written>,
    stored: StoredOtherwise,
    /// People whose users need no change.
    unchanged: usize,
    is_first: bool,
    /// What later runs of changes know, once this is written; none where they read everything.
    known: Option<Kept>,
    /// Held until everything is written.
    _lock: Option<AdministratorLock>,
}

impl RunContext<'_, LdapWork> {
    /// The whole run: each step takes the values of those before it.
    pub(super) async fn execute(&mut self, aim: Aim, state: &State) -> Result<(), Failure> {
        if self.asks_ftrack_alone() {
            return Box::pin(self.end_links(aim, state)).await;
        }
        let remembered = state.remembered(&self.prepared.name, self.reader.server())?;
        let mut remembered = self.knowing_seats(remembered);
        let request = self.read_request();
        let position = self.position(&aim, &request, state).await?;
        let before = (remembered.directory.as_deref(), remembered.reading_sizes);
        let (reading, current) = Box::pin(self.read(&request, before)).await?;
        let request = reading.asking_again(request);
        let earlier = self.confirm_earlier(state, &remembered, &current).await?;
        if earlier.is_changed {
            let without_seat = remembered.without_seat;
            remembered = state.remembered(&self.prepared.name, self.reader.server())?;
            remembered.without_seat = without_seat;
        }
        let desired = self.desired(reading, &current)?;
        let desired = Box::pin(self.with_pictures(desired, &request)).await;
        let settings = self.settings(&desired);
        self.own = Owners::own_links(&desired, &current, &self.work.rules);
        remembered.rejected.add_links(&current, &self.own);
        let past = (&remembered, &settings);
        let plan = Box::pin(self.decide(&desired, &current, past, &request)).await?;
        let plan = self.restricted(plan, &current)?;
        self.begin()?;
        self.look_at_work(&plan).await;
        self.look_at_pauses(state)?;
        let vetted = self.vet(&plan, past, aim.approved())?;
        self.look_at_seats(&vetted.vetted, &current).await;
        // Where only some of it may be written, the rest would not be told to runs of changes again.
        let is_whole = self.is_for_everybody() && aim.approved().is_none();
        let position = position.filter(|_| is_whole);
        let known = self.known_after(position, &plan, &desired).map(|known| {
            let marks = Marks::of(&desired, &current, &vetted.vetted, None);
            (known, marks)
        });
        match aim {
            Aim::Look => {
                self.record_plan(&plan, &vetted.vetted);
                self.report.outcome = outcome(&self.report);
                Ok(())
            }
            Aim::Observe => self.observe(state, &remembered, (&plan, &vetted.vetted), &current),
            Aim::Write { writer, .. } => {
                let planned = (&plan, &desired, &current);
                let ready = Box::pin(self.ready(state, past, planned, (vetted, known))).await?;
                // What was read of the directory is the largest part of the memory.
                drop(plan);
                drop(desired);
                let written =
                    self.carry_out(state, &remembered, ready, (&current, earlier), &writer);
                Box::pin(written).await
            }
        }
    }

    /// Reports what is planned, and saves what later runs have to know, before anything is written.
    pub(super) async fn ready(
        &mut self,
        state: &State,
        past: (&Remembered, &Settings),
        (plan, desired, current): (&Plan<'_>, &Desired, &Current),
        (judged, known): (Judged, Option<(KnownChanges, Marks)>),
    ) -> Result<Ready, Failure> {
        let Judged {
            mut vetted,
            mut notes,
            approval,
            of_hold,
            held,
        } = judged;
        let lock = self.look_at_administrators(&mut vetted, approval).await?;
        self.record_plan(plan, &vetted);
        let held = held.unwrap_or_else(|| vetted.held().to_vec());
        if self.is_for_everybody() {
            let read = (plan, desired, current);
            self.number_holds(state, read, (&vetted, &held), approval)?;
            let rejected = self.end_rejections(state, past.0, read, &held)?;
            let is_complete = desired.is_of_everybody() && plan.replica.is_none();
            if is_complete && approval == Approval::None {
                notes = notes.with_rejected((current, &self.own), &rejected, &vetted);
            }
        }
        if !self.prepared.only.is_empty() {
            // Whoever waits is to be found in a hold, whichever run it was.
            let read = (plan, desired, current);
            self.number_holds(state, read, (&vetted, &held), approval)?;
        }
        let approved = of_hold.map(|(hold, refused)| {
            self.add_refused(refused, plan.unchanged());
            hold
        });
        if !self.is_for_everybody() {
            self.remember_absences(state, past.0, plan)?;
        } else if desired.is_of_everybody() {
            let judged = (&vetted, &*held);
            self.remember(state, past, plan, current, judged, approval)?;
            self.remember_preferred_server(state, past.0, desired, (plan, &vetted), approval)?;
            self.remember_dns(state, plan, desired)?;
        } else {
            self.remember_changes(state, past, (plan, desired, current), &vetted)?;
        }
        if self.is_for_everybody() {
            self.remember_freshness(state, past.0, desired, (plan, &vetted), approval)?;
        }
        let known = self.index(state, desired, &vetted, known)?;
        let is_first = plan.is_first_contact;
        let counted = memory::written(
            &self.report.run,
            &vetted,
            approval,
            (is_first, self.clocks()),
        );
        state.count_written(&self.prepared.name, &counted)?;
        let (remembered, _) = past;
        let mut stored = remembered.stored_otherwise.clone();
        for (user, field) in &plan.outdated {
            stored.forget(user, field);
        }
        Ok(Ready {
            vetted,
            notes,
            approval,
            approved,
            counted,
            stored,
            unchanged: plan.unchanged(),
            is_first: is_first && self.is_for_everybody(),
            known,
            _lock: lock,
        })
    }

    /// Writes what may be written.
    pub(super) async fn carry_out(
        &mut self,
        state: &State,
        remembered: &Remembered,
        ready: Ready,
        (current, earlier): (&Current, EarlierRuns),
        writer: &Writer,
    ) -> Result<(), Failure> {
        let Ready {
            vetted,
            notes,
            approval,
            approved,
            counted,
            mut stored,
            unchanged,
            is_first,
            known,
            _lock,
        } = ready;
        if self.asked.is_some() {
            // Runs of changes do not know whose user is whose then, also if this one is killed.
            let (job, ftrack) = (&self.prepared.name, self.reader.server());
            state.set_known_changes(job, ftrack, None)?;
        }
        let writes = &earlier.writes;
        let fitted = self.reader.sizes().changes;
        let (work, request) = (self.work, self.read_request());
        let applied = match self.keep_snapshot(&vetted, current) {
            Ok(()) => {
                self.apply(
                    unchanged,
                    (&vetted, &notes),
                    (current, writes),
                    (writer, Some((work, &request))),
                    &mut stored,
                )
                .await
            }
            Err(failure) => Err(failure),
        };
        let ended = match (approved, approval) {
            (Some(approved), _) => self.end_approved(state, &approved, &vetted),
            (None, Approval::Given) => self.end_applied(state),
            (None, Approval::None | Approval::OfHold(_)) => Ok(()),
        };
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        let before = &remembered.stored_otherwise;
        let kept = state.set_stored_otherwise(job, ftrack, before, &stored);
        // Also a run that ends early counts only what it wrote.
        let settled = self.settled(counted, &vetted, approval);
        let counted = state.count_written(job, &settled);
        applied?;
        kept?;
        counted?;
        ended?;
        if is_first {
            state.set_first_contact(job, ftrack, false)?;
        }
        self.keep_known(state, known)?;
        let fits = self.reader.sizes().changes;
        if fits != fitted {
            state.set_changes_at_once(ftrack, fits)?;
        }
        self.forget_earlier(earlier);
        Ok(())
    }

    /// What a person does by hand without the directory.
    pub(super) fn ready_by_hand(&self, vetted: Vetted, remembered: &Remembered) -> Ready {
        Ready {
            vetted,
            notes: VettedNotes::default(),
            approval: BY_HAND,
            approved: None,
            counted: Vec::new(),
            stored: remembered.stored_otherwise.clone(),
            unchanged: 0,
            is_first: false,
            known: None,
            _lock: None,
        }
    }

    /// Plans, without saving anything.
    pub(super) async fn plan_only(
        &mut self,
        remembered: &Remembered,
    ) -> Result<SavedPlan, Failure> {
        let mut remembered = self.counting_unsettled(remembered)?;
        let request = self.read_request();
        let before = (remembered.directory.as_deref(), remembered.reading_sizes);
        let (reading, current) = Box::pin(self.read(&request, before)).await?;
        let request = reading.asking_again(request);
        let desired = self.desired(reading, &current)?;
        let desired = Box::pin(self.with_pictures(desired, &request)).await;
        let settings = self.settings(&desired);
        let own = Owners::own_links(&desired, &current, &self.work.rules);
        remembered.rejected.add_links(&current, &own);
        let remembered = &remembered;
        let past = (remembered, &settings);
        let plan = Box::pin(self.decide(&desired, &current, past, &request)).await?;
        Box::pin(self.look_at_work(&plan)).await;
        let unsettled = self.unsettled_changes()?;
        self.paused.clone_from(&remembered.paused);
        let vetted = guard::vet(&plan, &self.bounds(&plan, past, &unsettled));
        self.look_at_seats(&vetted, &current).await;
        let (job, fall) = (&self.prepared.name, self.fall_of_links(&plan, remembered));
        let mut saved = SavedPlan::new(job, chrono::Utc::now(), &plan, &vetted, fall);
        let people = LastKnownPeople::of_plan(&plan);
        for planned in &mut saved.changes {
            planned.change.person = people.of(planned.change.action, &planned.change.ftrack_id);
        }
        self.add_work(&mut saved);
        if self.work.job.mode == Mode::Observe {
            saved.warnings.push(OBSERVES.into());
        }
        self.record_owned(&plan);
        saved.directory = self.report.directory.clone().map(Box::new);
        saved.ftrack = Some(Box::new(self.report.ftrack.clone()));
        Ok(saved)
    }

    /// What may be written of a plan.
    pub(super) fn vet(
        &self,
        plan: &Plan<'_>,
        (remembered, settings): (&Remembered, &Settings),
        approved: Option<&Approved>,
    ) -> Result<Judged, Failure> {
        let unsettled = self.unsettled_changes()?;
        let bounds = self.bounds(plan, (remembered, settings), &unsettled);
        if self.given_to.is_some() {
            return match self.fall_of_links(plan, remembered) {
                Some(fall) => Err(Failure::refused(fall)),
                None => Ok(Judged::by_hand(guard::give(plan, &bounds.closed))),
            };
        }
        match (approved, self.fall_of_links(plan, remembered)) {
            (None | Some(Approved::Hold(_)), Some(fall)) => Err(Failure::refused(fall)),
            (None, None) => {
                let vetted = guard::vet(plan, &bounds);
                let notes = if self.is_for_everybody() {
                    guard::notes(plan, &bounds, &vetted)
                } else {
                    VettedNotes::default()
                };
                Ok(Judged {
                    vetted,
                    notes,
                    approval: Approval::None,
                    of_hold: None,
                    held: None,
                })
            }
            (Some(Approved::Plan(saved)), _) => {
                let vetted = guard::vet(plan, &bounds);
                let approved = saved.approved(plan, &vetted);
                let approved = approved.map_err(|stale| Failure::plan_refused(&stale))?;
                Ok(Judged {
                    vetted: guard::approve(plan, &approved, bounds.rejected),
                    notes: VettedNotes::default(),
                    approval: Approval::Given,
                    of_hold: None,
                    held: None,
                })
            }
            (Some(Approved::Hold(hold)), None) => {
                let seen = Seen {
                    held_by: hold.hold.held_by,
                    changes: &hold.wanted,
                };
                let Lifted {
                    vetted,
                    held,
                    still,
                } = guard::lift(plan, &bounds, &seen);
                let hold = ApprovedHold {
                    still,
                    ..hold.clone()
                };
                let refused = hold.refused(plan);
                Ok(Judged {
                    vetted,
                    notes: VettedNotes::default(),
                    approval: Approval::OfHold(seen.held_by),
                    of_hold: Some((hold.clone(), refused)),
                    held: Some(held),
                })
            }
        }
    }

    /// What was really written of what was counted before, so that a run that is killed counts as
    /// well.
    fn settled(&self, counted: Vec<Written>, vetted: &Vetted, approval: Approval) -> Vec<Written> {
        let results = self.report.changes.iter().take(vetted.allowed().len());
        let number = |kind| {
            let written = |change: &Reported| change.number_written(kind);
            results.clone().map(written).sum()
        };
        let settled = counted.into_iter().map(|counted| Written {
            number: match approval {
                Approval::None => number(counted.kind),
                Approval::Given | Approval::OfHold(_) => counted.number,
            },
            is_settled: true,
            ..counted
        });
        settled.collect()
    }

    /// The directory part of the report.
    pub(super) fn directory_part(&mut self) -> &mut DirectoryPart {
        self.report.directory.get_or_insert_default()
    }
}

impl<W> RunContext<'_, W> {
    /// Writes the allowed changes, and what links are to say beside them, with the old values on disk
    /// before the first write; and then the pictures, if there may be some, from the directory.
    pub(super) async fn apply(
        &mut self,
        unchanged: usize,
        (vetted, notes): (&Vetted, &VettedNotes),
        (current, earlier): (&Current, &EarlierWrites),
        (writer, pictures): (&Writer, Option<(&LdapWork, &ReadRequest)>),
        stored: &mut StoredOtherwise,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let places = self.insert_notes(vetted, notes);
        // Of most runs there are none, and the changes may be many.
        let with_notes = (!notes.changes().is_empty()).then(|| vetted.with(notes));
        let vetted = with_notes.as_ref().unwrap_or(vetted);
        let changes = vetted.allowed().len();
        let mut stopped = None;
        let mut journal_failed = None;
        if changes > 0 {
            // The report of a run that is killed has no later number.
            self.record_calls();
            let state_dir = &self.prepared.config.state_dir;
            let marks = self.marks(memory::deactivated_at(vetted));
            let journal = Journal::open(state_dir, &self.report, marks)?;
            let until = Until {
                deadline: self.until.deadline,
                cancel: self.until.cancel.child_token(),
            };
            let limits = WriteLimits {
                attempts: self.prepared.config.ftrack.attempts,
                until: &until,
                earlier,
            };
            let mut recorder = Recorder {
                reported: &mut self.report.changes,
                stored,
                journal,
                of: RunName {
                    job: &self.prepared.name,
                    run: &self.report.run,
                },
                notes: &places,
                progress: self.progress,
                changes,
                ended: 0,
                cancel: &until.cancel,
                failed: None,
            };
            (self.progress)(Progress::Changes(0, changes));
            let mut waiting = Vec::new();
            let written = ftrack::write::write(writer, vetted, current, limits, |done| {
                if pictures.is_none() {
                    return recorder.record(done);
                }
                let (wait, ended) = pictures::that_wait(vetted, done);
                waiting.extend(wait);
                recorder.record(&ended);
            });
            let end = Box::pin(written).await;
            stopped = end.stopped;
            let mut without = Vec::new();
            for outcome in waiting {
                let change = vetted.allowed().get(outcome.place);
                let Some((change, (work, request))) = change.zip(pictures) else {
                    continue;
                };
                let to = (writer, &until);
                let sent = pictures::send_picture(work, request, (change, outcome), to);
                // Most runs send none, and each would need its memory.
                let sent = Box::pin(sent).await;
                let why = sent.without.as_deref();
                without
                    .extend(why.and_then(|why| recorder.without_picture(sent.outcome.place, why)));
                recorder.record(&[sent.outcome]);
            }
            journal_failed = recorder.failed;
            self.add_warnings(without);
            let made = end.made_groups.iter();
            let made = made.map(|path| format!("the group {:?} was made in ftrack", &**path));
            self.add_warnings(made.collect());
            Box::pin(self.send_invitations(vetted, writer, &until)).await;
        }
        self.take_notes(&places);
        self.record_phase(RunPhase::Writing, began.elapsed());
        self.count(unchanged);
        self.report.outcome = outcome(&self.report);
        match (stopped, journal_failed) {
            (Some(_), Some(error)) => Err(Failure {
                kind: FailureKind::State,
                why: format!("the writing ended early, since results cannot be saved: {error}"),
            }),
            // This stays true when a later run finds everything in effect.
            (Some(WriteStopped { why, cause }), None) => Err(Failure {
                kind: cause.into(),
                why: format!("the writing ended early: {why}"),
            }),
            (None, _) => Ok(()),
        }
    }
}
