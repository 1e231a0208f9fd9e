//! The limits: how many changes of a kind may be written without a person's approval.

use std::fmt;

use crate::{
    config,
    config::Limits,
    model::{
        change::{Action, Change, HeldBy, Hold},
        change_kind::ChangeKind,
        held_people::HeldPeople,
        link::Activity,
        way_to_approve::BY_NUMBER,
    },
    sync::{
        decision::Plan,
        guard::{Bounds, Verdict, Vetted},
    },
};

/// The kinds that have a limit.
pub const LIMITED: [ChangeKind; 6] = [
    ChangeKind::Deactivate,
    ChangeKind::Reactivate,
    ChangeKind::Create,
    ChangeKind::Rename,
    ChangeKind::Clear,
    ChangeKind::Revoke,
];

/// The fewest creates that a percentage means: a small studio grows by more than its half.
const FEWEST_CREATES: usize = 25;

/// The limit on one kind of change.
pub(super) struct Limit<'a> {
    kind: ChangeKind,
    /// Why all of them are held, if they are too many.
    over: Option<Hold>,
    /// Who has been held since an earlier run.
    held_before: &'a HeldPeople,
    /// What is to be known of the clocks.
    clocks: Option<&'a str>,
}

impl<'a> Limit<'a> {
    /// Counts what would be written, and what was written without approval before.
    pub fn of(
        kind: ChangeKind,
        plan: &Plan<'_>,
        verdicts: &[Verdict],
        bounds: &'a Bounds<'a>,
    ) -> Self {
        let free = plan
            .changes()
            .zip(verdicts)
            .filter(|(change, _)| !finishes_a_create(change))
            .map(|(change, verdict)| (change, verdict.free(change, kind)))
            .filter(|(_, free)| *free > 0);
        let (mut wanted, mut again, mut adopted) = (0, 0, 0);
        for (change, free) in free {
            wanted += if kind.counts_edits() { free } else { 1 };
            adopted += usize::from(change.action == Action::Adopt);
            let unsettled = bounds.unsettled.get(&(change.ftrack_id.clone(), kind));
            again += unsettled.copied().unwrap_or_default();
        }
        let before = bounds.written.get(&kind).copied().unwrap_or_default();
        let before = before.saturating_sub(again);
        let allowed = Allowed::of(kind, plan, bounds.limits);
        let clocks = bounds.clocks.as_deref();
        let over = allowed.filter(|allowed| wanted > 0 && wanted + before > allowed.most());
        Self {
            kind,
            over: over.map(|allowed| {
                let why = too_many(kind, (wanted, before), &allowed) + &by_adoption(kind, adopted);
                // The clocks tell only how long ago something was.
                let clocks = clocks.filter(|_| before > 0);
                Hold::new(HeldBy::Limit, with_clocks(why, clocks))
            }),
            held_before: bounds.held_before,
            clocks,
        }
    }

    /// Holds the edits of the kind, if they are too many or were in an earlier run.
    pub fn judge(&self, change: &Change, verdict: &mut Verdict) {
        if finishes_a_create(change) {
            return;
        }
        let was_held = || {
            let cause = self
                .held_before
                .cause(HeldBy::Limit, self.kind, &change.directory_id);
            cause.is_some()
        };
        let earlier = || {
            let why = format!(
                "it was more than limits.{} allows in an earlier run, and time alone does not \
                 release it; review it, and approve it: {BY_NUMBER}",
                self.kind
            );
            Hold::new(HeldBy::Limit, with_clocks(why, self.clocks))
        };
        let hold = match &self.over {
            Some(hold) => hold.clone(),
            None if was_held() => earlier(),
            None => return,
        };
        for (place, edit) in change.edits.iter().enumerate() {
            if ChangeKind::of(change.action, edit) == self.kind {
                verdict.hold(change, place, &hold);
            }
        }
    }
}

/// How many more changes of a kind than those that are allowed may be written.
pub(super) fn room(
    kind: ChangeKind,
    plan: &Plan<'_>,
    vetted: &Vetted,
    bounds: &Bounds<'_>,
) -> usize {
    let Some(allowed) = Allowed::of(kind, plan, bounds.limits) else {
        return usize::MAX;
    };
    let written = vetted.allowed().iter();
    let now = written.filter(|change| change.is_of(kind)).count();
    let before = bounds.written.get(&kind).copied().unwrap_or_default();
    allowed.most().saturating_sub(now + before)
}

impl Bounds<'_> {
    /// Whether a limit has held the deactivation of that person since an earlier run.
    pub(super) fn was_over(&self, deactivation: &Change) -> bool {
        let (by, kind) = (HeldBy::Limit, ChangeKind::Deactivate);
        let id = &deactivation.directory_id;
        self.held_before.cause(by, kind, id).is_some()
    }
}

/// Whether the user was created by an earlier run, whose limits allowed it, and only waits for a seat.
fn finishes_a_create(change: &Change) -> bool {
    let link = change.before.as_ref();
    change.action == Action::Reactivate
        && link.is_some_and(|link| link.activity == Activity::Activating)
}

/// How many changes of a kind may be written.
struct Allowed {
    limit: config::Limit,
    /// What a percentage is of, and what these are.
    of: usize,
    each: (&'static str, &'static str),
    /// The fewest that a percentage means, unless it is 0.
    fewest: usize,
}

impl Allowed {
    /// None where changes of the kind are not limited.
    fn of(kind: ChangeKind, plan: &Plan<'_>, limits: &Limits) -> Option<Self> {
        let Limits {
            per: _,
            deactivate,
            rename,
            clear,
            revoke,
            reactivate,
            create,
            unusable: _,
            min_entries: _,
        } = limits;
        let of_users = |limit: &config::Limit| Self {
            limit: *limit,
            of: plan.owned_active,
            each: ("active user", "active users"),
            fewest: 1,
        };
        match kind {
            ChangeKind::Deactivate => Some(of_users(deactivate)),
            ChangeKind::Rename => Some(of_users(rename)),
            ChangeKind::Clear => Some(of_users(clear)),
            ChangeKind::Revoke => Some(Self {
                limit: *revoke,
                of: plan.given_grants,
                each: ("role or membership", "roles and memberships"),
                fewest: 1,
            }),
            ChangeKind::Reactivate => Some(of_users(reactivate)),
            ChangeKind::Create if plan.is_first_contact => None,
            ChangeKind::Create => Some(Self {
                fewest: FEWEST_CREATES,
                ..of_users(create)
            }),
            ChangeKind::Adopt | ChangeKind::Update | ChangeKind::Grant => None,
        }
    }

    fn most(&self) -> usize {
        match self.limit {
            config::Limit::Percent(1..) => most(self.limit, self.of).max(self.fewest),
            config::Limit::Percent(0) | config::Limit::Count(_) => most(self.limit, self.of),
        }
    }
}

/// The number, and where it comes from if the configuration has a percentage.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, of) = (self.most(), self.of);
        let each = if of == 1 { self.each.0 } else { self.each.1 };
        match self.limit {
            config::Limit::Count(_) => write!(f, "{most}"),
            config::Limit::Percent(percent) => {
                let least = if most > of.saturating_mul(percent.into()) / 100 {
                    "the least for "
                } else {
                    ""
                };
                write!(f, "{most}, {least}{percent}% of {of} {each}")
            }
        }
    }
}

/// Why a limit holds something, with what is to be known of the clocks.
fn with_clocks(why: String, clocks: Option<&str>) -> String {
    match clocks {
        Some(clocks) => format!("{why} ({clocks})"),
        None => why,
    }
}

fn too_many(kind: ChangeKind, (wanted, before): (usize, usize), allowed: &Allowed) -> String {
    let before = match before {
        0 => String::new(),
        written => format!(", and {written} written within limits.per before,"),
    };
    let (one, many) = match kind {
        ChangeKind::Create => ("new user", "new users"),
        ChangeKind::Adopt => ("adoption", "adoptions"),
        ChangeKind::Update => ("update", "updates"),
        ChangeKind::Rename => ("changed login", "changed logins"),
        ChangeKind::Clear => ("user with emptied values", "users with emptied values"),
        ChangeKind::Deactivate => ("deactivation", "deactivations"),
        ChangeKind::Reactivate => ("reactivation", "reactivations"),
        ChangeKind::Grant => ("granted role or membership", "granted roles or memberships"),
        ChangeKind::Revoke => ("revoked role or membership", "revoked roles or memberships"),
    };
    let (noun, verb) = if wanted == 1 {
        (one, "is")
    } else {
        (many, "are")
    };
    format!(
        "{wanted} {noun}{before} {verb} more than limits.{kind} allows ({allowed}); review them, and \
         approve: {BY_NUMBER}"
    )
}

/// That so many logins change since their users are adopted: many at first contact, and no sign of
/// trouble.
fn by_adoption(kind: ChangeKind, adopted: usize) -> String {
    match (kind, adopted) {
        (ChangeKind::Rename, 1..) => format!(
            "; {adopted} of them by adoption, which gives a user the login of its person: where \
             the plan shows the right people, one approval is all it takes"
        ),
        (_, _) => String::new(),
    }
}

/// The most changes that a limit allows for this number of active users, or of given roles: a percentage is rounded
/// down, and allows one unless it is 0.
#[must_use]
pub fn most(limit: config::Limit, owned_active: usize) -> usize {
    match limit {
        config::Limit::Count(count) => count,
        config::Limit::Percent(0) => 0,
        config::Limit::Percent(percent) => {
            (owned_active.saturating_mul(usize::from(percent)) / 100).max(1)
        }
    }
}
