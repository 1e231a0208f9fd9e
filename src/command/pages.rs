//! `man` and `completions`: the manual pages and the completion scripts, made of what `--help` says.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::print;
use crate::cli::{Cli, Exit, Stop};

const NAME: &str = "ftrack-ldap-sync";

/// Prints the page of the program, or writes that of the program and of each command into a folder.
///
/// # Errors
/// A page cannot be written.
pub(super) fn man(folder: Option<&Path>) -> Result<Exit, Stop> {
    let command = Cli::command();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return print(&String::from_utf8_lossy(&page));
    };
    clap_mangen::generate_to(command, folder).map_err(|error| {
        Stop::failed(&format!(
            "the pages cannot be written to {}: {error}",
            folder.display()
        ))
    })?;
    Ok(Exit::Done)
}

/// Prints the completion script of a shell.
///
/// # Errors
/// It cannot be written.
pub(super) fn completions(shell: Shell) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    // The script for bash calls the commands of a program with a hyphen in its name in two ways
    // (clap_complete 4.6), and so would offer nothing behind a command.
    print(&script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__")))
}
