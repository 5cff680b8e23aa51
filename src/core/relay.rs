//! One call's media: two sides, a verdict for every packet. The security core of the relay.
//!
//! A packet is accepted when its source is believed ([`crate::core::latch`]), it is sound RTP with a payload type that
//! was agreed on, its side may send now, and its leg keeps to its rate. Header and payload go on unchanged: SSRC,
//! sequence and timestamps are the sender's, so the far side sees a stream as if it came directly, and its loss and
//! jitter figures are true from end to end. Nothing is sent to an address that the rule did not allow.
//!
//! RTCP is relayed likewise, also on hold. What it says (a BYE, say) never changes anything here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::{LegMedia, MediaSummary};
use crate::core::latch::{Belief, Latch, Rule};
use crate::core::media::{Flowing, PayloadFormat, Remote};
use crate::core::media_address::{OwnMedia, is_acceptable, is_hold};
use crate::core::media_quality::StreamQuality;
use crate::ids::Side;
use crate::limits::{
    LEG_PACKETS_BURST, LEG_PACKETS_PER_SECOND, LEG_RTCP_BURST, LEG_RTCP_PER_SECOND, SDP_FORMATS, SILENCE_ON_HOLD,
};
use crate::time::{Mono, Wakeup};
use crate::wire::rtcp::Rtcp;
use crate::wire::rtp::{NotRtp, Rtp};

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
}

impl Refusal {
    pub const ALL: [Refusal; 11] = [
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
    /// Last accepted packet of either side, or last word of signalling.
    heard: Mono,
    silence_told: bool,
}

impl Relay {
    /// `silence_max`: see [`crate::config::Media::silence_max`]; zero: silence is never told.
    pub fn new(now: Mono, own: Arc<OwnMedia>, silence_max: Duration) -> Relay {
        Relay { own, legs: [Leg::new(now), Leg::new(now)], silence_max, heard: now, silence_told: false }
    }

    /// What a side said in its SDP. An address that media may not go to counts as none and is returned as the stable
    /// code of [`is_acceptable`]; signalling should have refused it before.
    pub fn set_remote(&mut self, now: Mono, side: Side, remote: Option<&Remote>) -> Result<(), &'static str> {
        self.heard = now;
        self.silence_told = false;
        let verdict = remote.map_or(Ok(()), |remote| is_acceptable(remote.rtp, &self.own));
        let rule = remote.filter(|remote| verdict.is_ok() && !is_hold(remote.rtp)).map(|remote| Rule {
            rtp: remote.rtp,
            rtcp: Some(remote.rtcp).filter(|rtcp| !is_hold(*rtcp) && is_acceptable(*rtcp, &self.own).is_ok()),
            signalling: remote.signalling,
            nat: remote.nat,
        });
        self.legs[side.index()].set_remote(rule, remote);
        verdict
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

    /// Judges a datagram that came to the RTP port of a side.
    pub fn on_rtp(&mut self, now: Mono, from: Side, source: SocketAddr, bytes: &[u8]) -> Result<Accepted, Refusal> {
        let verdict = self.judge_rtp(now, from, source, bytes);
        if let Err(refusal) = verdict {
            self.legs[from.index()].count(refusal);
        }
        verdict
    }

    /// Judges a datagram that came to the RTCP port of a side; gives where it goes.
    pub fn on_rtcp(
        &mut self,
        now: Mono,
        from: Side,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Result<Option<SocketAddr>, Refusal> {
        let verdict = self.judge_rtcp(now, from, source, bytes);
        if let Err(refusal) = verdict {
            self.legs[from.index()].count(refusal);
        }
        verdict
    }

    /// A packet of this side is on its way to the other.
    pub fn on_relayed(&mut self, from: Side) {
        self.legs[from.index()].relayed += 1;
    }

    /// True once, when both sides have been silent for too long although they are known. A packet or a word of
    /// signalling starts the time anew.
    pub fn handle_timeout(&mut self, now: Mono) -> bool {
        let due = self.poll_timeout().is_some_and(|(at, _)| now >= at);
        self.silence_told |= due;
        due
    }

    /// When the silence has lasted too long.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let [caller, company] = &self.legs;
        let (caller, company) = (caller.flowing?, company.flowing?);
        if self.silence_told || self.silence_max.is_zero() {
            return None;
        }
        let on_hold = [caller, company].iter().any(|f| !f.from_side || !f.to_side);
        let limit = if on_hold { self.silence_max.max(SILENCE_ON_HOLD) } else { self.silence_max };
        Some((self.heard + limit, "media_silence"))
    }

    /// The call's figures so far.
    pub fn summary(&self) -> MediaSummary {
        let [caller, company] = &self.legs;
        let codec = caller.codec.as_ref().or(company.codec.as_ref());
        MediaSummary { codec: codec.map(|name| name.to_string()), caller: caller.summary(), company: company.summary() }
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
        self.heard = now;
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
        let leg = &mut self.legs[from.index()];
        if !leg.latch.may_believe_rtcp(source) {
            return Err(Refusal::WrongSource);
        }
        // The reader allocates, so the budget comes before it.
        if !leg.rtcp_budget.take(now) {
            return Err(Refusal::RateLimit);
        }
        let rtcp = Rtcp::parse(bytes).map_err(|_| Refusal::BadRtcp)?;
        if !leg.latch.is_known_rtcp(source) && is_acceptable(source, &self.own).is_err() {
            return Err(Refusal::WrongSource);
        }
        if !leg.latch.on_rtcp(now, source, rtcp.sender) {
            return Err(Refusal::WrongSource);
        }
        leg.rtcp += 1;
        Ok(self.legs[from.other().index()].latch.rtcp_destination())
    }
}

#[derive(Debug)]
struct Leg {
    latch: Latch,
    /// Payload types agreed on, one bit each.
    payloads: u128,
    /// Of them those that are translated for the other side, when any has to be.
    reach: u128,
    /// Payload type and clock rate of those whose timestamps follow the voice.
    clocks: Vec<(u8, u32)>,
    codec: Option<Arc<str>>,
    /// `None`: nothing is known of the side.
    flowing: Option<Flowing>,
    rtp_budget: Bucket,
    rtcp_budget: Bucket,
    quality: StreamQuality,
    relayed: u64,
    rtcp: u64,
    refused: [u64; Refusal::ALL.len()],
}

impl Leg {
    fn new(now: Mono) -> Leg {
        Leg {
            latch: Latch::default(),
            payloads: 0,
            reach: 0,
            clocks: Vec::new(),
            codec: None,
            flowing: None,
            rtp_budget: Bucket::new(now, LEG_PACKETS_PER_SECOND, LEG_PACKETS_BURST),
            rtcp_budget: Bucket::new(now, LEG_RTCP_PER_SECOND, LEG_RTCP_BURST),
            quality: StreamQuality::default(),
            relayed: 0,
            rtcp: 0,
            refused: [0; Refusal::ALL.len()],
        }
    }

    fn set_remote(&mut self, rule: Option<Rule>, remote: Option<&Remote>) {
        self.latch.set_rule(rule);
        self.flowing = remote.map(|remote| remote.flowing);
        let formats = remote.map_or(&[][..], |remote| &remote.formats);
        let formats = || formats.iter().filter(|f| f.payload_type < 128).take(SDP_FORMATS);
        self.payloads = formats().fold(0, |bits, f| bits | 1 << f.payload_type);
        self.clocks = formats().filter(|f| follows_the_voice(f)).map(|f| (f.payload_type, f.clock_rate)).collect();
        self.codec = formats().find(|f| follows_the_voice(f)).map(|f| f.name.clone()).or(self.codec.take());
    }

    fn has_agreed_on(&self, payload_type: u8) -> bool {
        payload_type < 128 && self.payloads & 1 << payload_type != 0
    }

    fn clock_of(&self, payload_type: u8) -> Option<u32> {
        self.clocks.iter().find(|(agreed, _)| *agreed == payload_type).map(|(_, rate)| *rate)
    }

    fn count(&mut self, refusal: Refusal) {
        self.refused[refusal as usize] += 1;
    }

    fn summary(&self) -> LegMedia {
        let refused = Refusal::ALL.iter().zip(&self.refused).filter(|(_, count)| **count > 0);
        let is_g711 = matches!(self.codec.as_deref(), Some("PCMU" | "PCMA"));
        LegMedia {
            codec: self.codec.as_ref().map(|name| name.to_string()),
            received: self.quality.received(),
            relayed: self.relayed,
            lost: self.quality.lost(),
            jitter_ms: round(self.quality.jitter_ms(), 1e3),
            mos: self.quality.mos().filter(|_| is_g711).map(|mos| round(mos, 1e2)),
            refused: refused.map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect::<BTreeMap<_, _>>(),
            rtcp: self.rtcp,
            kernel_dropped: 0,
        }
    }
}

/// Telephone events repeat one timestamp; everything else counts on.
fn follows_the_voice(format: &PayloadFormat) -> bool {
    &*format.name != "TELEPHONE-EVENT"
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
