//! The words that signalling and the media threads say to each other. Signalling decides, media executes; media never
//! waits for signalling.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::core::dtmf::Digit;
use crate::core::event::{MediaSummary, RecordingSummary};
use crate::core::player::Play;
use crate::ids::{CallId, Side};
use crate::time::{Now, Wall};
use crate::wire::codec::Codec;
use crate::wire::sdp::{Credentials, Fingerprint};
use crate::wire::srtp::MasterKey;

/// What media threads need to open a call's two legs.
#[derive(Clone, Debug)]
pub struct Open {
    pub call: CallId,
    /// Address to bind and to name in SDP, per side ([`Side::index`]): a leg that speaks IPv6 wants an IPv6 address.
    pub address: [IpAddr; 2],
}

/// Ports of one leg: RTP on an even port, RTCP on the next (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    pub rtp: SocketAddr,
}

impl LocalMedia {
    /// The RTP address that descriptions name: `advertise` instead of our own where it is of the same IP version.
    pub fn shown(self, advertise: Option<IpAddr>) -> SocketAddr {
        let ip = advertise.filter(|ip| ip.is_ipv4() == self.rtp.is_ipv4()).unwrap_or(self.rtp.ip());
        SocketAddr::new(ip, self.rtp.port())
    }
}

/// One negotiated payload format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name in upper case: `PCMU`, `PCMA`, `TELEPHONE-EVENT`, `CN`, ….
    pub name: Arc<str>,
    pub clock_rate: u32,
    pub channels: u8,
}

/// Direction of a leg's media, seen from us towards that side (RFC 3264 §8.4 for hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flowing {
    /// We expect media from that side.
    pub from_side: bool,
    /// That side wants media from us.
    pub to_side: bool,
}

/// What signalling knows of one side's media: the rule by which sources are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Address from SDP `c=` and `m=`.
    pub rtp: SocketAddr,
    /// From `a=rtcp` (RFC 3605), else the port above.
    pub rtcp: SocketAddr,
    /// Source of that side's signalling: with `nat`, media may also be learned from this IP.
    pub signalling: IpAddr,
    /// Media may be sent to `rtp` before any has come from there: it is where the signalling is, or in a network that
    /// the configuration names. Otherwise its SDP might aim us at a third party.
    pub vouched: bool,
    /// NAT mode of the trunk or company: a source of the same IP is learned after five packets in sequence.
    pub nat: bool,
    /// `a=rtcp-mux` (RFC 5761): it can have RTP and RTCP on one port. In force when both sides can.
    pub rtcp_mux: bool,
    /// All formats agreed on, the audio codec first.
    pub formats: Vec<PayloadFormat>,
    /// So many of them, from the first on, that side named itself: what it wants to get. The others it was told by us.
    pub said: usize,
    pub flowing: Flowing,
    pub presses: Presses,
    /// `None`: RTP in clear.
    pub secure: Option<Box<Secure>>,
}

impl Remote {
    /// Its addresses are those that ICE proves.
    pub fn has_ice(&self) -> bool {
        matches!(self.secure.as_deref(), Some(Secure::Dtls(_)))
    }
}

/// How an encrypted leg comes by its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secure {
    /// Signalling has told them.
    Keys(SecureMedia),
    /// A handshake makes them, between addresses that ICE has proved.
    Dtls(DtlsMedia),
}

/// What both ends of a leg said of their DTLS and ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsMedia {
    /// Of the certificate that side must show.
    pub fingerprint: Fingerprint,
    /// We begin the handshake.
    pub is_active: bool,
    /// What that side's checks are proved with, and what it calls itself in them.
    pub ours: Credentials,
    pub theirs: Credentials,
}

/// How a side speaks of keys that are pressed, as far as it is not the usual way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presses {
    /// It hears of keys in INFO: events of the other side (RFC 4733) do not go to it.
    pub by_info: bool,
    /// Its events do not go to the other side, which hears of keys in INFO.
    pub events_stay: bool,
    /// Tones in its audio are keys (ITU-T Q.23).
    pub inband: bool,
}

/// Keys of an encrypted leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecureMedia {
    /// What that side protects its packets with.
    pub receive: MasterKey,
    /// What ours to it are protected with.
    pub send: MasterKey,
}

/// How to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingSpec {
    pub call: CallId,
    /// Start of the recording: the answer. Names the date folder.
    pub started: Now,
}

/// Where copies of one side's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyTo {
    pub rtp: SocketAddr,
    /// Payload types that are copied, one bit each.
    pub types: u128,
}

/// Copies of a call for a third party's recorder (RFC 7866).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Take a port pair for each side, on this address. Answered by [`MediaNotice::Copies`].
    Open(IpAddr),
    /// Where copies of a side's accepted packets go; `None`: nowhere.
    To(Side, Option<CopyTo>),
    /// Give the ports back. The end of the call does so too.
    Close,
}

/// Signalling → media.
#[derive(Clone, Debug)]
pub enum MediaCommand {
    /// Take a port pair for each side. Answered at once by [`MediaNotice::Opened`] or [`MediaNotice::Refused`].
    Open(Open),
    /// What a side said in its SDP, first time or again (hold, new address). `None`: nothing known, nothing is sent.
    Remote(Side, Option<Remote>),
    /// Start recording both sides.
    Record(RecordingSpec),
    Copies(Copies),
    /// From now on nothing of either side gets into the recording (`true`), or it does again (`false`). Answered by
    /// [`MediaNotice::Paused`].
    Pause(bool),
    /// Plays a sound to this side, instead of what the other side says. One that is being played to it ends.
    Play(Side, Play),
    /// Ends the sound that is being played to this side, if there is one.
    Hush(Side),
    /// The sides hear each other (`true`, which is so from the start), or not.
    Bridge(bool),
    /// This side is to hear a key, as an event in its RTP.
    Press(Side, char, Duration),
    /// The talk is over at this instant: close the sockets, seal the recording. Answered by [`MediaNotice::Closed`] and,
    /// when a recording was started, by [`MediaNotice::Recorded`].
    Close(Now),
}

/// Media → signalling.
#[derive(Clone, Debug)]
pub enum MediaNotice {
    Opened([LocalMedia; 2]),
    /// No ports; the code is stable (`no_media_ports`).
    Refused(&'static str),
    /// Ports that copies are sent from, by side, or the code of why there are none.
    Copies(Result<[LocalMedia; 2], &'static str>),
    /// First accepted packet of a side.
    FirstPacket(Side, Wall),
    /// A side that should be heard has sent nothing accepted for so long. Told after [`crate::limits::SILENCE_NOTED`]
    /// and whenever the silence has doubled, until it is heard again.
    Quiet {
        side: Side,
        silent: Duration,
    },
    /// Both sides are known and neither has sent anything accepted for the configured time. Told once; a packet or
    /// another [`MediaCommand::Remote`] starts the time anew.
    Silent,
    /// From this instant on nothing gets into the recording, or it does again: answer to [`MediaCommand::Pause`].
    Paused(bool, Now),
    /// A sound was played to a side, from one instant to another, to its end or until something else ended it; once for every
    /// [`MediaCommand::Play`] but those that the end of the call ends. At once, when the side speaks no codec of ours.
    Played(Side, Now, Now),
    /// A side has pressed a key, and let it go.
    Digit(Side, Digit),
    /// The same, by the tones in its audio.
    Tone(Side, Digit),
    /// A panic of ours in this call's relay; its text. The media is closed: [`MediaNotice::Closed`] follows.
    Crashed(String),
    /// Ports closed; final figures. Exactly once for every call that was opened.
    Closed(Box<MediaSummary>),
    /// The recording is sealed on disk, or is known to be lost.
    Recorded(Box<RecordingSummary>),
}

/// Whether this codec can be recorded; used to limit offers.
pub fn is_recordable(codec: &str) -> bool {
    Codec::of_name(codec).is_some()
}
