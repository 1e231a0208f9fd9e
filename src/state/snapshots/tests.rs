//! Snapshots as they are saved, removed, and read when they are damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, fs, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::{
    edit::Field,
    snapshot::{LinkThen, SnapshotExtent},
    user::EntityId,
};

fn snapshot(run: &str, users: &[&str]) -> Snapshot {
    let user = |id: &&str| SnapshotUser {
        ftrack_id: EntityId::new(id).unwrap(),
        fields: BTreeMap::from([(Field::Username, json!(id))]),
        link: LinkThen::None,
    };
    Snapshot {
        head: SnapshotHead {
            format: FORMAT,
            snapshot: run.to_owned(),
            job: "artists".into(),
            run: run.to_owned(),
            taken_at: taken_about(run).unwrap(),
            users: users.len(),
            ftrack: "http://ftrack.test".into(),
            extent: SnapshotExtent::Job,
            managed: [Field::Username].into(),
        },
        users: users.iter().map(user).collect(),
    }
}

fn save(
    snapshots: &Snapshots,
    Snapshot { head, users }: &Snapshot,
    retention: &config::Snapshots,
) -> Result<(), StateError> {
    snapshots.keep(head, users.iter().cloned(), retention)
}

fn keeping(keep: usize, days: u64) -> config::Snapshots {
    config::Snapshots {
        keep,
        keep_for: Duration::from_secs(days * 86_400),
    }
}

fn runs_in(snapshots: &Snapshots) -> Vec<String> {
    let listed = snapshots.list(None).unwrap();
    assert!(listed.damaged.is_empty(), "{:?}", listed.damaged);
    listed.snapshots.into_iter().map(|head| head.run).collect()
}

fn id(day: u32) -> String {
    format!("202601{day:02}-120000-0000")
}

#[test]
fn what_is_kept_is_read_as_it_was() {
    let folder = TempDir::new().unwrap();
    let snapshots = Snapshots::new(folder.path());
    assert!(matches!(
        snapshots.find("last", None),
        Err(SnapshotError::Empty)
    ));
    let kept = snapshot(&id(1), &["a", "b"]);
    save(&snapshots, &kept, &keeping(50, 90)).unwrap();
    save(&snapshots, &snapshot(&id(2), &[]), &keeping(50, 90)).unwrap();
    assert_eq!(snapshots.find(&id(1), Some("artists")).unwrap(), kept);
    assert_eq!(snapshots.find("20260101", None).unwrap(), kept);
    assert_eq!(snapshots.find("last", None).unwrap().head.run, id(2));
    let error = snapshots.find("202601", None).unwrap_err().to_string();
    assert!(error.contains("matches 2 snapshots"), "{error}");
    let error = snapshots.find(&id(1), Some("others")).unwrap_err();
    assert!(matches!(error, SnapshotError::Empty), "{error}");
    let error = snapshots.find("nothing", None).unwrap_err();
    assert!(matches!(error, SnapshotError::Unknown(_)), "{error}");
    assert!(snapshots.has("artists", &id(1)) && !snapshots.has("artists", &id(3)));
}

#[test]
fn the_newest_stay_and_age_removes_few_at_once() {
    let folder = TempDir::new().unwrap();
    let snapshots = Snapshots::new(folder.path());
    for day in 1..=4 {
        save(&snapshots, &snapshot(&id(day), &[]), &keeping(3, 90)).unwrap();
    }
    assert_eq!(runs_in(&snapshots), [id(4), id(3), id(2)]);
    for day in 5..=20 {
        save(&snapshots, &snapshot(&id(day), &[]), &keeping(50, 900)).unwrap();
    }
    // A clock that leapt removes only some of them.
    save(&snapshots, &snapshot(&id(28), &[]), &keeping(50, 1)).unwrap();
    let left: Vec<u32> = (12..=20).chain([28]).collect();
    let left: Vec<String> = left.into_iter().rev().map(id).collect();
    assert_eq!(runs_in(&snapshots), left);
    save(&snapshots, &snapshot(&id(29), &[]), &keeping(1, 900)).unwrap();
    assert_eq!(runs_in(&snapshots), [id(29)]);
}

#[test]
fn many_runs_of_a_day_leave_the_first_of_it_and_those_of_the_days_before() {
    let folder = TempDir::new().unwrap();
    let snapshots = Snapshots::new(folder.path());
    let keep = keeping(10, 90);
    for day in 1..=4 {
        for hour in [8, 9] {
            let run = format!("202601{day:02}-{hour:02}0000-0000");
            save(&snapshots, &snapshot(&run, &[]), &keep).unwrap();
        }
    }
    let of_today: Vec<String> = (0..60)
        .map(|minute| format!("20260105-10{minute:02}00-0000"))
        .collect();
    for run in &of_today {
        save(&snapshots, &snapshot(run, &[]), &keep).unwrap();
        assert!(runs_in(&snapshots).len() <= 10);
    }
    let mut left: Vec<String> = (1..=4)
        .map(|day| format!("202601{day:02}-080000-0000"))
        .collect();
    left.extend(of_today.iter().take(1).chain(&of_today[54..]).cloned());
    // For the first of the first day there is no room.
    left.remove(0);
    left.reverse();
    assert_eq!(runs_in(&snapshots), left);
}

#[test]
fn a_clock_that_was_set_back_makes_no_snapshot_old() {
    let folder = TempDir::new().unwrap();
    let snapshots = Snapshots::new(folder.path());
    for day in 1..=4 {
        save(&snapshots, &snapshot(&id(day), &[]), &keeping(50, 90)).unwrap();
    }
    // A run had its id of a clock that was a year ahead, and later ones follow it.
    for part in 0..3 {
        let mut kept = snapshot(&format!("20270101-120000-000{part}"), &[]);
        kept.head.taken_at = taken_about(&id(5)).unwrap();
        save(&snapshots, &kept, &keeping(50, 90)).unwrap();
    }
    assert_eq!(runs_in(&snapshots).len(), 7);
}

#[test]
fn whatever_is_not_all_of_a_snapshot_is_named_and_not_used() {
    let folder = TempDir::new().unwrap();
    let snapshots = Snapshots::new(folder.path());
    let users: Vec<String> = (0..300).map(|number| format!("user-{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    save(&snapshots, &snapshot(&id(1), &users), &keeping(50, 90)).unwrap();
    let path = folder
        .path()
        .join("snapshots/artists")
        .join(file_of(&id(1)));
    let whole = fs::read(&path).unwrap();
    let error = || snapshots.load("artists", &id(1)).unwrap_err().to_string();
    for length in [0, 1, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(
            error().contains("is not a snapshot that can be used"),
            "{}",
            error()
        );
    }
    for place in [0, 5, whole.len() / 2, whole.len() - 6] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x20;
        fs::write(&path, &damaged).unwrap();
        let read = snapshots.load("artists", &id(1));
        // The flags and the time in the head of the format say nothing.
        assert!(read.is_err() || place == 5, "{place}");
    }
    let write = |lines: &[&str]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        for line in lines {
            packed.write_all(line.as_bytes()).unwrap();
            packed.write_all(b"\n").unwrap();
        }
        fs::write(&path, packed.finish().unwrap()).unwrap();
    };
    let head = serde_json::to_string(&snapshot(&id(1), &["a"]).head).unwrap();
    write(&[&head]);
    assert!(error().contains("0 users instead of 1"), "{}", error());
    write(&[&head.replace("\"format\":1", "\"format\":2")]);
    assert!(error().contains("its format version is 2"), "{}", error());
    write(&[&head.replace(&id(1), &id(2))]);
    assert!(error().contains("of another run"), "{}", error());
    write(&[]);
    assert!(error().contains("it is empty"), "{}", error());
}

#[test]
fn a_bomb_is_not_unpacked() {
    let folder = TempDir::new().unwrap();
    let snapshots = Snapshots::new(folder.path());
    save(&snapshots, &snapshot(&id(1), &[]), &keeping(50, 90)).unwrap();
    let path = folder
        .path()
        .join("snapshots/artists")
        .join(file_of(&id(1)));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let head = serde_json::to_string(&snapshot(&id(1), &[]).head).unwrap();
    packed.write_all(head.as_bytes()).unwrap();
    packed.write_all(b"\n").unwrap();
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..40 {
        packed.write_all(&blanks).unwrap();
    }
    fs::write(&path, packed.finish().unwrap()).unwrap();
    let error = snapshots.load("artists", &id(1)).unwrap_err().to_string();
    assert!(
        error.contains("is not a snapshot that can be used"),
        "{error}"
    );
}
