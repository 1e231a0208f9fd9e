//! The kinds of jobs: which keys each has, and the errors for other keys.

use super::{FILTER, Folder, GOOD, with};

#[test]
fn a_job_of_an_unknown_kind_is_one_finding() {
    let found = Folder::new(&format!(
        "{GOOD}\n[jobs.nightly-builtin]\nkind = \"ftrack_ldap\"\nschedule = \"0 3 * * *\"\n"
    ))
    .load(&[])
    .unwrap_err();
    let said = "config.toml:21: jobs.nightly-builtin.kind: \"ftrack_ldap\" is not one of \
                \"ldap\", \"ftrack-ldap\"; did you mean \"ftrack-ldap\"?";
    assert_eq!(found, said);
}

#[test]
fn keys_that_have_no_meaning_for_the_kind_of_a_job_are_refused() {
    let none = "has no meaning for a job of kind \"ftrack-ldap\": ftrack reads its directory with \
        its own settings; remove it";
    for (key, named) in [
        ("source = \"a\"", "source"),
        ("directory = \"studio\"", "directory"),
        ("search_bases = [\"dc=test\"]", "search_bases"),
        ("scope = \"one\"", "scope"),
        ("filter = \"(a=b)\"", "filter"),
        ("attributes.username = \"uid\"", "attributes"),
        ("users.create = false", "users"),
        ("roles = {}", "roles"),
        ("groups = {}", "groups"),
    ] {
        let text = format!("{GOOD}\n[jobs.nightly]\nkind = \"ftrack-ldap\"\n{key}\n");
        let found = Folder::new(&text).load(&[]).unwrap_err();
        assert_eq!(
            found,
            format!("config.toml:22: jobs.nightly.{named}: {none}")
        );
    }
    let none = "has no meaning for a job of kind \"ftrack-ldap\", whose limits are for one run; \
        remove it";
    for limit in [
        "per = \"24h\"",
        "revoke = 1",
        "unusable = \"50%\"",
        "min_entries = 1",
    ] {
        let found = Folder::new(&format!(
            "{GOOD}\n[jobs.nightly]\nkind = \"ftrack-ldap\"\nlimits.{limit}\n"
        ))
        .load(&[])
        .unwrap_err();
        let (key, _) = limit.split_once(' ').unwrap();
        assert_eq!(
            found,
            format!("config.toml:22: jobs.nightly.limits.{key}: {none}")
        );
    }
    // What is only misspelt is told the nearest name.
    for (key, said) in [
        (
            "scheduel = \"@daily\"",
            "scheduel: unknown key; did you mean \"schedule\"?",
        ),
        (
            "limits.deactivat = 1",
            "limits.deactivat: unknown key; did you mean \"deactivate\"?",
        ),
        (
            "limits.create = 1",
            "limits.create: has no meaning for a job of kind \"ftrack-ldap\", whose limits are for \
             one run; remove it",
        ),
        (
            "limits.renames = 1",
            "limits.renames: unknown key; did you mean \"rename\"?",
        ),
    ] {
        let found = Folder::new(&format!(
            "{GOOD}\n[jobs.nightly]\nkind = \"ftrack-ldap\"\n{key}\n"
        ))
        .load(&[])
        .unwrap_err();
        assert_eq!(found, format!("config.toml:22: jobs.nightly.{said}"));
    }
    // A limit that both kinds have.
    let renames = with(&[(FILTER, &format!("{FILTER}\nlimits.rename = 1"))]);
    Folder::new(&renames).load(&[]).unwrap();
    // What has a meaning is taken.
    let text = "kind = \"ftrack-ldap\"\nschedule = \"0 3 * * *\"\ntimezone = \
                \"Europe/Stockholm\"\ncatch_up = false\nsplay = \"1m\"\ntime_limit = \
                \"30m\"\nlimits = { deactivate = 3, rename = \"0%\" }\nretry.initial = \"2m\"";
    let config = Folder::new(&format!("{GOOD}\n[jobs.nightly]\n{text}\n"))
        .load(&[])
        .unwrap();
    assert!(config.jobs["nightly"].ldap().is_none() && !config.jobs["nightly"].catch_up);
}
