//! The rules of one job that a plan obeys.

use std::{borrow::Cow, sync::Arc};

use chrono::Duration;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use unicode_normalization::UnicodeNormalization;

use crate::{
    config::{self, Adopt, Scope},
    directory::dn::Dn,
    ftrack::{
        link::Signature,
        user::{Current, UNTOUCHABLE, User},
    },
};

/// The rules of one job: whose people, what may be done, and who is never touched.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The name that marks the job's people at ftrack.
    pub source: Arc<str>,
    /// What may be done to users.
    pub users: config::Users,
    /// How long somebody must be missing before the user is deactivated.
    pub deactivate_after: Duration,
    /// The search bases of the job.
    pub reach: Reach,
    /// The other jobs: the people of one of them who left its bases may be this one's.
    pub siblings: Vec<Sibling>,
    /// What the links that are written have.
    pub signature: Signature,
    api_user: String,
    protect: GlobSet,
}

/// Another job of the same configuration.
#[derive(Debug, Clone)]
pub struct Sibling {
    /// Its name.
    pub job: String,
    /// The name that marks its people at ftrack.
    pub source: Arc<str>,
    /// Whether it names its directory by the same table of the configuration.
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

    /// Whether an entry lies in it. One whose name cannot be understood does: the owner of a person
    /// stays the owner in doubt.
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
    fn new(name: &str, job: &config::LdapJob, directory: &str) -> Self {
        Self {
            job: name.to_owned(),
            source: job.source.as_str().into(),
            shares_table: job.directory == directory,
            reach: Reach::new(job),
        }
    }
}

/// A pattern of `protect` is not a glob.
#[derive(Debug, thiserror::Error)]
#[error("users.protect: {0}")]
pub struct BadPattern(#[from] globset::Error);

/// The user type of `users.user_type` cannot be given to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUserType {
    /// There is none of that name.
    #[error("users.user_type: ftrack has no user type {name:?}; it has: {known}")]
    Unknown {
        /// The configured name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// Users of that type are never touched, so nobody may be created with it.
    #[error(
        "users.user_type: users of the type {0:?} are never touched, so that they could never be \
         deactivated either; choose another type"
    )]
    Untouchable(String),
}

impl Rules {
    /// The rules of a job, for the program's own API user.
    ///
    /// # Errors
    /// A protected pattern is not a glob, which the configuration's own check finds first.
    pub fn new(job: &config::LdapJob, api_user: &str) -> Result<Self, BadPattern> {
        let mut protect = GlobSetBuilder::new();
        for pattern in &job.users.protect {
            protect.add(GlobBuilder::new(pattern).case_insensitive(true).build()?);
            // Globs ignore the case of ASCII alone, and know one form of each letter. A pattern
            // that folding breaks, such as `[Z-a]`, holds as it is written.
            let folded = fold(pattern);
            if let Ok(folded) = GlobBuilder::new(&folded).build() {
                protect.add(folded);
            }
        }
        Ok(Self {
            source: job.source.as_str().into(),
            users: job.users.clone(),
            reach: Reach::new(job),
            siblings: Vec::new(),
            signature: Signature::default(),
            deactivate_after: Duration::from_std(job.users.deactivate_after)
                .unwrap_or(Duration::MAX),
            api_user: fold(api_user).into_owned(),
            protect: protect.build()?,
        })
    }

    /// Whether the user is the program's own, of a type that is never touched, and so left alone in
    /// every respect.
    #[must_use]
    pub fn untouchable(&self, user: &User) -> Option<&'static str> {
        if self.is_api_user(&user.username) {
            return Some("it is the program's own API user");
        }
        match user.kind {
            crate::ftrack::user::UserKind::Person => None,
            crate::ftrack::user::UserKind::Untouchable => Some("its user type is service or demo"),
        }
    }

    /// The same rules, beside the other jobs of a configuration.
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

    /// The same rules, with links that are signed or not.
    #[must_use]
    pub fn with_signature(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// Whether a username is the program's own, whatever its case.
    #[must_use]
    pub fn is_api_user(&self, username: &str) -> bool {
        if username.is_ascii() {
            username.eq_ignore_ascii_case(&self.api_user)
        } else {
            fold(username) == self.api_user
        }
    }

    /// Whether a username is protected by a pattern, whatever its case.
    #[must_use]
    pub fn is_protected(&self, username: &str) -> bool {
        self.protect.is_match(username) || self.protect.is_match(&*fold(username))
    }

    /// Why the login, mail and activity of a user change only with a person's approval, if so.
    #[must_use]
    pub fn guarded(&self, user: &User) -> Option<&'static str> {
        if user.administrator {
            return Some("it is an administrator");
        }
        self.is_protected(&user.username)
            .then_some("it is protected by users.protect")
    }

    /// Why the user may not be taken over, if so.
    #[must_use]
    pub fn adoption_refused(&self, user: &User) -> Option<&'static str> {
        self.never_adopted(user).or(match self.users.adopt {
            Adopt::Never => Some("it is not this job's, and users.adopt is \"never\""),
            Adopt::Username | Adopt::Email => None,
        })
    }

    /// Why the user may never be taken over, by whatever it is recognised, if so.
    #[must_use]
    pub fn never_adopted(&self, user: &User) -> Option<&'static str> {
        if let Some(reason) = self.untouchable(user) {
            return Some(reason);
        }
        if user.administrator {
            return Some("it is an administrator, and administrators are never adopted");
        }
        self.is_protected(&user.username)
            .then_some("it is protected by users.protect")
    }

    /// Whether the user type that created users are to get is there, and one that this program may
    /// look after.
    ///
    /// # Errors
    /// It is not, which is to be known before anything is written.
    pub fn check_user_type(&self, current: &Current) -> Result<(), BadUserType> {
        let Some(name) = &self.users.user_type else {
            return Ok(());
        };
        if UNTOUCHABLE
            .iter()
            .any(|untouchable| name.eq_ignore_ascii_case(untouchable))
        {
            return Err(BadUserType::Untouchable(name.clone()));
        }
        if current.user_types.contains_key(name) {
            return Ok(());
        }
        let known: Vec<&str> = current.user_types.keys().map(String::as_str).collect();
        Err(BadUserType::Unknown {
            name: name.clone(),
            known: known.join(", "),
        })
    }
}

/// The form in which logins and mail addresses are compared: whether the server tells case apart,
/// or an accent from a letter that has it, is not known, so it is never relied upon. Most are in
/// that form already, and are not copied.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        // By way of the capitals, of which there is one where small letters have several: both
        // sigmas, and the sharp s beside two of them. From small letters, since the sharp s has a
        // capital of its own as well, which stays alone.
        Cow::Owned(
            text.nfc()
                .flat_map(char::to_lowercase)
                .flat_map(char::to_uppercase)
                .flat_map(char::to_lowercase)
                .nfc()
                .collect(),
        )
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn one_login_in_many_forms_is_one_login() {
        for (one, other) in [
            ("ADA", "ada"),
            ("jos\u{e9}", "Jose\u{301}"),
            ("\u{c5}sa", "a\u{30a}sa"),
            (
                "\u{3bf}\u{3b4}\u{3cc}\u{3c2}",
                "\u{39f}\u{394}\u{38c}\u{3a3}",
            ),
            ("stra\u{df}er", "STRASSER"),
            ("stra\u{df}er", "STRA\u{1e9e}ER"),
        ] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("jos\u{e9}"), fold("jose"));
    }
}
