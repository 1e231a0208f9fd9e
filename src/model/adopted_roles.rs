//! The words for what holds an adoption of a user with security roles, of which those of several users
//! are put together.

use std::collections::BTreeMap;

use super::way_to_approve::BY_NUMBER;

const USER: &str = "the user ";
const HAS: &str = " has security roles beyond those of a new user (";
const HAVE: &str = ") have security roles beyond those of a new user (";
const OF_ONE: &str =
    "), which would become the person's; if the user is the person's, approve it: ";
const OF_SEVERAL: &str = "), which would become those of the people; if each user is the person's, approve \
                          it: ";

/// How many users are named where several have the same roles.
const NAMED: usize = 3;

/// Why the adoption of a user with these roles, as they are to be shown, is held.
#[must_use]
pub fn why_held(username: &str, roles: &str) -> String {
    format!(
        "{USER}{username:?}{HAS}{roles}{OF_ONE}{BY_NUMBER}; a role that every new user gets belongs in \
         ftrack.default_roles"
    )
}

/// Such a text in parts: the login in its quotes, the roles, and the way to approve it; none of any
/// other text.
fn parts(why: &str) -> Option<(&str, &str, &str)> {
    let (login, rest) = why.strip_prefix(USER)?.split_once(HAS)?;
    let (roles, way) = rest.split_once(OF_ONE)?;
    Some((login, roles, way))
}

/// The texts with how many each is of; those that differ only in the user are one that names the first
/// of them.
#[must_use]
pub fn grouped<'w>(whys: impl IntoIterator<Item = (&'w str, usize)>) -> Vec<(String, usize)> {
    let mut same: BTreeMap<_, Vec<(&str, &str, usize)>> = BTreeMap::new();
    let mut all = Vec::new();
    for (why, count) in whys {
        match parts(why) {
            Some((login, roles, way)) => {
                same.entry((roles, way))
                    .or_default()
                    .push((why, login, count));
            }
            None => all.push((why.to_owned(), count)),
        }
    }
    all.extend(same.into_iter().map(|((roles, way), users)| {
        let number = users.iter().map(|(.., count)| count).sum();
        if let [(why, ..)] = users.as_slice() {
            return ((*why).to_owned(), number);
        }
        let mut logins: Vec<&str> = users.iter().map(|(_, login, _)| *login).collect();
        logins.sort_unstable();
        let why = format!(
            "{} users ({}{HAVE}{roles}{OF_SEVERAL}{way}",
            logins.len(),
            named(&logins)
        );
        (why, number)
    }));
    all
}

fn named(logins: &[&str]) -> String {
    match logins {
        [first @ .., last] if logins.len() <= NAMED => {
            format!("{} and {last}", first.join(", "))
        }
        _ => {
            let shown: Vec<&str> = logins.iter().take(NAMED).copied().collect();
            let more = logins.len().saturating_sub(NAMED);
            format!("{} and {more} more", shown.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_same_roles_are_one() {
        let users = ["ada", "bob", "cy \" has", "dan", "eve"];
        let mut whys: Vec<String> = users
            .iter()
            .map(|user| why_held(user, "\"User\""))
            .collect();
        whys.push(why_held("fay", "\"Manager\""));
        whys.push("something else".to_owned());
        let grouped = grouped(whys.iter().map(|why| (&**why, 1)));
        assert_eq!(grouped.len(), 3, "{grouped:#?}");
        assert!(grouped.contains(&("something else".to_owned(), 1)));
        assert!(grouped.contains(&(why_held("fay", "\"Manager\""), 1)));
        let (why, number) = &grouped[2];
        assert_eq!(*number, 5);
        assert!(
            why.starts_with(
                "5 users (\"ada\", \"bob\", \"cy \\\" has\" and 2 more) have security roles beyond \
                 those of a new user (\"User\"), "
            ),
            "{why}"
        );
        assert_eq!(named(&["a", "b"]), "a and b");
        assert_eq!(named(&["a", "b", "c"]), "a, b and c");
    }
}
