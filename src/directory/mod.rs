//! LDAP in: a directory read that is complete, or an error.

pub mod entry;
