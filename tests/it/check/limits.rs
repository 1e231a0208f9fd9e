//! Limits of OpenLDAP that stop a read: `check` and a run say which of the server's own settings to
//! change.

use super::world::{World, bare};
use crate::{
    situations::Situation,
    slapd::{SYNC_DN, Setup},
};

/// What `check` and a run say about 30 people where the account has these limits.
fn stopped(limits: &str, page_size: u32) -> (String, String) {
    let slapd = Setup::new(crate::directory::people(30))
        .database(&format!("limits dn.exact=\"{SYNC_DN}\" {limits}"))
        .start();
    let mut world = World::over(&slapd);
    world.directory_settings += &format!("\npage_size = {page_size}");
    let (trouble, status) = world.check(&[]).only_trouble();
    assert_eq!(status, 1, "{trouble}");
    let url = bare(&slapd.tls_url());
    let trouble = trouble
        .strip_prefix(&format!("fail people about job artists at {url}: "))
        .unwrap_or_else(|| panic!("{trouble}"))
        .to_owned();
    let mut situation = Situation::of(&[]);
    situation.directory_url.clone_from(&url);
    let situation = situation.config(&format!(
        "[directories.studio]\nca_file = {:?}\npage_size = {page_size}\n",
        slapd.ca_file()
    ));
    (trouble, situation.sync().error.unwrap())
}

fn says(limits: &str, page_size: u32, what: &str, way_out: &str) {
    let (checked, failed) = stopped(limits, page_size);
    assert!(
        checked.contains(what) && checked.ends_with(way_out),
        "{checked}"
    );
    assert!(
        failed.contains(what) && failed.ends_with(way_out),
        "{failed}"
    );
}

#[test]
fn the_limit_of_all_pages_together() {
    says(
        "size.soft=20 size.prtotal=20",
        10,
        "sizeLimitExceeded (4)",
        "give the bind account `limits dn.exact=\"…\" size.prtotal=unlimited` in its database \
         (slapd.conf; olcLimits in cn=config): without it, sizelimit (500) bounds all pages of a \
         search together",
    );
}

#[test]
fn the_limit_of_one_page() {
    says(
        "size.pr=5",
        10,
        "adminLimitExceeded (11): illegal pagedResults page size",
        "lower page_size to the account's size.pr, or give the bind account `limits \
         dn.exact=\"…\" size.pr=unlimited size.prtotal=unlimited size.unchecked=unlimited` in its \
         database (slapd.conf; olcLimits in cn=config)",
    );
}

#[test]
fn the_limit_of_what_a_search_looks_at() {
    says(
        "size.unchecked=5",
        10,
        "adminLimitExceeded (11)",
        "size.unchecked=unlimited` in its database (slapd.conf; olcLimits in cn=config)",
    );
}
