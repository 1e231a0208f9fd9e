//! Random bytes where the program reads its own files: no panic, and no harm to the next run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, process::Output};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::assert_no_panic;
use crate::{faults::cases, studio::Studio};

/// What is done to a file.
#[derive(Debug, Clone)]
enum Damage {
    /// Other bytes altogether.
    Bytes(Vec<u8>),
    /// One byte is another one.
    Byte(Index, u8),
    /// It ends early.
    Cut(Index),
    /// JSON of no meaning.
    Json(String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let json = prop_oneof![
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just("{\"run\":\"x\",\"job\":7}".to_owned()),
        Just("1e999".to_owned()),
        (1_usize..5000).prop_map(|depth| "{\"a\":".repeat(depth)),
    ];
    prop_oneof![
        vec(any::<u8>(), 0..300).prop_map(Damage::Bytes),
        (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| Damage::Byte(place, byte)),
        any::<Index>().prop_map(Damage::Cut),
        json.prop_map(Damage::Json),
    ]
}

impl Damage {
    fn of(&self, good: &[u8]) -> Vec<u8> {
        let mut content = good.to_vec();
        match self {
            Self::Bytes(bytes) => content.clone_from(bytes),
            Self::Byte(place, byte) => content[place.index(good.len())] = *byte,
            Self::Cut(place) => content.truncate(place.index(good.len())),
            Self::Json(text) => content = text.clone().into_bytes(),
        }
        content
    }
}

fn run(studio: &Studio, arguments: &[&str]) -> Output {
    let output = studio.command(arguments).output().unwrap();
    assert_no_panic(&output);
    assert!(
        output
            .status
            .code()
            .is_some_and(|code| (0..=4).contains(&code)),
        "{arguments:?}: {:?}",
        output.status
    );
    output
}

proptest! {
    #![proptest_config(cases(10))]

    #[test]
    fn plan_files(damage in damage()) {
        let studio = Studio::of(&["ada", "bob"]);
        let path = studio.folder().join("a.plan");
        let name = path.to_str().unwrap();
        run(&studio, &["plan", "--out", name]);
        let content = damage.of(&fs::read(&path).unwrap());
        fs::write(&path, &content).unwrap();
        run(&studio, &["apply", name]);
    }

    #[test]
    fn reports_journals_and_the_database(damage in damage()) {
        let studio = Studio::of(&["ada", "bob"]);
        studio.sync();
        let reports = studio.state_dir().join("reports/artists");
        let report = fs::read_dir(&reports).unwrap().next().unwrap().unwrap().path();
        let good = fs::read(&report).unwrap();
        let bad = damage.of(&good);
        fs::write(&report, &bad).unwrap();
        let name = report.file_stem().unwrap().to_str().unwrap();
        for arguments in [&["runs"][..], &["runs", "--format", "json"], &["runs", "show", name], &["runs", "show", "last", "--format", "json"]] {
            run(&studio, arguments);
        }
        let journals = studio.state_dir().join("journals/artists");
        fs::create_dir_all(&journals).unwrap();
        fs::write(journals.join("20200101-000000-abcd.jsonl"), &bad).unwrap();
        let database = studio.state_dir().join("state.db");
        let good = fs::read(&database).unwrap();
        let mut bad = damage.of(&good);
        // The number of its form: a higher one is that of a newer version, which is refused and not
        // set aside.
        if bad.len() >= 64 {
            bad[60..64].copy_from_slice(&good[60..64]);
        }
        fs::write(&database, &bad).unwrap();
        studio.sync_changes_nothing();
        prop_assert!(!journals.join("20200101-000000-abcd.jsonl").exists());
    }
}
