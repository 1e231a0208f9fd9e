//! Parses the body of an answer: a list with one element for each operation, or one of the many
//! forms of an error. No I/O.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, error::Category};

use super::{
    error::{FtrackErrorKind, ServerRefusal, excerpt},
    key::Keys,
};

/// The answer to one operation; may be an error in place of a result.
pub(super) trait ResponseItem: DeserializeOwned {
    /// The error's class and text, if it is one.
    fn exception(&self) -> Option<(String, String)>;
}

impl ResponseItem for Value {
    fn exception(&self) -> Option<(String, String)> {
        self.get("exception")
            .filter(|exception| !exception.is_null())
            .map(|exception| {
                (
                    words(exception),
                    self.get("content").map(words).unwrap_or_default(),
                )
            })
    }
}

/// The answer to an operation that writes: only whether it is an error, since the result is read
/// back.
#[derive(Debug, Deserialize)]
pub(super) struct Acknowledged {
    #[serde(default)]
    exception: Option<Value>,
    #[serde(default)]
    content: Option<Value>,
}

impl ResponseItem for Acknowledged {
    fn exception(&self) -> Option<(String, String)> {
        self.exception.as_ref().map(|exception| {
            (
                words(exception),
                self.content.as_ref().map(words).unwrap_or_default(),
            )
        })
    }
}

/// The answer to one query: a page of rows.
#[derive(Debug, Deserialize)]
#[serde(bound = "R: DeserializeOwned")]
pub(super) struct Page<R> {
    #[serde(default)]
    data: Option<Vec<R>>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    exception: Option<Value>,
    #[serde(default)]
    content: Option<Value>,
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

impl<R: DeserializeOwned> ResponseItem for Page<R> {
    fn exception(&self) -> Option<(String, String)> {
        self.exception.as_ref().map(|exception| {
            (
                words(exception),
                self.content.as_ref().map(words).unwrap_or_default(),
            )
        })
    }
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

impl<R> Page<R> {
    /// The rows, and whether there are more.
    pub(super) fn rows(self) -> Result<(Vec<R>, After), FtrackErrorKind> {
        let rows = self.data.ok_or_else(|| {
            FtrackErrorKind::Malformed("a query was answered without \"data\"".to_owned())
        })?;
        let next = self
            .metadata
            .and_then(|metadata| metadata.next)
            .and_then(|next| next.offset);
        Ok((
            rows,
            if next.is_some() {
                After::More
            } else {
                After::End
            },
        ))
    }
}

/// Parses the body of an answer to `expected` operations.
///
/// # Errors
/// Each form of failure as its own [`Trouble`]: an error object (at any status), the 422 form, an
/// error in place of an element, a body that is not JSON or is truncated, a wrong number of
/// elements, elements of another form.
pub(super) fn read<A: ResponseItem>(
    status: u16,
    body: &[u8],
    expected: usize,
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
    expected: usize,
    keys: &Keys,
) -> Result<Vec<A>, FtrackErrorKind> {
    let answers: Vec<A> = serde_json::from_slice(body).map_err(|error| unreadable(&error, keys))?;
    for (operation, answer) in answers.iter().enumerate() {
        if let Some((exception, content)) = answer.exception() {
            return Err(sorted(ServerRefusal {
                exception: excerpt(&exception, keys).into(),
                content: excerpt(&content, keys).into(),
                error_code: None,
                status,
                operation: Some(operation),
            }));
        }
    }
    if answers.len() == expected {
        Ok(answers)
    } else {
        Err(FtrackErrorKind::Malformed(format!(
            "{} answers came to {expected} operations",
            answers.len()
        )))
    }
}

/// The object in place of a list.
#[derive(Deserialize)]
struct ErrorObject {
    exception: Option<Value>,
    content: Option<Value>,
    error_code: Option<Value>,
    error: Option<Value>,
    detail: Option<Value>,
}

fn refused(status: u16, body: &[u8], keys: &Keys) -> FtrackErrorKind {
    let object: ErrorObject = match serde_json::from_slice(body) {
        Ok(object) => object,
        Err(_) if status >= 400 => return foreign(status, body, keys),
        Err(error) => return unreadable(&error, keys),
    };
    // Gateways answer with an object, too. Only ftrack's own error may say that the key is refused,
    // which keeps every job from using it.
    let is_own = object.exception.is_some() || object.error_code.as_ref().is_some_and(is_of_key);
    if matches!(status, 401 | 403 | 407) && !is_own {
        return foreign(status, body, keys);
    }
    let (exception, content) = match (object.exception, object.error, object.detail) {
        (Some(exception), error, _) => (words(&exception), object.content.or(error)),
        (None, Some(error), _) => ("error".to_owned(), object.content.or(Some(error))),
        // FastAPI's form of a request that does not match the server's own description of it.
        (None, None, Some(detail)) => ("invalid request".to_owned(), Some(detail)),
        (None, None, None) if status >= 400 => return foreign(status, body, keys),
        (None, None, None) => {
            let text = excerpt(&String::from_utf8_lossy(body), keys);
            return FtrackErrorKind::Malformed(format!(
                "an object that is neither a list of answers nor an error: {text}"
            ));
        }
    };
    sorted(ServerRefusal {
        exception: excerpt(&exception, keys).into(),
        content: excerpt(&content.as_ref().map(words).unwrap_or_default(), keys).into(),
        error_code: object
            .error_code
            .filter(|code| !code.is_null())
            .map(|code| excerpt(&words(&code), keys).into()),
        status,
        operation: None,
    })
}

/// Whether an error code is about the key.
fn is_of_key(code: &Value) -> bool {
    code.as_str()
        .is_some_and(|code| code.starts_with("api_credentials"))
}

/// Distinguishes a refused key and a missing permission from other refusals.
fn sorted(refusal: ServerRefusal) -> FtrackErrorKind {
    let credentials = refusal.status == 401
        || refusal
            .error_code
            .as_deref()
            .is_some_and(|code| code.starts_with("api_credentials"));
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
    let text = excerpt(
        &String::from_utf8_lossy(body.get(..8192).unwrap_or(body)),
        keys,
    );
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

/// A JSON value as text; a string is used as it is.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;
    use serde_json::Value;

    use super::{After, Page, read};
    use crate::{
        config::Secret,
        ftrack::{
            error::FtrackErrorKind,
            key::Keys,
            row::{LinkRow, UserRow},
        },
    };

    fn key() -> Keys {
        Keys::new(Secret::new("the-key".to_owned())).unwrap()
    }

    fn trouble(status: u16, body: &str, expected: usize) -> FtrackErrorKind {
        read::<Value>(status, body.as_bytes(), expected, &key()).unwrap_err()
    }

    #[test]
    fn a_page_tells_its_rows_and_whether_there_are_more() {
        for (metadata, after) in [
            (r#"{"next":{"offset":1}}"#, After::More),
            (r#"{"next":{"offset":null}}"#, After::End),
            (r#"{"next":null}"#, After::End),
            ("{}", After::End),
        ] {
            let body =
                format!(r#" [{{"action":"query","data":[{{"id":"a"}}],"metadata":{metadata}}}]"#);
            let mut pages = read::<Page<Value>>(200, body.as_bytes(), 1, &key()).unwrap();
            let (rows, end) = pages.pop().unwrap().rows().unwrap();
            assert_eq!((rows.len(), end), (1, after), "{metadata}");
        }
    }

    #[test]
    fn every_form_of_error_is_told_apart() {
        let credentials = r#"{"content":"The supplied API key the-key is not valid.","exception":"InvalidCredentialsError","error_code":null}"#;
        for status in [200, 401, 500] {
            let FtrackErrorKind::Credentials(refusal) = trouble(status, credentials, 1) else {
                panic!("status {status}")
            };
            assert_eq!(&*refusal.content, "The supplied API key *** is not valid.");
        }
        let newer = r#"{"content":"x","exception":"Some","error_code":"api_credentials_invalid"}"#;
        assert!(matches!(
            trouble(403, newer, 1),
            FtrackErrorKind::Credentials(_)
        ));
        assert!(matches!(
            trouble(200, r#"{"exception":"PermissionError","content":"no"}"#, 1),
            FtrackErrorKind::Permission(_)
        ));
        let FtrackErrorKind::Refused(refusal) = trouble(
            422,
            r#"{"detail":[{"loc":["string",0],"msg":"string","type":"string"}]}"#,
            1,
        ) else {
            panic!("422")
        };
        assert_eq!(&*refusal.exception, "invalid request");
        let FtrackErrorKind::Refused(refusal) = trouble(
            200,
            r#"[{"action":"update"},{"exception":"ValidationError","content":"bad"}]"#,
            2,
        ) else {
            panic!("element")
        };
        assert_eq!(refusal.operation, Some(1));
        assert!(matches!(
            trouble(502, "<html>Bad Gateway</html>", 1),
            FtrackErrorKind::Status { status: 502, .. }
        ));
        assert!(matches!(
            trouble(429, r#"{"message":"slow"}"#, 1),
            FtrackErrorKind::Status { status: 429, .. }
        ));
        assert!(matches!(
            trouble(200, "<html>Sign in</html>", 1),
            FtrackErrorKind::NotJson(_)
        ));
        assert!(matches!(trouble(200, "", 1), FtrackErrorKind::NotJson(_)));
        assert!(matches!(
            trouble(200, r#"[{"action":"qu"#, 1),
            FtrackErrorKind::Damaged(_)
        ));
        assert!(matches!(
            trouble(200, r#"{"exception":"Val"#, 1),
            FtrackErrorKind::Damaged(_)
        ));
        assert!(matches!(
            trouble(200, "[] []", 0),
            FtrackErrorKind::Damaged(_)
        ));
        assert!(matches!(
            trouble(200, "{}", 1),
            FtrackErrorKind::Malformed(_)
        ));
        assert!(matches!(
            trouble(200, "[{}]", 2),
            FtrackErrorKind::Malformed(_)
        ));
        let rows = r#"[{"action":"query","data":[{"username":"no id"}]}]"#;
        assert!(matches!(
            read::<Page<UserRow>>(200, rows.as_bytes(), 1, &key()),
            Err(FtrackErrorKind::Malformed(_))
        ));
    }

    #[test]
    fn what_stands_between_refuses_no_key() {
        for gateway in [
            r#"{"message":"Unauthorized"}"#,
            r#"{"error":"unauthorized"}"#,
            r#"{"detail":"Not authenticated"}"#,
        ] {
            for status in [401, 403, 407] {
                assert!(
                    matches!(trouble(status, gateway, 1), FtrackErrorKind::Status { .. }),
                    "{status} {gateway}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200), expected in 0_usize..3) {
            let _ = read::<Value>(status, &body, expected, &key());
            let _ = read::<Page<UserRow>>(status, &body, expected, &key());
        }

        #[test]
        fn no_damage_to_a_good_body_makes_it_panic(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
            let good = r#"[{"action":"query","data":[{"id":"a-1","username":"anna","first_name":null,"is_active":true},{"parent_id":"a-1","value":"{\"source\":\"s\",\"id\":\"d\"}"}],"metadata":{"next":{"offset":2}}}]"#;
            let mut body = good.as_bytes().to_vec();
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
            body.truncate(cut.max(1));
            let _ = read::<Value>(200, &body, 1, &key());
            let _ = read::<Page<UserRow>>(200, &body, 1, &key());
            let _ = read::<Page<LinkRow>>(200, &body, 1, &key());
        }
    }
}
