//! One client connection: its identity, and one operation after the other.

use std::{collections::VecDeque, io, pin::pin, sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt as _;
use ldap3_proto::{
    control::LdapControl,
    proto::{
        LdapBindCred, LdapBindRequest, LdapMsg, LdapOp, LdapResult, LdapResultCode,
        LdapSearchRequest, OID_WHOAMI,
    },
};
use tokio::{net::TcpStream, select, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Tally, Tree,
    name::Name,
    page::Pages,
    search,
    wire::{self, Reader, Writer, bind_response, extended_response, result},
};

/// Requests that may wait while a search is answered; no more are read until one is taken.
const WAITING: usize = 32;
/// How long a client may be idle.
const IDLE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Anonymous,
    Bound { dn: String },
}

/// The state of a connection between operations.
pub(super) struct Session {
    pub(super) tree: Tree,
    pub(super) identity: Identity,
    pub(super) pages: Pages,
    /// The number of entries after which the search is ended with an error.
    pub(super) busy_after: usize,
}

/// Why a connection ends.
enum End {
    /// The client unbound or disconnected.
    Client,
    /// The server stops.
    Stopped,
    /// The client was idle for too long.
    Idle,
    /// The client sent something other than an LDAP request.
    Malformed(&'static str),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Client
    }
}

/// Serves a client until it leaves or the server stops.
pub(super) async fn serve(stream: TcpStream, tree: Tree, tally: &Tally, stop: &CancellationToken) {
    // Without it answers wait for the client's acknowledgement; if it cannot be set they are only
    // slower.
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = wire::open(stream);
    let session = Session {
        tree,
        identity: Identity::Anonymous,
        pages: Pages::default(),
        busy_after: usize::MAX,
    };
    let mut connection = Connection {
        session,
        reader,
        waiting: VecDeque::new(),
        tally,
        stop,
    };
    let end = loop {
        if let Err(end) = connection.step(&mut writer).await {
            break end;
        }
    };
    match end {
        End::Client => {}
        End::Stopped => {
            writer
                .disconnect(LdapResultCode::Unavailable, "the server stops")
                .await
        }
        End::Idle => {
            writer
                .disconnect(
                    LdapResultCode::Unavailable,
                    "the connection was idle for too long",
                )
                .await
        }
        End::Malformed(why) => writer.disconnect(LdapResultCode::ProtocolError, why).await,
    }
}

struct Connection<'a> {
    session: Session,
    reader: Reader,
    waiting: VecDeque<LdapMsg>,
    tally: &'a Tally,
    stop: &'a CancellationToken,
}

impl Connection<'_> {
    /// Takes one request and answers it.
    async fn step(&mut self, writer: &mut Writer) -> Result<(), End> {
        let LdapMsg { msgid, op, ctrl } = self.next().await?;
        if msgid <= 0 {
            return Err(End::Malformed("a message id must be greater than zero"));
        }
        match op {
            LdapOp::BindRequest(request) => {
                self.tally.binds.fetch_add(1, Ordering::SeqCst);
                let answer = unknown_critical(&ctrl).unwrap_or_else(|| self.bind(request));
                writer
                    .send(msgid, bind_response(answer), Vec::new())
                    .await?;
            }
            LdapOp::SearchRequest(request) => {
                self.tally.searches.fetch_add(1, Ordering::SeqCst);
                self.session.busy_after = self.tally.busy_after.load(Ordering::SeqCst);
                self.search(writer, msgid, request, ctrl).await?;
            }
            LdapOp::ExtendedRequest(request) => {
                let (answer, value) = match unknown_critical(&ctrl) {
                    Some(refusal) => (refusal, None),
                    None if request.name == OID_WHOAMI => {
                        (result(LdapResultCode::Success, ""), Some(self.who_am_i()))
                    }
                    None => (
                        result(
                            LdapResultCode::ProtocolError,
                            "this extended operation is not supported",
                        ),
                        None,
                    ),
                };
                writer
                    .send(msgid, extended_response(answer, value), Vec::new())
                    .await?;
            }
            LdapOp::UnbindRequest => return Err(End::Client),
            // Operations are answered in turn, so the one to abandon is already answered.
            LdapOp::AbandonRequest(_) => {}
            LdapOp::ModifyRequest(_) => refuse(writer, msgid, LdapOp::ModifyResponse).await?,
            LdapOp::AddRequest(_) => refuse(writer, msgid, LdapOp::AddResponse).await?,
            LdapOp::DelRequest(_) => refuse(writer, msgid, LdapOp::DelResponse).await?,
            LdapOp::ModifyDNRequest(_) => refuse(writer, msgid, LdapOp::ModifyDNResponse).await?,
            LdapOp::CompareRequest(_) => refuse(writer, msgid, LdapOp::CompareResult).await?,
            LdapOp::BindResponse(_)
            | LdapOp::SearchResultEntry(_)
            | LdapOp::SearchResultDone(_)
            | LdapOp::SearchResultReference(_)
            | LdapOp::ModifyResponse(_)
            | LdapOp::AddResponse(_)
            | LdapOp::DelResponse(_)
            | LdapOp::ModifyDNResponse(_)
            | LdapOp::CompareResult(_)
            | LdapOp::ExtendedResponse(_)
            | LdapOp::IntermediateResponse(_) => {
                return Err(End::Malformed("this is an answer, not a request"));
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<LdapMsg, End> {
        if let Some(message) = self.waiting.pop_front() {
            return Ok(message);
        }
        select! {
            biased;
            () = self.stop.cancelled() => Err(End::Stopped),
            read = timeout(IDLE_LIMIT, self.reader.next()) => arrived(read.map_err(|_| End::Idle)?),
        }
    }

    /// Simple bind (RFC 4513 section 5.1); the client is anonymous until it succeeded (RFC 4511
    /// section 4.2.1).
    fn bind(&mut self, request: LdapBindRequest) -> LdapResult {
        let LdapBindRequest { version, dn, cred } = request;
        self.session.identity = Identity::Anonymous;
        self.session.pages = Pages::default();
        let password = match cred {
            _ if version != 3 => {
                return result(LdapResultCode::ProtocolError, "only version 3 is supported");
            }
            LdapBindCred::Simple(password) => password,
            LdapBindCred::SASL(_) | LdapBindCred::Unsupported => {
                return result(
                    LdapResultCode::AuthMethodNotSupported,
                    "only simple binds are supported",
                );
            }
        };
        match (Name::parse(&dn), password.is_empty()) {
            (Err(invalid), _) => result(LdapResultCode::InvalidDNSyntax, &invalid.to_string()),
            (Ok(name), true) if name.is_root() => result(LdapResultCode::Success, ""),
            (Ok(_), true) => result(
                LdapResultCode::UnwillingToPerform,
                "a bind with a name needs a password (RFC 4513 section 5.1.2)",
            ),
            (Ok(name), false) => match self
                .session
                .tree
                .at(&name)
                .filter(|entry| entry.has_password(&password))
            {
                Some(entry) => {
                    self.session.identity = Identity::Bound {
                        dn: entry.dn.clone(),
                    };
                    result(LdapResultCode::Success, "")
                }
                None => result(LdapResultCode::InvalidCredentials, ""),
            },
        }
    }

    /// The authorization id of the client (RFC 4532 section 2.2), empty when it is anonymous.
    fn who_am_i(&self) -> Vec<u8> {
        match &self.session.identity {
            Identity::Anonymous => Vec::new(),
            Identity::Bound { dn } => format!("dn:{dn}").into_bytes(),
        }
    }

    /// Answers a search while listening for its abandonment (RFC 4511 section 4.11), which ends the
    /// answer.
    async fn search(
        &mut self,
        writer: &mut Writer,
        msgid: i32,
        request: LdapSearchRequest,
        ctrl: Vec<LdapControl>,
    ) -> Result<(), End> {
        let Self {
            session,
            reader,
            waiting,
            stop,
            ..
        } = self;
        {
            let mut answer = pin!(search::answer(session, writer, msgid, request, ctrl));
            loop {
                let message = select! {
                    biased;
                    () = stop.cancelled() => return Err(End::Stopped),
                    read = reader.next(), if waiting.len() < WAITING => arrived(read)?,
                    answered = &mut answer => return answered.map_err(End::from),
                };
                if let LdapOp::AbandonRequest(id) = message.op {
                    if id == msgid {
                        break;
                    }
                    waiting.retain(|waiting| waiting.msgid != id);
                } else if message.op == LdapOp::UnbindRequest {
                    return Err(End::Client);
                } else {
                    waiting.push_back(message);
                }
            }
        }
        Ok(writer.flush().await?)
    }
}

/// What was read: a message, the end, or something that cannot be parsed.
fn arrived(read: Option<io::Result<LdapMsg>>) -> Result<LdapMsg, End> {
    match read {
        Some(Ok(message)) => Ok(message),
        None => Err(End::Client),
        Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Err(End::Client),
        Some(Err(_)) => Err(End::Malformed("the message is malformed or too long")),
    }
}

/// The refusal when a control is critical and none of these operations knows it (RFC 4511 section
/// 4.1.11).
fn unknown_critical(controls: &[LdapControl]) -> Option<LdapResult> {
    let critical = controls.iter().any(search::is_critical);
    critical.then(|| {
        result(
            LdapResultCode::UnavailableCriticalExtension,
            "a critical control is not supported here",
        )
    })
}

/// Refuses a request to change or compare, with the matching response type.
async fn refuse(
    writer: &mut Writer,
    msgid: i32,
    answer: fn(LdapResult) -> LdapOp,
) -> io::Result<()> {
    let refusal = result(
        LdapResultCode::UnwillingToPerform,
        "this directory is read-only",
    );
    writer.send(msgid, answer(refusal), Vec::new()).await
}
