//! `man`: the manual pages, made of what `--help` says.

use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use super::print;
use crate::cli::{Cli, Exit, Stop};

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
