//! What is said where the words of a command are not those that it takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    rules::add_config,
    studio::{Ended, Studio},
};

/// What a command says that is bad usage, and does nothing.
fn refused(studio: &Studio, arguments: &[&str]) -> String {
    let users = studio.ftrack().users();
    let ended = studio.run(arguments);
    assert_eq!(
        ended.status, 2,
        "{arguments:?}: {}{}",
        ended.stdout, ended.stderr
    );
    assert_eq!((&*ended.stdout, studio.ftrack().users()), ("", users));
    ended.stderr
}

#[test]
fn a_word_that_only_has_taken_is_told() {
    let studio = Studio::of(&["ada"]);
    studio.sync();
    for arguments in [
        &["approve", "--only", "ada", "28585523762"][..],
        &["reject", "--only", "ada", "28585523762"],
        &["undo", "--only", "ada", "last"],
        &["restore", "--only", "ada", "last"],
    ] {
        let said = refused(&studio, arguments);
        assert!(
            said.contains("--only takes all words after it: write what is missing before --only"),
            "{said}"
        );
    }
    let said = refused(&studio, &["undo"]);
    assert!(!said.contains("--only takes"), "{said}");
}

#[test]
fn a_person_in_the_place_of_a_job_is_told_how_people_are_named() {
    let studio = Studio::of(&["ada"]);
    let said = refused(&studio, &["sync", "ada"]);
    assert!(
        said.contains("the only job is artists") && said.contains("`sync --only ada`"),
        "{said}"
    );
}

#[test]
fn a_similar_job_is_named_once() {
    let studio = Studio::of(&["ada"]);
    for arguments in [
        &["plan", "artits"][..],
        &["runs", "--job", "artits"],
        &["holds", "--job", "artits"],
        &["snapshots", "--job", "artits"],
    ] {
        let said = refused(&studio, arguments);
        assert!(said.contains("did you mean"), "{said}");
        assert_eq!(said.matches("artists").count(), 1, "{said}");
    }
    add_config(&studio, "[jobs.nightly]\nkind = \"ftrack-ldap\"\n");
    let said = refused(&studio, &["plan", "artits"]);
    assert!(
        said.contains("the jobs are artists, nightly") && said.contains("did you mean"),
        "{said}"
    );
    let said = refused(&studio, &["unreject", "--only", "ada"]);
    assert!(
        said.contains("name one of artists, nightly, with --job"),
        "{said}"
    );
}

#[test]
fn a_configuration_that_is_missing_is_one_mistake() {
    for arguments in [&["status"][..], &["runs"], &["holds"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        command
            .args(["--config", "/nowhere/config.toml"])
            .args(arguments);
        let ended = Ended::of(command.env_clear().output().unwrap());
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("/nowhere/config.toml"),
            "{}",
            ended.stderr
        );
    }
}
