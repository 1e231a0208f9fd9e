//! Decides: the desired state, the current state, and the changes between them. Values in, values
//! out: no I/O, clock, log or async.

pub mod custom;
pub mod desired;
pub mod difference;
pub mod guard;
pub mod mapping;
pub mod matching;
pub mod observed;
pub mod order;
pub mod owner;
pub mod plan;
pub mod rules;

#[cfg(test)]
mod properties;
