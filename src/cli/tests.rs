//! The help fits on a terminal, and names first what a command needs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::CommandFactory;

use super::*;

/// The help of a command for a terminal of 80 columns.
fn help(command: &mut clap::Command) -> String {
    let mut command = command.clone().term_width(80);
    command.render_long_help().to_string()
}

#[test]
fn the_options_of_a_command_come_before_those_of_all_commands() {
    let mut all = Cli::command();
    all.build();
    let mut commands = vec![all];
    while let Some(mut command) = commands.pop() {
        let help = help(&mut command);
        let lines: Vec<&str> = help.lines().collect();
        let wide = lines.iter().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{help}");
        let heading = help.find(GLOBAL);
        for option in ["--config", "--log-format", "--verbose", "--log-filter"] {
            let starts = |line: &str| {
                let line = line.trim_start();
                line.starts_with(option) || line.starts_with(&format!("-v, {option}"))
            };
            let line = help.lines().find(|line| starts(line));
            let place = line.and_then(|line| help.find(line));
            assert!(place.is_none() || place > heading, "{option} in\n{help}");
        }
        commands.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn the_help_of_plan() {
    let mut all = Cli::command();
    all.build();
    let plan = all.find_subcommand_mut("plan").unwrap();
    insta::assert_snapshot!(help(plan), @"
    Show what a sync would change; write nothing

    Usage: ftrack-ldap-sync plan [OPTIONS] [JOB]

    Arguments:
      [JOB]
              Job to plan; may be omitted if only one is configured

    Options:
          --all
              Show all changes also on a terminal, which otherwise shows as many as
              fit

          --out <FILE>
              Save the plan to FILE, for `apply`

          --format <FORMAT>
              Output format of the plan

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

          --detailed-exitcode
              Exit with 0 when there is nothing to do, 10 when there are changes to
              apply, 3 when some of them would be held

      -h, --help
              Print help (see a summary with '-h')

    Options of all commands:
          --config <FILE>
              Configuration file
              
              [default: /etc/ftrack-ldap-sync/config.toml]

          --log-format <FORMAT>
              Format of log lines; on standard error text on a terminal, JSON
              otherwise

              Possible values:
              - text:    For people
              - json:    One JSON object per line
              - journal: Entries of systemd's journal, with priorities and fields

      -v, --verbose
              Log events also on a terminal, which otherwise shows only the result

          --log-filter <FILTER>
              Log filter, such as `info,ldap3=debug`
              
              [env: RUST_LOG]
    ");
}
