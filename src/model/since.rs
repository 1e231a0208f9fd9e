//! Since when somebody is waited for, in words.

use std::fmt;

/// Since when somebody is missing, and which key asks for longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// As people read it.
    pub time: Box<str>,
    /// Complete reads without the person.
    pub reads: u32,
    /// A key of `users`.
    pub key: &'static str,
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, reads, key } = self;
        let plural = if *reads == 1 { "" } else { "s" };
        write!(
            f,
            "{time}, in {reads} complete read{plural}, and users.{key} is not over"
        )
    }
}
