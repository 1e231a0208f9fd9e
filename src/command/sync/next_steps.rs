//! How to go on after a plan, for somebody who sees it on a terminal.

use crate::{
    cli::PlanArgs,
    config::{Config, Job, Mode, service::UNIT},
    escape::escape_control,
    run::saved::SavedPlan,
};

/// What writes what was shown, and what has the job run by itself; none where there is nothing to
/// write, or the job never writes.
pub(super) fn of(config: &Config, args: &PlanArgs, plan: &SavedPlan, job: &Job) -> Option<String> {
    let observes = job.ldap().is_some_and(|ldap| ldap.mode == Mode::Observe);
    if plan.changes.is_empty() || observes {
        return None;
    }
    let named = args.job.as_deref().map(escape_control);
    let named = named.map_or_else(String::new, |name| format!(" {name}"));
    let save = if args.out.is_some() {
        String::new()
    } else {
        format!(
            "Nothing was written. `plan{named} --out FILE` saves a plan, and `apply FILE` then writes \
             exactly that. "
        )
    };
    // A daemon that runs need not be started.
    let schedule = if job.schedule.is_some() && !config.control_socket.exists() {
        format!(" `systemctl enable --now {UNIT}` has it run on its schedule.")
    } else {
        String::new()
    };
    Some(format!(
        "\n{save}`sync{named}` reads again, and writes what is not held.{schedule}\n"
    ))
}
