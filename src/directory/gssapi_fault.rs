//! In which way a bind by a Kerberos ticket failed, before the server refused it.

use std::fmt;

/// How Kerberos, or what is negotiated with a server after it, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub enum GssapiFault {
    /// A call of the Kerberos library failed.
    Kerberos {
        cause: KerberosCause,
        /// What the library said.
        detail: String,
    },
    /// A ticket was not there in time.
    TooSlow,
    /// No thread could be started.
    NoThread,
    /// There is no host whose service a ticket could be for.
    NoHost,
    /// The server did not prove itself, or a ticket cannot do what is needed.
    NotMutual,
    /// The server accepted the bind before the security layer was chosen.
    TooEarly,
    /// The server did not come to an end.
    TooManySteps,
    /// Over plain LDAP, the server does not seal messages.
    NoSeal { offered: String },
    /// The server insists on a layer within TLS.
    LayerInTls { offered: String },
}

/// Why a call of the Kerberos library failed, where its code tells (`krb5.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum KerberosCause {
    NoTicket,
    Expired,
    Skew,
    /// The keytab cannot be read, or lacks the key.
    Keytab,
    /// The key distribution centre does not know the service.
    UnknownServer,
    /// It refuses the account, or its key.
    Account,
    /// The credential cache has tickets of another account.
    OtherPrincipal,
    /// No key distribution centre answers.
    Unreachable,
    /// The configuration of Kerberos lacks the realm.
    Realm,
    Other,
}

impl GssapiFault {
    /// What happened.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Kerberos { cause, detail } => format!("{} ({detail})", cause.what()),
            Self::TooSlow => "no Kerberos ticket was obtained in time".into(),
            Self::NoThread => "no Kerberos ticket was obtained: no thread can be started".into(),
            Self::NoHost => "a Kerberos ticket is for a host, and this is a socket".into(),
            Self::NotMutual => "the server has not proven who it is".into(),
            Self::TooEarly => {
                "the server accepted the bind without a choice of the security layer".into()
            }
            Self::TooManySteps => "the server does not come to an end of the bind".into(),
            Self::NoSeal { offered } => {
                format!("the server does not seal messages; it offers: {offered}")
            }
            Self::LayerInTls { offered } => {
                format!("the server wants a security layer within TLS; it offers: {offered}")
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::Kerberos { cause, .. } => cause.way_out(),
            Self::TooSlow => KerberosCause::Unreachable.way_out(),
            Self::NoThread => "see the limits of this process",
            Self::NoHost => "use sasl = \"external\" for ldapi://",
            Self::NotMutual | Self::TooEarly | Self::TooManySteps => {
                "see the server's log, and whether urls lead to the server itself"
            }
            Self::NoSeal { .. } => {
                "use ldaps:// or start_tls = true, or let the server offer confidentiality (slapd: \
                 olcSaslSecProps, 389-ds: nsslapd-maxssf)"
            }
            Self::LayerInTls { .. } => {
                "use ldap:// without start_tls, where messages are sealed, or let the server do \
                 without (slapd: olcSaslSecProps without minssf, 389-ds: nsslapd-minssf)"
            }
        }
    }

    /// Whether the account or its key was refused.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Kerberos {
                cause: KerberosCause::Account,
                ..
            }
        )
    }

    /// Whether another server may be tried: not where tickets for that one lack the same.
    #[must_use]
    pub fn concerns_one_server(&self) -> bool {
        match self {
            Self::Kerberos { cause, .. } => matches!(cause, KerberosCause::UnknownServer),
            Self::TooSlow | Self::NoThread | Self::NoHost => false,
            Self::NotMutual
            | Self::TooEarly
            | Self::TooManySteps
            | Self::NoSeal { .. }
            | Self::LayerInTls { .. } => true,
        }
    }

    /// The outcome in a few words.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Kerberos { .. } | Self::TooSlow | Self::NoThread | Self::NoHost => {
                "no Kerberos ticket"
            }
            Self::NotMutual
            | Self::TooEarly
            | Self::TooManySteps
            | Self::NoSeal { .. }
            | Self::LayerInTls { .. } => "GSSAPI failed",
        }
    }
}

impl fmt::Display for GssapiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())
    }
}

impl std::error::Error for GssapiFault {}

impl KerberosCause {
    /// By the code of the Kerberos library (`krb5.h`), which GSSAPI calls the minor status.
    #[must_use]
    pub fn of(code: i32) -> Self {
        match code {
            -1_765_328_378
            | -1_765_328_366
            | -1_765_328_363..=-1_765_328_360
            | -1_765_328_353
            | -1_765_328_174 => Self::Account,
            -1_765_328_377 => Self::UnknownServer,
            -1_765_328_352 => Self::Expired,
            -1_765_328_351 | -1_765_328_347 | -1_765_328_236 => Self::Skew,
            -1_765_328_230 | -1_765_328_160 | -1_765_328_249 | -1_765_328_248 => Self::Realm,
            -1_765_328_228 | -1_765_328_164 => Self::Unreachable,
            -1_765_328_205..=-1_765_328_200 | -1_765_328_154 | -1_765_328_149 => Self::Keytab,
            -1_765_328_243 | -1_765_328_189 => Self::NoTicket,
            // KG_CCACHE_NOMATCH of the library's own table.
            39_756_032 => Self::OtherPrincipal,
            _ => Self::Other,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::NoTicket => "there is no Kerberos ticket",
            Self::Expired => "the Kerberos ticket has expired",
            Self::Skew => "this machine's clock differs too much from the Kerberos server's",
            Self::Keytab => "the keytab cannot be used",
            Self::UnknownServer => "Kerberos does not know this server's LDAP service",
            Self::Account => "Kerberos refuses the account or its key",
            Self::OtherPrincipal => "the credential cache has tickets of another account",
            Self::Unreachable => "no Kerberos server answers",
            Self::Realm => "this machine's Kerberos configuration does not know the realm",
            Self::Other => "Kerberos failed",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Self::NoTicket => {
                "name a keytab of the account in KRB5_CLIENT_KTNAME, or a credential cache with a \
                 ticket (kinit) in KRB5CCNAME, in the environment of this program"
            }
            Self::Expired => {
                "use a keytab (KRB5_CLIENT_KTNAME), from which tickets are renewed, or run kinit \
                 again"
            }
            Self::Skew => "set this machine's clock, such as by NTP",
            Self::Keytab => {
                "check the file in KRB5_CLIENT_KTNAME with klist -k, and that this program's user \
                 can read it; export it again if the account's password has changed"
            }
            Self::UnknownServer => {
                "write the host in urls as in its principal ldap/HOST: its full name, as in \
                 dc1.studio.test, and no address"
            }
            Self::Account => {
                "check that the account exists and is enabled, and whether its password has \
                 changed since the keytab was made"
            }
            Self::OtherPrincipal => {
                "let each principal have a cache of its own: KRB5CCNAME=DIR:PATH in the environment of \
                 this program, with the path of a directory"
            }
            Self::Unreachable => {
                "check the realm's kdc in krb5.conf or DNS (_kerberos._udp), and any firewall in \
                 between (port 88)"
            }
            Self::Realm => "check default_realm and [realms] in krb5.conf",
            Self::Other => "see what kinit -k and kvno ldap/HOST say on this machine",
        }
    }
}
