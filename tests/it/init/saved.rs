//! Secrets that are saved beside the configuration before `init`, as the README says.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ftrack_ldap_sync::demo::cast;

use super::{Place, asked::Talk, mode};
use crate::studio::{KEY, PASSWORD, Studio};

/// Saves both secrets, as the README's second and third step do.
fn save(place: &Place, password: &str, key: &str) {
    for (name, secret) in [("ldap-password", password), ("ftrack-api-key", key)] {
        fs::write(place.file(name), format!("{secret}\n")).unwrap();
        fs::set_permissions(place.file(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// The values of the two keys that name the secrets.
fn named(place: &Place) -> [String; 2] {
    let config: toml::Table = fs::read_to_string(place.config()).unwrap().parse().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    [
        text(&config["directories"]["studio"]["bind_password_file"]),
        text(&config["ftrack"]["api_key_file"]),
    ]
}

#[test]
fn they_are_used_and_named_as_a_service_is_given_them() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    save(&place, PASSWORD, KEY);
    let state = place.file("state").display().to_string();
    let mut talk = Talk::start(place.command(&["init", "--state-dir", &state]));
    talk.hears(&format!(
        "It uses {} and {}; with --force it asks, and replaces.",
        place.file("ldap-password").display(),
        place.file("ftrack-api-key").display()
    ));
    talk.answers("Directory server", &studio.directory_url);
    talk.answers("How it is entered", "");
    talk.answers("(bind DN): ", cast::SERVICE);
    talk.answers("Kind of directory", "");
    talk.answers("(DN) [", "");
    talk.answers("Address of ftrack", &studio.ftrack_url());
    talk.answers("as whom the API key acts", "");
    talk.hears("Written: ");
    assert_eq!(talk.status(), 0, "{}", talk.all());
    assert!(!talk.all().contains("(not shown)"), "{}", talk.all());
    assert_eq!(named(&place), ["ldap-password", "ftrack-api-key"]);
    let checked = place.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
    // The same where nobody can be asked.
    fs::remove_file(place.config()).unwrap();
    let options = place.options(&studio);
    let others: Vec<_> = options
        .into_iter()
        .filter(|(option, _)| !option.ends_with("-file"))
        .collect();
    let ended = place.init(&others, &[]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(named(&place), ["ldap-password", "ftrack-api-key"]);
    assert_eq!(
        place.files(),
        ["config.toml", "ftrack-api-key", "ldap-password"]
    );
}

#[test]
fn one_that_is_refused_is_asked_for_and_replaced_if_that_is_agreed_to() {
    let studio = Studio::of(&["ada"]);
    for (answer, status) in [("n", 1), ("", 0)] {
        let place = Place::new();
        save(&place, "not-the-password", KEY);
        let state = place.file("state").display().to_string();
        let mut talk = Talk::start(place.command(&["init", "--state-dir", &state]));
        talk.answers("Directory server", &studio.directory_url);
        talk.answers("How it is entered", "");
        talk.answers("(bind DN): ", cast::SERVICE);
        talk.hears("refused");
        talk.hides("Its password again (not shown", PASSWORD);
        talk.answers("Kind of directory", "");
        talk.answers("(DN) [", "");
        talk.answers("Address of ftrack", &studio.ftrack_url());
        talk.answers("as whom the API key acts", "");
        let file = place.file("ldap-password");
        let question = format!("{} exists. Replace it? [Y/n] ", file.display());
        // What is neither yes nor no is asked for again.
        talk.answers(&question, "maybe");
        talk.hears("Answer y or n.");
        talk.answers(&question, answer);
        assert_eq!(talk.status(), status, "{}", talk.all());
        let saved = fs::read_to_string(&file).unwrap();
        if status == 0 {
            assert_eq!((&*saved, mode(&file)), (PASSWORD, 0o600));
            assert_eq!(place.run(&["check"]).status, 0);
        } else {
            assert_eq!(saved, "not-the-password\n");
            assert!(!place.config().exists());
        }
    }
}

#[test]
fn the_next_commands_are_those_of_whoever_ran_it_through_sudo() {
    let studio = Studio::of(&["ada"]);
    let place = Place::new();
    let options = place.options(&studio);
    let options = options.iter().flat_map(|(name, value)| [*name, value]);
    let arguments: Vec<&str> = ["init", "--force"].into_iter().chain(options).collect();
    let is_root = rustix::process::geteuid().is_root();
    for through_sudo in [false, true] {
        let mut command = place.command(&arguments);
        if through_sudo {
            command.env("SUDO_USER", "anna");
        }
        let ended = crate::studio::Ended::of(command.output().unwrap());
        assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
        let sudo = if through_sudo && is_root { "sudo " } else { "" };
        for step in [
            "check",
            "plan --out plan.json",
            "apply plan.json",
            "sync",
            "daemon",
        ] {
            let line = format!(
                "\n  {sudo}ftrack-ldap-sync --config {} {step} ",
                place.config().display()
            );
            assert!(ended.stdout.contains(&line), "{line}: {}", ended.stdout);
        }
    }
}
