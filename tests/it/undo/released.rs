//! `undo` and `restore` of a `release`: whom a person kept stays as it is.

use super::{left, nothing_is_done_again, put_back, since::done};
use crate::{
    rules::{decide, leave},
    studio::Studio,
};

/// A job whose people were released after a person rejected the deactivation of two of them, and
/// a sync saw that.
fn released() -> Studio {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.job = "limits = { deactivate = 0 }".into();
    studio.sync();
    leave(&studio, "ada");
    leave(&studio, "bob");
    let held = studio.sync();
    decide(&studio, &held, "reject");
    nothing_is_done_again(&studio);
    studio.job = "limits = { deactivate = \"100%\" }".into();
    done(&studio, &["release", "artists", "--yes"]);
    studio
}

fn both_are_kept(studio: &Studio) {
    nothing_is_done_again(studio);
    for login in ["ada", "bob"] {
        assert!(studio.user(login).is_active, "{login}");
    }
}

#[test]
fn who_was_kept_before_is_kept_after_an_undo() {
    let studio = released();
    let report = put_back(&studio, &["undo", "last"]);
    assert_eq!((report.counts.adopted, left(&report)), (4, vec![]));
    both_are_kept(&studio);
}

#[test]
fn who_was_kept_before_is_kept_after_a_restore() {
    let studio = released();
    let report = put_back(&studio, &["restore", "last"]);
    assert_eq!((report.counts.adopted, left(&report)), (4, vec![]));
    both_are_kept(&studio);
}
