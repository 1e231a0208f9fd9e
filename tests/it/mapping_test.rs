//! `config test`: the mapping of a job with LDIF files, beside the users expected of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ftrack_ldap_sync::{
    demo::{
        cast::{self, Oddities},
        ftrack::Account,
    },
    model::change::Action,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    readme::blocks_of,
    studio::{Ended, PASSWORD, Studio},
};

mod faults;
mod names;

/// A folder with a configuration that has no secrets, and with tests of its mapping.
struct Mapping(TempDir);

const JOB: &str = r#"
search_bases = ["ou=people,dc=studio,dc=test"]
filter = "(&(objectClass=person)(!(employeeType=robot)))"
disabled = "(employeeType=left)"
member_of = ["cn=vfx,ou=groups,dc=studio,dc=test"]
[jobs.artists.attributes]
username = "uid"
email = { from = "mail", required = true }
first_name = "{{ givenName }}"
last_name = { from = "sn", when_absent = "clear" }
"custom_attributes.employee_number" = "employeeNumber"
"custom_attributes.skills" = "title"
[jobs.artists.roles]
"User" = ["cn=vfx,ou=groups,dc=studio,dc=test"]
"Project Manager" = { groups = ["cn=leads,ou=groups,dc=studio,dc=test"], projects = ["show_a"] }
[jobs.artists.groups]
"Departments/Lighting" = ["cn=leads,ou=groups,dc=studio,dc=test"]
"#;

const PEOPLE: &str = "\
dn: uid=ada,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: ada
cn: Ada Lovelace
givenName: Ada
sn: Lovelace
mail: ada@studio.test
employeeNumber: 7
title: animation
title: comp

dn: uid=bob,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: bob
cn: Bob
mail: bob@studio.test
employeeType: left

dn: uid=cyd,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: cyd
cn: Cyd

dn: uid=dan,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: dan
cn: Dan
mail: dan at studio

dn: uid=eve,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: eve
cn: Eve
mail: eve@studio.test

dn: uid=r2,ou=people,dc=studio,dc=test
objectClass: inetOrgPerson
uid: r2
cn: R2
employeeType: robot

dn: uid=guest,ou=guests,dc=studio,dc=test
objectClass: inetOrgPerson
uid: guest
cn: Guest
";

/// Ada is a lead, and so one of VFX.
const GROUPS: &str = "\
dn: cn=vfx,ou=groups,dc=studio,dc=test
objectClass: groupOfNames
member: CN=Leads, OU=Groups, DC=Studio, DC=Test
member: uid=bob,ou=people,dc=studio,dc=test
member: uid=cyd,ou=people,dc=studio,dc=test
member: uid=dan,ou=people,dc=studio,dc=test

dn: cn=leads,ou=groups,dc=studio,dc=test
objectClass: groupOfNames
member: uid=ada,ou=people,dc=studio,dc=test
";

impl Mapping {
    fn new(job: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::create_dir(folder.tests()).unwrap();
        folder.config(job);
        folder
    }

    /// With people and groups.
    fn of_people() -> Self {
        let folder = Self::new(JOB);
        folder.file("people.ldif", PEOPLE);
        folder.file("groups.ldif", GROUPS);
        folder
    }

    fn config(&self, job: &str) {
        let text = format!(
            "[ftrack]\nserver = \"https://studio.ftrackapp.com\"\napi_user = \"ldap-sync\"\n\
             api_key_file = \"nowhere\"\n[directories.studio]\nurls = [\"ldaps://ldap.studio.test\"]\n\
             bind_dn = \"cn=sync\"\nbind_password_file = \"nowhere\"\n[jobs.artists]\n{job}"
        );
        fs::write(self.0.path().join("config.toml"), text).unwrap();
    }

    fn tests(&self) -> PathBuf {
        self.0.path().join("tests")
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.tests().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.tests().join(name)).unwrap()
    }

    fn run(&self, more: &[&str]) -> Ended {
        test(&self.0.path().join("config.toml"), &self.tests(), more)
    }

    /// Standard output of a test that ends with this status.
    fn said(&self, more: &[&str], status: i32) -> String {
        let ended = self.run(more);
        assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
        ended.stdout
    }
}

fn test(config: &Path, folder: &Path, more: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    command
        .env_clear()
        .arg("--config")
        .arg(config)
        .args(["config", "test"])
        .arg(folder)
        .args(more);
    Ended::of(command.output().unwrap())
}

#[test]
fn what_the_mapping_gives_now_is_written_and_is_then_as_expected() {
    let mapping = Mapping::of_people();
    insta::assert_snapshot!(mapping.said(&["--write"], 0), @r##"
    people.ldif (generic)
      ok    uid=ada,ou=people,dc=studio,dc=test: user ada
      ok    uid=bob,ou=people,dc=studio,dc=test: user bob, who may not sign in
      ok    uid=cyd,ou=people,dc=studio,dc=test: skipped, a required value is missing: it has no mail, which is required
      ok    uid=dan,ou=people,dc=studio,dc=test: skipped, a value cannot be used: its email is not a mail address: "dan at studio"
      ok    uid=eve,ou=people,dc=studio,dc=test: in none of the groups of member_of
      ok    uid=r2,ou=people,dc=studio,dc=test: not matched by the filter
      ok    uid=guest,ou=guests,dc=studio,dc=test: outside of the search bases
      note  its entries are judged as those of the kind generic, as they look; set kind in the configuration, or --kind, to be sure
      note  no entry shows an id (entryUUID, objectGUID, nsUniqueId or ipaUniqueID), without which a sync skips it; here that is left aside. `ldapsearch … '*' '+'` prints ids as well
      people.expected.toml is written

    7 as expected, 0 not.
    "##);
    insta::assert_snapshot!(mapping.read("people.expected.toml"), @r##"
    # What the mapping is to make of the entries of the LDIF file beside this one, for
    # `ftrack-ldap-sync config test`; `--write` writes it anew.

    [[entry]]
    dn = "uid=ada,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "ada"
    email = "ada@studio.test"
    first_name = "Ada"
    last_name = "Lovelace"
    active = true
    roles = ["Project Manager@show_a", "User"]
    groups = ["Departments/Lighting"]

    [entry.custom_attributes]
    employee_number = "7"
    skills = ["comp", "animation"]

    [[entry]]
    dn = "uid=bob,ou=people,dc=studio,dc=test"
    verdict = "user"
    username = "bob"
    email = "bob@studio.test"
    last_name = ""
    active = false
    roles = ["User"]

    [[entry]]
    dn = "uid=cyd,ou=people,dc=studio,dc=test"
    verdict = "missing_value"
    reason = "it has no mail, which is required"

    [[entry]]
    dn = "uid=dan,ou=people,dc=studio,dc=test"
    verdict = "invalid_value"
    reason = 'its email is not a mail address: "dan at studio"'

    [[entry]]
    dn = "uid=eve,ou=people,dc=studio,dc=test"
    verdict = "not_a_member"

    [[entry]]
    dn = "uid=r2,ou=people,dc=studio,dc=test"
    verdict = "filtered_out"

    [[entry]]
    dn = "uid=guest,ou=guests,dc=studio,dc=test"
    verdict = "outside_bases"
    "##);
    assert!(!mapping.tests().join("groups.expected.toml").exists());
    insta::assert_snapshot!(mapping.said(&[], 0), @r##"
    people.ldif (generic)
      ok    uid=ada,ou=people,dc=studio,dc=test: user ada
      ok    uid=bob,ou=people,dc=studio,dc=test: user bob, who may not sign in
      ok    uid=cyd,ou=people,dc=studio,dc=test: skipped, a required value is missing: it has no mail, which is required
      ok    uid=dan,ou=people,dc=studio,dc=test: skipped, a value cannot be used: its email is not a mail address: "dan at studio"
      ok    uid=eve,ou=people,dc=studio,dc=test: in none of the groups of member_of
      ok    uid=r2,ou=people,dc=studio,dc=test: not matched by the filter
      ok    uid=guest,ou=guests,dc=studio,dc=test: outside of the search bases
      note  its entries are judged as those of the kind generic, as they look; set kind in the configuration, or --kind, to be sure
      note  no entry shows an id (entryUUID, objectGUID, nsUniqueId or ipaUniqueID), without which a sync skips it; here that is left aside. `ldapsearch … '*' '+'` prints ids as well

    7 as expected, 0 not.
    "##);
    // What is right is not touched, so that comments stay.
    let commented = format!("{}# kept\n", mapping.read("people.expected.toml"));
    mapping.file("people.expected.toml", &commented);
    let said = mapping.said(&["--write"], 0);
    assert!(said.contains("people.expected.toml is as it was"), "{said}");
    assert_eq!(mapping.read("people.expected.toml"), commented);
}

#[test]
fn what_is_not_as_expected_is_named_by_entry_and_field() {
    let mapping = Mapping::of_people();
    mapping.said(&["--write"], 0);
    // The mapping changes: another mail, nobody is disabled, robots are people.
    let changed = JOB
        .replace("\"mail\", required = true", "\"mail\"")
        .replace("disabled = \"(employeeType=left)\"\n", "")
        .replace("(!(employeeType=robot))", "")
        .replace("\"{{ givenName }}\"", "\"{{ givenName }} X.\"")
        .replace("\"User\" =", "\"Reviewer\" =");
    mapping.config(&changed);
    // And so do the people.
    let people = PEOPLE.replace("uid=eve", "uid=eva");
    mapping.file("people.ldif", people);
    insta::assert_snapshot!(mapping.said(&[], 1), @r##"
    people.ldif (generic)
      FAIL  uid=ada,ou=people,dc=studio,dc=test: user ada
              first_name: expected "Ada", and it is "Ada X."
              roles: expected ["Project Manager@show_a","User"], and it is ["Project Manager@show_a","Reviewer"]
      FAIL  uid=bob,ou=people,dc=studio,dc=test: user bob
              active: expected false, and it is true
              roles: expected ["User"], and it is ["Reviewer"]
      FAIL  uid=cyd,ou=people,dc=studio,dc=test: user cyd
              verdict: expected "missing_value", and it is "user"
      ok    uid=dan,ou=people,dc=studio,dc=test: skipped, a value cannot be used: its email is not a mail address: "dan at studio"
      FAIL  uid=eva,ou=people,dc=studio,dc=test: nothing is expected of it; it is: in none of the groups of member_of
      FAIL  uid=r2,ou=people,dc=studio,dc=test: in none of the groups of member_of
              verdict: expected "filtered_out", and it is "not_a_member"
      ok    uid=guest,ou=guests,dc=studio,dc=test: outside of the search bases
      FAIL  uid=eve,ou=people,dc=studio,dc=test: the LDIF file lacks it; expected: in none of the groups of member_of
      note  its entries are judged as those of the kind generic, as they look; set kind in the configuration, or --kind, to be sure
      note  no entry shows an id (entryUUID, objectGUID, nsUniqueId or ipaUniqueID), without which a sync skips it; here that is left aside. `ldapsearch … '*' '+'` prints ids as well

    2 as expected, 6 not.
    "##);
    let said: Value = serde_json::from_str(&mapping.said(&["--format", "json"], 1)).unwrap();
    assert_eq!(
        (&said["ok"], &said["job"]),
        (&false.into(), &"artists".into())
    );
    let entries = said["files"][0]["entries"].as_array().unwrap();
    let ada = &entries[0];
    assert_eq!(ada["dn"], "uid=ada,ou=people,dc=studio,dc=test");
    assert_eq!(
        ada["differences"][0],
        serde_json::json!({"field": "first_name", "expected": "Ada", "actual": "Ada X."})
    );
    assert_eq!(
        ada["actual"]["custom_attributes"]["skills"],
        serde_json::json!(["comp", "animation"])
    );
    // Written anew, it is as expected again.
    let said = mapping.said(&["--write"], 0);
    assert!(
        said.contains("people.expected.toml is written anew"),
        "{said}"
    );
    mapping.said(&[], 0);
}

#[test]
fn an_active_directory_is_told_by_its_entries() {
    let job = "search_bases = [\"DC=studio,DC=test\"]\n\
               [jobs.artists.roles]\nUser = [\"CN=Artists,OU=Groups,DC=studio,DC=test\"]\n";
    let mapping = Mapping::new(job);
    let person = |name: &str, control: &str, expires: &str, more: &str| {
        format!(
            "dn: CN={name},OU=Artists,DC=studio,DC=test\nobjectClass: top\nobjectClass: person\n\
             objectClass: organizationalPerson\nobjectClass: user\nobjectCategory: \
             CN=Person,CN=Schema,CN=Configuration,DC=studio,DC=test\nsAMAccountName: {name}\n\
             sAMAccountType: 805306368\ngivenName: {name}\nsn: Of\nmail: {name}@studio.test\n\
             objectGUID:: AAECAwQFBgcICQoLDA0O{more}w==\nuserAccountControl: {control}\n\
             accountExpires: {expires}\nprimaryGroupID: 513\n\n"
        )
    };
    let never = "9223372036854775807";
    let people = [
        person("ada", "512", never, "D"),
        person("bob", "514", never, "E"),
        person("cyd", "512", "134431740000000000", "F"),
        person("dan", "512", never, "G").replace("accountExpires", "other"),
        person("eve", "512", never, "H").replace("objectGUID:: ", "other:: "),
        person("AAD_x", "512", never, "I"),
        "dn: CN=Artists,OU=Groups,DC=studio,DC=test\nobjectClass: group\n\
         member: CN=ada,OU=Artists,DC=studio,DC=test\nprimaryGroupToken: 1104\n"
            .to_owned(),
    ];
    mapping.file("ad.ldif", people.concat());
    insta::assert_snapshot!(mapping.said(&["--write"], 0), @r##"
    ad.ldif (active-directory)
      ok    CN=ada,OU=Artists,DC=studio,DC=test: user ada
      ok    CN=bob,OU=Artists,DC=studio,DC=test: user bob, who may not sign in
      ok    CN=cyd,OU=Artists,DC=studio,DC=test: user cyd, who may sign in until 2026-12-31T07:00:00Z
      ok    CN=dan,OU=Artists,DC=studio,DC=test: user dan, of whom it cannot be told whether they may sign in: the entry shows no accountExpires (can the bind account read it?)
      ok    CN=eve,OU=Artists,DC=studio,DC=test: skipped, a value cannot be used: it shows no id attribute, so it cannot be identified
      ok    CN=AAD_x,OU=Artists,DC=studio,DC=test: not matched by the filter
      note  its entries are judged as those of the kind active-directory, as they look; set kind in the configuration, or --kind, to be sure
      ad.expected.toml is written

    6 as expected, 0 not.
    "##);
    insta::assert_snapshot!(mapping.read("ad.expected.toml"), @r##"
    # What the mapping is to make of the entries of the LDIF file beside this one, for
    # `ftrack-ldap-sync config test`; `--write` writes it anew.

    [[entry]]
    dn = "CN=ada,OU=Artists,DC=studio,DC=test"
    verdict = "user"
    username = "ada"
    email = "ada@studio.test"
    first_name = "ada"
    last_name = "Of"
    active = true
    roles = ["User"]

    [[entry]]
    dn = "CN=bob,OU=Artists,DC=studio,DC=test"
    verdict = "user"
    username = "bob"
    email = "bob@studio.test"
    first_name = "bob"
    last_name = "Of"
    active = false

    [[entry]]
    dn = "CN=cyd,OU=Artists,DC=studio,DC=test"
    verdict = "user"
    username = "cyd"
    email = "cyd@studio.test"
    first_name = "cyd"
    last_name = "Of"
    active_until = "2026-12-31T07:00:00Z"

    [[entry]]
    dn = "CN=dan,OU=Artists,DC=studio,DC=test"
    verdict = "user"
    username = "dan"
    email = "dan@studio.test"
    first_name = "dan"
    last_name = "Of"
    active_unclear = "the entry shows no accountExpires (can the bind account read it?)"

    [[entry]]
    dn = "CN=eve,OU=Artists,DC=studio,DC=test"
    verdict = "invalid_value"
    reason = "it shows no id attribute, so it cannot be identified"

    [[entry]]
    dn = "CN=AAD_x,OU=Artists,DC=studio,DC=test"
    verdict = "filtered_out"
    "##);
    // Whom another kind of directory would have.
    let said = mapping.said(&["--kind", "openldap"], 1);
    assert!(said.contains("ad.ldif (openldap)"), "{said}");
}

/// The page on these tests shows what is written and said.
#[test]
fn the_page_shows_what_happens() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/config/mapping-tests.md");
    let page = fs::read_to_string(page).unwrap();
    let folder = TempDir::new().unwrap();
    let config = |username: &str| {
        let mapping = Mapping::new(&format!(
            "search_bases = [\"ou=people,dc=studio,dc=test\"]\nattributes = {{ username = \"{username}\", \
             email = \"mail\", first_name = \"givenName\", last_name = \"sn\" }}\n"
        ));
        let text = fs::read_to_string(mapping.0.path().join("config.toml")).unwrap();
        let text = text.replace("urls =", "kind = \"openldap\"\nurls =");
        fs::write(folder.path().join("config.toml"), text).unwrap();
    };
    fs::create_dir(folder.path().join("mapping")).unwrap();
    let people = blocks_of(&page, "ldif").concat();
    fs::write(folder.path().join("mapping/people.ldif"), people).unwrap();
    let said = |block: &str| {
        let (command, rest) = block.split_once('\n').unwrap();
        let words = command.strip_prefix("$ ftrack-ldap-sync ").unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        program.env_clear().current_dir(folder.path());
        let ended = Ended::of(
            program
                .args(["--config", "config.toml"])
                .args(words.split(' '))
                .output()
                .unwrap(),
        );
        assert_eq!(ended.stdout, rest, "{}", ended.stderr);
        ended.status
    };
    let blocks = blocks_of(&page, "text");
    let [write, expected, tested] = &*blocks else {
        panic!("{blocks:#?}");
    };
    config("uid");
    assert_eq!(said(write), 0);
    let written = fs::read_to_string(folder.path().join("mapping/people.expected.toml")).unwrap();
    assert_eq!(written, *expected);
    config("{{ givenName | lower }}");
    assert_eq!(said(tested), 1);
}

/// The users that a sync would create of odd people are those that the test of the mapping shows.
#[test]
fn a_sync_makes_of_each_entry_what_the_test_shows() {
    let people = cast::people(100, 7, Oddities::Some);
    let password = ftrack_ldap_sync::config::Secret::new(PASSWORD.into());
    let mut studio = Studio::over(cast::tree(&people, &password).unwrap(), Default::default());
    studio.job = "limits = { create = \"100%\", unusable = \"100%\" }\n".into();
    let entries: Vec<_> = people.iter().map(|person| person.entry.clone()).collect();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("all.ldif"), cast::ldif(&entries)).unwrap();
    let said = test(
        &studio.config(),
        folder.path(),
        &["--write", "--format", "json"],
    );
    assert_eq!(said.status, 0, "{}", said.stderr);
    let said: Value = serde_json::from_str(&said.stdout).unwrap();
    let outcomes = said["files"][0]["entries"].as_array().unwrap();
    assert_eq!(outcomes.len(), people.len());
    let of_test: BTreeMap<String, Value> = outcomes
        .iter()
        .map(|entry| {
            (
                entry["dn"].as_str().unwrap().to_owned(),
                entry["actual"].clone(),
            )
        })
        .collect();
    let report = studio.sync();
    let (mut compared, mut skipped) = (0, 0);
    for change in report
        .changes
        .iter()
        .filter(|change| change.action == Action::Create)
    {
        let outcome = &of_test[change.dn.as_deref().unwrap()];
        assert_eq!(outcome["verdict"], "user", "{outcome}");
        let user: Account = studio.user(outcome["username"].as_str().unwrap());
        let text = |key: &str| outcome[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("email"), user.email.unwrap_or_default(), "{outcome}");
        assert_eq!(
            text("first_name"),
            user.first_name.unwrap_or_default(),
            "{outcome}"
        );
        assert_eq!(
            text("last_name"),
            user.last_name.unwrap_or_default(),
            "{outcome}"
        );
        compared += 1;
    }
    for entry in &report.skipped {
        let outcome = &of_test[&*entry.dn];
        assert_ne!(outcome["verdict"], "user", "{entry:?}");
        assert_eq!(outcome["reason"], entry.reason.to_string(), "{outcome}");
        skipped += 1;
    }
    assert!(compared > 60 && skipped > 3, "{compared} {skipped}");
}
