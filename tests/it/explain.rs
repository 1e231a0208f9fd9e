//! `explain`: what happens to one person, and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adopted;
mod by_hand;
mod renamed;
mod undone;
mod whole;

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Call, CallKind, Fault},
    },
    model::{
        change::HeldBy,
        explanation::{Explanation, StepName},
    },
};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, must},
    rules::{by_hand, leave, make_administrator},
    situations::Situation,
    studio::{Studio, dn, person},
};

/// What `explain` answers, after which nothing is written or saved.
fn explain(studio: &Studio, who: &str) -> Explanation {
    let (users, reports) = (studio.ftrack().users(), studio.reports());
    studio.ftrack().forget();
    let explained = studio.explain(&[who]).unwrap();
    assert_eq!(studio.ftrack().counters().write_calls, 0);
    assert_eq!(studio.ftrack().users(), users);
    assert_eq!(studio.reports(), reports);
    assert_eq!((&*explained.who, &*explained.job), (who, "artists"));
    explained
}

/// The verdicts with their reasons.
fn verdicts<'w>(situation: &Situation, who: impl IntoIterator<Item = &'w str>) -> String {
    let verdict = |who| {
        let Explanation {
            verdict, reason, ..
        } = explain(situation, who);
        format!("{who}: {}: {reason}\n", verdict.as_str())
    };
    let all: String = who.into_iter().map(verdict).collect();
    // Which of several holds is numbered first is by the ids of the people.
    let all = ('1'..='9').fold(all, |all, number| {
        all.replace(&format!("hold {number})"), "hold N)")
            .replace(&format!("`approve {number}`"), "`approve N`")
    });
    let runs = situation.reports().into_iter().map(|report| report.run);
    situation.plain(&runs.fold(all, |all, run| all.replace(&run, "RUN")))
}

/// What a plan does to somebody's user.
fn planned(studio: &Studio, username: &str) -> Vec<String> {
    let plan = studio.plan(&[]).unwrap();
    let of_user = plan.changes.iter();
    let of_user = of_user.filter(|planned| planned.change.username == username);
    of_user
        .map(|planned| planned.change.action.to_string())
        .collect()
}

#[test]
fn a_person_is_found_by_whatever_names_them() {
    let situation = Situation::synced(&["ada", "bob"]);
    let user = situation.user("ada");
    let by_login = explain(&situation, "ada");
    let entry = by_login.directory.clone().unwrap();
    let id = entry.directory_id.clone().unwrap();
    assert_eq!(entry.dn, dn("ada"));
    for who in ["ADA", "ada@studio.test", &dn("ada"), &id, &user.id] {
        let explained = explain(&situation, who);
        assert_eq!(explained.directory, by_login.directory, "{who}");
        assert_eq!(explained.ftrack, by_login.ftrack, "{who}");
        assert_eq!(explained.verdict.as_str(), "in_step", "{who}");
    }
}

#[test]
fn what_would_be_done_is_what_a_plan_does() {
    let situation = Situation::synced(&["ada", "bob", "cyd", "dan"])
        .entry(person("eve", "Eve", "Eve"))
        .then(|studio| {
            leave(studio, "ada");
            let mail = ["other@studio.test"];
            studio.tree().replace(&dn("bob"), "mail", &mail).unwrap();
            by_hand(studio, "dan", &json!({"is_active": false}));
        });
    for (who, action) in [
        ("ada", "deactivate"),
        ("bob", "update"),
        ("eve", "create"),
        ("cyd", ""),
        ("dan", ""),
    ] {
        let explained = explain(&situation, who);
        let change = explained.change.as_ref();
        assert_eq!(change.map_or("", |change| change.action.as_str()), action);
        let expected: Vec<&str> = [action]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(planned(&situation, who), expected, "{who}");
    }
    assert_snapshot!(verdicts(&situation, ["ada", "bob", "cyd", "dan", "eve", "nobody", "ldap-sync"]), @r"
    ada: deactivate: the person is still in the directory, but the entry is outside of the job's search bases and scope
    bob: update: the directory has other values
    cyd: in_step: the user has the directory's values
    dan: deactivated_by_hand: somebody else deactivated the user
    eve: create: the person is in the directory and has no user
    nobody: unknown: neither the directory, as far as the account may see it, nor ftrack knows anybody by that login, mail address, DN or id
    ldap-sync: not_owned: the user belongs to no job, and no entry is known by that name
    ");
}

#[test]
fn what_a_person_lacks_is_named() {
    let elsewhere =
        TreeEntry::new("ou=elsewhere,dc=studio,dc=test").with("objectClass", "organizationalUnit");
    let outside = TreeEntry::new("uid=out,ou=elsewhere,dc=studio,dc=test")
        .with("objectClass", "inetOrgPerson")
        .with("uid", "out")
        .with("cn", "out")
        .with("sn", "out");
    let artist = |uid: &str| person(uid, "Given", uid).with("employeeType", "artist");
    let nameless = TreeEntry::new("cn=nameless,ou=people,dc=studio,dc=test")
        .with("objectClass", "inetOrgPerson")
        .with("employeeType", "artist")
        .with("cn", "nameless")
        .with("sn", "nameless")
        .with("mail", "nameless@studio.test");
    let twin = TreeEntry::new("cn=twin,ou=people,dc=studio,dc=test")
        .with("objectClass", "inetOrgPerson")
        .with("employeeType", "artist")
        .with("cn", "twin")
        .with("sn", "twin")
        .with("uid", "TWIN");
    let mut situation = Situation::of(&["bob"])
        .entry(elsewhere)
        .entry(outside)
        .entry(nameless)
        .entry(artist("locked").with("title", "gone"))
        .entry(artist("ada"))
        .job("disabled = \"(title=gone)\"\nlimits.unusable = \"100%\"")
        .then(|studio| {
            studio.tree().add(artist("twin")).unwrap();
            studio.tree().add(twin).unwrap();
            let mail = ["no address"];
            studio.tree().add(artist("mailless")).unwrap();
            studio
                .tree()
                .replace(&dn("mailless"), "mail", &mail)
                .unwrap();
        });
    situation.filter = "(&(objectClass=inetOrgPerson)(employeeType=artist))".into();
    let people = [
        "ada",
        "bob",
        "out",
        "locked",
        "nameless@studio.test",
        "mailless",
        "uid=twin,ou=people,dc=studio,dc=test",
        "*",
        ")(uid=*",
    ];
    assert_snapshot!(verdicts(&situation, people), @r#"
    ada: create: the person is in the directory and has no user
    bob: filtered_out: the entry uid=bob,ou=people,dc=studio,dc=test is not matched by the job's filter for people
    out: outside_bases: the entry uid=out,ou=elsewhere,dc=studio,dc=test lies outside of the job's search bases and scope
    locked: disabled: the person's account is disabled in the directory, so no user is created
    nameless@studio.test: missing_value: it has no uid, which is required
    mailless: invalid_value: its email is not a mail address: "no address"
    uid=twin,ou=people,dc=studio,dc=test: collision: the username "twin" is also claimed by cn=twin,ou=people,dc=studio,dc=test; none of them gets it
    *: unknown: neither the directory, as far as the account may see it, nor ftrack knows anybody by that login, mail address, DN or id
    )(uid=*: unknown: neither the directory, as far as the account may see it, nor ftrack knows anybody by that login, mail address, DN or id
    "#);
}

#[test]
fn who_is_in_none_of_the_groups_is_told_so() {
    let group = TreeEntry::new("cn=artists,dc=studio,dc=test")
        .with("objectClass", "groupOfNames")
        .with("cn", "artists")
        .with("member", dn("ada"));
    let situation = Situation::of(&["ada", "bob"])
        .entry(group)
        .job("member_of = [\"cn=artists,dc=studio,dc=test\"]");
    assert_snapshot!(verdicts(&situation, ["ada", "bob"]), @r"
    ada: create: the person is in the directory and has no user
    bob: not_a_member: the entry uid=bob,ou=people,dc=studio,dc=test is a member of none of the job's groups (member_of)
    ");
    let steps = explain(&situation, "bob").steps;
    let failed = steps.iter().filter(|step| !step.passed);
    let failed: Vec<StepName> = failed.map(|step| step.step).collect();
    assert_eq!(failed, [StepName::Groups]);
}

#[test]
fn who_waits_or_is_held_is_told_what_for() {
    let situation = Situation::synced(&["ada", "bob", "cyd", "dan", "eve"])
        .stranger("newcomer")
        .then(|studio| {
            for uid in ["ada", "bob", "cyd"] {
                leave(studio, uid);
            }
            make_administrator(studio, "dan");
            leave(studio, "dan");
        })
        .entry(person("newcomer", "New", "Comer"))
        .after_sync();
    assert_snapshot!(verdicts(&situation, ["ada", "dan", "newcomer"]), @r#"
    ada: held: the person is still in the directory, but the entry is outside of the job's search bases and scope; it is held (limit, hold N): 3 deactivations are more than limits.deactivate allows (1, the least for 10% of 5 active users); review them, and approve: `approve N` writes it (in the run RUN)
    dan: protected: the person is still in the directory, but the entry is outside of the job's search bases and scope; it is held (protected, hold N): it is an administrator, whose login, mail and activity change only with a person's approval; review it, and approve it: `approve N` writes it
    newcomer: held: the user "newcomer" has no owner, and matches the person by login (users.adopt); it is held (adoption, hold N): an existing user would become the person's after the job's first contact; if the user is the person's, approve it: `approve N` writes it; users.adopt_always = true adopts without asking
    "#);

    let situation = Situation::synced(&["ada", "bob"])
        .job("users.deactivate_after = \"1h\"")
        .then(|studio| leave(studio, "ada"))
        .after_sync();
    assert!(verdicts(&situation, ["ada"]).starts_with("ada: waiting: "));

    let situation = Situation::synced(&["ada", "bob"])
        .job("users.protect = [\"ada\"]")
        .after_sync()
        .then(|studio| leave(studio, "ada"));
    assert!(verdicts(&situation, ["ada"]).starts_with("ada: protected: "));
}

#[test]
fn the_answer_is_for_people_and_for_programs() {
    let studio = Situation::synced(&["ada"]);
    let text = studio.run(&["explain", "ada"]);
    assert_eq!(text.status, 0, "{}", text.stderr);
    let entry = explain(&studio, "ada").directory.unwrap();
    let plain = text.stdout.replace(&entry.directory_id.unwrap(), "ID");
    let plain = plain.replace(&studio.directory_url, "DIRECTORY");
    assert_snapshot!(plain.replace(&studio.user("ada").id, "USER"), @r#"
    ada in artists: nothing is to be done
      the user has the directory's values

      directory  uid=ada,ou=people,dc=studio,dc=test (entryUUID ID)
      ftrack     ada (USER, ada@studio.test, active, of the source artists)

      yes search      DIRECTORY shows uid=ada,ou=people,dc=studio,dc=test
      yes scope       it lies in the search bases (ou=people,dc=studio,dc=test)
      yes filter      the filter for people matches it: (objectClass=inetOrgPerson)
      yes may sign in the person may sign in; the job and this kind of directory have no rule for who may not (disabled)
      yes map         username "ada", email "ada@studio.test", first_name "Given", last_name "ada"
      yes match       the user in ftrack is ada (USER), active

    The same by hand:
      ldapsearch -LLL -o 'ldif-wrap=no' -H DIRECTORY -x -D 'cn=ldap-sync,ou=services,dc=studio,dc=test' -W -b 'ou=people,dc=studio,dc=test' -s sub '(|(entryUUID=ID)(mail=ada)(uid=ada))' givenName mail sn uid entryUUID objectGUID nsUniqueId ipaUniqueID
      ldapsearch -LLL -o 'ldif-wrap=no' -H DIRECTORY -x -D 'cn=ldap-sync,ou=services,dc=studio,dc=test' -W -b 'uid=ada,ou=people,dc=studio,dc=test' -s base '(objectClass=inetOrgPerson)' givenName mail sn uid entryUUID objectGUID nsUniqueId ipaUniqueID

    ada in artists: nothing is to be done
    "#);
    let json = studio.run(&["explain", "artists", "nobody", "--format", "json"]);
    assert_eq!(json.status, 0, "{}", json.stderr);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (
            &json["verdict"],
            &json["directory"],
            &json["ftrack"],
            &json["change"],
            &json["run"]
        ),
        (
            &json!("unknown"),
            &Value::Null,
            &Value::Null,
            &Value::Null,
            &Value::Null
        )
    );
    for (arguments, why) in [
        (vec!["explain", ""], "WHO is empty"),
        (vec!["explain", "nojob", "ada"], "there is no job"),
        (
            vec!["explain", "artits", "ada"],
            "if these words are one name",
        ),
        (vec!["explain", "artits", "ada"], "did you mean"),
        (vec!["explain", "ada", "--run", "20990101"], "20990101"),
    ] {
        let refused = studio.run(&arguments);
        assert_eq!(refused.status, 2, "{arguments:?}");
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
}

#[test]
fn a_past_run_is_explained_by_its_report_without_any_server() {
    let mut situation = Situation::of(&["ada", "bob"]);
    let created = situation.sync();
    leave(&situation, "ada");
    let left = situation.sync();
    situation.directory_url = "ldap://127.0.0.1:1".into();
    situation.ftrack_at = Some("http://127.0.0.1:1".into());
    let of_run = |who: &str, run: &str| {
        let ended = situation.run(&["explain", who, "--run", run, "--format", "json"]);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(answer["run"], json!(run));
        format!("{}: {}", answer["verdict"], answer["reason"])
    };
    let told = [
        of_run("ada", &created.run),
        of_run("ada@studio.test", &left.run),
        of_run("bob", &left.run),
    ];
    assert_snapshot!(told.join("\n"), @r#"
    "create": "the person is in the directory and has no user; it was written"
    "deactivate": "the person is still in the directory, but the entry is outside of the job's search bases and scope; it was written"
    "unknown": "the report of that run does not name anybody by that: nothing was to be done, or the person was not among those that the run read"
    "#);
}

#[test]
fn a_server_that_fails_is_no_answer() {
    let mut situation = Situation::synced(&["ada"]);
    let directory = std::mem::replace(&mut situation.directory_url, "ldap://127.0.0.1:1".into());
    let error = situation.explain(&["ada"]).unwrap_err();
    assert!(error.contains("the directory could not be read"), "{error}");
    situation.directory_url = directory;
    let busy = |call: &Call| (call.kind == CallKind::Read).then_some(Fault::Html(503));
    situation.ftrack().fail_when(busy);
    let error = situation.explain(&["ada"]).unwrap_err();
    assert!(error.contains("ftrack could not be read"), "{error}");
}

#[test]
fn an_account_that_is_asked_for_twice_is_found_by_its_user() {
    // The person was renamed in the directory, and the user still has the former login.
    let situation = Situation::synced(&["ada"]).then(|studio| {
        let uid = ["lovelace"];
        studio.tree().rename(&dn("ada"), &dn("lovelace")).unwrap();
        studio.tree().replace(&dn("lovelace"), "uid", &uid).unwrap();
    });
    for who in ["ada", "lovelace"] {
        let explained = explain(&situation, who);
        assert_eq!(explained.verdict.as_str(), "update", "{who}");
        assert_eq!(explained.directory.unwrap().dn, dn("lovelace"));
        assert_eq!(explained.ftrack.unwrap().username, "ada");
    }
}

#[test]
fn a_pause_is_told_before_a_run_found_it() {
    let studio = Studio::of(&["ada", "bob"]).for_a_daemon("");
    studio.sync();
    leave(&studio, "ada");
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["pause", "--only", "deactivate"]);
    let explained = explain(&studio, "ada");
    let held = explained.change.as_ref().and_then(|change| change.held_by);
    assert_eq!(held, Some(HeldBy::Paused), "{explained:#?}");
    // And no longer once it is over, although the last run was held by it.
    let report = studio.sync();
    assert_eq!((report.counts.held, report.counts.deactivated), (1, 0));
    must(&studio, 0, &["resume", "--only", "deactivate"]);
    let explained = explain(&studio, "ada");
    assert_eq!(explained.verdict.as_str(), "deactivate", "{explained:#?}");
    assert!(daemon.stop().0.success());
}

#[test]
fn what_a_limit_holds_is_told_also_after_runs_for_others() {
    let people: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let studio = Situation::synced(&people);
    for uid in ["user0", "user1", "user2"] {
        leave(&studio, uid);
    }
    studio.sync();
    let is_held = |why: &str| {
        let explained = explain(&studio, "user0");
        let held = explained.change.as_ref().and_then(|change| change.held_by);
        assert_eq!(held, Some(HeldBy::Limit), "{why}: {explained:#?}");
        assert_eq!(explained.verdict.as_str(), "held");
    };
    is_held("after the run that held it");
    let approved = studio.run(&["approve", "1", "--only", "user2"]);
    assert_eq!(approved.status, 0, "{}", approved.stderr);
    is_held("after an approval of somebody else's");
    studio.synced(&["sync", "--format", "json", "--only", "user7"]);
    is_held("after a run for somebody else");
    std::fs::remove_dir_all(studio.state_dir().join("reports")).unwrap();
    is_held("without the reports");
}

#[test]
fn who_was_rejected_is_told_so() {
    let studio = Situation::synced(&["ada", "bob", "cyd", "dan"]);
    leave(&studio, "ada");
    leave(&studio, "bob");
    studio.sync();
    let rejected = studio.run(&["reject", "1", "--only", "ada"]);
    assert_eq!(rejected.status, 0, "{}", rejected.stderr);
    for _ in 0..2 {
        let explained = explain(&studio, "ada");
        assert_eq!(explained.verdict.as_str(), "rejected", "{explained:#?}");
        assert!(
            explained.reason.contains("a person rejected it"),
            "{explained:#?}"
        );
        let guard = explained.steps.last().unwrap();
        assert_eq!((guard.step, guard.passed), (StepName::Guard, false));
        studio.sync();
    }
}

#[test]
fn values_that_do_not_fit_are_named_and_so_are_pictures() {
    let situation = Situation::of(&["ada", "bob"])
        .config(
            "[jobs.artists.attributes]\n\"custom_attributes.floor\" = \"roomNumber\"\nthumbnail = \
             \"jpegPhoto\"\n",
        )
        .then(|studio| {
            let ftrack = studio.ftrack();
            ftrack.add_custom_attribute("floor", "number").unwrap();
            let room = ["third"];
            studio
                .tree()
                .replace(&dn("ada"), "roomNumber", &room)
                .unwrap();
        })
        .after_sync();
    let pictures: [&[u8]; 1] = [b"\xff\xd8\xff a picture"];
    situation
        .tree()
        .replace_bytes(&dn("bob"), "jpegPhoto", &pictures)
        .unwrap();
    assert_snapshot!(verdicts(&situation, ["ada", "bob"]), @r#"
    ada: invalid_value: the user has the directory's values; but its custom_attributes.floor is not a number: "third", so ftrack keeps what it has
    bob: update: the directory has other values
    "#);
    let steps = explain(&situation, "ada").steps;
    let map = steps.iter().filter(|step| step.step == StepName::Map);
    assert!(map.clone().any(|step| !step.passed), "{steps:#?}");
}

#[test]
fn whose_login_an_administrator_has_is_told_so() {
    let situation = Situation::of(&["ada", "admin"]);
    let explained = situation.explain(&["admin"]).unwrap();
    assert_eq!(explained.verdict.as_str(), "protected");
    let user = explained.ftrack.unwrap();
    assert_eq!((&*user.username, user.administrator), ("admin", Some(true)));
    let text = situation.run(&["explain", "admin"]).stdout;
    assert!(text.contains("administrators are never adopted"), "{text}");
    assert!(text.contains("is not adopted"), "{text}");
    assert!(!text.contains("no user\n"), "{text}");
    assert!(!text.contains("somebody else"), "{text}");
}
