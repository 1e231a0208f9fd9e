//! The ftrack client against servers that answer what the test tells them to.

mod scripted;
mod transport;
