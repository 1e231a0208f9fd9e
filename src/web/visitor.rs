//! Who asks for a page, from where, and what they may.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};

use super::{
    Site,
    answer::Refused,
    form::Fields,
    hosts::{is_asked_locally, is_by_tls, is_from_here},
    sessions::{Mark, SignedIn},
};
use crate::{daemon::serve::Client, model::approver::Approver};

/// The name of the cookie.
pub(super) const COOKIE: &str = "ftrack_ldap_sync";

/// What a proxy adds: whoever comes through one is not on this machine.
const BY_PROXY: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "forwarded",
    "x-real-ip",
    "via",
];

/// Somebody who asks for a page.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// Where the connection comes from.
    pub address: IpAddr,
    /// For whom a proxy asks that is believed.
    pub forwarded: Option<IpAddr>,
    /// Whether the person is on this machine.
    pub is_local: bool,
    /// Whether the request comes from a page of this daemon.
    is_from_here: bool,
    /// Whether it comes from another site's page, so that the browser sends no cookie.
    pub is_from_elsewhere: bool,
    pub is_by_tls: bool,
    /// The secret of the cookie.
    pub cookie: Option<String>,
    pub signed_in: Option<SignedIn>,
    /// From the page that is asked for to the first one, such as `../`.
    pub base: String,
    /// The page that is asked for, from the first one; empty where it is a form.
    pub here: String,
}

/// Somebody who may do what is asked for, with the fields of the form.
pub(super) struct Actor {
    pub visitor: Visitor,
    /// The name of the token.
    pub name: String,
    pub form: Fields,
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Infallible> {
        let client = parts.extensions.get::<Client>();
        let address = client.and_then(|client| client.address);
        let cookie = cookie(&parts.headers);
        let signed_in = match &cookie {
            Some(cookie) => site.signed_in(cookie).await,
            None => None,
        };
        let by_proxy = BY_PROXY
            .iter()
            .any(|name| parts.headers.contains_key(*name));
        // Whoever comes through a proxy that adds no header, or through a forwarder that cannot, looks
        // as if they were here.
        let is_local = !site.http.is_behind_proxy()
            && address.is_some_and(|address| address.is_loopback())
            && !by_proxy
            && is_asked_locally(parts);
        let is_trusted = address.is_some_and(|peer| site.http.is_trusted_proxy(peer));
        let uri = &parts.uri;
        let depth = uri.path().matches('/').count().saturating_sub(1);
        let query = uri.query().map(|query| format!("?{query}"));
        let path = uri.path().trim_start_matches('/');
        let site_of_page = parts.headers.get("sec-fetch-site");
        Ok(Self {
            address: address.unwrap_or(IpAddr::from([0, 0, 0, 0])),
            forwarded: forwarded(&parts.headers).filter(|_| is_trusted),
            is_local,
            is_from_here: is_from_here(parts, &site.http.hosts),
            is_from_elsewhere: site_of_page.is_some_and(|site| site == "cross-site"),
            is_by_tls: is_by_tls(&parts.headers),
            cookie,
            signed_in,
            base: "../".repeat(depth),
            here: if parts.method == Method::GET {
                format!("{path}{}", query.unwrap_or_default())
            } else {
                String::new()
            },
        })
    }
}

impl Visitor {
    /// From where, as the list of actions shows it.
    pub(super) fn from(&self) -> String {
        match self.forwarded {
            Some(forwarded) => format!("{}, for {forwarded}", self.address),
            None => self.address.to_string(),
        }
    }

    /// Whether the person may do more than look.
    pub(super) fn may_act(&self) -> bool {
        self.signed_in
            .as_ref()
            .is_some_and(|signed_in| signed_in.may_act)
    }

    /// The same person, who may see pages.
    ///
    /// # Errors
    /// They may not: what to do is in the answer.
    pub(super) fn reader(self, site: &Site) -> Result<Self, Refused> {
        if self.is_local || self.signed_in.is_some() {
            return Ok(self);
        }
        if site.http.tokens().is_empty() {
            return Err(site.refuse(
                &self,
                StatusCode::FORBIDDEN,
                "No token is configured",
                "From another machine, and through a proxy, these pages need a token, and none is \
                 configured. Add one to http.tokens in the configuration of the daemon, and reload it.",
            ));
        }
        Err(site.ask_to_sign_in(&self))
    }

    /// The same person, whose form comes from a page of this daemon: from anywhere else, something
    /// could be asked for in the person's name.
    ///
    /// # Errors
    /// It does not, or it does not say so.
    pub(super) fn on_own_page(self, site: &Site) -> Result<Self, Refused> {
        if self.is_from_here {
            return Ok(self);
        }
        Err(site.refuse(
            &self,
            StatusCode::FORBIDDEN,
            "From another page",
            "This did not come from a page of this daemon, so nothing was done. Behind a proxy, the \
             proxy passes the name on under which it is reached, or http.hosts names it.",
        ))
    }

    /// The same person and the form, where they may act.
    ///
    /// # Errors
    /// They may not, or the form is not one of this daemon's pages for this session.
    pub(super) async fn actor(self, site: &Site, body: Body) -> Result<Actor, Refused> {
        let visitor = self.reader(site)?.on_own_page(site)?;
        let refused = |title: &str, text: &str| {
            Err(site.refuse(&visitor, StatusCode::FORBIDDEN, title, text))
        };
        let Some(signed_in) = visitor
            .signed_in
            .clone()
            .filter(|signed_in| signed_in.may_act)
        else {
            return refused(
                "Not allowed",
                "Every action needs a token that may act (http.tokens), so nothing was done. Sign in \
                 with one.",
            );
        };
        let form = Fields::of_form(body).await;
        let form = form.map_err(|error| site.malformed(&visitor, &error.to_string()))?;
        let csrf = form.get("csrf").unwrap_or_default();
        if !Mark::of(csrf).is(&Mark::of(&signed_in.csrf)) {
            return refused(
                "An old page",
                "This page is of another session, so nothing was done. Load it again.",
            );
        }
        Ok(Actor {
            visitor,
            name: signed_in.name,
            form,
        })
    }
}

impl Actor {
    /// Who it was, for reports and pauses.
    pub(super) fn approver(&self) -> Approver {
        signed_in_as(self.name.clone())
    }
}

/// Whoever signed in with the token of this name.
pub(super) fn signed_in_as(name: String) -> Approver {
    let uid = rustix::process::geteuid().as_raw();
    Approver::of_token(uid, name)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// The address that the nearest proxy added last.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").into_iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse().ok()
}
