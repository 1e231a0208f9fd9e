//! The same situations on the directories that studios have, with the same plans: OpenLDAP, 389
//! Directory Server, and an Active Directory domain by Samba.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crowd;
mod domain;
mod ds389;
mod examples;
mod groups;
mod happenings;
mod roles;
pub mod servers;
mod troubles;
mod views;

pub use self::views::situation;
use self::{
    happenings::{
        come_back, disable, disable_and_move, enable, expire, extend, join, leave, lock_out,
        move_out, move_within, rename,
    },
    servers::RealDirectory,
    views::{Changes, View},
};
use crate::{
    ability::must_skip_as_root, ldap_proxy::LdapProxy, situations::Situation, slapd::ldif_entry,
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
    ("an account ends", expire, ENDED),
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

const ENDED: &str = r"
plan for artists: 1 to deactivate

  - deactivate bob  cn=bob,ou=people,dc=studio,dc=test
      is_active: true -> false
      the person's account ended on 2026-01-01
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
    directory.join("ada");
    examples::work(directory);
    if directory.kind.is_active_directory() {
        domain::binds_under_any_name(directory);
        domain::stays_usable(directory);
    }
    let proxy = directory.proxy();
    let views = views::views(directory, &proxy);
    let changes = Changes::of(directory);
    for (what, happens, expected) in SITUATIONS {
        happens(directory);
        for View { name, situation } in &views {
            // Each server writes the names in a DN in its own way.
            let plan = situation.plan_text().to_lowercase();
            assert_eq!(plan.trim(), expected.trim(), "{what}, {name}");
            explains_the_plan(situation, what);
            situation.sync();
            situation.sync_changes_nothing();
        }
        changes.follow(what, &views[0].situation);
    }
    // Their names in DNs are written differently by each server.
    odd_names(directory);
    several_pages(directory);
    for View { situation, .. } in &views {
        situation.sync();
        situation.sync_changes_nothing();
        let users = situation.users();
        let others = |line: &&str| !line.starts_with('p') || line.starts_with("p00");
        let users: Vec<&str> = users.lines().filter(others).collect();
        assert_eq!(users.join("\n").trim(), USERS.trim());
        for number in 0..PAGED {
            assert!(situation.user(&format!("p{number:02}")).is_active);
        }
    }
    changes.follow("many join", &views[0].situation);
    drop(changes);
    several_mails(directory, &proxy);
    groups::follow(directory, &proxy, views);
    roles::follow(directory, &proxy);
    troubles::follow(directory, &proxy);
    if directory.kind.is_active_directory() {
        domain::from_the_root(directory);
    }
}

/// Each change of a plan is what `explain` finds out about its person alone.
fn explains_the_plan(situation: &Situation, what: &str) {
    for planned in situation.plan(&[]).unwrap().changes {
        let change = planned.change;
        for who in [&*change.username, &change.directory_id] {
            let explained = situation.explain(&[who]).unwrap();
            let found = explained
                .change
                .as_ref()
                .map(|change| (change.action, &change.reason));
            let expected = Some((change.action, &change.reason));
            assert_eq!(found, expected, "{what}, {who}: {explained:#?}");
        }
    }
}

/// Somebody with several mail addresses, of which one is used as long as it is there, and what is
/// planned when they are these.
const MAILS: [(&[&str], &str); 4] = [
    (
        &["c@a.test", "b@a.test", "e@a.test", "d@a.test", "f@a.test"],
        r"
plan for artists: 1 to create

  + create     mia  cn=mia,ou=services,dc=studio,dc=test
      username: mia
      first_name: (empty)
      last_name: (empty)
      email: b@a.test
      is_active: true
      the person is in the directory and has no user
",
    ),
    (
        &["e@a.test", "b@a.test", "a@a.test", "c@a.test"],
        "plan for artists: nothing to do",
    ),
    (
        &["z@a.test"],
        r"
plan for artists: 1 to update

  ~ update     mia  cn=mia,ou=services,dc=studio,dc=test
      email: b@a.test -> z@a.test
      the directory has other values
",
    ),
    (&[], "plan for artists: nothing to do"),
];

fn several_mails(directory: &RealDirectory, proxy: &LdapProxy) {
    let mail = if directory.kind.is_active_directory() {
        "otherMailbox"
    } else {
        "mail"
    };
    let attributes = format!("username = {:?}, email = {mail:?}", directory.login());
    directory.join_at("mia", "ou=services,dc=studio,dc=test");
    let mut views = views::views(directory, proxy);
    for View { situation, .. } in &mut views {
        situation.search_base = "ou=services,dc=studio,dc=test".into();
        situation.filter = "(cn=mia)".into();
        situation.attributes.clone_from(&attributes);
        situation.job.clear();
    }
    for (mails, expected) in MAILS {
        let lines = mails.iter().map(|value| format!("{mail}: {value}\n"));
        directory.change(&format!(
            "dn: cn=mia,ou=services,dc=studio,dc=test\nchangetype: modify\nreplace: {mail}\n{}",
            lines.collect::<String>()
        ));
        for View { name, situation } in &views {
            let plan = situation.plan_text().to_lowercase();
            // It warns of the values by the attribute's name.
            let (plan, _) = plan.split_once("\n  warnings:").unwrap_or((&plan, ""));
            assert_eq!(plan.trim(), expected.trim(), "{mails:?}, {name}");
            situation.sync();
        }
        if let (4.., [_, View { situation, .. }]) = (mails.len(), &views[..]) {
            groups::parts_that_break_off(proxy, situation, mail);
        }
    }
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
