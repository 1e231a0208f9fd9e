//! The kinds of directory servers that are distinguished.

use std::fmt;

/// A kind of directory server: each identifies its entries, describes people and disables accounts
/// in its own way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerKind {
    /// Microsoft's Active Directory.
    ActiveDirectory,
    /// Samba as an Active Directory domain controller.
    Samba,
    /// 389 Directory Server and its relatives.
    Ds389,
    /// FreeIPA, which is a 389 Directory Server with a tree and plug-ins of its own.
    FreeIpa,
    /// OpenLDAP's slapd.
    OpenLdap,
    /// Anything else.
    #[default]
    Generic,
}

impl ServerKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ActiveDirectory,
        Self::Samba,
        Self::Ds389,
        Self::FreeIpa,
        Self::OpenLdap,
        Self::Generic,
    ];

    /// As it is written in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "active-directory",
            Self::Samba => "samba",
            Self::Ds389 => "389",
            Self::FreeIpa => "freeipa",
            Self::OpenLdap => "openldap",
            Self::Generic => "generic",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it keeps its entries as Active Directory does.
    #[must_use]
    pub const fn is_active_directory(self) -> bool {
        match self {
            Self::ActiveDirectory | Self::Samba => true,
            Self::Ds389 | Self::FreeIpa | Self::OpenLdap | Self::Generic => false,
        }
    }
}

/// As it is written in a configuration.
impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A value for each kind of server.
#[derive(Debug, Clone)]
pub struct ByKind<T> {
    active_directory: T,
    samba: T,
    ds389: T,
    free_ipa: T,
    open_ldap: T,
    generic: T,
}

impl<T> ByKind<T> {
    /// Makes the value of each kind.
    pub fn new(mut of: impl FnMut(ServerKind) -> T) -> Self {
        Self {
            active_directory: of(ServerKind::ActiveDirectory),
            samba: of(ServerKind::Samba),
            ds389: of(ServerKind::Ds389),
            free_ipa: of(ServerKind::FreeIpa),
            open_ldap: of(ServerKind::OpenLdap),
            generic: of(ServerKind::Generic),
        }
    }

    /// The value of a kind.
    pub const fn of(&self, kind: ServerKind) -> &T {
        match kind {
            ServerKind::ActiveDirectory => &self.active_directory,
            ServerKind::Samba => &self.samba,
            ServerKind::Ds389 => &self.ds389,
            ServerKind::FreeIpa => &self.free_ipa,
            ServerKind::OpenLdap => &self.open_ldap,
            ServerKind::Generic => &self.generic,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn each_kind_has_its_own_name_and_value() {
        let by_kind = ByKind::new(|kind| kind);
        for kind in ServerKind::ALL {
            assert_eq!(ServerKind::named(kind.name()), Some(kind));
            assert_eq!(*by_kind.of(kind), kind);
        }
        assert_eq!(ServerKind::named("ad"), None);
    }
}
