//! Jobs whose people are members of groups: whom a change of a group concerns.

use super::{openldap::is_called, *};

const ARTISTS: &str = "cn=artists,ou=groups,dc=studio,dc=test";
const LIGHTING: &str = "cn=lighting,ou=groups,dc=studio,dc=test";
const HIDDEN: &str = "cn=hidden,ou=groups,dc=studio,dc=test";

fn dn(uid: &str) -> String {
    format!("uid={uid},{PEOPLE}")
}

fn group(dn: &str, members: &[String]) -> String {
    let members: String = members
        .iter()
        .map(|member| format!("member: {member}\n"))
        .collect();
    format!("dn: {dn}\nobjectClass: groupOfNames\n{members}\n")
}

fn member(group: &str, change: &str, member: &str) -> String {
    format!("dn: {group}\nchangetype: modify\n{change}: member\nmember: {member}\n\n")
}

/// A directory of six, of whom ada and bea are artists, and cleo through another group.
fn setup() -> Setup {
    let people = people(["ada", "bea", "cleo", "dora", "eva", "fay"]);
    let groups = [
        group(ARTISTS, &[dn("ada"), dn("bea"), LIGHTING.to_owned()]),
        group(LIGHTING, &[dn("cleo")]),
        group(HIDDEN, &[dn("bea")]),
    ];
    let mut setup = Setup::new(people + &groups.concat());
    setup.global = "moduleload syncprov\ninclude /etc/ldap/schema/nis.schema".into();
    setup.database("overlay syncprov\nsyncprov-sessionlog 100")
}

/// Its studio, after a run that read everything.
fn after_a_run(slapd: &Slapd, deactivate: usize) -> Studio {
    let mut studio = studio(slapd.url().as_str());
    studio.job += &format!(
        "member_of = [{ARTISTS:?}]\nlimits = {{ deactivate = {deactivate}, reactivate = 5 }}\n"
    );
    assert_eq!(studio.sync().counts.created, 3);
    assert_eq!(changes(&studio), None, "nothing changed since");
    studio
}

/// Why everything was read.
fn why_everything(report: &Report) -> &str {
    assert_eq!(part(report), None, "{report:#?}");
    report
        .warnings
        .iter()
        .find_map(|it| it.strip_prefix("everything was read instead of what changed: "))
        .unwrap_or_else(|| panic!("{report:#?}"))
}

#[test]
fn who_joins_or_leaves_a_group_is_found_directly_and_through_another() {
    let slapd = setup().start();
    let studio = after_a_run(&slapd, 5);
    slapd.change(&(member(ARTISTS, "delete", &dn("bea")) + &member(LIGHTING, "add", &dn("dora"))));
    let report = some_changes(&studio);
    assert_eq!(
        done(&report),
        ["create dora applied", "deactivate bea applied"]
    );
    let mut reasons = report.changes.iter().map(|change| &change.reason);
    assert!(
        reasons.any(|it| it.contains("is in none of the groups")),
        "{report:#?}"
    );
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(changes(&studio), None);
    studio.sync_changes_nothing();
    assert_eq!(changes(&studio), None);
    // With a group, its members leave and join.
    slapd.change(&member(ARTISTS, "delete", LIGHTING));
    assert_eq!(
        done(&some_changes(&studio)),
        ["deactivate cleo applied", "deactivate dora applied"]
    );
    slapd.change(&(member(LIGHTING, "add", &dn("bea")) + &member(ARTISTS, "add", LIGHTING)));
    assert_eq!(
        done(&some_changes(&studio)),
        [
            "reactivate bea applied",
            "reactivate cleo applied",
            "reactivate dora applied"
        ]
    );
    studio.sync_changes_nothing();
}

#[test]
fn who_is_no_member_gets_no_user_and_who_is_renamed_with_the_group_stays() {
    let slapd = setup().start();
    let studio = after_a_run(&slapd, 5);
    slapd.change(&(person("ida") + &is_called("eva", "New") + &is_called("ada", "New")));
    assert_eq!(done(&some_changes(&studio)), ["update ada applied"]);
    let rename = |from: &str, to: &str| {
        let dn = dn(from);
        format!("dn: {dn}\nchangetype: modrdn\nnewrdn: uid={to}\ndeleteoldrdn: 1\n\n")
    };
    let corrected = rename("ada", "adele")
        + &member(ARTISTS, "delete", &dn("ada"))
        + &member(ARTISTS, "add", &dn("adele"));
    slapd.change(&corrected);
    assert_eq!(done(&some_changes(&studio)), ["update adele applied"]);
    // The group still names the former DN.
    slapd.change(&rename("bea", "beate"));
    let report = some_changes(&studio);
    assert_eq!(done(&report), ["deactivate bea held"]);
    assert_eq!(changes(&studio), None, "it is known");
    slapd.change(&(member(ARTISTS, "delete", &dn("bea")) + &member(ARTISTS, "add", &dn("beate"))));
    // It is held for another reason now: it is the second rename.
    assert_eq!(done(&some_changes(&studio)), ["update beate held"]);
    assert_eq!(changes(&studio), None, "it is known");
    assert_eq!(done(&studio.sync()), ["update beate held"]);
}

#[test]
fn who_was_held_and_is_a_member_again_stays() {
    let slapd = setup().start();
    let studio = after_a_run(&slapd, 1);
    let both =
        |change: &str| member(ARTISTS, change, &dn("bea")) + &member(ARTISTS, change, LIGHTING);
    slapd.change(&both("delete"));
    let report = some_changes(&studio);
    assert_eq!(
        done(&report),
        ["deactivate bea held", "deactivate cleo held"]
    );
    assert_eq!(changes(&studio), None, "it is known");
    slapd.change(&both("add"));
    assert_eq!(changes(&studio), None, "nothing is to be done any more");
    assert!(["bea", "cleo"].iter().all(|uid| studio.user(uid).is_active));
    studio.sync_changes_nothing();
}

#[test]
fn a_group_that_is_hidden_deactivates_nobody() {
    let access = format!("access to dn.base=\"{HIDDEN}\" by * none");
    let slapd = setup().access(&access).start();
    let studio = after_a_run(&slapd, 5);
    slapd.change(&(member(ARTISTS, "delete", &dn("bea")) + &member(ARTISTS, "add", HIDDEN)));
    let report = changes(&studio).unwrap();
    let why = why_everything(&report);
    assert!(
        why.contains("a new member that is not seen, cn=hidden"),
        "{why}"
    );
    assert_eq!(done(&report), ["deactivate bea held"]);
    assert_eq!(changes(&studio), None, "it is known");
    slapd.change(&is_called("ada", "New"));
    assert_eq!(done(&some_changes(&studio)), ["update ada applied"]);
    assert!(studio.user("bea").is_active);
}

#[test]
fn where_groups_name_logins_a_change_of_a_group_means_that_everything_is_read() {
    let posix = "dn: cn=posix,ou=groups,dc=studio,dc=test\nobjectClass: posixGroup\n\
                 gidNumber: 100\nmemberUid: eva\n\n";
    let slapd = setup().start();
    let studio = after_a_run(&slapd, 5);
    slapd.change(
        &(posix.to_owned() + &member(ARTISTS, "add", "cn=posix,ou=groups,dc=studio,dc=test")),
    );
    let report = changes(&studio).unwrap();
    assert!(why_everything(&report).contains("memberUid"), "{report:#?}");
    assert_eq!(done(&report), ["create eva applied"]);
    // Nothing of the groups changed.
    slapd.change(&(is_called("eva", "New") + &is_called("fay", "New")));
    assert_eq!(done(&some_changes(&studio)), ["update eva applied"]);
    slapd.change(
        "dn: cn=posix,ou=groups,dc=studio,dc=test\nchangetype: modify\nreplace: memberUid\n\
         memberUid: fay\n",
    );
    let report = changes(&studio).unwrap();
    assert_eq!(
        done(&report),
        ["create fay applied", "deactivate eva applied"]
    );
    assert_eq!(changes(&studio), None);
}

#[test]
fn a_group_that_is_dated_far_ahead_hides_no_changes_of_groups() {
    // The clock of the server was wrong when a group was changed, and only times tell of changes.
    let people = people(["ada", "bea", "cleo", "dora"]);
    let groups = [
        group(ARTISTS, &[dn("ada"), dn("bea"), LIGHTING.to_owned()]),
        group(LIGHTING, &[dn("cleo")]),
    ];
    let ahead = group(HIDDEN, &[dn("bea")]);
    let ahead = ahead.replace("member:", "modifyTimestamp: 20991231235959Z\nmember:");
    let slapd = Setup::new(people + &groups.concat() + &ahead).start();
    let studio = after_a_run(&slapd, 5);
    slapd.change(&member(LIGHTING, "add", &dn("dora")));
    let report = some_changes(&studio);
    assert_eq!(done(&report), ["create dora applied"]);
    let warnings = &report.warnings;
    let said = "is dated 2099-12-31 23:59:59 UTC, which no clock shows yet";
    let told = warnings.iter().filter(|it| it.contains(said));
    assert_eq!(told.count(), 1, "{warnings:?}");
    assert_eq!(changes(&studio), None);
}

#[test]
fn more_groups_may_change_than_so_few_people_would_be_worth() {
    let cn = |number: usize| format!("cn=g{number},ou=groups,dc=studio,dc=test");
    let others: String = (0..250).map(|nth| group(&cn(nth), &[dn("fay")])).collect();
    let mut by_cookie = setup();
    by_cookie.ldif += &others;
    let mut by_time = by_cookie.clone();
    by_time.database.clear();
    for setup in [by_cookie, by_time] {
        let slapd = setup.start();
        let studio = after_a_run(&slapd, 5);
        let changed: String = (0..250)
            .map(|nth| member(&cn(nth), "add", &dn("eva")))
            .collect();
        slapd.change(&(changed + &member(ARTISTS, "add", &dn("dora"))));
        assert_eq!(done(&some_changes(&studio)), ["create dora applied"]);
    }
}
