//! Values of the directory that the custom attributes at ftrack cannot take: what ftrack has stays,
//! and somebody should know.

use super::{Decider, Matched};
use crate::sync::{desired::Identified, difference::Sides};

/// The most values that are named in one notice.
const NAMED: usize = 8;

impl<'a> Matched<'a> {
    /// What the values of people are compared with.
    pub(super) fn sides(&self) -> Sides<'a> {
        Sides {
            current: self.current,
            known: self.known.stored_otherwise,
            rules: &self.rules.written,
        }
    }
}

impl<'a> Decider<'a, '_> {
    /// Notes that values of a person are left out.
    pub(super) fn note_unfit(&mut self, (id, person): &'a Identified, problems: Vec<String>) {
        for problem in problems {
            self.unfit.push((&*person.username, problem.clone()));
            self.plan.unfit.entry(id.clone()).or_default().push(problem);
        }
    }

    /// Tells which values are left out.
    pub(super) fn of_unfit_values(&mut self) {
        let mut unfit = std::mem::take(&mut self.unfit);
        if unfit.is_empty() {
            return;
        }
        unfit.sort();
        let mut said = unfit
            .iter()
            .map(|(login, problem)| format!("{login}: {problem}"));
        let named: Vec<String> = said.by_ref().take(NAMED).collect();
        let more = match said.count() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        self.notice(format!(
            "values of the directory do not fit their custom attributes, so ftrack keeps what it has \
             (invalid_value): {}{more}",
            named.join("; ")
        ));
    }
}
