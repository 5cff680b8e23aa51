//! Encrypted streams in session descriptions: keys in `a=crypto` lines (SDES, RFC 4568), or of a handshake ([`super::dtls`]).

use std::fmt::Write as _;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use crate::limits;
use crate::wire::srtp::{MasterKey, Suite};

use super::dtls::{self, Dtls};

/// How a stream is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secured {
    /// RTP/SAVP with keys in SDP: as many as the writer offers, one in an answer.
    Sdes(Vec<Crypto>),
    /// UDP/TLS/RTP/SAVP(F) with keys of a DTLS handshake, between addresses that ICE proves.
    Dtls(Dtls),
}

/// One `a=crypto` line: the key that its writer sends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    pub tag: u32,
    pub key: MasterKey,
}

/// The kinds of stream that will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    pub plain: bool,
    pub sdes: bool,
    pub dtls: bool,
}

impl Accepts {
    /// RTP only.
    pub const PLAIN: Accepts = Accepts { plain: true, sdes: false, dtls: false };

    pub(super) const fn takes(self, secured: Option<&Secured>) -> bool {
        match secured {
            None => self.plain,
            Some(Secured::Sdes(_)) => self.sdes,
            Some(Secured::Dtls(_)) => self.dtls,
        }
    }
}

/// What the profile of an `m=` line promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Plain,
    Sdes,
    Dtls,
}

impl Profile {
    /// `None`: a profile that we do not speak.
    pub(super) fn read(proto: &str) -> Option<Profile> {
        match proto {
            "RTP/AVP" => Some(Profile::Plain),
            "RTP/SAVP" | "RTP/SAVPF" => Some(Profile::Sdes),
            "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => Some(Profile::Dtls),
            _ => None,
        }
    }

    pub(super) fn of(secured: Option<&Secured>) -> Profile {
        match secured {
            None => Profile::Plain,
            Some(Secured::Sdes(_)) => Profile::Sdes,
            Some(Secured::Dtls(_)) => Profile::Dtls,
        }
    }

    /// What we write when the other side has not written anything yet.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Profile::Plain => "RTP/AVP",
            Profile::Sdes => "RTP/SAVP",
            // Browsers speak no other.
            Profile::Dtls => "UDP/TLS/RTP/SAVPF",
        }
    }
}

/// The keys of an encrypted stream, or how they are come by; `None`: nothing that we could use.
pub(super) fn read(profile: Profile, session: &sdp_types::Session, media: &sdp_types::Media) -> Option<Secured> {
    if profile == Profile::Dtls {
        return dtls::read(session, media).map(Secured::Dtls);
    }
    let lines = media.attributes.iter().filter(|attribute| attribute.attribute == "crypto").take(limits::SDP_CRYPTO);
    let usable: Vec<Crypto> = lines.filter_map(|line| Crypto::read(line.value.as_deref()?)).collect();
    (!usable.is_empty()).then_some(Secured::Sdes(usable))
}

/// Lines before the first `m=`.
pub(super) fn write_session(text: &mut String, secured: &Secured) {
    match secured {
        Secured::Sdes(_) => {}
        Secured::Dtls(dtls) => dtls::write_session(text, dtls),
    }
}

/// Lines below `m=` of a stream at this address of ours.
pub(super) fn write(text: &mut String, secured: &Secured, local: SocketAddr) {
    match secured {
        Secured::Dtls(dtls) => dtls::write(text, dtls, local),
        Secured::Sdes(lines) => {
            for Crypto { tag, key } in lines {
                // Writing to a String cannot fail.
                let _ = write!(text, "a=crypto:{tag} {} inline:", key.suite().as_str());
                BASE64.encode_string(key.bytes(), text);
                text.push_str("\r\n");
            }
        }
    }
}

/// The message with every key in it made unreadable, as long as it was; `None`: there is none in it.
pub fn without_keys(message: &Bytes) -> Option<Bytes> {
    const MARKS: [(&[u8], &[u8]); 2] = [(b"a=crypto:", b"inline:"), (b"a=ice-pwd:", b"a=ice-pwd:")];
    let mut masked: Option<Vec<u8>> = None;
    for (_, mark) in MARKS.into_iter().filter(|(line, _)| memchr::memmem::find(message, line).is_some()) {
        let masked = masked.get_or_insert_with(|| message.to_vec());
        for place in memchr::memmem::find_iter(message, mark) {
            let key = masked.iter_mut().skip(place + mark.len());
            key.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).for_each(|byte| *byte = b'x');
        }
    }
    masked.map(Bytes::from)
}

/// Written with padding; some leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Crypto {
    /// Reads `1 AES_CM_128_HMAC_SHA1_80 inline:KEY[|LIFETIME]`. A line that asks for anything that we do not do (a key
    /// identifier in each packet, several keys, packets in clear) counts as not there (RFC 4568 §7.1.2).
    fn read(text: &str) -> Option<Crypto> {
        let mut words = text.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9)?.parse().ok()?;
        let suite = Suite::parse(words.next()?)?;
        let inline = words.next()?.strip_prefix("inline:")?;
        // A window of another size is a wish, and what begins with `-` may be ignored.
        if !words.all(|parameter| parameter.starts_with("WSH=") || parameter.starts_with('-')) {
            return None;
        }
        let mut parts = inline.split('|');
        let key = parts.next()?;
        if parts.any(|part| part.contains(':')) || inline.contains(';') {
            return None;
        }
        Some(Crypto { tag, key: MasterKey::new(suite, &BASE64.decode(key).ok()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn lines_of_rfc_4568_and_of_phones() {
        let good = [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4").replace("|1:4", ""),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("999999999 aes_cm_128_hmac_sha1_32 inline:{KEY}|2^31 WSH=128 -FUTURE=1"),
            "3 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nw==".to_owned(),
            "3 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nw".to_owned(),
        ];
        for line in &good {
            assert!(Crypto::read(line).is_some(), "{line}");
        }
        let bad = [
            String::new(),
            "1".to_owned(),
            format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1000000000 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &KEY[..36]),
            format!("1 AEAD_AES_256_GCM inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!".to_owned(),
            format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"),
        ];
        for line in &bad {
            assert_eq!(Crypto::read(line), None, "{line}");
        }
    }

    #[test]
    fn keys_can_be_made_unreadable() {
        let body = format!(
            "v=0\r\na=crypto:1 AEAD_AES_128_GCM inline:{KEY}|2^20\r\na=crypto:2 X inline:{KEY};inline:{KEY}\r\n"
        );
        let masked = without_keys(&Bytes::from(body.clone())).unwrap();
        let x = "x".repeat(KEY.len());
        assert_eq!(masked, body.replace(KEY, &x));
        let browser = Bytes::from_static(b"v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:s3cr+t/0\r\na=setup:active\r\n");
        assert_eq!(
            without_keys(&browser).unwrap(),
            &b"v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:xxxxxxxx\r\na=setup:active\r\n"[..]
        );
        assert_eq!(without_keys(&Bytes::from_static(b"BYE sip:inline:abc@x SIP/2.0\r\n\r\n")), None);
    }

    #[test]
    fn what_is_written_is_read() {
        for suite in Suite::ALL {
            let key = MasterKey::new(suite, &vec![0xfb; suite.key_len() + suite.salt_len()]).unwrap();
            let mut text = String::new();
            let local = "203.0.113.9:20000".parse().unwrap();
            write(&mut text, &Secured::Sdes(vec![Crypto { tag: 7, key }]), local);
            let line = text.strip_prefix("a=crypto:").and_then(|line| line.strip_suffix("\r\n")).unwrap();
            assert_eq!(Crypto::read(line), Some(Crypto { tag: 7, key }));
        }
    }
}
