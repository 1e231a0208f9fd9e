//! Properties of what becomes of those whom a reading does not show.

use super::{
    generators::{reading_as_of, reading_of_a_replica},
    *,
};
use crate::model::{absence::Absences, freshness::Freshness};

proptest! {
    #[test]
    fn a_base_that_is_suddenly_empty_makes_whoever_is_missing_doubtful_on_a_replica_too(entries in entries(), current in current(), rules in rules()) {
        for desired in [reading(&entries), reading_of_a_replica(&entries)] {
            // Nobody was missing before.
            let nobody = Entries { absences: Absences::new(), ..entries.clone() };
            let Ok(matched) = matched((&desired, &nobody), &current, &rules) else {
                return Ok(());
            };
            let ids = matched.due().into_iter().map(|link| link.id.clone());
            let absent = ids.map(|id| (id.clone(), Absent::for_tests(id))).collect();
            let emptied_bases = vec!["ou=x".to_owned()];
            let plan = matched.decide(&Evidence { absent, emptied_bases, ..Evidence::default() });
            let [unapproved, _] = vetted(&plan);
            for change in plan.changes_of(Action::Deactivate).filter(|change| change.reason.cause() != Some(Cause::Disabled)) {
                let held = unapproved.held().iter().find(|held| held.change.id == change.id);
                prop_assert!(held.is_some(), "{:#?}", change);
                prop_assert!(plan.doubts.iter().any(|doubt| doubt.contains("the search base ou=x")), "{:#?}", plan.doubts);
            }
            prop_assert!(desired.is_preferred() || is_as_before(&plan, &nobody, &current), "a replica shows nobody absent");
        }
    }

    #[test]
    fn a_server_that_lags_behind_creates_and_nothing_else(entries in entries(), current in current(), rules in rules()) {
        let database = uuid::Uuid::from_u128(1);
        let seen = Some(Freshness::of_invocation(database, 10));
        let entries = Entries { seen, ..entries };
        let desired = reading_as_of(&entries, Freshness::of_invocation(database, 9));
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        let [unapproved, _] = vetted(&plan);
        prop_assert!(unapproved.allowed().iter().all(|change| change.action == Action::Create), "{:#?}", unapproved);
        prop_assert!(is_as_before(&plan, &entries, &current), "it shows nobody absent");
    }

    #[test]
    fn nobody_is_deactivated_before_the_time_is_over_and_two_reads_showed_it(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        for change in plan.changes().filter(|change| change.action == Action::Deactivate) {
            let cause = change.reason.cause();
            let before = change.before.as_ref().and_then(|link| known_before(&entries, link));
            let least = rules.patience.of(cause).least;
            let is_over = before.as_ref().is_some_and(|before| {
                let times = past(&before.since);
                before.reads >= 1 && !times.is_empty() && times.iter().all(|since| *since + least <= now())
            });
            prop_assert!(least.is_zero() || is_over, "{:#?} {:#?}", before, change);
        }
        // Who is missing now is remembered, from the first time on and never from the future.
        for (id, absence) in &plan.absences {
            let is_of = |link: &&Link| link.id.as_str() == id;
            let links = || current.users.iter().filter_map(|user| user.link.link()).filter(is_of);
            let is_so = links().any(|link| {
                let before = known_before(&entries, link).filter(|before| !past(&before.since).is_empty());
                absence.since == before.as_ref().map_or_else(clocks, |before| before.since)
                    && absence.reads >= before.map_or(1, |before| (before.reads + 1).min(2))
            });
            prop_assert!(is_so, "{} {:#?} {:#?}", id, absence, links().collect::<Vec<_>>());
        }
    }

    /// Links say since when somebody has been missing only where nothing would hold the deactivation,
    /// and no longer once the person is back; nothing else of them is written with that.
    #[test]
    fn a_link_says_since_when_its_person_is_missing_until_the_person_is_back(entries in entries(), current in current(), rules in rules()) {
        let desired = reading(&entries);
        let plan = plan_or_nothing!((&desired, &entries), &current, &rules);
        for unapproved in vetted(&plan) {
            for note in notes_of(&plan, &unapproved).changes() {
                prop_assert!(note.is_note() && note.edits == [Edit::Link], "{:#?}", note);
                let id = note.directory_id.as_str();
                let known = plan.absences.get(id).or_else(|| plan.disabled.get(id));
                let written = unapproved.allowed().iter().filter(|change| change.ftrack_id == note.ftrack_id);
                prop_assert!(written.flat_map(|change| &change.edits).all(|edit| edit.set().is_some()), "{:#?}", note);
                match note.link.notes.missing() {
                    Some(missing) => {
                        prop_assert_eq!(Some(missing.since), known.map(|known| known.for_a_link().since));
                        let user = current.users.iter().find(|user| user.id == note.ftrack_id).unwrap();
                        prop_assert!(user.is_active && !user.administrator && plan.doubts.is_empty(), "{:#?}", user);
                    }
                    None => prop_assert!(!desired.lacks(&note.directory_id), "{:#?}", note),
                }
            }
        }
        // A second run has nothing to note.
        let mut after = current.clone();
        let [unapproved, _] = vetted(&plan);
        for note in notes_of(&plan, &unapproved).changes() {
            let user = after.users.iter_mut().find(|user| user.id == note.ftrack_id).unwrap();
            user.link = LinkFound::Link(note.link.clone());
        }
        let again = plan_or_nothing!((&desired, &entries), &after, &rules);
        let noted: BTreeSet<_> = notes_of(&plan, &unapproved).changes().iter().map(|note| note.ftrack_id.clone()).collect();
        for note in &again.notes {
            prop_assert!(!noted.contains(&note.change.ftrack_id), "{:#?}", note);
        }
    }
}
