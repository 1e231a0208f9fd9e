//! Words of the program in messages, also in those that are read again.

use std::borrow::Cow;

/// A word of the program.
pub type Word = Cow<'static, str>;
