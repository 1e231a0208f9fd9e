//! The file of the control socket: its mode, what was there before, and what is left.

use std::{fs, os::unix::net::UnixListener};

use ftrack_ldap_sync::daemon::{http, socket::ControlSocket};

use super::{Daemon, mode};

#[test]
fn the_folder_is_made_and_the_group_may_give_orders() {
    let daemon = Daemon::of(&["artists"]);
    assert_eq!(mode(&daemon.socket()), 0o660);
}

#[test]
fn the_file_is_removed_at_the_end_unless_it_is_another_ones() {
    let mut daemon = Daemon::of(&["artists"]);
    daemon.stop();
    assert!(!daemon.socket().exists());

    let mut daemon = Daemon::of(&["artists"]);
    fs::remove_file(daemon.socket()).unwrap();
    let _other = UnixListener::bind(daemon.socket()).unwrap();
    daemon.stop();
    assert!(daemon.socket().exists());
}

#[test]
fn a_daemon_that_answers_is_left_alone_and_one_that_died_is_replaced() {
    let daemon = Daemon::of(&["artists"]);
    let refused = daemon
        .runtime
        .block_on(ControlSocket::bind(&daemon.socket()))
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with(&format!(
            "another daemon listens on {}",
            daemon.socket().display()
        )),
        "{refused}"
    );
    assert_eq!(daemon.order("GET", "/v1/status", "").status, 200);

    let stale = daemon.folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let socket = daemon
        .runtime
        .block_on(ControlSocket::bind(&stale))
        .unwrap();
    assert_eq!(mode(&stale), 0o660);
    drop(socket);
    assert!(!stale.exists());
}

#[test]
fn what_is_no_socket_is_not_removed() {
    let daemon = Daemon::of(&["artists"]);
    let file = daemon.folder.path().join("precious");
    fs::write(&file, "precious").unwrap();
    let link = daemon.folder.path().join("link.sock");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link, &daemon.folder.path().to_owned()] {
        let refused = daemon
            .runtime
            .block_on(ControlSocket::bind(path))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("is not a socket"), "{refused}");
        assert!(fs::symlink_metadata(path).is_ok());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let long = daemon.folder.path().join("x".repeat(200));
    let refused = daemon
        .runtime
        .block_on(ControlSocket::bind(&long))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("cannot be created") && refused.contains("xxx"),
        "{refused}"
    );
    let below_a_file = file.join("control.sock");
    let refused = daemon
        .runtime
        .block_on(ControlSocket::bind(&below_a_file))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("cannot be created"), "{refused}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let daemon = Daemon::of(&["artists"]);
    let refused = daemon
        .runtime
        .block_on(http::bind(daemon.address))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&daemon.address.to_string())
            && refused.contains("http.listen")
            && refused.contains("in use"),
        "{refused}"
    );
}

#[test]
fn in_the_folder_of_another_user_it_is_that_users_and_root_makes_nothing_elsewhere() {
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    const SERVICE: u32 = 4711;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: only root can use files as somebody else");
        return;
    }
    let daemon = Daemon::of(&["artists"]);
    let there = |name: &str| daemon.folder.path().join(name);
    fs::create_dir(there("service")).unwrap();
    fs::create_dir(there("roots")).unwrap();
    // It can put what it likes there.
    symlink(there("roots"), there("service/run")).unwrap();
    chown(there("service"), Some(SERVICE), Some(SERVICE)).unwrap();
    let bind = |path: &str| daemon.runtime.block_on(ControlSocket::bind(&there(path)));
    let socket = bind("service/made/control.sock").unwrap();
    let made = fs::metadata(there("service/made/control.sock")).unwrap();
    assert_eq!(
        (made.uid(), made.gid(), made.mode() & 0o777),
        (SERVICE, SERVICE, 0o660)
    );
    drop(socket);
    assert!(!there("service/made/control.sock").exists());
    let refused = bind("service/run/control.sock").unwrap_err().to_string();
    assert!(refused.contains("cannot be created"), "{refused}");
    assert_eq!(fs::read_dir(there("roots")).unwrap().count(), 0);
}

#[test]
fn whose_the_folder_is_in_which_nothing_may_be_created_is_said() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    const SERVICE: u32 = 4711;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: only root can use files as somebody else");
        return;
    }
    let daemon = Daemon::of(&["artists"]);
    let folder = daemon.folder.path().join("service");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    chown(&folder, Some(SERVICE), Some(SERVICE)).unwrap();
    for path in ["control.sock", "made/control.sock"] {
        let bound = daemon
            .runtime
            .block_on(ControlSocket::bind(&folder.join(path)));
        let refused = bound.unwrap_err().to_string();
        let whose = format!(
            "; of its folder {}: it belongs to uid {SERVICE} with mode 0555, and this process is uid ",
            folder.display()
        );
        assert!(
            refused.contains("cannot be created") && refused.contains(&whose),
            "{refused}"
        );
    }
}
