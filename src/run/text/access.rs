//! Whether the people whom a run was for have access, as text.

use super::{green, line, paint, yellow};
use crate::{
    escape::escape_control,
    model::{access::NamedPerson, report::Report},
};

/// A line for each of them.
pub(super) fn write(text: &mut String, report: &Report) {
    for person in &report.named {
        let NamedPerson {
            who,
            username,
            ftrack_id: _,
            had_access,
            has_access,
            due,
            reason,
            what_to_do,
        } = person;
        let login = username.as_ref().filter(|login| *login != who);
        let who = match login {
            Some(login) => format!("{who} ({login})"),
            None => who.clone(),
        };
        let (style, has) = match (had_access, has_access) {
            (true, true) => (yellow(), "still has access"),
            (false, true) => (green(), "has access now"),
            (true, false) => (green(), "has no access any more"),
            (false, false) => (yellow(), "has no access"),
        };
        let because = if *due { ":" } else { ", because" };
        let told = format!(
            "{}{because} {}",
            paint(style, &format!("{} {has}", escape_control(&who))),
            escape_control(reason)
        );
        line(text, &told);
        if let Some(what_to_do) = what_to_do.as_ref().filter(|_| *had_access) {
            line(
                text,
                &format!("  To end it: {}.", escape_control(what_to_do)),
            );
        }
    }
}
