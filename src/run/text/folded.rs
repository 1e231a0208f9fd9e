//! What is said of several people in the same words is shown once on a terminal, with the first of them.

use std::collections::BTreeMap;

use crate::model::change::Skipped;

/// How many people are named.
pub(super) const NAMED: usize = 3;

/// Between which words texts name the person whom they are about.
const PERSON: [(&str, &str); 5] = [
    ("the user \"", ", is inactive and stays inactive; "),
    ("the user \"", "\" "),
    ("the person with the directory id ", " "),
    (
        "groups still name ",
        ", where the person's entry was before ",
    ),
    (
        "groups of member_of still name ",
        ", where the person's entry was before ",
    ),
];

/// What follows a login that is quoted, beside the person's DN.
const ADOPTED_FOR: &str = "\", adopted for ";

/// A text, and those that say the same of others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folded {
    /// The text about the first one, with the others.
    pub text: String,
    /// How many it is about.
    pub number: usize,
    /// How many of the texts are about somebody who is not named.
    pub not_named: usize,
}

impl From<(&str, usize)> for Folded {
    /// A text that stands for no others.
    fn from((text, number): (&str, usize)) -> Self {
        Self {
            text: text.to_owned(),
            number,
            not_named: 0,
        }
    }
}

/// The text before and after the person, and the person.
fn parts(text: &str) -> Option<((&str, &str), &str)> {
    PERSON.iter().find_map(|(before, after)| {
        let start = text.find(before)? + before.len();
        let (person, _) = text.get(start..)?.split_once(after)?;
        let rest = text.get(start + person.len()..)?;
        let person = person.split_once(ADOPTED_FOR);
        let person = person.map_or(text.get(start..text.len() - rest.len())?, |(login, _)| {
            login
        });
        Some(((text.get(..start)?, rest), person))
    })
}

/// The texts, each with how many it is about, in their order; those that differ only in the person
/// stand where the first one does.
pub(super) fn folded<'t>(texts: impl IntoIterator<Item = (&'t str, usize)>) -> Vec<Folded> {
    // How many each group is about, and its texts with the people.
    let mut groups: Vec<(usize, Vec<(&str, &str)>)> = Vec::new();
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (text, number) in texts {
        let parts = parts(text);
        let place = parts.map(|(without, _)| *places.entry(without).or_insert(groups.len()));
        let one = (parts.map_or("", |(_, person)| person), text);
        match place.and_then(|place| groups.get_mut(place)) {
            Some((all, people)) => {
                *all += number;
                people.push(one);
            }
            None => groups.push((number, vec![one])),
        }
    }
    let groups = groups.into_iter();
    groups
        .map(|(number, mut people)| {
            people.sort_unstable();
            let mut people = people.into_iter();
            let first = people.next().map_or("", |(_, text)| text);
            let others: Vec<&str> = people.map(|(person, _)| person).collect();
            let named = others.get(..NAMED).unwrap_or(&others);
            let not_named = others.len() - named.len();
            let same = match (named, not_named) {
                ([], _) => String::new(),
                (named, 0) => format!("; the same of {}", named.join(", ")),
                (named, more) => format!("; the same of {}, and {more} more", named.join(", ")),
            };
            Folded {
                text: format!("{first}{same}"),
                number,
                not_named,
            }
        })
        .collect()
}

/// The skipped entries by their reasons, in the order of the first of each.
pub(super) fn by_reason(skipped: &[Skipped]) -> Vec<(&str, Vec<&Skipped>)> {
    let mut groups: Vec<(&str, Vec<&Skipped>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in skipped {
        let reason = entry.reason.as_str();
        let place = *places.entry(reason).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, entries)) => entries.push(entry),
            None => groups.push((reason, vec![entry])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::reason::Reason;

    fn of(reason: &Reason, username: &str) -> String {
        reason.warning(username).unwrap()
    }

    #[test]
    fn what_differs_only_in_the_person_is_one_text() {
        let mut texts = vec!["something else".to_owned()];
        for number in 0..78 {
            texts.push(of(&Reason::DeactivateOff, &format!("user{number:02}")));
            texts.push("something else".to_owned());
        }
        texts.push(of(&Reason::Released, "ada"));
        texts.push(of(&Reason::Released, "bob"));
        texts.push(of(&Reason::FoundById("id-1".into()), ""));
        texts.push(of(&Reason::FoundById("id-2".into()), ""));
        texts.push(of(&Reason::SharedLink, "cyd"));
        let adopted = |login: &str| {
            format!(
                "the user {login:?}, adopted for uid={login},dc=test, is inactive and stays \
                 inactive; activate it in ftrack if the person needs access"
            )
        };
        texts.extend(["eve", "fay"].map(adopted));
        let all = folded(texts.iter().map(|text| (text.as_str(), 1)));
        let mut shown: Vec<String> = all
            .iter()
            .map(|one| format!("{} {} {}", one.number, one.not_named, one.text))
            .collect();
        shown.dedup();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        1 0 something else
        78 74 the person of the user "user00" left, and users.deactivate is false; the same of user01, user02, user03, and 74 more
        1 0 something else
        2 0 the user "ada" is active, although the person left: this program deactivated it, and somebody reactivated it; the same of bob
        2 0 the person with the directory id id-1 was missing from the read, but was found by id; the user is unchanged; the same of id-2
        1 0 the user "cyd" and others have the same link, and its person left the directory; none of them is changed: delete the link of those who are not that person
        2 0 the user "eve", adopted for uid=eve,dc=test, is inactive and stays inactive; activate it in ftrack if the person needs access; the same of fay
        "#);
    }

    #[test]
    fn what_holds_is_counted_over_all() {
        let held = |dn: &str| {
            format!(
                "the role's groups still name {dn}, where the person's entry was before it was \
                 renamed or moved: correct the groups' members"
            )
        };
        let (ada, bob) = (held("uid=ada,dc=test"), held("uid=bob,dc=test"));
        let all = folded([(ada.as_str(), 3), ("too many", 2), (bob.as_str(), 1)]);
        let shown: Vec<String> = all
            .iter()
            .map(|one| format!("{} {} {}", one.number, one.not_named, one.text))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        4 0 the role's groups still name uid=ada,dc=test, where the person's entry was before it was renamed or moved: correct the groups' members; the same of uid=bob,dc=test
        2 0 too many
        ");
    }
}
