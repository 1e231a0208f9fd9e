//! The tokens of the pages as they are now: the configuration may be loaded anew, and the file of a
//! token replaced.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    Site,
    sessions::{Mark, SignedIn},
};
use crate::{config::Token, event::web::WebEvent};

/// The tokens with which nobody can sign in, and why.
#[derive(Debug, Default)]
pub(super) struct Unusable(Mutex<BTreeMap<String, String>>);

/// What a text is that somebody signs in with.
pub(super) enum Found {
    /// A token, by its name.
    Token(String, Mark),
    /// Several of them.
    Several(Vec<String>),
    /// None.
    Nothing,
}

impl Unusable {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of these tokens, by name.
    pub(super) fn of(&self, tokens: &[Token]) -> Vec<(String, String)> {
        let mut all = self.open();
        all.retain(|name, _| tokens.iter().any(|token| token.name == *name));
        all.clone().into_iter().collect()
    }

    /// Notes that a token is usable, or why it is not, which is logged once.
    fn note<T>(&self, token: &Token, current: &Result<T, String>) {
        let name = &token.name;
        match current {
            Ok(_) => drop(self.open().remove(name)),
            Err(error) => {
                let before = self.open().insert(name.clone(), error.clone());
                if before.as_ref() != Some(error) {
                    WebEvent::TokenUnusable { token: name, error }.emit();
                }
            }
        }
    }
}

impl Site {
    /// The token with this content, compared with each in constant time.
    pub(super) async fn token(&self, given: &str) -> Found {
        let given = Mark::of(given);
        let mut found: Vec<String> = Vec::new();
        for token in &*self.http.tokens() {
            let current = self.mark_of(token).await;
            if current.is_some_and(|current| current.is(&given)) {
                found.push(token.name.clone());
            }
        }
        match found.len() {
            0 => Found::Nothing,
            1 => Found::Token(found.concat(), given),
            _ => Found::Several(found),
        }
    }

    /// Whoever has this cookie, as long as their token is one, and what it was.
    pub(super) async fn signed_in(&self, cookie: &str) -> Option<SignedIn> {
        let session = self.sessions.find(cookie, Instant::now())?;
        let tokens = self.http.tokens();
        let token = tokens.iter().find(|token| token.name == session.name)?;
        let current = self.mark_of(token).await?;
        session.is_of(&current).then_some(SignedIn {
            name: session.name,
            csrf: session.csrf,
            may_act: token.may_act,
        })
    }

    /// What a token is now; none where it lets nobody in.
    async fn mark_of(&self, token: &Token) -> Option<Mark> {
        let current = token.current().await;
        self.unusable.note(token, &current);
        current.ok().map(|current| Mark::of(current.expose()))
    }
}

/// Ends the sessions of a token that the configuration has no more, as soon as it has it no more.
pub(super) fn end_sessions_of_removed(site: &Arc<Site>) {
    let mut tokens = site.http.tokens.clone();
    let site = Arc::downgrade(site);
    tokio::spawn(async move {
        while tokens.changed().await.is_ok() {
            let Some(site) = site.upgrade() else { break };
            let now = site.http.tokens();
            site.sessions
                .keep_only(|name| now.iter().any(|token| token.name == name));
        }
    });
}
