//! The servers of a directory are looked up in the DNS (RFC 2782), by the real program and from a
//! name server of the test.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{
    demo::directory::DirectoryServer,
    model::report::{FailureKind, Report},
};

use crate::{
    check::world::ClosedPort,
    nobody_wrongly::replica,
    resolver::{System, report_of},
    slapd::{Setup, free_port},
    studio::{dn, person},
};

const OF_ALL: &str = "_ldap._tcp.studio.test";
const OF_CONTROLLERS: &str = "_ldap._tcp.dc._msdcs.studio.test";

/// What is answered about a name.
#[derive(Clone)]
enum Say {
    /// These records: priority, weight, port, target.
    Records(Vec<(u16, u16, u16, &'static str)>),
    /// A response code (RFC 1035 section 4.1.1).
    Code(u8),
    Nothing,
}

/// A name server that knows no names but those that it is told.
struct NameServer {
    address: Ipv4Addr,
    names: Arc<Mutex<BTreeMap<&'static str, Say>>>,
    /// The names that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// On an address of loopback that no other test uses; it ends with the process.
    fn start() -> Self {
        // Any free port tells tests apart, in this process and beside it.
        let [high, low] = free_port().to_be_bytes();
        let address = Ipv4Addr::new(127, 53, high, low.clamp(1, 254));
        let socket = UdpSocket::bind((address, 53)).unwrap();
        let names = Arc::<Mutex<BTreeMap<&'static str, Say>>>::default();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (known, noted) = (Arc::clone(&names), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let (name, end) = name_of(&query[..length]);
                let say = known.lock().unwrap().get(name.as_str()).cloned();
                noted.lock().unwrap().push(name);
                if let Some(answer) = answer(&query[..end], &say.unwrap_or(Say::Code(3))) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Self {
            address,
            names,
            asked,
        }
    }

    fn says(&self, name: &'static str, say: Say) {
        self.names.lock().unwrap().insert(name, say);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// The name that a query asks for, and where its question ends.
fn name_of(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 5)
}

/// The answer to a query, which is given up to the end of its question.
fn answer(query: &[u8], say: &Say) -> Option<Vec<u8>> {
    let (code, records) = match say {
        Say::Records(records) => (0, records.as_slice()),
        Say::Code(code) => (*code, [].as_slice()),
        Say::Nothing => return None,
    };
    let mut answer = query.to_vec();
    // A response with recursion, one question, and no records but answers.
    answer[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
    answer[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    for (priority, weight, port, target) in records {
        let mut data = [priority, weight, port]
            .map(|number| number.to_be_bytes())
            .concat();
        for label in target.split('.').filter(|label| !label.is_empty()) {
            data.push(u8::try_from(label.len()).unwrap());
            data.extend(label.as_bytes());
        }
        data.push(0);
        // The name of the question, SRV, IN, and for five minutes.
        answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 1, 44]);
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// A system whose name server that is; none where the machine cannot show it to a program.
fn system(test: &str) -> Option<(System, NameServer, u16)> {
    let system = System::with(test, "files")?;
    let server = NameServer::start();
    let folder = system.studio.folder();
    let hosts = "127.0.0.1 dc1.studio.test dc2.studio.test elsewhere.test\n";
    fs::write(folder.join("hosts"), hosts).unwrap();
    let resolv = format!("nameserver {}\n", server.address);
    fs::write(folder.join("resolv"), resolv).unwrap();
    let port = system.studio.directory().address().port();
    Some((system, server, port))
}

/// The variables for servers of `studio.test`, over plain LDAP where nothing else is said.
fn variables(more: &[(&'static str, &str)]) -> Vec<(String, String)> {
    let usual = [
        ("URLS", "[]"),
        ("SRV", "studio.test"),
        ("SRV_SCHEME", "ldap"),
        ("ALLOW_PLAINTEXT", "true"),
        ("CONNECT_TIMEOUT", "2s"),
    ];
    let all: BTreeMap<&str, &str> = usual.iter().chain(more).copied().collect();
    all.into_iter()
        .map(|(key, value)| {
            let key = format!("FTRACK_LDAP_SYNC_DIRECTORIES__STUDIO__{key}");
            (key, value.to_owned())
        })
        .collect()
}

fn sync(system: &System, more: &[(&'static str, &str)]) -> Report {
    let variables = variables(more);
    let variables: Vec<(&str, String)> = variables
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    system.sync(&variables)
}

#[test]
fn the_servers_of_a_domain_are_used_in_the_order_of_their_records() {
    let test = "the_servers_of_a_domain_are_used_in_the_order_of_their_records";
    let Some((system, names, port)) = system(test) else {
        return;
    };
    let closed = ClosedPort::new();
    let records = vec![
        (10, 0, port, "dc2.studio.test"),
        (0, 0, closed.port(), "dc1.studio.test"),
    ];
    names.says(OF_ALL, Say::Records(records));
    let report = sync(&system, &[]);
    let directory = report.directory.as_ref().unwrap();
    assert_eq!(
        (report.error.as_ref(), directory.server.as_deref()),
        (
            None,
            Some(format!("ldap://dc2.studio.test:{port}").as_str())
        )
    );
    // One look-up for the whole run, first of domain controllers.
    assert_eq!(names.asked(), [OF_CONTROLLERS, OF_ALL]);
    let controller = Say::Records(vec![(0, 100, port, "dc1.studio.test")]);
    names.says(OF_CONTROLLERS, controller);
    for (kind, server, asked) in [
        ("auto", "dc1", OF_CONTROLLERS),
        ("samba", "dc1", OF_CONTROLLERS),
        ("openldap", "dc2", OF_ALL),
    ] {
        let report = sync(&system, &[("KIND", kind)]);
        let directory = report.directory.unwrap();
        let server = format!("ldap://{server}.studio.test:{port}");
        assert_eq!(directory.server, Some(server), "{kind}: {:?}", report.error);
        assert_eq!(names.asked(), [asked], "{kind}");
    }
}

#[test]
fn a_look_up_that_brings_no_server_is_an_error_of_its_own() {
    let test = "a_look_up_that_brings_no_server_is_an_error_of_its_own";
    let Some((system, names, port)) = system(test) else {
        return;
    };
    let outside = vec![(0, 0, port, "elsewhere.test")];
    for (say, reason) in [
        (
            Say::Code(3),
            format!("there are no SRV records of {OF_CONTROLLERS} and {OF_ALL};"),
        ),
        (
            Say::Records(Vec::new()),
            format!("there are no SRV records of {OF_CONTROLLERS} and {OF_ALL};"),
        ),
        (
            Say::Records(vec![(0, 0, 0, ".")]),
            format!("{OF_ALL} says that there is no such service;"),
        ),
        (
            Say::Records(outside),
            format!("{OF_ALL} names no server in the domain, but elsewhere.test;"),
        ),
        (Say::Code(2), OF_ALL.to_owned()),
        (Say::Nothing, String::new()),
    ] {
        names.says(OF_ALL, say);
        let began = Instant::now();
        let report = sync(&system, &[]);
        let error = report.error.unwrap();
        let begin = "the servers of studio.test cannot be looked up: ";
        assert!(error.contains(&format!("{begin}{reason}")), "{error}");
        assert!(
            error.contains("check srv and this machine's DNS"),
            "{error}"
        );
        assert_eq!(report.error_kind, Some(FailureKind::Directory));
        assert!(began.elapsed() < Duration::from_secs(10), "{error}");
    }
}

#[test]
fn a_certificate_must_be_for_the_name_in_the_record() {
    let test = "a_certificate_must_be_for_the_name_in_the_record";
    let Some((system, names, _)) = system(test) else {
        return;
    };
    let slapd = Setup::new("").start();
    let port = slapd.tls_url().port().unwrap();
    let records = vec![
        (0, 0, port, "dc2.studio.test"),
        (0, 0, port, "elsewhere.test"),
    ];
    names.says(OF_ALL, Say::Records(records));
    let ca_file = slapd.ca_file().display().to_string();
    let tls = [("SRV_SCHEME", "ldaps"), ("CA_FILE", ca_file.as_str())];
    let error = sync(&system, &tls).error.unwrap();
    assert!(
        error.contains(&format!("ldaps://dc2.studio.test:{port}"))
            && error.contains("127.0.0.1")
            && error.contains("not for dc2.studio.test"),
        "{error}"
    );
    let variables = variables(&tls);
    let variables: Vec<(&str, String)> = variables
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    let checked = system.start(&["check"], &variables).wait_with_output();
    let checked = String::from_utf8(checked.unwrap().stdout).unwrap();
    for line in [
        format!(
            "  ok    srv                 {OF_ALL} names ldaps://dc2.studio.test:{port}; a \
             certificate must be for the name of its server"
        ),
        format!(
            "  warn  srv                 {OF_ALL} also names elsewhere.test, outside of the domain, \
             which is not used, since records can be forged"
        ),
    ] {
        assert!(checked.contains(&line), "{line}\n{checked}");
    }
}

/// Two servers of which the second one does not have bob yet, after a run that read the first one.
fn with_a_lagging_server(test: &str) -> Option<(System, NameServer, [u16; 2], DirectoryServer)> {
    let (system, names, port) = system(test)?;
    let studio = &system.studio;
    studio.tree().add(person("bob", "Given", "bob")).unwrap();
    let copy = studio.tree().copy();
    copy.remove(&dn("bob")).unwrap();
    let lagging = replica(studio, copy);
    let ports = [port, lagging.address().port()];
    names.says(OF_ALL, both(ports));
    let report = sync(&system, &[]);
    assert_eq!(report.counts.created, 2, "{report:#?}");
    Some((system, names, ports, lagging))
}

fn both([first, second]: [u16; 2]) -> Say {
    Say::Records(vec![
        (0, 0, first, "dc1.studio.test"),
        (10, 0, second, "dc2.studio.test"),
    ])
}

/// A domain controller that is shut down takes its records out of the DNS.
fn without_the_first([_, second]: [u16; 2]) -> Say {
    Say::Records(vec![(10, 0, second, "dc2.studio.test")])
}

#[test]
fn a_server_is_not_preferred_because_the_records_lack_the_first() {
    let test = "a_server_is_not_preferred_because_the_records_lack_the_first";
    let Some((system, names, ports, _lagging)) = with_a_lagging_server(test) else {
        return;
    };
    names.says(OF_ALL, without_the_first(ports));
    for _ in 0..3 {
        let report = sync(&system, &[]);
        let counts = &report.counts;
        assert_eq!((counts.deactivated, counts.held), (0, 1), "{report:#?}");
        let why = "comes first in the DNS in place of dc1.studio.test";
        let warnings = report.warnings.join("\n");
        assert!(warnings.contains(why), "{report:#?}");
    }
    // The former one is back, and releases it.
    names.says(OF_ALL, both(ports));
    let report = sync(&system, &[]);
    assert_eq!(
        (report.counts.held, report.changes.len()),
        (0, 0),
        "{report:#?}"
    );
    names.says(OF_ALL, without_the_first(ports));
    let report = sync(&system, &[("TRUST_REPLICAS", "true")]);
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
}

#[test]
fn a_person_who_approves_what_a_server_shows_makes_it_the_preferred_one() {
    let test = "a_person_who_approves_what_a_server_shows_makes_it_the_preferred_one";
    let Some((system, names, ports, second)) = with_a_lagging_server(test) else {
        return;
    };
    names.says(OF_ALL, without_the_first(ports));
    assert_eq!(sync(&system, &[]).counts.held, 1);
    let plan = system.studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    let variables = variables(&[]);
    let variables: Vec<(&str, String)> = variables
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    let planned = system.start(&["plan", "--out", plan], &variables);
    assert!(planned.wait_with_output().unwrap().status.success());
    let report = report_of(system.start(&["apply", plan, "--format", "json"], &variables));
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    second
        .tree()
        .replace(&dn("ada"), "givenName", &["Augusta"])
        .unwrap();
    let report = sync(&system, &[]);
    assert_eq!(
        (report.counts.updated, report.counts.held),
        (1, 0),
        "{report:#?}"
    );
    // Nor does the former one count, when it is back.
    names.says(OF_ALL, both(ports));
    let report = sync(&system, &[]);
    let warnings = report.warnings.join("\n");
    assert!(
        warnings.contains("in place of dc2.studio.test"),
        "{report:#?}"
    );
}

/// `init` takes the name of a domain for the servers that its records name.
#[test]
fn a_first_configuration_may_name_a_domain() {
    let test = "a_first_configuration_may_name_a_domain";
    let Some((system, names, _)) = system(test) else {
        return;
    };
    let closed = ClosedPort::new();
    let first = (0, 0, closed.port(), "dc1.studio.test");
    names.says(OF_ALL, Say::Records(vec![first]));
    let ftrack = system.studio.ftrack_url();
    let options = [
        ("--server", "studio.test"),
        ("--bind-dn", "cn=ldap-sync,ou=services,dc=studio,dc=test"),
        ("--bind-password-file", "ldap-password"),
        ("--base", "ou=people,dc=studio,dc=test"),
        ("--ftrack", &ftrack),
        ("--api-user", "ldap-sync"),
        ("--api-key-file", "ftrack-api-key"),
        ("--out", "new.toml"),
    ];
    let options = options.into_iter().flat_map(|(name, value)| [name, value]);
    let arguments: Vec<&str> = ["init"].into_iter().chain(options).collect();
    let ended = system.start(&arguments, &[]).wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    let tried = format!(
        "ldaps://dc1.studio.test:{}: cannot connect to",
        closed.port()
    );
    assert!(said.contains(&tried), "{said}");
    assert_eq!(ended.status.code(), Some(1));
    assert!(!system.studio.folder().join("new.toml").exists());
}

/// The same, with a server behind the records, over TLS.
#[test]
fn a_first_configuration_of_a_domain_works() {
    let test = "a_first_configuration_of_a_domain_works";
    let Some((system, names, _)) = system(test) else {
        return;
    };
    let slapd = Setup::new(crate::directory::people(3)).start();
    let port = slapd.tls_url().port().unwrap();
    let record = (0, 0, port, "dc1.studio.test");
    names.says(OF_ALL, Say::Records(vec![record]));
    let folder = system.studio.folder();
    fs::write(folder.join("password"), crate::slapd::SYNC_PASSWORD).unwrap();
    let (ftrack, ca) = (system.studio.ftrack_url(), slapd.ca_file());
    let out = folder.join("new/config.toml").display().to_string();
    fs::create_dir(folder.join("new")).unwrap();
    let state = folder.join("new/state").display().to_string();
    let options = [
        ("--server", "studio.test"),
        ("--ca-file", ca.to_str().unwrap()),
        ("--bind-dn", crate::slapd::SYNC_DN),
        ("--bind-password-file", "password"),
        ("--base", crate::slapd::PEOPLE),
        ("--ftrack", &ftrack),
        ("--api-user", "ldap-sync"),
        ("--api-key-file", "ftrack-api-key"),
        ("--state-dir", &state),
        ("--out", &out),
    ];
    let options = options.into_iter().flat_map(|(name, value)| [name, value]);
    let arguments: Vec<&str> = ["init"].into_iter().chain(options).collect();
    let ended = system.start(&arguments, &[]).wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (said, failed) = (text(ended.stdout), text(ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{said}{failed}");
    let written = fs::read_to_string(&out).unwrap();
    assert!(written.contains("srv = \"studio.test\""), "{written}");
    let found = format!("_ldap._tcp.studio.test names ldaps://dc1.studio.test:{port}");
    assert!(said.contains(&found), "{said}");
    for line in ["0 failed", "is valid with its chain until"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let mut offline = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    offline.args(["--config", &out, "check", "--offline"]);
    let checked = offline.output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}
