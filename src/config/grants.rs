//! `[jobs.NAME.roles]` and `[jobs.NAME.groups]`: what the members of LDAP groups get at ftrack.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        self,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    finding::KeyPath,
    notes::Notes,
    table::Complete,
    value::{GroupDn, Line, List, line_problem},
};
use crate::model::grant::GrantName;

/// The most roles and groups of a job: what was given stands in the user's link.
const MOST_GRANTS: usize = 500;

/// What separates the names of a path of groups.
pub const PATH_SEPARATOR: char = '/';

/// The LDAP groups whose members get a security role.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "RoleRule")]
pub enum RoleKey {
    /// The DNs of the groups, for all open projects.
    AllOpenProjects(List<GroupDn>),
    /// The same for named projects.
    Projects(RoleTable),
}

/// The LDAP groups whose members get a security role for named projects.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct RoleTable {
    /// The DNs of the groups; required.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub groups: List<GroupDn>,
    /// The names of the projects; required.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub projects: List<Line>,
}

/// Who gets a security role, and for which projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    /// The DNs of the groups; never empty.
    pub groups: Vec<String>,
    /// The names of the projects, never an empty list; none for all open ones.
    pub projects: Option<Vec<String>>,
}

// Not derived: for an untagged enum, serde cannot report which key of the table is wrong.
impl<'de> Deserialize<'de> for RoleKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrTable;
        impl<'de> de::Visitor<'de> for ListOrTable {
            type Value = RoleKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of groups, or a table")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, groups: A) -> Result<RoleKey, A::Error> {
                List::deserialize(SeqAccessDeserializer::new(groups)).map(RoleKey::AllOpenProjects)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RoleKey, A::Error> {
                RoleTable::deserialize(MapAccessDeserializer::new(map)).map(RoleKey::Projects)
            }
        }
        deserializer.deserialize_any(ListOrTable)
    }
}

/// As it would be written.
impl From<RoleRule> for RoleKey {
    fn from(RoleRule { groups, projects }: RoleRule) -> Self {
        match projects {
            None => Self::AllOpenProjects(groups.into()),
            Some(projects) => Self::Projects(RoleTable {
                groups: groups.into(),
                projects: projects.into(),
            }),
        }
    }
}

/// What the members of some LDAP groups get.
#[derive(Debug)]
pub struct MappedGroups<'j> {
    /// What they get.
    pub names: Vec<GrantName>,
    /// What nobody gets any more, and is taken where the job gave it.
    pub never: Option<GrantName>,
    /// The DNs of the groups.
    pub groups: &'j [String],
}

/// What the members of LDAP groups get, in order.
pub fn mapped_groups<'j>(
    roles: &'j BTreeMap<String, RoleRule>,
    groups: &'j BTreeMap<String, Vec<String>>,
) -> impl Iterator<Item = MappedGroups<'j>> {
    let roles = roles.iter().map(|(role, rule)| {
        let for_all = GrantName::Role(role.as_str().into());
        let for_one = |project: &String| GrantName::ProjectRole {
            role: role.as_str().into(),
            project: project.as_str().into(),
        };
        let (names, never) = match &rule.projects {
            None => (vec![for_all], None),
            Some(projects) => (projects.iter().map(for_one).collect(), Some(for_all)),
        };
        MappedGroups {
            names,
            never,
            groups: &rule.groups,
        }
    });
    let groups = groups.iter().map(|(path, groups)| MappedGroups {
        names: vec![GrantName::Group(path.as_str().into())],
        never: None,
        groups,
    });
    roles.chain(groups)
}

/// Finds names that are the same without case.
#[derive(Default)]
struct Folded(BTreeMap<String, String>);

impl Folded {
    /// What is wrong with a name, by itself or beside the earlier ones.
    fn problem(&mut self, name: &str, what: &str) -> Option<String> {
        let earlier = self.0.insert(name.to_lowercase(), name.to_owned());
        let same = |earlier| {
            format!("it is the same {what} as {earlier:?}: names are compared without case")
        };
        let problem = line_problem(name).map(str::to_owned);
        problem.or_else(|| earlier.map(same))
    }
}

/// The groups and projects of each role.
pub fn roles(
    notes: &mut Notes,
    at: &KeyPath,
    written: BTreeMap<String, RoleKey>,
) -> Option<BTreeMap<String, RoleRule>> {
    let mut folded = Folded::default();
    let mut roles = BTreeMap::new();
    let mut is_right = true;
    for (name, key) in written {
        let at = at.key(&name);
        let problem = folded.problem(&name, "role").or_else(|| {
            let is_two = name.contains('@');
            is_two.then(|| {
                "a role whose name has an @ cannot be mapped, since reports write a role for a \
                 project as ROLE@PROJECT; rename the role at ftrack"
                    .to_owned()
            })
        });
        is_right &= problem.is_none();
        if let Some(problem) = problem {
            notes.find(&at, problem);
        }
        match role(notes, &at, key) {
            Some(rule) => drop(roles.insert(name, rule)),
            None => is_right = false,
        }
    }
    is_right.then_some(roles)
}

fn role(notes: &mut Notes, at: &KeyPath, key: RoleKey) -> Option<RoleRule> {
    let without_groups = "it has no groups, so that nobody could be given the role; name a group, or \
                          remove the key to leave everybody's role as it is";
    match key {
        RoleKey::AllOpenProjects(groups) => {
            let groups = groups_of(notes, at, groups, without_groups);
            let projects = None;
            Some(RoleRule {
                groups: groups?,
                projects,
            })
        }
        RoleKey::Projects(RoleTable { groups, projects }) => {
            let groups = groups_of(notes, &at.key("groups"), groups, without_groups);
            let at = at.key("projects");
            let mut folded = Folded::default();
            let names: Vec<String> = projects.usable().map(ToString::to_string).collect();
            let is_empty = projects.is_empty();
            if is_empty && !notes.is_judged(&at) {
                notes.missing(
                    &at,
                    "the names of the projects, such as [\"show_a\"]; for all open ones, name the \
                     groups alone, as a list",
                );
            }
            projects.check(notes, &at);
            let problems: Vec<String> = names
                .iter()
                .filter_map(|name| folded.problem(name, "project"))
                .collect();
            let is_right = problems.is_empty() && !is_empty;
            for problem in problems {
                notes.find(&at, problem);
            }
            let projects: Option<Vec<String>> = projects.complete();
            is_right.then_some(RoleRule {
                groups: groups?,
                projects: Some(projects?),
            })
        }
    }
}

/// The LDAP groups of each ftrack group.
pub fn groups(
    notes: &mut Notes,
    at: &KeyPath,
    written: BTreeMap<String, List<GroupDn>>,
) -> Option<BTreeMap<String, Vec<String>>> {
    let mut folded = Folded::default();
    let mut groups = BTreeMap::new();
    let mut is_right = true;
    for (path, members) in written {
        let at = at.key(&path);
        let problem = folded.problem(&path, "group").or_else(|| {
            let is_gap = path
                .split(PATH_SEPARATOR)
                .any(|name| name.trim().is_empty());
            is_gap.then(|| {
                "a name in this path is empty: a path is written as \"Departments/Lighting\""
                    .to_owned()
            })
        });
        is_right &= problem.is_none();
        if let Some(problem) = problem {
            notes.find(&at, problem);
        }
        let without = "it has no LDAP groups, so that nobody could become a member; name one, or \
                       remove the key to leave everybody's membership as it is";
        match groups_of(notes, &at, members, without) {
            Some(members) => drop(groups.insert(path, members)),
            None => is_right = false,
        }
    }
    is_right.then_some(groups)
}

/// Checks that links have room for all that somebody may be given.
pub fn check_number(
    notes: &mut Notes,
    at: &KeyPath,
    roles: Option<&BTreeMap<String, RoleRule>>,
    groups: Option<&BTreeMap<String, Vec<String>>>,
) {
    let roles = roles.into_iter().flat_map(BTreeMap::values);
    let on_projects = roles.map(|rule| rule.projects.as_ref().map_or(1, Vec::len));
    let number = on_projects.sum::<usize>() + groups.map_or(0, BTreeMap::len);
    if number > MOST_GRANTS {
        notes.find(
            at,
            format!(
                "its roles, each for all open projects or for one, and its groups are {number}: what \
                 was given is kept in the user's link, which has room for {MOST_GRANTS}; divide them \
                 among several jobs"
            ),
        );
    }
}

/// A list of groups that must not be empty.
fn groups_of(
    notes: &mut Notes,
    at: &KeyPath,
    groups: List<GroupDn>,
    if_empty: &str,
) -> Option<Vec<String>> {
    groups.check(notes, at);
    if groups.is_empty() {
        if !notes.is_judged(at) {
            notes.find(at, if_empty);
        }
        return None;
    }
    groups.complete()
}
