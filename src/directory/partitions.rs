//! The naming contexts of an Active Directory forest: whether what a domain controller leaves out of a
//! search from the root of its domain, when it is asked to, may hold people.

use percent_encoding::percent_decode_str;

use super::{
    budget::Budget,
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    lookup::references,
    search::{LaterPages, Search, SearchEvidence, search},
    server::{Continuations, ReferralObjects, Referrals, RootDse},
};
use crate::model::entry::{Entry, Kept};

/// The flags of a naming context of the forest, and of a domain (MS-ADTS section 6.1.1.2.1.1.2,
/// `systemFlags` of a crossRef object).
const OF_FOREST: i32 = 1;
const OF_DOMAIN: i32 = 2;
/// What is asked of crossRef objects: the DN of their naming context, and its flags.
const NAME: &str = "nCName";
const FLAGS: &str = "systemFlags";
/// crossRef objects per page.
const PAGE: i32 = 500;

/// What lies below the bases that are roots of naming contexts.
#[derive(Debug, Clone, Default)]
pub(super) struct Partitions(Vec<Below>);

/// What lies below a base, to which the server refers.
#[derive(Debug, Clone)]
struct Below {
    base: String,
    /// The naming contexts among them that may hold people, as they are shown.
    with_people: Vec<String>,
}

/// A naming context by its crossRef object.
struct NamingContext {
    dn: Dn,
    name: String,
    may_hold_people: bool,
}

impl Partitions {
    /// Finds out to what a domain controller refers from these bases, and what that is. Nothing is
    /// known of a global catalogue, which holds other domains and would leave them out: it is searched
    /// as ever.
    ///
    /// # Errors
    /// The server does not answer, or not now. What it does not show may hold people.
    pub async fn read(
        connection: &mut Connection,
        root: &RootDse,
        bases: &[&str],
    ) -> Result<Self, DirectoryError> {
        let is_controller = root.detected.is_active_directory()
            && root.leaves_out_continuations()
            && !connection.is_to_global_catalogue();
        let contexts = root.naming_contexts.iter().filter_map(|dn| Dn::parse(dn));
        let contexts: Vec<Dn> = contexts.collect();
        let mut found = Self::default();
        for base in bases.iter().filter(|_| is_controller) {
            // Below another entry there is no naming context.
            let Some(dn) = Dn::parse(base).filter(|dn| contexts.contains(dn)) else {
                continue;
            };
            let referred = match references(connection, base).await {
                Err(error) if is_no_answer(&error) => continue,
                referred => referred?,
            };
            if referred.is_empty() {
                continue;
            }
            let known = naming_contexts(connection, root.configuration.as_deref()).await?;
            found.0.push(Below {
                with_people: with_people(&dn, &referred, &known),
                base: (*base).to_owned(),
            });
        }
        Ok(found)
    }

    /// Whether all that the server leaves out of a search of this base, when it is asked to, is known
    /// to hold no people.
    pub fn leads_to_nobody(&self, base: &str) -> bool {
        let below = self.0.iter().find(|below| below.base == base);
        below.is_some_and(|below| below.with_people.is_empty())
    }

    /// The same error, naming those below its base that may hold people, where the server named one
    /// of them all.
    pub fn explained(&self, mut error: DirectoryError) -> DirectoryError {
        if let DirectoryError::Referred { base, to, .. } = &mut error {
            let below = self.0.iter().find(|below| below.base == *base);
            if let Some(below) = below.filter(|below| !below.with_people.is_empty()) {
                to.clone_from(&below.with_people);
            }
        }
        error
    }
}

/// What may hold people below a base: whatever the server refers to but is not known to be without
/// them, and whatever else the forest has there.
fn with_people(base: &Dn, referred: &[String], known: &[NamingContext]) -> Vec<String> {
    let is_below = |context: &&NamingContext| {
        let depth = context.dn.depth_below(base);
        context.may_hold_people && depth.is_some_and(|depth| depth > 0)
    };
    let is_explained = |uri: &&String| {
        let dn = dn_of(uri);
        let mut known = known.iter();
        let context = known.find(|context| Some(&context.dn) == dn.as_ref());
        context.is_some_and(|context| !context.may_hold_people || is_below(&context))
    };
    let unknown = referred.iter().filter(|uri| !is_explained(uri)).cloned();
    let domains = known.iter().filter(is_below);
    domains
        .map(|context| context.name.clone())
        .chain(unknown)
        .collect()
}

/// The DN in an address (RFC 4516 section 2).
fn dn_of(uri: &str) -> Option<Dn> {
    let (_, rest) = uri.split_once("://")?;
    let (_, rest) = rest.split_once('/')?;
    let dn = rest.split('?').next().filter(|dn| !dn.is_empty())?;
    Dn::parse(&percent_decode_str(dn).decode_utf8().ok()?)
}

/// Whether a server refuses to tell something, and nothing else is wrong.
fn is_no_answer(error: &DirectoryError) -> bool {
    let is_of_the_entry = matches!(
        error,
        DirectoryError::NoSuchBase { .. }
            | DirectoryError::Referred { .. }
            | DirectoryError::Refused { .. }
    );
    is_of_the_entry && !error.concerns_one_server()
}

/// The naming contexts of the forest, as far as the account may see them.
async fn naming_contexts(
    connection: &mut Connection,
    configuration: Option<&str>,
) -> Result<Vec<NamingContext>, DirectoryError> {
    let Some(configuration) = configuration else {
        return Ok(Vec::new());
    };
    let wanted = Search {
        base: format!("CN=Partitions,{configuration}"),
        scope: ldap3::Scope::OneLevel,
        filter: "(objectClass=crossRef)".into(),
        attributes: [NAME, FLAGS].map(ToOwned::to_owned).to_vec(),
        ids: Vec::new(),
        page_size: PAGE,
        later_pages: LaterPages::Same,
        referrals: Referrals::default(),
        referral_objects: ReferralObjects::LeftOut,
        continuations: Continuations::EndTheSearch,
    };
    let mut entries = Vec::new();
    let each = |entry: Entry, _: &SearchEvidence, budget: &mut Budget| {
        budget.take(entry.size())?;
        entries.push(entry.merged());
        Ok(())
    };
    let (mut evidence, mut budget) = (SearchEvidence::of(&wanted), Budget::of_a_reading());
    match search(connection, &wanted, &mut evidence, &mut budget, each).await {
        Err(error) if is_no_answer(&error) => return Ok(Vec::new()),
        answered => answered?,
    }
    let known = entries.iter().filter_map(|entry| {
        let (dn, name) = NamingContext::names(entry)?;
        Some(NamingContext {
            dn,
            name: connection.words(&name),
            may_hold_people: NamingContext::may_hold_people(entry),
        })
    });
    Ok(known.collect())
}

impl NamingContext {
    fn names(of: &Entry) -> Option<(Dn, String)> {
        let name = String::from_utf8_lossy(of.values(NAME).first()?).into_owned();
        Some((Dn::parse(&name)?, name))
    }

    /// One of the forest that is no domain has no accounts (MS-ADTS section 3.1.1.1.5: configuration,
    /// schema, DNS zones); of any other one nothing is known.
    fn may_hold_people(of: &Entry) -> bool {
        let flags = of.values(FLAGS).first();
        let flags = flags.and_then(|flags| std::str::from_utf8(flags).ok()?.parse::<i32>().ok());
        flags.is_none_or(|flags| flags & (OF_FOREST | OF_DOMAIN) != OF_FOREST)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn context(name: &str, flags: Option<&str>) -> NamingContext {
        let value = |text: &str| vec![text.as_bytes().to_vec()];
        let mut values = vec![(NAME, value(name))];
        values.extend(flags.map(|flags| (FLAGS, value(flags))));
        let entry = Entry::showing("cn=x", values);
        let (dn, name) = NamingContext::names(&entry).unwrap();
        NamingContext {
            dn,
            name,
            may_hold_people: NamingContext::may_hold_people(&entry),
        }
    }

    fn below(referred: &[&str], known: &[(&str, Option<&str>)]) -> Vec<String> {
        let known: Vec<_> = known
            .iter()
            .map(|(name, flags)| context(name, *flags))
            .collect();
        let referred: Vec<_> = referred.iter().map(|uri| (*uri).to_owned()).collect();
        let base = Dn::parse("DC=studio,DC=test").unwrap();
        with_people(&base, &referred, &known)
    }

    const CONFIGURATION: &str = "ldaps://studio.test/CN=Configuration,DC=studio,DC=test";
    const DNS: &str =
        "ldap://dnszones.studio.test/DC=DomainDnsZones,DC=studio%2cDC=test??base?(x=1)";
    const EU: &str = "ldap://eu.studio.test/DC=eu,DC=studio,DC=test";
    const OF_CONFIGURATION: (&str, Option<&str>) =
        ("CN=Configuration,DC=studio,DC=test", Some("1"));
    const OF_DNS: (&str, Option<&str>) = ("dc=domaindnszones,dc=studio,dc=test", Some("5"));
    const OF_ROOT: (&str, Option<&str>) = ("DC=studio,DC=test", Some("3"));

    #[test]
    fn the_usual_naming_contexts_of_a_domain_hold_nobody() {
        let known = [OF_CONFIGURATION, OF_DNS, OF_ROOT];
        assert_eq!(below(&[CONFIGURATION, DNS], &known), [""; 0]);
    }

    #[test]
    fn what_is_not_known_may_hold_people() {
        let known = [OF_CONFIGURATION, OF_ROOT];
        assert_eq!(below(&[CONFIGURATION, DNS], &known), [DNS]);
        assert_eq!(below(&[CONFIGURATION], &[]), [CONFIGURATION]);
        for odd in ["ldap://dc.studio.test", "ldap://dc/", "nonsense", ""] {
            assert_eq!(below(&[odd], &known), [odd]);
        }
    }

    #[test]
    fn a_domain_below_holds_people_and_one_elsewhere_does_not_matter() {
        let eu = "DC=eu,DC=studio,DC=test";
        for flags in [Some("3"), Some("0"), Some("x"), None] {
            let known = [OF_CONFIGURATION, OF_ROOT, (eu, flags)];
            let both = below(&[CONFIGURATION, EU], &known);
            assert_eq!(both, [eu], "{flags:?}");
            assert_eq!(below(&[CONFIGURATION], &known), [eu], "{flags:?}");
        }
        let known = [OF_CONFIGURATION, OF_ROOT, ("DC=other,DC=test", Some("3"))];
        assert_eq!(below(&[CONFIGURATION], &known), [""; 0]);
    }
}
