//! One refresh of content synchronization (RFC 4533 section 3.3): what changed since a cookie.

use std::collections::BTreeSet;

use ldap3::{
    DerefAliases, ResultEntry, SearchOptions,
    asn1::PL,
    controls::{Control, MakeCritical, ManageDsaIt, RawControl, RefreshMode, SyncRequest},
};

use super::{Asking, Connection, DirectoryError, EntryIds};
use crate::{
    directory::{
        budget::Budget,
        connection::Message,
        lookup::{concluded, entry},
        server::Referrals,
        sync_control::{
            EntryState, SYNC_DONE, SYNC_STATE, SyncDone, SyncInfo, SyncUuid, entry_state,
            sync_done, sync_info,
        },
    },
    model::{entry::DirectoryId, server_kind::ServerKind},
};

/// What a refresh showed.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    pub changed: BTreeSet<DirectoryId>,
    pub deleted: BTreeSet<SyncUuid>,
    pub present: BTreeSet<SyncUuid>,
    /// The cookie for the next one; none where the server sent none, or an empty one.
    pub cookie: Option<Vec<u8>>,
    /// Whether it was sent, though it may be empty.
    pub has_cookie: bool,
    /// Whether everybody who is gone was named; otherwise everybody was who is there.
    pub names_the_deleted: bool,
    /// Whether anybody was named who is there, and did not change.
    pub has_present: bool,
    /// Whether it was ended, since there is too much.
    pub is_cut: bool,
    /// Changed entries that show no id.
    pub unidentified: usize,
}

/// What is needed for an entry that was named, in bytes: for its UUID, and for its id in the sets
/// that are compared later.
const OF_AN_ID: usize = 256;

/// No attributes (RFC 4511 section 4.5.1.8).
pub(super) const NO_ATTRIBUTES: &str = "1.1";

impl Asking<'_> {
    /// Asks what changed since a cookie; without one, everything did.
    ///
    /// The answer has no pages, so that a size limit of the server ends it.
    pub(super) async fn refresh(
        &self,
        connection: &mut Connection,
        (base, filter): (&str, &str),
        cookie: Option<&[u8]>,
        budget: &mut Budget,
    ) -> Result<Refresh, DirectoryError> {
        let tried = format!("asking what changed below {base:?}");
        let mut attributes = self.by.attributes();
        if attributes.is_empty() {
            attributes.push(NO_ATTRIBUTES.to_owned());
        }
        let mut ldap = connection.ldap.clone();
        let mut stream = ldap
            .with_search_options(SearchOptions::new().deref(DerefAliases::Never))
            .with_controls(self.controls(cookie))
            .with_timeout(connection.operation_timeout)
            .streaming_search(base, self.scope, filter, attributes)
            .await
            .map_err(|error| connection.failure(&tried, &error))?;
        let mut refresh = Refresh::default();
        while let Some(message) = connection.next(&mut stream, &tried).await? {
            self.take(connection, base, message, (&mut refresh, budget))?;
            if refresh.changed.len().max(refresh.deleted.len()) > self.most {
                // What still arrives is of no use to anybody.
                connection.end();
                return Ok(Refresh {
                    is_cut: true,
                    ..refresh
                });
            }
        }
        let result = stream.finish().await;
        concluded(connection, base, &tried, &result)?;
        let done = of_control(&result.ctrls, SYNC_DONE).and_then(sync_done);
        let SyncDone {
            cookie,
            names_the_deleted,
        } = done.ok_or_else(|| {
            connection.garbled("a refresh that ended without the control of its end")
        })?;
        refresh.has_cookie = cookie.is_some();
        refresh.cookie = cookie.filter(|cookie| !cookie.is_empty());
        // 389 names those who are gone, and says that it did not; it never names who is there.
        // https://github.com/389ds/389-ds-base/blob/main/ldap/servers/plugins/sync/sync_refresh.c
        let is_389 = matches!(self.about.kind, ServerKind::Ds389 | ServerKind::FreeIpa);
        refresh.names_the_deleted = names_the_deleted || is_389 && !refresh.has_present;
        Ok(refresh)
    }

    /// Takes over one message.
    fn take(
        &self,
        connection: &Connection,
        base: &str,
        message: Message,
        (refresh, budget): (&mut Refresh, &mut Budget),
    ) -> Result<(), DirectoryError> {
        // Where only the cookie is asked for, nobody is.
        let is_asked = !matches!(self.by, EntryIds::None);
        let mut take = |ids: usize, bytes: usize| {
            let taken = budget.take(ids.saturating_mul(OF_AN_ID.saturating_add(bytes)));
            taken.map_err(|over| over.error(connection))
        };
        if let Message::Other(message) = &message
            && message.is_intermediate()
        {
            let info = info_value(message).and_then(|value| sync_info(&value));
            match info.ok_or_else(|| connection.garbled("a message of a refresh"))? {
                SyncInfo::Cookie(_) => {}
                SyncInfo::Deleted(ids) if is_asked => {
                    take(ids.len(), 0)?;
                    refresh.deleted.extend(ids);
                }
                SyncInfo::Deleted(_) => {}
                SyncInfo::Present(ids) => {
                    refresh.has_present = true;
                    if is_asked {
                        take(ids.len(), 0)?;
                        refresh.present.extend(ids);
                    }
                }
            }
            return Ok(());
        }
        let state = of_control(message.controls(), SYNC_STATE).and_then(entry_state);
        let found = entry(connection, base, message)?;
        let Some((state, uuid)) = state else {
            return Err(connection.garbled("an entry without its state"));
        };
        refresh.has_present |= state == EntryState::Present;
        if !is_asked {
            return Ok(());
        }
        take(1, 0)?;
        match state {
            EntryState::Present => drop(refresh.present.insert(uuid)),
            EntryState::Deleted => drop(refresh.deleted.insert(uuid)),
            EntryState::Changed => {
                // It may have been named before it came back.
                refresh.deleted.remove(&uuid);
                refresh.present.insert(uuid);
                // 389 leaves out operational attributes here, and the UUID says the same.
                let id = self.by.of(&found);
                let id = id.or_else(|| self.by.named(self.about.kind, &uuid));
                match id {
                    Some(id) => {
                        take(1, id.as_str().len())?;
                        refresh.changed.insert(id);
                    }
                    None => refresh.unidentified += 1,
                }
            }
        }
        Ok(())
    }

    fn controls(&self, cookie: Option<&[u8]>) -> Vec<RawControl> {
        let sync = SyncRequest {
            mode: RefreshMode::RefreshOnly,
            cookie: cookie.map(<[u8]>::to_vec),
            reload_hint: false,
        };
        let mut controls: Vec<RawControl> = vec![sync.critical().into()];
        match self.about.referrals {
            Referrals::AsEntries => controls.push(ManageDsaIt.into()),
            Referrals::AsReferences => {}
        }
        controls
    }
}

/// The value of a control.
fn of_control<'c>(controls: &'c [Control], oid: &str) -> Option<&'c [u8]> {
    let found = controls.iter().find(|Control(_, raw)| raw.ctype == oid);
    found.and_then(|Control(_, raw)| raw.val.as_deref())
}

/// The value of an intermediate message (RFC 4511 section 4.13).
fn info_value(message: &ResultEntry) -> Option<Vec<u8>> {
    let PL::C(parts) = &message.0.payload else {
        return None;
    };
    let value = parts.iter().find(|part| part.id == 1)?;
    match &value.payload {
        PL::P(bytes) => Some(bytes.clone()),
        PL::C(_) => None,
    }
}
