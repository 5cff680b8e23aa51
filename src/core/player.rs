//! A sound → RTP packets to one side, one every 20 ms, each when it is due.
//!
//! A player that is woken late sends what is due at once, as a phone's buffer expects; after more than [`BEHIND`] it goes
//! on from where it should be, so that a machine that slept does not make it talk faster than it was spoken.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Sound;
use crate::time::{Mono, Now, Wakeup};
use crate::wire::codec::g711::{Law, RATE};
use crate::wire::codec::{Codec, speech};

/// Samples and time of one packet.
pub const FRAME: usize = 160;
const STEP: Duration = Duration::from_millis(20);
const BEHIND: Duration = Duration::from_millis(200);
const HEADER: usize = 12;

/// Speech to the payload of a packet.
pub trait Encoder: Send {
    /// Writes the payload of 20 ms at 8000 Hz behind what is in `out`.
    fn encode(&mut self, samples: &[i16; FRAME], out: &mut Vec<u8>);
    /// Timestamp units of 20 ms.
    fn units(&self) -> u32;
}

/// G.711, which nearly every side can be spoken to in.
#[derive(Clone, Copy, Debug)]
pub struct G711(pub Law);

impl Encoder for G711 {
    fn encode(&mut self, samples: &[i16; FRAME], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|sample| self.0.encode(*sample)));
    }

    fn units(&self) -> u32 {
        FRAME as u32
    }
}

/// A codec that keeps state from packet to packet.
#[derive(Debug)]
pub struct Speech {
    encoder: speech::Encoder,
    units: u32,
    /// Room for one payload.
    room: [u8; ROOM],
}

/// 20 ms of G.722 are 160 bytes; Opus is told to make less.
const ROOM: usize = 400;

impl Speech {
    /// `None`: it cannot be encoded.
    pub fn new(codec: Codec) -> Option<Speech> {
        let encoder = speech::Encoder::new(codec, RATE)?;
        Some(Speech { encoder, units: codec.clock() / 50, room: [0; ROOM] })
    }
}

impl Encoder for Speech {
    fn encode(&mut self, samples: &[i16; FRAME], out: &mut Vec<u8>) {
        if let Some(length) = self.encoder.encode(samples, &mut self.room) {
            out.extend(self.room.get(..length).unwrap_or_default());
        }
    }

    fn units(&self) -> u32 {
        self.units
    }
}

/// A sound to be played.
#[derive(Clone, Debug)]
pub struct Play {
    pub sound: Arc<Sound>,
    /// Again and again, until it is stopped.
    pub repeat: bool,
}

/// One sound on its way to one side.
pub struct Player {
    play: Play,
    encoder: Box<dyn Encoder>,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    started: Now,
    /// When the next packet is due.
    due: Mono,
    /// Sample that it begins with.
    at: usize,
    is_first: bool,
    packet: Vec<u8>,
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player").field("sound", &self.play.sound).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Player {
    /// Plays from `now` on. `seed` decides SSRC, first sequence number and timestamp (RFC 3550 §5.1).
    pub fn new(now: Now, play: Play, encoder: Box<dyn Encoder>, payload_type: u8, seed: u64) -> Player {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Player {
            play,
            encoder,
            payload_type,
            ssrc: (mixed >> 32) as u32,
            sequence: (mixed >> 16) as u16,
            timestamp: mixed as u32,
            started: now,
            due: now.mono,
            at: 0,
            is_first: true,
            packet: Vec::with_capacity(HEADER + FRAME),
        }
    }

    /// When it began.
    pub fn started(&self) -> Now {
        self.started
    }

    /// Everything was played.
    pub fn is_over(&self, now: Mono) -> bool {
        !self.play.repeat && self.at >= self.play.sound.samples.len() && now >= self.due
    }

    /// When the next packet is due, or the end of the last one.
    pub fn poll_timeout(&self) -> Wakeup {
        (self.due, "prompt")
    }

    /// The next packet that is due; `None`: none is yet, or none is left.
    pub fn packet(&mut self, now: Mono) -> Option<&[u8]> {
        let samples = &self.play.sound.samples;
        if now.since(self.due) > BEHIND {
            let late = now.since(self.due).as_millis() / STEP.as_millis();
            let late = u32::try_from(late).unwrap_or(u32::MAX);
            self.at = self.at.saturating_add(FRAME * late as usize);
            self.due = self.due + STEP * late;
            self.timestamp = self.timestamp.wrapping_add(self.encoder.units().wrapping_mul(late));
            self.is_first = true;
        }
        if self.play.repeat && self.at >= samples.len() {
            self.at = 0;
        }
        if now < self.due || self.at >= samples.len() {
            return None;
        }
        let mut frame = [0; FRAME];
        for (place, sample) in frame.iter_mut().zip(samples.get(self.at..).unwrap_or_default()) {
            *place = *sample;
        }
        self.packet.clear();
        self.packet.extend([0x80, self.payload_type | if self.is_first { 0x80 } else { 0 }]);
        self.packet.extend(self.sequence.to_be_bytes());
        self.packet.extend(self.timestamp.to_be_bytes());
        self.packet.extend(self.ssrc.to_be_bytes());
        self.encoder.encode(&frame, &mut self.packet);
        self.is_first = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.encoder.units());
        self.at += FRAME;
        self.due = self.due + STEP;
        // An encoder that failed leaves a hole.
        (self.packet.len() > HEADER).then_some(&self.packet[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    const START: Now = Now { mono: Mono(5_000_000_000), wall: Wall(0) };

    fn player(samples: usize, repeat: bool) -> Player {
        let samples = (0..samples).map(|n| n as i16).collect();
        let sound = Arc::new(Sound { file: "a.wav".into(), sha256: String::new(), samples });
        Player::new(START, Play { sound, repeat }, Box::new(G711(Law::A)), 8, 7)
    }

    fn at(ms: u64) -> Mono {
        START.mono + Duration::from_millis(ms)
    }

    #[test]
    fn packets_come_when_they_are_due_and_the_end_after_the_last() {
        let mut player = player(400, false);
        let mut seen = Vec::new();
        for ms in 0..100 {
            while let Some(packet) = player.packet(at(ms)) {
                let sequence = u16::from_be_bytes([packet[2], packet[3]]);
                let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                seen.push((ms, packet[1], sequence, timestamp, packet.len()));
            }
            assert_eq!(player.is_over(at(ms)), ms >= 60, "{ms}");
        }
        let (_, _, sequence, timestamp, _) = seen[0];
        let wanted = [(0, 0x88), (20, 8), (40, 8)];
        for (n, (ms, kind)) in wanted.into_iter().enumerate() {
            let after = (sequence.wrapping_add(n as u16), timestamp.wrapping_add(160 * n as u32));
            assert_eq!(seen[n], (ms, kind, after.0, after.1, 172));
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn every_codec_can_be_played() {
        let tone: Vec<i16> = (0..8_000)
            .map(|n| (8_000.0 * (std::f64::consts::TAU * 700.0 * f64::from(n) / 8_000.0).sin()) as i16)
            .collect();
        for codec in [Codec::G722, Codec::Opus] {
            let sound = Arc::new(Sound { file: "a.wav".into(), sha256: String::new(), samples: tone.clone().into() });
            let encoder = Box::new(Speech::new(codec).unwrap());
            let mut player = Player::new(START, Play { sound, repeat: false }, encoder, 96, 7);
            let mut decoder = speech::Decoder::new(codec, RATE).unwrap();
            let (mut heard, mut last) = (Vec::new(), None);
            for ms in 0..1_020 {
                while let Some(packet) = player.packet(at(ms)) {
                    let rtp = crate::wire::rtp::Rtp::parse(packet).unwrap();
                    let step = last.replace(rtp.timestamp()).map(|last| rtp.timestamp().wrapping_sub(last));
                    assert!(step.is_none_or(|step| step == codec.clock() / 50), "{codec:?}");
                    decoder.decode(rtp.payload(), &mut heard).unwrap();
                }
            }
            assert_eq!(heard.len(), 8_000, "{codec:?}");
            let turns = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!(turns.abs_diff(700) < 15, "{codec:?}: {turns}");
        }
    }

    #[test]
    fn a_sound_may_go_on_for_ever_and_a_late_player_does_not_hurry() {
        let mut again = player(320, true);
        assert_eq!((0..1_000).filter(|ms| again.packet(at(*ms)).is_some()).count(), 50);
        let mut late = player(1_600, false);
        assert!(late.packet(at(0)).is_some());
        let caught_up = std::iter::from_fn(|| late.packet(at(100)).map(|_| ())).count();
        assert_eq!(caught_up, 5, "a little late: all that is due");
        let mut asleep = player(16_000, false);
        assert!(asleep.packet(at(0)).is_some());
        let packet = asleep.packet(at(1_000)).unwrap();
        assert_eq!(i32::from(Law::A.decode(packet[12])), i32::from(Law::A.decode(Law::A.encode(50 * 160))));
        assert!(asleep.packet(at(1_000)).is_none());
    }
}
