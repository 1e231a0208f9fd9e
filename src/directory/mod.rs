//! LDAP in: a directory read that is complete, or an error.

mod ber;
mod binds;
pub mod connection;
pub mod connector;
pub mod entry;
pub mod error;
pub mod filter;
mod guard;
pub mod id;
mod message;
pub mod pool;
pub mod probe;
mod range;
pub mod read;
pub mod search;
pub mod server;
mod tls;

pub use error::{DirectoryError, TlsFault};
pub use id::IdAttribute;
pub use pool::DirectoryPool;
pub use read::{ReadFailure, ReadRequest, Reading, read, still_there};
pub use search::SearchEvidence;
