//! What is asked about the two servers, each answer tried at once.

mod account;
mod authority;
mod base;
mod ftrack;

use std::{net::IpAddr, path::Path};

use url::Url;

use super::{
    InitArgs,
    answers::{Answers, Servers, Typed, absolute},
    questions::Asker,
    stage::Stage,
};
use crate::{
    cli::Stop,
    config::{Config, Credential, is_socket},
    directory::{
        DirectoryError, DirectoryPool,
        greeting::{self, Greeting},
        srv,
    },
    model::server_kind::ServerKind,
};

pub use ftrack::ask as ask_ftrack;

/// The name of the directory in the configuration that is written.
const DIRECTORY: &str = "studio";

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
    let kind = ask_servers(asker, stage, answers, args).await?;
    let kind = args.kind.or(kind);
    let mut greeting = account::ask(asker, stage, answers, (args, kind)).await?;
    greeting.kind = ask_kind(asker, &greeting, args).await?;
    answers.kind = greeting.kind;
    base::ask(asker, stage, answers, (args, &greeting)).await
}

/// The servers: reached, and asked about themselves as nobody; the kind, if they show it.
async fn ask_servers(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<Option<ServerKind>, Stop> {
    let mut given = (!args.server.is_empty()).then(|| args.server.clone());
    let mut last: Option<String> = None;
    loop {
        let mut answer = None;
        let texts = match given.take() {
            Some(texts) => texts,
            None => {
                if last.is_none() {
                    last = asker.unless_stopped(srv::of_this_machine()).await?;
                }
                let question = "Directory server: a URL such as ldaps://ldap1.studio.test, a host, or \
                                a domain whose DNS names its servers; several with commas";
                let typed = asker.line(question, last.as_deref()).await?;
                let texts = typed
                    .split(',')
                    .map(|text| text.trim().to_owned())
                    .collect();
                answer = Some(typed);
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
        if configured(asker, stage, answers)?.is_none() {
            continue;
        }
        // What is no address is not offered again.
        last = answer.or(last);
        if let Some(reached) = reach(asker, stage, answers, args).await? {
            return Ok(reached.kind);
        }
    }
}

/// A server that answers.
struct Reached {
    kind: Option<ServerKind>,
}

/// Asks the servers about themselves, and for an authority that they may lack; none where none answers.
async fn reach(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<Option<Reached>, Stop> {
    loop {
        let Some(config) = configured(asker, stage, answers)? else {
            return Ok(None);
        };
        match asker.unless_stopped(greeted(&config)).await? {
            Ok(greeting) => {
                let vendor = greeting
                    .vendor
                    .as_deref()
                    .unwrap_or("a server that does not say what it is");
                asker.say(&format!("  {} answers: {vendor}.", greeting.server));
                let kind = Some(greeting.kind);
                return Ok(Some(Reached { kind }));
            }
            // It says nothing to nobody; whether it is a directory, the account will show.
            Err(error)
                if error.is_refusal() || matches!(error, DirectoryError::BindRefused { .. }) =>
            {
                return Ok(Some(Reached { kind: None }));
            }
            Err(error) => {
                asker.again(of_directory(&error))?;
                let may_pass = authority::is_missing(&error)
                    && authority::ask(asker, stage, answers, args, &authority::OF_DIRECTORY)
                        .await?;
                if !may_pass {
                    return Ok(None);
                }
            }
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
        // What has a port or is an address is no domain: DNS, which may be slow, is not asked.
        && !one.contains(':')
        && one.parse::<IpAddr>().is_err()
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
        let url = Url::parse(&whole);
        let url = url.map_err(|error| format!("{text:?} is not an address: {error}"))?;
        if is_host(&url) {
            Ok(url)
        } else {
            Err(format!(
                "{text:?} is not an address: no host has such a name"
            ))
        }
    });
    urls.collect::<Result<_, _>>().map(Servers::Urls)
}

/// Whether the host of a URL may be one; that of a socket is its path.
fn is_host(url: &Url) -> bool {
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    is_socket(url) || url.host_str().is_none_or(|host| host.bytes().all(may_be))
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
