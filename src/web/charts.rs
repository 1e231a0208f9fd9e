//! Charts as inline SVG: people by state, and changes by day.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use super::Site;
use crate::model::summary::RunSummary;

/// How many days the chart of changes shows.
pub(super) const DAYS: u64 = 30;

/// The width of both charts, in their own units.
const WIDTH: usize = 600;

/// The height of the bars of the days.
const HEIGHT: usize = 80;

/// The width of a day.
const DAY_WIDTH: usize = WIDTH / DAYS as usize;

/// The least width of a part of a bar.
const NARROWEST: usize = 4;

/// A part of a bar.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Part {
    class: &'static str,
    name: &'static str,
    count: usize,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// What the people of a job are, after its last run that did not fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct People {
    pub active: usize,
    pub inactive: usize,
    pub held: usize,
    pub unsettled: usize,
}

impl People {
    pub(super) fn of(run: &RunSummary) -> Self {
        Self {
            active: run.owned_active,
            inactive: run.owned.saturating_sub(run.owned_active),
            held: run.held,
            unsettled: run.unsettled,
        }
    }

    fn parts(self) -> Vec<Part> {
        let named = [
            ("active", "active", self.active),
            ("inactive", "inactive", self.inactive),
            ("unsettled", "to be decided", self.unsettled),
        ];
        let shown = named.into_iter().filter(|(_, _, count)| *count > 0);
        // However few, they are seen: each has this much, and the rest is shared.
        let spare = WIDTH - NARROWEST * named.len();
        let wide = |number: usize| u128::try_from(number).unwrap_or_default();
        let all: u128 = shown.clone().map(|(_, _, count)| wide(count)).sum();
        let mut parts = Vec::new();
        let mut x = 0;
        for (class, name, count) in shown {
            let share = wide(count) * wide(spare) / all;
            let width = NARROWEST + usize::try_from(share).unwrap_or_default();
            parts.push(Part {
                class,
                name,
                count,
                x,
                y: 0,
                width,
                height: 16,
            });
            x += width;
        }
        parts
    }
}

/// What was written on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    added: usize,
    changed: usize,
    gone: usize,
}

impl Written {
    fn add(&mut self, run: &RunSummary) {
        let counts = &run.counts;
        self.added += counts.created + counts.adopted + counts.reactivated;
        self.changed += counts.updated + counts.role_changes + counts.group_changes;
        self.gone += counts.deactivated;
    }

    fn sum(self) -> usize {
        self.added + self.changed + self.gone
    }
}

/// One day of the chart.
#[derive(Debug, Serialize)]
struct Day {
    date: String,
    words: String,
    x: usize,
    parts: Vec<Part>,
}

/// The first moment that the chart of changes shows.
pub(super) fn since(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_sub_days(Days::new(DAYS)).unwrap_or(now)
}

/// What runs wrote by day, in a zone, up to now.
fn days(runs: &[RunSummary], zone: Tz, now: DateTime<Utc>) -> Vec<(NaiveDate, Written)> {
    let date = |time: DateTime<Utc>| time.with_timezone(&zone).date_naive();
    let mut written: BTreeMap<NaiveDate, Written> = BTreeMap::new();
    let wrote = runs.iter().filter(|run| !run.dry_run && !run.observed);
    for run in wrote {
        written.entry(date(run.started_at)).or_default().add(run);
    }
    let today = date(now);
    let back = (0..DAYS).rev();
    back.filter_map(|back| today.checked_sub_days(Days::new(back)))
        .map(|day| (day, written.get(&day).copied().unwrap_or_default()))
        .collect()
}

fn columns(index: usize, (date, written): (NaiveDate, Written), most: usize) -> Day {
    let x = index * DAY_WIDTH;
    let mut y = HEIGHT;
    let named = [
        ("added", "added", written.added),
        ("changed", "changed", written.changed),
        ("gone", "deactivated", written.gone),
    ];
    let parts = named.into_iter().filter(|(_, _, count)| *count > 0);
    let parts: Vec<Part> = parts
        .map(|(class, name, count)| {
            let height = (count.saturating_mul(HEIGHT) / most.max(1)).clamp(2, HEIGHT);
            y = y.saturating_sub(height);
            Part {
                class,
                name,
                count,
                x,
                y,
                width: DAY_WIDTH - 3,
                height,
            }
        })
        .collect();
    let words: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {}", part.count, part.name))
        .collect();
    Day {
        date: date.format("%Y-%m-%d").to_string(),
        words: words.join(", "),
        x,
        parts,
    }
}

impl Site {
    /// People by state, as a bar; nothing where it is not known.
    pub(super) fn people_chart(&self, people: Option<People>) -> Value {
        let Some(people) = people else {
            return Value::from("");
        };
        self.chart(
            "people.svg",
            context! {
                width => WIDTH,
                parts => Value::from(Serde(people.parts())),
                held => people.held,
            },
        )
    }

    /// Changes by day.
    pub(super) fn days_chart(&self, runs: &[RunSummary], zone: Tz, now: DateTime<Utc>) -> Value {
        let days = days(runs, zone, now);
        let most = days.iter().map(|(_, written)| written.sum()).max();
        let most = most.unwrap_or_default();
        let all = days.iter().map(|(_, written)| written.sum()).sum::<usize>();
        let bars: Vec<Day> = days
            .into_iter()
            .enumerate()
            .map(|(index, day)| columns(index, day, most))
            .collect();
        self.chart(
            "days.svg",
            context! {
                width => WIDTH,
                height => HEIGHT,
                day_width => DAY_WIDTH,
                days => Value::from(Serde(bars)),
                number => DAYS,
                most,
                all,
                zone => zone.name(),
            },
        )
    }

    fn chart(&self, template: &str, content: Value) -> Value {
        let chart = self
            .templates
            .get_template(template)
            .and_then(|template| template.render(content));
        // A page without its chart is still a page.
        chart.map_or_else(|_| Value::from(""), Value::from_safe_string)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_bar_of_people_is_as_wide_as_the_chart_at_the_most() {
        for people in [
            (0, 0, 0),
            (1, 0, 0),
            (1000, 1, 1),
            (1, 1000, 1),
            (3, 3, 3),
            (usize::MAX / 4, 1, 1),
        ] {
            let (active, inactive, unsettled) = people;
            let people = People {
                active,
                inactive,
                held: 0,
                unsettled,
            };
            let parts = people.parts();
            let shown = [active, inactive, unsettled];
            assert_eq!(
                parts.len(),
                shown.iter().filter(|count| **count > 0).count()
            );
            for part in parts {
                assert!(part.x + part.width <= WIDTH, "{part:?}");
                assert!(part.width >= NARROWEST, "{part:?}");
            }
        }
    }

    #[test]
    fn a_day_is_one_of_the_zone() {
        let now: DateTime<Utc> = "2026-03-10T23:30:00Z".parse().unwrap();
        let all = days(&[], Tz::Europe__Stockholm, now);
        assert_eq!(all.len(), 30);
        assert_eq!(all.last().unwrap().0.to_string(), "2026-03-11");
        let written = Written {
            added: 1,
            changed: 100,
            gone: 3,
        };
        let day = columns(29, (all[29].0, written), 104);
        assert_eq!(day.words, "1 added, 100 changed, 3 deactivated");
        assert!(day.parts.iter().all(|part| part.y + part.height <= HEIGHT));
        assert!(day.parts.iter().all(|part| part.x + part.width <= WIDTH));
    }
}
