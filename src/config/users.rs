//! `[jobs.NAME.users]`: which changes to users are allowed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    finding::KeyPath,
    notes::Notes,
    table::table,
    value::{CENTURY, List, Pattern, Period, line},
};

table! {
    /// Which changes to users are allowed.
    #[schemars(rename = "Users")]
    struct UsersTable => struct Users {
        /// Whether users are created for new people.
        create: bool => bool = true,
        /// Whether values, roles and memberships of existing users are changed.
        update: bool => bool = true,
        /// Whether users of people who left are deactivated.
        deactivate: bool => bool = true,
        /// Whether users that this program deactivated are reactivated when the person is back.
        reactivate: bool => bool = true,
        /// Whether an ftrack user without an owner may be adopted on first contact, and how it is
        /// recognised. With "email", whoever can edit his own mail address in the directory can take
        /// over the ftrack account of somebody else. A user with further security roles than those in
        /// `ftrack.default_roles` is adopted only with a person's approval.
        adopt: Adopt => Adopt = Adopt::Username,
        /// Whether users are adopted after the first contact too, without a person's approval; not
        /// those with further security roles than `ftrack.default_roles`.
        adopt_always: bool => bool = false,
        /// Whether ftrack sends an invitation by mail to each user that this program creates, once.
        invite: bool => bool = false,
        /// How long somebody must be missing or disabled, over at least two complete runs where it
        /// is not `0s`.
        deactivate_after: Period<0, CENTURY> => Duration = Period::seconds(0),
        /// The same for somebody who may not sign in; `deactivate_after` when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        disabled_after: Option<Period<0, CENTURY>> => Option<Period<0, CENTURY>> = None,
        /// The same for somebody whose entry exists, but not among the job's people any more;
        /// `deactivate_after` when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        out_of_scope_after: Option<Period<0, CENTURY>> => Option<Period<0, CENTURY>> = None,
        /// The same for somebody whose entry is gone; `deactivate_after` when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        absent_after: Option<Period<0, CENTURY>> => Option<Period<0, CENTURY>> = None,
        /// Patterns (`*`, `?`, `[abc]`, `{a,b}`) of usernames that are never created or adopted, and
        /// whose login, mail, activity and roles change only with a person's approval. The
        /// protection belongs to the user, and stays when the login changes.
        protect: List<Pattern> => Vec<Pattern> = List::default(),
        /// What happens where somebody who is to be deactivated still carries work in ftrack: open
        /// tasks, running timers, projects to manage. With "hold", the deactivation waits for a
        /// person's approval; so it does where the work cannot be read.
        work_in_hand: WorkInHand => WorkInHand = WorkInHand::Report,
        /// Whether groups of ftrack that `groups` names and ftrack does not have are made, once somebody
        /// is to be a member, with the groups above them in their path.
        create_groups: bool => bool = false,
        /// The name of the user type for created users; the server's default when absent.
        #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
        user_type: Option<String> => Option<String> = None,
    }
}

/// How an ftrack user without an owner is recognised as a person of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "lowercase",
    expecting = r#""username", "email" or "never""#
)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum Adopt {
    /// The same username, whatever its case.
    Username,
    /// The same mail address, whatever its case. Whoever can edit his own mail address in the
    /// directory can then take over the ftrack account of somebody else.
    Email,
    Never,
}

/// What happens where somebody who is to be deactivated still carries work in ftrack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""report", "hold" or "off""#)]
pub enum WorkInHand {
    /// It is counted and named.
    Report,
    /// It is counted and named, and holds the deactivation.
    Hold,
    /// Nobody asks for it.
    Off,
}

/// Checks the table at this key; `has_email` is whether the job maps the mail address.
pub fn check(
    notes: &mut Notes,
    at: &KeyPath,
    table: UsersTable,
    has_email: impl FnOnce(&Notes) -> bool,
) -> Option<Users> {
    if table.adopt == Adopt::Email && !has_email(notes) {
        notes.find(
            &at.key("adopt"),
            "\"email\" needs the attribute email in the job's attributes",
        );
    }
    table.protect.check(notes, &at.key("protect"));
    table.complete()
}
