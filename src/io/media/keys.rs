//! Key presses of a call on its media thread: which packets are events, and what they say.

use crate::core::dtmf::inband::Inband;
use crate::core::dtmf::{Detector, Digit, EventPacket};
use crate::core::media::{MediaNotice, PayloadFormat};
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Wakeup};
use crate::wire::codec::Codec;
use crate::wire::rtp::Rtp;

/// Payload types of events that one side may use: a phone names one for each clock rate of its codecs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventTypes([Option<(u8, u32)>; 2]);

impl EventTypes {
    pub(super) fn of(formats: &[PayloadFormat]) -> EventTypes {
        let mut types = EventTypes::default();
        let events = formats.iter().filter(|format| format.name.eq_ignore_ascii_case("telephone-event"));
        for (place, format) in types.0.iter_mut().zip(events) {
            *place = Some((format.payload_type, format.clock_rate));
        }
        types
    }

    /// What to send events as beside audio of this clock; another clock will do where there is no better.
    pub(super) fn beside(self, clock_rate: u32) -> Option<(u8, u32)> {
        let named = || self.0.into_iter().flatten();
        named().find(|(_, rate)| *rate == clock_rate).or_else(|| named().next())
    }

    /// The clock rate of this payload type, when it is one of events.
    pub(super) fn clock_rate(self, payload_type: u8) -> Option<u32> {
        self.0.iter().flatten().find(|(known, _)| *known == payload_type).map(|(_, rate)| *rate)
    }
}

/// Both sides' detectors. Made with the first event of a call: most calls have none.
#[derive(Debug, Default)]
pub(super) struct Keys {
    sides: [Detector; 2],
    /// Of sides whose tones are keys.
    tones: [Option<Box<Inband>>; 2],
}

impl Keys {
    /// An accepted packet of events.
    pub(super) fn on_packet(&mut self, at: Mono, side: Side, clock_rate: u32, bytes: &[u8], tell: impl FnMut(Digit)) {
        let Ok(rtp) = Rtp::parse(bytes) else { return };
        let packet = EventPacket {
            ssrc: rtp.ssrc(),
            sequence: rtp.sequence(),
            timestamp: rtp.timestamp(),
            marker: rtp.marker(),
            clock_rate,
            payload: rtp.payload(),
        };
        self.sides[side.index()].on_packet(at, &packet, tell);
    }

    /// An accepted packet of audio of a side whose tones are keys. `true`: a key is down.
    pub(super) fn on_audio(
        &mut self,
        at: Mono,
        side: Side,
        formats: &[PayloadFormat],
        bytes: &[u8],
        tell: impl FnMut(Digit),
    ) -> bool {
        let Ok(rtp) = Rtp::parse(bytes) else { return false };
        let format = formats.iter().find(|format| format.payload_type == rtp.payload_type());
        let codec = format.and_then(|format| Codec::of_format(&format.name, format.clock_rate, format.channels));
        let Some(codec) = codec else { return false };
        let ear = self.tones[side.index()].get_or_insert_default();
        ear.on_packet(at, &rtp, codec, tell);
        ear.poll_timeout().is_some()
    }

    /// Whether this side has told of this key in its RTP within the last moment.
    pub(super) fn has_told(&self, side: Side, key: char, now: Mono) -> bool {
        let last = self.sides[side.index()].last();
        last.is_some_and(|(pressed, at)| pressed == key && now.since(at) <= limits::DTMF_SAME)
    }

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        let tones = self.tones.iter().flatten().filter_map(|ear| ear.poll_timeout());
        self.sides.iter().filter_map(Detector::poll_timeout).chain(tones).min_by_key(|(at, _)| *at)
    }

    /// Keys that are over although nothing said so.
    pub(super) fn on_timeout(&mut self, now: Mono) -> impl Iterator<Item = MediaNotice> + '_ {
        let Keys { sides, tones } = self;
        let events = Side::BOTH.into_iter().zip(sides);
        let events = events.filter_map(move |(side, keys)| Some(MediaNotice::Digit(side, keys.on_timeout(now)?)));
        let tones = Side::BOTH.into_iter().zip(tones);
        events.chain(tones.filter_map(move |(side, ear)| Some(MediaNotice::Tone(side, ear.as_mut()?.on_timeout(now)?))))
    }
}
