//! Pictures in a real directory: of whoever changed, and one that is far too large.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ftrack_ldap_sync::model::report::Outcome;

use super::{openldap::slapd_with, *};

/// An image of that many bytes.
fn image(size: usize) -> Vec<u8> {
    let mut image = b"\xff\xd8\xff\xe0".to_vec();
    image.resize(size, b'x');
    image
}

fn with_picture(uid: &str, picture: &[u8]) -> String {
    let entry = person(uid);
    format!(
        "{}\njpegPhoto:: {}\n\n",
        entry.trim_end(),
        STANDARD.encode(picture)
    )
}

#[test]
fn a_picture_is_sent_by_a_run_of_changes_and_a_huge_one_harms_nobody() {
    let huge = with_picture("bea", &image(5 << 20));
    let slapd = slapd_with(&format!("{}{huge}{}", person("ada"), person("cleo")), 100);
    let mut studio = studio(slapd.url().as_str());
    studio.attributes.push_str(", thumbnail = \"jpegPhoto\"");
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 3),
        "{report:#?}"
    );
    let too_large = "pictures that are not sent (more than 4 MiB): bea";
    assert!(report.warnings.iter().any(|warning| warning == too_large));
    assert_eq!(changes(&studio), None, "nothing changed since");

    let picture = image(20_000);
    slapd.change(&format!(
        "dn: uid=ada,{PEOPLE}\nchangetype: modify\nadd: jpegPhoto\njpegPhoto:: {}\n\n",
        STANDARD.encode(&picture)
    ));
    assert_eq!(done(&some_changes(&studio)), ["update ada applied"]);
    assert_eq!(studio.ftrack().picture("ada"), Some(picture));
    assert_eq!(changes(&studio), None);
    studio.sync_changes_nothing();
}
