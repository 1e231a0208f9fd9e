//! Entry point: reads the command line, starts logging, and returns the exit status.

use std::{env::args_os, panic, process::ExitCode};

use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};
use ftrack_ldap_sync::{
    cli::{Cli, Command, Exit, Stop},
    command,
    escape::escape_control,
    event::Event,
    log::{self, LogFormat, Verbosity},
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tikv_jemallocator::Jemalloc;

/// A run of many people needs much memory for seconds; this allocator gives it back to the system.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit status after a panic, which is a bug in the program.
const DEFECT: u8 = 101;

fn main() -> ExitCode {
    forbid_core_dumps();
    // The panic was logged when it happened.
    let exit = panic::catch_unwind(answer).unwrap_or(ExitCode::from(DEFECT));
    log::finish();
    exit
}

/// A core dump would contain the secrets. The first also keeps other processes of the same user from
/// reading this one's memory, and holds where a program on the machine collects the dumps; where
/// either is forbidden, such as in a sandbox, the other has to do.
fn forbid_core_dumps() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}

fn answer() -> ExitCode {
    let matches = Cli::command()
        .term_width(command::help_width())
        .try_get_matches();
    let cli = match matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)) {
        Ok(cli) => cli,
        Err(error) => return misused(error),
    };
    let form = cli.log_format.or(cli.command.log_format());
    let people = is_for_people(form);
    log::say_panics(people);
    // A daemon prints nothing else; the other commands print their result.
    let loudness = if people && !cli.verbose && !matches!(cli.command, Command::Daemon) {
        Verbosity::Quiet
    } else {
        Verbosity::Full
    };
    let is_plugin = matches!(&cli.command, Command::Status(args) if args.check);
    let started = log::start(form, cli.log_filter.as_deref(), loudness).map_err(|error| {
        // An invalid filter must not suppress the message about itself.
        let _ = log::start(form, None, loudness);
        Stop::usage(&error)
    });
    match started.and_then(|()| command::run(cli)) {
        Ok(exit) => exit.into(),
        Err(stop) if is_plugin => command::unknown(&stop).into(),
        Err(stop) => print_stop(&stop, people),
    }
}

/// Reports why the program stops, and returns its exit status.
fn print_stop(Stop { exit, lines }: &Stop, people: bool) -> ExitCode {
    for error in lines {
        if people {
            log::say(&format!("error: {}", escape_control(error)));
        } else {
            Event::ProgramFailed { error }.emit();
        }
    }
    (*exit).into()
}

/// The format that is meant by an option of its name, such as `--json`, of a command that has formats.
fn form_of_output(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let form = option.strip_prefix("--")?;
    let cli = Cli::command();
    let words: Vec<String> = args_os()
        .skip(1)
        .filter_map(|word| word.into_string().ok())
        .collect();
    let command = words.iter().find_map(|word| cli.find_subcommand(word))?;
    let format = command
        .get_arguments()
        .find(|argument| argument.get_id() == "format")?;
    let forms = format.get_possible_values();
    let is_one = forms.iter().any(|value| value.get_name() == form);
    is_one.then(|| form.to_owned())
}

/// Reports a wrong command line, with hints and usage for people, and on one line for programs.
/// Help and version are results.
fn misused(mut error: clap::Error) -> ExitCode {
    if is_taken_by_only(&error) {
        let tip = "--only takes all words after it: write what is missing before --only";
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    if let Some(form) = form_of_output(&error) {
        error.remove(ContextKind::SuggestedArg);
        let tip = format!("it is `--format {form}`");
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    let error = &error;
    // `--log-format` may have been given even though the rest is wrong.
    let named = Cli::command().ignore_errors(true).try_get_matches().ok();
    // For a monitoring system also the wrong use has a status of its own.
    let status = named
        .as_ref()
        .and_then(|matches| matches.subcommand_matches("status"));
    let is_plugin = status.is_some_and(|status| status.get_flag("check"));
    let form = named.and_then(|matches| {
        matches
            .try_get_one::<LogFormat>("log_format")
            .ok()
            .flatten()
            .copied()
    });
    if !error.use_stderr() {
        // A closed pipe is not an error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if is_plugin {
        return command::unknown(&Stop::usage(&in_one_line(error))).into();
    }
    if is_for_people(form) {
        let text = error.render().ansi().to_string();
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            // It was wrapped when it was made.
            log::say_as_it_is(&text);
        } else {
            log::say(&text);
        }
        return Exit::Usage.into();
    }
    let _ = log::start(form, None, Verbosity::Full);
    print_stop(&Stop::usage(&in_one_line(error)), false)
}

/// Whether `--only`, which takes several words, may have taken a word that is missing now.
fn is_taken_by_only(error: &clap::Error) -> bool {
    let mut words = args_os();
    error.kind() == ErrorKind::MissingRequiredArgument && words.any(|word| word == "--only")
}

fn in_one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command given; `ftrack-ldap-sync --help` lists the commands".to_owned();
    }
    let text = error.to_string();
    let about = text.lines().map(str::trim).take_while(|line| {
        !line.starts_with("Usage:") && !line.starts_with("For more information")
    });
    let line = about
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

fn is_for_people(form: Option<LogFormat>) -> bool {
    match form {
        Some(form) => form == LogFormat::Text,
        None => log::is_on_terminal(),
    }
}
