//! Packets of a codec that keeps state (G.722, Opus) on their way to their places: decoded in the order of their
//! sequence numbers, because a decoder that is fed out of order clicks and forgets.
//!
//! A packet whose predecessor is missing waits for it, at most [`WAIT`]. That is shorter than what is left of the reorder
//! window after the longest hold of `stream`, so that what waited is still in time. What comes after its successor was
//! decoded is late.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;
use crate::wire::codec::Codec;
use crate::wire::codec::g711::RATE;
use crate::wire::codec::speech::Decoder;

use super::gaps::Cause;
use super::sequence::Order;
use super::stream::Piece;
use super::track::Track;
use super::{SAMPLES_PER_MS, SideStats};

/// Longest wait for a missing packet, in samples.
const WAIT: i64 = 120 * SAMPLES_PER_MS as i64;
/// A decoder is kept in step over so much loss, in samples; after more it has faded out anyway.
const CONCEALED: usize = 120 * SAMPLES_PER_MS as usize;
// With the 240 ms that a stream is held back at most, it fits into the reorder window.
const _: () = assert!(Duration::from_millis(120 + 240).as_millis() < limits::RECORDER_REORDER.as_millis());

/// One stream's decoder and what waits for it.
#[derive(Debug)]
pub(super) struct Ordered {
    codec: Codec,
    decoder: Option<Decoder>,
    /// Sequence number that is decoded next.
    next: Option<u16>,
    /// By sequence number.
    waiting: VecDeque<Waiting>,
    samples: Vec<i16>,
    /// End of what was decoded last, and of what came furthest; samples since the answer.
    decoded_to: Option<i64>,
    came_to: i64,
}

#[derive(Debug)]
struct Waiting {
    at: i64,
    sequence: u16,
    position: i64,
    length: i64,
    /// Empty: a packet without audio that took this number.
    payload: Vec<u8>,
}

impl Ordered {
    pub(super) fn new(codec: Codec) -> Ordered {
        let decoder = Decoder::new(codec, RATE);
        let next = None;
        Ordered { codec, decoder, next, waiting: VecDeque::new(), samples: Vec::new(), decoded_to: None, came_to: 0 }
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples by which decoded audio is later than its timestamps say.
    pub(super) fn delay(&self) -> i64 {
        self.decoder.as_ref().map_or(0, |decoder| i64::from(decoder.delay()))
    }

    /// Where what came ends, decoded or not.
    pub(super) fn came_to(&self) -> i64 {
        self.came_to
    }

    /// A packet with audio that is due at `position`.
    pub(super) fn push(
        &mut self,
        piece: Piece,
        position: i64,
        payload: &[u8],
        track: &mut Track,
        stats: &mut SideStats,
    ) {
        if piece.order == Order::Fresh {
            self.flush(track, stats);
            (self.next, self.decoded_to) = (None, None);
        }
        stats.audio += 1;
        let Piece { at, sequence, length, .. } = piece;
        self.came_to = self.came_to.max(position + length);
        self.come(Waiting { at, sequence, position, length, payload: payload.to_vec() }, track, stats);
    }

    /// A packet without audio had this number.
    pub(super) fn pass(&mut self, at: i64, sequence: u16, track: &mut Track, stats: &mut SideStats) {
        if self.next.is_some() {
            self.come(Waiting { at, sequence, position: at, length: 0, payload: Vec::new() }, track, stats);
        }
    }

    /// Time has come to `at`.
    pub(super) fn on_time(&mut self, at: i64, track: &mut Track, stats: &mut SideStats) {
        while self.waiting.front().is_some_and(|first| at - first.at >= WAIT || self.is_full()) {
            self.take_first(track, stats);
        }
    }

    /// Nothing that is missing will come any more.
    pub(super) fn flush(&mut self, track: &mut Track, stats: &mut SideStats) {
        while !self.waiting.is_empty() {
            self.take_first(track, stats);
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= limits::RECORDER_HELD
    }

    fn come(&mut self, packet: Waiting, track: &mut Track, stats: &mut SideStats) {
        let next = *self.next.get_or_insert(packet.sequence);
        let at = packet.at;
        let ahead = |sequence: u16| sequence.wrapping_sub(next).cast_signed();
        if ahead(packet.sequence) < 0 {
            if packet.length > 0 {
                stats.late += 1;
                track.explain(packet.position, packet.position + packet.length, Cause::Late);
            }
            return;
        }
        let place = self.waiting.partition_point(|other| ahead(other.sequence) < ahead(packet.sequence));
        self.waiting.insert(place, packet);
        while self.waiting.front().is_some_and(|first| Some(first.sequence) == self.next) {
            self.take_first(track, stats);
        }
        self.on_time(at, track, stats);
    }

    fn take_first(&mut self, track: &mut Track, stats: &mut SideStats) {
        let Some(packet) = self.waiting.pop_front() else { return };
        let is_after_loss = self.next.replace(packet.sequence.wrapping_add(1)) != Some(packet.sequence);
        if packet.payload.is_empty() {
            return;
        }
        self.samples.clear();
        if let (true, Some(before), Some(decoder)) = (is_after_loss, self.decoded_to, &mut self.decoder) {
            let lost = usize::try_from(packet.position - before).unwrap_or_default();
            if track.fills() && lost <= CONCEALED {
                decoder.recover(&packet.payload, lost, &mut self.samples);
                track.place_made(before, &self.samples);
            } else {
                decoder.lose(lost.min(CONCEALED), &mut self.samples);
            }
            self.samples.clear();
        }
        self.decoded_to = Some(packet.position + packet.length);
        let decoded = self.decoder.as_mut().is_some_and(|d| d.decode(&packet.payload, &mut self.samples).is_ok());
        if decoded {
            stats.note(track.place_samples(packet.position, &self.samples));
        } else {
            stats.undecodable += 1;
            track.explain(packet.position, packet.position + packet.length, Cause::Codec);
        }
    }
}
