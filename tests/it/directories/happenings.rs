//! What happens to people and their entries, as each kind of directory shows it.

use ftrack_ldap_sync::model::server_kind::ServerKind;

use super::servers::RealDirectory;

pub fn join(directory: &RealDirectory) {
    directory.join("bob");
}

pub fn rename(directory: &RealDirectory) {
    let login = directory.login();
    directory.change(&format!(
        "dn: cn=ada,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: {login}\n{login}: ada.holm\n-\n\
         replace: sn\nsn: Holm\n\n\
         dn: cn=ada,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=Ada Holm\ndeleteoldrdn: 1\n"
    ));
}

pub fn move_within(directory: &RealDirectory) {
    directory.change(
        "dn: ou=fx,ou=people,dc=studio,dc=test\nchangetype: add\nobjectClass: organizationalUnit\n\n\
         dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\ndeleteoldrdn: 1\n\
         newsuperior: ou=fx,ou=people,dc=studio,dc=test\n",
    );
}

pub fn move_out(directory: &RealDirectory) {
    directory.change(
        "dn: cn=bob,ou=fx,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\n\
         deleteoldrdn: 1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
}

pub fn come_back(directory: &RealDirectory) {
    directory.change(
        "dn: cn=bob,ou=services,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\n\
         deleteoldrdn: 1\nnewsuperior: ou=people,dc=studio,dc=test\n",
    );
}

/// Replaces an attribute of bob's; without values, it is removed.
pub fn set(directory: &RealDirectory, attribute: &str, values: &[&str]) {
    let lines = values.iter().map(|value| format!("{attribute}: {value}\n"));
    directory.change(&format!(
        "dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: modify\nreplace: {attribute}\n{}",
        lines.collect::<String>()
    ));
}

pub fn lock_out(directory: &RealDirectory) {
    match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            directory.change(
                "dn: dc=studio,dc=test\nchangetype: modify\nreplace: lockoutThreshold\n\
                 lockoutThreshold: 1\n",
            );
            directory.fails_to_bind("cn=bob,ou=people,dc=studio,dc=test");
            assert!(directory.shows("(&(cn=bob)(lockoutTime>=1))"));
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => {
            set(directory, "accountUnlockTime", &["20990101000000Z"]);
        }
        ServerKind::OpenLdap | ServerKind::Generic => {
            set(directory, "pwdAccountLockedTime", &["20260101000000Z"]);
        }
    }
}

pub fn disable(directory: &RealDirectory) {
    match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            set(directory, "userAccountControl", &["546"]);
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => set(directory, "nsAccountLock", &["true"]),
        ServerKind::OpenLdap | ServerKind::Generic => {
            set(directory, "pwdAccountLockedTime", &["000001010000Z"]);
        }
    }
}

pub fn enable(directory: &RealDirectory) {
    match directory.kind {
        ServerKind::ActiveDirectory | ServerKind::Samba => {
            set(directory, "userAccountControl", &["544"]);
        }
        ServerKind::Ds389 | ServerKind::FreeIpa => set(directory, "nsAccountLock", &[]),
        ServerKind::OpenLdap | ServerKind::Generic => {
            set(directory, "pwdAccountLockedTime", &[]);
        }
    }
}

/// At the beginning of 2026.
pub fn expire(directory: &RealDirectory) {
    if directory.kind.is_active_directory() {
        set(directory, "accountExpires", &["134116992000000000"]);
    } else {
        set(directory, "departmentNumber", &["20454"]);
    }
}

pub fn extend(directory: &RealDirectory) {
    if directory.kind.is_active_directory() {
        set(directory, "accountExpires", &["9223372036854775807"]);
    } else {
        set(directory, "departmentNumber", &["-1"]);
    }
}

pub fn disable_and_move(directory: &RealDirectory) {
    disable(directory);
    directory.change(
        "dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: modrdn\nnewrdn: cn=bob\n\
         deleteoldrdn: 1\nnewsuperior: ou=services,dc=studio,dc=test\n",
    );
}

pub fn leave(directory: &RealDirectory) {
    directory.change("dn: cn=bob,ou=people,dc=studio,dc=test\nchangetype: delete\n");
}
