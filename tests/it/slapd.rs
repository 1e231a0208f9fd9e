//! A private OpenLDAP server for one test: on loopback, in its own directory, removed with the
//! test.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use ftrack_ldap_sync::config::{Directory, Sasl, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;
use url::Url;

/// The root of the tree.
pub const SUFFIX: &str = "dc=studio,dc=test";
/// The account with all rights and no limits.
pub const ADMIN_DN: &str = "cn=admin,dc=studio,dc=test";
/// Its password.
pub const ADMIN_PASSWORD: &str = "admin-secret";
/// The account that reads; every access rule and limit holds for it. It is an entry that
/// `base_ldif` makes.
pub const SYNC_DN: &str = "cn=ldap-sync,ou=services,dc=studio,dc=test";
/// Its password.
pub const SYNC_PASSWORD: &str = "sync-secret";
/// Where people are.
pub const PEOPLE: &str = "ou=people,dc=studio,dc=test";

/// The socket's file, in the server's folder.
const SOCKET: &str = "ldapi";
/// Makes whoever connects to the socket the account that reads; a line before the databases.
pub const PEER_IS_SYNC: &str = "authz-regexp \
    \"^gidNumber=[0-9]+[+]uidNumber=[0-9]+,cn=peercred,cn=external,cn=auth$\" \
    \"cn=ldap-sync,ou=services,dc=studio,dc=test\"";

/// The URL of a socket.
pub fn socket_url(file: &Path) -> Url {
    let encoded = file.display().to_string().replace('/', "%2F");
    Url::parse(&format!("ldapi://{encoded}")).expect("a URL")
}

/// Which certificate the server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// For 127.0.0.1, localhost and dc1.studio.test.
    Good,
    /// For another host.
    WrongHost,
    /// For a time that is over.
    Expired,
    /// For so many more days, and an hour.
    ForDays(u64),
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// `ldap://`
    Plain,
    /// `ldap://` with StartTLS
    StartTls,
    /// `ldaps://`
    Tls,
    /// `ldapi://`
    Socket,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Entries below the root, besides those of `base_ldif`.
    pub ldif: String,
    /// Which certificate it shows.
    pub certificate: Certificate,
    /// `slapd.conf` lines before the databases: modules, limits.
    pub global: String,
    /// `slapd.conf` lines of the main database: limits, overlays.
    pub database: String,
    /// `slapd.conf` lines before the access rules that every test directory has.
    pub access: String,
    /// All entries, where they come from another server.
    pub export: Option<String>,
    /// The entryUUID of the root: servers that have the same are replicas of one directory.
    pub directory_id: String,
    /// Variables of its environment, besides the test's own.
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl Setup {
    /// A server with these entries and nothing special.
    pub fn new(ldif: impl Into<String>) -> Self {
        Self {
            ldif: ldif.into(),
            certificate: Certificate::Good,
            global: "moduleload ppolicy\n".into(),
            database: String::new(),
            access: String::new(),
            export: None,
            directory_id: "d1d1d1d1-0000-4000-8000-000000000000".into(),
            environment: Vec::new(),
        }
    }

    /// The same with another certificate.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// The same with more lines for the database.
    pub fn database(mut self, lines: &str) -> Self {
        self.database.push_str(lines);
        self.database.push('\n');
        self
    }

    /// The same as a provider of replicas, with this number among the servers (RFC 4533).
    pub fn provider(mut self, number: u16) -> Self {
        writeln!(self.global, "moduleload syncprov\nserverID {number}").expect("a string");
        self.database("overlay syncprov")
    }

    /// The same with the entries of another server.
    pub fn export(mut self, ldif: impl Into<String>) -> Self {
        self.export = Some(ldif.into());
        self
    }

    /// The same as another directory.
    pub fn directory_id(mut self, id: &str) -> Self {
        self.directory_id = id.into();
        self
    }

    /// The same with an access rule that goes before the others.
    pub fn access(mut self, rule: &str) -> Self {
        self.access.push_str(rule);
        self.access.push('\n');
        self
    }

    /// Starts it.
    pub fn start(&self) -> Slapd {
        Slapd::start(self)
    }
}

/// A running server.
#[derive(Debug)]
pub struct Slapd {
    /// The shell that watches over the server: it kills the server as soon as its standard input
    /// ends, which happens when this value is dropped, and also when the test's process dies in any
    /// way.
    keeper: Child,
    pid: u32,
    folder: TempDir,
    port: u16,
    tls_port: u16,
}

impl Slapd {
    fn start(setup: &Setup) -> Self {
        let program = program("slapd");
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_certificates(folder.path(), setup.certificate);
        load(folder.path(), setup);
        // Another process may take a free port before slapd does; then there is another one.
        for _ in 0..5 {
            let (port, tls_port) = (free_port(), free_port());
            let (mut keeper, pid) = spawn(&program, folder.path(), setup, (port, tls_port));
            let socket = folder.path().join(SOCKET);
            if wait_until(Duration::from_secs(20), || {
                answers(port) && answers(tls_port) && UnixStream::connect(&socket).is_ok()
                    || keeper.try_wait().is_ok_and(|status| status.is_some())
            }) && keeper.try_wait().is_ok_and(|status| status.is_none())
            {
                return Self {
                    keeper,
                    pid,
                    folder,
                    port,
                    tls_port,
                };
            }
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        panic!(
            "slapd does not start: {}",
            fs::read_to_string(folder.path().join("slapd.log")).unwrap_or_default()
        );
    }

    /// `ldap://` at 127.0.0.1.
    pub fn url(&self) -> Url {
        Url::parse(&format!("ldap://127.0.0.1:{}", self.port)).expect("a URL")
    }

    /// `ldaps://` at 127.0.0.1.
    pub fn tls_url(&self) -> Url {
        Url::parse(&format!("ldaps://127.0.0.1:{}", self.tls_port)).expect("a URL")
    }

    /// `ldapi://`
    pub fn socket_url(&self) -> Url {
        socket_url(&self.folder.path().join(SOCKET))
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The configuration of this directory, bound as the account that reads, with short time limits
    /// and small pages.
    pub fn directory(&self, over: Over) -> Directory {
        Directory {
            urls: vec![match over {
                Over::Plain | Over::StartTls => self.url(),
                Over::Tls => self.tls_url(),
                Over::Socket => self.socket_url(),
            }],
            srv: None,
            srv_scheme: None,
            kind: None,
            bind_dn: Some(SYNC_DN.into()),
            bind_password: Some(Secret::new(SYNC_PASSWORD.into()).into()),
            start_tls: over == Over::StartTls,
            ca_file: matches!(over, Over::StartTls | Over::Tls).then(|| self.ca_file()),
            client_cert_file: None,
            client_key_file: None,
            sasl: None,
            principal: None,
            page_size: 100,
            connect_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(5),
            pool_size: 2,
            allow_plaintext: false,
            id_attribute: None,
            id: None,
            trust_replicas: false,
        }
    }

    /// The configuration with the client certificate that stands for the account that reads.
    pub fn directory_by_certificate(&self, over: Over) -> Directory {
        Directory {
            kind: None,
            bind_dn: None,
            bind_password: None,
            client_cert_file: Some(self.folder.path().join("client.pem")),
            client_key_file: Some(self.folder.path().join("client.key")),
            sasl: Some(Sasl::External),
            ..self.directory(over)
        }
    }

    /// Writes a new certificate of a client with this name and its key, `FILE.pem` and `FILE.key`;
    /// the lines of a configuration that binds with it.
    pub fn bind_by_certificate(&self, name: &str, file: &str) -> String {
        let folder = self.folder.path();
        let key = fs::read_to_string(folder.join("ca.key")).expect("ca.key");
        let key = KeyPair::from_pem(&key).expect("a key");
        let issuer = Issuer::new(authority(), key);
        write_signed(folder, file, &client_of(name), &issuer);
        let path = |ending: &str| folder.join(format!("{file}.{ending}"));
        format!(
            "sasl = \"external\"\nclient_cert_file = {:?}\nclient_key_file = {:?}",
            path("pem"),
            path("key")
        )
    }

    /// The configuration over the socket, as the user of the test's process.
    pub fn directory_by_peer(&self) -> Directory {
        Directory {
            bind_dn: None,
            bind_password: None,
            sasl: Some(Sasl::External),
            ..self.directory(Over::Socket)
        }
    }

    /// Sends a signal: `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid.to_string())
            .status()
            .expect("kill");
        assert!(status.success(), "kill -{name} {}", self.pid);
    }

    /// The operation log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("slapd.log")).expect("the log")
    }

    /// How many lines of the operation log hold a text, such as `BIND dn=`.
    pub fn logged(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("slapd.log")).expect("the log");
        log.lines().filter(|line| line.contains(text)).count()
    }

    /// All entries, by `slapcat`.
    pub fn export(&self) -> String {
        let output = Command::new(program("slapcat"))
            .args(["-b", SUFFIX, "-o", "ldif-wrap=no", "-f"])
            .arg(self.folder.path().join("slapd.conf"))
            .output()
            .expect("slapcat");
        assert!(output.status.success(), "slapcat");
        String::from_utf8(output.stdout).expect("LDIF")
    }

    /// Changes the directory as the administrator, by `ldapmodify -a`.
    pub fn change(&self, ldif: &str) {
        let file = self.folder.path().join("change.ldif");
        fs::write(&file, ldif).expect("the change");
        let output = Command::new(program("ldapmodify"))
            .args([
                "-a",
                "-x",
                "-D",
                ADMIN_DN,
                "-w",
                ADMIN_PASSWORD,
                "-H",
                self.url().as_str(),
                "-f",
            ])
            .arg(&file)
            .output()
            .expect("ldapmodify");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The root, the folders and the account that reads.
pub fn base_ldif(directory_id: &str) -> String {
    let mut ldif = ldif_entry(
        SUFFIX,
        &[
            ("objectClass", "dcObject"),
            ("objectClass", "organization"),
            ("dc", "studio"),
            ("o", "Studio"),
            ("entryUUID", directory_id),
        ],
    );
    for name in ["people", "services", "groups"] {
        ldif += &ldif_entry(
            &format!("ou={name},{SUFFIX}"),
            &[("objectClass", "organizationalUnit"), ("ou", name)],
        );
    }
    ldif + &ldif_entry(
        SYNC_DN,
        &[
            ("objectClass", "organizationalRole"),
            ("objectClass", "simpleSecurityObject"),
            ("cn", "ldap-sync"),
            ("userPassword", SYNC_PASSWORD),
        ],
    )
}

/// One entry in LDIF (RFC 2849); everything is in base64, so that any text will do.
pub fn ldif_entry(dn: &str, attributes: &[(&str, &str)]) -> String {
    let bytes: Vec<(&str, &[u8])> = attributes
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    ldif_entry_of_bytes(dn, &bytes)
}

/// One entry in LDIF, with values of any bytes.
pub fn ldif_entry_of_bytes(dn: &str, attributes: &[(&str, &[u8])]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let mut ldif = format!("dn:: {}\n", BASE64_STANDARD.encode(dn));
    for (name, value) in attributes {
        writeln!(ldif, "{name}:: {}", BASE64_STANDARD.encode(value)).expect("a string");
    }
    ldif + "\n"
}

/// A program of Debian's packages, also where the path lacks the folders for administrators.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([
        "/usr/sbin".into(),
        "/usr/local/sbin".into(),
        "/usr/lib/openldap".into(),
    ]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not installed: apt-get install slapd ldap-utils (tests/run does it)")
    })
}

fn load(folder: &Path, setup: &Setup) {
    fs::create_dir(folder.join("db")).expect("the database's folder");
    fs::write(folder.join("slapd.conf"), slapd_conf(folder, setup)).expect("slapd.conf");
    let own = || base_ldif(&setup.directory_id) + &setup.ldif;
    let data = setup.export.clone().unwrap_or_else(own);
    fs::write(folder.join("data.ldif"), data).expect("the LDIF");
    let output = Command::new(program("slapadd"))
        .args(["-q", "-b", SUFFIX, "-f"])
        .arg(folder.join("slapd.conf"))
        .arg("-l")
        .arg(folder.join("data.ldif"))
        .output()
        .expect("slapadd");
    assert!(
        output.status.success(),
        "slapadd: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn slapd_conf(folder: &Path, setup: &Setup) -> String {
    let here = folder.display();
    let (global, database, access) = (&setup.global, &setup.database, &setup.access);
    format!(
        r#"include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {here}/slapd.pid
threads 4
sizelimit size.soft=1000 size.hard=1000 size.pr=1000 size.prtotal=unlimited
loglevel none
TLSCACertificateFile {here}/ca.pem
TLSCertificateFile {here}/server.pem
TLSCertificateKeyFile {here}/server.key
TLSVerifyClient try
sasl-host localhost
authz-regexp "^cn=ldap-sync,o=Test$" "{SYNC_DN}"
{global}
database mdb
suffix "{SUFFIX}"
rootdn "{ADMIN_DN}"
rootpw {ADMIN_PASSWORD}
directory {here}/db
maxsize 1073741824
dbnosync
index objectClass eq
index uid,mail,entryUUID eq
{access}access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
{database}
"#
    )
}

fn spawn(
    program: &Path,
    folder: &Path,
    setup: &Setup,
    (port, tls_port): (u16, u16),
) -> (Child, u32) {
    let log = fs::File::create(folder.join("slapd.log")).expect("the log");
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER.trim()])
        .arg(program)
        .arg(folder.join("slapd.conf"))
        .arg(format!(
            "ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port} {}",
            socket_url(&folder.join(SOCKET))
        ))
        .envs(setup.environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("sh");
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("the process id");
    (keeper, line.trim().parse().expect("a process id"))
}

/// Starts the server, says its process id, and kills it when the standard input ends or the server
/// has ended.
const KEEPER: &str = r#"
exec 3<&0
"$0" -f "$1" -h "$2" -d stats 3<&- &
pid=$!
echo $pid
exec >/dev/null
{ read -r _ <&3; kill -KILL $pid; } 2>/dev/null &
watcher=$!
exec 3<&-
wait $pid
kill $watcher 2>/dev/null
"#;

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Awaits a condition, at most so long.
pub fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What the authority's certificates are made of.
fn authority() -> CertificateParams {
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Test CA");
    ca
}

pub fn write_certificates(folder: &Path, certificate: Certificate) {
    let (ca, ca_key) = (authority(), KeyPair::generate().expect("a key"));
    fs::write(
        folder.join("ca.pem"),
        ca.self_signed(&ca_key).expect("a certificate").pem(),
    )
    .expect("ca.pem");
    fs::write(folder.join("ca.key"), ca_key.serialize_pem()).expect("ca.key");
    let issuer = Issuer::new(ca, ca_key);
    let names: &[&str] = if certificate == Certificate::WrongHost {
        &["elsewhere.test"]
    } else {
        &["127.0.0.1", "localhost", "dc1.studio.test"]
    };
    let mut server = CertificateParams::new(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .expect("parameters");
    if certificate == Certificate::Expired {
        server.not_before = rcgen::date_time_ymd(2020, 1, 1);
        server.not_after = rcgen::date_time_ymd(2020, 2, 1);
    }
    if let Certificate::ForDays(days) = certificate {
        let left = Duration::from_secs(days * 86_400 + 3600);
        let end = SystemTime::now() + left;
        server.not_after = end.into();
    }
    server.distinguished_name.push(DnType::CommonName, "slapd");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    write_signed(folder, "server", &server, &issuer);
    write_signed(folder, "client", &client_of("ldap-sync"), &issuer);
}

/// What the certificates of a client with this name are made of.
fn client_of(name: &str) -> CertificateParams {
    let mut client = CertificateParams::new(Vec::new()).expect("parameters");
    let subject = &mut client.distinguished_name;
    *subject = rcgen::DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Test");
    subject.push(DnType::CommonName, name);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    client
}

fn write_signed(
    folder: &Path,
    name: &str,
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) {
    let key = KeyPair::generate().expect("a key");
    let signed = params.signed_by(&key, issuer).expect("a certificate");
    fs::write(folder.join(format!("{name}.pem")), signed.pem()).expect("the certificate");
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("the key");
}
