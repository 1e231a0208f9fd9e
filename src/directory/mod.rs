//! LDAP: a directory read that is complete, or an error.

mod binds;
pub(crate) mod certificate;
pub(crate) mod connection;
pub(crate) mod connector;
mod contact;
pub(crate) mod dn;
pub(crate) mod error;
pub(crate) mod filter;
mod id_search;
pub(crate) mod look_again;
mod lookup;
mod name_fault;
mod names;
pub mod pool;
pub mod probe;
mod range;
pub mod read;
mod reading;
mod request;
mod result_code;
pub(crate) mod schema;
pub(crate) mod search;
mod searches;
pub(crate) mod server;
mod tls;
mod transport;
mod wire;

pub use contact::contact;
pub use error::DirectoryError;
pub use look_again::{AbsenceDoubt, Absent, Answer, LookedAgain, ask, look_again};
pub use name_fault::NameFault;
pub use pool::DirectoryPool;
pub use read::read;
pub use reading::Reading;
pub use request::{ReadFailure, ReadRequest};
pub use search::SearchEvidence;
