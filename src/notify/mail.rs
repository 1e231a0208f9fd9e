//! One message as a mail: text and HTML.

use std::{fmt::Write, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use lettre::{
    Message as Letter,
    message::{
        MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::{
    deliver::{Trouble, said, set_up},
    message::Message,
    settled::Settled,
    shown::{Mood, Section, Shown},
};
use crate::{config::Mail, tls::client::client_config};

mod smtp;

const HTML: &str = include_str!("mail/mail.html");

/// Those who get mail.
#[derive(Debug)]
pub struct MailReceiver {
    mail: Mail,
    /// The name by which this machine says hello.
    host: String,
}

impl MailReceiver {
    pub fn new(mail: &Mail, host: &str) -> Self {
        Self {
            mail: mail.clone(),
            host: host.to_owned(),
        }
    }

    /// Where it goes.
    pub fn shown(&self) -> String {
        let to: Vec<String> = self.mail.to.iter().map(|to| to.email.to_string()).collect();
        let host = self.mail.server.host_str().unwrap_or_default();
        format!("{} by {host}", to.join(", "))
    }

    /// One attempt, for those who are not settled.
    ///
    /// # Errors
    /// The server did not take it, for some of those who get it at least.
    pub async fn send(&self, message: &Message, settled: &Settled) -> Result<(), Trouble> {
        let letter = letter(&self.mail, message)
            .map_err(|error| Trouble::Lasting(format!("the mail cannot be made: {error}")))?;
        let has_tls = self.mail.start_tls || self.mail.server.scheme() == "smtps";
        let tls = if has_tls {
            let ca_file = self.mail.ca_file.clone();
            Some(set_up(move || client_config(ca_file.as_deref()).map(Arc::new)).await?)
        } else {
            None
        };
        let login = match &self.mail.login {
            Some((user, password)) => {
                let password = password.current().await;
                let password = password.map_err(|why| Trouble::passing(why.to_string()))?;
                Some((user.as_str(), password))
            }
            None => None,
        };
        // In the forms in which it is sent.
        let secrets: Vec<String> = login
            .iter()
            .flat_map(|(user, password)| {
                let password = password.expose();
                let plain = STANDARD.encode(format!("\0{user}\0{password}"));
                [password.to_owned(), STANDARD.encode(password), plain]
            })
            .collect();
        let server = smtp::Server {
            mail: &self.mail,
            host: &self.host,
            tls: tls.as_ref(),
            login,
        };
        let sent = server.send(&letter, settled).await;
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        sent.map_err(|trouble| match trouble {
            Trouble::Lasting(why) => Trouble::Lasting(said(&why, &secrets)),
            Trouble::Passing { why, wait } => Trouble::Passing {
                why: said(&why, &secrets),
                wait,
            },
        })
    }
}

/// How long one address of a server may take to be connected to.
const CONNECTING: Duration = Duration::from_secs(3);

fn letter(mail: &Mail, message: &Message) -> anyhow::Result<Letter> {
    let shown = Shown::of(message);
    let mut builder = Letter::builder()
        .from(mail.from.clone())
        .subject(format!("[ftrack-ldap-sync] {}", shown.title))
        .message_id(Some(format!("<{}@ftrack-ldap-sync>", message.id)))
        // RFC 3834: nobody who is on leave answers.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    for to in &mail.to {
        builder = builder.to(to.clone());
    }
    let parts = MultiPart::alternative_plain_html(text(&shown), html(&shown)?);
    Ok(builder.multipart(parts)?)
}

fn html(shown: &Shown) -> Result<String, minijinja::Error> {
    let Shown {
        title,
        mood,
        facts,
        sections,
        page,
    } = shown;
    let facts: Vec<Value> = facts
        .iter()
        .map(|fact| context! { name => fact.name, text => &fact.text })
        .collect();
    let sections: Vec<Value> = sections
        .iter()
        .map(|section| {
            let Section {
                title,
                lines,
                more,
                commands,
                link,
            } = section;
            let link = link.as_ref().map(url::Url::as_str);
            context! { title, lines, more, commands, link }
        })
        .collect();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = page.as_ref().map(url::Url::as_str);
    let bad = *mood == Mood::Bad;
    environment.render_named_str(
        "mail.html",
        HTML,
        context! { title, bad, facts, sections, page },
    )
}

fn text(shown: &Shown) -> String {
    let Shown {
        title,
        mood: _,
        facts,
        sections,
        page,
    } = shown;
    let mut text = format!("{title}\n\n");
    // Writing to a text never fails.
    for fact in facts {
        let _ = writeln!(text, "{:<10} {}", fact.name, fact.text);
    }
    for section in sections {
        let Section {
            title,
            lines,
            more,
            commands,
            link,
        } = section;
        let _ = writeln!(text, "\n{title}");
        for line in lines {
            let _ = writeln!(text, "  - {line}");
        }
        if *more > 0 {
            let _ = writeln!(text, "  - and {more} more");
        }
        for command in commands {
            let _ = writeln!(text, "  {command}");
        }
        if let Some(link) = link {
            let _ = writeln!(text, "  {link}");
        }
    }
    if let Some(page) = page {
        let _ = writeln!(text, "\n{page}");
    }
    text
}
