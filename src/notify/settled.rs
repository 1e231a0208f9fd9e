//! Of a mail to several, who need not get it again.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The addresses of a mail that get it no more.
#[derive(Debug, Default)]
pub struct Settled(Mutex<SettledAddresses>);

#[derive(Debug, Default)]
struct SettledAddresses {
    /// They have it, or were refused for good.
    all: BTreeSet<String>,
    /// Why some of them were refused, since the program began with this message.
    refused: Vec<String>,
}

impl Settled {
    /// Those of an earlier program.
    pub fn of(all: BTreeSet<String>) -> Self {
        Self(Mutex::new(SettledAddresses {
            all,
            refused: Vec::new(),
        }))
    }

    fn open(&self) -> MutexGuard<'_, SettledAddresses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an address gets the mail no more.
    pub fn contains(&self, address: &str) -> bool {
        self.open().all.contains(address)
    }

    /// An address has the mail.
    pub fn taken(&self, address: &str) {
        self.open().all.insert(address.to_owned());
    }

    /// An address was refused for good.
    pub fn refused(&self, address: &str, why: String) {
        let mut settled = self.open();
        settled.all.insert(address.to_owned());
        settled.refused.push(why);
    }

    /// Why addresses were refused for good.
    pub fn refusals(&self) -> Vec<String> {
        self.open().refused.clone()
    }

    /// Those that get it no more.
    pub fn addresses(&self) -> BTreeSet<String> {
        self.open().all.clone()
    }
}
