//! Where people are searched for: who is found there is counted at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{of_directory, pool};
use crate::{
    cli::Stop,
    command::{
        check::offline,
        init::{InitArgs, answers::Answers, questions::Asker, stage::Stage},
    },
    config::Config,
    directory::{
        self,
        greeting::{self, Greeting},
    },
};

/// The time limit for counting people.
const COUNT_LIMIT: Duration = Duration::from_secs(60);

/// Asks for the search base. One in which nobody is found is asked for again; the same answer keeps it,
/// since a directory may be empty still.
///
/// # Errors
/// Nobody can be asked about what is wrong, or a stop is requested.
pub(super) async fn ask(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    (args, greeting): (&InitArgs, &Greeting),
) -> Result<(), Stop> {
    let mut given = args.base.clone();
    let mut likely: Option<String> = None;
    let mut doubtful: Option<String> = None;
    loop {
        let base = match given.take() {
            Some(base) => base,
            None => {
                if likely.is_none() {
                    let config = stage.config(answers).map_err(|said| Stop::usage(&said))?;
                    let pool = pool(&config).map_err(|error| of_directory(&error))?;
                    let looked = greeting::likely_base(&pool, greeting);
                    likely = asker.unless_stopped(looked).await?;
                }
                let question = "Where people are searched for (DN)";
                asker.line(question, likely.as_deref()).await?
            }
        };
        let before = answers.base.replace(base.clone());
        let config = match stage.config(answers) {
            Ok(config) => config,
            Err(said) => {
                answers.base = before;
                asker.again(Stop::usage(&said))?;
                continue;
            }
        };
        let pool = pool(&config).map_err(|error| of_directory(&error))?;
        let found = greeting::find_base(&pool, &base);
        if let Err(error) = asker.unless_stopped(found).await? {
            asker.again(of_directory(&error))?;
            continue;
        }
        // Without somebody to ask, the check at the end tells it.
        if !asker.can_ask() || doubtful.as_ref() == Some(&base) {
            return Ok(());
        }
        let fault = match asker.unless_stopped(count(config)).await? {
            Ok(found @ 1..) => {
                let people = if found == 1 { "person" } else { "people" };
                asker.say(&format!("  {found} {people} found."));
                return Ok(());
            }
            Ok(0) => "nobody found there".to_owned(),
            Err(said) => format!("the people there cannot be read: {said}"),
        };
        let hint = "; name another DN, or the same again to keep it";
        asker.again(Stop::failed(&format!("{fault}{hint}")))?;
        doubtful = Some(base);
    }
}

/// How many entries the search for people finds.
async fn count(config: Config) -> Result<usize, String> {
    let (_, compiled) = offline::compile(&Arc::new(config), Utc::now());
    let work = compiled.iter().flat_map(|compiled| compiled.ldap_jobs());
    let mut found = 0;
    for (_, work) in work {
        let request = work.read_request((Instant::now() + COUNT_LIMIT).into());
        let cancel = CancellationToken::new();
        let read = directory::read(&work.pool, &request, |_, _| (), &cancel, |_| ());
        let reading = read.await.map_err(|failure| failure.error.what())?;
        found += reading.entries().len();
    }
    Ok(found)
}
