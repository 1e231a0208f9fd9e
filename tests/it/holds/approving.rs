//! Approving.
