//! The person's entry: where it is looked for, and which of several it is.

use std::collections::BTreeSet;

use super::{Trace, users::tie};
use crate::{
    directory::{
        dn::Dn,
        find,
        find::{Found, FoundEntry, Names, Where},
    },
    model::{
        entry::DirectoryId,
        explanation::{ExplainedEntry, StepName, Verdict},
        id::IdAttribute,
        own_links::OwnLinks,
        server_kind::ServerKind,
        user::{Current, User},
    },
    run::{
        RunContext,
        failure::{Failure, ReadError},
        ldap_work::LdapWork,
    },
    sync::owner::known_attribute,
};

/// An entry that was chosen among those that were found.
pub(super) struct Chosen {
    pub found: FoundEntry,
    pub id: Option<(IdAttribute, DirectoryId)>,
    /// Whether it lies in the job's search bases.
    pub is_in_scope: bool,
}

impl Chosen {
    /// Whether it is where the job searches, and the job's filter matches it.
    pub(super) fn is_of_job(&self) -> bool {
        self.is_in_scope && self.found.matches_filter
    }
}

impl RunContext<'_, LdapWork> {
    /// Looks for the person's entry: at the DN, where the job searches, and then in the whole naming
    /// contexts.
    pub(super) async fn search(
        &mut self,
        who: &str,
        (named, own): (&[&User], &OwnLinks),
        trace: &mut Trace,
    ) -> Result<Found, Failure> {
        let is_dn = looks_like_a_dn(who);
        let names = self.names(Some(who).filter(|_| !is_dn), (named, own));
        let mut places = vec![];
        places.extend(is_dn.then_some(Where::Dn(who)));
        places.extend((!names.is_empty()).then_some(Where::Bases(&names)));
        let mut last = None;
        for place in places {
            last = Some(self.find_in(place, trace).await?);
            if last.as_ref().is_some_and(|found| !found.entries.is_empty()) {
                break;
            }
        }
        let found = last.ok_or_else(|| Failure::refused("there is nobody to look for"))?;
        let contexts = found.contexts.clone();
        if !found.entries.is_empty() || names.is_empty() || contexts.is_empty() {
            return Ok(found);
        }
        self.find_in(Where::Contexts(&contexts, &names), trace)
            .await
    }

    /// Looks in one place, and adds the command that does the same.
    async fn find_in(&mut self, place: Where<'_>, trace: &mut Trace) -> Result<Found, Failure> {
        let found = self.find(place).await?;
        trace.commands.push(self.command(&found));
        Ok(found)
    }

    pub(super) async fn find(&mut self, place: Where<'_>) -> Result<Found, Failure> {
        let (request, cancel) = (self.read_request(), self.until.cancel.clone());
        let found = find::find(&self.work.pool, &request, place, &cancel).await;
        found.map_err(|unread| self.record_read_error(ReadError::Directory(unread)))
    }

    /// By what the person's entry is found: the login or mail as given, an id, and the ids of users
    /// that are known by it.
    fn names(&self, who: Option<&str>, (named, own): (&[&User], &OwnLinks)) -> Names {
        let attributes = self.naming_attributes();
        let configured = self.work.pool.id_attribute().map(IdAttribute::named);
        let is_universal = configured.is_none_or(|attribute| attribute.is_universal());
        let may_be = |who: &&str| !is_universal || looks_like_a_uuid(who);
        let ties = || named.iter().filter_map(|user| tie(user, own));
        let is_known = ties().next().is_some();
        let id = who.filter(may_be).filter(|_| !is_known);
        let of_users = ties().map(|link| (link.attribute.clone(), link.id.clone()));
        // Whom ftrack's id names is found by the link: no entry has that id.
        let is_of_ftrack = |who: &str| named.iter().any(|user| &*user.id.text() == who);
        let who = who.filter(|who| !(is_known && is_of_ftrack(who)));
        Names {
            ids: of_users.collect(),
            id: id.and_then(DirectoryId::new),
            values: who
                .map(|who| (attributes, who.to_owned()))
                .into_iter()
                .collect(),
            beginnings: Vec::new(),
        }
    }

    /// The attributes that logins and mail addresses come from, at a server of any kind that the
    /// directory may be.
    pub(super) fn naming_attributes(&self) -> Vec<String> {
        let of_kinds = ServerKind::ALL.into_iter();
        let names = of_kinds.flat_map(|kind| self.work.mappings.of(kind).naming_attributes());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The attributes that may identify an entry, the likeliest first.
    pub(super) fn id_attributes(&self, current: &Current, own: &OwnLinks) -> Vec<IdAttribute> {
        let known = known_attribute(current, own);
        let configured = self.work.pool.id_attribute().map(IdAttribute::named);
        let candidates = IdAttribute::candidates(ServerKind::Generic);
        let all = known.cloned().into_iter().chain(configured);
        all.chain(candidates).collect()
    }

    pub(super) fn record_entry(&self, found: &Found, chosen: Option<&Chosen>, trace: &mut Trace) {
        let places = found.bases.join(", ");
        let Some(chosen) = chosen else {
            let why = format!(
                "{} shows no entry below {places} that matches {}",
                found.server, found.filter
            );
            trace.step(StepName::Search, false, why);
            return;
        };
        let entry = &chosen.found.entry;
        let mut found_it = format!("{} shows {}", found.server, entry.dn);
        let others = found.entries.iter().map(|other| &*other.entry.dn);
        let others: Vec<&str> = others.filter(|dn| *dn != entry.dn).collect();
        if !others.is_empty() {
            found_it.push_str(&format!("; also {}", others.join(" and ")));
        }
        trace.step(StepName::Search, true, found_it);
        let bases = self.work.job.search_bases.join(", ");
        let scope = if chosen.is_in_scope {
            format!("it lies in the search bases ({bases})")
        } else {
            format!("it lies outside of the search bases ({bases})")
        };
        trace.step(StepName::Scope, chosen.is_in_scope, scope);
        let matches = chosen.found.matches_filter;
        if let Some(people) = &found.people {
            let words = if matches { "matches" } else { "does not match" };
            let detail = format!("the filter for people {words} it: {people}");
            trace.step(StepName::Filter, matches, detail);
            trace.commands.push(self.filter_command(found, &entry.dn));
        }
    }

    /// Who else has the login or the mail address of an entry.
    pub(super) async fn rivals(
        &mut self,
        attribute: &IdAttribute,
        chosen: Option<&Chosen>,
    ) -> Result<Vec<DirectoryId>, Failure> {
        let Some(chosen) = chosen else {
            return Ok(Vec::new());
        };
        let attributes = self.naming_attributes();
        let texts = attributes.iter().flat_map(|name| {
            let values = chosen.found.entry.values(name).iter();
            values.filter_map(|value| std::str::from_utf8(value).ok())
        });
        let texts: BTreeSet<&str> = texts.collect();
        let values = texts.into_iter();
        let names = Names {
            values: values
                .map(|text| (attributes.clone(), text.to_owned()))
                .collect(),
            ..Names::default()
        };
        if names.values.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.find(Where::Bases(&names)).await?;
        let ids = found.entries.iter();
        Ok(ids.filter_map(|found| attribute.of(&found.entry)).collect())
    }
}

/// Why an entry is none of the job's people.
pub(super) fn of_stranger(chosen: &Chosen, has_groups: bool) -> (Verdict, String) {
    let dn = &chosen.found.entry.dn;
    let (verdict, why) = if !chosen.is_in_scope {
        (
            Verdict::OutsideBases,
            "lies outside of the job's search bases and scope",
        )
    } else if !chosen.found.matches_filter {
        (
            Verdict::FilteredOut,
            "is not matched by the job's filter for people",
        )
    } else if chosen.id.is_none() {
        (
            Verdict::InvalidValue,
            "shows no id attribute, so it cannot be identified",
        )
    } else if has_groups {
        (
            Verdict::NotAMember,
            "is a member of none of the job's groups (member_of)",
        )
    } else {
        (
            Verdict::FilteredOut,
            "is where people are not counted as users",
        )
    };
    (verdict, format!("the entry {dn} {why}"))
}

pub(super) fn entry_of(server: &str, chosen: &Chosen) -> ExplainedEntry {
    let (attribute, id) = chosen
        .id
        .as_ref()
        .map(|(attribute, id)| (attribute.to_string(), id.as_str().to_owned()))
        .unzip();
    ExplainedEntry {
        server: Some(server.to_owned()),
        dn: chosen.found.entry.dn.clone(),
        directory_id: id,
        id_attribute: attribute,
    }
}

/// Whether a text begins with the name of an attribute and `=` (RFC 4514 section 3), as no login
/// and no mail address does.
pub(super) fn looks_like_a_dn(text: &str) -> bool {
    let is_name = |name: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        !name.is_empty() && name.trim().bytes().all(is_part)
    };
    let name = text.split_once('=').map(|(name, _)| name);
    name.is_some_and(is_name) && Dn::parse(text).is_some()
}

/// Whether a text may be the value of a universal id attribute: 32 hexadecimal digits, in groups.
fn looks_like_a_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
