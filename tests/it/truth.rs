//! Reports are true: whatever happens, a report matches the stand-in's log, and after the faults
//! both sides converge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod costs;
mod scenario;
pub mod witness;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use scenario::{Step, steps};

/// How many scenarios are tried; each is a handful of runs of the program.
fn cases() -> u32 {
    let asked = std::env::var("FTRACK_LDAP_SYNC_TEST_CASES");
    asked
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(12)
}

#[test]
fn reports_are_true_and_both_sides_come_together_in_the_end() {
    let config = Config {
        cases: cases(),
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let scenario = (any::<bool>(), any::<bool>(), any::<bool>(), steps());
    TestRunner::new(config)
        .run(
            &scenario,
            |(partial, ignores_case, unique_mail, steps): (bool, bool, bool, Vec<Step>)| {
                scenario::play(scenario::rules(partial, ignores_case, unique_mail), &steps);
                Ok(())
            },
        )
        .unwrap();
}
