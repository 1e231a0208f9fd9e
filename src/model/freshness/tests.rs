//! What servers show of how current they are, whatever it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::{collection::btree_map, prelude::*};

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

/// What an OpenLDAP server shows: the minutes before now of each server's newest change.
fn shown(servers: &[(u16, i64)]) -> Freshness {
    let value = |(server, ago): &(u16, i64)| {
        let time = (now() - TimeDelta::minutes(*ago)).format("%Y%m%d%H%M%S");
        format!("{time}.000000Z#000000#{server:03x}#000000")
    };
    let values: Vec<String> = servers.iter().map(value).collect();
    let newest = NewestChanges::of_context_csns(values.iter().map(String::as_str)).unwrap();
    Freshness::default().with_context("dc=Studio", newest)
}

fn lag(shown: &Freshness, seen: &Freshness) -> Option<String> {
    shown.lag(seen, now()).map(|lag| lag.to_string())
}

#[test]
fn context_csns_are_those_of_each_server() {
    let newest = NewestChanges::of_context_csns([
        "20261127003612.123456Z#00000a#001#000000",
        "20261126003612.000000Z#000000#fff#000001",
        "20261127003612.123456Z#000009#001#000000",
    ]);
    let servers: Vec<(u16, u32, u32)> = newest
        .unwrap()
        .servers
        .iter()
        .map(|(server, csn)| (*server, csn.count, csn.part))
        .collect();
    assert_eq!(servers, [(1, 10, 0), (4095, 0, 1)]);
}

#[test]
fn values_that_are_no_csns_show_nothing() {
    let good = "20261127003612.123456Z#000000#001#000000";
    for bad in [
        "",
        "?",
        "20261127003612Z#000000#001#000000",
        "20261327003612.123456Z#000000#001#000000",
        "20261127006012.123456Z#000000#001#000000",
        "99999999999999.999999Z#000000#001#000000",
        "20261127003612.123456Z#000000#1#000000",
        "20261127003612.123456Z#000000#-01#000000",
        "20261127003612.123456Z#+00000#001#000000",
        "20261127003612.123456Z#000000#001#000000#",
        "20261127003612.123456Z#000000#001",
        "２0261127003612.12345Z#000000#001#000000",
    ] {
        assert_eq!(NewestChanges::of_context_csns([bad]), None, "{bad}");
        assert_eq!(NewestChanges::of_context_csns([good, bad]), None, "{bad}");
    }
    assert_eq!(NewestChanges::of_context_csns([]), None);
    for bad in [
        "{replicageneration}",
        "{replicageneration} 6b08cec60000000700",
        "{replicageneration} 6b08cec600000007000g",
        "{replica 70000 ldap://x:389}",
        "{replica x ldap://x:389}",
        "{replica 7 ldap://x:389} 6b08cec6000100070000 x",
        "replica 7",
        "",
    ] {
        let values = ["{replicageneration} 6b08cec6000000070000", bad];
        assert_eq!(NewestChanges::of_update_vector(values), None, "{bad}");
    }
    let without_generation = ["{replica 7 ldap://x} 6b08cec6000100070000 6b08cef1000000070000"];
    assert_eq!(NewestChanges::of_update_vector(without_generation), None);
}

#[test]
fn a_server_that_shows_less_than_was_seen_lags_behind() {
    let seen = shown(&[(1, 60), (2, 180)]);
    assert_eq!(lag(&seen, &seen), None);
    assert_eq!(lag(&shown(&[(1, 0), (2, 180), (3, 500)]), &seen), None);
    insta::assert_snapshot!(lag(&shown(&[(1, 30), (2, 600)]), &seen).unwrap(), @"its newest change of the directory's server 2 is of 2026-11-27 02:00:00 UTC, 7 hours older than what an earlier run saw (2026-11-27 09:00:00 UTC)");
    insta::assert_snapshot!(lag(&shown(&[(1, 30)]), &seen).unwrap(), @"it shows no change of the directory's server 2, of which an earlier run saw one of 2026-11-27 09:00:00 UTC");
    insta::assert_snapshot!(lag(&shown(&[(1, 61), (2, 180)]), &seen).unwrap(), @"its newest change of the directory's server 1 is of 2026-11-27 10:59:00 UTC, moments older than what an earlier run saw (2026-11-27 11:00:00 UTC)");
    assert_eq!(lag(&Freshness::default(), &seen), None, "it shows nothing");
    assert_eq!(lag(&seen, &Freshness::default()), None, "nothing was seen");
}

#[test]
fn a_directory_that_was_filled_anew_is_newer_and_its_former_replicas_lag_behind() {
    let of = |generation: &str, newest: &str| {
        let values = [
            format!("{{replicageneration}} {generation}"),
            format!("{{replica 7 ldap://x:389}} 6b08cec6000100070000 {newest} 6b08cef1"),
            "{replica 8 ldap://y:389}".to_owned(),
        ];
        let newest = NewestChanges::of_update_vector(values.iter().map(String::as_str)).unwrap();
        Freshness::default().with_context("dc=studio", newest)
    };
    let old = of("6b08cec6000000070000", "6b08cef1000000070000");
    let new = of("6b18cec6000000070000", "6b08cec6000200070000");
    assert_eq!(lag(&new, &old), None);
    insta::assert_snapshot!(lag(&old, &new).unwrap(), @"its database was filled at 2026-11-27 00:28:54 UTC, and an earlier run saw one that was filled at 2026-12-09 03:45:10 UTC");
    assert_eq!(new.after(&old, now()), new);
    let later = of("6b08cec6000000070000", "6b08cef1000100070000");
    assert_eq!(lag(&later, &old), None);
    insta::assert_snapshot!(lag(&old, &later).unwrap(), @"its newest change of the directory's server 7 is of 2026-11-27 00:29:37 UTC, moments older than what an earlier run saw (2026-11-27 00:29:37 UTC)");
}

#[test]
fn changes_are_counted_within_one_database() {
    let [one, other] = [1, 2].map(Uuid::from_u128);
    let seen = Freshness::of_invocation(one, 4044);
    assert_eq!(lag(&Freshness::of_invocation(one, 4044), &seen), None);
    insta::assert_snapshot!(lag(&Freshness::of_invocation(one, 4000), &seen).unwrap(), @"its last change has the number 4000, which is 44 changes before what an earlier run saw in the same database (4044)");
    let rebuilt = Freshness::of_invocation(other, 12);
    assert_eq!(lag(&rebuilt, &seen), None);
    let now = rebuilt.after(&seen, now());
    assert!(lag(&Freshness::of_invocation(one, 4000), &now).is_some());
    assert!(lag(&Freshness::of_invocation(other, 11), &now).is_some());
}

#[test]
fn a_change_from_the_future_is_told_and_forgotten() {
    let leapt = shown(&[(1, -600), (2, 5)]);
    let before = shown(&[(1, 60), (2, 60)]);
    assert_eq!(lag(&leapt, &before), None);
    insta::assert_snapshot!(leapt.ahead(now()).unwrap(), @"the newest change of the directory's server 1 is dated 2026-11-27 22:00:00 UTC, which no clock shows yet, so it does not tell how current a replica is: the clock of that server was wrong, or is now");
    let seen = leapt.after(&before, now());
    assert_eq!(lag(&shown(&[(1, 30), (2, 5)]), &seen), None, "put right");
    assert!(lag(&shown(&[(1, 61), (2, 5)]), &seen).is_some());
    assert!(lag(&shown(&[(1, -600), (2, 30)]), &seen).is_some());
    // This machine's clock was ahead when it was seen.
    let seen = leapt.after(&before, now() + TimeDelta::days(1));
    assert_eq!(lag(&shown(&[(1, 30), (2, 5)]), &seen), None);
    assert_eq!(before.ahead(now()), None);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut seen = Freshness::default();
    for number in 0..200_u128 {
        seen = Freshness::of_invocation(Uuid::from_u128(number), 1).after(&seen, now());
        let base = format!("dc=s{number}");
        let newest = shown(&[(1, 1)]).contexts.remove("dc=studio").unwrap();
        let shown = Freshness::default().with_context(&base, newest);
        seen = shown.after(&seen, now());
        assert!(seen.contexts.contains_key(&base));
    }
    assert!(seen.contexts.len() <= MOST_PARTS && seen.invocations.len() <= MOST_PARTS);
    assert!(seen.lines().len() <= MOST_PARTS);
    let values: Vec<String> = (0..=4096)
        .map(|server| format!("{{replica {server} x}} 6b08cec6000100070000 6b08cef1000000070000"))
        .collect();
    let values = values.iter().map(String::as_str);
    let values = values.chain(["{replicageneration} 6b08cec6000000070000"]);
    assert_eq!(NewestChanges::of_update_vector(values), None);
}

fn servers() -> impl Strategy<Value = Vec<(u16, i64)>> {
    btree_map(0_u16..4, -90_i64..200, 1..4).prop_map(|servers| servers.into_iter().collect())
}

proptest! {
    /// For servers that all replicas know: a server lags behind if and only if one of its newest
    /// changes is older than one that was seen and is not of the future, and after a reading that does
    /// not, nothing that was seen before is newer than what is remembered.
    #[test]
    fn whoever_shows_less_lags_behind(one in servers(), other in servers()) {
        let (shown, seen) = (shown(&one), shown(&other));
        let lacks = other.iter().any(|(server, ago)| {
            let is_shown = one.iter().any(|(known, shown)| known == server && shown <= ago);
            *ago >= -60 && !is_shown
        });
        prop_assert_eq!(shown.lag(&seen, now()).is_some(), lacks);
        let after = shown.after(&seen, now());
        prop_assert_eq!(shown.lag(&after, now()), None);
        if !lacks {
            prop_assert_eq!(after.lag(&seen, now()), None);
        }
        let text = serde_json::to_string(&after).unwrap();
        prop_assert_eq!(serde_json::from_str::<Freshness>(&text).unwrap(), after);
    }

    #[test]
    fn no_value_is_too_odd(value in "\\PC*", csn in "[0-9a-fZ#.]{0,60}") {
        for value in [&value, &csn] {
            let _ = NewestChanges::of_context_csns([value.as_str()]);
            let _ = NewestChanges::of_update_vector([value.as_str()]);
            let _ = NewestChanges::of_update_vector([&*format!("{{replica {value}}} {value} {value}")]);
        }
    }
}
