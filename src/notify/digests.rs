//! When digests are due: one that was due while no daemon ran is made up for, once.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};

use super::outbox::Outbox;
use crate::{
    config::{Config, Job, schedule::Schedule},
    model::{
        occasion::Occasion,
        stored_message::{DigestMark, MessageMark},
    },
};

/// Up to when the digests of each job are made.
#[derive(Debug, Default)]
pub struct Digests(BTreeMap<String, DigestMark>);

impl Digests {
    /// As an earlier program left it.
    pub async fn load(outbox: &Outbox) -> Self {
        let marks = outbox.digest_marks().await.into_iter();
        Self(marks.map(|mark| (mark.job.clone(), mark)).collect())
    }

    /// How long it is until one may be due; for ever where there are none.
    pub fn next(&self, config: &Config) -> Duration {
        let now = Utc::now();
        let next = schedules(config).map(|(name, _, schedule)| {
            let known = self.known(name, &schedule);
            let due = schedule.next_after(known.map_or(now, |mark| mark.until.min(now)))?;
            Some((due - now).to_std().unwrap_or_default())
        });
        next.flatten().min().unwrap_or(Duration::MAX)
    }

    /// Those that are due now, each with what is remembered once it is made. What was due before a job
    /// had digests, or by another schedule, is due no more.
    pub async fn due(
        &mut self,
        config: &Config,
        now: DateTime<Utc>,
        outbox: &Outbox,
    ) -> Vec<(String, MessageMark)> {
        let mut due = Vec::new();
        let mut begun = Vec::new();
        for (name, _, schedule) in schedules(config) {
            let mark = DigestMark {
                job: name.to_owned(),
                schedule: schedule.expression().as_str().to_owned(),
                until: now,
            };
            match self.known(name, &schedule) {
                // The clock may have been set back.
                Some(known) if schedule.missed_since(known.until.min(now), now) => {
                    due.push((name.to_owned(), MessageMark::Digest(mark.clone())));
                }
                Some(_) => continue,
                None => begun.push(MessageMark::Digest(mark.clone())),
            }
            self.0.insert(name.to_owned(), mark);
        }
        for mark in begun {
            outbox.remember(mark).await;
        }
        let has_none = |name: &&String| !schedules(config).any(|(of, _, _)| of == name.as_str());
        let ended: Vec<String> = self.0.keys().filter(has_none).cloned().collect();
        for name in ended {
            self.0.remove(&name);
            outbox.forget_digests(name).await;
        }
        due
    }

    fn known(&self, name: &str, schedule: &Schedule) -> Option<&DigestMark> {
        let known = self.0.get(name)?;
        (known.schedule == schedule.expression().as_str()).then_some(known)
    }
}

/// The jobs of which digests are sent, and when.
fn schedules(config: &Config) -> impl Iterator<Item = (&str, &Job, Schedule)> {
    let jobs = config.jobs.iter();
    let jobs = jobs.filter(|(_, job)| job.notifications.tells(Occasion::Digest));
    jobs.map(|(name, job)| {
        let expression = &job.notifications.digest_schedule;
        let schedule = Schedule::new(expression, job.timezone, Duration::ZERO, "", name);
        (name.as_str(), job, schedule)
    })
}
