//! RTP audio of one side → keys that are pressed as tones.
//!
//! Packets are decoded as they come; one that comes late or twice is left out. What one lost packet leaves out is left out
//! here, too: a tone goes on behind it. After more the tone is over.

use std::time::Duration;

use super::Digit;
use super::tones::{RATE, Tone, Tones};
use crate::limits;
use crate::time::{Mono, Wakeup};
use crate::wire::codec::Codec;
use crate::wire::codec::speech::Decoder;
use crate::wire::rtp::Rtp;

/// Longest piece that may be missing within a tone.
const MISSING: Duration = Duration::from_millis(30);

/// One side's ear.
#[derive(Debug, Default)]
pub struct Inband {
    tones: Tones,
    decoder: Option<(Codec, Decoder)>,
    samples: Vec<i16>,
    /// SSRC and sequence number of the last packet, and the timestamp that follows it.
    last: Option<(u32, u16, u32)>,
    at: Mono,
}

impl Inband {
    /// A packet of audio that arrived at `at`. Tells of keys that are over.
    pub fn on_packet(&mut self, at: Mono, rtp: &Rtp<'_>, codec: Codec, mut tell: impl FnMut(Digit)) {
        let Some(units) = codec.duration(rtp.payload()) else { return };
        if let Some((ssrc, sequence, expected)) = self.last
            && ssrc == rtp.ssrc()
        {
            if rtp.sequence().wrapping_sub(sequence).cast_signed() <= 0 {
                return;
            }
            let missing = rtp.timestamp().wrapping_sub(expected).cast_signed();
            let most = i32::try_from(codec.clock() / 1_000).unwrap_or(8) * MISSING.as_millis() as i32;
            if !(-most..=most).contains(&missing) {
                self.end(at).into_iter().for_each(&mut tell);
            }
        }
        self.last = Some((rtp.ssrc(), rtp.sequence(), rtp.timestamp().wrapping_add(units)));
        self.at = at;
        if self.decoder.as_ref().is_none_or(|(known, _)| *known != codec) {
            self.decoder = Decoder::new(codec, RATE).map(|decoder| (codec, decoder));
        }
        self.samples.clear();
        let Some((_, decoder)) = &mut self.decoder else { return };
        if decoder.decode(rtp.payload(), &mut self.samples).is_ok() {
            self.tones.hear(&self.samples, |tone| tell(digit(at, tone)));
        }
    }

    /// When a key is over although nothing more comes.
    pub fn poll_timeout(&self) -> Option<Wakeup> {
        self.tones.is_down().then(|| (self.at + limits::DTMF_END_LOST, "tone_end"))
    }

    /// Time has come to `now`.
    pub fn on_timeout(&mut self, now: Mono) -> Option<Digit> {
        let due = self.poll_timeout().is_some_and(|(at, _)| at <= now);
        if due { self.end(self.at) } else { None }
    }

    fn end(&mut self, at: Mono) -> Option<Digit> {
        self.tones.end().map(|tone| digit(at, tone))
    }
}

fn digit(at: Mono, tone: Tone) -> Digit {
    Digit { key: tone.key, at: at - tone.ago, length: tone.length }
}
