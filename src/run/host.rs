//! This host.

/// This host's name, by which a splay spreads the jobs of many hosts.
#[must_use]
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
