//! Binds with Kerberos tickets: at an Active Directory domain and at OpenLDAP with a Kerberos server
//! of its own, over TLS, StartTLS and plain LDAP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    ability::{fake_time, must_skip, must_skip_as_root},
    check::world::{ClosedPort, World},
    directories::servers::{RealDirectory, start},
    slapd::{Certificate, Setup, Slapd, free_port, wait_until, write_certificates},
};

/// What a Kerberos server needs, and the module by which OpenLDAP knows it.
const OF_KDC: &[&str] = &["krb5kdc", "kdb5_util", "kadmin.local", "kinit", "socat"];
const LONGEST: Duration = Duration::from_secs(60);

/// Where the Kerberos library finds its configuration and a key.
struct Keys {
    config: PathBuf,
    keytab: PathBuf,
}

/// A world that binds with tickets at this address.
fn world(url: String, start_tls: &str, ca_file: &Path, keys: &Keys) -> World {
    let mut world = World::at(url);
    world.bind = "sasl = \"gssapi\"".into();
    world.directory_settings = format!("ca_file = {ca_file:?}\npage_size = 3\n{start_tls}");
    world.environment = vec![
        ("KRB5_CONFIG", keys.config.clone()),
        ("KRB5_CLIENT_KTNAME", keys.keytab.clone()),
        ("KRB5CCNAME", "MEMORY:of-the-test".into()),
    ];
    world
}

/// Checks a world in which nothing is wrong; how the bind was made.
fn bind_of(world: &World) -> String {
    let checked = world.check(&[]);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let mut findings = checked.findings.into_iter();
    findings
        .find(|finding| finding.check == "bind")
        .unwrap()
        .detail
}

/// What is wrong with the bind, without the name of the server and its files.
fn trouble_of(world: &World) -> String {
    let checked = world.check(&[]);
    let bind = checked
        .findings
        .into_iter()
        .find(|finding| finding.check == "bind");
    let bind = bind.unwrap();
    assert_eq!(bind.result, "fail", "{bind:?}");
    format!("{}; {}", bind.detail, bind.advice)
}

#[test]
fn at_active_directory() {
    let needed = [
        "samba",
        "samba-tool",
        "socat",
        "unshare",
        "ip",
        "ldapmodify",
    ];
    if must_skip_as_root("at_active_directory", &needed) {
        return;
    }
    let directory = RealDirectory::samba();
    let (ldap, keys) = directory.kerberos();
    let keys = Keys {
        config: keys.join("krb5.conf"),
        keytab: keys.join("client.keytab"),
    };
    for number in 0..10 {
        directory.join(&format!("p{number}"));
    }
    let (ldaps, ldap) = (
        directory.url.replace("127.0.0.1", "localhost"),
        format!("ldap://localhost:{ldap}"),
    );
    for (url, start_tls) in [(&ldaps, ""), (&ldap, "start_tls = true"), (&ldap, "")] {
        let mut world = world(url.clone(), start_tls, &directory.ca_file, &keys);
        world.filter = "(objectClass=user)".into();
        world.attributes =
            r#"{ username = "sAMAccountName", email = "mail", last_name = "sn" }"#.into();
        if start_tls.is_empty() && url == &ldap {
            world.directory_settings = "page_size = 3".into();
        }
        let bind = bind_of(&world);
        assert!(
            bind.starts_with(
                "a bind as ldap-sync@STUDIO.TEST is accepted, the account of the keytab "
            ),
            "{bind}"
        );
    }
    // A ticket is for a name.
    let by_address = world(directory.url.clone(), "", &directory.ca_file, &keys);
    let trouble = trouble_of(&by_address);
    assert!(
        trouble.starts_with("Kerberos does not know this server's LDAP service (Server not found in Kerberos database); "),
        "{trouble}"
    );
}

/// A Kerberos server, which ends with its value.
struct Kdc {
    folder: TempDir,
    _keeper: crate::directories::servers::Keeper,
}

impl Kdc {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let keeper = start("kdc", folder.path(), &[port.to_string()]);
        assert!(
            wait_until(LONGEST, || TcpStream::connect(("127.0.0.1", port)).is_ok()),
            "{}",
            fs::read_to_string(folder.path().join("output")).unwrap_or_default()
        );
        Self {
            folder,
            _keeper: keeper,
        }
    }

    fn keys(&self) -> Keys {
        Keys {
            config: self.folder.path().join("krb5.conf"),
            keytab: self.folder.path().join("client.keytab"),
        }
    }

    /// OpenLDAP that knows its tickets, with more lines of its configuration.
    fn slapd(&self, lines: &str) -> Slapd {
        let person = |number: u32| {
            let name = format!("p{number}");
            crate::slapd::ldif_entry(
                &format!("cn={name},ou=people,dc=studio,dc=test"),
                &[
                    ("objectClass", "inetOrgPerson"),
                    ("cn", &name),
                    ("uid", &name),
                    ("sn", &name),
                    ("mail", &format!("{name}@studio.test")),
                ],
            )
        };
        let mut setup = Setup::new((0..10).map(person).collect::<String>());
        setup.global += &format!(
            "authz-regexp \"^uid=ldap-sync,.*cn=gssapi,cn=auth$\" \"{}\"\n{lines}\n",
            crate::slapd::SYNC_DN
        );
        setup.environment = vec![
            ("KRB5_CONFIG", self.folder.path().join("krb5.conf")),
            ("KRB5_KTNAME", self.folder.path().join("ldap.keytab")),
        ];
        setup.start()
    }
}

/// By its name, for which the ticket is.
fn ldaps(slapd: &Slapd) -> String {
    format!("ldaps://localhost:{}", slapd.tls_url().port().unwrap())
}

fn ldap(slapd: &Slapd) -> String {
    format!("ldap://localhost:{}", slapd.url().port().unwrap())
}

#[test]
fn at_openldap() {
    if must_skip("at_openldap", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("sasl-cbinding tls-endpoint");
    let ca = slapd.ca_file();
    for (url, start_tls) in [
        (ldaps(&slapd), ""),
        (ldap(&slapd), "start_tls = true"),
        (ldap(&slapd), ""),
    ] {
        let world = world(url, start_tls, &ca, &kdc.keys());
        let bind = bind_of(&world);
        assert!(
            bind.ends_with(
                "; the server knows it as dn:cn=ldap-sync,ou=services,dc=studio,dc=test"
            ),
            "{bind}"
        );
    }
    // Sealed, nobody in between reads a name.
    assert!(
        slapd.logged("mech=GSSAPI bind_ssf=256 ssf=256") > 0,
        "{}",
        slapd.log()
    );
    assert!(
        slapd.logged("mech=GSSAPI bind_ssf=0 ssf=") > 0,
        "{}",
        slapd.log()
    );
}

/// The configuration that `init` writes works, with a principal and without.
#[test]
fn a_first_configuration_with_tickets() {
    if must_skip("a_first_configuration_with_tickets", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("");
    let ca = slapd.ca_file();
    let ca = ca.to_str().unwrap();
    for (url, options) in [
        (ldaps(&slapd), &["--bind", "gssapi", "--ca-file", ca][..]),
        (ldap(&slapd), &["--principal", "ldap-sync@STUDIO.TEST"]),
    ] {
        let world = world(url.clone(), "", &slapd.ca_file(), &kdc.keys());
        let bind = crate::init::entered::bind_of(world, &url, options);
        assert!(
            bind.starts_with("a bind as ldap-sync@STUDIO.TEST is accepted"),
            "{bind}"
        );
    }
}

#[test]
fn two_directories_are_entered_by_two_accounts() {
    if must_skip("two_directories_are_entered_by_two_accounts", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("");
    let keys = kdc.keys();
    let (url, ca) = (ldaps(&slapd), slapd.ca_file());
    let mut world = world(url.clone(), "", &ca, &keys);
    world.job = format!(
        "[directories.office]\nurls = [{url:?}]\nca_file = {ca:?}\nsasl = \"gssapi\"\n\
         principal = \"ldap-other@STUDIO.TEST\"\n[jobs.office]\ndirectory = \"office\"\n\
         search_bases = {:?}\nattributes = {{ username = \"uid\" }}\n",
        world.bases
    );
    world.directory_settings += "\nprincipal = \"ldap-sync@STUDIO.TEST\"";
    world.job = format!("directory = \"studio\"\n{}", world.job);
    let details = |world: &World, arguments: &[&str], check: &str| -> Vec<String> {
        let findings = world.check(arguments).findings.into_iter();
        let of_check = findings.filter(|finding| finding.check == check);
        of_check.map(|finding| finding.detail).collect()
    };
    let keytab = format!("the keytab {} (KRB5_CLIENT_KTNAME)", keys.keytab.display());
    let from = |account: &str, cache: &str| {
        format!(
            "the account {account}@STUDIO.TEST of {keytab}, with its tickets in {cache} (KRB5CCNAME)"
        )
    };
    // Each account has a cache of its own.
    let caches = format!("DIR:{}", kdc.folder.path().display());
    world.environment.push(("KRB5CCNAME", (&caches).into()));
    assert_eq!(
        details(&world, &["--offline"], "kerberos"),
        [("office", "ldap-other"), ("studio", "ldap-sync")].map(|(name, account)| format!(
            "directory {name} is entered by a ticket for {}",
            from(account, &caches)
        ))
    );
    let binds = details(&world, &[], "bind");
    assert_eq!(binds.len(), 2, "{binds:?}");
    for (bind, account) in binds.iter().zip(["ldap-other", "ldap-sync"]) {
        let begins = format!(
            "a bind as {account}@STUDIO.TEST is accepted, {}",
            from(account, &caches)
        );
        assert!(bind.starts_with(&begins), "{begins}\n{bind}");
    }
    // One cache is one account's.
    let cache = kdc.folder.path().join("cache");
    world.environment.push(("KRB5CCNAME", cache));
    // The first time, there is none yet when both look for it.
    details(&world, &[], "bind");
    let binds = details(&world, &[], "bind");
    let another = "the credential cache has tickets of another account (";
    let refused = binds.iter().filter(|bind| bind.starts_with(another));
    assert_eq!(refused.count(), 1, "{binds:?}");
    // A keytab that is not there is found without a server.
    world
        .environment
        .push(("KRB5_CLIENT_KTNAME", "/no/keytab".into()));
    let offline = details(&world, &["--offline"], "kerberos");
    assert!(
        offline[0].starts_with("the keytab /no/keytab for directory office cannot be read: "),
        "{offline:?}"
    );
}

#[test]
fn another_keytab_may_be_that_of_another_account() {
    if must_skip("another_keytab_may_be_that_of_another_account", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("");
    let keys = kdc.keys();
    let mut world = world(ldaps(&slapd), "", &slapd.ca_file(), &keys);
    world.job = "limits = { deactivate = \"100%\" }".into();
    let synced = world.command(&["sync"]);
    assert_eq!(synced.status, 0, "{}{}", synced.stdout, synced.stderr);
    slapd.change("dn: cn=p0,ou=people,dc=studio,dc=test\nchangetype: delete\n");
    let plan = |world: &World| world.command(&["plan"]).stdout;
    let as_ever = plan(&world);
    assert!(
        as_ever.contains("Plan for artists: 1 to deactivate\n"),
        "{as_ever}"
    );
    // The same account's, which only lies elsewhere.
    let moved = kdc.folder.path().join("moved.keytab");
    fs::copy(&keys.keytab, &moved).unwrap();
    let with = |world: &mut World, keytab: PathBuf| {
        world.environment.push(("KRB5_CLIENT_KTNAME", keytab));
    };
    with(&mut world, moved);
    assert_eq!(plan(&world), as_ever);
    with(&mut world, kdc.folder.path().join("other.keytab"));
    let plan = plan(&world);
    let held = "1 change is held: the configuration changed (bind account of the directory)";
    assert!(plan.contains(held), "{plan}");
}

/// A server in between with a certificate that is trusted, but is not the directory's.
struct Between {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Between {
    fn start(slapd: &Slapd) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_certificates(folder.path(), Certificate::Good);
        let port = free_port();
        let own = folder.path().display();
        let child = Command::new("socat")
            .arg(format!(
                "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={own}/server.pem,key={own}/server.key"
            ))
            .arg(format!("OPENSSL:127.0.0.1:{},verify=0", slapd.tls_url().port().unwrap()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(wait_until(LONGEST, || TcpStream::connect((
            "127.0.0.1",
            port
        ))
        .is_ok()));
        Self {
            child,
            port,
            folder,
        }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_replaced_certificate_is_noticed() {
    if must_skip("a_replaced_certificate_is_noticed", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("sasl-cbinding tls-endpoint");
    let between = Between::start(&slapd);
    let ca = between.folder.path().join("ca.pem");
    let world = world(
        format!("ldaps://localhost:{}", between.port),
        "",
        &ca,
        &kdc.keys(),
    );
    let trouble = trouble_of(&world);
    assert!(
        trouble.contains(" was refused with invalidCredentials (49): ")
            && trouble.contains("what is in between may replace its certificate (channel binding)"),
        "{trouble}"
    );
    assert!(
        slapd.logged("Incorrect channel bindings") > 0,
        "{}",
        slapd.log()
    );
}

#[test]
fn a_server_that_only_signs_is_refused() {
    if must_skip("a_server_that_only_signs_is_refused", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("sasl-secprops maxssf=1");
    let world = world(ldap(&slapd), "", &slapd.ca_file(), &kdc.keys());
    let trouble = trouble_of(&world);
    assert!(
        trouble.starts_with(
            "the server does not seal messages; it offers: none, signed messages; use ldaps:// "
        ),
        "{trouble}"
    );
    // The exchange ended before anything else was sent.
    assert_eq!(slapd.logged("SRCH"), 0);
}

#[test]
fn each_failure_says_what_to_do() {
    if must_skip("each_failure_says_what_to_do", OF_KDC) {
        return;
    }
    let kdc = Kdc::start();
    let slapd = kdc.slapd("");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let with = |changes: &[(&'static str, PathBuf)]| {
        let mut world = world(ldaps(&slapd), "", &slapd.ca_file(), &kdc.keys());
        world.environment.extend_from_slice(changes);
        trouble_of(&world)
    };
    fs::write(at("garbage"), "not a keytab").unwrap();
    let config = fs::read_to_string(&kdc.keys().config).unwrap();
    let closed = ClosedPort::new();
    let port = config
        .split("127.0.0.1:")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    fs::write(
        at("closed"),
        config.replace(port, &closed.port().to_string()),
    )
    .unwrap();
    fs::write(at("elsewhere"), config.replace("STUDIO.TEST", "OTHER.TEST")).unwrap();
    // A key of an account that is not there, and one that is not the account's.
    let keytab = |name: &str, principal: &str| {
        let input = format!(
            "add_entry -password -p {principal} -k 1 -e aes256-cts\nwrong\nwkt {}\nquit\n",
            at(name).display()
        );
        fs::write(at("input"), input).unwrap();
        let status = Command::new("ktutil")
            .stdin(fs::File::open(at("input")).unwrap())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    };
    keytab("nobody", "nobody@STUDIO.TEST");
    keytab("wrong", "ldap-sync@STUDIO.TEST");
    let (key, cache, configured) = ("KRB5_CLIENT_KTNAME", "KRB5CCNAME", "KRB5_CONFIG");
    for (changes, begins) in [
        (
            vec![(key, at("missing"))],
            format!(
                "the keytab file {} cannot be used: cannot be read: No such file",
                at("missing").display()
            ),
        ),
        (
            vec![(key, at("garbage"))],
            format!(
                "the keytab file {} cannot be used: is not a keytab; ",
                at("garbage").display()
            ),
        ),
        (
            vec![(key, PathBuf::new()), (cache, at("no-cache"))],
            "there is no Kerberos ticket (".into(),
        ),
        (
            vec![(key, at("nobody"))],
            "Kerberos refuses the account or its key (Client not found in Kerberos database); "
                .into(),
        ),
        (
            vec![(key, at("wrong"))],
            "Kerberos refuses the account or its key (".into(),
        ),
        (
            vec![(configured, at("closed"))],
            "no Kerberos server answers (".into(),
        ),
        (
            vec![(configured, at("elsewhere"))],
            "this machine's Kerberos configuration does not know the realm (".into(),
        ),
    ] {
        let trouble = with(&changes);
        assert!(trouble.starts_with(&begins), "{begins}\n{trouble}");
    }
}

#[test]
fn an_old_ticket_and_a_wrong_clock_are_told() {
    let test = "an_old_ticket_and_a_wrong_clock_are_told";
    let (false, Some(clock)) = (must_skip(test, OF_KDC), fake_time(test)) else {
        return;
    };
    let kdc = Kdc::start();
    let slapd = kdc.slapd("");
    let keys = kdc.keys();
    let cache = kdc.folder.path().join("cache");
    let status = Command::new("kinit")
        .env("KRB5_CONFIG", &keys.config)
        .args(["-l", "10h", "-k", "-t"])
        .arg(&keys.keytab)
        .arg("-c")
        .arg(&cache)
        .arg("ldap-sync")
        .status()
        .unwrap();
    assert!(status.success());
    for (offset, begins) in [
        ("+1d", "the Kerberos ticket has expired ("),
        (
            "+1h",
            "this machine's clock differs too much from the Kerberos server's (",
        ),
    ] {
        let mut world = world(ldap(&slapd), "", &slapd.ca_file(), &keys);
        world.environment.extend([
            ("KRB5_CLIENT_KTNAME", PathBuf::new()),
            ("KRB5CCNAME", cache.clone()),
            ("LD_PRELOAD", clock.clone()),
            ("FAKETIME", offset.into()),
        ]);
        let trouble = trouble_of(&world);
        assert!(trouble.starts_with(begins), "{begins}\n{trouble}");
    }
}
