//! The jobs on their schedules, until told to stop.

pub mod backoff;
pub mod orders;
pub mod pause;
pub mod schedule;
pub mod status;
pub mod ticks;
