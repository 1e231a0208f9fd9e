//! A directory whose own id cannot be read: nobody of another one is taken over.

use super::stored_link;
use crate::{
    rules::add_config,
    slapd::{Setup, ldif_entry},
    studio::{Studio, dn, person},
};

/// A job on a directory of another table.
fn other_directory(studio: &Studio, url: &str, more: &str) {
    add_config(
        studio,
        &format!(
            "[directories.other]\nurls = [{url:?}]\nbind_dn = \
             \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
             \"ldap-password\"\n{more}\n[jobs.others]\ndirectory = \"other\"\nsearch_bases = \
             [\"ou=people,dc=studio,dc=test\"]\nfilter = \
             \"(objectClass=inetOrgPerson)\"\nattributes = {{ username = \"uid\", email = \
             \"mail\", first_name = \"givenName\", last_name = \"sn\" }}\n"
        ),
    );
}

/// Numbers that identify within one directory alone: one whose own id cannot be read takes nobody
/// of another directory over.
#[test]
fn a_directory_without_an_id_takes_nobody_of_another_over() {
    let mut first = Studio::empty();
    let numbered =
        |uid: &str, number: &str| person(uid, "Given", uid).with("employeeNumber", number);
    for (uid, number) in [("ada", "7"), ("bob", "8")] {
        first.tree().add(numbered(uid, number)).unwrap();
    }
    add_config(
        &first,
        "[directories.studio]\nid_attribute = \"employeeNumber\"\n",
    );
    first.job = "limits.deactivate = \"100%\"".into();
    assert_eq!(first.sync().counts.created, 2);
    assert!(stored_link(&first, "ada")["directory"].is_string());
    let entry = |uid: &str, number: &str| {
        ldif_entry(
            &dn(uid),
            &[
                ("objectClass", "inetOrgPerson"),
                ("uid", uid),
                ("cn", uid),
                ("sn", uid),
                ("employeeNumber", number),
                ("mail", "new@evil.test"),
            ],
        )
    };
    let hidden = Setup::new(entry("mallory", "7") + &entry("xen", "100") + &entry("yan", "101"))
        .access("access to dn.exact=\"dc=studio,dc=test\" by * none")
        .start();
    let mut second = Studio::empty();
    second.directory_url = hidden.url().to_string();
    add_config(
        &second,
        &format!(
            "[ftrack]\nserver = {:?}\n[directories.studio]\nid_attribute = \"employeeNumber\"\n",
            first.ftrack_url()
        ),
    );
    let report = second.sync();
    let ada = first.ftrack().user("ada");
    assert_eq!(
        ada.and_then(|user| user.email).as_deref(),
        Some("ada@studio.test"),
        "{report:#?}"
    );
}

/// Two directories that hold the same people, as during a migration, of which one does not tell its
/// own id.
#[test]
fn two_directories_with_the_same_people_do_not_take_users_from_each_other() {
    let people = |unit: &str| -> String {
        let entry = |nth: usize| {
            let (uid, uuid) = (
                format!("user{nth}"),
                format!("00000000-0000-4000-8000-{:012}", nth + 1),
            );
            let attributes = [
                ("objectClass", "inetOrgPerson"),
                ("uid", &*uid),
                ("cn", &*uid),
                ("sn", &*uid),
                ("entryUUID", &*uuid),
            ];
            ldif_entry(
                &format!("uid={uid},ou={unit},dc=studio,dc=test"),
                &attributes,
            )
        };
        (0..4).map(entry).collect()
    };
    let first = Setup::new(people("people")).start();
    let staff = ldif_entry(
        "ou=staff,dc=studio,dc=test",
        &[("objectClass", "organizationalUnit"), ("ou", "staff")],
    );
    let second = Setup::new(staff + &people("staff"))
        .access("access to dn.exact=\"dc=studio,dc=test\" by * none")
        .directory_id("d2d2d2d2-0000-4000-8000-000000000000")
        .start();
    let mut studio = Studio::empty();
    studio.directory_url = first.url().to_string();
    other_directory(&studio, second.url().as_str(), "");
    let more = std::fs::read_to_string(studio.folder().join("config.d/more.toml"))
        .unwrap()
        .replace("ou=people", "ou=staff");
    add_config(&studio, &more);
    let sync = |job: &str| studio.synced(&["sync", job, "--format", "json"]);
    assert_eq!(sync("artists").counts.created, 4);
    sync("others");
    sync("artists");
    for job in ["others", "artists"] {
        let report = sync(job);
        assert_eq!(report.ftrack.write_calls, 0, "{job}: {report:#?}");
    }
}
