//! The page about backups, older versions, erasing and leaving.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::text_of;
use crate::{rules::leave, studio::Studio};

const PAGE: &str = "deploy/operation/backup.md";

/// What a file contains, unpacked.
fn content(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut text = String::new();
        let mut unpacked = flate2::read::GzDecoder::new(&*bytes);
        unpacked.read_to_string(&mut text).unwrap();
        text
    } else {
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The files below a folder that name somebody, as their paths in it.
pub fn naming(folder: &Path, who: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if content(&path).contains(who) {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn the_page_has_each_file_that_names_a_person_who_can_be_erased_there() {
    let page = text_of(PAGE);
    let studio = Studio::of(&["ada", "bob", "sam.ortiz"]);
    studio.sync();
    leave(&studio, "sam.ortiz");
    assert_eq!(studio.sync().counts.deactivated, 1);
    let state = studio.state_dir();
    let named = naming(&state, "sam.ortiz");
    assert!(named.len() > 3, "{named:?}");
    for path in &named {
        let first = path.iter().next().unwrap().to_str().unwrap();
        let is_told = page
            .split('`')
            .any(|name| name == first || name.starts_with(&format!("{first}/")));
        assert!(is_told, "the page lacks {path:?}");
    }

    let users = || studio.ftrack().users();
    let before = users();
    studio.sync_changes_nothing();
    // The command of the page.
    let erased = studio.run(&["erase", "sam.ortiz", "--yes"]);
    assert_eq!(erased.status, 0, "{}{}", erased.stdout, erased.stderr);
    assert_eq!(naming(&state, "sam.ortiz"), [] as [PathBuf; 0]);
    studio.sync_changes_nothing();
    assert_eq!(naming(&state, "sam.ortiz"), [] as [PathBuf; 0]);
    assert_eq!(users(), before);
}

#[test]
fn what_an_older_version_says_of_a_newer_database_is_on_the_page() {
    let studio = Studio::of(&["ada"]);
    studio.sync();
    let file = studio.state_dir().join("state.db");
    let known: i64 = {
        let database = rusqlite::Connection::open(&file).unwrap();
        let known = database
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
        known
    };
    let ended = studio.run(&["sync"]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let block = &super::blocks_of(&text_of(PAGE), "text")[0];
    let said = block
        .trim()
        .replace(
            "/var/lib/ftrack-ldap-sync/state.db",
            &file.display().to_string(),
        )
        .replace("supports 42", &format!("supports {known}"));
    assert!(ended.stderr.contains(&said), "{}\n{said}", ended.stderr);
    // As the page says, the database is made anew from the reports.
    fs::rename(&file, studio.folder().join("newer.db")).unwrap();
    studio.sync_changes_nothing();
}
