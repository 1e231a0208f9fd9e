//! A daemon that uses the same state, and whose control socket is not reachable from here: it runs in
//! another container, or listens elsewhere.

use std::path::Path;

use super::client::is_there;
use crate::{cli::Stop, command::in_container, config::Paths, state::lock::has_daemon};

/// That a daemon uses this state and cannot be asked from here, and how it can be; none where no
/// daemon uses it.
pub(super) fn elsewhere(state_dir: &Path, socket: &Path) -> Option<String> {
    let way = if in_container() {
        "`docker compose exec ftrack-ldap-sync ftrack-ldap-sync COMMAND` asks it in its own container"
    } else {
        "run the command where the daemon runs, such as in its container by `docker compose exec`, or \
         give its socket with --socket PATH"
    };
    has_daemon(state_dir).then(|| {
        format!(
            "a daemon uses {}, and its socket is not reachable from here ({}): {way}",
            state_dir.display(),
            socket.display()
        )
    })
}

/// Where the daemon of a configuration is asked.
///
/// # Errors
/// One runs that cannot be asked from here.
pub fn reachable(paths: Paths) -> Result<std::path::PathBuf, Stop> {
    let Paths {
        state_dir,
        control_socket,
    } = paths;
    if is_there(&control_socket) {
        return Ok(control_socket);
    }
    match elsewhere(&state_dir, &control_socket) {
        Some(why) => Err(Stop::failed(&why)),
        None => Ok(control_socket),
    }
}
