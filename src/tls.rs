//! TLS to all servers: which certificates are trusted, and what a failed handshake means.

pub(crate) mod client;
pub(crate) mod ends;
pub(crate) mod expiry;
pub mod fault;
pub(crate) mod trust;

pub use fault::TlsFault;
