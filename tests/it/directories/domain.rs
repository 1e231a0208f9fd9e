//! What only an Active Directory domain has.

use std::fs;

use chrono::{TimeDelta, Utc};

use super::{servers::RealDirectory, situation};
use crate::{
    rules::add_config,
    slapd::{SUFFIX, SYNC_DN},
};

/// Active Directory takes several names for an account (MS-ADTS section 5.1.1.1.1), and says why it
/// takes none.
pub fn binds_under_any_name(directory: &RealDirectory) {
    let situation = situation(directory);
    let configured = fs::read_to_string(situation.folder().join("config.d/more.toml")).unwrap();
    let check = |name: &str| {
        let own = format!("bind_dn = {:?}", directory.bind_dn);
        let other = format!("bind_dn = {name:?}");
        add_config(&situation, &configured.replace(&own, &other));
        situation.run(&["check"]).stdout
    };
    for name in [
        directory.bind_dn,
        "ldap-sync@studio",
        "STUDIO\\ldap-sync",
        "studio.test\\ldap-sync",
        SYNC_DN,
    ] {
        let checked = check(name);
        assert!(checked.contains("is accepted"), "{name}: {checked}");
    }
    let checked = check("nobody@studio.test");
    assert!(
        checked.contains("the name or the password is wrong"),
        "{checked}"
    );
    let set = |attribute: &str, value: &str| {
        directory.change(&format!(
            "dn: {SYNC_DN}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        ));
    };
    for (attribute, value, before, why) in [
        (
            "userAccountControl",
            "66050",
            "66048",
            "the account is disabled",
        ),
        (
            "accountExpires",
            "134116992000000000",
            "0",
            "the account has expired",
        ),
    ] {
        set(attribute, value);
        let checked = check(directory.bind_dn);
        assert!(checked.contains(why), "{checked}");
        set(attribute, before);
    }
    // A password that must be changed, of an account whose passwords end.
    set("userAccountControl", "512");
    set("pwdLastSet", "0");
    let checked = check(directory.bind_dn);
    assert!(
        checked.contains("the password must be changed first"),
        "{checked}"
    );
    set("pwdLastSet", "-1");
    set("userAccountControl", "66048");
    let checked = check(directory.bind_dn);
    assert!(checked.contains("is accepted"), "{checked}");
}

/// What `check` says of the account, the clock and of how results come.
pub fn stays_usable(directory: &RealDirectory) {
    let situation = situation(directory);
    let lines = || {
        let ended = situation.run(&["check"]);
        let lines = ended.stdout.lines().map(str::trim_start);
        let of = |line: &&str| {
            let check = line.split_whitespace().nth(1);
            check.is_some_and(|check| ["account", "clock", "paging"].contains(&check))
        };
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        // The last one is ftrack's clock.
        lines.filter(of).map(words).take(3).collect::<Vec<_>>()
    };
    let set = |attribute: &str, value: &str| {
        directory.change(&format!(
            "dn: {SYNC_DN}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        ));
    };
    let [paging, clock, never] = <[String; 3]>::try_from(lines()).unwrap();
    assert_eq!(
        paging,
        "ok paging results come in pages of 7 entries (RFC 2696), and attributes with very many \
         values in ranges, of which each is fetched"
    );
    assert_eq!(
        clock,
        "ok clock this machine's clock and the server's agree"
    );
    let account = |line: &str| line.to_lowercase();
    assert_eq!(
        account(&never),
        format!("ok account {SYNC_DN}: its password does not end; the account does not end")
    );
    // By the domain's policy, which is 42 days.
    set("userAccountControl", "512");
    let far = account(&lines()[2]);
    assert!(
        far.starts_with("ok account ")
            && far.contains(": its password ends on ")
            && far.contains(" (in 41 days); "),
        "{far}"
    );
    let day = (Utc::now() + TimeDelta::days(9) + TimeDelta::hours(1)).timestamp();
    let ticks = (day + 11_644_473_600) * 10_000_000;
    set("accountExpires", &ticks.to_string());
    let near = account(&lines()[2]);
    assert!(
        near.starts_with("warn account ")
            && near.contains("; the account ends on ")
            && near.contains(
                " (in 9 days); extend the account before it ends: set-adaccountexpiration"
            ),
        "{near}"
    );
    set("accountExpires", "0");
    set("userAccountControl", "66048");
}

/// The whole domain, which refers to its other naming contexts.
pub fn from_the_root(directory: &RealDirectory) {
    let mut situation = situation(directory);
    situation.search_base = SUFFIX.into();
    let report = situation.sync();
    // The account that reads is outside of the people's container.
    assert_eq!((report.error, report.counts.deactivated), (None, 0));
    assert!(situation.user("ldap-sync").is_active);
    situation.sync_changes_nothing();
    let checked = situation.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
    directory.join("zara");
    assert_eq!(situation.sync().counts.created, 1);
    directory.change(
        "dn: cn=zara,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=zara\n\
         deleteoldrdn: 1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
    situation.sync_changes_nothing();
    directory.change("dn: cn=zara,ou=services,dc=studio,dc=test\nchangetype: delete\n");
    let plan = situation.plan_text();
    assert!(
        plan.contains("the person is no longer in the directory"),
        "{plan}"
    );
    assert_eq!(situation.sync().counts.deactivated, 1);
    situation.sync_changes_nothing();
}
