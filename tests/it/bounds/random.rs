//! Random answers of both servers: changed, cut, and swollen.

use std::sync::{Arc, Mutex};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    Measured,
    tampering::{Proxy, Tamper},
};
use crate::{
    faults::{NO_LIMIT, assert_only_the_gone_are_inactive, cases, settings},
    ldap_proxy::ber::{Message, SEARCH_ENTRY, entry_with},
    studio::{Studio, dn, person},
};

/// The most bytes that are put in.
const SWOLLEN: usize = 40 << 20;

/// Whose answer is changed.
#[derive(Debug, Clone, Copy)]
enum Side {
    Directory,
    Ftrack,
}

/// What is done to one answer.
#[derive(Debug, Clone)]
enum Change {
    /// Bytes become others.
    Bytes(Vec<(Index, u8)>),
    /// It ends here.
    Cut(Index),
    /// It does not come, or the connection ends.
    Gone { hangs_up: bool },
    /// Some bytes of it come again and again.
    Repeated {
        from: Index,
        length: usize,
        bytes: usize,
    },
    /// The whole answer comes again and again.
    Again { bytes: usize },
    /// An entry has another attribute of so many values, which is well-formed.
    Values {
        name: usize,
        count: usize,
        length: usize,
    },
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => vec((any::<Index>(), any::<u8>()), 1..6).prop_map(Change::Bytes),
        2 => any::<Index>().prop_map(Change::Cut),
        1 => any::<bool>().prop_map(|hangs_up| Change::Gone { hangs_up }),
        2 => (any::<Index>(), 1_usize..80, 1_usize..SWOLLEN)
            .prop_map(|(from, length, bytes)| Change::Repeated { from, length, bytes }),
        1 => (1_usize..SWOLLEN).prop_map(|bytes| Change::Again { bytes }),
        2 => (1_usize..1000, 1_usize..300_000, 0_usize..40)
            .prop_map(|(name, count, length)| Change::Values { name, count, length }),
        1 => (1_usize..1_000_000, 1_usize..3, 1_usize..SWOLLEN / 2)
            .prop_map(|(name, count, length)| Change::Values { name, count, length }),
    ]
}

/// One answer of a server, by its number, and what is done to it.
fn tampered() -> impl Strategy<Value = (Side, usize, Change)> {
    prop_oneof![
        (Just(Side::Directory), 0_usize..14, change()),
        (Just(Side::Ftrack), 0_usize..12, change()),
    ]
}

proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn any_answer_costs_little_and_deactivates_nobody_who_is_there((side, nth, change) in tampered()) {
        let mut studio = Studio::empty().end_to_end();
        studio.job = NO_LIMIT.into();
        studio.ftrack_settings = "link_key = \"a-key-that-signs-the-links-0123\"".into();
        settings(&studio, 3, "operation_timeout = \"1s\"");
        for uid in ["anchor", "p0", "p1", "p2", "p3", "p4"] {
            studio.tree().add(person(uid, "Given", uid)).unwrap();
        }
        assert_eq!(studio.sync().counts.created, 6);
        studio.tree().remove(&dn("p0")).unwrap();
        studio.tree().rename(&dn("p1"), &dn("renamed1")).unwrap();
        studio.tree().add(person("j0", "Given", "Joiner")).unwrap();

        let answers = Arc::<Mutex<Vec<u8>>>::default();
        let tamper: Tamper = Arc::new({
            let (answers, change) = (Arc::clone(&answers), change.clone());
            move |number, answer| {
                if number != nth {
                    return Some(answer);
                }
                answers.lock().unwrap().extend(answer.iter().take(400));
                changed(side, &change, answer)
            }
        });
        let ftrack = studio.ftrack_url();
        let _proxy = match side {
            Side::Directory => {
                let proxy = Proxy::of_directory(studio.directory().address(), tamper);
                studio.directory_url = format!("ldap://{}", proxy.address);
                proxy
            }
            Side::Ftrack => {
                let upstream = ftrack.trim_start_matches("http://").parse().unwrap();
                let proxy = Proxy::of_ftrack(upstream, tamper);
                studio.ftrack_at = Some(format!("http://{}", proxy.address));
                proxy
            }
        };
        let measured = Measured::sync(&studio);
        let report = measured.report();
        assert_only_the_gone_are_inactive(&studio);
        prop_assert!(report.changes.iter().all(|change| change.dn.is_none() || !change.dn.as_ref().unwrap().is_empty()));
    }
}

/// The answer with the change; nothing hangs up.
fn changed(side: Side, change: &Change, mut answer: Vec<u8>) -> Option<Vec<u8>> {
    match change {
        Change::Gone { hangs_up } => return (!hangs_up).then(Vec::new),
        _ if answer.is_empty() => {}
        Change::Bytes(bytes) => {
            for (place, byte) in bytes {
                let place = place.index(answer.len());
                answer[place] = *byte;
            }
        }
        Change::Cut(place) => answer.truncate(place.index(answer.len())),
        Change::Repeated {
            from,
            length,
            bytes,
        } => {
            let from = from.index(answer.len());
            let part = answer[from..answer.len().min(from + length)].to_vec();
            let more = part.iter().copied().cycle().take(*bytes);
            answer.splice(from..from, more);
        }
        Change::Again { bytes } => {
            let times = bytes / answer.len() + 1;
            answer = answer.repeat(times);
        }
        Change::Values {
            name,
            count,
            length,
        } => {
            let count = (*count).min(SWOLLEN / (length + 2));
            let (name, value) = ("x".repeat(*name), "y".repeat(*length));
            match side {
                Side::Directory if Message::new(&answer).tag == SEARCH_ENTRY => {
                    answer = entry_with(&answer, name.as_bytes(), value.as_bytes(), count);
                }
                Side::Directory => {}
                Side::Ftrack => {
                    let values = format!("{value:?},").repeat(count);
                    let member = format!("{{{name:?}:[{values}0],\"value\":[{values}0],");
                    let text = String::from_utf8(answer).unwrap();
                    answer = text.replacen('{', &member, 3).into_bytes();
                }
            }
        }
    }
    Some(answer)
}
