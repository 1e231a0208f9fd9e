//! Users without an owner become a person's.

use super::{Decider, subject::Subject};
use crate::{
    config::Adopt,
    model::{
        adopted_roles,
        change::{Action, HeldBy, Hold},
        edit::Edit,
        entry::DirectoryId,
        link::LinkFound,
        reason::{ByHand, MatchedBy, Reason},
        user::User,
        way_to_approve::BY_NUMBER,
    },
    sync::{decision::Who, desired::Identified, matching::created_id, written::Stage},
};

/// The maximum number of roles named in a hold.
const NAMED: usize = 8;
/// The maximum length of a role's name in a hold, in characters.
const LONGEST_NAME: usize = 60;

impl<'a> Decider<'a, '_> {
    /// Adopts a user without an owner; its activity is unchanged.
    pub(super) fn adopt(&mut self, identified: &'a Identified, user: &'a User) {
        let (id, person) = identified;
        let who = Who::Person(identified);
        let rules = self.matched.rules;
        // Also for a user that this program began to create: somebody may have made it an
        // administrator since.
        let unknown = "no active administrator is visible in ftrack, so it may be one; grant the \
            API user's role read access to security roles, or list yours in \
            ftrack.administrator_roles";
        let is_given = self.matched.is_given(user);
        let refused = rules.never_adopted(user);
        let refused = refused.or(self.matched.is_blind.then_some(unknown));
        // What a person gives has been refused by now, if it never changes; the guard has the rest.
        if let Some(why) = refused.filter(|_| !is_given) {
            let refusal = Box::new((user.username.clone(), why));
            return self.skip(who, Reason::NotAdopted(refusal));
        }
        let is_begun = self.is_begun(id, user);
        let stage = if is_begun {
            Stage::Creation
        } else {
            Stage::Existing
        };
        let mut edits = match self.wanted(identified, user, stage) {
            Ok(edits) => edits,
            Err(reason) => return self.skip(who, reason),
        };
        edits.extend(self.picture(identified, None, stage));
        if user.is_active {
            let given = self.matched.given_before(user);
            let mut of_grants = self.matched.grant_differences(id, user, &given).edits;
            of_grants
                .retain(|edit| !matches!(edit, Edit::Grant(grant) if grant.is_administrator()));
            edits.extend(of_grants);
        }
        edits.push(Edit::Link);
        let keeps_it = is_given && rules.is_protected(&user.username);
        if rules.is_protected(&person.username) && !keeps_it {
            return self.skip(who, Reason::ProtectedUsername(person.username.clone()));
        }
        let by = match rules.users.adopt {
            Adopt::Username => Some(MatchedBy::Login),
            Adopt::Email => Some(MatchedBy::Mail),
            Adopt::Never => None,
        };
        let reason = match by {
            _ if is_given => Reason::ByHand(ByHand::Linked),
            Some(by) if !is_begun => Reason::AdoptMatched(Box::new((user.username.clone(), by))),
            Some(_) | None if self.matched.known.begun.contains(&user.id) => Reason::AdoptBegun,
            Some(_) | None => Reason::AdoptCreated,
        };
        let subject = Subject {
            user,
            id,
            dn: Some(&person.dn),
            link: user.link.unlinked(),
            owner: None,
        };
        let link = if is_given {
            self.matched.given_link(identified, user)
        } else {
            self.matched.link(id)
        };
        self.change(who, Action::Adopt, &subject, edits, (reason, link));
        if !is_given {
            self.hold_adoption(user, is_begun);
        }
    }

    /// Whether this program began to create the user for the person.
    fn is_begun(&self, id: &DirectoryId, user: &User) -> bool {
        let source = &self.matched.rules.source;
        let attribute = self.matched.desired.id_attribute();
        attribute.is_some_and(|attribute| user.id == created_id(source, attribute, id))
    }

    /// Holds an adoption that waits for a person.
    fn hold_adoption(&mut self, user: &User, is_begun: bool) {
        let is_always = is_begun || self.matched.rules.users.adopt_always;
        let is_late = !is_always && !self.plan.is_first_contact;
        // Of a user that an interrupted run of this job created, ftrack itself chose the roles. The
        // id alone is no proof: somebody may have taken the link away and given it roles since.
        let is_its_own = is_begun
            && user.link == LinkFound::Absent
            && self.matched.known.begun.contains(&user.id);
        if !user.further_roles.is_empty() && !is_its_own {
            // Also on a replica: the preferred server would not release it.
            self.hold(user, adoption_with_roles(user));
        } else if is_late && self.plan.replica.is_none() {
            // On a replica it is held for another reason, which the preferred server may end.
            self.hold(user, late_adoption());
        }
    }
}

/// After the first contact, a user that nobody owns becomes a person's only with an approval.
fn late_adoption() -> Hold {
    Hold::new(
        HeldBy::Adoption,
        format!(
            "an existing user would become the person's after the job's first contact; if the user \
             is the person's, approve it: {BY_NUMBER}; users.adopt_always = true adopts without \
             asking"
        ),
    )
}

/// What the user may do beyond others would become the person's too, however late or early that
/// is: whoever writes the entry would choose whose roles to get.
fn adoption_with_roles(user: &User) -> Hold {
    let mut roles = user.further_roles.iter().map(|role| {
        let name: String = role.chars().take(LONGEST_NAME).collect();
        let more = if name.len() < role.len() { "…" } else { "" };
        format!("{name:?}{more}")
    });
    let named: Vec<String> = roles.by_ref().take(NAMED).collect();
    let others = match roles.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let roles = format!("{}{others}", named.join(", "));
    let why = adopted_roles::why_held(&user.username, &roles);
    Hold::new(HeldBy::Adoption, why)
}
