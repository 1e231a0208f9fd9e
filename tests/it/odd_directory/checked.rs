//! What `check` says about odd directories: it reads people as a run does.

use chrono::{TimeDelta, Utc};
use insta::assert_snapshot;

use super::{Odd, OddDirectory, mapping, situation};
use crate::studio::Studio;

/// What `check` says about the job's people, and the exit status.
fn people(studio: &Studio) -> String {
    let ended = studio.run(&["check"]);
    let about = format!("job artists at {}", studio.directory_url);
    let lines = ended
        .stdout
        .lines()
        .skip_while(|line| *line != about)
        .skip(1);
    let of_job: Vec<&str> = lines.take_while(|line| line.starts_with("  ")).collect();
    let text = of_job
        .join("\n")
        .replace(&studio.directory_url, "ldap://directory");
    format!("exit {}\n{}", ended.status, text)
}

/// A server of three people, which shows a schema.
fn with_schema() -> Odd {
    let names = [
        "'objectClass'",
        "( 'uid' 'userid' )",
        "'givenName'",
        "'sn'",
        "'mail'",
        "'employeeNumber'",
        "'nsAccountLock'",
    ];
    let types = names.iter().enumerate();
    Odd {
        schema: types
            .map(|(nth, name)| format!("( 1.2.{nth} NAME {name} )"))
            .collect(),
        ..Odd::of(&["ada", "bob", "cyd"])
    }
}

#[test]
fn a_server_without_pages_is_found() {
    let directory = OddDirectory::start(Odd {
        refuses_pages: true,
        ..Odd::of(&["ada"])
    });
    let situation = situation(&directory);
    assert_snapshot!(people(&situation), @r#"
    exit 1
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      FAIL  people              page 1 of the search of "ou=people,dc=studio,dc=test" for (objectClass=inetOrgPerson) ended with unavailableCriticalExtension (12): the server gave no reason; the server does not offer paged results (RFC 2696), without which completeness cannot be proven
    "#);
    let error = situation.sync().error.unwrap();
    assert!(
        error.contains("unavailableCriticalExtension (12)"),
        "{error}"
    );
}

#[test]
fn people_are_read_and_counted() {
    let directory = OddDirectory::start(with_schema());
    directory.set(|odd| {
        odd.put("ada", "mail", &[]);
        odd.put("bob", "nsAccountLock", &["TRUE"]);
        odd.put("cyd", "mail", &["nobody"]);
    });
    let mut situation = situation(&directory);
    mapping(
        &mut situation,
        "username = \"userid\", email = \"mail\", first_name = \"employeeNumber\", last_name = \
         \"{{ sn }}\"",
    );
    assert_snapshot!(people(&situation), @r#"
    exit 1
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      ok    people              (objectClass=inetOrgPerson) matches 3 entries below "ou=people,dc=studio,dc=test"
      warn  attribute           employeeNumber: none of 3 entries shows it, for first_name = "employeeNumber" in [jobs.artists.attributes]; check the name, and whether the bind account may read it
      ok    attribute           mail: 1 of 3 entries lack it
      ok    attribute           sn: all of 3 entries have it
      FAIL  attribute           userid (uid): none of 3 entries shows it, for username = "userid" in [jobs.artists.attributes], and it is required; check the name, and whether the bind account may read it
      warn  disabled            1 of 3 people have a disabled account, and get or keep a user; set the job's disabled, or the directory's kind, if they should not
    "#);
    situation.sync();
    directory.set(|odd| odd.entries.retain(|(dn, _)| !dn.starts_with("uid=")));
    assert_snapshot!(people(&situation), @r#"
    exit 1
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      FAIL  people              (objectClass=inetOrgPerson) matches nobody below "ou=people,dc=studio,dc=test"; check the filter, the base, the scope and the account's rights
      ok    attribute           the schema has employeeNumber
      ok    attribute           the schema has mail
      ok    attribute           the schema has sn
      ok    attribute           the schema has userid
    "#);
}

#[test]
fn a_required_attribute_that_nobody_has_fails() {
    let directory = OddDirectory::start(with_schema());
    let mut situation = situation(&directory);
    mapping(
        &mut situation,
        "username = \"uid\", first_name = { from = \"employeeNumber\", required = true }",
    );
    assert_snapshot!(people(&situation), @r#"
    exit 1
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      ok    people              (objectClass=inetOrgPerson) matches 3 entries below "ou=people,dc=studio,dc=test"
      FAIL  attribute           employeeNumber: none of 3 entries shows it, for first_name = "employeeNumber" in [jobs.artists.attributes], and it is required; check the name, and whether the bind account may read it
      ok    attribute           uid: all of 3 entries have it
    "#);
    mapping(
        &mut situation,
        "username = \"uid\", last_name = { from = \"mail\", required = true }",
    );
    directory.set(|odd| odd.put("ada", "mail", &[]));
    assert_snapshot!(people(&situation), @r#"
    exit 0
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      ok    people              (objectClass=inetOrgPerson) matches 3 entries below "ou=people,dc=studio,dc=test"
      warn  attribute           mail: 1 of 3 entries lack it, and are skipped, since it is required; add the value to these entries, or narrow the filter
      ok    attribute           uid: all of 3 entries have it
      warn  skipped             1 of the entries cannot be mapped, and would be skipped: uid=ada,ou=people,dc=studio,dc=test (it has no mail, which is required); complete these entries, or leave them out by the filter
    "#);
}

#[test]
fn names_in_a_filter_are_looked_up() {
    let directory = OddDirectory::start(with_schema());
    let situation = situation(&directory).then(|studio| {
        crate::rules::add_config(
            studio,
            "[jobs.artists]\nfilter = \"(&(uid=*)(|(uid=*)(nsAccountLok=x))(!(emploYeeNumbr=7)))\"\n",
        );
    });
    assert_snapshot!(people(&situation), @r#"
    exit 1
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (&(uid=*)(|(uid=*)(nsAccountLok=x))(!(emploYeeNumbr=7)))
      ok    base                ou=people,dc=studio,dc=test exists
      ok    people              (&(uid=*)(|(uid=*)(nsAccountLok=x))(!(emploYeeNumbr=7))) matches 3 entries below "ou=people,dc=studio,dc=test"
      FAIL  filter              the filter names emploYeeNumbr, which the directory's schema does not have; a NOT of it matches everybody on Active Directory and 389-ds, and nobody on OpenLDAP; did you mean employeeNumber?
      warn  filter              the filter names nsAccountLok, which the directory's schema does not have; did you mean nsAccountLock?
      ok    attribute           givenName: all of 3 entries have it
      ok    attribute           mail: all of 3 entries have it
      ok    attribute           sn: all of 3 entries have it
      ok    attribute           uid: all of 3 entries have it
    "#);
}

#[test]
fn names_that_mean_nothing_fail_and_without_a_schema_they_are_doubtful() {
    let directory = OddDirectory::start(with_schema());
    let mut situation = situation(&directory);
    mapping(&mut situation, "username = \"uid\", email = \"mial\"");
    assert_snapshot!(people(&situation), @r#"
    exit 1
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      ok    people              (objectClass=inetOrgPerson) matches 3 entries below "ou=people,dc=studio,dc=test"
      FAIL  attribute           the directory's schema has no attribute mial, and no entry shows it; did you mean mail?
      ok    attribute           uid: all of 3 entries have it
    "#);
    directory.set(|odd| odd.schema.clear());
    assert_snapshot!(people(&situation), @r#"
    exit 0
      ok    directory_id        the naming context has the id d1d1d1d1-0000-4000-8000-000000000000
      ok    filter              (objectClass=inetOrgPerson)
      ok    base                ou=people,dc=studio,dc=test exists
      ok    people              (objectClass=inetOrgPerson) matches 3 entries below "ou=people,dc=studio,dc=test"
      warn  attribute           mial: none of 3 entries shows it, for email = "mial" in [jobs.artists.attributes]; check the name, and whether the bind account may read it
      ok    attribute           uid: all of 3 entries have it
    "#);
}

#[test]
fn a_server_whose_clock_shows_another_time_is_found() {
    let time = Utc::now() - TimeDelta::hours(3);
    let mut odd = with_schema();
    odd.root.extend([
        (
            "supportedCapabilities".to_owned(),
            vec!["1.2.840.113556.1.4.800".to_owned()],
        ),
        (
            "currentTime".to_owned(),
            vec![time.format("%Y%m%d%H%M%S.0Z").to_string()],
        ),
    ]);
    let directory = OddDirectory::start(odd);
    let ended = situation(&directory).run(&["check"]);
    let line = ended.stdout.lines().map(str::trim_start);
    let mut line = line.filter(|line| line.starts_with("warn  clock"));
    let line = line.next().unwrap_or_else(|| panic!("{}", ended.stdout));
    assert!(
        line.ends_with(
            "the server's clock is 3h behind this machine's; set the clock that is wrong (NTP): ends \
             of accounts and what changed are judged by both, and Kerberos refuses more than 5 \
             minutes"
        ) || line.contains("2h 59m behind"),
        "{line}"
    );
}
