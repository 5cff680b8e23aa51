//! Content: a known signal of each side is looked for in its own channel, sample by sample.

mod bounds;
mod content;
mod filled;
mod gap_map;
mod pauses;
mod rows;
mod table;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::time::Wall;
use crate::wire::codec::g711::Law;

pub(super) const MS: i64 = 8;

/// One packet on its way, times in samples (125 µs).
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) arrival: i64,
    pub(super) side: Side,
    pub(super) bytes: Vec<u8>,
    /// Where its audio is due by the sender's clock; `None` when it has none or is lost on the way.
    pub(super) due: Option<(i64, Vec<i16>)>,
}

/// A phone: a noise of its own, coded, cut into packets.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    pub(super) side: Side,
    pub(super) seed: u32,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) payload_type: u8,
    pub(super) law: Law,
    pub(super) ptime: i64,
    /// When the next packet is sent.
    pub(super) clock: i64,
    pub(super) sent: Vec<Wire>,
}

impl Phone {
    pub(super) fn new(side: Side, start: i64) -> Phone {
        Phone {
            side,
            seed: 77 + side.index() as u32 * 1_000_003,
            ssrc: 0x1000 + side.index() as u32,
            sequence: 500,
            timestamp: 0x8000_0000,
            payload_type: 0,
            law: Law::Mu,
            ptime: 20 * MS,
            clock: start,
            sent: Vec::new(),
        }
    }

    /// Talks for so many packets.
    pub(super) fn talk(&mut self, packets: usize) -> &mut Phone {
        for _ in 0..packets {
            let codes: Vec<u8> = (0..self.ptime).map(|_| self.code()).collect();
            let audio = codes.iter().map(|c| self.law.decode(*c)).collect();
            let due = Some((self.clock, audio));
            self.send(self.payload_type, false, &codes, due);
            self.timestamp = self.timestamp.wrapping_add(self.ptime as u32);
            self.clock += self.ptime;
        }
        self
    }

    /// Sends one packet of any kind now; the timestamp stays.
    pub(super) fn send(&mut self, payload_type: u8, marker: bool, payload: &[u8], due: Option<(i64, Vec<i16>)>) {
        let bytes = rtp(payload_type, marker, self.sequence, self.timestamp, self.ssrc, payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.sent.push(Wire { arrival: self.clock, side: self.side, bytes, due });
    }

    /// Time passes in silence.
    pub(super) fn pause(&mut self, samples: i64, timestamps_go_on: bool) -> &mut Phone {
        self.clock += samples;
        if timestamps_go_on {
            self.timestamp = self.timestamp.wrapping_add(samples as u32);
        }
        self
    }

    pub(super) fn draw(&mut self) -> u32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        self.seed
    }

    /// A code of moderate level that is never a zero.
    fn code(&mut self) -> u8 {
        let r = self.draw();
        (r & 0x80) as u8 | (0x30 + (r >> 8 & 0x3f) as u8)
    }

    /// Changes what was sent so far on its way.
    pub(super) fn network(&mut self, mut change: impl FnMut(usize, &mut Wire, u32)) -> &mut Phone {
        let mut sent = std::mem::take(&mut self.sent);
        for (k, wire) in sent.iter_mut().enumerate() {
            let r = self.draw();
            change(k, wire, r);
        }
        self.sent = sent;
        self
    }

    /// The same with the wires that the filter keeps; lost ones are due no more.
    pub(super) fn lose(&mut self, mut is_lost: impl FnMut(usize, u32) -> bool) -> &mut Phone {
        let mut k = 0;
        let mut seed = self.seed | 1;
        self.sent.retain(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            k += 1;
            !is_lost(k - 1, seed)
        });
        self
    }
}

pub(super) fn rtp(pt: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, pt | if marker { 0x80 } else { 0 }];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(super) fn format(payload_type: u8, name: &str) -> PayloadFormat {
    PayloadFormat { payload_type, name: Arc::from(name), clock_rate: 8_000, channels: 1 }
}

/// Any instant; far enough from zero that there is a time before the answer.
pub(super) const STARTED: Now = Now { mono: Mono(3_600_000_000_000), wall: Wall(1_800_000_000_000_000) };

pub(super) fn mono(samples: i64) -> Mono {
    Mono((STARTED.mono.0 as i64 + samples * 125_000) as u64)
}

/// What came out.
pub(super) struct Heard {
    pub(super) channels: [Vec<i16>; 2],
    pub(super) summary: Summary,
    pub(super) sent: Vec<Wire>,
}

/// Something signalling says in mid-call.
pub(super) type Word = (i64, Side, Vec<PayloadFormat>, Option<Flowing>);

/// Plays phones into a recorder that is ticked every 20 ms, to a talk of `length` samples.
pub(super) fn record(phones: &[&Phone], words: &[Word], length: i64) -> Heard {
    record_in(Recorder::new(STARTED), phones, words, length)
}

/// The same with this recorder.
pub(super) fn record_in(mut recorder: Recorder, phones: &[&Phone], words: &[Word], length: i64) -> Heard {
    let mut sent: Vec<Wire> = phones.iter().flat_map(|p| p.sent.clone()).collect();
    sent.sort_by_key(|w| w.arrival);
    let mut all = Vec::new();
    let mut out = Vec::new();
    let mut words = words.iter().peekable();
    let mut wires = sent.iter().filter(|w| w.arrival <= length).peekable();
    let mut at = -2_000 * MS;
    while at < length {
        at += 20 * MS;
        while let Some((when, side, formats, flowing)) = words.next_if(|w| w.0 <= at) {
            recorder.on_formats(mono(*when), *side, formats, *flowing);
        }
        while let Some(wire) = wires.next_if(|w| w.arrival <= at) {
            recorder.on_rtp(mono(wire.arrival), wire.side, &wire.bytes);
        }
        while recorder.tick(mono(at), &mut out) > 0 {
            all.extend_from_slice(&out);
        }
    }
    while recorder.drain(mono(length), &mut out) > 0 {
        all.extend_from_slice(&out);
    }
    let summary = recorder.finish(u64::MAX);
    assert_eq!(summary.frames as i64, length, "as long as the talk");
    assert_eq!(all.len() as i64, length * 2);
    let channels = [0, 1].map(|c| all.iter().skip(c).step_by(2).copied().collect());
    Heard { channels, summary, sent }
}

impl Heard {
    /// Every packet that arrived is in its channel, at the place its sender meant plus one and the same `shift` for
    /// all, and nowhere in the other channel. Returns the shift, in samples.
    pub(super) fn aligned(&self, side: Side) -> i64 {
        let places = self.places(side, 1_600);
        let (_, first) = places[0];
        let first = first.expect("the first packet is in the recording");
        for (due, shift) in &places {
            assert_eq!(*shift, Some(first), "{side:?}: packet due at {due} ({} ms)", due / MS);
        }
        self.no_crosstalk(side);
        first
    }

    /// For each packet that arrived (once, and within the talk) its due place and how far from it it was found.
    pub(super) fn places(&self, side: Side, reach: i64) -> Vec<(i64, Option<i64>)> {
        let channel = &self.channels[side.index()];
        let mut known = 0;
        let mut due: Vec<_> = self.sent.iter().filter(|w| w.side == side).filter_map(|w| w.due.clone()).collect();
        due.sort_by_key(|d| d.0);
        due.dedup();
        due.iter()
            .filter(|(due, audio)| *due >= 0 && due + audio.len() as i64 + 30 * MS < channel.len() as i64)
            .map(|(due, audio)| {
                let is_at = |shift: i64| {
                    let at = due + shift;
                    at >= 0 && channel.get(at as usize..at as usize + audio.len()) == Some(audio.as_slice())
                };
                let around = (0..=reach).flat_map(|d| [d, -d]);
                let shift = std::iter::once(known).chain(around).find(|shift| is_at(*shift));
                known = shift.unwrap_or(known);
                (*due, shift)
            })
            .collect()
    }

    pub(super) fn no_crosstalk(&self, side: Side) {
        let other = &self.channels[side.other().index()];
        let heard: std::collections::HashSet<&[i16]> = other.windows(24).collect();
        for (_, audio) in self.sent.iter().filter(|w| w.side == side).filter_map(|w| w.due.as_ref()) {
            assert!(!heard.contains(&audio[..24.min(audio.len())]), "{side:?} is heard in the other channel");
        }
    }

    /// `(at_ms, for_ms, cause)` of a channel's gaps.
    pub(super) fn gaps(&self, side: Side) -> Vec<(u64, u64, &str)> {
        let of_side = self.summary.gaps.iter().filter(|g| g.channel == side);
        of_side.map(|g| (g.at_ms, g.for_ms, g.cause.as_str())).collect()
    }

    pub(super) fn stats(&self, side: Side) -> SideStats {
        match side {
            Side::Caller => self.summary.stats.caller,
            Side::Company => self.summary.stats.company,
        }
    }
}

#[test]
fn the_next_block_is_announced() {
    let mut recorder = Recorder::new(STARTED);
    let mut out = Vec::new();
    let (at, _) = recorder.poll_timeout();
    assert_eq!(at, STARTED.mono + limits::RECORDER_BLOCK + limits::RECORDER_REORDER);
    assert_eq!(recorder.tick(at - Duration::from_millis(1), &mut out), 0);
    assert_eq!(recorder.tick(at, &mut out), BLOCK as usize);
    assert_eq!(out, vec![0; BLOCK as usize * 2]);
    assert_eq!(recorder.tick(at, &mut out), 0);
    assert_eq!(recorder.poll_timeout().0, at + limits::RECORDER_BLOCK);
}
