//! `[http]`: the listener for health, metrics and pages, and who may see and do what on these.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Secret,
    credential::Credential,
    files::{Places, SecretFiles},
    finding::KeyPath,
    named_files,
    notes::Notes,
    table::{Complete, table},
    value::{Line, List, Network, check_name, line, listen},
};

/// The minimum length of a token, in characters.
const SHORTEST_TOKEN: usize = 16;

/// The most tokens: each is compared where somebody signs in.
const MOST_TOKENS: usize = 100;

table! {
    /// The HTTP listener for health, metrics and the pages.
    #[schemars(rename = "Http")]
    struct HttpTable => struct Http {
        /// The address and port to listen on, such as `127.0.0.1:9464`; required.
        #[serde(deserialize_with = "listen", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        listen: Option<SocketAddr> => SocketAddr = None,
        /// The names under which the pages are served, such as that of a proxy in front of them;
        /// besides addresses, `localhost` and this machine's own name.
        #[serde(skip_serializing_if = "List::is_empty")]
        hosts: List<Line> => Vec<String> = List::default(),
        /// The addresses and networks of the proxies that are believed for whom they ask.
        trusted_proxies: List<Network> => Vec<Network> = Network::loopback().into(),
        /// With what people sign in to the pages: from another machine, and for every action.
        #[serde(skip_serializing_if = "Tokens::is_empty")]
        tokens: Tokens => Vec<Token> = Tokens::default(),
    }
}

/// The tokens as they are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Tokens(Vec<TokenTable>);

/// A token: whoever has it may do this, under this name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Token")]
pub struct TokenTable {
    /// The name of whoever has it, with the same characters as a job's: reports and the list of
    /// actions show it; required.
    #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The token, of at least 16 characters; preferably in a file of its own, see `token_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Credential>,
    /// The file that contains the token; it is read anew at each use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// What it is for: `read` for the pages, `act` for these and every action; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may: Option<List<Permission>>,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Seeing the pages.
    Read,
    /// Also running, pausing, approving and rejecting.
    Act,
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "act" => Ok(Self::Act),
            other => Err(format!("{other:?} is neither \"read\" nor \"act\"")),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Act => "act",
        })
    }
}

/// A token that was checked.
#[derive(Debug, Clone)]
pub struct Token {
    /// Of whoever has it.
    pub name: String,
    /// The token itself.
    pub credential: Credential,
    /// Whether it is for actions as well.
    pub may_act: bool,
}

impl Token {
    /// The token as it is now.
    ///
    /// # Errors
    /// Its file contains none any more, or one that could be guessed; the text names the file, and
    /// contains nothing of it.
    pub async fn current(&self) -> Result<Secret, String> {
        let current = self.credential.current().await;
        let current = current.map_err(|error| error.to_string())?;
        if !is_short(&current) {
            return Ok(current);
        }
        let file = self.credential.file().map(Path::display);
        let file = file.map_or_else(String::new, |file| format!("{file} contains "));
        Err(format!(
            "{file}a token of fewer than {SHORTEST_TOKEN} characters, which could be guessed"
        ))
    }
}

impl Tokens {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Complete<Vec<Token>> for Tokens {
    fn complete(self) -> Option<Vec<Token>> {
        self.0.into_iter().map(TokenTable::complete).collect()
    }
}

impl TokenTable {
    fn complete(self) -> Option<Token> {
        let may = self.may?;
        let may_act = may.usable().any(|may| *may == Permission::Act);
        Some(Token {
            name: self.name?,
            credential: self.token?,
            may_act,
        })
    }
}

impl From<Vec<Token>> for Tokens {
    fn from(tokens: Vec<Token>) -> Self {
        let tables = tokens.into_iter().map(|token| {
            let may = if token.may_act {
                vec![Permission::Read, Permission::Act]
            } else {
                vec![Permission::Read]
            };
            TokenTable {
                name: Some(token.name),
                token: Some(token.credential),
                token_file: None,
                may: Some(may.into()),
            }
        });
        Self(tables.collect())
    }
}

impl HttpTable {
    /// Names the files of the secrets, to be shown.
    #[must_use]
    pub fn with_files(mut self) -> Self {
        for table in &mut self.tokens.0 {
            named_files::shown(&mut table.token, &mut table.token_file);
        }
        self
    }

    /// Checks the table, and reads the files that it names.
    pub fn check(&mut self, notes: &mut Notes, places: &Places) {
        let at = KeyPath::default().key("http");
        if self.listen.is_none() {
            notes.missing(
                &at.key("listen"),
                "the address and port to listen on, such as \"127.0.0.1:9464\"",
            );
        }
        self.hosts.check_with(notes, &at.key("hosts"), |name| {
            let name = name.to_string();
            let is_name = url::Host::parse(&name)
                .is_ok_and(|host| matches!(host, url::Host::Domain(parsed) if parsed == name));
            (!is_name).then(|| {
                format!("{name:?} is not a host's name in lower case, without scheme and port")
            })
        });
        self.trusted_proxies
            .check(notes, &at.key("trusted_proxies"));
        let at = at.key("tokens");
        if self.tokens.0.len() > MOST_TOKENS {
            notes.find(&at, format!("more than {MOST_TOKENS} tokens"));
        }
        let mut names: Vec<String> = Vec::new();
        for (index, table) in self.tokens.0.iter_mut().enumerate() {
            let at = at.index(index);
            check_token(notes, places, &at, table);
            let Some(name) = &table.name else { continue };
            if names.contains(name) {
                notes.find(
                    &at.key("name"),
                    format!("{name:?} is the name of another token"),
                );
            }
            names.push(name.clone());
        }
        // Those that are not read all look alike.
        if places.secrets == SecretFiles::Read {
            self.tokens.check_distinct(notes, &at);
        }
    }
}

impl Tokens {
    /// Finds tokens of equal content: whoever has one would be somebody else as well.
    fn check_distinct(&self, notes: &mut Notes, at: &KeyPath) {
        for (index, table) in self.0.iter().enumerate() {
            let Some(token) = &table.token else { continue };
            let mut before = self.0.iter().take(index);
            let is_same = |other: &&TokenTable| {
                let other = other.token.as_ref().map(Credential::loaded);
                other.is_some_and(|other| other.expose() == token.loaded().expose())
            };
            if let Some(other) = before.find(is_same) {
                let other = other.name.as_deref().unwrap_or_default();
                notes.find(
                    &at.index(index).key(key_of(table)),
                    format!(
                        "the same token as that of {other:?}: with one for both, nobody could tell \
                         who did what"
                    ),
                );
            }
        }
    }
}

/// The key under which a token is written.
fn key_of(table: &TokenTable) -> &'static str {
    if table.token_file.is_some()
        || table
            .token
            .as_ref()
            .is_some_and(|token| token.file().is_some())
    {
        "token_file"
    } else {
        "token"
    }
}

fn check_token(notes: &mut Notes, places: &Places, at: &KeyPath, table: &mut TokenTable) {
    match &table.name {
        Some(name) => check_name(notes, &at.key("name"), name),
        None => notes.missing(
            &at.key("name"),
            "who has the token, such as \"coordinator\"",
        ),
    }
    let key = if table.token.is_some() {
        "token"
    } else {
        "token_file"
    };
    let found_before = notes.count();
    named_files::secret(
        notes,
        places,
        at,
        "token",
        &mut table.token,
        &mut table.token_file,
    );
    match &table.token {
        None if notes.count() == found_before => notes.missing(
            &at.key("token_file"),
            "the file that contains the token; `openssl rand -hex 32` makes a good one",
        ),
        Some(token) if is_short(token.loaded()) => notes.find(
            &at.key(key),
            format!("a token of fewer than {SHORTEST_TOKEN} characters could be guessed"),
        ),
        Some(_) | None => {}
    }
    match &table.may {
        None => notes.missing(
            &at.key("may"),
            "what the token is for: [\"read\"], or [\"read\", \"act\"]",
        ),
        Some(may) if may.is_empty() => notes.find(
            &at.key("may"),
            "empty: a token is for \"read\", or also for \"act\"",
        ),
        Some(may) => may.check(notes, &at.key("may")),
    }
}

fn is_short(token: &Secret) -> bool {
    token.expose().chars().count() < SHORTEST_TOKEN
}
