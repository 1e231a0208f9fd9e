//! The rules of one job that a plan obeys.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use chrono::Duration;

pub use super::written::WriteRules;
pub use crate::model::fold::fold;
use crate::{
    config,
    config::{Adopt, AttributeRule, MappedGroups, Scope, Source, Target},
    directory::dn::Dn,
    model::{
        grant::GrantName,
        link::Signature,
        reason::{ADOPT_NEVER, Cause},
        server_kind::ServerKind,
        user::{Current, EntityId, UNTOUCHABLE, User},
    },
};

/// Why a protected user is guarded.
pub const PROTECTED: &str = "it is protected by users.protect";

/// The rules of one job: whose people, which changes are allowed, and who is never changed.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The name that marks the job's people in ftrack.
    pub source: Arc<str>,
    /// Which changes are allowed.
    pub users: config::Users,
    /// How long somebody must be missing, or disabled, before the user is deactivated.
    pub patience: Patience,
    /// The search bases of the job.
    pub reach: Reach,
    /// The other jobs: a person who left the bases of one of them may belong to this one.
    pub siblings: Vec<Sibling>,
    /// How the mapped attributes are written.
    pub written: WriteRules,
    /// What the job gives and takes, by its names at ftrack.
    pub grants: Vec<GrantName>,
    /// The DNs of the groups whose members get each of them, in the order of `grants`.
    groups_of_grant: Vec<Vec<String>>,
    /// The places in `grants` of what each of the mapped groups gives.
    grants_of_group: Vec<Range<usize>>,
    /// The signature state of links that are written.
    pub signature: Signature,
    /// The place of the custom attribute that is mapped to the employee number, among those of the
    /// mapping.
    pub employee_number: Option<usize>,
    api_user: String,
}

/// For how long somebody must be missing or disabled, by the cause.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are the causes")]
pub struct Patience {
    pub absent: After,
    pub out_of_scope: After,
    pub disabled: After,
}

/// How long something must last, and the key of `users` that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct After {
    pub least: Duration,
    pub key: &'static str,
}

impl Patience {
    /// As configured.
    #[must_use]
    pub fn new(users: &config::Users) -> Self {
        let after = |own: Option<std::time::Duration>, key: &'static str| {
            let (duration, key) = own.map_or((users.deactivate_after, "deactivate_after"), |own| {
                (own, key)
            });
            let least = Duration::from_std(duration).unwrap_or(Duration::MAX);
            After { least, key }
        };
        Self {
            absent: after(
                users.absent_after.as_ref().map(|own| own.length()),
                "absent_after",
            ),
            out_of_scope: after(
                users.out_of_scope_after.as_ref().map(|own| own.length()),
                "out_of_scope_after",
            ),
            disabled: after(
                users.disabled_after.as_ref().map(|own| own.length()),
                "disabled_after",
            ),
        }
    }

    /// That of a cause. Where it is not known, the longer of those that it may be.
    #[must_use]
    pub fn of(&self, cause: Option<Cause>) -> After {
        match cause {
            Some(Cause::Absent) => self.absent,
            Some(Cause::OutOfScope) => self.out_of_scope,
            Some(Cause::Disabled) => self.disabled,
            None => self.absent.max(self.out_of_scope).max(self.disabled),
        }
    }

    /// The shortest: nobody is deactivated before it is over, whatever the cause.
    #[must_use]
    pub fn least(&self) -> After {
        self.absent.min(self.out_of_scope).min(self.disabled)
    }
}

/// Another job of the same configuration.
#[derive(Debug, Clone)]
pub struct Sibling {
    /// Its name.
    pub job: Arc<str>,
    /// The name that marks its people in ftrack.
    pub source: Arc<str>,
    /// Whether it names the same table `[directories.NAME]`.
    pub shares_table: bool,
    /// Its search bases.
    pub reach: Reach,
}

/// The part of a directory that a job searches.
#[derive(Debug, Clone)]
pub struct Reach {
    bases: Vec<Option<Dn>>,
    scope: Scope,
}

impl Reach {
    fn new(job: &config::LdapJob) -> Self {
        Self {
            bases: job
                .search_bases
                .iter()
                .map(|base| Dn::parse(base))
                .collect(),
            scope: job.scope,
        }
    }

    /// Whether it contains an entry. It is assumed to contain one whose DN cannot be parsed: in
    /// doubt, the owner of a person stays the owner.
    #[must_use]
    pub fn holds(&self, dn: &str) -> bool {
        let Some(dn) = Dn::parse(dn) else { return true };
        self.bases.iter().any(|base| {
            base.as_ref()
                .is_none_or(|base| dn.lies_in(base, self.scope))
        })
    }
}

impl Sibling {
    pub(super) fn new(name: &str, job: &config::LdapJob, directory: &str) -> Self {
        Self {
            job: name.into(),
            source: job.source.as_str().into(),
            shares_table: job.directory == directory,
            reach: Reach::new(job),
        }
    }
}

/// The user type of `users.user_type` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUserType {
    /// It does not exist.
    #[error("users.user_type: ftrack has no user type {name:?}; it has: {known}")]
    Unknown {
        /// The configured name.
        name: String,
        /// The existing names.
        known: String,
    },
    /// Users of that type are never changed, so no user may be created with it.
    #[error(
        "users.user_type: users of the type {0:?} are never changed, so they could never be \
         deactivated either; choose another type"
    )]
    Untouchable(String),
}

/// LDAP attributes of the number that a person keeps for as long as the studio knows them: RFC 2798
/// section 2.4, and Active Directory's schema.
const EMPLOYEE_NUMBER: [&str; 2] = ["employeeNumber", "employeeID"];

/// The place of the custom attribute that is mapped to the employee number; no kind of server has
/// custom attributes of its own.
fn employee_number(job: &config::LdapJob) -> Option<usize> {
    let mapping = job.mapping(ServerKind::default());
    let mut custom = mapping.values().filter(|rule| match rule.target {
        Target::Custom(_) => true,
        Target::Username
        | Target::Email
        | Target::FirstName
        | Target::LastName
        | Target::FullName
        | Target::Thumbnail => false,
    });
    let is_number = |rule: &AttributeRule| match &rule.from {
        Source::Attribute(name) => EMPLOYEE_NUMBER
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name)),
        Source::Template(_) => false,
    };
    custom.position(is_number)
}

impl Rules {
    /// The rules of a job, for the program's own API user.
    #[must_use]
    pub fn new(job: &config::LdapJob, api_user: &str) -> Self {
        let (mut grants, mut groups_of_grant) = (Vec::new(), Vec::new());
        let mut grants_of_group = Vec::new();
        for MappedGroups {
            names,
            never,
            groups,
        } in job.mapped_groups()
        {
            let places = grants.len()..grants.len() + names.len();
            grants_of_group.extend(groups.iter().map(|_| places.clone()));
            groups_of_grant.extend(names.iter().map(|_| groups.to_vec()));
            groups_of_grant.extend(never.iter().map(|_| Vec::new()));
            grants.extend(names.into_iter().chain(never));
        }
        Self {
            source: job.source.as_str().into(),
            users: job.users.clone(),
            reach: Reach::new(job),
            siblings: Vec::new(),
            signature: Signature::default(),
            patience: Patience::new(&job.users),
            written: WriteRules::new(job.attributes.iter().flat_map(|rules| rules.values())),
            grants,
            groups_of_grant,
            grants_of_group,
            employee_number: employee_number(job),
            api_user: fold(api_user).into_owned(),
        }
    }

    /// Why the user is never changed: it is the program's own, or of a type that is never changed.
    #[must_use]
    pub fn untouchable(&self, user: &User) -> Option<&'static str> {
        if self.is_api_user(&user.username) {
            return Some("it is the program's own API user");
        }
        match user.kind {
            crate::model::user::UserKind::Person => None,
            crate::model::user::UserKind::Untouchable => Some("its user type is service or demo"),
            crate::model::user::UserKind::Odd => {
                Some("ftrack shows no login or activity of it, or a value that is too large")
            }
        }
    }

    /// The DNs of the groups whose members get what stands at a place in `grants`; none where nobody
    /// does.
    #[must_use]
    pub fn groups_of(&self, place: usize) -> &[String] {
        self.groups_of_grant.get(place).map_or(&[], Vec::as_slice)
    }

    /// The places of what these groups give, by the positions of the groups.
    pub fn grants_of(&self, groups: &[u32]) -> impl Iterator<Item = usize> {
        let groups = groups
            .iter()
            .filter_map(|group| usize::try_from(*group).ok());
        let places = groups.filter_map(|group| self.grants_of_group.get(group).cloned());
        places.flatten()
    }

    /// The same rules, with the other jobs of the configuration.
    #[must_use]
    pub fn beside(mut self, config: &config::Config, directory: &str) -> Self {
        let jobs = config
            .ldap_jobs()
            .filter(|(_, job)| job.source != *self.source);
        self.siblings = jobs
            .map(|(name, job)| Sibling::new(name, job, directory))
            .collect();
        self
    }

    /// The same rules, with or without signed links.
    #[must_use]
    pub fn with_signature(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// Whether a username is the program's own, ignoring case.
    #[must_use]
    pub fn is_api_user(&self, username: &str) -> bool {
        if username.is_ascii() {
            username.eq_ignore_ascii_case(&self.api_user)
        } else {
            fold(username) == self.api_user
        }
    }

    /// Whether a username is protected by a pattern, ignoring case.
    #[must_use]
    pub fn is_protected(&self, username: &str) -> bool {
        if self.users.protect.is_empty() {
            return false;
        }
        let folded = fold(username);
        let mut patterns = self.users.protect.iter();
        patterns.any(|pattern| pattern.matches(username, &folded))
    }

    /// Why the login, mail and activity of a user change only with a person's approval, if they do.
    #[must_use]
    pub fn guarded(&self, user: &User) -> Option<&'static str> {
        if user.administrator {
            return Some("it is an administrator");
        }
        let recorded = user.link.tie().and_then(|link| link.protected);
        recorded
            .unwrap_or_else(|| self.is_protected(&user.username))
            .then_some(PROTECTED)
    }

    /// Why the user may not be adopted, if so.
    #[must_use]
    pub fn adoption_refused(&self, user: &User) -> Option<&'static str> {
        self.never_adopted(user).or(match self.users.adopt {
            Adopt::Never => Some(ADOPT_NEVER),
            Adopt::Username | Adopt::Email => None,
        })
    }

    /// Why the user may never be adopted, however it is recognised, if so.
    #[must_use]
    pub fn never_adopted(&self, user: &User) -> Option<&'static str> {
        if let Some(reason) = self.untouchable(user) {
            return Some(reason);
        }
        if user.administrator {
            return Some("it is an administrator, and administrators are never adopted");
        }
        self.is_protected(&user.username).then_some(PROTECTED)
    }

    /// Checks that the user type for created users exists, and is one that this program may change.
    ///
    /// # Errors
    /// It is not; reported before anything is written.
    pub fn check_user_type(&self, current: &Current) -> Result<(), BadUserType> {
        let name = self.users.user_type.as_deref();
        name.map_or(Ok(()), |name| {
            user_type(name, &current.user_types).map(drop)
        })
    }
}

/// The user type with that name, whose case does not matter where only one has it.
///
/// # Errors
/// There is none, or its users are never changed.
pub fn user_type<'t>(
    name: &str,
    types: &'t BTreeMap<String, EntityId>,
) -> Result<&'t EntityId, BadUserType> {
    let is_named = |other: &str| other.eq_ignore_ascii_case(name);
    if UNTOUCHABLE.into_iter().any(is_named) {
        return Err(BadUserType::Untouchable(name.to_owned()));
    }
    let mut alike = types.iter().filter(|(other, _)| is_named(other));
    let found = match (types.get(name), alike.next(), alike.next()) {
        (Some(id), _, _) | (None, Some((_, id)), None) => Some(id),
        (None, _, _) => None,
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = types.keys().map(String::as_str).collect();
        BadUserType::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    })
}
