//! Keys → RTP events (RFC 4733), for a side that is to hear keys which came in another way.
//!
//! An event takes the place of the audio that is on its way to that side, packet by packet: SSRC and sequence numbers stay
//! those of the stream, so the far side sees one stream without a seam (§2.1: events share the stream of the audio that
//! they replace), and the audio goes on behind it as if nothing had been. Where no audio is on its way, the event goes out
//! by our own clock, in a stream of its own.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Mono, Wakeup};

/// Header and event.
pub const PACKET: usize = 16;
/// Keys that wait.
const WAITING: usize = 32;
/// Copies of the end (§2.5.1.4), and packets of audio before the next key.
const ENDS: u8 = 3;
const REST: u8 = 3;
/// -10 dBm0, as telephones do.
const VOLUME: u8 = 10;
/// Without audio for so long, there is none.
const QUIET: Duration = Duration::from_millis(60);
/// Packet time of our own stream.
const STEP: Duration = Duration::from_millis(20);

/// Numbers of the packet whose place an event takes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

/// Keys for one side.
#[derive(Debug, Default)]
pub struct Sender {
    waiting: VecDeque<(u8, Duration)>,
    current: Option<Event>,
    /// Packets of audio that go as they are.
    rest: u8,
    /// Payload type of events, and their clock, in Hz, which is the audio's.
    payload_type: u8,
    clock_rate: u32,
    /// When no audio will come any more, or when the next packet of our own is due.
    due: Mono,
    own: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    event: u8,
    /// Timestamp of the first packet, and units that it lasts.
    start: u32,
    length: u32,
    ends: u8,
    /// Of the last packet: where it goes on when the audio ends before it.
    last: Place,
}

impl Sender {
    /// One more key, as an event of this payload type and clock. Those that are too many are forgotten.
    pub fn press(&mut self, now: Mono, key: char, length: Duration, (payload_type, clock_rate): (u8, u32)) {
        let Some(event) = super::event(key).filter(|_| self.waiting.len() < WAITING) else { return };
        if !self.is_pressing() {
            (self.payload_type, self.clock_rate) = (payload_type, clock_rate.max(1_000));
            self.due = now + QUIET;
        }
        self.waiting.push_back((event, length));
    }

    /// The other side has told of this key in its RTP as well, which goes on by itself.
    pub fn forget(&mut self, event: u8) {
        self.waiting.retain(|(waiting, _)| *waiting != event);
    }

    /// An event is under way, or waits.
    pub fn is_pressing(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// The next packets of audio go as they are, before another key.
    pub fn is_resting(&self) -> bool {
        self.rest > 0
    }

    /// Whether the next packet of audio gives its place to an event; then [`Sender::replace`] is to follow.
    pub fn wants(&mut self, now: Mono) -> bool {
        self.due = now + QUIET;
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        self.is_pressing()
    }

    /// What goes to the side instead of the packet of audio that had this place.
    pub fn replace(&mut self, place: Place) -> Option<[u8; PACKET]> {
        self.own = None;
        self.packet(place)
    }

    /// When [`Sender::on_timeout`] has something to send.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        self.is_pressing().then_some((self.due, "key"))
    }

    /// A packet of our own stream, where no audio comes. `seed` makes its numbers.
    pub fn on_timeout(&mut self, now: Mono, seed: u64) -> Option<[u8; PACKET]> {
        if !self.is_pressing() || now < self.due {
            return None;
        }
        let step = self.clock_rate / 50;
        let place = match (self.own, &mut self.current) {
            (Some(own), _) => {
                Place { sequence: own.sequence.wrapping_add(1), timestamp: own.timestamp.wrapping_add(step), ..own }
            }
            // The audio has ended in the middle of an event, which ends with it.
            (None, Some(event)) => {
                event.length = event.last.timestamp.wrapping_sub(event.start).wrapping_add(step);
                let sequence = event.last.sequence.wrapping_add(1);
                Place { sequence, timestamp: event.last.timestamp.wrapping_add(step), ..event.last }
            }
            (None, None) => {
                let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                Place { ssrc: (mixed >> 32) as u32, sequence: (mixed >> 16) as u16 >> 1, timestamp: mixed as u32 }
            }
        };
        // Before the end of the audio is known there is no stream of ours.
        let is_ours = self.own.is_some() || self.current.is_none();
        self.own = is_ours.then_some(place);
        self.due = now + STEP;
        self.rest = 0;
        let packet = self.packet(place);
        self.rest = 0;
        packet
    }

    fn packet(&mut self, place: Place) -> Option<[u8; PACKET]> {
        let is_first = self.current.is_none();
        let mut event = match self.current {
            Some(event) => event,
            None => {
                let (event, length) = self.waiting.pop_front()?;
                let units = length.as_millis() * u128::from(self.clock_rate) / 1_000;
                let length = u32::try_from(units).unwrap_or(u32::MAX).clamp(1, 0xffff);
                Event { event, start: place.timestamp, length, ends: 0, last: place }
            }
        };
        // A packet says how long the key has been down when it ends.
        let passed = place.timestamp.wrapping_sub(event.start).wrapping_add(self.clock_rate / 50);
        let is_end = event.ends > 0 || passed >= event.length;
        let duration = if is_end { event.length } else { passed };
        event.ends += u8::from(is_end);
        event.last = place;
        self.current = Some(event).filter(|event| event.ends < ENDS);
        if self.current.is_none() {
            self.rest = REST;
        }
        let mut bytes = [0; PACKET];
        let mut put = |at: usize, value: &[u8]| {
            if let Some(room) = bytes.get_mut(at..at + value.len()) {
                room.copy_from_slice(value);
            }
        };
        put(0, &[0x80, self.payload_type & 0x7f | if is_first { 0x80 } else { 0 }]);
        put(2, &place.sequence.to_be_bytes());
        put(4, &event.start.to_be_bytes());
        put(8, &place.ssrc.to_be_bytes());
        put(12, &[event.event, VOLUME | if is_end { 0x80 } else { 0 }]);
        put(14, &u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes());
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dtmf::{Detector, Digit, EventPacket};
    use crate::wire::rtp::Rtp;

    const EVENTS: (u8, u32) = (101, 8_000);
    const STEP_NS: u64 = 20_000_000;

    fn place(n: u32) -> Place {
        Place { ssrc: 7, sequence: (0xfffa + n) as u16, timestamp: 0xffff_f000u32.wrapping_add(n * 160) }
    }

    /// What a phone makes of what comes: keys with their lengths.
    #[derive(Default)]
    struct Phone(Detector, String);

    impl Phone {
        fn hear(&mut self, at: Mono, bytes: &[u8]) {
            let event = Rtp::parse(bytes).unwrap();
            assert_eq!(event.payload_type(), 101);
            let packet = EventPacket {
                ssrc: event.ssrc(),
                sequence: event.sequence(),
                timestamp: event.timestamp(),
                marker: event.marker(),
                clock_rate: 8_000,
                payload: event.payload(),
            };
            let heard = &mut self.1;
            let tell = |digit: Digit| *heard += &format!("{}{} ", digit.key, digit.length.as_millis());
            self.0.on_packet(at, &packet, tell);
        }
    }

    #[test]
    fn keys_take_the_place_of_audio_and_are_heard_as_they_were_pressed() {
        let mut sender = Sender::default();
        for key in "5#D".chars() {
            sender.press(Mono(0), key, Duration::from_millis(100), EVENTS);
        }
        sender.press(Mono(0), 'x', Duration::from_millis(100), EVENTS);
        let (mut phone, mut replaced) = (Phone::default(), 0);
        for n in 0..100 {
            let now = Mono(u64::from(n) * STEP_NS);
            assert_eq!(sender.on_timeout(now, 1), None, "audio comes");
            if !sender.wants(now) {
                continue;
            }
            let packet = sender.replace(place(n)).unwrap();
            replaced += 1;
            let event = Rtp::parse(&packet).unwrap();
            assert_eq!((event.sequence(), event.ssrc()), (place(n).sequence, 7));
            phone.hear(now, &packet);
        }
        // 100 ms are five packets, the last of them the first of three ends.
        assert_eq!((phone.1.as_str(), replaced), ("5100 #100 D100 ", 3 * 7));
    }

    #[test]
    fn where_no_audio_comes_keys_have_a_stream_of_their_own() {
        let (mut sender, mut phone) = (Sender::default(), Phone::default());
        sender.press(Mono(0), '1', Duration::from_millis(160), EVENTS);
        sender.press(Mono(0), '1', Duration::from_millis(80), EVENTS);
        let mut sequences = Vec::new();
        for ms in 0..1_000 {
            let now = Mono(ms * 1_000_000);
            let due = sender.poll_timeout().is_some_and(|(at, _)| at <= now);
            let Some(packet) = sender.on_timeout(now, 9) else { continue };
            assert!(due && ms >= 60);
            sequences.push(Rtp::parse(&packet).unwrap().sequence());
            phone.hear(now, &packet);
        }
        assert_eq!(phone.1, "1160 180 ");
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
        assert_eq!(sender.poll_timeout(), None);
    }

    #[test]
    fn audio_that_stops_in_the_middle_of_a_key_ends_it() {
        let (mut sender, mut phone) = (Sender::default(), Phone::default());
        sender.press(Mono(0), '7', Duration::from_millis(500), EVENTS);
        for n in 0..5 {
            assert!(sender.wants(Mono(u64::from(n) * STEP_NS)));
            phone.hear(Mono(0), &sender.replace(place(n)).unwrap());
        }
        for ms in 80..1_000 {
            if let Some(packet) = sender.on_timeout(Mono(ms * 1_000_000), 9) {
                assert_eq!(Rtp::parse(&packet).unwrap().ssrc(), 7, "no other stream for the rest of a key");
                phone.hear(Mono(ms * 1_000_000), &packet);
            }
        }
        assert_eq!(phone.1, "7100 ");
    }

    #[test]
    fn what_the_other_side_tells_itself_is_forgotten() {
        let mut sender = Sender::default();
        for key in "121".chars() {
            sender.press(Mono(0), key, Duration::from_millis(100), EVENTS);
        }
        sender.forget(1);
        assert_eq!(sender.waiting.len(), 1);
    }
}
