//! The groups that a job is mapped to: found by their paths, or what is to be made of them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    error::{FtrackError, FtrackErrorKind},
    page::list,
    query,
    row::GroupRow,
    session::{Reader, Until},
    text::some_names,
};
use crate::{
    config::PATH_SEPARATOR,
    model::{
        grant::{Group, NewGroup, group_id},
        user::EntityId,
    },
};

/// The most groups above one another: far above any studio, and an end where they form a circle.
const DEEPEST: usize = 64;

/// What is done about mapped groups that ftrack does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingGroups {
    /// They are made.
    AreMade,
    /// They are an error.
    #[default]
    AreErrors,
}

impl MissingGroups {
    /// As `users.create_groups` says.
    #[must_use]
    pub fn configured(create_groups: bool) -> Self {
        if create_groups {
            Self::AreMade
        } else {
            Self::AreErrors
        }
    }
}

/// The groups of a server by their paths. Those of single projects are left out: their names say
/// nothing about the studio.
pub(super) struct Paths {
    /// The path in lower case, the id, and the path.
    all: Vec<(String, EntityId, String)>,
    /// The names of those of projects, in lower case.
    of_projects: Vec<String>,
    /// The name of every group.
    names: BTreeMap<EntityId, String>,
}

impl Paths {
    pub(super) fn of(rows: &[GroupRow]) -> Self {
        let by_id: BTreeMap<&EntityId, &GroupRow> = rows.iter().map(|row| (&row.id, row)).collect();
        let mut paths = Self {
            all: Vec::new(),
            of_projects: Vec::new(),
            names: BTreeMap::new(),
        };
        for row in rows {
            let name = row.name.clone().unwrap_or_default();
            if row.local == Some(true) {
                paths.of_projects.push(name.to_lowercase());
            } else if let Some(path) = path(row, &by_id) {
                let folded = path.to_lowercase();
                paths.all.push((folded, row.id.clone(), path));
            }
            paths.names.insert(row.id.clone(), name);
        }
        paths
    }

    /// The only group with this path, compared without case; none where there is none.
    ///
    /// # Errors
    /// There are several.
    pub(super) fn only(&self, path: &str) -> Result<Option<&EntityId>, FtrackErrorKind> {
        let folded = path.to_lowercase();
        let mut found = self.all.iter().filter(|(known, ..)| *known == folded);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(self.unusable(format!(
                "ftrack has several groups {path:?}, which the job's groups name"
            ))),
            (found, _) => Ok(found.map(|(_, id, _)| id)),
        }
    }

    /// The group of a path; with what is to be made of it, where that may be.
    ///
    /// # Errors
    /// [`FtrackErrorKind::UnusableGrant`]: there are several, or there is none and it may not be made.
    pub(super) fn group(
        &self,
        path: &Arc<str>,
        missing: MissingGroups,
    ) -> Result<Group, FtrackErrorKind> {
        if let Some(id) = self.only(path)? {
            return Ok(Group {
                id: id.clone(),
                name: Arc::clone(path),
                missing: Box::default(),
            });
        }
        match missing {
            MissingGroups::AreErrors => Err(self.lacking(path)),
            MissingGroups::AreMade => self.planned(path),
        }
    }

    /// What is to be made of a path that does not exist.
    fn planned(&self, path: &Arc<str>) -> Result<Group, FtrackErrorKind> {
        // The longest part that exists: the name of a group may contain the separator.
        let mut parent = None;
        let mut rest = &**path;
        for (place, _) in path.rmatch_indices(PATH_SEPARATOR) {
            let (above, below) = path.split_at(place);
            if let Some(id) = self.only(above)? {
                parent = Some(id.clone());
                rest = below.trim_start_matches(PATH_SEPARATOR);
                break;
            }
        }
        let mut missing = Vec::new();
        for name in rest.split(PATH_SEPARATOR) {
            let id = group_id(parent.as_ref(), name);
            if let Some(now) = self.names.get(&id) {
                return Err(self.unusable(format!(
                    "the group {name:?} of the path {path:?}, which the job's groups name, was made \
                     by this program and is now called {now:?}, or is elsewhere: name it so in the \
                     job's groups, or undo that in ftrack"
                )));
            }
            missing.push(NewGroup {
                id: id.clone(),
                name: name.into(),
                parent: parent.replace(id),
            });
        }
        let last = missing.last().map(|group| group.id.clone());
        let id = last.unwrap_or_else(|| group_id(None, path));
        Ok(Group {
            id,
            name: Arc::clone(path),
            missing: missing.into(),
        })
    }

    fn lacking(&self, path: &str) -> FtrackErrorKind {
        let folded = path.to_lowercase();
        let ending = format!("{PATH_SEPARATOR}{folded}");
        let mut elsewhere = self.all.iter();
        let elsewhere = elsewhere.find(|(known, ..)| known.ends_with(&ending));
        let hint = match elsewhere {
            Some((_, _, whole)) => {
                format!("; there is {whole:?}: name the groups above it as well")
            }
            None if self.of_projects.contains(&folded) => {
                "; the one of that name is of a single project".to_owned()
            }
            None => "; users.create_groups = true makes it".to_owned(),
        };
        self.unusable(format!(
            "ftrack has no group {path:?}, which the job's groups name{hint}"
        ))
    }

    pub(super) fn unusable(&self, problem: String) -> FtrackErrorKind {
        let mut known = some_names(self.all.iter().map(|(_, _, path)| path.as_str()));
        if known.is_empty() {
            known.push_str("none that the key can see");
        }
        FtrackErrorKind::UnusableGrant { problem, known }
    }
}

/// The names of the groups above a group and its own; none where one of them is not seen, or is one of
/// a project.
fn path(row: &GroupRow, by_id: &BTreeMap<&EntityId, &GroupRow>) -> Option<String> {
    let mut names = Vec::new();
    let mut next = Some(row);
    while let Some(group) = next {
        if names.len() == DEEPEST || group.local == Some(true) {
            return None;
        }
        names.push(group.name.as_deref().filter(|name| !name.is_empty())?);
        next = match &group.parent_id {
            Some(parent) => Some(*by_id.get(parent)?),
            None => None,
        };
    }
    names.reverse();
    Some(names.join(&PATH_SEPARATOR.to_string()))
}

/// Reads all groups.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub(super) async fn paths(reader: &Reader, until: &Until) -> Result<Paths, FtrackError> {
    let rows = list::<GroupRow>(reader, &query::groups(), until).await?;
    Ok(Paths::of(&rows))
}
