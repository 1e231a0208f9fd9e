//! Domains of Active Directory that are read from their roots, where they refer to what lies below, and
//! people whom only their GUIDs find.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::{
    Odd, OddDirectory, Whole, attribute, entry,
    kinds::{by_kind, domain},
};
use crate::{situations::Situation, studio::dn};

pub const ROOT: &str = "dc=studio,dc=test";
const CONFIGURATION: &str = "CN=Configuration,dc=studio,dc=test";
pub const EU: &str = "dc=eu,dc=studio,dc=test";
/// The naming contexts of every domain, with the flags of their crossRef objects.
const USUAL: [(&str, &str); 3] = [
    ("DC=studio,DC=test", "3"),
    (CONFIGURATION, "1"),
    ("DC=DomainDnsZones,DC=studio,DC=test", "5"),
];

/// The crossRef object of a naming context.
fn cross_reference(context: &str, flags: &str) -> super::OddEntry {
    let nth = context.len();
    entry(
        &format!("CN={nth},CN=Partitions,{CONFIGURATION}"),
        &[
            ("objectClass", &["crossRef"]),
            ("nCName", &[context]),
            ("systemFlags", &[flags]),
        ],
    )
}

/// A domain that refers to its configuration and to the zones of its names, as they all do.
pub fn whole_domain() -> Odd {
    let mut odd = domain();
    odd.root.push((
        "configurationNamingContext".into(),
        vec![CONFIGURATION.into()],
    ));
    odd.below = USUAL[1..].iter().map(|(dn, _)| (*dn).to_owned()).collect();
    let contexts = USUAL
        .iter()
        .map(|(context, flags)| cross_reference(context, flags));
    odd.entries.extend(contexts);
    odd.finds_by_guid = true;
    odd
}

/// A job that reads a domain from its root.
fn from_the_root(directory: &OddDirectory) -> Situation {
    let mut situation = by_kind(directory);
    situation.search_base = ROOT.into();
    situation.job("limits = { deactivate = 10 }")
}

/// Moves somebody to another place.
fn moved(odd: &mut Odd, uid: &str, place: &str) {
    for (known, _) in &mut odd.entries {
        if *known == dn(uid) {
            *known = format!("uid={uid},{place}");
        }
    }
}

/// There is a domain below.
pub fn with_eu(odd: &mut Odd) {
    odd.below.push(EU.into());
    odd.entries.push(cross_reference(EU, "3"));
}

/// The error of a failed run, which wrote nothing.
fn failure(situation: &Situation) -> String {
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    assert_eq!(report.ftrack.write_calls, 0);
    situation.plain(&report.error.unwrap())
}

#[test]
fn a_domain_is_read_from_its_root_where_nothing_below_holds_people() {
    let directory = OddDirectory::start(whole_domain());
    let situation = from_the_root(&directory);
    assert_eq!(situation.sync().counts.created, 3);
    situation.sync_changes_nothing();
    let checked = situation.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
    // Wherever in it.
    directory.set(|odd| moved(odd, "ada", "cn=users,dc=studio,dc=test"));
    situation.sync_changes_nothing();
    directory.set(|odd| odd.entries.retain(|(known, _)| *known != dn("bob")));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate bob  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: health
    ");
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn nobody_moves_into_a_domain_below_and_is_called_absent() {
    let directory = OddDirectory::start(whole_domain());
    let situation = from_the_root(&directory).after_sync();
    directory.set(|odd| {
        with_eu(odd);
        moved(odd, "ada", EU);
    });
    assert_snapshot!(failure(&situation), @r#"the directory could not be read completely, and nothing was written: ldap://directory: part of the tree below "dc=studio,dc=test" is referred to dc=eu,dc=studio,dc=test; choose search bases that are on this server; the root of an Active Directory domain can be one if no other domain lies below it, and the bind account can read CN=Partitions of the configuration"#);
    // Nor where the forest does not show that it is a domain, or that it is there at all.
    directory.set(|odd| {
        odd.entries
            .retain(|(known, _)| !known.contains("CN=Partitions"))
    });
    let error = failure(&situation);
    assert!(
        error.contains("is referred to ldap://elsewhere.test/CN=Configuration,"),
        "{error}"
    );
    directory.set(|odd| {
        let usual = USUAL.iter().map(|(dn, flags)| cross_reference(dn, flags));
        odd.entries.extend(usual);
    });
    let error = failure(&situation);
    assert!(
        error.contains("is referred to ldap://elsewhere.test/dc=eu,"),
        "{error}"
    );
    assert!(situation.user("ada").is_active);
}

#[test]
fn a_reference_that_comes_all_the_same_is_a_failure() {
    let mut odd = whole_domain();
    odd.whole = Whole::AlwaysReferred;
    let directory = OddDirectory::start(odd);
    let error = failure(&from_the_root(&directory));
    assert!(error.contains("is referred to"), "{error}");
}

#[test]
fn servers_that_hold_other_domains_show_their_people_as_ever() {
    // A global catalogue refers to nothing, on its own port or on another.
    for address in ["127.3.2.69:3268", "127.0.0.1:0"] {
        let mut odd = whole_domain();
        with_eu(&mut odd);
        moved(&mut odd, "ada", EU);
        odd.whole = Whole::Answered;
        let directory = OddDirectory::start_at(address, odd);
        let situation = from_the_root(&directory);
        assert_eq!(situation.sync().counts.created, 3, "{address}");
        situation.sync_changes_nothing();
    }
}

#[test]
fn whom_no_search_shows_is_asked_for_by_guid() {
    let directory = OddDirectory::start(whole_domain());
    let situation = by_kind(&directory)
        .job("limits = { deactivate = 10 }")
        .after_sync();
    directory.set(|odd| odd.not_indexed = Some(dn("ada")));
    let report = situation.sync_changes_nothing();
    assert_eq!(report.counts.deactivated, 0);
    assert!(situation.user("ada").is_active);
    // Nor where groups matter, by which nobody knows her.
    let group = "cn=artists,dc=studio,dc=test";
    directory.set(|odd| {
        odd.entries
            .push(entry(group, &[("objectClass", &["group"])]));
        let people = ["ada", "bob", "health"].map(dn);
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        let (_, attributes) = odd.entries.last_mut().unwrap();
        attributes.push(attribute("member", &people));
    });
    let situation = situation.job(&format!(
        "limits = {{ deactivate = 10 }}\nmember_of = [{group:?}]"
    ));
    assert_eq!(situation.sync().counts.deactivated, 0);
    assert!(situation.user("ada").is_active);
}

#[test]
fn the_guid_shows_where_the_entry_is() {
    for whole in [Whole::Refused, Whole::Silent] {
        let directory = OddDirectory::start(whole_domain());
        let situation = by_kind(&directory).after_sync();
        directory.set(|odd| {
            odd.whole = whole;
            moved(odd, "ada", "ou=former,dc=studio,dc=test");
        });
        insta::allow_duplicates! {
            assert_snapshot!(situation.plan_text(), @r#"
            Plan for artists: 1 to deactivate

              - deactivate ada  uid=ada,ou=former,dc=studio,dc=test
                  is_active: true -> false
                  the person is still in the directory, but the entry is outside of the job's search bases and scope

              Warnings:
                no entry shows mail, and the directory shows no schema, so it is not known whether that is the name of an attribute
                nobody has a value for attributes.email ("mail"): check the name, and whether the bind account may read it
            "#);
        }
        directory.set(|odd| odd.put("health", "sAMAccountType", &["805306369"]));
        let plan = situation.plan_text();
        assert!(
            plan.contains("no longer matches the job's filter"),
            "{plan}"
        );
    }
}
