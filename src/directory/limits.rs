//! The limits of a server for the searches of the account, as far as it shows them, and what to do
//! where one of them ends a search.

use super::{connection::Connection, error::DirectoryError, lookup::look, server::RootDse};
use crate::model::{entry::Entry, server_kind::ServerKind};

/// The query policy of a forest that no server or site of it replaces, below its configuration
/// ([MS-ADTS] section 3.1.1.3.4.6).
const DEFAULT_POLICY: &str =
    "CN=Default Query Policy,CN=Query-Policies,CN=Directory Service,CN=Windows NT,CN=Services";
/// The entries in which 389 Directory Server has its defaults.
const OF_389: &str = "cn=config";
const OF_389_DATABASES: &str = "cn=config,cn=ldbm database,cn=plugins,cn=config";
/// How many entries of a hundred that a search may look through are near the limit.
const NEAR: u64 = 80;

/// What a limit bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounds {
    /// The entries of a page; a larger page is made smaller.
    PageCut,
    /// The entries of a page; a larger page ends the search.
    PageRefused,
    /// The entries that a search looks at, whether the filter matches them or not.
    LookThrough,
    /// The values of an attribute that an entry shows at once.
    Values,
    /// The seconds of a search.
    Seconds,
}

/// A limit, and what it is called where it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    bounds: Bounds,
    most: u64,
    set_by: String,
}

/// The limits that a server shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits(Vec<Limit>);

impl Limits {
    /// Reads them, for the account with this DN, where that is known; a server that shows none has
    /// them all the same.
    ///
    /// # Errors
    /// The server did not answer; a refusal is an answer.
    pub async fn read(
        connection: &mut Connection,
        root: &RootDse,
        account: Option<&str>,
    ) -> Result<Self, DirectoryError> {
        match root.kind {
            ServerKind::ActiveDirectory | ServerKind::Samba => {
                of_active_directory(connection, root).await
            }
            ServerKind::Ds389 | ServerKind::FreeIpa => of_389(connection, account).await,
            ServerKind::OpenLdap | ServerKind::Generic => Ok(Self::default()),
        }
    }

    /// In words; none where the server shows none.
    pub fn words(&self) -> Option<String> {
        let all: Vec<String> = self.0.iter().map(Limit::words).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// What ends a read in pages of this size once there are more people than fit on one.
    pub fn smaller_page(&self, page_size: i32) -> Option<String> {
        let page_size = u64::try_from(page_size).ok()?;
        let limit = self.of(Bounds::PageRefused)?;
        (limit.most < page_size).then(|| {
            format!(
                "a page of {page_size} entries (page_size) is refused as soon as it has more than {}: \
                 {}",
                limit.most, limit.set_by
            )
        })
    }

    /// What will end a search before long that now returns so many entries.
    pub fn soon_reached(&self, entries: u64) -> Option<String> {
        let limit = self.of(Bounds::LookThrough)?;
        let is_near = entries.saturating_mul(100) >= limit.most.saturating_mul(NEAR);
        is_near.then(|| {
            format!(
                "{entries} entries were returned, and the server ends a search that looks through \
                 more than {}: {}",
                limit.most, limit.set_by
            )
        })
    }

    fn of(&self, bounds: Bounds) -> Option<&Limit> {
        self.0.iter().find(|limit| limit.bounds == bounds)
    }
}

impl Limit {
    fn words(&self) -> String {
        let Self {
            bounds,
            most,
            set_by,
        } = self;
        match bounds {
            Bounds::PageCut => format!("{most} entries in a page, larger ones are cut ({set_by})"),
            Bounds::PageRefused => format!("{most} entries in a page ({set_by})"),
            Bounds::LookThrough => format!("{most} entries looked through by a search ({set_by})"),
            Bounds::Values => format!("{most} values of an attribute at once ({set_by})"),
            Bounds::Seconds => format!("{most} seconds for a page ({set_by})"),
        }
    }
}

/// Those of the query policy that holds for a domain controller: its own, its site's, or the default
/// one.
async fn of_active_directory(
    connection: &mut Connection,
    root: &RootDse,
) -> Result<Limits, DirectoryError> {
    let policy = match own_policy(connection, root).await? {
        Some(policy) => Some(policy),
        None => root
            .configuration
            .as_ref()
            .map(|below| format!("{DEFAULT_POLICY},{below}")),
    };
    let Some(policy) = policy else {
        return Ok(Limits::default());
    };
    let entry = shown(connection, &policy, &["lDAPAdminLimits"]).await?;
    let values = texts(entry.as_ref(), "lDAPAdminLimits");
    let limits = [
        ("MaxPageSize", Bounds::PageCut),
        ("MaxValRange", Bounds::Values),
        ("MaxQueryDuration", Bounds::Seconds),
    ];
    let limits = limits.into_iter().filter_map(|(name, bounds)| {
        let mut all = values.iter().filter_map(|value| value.split_once('='));
        let (_, most) = all.find(|(shown, _)| shown.eq_ignore_ascii_case(name))?;
        Some(Limit {
            bounds,
            most: most.trim().parse().ok()?,
            set_by: name.to_owned(),
        })
    });
    Ok(Limits(limits.collect()))
}

/// The DN of the policy that a domain controller or its site has for itself.
async fn own_policy(
    connection: &mut Connection,
    root: &RootDse,
) -> Result<Option<String>, DirectoryError> {
    let Some((_, service)) = &root.update_number else {
        return Ok(None);
    };
    // `CN=NTDS Settings,CN=DC1,CN=Servers,CN=SITE,…`
    let site = service.splitn(4, ',').nth(3);
    let site = site.map(|site| format!("CN=NTDS Site Settings,{site}"));
    for place in [Some(service.clone()), site].into_iter().flatten() {
        let entry = shown(connection, &place, &["queryPolicyObject"]).await?;
        if let Some(policy) = texts(entry.as_ref(), "queryPolicyObject").pop() {
            return Ok(Some(policy));
        }
    }
    Ok(None)
}

/// Those of an account at 389 Directory Server, or else the server's.
// https://docs.redhat.com/en/documentation/red_hat_directory_server/12, "Setting resource limits".
async fn of_389(
    connection: &mut Connection,
    account: Option<&str>,
) -> Result<Limits, DirectoryError> {
    const OWN: [&str; 5] = [
        "nsPagedLookThroughLimit",
        "nsLookThroughLimit",
        "nsPagedSizeLimit",
        "nsSizeLimit",
        "nsTimeLimit",
    ];
    const OF_SEARCHES: [&str; 3] = [
        "nsslapd-pagedsizelimit",
        "nsslapd-sizelimit",
        "nsslapd-timelimit",
    ];
    const OF_DATABASES: [&str; 2] = ["nsslapd-pagedlookthroughlimit", "nsslapd-lookthroughlimit"];
    let own = match account {
        Some(account) => shown(connection, account, &OWN).await?,
        None => None,
    };
    let server = shown(connection, OF_389, &OF_SEARCHES).await?;
    let databases = shown(connection, OF_389_DATABASES, &OF_DATABASES).await?;
    let of_account = |name: &str| {
        let most = number(own.as_ref(), name)?;
        Some((most, format!("{name} of the account's entry")))
    };
    let of_server = |entry: &Option<Entry>, name: &str, place: &str| {
        let most = number(entry.as_ref(), name)?;
        // Of a limit for pages alone, 0 means that the other one holds.
        (most != 0).then(|| (most, format!("{name} of {place}")))
    };
    let limits = [
        (
            Bounds::LookThrough,
            of_account("nsPagedLookThroughLimit")
                .or_else(|| {
                    of_server(
                        &databases,
                        "nsslapd-pagedlookthroughlimit",
                        OF_389_DATABASES,
                    )
                })
                .or_else(|| of_account("nsLookThroughLimit"))
                .or_else(|| of_server(&databases, "nsslapd-lookthroughlimit", OF_389_DATABASES)),
        ),
        (
            Bounds::PageRefused,
            of_account("nsPagedSizeLimit")
                .or_else(|| of_server(&server, "nsslapd-pagedsizelimit", OF_389))
                .or_else(|| of_account("nsSizeLimit"))
                .or_else(|| of_server(&server, "nsslapd-sizelimit", OF_389)),
        ),
        (
            Bounds::Seconds,
            of_account("nsTimeLimit").or_else(|| of_server(&server, "nsslapd-timelimit", OF_389)),
        ),
    ];
    let limits = limits.into_iter().filter_map(|(bounds, limit)| {
        let (most, set_by) = limit?;
        // -1 means none.
        let most = u64::try_from(most).ok()?;
        Some(Limit {
            bounds,
            most,
            set_by,
        })
    });
    Ok(Limits(limits.collect()))
}

/// An entry, where the account may see it.
async fn shown(
    connection: &mut Connection,
    dn: &str,
    attributes: &[&str],
) -> Result<Option<Entry>, DirectoryError> {
    match look(connection, dn, "(objectClass=*)", attributes).await {
        Ok(entry) => Ok(entry),
        Err(error) if error.concerns_one_server() => Err(error),
        Err(_) => Ok(None),
    }
}

fn texts(entry: Option<&Entry>, name: &str) -> Vec<String> {
    let values = entry.map(|entry| entry.values(name)).unwrap_or_default();
    let texts = values
        .iter()
        .filter_map(|value| std::str::from_utf8(value).ok());
    texts.map(str::to_owned).collect()
}

fn number(entry: Option<&Entry>, name: &str) -> Option<i64> {
    texts(entry, name).first()?.trim().parse().ok()
}

/// What to do about a search that a limit of the server ended, in the words of its kind.
pub(super) fn limit_advice(code: u32, kind: Option<ServerKind>) -> Option<&'static str> {
    let kind = kind.unwrap_or_default();
    Some(match (code, kind) {
        (3, ServerKind::OpenLdap) => {
            "give the bind account `limits dn.exact=\"…\" time=unlimited` in its database \
             (slapd.conf; olcLimits in cn=config), or narrow the search"
        }
        (3, ServerKind::Ds389 | ServerKind::FreeIpa) => {
            "raise nsTimeLimit of the bind account's entry, or nsslapd-timelimit of cn=config, or \
             narrow the search"
        }
        (3, ServerKind::ActiveDirectory | ServerKind::Samba) => {
            "lower page_size, narrow the search, or raise MaxQueryDuration in the domain's query \
             policy (ntdsutil, LDAP policies)"
        }
        (3, ServerKind::Generic) => {
            "raise the server's time limit for this account, or narrow the search"
        }
        (4, ServerKind::OpenLdap) => {
            "give the bind account `limits dn.exact=\"…\" size.prtotal=unlimited` in its database \
             (slapd.conf; olcLimits in cn=config): without it, sizelimit (500) bounds all pages of a \
             search together"
        }
        (4, ServerKind::Ds389 | ServerKind::FreeIpa) => {
            "a page is larger than the account may have: lower page_size, or raise \
             nsPagedSizeLimit or nsSizeLimit of the bind account's entry, or nsslapd-sizelimit of \
             cn=config"
        }
        (4, ServerKind::ActiveDirectory | ServerKind::Samba) => {
            "lower page_size, or raise MaxPageSize in the domain's query policy (ntdsutil, LDAP \
             policies)"
        }
        (4, ServerKind::Generic) => "raise the server's size limit for this account",
        (11, ServerKind::OpenLdap) => {
            "lower page_size to the account's size.pr, or give the bind account `limits \
             dn.exact=\"…\" size.pr=unlimited size.prtotal=unlimited size.unchecked=unlimited` in \
             its database (slapd.conf; olcLimits in cn=config)"
        }
        (11, ServerKind::Ds389 | ServerKind::FreeIpa) => {
            "the search looks through more entries than the account may: set \
             nsPagedLookThroughLimit: -1 in the bind account's entry, or raise \
             nsslapd-pagedlookthroughlimit (0: nsslapd-lookthroughlimit) of cn=config,cn=ldbm \
             database,cn=plugins,cn=config"
        }
        (11, ServerKind::ActiveDirectory | ServerKind::Samba) => {
            "the search exceeds a limit of the domain's query policy (ntdsutil, LDAP policies): \
             narrow it, lower page_size, or raise MaxTempTableSize and MaxResultSetSize"
        }
        (11, ServerKind::Generic) => {
            "the request exceeds the server's limits for this account: lower page_size, or raise \
             these limits"
        }
        _ => return None,
    })
}
