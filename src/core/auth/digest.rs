//! The arithmetic of Digest (RFC 7616 §3.4), the same for both roles.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Sha256, Sha512_256};

/// A hash function. The order is that of strength (RFC 8760 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    Md5,
    Sha512_256,
    Sha256,
}

/// The `algorithm` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Algorithm {
    pub hash: Hash,
    /// `-sess`: the key is bound to the first nonces of both sides.
    pub session: bool,
}

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// RFC 2069: no count, no client nonce.
    None,
    Auth,
    /// The body is protected too.
    AuthInt,
}

/// What a response is made from, beside the key.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub method: &'a str,
    /// `uri` of the credentials: the Request-URI.
    pub uri: &'a str,
    pub body: &'a [u8],
    pub nonce: &'a str,
    /// Eight hexadecimal digits.
    pub nc: &'a str,
    pub cnonce: &'a str,
    pub qop: Qop,
}

impl Hash {
    /// The strongest first.
    pub const ALL: [Hash; 3] = [Hash::Sha256, Hash::Sha512_256, Hash::Md5];

    /// Hash of the parts joined with `:`, in lower case hexadecimal digits.
    pub fn of(self, parts: &[&[u8]]) -> String {
        match self {
            Hash::Md5 => joined::<Md5>(parts),
            Hash::Sha256 => joined::<Sha256>(parts),
            Hash::Sha512_256 => joined::<Sha512_256>(parts),
        }
    }
}

impl Algorithm {
    /// As the parameter writes it; case does not matter (RFC 8760 §2.2). `None` for what we do not know.
    pub fn parse(text: &str) -> Option<Algorithm> {
        let upper = text.to_ascii_uppercase();
        let (name, session) = upper.strip_suffix("-SESS").map_or((&*upper, false), |name| (name, true));
        let hash = match name {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            "SHA-512-256" => Hash::Sha512_256,
            _ => return None,
        };
        Some(Algorithm { hash, session })
    }

    pub fn name(self) -> &'static str {
        match (self.hash, self.session) {
            (Hash::Md5, false) => "MD5",
            (Hash::Md5, true) => "MD5-sess",
            (Hash::Sha256, false) => "SHA-256",
            (Hash::Sha256, true) => "SHA-256-sess",
            (Hash::Sha512_256, false) => "SHA-512-256",
            (Hash::Sha512_256, true) => "SHA-512-256-sess",
        }
    }

    /// The key: H(A1).
    pub fn key(self, user: &str, realm: &str, secret: &str, nonce: &str, cnonce: &str) -> String {
        let key = self.hash.of(&[user.as_bytes(), realm.as_bytes(), secret.as_bytes()]);
        if self.session { self.hash.of(&[key.as_bytes(), nonce.as_bytes(), cnonce.as_bytes()]) } else { key }
    }

    /// The `response` parameter.
    pub fn response(self, key: &str, signed: &Signed<'_>) -> String {
        let (method, uri) = (signed.method.as_bytes(), signed.uri.as_bytes());
        let a2 = match signed.qop {
            Qop::AuthInt => self.hash.of(&[method, uri, self.hash.of(&[signed.body]).as_bytes()]),
            Qop::Auth | Qop::None => self.hash.of(&[method, uri]),
        };
        let (key, nonce, a2) = (key.as_bytes(), signed.nonce.as_bytes(), a2.as_bytes());
        match signed.qop.name() {
            None => self.hash.of(&[key, nonce, a2]),
            Some(qop) => {
                self.hash.of(&[key, nonce, signed.nc.as_bytes(), signed.cnonce.as_bytes(), qop.as_bytes(), a2])
            }
        }
    }
}

impl Qop {
    /// `None` without quality of protection.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Qop::None => None,
            Qop::Auth => Some("auth"),
            Qop::AuthInt => Some("auth-int"),
        }
    }
}

/// Lower case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn joined<D: sha2::Digest>(parts: &[&[u8]]) -> String {
    let mut hash = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    fn mufasa(algorithm: &str) -> String {
        let algorithm = Algorithm::parse(algorithm).expect("known");
        let (nonce, cnonce) =
            ("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        let key = algorithm.key("Mufasa", "http-auth@example.org", "Circle of Life", nonce, cnonce);
        let signed =
            Signed { method: "GET", uri: "/dir/index.html", body: b"", nonce, nc: "00000001", cnonce, qop: Qop::Auth };
        algorithm.response(&key, &signed)
    }

    #[test]
    fn vectors_of_rfc_7616() {
        assert_eq!(mufasa("MD5"), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(mufasa("SHA-256"), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    /// RFC 7616 §3.9.2. Its response is that of the erratum 4897: SHA-512/256 of FIPS 180-4, not a truncated SHA-512.
    #[test]
    fn user_hash_and_sha_512_256() {
        let user = "J\u{e4}s\u{f8}n Doe";
        let realm = "api@example.org";
        let hashed = Hash::Sha512_256.of(&[user.as_bytes(), realm.as_bytes()]);
        assert_eq!(hashed, "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
        let algorithm = Algorithm::parse("SHA-512-256").expect("known");
        let (nonce, cnonce) =
            ("5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v");
        let key = algorithm.key(user, realm, "Secret, or not?", nonce, cnonce);
        let signed =
            Signed { method: "GET", uri: "/doe.json", body: b"", nonce, nc: "00000001", cnonce, qop: Qop::Auth };
        assert_eq!(
            algorithm.response(&key, &signed),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    /// RFC 2617 §3.5, with and without quality of protection.
    #[test]
    fn vectors_of_rfc_2617() {
        let algorithm = Algorithm::parse("md5").expect("known");
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let key = algorithm.key("Mufasa", "testrealm@host.com", "Circle Of Life", nonce, "0a4f113b");
        let signed = |qop| Signed {
            method: "GET",
            uri: "/dir/index.html",
            body: b"",
            nonce,
            nc: "00000001",
            cnonce: "0a4f113b",
            qop,
        };
        assert_eq!(key, "939e7578ed9e3c518a452acee763bce9");
        assert_eq!(algorithm.response(&key, &signed(Qop::Auth)), "6629fae49393a05397450978507c4ef1");
        assert_eq!(algorithm.response(&key, &signed(Qop::None)), "670fd8c2df070c60b045671b8b24ff02");
    }

    #[test]
    fn names() {
        for name in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"] {
            assert_eq!(Algorithm::parse(name).map(Algorithm::name), Some(name));
            assert_eq!(Algorithm::parse(&name.to_lowercase()).map(Algorithm::name), Some(name));
        }
        for name in ["", "SHA256", "SHA-1", "SHA-512", "-sess", "AKAv1-MD5"] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
        assert!(Hash::ALL.is_sorted_by(|a, b| a > b));
    }
}
