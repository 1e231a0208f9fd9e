//! The same situations on the directories that studios have, with the same plans: OpenLDAP, 389
//! Directory Server, and an Active Directory domain by Samba.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ds389;
pub mod servers;

use std::fs;

use ftrack_ldap_sync::{command, model::server_kind::ServerKind};

use self::servers::RealDirectory;
use crate::{
    ability::must_skip_as_root,
    check::world::World,
    rules::approve,
    situations::Situation,
    slapd::{PEOPLE, SUFFIX, SYNC_DN, ldif_entry},
};

/// What a domain needs.
pub const OF_SAMBA: &[&str] = &[
    "samba",
    "samba-tool",
    "socat",
    "unshare",
    "ip",
    "ldapmodify",
];
/// What a 389 Directory Server needs.
pub const OF_389: &[&str] = &[
    "ns-slapd",
    "certutil",
    "openssl",
    "unshare",
    "ip",
    "ldapmodify",
];

#[test]
fn on_openldap() {
    follow(&RealDirectory::openldap());
}

#[test]
fn on_389_directory_server() {
    if !must_skip_as_root("on_389_directory_server", OF_389) {
        follow(&RealDirectory::ds389());
    }
}

#[test]
fn on_active_directory() {
    if !must_skip_as_root("on_active_directory", OF_SAMBA) {
        follow(&RealDirectory::samba());
    }
}

/// A configuration that leaves the filter and the attributes to the kind of the directory, which is
/// detected.
pub fn situation(directory: &RealDirectory) -> Situation {
    let mut situation = Situation::of(&[]);
    situation.directory_url.clone_from(&directory.url);
    situation.filter.clear();
    situation.attributes.clear();
    situation.password = directory.password.into();
    // Of the others, only a domain shows when an account ends, without being told how.
    let expires = if directory.kind.is_active_directory() {
        ""
    } else {
        "expires = { from = \"departmentNumber\", form = \"days\" }"
    };
    situation
        .job(&format!(
            "limits = {{ deactivate = 10, rename = 10, reactivate = 10 }}\n{expires}"
        ))
        .config(&format!(
            "[directories.studio]\nbind_dn = {:?}\nca_file = {:?}\npage_size = 7\n",
            directory.bind_dn, directory.ca_file
        ))
}

/// What happens to people, and the plan of it, in lower case.
type Happening = (&'static str, fn(&RealDirectory), &'static str);

const SITUATIONS: &[Happening] = &[
    (
        "two people have joined",
        join,
        r"
plan for artists: 2 to create

  + create     ada  cn=ada,ou=people,dc=studio,dc=test
      username: ada
      first_name: given
      last_name: ada
      email: ada@studio.test
      is_active: true
      the person is in the directory and has no user

  + create     bob  cn=bob,ou=people,dc=studio,dc=test
      username: bob
      first_name: given
      last_name: bob
      email: bob@studio.test
      is_active: true
      the person is in the directory and has no user
",
    ),
    (
        "somebody changes name and login",
        rename,
        r"
plan for artists: 1 to update

  ~ update     ada.holm  cn=ada holm,ou=people,dc=studio,dc=test
      username: ada -> ada.holm
      last_name: ada -> holm
      the directory has other values
",
    ),
    (
        "somebody moves within the search base",
        move_within,
        "plan for artists: nothing to do",
    ),
    (
        "somebody moves out of the search base",
        move_out,
        r"
plan for artists: 1 to deactivate

  - deactivate bob  cn=bob,ou=services,dc=studio,dc=test
      is_active: true -> false
      the person is still in the directory, but the entry is outside of the job's search bases and scope
",
    ),
    (
        "somebody comes back",
        come_back,
        r"
plan for artists: 1 to reactivate

  ^ reactivate bob  cn=bob,ou=people,dc=studio,dc=test
      is_active: false -> true
      the job finds the person again; this program deactivated the user on [time]
",
    ),
    (
        "an account is locked out after wrong passwords",
        lock_out,
        "plan for artists: nothing to do",
    ),
    ("an account is disabled", disable, DISABLED),
    ("the account is enabled again", enable, ENABLED),
    ("an account ends", expire, DISABLED),
    ("the account does not end any more", extend, ENABLED),
    (
        "somebody is disabled and moved out of the search base",
        disable_and_move,
        r"
plan for artists: 1 to deactivate

  - deactivate bob  cn=bob,ou=services,dc=studio,dc=test
      is_active: true -> false
      the person's account is disabled in the directory, and the entry is no longer among the job's people
",
    ),
    (
        "somebody disabled comes back",
        come_back,
        "plan for artists: nothing to do",
    ),
    ("this account is enabled again, too", enable, ENABLED),
    (
        "somebody leaves",
        leave,
        r"
plan for artists: 1 to deactivate

  - deactivate bob  not in the directory
      is_active: true -> false
      the person is no longer in the directory, as complete reads show
",
    ),
];

const DISABLED: &str = r"
plan for artists: 1 to deactivate

  - deactivate bob  cn=bob,ou=people,dc=studio,dc=test
      is_active: true -> false
      the person's account is disabled in the directory
";

const ENABLED: &str = r"
plan for artists: 1 to reactivate

  ^ reactivate bob  cn=bob,ou=people,dc=studio,dc=test
      is_active: false -> true
      the job finds the person again; this program deactivated the user on [time]
";

/// Whom ftrack shows in the end.
const USERS: &str = r#"
ada.holm: active, "Given" "Holm" <ada@studio.test>; artists, settled
bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
o'hara: active, "Åsa \"Ace\"" "Ó Hara" <>; artists, settled
p00: active, "Given" "p00" <p00@studio.test>; artists, settled
"#;

fn follow(directory: &RealDirectory) {
    works_as_the_example_says(directory);
    if directory.kind.is_active_directory() {
        binds_under_any_name(directory);
    }
    let situation = situation(directory);
    for (what, happens, expected) in SITUATIONS {
        happens(directory);
        // Each server writes the names in a DN in its own way.
        let plan = situation.plan_text().to_lowercase();
        assert_eq!(plan.trim(), expected.trim(), "{what}");
        situation.sync();
        situation.sync_changes_nothing();
    }
    // Their names in DNs are written differently by each server.
    odd_names(directory);
    several_pages(directory);
    situation.sync();
    situation.sync_changes_nothing();
    let users = situation.users();
    let others = |line: &&str| !line.starts_with('p') || line.starts_with("p00");
    let users: Vec<&str> = users.lines().filter(others).collect();
    assert_eq!(users.join("\n").trim(), USERS.trim());
    for number in 0..PAGED {
        assert!(situation.user(&format!("p{number:02}")).is_active);
    }
    let situation = follow_groups(directory, situation);
    if directory.kind.is_active_directory() {
        from_the_root(directory, situation);
    }
}

/// The whole domain, which refers to its other naming contexts.
fn from_the_root(directory: &RealDirectory, situation: Situation) {
    let mut situation = situation.job("limits = { deactivate = 10, reactivate = 10 }");
    situation.search_base = SUFFIX.into();
    let report = situation.sync();
    // The account that reads is outside of the people's container.
    assert_eq!((report.error, report.counts.deactivated), (None, 0));
    assert!(situation.user("ldap-sync").is_active);
    situation.sync_changes_nothing();
    let checked = situation.run(&["check"]);
    assert_eq!(checked.status, 0, "{}", checked.stdout);
    directory.join("zoe");
    assert_eq!(situation.sync().counts.created, 1);
    directory.change(
        "dn: cn=zoe,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=zoe\n\
         deleteoldrdn: 1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
    situation.sync_changes_nothing();
    directory.change("dn: cn=zoe,ou=services,dc=studio,dc=test\nchangetype: delete\n");
    let plan = situation.plan_text();
    assert!(
        plan.contains("the person is no longer in the directory"),
        "{plan}"
    );
    assert_eq!(situation.sync().counts.deactivated, 1);
    situation.sync_changes_nothing();
}

/// Groups in two containers.
const ARTISTS: &str = "cn=artists,ou=groups,dc=studio,dc=test";
const LIGHTING: &str = "cn=lighting,ou=groups,dc=studio,dc=test";
const EFFECTS: &str = "cn=fx\\, and more,ou=services,dc=studio,dc=test";

/// The same people, of whom only the members of groups are the job's from now on.
fn follow_groups(directory: &RealDirectory, situation: Situation) -> Situation {
    if directory.kind.is_active_directory() {
        let unit = [("objectClass", "organizationalUnit")];
        directory.change(&ldif_entry("ou=groups,dc=studio,dc=test", &unit));
    }
    let person = |nth: usize| format!("cn=p{nth:02},{PEOPLE}");
    let (first, second) = (0..PAGED / 2, PAGED / 2..PAGED);
    directory.group(EFFECTS, &second.map(person).collect::<Vec<_>>());
    let effects = "CN=fx\\2c and more, ou=services,dc=studio,dc=test".to_owned();
    directory.group(
        LIGHTING,
        &first.map(person).chain([effects]).collect::<Vec<_>>(),
    );
    directory.group(ARTISTS, &[LIGHTING.into(), format!("cn=ada holm,{PEOPLE}")]);
    // They contain each other.
    directory.members(EFFECTS, "add", ARTISTS);
    let job = |group: &str| {
        format!("limits = {{ deactivate = 10, reactivate = 10 }}\nmember_of = [{group:?}]")
    };
    let situation = situation.job(&job(ARTISTS));
    let expect = |what: &str, expected: &str| {
        let plan = situation.plan_text().to_lowercase();
        assert_eq!(plan.lines().next(), Some(expected), "{what}: {plan}");
    };
    expect(
        "the groups are new",
        "plan for artists: 1 to deactivate, 1 of them held",
    );
    assert_eq!(approve(&situation).counts.deactivated, 1);
    situation.sync_changes_nothing();
    directory.members(EFFECTS, "delete", &person(PAGED - 1));
    expect(
        "somebody leaves a group",
        "plan for artists: 1 to deactivate",
    );
    situation.sync();
    directory.members(LIGHTING, "add", &person(PAGED - 1));
    expect(
        "somebody is in another one",
        "plan for artists: 1 to reactivate",
    );
    situation.sync();
    // Whoever was in none of them is in one that does not name its members by their DNs.
    let everybody = directory.group_of_logins("o'hara");
    let situation = situation.job(&job(&everybody));
    let plan = situation.plan_text().to_lowercase();
    assert!(plan.contains("^ reactivate o'hara"), "{plan}");
    situation
}

/// More people than fit on a page, and as many in the last page as in the others.
const PAGED: usize = 19;

fn several_pages(directory: &RealDirectory) {
    for number in 0..PAGED {
        directory.join(&format!("p{number:02}"));
    }
}

/// Somebody whose names are escaped in a DN, and who has no mail.
fn odd_names(directory: &RealDirectory) {
    let dn = "cn=\\#1 Ó Hara\\, \\\"Åsa\\\"\\+\\;\\<x\\>\\\\,ou=people,dc=studio,dc=test";
    let login = directory.login();
    let of_kind: &[(&str, &str)] = if directory.kind.is_active_directory() {
        &[("objectClass", "user"), ("userAccountControl", "544")]
    } else {
        &[("objectClass", "inetOrgPerson")]
    };
    let names = [
        (login, "o'hara"),
        ("givenName", "A\u{30a}sa \"Ace\""),
        ("sn", "O\u{301} Hara"),
    ];
    directory.change(&ldif_entry(dn, &[of_kind, &names].concat()));
}

/// The example for this kind of directory, with other servers and accounts, is a whole
/// configuration.
fn works_as_the_example_says(directory: &RealDirectory) {
    let example = command::config::example_of(directory.kind).unwrap();
    let (before, rest) = example.split_once("urls = ").unwrap();
    let (_, after) = rest.split_once("bind_password_file").unwrap();
    let (between, after) = after.split_once("search_bases = ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let example = format!(
        "{before}urls = [{:?}]\nca_file = {:?}\nbind_dn = {:?}\nbind_password_file{between}\
         search_bases = [{:?}]\n{after}",
        directory.url, directory.ca_file, directory.bind_dn, PEOPLE
    );
    let mut world = World::at(directory.url.as_str());
    world.password = directory.password.into();
    world.whole = Some(example.replace("https://studio.ftrackapp.com", &world.server));
    directory.join("ada");
    let checked = world.check(&[]);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let well = checked.well(&format!("directory studio {}", directory.url));
    assert!(well.contains(&"kind"), "{well:?}");
    // To an ordinary account, only a domain shows the limits of everybody.
    let mut findings = checked.findings.iter();
    let limits = findings.find(|finding| finding.check == "limits");
    let of_domain = "1000 entries in a page, larger ones are cut (MaxPageSize); 1500 values of an \
                     attribute at once (MaxValRange); 120 seconds for a page (MaxQueryDuration)";
    assert_eq!(
        limits.map(|limits| limits.detail.as_str()),
        directory.kind.is_active_directory().then_some(of_domain)
    );
}

/// Active Directory takes several names for an account (MS-ADTS section 5.1.1.1.1), and says why it
/// takes none.
fn binds_under_any_name(directory: &RealDirectory) {
    let situation = situation(directory);
    let configured = fs::read_to_string(situation.folder().join("config.d/more.toml")).unwrap();
    let check = |name: &str| {
        let own = format!("bind_dn = {:?}", directory.bind_dn);
        let other = format!("bind_dn = {name:?}");
        crate::rules::add_config(&situation, &configured.replace(&own, &other));
        situation.run(&["check"]).stdout
    };
    for name in [
        directory.bind_dn,
        "ldap-sync@studio",
        "STUDIO\\ldap-sync",
        "studio.test\\ldap-sync",
        SYNC_DN,
    ] {
        let checked = check(name);
        assert!(checked.contains("is accepted"), "{name}: {checked}");
    }
    let checked = check("nobody@studio.test");
    assert!(
        checked.contains("the name or the password is wrong"),
        "{checked}"
    );
    let set = |attribute: &str, value: &str| {
        directory.change(&format!(
            "dn: {SYNC_DN}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        ));
    };
    for (attribute, value, before, why) in [
        (
            "userAccountControl",
            "66050",
            "66048",
            "the account is disabled",
        ),
        (
            "accountExpires",
            "134116992000000000",
            "0",
            "the account has expired",
        ),
    ] {
        set(attribute, value);
        let checked = check(directory.bind_dn);
        assert!(checked.contains(why), "{checked}");
        set(attribute, before);
    }
    // A password that must be changed, of an account whose passwords end.
    set("userAccountControl", "512");
    set("pwdLastSet", "0");
    let checked = check(directory.bind_dn);
    assert!(
        checked.contains("the password must be changed first"),
        "{checked}"
    );
    set("pwdLastSet", "-1");
    set("userAccountControl", "66048");
    let checked = check(directory.bind_dn);
    assert!(checked.contains("is accepted"), "{checked}");
}

fn join(directory: &RealDirectory) {
    directory.join("bob");
}

fn rename(directory: &RealDirectory) {
    let login = directory.login();
    directory.change(&format!(
        "dn: cn=ada,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: {login}\n{login}: ada.holm\n-\n\
         replace: sn\nsn: Holm\n\n\
         dn: cn=ada,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=Ada Holm\ndeleteoldrdn: 1\n"
    ));
}

fn move_within(directory: &RealDirectory) {
    directory.change(
        "dn: ou=fx,ou=people,dc=studio,dc=test\nchangetype: add\nobjectClass: organizationalUnit\n\n\
         dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\ndeleteoldrdn: 1\n\
         newsuperior: ou=fx,ou=people,dc=studio,dc=test\n",
    );
}

fn move_out(directory: &RealDirectory) {
    directory.change(
        "dn: cn=bob,ou=fx,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\n\
         deleteoldrdn: 1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
}

fn come_back(directory: &RealDirectory) {
    directory.change(
        "dn: cn=bob,ou=services,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\n\
         deleteoldrdn: 1\nnewsuperior: ou=people,dc=studio,dc=test\n",
    );
}

/// Replaces an attribute of bob's; without values, it is removed.
fn set(directory: &RealDirectory, attribute: &str, values: &[&str]) {
    let lines = values.iter().map(|value| format!("{attribute}: {value}\n"));
    directory.change(&format!(
        "dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: {attribute}\n{}",
        lines.collect::<String>()
    ));
}

fn lock_out(directory: &RealDirectory) {
    match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            directory.change(
                "dn: dc=studio,dc=test\nchangetype: modify\nreplace: lockoutThreshold\n\
                 lockoutThreshold: 1\n",
            );
            directory.fails_to_bind("cn=bob,ou=people,dc=studio,dc=test");
            assert!(directory.shows("(&(cn=bob)(lockoutTime>=1))"));
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => {
            set(directory, "accountUnlockTime", &["20990101000000Z"]);
        }
        ServerKind::OpenLdap | ServerKind::Generic => {
            set(directory, "pwdAccountLockedTime", &["20260101000000Z"]);
        }
    }
}

fn disable(directory: &RealDirectory) {
    match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            set(directory, "userAccountControl", &["546"]);
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => set(directory, "nsAccountLock", &["true"]),
        ServerKind::OpenLdap | ServerKind::Generic => {
            set(directory, "pwdAccountLockedTime", &["000001010000Z"]);
        }
    }
}

fn enable(directory: &RealDirectory) {
    match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            set(directory, "userAccountControl", &["544"]);
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => set(directory, "nsAccountLock", &[]),
        ServerKind::OpenLdap | ServerKind::Generic => {
            set(directory, "pwdAccountLockedTime", &[]);
        }
    }
}

/// At the beginning of 2026.
fn expire(directory: &RealDirectory) {
    if directory.kind.is_active_directory() {
        set(directory, "accountExpires", &["134116992000000000"]);
    } else {
        set(directory, "departmentNumber", &["20454"]);
    }
}

fn extend(directory: &RealDirectory) {
    if directory.kind.is_active_directory() {
        set(directory, "accountExpires", &["9223372036854775807"]);
    } else {
        set(directory, "departmentNumber", &["-1"]);
    }
}

fn disable_and_move(directory: &RealDirectory) {
    disable(directory);
    directory.change(
        "dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\n\
         deleteoldrdn: 1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
}

fn leave(directory: &RealDirectory) {
    directory.change("dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: delete\n");
}
