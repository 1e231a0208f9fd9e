//! The example of a configuration for each kind of directory.

use ftrack_ldap_sync::{command, model::server_kind::ServerKind};

use super::servers::RealDirectory;
use crate::{check::world::World, slapd::PEOPLE};

/// The examples for this directory, with other servers and accounts, are whole configurations.
pub fn work(directory: &RealDirectory) {
    let (own, other) = match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            (ServerKind::Samba, ServerKind::ActiveDirectory)
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => (ServerKind::Ds389, ServerKind::FreeIpa),
        ServerKind::OpenLdap | ServerKind::Generic => (ServerKind::OpenLdap, ServerKind::Generic),
    };
    assert_eq!(works(directory, own), [""; 0]);
    let trouble = works(directory, other);
    // Between these two, the kind makes no difference.
    if other.is_active_directory() {
        assert_eq!(trouble, [""; 0]);
        return;
    }
    let [only] = &trouble[..] else {
        panic!("{other}: {trouble:#?}");
    };
    let is_another =
        format!("it is treated as {other}, as the configuration says, but shows itself as {own}");
    assert!(only.contains(&is_another), "{only}");
}

/// The configuration passes the check but for this, and finds the only person.
fn works(directory: &RealDirectory, kind: ServerKind) -> Vec<String> {
    let example = command::config::example_of(kind).unwrap();
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
    let checked = world.check(&[]);
    assert_eq!(checked.status, 0, "{kind}: {:#?}", checked.trouble());
    // To an ordinary account, only a domain shows the limits of everybody.
    let mut findings = checked.findings.iter();
    let limits = findings.find(|finding| finding.check == "limits");
    let of_domain = "1000 entries in a page, larger ones are cut (MaxPageSize); 1500 values of an \
                     attribute at once (MaxValRange); 120 seconds for a page (MaxQueryDuration)";
    assert_eq!(
        limits.map(|limits| limits.detail.as_str()),
        kind.is_active_directory().then_some(of_domain)
    );
    let plan = world.command(&["plan"]);
    assert!(
        plan.stdout.starts_with("Plan for artists: 1 to create\n"),
        "{kind}: {}{}",
        plan.stdout,
        plan.stderr
    );
    checked.trouble()
}
