//! What people see on a terminal: lines that fit, a screenful, and log lines that can be read.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    slapd::wait_until,
    studio::{Studio, dn, person},
};

/// A terminal of a size in columns and rows, on which a program writes.
struct Screen {
    person: File,
    program: OwnedFd,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let program: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap()
            .into();
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&program, size).unwrap();
        Self {
            person: person.into(),
            program,
        }
    }

    /// Starts a program with both outputs on this terminal.
    fn start(self, mut command: Command) -> (Child, thread::JoinHandle<String>) {
        let child = command
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .stdout(Stdio::from(self.program.try_clone().unwrap()))
            .stderr(Stdio::from(self.program))
            .spawn()
            .unwrap();
        let mut person = self.person;
        let shown = thread::spawn(move || {
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(length @ 1..) = person.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..length]);
            }
            String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
        });
        (child, shown)
    }

    /// What a command shows to somebody who answers its question like this, and its exit status.
    fn asks(self, studio: &Studio, arguments: &[&str], answer: &str) -> (String, Option<i32>) {
        let mut command = studio.command(arguments);
        command
            .env("NO_COLOR", "1")
            .stdin(Stdio::from(self.program.try_clone().unwrap()));
        (&self.person).write_all(answer.as_bytes()).unwrap();
        let (mut child, shown) = self.start(command);
        let status = child.wait().unwrap().code();
        (shown.join().unwrap(), status)
    }

    /// What a command shows, without colours and progress.
    fn shows(self, studio: &Studio, arguments: &[&str]) -> String {
        let mut command = studio.command(arguments);
        command.env("NO_COLOR", "1");
        let (mut child, shown) = self.start(command);
        child.wait().unwrap();
        let shown = shown.join().unwrap();
        assert!(
            !shown.contains('\u{1b}') && !shown.contains('\r'),
            "{shown:?}"
        );
        shown
    }
}

/// Lines that are longer than a terminal is wide although they consist of several words.
fn too_long(shown: &str, columns: usize) -> Vec<&str> {
    let lines = shown.lines();
    lines
        .filter(|line| line.chars().count() > columns && line.trim().contains(' '))
        .collect()
}

/// A studio with many people to create, one to update, and two to deactivate, who are held.
fn studio() -> Studio {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]).end_to_end();
    studio.job = "limits.deactivate = 0\n".into();
    studio.sync();
    let tree = studio.tree();
    for uid in ["bob", "cyd"] {
        tree.remove(&dn(uid)).unwrap();
    }
    tree.replace(&dn("ada"), "sn", &["Holm"]).unwrap();
    for number in 0..40 {
        let uid = format!("somebody-with-a-long-login-{number}");
        tree.add(person(&uid, "Somebody", "New")).unwrap();
    }
    studio
}

#[test]
fn a_plan_starts_with_what_was_read_and_shows_a_screenful_with_the_counts() {
    let studio = studio();
    for (columns, rows) in [(80, 24), (120, 50)] {
        let shown = Screen::new(columns, rows).shows(&studio, &["plan"]);
        assert_eq!(too_long(&shown, columns.into()), [""; 0], "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let headline = "Plan for artists: 40 to create, 1 to update, 2 to deactivate";
        assert!(lines[0].starts_with(headline), "{shown}");
        let (directory, ftrack) = (&studio.directory_url, studio.ftrack_url());
        assert!(
            shown.contains(&format!(
                "  directory  {directory}: 41 entries, read completely"
            )) && shown.contains(&format!(
                "  ftrack     {ftrack}: 5 users, 3 of this job, 3 of"
            )),
            "{shown}"
        );
        // At least one of each kind, and how many more there are.
        for words in [
            "+ create     somebody-with-a-long-login-0",
            "~ update     ada",
            "- deactivate bob",
            "more to create",
            "person: Given bob, bob@studio.test, last DN",
            "2 changes are held",
            "`--all` shows the rest.",
        ] {
            assert!(shown.contains(words), "{words:?} is not in\n{shown}");
        }
        assert!(
            lines.len() <= usize::from(rows) + 16,
            "{}:\n{shown}",
            lines.len()
        );
        assert!(shown.matches("Plan for artists").count() == 2, "{shown}");
    }
    let all = Screen::new(80, 24).shows(&studio, &["plan", "--all"]);
    assert_eq!(all.matches("+ create").count(), 40, "{all}");
    let piped = studio.run(&["plan"]).stdout;
    assert_eq!(piped.matches("+ create").count(), 40, "{piped}");
    assert!(!piped.contains("--all"), "{piped}");
}

#[test]
fn what_is_said_of_many_people_is_one_warning_on_a_terminal() {
    let leavers = ["bob", "cyd", "dan", "eve", "fay", "gus"];
    let mut studio = Studio::of(&["ada", "hal", "ian", "kim", "lea", "max"]).end_to_end();
    for uid in leavers {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    studio.sync();
    studio.job = "users.deactivate = false\n".into();
    for uid in leavers {
        studio.tree().remove(&dn(uid)).unwrap();
    }
    // Some who are skipped, all for the same reason.
    for number in 0..5 {
        let uid = format!("nobody{number}");
        studio.tree().add(person(&uid, "Given", "Last")).unwrap();
        let mail = &["no address"];
        studio.tree().replace(&dn(&uid), "mail", mail).unwrap();
    }
    let in_words = |shown: &str| shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let left = "the person of the user \"bob\" left, and users.deactivate is false";
    for (arguments, rest) in [
        (&["plan"][..], "`--all` shows the rest."),
        (&["sync"], "shows the rest."),
    ] {
        let shown = Screen::new(80, 50).shows(&studio, arguments);
        assert_eq!(too_long(&shown, 80), [""; 0], "{shown}");
        let words = in_words(&shown);
        for part in [
            &*format!("{left}; the same of cyd, dan, eve, and 2 more"),
            rest,
        ] {
            assert!(words.contains(part), "{part:?} is not in\n{shown}");
        }
        assert_eq!(words.matches("users.deactivate is false").count(), 1);
        let named: Vec<&str> = lines_with(&shown, "uid=nobody");
        assert_eq!(named.len(), 3, "{shown}");
        assert!(
            words.contains("5 entries skipped:")
                && words.contains(&format!("{} … and 2 more", named[2].trim())),
            "{shown}"
        );
    }
    // All of them where nothing is left out.
    let report = studio.sync();
    let of_people = |warnings: &[String]| {
        let all = warnings.iter();
        all.filter(|warning| warning.ends_with("left, and users.deactivate is false"))
            .count()
    };
    assert_eq!(of_people(&report.warnings), 6, "{:?}", report.warnings);
    for shown in [
        Screen::new(80, 50).shows(&studio, &["plan", "--all"]),
        Screen::new(80, 50).shows(&studio, &["runs", "show", "last"]),
        studio.run(&["plan"]).stdout,
    ] {
        let words = in_words(&shown);
        assert_eq!(
            words.matches("users.deactivate is false").count(),
            6,
            "{shown}"
        );
        assert!(!words.contains("the same of"), "{shown}");
        assert_eq!(words.matches("uid=nobody").count(), 5, "{shown}");
    }
}

#[test]
fn a_plan_leaves_out_no_warning_unless_there_are_very_many() {
    let mut studio = Studio::of(&["ada"]);
    studio.job = "limits.unusable = \"100%\"\n".into();
    let skipped = |number: usize| format!("uid=skipped{number},");
    for number in 0..30 {
        let uid = format!("skipped{number}");
        studio.tree().add(person(&uid, "Given", &uid)).unwrap();
        // Each has a reason of its own: those of one reason are folded.
        let mail = format!("none{number}");
        studio.tree().replace(&dn(&uid), "mail", &[&*mail]).unwrap();
        if number == 17 {
            let shown = Screen::new(80, 24).shows(&studio, &["plan"]);
            assert!(
                (0..=17).all(|number| shown.contains(&skipped(number))),
                "{shown}"
            );
            assert!(!shown.contains("… and"), "{shown}");
        }
    }
    let shown = Screen::new(80, 24).shows(&studio, &["plan"]);
    assert!(shown.contains("    … and 10 more\n"), "{shown}");
}

#[test]
fn a_plan_says_how_to_go_on_to_somebody_at_a_terminal() {
    let mut studio = studio();
    let shown = Screen::new(120, 40).shows(&studio, &["plan"]);
    let end: Vec<&str> = shown.lines().rev().take(2).collect();
    assert_eq!(
        [end[1], end[0]],
        [
            "Nothing was written. `plan --out FILE` saves a plan, and `apply FILE` then writes exactly that. `sync` reads again, and",
            "  writes what is not held."
        ],
        "{shown}"
    );
    let piped = studio.run(&["plan"]).stdout;
    assert!(!piped.contains("Nothing was written"), "{piped}");
    // A job with a schedule, and no daemon yet; and a plan that is saved.
    studio.job.push_str("schedule = \"@daily\"\n");
    let shown = Screen::new(120, 40).shows(&studio, &["plan", "artists"]);
    let schedule = "`systemctl enable --now ftrack-ldap-sync`";
    assert!(
        shown.contains("`plan artists --out FILE`") && shown.contains(schedule),
        "{shown}"
    );
    let file = studio.folder().join("plan.json");
    let shown = Screen::new(120, 40).shows(&studio, &["plan", "--out", file.to_str().unwrap()]);
    assert!(
        shown.contains("Saved to")
            && shown.contains(schedule)
            && !shown.contains("Nothing was written"),
        "{shown}"
    );
    // One that only observes writes nothing, and one without changes has nothing to write.
    studio.job.push_str("mode = \"observe\"\n");
    let shown = Screen::new(120, 40).shows(&studio, &["plan"]);
    assert!(!shown.contains(schedule), "{shown}");
    let nothing = Studio::of(&["ada"]);
    nothing.sync();
    let shown = Screen::new(120, 40).shows(&nothing, &["plan"]);
    assert!(!shown.contains("`apply FILE`"), "{shown}");
}

/// The lines of a screen that begin with these words.
fn lines_with<'s>(shown: &'s str, words: &str) -> Vec<&'s str> {
    shown
        .lines()
        .filter(|line| line.trim().starts_with(words))
        .collect()
}

#[test]
fn a_time_stays_on_one_line_of_a_terminal_of_80_columns() {
    let studio = studio();
    let run = studio.run(&["sync"]);
    assert_eq!(run.status, 3, "{}", run.stderr);
    let hold = studio.run(&["holds", "--format", "json"]).stdout;
    let hold: serde_json::Value = serde_json::from_str(&hold).unwrap();
    let number = hold[0]["hold"].to_string();
    let mut rejecting = studio.command(&["reject", &number]);
    rejecting.env("SUDO_USER", "alice");
    assert!(rejecting.output().unwrap().status.success());
    for uid in ["bob", "cyd"] {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    studio.sync();
    let shown = Screen::new(80, 24).shows(&studio, &["holds", "--ended"]);
    let row = lines_with(&shown, &number);
    let time = has_a_minute(row[0]);
    assert!(time && shown.contains("ENDED (UTC)"), "{shown}");
    let studio = studio.for_a_daemon("schedule = \"@yearly\"");
    let daemon = crate::daemon::Daemon::start(&studio);
    // Much is held, as before.
    assert_eq!(studio.run(&["trigger"]).status, 3);
    let shown = Screen::new(80, 24).shows(&studio, &["status"]);
    drop(daemon);
    let row = lines_with(&shown, "artists ");
    assert_eq!(row[0].matches(" UTC").count(), 2, "{shown}");
    assert_eq!(too_long(&shown, 80), [""; 0], "{shown}");
}

/// Whether a line has a time to the minute.
fn has_a_minute(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).any(|pair| {
        chrono::NaiveDateTime::parse_from_str(&pair.join(" "), "%Y-%m-%d %H:%M").is_ok()
    })
}

#[test]
fn users_are_listed_with_whole_entries_beside_or_below_them() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    let shown = Screen::new(80, 24).shows(&studio, &["users"]);
    assert_eq!(
        shown.lines().take(3).collect::<Vec<_>>(),
        [
            " USER  STATE   ENTRY",
            " ada   active  uid=ada,ou=people,dc=studio,dc=test",
            " bob   active  uid=bob,ou=people,dc=studio,dc=test",
        ],
        "{shown}"
    );
    studio.tree().remove(&dn("bob")).unwrap();
    studio.sync();
    let shown = Screen::new(70, 24).shows(&studio, &["users"]);
    let entries = lines_with(&shown, "uid=");
    assert_eq!(
        entries,
        [
            "   uid=ada,ou=people,dc=studio,dc=test",
            "   uid=bob,ou=people,dc=studio,dc=test",
        ],
        "{shown}"
    );
    assert_eq!(too_long(&shown, 70), [""; 0], "{shown}");
}

#[test]
fn what_is_shown_fits_on_the_terminal() {
    let studio = studio();
    studio
        .tree()
        .replace(&dn("ada"), "mail", &["no address"])
        .unwrap();
    for arguments in [
        &["sync"][..],
        &["runs"],
        &["runs", "show", "last"],
        &["check"],
        &["status"],
        &["runs", "show", "nothing"],
    ] {
        for columns in [80, 120] {
            let shown = Screen::new(columns, 24).shows(&studio, arguments);
            assert!(!shown.is_empty());
            assert_eq!(too_long(&shown, columns.into()), [""; 0], "{shown}");
        }
    }
    // A terminal that does not report its size.
    let mut command = studio.command(&["runs", "show", "last"]);
    command.env("COLUMNS", "50").env("NO_COLOR", "1");
    let (mut child, shown) = Screen::new(0, 0).start(command);
    child.wait().unwrap();
    let shown = shown.join().unwrap();
    assert_eq!(too_long(&shown, 50), [""; 0], "{shown}");
    let shown = Screen::new(0, 0).shows(&studio, &["runs", "show", "last"]);
    assert_eq!(too_long(&shown, 80), [""; 0], "{shown}");
    assert!(!too_long(&shown, 50).is_empty(), "{shown}");
}

#[test]
fn the_help_fits_on_the_terminal_and_is_wrapped_once() {
    let help = |columns: u16, columns_variable: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        command.args(arguments).env_clear();
        command
            .env("COLUMNS", columns_variable)
            .env("NO_COLOR", "1");
        let (mut child, shown) = Screen::new(columns, columns / 3).start(command);
        child.wait().unwrap();
        shown.join().unwrap()
    };
    for arguments in [
        &["--help"][..],
        &["-h"],
        &[],
        &["plan", "--help"],
        &["pause", "-h"],
    ] {
        for (columns, variable, width) in
            [(80, "120", 80), (60, "", 60), (0, "70", 70), (0, "", 80)]
        {
            let shown = help(columns, variable, arguments);
            assert!(shown.contains("Usage: ftrack-ldap-sync"), "{shown}");
            assert_eq!(
                too_long(&shown, width),
                [""; 0],
                "{arguments:?} {width}\n{shown}"
            );
        }
    }
    // Without arguments it is the help, and the line after a wrapped one has its indentation.
    let (asked, not_asked) = (help(80, "", &["-h"]), help(80, "", &[]));
    assert_eq!(asked.trim_end(), not_asked.trim_end());
}

#[test]
fn the_daemon_on_a_terminal_logs_for_people() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    let mut command = studio.command(&["daemon"]);
    command.env("NO_COLOR", "1");
    let (mut daemon, shown) = Screen::new(80, 24).start(command);
    let has_run = || studio.run(&["trigger"]).status == 0;
    assert!(wait_until(Duration::from_secs(30), has_run));
    let pid = daemon.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(daemon.wait().unwrap().success());
    let shown = shown.join().unwrap();
    assert_eq!(too_long(&shown, 80), [""; 0], "{shown}");
    let line = |words: &str| {
        let found = shown.lines().find(|line| line.contains(words));
        let line = found.unwrap_or_else(|| panic!("{words:?} is not in\n{shown}"));
        let time = chrono::NaiveDateTime::parse_from_str(&line[..19], "%Y-%m-%d %H:%M:%S");
        assert!(time.is_ok(), "{line}");
    };
    line(" artists: run started");
    line(" artists: changed: action create, username ada");
    line(" artists: run finished: succeeded, ");
    assert!(
        !shown.contains("event=") && !shown.contains("INFO"),
        "{shown}"
    );
}

#[test]
fn a_restore_shows_what_it_would_write_and_asks() {
    let studio = studio();
    studio
        .tree()
        .replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    let run = studio.sync().run;
    let mail = || studio.user("ada").email.unwrap();
    let restore = &["restore", &*run];
    for (answer, after) in [
        ("n\n", "new@studio.test"),
        ("\n", "new@studio.test"),
        ("y\n", "ada@studio.test"),
    ] {
        let (shown, status) = Screen::new(80, 24).asks(&studio, restore, answer);
        assert!(
            shown.contains("new@studio.test -> ada@studio.test"),
            "{shown}"
        );
        assert!(shown.contains("Restore this? [y/N]"), "{shown}");
        assert_eq!(
            (status, &*mail()),
            (Some(i32::from(after.starts_with("new"))), after),
            "{shown}"
        );
    }
    // Nothing is left to ask about.
    let (shown, status) = Screen::new(80, 24).asks(&studio, restore, "n\n");
    assert_eq!(status, Some(0));
    assert!(!shown.contains("[y/N]"), "{shown}");
}
