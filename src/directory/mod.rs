//! LDAP: a directory read that is complete, or an error.

mod ber;
mod binds;
pub mod connection;
pub mod connector;
mod contact;
pub mod dn;
pub mod entry;
pub mod error;
pub mod filter;
mod guard;
pub mod id;
pub mod look_again;
mod message;
pub mod pool;
pub mod probe;
mod range;
pub mod read;
pub mod search;
mod searches;
pub mod server;
mod tls;

pub use contact::contact;
pub use error::{DirectoryError, TlsFault};
pub use id::IdAttribute;
pub use look_again::{Answer, ask};
pub use pool::DirectoryPool;
pub use read::{ReadFailure, ReadRequest, Reading, read};
pub use search::SearchEvidence;
