//! A tree that is changed while it is served.

use ldap3::Scope;

use ftrack_ldap_sync::{
    config::Secret,
    demo::{
        cast,
        directory::{Tree, TreeEntry},
    },
};

use super::{small, uids};
use crate::ldap_client::{PASSWORD, bound, code, dns};

#[tokio::test]
async fn changes_while_it_runs() {
    let server = small().await;
    let tree = server.tree();
    let mut ldap = bound(&server.url()).await;
    let emma = "uid=emma,ou=people,dc=studio,dc=test";
    let uuid = tree.entry_uuid(emma).unwrap();
    tree.replace(emma, "mail", &["emma@elsewhere.test"])
        .unwrap();
    assert_eq!(dns(&mut ldap, "(mail=emma@elsewhere.test)").await, [emma]);
    tree.replace(emma, "mail", &[]).unwrap();
    assert_eq!(uids(&server.url(), "(!(mail=*))").await, ["emma", "bjorn"]);

    let ellen = "uid=ellen,ou=people,dc=studio,dc=test";
    tree.rename(emma, ellen).unwrap();
    assert_eq!(tree.entry_uuid(ellen), Some(uuid));
    assert_eq!(
        dns(&mut ldap, &format!("(entryUUID={uuid})")).await,
        [ellen]
    );
    assert_eq!(dns(&mut ldap, "(uid=emma)").await, Vec::<String>::new());
    assert_eq!(tree.find(ellen).unwrap().values("uid"), [b"ellen".to_vec()]);

    tree.rename("ou=people,dc=studio,dc=test", "ou=crew,dc=studio,dc=test")
        .unwrap();
    assert_eq!(
        dns(&mut ldap, "(uid=ellen)").await,
        ["uid=ellen,ou=crew,dc=studio,dc=test"]
    );
    assert_eq!(
        code(&mut ldap, cast::PEOPLE, Scope::Subtree, "(uid=*)").await,
        (32, cast::SUFFIX.to_owned())
    );
    tree.rename("ou=crew,dc=studio,dc=test", "ou=people,dc=studio,dc=test")
        .unwrap();

    tree.remove(ellen).unwrap();
    assert_eq!(dns(&mut ldap, "(uid=ellen)").await, Vec::<String>::new());
    let successor = TreeEntry::new(ellen)
        .with("objectClass", "inetOrgPerson")
        .with("cn", "Ellen")
        .with("sn", "Brown");
    assert_ne!(tree.add(successor).unwrap(), uuid);
    assert_eq!(
        uids(&server.url(), "(uid=*)").await,
        ["bjorn", "zoe", "ellen"]
    );
}

#[test]
fn what_a_tree_refuses() {
    let tree = Tree::new("dc=studio,dc=test").unwrap();
    let person = |dn: &str| {
        TreeEntry::new(dn)
            .with("objectClass", "inetOrgPerson")
            .with("cn", "A")
            .with("sn", "B")
    };
    let refused = |entry: TreeEntry| tree.add(entry).unwrap_err().to_string();
    assert_eq!(
        refused(person("uid=a,dc=studio,dc=test")),
        "there is no entry above uid=a,dc=studio,dc=test"
    );
    for entry in cast::entries(&[], &Secret::new(PASSWORD.to_owned())) {
        tree.add(entry).unwrap();
    }
    tree.add(person("uid=a,dc=studio,dc=test")).unwrap();
    let again = "uid=A, dc=studio,dc=test";
    assert_eq!(
        refused(person(again)),
        format!("there is an entry {again} already")
    );
    let b = "uid=b,dc=studio,dc=test";
    for (entry, why) in [
        (
            person(b).with("mail", "bjørn@studio.test"),
            "a value of mail has the wrong syntax",
        ),
        (
            person(b).with("mail", "a@b.test").with("mail", "A@b.test"),
            "mail has the same value twice",
        ),
        (
            person(b).with("noSuchAttribute", "x"),
            "attribute noSuchAttribute is not defined",
        ),
        (
            person(b).with("entryUUID", "x"),
            "entryUUID is maintained by the server",
        ),
        (
            person(b).with("dc", "x"),
            "its object classes do not allow dc",
        ),
        (
            person(b)
                .with("employeeNumber", "1")
                .with("employeeNumber", "2"),
            "employeeNumber may have one value only",
        ),
        (
            TreeEntry::new(b)
                .with("objectClass", "inetOrgPerson")
                .with("cn", "A"),
            "its object classes demand sn",
        ),
        (TreeEntry::new(b).with("cn", "A"), "it has no object class"),
        (
            TreeEntry::new(b).with("objectClass", "noSuchClass"),
            "a value of objectClass has the wrong syntax",
        ),
    ] {
        assert_eq!(refused(entry), format!("{b}: {why}"));
    }
    let a = "uid=a,dc=studio,dc=test";
    assert_eq!(
        tree.replace(a, "uid", &["b"]).unwrap_err().to_string(),
        format!("{a}: uid is part of its name")
    );
    assert_eq!(
        tree.replace(a, "sn", &[]).unwrap_err().to_string(),
        format!("{a}: its object classes demand sn")
    );
    assert_eq!(
        tree.remove(b).unwrap_err().to_string(),
        format!("there is no entry {b}")
    );
    assert_eq!(
        tree.remove(cast::SUFFIX).unwrap_err().to_string(),
        format!("there are entries below {}", cast::SUFFIX)
    );
    assert_eq!(
        tree.rename(a, cast::SERVICE).unwrap_err().to_string(),
        format!("there is an entry {} already", cast::SERVICE)
    );
    assert!(
        tree.rename(cast::PEOPLE, &format!("ou=x,{}", cast::PEOPLE))
            .is_err()
    );
    assert!(
        tree.add(person("uid=a,dc=elsewhere"))
            .unwrap_err()
            .to_string()
            .contains("is not below")
    );
    assert_eq!(tree.len(), 6);
}
