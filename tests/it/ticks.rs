//! The scheduler, with a clock that the tests set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::{
    config::schedule::Schedule,
    daemon::scheduler::{Clock, Scheduler, Tick},
};
use tokio::{sync::mpsc, time::timeout};

/// A scheduler at work, its clock, and what it sends.
struct World {
    now: Arc<Mutex<DateTime<Utc>>>,
    ticks: Scheduler,
    from: mpsc::Receiver<Tick>,
}

/// What became due: the job, and since when.
type Due = (String, DateTime<Utc>);

impl World {
    async fn at(time: &str, jobs: &[(&str, &str)]) -> Self {
        Self::with_room(time, jobs, 64).await
    }

    async fn with_room(time: &str, jobs: &[(&str, &str)], room: usize) -> Self {
        let now = Arc::new(Mutex::new(at(time)));
        let clock = now.clone();
        let (to, from) = mpsc::channel(room);
        let ticks = Scheduler::start(Clock::new(move || *clock.lock().unwrap()), to)
            .await
            .unwrap();
        let mut world = Self { now, ticks, from };
        world.ticks.set(schedules(jobs)).await.unwrap();
        world
    }

    fn set(&self, time: &str) {
        *self.now.lock().unwrap() = at(time);
    }

    /// Lets seconds go by until the scheduler has been around with them, and what became due by
    /// then.
    async fn beat(&mut self) -> Vec<Due> {
        let mut due = Vec::new();
        for _ in 0..5 {
            *self.now.lock().unwrap() += TimeDelta::seconds(1);
            while let Ok(tick) = timeout(Duration::from_millis(900), self.from.recv()).await {
                match tick.unwrap() {
                    Tick::Beat => return due,
                    Tick::Job { name, due: since } => due.push((name, since)),
                }
            }
        }
        panic!("there is no beat any more");
    }

    /// What becomes due in two rounds: all that one round finds due is sent before the beat of the
    /// next.
    async fn round(&mut self) -> Vec<Due> {
        let mut due = self.beat().await;
        due.extend(self.beat().await);
        due
    }

    fn next(&self, job: &str) -> DateTime<Utc> {
        self.ticks.next(job).unwrap()
    }
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn due(job: &str, since: &str) -> Due {
    (job.to_owned(), at(since))
}

fn schedules(jobs: &[(&str, &str)]) -> BTreeMap<String, Schedule> {
    let schedule = |expression: &str| {
        Schedule::new(
            &expression.parse().unwrap(),
            chrono_tz::Europe::Stockholm,
            Duration::ZERO,
            "host",
            "job",
        )
    };
    jobs.iter()
        .map(|(name, expression)| ((*name).to_owned(), schedule(expression)))
        .collect()
}

#[tokio::test]
async fn a_job_is_due_once_at_its_time() {
    let mut world = World::at(
        "2026-03-29T00:59:57Z",
        &[("night", "30 2 * * *"), ("day", "30 12 * * *")],
    )
    .await;
    assert_eq!(world.next("night"), at("2026-03-29T01:00:00Z"));
    let mut all = Vec::new();
    for _ in 0..6 {
        all.extend(world.beat().await);
    }
    assert_eq!(all, [due("night", "2026-03-29T01:00:00Z")]);
    assert_eq!(world.next("night"), at("2026-03-30T00:30:00Z"));
    assert_eq!(world.next("day"), at("2026-03-29T10:30:00Z"));
    assert_eq!(world.ticks.next("nobody"), None);
}

#[tokio::test]
async fn a_clock_that_goes_back_an_hour_does_not_silence_anything() {
    let mut world = World::at("2026-06-01T12:00:00Z", &[("often", "* * * * *")]).await;
    world.set("2026-06-01T12:01:00Z");
    assert_eq!(world.round().await, [due("often", "2026-06-01T12:01:00Z")]);
    world.set("2026-06-01T11:01:10Z");
    assert_eq!(world.round().await, []);
    assert_eq!(world.next("often"), at("2026-06-01T11:02:00Z"));
    world.set("2026-06-01T11:02:00Z");
    assert_eq!(world.round().await, [due("often", "2026-06-01T11:02:00Z")]);
}

#[tokio::test]
async fn a_clock_that_is_put_right_by_a_second_makes_nothing_due_twice() {
    let mut world = World::at("2026-06-01T11:59:30Z", &[("often", "* * * * *")]).await;
    world.set("2026-06-01T11:59:59Z");
    assert_eq!(world.round().await, [due("often", "2026-06-01T12:00:00Z")]);
    world.set("2026-06-01T11:59:58.900Z");
    assert_eq!(world.round().await, []);
    assert_eq!(world.round().await, []);
}

#[tokio::test]
async fn a_clock_that_leaps_two_days_ahead_makes_each_job_due_once() {
    let mut world = World::at(
        "2026-06-01T12:00:10Z",
        &[
            ("often", "* * * * *"),
            ("daily", "@daily"),
            ("rarely", "0 0 1 1 *"),
        ],
    )
    .await;
    world.set("2026-06-03T12:00:10Z");
    let mut all = world.round().await;
    all.sort();
    assert_eq!(
        all,
        [
            due("daily", "2026-06-01T22:00:00Z"),
            due("often", "2026-06-01T12:01:00Z")
        ]
    );
    assert_eq!(world.round().await, []);
    assert_eq!(world.next("often"), at("2026-06-03T12:01:00Z"));
}

#[tokio::test]
async fn who_takes_no_ticks_hears_of_each_job_once_when_it_does() {
    let mut world = World::with_room(
        "2026-06-01T12:00:30Z",
        &[("often", "* * * * *"), ("hourly", "@hourly")],
        1,
    )
    .await;
    // One tick fills the channel. The next moment tells that the scheduler has been around.
    for (now, next) in [
        ("2026-06-01T12:01:10Z", "12:02:00"),
        ("2026-06-01T13:01:30Z", "13:02:00"),
        ("2026-06-01T13:02:30Z", "13:03:00"),
    ] {
        world.set(now);
        let next = at(&format!("2026-06-01T{next}Z"));
        let reckoned = async {
            while world.next("often") != next {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(5), reckoned).await.unwrap();
    }
    let mut all = Vec::new();
    for _ in 0..6 {
        all.extend(world.beat().await);
    }
    all.sort();
    // One lay in the channel, and of those that found it full there is one for each job.
    assert_eq!(
        all,
        [
            due("hourly", "2026-06-01T13:00:00Z"),
            due("often", "2026-06-01T12:01:00Z"),
            due("often", "2026-06-01T12:02:00Z"),
        ]
    );
}

#[tokio::test]
async fn a_reload_leaves_alone_what_did_not_change() {
    let mut world = World::at(
        "2026-06-01T12:00:30Z",
        &[
            ("same", "* * * * *"),
            ("other", "@hourly"),
            ("gone", "* * * * *"),
        ],
    )
    .await;
    // Due, though nobody was around yet.
    world.set("2026-06-01T12:02:10Z");
    world
        .ticks
        .set(schedules(&[
            ("same", "* * * * *"),
            ("other", "@daily"),
            ("new", "5 * * * *"),
        ]))
        .await
        .unwrap();
    assert_eq!(world.next("same"), at("2026-06-01T12:01:00Z"));
    assert_eq!(world.next("other"), at("2026-06-01T22:00:00Z"));
    assert_eq!(world.next("new"), at("2026-06-01T12:05:00Z"));
    assert_eq!(world.ticks.next("gone"), None);
    assert_eq!(world.round().await, [due("same", "2026-06-01T12:01:00Z")]);
    world.set("2026-06-01T12:05:00Z");
    let mut all = world.round().await;
    all.sort();
    assert_eq!(
        all,
        [
            due("new", "2026-06-01T12:05:00Z"),
            due("same", "2026-06-01T12:03:00Z")
        ]
    );
    // From then on by its new schedule.
    world.set("2026-06-01T22:00:00Z");
    assert!(
        world
            .round()
            .await
            .contains(&due("other", "2026-06-01T22:00:00Z"))
    );
    assert_eq!(world.next("other"), at("2026-06-02T22:00:00Z"));
}

#[tokio::test]
async fn nothing_is_sent_after_the_end() {
    for by_drop in [false, true] {
        let mut world = World::at("2026-06-01T12:00:30Z", &[("often", "* * * * *")]).await;
        world.beat().await;
        world.set("2026-06-01T12:01:00Z");
        if by_drop {
            drop(world.ticks);
        } else {
            world.ticks.stop().await.unwrap();
        }
        // The channel is closed, and empty.
        assert_eq!(
            timeout(Duration::from_secs(5), world.from.recv())
                .await
                .unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn the_systems_clock_beats_once_a_second() {
    let (to, mut from) = mpsc::channel(8);
    let ticks = Scheduler::start(Clock::system(), to).await.unwrap();
    let begun = Utc::now();
    for _ in 0..4 {
        assert_eq!(
            timeout(Duration::from_secs(5), from.recv()).await.unwrap(),
            Some(Tick::Beat)
        );
    }
    // Four full seconds were begun, the first maybe at once; a busy machine makes it longer, never
    // shorter.
    assert!(
        Utc::now() - begun >= TimeDelta::milliseconds(2_400),
        "{}",
        Utc::now() - begun
    );
    ticks.stop().await.unwrap();
}
