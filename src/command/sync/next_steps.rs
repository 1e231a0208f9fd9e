//! How to go on after a plan, for somebody who sees it on a terminal.

use crate::{
    cli::PlanArgs,
    command::in_container,
    config::{Config, Job, Mode, service::UNIT},
    escape::escape_control,
    run::saved::SavedPlan,
    state::lock::has_daemon,
};

/// Where a plan is saved: in a container, the folder of the state is what outlives it.
fn plan_file(config: &Config) -> String {
    if !in_container() {
        return "FILE".to_owned();
    }
    let file = config.state_dir.join("plan.json").display().to_string();
    escape_control(&file).into_owned()
}

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
        let file = plan_file(config);
        format!(
            "Nothing was written. `plan{named} --out {file}` saves a plan, and `apply {file}` then \
             writes exactly that. "
        )
    };
    // A daemon that runs need not be started.
    let runs = config.control_socket.exists() || has_daemon(&config.state_dir);
    let schedule = if job.schedule.is_none() || runs {
        String::new()
    } else if in_container() {
        " `docker compose up -d` has it run on its schedule.".to_owned()
    } else {
        format!(" `systemctl enable --now {UNIT}` has it run on its schedule.")
    };
    Some(format!(
        "\n{save}`sync{named}` reads again, and writes what is not held.{schedule}\n"
    ))
}
