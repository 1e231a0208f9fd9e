//! The findings of `check` as text: one line each, grouped by subject.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::finding::{Finding, Verdict};
use crate::escape::escape_control;

/// The findings as text; the caller strips colours where they are not wanted.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or_default();
    let mut heading = "";
    for finding in findings {
        if finding.about != heading {
            heading = &finding.about;
            line(
                &mut text,
                &paint(Style::new().bold(), &escape_control(heading)),
            );
        }
        let (word, style) = match finding.result {
            Verdict::Ok => ("ok  ", AnsiColor::Green.on_default()),
            Verdict::Warn => ("warn", AnsiColor::Yellow.on_default()),
            Verdict::Fail => ("FAIL", AnsiColor::Red.on_default().bold()),
        };
        let advice = finding
            .advice
            .as_ref()
            .map(|advice| format!("; {}", escape_control(advice)))
            .unwrap_or_default();
        line(
            &mut text,
            &format!(
                "  {}  {:<width$}  {}{advice}",
                paint(style, word),
                finding.check,
                escape_control(&finding.detail)
            ),
        );
    }
    line(&mut text, &format!("\n{}", summary(findings)));
    text
}

fn summary(findings: &[Finding]) -> String {
    let count = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.result == verdict)
            .count()
    };
    let (failed, warned, well) = (
        count(Verdict::Fail),
        count(Verdict::Warn),
        count(Verdict::Ok),
    );
    let warnings = if warned == 1 {
        "1 warning".to_owned()
    } else {
        format!("{warned} warnings")
    };
    format!("{failed} failed, {warnings}, {well} ok.")
}

fn line(text: &mut String, line: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{line}");
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::check::finding::About;

    #[test]
    fn each_finding_has_its_line_and_nothing_forges_one() {
        let mut about = About::new("directory studio\nldaps://x".into());
        about.ok("bind", "accepted");
        about.fail("people", "a\nFAIL forged \u{1b}[2J", "look\nhere");
        let text = anstream::adapter::strip_str(&text(&about.into_findings())).to_string();
        assert_eq!(
            text,
            "directory studio\\u{a}ldaps://x\n  ok    bind    accepted\n  FAIL  people  \
             a\\u{a}FAIL forged \\u{1b}[2J; look\\u{a}here\n\n1 failed, 0 warnings, 1 ok.\n"
        );
    }
}
