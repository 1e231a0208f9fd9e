//! The DNs of a job's people.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{absences, open, studio};
use crate::state;

/// People by ids that are ordered byte by byte, and not as numbers or words are.
const IDS: [&str; 6] = ["10", "9", "A", "Z-1", "a", "a-2"];

/// The ids with the numbers of their DNs, of which there may be several.
fn shown() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let people = proptest::collection::vec((0..IDS.len(), 0_u8..3), 0..9);
    people.prop_map(|mut people| {
        people.sort_by_key(|(id, _)| *id);
        people
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_dns_of_the_present_and_the_missing_are_known_and_no_others(
        reads in proptest::collection::vec((shown(), proptest::collection::vec(any::<bool>(), IDS.len())), 1..4),
    ) {
        let (folder, config) = studio();
        let state = open(&config);
        let mut expected = BTreeMap::<&str, String>::new();
        for (shown, missing) in reads {
            let people: Vec<(&str, String)> = shown
                .into_iter()
                .map(|(id, dn)| (IDS[id], format!("cn={dn},dc=test")))
                .collect();
            let missing = IDS.iter().zip(missing).filter(|(_, is_missing)| *is_missing);
            let missing: Vec<(&str, u32)> = missing.map(|(id, _)| (*id, 1)).collect();
            let missing = absences(&missing);
            let dns = people.iter().map(|(id, dn)| (*id, &**dn));
            state.set_dns("artists", dns, &missing).unwrap();
            expected.retain(|id, _| missing.contains_key(*id));
            expected.extend(people);
            let known = state::last_dns(&folder.path().join("state"), "artists", IDS).unwrap();
            let known: BTreeMap<&str, String> =
                known.iter().map(|(id, dn)| (&**id, dn.clone())).collect();
            prop_assert_eq!(&known, &expected);
        }
    }
}
