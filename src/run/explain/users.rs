//! The person's users, and those that concern what is decided.

use std::collections::BTreeSet;

use crate::{
    config::Adopt,
    model::{
        entry::DirectoryId,
        explanation::ExplainedUser,
        fold::fold,
        link::Link,
        own_links::OwnLinks,
        user::{Current, User},
    },
    run::{RunContext, ldap_work::LdapWork},
    sync::{
        decide::UsersBefore,
        desired::{Desired, DesiredValue},
        matching::possible_ids,
    },
};

impl RunContext<'_, LdapWork> {
    /// The mail address of a user that nobody owns, where users are adopted by it: whoever has the same
    /// one is the person that the user may become, whatever their logins are.
    pub(super) fn mail_to_adopt_by<'c>(&self, named: &[&'c User]) -> Option<&'c str> {
        let [user] = named else { return None };
        let by_mail = match self.work.rules.users.adopt {
            Adopt::Email => user.link.is_none(),
            Adopt::Username | Adopt::Never => false,
        };
        user.email
            .as_deref()
            .filter(|mail| by_mail && !mail.is_empty())
    }

    /// The users whom these people may concern, with all administrators.
    pub(super) fn concerned(
        &self,
        current: &Current,
        desired: &Desired,
        id: &DirectoryId,
    ) -> Current {
        let ids: BTreeSet<&DirectoryId> = desired.shown().chain([id]).collect();
        let attribute = desired.id_attribute();
        let created = ids
            .iter()
            .flat_map(|id| possible_ids(&self.work.rules, attribute, id));
        let created: BTreeSet<_> = created.collect();
        let mut texts = BTreeSet::new();
        for (_, person) in desired.people() {
            texts.insert(fold(&person.username).into_owned());
            if let DesiredValue::Text(mail) = &person.email {
                texts.insert(fold(mail).into_owned());
            }
        }
        let is_concerned = |user: &&User| {
            let link = user.link.tie();
            let mut known = [Some(&user.username), user.email.as_ref()]
                .into_iter()
                .flatten();
            user.administrator
                || created.contains(&user.id)
                || link.is_some_and(|link| ids.contains(&link.id))
                || known.any(|text| texts.contains(&*fold(text)))
        };
        Current {
            users: current.users.iter().filter(is_concerned).cloned().collect(),
            orphans: BTreeSet::new(),
            ..current.clone()
        }
    }
}

/// The users that have this login, mail address, ftrack id or directory id.
pub(super) fn users_named<'c>(current: &'c Current, who: &str) -> Vec<&'c User> {
    let who = fold(who);
    let is_named = |user: &&User| {
        let link = user.link.tie();
        user.is_named(&who) || link.is_some_and(|link| fold(link.id.as_str()) == who)
    };
    current.users.iter().filter(is_named).collect()
}

/// The link of a user, or what `unlink` left of one, whose person the job's directory may show.
pub(super) fn tie<'c>(user: &'c User, own: &OwnLinks) -> Option<&'c Link> {
    user.link.tie().filter(|link| own.may_show(link))
}

pub(super) fn link_of<'c>(users: &[&'c User], own: &OwnLinks) -> Option<&'c Link> {
    users.iter().find_map(|user| tie(user, own))
}

/// The user of a person: the job's, or that of another one, or the one that a person unlinked.
pub(super) fn user_of_person<'c>(
    current: &'c Current,
    id: &DirectoryId,
    own: &OwnLinks,
) -> Option<&'c User> {
    let of_person = || {
        let users = current.users.iter();
        users.filter(|user| tie(user, own).is_some_and(|link| link.id == *id))
    };
    of_person().min_by_key(|user| {
        let link = user.link.link();
        (link.is_none_or(|link| !own.has(link)), link.is_none())
    })
}

/// The users of a job, as the limits count them.
pub(super) fn users_before(current: &Current, own: &OwnLinks) -> UsersBefore {
    let linked = current.users.iter();
    let linked = linked.filter(|user| user.link.link().is_some());
    let owned = || own.users(current);
    UsersBefore {
        owned: owned().count(),
        owned_active: owned().filter(|(user, _)| user.is_active).count(),
        linked: linked.count(),
        deactivated_at: Vec::new(),
    }
}

pub(super) fn user_of(user: &User) -> ExplainedUser {
    ExplainedUser {
        ftrack_id: user.id.clone(),
        username: user.username.to_string(),
        email: user.email.as_deref().map(ToOwned::to_owned),
        is_active: Some(user.is_active),
        administrator: Some(user.administrator),
        source: user.link.link().map(|link| link.source.to_string()),
    }
}
