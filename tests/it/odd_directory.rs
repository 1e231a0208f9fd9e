//! Directories whose answers are odd: a server on loopback that sends entries exactly as the test
//! describes them, and what the program makes of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "any other request ends the connection, and any other filter matches nothing"
)]

mod aliases_and_referrals;
mod checked;
pub mod domains;
mod groups;
pub mod identity;
pub mod kinds;
mod locations;
mod names;
mod random;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec, LdapFilter,
    control::LdapControl,
    proto::{
        LdapBindResponse, LdapMsg, LdapOp, LdapPartialAttribute, LdapResult, LdapResultCode,
        LdapSearchRequest, LdapSearchResultEntry, LdapSearchResultReference, LdapSearchScope,
        LdapSubstringFilter,
    },
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{codec::Framed, sync::CancellationToken};

use crate::{
    situations::Situation,
    studio::{Studio, dn},
};

/// An entry as it is sent: its DN, and its attribute descriptions with their values.
pub type OddEntry = (String, Vec<(String, Vec<Vec<u8>>)>);

/// What the server sends.
#[derive(Debug, Clone, Default)]
pub struct Odd {
    /// The root DSE.
    pub root: Vec<(String, Vec<String>)>,
    /// The attribute types of its schema; it shows none where there are none.
    pub schema: Vec<String>,
    pub entries: Vec<OddEntry>,
    /// Names that it takes for others, such as aliases.
    pub aliases: Vec<(String, String)>,
    /// Whether one value is sent at a time, as an attribute of its own.
    pub is_split: bool,
    /// Whether it knows paged results.
    pub refuses_pages: bool,
    /// What it does when all of its naming context is searched.
    pub whole: Whole,
    /// The DN of somebody whom a search for all people does not show; from then on, the server does
    /// not say what it is.
    pub is_asked_again: Option<String>,
    /// The DNs of naming contexts below its own, to which it refers; asked to refer nowhere, it leaves
    /// out what is in them.
    pub below: Vec<String>,
    /// The DN of an entry that no search shows, but one of the entry itself by its GUID.
    pub not_indexed: Option<String>,
    /// Whether it shows entries by their GUIDs.
    pub finds_by_guid: bool,
    /// The result of every search by a GUID, if not what it finds.
    pub guid_result: Option<LdapResultCode>,
    /// The most entries of a page, whatever is asked for; no limit where it is zero.
    pub most_entries: usize,
    /// The most values of `member` that are sent at once; no limit where it is zero.
    pub most_values: usize,
}

/// What a server does when all of its naming context is searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whole {
    /// It answers.
    #[default]
    Answered,
    /// It refuses.
    Refused,
    /// It never answers.
    Silent,
    /// It refers to another server before it answers, unless it is asked not to, as Active Directory
    /// does.
    Referred,
    /// The same, but nobody can ask it not to.
    AlwaysReferred,
}

/// The running server.
pub struct OddDirectory {
    address: SocketAddr,
    odd: Arc<Mutex<Odd>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Where the schema is.
const SCHEMA: &str = "cn=Subschema";

impl OddDirectory {
    /// Starts it, on a thread of its own.
    pub fn start(odd: Odd) -> Self {
        Self::start_at("127.0.0.1:0", odd)
    }

    /// The same at this address.
    pub fn start_at(address: &str, odd: Odd) -> Self {
        let odd = Arc::new(Mutex::new(odd));
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, stopped) = (Arc::clone(&odd), stop.clone());
        let thread = std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&shared)));
                }
            }));
        });
        Self {
            address,
            odd,
            stop,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it sends from now on.
    pub fn set(&self, change: impl FnOnce(&mut Odd)) {
        change(&mut self.odd.lock().unwrap());
    }
}

impl Drop for OddDirectory {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}

impl Odd {
    /// People with an entryUUID, in a server that pages and shows no schema.
    pub fn of(uids: &[&str]) -> Self {
        Self {
            root: vec![
                (
                    "supportedControl".into(),
                    vec!["1.2.840.113556.1.4.319".into()],
                ),
                ("namingContexts".into(), vec!["dc=studio,dc=test".into()]),
            ],
            entries: uids.iter().map(|uid| odd_person(uid)).collect(),
            ..Self::default()
        }
        .with_context()
    }

    /// The naming context's own entry, whose id identifies the directory.
    fn with_context(mut self) -> Self {
        let context = entry(
            "dc=studio,dc=test",
            &[
                ("objectClass", &["domain"]),
                ("entryUUID", &["d1d1d1d1-0000-4000-8000-000000000000"]),
            ],
        );
        self.entries.insert(0, context);
        self
    }

    /// The attributes of somebody.
    pub fn person(&mut self, uid: &str) -> &mut Vec<(String, Vec<Vec<u8>>)> {
        let dn = dn(uid);
        let found = self.entries.iter_mut().find(|(known, _)| *known == dn);
        &mut found.unwrap().1
    }

    /// Replaces the values of an attribute of somebody; without values, it is removed.
    pub fn put(&mut self, uid: &str, name: &str, values: &[&str]) {
        let attributes = self.person(uid);
        attributes.retain(|(known, _)| known != name);
        if !values.is_empty() {
            attributes.push(attribute(name, values));
        }
    }
}

/// An attribute of text.
pub fn attribute(name: &str, values: &[&str]) -> (String, Vec<Vec<u8>>) {
    let values = values.iter().map(|value| value.as_bytes().to_vec());
    (name.to_owned(), values.collect())
}

/// An entry of text.
pub fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> OddEntry {
    let attributes = attributes
        .iter()
        .map(|(name, values)| attribute(name, values));
    (dn.to_owned(), attributes.collect())
}

/// A person's entry.
pub fn odd_person(uid: &str) -> OddEntry {
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, uid.as_bytes()).to_string();
    let mail = format!("{uid}@studio.test");
    entry(
        &dn(uid),
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("uid", &[uid]),
            ("givenName", &["Given"]),
            ("sn", &[uid]),
            ("mail", &[&mail]),
            ("entryUUID", &[&id]),
        ],
    )
}

/// A situation whose directory is this one.
pub fn situation(directory: &OddDirectory) -> Situation {
    let mut situation = Situation::of(&[]);
    situation.directory_url = directory.url();
    situation
}

/// The situation with these attributes mapped.
pub fn mapping(situation: &mut Studio, attributes: &str) {
    attributes.clone_into(&mut situation.attributes);
}

async fn serve(stream: TcpStream, odd: Arc<Mutex<Odd>>) {
    let mut framed = Framed::new(stream, LdapCodec::default());
    while let Some(Ok(message)) = framed.next().await {
        let id = message.msgid;
        let answers = match message.op {
            LdapOp::BindRequest(_) => vec![LdapMsg::new(
                id,
                LdapOp::BindResponse(LdapBindResponse {
                    res: result(LdapResultCode::Success),
                    saslcreds: None,
                }),
            )],
            LdapOp::SearchRequest(search) => {
                let mut odd = odd.lock().unwrap();
                let mut answering = odd.clone();
                if let Some(hidden) = &odd.is_asked_again
                    && !asks_for_an_id(&search.filter)
                    && !search.base.is_empty()
                {
                    answering.entries.retain(|(dn, _)| dn != hidden);
                    odd.root.retain(|(name, _)| name != "supportedCapabilities");
                }
                drop(odd);
                answering.answer(id, &search, &message.ctrl)
            }
            _ => return,
        };
        for answer in answers {
            if framed.send(answer).await.is_err() {
                return;
            }
        }
    }
}

/// Whether a filter is for somebody by id.
fn asks_for_an_id(filter: &LdapFilter) -> bool {
    match filter {
        LdapFilter::And(all) | LdapFilter::Or(all) => all.iter().any(asks_for_an_id),
        LdapFilter::Equality(name, _) => name == "objectGUID",
        _ => false,
    }
}

fn result(code: LdapResultCode) -> LdapResult {
    LdapResult {
        code,
        matcheddn: String::new(),
        message: String::new(),
        referral: Vec::new(),
    }
}

impl Odd {
    fn answer(
        &self,
        id: i32,
        search: &LdapSearchRequest,
        controls: &[LdapControl],
    ) -> Vec<LdapMsg> {
        let is_paged =
            |control: &&LdapControl| matches!(control, LdapControl::SimplePagedResults { .. });
        let paged = controls.iter().find(is_paged);
        if self.refuses_pages && paged.is_some() {
            let code = LdapResultCode::UnavailableCriticalExtension;
            return vec![LdapMsg::new(id, LdapOp::SearchResultDone(result(code)))];
        }
        let is_alone = controls.iter().any(is_domain_scope);
        let is_whole =
            search.base == "dc=studio,dc=test" && search.scope == LdapSearchScope::Subtree;
        let mut references = Vec::new();
        match self.whole {
            Whole::Refused if is_whole => {
                let code = LdapResultCode::InsufficentAccessRights;
                return vec![LdapMsg::new(id, LdapOp::SearchResultDone(result(code)))];
            }
            Whole::Silent if is_whole => return Vec::new(),
            Whole::Referred if is_whole && !is_alone => references = self.references(id),
            Whole::AlwaysReferred if is_whole => references = self.references(id),
            Whole::Answered
            | Whole::Refused
            | Whole::Silent
            | Whole::Referred
            | Whole::AlwaysReferred => {}
        }
        if let Some(guid) = search.base.strip_prefix("<GUID=")
            && self.finds_by_guid
        {
            let is_there = self.has_guid(guid.trim_end_matches('>'));
            let is_lost = (!is_there).then_some(LdapResultCode::NoSuchObject);
            if let Some(code) = self.guid_result.clone().or(is_lost) {
                return vec![LdapMsg::new(id, LdapOp::SearchResultDone(result(code)))];
            }
        }
        let found: Vec<LdapSearchResultEntry> = match search.base.as_str() {
            "" => vec![self.root_dse()],
            SCHEMA => vec![sent(
                SCHEMA,
                &[("attributeTypes".into(), bytes(&self.schema))],
            )],
            _ => self.matching(search, is_alone),
        };
        let done = LdapOp::SearchResultDone(result(LdapResultCode::Success));
        let (found, controls) = match paged {
            Some(control) => {
                let (page, next) = page(found, control, self.most_entries);
                (page, Some(next))
            }
            None => (found, None),
        };
        let entries = found
            .into_iter()
            .map(|entry| LdapMsg::new(id, LdapOp::SearchResultEntry(entry)));
        let done = LdapMsg::new_with_ctrls(id, done, controls.into_iter().collect());
        references
            .into_iter()
            .chain(entries)
            .chain([done])
            .collect()
    }

    fn root_dse(&self) -> LdapSearchResultEntry {
        let mut root: Vec<(String, Vec<Vec<u8>>)> = self
            .root
            .iter()
            .map(|(name, values)| (name.clone(), bytes(values)))
            .collect();
        if !self.schema.is_empty() {
            root.push(attribute("subschemaSubentry", &[SCHEMA]));
        }
        sent("", &root)
    }

    fn references(&self, id: i32) -> Vec<LdapMsg> {
        let below = self.below.iter().map(|dn| {
            let uris = vec![format!("ldap://elsewhere.test/{dn}")];
            let reference = LdapSearchResultReference { uris };
            LdapMsg::new(id, LdapOp::SearchResultReference(reference))
        });
        below.collect()
    }

    fn has_guid(&self, guid: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| guid_of(entry).is_some_and(|known| known == guid))
    }

    fn matching(&self, search: &LdapSearchRequest, is_alone: bool) -> Vec<LdapSearchResultEntry> {
        let base = search.base.to_lowercase();
        let is_in = |dn: &str, base: &str| dn == base || dn.ends_with(&format!(",{base}"));
        let is_left_out = |dn: &str| {
            let mut below = self.below.iter().map(|below| below.to_lowercase());
            is_alone && below.any(|below| is_in(dn, &below) && !is_in(&base, &below))
        };
        let is_hidden = |dn: &str| {
            let hidden = self.not_indexed.as_ref();
            hidden.is_some_and(|hidden| hidden.eq_ignore_ascii_case(dn))
        };
        let lies_in = |dn: &str| match search.scope {
            LdapSearchScope::Base => dn == base,
            _ => is_in(dn, &base) && !is_hidden(dn) && !is_left_out(dn),
        };
        let is_it = |entry: &OddEntry| match base.strip_prefix("<guid=") {
            Some(guid) if self.finds_by_guid => {
                guid_of(entry).is_some_and(|known| known == guid.trim_end_matches('>'))
            }
            Some(_) | None => lies_in(&entry.0.to_lowercase()),
        };
        let entries = self.entries.iter();
        let found = entries.filter(|entry| is_it(entry));
        found
            .filter(|entry| self.matches(&search.filter, entry))
            .map(|(dn, attributes)| sent(dn, &self.selected(attributes, &search.attrs)))
            .collect()
    }

    fn selected(
        &self,
        attributes: &[(String, Vec<Vec<u8>>)],
        asked: &[String],
    ) -> Vec<(String, Vec<Vec<u8>>)> {
        let is_range = |asked: &str, name: &str| {
            let of = asked.split_once(";range=");
            of.is_some_and(|(of, _)| of == name)
        };
        let is_asked = |name: &str| {
            let mut asked = asked.iter();
            asked.any(|asked| self.means(asked, name) || is_range(asked, name))
        };
        let selected = attributes.iter().filter(|(name, _)| is_asked(name));
        if self.most_values > 0 {
            return self.in_ranges(selected, asked);
        }
        if !self.is_split {
            return selected.cloned().collect();
        }
        let parts = selected.flat_map(|(name, values)| {
            values
                .iter()
                .map(|value| (name.clone(), vec![value.clone()]))
        });
        parts.collect()
    }

    /// The same with not more values of `member` at once than are sent (MS-ADTS section
    /// 3.1.1.3.1.3.3).
    fn in_ranges<'a>(
        &self,
        selected: impl Iterator<Item = &'a (String, Vec<Vec<u8>>)>,
        asked: &[String],
    ) -> Vec<(String, Vec<Vec<u8>>)> {
        let first = asked.iter().find_map(|asked| {
            let (first, _) = asked.strip_prefix("member;range=")?.split_once('-')?;
            first.parse::<usize>().ok()
        });
        let in_range = |(name, values): &(String, Vec<Vec<u8>>)| {
            let first = first.unwrap_or_default();
            if name != "member" || first + values.len() <= self.most_values {
                return (name.clone(), values.clone());
            }
            let rest: Vec<_> = values.iter().skip(first).cloned().collect();
            let is_last = rest.len() <= self.most_values;
            let part: Vec<_> = rest.into_iter().take(self.most_values).collect();
            let last = first + part.len() - 1;
            let last = if is_last {
                "*".into()
            } else {
                last.to_string()
            };
            (format!("member;range={first}-{last}"), part)
        };
        selected.map(in_range).collect()
    }

    /// Whether a description that is there belongs to one that is asked for (RFC 4512 section
    /// 2.5.2).
    fn means(&self, asked: &str, name: &str) -> bool {
        let alias = self
            .aliases
            .iter()
            .find(|(alias, _)| alias.eq_ignore_ascii_case(asked));
        let asked = alias.map_or(asked, |(_, of)| of).to_lowercase();
        let name = name.to_lowercase();
        let (mut asked, mut name) = (asked.split(';'), name.split(';'));
        let is_same = asked.next() == name.next();
        let options: BTreeSet<&str> = name.collect();
        is_same && asked.all(|option| options.contains(option))
    }

    fn matches(&self, filter: &LdapFilter, entry: &OddEntry) -> bool {
        let values = |name: &str| -> Vec<Vec<u8>> {
            let found = entry.1.iter().filter(|(known, _)| self.means(name, known));
            found.flat_map(|(_, values)| values.clone()).collect()
        };
        match filter {
            LdapFilter::And(all) => all.iter().all(|one| self.matches(one, entry)),
            LdapFilter::Or(any) => any.iter().any(|one| self.matches(one, entry)),
            LdapFilter::Not(one) => !self.matches(one, entry),
            LdapFilter::Present(name) => !values(name).is_empty(),
            LdapFilter::Equality(name, wanted) => values(name)
                .iter()
                .any(|value| value.eq_ignore_ascii_case(wanted.as_bytes())),
            LdapFilter::Substring(name, parts) => values(name)
                .iter()
                .any(|value| has_parts(&String::from_utf8_lossy(value), parts)),
            _ => false,
        }
    }
}

/// The GUID of an entry.
fn guid_of((_, attributes): &OddEntry) -> Option<String> {
    let (_, values) = attributes.iter().find(|(name, _)| name == "objectGUID")?;
    let guid = uuid::Uuid::from_slice_le(values.first()?).ok()?;
    Some(guid.to_string())
}

/// Whether a value has these parts, in this order (RFC 4511 section 4.5.1.7.2).
fn has_parts(value: &str, parts: &LdapSubstringFilter) -> bool {
    let LdapSubstringFilter {
        initial,
        any,
        final_,
    } = parts;
    let Some(rest) = value.strip_prefix(initial.as_deref().unwrap_or_default()) else {
        return false;
    };
    let rest = any.iter().try_fold(rest, |rest, part| {
        rest.split_once(part.as_str()).map(|(_, behind)| behind)
    });
    rest.is_some_and(|rest| rest.ends_with(final_.as_deref().unwrap_or_default()))
}

/// The page that is asked for (RFC 2696), and the control of its answer; the cookie is the number of
/// entries before the next page.
fn page(
    found: Vec<LdapSearchResultEntry>,
    asked: &LdapControl,
    most: usize,
) -> (Vec<LdapSearchResultEntry>, LdapControl) {
    let LdapControl::SimplePagedResults { size, cookie } = asked else {
        panic!("{asked:?}");
    };
    let size = usize::try_from(*size).unwrap();
    let size = if most == 0 { size } else { size.min(most) };
    let before = match cookie.as_slice() {
        [] => 0,
        cookie => std::str::from_utf8(cookie).unwrap().parse().unwrap(),
    };
    let is_last = before + size >= found.len();
    let cookie = if is_last {
        Vec::new()
    } else {
        (before + size).to_string().into_bytes()
    };
    let page = found.into_iter().skip(before).take(size).collect();
    (page, LdapControl::SimplePagedResults { size: 0, cookie })
}

/// Whether a control asks for no references (MS-ADTS section 3.1.1.3.4.1.11).
fn is_domain_scope(control: &LdapControl) -> bool {
    matches!(control, LdapControl::Unknown { oid, .. } if oid == "1.2.840.113556.1.4.1339")
}

fn bytes(values: &[String]) -> Vec<Vec<u8>> {
    values
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect()
}

fn sent(dn: &str, attributes: &[(String, Vec<Vec<u8>>)]) -> LdapSearchResultEntry {
    let attributes = attributes
        .iter()
        .map(|(name, values)| LdapPartialAttribute {
            atype: name.clone(),
            vals: values.clone(),
        });
    LdapSearchResultEntry {
        dn: dn.to_owned(),
        attributes: attributes.collect(),
    }
}
