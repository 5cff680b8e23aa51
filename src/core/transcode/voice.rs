//! Audio from one codec to another, and the numbers of the stream that comes of it.

use crate::core::dtmf::sender::Place;
use crate::core::recorder::sequence::{Order, Sequence};
use crate::limits::RTP_PACKET;
use crate::wire::codec::Codec;
use crate::wire::codec::speech::{Decoder, Encoder};
use crate::wire::rtp::Rtp;

const HEADER: usize = 12;
/// Longest audio of one packet that is transcoded, in milliseconds.
const LONGEST: u32 = 120;
/// Packet time where the sender's own is none of the target codec, in milliseconds.
const FRAME: u32 = 20;

/// SSRC, sequence number, timestamp and marker of what goes out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    ssrc: u32,
    order: Option<Sequence>,
    /// What is added to sequence numbers: packets that became several, or none.
    offset: u16,
    /// Last timestamp in, with its clock, and out.
    last: Option<(u32, u32, u32)>,
    /// Of the packet at hand.
    sequence: u16,
    timestamp: u32,
    /// The sender was silent: the next packet begins a talk spurt.
    silent: bool,
}

impl Numbers {
    /// A packet comes in whose timestamp counts by `clock`, of a stream that counts by `own` when it goes out. `false`:
    /// it is a copy.
    pub(super) fn on_packet(&mut self, rtp: &Rtp<'_>, clock: u32, own: u32) -> bool {
        if self.last.is_none() || self.ssrc != rtp.ssrc() {
            *self = Numbers { ssrc: rtp.ssrc(), ..Numbers::default() };
        }
        let order = match &mut self.order {
            Some(order) => order.order(rtp.sequence()),
            None => Order::Fresh,
        };
        match order {
            Order::Duplicate => return false,
            Order::Fresh => self.order = Some(Sequence::new(rtp.sequence())),
            Order::Next | Order::After(_) | Order::Reordered => {}
        }
        self.sequence = rtp.sequence().wrapping_add(self.offset);
        let (before, counted, out) = self.last.unwrap_or((rtp.timestamp(), clock, rtp.timestamp()));
        // With another clock nothing can be told from the difference (RFC 7160): one packet has passed.
        let step = if counted == clock {
            let step = i64::from(rtp.timestamp().wrapping_sub(before).cast_signed());
            step * i64::from(own) / i64::from(clock)
        } else {
            i64::from(own / 50)
        };
        self.timestamp = out.wrapping_add(step as u32);
        if order != Order::Reordered {
            // What a division leaves over must not add up: it stays in the timestamp that is remembered.
            let taken = if counted == clock { step * i64::from(clock) / i64::from(own) } else { 0 };
            let remembered = if counted == clock { before.wrapping_add(taken as u32) } else { rtp.timestamp() };
            self.last = Some((remembered, clock, self.timestamp));
        }
        true
    }

    /// The clock that the stream counts by as it comes in.
    pub(super) fn clock(&self) -> Option<u32> {
        self.last.map(|(_, clock, _)| clock)
    }

    /// Of the packet at hand, as it goes out.
    pub(super) fn place(&self) -> Place {
        Place { ssrc: self.ssrc, sequence: self.sequence, timestamp: self.timestamp }
    }

    /// Nothing goes out for the packet at hand.
    pub(super) fn skip(&mut self) {
        self.offset = self.offset.wrapping_sub(1);
        self.silent = true;
    }

    /// Writes the numbers of the packet at hand.
    pub(super) fn stamp(&mut self, packet: &mut [u8], marker: bool) {
        let timestamp = self.timestamp;
        self.stamp_at(packet, marker, timestamp);
    }

    fn stamp_at(&mut self, packet: &mut [u8], marker: bool, timestamp: u32) {
        let silent = std::mem::take(&mut self.silent);
        if let Some([_, second, high, low, time @ ..]) = packet.first_chunk_mut::<8>() {
            *second = *second & 0x7f | if marker || silent { 0x80 } else { 0 };
            [*high, *low] = self.sequence.to_be_bytes();
            *time = timestamp.to_be_bytes();
        }
    }

    /// One more packet goes out for the one at hand.
    fn another(&mut self) {
        self.offset = self.offset.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// Decoders of what comes, the encoder of what goes.
#[derive(Debug)]
pub(super) struct Voice {
    decoders: [Option<Decoder>; Codec::ALL.len()],
    encoder: Encoder,
    codec: Codec,
    payload_type: u8,
    rate: u32,
    samples: Vec<i16>,
    /// Samples that did not fill a packet yet, and the timestamp of the first.
    kept: usize,
    kept_at: u32,
}

impl Voice {
    pub(super) fn new(heard: impl Iterator<Item = Codec>, codec: Codec, payload_type: u8, rate: u32) -> Option<Voice> {
        let mut decoders = [const { None }; Codec::ALL.len()];
        for codec in heard {
            decoders[codec as usize] = Decoder::new(codec, rate);
        }
        let encoder = Encoder::new(codec, rate)?;
        // One packet in, what was kept before, and what rounds up the last frame.
        let samples = Vec::with_capacity((rate * (LONGEST + 2 * FRAME) / 1_000) as usize + RTP_PACKET);
        Some(Voice { decoders, encoder, codec, payload_type, rate, samples, kept: 0, kept_at: 0 })
    }

    /// RTP clock of what goes out.
    pub(super) fn clock(&self) -> u32 {
        self.codec.clock()
    }

    /// Something else takes its turn in the stream.
    pub(super) fn interrupt(&mut self) {
        self.samples.clear();
        self.kept = 0;
    }

    pub(super) fn on_audio(
        &mut self,
        codec: Codec,
        rtp: &Rtp<'_>,
        numbers: &mut Numbers,
        packet: &mut [u8; RTP_PACKET],
        mut send: impl FnMut(&[u8]),
    ) {
        let frame = (self.rate * FRAME / 1_000) as usize;
        let is_longer = codec.duration(rtp.payload()).is_none_or(|units| units > codec.clock() / 1_000 * LONGEST);
        // No frame in it: the sender is silent (RFC 7587 §3.1.3).
        let is_nothing = codec == Codec::Opus && rtp.payload().len() <= 2;
        // What is kept and what comes do not follow each other.
        if self.kept > 0 && self.kept_until() != numbers.timestamp {
            self.interrupt();
        }
        let Some(decoder) = &mut self.decoders[codec as usize] else { return numbers.skip() };
        if is_longer || is_nothing || decoder.decode(rtp.payload(), &mut self.samples).is_err() {
            self.interrupt();
            return numbers.skip();
        }
        let mut at = if self.kept > 0 { self.kept_at } else { numbers.timestamp };
        let (mut start, mut sent) = (0, 0);
        let whole = if self.kept == 0 && self.encoder.takes(self.samples.len()) { self.samples.len() } else { frame };
        while let Some(samples) = self.samples.get(start..start + whole) {
            let room = packet.get_mut(HEADER..).unwrap_or_default();
            let Some(length) = self.encoder.encode(samples, room) else { break };
            packet[0] = 0x80;
            packet[1] = self.payload_type;
            packet[8..12].copy_from_slice(&rtp.ssrc().to_be_bytes());
            if sent > 0 {
                numbers.another();
            }
            numbers.stamp_at(packet, rtp.marker() && sent == 0, at);
            send(packet.get(..HEADER + length).unwrap_or_default());
            start += whole;
            sent += 1;
            at = at.wrapping_add(units(whole, self.codec, self.rate));
        }
        self.samples.drain(..start);
        (self.kept, self.kept_at) = (self.samples.len(), at);
        if sent == 0 {
            let silent = numbers.silent;
            numbers.skip();
            numbers.silent = silent;
        }
        if self.kept > frame {
            // Only an encoder that fails comes here.
            self.interrupt();
        }
    }

    fn kept_until(&self) -> u32 {
        self.kept_at.wrapping_add(units(self.kept, self.codec, self.rate))
    }
}

/// Samples in units of the RTP clock.
fn units(samples: usize, codec: Codec, rate: u32) -> u32 {
    u32::try_from(samples).unwrap_or_default() * (codec.clock() / 1_000) / (rate / 1_000)
}
