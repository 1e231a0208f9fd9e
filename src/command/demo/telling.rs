//! The demo's words: what a newcomer reads around each report.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};

use super::Told;
use crate::{
    cli::Exit,
    demo::{
        story::{Chapter, Story},
        world::World,
    },
};

/// What the demo is, and the configuration that it works with.
pub fn opening(world: &World) -> String {
    let mut text = format!(
        "{}\n\n\
         ftrack-ldap-sync keeps the users of ftrack in step with a studio's LDAP directory.\n\
         For this demo a directory with {} people and a stand-in for ftrack run inside the\n\
         program, on this machine only. The syncs are real ones, with this configuration:\n\n",
        heading_style("ftrack-ldap-sync: the demo"),
        world.people.len(),
    );
    for line in world.config().lines() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}", if line.is_empty() { String::new() } else { format!("    {line}") });
    }
    text
}

/// A chapter's heading.
pub fn heading(chapter: Chapter) -> &'static str {
    match chapter {
        Chapter::FirstSync => "1. The first sync",
        Chapter::Again => "2. The same again",
        Chapter::OrdinaryDay => "3. An ordinary day",
        Chapter::Return => "4. Somebody comes back",
        Chapter::HalfGone => "5. Half of the directory is gone",
        Chapter::BadDay => "6. The directory has a bad day",
        Chapter::Normal => "7. Back to normal",
    }
}

/// What happens before the sync of a chapter.
pub fn before(chapter: Chapter, story: &Story) -> String {
    let people = story.people;
    let all = people + 2;
    let lost = story.lost();
    let happens = match chapter {
        Chapter::FirstSync => format!("The directory has {people} people, and ftrack has no user for any of them."),
        Chapter::Again => "Nothing has changed in the directory.".to_owned(),
        Chapter::OrdinaryDay => format!(
            "A good deal has changed in the directory since then:\n\
             \x20 {} joins.\n\
             \x20 {} leaves: the entry is moved out of the folder that is synced.\n\
             \x20 {} is called {} now, with a new login.\n\
             \x20 {} has a new mail address.\n\
             \x20 {} was entered without a login (uid).",
            story.joiner(),
            story.leaver.name,
            story.renamed.name,
            story.new_name(),
            story.mover.name,
            story.careless(),
        ),
        Chapter::Return => format!("{} is back in the directory.", story.leaver.name),
        Chapter::HalfGone => format!(
            "By mistake, {lost} of the {all} people are moved out of the folder that is synced.\n\
             At the same time {} gets the missing login, and {} a new mail address.",
            story.careless(),
            story.late.name,
        ),
        Chapter::BadDay => format!(
            "The mistake is mended, and all {all} people are back. But now the directory server is\n\
             overloaded: after {lost} people it breaks off its answer with the error \"busy\"."
        ),
        Chapter::Normal => "The directory server answers in full again.".to_owned(),
    };
    format!("\n\n{}\n\n{happens}\n\n", heading_style(heading(chapter)))
}

/// A report as the output of a command.
pub fn ran(report: &str, exit: Exit) -> String {
    let bar = dim("│");
    let mut text = format!("{bar} $ ftrack-ldap-sync sync\n");
    for line in report.lines() {
        let _ = writeln!(text, "{bar} {line}");
    }
    let _ = writeln!(text, "{bar}\n{bar} {}\n", dim(&format!("exit status {}", exit as u8)));
    text
}

/// Why the answer is right.
pub fn after(chapter: Chapter, story: &Story) -> String {
    match chapter {
        Chapter::FirstSync => "Everybody has a user now. Each user carries the person's directory id, by which the program\n\
             knows its own users again; it never touches others, such as your administrators.\n"
            .to_owned(),
        Chapter::Again => "Both sides agree, so there was nothing to do: 0 write calls.\n".to_owned(),
        Chapter::OrdinaryDay => "The new name is one update of one user, because a person is known by the directory id and not\n\
             by the login. Who is gone is deactivated, never deleted. The bad record is named, and stops\n\
             nobody else.\n"
            .to_owned(),
        Chapter::Return => format!(
            "It is the same user as before, reactivated. The program may do that because it deactivated\n\
             the user itself; whom a person has deactivated stays so. {} is named again until\n\
             there is a login.\n",
            story.careless()
        ),
        Chapter::HalfGone => "So many deactivations at once look like a mistake, so they are held and nobody lost access;\n\
             the harmless changes were made all the same. The exit status 3 tells whoever watches. Were\n\
             it no mistake, a person would save the plan (`plan --out FILE`), read it, and approve\n\
             exactly that (`apply FILE`).\n"
            .to_owned(),
        Chapter::BadDay => "Not in this answer does not mean gone: only a complete answer may show that. So the run\n\
             failed, said why, wrote nothing, and touched nobody.\n"
            .to_owned(),
        Chapter::Normal => "Everybody is where they should be, and nobody had to repair anything at ftrack.\n".to_owned(),
    }
}

/// What was shown, and how to go on.
pub fn closing(all: &[Told], binary: &str) -> String {
    format!(
        "\n\n{}\n\n{}\n\n\
         Play with the same two servers yourself:\n\n\
         \x20 {binary} demo --serve\n\n\
         Use your own servers (README.md tells more):\n\n\
         \x20 {binary} config example > config.toml   # fill in your servers\n\
         \x20 {binary} --config config.toml check     # are both servers as they must be?\n\
         \x20 {binary} --config config.toml plan      # what would change? writes nothing\n\
         \x20 {binary} --config config.toml sync\n",
        heading_style("What you have seen"),
        table(all),
    )
}

fn table(all: &[Told]) -> Table {
    let mut table = Table::new();
    *table.style_mut() = NOTHING;
    table.set_header(["", "OUTCOME", "EXIT STATUS", "WRITE CALLS", "ACTIVE USERS"]);
    for told in all {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(heading(told.chapter)),
            Cell::new(told.report.outcome.as_str()),
            number((told.exit as u8).to_string()),
            number(told.report.ftrack.write_calls.to_string()),
            number(told.active.to_string()),
        ]);
    }
    table
}

fn heading_style(text: &str) -> String {
    let style = AnsiColor::Cyan.on_default().bold();
    format!("{style}{text}{style:#}")
}

fn dim(text: &str) -> String {
    let style = Style::new().dimmed();
    format!("{style}{text}{style:#}")
}
