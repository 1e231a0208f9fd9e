//! What is held: too many deactivations at once, the last administrator, and doubtful absences.

use chrono::TimeDelta;
use ftrack_ldap_sync::{
    demo::ftrack::{Account, Full},
    model::report::{Outcome, Report},
};
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::{
    nobody_wrongly::let_pass,
    rules::{account, approve, come_back, leave, make_administrator},
    studio::{Studio, dn, person},
};

/// So many people, synced, of whom so many then leave under this limit, while one comes and 100
/// strangers are there too; in one line, what a sync does.
fn after_leaving(people: usize, leavers: usize, limit: &str) -> String {
    let uids: Vec<String> = (0..people)
        .map(|number| format!("user{number:03}"))
        .collect();
    let strangers = (0..100).map(|number| account(&format!("stranger{number}")));
    let situation = Situation::of(&uids.iter().map(String::as_str).collect::<Vec<_>>())
        .then(|studio| studio.ftrack().add_users(strangers).unwrap())
        .after_sync()
        .then(|studio| uids[..leavers].iter().for_each(|uid| leave(studio, uid)))
        .entry(person("joiner", "New", "Face"))
        .job(&format!("limits = {{ deactivate = {limit} }}"));
    let report = situation.sync();
    let counts = &report.counts;
    // Limits hold the dangerous part only.
    assert!(counts.created == 1 && situation.user("joiner").is_active);
    let users = situation.ftrack().users();
    let inactive = users.iter().filter(|user| !user.is_active).count();
    assert_eq!(inactive, counts.deactivated, "{report:#?}");
    let whys = report
        .changes
        .iter()
        .filter_map(|change| change.error.as_deref());
    assert!(
        whys.clone()
            .all(|why| why.contains("limits.deactivate allows"))
            && whys.count() == counts.held,
        "{report:#?}"
    );
    format!(
        "{leavers} of {people} under {limit}: {}, {} deactivated, {} held\n",
        report.outcome.as_str(),
        counts.deactivated,
        counts.held
    )
}

#[test]
fn a_limit_holds_from_one_past_its_edge() {
    let outcomes: String = [
        (20, 2, "\"10%\""),
        (20, 3, "\"10%\""),
        (29, 2, "\"10%\""),
        (29, 3, "\"10%\""),
        (5, 1, "\"10%\""),
        (5, 1, "\"0%\""),
        (5, 2, "\"0%\""),
        (5, 5, "\"100%\""),
        (5, 3, "3"),
        (5, 4, "3"),
        (5, 1, "0"),
    ]
    .map(|(people, leavers, limit)| after_leaving(people, leavers, limit))
    .concat();
    assert_snapshot!(outcomes, @r#"
    2 of 20 under "10%": succeeded, 2 deactivated, 0 held
    3 of 20 under "10%": held, 0 deactivated, 3 held
    2 of 29 under "10%": succeeded, 2 deactivated, 0 held
    3 of 29 under "10%": held, 0 deactivated, 3 held
    1 of 5 under "10%": succeeded, 1 deactivated, 0 held
    1 of 5 under "0%": held, 0 deactivated, 1 held
    2 of 5 under "0%": held, 0 deactivated, 2 held
    5 of 5 under "100%": succeeded, 5 deactivated, 0 held
    3 of 5 under 3: succeeded, 3 deactivated, 0 held
    4 of 5 under 3: held, 0 deactivated, 4 held
    1 of 5 under 0: held, 0 deactivated, 1 held
    "#);
}

/// Takes every role from everybody.
fn nobody_is_an_administrator(studio: &Studio) {
    for role in studio.ftrack().rows("UserSecurityRole").unwrap() {
        let id = json!([role["id"]]);
        studio.ftrack().remove("UserSecurityRole", &id).unwrap();
    }
}

fn hide_administrators(studio: &Studio) {
    let hidden = ["UserSecurityRole".to_owned()];
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable = hidden.into());
}

fn administrator(username: &str) -> Account {
    Account {
        roles: ["Administrator".to_owned()].into(),
        ..account(username)
    }
}

#[test]
fn the_last_active_administrator_stays() {
    let situation = Situation::of(&["boss", "chief", "ada", "anchor"])
        .job("limits = { deactivate = \"100%\" }")
        .after_sync()
        .then(|studio| {
            nobody_is_an_administrator(studio);
            make_administrator(studio, "boss");
            make_administrator(studio, "chief");
            for uid in ["boss", "chief", "ada"] {
                leave(studio, uid);
            }
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 3 to deactivate, 2 of them held

      - deactivate ada  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      - deactivate boss HELD  uid=boss,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      - deactivate chief HELD  uid=chief,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      2 changes are held: it would leave ftrack without an active administrator
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    anchor: active, "Given" "anchor" <anchor@studio.test>; artists, settled
    boss: active, "Given" "boss" <boss@studio.test>; artists, settled
    chief: active, "Given" "chief" <chief@studio.test>; artists, settled
    "#);
    // Nobody can approve that.
    let report = approve(&situation);
    assert_snapshot!(situation.report_text(&report), @"
    held
      - deactivate boss HELD  uid=boss,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      - deactivate chief HELD  uid=chief,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      2 changes are held: it would leave ftrack without an active administrator

    1 unchanged, 2 held.
    ");
    assert!(situation.user("boss").is_active && situation.user("chief").is_active);
    // With another administrator about, both may go.
    let situation = situation.account(administrator("keeper"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 2 to deactivate, 2 of them held

      - deactivate boss HELD  uid=boss,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      - deactivate chief HELD  uid=chief,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      2 changes are held: it is an administrator, whose login, mail and activity change only with a person's approval; review it, and approve it: `plan --out FILE`, then `apply FILE`
    ");
    assert_eq!(situation.sync().counts.held, 2);
    assert_eq!(approve(&situation).counts.deactivated, 2);
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    anchor: active, "Given" "anchor" <anchor@studio.test>; artists, settled
    boss: inactive, "Given" "boss" <boss@studio.test>; artists, deactivated
    chief: inactive, "Given" "chief" <chief@studio.test>; artists, deactivated
    keeper: active, "" "" <keeper@studio.test>; no link
    "#);
}

#[test]
fn an_inactive_administrator_is_no_administrator() {
    let situation = Situation::of(&["boss", "ada"])
        .job("limits = { deactivate = 5 }")
        .after_sync()
        .then(|studio| {
            nobody_is_an_administrator(studio);
            make_administrator(studio, "boss");
        })
        .account(Account {
            is_active: false,
            ..administrator("former")
        })
        .then(|studio| leave(studio, "boss"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate boss HELD  uid=boss,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: it would leave ftrack without an active administrator
    ");
    situation.sync();
    assert!(situation.user("boss").is_active);
}

#[test]
fn nobody_is_deactivated_where_no_administrator_is_visible() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(hide_administrators)
        .then(|studio| leave(studio, "ada"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate ada HELD  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: no active administrator except the API user is visible in ftrack, so this may be the last one; grant the API user's role read access to security roles, or list yours in ftrack.administrator_roles
    ");
    assert_eq!(situation.sync().outcome, Outcome::Held);
    assert!(situation.user("ada").is_active);
}

#[test]
fn nobody_is_called_otherwise_where_no_administrator_is_visible() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(hide_administrators)
        .then(|studio| {
            studio.tree().rename(&dn("ada"), &dn("eve")).unwrap();
            let changed = ["Changed"];
            studio.tree().replace(&dn("eve"), "sn", &changed).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update, 1 of them held

      ~ update     ada  uid=eve,ou=people,dc=studio,dc=test
          last_name: ada -> Changed
          the directory has other values

      ~ update     eve HELD  uid=eve,ou=people,dc=studio,dc=test
          username: ada -> eve
          the directory has other values

      1 change is held: no active administrator is visible in ftrack, so anybody may be one, whose login, mail and activity change only with a person's approval; review it, and approve it: `plan --out FILE`, then `apply FILE`
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Changed" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

#[test]
fn nobody_is_gone_while_an_entry_shows_no_id() {
    let situation = Situation::of(&[])
        .config("[directories.studio]\nid_attribute = \"employeeNumber\"\n")
        .numbered("ada", "1")
        .numbered("bob", "2")
        .numbered("cyd", "3")
        .after_sync()
        .then(|studio| {
            studio
                .tree()
                .replace(&dn("ada"), "employeeNumber", &[])
                .unwrap();
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held, 1 entry skipped

      - deactivate ada HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 change is held: 1 entries show no id attribute, so nobody can be proven absent; grant the bind account read access to it, or set id_attribute

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          it shows no id attribute, so it cannot be identified
    ");
    situation.sync();
    assert!(situation.user("ada").is_active);
}

/// People with numbered logins.
fn numbered(people: usize) -> Vec<String> {
    (0..people)
        .map(|number| format!("user{number:03}"))
        .collect()
}

/// So many people with users.
fn many(people: usize) -> Situation {
    let uids = numbered(people);
    Situation::synced(&uids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a sync did: its outcome, and the counts of what it changed and held.
fn brief(situation: &Situation) -> String {
    let report = situation.sync();
    let counts = &report.counts;
    let mut why: Vec<&str> = report
        .changes
        .iter()
        .filter_map(|change| change.error.as_deref())
        .collect();
    why.dedup();
    format!(
        "{}: {} created, {} updated, {} reactivated, {} held; {}",
        report.outcome.as_str(),
        counts.created,
        counts.updated,
        counts.reactivated,
        counts.held,
        why.join("; ")
    )
}

#[test]
fn logins_that_change_at_once_are_held_and_other_values_are_written() {
    let situation = many(20).then(|studio| {
        for uid in &numbered(20)[..3] {
            let renamed = dn(&format!("{uid}.new"));
            studio.tree().rename(&dn(uid), &renamed).unwrap();
            studio.tree().replace(&renamed, "sn", &["Changed"]).unwrap();
        }
    });
    assert_snapshot!(brief(&situation), @"held: 0 created, 3 updated, 0 reactivated, 3 held; 3 changed logins are more than limits.rename allows (2, 10% of 20 active users); review them, and approve: `holds` shows its number, `approve N` writes it");
    // One at a time is no way around it, within the time that the limit counts.
    let situation = many(20);
    for (number, uid) in numbered(20)[..3].iter().enumerate() {
        let renamed = dn(&format!("{uid}.new"));
        situation.tree().rename(&dn(uid), &renamed).unwrap();
        let counts = situation.sync().counts;
        assert_eq!(counts.held, usize::from(number == 2), "{number}");
    }
    // Nor is a clock that leapt ahead by a year, which ftrack's did not.
    let year = TimeDelta::days(365);
    let_pass(&situation, year);
    situation
        .ftrack()
        .change_rules(|rules| rules.clock_ahead = -year);
    let renamed = dn("user003.new");
    situation.tree().rename(&dn("user003"), &renamed).unwrap();
    assert_eq!(situation.sync().counts.held, 2);
    // An approval does not count.
    approve(&situation);
    assert_snapshot!(brief(&situation), @"succeeded: 0 created, 0 updated, 0 reactivated, 0 held;");
}

#[test]
fn values_that_are_emptied_at_once_are_held() {
    let mut situation = many(20);
    "username = \"uid\", email = { from = \"mail\", when_absent = \"clear\" }, first_name = \
     \"givenName\", last_name = \"sn\""
        .clone_into(&mut situation.attributes);
    let situation = situation.after_sync().then(|studio| {
        for uid in &numbered(20)[..3] {
            studio.tree().replace(&dn(uid), "mail", &[]).unwrap();
            studio.tree().replace(&dn(uid), "sn", &["Changed"]).unwrap();
        }
    });
    assert_snapshot!(brief(&situation), @"held: 0 created, 3 updated, 0 reactivated, 3 held; 3 users with emptied values are more than limits.clear allows (2, 10% of 20 active users); review them, and approve: `holds` shows its number, `approve N` writes it");
}

#[test]
fn more_new_people_than_ever_are_held() {
    let situation = many(4).then(|studio| {
        for uid in &numbered(30)[4..] {
            studio.tree().add(person(uid, "New", "Face")).unwrap();
        }
    });
    assert_snapshot!(brief(&situation), @"held: 0 created, 0 updated, 0 reactivated, 26 held; 26 new users are more than limits.create allows (25, the least for 50% of 4 active users); review them, and approve: `holds` shows its number, `approve N` writes it");
    let situation = situation.then(|studio| studio.tree().remove(&dn("user029")).unwrap());
    // Those who were held are not released by others' going.
    assert_snapshot!(brief(&situation), @"held: 0 created, 0 updated, 0 reactivated, 25 held; it was more than limits.create allows in an earlier run, and time alone does not release it; review it, and approve it: `holds` shows its number, `approve N` writes it");
    assert_eq!(approve(&situation).counts.created, 25);
}

#[test]
fn people_who_are_all_back_at_once_are_held() {
    let uids = numbered(8);
    let situation = Situation::of(&uids.iter().map(String::as_str).collect::<Vec<_>>())
        .job("limits = { deactivate = \"100%\" }")
        .after_sync()
        .then(|studio| uids[..3].iter().for_each(|uid| leave(studio, uid)))
        .after_sync()
        .then(|studio| uids[..3].iter().for_each(|uid| come_back(studio, uid)));
    assert_snapshot!(brief(&situation), @"held: 0 created, 0 updated, 0 reactivated, 3 held; 3 reactivations are more than limits.reactivate allows (1, 25% of 5 active users); review them, and approve: `holds` shows its number, `approve N` writes it");
    assert_eq!(approve(&situation).counts.reactivated, 3);
}

#[test]
fn who_waited_for_a_seat_is_no_mass_reactivation() {
    let situation = Situation::of(&["ada", "bob", "cyd", "dan", "eve", "fay"]);
    situation.ftrack().change_rules(|rules| {
        rules.seats = Some(4);
        rules.full = Full::StoreInactive;
    });
    let report = situation.sync();
    let active = |report: &Report| {
        (
            report.outcome,
            report.counts.created,
            report.counts.reactivated,
        )
    };
    assert_eq!(active(&report), (Outcome::Partial, 2, 0), "{report:#?}");
    situation.ftrack().change_rules(|rules| rules.seats = None);
    let report = situation.sync();
    assert_eq!(active(&report), (Outcome::Succeeded, 0, 4), "{report:#?}");
    situation.sync_changes_nothing();
}
