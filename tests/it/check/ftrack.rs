//! Planted faults of ftrack, one by one.

use std::sync::Arc;

use axum::{Json, Router, body::Bytes, extract::State, http::HeaderMap, routing::any};
use ftrack_ldap_sync::demo::ftrack::{Fault, Rights};
use serde_json::{Value, json};

use super::{
    slapd,
    world::{ClosedPort, World, bare},
};
use crate::{
    directory::people,
    slapd::{Certificate, Setup, Slapd},
};

fn world() -> (Slapd, World) {
    let slapd = slapd();
    let world = World::over(&slapd);
    (slapd, world)
}

#[test]
fn a_closed_port() {
    let (_slapd, mut world) = world();
    let closed = ClosedPort::new();
    let port = closed.port();
    world.server = format!("http://127.0.0.1:{port}");
    let checked = world.check(&[]);
    let (trouble, status) = checked.only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!("fail port about ftrack http://127.0.0.1:{port}: "))
            && trouble.contains("no connection: ")
            && trouble.ends_with("; check the port in ftrack.server, and that the server runs"),
        "{trouble}"
    );
}

#[test]
fn a_name_that_does_not_resolve() {
    let (_slapd, mut world) = world();
    world.server = "https://no-such-name.invalid".into();
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with("fail name about ftrack https://no-such-name.invalid: ")
            && trouble
                .ends_with("; check the host in ftrack.server and this machine's name resolution"),
        "{trouble}"
    );
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let (slapd, mut world) = world();
    world.server = bare(&slapd.tls_url()).replace("ldaps:", "https:");
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!("fail tls about ftrack {}: ", world.server))
            && trouble.ends_with(
                "; check the server's certificate; for a server with its own certificate \
                 authority set ftrack.ca_file"
            ),
        "{trouble}"
    );
}

#[test]
fn a_certificate_for_another_host() {
    let slapd = Setup::new(people(3))
        .certificate(Certificate::WrongHost)
        .start();
    let ldap = super::slapd();
    let mut world = World::over(&ldap);
    world.server = bare(&slapd.tls_url()).replace("ldaps:", "https:");
    world.ftrack_settings = format!("ca_file = {:?}", slapd.ca_file());
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!("fail tls about ftrack {}: ", world.server))
            && trouble.ends_with("; use the name in the server's certificate in ftrack.server"),
        "{trouble}"
    );
}

#[test]
fn what_answers_is_not_ftrack() {
    let (_slapd, world) = world();
    world.studio().fail_when(|_| Some(Fault::Html(404)));
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!("fail connection about ftrack {}: ", world.server))
            && trouble.contains("the answer was HTTP 404")
            && trouble.ends_with("; check that ftrack.server is the address of an ftrack server"),
        "{trouble}"
    );
}

#[test]
fn a_clock_that_shows_another_time() {
    let (_slapd, world) = world();
    world
        .studio()
        .change_rules(|rules| rules.clock_ahead = chrono::TimeDelta::hours(-5));
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 0);
    let told = format!(
        "warn clock about ftrack {}: this machine's clock and ftrack's are 5h apart; set the clock \
         that is wrong: ",
        world.server
    );
    assert!(trouble.starts_with(&told), "{trouble}");
}

#[test]
fn a_refused_key() {
    let (_slapd, mut world) = world();
    world.key = "wrong-key-wrong-key".into();
    let checked = world.check(&[]);
    let (trouble, status) = checked.only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!("fail key about ftrack {}: ", world.server))
            && trouble.contains("the server refused ftrack.api_user with its API key: ")
            && trouble.ends_with(
                "; check that the user exists and is active, and that the key is that user's; or \
                 create a new key under System settings > Security > API keys"
            ),
        "{trouble}"
    );
}

#[test]
fn no_permission_to_write_users() {
    let (_slapd, world) = world();
    world
        .studio()
        .change_rules(|rules| rules.rights = Rights::NoUserWrites);
    let checked = world.check(&[]);
    assert_eq!(checked.status, 1);
    let trouble = checked.trouble();
    assert_eq!(trouble.len(), 2, "{trouble:#?}");
    assert!(
        trouble[0].starts_with(&format!(
            "fail permission about ftrack {}: the key may not write users: ",
            world.server
        )) && trouble[0]
            .ends_with("; give the role of ftrack.api_user the permission to manage users"),
        "{trouble:#?}"
    );
    assert!(
        trouble[1].starts_with("fail permission_create about ftrack "),
        "{trouble:#?}"
    );
}

#[test]
fn each_right_that_a_job_needs_is_tried_and_no_other() {
    let (_slapd, mut world) = world();
    let nothing = |world: &World| {
        let applied = world.studio().applied();
        applied.iter().all(|applied| applied.changes.is_empty())
    };
    let all = "roles = { User = [\"cn=a,dc=x\"] }\ngroups = { Departments = [\"cn=a,dc=x\"] }\n";
    world
        .studio()
        .insert("Group", &json!({"id": "g-1", "name": "Departments"}))
        .unwrap();
    let rights = |world: &World| -> Vec<(String, String)> {
        let checked = world.check(&[]);
        let rights = checked.findings.into_iter();
        rights
            .filter(|finding| finding.check.starts_with("permission"))
            .map(|finding| (finding.check, finding.result))
            .collect()
    };
    let of = |results: &[(&str, &str)]| -> Vec<(String, String)> {
        let pair = |(check, result): &(&str, &str)| ((*check).to_owned(), (*result).to_owned());
        results.iter().map(pair).collect()
    };
    world.job = "users = { create = false }".into();
    assert_eq!(rights(&world), of(&[("permission", "ok")]));
    for (denied, checks) in [
        (Rights::All, ["ok", "ok", "ok", "ok"]),
        (Rights::NoNewUsers, ["ok", "fail", "ok", "ok"]),
        (Rights::NoRoles, ["ok", "ok", "fail", "ok"]),
        (Rights::NoMemberships, ["ok", "ok", "ok", "fail"]),
    ] {
        world.job = all.into();
        world.studio().change_rules(|rules| rules.rights = denied);
        let names = [
            "permission",
            "permission_create",
            "permission_roles",
            "permission_groups",
        ];
        let expected: Vec<_> = names.into_iter().zip(checks).collect();
        assert_eq!(rights(&world), of(&expected), "{denied:?}");
        assert!(nothing(&world), "{denied:?}: looking changes nothing");
    }
}

#[test]
fn nobody_to_try_the_permission_with() {
    let (_slapd, world) = world();
    let admin = world.studio().user("admin").unwrap();
    world.studio().remove("User", &json!([admin.id])).unwrap();
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 0);
    assert!(
        trouble.starts_with(&format!(
            "warn permission about ftrack {}: cannot determine whether the key may write users: ",
            world.server
        )),
        "{trouble}"
    );
}

#[test]
fn a_schema_without_a_mapped_attribute() {
    let (_slapd, mut world) = world();
    let real = world.server.clone();
    world.server = world.runtime().block_on(without_email(real));
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            format!(
                "fail schema about ftrack {}: this ftrack has no attribute User.email, which a \
                 sync reads or writes; give the key's role read access to it, or ask the vendor \
                 for a version that has it",
                world.server
            ),
            1
        )
    );
}

/// The address of a server that answers as the one at `real`, but whose schema of users has no
/// `email`.
async fn without_email(real: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let forward = async |State(real): State<Arc<String>>, mut headers: HeaderMap, body: Bytes| {
        for name in ["host", "content-length", "accept-encoding"] {
            headers.remove(name);
        }
        let request = reqwest::Client::new()
            .post(format!("{real}/api"))
            .headers(headers)
            .body(body);
        let mut answers: Value = request.send().await.unwrap().json().await.unwrap();
        for schema in answers
            .as_array_mut()
            .into_iter()
            .flatten()
            .filter_map(Value::as_array_mut)
            .flatten()
        {
            if schema["id"] == "User" {
                schema["properties"]
                    .as_object_mut()
                    .unwrap()
                    .remove("email");
            }
        }
        Json(answers)
    };
    let router = Router::new()
        .fallback(any(forward))
        .with_state(Arc::new(real));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[test]
fn a_custom_attribute_that_does_not_exist() {
    let (_slapd, mut world) = world();
    world
        .studio()
        .add_custom_attribute("badge", "text")
        .unwrap();
    world.attributes = r#"{ username = "uid", "custom_attributes.badge" = "cn", "custom_attributes.bagde" = "cn" }"#.into();
    let checked = world.check(&[]);
    assert_eq!(
        checked.only_trouble(),
        (
            "fail custom_attribute about job artists at ftrack: ftrack has no custom attribute \
             \"bagde\" for users readable with this key; create it under Settings > Custom \
             attributes, and give the key's role read and write access to it"
                .into(),
            1
        )
    );
    assert_eq!(checked.well("job artists at ftrack"), ["custom_attribute"]);
}

#[test]
fn a_custom_attribute_whose_values_cannot_be_written() {
    let (_slapd, mut world) = world();
    world
        .studio()
        .add_custom_attribute("age", "expression")
        .unwrap();
    world.attributes = r#"{ username = "uid", "custom_attributes.age" = "cn" }"#.into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            "fail custom_attribute about job artists at ftrack: the custom attribute \"age\" is of \
             the type \"expression\", whose values this program does not write; map one of the \
             types text, url, number, boolean, date, enumerator or dynamic enumerator, or take it \
             out of the job's attributes"
                .into(),
            1
        )
    );
}

#[test]
fn a_user_type_whose_users_are_never_changed() {
    let (_slapd, mut world) = world();
    world.job = "[jobs.artists.users]\nuser_type = \"service\"".into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            "fail user_type about job artists at ftrack: users of the type \"service\" are never \
             changed, so they could never be deactivated either; name another type in \
             users.user_type"
                .into(),
            1
        )
    );
}

#[test]
fn pictures_of_an_attribute_that_does_not_exist() {
    let (slapd, mut world) = world();
    world.attributes = r#"{ username = "uid", thumbnail = "jpegPotho" }"#.into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            format!(
                "warn pictures about job artists at {}: the directory has no attribute jpegPotho, \
                 so no picture is sent; correct attributes.thumbnail, or remove it",
                bare(&slapd.tls_url())
            ),
            0
        )
    );
}

#[test]
fn an_administrator_role_that_does_not_exist() {
    let (_slapd, mut world) = world();
    world.ftrack_settings = "administrator_roles = [\"administrator\", \"Admins\"]".into();
    let checked = world.check(&[]);
    assert_eq!(
        checked.only_trouble(),
        (
            format!(
                "fail administrator_role about ftrack {}: ftrack has no security role \"Admins\" \
                 visible to this key; name in ftrack.administrator_roles one of: API, \
                 Administrator, Project Manager, Restricted User, User",
                world.server
            ),
            1
        )
    );
}

#[test]
fn a_default_role_that_does_not_exist() {
    let (_slapd, mut world) = world();
    world.ftrack_settings = "default_roles = [\"user\", \"Artist\"]".into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            format!(
                "warn default_role about ftrack {}: ftrack has no security role \"Artist\" visible \
                 to this key, so it is not known which one new users get; name in \
                 ftrack.default_roles what System settings > Security > Settings have as the \
                 default role, one of: API, Administrator, Project Manager, Restricted User, User",
                world.server
            ),
            0
        )
    );
}

#[test]
fn a_user_type_that_does_not_exist() {
    let (_slapd, mut world) = world();
    world.job = "[jobs.artists.users]\nuser_type = \"artist\"".into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            "fail user_type about job artists at ftrack: ftrack has no user type \"artist\"; name \
             in users.user_type one of: demo, ftrack, google, ldap, service"
                .into(),
            1
        )
    );
}

#[test]
fn no_active_administrator_in_sight() {
    let (_slapd, mut world) = world();
    world.ftrack_settings = "administrator_roles = [\"Project Manager\"]".into();
    let none = |result: &str| {
        format!(
            "{result} administrators about ftrack {}: no active administrator is visible, so \
             every deactivation would be held; give the role of ftrack.api_user read access to \
             users and security roles, or list your administrators' roles in \
             ftrack.administrator_roles",
            world.server
        )
    };
    assert_eq!(world.check(&[]).only_trouble(), (none("fail"), 1));
    let warned = none("warn");
    world.job = "[jobs.artists.users]\ndeactivate = false".into();
    assert_eq!(world.check(&[]).only_trouble(), (warned, 0));
}

#[test]
fn roles_projects_and_groups_that_are_missing() {
    let mut world = World::at("ldaps://no-such-directory.invalid");
    let studio = world.studio();
    for (entity, row) in [
        ("Project", json!({"id": "p-1", "name": "show_a"})),
        (
            "Project",
            json!({"id": "p-2", "name": "show_b", "status": "hidden"}),
        ),
        ("Group", json!({"id": "g-1", "name": "Departments"})),
        (
            "Group",
            json!({"id": "g-2", "name": "Comp", "parent_id": "g-1"}),
        ),
    ] {
        studio.insert(entity, &row).unwrap();
    }
    let of_job = |world: &World| {
        let checked = world.check(&[]);
        let trouble = checked.trouble();
        let of_job = trouble
            .iter()
            .filter(|line| line.contains(" about job artists at ftrack: "));
        let trouble: Vec<String> = of_job.cloned().collect();
        let well = checked.well("job artists at ftrack");
        let well: Vec<String> = well.into_iter().map(ToString::to_string).collect();
        (well, trouble.join("\n"))
    };
    let roles_and_groups = "\
        roles = { Lead = [\"cn=a,dc=x\"], User = { groups = [\"cn=a,dc=x\"], projects = [\"show_a\", \"show_b\", \"show_c\"] } }\n\
        groups = { Comp = [\"cn=a,dc=x\"], \"Departments/Comp\" = [\"cn=a,dc=x\"], \"Departments/Light\" = [\"cn=a,dc=x\"] }\n";
    world.job = roles_and_groups.into();
    let (well, trouble) = of_job(&world);
    assert_eq!(well, ["project", "role", "group"]);
    insta::assert_snapshot!(trouble, @r#"
    fail role about job artists at ftrack: looking for the job's security roles failed: ftrack has no security role "Lead", which the job's roles name; it has: Administrator, Project Manager, User
    fail project about job artists at ftrack: looking for the job's projects failed: the project "show_b", which the job's roles name, has the status "hidden": roles are given only for active ones; take it out of the job's roles, or open it again; it has: demo, show_a
    fail project about job artists at ftrack: looking for the job's projects failed: ftrack has no project "show_c" visible to this key, which the job's roles name (did you mean "show_a"?); it has: demo, show_a
    fail group about job artists at ftrack: looking for the job's groups failed: ftrack has no group "Comp", which the job's groups name; there is "Departments/Comp": name the groups above it as well; it has: Departments, Departments/Comp
    fail group about job artists at ftrack: looking for the job's groups failed: ftrack has no group "Departments/Light", which the job's groups name; users.create_groups = true makes it; it has: Departments, Departments/Comp
    "#);
    world.job = format!("{roles_and_groups}users = {{ create_groups = true }}");
    let (well, trouble) = of_job(&world);
    assert_eq!(well, ["project", "role", "group", "group", "group"]);
    assert!(!trouble.contains("fail group"), "{trouble}");
}
