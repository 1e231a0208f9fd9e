//! `[ftrack]`: the ftrack server.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::{
    Credential,
    files::Places,
    finding::KeyPath,
    named_files,
    notes::Notes,
    table::table,
    value::{FtrackAddress, HOUR, Line, List, Number, Period, line},
};

table! {
    /// The ftrack server and how to connect to it.
    #[schemars(rename = "Ftrack")]
    struct FtrackTable => struct Ftrack {
        /// The server's address, such as `https://studio.ftrackapp.com`; `http` only to this machine.
        /// Required, here or in the variable FTRACK_SERVER.
        #[serde(
            deserialize_with = "FtrackAddress::deserialize",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>")]
        server: Option<Url> => Url = None,
        /// The ftrack user as whom the API key acts. Required, here or in the variable FTRACK_API_USER.
        #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
        api_user: Option<String> => String = None,
        /// The API key, a secret; preferably in a file of its own, see `api_key_file`. Required, here,
        /// there or in the variable FTRACK_API_KEY.
        #[serde(skip_serializing_if = "Option::is_none")]
        api_key: Option<Credential> => Credential = None,
        /// A file that contains only the API key.
        #[serde(skip_serializing_if = "Option::is_none")]
        api_key_file: Option<PathBuf> = None,
        /// The key that signs the links in ftrack, a secret of at least 16 characters, the same on all
        /// hosts; preferably in a file of its own, see `link_key_file`.
        #[serde(skip_serializing_if = "Option::is_none")]
        link_key: Option<Credential> => Option<Credential> = None,
        /// A file that contains only the key that signs the links.
        #[serde(skip_serializing_if = "Option::is_none")]
        link_key_file: Option<PathBuf> = None,
        /// A PEM file of certificates to trust instead of the system's, for a server with its own
        /// certificate authority, or with a self-signed certificate.
        #[serde(skip_serializing_if = "Option::is_none")]
        ca_file: Option<PathBuf> => Option<PathBuf> = None,
        /// Time limit for a connection.
        connect_timeout: Period<100, HOUR> => Duration = Period::seconds(5),
        /// Time limit for one call.
        request_timeout: Period<100, HOUR> => Duration = Period::seconds(60),
        /// The most rows of a page. The program begins with 500, asks for more while answers come fast, and
        /// for fewer where the server has too much to do.
        page_size: Number<1, 10_000> => u32 = Number(2000),
        /// The most calls in flight at the same time while reading. The program begins with 4, and adapts
        /// their number as that of the rows.
        connections: Number<1, 64> => usize = Number(8),
        /// The maximum number of changes in one call, or of twice as many links. The program begins with 100,
        /// and writes more while calls are answered fast.
        batch_size: Number<1, 1_000> => usize = Number(500),
        /// The maximum number of attempts for a call that may be repeated.
        attempts: Number<1, 20> => usize = Number(5),
        /// The security roles that make a user an administrator; administrators are never adopted,
        /// their login, mail and activity change only with a person's approval, and the last active one
        /// is never deactivated.
        administrator_roles: List<Line> => Vec<String> = vec!["Administrator".to_owned()].into(),
        /// The security roles that ftrack gives every new user: "Default role" in its System settings >
        /// Security > Settings, which the API does not show. A user with any other role is adopted
        /// only with a person's approval.
        default_roles: List<Line> => Vec<String> = vec!["User".to_owned()].into(),
    }
}

impl FtrackTable {
    /// Names the files of the secrets, to be shown.
    #[must_use]
    pub fn with_files(mut self) -> Self {
        named_files::shown(&mut self.api_key, &mut self.api_key_file);
        named_files::shown(&mut self.link_key, &mut self.link_key_file);
        self
    }
}

/// The minimum length of the key that signs links, in characters.
const SHORTEST_LINK_KEY: usize = 16;

/// Checks the table, and reads the files that it names.
pub fn check(notes: &mut Notes, places: &Places, mut table: FtrackTable) -> Option<Ftrack> {
    let at = KeyPath::default().key("ftrack");
    if table.server.is_none() {
        notes.missing(
            &at.key("server"),
            "the address of the ftrack server, such as \"https://studio.ftrackapp.com\", here or \
             in the variable FTRACK_SERVER",
        );
    }
    if table.api_user.is_none() {
        notes.missing(
            &at.key("api_user"),
            "the ftrack user as whom the API key acts, here or in the variable FTRACK_API_USER",
        );
    }
    api_key(notes, places, &at, &mut table);
    link_key(notes, places, &at, &mut table);
    named_files::certificates(notes, places, &at.key("ca_file"), &mut table.ca_file);
    let roles = at.key("administrator_roles");
    if table.administrator_roles.is_empty() && !notes.is_judged(&roles) {
        notes.find(
            &roles,
            "empty; without it the program cannot recognise administrators, whom it must not lock \
             out",
        );
    }
    table.administrator_roles.check(notes, &roles);
    let administrators: Vec<String> = table
        .administrator_roles
        .usable()
        .map(|role| role.to_string().to_lowercase())
        .collect();
    let default_roles = at.key("default_roles");
    table
        .default_roles
        .check_with(notes, &default_roles, |role| {
            let is_administrator = administrators.contains(&role.to_string().to_lowercase());
            is_administrator.then(|| {
                "also in ftrack.administrator_roles, whose users are never adopted".to_owned()
            })
        });
    table.complete()
}

fn api_key(notes: &mut Notes, places: &Places, at: &KeyPath, table: &mut FtrackTable) {
    let found_before = notes.count();
    let FtrackTable {
        api_key,
        api_key_file,
        ..
    } = table;
    named_files::secret(notes, places, at, "api_key", api_key, api_key_file);
    let is_missing = api_key.is_none() && notes.count() == found_before;
    if is_missing && !notes.is_judged(&at.key("api_key_file")) {
        notes.missing(
            &at.key("api_key"),
            "set api_key_file = \"file that contains the key\" (a path, or the name of a systemd \
             credential), or the variable FTRACK_API_KEY",
        );
    }
}

fn link_key(notes: &mut Notes, places: &Places, at: &KeyPath, table: &mut FtrackTable) {
    let FtrackTable {
        link_key,
        link_key_file,
        ..
    } = table;
    let name = if link_key.is_some() {
        "link_key"
    } else {
        "link_key_file"
    };
    named_files::secret(notes, places, at, "link_key", link_key, link_key_file);
    let is_short = |key: &Credential| key.loaded().expose().chars().count() < SHORTEST_LINK_KEY;
    if link_key.as_ref().is_some_and(is_short) {
        notes.find(
            &at.key(name),
            format!("a key of fewer than {SHORTEST_LINK_KEY} characters could be guessed"),
        );
    }
}
