//! Names of attributes as servers have them, two people who claim one thing, and pictures; and that a real
//! sync of the same entries agrees.

use std::{collections::BTreeMap, fs};

use ftrack_ldap_sync::{demo::ftrack::Account, model::change::Action};
use serde_json::Value;

use super::{Mapping, test};
use crate::{
    check::world::bare,
    slapd::{SYNC_DN, SYNC_PASSWORD, Setup},
    studio::Studio,
};

/// Entries by other names than the mapping's: of the schema of each server that is no domain's.
const PEOPLE: &str = "\
dn: uid=ada,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
userid: ada
commonName: Ada
surname: Lovelace
gn: Ada
rfc822Mailbox: shared@studio.test
jpegPhoto:: /9j/4AAQSkZJRgA=

dn: uid=bob,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: bob
cn: Bob
SN: Kahn
mail: shared@studio.test
jpegPhoto:: R0lGODlh

dn: uid=cyd,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: cyd
cn: Cyd
sn: Ray

dn: uid=dan,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: dan
cn: Dan
sn: Ray
employeeType: TWIN

dn: uid=eve,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: eve
cn: Eve
sn: Ray
employeeType: Twin
title: away

dn: uid=fay,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: fay
cn: Fay
sn: Ray
title: hidden

dn: uid=gil,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: gil
cn: Gil
sn: Ray
employeeType: gang

dn: uid=hal,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: hal
cn: Hal
sn: Ray
employeeType: Gang

";

const JOB: &str = r#"
search_bases = ["ou=people,dc=studio,dc=test"]
filter = "(&(surname=*)(!(title=hidden)))"
disabled = "(title=away)"
[jobs.artists.attributes]
username = "{{ employeeType | default(userid) }}"
email = "mail"
first_name = "givenName"
last_name = "surname"
thumbnail = "jpegPhoto"
"#;

/// The outcome of each entry.
fn outcomes(said: &str) -> BTreeMap<String, Value> {
    let said: Value = serde_json::from_str(said).unwrap();
    let entries = said["files"][0]["entries"].as_array().unwrap().iter();
    let of = |entry: &Value| {
        (
            entry["dn"].as_str().unwrap().to_owned(),
            entry["actual"].clone(),
        )
    };
    entries.map(of).collect()
}

#[test]
fn each_name_of_an_attribute_is_it_and_two_who_ask_for_one_login_get_none() {
    let mapping = Mapping::new(JOB);
    mapping.file("people.ldif", PEOPLE);
    let said = mapping.said(&["--write", "--kind", "openldap"], 0);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.contains("note  no entry shows an id"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    people.ldif (openldap)
      ok    uid=ada,ou=people,dc=studio,dc=test: user ada
      ok    uid=bob,ou=people,dc=studio,dc=test: user bob
      ok    uid=cyd,ou=people,dc=studio,dc=test: user cyd
      ok    uid=dan,ou=people,dc=studio,dc=test: user TWIN
      ok    uid=eve,ou=people,dc=studio,dc=test: user Twin, who may not sign in
      ok    uid=fay,ou=people,dc=studio,dc=test: not matched by the filter
      ok    uid=gil,ou=people,dc=studio,dc=test: skipped, as another entry: the username "gang" is also claimed by uid=hal,ou=people,dc=studio,dc=test; none of them gets it
      ok    uid=hal,ou=people,dc=studio,dc=test: skipped, as another entry: the username "Gang" is also claimed by uid=gil,ou=people,dc=studio,dc=test; none of them gets it
      note  several people have one mail address, shared@studio.test of ada, bob: each of them gets a user, and a sync warns of it
      people.expected.toml is written

    8 as expected, 0 not.
    "#);
    insta::assert_snapshot!(mapping.read("people.expected.toml"), @r#"
    # What the mapping is to make of the entries of the LDIF file beside this one, for
    # `ftrack-ldap-sync config test`; `--write` writes it anew.

    [[entry]]
    dn = "uid=ada,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "ada"
    email = "shared@studio.test"
    first_name = "Ada"
    last_name = "Lovelace"
    active = true
    picture = "jpeg"

    [[entry]]
    dn = "uid=bob,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "bob"
    email = "shared@studio.test"
    last_name = "Kahn"
    active = true
    picture = "no JPEG or PNG image"

    [[entry]]
    dn = "uid=cyd,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "cyd"
    last_name = "Ray"
    active = true

    [[entry]]
    dn = "uid=dan,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "TWIN"
    last_name = "Ray"
    active = true

    [[entry]]
    dn = "uid=eve,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "Twin"
    last_name = "Ray"
    active = false

    [[entry]]
    dn = "uid=fay,ou=people,dc=studio,dc=test"
    verdict = "filtered_out"

    [[entry]]
    dn = "uid=gil,ou=people,dc=studio,dc=test"
    verdict = "collision"
    reason = 'the username "gang" is also claimed by uid=hal,ou=people,dc=studio,dc=test; none of them gets it'

    [[entry]]
    dn = "uid=hal,ou=people,dc=studio,dc=test"
    verdict = "collision"
    reason = 'the username "Gang" is also claimed by uid=gil,ou=people,dc=studio,dc=test; none of them gets it'
    "#);
    // A domain has one name for each.
    let said = mapping.said(&["--kind", "samba"], 1);
    assert!(
        said.contains("FAIL  uid=bob,ou=people,dc=studio,dc=test: not matched by the filter"),
        "{said}"
    );
}

#[test]
fn the_schema_of_a_server_beside_the_files_counts() {
    let mapping = Mapping::new(&JOB.replace("\"mail\"", "\"x-mail\""));
    mapping.file("people.ldif", PEOPLE);
    let mail = |mapping: &Mapping| {
        let said = mapping.said(&["--write", "--kind", "openldap", "--format", "json"], 0);
        outcomes(&said)["uid=bob,ou=people,dc=studio,dc=test"]["email"].clone()
    };
    assert_eq!(mail(&mapping), Value::Null);
    mapping.file(
        "schema.ldif",
        "dn: cn=Subschema\nattributeTypes: ( 1.2.3 NAME ( 'mail' 'x-mail' ) )\n\
         attributeTypes: ( 1.2.4 NAME ( 'sn' 'surname' ) )\n\
         attributeTypes: ( 1.2.5 NAME ( 'uid' 'userid' ) )\n",
    );
    assert_eq!(mail(&mapping), "shared@studio.test");
    assert!(!mapping.tests().join("schema.expected.toml").exists());
}

/// OpenLDAP and a sync make the same of these people.
#[test]
fn a_sync_from_a_real_server_agrees() {
    // It takes no picture that is none.
    let people = PEOPLE.replace("jpegPhoto:: R0lGODlh\n", "");
    let slapd = Setup::new(people.as_str()).start();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("people.ldif"), people).unwrap();
    let mut studio = Studio::empty();
    studio.directory_url = bare(&slapd.url());
    studio.password = SYNC_PASSWORD.into();
    "(&(surname=*)(!(title=hidden)))".clone_into(&mut studio.filter);
    "username = \"{{ employeeType | default(userid) }}\", email = \"mail\", first_name = \
     \"givenName\", last_name = \"surname\", thumbnail = \"jpegPhoto\""
        .clone_into(&mut studio.attributes);
    studio.job = "disabled = \"(title=away)\"\nlimits = { unusable = \"100%\" }\n".into();
    assert!(
        fs::read_to_string(studio.config())
            .unwrap()
            .contains(SYNC_DN)
    );
    let options = ["--write", "--format", "json", "--kind", "openldap"];
    let said = test(&studio.config(), folder.path(), &options);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let of_test = outcomes(&said.stdout);
    let report = studio.sync();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut users = 0;
    for change in report
        .changes
        .iter()
        .filter(|change| change.action == Action::Create)
    {
        let outcome = &of_test[change.dn.as_deref().unwrap()];
        assert_eq!(outcome["verdict"], "user", "{outcome}");
        let user: Account = studio.user(outcome["username"].as_str().unwrap());
        assert_eq!(text(&outcome["email"]), user.email.unwrap_or_default());
        assert_eq!(
            text(&outcome["first_name"]),
            user.first_name.unwrap_or_default()
        );
        assert_eq!(
            text(&outcome["last_name"]),
            user.last_name.unwrap_or_default()
        );
        users += 1;
    }
    // Dan, since his namesake may not sign in.
    assert_eq!((users, report.skipped.len()), (4, 2), "{report:#?}");
    let shared = "mail address is that of several people";
    assert!(
        report.warnings.iter().any(|said| said.contains(shared)),
        "{:#?}",
        report.warnings
    );
    for entry in &report.skipped {
        let outcome = &of_test[&*entry.dn];
        assert_eq!(outcome["reason"], entry.reason.to_string(), "{outcome}");
    }
}
