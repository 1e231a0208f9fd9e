//! A message for a workflow of Microsoft Teams ("When a Teams webhook request is received"): an
//! Adaptive Card.
//!
//! Texts of servers are `TextRun`s, in which Teams reads no Markdown.

use serde_json::{Value, json};
use url::Url;

use super::text;
use crate::notify::shown::{Mood, Section, Shown};

/// The most bytes of texts: Teams accepts messages of 28 KB.
const LONGEST: usize = 16_000;

/// The most buttons; Teams shows six.
const BUTTONS: usize = 6;

/// The body of the call.
pub fn body(shown: &Shown) -> Value {
    let Shown {
        title,
        mood,
        facts,
        sections,
        page,
    } = shown;
    let color = match mood {
        Mood::Good => "good",
        Mood::Waiting => "warning",
        Mood::Bad => "attention",
    };
    let mut body = vec![paragraph(vec![json!({
        "type": "TextRun",
        "text": title,
        "weight": "bolder",
        "size": "large",
        "color": color,
    })])];
    let mut room = LONGEST;
    let mut add = |runs: Vec<Value>, length: usize| {
        if let Some(left) = room.checked_sub(length) {
            room = left;
            body.push(paragraph(runs));
        }
    };
    for fact in facts {
        let name = json!({"type": "TextRun", "text": format!("{}: ", fact.name), "isSubtle": true});
        add(vec![name, run(&fact.text)], fact.text.len());
    }
    for section in sections {
        let Section {
            title,
            lines,
            more,
            commands,
            link: _,
        } = section;
        add(
            vec![json!({"type": "TextRun", "text": title, "weight": "bolder"})],
            title.len(),
        );
        for line in lines {
            add(vec![run(line)], line.len());
        }
        if *more > 0 {
            add(vec![run(&format!("and {more} more"))], 20);
        }
        for command in commands {
            let shown = json!({"type": "TextRun", "text": command, "fontType": "monospace"});
            add(vec![shown], command.len());
        }
    }
    let decide = sections.iter().filter_map(|section| {
        let link = section.link.as_ref()?;
        let title = section.title.split(':').next().unwrap_or_default();
        Some(button(&format!("Decide: {title}"), link))
    });
    let page = page.iter().map(|page| button("Web page", page));
    let actions: Vec<Value> = decide.take(BUTTONS - 1).chain(page).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": body,
                "actions": actions,
            },
        }],
    })
}

fn paragraph(runs: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs})
}

fn run(shown: &str) -> Value {
    json!({"type": "TextRun", "text": text(shown)})
}

fn button(title: &str, link: &Url) -> Value {
    json!({"type": "Action.OpenUrl", "title": title, "url": link.as_str()})
}
