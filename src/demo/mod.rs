//! A studio in memory: a small LDAP directory and a small ftrack, for the demo and the tests.

pub mod cast;
pub mod directory;
pub mod ftrack;
pub mod story;
pub mod world;
