//! Whatever a run does and whatever people do by hand after it: an undo restores exactly what the run
//! wrote and nobody changed since.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::Action,
        edit::Field,
        report::{ChangeResult, Outcome, Report},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

use super::{NO_LIMIT, nothing_is_done_again, seen, undo};
use crate::{
    faults::cases,
    rules::{by_hand, come_back, leave},
    studio::{Studio, dn, person},
};

const ALL: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

/// What happens in the directory, or by hand in ftrack.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Mail(usize),
    Name(usize),
    Login(usize),
    Leaves(usize),
    Returns(usize),
    Comes(usize),
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let one = (0_usize..6, 0_usize..6).prop_map(|(kind, who)| match kind {
        0 => Happens::Mail(who),
        1 => Happens::Name(who),
        2 => Happens::Login(who),
        3 => Happens::Leaves(who),
        4 => Happens::Returns(who),
        _ => Happens::Comes(who),
    });
    vec(one, 0..8)
}

/// What people do by hand.
fn edits() -> impl Strategy<Value = Vec<(usize, &'static str)>> {
    let what = select(vec!["email", "last_name", "is_active", "username"]);
    vec((0_usize..6, what), 0..5)
}

fn at(studio: &Studio, who: usize) -> Option<String> {
    let here = dn(ALL[who]);
    studio.tree().find(&here).map(|_| here)
}

fn let_happen(studio: &Studio, all: &[Happens], round: usize) {
    let tree = studio.tree();
    for happens in all {
        match *happens {
            Happens::Mail(who) => {
                if let Some(dn) = at(studio, who) {
                    let mail = format!("{}{round}@new.test", ALL[who]);
                    tree.replace(&dn, "mail", &[&mail]).unwrap();
                }
            }
            Happens::Name(who) => {
                if let Some(dn) = at(studio, who) {
                    tree.replace(&dn, "sn", &[&format!("Name{round}")]).unwrap();
                }
            }
            Happens::Login(who) => {
                if let Some(dn) = at(studio, who) {
                    let login = format!("{}{round}", ALL[who]);
                    tree.replace(&dn, "employeeNumber", &[&login]).unwrap();
                }
            }
            Happens::Leaves(who) => {
                if at(studio, who).is_some() {
                    leave(studio, ALL[who]);
                }
            }
            Happens::Returns(who) => {
                if at(studio, who).is_none() {
                    come_back(studio, ALL[who]);
                }
            }
            Happens::Comes(who) => {
                let uid = format!("new{who}-{round}");
                if tree.find(&dn(&uid)).is_none() {
                    let person = person(&uid, "Given", &uid);
                    tree.add(person.with("employeeNumber", &uid)).unwrap();
                }
            }
        }
    }
}

/// What the users are to be after the undo: where a field has what the run wrote, what it had before.
fn expected(
    before: &BTreeMap<String, Account>,
    run: &Report,
    now: &BTreeMap<String, Account>,
) -> BTreeMap<String, Account> {
    let mut expected = now.clone();
    for change in &run.changes {
        if change.result != ChangeResult::Applied {
            continue;
        }
        let Some(user) = expected.get_mut(&*change.ftrack_id.text()) else {
            continue;
        };
        if change.action == Action::Create {
            user.is_active = false;
            continue;
        }
        let old = &before[&*change.ftrack_id.text()];
        for (field, values) in &change.fields {
            let text = |value: &Option<String>| json!(value);
            match field {
                Field::Email if text(&user.email) == values.new => {
                    user.email.clone_from(&old.email)
                }
                Field::FirstName if text(&user.first_name) == values.new => {
                    user.first_name.clone_from(&old.first_name);
                }
                Field::LastName if text(&user.last_name) == values.new => {
                    user.last_name.clone_from(&old.last_name);
                }
                Field::IsActive if json!(user.is_active) == values.new => {
                    user.is_active = old.is_active;
                }
                Field::Username if json!(user.username) == values.new => {
                    user.username.clone_from(&old.username);
                }
                Field::Username
                | Field::FirstName
                | Field::LastName
                | Field::Email
                | Field::IsActive
                | Field::UserType
                | Field::Invitation
                | Field::Thumbnail
                | Field::Custom(_)
                | Field::Role(_)
                | Field::ProjectRole { .. }
                | Field::Group(_)
                | Field::Link => {}
            }
        }
    }
    expected
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn an_undo_restores_exactly_what_the_run_wrote(
        first in happens(),
        second in happens(),
        edits in edits(),
    ) {
        let mut studio = Studio::of(&ALL);
        // Of fewer and fewer active users, all together would soon be more than all.
        studio.job = NO_LIMIT.replace("\"100%\"", "100");
        studio.attributes = studio.attributes.replace("uid", "employeeNumber");
        for uid in ALL {
            studio.tree().replace(&dn(uid), "employeeNumber", &[uid]).unwrap();
        }
        studio.sync();
        let_happen(&studio, &first, 1);
        studio.sync();
        let_happen(&studio, &second, 2);
        let before = seen(&studio);
        let run = studio.sync();
        prop_assert_eq!(run.outcome, Outcome::Succeeded, "{:#?}", run);
        let written: Vec<String> = seen(&studio).into_values().map(|user| user.username).collect();
        for (nth, (who, what)) in edits.iter().enumerate() {
            let login = &written[who % written.len()];
            let mut names = ALL.iter().chain(["new"].iter());
            if !names.any(|uid| login.starts_with(uid)) {
                continue;
            }
            let value = match *what {
                "is_active" => json!(!studio.user(login).is_active),
                "username" => continue,
                what => json!(format!("{what}-{nth}")),
            };
            by_hand(&studio, login, &json!({*what: value}));
        }
        let now = seen(&studio);
        let expected = expected(&before, &run, &now);
        if run.changes.iter().all(|change| change.result != ChangeResult::Applied) {
            return Ok(());
        }
        let report = undo(&studio, &run);
        prop_assert_eq!(report.outcome, Outcome::Succeeded, "{:#?}", report);
        prop_assert_eq!(seen(&studio), expected, "{:#?}", report);
        if edits.is_empty() {
            nothing_is_done_again(&studio);
        }
    }
}
