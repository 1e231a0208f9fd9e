//! What a server says about itself before it is configured, for `init`: its kind, its naming contexts,
//! and whether a search base exists.

use super::{
    connection::Connection, error::DirectoryError, lookup::look, pool::DirectoryPool,
    server::RootDse,
};
use crate::model::server_kind::ServerKind;

/// What a server says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The URL of the server that answered.
    pub server: String,
    /// The kind, as it shows itself.
    pub kind: ServerKind,
    /// Vendor and version, if it shows them.
    pub vendor: Option<String>,
    /// The naming contexts that it shows, those of its own administration aside.
    pub naming_contexts: Vec<String>,
}

/// Where people usually are in each kind of directory, below the naming context; the likeliest first.
fn usual_places(kind: ServerKind) -> &'static [&'static str] {
    match kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => &[],
        ServerKind::FreeIpa => &["cn=users,cn=accounts"],
        ServerKind::Ds389 | ServerKind::OpenLdap | ServerKind::Generic => {
            &["ou=people", "ou=users", "cn=users"]
        }
    }
}

/// Asks the first server that can be asked about itself.
///
/// # Errors
/// None answers, or it refuses the credentials.
pub async fn greet(pool: &DirectoryPool) -> Result<Greeting, DirectoryError> {
    let (mut connection, server) = connected(pool).await?;
    let root = RootDse::read(&mut connection).await?;
    let is_of_people = |context: &String| {
        let context = context.to_ascii_lowercase();
        let own = [
            "cn=config",
            "cn=schema",
            "cn=monitor",
            "cn=changelog",
            "o=netscaperoot",
        ];
        let own = own.iter().any(|own| context.starts_with(own));
        // Zones of the DNS, beside the domain.
        !own && !context.starts_with("dc=domaindnszones")
            && !context.starts_with("dc=forestdnszones")
    };
    Ok(Greeting {
        server,
        kind: root.detected,
        vendor: root.vendor,
        naming_contexts: root
            .naming_contexts
            .into_iter()
            .filter(is_of_people)
            .collect(),
    })
}

/// Whether a search base exists, as far as the account may see it.
///
/// # Errors
/// It does not, or no server answers.
pub async fn find_base(pool: &DirectoryPool, base: &str) -> Result<(), DirectoryError> {
    let (mut connection, _) = connected(pool).await?;
    look(&mut connection, base, "(objectClass=*)", &["1.1"])
        .await
        .map(drop)
}

/// Where people are likely to be: a usual place that exists, or else the naming context.
pub async fn likely_base(pool: &DirectoryPool, greeting: &Greeting) -> Option<String> {
    let context = greeting.naming_contexts.first()?;
    for place in usual_places(greeting.kind) {
        let base = format!("{place},{context}");
        if find_base(pool, &base).await.is_ok() {
            return Some(base);
        }
    }
    Some(context.clone())
}

/// A connection to the first server that can be used, and its URL.
async fn connected(pool: &DirectoryPool) -> Result<(Connection, String), DirectoryError> {
    let mut failures = Vec::new();
    for server in pool.look_up().await?.iter() {
        match server.connector.connect().await {
            Ok(connection) => return Ok((connection, server.connector.server().to_owned())),
            Err(error) if error.concerns_one_server() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}
