//! Groups that hide their members, or show them in odd ways.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::{Odd, OddDirectory, entry, situation};
use crate::situations::Situation;

const ARTISTS: &str = "cn=artists,dc=studio,dc=test";

/// People, and a group with these attributes.
fn with_group(uids: &[&str], attributes: &[(&str, &[&str])]) -> (OddDirectory, Situation) {
    let mut odd = Odd::of(uids);
    odd.entries.push(entry(ARTISTS, attributes));
    let directory = OddDirectory::start(odd);
    let situation = situation(&directory).job(&format!(
        "member_of = [{ARTISTS:?}]\nlimits = {{ deactivate = 10 }}"
    ));
    (directory, situation)
}

fn set(directory: &OddDirectory, attributes: &[(&str, &[&str])]) {
    directory.set(|odd| {
        odd.entries.retain(|(dn, _)| dn != ARTISTS);
        odd.entries.push(entry(ARTISTS, attributes));
    });
}

#[test]
fn members_that_are_hidden_all_at_once_take_nobody_along() {
    let of_names = ("objectClass", &["groupOfNames"] as &[&str]);
    let both = [
        "uid=ada,ou=people,dc=studio,dc=test",
        "uid=bob,ou=people,dc=studio,dc=test",
    ];
    let (directory, situation) = with_group(&["ada", "bob"], &[of_names, ("member", &both)]);
    assert_eq!(situation.sync().counts.created, 2);
    set(&directory, &[of_names]);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_snapshot!(situation.report_text(&report), @"
    failed  the directory shows 0 people, and limits.min_entries asks for at least 1: the read is not used; the searches found 2 entries, of whom nobody is a member of the groups in member_of: check member_of, and whether the bind account may read the groups' members

    It failed, and nothing was written.
    ");
    // A part of them is what the directory says.
    set(&directory, &[of_names, ("member", &both[..1])]);
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn members_that_the_server_does_not_compute_fail_the_read() {
    let of_urls = ("objectClass", &["groupOfURLs"] as &[&str]);
    let url = (
        "memberURL",
        &["ldap:///dc=studio,dc=test??sub?(uid=*)"] as &[&str],
    );
    let (directory, situation) = with_group(&["ada"], &[of_urls, url]);
    assert_snapshot!(situation.report_text(&situation.sync()), @r#"
    failed  the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=artists,dc=studio,dc=test" cannot be known: it names its members by memberURL, and the server does not compute them; check the group's DN in the job's member_of, roles or groups, the bind account's rights, and group_bases

    It failed, and nothing was written.
    "#);
    let ada = ["uid=ada,ou=people,dc=studio,dc=test"];
    set(&directory, &[of_urls, url, ("member", &ada)]);
    assert_eq!(situation.sync().counts.created, 1);
}

#[test]
fn what_is_no_dn_is_nobody() {
    let odd = [
        "ada",
        "<GUID=1>;<SID=2>",
        "UID=ada,ou=\\70eople, dc=studio,dc=test",
        "uid=ada,ou=people,dc=studio,dc=test#'01'B",
        "",
    ];
    let (_directory, situation) = with_group(
        &["ada", "bob"],
        &[
            ("objectClass", &["groupOfNames", "groupOfUniqueNames"]),
            ("member", &odd),
            (
                "uniqueMember",
                &["uid=bob,ou=people,dc=studio,dc=test#'01'B"],
            ),
        ],
    );
    let report = situation.sync();
    assert_eq!(report.counts.created, 2);
    assert_snapshot!(situation.plain(&report.warnings.join("\n")), @r"
    members of the groups are not among the entries that were read (outside of the search bases, excluded by the filter, or gone): ; \<guid=1\>,\<sid=2\>; uid=ada,ou=people,dc=studio,dc=test#'01'b
    1 values of member and uniqueMember are not DNs, and name nobody
    ");
}

#[test]
fn one_attribute_in_several_parts_is_one() {
    let both = [
        "uid=ada,ou=people,dc=studio,dc=test",
        "uid=bob,ou=people,dc=studio,dc=test",
    ];
    let (directory, situation) = with_group(
        &["ada", "bob"],
        &[("objectClass", &["groupOfNames"]), ("member", &both)],
    );
    directory.set(|odd| odd.is_split = true);
    assert_eq!(situation.sync().counts.created, 2);
    directory.set(|odd| odd.is_split = false);
    situation.sync_changes_nothing();
}

#[test]
fn whoever_hides_the_uid_by_which_it_is_a_member_is_no_leaver() {
    let of_logins = [
        ("objectClass", &["posixGroup"] as &[&str]),
        ("memberUid", &["ada", "bob", "cyd"]),
    ];
    let (directory, situation) = with_group(&["ada", "bob", "cyd"], &of_logins);
    assert_eq!(situation.sync().counts.created, 3);
    // An access rule hides the uid of one entry: without member_of, it would be skipped and its user
    // stay.
    directory.set(|odd| odd.put("bob", "uid", &[]));
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 0, "{report:#?}");
}

/// Lets it be one of Active Directory.
fn make_domain(odd: &mut Odd) {
    odd.root.push((
        "supportedCapabilities".into(),
        vec!["1.2.840.113556.1.4.800".into()],
    ));
    for (number, (_, attributes)) in (1..).zip(&mut odd.entries) {
        attributes.push(("objectGUID".into(), vec![vec![number; 16]]));
        attributes.push(("userAccountControl".into(), vec!["512".into()]));
        attributes.push(("accountExpires".into(), vec!["0".into()]));
    }
}

/// A domain of people whose primary group is the job's.
fn of_primary_group() -> (OddDirectory, Situation) {
    let uids = ["ada", "bob", "cyd"];
    let mut odd = Odd::of(&uids);
    make_domain(&mut odd);
    for uid in uids {
        odd.put(uid, "primaryGroupID", &["513"]);
    }
    odd.entries.push(entry(
        ARTISTS,
        &[
            ("objectClass", &["group"]),
            ("member", &["uid=cyd,ou=people,dc=studio,dc=test"]),
            ("primaryGroupToken", &["513"]),
        ],
    ));
    let directory = OddDirectory::start(odd);
    let situation = situation(&directory).job(&format!(
        "member_of = [{ARTISTS:?}]\nlimits = {{ deactivate = 10 }}"
    ));
    (directory, situation)
}

#[test]
fn a_group_that_hides_its_primary_group_token_takes_nobody_along() {
    let (directory, situation) = of_primary_group();
    assert_eq!(situation.sync().counts.created, 3);
    set(
        &directory,
        &[
            ("objectClass", &["group"]),
            ("member", &["uid=cyd,ou=people,dc=studio,dc=test"]),
        ],
    );
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 0, "{report:#?}");
}

#[test]
fn whoever_hides_the_primary_group_is_no_leaver() {
    let (directory, situation) = of_primary_group();
    assert_eq!(situation.sync().counts.created, 3);
    directory.set(|odd| odd.put("bob", "primaryGroupID", &[]));
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 0, "{report:#?}");
}

#[test]
fn a_domain_whose_groups_also_have_posix_members_is_read() {
    // Services for UNIX left memberUid in the groups, and nobody has a uid: sAMAccountName is the
    // login.
    let mut odd = Odd::of(&["ada"]);
    make_domain(&mut odd);
    odd.put("ada", "uid", &[]);
    odd.put("ada", "primaryGroupID", &["514"]);
    odd.put("ada", "sAMAccountName", &["ada"]);
    odd.entries.push(entry(
        ARTISTS,
        &[
            ("objectClass", &["group"]),
            ("member", &["uid=ada,ou=people,dc=studio,dc=test"]),
            ("memberUid", &["ada"]),
            ("primaryGroupToken", &["513"]),
        ],
    ));
    let directory = OddDirectory::start(odd);
    let mut situation = situation(&directory).job(&format!("member_of = [{ARTISTS:?}]"));
    situation.attributes = situation
        .attributes
        .replace("\"uid\"", "\"sAMAccountName\"");
    let report = situation.sync();
    assert_eq!(report.counts.created, 1, "{report:#?}");
}
