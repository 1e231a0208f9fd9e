//! The commands below an explanation work as they stand, at a server with a certificate of its own
//! authority.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    check::world::{World, bare},
    directory::people,
    slapd::{PEOPLE, Setup},
};

#[test]
fn at_a_server_with_an_authority_of_its_own() {
    let slapd = Setup::new(people(3)).start();
    let folder = tempfile::tempdir().unwrap();
    // Also where the name of the file needs quotes.
    let ca_file = folder.path().join("our own ca.pem");
    fs::copy(slapd.ca_file(), &ca_file).unwrap();
    let mut world = World::over(&slapd);
    let password = folder.path().join("password");
    fs::write(&password, world.password.trim_end()).unwrap();
    for (url, settings, option) in [
        (slapd.tls_url(), "", " -LLL "),
        (slapd.url(), "start_tls = true\n", " -ZZ "),
    ] {
        world.urls = vec![bare(&url)];
        world.directory_settings = format!("{settings}ca_file = {ca_file:?}");
        let ended = world.command(&["explain", "person0001", "--format", "json"]);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        let explained: Value = serde_json::from_str(&ended.stdout).unwrap();
        let commands = explained["commands"].as_array().unwrap();
        assert!(!commands.is_empty(), "{explained:#}");
        let start = format!("LDAPTLS_CACERT='{}' ldapsearch ", ca_file.display());
        let commands = commands.iter().filter_map(Value::as_str);
        for line in commands.flat_map(str::lines) {
            assert!(line.starts_with(&start) && line.contains(option), "{line}");
            // The password is asked for, at a terminal.
            let line = line.replace(" -W ", &format!(" -y '{}' ", password.display()));
            let output = Command::new("sh")
                .args(["-c", &line])
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}\n{said}");
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(
                shown.contains(&format!("dn: uid=person0001,{PEOPLE}")),
                "{line}\n{shown}"
            );
        }
    }
}
