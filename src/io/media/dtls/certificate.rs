//! What we show in handshakes: a certificate whose fingerprint stands in SDP. Nobody's authority vouches for it, and
//! nobody asks one (RFC 5763 §5).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dimpl::{Config, DtlsCertificate};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

use crate::config::DtlsIdentity;
use crate::wire::sdp::Fingerprint;

/// A lost packet of a handshake is repeated after so long: a call waits for it (RFC 9147 §5.8.2).
const REPEAT: Duration = Duration::from_millis(400);
/// Largest datagram of ours: what every path carries.
const MTU: usize = 1_200;

/// Certificate, key and manner of all handshakes of this process.
pub(crate) struct Identity {
    pub(super) pair: DtlsCertificate,
    pub(super) settings: Arc<Config>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// The one that is configured; else a new one. Errors: the system has no randomness; the configured one is none that
    /// the handshake could use.
    pub(in crate::io::media) fn new(configured: Option<&DtlsIdentity>) -> io::Result<Identity> {
        let pair = match configured {
            Some(DtlsIdentity { certificate_der, key_der, .. }) => {
                DtlsCertificate { certificate: certificate_der.clone(), private_key: key_der.clone() }
            }
            None => self_signed().map_err(|_| io::Error::other("no certificate could be made for media"))?,
        };
        // ICE has proved the address of whoever speaks: a cookie would prove it again, for one more round trip.
        let settings = Config::builder().use_server_cookie(false).flight_start_rto(REPEAT).mtu(MTU).build();
        let settings = settings.map_err(|error| io::Error::other(format!("DTLS of media: {error}")))?;
        let key = settings.crypto_provider().key_provider.load_private_key(&pair.private_key);
        key.map_err(|_| io::Error::other("DTLS of media: the key of the configured certificate cannot be used"))?;
        let fingerprint = fingerprint(&pair.certificate);
        Ok(Identity { pair, settings: Arc::new(settings), fingerprint })
    }

    pub(in crate::io::media) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Of a certificate in DER.
pub(super) fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// An X.509 certificate of a new P-256 key that it signs itself, without a name that would say anything.
fn self_signed() -> Result<DtlsCertificate, ring::error::Unspecified> {
    const SEQUENCE: u8 = 0x30;
    const ECDSA_WITH_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    const EC_P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    /// `CN=media`.
    const NAME: &[u8] = b"\x30\x10\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\x05media";
    /// Its readers compare fingerprints and do not look at the time.
    const VALIDITY: &[u8] = b"\x30\x1e\x17\x0d250101000000Z\x17\x0d491231235959Z";
    const VERSION_3: &[u8] = b"\xa0\x03\x02\x01\x02";
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
        .map_err(|_| ring::error::Unspecified)?;
    // Firefox wants a serial number that no other certificate of anybody has. A positive number of its full length.
    let mut serial = [0; 16];
    random.fill(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    let bits = |bytes: &[u8]| der(0x03, &[&[0], bytes]);
    let public = der(SEQUENCE, &[EC_P256, &bits(pair.public_key().as_ref())]);
    let body = der(SEQUENCE, &[VERSION_3, &der(0x02, &[&serial]), ECDSA_WITH_SHA256, NAME, VALIDITY, NAME, &public]);
    let signature = pair.sign(&random, &body)?;
    let certificate = der(SEQUENCE, &[&body, ECDSA_WITH_SHA256, &bits(signature.as_ref())]);
    Ok(DtlsCertificate { certificate, private_key: key.as_ref().to_vec() })
}

/// A value of ASN.1 with its tag and length; at most 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let [.., high, low] = length.to_be_bytes();
    let head: &[u8] = match length {
        0..128 => &[tag, low],
        128..256 => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, &content].concat()
}

#[cfg(test)]
mod tests {
    use x509_cert::der::Decode as _;

    use super::*;

    #[test]
    fn a_certificate_of_ours_is_read_by_others() {
        let [one, other] = [(); 2].map(|()| Identity::new(None).expect("randomness"));
        assert_ne!(one.fingerprint(), other.fingerprint());
        let read = x509_cert::Certificate::from_der(&one.pair.certificate).expect("X.509");
        assert_eq!(read.tbs_certificate.subject.to_string(), "CN=media");
        assert_eq!(read.tbs_certificate.issuer, read.tbs_certificate.subject);
        let anchor =
            webpki::anchor_from_trusted_cert(&one.pair.certificate[..].into()).map(|anchor| anchor.subject.len());
        assert!(anchor.is_ok_and(|length| length > 0));
        // It signs itself.
        let spki = read.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes().to_vec();
        let body = x509_cert::der::Encode::to_der(&read.tbs_certificate).expect("DER");
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, spki);
        key.verify(&body, read.signature.raw_bytes()).expect("its own signature");
    }
}
