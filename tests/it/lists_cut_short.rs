//! Lists of ftrack that end too early, without an error: the run fails, and missing rows prove
//! nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod days;
mod falls;
mod orphans;

use std::{path::PathBuf, sync::mpsc};

use ftrack_ldap_sync::{
    demo::ftrack::Fault,
    model::report::{FailureKind, Outcome, Report},
};
use serde_json::json;

use crate::{
    crash::LIMIT,
    faults::NO_LIMIT,
    rules::{account, by_hand},
    studio::{Studio, dn, person},
};

/// The type of the rows in which links are.
const LINKS: &str = "Metadata";

/// A synced studio of 58 people, so that ftrack has 60 users; some were deactivated by hand.
fn sixty() -> Studio {
    let studio = people(58);
    for user in studio.ftrack().users().iter().skip(20).step_by(7) {
        by_hand(&studio, &user.username, &json!({"is_active": false}));
    }
    studio
}

/// A synced studio of so many people, whom no limit protects.
fn people(count: usize) -> Studio {
    let uids: Vec<String> = (0..count)
        .map(|number| format!("user{number:02}"))
        .collect();
    let mut studio = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>());
    studio.job = NO_LIMIT.into();
    assert_eq!(studio.sync().counts.created, count);
    studio
}

/// Lets the list of an entity type end after so many rows.
fn cut(studio: &Studio, entity_type: &str, rows: usize) {
    studio
        .ftrack()
        .change_rules(|rules| rules.cut_lists.extend([(entity_type.to_owned(), rows)]));
}

/// Lets no list show the row of a user.
fn hide(studio: &Studio, entity_type: &str, user: &str) {
    studio.ftrack().change_rules(|rules| {
        rules
            .unlisted
            .entry(entity_type.into())
            .or_default()
            .extend([user.to_owned()])
    });
}

/// Lets all lists be whole again.
fn mend(studio: &Studio) {
    studio.ftrack().change_rules(|rules| {
        rules.cut_lists.clear();
        rules.unlisted.clear();
    });
}

/// A run failed since a list was cut short, and wrote nothing.
fn assert_cut(report: &Report, what: &str) {
    assert_eq!(
        (report.outcome, report.error_kind),
        (Outcome::Failed, Some(FailureKind::Ftrack)),
        "{report:#?}"
    );
    assert_eq!(
        (&report.changes[..], report.ftrack.write_calls),
        (&[][..], 0),
        "{report:#?}"
    );
    let error = report.error.as_deref().unwrap();
    assert!(
        error.contains("nothing was written")
            && error.contains(&format!("the list of {what} was cut short")),
        "{error}"
    );
}

/// Saves a plan beside the configuration.
fn saved(studio: &Studio) -> PathBuf {
    let path = studio.folder().join("plan.json");
    studio.plan(&["--out", path.to_str().unwrap()]).unwrap();
    path
}

/// Whatever a person asks for fails while it is so, and afterwards nothing has happened.
fn fails_whatever_is_asked(studio: &Studio, what: &str, cut: impl Fn(&Studio)) {
    let name = format!("{} Changed", studio.user("user00").last_name.unwrap());
    studio
        .tree()
        .replace(&dn("user00"), "sn", &[&name])
        .unwrap();
    let approved = saved(studio);
    let before = studio.ftrack().users();
    cut(studio);
    for arguments in [
        &["sync", "--format", "json"][..],
        &["sync", "--dry-run", "--format", "json"],
        &["apply", "--format", "json", approved.to_str().unwrap()],
        &["sync", "--format", "json"],
    ] {
        assert_cut(&studio.synced(arguments), what);
        assert_eq!(studio.ftrack().counters().write_calls, 0);
    }
    let error = studio.plan(&[]).unwrap_err();
    assert!(error.contains("was cut short"), "{error}");
    assert_eq!(studio.ftrack().users(), before);
    mend(studio);
    assert_eq!(studio.sync().counts.updated, 1);
    studio.sync_changes_nothing();
}

#[test]
fn a_list_of_users_that_ends_in_the_middle_activates_and_creates_nobody() {
    fails_whatever_is_asked(&sixty(), "users", |studio| cut(studio, "User", 30));
}

#[test]
fn a_list_of_links_that_ends_in_the_middle_adopts_nobody() {
    fails_whatever_is_asked(&sixty(), "links of users", |studio| cut(studio, LINKS, 30));
}

#[test]
fn both_lists_that_end_at_the_same_user() {
    // The two administrators come first among the users, and have no link.
    fails_whatever_is_asked(&sixty(), "users", |studio| {
        cut(studio, "User", 30);
        cut(studio, LINKS, 28);
    });
}

#[test]
fn lists_that_lack_some_in_their_middle() {
    let studio = sixty();
    let id = studio.user("user07").id;
    fails_whatever_is_asked(&studio, "users", |studio| hide(studio, "User", &id));
    fails_whatever_is_asked(&studio, "links of users", |studio| hide(studio, LINKS, &id));
    // Nothing is left to tell by but the id that the user would be created with.
    fails_whatever_is_asked(&studio, "users", |studio| {
        ["User", LINKS]
            .iter()
            .for_each(|list| hide(studio, list, &id))
    });
}

#[test]
fn a_cut_below_above_and_at_the_pages_size() {
    let mut studio = people(28);
    for page_size in [4, 10, 500] {
        studio.ftrack_settings = format!("page_size = {page_size}");
        for rows in [2, 3, 4, 5, 9, 10, 11, 20, 29] {
            cut(&studio, "User", rows);
            assert_cut(&studio.sync(), "users");
            mend(&studio);
            cut(&studio, LINKS, rows.min(27));
            assert_cut(&studio.sync(), "links of users");
            mend(&studio);
        }
        for whole in [30, 31, 1000] {
            cut(&studio, "User", whole);
            studio.sync_changes_nothing();
        }
        mend(&studio);
    }
    cut(&studio, LINKS, 0);
    assert_cut(&studio.sync(), "links of users");
}

#[test]
fn somebody_adopted_whose_link_no_list_shows_gets_no_second_user() {
    let mut studio = people(3);
    studio.ftrack().add_user(&account("known")).unwrap();
    studio.tree().add(person("known", "Long", "Known")).unwrap();
    assert_eq!(studio.sync().counts.adopted, 1);
    let id = studio.user("known").id;
    // Neither the login nor the id leads to the user any more.
    studio.tree().rename(&dn("known"), &dn("renamed")).unwrap();
    for adopt in ["username", "never"] {
        studio.job = format!("{NO_LIMIT}\nusers.adopt = \"{adopt}\"");
        hide(&studio, LINKS, &id);
        assert_cut(&studio.sync(), "links of users");
        mend(&studio);
    }
    assert_eq!(studio.sync().counts.updated, 1);
    assert_eq!(studio.user("renamed").id, id);
}

#[test]
fn a_list_that_is_whole_again_when_it_is_read_once_more() {
    let studio = people(20);
    cut(&studio, "User", 7);
    studio.ftrack().forget();
    let (say, heard) = mpsc::channel();
    studio.ftrack().fail_when(move |call| {
        // Of the second reading: both lists, their ends, the small lists and the users of the links
        // are eight calls.
        let now = call.number_of_kind == 10;
        now.then(|| {
            say.send(()).unwrap();
            Fault::ResetBefore
        })
    });
    let child = studio.start(&["sync", "--format", "json"]);
    heard.recv_timeout(LIMIT).unwrap();
    mend(&studio);
    let report: Report = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    studio.ftrack().heal();
    assert!(
        report.outcome == Outcome::Succeeded && report.changes.is_empty(),
        "{report:#?}"
    );
    assert!(report.ftrack.read_calls > 14, "{report:#?}");
}

#[test]
fn a_first_import_asks_for_nobody_by_id() {
    let few = Studio::of(&["ada"]);
    let uids: Vec<String> = (0..400).map(|number| format!("user{number:03}")).collect();
    let many = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>());
    let calls = |studio: &Studio| {
        studio
            .synced(&["sync", "--dry-run", "--format", "json"])
            .ftrack
            .read_calls
    };
    assert_eq!(calls(&few), calls(&many));
}
