//! Whoever asks by a former login is told whose it was.

use serde_json::Value;

use super::explain;
use crate::{
    rules::leave,
    situations::Situation,
    studio::{Studio, dn},
};

/// Gives somebody another login in the directory.
fn rename(studio: &Studio, from: &str, to: &str) {
    studio.tree().rename(&dn(from), &dn(to)).unwrap();
    studio.tree().replace(&dn(to), "uid", &[to]).unwrap();
    let mail = format!("{to}@studio.test");
    studio.tree().replace(&dn(to), "mail", &[&mail]).unwrap();
}

#[test]
fn the_run_that_renamed_the_user_is_named_with_what_is_so_now() {
    let studio = Situation::synced(&["de141", "bob"]).job("limits.rename = 9");
    rename(&studio, "de141", "x.de141");
    let first = studio.sync();
    assert_eq!(first.counts.updated, 1, "{first:#?}");
    let explained = explain(&studio, "DE141");
    let said = format!("DE141 was renamed to x.de141 by the run {}", first.run);
    assert_eq!(explained.renamed.as_deref(), Some(&*said));
    assert_eq!(explained.verdict.as_str(), "in_step", "{explained:#?}");
    assert_eq!(explained.ftrack.unwrap().username, "x.de141");
    let text = studio.run(&["explain", "de141"]).stdout;
    let told = format!(
        "de141 in artists: nothing is to be done\n  de141 was renamed to x.de141 by the run {}\n",
        first.run
    );
    assert!(text.starts_with(&told), "{text}");
    // Also the second name, and after the person left.
    rename(&studio, "x.de141", "last");
    let second = studio.sync();
    leave(&studio, "last");
    let left = studio.sync();
    let explained = explain(&studio, "de141");
    assert_eq!(explained.renamed, Some(said.replace("DE141", "de141")));
    assert_eq!(explained.ftrack.unwrap().username, "last");
    let explained = explain(&studio, "x.de141");
    let said = format!("x.de141 was renamed to last by the run {}", second.run);
    assert_eq!(explained.renamed, Some(said.clone()));
    // A later run is asked for the user who has another login by then.
    let past = studio
        .run(&["explain", "x.de141", "--run", &left.run])
        .stdout;
    let told = format!(
        "x.de141 in artists, in the run {}: the user was deactivated\n  {said}\n",
        left.run
    );
    assert!(past.starts_with(&told), "{past}");
    let json = studio.run(&["explain", "bob", "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json.get("renamed").is_none(), "{json}");
    assert!(explain(&studio, "de14").renamed.is_none());
}

#[test]
fn a_past_run_is_told_as_what_it_did() {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.job = "limits = { deactivate = 1 }".into();
    studio.sync();
    for (uid, said) in [
        ("ada", "the user was deactivated"),
        ("bob", "a change was held"),
    ] {
        leave(&studio, uid);
        studio.synced(&["sync", "--format", "json"]);
        let told = studio.run(&["explain", uid, "--run", "last"]).stdout;
        assert!(
            told.starts_with(&format!("{uid} in artists, in the run ")),
            "{told}"
        );
        assert_eq!(
            told.matches(said).count(),
            2,
            "at its begin and its end: {told}"
        );
    }
}
