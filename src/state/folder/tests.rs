//! Links are not followed, and root uses a directory with the rights of whoever decides where its
//! path leads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown, symlink},
        net::UnixListener,
    },
};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::*;

/// Some user who is not root.
const SERVICE: u32 = 4711;

/// What an error says after the path.
fn why<T: std::fmt::Debug>(result: Result<T, StateError>) -> String {
    result.unwrap_err().source.to_string()
}

#[test]
fn files_are_written_read_listed_and_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b/c");
    assert!(Folder::find(&path).unwrap().is_none());
    let made = Folder::make(&path).unwrap();
    assert_eq!(made.path(), path.canonicalize().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
    made.replace("one", b"first").unwrap();
    made.replace("one", b"second").unwrap();
    assert_eq!(made.read("one", 6).unwrap().unwrap(), b"second");
    assert_eq!(why(made.read("one", 5)), "file too large");
    assert_eq!(
        fs::metadata(path.join("one")).unwrap().mode() & 0o7777,
        0o600
    );
    made.append("one").unwrap().write_all(b" third").unwrap();
    assert_eq!(fs::read(path.join("one")).unwrap(), b"second third");
    made.rename("one", "two").unwrap();
    assert!(made.has("two") && !made.has("one"));
    assert_eq!(made.names().unwrap(), ["two"]);
    made.remove("two").unwrap();
    made.remove("two").unwrap();
    assert!(made.names().unwrap().is_empty() && made.read("two", 1).unwrap().is_none());
    Folder::find(path.parent().unwrap())
        .unwrap()
        .unwrap()
        .remove_sub("c")
        .unwrap();
    assert!(!path.exists());
}

#[test]
fn a_lock_file_is_its_owners_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("old.lock"), "1").unwrap();
    fs::set_permissions(
        folder.path().join("old.lock"),
        Permissions::from_mode(0o666),
    )
    .unwrap();
    let here = Folder::find(folder.path()).unwrap().unwrap();
    for name in ["old.lock", "new.lock"] {
        here.lock_file(name).unwrap();
        let mode = fs::metadata(folder.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert_eq!(fs::read(folder.path().join("old.lock")).unwrap(), b"1");
}

#[test]
fn nothing_is_opened_through_a_link_and_no_pipe_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let there = |name: &str| folder.path().join(name);
    fs::create_dir(there("elsewhere")).unwrap();
    fs::write(there("elsewhere/file"), "untouched").unwrap();
    fs::create_dir(there("state")).unwrap();
    symlink(there("elsewhere/file"), there("state/link")).unwrap();
    symlink(there("elsewhere/missing"), there("state/dangling")).unwrap();
    symlink(there("elsewhere"), there("state/reports")).unwrap();
    rustix::fs::mkfifoat(CWD, there("state/pipe"), FILE_MODE).unwrap();
    let _socket = UnixListener::bind(there("state/socket")).unwrap();
    let state = Folder::find(&there("state")).unwrap().unwrap();
    for name in ["link", "dangling"] {
        for refused in [
            why(state.read(name, 100)),
            why(state.append(name)),
            why(state.lock_file(name)),
        ] {
            assert_eq!(refused, "it is a link, which is not followed", "{name}");
        }
    }
    for name in ["pipe", "socket"] {
        for refused in [
            state.read(name, 100).map(drop),
            state.lock_file(name).map(drop),
        ] {
            assert!(refused.is_err(), "{name}");
        }
    }
    for refused in [why(state.sub("reports")), why(state.make_sub("reports"))] {
        assert_eq!(refused, "it is a link, which is not followed");
    }
    assert!(state.sub("pipe").is_err());
    for name in [
        "",
        ".",
        "..",
        "../elsewhere/file",
        "/etc/passwd",
        "a/b",
        "a/",
    ] {
        assert!(state.read(name, 100).is_err(), "{name:?}");
        assert!(state.replace(name, b"").is_err(), "{name:?}");
        assert!(state.remove(name).is_err(), "{name:?}");
        assert!(state.make_sub(name).is_err(), "{name:?}");
        assert!(state.rename("link", name).is_err(), "{name:?}");
        assert!(!state.has(name), "{name:?}");
    }
    // A link of that name is replaced or removed itself.
    state.replace("link", b"new").unwrap();
    state.remove("dangling").unwrap();
    assert_eq!(fs::read(there("elsewhere/file")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(there("elsewhere")).unwrap().count(), 1);
}

#[test]
fn links_in_the_path_itself_are_followed_to_their_end() {
    let folder = TempDir::new().unwrap();
    let there = |name: &str| folder.path().join(name);
    fs::create_dir_all(there("private/state")).unwrap();
    symlink("private/state", there("state")).unwrap();
    symlink(there("state/../missing"), there("dangling")).unwrap();
    symlink("round", there("round")).unwrap();
    let state = Folder::find(&there("./state/../../private/../state"))
        .unwrap()
        .unwrap();
    assert_eq!(state.path(), there("private/state").canonicalize().unwrap());
    assert!(Folder::find(&there("dangling/more")).unwrap().is_none());
    let nearest = Folder::nearest(&there("dangling/more")).unwrap();
    assert_eq!(nearest.path(), there("private").canonicalize().unwrap());
    Folder::make(&there("dangling/more")).unwrap();
    assert!(there("private/missing/more").is_dir());
    assert!(Folder::find(&there("round")).is_err());
    fs::write(there("file"), "").unwrap();
    assert!(Folder::find(&there("file")).is_err() && Folder::make(&there("file/x")).is_err());
}

/// A directory of root with one of the service in it; none where the test is not root's.
fn of_a_service() -> Option<TempDir> {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("service")).unwrap();
    let is_root = geteuid().is_root();
    if is_root {
        chown(folder.path().join("service"), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    is_root.then_some(folder)
}

#[test]
fn root_has_the_rights_of_the_owner_and_no_others() {
    let Some(folder) = of_a_service() else { return };
    let service = folder.path().join("service");
    let owner = |path: &Path| {
        let there = fs::symlink_metadata(path).unwrap();
        (there.uid(), there.gid())
    };
    let state = Folder::make(&service.join("state")).unwrap();
    state
        .make_sub("reports")
        .unwrap()
        .replace("one", b"")
        .unwrap();
    state.lock_file("lock").unwrap();
    for made in ["state", "state/reports", "state/reports/one", "state/lock"] {
        assert_eq!(owner(&service.join(made)), (SERVICE, SERVICE), "{made}");
    }
    let roots = folder.path().join("roots");
    fs::write(&roots, "untouched").unwrap();
    {
        // What no type of ours opens, such as what SQLite finds in a file.
        let _rights = state.rights().unwrap();
        let _nested = state.rights().unwrap();
        assert_eq!(geteuid().as_raw(), SERVICE);
        assert!(fs::write(&roots, "changed").is_err() && fs::remove_file(&roots).is_err());
        fs::write(service.join("state/own"), "").unwrap();
        // As in /var/lib/private: the way there is closed to the service.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap_err();
        assert!(fs::read(service.join("state/own")).is_ok());
    }
    assert!(geteuid().is_root() && fs::write(&roots, "changed").is_ok());
    fs::remove_file(&roots).unwrap();
}

#[test]
fn whoever_owns_a_part_of_the_path_cannot_lead_root_to_other_directories() {
    let Some(folder) = of_a_service() else { return };
    let service = folder.path().join("service");
    let roots = folder.path().join("roots");
    fs::create_dir(&roots).unwrap();
    symlink(&roots, service.join("state")).unwrap();
    // Also by a link that lies in a directory of root, and belongs to the service.
    symlink(&roots, folder.path().join("state")).unwrap();
    std::os::unix::fs::lchown(folder.path().join("state"), Some(SERVICE), None).unwrap();
    for path in [service.join("state"), folder.path().join("state")] {
        let state = Folder::make(&path).unwrap();
        assert_eq!(state.path(), roots.canonicalize().unwrap());
        let refused = why(state.replace("file", b""));
        assert!(
            refused.contains("with the rights of the user 4711"),
            "{refused}"
        );
        assert!(state.make_sub("reports").is_err());
        assert!(Folder::make(&path.join("deeper")).is_err());
    }
    assert_eq!(fs::read_dir(&roots).unwrap().count(), 0);
    // The service's own directory, in that of yet another user.
    let between = folder.path().join("between");
    fs::create_dir_all(between.join("state")).unwrap();
    chown(&between, Some(SERVICE + 1), None).unwrap();
    chown(between.join("state"), Some(SERVICE), Some(SERVICE)).unwrap();
    Folder::make(&between.join("state/reports")).unwrap();
    assert_eq!(
        fs::metadata(between.join("state/reports")).unwrap().uid(),
        SERVICE
    );
    // A link of root to the service's directory is followed, with the service's rights.
    symlink(&service, folder.path().join("link")).unwrap();
    let state = Folder::make(&folder.path().join("link/other")).unwrap();
    state.replace("file", b"").unwrap();
    let made = fs::metadata(service.join("other/file")).unwrap();
    assert_eq!(made.uid(), SERVICE);
}
