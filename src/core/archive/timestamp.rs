//! Time stamps of RFC 3161: the question, and what an answer proves. No clock and no socket: a stamp is checked at the
//! time that it names itself, so it is good for as long as the algorithms are, also when the authority's certificate has
//! run out since.
//!
//! Checked are, in this order: the authority granted it; what it signed is a `TSTInfo` whose imprint is ours (SHA-256)
//! and whose nonce, when we know it, is ours; the signature over the signed attributes, which name the digest of the
//! `TSTInfo` (RFC 5652 §5.4) and the certificate that signed (RFC 5035, when that attribute is there); the certificate's
//! only purpose is time-stamping, marked critical (RFC 3161 §2.3); and, against given roots, its chain. RSA of 2048 bits
//! and more (PKCS #1 v1.5) and ECDSA on P-256 and P-384, with SHA-256, SHA-384 and SHA-512.

use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignerIdentifier, SignerInfo};
use der::asn1::{Int, Null, ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode as _, Encode as _, Sequence, Tag, Tagged as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectKeyIdentifier};
use x509_cert::spki::AlgorithmIdentifier;
use x509_tsp::{Accuracy, MessageImprint, TimeStampReq, TimeStampResp, TspVersion};

use super::merkle::hex;
use crate::time::Wall;

/// An answer is read up to so many bytes; one with a long chain has ten thousand.
pub const RESPONSE_MAX: usize = 64 * 1024;

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// The same without tag and length.
const TIME_STAMPING_DER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// Certificates that are believed: roots, or the authority's own.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<CertificateDer<'static>>);

/// What an answer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When the authority saw the text.
    pub at: Wall,
    /// Subject of its certificate.
    pub by: String,
    /// Its serial number of this stamp, in hexadecimal.
    pub serial: String,
    /// The certificate leads to one of the roots.
    pub is_trusted: bool,
}

/// Why an answer proves nothing. The text is a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("timestamp_unreadable")]
    Unreadable,
    /// The authority did not want to.
    #[error("timestamp_refused")]
    Refused,
    /// It is the stamp of another text.
    #[error("timestamp_of_another_text")]
    WrongImprint,
    #[error("timestamp_wrong_nonce")]
    WrongNonce,
    /// Nothing in the answer or among the roots is the signer's.
    #[error("timestamp_no_certificate")]
    NoCertificate,
    #[error("timestamp_wrong_signature")]
    WrongSignature,
    /// The certificate is for something else, or for more than this.
    #[error("timestamp_wrong_purpose")]
    WrongPurpose,
    /// It leads to none of the roots.
    #[error("timestamp_untrusted")]
    Untrusted,
}

/// RFC 5652 §5.1, with certificates left as they are: what was signed are their bytes.
#[derive(Sequence)]
struct SignedData {
    version: CmsVersion,
    digest_algorithms: SetOfVec<Any>,
    encap_content_info: EncapsulatedContentInfo,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    certificates: Option<SetOfVec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    crls: Option<SetOfVec<Any>>,
    signer_infos: SetOfVec<SignerInfo>,
}

/// RFC 3161 §2.4.2, with a time that may have fractions of a second.
#[derive(Sequence)]
struct TstInfo {
    version: TspVersion,
    policy: ObjectIdentifier,
    message_imprint: MessageImprint,
    serial_number: Int,
    gen_time: Any,
    #[asn1(optional = "true")]
    accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    ordering: bool,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    tsa: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    extensions: Option<Vec<Any>>,
}

impl Roots {
    /// Reads the certificates of a PEM text; `None`: there is none, or one that cannot be read.
    pub fn parse(pem: &[u8]) -> Option<Roots> {
        let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
        let readable = all.iter().all(|der| Certificate::from_der(der).is_ok());
        (readable && !all.is_empty()).then_some(Roots(all))
    }
}

/// A question for a time stamp of `text`, in DER: SHA-256, with a nonce, and with the wish for the certificate.
pub fn request(text: &[u8], nonce: [u8; 8]) -> Option<Vec<u8>> {
    let request = TimeStampReq {
        version: TspVersion::V1,
        message_imprint: MessageImprint {
            hash_algorithm: AlgorithmIdentifier { oid: SHA_256, parameters: Some(Null.into()) },
            hashed_message: OctetString::new(&Sha256::digest(text)[..]).ok()?,
        },
        req_policy: None,
        nonce: Some(Int::new(&positive(nonce)).ok()?),
        cert_req: true,
        extensions: None,
    };
    request.to_der().ok()
}

/// As an INTEGER of DER that is neither negative nor shorter.
fn positive(mut nonce: [u8; 8]) -> [u8; 8] {
    nonce[0] = nonce[0] & 0x7f | 0x40;
    nonce
}

/// What the answer (TimeStampResp, DER) proves of `text`. `nonce`: the question's, while it is known. `roots`: whose word
/// counts; without them the certificate is taken as it is, and the stamp says that it is not trusted.
pub fn check(response: &[u8], text: &[u8], nonce: Option<[u8; 8]>, roots: Option<&Roots>) -> Result<Stamp, Bad> {
    let unreadable = |_: der::Error| Bad::Unreadable;
    let response = TimeStampResp::from_der(response).map_err(unreadable)?;
    // PKIStatus: granted, and granted with modifications (RFC 3161 §2.4.2).
    if response.status.status as u8 > 1 {
        return Err(Bad::Refused);
    }
    let token: ContentInfo = response.time_stamp_token.ok_or(Bad::Refused)?;
    if token.content_type != SIGNED_DATA {
        return Err(Bad::Unreadable);
    }
    let signed: SignedData = token.content.decode_as().map_err(unreadable)?;
    let content = signed.encap_content_info.econtent.as_ref().ok_or(Bad::Unreadable)?;
    if signed.encap_content_info.econtent_type != TST_INFO || content.tag() != Tag::OctetString {
        return Err(Bad::Unreadable);
    }
    let info = TstInfo::from_der(content.value()).map_err(unreadable)?;
    let imprint = &info.message_imprint;
    if imprint.hash_algorithm.oid != SHA_256 || imprint.hashed_message.as_bytes() != &Sha256::digest(text)[..] {
        return Err(Bad::WrongImprint);
    }
    if nonce.is_some_and(|nonce| info.nonce.as_ref().is_none_or(|said| said.as_bytes() != positive(nonce))) {
        return Err(Bad::WrongNonce);
    }
    let at = time(&info.gen_time).ok_or(Bad::Unreadable)?;
    // One signature and no other (RFC 3161 §2.4.2).
    let [signer] = signed.signer_infos.as_slice() else { return Err(Bad::Unreadable) };
    let enclosed = signed.certificates.iter().flat_map(SetOfVec::iter).filter_map(|any| any.to_der().ok());
    let enclosed: Vec<CertificateDer<'_>> = enclosed.map(CertificateDer::from).collect();
    let given = roots.map_or(&[][..], |roots| &roots.0);
    let own = enclosed.iter().chain(given).find_map(|der| {
        let certificate = Certificate::from_der(der).ok()?;
        is_of(&certificate, &signer.sid).then_some((der, certificate))
    });
    let (der, certificate) = own.ok_or(Bad::NoCertificate)?;
    signature(signer, content.value(), der)?;
    purpose(&certificate)?;
    let is_trusted = match roots {
        Some(roots) => chain(der, &enclosed, roots, at).map(|()| true)?,
        None => false,
    };
    let by = certificate.tbs_certificate.subject.to_string();
    Ok(Stamp { at, by, serial: hex(info.serial_number.as_bytes()), is_trusted })
}

/// `YYYYMMDDhhmmss[.f…]Z` (RFC 3161 §2.4.2).
fn time(any: &Any) -> Option<Wall> {
    if any.tag() != Tag::GeneralizedTime {
        return None;
    }
    let text = std::str::from_utf8(any.value()).ok()?;
    let part = |from: usize, to: usize| text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let (day, clock) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    let rest = text.get(14..)?;
    let fraction = rest.strip_suffix('Z')?;
    let is_fraction = |text: &str| text.len() > 1 && text.bytes().all(|b| b.is_ascii_digit());
    if !(fraction.is_empty() || fraction.starts_with('.') && is_fraction(&fraction[1..]) || fraction.len() == 2) {
        return None;
    }
    let fraction = fraction.get(..fraction.len().min(7))?;
    Wall::parse_rfc3339(&format!("{}-{}-{}T{}:{}:{}{fraction}Z", day.0, day.1, day.2, clock.0, clock.1, clock.2))
}

fn is_of(certificate: &Certificate, sid: &SignerIdentifier) -> bool {
    let body = &certificate.tbs_certificate;
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(said) => {
            said.issuer == body.issuer && said.serial_number == body.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(said) => {
            body.get::<SubjectKeyIdentifier>().is_ok_and(|own| own.is_some_and(|(_, own)| own == *said))
        }
    }
}

/// The signature over the signed attributes, and what they say of the content.
fn signature(signer: &SignerInfo, content: &[u8], der: &CertificateDer<'_>) -> Result<(), Bad> {
    let (digest, algorithms): (Vec<u8>, &[&dyn SignatureVerificationAlgorithm]) = match signer.digest_alg.oid {
        SHA_256 => (
            Sha256::digest(content).to_vec(),
            &[ring::RSA_PKCS1_2048_8192_SHA256, ring::ECDSA_P256_SHA256, ring::ECDSA_P384_SHA256],
        ),
        SHA_384 => (
            Sha384::digest(content).to_vec(),
            &[ring::RSA_PKCS1_2048_8192_SHA384, ring::ECDSA_P256_SHA384, ring::ECDSA_P384_SHA384],
        ),
        SHA_512 => (Sha512::digest(content).to_vec(), &[ring::RSA_PKCS1_2048_8192_SHA512]),
        _ => return Err(Bad::WrongSignature),
    };
    let attributes = signer.signed_attrs.as_ref().ok_or(Bad::WrongSignature)?;
    let the = |oid: ObjectIdentifier| {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
        match (found.next(), found.next()) {
            (Some(one), None) if one.values.len() == 1 => one.values.get(0),
            _ => None,
        }
    };
    let of_kind = the(CONTENT_TYPE).and_then(|value| value.decode_as::<ObjectIdentifier>().ok()) == Some(TST_INFO);
    let of_content = the(MESSAGE_DIGEST).is_some_and(|v| v.tag() == Tag::OctetString && v.value() == digest);
    let of_certificate = the(SIGNING_CERTIFICATE_V2).is_none_or(|value| names(value, der));
    if !(of_kind && of_content && of_certificate) {
        return Err(Bad::WrongSignature);
    }
    // As a SET OF, not with the tag that it has in its place (RFC 5652 §5.4).
    let signed = attributes.to_der().map_err(|_| Bad::Unreadable)?;
    let key = EndEntityCert::try_from(der).map_err(|_| Bad::NoCertificate)?;
    let good = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        key.verify_signature(*algorithm, &signed, signer.signature.as_bytes()).is_ok()
    };
    if algorithms.iter().any(good) { Ok(()) } else { Err(Bad::WrongSignature) }
}

/// Is the first certificate that a `SigningCertificateV2` (RFC 5035 §3) names this one? Another hash than SHA-256 is not
/// looked at: the signature itself says whose it is.
fn names(value: &Any, der: &CertificateDer<'_>) -> bool {
    let first = |any: &Any| any.decode_as::<Vec<Any>>().ok().and_then(|all| all.into_iter().next());
    let Some(id) = first(value).as_ref().and_then(first) else { return false };
    let Ok(fields) = id.decode_as::<Vec<Any>>() else { return false };
    match fields.first() {
        // Without an algorithm it is SHA-256.
        Some(hash) if hash.tag() == Tag::OctetString => hash.value() == &Sha256::digest(der)[..],
        Some(algorithm) => {
            let is_sha256 = algorithm.decode_as::<AlgorithmIdentifier<Any>>().is_ok_and(|a| a.oid == SHA_256);
            !is_sha256 || fields.get(1).is_some_and(|hash| hash.value() == &Sha256::digest(der)[..])
        }
        None => false,
    }
}

fn purpose(certificate: &Certificate) -> Result<(), Bad> {
    match certificate.tbs_certificate.get::<ExtendedKeyUsage>() {
        Ok(Some((true, usage))) if usage.0 == [TIME_STAMPING] => Ok(()),
        _ => Err(Bad::WrongPurpose),
    }
}

/// From the authority's certificate to a root, at the time of the stamp. A certificate that is given itself needs none.
fn chain(der: &CertificateDer<'_>, enclosed: &[CertificateDer<'_>], roots: &Roots, at: Wall) -> Result<(), Bad> {
    if roots.0.iter().any(|root| root == der) {
        return Ok(());
    }
    let anchors: Vec<TrustAnchor<'_>> = roots.0.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let own = EndEntityCert::try_from(der).map_err(|_| Bad::NoCertificate)?;
    let seconds = u64::try_from(at.0 / 1_000_000).map_err(|_| Bad::Unreadable)?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    // Those in between may come with the answer, or with the roots.
    let between: Vec<CertificateDer<'_>> = enclosed.iter().chain(&roots.0).cloned().collect();
    let usage = KeyUsage::required(TIME_STAMPING_DER);
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let led = own.verify_for_usage(algorithms, &anchors, &between, time, usage, None, None);
    led.map(drop).map_err(|_| Bad::Untrusted)
}

#[cfg(test)]
mod tests;
