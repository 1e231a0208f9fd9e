//! One message as an HTTP call, in the form of its reader.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::{call::Callee, deliver::Trouble, message::Message, shown::Shown};
use crate::config::{Credential, Form, Webhook, signing_key};

mod slack;
mod teams;

/// An address that is called with each message.
#[derive(Debug)]
pub struct WebhookReceiver {
    callee: Callee,
    form: Form,
    secret: Option<Credential>,
}

impl WebhookReceiver {
    pub fn new(webhook: &Webhook) -> Self {
        let Webhook {
            form,
            url,
            secret,
            ca_file,
            allow_plaintext,
        } = webhook;
        Self {
            callee: Callee::new(url, ca_file.as_deref(), *allow_plaintext),
            form: *form,
            secret: secret.clone(),
        }
    }

    /// Where it is, as far as it may be shown.
    pub fn shown(&self) -> String {
        self.callee.shown()
    }

    /// One attempt.
    ///
    /// # Errors
    /// The message was not accepted.
    pub async fn send(&self, message: &Message) -> Result<(), Trouble> {
        let body = match self.form {
            Form::Json => serde_json::to_vec(message),
            Form::Slack => serde_json::to_vec(&slack::body(&Shown::of(message))),
            Form::Teams => serde_json::to_vec(&teams::body(&Shown::of(message))),
        };
        let body = body.map_err(|error| Trouble::Lasting(error.to_string()))?;
        let mut headers: Vec<(&str, String)> = Vec::new();
        if self.form == Form::Json {
            let (id, now) = (message.id.to_string(), Utc::now().timestamp());
            if let Some(secret) = &self.secret {
                let secret = secret.current().await;
                let secret = secret.map_err(|why| Trouble::passing(why.to_string()))?;
                let key = signing_key(&secret)
                    .map_err(|problem| Trouble::passing(format!("its signing key: {problem}")))?;
                headers.push(("webhook-signature", signature(&key, &id, now, &body)));
            }
            headers.push(("webhook-id", id));
            headers.push(("webhook-timestamp", now.to_string()));
        }
        let request = |client: &reqwest::Client, url| {
            let request = client.post(url).header(CONTENT_TYPE, "application/json");
            let request = headers.into_iter().fold(request, |request, (name, value)| {
                request.header(name, value)
            });
            request.body(body)
        };
        self.callee.call(request).await
    }
}

/// The signature of a message by "Standard Webhooks": HMAC-SHA256 over id, time and body.
fn signature(key: &[u8], id: &str, time: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{time}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

/// A text of JSON.
fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    // The example of https://www.standardwebhooks.com.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signed = signature(
            &signing_key(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
