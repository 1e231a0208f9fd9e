//! HTTP out: what ftrack holds now, and the changes that were vetted.

pub mod user;
