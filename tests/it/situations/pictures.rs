//! Pictures of people: sent to ftrack when they changed, once, and only what is an image.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault, Uploads},
    model::{
        picture::LARGEST_PICTURE,
        report::{ChangeResult, Outcome, Report},
    },
};
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::studio::{Studio, dn};

/// An image with this content.
fn image(content: &str) -> Vec<u8> {
    [b"\xff\xd8\xff\xe0", content.as_bytes()].concat()
}

/// People without pictures, of a job that sends pictures.
fn with_pictures(uids: &[&str]) -> Situation {
    Situation::of(uids).config("[jobs.artists.attributes]\nthumbnail = \"jpegPhoto\"\n")
}

fn shows(studio: &Studio, uid: &str, pictures: &[&[u8]]) {
    studio
        .tree()
        .replace_bytes(&dn(uid), "jpegPhoto", pictures)
        .unwrap();
}

fn of(situation: &Situation, login: &str) -> Option<Vec<u8>> {
    situation.ftrack().picture(login)
}

/// How many files ftrack has components for.
fn components(situation: &Situation) -> usize {
    situation.ftrack().rows("FileComponent").unwrap().len()
}

#[test]
fn no_picture_is_sent_unless_the_job_maps_it() {
    let situation = Situation::of(&["ada"]).then(|studio| shows(studio, "ada", &[&image("1")]));
    situation.sync();
    assert_eq!(of(&situation, "ada"), None);
    let situation = situation.config("[jobs.artists.attributes]\nthumbnail = \"jpegPhoto\"\n");
    let report = situation.sync();
    assert_eq!(report.counts.updated, 1);
    assert_eq!(of(&situation, "ada"), Some(image("1")));
    situation.sync_changes_nothing();
}

#[test]
fn a_picture_is_sent_once_and_again_when_the_directory_has_another_one() {
    let situation = with_pictures(&["ada", "bob"])
        .stranger("bob")
        .then(|studio| shows(studio, "ada", &[&image("1")]))
        .then(|studio| shows(studio, "bob", &[&image("b")]));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create, 1 to adopt

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          thumbnail: a picture
          the person is in the directory and has no user

      = adopt      bob  uid=bob,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: bob
          thumbnail: a picture
          the user "bob" has no owner, and matches the person by login (users.adopt)
    "#);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!((report.counts.created, report.counts.adopted), (1, 1));
    assert_eq!(of(&situation, "ada"), Some(image("1")));
    assert_eq!(of(&situation, "bob"), Some(image("b")));
    situation.sync_changes_nothing();

    shows(&situation, "ada", &[&image("2")]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          thumbnail: another picture
          the directory has other values
    ");
    assert_eq!(situation.sync().counts.updated, 1);
    assert_eq!(of(&situation, "ada"), Some(image("2")));
    situation.sync_changes_nothing();

    // What the directory does not show stays, and so does what somebody set by hand.
    shows(&situation, "ada", &[]);
    situation.sync_changes_nothing();
    assert_eq!(of(&situation, "ada"), Some(image("2")));
    shows(&situation, "ada", &[&image("2")]);
    let by_hand = json!({"thumbnail_id": null});
    let ada = situation.user("ada").id;
    situation
        .ftrack()
        .change("User", &json!([ada]), &by_hand)
        .unwrap();
    situation.sync_changes_nothing();
}

#[test]
fn lost_state_sends_nothing_again() {
    let situation = with_pictures(&["ada"])
        .then(|studio| shows(studio, "ada", &[&image("1")]))
        .after_sync();
    std::fs::remove_dir_all(situation.state_dir()).unwrap();
    situation.sync_changes_nothing();
    assert_eq!(components(&situation), 1);
}

#[test]
fn of_several_pictures_the_one_that_was_sent_stays() {
    let situation = with_pictures(&["ada"])
        .then(|studio| shows(studio, "ada", &[&image("1"), &image("2"), b"text"]))
        .after_sync();
    let sent = of(&situation, "ada").unwrap();
    shows(&situation, "ada", &[&image("0"), &sent, &image("9")]);
    situation.sync_changes_nothing();
    assert_eq!(of(&situation, "ada"), Some(sent));
}

#[test]
fn what_is_no_image_or_too_large_is_named_and_the_person_has_everything_else() {
    let mut large = image("x");
    large.resize(LARGEST_PICTURE + (1 << 20), 0);
    let situation = with_pictures(&["ada", "bob", "cyd"])
        .then(|studio| shows(studio, "ada", &[&large]))
        .then(|studio| shows(studio, "bob", &[b"<svg/>"]))
        .then(|studio| shows(studio, "cyd", &[&image("c")]));
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 3)
    );
    assert_snapshot!(report.warnings.join("\n"), @"
    pictures that are not sent (no JPEG or PNG image): bob
    pictures that are not sent (more than 4 MiB): ada
    ");
    assert_eq!(of(&situation, "ada"), None);
    assert_eq!(of(&situation, "bob"), None);
    assert_eq!(of(&situation, "cyd"), Some(image("c")));
    situation.sync_changes_nothing();
}

/// The results of the changes of a report, with the errors.
fn results(situation: &Situation, report: &Report) -> String {
    let changes = report.changes.iter().map(|change| {
        let fields: Vec<String> = change.fields.keys().map(|field| field.name()).collect();
        let error = change.error.as_deref().unwrap_or("no error");
        format!(
            "{} {:?} ({}): {error}\n",
            change.username,
            change.result,
            fields.join(" ")
        )
    });
    let mut all: Vec<String> = changes.collect();
    all.sort();
    let all = all.concat();
    situation.plain(&format!("{all}{}", report.warnings.join("\n")))
}

#[test]
fn a_picture_that_is_refused_fails_nobody_else_and_comes_again() {
    let situation = with_pictures(&["ada", "bob"])
        .after_sync()
        .then(|studio| shows(studio, "ada", &[&image("1")]))
        .then(|studio| shows(studio, "bob", &[&image("2")]))
        .then(|studio| {
            studio
                .tree()
                .replace(&dn("bob"), "sn", &["Builder"])
                .unwrap()
        });
    situation
        .ftrack()
        .change_rules(|rules| rules.uploads = Uploads::Refused);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_snapshot!(results(&situation, &report), @"
    ada Failed (thumbnail): the picture was not sent: 127.0.0.1 did not take it: HTTP 403
    bob Applied (last_name): no error
    the picture of bob was not sent: 127.0.0.1 did not take it: HTTP 403
    ");
    assert_eq!(situation.user("bob").last_name.as_deref(), Some("Builder"));
    assert_eq!(components(&situation), 0, "what was begun is taken away");
    situation
        .ftrack()
        .change_rules(|rules| rules.uploads = Uploads::Kept);
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.updated),
        (Outcome::Succeeded, 2)
    );
    assert_eq!(of(&situation, "ada"), Some(image("1")));
    assert_eq!(of(&situation, "bob"), Some(image("2")));
    situation.sync_changes_nothing();
}

#[test]
fn a_server_that_takes_no_pictures_still_gets_its_users() {
    let situation = with_pictures(&["ada"]).then(|studio| shows(studio, "ada", &[&image("1")]));
    situation.ftrack().change_rules(|rules| {
        rules
            .refused_actions
            .insert("get_upload_metadata".to_owned());
    });
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 1)
    );
    assert_snapshot!(results(&situation, &report), @"
    ada Applied (username first_name last_name email is_active): no error
    the picture of ada was not sent: creating FileComponent and 1 more operations at http://ftrack failed: the server refused it: ValidationError: get_upload_metadata is refused by this workspace (a retry alone does not help)
    ");
    assert!(situation.user("ada").is_active);
    assert_eq!(components(&situation), 0);
}

/// The call of a picture in which the user gets it: after the one that creates the component.
const LAST: u64 = 2;

#[test]
fn a_lost_answer_after_the_picture_was_set_is_read_back() {
    let situation = with_pictures(&["ada"])
        .after_sync()
        .then(|studio| shows(studio, "ada", &[&image("1")]));
    situation.ftrack().forget();
    situation.ftrack().fail_when(|call| {
        let is_last = call.kind == CallKind::Write && call.number_of_kind == LAST;
        is_last.then_some(Fault::ResetAfter)
    });
    let report = situation.sync();
    situation.ftrack().heal();
    assert_eq!(
        (report.outcome, report.counts.updated),
        (Outcome::Succeeded, 1)
    );
    assert_eq!(of(&situation, "ada"), Some(image("1")));
    situation.sync_changes_nothing();
}

#[test]
fn a_picture_that_did_not_arrive_is_sent_by_the_next_run() {
    let situation = with_pictures(&["ada"])
        .after_sync()
        .then(|studio| shows(studio, "ada", &[&image("1")]));
    situation.ftrack().forget();
    situation.ftrack().fail_when(|call| {
        let is_last = call.kind == CallKind::Write && call.number_of_kind == LAST;
        is_last.then_some(Fault::ResetBefore)
    });
    let report = situation.sync();
    situation.ftrack().heal();
    let results: Vec<ChangeResult> = report.changes.iter().map(|change| change.result).collect();
    assert_eq!(results, [ChangeResult::Failed]);
    assert_eq!(of(&situation, "ada"), None);
    assert_eq!(situation.sync().counts.updated, 1);
    assert_eq!(of(&situation, "ada"), Some(image("1")));
    situation.sync_changes_nothing();
}

#[test]
fn a_picture_of_a_new_user_alone_stays_with_who_is_adopted() {
    let mut situation = Situation::of(&["ada", "bob"]).stranger("bob");
    situation
        .attributes
        .push_str(", thumbnail = { from = \"jpegPhoto\", write = \"on_create\" }");
    let situation = situation
        .then(|studio| shows(studio, "ada", &[&image("1")]))
        .then(|studio| shows(studio, "bob", &[&image("2")]))
        .after_sync();
    assert_eq!(of(&situation, "ada"), Some(image("1")));
    assert_eq!(of(&situation, "bob"), None);
    shows(&situation, "ada", &[&image("3")]);
    situation.sync_changes_nothing();
}
