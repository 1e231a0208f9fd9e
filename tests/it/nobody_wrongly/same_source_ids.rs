//! Two installations whose jobs have one source and different directories: by which id the people of
//! each are known, and whose user is explained.

use ftrack_ldap_sync::model::explanation::Verdict;
use serde_json::json;

use super::{forge_link, installations::office, many, of, stored_link};
use crate::{
    odd_directory::{OddDirectory, identity, situation},
    rules::add_config,
    studio::{Studio, dn},
};

#[test]
fn the_attribute_by_which_the_others_are_known_is_none_of_the_jobs() {
    let directory = OddDirectory::start(identity::before());
    let first = situation(&directory);
    first.sync();
    let id_attribute = |studio: &Studio| studio.sync().directory.unwrap().id_attribute;
    assert_eq!(id_attribute(&first).as_deref(), Some("nsUniqueId"));
    let second = office(&first, ["dan", "eve", "fay", "gus"]);
    assert_eq!(id_attribute(&second).as_deref(), Some("entryUUID"));
    // Now the first directory shows as well by what most users of the source are known.
    directory.set(identity::upgrade);
    let report = first.sync_changes_nothing();
    let directory = report.directory.unwrap();
    assert_eq!(directory.id_attribute.as_deref(), Some("nsUniqueId"));
    assert_eq!(report.counts.unchanged, 3);
}

#[test]
fn a_user_of_the_other_one_is_not_explained_as_the_person_with_the_same_number() {
    let first = of(&many(1));
    let second = office(&first, ["ada"]);
    let numbered = "[directories.studio]\nid_attribute = \"employeeNumber\"\n";
    let of_first = format!("[ftrack]\nserver = {:?}\n", first.ftrack_url());
    add_config(&first, numbered);
    add_config(&second, &format!("{of_first}{numbered}"));
    for (studio, login, number) in [(&first, "user00", "1"), (&second, "ada", "2")] {
        let tree = studio.tree();
        tree.replace(&dn(login), "employeeNumber", &[number])
            .unwrap();
        assert_eq!(studio.sync().counts.created, 1);
    }
    // There the number is another person's.
    let mut link = stored_link(&first, "ada");
    link["id"] = json!("1");
    forge_link(&first, "ada", &link);
    let explained = first.explain(&["ada"]).unwrap();
    assert_eq!(explained.verdict, Verdict::OtherSource, "{explained:#?}");
    assert!(
        explained.reason.contains("another directory"),
        "{explained:#?}"
    );
    assert_eq!(explained.ftrack.unwrap().username, "ada");
    assert_eq!(explained.directory, None);
    let explained = first.explain(&["user00"]).unwrap();
    assert_eq!(explained.verdict, Verdict::InStep, "{explained:#?}");
    assert_eq!(explained.ftrack.unwrap().username, "user00");
}
