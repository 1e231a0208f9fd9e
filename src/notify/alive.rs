//! The call that shows that a job is alive.

use super::{call::Callee, deliver::Trouble};
use crate::config::{Alive, Method};

/// The address that is called after each run that did not fail.
#[derive(Debug)]
pub struct AliveReceiver {
    callee: Callee,
    method: Method,
}

impl AliveReceiver {
    pub fn new(alive: &Alive) -> Self {
        let Alive {
            url,
            method,
            ca_file,
            allow_plaintext,
        } = alive;
        Self {
            callee: Callee::new(url, ca_file.as_deref(), *allow_plaintext),
            method: *method,
        }
    }

    /// Where it is, as far as it may be shown.
    pub fn shown(&self) -> String {
        self.callee.shown()
    }

    /// One attempt.
    ///
    /// # Errors
    /// The call was not accepted.
    pub async fn call(&self) -> Result<(), Trouble> {
        let method = self.method;
        let request = |client: &reqwest::Client, url| match method {
            Method::Get => client.get(url),
            Method::Post => client.post(url).body(""),
        };
        self.callee.call(request).await
    }
}
