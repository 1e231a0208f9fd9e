//! Texts of the program in messages, also in those that are read again.

use std::borrow::Cow;

/// A text of the program.
pub type ProgramText = Cow<'static, str>;
