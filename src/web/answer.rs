//! Answers: pages, redirections and texts, each with the headers that keep them to themselves.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Nothing but the stylesheet is loaded, nothing runs, and no other site frames a page or gets a form.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// A refusal, as a page.
pub(super) struct Refused(Box<Response>);

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What a page answers.
pub(super) type Answer = Result<Response, Refused>;

/// The headers of every answer.
fn headers(content: &'static str) -> HeaderMap {
    let all: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, content),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With none at all, a browser would not name the origin of a form either.
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    all.into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

/// A page.
pub(super) fn html(status: StatusCode, page: String) -> Response {
    (status, headers("text/html; charset=utf-8"), page).into_response()
}

/// A text.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    (status, headers("text/plain; charset=utf-8"), text).into_response()
}

/// The stylesheet, which changes with the program alone.
pub(super) fn style(sheet: &'static str) -> Response {
    let mut headers = headers("text/css; charset=utf-8");
    let kept = HeaderValue::from_static("max-age=300");
    headers.insert(header::CACHE_CONTROL, kept);
    (headers, sheet).into_response()
}

/// On to another page, from the one that was asked for.
pub(super) fn see_other(to: &str) -> Response {
    let mut headers = headers("text/plain; charset=utf-8");
    // A path of these characters alone is always a header's value.
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, to);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}
