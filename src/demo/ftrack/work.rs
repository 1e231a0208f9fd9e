//! What people carry: assigned tasks, a running timer, projects that they manage, and their API keys.

use serde_json::json;

use super::{error::ApiError, studio::Studio};

/// The statuses of every workspace: the name, and the state that it is of.
const STATUSES: [(&str, &str); 4] = [
    ("Not started", "NOT_STARTED"),
    ("In progress", "IN_PROGRESS"),
    ("Approved", "DONE"),
    ("On hold", "BLOCKED"),
];

/// The id of a status that every workspace has.
fn status_id(name: &str) -> Option<String> {
    let place = STATUSES.iter().position(|(known, _)| *known == name)?;
    Some(fixed_id(place + 96))
}

/// The status of a task that is created without one.
pub(super) fn first_status() -> String {
    fixed_id(96)
}

fn fixed_id(place: usize) -> String {
    format!("{place:08x}-4361-11e0-b7cc-0019bb4983d8")
}

/// Adds the states and statuses that every workspace has.
pub(super) fn furnish(studio: &Studio) -> Result<(), ApiError> {
    for (place, (name, short)) in STATUSES.into_iter().enumerate() {
        let (state, status) = (fixed_id(place + 80), fixed_id(place + 96));
        studio.insert("State", &json!({"id": state, "name": name, "short": short}))?;
        studio.insert(
            "Status",
            &json!({"id": status, "name": name, "is_active": true, "state_id": state}),
        )?;
    }
    Ok(())
}

impl Studio {
    /// Adds a project; answers the id. `status` is `active`, or `hidden` when it is closed.
    ///
    /// # Errors
    /// Only when the crate's own schemas are broken.
    pub fn add_project(&self, name: &str, status: &str) -> Result<String, ApiError> {
        let row = self.insert(
            "Project",
            &json!({"name": name, "full_name": name, "status": status}),
        )?;
        id_of(&row)
    }

    /// Adds a task of a project with a status, such as `In progress` or `Approved`, and assigns it to
    /// these users; answers the id.
    ///
    /// # Errors
    /// An unknown status.
    pub fn add_task(
        &self,
        project: &str,
        name: &str,
        status: &str,
        users: &[&str],
    ) -> Result<String, ApiError> {
        let status = status_id(status).ok_or_else(|| ApiError::not_found("Status", status))?;
        let row = self.insert(
            "Task",
            &json!({"name": name, "project_id": project, "parent_id": project, "status_id": status}),
        )?;
        let task = id_of(&row)?;
        for user in users {
            self.insert(
                "Appointment",
                &json!({"type": "assignment", "resource_id": user, "context_id": task}),
            )?;
        }
        Ok(task)
    }

    /// Starts a user's timer on a task; answers its id.
    ///
    /// # Errors
    /// Only when the crate's own schemas are broken.
    pub fn add_timer(&self, user: &str, task: &str, name: &str) -> Result<String, ApiError> {
        let row = self.insert(
            "Timer",
            &json!({"user_id": user, "context_id": task, "name": name, "start": "2026-11-20T09:00:00"}),
        )?;
        id_of(&row)
    }

    /// Makes a user a manager of a project or of a task.
    ///
    /// # Errors
    /// Only when the crate's own schemas are broken.
    pub fn add_manager(&self, user: &str, context: &str) -> Result<String, ApiError> {
        id_of(&self.insert("Manager", &json!({"user_id": user, "context_id": context}))?)
    }

    /// Adds a personal API key of a user.
    ///
    /// # Errors
    /// Only when the crate's own schemas are broken.
    pub fn add_api_key(&self, user: &str, identifier: &str) -> Result<String, ApiError> {
        let fields = json!({"resource_id": user, "identifier": identifier, "prefix": "MWM2"});
        id_of(&self.insert("ApiKey", &fields)?)
    }
}

fn id_of(row: &serde_json::Value) -> Result<String, ApiError> {
    let id = row.get("id").and_then(serde_json::Value::as_str);
    id.map(str::to_owned)
        .ok_or_else(|| ApiError::internal("The row has no id."))
}
