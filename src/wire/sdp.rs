//! Session descriptions (RFC 8866) as far as an audio relay negotiates them (RFC 3264).
//!
//! Reading goes through `sdp-types`, after the lines that we never use are put aside: peers write odd `o=`, `s=` and
//! `i=` lines, and none of them may cost a call. Writing starts from nothing: the other side sees our own `o=`, `c=`
//! and `m=` and a short list of attributes, never a line of its peer's.

mod dtls;
mod fax;
mod secured;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;

use crate::limits;
use secured::Profile;

pub use dtls::{Credentials, Dtls, Fingerprint, Setup};
pub use fax::FAX;
pub use secured::{Accepts, Crypto, Secured, without_keys};

/// Why a body is not a session description we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("not a session description")]
    Unreadable,
    #[error("more lines than allowed")]
    TooManyLines,
    #[error("more media descriptions than allowed")]
    TooManyMedia,
    #[error("no usable audio stream")]
    NoAudio,
    #[error("no address for the audio stream")]
    NoAddress,
    #[error("the audio stream is not encrypted")]
    NotEncrypted,
    #[error("the audio stream is encrypted")]
    Encrypted,
    #[error("the audio stream is encrypted, and names no key that we could use")]
    NoKey,
}

/// `a=sendrecv` and its kin, from the view of who wrote it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn read(name: &str) -> Option<Direction> {
        Some(match name {
            "sendrecv" => Direction::SendRecv,
            "sendonly" => Direction::SendOnly,
            "recvonly" => Direction::RecvOnly,
            "inactive" => Direction::Inactive,
            _ => return None,
        })
    }

    /// The writer sends media.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// The writer wants media.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// From what the writer does.
    pub const fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// As much of this answer as `offer` allows (RFC 3264 §6.1): what is only sent can only be received.
    #[must_use]
    pub const fn answering(self, offer: Direction) -> Direction {
        Direction::new(self.sends() && offer.receives(), self.receives() && offer.sends())
    }
}

/// One payload format of an audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// 0 to 127.
    pub payload_type: u8,
    /// Encoding name in upper case; empty when neither `a=rtpmap` nor RFC 3551 names it.
    pub name: String,
    pub clock_rate: u32,
    pub channels: u8,
    /// Text after `a=rtpmap:PT `, as written.
    pub rtpmap: Option<String>,
    /// Text after `a=fmtp:PT `, as written.
    pub fmtp: Option<String>,
}

/// One audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Where its RTP goes. An unspecified address (`0.0.0.0`) is the old form of hold.
    pub rtp: SocketAddr,
    /// `a=rtcp` (RFC 3605), else the next port.
    pub rtcp: SocketAddr,
    /// `a=rtcp-mux` (RFC 5761): RTP and RTCP on one port.
    pub rtcp_mux: bool,
    pub direction: Direction,
    /// In the writer's order of preference.
    pub formats: Vec<Format>,
    /// Packet time in milliseconds.
    pub ptime: Option<u16>,
    pub maxptime: Option<u16>,
    /// `None`: RTP in clear.
    pub secured: Option<Box<Secured>>,
}

impl Audio {
    /// Its addresses are those that ICE proves; what the description says of them does not count.
    pub fn has_ice(&self) -> bool {
        matches!(self.secured.as_deref(), Some(Secured::Dtls(_)))
    }

    /// It is no audio, but fax in its place ([`FAX`]).
    pub fn is_fax(&self) -> bool {
        self.formats.first().is_some_and(|format| format.name == FAX)
    }

    /// Keeps the formats that `keep` likes; `false` when no codec (as opposed to comfort noise and telephone events)
    /// is left.
    pub fn retain(&mut self, mut keep: impl FnMut(&Format) -> bool) -> bool {
        self.formats.retain(|format| keep(format));
        self.formats.iter().any(Format::is_codec)
    }
}

impl Format {
    /// Everything of it but how its `a=rtpmap` is written.
    fn meaning(&self) -> (u8, &str, u32, u8, Option<&str>) {
        (self.payload_type, &self.name, self.clock_rate, self.channels, self.fmtp.as_deref())
    }

    /// Carries speech: neither telephone events (RFC 4733) nor comfort noise (RFC 3389).
    pub fn is_codec(&self) -> bool {
        self.name != "TELEPHONE-EVENT" && self.name != "CN"
    }
}

/// One `m=` line, in a form that can be refused (port 0) in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub media: String,
    pub proto: String,
    pub formats: String,
}

/// What stands for the address of a stream with ICE, as browsers write it before they know any.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9);

/// What we need of a session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp {
    pub slots: Vec<Slot>,
    /// Index in `slots` and content of the first audio stream we could relay; without one, of fax.
    pub audio: Option<(usize, Audio)>,
    /// Why a usable audio stream was passed over.
    passed_over: Option<SdpError>,
}

impl Sdp {
    /// Reads a body of type `application/sdp`, of which streams in clear are wanted.
    pub fn parse(body: &[u8]) -> Result<Sdp, SdpError> {
        Sdp::parse_for(body, Accepts::PLAIN)
    }

    /// Reads a body of type `application/sdp`. The first stream that will do is taken.
    pub fn parse_for(body: &[u8], accepts: Accepts) -> Result<Sdp, SdpError> {
        let text = usable_lines(body)?;
        let session = sdp_types::Session::parse(text.as_bytes()).map_err(|_| SdpError::Unreadable)?;
        if session.medias.len() > limits::SDP_MEDIA {
            return Err(SdpError::TooManyMedia);
        }
        let mut sdp = Sdp { slots: Vec::with_capacity(session.medias.len()), audio: None, passed_over: None };
        let mut fax = None;
        for (index, media) in session.medias.iter().enumerate() {
            if fax.is_none() && fax::is_fax(media) && accepts.takes(None) {
                fax = fax::read(&session, media).map(|stream| (index, stream));
            }
            sdp.slots.push(Slot { media: media.media.clone(), proto: media.proto.clone(), formats: media.fmt.clone() });
            let is_audio = media.media.eq_ignore_ascii_case("audio") && media.port != 0;
            let Some(profile) = Profile::read(&media.proto).filter(|_| is_audio && sdp.audio.is_none()) else {
                continue;
            };
            let chosen = choose(profile, &session, media, accepts);
            match chosen.map(|secured| (read_audio(&session, media, profile == Profile::Dtls), secured)) {
                Ok((Some(audio), _)) if audio.formats.is_empty() => {}
                Ok((Some(audio), secured)) => sdp.audio = Some((index, Audio { secured, ..audio })),
                Ok((None, _)) => sdp.passed_over = Some(SdpError::NoAddress),
                Err(why) => sdp.passed_over = sdp.passed_over.or(Some(why)),
            }
        }
        sdp.audio = sdp.audio.or(fax);
        Ok(sdp)
    }

    /// The stream we relay, or why there is none.
    pub fn into_audio(self) -> Result<(usize, Audio, Vec<Slot>), SdpError> {
        match self.audio {
            Some((index, audio)) => Ok((index, audio, self.slots)),
            None => Err(self.passed_over.unwrap_or(SdpError::NoAudio)),
        }
    }
}

/// The keys of a stream that will do; else why it will not.
fn choose(
    profile: Profile,
    session: &sdp_types::Session,
    media: &sdp_types::Media,
    accepts: Accepts,
) -> Result<Option<Box<Secured>>, SdpError> {
    match profile {
        Profile::Plain if accepts.takes(None) => Ok(None),
        Profile::Plain => Err(SdpError::NotEncrypted),
        Profile::Sdes | Profile::Dtls => match secured::read(profile, session, media) {
            Some(secured) if accepts.takes(Some(&secured)) => Ok(Some(Box::new(secured))),
            Some(_) => Err(SdpError::Encrypted),
            None => Err(SdpError::NoKey),
        },
    }
}

/// Keeps `v= c= t= m= a=` and puts neutral `o=` and `s=` lines in their places.
fn usable_lines(body: &[u8]) -> Result<String, SdpError> {
    let text = std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    let mut kept = String::with_capacity(text.len() + 64);
    kept.push_str("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n");
    let mut seen_version = false;
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    for (count, end) in ends.enumerate() {
        if count >= limits::SDP_LINES {
            return Err(SdpError::TooManyLines);
        }
        let line = text.get(start..end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        start = end + 1;
        match line.as_bytes() {
            [b'v', b'=', ..] => seen_version = true,
            [b'c' | b't' | b'm' | b'a', b'=', ..] if memchr::memchr2(b'\r', 0, line.as_bytes()).is_none() => {
                kept.push_str(line);
                kept.push_str("\r\n");
            }
            _ => {}
        }
    }
    if seen_version { Ok(kept) } else { Err(SdpError::Unreadable) }
}

/// `has_ice`: see [`Audio::has_ice`].
fn read_audio(session: &sdp_types::Session, media: &sdp_types::Media, has_ice: bool) -> Option<Audio> {
    let (rtp, rtcp) = if has_ice { (NOWHERE, NOWHERE) } else { addresses(session, media)? };
    let mut audio = Audio {
        rtp,
        rtcp,
        rtcp_mux: false,
        direction: Direction::default(),
        formats: Vec::new(),
        ptime: None,
        maxptime: None,
        secured: None,
    };
    for token in media.fmt.split_ascii_whitespace().take(limits::SDP_FORMATS) {
        let Some(payload_type) = token.parse::<u8>().ok().filter(|pt| *pt < 128) else { continue };
        if !audio.formats.iter().any(|format| format.payload_type == payload_type) {
            audio.formats.push(static_format(payload_type));
        }
    }
    for attribute in &session.attributes {
        if let Some(direction) = Direction::read(&attribute.attribute) {
            audio.direction = direction;
        }
    }
    for attribute in &media.attributes {
        read_attribute(&mut audio, &attribute.attribute, attribute.value.as_deref().unwrap_or(""));
    }
    if has_ice {
        audio.rtcp = NOWHERE;
    }
    Some(audio)
}

/// Of RTP, and of RTCP as long as nothing else says where.
fn addresses(session: &sdp_types::Session, media: &sdp_types::Media) -> Option<(SocketAddr, SocketAddr)> {
    let connection = media.connections.first().or(session.connection.as_ref())?;
    let address: IpAddr = connection.connection_address.parse().ok()?;
    let family = connection.addrtype.to_string();
    if (family == "IP6") != address.is_ipv6() {
        return None;
    }
    Some((SocketAddr::new(address, media.port), SocketAddr::new(address, media.port.checked_add(1)?)))
}

fn read_attribute(audio: &mut Audio, name: &str, value: &str) {
    if let Some(direction) = Direction::read(name) {
        audio.direction = direction;
        return;
    }
    match name {
        "rtpmap" | "fmtp" => {
            let Some((payload_type, text)) = value.split_once(' ') else { return };
            let Ok(payload_type) = payload_type.parse::<u8>() else { return };
            let Some(format) = audio.formats.iter_mut().find(|f| f.payload_type == payload_type) else { return };
            let text = text.trim();
            let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if text.is_empty() || text.len() > limits::SIP_TOKEN || !printable {
                return;
            }
            if name == "fmtp" {
                format.fmtp = Some(text.to_owned());
            } else {
                read_rtpmap(format, text);
            }
        }
        "ptime" => audio.ptime = milliseconds(value),
        "maxptime" => audio.maxptime = milliseconds(value),
        "rtcp-mux" => audio.rtcp_mux = true,
        "rtcp" => {
            let mut words = value.split_ascii_whitespace();
            let Some(port) = words.next().and_then(|word| word.parse().ok()).filter(|port| *port != 0) else { return };
            let address = words.nth(2).and_then(|word| word.parse().ok()).unwrap_or(audio.rtp.ip());
            audio.rtcp = SocketAddr::new(address, port);
        }
        _ => {}
    }
}

/// `name/clock[/channels]` (RFC 8866 §6.6). A clock of 0 or one no codec has leaves the format nameless: never chosen.
fn read_rtpmap(format: &mut Format, text: &str) {
    let mut parts = text.split('/');
    let name = parts.next().unwrap_or("").trim();
    let clock = parts.next().and_then(|part| part.trim().parse::<u32>().ok()).unwrap_or(0);
    let channels = parts.next().and_then(|part| part.trim().parse::<u8>().ok()).unwrap_or(1);
    if name.is_empty() || !(1..=384_000).contains(&clock) {
        format.name.clear();
        return;
    }
    format.name = name.to_ascii_uppercase();
    format.clock_rate = clock;
    format.channels = channels;
    format.rtpmap = Some(text.to_owned());
}

/// Packet times that exist: 1 to 200 ms.
fn milliseconds(value: &str) -> Option<u16> {
    value.trim().parse().ok().filter(|ms| (1..=200).contains(ms))
}

/// RFC 3551 §6, the payload types that telephony uses without `a=rtpmap`.
fn static_format(payload_type: u8) -> Format {
    let (name, clock_rate) = match payload_type {
        0 => ("PCMU", 8_000),
        3 => ("GSM", 8_000),
        4 => ("G723", 8_000),
        8 => ("PCMA", 8_000),
        9 => ("G722", 8_000),
        13 => ("CN", 8_000),
        15 => ("G728", 8_000),
        18 => ("G729", 8_000),
        _ => ("", 8_000),
    };
    Format { payload_type, name: name.to_owned(), clock_rate, channels: 1, rtpmap: None, fmtp: None }
}

/// What one leg's descriptions of ours have in common: identity, version, and the `m=` lines exchanged so far, which
/// may be refused but never dropped (RFC 3264 §8).
#[derive(Clone, Debug)]
pub struct Describer {
    session_id: u64,
    version: u64,
    slots: Vec<Slot>,
    audio_slot: usize,
    last: Option<(Audio, SocketAddr)>,
}

impl Describer {
    /// `session_id`: `o=` number, from the seed.
    pub fn new(session_id: u64) -> Describer {
        // RFC 8866 §5.2 wants a number that NTP-like 63-bit readers can hold.
        Describer { session_id: session_id >> 2, version: 0, slots: Vec::new(), audio_slot: 0, last: None }
    }

    /// Remembers the `m=` lines of a description that the far side sent.
    pub fn learn(&mut self, slots: &[Slot], audio_slot: usize) {
        self.slots.reserve_exact(slots.len().saturating_sub(self.slots.len()));
        for (index, slot) in slots.iter().enumerate() {
            match self.slots.get_mut(index) {
                Some(known) => *known = slot.clone(),
                None => self.slots.push(slot.clone()),
            }
        }
        self.audio_slot = audio_slot;
    }

    /// The far side refused our last description: the next one is news to it, whatever it says.
    pub fn take_back(&mut self) {
        self.last = None;
    }

    /// Another party stands on this leg: its `m=` lines are not known yet.
    pub fn start_anew(&mut self) {
        self.slots.clear();
        self.audio_slot = 0;
        self.last = None;
    }

    /// Place of the audio stream among the `m=` lines.
    pub fn audio_slot(&self) -> usize {
        self.audio_slot
    }

    /// The stream of our last description, unless the far side refused it.
    pub fn said(&self) -> Option<&Audio> {
        self.last.as_ref().map(|(audio, _)| audio)
    }

    /// Whether the far side would read anything new in [`Describer::describe`].
    pub fn is_news(&self, audio: &Audio, local: SocketAddr) -> bool {
        self.last.as_ref().is_none_or(|(last, at)| *at != local || !same_stream(last, audio))
    }

    /// Whether it would read anything that matters, when these payload types of the last description, one bit each, are
    /// nobody's but ours: an `a=rtpmap` that says what RFC 3551 says anyway is no news.
    pub fn is_news_beside(&self, audio: &Audio, local: SocketAddr, extra: u128) -> bool {
        self.last.as_ref().is_none_or(|(last, at)| {
            let formats = last.formats.iter().filter(|format| extra >> format.payload_type & 1 == 0);
            *at != local
                || !same_manner(last, audio)
                || !formats.map(Format::meaning).eq(audio.formats.iter().map(Format::meaning))
        })
    }

    /// Our description for the far side of this leg: the stream `audio` (formats, direction, packet time as the *other*
    /// leg's party wrote them) at our own `local` address.
    pub fn describe(&mut self, audio: &Audio, local: SocketAddr) -> Bytes {
        if self.is_news(audio, local) {
            self.version += 1;
            self.last = Some((audio.clone(), local));
        }
        let family = if local.is_ipv6() { "IP6" } else { "IP4" };
        let ip = local.ip();
        let mut text = String::with_capacity(512);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "v=0\r\no=- {} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
            self.session_id, self.version
        );
        if let Some(secured) = &audio.secured {
            secured::write_session(&mut text, secured);
        }
        let count = self.slots.len().max(1);
        for index in 0..count {
            if index == self.audio_slot.min(count - 1) && audio.is_fax() {
                fax::write(&mut text, audio, local);
            } else if index == self.audio_slot.min(count - 1) {
                write_audio(&mut text, audio, self.proto(audio, local), local);
            } else if let Some(slot) = self.slots.get(index) {
                let _ = write!(text, "m={} 0 {} {}\r\n", slot.media, slot.proto, slot.formats);
            }
        }
        // It is kept for as long as the leg lives, so it takes no more room than it needs.
        Bytes::copy_from_slice(text.as_bytes())
    }

    /// The profile that the far side wrote, where it is one of this kind of stream or one that is refused.
    fn proto(&self, audio: &Audio, local: SocketAddr) -> &str {
        let ours = Profile::of(audio.secured.as_deref());
        let theirs = self.slots.get(self.audio_slot).map(|slot| slot.proto.as_str());
        theirs.filter(|proto| Profile::read(proto) == Some(ours) || local.port() == 0).unwrap_or(ours.as_str())
    }
}

fn same_stream(a: &Audio, b: &Audio) -> bool {
    same_manner(a, b) && a.formats == b.formats
}

fn same_manner(a: &Audio, b: &Audio) -> bool {
    a.direction == b.direction
        && (a.ptime, a.maxptime) == (b.ptime, b.maxptime)
        && (&a.secured, a.rtcp_mux) == (&b.secured, b.rtcp_mux)
}

fn write_audio(text: &mut String, audio: &Audio, proto: &str, local: SocketAddr) {
    let _ = write!(text, "m=audio {} {proto}", local.port());
    for format in &audio.formats {
        let _ = write!(text, " {}", format.payload_type);
    }
    text.push_str("\r\n");
    for format in &audio.formats {
        if let Some(rtpmap) = &format.rtpmap {
            let _ = write!(text, "a=rtpmap:{} {rtpmap}\r\n", format.payload_type);
        } else if !format.name.is_empty() {
            let _ = write!(text, "a=rtpmap:{} {}/{}\r\n", format.payload_type, format.name, format.clock_rate);
        }
        if let Some(fmtp) = &format.fmtp {
            let _ = write!(text, "a=fmtp:{} {fmtp}\r\n", format.payload_type);
        }
    }
    if let Some(secured) = &audio.secured {
        secured::write(text, secured, local);
    }
    if let Some(ptime) = audio.ptime {
        let _ = write!(text, "a=ptime:{ptime}\r\n");
    }
    if let Some(maxptime) = audio.maxptime {
        let _ = write!(text, "a=maxptime:{maxptime}\r\n");
    }
    if audio.rtcp_mux {
        text.push_str("a=rtcp-mux\r\n");
    }
    let _ = write!(text, "a={}\r\n", audio.direction.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=bob 2890844526 not-a-number IN IP4 10.1.2.3\r\ns=\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
        m=video 40000 RTP/AVP 31\r\n\
        m=audio 30000 RTP/AVP 8 0 101 4294967296 128 8\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=ptime:20\r\na=candidate:1 1 UDP 2130706431 10.1.2.3 30000 typ host\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xxxx\r\na=rtcp:30007 IN IP4 192.0.2.6\r\na=sendonly\r\n";

    #[test]
    fn reads_the_audio_stream_and_survives_an_odd_origin() {
        let (slot, audio, slots) = Sdp::parse(OFFER.as_bytes()).unwrap().into_audio().unwrap();
        assert_eq!(slot, 1);
        assert_eq!(slots.len(), 2);
        assert_eq!(audio.rtp, "192.0.2.5:30000".parse().unwrap());
        assert_eq!(audio.rtcp, "192.0.2.6:30007".parse().unwrap());
        assert_eq!(audio.direction, Direction::SendOnly);
        assert_eq!(audio.formats.iter().map(|f| f.payload_type).collect::<Vec<_>>(), [8, 0, 101]);
        assert_eq!(audio.formats[2].name, "TELEPHONE-EVENT");
        assert_eq!(audio.formats[2].fmtp.as_deref(), Some("0-15"));
    }

    #[test]
    fn nothing_of_one_side_reaches_the_other() {
        let (slot, audio, slots) = Sdp::parse(OFFER.as_bytes()).unwrap().into_audio().unwrap();
        let mut towards_company = Describer::new(4_000);
        let offer =
            String::from_utf8(towards_company.describe(&audio, "203.0.113.9:20000".parse().unwrap()).to_vec()).unwrap();
        for hidden in ["192.0.2", "10.1.2.3", "bob", "candidate", "crypto", "rtcp", "video"] {
            assert!(!offer.contains(hidden), "{hidden} in {offer}");
        }
        let mut towards_caller = Describer::new(8);
        towards_caller.learn(&slots, slot);
        let answer =
            String::from_utf8(towards_caller.describe(&audio, "203.0.113.9:20002".parse().unwrap()).to_vec()).unwrap();
        assert!(answer.contains("m=video 0 RTP/AVP 31\r\nm=audio 20002 RTP/AVP 8 0 101\r\n"), "{answer}");
    }

    #[test]
    fn the_version_rises_only_when_the_content_changes() {
        let (_, mut audio, _) = Sdp::parse(OFFER.as_bytes()).unwrap().into_audio().unwrap();
        let local = "203.0.113.9:20000".parse().unwrap();
        let mut describer = Describer::new(4);
        let first = describer.describe(&audio, local);
        assert_eq!(describer.describe(&audio, local), first);
        audio.direction = Direction::Inactive;
        let text = String::from_utf8(describer.describe(&audio, local).to_vec()).unwrap();
        assert!(text.contains("o=- 1 2 IN IP4 203.0.113.9"), "{text}");
    }

    #[test]
    fn refusals_have_names() {
        let without_address = "v=0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let host_name = "v=0\r\nc=IN IP4 phone.example.com\r\nm=audio 4000 RTP/AVP 0\r\n";
        let wrong_family = "v=0\r\nc=IN IP6 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n";
        for text in [without_address, host_name, wrong_family] {
            let sdp = Sdp::parse(text.as_bytes()).unwrap();
            assert_eq!(sdp.into_audio().unwrap_err(), SdpError::NoAddress, "{text}");
        }
        let video =
            "v=0\r\nc=IN IP4 192.0.2.1\r\nm=video 4000 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\nm=audio 5 RTP/SAVP 0\r\n";
        assert_eq!(Sdp::parse(video.as_bytes()).unwrap().into_audio().unwrap_err(), SdpError::NoKey);
        assert_eq!(Sdp::parse(b"hello").unwrap_err(), SdpError::Unreadable);
        let port = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 65536 RTP/AVP 0\r\n";
        assert_eq!(Sdp::parse(port.as_bytes()).unwrap_err(), SdpError::Unreadable);
        let many = format!("v=0\r\n{}", "a=x\r\n".repeat(600));
        assert_eq!(Sdp::parse(many.as_bytes()).unwrap_err(), SdpError::TooManyLines);
        let media = format!("v=0\r\nc=IN IP4 192.0.2.1\r\n{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(9));
        assert_eq!(Sdp::parse(media.as_bytes()).unwrap_err(), SdpError::TooManyMedia);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_what_we_write_reads_back(cut in 0usize..OFFER.len(), byte in 0u8..=255, at in 0usize..OFFER.len()) {
            let mut bytes = OFFER.as_bytes()[..cut.max(at + 1)].to_vec();
            bytes[at] = byte;
            if let Ok((_, audio, _)) = Sdp::parse(&bytes).and_then(Sdp::into_audio) {
                let ours = Describer::new(1).describe(&audio, "[2001:db8::1]:20000".parse().unwrap());
                let read = Sdp::parse(&ours).unwrap();
                if !audio.formats.is_empty() {
                    let (_, again, _) = read.into_audio().unwrap();
                    proptest::prop_assert_eq!(again.formats.len(), audio.formats.len());
                    proptest::prop_assert_eq!(again.direction, audio.direction);
                }
            }
        }
    }
}
