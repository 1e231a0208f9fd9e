//! A message as people read it, before it gets the markup of its receiver. Its texts are text:
//! whatever a server calls somebody, each form escapes it.

use url::Url;

use super::message::Message;
use crate::{
    config::Environment,
    model::{counts::Counts, occasion::Occasion, readable_time::readable_time, report::Outcome},
};

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// One line.
    pub title: String,
    pub mood: Mood,
    pub facts: Vec<Fact>,
    pub sections: Vec<Section>,
    /// The page of the run, or else the web page.
    pub page: Option<Url>,
}

/// Whether somebody has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Nobody.
    Good,
    /// When there is time.
    Waiting,
    /// Now.
    Bad,
}

/// A text with its name, which is the program's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    pub text: String,
}

/// Some people, and what to do about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub title: String,
    pub lines: Vec<String>,
    /// How many more lines there would be.
    pub more: usize,
    /// What to run, one command each.
    pub commands: Vec<String>,
    /// Where to do it.
    pub link: Option<Url>,
}

impl Shown {
    /// A message for people.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let titles: Vec<String> = message
            .occasions
            .iter()
            .filter_map(|occasion| title(message, occasion))
            .collect();
        Self {
            title: format!("{}: {}", message.job, titles.join("; ")),
            mood: mood(message),
            facts: facts(message),
            sections: sections(message),
            page: message
                .run_url
                .as_ref()
                .or(message.page_url.as_ref())
                .cloned(),
        }
    }
}

fn mood(message: &Message) -> Mood {
    let is_about = |one: Occasion| message.occasions.iter().any(|about| about == one.as_str());
    if is_about(Occasion::Failed) {
        Mood::Bad
    } else if is_about(Occasion::Held) || is_about(Occasion::Partial) {
        Mood::Waiting
    } else {
        Mood::Good
    }
}

/// What an occasion is called.
fn title(message: &Message, occasion: &str) -> Option<String> {
    let occasion = Occasion::ALL
        .into_iter()
        .find(|one| one.as_str() == occasion);
    let held = || message.holds.iter().map(|hold| hold.changes).sum();
    let text = match occasion {
        None => "this is a test of its notifications".to_owned(),
        Some(Occasion::Failed) => "the run failed".to_owned(),
        Some(Occasion::Recovered) => "runs succeed again".to_owned(),
        Some(Occasion::Held) => match held() {
            1 => "1 change waits for a person".to_owned(),
            held => format!("{held} changes wait for a person"),
        },
        Some(Occasion::Partial) if message.alarm => {
            "ftrack's own synchronisation did more than the limits allow".to_owned()
        }
        Some(Occasion::Partial) => "not everything could be done".to_owned(),
        Some(Occasion::Changes) => done(message.counts.as_ref()?),
        Some(Occasion::Digest) => "the last 7 days".to_owned(),
    };
    Some(text)
}

/// The counts in words, without those that are 0.
fn done(counts: &Counts) -> String {
    let named = [
        (counts.created, "created"),
        (counts.adopted, "adopted"),
        (counts.updated, "updated"),
        (counts.deactivated, "deactivated"),
        (counts.reactivated, "reactivated"),
        (counts.role_changes, "roles given or taken"),
        (counts.group_changes, "memberships given or taken"),
        (counts.held, "held"),
        (counts.failed + counts.unconfirmed, "failed"),
        (counts.unsettled, "in need of a person"),
        (counts.skipped, "skipped"),
    ];
    let some = named.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = some
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if words.is_empty() {
        "nothing to do".to_owned()
    } else {
        words.join(", ")
    }
}

fn facts(message: &Message) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, text: String| facts.push(Fact { name, text });
    if let Some(error) = &message.error {
        add("error", error.clone());
    }
    let has_failed = message.outcome == Some(Outcome::Failed);
    if let Some(counts) = message.counts.as_ref().filter(|_| !has_failed) {
        add("done", done(counts));
    }
    if let Some(digest) = &message.digest {
        let runs = digest.runs.iter();
        let runs: Vec<String> = runs.map(|(how, runs)| format!("{runs} {how}")).collect();
        add(
            "runs",
            if runs.is_empty() {
                "none".to_owned()
            } else {
                runs.join(", ")
            },
        );
        add("written", done(&digest.written.counts()));
        if let Some(users) = digest.users {
            add(
                "users",
                format!("{} owned, {} of them active", users.owned, users.active),
            );
            if users.unsettled > 0 {
                add("in need of a person", users.unsettled.to_string());
            }
        }
        if let Some(error) = &digest.error {
            add("last run", format!("failed: {error}"));
        }
    }
    if let Some(at) = message.finished_at {
        add("when", readable_time(at, &chrono::Utc));
    }
    add("host", message.host.clone());
    if let Some(run) = &message.run {
        add(
            "report",
            format!("{} runs show {run}", Environment::of_process().program()),
        );
    }
    facts
}

fn sections(message: &Message) -> Vec<Section> {
    let holds = message.holds.iter().map(|hold| Section {
        title: format!(
            "hold {}: {} to {} (held by {})",
            hold.hold, hold.changes, hold.kind, hold.held_by
        ),
        lines: std::iter::once(&hold.why)
            .chain(&hold.people)
            .cloned()
            .collect(),
        more: hold.changes.saturating_sub(hold.people.len()),
        commands: vec![
            format!(
                "{} holds show {}",
                Environment::of_process().program(),
                hold.hold
            ),
            hold.command.clone(),
        ],
        link: hold.url.clone(),
    });
    let people = message.people.iter().map(|person| {
        let who = match (person.username.as_str(), &person.dn) {
            ("", Some(dn)) => dn,
            (login, _) => login,
        };
        match &person.action {
            Some(action) => format!("{who}: {action} {}: {}", person.result, person.reason),
            None => format!("{who}: {}: {}", person.result, person.reason),
        }
    });
    let people = Section {
        title: "people".to_owned(),
        lines: people.collect(),
        more: message.more_people,
        commands: Vec::new(),
        link: None,
    };
    holds
        .chain((!people.lines.is_empty()).then_some(people))
        .collect()
}
