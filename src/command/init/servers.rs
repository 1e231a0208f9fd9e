//! What is asked about the two servers, each answer tried at once.

mod account;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    InitArgs,
    answers::{Answers, Servers, Typed, absolute},
    questions::Asker,
    stage::Stage,
};
use crate::{
    cli::Stop,
    command::check,
    config::{Config, Credential},
    directory::{
        DirectoryError, DirectoryPool,
        greeting::{self, Greeting},
        srv,
    },
    ftrack::{error::FtrackError, server, session::Until},
    model::server_kind::ServerKind,
    run::servers::Servers as Connections,
};

/// The name of the directory in the configuration that is written.
const DIRECTORY: &str = "studio";
/// The time limit for one question to ftrack.
const FTRACK_LIMIT: Duration = Duration::from_secs(30);
/// What the ftrack user is called in the documentation.
const API_USER: &str = "ldap-sync";
/// Where studios are that ftrack hosts.
const HOSTED: &str = ".ftrackapp.com";

/// Asks for the directory, its kind, the account, and where people are.
///
/// # Errors
/// Nobody can be asked about what is wrong, or a stop is requested.
pub async fn ask_directory(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<(), Stop> {
    ask_servers(asker, stage, answers, args).await?;
    let mut greeting = account::ask(asker, stage, answers, args).await?;
    greeting.kind = ask_kind(asker, &greeting, args).await?;
    answers.kind = greeting.kind;
    ask_base(asker, stage, answers, (args, &greeting)).await
}

/// The servers: reached, and asked about themselves as nobody.
async fn ask_servers(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<(), Stop> {
    let mut given = (!args.server.is_empty()).then(|| args.server.clone());
    let mut last: Option<String> = None;
    loop {
        let texts = match given.take() {
            Some(texts) => texts,
            None => {
                if last.is_none() {
                    last = asker.unless_stopped(srv::of_this_machine()).await?;
                }
                let question = "Directory server: a URL such as ldaps://ldap1.studio.test, a host, or \
                                a domain whose DNS names its servers; several with commas";
                let answer = asker.line(question, last.as_deref()).await?;
                let texts = answer
                    .split(',')
                    .map(|text| text.trim().to_owned())
                    .collect();
                last = Some(answer);
                texts
            }
        };
        match asker.unless_stopped(servers(&texts)).await? {
            Ok(servers) => answers.servers = servers,
            Err(said) => {
                asker.again(Stop::usage(&said))?;
                continue;
            }
        }
        let Some(config) = configured(asker, stage, answers)? else {
            continue;
        };
        match asker.unless_stopped(greeted(&config)).await? {
            Ok(greeting) => {
                let vendor = greeting
                    .vendor
                    .as_deref()
                    .unwrap_or("a server that does not say what it is");
                asker.say(&format!("  {} answers: {vendor}.", greeting.server));
                return Ok(());
            }
            // It says nothing to nobody; whether it is a directory, the account will show.
            Err(error)
                if error.is_refusal() || matches!(error, DirectoryError::BindRefused { .. }) =>
            {
                return Ok(());
            }
            Err(error) => asker.again(of_directory(&error))?,
        }
    }
}

/// The configuration that the answers make; none where one of them is to be asked for again.
fn configured(asker: &Asker<'_>, stage: &Stage, answers: &Answers) -> Result<Option<Config>, Stop> {
    match stage.config(answers) {
        Ok(config) => Ok(Some(config)),
        Err(said) => asker.again(Stop::usage(&said)).map(|()| None),
    }
}

async fn greeted(config: &Config) -> Result<Greeting, DirectoryError> {
    greeting::greet(&pool(config)?).await
}

/// The servers that a text names.
async fn servers(texts: &[String]) -> Result<Servers, String> {
    if let [one] = texts
        && !one.contains("://")
        && srv::names_servers(one).await
    {
        return Ok(Servers::Domain(one.clone()));
    }
    let urls = texts.iter().map(|text| {
        let whole = if text.contains("://") {
            text.clone()
        } else {
            format!("ldaps://{text}")
        };
        Url::parse(&whole).map_err(|error| format!("{text:?} is not an address: {error}"))
    });
    urls.collect::<Result<_, _>>().map(Servers::Urls)
}

async fn ask_kind(
    asker: &Asker<'_>,
    greeting: &Greeting,
    args: &InitArgs,
) -> Result<ServerKind, Stop> {
    if let Some(kind) = args.kind {
        return Ok(kind);
    }
    if !asker.can_ask() {
        return Ok(greeting.kind);
    }
    let names: Vec<&str> = ServerKind::ALL.iter().map(|kind| kind.name()).collect();
    let question = format!("Kind of directory ({})", names.join(", "));
    loop {
        let answer = asker.line(&question, Some(greeting.kind.name())).await?;
        match ServerKind::named(&answer) {
            Some(kind) => return Ok(kind),
            None => asker.again(Stop::usage(&format!("{answer:?} is no kind of directory")))?,
        }
    }
}

/// A secret in a file that exists.
fn in_file(file: &Path) -> Result<Typed, Stop> {
    let file = absolute(file);
    match Credential::of_file(&file) {
        Ok(_) => Ok(Typed::InFile(file)),
        Err(unreadable) => Err(Stop::usage(&unreadable)),
    }
}

/// Where people are.
async fn ask_base(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    (args, greeting): (&InitArgs, &Greeting),
) -> Result<(), Stop> {
    let mut given = args.base.clone();
    let mut likely: Option<String> = None;
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
        match asker.unless_stopped(found).await? {
            Ok(()) => return Ok(()),
            Err(error) => asker.again(of_directory(&error))?,
        }
    }
}

fn pool(config: &Config) -> Result<DirectoryPool, DirectoryError> {
    match config.directories.get(DIRECTORY) {
        Some(directory) => DirectoryPool::new(DIRECTORY, directory),
        None => Err(DirectoryError::Settings {
            directory: DIRECTORY.into(),
            reason: "it is not in the configuration".into(),
        }),
    }
}

fn of_directory(error: &DirectoryError) -> Stop {
    let (what, way_out) = (error.what(), error.general_way_out());
    Stop::failed(&format!("{what}; {way_out}"))
}

/// Asks for ftrack, the user, and the key.
///
/// # Errors
/// Nobody can be asked about what is wrong, or a stop is requested.
pub async fn ask_ftrack(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<(), Stop> {
    let mut given = args.ftrack.clone();
    let mut given_user = args.api_user.clone();
    let mut given_file = args.api_key_file.as_deref();
    let mut user: Option<String> = None;
    let mut wants_key = true;
    loop {
        if answers.ftrack.is_none() {
            let address = match given.take() {
                Some(address) => address,
                None => {
                    let question = "Address of ftrack, such as https://studio.ftrackapp.com";
                    asker.line(question, None).await?
                }
            };
            answers.ftrack = Some(whole_address(&address));
            // Before a key is asked for that would be in vain.
            if let Err(said) = stage.config(answers) {
                answers.ftrack = None;
                asker.again(Stop::usage(&said))?;
                continue;
            }
        }
        if wants_key {
            let login = match given_user.take() {
                Some(login) => login,
                None => {
                    let question = "ftrack user as whom the API key acts";
                    asker
                        .line(question, Some(user.as_deref().unwrap_or(API_USER)))
                        .await?
                }
            };
            user = Some(login.clone());
            answers.api_user = Some(login);
            match given_file.take().map(in_file) {
                Some(Ok(key)) => answers.key = Some(key),
                Some(Err(stop)) => {
                    asker.again(stop)?;
                    given_user = user.clone();
                    continue;
                }
                None => answers.key = Some(Typed::Now(asker.secret("Its API key").await?)),
            }
            wants_key = false;
        }
        let config = match stage.config(answers) {
            Ok(config) => config,
            Err(said) => {
                asker.again(Stop::usage(&said))?;
                wants_key = true;
                continue;
            }
        };
        match asker.unless_stopped(answered(&config)).await? {
            Ok(version) => {
                asker.say(&format!(
                    "  ftrack {version} answers, and the key is accepted."
                ));
                return Ok(());
            }
            Err(failed) => {
                let (what, is_of_key) = *failed;
                asker.again(Stop::failed(&what))?;
                if is_of_key {
                    wants_key = true;
                } else {
                    answers.ftrack = None;
                }
            }
        }
    }
}

/// The version of ftrack; otherwise what is wrong, and whether the key is.
async fn answered(config: &Config) -> Result<String, Box<(String, bool)>> {
    let mut looked_at = config.clone();
    looked_at.ftrack = check::ftrack::settings(&config.ftrack, FTRACK_LIMIT);
    let connections = Connections::new(&looked_at).map_err(|error| {
        let said = error
            .iter()
            .map(|error| format!("{}; {}", error.what(), error.way_out()));
        Box::new((said.collect::<Vec<_>>().join("; "), false))
    })?;
    let until = Until {
        deadline: Instant::now() + FTRACK_LIMIT,
        cancel: CancellationToken::new(),
    };
    let writer = connections.ftrack().writer();
    let asked = server::information(writer.reader(), &until).await;
    asked
        .map(|information| information.version)
        .map_err(|error: FtrackError| {
            let is_of_key = matches!(check::ftrack::step_of(&error), "key" | "permission");
            Box::new((format!("{}; {}", error.what(), error.way_out()), is_of_key))
        })
}

/// An address with its scheme; the name of a hosted studio alone is one.
fn whole_address(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.contains("://") {
        text.to_owned()
    } else if text.contains(['.', ':']) {
        format!("https://{text}")
    } else {
        format!("https://{text}{HOSTED}")
    }
}
