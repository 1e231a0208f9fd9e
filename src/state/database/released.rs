//! What is forgotten when a person releases the users of a job: the next run begins anew.

use rusqlite::params;

use super::State;
use crate::state::files::StateError;

/// What a job remembers of its people and users; not what it wrote, which the limits count.
const FORGOTTEN: [&str; 12] = [
    "absences",
    "disabled",
    "held_people",
    "settings",
    "inactive",
    "first_contacts",
    "bases",
    "groups",
    "people",
    "known_changes",
    "known_users",
    "stored_values",
];

impl State {
    /// Forgets what a job knows of its people and their users.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn forget_people(&self, job: &str) -> Result<(), StateError> {
        self.write(|transaction| {
            for table in FORGOTTEN {
                let statement = format!("DELETE FROM {table} WHERE job = ?1");
                transaction.execute(&statement, params![job])?;
            }
            Ok(())
        })
    }
}
