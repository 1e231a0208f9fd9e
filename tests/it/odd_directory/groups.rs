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
    failed  the directory shows 0 people, and limits.min_entries asks for at least 1: the read is not used; check the filter and the bases, or lower limits.min_entries

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
    failed  the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=artists,dc=studio,dc=test" cannot be known: it names its members by memberURL, and the server does not compute them; check the group's DN in the job's member_of, the bind account's rights, and group_bases

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
    assert_snapshot!(situation.plain(&report.warnings.join("\n")), @"
    members of the groups are not among the entries that were read (outside of the search bases, excluded by the filter, or gone): ; <guid=1>,<sid=2>; uid=ada,ou=people,dc=studio,dc=test#'01'b
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
