//! What one side sends in the terms of the other: payload types that the two number differently, and codecs that only
//! one of them has.
//!
//! A call whose sides agree on everything has no [`Translation`], and its packets go on as they came. A payload type
//! that only has another number is rewritten in place. Audio in a codec that the other side did not name is decoded and
//! encoded again, in the first codec it named; key presses (RFC 4733) and comfort noise (RFC 3389) keep their places in
//! the stream, with the other side's payload type and clock. SSRC stays; sequence numbers go with the packets, so that
//! what was lost before us is seen as lost behind us.
//!
//! Memory is taken when a translation is made; a packet takes none.

mod voice;

#[cfg(test)]
mod tests;

use crate::core::dtmf::sender::Place;
use crate::core::media::PayloadFormat;
use crate::ids::Side;
use crate::limits::RTP_PACKET;
use crate::wire::codec::Codec;
use crate::wire::rtp::Rtp;

use voice::{Numbers, Voice};

/// What becomes of one payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// As it came.
    Pass,
    /// The same format under this number.
    As(u8),
    /// Key presses under this number, durations from one clock to another, in kHz.
    Event { payload_type: u8, from: u8, to: u8 },
    /// Decoded and encoded again.
    Voice(Codec),
    /// The other side has nothing for it.
    Drop,
}

/// What becomes of each payload type of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    actions: [Action; 128],
    /// Codec and payload type of what is encoded, when anything is.
    target: Option<(Codec, u8)>,
    /// Rate in Hz of the samples in between.
    rate: u32,
}

impl Plan {
    /// `heard`: what may come from a side. `wanted`: what the other side named itself. `None`: everything goes as it is.
    /// With `keeps`, the side was told to keep to what both have: where that is a codec, no other of its codecs is
    /// prepared for, so that a call with much in its offer and one codec in its answer costs nothing.
    pub fn new(heard: &[PayloadFormat], wanted: &[PayloadFormat], keeps: bool) -> Option<Plan> {
        let target = wanted.iter().find_map(|format| Some((codec(format)?, format.payload_type)));
        let shares = keeps && heard.iter().any(|format| is_audio(format) && wanted.iter().any(|o| same(format, o)));
        let rate = target.map_or(8_000, |(codec, _)| codec.audio_rate());
        let mut plan = Plan { actions: [Action::Drop; 128], target: None, rate };
        let mut is_wide = false;
        let mut is_needed = false;
        for format in heard {
            let Some(place) = plan.actions.get_mut(usize::from(format.payload_type)) else { continue };
            *place = match (wanted.iter().find(|other| same(format, other)), codec(format)) {
                (Some(other), _) if other.payload_type == format.payload_type => Action::Pass,
                (Some(other), _) => Action::As(other.payload_type),
                (None, Some(codec)) if target.is_some() && !shares => {
                    is_wide |= codec.audio_rate() > 8_000;
                    plan.target = target;
                    Action::Voice(codec)
                }
                (None, _) if is_event(format) => {
                    wanted.iter().find(|other| is_event(other)).map_or(Action::Drop, |other| Action::Event {
                        payload_type: other.payload_type,
                        from: kilohertz(format),
                        to: kilohertz(other),
                    })
                }
                (None, _) => Action::Drop,
            };
            is_needed |= !matches!(place, Action::Pass | Action::Drop);
        }
        if !is_wide {
            plan.rate = 8_000;
        }
        is_needed.then_some(plan)
    }

    /// Payload types that reach the other side, one bit each.
    pub fn reaches(&self) -> u128 {
        let reach = self.actions.iter().enumerate().filter(|(_, action)| **action != Action::Drop);
        reach.fold(0, |bits, (payload_type, _)| bits | 1 << payload_type)
    }

    /// Whether audio is decoded and encoded again.
    pub fn transcodes(&self) -> bool {
        self.target.is_some()
    }
}

fn codec(format: &PayloadFormat) -> Option<Codec> {
    Codec::of_format(&format.name, format.clock_rate, format.channels)
}

fn same(a: &PayloadFormat, b: &PayloadFormat) -> bool {
    (&a.name, a.clock_rate, a.channels) == (&b.name, b.clock_rate, b.channels)
}

fn is_audio(format: &PayloadFormat) -> bool {
    !is_event(format) && &*format.name != "CN"
}

fn is_event(format: &PayloadFormat) -> bool {
    &*format.name == "TELEPHONE-EVENT"
}

fn kilohertz(format: &PayloadFormat) -> u8 {
    u8::try_from(format.clock_rate / 1_000).unwrap_or(u8::MAX).max(1)
}

/// Both directions of a call, by the side that sends ([`Side::index`]).
#[derive(Debug, Default)]
pub struct Translations([Option<Box<Translation>>; 2]);

impl Translations {
    /// What the sides have agreed on, and how much of it each named itself. Gives for each side the payload types that
    /// reach the other, one bit each; 0: those that both agreed on.
    pub fn renew(&mut self, sides: [(&[PayloadFormat], usize); 2]) -> [u128; 2] {
        let plan = |from: Side| {
            let (heard, own) = sides[from.index()];
            let (formats, said) = sides[from.other().index()];
            let wanted = formats.get(..said).unwrap_or_default();
            // An offer is only ever widened towards the company; but who has answered ours may have none of its codecs.
            let mut named = heard.iter().take(own).filter(|format| is_audio(format));
            let keeps = from == Side::Caller && named.any(|format| wanted.iter().any(|other| same(format, other)));
            Plan::new(heard, wanted, keeps)
        };
        Side::BOTH.map(|from| {
            let place = &mut self.0[from.index()];
            let plan = plan(from);
            *place = match (place.take(), plan) {
                (Some(same), Some(plan)) if same.plan == plan => Some(same),
                (Some(other), Some(plan)) => Some(other.renewed(plan)),
                (None, Some(plan)) => Some(Box::new(Translation::new(plan))),
                (_, None) => None,
            };
            place.as_ref().map_or(0, |translation| translation.plan.reaches())
        })
    }

    /// What this side sends needs this; `None`: it goes as it is.
    pub fn of(&mut self, from: Side) -> Option<&mut Translation> {
        self.0[from.index()].as_deref_mut()
    }
}

/// One direction of a call that needs one.
#[derive(Debug)]
pub struct Translation {
    plan: Plan,
    voice: Option<Voice>,
    /// How the numbers of what goes out follow from those that come in.
    numbers: Numbers,
    /// The packet that goes out.
    packet: [u8; RTP_PACKET],
}

impl Translation {
    pub fn new(plan: Plan) -> Translation {
        let voice = plan.target.and_then(|(codec, payload_type)| {
            let heard = plan.actions.iter().filter_map(|action| match action {
                Action::Voice(codec) => Some(*codec),
                _ => None,
            });
            Voice::new(heard, codec, payload_type, plan.rate)
        });
        Translation { plan, voice, numbers: Numbers::default(), packet: [0; RTP_PACKET] }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan has changed; the numbers of the stream go on.
    #[must_use]
    pub fn renewed(self: Box<Self>, plan: Plan) -> Box<Translation> {
        let numbers = self.numbers;
        Box::new(Translation { numbers, ..Translation::new(plan) })
    }

    /// Something of ours takes the place of this packet in what goes out: the numbers that it has there. `None`: the packet is
    /// a copy, and nothing is to go out.
    pub fn stand_in(&mut self, rtp: &Rtp<'_>) -> Option<Place> {
        let Some(voice) = &mut self.voice else {
            return Some(Place { ssrc: rtp.ssrc(), sequence: rtp.sequence(), timestamp: rtp.timestamp() });
        };
        let clock = match self.plan.actions.get(usize::from(rtp.payload_type())) {
            Some(Action::Voice(codec)) => codec.clock(),
            _ => self.numbers.clock().unwrap_or(voice.clock()),
        };
        if !self.numbers.on_packet(rtp, clock, voice.clock()) {
            return None;
        }
        voice.interrupt();
        Some(self.numbers.place())
    }

    /// A sound packet of this side. What the other is to get goes to `send`: none, one or several.
    pub fn on_rtp(&mut self, bytes: &[u8], mut send: impl FnMut(&[u8])) {
        let Ok(rtp) = Rtp::parse(bytes) else { return };
        let action = self.plan.actions.get(usize::from(rtp.payload_type())).copied().unwrap_or(Action::Drop);
        let Some(voice) = &mut self.voice else {
            // Nothing is encoded: only payload types and durations change.
            if let Some(packet) = rewritten(action, bytes, &rtp, &mut self.packet) {
                send(packet);
            }
            return;
        };
        let clock = match action {
            Action::Voice(codec) => codec.clock(),
            _ => self.numbers.clock().unwrap_or(voice.clock()),
        };
        if !self.numbers.on_packet(&rtp, clock, voice.clock()) {
            return;
        }
        match action {
            Action::Voice(codec) => voice.on_audio(codec, &rtp, &mut self.numbers, &mut self.packet, send),
            action => match rewritten(action, bytes, &rtp, &mut self.packet) {
                Some(_) => {
                    voice.interrupt();
                    self.numbers.stamp(&mut self.packet, rtp.marker());
                    let length = bytes.len();
                    send(self.packet.get(..length).unwrap_or_default());
                }
                None => self.numbers.skip(),
            },
        }
    }
}

/// The packet under the payload type that the other side has for it.
fn rewritten<'p>(action: Action, bytes: &[u8], rtp: &Rtp<'_>, packet: &'p mut [u8]) -> Option<&'p [u8]> {
    let packet = packet.get_mut(..bytes.len())?;
    packet.copy_from_slice(bytes);
    let payload_type = match action {
        Action::Pass => rtp.payload_type(),
        Action::As(payload_type) | Action::Event { payload_type, .. } => payload_type,
        Action::Voice(_) | Action::Drop => return None,
    };
    let second = packet.get_mut(1)?;
    *second = *second & 0x80 | payload_type;
    if let Action::Event { from, to, .. } = action
        && let [_, _, high, low, ..] = rtp.payload()
    {
        // RFC 4733 §2.3: a duration that does not fit stays at the largest.
        let duration = u32::from(u16::from_be_bytes([*high, *low])) * u32::from(to) / u32::from(from);
        let duration = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
        let padding = if bytes.first()? & 0x20 == 0 { 0 } else { usize::from(*bytes.last()?) };
        let start = bytes.len().checked_sub(padding + rtp.payload().len())?;
        packet.get_mut(start + 2..start + 4)?.copy_from_slice(&duration);
    }
    Some(packet)
}
