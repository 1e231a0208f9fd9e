//! What is found out of people while the directory still answers changes no plan.

use proptest::{strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;

use super::{generators::reading_compared, *};
use crate::{model::stored_value::StoredValue, sync::compared::UsersByPerson};

/// Entries, in some order, and of which of them the people are compared early.
fn compared() -> impl Strategy<Value = (Entries, Entries, Vec<bool>)> {
    entries().prop_flat_map(|entries| {
        let early = proptest::collection::vec(any::<bool>(), entries.shown.len());
        let order = Just(entries.shown.clone()).prop_shuffle();
        (Just(entries), order, early).prop_map(|(entries, shown, early)| {
            let shuffled = Entries {
                shown,
                ..entries.clone()
            };
            (entries, shuffled, early)
        })
    })
}

/// What ftrack is known to store otherwise, of whichever users.
fn stored_otherwise() -> impl Strategy<Value = StoredOtherwise> {
    let field = select(vec![Field::Username, Field::Email, Field::LastName]);
    let text = || {
        select(vec![
            "ada",
            "bob",
            "ada@studio.test",
            "bob@studio.test",
            "Name",
        ])
    };
    let known = proptest::collection::vec((0_u8..8, field, text(), text()), 0..4);
    known.prop_map(|known| {
        let mut all = StoredOtherwise::default();
        for (user, field, wanted, stored) in known {
            let value = StoredValue {
                field,
                wanted: json!(wanted),
                stored: json!(stored),
            };
            all.add(EntityId::new(&format!("user-{user}")).unwrap(), &value);
        }
        all
    })
}

/// Everything that a plan says, in order, where everybody who is asked for once more is absent.
fn all_of(matched: Result<Matched<'_>, PlanRefused>) -> Result<Vec<String>, PlanRefused> {
    let matched = matched?;
    let ids = matched.due().into_iter().map(|link| link.id.clone());
    let evidence = Evidence {
        absent: ids.map(|id| (id.clone(), Absent::for_tests(id))).collect(),
        ..Evidence::default()
    };
    let plan = matched.decide(&evidence);
    let who = |decision: &Decision<'_>| match decision.who {
        Who::Person((id, person)) => format!("person {id} {}", person.dn),
        Who::Entry(entry) => format!("entry {}", entry.dn),
        Who::User(user) => format!("user {}", user.id),
    };
    let decided = plan.decisions.iter().map(|decision| {
        let user = decision.user.map(|user| &user.id);
        let (outcome, reason) = (&decision.outcome, &decision.reason);
        format!("{} {user:?} {outcome:?} {reason:?}", who(decision))
    });
    let rest = [
        format!("{:?}", plan.warnings()),
        format!("{:?}", plan.skipped()),
        format!("{:?} {:?}", plan.outdated, plan.holds),
    ];
    Ok(decided.chain(rest).collect())
}

proptest! {
    #[test]
    fn what_is_compared_early_changes_no_plan(
        (entries, shuffled, early) in compared(), current in current(), rules in rules(), stored in stored_otherwise(),
    ) {
        let desired = reading(&entries);
        let after = match planned((&desired, &entries), &current, &rules) {
            Ok(plan) => applied(&current, plan.changes()),
            Err(_) => current.clone(),
        };
        // Once everything is written, most people have the values of their users.
        for current in [&current, &after] {
            let users = UsersByPerson::new(current, &rules);
            let late = all_of(matched_knowing((&desired, &entries), current, &rules, &stored));
            let in_order = reading_compared(&entries, &early, &users);
            prop_assert_eq!(&all_of(matched_knowing((&in_order, &entries), current, &rules, &stored)), &late);
            let in_disorder = reading_compared(&shuffled, &early, &users);
            let (one, other) = (planned((&desired, &entries), current, &rules), planned((&in_disorder, &entries), current, &rules));
            prop_assert_eq!(one.map(|plan| changes(&plan)), other.map(|plan| changes(&plan)));
        }
    }

    #[test]
    fn only_the_users_of_their_own_links_are_found_early(entries in entries(), current in current(), rules in rules()) {
        let users = UsersByPerson::new(&current, &rules);
        let early = vec![true; entries.shown.len()];
        for (id, person) in reading_compared(&entries, &early, &users).people() {
            let Some(user) = person.alike_user(id, &current) else {
                prop_assert!(person.alike.is_none());
                continue;
            };
            let carriers = current.users.iter().filter(|user| user.link.link().is_some_and(|link| link.id == *id));
            prop_assert_eq!(carriers.count(), 1);
            prop_assert!(person.is_alike(user, &current) && person.username == user.username);
        }
    }
}

#[test]
fn people_are_found_early_at_all() {
    let mut runner = TestRunner::deterministic();
    let mut found = 0;
    for _ in 0..200 {
        let mut drawn = || {
            let all = (entries(), current(), rules());
            all.new_tree(&mut runner).unwrap().current()
        };
        let (entries, current, rules) = drawn();
        let desired = reading(&entries);
        let Ok(plan) = planned((&desired, &entries), &current, &rules) else {
            continue;
        };
        let current = applied(&current, plan.changes());
        let users = UsersByPerson::new(&current, &rules);
        let desired = reading_compared(&entries, &vec![true; entries.shown.len()], &users);
        let early = desired.people().iter();
        let early = early.filter(|(_, person)| person.alike.is_some());
        found += early.count();
    }
    assert!(found > 10, "{found}");
}
