//! `undo` and `restore` leave pictures as they are, and name whose that are.

use ftrack_ldap_sync::model::report::Outcome;

use crate::{
    rules::add_config,
    studio::{Studio, dn},
    undo::{left, nothing_is_done_again, put_back},
};

/// An image with this content.
fn image(content: &str) -> Vec<u8> {
    [b"\xff\xd8\xff\xe0", content.as_bytes()].concat()
}

fn shows(studio: &Studio, content: &str) {
    let image = image(content);
    let shown = studio
        .tree()
        .replace_bytes(&dn("ada"), "jpegPhoto", &[&*image]);
    shown.unwrap();
}

#[test]
fn a_picture_stays_and_whose_it_is_is_named() {
    for command in ["undo", "restore"] {
        let studio = Studio::of(&["ada", "bob"]);
        add_config(
            &studio,
            "[jobs.artists.attributes]\nthumbnail = \"jpegPhoto\"\n",
        );
        shows(&studio, "1");
        studio.sync();
        shows(&studio, "2");
        for uid in ["ada", "bob"] {
            studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
        }
        let run = studio.sync();
        assert_eq!(run.counts.updated, 2);
        for more in [&["--dry-run"] as &[&str], &[]] {
            let report = put_back(&studio, &[&[command, &*run.run], more].concat());
            assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
            assert_eq!(report.changes.len(), 2);
            let [(who, why)] = left(&report)[..] else {
                panic!("{report:#?}");
            };
            assert_eq!(who, "ada");
            assert!(why.contains("pictures are never put back"), "{why}");
        }
        assert_ne!(studio.user("ada").last_name.as_deref(), Some("New"));
        assert_eq!(studio.ftrack().picture("ada"), Some(image("2")));
        nothing_is_done_again(&studio);
    }
}
