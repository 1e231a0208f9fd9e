//! A plain LDAP client on the `ldap3` crate, for the tests of the servers: it reads, and returns
//! what it received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ldap3::{
    Ldap, LdapConnAsync, LdapError, Scope, SearchEntry,
    controls::{Control, ControlType, MakeCritical as _, PagedResults},
    parse_refs,
};

use ftrack_ldap_sync::demo::cast;

/// The password of the service account in these tests.
pub const PASSWORD: &str = "sync-secret";
/// How long any answer may take.
pub const LIMIT: Duration = Duration::from_secs(5);

/// What a paged read saw until it ended.
#[derive(Debug, Default)]
pub struct Seen {
    pub entries: Vec<SearchEntry>,
    pub references: Vec<String>,
    pub pages: usize,
}

/// How a paged read ended.
#[derive(Debug)]
pub enum End {
    /// Success, and the last page's control had no cookie.
    Complete,
    /// This result code.
    Code(u32),
    /// Success without a paged results control.
    NoControl,
    /// An error of the connection or of the client, such as a time limit.
    Broken(LdapError),
    /// Still going on after as many pages as were allowed.
    Endless,
}

/// A connection without a bind.
pub async fn connect(url: &str) -> Ldap {
    let (connection, ldap) = LdapConnAsync::new(url).await.unwrap();
    tokio::spawn(connection.drive());
    ldap
}

/// A connection of the service account.
pub async fn bound(url: &str) -> Ldap {
    let mut ldap = connect(url).await;
    ldap.with_timeout(LIMIT)
        .simple_bind(cast::SERVICE, PASSWORD)
        .await
        .unwrap()
        .success()
        .unwrap();
    ldap
}

/// An unpaged search below the studio's suffix: the DNs, in the order in which they came.
pub async fn dns(ldap: &mut Ldap, filter: &str) -> Vec<String> {
    entries(ldap, cast::SUFFIX, Scope::Subtree, filter, &["1.1"])
        .await
        .into_iter()
        .map(|entry| entry.dn)
        .collect()
}

/// An unpaged search that succeeds.
pub async fn entries(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[&str],
) -> Vec<SearchEntry> {
    let found = ldap
        .with_timeout(LIMIT)
        .search(base, scope, filter, attributes.to_vec())
        .await
        .unwrap();
    found
        .success()
        .unwrap()
        .0
        .into_iter()
        .map(SearchEntry::construct)
        .collect()
}

/// The result code and matched DN of an unpaged search.
pub async fn code(ldap: &mut Ldap, base: &str, scope: Scope, filter: &str) -> (u32, String) {
    let found = ldap
        .with_timeout(LIMIT)
        .search(base, scope, filter, vec!["1.1"])
        .await
        .unwrap();
    (found.1.rc, found.1.matched)
}

/// Reads all people page by page, each answer within `limit`, at most 50 pages.
pub async fn read_people(ldap: &mut Ldap, page_size: i32, limit: Duration) -> (Seen, End) {
    let mut seen = Seen::default();
    let mut cookie = Vec::new();
    while seen.pages < 50 {
        seen.pages += 1;
        match read_page(ldap, page_size, cookie, limit, &mut seen).await {
            Ok(Ok(next)) if next.is_empty() => return (seen, End::Complete),
            Ok(Ok(next)) => cookie = next,
            Ok(Err(end)) => return (seen, end),
            Err(error) => return (seen, End::Broken(error)),
        }
    }
    (seen, End::Endless)
}

async fn read_page(
    ldap: &mut Ldap,
    size: i32,
    cookie: Vec<u8>,
    limit: Duration,
    seen: &mut Seen,
) -> Result<Result<Vec<u8>, End>, LdapError> {
    let control = PagedResults { size, cookie }.critical();
    let search = ldap.with_controls(control).with_timeout(limit);
    let mut stream = search
        .streaming_search(cast::PEOPLE, Scope::Subtree, cast::FILTER, vec!["*", "+"])
        .await?;
    while let Some(answer) = stream.next().await? {
        if answer.is_ref() {
            seen.references.extend(parse_refs(answer.0));
        } else {
            seen.entries.push(SearchEntry::construct(answer));
        }
    }
    let result = stream.finish().await;
    if result.rc != 0 {
        return Ok(Err(End::Code(result.rc)));
    }
    let paged = result.ctrls.into_iter().find_map(|control| match control {
        Control(Some(ControlType::PagedResults), raw) => Some(raw.parse::<PagedResults>().cookie),
        _ => None,
    });
    Ok(paged.ok_or(End::NoControl))
}
