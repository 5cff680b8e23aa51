//! `[media.dtls]`: the certificate that handshakes of media show, when it is not to be made anew at every start.

use std::fmt;
use std::path::PathBuf;

use rustls::SignatureScheme;

use super::tls::{self, Identity};

/// A certificate with its key, both as bytes. Its text form has no key.
#[derive(Clone)]
pub struct DtlsIdentity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// X.509 in DER.
    pub certificate_der: Vec<u8>,
    /// PKCS #8 or SEC 1 in DER.
    pub key_der: Vec<u8>,
}

impl DtlsIdentity {
    /// Reads both files. `now`: seconds since the epoch.
    ///
    /// # Errors
    /// A sentence: what is wrong with a pair of `[sip.tls]`, or a key that is not ECDSA over P-256.
    pub(super) fn read(certificate: PathBuf, key: PathBuf, now: i64) -> Result<DtlsIdentity, String> {
        let Identity { certificate, key, pair } = Identity::read(certificate, key, now)?;
        if pair.key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).is_none() {
            return Err(format!(
                "{} is no key of ECDSA over P-256, which is what browsers make and expect; make one with \
                 `openssl ecparam -name prime256v1 -genkey`",
                key.display()
            ));
        }
        let certificate_der = pair.cert.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
        let key_der = tls::private_key(&key)?.secret_der().to_vec();
        Ok(DtlsIdentity { certificate, key, certificate_der, key_der })
    }
}

impl fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DtlsIdentity({})", self.certificate.display())
    }
}
