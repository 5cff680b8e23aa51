//! Ed25519 (RFC 8032) of what we vouch for, with keys in the forms that `openssl` reads: PKCS#8 and SubjectPublicKeyInfo
//! in PEM (RFC 8410).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _};

/// DER in front of the 32 bytes of a private key (RFC 8410 §7).
const PRIVATE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// DER in front of the 32 bytes of a public key (RFC 8410 §4).
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// What signs. `Debug` shows its public half.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// What signatures are checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

/// A text that is no key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("is not an Ed25519 key: `-----BEGIN PRIVATE KEY-----` (PKCS#8) is wanted")]
    Private,
    #[error("is not an Ed25519 public key: `-----BEGIN PUBLIC KEY-----`, or its 32 bytes in base64, is wanted")]
    Public,
}

impl SigningKey {
    /// From 32 random bytes.
    pub fn from_seed(seed: [u8; 32]) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Reads PEM.
    pub fn parse(text: &str) -> Result<SigningKey, BadKey> {
        let der = pem(text, "PRIVATE KEY").ok_or(BadKey::Private)?;
        let seed = der.strip_prefix(&PRIVATE).and_then(|rest| <[u8; 32]>::try_from(rest).ok());
        seed.map(SigningKey::from_seed).ok_or(BadKey::Private)
    }

    pub fn to_pem(&self) -> String {
        armour("PRIVATE KEY", &[&PRIVATE[..], &self.0.to_bytes()].concat())
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature in base64.
    pub fn sign(&self, text: &[u8]) -> String {
        STANDARD.encode(self.0.sign(text).to_bytes())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public().to_base64()).finish()
    }
}

impl PublicKey {
    /// Reads PEM, or the 32 bytes in base64.
    pub fn parse(text: &str) -> Result<PublicKey, BadKey> {
        let bytes = match pem(text, "PUBLIC KEY") {
            Some(der) => der.strip_prefix(&PUBLIC).map(<[u8]>::to_vec),
            None => STANDARD.decode(text.trim()).ok(),
        };
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or(BadKey::Public)?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map(PublicKey).map_err(|_| BadKey::Public)
    }

    pub fn to_pem(&self) -> String {
        armour("PUBLIC KEY", &[&PUBLIC[..], self.0.as_bytes()].concat())
    }

    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    /// Is this text's signature (in base64) this key's? Keys and signatures of small order are refused.
    pub fn has_signed(&self, text: &[u8], signature: &str) -> bool {
        let bytes = STANDARD.decode(signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        bytes.is_some_and(|bytes| self.0.verify_strict(text, &Signature::from_bytes(&bytes)).is_ok())
    }
}

fn armour(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let inside =
        text.split(&format!("-----BEGIN {label}-----")).nth(1)?.split(&format!("-----END {label}-----")).next()?;
    STANDARD.decode(inside.split_ascii_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, tests 1 and 3.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        for (seed, public, text, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                concat!(
                    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
                ),
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                concat!(
                    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
                    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
                ),
            ),
        ] {
            let key = SigningKey::from_seed(bytes(seed).try_into().unwrap());
            assert_eq!(key.public().to_base64(), STANDARD.encode(bytes(public)));
            let signed = key.sign(&bytes(text));
            assert_eq!(signed, STANDARD.encode(bytes(signature)));
            assert!(key.public().has_signed(&bytes(text), &signed));
            assert!(!key.public().has_signed(b"another text", &signed));
        }
    }

    #[test]
    fn keys_read_back_and_others_are_refused() {
        let key = SigningKey::from_seed([7; 32]);
        assert_eq!(SigningKey::parse(&key.to_pem()).unwrap().public(), key.public());
        assert_eq!(PublicKey::parse(&key.public().to_pem()), Ok(key.public()));
        assert_eq!(PublicKey::parse(&format!(" {}\n", key.public().to_base64())), Ok(key.public()));
        assert!(!format!("{key:?}").contains(&STANDARD.encode([7; 32])), "a key is never printed");
        for bad in
            ["", "text", "AAAA", &key.public().to_pem(), "-----BEGIN PRIVATE KEY-----\n%\n-----END PRIVATE KEY-----"]
        {
            assert_eq!(SigningKey::parse(bad).unwrap_err(), BadKey::Private, "{bad}");
        }
        for bad in ["", "text", "AAAA", &key.to_pem(), &"A".repeat(10_000)] {
            assert_eq!(PublicKey::parse(bad).unwrap_err(), BadKey::Public, "{bad}");
        }
        for bad in ["", "AAAA", "%", &"A".repeat(88)] {
            assert!(!key.public().has_signed(b"", bad));
        }
    }
}
