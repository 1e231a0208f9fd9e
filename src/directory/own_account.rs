//! Until when the account may bind by which a server is read, as far as its own entry shows it.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    account::{generalized_time, of_filetime},
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    filter::equals,
    lookup::{first, look},
    server::{RootDse, naming_context},
};
use crate::model::{
    account::Account, bind_account::BindAccount, ending, entry::Entry, server_kind::ServerKind,
};

/// The bit of `userAccountControl` of an account whose password does not end (`DONT_EXPIRE_PASSWORD`).
const PASSWORD_DOES_NOT_END: i64 = 0x1_0000;
/// Intervals of 100 ns of a second.
const TICKS: i64 = 10_000_000;
const ANY: &str = "(objectClass=*)";
/// How old a password may be by a policy of OpenLDAP, in seconds.
const MAX_AGE: &str = "pwdMaxAge";

/// When something ends; the earliest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// At this time.
    At(DateTime<Utc>),
    /// It does not.
    Never,
    /// The entry does not say.
    NotShown,
}

/// What the entry of an account shows of its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnAccount {
    pub dn: String,
    /// None where no password is used.
    pub password: Option<End>,
    pub account: End,
}

/// Reads the ends of the account of a connection, which the server knows by this identity (RFC 4513
/// section 5.2.1.8). None where it has no entry, or may not read it.
///
/// # Errors
/// The server did not answer; a refusal is an answer.
pub(super) async fn own_account(
    connection: &mut Connection,
    root: &RootDse,
    identity: Option<&str>,
) -> Result<Option<OwnAccount>, DirectoryError> {
    let uses_password = match connection.account() {
        BindAccount::Anonymous => return Ok(None),
        // The keys of a ticket are made of a password.
        BindAccount::Named(_) | BindAccount::Ticket(_) => true,
        BindAccount::Certificate(_) | BindAccount::User(_) => false,
    };
    let found = match root.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => of_domain(connection, root).await?,
        ServerKind::Ds389 | ServerKind::FreeIpa => of_389(connection, identity).await?,
        ServerKind::OpenLdap | ServerKind::Generic => {
            of_openldap(connection, root, identity).await?
        }
    };
    Ok(found.map(|(dn, password, account)| OwnAccount {
        dn,
        password: uses_password.then_some(password),
        account,
    }))
}

type Found = Option<(String, End, End)>;

/// In a domain, the root says by which SIDs it knows the account; the first is the account's own
/// (MS-ADTS section 3.1.1.3.2.21).
async fn of_domain(connection: &mut Connection, root: &RootDse) -> Result<Found, DirectoryError> {
    let tokens = shown(connection, "", &["tokenGroups"]).await?;
    let own = tokens.and_then(|root| root.values("tokenGroups").first().cloned());
    let Some(own) = own else { return Ok(None) };
    let hex: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
    let wanted = [
        "userAccountControl",
        "accountExpires",
        "msDS-UserPasswordExpiryTimeComputed",
        "pwdLastSet",
    ];
    let Some(entry) = shown(connection, &format!("<SID={hex}>"), &wanted).await? else {
        return Ok(None);
    };
    let account = filetime(text(&entry, "accountExpires"));
    let flags = text(&entry, "userAccountControl").and_then(|flags| flags.parse::<i64>().ok());
    let never = flags.is_some_and(|flags| flags & PASSWORD_DOES_NOT_END != 0);
    let password = match text(&entry, "msDS-UserPasswordExpiryTimeComputed") {
        _ if never => End::Never,
        // Nobody has set a password, or it must be changed.
        Some("0") => End::NotShown,
        Some(computed) => filetime(Some(computed)),
        None => by_age_in_domain(connection, root, &entry).await?,
    };
    Ok(Some((entry.dn, password, account)))
}

/// From when a password was set, and how old it may be in the domain.
async fn by_age_in_domain(
    connection: &mut Connection,
    root: &RootDse,
    own: &Entry,
) -> Result<End, DirectoryError> {
    let End::At(set) = filetime(text(own, "pwdLastSet")) else {
        return Ok(End::NotShown);
    };
    let Some(domain) = naming_context(&root.naming_contexts, &own.dn) else {
        return Ok(End::NotShown);
    };
    let domain = shown(connection, domain, &["maxPwdAge"]).await?;
    let age = domain.and_then(|domain| text(&domain, "maxPwdAge")?.parse::<i64>().ok());
    Ok(match age {
        Some(0 | i64::MIN) => End::Never,
        // It is negative: MS-ADA2 section 2.
        Some(age @ i64::MIN..=-1) => after(set, age.unsigned_abs() / TICKS.unsigned_abs()),
        Some(1..) | None => End::NotShown,
    })
}

/// At 389 Directory Server and FreeIPA, the entry has the times themselves.
async fn of_389(
    connection: &mut Connection,
    identity: Option<&str>,
) -> Result<Found, DirectoryError> {
    let wanted = [
        "passwordExpirationTime",
        "krbPasswordExpiration",
        "krbPrincipalExpiration",
    ];
    let Some(entry) = own_entry(connection, identity, &wanted).await? else {
        return Ok(None);
    };
    let [own, of_ticket, account] = wanted.map(|name| time(text(&entry, name)));
    Ok(Some((entry.dn, own.min(of_ticket), account)))
}

/// By the password policy of OpenLDAP (slapo-ppolicy(5)): the entry's own, or the only one that can be
/// seen, since which one is everybody's stands in the server's configuration.
async fn of_openldap(
    connection: &mut Connection,
    root: &RootDse,
    identity: Option<&str>,
) -> Result<Found, DirectoryError> {
    let wanted = ["pwdChangedTime", "pwdPolicySubentry", "pwdEndTime"];
    let Some(entry) = own_entry(connection, identity, &wanted).await? else {
        return Ok(None);
    };
    let account = time(text(&entry, "pwdEndTime"));
    let End::At(changed) = time(text(&entry, "pwdChangedTime")) else {
        return Ok(Some((entry.dn, End::NotShown, account)));
    };
    let policy = match text(&entry, "pwdPolicySubentry") {
        Some(own) => shown(connection, own, &[MAX_AGE]).await?,
        None => only_policy(connection, root, &entry.dn).await?,
    };
    let seconds = policy.and_then(|policy| match text(&policy, MAX_AGE) {
        Some(age) => age.parse::<u64>().ok(),
        // Without it, passwords do not end.
        None => Some(0),
    });
    let password = match seconds {
        Some(0) => End::Never,
        Some(seconds) => after(changed, seconds),
        None => End::NotShown,
    };
    Ok(Some((entry.dn, password, account)))
}

/// The only password policy of the naming context of an entry; none where there are several, or none
/// is shown.
async fn only_policy(
    connection: &mut Connection,
    root: &RootDse,
    dn: &str,
) -> Result<Option<Entry>, DirectoryError> {
    let Some(context) = naming_context(&root.naming_contexts, dn) else {
        return Ok(None);
    };
    let any = "(objectClass=pwdPolicy)";
    let subtree = (context, ldap3::Scope::Subtree);
    let policy = first(connection, subtree, any, &[MAX_AGE]).await;
    let Some(policy) = answered(policy)? else {
        return Ok(None);
    };
    let another = format!("(&{any}(!{}))", equals("entryDN", policy.dn.as_bytes()));
    let another = first(connection, subtree, &another, &[MAX_AGE]).await;
    Ok(answered(another)?.is_none().then_some(policy))
}

/// The entry of whom the server takes the connection for, where it says so by a DN.
async fn own_entry(
    connection: &mut Connection,
    identity: Option<&str>,
    wanted: &[&str],
) -> Result<Option<Entry>, DirectoryError> {
    let identity = identity.and_then(|identity| identity.strip_prefix("dn:"));
    let own = match (identity, connection.account()) {
        (Some(dn), _) => dn.trim().to_owned(),
        (None, BindAccount::Named(dn)) => dn.clone(),
        (
            None,
            BindAccount::Anonymous
            | BindAccount::Certificate(_)
            | BindAccount::User(_)
            | BindAccount::Ticket(_),
        ) => return Ok(None),
    };
    if own.is_empty() || Dn::parse(&own).is_none() {
        return Ok(None);
    }
    shown(connection, &own, wanted).await
}

/// An entry, where the account may see it.
async fn shown(
    connection: &mut Connection,
    dn: &str,
    attributes: &[&str],
) -> Result<Option<Entry>, DirectoryError> {
    answered(look(connection, dn, ANY, attributes).await)
}

/// A refusal is an answer: nothing is shown.
fn answered(
    looked: Result<Option<Entry>, DirectoryError>,
) -> Result<Option<Entry>, DirectoryError> {
    match looked {
        Ok(entry) => Ok(entry),
        Err(error) if error.concerns_one_server() => Err(error),
        Err(_) => Ok(None),
    }
}

fn text<'e>(entry: &'e Entry, name: &str) -> Option<&'e str> {
    let value = entry.values(name).first()?;
    std::str::from_utf8(value).ok().map(str::trim)
}

fn filetime(value: Option<&str>) -> End {
    match value.map(of_filetime) {
        Some(Account::Enabled) => End::Never,
        Some(Account::Until(end)) => End::At(end),
        Some(Account::Disabled | Account::Unclear(..)) | None => End::NotShown,
    }
}

fn time(value: Option<&str>) -> End {
    match value.and_then(generalized_time) {
        Some(end) if end != DateTime::UNIX_EPOCH => End::At(end),
        Some(_) | None => End::NotShown,
    }
}

fn after(start: DateTime<Utc>, seconds: u64) -> End {
    let span = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
    span.and_then(|span| start.checked_add_signed(span))
        .map_or(End::Never, End::At)
}

impl End {
    /// In words: what ends, and when.
    fn words(self, what: &str, now: DateTime<Utc>) -> String {
        match self {
            Self::Never => format!("{what} does not end"),
            Self::At(end) if end <= now => format!("{what} ended on {}", ending::day_of(end, now)),
            Self::At(end) => format!("{what} ends on {}", ending::day_of(end, now)),
            Self::NotShown => format!("no end of {what} is shown"),
        }
    }

    fn is_near(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::At(end) => ending::is_near(end, now),
            Self::Never | Self::NotShown => false,
        }
    }
}

impl OwnAccount {
    /// What is found, in words.
    pub fn words(&self, now: DateTime<Utc>) -> String {
        let password = self.password.map(|end| end.words("its password", now));
        let account = self.account.words("the account", now);
        let both: Vec<String> = password.into_iter().chain([account]).collect();
        format!("{}: {}", self.dn, both.join("; "))
    }

    /// What to do where an end is near; none where none is.
    pub fn way_out(&self, kind: ServerKind, now: DateTime<Utc>) -> Option<String> {
        let password = self.password.is_some_and(|end| end.is_near(now));
        let account = self.account.is_near(now);
        let (without_end, longer) = match kind {
            ServerKind::ActiveDirectory | ServerKind::Samba => (
                "let it not end (Set-ADUser -PasswordNeverExpires $true)",
                "Set-ADAccountExpiration or Clear-ADAccountExpiration",
            ),
            ServerKind::Ds389 => (
                "give the account a policy whose passwords do not end (dsconf … localpwp)",
                "krbPrincipalExpiration of its entry",
            ),
            ServerKind::FreeIpa => (
                "let it end later (ipa user-mod --password-expiration; passwordExpirationTime of a \
                 system account)",
                "ipa user-mod --principal-expiration",
            ),
            ServerKind::OpenLdap | ServerKind::Generic => (
                "give the account a pwdPolicySubentry whose pwdMaxAge is 0",
                "pwdEndTime of its entry",
            ),
        };
        match (password, account) {
            (false, false) => None,
            (true, false) => Some(format!(
                "set a new password, also in bind_password_file or the keytab, before it ends, or \
                 {without_end}"
            )),
            (false, true) => Some(format!("extend the account before it ends: {longer}")),
            (true, true) => Some(format!(
                "extend the account before it ends ({longer}), and set a new password, or \
                 {without_end}"
            )),
        }
    }

    /// The times, for programs.
    pub fn times(&self) -> [(&'static str, Option<DateTime<Utc>>); 2] {
        let at = |end| match end {
            End::At(end) => Some(end),
            End::Never | End::NotShown => None,
        };
        [
            ("password_expires_at", self.password.and_then(at)),
            ("account_expires_at", at(self.account)),
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn account(password: Option<End>, account: End) -> OwnAccount {
        OwnAccount {
            dn: "cn=sync".into(),
            password,
            account,
        }
    }

    #[test]
    fn an_end_that_is_near_says_what_to_do_on_each_kind_of_server() {
        let now: DateTime<Utc> = "2026-01-10T00:00:00Z".parse().unwrap();
        let near = End::At(now + TimeDelta::days(3));
        let far = End::At(now + TimeDelta::days(300));
        for kind in ServerKind::ALL {
            for calm in [End::Never, End::NotShown, far] {
                assert_eq!(account(Some(calm), calm).way_out(kind, now), None);
                assert_eq!(account(None, calm).way_out(kind, now), None);
            }
            let of_password = account(Some(near), far).way_out(kind, now).unwrap();
            assert!(of_password.starts_with("set a new password"), "{kind}");
            let of_account = account(Some(far), near).way_out(kind, now).unwrap();
            assert!(of_account.starts_with("extend the account"), "{kind}");
            let of_both = account(Some(near), near).way_out(kind, now).unwrap();
            assert!(of_both.contains("extend") && of_both.contains("password"));
        }
        let words = account(Some(near), End::Never).words(now);
        assert_eq!(
            words,
            "cn=sync: its password ends on 2026-01-13 (in 3 days); the account does not end"
        );
        let over = End::At(now - TimeDelta::days(3));
        assert_eq!(
            account(None, over).words(now),
            "cn=sync: the account ended on 2026-01-07 (3 days ago)"
        );
    }

    #[test]
    fn a_password_ends_when_it_is_too_old() {
        let set: DateTime<Utc> = "2026-01-10T00:00:00Z".parse().unwrap();
        assert_eq!(after(set, 86_400), End::At(set + TimeDelta::days(1)));
        assert_eq!(after(set, u64::MAX), End::Never);
        assert_eq!(time(Some("19700101000000Z")), End::NotShown);
        assert_eq!(filetime(Some("9223372036854775807")), End::Never);
        assert_eq!(filetime(Some("x")), End::NotShown);
    }
}
