//! Settings that are valid, and probably not what is intended.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeZone, Utc};
use serde_json::json;

use super::{
    slapd,
    world::{World, bare},
};
use crate::rules::account;

/// What is wrong offline.
fn trouble(world: &World) -> Vec<String> {
    world.check(&["--offline"]).trouble()
}

#[test]
fn a_listener_for_everybody() {
    let mut world = World::at("ldaps://ldap.studio.test");
    world.job = "[http]\nlisten = \"0.0.0.0:9464\"".into();
    assert_eq!(
        trouble(&world),
        [
            "warn listener about configuration: http.listen is 0.0.0.0:9464, so that everybody who \
             can reach this machine sees the status page; listen on 127.0.0.1, or let only a proxy \
             that authenticates reach it"
        ]
    );
    world.job = "[http]\nlisten = \"127.0.0.1:9464\"".into();
    assert_eq!(trouble(&world), [] as [String; 0]);
}

#[test]
fn secrets_that_everybody_can_read() {
    let mut world = World::at("ldaps://ldap.studio.test");
    world.mode = 0o644;
    let found = trouble(&world);
    let [key, password] = found.as_slice() else {
        panic!("{found:#?}")
    };
    for (found, key) in [
        (key, "ftrack-api-key, of ftrack.api_key_file;"),
        (
            password,
            "ldap-password, of directories.studio.bind_password_file;",
        ),
    ] {
        assert!(
            found.starts_with("warn secret about configuration: every user"),
            "{found}"
        );
        assert!(found.contains(key), "{found}");
        let (file, _) = key.split_once(',').unwrap();
        let advice = found.split_once("chmod o= ").unwrap().1;
        assert!(advice.starts_with('/') && advice.ends_with(file), "{found}");
    }
    world.mode = 0o640;
    assert_eq!(trouble(&world), [] as [String; 0]);
}

#[test]
fn a_secret_in_a_configuration_that_everybody_can_read() {
    let mut world = World::at("ldaps://ldap.studio.test");
    world.bind = "bind_dn = \"cn=sync\"\nbind_password = \"a secret of nobody\"".into();
    let file = world.config();
    let chmod = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o644);
    let found = trouble(&world);
    let [found] = found.as_slice() else {
        panic!("{found:#?}")
    };
    let wanted = format!(
        "warn secret about configuration: every user of this machine can read {}, of \
         directories.studio.bind_password;",
        file.display()
    );
    assert!(found.starts_with(&wanted), "{found}");
    assert!(found.ends_with("config.toml"), "{found}");
    chmod(0o640);
    assert_eq!(trouble(&world), [] as [String; 0]);
    // Where nothing secret stands in it, everybody may.
    world.bind = World::at("ldaps://ldap.studio.test").bind;
    chmod(0o644);
    assert_eq!(trouble(&world), [] as [String; 0]);
}

#[test]
fn a_secret_of_the_notifications_is_named_in_the_table_that_has_it() {
    for table in ["notifications", "jobs.artists.notifications"] {
        let mut world = World::at("ldaps://ldap.studio.test");
        world.job = format!("[{table}.webhook]\nurl = \"https://hooks.studio.test/planted\"");
        fs::set_permissions(world.config(), fs::Permissions::from_mode(0o644)).unwrap();
        let found = trouble(&world);
        let named = format!(
            "can read {}, of {table}.webhook.url;",
            world.config().display()
        );
        assert!(
            found.iter().any(|found| found.contains(&named)),
            "{found:#?}"
        );
    }
}

#[test]
fn a_token_of_the_pages_that_everybody_can_read() {
    let mut world = World::at("ldaps://ldap.studio.test");
    world.job = "[http]\nlisten = \"127.0.0.1:9464\"\ntokens = [{ name = \"one\", token = \
                 \"a-token-of-nobody\", may = [\"read\"] }]"
        .into();
    let file = world.config();
    let chmod = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o644);
    assert_eq!(
        trouble(&world),
        [format!(
            "warn secret about configuration: every user of this machine can read {}, of \
             http.tokens[0].token; put it into a file of its own, http.tokens[0].token_file, which \
             only its owner can read; or take the right away: chmod o= {}",
            file.display(),
            file.display()
        )]
    );
    chmod(0o640);
    assert_eq!(trouble(&world), [] as [String; 0]);
}

#[test]
fn limits_that_hold_nothing() {
    let mut world = World::at("ldaps://ldap.studio.test");
    world.job = "limits = { deactivate = \"100%\", unusable = \"100%\", clear = \"99%\" }".into();
    assert_eq!(
        trouble(&world),
        [
            "warn limits about job artists: limits.deactivate is 100%, so that it never holds or \
             fails anything; choose a lower limit",
            "warn limits about job artists: limits.unusable is 100%, so that it never holds or \
             fails anything; choose a lower limit",
        ]
    );
}

#[test]
fn whoever_edits_his_own_mail_address_where_users_are_adopted_by_it() {
    let mut world = World::at("ldaps://ldap.studio.test");
    world.job = "users = { adopt = \"email\" }".into();
    world.attributes = "{ username = \"uid\", email = \"mail\" }".into();
    assert_eq!(
        trouble(&world),
        [
            "warn adopt about job artists: users.adopt is \"email\", so whoever can edit his own \
             mail address in the directory can take over somebody else's ftrack account that has \
             no owner; make sure that people cannot edit their own, or recognise users by their \
             login: users.adopt = \"username\""
        ]
    );
    world.job = "users = { adopt = \"username\" }".into();
    assert_eq!(trouble(&world), [] as [String; 0]);
}

#[test]
fn jobs_that_overlap() {
    let mut world = World::at("ldaps://ldap.studio.test");
    let other = |base: &str| {
        format!(
            "[jobs.others]\ndirectory = \"studio\"\nsearch_bases = [\"{base}\"]\nfilter = \
             \"(uid=*)\"\nattributes = {{ username = \"uid\" }}"
        )
    };
    world.job = other("ou=artists,OU=People,dc=studio,dc=test");
    let found = trouble(&world);
    let [artists, others] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert!(
        artists.contains("about job artists: its search bases overlap those of the job others")
    );
    assert!(others.contains("about job others: its search bases overlap those of the job artists"));
    world.job = other("ou=interns,dc=studio,dc=test");
    assert_eq!(trouble(&world), [] as [String; 0]);
}

#[test]
fn a_certificate_file_that_expired() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let mut world = World::at("ldaps://ldap.studio.test");
    world.directory_settings = format!("ca_file = {file:?}");
    let name = file.display();
    let of = format!("{name}, of directories.studio.ca_file,");
    let only = |world: &World| world.check(&["--offline"]).only_trouble();
    fs::write(&file, certificate(2020, 2)).unwrap();
    let (expired, status) = only(&world);
    assert!(
        expired.starts_with(&format!(
            "fail certificate about configuration: {of} expired on 2020-02-03 ("
        )) && expired.ends_with(" days ago); replace it with one that is valid"),
        "{expired}"
    );
    assert_eq!(status, 2);
    fs::write(&file, certificate(2020, 2) + &certificate(2099, 2)).unwrap();
    let (expired, status) = only(&world);
    assert!(
        expired.starts_with(&format!(
            "warn certificate about configuration: {name}, of directories.studio.ca_file: 1 of 2 \
             certificates expired, the first on 2020-02-03 ("
        )) && expired.ends_with(" days ago); replace it with one that is valid"),
        "{expired}"
    );
    assert_eq!(status, 0);
    fs::write(&file, certificate(2099, 2)).unwrap();
    let checked = world.check(&["--offline"]);
    assert_eq!(checked.trouble(), [] as [String; 0]);
    let valid = checked.finding("configuration", "certificate");
    assert!(
        valid
            .detail
            .starts_with(&format!("{of} is valid until 2099-02-03 (in ")),
        "{valid:?}"
    );
    assert_eq!(valid.facts["expires_at"], "2099-02-03T00:00:00Z");
    let days = valid.facts["days_left"].as_i64().unwrap();
    assert_eq!(days, (end(2099, 2) - Utc::now()).num_days());
}

#[test]
fn a_listener_for_all_is_no_trouble_where_pages_ask_for_a_token() {
    let mut world = World::at("ldaps://ldap.studio.test");
    let listen = "[http]\nlisten = \"0.0.0.0:9464\"\n";
    world.job = listen.to_owned();
    let found = trouble(&world);
    assert!(
        found.len() == 1 && found[0].contains("http.listen is 0.0.0.0:9464"),
        "{found:?}"
    );
    let token = "tokens = [{ name = \"eva\", token = \"0123456789abcdef\", may = [\"read\"] }]\n";
    world.job = format!("{listen}{token}");
    assert!(
        !trouble(&world)
            .iter()
            .any(|found| found.contains("http.listen")),
        "{:?}",
        trouble(&world)
    );
}

#[test]
fn certificates_that_expire_soon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let mut world = World::at("ldaps://ldap.studio.test");
    world.directory_settings = format!("ca_file = {file:?}");
    let mut parameters = rcgen::CertificateParams::default();
    let end = SystemTime::now() + Duration::from_secs(9 * 86_400 + 3600);
    parameters.not_after = end.into();
    let soon = signed(&parameters);
    let only = |world: &World| world.check(&["--offline"]).only_trouble();
    fs::write(&file, &soon).unwrap();
    let (trouble, status) = only(&world);
    assert!(
        trouble.contains("of directories.studio.ca_file, expires on ")
            && trouble.ends_with(" (in 9 days); replace it with one that is valid"),
        "{trouble}"
    );
    assert_eq!(status, 0);
    fs::write(&file, soon + &certificate(2099, 2)).unwrap();
    let (trouble, _) = only(&world);
    assert!(
        trouble.contains("ca_file: 1 of 2 certificates expire soon, the first on "),
        "{trouble}"
    );
}

fn end(year: i32, month: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, month, 3, 0, 0, 0).unwrap()
}

fn certificate(year: i32, month: u8) -> String {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(year, month, 3);
    signed(&parameters)
}

fn signed(parameters: &rcgen::CertificateParams) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn users_of_a_source_that_no_job_has() {
    let slapd = slapd();
    let world = World::over(&slapd);
    let link = json!({"v": 1, "source": "painters", "id": "p-1", "attribute": "entryUUID", "activity": "settled"});
    let mut user = account("paula");
    user.metadata
        .insert("ftrack-ldap-sync".into(), link.to_string());
    world.studio().add_user(&user).unwrap();
    let url = bare(&slapd.tls_url());
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 0, "{url}");
    assert!(
        trouble.contains("1 users belong to the source \"painters\", which no job has"),
        "{trouble}"
    );
}
