//! The second look: any entry that comes back for an id means that its person is present.

use ftrack_ldap_sync::{
    demo::ftrack::{Fault as FtrackFault, RetryAfter},
    model::{
        change::{Action, HeldBy},
        report::FailureKind,
    },
};

use super::holds;
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    rules::{add_config, approve, leave, logins},
    slapd::{Setup, ldif_entry},
    studio::{Studio, dn},
};

/// People known by telephone numbers, which a server compares without blanks and hyphens.
fn people(numbers: &[(&str, &[&str])]) -> String {
    let entry = |(uid, numbers): &(&str, &[&str])| {
        let mut attributes = vec![
            ("objectClass", "inetOrgPerson"),
            ("uid", uid),
            ("cn", uid),
            ("sn", uid),
        ];
        attributes.extend(numbers.iter().map(|number| ("telephoneNumber", *number)));
        ldif_entry(&dn(uid), &attributes)
    };
    numbers.iter().map(entry).collect()
}

fn studio(slapd: &crate::slapd::Slapd) -> Studio {
    let mut studio = Studio::empty();
    studio.directory_url = slapd.url().to_string();
    studio.job = "limits.deactivate = \"100%\"".into();
    add_config(
        &studio,
        "[directories.studio]\nid_attribute = \"telephoneNumber\"\n",
    );
    studio
}

fn number(uid: &str, new: &[&str]) -> String {
    let values: String = new
        .iter()
        .map(|value| format!("telephoneNumber: {value}\n"))
        .collect();
    format!(
        "dn: {}\nchangetype: modify\nreplace: telephoneNumber\n{values}\n",
        dn(uid)
    )
}

#[test]
fn an_id_that_the_server_writes_otherwise_is_no_absence() {
    let all: &[(&str, &[&str])] = &[
        ("ada", &["55-03"]),
        ("bob", &["55-04"]),
        ("cyd", &["55-05"]),
        ("dan", &["55-06"]),
    ];
    let slapd = Setup::new(people(all)).start();
    let studio = studio(&slapd);
    assert_eq!(studio.sync().counts.created, 4);
    for spelling in ["5503", "55 03", "5-5-0-3"] {
        slapd.change(&number("ada", &[spelling]));
        let report = studio.sync();
        assert_eq!(
            logins(&report, Action::Deactivate),
            [] as [&str; 0],
            "{spelling}: {report:#?}"
        );
        assert!(studio.user("ada").is_active);
    }
    // With somebody who really left beside: the one is there, the other is gone.
    slapd.change(&format!("dn: {}\nchangetype: delete\n", dn("bob")));
    let report = studio.sync();
    assert_eq!(logins(&report, Action::Deactivate), ["bob"], "{report:#?}");
    assert!(studio.user("ada").is_active && !studio.user("bob").is_active);
}

#[test]
fn an_id_beside_another_value_is_no_absence() {
    let slapd = Setup::new(people(&[
        ("ada", &["55-03"]),
        ("bob", &["55-04"]),
        ("cyd", &["55-05"]),
    ]))
    .start();
    let studio = studio(&slapd);
    studio.sync();
    // Two values identify nobody, so that the entry shows no id; it is found for the old one.
    slapd.change(&number("ada", &["55-03", "99-99"]));
    let report = studio.sync();
    assert_eq!(report.changes, [], "{report:#?}");
    assert!(studio.user("ada").is_active);
}

/// An attribute that may be searched and not be read: the entry comes back without it.
#[test]
fn an_entry_that_comes_back_without_its_id_holds_all_who_were_asked_for_with_it() {
    let all: &[(&str, &[&str])] = &[
        ("ada", &["1"]),
        ("bob", &["2"]),
        ("cyd", &["3"]),
        ("dan", &["4"]),
    ];
    let before = Setup::new(people(all)).start();
    let mut studio = studio(&before);
    studio.sync();
    let ada = dn("ada");
    let after = Setup::new(people(&[all[0], all[2], all[3]]))
        .access(&format!(
            "access to dn.exact=\"{ada}\" attrs=telephoneNumber by * search"
        ))
        .start();
    studio.directory_url = after.url().to_string();
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Doubt), ("bob", HeldBy::Doubt)],
        "{report:#?}"
    );
    assert!(studio.user("ada").is_active && studio.user("bob").is_active);
}

#[test]
fn who_left_is_deactivated_all_the_same() {
    let uids: Vec<String> = (0..230).map(|number| format!("user{number:03}")).collect();
    let mut studio = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>());
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    // More than one search asks for, so that groups are told apart.
    for uid in &uids[..210] {
        leave(&studio, uid);
    }
    let report = studio.sync();
    assert_eq!(report.counts.deactivated, 210, "{:?}", report.warnings);
    assert_eq!(approve(&studio).changes, []);
}

#[test]
fn a_second_look_that_fails_leaves_the_searches_of_the_read_in_the_report() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    studio.tree().remove(&dn("ada")).unwrap();
    let proxy = LdapProxy::start(
        studio.directory().address(),
        Fault::in_search(2, 0, Trouble::Result(51)),
    );
    studio.directory_url = proxy.url();
    let report = studio.sync();
    assert_eq!(
        report.error_kind,
        Some(FailureKind::Directory),
        "{report:#?}"
    );
    let part = report.directory.unwrap();
    assert_eq!(
        (part.complete, part.entries, part.server),
        (false, 2, Some(proxy.url()))
    );
    let ends: Vec<_> = part
        .searches
        .iter()
        .map(|search| (search.entries, search.result == "success"))
        .collect();
    assert_eq!(ends, [(2, true), (0, false)], "{:#?}", part.searches);
    assert!(studio.user("ada").is_active);
}

#[test]
fn a_directory_that_was_read_is_in_the_report_also_when_ftrack_cannot_be() {
    let mut studio = Studio::of(&["ada", "bob"]);
    // By the second attempt, the directory has long been read.
    studio.ftrack_settings = "attempts = 2".into();
    let busy = FtrackFault::TooManyRequests(Some(RetryAfter::Seconds(2)));
    studio.ftrack().fail_when(move |_| Some(busy.clone()));
    let report = studio.sync();
    assert_eq!(report.error_kind, Some(FailureKind::Ftrack), "{report:#?}");
    let part = report.directory.unwrap();
    assert_eq!(
        (part.complete, part.entries, part.searches.len()),
        (true, 2, 1)
    );
}
