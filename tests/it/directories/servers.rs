//! The directories that studios have, each as a server of its own on loopback, which ends with its
//! value.

use std::{
    fs, io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use ftrack_ldap_sync::model::server_kind::ServerKind;
use tempfile::TempDir;

use crate::{
    ability::cached,
    ldap_proxy::LdapProxy,
    slapd::{
        ADMIN_DN, ADMIN_PASSWORD, Certificate, PEOPLE, SUFFIX, SYNC_DN, SYNC_PASSWORD, Setup,
        base_ldif, free_port, ldif_entry, ldif_entry_of_bytes, program, socket_url, wait_until,
        write_certificates,
    },
};

/// How long a server may take to be made and to start; a domain may wait until another test has made
/// the one that is copied.
const LONGEST: Duration = Duration::from_secs(600);

/// A directory with the container of people and the account that reads, below `dc=studio,dc=test`.
pub struct RealDirectory {
    pub kind: ServerKind,
    /// Over TLS.
    pub url: String,
    pub ca_file: PathBuf,
    /// The account that reads, as its kind of server knows it.
    pub bind_dn: &'static str,
    pub password: &'static str,
    administrator: (&'static str, &'static str),
    /// The server ends before its folder goes.
    _server: Box<dyn std::any::Any>,
    _folder: Option<TempDir>,
}

/// A program that ends when its standard input does.
pub struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl RealDirectory {
    /// An OpenLDAP server with a password policy.
    pub fn openldap() -> Self {
        Self::openldap_of("")
    }

    /// The same with these entries.
    pub fn openldap_of(entries: &str) -> Self {
        let mut setup = Setup::new(entries).database("overlay ppolicy\noverlay syncprov");
        setup.global = "moduleload ppolicy\nmoduleload syncprov\n\
                        include /etc/ldap/schema/nis.schema\n"
            .into();
        let slapd = setup.start();
        Self {
            kind: ServerKind::OpenLdap,
            url: format!("ldaps://127.0.0.1:{}", slapd.tls_url().port().unwrap()),
            ca_file: slapd.ca_file(),
            bind_dn: SYNC_DN,
            password: SYNC_PASSWORD,
            administrator: (ADMIN_DN, ADMIN_PASSWORD),
            _server: Box::new(slapd),
            _folder: None,
        }
    }

    /// A 389 Directory Server.
    pub fn ds389() -> Self {
        Self::ds389_of("")
    }

    /// The same with these entries.
    pub fn ds389_of(entries: &str) -> Self {
        let folder = folder();
        let ldif = folder.path().join("base.ldif");
        let may_read = "aci: (targetattr=\"*\")(version 3.0; acl \"sync\"; allow (read,search,compare) \
                        userdn=\"ldap:///cn=ldap-sync,ou=services,dc=studio,dc=test\";)\n\n";
        // The first entry is the root.
        let base = base_ldif("d1d1d1d1-0000-4000-8000-000000000000");
        let lines = base.lines().filter(|line| !line.starts_with("entryUUID:"));
        let base =
            lines
                .collect::<Vec<_>>()
                .join("\n")
                .replacen("\n\n", &format!("\n{may_read}"), 1);
        fs::write(&ldif, base + "\n\n" + entries).unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let keeper = start(
            "ds389",
            folder.path(),
            &[
                port.to_string(),
                tls_port.to_string(),
                ldif.display().to_string(),
            ],
        );
        Self::started(
            ServerKind::Ds389,
            tls_port,
            keeper,
            folder,
            Accounts {
                bind_dn: SYNC_DN,
                password: SYNC_PASSWORD,
                administrator: ("cn=Directory Manager", ADMIN_PASSWORD),
            },
        )
    }

    /// An Active Directory domain, by Samba.
    pub fn samba() -> Self {
        Self::samba_of(0)
    }

    /// The same with so many people, as `tests/servers/samba` makes them.
    pub fn samba_of(people: usize) -> Self {
        let folder = folder();
        let new = cached("samba").join("domain").display().to_string();
        let keeper = start("samba", folder.path(), &[new, people.to_string()]);
        let port = forward(folder.path().join("ldaps"));
        let directory = Self::started(
            ServerKind::Samba,
            port,
            keeper,
            folder,
            Accounts {
                bind_dn: "ldap-sync@studio.test",
                password: "Sync-secret-1!",
                administrator: ("Administrator@studio.test", "Adm1n-secret!"),
            },
        );
        let units = ["people", "services"].map(|name| {
            let dn = format!("ou={name},{SUFFIX}");
            ldif_entry(&dn, &[("objectClass", "organizationalUnit")])
        });
        // In quotes and in UTF-16, as Active Directory takes passwords (MS-ADTS section
        // 3.1.1.3.1.5.1).
        let password = format!("\"{}\"", directory.password);
        let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let account = ldif_entry_of_bytes(
            SYNC_DN,
            &[
                ("objectClass", b"user"),
                ("sAMAccountName", b"ldap-sync"),
                ("userPrincipalName", directory.bind_dn.as_bytes()),
                ("userAccountControl", b"66048"),
                ("unicodePwd", &password),
            ],
        );
        directory.change(&(units.concat() + &account));
        directory
    }

    /// The URL of the socket of a 389 Directory Server.
    pub fn socket_url(&self) -> String {
        let folder = self._folder.as_ref().unwrap().path();
        socket_url(&folder.join("run/ldapi")).into()
    }

    /// The port of a domain's plain LDAP, and a folder with the configuration of Kerberos and a keytab
    /// of the account that reads. Its service is that of localhost.
    #[cfg(feature = "gssapi")]
    pub fn kerberos(&self) -> (u16, &Path) {
        let folder = self._folder.as_ref().unwrap().path();
        let tool = |arguments: &[&str]| {
            let output = Command::new(program("samba-tool"))
                .args(arguments)
                .arg("-s")
                .arg(folder.join("smb.conf"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        tool(&["spn", "add", "ldap/localhost", "DC1$"]);
        let keytab = folder.join("client.keytab").display().to_string();
        tool(&[
            "domain",
            "exportkeytab",
            &keytab,
            "--principal=ldap-sync@STUDIO.TEST",
        ]);
        let kdc = forward(folder.join("kerberos"));
        let config = format!(
            "[libdefaults]\ndefault_realm = STUDIO.TEST\ndns_lookup_kdc = false\n\
             udp_preference_limit = 1\n[realms]\nSTUDIO.TEST = {{\nkdc = 127.0.0.1:{kdc}\n}}\n"
        );
        fs::write(folder.join("krb5.conf"), config).unwrap();
        (forward(folder.join("ldap")), folder)
    }

    fn started(
        kind: ServerKind,
        tls_port: u16,
        mut keeper: Keeper,
        folder: TempDir,
        accounts: Accounts,
    ) -> Self {
        let url = format!("ldaps://127.0.0.1:{tls_port}");
        let is_up = wait_until(LONGEST, || {
            let has_ended = keeper.0.try_wait().unwrap().is_some();
            assert!(
                !has_ended,
                "the {kind} server does not start: {}",
                output(&folder)
            );
            let asked = client("ldapsearch", &url)
                .args(["-s", "base", "-b", "", "1.1"])
                .output()
                .unwrap();
            asked.status.success()
        });
        assert!(
            is_up,
            "the {kind} server does not answer: {}",
            output(&folder)
        );
        Self {
            kind,
            url,
            ca_file: folder.path().join("ca.pem"),
            bind_dn: accounts.bind_dn,
            password: accounts.password,
            administrator: accounts.administrator,
            _server: Box::new(keeper),
            _folder: Some(folder),
        }
    }

    /// A proxy before the server, which its clients reach without TLS.
    pub fn proxy(&self) -> LdapProxy {
        let address = self.url.trim_start_matches("ldaps://").parse().unwrap();
        LdapProxy::over_tls(address, &self.ca_file)
    }

    /// Changes the directory as its administrator, by `ldapmodify -a`.
    pub fn change(&self, ldif: &str) {
        self.modify(&["-a"], ldif);
    }

    /// The same for referral objects themselves, and not for what they refer to (RFC 3296).
    pub fn change_referral(&self, ldif: &str) {
        self.modify(&["-M"], ldif);
    }

    fn modify(&self, options: &[&str], ldif: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let (dn, password) = self.administrator;
        let output = client("ldapmodify", &self.url)
            .args(options)
            .args(["-D", dn, "-w", password, "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{ldif}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Replaces an attribute of an entry; without values, it is removed.
    pub fn replace(&self, dn: &str, attribute: &str, values: &[&str]) {
        let lines = values.iter().map(|value| format!("{attribute}: {value}\n"));
        self.change(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{}",
            lines.collect::<String>()
        ));
    }

    /// Somebody tries a wrong password.
    pub fn fails_to_bind(&self, dn: &str) {
        let output = client("ldapwhoami", &self.url)
            .args(["-D", dn, "-w", "wrong"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(49), "{output:?}");
    }

    /// Whether the administrator finds anybody by a filter.
    pub fn shows(&self, filter: &str) -> bool {
        let (dn, password) = self.administrator;
        let output = client("ldapsearch", &self.url)
            .args([
                "-LLL", "-D", dn, "-w", password, "-b", PEOPLE, filter, "1.1",
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        !output.stdout.is_empty()
    }

    /// The attribute of logins.
    pub fn login(&self) -> &'static str {
        if self.kind.is_active_directory() {
            "sAMAccountName"
        } else {
            "uid"
        }
    }

    /// A group with these members, by their DNs.
    pub fn group(&self, dn: &str, members: &[String]) {
        let class = if self.kind.is_active_directory() {
            "group"
        } else {
            "groupOfNames"
        };
        let members = members.iter().map(|member| ("member", member.as_str()));
        let attributes: Vec<_> = [("objectClass", class)]
            .into_iter()
            .chain(members)
            .collect();
        self.change(&ldif_entry(dn, &attributes));
    }

    /// Adds many members to a group at once.
    pub fn add_members(&self, group: &str, members: &[String]) {
        let lines = members.iter().map(|member| format!("member: {member}\n"));
        let lines: String = lines.collect();
        self.change(&format!(
            "dn: {group}\nchangetype: modify\nadd: member\n{lines}"
        ));
    }

    /// Adds a member to a group, or deletes one.
    pub fn members(&self, group: &str, change: &str, member: &str) {
        self.change(&format!(
            "dn: {group}\nchangetype: modify\n{change}: member\nmember: {member}\n"
        ));
    }

    /// The DN of a group that has somebody as a member without naming the DN.
    pub fn group_of_logins(&self, login: &str) -> String {
        if self.kind.is_active_directory() {
            return "CN=Domain Users,CN=Users,DC=studio,DC=test".into();
        }
        let dn = "cn=everybody,ou=groups,dc=studio,dc=test";
        let attributes = [
            ("objectClass", "posixGroup"),
            ("gidNumber", "100"),
            ("memberUid", login),
        ];
        self.change(&ldif_entry(dn, &attributes));
        dn.into()
    }

    /// Somebody joins.
    pub fn join(&self, name: &str) {
        self.join_at(name, PEOPLE);
    }

    /// Somebody joins below another entry.
    pub fn join_at(&self, name: &str, place: &str) {
        let of_kind = if self.kind.is_active_directory() {
            // 544: a normal account that needs no password.
            format!("objectClass: user\nsAMAccountName: {name}\nuserAccountControl: 544")
        } else {
            format!("objectClass: inetOrgPerson\nuid: {name}\ncn: {name}")
        };
        self.change(&format!(
            "dn: cn={name},{place}\n{of_kind}\ngivenName: Given\nsn: {name}\n\
             mail: {name}@studio.test\n"
        ));
    }
}

/// The accounts of a server.
struct Accounts {
    bind_dn: &'static str,
    password: &'static str,
    administrator: (&'static str, &'static str),
}

/// A folder with the certificates of a server.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path(), Certificate::Good);
    folder
}

/// Starts one of `tests/servers`.
pub fn start(server: &str, folder: &Path, arguments: &[String]) -> Keeper {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/servers")
        .join(server);
    let log = fs::File::create(folder.join("output")).unwrap();
    let child = Command::new(program)
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Keeper(child)
}

fn output(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("output")).unwrap_or_default()
}

/// One of OpenLDAP's commands, for a server whose certificate needs no check.
fn client(command: &str, url: &str) -> Command {
    let mut client = Command::new(program(command));
    client
        .env("LDAPTLS_REQCERT", "never")
        .args(["-x", "-H", url]);
    client
}

/// A port that leads to a socket; it is served as long as the tests run.
fn forward(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming() {
            // Until the socket is there, connections end.
            let (Ok(near), Ok(far)) = (near, UnixStream::connect(&socket)) else {
                continue;
            };
            let (near_again, far_again) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || pump(near, far));
            thread::spawn(move || pump(far_again, near_again));
        }
    });
    port
}

/// A stream whose one direction can be ended.
trait Ends: io::Read + io::Write {
    fn end(&self);
}

impl Ends for TcpStream {
    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Ends for UnixStream {
    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

fn pump(mut from: impl Ends, mut to: impl Ends) {
    let _ = io::copy(&mut from, &mut to);
    to.end();
}
