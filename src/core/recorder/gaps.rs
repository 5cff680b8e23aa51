//! The gap map of one channel: where silence stands for something that was not heard, and why.

use crate::core::event::Gap;
use crate::ids::Side;
use crate::limits;

use super::SAMPLES_PER_MS;

/// Why a stretch has no audio, weakest claim first: a stronger cause replaces a weaker one for the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Nothing came, and nothing that came later told why.
    NoMedia = 1,
    /// Nothing had come yet.
    LateStart,
    /// The sender was silent: no sequence number is missing, or it sent comfort noise (RFC 3389).
    Dtx,
    /// Sequence numbers are missing.
    Loss,
    /// The packet came after its place had been written.
    Late,
    /// The payload was of a format that cannot be decoded.
    Codec,
    /// Key presses instead of audio (RFC 4733).
    Dtmf,
    /// We dropped it: the recordings thread did not keep up.
    Overload,
    /// That side was on hold.
    Hold,
    /// It could not be written.
    Disk,
    /// Nothing was to be recorded.
    Pause,
    /// Sequence numbers are missing, and what is heard there was made up.
    Concealed,
    /// The sender was silent and told how loud its background is: noise of ours.
    ComfortNoise,
}

impl Cause {
    /// The stable code of the gap map.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::NoMedia => "no_media",
            Cause::LateStart => "late_start",
            Cause::Dtx => "dtx",
            Cause::Loss | Cause::Concealed => "loss",
            Cause::Late => "late",
            Cause::Codec => "codec",
            Cause::Dtmf => "dtmf",
            Cause::Overload => "overload",
            Cause::Hold => "hold",
            Cause::Disk => "disk",
            Cause::Pause => "pause",
            Cause::ComfortNoise => "comfort_noise",
        }
    }

    /// The cause a sample's mark stands for; marks that stand for none are [`Cause::NoMedia`].
    pub(super) const fn of_mark(mark: u8) -> Cause {
        match mark {
            2 => Cause::LateStart,
            3 => Cause::Dtx,
            4 => Cause::Loss,
            5 => Cause::Late,
            6 => Cause::Codec,
            7 => Cause::Dtmf,
            8 => Cause::Overload,
            9 => Cause::Hold,
            10 => Cause::Disk,
            11 => Cause::Pause,
            12 => Cause::Concealed,
            13 => Cause::ComfortNoise,
            _ => Cause::NoMedia,
        }
    }
}

/// A stretch of samples, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    start: u64,
    end: u64,
    cause: Cause,
}

/// Stretches in order, without overlap, adjacent ones of one cause merged, capped by [`limits::RECORDER_GAPS`].
#[derive(Debug, Default)]
pub(super) struct GapMap {
    stretches: Vec<Stretch>,
    /// What did not fit: first sample and sum of samples.
    more: Option<(u64, u64)>,
}

/// Shorter than a packet: head and tail of a channel always have a little of it, because packets come in steps.
const EDGE: u64 = 60 * SAMPLES_PER_MS;
/// Shorter ones are the rounding of two clocks.
const SMALLEST: u64 = 2 * SAMPLES_PER_MS;

impl GapMap {
    /// Adds a stretch after all others.
    pub(super) fn push(&mut self, start: u64, end: u64, cause: Cause) {
        if start >= end {
            return;
        }
        if let Some(last) = self.stretches.last_mut()
            && last.end == start
            && last.cause == cause
        {
            last.end = end;
            return;
        }
        if self.stretches.len() >= limits::RECORDER_GAPS {
            let more = self.more.get_or_insert((start, 0));
            more.1 += end - start;
            return;
        }
        self.stretches.push(Stretch { start, end, cause });
    }

    /// Says afterwards why `start..end` was silent, where nothing stronger is known. What was heard stays heard.
    pub(super) fn explain(&mut self, start: u64, end: u64, cause: Cause) {
        let from = self.stretches.partition_point(|s| s.end <= start);
        let touched = self.stretches.get(from..).unwrap_or_default();
        if start >= end || !touched.iter().any(|s| s.start < end && s.cause < cause) {
            return;
        }
        let tail = self.stretches.split_off(from);
        for s in tail {
            let (a, b) = (s.start.max(start), s.end.min(end));
            if a >= b || s.cause >= cause {
                self.push(s.start, s.end, s.cause);
            } else {
                self.push(s.start, a, s.cause);
                self.push(a, b, cause);
                self.push(b, s.end, s.cause);
            }
        }
    }

    /// What was taken for `from` was `to`.
    pub(super) fn rename(&mut self, from: Cause, to: Cause) {
        let stretches = std::mem::take(&mut self.stretches);
        for s in stretches {
            self.push(s.start, s.end, if s.cause == from { to } else { s.cause });
        }
    }

    /// Samples of one cause.
    pub(super) fn samples(&self, cause: Cause) -> u64 {
        self.stretches.iter().filter(|s| s.cause == cause).map(|s| s.end - s.start).sum()
    }

    /// The list for the event; `length` is the recording's, in samples.
    pub(super) fn list(&self, channel: Side, length: u64) -> Vec<Gap> {
        let within = |s: &Stretch| Stretch { end: s.end.min(length), ..*s };
        let worth = |s: &Stretch| {
            if s.end <= s.start {
                return false;
            }
            if s.cause == Cause::Pause {
                return true;
            }
            let at_edge = s.start == 0 || s.end >= length;
            s.end - s.start >= if at_edge { EDGE } else { SMALLEST }
        };
        let gap = |start: u64, samples: u64, cause: &str, concealed: bool| Gap {
            channel,
            at_ms: start / SAMPLES_PER_MS,
            for_ms: (samples + SAMPLES_PER_MS / 2) / SAMPLES_PER_MS,
            cause: cause.to_owned(),
            concealed,
        };
        let listed = self.stretches.iter().map(within).filter(worth);
        let listed = listed.map(|s| gap(s.start, s.end - s.start, s.cause.as_str(), s.cause == Cause::Concealed));
        let more = self.more.iter().map(|&(start, samples)| gap(start, samples, "more", false));
        listed.chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(map: &GapMap, length: u64) -> Vec<(u64, u64, String)> {
        map.list(Side::Caller, length).into_iter().map(|g| (g.at_ms, g.for_ms, g.cause)).collect()
    }

    #[test]
    fn adjacent_stretches_of_one_cause_are_one() {
        let mut map = GapMap::default();
        map.push(800, 960, Cause::Loss);
        map.push(960, 1_120, Cause::Loss);
        map.push(1_120, 1_280, Cause::Dtx);
        assert_eq!(shown(&map, 100_000), [(100, 40, "loss".into()), (140, 20, "dtx".into())]);
    }

    #[test]
    fn a_later_word_splits_what_was_unknown_and_leaves_the_stronger() {
        let mut map = GapMap::default();
        map.push(0, 8_000, Cause::NoMedia);
        map.push(8_000, 8_800, Cause::Hold);
        map.explain(4_000, 9_000, Cause::Loss);
        assert_eq!(
            shown(&map, 100_000),
            [(0, 500, "no_media".into()), (500, 500, "loss".into()), (1_000, 100, "hold".into())]
        );
    }

    #[test]
    fn what_does_not_fit_is_summed() {
        let mut map = GapMap::default();
        for k in 0..limits::RECORDER_GAPS as u64 + 10 {
            map.push(k * 1_600 + 800, k * 1_600 + 960, Cause::Loss);
        }
        let list = map.list(Side::Company, 10_000_000);
        assert_eq!(list.len(), limits::RECORDER_GAPS + 1);
        assert_eq!(list.last().map(|g| (g.for_ms, g.cause.as_str())), Some((200, "more")));
    }

    #[test]
    fn marks_are_causes() {
        for cause in [Cause::NoMedia, Cause::LateStart, Cause::Dtx, Cause::Loss, Cause::Late, Cause::Codec]
            .into_iter()
            .chain([Cause::Dtmf, Cause::Overload, Cause::Hold, Cause::Disk, Cause::Pause])
            .chain([Cause::Concealed, Cause::ComfortNoise])
        {
            assert_eq!(Cause::of_mark(cause as u8), cause);
        }
    }
}
