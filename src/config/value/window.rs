//! Windows of the week, days, and kinds of change, as they are written.

use std::str::FromStr;

use chrono::{NaiveDate, Weekday, WeekdaySet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::finding::did_you_mean,
    model::{
        change_kind::ChangeKind,
        window::{DAY_MINUTES, Window},
    },
};

/// The longest text of a window, in bytes.
const LONGEST: usize = 100;

/// The days of the week, as they are written.
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Mon),
    ("Tue", Weekday::Tue),
    ("Wed", Weekday::Wed),
    ("Thu", Weekday::Thu),
    ("Fri", Weekday::Fri),
    ("Sat", Weekday::Sat),
    ("Sun", Weekday::Sun),
];

/// How a window is written.
const FORM: &str = "it is written such as \"Mon-Thu 09:00-16:00\", \"Sat,Sun 22:00-06:00\" or, for \
                    every day, \"09:00-16:00\"";

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes; {FORM}"));
        }
        let wrong = |why: String| format!("{text:?} is not a window: {why}");
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (on, hours) = match words.as_slice() {
            [hours] if hours.contains(':') => (None, *hours),
            [on, hours] => (Some(*on), *hours),
            [] | [_] | [_, _, ..] => return Err(wrong(FORM.to_owned())),
        };
        let on = on.map_or(Ok(WeekdaySet::ALL), days).map_err(wrong)?;
        let (from, to) = hours
            .split_once('-')
            .ok_or_else(|| wrong(FORM.to_owned()))?;
        let (from, to) = (minute(from).map_err(wrong)?, minute(to).map_err(wrong)?);
        if from == DAY_MINUTES {
            return Err(wrong(
                "it begins at 00:00 of a day, not at 24:00".to_owned(),
            ));
        }
        if from == to {
            return Err(wrong(
                "it ends when it begins; a whole day is \"00:00-24:00\"".to_owned(),
            ));
        }
        Ok(Self::new(&words.join(" "), on, from, to))
    }
}

/// Days and ranges of days, separated by commas.
fn days(text: &str) -> Result<WeekdaySet, String> {
    let mut all = WeekdaySet::EMPTY;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut on = first;
        all.insert(on);
        while on != last {
            on = on.succ();
            all.insert(on);
        }
    }
    Ok(all)
}

fn day(name: &str) -> Result<Weekday, String> {
    let mut known = DAYS.iter();
    let found = known.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, day)| *day).ok_or_else(|| {
        let names = DAYS.map(|(name, _)| name);
        // A name in full is nearer to its own beginning than to anything else.
        let begins = names.into_iter().find(|known| {
            name.get(..3)
                .is_some_and(|begin| begin.eq_ignore_ascii_case(known))
        });
        let meant = match begins {
            Some(known) => format!("; did you mean {known}?"),
            None => did_you_mean(name, names),
        };
        format!(
            "{name:?} is not a day of the week ({}){meant}",
            names.join(", ")
        )
    })
}

/// The minute of the day, up to 24:00.
fn minute(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is not a time of day from 00:00 to 24:00");
    let digits = |text: &str| {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let (hour, minute) = (
        digits(hour).ok_or_else(wrong)?,
        digits(minute).ok_or_else(wrong)?,
    );
    let minutes = hour * 60 + minute;
    if minute < 60 && minutes <= DAY_MINUTES {
        Ok(minutes)
    } else {
        Err(wrong())
    }
}

impl FromStr for ChangeKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            format!(
                "{name:?} is not a kind of change ({}){}",
                names.join(", "),
                did_you_mean(name, names)
            )
        })
    }
}

/// A day, such as `2026-12-18`, or what is wrong with the text, so that all mistakes of a table are
/// reported at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(inline, with = "String", extend("format" = "date"))]
pub struct Day(pub Result<NaiveDate, String>);

impl From<String> for Day {
    fn from(text: String) -> Self {
        // Years of other than four digits, and blanks, are not meant.
        let day = Some(&text).filter(|text| text.len() == "2026-12-18".len());
        let day = day.and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
        Self(day.ok_or_else(|| format!("{text:?} is not a day such as \"2026-12-18\"")))
    }
}

impl From<Day> for String {
    fn from(Day(day): Day) -> Self {
        day.map_or_else(|problem| problem, |day| day.to_string())
    }
}

impl From<NaiveDate> for Day {
    fn from(day: NaiveDate) -> Self {
        Self(Ok(day))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_says_what_is_wrong_with_it() {
        let problem = |text: &str| text.parse::<Window>().unwrap_err();
        let problems = [
            "",
            "Mon-Thu",
            "Mnd 09:00-16:00",
            "Thursday 09:00-16:00",
            "Mon 9:00-16:00",
            "Mon 09:00-25:00",
            "Mon 09:00",
            "Mon 09:00-09:00",
            "Mon 24:00-01:00",
            "Mon - Thu 09:00-16:00",
        ]
        .map(problem);
        insta::assert_snapshot!(problems.join("\n"), @r#"
        "" is not a window: it is written such as "Mon-Thu 09:00-16:00", "Sat,Sun 22:00-06:00" or, for every day, "09:00-16:00"
        "Mon-Thu" is not a window: it is written such as "Mon-Thu 09:00-16:00", "Sat,Sun 22:00-06:00" or, for every day, "09:00-16:00"
        "Mnd 09:00-16:00" is not a window: "Mnd" is not a day of the week (Mon, Tue, Wed, Thu, Fri, Sat, Sun)
        "Thursday 09:00-16:00" is not a window: "Thursday" is not a day of the week (Mon, Tue, Wed, Thu, Fri, Sat, Sun); did you mean Thu?
        "Mon 9:00-16:00" is not a window: "9:00" is not a time of day from 00:00 to 24:00
        "Mon 09:00-25:00" is not a window: "25:00" is not a time of day from 00:00 to 24:00
        "Mon 09:00" is not a window: it is written such as "Mon-Thu 09:00-16:00", "Sat,Sun 22:00-06:00" or, for every day, "09:00-16:00"
        "Mon 09:00-09:00" is not a window: it ends when it begins; a whole day is "00:00-24:00"
        "Mon 24:00-01:00" is not a window: it begins at 00:00 of a day, not at 24:00
        "Mon - Thu 09:00-16:00" is not a window: it is written such as "Mon-Thu 09:00-16:00", "Sat,Sun 22:00-06:00" or, for every day, "09:00-16:00"
        "#);
    }

    #[test]
    fn windows_are_shown_as_they_are_written() {
        for text in [
            "Mon-Thu 09:00-16:00",
            "sat,sun 22:00-06:00",
            "00:00-24:00",
            "Fri-Mon,Wed 09:00-16:00",
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[-A-Za-z,0-9: ]{0,40}") {
            let _ = text.parse::<Window>();
            let _ = Day::from(text.clone());
            let _ = text.parse::<ChangeKind>();
        }
    }
}
