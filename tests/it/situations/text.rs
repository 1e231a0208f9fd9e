//! Plans, reports and users as text that is the same each time.

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::report::Report,
    run::{
        saved::SavedPlan,
        text::{self, Extent},
    },
};
use serde_json::Value;

/// A plan as `plan` prints it, without the lines that say what was read and who the missing people
/// are; entries that are ordered by their ids are ordered by their names.
pub fn plan(mut plan: SavedPlan) -> String {
    plan.skipped.sort_by(|a, b| a.dn.cmp(&b.dn));
    plan.warnings.sort();
    without_servers(&text::plan(&plan, Extent::Whole))
}

fn without_servers(text: &str) -> String {
    let is_told = |line: &&str| {
        !["  directory ", "  ftrack ", "      person: "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let told = text.lines().filter(is_told);
    told.map(|line| format!("{line}\n")).collect()
}

/// A report as `sync` prints it, without its first lines, which say when it ran and what was read.
pub fn report(report: &Report) -> String {
    let mut report = report.clone();
    report.skipped.sort_by(|a, b| a.dn.cmp(&b.dn));
    report.warnings.sort();
    // Whoever runs the tests.
    report.approved_by = None;
    let text = text::report(&report, Extent::Whole);
    let told = without_servers(text.split_once('\n').map_or("", |(_, rest)| rest));
    format!("{}{told}", report.outcome.as_str())
}

/// A user of ftrack in one line: login, activity, name, mail, and what the link says.
pub fn user(user: &Account) -> String {
    let link = user.metadata.get("ftrack-ldap-sync").map(|text| {
        let link: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match (link["source"].as_str(), link["activity"].as_str()) {
            (Some(source), Some(activity)) => format!("{source}, {activity}"),
            _ => "a link that cannot be read".to_owned(),
        }
    });
    let active = if user.is_active { "active" } else { "inactive" };
    let (first, last) = (user.first_name.as_deref(), user.last_name.as_deref());
    format!(
        "{}: {active}, {:?} {:?} <{}>; {}\n",
        user.username,
        first.unwrap_or_default(),
        last.unwrap_or_default(),
        user.email.as_deref().unwrap_or_default(),
        link.as_deref().unwrap_or("no link")
    )
}

/// A text without colours, in which ids are `[id]` and times are `[time]`.
pub fn plain(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some(next) = rest.chars().next() {
        let (said, length) = [("[id]", id(rest)), ("[time]", time(rest))]
            .into_iter()
            .find_map(|(said, length)| Some((said, length?)))
            .unwrap_or(("", 0));
        if length > 0 {
            plain.push_str(said);
            rest = &rest[length..];
        } else {
            plain.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    plain
}

/// The length of the UUID at the start of a text.
fn id(text: &str) -> Option<usize> {
    starts_like(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", |byte| {
        byte.is_ascii_hexdigit()
    })
}

/// The length of the time at the start of a text: for people, or as in JSON, with or without
/// fractions of a second.
fn time(text: &str) -> Option<usize> {
    if let Some(length) = starts_like(text, "xxxx-xx-xx xx:xx:xx UTC", |byte| {
        byte.is_ascii_digit()
    }) {
        return Some(length);
    }
    let whole = starts_like(text, "xxxx-xx-xxTxx:xx:xx", |byte| byte.is_ascii_digit())?;
    let rest = &text[whole..];
    Some(whole + rest.find('Z').filter(|end| *end < 11)? + 1)
}

/// The length of a form, if the text starts with it; an `x` of the form is any byte that fits.
fn starts_like(text: &str, form: &str, fits: impl Fn(u8) -> bool) -> Option<usize> {
    let start = text.as_bytes().get(..form.len())?;
    let is_so = start.iter().zip(form.bytes()).all(|(byte, wanted)| {
        if wanted == b'x' {
            fits(*byte)
        } else {
            *byte == wanted
        }
    });
    is_so.then_some(form.len())
}
