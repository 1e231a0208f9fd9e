//! `man` and `completions`: the manual pages and the completion scripts, made of what `--help` says.

use std::{fs, io, path::Path};

use clap::{Arg, Command, CommandFactory};
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
    let Some(folder) = folder else {
        return print(&page(Cli::command())?.1);
    };
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write(&command, folder).map_err(|error| {
        Stop::failed(&format!(
            "the pages cannot be written to {}: {error}",
            folder.display()
        ))
    })?;
    Ok(Exit::Done)
}

/// Writes the page of a command, and those of its own commands.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        write(command, folder)?;
    }
    let (name, page) = page(command.clone())?;
    fs::write(folder.join(name), page)
}

/// The page of a command, with the name of its file. Its synopsis has, other than that of clap_mangen
/// (0.3), the values of options.
fn page(command: Command) -> io::Result<(String, String)> {
    let options: Vec<(String, String)> = command.get_opts().filter_map(option).collect();
    let page = Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    for (option, with_value) in options {
        // The first is in the synopsis.
        text = text.replacen(&option, &with_value, 1);
    }
    Ok((page.get_filename(), text))
}

/// An option as it ends in a synopsis, and the same with its value.
fn option(option: &Arg) -> Option<(String, String)> {
    let name = option.get_long()?.replace('-', r"\-");
    let values = option.get_value_names()?;
    let values: Vec<String> = values
        .iter()
        .map(|value| value.replace('-', r"\-"))
        .collect();
    let several = option
        .get_num_args()
        .is_some_and(|most| most.max_values() > 1);
    let more = if several { " ..." } else { "" };
    let end = format!(r"\-\-{name}\fR");
    let with_value = format!(r"{end} \fI{}\fR{more}]", values.join(" "));
    Some((format!("{end}]"), with_value))
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
