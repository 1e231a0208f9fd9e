//! The people of a fictitious studio, the same for the same seed, and what a correct reader must
//! make of each.

mod ldif;
mod names;

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

pub use ldif::ldif;

use super::directory::{Tree, TreeEntry, TreeError};
use crate::config::Secret;
use names::{CULTURES, DEPARTMENTS, TITLES, Written};

/// The naming context of the studio's directory.
pub const SUFFIX: &str = "dc=studio,dc=test";
/// The base of the people; some of the odd ones are in a unit below.
pub const PEOPLE: &str = "ou=people,dc=studio,dc=test";
/// The service account that may read the directory.
pub const SERVICE: &str = "cn=ldap-sync,ou=services,dc=studio,dc=test";
/// The filter that finds exactly the people.
pub const FILTER: &str = "(objectClass=inetOrgPerson)";

/// A unit whose name must be escaped in a DN.
const ODD_UNIT: &str = "ou=R&D\\, Tools \\+ Pipe,ou=people,dc=studio,dc=test";
/// The number of people per odd form.
const ODD_EVERY: usize = 25;

/// Whether the entries are as in a tidy directory, or as in a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddities {
    /// Everybody has a login, one mail address and a plain DN.
    None,
    /// Of each 25 people, 20 have one odd form each.
    Some,
}

/// The odd form of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum Oddity {
    /// A comma in the RDN.
    CommaInName,
    /// A plus and a number sign in the RDN.
    PlusInName,
    /// A number sign at the start of the RDN.
    LeadingHash,
    /// Quotes, angle brackets, semicolon, equals sign and backslash in the RDN.
    QuotesInName,
    /// An RDN of two values.
    TwoNamingValues,
    /// Parentheses and an asterisk in the RDN.
    FilterSigns,
    /// A login that is not ASCII.
    ForeignLogin,
    /// No mail address.
    NoMail,
    /// Three mail addresses.
    SeveralMails,
    /// The mail address of the previous person, in capitals.
    SameMail,
    /// A name in decomposed form (NFD).
    Decomposed,
    /// An invalid mail address.
    NotAnAddress,
    NoLogin,
    /// A login and a mail address in capitals.
    Capitals,
    /// A description of 20,000 letters.
    LongValue,
    /// Line breaks and a tab in the description.
    LineBreaks,
    /// An emoji of several code points in the name.
    Emoji,
    /// Spaces around names and login.
    StraySpaces,
    /// A photo, which is not text.
    Photo,
    /// A place in a sub-unit whose name is escaped.
    BelowUnit,
}

const ODDITIES: [Oddity; 20] = [
    Oddity::CommaInName,
    Oddity::PlusInName,
    Oddity::LeadingHash,
    Oddity::QuotesInName,
    Oddity::TwoNamingValues,
    Oddity::FilterSigns,
    Oddity::ForeignLogin,
    Oddity::NoMail,
    Oddity::SeveralMails,
    Oddity::SameMail,
    Oddity::Decomposed,
    Oddity::NotAnAddress,
    Oddity::NoLogin,
    Oddity::Capitals,
    Oddity::LongValue,
    Oddity::LineBreaks,
    Oddity::Emoji,
    Oddity::StraySpaces,
    Oddity::Photo,
    Oddity::BelowUnit,
];

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Person {
    pub entry: TreeEntry,
    /// The odd form, if any.
    pub oddity: Option<Oddity>,
    /// What a correct reader must make of the entry.
    pub expected: Expected,
}

/// What a correct reader makes of an entry: first values, trimmed, in composed form (NFC); `None`
/// where the entry has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// From `uid`.
    pub username: Option<String>,
    /// From `mail`, unchanged, whether or not it is valid.
    pub email: Option<String>,
    /// From `givenName`.
    pub first_name: Option<String>,
    /// From `sn`.
    pub last_name: Option<String>,
}

/// This many people; the first ones are the same however many there are.
#[must_use]
pub fn people(count: usize, seed: u64, oddities: Oddities) -> Vec<Person> {
    let mut dice = Dice(seed);
    let mut logins = HashMap::new();
    let mut people: Vec<Person> = Vec::with_capacity(count);
    for number in 1..=count {
        let mut draft = Draft::new(number, &mut dice, &mut logins);
        let oddity = match oddities {
            Oddities::None => None,
            Oddities::Some => ODDITIES.get((number - 1) % ODD_EVERY).copied(),
        };
        if let Some(oddity) = oddity {
            draft.make_odd(oddity, people.last());
        }
        people.push(draft.finish(oddity));
    }
    people
}

/// All entries of the studio's directory, parents first: units, the service account with its
/// password, and the people.
#[must_use]
pub fn entries(people: &[Person], service_password: &Secret) -> Vec<TreeEntry> {
    let unit = |dn: &str, name: &str| {
        TreeEntry::new(dn)
            .with("objectClass", "organizationalUnit")
            .with("ou", name)
    };
    let suffix = TreeEntry::new(SUFFIX)
        .with("objectClass", "organization")
        .with("objectClass", "dcObject")
        .with("o", "Studio")
        .with("dc", "studio");
    let service = TreeEntry::new(SERVICE)
        .with("objectClass", "organizationalRole")
        .with("objectClass", "simpleSecurityObject")
        .with("cn", "ldap-sync")
        .with("userPassword", service_password.expose());
    let mut entries = vec![
        suffix,
        unit(PEOPLE, "people"),
        unit(ODD_UNIT, "R&D, Tools + Pipe"),
        unit("ou=services,dc=studio,dc=test", "services"),
        service,
    ];
    entries.extend(people.iter().map(|person| person.entry.clone()));
    entries
}

/// A tree with these entries.
///
/// # Errors
/// An entry is invalid, for example when two people have the same DN.
pub fn tree(people: &[Person], service_password: &Secret) -> Result<Tree, TreeError> {
    let tree = Tree::new(SUFFIX)?;
    for entry in entries(people, service_password) {
        tree.add(entry)?;
    }
    Ok(tree)
}

/// A person under construction.
struct Draft {
    number: usize,
    rdn: Vec<(&'static str, String)>,
    parent: &'static str,
    given: String,
    surname: String,
    cn: String,
    uid: Option<String>,
    mails: Vec<String>,
    description: Option<String>,
    photo: Option<Vec<u8>>,
    department: (&'static str, &'static str),
    title: &'static str,
    language: &'static str,
}

impl Draft {
    fn new(number: usize, dice: &mut Dice, logins: &mut HashMap<String, usize>) -> Self {
        let culture = dice.pick(CULTURES);
        let (given, surname) = culture.map_or((("Kim", "kim"), ("Lee", "lee")), |culture| {
            let or: fn(Option<Written>) -> Written = |name| name.unwrap_or(("Kim", "kim"));
            (
                or(dice.pick(culture.given).copied()),
                or(dice.pick(culture.surnames).copied()),
            )
        });
        let stem = format!("{}.{}", given.1, surname.1);
        let taken = logins.entry(stem.clone()).or_insert(0);
        *taken += 1;
        let uid = if *taken == 1 {
            stem
        } else {
            format!("{stem}{taken}")
        };
        Self {
            number,
            rdn: vec![("uid", uid.clone())],
            parent: PEOPLE,
            given: given.0.to_owned(),
            surname: surname.0.to_owned(),
            cn: format!("{} {}", given.0, surname.0),
            mails: vec![format!("{uid}@studio.test")],
            uid: Some(uid),
            description: None,
            photo: None,
            department: dice
                .pick(DEPARTMENTS)
                .copied()
                .unwrap_or(("110", "Production")),
            title: dice.pick(TITLES).copied().unwrap_or("Artist"),
            language: culture.map_or("en", |culture| culture.language),
        }
    }

    fn make_odd(&mut self, oddity: Oddity, previous: Option<&Person>) {
        let (number, given, surname, cn) = (
            self.number,
            self.given.clone(),
            self.surname.clone(),
            self.cn.clone(),
        );
        let uid = self.uid.clone().unwrap_or_default();
        match oddity {
            Oddity::CommaInName => self.name_by_cn(format!("{surname}, {given} {number}")),
            Oddity::PlusInName => self.name_by_cn(format!("{given} + {surname} #{number}")),
            Oddity::LeadingHash => self.name_by_cn(format!("#{number} {given}")),
            Oddity::QuotesInName => {
                self.name_by_cn(format!("{given} \"Ace\" {surname} <{number}>; a=b\\c"))
            }
            Oddity::TwoNamingValues => self.rdn.insert(0, ("cn", cn)),
            Oddity::FilterSigns => self.name_by_cn(format!("{given} {surname} {number} (Ext.) *")),
            Oddity::ForeignLogin => {
                let uid = format!("{given}.{surname}.{number}").replace(' ', "");
                self.rdn = vec![("uid", uid.clone())];
                self.uid = Some(uid);
            }
            Oddity::NoMail => self.mails.clear(),
            Oddity::SeveralMails => self.mails.extend([
                format!("{uid}@elsewhere.test"),
                format!("{uid}+alias@studio.test"),
            ]),
            Oddity::SameMail => {
                let mail = previous.and_then(|person| person.expected.email.clone());
                self.mails = mail.map(|mail| mail.to_uppercase()).into_iter().collect();
            }
            Oddity::Decomposed => {
                self.given = "Zoë".nfd().collect();
                self.surname = "Åström".nfd().collect();
                self.cn = format!("{} {}", self.given, self.surname);
            }
            Oddity::NotAnAddress => self.mails = vec!["not-an-address".to_owned()],
            Oddity::NoLogin => {
                self.uid = None;
                self.name_by_cn(format!("{cn} {number}"));
            }
            Oddity::Capitals => {
                self.mails = vec![format!("{}@STUDIO.TEST", uid.to_uppercase())];
                self.uid = Some(uid.to_uppercase());
            }
            Oddity::LongValue => self.description = Some("x".repeat(20_000)),
            Oddity::LineBreaks => self.description = Some("line one\nline two\r\n\ttab".to_owned()),
            Oddity::Emoji => self.cn = format!("👩\u{200d}🎨 {cn}"),
            Oddity::StraySpaces => {
                self.cn = format!("  {cn}  {number} ");
                self.given = format!(" {given}  ");
                self.surname = format!("{surname} ");
                self.uid = Some(format!(" {uid} "));
            }
            Oddity::Photo => {
                self.photo = Some([&[0xff, 0xd8, 0xff, 0xe0][..], &[0; 64], &[0xff, 0xd9]].concat())
            }
            Oddity::BelowUnit => self.parent = ODD_UNIT,
        }
    }

    fn name_by_cn(&mut self, cn: String) {
        self.rdn = vec![("cn", cn.clone())];
        self.cn = cn;
    }

    fn finish(self, oddity: Option<Oddity>) -> Person {
        let rdn: Vec<String> = self
            .rdn
            .iter()
            .map(|(name, value)| format!("{name}={}", escape(value)))
            .collect();
        let mut entry = TreeEntry::new(format!("{},{}", rdn.join("+"), self.parent))
            .with("objectClass", "inetOrgPerson");
        let optional = [("uid", &self.uid), ("description", &self.description)];
        for (name, value) in optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        {
            entry = entry.with(name, value);
        }
        entry = self
            .mails
            .iter()
            .fold(entry, |entry, mail| entry.with("mail", mail));
        entry = entry
            .with("cn", &self.cn)
            .with("sn", &self.surname)
            .with("givenName", &self.given)
            .with("displayName", self.cn.trim())
            .with("title", self.title)
            .with("departmentNumber", self.department.0)
            .with("ou", self.department.1)
            .with("employeeNumber", format!("E{:06}", self.number))
            .with("preferredLanguage", self.language);
        if let Some(photo) = &self.photo {
            entry = entry.with("jpegPhoto", photo);
        }
        let expected = Expected {
            username: self.uid.as_deref().map(tidy),
            email: self.mails.first().map(|mail| tidy(mail)),
            first_name: Some(tidy(&self.given)),
            last_name: Some(tidy(&self.surname)),
        };
        Person {
            entry,
            oddity,
            expected,
        }
    }
}

/// Trimmed and in composed form, as values reach ftrack.
fn tidy(value: &str) -> String {
    value.trim().nfc().collect()
}

/// A value as it is written in a DN (RFC 4514 section 2.4).
fn escape(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(value.len());
    for (at, letter) in value.chars().enumerate() {
        let special = matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
        if special || (at == 0 && matches!(letter, ' ' | '#')) || (at == last && letter == ' ') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), the only source of randomness that a cast
/// needs.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One of them; `None` of nothing.
    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(of.len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.roll() % count)
            .ok()
            .and_then(|at| of.get(at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_people() {
        assert_eq!(people(40, 1, Oddities::Some), people(40, 1, Oddities::Some));
        assert_eq!(
            people(40, 1, Oddities::None)[..10],
            people(10, 1, Oddities::None)[..]
        );
        assert_ne!(people(40, 1, Oddities::None), people(40, 2, Oddities::None));
    }

    #[test]
    fn tidy_people_have_all_that_ftrack_wants_once() {
        let people = people(5_000, 1, Oddities::None);
        let usernames: HashSet<String> = people
            .iter()
            .filter_map(|person| person.expected.username.clone())
            .collect();
        let emails: HashSet<String> = people
            .iter()
            .filter_map(|person| person.expected.email.clone())
            .collect();
        assert_eq!((usernames.len(), emails.len()), (5_000, 5_000));
        assert!(usernames.iter().all(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.')
        }));
    }

    #[test]
    fn every_seed_fits_in_a_tree() {
        for seed in 0..20 {
            let people = people(500, seed, Oddities::Some);
            let tree = tree(&people, &Secret::new("secret".to_owned())).unwrap();
            assert_eq!(tree.len(), 505);
            assert_eq!(
                people
                    .iter()
                    .filter(|person| person.oddity.is_some())
                    .count(),
                400
            );
            for person in &people {
                assert_eq!(tree.find(&person.entry.dn).as_ref(), Some(&person.entry));
            }
        }
    }

    #[test]
    fn a_reader_is_expected_to_tidy_up() {
        let people = people(25, 1, Oddities::Some);
        let odd = |oddity| {
            &people
                .iter()
                .find(|person| person.oddity == Some(oddity))
                .unwrap()
                .expected
        };
        assert_eq!(odd(Oddity::NoLogin).username, None);
        assert_eq!(odd(Oddity::NoMail).email, None);
        assert_eq!(odd(Oddity::Decomposed).first_name.as_deref(), Some("Zoë"));
        let spaced = odd(Oddity::StraySpaces).username.as_deref().unwrap();
        assert_eq!(spaced, spaced.trim());
    }

    #[test]
    fn passwords_stay_out_of_debug_output() {
        let entries = entries(&[], &Secret::new("hunter2-hunter2".to_owned()));
        let text = format!("{entries:?}");
        assert!(text.contains("userPassword"));
        assert!(
            !text.contains("hunter2")
                && !text.contains(&format!("{:?}", "hunter2-hunter2".as_bytes()))
        );
    }
}
