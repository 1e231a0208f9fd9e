//! Calls to the Kerberos library. Those that may ask a key distribution centre wait for as long as
//! the library does, so they run on threads of their own, and whoever asks waits for a limited time.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

use libgssapi::{
    context::{ClientCtx, CtxFlags, SecurityContext},
    credential::{Cred, CredUsage},
    error::{Error, MajorFlags},
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_NT_KRB5_PRINCIPAL, OidSet},
    util::Buf,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant as Moment, timeout_at},
};

use super::layer::Protection;
use crate::directory::{
    error::words,
    gssapi_fault::{GssapiFault, KerberosCause},
};

/// The most calls that wait for a key distribution centre at a time.
const MOST_CALLS: usize = 8;

/// Their places; a call keeps its own until the library returns, whoever still waits for it.
static CALLS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_CALLS)));

/// What a ticket is asked for.
#[derive(Debug, Clone)]
pub(in crate::directory) struct Initiator {
    /// The principal of the service; without a realm after the `@`, Kerberos finds out which.
    pub service: String,
    /// The account, if it is named.
    pub principal: Option<String>,
    pub protection: Protection,
    /// The channel binding.
    pub binding: Option<Vec<u8>>,
}

/// A ticket in use: a security context, which is complete once the server has proven itself.
#[derive(Debug)]
pub(in crate::directory) struct Ticket {
    context: ClientCtx,
    binding: Option<Vec<u8>>,
    protection: Protection,
}

impl Initiator {
    /// A ticket with the first message to the server.
    ///
    /// # Errors
    /// There is no ticket for this service.
    pub async fn begin(self, until: Moment) -> Result<(Ticket, Vec<u8>), GssapiFault> {
        let asked = async {
            let place = Arc::clone(&CALLS).acquire_owned().await.ok()?;
            let (answer, answered) = oneshot::channel();
            let call = move || {
                let _ = answer.send(self.initiate());
                drop(place);
            };
            thread::Builder::new()
                .name("kerberos".into())
                .spawn(call)
                .ok()?;
            answered.await.ok()
        };
        match timeout_at(until, asked).await {
            Ok(Some(begun)) => begun.map_err(|error| fault(&error)),
            Ok(None) => Err(GssapiFault::NoThread),
            Err(_) => Err(GssapiFault::TooSlow),
        }
    }

    fn initiate(self) -> Result<(Ticket, Vec<u8>), Error> {
        let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
        let principal = self.principal.as_deref().map(str::as_bytes);
        let principal = principal.map(|name| Name::new(name, Some(GSS_NT_KRB5_PRINCIPAL)));
        let principal = principal.transpose()?;
        let own = Cred::acquire(
            principal.as_ref(),
            None,
            CredUsage::Initiate,
            Some(&mechanisms),
        )?;
        // As it is written: a host's name is looked up nowhere.
        let service = Name::new(self.service.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))?
            .canonicalize(Some(GSS_MECH_KRB5))?;
        let context = ClientCtx::new(
            Some(own),
            service,
            wanted(self.protection),
            Some(GSS_MECH_KRB5),
        );
        let mut ticket = Ticket {
            context,
            binding: self.binding,
            protection: self.protection,
        };
        let first = ticket.step(None)?;
        Ok((ticket, first))
    }
}

/// Inside TLS, a domain controller refuses a context that could sign or seal (MS-ADTS section
/// 5.1.2.1).
fn wanted(protection: Protection) -> CtxFlags {
    let always = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_SEQUENCE_FLAG;
    match protection {
        Protection::Tls => always,
        Protection::Sealed => always | CtxFlags::GSS_C_INTEG_FLAG | CtxFlags::GSS_C_CONF_FLAG,
    }
}

impl Ticket {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        let next = self.context.step(token, self.binding.as_deref())?;
        Ok(next.map(|next| next.to_vec()).unwrap_or_default())
    }

    /// The answer to a message of the server; it may be empty.
    ///
    /// # Errors
    /// The message is not one of the server that the ticket is for.
    pub fn answer(&mut self, token: &[u8]) -> Result<Vec<u8>, GssapiFault> {
        let next = self.step(Some(token)).map_err(|error| fault(&error))?;
        if self.is_complete() && !self.is_as_wanted() {
            return Err(GssapiFault::NotMutual);
        }
        Ok(next)
    }

    /// Whose ticket it is, once it is complete.
    pub fn principal(&self) -> String {
        let name = self.context.source_name().map(|name| name.to_string());
        name.unwrap_or_default().replace(char::is_control, " ")
    }

    /// Whether both sides have proven themselves.
    pub fn is_complete(&self) -> bool {
        self.context.is_complete()
    }

    fn is_as_wanted(&self) -> bool {
        self.context
            .flags()
            .is_ok_and(|granted| granted.contains(wanted(self.protection)))
    }

    /// A message that the server can read, and only it if it is sealed.
    ///
    /// # Errors
    /// The ticket has expired.
    pub fn wrap(&mut self, message: &[u8], protection: Protection) -> Result<Buf, GssapiFault> {
        self.context
            .wrap(protection == Protection::Sealed, message)
            .map_err(|error| fault(&error))
    }

    /// The content of a message of the server.
    ///
    /// # Errors
    /// It is not the server's next message.
    pub fn unwrap(&mut self, message: &[u8]) -> Result<Buf, GssapiFault> {
        self.context.unwrap(message).map_err(|error| fault(&error))
    }
}

/// The meaning of an error of the library.
fn fault(error: &Error) -> GssapiFault {
    let is = |flag: MajorFlags| error.major.bits() == flag.bits();
    let of_code = KerberosCause::of(error.minor.cast_signed());
    let cause = if of_code != KerberosCause::Other {
        of_code
    } else if is(MajorFlags::GSS_S_NO_CRED) {
        KerberosCause::NoTicket
    } else if is(MajorFlags::GSS_S_CREDENTIALS_EXPIRED) {
        KerberosCause::Expired
    } else {
        KerberosCause::Other
    };
    // The general part of the text comes first, and says nothing where there is another one.
    let text = error.to_string();
    let own = text.split_once(" (").filter(|_| error.minor != 0);
    let own = own.map_or(text.as_str(), |(_, own)| {
        own.strip_suffix(')').unwrap_or(own)
    });
    GssapiFault::Kerberos {
        cause,
        detail: words(own),
    }
}
