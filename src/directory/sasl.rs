//! The bind by SASL GSSAPI on the way to a server.

use tokio::time::Instant as Moment;

use super::{
    error::DirectoryError,
    gssapi::{Bound, Initiator, Protection, end_point, exchange, sealed},
    gssapi_fault::GssapiFault,
    transport::Transport,
};

/// How a bind ended that a server answered.
pub(super) enum Outcome {
    /// The connection is bound, by a ticket of this principal.
    Bound(Transport, String),
    /// The server refused it.
    Refused {
        /// The result code.
        code: u32,
        /// The server's words.
        text: String,
    },
}

/// A bind at the server with this URL, as whose host the ticket is for; by a ticket of this account,
/// if one is named.
///
/// # Errors
/// `Gssapi`, `Lost`, `Garbled`.
pub(super) async fn bind(
    transport: Transport,
    server: &str,
    (host, principal): (&str, Option<String>),
    until: Moment,
) -> Result<Outcome, DirectoryError> {
    let (protection, binding) = match &transport {
        Transport::Tls(stream) => {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let binding = certificates.first().and_then(|own| end_point(own));
            (Protection::Tls, binding)
        }
        Transport::Plain(_) | Transport::Socket(_) | Transport::Sealed(_) => {
            (Protection::Sealed, None)
        }
    };
    let failed = |fault: GssapiFault| DirectoryError::Gssapi {
        server: server.into(),
        fault,
    };
    // Without a realm after the `@`, Kerberos finds out which.
    let service = format!("ldap/{host}@");
    let initiator = Initiator {
        service,
        principal,
        protection,
        binding,
    };
    let ticket = initiator.begin(until).await.map_err(failed)?;
    Ok(match transport {
        Transport::Plain(tcp) => match exchange(tcp, server, ticket, protection).await? {
            Bound::Accepted {
                stream,
                ticket,
                choice,
            } => {
                let principal = ticket.principal();
                let sealed = sealed(stream, ticket, &choice);
                Outcome::Bound(Transport::Sealed(Box::new(sealed)), principal)
            }
            Bound::Refused { code, text } => Outcome::Refused { code, text },
        },
        Transport::Tls(tls) => match exchange(tls, server, ticket, protection).await? {
            Bound::Accepted { stream, ticket, .. } => {
                Outcome::Bound(Transport::Tls(stream), ticket.principal())
            }
            Bound::Refused { code, text } => Outcome::Refused { code, text },
        },
        // The configuration does not allow it.
        Transport::Socket(_) | Transport::Sealed(_) => return Err(failed(GssapiFault::NoHost)),
    })
}
