//! Administrators and protected users: no update takes them over, and links that were forged, moved
//! or copied have no effect.

use std::{
    fs,
    process::{Child, Stdio},
};

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault, Gate},
    model::{
        change::{Action, HeldBy},
        edit::Field,
        report::Report,
    },
};
use serde_json::json;

use super::{forge_link, holds, make_links_earlier, stored_link};
use crate::{
    crash::LIMIT,
    rules::{account, approve, leave, logins, make_administrator},
    slapd::wait_until,
    studio::{Studio, dn},
};

const KEY: &str = "link_key = \"a key of sixteen or more\"";

#[test]
fn login_and_mail_of_an_administrator_wait_for_a_person_and_the_rest_goes_on() {
    for protected in [false, true] {
        let mut studio = Studio::of(&["boss", "ada"]);
        studio.sync();
        if protected {
            studio.job = "users.protect = [\"boss\"]".into();
        } else {
            make_administrator(&studio, "boss");
        }
        // A hostile replica, or a mistake: another login and mail for the id of the boss.
        studio.tree().rename(&dn("boss"), &dn("mallory")).unwrap();
        studio
            .tree()
            .replace(&dn("mallory"), "mail", &["mallory@evil.test"])
            .unwrap();
        studio
            .tree()
            .replace(&dn("mallory"), "sn", &["Changed"])
            .unwrap();
        let report = studio.sync();
        assert_eq!(
            holds(&report, Action::Update),
            [("mallory", HeldBy::Protected)],
            "{report:#?}"
        );
        let held = report
            .changes
            .iter()
            .find(|change| change.held_by.is_some())
            .unwrap();
        assert_eq!(
            held.fields.keys().collect::<Vec<_>>(),
            [&Field::Username, &Field::Email],
            "{held:#?}"
        );
        let boss = studio.user("boss");
        assert_eq!(
            (boss.email.as_deref(), boss.last_name.as_deref()),
            (Some("boss@studio.test"), Some("Changed")),
            "{report:#?}"
        );
        let again = studio.sync();
        assert_eq!(
            (
                again.counts.held,
                again.counts.updated,
                again.ftrack.write_calls
            ),
            (1, 0, 0),
            "{again:#?}"
        );
        assert_eq!(logins(&approve(&studio), Action::Update), ["mallory"]);
        assert_eq!(
            studio.user("mallory").email.as_deref(),
            Some("mallory@evil.test"),
            "a person approved it"
        );
    }
}

#[test]
fn who_takes_the_login_that_an_administrator_would_give_up_waits_as_well() {
    let studio = Studio::of(&["boss", "ada"]);
    studio.sync();
    make_administrator(&studio, "boss");
    studio.tree().rename(&dn("boss"), &dn("chief")).unwrap();
    studio.tree().rename(&dn("ada"), &dn("boss")).unwrap();
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Update),
        [("boss", HeldBy::Protected), ("chief", HeldBy::Protected)],
        "{report:#?}"
    );
    assert_eq!(report.counts.failed, 0, "{report:#?}");
    assert_eq!(approve(&studio).counts.updated, 2);
    studio.sync_changes_nothing();
}

#[test]
fn a_link_that_was_moved_to_an_administrator_counts_as_none() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.ftrack().add_user(&account("boss")).unwrap();
    make_administrator(&studio, "boss");
    let link = stored_link(&studio, "ada");
    forge_link(&studio, "boss", &link);
    studio
        .ftrack()
        .remove(
            "Metadata",
            &json!([studio.user("ada").id, "ftrack-ldap-sync"]),
        )
        .unwrap();
    studio.tree().rename(&dn("ada"), &dn("mallory")).unwrap();
    let before = studio.user("boss");
    let report = studio.sync();
    assert_eq!(studio.user("boss"), before, "{report:#?}");
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("\"boss\" names another user")),
        "{report:#?}"
    );
    // Somebody who vanishes does not take the administrator along either.
    leave(&studio, "mallory");
    studio.sync();
    assert!(studio.user("boss").is_active);
}

#[test]
fn a_forged_link_deactivates_no_administrator() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    studio.ftrack().add_user(&account("boss")).unwrap();
    make_administrator(&studio, "boss");
    let mut link = stored_link(&studio, "ada");
    link["user"] = json!(studio.user("boss").id);
    link["id"] = json!("00000000-0000-4000-8000-00000000dead");
    forge_link(&studio, "boss", &link);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("boss", HeldBy::Protected)],
        "{report:#?}"
    );
    assert!(studio.user("boss").is_active);
}

#[test]
fn a_copied_link_deactivates_nobody_of_those_who_carry_it() {
    for earlier in [false, true] {
        let mut studio = Studio::of(&["ada", "bob"]);
        studio.job = "limits.deactivate = \"100%\"".into();
        studio.sync();
        studio.ftrack().add_user(&account("twin")).unwrap();
        if earlier {
            make_links_earlier(&studio);
        }
        let link = stored_link(&studio, "ada");
        forge_link(&studio, "twin", &link);
        leave(&studio, "ada");
        let report = studio.sync();
        assert!(studio.user("twin").is_active, "{report:#?}");
        // The link of this version names its user, so that the copy is none; of two earlier ones
        // nobody can say which is right.
        assert_eq!(studio.user("ada").is_active, earlier, "{report:#?}");
        if earlier {
            assert!(
                report
                    .warnings
                    .iter()
                    .any(|warning| warning.contains("have the same link")),
                "{report:#?}"
            );
        }
    }
}

#[test]
fn signed_links_are_believed_and_others_wait_for_a_person() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.ftrack_settings = KEY.into();
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    studio.sync_changes_nothing();
    // Somebody with the right to change metadata says that ada is another person.
    let mut link = stored_link(&studio, "ada");
    assert_eq!(link["signature"].as_str().unwrap().len(), 64);
    let true_link = link.clone();
    link["id"] = json!("00000000-0000-4000-8000-00000000dead");
    forge_link(&studio, "ada", &link);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Doubt)],
        "{report:#?}"
    );
    assert_eq!(report.counts.created, 0, "{report:#?}");
    assert!(studio.user("ada").is_active);
    // The same id by somebody else's hand: ada stays the person, with no second user, and every
    // change waits.
    let mut link = true_link;
    link["activity"] = json!("released");
    forge_link(&studio, "ada", &link);
    studio
        .tree()
        .replace(&dn("ada"), "sn", &["Changed"])
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Update),
        [("ada", HeldBy::Doubt)],
        "{report:#?}"
    );
    assert_ne!(studio.user("ada").last_name.as_deref(), Some("Changed"));
    assert_eq!(approve(&studio).counts.updated, 1);
    assert_eq!(stored_link(&studio, "ada")["activity"], "settled");
    studio.sync_changes_nothing();
}

#[test]
fn a_key_that_is_new_asks_a_person_once() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.ftrack_settings = KEY.into();
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(
            (report.counts.held, report.ftrack.write_calls),
            (2, 0),
            "{report:#?}"
        );
    }
    approve(&studio);
    studio.sync_changes_nothing();
    // Without the key the signatures are not looked at, and nothing is written for want of it.
    studio.ftrack_settings = String::new();
    studio.sync_changes_nothing();
}

#[test]
fn the_api_user_is_no_administrator_who_stays() {
    let mut studio = Studio::of(&["boss", "ada"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    // The only administrator beside the API user.
    for role in studio.ftrack().rows("UserSecurityRole").unwrap() {
        if role["user_id"] != json!(studio.user("ldap-sync").id) {
            studio
                .ftrack()
                .remove("UserSecurityRole", &json!([role["id"]]))
                .unwrap();
        }
    }
    make_administrator(&studio, "boss");
    leave(&studio, "boss");
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("boss", HeldBy::Administrator)],
        "{report:#?}"
    );
    approve(&studio);
    assert!(studio.user("boss").is_active, "nobody can approve that");
}

/// Two jobs, each of which would take one of the last two administrators.
#[test]
fn jobs_that_run_at_once_do_not_take_the_last_administrators_together() {
    let mut studio = Studio::of(&["boss", "ada"]);
    super::add_unit(&studio, "london");
    for uid in ["chief", "lou"] {
        studio.tree().add(super::person_in("london", uid)).unwrap();
    }
    studio.job = format!(
        "limits.deactivate = \"100%\"\n[jobs.others]\ndirectory = \"studio\"\nsearch_bases = \
         [\"ou=london,dc=studio,dc=test\"]\nfilter = \"(objectClass=inetOrgPerson)\"\nattributes \
         = {{ {} }}\nlimits.deactivate = \"100%\"\n",
        studio.attributes
    );
    let sync = |job: &str| studio.synced(&["sync", job, "--format", "json"]);
    sync("artists");
    sync("others");
    for role in studio.ftrack().rows("UserSecurityRole").unwrap() {
        if role["user_id"] != json!(studio.user("ldap-sync").id) {
            studio
                .ftrack()
                .remove("UserSecurityRole", &json!([role["id"]]))
                .unwrap();
        }
    }
    make_administrator(&studio, "boss");
    make_administrator(&studio, "chief");
    studio.tree().remove(&dn("boss")).unwrap();
    studio
        .tree()
        .remove("uid=chief,ou=london,dc=studio,dc=test")
        .unwrap();
    let plan = |job: &str| {
        let file = studio.folder().join(format!("{job}.plan"));
        studio
            .plan(&[job, "--out", file.to_str().unwrap()])
            .unwrap();
        file
    };
    let plans = [plan("artists"), plan("others")];
    // The first write waits until the other program is about to look at the administrators.
    let gate = Gate::new();
    let held = gate.clone();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Write).then(|| Fault::HoldRequest(held.clone()))
    });
    let started = plans.map(|plan| {
        let mut command = studio.command(&["apply", plan.to_str().unwrap(), "--format", "json"]);
        command.stderr(Stdio::null()).spawn().unwrap()
    });
    assert!(gate.wait_for(1, LIMIT), "nothing was written");
    let looks = |program: &Child| {
        let open = fs::read_dir(format!("/proc/{}/fd", program.id())).unwrap();
        open.filter_map(|file| fs::read_link(file.ok()?.path()).ok())
            .any(|path| path.ends_with("administrators.lock"))
    };
    assert!(wait_until(LIMIT, || started.iter().all(looks)));
    gate.open();
    let reports: Vec<Report> = started
        .into_iter()
        .map(|program| serde_json::from_slice(&program.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    let deactivated: usize = reports.iter().map(|report| report.counts.deactivated).sum();
    let held: Vec<_> = reports
        .iter()
        .flat_map(|report| holds(report, Action::Deactivate))
        .map(|(_, by)| by)
        .collect();
    assert_eq!(
        (deactivated, held),
        (1, vec![HeldBy::Administrator]),
        "{reports:#?}"
    );
    assert!(studio.user("boss").is_active != studio.user("chief").is_active);
}
