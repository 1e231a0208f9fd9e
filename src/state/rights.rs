//! The rights of a directory's owner, which root takes before it uses the directory: whoever owns
//! it decides what lies there, and could otherwise have root write or delete files elsewhere.

use std::{io, marker::PhantomData};

use rustix::{
    fs::Stat,
    process::{
        DumpableBehavior, Gid, Uid, getegid, geteuid, getgroups, getuid, set_dumpable_behavior,
    },
    thread::{
        CapabilitySet, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

/// A user other than root who owns a directory, with the directory's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// The owner of a directory; none if it is root.
    pub(super) fn of(directory: &Stat) -> Option<Self> {
        let (uid, gid) = (
            Uid::from_raw(directory.st_uid),
            Gid::from_raw(directory.st_gid),
        );
        (!uid.is_root()).then_some(Self { uid, gid })
    }
}

/// Root is not used to being refused something: says with whose rights it was.
pub(super) fn explained(error: io::Error, owner: Option<Owner>) -> io::Error {
    match owner {
        Some(Owner { uid, .. })
            if error.kind() == io::ErrorKind::PermissionDenied && getuid().is_root() =>
        {
            io::Error::new(
                error.kind(),
                format!(
                    "{error}; root works here with the rights of the user {}, who owns the \
                     directory or a part of the path to it: give that user the directory and what \
                     is in it",
                    uid.as_raw()
                ),
            )
        }
        Some(_) | None => error,
    }
}

/// As long as this exists, this thread uses files with the rights of an owner. Nothing changes for
/// a thread that has not the rights of root. Must not be held while something is awaited.
#[derive(Debug)]
#[must_use]
pub(crate) struct OwnerRights {
    before: Option<Before>,
    /// The rights are those of one thread, so this must not move to another.
    _of_thread: PhantomData<*const ()>,
}

#[derive(Debug)]
struct Before {
    gid: Gid,
    groups: Vec<Gid>,
}

impl OwnerRights {
    /// Takes the rights of an owner; of nobody else, if there is none.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(super) fn take(owner: Option<Owner>) -> io::Result<Self> {
        let mut rights = Self {
            before: None,
            _of_thread: PhantomData,
        };
        let Some(Owner { uid, gid }) = owner.filter(|_| geteuid().is_root()) else {
            return Ok(rights);
        };
        // Set first: what is changed before an error is undone.
        rights.before = Some(Before {
            gid: getegid(),
            groups: getgroups()?,
        });
        // Only the effective ids, of this thread alone: the owner must neither trace nor signal
        // this process.
        set_thread_groups(&[])?;
        set_thread_res_gid(None::<Gid>, gid, None::<Gid>)?;
        set_thread_res_uid(None::<Uid>, uid, None::<Uid>)?;
        keep_searching();
        stay_closed();
        Ok(rights)
    }
}

/// Keeps root's right to search directories: those of services lie in one that is closed to the
/// services themselves, `/var/lib/private`. Where root lacks it, other directories can be used.
fn keep_searching() {
    if let Ok(mut sets) = capabilities(None) {
        sets.effective = sets.permitted & CapabilitySet::DAC_READ_SEARCH;
        let _ = set_capabilities(None, sets);
    }
}

/// With each change of its user, the system may allow core dumps of a process again.
fn stay_closed() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

impl Drop for OwnerRights {
    fn drop(&mut self) {
        let Some(Before { gid, groups }) = self.before.take() else {
            return;
        };
        // The user first, with whom the right to change the groups comes back. If it fails, the
        // thread goes on with fewer rights.
        let _ = set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>)
            .and_then(|()| set_thread_res_gid(None::<Gid>, gid, None::<Gid>))
            .and_then(|()| set_thread_groups(&groups));
        stay_closed();
    }
}
