//! The demo's story: what happens in the directory in each chapter, and the expected result in
//! ftrack.

use super::{
    cast::{PEOPLE, Person},
    directory::{Tree, TreeEntry, TreeError},
    world::World,
};
use crate::model::report::{Counts, Outcome};

/// Where leavers are moved; it is outside the job's search base.
pub const FORMER: &str = "ou=former,dc=studio,dc=test";

const JOINER: (&str, &str, &str) = ("Nova", "Sterling", "nova.sterling");
const CARELESS: (&str, &str, &str) = ("Robin", "Vale", "robin.vale");
const NEW_SURNAME: &str = "Winterbourne";
/// The minimum number of people for the story.
const FEWEST: usize = 10;

/// One step of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chapter {
    /// ftrack is empty.
    FirstSync,
    /// Nothing has changed.
    Again,
    /// A joiner, a leaver, a rename, a new mail address and an entry without a login.
    OrdinaryDay,
    /// The leaver comes back.
    Return,
    /// Half of the people are moved out of the search base by mistake.
    HalfGone,
    /// The directory ends its answer early with an error.
    BadDay,
    /// Everything works.
    Normal,
}

impl Chapter {
    /// The whole story.
    pub const ALL: [Self; 7] = [
        Self::FirstSync,
        Self::Again,
        Self::OrdinaryDay,
        Self::Return,
        Self::HalfGone,
        Self::BadDay,
        Self::Normal,
    ];
}

/// The expected result of one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// How it ends.
    pub outcome: Outcome,
    /// What was written, and what was not.
    pub counts: Counts,
    /// Whether ftrack is written to.
    pub writes: Writes,
    /// How many of the people's users are active afterwards.
    pub active: usize,
}

/// Whether ftrack is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// No write call, and every user is as before.
    None,
    /// At least one write call.
    Some,
}

/// A person in the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Character {
    /// First and last name.
    pub name: String,
    first_name: String,
    login: String,
    dn: String,
}

/// The characters and the numbers of one demo.
#[derive(Debug)]
pub struct Story {
    tree: Tree,
    /// How many people there are at the start.
    pub people: usize,
    /// Who changes name.
    pub renamed: Character,
    /// Who leaves and comes back.
    pub leaver: Character,
    /// Who gets a new mail address on the ordinary day.
    pub mover: Character,
    /// Who gets a new mail address while half of the directory is gone.
    pub late: Character,
    /// People who are moved out of the search base by mistake, by DN.
    lost: Vec<String>,
}

/// The story cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// There are too few people.
    #[error("the story needs at least {FEWEST} people")]
    TooFew,
    /// The directory refused a change.
    #[error("cannot change the demo's directory: {0}")]
    Tree(#[from] TreeError),
}

impl Story {
    /// Assigns the parts.
    ///
    /// # Errors
    /// There are too few people.
    pub fn new(world: &World) -> Result<Self, StoryError> {
        let [renamed, leaver, mover, late, rest @ ..] = world.people.as_slice() else {
            return Err(StoryError::TooFew);
        };
        let people = world.people.len();
        if people < FEWEST {
            return Err(StoryError::TooFew);
        }
        // With the joiner and the entry without a login that were added before, this is half.
        let lost = rest
            .iter()
            .rev()
            .take(usize::midpoint(people, 2))
            .map(|person| person.entry.dn.clone())
            .collect();
        Ok(Self {
            tree: world.directory.tree().clone(),
            people,
            renamed: Character::of(renamed),
            leaver: Character::of(leaver),
            mover: Character::of(mover),
            late: Character::of(late),
            lost,
        })
    }

    /// Makes the changes of a chapter in the directory.
    ///
    /// # Errors
    /// The directory refuses a change.
    pub fn play(&self, chapter: Chapter, world: &World) -> Result<(), StoryError> {
        match chapter {
            Chapter::FirstSync | Chapter::Again => {}
            Chapter::OrdinaryDay => self.ordinary_day()?,
            Chapter::Return => self
                .tree
                .rename(&moved(&self.leaver.dn, FORMER), &self.leaver.dn)?,
            Chapter::HalfGone => {
                self.tree.replace(&careless_dn(), "uid", &[CARELESS.2])?;
                self.tree
                    .replace(&self.late.dn, "mail", &[&self.late.new_mail()])?;
                for dn in &self.lost {
                    self.tree.rename(dn, &moved(dn, FORMER))?;
                }
            }
            Chapter::BadDay => {
                for dn in &self.lost {
                    self.tree.rename(&moved(dn, FORMER), dn)?;
                }
                world.directory.break_off_after(self.lost());
            }
            Chapter::Normal => world.directory.recover(),
        }
        Ok(())
    }

    /// The expected result of the sync after the chapter.
    #[must_use]
    pub fn expected(&self, chapter: Chapter) -> Expected {
        let all = self.people + 2;
        let none = Counts::default();
        let (outcome, counts, active) = match chapter {
            Chapter::FirstSync => (
                Outcome::Succeeded,
                Counts {
                    created: self.people,
                    ..none
                },
                self.people,
            ),
            Chapter::Again => (
                Outcome::Succeeded,
                Counts {
                    unchanged: self.people,
                    ..none
                },
                self.people,
            ),
            Chapter::OrdinaryDay => {
                let counts = Counts {
                    created: 1,
                    updated: 2,
                    deactivated: 1,
                    skipped: 1,
                    unchanged: self.people - 3,
                    ..none
                };
                (Outcome::Succeeded, counts, self.people)
            }
            Chapter::Return => {
                let counts = Counts {
                    reactivated: 1,
                    skipped: 1,
                    unchanged: self.people,
                    ..none
                };
                (Outcome::Succeeded, counts, self.people + 1)
            }
            Chapter::HalfGone => {
                let counts = Counts {
                    created: 1,
                    updated: 1,
                    held: self.lost(),
                    unchanged: all - self.lost() - 2,
                    ..none
                };
                (Outcome::Held, counts, all)
            }
            Chapter::BadDay => (Outcome::Failed, none, all),
            Chapter::Normal => (
                Outcome::Succeeded,
                Counts {
                    unchanged: all,
                    ..none
                },
                all,
            ),
        };
        let writes = match chapter {
            Chapter::FirstSync | Chapter::OrdinaryDay | Chapter::Return | Chapter::HalfGone => {
                Writes::Some
            }
            Chapter::Again | Chapter::BadDay | Chapter::Normal => Writes::None,
        };
        Expected {
            outcome,
            counts,
            writes,
            active,
        }
    }

    /// How many people are moved out of the search base by mistake, which is also the number of
    /// entries before the directory ends its answer early.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// The name of the joiner.
    #[must_use]
    pub fn joiner(&self) -> String {
        format!("{} {}", JOINER.0, JOINER.1)
    }

    /// The name in the entry without a login.
    #[must_use]
    pub fn careless(&self) -> String {
        format!("{} {}", CARELESS.0, CARELESS.1)
    }

    /// The new name of the person who is renamed.
    #[must_use]
    pub fn new_name(&self) -> String {
        format!("{} {NEW_SURNAME}", self.renamed.first_name)
    }

    fn ordinary_day(&self) -> Result<(), TreeError> {
        let (first_name, surname, login) = JOINER;
        let dn = format!("uid={login},{PEOPLE}");
        self.tree
            .add(entry(&dn, first_name, surname).with("mail", format!("{login}@studio.test")))?;
        let (first_name, surname, login) = CARELESS;
        self.tree.add(
            entry(&careless_dn(), first_name, surname).with("mail", format!("{login}@studio.test")),
        )?;
        self.tree
            .rename(&self.leaver.dn, &moved(&self.leaver.dn, FORMER))?;
        self.tree
            .replace(&self.mover.dn, "mail", &[&self.mover.new_mail()])?;
        let stem = self.renamed.login.split('.').next().unwrap_or_default();
        let new_dn = format!("uid={stem}.{},{PEOPLE}", NEW_SURNAME.to_lowercase());
        self.tree.rename(&self.renamed.dn, &new_dn)?;
        self.tree.replace(&new_dn, "sn", &[NEW_SURNAME])?;
        for attribute in ["cn", "displayName"] {
            self.tree.replace(&new_dn, attribute, &[&self.new_name()])?;
        }
        Ok(())
    }
}

impl Character {
    fn of(person: &Person) -> Self {
        let expected = person.expected.clone();
        let first_name = expected.first_name.unwrap_or_default();
        Self {
            name: format!("{first_name} {}", expected.last_name.unwrap_or_default()),
            first_name,
            login: expected.username.unwrap_or_default(),
            dn: person.entry.dn.clone(),
        }
    }

    fn new_mail(&self) -> String {
        format!("{}@newstudio.test", self.login)
    }
}

fn entry(dn: &str, first_name: &str, surname: &str) -> TreeEntry {
    TreeEntry::new(dn)
        .with("objectClass", "inetOrgPerson")
        .with("cn", format!("{first_name} {surname}"))
        .with("givenName", first_name)
        .with("sn", surname)
}

fn careless_dn() -> String {
    format!("cn={} {},{PEOPLE}", CARELESS.0, CARELESS.1)
}

/// The DN of one of the people under another unit.
fn moved(dn: &str, unit: &str) -> String {
    let rdn = dn.strip_suffix(PEOPLE).unwrap_or(dn);
    format!("{rdn}{unit}")
}
