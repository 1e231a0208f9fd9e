//! Parses the body of an answer: a list with one element for each operation, or one of the many
//! forms of an error. No I/O.

mod at_once;

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    },
};
use serde_json::{Value, error::Category, value::RawValue};

use super::{
    budget::{Budget, Charge},
    error::{FtrackErrorKind, ServerRefusal, excerpt},
    key::Keys,
    row::Row,
    text::{LARGEST_VALUE, beginning, small, words},
};

/// The most bytes that are parsed at once into rows: a mismatch is told with the whole text of the
/// value that is of the wrong type. Longer lists are parsed row by row.
const AT_ONCE: usize = 2 << 20;

/// What an answer may contain; nothing beyond it is parsed.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// The number of operations.
    pub answers: usize,
    /// The most rows of each page.
    pub rows: usize,
    /// For the rows.
    pub budget: Arc<Budget>,
}

/// The answer to one operation; may be an error in place of a result.
pub(super) trait ResponseItem: Sized + Send + 'static {
    /// Its parts, of which nothing is copied.
    type Parts<'a>: Deserialize<'a>;

    /// The error in its place, if it is one.
    fn exception<'a>(parts: &Self::Parts<'a>) -> Option<Exception<'a>>;

    /// Parses it.
    fn parse(parts: Self::Parts<'_>, expected: &Expected) -> Result<Self, Unparsed>;

    /// Parses a whole body of the usual form in one pass; none where its parts have to be looked
    /// at one by one.
    fn at_once(_body: &[u8], _expected: &Expected) -> Option<Vec<Self>> {
        None
    }
}

/// Why an answer is not parsed.
pub(super) enum Unparsed {
    /// It does not have the expected form.
    Misshapen(serde_json::Error),
    /// Its rows need more memory than the reading may take.
    Exhausted,
}

impl From<serde_json::Error> for Unparsed {
    fn from(error: serde_json::Error) -> Self {
        Self::Misshapen(error)
    }
}

/// An error in place of an answer: its class and text.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Exception<'a> {
    #[serde(borrow, default)]
    exception: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// An answer of no particular form, at most 1 MiB of it.
pub(super) struct AnyAnswer(pub Value);

impl ResponseItem for AnyAnswer {
    type Parts<'a> = &'a RawValue;

    fn exception<'a>(parts: &Self::Parts<'a>) -> Option<Exception<'a>> {
        let found: Exception<'a> = serde_json::from_str(parts.get()).ok()?;
        (parts.get().starts_with('{') && found.exception.is_some()).then_some(found)
    }

    fn parse(parts: Self::Parts<'_>, _: &Expected) -> Result<Self, Unparsed> {
        if parts.get().len() > LARGEST_VALUE {
            let reason = format!("an answer of more than {LARGEST_VALUE} bytes");
            return Err(serde_json::Error::custom(reason).into());
        }
        Ok(Self(serde_json::from_str(parts.get())?))
    }
}

/// The answer to an operation that writes: only whether it is an error, since the result is read
/// back.
pub(super) struct Acknowledged;

impl ResponseItem for Acknowledged {
    type Parts<'a> = Element<Exception<'a>>;

    fn exception<'a>(Element(parts): &Self::Parts<'a>) -> Option<Exception<'a>> {
        parts.exception.is_some().then_some(*parts)
    }

    fn parse(_: Self::Parts<'_>, _: &Expected) -> Result<Self, Unparsed> {
        Ok(Self)
    }
}

/// The answer to one query: a page of rows.
pub(super) struct Page<R> {
    data: Option<Vec<R>>,
    after: After,
    charge: Charge,
}

/// The parts of the answer to a query.
#[derive(Deserialize)]
pub(super) struct PageParts<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    exception: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    next: Option<Next>,
}

#[derive(Debug, Default, Deserialize)]
struct Next {
    #[serde(default)]
    offset: Option<u64>,
}

impl<R: Row> ResponseItem for Page<R> {
    type Parts<'a> = Element<PageParts<'a>>;

    fn exception<'a>(Element(parts): &Self::Parts<'a>) -> Option<Exception<'a>> {
        let (exception, content) = (parts.exception, parts.content);
        exception
            .is_some()
            .then_some(Exception { exception, content })
    }

    fn parse(Element(parts): Self::Parts<'_>, expected: &Expected) -> Result<Self, Unparsed> {
        let mut charge = Charge::on(&expected.budget);
        let data = match parts.data {
            Some(rows) => Some(some_rows(rows, expected.rows, &mut charge)?),
            None => None,
        };
        Ok(Self {
            data,
            after: After::of(parts.metadata.map(small).transpose()?),
            charge,
        })
    }

    fn at_once(body: &[u8], expected: &Expected) -> Option<Vec<Self>> {
        (body.len() <= AT_ONCE).then(|| at_once::pages(body, expected))?
    }
}

/// Parses rows one by one, until there are more than were asked for, or than fit.
fn some_rows<R: Row>(
    rows: &RawValue,
    most: usize,
    charge: &mut Charge,
) -> Result<Vec<R>, Unparsed> {
    let mut is_exhausted = false;
    let each = |row: &R| {
        is_exhausted = charge.take(row.size()).is_err();
        !is_exhausted
    };
    let mut text = serde_json::Deserializer::from_str(rows.get());
    let parsed = if rows.get().len() <= AT_ONCE {
        Bounded::new(most, "rows", each).deserialize(&mut text)
    } else {
        Bounded::new(most, "rows", |_: &&RawValue| true)
            .deserialize(&mut text)
            .and_then(|rows| one_by_one(rows, each))
    };
    if is_exhausted {
        return Err(Unparsed::Exhausted);
    }
    Ok(parsed?)
}

fn one_by_one<R: Row>(
    rows: Vec<&RawValue>,
    mut goes_on: impl FnMut(&R) -> bool,
) -> Result<Vec<R>, serde_json::Error> {
    let mut parsed = Vec::with_capacity(rows.len());
    for row in rows {
        let row = if row.get().len() > LARGEST_VALUE {
            R::of_large(row)?
        } else {
            serde_json::from_str(row.get())?
        };
        if !goes_on(&row) {
            break;
        }
        parsed.push(row);
    }
    Ok(parsed)
}

/// Whether the server says that there are more rows after a page. It may say so although none are
/// left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// There may be more.
    More,
    /// This was the last page.
    End,
}

impl After {
    fn of(metadata: Option<Metadata>) -> Self {
        let next = metadata.and_then(|metadata| metadata.next);
        match next.and_then(|next| next.offset) {
            Some(_) => Self::More,
            None => Self::End,
        }
    }
}

impl<R> Page<R> {
    /// The rows, whether there are more, and the memory that they take.
    pub(super) fn rows(self) -> Result<(Vec<R>, After, Charge), FtrackErrorKind> {
        let rows = self.data.ok_or_else(|| {
            FtrackErrorKind::Malformed("a query was answered without \"data\"".to_owned())
        })?;
        Ok((rows, self.after, self.charge))
    }
}

/// A list of at most so many elements, each of which is looked at as it arrives.
struct Bounded<S, F> {
    most: usize,
    what: &'static str,
    /// Whether to go on.
    each: F,
    /// Parses one of them.
    of: S,
}

impl<T, F: FnMut(&T) -> bool> Bounded<PhantomData<T>, F> {
    fn new(most: usize, what: &'static str, each: F) -> Self {
        Self {
            most,
            what,
            each,
            of: PhantomData,
        }
    }
}

impl<'de, S, F> DeserializeSeed<'de> for Bounded<S, F>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(&S::Value) -> bool,
{
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S, F> Visitor<'de> for Bounded<S, F>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(&S::Value) -> bool,
{
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} {}", self.most, self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(self.of.clone())? {
            if list.len() == self.most {
                let reason = format!("more than the {} {} asked for", self.most, self.what);
                return Err(A::Error::custom(reason));
            }
            if !(self.each)(&element) {
                return Err(A::Error::custom("too much"));
            }
            list.push(element);
        }
        Ok(list)
    }
}

/// One answer of a list. A text in its place is not repeated by the error.
pub(super) struct Element<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ElementVisitor(PhantomData))
            .map(Self)
    }
}

struct ElementVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ElementVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer to an operation")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<T, E> {
        Err(E::custom("a text came in place of an answer"))
    }
}

/// Parses the body of an answer, as far as it may go.
///
/// # Errors
/// Each form of failure as its own [`FtrackErrorKind`]: an error object (at any status), the 422
/// form, an error in place of an element, a body that is not JSON or is truncated, a wrong number
/// of elements, elements of another form, more than fits.
pub(super) fn read<A: ResponseItem>(
    status: u16,
    body: &[u8],
    expected: &Expected,
    keys: &Keys,
) -> Result<Vec<A>, FtrackErrorKind> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Err(refused(status, body, keys)),
        Some(b'[') if (200..300).contains(&status) => list(status, body, expected, keys),
        _ => Err(foreign(status, body, keys)),
    }
}

fn list<A: ResponseItem>(
    status: u16,
    body: &[u8],
    expected: &Expected,
    keys: &Keys,
) -> Result<Vec<A>, FtrackErrorKind> {
    match A::at_once(body, expected) {
        Some(answers) => Ok(answers),
        None => by_parts(status, body, expected, keys),
    }
}

fn by_parts<A: ResponseItem>(
    status: u16,
    body: &[u8],
    expected: &Expected,
    keys: &Keys,
) -> Result<Vec<A>, FtrackErrorKind> {
    let unreadable = |error: serde_json::Error| unreadable(&error, keys);
    let bounded = Bounded::new(expected.answers, "answers", |_: &A::Parts<'_>| true);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let elements = bounded.deserialize(&mut deserializer).map_err(unreadable)?;
    deserializer.end().map_err(unreadable)?;
    for (operation, element) in elements.iter().enumerate() {
        if let Some(Exception { exception, content }) = A::exception(element) {
            return Err(sorted(ServerRefusal {
                exception: excerpt(&words(exception), keys).into(),
                content: excerpt(&words(content), keys).into(),
                error_code: None,
                status,
                operation: Some(operation),
            }));
        }
    }
    if elements.len() != expected.answers {
        return Err(FtrackErrorKind::Malformed(format!(
            "{} answers came to {} operations",
            elements.len(),
            expected.answers
        )));
    }
    let parse = |element| {
        A::parse(element, expected).map_err(|unparsed| match unparsed {
            Unparsed::Misshapen(error) => unreadable(error),
            Unparsed::Exhausted => FtrackErrorKind::TooMuch(expected.budget.all()),
        })
    };
    elements.into_iter().map(parse).collect()
}

/// The object in place of a list.
#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow, default)]
    exception: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

fn refused(status: u16, body: &[u8], keys: &Keys) -> FtrackErrorKind {
    let object: ErrorObject<'_> = match serde_json::from_slice(body) {
        Ok(object) => object,
        Err(_) if status >= 400 => return foreign(status, body, keys),
        Err(error) => return unreadable(&error, keys),
    };
    let error_code = object.error_code.map(|code| words(Some(code)));
    // Gateways answer with an object, too. Only ftrack's own error may say that the key is refused,
    // which keeps every job from using it.
    let is_own = object.exception.is_some() || error_code.as_deref().is_some_and(is_of_key);
    if matches!(status, 401 | 403 | 407) && !is_own {
        return foreign(status, body, keys);
    }
    let (exception, content) = match (object.exception, object.error, object.detail) {
        (Some(exception), error, _) => (words(Some(exception)), object.content.or(error)),
        (None, Some(error), _) => ("error".to_owned(), object.content.or(Some(error))),
        // FastAPI's form of a request that does not match the server's own description of it.
        (None, None, Some(detail)) => ("invalid request".to_owned(), Some(detail)),
        (None, None, None) if status >= 400 => return foreign(status, body, keys),
        (None, None, None) => {
            let text = beginning(body, keys);
            return FtrackErrorKind::Malformed(format!(
                "an object that is neither a list of answers nor an error: {text}"
            ));
        }
    };
    sorted(ServerRefusal {
        exception: excerpt(&exception, keys).into(),
        content: excerpt(&words(content), keys).into(),
        error_code: error_code.map(|code| excerpt(&code, keys).into()),
        status,
        operation: None,
    })
}

/// Whether an error code is about the key.
fn is_of_key(code: &str) -> bool {
    code.starts_with("api_credentials")
}

/// Distinguishes a refused key and a missing permission from other refusals.
fn sorted(refusal: ServerRefusal) -> FtrackErrorKind {
    let credentials = refusal.status == 401 || refusal.error_code.as_deref().is_some_and(is_of_key);
    match &*refusal.exception {
        "InvalidCredentialsError" | "FTAuthenticationError" => {
            FtrackErrorKind::Credentials(refusal)
        }
        _ if credentials => FtrackErrorKind::Credentials(refusal),
        "PermissionError" => FtrackErrorKind::Permission(refusal),
        _ => FtrackErrorKind::Refused(refusal),
    }
}

/// An answer that does not come from ftrack.
fn foreign(status: u16, body: &[u8], keys: &Keys) -> FtrackErrorKind {
    let text = beginning(body, keys);
    if (200..300).contains(&status) {
        FtrackErrorKind::NotJson(text)
    } else {
        FtrackErrorKind::Status {
            status,
            excerpt: text,
        }
    }
}

fn unreadable(error: &serde_json::Error, keys: &Keys) -> FtrackErrorKind {
    let text = excerpt(&error.to_string(), keys);
    match error.classify() {
        Category::Eof | Category::Syntax | Category::Io => FtrackErrorKind::Damaged(text),
        Category::Data => FtrackErrorKind::Malformed(text),
    }
}

#[cfg(test)]
mod tests;
