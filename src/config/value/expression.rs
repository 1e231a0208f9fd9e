//! Schedules as they are written.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cron expression of five fields, of six with seconds first, or a nickname such as `@daily`,
/// that occurs at least once.
///
/// The day of the month and the day of the week must both match where both are given, as in the
/// scheduler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct CronExpression {
    text: String,
    cron: Cron,
}

impl CronExpression {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its fields.
    #[must_use]
    pub fn cron(&self) -> &Cron {
        &self.cron
    }
}

impl TryFrom<String> for CronExpression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let cron = parse(&text)?;
        Ok(Self { text, cron })
    }
}

impl FromStr for CronExpression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

impl From<CronExpression> for String {
    fn from(expression: CronExpression) -> Self {
        expression.text
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(expression: &str) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .dom_and_dow(true)
        .build();
    let Ok(cron) = parser.parse(expression) else {
        let fits = |expression: &str| parser.parse(expression).is_ok();
        return Err(format!(
            "{expression:?} is not a cron expression: {}",
            why(expression, fits)
        ));
    };
    if let Some(step) = expression
        .split_whitespace()
        .find(|field| steps_over_everything(expression, field))
    {
        return Err(format!(
            "{expression:?} has the step {step:?}, which is longer than the range that it \
             divides, so that it has no effect"
        ));
    }
    // The result does not depend on the start time, since the expression has no years.
    let start = DateTime::<Utc>::UNIX_EPOCH;
    match cron.find_next_occurrence(&start, false) {
        Ok(_) => Ok(cron),
        Err(_) => Err(format!("{expression:?} never occurs")),
    }
}

/// The fields from the right, each with what it may be.
const FIELDS: [(&str, &str); 6] = [
    ("day of the week", "0 to 7 or SUN to SAT"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the month", "1 to 31, or L for the last"),
    ("hour", "0 to 23"),
    ("minute", "0 to 59"),
    ("second", "0 to 59"),
];

/// What is wrong with an expression: its number of fields, or the first field that is wrong by
/// itself.
fn why(expression: &str, fits: impl Fn(&str) -> bool) -> String {
    const WANTED: &str = "minute, hour, day of the month, month, day of the week; with six, the \
                          first is the second";
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if let [nickname] = fields.as_slice()
        && nickname.starts_with('@')
    {
        return "the nicknames are @hourly, @daily, @weekly, @monthly and @yearly".to_owned();
    }
    if !matches!(fields.len(), 5 | 6) {
        return format!("it has {} fields instead of five ({WANTED})", fields.len());
    }
    let mut from_the_left = fields.iter().enumerate();
    let wrong = from_the_left.find(|(place, _)| {
        let alone: Vec<&str> = fields
            .iter()
            .enumerate()
            .map(|(other, field)| if other == *place { *field } else { "*" })
            .collect();
        !fits(&alone.join(" "))
    });
    wrong
        .and_then(|(place, field)| {
            let (name, may_be) = FIELDS.get(fields.len().checked_sub(place + 1)?)?;
            Some(format!("{field:?} is no {name} ({may_be})"))
        })
        .unwrap_or_else(|| format!("its fields do not go together ({WANTED})"))
}

/// Whether a field such as `*/75` has a step that leaves only the first value.
fn steps_over_everything(expression: &str, field: &str) -> bool {
    /// The number of values, from the right: days of the week, months, days, hours, minutes,
    /// seconds.
    const VALUES: [u32; 6] = [7, 12, 31, 24, 60, 60];
    let from_the_right = expression
        .split_whitespace()
        .rev()
        .zip(VALUES)
        .find(|(other, _)| std::ptr::eq(other.as_ptr(), field.as_ptr()));
    let step = |part: &str| {
        part.split_once('/')
            .and_then(|(_, step)| step.parse::<u32>().ok())
    };
    from_the_right
        .is_some_and(|(_, values)| field.split(',').filter_map(step).any(|step| step >= values))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn schedules() {
        for expression in [
            "*/15 * * * *",
            "30 0 3 * * *",
            "@daily",
            "0 3 * * MON-FRI",
            "0 0 29 2 *",
            "0 0 L * *",
        ] {
            assert!(parse(expression).is_ok(), "{expression}");
        }
        for expression in [
            "",
            "* * * *",
            "61 * * * *",
            "hourly",
            "0 0 3 * * * 2030",
            "@never",
        ] {
            assert!(
                parse(expression)
                    .is_err_and(|problem| problem.contains("is not a cron expression")),
                "{expression}"
            );
        }
        for expression in [
            "*/75 * * * *",
            "*/61 * * * * *",
            "0 */24 * * *",
            "0,*/60 * * * *",
        ] {
            assert!(
                parse(expression).is_err_and(|problem| problem.contains("has the step")),
                "{expression}"
            );
        }
        assert!(parse("*/59 */23 */30 */11 */6").is_ok());
        assert_eq!(
            parse("0 0 30 2 *").unwrap_err(),
            "\"0 0 30 2 *\" never occurs"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[*,/@A-Z0-9 L#-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
