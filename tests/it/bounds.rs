//! What a hostile or broken server may cost: the real program's peak memory, its log, and what it
//! did to anybody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod directory;
mod ftrack;
mod odd;
mod random;
pub mod tampering;

use std::{
    fs,
    process::{Command, Stdio},
    sync::OnceLock,
};

use ftrack_ldap_sync::model::report::Report;
use serde_json::Value;

use crate::studio::{Ended, Studio};

/// The most bytes that answers may cost, beyond what a small healthy run needs.
const MOST: u64 = 256 << 20;
/// The patience of a directory's settings where an answer is of many MiB.
const PATIENT: &str = "operation_timeout = \"60s\"";
/// Runs a program and writes the most memory that it had, in KiB, into a file.
const MEASURE: &str = "import os, sys\nchild = os.fork()\nif child == 0:\n    \
                       os.execv(sys.argv[2], sys.argv[2:])\n_, status, usage = os.wait4(child, \
                       0)\nwith open(sys.argv[1], 'w') as file:\n    \
                       file.write(str(usage.ru_maxrss))\ncode = \
                       os.waitstatus_to_exitcode(status)\nsys.exit(code if code >= 0 else 128 - \
                       code)\n";

/// A run of the program, and the most memory that it had, in bytes.
struct Measured {
    ended: Ended,
    peak: u64,
}

impl Measured {
    /// A `sync` whose log lines are for programs.
    fn sync(studio: &Studio) -> Self {
        Self::of(studio, &["sync"])
    }

    /// The same of another command that prints a report.
    fn of(studio: &Studio, command: &[&str]) -> Self {
        let arguments = [&["--log-format", "json"], command, &["--format", "json"]].concat();
        let command = studio.command(&arguments);
        let file = studio.folder().join("peak");
        let mut measuring = Command::new("python3");
        measuring
            .args(["-c", MEASURE])
            .arg(&file)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        let ended = Ended::of(measuring.output().unwrap());
        let kibibytes: u64 = fs::read_to_string(file).unwrap().parse().unwrap();
        Self {
            ended,
            peak: kibibytes << 10,
        }
    }

    /// The report, after everything that is true of every run: it cost no more than is allowed, did
    /// not panic, and logged nothing but events.
    fn report(&self) -> Report {
        let Ended {
            status,
            stderr: err,
            ..
        } = &self.ended;
        assert!(
            self.peak <= healthy() + MOST,
            "{} MiB\n{err}",
            self.peak >> 20
        );
        assert!([0, 1, 3, 4].contains(status), "status {status}: {err}");
        for line in err.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert_ne!(event["event"], "program.panicked", "{line}");
            assert!(event["event"].is_string(), "not an event of ours: {line}");
        }
        self.ended.report()
    }

    /// The error of a run that failed and wrote nothing.
    fn failure(&self) -> String {
        let report = self.report();
        assert_eq!(report.ftrack.write_calls, 0, "{report:#?}");
        report.error.unwrap_or_else(|| panic!("it did not fail"))
    }
}

/// The most memory of a run with nothing wrong, in bytes.
fn healthy() -> u64 {
    static HEALTHY: OnceLock<u64> = OnceLock::new();
    *HEALTHY.get_or_init(|| {
        let measured = Measured::sync(&Studio::of(&["ada"]));
        assert_eq!(measured.ended.status, 0, "{}", measured.ended.stderr);
        measured.peak
    })
}
