//! How good a stream of RTP packets was: loss and jitter as RFC 3550 counts them, and a score a person can read.

use std::time::Duration;

use crate::time::Mono;

/// Sequence numbers further ahead than this are a restart, not a loss (RFC 3550 §A.1).
const DROPOUT_MAX: u16 = 3_000;
/// Sequence numbers further back than this are a restart, not a late packet (RFC 3550 §A.1).
const MISORDER_MAX: u16 = 100;
/// A difference in transit time beyond this is a jump of the sender's clock, not the network's doing.
const TRANSIT_JUMP_MS: f64 = 10_000.0;

/// Figures of one side's stream, over changes of SSRC and restarts of the sequence.
#[derive(Clone, Debug, Default)]
pub struct StreamQuality {
    current: Option<Sequence>,
    /// Of streams that have ended.
    lost_before: u64,
    received: u64,
    transit: Option<Transit>,
    jitter_ms: f64,
}

impl StreamQuality {
    /// Counts a packet. `media_clock`: RTP timestamp and clock rate in Hz, when the payload's timestamps follow the
    /// voice (those of telephone events stand still, RFC 4733 §2.1).
    pub fn on_packet(&mut self, now: Mono, ssrc: u32, sequence: u16, media_clock: Option<(u32, u32)>) {
        self.received += 1;
        let goes_on = self.current.as_mut().is_some_and(|c| c.ssrc == ssrc && c.on_packet(sequence));
        if !goes_on {
            self.lost_before += self.current.as_ref().map_or(0, Sequence::lost);
            self.current = Some(Sequence::new(ssrc, sequence));
            self.transit = None;
        }
        if let Some((timestamp, clock_rate)) = media_clock.filter(|(_, rate)| *rate > 0) {
            self.measure_jitter(Transit { at: now, timestamp, clock_rate });
        }
    }

    /// Octets of the payload of the packet that was counted last.
    pub fn on_payload(&mut self, octets: usize) {
        if let Some(current) = &mut self.current {
            current.octets += octets as u64;
        }
    }

    /// The source that is heard now.
    pub fn source(&self) -> Option<Source> {
        let (current, last) = (self.current.as_ref()?, self.transit?);
        Some(Source {
            ssrc: current.ssrc,
            highest: (current.cycles as u32) << 16 | u32::from(current.highest),
            packets: current.received,
            octets: current.octets,
            at: last.at,
            timestamp: last.timestamp,
            clock_rate: last.clock_rate,
        })
    }

    /// The stream is held back on purpose: what is missing until its next packet was not lost.
    pub fn interrupt(&mut self) {
        self.lost_before += self.current.take().map_or(0, |current| current.lost());
        self.transit = None;
    }

    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that are missing by sequence number (RFC 3550 §A.3). Duplicates do not make up for lost ones beyond zero.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.current.as_ref().map_or(0, Sequence::lost)
    }

    /// Interarrival jitter in milliseconds (RFC 3550 §A.8).
    pub fn jitter_ms(&self) -> f64 {
        self.jitter_ms
    }

    /// Mean opinion score, 1.0 to 4.5; `None` before the first packet and for codecs that [`impairment`] does not know.
    pub fn mos(&self, codec: &str, round_trip: Option<Duration>) -> Option<f64> {
        let impairment = impairment(codec).filter(|_| self.received > 0)?;
        let expected = self.received + self.lost();
        Some(mos(impairment, self.lost() as f64 / expected as f64, self.jitter_ms, round_trip))
    }

    fn measure_jitter(&mut self, now: Transit) {
        let Some(before) = self.transit.replace(now) else { return };
        if before.clock_rate != now.clock_rate {
            return;
        }
        let sent_ms = f64::from(now.timestamp.wrapping_sub(before.timestamp) as i32) * 1e3 / f64::from(now.clock_rate);
        let difference = (signed_ms(now.at, before.at) - sent_ms).abs();
        if difference < TRANSIT_JUMP_MS {
            self.jitter_ms += (difference - self.jitter_ms) / 16.0;
        }
    }
}

/// What a report says of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub ssrc: u32,
    /// Highest sequence number, wraps above it.
    pub highest: u32,
    /// Of this source, with the octets of their payload.
    pub packets: u64,
    pub octets: u64,
    /// Of the last packet: its arrival, its timestamp, and the rate of its clock in Hz.
    pub at: Mono,
    pub timestamp: u32,
    pub clock_rate: u32,
}

/// What a codec costs by itself (Ie) and how well it bears loss (Bpl), ITU-T G.113 Appendix I.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    pub ie: f64,
    pub bpl: f64,
}

/// By encoding name. `None`: G.113 has no figures on the narrowband scale, as for G.722 and Opus, whose scale
/// (G.107.1) begins where this one ends: their scores would not be comparable.
pub fn impairment(codec: &str) -> Option<Impairment> {
    let (ie, bpl) = match codec {
        // Without concealment of loss, which we cannot know.
        "PCMU" | "PCMA" => (0.0, 4.3),
        "G729" => (11.0, 19.0),
        "G723" => (15.0, 16.1),
        // AMR at 12.2 kbit/s is the same algorithm.
        "GSM-EFR" | "AMR" => (5.0, 10.0),
        _ => return None,
    };
    Some(Impairment { ie, bpl })
}

/// Mean opinion score by the E-model (ITU-T G.107) with its default values: R = 93.2 − Id − Ie,eff.
///
/// * Ie,eff = Ie + (95 − Ie) · loss / (loss + Bpl), loss in percent and at random.
/// * Id = 0.024 · d + 0.11 · (d − 177.3) beyond 177.3 ms. d is half the round trip, when RTCP has shown it, and what a
///   receiver adds for packets and jitter: 20 ms and twice the jitter. Without RTCP the score says what loss and jitter
///   cost, not distance.
pub fn mos(codec: Impairment, loss: f64, jitter_ms: f64, round_trip: Option<Duration>) -> f64 {
    let loss = loss.clamp(0.0, 1.0) * 100.0;
    let way = round_trip.map_or(0.0, |trip| trip.as_secs_f64() * 1e3 / 2.0);
    let delay = way + 20.0 + 2.0 * jitter_ms.max(0.0);
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let loss_impairment = codec.ie + (95.0 - codec.ie) * loss / (loss + codec.bpl);
    let r = (93.2 - delay_impairment - loss_impairment).clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[derive(Clone, Copy, Debug)]
struct Transit {
    at: Mono,
    timestamp: u32,
    clock_rate: u32,
}

/// Sequence numbers of one source between two restarts (RFC 3550 §A.1).
#[derive(Clone, Debug)]
struct Sequence {
    ssrc: u32,
    base: u16,
    highest: u16,
    cycles: u64,
    received: u64,
    octets: u64,
    /// The number that a restarted sender would use next, seen once out of range.
    restart: Option<u16>,
}

impl Sequence {
    fn new(ssrc: u32, sequence: u16) -> Sequence {
        Sequence { ssrc, base: sequence, highest: sequence, cycles: 0, received: 1, octets: 0, restart: None }
    }

    /// False: the sender has started anew with this packet.
    fn on_packet(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead != 0 && ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles += 1;
            }
            self.highest = sequence;
        } else if ahead != 0 && ahead <= u16::MAX - MISORDER_MAX {
            // Out of range: believed as a restart when the next one follows it.
            if self.restart == Some(sequence) {
                return false;
            }
            self.restart = Some(sequence.wrapping_add(1));
            return true;
        }
        self.restart = None;
        self.received += 1;
        true
    }

    fn lost(&self) -> u64 {
        let highest = (self.cycles << 16) + u64::from(self.highest);
        (highest + 1).saturating_sub(u64::from(self.base)).saturating_sub(self.received)
    }
}

fn signed_ms(later: Mono, earlier: Mono) -> f64 {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    if later >= earlier { ms(later.since(earlier)) } else { -ms(earlier.since(later)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequences: impl IntoIterator<Item = u16>) -> StreamQuality {
        let mut quality = StreamQuality::default();
        for (i, sequence) in sequences.into_iter().enumerate() {
            quality.on_packet(Mono(i as u64 * 20_000_000), 1, sequence, Some((i as u32 * 160, 8_000)));
        }
        quality
    }

    #[test]
    fn loss_by_sequence_number() {
        let cases: &[(&str, Vec<u16>, u64)] = &[
            ("none", (0..100).collect(), 0),
            ("one in the middle", vec![1, 2, 4, 5], 1),
            ("across the wrap", vec![65_533, 65_535, 0, 2], 2),
            ("late is not lost", vec![1, 3, 2, 4], 0),
            ("duplicates do not make it negative", vec![1, 1, 1, 2], 0),
            ("a restart is not a loss", vec![100, 101, 40_000, 40_001, 40_002], 0),
            ("losses before a restart stay", vec![100, 103, 40_000, 40_001, 40_003], 3),
            ("one stray number is ignored", vec![100, 101, 40_000, 102, 103], 0),
        ];
        for (name, sequences, lost) in cases {
            let quality = after(sequences.iter().copied());
            assert_eq!(quality.lost(), *lost, "{name}");
            assert_eq!(quality.received(), sequences.len() as u64, "{name}");
        }
    }

    #[test]
    fn a_new_ssrc_every_packet_loses_nothing() {
        let mut quality = StreamQuality::default();
        for i in 0..1_000u32 {
            quality.on_packet(Mono(u64::from(i)), i, (i * 7_919) as u16, Some((i << 21, 8_000)));
        }
        assert_eq!((quality.received(), quality.lost()), (1_000, 0));
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_a_shaken_one_has() {
        assert_eq!(after(0..200).jitter_ms(), 0.0);
        let mut shaken = StreamQuality::default();
        for i in 0..2_000u32 {
            let late = u64::from(i % 2) * 10_000_000;
            shaken.on_packet(Mono(u64::from(i) * 20_000_000 + late), 1, i as u16, Some((i * 160, 8_000)));
        }
        // Every difference of transit times is 10 ms, and J moves to their mean.
        assert!((shaken.jitter_ms() - 10.0).abs() < 0.01, "{}", shaken.jitter_ms());
    }

    #[test]
    fn a_timestamp_that_jumps_is_not_jitter() {
        let mut quality = after(0..100);
        quality.on_packet(Mono(100 * 20_000_000), 1, 100, Some((1 << 31, 8_000)));
        assert_eq!(quality.jitter_ms(), 0.0);
    }

    #[test]
    fn scores() {
        for (codec, loss, jitter, trip, low, high) in [
            ("PCMA", 0.0, 0.0, 0, 4.39, 4.41),
            ("PCMU", 0.01, 0.0, 0, 3.6, 4.0),
            ("PCMU", 0.03, 20.0, 0, 2.6, 3.0),
            ("PCMU", 0.2, 0.0, 0, 1.0, 1.4),
            ("PCMU", 1.0, 0.0, 0, 1.0, 1.0),
            ("PCMU", 0.0, 200.0, 0, 2.8, 3.0),
            // A satellite: 300 ms one way.
            ("PCMU", 0.0, 0.0, 600, 3.5, 3.7),
            ("G729", 0.0, 0.0, 0, 4.0, 4.15),
            // Half of what G.711 loses by the same loss.
            ("G729", 0.03, 0.0, 0, 3.4, 3.7),
        ] {
            let score = mos(impairment(codec).unwrap(), loss, jitter, Some(Duration::from_millis(trip)));
            assert!((low..=high).contains(&score), "{codec} loss {loss} jitter {jitter} trip {trip}: {score}");
        }
        assert_eq!(StreamQuality::default().mos("PCMA", None), None);
        assert_eq!(after(0..10).mos("OPUS", None), None);
    }

    proptest::proptest! {
        #[test]
        fn figures_stay_sane(packets in proptest::collection::vec(proptest::prelude::any::<(u32, u16, u32, u8)>(), 1..300)) {
            let mut quality = StreamQuality::default();
            let mut now = Mono(0);
            for (timestamp, sequence, step, ssrc) in &packets {
                now = now + Duration::from_nanos(u64::from(*step));
                quality.on_packet(now, u32::from(ssrc % 3), *sequence, Some((*timestamp, 8_000)));
            }
            let score = quality.mos("PCMA", None).unwrap();
            proptest::prop_assert!((1.0..=4.5).contains(&score));
            proptest::prop_assert!(quality.jitter_ms().is_finite() && quality.jitter_ms() >= 0.0);
            proptest::prop_assert!(quality.lost() <= packets.len() as u64 * 3_000);
        }
    }
}
