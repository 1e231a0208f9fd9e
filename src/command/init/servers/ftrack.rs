//! ftrack: its address, the user and the key, of which only what was wrong is asked for again.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{authority, authority::Authority, in_file};
use crate::{
    cli::Stop,
    command::{
        check,
        init::{
            InitArgs,
            answers::{Answers, Typed},
            questions::Asker,
            stage::Stage,
        },
    },
    config::Config,
    ftrack::{
        error::{ConnectErrorKind, FtrackError, FtrackErrorKind},
        server,
        session::Until,
    },
    run::servers::Servers as Connections,
};

/// The time limit for one question to ftrack.
const LIMIT: Duration = Duration::from_secs(30);
/// What the ftrack user is called in the documentation.
const API_USER: &str = "ldap-sync";
/// Where studios are that ftrack hosts.
const HOSTED: &str = ".ftrackapp.com";

/// What the options still answer, and what was answered last.
struct Given<'a> {
    address: Option<String>,
    login: Option<String>,
    file: Option<&'a Path>,
    /// The login to offer.
    last: String,
    /// Whether a key was refused for it.
    is_refused: bool,
}

/// Asks for ftrack, the user, and the key.
///
/// # Errors
/// Nobody can be asked about what is wrong, or a stop is requested.
pub async fn ask(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    args: &InitArgs,
) -> Result<(), Stop> {
    let mut given = Given {
        address: args.ftrack.clone(),
        login: args.api_user.clone(),
        file: args.api_key_file.as_deref(),
        last: API_USER.to_owned(),
        is_refused: false,
    };
    loop {
        if answers.ftrack.is_none() && !address(asker, stage, answers, (args, &mut given)).await? {
            continue;
        }
        if answers.api_user.is_none() {
            let question = "ftrack user as whom the API key acts";
            let login = match given.login.take() {
                Some(login) => login,
                None => asker.line(question, Some(&given.last)).await?,
            };
            given.last.clone_from(&login);
            answers.api_user = Some(login);
        }
        if answers.key.is_none() {
            answers.key = key(asker, &mut given).await?;
            if answers.key.is_none() {
                answers.api_user = None;
                continue;
            }
        }
        let config = match stage.config(answers) {
            Ok(config) => config,
            Err(said) => {
                asker.again(Stop::usage(&said))?;
                (answers.api_user, answers.key) = (None, None);
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
                asker.again(Stop::failed(&failed.said))?;
                match failed.wrong {
                    Wrong::Address => answers.ftrack = None,
                    Wrong::Authority => {
                        if !authority::ask(asker, stage, answers, args, &AUTHORITY).await? {
                            answers.ftrack = None;
                        }
                    }
                    Wrong::Login => answers.api_user = None,
                    Wrong::Key => (answers.key, given.is_refused) = (None, true),
                }
            }
        }
    }
}

/// Asks for the address, and tries it before a user and a key are asked for in vain; whether there is
/// one.
async fn address(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    (args, given): (&InitArgs, &mut Given<'_>),
) -> Result<bool, Stop> {
    let address = match given.address.take() {
        Some(address) => address,
        None => {
            let question = "Address of ftrack, such as https://studio.ftrackapp.com";
            asker.line(question, None).await?
        }
    };
    answers.ftrack = Some(whole_address(&address));
    loop {
        let (fault, is_authority) = match stage.config(answers) {
            Err(said) => (Stop::usage(&said), false),
            Ok(_) if answers.key.is_some() || given.file.is_some() => return Ok(true),
            // A key that there cannot be: ftrack refuses it, and nothing else answers like that.
            Ok(config) => match asker.unless_stopped(answered(&config)).await? {
                Ok(_) => return Ok(true),
                Err(failed) => match failed.wrong {
                    Wrong::Address => (Stop::failed(&failed.said), false),
                    Wrong::Authority => (Stop::failed(&failed.said), true),
                    Wrong::Login | Wrong::Key => return Ok(true),
                },
            },
        };
        asker.again(fault)?;
        // The same address, with another authority.
        if !is_authority || !authority::ask(asker, stage, answers, args, &AUTHORITY).await? {
            answers.ftrack = None;
            return Ok(false);
        }
    }
}

/// The authority that issued ftrack's certificate.
const AUTHORITY: Authority = Authority {
    question: "PEM file of ftrack's CA",
    answer: |answers| &mut answers.ftrack_ca_file,
    option: |args| args.ftrack_ca_file.as_deref(),
    check: |config| {
        connections(config)
            .map(drop)
            .map_err(|said| Stop::failed(&said))
    },
};

/// The key; none where another user is to be asked for.
async fn key(asker: &Asker<'_>, given: &mut Given<'_>) -> Result<Option<Typed>, Stop> {
    match given.file.take().map(in_file) {
        Some(Ok(key)) => return Ok(Some(key)),
        Some(Err(stop)) => asker.again(stop)?,
        None => {}
    }
    if std::mem::take(&mut given.is_refused) {
        let question = "Its API key again (not shown; empty: another user)";
        return Ok(asker.secret_or_nothing(question).await?.map(Typed::Now));
    }
    Ok(Some(Typed::Now(asker.secret("Its API key").await?)))
}

/// Which answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Address,
    /// What trusts its certificate.
    Authority,
    Login,
    Key,
}

/// Why ftrack does not agree.
struct Failed {
    said: String,
    wrong: Wrong,
}

/// The version of ftrack; otherwise what is wrong.
async fn answered(config: &Config) -> Result<String, Box<Failed>> {
    let mut looked_at = config.clone();
    looked_at.ftrack = check::ftrack::settings(&config.ftrack, LIMIT);
    let connections = connections(&looked_at).map_err(|said| {
        Box::new(Failed {
            said,
            wrong: Wrong::Address,
        })
    })?;
    let until = Until {
        deadline: Instant::now() + LIMIT,
        cancel: CancellationToken::new(),
    };
    let writer = connections.ftrack().writer();
    let asked = server::information(writer.reader(), &until).await;
    asked
        .map(|information| information.version)
        .map_err(|error: FtrackError| {
            Box::new(Failed {
                said: format!("{}; {}", error.what(), error.way_out()),
                wrong: wrong(&error),
            })
        })
}

/// What connects to both servers; otherwise what of the configuration it cannot use.
fn connections(config: &Config) -> Result<Connections, String> {
    Connections::new(config).map_err(|errors| {
        let said = errors
            .iter()
            .map(|error| format!("{}; {}", error.what(), error.way_out()));
        said.collect::<Vec<_>>().join("; ")
    })
}

/// ftrack says of a login that it is wrong only where the key is right.
fn wrong(error: &FtrackError) -> Wrong {
    if let FtrackErrorKind::Unreachable {
        obstacle: ConnectErrorKind::Untrusted,
        ..
    } = error.kind()
    {
        return Wrong::Authority;
    }
    if !matches!(check::ftrack::step_of(error), "key" | "permission") {
        return Wrong::Address;
    }
    if let FtrackErrorKind::Credentials(refusal) = error.kind()
        && refusal.content.contains("username is not valid")
    {
        return Wrong::Login;
    }
    Wrong::Key
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
