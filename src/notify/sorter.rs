//! Finds out what is new in each run that has ended, and gives messages about it to the tasks of
//! their receivers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use tokio::sync::{mpsc, watch};

use super::{
    Post, Program,
    deliver::Limits,
    digest::Digest,
    digests::Digests,
    ended::Ended,
    line::Line,
    message::{About, Message},
    occasions,
    outbox::{Outbox, STATE_LIMIT, Waiting},
    receiver::{Receiver, ReceiverKind},
    receivers,
};
use crate::{
    config::{Config, Job, Notifications},
    event::notification::Became,
    model::{
        occasion::Occasion,
        stored_message::{MessageMark, UntoldRun},
    },
    state::history::History,
};

/// What happened to a job.
#[derive(Debug)]
pub enum JobEvent {
    /// A run ended.
    Ended(Box<Ended>),
    /// A run ended without a report.
    Broken { job: String, error: String },
}

/// How long it is at most until it is looked whether a digest is due: the clock may be set.
const LOOK: Duration = Duration::from_secs(30);

/// For how long after its end a run that was not told is told by the next program.
const NEWS_FOR: TimeDelta = TimeDelta::days(1);

/// After how long a message that was not taken is tried again, though its job did not run.
const AGAIN: Duration = Duration::from_secs(3600);

/// Finds out what is new.
pub struct Sorter {
    current: watch::Receiver<Arc<Config>>,
    program: Program,
    post: Post,
    /// What wakes the tasks of the receivers that have got something.
    lines: BTreeMap<(String, ReceiverKind), mpsc::Sender<()>>,
    outbox: Outbox,
    /// The jobs whose last run ended without a report, which is told: those of which the state could not
    /// be written.
    broken: BTreeSet<String>,
    digests: Digests,
}

impl Sorter {
    pub fn new(
        current: watch::Receiver<Arc<Config>>,
        program: Program,
        (outbox, post): (Outbox, Post),
    ) -> Self {
        Self {
            current,
            program,
            post,
            lines: BTreeMap::new(),
            outbox,
            broken: BTreeSet::new(),
            digests: Digests::default(),
        }
    }

    /// Works until nobody tells anything any more.
    pub async fn run(mut self, mut told: mpsc::Receiver<JobEvent>) {
        // One that has gone says no more, and what it said last counts.
        let mut has_config = true;
        let closing = self.post.closing.clone();
        if self.program == Program::Daemon {
            self.begin().await;
        }
        loop {
            let wake = self.digests.next(&self.config()).min(LOOK);
            tokio::select! {
                biased;
                () = self.post.stop.cancelled() => break,
                () = closing.cancelled(), if !told.is_closed() => told.close(),
                changed = self.current.changed(), if has_config => {
                    has_config = changed.is_ok();
                    // Those that are in use end with what they are at.
                    self.lines.clear();
                    self.try_again(None, Duration::ZERO).await;
                }
                told = told.recv() => match told {
                    Some(JobEvent::Ended(ended)) => self.ended(*ended).await,
                    Some(JobEvent::Broken { job, error }) => self.broken(&job, &error).await,
                    None => break,
                },
                () = tokio::time::sleep(wake), if self.program == Program::Daemon => {
                    self.make_digests().await;
                    self.try_again(None, AGAIN).await;
                }
            }
        }
        // What was told and is still here is not delivered any more.
        while let Ok(left) = told.try_recv() {
            let (job, run) = match &left {
                JobEvent::Ended(ended) => (&ended.summary.job, Some(ended.summary.run.as_str())),
                JobEvent::Broken { job, error: _ } => (job, None),
            };
            let config = self.config();
            let of_job = config.jobs.get(job);
            for kind in of_job
                .into_iter()
                .flat_map(|of| receivers(&of.notifications))
            {
                let error = "the program ended before it was delivered";
                self.post
                    .became((job, run), kind, "", Became::Dropped { error });
            }
        }
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.current.borrow())
    }

    /// Goes on where an earlier program ended.
    async fn begin(&mut self) {
        self.outbox.load(None).await;
        self.digests = Digests::load(&self.outbox).await;
        self.make_digests().await;
        self.tell_untold().await;
        self.try_again(None, Duration::ZERO).await;
    }

    /// Tells of the runs that ended and of which an earlier program, which was killed, told nobody;
    /// those that ended long ago are news for nobody.
    async fn tell_untold(&mut self) {
        for UntoldRun { job, run, at } in self.outbox.untold_runs().await {
            let history = History::new(&self.config().state_dir);
            let is_news = Utc::now().signed_duration_since(at) <= NEWS_FOR;
            let (of, name) = (job.clone(), run.clone());
            let read = move || history.load(&of, &name).ok();
            let report = tokio::task::spawn_blocking(read).await.ok().flatten();
            match report.filter(|_| is_news) {
                Some(report) => self.ended(Ended::of(&report)).await,
                None => self.outbox.run_is_told(&job, &run).await,
            }
        }
    }

    /// Has messages delivered that were not taken: those of this job, and all after so long.
    async fn try_again(&mut self, job: Option<&str>, after: Duration) {
        let config = self.config();
        let has_receiver = |job: &str, kind: ReceiverKind| {
            let of_job = config.jobs.get(job);
            of_job.is_some_and(|job| kind.is_of(&job.notifications))
        };
        let useless = self.outbox.clear_out(Utc::now(), has_receiver).await;
        for (waiting, error) in useless {
            self.dropped(&waiting, error);
        }
        self.outbox.try_again(job, after);
        self.deliver();
    }

    fn dropped(&self, waiting: &Waiting, error: &str) {
        let message = &waiting.message;
        let of = (message.job.as_str(), message.run.as_deref());
        let occasions = message.occasions.join(",");
        self.post
            .became(of, waiting.kind, &occasions, Became::Dropped { error });
    }

    async fn ended(&mut self, ended: Ended) {
        let config = self.config();
        let name = ended.summary.job.clone();
        let Some(job) = config.jobs.get(&name) else {
            self.outbox.run_is_told(&name, &ended.summary.run).await;
            return;
        };
        // A running daemon delivers what commands could not.
        let of = match self.program {
            Program::Daemon => Some(None),
            Program::Command if has_daemon(&config).await => None,
            Program::Command => Some(Some(name.as_str())),
        };
        if let Some(of) = of {
            self.outbox.load(of).await;
            self.try_again(Some(&name), AGAIN).await;
        }
        let is_counted = occasions::counts(&ended.summary);
        let was_broken = is_counted && self.broken.remove(&name);
        let (folder, run) = (config.state_dir.clone(), ended.summary.run.clone());
        let (state, of) = (self.outbox.state().cloned(), name.clone());
        let is_alive = occasions::is_alive(&ended.summary);
        let read = move || {
            let told =
                state.is_some_and(|state| state.has_failure_message(&of).unwrap_or_default());
            let mut before = occasions::before(&folder, &of, Some(&ended));
            before.failed |= was_broken || told;
            let waiting = occasions::waiting(&folder, &ended);
            (ended, before, waiting, told)
        };
        if let Some((ended, before, waiting, told)) = self.read(&name, Some(&run), job, read).await
        {
            let mark = (is_counted && told).then(|| MessageMark::Reported { job: name.clone() });
            let mut new = occasions::of_run(&ended, &before, !waiting.is_empty());
            new.retain(|occasion| job.notifications.on.contains(occasion));
            if !new.is_empty() {
                let message = self.about(&name, job).run(&ended, &before, &waiting, &new);
                self.tell(job, message, mark).await;
            } else if let Some(mark) = mark {
                self.outbox.remember(mark).await;
            }
            self.outbox.run_is_told(&name, &run).await;
        }
        if is_alive && job.notifications.alive.is_some() {
            let message = Arc::new(self.about(&name, job).alive(&run));
            self.hand(vec![ReceiverKind::Alive], &message, None).await;
        }
    }

    async fn broken(&mut self, name: &str, error: &str) {
        let config = self.config();
        let Some(job) = config.jobs.get(name) else {
            return;
        };
        if self.broken.contains(name) {
            return;
        }
        let (folder, of) = (config.state_dir.clone(), name.to_owned());
        let state = self.outbox.state().cloned();
        let read = move || {
            let told =
                state.is_some_and(|state| state.has_failure_message(&of).unwrap_or_default());
            (occasions::before(&folder, &of, None), told)
        };
        let (failed_before, told) = match self.read(name, None, job, read).await {
            Some((before, told)) => (before.failed, told),
            None => (false, false),
        };
        if told {
            return;
        }
        let (job_name, at) = (name.to_owned(), Utc::now());
        let mark = MessageMark::Failed { job: job_name, at };
        let is_remembered = if !failed_before && job.notifications.on.contains(&Occasion::Failed) {
            let message = self.about(name, job).broken(error, at);
            self.tell(job, message, Some(mark)).await
        } else {
            self.outbox.remember(mark).await
        };
        if !is_remembered {
            self.broken.insert(name.to_owned());
        }
    }

    /// What the state says, read beside everything else; what takes too long is dropped.
    async fn read<T: Send + 'static>(
        &self,
        name: &str,
        run: Option<&str>,
        job: &Job,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let reading = tokio::task::spawn_blocking(read);
        if let Ok(Ok(read)) = tokio::time::timeout(STATE_LIMIT, reading).await {
            return Some(read);
        }
        let told = receivers(&job.notifications).filter(|kind| kind.is_for_people());
        for kind in told {
            let error = "the state directory could not be read in time";
            self.post
                .became((name, run), kind, "", Became::Dropped { error });
        }
        None
    }

    fn about<'a>(&'a self, name: &'a str, job: &'a Job) -> About<'a> {
        About {
            job: name,
            host: &self.post.host,
            page_url: job.notifications.page_url.as_ref(),
        }
    }

    /// Gives a message to all who are told about its job.
    async fn tell(&mut self, job: &Job, message: Message, mark: Option<MessageMark>) -> bool {
        let told = receivers(&job.notifications).filter(|kind| kind.is_for_people());
        self.hand(told.collect(), &Arc::new(message), mark).await
    }

    /// Gives a message to the tasks of its receivers, for which too many may wait already; whether what
    /// is to be remembered of it is saved.
    async fn hand(
        &mut self,
        kinds: Vec<ReceiverKind>,
        message: &Arc<Message>,
        mark: Option<MessageMark>,
    ) -> bool {
        let (gone, is_remembered) = self.outbox.add(kinds, message, mark).await;
        for gone in gone {
            self.dropped(&gone, "too many newer messages wait for its receiver");
        }
        self.deliver();
        is_remembered
    }

    /// Wakes the tasks of the receivers for which there is something.
    fn deliver(&mut self) {
        let config = self.config();
        // One that broke down gets a successor.
        let outbox = self.outbox.clone();
        self.lines.retain(|key, line| {
            if line.is_closed() {
                outbox.reset(key);
            }
            !line.is_closed()
        });
        for key in self.outbox.due() {
            if !self.lines.contains_key(&key)
                && let Some(job) = config.jobs.get(&key.0)
                && let Some(line) = self.line(&key, &job.notifications)
            {
                self.lines.insert(key.clone(), line);
            }
            if let Some(line) = self.lines.get(&key) {
                // One that is woken already looks for all that there is.
                let _ = line.try_send(());
            }
        }
    }

    fn line(&self, key: &(String, ReceiverKind), job: &Notifications) -> Option<mpsc::Sender<()>> {
        let (name, kind) = key;
        let receiver = Receiver::of(*kind, job, &self.post.host)?;
        let (wake, woken) = mpsc::channel(1);
        let line = Line {
            job: name.clone(),
            kind: *kind,
            receiver,
            limits: Limits {
                time: job.time_limit,
                attempts: job.attempts,
            },
            outbox: self.outbox.clone(),
            post: self.post.clone(),
        };
        self.post.tasks.spawn(line.run(woken));
        Some(wake)
    }

    /// Sends the digests that have become due, also while no daemon ran.
    async fn make_digests(&mut self) {
        let now = Utc::now();
        let config = self.config();
        for (name, mark) in self.digests.due(&config, now, &self.outbox).await {
            let Some(job) = config.jobs.get(&name) else {
                continue;
            };
            let (folder, of): (PathBuf, String) = (config.state_dir.clone(), name.clone());
            let read = move || {
                let open = occasions::open_holds(&folder, &of);
                (Digest::of(&folder, &of, now), open)
            };
            if let Some((digest, open)) = self.read(&name, None, job, read).await {
                let message = self.about(&name, job).digest(digest, &open);
                self.tell(job, message, Some(mark)).await;
            }
        }
    }
}

/// Whether a daemon answers at the control socket of a configuration.
async fn has_daemon(config: &Config) -> bool {
    let connected = tokio::net::UnixStream::connect(&config.control_socket);
    let connected = tokio::time::timeout(Duration::from_secs(1), connected).await;
    matches!(connected, Ok(Ok(_)))
}
