//! The result of `config test` as text.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{
    EXPECTED, FileResult, TestResult, Written,
    compare::{Difference, Tested},
};
use crate::escape::escape_control;

/// The result as text; the caller strips colours where they are not wanted.
pub fn text(result: &TestResult) -> String {
    let mut text = String::new();
    for file in &result.files {
        of_file(&mut text, file);
    }
    line(&mut text, &summary(result));
    text
}

fn of_file(text: &mut String, file: &FileResult) {
    let kind = file
        .kind
        .map(|kind| format!(" ({kind})"))
        .unwrap_or_default();
    let name = format!("{}{kind}", escape_control(&file.file));
    line(text, &paint(Style::new().bold(), &name));
    if let Some(error) = &file.error {
        for (number, said) in error.lines().enumerate() {
            let word = if number == 0 {
                failed()
            } else {
                "    ".to_owned()
            };
            line(text, &format!("  {word}  {}", escape_control(said)));
        }
    }
    for entry in &file.entries {
        of_entry(text, entry);
    }
    for note in &file.notes {
        let word = paint(AnsiColor::Yellow.on_default(), "note");
        line(text, &format!("  {word}  {}", escape_control(note)));
    }
    let stem = file.file.strip_suffix(super::LDIF).unwrap_or(&file.file);
    let of_written = |what: &str| format!("  {}{EXPECTED} {what}", escape_control(stem));
    match file.written {
        Some(Written::Created) => line(text, &of_written("is written")),
        Some(Written::Updated) => line(text, &of_written("is written anew")),
        Some(Written::Unchanged) => line(text, &of_written("is as it was")),
        None => {}
    }
    line(text, "");
}

fn of_entry(text: &mut String, entry: &Tested) {
    let word = if entry.passed {
        paint(AnsiColor::Green.on_default(), "ok  ")
    } else {
        failed()
    };
    let said = match (&entry.expected, &entry.actual) {
        (Some(_), Some(actual)) => actual.summary(),
        (None, Some(actual)) => format!("nothing is expected of it; it is: {}", actual.summary()),
        (Some(expected), None) => {
            format!("the LDIF file lacks it; expected: {}", expected.summary())
        }
        (None, None) => String::new(),
    };
    let (dn, said) = (escape_control(&entry.dn), escape_control(&said));
    line(text, &format!("  {word}  {dn}: {said}"));
    for Difference {
        field,
        expected,
        actual,
    } in &entry.differences
    {
        let field = escape_control(field);
        let (expected, actual) = (shown(expected), shown(actual));
        line(
            text,
            &format!("          {field}: expected {expected}, and it is {actual}"),
        );
    }
}

fn shown(value: &Value) -> String {
    if value.is_null() {
        return "none".to_owned();
    }
    escape_control(&value.to_string()).into_owned()
}

fn summary(result: &TestResult) -> String {
    let errors = result.files.iter().filter(|file| file.error.is_some());
    let errors = match errors.count() {
        0 => String::new(),
        1 => ", 1 file could not be tested".to_owned(),
        number => format!(", {number} files could not be tested"),
    };
    let TestResult { passed, failed, .. } = result;
    format!("{passed} as expected, {failed} not{errors}.")
}

fn failed() -> String {
    paint(AnsiColor::Red.on_default().bold(), "FAIL")
}

fn line(text: &mut String, line: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{line}");
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
