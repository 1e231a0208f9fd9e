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
fn a_format_as_an_option_of_its_name_is_told_how_it_is_asked_for() {
    let studio = Studio::of(&["ada"]);
    for (arguments, form) in [
        (&["plan", "--json"][..], "json"),
        (&["runs", "show", "last", "--html"], "html"),
        (&["users", "artists", "--csv"], "csv"),
    ] {
        let said = refused(&studio, arguments);
        assert!(said.contains(&format!("it is `--format {form}`")), "{said}");
        assert!(!said.contains("similar"), "{said}");
    }
    let said = refused(&studio, &["plan", "--yaml"]);
    assert!(!said.contains("--format yaml"), "{said}");
}

#[test]
fn the_synopsis_of_a_manual_page_has_the_values_of_options() {
    let studio = Studio::of(&[]);
    let folder = studio.folder().join("man");
    std::fs::create_dir(&folder).unwrap();
    let made = studio.run(&["man", "--out", folder.to_str().unwrap()]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    for (page, parts) in [
        (
            "ftrack-ldap-sync-sync.1",
            &[r"[\fB\-\-only\fR \fIWHO\fR ...]", r"\-\-dry\-run\fR]"][..],
        ),
        ("ftrack-ldap-sync-plan.1", &[r"\-\-out\fR \fIFILE\fR]"]),
        (
            "ftrack-ldap-sync-holds-show.1",
            &[r"\-\-state\-dir\fR \fIDIR\fR]"],
        ),
    ] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        let synopsis = text.split(".SH").find(|part| part.starts_with(" SYNOPSIS"));
        let synopsis = synopsis.unwrap();
        for part in parts {
            assert!(synopsis.contains(part), "{part} is not in {synopsis}");
        }
    }
    let one = studio.run(&["man"]).stdout;
    assert!(one.contains(r"\-\-config\fR \fIFILE\fR]"), "{one}");
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
