//! The demo's texts: what a newcomer reads around each report.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};

use super::PlayedChapter;
use crate::{
    cli::Exit,
    command::terminal::Screen,
    demo::{
        story::{Chapter, Story},
        world::World,
    },
};

/// What the demo is, and the configuration that it uses.
pub fn opening(world: &World) -> String {
    let mut text = format!(
        "{}\n\n{}\n\n",
        heading_style("ftrack-ldap-sync: the demo"),
        prose(&format!(
            "ftrack-ldap-sync keeps the users of ftrack in step with a studio's LDAP directory. \
             Here, a directory with {} people and a stand-in for ftrack run inside the program, \
             on this machine only; they end with it. Everything else is real, with this \
             configuration:",
            world.people.len()
        )),
    );
    for line in world.config().lines() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{}",
            if line.is_empty() {
                String::new()
            } else {
                format!("    {line}")
            }
        );
    }
    text
}

/// A chapter's heading.
pub fn heading(chapter: Chapter) -> &'static str {
    match chapter {
        Chapter::FirstSync => "1. The first sync",
        Chapter::Again => "2. The same again",
        Chapter::OrdinaryDay => "3. An ordinary day",
        Chapter::Return => "4. A leaver comes back",
        Chapter::HalfGone => "5. Half of the directory is missing",
        Chapter::BadDay => "6. The directory server fails",
        Chapter::Normal => "7. Back to normal",
    }
}

/// What happens before the sync of a chapter.
pub fn before(chapter: Chapter, story: &Story) -> String {
    let people = story.people;
    let all = people + 2;
    let lost = story.lost();
    let happens = match chapter {
        Chapter::FirstSync => prose(&format!(
            "The directory has {people} people, and ftrack has no user for any of them."
        )),
        Chapter::Again => prose("Nothing has changed in the directory since."),
        Chapter::OrdinaryDay => ordinary_day(story),
        Chapter::Return => prose(&format!(
            "{} comes back, and is in ou=people again.",
            story.leaver.name
        )),
        Chapter::HalfGone => prose(&format!(
            "By mistake, {lost} of the {all} people are moved to ou=former. At the same time {} \
             gets the missing login, and {} a new mail address.",
            story.careless(),
            story.late.name,
        )),
        Chapter::BadDay => prose(&format!(
            "The mistake is fixed: all {all} people are in ou=people again. But now the \
             directory server is overloaded, and stops its answer after {lost} people."
        )),
        Chapter::Normal => prose("The directory server answers in full again."),
    };
    format!("\n\n{}\n\n{happens}\n\n", heading_style(heading(chapter)))
}

fn ordinary_day(story: &Story) -> String {
    let changes = [
        format!("{} joins.", story.joiner()),
        format!(
            "{} leaves: the entry is moved to ou=former, outside the job's search base.",
            story.leaver.name
        ),
        format!(
            "{} is called {} now, and has a new login.",
            story.renamed.name,
            story.new_name()
        ),
        format!("{} has a new mail address.", story.mover.name),
        format!(
            "{} joins too, but the entry has no login (uid).",
            story.careless()
        ),
    ];
    let mut text =
        prose("Five things change in the directory, and one sync brings them to ftrack:");
    for change in changes {
        let options = lines().initial_indent("  ").subsequent_indent("    ");
        text.push('\n');
        text.push_str(&textwrap::fill(&change, options));
    }
    text
}

/// A report as the output of a command, with a bar beside it.
pub fn ran(report: &str, exit: Exit) -> String {
    let report = Screen::of_stdout().beside(BAR).fit(report);
    let status = dim(&format!("exit status {}", exit.number()));
    let mut text = String::new();
    for line in ["$ ftrack-ldap-sync sync"]
        .into_iter()
        .chain(report.lines())
        .chain([status.as_str()])
    {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(text, "{}{space}{line}", dim("│"));
    }
    text.push('\n');
    text
}

/// The columns of the bar and the space after it.
const BAR: usize = 2;

/// Why the result is right.
pub fn after(chapter: Chapter, story: &Story) -> String {
    let why = match chapter {
        Chapter::FirstSync => "Everybody has a user now. Each user is marked with the person's \
                               directory id: the program uses it to recognise its own users, and \
                               never changes others."
            .to_owned(),
        Chapter::Again => {
            "Both sides match, so there was nothing to write: 0 write calls.".to_owned()
        }
        Chapter::OrdinaryDay => format!(
            "The new name is one update of one user, because a person is known by the directory \
             id and not by the login. {} is deactivated, never deleted. The entry without a \
             login is reported, and delays nobody else.",
            story.leaver.name
        ),
        Chapter::Return => format!(
            "It is the same user as before. The program reactivates only users that it \
             deactivated itself: a user deactivated by hand stays inactive. {} is named in every \
             report until there is a login.",
            story.careless()
        ),
        Chapter::HalfGone => "The job may deactivate 10% at once; more than that looks like a \
                              mistake. So the deactivations are held and nobody lost access, \
                              while the harmless changes were written. The exit status 3 tells \
                              the monitoring. If it were intended, a person would look at it with \
                              `holds show N`, and write exactly that with `approve N`: `holds` \
                              shows the number."
            .to_owned(),
        Chapter::BadDay => "Missing from one answer does not mean deleted: only a complete answer \
                            can prove that. So the run failed, reported why, and wrote nothing."
            .to_owned(),
        Chapter::Normal => {
            "Everything is in step again, and nobody had to repair anything in ftrack.".to_owned()
        }
    };
    format!("{}\n", prose(&why))
}

/// The width of the demo's own text, also where no terminal wraps it.
const WIDTH: usize = 80;

/// A paragraph.
fn prose(text: &str) -> String {
    textwrap::fill(text, lines())
}

fn lines() -> textwrap::Options<'static> {
    textwrap::Options::new(WIDTH).word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// A summary, and how to go on.
pub fn closing(all: &[PlayedChapter], binary: &str) -> String {
    format!(
        "\n\n{}\n\n{}\n\nSTATUS  the exit status: 0 done, 1 failed, 3 changes are held for a \
         person\nWRITES  calls that change something in ftrack\nACTIVE  people of the directory \
         who can sign in to ftrack\n\nTry it yourself, with the same two servers:\n\n\x20 \
         {binary} demo --serve\n\n{}\n\nWith \
         your own servers, as in README.md under \"The first real sync\":\n\n\x20 # an example \
         for your kind of directory; `config example --help` lists them\n\x20 {binary} config \
         example --kind openldap > config.toml\n\x20 # enter your servers in it, and the two \
         secrets in files beside it:\n\x20 # ftrack-api-key and ldap-password\n\x20 # check \
         everything, and show what would change; neither writes to ftrack\n\x20 {binary} \
         --config config.toml check\n\x20 {binary} --config config.toml plan\n\x20 # write the \
         changes\n\x20 {binary} --config config.toml sync\n",
        heading_style("Summary"),
        table(all),
        prose(
            "A studio that uses ftrack's own LDAP synchronisation can run it on a schedule, \
             watched and reported: a job with kind = \"ftrack-ldap\"."
        ),
    )
}

fn table(all: &[PlayedChapter]) -> String {
    let mut table = Table::new();
    *table.style_mut() = NOTHING;
    table.set_header(["", "OUTCOME", "STATUS", "WRITES", "ACTIVE"]);
    for played in all {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(heading(played.chapter)),
            Cell::new(played.report.outcome.as_str()),
            number((played.exit.number()).to_string()),
            number(played.report.ftrack.write_calls.to_string()),
            number(played.active.to_string()),
        ]);
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn heading_style(text: &str) -> String {
    let style = AnsiColor::Cyan.on_default().bold();
    format!("{style}{text}{style:#}")
}

fn dim(text: &str) -> String {
    let style = Style::new().dimmed();
    format!("{style}{text}{style:#}")
}
