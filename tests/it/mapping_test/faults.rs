//! Folders and files that cannot be tested: what is said, and the exit status.

use std::fs;

use super::{JOB, Mapping, PEOPLE};

/// One entry, and what is expected of it.
const ADA: &str = "dn: uid=ada,ou=people,dc=studio,dc=test\nobjectClass: person\nuid: ada\n";

/// Everybody who matches is one of the people.
fn without_groups() -> String {
    let (before, _) = JOB.split_once("[jobs.artists.roles]").unwrap();
    before
        .replace("member_of", "group_bases")
        .replace("disabled = \"(employeeType=left)\"\n", "")
        .replace(
            "group_bases = [\"cn=vfx,ou=groups,dc=studio,dc=test\"]\n",
            "",
        )
}

#[test]
fn without_anything_to_test_it_is_bad_usage() {
    let mapping = Mapping::new(JOB);
    let ended = mapping.run(&[]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("has no file NAME.ldif to test"),
        "{}",
        ended.stderr
    );
    fs::remove_dir(mapping.tests()).unwrap();
    let ended = mapping.run(&[]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("tests cannot be read: No such file"),
        "{}",
        ended.stderr
    );
    let ended = Mapping::of_people().run(&["--job", "artist"]);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("did you mean"), "{}", ended.stderr);
    let builtin = Mapping::of_people();
    builtin.config(&format!(
        "{JOB}[jobs.nightly]\nkind = \"ftrack-ldap\"\nschedule = \"0 3 * * *\"\n"
    ));
    let ended = builtin.run(&["--job", "nightly"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("has no mapping to test"),
        "{}",
        ended.stderr
    );
    let ended = builtin.run(&[]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("there are several jobs"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_is_wrong_with_each_file_is_said_and_the_others_are_tested() {
    let mapping = Mapping::new(&without_groups());
    mapping.file(
        "good.ldif",
        ADA.replace("uid: ada", "uid: ada\nmail: ada@x.test"),
    );
    mapping.said(&["--write"], 0);
    mapping.file("lonely.expected.toml", "");
    mapping.file("unexpected.ldif", ADA);
    mapping.file("broken.ldif", format!("{ADA}\nnonsense\n"));
    mapping.file("empty.ldif", "# nothing\n");
    mapping.file("large.ldif", vec![b'#'; (8 << 20) + 1]);
    fs::create_dir(mapping.tests().join("folder.ldif")).unwrap();
    mapping.file(
        "referral.ldif",
        "dn: ou=far,dc=test\nobjectClass: referral\nref: ldap://far.test\n",
    );
    for (name, expected) in [
        (
            "typo",
            "[[entry]]\ndn = \"uid=ada\"\nverdict = \"user\"\nusernam = \"ada\"\n",
        ),
        (
            "verdict",
            "[[entry]]\ndn = \"uid=ada\"\nverdict = \"usr\"\n",
        ),
        (
            "twice",
            "[[entry]]\ndn = \"uid=a\"\nverdict = \"filtered_out\"\n\
             [[entry]]\ndn = \"UID=a\"\nverdict = \"filtered_out\"\n",
        ),
    ] {
        mapping.file(&format!("{name}.ldif"), ADA);
        mapping.file(&format!("{name}.expected.toml"), expected);
    }
    let said = mapping.said(&[], 1);
    for fault in [
        "broken.ldif\n  FAIL  line 5: \"nonsense\" is no `attribute: value` (RFC 2849)",
        "empty.ldif\n  FAIL  it has no entries",
        "large.ldif\n  FAIL  it is larger than 8 MiB",
        "folder.ldif\n  FAIL  it is not a regular file",
        "referral.ldif",
        "  FAIL  line 1: ou=far,dc=test is a referral object, with which every sync fails",
        "  FAIL  unexpected.expected.toml is missing, which says what is expected of its entries",
        "lonely.ldif\n  FAIL  it is missing, and lonely.expected.toml says what is expected of it",
        "  FAIL  typo.expected.toml: TOML parse error at line 4",
        "unknown field `usernam`",
        "unknown variant `usr`",
        "  FAIL  twice.expected.toml: it has UID=a twice",
        "good.ldif (generic)\n  ok    uid=ada,ou=people,dc=studio,dc=test: user ada",
        "1 as expected, 0 not, 10 files could not be tested.",
    ] {
        assert!(said.contains(fault), "{fault}:\n{said}");
    }
    // Nothing of it is written over.
    mapping.said(&["--write"], 1);
    assert!(mapping.read("typo.expected.toml").contains("usernam"));
    assert!(!mapping.tests().join("broken.expected.toml").exists());
}

#[test]
fn what_only_a_server_can_tell_is_said() {
    let mapping = Mapping::of_people();
    mapping.config(&JOB.replace("(employeeType=robot)", "(uid:1.2.3.4:=r2)"));
    let said = mapping.said(&["--write"], 1);
    let fault = "only a server can tell whom the filter \
                 (&(objectClass=person)(!(uid:1.2.3.4:=r2))) matches: it uses the matching rule 1.2.3.4";
    assert!(said.contains(fault), "{said}");
}

#[test]
fn a_single_group_that_the_files_lack_is_noted_by_its_name() {
    let mapping = Mapping::of_people();
    let group = "cn=nobody,ou=groups,dc=studio,dc=test";
    mapping.config(&JOB.replace(
        "\"Departments/Lighting\" = [\"cn=leads,ou=groups,dc=studio,dc=test\"]",
        &format!("\"Departments/Lighting\" = [\"{group}\"]"),
    ));
    let said = mapping.said(&["--write"], 0);
    let note = format!(
        "note  the group {group} of [roles] and [groups] is not in the file, so that nobody is a member \
         of it; a file of groups alone"
    );
    assert!(said.contains(&note), "{said}");
}

/// An expected file goes on to fit, whether a rule is an attribute or a template of it.
#[test]
fn a_missing_value_has_one_name_however_it_is_mapped() {
    let mapping = Mapping::of_people();
    mapping.said(&["--write"], 0);
    let reason = "reason = \"it has no mail, which is required\"";
    assert!(mapping.read("people.expected.toml").contains(reason));
    for rule in ["{{ mail | lower }}", "{{ mail }}{{ '' if uid else '' }}"] {
        mapping.config(&JOB.replace(
            "email = { from = \"mail\", required = true }",
            &format!("email = {{ from = \"{rule}\", required = true }}"),
        ));
        let said = mapping.said(&[], 0);
        assert!(said.contains("it has no mail, which is required"), "{said}");
    }
}

#[test]
fn groups_that_the_files_lack_are_noted() {
    let mapping = Mapping::of_people();
    fs::remove_file(mapping.tests().join("groups.ldif")).unwrap();
    let said = mapping.said(&["--write"], 0);
    for note in [
        "a group of member_of is not in the file, so that everybody counts as a member of it",
        "note  the groups cn=leads,ou=groups,dc=studio,dc=test; cn=vfx,ou=groups,dc=studio,dc=test of \
         [roles] and [groups] are not in the file, so that nobody is a member of them; a file of groups \
         alone",
        "no entry shows an id (entryUUID",
        "kind generic, as they look",
    ] {
        assert!(said.contains(note), "{note}: {said}");
    }
    assert!(!mapping.read("people.expected.toml").contains("roles"));
    // With ids, those who have none are skipped.
    let one = PEOPLE.replace(
        "uid: ada\n",
        "uid: ada\nentryUUID: 8a1e4c3e-0000-4000-8000-000000000001\n",
    );
    mapping.file("people.ldif", one);
    let said = mapping.said(&[], 1);
    assert!(
        said.contains("uid=ada,ou=people,dc=studio,dc=test: user ada\n"),
        "{said}"
    );
    assert!(
        said.contains("verdict: expected \"user\", and it is \"invalid_value\"")
            && !said.contains("no entry shows an id"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_replaced_is_an_error_of_its_file() {
    let mapping = Mapping::of_people();
    fs::create_dir(mapping.tests().join("people.expected.toml")).unwrap();
    let said = mapping.said(&["--write"], 1);
    assert!(
        said.contains("people.expected.toml: it is not a regular file"),
        "{said}"
    );
}

#[test]
fn no_text_of_a_file_controls_the_terminal() {
    let mapping = Mapping::new(&without_groups());
    mapping.file("x.ldif", "dn:: dWlkPWEbWzJKLG91PXBlb3BsZSxkYz1zdHVkaW8sZGM9dGVzdA==\nobjectClass: person\n\nb\u{1b}[2J\n");
    let said = mapping.said(&[], 1);
    assert!(
        !said.contains('\u{1b}') && said.contains("\\u{1b}"),
        "{said:?}"
    );
}
