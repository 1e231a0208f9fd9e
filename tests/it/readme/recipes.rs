//! The recipes: what they have administrators do works as it is written, on real servers.

use std::{fs, process::Command};

use ftrack_ldap_sync::{command, demo::ftrack::Account, model::server_kind::ServerKind};

use super::{blocks_of, fenced, text_of};
use crate::{
    check::world::World,
    directories::servers::RealDirectory,
    directory::people,
    rules::{account, add_config},
    slapd::{PEOPLE, SUFFIX, SYNC_DN, Setup, Slapd, program},
    studio::Studio,
};

/// The password in the recipes.
const PASSWORD: &str = "a-secret-of-your-own";
/// More people than a server of OpenLDAP shows without further ado.
const MANY: usize = 600;

/// A new server with its own configuration in LDAP, and nothing for the account that is to read.
fn openldap() -> Slapd {
    let mut setup =
        Setup::new(people(MANY)).database("sizelimit size.soft=500 size.hard=500 size.prtotal=500");
    setup
        .global
        .push_str(&format!("database config\nrootpw {PASSWORD}\n"));
    setup.start()
}

/// Changes the server's configuration by a block of the page.
fn configure(slapd: &Slapd, ldif: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("change.ldif");
    fs::write(&file, ldif).unwrap();
    let output = Command::new(program("ldapmodify"))
        .args(["-x", "-D", "cn=config", "-w", PASSWORD, "-H"])
        .arg(slapd.url().as_str())
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{ldif}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What the account sees of an entry.
fn seen(slapd: &Slapd, base: &str) -> String {
    let output = Command::new(program("ldapsearch"))
        .args(["-x", "-LLL", "-D", SYNC_DN, "-w", PASSWORD, "-H"])
        .arg(slapd.url().as_str())
        .args(["-s", "base", "-b", base])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn openldap_as_its_recipe_says() {
    let page = text_of("deploy/recipes/openldap.md");
    let blocks = blocks_of(&page, "ldif");
    let [account, rights, limits, syncprov] = &blocks[..] else {
        panic!("{blocks:#?}");
    };
    let slapd = openldap();
    slapd.change(&format!("dn: {SYNC_DN}\nchangetype: delete\n"));
    slapd.change(account);
    configure(&slapd, rights);
    let person = format!("uid=person0000,{PEOPLE}");
    for (base, is_seen) in [
        (SUFFIX, true),
        (PEOPLE, true),
        ("ou=groups,dc=studio,dc=test", true),
        ("ou=services,dc=studio,dc=test", false),
        (SYNC_DN, false),
    ] {
        assert_eq!(!seen(&slapd, base).is_empty(), is_seen, "{base}");
    }
    assert!(!seen(&slapd, &person).contains("userPassword"));

    let mut world = World::over(&slapd);
    world.password = PASSWORD.into();
    let checked = world.check(&[]);
    let trouble = checked.trouble();
    assert_eq!(checked.status, 1, "{trouble:#?}");
    assert!(
        trouble
            .iter()
            .any(|trouble| trouble.contains("sizeLimitExceeded (4)"))
            && page.contains("| `sizeLimitExceeded (4)` |"),
        "{trouble:#?}"
    );
    configure(&slapd, limits);
    let checked = world.check(&[]);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let plan = world.command(&["plan"]).stdout;
    let all = format!("Plan for artists: {MANY} to create\n");
    assert!(plan.starts_with(&all), "{plan}");
    let is_current = || {
        let checked = world.check(&[]);
        assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
        let mut findings = checked.findings.into_iter();
        findings.any(|finding| finding.check == "freshness")
    };
    assert!(!is_current());
    configure(&slapd, syncprov);
    slapd.change(&format!(
        "dn: {person}\nchangetype: modify\nreplace: mail\nmail: new@studio.test\n"
    ));
    assert!(is_current());
}

/// The tree of FreeIPA, and who may read what there.
// freeipa: install/updates/20-aci.update and ipaserver/plugins/{user,group}.py.
const OF_FREEIPA: &str = r#"
dn: cn=etc,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: etc

dn: cn=sysaccounts,cn=etc,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: sysaccounts

dn: cn=accounts,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: accounts

dn: cn=users,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: users
aci: (targetfilter = "(objectclass=inetOrgPerson)")(targetattr = "objectclass || cn || sn || uid || givenname || displayname")(version 3.0; acl "System: Read User Standard Attributes"; allow (read, search, compare) userdn = "ldap:///anyone";)
aci: (targetfilter = "(objectclass=inetOrgPerson)")(targetattr = "mail || memberof")(version 3.0; acl "System: Read User Addressbook Attributes"; allow (read, search, compare) userdn = "ldap:///all";)
aci: (targetfilter = "(objectclass=inetOrgPerson)")(targetattr = "krbprincipalexpiration || nsaccountlock")(version 3.0; acl "System: Read User Kerberos Attributes"; allow (read, search, compare) userdn = "ldap:///all";)

dn: cn=groups,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: nsContainer
cn: groups
aci: (targetfilter = "(objectclass=groupOfNames)")(targetattr = "objectclass || cn || member")(version 3.0; acl "System: Read Groups"; allow (read, search, compare) userdn = "ldap:///all";)

dn: dc=studio,dc=test
changetype: modify
add: aci
aci: (targetfilter = "(objectclass=dcObject)")(targetattr = "objectclass || dc")(version 3.0; acl "Anonymous read access to DIT root"; allow (read, search, compare) userdn = "ldap:///anyone";)
aci: (targetfilter = "(objectclass=nsContainer)")(targetattr = "objectclass || cn")(version 3.0; acl "Anonymous read access to containers"; allow (read, search, compare) userdn = "ldap:///anyone";)

dn: uid=ada,cn=users,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: inetOrgPerson
uid: ada
cn: Ada Berg
givenName: Ada
sn: Berg
mail: ada@studio.test

dn: uid=bob,cn=users,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: inetOrgPerson
uid: bob
cn: Bob Holm
givenName: Bob
sn: Holm
mail: bob@studio.test
nsAccountLock: true

dn: uid=cyd,cn=users,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: inetOrgPerson
uid: cyd
cn: Cyd Lund
givenName: Cyd
sn: Lund
mail: cyd@studio.test

dn: cn=lighting,cn=groups,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: groupOfNames
cn: lighting
member: uid=ada,cn=users,cn=accounts,dc=studio,dc=test
member: uid=bob,cn=users,cn=accounts,dc=studio,dc=test

dn: cn=artists,cn=groups,cn=accounts,dc=studio,dc=test
changetype: add
objectClass: groupOfNames
cn: artists
member: cn=lighting,cn=groups,cn=accounts,dc=studio,dc=test
"#;

/// On a 389 Directory Server that becomes like FreeIPA's: the recipe's account reads the people, who
/// is disabled, and the groups.
pub fn freeipa(directory: &RealDirectory) {
    let page = text_of("deploy/recipes/freeipa.md");
    let blocks = blocks_of(&page, "ldif");
    let [account, rights] = &blocks[..] else {
        panic!("{blocks:#?}");
    };
    directory.change(OF_FREEIPA);
    directory.change(account);
    let example = command::config::example_of(ServerKind::FreeIpa).unwrap();
    let (before, rest) = example.split_once("urls = ").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    let of_groups = [
        r#"member_of = ["cn=artists,cn=groups,cn=accounts,dc=studio,dc=test"]"#,
        r#"group_bases = ["cn=groups,cn=accounts,dc=studio,dc=test"]"#,
    ];
    for line in of_groups {
        assert!(page.contains(&format!("`{line}`")), "{line}");
    }
    let example = format!(
        "{before}urls = [{:?}]\nca_file = {:?}\n{after}",
        directory.url, directory.ca_file
    )
    .replace("filter = ", &format!("{}\nfilter = ", of_groups.join("\n")));
    let mut world = World::at(directory.url.as_str());
    world.password = PASSWORD.into();
    world.whole = Some(example.replace("https://studio.ftrackapp.com", &world.server));

    // Without the ids, nobody is known.
    let checked = world.check(&[]);
    assert_eq!(checked.status, 1, "{:#?}", checked.trouble());
    directory.change(rights);
    let checked = world.check(&[]);
    let trouble = checked.trouble();
    assert_eq!(checked.status, 0, "{trouble:#?}");
    assert!(
        trouble.len() == 1 && trouble[0].contains("but shows itself as 389"),
        "{trouble:#?}"
    );
    let plan = world.command(&["plan"]).stdout;
    assert!(
        plan.starts_with("Plan for artists: 1 to create\n") && plan.contains("+ create     ada "),
        "{plan}"
    );
}

/// The commands of a block, as words.
fn commands(block: &str) -> Vec<Vec<&str>> {
    let lines = block
        .lines()
        .filter_map(|line| line.strip_prefix("$ ftrack-ldap-sync "));
    lines
        .map(|line| line.split('#').next().unwrap().split_whitespace().collect())
        .collect()
}

#[test]
fn a_studio_moves_from_ftracks_own_synchronisation_and_back() {
    let page = text_of("deploy/recipes/builtin-sync.md");
    let (_, moving) = page.split_once("## Moving from it").unwrap();
    let blocks = fenced(moving, "console");
    let [there, back] = &blocks[..] else {
        panic!("{blocks:#?}");
    };
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = "users.user_type = \"ldap\"\n".into();
    for username in ["ada", "bob", "gone"] {
        let account = Account {
            first_name: Some("Of".into()),
            last_name: Some("Before".into()),
            ..account(username)
        };
        studio.ftrack().add_user(&account).unwrap();
    }
    let job = &fenced(&page, "toml")[0];
    add_config(&studio, &job[job.find("[jobs.").unwrap()..]);
    let before = users(&studio);
    // Both commands that change what the job does are preceded by a change of its settings.
    let there = commands(there);
    let (observed, switched) = there.split_at(3);
    studio.job.push_str("mode = \"observe\"\n");
    let said: Vec<String> = observed.iter().map(|words| run(&studio, words)).collect();
    assert!(
        said[2].starts_with("Plan for artists: 2 to adopt"),
        "{}",
        said[2]
    );
    assert_eq!(users(&studio), before);
    studio.job = studio.job.replace("mode = \"observe\"\n", "");
    assert_eq!(switched.len(), 4);
    let said: Vec<String> = switched.iter().map(|words| run(&studio, words)).collect();
    // Who is not in the directory is nobody's, and stays.
    let listed = said.last().unwrap();
    assert!(
        listed.contains("ada") && listed.contains("bob") && !listed.contains("gone"),
        "{listed}"
    );
    assert_ne!(users(&studio), before);
    for words in commands(back) {
        run(&studio, &words);
    }
    assert_eq!(users(&studio), before);
    assert!(!run(&studio, &["users", "artists"]).contains("ada"));
}

/// What users have at ftrack.
fn users(studio: &Studio) -> Vec<(String, Option<String>, bool)> {
    let users = studio.ftrack().users().into_iter();
    users
        .map(|user| (user.username, user.last_name, user.is_active))
        .collect()
}

/// Runs a command, which is to succeed.
fn run(studio: &Studio, words: &[&str]) -> String {
    let mut command = studio.command(words);
    let output = command.current_dir(studio.folder()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
