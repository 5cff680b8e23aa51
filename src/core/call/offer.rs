//! Offer and answer between the two legs (RFC 3264): what one side describes is rewritten for the other, and the media
//! threads are told whom to believe.
//!
//! Both sides need not have a codec in common, when we may transcode ([`crate::core::transcode`]): an offer gets codecs
//! of ours behind those of who made it (`terms`), and an answer is told in the terms of the offer that it answers.

mod dtls;
mod hold;
mod keys;
mod presses;
mod terms;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::config::{CodecList, Codecs, Keys, MediaEncryption, MediaNetworks, Trunk};
use crate::core::agent::Payload;
use crate::core::media::{self, Flowing, LocalMedia, PayloadFormat, Presses, Remote};
use crate::core::media_address::{self, OwnMedia};
use crate::ids::Side;
use crate::wire::multipart;
use crate::wire::sdp::{Accepts, Audio, Describer, Direction, Fingerprint, Format, Sdp, SdpError, Slot};
use crate::wire::sip::Message;

use hold::Hold;
use keys::{Agreed, LegKeys, Security};

/// One side's audio stream, read and limited to what we relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub audio: Audio,
    slots: Vec<Slot>,
    slot: usize,
    /// It answers what was in force for the other side.
    is_answer: bool,
    /// Of an encrypted answer: both sides' keys.
    keys: Option<Box<Agreed>>,
}

/// Both legs' sessions.
#[derive(Debug)]
pub struct Negotiation {
    codecs: Codecs,
    /// A codec that only one side has becomes one of the other's.
    transcode: bool,
    own: OwnMedia,
    describers: [Describer; 2],
    local: [SocketAddr; 2],
    origin: [Origin; 2],
    /// What each leg's trunk lets it talk with, and how it speaks of keys.
    allowed: [CodecList; 2],
    presses: [Keys; 2],
    hold: Hold,
    /// The last description that each side got from us.
    said: [Said; 2],
    accepted: [Option<Audio>; 2],
    /// `None`: neither leg may be encrypted.
    security: Option<Box<Security>>,
}

/// What of a description of ours limits the answer to it.
#[derive(Debug, Default)]
struct Said {
    types: Vec<u8>,
    direction: Direction,
    /// Payload types among them that are ours, not the other side's; one bit each.
    extra: u128,
    rtcp_mux: bool,
}

impl Said {
    fn note(&mut self, audio: &Audio, extra: u128) {
        self.extra = extra;
        self.direction = audio.direction;
        self.rtcp_mux = audio.rtcp_mux;
        self.types.clear();
        self.types.extend(audio.formats.iter().map(|format| format.payload_type));
    }
}

/// How a side is told of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HearsKeys {
    /// It has agreed on events in its RTP (RFC 4733).
    InRtp,
    /// It has not.
    InInfo,
}

/// A party that may take the company's place: what it was told by us so far.
#[derive(Debug)]
pub struct Newcomer {
    describer: Describer,
    said: Said,
    keys: Option<Box<LegKeys>>,
}

impl Newcomer {
    fn new(session_id: u64, keys: Option<Box<LegKeys>>) -> Newcomer {
        Newcomer { describer: Describer::new(session_id), said: Said::default(), keys }
    }

    fn describe(&mut self, audio: &Audio, extra: u128, local: SocketAddr) -> Payload {
        let audio = secured(Cow::Borrowed(audio), self.keys.as_deref());
        self.said.note(&audio, extra);
        let bytes = self.describer.describe(&audio, local);
        Payload { content_type: "application/sdp".to_owned(), bytes }
    }
}

/// Where a party signals from, and what of its media follows from that.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Source of its signalling.
    pub signalling: IpAddr,
    /// Media may be learned from there.
    pub nat: bool,
    /// Where its media may be beside: what its trunk says, and its company.
    pub networks: [MediaNetworks; 2],
}

impl Origin {
    /// Nothing is known but the address.
    pub fn at(signalling: IpAddr) -> Origin {
        Origin { signalling, nat: false, networks: Default::default() }
    }

    /// Media may be sent to this address of its description before any has come from there.
    fn vouches_for(&self, ip: IpAddr) -> bool {
        ip == self.signalling || self.networks.iter().any(|networks| networks.contains(ip))
    }
}

/// What a session needs to know of the legs.
#[derive(Debug)]
pub struct Legs {
    /// Our RTP address per side.
    pub local: [LocalMedia; 2],
    /// Address put into SDP instead, when behind NAT.
    pub advertise: Option<IpAddr>,
    pub caller: Origin,
    /// Of the caller's trunk.
    pub caller_codecs: CodecList,
    /// Whoever is put on hold hears music of ours.
    pub hold_music: bool,
    /// Of the caller's trunk.
    pub caller_presses: Keys,
    /// Of the caller's trunk.
    pub caller_encryption: MediaEncryption,
    pub session_ids: [u64; 2],
    /// What keys are drawn from.
    pub secret: Option<Box<[u8; 32]>>,
    /// Of our certificate, for legs with DTLS.
    pub fingerprint: Option<Fingerprint>,
    /// Whether this call may be transcoded.
    pub transcode: bool,
}

impl Negotiation {
    pub fn new(codecs: Codecs, own: OwnMedia, legs: &Legs) -> Negotiation {
        Negotiation {
            codecs,
            transcode: legs.transcode,
            own,
            describers: legs.session_ids.map(Describer::new),
            local: legs.local.map(|local| local.shown(legs.advertise)),
            origin: [legs.caller.clone(), Origin::at(legs.caller.signalling)],
            allowed: [CodecList::clone(&legs.caller_codecs), CodecList::default()],
            presses: [legs.caller_presses, Keys::default()],
            hold: Hold::new(legs.hold_music),
            said: [Said::default(), Said::default()],
            accepted: [None, None],
            security: legs
                .secret
                .as_ref()
                .map(|secret| Box::new(Security::new(**secret, legs.caller_encryption, legs.fingerprint))),
        }
    }

    /// The company leg now leads there.
    pub fn company_at(&mut self, origin: Origin) {
        self.origin[Side::Company.index()] = origin;
        self.accepted[Side::Company.index()] = None;
        self.describers[Side::Company.index()].start_anew();
        if let Some(security) = &mut self.security {
            security.leg_mut(Side::Company).start_anew();
        }
    }

    /// How the company's leg is protected from now on. `anew`: by keys that nobody was told before; destinations that
    /// ring together share theirs, as they share our ports.
    pub fn company_encrypts(&mut self, encryption: MediaEncryption, anew: bool) {
        if let Some(security) = &mut self.security
            && (anew || security.leg(Side::Company).policy() != encryption)
        {
            *security.leg_mut(Side::Company) = security.fresh(encryption);
        }
    }

    /// How the company's leg may talk from now on, by its trunk.
    pub fn company_talks(&mut self, out: &Trunk) {
        let codecs = &out.codecs;
        self.presses[Side::Company.index()] = out.within.dtmf;
        if !codecs.is_empty() || !self.allowed[Side::Company.index()].is_empty() {
            self.allowed[Side::Company.index()] = CodecList::clone(codecs);
        }
    }

    /// `side` refused our last offer: what was in force before still is.
    pub fn take_back(&mut self, side: Side) {
        self.describers[side.index()].take_back();
    }

    /// Reads an offer of `side`.
    pub fn read_offer(&self, side: Side, body: &Bytes) -> Result<Stream, SdpError> {
        let security = self.security.as_ref();
        self.read(side, body, security.map_or(Accepts::PLAIN, |security| security.leg(side).accepts()))
    }

    fn read(&self, side: Side, body: &Bytes, accepts: Accepts) -> Result<Stream, SdpError> {
        let mut stream = read_stream(body, self.codecs, accepts)?;
        self.check_address(side, &stream)?;
        if stream.audio.is_fax() && self.is_encrypted() {
            // UDPTL goes in clear.
            return Err(SdpError::NoAudio);
        }
        if !limit(&mut stream.audio, &self.allowed[side.index()]) {
            return Err(SdpError::NoAudio);
        }
        // What the other side may not talk with need not be offered to it; its order comes last, and so first.
        let other = &self.allowed[side.other().index()];
        if self.transcode && stream.can_be_transcoded() {
            prefer(&mut stream.audio, other);
            return Ok(stream);
        }
        if limit(&mut stream.audio, other) { Ok(stream) } else { Err(SdpError::NoAudio) }
    }

    /// Reads the answer of `side` to our offer: only formats that we offered count (under our number, or one of its own,
    /// RFC 3264 §5.1), only in the place where we offered them, and no media may flow where we offered none (RFC 3264 §6, §6.1).
    pub fn read_answer(&self, side: Side, body: &Bytes) -> Result<Stream, SdpError> {
        let mut stream = self.read_offer(side, body)?;
        if let Some(security) = &self.security {
            security.leg(side).read_answer(&mut stream)?;
        }
        limited(stream, &self.said[side.index()], &self.describers[side.index()])
    }

    /// The answer to an offer of `side` in which there is nothing new for the other side: another address, or the same
    /// again to keep a session alive. Media goes through us, so the other side need not be asked.
    pub fn answer_alone(&mut self, side: Side, offer: &Stream) -> Option<Stream> {
        let other = side.other();
        let mut audio = self.accepted[other.index()].clone()?;
        let said = self.describers[other.index()].said()?;
        let offer = &offer.audio;
        let same = |a: &Format, b: &Format| {
            (a.payload_type, &a.name, a.clock_rate, &a.fmtp) == (b.payload_type, &b.name, b.clock_rate, &b.fmtp)
        };
        let first = |audio: &Audio| audio.formats.iter().find(|format| format.is_codec()).cloned();
        // The codec in use is still the one that is wanted most, and all that the other side uses is still offered.
        let goes_on = first(&audio).zip(first(offer)).is_some_and(|(used, wanted)| same(&used, &wanted))
            && audio.formats.iter().all(|used| offer.formats.iter().any(|format| same(used, format)));
        let direction = self.hold.offered(offer.direction);
        let unchanged = (said.direction, said.ptime, said.maxptime) == (direction, offer.ptime, offer.maxptime);
        // The same for what the other side would be told: it has answered that.
        let (mut told, _) = self.for_leg(other.index(), offer, false);
        hold::direct(&mut told, direction);
        let (describer, local) = (&self.describers[other.index()], self.local[other.index()]);
        let is_news =
            describer.is_news(&told, local) && describer.is_news_beside(&told, local, self.said[other.index()].extra);
        // An answer may not agree to one port when the offer did not; the other side is asked again.
        let unchanged = unchanged && (offer.rtcp_mux || !audio.rtcp_mux || audio.has_ice());
        if (!goes_on && is_news) || !unchanged {
            return None;
        }
        audio.direction = audio.direction.answering(offer.direction);
        Some(Stream { audio, slots: Vec::new(), slot: 0, is_answer: true, keys: None })
    }

    /// What is in force for `side`, as it would offer it again.
    pub fn in_force(&self, side: Side) -> Option<Stream> {
        let audio = self.accepted[side.index()].clone()?;
        Some(Stream { audio, slots: Vec::new(), slot: 0, is_answer: false, keys: None })
    }

    /// Describes the caller to one who may take the company's place. What the company has put on hold is offered whole;
    /// what the caller holds stays so. `session_id`: for our `o=` line on the new leg; `encryption`: none: as the
    /// company's leg is.
    pub fn invite_newcomer(
        &mut self,
        session_id: u64,
        encryption: Option<MediaEncryption>,
    ) -> Option<(Newcomer, Payload)> {
        let mut audio = self.unheld_caller()?;
        let allowed = &self.allowed[Side::Company.index()];
        let extends = self.transcode && terms::needs_ours(&audio, allowed);
        let mut extra = if extends { terms::extend(&mut audio, allowed) } else { 0 };
        let mut audio = Cow::Owned(audio);
        extra |= presses::fit(&mut audio, None, self.presses_towards(Side::Company));
        let mut newcomer = Newcomer::new(session_id, self.newcomers_keys(encryption));
        let payload = newcomer.describe(&audio, extra, self.local[Side::Company.index()]);
        Some((newcomer, payload))
    }

    /// The same as an answer to the newcomer's own offer. Gives what of the offer is in force; `None`: no common codec.
    pub fn answer_newcomer(&mut self, session_id: u64, offer: &Stream) -> Option<(Newcomer, Stream, Payload)> {
        let (mut audio, mut stream) = (self.unheld_caller()?, offer.clone());
        audio.direction = audio.direction.answering(offer.audio.direction);
        audio.rtcp_mux &= offer.audio.rtcp_mux;
        audio.formats = terms::of(&audio, &offer.audio, self.transcode)?;
        stream.audio.retain(|format| audio.formats.iter().any(|other| format.payload_type == other.payload_type));
        let mut newcomer = Newcomer::new(session_id, self.newcomers_keys(None));
        if let (Some(security), Some(keys)) = (&mut self.security, &mut newcomer.keys) {
            security.accept_for(keys, offer);
        }
        newcomer.describer.learn(&offer.slots, offer.slot);
        let payload = newcomer.describe(&audio, 0, self.local[Side::Company.index()]);
        Some((newcomer, stream, payload))
    }

    /// The answer that refuses the newcomer's offer.
    pub fn refuse_newcomer(&self, session_id: u64, offer: &Stream) -> Payload {
        let mut newcomer = Newcomer::new(session_id, None);
        newcomer.describer.learn(&offer.slots, offer.slot);
        newcomer.describe(&offer.audio, 0, SocketAddr::new(self.local[Side::Company.index()].ip(), 0))
    }

    /// Reads a newcomer's answer, as [`Negotiation::read_answer`] does.
    pub fn read_newcomer(&self, newcomer: &Newcomer, body: &Bytes) -> Result<Stream, SdpError> {
        let accepts = newcomer.keys.as_ref().map_or(Accepts::PLAIN, |keys| keys.accepts());
        let mut stream = self.read(Side::Company, body, accepts)?;
        if let Some(keys) = &newcomer.keys {
            keys.read_answer(&mut stream)?;
        }
        limited(stream, &newcomer.said, &newcomer.describer)
    }

    /// The newcomer stands for the company from now on; its stream is still to be accepted.
    pub fn welcome(&mut self, newcomer: Newcomer, origin: Origin) {
        let company = Side::Company.index();
        self.describers[company] = newcomer.describer;
        self.said[company] = newcomer.said;
        self.origin[company] = origin;
        self.accepted[company] = None;
        if let (Some(security), Some(keys)) = (&mut self.security, newcomer.keys) {
            *security.leg_mut(Side::Company) = *keys;
        }
    }

    /// Another early dialog of the same leg stands for the company; its stream is still to be accepted. Gives what the one
    /// before it was told.
    pub fn exchange(&mut self, newcomer: Newcomer) -> Newcomer {
        let company = Side::Company.index();
        self.accepted[company] = None;
        let keys = match (&mut self.security, newcomer.keys) {
            (Some(security), Some(keys)) => Some(Box::new(std::mem::replace(security.leg_mut(Side::Company), *keys))),
            _ => None,
        };
        Newcomer {
            keys,
            describer: std::mem::replace(&mut self.describers[company], newcomer.describer),
            said: std::mem::replace(&mut self.said[company], newcomer.said),
        }
    }

    /// Security of a leg to somebody else.
    fn newcomers_keys(&mut self, encryption: Option<MediaEncryption>) -> Option<Box<LegKeys>> {
        let security = self.security.as_mut()?;
        let encryption = encryption.unwrap_or_else(|| security.leg(Side::Company).policy());
        Some(Box::new(security.fresh(encryption)))
    }

    fn unheld_caller(&self) -> Option<Audio> {
        let mut audio = self.accepted[Side::Caller.index()].clone()?;
        limit(&mut audio, &self.allowed[Side::Company.index()]);
        if audio.direction != Direction::SendOnly {
            audio.direction = Direction::SendRecv;
        }
        Some(audio)
    }

    /// The far side of `side` has not heard this description yet. Codecs that we put behind it are no news.
    pub fn is_news(&self, from: Side, stream: &Stream) -> bool {
        let to = from.other().index();
        let (mut audio, _) = self.for_leg(to, &stream.audio, true);
        let direction = self.hold.in_force(from, audio.direction, self.accepted[to].as_ref());
        hold::direct(&mut audio, direction);
        presses::drop_ours(&mut audio, self.said[to].extra);
        self.describers[to].is_news_beside(&audio, self.local[to], self.said[to].extra)
    }

    /// A stream that no packet may ever be sent to is refused before it is believed. One exception: programs of one
    /// machine share the loopback address, and a phone there may name a port of our range by chance. Its call goes on,
    /// and the relay, which asks again, sends nothing there and believes nothing from there.
    pub fn check_address(&self, side: Side, stream: &Stream) -> Result<(), SdpError> {
        let rtp = stream.audio.rtp;
        if stream.audio.has_ice() {
            return Ok(());
        }
        let reachable = media_address::is_hold(rtp) || rtp.is_ipv4() == self.local[side.index()].is_ipv4();
        let verdict = media_address::is_acceptable(rtp, &self.own);
        let neighbour = verdict == Err("media_address_own") && rtp.ip().is_loopback();
        if reachable && (verdict.is_ok() || neighbour) { Ok(()) } else { Err(SdpError::NoAddress) }
    }

    /// The description of `stream`, which `from` wrote, for the other side.
    pub fn cross(&mut self, from: Side, stream: &Stream) -> Payload {
        let to = from.other().index();
        let (mut audio, extra) = self.for_leg(to, &stream.audio, stream.is_answer);
        let direction = match stream.is_answer {
            true => self.hold.answered(from, audio.direction, self.accepted[to].as_ref()),
            false => self.hold.offered(audio.direction),
        };
        hold::direct(&mut audio, direction);
        let bytes = self.describers[to].describe(&audio, self.local[to]);
        self.said[to].note(&audio, extra);
        Payload { content_type: "application/sdp".to_owned(), bytes }
    }

    /// As this leg may hear it, and which payload types of it are ours.
    fn for_leg<'a>(&self, to: usize, audio: &'a Audio, is_answer: bool) -> (Cow<'a, Audio>, u128) {
        let (mut audio, mut extra) = self.in_terms_of(to, audio, is_answer);
        let offer = self.accepted[to].as_ref().filter(|_| is_answer);
        extra |= presses::fit(&mut audio, offer, self.presses_towards(Side::BOTH[to]));
        let Some(security) = &self.security else { return (secured(audio, None), extra) };
        // One that shares a port for its own reasons does not speak for the other side.
        if let (true, true, Some(offer)) = (is_answer, audio.rtcp_mux, &self.accepted[to])
            && !offer.rtcp_mux
        {
            audio.to_mut().rtcp_mux = false;
        }
        (secured(audio, Some(security.leg(Side::BOTH[to]))), extra)
    }

    /// In codecs that this leg has.
    fn in_terms_of<'a>(&self, to: usize, audio: &'a Audio, is_answer: bool) -> (Cow<'a, Audio>, u128) {
        let allowed = &self.allowed[to];
        let mut audio = Cow::Borrowed(audio);
        if let (true, Some(offer)) = (is_answer, &self.accepted[to]) {
            if !terms::are_of(&audio, offer)
                && let Some(formats) = terms::of(&audio, offer, self.transcode)
            {
                audio.to_mut().formats = formats;
            }
            return (audio, 0);
        }
        if audio.is_fax() {
            return (audio, 0);
        }
        if !allowed.is_empty() {
            limit(audio.to_mut(), allowed);
        }
        // Who has said what it talks with, and can with this, needs no more.
        let is_known = self.accepted[to].as_ref().is_some_and(|own| terms::shares(own, &audio));
        let extends = self.transcode && !is_answer && !is_known;
        let extra =
            if extends && terms::needs_ours(&audio, allowed) { terms::extend(audio.to_mut(), allowed) } else { 0 };
        (audio, extra)
    }

    /// `side`'s stream is in force from now on. Gives what the media threads must know of it.
    pub fn accept(&mut self, side: Side, stream: &Stream) -> Remote {
        self.describers[side.index()].learn(&stream.slots, stream.slot);
        self.accepted[side.index()] = Some(stream.audio.clone());
        let wanted_ours = !stream.is_answer || self.said[side.index()].direction.sends();
        self.hold.note(side, stream.audio.direction, wanted_ours);
        if let Some(security) = &mut self.security {
            security.accept(side, stream);
        }
        self.remote(side, &stream.audio)
    }

    /// A leg of it is encrypted.
    fn is_encrypted(&self) -> bool {
        self.security.as_ref().is_some_and(|security| Side::BOTH.iter().any(|side| security.media(*side).is_some()))
    }

    /// How the side that is described to speaks of keys, and how the other does.
    fn presses_towards(&self, to: Side) -> (Keys, Keys) {
        (self.presses[to.index()], self.presses[to.other().index()])
    }

    /// How this side is told of keys.
    pub fn hears_keys(&self, side: Side) -> HearsKeys {
        let said = self.describers[side.index()].said();
        let both = self.accepted[side.index()].as_ref().zip(said);
        if both.is_some_and(|(own, told)| presses::has_events(own) && presses::has_events(told)) {
            HearsKeys::InRtp
        } else {
            HearsKeys::InInfo
        }
    }

    /// The other side has put this one on hold, and it would hear music.
    pub fn is_held(&self, side: Side) -> bool {
        let hears = self.accepted[side.index()].as_ref().is_some_and(|audio| audio.direction.receives());
        hears && self.hold.is_by(side.other())
    }

    /// What the sides agreed on has to be transcoded, and more than between the two laws of G.711.
    pub fn costs_transcoding(&self) -> bool {
        let [Some(caller), Some(company)] = &self.accepted else { return false };
        terms::costs(caller, company)
    }

    fn remote(&self, side: Side, audio: &Audio) -> Remote {
        // A party sends with the payload types it was told, and many with the ones they told (RFC 3264 §5.1).
        let theirs = self.accepted[side.other().index()].iter().flat_map(|audio| &audio.formats);
        let mut formats: Vec<PayloadFormat> = Vec::new();
        for format in audio.formats.iter().chain(theirs) {
            if !formats.iter().any(|known| known.payload_type == format.payload_type) {
                formats.push(PayloadFormat {
                    payload_type: format.payload_type,
                    name: format.name.as_str().into(),
                    clock_rate: format.clock_rate,
                    channels: format.channels,
                });
            }
        }
        let origin = &self.origin[side.index()];
        Remote {
            rtp: audio.rtp,
            rtcp: audio.rtcp,
            signalling: origin.signalling,
            vouched: origin.vouches_for(audio.rtp.ip()),
            nat: origin.nat,
            said: audio.formats.len(),
            rtcp_mux: audio.rtcp_mux,
            formats,
            flowing: Flowing {
                from_side: audio.direction.sends(),
                to_side: audio.direction.receives() && (audio.has_ice() || !audio.rtp.ip().is_unspecified()),
            },
            secure: self.security.as_ref().and_then(|security| security.media(side)),
            presses: Presses {
                by_info: !presses::reach_in_rtp(audio, self.presses_towards(side)),
                events_stay: self.accepted[side.other().index()]
                    .as_ref()
                    .is_some_and(|other| !presses::reach_in_rtp(other, self.presses_towards(side.other()))),
                inband: self.presses[side.index()] == Keys::Inband,
            },
        }
    }

    /// Name of the codec agreed on, once both sides have spoken.
    pub fn codec(&self) -> Option<&str> {
        let company = self.accepted[Side::Company.index()].as_ref()?;
        company.formats.iter().find(|format| format.is_codec()).map(|format| format.name.as_str())
    }
}

impl Stream {
    /// Whether there is a codec in it that we can make another of.
    pub fn can_be_transcoded(&self) -> bool {
        self.audio.formats.iter().any(|format| terms::codec(format).is_some())
    }

    /// Keeps the codecs that this list names, in its order; `false` when none is left.
    pub fn limit(&mut self, codecs: &CodecList) -> bool {
        limit(&mut self.audio, codecs)
    }

    /// Whether there is a codec in it that this list names.
    pub fn fits(&self, codecs: &CodecList) -> bool {
        codecs.is_empty() || self.audio.formats.iter().any(|format| rank(format, codecs).is_some())
    }
}

fn limit(audio: &mut Audio, codecs: &CodecList) -> bool {
    if codecs.is_empty() || audio.is_fax() {
        return true;
    }
    let is_left = audio.retain(|format| !format.is_codec() || rank(format, codecs).is_some());
    prefer(audio, codecs);
    is_left
}

fn prefer(audio: &mut Audio, codecs: &CodecList) {
    if !codecs.is_empty() {
        audio.formats.sort_by_key(|format| rank(format, codecs).unwrap_or(usize::MAX));
    }
}

fn rank(format: &Format, codecs: &CodecList) -> Option<usize> {
    codecs.iter().position(|name| **name == *format.name)
}

/// The stream as a leg with these keys describes it.
fn secured<'a>(mut audio: Cow<'a, Audio>, keys: Option<&LegKeys>) -> Cow<'a, Audio> {
    let fits = keys.map_or(audio.secured.is_none(), |keys| keys.is_said(audio.secured.as_deref()));
    if !fits {
        audio.to_mut().secured = keys.and_then(LegKeys::says).map(Box::new);
    }
    if !audio.rtcp_mux && keys.is_some_and(LegKeys::shares_port) {
        audio.to_mut().rtcp_mux = true;
    }
    audio
}

/// An answer, limited to what was offered and where.
fn limited(mut stream: Stream, said: &Said, describer: &Describer) -> Result<Stream, SdpError> {
    stream.is_answer = true;
    stream.audio.direction = stream.audio.direction.answering(said.direction);
    stream.audio.rtcp_mux &= said.rtcp_mux;
    let offered = describer.said().map_or(&[][..], |audio| &audio.formats);
    let was_offered = |format: &Format| {
        said.types.contains(&format.payload_type) || offered.iter().any(|other| terms::same(format, other))
    };
    if stream.slot == describer.audio_slot() && stream.audio.retain(was_offered) {
        Ok(stream)
    } else {
        Err(SdpError::NoAudio)
    }
}

/// Reads a stream and keeps the formats that this configuration relays. Used before a call exists, too, so that an
/// offer without a codec for us costs nothing.
pub fn read_stream(body: &Bytes, codecs: Codecs, accepts: Accepts) -> Result<Stream, SdpError> {
    let (slot, mut audio, slots) = Sdp::parse_for(body, accepts)?.into_audio()?;
    let wanted = match codecs {
        Codecs::Any => audio.retain(|_| true),
        Codecs::Recordable if audio.is_fax() => true,
        Codecs::Recordable => audio.retain(|format| !format.is_codec() || media::is_recordable(&format.name)),
    };
    if media_address::is_hold(audio.rtp) && !audio.has_ice() {
        // The other side is given an address of ours: that nothing is to be sent must stand in words (RFC 3264 §8.4).
        audio.direction = Direction::new(audio.direction.sends(), false);
    }
    if wanted { Ok(Stream { audio, slots, slot, is_answer: false, keys: None }) } else { Err(SdpError::NoAudio) }
}

/// The session description of a message: its body, or the first such part of a multipart body.
pub fn description(message: &Message) -> Option<Bytes> {
    let body = message.body();
    if body.is_empty() {
        return None;
    }
    if message.has_content_type("application/sdp") {
        return Some(body);
    }
    multipart::find(message.header("Content-Type")?, &body, "application/sdp")
}
