//! The queries for what people still carry, in the forms of the vendor's own documentation and tools.

use super::{Listing, list};
use crate::model::user::EntityId;

/// The tasks that are not done and are assigned to some users, with all to whom they are assigned.
#[must_use]
pub fn open_tasks_of(users: &[EntityId]) -> Listing {
    Listing {
        what: "open tasks of some users",
        text: format!(
            "select id, name, project_id, assignments.resource_id from Task where assignments any \
             (resource_id in ({})) and status.state.short is_not \"DONE\" and project.status is_not \
             \"hidden\" order by id",
            list(users)
        ),
    }
}

/// The timers of some users: a timer exists as long as it runs.
#[must_use]
pub fn timers_of(users: &[EntityId]) -> Listing {
    Listing {
        what: "running timers of some users",
        text: format!(
            "select id, name, user_id, context_id, context.name, context.project_id from Timer \
             where user_id in ({}) order by id",
            list(users)
        ),
    }
}

/// The projects that some users manage, with all who do.
#[must_use]
pub fn projects_managed_by(users: &[EntityId]) -> Listing {
    Listing {
        what: "projects that some users manage",
        text: format!(
            "select id, name, full_name, managers.user_id from Project where managers any (user_id \
             in ({})) and status is_not \"hidden\" order by id",
            list(users)
        ),
    }
}

/// The API keys of some users, by their identifiers.
#[must_use]
pub fn api_keys_of(users: &[EntityId]) -> Listing {
    Listing {
        what: "API keys of some users",
        text: format!(
            "select id, identifier, resource_id from ApiKey where resource_id in ({}) order by id",
            list(users)
        ),
    }
}
