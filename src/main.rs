//! The program's entry: reads the command line, starts logging, and answers with an exit status.

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use clap::Parser;
use ftrack_ldap_sync::{
    cli::{Cli, Stop},
    command,
    event::Event,
    log::{self, LogFormat, Loudness},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let people = match cli.log_format {
        Some(format) => format == LogFormat::Text,
        None => stderr().is_terminal(),
    };
    let loudness = if people && !cli.verbose { Loudness::Quiet } else { Loudness::Full };
    let outcome = log::start(cli.log_format, cli.log_filter.as_deref(), loudness)
        .map_err(|error| Stop::usage(&error))
        .and_then(|()| command::run(cli));
    match outcome {
        Ok(exit) => exit.into(),
        Err(Stop { exit, lines }) => {
            for error in &lines {
                if people {
                    anstream::eprintln!("error: {}", ftrack_ldap_sync::printable::printable(error));
                } else {
                    Event::ProgramFailed { error }.emit();
                }
            }
            exit.into()
        }
    }
}
