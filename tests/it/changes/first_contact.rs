//! A job that owns people is past its first contact, whatever part of them a run of changes looks at.

use ftrack_ldap_sync::{demo::ftrack::Account, model::change::HeldBy};

use super::{openldap::slapd, *};
use crate::rules::account;

#[test]
fn a_run_of_changes_adopts_nobody_where_no_run_has_succeeded_yet() {
    let slapd = slapd(&["ada", "bea", "cleo"], 100);
    let studio = studio(slapd.url().as_str());
    let taken = Account {
        email: Some("cleo@studio.test".into()),
        ..account("c.other")
    };
    studio.ftrack().add_user(&taken).unwrap();
    assert_eq!(studio.sync().outcome, Outcome::Held);
    studio.ftrack().add_user(&account("eve")).unwrap();
    let eve = person("eve");
    slapd.change(&eve.replacen("\nobjectClass", "\nchangetype: add\nobjectClass", 1));
    let report = some_changes(&studio);
    let adopted = report
        .changes
        .iter()
        .find(|change| change.username == "eve");
    let held_by = adopted.and_then(|change| change.held_by);
    assert_eq!(held_by, Some(HeldBy::Adoption), "{report:#?}");
    assert!(studio.user("eve").metadata.is_empty());
}
