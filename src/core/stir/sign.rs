//! PASSporTs of our own: `shaken` (RFC 8588) for a call that nobody vouched for, `div` (RFC 8946) for one that we send
//! on. Signatures are deterministic (RFC 6979), so a replay gives the same bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};

use super::{digits, passport};
use crate::ids::CallId;
use crate::time::Wall;

/// How sure we are of the caller (RFC 8588 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attest {
    /// Our customer, and their number.
    Full,
    /// Our customer; the number is not known to be theirs.
    Partial,
    /// We only pass the call on.
    Gateway,
}

impl Attest {
    pub const fn as_str(self) -> &'static str {
        match self {
            Attest::Full => "A",
            Attest::Partial => "B",
            Attest::Gateway => "C",
        }
    }
}

/// A key, and where its certificate stands.
pub struct Signer {
    key: SigningKey,
    certificate_url: String,
    /// For calls that nobody vouched for; `None`: those go out unsigned.
    attest: Option<Attest>,
}

impl fmt::Debug for Signer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("certificate_url", &self.certificate_url).field("attest", &self.attest).finish()
    }
}

impl Signer {
    /// `pem`: a P-256 key, PKCS #8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`).
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the key.
    pub fn new(pem: &str, certificate_url: &str, attest: Option<Attest>) -> Result<Signer, String> {
        let sec1 = || p256::SecretKey::from_sec1_pem(pem).ok().map(SigningKey::from);
        let key = SigningKey::from_pkcs8_pem(pem).ok().or_else(sec1);
        let key = key.ok_or("holds no private key on the curve P-256 in PEM")?;
        Ok(Signer { key, certificate_url: certificate_url.to_owned(), attest })
    }

    pub fn attest(&self) -> Option<Attest> {
        self.attest
    }

    pub fn certificate_url(&self) -> &str {
        &self.certificate_url
    }

    /// Identity value for a call of `caller` to `dest` (number or URI); `None` when nothing is attested or the caller
    /// has no number.
    pub fn shaken(&self, call: CallId, caller: &str, dest: &str, now: Wall) -> Option<String> {
        let claims = json!({
            "attest": self.attest?.as_str(),
            "dest": destination(dest),
            "iat": now.0 / 1_000_000,
            "orig": { "tn": digits(caller)? },
            "origid": origid(call),
        });
        Some(self.sign("shaken", &claims))
    }

    /// Identity value for a call of `caller` that was dialled to `from` and goes on to `dest`.
    pub fn div(&self, caller: &str, from: &str, dest: &str, now: Wall) -> Option<String> {
        let claims = json!({
            "dest": destination(dest),
            "div": { "tn": digits(from)? },
            "iat": now.0 / 1_000_000,
            "orig": { "tn": digits(caller)? },
        });
        Some(self.sign("div", &claims))
    }

    /// The base form of RFC 8225, whose claims the message shows.
    #[cfg(test)]
    pub(super) fn base(&self, caller: &str, dest: &str, now: Wall) -> String {
        let header = json!({ "alg": "ES256", "typ": "passport", "x5u": self.certificate_url });
        let claims = json!({
            "dest": destination(dest),
            "iat": now.0 / 1_000_000,
            "orig": { "tn": digits(caller).unwrap_or_default() },
        });
        let input = passport::signing_input(&header, &claims);
        let signature: Signature = self.key.sign(input.as_bytes());
        format!("{input}.{};info=<{}>;alg=ES256", URL_SAFE_NO_PAD.encode(signature.to_bytes()), self.certificate_url)
    }

    fn sign(&self, ppt: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "ppt": ppt, "typ": "passport", "x5u": self.certificate_url });
        let input = passport::signing_input(&header, claims);
        let signature: Signature = self.key.sign(input.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        format!("{input}.{signature};info=<{}>;alg=ES256;ppt=\"{ppt}\"", self.certificate_url)
    }
}

fn destination(dest: &str) -> Value {
    match digits(dest) {
        Some(tn) => json!({ "tn": [tn] }),
        None => json!({ "uri": [dest] }),
    }
}

/// RFC 8588 §5: a UUID of the call's origin; one of version 8 (RFC 9562 §5.8) made from the call's id.
fn origid(call: CallId) -> String {
    let id = call.0 & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{id:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
