//! The jobs on their schedules, until told to stop.

pub mod backoff;
pub mod control;
pub mod http;
pub mod metrics;
pub mod orders;
pub mod pause;
pub mod pulse;
pub mod serve;
pub mod shown;
pub mod socket;
pub mod status;
