//! A message for Slack and Mattermost: both read attachments, and links as `<URL|text>`.
//!
//! Names and other texts of servers stand in code, in which neither reads markup or mentions.

use serde_json::{Value, json};

use super::text;
use crate::notify::shown::{Mood, Section, Shown};

/// The longest text of an attachment, in characters; Slack cuts longer ones.
const LONGEST: usize = 7_000;

/// The body of the call.
pub fn body(shown: &Shown) -> Value {
    let Shown {
        title,
        mood,
        facts,
        sections,
        page,
    } = shown;
    let mut lines: Vec<String> = facts
        .iter()
        .map(|fact| format!("{}: {}", fact.name, code(&fact.text)))
        .collect();
    for section in sections {
        of_section(&mut lines, section);
    }
    if let Some(page) = page {
        lines.push(format!("<{}|web page>", escaped(page.as_str())));
    }
    let mut body = String::new();
    for line in lines {
        if body.len() + line.len() > LONGEST {
            body.push_str("…\n");
            break;
        }
        body.push_str(&line);
        body.push('\n');
    }
    let title = escaped(title);
    let color = match mood {
        Mood::Good => "good",
        Mood::Waiting => "warning",
        Mood::Bad => "danger",
    };
    json!({
        "text": title,
        "attachments": [{
            "color": color,
            "fallback": title,
            "text": text(body),
            "mrkdwn_in": ["text"],
        }],
    })
}

fn of_section(lines: &mut Vec<String>, section: &Section) {
    let Section {
        title,
        lines: people,
        more,
        commands,
        link,
    } = section;
    lines.push(escaped(title));
    lines.extend(people.iter().map(|line| format!("• {}", code(line))));
    if *more > 0 {
        lines.push(format!("• and {more} more"));
    }
    lines.extend(commands.iter().map(|command| code(command)));
    lines.extend(
        link.iter()
            .map(|link| format!("<{}|decide>", escaped(link.as_str()))),
    );
}

/// What is no markup of Slack (its documentation: "Escaping text").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// As code, which ends at the next backtick.
fn code(text: &str) -> String {
    format!("`{}`", escaped(text).replace('`', "'"))
}
