//! The directories that tell what changed in other ways than OpenLDAP does.

use super::*;
use crate::{
    ability::must_skip_as_root,
    directories::{OF_389, OF_SAMBA, servers::RealDirectory, situation},
    situations::Situation,
};

/// A studio with this directory, of two people.
fn of_two(directory: &RealDirectory) -> Situation {
    directory.join("ada");
    directory.join("bob");
    let mut situation = situation(directory);
    *situation = std::mem::replace(&mut *situation, Studio::empty()).end_to_end();
    situation.job =
        format!("{SCHEDULES}limits = {{ deactivate = 10, rename = 10, reactivate = 10 }}\n");
    assert_eq!(situation.sync().counts.created, 2);
    assert_eq!(changes(&situation), None, "nothing changed since");
    situation
}

/// Somebody joins, and somebody gets another name.
fn join_and_rename(directory: &RealDirectory) {
    directory.join("cyd");
    directory.change(
        "dn: cn=ada,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: sn\nsn: New\n",
    );
}

#[test]
fn on_389_directory_server_the_cookie_tells_who_left() {
    if must_skip_as_root("on_389_directory_server_the_cookie_tells_who_left", OF_389) {
        return;
    }
    let directory = RealDirectory::ds389();
    let situation = of_two(&directory);
    join_and_rename(&directory);
    directory.change("dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: delete\n");
    let report = some_changes(&situation);
    assert_eq!(part(&report).unwrap().by, "cookie");
    assert_eq!(
        done(&report),
        [
            "create cyd applied",
            "deactivate bob applied",
            "update ada applied"
        ]
    );
    assert_eq!(changes(&situation), None);
    directory.change(
        "dn: cn=cyd,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=cyd\ndeleteoldrdn: \
         1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
    assert_eq!(done(&some_changes(&situation)), ["deactivate cyd applied"]);
    situation.sync_changes_nothing();
}

#[test]
fn on_active_directory_the_numbers_of_its_changes_tell_and_nobody_is_absent() {
    if must_skip_as_root(
        "on_active_directory_the_numbers_of_its_changes_tell",
        OF_SAMBA,
    ) {
        return;
    }
    let directory = RealDirectory::samba();
    let situation = of_two(&directory);
    join_and_rename(&directory);
    directory.change("dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: delete\n");
    let report = some_changes(&situation);
    assert_eq!(part(&report).unwrap().by, "usn");
    assert_eq!(done(&report), ["create cyd applied", "update ada applied"]);
    assert_eq!(changes(&situation), None);
    assert_eq!(done(&situation.sync()), ["deactivate bob applied"]);
    assert_eq!(changes(&situation), None);
}

#[test]
fn without_either_the_times_of_the_changes_tell_and_nobody_is_absent() {
    let slapd = Setup::new(people(["ada", "bea", "cleo"])).start();
    let studio = studio(slapd.url().as_str());
    studio.sync();
    // What changed within the overlap comes once more, and is nothing new.
    assert_eq!(changes(&studio), None);
    slapd.change(&format!(
        "{}dn: uid=ada,{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: New\n\ndn: \
         uid=bea,{PEOPLE}\nchangetype: delete\n",
        person("ida")
    ));
    let report = some_changes(&studio);
    assert_eq!(part(&report).unwrap().by, "time");
    assert_eq!(done(&report), ["create ida applied", "update ada applied"]);
    assert_eq!(changes(&studio), None);
    assert_eq!(done(&studio.sync()), ["deactivate bea applied"]);
}
