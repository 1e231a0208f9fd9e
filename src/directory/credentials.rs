//! As whom a directory's servers are entered, and how.

use std::path::Path;

use rustix::process::geteuid;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{certificate, error::DirectoryError};
use crate::{
    config::{Credential, Directory, Kerberos, Sasl, Secret, Unreadable, files, is_socket},
    model::bind_account::BindAccount,
};

/// The configured credentials.
#[derive(Debug, Clone)]
pub(super) enum Credentials {
    /// A bind without a name.
    Anonymous,
    /// A bind with a password (RFC 4513 section 5.1.3).
    Simple { dn: String, password: Credential },
    /// SASL EXTERNAL (RFC 4422 appendix A): the server knows the peer by the connection.
    External(External),
    /// SASL GSSAPI (RFC 4752): a Kerberos ticket.
    Ticket {
        kerberos: Kerberos,
        /// In words, for messages.
        who: String,
    },
}

/// By what a server knows the peer of a connection.
#[derive(Debug, Clone)]
pub(super) struct External {
    /// In words, for messages.
    who: String,
    /// Which identity that is, for marks: a renewed certificate is another one.
    identity: String,
    /// As whom the server knows the peer. Where a directory has sockets of this machine beside
    /// other servers, it is the certificate's for all of them.
    account: BindAccount,
}

/// The credentials of one bind.
pub(super) enum Presented {
    Nobody,
    Password {
        dn: String,
        password: Secret,
    },
    Peer,
    /// The key by which a ticket is obtained, where it is known.
    Ticket {
        key: Secret,
    },
}

impl Presented {
    /// What distinguishes it from the next one of the same account.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Password { password, .. } => Some(password),
            Self::Ticket { key } => Some(key),
            Self::Nobody | Self::Peer => None,
        }
    }
}

impl Credentials {
    /// The credentials of a directory.
    ///
    /// # Errors
    /// Settings contradict each other; the text says which.
    pub fn of(directory: &Directory) -> Result<Self, &'static str> {
        match (directory.sasl, &directory.bind_dn, &directory.bind_password) {
            (Some(Sasl::External), None, None) => External::of(directory).map(Self::External),
            (Some(Sasl::External), ..) => {
                Err("sasl = \"external\" needs neither bind_dn nor a password")
            }
            (Some(Sasl::Gssapi), None, None) => {
                let kerberos = Kerberos::of_process(directory.principal.as_deref());
                let who = format!("{} (SASL GSSAPI)", kerberos.words());
                Ok(Self::Ticket { kerberos, who })
            }
            (Some(Sasl::Gssapi), ..) => {
                Err("sasl = \"gssapi\" needs neither bind_dn nor a password")
            }
            // An empty password or name would be an unauthenticated bind, which many servers answer
            // with success (RFC 4513 section 5.1.2).
            (None, Some(dn), Some(password))
                if !dn.is_empty() && !password.loaded().expose().is_empty() =>
            {
                Ok(Self::Simple {
                    dn: dn.clone(),
                    password: password.clone(),
                })
            }
            (None, None, None) => Ok(Self::Anonymous),
            (None, ..) => {
                Err("bind_dn and bind_password belong together, and neither may be empty")
            }
        }
    }

    /// The bind identity, for messages.
    pub fn who(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Simple { dn, .. } => dn,
            Self::External(external) => &external.who,
            Self::Ticket { who, .. } => who,
        }
    }

    /// The file of the password, where it is from one.
    pub fn password_file(&self) -> Option<&Path> {
        match self {
            Self::Simple { password, .. } => password.file(),
            Self::Anonymous | Self::External(_) | Self::Ticket { .. } => None,
        }
    }

    /// The bind identity, for marks.
    pub fn identity(&self) -> &str {
        match self {
            Self::Anonymous | Self::Simple { .. } | Self::Ticket { .. } => self.who(),
            Self::External(external) => &external.identity,
        }
    }

    /// As whom it is bound, as far as that is known before.
    pub fn account(&self) -> BindAccount {
        match self {
            Self::Anonymous => BindAccount::Anonymous,
            Self::Simple { dn, .. } => BindAccount::Named(dn.clone()),
            Self::External(external) => external.account.clone(),
            Self::Ticket { .. } => BindAccount::Ticket(None),
        }
    }

    /// How a bind is made, for people.
    pub fn how(&self) -> &'static str {
        match self {
            Self::Anonymous => "an anonymous bind",
            Self::Simple { .. } => "a bind with a password",
            Self::External(_) | Self::Ticket { .. } => "a bind",
        }
    }

    /// The credentials of the next bind.
    ///
    /// # Errors
    /// `File`
    pub async fn present(&self) -> Result<Presented, DirectoryError> {
        let unreadable = |what| {
            move |Unreadable { file, problem }| DirectoryError::File {
                what,
                path: file,
                reason: problem,
            }
        };
        Ok(match self {
            Self::Anonymous => Presented::Nobody,
            Self::External(_) => Presented::Peer,
            Self::Simple { dn, password } => Presented::Password {
                dn: dn.clone(),
                password: password
                    .current()
                    .await
                    .map_err(unreadable("bind_password"))?,
            },
            Self::Ticket { kerberos, .. } => Presented::Ticket {
                key: kerberos.key().await.map_err(unreadable("keytab"))?,
            },
        })
    }
}

impl External {
    fn of(directory: &Directory) -> Result<Self, &'static str> {
        let (sockets, others): (Vec<_>, Vec<_>) =
            directory.urls.iter().partition(|url| is_socket(url));
        let user = geteuid().as_raw();
        let mut who = Vec::new();
        let mut identity = Vec::new();
        let mut account = BindAccount::User(Some(user));
        if !sockets.is_empty() {
            who.push(format!("this machine's user {user}"));
            identity.push(format!("user {user}"));
        }
        if directory.srv.is_some() || !others.is_empty() {
            let Some(file) = &directory.client_cert_file else {
                return Err("sasl = \"external\" needs client_cert_file and client_key_file");
            };
            who.push(format!("the client certificate {}", file.display()));
            let content = files::read(file, files::CERTIFICATES_LIMIT);
            let first = content.as_ref().ok();
            let first = first.and_then(|pem| CertificateDer::from_pem_slice(pem.as_ref()).ok());
            let subject = first.and_then(|first| certificate::subject(&first));
            account = BindAccount::Certificate(subject);
            identity.push(format!("certificate {:?}", content.ok()));
        }
        Ok(Self {
            who: format!("{} (SASL EXTERNAL)", who.join(" or ")),
            identity: identity.join(" "),
            account,
        })
    }
}
