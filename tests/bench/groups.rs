//! Groups of a studio's people as LDIF: nested in each other, one of them with half of the people.

use std::io::Write as _;

use ftrack_ldap_sync::demo::{
    cast::{self, Oddities},
    directory::TreeEntry,
};

/// Where the groups are.
const BASE: &str = "ou=groups,dc=studio,dc=test";

/// Prints so many groups: `all`, of which everybody is a member through the others; `half`, of half
/// of the people; and teams of so many people each.
pub fn print_ldif(numbers: &[&str]) {
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [people, groups, size] = numbers[..] else {
        panic!("what are {numbers:?}?");
    };
    let people: Vec<String> = cast::people(people, 1, Oddities::None)
        .into_iter()
        .map(|person| person.entry.dn)
        .collect();
    let mut entries = vec![
        TreeEntry::new(BASE)
            .with("objectClass", "organizationalUnit")
            .with("ou", "groups"),
        group("all", [dn("half"), dn("team 1")]),
        group("half", people[..people.len() / 2].iter().cloned()),
    ];
    let teams = groups - 2;
    entries.extend((1..=teams).map(|team| {
        let first = (team - 1) * people.len() / teams;
        let members = people.iter().cycle().skip(first).take(size).cloned();
        group(&format!("team {team}"), members.chain(below(team, teams)))
    }));
    std::io::stdout()
        .write_all(cast::ldif(&entries).as_bytes())
        .expect("standard output");
}

/// The teams that are members of a team: each of two more, and the last of the first.
fn below(team: usize, teams: usize) -> impl Iterator<Item = String> {
    let two = (2 * team..2 * team + 2).filter(move |below| *below <= teams);
    let again = (team == teams).then_some(1);
    two.chain(again).map(|team| dn(&format!("team {team}")))
}

fn dn(name: &str) -> String {
    format!("cn={name},{BASE}")
}

fn group(name: &str, members: impl IntoIterator<Item = String>) -> TreeEntry {
    let entry = TreeEntry::new(dn(name))
        .with("objectClass", "groupOfNames")
        .with("cn", name);
    members
        .into_iter()
        .fold(entry, |entry, member| entry.with("member", member))
}
