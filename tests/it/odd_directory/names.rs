//! Attributes that a server calls otherwise than the configuration does, or sends in another form.

use insta::assert_snapshot;

use super::{Odd, OddDirectory, attribute, mapping, situation};
use crate::slapd::{Setup, ldif_entry};

/// The schema of the people's attributes.
pub fn schema() -> Vec<String> {
    [
        "( 2.5.4.41 NAME 'name' )",
        "( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )",
        "( 2.5.4.42 NAME ( 'givenName' 'gn' ) SUP name )",
        "( 0.9.2342.19200300.100.1.1 NAME ( 'uid' 'userid' ) )",
        "( 0.9.2342.19200300.100.1.3 NAME ( 'mail' 'rfc822Mailbox' ) )",
        "( 1.2.3.4 NAME 'badge' )",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A server that answers under its own names, whatever was asked for.
fn own_names() -> Odd {
    let aliases = [
        ("userid", "uid"),
        ("rfc822Mailbox", "mail"),
        ("gn", "givenName"),
        ("2.5.4.4", "sn"),
    ];
    Odd {
        aliases: aliases
            .map(|(of, name)| (of.to_owned(), name.to_owned()))
            .to_vec(),
        ..Odd::of(&["ada", "bob"])
    }
}

const ALIASES: &str = "username = \"userid\", email = \"rfc822Mailbox\", first_name = \"gn\", \
                       last_name = \"2.5.4.4\"";

#[test]
fn aliases_and_oids_are_found_by_the_schema() {
    let directory = OddDirectory::start(Odd {
        schema: schema(),
        ..own_names()
    });
    let mut situation = situation(&directory);
    mapping(&mut situation, ALIASES);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
    mapping(
        &mut situation,
        "username = \"uid\", email = \"MAIL\", first_name = \"givenname\", last_name = \"{{ surname }}\"",
    );
    situation.sync_changes_nothing();
}

#[test]
fn without_a_schema_names_that_may_be_others_are_refused() {
    let directory = OddDirectory::start(own_names());
    let mut situation = situation(&directory);
    mapping(&mut situation, ALIASES);
    assert_snapshot!(situation.plan_text(), @"error: the directory could not be read completely, and nothing was written: ldap://directory: no entry shows 2.5.4.4, gn, rfc822Mailbox, userid, the directory shows no schema, and it answered with givenName, mail, sn, uid instead, for which nobody asked; write the attribute's name as the directory does");
    assert_eq!(situation.users(), "");
    // Nothing that it could mean: it is said.
    mapping(&mut situation, "username = \"uid\", email = \"badge\"");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 2 to create

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: (empty)
          last_name: (empty)
          is_active: true
          the person is in the directory and has no user

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: (empty)
          last_name: (empty)
          is_active: true
          the person is in the directory and has no user

      Warnings:
        no entry shows badge, and the directory shows no schema, so it is not known whether that is the name of an attribute
        nobody has a value for attributes.email ("badge"): check the name, and whether the bind account may read it
    "#);
}

#[test]
fn a_name_that_the_schema_does_not_have_is_refused_and_one_that_nobody_has_is_not() {
    let directory = OddDirectory::start(Odd {
        schema: schema(),
        ..own_names()
    });
    let mut situation = situation(&directory);
    mapping(&mut situation, "username = \"uid\", last_name = \"surnam\"");
    assert_snapshot!(situation.plan_text(), @"error: the directory could not be read completely, and nothing was written: ldap://directory: the directory's schema has no attribute surnam, and no entry shows it (did you mean surname?); write the attribute's name as the directory does");
    mapping(&mut situation, "username = \"uid\", last_name = \"badge\"");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "" "" <>; artists, settled
    bob: active, "" "" <>; artists, settled
    "#);
    // A server may show what its schema does not have.
    directory.set(|odd| odd.put("ada", "odd-name", &["Odd"]));
    mapping(
        &mut situation,
        "username = \"uid\", last_name = \"odd-name\"",
    );
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "" "Odd" <>; artists, settled
    bob: active, "" "" <>; artists, settled
    "#);
}

#[test]
fn the_order_of_options_means_nothing() {
    let directory = OddDirectory::start(Odd::of(&["ada"]));
    directory.set(|odd| odd.put("ada", "sn;lang-en;lang-ja", &["Adams (tagged)"]));
    for (name, expected) in [
        ("sn;lang-ja;lang-en", "Adams (tagged)"),
        ("sn;lang-ja", "Adams (tagged)"),
        ("sn", "ada"),
    ] {
        let mut situation = situation(&directory);
        mapping(
            &mut situation,
            &format!("username = \"uid\", last_name = \"{name}\""),
        );
        situation.sync();
        let user = situation.user("ada");
        assert_eq!(user.last_name.as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn names_with_hyphens_are_for_templates_too() {
    let directory = OddDirectory::start(Odd::of(&["ada"]));
    let name = "msDS-cloudExtensionAttribute1";
    directory.set(|odd| odd.put("ada", name, &["Lighting"]));
    let mut situation = situation(&directory);
    let template = |text: &str| format!("username = \"uid\", first_name = '{text}'");
    mapping(
        &mut situation,
        &template(&format!("{{{{ ldap[\"{name}\"] }}}}")),
    );
    situation.sync();
    assert_eq!(
        situation.user("ada").first_name.as_deref(),
        Some("Lighting")
    );
    mapping(&mut situation, &template(&format!("{{{{ {name} }}}}")));
    let ended = situation.run(&["check", "--offline"]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("is written as ldap["),
        "{}",
        ended.stderr
    );
}

#[test]
fn one_attribute_in_several_parts_is_one_and_so_are_equal_values() {
    let directory = OddDirectory::start(Odd {
        is_split: true,
        ..Odd::of(&["ada"])
    });
    directory.set(|odd| {
        odd.put(
            "ada",
            "mail",
            &["z@studio.test", "a@studio.test", "z@studio.test"],
        );
        let id = odd
            .person("ada")
            .iter()
            .find(|(name, _)| name == "entryUUID")
            .cloned();
        odd.person("ada").extend(id);
    });
    let situation = situation(&directory);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"ada: active, "Given" "ada" <a@studio.test>; artists, settled"#);
    directory.set(|odd| odd.put("ada", "mail", &["b@studio.test", "a@studio.test"]));
    situation.sync_changes_nothing();
    directory.set(|odd| {
        odd.person("ada")
            .push(attribute("MAIL", &["a@studio.test"]))
    });
    situation.sync_changes_nothing();
}

#[test]
fn a_value_that_is_no_text_leaves_nobody_out_where_it_is_optional() {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob"]));
    let situation = situation(&directory);
    situation.sync();
    directory.set(|odd| {
        odd.put("ada", "mail", &[]);
        odd.person("ada")
            .push(("mail".into(), vec![vec![0xff, 0xfe]]));
        odd.put("ada", "sn", &["Lovelace"]);
    });
    let situation = situation.config(
        "[jobs.artists.attributes]\nemail = { from = \"mail\", when_absent = \"clear\" }\n",
    );
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Lovelace
          the directory has other values

      Warnings:
        1 of 2 people have no mail address in the directory, so ftrack gets none from it: ada
        mail has a value that is not text (UTF-8) in 1 of 2 entries, which is ignored; one is uid=ada,ou=people,dc=studio,dc=test
    ");
    let situation = situation
        .config("[jobs.artists.attributes]\nemail = { from = \"mail\", required = true }\n");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the value of mail is not text (UTF-8)
    ");
}

#[test]
fn a_real_server_answers_under_its_own_names() {
    let people: String = ["ada", "ben"]
        .map(|uid| {
            let mail = format!("{uid}@studio.test");
            let attributes = [
                ("objectClass", "inetOrgPerson"),
                ("uid", uid),
                ("cn", uid),
                ("givenName", "Given"),
                ("sn", "Name"),
                ("sn;lang-en;lang-ja", "Tagged"),
                ("mail", &mail),
            ];
            ldif_entry(&crate::studio::dn(uid), &attributes)
        })
        .concat();
    let slapd = Setup::new(people).start();
    let mut studio = crate::studio::Studio::empty().end_to_end();
    studio.directory_url = slapd.url().to_string();
    mapping(
        &mut studio,
        "username = \"userid\", email = \"rfc822Mailbox\", first_name = \"2.5.4.42\", last_name = \"surname;lang-ja;lang-en\"",
    );
    studio.sync();
    let user = studio.user("ada");
    let values = [&user.email, &user.first_name, &user.last_name].map(|text| text.as_deref());
    assert_eq!(
        values,
        [Some("ada@studio.test"), Some("Given"), Some("Tagged")]
    );
    let checked = studio.run(&["check"]);
    assert_eq!(checked.status, 0, "{}{}", checked.stdout, checked.stderr);
    for line in [
        "rfc822Mailbox (mail): all of 2 entries have it",
        "2.5.4.42 (givenName)",
    ] {
        assert!(checked.stdout.contains(line), "{line}:\n{}", checked.stdout);
    }
    mapping(&mut studio, "username = \"uidd\"");
    let failed = studio.sync();
    assert_snapshot!(failed.error.unwrap().replace(studio.directory_url.trim_end_matches('/'), "ldap://slapd"), @"the directory could not be read completely, and nothing was written: ldap://slapd: the directory's schema has no attribute uidd, and no entry shows it (did you mean uid?); write the attribute's name as the directory does");
}
