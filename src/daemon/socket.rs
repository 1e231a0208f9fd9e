//! The file of the control socket: created for those who may send commands, taken over from a
//! daemon that died, and removed at the end.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener as StdListener,
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use axum::serve::Listener;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{
    net::{UnixListener, UnixStream, unix::SocketAddr},
    time::timeout,
};

use crate::{config::files::whose, state::folder::Folder};

/// The file mode: the owner and the group may send commands.
const MODE: u32 = 0o660;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Time limit for another daemon to accept a connection; one whose queue is full exists as well.
const ACCEPTING: Duration = Duration::from_secs(2);

/// The control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum SocketError {
    /// Another daemon listens on it.
    #[error("another daemon listens on {}; stop it first, or give this one its own control_socket \
        and state_dir", .0.display())]
    Taken(PathBuf),
    /// The path is not a socket.
    #[error("{} exists and is not a socket; set control_socket to another path", .0.display())]
    NoSocket(PathBuf),
    /// The system returned an error.
    #[error("the control socket {} cannot be {what}: {error}{}", path.display(), folder_words(path, error))]
    System {
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's error.
        error: io::Error,
    },
}

/// A listening control socket, whose file is removed when it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    // Dropped first: as long as the socket is open, no other file can have its inode number.
    _file: SocketFile,
    listener: UnixListener,
}

/// The file of a socket; removed when this is dropped, unless it was replaced by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl ControlSocket {
    /// Listens at a path, whose directory is created if it is missing. A socket that was left by a
    /// daemon that died is replaced. Must be called within a runtime.
    ///
    /// # Errors
    /// A daemon listens there, the path is not a socket, or the system refuses.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let system = |what| {
            move |error| SocketError::System {
                path: path.to_owned(),
                what,
                error,
            }
        };
        // Where root starts the daemon, the directory's owner gets the socket, and decides about
        // no file elsewhere.
        let folder =
            Folder::make(folder_of(path)).map_err(|error| system("created")(error.source))?;
        remove_stale(path, &folder).await?;
        let _rights = folder
            .rights()
            .map_err(|error| system("created")(error.source))?;
        let listener = listen(path).map_err(system("created"))?;
        let metadata = fs::symlink_metadata(path).map_err(system("created"))?;
        let file = SocketFile {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        // Restores what the umask removed; nobody else had access before.
        fs::set_permissions(path, Permissions::from_mode(MODE))
            .map_err(system("opened to its group"))?;
        let listener = UnixListener::from_std(listener).map_err(system("used"))?;
        Ok(Self {
            _file: file,
            listener,
        })
    }
}

/// The directory of the socket; that of a bare file name is the empty path, which cannot be opened.
fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Whose the folder is in which nothing may be created, to follow the system's error.
fn folder_words(path: &Path, error: &io::Error) -> String {
    if error.kind() != ErrorKind::PermissionDenied {
        return String::new();
    }
    let existing = folder_of(path).ancestors().find(|folder| folder.exists());
    existing.map_or_else(String::new, |folder| {
        format!("; of its folder {}: {}", folder.display(), whose(folder))
    })
}

impl Listener for ControlSocket {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        Listener::accept(&mut self.listener).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let folder = Folder::find(folder_of(&self.path)).ok().flatten();
        let Some(Ok(_rights)) = folder.map(|folder| folder.rights()) else {
            return;
        };
        if fs::symlink_metadata(&self.path)
            .is_ok_and(|now| (now.dev(), now.ino()) == (self.device, self.inode))
        {
            // One that cannot be removed is found stale by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the old socket, if nobody listens on it.
async fn remove_stale(path: &Path, folder: &Folder) -> Result<(), SocketError> {
    let system = |what, error| SocketError::System {
        path: path.to_owned(),
        what,
        error,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system("looked at", error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match timeout(ACCEPTING, UnixStream::connect(path)).await {
        Err(_) | Ok(Ok(_)) => Err(SocketError::Taken(path.to_owned())),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            let _rights = folder
                .rights()
                .map_err(|error| system("replaced", error.source))?;
            fs::remove_file(path)
                .or_else(gone)
                .map_err(|error| system("replaced", error))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Its queue is full, so somebody listens.
        Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => {
            Err(SocketError::Taken(path.to_owned()))
        }
        Ok(Err(error)) => Err(system("looked at", error)),
    }
}

/// Removes a file, which need not exist.
fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

/// A listening socket that never gives access to more users than intended: Linux creates the file
/// of a socket with the mode of the socket itself, less the umask.
fn listen(path: &Path) -> io::Result<StdListener> {
    let address = SockAddr::unix(path)?;
    let socket = File::from(OwnedFd::from(Socket::new(
        Domain::UNIX,
        Type::STREAM.cloexec().nonblocking(),
        None,
    )?));
    socket.set_permissions(Permissions::from_mode(MODE))?;
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&address)?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}
