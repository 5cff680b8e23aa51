//! One call's media: two sides, a verdict for every packet. The security core of the relay.
//!
//! A packet is accepted when its source is believed ([`crate::core::latch`]), it is sound RTP with a payload type that
//! was agreed on, its side may send now, and its leg keeps to its rate. Header and payload go on unchanged: SSRC,
//! sequence and timestamps are the sender's, so the far side sees a stream as if it came directly, and its loss and
//! jitter figures are true from end to end. Nothing is sent to an address that the rule did not allow.
//!
//! RTCP is relayed likewise, also on hold. What it says (a BYE, say) never changes anything here. A side whose far side
//! reports nothing gets reports of ours ([`crate::core::reports`]). When both sides agreed to have RTP and RTCP on one
//! port (RFC 5761), RTCP comes and goes there; a side with ICE has it so by itself.
//!
//! Of a side with ICE only the pair that it has proved is believed ([`Relay::set_pair`]), and nothing that SDP names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::{LegMedia, MediaSummary};
use crate::core::latch::{Belief, Latch, Rule};
use crate::core::media::{Flowing, MediaNotice, PayloadFormat, Remote};
use crate::core::media_address::{OwnMedia, is_acceptable, is_hold};
use crate::core::media_quality::StreamQuality;
use crate::core::reports::Reports;
use crate::ids::Side;
use crate::limits::{
    LEG_PACKETS_BURST, LEG_PACKETS_PER_SECOND, LEG_RTCP_BURST, LEG_RTCP_PER_SECOND, RTP_PACKET, SDP_FORMATS,
    SILENCE_NOTED, SILENCE_ON_HOLD,
};
use crate::time::{Mono, Now, Wakeup};
use crate::wire::codec::Codec;
use crate::wire::rtcp::{Rtcp, is_rtcp};
use crate::wire::rtp::{NotRtp, Rtp};
use crate::wire::sdp::FAX;

/// Why a packet was refused. A closed list: metric label and key of `refused` in the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// No rule could ever believe the source.
    WrongSource,
    /// The source may be learned; it has not proved itself yet, or another one is talking.
    Learning,
    TooShort,
    TooLong,
    /// Version other than 2: STUN, DTLS, SIP, ….
    NotRtp,
    RtcpOnRtpPort,
    BadHeader,
    BadRtcp,
    /// Payload type that was not agreed on.
    UnknownPayload,
    /// The side is not to send now.
    OnHold,
    RateLimit,
    /// An encrypted leg: the tag is not the packet's.
    SrtpAuth,
    /// An encrypted leg: this packet was there already, or is too old to know.
    SrtpReplay,
    /// An encrypted leg: more streams than a party has.
    SrtpStreams,
    /// Accepted, but it could not be sealed for the other leg: it was there already, or is one of too many streams.
    SrtpNotSent,
    /// A leg with DTLS: the handshake has not made its keys yet.
    SrtpNoKeys,
    /// A leg with ICE: the check of connectivity is not proved with our password.
    IceAuth,
    /// A leg with DTLS: a packet of a handshake from an address that ICE has not proved.
    DtlsSource,
    /// A leg with DTLS: the handshake has failed, or shows another certificate than SDP has promised.
    DtlsFailed,
}

impl Refusal {
    pub const ALL: [Refusal; 19] = [
        Refusal::WrongSource,
        Refusal::Learning,
        Refusal::TooShort,
        Refusal::TooLong,
        Refusal::NotRtp,
        Refusal::RtcpOnRtpPort,
        Refusal::BadHeader,
        Refusal::BadRtcp,
        Refusal::UnknownPayload,
        Refusal::OnHold,
        Refusal::RateLimit,
        Refusal::SrtpAuth,
        Refusal::SrtpReplay,
        Refusal::SrtpStreams,
        Refusal::SrtpNotSent,
        Refusal::SrtpNoKeys,
        Refusal::IceAuth,
        Refusal::DtlsSource,
        Refusal::DtlsFailed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::WrongSource => "wrong_source",
            Refusal::Learning => "learning",
            Refusal::TooShort => "too_short",
            Refusal::TooLong => "too_long",
            Refusal::NotRtp => "not_rtp",
            Refusal::RtcpOnRtpPort => "rtcp_on_rtp_port",
            Refusal::BadHeader => "bad_header",
            Refusal::BadRtcp => "bad_rtcp",
            Refusal::UnknownPayload => "unknown_payload",
            Refusal::OnHold => "on_hold",
            Refusal::RateLimit => "rate_limit",
            Refusal::SrtpAuth => "srtp_auth",
            Refusal::SrtpReplay => "srtp_replay",
            Refusal::SrtpStreams => "srtp_streams",
            Refusal::SrtpNotSent => "srtp_not_sent",
            Refusal::SrtpNoKeys => "srtp_no_keys",
            Refusal::IceAuth => "ice_auth",
            Refusal::DtlsSource => "dtls_source",
            Refusal::DtlsFailed => "dtls_failed",
        }
    }
}

impl From<NotRtp> for Refusal {
    fn from(why: NotRtp) -> Refusal {
        match why {
            NotRtp::TooLong => Refusal::TooLong,
            NotRtp::TooShort => Refusal::TooShort,
            NotRtp::Version => Refusal::NotRtp,
            NotRtp::Rtcp => Refusal::RtcpOnRtpPort,
            NotRtp::Header => Refusal::BadHeader,
        }
    }
}

/// An accepted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where it goes, out of the other side's socket; `None`: that side wants no media now, did not agree on this
    /// payload type, or is not known yet. It is recorded all the same.
    pub to: Option<SocketAddr>,
    /// It is the first of its side.
    pub first: bool,
}

/// Both sides of one call.
#[derive(Debug)]
pub struct Relay {
    own: Arc<OwnMedia>,
    legs: [Leg; 2],
    silence_max: Duration,
    silence_told: bool,
    /// Both sides have agreed on fax at some time.
    faxed: bool,
    /// Since both sides are known.
    reports: Option<Box<Reports>>,
    seed: u64,
}

impl Relay {
    /// `silence_max`: see [`crate::config::Media::silence_max`]; zero: silence is never told.
    pub fn new(now: Mono, own: Arc<OwnMedia>, silence_max: Duration) -> Relay {
        let legs = [Leg::new(now), Leg::new(now)];
        Relay { own, legs, silence_max, silence_told: false, faxed: false, reports: None, seed: 0 }
    }

    /// With the randomness that our reports draw from.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Relay {
        Relay { seed, ..self }
    }

    /// What a side said in its SDP. An address that media may not go to counts as none and is returned as the stable
    /// code of [`is_acceptable`]; signalling should have refused it before.
    pub fn set_remote(&mut self, now: Mono, side: Side, remote: Option<&Remote>) -> Result<(), &'static str> {
        self.silence_told = false;
        for leg in &mut self.legs {
            leg.hear(now);
        }
        let has_ice = remote.is_some_and(Remote::has_ice);
        let verdict = remote.filter(|_| !has_ice).map_or(Ok(()), |remote| is_acceptable(remote.rtp, &self.own));
        let rule = remote.filter(|remote| verdict.is_ok() && !is_hold(remote.rtp)).map(|remote| Rule {
            rtp: remote.rtp,
            rtcp: Some(remote.rtcp).filter(|rtcp| !is_hold(*rtcp) && is_acceptable(*rtcp, &self.own).is_ok()),
            signalling: remote.signalling,
            vouched: remote.vouched,
            nat: remote.nat,
        });
        let leg = &self.legs[side.index()];
        // A pair that is proved stays so until ICE says otherwise.
        let rule = if has_ice { leg.latch.rule().filter(|_| leg.has_ice) } else { rule };
        self.legs[side.index()].set_remote(rule, remote);
        self.faxed |= self.legs.iter().all(|leg| leg.fax);
        if self.reports.is_none() && self.legs.iter().all(|leg| leg.flowing.is_some()) {
            self.reports = Some(Box::new(Reports::new(now, self.seed)));
        }
        verdict
    }

    /// The pair that a side with ICE has proved and wants: its media comes from there and goes there. `None`: none any
    /// more.
    pub fn set_pair(&mut self, side: Side, pair: Option<SocketAddr>) {
        let pair = pair.filter(|pair| self.may_pair(*pair));
        // Who has proved an address has asked for our media there.
        let rule =
            |pair: SocketAddr| Rule { rtp: pair, rtcp: Some(pair), signalling: pair.ip(), vouched: true, nat: false };
        let rule = pair.map(rule);
        self.legs[side.index()].latch.set_rule(rule);
    }

    /// Whether media may go to this address at all, whatever its owner proves.
    pub fn may_pair(&self, source: SocketAddr) -> bool {
        is_acceptable(source, &self.own).is_ok()
    }

    /// Where media for this side goes; `None`: nowhere, because nothing is known of it, or it wants none.
    pub fn destination(&self, side: Side) -> Option<SocketAddr> {
        let leg = &self.legs[side.index()];
        leg.latch.rtp_destination().filter(|_| leg.flowing.is_some_and(|flowing| flowing.to_side))
    }

    /// Payload types of this side that reach the other in its own terms ([`crate::core::transcode`]), one bit each; 0:
    /// those that both agreed on.
    pub fn set_reach(&mut self, from: Side, payload_types: u128) {
        self.legs[from.index()].reach = payload_types;
    }

    /// This side has agreed on fax in place of audio: what comes to its RTP port is for [`Relay::on_udptl`].
    pub fn is_fax(&self, side: Side) -> bool {
        self.legs[side.index()].fax
    }

    /// Judges a datagram of fax (ITU-T T.38 §9, UDPTL); gives where it goes.
    pub fn on_udptl(
        &mut self,
        now: Mono,
        from: Side,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Result<Option<SocketAddr>, Refusal> {
        self.judge_udptl(now, from, source, bytes).map_err(|refusal| self.refuse(from, refusal))
    }

    /// Whether this datagram on the RTP port of a side is for [`Relay::on_rtcp`].
    pub fn is_rtcp_among_rtp(&self, side: Side, bytes: &[u8]) -> bool {
        self.is_muxed(side) && is_rtcp(bytes)
    }

    /// Whether RTCP of this side comes to its RTP port, and goes out of it.
    pub fn is_muxed(&self, side: Side) -> bool {
        self.legs[side.index()].has_ice || self.legs.iter().all(|leg| leg.mux)
    }

    /// Judges a datagram that came to the RTP port of a side.
    pub fn on_rtp(&mut self, now: Mono, from: Side, source: SocketAddr, bytes: &[u8]) -> Result<Accepted, Refusal> {
        self.judge_rtp(now, from, source, bytes).map_err(|refusal| self.refuse(from, refusal))
    }

    /// Judges RTCP of a side, of its RTCP port or of the RTP port when that is shared; gives where it goes.
    pub fn on_rtcp(
        &mut self,
        now: Mono,
        from: Side,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Result<Option<SocketAddr>, Refusal> {
        self.judge_rtcp(now, from, source, bytes).map_err(|refusal| self.refuse(from, refusal))
    }

    /// Whether any rule could believe this source: a cheap look before a packet of an encrypted leg is opened.
    pub fn may_believe(&self, from: Side, is_rtcp: bool, source: SocketAddr) -> bool {
        let latch = &self.legs[from.index()].latch;
        match (is_rtcp, self.is_muxed(from)) {
            (false, _) => latch.may_believe(source),
            (true, false) => latch.may_believe_rtcp(source),
            (true, true) => latch.is_known(source),
        }
    }

    /// A datagram of this side was refused, here or before it could be judged here: counts it.
    pub fn refuse(&mut self, from: Side, refusal: Refusal) -> Refusal {
        self.legs[from.index()].count(refusal);
        refusal
    }

    /// A packet of this side is on its way to the other.
    pub fn on_relayed(&mut self, from: Side) {
        self.legs[from.index()].relayed += 1;
    }

    /// What there is to say about silence; to be asked again until there is nothing.
    ///
    /// [`MediaNotice::Silent`], once, when both sides have been silent for too long although they are known;
    /// [`MediaNotice::Quiet`] for a side that should be heard, after [`SILENCE_NOTED`] and whenever the silence has
    /// doubled. A packet or a word of signalling starts the time anew.
    pub fn handle_timeout(&mut self, now: Mono) -> Option<MediaNotice> {
        if self.silence_at().is_some_and(|at| now >= at) {
            self.silence_told = true;
            return Some(MediaNotice::Silent);
        }
        let side = Side::BOTH.into_iter().find(|side| self.quiet_at(*side).is_some_and(|at| now >= at))?;
        while self.quiet_at(side).is_some_and(|at| now >= at) {
            self.legs[side.index()].quiet_told += 1;
        }
        Some(MediaNotice::Quiet { side, silent: now.since(self.legs[side.index()].heard) })
    }

    /// When [`Relay::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let quiet = Side::BOTH.into_iter().filter_map(|side| self.quiet_at(side));
        let at = self.silence_at().into_iter().chain(quiet).min()?;
        Some((at, "media_silence"))
    }

    /// When [`Relay::make_reports`] has something to do.
    pub fn poll_reports(&self) -> Option<Wakeup> {
        self.reports.as_ref().map(|reports| (reports.next_at(), "media_reports"))
    }

    /// Reports that are due, each with the side it goes to, and where. Nothing when [`Relay::poll_reports`] is later.
    pub fn make_reports(&mut self, now: Now) -> Vec<(Side, SocketAddr, Vec<u8>)> {
        let muxed = Side::BOTH.map(|side| self.is_muxed(side));
        let Some(reports) = self.reports.as_mut().filter(|reports| reports.next_at() <= now.mono) else {
            return Vec::new();
        };
        let due = reports.due(now.mono);
        let untold = StreamQuality::default();
        let mut made = Vec::new();
        for side in Side::BOTH.into_iter().filter(|side| due[side.index()] && !self.legs[side.index()].fax) {
            let (leg, other) = (&self.legs[side.index()], &self.legs[side.other().index()]);
            if let Some(to) = leg.rtcp_destination(muxed[side.index()]) {
                // What is sent in other terms is not the stream that came: nothing is said of it.
                let sent = if other.reach == 0 { &other.quality } else { &untold };
                made.push((side, to, reports.make(now, side, &leg.quality, sent).write()));
            }
        }
        for (side, ..) in &made {
            self.legs[side.index()].reports += 1;
        }
        made
    }

    fn silence_at(&self) -> Option<Mono> {
        let [caller, company] = &self.legs;
        let flowing = [caller.flowing?, company.flowing?];
        if self.silence_told || self.silence_max.is_zero() {
            return None;
        }
        let on_hold = flowing.iter().any(|f| !f.from_side || !f.to_side);
        let limit = if on_hold { self.silence_max.max(SILENCE_ON_HOLD) } else { self.silence_max };
        Some(caller.heard.max(company.heard) + limit)
    }

    fn quiet_at(&self, side: Side) -> Option<Mono> {
        let (leg, other) = (&self.legs[side.index()], &self.legs[side.other().index()]);
        let is_expected = leg.flowing?.from_side && other.flowing.is_some();
        let after = SILENCE_NOTED.checked_mul(1u32.checked_shl(u32::from(leg.quiet_told))?)?;
        is_expected.then_some(leg.heard + after)
    }

    /// The call's figures so far.
    pub fn summary(&self) -> MediaSummary {
        let [caller, company] = &self.legs;
        let codec = caller.codec.as_ref().or(company.codec.as_ref());
        let trip = |side| self.reports.as_ref().and_then(|reports| reports.round_trip(side));
        MediaSummary {
            codec: codec.map(|name| name.to_string()),
            caller: caller.summary(trip(Side::Caller)),
            company: company.summary(trip(Side::Company)),
            fax: self.faxed,
        }
    }

    /// The source is believed as one of RTP is, whose stream has no SSRC.
    fn judge_udptl(
        &mut self,
        now: Mono,
        from: Side,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Result<Option<SocketAddr>, Refusal> {
        let leg = &mut self.legs[from.index()];
        if !leg.latch.may_believe(source) {
            return Err(Refusal::WrongSource);
        }
        let [high, low, _, ..] = *bytes else { return Err(Refusal::TooShort) };
        if bytes.len() > RTP_PACKET {
            return Err(Refusal::TooLong);
        }
        if !leg.latch.is_known(source) && is_acceptable(source, &self.own).is_err() {
            return Err(Refusal::WrongSource);
        }
        match leg.latch.on_rtp(now, source, 0, u16::from_be_bytes([high, low])) {
            Belief::Believed => {}
            Belief::Learning => return Err(Refusal::Learning),
            Belief::Stranger => return Err(Refusal::WrongSource),
        }
        if !leg.flowing.is_some_and(|f| f.from_side) {
            return Err(Refusal::OnHold);
        }
        if !leg.rtp_budget.take(now) {
            return Err(Refusal::RateLimit);
        }
        leg.hear(now);
        self.silence_told = false;
        let other = &self.legs[from.other().index()];
        let wanted = other.fax && other.flowing.is_some_and(|f| f.to_side);
        Ok(other.latch.rtp_destination().filter(|_| wanted))
    }

    fn judge_rtp(&mut self, now: Mono, from: Side, source: SocketAddr, bytes: &[u8]) -> Result<Accepted, Refusal> {
        let leg = &mut self.legs[from.index()];
        if !leg.latch.may_believe(source) {
            return Err(Refusal::WrongSource);
        }
        let rtp = Rtp::parse(bytes)?;
        if !leg.has_agreed_on(rtp.payload_type()) {
            return Err(Refusal::UnknownPayload);
        }
        // A source that we could learn becomes a destination: it must be one that SDP could have named.
        if !leg.latch.is_known(source) && is_acceptable(source, &self.own).is_err() {
            return Err(Refusal::WrongSource);
        }
        match leg.latch.on_rtp(now, source, rtp.ssrc(), rtp.sequence()) {
            Belief::Believed => {}
            Belief::Learning => return Err(Refusal::Learning),
            Belief::Stranger => return Err(Refusal::WrongSource),
        }
        if !leg.flowing.is_some_and(|f| f.from_side) {
            leg.quality.interrupt();
            return Err(Refusal::OnHold);
        }
        if !leg.rtp_budget.take(now) {
            return Err(Refusal::RateLimit);
        }
        let first = leg.quality.received() == 0;
        let clock = leg.clock_of(rtp.payload_type()).map(|rate| (rtp.timestamp(), rate));
        leg.quality.on_packet(now, rtp.ssrc(), rtp.sequence(), clock);
        leg.quality.on_payload(rtp.payload().len());
        leg.hear(now);
        self.silence_told = false;
        let (payload_type, reach) = (rtp.payload_type(), leg.reach);
        let other = &self.legs[from.other().index()];
        let reaches = if reach == 0 { other.has_agreed_on(payload_type) } else { reach >> payload_type & 1 == 1 };
        let wanted = other.flowing.is_some_and(|f| f.to_side) && reaches;
        Ok(Accepted { to: other.latch.rtp_destination().filter(|_| wanted), first })
    }

    fn judge_rtcp(
        &mut self,
        now: Mono,
        from: Side,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Result<Option<SocketAddr>, Refusal> {
        let muxed = self.is_muxed(from);
        let leg = &mut self.legs[from.index()];
        // On a shared port RTCP comes from where RTP comes from.
        let may_believe = if muxed { leg.latch.is_known(source) } else { leg.latch.may_believe_rtcp(source) };
        if !may_believe {
            return Err(Refusal::WrongSource);
        }
        // The reader allocates, so the budget comes before it.
        if !leg.rtcp_budget.take(now) {
            return Err(Refusal::RateLimit);
        }
        let rtcp = Rtcp::parse(bytes).map_err(|_| Refusal::BadRtcp)?;
        if !muxed {
            if !leg.latch.is_known_rtcp(source) && is_acceptable(source, &self.own).is_err() {
                return Err(Refusal::WrongSource);
            }
            if !leg.latch.on_rtcp(now, source, rtcp.sender) {
                return Err(Refusal::WrongSource);
            }
        }
        leg.rtcp += 1;
        let muxed = self.is_muxed(from.other());
        let to = self.legs[from.other().index()].rtcp_destination(muxed);
        if let Some(reports) = &mut self.reports {
            reports.on_rtcp(now, from, &rtcp);
            if let (Some(sent_at), Some(_)) = (rtcp.sent_at, to) {
                reports.on_relayed(now, from.other(), sent_at);
            }
        }
        Ok(to)
    }
}

#[derive(Debug)]
struct Leg {
    latch: Latch,
    /// Payload types agreed on, one bit each.
    payloads: u128,
    /// Of them those that are translated for the other side, when any has to be.
    reach: u128,
    /// Payload type, codec and clock rate of those whose timestamps follow the voice.
    clocks: Vec<(u8, Option<Codec>, u32)>,
    codec: Option<Arc<str>>,
    /// Fax stands in the place of its audio.
    fax: bool,
    /// What its last packet of voice was in.
    heard_in: Option<Codec>,
    /// `None`: nothing is known of the side.
    flowing: Option<Flowing>,
    rtp_budget: Bucket,
    rtcp_budget: Bucket,
    quality: StreamQuality,
    relayed: u64,
    rtcp: u64,
    /// Reports of ours that went to this side.
    reports: u64,
    refused: [u64; Refusal::ALL.len()],
    /// Both sides want RTP and RTCP on one port.
    mux: bool,
    /// Its addresses are those that ICE proves.
    has_ice: bool,
    /// Last accepted packet, or last word of signalling.
    heard: Mono,
    /// How often this silence has been told.
    quiet_told: u8,
}

impl Leg {
    fn new(now: Mono) -> Leg {
        Leg {
            latch: Latch::default(),
            payloads: 0,
            reach: 0,
            clocks: Vec::new(),
            codec: None,
            fax: false,
            heard_in: None,
            flowing: None,
            rtp_budget: Bucket::new(now, LEG_PACKETS_PER_SECOND, LEG_PACKETS_BURST),
            rtcp_budget: Bucket::new(now, LEG_RTCP_PER_SECOND, LEG_RTCP_BURST),
            quality: StreamQuality::default(),
            relayed: 0,
            rtcp: 0,
            reports: 0,
            refused: [0; Refusal::ALL.len()],
            mux: false,
            has_ice: false,
            heard: now,
            quiet_told: 0,
        }
    }

    fn hear(&mut self, now: Mono) {
        self.heard = now;
        self.quiet_told = 0;
    }

    fn rtcp_destination(&self, muxed: bool) -> Option<SocketAddr> {
        if muxed { self.latch.rtp_destination() } else { self.latch.rtcp_destination() }
    }

    fn set_remote(&mut self, rule: Option<Rule>, remote: Option<&Remote>) {
        self.latch.set_rule(rule);
        self.flowing = remote.map(|remote| remote.flowing);
        self.mux = remote.is_some_and(|remote| remote.rtcp_mux);
        self.has_ice = remote.is_some_and(Remote::has_ice);
        let formats = remote.map_or(&[][..], |remote| &remote.formats);
        let formats = || formats.iter().filter(|f| f.payload_type < 128).take(SDP_FORMATS);
        self.fax = formats().next().is_some_and(|format| &*format.name == FAX);
        self.payloads = formats().fold(0, |bits, f| bits | 1 << f.payload_type);
        self.clocks =
            formats().filter(|f| follows_the_voice(f)).map(|f| (f.payload_type, codec(f), f.clock_rate)).collect();
        self.codec = formats().find(|f| follows_the_voice(f)).map(|f| f.name.clone()).or(self.codec.take());
    }

    fn has_agreed_on(&self, payload_type: u8) -> bool {
        payload_type < 128 && self.payloads & 1 << payload_type != 0
    }

    /// The clock rate of a packet of voice, whose codec is noted.
    fn clock_of(&mut self, payload_type: u8) -> Option<u32> {
        let (_, codec, rate) = self.clocks.iter().find(|(agreed, ..)| *agreed == payload_type)?;
        self.heard_in = codec.or(self.heard_in);
        Some(*rate)
    }

    fn count(&mut self, refusal: Refusal) {
        self.refused[refusal as usize] += 1;
    }

    fn summary(&self, round_trip: Option<Duration>) -> LegMedia {
        let refused = Refusal::ALL.iter().zip(&self.refused).filter(|(_, count)| **count > 0);
        // What was sent counts, not what comes first in the list of what might have been.
        let name = self.heard_in.map(Codec::name).or(self.codec.as_deref());
        let mos = name.and_then(|codec| self.quality.mos(codec, round_trip));
        LegMedia {
            codec: name.map(str::to_owned),
            received: self.quality.received(),
            relayed: self.relayed,
            lost: self.quality.lost(),
            jitter_ms: round(self.quality.jitter_ms(), 1e3),
            mos: mos.map(|mos| round(mos, 1e2)),
            round_trip_ms: round_trip.map(|trip| round(trip.as_secs_f64() * 1e3, 1e1)),
            refused: refused.map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect::<BTreeMap<_, _>>(),
            rtcp: self.rtcp,
            rtcp_made: self.reports,
            kernel_dropped: 0,
        }
    }
}

fn codec(format: &PayloadFormat) -> Option<Codec> {
    Codec::of_format(&format.name, format.clock_rate, format.channels)
}

/// Telephone events repeat one timestamp, fax has none; everything else counts on.
fn follows_the_voice(format: &PayloadFormat) -> bool {
    &*format.name != "TELEPHONE-EVENT" && &*format.name != FAX
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

/// A token bucket in nanoseconds of credit.
#[derive(Debug)]
struct Bucket {
    price: u64,
    credit: u64,
    credit_max: u64,
    at: Mono,
}

impl Bucket {
    fn new(now: Mono, per_second: u32, burst: u32) -> Bucket {
        let price = 1_000_000_000 / u64::from(per_second.max(1));
        let credit_max = price * u64::from(burst);
        Bucket { price, credit: credit_max, credit_max, at: now }
    }

    fn take(&mut self, now: Mono) -> bool {
        let earned = now.0.saturating_sub(self.at.0);
        self.at = self.at.max(now);
        self.credit = self.credit.saturating_add(earned).min(self.credit_max);
        let enough = self.credit >= self.price;
        if enough {
            self.credit -= self.price;
        }
        enough
    }
}

#[cfg(test)]
mod tests;
