//! What follows from the kind of a server where the configuration does not say it.

use ftrack_ldap_sync::model::report::{Outcome, Report};
use insta::assert_snapshot;

use super::{Odd, OddDirectory, OddEntry, Whole, attribute, entry, situation};
use crate::{
    situations::Situation,
    studio::{Studio, dn},
};

/// Active Directory's capability and its controls: paged results, and no references.
const OF_A_DOMAIN: [(&str, &str); 3] = [
    ("supportedCapabilities", "1.2.840.113556.1.4.800"),
    ("supportedControl", "1.2.840.113556.1.4.319"),
    ("supportedControl", "1.2.840.113556.1.4.1339"),
];

const EXCHANGE: [&str; 2] = [
    "( 1.2.3.1 NAME 'mailNickname' )",
    "( 1.2.3.2 NAME 'msExchRecipientTypeDetails' )",
];

/// The entry of an account, with these attributes beside those that every account has.
pub fn account(name: &str, id: u8, more: &[(&str, &str)]) -> OddEntry {
    let (dn, byte) = (dn(name), [id; 16]);
    let mut account = entry(
        &dn,
        &[
            ("objectClass", &["user"]),
            ("sAMAccountType", &["805306368"]),
            ("sAMAccountName", &[name]),
            ("userAccountControl", &["512"]),
            ("accountExpires", &["9223372036854775807"]),
            ("givenName", &["Given"]),
            ("sn", &[name]),
        ],
    );
    account.1.push(("objectGUID".into(), vec![byte.to_vec()]));
    account
        .1
        .extend(more.iter().map(|(name, value)| attribute(name, &[value])));
    account
}

/// A domain with somebody, an account of the system and a mailbox of Exchange's own, which refers to
/// its other naming contexts when it is searched from its root.
pub fn domain() -> Odd {
    let mut context = entry("dc=studio,dc=test", &[("objectClass", &["domainDNS"])]);
    context.1.push(("objectGUID".into(), vec![vec![9; 16]]));
    let root = OF_A_DOMAIN
        .iter()
        .chain(&[("namingContexts", "dc=studio,dc=test")]);
    Odd {
        root: root
            .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
            .collect(),
        entries: vec![
            context,
            account("ada", 1, &[("mail", "ada@studio.test")]),
            account("bob", 2, &[]),
            account("krbtgt", 3, &[("isCriticalSystemObject", "TRUE")]),
            account("MSOL_0a1b", 4, &[]),
            account("health", 5, &[("mailNickname", "SystemMailbox{1f05}")]),
            entry(
                "cn=pc1,dc=studio,dc=test",
                &[("sAMAccountType", &["805306369"])],
            ),
        ],
        whole: Whole::Referred,
        below: vec!["dc=child,dc=studio,dc=test".into()],
        ..Odd::default()
    }
}

/// A configuration that leaves filter and attributes to the kind.
pub fn by_kind(directory: &OddDirectory) -> Situation {
    let mut situation = situation(directory);
    let studio: &mut Studio = &mut situation;
    studio.filter.clear();
    studio.attributes.clear();
    situation
}

#[test]
fn whoever_hides_whether_the_account_is_disabled_gets_no_access_without_a_person() {
    let directory = OddDirectory::start(domain());
    let situation = by_kind(&directory).after_sync();
    directory.set(|odd| odd.put("ada", "userAccountControl", &["514"]));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account is disabled in the directory
    ");
    situation.sync();
    // From now on, the bind account may not read it.
    directory.set(|odd| {
        odd.put("ada", "userAccountControl", &[]);
        odd.put("bob", "userAccountControl", &[]);
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to reactivate, 1 of them held

      ^ reactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      1 change is held: it cannot be told whether the person's account is disabled: the entry shows no userAccountControl (can the bind account read it?); if it is not, approve it, or set disabled for the job

      Warnings:
        2 of 3 people have no mail address in the directory, so ftrack gets none from it: bob, health
        of 1 people with active users it cannot be told whether their accounts are disabled, and they stay active: the entry shows no userAccountControl (can the bind account read it?)
    ");
    assert_eq!(situation.sync().outcome, Outcome::Held);
    assert!(situation.user("bob").is_active);
    // The end of an account, in intervals of 100 ns since 1601: the beginning of 2026.
    directory.set(|odd| {
        odd.put("ada", "userAccountControl", &["512"]);
        odd.put("bob", "userAccountControl", &["512"]);
        odd.put("bob", "accountExpires", &["134116992000000000"]);
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to reactivate, 1 to deactivate, 1 of them held

      ^ reactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      - deactivate bob HELD  uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person's account ended on 2026-01-01

      1 change is held: 1 deactivation, and 1 written within limits.per before, is more than limits.deactivate allows (1, the least for 10% of 2 active users); review them, and approve: `plan --out FILE`, then `apply FILE`

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: health
    ");
}

#[test]
fn people_of_a_domain_are_found_without_accounts_of_the_system() {
    let directory = OddDirectory::start(domain());
    let situation = by_kind(&directory);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 3 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          the person is in the directory and has no user

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          is_active: true
          the person is in the directory and has no user

      + create     health  uid=health,ou=people,dc=studio,dc=test
          username: health
          first_name: Given
          last_name: health
          is_active: true
          the person is in the directory and has no user

      Warnings:
        2 of 3 people have no mail address in the directory, so ftrack gets none from it: bob, health
    ");
    // Exchange's attributes are named only where the schema has them.
    directory.set(|odd| {
        let names = ["sAMAccountName", "mail", "givenName", "sn"];
        let names = names.iter().enumerate();
        odd.schema = names
            .map(|(place, name)| format!("( 1.2.4.{place} NAME '{name}' )"))
            .collect();
        odd.schema.extend(EXCHANGE.map(str::to_owned));
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 2 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          the person is in the directory and has no user

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          is_active: true
          the person is in the directory and has no user

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: bob
    ");
    situation.sync();
    situation.sync_changes_nothing();
}

#[test]
fn a_kind_that_changed_explains_leavers_better_than_they_do() {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob", "cyd"]));
    let situation = by_kind(&directory)
        .job("limits = { deactivate = \"100%\" }")
        .after_sync();
    directory.set(|odd| {
        odd.root
            .push(("objectClass".into(), vec!["OpenLDAProotDSE".into()]));
        odd.entries.retain(|(known, _)| *known != dn("bob"));
    });
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Held);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 change is held: the configuration changed (kind of the directory), which may explain it; if it is meant, approve it: `plan --out FILE`, then `apply FILE`; or else take it back; config_change = "apply" applies such changes without asking
    "#);
}

#[test]
fn a_server_that_seems_to_be_of_another_kind_when_it_is_asked_again_proves_nobody_absent() {
    let directory = OddDirectory::start(domain());
    let situation = by_kind(&directory)
        .job("limits = { deactivate = \"100%\" }")
        .after_sync();
    // A read does not show ada, who is there all the same when she is asked for, by a server that
    // does not say any more what it is.
    directory.set(|odd| odd.is_asked_again = Some(dn("ada")));
    assert_eq!(situation.sync().counts.deactivated, 0);
    assert!(situation.user("ada").is_active);
    // Who is gone is gone.
    directory.set(|odd| {
        *odd = domain();
        odd.entries.retain(|(known, _)| *known != dn("ada"));
    });
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn a_domain_that_refers_to_others_below_its_root_is_not_read_in_part() {
    let directory = OddDirectory::start(domain());
    let mut situation = by_kind(&directory);
    situation.search_base = "dc=studio,dc=test".into();
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.error.unwrap().contains("is referred to"));
}

#[test]
fn the_configured_kind_decides_whatever_the_server_shows() {
    let directory = OddDirectory::start(Odd::of(&["ada"]));
    let situation = by_kind(&directory).config("[directories.studio]\nkind = \"samba\"\n");
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_snapshot!(report.error.unwrap(), @"the directory shows 0 people, and limits.min_entries asks for at least 1: the read is not used; check the filter, the bases, and what the bind account may read");
}

/// What `check` says about the kind of the server.
fn checked(situation: &Situation) -> String {
    let ended = situation.run(&["check"]);
    let lines = ended.stdout.lines().map(str::trim_start);
    let of_kind = lines.filter(|line| line.split_whitespace().nth(1) == Some("kind"));
    of_kind.collect::<Vec<_>>().join("\n")
}

#[test]
fn check_shows_the_kind_and_doubts_one_that_does_not_fit() {
    let directory = OddDirectory::start(domain());
    let situation = by_kind(&directory);
    assert_snapshot!(checked(&situation), @"ok    kind                active-directory (detected): people are identified by objectGUID; no ManageDsaIT; domain scope");
    let situation = situation.config("[directories.studio]\nkind = \"openldap\"\n");
    assert_snapshot!(checked(&situation), @"warn  kind                it is treated as openldap, as the configuration says, but shows itself as active-directory; remove kind from the directory, or correct it");
    // What follows from a wrong kind is not blamed on something else.
    let ended = situation.run(&["check"]);
    let advised = ended.stdout.contains("first correct the directory's kind");
    let harmful = ended.stdout.contains("set id for the directory");
    assert!(advised && !harmful, "{}", ended.stdout);
    let situation = situation.config("[directories.studio]\nkind = \"active-directory\"\n");
    assert_snapshot!(checked(&situation), @"ok    kind                active-directory (configured): people are identified by objectGUID; no ManageDsaIT; domain scope");
    // An address of its own, whose ports nobody else has.
    let catalogue = OddDirectory::start_at("127.3.2.68:3268", domain());
    let situation = by_kind(&catalogue);
    assert_snapshot!(checked(&situation), @"warn  kind                this port is the global catalogue, which lacks attributes and group memberships; use the directory's own port: ldaps:// without a number, which is 636");
    // Groups cannot be read from it at all.
    let situation = situation.job("member_of = [\"cn=artists,dc=studio,dc=test\"]");
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_snapshot!(situation.plain(&report.error.unwrap()), @r#"the directory could not be read completely, and nothing was written: ldap://directory: the members of "cn=artists,dc=studio,dc=test" cannot be known: a global catalogue (ports 3268 and 3269) does not have the members of all groups; name the domain controllers' own ports; check the group's DN in the job's member_of, roles or groups, the bind account's rights, and group_bases"#);
}

#[test]
fn a_kind_that_does_not_fit_is_told_once_in_every_run() {
    let warning = "it is treated as generic, as the configuration says, but shows itself as \
                   active-directory: remove kind from the directory, or correct it";
    let directory = OddDirectory::start(domain());
    let mut situation = by_kind(&directory).config("[directories.studio]\nkind = \"generic\"\n");
    let studio: &mut Studio = &mut situation;
    studio.filter = "(objectClass=user)".into();
    studio.attributes = "username = \"sAMAccountName\"".into();
    let report = situation.sync();
    let told = |report: &Report| {
        let warnings = report.warnings.iter();
        warnings.filter(|told| told.ends_with(warning)).count()
    };
    assert_eq!(
        (report.error.as_deref(), told(&report)),
        (None, 1),
        "{:?}",
        report.warnings
    );
    let text = situation.plan_text();
    assert_eq!(text.matches(warning).count(), 1, "{text}");
    // Nobody is found by it.
    let report = by_kind(&directory)
        .config("[directories.studio]\nkind = \"openldap\"\n")
        .sync();
    assert_eq!(report.outcome, Outcome::Failed);
    let warning = warning.replace("generic", "openldap");
    let told = report.warnings.iter().any(|told| told.ends_with(&warning));
    assert!(told, "{:?} {:?}", report.error, report.warnings);
}

#[test]
fn a_misspelled_attribute_is_told_beside_a_kind_that_does_not_fit() {
    let directory = OddDirectory::start(domain());
    let names = ["sAMAccountName", "mail", "givenName", "sn"];
    let types = names.iter().enumerate();
    let types = types.map(|(nth, name)| format!("( 1.2.4.{nth} NAME '{name}' )"));
    directory.set(|odd| odd.schema = types.collect());
    let mut situation = by_kind(&directory);
    situation.attributes = "username = \"sAMAccountName\", first_name = \"givenNam\"".into();
    let situation = situation.config("[directories.studio]\nkind = \"openldap\"\n");
    let ended = situation.run(&["check"]);
    let advice = "did you mean givenName? but first correct the directory's kind, of which a \
                  warning above tells: it may be the cause\n";
    assert!(ended.stdout.contains(advice), "{}", ended.stdout);
    // Both are Active Directory to this program.
    let situation = situation.config("[directories.studio]\nkind = \"samba\"\n");
    assert_snapshot!(checked(&situation), @"ok    kind                samba (configured): people are identified by objectGUID; no ManageDsaIT; domain scope");
    let ended = situation.run(&["check"]);
    assert!(
        ended.stdout.contains("did you mean givenName?\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_filter_of_another_kind_of_directory_is_told_from_one_that_is_too_narrow() {
    let directory = OddDirectory::start(domain());
    let situation = situation(&directory);
    let report = situation.sync();
    assert_snapshot!(report.error.unwrap(), @"the directory shows 0 people, and limits.min_entries asks for at least 1: the read is not used; the server is of the kind active-directory: leave filter and [attributes] out of the job, or see `config example --kind active-directory`; otherwise check the bases");
    let ended = situation.run(&["check"]);
    let line = ended
        .stdout
        .lines()
        .find(|line| line.contains("matches nobody"));
    assert_snapshot!(line.unwrap_or_default(), @r#"  FAIL  people              (objectClass=inetOrgPerson) matches nobody below "ou=people,dc=studio,dc=test"; the server is of the kind active-directory: leave filter and [attributes] out of the job, or see `config example --kind active-directory`; otherwise check the base, the scope and the account's rights"#);
}

#[test]
fn what_an_own_filter_lets_in_beside_people_is_counted() {
    let mut odd = domain();
    odd.entries
        .retain(|(known, _)| known.starts_with("dc=") || *known == dn("ada"));
    let mut more = |dn: &str, login: &str, class: &str, id: u8| {
        let classes = ["top", "person", "user", class];
        let mut entry = entry(
            dn,
            &[("objectClass", &classes), ("sAMAccountName", &[login])],
        );
        entry.1.push(("objectGUID".into(), vec![vec![id; 16]]));
        odd.entries.push(entry);
    };
    more(&dn("render01"), "RENDER01$", "computer", 10);
    more(&dn("render02"), "render02$", "computer", 11);
    more(&dn("artists"), "artists", "group", 12);
    more(
        "uid=bob\\0ACNF:0d0c2b3a-0000-4000-8000-000000000000,ou=people,dc=studio,dc=test",
        "$DUPLICATE-1f4",
        "user",
        13,
    );
    let directory = OddDirectory::start(odd);
    let mut situation = by_kind(&directory);
    situation.filter = "(sAMAccountName=*)".into();
    let ended = situation.run(&["check"]);
    let lines = ended.stdout.lines();
    let lines: Vec<&str> = lines.filter(|line| line.contains("no people")).collect();
    assert_snapshot!(lines.join("\n"), @"  warn  filter              of 5 entries, these are no people: 2 computers, 1 groups, 1 conflict objects of a replication; add your condition to the filter of `config example --kind active-directory`, which leaves them out");
    let report = situation.plan_text();
    let line = report.lines().find(|line| line.contains("no people"));
    assert_snapshot!(line.unwrap_or_default().trim_start(), @"3 of 5 entries are most likely no people, but computers (a login with $ at its end) or conflict objects of a replication: add your own condition to the filter of `config example --kind active-directory`, which leaves them out");
}
