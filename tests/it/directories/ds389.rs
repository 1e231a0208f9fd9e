//! What only 389 Directory Server and FreeIPA have.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::{OF_389, servers::RealDirectory, situation};
use crate::{
    ability::must_skip_as_root,
    check::world::{Checked, World},
    readme::recipes::freeipa,
    situations::Situation,
    slapd::{PEOPLE, SUFFIX, wait_until},
};

/// How long the server may take to compute roles anew.
const LONGEST: Duration = Duration::from_secs(30);

#[test]
fn what_only_389_directory_server_has() {
    if must_skip_as_root("what_only_389_directory_server_has", OF_389) {
        return;
    }
    let directory = RealDirectory::ds389();
    for number in 0..10 {
        directory.join(&format!("p{number}"));
    }
    limits(&directory);
    stays_usable(&directory);
    by_socket(&directory);
    locked_by_role(&directory);
    preserved(&directory);
    freeipa(&directory);
}

/// The account's end, the clock, and how results come.
fn stays_usable(directory: &RealDirectory) {
    let server = format!("directory studio {}", directory.url);
    let account = || {
        let checked = check(directory);
        let account = checked.finding(&server, "account");
        (account.result.clone(), account.detail.to_lowercase())
    };
    let found = |words: &str| {
        format!(
            "{}: {words}; no end of the account is shown",
            directory.bind_dn
        )
    };
    assert_eq!(
        account(),
        ("ok".into(), found("no end of its password is shown"))
    );
    let end = Utc::now() + TimeDelta::days(12) + TimeDelta::hours(1);
    let value = end.format("%Y%m%d%H%M%SZ").to_string();
    set(directory, "passwordExpirationTime", &[&value]);
    let ends = format!("its password ends on {} (in 12 days)", end.date_naive());
    assert_eq!(account(), ("warn".into(), found(&ends)));
    set(directory, "passwordExpirationTime", &[]);
    let checked = check(directory);
    assert_eq!(
        checked.finding(&server, "clock").detail,
        "this machine's clock and the server's agree"
    );
    assert_eq!(
        checked.finding(&server, "paging").detail,
        "results come in pages of 7 entries (RFC 2696), and all values of an attribute at once"
    );
}

/// `check` with pages of 7 entries.
fn check(directory: &RealDirectory) -> Checked {
    let mut world = World::at(directory.url.as_str());
    world.bind = format!(
        "bind_dn = {:?}\nbind_password_file = \"ldap-password\"",
        directory.bind_dn
    );
    world.password = directory.password.into();
    world.directory_settings = format!("ca_file = {:?}\npage_size = 7", directory.ca_file);
    world.check(&[])
}

/// Sets an attribute of the account that reads, or removes it.
fn set(directory: &RealDirectory, attribute: &str, values: &[&str]) {
    directory.replace(directory.bind_dn, attribute, values);
}

/// The account's limits are shown, and what ends a read says which one it is.
fn limits(directory: &RealDirectory) {
    let (server, job) = (
        format!("directory studio {}", directory.url),
        format!("job artists at {}", directory.url),
    );
    let situation = situation(directory);
    let fails = |what: &str, way_out: &str| {
        let error = situation.sync().error.unwrap_or_default();
        assert!(error.contains(what) && error.ends_with(way_out), "{error}");
    };
    // Neither the account nor the server shows any.
    let checked = check(directory);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    assert!(!checked.well(&server).contains(&"limits"));

    set(directory, "nsLookThroughLimit", &["1000"]);
    set(directory, "nsTimeLimit", &["60"]);
    let checked = check(directory);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let mut shown = checked.findings.iter();
    let shown = shown.find(|finding| finding.check == "limits").unwrap();
    assert_eq!(
        shown.detail,
        "1000 entries looked through by a search (nsLookThroughLimit of the account's entry); 60 \
         seconds for a page (nsTimeLimit of the account's entry)"
    );

    set(directory, "nsLookThroughLimit", &["12"]);
    let way_out = "the search looks through more entries than the account may: set \
                   nsPagedLookThroughLimit: -1 in the bind account's entry, or raise \
                   nsslapd-pagedlookthroughlimit (0: nsslapd-lookthroughlimit) of \
                   cn=config,cn=ldbm database,cn=plugins,cn=config";
    assert_eq!(
        check(directory).only_trouble(),
        (
            format!(
                "warn limits about {job}: 10 entries were returned, and the server ends a search \
                 that looks through more than 12: nsLookThroughLimit of the account's entry; \
                 {way_out}"
            ),
            0
        )
    );
    set(directory, "nsLookThroughLimit", &["8"]);
    let (trouble, status) = check(directory).only_trouble();
    assert!(
        trouble.contains("adminLimitExceeded (11)") && trouble.ends_with(way_out),
        "{trouble}"
    );
    assert_eq!(status, 1);
    fails("adminLimitExceeded (11)", way_out);
    set(directory, "nsPagedLookThroughLimit", &["-1"]);
    assert_eq!(check(directory).trouble(), Vec::<String>::new());
    set(directory, "nsPagedLookThroughLimit", &[]);
    set(directory, "nsLookThroughLimit", &[]);

    set(directory, "nsSizeLimit", &["5"]);
    let way_out = "a page is larger than the account may have: lower page_size, or raise \
                   nsPagedSizeLimit or nsSizeLimit of the bind account's entry, or \
                   nsslapd-sizelimit of cn=config";
    let trouble = check(directory).trouble();
    assert_eq!(trouble.len(), 2, "{trouble:#?}");
    assert_eq!(
        trouble[0],
        format!(
            "warn limits about {server}: a page of 7 entries (page_size) is refused as soon as it \
             has more than 5: nsSizeLimit of the account's entry; {way_out}"
        )
    );
    assert!(
        trouble[1].contains("sizeLimitExceeded (4)") && trouble[1].ends_with(way_out),
        "{trouble:#?}"
    );
    fails("sizeLimitExceeded (4)", way_out);
    set(directory, "nsSizeLimit", &[]);
    set(directory, "nsTimeLimit", &[]);
}

/// At its socket, with a password, and as the account that the server has for the user of this process
/// (*autobind*).
fn by_socket(directory: &RealDirectory) {
    let account = directory.bind_dn;
    directory.replace("cn=config", "nsslapd-ldapimaprootdn", &[account]);
    let password = format!("bind_dn = {account:?}\nbind_password_file = \"ldap-password\"");
    for (bind, how) in [
        (&*password, "a bind with a password as cn=ldap-sync"),
        ("sasl = \"external\"", "a bind as this machine's user 0"),
    ] {
        let mut world = World::at(directory.socket_url());
        world.bind = bind.into();
        world.password = directory.password.into();
        let checked = world.check(&[]);
        assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
        let mut findings = checked.findings.iter();
        let bind = findings.find(|finding| finding.check == "bind").unwrap();
        assert!(
            bind.detail.starts_with(how)
                && bind
                    .detail
                    .ends_with(&format!("; the server knows it as dn: {account}")),
            "{bind:?}"
        );
    }
}

/// A role whose members are locked, as `dsidm DIRECTORY role lock` makes it: `nsAccountLock` is not an
/// attribute of anybody's entry, and is computed of the role.
const LOCKED_ROLE: &str = "\
dn: cn=leavers,dc=studio,dc=test
objectClass: top
objectClass: LDAPsubentry
objectClass: nsRoleDefinition
objectClass: nsSimpleRoleDefinition
objectClass: nsManagedRoleDefinition
cn: leavers

dn: cn=nsManagedDisabledRole,dc=studio,dc=test
objectClass: top
objectClass: LDAPsubentry
objectClass: nsRoleDefinition
objectClass: nsSimpleRoleDefinition
objectClass: nsManagedRoleDefinition
cn: nsManagedDisabledRole

dn: cn=nsDisabledRole,dc=studio,dc=test
objectClass: top
objectClass: LDAPsubentry
objectClass: nsRoleDefinition
objectClass: nsComplexRoleDefinition
objectClass: nsNestedRoleDefinition
cn: nsDisabledRole
nsRoleDN: cn=nsManagedDisabledRole,dc=studio,dc=test
nsRoleDN: cn=leavers,dc=studio,dc=test

dn: cn=nsAccountInactivationTmp,dc=studio,dc=test
objectClass: top
objectClass: nsContainer
cn: nsAccountInactivationTmp

dn: cn=\"cn=nsDisabledRole,dc=studio,dc=test\",cn=nsAccountInactivationTmp,dc=studio,dc=test
objectClass: top
objectClass: extensibleObject
objectClass: costemplate
objectClass: ldapsubentry
cosPriority: 1
nsAccountLock: true
cn: cn=nsDisabledRole,dc=studio,dc=test

dn: cn=nsAccountInactivation_cos,dc=studio,dc=test
objectClass: top
objectClass: LDAPsubentry
objectClass: cosSuperDefinition
objectClass: cosClassicDefinition
cosTemplateDn: cn=nsAccountInactivationTmp,dc=studio,dc=test
cosSpecifier: nsRole
cosAttribute: nsAccountLock operational
cn: nsAccountInactivation_cos
";

/// What the next sync would do, in lower case; a few more deactivations than usual are allowed.
fn plan(situation: &Situation) -> String {
    situation.plan_text().to_lowercase()
}

/// Whoever gets a role that is locked may not sign in.
fn locked_by_role(directory: &RealDirectory) {
    let situation = situation(directory).after_sync();
    directory.change(LOCKED_ROLE);
    situation.sync_changes_nothing();
    for (dn, role) in [
        ("cn=p1,ou=people,dc=studio,dc=test", "cn=leavers"),
        (
            "cn=p2,ou=people,dc=studio,dc=test",
            "cn=nsManagedDisabledRole",
        ),
    ] {
        directory.replace(dn, "nsRoleDN", &[&format!("{role},dc=studio,dc=test")]);
    }
    // The cache of roles follows a little later.
    let is_locked = wait_until(LONGEST, || {
        directory.shows("(&(cn=p1)(nsRole=cn=nsDisabledRole,*))")
    });
    assert!(is_locked);
    assert_eq!(
        plan(&situation).trim(),
        r"
plan for artists: 2 to deactivate

  - deactivate p1  cn=p1,ou=people,dc=studio,dc=test
      is_active: true -> false
      the person's account is disabled in the directory

  - deactivate p2  cn=p2,ou=people,dc=studio,dc=test
      is_active: true -> false
      the person's account is disabled in the directory
"
        .trim()
    );
    situation.sync();
    situation.sync_changes_nothing();
    directory.replace("cn=p1,ou=people,dc=studio,dc=test", "nsRoleDN", &[]);
    assert!(
        plan(&situation).starts_with("plan for artists: 1 to reactivate\n\n  ^ reactivate p1 ")
    );
    situation.sync();
    directory.replace("cn=p2,ou=people,dc=studio,dc=test", "nsRoleDN", &[]);
    situation.sync();
    situation.sync_changes_nothing();
}

/// The tree of FreeIPA for people who are not users yet, and for those who were, whose accounts a class
/// of service locks; and the end of accounts.
// freeipa: install/updates/30-provisioning.update, install/share/60kerberos.ldif.
const OF_FREEIPA: &str = "\
dn: cn=schema
changetype: modify
add: attributeTypes
attributeTypes: ( 2.16.840.1.113719.1.301.4.6.1 NAME 'krbPrincipalExpiration' \
EQUALITY generalizedTimeMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )
-
add: objectClasses
objectClasses: ( 2.16.840.1.113719.1.301.6.8.1 NAME 'krbPrincipalAux' AUXILIARY MAY krbPrincipalExpiration )

dn: cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: provisioning

dn: cn=accounts,cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: accounts

dn: cn=staged users,cn=accounts,cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: staged users

dn: cn=deleted users,cn=accounts,cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: deleted users

dn: cn=Inactivation cos template,cn=accounts,cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: top
objectClass: extensibleObject
objectClass: cosTemplate
cosPriority: 1
cn: Inactivation cos template
nsAccountLock: true

dn: cn=provisioning accounts lock,cn=accounts,cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: top
objectClass: cosSuperDefinition
objectClass: cosPointerDefinition
objectClass: ldapSubEntry
costemplatedn: cn=Inactivation cos template,cn=accounts,cn=provisioning,dc=studio,dc=test
cosAttribute: nsaccountlock operational
cn: provisioning accounts lock

dn: cn=new,cn=staged users,cn=accounts,cn=provisioning,dc=studio,dc=test
changetype: add
objectClass: inetOrgPerson
uid: new
cn: new
sn: new
";

/// `ipa user-del --preserve`, which moves the entry with its ids, and `ipa user-undel`.
fn moved(name: &str, from: &str, to: &str) -> String {
    format!(
        "dn: cn={name},{from}\nchangetype: modrdn\nnewrdn: cn={name}\ndeleteoldrdn: 1\n\
         newsuperior: {to}\n"
    )
}

/// Of a directory of FreeIPA's, nobody is a user who is not one yet or was one, though the search base
/// is the whole directory; and whoever's account has ended is not either.
fn preserved(directory: &RealDirectory) {
    const DELETED: &str = "cn=deleted users,cn=accounts,cn=provisioning,dc=studio,dc=test";
    directory.change(OF_FREEIPA);
    for disabled in ["auto", "never"] {
        let mut situation = situation(directory);
        SUFFIX.clone_into(&mut situation.search_base);
        let job = format!("{}\ndisabled = {disabled:?}", situation.job);
        let situation = situation
            .job(&job)
            .config(&format!(
                "[directories.studio]\nbind_dn = {:?}\nca_file = {:?}\nkind = \"freeipa\"\n",
                directory.bind_dn, directory.ca_file
            ))
            .after_sync();
        assert_eq!(
            situation.users().lines().count(),
            10,
            "{}",
            situation.users()
        );
        directory.change(&moved("p3", PEOPLE, DELETED));
        let why = if disabled == "auto" {
            "the person's account is disabled in the directory, and the entry is no longer among \
             the job's people"
        } else {
            "the person is still in the directory, but the entry no longer matches the job's filter"
        };
        // What the class of service computes follows a little later.
        assert!(wait_until(LONGEST, || plan(&situation).contains(why)));
        assert_eq!(
            plan(&situation).trim(),
            format!(
                "plan for artists: 1 to deactivate\n\n  - deactivate p3  cn=p3,{DELETED}\n      \
                 is_active: true -> false\n      {why}\n\n  warnings:\n    \
                 ldap://directory: it is treated as freeipa, as the configuration says, but shows \
                 itself as 389: remove kind from the directory, or correct it"
            )
        );
        situation.sync();
        situation.sync_changes_nothing();
        directory.change(&moved("p3", DELETED, PEOPLE));
        let reactivates = || plan(&situation).starts_with("plan for artists: 1 to reactivate\n");
        assert!(wait_until(LONGEST, reactivates));
        situation.sync();

        let end = |values: &[&str]| {
            directory.replace(
                "cn=p4,ou=people,dc=studio,dc=test",
                "krbPrincipalExpiration",
                values,
            );
        };
        directory.change(
            "dn: cn=p4,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: objectClass\n\
             objectClass: inetOrgPerson\nobjectClass: krbPrincipalAux\n",
        );
        for (time, is_past) in [("20991231235959Z", false), ("20260101000000Z", true)] {
            end(&[time]);
            let plan = plan(&situation);
            let is_deactivated = plan.starts_with("plan for artists: 1 to deactivate\n");
            assert_eq!(is_deactivated, is_past && disabled == "auto", "{plan}");
        }
        situation.sync();
        end(&[]);
        situation.sync();
        assert!(situation.user("p4").is_active);
    }
}
