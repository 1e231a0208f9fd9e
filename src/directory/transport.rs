//! The way to a server, before anybody is bound.

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

#[cfg(feature = "gssapi")]
use super::gssapi::Sealed;

/// A byte stream to a server, encrypted as configured.
#[derive(Debug)]
pub enum Transport {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS, from the start or by StartTLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// A socket of this machine, which leaves it nowhere.
    Socket(UnixStream),
    /// Plain TCP on which each message is sealed, bound already.
    #[cfg(feature = "gssapi")]
    Sealed(Box<Sealed>),
}
