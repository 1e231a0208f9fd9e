//! The commands, one file per family.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Cli, Command, ConfigCommand, DaemonArgs, Exit, NotifyCommand, Stop},
    config::{Config, Environment, Job, Paths},
    daemon::setup,
    event::Event,
    log,
    run::{
        failure::{HoldError, PutBackError, RunStartError},
        servers::Servers,
    },
    state::{self, State},
};

pub(crate) mod approve;
pub mod check;
pub mod config;
pub(crate) mod control;
pub(crate) mod daemon;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod erase;
pub(crate) mod explain;
pub(crate) mod holds;
pub(crate) mod init;
pub(crate) mod link;
pub(crate) mod mapping_test;
pub(crate) mod moment;
pub(crate) mod notify;
pub(crate) mod pages;
pub(crate) mod progress;
pub(crate) mod put_back;
pub(crate) mod runs;
pub(crate) mod signals;
pub(crate) mod snapshots;
pub(crate) mod sync;
pub(crate) mod terminal;
pub(crate) mod unreject;
pub(crate) mod users;

use terminal::Screen;
pub use terminal::help_width;

/// Runs the command.
///
/// # Errors
/// The command failed; the error says why and with which exit status.
pub fn run(cli: Cli) -> Result<Exit, Stop> {
    let Cli {
        config: file,
        command,
        ..
    } = cli;
    let load = || {
        crate::config::load(&file, &Environment::of_process())
            .map_err(|findings| Stop::usage(&findings))
    };
    let socket = |daemon: &DaemonArgs| socket(&file, daemon);
    let asked = |daemon: &DaemonArgs| asked(&file, daemon);
    match command {
        Command::Init(args) => {
            with_runtime(|cancel| async move { init::init(&file, &args, &cancel).await })
        }
        Command::Daemon => daemon::daemon(file),
        Command::Sync(args) => {
            with_runtime(
                |cancel| async move { sync::sync(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Plan(args) => {
            with_runtime(
                |cancel| async move { sync::plan(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Apply(args) => {
            with_runtime(
                |cancel| async move { sync::apply(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Check(args) => with_runtime(|cancel| {
            let (file, config) = (file.clone(), load());
            async move { check::check(&file, &config?, &args, &cancel).await }
        }),
        Command::Explain(args) if args.run.is_some() => explain::past(&file, &args),
        Command::Explain(args) => with_runtime(|cancel| async move {
            explain::explain(&Arc::new(load()?), &args, &cancel).await
        }),
        Command::Users(args) => {
            with_runtime(
                |cancel| async move { users::users(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Link(args) => {
            with_runtime(
                |cancel| async move { link::link(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Unlink(args) => {
            with_runtime(
                |cancel| async move { link::unlink(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Release(args) => {
            with_runtime(
                |cancel| async move { link::release(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Runs(args) => runs::runs(&file, &args),
        Command::Holds(args) => holds::holds(&file, &args),
        Command::Undo(args) => with_runtime(|cancel| async move {
            put_back::undo(&Arc::new(load()?), &args, &cancel).await
        }),
        Command::Restore(args) => with_runtime(|cancel| async move {
            put_back::restore(&Arc::new(load()?), &args, &cancel).await
        }),
        Command::Snapshots(args) => snapshots::snapshots(&file, &args),
        Command::Erase(args) => {
            with_runtime(
                |cancel| async move { erase::erase(&Arc::new(load()?), &args, &cancel).await },
            )
        }
        Command::Notify(NotifyCommand::Test(args)) => {
            with_runtime(|_| async move { notify::test(&load()?, &args).await })
        }
        Command::Config(what) => show_configuration(&file, what),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { out } => pages::man(out.as_deref()),
        Command::Status(args) if args.check => {
            let socket = control::monitoring::Asked::of(socket(&args.daemon));
            let checked = with_runtime(|_| async { Ok(control::monitoring::check(socket).await) });
            checked.or_else(|stop| Ok(unknown(&stop)))
        }
        Command::Status(args) => {
            with_runtime(|_| async move { control::status(&asked(&args.daemon)?, &args).await })
        }
        Command::Trigger(args) => with_runtime(|cancel| async move {
            control::trigger(&asked(&args.daemon)?, &args, &cancel).await
        }),
        Command::Pause(args) => with_runtime(|_| async move {
            let load = || load().map(Arc::new);
            control::pause((&socket(&args.daemon)?, &load), &args).await
        }),
        Command::Resume(args) => with_runtime(|_| async move {
            let load = || load().map(Arc::new);
            control::resume((&socket(&args.daemon)?, &load), &args).await
        }),
        Command::Approve(args) => with_runtime(|cancel| async move {
            let load = || load().map(Arc::new);
            approve::approve((&socket(&args.daemon)?, &load), &args, &cancel).await
        }),
        Command::Reject(args) => with_runtime(|cancel| async move {
            let load = || load().map(Arc::new);
            approve::reject((&socket(&args.daemon)?, &load), &args, &cancel).await
        }),
        Command::Unreject(args) => with_runtime(|cancel| async move {
            unreject::unreject(&Arc::new(load()?), &args, &cancel).await
        }),
        #[cfg(feature = "demo")]
        Command::Demo(args) => {
            with_runtime(|cancel| async move { demo::demo(&args, &cancel).await })
        }
    }
}

/// The control socket that is named, or that of the configuration.
fn socket(file: &Path, daemon: &DaemonArgs) -> Result<PathBuf, Stop> {
    match &daemon.socket {
        Some(path) => Ok(path.clone()),
        None => paths(file).map(|paths| paths.control_socket),
    }
}

/// The same for what only the daemon does: one of the configuration must be reachable.
fn asked(file: &Path, daemon: &DaemonArgs) -> Result<PathBuf, Stop> {
    match &daemon.socket {
        Some(path) => Ok(path.clone()),
        None => paths(file).and_then(control::reachable),
    }
}

fn paths(file: &Path) -> Result<Paths, Stop> {
    crate::config::paths(file, &Environment::of_process())
        .map_err(|findings| control::unreadable(&findings))
}

/// `status --check` where it could not ask at all: says why, and that it is not known how the daemon
/// is.
#[must_use]
pub fn unknown(stop: &Stop) -> Exit {
    control::monitoring::unknown(stop)
}

/// `config show`, `config schema`, `config example` and `config test`.
fn show_configuration(file: &Path, what: ConfigCommand) -> Result<Exit, Stop> {
    match what {
        ConfigCommand::Show { format } => {
            let effective = crate::config::effective(file, &Environment::of_process());
            let effective = effective.map_err(|findings| Stop::usage(&findings))?;
            print(&config::show(&effective, format).map_err(|error| Stop::failed(&error))?)
        }
        ConfigCommand::Schema => print(&config::schema()),
        ConfigCommand::Example { kind: None } => print(&config::example_here()),
        ConfigCommand::Example { kind: Some(kind) } => {
            print(&config::example_of(kind).map_err(|error| Stop::failed(&error))?)
        }
        ConfigCommand::Test(args) => mapping_test::test(file, &args),
    }
}

/// Runs a command that waits for servers; the first SIGTERM or SIGINT cancels the token, a second
/// one ends the program at once.
fn with_runtime<F: Future<Output = Result<Exit, Stop>>>(
    work: impl FnOnce(CancellationToken) -> F,
) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let _signals = signals::cancel_on_signal(cancel.clone())?;
        work(cancel).await
    });
    // A name that the system is still resolving is not waited for.
    runtime.shutdown_background();
    outcome
}

/// Whether this process runs in a container, where there is neither systemd nor sudo.
fn in_container() -> bool {
    Environment::of_process().is_container()
}

/// Opens the state database, and logs when it was damaged.
fn open_state(config: &Config) -> Result<State, Stop> {
    let (state, set_aside) = State::open(config).map_err(|error| Stop::failed(&error))?;
    if let Some(set_aside) = &set_aside {
        Event::StateSetAside(set_aside).emit();
    }
    Ok(state)
}

/// Why a run that a person asked for did not start.
fn not_started(error: &RunStartError) -> Stop {
    match error {
        RunStartError::Hold(error) => not_decided(error),
        RunStartError::PutBack(
            PutBackError::NoJob { .. }
            | PutBackError::OfFtrack { .. }
            | PutBackError::DryRun { .. }
            | PutBackError::WroteNothing { .. }
            | PutBackError::OtherServer { .. }
            | PutBackError::Nobody { .. }
            | PutBackError::Unconfirmed { .. },
        )
        | RunStartError::NoChanges(_)
        | RunStartError::OnlyObserves(_)
        | RunStartError::Misnamed(_) => Stop::usage(error),
        RunStartError::Busy(_)
        | RunStartError::State(_)
        | RunStartError::NotPlannable(_)
        | RunStartError::PutBack(PutBackError::Report(_) | PutBackError::Snapshot(_)) => {
            Stop::failed(error)
        }
    }
}

/// Why a hold was neither approved nor rejected, or a rejection not taken back.
fn not_decided(error: &HoldError) -> Stop {
    match error {
        HoldError::Unknown(_)
        | HoldError::Nobody { .. }
        | HoldError::Decided { .. }
        | HoldError::Several { .. }
        | HoldError::NobodyRejected { .. }
        | HoldError::SeveralRejected { .. } => Stop::usage(error),
        HoldError::NotRejected { .. }
        | HoldError::NothingRejected
        | HoldError::NotTakenBack(_)
        | HoldError::Settled { .. }
        | HoldError::LastAdministrator { .. }
        | HoldError::Paused { .. }
        | HoldError::NoJob { .. }
        | HoldError::State(_) => Stop::failed(error),
    }
}

/// Lets a daemon on the same state know which servers accepted the credentials: what it does not try
/// since they were refused, it tries at once. That this cannot be saved is no failure of the command.
fn lift_lockouts(config: &Config, servers: &Servers) {
    let accepted = setup::accepted(servers, &setup::salt(config));
    if !accepted.is_empty()
        && state::has_refusals(&config.state_dir).is_ok_and(|any| any)
        && let Ok((state, _)) = State::open(config)
    {
        let _ = state.lift_refusals(&accepted);
    }
}

/// Prints a result on standard output, after what was logged before it; a closed pipe is not an
/// error.
fn print(text: &str) -> Result<Exit, Stop> {
    print_by(|out| out.write_all(text.as_bytes()))
}

/// The same with what is written by parts, which need not be in memory as a whole.
fn print_by(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<Exit, Stop> {
    log::flush();
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Err(Stop::failed(&error))
        }
        Ok(()) | Err(_) => Ok(Exit::Done),
    }
}

/// Prints a result for people, so that it fits on the terminal.
fn print_text(text: &str) -> Result<Exit, Stop> {
    print(&Screen::of_stdout().fit(text))
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<Exit, Stop> {
    print_by(|out| {
        let mut out = io::BufWriter::new(out);
        serde_json::to_writer_pretty(&mut out, value)?;
        out.write_all(b"\n")?;
        out.flush()
    })
}

/// The named job, or the only one.
fn job<'a>(config: &'a Config, name: Option<&str>) -> Result<(&'a str, &'a Job), Stop> {
    config.job(name).map_err(|error| Stop::usage(&error))
}
