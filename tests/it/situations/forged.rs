//! Somebody changes a link while the program is about to write it again: what they wrote is not
//! signed.

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::CallKind,
    model::{change::HeldBy, report::ChangeResult},
};
use serde_json::{Value, json};

use super::Situation;
use crate::studio::{Ended, dn};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn while_a_picture_is_sent() {
    let mut situation = Situation::of(&["ada", "bob"])
        .config("[jobs.artists.attributes]\nthumbnail = \"jpegPhoto\"\n");
    situation.ftrack_settings = "link_key = \"a-key-that-signs-the-links-0123\"".into();
    situation.sync();
    let picture: &[u8] = b"\xff\xd8\xff\xe0 an image";
    let tree = situation.tree();
    tree.replace_bytes(&dn("ada"), "jpegPhoto", &[picture])
        .unwrap();
    let gate = situation.hold(CallKind::Write);
    let child = situation.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "it sends no picture");
    let user = situation.user("ada");
    let mut forged: Value = serde_json::from_str(&user.metadata["ftrack-ldap-sync"]).unwrap();
    forged["protected"] = json!(true);
    let key = json!([user.id, "ftrack-ldap-sync"]);
    let value = json!({"value": forged.to_string()});
    situation.ftrack().change("Metadata", &key, &value).unwrap();
    gate.open();
    let ended = Ended::of(child.wait_with_output().unwrap());
    situation.ftrack().heal();
    let report = ended.report();
    assert_eq!(
        report.changes[0].result,
        ChangeResult::Failed,
        "{report:#?}"
    );
    assert_eq!(
        situation.user("ada").metadata["ftrack-ldap-sync"],
        forged.to_string()
    );
    let report = situation.sync();
    let held: Vec<_> = report.changes.iter().map(|change| change.held_by).collect();
    assert_eq!(held, [Some(HeldBy::Doubt)], "{report:#?}");
}
