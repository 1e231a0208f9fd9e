//! A directory of the program's state: no file in it is opened through a link, and root uses it
//! with the rights of its owner.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io::{self, BufWriter, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt, fs::PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, readlinkat, renameat,
        statat, unlinkat,
    },
    io::Errno,
};
use uuid::Uuid;

use crate::state::{
    files::StateError,
    rights,
    rights::{Owner, OwnerRights},
};

/// The maximum number of links in the path of a directory.
const LINKS: usize = 40;

/// The bytes that are written to a file at once.
const BUFFER: usize = 64 << 10;

/// The mode of new files: their owner may read and write them.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// The mode of new directories: their group may read them.
const FOLDER_MODE: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP);
/// A directory on the way: it is not read.
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without waiting for the other end of a pipe, which is refused.
const CAREFULLY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// An open directory. Links in its own path are followed; names in it are names of files, and of
/// files alone.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    /// Its owner, if that is not root; else the owner of the first directory or link on the way that
    /// does not belong to root: they decide where the rest of the way leads.
    owner: Option<Owner>,
}

/// The existing part of a way to a directory.
struct Way {
    folder: Folder,
    /// The names of the missing directories.
    missing: Vec<OsString>,
}

impl Folder {
    /// An existing directory; none if it is missing.
    ///
    /// # Errors
    /// The path leads to something else, or nowhere that can be searched.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, StateError> {
        let Way { folder, missing } = way(path).map_err(of(path, "open the directory"))?;
        Ok(missing.is_empty().then_some(folder))
    }

    /// A directory, which is created, with its parents, where it is missing; readable by its owner
    /// and group.
    ///
    /// # Errors
    /// The directory neither exists nor can be created.
    pub(crate) fn make(path: &Path) -> Result<Self, StateError> {
        let wrong = of(path, "create the directory");
        let Way {
            mut folder,
            missing,
        } = way(path).map_err(&wrong)?;
        for name in missing {
            let owner = folder.owner;
            folder = folder
                .made(&name)
                .map_err(|error| wrong(rights::explained(error, owner)))?;
        }
        Ok(folder)
    }

    /// The nearest directory on the way to a path that exists.
    ///
    /// # Errors
    /// The path leads to something else, or nowhere that can be searched.
    pub(crate) fn nearest(path: &Path) -> Result<Self, StateError> {
        way(path)
            .map(|way| way.folder)
            .map_err(of(path, "open the directory"))
    }

    /// Where it is, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the owner's rights for this thread, if it is root's: for what this type does not do.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn rights(&self) -> Result<OwnerRights, StateError> {
        OwnerRights::take(self.owner).map_err(of(&self.path, "take the rights of the owner of"))
    }

    /// A directory in this one; none if it is missing.
    ///
    /// # Errors
    /// It is a link or another file.
    pub(crate) fn sub(&self, name: &str) -> Result<Option<Self>, StateError> {
        match self.opened(OsStr::new(name)) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.wrong("open the directory", name.as_ref())(error)),
        }
    }

    /// A directory in this one, which is created where it is missing.
    ///
    /// # Errors
    /// It is a link or another file, or cannot be created.
    pub(crate) fn make_sub(&self, name: &str) -> Result<Self, StateError> {
        self.made(OsStr::new(name))
            .map_err(self.wrong("create the directory", name.as_ref()))
    }

    /// The names of the directories and files, in no order; those that are no UTF-8 are not ours.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<String>, StateError> {
        let _rights = self.rights()?;
        let read = || -> io::Result<Vec<String>> {
            let entries = Dir::read_from(self.readable()?)?;
            let mut names = Vec::new();
            for entry in entries {
                names.extend(entry?.file_name().to_str().map(str::to_owned));
            }
            names.retain(|name| name != "." && name != "..");
            Ok(names)
        };
        read().map_err(of(&self.path, "read the directory"))
    }

    /// Whether there is something of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let there = || statat(&self.fd, checked(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW);
        there().is_ok()
    }

    /// A file, to read it; none if it is missing.
    ///
    /// # Errors
    /// It is a link or no regular file, or cannot be opened.
    pub(crate) fn open(&self, name: &str) -> Result<Option<File>, StateError> {
        let _rights = self.rights()?;
        match self.file(name, OFlags::RDONLY) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.wrong("open", name.as_ref())(error)),
        }
    }

    /// The content of a file; none if it is missing.
    ///
    /// # Errors
    /// It is a link or no regular file, cannot be read, or has more than `most` bytes.
    pub(crate) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, StateError> {
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        let wrong = self.wrong("read", name.as_ref());
        file.take(most.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(&wrong)?;
        if u64::try_from(content.len()).is_ok_and(|length| length <= most) {
            Ok(Some(content))
        } else {
            Err(wrong(io::ErrorKind::FileTooLarge.into()))
        }
    }

    /// An existing file, to append to it.
    ///
    /// # Errors
    /// It is missing, a link, no regular file, or not writable.
    pub(crate) fn append(&self, name: &str) -> Result<File, StateError> {
        let _rights = self.rights()?;
        self.file(name, OFlags::WRONLY | OFlags::APPEND)
            .map_err(self.wrong("write", name.as_ref()))
    }

    /// A file that is locked, and holds at most the number of a process; created where it is
    /// missing. Only its owner may open it: whoever can read a file can also lock it.
    ///
    /// # Errors
    /// It is a link or no regular file, or cannot be opened.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, StateError> {
        let _rights = self.rights()?;
        let wrong = self.wrong("open", name.as_ref());
        let file = self
            .file(name, OFlags::RDWR | OFlags::CREATE)
            .map_err(&wrong)?;
        let mode = file.metadata().map_err(&wrong)?.permissions().mode();
        if mode & 0o077 != 0 {
            // Of an earlier version, or by hand. It is locked all the same.
            let _ = file.set_permissions(Permissions::from_mode(0o600));
        }
        Ok(file)
    }

    /// Replaces a file by this content: after a crash or on a full disk the old content or the new
    /// is there, never a part. A link of that name is replaced, not followed.
    ///
    /// # Errors
    /// The directory is not writable, or the disk is full.
    pub(crate) fn replace(
        &self,
        name: impl AsRef<OsStr>,
        content: &[u8],
    ) -> Result<(), StateError> {
        self.replace_by(name, |file| file.write_all(content))
    }

    /// The same with what is written by parts, which need not be in memory as a whole.
    ///
    /// # Errors
    /// As for `replace`, and those of the parts.
    pub(crate) fn replace_by(
        &self,
        name: impl AsRef<OsStr>,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let _rights = self.rights()?;
        let name = name.as_ref();
        let wrong = self.wrong("write", name);
        let name = checked(name).map_err(|error| wrong(error.into()))?;
        let new = format!(".new-{}", Uuid::new_v4().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | CAREFULLY;
        let file = openat(&self.fd, &new, flags, FILE_MODE);
        let file = File::from(file.map_err(|error| wrong(error.into()))?);
        let mut parts = BufWriter::with_capacity(BUFFER, &file);
        let replaced = write(&mut parts)
            .and_then(|()| parts.flush())
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&self.fd, &new, &self.fd, name)?));
        if let Err(error) = replaced {
            let _ = unlinkat(&self.fd, &new, AtFlags::empty());
            return Err(wrong(error));
        }
        self.readable()
            .and_then(|folder| File::from(folder).sync_all())
            .map_err(wrong)
    }

    /// Removes a file, which need not exist.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        self.unlink(name, AtFlags::empty())
    }

    /// Removes an empty directory, which need not exist.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove_sub(&self, name: &str) -> Result<(), StateError> {
        self.unlink(name, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &str, flags: AtFlags) -> Result<(), StateError> {
        let _rights = self.rights()?;
        let removed = checked(name.as_ref()).and_then(|plain| unlinkat(&self.fd, plain, flags));
        match removed {
            Err(error) if error != Errno::NOENT => {
                Err(self.wrong("remove", name.as_ref())(error.into()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Renames a file in this directory.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), StateError> {
        let _rights = self.rights()?;
        let renamed = checked(from.as_ref())
            .and_then(|from| renameat(&self.fd, from, &self.fd, checked(to.as_ref())?));
        renamed.map_err(|error| self.wrong("rename", from.as_ref())(error.into()))
    }

    fn wrong(&self, what: &'static str, name: &OsStr) -> impl Fn(io::Error) -> StateError + use<> {
        let (wrong, owner) = (of(&self.path.join(name), what), self.owner);
        move |error| wrong(rights::explained(error, owner))
    }

    /// This directory, open for reading it.
    fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.fd, ".", flags, Mode::empty())?)
    }

    fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let name = checked(name.as_ref())?;
        let file = match openat(&self.fd, name, flags | CAREFULLY, FILE_MODE) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(invalid("it is a link, which is not followed")),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(invalid("it is not a file"))
        }
    }

    fn made(&self, name: &OsStr) -> io::Result<Self> {
        {
            let _rights = OwnerRights::take(self.owner)?;
            match mkdirat(&self.fd, checked(name)?, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.opened(name)
    }

    fn opened(&self, name: &OsStr) -> io::Result<Self> {
        let fd = openat(&self.fd, checked(name)?, PLACE, Mode::empty())?;
        let stat = fstat(&fd)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(Self {
                fd,
                path: self.path.join(name),
                owner: self.owner.or(Owner::of(&stat)),
            }),
            FileType::Symlink => Err(invalid("it is a link, which is not followed")),
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(Errno::NOTDIR.into()),
        }
    }
}

fn of(path: &Path, what: &'static str) -> impl Fn(io::Error) -> StateError + use<> {
    let path = path.to_owned();
    move |source| StateError::new(what, &path, source)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// A name that leads nowhere else.
fn checked(name: &OsStr) -> rustix::io::Result<&OsStr> {
    let mut components = Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None) if only == name => Ok(name),
        _ => Err(Errno::INVAL),
    }
}

/// Goes to a directory, one name after the other, as far as there is one.
fn way(path: &Path) -> io::Result<Way> {
    let path = std::path::absolute(path)?;
    let root = openat(CWD, "/", PLACE, Mode::empty())?;
    let mut places = vec![Folder {
        owner: None,
        path: "/".into(),
        fd: root,
    }];
    let mut waiting = names(&path);
    let (mut links, mut first) = (0, None);
    while let Some(name) = waiting.pop() {
        let Some(here) = places.last() else { break };
        if name == "/" {
            places.truncate(1);
            continue;
        }
        if name == ".." {
            places.truncate(places.len().saturating_sub(1).max(1));
            continue;
        }
        let fd = match openat(&here.fd, &name, PLACE, Mode::empty()) {
            Err(Errno::NOENT) => {
                waiting.push(name);
                break;
            }
            opened => opened?,
        };
        let stat = fstat(&fd)?;
        let owner = Owner::of(&stat);
        first = first.or(owner);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = readlinkat(&fd, "", Vec::new())?.into_bytes();
                waiting.extend(names(Path::new(&OsString::from_vec(target))));
            }
            FileType::Directory => places.push(Folder {
                fd,
                path: here.path.join(&name),
                owner,
            }),
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return Err(Errno::NOTDIR.into()),
        }
    }
    let mut folder = places.pop().ok_or(Errno::NOENT)?;
    folder.owner = folder.owner.or(first);
    waiting.reverse();
    Ok(Way {
        folder,
        missing: waiting,
    })
}

/// The names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| component.as_os_str().to_owned())
        .rev()
        .collect()
}

#[cfg(test)]
mod tests;
