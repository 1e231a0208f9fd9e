//! `init`: a first configuration. On a terminal it asks, and asks again where an answer is wrong;
//! otherwise the options are the answers. Nothing is written before everything was tried at the servers.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{check, in_container, print_text, terminal};
use crate::{
    cli::{BindWith, Exit, InitArgs, Stop},
    config::{self, Config, DEFAULT_FILE, Environment, schedule::Schedule},
    escape::escape_control,
    model::readable_time::readable_time,
    run::host::host,
};

mod answers;
mod copies;
mod questions;
mod servers;
mod stage;

use answers::Answers;
use questions::Asker;
use stage::Stage;

/// The names of the files for secrets that are typed.
const PASSWORD_FILE: &str = "ldap-password";
const KEY_FILE: &str = "ftrack-api-key";

/// `init`: 0 when the configuration is written, 1 when a server does not agree to it, 2 when an option
/// is wrong or missing, or a file exists.
///
/// # Errors
/// Nothing is written, and why.
pub(super) async fn init(
    file: &Path,
    args: &InitArgs,
    cancel: &CancellationToken,
) -> Result<Exit, Stop> {
    let out = args.out.as_deref().unwrap_or(file);
    let out = std::path::absolute(out)?;
    let asker = Asker::new(terminal::can_ask(), cancel);
    fits(args)?;
    let (args, saved) = with_saved(args, &out);
    let args = &args;
    if !asker.can_ask() {
        all_given(args)?;
    }
    let stage = Stage::new(&out, args)?;
    asker.say(&format!(
        "This writes {}. Ctrl-C stops; nothing is written before the end.",
        out.display()
    ));
    if !saved.is_empty() {
        let saved: Vec<String> = saved.iter().map(|path| shown(path)).collect();
        asker.say(&format!(
            "It uses {}; with --force it asks, and replaces.",
            saved.join(" and ")
        ));
    }
    let mut answers = Answers::new(args, &out);
    servers::ask_directory(&asker, &stage, &mut answers, args).await?;
    servers::ask_ftrack(&asker, &stage, &mut answers, args).await?;
    let warnings = copies::offer(&asker, &out, &mut answers, args.force).await?;
    let mut config = stage.config(&answers).map_err(|said| Stop::usage(&said))?;
    // Whether this user may write reports says nothing about the one who will run the daemon.
    config.state_dir = stage.state_dir();
    asker.say("Checking all of it, as `ftrack-ldap-sync check` does.");
    let (mut findings, _) = check::findings(&config, false, cancel).await?;
    findings.retain(|finding| finding.check != "state");
    print_text(&check::text::text(&findings))?;
    if check::has_failed(&findings)
        && !asker
            .confirms("Write the configuration all the same? [y/N] ")
            .await?
    {
        return Err(Stop::failed("nothing is written: see what failed above"));
    }
    let replaced = replaced(&asker, &out, &answers, args.force).await?;
    let written = stage.persist(&answers, args.force, &replaced)?;
    let runs = runs(&config, Utc::now());
    let next = if in_container() {
        let state_dir = args.state_dir.clone();
        next_steps_in_a_container(&out, &state_dir.unwrap_or_else(config::default_state_dir))
    } else {
        next_steps(&out)
    };
    print_text(&was_written(&written, &warnings, &runs, &next))?;
    let loaded = config::load(&out, &Environment::of_process());
    loaded.map_err(|findings| {
        Stop::usage(&format!(
            "it is written, but not usable together with the environment and config.d:\n{findings}"
        ))
    })?;
    Ok(Exit::Done)
}

/// The options with the secrets that are saved beside the configuration, where the options name no
/// others and these are not to be replaced; and the files of those secrets.
fn with_saved(args: &InitArgs, out: &Path) -> (InitArgs, Vec<PathBuf>) {
    let mut args = args.clone();
    let mut saved = Vec::new();
    let with_password = args.bind_with() == BindWith::Password;
    let secrets = [
        (PASSWORD_FILE, with_password, &mut args.bind_password_file),
        (KEY_FILE, true, &mut args.api_key_file),
    ];
    for (name, is_needed, given) in secrets {
        let path = beside(out).join(name);
        if is_needed && !args.force && given.is_none() && path.is_file() {
            saved.push(path.clone());
            *given = Some(path);
        }
    }
    (args, saved)
}

/// The saved secrets in whose places others were typed, because they were refused.
///
/// # Errors
/// One is not to be replaced, or a stop is requested.
async fn replaced(
    asker: &Asker<'_>,
    out: &Path,
    answers: &Answers,
    force: bool,
) -> Result<Vec<&'static str>, Stop> {
    let mut replaced = Vec::new();
    for name in answers.typed() {
        let path = beside(out).join(name);
        if force || std::fs::symlink_metadata(&path).is_err() {
            continue;
        }
        let question = format!("{} exists. Replace it? [Y/n] ", shown(&path));
        if !asker.agrees(&question).await? {
            return Err(Stop::failed("nothing is written"));
        }
        replaced.push(name);
    }
    Ok(replaced)
}

/// Whether the options belong to the way in which the directory is entered.
fn fits(args: &InitArgs) -> Result<(), Stop> {
    let bind = args.bind_with();
    let options = [
        ("--bind-dn", args.bind_dn.is_some(), BindWith::Password),
        (
            "--bind-password-file",
            args.bind_password_file.is_some(),
            BindWith::Password,
        ),
        (
            "--client-cert-file",
            args.client_cert_file.is_some(),
            BindWith::External,
        ),
        ("--principal", args.principal.is_some(), BindWith::Gssapi),
    ];
    let mut foreign = options
        .iter()
        .filter(|(_, is_given, of)| *is_given && *of != bind);
    match foreign.next() {
        None => Ok(()),
        Some((option, _, of)) => Err(Stop::usage(&format!(
            "{option} belongs to --bind {}, and not to --bind {}",
            of.name(),
            bind.name()
        ))),
    }
}

/// Whether the options answer everything, where nobody can be asked.
fn all_given(args: &InitArgs) -> Result<(), Stop> {
    let InitArgs {
        server,
        bind_dn,
        bind_password_file,
        base,
        ftrack,
        api_user,
        api_key_file,
        ..
    } = args;
    let with_password = args.bind_with() == BindWith::Password;
    let given = [
        ("--server", !server.is_empty()),
        ("--bind-dn", bind_dn.is_some() || !with_password),
        (
            "--bind-password-file",
            bind_password_file.is_some() || !with_password,
        ),
        ("--base", base.is_some()),
        ("--ftrack", ftrack.is_some()),
        ("--api-user", api_user.is_some()),
        ("--api-key-file", api_key_file.is_some()),
    ];
    let missing: Vec<&str> = given
        .iter()
        .filter(|(_, is_given)| !is_given)
        .map(|(option, _)| *option)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Stop::usage(&format!(
        "there is no terminal on which to ask, so these options are needed: {}",
        missing.join(", ")
    )))
}

/// The folder of the configuration, in which its other files are.
fn beside(out: &Path) -> &Path {
    out.parent().unwrap_or_else(|| Path::new("/"))
}

/// A path, safe to print.
fn shown(path: &Path) -> String {
    escape_control(&path.display().to_string()).into_owned()
}

/// When the service runs what was configured, by the clocks of each job's zone, as `status` shows it.
fn runs(config: &Config, now: DateTime<Utc>) -> String {
    let host = host();
    let runs = config.jobs.iter().filter_map(|(name, job)| {
        let schedule = Schedule::of(name, job, &host)?;
        let first = schedule.occurrences(now).next()?;
        Some(format!(
            "The service runs {} by the schedule `{}` in the time zone {}, first at {}.\n",
            escape_control(name),
            schedule.expression(),
            job.timezone,
            readable_time(first, &job.timezone)
        ))
    });
    runs.collect()
}

/// What precedes the next commands where this one ran through sudo: what it wrote is root's. Where
/// it did not, there may be no sudo, or no need of it.
fn sudo() -> &'static str {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && Environment::of_process().sudo_user().is_some() {
        "sudo "
    } else {
        ""
    }
}

/// What was written, and what comes next.
fn was_written(written: &[PathBuf], warnings: &[String], runs: &str, next: &str) -> String {
    let files: Vec<String> = written.iter().map(|path| shown(path)).collect();
    let warnings: String = warnings
        .iter()
        .map(|warning| format!("Warning: {warning}.\n"))
        .collect();
    format!(
        "\nWritten: {}.\n{warnings}{runs}\nNext:\n{next}",
        files.join(", ")
    )
}

/// What comes next in a container: the files have their places on the host, and a plan outlives a
/// container only in the folder of the state.
fn next_steps_in_a_container(out: &Path, state_dir: &Path) -> String {
    let plan = shown(&state_dir.join("plan.json"));
    let steps = [
        ("check".to_owned(), "the same again, at any time"),
        (
            format!("plan --out {plan}"),
            "what the first sync would do; it writes nothing",
        ),
        (format!("apply {plan}"), "exactly what the plan shows"),
    ];
    let place = if out == Path::new(DEFAULT_FILE) {
        String::new()
    } else {
        format!(
            "  on the host, move config.toml and certificates to the folder that is mounted at {}, and \
             the\n  secrets to where they are mounted from; `chown 65532:65532` the secrets\n",
            shown(beside(Path::new(DEFAULT_FILE)))
        )
    };
    let run = "docker compose run --rm ftrack-ldap-sync ";
    let steps = steps.map(|(command, what)| (format!("{run}{command}"), what));
    let up = (
        "docker compose up -d".to_owned(),
        "the daemon: the same by the schedule",
    );
    let steps: Vec<(String, &str)> = steps.into_iter().chain([up]).collect();
    format!("{place}{}", aligned(&steps))
}

/// Commands, and what each of them is for.
fn aligned(steps: &[(String, &str)]) -> String {
    let width = steps.iter().map(|(command, _)| command.len()).max();
    let width = width.unwrap_or_default();
    steps
        .iter()
        .map(|(command, what)| format!("  {command:width$}   # {what}\n"))
        .collect()
}

/// What comes next.
fn next_steps(out: &Path) -> String {
    let is_default = out == Path::new(DEFAULT_FILE);
    let sudo = sudo();
    let program = if is_default {
        format!("{sudo}ftrack-ldap-sync")
    } else {
        format!("{sudo}ftrack-ldap-sync --config {}", shown(out))
    };
    let service = if is_default {
        format!("{sudo}systemctl enable --now ftrack-ldap-sync")
    } else {
        format!("{program} daemon")
    };
    let steps = [
        (format!("{program} check"), "the same again, at any time"),
        (
            format!("{program} plan --out plan.json"),
            "what the first sync would do; it writes nothing",
        ),
        (
            format!("{program} apply plan.json"),
            "exactly what the plan shows",
        ),
        (
            format!("{program} sync"),
            "from then on: writes what is safe, holds the rest for you",
        ),
        (service, "the service: the same by the schedule"),
    ];
    aligned(&steps)
}
