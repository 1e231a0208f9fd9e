//! What an Active Directory by Microsoft does and Samba does not: it returns many values in parts (MS-ADTS
//! section 3.1.1.3.1.3.3), and has limits for pages and for searches without pages (section
//! 3.1.1.3.4.6).

use super::ber::{self, Message};

/// The limits, and how well the parts of values follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The most values of an attribute that are returned at once: `MaxValRange`.
    pub most_values: usize,
    /// The most entries of a page, and of a search without pages: `MaxPageSize`.
    pub page_size: u8,
    /// The attribute of which the parts of values do not follow each other to the end, and how.
    pub broken: Option<(&'static str, Parts)>,
}

/// The same for the attribute types of the schema, of which there are many.
const MOST_TYPES: usize = 1000;

/// How the parts of an attribute's values follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// To the end.
    Whole,
    /// The last one says that more follow.
    NoEnd,
    /// The one that follows is the first one again.
    SameAgain,
    /// The one that follows is the last one, and has no values.
    Empty,
    /// The one that follows has no values, and says that more follow.
    EmptyWithMore,
    /// What follows does not come.
    Missing,
    /// The first one has fewer values than it says.
    Short,
}

/// Everything is returned in parts this small, of attributes such as objectClass, too.
pub const SMALL: Quirks = Quirks {
    most_values: 3,
    page_size: 5,
    broken: None,
};

/// The limits of a domain controller, but for the pages.
pub const OF_MICROSOFT: Quirks = Quirks {
    most_values: 1500,
    page_size: 250,
    broken: None,
};

impl Quirks {
    /// The same with an attribute whose parts of values follow each other so.
    pub fn of(self, attribute: &'static str, parts: Parts) -> Self {
        Self {
            broken: Some((attribute, parts)),
            ..self
        }
    }

    /// An entry as the client gets it. The root DSE has no parts.
    pub fn entry(self, bytes: &[u8]) -> Vec<u8> {
        let entry = Message::new(bytes);
        if ber::dn(&entry).is_empty() {
            return bytes.to_vec();
        }
        ber::with_attributes(&entry, |name, values| {
            let values = values.into_iter().map(<[u8]>::to_vec).collect();
            self.attribute(name, values)
        })
    }

    fn attribute(self, name: String, mut values: Vec<Vec<u8>>) -> Vec<(String, Vec<Vec<u8>>)> {
        let (plain, first) = started(&name);
        let most = if plain == "attributeTypes" {
            MOST_TYPES
        } else {
            self.most_values
        };
        let broken = self.broken.filter(|(attribute, _)| *attribute == plain);
        let parts = broken.map_or(Parts::Whole, |(_, parts)| parts);
        let is_last = values.len() <= most;
        let Some(first) = first else {
            if is_last {
                return vec![(name, values)];
            }
            values.truncate(most);
            if parts == Parts::Short {
                values.pop();
            }
            let part = format!("{plain};range=0-{}", most - 1);
            return vec![(plain, Vec::new()), (part, values)];
        };
        values.truncate(most);
        let last = (first + values.len()).saturating_sub(1);
        let part = match parts {
            Parts::Whole | Parts::Short if is_last => format!("{first}-*"),
            Parts::Whole | Parts::Short | Parts::NoEnd => format!("{first}-{last}"),
            Parts::SameAgain => format!("0-{}", values.len() - 1),
            Parts::Empty | Parts::EmptyWithMore => {
                values.clear();
                let end = if parts == Parts::Empty { "*" } else { "9" };
                format!("{first}-{end}")
            }
            Parts::Missing => return Vec::new(),
        };
        vec![(format!("{plain};range={part}"), values)]
    }
}

/// The name of an attribute without its range, and the number of the range's first value.
fn started(name: &str) -> (String, Option<usize>) {
    match name.split_once(";range=") {
        Some((plain, range)) => {
            let (first, _) = range.split_once('-').unwrap();
            (plain.to_owned(), Some(first.parse().unwrap()))
        }
        None => (name.to_owned(), None),
    }
}
