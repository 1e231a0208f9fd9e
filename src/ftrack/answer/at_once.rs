//! Answers as nearly all are: parsed in one pass, straight into rows. What is otherwise is no error
//! here: its parts are looked at one by one, which shows what is wrong with it.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{After, Bounded, Expected, Metadata, Page};
use crate::ftrack::{budget::Charge, row::Row};

/// The pages of an answer; none where anything about it is unusual.
pub(super) fn pages<R: Row>(body: &[u8], expected: &Expected) -> Option<Vec<Page<R>>> {
    let mut text = serde_json::Deserializer::from_str(std::str::from_utf8(body).ok()?);
    let pages = Bounded {
        most: expected.answers,
        what: "answers",
        each: |_: &Page<R>| true,
        of: OnePage {
            expected,
            of: PhantomData,
        },
    };
    let pages = pages.deserialize(&mut text).ok()?;
    text.end().ok()?;
    (pages.len() == expected.answers).then_some(pages)
}

/// One page, whose rows are counted as they come.
struct OnePage<'e, R> {
    expected: &'e Expected,
    of: PhantomData<fn() -> R>,
}

impl<R> Clone for OnePage<'_, R> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'de, R: Row> DeserializeSeed<'de> for OnePage<'_, R> {
    type Value = Page<R>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Page<R>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// What is known of the columns of an answer.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Column {
    Data,
    Metadata,
    Exception,
    Content,
    #[serde(other)]
    Other,
}

impl<'de, R: Row> Visitor<'de> for OnePage<'_, R> {
    type Value = Page<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of rows")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Page<R>, M::Error> {
        let mut charge = Charge::on(&self.expected.budget);
        let (mut data, mut metadata) = (None, None::<Metadata>);
        while let Some(column) = map.next_key::<Column>()? {
            match column {
                Column::Data if data.is_none() => {
                    let rows = Bounded {
                        most: self.expected.rows,
                        what: "rows",
                        each: |row: &R| charge.take(row.size()).is_ok(),
                        of: OneRow(PhantomData),
                    };
                    data = Some(map.next_value_seed(rows)?);
                }
                Column::Metadata if metadata.is_none() => metadata = Some(map.next_value()?),
                Column::Data | Column::Metadata | Column::Exception | Column::Content => {
                    return Err(M::Error::custom("an unusual answer"));
                }
                Column::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let data = data.ok_or_else(|| M::Error::missing_field("data"))?;
        Ok(Page {
            data: Some(data),
            after: After::of(metadata),
            charge,
        })
    }
}

/// One row, in its usual form.
struct OneRow<R>(PhantomData<fn() -> R>);

impl<R> Clone for OneRow<R> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<'de, R: Row> DeserializeSeed<'de> for OneRow<R> {
    type Value = R;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<R, D::Error> {
        R::usual(deserializer)
    }
}
