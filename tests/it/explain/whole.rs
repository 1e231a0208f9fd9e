//! Everything that is done to somebody is told, and nothing that is not so.

use chrono::Utc;
use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{CallKind, Fault},
    },
    model::{
        change::HeldBy,
        explanation::{Explanation, StepName, Verdict},
        report::ChangeResult,
    },
};
use serde_json::{Value, json};

use super::explain;
use crate::{
    rules::{by_hand, leave},
    situations::Situation,
    studio::{Studio, dn, person},
};

const GROUPS: &str = "ou=groups,dc=studio,dc=test";

/// People of whom these are leads, whose role is given by a group.
fn leads(people: &[&str], members: &[&str]) -> Situation {
    let group = |name: &str| {
        TreeEntry::new(format!("cn={name},{GROUPS}"))
            .with("objectClass", "groupOfNames")
            .with("cn", name)
            .with("member", "cn=nobody,dc=studio,dc=test")
    };
    let leads = members.iter().map(|uid| dn(uid));
    let leads = leads.fold(group("leads"), |group, member| group.with("member", member));
    Situation::of(people)
        .entry(TreeEntry::new(GROUPS).with("objectClass", "organizationalUnit"))
        .entry(leads)
        .entry(group("chiefs"))
        .job(&roles(""))
}

fn roles(more: &str) -> String {
    format!(
        "roles = {{ \"Project Manager\" = [\"cn=leads,{GROUPS}\", \"cn=chiefs,{GROUPS}\"] }}\nlimits = \
         {{ revoke = 10 }}\n{more}"
    )
}

/// The detail of a step.
fn step(explained: &Explanation, name: StepName) -> &str {
    let step = explained.steps.iter().find(|step| step.step == name);
    &step.unwrap_or_else(|| panic!("{explained:#?}")).detail
}

/// Columns with what holds them.
fn parts(explained: &Explanation) -> Vec<(Vec<String>, Option<HeldBy>)> {
    let parts = explained.changes.iter();
    parts
        .map(|part| {
            let names = part.fields.keys().map(|field| field.name());
            (names.collect(), part.held_by)
        })
        .collect()
}

#[test]
fn each_part_of_a_change_is_told_with_what_holds_it() {
    let today = Utc::now().date_naive();
    let freeze = format!(
        "[[jobs.artists.freezes]]\nfrom = \"{today}\"\nto = \"2999-01-01\"\nwhat = [\"update\"]\nreason \
         = \"delivery\"\n"
    );
    let situation = leads(&["ada", "bob"], &["bob"])
        .after_sync()
        .job(&roles(&freeze))
        .then(|studio| {
            let tree = studio.tree();
            tree.replace(&dn("bob"), "sn", &["Lee"]).unwrap();
            let nobody = ["cn=nobody,dc=studio,dc=test"];
            tree.replace(&format!("cn=leads,{GROUPS}"), "member", &nobody)
                .unwrap();
        });
    let explained = explain(&situation, "bob");
    assert_eq!(
        parts(&explained),
        [
            (vec!["last_name".to_owned()], Some(HeldBy::Freeze)),
            (vec!["roles.Project Manager".to_owned()], None),
        ],
        "{explained:#?}"
    );
    assert_eq!(explained.verdict, Verdict::Held);
    assert_eq!(explained.change.as_ref(), explained.changes.first());
    assert!(
        explained
            .reason
            .contains("last_name is held (freeze): update is frozen")
            && explained
                .reason
                .contains("nothing holds roles.Project Manager"),
        "{}",
        explained.reason
    );
    let text = situation.run(&["explain", "bob"]).stdout;
    for told in [
        "last_name: bob -> Lee",
        "held (freeze): update is frozen",
        "roles.Project Manager: all open projects -> (none)",
        "nothing holds it",
    ] {
        assert_eq!(text.matches(told).count(), 1, "{told}: {text}");
    }
    // A plan says the same.
    let planned = situation.plan(&[]).unwrap().changes;
    assert_eq!(planned.len(), explained.changes.len());
}

#[test]
fn why_somebody_has_a_role_or_not_is_told_by_the_groups() {
    let situation = leads(&["ada", "bob"], &["ada"]).after_sync();
    let of = |who| step(&explain(&situation, who), StepName::Groups).to_owned();
    assert_eq!(
        of("ada"),
        format!(
            "role \"Project Manager\": the person is a member of cn=leads,{GROUPS}, and the user has it, \
             given by this job"
        )
    );
    assert_eq!(
        of("bob"),
        format!(
            "role \"Project Manager\": the person is in none of its groups (cn=leads,{GROUPS}, \
             cn=chiefs,{GROUPS}), and the user does not have it"
        )
    );
    let commands = explain(&situation, "bob").commands;
    let of_group = |name: &str| {
        let base = format!("-b 'cn={name},{GROUPS}' -s base");
        commands.iter().any(|command| command.contains(&base))
    };
    assert!(of_group("leads") && of_group("chiefs"), "{commands:#?}");
}

#[test]
fn a_paused_kind_and_a_rejected_change_are_told() {
    let situation = Situation::synced(&["ada", "bob", "cyd", "dan"]).then(|studio| {
        leave(studio, "ada");
        let paused = studio.run(&["pause", "--only", "deactivate", "--reason", "stop"]);
        assert_eq!(paused.status, 0, "{}", paused.stderr);
    });
    let explained = explain(&situation, "ada");
    assert_eq!(parts(&explained)[0].1, Some(HeldBy::Paused));
    let resumed = situation.run(&["resume", "--only", "deactivate"]);
    assert_eq!(resumed.status, 0, "{}", resumed.stderr);

    for uid in ["bob", "cyd"] {
        leave(&situation, uid);
    }
    situation.sync();
    let explained = explain(&situation, "ada");
    let hold = explained.change.as_ref().and_then(|change| change.hold);
    let number = hold.unwrap().to_string();
    assert!(
        explained
            .reason
            .contains(&format!("held (limit, hold {number})"))
    );
    let text = situation.run(&["explain", "ada"]).stdout;
    let approve = format!("`approve {number} --only ada`");
    assert!(text.contains(&approve), "{text}");
    let rejected = situation.run(&["reject", &number, "--only", "ada"]);
    assert_eq!(rejected.status, 0, "{}", rejected.stderr);
    let explained = explain(&situation, "ada");
    assert_eq!(explained.verdict, Verdict::Rejected);
    assert_eq!(explained.changes[0].result, ChangeResult::Rejected);
}

/// Somebody whose user is active, and whose entry cannot be used.
fn unusable(mail: &[&str]) -> Situation {
    let mut situation = Situation::synced(&["ada", "bob"]).job("limits.unusable = \"100%\"");
    situation.attributes =
        "username = \"uid\", email = { from = \"mail\", required = true }".into();
    situation.tree().replace(&dn("ada"), "mail", mail).unwrap();
    situation
}

#[test]
fn the_user_of_an_entry_that_is_skipped_is_shown() {
    for (mail, verdict) in [
        (&[][..], Verdict::MissingValue),
        (&["no address"][..], Verdict::InvalidValue),
    ] {
        let situation = unusable(mail);
        let user = situation.user("ada");
        let id = explain(&situation, &dn("ada")).directory.unwrap();
        for who in ["ada", &dn("ada"), &user.id, &id.directory_id.unwrap()] {
            let explained = explain(&situation, who);
            assert_eq!(explained.verdict, verdict, "{who}");
            let shown = explained.ftrack.as_ref().unwrap();
            assert_eq!((&*shown.username, shown.is_active), ("ada", Some(true)));
            assert!(step(&explained, StepName::Match).contains("ada"), "{who}");
        }
    }
}

#[test]
fn whose_the_login_is_and_what_waits_for_a_decision_about_it_is_told() {
    // A leaver's login is asked for by somebody else, while the leaver's deactivation is held.
    let situation = Situation::synced(&["ada", "bob", "cyd"]).then(|studio| {
        for uid in ["ada", "bob", "cyd"] {
            leave(studio, uid);
        }
        let newcomer = TreeEntry::new("cn=new,ou=people,dc=studio,dc=test")
            .with("objectClass", "inetOrgPerson")
            .with("cn", "new")
            .with("sn", "new")
            .with("uid", "ada");
        studio.tree().add(newcomer).unwrap();
    });
    situation.sync();
    let explained = explain(&situation, "cn=new,ou=people,dc=studio,dc=test");
    assert_eq!(explained.verdict, Verdict::Collision);
    assert_eq!(explained.ftrack, None);
    let matched = step(&explained, StepName::Match);
    assert!(
        matched.contains("no user of the person's own; ada ("),
        "{matched}"
    );
    assert!(
        explained
            .reason
            .contains("successor) waits for a decision about that user: `holds show "),
        "{}",
        explained.reason
    );
}

#[test]
fn a_person_whose_new_login_is_taken_is_told_so_with_the_user() {
    let mut situation = Situation::of(&[]).numbered("ada", "1").numbered("bob", "2");
    situation.attributes = "username = \"employeeNumber\", last_name = \"sn\"".into();
    let situation = situation.after_sync().stranger("3").then(|studio| {
        let tree = studio.tree();
        tree.replace(&dn("ada"), "employeeNumber", &["3"]).unwrap();
        tree.replace(&dn("ada"), "sn", &["Other"]).unwrap();
    });
    let explained = explain(&situation, &dn("ada"));
    assert_eq!(explained.verdict, Verdict::Collision, "{explained:#?}");
    assert_eq!(explained.ftrack.as_ref().unwrap().username, "1");
    assert_eq!(parts(&explained), [(vec!["last_name".to_owned()], None)]);
}

#[test]
fn a_name_that_several_people_have_is_no_name() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        let mail = ["shared@studio.test"];
        studio.tree().add(person("cyd", "New", "Cyd")).unwrap();
        for uid in ["ada", "cyd"] {
            studio.tree().replace(&dn(uid), "mail", &mail).unwrap();
        }
    });
    let refused = situation.run(&["explain", "shared@studio.test"]);
    assert_eq!(refused.status, 2, "{}", refused.stdout);
    for told in [&dn("ada"), &dn("cyd"), "name the person by the DN or an id"] {
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    assert_eq!(explain(&situation, &dn("cyd")).verdict, Verdict::Create);
    assert_eq!(explain(&situation, "cyd").verdict, Verdict::Create);

    // A user whose person has left, and somebody who has the same mail address.
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        studio.tree().remove(&dn("ada")).unwrap();
        studio.tree().add(person("dan", "New", "Dan")).unwrap();
        let mail = ["ada@studio.test"];
        studio.tree().replace(&dn("dan"), "mail", &mail).unwrap();
    });
    let refused = situation.explain(&["ada@studio.test"]).unwrap_err();
    assert!(
        refused.contains(&dn("dan")) && refused.contains("the user ada"),
        "{refused}"
    );
}

#[test]
fn who_is_named_almost_so_is_asked_for() {
    let situation = Situation::synced(&["anna.holm", "bob"])
        .entry(person("carl.berg", "Carl", "Berg"))
        .entry(
            TreeEntry::new("ou=alumni,dc=studio,dc=test").with("objectClass", "organizationalUnit"),
        )
        .entry(
            TreeEntry::new("uid=lea.outside,ou=alumni,dc=studio,dc=test")
                .with("objectClass", "inetOrgPerson")
                .with("uid", "lea.outside")
                .with("cn", "Lea Outside")
                .with("sn", "Outside"),
        )
        .then(|studio| {
            by_hand(
                studio,
                "bob",
                &json!({"first_name": "Bob", "last_name": "Lee"}),
            )
        });
    for (who, meant) in [
        ("ana.holm", "anna.holm"),
        ("Bob Lee", "bob"),
        ("carl.brg", "carl.berg"),
        ("Carl Berg", "uid=carl.berg,ou=people,dc=studio,dc=test"),
        ("Berg Carl", "uid=carl.berg,ou=people,dc=studio,dc=test"),
        ("berg", "uid=carl.berg,ou=people,dc=studio,dc=test"),
        ("lee", "bob"),
        ("Lea Outside", "uid=lea.outside,ou=alumni,dc=studio,dc=test"),
        ("lea.outsid", "lea.outside"),
    ] {
        let explained = explain(&situation, who);
        assert_eq!(explained.verdict, Verdict::Unknown, "{who}");
        let told = format!("; did you mean {meant:?}?");
        assert!(explained.reason.ends_with(&told), "{}", explained.reason);
    }
    assert!(!explain(&situation, "zzz").reason.contains("did you mean"));
    let refused = situation.run(&["explain", "Anna", "Holm"]);
    assert_eq!(refused.status, 2);
    assert!(
        refused.stderr.contains("put them in quotes: explain"),
        "{}",
        refused.stderr
    );
    let help = situation.run(&["explain", "--help"]).stdout;
    assert!(help.contains("[JOB] WHO"), "{help}");
}

#[test]
fn who_deactivated_a_user_is_told_and_when() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| leave(studio, "ada"));
    let run = situation.sync().run;
    situation.sync();
    let explained = explain(&situation, &situation.user("ada").id);
    let told = format!("; the run {run} deactivated the user, at ");
    assert!(
        explained.reason.contains(&told)
            && explained
                .reason
                .contains("because the person is still in the directory"),
        "{}",
        explained.reason
    );
    by_hand(&situation, "bob", &json!({"is_active": false}));
    let explained = explain(&situation, "bob");
    assert!(!explained.reason.contains("deactivated the user, at"));
}

#[test]
fn the_rule_for_disabled_accounts_is_named_with_the_search_for_it() {
    let situation = Situation::of(&["ada"])
        .entry(person("locked", "L", "Locked").with("title", "gone"))
        .job("disabled = \"(title=gone)\"");
    for (who, words) in [
        (
            "ada",
            "the person may sign in; who may not is told by (title=gone)",
        ),
        (
            "locked",
            "the person may not sign in, as the directory shows; who may not is told by",
        ),
    ] {
        let explained = explain(&situation, who);
        let told = step(&explained, StepName::Disabled);
        assert!(told.starts_with(words), "{told}");
        let search = format!("-b '{}' -s base '(title=gone)'", dn(who));
        let is_search = |command: &String| command.contains(&search);
        assert!(explained.commands.iter().any(is_search), "{explained:#?}");
    }
    // The mapped attributes are asked for.
    let explained = explain(&situation, "ada");
    assert!(
        explained.commands[0].contains(" givenName mail sn uid entryUUID"),
        "{explained:#?}"
    );
}

/// What the report of the last run says of somebody.
fn of_last_run(studio: &Studio, who: &str) -> Value {
    let ended = studio.run(&["explain", who, "--run", "last", "--format", "json"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn a_past_run_names_those_whom_it_skipped_or_warned_of() {
    let mut situation = unusable(&[]).entry(person("twin", "T", "Twin"));
    let twin = TreeEntry::new("cn=twin,ou=people,dc=studio,dc=test")
        .with("objectClass", "inetOrgPerson")
        .with("cn", "twin")
        .with("sn", "twin")
        .with("uid", "TWIN")
        .with("mail", "second@studio.test");
    situation.tree().add(twin).unwrap();
    situation.job.push_str("\nusers.deactivate_after = \"1h\"");
    leave(&situation, "bob");
    situation.sync();
    let live = explain(&situation, &dn("ada")).verdict;
    for who in ["ada", &dn("ada")] {
        let told = of_last_run(&situation, who);
        assert_eq!(told["verdict"], live.as_str(), "{told}");
        assert_eq!(told["directory"]["dn"], dn("ada"));
    }
    for who in ["second@studio.test", "cn=twin,ou=people,dc=studio,dc=test"] {
        assert_eq!(of_last_run(&situation, who)["verdict"], "collision");
    }
    let told = of_last_run(&situation, "bob");
    assert_eq!(told["verdict"], "unknown");
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("a warning of that run names it: ") && reason.contains("missing since"),
        "{reason}"
    );
    let text = situation
        .run(&["explain", "nobody", "--run", "last"])
        .stdout;
    assert!(
        text.contains("directory  the report does not say")
            && text.contains("ftrack     the report does not say"),
        "{text}"
    );
    for who in ["ada", "bob", "second@studio.test"] {
        let ended = situation.run(&["runs", "--person", who, "--format", "json"]);
        let runs: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
        let last = situation.reports().pop().unwrap().run;
        assert!(
            runs.iter().any(|run| run["run"] == json!(last)),
            "{who}: {runs:#?}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_no_answer_about_names() {
    let situation = Situation::synced(&["ada"]);
    situation
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::Html(503)));
    assert!(situation.explain(&["nobody"]).is_err());
}
