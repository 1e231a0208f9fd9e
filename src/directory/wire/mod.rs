//! Between the network and the LDAP library: bounds what a server may send, and refuses what the
//! library cannot parse.

pub(super) mod ber;
pub(super) mod entries;
pub(super) mod framing;
pub(super) mod gate;
pub(super) mod message;
pub(super) mod too_large;
