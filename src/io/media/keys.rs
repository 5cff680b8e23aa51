//! Key presses of a call on its media thread: which packets are events, and what they say.

use crate::core::dtmf::{Detector, Digit, EventPacket};
use crate::core::media::PayloadFormat;
use crate::ids::Side;
use crate::time::{Mono, Wakeup};
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

    /// The clock rate of this payload type, when it is one of events.
    pub(super) fn clock_rate(self, payload_type: u8) -> Option<u32> {
        self.0.iter().flatten().find(|(known, _)| *known == payload_type).map(|(_, rate)| *rate)
    }
}

/// Both sides' detectors. Made with the first event of a call: most calls have none.
#[derive(Debug, Default)]
pub(super) struct Keys {
    sides: [Detector; 2],
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

    pub(super) fn poll_timeout(&self) -> Option<Wakeup> {
        self.sides.iter().filter_map(Detector::poll_timeout).min_by_key(|(at, _)| *at)
    }

    pub(super) fn on_timeout(&mut self, now: Mono) -> impl Iterator<Item = (Side, Digit)> + '_ {
        Side::BOTH.into_iter().zip(&mut self.sides).filter_map(move |(side, keys)| Some((side, keys.on_timeout(now)?)))
    }
}
