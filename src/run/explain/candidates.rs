//! Who may be meant by a name: several people, or none, and then who is named almost so.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Failed,
    entry::{Chosen, looks_like_a_dn},
    users::tie,
};
use crate::{
    config::nearest,
    directory::find::{Found, Names, Where},
    model::{
        fold::fold,
        own_links::OwnLinks,
        user::{Current, User},
    },
    run::{RunContext, failure::Failure, ldap_work::LdapWork},
};

/// The most people who are named where nobody has the name.
const MOST: usize = 3;

impl RunContext<'_, LdapWork> {
    /// The entry of the one person who may be meant.
    ///
    /// # Errors
    /// Several may be.
    pub(super) fn choose(
        &self,
        who: &str,
        found: &Found,
        named: &[&User],
        (current, own): (&Current, &OwnLinks),
    ) -> Result<Option<Chosen>, Failed> {
        let attributes = self.id_attributes(current, own);
        let all: Vec<Chosen> = found
            .entries
            .iter()
            .map(|found| Chosen {
                id: found.id(&attributes),
                is_in_scope: self.work.rules.reach.holds(&found.entry.dn),
                found: found.clone(),
            })
            .collect();
        let links: BTreeSet<&str> = named
            .iter()
            .filter_map(|user| tie(user, own))
            .map(|link| link.id.as_str())
            .collect();
        let is_linked = |chosen: &Chosen| {
            let id = chosen.id.as_ref();
            id.is_some_and(|(_, id)| links.contains(id.as_str()))
        };
        let rank = |chosen: &Chosen| (chosen.is_of_job(), chosen.is_in_scope);
        let likeliest = all.iter().map(rank).max();
        let may_be = |chosen: &&Chosen| is_linked(chosen) || Some(rank(chosen)) == likeliest;
        // By what identifies them: of several entries of one person, the first by DN.
        let mut candidates: BTreeMap<String, Candidate> = BTreeMap::new();
        for chosen in all.iter().filter(may_be) {
            let dn = &chosen.found.entry.dn;
            let key = chosen
                .id
                .as_ref()
                .map_or(dn.as_str(), |(_, id)| id.as_str());
            candidates
                .entry(key.to_owned())
                .or_insert_with(|| Candidate::entry(dn));
        }
        for user in named {
            let Some(link) = tie(user, own) else {
                continue;
            };
            candidates
                .entry(link.id.as_str().to_owned())
                .or_insert_with(|| Candidate::user(user));
        }
        if candidates.is_empty() {
            let others = named.iter();
            let others = others.map(|user| (user.id.to_string(), Candidate::user(user)));
            candidates.extend(others);
        }
        if candidates.len() > 1 {
            return Err(Failed::Ambiguous {
                who: who.to_owned(),
                candidates: candidates.into_values().collect(),
            });
        }
        let first = all.iter().find(|chosen| is_linked(chosen));
        let first = first
            .or_else(|| all.iter().find(may_be))
            .map(|chosen| chosen.found.clone());
        let first = first.map(|found| found.entry.dn);
        Ok(all
            .into_iter()
            .find(|chosen| Some(&chosen.found.entry.dn) == first.as_ref()))
    }

    /// Who is named almost so, as a question to append; empty where nobody is.
    pub(super) async fn named_almost_so(
        &mut self,
        who: &str,
        current: &Current,
    ) -> Result<String, Failure> {
        let folded = fold(who);
        let mut near: BTreeSet<String> = BTreeSet::new();
        let turned = turned(who);
        let by_name = |user: &&User| {
            let is_it = |name: &str| {
                let name = fold(name);
                name == folded || turned.as_deref().is_some_and(|turned| name == fold(turned))
            };
            let names = [&user.first_name, &user.last_name];
            let mut names = names.into_iter().filter_map(|name| name.as_deref());
            full_name(user).is_some_and(|name| is_it(&name)) || names.any(is_it)
        };
        let users = current.users.iter().filter(by_name).take(MOST);
        near.extend(users.map(|user| user.username.to_string()));
        let logins = current.users.iter().map(|user| &*user.username);
        near.extend(nearest(who, logins).map(ToOwned::to_owned));
        let mails = current
            .users
            .iter()
            .filter_map(|user| user.email.as_deref());
        near.extend(nearest(who, mails).map(ToOwned::to_owned));
        if !looks_like_a_dn(who) {
            near.extend(self.entries_named_almost_so(who).await?);
        }
        let near: Vec<String> = near
            .into_iter()
            .take(MOST)
            .map(|name| format!("{name:?}"))
            .collect();
        Ok(if near.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", near.join(" or "))
        })
    }

    /// The logins, or DNs, of entries that have this as their first, last or full name, in either order,
    /// or a login or mail address that begins alike and is similar: where the job searches, and, where
    /// nobody is there, in the whole naming contexts.
    async fn entries_named_almost_so(&mut self, who: &str) -> Result<Vec<String>, Failure> {
        let attributes = self.naming_attributes();
        let half = who.chars().count().div_ceil(2);
        let beginning: String = who.chars().take(half.max(2)).collect();
        let named = |attributes: [&str; 2], name: &str| {
            let attributes = attributes.map(ToOwned::to_owned).to_vec();
            (attributes, name.to_owned())
        };
        let mut values = vec![
            named(["cn", "displayName"], who),
            named(["givenName", "sn"], who),
        ];
        values.extend(turned(who).map(|turned| named(["cn", "displayName"], &turned)));
        let names = Names {
            values,
            beginnings: vec![(attributes.clone(), beginning.clone())],
            ..Names::default()
        };
        let mut found = self.find(Where::Bases(&names)).await?;
        if found.entries.is_empty() && !found.contexts.is_empty() {
            let contexts = found.contexts.clone();
            found = self.find(Where::Contexts(&contexts, &names)).await?;
        }
        let near = found.entries.iter().filter_map(|found| {
            let entry = &found.entry;
            let texts: Vec<&str> = attributes
                .iter()
                .flat_map(|name| entry.values(name))
                .filter_map(|value| std::str::from_utf8(value).ok())
                .collect();
            let begins = |text: &&str| fold(text).starts_with(&*fold(&beginning));
            if texts.iter().any(begins) {
                nearest(who, texts).map(ToOwned::to_owned)
            } else {
                // It was found by its name.
                Some(entry.dn.clone())
            }
        });
        Ok(near.collect())
    }
}

/// Somebody who may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What names this one alone: a DN, or a user's id.
    pub name: String,
    /// As it is shown.
    pub shown: String,
}

impl Candidate {
    fn entry(dn: &str) -> Self {
        Self {
            name: dn.to_owned(),
            shown: dn.to_owned(),
        }
    }

    fn user(user: &User) -> Self {
        Self {
            name: user.id.to_string(),
            shown: format!("the user {} ({})", user.username, user.id),
        }
    }
}

/// First and last name of a user.
fn full_name(user: &User) -> Option<String> {
    let (first, last) = (user.first_name.as_deref()?, user.last_name.as_deref()?);
    Some(format!("{first} {last}"))
}

/// Two words the other way round, as of a first and a last name.
fn turned(name: &str) -> Option<String> {
    let mut words = name.split_whitespace();
    let (first, last) = (words.next()?, words.next()?);
    words.next().is_none().then(|| format!("{last} {first}"))
}
