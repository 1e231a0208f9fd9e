//! StartTLS (RFC 4511 section 4.14), before the library is put on the connection.

use futures_util::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec,
    proto::{LdapExtendedRequest, LdapMsg, LdapOp},
};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use super::error::{DirectoryError, words};

/// The extended operation (RFC 4511 section 4.14.1).
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// Requests TLS on a plain connection; the handshake follows.
///
/// # Errors
/// `StartTlsRefused`, `Lost`, `Garbled`.
pub(super) async fn start_tls(tcp: TcpStream, server: &str) -> Result<TcpStream, DirectoryError> {
    let lost = |reason: String| DirectoryError::Lost {
        server: server.into(),
        tried: "StartTLS".into(),
        reason,
    };
    let garbled = |reason: &str| DirectoryError::Garbled {
        server: server.into(),
        reason: reason.into(),
    };
    let mut framed = Framed::new(tcp, LdapCodec::default());
    let request = LdapExtendedRequest {
        name: START_TLS.into(),
        value: None,
    };
    framed
        .send(LdapMsg::new(1, LdapOp::ExtendedRequest(request)))
        .await
        .map_err(|error| lost(error.to_string()))?;
    let answer: LdapMsg = match framed.next().await {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => return Err(garbled(&format!("the answer to StartTLS: {error}"))),
        None => return Err(lost("the server closed it".into())),
    };
    let LdapOp::ExtendedResponse(response) = answer.op else {
        return Err(garbled("the answer is not one to StartTLS"));
    };
    let code = response.res.code as i32;
    if code != 0 {
        return Err(DirectoryError::StartTlsRefused {
            server: server.into(),
            code: u32::try_from(code).unwrap_or(80),
            text: words(&response.res.message),
        });
    }
    let parts = framed.into_parts();
    // Bytes from before the handshake may have been injected by an attacker (RFC 4511 section
    // 4.14.2).
    if parts.read_buf.is_empty() {
        Ok(parts.io)
    } else {
        Err(garbled("plain bytes after the answer to StartTLS"))
    }
}
