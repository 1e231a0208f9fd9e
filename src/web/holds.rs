//! What waits for a person, with approval and rejection.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use serde_json::Value;

use super::{
    Site,
    answer::Answer,
    form::{Fields, query},
    history::zone_of,
    overview::{SOON, run_href},
    render::Frame,
    underway::{About, Begun, End},
    visitor::Visitor,
};
use crate::{
    daemon::status::Status,
    model::{
        change::{Action, HeldBy},
        hold_number::HoldNumber,
        open_hold::{Became, HeldPerson, HoldHead},
        readable_time::readable_time,
        shown_edit::ShownEdit,
        way_to_approve::{in_hold, on_page},
    },
    run::text,
    state::files::StateError,
};

/// How many people of a hold a page shows.
pub(super) const PEOPLE: usize = 500;

/// How many holds that ended are listed.
const ENDED: usize = 50;

/// A hold in a list.
#[derive(Debug, Serialize)]
struct ShownHold {
    hold: u64,
    href: String,
    job: String,
    kind: &'static str,
    changes: usize,
    held_by: &'static str,
    since: String,
    runs: usize,
    why: String,
    /// When it opens by itself; empty where it does not.
    opens: String,
    /// How and when it ended; empty while it is open.
    ended: String,
}

#[derive(Debug, Serialize)]
struct Holds {
    holds: Vec<ShownHold>,
    ended: Vec<ShownHold>,
}

/// One value of somebody.
#[derive(Debug, Serialize)]
struct Edit {
    name: String,
    old: String,
    new: String,
}

#[derive(Debug, Serialize)]
struct Person {
    /// By which the form names the person.
    id: String,
    username: String,
    href: String,
    about: Vec<String>,
    action: &'static str,
    edits: Vec<Edit>,
    reasons: Vec<String>,
    became: &'static str,
}

#[derive(Debug, Serialize)]
struct HoldPage {
    hold: ShownHold,
    people: Vec<Person>,
    people_all: usize,
    /// How many of them are on other pages.
    elsewhere: usize,
    /// The digest of all of them, by which an approval of all says what was seen; empty where all are on
    /// this page.
    seen: String,
    /// The place of the first one that is shown, from 1 on.
    first: usize,
    /// The pages with those before and after; empty where there are none.
    before: String,
    after: String,
    /// Whether a person can decide about it.
    is_open: bool,
    can_be_approved: bool,
    /// What goes on, or came of it; empty where nobody approved it here.
    said: String,
    said_class: &'static str,
    said_href: String,
}

/// `GET /holds`
pub(super) async fn list(State(site): State<Arc<Site>>, visitor: Visitor) -> Answer {
    let visitor = visitor.reader(&site)?;
    let state = Arc::clone(&site.http.state);
    let read = move || Ok((state.open_hold_heads()?, state.ended_hold_heads(ENDED)?));
    let read: Result<_, StateError> = site.look(&visitor, read).await?;
    let (open, ended) = read.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let status = site.http.commands.status();
    let shown = |heads: Vec<HoldHead>| {
        let heads = heads.into_iter();
        heads.map(|head| ShownHold::of(head, &status)).collect()
    };
    let content = Holds {
        holds: shown(open),
        ended: shown(ended),
    };
    let frame = Frame {
        template: "holds.html",
        title: "Holds".to_owned(),
        part: "holds",
        refresh: None,
    };
    site.page(&visitor, frame, content).await
}

/// `GET /holds/N`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(hold): Path<String>,
    RawQuery(asked): RawQuery,
) -> Answer {
    let visitor = visitor.reader(&site)?;
    let page = Fields::of_query(asked.as_deref()).page();
    let missing = "There is no such hold, or it ended long ago.";
    let number: Result<HoldNumber, _> = hold.parse();
    let number = number.map_err(|_| site.missing(&visitor, missing))?;
    let state = Arc::clone(&site.http.state);
    let first = (page - 1).saturating_mul(PEOPLE);
    let read = move || {
        let read = state.hold_with_people(number, (first, PEOPLE))?;
        let is_part = |(head, people): &(HoldHead, Vec<HeldPerson>)| people.len() < head.people;
        let seen = match read.as_ref().is_some_and(is_part) {
            true => state.hold_content(number)?.digest,
            false => String::new(),
        };
        Ok(read.map(|(head, people)| (head, people, seen)))
    };
    let read: Result<_, StateError> = site.look(&visitor, read).await?;
    let read = read.map_err(|error| site.broken(&visitor, &error.to_string()))?;
    let Some((head, people, seen)) = read else {
        return Err(site.missing(&visitor, missing));
    };
    let begun = site.underway.of(&About::Approval(number));
    let (said, said_class, said_href) = said(begun);
    let is_under_way = said_class == "busy";
    let people = people.iter().map(|person| Person::of(person, &head.of.job));
    let people: Vec<Person> = people.collect();
    let link = |is_there: bool, page: usize| {
        let to = query(&[("page", &page.to_string())]);
        if is_there {
            format!("holds/{number}?{to}")
        } else {
            String::new()
        }
    };
    let content = HoldPage {
        first: first.saturating_add(1),
        before: link(page > 1, page.saturating_sub(1)),
        after: link(
            first.saturating_add(people.len()) < head.people && !people.is_empty(),
            page + 1,
        ),
        elsewhere: head.people.saturating_sub(people.len()),
        seen,
        people,
        people_all: head.people,
        is_open: head.of.ended.is_none() && !is_under_way,
        can_be_approved: head.of.held_by != HeldBy::Administrator,
        hold: ShownHold {
            why: on_page(&head.of.why),
            ..ShownHold::of(head, &site.http.commands.status())
        },
        said,
        said_class,
        said_href,
    };
    let frame = Frame {
        template: "hold.html",
        title: format!("Hold {number}"),
        part: "holds",
        refresh: is_under_way.then_some(SOON),
    };
    site.page(&visitor, frame, content).await
}

/// What goes on, or came of an approval, with its class and the page about it.
fn said(begun: Option<Begun>) -> (String, &'static str, String) {
    let Some(Begun { by, end, .. }) = begun else {
        return (String::new(), "", String::new());
    };
    match end {
        None => (
            format!("{by} approved it: it is being written."),
            "busy",
            String::new(),
        ),
        Some(End::Reported { job, run, outcome }) => (
            format!("{by} approved it: {outcome}, run {run}."),
            if outcome == "failed" {
                "trouble"
            } else {
                "calm"
            },
            run_href(&job, &run),
        ),
        Some(End::Unreported(error)) => (
            format!("{by} approved it, and it was not written: {error}"),
            "trouble",
            String::new(),
        ),
    }
}

impl ShownHold {
    fn of(HoldHead { of: hold, people }: HoldHead, status: &Status) -> Self {
        let zone = zone_of(status, Some(&hold.job));
        let at = |time| readable_time(time, &zone);
        let ended = hold.ended.as_ref().map(|ended| {
            let how = ended.in_words(people);
            format!("{how}, at {}", at(ended.at))
        });
        Self {
            hold: hold.hold.get(),
            href: format!("holds/{}", hold.hold),
            kind: hold.kind.as_str(),
            changes: people,
            held_by: hold.held_by.as_str(),
            since: at(hold.since),
            runs: hold.runs,
            opens: hold.opens_at.map(at).unwrap_or_default(),
            ended: ended.unwrap_or_default(),
            job: hold.job,
            why: in_hold(&hold.why, hold.hold),
        }
    }
}

impl Person {
    fn of(person: &HeldPerson, job: &str) -> Self {
        let about = [&person.name, &person.email, &person.dn];
        let mut reasons = vec![person.reason.clone()];
        reasons.extend(person.work.iter().flat_map(|work| text::work(work)));
        let who = query(&[("job", job), ("who", &person.username)]);
        Self {
            id: person.ftrack_id.to_string(),
            username: person.username.clone(),
            href: format!("person?{who}"),
            about: about.into_iter().flatten().cloned().collect(),
            action: person.action.as_str(),
            edits: person
                .edits
                .iter()
                .map(|edit| Edit::of(person.action, edit))
                .collect(),
            reasons,
            became: person.became.map_or("", Became::in_words),
        }
    }
}

impl Edit {
    fn of(action: Action, edit: &ShownEdit) -> Self {
        let of = |name: String, old: &str, new: &str| Self {
            name,
            old: old.to_owned(),
            new: new.to_owned(),
        };
        let role = |role: &str, project: &Option<String>| match project {
            Some(project) => format!("role {role} in the project {project}"),
            None => format!("role {role}"),
        };
        match edit {
            ShownEdit::Set { attribute, values } => {
                of(attribute.name(), &value(&values.old), &value(&values.new))
            }
            ShownEdit::Activate => {
                let old = if action == Action::Create {
                    ""
                } else {
                    "false"
                };
                of("is_active".to_owned(), old, "true")
            }
            ShownEdit::Deactivate => of("is_active".to_owned(), "true", "false"),
            ShownEdit::Grant {
                role: name,
                project,
            } => of(role(name, project), "", "given"),
            ShownEdit::Revoke {
                role: name,
                project,
            } => of(role(name, project), "given", ""),
            ShownEdit::Join { group } => of(format!("group {group}"), "", "member"),
            ShownEdit::Leave { group } => of(format!("group {group}"), "member", ""),
            ShownEdit::Link => of("the user's link".to_owned(), "", "written"),
        }
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
