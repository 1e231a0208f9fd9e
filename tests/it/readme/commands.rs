//! Each command that a page names is one of the program, with the options that it is given, and the
//! page of the commands has all of them.

use clap::{CommandFactory, Parser};
use ftrack_ldap_sync::cli::Cli;

use super::{pages, text_of};

/// The commands of a page, each as words: in `code`, and at the start of a line of a block.
fn commands(text: &str) -> Vec<Vec<String>> {
    let spans = text.split('`').skip(1).step_by(2).map(str::to_owned);
    let lines = text.lines().map(|line| {
        let line = line.trim_start_matches("$ ");
        line.split(" #").next().unwrap().to_owned()
    });
    spans
        .chain(lines)
        .filter_map(|command| {
            let command = command.trim_start_matches("sudo ").to_owned();
            let rest = command.strip_prefix("ftrack-ldap-sync ")?;
            // A part of a word is no command.
            let is_shell = rest.contains(['>', '|', ';', '$']);
            (!is_shell).then(|| rest.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn each_command_in_a_page_is_understood() {
    let mut understood = 0;
    for page in pages() {
        for words in commands(&page.text) {
            // Names in brackets may be left out.
            let words = words.iter().map(|word| word.trim_matches(['[', ']']));
            let words: Vec<&str> = ["ftrack-ldap-sync"].into_iter().chain(words).collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {words:?}: {error}", page.path);
            }
            understood += 1;
        }
    }
    assert!(understood > 20, "{understood}");
}

/// The rows of the first table of the page of commands: the command, and what it does.
fn rows(page: &str) -> Vec<(&str, &str)> {
    let (_, table) = page.split_once("|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches(['|', ' ']).split_once(" | ").unwrap())
        .collect()
}

#[test]
fn the_page_has_each_command_with_options_that_it_has() {
    let program = Cli::command();
    let page = text_of("deploy/operation/commands.md");
    let rows = rows(&page);
    for command in program.get_subcommands().filter(|one| !one.is_hide_set()) {
        let name = command.get_name();
        assert!(
            name == "help"
                || rows
                    .iter()
                    .any(|(named, _)| named.contains(&format!("`{name}"))),
            "the page lacks {name}"
        );
    }
    for (named, does) in rows {
        // One row may be about several commands.
        let mut commands = vec![&program];
        for part in named.split('`').skip(1).step_by(2) {
            let mut words = part.split(' ');
            let name = words.next().unwrap();
            let command = program
                .find_subcommand(name)
                .unwrap_or_else(|| panic!("there is no {name}"));
            commands.push(command);
            commands.extend(words.next().and_then(|word| command.find_subcommand(word)));
        }
        for option in [named, does].iter().flat_map(|text| options(text)) {
            let has = commands
                .iter()
                .flat_map(|command| command.get_arguments())
                .any(|argument| argument.get_long() == Some(option));
            assert!(has, "{named} has no --{option}");
        }
    }
}

#[test]
fn the_page_names_each_option_of_each_command() {
    let page = text_of("deploy/operation/commands.md");
    let program = Cli::command();
    let mut commands = vec![&program];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|one| !one.is_hide_set()));
        let shown = command.get_arguments().filter(|one| !one.is_hide_set());
        for option in shown.filter_map(|argument| argument.get_long()) {
            // Also where the option stands behind its command.
            let is_named = page.split("--").skip(1).any(|rest| {
                let rest = rest.strip_prefix(option);
                rest.is_some_and(|rest| !rest.starts_with(goes_on))
            });
            assert!(
                is_named,
                "the page lacks --{option} of {}",
                command.get_name()
            );
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// Whether a name of an option has this letter.
fn goes_on(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '-'
}

/// The names of the options in a text.
fn options(text: &str) -> impl Iterator<Item = &str> {
    text.split("`--").skip(1).map(|rest| {
        let end = rest.find(|letter: char| !letter.is_alphabetic() && letter != '-');
        &rest[..end.unwrap_or(rest.len())]
    })
}
