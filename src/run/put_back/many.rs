//! That what is put back deactivates many, which no limit holds.

use crate::{
    config::{Job, JobKind, Limit},
    model::{
        change::{Action, Change},
        report::Report,
        user::Current,
    },
    sync::guard::most,
};

/// How each such text ends, by which a report is known to have one.
const NOT_HELD: &str = "no limit holds what is put back";

/// What a report says of deactivations of more users than the job's limit allows a run, or of most of
/// them; none where they are fewer.
#[must_use]
pub fn warning_in(report: &Report) -> Option<&str> {
    let mut warnings = report.warnings.iter().map(String::as_str);
    warnings.find(|warning| warning.ends_with(NOT_HELD))
}

/// The same of these changes, of a job that owns so many active users.
pub(super) fn warning(
    job: &Job,
    changes: &[Change],
    owned_active: usize,
    current: &Current,
) -> Option<String> {
    let deactivations = changes.iter();
    let deactivations = deactivations.filter(|change| change.action == Action::Deactivate);
    let (limit, active, whose) = match &job.kind {
        JobKind::Ldap(ldap) => (
            ldap.limits.deactivate,
            owned_active,
            "the job's active users",
        ),
        JobKind::FtrackLdap(ldap) => {
            let active = current.users.iter().filter(|user| user.is_active);
            (ldap.deactivate, active.count(), "all active users")
        }
    };
    words(deactivations.count(), (active, whose), limit)
}

fn words(deactivated: usize, (active, whose): (usize, &str), limit: Limit) -> Option<String> {
    let allowed = most(limit, active);
    let is_most = deactivated.saturating_mul(2) > active;
    if deactivated == 0 || (deactivated <= allowed && !is_most) {
        return None;
    }
    let more = if deactivated > allowed {
        format!("more than limits.deactivate ({allowed}) lets a run do by itself")
    } else {
        "most of them".to_owned()
    };
    Some(format!(
        "this deactivates {deactivated} of {whose} ({active}): {more}; {NOT_HELD}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_limit_or_most_of_them_get_a_warning() {
        let text = |deactivated, active, limit| words(deactivated, (active, "users"), limit);
        let ten = Limit::Percent(10);
        assert_eq!(text(0, 0, Limit::Percent(0)), None);
        assert_eq!(text(19, 195, ten), None);
        assert_eq!(
            text(20, 195, ten).unwrap(),
            "this deactivates 20 of users (195): more than limits.deactivate (19) lets a run do by \
             itself; no limit holds what is put back"
        );
        let all = Limit::Percent(100);
        assert_eq!(text(5, 10, all), None);
        assert_eq!(
            text(6, 10, all).unwrap(),
            "this deactivates 6 of users (10): most of them; no limit holds what is put back"
        );
    }
}
