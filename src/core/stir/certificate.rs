//! Certificates of STIR (RFC 8226): the chain to a root of the configuration, and whose numbers they speak for.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};

use super::fetched::host_of;
use super::{Fault, NO_CERTIFICATE, NOT_AUTHORITATIVE, NOT_TRUSTED, SIGNATURE};
use crate::limits;

/// Roots that are trusted, and certificate chains by the URL that names them.
#[derive(Default)]
pub struct Store {
    roots: Vec<TrustAnchor<'static>>,
    /// Leaf first.
    chains: HashMap<String, Vec<CertificateDer<'static>>>,
    /// Hosts that others may be fetched from: `host`, or `host:port`.
    hosts: Vec<String>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("roots", &self.roots.len()).field("chains", &self.chains.keys()).finish()
    }
}

impl Store {
    /// Adds the roots of a PEM text.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn add_roots(&mut self, pem: &[u8]) -> Result<(), String> {
        for certificate in read_pem(pem)? {
            let anchor = webpki::anchor_from_trusted_cert(&certificate).map_err(|e| format!("is no root: {e}"))?;
            self.roots.push(anchor.to_owned());
        }
        Ok(())
    }

    /// Adds a chain, leaf first.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn add_chain(&mut self, url: &str, pem: &[u8]) -> Result<(), String> {
        let chain = read_pem(pem)?;
        if let Some(leaf) = chain.first() {
            webpki::EndEntityCert::try_from(leaf).map_err(|e| format!("is no certificate: {e}"))?;
        }
        self.chains.insert(url.to_owned(), chain);
        Ok(())
    }

    /// Lets certificates be fetched from this host (`host`, or `host:port` when it is not 443).
    pub fn allow_host(&mut self, host: &str) {
        let host = host.to_ascii_lowercase();
        self.hosts.push(host.strip_suffix(":443").unwrap_or(&host).to_owned());
    }

    /// Those hosts.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Anything at all may be fetched.
    pub fn may_fetch_any(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// This may be fetched.
    pub(super) fn may_fetch(&self, url: &str) -> bool {
        self.may_fetch_any() && host_of(url).is_some_and(|host| self.hosts.contains(&host))
    }

    /// The configuration has it.
    pub(super) fn has(&self, url: &str) -> bool {
        self.chains.contains_key(url)
    }

    pub(super) fn chain(&self, url: &str) -> Option<&[CertificateDer<'static>]> {
        self.chains.get(url).map(Vec::as_slice)
    }

    /// Checks `signature` (`r || s`) over `message` by the first certificate of `chain`, and the way from it to a root.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        message: &[u8],
        signature: &[u8],
        seconds: u64,
    ) -> Result<Authority, Fault> {
        let (leaf, intermediates) = chain.split_first().ok_or(NO_CERTIFICATE)?;
        let certificate = webpki::EndEntityCert::try_from(leaf).map_err(|_| NOT_TRUSTED)?;
        let usage = webpki::KeyUsage::required_if_present(&STIR_USAGE);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        certificate
            .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &self.roots, intermediates, time, usage, None, None)
            .map_err(|_| NOT_TRUSTED)?;
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| SIGNATURE)?;
        certificate
            .verify_signature(webpki::ring::ECDSA_P256_SHA256, message, signature.to_der().as_bytes())
            .map_err(|_| SIGNATURE)?;
        Authority::of(leaf).ok_or(NOT_AUTHORITATIVE)
    }
}

/// Extended key usage is not used by STIR; a certificate for something else must not sign calls. The arc of this OID
/// belongs to nobody's usage.
const STIR_USAGE: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x00];

pub(super) fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(limits::STIR_CHAIN + 1).collect();
    let certificates = certificates.map_err(|e| format!("is not PEM: {e}"))?;
    match certificates.len() {
        0 => Err("holds no certificate".to_owned()),
        n if n > limits::STIR_CHAIN => Err(format!("holds more than {} certificates", limits::STIR_CHAIN)),
        _ => Ok(certificates),
    }
}

/// TNAuthList (RFC 8226 §9): the numbers and providers that a certificate speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// Service provider code.
    Spc(String),
    /// First number, as digits, and how many.
    Range(u64, u64),
}

impl Authority {
    /// A provider's certificate speaks for all its numbers, and which those are is not ours to know.
    pub(super) fn covers(&self, number: &str) -> bool {
        let number = number.parse::<u64>().ok();
        self.0.iter().any(|entry| match entry {
            Entry::Spc(_) => true,
            Entry::Range(first, count) => number.is_some_and(|n| n >= *first && n - *first < *count),
        })
    }

    pub(super) fn shown(&self) -> Vec<String> {
        let one = |entry: &Entry| match entry {
            Entry::Spc(code) => format!("spc:{code}"),
            Entry::Range(number, 1) => format!("tn:+{number}"),
            Entry::Range(first, count) => format!("tn:+{first}/{count}"),
        };
        self.0.iter().map(one).collect()
    }

    /// From the extension of a certificate whose structure was checked before.
    fn of(certificate: &[u8]) -> Option<Authority> {
        let (whole, _) = Der(certificate).expect(0x30)?;
        let (mut body, _) = whole.expect(0x30)?;
        let extensions = loop {
            let (tag, value, rest) = body.next()?;
            if tag == 0xa3 {
                break value;
            }
            body = rest;
        };
        let (mut all, _) = extensions.expect(0x30)?;
        loop {
            let (extension, rest) = all.expect(0x30)?;
            let (oid, mut value) = extension.expect(0x06)?;
            if oid.0 == TN_AUTH_LIST {
                if let Some((_, after)) = value.expect(0x01) {
                    value = after;
                }
                return Authority::read(value.expect(0x04)?.0);
            }
            all = rest;
        }
    }

    fn read(list: Der<'_>) -> Option<Authority> {
        let (mut list, _) = list.expect(0x30)?;
        let mut entries = Vec::new();
        while let Some((tag, value, rest)) = list.next() {
            if entries.len() >= limits::TN_AUTH_LIST {
                return None;
            }
            entries.push(match tag {
                0xa0 => Entry::Spc(value.expect(0x16)?.0.text()?),
                0xa1 => {
                    let (range, _) = value.expect(0x30)?;
                    let (first, rest) = range.expect(0x16)?;
                    Entry::Range(first.text()?.parse().ok()?, rest.expect(0x02)?.0.unsigned()?)
                }
                0xa2 => Entry::Range(value.expect(0x16)?.0.text()?.parse().ok()?, 1),
                _ => return None,
            });
            list = rest;
        }
        (list.0.is_empty() && !entries.is_empty()).then_some(Authority(entries))
    }
}

/// id-pe-TNAuthList, 1.3.6.1.5.5.7.1.26.
const TN_AUTH_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1a];

/// Tag, length and value in DER (X.690 §8.1), as far as certificates use it.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Tag, value and what follows.
    fn next(self) -> Option<(u8, Der<'a>, Der<'a>)> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81 | 0x82 => {
                let (len, rest) = rest.split_at_checked(usize::from(first & 3))?;
                (len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        Some((*tag, Der(value), Der(rest)))
    }

    /// Value and what follows, when the tag is this one.
    fn expect(self, tag: u8) -> Option<(Der<'a>, Der<'a>)> {
        self.next().filter(|(found, ..)| *found == tag).map(|(_, value, rest)| (value, rest))
    }

    /// IA5String without control characters.
    fn text(self) -> Option<String> {
        let is_good = (1..=limits::CALLER_TEXT).contains(&self.0.len()) && self.0.iter().all(u8::is_ascii_graphic);
        is_good.then(|| String::from_utf8_lossy(self.0).into_owned())
    }

    /// A positive INTEGER below 2^63.
    fn unsigned(self) -> Option<u64> {
        let is_good = (1..=8).contains(&self.0.len()) && self.0.first().is_some_and(|byte| *byte < 0x80);
        is_good.then(|| self.0.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read() {
        let list = [
            0x30, 0x2a, 0xa0, 0x06, 0x16, 0x04, b'1', b'2', b'3', b'A', 0xa1, 0x12, 0x30, 0x10, 0x16, 0x0b, b'1', b'2',
            b'0', b'2', b'5', b'5', b'5', b'0', b'1', b'0', b'0', 0x02, 0x01, 0x64, 0xa2, 0x0c, 0x16, 0x0a, b'4', b'4',
            b'2', b'0', b'7', b'9', b'4', b'6', b'0', b'0',
        ];
        let found = Authority::read(Der(&list)).unwrap();
        assert_eq!(found.shown(), ["spc:123A", "tn:+12025550100/100", "tn:+4420794600"]);
        let ranges = Authority(found.0[1..].to_vec());
        for (number, is_covered) in
            [("12025550100", true), ("12025550199", true), ("12025550200", false), ("4420794600", true), ("x", false)]
        {
            assert_eq!(ranges.covers(number), is_covered, "{number}");
            assert!(found.covers(number), "a provider's certificate");
        }
        assert_eq!(Authority::read(Der(&[0x30, 0x00])), None);
        assert_eq!(Authority::read(Der(&[0x30, 0x02, 0xa5, 0x00])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Authority::of(&bytes);
            let _ = Authority::read(Der(&bytes));
            let _ = read_pem(&bytes);
        }
    }
}
