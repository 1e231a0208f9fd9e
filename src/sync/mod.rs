//! Decides: the desired state, the current state, and the changes between them. Values in, values
//! out: no I/O, clock, log or async.

pub(crate) mod became;
mod choice;
pub(crate) mod compared;
pub(crate) mod custom;
pub(crate) mod decide;
pub(crate) mod decision;
pub(crate) mod desired;
pub(crate) mod difference;
mod extent;
pub mod grants;
pub(crate) mod guard;
pub(crate) mod later;
pub(crate) mod mapping;
pub mod matching;
pub(crate) mod observed;
pub(crate) mod order;
pub(crate) mod owner;
mod person;
pub(crate) mod put_back;
pub(crate) mod restore;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod several;
pub(crate) mod snapshot;
pub(crate) mod undecided;
pub(crate) mod undo;
pub(crate) mod verdict;
mod written;

#[cfg(test)]
mod properties;
