//! The unit: its form and its sandbox by systemd's own tools, and its life under a real systemd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    ability::{must_skip, must_skip_as_root},
    readme,
    studio::{KEY, PASSWORD, Studio, person},
};

mod machine;

use machine::{Machine, PROGRAMS};

/// The least exposed that a service of this kind can be is about 1.0.
const EXPOSURE: f64 = 1.5;

/// The unit with the program where cargo built it, since systemd-analyze looks whether it is there.
fn unit(folder: &Path) -> std::path::PathBuf {
    let unit = include_str!("../../systemd/ftrack-ldap-sync.service");
    let path = folder.join("ftrack-ldap-sync.service");
    let installed = "/usr/local/bin/ftrack-ldap-sync";
    assert!(unit.contains(&format!("ExecStart={installed} ")));
    fs::write(
        &path,
        unit.replace(installed, env!("CARGO_BIN_EXE_ftrack-ldap-sync")),
    )
    .unwrap();
    path
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if must_skip(
        "systemd_finds_nothing_wrong_with_the_unit",
        &["systemd-analyze"],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // It ends with 0 also for keys that it does not know.
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(unit(folder.path()))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&said).as_ref()
        ),
        (Some(0), "")
    );
}

#[test]
fn a_fault_costs_the_service_and_not_the_machine() {
    let unit = include_str!("../../systemd/ftrack-ldap-sync.service");
    for bound in ["MemoryMax=1G", "TasksMax=256", "LimitCORE=0"] {
        assert!(unit.lines().any(|line| line == bound), "{bound}");
    }
}

#[test]
fn the_sandbox_is_tight() {
    if must_skip("the_sandbox_is_tight", &["systemd-analyze"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=15"])
        .arg(unit(folder.path()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (_, level) = said
        .split_once("Overall exposure level for ftrack-ldap-sync.service: ")
        .expect("the level");
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    assert!(level <= EXPOSURE, "{said}");
}

/// Follows the README up to the point where the service can be enabled.
fn install(machine: &Machine, studio: &Studio) {
    let install = readme::blocks("sh")
        .into_iter()
        .find(|block| block.contains("/usr/local/bin"))
        .expect("how to install");
    let install: String = install
        .lines()
        .filter(|line| !line.starts_with("cargo "))
        .map(|line| format!("{line}\n"))
        .collect();
    machine.ok(&install);
    for (name, secret) in [("ftrack-api-key", KEY), ("ldap-password", PASSWORD)] {
        let save = format!("sudo sh -c 'umask 077; cat > /etc/ftrack-ldap-sync/{name}'");
        assert!(
            include_str!("../../README.md").contains(&save),
            "the README is to say {save}"
        );
        machine.ok_with_input(&save, &format!("{secret}\n"));
    }
    configure(machine, &config(studio));
    let unit = readme::blocks("sh").into_iter();
    let unit = unit.filter(|block| block.contains("install -m 644 systemd/"));
    for block in unit {
        machine.ok(&block);
    }
}

fn configure(machine: &Machine, config: &str) {
    machine.ok_with_input("cat > /etc/ftrack-ldap-sync/config.toml", config);
}

fn config(studio: &Studio) -> String {
    let written = fs::read_to_string(studio.config()).unwrap();
    let kept = written
        .lines()
        .filter(|line| !line.starts_with("state_dir"))
        .map(|line| format!("{line}\n"));
    kept.collect()
}

fn enable(machine: &Machine) {
    let enable = readme::blocks("sh")
        .into_iter()
        .find(|block| block.contains("enable --now"))
        .expect("how to enable");
    machine.ok(&enable);
}

/// A service that does not wait as long as a real one: for the watchdog, and between restarts.
fn shorten(machine: &Machine) {
    let folder = "/run/systemd/system/ftrack-ldap-sync.service.d";
    machine.ok(&format!(
        "mkdir -p {folder}; printf '[Service]\\nWatchdogSec=2\\nRestartSec=100ms\\n' > \
         {folder}/short.conf; systemctl daemon-reload"
    ));
}

fn studio() -> Studio {
    let mut studio = Studio::of(&["anna.berg"]);
    studio.job = "schedule = \"@yearly\"\n".into();
    studio
}

#[test]
fn the_service_lives_as_the_readme_says() {
    if must_skip_as_root("the_service_lives_as_the_readme_says", PROGRAMS) {
        return;
    }
    let (machine, studio) = (Machine::boot(), studio());
    install(&machine, &studio);
    // In the foreground first, as root; the service takes over what that has written.
    machine.ok("sudo ftrack-ldap-sync sync");
    assert!(studio.user("anna.berg").is_active);
    enable(&machine);
    assert_eq!(
        [
            machine.property("ActiveState"),
            machine.property("SubState")
        ],
        ["active", "running"]
    );
    assert_ne!(machine.property("StatusText"), "");
    is_confined(&machine);

    // Orders and questions of root's reach the daemon through its socket.
    studio.tree().add(person("liu.wei", "Wei", "Liu")).unwrap();
    machine.ok("sudo ftrack-ldap-sync status");
    machine.ok("sudo ftrack-ldap-sync trigger artists");
    assert!(studio.user("liu.wei").is_active);
    let runs = machine.ok("sudo ftrack-ldap-sync runs --format json");
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    assert_eq!(runs.as_array().map(Vec::len), Some(2), "{runs}");

    is_in_the_journal(&machine);

    reloads(&machine, &studio);
    gets_a_new_secret(&machine, &studio);

    let stopping = Instant::now();
    machine.ok("systemctl stop ftrack-ldap-sync");
    assert!(
        stopping.elapsed() < Duration::from_secs(10),
        "{:?}",
        stopping.elapsed()
    );
    let ended =
        ["ActiveState", "Result", "ExecMainStatus", "NRestarts"].map(|name| machine.property(name));
    assert_eq!(
        ended,
        ["inactive", "success", "0", "0"],
        "{}",
        machine.journal()
    );

    // What root writes meanwhile is the service's all the same.
    machine.ok("sudo ftrack-ldap-sync sync");
    machine.ok("systemctl start ftrack-ldap-sync");
    is_confined(&machine);
    machine.ok("sudo ftrack-ldap-sync trigger artists");

    is_backed_up_and_put_back(&machine);

    // Without a configuration it does not begin to start.
    machine.ok("systemctl stop ftrack-ldap-sync; rm /etc/ftrack-ldap-sync/config.toml");
    let ended = machine.shell("systemctl start ftrack-ldap-sync");
    assert_ne!(ended.status, 0);
    assert!(ended.said.contains("Assertion failed"), "{}", ended.said);
    assert_eq!(machine.property("AssertResult"), "no");
    assert_eq!(machine.property("ActiveState"), "inactive");
}

/// By the commands of the page about backups.
fn is_backed_up_and_put_back(machine: &Machine) {
    let page = readme::text_of("deploy/operation/backup.md");
    let [back_up, put_back, _erase] = readme::blocks_of(&page, "sh").try_into().unwrap();
    let runs = || -> usize {
        let runs = machine.ok("sudo ftrack-ldap-sync runs --all --format json");
        let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
        runs.as_array().unwrap().len()
    };
    let before = runs();
    machine.ok(&back_up);
    machine.ok("sudo ftrack-ldap-sync trigger artists");
    assert_eq!(runs(), before + 1);
    machine.ok(&put_back);
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(runs(), before);
    is_confined(machine);
    machine.ok("sudo ftrack-ldap-sync trigger artists");
}

/// A secret that only root can read is none of the service's until the unit loads it, as `check` and the
/// refused reload say.
fn gets_a_new_secret(machine: &Machine, studio: &Studio) {
    let good = config(studio);
    machine.ok_with_input(
        "umask 077; cat > /etc/ftrack-ldap-sync/web-token",
        "a-token-of-the-pages\n",
    );
    let http = "[http]\nlisten = \"127.0.0.1:9464\"\ntokens = [{ name = \"one\", token_file = \
                \"web-token\", may = [\"read\"] }]\n";
    configure(machine, &format!("{good}\n{http}"));
    let line = "LoadCredential=web-token:/etc/ftrack-ldap-sync/web-token";
    let checked = machine.ok("sudo ftrack-ldap-sync check --offline");
    assert!(
        checked.contains("only root can read /etc/ftrack-ldap-sync/web-token")
            && checked.contains(line),
        "{checked}"
    );
    let refused = machine.shell("systemctl reload ftrack-ldap-sync");
    assert_ne!(refused.status, 0);
    let journal = machine.journal();
    assert!(
        journal.contains("the service may not read /etc/ftrack-ldap-sync/web-token: add the line")
            && journal.contains(line)
            && !journal.contains("run the command as the owner"),
        "{journal}"
    );
    let drop_in = "/etc/systemd/system/ftrack-ldap-sync.service.d/override.conf";
    machine.ok(&format!(
        "mkdir -p $(dirname {drop_in}); printf '[Service]\\n{line}\\n' > {drop_in}; systemctl daemon-reload"
    ));
    let checked = machine.ok("sudo ftrack-ldap-sync check --offline");
    assert!(!checked.contains("credentials"), "{checked}");
    machine.ok("systemctl restart ftrack-ldap-sync");
    assert_eq!(machine.property("ActiveState"), "active");
    // What it loads and is not there keeps it from starting.
    machine.ok("rm /etc/ftrack-ldap-sync/web-token");
    configure(machine, &good);
    let checked = machine.ok("sudo ftrack-ldap-sync check --offline");
    assert!(
        checked.contains("the unit loads /etc/ftrack-ldap-sync/web-token, which does not exist"),
        "{checked}"
    );
    assert_ne!(
        machine.shell("systemctl restart ftrack-ldap-sync").status,
        0
    );
    assert!(
        machine.journal().contains("status=243/CREDENTIALS"),
        "{}",
        machine.journal()
    );
    machine.ok(&format!("systemctl stop ftrack-ldap-sync; rm {drop_in}; systemctl daemon-reload; systemctl reset-failed ftrack-ldap-sync; systemctl start ftrack-ldap-sync"));
}

/// What the service says is found in the journal by priority and by field.
fn is_in_the_journal(machine: &Machine) {
    let entries = |filter: &str| -> Vec<serde_json::Value> {
        let found = machine.ok(&format!(
            "journalctl --sync; journalctl --no-pager -u ftrack-ldap-sync -o json {filter}"
        ));
        let lines = found
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let applied = entries("FTRACK_LDAP_SYNC_EVENT=change.applied");
    assert_eq!(applied.len(), 1, "{}", machine.journal());
    assert_eq!(applied[0]["FTRACK_LDAP_SYNC_USERNAME"], "liu.wei");
    assert_eq!(applied[0]["PRIORITY"], "6");
    assert!(applied[0]["MESSAGE"].as_str().unwrap().contains("liu.wei"));
    assert_eq!(entries("-p err").len(), 0, "{}", machine.journal());
    // An order that fails is an error, by its priority.
    machine.ok("sudo ftrack-ldap-sync --log-format journal sync nobody || true");
    let failed = machine.ok("journalctl --sync; journalctl -p err -t ftrack-ldap-sync -o cat");
    assert!(failed.contains("nobody"), "{failed}");
    let queries = readme::blocks("sh").concat();
    for query in queries
        .lines()
        .filter(|line| line.starts_with("journalctl "))
    {
        // Somebody came, and nobody left.
        let query = query.replace("ACTION=deactivate", "ACTION=create");
        let query = query.replace("last tuesday + 1 day", "tomorrow");
        let found = machine.ok(&query.replace("last tuesday", "today"));
        let is_of_changes = query.contains("change.applied");
        assert!(
            !is_of_changes || found.contains("liu.wei"),
            "{query}: {found}"
        );
    }
}

/// The daemon is nobody in particular, may do nothing in particular, and can read its secrets all
/// the same.
fn is_confined(machine: &Machine) {
    let pid = machine.property("MainPID");
    let status = machine.ok(&format!("cat /proc/{pid}/status"));
    let line = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_default()
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_ne!(line("Uid"), "0");
    assert_eq!(
        [line("CapEff"), line("CapBnd")],
        ["0000000000000000", "0000000000000000"]
    );
    assert_eq!([line("NoNewPrivs"), line("Seccomp")], ["1", "2"]);
    // What root wrote in the foreground belongs to it too.
    let foreign = machine.ok(&format!(
        "find /var/lib/private/ftrack-ldap-sync /run/ftrack-ldap-sync/ ! -uid {}",
        line("Uid")
    ));
    assert_eq!(foreign, "");
    let folders =
        machine.ok("stat --format=%a /var/lib/private/ftrack-ldap-sync /run/ftrack-ldap-sync/");
    assert_eq!(folders, "700\n750\n");
    let secrets = machine.ok(
        "stat --format='%a %U %n' /etc/ftrack-ldap-sync/ldap-password \
         /etc/ftrack-ldap-sync/ftrack-api-key",
    );
    assert!(
        secrets.lines().all(|line| line.starts_with("600 root ")),
        "{secrets}"
    );
    let environment = machine.ok(&format!("tr '\\0' '\\n' < /proc/{pid}/environ"));
    assert!(
        !environment.contains(KEY) && !environment.contains(PASSWORD),
        "{environment}"
    );
}

/// A good configuration is taken, a broken one refused and said, and the daemon stays the same
/// process.
fn reloads(machine: &Machine, studio: &Studio) {
    let (pid, good) = (machine.property("MainPID"), config(studio));
    machine.ok("systemctl reload ftrack-ldap-sync");
    configure(machine, &good.replace("api_user", "api_usr"));
    assert_ne!(machine.shell("systemctl reload ftrack-ldap-sync").status, 0);
    assert!(
        machine.journal().contains("api_usr"),
        "{}",
        machine.journal()
    );
    assert_eq!(
        [machine.property("ActiveState"), machine.property("MainPID")],
        ["active", &pid]
    );
    configure(machine, &good);
    machine.ok("systemctl reload ftrack-ldap-sync");
    assert_eq!(
        [machine.property("ActiveState"), machine.property("MainPID")],
        ["active", &pid]
    );
}

#[test]
fn a_daemon_that_hangs_is_killed_and_started_anew() {
    if must_skip_as_root("a_daemon_that_hangs_is_killed_and_started_anew", PROGRAMS) {
        return;
    }
    let (machine, studio) = (Machine::boot(), studio());
    install(&machine, &studio);
    shorten(&machine);
    enable(&machine);
    let pid = machine.property("MainPID");
    machine.ok(&format!("kill -STOP {pid}"));
    machine.await_journal("Failed with result 'watchdog'");
    machine.await_journal("restart counter is at 1");
    // It is on its way up: this waits until it is ready.
    machine.ok("systemctl start ftrack-ldap-sync");
    assert_eq!(
        [
            machine.property("ActiveState"),
            machine.property("NRestarts")
        ],
        ["active", "1"]
    );
    assert_ne!(machine.property("MainPID"), pid);
}

#[test]
fn a_broken_configuration_is_said_and_not_tried_for_ever() {
    if must_skip_as_root(
        "a_broken_configuration_is_said_and_not_tried_for_ever",
        PROGRAMS,
    ) {
        return;
    }
    let (machine, studio) = (Machine::boot(), studio());
    install(&machine, &studio);
    shorten(&machine);
    let good = config(&studio);
    configure(&machine, &good.replace("api_user", "api_usr"));
    let enable = readme::blocks("sh")
        .into_iter()
        .find(|block| block.contains("enable --now"))
        .expect("how to enable");
    assert_ne!(machine.shell(&enable).status, 0);
    machine.await_journal("Start request repeated too quickly");
    assert_eq!(machine.property("ActiveState"), "failed");
    assert_eq!(
        machine.journal().matches("code=exited, status=2").count(),
        10,
        "{}",
        machine.journal()
    );
    assert!(
        machine.journal().contains("api_usr"),
        "{}",
        machine.journal()
    );
    // Without the check before it, the daemon itself refuses, and is not tried again at all.
    let folder = "/run/systemd/system/ftrack-ldap-sync.service.d";
    machine.ok(&format!(
        "printf '[Service]\\nExecStartPre=\\n' > {folder}/unchecked.conf; systemctl daemon-reload"
    ));
    machine.ok("systemctl reset-failed ftrack-ldap-sync");
    assert_ne!(machine.shell("systemctl start ftrack-ldap-sync").status, 0);
    let ended = ["ActiveState", "ExecMainStatus", "NRestarts"].map(|name| machine.property(name));
    assert_eq!(ended, ["failed", "2", "0"]);
    // Mended, it starts.
    configure(&machine, &good);
    machine.ok("systemctl reset-failed ftrack-ldap-sync; systemctl start ftrack-ldap-sync");
    assert_eq!(machine.property("ActiveState"), "active");
}
