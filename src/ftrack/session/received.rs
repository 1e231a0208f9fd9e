//! Takes in an answer, within bounds.

use std::ops::Range;

use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, LOCATION},
};
use tokio::sync::MutexGuard;

use super::{Failed, Reader};
use crate::ftrack::{
    answer,
    answer::{Expected, ResponseItem},
    budget::{Charge, OF_AN_ANSWER},
    client::{date, retry_after},
    error::{FtrackErrorKind, excerpt},
    network,
    text::beginning,
};

/// Bodies of so many bytes are parsed in a task of their own: smaller ones are not worth one, and
/// larger ones are parsed one after another, so that few are in memory together with their rows.
const PARSED_APART: Range<usize> = (64 << 10)..(4 << 20);

/// What an answer may take of what all answers in flight may.
struct Place<'s> {
    charge: Charge,
    /// The only one that goes beyond.
    beyond: Option<MutexGuard<'s, ()>>,
}

impl Reader {
    /// The parsed answers in a response.
    pub(super) async fn received<A: ResponseItem>(
        &self,
        response: Response,
        expected: &Expected,
    ) -> Result<Vec<A>, Failed> {
        let status = response.status();
        if status.is_redirection() {
            return Err(FtrackErrorKind::Redirected {
                status: status.as_u16(),
                host: self.redirect_host(response.headers()),
            }
            .into());
        }
        let retry_after = retry_after(response.headers());
        let shown = date(response.headers());
        // Its bytes count until they are parsed.
        let mut place = Place {
            charge: Charge::on(&self.shared.bodies),
            beyond: None,
        };
        let body = self.content(response, &mut place).await?;
        if status == StatusCode::TOO_MANY_REQUESTS {
            let trouble = FtrackErrorKind::Busy(beginning(&body, &self.keys()));
            return Err(Failed {
                trouble,
                retry_after,
            });
        }
        let answers = self.parsed(status, body, expected).await;
        if answers.is_ok() {
            // Only a clock that is surely ftrack's.
            self.observed.set_time(shown);
        }
        answers.map_err(|trouble| Failed {
            trouble,
            retry_after,
        })
    }

    /// Parses a body: that of a page in a task of its own, so that it does not wait for what is read of
    /// the directory meanwhile, nor the other way round.
    async fn parsed<A: ResponseItem>(
        &self,
        status: StatusCode,
        body: Vec<u8>,
        expected: &Expected,
    ) -> Result<Vec<A>, FtrackErrorKind> {
        let (status, keys) = (status.as_u16(), self.keys());
        if !PARSED_APART.contains(&body.len()) {
            return answer::read(status, &body, expected, &keys);
        }
        let expected = expected.clone();
        let parsing = tokio::spawn(async move { answer::read(status, &body, &expected, &keys) });
        parsing.await.unwrap_or_else(|ended| {
            let reason = format!("an answer was not parsed: {ended}");
            Err(FtrackErrorKind::Malformed(reason))
        })
    }

    /// The body of an answer, within the limits of one and of all in flight: beyond those, one
    /// answer is taken in after another.
    async fn content<'s>(
        &'s self,
        mut response: Response,
        place: &mut Place<'s>,
    ) -> Result<Vec<u8>, Failed> {
        let too_large = || FtrackErrorKind::TooLarge(OF_AN_ANSWER);
        let announced = response.content_length().unwrap_or_default();
        if usize::try_from(announced).is_ok_and(|announced| announced > OF_AN_ANSWER) {
            return Err(too_large().into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + chunk.len() > OF_AN_ANSWER {
                return Err(too_large().into());
            }
            if place.beyond.is_none() && place.charge.take(chunk.len()).is_err() {
                place.beyond = Some(self.shared.beyond.lock().await);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn lost(&self, error: &reqwest::Error) -> Failed {
        network::lost(
            error,
            self.shared.connect_timeout,
            self.shared.request_timeout,
            self.shared.proxy.as_ref(),
            &self.keys(),
        )
        .into()
    }

    /// The host of a redirect, which may also be a path of the same server.
    fn redirect_host(&self, headers: &HeaderMap) -> String {
        let target = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| self.shared.endpoint.join(location).ok());
        match target
            .as_ref()
            .and_then(|target| Some((target.host_str()?, target.port())))
        {
            Some((host, Some(port))) => excerpt(&format!("{host}:{port}"), &self.keys()),
            Some((host, None)) => excerpt(host, &self.keys()),
            None => "an unnamed address".to_owned(),
        }
    }
}
