//! What only 389 Directory Server and FreeIPA have.

use super::{OF_389, servers::RealDirectory, situation};
use crate::{
    ability::must_skip_as_root,
    check::world::{Checked, World},
};

#[test]
fn what_only_389_directory_server_has() {
    if must_skip_as_root("what_only_389_directory_server_has", OF_389) {
        return;
    }
    let directory = RealDirectory::ds389();
    for number in 0..10 {
        directory.join(&format!("p{number}"));
    }
    limits(&directory);
}

/// `check` with pages of 7 entries.
fn check(directory: &RealDirectory) -> Checked {
    let mut world = World::at(directory.url.as_str());
    world.bind = format!(
        "bind_dn = {:?}\nbind_password_file = \"ldap-password\"",
        directory.bind_dn
    );
    world.password = directory.password.into();
    world.directory_settings = format!("ca_file = {:?}\npage_size = 7", directory.ca_file);
    world.check(&[])
}

/// Sets an attribute of the account that reads, or removes it.
fn set(directory: &RealDirectory, attribute: &str, values: &[&str]) {
    directory.replace(directory.bind_dn, attribute, values);
}

/// The account's limits are shown, and what ends a read says which one it is.
fn limits(directory: &RealDirectory) {
    let (server, job) = (
        format!("directory studio {}", directory.url),
        format!("job artists at {}", directory.url),
    );
    let situation = situation(directory);
    let fails = |what: &str, way_out: &str| {
        let error = situation.sync().error.unwrap_or_default();
        assert!(error.contains(what) && error.ends_with(way_out), "{error}");
    };
    // Neither the account nor the server shows any.
    let checked = check(directory);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    assert!(!checked.well(&server).contains(&"limits"));

    set(directory, "nsLookThroughLimit", &["1000"]);
    set(directory, "nsTimeLimit", &["60"]);
    let checked = check(directory);
    assert_eq!((checked.status, checked.trouble()), (0, Vec::new()));
    let mut shown = checked.findings.iter();
    let shown = shown.find(|finding| finding.check == "limits").unwrap();
    assert_eq!(
        shown.detail,
        "1000 entries looked through by a search (nsLookThroughLimit of the account's entry); 60 \
         seconds for a page (nsTimeLimit of the account's entry)"
    );

    set(directory, "nsLookThroughLimit", &["12"]);
    let way_out = "the search looks through more entries than the account may: set \
                   nsPagedLookThroughLimit: -1 in the bind account's entry, or raise \
                   nsslapd-pagedlookthroughlimit (0: nsslapd-lookthroughlimit) of \
                   cn=config,cn=ldbm database,cn=plugins,cn=config";
    assert_eq!(
        check(directory).only_trouble(),
        (
            format!(
                "warn limits about {job}: 10 entries were returned, and the server ends a search \
                 that looks through more than 12: nsLookThroughLimit of the account's entry; \
                 {way_out}"
            ),
            0
        )
    );
    set(directory, "nsLookThroughLimit", &["8"]);
    let (trouble, status) = check(directory).only_trouble();
    assert!(
        trouble.contains("adminLimitExceeded (11)") && trouble.ends_with(way_out),
        "{trouble}"
    );
    assert_eq!(status, 1);
    fails("adminLimitExceeded (11)", way_out);
    set(directory, "nsPagedLookThroughLimit", &["-1"]);
    assert_eq!(check(directory).trouble(), Vec::<String>::new());
    set(directory, "nsPagedLookThroughLimit", &[]);
    set(directory, "nsLookThroughLimit", &[]);

    set(directory, "nsSizeLimit", &["5"]);
    let way_out = "a page is larger than the account may have: lower page_size, or raise \
                   nsPagedSizeLimit or nsSizeLimit of the bind account's entry, or \
                   nsslapd-sizelimit of cn=config";
    let trouble = check(directory).trouble();
    assert_eq!(trouble.len(), 2, "{trouble:#?}");
    assert_eq!(
        trouble[0],
        format!(
            "warn limits about {server}: a page of 7 entries (page_size) is refused as soon as it \
             has more than 5: nsSizeLimit of the account's entry; {way_out}"
        )
    );
    assert!(
        trouble[1].contains("sizeLimitExceeded (4)") && trouble[1].ends_with(way_out),
        "{trouble:#?}"
    );
    fails("sizeLimitExceeded (4)", way_out);
    set(directory, "nsSizeLimit", &[]);
    set(directory, "nsTimeLimit", &[]);
}
