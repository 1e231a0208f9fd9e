//! The fixed query expressions. An [`Expression`] consists only of constant text, checked ids and
//! numbers, so that no text from a directory can become part of one. No I/O.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::{link::LINK_KEY, user::EntityId};

mod work;

pub use work::{api_keys_of, open_tasks_of, projects_managed_by, timers_of};

/// One query in ftrack's query language; only this module's functions can create it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// What it reads, in words.
    what: &'static str,
    text: String,
}

/// A query whose rows are read page by page: in a fixed order, each row identified by the column
/// that it is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What is listed, in words.
    pub(super) what: &'static str,
    text: String,
}

impl Listing {
    /// One page of the listing: `limit` rows after the first `offset`.
    #[must_use]
    pub fn page(&self, offset: u32, limit: u32) -> Expression {
        Expression {
            what: self.what,
            text: format!("{} offset {offset} limit {limit}", self.text),
        }
    }

    fn fixed(what: &'static str, text: &'static str) -> Self {
        Self {
            what,
            text: text.to_owned(),
        }
    }
}

impl Expression {
    /// The expression's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it reads, in words, such as `users`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The columns of a user that are read.
const USER_COLUMNS: &str = "id, username, first_name, last_name, email, is_active, user_type_id";

/// All users.
#[must_use]
pub fn users() -> Listing {
    Listing {
        what: "users",
        text: format!("select {USER_COLUMNS} from User order by id"),
    }
}

/// All links. Only the key selects them: the form of `parent_type` differs between servers.
#[must_use]
pub fn links() -> Listing {
    Listing {
        what: "links of users",
        text: format!(
            "select parent_id, value from Metadata where key is \"{LINK_KEY}\" order by parent_id"
        ),
    }
}

/// The ids of all users, in reverse order.
#[must_use]
pub fn users_from_the_end() -> Listing {
    Listing::fixed("users", "select id from User order by id descending")
}

/// The users of all links, in reverse order.
#[must_use]
pub fn links_from_the_end() -> Listing {
    Listing {
        what: "links of users",
        text: format!(
            "select parent_id from Metadata where key is \"{LINK_KEY}\" order by parent_id \
             descending"
        ),
    }
}

/// All user types.
#[must_use]
pub fn user_types() -> Listing {
    Listing::fixed("user types", "select id, name from UserType order by id")
}

/// All security roles.
#[must_use]
pub fn security_roles() -> Listing {
    Listing::fixed(
        "security roles",
        "select id, name from SecurityRole order by id",
    )
}

/// Who has one of these roles.
#[must_use]
pub fn members_of(roles: &[EntityId]) -> Listing {
    Listing {
        what: "holders of the administrator roles",
        text: format!(
            "select id, user_id from UserSecurityRole where security_role_id in ({}) order by id",
            list(roles)
        ),
    }
}

/// Who has which of these roles.
#[must_use]
pub fn holders_of(roles: &[EntityId]) -> Listing {
    Listing {
        what: "holders of security roles",
        text: format!(
            "select id, user_id, security_role_id from UserSecurityRole where security_role_id in \
             ({}) order by id",
            list(roles)
        ),
    }
}

/// Which security roles some users have.
#[must_use]
pub fn roles_of(users: &[EntityId]) -> Listing {
    Listing {
        what: "security roles of some users",
        text: format!(
            "select id, user_id, security_role_id from UserSecurityRole where user_id in ({}) \
             order by id",
            list(users)
        ),
    }
}

/// All security roles with their types.
#[must_use]
pub fn roles_with_types() -> Listing {
    Listing::fixed(
        "security roles",
        "select id, name, type from SecurityRole order by id",
    )
}

/// The same, and whether for all open projects.
#[must_use]
pub fn holders_and_projects_of(roles: &[EntityId]) -> Listing {
    Listing {
        what: "holders of security roles",
        text: format!(
            "select id, user_id, security_role_id, is_all_open_projects from UserSecurityRole where \
             security_role_id in ({}) order by id",
            list(roles)
        ),
    }
}

/// Which of these roles some users have, and whether for all open projects.
#[must_use]
pub fn mapped_roles_of(roles: &[EntityId], users: &[EntityId]) -> Listing {
    Listing {
        what: "the job's security roles of some users",
        text: format!(
            "select id, user_id, security_role_id, is_all_open_projects from UserSecurityRole where \
             security_role_id in ({}) and user_id in ({}) order by id",
            list(roles),
            list(users)
        ),
    }
}

/// All projects.
#[must_use]
pub fn projects() -> Listing {
    Listing::fixed(
        "projects",
        "select id, name, status, is_private from Project order by id",
    )
}

/// Which roles are held for one of these projects by itself.
#[must_use]
pub fn roles_for_projects(projects: &[EntityId]) -> Listing {
    Listing {
        what: "security roles for the job's projects",
        text: format!(
            "select id, user_security_role_id, project_id from UserSecurityRoleProject where \
             project_id in ({}) order by id",
            list(projects)
        ),
    }
}

/// All groups.
#[must_use]
pub fn groups() -> Listing {
    Listing::fixed(
        "groups",
        "select id, name, local, parent_id from Group order by id",
    )
}

/// Who is a member of which of these groups.
#[must_use]
pub fn memberships_in(groups: &[EntityId]) -> Listing {
    Listing {
        what: "members of the job's groups",
        text: format!(
            "select id, user_id, group_id from Membership where group_id in ({}) order by id",
            list(groups)
        ),
    }
}

/// Of which of these groups some users are members.
#[must_use]
pub fn memberships_of(groups: &[EntityId], users: &[EntityId]) -> Listing {
    Listing {
        what: "the job's groups of some users",
        text: format!(
            "select id, user_id, group_id from Membership where group_id in ({}) and user_id in ({}) \
             order by id",
            list(groups),
            list(users)
        ),
    }
}

/// Which roles some users have for single projects.
#[must_use]
pub fn projects_of_roles_of(users: &[EntityId]) -> Listing {
    Listing {
        what: "projects of the security roles of some users",
        text: format!(
            "select id, user_security_role_id, project_id from UserSecurityRoleProject where \
             user_security_role.user_id in ({}) order by id",
            list(users)
        ),
    }
}

/// All custom attributes of users, with what they take.
#[must_use]
pub fn custom_attributes() -> Listing {
    Listing::fixed(
        "custom attributes of users",
        "select id, key, entity_type, type.name, config from CustomAttributeConfiguration where \
         entity_type is \"user\" order by id",
    )
}

/// All custom attributes, whatever they belong to.
#[must_use]
pub fn custom_attributes_of_all() -> Listing {
    Listing::fixed(
        "custom attributes",
        "select id, key, entity_type from CustomAttributeConfiguration order by id",
    )
}

/// Every user's value of one custom attribute.
#[must_use]
pub fn custom_values(configuration: &EntityId) -> Listing {
    Listing {
        what: "values of a custom attribute",
        text: format!(
            "select entity_id, value from UserCustomAttributeValue where configuration_id is \
             \"{configuration}\" order by entity_id"
        ),
    }
}

/// Some users by id.
#[must_use]
pub fn users_by_id(users: &[EntityId]) -> Listing {
    Listing {
        what: "some users",
        text: format!(
            "select {USER_COLUMNS} from User where id in ({}) order by id",
            list(users)
        ),
    }
}

/// Which of some users exist.
#[must_use]
pub fn ids_of_users(users: &[EntityId]) -> Listing {
    Listing {
        what: "ids of some users",
        text: format!(
            "select id from User where id in ({}) order by id",
            list(users)
        ),
    }
}

/// The links of some users.
#[must_use]
pub fn links_of(users: &[EntityId]) -> Listing {
    Listing {
        what: "links of some users",
        text: format!(
            "select parent_id, value from Metadata where key is \"{LINK_KEY}\" and parent_id in \
             ({}) order by parent_id",
            list(users)
        ),
    }
}

/// Some users' values of one custom attribute.
#[must_use]
pub fn custom_values_of(configuration: &EntityId, users: &[EntityId]) -> Listing {
    Listing {
        what: "custom attributes of some users",
        text: format!(
            "select entity_id, value from UserCustomAttributeValue where configuration_id is \
             \"{configuration}\" and entity_id in ({}) order by entity_id",
            list(users)
        ),
    }
}

/// All jobs of the server, the newest first; only the beginning is read.
#[must_use]
pub fn newest_jobs() -> Listing {
    Listing::fixed(
        "jobs",
        "select id, created_at, user_id from Job order by created_at descending",
    )
}

/// One job of the server.
#[must_use]
pub fn job(id: &EntityId) -> Listing {
    Listing {
        what: "a job",
        text: format!("select id, status, data from Job where id is \"{id}\""),
    }
}

/// Any users: to test that users can be read.
#[must_use]
pub fn some_users() -> Listing {
    Listing::fixed(
        "users",
        "select id, username, is_active from User order by id",
    )
}

fn list(ids: &[EntityId]) -> String {
    let mut text = String::with_capacity(ids.len() * 40);
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push('"');
        text.push_str(&id.text());
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{
        api_keys_of, holders_of, links_of, members_of, open_tasks_of, projects_managed_by,
        roles_of, timers_of, users, users_by_id,
    };
    use crate::model::user::EntityId;

    #[test]
    fn pages_and_lists_are_written_as_the_language_has_them() {
        assert_eq!(
            users().page(500, 501).as_str(),
            "select id, username, first_name, last_name, email, is_active, user_type_id from User \
             order by id offset 500 limit 501"
        );
        let ids = [EntityId::new("a-1").unwrap(), EntityId::new("b_2").unwrap()];
        assert_eq!(
            links_of(&ids).page(0, 3).as_str(),
            "select parent_id, value from Metadata where key is \"ftrack-ldap-sync\" and \
             parent_id in (\"a-1\", \"b_2\") order by parent_id offset 0 limit 3"
        );
    }

    proptest! {
        #[test]
        fn no_text_gets_into_an_expression_that_could_change_it(texts in proptest::collection::vec(".{0,70}|[a-z0-9_-]{1,64}", 0..8)) {
            let ids: Vec<EntityId> = texts.iter().filter_map(|text| EntityId::new(text)).collect();
            for id in &ids {
                prop_assert!(id.text().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            }
            for (expression, lists, constants) in [
                (users_by_id(&ids).page(0, 1), 1, 0),
                (links_of(&ids).page(7, 2), 1, 1),
                (members_of(&ids).page(u32::MAX, u32::MAX), 1, 0),
                (holders_of(&ids).page(0, 500), 1, 0),
                (roles_of(&ids).page(0, 500), 1, 0),
                (open_tasks_of(&ids).page(0, 500), 1, 2),
                (timers_of(&ids).page(0, 500), 1, 0),
                (projects_managed_by(&ids).page(0, 500), 1, 1),
                (api_keys_of(&ids).page(0, 500), 1, 0),
            ] {
                let quotes = expression.as_str().matches('"').count();
                prop_assert_eq!(quotes, 2 * (ids.len() * lists + constants), "{}", expression);
            }
        }

        #[test]
        fn an_id_of_an_answer_is_checked_as_well(text in ".{0,70}|[a-z0-9_-]{1,64}") {
            let read = serde_json::from_value::<EntityId>(serde_json::Value::String(text.clone()));
            prop_assert_eq!(read.ok(), EntityId::new(&text));
        }
    }
}
