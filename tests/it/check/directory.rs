//! Planted faults of the directory, one by one.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    slapd,
    world::{ClosedPort, World, bare},
};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    slapd::{Certificate, PEOPLE, Setup, Slapd},
};

#[test]
fn a_name_that_does_not_resolve() {
    let mut world = World::at("ldaps://no-such-name.invalid");
    world.directory_settings = "connect_timeout = \"20s\"".into();
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(
            "fail name about directory studio ldaps://no-such-name.invalid: the name \
             no-such-name.invalid cannot be resolved ("
        ) && trouble.ends_with("); check the name and this machine's DNS"),
        "{trouble}"
    );
}

#[test]
fn a_closed_port_of_one_of_the_servers() {
    let slapd = slapd();
    let closed = ClosedPort::new();
    let port = closed.port();
    let mut world = World::over(&slapd);
    world.urls.insert(0, format!("ldap://127.0.0.1:{port}"));
    let checked = world.check(&[]);
    assert_eq!(
        checked.only_trouble(),
        (
            format!(
                "fail port about directory studio ldap://127.0.0.1:{port}: cannot connect to \
                 127.0.0.1:{port} (Connection refused (os error 111)); check the server, its port \
                 and any firewall in between"
            ),
            1
        )
    );
    let other = format!("directory studio {}", bare(&slapd.tls_url()));
    assert_eq!(
        checked.well(&other),
        super::SERVER,
        "the other server is looked at"
    );
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let slapd = slapd();
    let elsewhere = self::slapd();
    let mut world = World::over(&slapd);
    world.directory_settings = format!("ca_file = {:?}", elsewhere.ca_file());
    let url = bare(&slapd.tls_url());
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!(
            "fail tls about directory studio {url}: the server's certificate is not trusted ("
        )) && trouble.ends_with(
            "; set ca_file to the certificate of its issuer, or to the server's own if it is \
             self-signed"
        ),
        "{trouble}"
    );
}

#[test]
fn no_library_tells_an_error_beside_the_programs_own() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.directory_settings = String::new();
    for format in ["text", "json"] {
        let ended = world.run(&["--log-format", format, "--log-filter", "error"]);
        assert!(ended.stdout.contains("is not trusted"), "{}", ended.stdout);
        assert_eq!(ended.stderr, "");
        // Whoever wants to know more gets it, without the folders in which it was built.
        let filter = "off,rustls_platform_verifier=trace";
        let ended = world.run(&["--log-format", format, "--log-filter", filter]);
        assert!(ended.stderr.contains("verify"), "{}", ended.stderr);
        for path in [".rs", "log.file", "log.line", "log.module_path"] {
            assert!(!ended.stderr.contains(path), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_certificate_for_another_host() {
    let slapd = Setup::new(crate::directory::people(3))
        .certificate(Certificate::WrongHost)
        .start();
    let url = bare(&slapd.tls_url());
    let (trouble, status) = World::over(&slapd).check(&[]).only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!(
            "fail tls about directory studio {url}: the server's certificate is not for 127.0.0.1 \
             but for "
        )) && trouble.contains("elsewhere.test")
            && trouble.ends_with(
                "; use a name from the certificate in the URL, or renew the certificate with this \
                 name"
            ),
        "{trouble}"
    );
}

#[test]
fn a_refused_bind_is_tried_at_one_server_only() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    let (plain, tls) = (bare(&slapd.url()), bare(&slapd.tls_url()));
    world.urls = vec![
        tls.clone(),
        plain.clone(),
        tls.replace("127.0.0.1", "localhost"),
    ];
    world.password = "wrong-secret".into();
    let checked = world.check(&[]);
    let spared = |url: &str| {
        format!(
            "warn bind about directory studio {url}: not tried, since {tls} refused the same \
             credentials, and further refusals may lock the account; fix the credentials, and \
             check again"
        )
    };
    assert_eq!(
        checked.trouble(),
        [
            format!(
                "fail bind about directory studio {tls}: the bind as \
                 cn=ldap-sync,ou=services,dc=studio,dc=test (password from {}) was refused with \
                 invalidCredentials (49): the server gave no reason; check bind_dn and the password, and whether the \
                 account is locked",
                world.config().with_file_name("ldap-password").display()
            ),
            spared(&plain),
            spared(&tls.replace("127.0.0.1", "localhost")),
        ]
    );
    assert_eq!(checked.status, 1);
    assert_eq!(
        checked.well(&format!("directory studio {plain}")),
        ["name", "port"],
        "the way to the others is looked at"
    );
    assert_eq!(slapd.logged("method=128"), 1);
}

#[test]
fn a_base_that_is_missing() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.bases.push("ou=gone,dc=studio,dc=test".into());
    let url = bare(&slapd.tls_url());
    assert_eq!(
        world.check(&[]).only_trouble(),
        (
            format!(
                "fail base about job artists at {url}: there is no \"ou=gone,dc=studio,dc=test\", \
                 or it is not visible to the account (the part that exists is \
                 \"dc=studio,dc=test\"); check the search base and the account's rights"
            ),
            1
        )
    );
}

#[test]
fn a_filter_that_matches_nobody() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    let url = bare(&slapd.tls_url());
    let nobody = |result: &str, base: &str| {
        format!(
            "{result} people about job artists at {url}: (uid=person*) matches nobody below \
             {base:?}; check the filter, the base, the scope and the account's rights"
        )
    };
    world.filter = "(uid=person*)".into();
    world.bases = vec!["ou=groups,dc=studio,dc=test".into()];
    assert_eq!(
        world.check(&[]).only_trouble(),
        (nobody("fail", "ou=groups,dc=studio,dc=test"), 1)
    );
    world.job = "[jobs.artists.limits]\nmin_entries = 0".into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        (nobody("warn", "ou=groups,dc=studio,dc=test"), 0)
    );
    world.job = String::new();
    world.bases.push(PEOPLE.into());
    assert_eq!(
        world.check(&[]).only_trouble(),
        (nobody("warn", "ou=groups,dc=studio,dc=test"), 0),
        "somebody is elsewhere"
    );
}

#[test]
fn a_mapped_attribute_that_the_schema_lacks() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    let url = bare(&slapd.tls_url());
    let unknown = |name: &str, way_out: &str| {
        let trouble = format!(
            "fail attribute about job artists at {url}: the directory's schema has no attribute \
             {name}, and no entry shows it; {way_out}"
        );
        (trouble, 1)
    };
    world.attributes = r#"{ username = "uid", first_name = "{{ givenNam }}" }"#.into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        unknown("givenNam", "did you mean givenName?")
    );
    world.attributes = r#"{ username = "sAMAccountName" }"#.into();
    assert_eq!(
        world.check(&[]).only_trouble(),
        unknown("sAMAccountName", "check its name"),
        "nobody could be a user"
    );
    world.attributes = r#"{ username = "uid" }"#.into();
    world.directory_settings += "\nid_attribute = \"entryUID\"";
    assert_eq!(
        world.check(&[]).only_trouble(),
        unknown("entryUID", "did you mean entryUUID?")
    );
}

#[test]
fn several_jobs_share_one_bind() {
    let slapd = slapd();
    let mut world = World::over(&slapd);
    world.job = "[jobs.gone]\nsearch_bases = [\"ou=gone,dc=studio,dc=test\"]\nfilter = \
                 \"(uid=*)\"\nattributes = { username = \"uid\" }"
        .into();
    let checked = world.check(&[]);
    let (trouble, status) = checked.only_trouble();
    let url = bare(&slapd.tls_url());
    assert!(
        status == 1 && trouble.starts_with(&format!("fail base about job gone at {url}: ")),
        "{trouble}"
    );
    assert!(
        checked
            .well(&format!("job artists at {url}"))
            .contains(&"people")
    );
    assert_eq!(slapd.logged("method=128"), 1);
}

#[test]
fn a_server_that_falls_silent_on_the_way_is_asked_no_more() {
    let slapd = slapd();
    let proxy = LdapProxy::start(address(&slapd), Fault::in_search(1, 0, Trouble::Stall));
    let mut world = World::at(proxy.url());
    world.directory_settings = "operation_timeout = \"1s\"".into();
    world.bases.push("ou=groups,dc=studio,dc=test".into());
    let checked = world.check(&[]);
    let (trouble, status) = checked.only_trouble();
    let about = format!("job artists at {}", proxy.url());
    assert!(proxy.injected());
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!(
            "fail people about {about}: page 1 of the search of \"{PEOPLE}\" for "
        )) && trouble.contains(" took longer than 1s; "),
        "{trouble}"
    );
    assert_eq!(
        checked.well(&about),
        ["directory_id", "filter", "base", "base"],
        "the people of the second base are left"
    );
}

#[test]
fn a_busy_server_keeps_nobody_from_binding_to_the_next() {
    let slapd = slapd();
    let proxy = LdapProxy::start(address(&slapd), Fault::at_bind(1, Trouble::Result(51)));
    let mut world = World::at(proxy.url());
    world.urls.push(bare(&slapd.url()));
    let checked = world.check(&[]);
    let (trouble, status) = checked.only_trouble();
    assert_eq!(status, 1);
    assert!(
        trouble.starts_with(&format!(
            "fail bind about directory studio {}: ",
            proxy.url()
        )) && trouble.contains("busy (51)"),
        "{trouble}"
    );
    let next = format!("directory studio {}", bare(&slapd.url()));
    assert_eq!(
        checked.well(&next),
        [
            "name", "port", "bind", "server", "kind", "paging", "clock", "account"
        ]
    );
}

fn address(slapd: &Slapd) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, slapd.url().port().unwrap()))
}

#[test]
fn a_schema_that_cannot_show_who_may_not_sign_in() {
    let mut setup = Setup::new(crate::directory::people(3));
    setup.global = String::new();
    let slapd = setup.start();
    let mut world = World::over(&slapd);
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 0);
    assert!(
        trouble.contains("the directory's schema has no attribute pwdAccountLockedTime, so nobody")
            && trouble.starts_with("warn disabled about"),
        "{trouble}"
    );
    world.job = "disabled = \"never\"".into();
    assert_eq!(world.check(&[]).trouble(), [] as [String; 0]);
}

#[test]
fn a_filter_for_disabled_accounts_that_matches_nobody_is_pointed_out() {
    let slapd = Setup::new(crate::directory::people(3)).start();
    let mut world = World::over(&slapd);
    world.job = "disabled = \"(employeeType=gone)\"".into();
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 0);
    assert!(
        trouble.starts_with("warn disabled about")
            && trouble.contains("0 of 3 people may not sign in: (employeeType=gone)"),
        "{trouble}"
    );
    world.job = "disabled = \"(sn=*)\"".into();
    assert_eq!(world.check(&[]).trouble(), [] as [String; 0]);
}
