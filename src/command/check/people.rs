//! Checks the people of one job: they are read as a run reads them, and counted.

use std::{cell::Cell, collections::BTreeMap};

use chrono::Utc;

use super::finding::About;
use crate::{
    config,
    config::{AccountRule, AttributeRule, DisabledFlag, Source},
    directory::{
        NameFault, Reading, SearchEvidence, account::is_flagged, dn::Dn, probe::People,
        schema::Schema,
    },
    model::{
        account::Account,
        entry::{Entry, is_conflict},
        server_kind::ServerKind,
    },
    run::LdapWork,
    sync::{
        desired::{Desired, Mapped},
        mapping::Mapping,
    },
};

/// The most DNs of skipped entries that are named.
const MOST_NAMED: usize = 3;

/// The attributes that are looked at beside those of the mapping: what shows whether an account is
/// disabled, and that an entry is no person.
pub fn looked_at() -> Vec<&'static str> {
    let flags = DisabledFlag::ALL.map(DisabledFlag::attribute);
    let others = ["objectClass", "sAMAccountName"];
    flags.into_iter().chain(others).collect()
}

/// What is counted while the people are read.
#[derive(Debug)]
pub struct Counted {
    /// The attributes that the job maps.
    attributes: Vec<String>,
    entries: Cell<usize>,
    /// How many entries lack each of them.
    lacking: Vec<Cell<usize>>,
    disabled: Cell<usize>,
    /// Those that are no people, by what they are instead.
    others: [Cell<usize>; 3],
}

/// What is no person, though an own filter may match it; each is what it is called.
const NO_PEOPLE: [&str; 3] = ["computers", "groups", "conflict objects of a replication"];

/// As what an entry is no person, as a place in `NO_PEOPLE`.
fn no_person(entry: &Entry) -> Option<usize> {
    let is = |name: &str, is: &dyn Fn(&[u8]) -> bool| entry.values(name).iter().any(|one| is(one));
    let has_class = |class: &str| {
        is("objectClass", &|value| {
            value.eq_ignore_ascii_case(class.as_bytes())
        })
    };
    if is_conflict(&entry.dn) {
        Some(2)
    } else if has_class("group") {
        Some(1)
    } else if has_class("computer") || is("sAMAccountName", &|login| login.ends_with(b"$")) {
        Some(0)
    } else {
        None
    }
}

impl Counted {
    /// Nothing yet, of these attributes.
    #[must_use]
    pub fn new(attributes: Vec<String>) -> Self {
        Self {
            lacking: attributes.iter().map(|_| Cell::new(0)).collect(),
            attributes,
            entries: Cell::new(0),
            disabled: Cell::new(0),
            others: Default::default(),
        }
    }

    /// Counts an entry, and maps it.
    pub fn map(&self, entry: &Entry, mapping: &Mapping) -> Mapped {
        let mapped = mapping.map(entry);
        if matches!(mapped, Mapped::Alias { .. }) {
            return mapped;
        }
        add(&self.entries);
        for (name, lacking) in self.attributes.iter().zip(&self.lacking) {
            if entry.values(name).is_empty() {
                add(lacking);
            }
        }
        if is_flagged(entry) {
            add(&self.disabled);
        }
        if let Some(others) = no_person(entry).and_then(|place| self.others.get(place)) {
            add(others);
        }
        mapped
    }
}

fn add(count: &Cell<usize>) {
    count.set(count.get().saturating_add(1));
}

/// A job at a server of some kind.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct JobAtServer<'a> {
    pub name: &'a str,
    pub work: &'a LdapWork,
    pub kind: ServerKind,
}

/// The attribute rules of a job at a server, by the key of each ftrack attribute.
type Rules = BTreeMap<String, AttributeRule>;

/// The findings about people who were read.
pub fn tell(
    about: &mut About,
    JobAtServer {
        name: job,
        work,
        kind,
    }: JobAtServer<'_>,
    counted: &Counted,
    people: People<Mapped>,
    schema: Option<&Schema>,
) {
    let People { reading, names } = people;
    let rules = work.job.mapping(kind);
    for (place, name) in counted.attributes.iter().enumerate() {
        let fault = names.iter().find(|fault| fault.name() == name);
        let lacking = counted.lacking.get(place).map_or(0, Cell::get);
        attribute(
            about,
            (job, &rules),
            Attribute {
                name,
                fault,
                lacking,
                entries: counted.entries.get(),
                schema,
            },
        );
    }
    let mapped = counted.attributes.iter();
    let mapped: Vec<&String> = mapped.collect();
    for fault in names
        .iter()
        .filter(|fault| !mapped.iter().any(|name| *name == fault.name()))
    {
        unknown(about, fault);
    }
    no_people(about, counted);
    groups(about, counted, &reading, &work.job.member_of);
    let account = work.job.account(kind);
    unknown_flag(about, &account, schema);
    disabled(about, counted, &account, reading.accounts());
    match Desired::new(reading, &work.job.limits) {
        // The cause is told already.
        Err(_) if about.has_failed() => {}
        Err(unfit) => about.fail(
            "people",
            unfit.to_string().replace(", so nothing was written", ""),
            "a run would fail in the same way",
        ),
        Ok(desired) => skipped(about, &desired),
    }
}

/// What is known of one attribute.
struct Attribute<'a> {
    name: &'a str,
    fault: Option<&'a NameFault>,
    lacking: usize,
    entries: usize,
    schema: Option<&'a Schema>,
}

fn attribute(about: &mut About, (job, rules): (&str, &Rules), of: Attribute<'_>) {
    let Attribute {
        name,
        fault,
        lacking,
        entries,
        schema,
    } = of;
    let is_required = is_required(rules, name);
    let known = schema.and_then(|schema| schema.find(name));
    let called = match known.map(|kind| kind.name()) {
        Some(known) if !known.eq_ignore_ascii_case(plain(name)) => format!("{name} ({known})"),
        Some(_) | None => name.to_owned(),
    };
    match fault {
        Some(fault) if fault.is_certain() => unknown(about, fault),
        _ if lacking == 0 && entries > 0 => about.ok(
            "attribute",
            format!("{called}: all of {entries} entries have it"),
        ),
        _ if entries == 0 => without_entries(about, name, is_required, schema),
        _ if lacking == entries => {
            let detail = format!(
                "{called}: none of {entries} entries shows it, for {} in \
                 [jobs.{job}.attributes]",
                lines_with(rules, name)
            );
            let way_out = "check the name, and whether the bind account may read it";
            if is_required {
                about.fail(
                    "attribute",
                    format!("{detail}, and it is required"),
                    way_out,
                );
            } else {
                about.warn("attribute", detail, way_out);
            }
        }
        _ if is_required => about.warn(
            "attribute",
            format!(
                "{called}: {lacking} of {entries} entries lack it, and are skipped, since it is \
                 required"
            ),
            "add the value to these entries, or narrow the filter",
        ),
        _ => about.ok(
            "attribute",
            format!("{called}: {lacking} of {entries} entries lack it"),
        ),
    }
}

/// Where there is nobody, the schema alone tells something.
fn without_entries(about: &mut About, name: &str, is_required: bool, schema: Option<&Schema>) {
    let Some(schema) = schema else { return };
    if schema.find(name).is_some() {
        return about.ok("attribute", format!("the schema has {name}"));
    }
    let detail = format!("the directory's schema has no attribute {name}");
    let way_out = schema.nearest(name).map_or_else(
        || "check its name".into(),
        |near| format!("did you mean {near}?"),
    );
    if is_required {
        about.fail("attribute", detail, way_out);
    } else {
        about.warn("attribute", detail, way_out);
    }
}

/// A name that means nothing, so that a run would fail.
fn unknown(about: &mut About, fault: &NameFault) {
    let way_out = match fault {
        NameFault::NotInSchema {
            near: Some(near), ..
        } => format!("did you mean {near}?"),
        NameFault::NotInSchema { near: None, .. } | NameFault::OtherNames { .. } => {
            "check its name".to_owned()
        }
        NameFault::NotKnown { .. } => {
            let way_out = "check its name; grant the account read access to the schema";
            return about.warn("attribute", fault.to_string(), way_out);
        }
    };
    let detail = match fault {
        NameFault::NotInSchema { name, .. } => {
            format!("the directory's schema has no attribute {name}, and no entry shows it")
        }
        NameFault::OtherNames { .. } | NameFault::NotKnown { .. } => fault.to_string(),
    };
    about.fail("attribute", detail, way_out);
}

/// What the filter lets in beside people: with an own one, the conditions of the default are gone.
fn no_people(about: &mut About, counted: &Counted) {
    let found = NO_PEOPLE.iter().zip(&counted.others);
    let found: Vec<String> = found
        .filter(|(_, count)| count.get() > 0)
        .map(|(what, count)| format!("{} {what}", count.get()))
        .collect();
    if !found.is_empty() {
        about.warn(
            "filter",
            format!(
                "of {} entries, these are no people: {}",
                counted.entries.get(),
                found.join(", ")
            ),
            "add your condition to the filter of `config example --kind active-directory`, which \
             leaves them out",
        );
    }
}

/// The groups that people must be in, if any.
fn groups(about: &mut About, counted: &Counted, reading: &Reading<Mapped>, member_of: &[String]) {
    let Some(groups) = reading.groups() else {
        return;
    };
    if !groups.reached_by_grants().is_empty() {
        let reached = groups.reached_by_grants().iter();
        let named: Vec<String> = reached
            .take(MOST_NAMED)
            .map(|(dn, members)| format!("{dn} names {members}"))
            .collect();
        let more = match groups.reached_by_grants().len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let with_roles = reading
            .memberships()
            .values()
            .filter(|found| !found.of_grants.is_empty())
            .count();
        about.ok(
            "roles",
            format!(
                "{with_roles} of {} people are members of groups that give roles or memberships: {}{more}",
                counted.entries.get(),
                named.join("; ")
            ),
        );
    }
    if !groups.has_people() {
        return;
    }
    let entries = |searches: &[SearchEvidence]| {
        let entries = searches.iter().map(|search| search.entries);
        entries.sum::<u64>()
    };
    // First those of the configuration, and then the groups in them.
    let configured: Vec<Dn> = member_of.iter().filter_map(|dn| Dn::parse(dn)).collect();
    let is_nested = |dn: &str| Dn::parse(dn).is_none_or(|dn| !configured.contains(&dn));
    let mut reached: Vec<_> = groups.reached().iter().collect();
    reached.sort_by_cached_key(|(dn, _)| is_nested(dn));
    let named: Vec<String> = reached
        .iter()
        .take(MOST_NAMED)
        .map(|(dn, members)| format!("{dn} names {members}"))
        .collect();
    let more = match groups.reached().len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    about.ok(
        "groups",
        format!(
            "{} of {} entries are members of member_of; of {} groups, these count: {}{more}",
            counted.entries.get(),
            entries(reading.searches()),
            entries(reading.group_searches()),
            named.join("; ")
        ),
    );
    for note in groups.notes() {
        about.warn(
            "groups",
            note,
            "correct the groups, the search bases or the filter",
        );
    }
}

/// An attribute that the server's kind suggests, and that its schema does not have: nobody can ever count
/// as disabled by it.
fn unknown_flag(about: &mut About, rule: &AccountRule, schema: Option<&Schema>) {
    let flag = rule.flag.map(DisabledFlag::attribute);
    let Some((flag, _)) = flag
        .zip(schema)
        .filter(|(flag, schema)| schema.find(flag).is_none())
    else {
        return;
    };
    about.warn(
        "disabled",
        format!(
            "the directory's schema has no attribute {flag}, so nobody can ever count as disabled by \
             it"
        ),
        "set the job's disabled to a filter of those who may not sign in, or to \"never\" where \
         the directory disables nobody; an OpenLDAP server has it with its module ppolicy",
    );
}

/// Who may not sign in by the job's rule; without one, whose entries show it all the same.
fn disabled(
    about: &mut About,
    counted: &Counted,
    rule: &AccountRule,
    accounts: &BTreeMap<usize, Account>,
) {
    let entries = counted.entries.get();
    if rule.is_empty() {
        let disabled = counted.disabled.get();
        if disabled > 0 {
            about.warn(
                "disabled",
                format!(
                    "{disabled} of {entries} people have a disabled account, and get or keep a \
                     user"
                ),
                "set the job's disabled, or the directory's kind, if they should not",
            );
        }
        return;
    }
    let count = |is: &dyn Fn(&Account) -> bool| {
        let mut number = 0_usize;
        accounts
            .values()
            .for_each(|account| number += usize::from(is(account)));
        number
    };
    let now = Utc::now();
    let disabled = count(&|account| account.is_disabled(now));
    let said = format!("{disabled} of {entries} people may not sign in: {rule}");
    if disabled == 0 && rule.filter.is_some() {
        about.warn(
            "disabled",
            said,
            "where somebody's account is disabled now, this filter does not match it: correct the \
             job's disabled; otherwise try it on an account that you disable",
        );
    } else {
        about.ok("disabled", said);
    }
    let unclear = count(&|account| matches!(account, Account::Unclear(..)));
    let why = accounts.values().find_map(|account| match account {
        Account::Unclear(why, _) => Some(why),
        Account::Enabled | Account::Until(_) | Account::Disabled => None,
    });
    if let Some(why) = why {
        about.warn(
            "disabled",
            format!(
                "of {unclear} of {entries} people it cannot be told; active users stay, and others \
                 get none without approval: {why}"
            ),
            "check the form of expires; grant the bind account read access to the attribute, or set \
             the job's disabled",
        );
    }
}

fn skipped(about: &mut About, desired: &Desired) {
    let skipped = desired.skipped();
    if skipped.is_empty() {
        return;
    }
    // One more takes no more room than to say so.
    let most = if skipped.len() == MOST_NAMED + 1 {
        skipped.len()
    } else {
        MOST_NAMED
    };
    let named: Vec<String> = skipped
        .iter()
        .take(most)
        .map(|entry| format!("{} ({})", entry.dn, entry.reason))
        .collect();
    let more = match skipped.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more, whom `plan --all` names"),
    };
    about.warn(
        "skipped",
        format!(
            "{} of the entries cannot be mapped, and would be skipped: {}{more}",
            skipped.len(),
            named.join(", ")
        ),
        "complete these entries, or leave them out by the filter",
    );
}

/// The names of a filter against the schema.
pub fn filter(about: &mut About, filter: &config::Filter, schema: &Schema) {
    for config::Asserted { name, is_negated } in filter.attributes() {
        if schema.find(name).is_some() {
            continue;
        }
        let way_out = schema.nearest(name).map_or_else(
            || "check its name".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        let detail = format!("the filter names {name}, which the directory's schema does not have");
        if is_negated {
            let detail = format!(
                "{detail}; a NOT of it matches everybody on Active Directory and 389-ds, and \
                 nobody on OpenLDAP"
            );
            about.fail("filter", detail, way_out);
        } else {
            about.warn("filter", detail, way_out);
        }
    }
}

/// The lines of the mapping that read an attribute, as they could be written.
fn lines_with(rules: &Rules, name: &str) -> String {
    let reads = |source: &Source| {
        let mut names = source.attributes().iter();
        names.any(|read| read.eq_ignore_ascii_case(name))
    };
    let rules = rules.iter();
    let lines: Vec<String> = rules
        .filter(|(_, rule)| reads(&rule.from))
        .map(|(key, rule)| {
            // As a key in TOML.
            let key = if key.contains('.') {
                format!("{key:?}")
            } else {
                key.clone()
            };
            format!("{key} = {:?}", rule.from.as_str())
        })
        .collect();
    lines.join(" and ")
}

fn is_required(rules: &Rules, name: &str) -> bool {
    rules
        .values()
        .any(|rule| rule.required && rule.from.as_str().eq_ignore_ascii_case(name))
}

fn plain(name: &str) -> &str {
    name.split(';').next().unwrap_or_default()
}
