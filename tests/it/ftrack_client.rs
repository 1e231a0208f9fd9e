//! The ftrack client against servers that answer what the test tells them to.

mod checking;
mod reading;
mod scripted;
mod transport;
