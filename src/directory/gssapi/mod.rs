//! SASL GSSAPI (RFC 4752): a bind by a Kerberos ticket, before the library is put on the connection.
//!
//! Over TLS it is tied to the server's certificate (RFC 5929) and adds no layer; over plain LDAP each
//! message is sealed from then on (RFC 4422 section 3.7).

mod binding;
mod exchange;
mod layer;
mod sealed;
mod ticket;

pub(super) use self::{
    binding::end_point,
    exchange::{Bound, exchange},
    layer::Protection,
    sealed::{Sealed, sealed},
    ticket::Initiator,
};
