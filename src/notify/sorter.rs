//! Finds out what is new in each run that has ended, and gives messages about it to the tasks of
//! their receivers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, mpsc::error::TrySendError, watch};

use super::{
    Post, Program,
    deliver::Limits,
    digest::Digest,
    ended::Ended,
    line,
    message::{About, Message},
    occasions,
    receiver::{Receiver, ReceiverKind},
    receivers,
    undelivered::Undelivered,
};
use crate::{
    config::{Config, Job, Notifications, schedule::Schedule},
    event::notification::Became,
    model::occasion::Occasion,
};

/// What happened to a job.
#[derive(Debug)]
pub enum JobEvent {
    /// A run ended.
    Ended(Box<Ended>),
    /// A run ended without a report.
    Broken { job: String, error: String },
}

/// How long the state may take to be read; a disk may never answer.
const READING: Duration = Duration::from_secs(30);

/// How long it is at most until it is looked whether a digest is due: the clock may be set.
const LOOK: Duration = Duration::from_secs(30);

/// Finds out what is new.
pub struct Sorter {
    current: watch::Receiver<Arc<Config>>,
    program: Program,
    post: Post,
    /// The tasks of the receivers that have got something.
    lines: BTreeMap<(String, ReceiverKind), mpsc::Sender<Arc<Message>>>,
    /// What was not delivered; the next run of the job is another occasion.
    undelivered: Undelivered,
    /// The jobs whose last run ended without a report, which is told.
    broken: BTreeSet<String>,
    /// Digests that were due until then are sent.
    looked_at: DateTime<Utc>,
}

impl Sorter {
    pub fn new(current: watch::Receiver<Arc<Config>>, program: Program, post: Post) -> Self {
        Self {
            current,
            program,
            post,
            lines: BTreeMap::new(),
            undelivered: Undelivered::default(),
            broken: BTreeSet::new(),
            looked_at: Utc::now(),
        }
    }

    /// Works until nobody tells anything any more.
    pub async fn run(mut self, mut told: mpsc::Receiver<JobEvent>) {
        // One that has gone says no more, and what it said last counts.
        let mut has_config = true;
        let closing = self.post.closing.clone();
        loop {
            let wake = self.until_digest();
            tokio::select! {
                biased;
                () = self.post.stop.cancelled() => break,
                () = closing.cancelled(), if !told.is_closed() => told.close(),
                changed = self.current.changed(), if has_config => {
                    has_config = changed.is_ok();
                    // Those that are in use deliver what they have.
                    self.lines.clear();
                }
                told = told.recv() => match told {
                    Some(JobEvent::Ended(ended)) => self.ended(*ended).await,
                    Some(JobEvent::Broken { job, error }) => self.broken(&job, &error).await,
                    None => break,
                },
                () = tokio::time::sleep(wake), if self.program == Program::Daemon => {
                    self.digests().await;
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

    async fn ended(&mut self, ended: Ended) {
        let config = self.config();
        let name = ended.summary.job.clone();
        let Some(job) = config.jobs.get(&name) else {
            return;
        };
        for (kind, message) in self.undelivered.of(&name) {
            self.hand(job, kind, &message);
        }
        let was_broken = self.broken.remove(&name);
        let (folder, run) = (config.state_dir.clone(), ended.summary.run.clone());
        let is_alive = occasions::is_alive(&ended.summary);
        let read = move || {
            let mut before = occasions::before(&folder, &ended.summary.job, Some(&ended));
            before.failed |= was_broken;
            let waiting = occasions::waiting(&folder, &ended);
            (ended, before, waiting)
        };
        if let Some((ended, before, waiting)) = self.read(&name, Some(&run), job, read).await {
            let mut new = occasions::of_run(&ended, &before, !waiting.is_empty());
            new.retain(|occasion| job.notifications.on.contains(occasion));
            if !new.is_empty() {
                let message = self.about(&name, job).run(&ended, &before, &waiting, &new);
                self.tell(job, message);
            }
        }
        if is_alive && job.notifications.alive.is_some() {
            let message = self.about(&name, job).alive(&run);
            self.hand(job, ReceiverKind::Alive, &Arc::new(message));
        }
    }

    async fn broken(&mut self, name: &str, error: &str) {
        let config = self.config();
        let Some(job) = config.jobs.get(name) else {
            return;
        };
        if !self.broken.insert(name.to_owned()) {
            return;
        }
        let (folder, of) = (config.state_dir.clone(), name.to_owned());
        let read = move || occasions::before(&folder, &of, None);
        let before = self.read(name, None, job, read).await;
        let is_new = before.is_none_or(|before| !before.failed);
        if is_new && job.notifications.on.contains(&Occasion::Failed) {
            let message = self.about(name, job).broken(error, Utc::now());
            self.tell(job, message);
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
        if let Ok(Ok(read)) = tokio::time::timeout(READING, reading).await {
            return Some(read);
        }
        let told = receivers(&job.notifications).filter(|kind| kind.is_told());
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
    fn tell(&mut self, job: &Job, message: Message) {
        let message = Arc::new(message);
        for kind in receivers(&job.notifications).filter(|kind| kind.is_told()) {
            self.hand(job, kind, &message);
        }
    }

    /// Gives a message to the task of a receiver, which may have too many already.
    fn hand(&mut self, job: &Job, kind: ReceiverKind, message: &Arc<Message>) {
        let key = (message.job.clone(), kind);
        // One that broke down gets a successor.
        self.lines.retain(|_, line| !line.is_closed());
        if !self.lines.contains_key(&key)
            && let Some(line) = self.line(&job.notifications, kind)
        {
            self.lines.insert(key.clone(), line);
        }
        let Some(line) = self.lines.get(&key) else {
            return;
        };
        let error = match line.try_send(Arc::clone(message)) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many messages wait before it",
            Err(TrySendError::Closed(_)) => "what delivers it has broken down",
        };
        let of = (message.job.as_str(), message.run.as_deref());
        let occasions = message.occasions.join(",");
        self.post
            .became(of, kind, &occasions, Became::Dropped { error });
    }

    fn line(&self, job: &Notifications, kind: ReceiverKind) -> Option<mpsc::Sender<Arc<Message>>> {
        let receiver = Receiver::of(kind, job, &self.post.host)?;
        let limits = Limits {
            time: job.time_limit,
            attempts: job.attempts,
        };
        let (sender, messages) = mpsc::channel(line::WAITING);
        let work = line::run(
            receiver,
            kind,
            messages,
            (limits, self.undelivered.clone()),
            self.post.clone(),
        );
        self.post.tasks.spawn(work);
        Some(sender)
    }

    /// How long to wait until a digest may be due.
    fn until_digest(&self) -> Duration {
        let config = self.config();
        let now = Utc::now();
        let next = digest_schedules(&config).filter_map(|(_, _, schedule)| {
            let due = schedule.next_after(self.looked_at)?;
            Some((due - now).to_std().unwrap_or_default())
        });
        next.min().unwrap_or(LOOK).min(LOOK)
    }

    /// Sends the digests that have become due.
    async fn digests(&mut self) {
        let now = Utc::now();
        // The clock may have been set back.
        let since = self.looked_at.min(now);
        self.looked_at = now;
        let config = self.config();
        for (name, job, schedule) in digest_schedules(&config) {
            if !schedule.missed_since(since, now) {
                continue;
            }
            let (folder, of): (PathBuf, String) = (config.state_dir.clone(), name.to_owned());
            let read = move || {
                let open = occasions::open_holds(&folder, &of);
                (Digest::of(&folder, &of, now), open)
            };
            if let Some((digest, open)) = self.read(name, None, job, read).await {
                let message = self.about(name, job).digest(digest, &open);
                self.tell(job, message);
            }
        }
    }
}

/// The jobs of which digests are sent, and when.
fn digest_schedules(config: &Config) -> impl Iterator<Item = (&str, &Job, Schedule)> {
    let jobs = config.jobs.iter();
    let jobs = jobs.filter(|(_, job)| job.notifications.tells(Occasion::Digest));
    jobs.map(|(name, job)| {
        let expression = &job.notifications.digest_schedule;
        let schedule = Schedule::new(expression, job.timezone, Duration::ZERO, "", name);
        (name.as_str(), job, schedule)
    })
}
