//! The servers of a domain, from its DNS records (RFC 2782).

use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    net::NetError,
    proto::rr::{RData, RecordType},
};
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use super::error::DirectoryError;
use crate::{
    config::{Directory, SrvScheme},
    model::server_kind::ServerKind,
};

/// The most records of one answer that are used.
const MOST_RECORDS: usize = 64;

/// Where the servers of a directory are looked up, and how they are then used.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    domain: String,
    scheme: SrvScheme,
    kind: Option<ServerKind>,
    /// For the whole look-up.
    limit: Duration,
}

/// What the records say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name under which they were found.
    pub name: String,
    /// The servers, by preference.
    pub urls: Vec<Url>,
    /// Targets outside of the domain, which are not used.
    pub outside: Vec<String>,
    /// Until when the records may be used (their TTL).
    pub until: Instant,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    priority: u16,
    weight: u16,
    port: u16,
    /// Without the dot at the end; empty where there is no service.
    host: String,
}

impl Lookup {
    /// Of a directory whose servers are looked up.
    pub fn of(directory: &Directory) -> Option<Self> {
        let domain = directory.srv.as_deref()?;
        Some(Self {
            domain: domain.trim_end_matches('.').to_ascii_lowercase(),
            scheme: directory.srv_scheme.unwrap_or_default(),
            kind: directory.kind,
            limit: directory.connect_timeout,
        })
    }

    /// Asks the name servers of this machine's `resolv.conf`, which is read anew.
    ///
    /// # Errors
    /// `ServersNotFound`
    pub async fn look_up(&self) -> Result<Found, DirectoryError> {
        match timeout(self.limit, self.first_found()).await {
            Ok(found) => found,
            Err(_) => Err(self.failed(format!(
                "no answer within {}",
                humantime::format_duration(self.limit)
            ))),
        }
    }

    async fn first_found(&self) -> Result<Found, DirectoryError> {
        let mut nothing = Vec::new();
        for name in self.names() {
            match self.records(&name).await {
                Ok((targets, until)) => return self.found(name, targets, until),
                Err(error) if error.is_no_records_found() => nothing.push(name),
                Err(error) => return Err(self.failed(format!("{name}: {error}"))),
            }
        }
        let names = nothing.join(" and ");
        Err(self.failed(format!("there are no SRV records of {names}")))
    }

    /// The names whose records are asked for, in this order: domain controllers are found by a name
    /// of their own (MS-ADTS section 6.3.2.3).
    fn names(&self) -> Vec<String> {
        let of_controllers = format!("_ldap._tcp.dc._msdcs.{}", self.domain);
        let of_all = format!("_ldap._tcp.{}", self.domain);
        match self.kind {
            Some(ServerKind::ActiveDirectory | ServerKind::Samba) => vec![of_controllers],
            None => vec![of_controllers, of_all],
            Some(
                ServerKind::Ds389
                | ServerKind::FreeIpa
                | ServerKind::OpenLdap
                | ServerKind::Generic,
            ) => vec![of_all],
        }
    }

    async fn records(&self, name: &str) -> Result<(Vec<Target>, Instant), NetError> {
        let mut builder = TokioResolver::builder_tokio()?;
        let options = builder.options_mut();
        options.timeout = self.limit / 2;
        options.attempts = 1;
        options.cache_size = 0;
        // The dot at the end: no search list applies.
        let answer = builder
            .build()?
            .lookup(format!("{name}."), RecordType::SRV)
            .await?;
        let targets = answer.answers().iter().filter_map(|record| {
            let RData::SRV(srv) = &record.data else {
                return None;
            };
            let host = srv.target.to_ascii();
            Some(Target {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                host: host.trim_end_matches('.').to_ascii_lowercase(),
            })
        });
        let targets = targets.take(MOST_RECORDS).collect();
        Ok((targets, answer.valid_until()))
    }

    fn found(
        &self,
        name: String,
        targets: Vec<Target>,
        until: Instant,
    ) -> Result<Found, DirectoryError> {
        // "." alone: the service is not available there.
        if targets.iter().all(|target| target.host.is_empty()) {
            return Err(self.failed(format!("{name} says that there is no such service")));
        }
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let (inside, outside): (Vec<Target>, Vec<Target>) = by_preference(targets, &host)
            .into_iter()
            .filter(|target| !target.host.is_empty())
            .partition(|target| self.holds(&target.host));
        let urls: Vec<Url> = inside
            .iter()
            .filter_map(|target| self.url(target))
            .collect();
        let outside: Vec<String> = outside.into_iter().map(|target| target.host).collect();
        if urls.is_empty() {
            return Err(self.failed(format!(
                "{name} names no server in the domain, but {}",
                outside.join(", ")
            )));
        }
        Ok(Found {
            name,
            urls,
            outside,
            until,
        })
    }

    /// Whether a host lies in the domain. Records can be forged, and a certificate is checked against
    /// the name that they give: only names of the domain may be given so (RFC 4513 section 3.1.3).
    fn holds(&self, host: &str) -> bool {
        host.strip_suffix(self.domain.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    fn url(&self, target: &Target) -> Option<Url> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if !target.host.chars().all(is_plain) {
            return None;
        }
        // Records of `_ldap` name the port for ldap://.
        let port = match (self.scheme, target.port) {
            (SrvScheme::Ldaps, 389 | 636) | (SrvScheme::Ldap, 389) => String::new(),
            (SrvScheme::Ldaps | SrvScheme::Ldap, port) => format!(":{port}"),
        };
        Url::parse(&format!("{}://{}{port}", self.scheme, target.host)).ok()
    }

    fn failed(&self, reason: String) -> DirectoryError {
        DirectoryError::ServersNotFound {
            domain: self.domain.clone(),
            reason,
        }
    }
}

/// How long the records of a domain are waited for that nobody configured.
const UNASKED: Duration = Duration::from_secs(3);

/// Whether the DNS records of a domain name LDAP servers.
pub async fn names_servers(domain: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-.".contains(letter);
    let lookup = Lookup {
        domain: domain.trim_end_matches('.').to_ascii_lowercase(),
        scheme: SrvScheme::default(),
        kind: None,
        limit: UNASKED,
    };
    domain.contains('.') && domain.chars().all(is_plain) && lookup.look_up().await.is_ok()
}

/// The domain of this machine, of its name or its `resolv.conf`, whose records name LDAP servers.
pub async fn of_this_machine() -> Option<String> {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().into_owned();
    let of_name = name.split_once('.').map(|(_, domain)| domain.to_owned());
    let (config, _) = hickory_resolver::system_conf::read_system_conf().ok()?;
    let of_file = config.domain().into_iter().chain(config.search());
    let of_file = of_file.map(|name| name.to_ascii().trim_end_matches('.').to_owned());
    let mut tried: Vec<String> = Vec::new();
    for domain in of_name.into_iter().chain(of_file) {
        // A search list may be long, and each may cost its time.
        if tried.contains(&domain) || tried.len() >= 3 {
            continue;
        }
        if names_servers(&domain).await {
            return Some(domain);
        }
        tried.push(domain);
    }
    None
}

/// In the order in which they are preferred: by priority, then by chance in proportion to the weight
/// (RFC 2782), which is always the same for one machine, so that it keeps to one server.
fn by_preference(mut targets: Vec<Target>, machine: &str) -> Vec<Target> {
    let lot = |target: &Target| {
        let of_machine = Uuid::new_v5(&Uuid::NAMESPACE_DNS, machine.as_bytes());
        let text = format!("{}:{}", target.host, target.port);
        let (random, _) = Uuid::new_v5(&of_machine, text.as_bytes()).as_u64_pair();
        #[allow(clippy::cast_precision_loss, reason = "it is a random number")]
        let random = (random as f64 + 1.0) / (u64::MAX as f64 + 2.0);
        // The smallest of exponentially distributed numbers; weight 0 has a very small chance.
        -random.ln() / f64::from(target.weight).max(0.01)
    };
    targets.sort_by(|one, other| {
        one.priority
            .cmp(&other.priority)
            .then_with(|| lot(one).partial_cmp(&lot(other)).unwrap_or(Ordering::Equal))
    });
    targets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn lookup(scheme: SrvScheme, kind: Option<ServerKind>) -> Lookup {
        Lookup {
            domain: "studio.test".into(),
            scheme,
            kind,
            limit: Duration::from_secs(1),
        }
    }

    fn target(priority: u16, weight: u16, port: u16, host: &str) -> Target {
        Target {
            priority,
            weight,
            port,
            host: host.into(),
        }
    }

    fn urls(scheme: SrvScheme, targets: Vec<Target>) -> Vec<String> {
        let found = lookup(scheme, None).found("_ldap".into(), targets, Instant::now());
        let urls = found.unwrap().urls;
        urls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn domain_controllers_have_a_name_of_their_own() {
        let names = |kind| lookup(SrvScheme::Ldaps, kind).names();
        let (dc, all) = (
            "_ldap._tcp.dc._msdcs.studio.test".to_owned(),
            "_ldap._tcp.studio.test".to_owned(),
        );
        assert_eq!(names(None), [dc.clone(), all.clone()]);
        assert_eq!(names(Some(ServerKind::Samba)), [dc]);
        assert_eq!(names(Some(ServerKind::FreeIpa)), [all]);
    }

    #[test]
    fn the_port_of_a_record_is_used_and_389_is_636_with_tls() {
        let targets = || {
            vec![
                target(0, 1, 389, "a.studio.test"),
                target(1, 1, 3890, "b.studio.test"),
            ]
        };
        assert_eq!(
            urls(SrvScheme::Ldaps, targets()),
            ["ldaps://a.studio.test", "ldaps://b.studio.test:3890"]
        );
        assert_eq!(
            urls(SrvScheme::Ldap, targets()),
            ["ldap://a.studio.test", "ldap://b.studio.test:3890"]
        );
    }

    #[test]
    fn only_names_of_the_domain_are_used() {
        let lookup = lookup(SrvScheme::Ldaps, None);
        for (host, is_held) in [
            ("dc1.studio.test", true),
            ("dc1.sub.studio.test", true),
            ("studio.test", true),
            ("evilstudio.test", false),
            ("studio.test.evil", false),
            ("elsewhere.test", false),
        ] {
            assert_eq!(lookup.holds(host), is_held, "{host}");
        }
        let odd = vec![
            target(0, 1, 389, "a@b/studio.test"),
            target(0, 1, 389, "elsewhere.test"),
        ];
        for (targets, reason) in [
            (vec![target(0, 0, 0, "")], "there is no such service"),
            (odd, "names no server in the domain, but"),
        ] {
            let error = lookup.found("_ldap".into(), targets, Instant::now());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn priority_decides_first_then_weight_in_proportion_and_always_the_same_for_a_machine() {
        let targets = vec![
            target(1, 65535, 389, "late"),
            target(0, 10, 389, "light"),
            target(0, 30, 389, "heavy"),
            target(0, 0, 389, "never"),
        ];
        let mut first = std::collections::BTreeMap::<String, u32>::new();
        for machine in 0..4000 {
            let machine = machine.to_string();
            let order = by_preference(targets.clone(), &machine);
            assert_eq!(order, by_preference(targets.clone(), &machine));
            assert_eq!(order[3].host, "late");
            *first.entry(order[0].host.clone()).or_default() += 1;
        }
        assert!((2800..3200).contains(&first["heavy"]), "{first:?}");
        assert!((800..1200).contains(&first["light"]), "{first:?}");
        assert!(
            first.get("never").copied().unwrap_or_default() < 20,
            "{first:?}"
        );
    }
}
