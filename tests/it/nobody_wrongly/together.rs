//! Several things at once: jobs that are renamed, several hosts, servers that refuse or are down,
//! and approvals of what has changed since.

use ftrack_ldap_sync::model::{
    change::{Action, HeldBy},
    report::{Outcome, Report},
};

use serde_json::json;

use super::{add_unit, forge_link, holds, inactive, many, of, person_in, replica, stored_link};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    rules::{account, add_config, approve, leave, make_administrator},
    slapd::{Setup, ldif_entry},
    studio::{Studio, dn, person},
};

/// The same without the replica in between: it is held by doubt.
#[test]
fn a_base_that_is_suddenly_empty_is_doubted() {
    let mut studio = of(&many(20));
    add_unit(&studio, "london");
    studio.tree().add(person_in("london", "lou")).unwrap();
    studio.job = "limits.deactivate = \"100%\"".into();
    add_config(
        &studio,
        "[jobs.artists]\nsearch_bases = [\"ou=people,dc=studio,dc=test\", \
         \"ou=london,dc=studio,dc=test\"]\n",
    );
    assert_eq!(studio.sync().counts.created, 21);
    studio
        .tree()
        .rename(
            "uid=lou,ou=london,dc=studio,dc=test",
            "uid=lou,dc=studio,dc=test",
        )
        .unwrap();
    assert_eq!(
        holds(&studio.sync(), Action::Deactivate),
        [("lou", HeldBy::Doubt)]
    );
}

/// A job that gets another name keeps its source, as the program itself advises, and its limits.
#[test]
fn a_renamed_job_has_no_new_limit() {
    let uids = many(30);
    let mut studio = of(&uids);
    studio.job = "limits.deactivate = 3".into();
    studio.sync();
    for uid in &uids[..3] {
        leave(&studio, uid);
    }
    assert_eq!(studio.sync().counts.deactivated, 3);
    let rename = |name: &str| {
        let path = studio.config();
        let text = std::fs::read_to_string(&path).unwrap().replace(
            "[jobs.artists]",
            &format!("[jobs.{name}]\nsource = \"artists\""),
        );
        let other = studio.folder().join(format!("{name}.toml"));
        std::fs::write(&other, text).unwrap();
        other
    };
    let config = rename("painters");
    for uid in &uids[3..6] {
        leave(&studio, uid);
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"))
        .args([
            "--config",
            config.to_str().unwrap(),
            "sync",
            "--format",
            "json",
        ])
        .env_clear()
        .output()
        .unwrap();
    assert!(
        !output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        inactive(&studio),
        3,
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// A second host with a state of its own, as where the program fails over: the links tell what the
/// first one did.
#[test]
fn two_hosts_with_one_job_have_one_limit() {
    let uids = many(30);
    let mut studio = of(&uids);
    studio.job = "limits.deactivate = 3".into();
    studio.sync();
    let other = studio.folder().join("other-state");
    let on_the_other_host = || {
        let output = studio
            .command(&["sync", "--format", "json"])
            .env("FTRACK_LDAP_SYNC_STATE_DIR", &other)
            .output()
            .unwrap();
        serde_json::from_slice::<Report>(&output.stdout).unwrap()
    };
    assert_eq!(on_the_other_host().changes.len(), 0);
    for uid in &uids[..3] {
        leave(&studio, uid);
    }
    assert_eq!(studio.sync().counts.deactivated, 3);
    for uid in &uids[3..6] {
        leave(&studio, uid);
    }
    let report = on_the_other_host();
    assert_eq!(inactive(&studio), 3, "{report:#?}");
}

/// A second server that refuses the credentials, while the first takes them, must not stop all work
/// as soon as somebody leaves.
#[test]
fn a_replica_that_refuses_the_bind_does_not_stop_the_job() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    let refusing = LdapProxy::start(
        studio.directory().address(),
        Fault::at_every_bind(Trouble::Result(49)),
    );
    add_config(
        &studio,
        &format!(
            "[directories.studio]\nurls = [{:?}, {:?}]\n",
            studio.directory_url,
            refusing.url()
        ),
    );
    leave(&studio, "ada");
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    let report = studio.sync();
    assert_ne!(report.outcome, Outcome::Failed, "{:?}", report.error);
    assert!(studio.ftrack().user("joiner").is_some(), "{report:#?}");
}

fn other_directory(studio: &Studio, url: &str, more: &str) {
    add_config(
        studio,
        &format!(
            "[directories.other]\nurls = [{url:?}]\nbind_dn = \
             \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
             \"ldap-password\"\n{more}\n[jobs.others]\ndirectory = \"other\"\nsearch_bases = \
             [\"ou=people,dc=studio,dc=test\"]\nfilter = \
             \"(objectClass=inetOrgPerson)\"\nattributes = {{ username = \"uid\", email = \
             \"mail\", first_name = \"givenName\", last_name = \"sn\" }}\n"
        ),
    );
}

/// A job on another directory, which refuses the credentials, or is down, says nothing of the
/// people of this one.
fn somebody_leaves_while_another_jobs_directory(fault: Fault) {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    let elsewhere = Studio::of(&["xen", "yan"]);
    let proxy = LdapProxy::start(elsewhere.directory().address(), fault);
    other_directory(&studio, &proxy.url(), "");
    let sync = || studio.synced(&["sync", "artists", "--format", "json"]);
    assert_eq!(sync().counts.created, 3);
    leave(&studio, "ada");
    let report = sync();
    assert_eq!(
        (report.outcome, report.counts.deactivated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
}

#[test]
fn another_jobs_directory_that_refuses_holds_nobody_here() {
    somebody_leaves_while_another_jobs_directory(Fault::at_every_bind(Trouble::Result(49)));
}

#[test]
fn another_jobs_directory_that_is_down_holds_nobody_here() {
    somebody_leaves_while_another_jobs_directory(Fault::at_every_bind(Trouble::Close));
}

/// The same once that job has users: it is known to be another directory.
#[test]
fn another_jobs_directory_that_is_known_to_be_another() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    let elsewhere = Studio::of(&["xen", "yan"]);
    let proxy = LdapProxy::start(elsewhere.directory().address(), None);
    other_directory(&studio, &proxy.url(), "");
    let sync = |job: &str| studio.synced(&["sync", job, "--format", "json"]);
    assert_eq!(
        sync("artists").counts.created + sync("others").counts.created,
        5
    );
    proxy.set_fault(Fault::at_every_bind(Trouble::Result(49)));
    leave(&studio, "ada");
    let report = sync("artists");
    assert_eq!(
        (report.outcome, report.counts.deactivated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
}

/// What another server shows by now was not there when the plan was looked at: an approval does not
/// cover it.
#[test]
fn apply_does_not_lift_what_was_not_seen() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    let second = replica(&studio, studio.tree().copy());
    add_config(
        &studio,
        &format!(
            "[directories.studio]\nurls = [{:?}, {:?}]\n",
            studio.directory_url,
            second.url()
        ),
    );
    studio.sync();
    leave(&studio, "ada");
    second
        .tree()
        .rename(&dn("ada"), "uid=ada,dc=studio,dc=test")
        .unwrap();
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    studio.plan(&["--out", plan]).unwrap();
    assert!(
        std::fs::read_to_string(plan)
            .unwrap()
            .contains("\"held\": null")
    );
    second
        .tree()
        .rename("uid=ada,dc=studio,dc=test", &dn("ada"))
        .unwrap();
    let report = studio.synced(&["apply", plan, "--format", "json"]);
    assert!(
        studio.user("ada").is_active,
        "the second server shows ada: {report:#?}"
    );
}

/// Somebody who became an administrator since the plan was looked at.
#[test]
fn apply_does_not_take_an_administrator_who_was_none() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.sync();
    studio
        .tree()
        .replace(&dn("ada"), "mail", &["mallory@evil.test"])
        .unwrap();
    leave(&studio, "bob");
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    studio.plan(&["--out", plan]).unwrap();
    make_administrator(&studio, "ada");
    make_administrator(&studio, "bob");
    let report = studio.synced(&["apply", plan, "--format", "json"]);
    assert!(studio.user("bob").is_active, "{report:#?}");
    assert_eq!(
        studio.user("ada").email.as_deref(),
        Some("ada@studio.test"),
        "{report:#?}"
    );
}

/// A link that cannot be read still is somebody's.
#[test]
fn a_link_of_a_newer_version_and_a_rename_make_no_second_user() {
    let text = r#"{"version":3,"user":"@USER","source":"artists","id":"@ID","attribute":"entryUUID","activity":"settled"}"#;
    let studio = of(&many(12));
    studio.tree().add(person("bob", "Bob", "Berg")).unwrap();
    studio.ftrack().add_user(&account("bob")).unwrap();
    assert_eq!(studio.sync().counts.adopted, 1);
    let link = stored_link(&studio, "bob");
    let text = text
        .replace("@USER", link["user"].as_str().unwrap())
        .replace("@ID", link["id"].as_str().unwrap());
    forge_link(&studio, "bob", &serde_json::from_str(&text).unwrap());
    studio.tree().rename(&dn("bob"), &dn("robert")).unwrap();
    let report = studio.sync();
    assert_eq!(report.counts.created, 0, "{text}: {report:#?}");
}

/// A person who went from one job's bases to another's, of which the second server alone knows.
#[test]
fn who_is_among_a_siblings_people_on_another_server_is_not_absent() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    add_unit(&studio, "london");
    studio.job = "limits.deactivate = \"100%\"".into();
    let second = replica(&studio, studio.tree().copy());
    add_config(
        &studio,
        &format!(
            "[directories.studio]\nurls = [{:?}, {:?}]\n[jobs.others]\ndirectory = \
             \"studio\"\nsearch_bases = [\"ou=london,dc=studio,dc=test\"]\nfilter = \
             \"(objectClass=inetOrgPerson)\"\nattributes = {{ username = \"uid\", email = \
             \"mail\", first_name = \"givenName\", last_name = \"sn\" }}\nlimits.min_entries = 0\n",
            studio.directory_url,
            second.url()
        ),
    );
    let sync = || studio.synced(&["sync", "artists", "--format", "json"]);
    sync();
    // bob moved to London; the preferred server may not show that unit, a second one does.
    studio
        .tree()
        .rename(&dn("bob"), "uid=bob,dc=studio,dc=test")
        .unwrap();
    second
        .tree()
        .rename(&dn("bob"), "uid=bob,ou=london,dc=studio,dc=test")
        .unwrap();
    let report = sync();
    assert!(studio.user("bob").is_active, "{report:#?}");
}

/// Users and entries that were taken away together, on purpose, leave nothing to plan: there has to
/// be a way on all the same.
#[test]
fn a_fall_of_links_with_nothing_to_plan_can_be_approved() {
    let studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve"]);
    studio.sync();
    for uid in ["ada", "bob", "cyd"] {
        let id = studio.user(uid).id;
        studio.tree().remove(&dn(uid)).unwrap();
        let _ = studio
            .ftrack()
            .remove("Metadata", &json!([id, "ftrack-ldap-sync"]));
        studio.ftrack().remove("User", &json!([id])).unwrap();
    }
    assert_eq!(studio.sync().outcome, Outcome::Failed);
    let report = approve(&studio);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(studio.sync().outcome, Outcome::Succeeded);
}

/// Search bases in two naming contexts of one server, written in another order: nothing changed.
#[test]
fn the_order_of_search_bases_in_two_naming_contexts_is_no_information() {
    let folder = tempfile::TempDir::new().unwrap();
    let people: String = ["ada", "bob"]
        .iter()
        .map(|uid| {
            ldif_entry(
                &dn(uid),
                &[
                    ("objectClass", "inetOrgPerson"),
                    ("uid", uid),
                    ("cn", uid),
                    ("sn", uid),
                ],
            )
        })
        .collect();
    let server = Setup::new(people)
        .database(&format!(
            "database mdb\nsuffix \"dc=other,dc=test\"\nrootdn \"{}\"\ndirectory {}\naccess to * \
             by users read\n",
            crate::slapd::ADMIN_DN,
            folder.path().display()
        ))
        .start();
    server.change(
        "dn: dc=other,dc=test\nchangetype: add\nobjectClass: domain\ndc: other\n\ndn: \
         uid=xen,dc=other,dc=test\nchangetype: add\nobjectClass: inetOrgPerson\nuid: xen\ncn: \
         xen\nsn: xen\n",
    );
    let mut studio = Studio::empty();
    studio.directory_url = server.url().to_string();
    let bases = |first: &str, second: &str| {
        add_config(
            &studio,
            &format!("[jobs.artists]\nsearch_bases = [{first:?}, {second:?}]\n"),
        )
    };
    let (one, other) = ("ou=people,dc=studio,dc=test", "dc=other,dc=test");
    bases(one, other);
    let report = studio.sync();
    assert_eq!(report.counts.created, 3, "{report:#?}");
    bases(other, one);
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.changes.len()),
        (Outcome::Succeeded, 0),
        "{report:#?}"
    );
}

/// One directory by two tables of the configuration: the second one's account is locked.
#[test]
fn one_directory_by_two_tables_of_which_the_second_account_is_refused_goes_on() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    add_unit(&studio, "london");
    studio.tree().add(person_in("london", "lou")).unwrap();
    studio.job = "limits.deactivate = \"100%\"".into();
    let proxy = LdapProxy::start(studio.directory().address(), None);
    other_directory(&studio, &proxy.url(), "");
    let more = std::fs::read_to_string(studio.folder().join("config.d/more.toml"))
        .unwrap()
        .replace("ou=people", "ou=london");
    add_config(&studio, &more);
    let sync = |job: &str| studio.synced(&["sync", job, "--format", "json"]);
    assert_eq!(
        sync("artists").counts.created + sync("others").counts.created,
        4
    );
    proxy.set_fault(Fault::at_every_bind(Trouble::Result(49)));
    leave(&studio, "ada");
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    let report = sync("artists");
    assert_ne!(report.outcome, Outcome::Failed, "{:?}", report.error);
    assert!(studio.ftrack().user("joiner").is_some(), "{report:#?}");
}

/// What a limit holds must be approvable, also while a second server refuses the credentials.
#[test]
fn a_hold_can_be_approved_while_a_second_server_refuses_the_bind() {
    let uids = many(12);
    let studio = of(&uids);
    studio.sync();
    for uid in &uids[..4] {
        leave(&studio, uid);
    }
    assert_eq!(studio.sync().counts.held, 4);
    let refusing = LdapProxy::start(
        studio.directory().address(),
        Fault::at_every_bind(Trouble::Result(49)),
    );
    add_config(
        &studio,
        &format!(
            "[directories.studio]\nurls = [{:?}, {:?}]\n",
            studio.directory_url,
            refusing.url()
        ),
    );
    let plan = studio.folder().join("plan.json");
    studio.plan(&["--out", plan.to_str().unwrap()]).unwrap();
}

/// Two tables of one directory with accounts of their own, each of which sees one part alone, and
/// both of which name a second server: the other table's part is hidden from an account, and that
/// holds nobody.
#[test]
fn tables_whose_accounts_see_different_parts_hold_nobody() {
    let unit = |name: &str| format!("ou={name},dc=studio,dc=test");
    let account = |name: &str| format!("cn={name},ou=services,dc=studio,dc=test");
    let entry = |uid: &str, name: &str| {
        let attributes = [
            ("objectClass", "inetOrgPerson"),
            ("uid", uid),
            ("cn", uid),
            ("sn", uid),
            ("givenName", uid),
        ];
        ldif_entry(&format!("uid={uid},{}", unit(name)), &attributes)
    };
    let mut ldif = ldif_entry(
        &unit("freelancers"),
        &[("objectClass", "organizationalUnit"), ("ou", "freelancers")],
    );
    ldif += &ldif_entry(
        &account("other-sync"),
        &[
            ("objectClass", "organizationalRole"),
            ("objectClass", "simpleSecurityObject"),
            ("cn", "other-sync"),
            ("userPassword", crate::slapd::SYNC_PASSWORD),
        ],
    );
    ldif += &["ada", "bob", "cyd"]
        .map(|uid| entry(uid, "people"))
        .concat();
    ldif += &["dan", "eve"].map(|uid| entry(uid, "freelancers")).concat();
    let hidden = |name: &str, from: &str| {
        format!(
            "access to dn.subtree=\"{}\" by dn.exact=\"{}\" none by * read",
            unit(name),
            account(from)
        )
    };
    let slapd = Setup::new(ldif)
        .access(&hidden("freelancers", "ldap-sync"))
        .access(&hidden("people", "other-sync"))
        .start();
    let mut studio = Studio::empty();
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.attributes = "username = \"uid\"".into();
    let urls = format!(
        "[\"{}\", \"{}\"]",
        slapd.url(),
        slapd.url().as_str().replace("127.0.0.1", "localhost")
    );
    add_config(
        &studio,
        &format!(
            "[directories.studio]\nurls = {urls}\n[directories.other]\nurls = {urls}\nbind_dn = \
             \"{}\"\nbind_password_file = \"ldap-password\"\n[jobs.others]\ndirectory = \
             \"other\"\nsearch_bases = [\"{}\"]\nfilter = \
             \"(objectClass=inetOrgPerson)\"\nattributes.username = \"uid\"\nlimits.deactivate = \
             \"100%\"\n",
            account("other-sync"),
            unit("freelancers")
        ),
    );
    let sync = |job: &str| studio.synced(&["sync", job, "--format", "json"]);
    assert_eq!(
        (
            sync("artists").counts.created,
            sync("others").counts.created
        ),
        (3, 2)
    );
    for (uid, name) in [("ada", "people"), ("dan", "freelancers")] {
        slapd.change(&format!(
            "dn: uid={uid},{}\nchangetype: delete\n",
            unit(name)
        ));
    }
    for job in ["artists", "others"] {
        let report = sync(job);
        assert_eq!(
            (report.outcome, report.counts.deactivated),
            (Outcome::Succeeded, 1),
            "{job}: {report:#?}"
        );
    }
    // Whoever goes from the one part to the other keeps the user.
    slapd.change(&format!(
        "dn: uid=bob,{}\nchangetype: modrdn\nnewrdn: uid=bob\ndeleteoldrdn: 1\nnewsuperior: {}\n",
        unit("people"),
        unit("freelancers")
    ));
    for job in ["artists", "others", "artists"] {
        let report = sync(job);
        assert_eq!(report.counts.deactivated, 0, "{job}: {report:#?}");
    }
    assert!(studio.user("bob").is_active);
}
