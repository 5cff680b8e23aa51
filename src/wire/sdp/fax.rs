//! Fax over UDPTL (ITU-T T.38 annex D) as far as a relay needs it: one stream of it stands in a description where audio stood,
//! as one format of its own. Its parameters are written to the other side as they came.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{Audio, Direction, Format, addresses};
use crate::limits;

/// What the format is called.
pub const FAX: &str = "T38";
/// It has no payload type; this one is nobody's.
const NUMBER: u8 = 127;
const PARAMETERS: usize = 16;

/// Whether this `m=` line is one.
pub(super) fn is_fax(media: &sdp_types::Media) -> bool {
    let is = |text: &str, wanted: &str| text.trim().eq_ignore_ascii_case(wanted);
    is(&media.media, "image") && is(&media.proto, "udptl") && is(&media.fmt, "t38") && media.port != 0
}

/// The stream; `None`: it has no address.
pub(super) fn read(session: &sdp_types::Session, media: &sdp_types::Media) -> Option<Audio> {
    let (rtp, rtcp) = addresses(session, media)?;
    let mut direction = Direction::default();
    let mut lines = String::new();
    let mut count = 0;
    for attribute in session.attributes.iter().chain(&media.attributes) {
        let name = attribute.attribute.as_str();
        if let Some(said) = Direction::read(name) {
            direction = said;
        }
        let value = attribute.value.as_deref().unwrap_or("");
        let is_ours = name.len() < limits::SIP_TOKEN && name.to_ascii_lowercase().starts_with("t38");
        let is_plain = value.len() < limits::SIP_TOKEN && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_ours || !is_plain || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) || count >= PARAMETERS {
            continue;
        }
        count += 1;
        let between = if attribute.value.is_some() { ":" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(lines, "a={name}{between}{value}\r\n");
    }
    let fmtp = Some(lines).filter(|lines| !lines.is_empty());
    let format =
        Format { payload_type: NUMBER, name: FAX.to_owned(), clock_rate: 8_000, channels: 1, rtpmap: None, fmtp };
    Some(Audio {
        rtp,
        rtcp,
        rtcp_mux: false,
        direction,
        formats: vec![format],
        ptime: None,
        maxptime: None,
        secured: None,
    })
}

/// Its `m=` line and what belongs to it.
pub(super) fn write(text: &mut String, fax: &Audio, local: SocketAddr) {
    let _ = write!(text, "m=image {} udptl t38\r\n", local.port());
    if let Some(lines) = fax.formats.first().and_then(|format| format.fmtp.as_ref()) {
        text.push_str(lines);
    }
    if fax.direction != Direction::SendRecv {
        let _ = write!(text, "a={}\r\n", fax.direction.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Describer, Sdp};

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n\
        m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\n\
        a=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPRedundancy\r\na=x-inner:10.0.0.1\r\n";

    #[test]
    fn parameters_cross_and_nothing_else() {
        let (slot, fax, _) = Sdp::parse(OFFER.as_bytes()).unwrap().into_audio().unwrap();
        assert!(slot == 1 && fax.is_fax());
        let ours = Describer::new(4).describe(&fax, "203.0.113.9:20000".parse().unwrap());
        let ours = String::from_utf8(ours.to_vec()).unwrap();
        assert!(ours.ends_with(
            "m=image 20000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\n\
             a=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
        ));
        assert!(!ours.contains("10.0.0.1") && !ours.contains("192.0.2"), "{ours}");
        let (_, again, _) = Sdp::parse(ours.as_bytes()).unwrap().into_audio().unwrap();
        assert_eq!(again.formats, fax.formats);
    }

    #[test]
    fn audio_comes_before_fax_and_other_images_are_none() {
        let both = OFFER.replace("m=audio 0", "m=audio 4000");
        assert!(!Sdp::parse(both.as_bytes()).unwrap().into_audio().unwrap().1.is_fax());
        for other in [OFFER.replace("udptl", "TCP"), OFFER.replace("t38\r\n", "jpeg\r\n"), OFFER.replace("4002", "0")] {
            assert!(Sdp::parse(other.as_bytes()).unwrap().into_audio().is_err(), "{other}");
        }
    }
}
