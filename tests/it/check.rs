//! `check`: each planted fault is reported separately, by the real program, with what to do and the
//! right exit status.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod configuration;
mod directory;
mod ftrack;
mod limits;
mod settings;
mod skipped;
mod stalls;
mod standing;
pub mod world;

use ftrack_ldap_sync::{command, command::check::checks::CHECKS, model::server_kind::ServerKind};
use serde_json::Value;

use self::world::{KEY, World, bare};
use crate::{
    directory::people,
    readme::text_of,
    slapd::{SYNC_PASSWORD, Setup, Slapd},
};

/// What is looked at about a server over TLS.
const SERVER: [&str; 9] = [
    "name", "port", "tls", "bind", "server", "kind", "paging", "clock", "account",
];

fn slapd() -> Slapd {
    Setup::new(people(3)).start()
}

#[test]
fn the_example_for_openldap_works_but_for_its_servers() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    let example = command::config::example_of(ServerKind::OpenLdap).unwrap();
    let servers = r#"["ldaps://ldap1.studio.test", "ldaps://ldap2.studio.test"]"#;
    assert!(example.contains(servers), "{example}");
    let at = format!(
        "[{:?}]\nca_file = {:?}",
        bare(&slapd.tls_url()),
        slapd.ca_file()
    );
    let example = example.replace(servers, &at);
    world.whole = Some(example.replace("https://studio.ftrackapp.com", &world.server));
    let checked = world.check(&[]);
    let (trouble, status) = checked.only_trouble();
    assert_eq!(status, 0);
    assert!(
        trouble.contains("givenName: none of 3 entries shows it"),
        "{trouble}"
    );
}

#[test]
fn where_all_is_well_everything_was_looked_at() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world
        .studio()
        .add_custom_attribute("badge", "text")
        .unwrap();
    world.attributes = r#"{ username = "uid", email = "{{ mail | lower }}", last_name = "sn", "custom_attributes.badge" = "cn" }"#.into();
    world.job = "schedule = \"*/15 * * * *\"\n[jobs.artists.users]\nuser_type = \"ldap\"".into();
    let checked = world.check(&[]);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let url = bare(&slapd.tls_url());
    assert_eq!(
        checked.well("configuration"),
        ["configuration", "state", "certificate"]
    );
    assert_eq!(checked.well("job artists"), ["attributes", "schedule"]);
    assert_eq!(checked.well(&format!("directory studio {url}")), SERVER);
    assert_eq!(
        checked.well(&format!("job artists at {url}")),
        [
            "directory_id",
            "filter",
            "base",
            "people",
            "attribute",
            "attribute",
            "attribute",
            "attribute",
            "disabled"
        ]
    );
    assert_eq!(
        checked.well(&format!("ftrack {}", world.server)),
        [
            "connection",
            "key",
            "clock",
            "schema",
            "permission",
            "permission_create",
            "administrator_role",
            "administrators",
            "default_role",
            "seats"
        ]
    );
    assert_eq!(
        checked.well("job artists at ftrack"),
        ["user_type", "custom_attribute"]
    );
    let changes: Vec<_> = world
        .studio()
        .applied()
        .into_iter()
        .flat_map(|applied| applied.changes)
        .collect();
    assert_eq!(changes, [], "looking changes nothing");
    assert_eq!(slapd.logged("method=128"), 1, "one bind for one server");
}

#[test]
fn people_read_one_line_for_each_finding() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.attributes = r#"{ username = "uid", email = "mial" }"#.into();
    let ended = world.run(&[]);
    assert_eq!((ended.status, ended.stderr.as_str()), (1, ""));
    let url = bare(&slapd.tls_url());
    let lines: Vec<&str> = ended.stdout.lines().collect();
    for line in [
        "configuration",
        &format!("directory studio {url}"),
        "  ok    bind                a bind with a password as cn=ldap-sync,ou=services,dc=studio,dc=test is accepted; \
         the server knows it as dn:cn=ldap-sync,ou=services,dc=studio,dc=test",
        &format!("job artists at {url}"),
        "  FAIL  attribute           the directory's schema has no attribute mial, and no entry \
         shows it; did you mean mail?",
        &format!("ftrack {}", world.server),
        "  ok    permission          the key may write users",
        "1 failed, 0 warnings, 30 ok.",
    ] {
        assert!(
            lines.contains(&line),
            "{line:?} is not in\n{}",
            ended.stdout
        );
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no colour in a pipe");
    assert!(!ended.stdout.contains(SYNC_PASSWORD) && !ended.stdout.contains(KEY));
    assert_eq!(world.run(&[]).stdout, ended.stdout, "the same again");
}

#[test]
fn programs_read_the_same_as_json() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.filter = "(uid=nobody)".into();
    let ended = world.run(&["--format", "json"]);
    assert_eq!(ended.status, 1);
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let keys: Vec<&String> = printed.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["findings", "ok"]);
    assert_eq!(printed["ok"], false);
    let findings = printed["findings"].as_array().unwrap();
    let nobody = findings
        .iter()
        .find(|finding| finding["check"] == "people")
        .unwrap();
    let url = bare(&slapd.tls_url());
    let expected = serde_json::json!({
        "about": format!("job artists at {url}"),
        "check": "people",
        "result": "fail",
        "detail": "(uid=nobody) matches nobody below \"ou=people,dc=studio,dc=test\"",
        "advice": "check the filter, the base, the scope and the account's rights",
    });
    assert_eq!(*nobody, expected);
    let bind = findings
        .iter()
        .find(|finding| finding["check"] == "bind")
        .unwrap();
    assert_eq!(
        (&bind["result"], &bind["advice"]),
        (&Value::from("ok"), &Value::Null)
    );
}

#[test]
fn the_page_has_every_check_with_its_facts() {
    let page = text_of("deploy/operation/check.md");
    let rows = page.split("| check | says | facts |").nth(1).unwrap();
    let rows: Vec<(String, Vec<String>)> = rows
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let words = |cell: &str| -> Vec<String> {
                let words = cell.split('`').skip(1).step_by(2);
                words.map(str::to_owned).collect()
            };
            let check = words(cells[0]).remove(0);
            (check, words(cells.last().unwrap()))
        })
        .collect();
    let checks: Vec<(String, Vec<String>)> = CHECKS
        .iter()
        .map(|(check, facts)| {
            let facts = facts.iter().map(|fact| (*fact).to_owned());
            ((*check).to_owned(), facts.collect())
        })
        .collect();
    assert_eq!(rows, checks);
}
