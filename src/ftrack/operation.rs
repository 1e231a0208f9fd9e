//! The JSON of each operation that is sent to ftrack. No I/O.
//!
//! The forms are those of the vendor's Python client (ftrack-python-api 3.1.0), which repeats
//! `__entity_type__` within `entity_data`.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::query::Expression;
use crate::{
    ftrack::signer::Signer,
    model::{
        grant::{NewGroup, membership_id},
        link::{LINK_KEY, Link},
        user::EntityId,
    },
};

/// One operation; a call is a list of operations, and its answer a list of the same length in the
/// same order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Operation {
    /// Reads one page of entities.
    Query { expression: Expression },
    /// Asks for the server's version; without `values`, as the vendor's clients ask.
    QueryServerInformation,
    /// Asks for some of what the server tells of itself.
    #[serde(rename = "query_server_information")]
    QueryServerValues { values: &'static [&'static str] },
    /// Asks for the schemas of all entities.
    QuerySchemas,
    /// Creates an entity.
    Create {
        entity_type: EntityType,
        /// The entity's key, chosen by the client, so that after an unclear answer one can ask
        /// whether it exists.
        entity_key: Vec<Box<str>>,
        entity_data: Map<String, Value>,
    },
    /// Changes some values of an entity.
    Update {
        entity_type: EntityType,
        entity_key: Vec<Box<str>>,
        /// The values that change.
        entity_data: Map<String, Value>,
    },
    /// Deletes an entity.
    Delete {
        entity_type: EntityType,
        entity_key: Vec<Box<str>>,
    },
    /// Starts a job on the server.
    DelayedJob { job_type: JobType },
    /// Asks where the file of a component is to be sent.
    GetUploadMetadata {
        component_id: EntityId,
        file_name: Box<str>,
        /// In bytes.
        file_size: usize,
    },
    /// Has the server send a mail to a user, each time anew.
    SendUserInvite { user_id: EntityId },
    /// Gives a user a security role that the user does not have at all; for which projects, the
    /// server decides.
    AddUserSecurityRole {
        user_id: EntityId,
        role_id: EntityId,
    },
    /// Takes a security role with all of its projects.
    RemoveUserSecurityRole {
        user_id: EntityId,
        role_id: EntityId,
    },
    /// Lets a security role that the user has be one for these projects as well.
    GrantUserSecurityRoleProject {
        user_id: EntityId,
        role_id: EntityId,
        #[serde(flatten)]
        projects: Projects,
    },
    /// Lets it be none for these projects.
    RevokeUserSecurityRoleProject {
        user_id: EntityId,
        role_id: EntityId,
        #[serde(flatten)]
        projects: Projects,
    },
}

/// The id of the location of files that ftrack itself keeps, the same in every workspace: that of the
/// vendor's clients.
const SERVER_LOCATION: &str = "3a372bde-05bc-11e4-8908-20c9d081909b";

/// The projects that an operation on a security role names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "ProjectKeys")]
pub enum Projects {
    /// All that are open to everybody.
    AllOpen,
    /// This one.
    One(EntityId),
}

/// The same as the keys of the operation.
#[derive(Serialize)]
struct ProjectKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    all_open_projects: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<EntityId>,
}

impl From<Projects> for ProjectKeys {
    fn from(projects: Projects) -> Self {
        let (all_open_projects, project_id) = match projects {
            Projects::AllOpen => (Some(true), None),
            Projects::One(project) => (None, Some(project)),
        };
        Self {
            all_open_projects,
            project_id,
        }
    }
}

/// The types of server jobs that the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum JobType {
    /// ftrack's own LDAP synchronisation.
    #[serde(rename = "SYNC_USERS_LDAP")]
    SyncUsersLdap,
}

/// The types of entities that the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EntityType {
    /// A user: key `[id]`.
    User,
    /// A metadata key and its value on an entity: key `[parent_id, key]`.
    Metadata,
    /// A user's value of a custom attribute: key `[configuration_id, entity_id]`; always exists, so
    /// it is updated and never created.
    UserCustomAttributeValue,
    /// A file.
    FileComponent,
    /// That a location has the file of a component.
    ComponentLocation,
    /// A group: key `[id]`.
    Group,
    /// That a user is a member of a group: key `[id]`.
    Membership,
}

impl EntityType {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Metadata => "Metadata",
            Self::UserCustomAttributeValue => "UserCustomAttributeValue",
            Self::FileComponent => "FileComponent",
            Self::ComponentLocation => "ComponentLocation",
            Self::Group => "Group",
            Self::Membership => "Membership",
        }
    }
}

impl Operation {
    /// Reads the rows of an expression.
    #[must_use]
    pub fn query(expression: Expression) -> Self {
        Self::Query { expression }
    }

    /// Starts ftrack's own LDAP synchronisation.
    #[must_use]
    pub fn start_ldap_sync() -> Self {
        Self::DelayedJob {
            job_type: JobType::SyncUsersLdap,
        }
    }

    /// Creates a user with an id chosen by the client, and these values.
    #[must_use]
    pub fn create_user(id: &EntityId, values: Map<String, Value>) -> Self {
        let mut entity_data = typed(EntityType::User);
        entity_data.insert("id".to_owned(), id.into());
        entity_data.insert("resource_type".to_owned(), "user".into());
        entity_data.extend(values);
        Self::Create {
            entity_type: EntityType::User,
            entity_key: vec![id.into()],
            entity_data,
        }
    }

    /// Changes these values of a user.
    #[must_use]
    pub fn update_user(id: &EntityId, values: Map<String, Value>) -> Self {
        let mut entity_data = typed(EntityType::User);
        entity_data.extend(values);
        Self::Update {
            entity_type: EntityType::User,
            entity_key: vec![id.into()],
            entity_data,
        }
    }

    /// Creates the link of a user that has none, made by the run with this mark.
    ///
    /// # Errors
    /// None in practice: a link is text in every part, but the JSON writer may refuse.
    pub fn create_link(
        user: &EntityId,
        link: &Link,
        made_by: Option<&str>,
        signer: &Signer,
    ) -> Result<Self, serde_json::Error> {
        let mut entity_data = typed(EntityType::Metadata);
        entity_data.insert("parent_id".to_owned(), user.into());
        entity_data.insert("parent_type".to_owned(), EntityType::User.as_str().into());
        entity_data.insert("key".to_owned(), LINK_KEY.into());
        entity_data.insert(
            "value".to_owned(),
            signer.write(user, link, made_by)?.into(),
        );
        Ok(Self::Create {
            entity_type: EntityType::Metadata,
            entity_key: link_key(user),
            entity_data,
        })
    }

    /// Replaces a user's link, made by the run with this mark.
    ///
    /// # Errors
    /// As [`Operation::create_link`].
    pub fn update_link(
        user: &EntityId,
        link: &Link,
        made_by: Option<&str>,
        signer: &Signer,
    ) -> Result<Self, serde_json::Error> {
        let mut entity_data = typed(EntityType::Metadata);
        entity_data.insert(
            "value".to_owned(),
            signer.write(user, link, made_by)?.into(),
        );
        Ok(Self::Update {
            entity_type: EntityType::Metadata,
            entity_key: link_key(user),
            entity_data,
        })
    }

    /// Deletes a user's link.
    #[must_use]
    pub fn delete_link(user: &EntityId) -> Self {
        Self::Delete {
            entity_type: EntityType::Metadata,
            entity_key: link_key(user),
        }
    }

    /// Gives a user a security role that the user does not have at all.
    #[must_use]
    pub fn add_role(user: &EntityId, role: &EntityId) -> Self {
        Self::AddUserSecurityRole {
            user_id: user.clone(),
            role_id: role.clone(),
        }
    }

    /// Takes a security role with all of its projects.
    #[must_use]
    pub fn remove_role(user: &EntityId, role: &EntityId) -> Self {
        Self::RemoveUserSecurityRole {
            user_id: user.clone(),
            role_id: role.clone(),
        }
    }

    /// Lets a security role that the user has be one for these projects as well.
    #[must_use]
    pub fn grant_projects(user: &EntityId, role: &EntityId, projects: Projects) -> Self {
        Self::GrantUserSecurityRoleProject {
            user_id: user.clone(),
            role_id: role.clone(),
            projects,
        }
    }

    /// Lets it be none for these projects.
    #[must_use]
    pub fn revoke_projects(user: &EntityId, role: &EntityId, projects: Projects) -> Self {
        Self::RevokeUserSecurityRoleProject {
            user_id: user.clone(),
            role_id: role.clone(),
            projects,
        }
    }

    /// Makes a group of the whole studio.
    #[must_use]
    pub fn create_group(group: &NewGroup) -> Self {
        let mut entity_data = typed(EntityType::Group);
        entity_data.insert("id".to_owned(), (&group.id).into());
        entity_data.insert("resource_type".to_owned(), "group".into());
        entity_data.insert("name".to_owned(), (*group.name).into());
        entity_data.insert("local".to_owned(), false.into());
        if let Some(parent) = &group.parent {
            entity_data.insert("parent_id".to_owned(), parent.into());
        }
        Self::Create {
            entity_type: EntityType::Group,
            entity_key: vec![(&group.id).into()],
            entity_data,
        }
    }

    /// Makes a user a member of a group.
    #[must_use]
    pub fn create_membership(user: &EntityId, group: &EntityId) -> Self {
        let id = membership_id(user, group);
        let mut entity_data = typed(EntityType::Membership);
        entity_data.insert("id".to_owned(), (&id).into());
        entity_data.insert("user_id".to_owned(), user.into());
        entity_data.insert("group_id".to_owned(), group.into());
        Self::Create {
            entity_type: EntityType::Membership,
            entity_key: vec![(&id).into()],
            entity_data,
        }
    }

    /// Takes the membership away that [`Operation::create_membership`] makes.
    #[must_use]
    pub fn delete_membership(user: &EntityId, group: &EntityId) -> Self {
        Self::Delete {
            entity_type: EntityType::Membership,
            entity_key: vec![(&membership_id(user, group)).into()],
        }
    }

    /// Creates the component of a picture with that many bytes.
    #[must_use]
    pub fn create_component(id: &EntityId, extension: &str, size: usize) -> Self {
        let values = [
            ("id", id.into()),
            ("name", "thumbnail".into()),
            ("file_type", extension.into()),
            ("size", size.into()),
        ];
        Self::create(EntityType::FileComponent, id, values)
    }

    /// Deletes a component.
    #[must_use]
    pub fn delete_component(id: &EntityId) -> Self {
        Self::Delete {
            entity_type: EntityType::FileComponent,
            entity_key: vec![id.into()],
        }
    }

    /// Says that ftrack's own location has the file of a component.
    #[must_use]
    pub fn create_component_location(id: &EntityId, component: &EntityId) -> Self {
        let values = [
            ("id", id.into()),
            ("component_id", component.into()),
            ("resource_identifier", component.into()),
            ("location_id", SERVER_LOCATION.into()),
        ];
        Self::create(EntityType::ComponentLocation, id, values)
    }

    fn create<const N: usize>(
        entity_type: EntityType,
        id: &EntityId,
        values: [(&str, Value); N],
    ) -> Self {
        let mut entity_data = typed(entity_type);
        let values = values.into_iter();
        entity_data.extend(values.map(|(name, value)| (name.to_owned(), value)));
        Self::Create {
            entity_type,
            entity_key: vec![id.into()],
            entity_data,
        }
    }

    /// Sets a user's value of a custom attribute; `configuration` is the attribute's id.
    #[must_use]
    pub fn set_custom_value(configuration: &EntityId, user: &EntityId, value: Value) -> Self {
        let mut entity_data = typed(EntityType::UserCustomAttributeValue);
        entity_data.insert("value".to_owned(), value);
        Self::Update {
            entity_type: EntityType::UserCustomAttributeValue,
            entity_key: vec![configuration.into(), user.into()],
            entity_data,
        }
    }
}

/// What an operation does, for errors: "reading users", "updating User".
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query { expression } => write!(f, "reading {}", expression.what()),
            Self::QueryServerInformation => f.write_str("reading the server's version"),
            Self::QueryServerValues { values } => {
                write!(f, "reading the server's {}", values.join(", "))
            }
            Self::QuerySchemas => f.write_str("reading the schemas"),
            Self::Create { entity_type, .. } => write!(f, "creating {}", entity_type.as_str()),
            Self::Update { entity_type, .. } => write!(f, "updating {}", entity_type.as_str()),
            Self::Delete { entity_type, .. } => write!(f, "deleting {}", entity_type.as_str()),
            Self::AddUserSecurityRole { .. } | Self::GrantUserSecurityRoleProject { .. } => {
                f.write_str("giving a security role")
            }
            Self::RemoveUserSecurityRole { .. } | Self::RevokeUserSecurityRoleProject { .. } => {
                f.write_str("taking a security role")
            }
            Self::GetUploadMetadata { .. } => f.write_str("asking where a picture is to be sent"),
            Self::SendUserInvite { .. } => f.write_str("sending an invitation"),
            Self::DelayedJob {
                job_type: JobType::SyncUsersLdap,
            } => f.write_str("starting ftrack's own LDAP synchronisation"),
        }
    }
}

fn typed(entity_type: EntityType) -> Map<String, Value> {
    Map::from_iter([("__entity_type__".to_owned(), json!(entity_type.as_str()))])
}

fn link_key(user: &EntityId) -> Vec<Box<str>> {
    vec![user.into(), LINK_KEY.into()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Map, json};

    use super::Operation;
    use crate::{
        ftrack::{query, signer::Signer},
        model::{
            entry::DirectoryId,
            id::IdAttribute,
            link::{Link, LinkContent},
            user::EntityId,
        },
    };

    #[test]
    fn each_operation_has_the_form_that_the_vendors_client_sends() {
        let user = EntityId::new("u-1").unwrap();
        let configuration = EntityId::new("c-1").unwrap();
        let link = Link::new(
            DirectoryId::new("d-1").unwrap(),
            LinkContent {
                directory: Some("n-1".into()),
                ..LinkContent::of("artists".into(), IdAttribute::EntryUuid)
            },
        );
        let signer = Signer::default();
        let values = |value: serde_json::Value| -> Map<String, serde_json::Value> {
            serde_json::from_value(value).unwrap()
        };
        let sent = serde_json::to_value([
            Operation::query(query::user_types().page(0, 2)),
            Operation::QueryServerInformation,
            Operation::QuerySchemas,
            Operation::create_user(&user, values(json!({"username": "bob", "is_active": true}))),
            Operation::update_user(&user, values(json!({"is_active": false}))),
            Operation::create_link(&user, &link, None, &signer).unwrap(),
            Operation::update_link(&user, &link, None, &signer).unwrap(),
            Operation::delete_link(&user),
            Operation::set_custom_value(&configuration, &user, json!("42")),
            Operation::start_ldap_sync(),
        ])
        .unwrap();
        let stored = "{\"version\":2,\"user\":\"u-1\",\"source\":\"artists\",\"directory\":\"n-1\"\
                      ,\"id\":\"d-1\",\"attribute\":\"entryUUID\",\"activity\":\"settled\"}";
        assert_eq!(
            sent,
            json!([
                {"action": "query", "expression": "select id, name from UserType order by id offset 0 limit 2"},
                {"action": "query_server_information"},
                {"action": "query_schemas"},
                {"action": "create", "entity_type": "User", "entity_key": ["u-1"],
                 "entity_data": {"__entity_type__": "User", "id": "u-1", "resource_type": "user", "username": "bob", "is_active": true}},
                {"action": "update", "entity_type": "User", "entity_key": ["u-1"], "entity_data": {"__entity_type__": "User", "is_active": false}},
                {"action": "create", "entity_type": "Metadata", "entity_key": ["u-1", "ftrack-ldap-sync"],
                 "entity_data": {"__entity_type__": "Metadata", "parent_id": "u-1", "parent_type": "User", "key": "ftrack-ldap-sync", "value": stored}},
                {"action": "update", "entity_type": "Metadata", "entity_key": ["u-1", "ftrack-ldap-sync"],
                 "entity_data": {"__entity_type__": "Metadata", "value": stored}},
                {"action": "delete", "entity_type": "Metadata", "entity_key": ["u-1", "ftrack-ldap-sync"]},
                {"action": "update", "entity_type": "UserCustomAttributeValue", "entity_key": ["c-1", "u-1"],
                 "entity_data": {"__entity_type__": "UserCustomAttributeValue", "value": "42"}},
                {"action": "delayed_job", "job_type": "SYNC_USERS_LDAP"},
            ])
        );
    }
}
