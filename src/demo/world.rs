//! The demo's world: both servers on loopback, and a directory with a configuration for them,
//! removed at the end.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    cast::{self, Oddities, Person},
    directory::{DirectoryServer, TreeEntry, TreeError},
    ftrack::{FtrackServer, Options},
    story::FORMER,
};
use crate::config::Secret;

/// The password of the directory's service account. It protects nothing, since it is public, so the
/// demo only listens on loopback.
pub const PASSWORD: &str = "demo-password";
/// The job of the demo's configuration.
pub const JOB: &str = "artists";

/// The seed of the cast, so that everybody sees the same people.
const SEED: u64 = 20;

/// The size of the world, and its addresses.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How many people the studio has.
    pub people: usize,
    /// The directory's address; port 0 selects a free one.
    pub directory: SocketAddr,
    /// ftrack's address; port 0 selects a free one.
    pub ftrack: SocketAddr,
}

/// Both servers, the people, and a directory for the configuration and the state.
#[derive(Debug)]
pub struct World {
    /// The directory, with everybody in it.
    pub directory: DirectoryServer,
    /// The ftrack stand-in, with nobody but its API user and an administrator.
    pub ftrack: FtrackServer,
    /// Who is in the directory at the start.
    pub people: Vec<Person>,
    folder: TempDir,
}

/// The world could not be created, or not be removed.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// An address from which other machines could reach a server with public passwords.
    #[error(
        "{0} is not on loopback; the demo's passwords are public, so it listens on 127.0.0.1 or \
         [::1] only"
    )]
    NotLoopback(SocketAddr),
    /// A server cannot listen.
    #[error("the {server} cannot listen on {address}: {source}")]
    Listen {
        /// Which server.
        server: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The people do not fit in the directory.
    #[error("cannot fill the demo's directory: {0}")]
    Tree(#[from] TreeError),
    /// The temporary directory cannot be created, filled or removed.
    #[error("the demo's temporary directory {path}: {source}")]
    Folder {
        /// The directory, or a file in it.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl World {
    /// Starts both servers and writes the configuration.
    ///
    /// # Errors
    /// An address is not on loopback or cannot be listened on, or there is no temporary folder.
    pub async fn start(wanted: Wanted) -> Result<Self, WorldError> {
        let Wanted {
            people,
            directory,
            ftrack,
        } = wanted;
        if let Some(address) = [directory, ftrack]
            .into_iter()
            .find(|address| !address.ip().is_loopback())
        {
            return Err(WorldError::NotLoopback(address));
        }
        let people = cast::people(people, SEED, Oddities::None);
        let tree = cast::tree(&people, &Secret::new(PASSWORD.to_owned()))?;
        tree.add(
            TreeEntry::new(FORMER)
                .with("objectClass", "organizationalUnit")
                .with("ou", "former"),
        )?;
        let refused = |server, address| {
            move |source| WorldError::Listen {
                server,
                address,
                source,
            }
        };
        let directory = DirectoryServer::start(directory, tree)
            .await
            .map_err(refused("directory", directory))?;
        let ftrack = FtrackServer::start(ftrack, Options::default())
            .await
            .map_err(refused("ftrack stand-in", ftrack))?;
        let folder = tempfile::Builder::new()
            .prefix("ftrack-ldap-sync-demo-")
            .tempdir()
            .map_err(|source| WorldError::Folder {
                path: tempfile::env::temp_dir(),
                source,
            })?;
        let world = Self {
            directory,
            ftrack,
            people,
            folder,
        };
        let path = world.config_file();
        fs::write(&path, world.config()).map_err(|source| WorldError::Folder { path, source })?;
        Ok(world)
    }

    /// The configuration for the two servers, as an administrator would write it.
    #[must_use]
    pub fn config(&self) -> String {
        let Options {
            api_user,
            api_key,
            rules: _,
        } = Options::default();
        let text = |value: &str| toml::Value::from(value).to_string();
        format!(
            r#"state_dir = {state_dir}
control_socket = {control_socket}

[http]
listen = "127.0.0.1:0"          # a free port

[ftrack]
server = "{ftrack}"
api_user = "{api_user}"
api_key = "{api_key}"

[directories.studio]
urls = ["{directory}"]
bind_dn = "{service}"
bind_password = "{PASSWORD}"

[jobs.{JOB}]
schedule = "0 3 * * *"          # each night at 03:00
timezone = "Europe/Stockholm"
directory = "studio"
search_bases = ["{people}"]
filter = "{filter}"

[jobs.{JOB}.attributes]       # ftrack attribute = LDAP attribute
username = "uid"
email = "mail"
first_name = "givenName"
last_name = "sn"

[jobs.{JOB}.limits]
deactivate = "10%"              # more at once: a person must approve
"#,
            state_dir = text(&self.folder.path().join("state").display().to_string()),
            control_socket = text(
                &self
                    .folder
                    .path()
                    .join("control.sock")
                    .display()
                    .to_string()
            ),
            ftrack = self.ftrack.url(),
            directory = self.directory.url(),
            service = cast::SERVICE,
            people = cast::PEOPLE,
            filter = cast::FILTER,
        )
    }

    /// Where the configuration is.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder().join("config.toml")
    }

    /// The folder of the configuration and the state.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops both servers, which takes a few seconds if clients do not disconnect, and removes the
    /// directory.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub async fn end(self) -> Result<(), WorldError> {
        let Self {
            directory,
            ftrack,
            people: _,
            folder,
        } = self;
        // The result of stopping the stand-in no longer matters.
        let (_, ()) = tokio::join!(ftrack.stop(), directory.stop());
        let path = folder.path().to_owned();
        folder
            .close()
            .map_err(|source| WorldError::Folder { path, source })
    }
}
