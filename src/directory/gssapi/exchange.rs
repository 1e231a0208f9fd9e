//! The messages of the bind (RFC 4513 section 5.2.1, RFC 4752 section 3.1).

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec,
    proto::{LdapBindCred, LdapBindRequest, LdapBindResponse, LdapMsg, LdapOp, SaslCredentials},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Framed;

use super::{
    layer::{Choice, Offer, Protection},
    ticket::Ticket,
};
use crate::directory::{
    error::{DirectoryError, words},
    gssapi_fault::GssapiFault,
};

/// The most messages that a server may want before the choice of the layer; Kerberos needs one.
const MOST_STEPS: i32 = 8;
const SUCCESS: u32 = 0;
const IN_PROGRESS: u32 = 14;

/// How an exchange ended.
pub(in crate::directory) enum Bound<S> {
    Accepted {
        stream: S,
        ticket: Ticket,
        choice: Choice,
    },
    Refused {
        code: u32,
        text: String,
    },
}

/// The messages between this program and one server.
struct Conversation<'s, S> {
    framed: Framed<S, LdapCodec>,
    server: &'s str,
    /// The id of the last message.
    id: i32,
}

/// What a server answers to a message.
enum Answer {
    /// It wants another one.
    Next(Vec<u8>),
    /// It has accepted the bind.
    Accepted,
    Refused {
        code: u32,
        text: String,
    },
}

/// Binds with a ticket and its first message.
///
/// # Errors
/// `Gssapi`, `Lost`, `Garbled`.
pub(in crate::directory) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    server: &str,
    (mut ticket, first): (Ticket, Vec<u8>),
    protection: Protection,
) -> Result<Bound<S>, DirectoryError> {
    let failed = |fault: GssapiFault| DirectoryError::Gssapi {
        server: server.into(),
        fault,
    };
    let mut conversation = Conversation {
        framed: Framed::new(stream, LdapCodec::default()),
        server,
        id: 0,
    };
    let mut token = first;
    let offer = loop {
        let challenge = match conversation.send(token).await? {
            Answer::Next(challenge) => challenge,
            Answer::Accepted => return Err(failed(GssapiFault::TooEarly)),
            Answer::Refused { code, text } => return Ok(Bound::Refused { code, text }),
        };
        if ticket.is_complete() {
            break ticket.unwrap(&challenge).map_err(failed)?;
        }
        if conversation.id >= MOST_STEPS {
            return Err(failed(GssapiFault::TooManySteps));
        }
        token = ticket.answer(&challenge).map_err(failed)?;
    };
    let offer = Offer::of(&offer)
        .ok_or_else(|| conversation.garbled("the offer of security layers is not one"))?;
    let choice = offer.choose(protection).ok_or_else(|| {
        failed(match protection {
            Protection::Tls => GssapiFault::LayerInTls {
                offered: offer.words(),
            },
            Protection::Sealed => GssapiFault::NoSeal {
                offered: offer.words(),
            },
        })
    })?;
    let answer = ticket
        .wrap(&choice.answer, Protection::Tls)
        .map_err(failed)?;
    match conversation.send(answer.to_vec()).await? {
        Answer::Accepted => {}
        Answer::Next(_) => return Err(failed(GssapiFault::TooManySteps)),
        Answer::Refused { code, text } => return Ok(Bound::Refused { code, text }),
    }
    let stream = conversation.end()?;
    Ok(Bound::Accepted {
        stream,
        ticket,
        choice,
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<'_, S> {
    async fn send(&mut self, credentials: Vec<u8>) -> Result<Answer, DirectoryError> {
        self.id += 1;
        let request = LdapBindRequest {
            version: 3,
            dn: String::new(),
            cred: LdapBindCred::SASL(SaslCredentials {
                mechanism: "GSSAPI".into(),
                credentials,
            }),
        };
        let request = LdapMsg::new(self.id, LdapOp::BindRequest(request));
        self.framed
            .send(request)
            .await
            .map_err(|error| self.lost(error.to_string()))?;
        let answer = match self.framed.next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                return Err(self.garbled(&format!("the answer to the bind: {error}")));
            }
            None => return Err(self.lost("the server closed it".into())),
        };
        let (LdapOp::BindResponse(LdapBindResponse { res, saslcreds }), true) =
            (answer.op, answer.msgid == self.id)
        else {
            return Err(self.garbled("the answer is not one to the bind"));
        };
        let code = u32::try_from(res.code as i32).unwrap_or(80);
        Ok(match code {
            SUCCESS => Answer::Accepted,
            IN_PROGRESS => Answer::Next(saslcreds.unwrap_or_default()),
            _ => Answer::Refused {
                code,
                text: words(&res.message),
            },
        })
    }

    /// The connection; what follows may be sealed.
    fn end(self) -> Result<S, DirectoryError> {
        if !self.framed.read_buffer().is_empty() {
            return Err(self.garbled("bytes after the answer to the bind"));
        }
        Ok(self.framed.into_inner())
    }

    fn lost(&self, reason: String) -> DirectoryError {
        DirectoryError::Lost {
            server: self.server.into(),
            tried: "the bind".into(),
            reason,
        }
    }

    fn garbled(&self, reason: &str) -> DirectoryError {
        DirectoryError::Garbled {
            server: self.server.into(),
            reason: reason.into(),
        }
    }
}
