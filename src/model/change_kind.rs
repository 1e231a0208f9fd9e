//! The kinds of change that limits count and holds name.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    change::{Action, Change},
    edit::{Edit, Field, Values},
    report::{ChangeResult, Reported},
};

/// A kind of change to one user; a change may be of several kinds at once, one for each edit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase", expecting = "a kind of change")]
pub enum ChangeKind {
    /// A user is created.
    Create,
    /// A user without an owner becomes the person's.
    Adopt,
    /// A value or a link is set.
    Update,
    /// The login becomes another one.
    Rename,
    /// A value is emptied.
    Clear,
    /// The user's access ends.
    Deactivate,
    /// The user's access begins again.
    Reactivate,
    /// A security role or a membership is given.
    Grant,
    /// A security role or a membership is taken.
    Revoke,
}

impl ChangeKind {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Adopt,
        Self::Update,
        Self::Rename,
        Self::Clear,
        Self::Deactivate,
        Self::Reactivate,
        Self::Grant,
        Self::Revoke,
    ];

    /// The name in limits, reports and the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Rename => "rename",
            Self::Clear => "clear",
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
        }
    }

    /// The kind of an edit in a change with this action.
    #[must_use]
    pub fn of(action: Action, edit: &Edit) -> Self {
        match (action, edit) {
            (Action::Create, _) => Self::Create,
            (_, Edit::Activate) => Self::Reactivate,
            (_, Edit::Deactivate) => Self::Deactivate,
            (_, Edit::Set { attribute, values }) => {
                Self::of_value(action, &attribute.field(), values)
            }
            (_, Edit::Grant(_)) => Self::Grant,
            (_, Edit::Revoke(_)) => Self::Revoke,
            (_, Edit::Link) => Self::of_values(action),
        }
    }

    /// The kind of a value in a change with this action.
    fn of_value(action: Action, field: &Field, values: &Values) -> Self {
        match (action, field) {
            (Action::Create, _) => Self::Create,
            (_, Field::IsActive) if values.new == true => Self::Reactivate,
            (_, Field::IsActive) => Self::Deactivate,
            (_, Field::Username) => Self::Rename,
            (_, Field::Role(_) | Field::ProjectRole { .. } | Field::Group(_)) => {
                if values.new.is_null() {
                    Self::Revoke
                } else {
                    Self::Grant
                }
            }
            (
                _,
                Field::FirstName
                | Field::LastName
                | Field::Email
                | Field::UserType
                | Field::Invitation
                | Field::Thumbnail
                | Field::Custom(_),
            ) if empties(values) => Self::Clear,
            (
                _,
                Field::FirstName
                | Field::LastName
                | Field::Email
                | Field::UserType
                | Field::Invitation
                | Field::Thumbnail
                | Field::Custom(_)
                | Field::Link,
            ) => Self::of_values(action),
        }
    }

    fn of_values(action: Action) -> Self {
        match action {
            Action::Adopt => Self::Adopt,
            Action::Create => Self::Create,
            Action::Update | Action::Deactivate | Action::Reactivate => Self::Update,
        }
    }
}

/// Whether a value becomes empty.
fn empties(values: &Values) -> bool {
    let is_empty =
        |value: &serde_json::Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    is_empty(&values.new) && !is_empty(&values.old)
}

impl ChangeKind {
    /// Whether limits count each edit of this kind, and not only each user.
    #[must_use]
    pub fn counts_edits(self) -> bool {
        match self {
            Self::Revoke => true,
            Self::Create
            | Self::Adopt
            | Self::Update
            | Self::Rename
            | Self::Clear
            | Self::Deactivate
            | Self::Reactivate
            | Self::Grant => false,
        }
    }
}

impl Change {
    /// The kind of the gravest edit: that of the whole, where a hold needs one.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        const GRAVEST_FIRST: [ChangeKind; 8] = [
            ChangeKind::Create,
            ChangeKind::Deactivate,
            ChangeKind::Reactivate,
            ChangeKind::Adopt,
            ChangeKind::Rename,
            ChangeKind::Clear,
            ChangeKind::Revoke,
            ChangeKind::Grant,
        ];
        let gravest = GRAVEST_FIRST.into_iter().find(|kind| self.is_of(*kind));
        gravest.unwrap_or(ChangeKind::Update)
    }

    /// The edits of one kind.
    pub fn edits_of(&self, kind: ChangeKind) -> impl Iterator<Item = &Edit> {
        self.edits
            .iter()
            .filter(move |edit| ChangeKind::of(self.action, edit) == kind)
    }

    /// Whether an edit is of this kind.
    #[must_use]
    pub fn is_of(&self, kind: ChangeKind) -> bool {
        self.edits_of(kind).next().is_some()
    }
}

impl Reported {
    /// Whether a value is of this kind.
    #[must_use]
    pub fn is_of(&self, kind: ChangeKind) -> bool {
        let mut fields = self.fields.iter();
        fields.any(|(field, values)| ChangeKind::of_value(self.action, field, values) == kind)
    }

    /// Whether a value of this kind was written, or may have been.
    #[must_use]
    pub fn may_have_written(&self, kind: ChangeKind) -> bool {
        self.number_written(kind) > 0
    }

    /// The same; a role or a membership that a new user got counts as one that was given as well.
    #[must_use]
    pub fn may_have_done(&self, kind: ChangeKind) -> bool {
        let of_grants = self.fields.iter().filter(|(field, values)| {
            self.may_be_written(field)
                && ChangeKind::of_value(Action::Update, field, values) == kind
        });
        self.may_have_written(kind) || kind == ChangeKind::Grant && of_grants.count() > 0
    }

    /// Whether a value was written, or may have been.
    fn may_be_written(&self, field: &Field) -> bool {
        match self.result {
            ChangeResult::Applied | ChangeResult::Unconfirmed => true,
            ChangeResult::Failed | ChangeResult::Unsettled => self.written.contains(field),
            ChangeResult::Held | ChangeResult::Rejected | ChangeResult::Planned => false,
        }
    }

    /// How much of this kind was written, or may have been, as limits count it.
    #[must_use]
    pub fn number_written(&self, kind: ChangeKind) -> usize {
        let fields = self.fields.iter();
        let of_kind = fields.filter(|(field, values)| {
            self.may_be_written(field) && ChangeKind::of_value(self.action, field, values) == kind
        });
        let number = of_kind.count();
        if kind.counts_edits() {
            number
        } else {
            number.min(1)
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
