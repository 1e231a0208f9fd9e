//! People whose mail addresses are missing, or those of others as well: they get their users all the
//! same, and somebody should know.

use std::{collections::BTreeMap, ptr};

use foldhash::{HashSet, HashSetExt};

use super::Decider;
use crate::{
    model::{change::Action, fold::fold},
    sync::{
        decision::{Decision, Outcome, Who},
        desired::DesiredValue,
        person::Person,
    },
};

/// The most people, and the most addresses, that are named in one notice.
const NAMED: usize = 8;
/// The most people of one address that are named.
const OF_ONE_ADDRESS: usize = 3;

impl Decider<'_, '_> {
    /// Of a part of the people, nothing can be said about the others.
    pub(super) fn of_mails(&mut self) {
        if !self.matched.desired.is_of_everybody() {
            return;
        }
        // Somebody may be decided about twice: for a login that is taken, and for everything else.
        let mut seen = HashSet::with_capacity(self.plan.decisions.len());
        let served = self.plan.decisions.iter().filter_map(served);
        let people: Vec<&Person> = served
            .filter(|person| seen.insert(ptr::from_ref(*person)))
            .collect();
        let notices = without_mail(&people)
            .into_iter()
            .chain(of_one_mail(&people));
        self.plan.notices.extend(notices);
    }
}

/// The person, where the decision is about one who has an active user of the job or gets one.
fn served<'a>(decision: &Decision<'a>) -> Option<&'a Person> {
    let Who::Person((_, person)) = decision.who else {
        return None;
    };
    let is_served = match &decision.outcome {
        Outcome::Unchanged => decision.user.is_some_and(|user| user.is_active),
        Outcome::Change(change) => change.action != Action::Deactivate,
        Outcome::Skipped | Outcome::LeftAlone | Outcome::Waiting => false,
    };
    is_served.then_some(person)
}

fn mail(person: &Person) -> Option<&str> {
    match &person.email {
        DesiredValue::Text(mail) => Some(mail),
        DesiredValue::Keep | DesiredValue::Clear => None,
    }
}

/// Where nobody has one, no rule asks for it, or that is said of the rule.
fn without_mail(people: &[&Person]) -> Option<String> {
    let without = people.iter().filter(|person| mail(person).is_none());
    let mut logins: Vec<&str> = without.map(|person| &*person.username).collect();
    logins.sort_unstable();
    let number = logins.len();
    if number == 0 || number == people.len() {
        return None;
    }
    Some(format!(
        "{number} of {} people have no mail address in the directory, so ftrack gets none from it: {}",
        people.len(),
        named(logins.into_iter(), NAMED)
    ))
}

fn of_one_mail<'p>(people: &[&'p Person]) -> Option<String> {
    // Nearly everybody has an address alone.
    let (mut seen, mut of_several) = (HashSet::with_capacity(people.len()), BTreeMap::new());
    let folded = |person: &&'p Person| mail(person).map(fold);
    for mail in people.iter().filter_map(folded) {
        if !seen.insert(mail.clone()) {
            of_several.insert(mail, Vec::new());
        }
    }
    if of_several.is_empty() {
        return None;
    }
    for person in people {
        if let Some(people) = folded(person).and_then(|mail| of_several.get_mut(&mail)) {
            people.push(*person);
        }
    }
    for people in of_several.values_mut() {
        people.sort_unstable_by_key(|person| &person.username);
    }
    let is_one = match of_several.len() {
        1 => "1 mail address is that".to_owned(),
        many => format!("{many} mail addresses are those"),
    };
    let described: Vec<String> = of_several
        .values()
        .map(|people: &Vec<&Person>| {
            let mail = people.iter().find_map(|person| mail(person));
            let logins = people.iter().map(|person| &*person.username);
            let logins = named(logins, OF_ONE_ADDRESS);
            format!("{} ({logins})", mail.unwrap_or_default())
        })
        .collect();
    Some(format!(
        "{is_one} of several people, whose users all get it: {}",
        named(described.iter().map(String::as_str), NAMED)
    ))
}

/// The first of them, and how many others there are.
fn named<'t>(texts: impl Iterator<Item = &'t str>, most: usize) -> String {
    let texts: Vec<&str> = texts.collect();
    let more = match texts.len().saturating_sub(most) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let first: Vec<&str> = texts.into_iter().take(most).collect();
    format!("{}{more}", first.join(", "))
}
