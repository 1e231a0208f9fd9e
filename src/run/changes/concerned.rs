//! Which people of a job are concerned by what a directory says that changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Before;
use crate::{
    directory,
    directory::{
        ReadFailure,
        changes::{ChangedIds, Mark, Position},
        dn::Dn,
    },
    model::{entry::DirectoryId, report::ChangesPart},
    run::{
        RunContext,
        failure::{Failure, ReadError},
        ldap_work::LdapWork,
    },
    state::{Again, KnownChanges, State},
};

/// The most new members of groups that are looked up one by one.
const MOST_JOINED: usize = 200;

/// What changed, as far as it concerns the job.
pub(super) struct Found {
    pub position: Position,
    /// The entries to be read.
    pub ids: Vec<DirectoryId>,
    /// Who is gone if the entry is not among those that are read: whom the server named as deleted,
    /// now or in an earlier run, and who may have left the groups.
    pub deleted: BTreeSet<DirectoryId>,
    pub part: ChangesPart,
    pub notes: Vec<String>,
}

/// Whom a change of groups concerns.
#[derive(Default)]
struct Moved {
    joined: BTreeSet<DirectoryId>,
    /// Whom no group names by the DN any more; they may still be members otherwise.
    left: BTreeSet<DirectoryId>,
}

/// Who seems to be gone.
struct SeemsGone {
    /// Whom the server named.
    named: BTreeSet<DirectoryId>,
    /// Whom no group names any more.
    left: BTreeSet<DirectoryId>,
    /// Where the server named everybody who is there instead: whoever else was below the base.
    present: Vec<(String, BTreeSet<DirectoryId>)>,
}

impl RunContext<'_, LdapWork> {
    /// Which people of the job are concerned, or why everything has to be read.
    pub(super) async fn concerning_people(
        &mut self,
        before: &Before,
        named: ChangedIds,
        most: usize,
        state: &State,
    ) -> Result<Result<Found, String>, Failure> {
        let known = &before.known;
        let of_groups = self.moved(before, &named, most, state).await?;
        let Moved { joined, left } = match of_groups {
            Ok(moved) => moved,
            Err(why) => return Ok(Err(why)),
        };
        let ChangedIds {
            position,
            mut changed,
            deleted: gone,
            present,
            unnamed,
            groups_changed: _,
            by,
            freshness: _,
        } = named;
        let mut part = ChangesPart {
            by: by.to_owned(),
            changed: changed.len().saturating_add(joined.len()),
            deleted: 0,
        };
        let mut notes = Vec::new();
        if unnamed > 0 {
            notes.push(format!(
                "{unnamed} entries are gone that the server does not name by the job's id \
                 attribute; the next run that reads everything finds out whose they are"
            ));
        }
        changed.extend(joined);
        let mut gone = if known.leavers_wait {
            // What was doubtful about the last complete reading is not known to be over.
            BTreeSet::new()
        } else {
            let seems = SeemsGone {
                named: gone,
                left,
                present,
            };
            match self.gone(known, seems, state).await? {
                Ok(gone) => gone,
                Err(why) => return Ok(Err(why)),
            }
        };
        changed.extend(again(known, Again::Changed));
        if self.work.job.member_of.is_empty() {
            gone.retain(|id| !changed.contains(id));
        }
        part.deleted = gone.iter().filter(|id| !changed.contains(id)).count();
        if !gone.is_empty() {
            let others = known.without_user.iter();
            changed.extend(others.filter_map(|id| DirectoryId::new(id)));
        }
        if !self.work.job.member_of.is_empty() {
            // Whoever changed may be a member no longer, and whoever seemed gone may be one again.
            if !known.leavers_wait {
                let people = state.dns(&self.prepared.name, &changed)?;
                gone.extend(people.into_keys());
            }
            changed.extend(gone.iter().cloned());
        }
        Ok(Ok(Found {
            position,
            ids: changed.into_iter().collect(),
            deleted: gone,
            part,
            notes,
        }))
    }

    /// Which of the job's people are gone, as far as the server says, or why everything has to be
    /// read.
    async fn gone(
        &mut self,
        known: &KnownChanges,
        seems: SeemsGone,
        state: &State,
    ) -> Result<Result<BTreeSet<DirectoryId>, String>, Failure> {
        let job = &self.prepared.name;
        let SeemsGone {
            named: mut gone,
            left,
            present,
        } = seems;
        gone.extend(again(known, Again::Deleted));
        if !present.is_empty() {
            // The server named everybody as well.
            let people = state.people(job)?;
            for (base, ids) in &present {
                gone.extend(lacking(&people, base, ids));
            }
        }
        // Most of those whom servers name were never people of the job.
        let mut people = state.dns(job, &gone)?;
        if let Some(base) = self.emptied(known, &people).await? {
            return Ok(Err(format!("the search base {base} shows nobody any more")));
        }
        people.extend(left.into_iter().map(|id| (id, String::new())));
        Ok(Ok(people.into_keys().collect()))
    }

    /// A search base of people who are gone that shows nobody any more.
    async fn emptied(
        &mut self,
        known: &KnownChanges,
        gone: &BTreeMap<DirectoryId, String>,
    ) -> Result<Option<String>, Failure> {
        let dns: Vec<Dn> = gone.values().filter_map(|dn| Dn::parse(dn)).collect();
        let is_left = |mark: &&Mark| {
            let base = Dn::parse(&mark.base);
            base.is_some_and(|base| dns.iter().any(|dn| dn.depth_below(&base).is_some()))
        };
        let marks: Vec<&Mark> = known.position.marks.iter().filter(is_left).collect();
        if marks.is_empty() {
            return Ok(None);
        }
        let (request, cancel) = (self.read_request(), &self.until.cancel);
        let from = (&self.work.pool, known.position.server.as_str());
        let emptied = directory::changes::emptied(from, &request, &marks, cancel).await;
        emptied.map_err(|unread| self.unread(unread))
    }

    /// Who joined or left the groups, where any of them changed: all of them are read, as in a run
    /// that reads everything, and their members compared with the people of the runs before.
    async fn moved(
        &mut self,
        Before { remembered, known }: &Before,
        named: &ChangedIds,
        most: usize,
        state: &State,
    ) -> Result<Result<Moved, String>, Failure> {
        if !named.groups_changed {
            return Ok(Ok(Moved::default()));
        }
        if self.work.job.gives_anything() {
            let why = "a group changed, and groups give roles or memberships: who left one is known only \
                       when everybody is read";
            return Ok(Err(why.to_owned()));
        }
        let (request, cancel) = (self.read_request(), self.until.cancel.clone());
        let (work, server) = (self.work, named.position.server.as_str());
        let from = (&work.pool, server);
        let members = directory::changes::members(from, &request, &cancel).await;
        let members = members.map_err(|unread| self.unread(unread))?;
        if members.has_logins() {
            let why = "a group changed, and groups of the job name their members by logins \
                       (memberUid), which are known only when everybody is read";
            return Ok(Err(why.to_owned()));
        }
        let mut moved = Moved::default();
        let mut there: HashSet<Box<str>> = keys(remembered.groups.keys()).collect();
        for (id, dn) in state.people(&self.prepared.name)? {
            let dn = Dn::parse(&dn);
            let key = dn.as_ref().map(Dn::key);
            let is_member = key.is_some_and(|key| members.names(key));
            there.extend(key.map(Box::from));
            if !is_member {
                moved.left.extend(DirectoryId::new(&id));
            }
        }
        let joined = members.others(&there);
        if joined.len() > MOST_JOINED || moved.left.len() > most {
            let why =
                "so many people joined or left the groups that reading everything costs no more";
            return Ok(Err(why.to_owned()));
        }
        let whom = (&known.id_attribute, joined.as_slice());
        let ids = directory::changes::ids_of(from, &request, whom, &cancel).await;
        for (dn, id) in ids.map_err(|unread| self.unread(unread))? {
            match id {
                Some(id) => drop(moved.joined.insert(id)),
                // It may be a group that the account cannot see, of which they are members now.
                None if !moved.left.is_empty() && !known.leavers_wait => {
                    return Ok(Err(format!(
                        "the groups have a new member that is not seen, {dn}, and people are no \
                         longer named by them"
                    )));
                }
                None => {}
            }
        }
        Ok(Ok(moved))
    }

    fn unread(&mut self, unread: ReadFailure) -> Failure {
        self.record_read_error(ReadError::Directory(unread))
    }
}

/// Who is looked at again, since it was seen of them that they changed or are gone.
fn again(known: &KnownChanges, wanted: Again) -> impl Iterator<Item = DirectoryId> {
    let again = known
        .again
        .iter()
        .filter(move |(_, again)| **again == wanted);
    again.filter_map(|(id, _)| DirectoryId::new(id))
}

/// DNs in the form in which they are compared.
fn keys<'d>(dns: impl Iterator<Item = &'d String>) -> impl Iterator<Item = Box<str>> {
    dns.filter_map(|dn| Some(Dn::parse(dn)?.key().into()))
}

/// The people below a base whom the server does not name among those who are there.
fn lacking<'p>(
    people: &'p BTreeMap<String, String>,
    base: &str,
    there: &BTreeSet<DirectoryId>,
) -> impl Iterator<Item = DirectoryId> + 'p {
    let base = Dn::parse(base);
    let there: HashSet<String> = there.iter().map(|id| id.as_str().to_owned()).collect();
    people.iter().filter_map(move |(id, dn)| {
        Dn::parse(dn)?.depth_below(base.as_ref()?)?;
        DirectoryId::new(id).filter(|id| !there.contains(id.as_str()))
    })
}
