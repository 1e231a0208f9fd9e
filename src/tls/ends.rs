//! When the certificates of a file expire.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::expiry::Expiry;
use crate::config::files;

/// When each certificate of a file expires, the first one first; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends(Vec<DateTime<Utc>>);

impl Ends {
    /// Of a file in PEM. None where it cannot be read, or contains no certificate, which is told where
    /// it is used.
    pub(crate) fn of_file(file: &Path, expiry: Expiry) -> Option<Self> {
        let content = files::read(file, files::CERTIFICATES_LIMIT).ok()?;
        let certificates = CertificateDer::pem_slice_iter(&content).filter_map(Result::ok);
        let ends = certificates.filter_map(|certificate| expiry(&certificate));
        let mut ends: Vec<DateTime<Utc>> = ends.collect();
        ends.sort_unstable();
        (!ends.is_empty()).then_some(Self(ends))
    }

    /// How many certificates there are.
    pub(crate) fn all(&self) -> usize {
        self.0.len()
    }

    /// The first end.
    pub(crate) fn first(&self) -> DateTime<Utc> {
        self.0.first().copied().unwrap_or_default()
    }

    /// The last end.
    pub(crate) fn last(&self) -> DateTime<Utc> {
        self.0.last().copied().unwrap_or_default()
    }

    /// How many certificates have expired.
    pub(crate) fn over(&self, now: DateTime<Utc>) -> usize {
        self.0.iter().filter(|end| **end < now).count()
    }

    /// The ends of those that are valid, and less than this time away.
    pub(crate) fn near(
        &self,
        within: TimeDelta,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        let near = self.0.iter().copied();
        near.filter(move |end| *end >= now && *end - now < within)
    }
}
