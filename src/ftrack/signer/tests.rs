//! Links as they are stored, read back, moved, forged, and of other versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::model::{entry::DirectoryId, id::IdAttribute, link::Activity, link_notes::LinkNotes};

const USER: &str = "11111111-2222-5333-8444-555555555555";
const KEY: &str = "a key of sixteen or more";

fn user() -> EntityId {
    EntityId::new(USER).unwrap()
}

fn link(activity: Activity) -> Link {
    Link {
        source: "artists".into(),
        directory: Some("d-1".into()),
        id: DirectoryId::new("p-1").unwrap(),
        attribute: IdAttribute::EntryUuid,
        activity,
        protected: None,
        roles: Vec::new(),
        notes: LinkNotes::default(),
        sent: crate::model::sent::Sent::default(),
        form: Form::Current,
        signature: Signature::NotChecked,
    }
}

fn signer(key: &str) -> Signer {
    Signer::new(Some(&Secret::new(key.into())))
}

fn read(signer: &Signer, user: &EntityId, text: &str) -> LinkFound {
    signer.verified(user, Unverified::parse(user, text))
}

fn signature(found: &LinkFound) -> Signature {
    found.link().unwrap().signature
}

#[test]
fn a_link_is_read_as_it_was_written() {
    let activities = [
        Activity::Settled,
        Activity::Activating,
        Activity::Deactivated {
            since: "2026-01-01T00:00:00Z".into(),
        },
    ];
    for (activity, signer) in activities.into_iter().flat_map(|activity| {
        [
            (activity.clone(), Signer::default()),
            (activity, signer(KEY)),
        ]
    }) {
        let written = Link {
            signature: signer.signature(),
            ..link(activity)
        };
        let text = signer.write(&user(), &written, Some("a1")).unwrap();
        assert_eq!(
            read(&signer, &user(), &text),
            LinkFound::Link(Box::new(written)),
            "{text}"
        );
    }
}

#[test]
fn the_form_that_is_stored() {
    let text = Signer::default()
        .write(&user(), &link(Activity::Settled), Some("a1"))
        .unwrap();
    insta::assert_snapshot!(text, @r#"{"version":2,"user":"11111111-2222-5333-8444-555555555555","source":"artists","directory":"d-1","id":"p-1","attribute":"entryUUID","activity":"settled","by":"a1"}"#);
}

#[test]
fn a_link_on_another_user_counts_as_none() {
    let text = Signer::default()
        .write(&user(), &link(Activity::Settled), Some("a1"))
        .unwrap();
    let found = read(
        &Signer::default(),
        &EntityId::new("somebody-else").unwrap(),
        &text,
    );
    assert_eq!(found, LinkFound::OfAnotherUser);
    assert!(found.is_none() && found.is_row());
}

#[test]
fn an_earlier_link_names_no_user_and_a_newer_one_is_not_understood() {
    let earlier = r#"{"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#;
    let found = read(&Signer::default(), &user(), earlier);
    assert_eq!(
        (found.link().unwrap().form, &found.link().unwrap().directory),
        (Form::Earlier, &None)
    );
    for newer in [
        r#"{"version":3,"user":"x","source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#,
        r#"{"version":2,"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#,
        r#"{"version":0,"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#,
        "not a link",
        "[]",
    ] {
        assert_eq!(
            read(&Signer::default(), &user(), newer),
            LinkFound::Unreadable,
            "{newer}"
        );
    }
}

#[test]
fn what_the_key_did_not_sign_is_told_apart() {
    let signer = signer(KEY);
    let text = signer
        .write(&user(), &link(Activity::Settled), Some("a1"))
        .unwrap();
    assert_eq!(signature(&read(&signer, &user(), &text)), Signature::Valid);
    for forged in [
        text.replace("p-1", "p-2"),
        text.replace("d-1", "d-2"),
        text.replace("artists", "painters"),
        text.replace("settled", "released"),
        text.replace("a1", "a2"),
        Signer::default()
            .write(&user(), &link(Activity::Settled), Some("a1"))
            .unwrap(),
        self::signer("another key of sixteen")
            .write(&user(), &link(Activity::Settled), Some("a1"))
            .unwrap(),
        r#"{"source":"artists","id":"p-1","attribute":"entryUUID","activity":"settled"}"#
            .to_owned(),
    ] {
        assert_eq!(
            signature(&read(&signer, &user(), &forged)),
            Signature::Invalid,
            "{forged}"
        );
    }
}

#[test]
fn the_roles_that_were_given_are_read_as_written_and_signed() {
    let role = |text: &str| EntityId::new(text).unwrap();
    let mut written = link(Activity::Settled);
    for text in ["r-2", "r-1", "r-2"] {
        written.note_role(&role(text));
    }
    assert_eq!(written.roles, [role("r-1"), role("r-2")]);
    let signer = signer(KEY);
    let text = signer.write(&user(), &written, None).unwrap();
    let found = read(&signer, &user(), &text);
    assert_eq!(found.link().unwrap().roles, written.roles);
    assert_eq!(signature(&found), Signature::Valid);
    // Whoever writes another role into a link does not become the program.
    let forged = text.replace("r-2", "r-3");
    let found = read(&signer, &user(), &forged);
    assert_eq!(signature(&found), Signature::Invalid);
    // What is no id makes no link.
    let odd = read(&Signer::default(), &user(), &text.replace("r-2", "r 2"));
    assert_eq!(odd, LinkFound::Unreadable);
    // Links of earlier programs name none.
    written.roles.clear();
    let text = Signer::default().write(&user(), &written, None).unwrap();
    assert!(!text.contains("roles"));
    let found = read(&Signer::default(), &user(), &text);
    assert_eq!(found.link().unwrap().roles, []);
}
