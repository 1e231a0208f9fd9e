//! What the key may do of that what the jobs do.

use super::{Look, fail};
use crate::{
    ftrack::{
        error::FtrackError,
        rights::{self, Permission, Right, Somebody},
    },
    model::grant::GrantName,
};

/// A right, the check's word, and what it allows.
struct Tried {
    right: Right,
    check: &'static str,
    may: &'static str,
    way_out: &'static str,
}

const CHANGE: Tried = Tried {
    right: Right::ChangeUsers,
    check: "permission",
    may: "write users",
    way_out: "give the role of ftrack.api_user the permission to manage users",
};
const CREATE: Tried = Tried {
    right: Right::CreateUsers,
    check: "permission_create",
    may: "create users",
    way_out: "give the role of ftrack.api_user the permission to manage users, or set \
              users.create = false",
};
const ROLES: Tried = Tried {
    right: Right::ChangeRoles,
    check: "permission_roles",
    may: "give and take security roles",
    way_out: "give the role of ftrack.api_user the permission to manage users and their security \
              roles, or remove the job's roles",
};
const GROUPS: Tried = Tried {
    right: Right::ChangeMemberships,
    check: "permission_groups",
    may: "change memberships of groups",
    way_out: "give the role of ftrack.api_user the permission to manage groups, or remove the job's \
              groups",
};

/// Tries each right that a job needs.
pub(super) async fn look(look: &mut Look<'_>) {
    let needs = |is_so: fn(&GrantName) -> bool| {
        let mut grants = look.jobs.iter().flat_map(|(_, work)| &work.rules.grants);
        grants.any(is_so)
    };
    let creates = look.jobs.iter().any(|(_, work)| work.job.users.create);
    let needed = [
        (CHANGE, true),
        (CREATE, creates),
        (ROLES, needs(|name| !matches!(name, GrantName::Group(_)))),
        (GROUPS, needs(|name| matches!(name, GrantName::Group(_)))),
    ];
    let somebody = rights::somebody(look.writer, &look.ftrack.api_user, &look.until).await;
    for (tried, _) in needed.into_iter().filter(|(_, is_needed)| *is_needed) {
        let is_answered = tell(look, &tried, &somebody).await;
        if !is_answered {
            return;
        }
    }
}

/// Whether more can be tried.
async fn tell(
    look: &mut Look<'_>,
    tried: &Tried,
    somebody: &Result<Option<Somebody>, FtrackError>,
) -> bool {
    let found = match somebody {
        Err(error) => {
            fail(&mut look.about, tried.check, error);
            return false;
        }
        Ok(None) => Ok(Permission::Unknown(
            "there is no user to try it with except the API user".to_owned(),
        )),
        Ok(Some(somebody)) => {
            rights::permission(look.writer, tried.right, somebody, &look.until).await
        }
    };
    let Tried {
        check,
        may,
        way_out,
        ..
    } = *tried;
    match found {
        Ok(Permission::Granted) => look.about.ok(check, format!("the key may {may}")),
        Ok(Permission::Refused(refusal)) => {
            let detail = format!("the key may not {may}: {refusal}");
            look.about.fail(check, detail, way_out);
        }
        Ok(Permission::Unknown(why)) => {
            let detail = format!("cannot determine whether the key may {may}: {why}");
            let way_out = format!("try a sync; if it is refused, {way_out}");
            look.about.warn(check, detail, way_out);
            return matches!(somebody, Ok(Some(_)));
        }
        Err(error) => {
            fail(&mut look.about, check, &error);
            return false;
        }
    }
    true
}
