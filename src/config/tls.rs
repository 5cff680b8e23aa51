//! `[sip.tls]`: certificate, key and whom to believe. The files are read with the configuration, so that a bad one is
//! found by `leaseline check` and refused on reload, not by the first call.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::limits;

/// TLS of all listeners and of the connections that we open.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Our certificate; needed by `tls://` and `wss://` listeners, and shown to whoever asks when we connect.
    pub identity: Option<Identity>,
    /// Whose certificates are believed; none: the system's roots.
    pub ca: Option<Authorities>,
    pub client_certificates: ClientCertificates,
    pub min_version: MinVersion,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub pair: Arc<CertifiedKey>,
}

/// Certificates of authorities.
#[derive(Clone, Debug)]
pub struct Authorities {
    pub file: PathBuf,
    pub certificates: Vec<CertificateDer<'static>>,
}

/// What is asked of those who connect to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nobody is asked.
    Off,
    /// Everybody is asked; who has none comes in as the address that it is.
    Optional,
    /// Without one there is no connection.
    Required,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    Tls12,
    Tls13,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls { identity: None, ca: None, client_certificates: ClientCertificates::Off, min_version: MinVersion::Tls12 }
    }
}

impl Tls {
    /// Reads these files: certificate and key, and authorities.
    ///
    /// # Errors
    /// A sentence: unreadable, nothing in it, a pair that does not fit, not valid now.
    pub fn of_files(identity: Option<(PathBuf, PathBuf)>, ca: Option<PathBuf>) -> Result<Tls, String> {
        let now = jiff::Timestamp::now().as_second();
        let identity = identity.map(|(certificate, key)| Identity::read(certificate, key, now)).transpose()?;
        Ok(Tls { identity, ca: ca.map(Authorities::read).transpose()?, ..Tls::default() })
    }
}

impl Identity {
    /// Reads both files. `now`: seconds since the epoch.
    ///
    /// # Errors
    /// A sentence: unreadable, nothing in it, a pair that does not fit, not valid now.
    pub(super) fn read(certificate: PathBuf, key: PathBuf, now: i64) -> Result<Identity, String> {
        let chain = certificates(&certificate)?;
        let shown = certificate.display();
        let leaf = chain.first().ok_or_else(|| format!("{shown} has no certificate in it"))?;
        let (from, until) = validity(leaf).ok_or_else(|| format!("{shown} holds no X.509 certificate"))?;
        if now >= until {
            return Err(format!("{shown} has expired on {}; renew it", date(until)));
        }
        if now < from {
            return Err(format!("{shown} is valid from {} on, not yet", date(from)));
        }
        let secret = private_key(&key)?;
        let provider = rustls::crypto::ring::default_provider();
        let pair = CertifiedKey::from_der(chain, secret, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("{} is not the key of {shown}; name the key that the certificate was made for", key.display())
            }
            error => format!("{shown} and {} cannot be used: {error}", key.display()),
        })?;
        Ok(Identity { certificate, key, pair: Arc::new(pair) })
    }
}

impl Authorities {
    pub(super) fn read(file: PathBuf) -> Result<Authorities, String> {
        let certificates = certificates(&file)?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.map_err(|error| format!("{} holds what is no authority's certificate: {error}", file.display()))?;
        }
        Ok(Authorities { file, certificates })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| format!("{shown} is not PEM: {error}"))?;
    if found.is_empty() {
        return Err(format!("{shown} has no certificate in it; it must hold `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(found)
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| {
        format!("{shown} has no private key in it; it must hold `-----BEGIN PRIVATE KEY-----`, unencrypted")
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot open {shown}: {error}"))?;
    let mut bytes = Vec::new();
    let limit = limits::TLS_FILE;
    let read = file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if read as u64 > limit {
        return Err(format!("{shown} has more than {limit} bytes; that is no certificate"));
    }
    Ok(bytes)
}

fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "an unreadable date".to_owned(), |at| at.to_string())
}

/// `notBefore` and `notAfter` in seconds since the epoch (RFC 5280 §4.1.2.5).
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let mut outer = Der(certificate).open(SEQUENCE)?;
    let mut body = outer.open(SEQUENCE)?;
    if body.0.first() == Some(&VERSION) {
        body.next()?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        body.next()?;
    }
    let mut validity = body.open(SEQUENCE)?;
    Some((time(validity.next()?)?, time(validity.next()?)?))
}

/// DER values one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Tag and content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ 0..0x80 => (short, rest),
            long => {
                let count = long - 0x80;
                let (bytes, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    fn open(&mut self, tag: u8) -> Option<Der<'a>> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| Der(content))
    }
}

/// UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (`YYYYMMDDHHMMSSZ`).
fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(if tag == 0x17 { 2 } else { 4 })?;
    let year: i16 = year.parse().ok()?;
    let year = match tag {
        0x17 if year < 50 => 2000 + year,
        0x17 => 1900 + year,
        _ => year,
    };
    let pair = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let at = jiff::civil::DateTime::new(year, pair(0)?, pair(2)?, pair(4)?, pair(6)?, pair(8)?, 0).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        dir: tempfile::TempDir,
    }

    impl Files {
        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    fn files() -> Files {
        Files { dir: tempfile::tempdir().unwrap() }
    }

    const NOW: i64 = 1_790_000_000;

    fn made(from: i32, until: i32) -> (String, String) {
        let mut params = rcgen::CertificateParams::new(vec!["sip.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 2);
        params.not_after = rcgen::date_time_ymd(until, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn dates_of_both_kinds_are_read() {
        let cases = [(2020, 2040, (1_577_923_200, 2_214_432_000)), (2049, 2051, (2_493_158_400, 2_561_500_800))];
        for (from, until, seconds) in cases {
            let mut params = rcgen::CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(from, 1, 2);
            params.not_after = rcgen::date_time_ymd(until, 3, 4);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(validity(certificate.der()), Some(seconds));
        }
        let (pem, _) = made(2020, 2040);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        for cut in 0..der.len() {
            // Whatever is missing: no panic.
            let _ = validity(&der[..cut]);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let files = files();
        let (good, key) = made(2020, 2040);
        let (old, old_key) = made(2020, 2021);
        let (early, early_key) = made(2035, 2040);
        let at = |name: &str, text: &str| files.write(name, text);
        let cases = [
            (files.dir.path().join("none.pem"), at("a.key", &key), "cannot open"),
            (at("b.pem", "no PEM at all"), at("b.key", &key), "no certificate in it"),
            (at("c.pem", &good), files.dir.path().join("none.key"), "cannot open"),
            (at("d.pem", &good), at("d.key", &good), "no private key in it"),
            (at("e.pem", &good), at("e.key", &old_key), "is not the key of"),
            (at("f.pem", &old), at("f.key", &old_key), "has expired on 2021-03-04"),
            (at("g.pem", &early), at("g.key", &early_key), "is valid from 2035-01-02"),
            (at("h.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), at("h.key", &key), "X.509"),
        ];
        for (certificate, key, words) in cases {
            let said = Identity::read(certificate, key, NOW).unwrap_err();
            assert!(said.contains(words), "{said} / {words}");
        }
        Identity::read(at("z.pem", &good), at("z.key", &key), NOW).unwrap();
    }
}
