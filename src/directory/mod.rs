//! LDAP: a directory read that is complete, or an error.

mod account;
mod binds;
mod budget;
pub(crate) mod certificate;
pub(crate) mod connection;
pub(crate) mod connector;
mod contact;
mod credentials;
pub(crate) mod dn;
pub(crate) mod error;
pub(crate) mod filter;
mod freshness;
mod group_graph;
mod groups;
#[cfg(feature = "gssapi")]
mod gssapi;
mod gssapi_fault;
mod id_search;
mod identity;
mod locate;
pub(crate) mod look_again;
mod lookup;
mod name_fault;
mod names;
mod outage;
pub(crate) mod place;
pub mod pool;
pub mod probe;
mod range;
pub mod read;
mod reading;
mod request;
mod result_code;
#[cfg(feature = "gssapi")]
mod sasl;
pub(crate) mod schema;
pub(crate) mod search;
mod searches;
pub(crate) mod server;
pub(crate) mod srv;
mod start_tls;
mod tls;
mod transport;
mod wire;

pub use contact::contact;
pub use error::{BindMethod, DirectoryError};
pub use group_graph::{GroupsRead, LostGroup};
pub use locate::{LocateRequest, Location, locate};
pub use look_again::{AbsenceDoubt, Absent, Answer, LookedAgain, ask, look_again};
pub use name_fault::NameFault;
pub use pool::DirectoryPool;
pub use read::read;
pub use reading::Reading;
pub use request::{GroupsRequest, PeopleSearch, ReadFailure, ReadRequest};
pub use search::SearchEvidence;
