//! Streams whose keys come of a DTLS handshake between addresses that ICE has proved (RFC 5763, 8842, 8839), as browsers
//! describe them.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use crate::limits;

/// SHA-256 of a certificate (RFC 8122 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Which end begins the handshake (RFC 4145 §4, RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Either, as the other end likes.
    ActPass,
    Active,
    Passive,
}

/// What one end's checks of connectivity are proved with (RFC 8839 §5.4). Its text form has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: Box<str>,
    pub pwd: Box<str>,
}

/// What one end says of its DTLS and its ICE. RTP and RTCP share one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dtls {
    pub fingerprint: Fingerprint,
    pub setup: Setup,
    pub ice: Credentials,
    /// `a=mid`, and whether it stands in a `BUNDLE` group (RFC 9143).
    pub mid: Option<Box<str>>,
    pub is_bundled: bool,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if place == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl Fingerprint {
    /// Reads `sha-256 4A:AD:…`; `None`: by another hash, or not so many bytes.
    pub fn read(text: &str) -> Option<Fingerprint> {
        let (hash, print) = text.trim().split_once(' ')?;
        let mut bytes = [0; 32];
        let mut pairs = print.trim().split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        (hash.eq_ignore_ascii_case("sha-256") && pairs.next().is_none()).then_some(Fingerprint(bytes))
    }
}

impl Setup {
    const fn as_str(self) -> &'static str {
        match self {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }

    fn read(text: &str) -> Option<Setup> {
        [Setup::ActPass, Setup::Active, Setup::Passive].into_iter().find(|setup| setup.as_str() == text)
    }
}

impl Credentials {
    /// `None`: not as RFC 8839 §5.4 wants them.
    pub fn new(ufrag: &str, pwd: &str) -> Option<Credentials> {
        let is_sound = |text: &str, shortest: usize| {
            (shortest..=limits::ICE_SECRET).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        };
        (is_sound(ufrag, 4) && is_sound(pwd, 22)).then(|| Credentials { ufrag: ufrag.into(), pwd: pwd.into() })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, …)", self.ufrag)
    }
}

/// `None`: something is missing that a handshake with us needs: ICE, a fingerprint by SHA-256, a role, one port for RTP
/// and RTCP.
pub(super) fn read(session: &sdp_types::Session, media: &sdp_types::Media) -> Option<Dtls> {
    let of_media = |name: &'static str| media.attributes.iter().filter(move |one| one.attribute == name);
    let of_both = |name: &'static str| {
        let of_session = session.attributes.iter().filter(move |one| one.attribute == name);
        of_media(name).chain(of_session).filter_map(|one| one.value.as_deref())
    };
    of_media("rtcp-mux").next()?;
    let mid = of_media("mid").find_map(|one| one.value.as_deref()).map(str::trim).filter(|mid| is_token(mid));
    let is_bundled = mid.is_some_and(|mid| {
        let groups = session.attributes.iter().filter(|one| one.attribute == "group");
        let mut bundles = groups.filter_map(|one| one.value.as_deref()?.strip_prefix("BUNDLE "));
        bundles.any(|bundle| bundle.split_ascii_whitespace().any(|one| one == mid))
    });
    Some(Dtls {
        fingerprint: of_both("fingerprint").take(limits::SDP_CRYPTO).find_map(Fingerprint::read)?,
        setup: of_both("setup").next().and_then(|text| Setup::read(text.trim()))?,
        ice: Credentials::new(of_both("ice-ufrag").next()?.trim(), of_both("ice-pwd").next()?.trim())?,
        mid: mid.map(Into::into),
        is_bundled,
    })
}

/// Lines before the first `m=`. The end of ICE that says it is lite only answers, so the other one must be whole.
pub(super) fn write_session(text: &mut String, dtls: &Dtls) {
    // Writing to a String cannot fail.
    if let Some(mid) = dtls.mid.as_deref().filter(|_| dtls.is_bundled) {
        let _ = write!(text, "a=group:BUNDLE {mid}\r\n");
    }
    text.push_str("a=ice-lite\r\n");
}

/// Lines below `m=`: one candidate, of the highest priority that a host candidate has (RFC 8445 §5.1.2.1).
pub(super) fn write(text: &mut String, dtls: &Dtls, local: SocketAddr) {
    if let Some(mid) = &dtls.mid {
        let _ = write!(text, "a=mid:{mid}\r\n");
    }
    let _ = write!(
        text,
        "a=msid:leaseline audio\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{}\r\n\
         a=candidate:1 1 UDP 2130706431 {} {} typ host\r\na=end-of-candidates\r\n",
        dtls.ice.ufrag,
        dtls.ice.pwd,
        dtls.fingerprint,
        dtls.setup.as_str(),
        local.ip(),
        local.port()
    );
}

/// RFC 8866 §9, and not longer than anybody's.
fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    (1..=limits::SDP_MID).contains(&text.len()) && text.bytes().all(is_char)
}

#[cfg(test)]
mod tests {
    use super::super::{Accepts, Describer, Direction, Sdp, SdpError, Secured};
    use super::*;

    /// What Chromium offers, word for word but for its addresses.
    const CHROMIUM: &str = include_str!("../../../tests/fixtures/chromium_offer.sdp");
    const ACCEPTS: Accepts = Accepts { plain: false, sdes: false, dtls: true };

    fn offer() -> String {
        CHROMIUM.replace("\r\n", "\n").replace('\n', "\r\n")
    }

    #[test]
    fn an_offer_of_chromium() {
        let (_, audio, slots) = Sdp::parse_for(offer().as_bytes(), ACCEPTS).unwrap().into_audio().unwrap();
        assert_eq!((slots.len(), audio.direction, audio.rtcp_mux), (1, Direction::SendRecv, true));
        assert!(audio.has_ice() && audio.rtp.ip().is_unspecified(), "what SDP says of addresses does not count");
        let Some(Secured::Dtls(dtls)) = audio.secured.as_deref() else { panic!("{audio:?}") };
        assert_eq!((dtls.setup, dtls.mid.as_deref(), dtls.is_bundled), (Setup::ActPass, Some("0"), true));
        assert!(offer().contains(&dtls.fingerprint.to_string()));
        assert!(offer().contains(&*dtls.ice.pwd) && !format!("{dtls:?}").contains(&*dtls.ice.pwd));
    }

    #[test]
    fn what_a_handshake_needs_must_be_there() {
        let without =
            |start: &str| -> String { offer().split_inclusive('\n').filter(|line| !line.starts_with(start)).collect() };
        for missing in ["a=fingerprint", "a=setup", "a=ice-ufrag", "a=ice-pwd", "a=rtcp-mux"] {
            let refused = Sdp::parse_for(without(missing).as_bytes(), ACCEPTS).and_then(Sdp::into_audio);
            assert_eq!(refused.unwrap_err(), SdpError::NoKey, "{missing}");
        }
        for (from, to) in [("sha-256", "sha-1"), ("actpass", "holdconn"), ("a=ice-pwd:", "a=ice-pwd: \u{e9}")] {
            let refused = Sdp::parse_for(offer().replace(from, to).as_bytes(), ACCEPTS).and_then(Sdp::into_audio);
            assert_eq!(refused.unwrap_err(), SdpError::NoKey, "{to}");
        }
        let moved = without("a=fingerprint").replace(
            "t=0 0\r\n",
            &format!("t=0 0\r\na=fingerprint:SHA-256 {}\r\n", Fingerprint([7; 32]).to_string().to_lowercase()),
        );
        let (_, audio, _) = Sdp::parse_for(moved.as_bytes(), ACCEPTS).unwrap().into_audio().unwrap();
        let Some(Secured::Dtls(dtls)) = audio.secured.as_deref() else { panic!("{audio:?}") };
        assert_eq!(dtls.fingerprint, Fingerprint([7; 32]), "Firefox says it for the whole session");
        let refused = Sdp::parse(offer().as_bytes()).and_then(Sdp::into_audio);
        assert_eq!(refused.unwrap_err(), SdpError::Encrypted);
    }

    #[test]
    fn what_is_written_is_read() {
        let ours = Dtls {
            fingerprint: Fingerprint([0xa1; 32]),
            setup: Setup::Passive,
            ice: Credentials::new("abcd", "0123456789012345678901+/").unwrap(),
            mid: Some("audio-1".into()),
            is_bundled: true,
        };
        let (_, mut audio, _) = Sdp::parse_for(offer().as_bytes(), ACCEPTS).unwrap().into_audio().unwrap();
        audio.secured = Some(Box::new(Secured::Dtls(ours.clone())));
        let text = Describer::new(4).describe(&audio, "203.0.113.9:20000".parse().unwrap());
        let (_, again, slots) = Sdp::parse_for(&text, ACCEPTS).unwrap().into_audio().unwrap();
        assert_eq!(again.secured.as_deref(), Some(&Secured::Dtls(ours)));
        assert_eq!(slots[0].proto, "UDP/TLS/RTP/SAVPF");
        let text = String::from_utf8(text.to_vec()).unwrap();
        for line in ["a=ice-lite", "a=rtcp-mux", "a=candidate:1 1 UDP 2130706431 203.0.113.9 20000 typ host"] {
            assert!(text.contains(line), "{text}");
        }
        for not_ours in ["extmap", "ssrc", "rtcp-fb", "local", "ice-options"] {
            assert!(!text.contains(not_ours), "{text}");
        }
    }

    #[test]
    fn secrets_of_ice_have_a_shape() {
        for (ufrag, pwd, expected) in [
            ("abcd", "0123456789012345678901", true),
            ("abc", "0123456789012345678901", false),
            ("abcd", "012345678901234567890", false),
            ("ab:d", "0123456789012345678901", false),
            (&*"a".repeat(256), &*"b".repeat(256), true),
            (&*"a".repeat(257), "0123456789012345678901", false),
        ] {
            assert_eq!(Credentials::new(ufrag, pwd).is_some(), expected, "{ufrag} {pwd}");
        }
    }
}
