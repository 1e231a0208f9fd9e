//! A small LDAP directory in memory that speaks the real protocol over TCP.
