//! How the directory is entered, and as whom.

use std::path::{Path, PathBuf};

use super::{authority, configured, greeted, in_file, of_directory};
use crate::{
    cli::{BindWith, Stop},
    command::init::{
        InitArgs,
        answers::{Answers, Bind, Typed, absolute},
        questions::Asker,
        stage::Stage,
    },
    config::Kerberos,
    directory::{dn::Dn, greeting::Greeting},
    model::server_kind::ServerKind,
};

/// What the options still answer.
struct Given<'a> {
    bind: Option<BindWith>,
    dn: Option<String>,
    password: Option<&'a Path>,
    certificate: Option<(PathBuf, PathBuf)>,
    principal: Option<String>,
    /// All of it, where something else failed.
    kept: Option<Bind>,
}

/// The account that reads, as which the server is entered. Each wrong password counts against it.
///
/// # Errors
/// Nobody can be asked about what is wrong, or a stop is requested.
pub(super) async fn ask(
    asker: &Asker<'_>,
    stage: &Stage,
    answers: &mut Answers,
    (args, kind): (&InitArgs, Option<ServerKind>),
) -> Result<Greeting, Stop> {
    let files = args.client_cert_file.as_deref();
    let files = files.zip(args.client_key_file.as_deref());
    let mut given = Given {
        bind: args.bind,
        dn: args.bind_dn.clone(),
        password: args.bind_password_file.as_deref(),
        certificate: files.map(|(certificate, key)| (absolute(certificate), absolute(key))),
        principal: args.principal.clone(),
        kept: None,
    };
    let implied = args.bind_with();
    if given.dn.is_some() || implied != BindWith::Password {
        given.bind = Some(implied);
    }
    let bind = if answers.are_sockets() {
        BindWith::External
    } else {
        BindWith::Password
    };
    let mut last = Last {
        bind,
        dn: None,
        is_refused: false,
    };
    loop {
        let kept = given.kept.take();
        let bind = match given.bind.take() {
            Some(bind) => bind,
            None if kept.is_some() => last.bind,
            None if asker.can_ask() => ask_bind(asker, last.bind).await?,
            None => BindWith::Password,
        };
        last.bind = bind;
        let entered = match (kept, bind) {
            (Some(kept), _) => Some(kept),
            (None, BindWith::Password) => password(asker, &mut given, &mut last, kind).await?,
            (None, BindWith::External) => Some(external(asker, answers, &mut given).await?),
            (None, BindWith::Gssapi) => Some(ticket(asker, &mut given).await?),
            (None, BindWith::Anonymous) => Some(Bind::Anonymous),
        };
        let Some(entered) = entered else {
            // With another account, the way may be another, too.
            given.bind = given.dn.as_ref().map(|_| bind);
            continue;
        };
        answers.bind = Some(entered);
        let Some(config) = configured(asker, stage, answers)? else {
            answers.bind = None;
            continue;
        };
        match asker.unless_stopped(greeted(&config)).await? {
            Ok(greeting) => {
                asker.say("  The account is accepted.");
                return Ok(greeting);
            }
            Err(error) => {
                asker.again(of_directory(&error))?;
                let may_pass = authority::is_missing(&error)
                    && authority::ask(asker, stage, answers, args, &authority::OF_DIRECTORY)
                        .await?;
                given.kept = answers.bind.take().filter(|_| may_pass);
                last.is_refused = bind == BindWith::Password && error.is_refusal();
                if last.is_refused {
                    (given.bind, given.dn) = (Some(bind), last.dn.clone());
                }
            }
        }
    }
}

/// What was answered last, which is offered again.
struct Last {
    bind: BindWith,
    dn: Option<String>,
    /// Whether the password was refused with it.
    is_refused: bool,
}

async fn ask_bind(asker: &Asker<'_>, default: BindWith) -> Result<BindWith, Stop> {
    let offered = BindWith::ALL.into_iter();
    let offered = offered.filter(|bind| cfg!(feature = "gssapi") || *bind != BindWith::Gssapi);
    let names: Vec<&str> = offered.map(BindWith::name).collect();
    let question = format!("How it is entered ({})", names.join(", "));
    loop {
        let answer = asker.line(&question, Some(default.name())).await?;
        match BindWith::named(&answer).filter(|bind| names.contains(&bind.name())) {
            Some(bind) => return Ok(bind),
            None => asker.again(Stop::usage(&format!("{answer:?} is none of these")))?,
        }
    }
}

/// Whether a text can be the name of an account. What cannot be one may be a password, which is sent
/// nowhere. Only the domains of Microsoft's kind know accounts by names that are no DNs.
fn is_account(text: &str, kind: Option<ServerKind>) -> bool {
    let knows_names = match kind {
        Some(ServerKind::ActiveDirectory | ServerKind::Samba | ServerKind::Generic) | None => true,
        Some(ServerKind::OpenLdap | ServerKind::Ds389 | ServerKind::FreeIpa) => false,
    };
    let has_both = |at: char| {
        text.split_once(at)
            .is_some_and(|(before, behind)| !before.is_empty() && !behind.is_empty())
    };
    let is_dn = text.contains('=') && Dn::parse(text).is_some();
    is_dn || (knows_names && (has_both('@') || has_both('\\')))
}

/// A DN and its password; none where one of them is to be asked for again: the password, while a DN is
/// given.
async fn password(
    asker: &Asker<'_>,
    given: &mut Given<'_>,
    last: &mut Last,
    kind: Option<ServerKind>,
) -> Result<Option<Bind>, Stop> {
    let dn = loop {
        let dn = match given.dn.take() {
            Some(dn) => dn,
            None => {
                let question = "Account that reads the directory (bind DN)";
                asker.line(question, last.dn.as_deref()).await?
            }
        };
        if is_account(&dn, kind) {
            break dn;
        }
        // It is not repeated, since it may be a password.
        asker.again(Stop::usage(
            "that is no account, and was not sent: it takes a DN, such as \
             cn=ldap-sync,ou=services,dc=studio,dc=test; in Active Directory also \
             ldap-sync@studio.test or STUDIO\\ldap-sync",
        ))?;
    };
    let is_refused = std::mem::take(&mut last.is_refused);
    let password = match given.password.take().map(in_file) {
        Some(Ok(password)) => password,
        Some(Err(stop)) => {
            asker.again(stop)?;
            given.dn = Some(dn);
            return Ok(None);
        }
        None if is_refused => {
            let question = "Its password again (not shown; empty: another account)";
            match asker.secret_or_nothing(question).await? {
                Some(password) => Typed::Now(password),
                None => return Ok(None),
            }
        }
        None => Typed::Now(asker.secret("Its password").await?),
    };
    last.dn = Some(dn.clone());
    Ok(Some(Bind::Password(dn, password)))
}

/// The files of a client certificate, unless the servers are sockets.
async fn external(
    asker: &Asker<'_>,
    answers: &Answers,
    given: &mut Given<'_>,
) -> Result<Bind, Stop> {
    if let Some(files) = given.certificate.take() {
        return Ok(Bind::External(Some(files)));
    }
    if answers.are_sockets() || !asker.can_ask() {
        return Ok(Bind::External(None));
    }
    let certificate = asker
        .line("Its client certificate (PEM file)", None)
        .await?;
    let key = asker.line("The key of it (PEM file)", None).await?;
    let files = [certificate, key].map(|file| absolute(Path::new(&file)));
    let [certificate, key] = files;
    Ok(Bind::External(Some((certificate, key))))
}

/// The principal, if there is a choice.
async fn ticket(asker: &Asker<'_>, given: &mut Given<'_>) -> Result<Bind, Stop> {
    let principal = match given.principal.take() {
        None if asker.can_ask() => {
            let usual = Kerberos::of_process(None).words();
            let question = format!("Kerberos principal (\"-\": {usual})");
            let answer = asker.line(&question, Some("-")).await?;
            Some(answer).filter(|answer| answer != "-")
        }
        given => given,
    };
    Ok(Bind::Gssapi(principal))
}
