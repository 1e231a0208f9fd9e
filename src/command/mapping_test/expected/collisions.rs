//! Two entries of a file that claim one thing, as a first sync would decide about them.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Outcome, Verdict};
use crate::{
    config::Adopt,
    model::{
        entry::DirectoryId,
        fold::fold,
        reason::{Contested, ContestedValue, Reason},
    },
};

/// The most others that a reason names, as in a sync.
const NAMED: usize = 3;

/// What an entry claims for its person alone.
#[derive(Debug)]
pub struct Claim {
    /// Its directory id, if it shows one.
    pub id: Option<DirectoryId>,
    /// Whether it takes part where several ask for one login.
    pub asks_for_login: bool,
}

/// Of several entries with one id or one login none gets a user, and each is told the others. The claims
/// are those of the outcomes, in the same order.
pub fn skip_rivals(outcomes: &mut [(bool, Outcome)], claims: &[Claim]) {
    let mut of_ids: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, claim) in users(outcomes, claims) {
        if let Some(id) = &claim.id {
            of_ids.entry(id.as_str()).or_default().push(place);
        }
    }
    for (id, places) in of_ids {
        skip(outcomes, &places, |_| {
            ContestedValue::DirectoryId(id.into())
        });
    }
    let mut of_logins: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, _) in users(outcomes, claims).filter(|(_, claim)| claim.asks_for_login) {
        let login = outcomes.get(place);
        if let Some(login) = login.and_then(|(_, outcome)| outcome.username.as_deref()) {
            of_logins
                .entry(fold(login).into_owned())
                .or_default()
                .push(place);
        }
    }
    for places in of_logins.into_values() {
        skip(outcomes, &places, |outcome| {
            ContestedValue::Username(outcome.username.clone().unwrap_or_default().into())
        });
    }
}

/// Those who get a user so far, with what they claim.
fn users<'c>(
    outcomes: &[(bool, Outcome)],
    claims: &'c [Claim],
) -> impl Iterator<Item = (usize, &'c Claim)> {
    outcomes
        .iter()
        .zip(claims)
        .enumerate()
        .filter(|(_, ((_, outcome), _))| outcome.verdict == Verdict::User)
        .map(|(place, (_, claim))| (place, claim))
}

fn skip(
    outcomes: &mut [(bool, Outcome)],
    places: &[usize],
    what: impl Fn(&Outcome) -> ContestedValue,
) {
    if places.len() < 2 {
        return;
    }
    let dns = places.iter().filter_map(|place| outcomes.get(*place));
    let mut dns: Vec<String> = dns.map(|(_, outcome)| outcome.dn.clone()).collect();
    dns.sort();
    for place in places {
        let Some((_, outcome)) = outcomes.get_mut(*place) else {
            continue;
        };
        let others = dns.iter().filter(|dn| **dn != outcome.dn).take(NAMED);
        let reason = Reason::Contested(Box::new(Contested {
            what: what(outcome),
            others: others.map(|dn| dn.as_str().into()).collect(),
        }));
        *outcome = Outcome::skipped(outcome.dn.clone(), Verdict::Collision, &reason);
    }
}

/// What a sync says of people with one mail address, who all get their users; unless users are adopted by
/// it.
pub fn shared_mails(outcomes: &[(bool, Outcome)], adopt: Adopt) -> Option<String> {
    let mut of_mails: BTreeMap<Cow<'_, str>, Vec<&str>> = BTreeMap::new();
    for (_, outcome) in outcomes {
        let mail = outcome.email.as_deref().filter(|mail| !mail.is_empty());
        if let (Some(mail), Some(login)) = (mail, outcome.username.as_deref()) {
            of_mails.entry(fold(mail)).or_default().push(login);
        }
    }
    of_mails.retain(|_, logins| logins.len() > 1);
    if of_mails.is_empty() {
        return None;
    }
    let shared = of_mails.iter().take(NAMED);
    let shared: Vec<String> = shared
        .map(|(mail, logins)| format!("{mail} of {}", logins.join(", ")))
        .collect();
    let more = match of_mails.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let so = if adopt == Adopt::Email {
        "a user of ftrack with that address is adopted for none of them"
    } else {
        "each of them gets a user, and a sync warns of it"
    };
    Some(format!(
        "several people have one mail address, {}{more}: {so}",
        shared.join("; ")
    ))
}
