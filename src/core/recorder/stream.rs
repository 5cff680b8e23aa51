//! One RTP stream (SSRC) and its place on the timeline.
//!
//! A stream is *anchored*: the difference between its timestamps and the recording's samples is settled once, then every
//! packet goes where its timestamp says, so jitter moves nothing. The anchor is the smallest delay seen among the
//! packets of the first [`SETTLE`] (they are held back so long), so a first packet that came late shifts nothing.
//!
//! A packet whose timestamp and arrival disagree by more than [`STEADY`] allows is held back too. When a newer packet
//! agrees with the anchor, it was a burst after a stall: all go where their timestamps say. When none does within
//! [`SETTLE`], the sender paused its timestamps, jumped or started again: the stream is anchored anew by arrival. A
//! marker bit, the start of a talk spurt (RFC 3551 §4.1), makes the rule stricter ([`SPURT`]): there a correction
//! costs nothing.
//!
//! The clocks of two hosts drift apart (200 ppm are 120 ms in ten minutes). The smallest delay of every [`WATCH`] shows
//! it; when two in a row are off by more than [`DRIFT`], the anchor moves by the smaller of them.

use crate::limits;
use crate::wire::codec::Codec;
use crate::wire::codec::g711::RATE;

use super::gaps::Cause;
use super::ordered::Ordered;
use super::sequence::{Order, Sequence};
use super::track::Track;
use super::{SAMPLES_PER_MS, SideStats};

const MS: i64 = SAMPLES_PER_MS as i64;
/// Shorter than the reorder window, so that what is held back is still in time.
const SETTLE: i64 = 240 * MS;
/// A packet later than this is not from a stall that ended, its timestamp is wrong.
const STALL: i64 = 5_000 * MS;
/// Three windows are the longest reaction time; at 500 ppm they are 4.5 ms.
const WATCH: i64 = 3_000 * MS;
/// Fewer packets in a window say nothing of the smallest delay.
const WATCH_PACKETS: u32 = 20;
/// More than jitter leaves in the smallest of so many delays, less than a packet.
const DRIFT: i64 = 14 * MS;

/// The longest delay of a decoder, Opus with 6.5 ms.
const LOOK_AHEAD: i64 = 7 * MS;
/// First windows after a stream was anchored, shorter: an anchor that jitter put late is found soon.
const YOUNG: u8 = 3;
const YOUNG_WATCH: i64 = 1_000 * MS;

/// How far arrival may be from where the timestamp says, in samples.
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    /// Arrived later than its timestamp.
    late: i64,
    /// Arrived earlier, which no network does: only a wrong anchor or a sender that jumps.
    early: i64,
}

const STEADY: Tolerance = Tolerance { late: 200 * MS, early: 100 * MS };
const SPURT: Tolerance = Tolerance { late: 20 * MS, early: 20 * MS };

impl Tolerance {
    fn allows(self, delay: i64) -> bool {
        (-self.early..=self.late).contains(&delay)
    }
}

/// One packet as the stream sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    /// Arrival in samples since the answer; negative before it.
    pub(super) at: i64,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: &'a [u8],
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// Arrival of the last packet, in samples since the answer.
    pub(super) last_at: i64,
    sequence: Option<Sequence>,
    /// Last timestamp, and the same without wrapping, in units of `rate`.
    clock: Option<(u32, i64)>,
    /// RTP clock of the codec in use.
    rate: u32,
    /// Decoder of a codec that keeps state, and the packets that wait for it.
    ordered: Option<Box<Ordered>>,
    /// Position of unwrapped timestamp 0.
    anchor: Option<i64>,
    held: Held,
    drift: Drift,
    /// What packets without audio said since the last with audio.
    silence: Option<Cause>,
}

impl Stream {
    pub(super) fn new(ssrc: u32) -> Stream {
        Stream {
            ssrc,
            last_at: i64::MIN,
            sequence: None,
            clock: None,
            rate: RATE,
            ordered: None,
            anchor: None,
            held: Held::default(),
            drift: Drift::default(),
            silence: None,
        }
    }

    /// A packet with audio.
    pub(super) fn on_audio(&mut self, packet: Packet<'_>, codec: Codec, track: &mut Track, stats: &mut SideStats) {
        self.last_at = packet.at;
        let Some(length) = codec.duration(packet.payload).map(|units| i64::from(units * RATE / codec.clock())) else {
            stats.undecodable += 1;
            self.on_silence(packet, Cause::Codec, (packet.at, packet.at + super::UNKNOWN_PACKET), track, stats);
            return;
        };
        if codec.clock() != self.rate {
            // RFC 7160: timestamps before and after have nothing in common.
            self.finish(track, stats);
            (self.rate, self.clock, self.anchor) = (codec.clock(), None, None);
        }
        let before = self.clock;
        let time = self.unwrap(packet.timestamp);
        let order = self.order(packet.sequence, before.map(|(_, last)| time - self.samples(last)));
        if order == Order::Duplicate {
            self.clock = before;
            stats.duplicates += 1;
            return;
        }
        let piece = Piece { at: packet.at, time, length, sequence: packet.sequence, order, codec };
        let Some(anchor) = self.anchor else {
            self.hold(piece, packet.payload, STEADY, track, stats);
            return;
        };
        let tolerance = match (self.held.tolerance(), packet.marker) {
            (Some(held), _) => held,
            (None, true) => SPURT,
            (None, false) => STEADY,
        };
        let delay = piece.at - (anchor + time);
        if !tolerance.allows(delay) {
            self.hold(piece, packet.payload, tolerance, track, stats);
            return;
        }
        if order != Order::Reordered && self.held.since().is_some() {
            self.release(track, stats);
        }
        self.place(piece, packet.payload, track, stats);
        self.watch(piece, delay, track, stats);
    }

    /// A packet whose time is silence: key presses, comfort noise, a format we cannot decode. `since`: where the silence
    /// began as far as the packet itself says; it reaches to `until`.
    pub(super) fn on_silence(
        &mut self,
        packet: Packet<'_>,
        cause: Cause,
        (since, until): (i64, i64),
        track: &mut Track,
        stats: &mut SideStats,
    ) {
        let before = std::mem::replace(&mut self.last_at, packet.at);
        let order = self.order(packet.sequence, None);
        if order == Order::Duplicate {
            return;
        }
        if let Some(ordered) = &mut self.ordered {
            ordered.pass(packet.at, packet.sequence, track, stats);
        }
        self.silence = self.silence.max(Some(cause));
        if order == Order::Next {
            track.explain(track.heard_to().map_or(before, |end| end as i64), packet.at, cause);
        }
        track.explain(since, until, cause);
    }

    /// What the silence after the last packet is, if the sender said so.
    pub(super) fn silence(&self) -> Option<Cause> {
        self.silence
    }

    /// Time has come to `at`: what was held back long enough is placed.
    pub(super) fn on_time(&mut self, at: i64, track: &mut Track, stats: &mut SideStats) {
        if self.held.since().is_some_and(|since| at - since >= SETTLE) {
            self.settle(track, stats);
        }
        if let Some(ordered) = &mut self.ordered {
            ordered.on_time(at, track, stats);
        }
    }

    /// The stream is over, or gives way to another.
    pub(super) fn finish(&mut self, track: &mut Track, stats: &mut SideStats) {
        self.settle(track, stats);
        if let Some(ordered) = &mut self.ordered {
            ordered.flush(track, stats);
        }
    }

    /// Samples of so many units of the RTP clock.
    fn samples(&self, units: i64) -> i64 {
        units * i64::from(RATE) / i64::from(self.rate)
    }

    /// The timestamp in samples, without wrapping.
    fn unwrap(&mut self, timestamp: u32) -> i64 {
        let time = match self.clock {
            None => 0,
            // The difference as a signed number survives the wrap at 2^32 (RFC 3550 §5.1).
            Some((last, time)) => time + i64::from(timestamp.wrapping_sub(last) as i32),
        };
        self.clock = Some((timestamp, time));
        self.samples(time)
    }

    /// `step`: how far the timestamp moved. A number seen before with a timestamp far away is no copy but a restart.
    fn order(&mut self, sequence: u16, step: Option<i64>) -> Order {
        let order = match &mut self.sequence {
            None => Order::Fresh,
            Some(known) => known.order(sequence),
        };
        let restarted = order == Order::Duplicate && step.is_some_and(|s| s.abs() > 2_000 * MS);
        if order == Order::Fresh || restarted {
            self.sequence = Some(Sequence::new(sequence));
            return Order::Fresh;
        }
        order
    }

    fn hold(&mut self, piece: Piece, payload: &[u8], tolerance: Tolerance, track: &mut Track, stats: &mut SideStats) {
        self.held.push(piece, payload, tolerance);
        let waited = self.held.since().map_or(0, |since| piece.at - since);
        if waited >= SETTLE || self.held.is_full() {
            self.settle(track, stats);
        }
    }

    /// The anchor is right after all: what was held because it came late goes where its timestamps say.
    fn release(&mut self, track: &mut Track, stats: &mut SideStats) {
        let held = std::mem::take(&mut self.held);
        let anchor = self.anchor.unwrap_or_default();
        for (piece, payload) in held.iter() {
            if (0..=STALL).contains(&(piece.at - (anchor + piece.time))) {
                self.place(piece, payload, track, stats);
            } else {
                stats.misplaced += 1;
            }
        }
    }

    /// Anchors the stream by the smallest delay among what is held, and places that.
    fn settle(&mut self, track: &mut Track, stats: &mut SideStats) {
        let held = std::mem::take(&mut self.held);
        let Some(anchor) = held.anchor() else {
            self.held = held;
            return;
        };
        if self.anchor.is_some() {
            stats.anchored_anew += 1;
        }
        self.anchor = Some(anchor);
        self.drift = Drift::default();
        let mut pieces: Vec<(Piece, &[u8])> = held.iter().collect();
        if pieces.iter().any(|(piece, _)| piece.codec.law().is_none()) {
            // Jitter may have brought the second before the first.
            pieces.sort_by_key(|(piece, _)| piece.time);
        }
        for (piece, payload) in pieces {
            let delay = piece.at - (anchor + piece.time);
            if STEADY.allows(delay) {
                self.place(piece, payload, track, stats);
                self.drift.observe(piece.at, delay);
            } else {
                stats.misplaced += 1;
            }
        }
    }

    fn place(&mut self, piece: Piece, payload: &[u8], track: &mut Track, stats: &mut SideStats) {
        if piece.at < 0 {
            // Sent before the answer: good for the anchor, not for the file.
            return;
        }
        let Some(anchor) = self.anchor else { return };
        let mut position = anchor + piece.time;
        let mut heard_to = track.heard_to().map(|end| end as i64);
        if piece.codec.law().is_none() {
            let ordered = self.ordered(piece.codec, track, stats);
            position -= ordered.delay();
            heard_to = heard_to.map(|end| end.max(ordered.came_to()));
        }
        if let Some(heard_to) = heard_to
            && position > heard_to
        {
            let gap = position - heard_to;
            let silence = self.silence.unwrap_or(Cause::Dtx);
            match piece.order {
                // The last codec looked ahead further than this one: nothing is missing.
                Order::Next if self.ordered.is_some() && gap <= LOOK_AHEAD => {
                    track.stretch(heard_to as u64, gap as usize)
                }
                Order::Next => track.explain(heard_to, position, silence),
                Order::After(missing) => {
                    let lost = i64::from(missing) * piece.length;
                    let cause = if lost * 2 >= gap { Cause::Loss } else { silence };
                    track.explain(heard_to, position, cause);
                }
                Order::Fresh | Order::Reordered | Order::Duplicate => {}
            }
        }
        if piece.order != Order::Reordered {
            self.silence = None;
        }
        let Some(law) = piece.codec.law() else {
            return self.ordered(piece.codec, track, stats).push(piece, position, payload, track, stats);
        };
        stats.audio += 1;
        stats.note(track.place(position, payload, law.table()));
    }

    /// The decoder of this codec; the one of another has had its time.
    fn ordered(&mut self, codec: Codec, track: &mut Track, stats: &mut SideStats) -> &mut Ordered {
        if let Some(ordered) = &mut self.ordered
            && ordered.codec() != codec
        {
            ordered.flush(track, stats);
            self.ordered = None;
        }
        self.ordered.get_or_insert_with(|| Box::new(Ordered::new(codec)))
    }

    fn watch(&mut self, piece: Piece, delay: i64, track: &mut Track, stats: &mut SideStats) {
        let (Some(step), Some(anchor)) = (self.drift.observe(piece.at, delay), self.anchor) else { return };
        let ahead = self.ordered.as_ref().filter(|_| piece.codec.law().is_none()).map_or(0, |ordered| ordered.delay());
        let end = anchor + piece.time + piece.length - ahead;
        if step > 0 && track.heard_to() == u64::try_from(end).ok() {
            track.stretch(end as u64, step as usize);
        }
        self.anchor = Some(anchor + step);
        stats.drift_steps += 1;
    }
}

/// A packet without its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Arrival.
    pub(super) at: i64,
    /// Unwrapped timestamp, in samples.
    pub(super) time: i64,
    /// What it stands for, in samples.
    pub(super) length: i64,
    pub(super) sequence: u16,
    pub(super) order: Order,
    pub(super) codec: Codec,
}

/// Packets held back, payloads in one buffer.
#[derive(Debug, Default)]
struct Held {
    pieces: Vec<(Piece, usize)>,
    payloads: Vec<u8>,
    tolerance: Option<Tolerance>,
}

impl Held {
    fn push(&mut self, piece: Piece, payload: &[u8], tolerance: Tolerance) {
        self.tolerance.get_or_insert(tolerance);
        self.payloads.extend_from_slice(payload);
        self.pieces.push((piece, self.payloads.len()));
    }

    fn tolerance(&self) -> Option<Tolerance> {
        self.tolerance
    }

    fn since(&self) -> Option<i64> {
        self.pieces.first().map(|(piece, _)| piece.at)
    }

    fn is_full(&self) -> bool {
        self.pieces.len() >= limits::RECORDER_HELD
    }

    /// Smallest delay among those that agree with the first; one that jumps by itself must not decide.
    fn anchor(&self) -> Option<i64> {
        let offset = |(piece, _): &(Piece, usize)| piece.at - piece.time;
        let first = self.pieces.first().map(offset)?;
        self.pieces.iter().map(offset).filter(|o| (o - first).abs() <= STEADY.late).min()
    }

    fn iter(&self) -> impl Iterator<Item = (Piece, &[u8])> {
        let starts = std::iter::once(0).chain(self.pieces.iter().map(|(_, end)| *end));
        self.pieces
            .iter()
            .zip(starts)
            .map(|(&(piece, end), start)| (piece, self.payloads.get(start..end).unwrap_or_default()))
    }
}

/// Smallest delay of the running window and of the one before.
#[derive(Debug, Default)]
struct Drift {
    /// Start of the window, smallest delay, packets.
    window: Option<(i64, i64, u32)>,
    before: Option<i64>,
    /// Windows so far, up to [`YOUNG`].
    age: u8,
}

impl Drift {
    /// How far the anchor has to move, when two windows agree that it has to.
    fn observe(&mut self, at: i64, delay: i64) -> Option<i64> {
        let (start, smallest, packets) = self.window.unwrap_or((at, delay, 0));
        let (smallest, packets) = (smallest.min(delay), packets.saturating_add(1));
        let is_young = self.age < YOUNG;
        let watch = if is_young { YOUNG_WATCH } else { WATCH };
        if at - start < watch || packets < WATCH_PACKETS {
            self.window = Some((start, smallest, packets));
            return None;
        }
        self.window = None;
        if is_young {
            // No network is faster than itself: what comes earlier than the anchor says shows where it belongs.
            self.age += 1;
            return Some(smallest).filter(|early| *early < -MS);
        }
        let before = self.before.replace(smallest)?;
        let step = match (before, smallest) {
            (a, b) if a > DRIFT && b > DRIFT => a.min(b),
            (a, b) if a < -DRIFT && b < -DRIFT => a.max(b),
            _ => return None,
        };
        self.before = None;
        Some(step)
    }
}
