//! Reads what people carry who are to be deactivated: open tasks, running timers, projects that they
//! manage, and their API keys. All questions about some users go in one call; what a server does not
//! have or does not answer is not known, and fails no run.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    answer::{After, Page},
    error::{FtrackError, FtrackErrorKind},
    operation::Operation,
    query,
    query::Listing,
    row::{Row, of_ids, of_texts},
    server,
    session::{Reader, Until},
};
use crate::model::{
    user::EntityId,
    work::{WorkKind, WorkOfUsers},
};

/// The most users about whom is asked, far more than a limit lets be deactivated.
const MOST_USERS: usize = 1000;
/// The users in one call.
const USERS_A_CALL: usize = 40;
/// The most calls for all of them.
const MOST_CALLS: usize = 100;

/// What was found out, and what is to be said of what was not.
#[derive(Debug, Default)]
pub struct Found {
    /// By user: those about whom was asked.
    pub work: WorkOfUsers,
    /// What is not known of anybody, and why, as text.
    pub notes: Vec<String>,
}

/// Reads the work of these users; one about whom no answer came says so.
pub async fn of_users(reader: &Reader, users: &[EntityId], until: &Until) -> Found {
    let asked = users.get(..MOST_USERS).unwrap_or(users);
    let mut asking = Asking {
        reader,
        until,
        found: Found::default(),
        unknown: BTreeSet::new(),
        refused: BTreeMap::new(),
        is_schema_known: false,
        calls: 0,
    };
    let all = asked.chunks(USERS_A_CALL);
    let mut waiting: Vec<Ask> = all.map(Ask::everything).collect();
    // The first ones first.
    waiting.reverse();
    let mut failed = None;
    while let Some(ask) = waiting.pop() {
        if failed.is_none() && asking.calls >= MOST_CALLS {
            failed = Some(format!("that would take more than {MOST_CALLS} calls"));
        }
        match &failed {
            Some(why) => asking.unread(&ask, why),
            None => match asking.one(&ask).await {
                Ok(more) => waiting.extend(more),
                Err(error) => {
                    asking.unread(&ask, &error);
                    failed = Some(error);
                }
            },
        }
    }
    let beyond = Ask::everything(users.get(asked.len()..).unwrap_or_default());
    let why = format!("only {MOST_USERS} users are asked about in one run");
    asking.unread(&beyond, &why);
    if let Some(why) = failed.or_else(|| (!beyond.users.is_empty()).then_some(why)) {
        asking.found.notes.push(format!(
            "what people who are to be deactivated still have to do in ftrack could not be read of \
             everybody: {why}"
        ));
    }
    asking.found
}

/// What is asked about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Timers,
    Projects,
    Tasks,
    ApiKeys,
}

impl Question {
    const ALL: [Self; 4] = [Self::Timers, Self::Projects, Self::Tasks, Self::ApiKeys];

    fn listing(self, users: &[EntityId]) -> Listing {
        match self {
            Self::Timers => query::timers_of(users),
            Self::Projects => query::projects_managed_by(users),
            Self::Tasks => query::open_tasks_of(users),
            Self::ApiKeys => query::api_keys_of(users),
        }
    }

    /// The kind of work; none for what is none.
    fn kind(self) -> Option<WorkKind> {
        match self {
            Self::Timers => Some(WorkKind::Timers),
            Self::Projects => Some(WorkKind::Projects),
            Self::Tasks => Some(WorkKind::Tasks),
            Self::ApiKeys => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Timers => "running timers",
            Self::Projects => "managed projects",
            Self::Tasks => "open tasks",
            Self::ApiKeys => "API keys",
        }
    }
}

/// Some questions about some users.
struct Ask {
    users: Vec<EntityId>,
    questions: Vec<Question>,
}

impl Ask {
    fn everything(users: &[EntityId]) -> Self {
        Self {
            users: users.to_vec(),
            questions: Question::ALL.to_vec(),
        }
    }

    /// One of the questions, about the same users.
    fn about(&self, question: Question) -> Self {
        Self {
            users: self.users.clone(),
            questions: vec![question],
        }
    }
}

struct Asking<'a> {
    reader: &'a Reader,
    until: &'a Until,
    found: Found,
    /// What this server does not have.
    unknown: BTreeSet<Question>,
    /// What it refuses to answer, and its words.
    refused: BTreeMap<Question, String>,
    /// Whether it was asked what the server has.
    is_schema_known: bool,
    calls: usize,
}

impl Asking<'_> {
    /// Asks some questions in one call; returns those that remain, or why nothing else is asked.
    async fn one(&mut self, ask: &Ask) -> Result<Vec<Ask>, String> {
        let mut questions = ask.questions.clone();
        questions.retain(|question| !self.unknown.contains(question));
        for (question, why) in self.refused.clone() {
            if questions.contains(&question) {
                questions.retain(|asked| *asked != question);
                self.unread(&ask.about(question), &why);
            }
        }
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        self.calls += 1;
        match self.pages(&ask.users, &questions).await {
            Ok(pages) => {
                let answers = questions.into_iter().zip(pages);
                let more = answers.filter_map(|(question, (rows, is_whole))| {
                    self.answered(&ask.users, question, &rows, is_whole)
                });
                Ok(more.flatten().collect())
            }
            Err(error) if is_refused(&error) => {
                let why = error.to_string();
                Ok(self.refused(&ask.users, &questions, &why).await)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn pages(
        &self,
        users: &[EntityId],
        questions: &[Question],
    ) -> Result<Vec<(Vec<WorkRow>, bool)>, FtrackError> {
        let limit = self.reader.window().sure_rows();
        let operation = |question: &Question| {
            let listing = question.listing(users);
            Operation::query(listing.page(0, limit))
        };
        let operations: Vec<Operation> = questions.iter().map(operation).collect();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let pages = self
            .reader
            .read_as::<Page<WorkRow>>(&operations, most, self.until)
            .await?;
        let pages = pages.into_iter().map(|page| {
            let (rows, after, _) = page.rows()?;
            let is_whole = after == After::End || rows.is_empty();
            Ok((rows, is_whole))
        });
        let pages: Result<Vec<_>, FtrackErrorKind> = pages.collect();
        pages.map_err(|trouble| self.reader.error_of("reading what people carry", trouble))
    }

    /// Counts what an answer shows; of one that is not whole, only where it is about one user.
    /// Otherwise it is asked again about fewer.
    fn answered(
        &mut self,
        users: &[EntityId],
        question: Question,
        rows: &[WorkRow],
        is_whole: bool,
    ) -> Option<[Ask; 2]> {
        if !is_whole && users.len() > 1 {
            let (left, right) = users.split_at(users.len() / 2);
            let half = |users: &[EntityId]| Ask {
                users: users.to_vec(),
                questions: vec![question],
            };
            return Some([half(right), half(left)]);
        }
        if let Some(kind) = question.kind() {
            for user in users {
                let work = self.found.work.entry(user);
                work.knows(kind);
                if !is_whole {
                    work.at_least.insert(kind);
                }
            }
        }
        let users: BTreeSet<&EntityId> = users.iter().collect();
        for row in rows {
            let mut of_row: Vec<&EntityId> = row.users(question).collect();
            of_row.sort_unstable();
            of_row.dedup();
            for user in of_row.into_iter().filter(|user| users.contains(user)) {
                let work = self.found.work.entry(user);
                match question.kind() {
                    Some(kind) => work.add(kind, row.name(kind), || row.url(kind, self.reader)),
                    None => work.add_api_key(row.identifier.as_deref()),
                }
            }
        }
        None
    }

    /// Finds out which questions the server refuses, and whether it has what they are about.
    async fn refused(&mut self, users: &[EntityId], questions: &[Question], why: &str) -> Vec<Ask> {
        let ask = |questions: Vec<Question>| Ask {
            users: users.to_vec(),
            questions,
        };
        if !std::mem::replace(&mut self.is_schema_known, true) {
            let before = self.unknown.len();
            self.look_at_schemas().await;
            if self.unknown.len() > before {
                return vec![ask(questions.to_vec())];
            }
        }
        if let [question] = questions {
            self.refused.insert(*question, why.to_owned());
            let words = question.words();
            self.found.notes.push(format!(
                "{words} of people who are to be deactivated could not be read: {why}"
            ));
            // Also for these, who are asked about no more.
            return vec![ask(vec![*question])];
        }
        let each = questions.iter().map(|question| ask(vec![*question]));
        each.rev().collect()
    }

    /// Notes what this server does not have at all.
    async fn look_at_schemas(&mut self) {
        self.calls += 1;
        // Where they cannot be read either, each question shows by itself whether it is answered.
        let Ok(schemas) = server::schemas(self.reader, self.until).await else {
            return;
        };
        for (question, lacking) in [
            (Question::Timers, schemas.lacking_for("Timer")),
            (Question::Projects, schemas.lacking_for("Project")),
            (Question::Tasks, schemas.lacking_for("Task")),
            (Question::ApiKeys, schemas.lacking_for("ApiKey")),
        ] {
            if let Some(attribute) = lacking {
                self.unknown.insert(question);
                self.found.notes.push(format!(
                    "this ftrack shows no {attribute}, so it is not known which {} people have who \
                     are to be deactivated",
                    question.words()
                ));
            }
        }
    }

    /// Notes of users that the answer to questions about them did not come, beyond what the server
    /// does not have. API keys are no work.
    fn unread(&mut self, ask: &Ask, why: &str) {
        let is_of_work = ask
            .questions
            .iter()
            .any(|question| question.kind().is_some());
        for user in ask.users.iter().filter(|_| is_of_work) {
            let work = self.found.work.entry(user);
            work.error.get_or_insert_with(|| why.to_owned());
        }
    }
}

/// Whether the server understood the call and refuses it, whatever was asked in it.
fn is_refused(error: &FtrackError) -> bool {
    matches!(
        error.kind(),
        FtrackErrorKind::Refused(_) | FtrackErrorKind::Permission(_)
    )
}

/// A task, a timer, a project or an API key.
#[derive(Debug, Deserialize)]
struct WorkRow {
    id: EntityId,
    #[serde(default)]
    name: Option<Box<str>>,
    #[serde(default)]
    full_name: Option<Box<str>>,
    #[serde(default)]
    identifier: Option<Box<str>>,
    #[serde(default)]
    project_id: Option<EntityId>,
    #[serde(default)]
    context_id: Option<EntityId>,
    #[serde(default)]
    context: Option<ContextOfRow>,
    #[serde(default)]
    user_id: Option<EntityId>,
    #[serde(default)]
    resource_id: Option<EntityId>,
    #[serde(default)]
    assignments: Option<Vec<Person>>,
    #[serde(default)]
    managers: Option<Vec<Person>>,
}

/// Where a timer runs.
#[derive(Debug, Deserialize)]
struct ContextOfRow {
    #[serde(default)]
    name: Option<Box<str>>,
    #[serde(default)]
    project_id: Option<EntityId>,
}

/// To whom something is assigned, or who manages it.
#[derive(Debug, Deserialize)]
struct Person {
    #[serde(default)]
    user_id: Option<EntityId>,
    #[serde(default)]
    resource_id: Option<EntityId>,
}

impl Row for WorkRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }

    fn size(&self) -> usize {
        let context = self.context.as_ref();
        let texts = [&self.name, &self.full_name, &self.identifier];
        let texts = texts.into_iter().flatten();
        let texts = texts.chain(context.and_then(|context| context.name.as_ref()));
        let people = [&self.assignments, &self.managers];
        let people = || people.into_iter().flatten().flatten();
        let ids = [
            &self.project_id,
            &self.context_id,
            &self.user_id,
            &self.resource_id,
        ];
        let ids = ids.into_iter().flatten();
        let ids = ids.chain(context.and_then(|context| context.project_id.as_ref()));
        let ids = ids.chain(people().flat_map(Person::ids));
        size_of::<Self>()
            + size_of::<Person>() * people().count()
            + of_texts(texts)
            + of_ids(ids.chain([&self.id]))
    }
}

impl Person {
    fn ids(&self) -> impl Iterator<Item = &EntityId> {
        self.user_id.iter().chain(&self.resource_id)
    }
}

impl WorkRow {
    /// Whose it is.
    fn users(&self, question: Question) -> impl Iterator<Item = &EntityId> {
        let (own, people) = match question {
            Question::Timers => (&self.user_id, None),
            Question::ApiKeys => (&self.resource_id, None),
            Question::Projects => (&None, self.managers.as_ref()),
            Question::Tasks => (&None, self.assignments.as_ref()),
        };
        let people = people.into_iter().flatten().flat_map(Person::ids);
        own.iter().chain(people)
    }

    fn name(&self, kind: WorkKind) -> Option<&str> {
        let of_context = || self.context.as_ref()?.name.as_deref();
        let own = self.name.as_deref();
        let is_some_text = |name: &&str| !name.is_empty();
        match kind {
            WorkKind::Timers => own.filter(is_some_text).or_else(of_context),
            WorkKind::Projects => self.full_name.as_deref().filter(is_some_text).or(own),
            WorkKind::Tasks => own,
        }
    }

    /// Where it is in the web interface: a task in the panel beside its project's.
    fn url(&self, kind: WorkKind, reader: &Reader) -> String {
        let server = reader.server();
        let (task, project) = match kind {
            WorkKind::Projects => {
                let id = &self.id;
                return format!("{server}/#entityId={id}&entityType=show&itemId=projects");
            }
            WorkKind::Timers => {
                let context = self.context.as_ref();
                let project = context.and_then(|context| context.project_id.as_ref());
                (self.context_id.as_ref(), project)
            }
            WorkKind::Tasks => (Some(&self.id), self.project_id.as_ref()),
        };
        let Some(task) = task else {
            // A timer may run on nothing in particular.
            return server.to_owned();
        };
        let of_project = project.map_or_else(String::new, |project| {
            format!("&entityId={project}&entityType=show")
        });
        format!(
            "{server}/#slideEntityId={task}&slideEntityType=task&view=tasks&itemId=projects{of_project}"
        )
    }
}
