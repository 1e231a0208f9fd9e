//! An `undo` and a `restore` that are killed at any moment: the next one ends it, the next `sync` does
//! nothing against it, and an `undo` of it puts back as much as it did.

use std::collections::{BTreeMap, BTreeSet};

use ftrack_ldap_sync::{
    demo::{
        directory::TreeEntry,
        ftrack::{Account, Atomicity},
    },
    model::{
        edit::Field,
        report::{ChangeResult, Outcome, Report},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{in_effect, without};
use crate::{
    crash::{Effect, after_first_write, kill_at, late, moment},
    faults::{cases, owned},
    rules::{by_hand, come_back, give_role, leave},
    situations::ftrack_groups::join_by_hand,
    studio::{Studio, dn, person},
    undo::{left, nothing_is_done_again, put_back},
};

const GROUP: &str = "cn=leads,ou=groups,dc=studio,dc=test";
const ROLE: &str = "Project Manager";
const NO_LIMIT: &str = "limits = { deactivate = \"100%\", rename = \"100%\", clear = \"100%\", revoke = \"100%\", reactivate = \"100%\" }";
const PEOPLE: [&str; 7] = ["ada", "bob", "cyd", "dan", "eve", "fay", "hal"];

/// Which command is killed, and when.
#[derive(Debug, Clone)]
struct Crash {
    command: &'static str,
    batch_size: usize,
    atomicity: Atomicity,
    /// The call, counted from the first that writes; those that look at the result count as well.
    nth: u64,
    effect: Effect,
    /// What people do by hand before the command; an undo leaves it alone.
    by_hand: Vec<(&'static str, &'static str)>,
}

fn crash() -> impl Strategy<Value = Crash> {
    let atomicity = select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]);
    let effect = select(vec![Effect::Lost, Effect::Done]);
    let fields = select(vec!["first_name", "email", "last_name", "is_active"]);
    let by_hand = vec((select(PEOPLE.to_vec()), fields), 0..4);
    let command = select(vec!["undo", "restore"]);
    (command, 1_usize..6, atomicity, 1_u64..16, effect, by_hand).prop_map(
        |(command, batch_size, atomicity, nth, effect, by_hand)| Crash {
            command,
            batch_size,
            atomicity,
            nth,
            effect,
            by_hand: if command == "restore" {
                by_hand
            } else {
                Vec::new()
            },
        },
    )
}

fn set_members(studio: &Studio, uids: &[&str]) {
    let members: Vec<String> = uids.iter().map(|uid| dn(uid)).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    studio.tree().replace(GROUP, "member", &members).unwrap();
}

/// The active users with a role or in a group; whoever is deactivated keeps it.
fn with(studio: &Studio, given: &str) -> Vec<String> {
    let users = in_effect(studio).into_values();
    let has = |user: &Account| user.roles.contains(given) || user.groups.contains(given);
    let with = users.filter(|user| user.is_active && has(user));
    with.map(|user| user.username)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// A studio before and after a run that did everything that a run can do to a user.
struct Changed {
    studio: Studio,
    before: BTreeMap<String, Account>,
    run: Report,
}

fn changed(crash: &Crash) -> Changed {
    let mut studio = Studio::of(&PEOPLE).end_to_end();
    let on_show = format!("{{ groups = [{GROUP:?}], projects = [\"show_a\"] }}");
    studio.job = format!(
        "roles = {{ {ROLE:?} = [{GROUP:?}], User = {on_show} }}\ngroups = {{ Lighting = [{GROUP:?}] \
         }}\n{NO_LIMIT}"
    );
    studio.ftrack_settings = format!("batch_size = {}", crash.batch_size);
    let ftrack = studio.ftrack();
    ftrack.change_rules(|rules| rules.atomicity = crash.atomicity);
    let group = json!({"id": "g-light", "name": "Lighting"});
    ftrack.insert("Group", &group).unwrap();
    let project = json!({"id": "p-show_a", "name": "show_a", "is_private": false});
    ftrack.insert("Project", &project).unwrap();
    let tree = studio.tree();
    let groups = TreeEntry::new("ou=groups,dc=studio,dc=test");
    tree.add(groups.with("objectClass", "organizationalUnit"))
        .unwrap();
    let group = TreeEntry::new(GROUP).with("objectClass", "groupOfNames");
    tree.add(group.with("cn", "leads").with("member", dn("ada")))
        .unwrap();
    set_members(&studio, &["ada", "dan"]);
    studio.sync();
    give_role(&studio, "fay", ROLE);
    let row = json!({"is_all_open_projects": true, "is_all_projects": true});
    let key = json!(["role-of-fay"]);
    ftrack.change("UserSecurityRole", &key, &row).unwrap();
    join_by_hand(&studio, "fay", "g-light");
    leave(&studio, "eve");
    studio.sync();

    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    tree.rename(&dn("bob"), &dn("bobby")).unwrap();
    leave(&studio, "cyd");
    come_back(&studio, "eve");
    tree.add(person("gus", "Given", "gus")).unwrap();
    set_members(&studio, &["bobby", "dan", "fay", "gus"]);
    let before = in_effect(&studio);
    let run = studio.sync();
    let counts = &run.counts;
    assert_eq!(
        (counts.created, counts.deactivated, counts.reactivated),
        (1, 1, 1)
    );
    for given in [ROLE, "User@show_a", "Lighting"] {
        assert_eq!(with(&studio, given), ["bobby", "dan", "fay", "gus"]);
    }
    Changed {
        studio,
        before,
        run,
    }
}

/// What people do before the command; a second one takes nothing back.
fn do_by_hand(studio: &Studio, crash: &Crash) {
    for (nth, (uid, field)) in crash.by_hand.iter().enumerate() {
        let login = if *uid == "bob" { "bobby" } else { uid };
        let value = match *field {
            "is_active" => json!(!studio.user(login).is_active),
            field => json!(format!("{field}-{nth}")),
        };
        by_hand(studio, login, &json!({*field: value}));
    }
}

/// Kills the command; whether it was.
fn killed(changed: &Changed, crash: &Crash) -> bool {
    let studio = &changed.studio;
    let moment = moment(studio, crash.effect, after_first_write(crash.nth));
    let arguments = [crash.command, &changed.run.run, "--format", "json"];
    let mut child = studio.start(&arguments);
    let killed = kill_at(studio, &mut child, &moment, crash.effect);
    studio.ftrack().heal();
    killed
}

/// The last run of the job, also one that was killed and has no report yet.
fn last_run(studio: &Studio) -> String {
    let ended = studio.reports().into_iter().map(|report| report.run);
    let journals = std::fs::read_dir(studio.state_dir().join("journals/artists")).unwrap();
    let cut = journals.map(|journal| {
        let journal = journal.unwrap().path();
        journal.file_stem().unwrap().to_str().unwrap().to_owned()
    });
    ended.chain(cut).max().unwrap()
}

/// Nobody has two users, and nobody's user has lost its link.
fn assert_nobody_is_orphaned(studio: &Studio) {
    let owned = owned(studio);
    // ftrack's own two are nobody's.
    let all = studio.ftrack().users().len();
    assert_eq!((owned.len(), all), (PEOPLE.len() + 1, PEOPLE.len() + 3));
}

/// Each value of a user was written once at most, and each role given or taken once.
fn assert_nothing_was_done_twice(studio: &Studio) {
    let mut done = BTreeSet::new();
    for applied in studio.ftrack().applied() {
        if applied.entity_type == "Metadata" {
            continue;
        }
        let news = applied.changes.iter();
        let news = news.filter(|(_, change)| change.old != change.new);
        let news = news.map(|(attribute, change)| format!("{attribute} {}", change.new));
        let mut news: Vec<String> = news.collect();
        // An operation on a role is one thing.
        if applied.entity_type != "User" {
            news = vec![news.join(", ")];
        }
        for new in news {
            let (kind, key) = (applied.entity_type.clone(), applied.key.clone());
            let what = (kind, key, applied.action.clone(), new);
            assert!(done.insert(what.clone()), "twice: {what:?} {applied:?}");
        }
    }
}

fn is_rightly_ended(changed: &Changed, report: &Report) {
    let Changed { studio, before, .. } = changed;
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(left(report), [], "{report:#?}");
    let mut results = report.changes.iter().map(|change| change.result);
    assert!(
        results.all(|result| result == ChangeResult::Applied),
        "{report:#?}"
    );
    assert_eq!(without(studio, &["gus"]), *before, "{report:#?}");
    assert_nobody_is_orphaned(studio);
}

/// What the program gave and took is known as such, once the causes of what was put back have ended.
fn what_was_given_is_known(studio: &Studio) {
    set_members(studio, &["ada", "dan"]);
    assert_eq!(studio.sync().outcome, Outcome::Succeeded);
    assert_eq!(with(studio, "User@show_a"), ["ada", "dan"]);
    for given in [ROLE, "Lighting"] {
        assert_eq!(with(studio, given), ["ada", "dan", "fay"], "{given}");
    }
    set_members(studio, &["dan"]);
    assert_eq!(studio.sync().outcome, Outcome::Succeeded);
    assert_eq!(with(studio, "User@show_a"), ["dan"]);
    for given in [ROLE, "Lighting"] {
        assert_eq!(with(studio, given), ["dan", "fay"], "{given}");
    }
}

/// A link may name a role that a call was to give which was cut off; the next run forgets it, and
/// writes nothing else.
fn links_settle(studio: &Studio) {
    let report = studio.sync();
    for change in &report.changes {
        let is_link = change.fields.keys().all(|field| *field == Field::Link);
        assert!(
            change.result == ChangeResult::Rejected || is_link,
            "{report:#?}"
        );
    }
    nothing_is_done_again(studio);
}

proptest! {
    #![proptest_config(cases(10))]
    #[test]
    fn the_same_command_again_ends_it(crash in crash()) {
        let changed = changed(&crash);
        let studio = &changed.studio;
        do_by_hand(studio, &crash);
        killed(&changed, &crash);
        let report = put_back(studio, &[crash.command, &changed.run.run]);
        is_rightly_ended(&changed, &report);
        assert_nothing_was_done_twice(studio);
        late::pass_time(studio);
        links_settle(studio);
        what_was_given_is_known(studio);
    }

    #[test]
    fn a_sync_in_between_does_nothing_against_it(crash in crash()) {
        let changed = changed(&crash);
        let studio = &changed.studio;
        do_by_hand(studio, &crash);
        let was_killed = killed(&changed, &crash);
        let at_kill = in_effect(studio);
        let report = studio.sync();
        prop_assert_eq!(report.outcome, Outcome::Succeeded, "{:#?}", report);
        assert_nobody_is_orphaned(studio);
        let after = in_effect(studio);
        for (id, user) in &at_kill {
            // Whatever people did by hand to values is the directory's again where the command did
            // not come to it.
            let now = &after[id];
            prop_assert_eq!(user.is_active, now.is_active, "{:#?}", report);
            prop_assert_eq!(&user.roles, &now.roles, "{:#?}", report);
        }
        if crash.by_hand.is_empty() {
            prop_assert_eq!(&after, &at_kill, "{:#?}", report);
        }
        late::pass_time(studio);
        links_settle(studio);
        if was_killed {
            assert_it_is_told(&changed, &crash, &report);
        }
        let report = put_back(studio, &[crash.command, &changed.run.run]);
        is_rightly_ended(&changed, &report);
        links_settle(studio);
    }

    #[test]
    fn an_undo_of_it_puts_back_as_much_as_it_did(crash in crash()) {
        let changed = changed(&crash);
        let studio = &changed.studio;
        do_by_hand(studio, &crash);
        let before = in_effect(studio);
        killed(&changed, &crash);
        let report = put_back(studio, &["undo", &last_run(studio)]);
        prop_assert_eq!(report.outcome, Outcome::Succeeded, "{:#?}", report);
        prop_assert_eq!(in_effect(studio), before, "{:#?}", report);
        assert_nobody_is_orphaned(studio);
        late::pass_time(studio);
        if crash.by_hand.is_empty() {
            links_settle(studio);
        }
    }
}

/// The killed command has a report of its own, which says what it was for and that it was cut off.
fn assert_it_is_told(changed: &Changed, crash: &Crash, next: &Report) {
    let studio = &changed.studio;
    let listed = studio.run(&["runs", "--outcome", "failed", "--format", "json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let [killed] = &listed[..] else {
        panic!("{listed:#?}");
    };
    let run = killed["run"].as_str().unwrap();
    assert!(run < next.run.as_str());
    let report = studio
        .run(&["runs", "show", run, "--format", "json"])
        .report();
    let (undoes, restores) = (report.undoes.as_deref(), report.restores.as_deref());
    let expected = Some(changed.run.run.as_str());
    match crash.command {
        "undo" => assert_eq!((undoes, restores), (expected, None)),
        _ => assert_eq!((undoes, restores), (None, expected)),
    }
    assert!(report.approved_by.is_some(), "{report:#?}");
    let error = report.error.as_deref().unwrap_or_default();
    assert!(
        error.contains("the program ended in the middle of the run"),
        "{report:#?}"
    );
    // What the next run found is what it says.
    for change in &report.changes {
        let is_told = match change.result {
            ChangeResult::Applied | ChangeResult::Planned | ChangeResult::Failed => true,
            ChangeResult::Unconfirmed
            | ChangeResult::Unsettled
            | ChangeResult::Held
            | ChangeResult::Rejected => false,
        };
        assert!(is_told, "{change:#?}");
    }
}
