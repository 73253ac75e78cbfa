//! The authorities that this process trusts for https: those that the host hands over (a JVM its trust store), once for
//! all exporters of a loaded library; without a host Mozilla's list, where that is built in.

use crate::error::Error;
use std::time::Duration;

/// What was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Authorities that are trusted.
    pub(crate) authorities: usize,
    /// Certificates that could not be read as ones of authorities.
    pub(crate) unusable: usize,
    /// Bytes handed over.
    pub(crate) bytes: usize,
    /// How long the host took to read them.
    pub(crate) took: Duration,
}

#[cfg(feature = "tls")]
mod known {
    use super::Report;
    use crate::error::{Error, ErrorKind};
    use parking_lot::Mutex;
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use std::sync::Arc;
    use std::time::Duration;

    static KNOWN: Mutex<Option<(Arc<RootCertStore>, Report)>> = Mutex::new(None);

    #[cfg_attr(not(feature = "jni"), allow(dead_code))]
    pub(super) fn hand_over(mut list: &[u8], took: Duration) -> Result<Report, Error> {
        let mut report = Report { bytes: list.len(), took, ..Report::default() };
        let mut store = RootCertStore::empty();
        while !list.is_empty() {
            let one = list.split_first_chunk::<4>().and_then(|(length, rest)| {
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                rest.split_at_checked(length)
            });
            let Some((certificate, rest)) = one else {
                return Err(Error::new(ErrorKind::InvalidArgument, "a certificate is shorter than it says"));
            };
            match store.add(CertificateDer::from(certificate)) {
                Ok(()) => report.authorities += 1,
                Err(_) => report.unusable += 1,
            }
            list = rest;
        }
        *KNOWN.lock() = Some((Arc::new(store), report));
        Ok(report)
    }

    pub(super) fn report() -> Report {
        KNOWN.lock().as_ref().map(|(_, report)| *report).unwrap_or_default()
    }

    /// Those who are trusted.
    pub(in crate::transport) fn store() -> Arc<RootCertStore> {
        KNOWN.lock().as_ref().map_or_else(built_in, |(store, _)| Arc::clone(store))
    }

    #[cfg(feature = "webpki-roots")]
    fn built_in() -> Arc<RootCertStore> {
        Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    #[cfg(not(feature = "webpki-roots"))]
    fn built_in() -> Arc<RootCertStore> {
        Arc::new(RootCertStore::empty())
    }
}

#[cfg(feature = "tls")]
pub(super) use known::store;

/// The host's authorities as X.509 in DER, each behind its length (four bytes, the highest first). They replace what
/// was handed over before. `took`: how long the host needed to read them. A build without TLS forgets them.
///
/// # Errors
/// `INVALID_ARGUMENT` if a length does not fit.
// Of all hosts only a JVM has some to hand over.
#[cfg_attr(not(feature = "jni"), allow(dead_code))]
pub(crate) fn hand_over(list: &[u8], took: Duration) -> Result<Report, Error> {
    #[cfg(feature = "tls")]
    return known::hand_over(list, took);
    #[cfg(not(feature = "tls"))]
    return Ok(Report { bytes: list.len(), took, ..Report::default() });
}

/// What was handed over.
pub(crate) fn report() -> Report {
    #[cfg(feature = "tls")]
    return known::report();
    #[cfg(not(feature = "tls"))]
    Report::default()
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_list_that_does_not_fit_is_refused_and_changes_nothing() {
        let before = report();
        for bad in [&[0, 0, 0][..], &[0, 0, 0, 2, 1], &[0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(hand_over(bad, Duration::ZERO).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        assert_eq!(report(), before);
    }
}
