//! Whether servers stay usable: certificates, clocks, the account, replicas.

use chrono::{TimeDelta, Utc};

use super::{
    slapd,
    world::{Finding, World, bare},
};
use crate::{
    directory::people,
    slapd::{Certificate, SYNC_DN, SYNC_PASSWORD, Setup, ldif_entry},
};

/// The finding of a check about a server.
fn of_server(world: &World, check: &str) -> Finding {
    let checked = world.check(&[]);
    let about = format!("directory studio {}", world.urls[0]);
    let mut findings = checked.findings.into_iter();
    findings
        .find(|finding| finding.about == about && finding.check == check)
        .unwrap_or_else(|| panic!("no {check}"))
}

#[test]
fn a_certificate_that_a_server_shows_and_that_expires_soon() {
    for (days, result) in [(20, "warn"), (50, "ok")] {
        let slapd = Setup::new(people(3))
            .certificate(Certificate::ForDays(days))
            .start();
        let world = World::over(&slapd);
        let tls = of_server(&world, "tls");
        assert_eq!(tls.result, result, "{tls:?}");
        assert!(
            tls.detail.ends_with(&format!(" (in {days} days)")),
            "{tls:?}"
        );
        assert_eq!(tls.facts["days_left"], days);
        assert!(tls.facts["expires_at"].as_str().unwrap().ends_with('Z'));
        assert_eq!(tls.advice.contains("renew it"), result == "warn");
    }
}

/// A password policy of OpenLDAP.
fn policy(dn: &str, days: u32) -> String {
    let seconds = (days * 86_400).to_string();
    ldif_entry(
        dn,
        &[
            ("objectClass", "device"),
            ("objectClass", "pwdPolicy"),
            ("pwdAttribute", "userPassword"),
            ("pwdMaxAge", &seconds),
        ],
    )
}

#[test]
fn a_password_that_ends_by_the_policy_of_openldap() {
    const EVERYBODYS: &str = "cn=default,ou=services,dc=studio,dc=test";
    const OWN: &str = "cn=services,ou=services,dc=studio,dc=test";
    let overlay = format!("overlay ppolicy\nppolicy_default \"{EVERYBODYS}\"");
    let slapd = Setup::new(people(3)).database(&overlay).start();
    let world = World::over(&slapd);
    let account = || of_server(&world, "account");
    // Of a password that was there before the policy it is not known when it was set.
    let unknown = account();
    assert_eq!(
        (&*unknown.result, &*unknown.detail),
        (
            "ok",
            &*format!("{SYNC_DN}: no end of its password is shown; no end of the account is shown")
        )
    );
    slapd.change(&policy(EVERYBODYS, 10));
    slapd.change(&format!(
        "dn: {SYNC_DN}\nchangetype: modify\nreplace: userPassword\nuserPassword: {SYNC_PASSWORD}\n"
    ));
    let soon = account();
    assert_eq!(soon.result, "warn", "{soon:?}");
    let day = (Utc::now() + TimeDelta::days(10)).date_naive();
    assert!(
        soon.detail.starts_with(&format!(
            "{SYNC_DN}: its password ends on {day} (in 9 days); "
        )),
        "{soon:?}"
    );
    assert!(
        soon.advice
            .ends_with("or give the account a pwdPolicySubentry whose pwdMaxAge is 0"),
        "{soon:?}"
    );
    assert_eq!(soon.facts["days_left"], 9);
    // Which of two policies is everybody's stands in the server's configuration.
    slapd.change(&policy(OWN, 0));
    assert!(account().detail.contains("no end of its password is shown"));
    // As the advice says.
    slapd.change(&format!(
        "dn: {SYNC_DN}\nchangetype: modify\nreplace: pwdPolicySubentry\npwdPolicySubentry: {OWN}\n"
    ));
    let never = account();
    assert_eq!(never.result, "ok");
    assert!(
        never.detail.contains(": its password does not end;"),
        "{never:?}"
    );
    assert!(never.facts["password_expires_at"].is_null());
}

#[test]
fn openldap_tells_its_time_where_it_is_monitored() {
    let mut setup = Setup::new(people(3));
    let slapd = setup.start();
    let silent = of_server(&World::over(&slapd), "clock");
    assert_eq!(silent.result, "ok");
    assert!(silent.detail.contains("cn=Monitor"), "{silent:?}");
    setup.global += "moduleload back_monitor\n";
    setup.database += "database monitor\naccess to * by users read\n";
    let slapd = setup.start();
    let clock = of_server(&World::over(&slapd), "clock");
    assert_eq!(
        (&*clock.result, &*clock.detail),
        ("ok", "this machine's clock and the server's agree")
    );
    assert!(clock.facts["difference_seconds"].as_i64().unwrap().abs() < 60);
}

#[test]
fn a_replica_that_lacks_what_another_server_has() {
    let one = Setup::new(people(3)).provider(1).start();
    let other = Setup::new(people(3)).provider(2).start();
    for (slapd, name) in [(&one, "one"), (&other, "other")] {
        slapd.change(&ldif_entry(
            &format!("ou={name},dc=studio,dc=test"),
            &[("objectClass", "organizationalUnit")],
        ));
    }
    let mut world = World::over(&one);
    // Both have certificates of authorities of their own.
    world.directory_settings = String::new();
    world.urls = vec![bare(&one.url()), bare(&other.url())];
    let checked = world.check(&[]);
    let late: Vec<&Finding> = checked
        .findings
        .iter()
        .filter(|finding| finding.check == "replica")
        .collect();
    let [first, second] = late[..] else {
        panic!("{late:#?}")
    };
    for (finding, of, lacks) in [(first, &one, 2), (second, &other, 1)] {
        assert_eq!(
            (&*finding.result, &*finding.about),
            ("warn", "directory studio")
        );
        let said = format!(
            "{}: it shows no change of the directory's server {lacks}, of which ",
            bare(&of.url())
        );
        assert!(finding.detail.starts_with(&said), "{finding:?}");
        assert_eq!(finding.facts["server"], bare(&of.url()));
    }
    assert_eq!(checked.status, 0);
}

#[test]
fn replicas_that_show_the_same() {
    let one = Setup::new(people(3)).provider(1).start();
    let same = Setup::new(String::new())
        .export(one.export())
        .provider(1)
        .start();
    let mut world = World::over(&one);
    world.directory_settings = String::new();
    world.urls = vec![bare(&one.url()), bare(&same.url())];
    let checked = world.check(&[]);
    assert_eq!(checked.trouble(), [] as [String; 0]);
    let replica = checked.finding("directory studio", "replica");
    assert!(
        replica
            .detail
            .starts_with("2 servers show the same changes"),
        "{replica:?}"
    );
    assert!(replica.facts["behind_seconds"].as_i64().unwrap() < 300);
    // One alone is compared with nobody.
    let alone = World::over(&slapd()).check(&[]);
    assert!(alone.findings.iter().all(|one| one.check != "replica"));
}
