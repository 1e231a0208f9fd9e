//! Signing in with a token, and out.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use super::{
    Site,
    answer::{Answer, see_other},
    attempts::{TRIES, WITHIN, Who},
    form::Fields,
    sessions::KNOWN_FOR,
    tokens::Found,
    visitor::{COOKIE, Visitor},
};
use crate::event::web::WebEvent;

/// The page on which people sign in.
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let next = fields.get("next").unwrap_or_default();
    site.sign_in_page(&visitor, StatusCode::OK, on_to(next), "")
}

/// Begins a session for whoever has a token.
pub(super) async fn sign_in(State(site): State<Arc<Site>>, visitor: Visitor, body: Body) -> Answer {
    let visitor = visitor.on_own_page(&site)?;
    let form = Fields::of_form(body).await;
    let form = form.map_err(|error| site.malformed(&visitor, &error.to_string()))?;
    let next = on_to(form.get("next").unwrap_or_default()).to_owned();
    let again = |status, error: &str| site.sign_in_page(&visitor, status, &next, error);
    let now = Instant::now();
    let who = who(&site, &visitor, now);
    if !site.attempts.may_try(&who, now) {
        let minutes = WITHIN.as_secs() / 60;
        return Ok(again(
            StatusCode::TOO_MANY_REQUESTS,
            &format!("More than {TRIES} tries within {minutes} minutes: wait, and try again."),
        ));
    }
    let from = visitor.from();
    let given = form.get("token").unwrap_or_default();
    let (by, mark) = match site.token(given).await {
        Found::Token(by, mark) => (by, mark),
        Found::Several(names) => {
            let names = names.join(", ");
            let error = "the same token";
            WebEvent::TokenUnusable {
                token: &names,
                error,
            }
            .emit();
            return Ok(again(
                StatusCode::FORBIDDEN,
                &format!("That is the token of {names}; each of them needs one of its own."),
            ));
        }
        Found::Nothing => {
            site.attempts.failed(who, now);
            WebEvent::SignInRefused { from: &from }.emit();
            return Ok(again(StatusCode::FORBIDDEN, "There is no such token."));
        }
    };
    WebEvent::SignedIn {
        by: &by,
        from: &from,
    }
    .emit();
    if let Some(before) = &visitor.cookie {
        site.sessions.end(before);
    }
    let cookie = site.sessions.begin(&by, mark, now);
    let to = if next.is_empty() { "./" } else { &next };
    Ok(with_cookie(
        see_other(to),
        &cookie,
        KNOWN_FOR.as_secs(),
        &visitor,
    ))
}

/// Ends the session.
pub(super) async fn sign_out(State(site): State<Arc<Site>>, visitor: Visitor) -> Answer {
    let visitor = visitor.on_own_page(&site)?;
    if let Some(cookie) = &visitor.cookie {
        site.sessions.end(cookie);
    }
    Ok(with_cookie(see_other("./"), "", 0, &visitor))
}

/// Whose failures count: those of a browser that was signed in of late, or of a stranger, for whom a
/// proxy is believed where one may stand before the pages.
fn who(site: &Site, visitor: &Visitor, now: Instant) -> Who {
    let cookie = visitor.cookie.as_deref();
    let known = cookie.and_then(|cookie| site.sessions.browser(cookie, now));
    let forwarded = visitor.forwarded.filter(|_| site.http.is_behind_proxy());
    known.map_or_else(|| Who::stranger(visitor.address, forwarded), Who::Known)
}

/// The answer with a cookie for all pages, which no script reads and no other site sends. Without a
/// path, it is for the folder of this page, also below a path of a proxy.
fn with_cookie(mut response: Response, secret: &str, seconds: u64, visitor: &Visitor) -> Response {
    let secure = if visitor.is_by_tls { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A page of this daemon, from the first one; the first one where it is anything else.
fn on_to(next: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/?=&%+".contains(&byte);
    let is_own = next.bytes().all(is_plain)
        && next.len() <= 1000
        && !next.starts_with(['/', '.'])
        && !next.contains("..");
    if is_own { next } else { "" }
}

#[cfg(test)]
mod tests {
    use super::on_to;

    #[test]
    fn signing_in_leads_to_a_page_of_this_daemon() {
        for own in [
            "",
            "holds/3",
            "history?job=artists&page=2",
            "runs/a/20260101-000000-0000",
        ] {
            assert_eq!(on_to(own), own);
        }
        for other in [
            "//evil.test",
            "/x",
            "https://evil.test",
            "javascript:alert(1)",
            "\\\\evil.test",
            "../..",
            "a/../../b",
            "a\nb",
            "ä",
        ] {
            assert_eq!(on_to(other), "", "{other}");
        }
    }
}
