//! Answers to a client: entries, schema, root DSE.

use std::collections::{BTreeSet, HashSet};

use ldap3::{Scope, SearchOptions, ldap_escape};

use ftrack_ldap_sync::demo::cast::{self, Oddities, Oddity};

use super::{directory, small, uids};
use crate::ldap_client::{bound, code, connect, dns, entries};

#[tokio::test]
async fn strangers_see_the_root_dse_only() {
    let server = small().await;
    let mut ldap = connect(&server.url()).await;
    let dse = entries(&mut ldap, "", Scope::Base, "(objectClass=*)", &["+"])
        .await
        .remove(0);
    let values = |name: &str| dse.attrs.get(name).cloned().unwrap_or_default();
    assert_eq!(values("namingContexts"), ["dc=studio,dc=test"]);
    assert_eq!(values("supportedLDAPVersion"), ["3"]);
    assert_eq!(values("subschemaSubentry"), ["cn=Subschema"]);
    assert_eq!(values("vendorName"), ["ftrack-ldap-sync"]);
    assert!(values("supportedControl").contains(&"1.2.840.113556.1.4.319".to_owned()));
    assert!(values("supportedExtension").contains(&"1.3.6.1.4.1.4203.1.11.3".to_owned()));
    for base in [cast::SUFFIX, cast::PEOPLE, "cn=Subschema", "dc=nowhere"] {
        assert_eq!(
            code(&mut ldap, base, Scope::Base, "(objectClass=*)")
                .await
                .0,
            50,
            "{base}"
        );
    }
}

#[tokio::test]
async fn the_schema_is_published() {
    let server = small().await;
    let mut ldap = bound(&server.url()).await;
    let schema = entries(
        &mut ldap,
        "cn=Subschema",
        Scope::Base,
        "(objectClass=subschema)",
        &["attributeTypes", "objectClasses"],
    )
    .await
    .remove(0);
    let types = &schema.attrs["attributeTypes"];
    for expected in [
        "( 0.9.2342.19200300.100.1.1 NAME ( 'uid' 'userid' ) EQUALITY caseIgnoreMatch SUBSTR \
         caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
        "( 2.5.4.42 NAME 'givenName' SUP name )",
        "( 1.3.6.1.1.16.4 NAME 'entryUUID' EQUALITY UUIDMatch ORDERING UUIDOrderingMatch SYNTAX \
         1.3.6.1.1.16.1 SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation )",
    ] {
        assert!(
            types.contains(&expected.to_owned()),
            "{expected}\n{types:#?}"
        );
    }
    let classes = &schema.attrs["objectClasses"];
    assert!(
        classes.contains(
            &"( 2.5.6.9 NAME 'groupOfNames' SUP top STRUCTURAL MUST ( member $ cn ) MAY ( \
              businessCategory $ seeAlso $ owner $ ou $ o $ description ) )"
                .to_owned()
        )
    );
    for class in [
        "inetOrgPerson",
        "person",
        "organizationalUnit",
        "groupOfNames",
        "dcObject",
    ] {
        assert!(
            classes
                .iter()
                .any(|text| text.contains(&format!("NAME '{class}'"))),
            "{class}"
        );
    }
    // Whatever a class names is defined.
    let names: HashSet<&str> = types
        .iter()
        .flat_map(|text| text.split('\'').skip(1).step_by(2))
        .collect();
    for class in classes {
        let lists = class
            .split(" MUST ")
            .nth(1)
            .or_else(|| class.split(" MAY ").nth(1))
            .unwrap_or_default();
        for name in lists
            .split_whitespace()
            .filter(|word| !matches!(*word, "(" | ")" | "$" | "MAY"))
        {
            assert!(names.contains(name), "{name} in {class}");
        }
    }
}

#[tokio::test]
async fn every_kind_of_filter() {
    let server = small().await;
    let all = ["emma", "bjorn", "zoe"].as_slice();
    let none = [].as_slice();
    let cases: &[(&str, &[&str])] = &[
        ("(objectClass=*)", all),
        ("(objectClass=INETORGPERSON)", all),
        ("(objectClass=2.16.840.1.113730.3.2.2)", all),
        ("(uid=EMMA)", &["emma"]),
        ("(userid=emma)", &["emma"]),
        ("(0.9.2342.19200300.100.1.1=emma)", &["emma"]),
        ("(cn=bjørn håland)", &["bjorn"]),
        ("(cn=BJØRN   HÅLAND )", &["bjorn"]),
        ("(cn=Zoë müller \\28ext.\\29 \\2a)", &["zoe"]),
        ("(name=brown)", &["emma"]),
        ("(telephoneNumber=+46812345)", &["emma"]),
        ("(manager=uid=emma,OU=people,dc=studio,dc=test)", &["bjorn"]),
        ("(mail=zoe@home.test)", &["zoe"]),
        ("(uid=*)", all),
        ("(mail=*)", &["emma", "zoe"]),
        ("(!(mail=*))", &["bjorn"]),
        ("(!(mail=emma@studio.test))", &["bjorn", "zoe"]),
        ("(cn=em*)", &["emma"]),
        ("(cn=*BROWN)", &["emma"]),
        ("(cn=*mm*ro*n)", &["emma"]),
        ("(cn=em*ma brown*n)", none),
        ("(cn=*\\2a)", &["zoe"]),
        ("(cn=*zoë*)", &["zoe"]),
        ("(uid~=Emma)", &["emma"]),
        ("(createTimestamp>=20000101000000Z)", all),
        ("(createTimestamp<=20000101000000Z)", none),
        ("(createTimestamp>=2000010100Z)", all),
        ("(&(mail=*)(!(uid=emma)))", &["zoe"]),
        ("(|(uid=emma)(uid=bjorn))", &["emma", "bjorn"]),
        ("(&)", all),
        ("(|)", none),
        // What cannot be decided is neither true nor, denied, false ...
        ("(noSuchAttribute=x)", none),
        ("(!(noSuchAttribute=x))", none),
        ("(!(noSuchAttribute=*))", none),
        ("(sn>=A)", none),
        ("(!(sn>=A))", none),
        ("(entryUUID=no uuid)", none),
        ("(!(entryUUID=no uuid))", none),
        ("(!(objectClass=noSuchClass))", none),
        ("(!(uid:caseExactMatch:=emma))", none),
        ("(!(userPassword=sync-secret))", none),
        // ... but does not matter where the rest decides.
        ("(|(noSuchAttribute=x)(uid=emma))", &["emma"]),
        ("(!(&(noSuchAttribute=x)(uid=emma)))", &["bjorn", "zoe"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(&uids(&server.url(), filter).await, expected, "{filter}");
    }
    let uuid = server
        .tree()
        .entry_uuid("uid=emma,ou=people,dc=studio,dc=test")
        .unwrap();
    assert_eq!(
        uids(
            &server.url(),
            &format!("(entryUUID={})", uuid.to_string().to_uppercase())
        )
        .await,
        ["emma"]
    );
}

#[tokio::test]
async fn odd_people_are_found_by_their_names() {
    let (server, people) = directory(50, Oddities::Some).await;
    let mut ldap = bound(&server.url()).await;
    for person in &people {
        let dn = &person.entry.dn;
        let itself = entries(&mut ldap, dn, Scope::Base, "(objectClass=*)", &["*"])
            .await
            .remove(0);
        assert_eq!(&itself.dn, dn);
        let cn = String::from_utf8(person.entry.values("cn")[0].clone()).unwrap();
        assert!(
            dns(&mut ldap, &format!("(cn={})", ldap_escape(cn)))
                .await
                .contains(dn),
            "{dn}"
        );
    }
    let photo = people
        .iter()
        .find(|person| person.oddity == Some(Oddity::Photo))
        .unwrap();
    let shown = entries(
        &mut ldap,
        &photo.entry.dn,
        Scope::Base,
        "(jpegPhoto=*)",
        &["jpegPhoto"],
    )
    .await
    .remove(0);
    assert_eq!(
        shown.bin_attrs["jpegPhoto"],
        photo.entry.values("jpegPhoto")
    );
}

#[tokio::test]
async fn scopes_and_missing_bases() {
    let server = small().await;
    let mut ldap = bound(&server.url()).await;
    let mut count = async |base: &str, scope| {
        entries(&mut ldap, base, scope, "(objectClass=*)", &["1.1"])
            .await
            .len()
    };
    assert_eq!(count(cast::SUFFIX, Scope::Base).await, 1);
    assert_eq!(count(cast::SUFFIX, Scope::OneLevel).await, 2);
    assert_eq!(count(cast::SUFFIX, Scope::Subtree).await, 8);
    assert_eq!(
        count("OU=People, dc=Studio,dc=test", Scope::Subtree).await,
        5
    );
    let mut missing =
        async |base: &str| code(&mut ldap, base, Scope::Subtree, "(objectClass=*)").await;
    assert_eq!(
        missing("uid=gone,ou=people,dc=studio,dc=test").await,
        (32, cast::PEOPLE.to_owned())
    );
    assert_eq!(
        missing("cn=a,cn=b,ou=nowhere,dc=studio,dc=test").await,
        (32, cast::SUFFIX.to_owned())
    );
    assert_eq!(missing("dc=elsewhere").await, (32, String::new()));
    assert_eq!(missing("").await, (32, String::new()));
    assert_eq!(missing("no dn").await.0, 34);
}

#[tokio::test]
async fn attributes_that_were_asked_for() {
    let server = small().await;
    let mut ldap = bound(&server.url()).await;
    let operational = [
        "createTimestamp",
        "entryUUID",
        "modifyTimestamp",
        "subschemaSubentry",
    ]
    .as_slice();
    let user = ["cn", "mail", "objectClass", "sn", "telephoneNumber", "uid"].as_slice();
    let both = [user, operational].concat();
    let cases: &[(&[&str], &[&str])] = &[
        (&[], user),
        (&["*"], user),
        (&["+"], operational),
        (&["*", "+"], &both),
        (&["1.1"], &[]),
        (&["1.1", "cn"], &["cn"]),
        (
            &["COMMONNAME", "entryuuid", "noSuchAttribute", "description"],
            &["cn", "entryUUID"],
        ),
        (&["name"], &["cn", "sn"]),
    ];
    let emma = "uid=emma,ou=people,dc=studio,dc=test";
    for (asked, expected) in cases {
        let entry = entries(&mut ldap, emma, Scope::Base, "(objectClass=*)", asked)
            .await
            .remove(0);
        let shown: BTreeSet<&str> = entry.attrs.keys().map(String::as_str).collect();
        assert_eq!(shown, expected.iter().copied().collect(), "{asked:?}");
    }
    let service = entries(
        &mut ldap,
        cast::SERVICE,
        Scope::Base,
        "(objectClass=*)",
        &["*", "+", "userPassword"],
    )
    .await
    .remove(0);
    assert!(!service.attrs.contains_key("userPassword"));
    ldap.with_search_options(SearchOptions::new().typesonly(true));
    let types = entries(&mut ldap, emma, Scope::Base, "(objectClass=*)", &["cn"])
        .await
        .remove(0);
    assert_eq!(types.attrs["cn"], Vec::<String>::new());
}
