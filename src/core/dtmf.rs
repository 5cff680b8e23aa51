//! Key presses in RTP (RFC 4733) → digits, each told once, with its length.
//!
//! One press is many packets: its start with the marker, the same with a growing duration, its end three times. Any of
//! them may be lost, late or double. What belongs to one press: the same SSRC, timestamp and event. Beyond that:
//!
//! * the end was lost: another press, or [`limits::DTMF_END_LOST`] without a packet, ends it;
//! * a press longer than the duration's 16 bits goes on in a new segment, whose timestamp is where the last one ended
//!   (§2.5.1.3), or, from senders that know no better, with a duration that wraps under the old timestamp;
//! * the sender's SSRC changes in mid-press, or its timestamp moves with every packet: without a marker, with the same
//!   event and soon after, it is the same press.
//!
//! Events above 15 (flash, tones of a fax) are no digits. They end the press before them.

pub mod inband;
pub mod info;
pub mod sender;
pub mod tones;

use std::time::Duration;

use crate::limits;
use crate::time::{Mono, Wakeup};

/// One press of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub key: char,
    /// When it was pressed.
    pub at: Mono,
    pub length: Duration,
}

/// The key of an event code (RFC 4733 §3.2, table 3).
pub fn key(event: u8) -> Option<char> {
    b"0123456789*#ABCD".get(usize::from(event)).map(|key| char::from(*key))
}

/// The event code of a key.
pub fn event(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    (0..16).find(|event| self::key(*event) == Some(key))
}

/// One packet of an event, as the RTP header has it.
#[derive(Clone, Copy, Debug)]
pub struct EventPacket<'a> {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    /// Of the payload type; durations count in it.
    pub clock_rate: u32,
    pub payload: &'a [u8],
}

/// Looks at one side's event packets.
#[derive(Debug, Default)]
pub struct Detector {
    press: Option<Press>,
}

#[derive(Debug)]
struct Press {
    event: u8,
    ssrc: u32,
    timestamp: u32,
    /// Highest seen.
    sequence: u16,
    clock_rate: u32,
    /// Units in the segments before.
    before: u32,
    duration: u16,
    at: Mono,
    last_at: Mono,
    /// Known as a digit already: what still comes is a copy.
    told: bool,
}

/// How a packet follows the press before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// It is of this press.
    Same,
    /// It is of this press, and counts from where the last packet stood.
    Segment,
    /// It came too late to matter.
    Old,
    /// Another press.
    Other,
}

/// A segment of less than half the counter's range is another press.
const SEGMENT_MIN: i32 = 0x8000;
const SEGMENT_MAX: i32 = 0x1_0000;

impl Detector {
    /// One packet that arrived at `at`. Tells at most two digits: one whose end was lost, and the one of this packet.
    pub fn on_packet(&mut self, at: Mono, packet: &EventPacket<'_>, mut tell: impl FnMut(Digit)) {
        let [event, flags, high, low, ..] = *packet.payload else { return };
        let (is_end, duration) = (flags & 0x80 != 0, u16::from_be_bytes([high, low]));
        if key(event).is_none() {
            return self.give_up().into_iter().for_each(tell);
        }
        let follows = self.press.as_ref().map_or(Follows::Other, |press| press.follows(at, event, is_end, packet));
        match (follows, &mut self.press) {
            (Follows::Old, _) => return,
            (Follows::Same, Some(press)) => press.go_on(at, duration, packet),
            (Follows::Segment, Some(press)) => {
                let by_timestamp = packet.timestamp.wrapping_sub(press.timestamp);
                let passed = if packet.ssrc == press.ssrc { by_timestamp } else { u32::from(press.duration) };
                press.before = press.before.saturating_add(passed);
                press.duration = duration;
                press.take(at, packet);
            }
            _ => {
                self.give_up().into_iter().for_each(&mut tell);
                self.press = Some(Press::new(at, event, duration, packet));
            }
        }
        if is_end {
            self.give_up().into_iter().for_each(tell);
        }
    }

    /// The key that is down, or was last, and when it was heard last.
    pub fn last(&self) -> Option<(char, Mono)> {
        let press = self.press.as_ref()?;
        Some((key(press.event)?, press.last_at))
    }

    /// When a press is over although nobody said so.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let press = self.press.as_ref().filter(|press| !press.told)?;
        Some((press.last_at + limits::DTMF_END_LOST, "dtmf_end"))
    }

    /// Time has come to `now`.
    pub fn on_timeout(&mut self, now: Mono) -> Option<Digit> {
        let due = self.poll_timeout().is_some_and(|(at, _)| at <= now);
        if due { self.give_up() } else { None }
    }

    /// The press is over. It stays in mind, for copies of its end.
    fn give_up(&mut self) -> Option<Digit> {
        let press = self.press.as_mut().filter(|press| !press.told)?;
        press.told = true;
        Some(Digit { key: key(press.event)?, at: press.at, length: press.length() })
    }
}

impl Press {
    fn new(at: Mono, event: u8, duration: u16, packet: &EventPacket<'_>) -> Press {
        let mut press = Press {
            event,
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
            sequence: packet.sequence,
            clock_rate: packet.clock_rate.max(1),
            before: 0,
            duration,
            at,
            last_at: at,
            told: false,
        };
        // The first packet that we see says how long the key has been down.
        press.at = at - press.length();
        press
    }

    fn length(&self) -> Duration {
        let units = u64::from(self.before) + u64::from(self.duration);
        // Of a sender that counts nothing: what our clock says.
        let counted = (units > 0).then(|| Duration::from_millis(units * 1_000 / u64::from(self.clock_rate)));
        counted.unwrap_or_else(|| self.last_at.since(self.at))
    }

    fn follows(&self, at: Mono, event: u8, is_end: bool, packet: &EventPacket<'_>) -> Follows {
        let ahead = packet.timestamp.wrapping_sub(self.timestamp) as i32;
        let duration = match packet.payload {
            [_, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        let is_soon = at.since(self.last_at) <= limits::DTMF_END_LOST;
        let may_go_on = event == self.event && !packet.marker && is_soon;
        if packet.ssrc != self.ssrc {
            return match (may_go_on, self.told) {
                (true, false) if duration >= self.duration => Follows::Same,
                (true, false) => Follows::Segment,
                (true, true) if is_end => Follows::Same,
                _ => Follows::Other,
            };
        }
        match ahead {
            0 if event == self.event => Follows::Same,
            i32::MIN..0 if is_soon => Follows::Old,
            SEGMENT_MIN..=SEGMENT_MAX if may_go_on && !self.told => Follows::Segment,
            1..SEGMENT_MIN if may_go_on && self.moves(ahead, duration, is_end) => Follows::Same,
            _ => Follows::Other,
        }
    }

    /// The timestamp moved by `ahead` although the press goes on: as much as the duration did, or between copies of its end.
    fn moves(&self, ahead: i32, duration: u16, is_end: bool) -> bool {
        let grown = i32::from(duration) - i32::from(self.duration);
        let slack = i32::try_from(self.clock_rate / 50).unwrap_or(i32::MAX);
        if self.told { is_end && ahead <= 3 * slack } else { (grown > 0 || is_end) && (ahead - grown).abs() <= slack }
    }

    fn go_on(&mut self, at: Mono, duration: u16, packet: &EventPacket<'_>) {
        let is_newer = packet.ssrc != self.ssrc || packet.sequence.wrapping_sub(self.sequence) as i16 > 0;
        if self.told {
            return self.take(at, packet);
        }
        if is_newer && self.duration.saturating_sub(duration) > 0x8000 {
            self.before = self.before.saturating_add(0x1_0000);
            self.duration = duration;
        }
        self.duration = self.duration.max(duration);
        if is_newer {
            self.take(at, packet);
        }
        self.last_at = at;
    }

    fn take(&mut self, at: Mono, packet: &EventPacket<'_>) {
        (self.ssrc, self.timestamp, self.sequence) = (packet.ssrc, packet.timestamp, packet.sequence);
        self.last_at = at;
    }
}

#[cfg(test)]
mod tests;
