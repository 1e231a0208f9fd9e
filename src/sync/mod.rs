//! Decides: what should be, what is, and what is to change. Values in, values out: no I/O, clock, log or async.
