//! One channel in memory: the stretch between what is written and what may still come, sample by sample.

use crate::limits;

use super::fill::Filler;
use super::gaps::{Cause, GapMap};
use super::marks::Marks;
use super::{BLOCK, REORDER, SAMPLES_PER_MS};

/// Samples that a talk needs: what waits for late packets, the block that is handed out next, and a packet.
const USUAL: usize = (BLOCK + REORDER + 60 * SAMPLES_PER_MS) as usize;

/// Mark of a sample that was heard. Other marks are 0 (nothing known) or a [`Cause`].
const HEARD: u8 = u8::MAX;

/// A window over the channel's timeline. Positions are samples since the answer.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// First sample that is not written yet.
    frontier: u64,
    /// Samples from the frontier on, and what each of them is.
    samples: Vec<i16>,
    marks: Marks,
    gaps: GapMap,
    /// End of the audio placed furthest.
    heard_to: Option<u64>,
    /// Anything was written that was heard.
    wrote_audio: bool,
    /// Makes up what was lost; `None`: silence stands for it.
    filler: Option<Box<Filler>>,
}

/// What became of a packet's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// All of them are in, or were before the answer, or were there already.
    In,
    /// Some or all of them came after their place was written.
    Late,
    /// Their place is further ahead than we look.
    TooFar,
}

impl Track {
    pub(super) fn frontier(&self) -> u64 {
        self.frontier
    }

    /// End of the audio placed furthest, if there was any.
    pub(super) fn heard_to(&self) -> Option<u64> {
        self.heard_to
    }

    /// First sample in the window that was heard, from `at` on.
    pub(super) fn heard_from(&self, at: i64) -> Option<i64> {
        let from = (at - self.frontier as i64).max(0) as usize;
        let found = self.marks.within(from, self.samples.len()).find(|(_, _, mark)| *mark == HEARD)?;
        Some(self.frontier as i64 + found.0 as i64)
    }

    pub(super) fn gaps(&self) -> &GapMap {
        &self.gaps
    }

    /// Writes G.711 audio at `position`. What is there already stays: a packet never shifts or replaces another.
    pub(super) fn place(&mut self, position: i64, codes: &[u8], table: &[i16; 256]) -> Placed {
        self.put(position, codes, |code| table[code as usize])
    }

    /// The same with samples.
    pub(super) fn place_samples(&mut self, position: i64, samples: &[i16]) -> Placed {
        self.put(position, samples, |sample| sample)
    }

    fn put<T: Copy>(&mut self, position: i64, codes: &[T], value: impl Fn(T) -> i16) -> Placed {
        let end = position.saturating_add(codes.len() as i64);
        let frontier = self.frontier as i64;
        if end > frontier + limits::RECORDER_BUFFER as i64 {
            return Placed::TooFar;
        }
        let mut verdict = Placed::In;
        if position < frontier && frontier > 0 && end > 0 {
            let (start, end) = (position.max(0) as u64, end.min(frontier).max(0) as u64);
            self.gaps.explain(start, end, Cause::Late);
            verdict = Placed::Late;
        }
        if end <= frontier {
            return verdict;
        }
        let skip = (frontier - position).max(0) as usize;
        let codes = codes.get(skip..).unwrap_or_default();
        let from = (position - frontier).max(0) as usize;
        self.grow(from);
        let overlap = (self.samples.len() - from).min(codes.len());
        let (old, new) = codes.split_at(overlap);
        for (start, end, mark) in self.marks.within(from, from + overlap) {
            if mark != HEARD {
                let there = self.samples[start..end].iter_mut();
                there.zip(&old[start - from..]).for_each(|(sample, code)| *sample = value(*code));
            }
        }
        self.marks.replace(from, from + overlap, |_| HEARD);
        self.reserve(new.len());
        self.samples.extend(new.iter().map(|code| value(*code)));
        self.marks.extend(self.samples.len(), HEARD);
        self.heard_to = self.heard_to.max(Some(end as u64));
        verdict
    }

    /// From now on what is lost is made up, and silence has its noise.
    pub(super) fn fill(&mut self) {
        self.filler.get_or_insert_default();
    }

    /// Whether what is lost is made up.
    pub(super) fn fills(&self) -> bool {
        self.filler.is_some()
    }

    /// From `at` on the sender's background is so loud, in -dBov.
    pub(super) fn on_noise(&mut self, at: i64, level: u8) {
        if let Some(filler) = &mut self.filler {
            filler.on_noise(at.max(0) as u64, level);
        }
    }

    /// What the decoder made of a loss at `position`, where nothing was heard.
    pub(super) fn place_made(&mut self, position: i64, samples: &[i16]) {
        let frontier = self.frontier as i64;
        let end = position.saturating_add(samples.len() as i64);
        if position < frontier || end > frontier + limits::RECORDER_BUFFER as i64 {
            return;
        }
        let (from, to) = ((position - frontier) as usize, (end - frontier) as usize);
        self.grow(to);
        for (start, end, mark) in self.marks.within(from, to) {
            if mark != HEARD {
                self.samples[start..end].copy_from_slice(&samples[start - from..end - from]);
            }
        }
        self.marks.replace(from, to, |mark| if mark == HEARD { HEARD } else { Cause::Concealed as u8 });
    }

    /// Says why `start..end` is silent, as far as it is.
    pub(super) fn explain(&mut self, start: i64, end: i64, cause: Cause) {
        let start = start.max(0) as u64;
        let end = end.clamp(0, (self.frontier + limits::RECORDER_BUFFER as u64) as i64) as u64;
        if start >= end {
            return;
        }
        if start < self.frontier {
            self.gaps.explain(start, end.min(self.frontier), cause);
        }
        if end > self.frontier {
            let (from, to) = ((start.max(self.frontier) - self.frontier) as usize, (end - self.frontier) as usize);
            self.grow(to);
            // HEARD is the largest of all marks.
            self.marks.replace(from, to, |mark| mark.max(cause as u8));
        }
    }

    /// `start..end` is silent, whatever was heard there.
    pub(super) fn mute(&mut self, start: u64, end: u64) {
        if start >= end || start < self.frontier {
            return;
        }
        let (from, to) = ((start - self.frontier) as usize, (end - self.frontier) as usize);
        self.grow(to);
        self.samples[from..to].fill(0);
        self.marks.replace(from, to, |_| Cause::Pause as u8);
    }

    /// Puts silence that is no gap at `start`: the step of a sender's slow clock.
    pub(super) fn stretch(&mut self, start: u64, samples: usize) {
        let end = start + samples as u64;
        if start < self.frontier || end > self.frontier + limits::RECORDER_BUFFER as u64 {
            return;
        }
        let (from, to) = ((start - self.frontier) as usize, (end - self.frontier) as usize);
        self.grow(to);
        self.marks.replace(from, to, |_| HEARD);
        self.heard_to = self.heard_to.max(Some(end));
    }

    /// Takes `frames` samples off the window into channel 0 or 1 of the frames in `out`, and notes the gaps.
    pub(super) fn take(&mut self, frames: usize, channel: usize, out: &mut [i16]) {
        if self.filler.is_some() {
            self.grow(frames);
        }
        let there = frames.min(self.samples.len());
        self.make_up(there);
        for (frame, sample) in out.chunks_exact_mut(2).zip(&self.samples) {
            frame[channel] = *sample;
        }
        self.samples.drain(..there);
        self.note_gaps(there, frames);
        self.marks.forget(there);
        self.frontier += frames as u64;
    }

    /// Fills what is about to leave.
    fn make_up(&mut self, there: usize) {
        let Some(filler) = &mut self.filler else { return };
        let mut at = 0;
        while let Some((run, mark)) = self.marks.run(at, there) {
            // Noise changes where its sender says so.
            let run = if mark == HEARD { run } else { filler.until_change(self.frontier + at as u64, run) };
            let samples = self.samples.get_mut(at..at + run).unwrap_or_default();
            let is_quiet = mark == 0 && filler.is_quiet(self.frontier + at as u64);
            let filled = match mark {
                HEARD => {
                    filler.heard(samples);
                    None
                }
                mark if mark == Cause::Concealed as u8 => {
                    filler.made(samples);
                    None
                }
                mark if mark == Cause::Loss as u8 => Some((filler.conceal(samples), Cause::Concealed)),
                mark if mark == Cause::Dtx as u8 || is_quiet => {
                    let is_noise = filler.noise(self.frontier + at as u64, samples);
                    is_noise.then_some((run, Cause::ComfortNoise))
                }
                _ => {
                    filler.silent(run);
                    None
                }
            };
            if let Some((filled, cause)) = filled {
                self.marks.replace(at, at + filled, |_| cause as u8);
            }
            at += run;
        }
    }

    fn note_gaps(&mut self, there: usize, frames: usize) {
        for (from, to, mark) in self.marks.within(0, there).chain([(there, frames, 0)]) {
            let cause = match mark {
                HEARD => {
                    self.wrote_audio = true;
                    continue;
                }
                0 if !self.wrote_audio => Cause::LateStart,
                mark => Cause::of_mark(mark),
            };
            self.gaps.push(self.frontier + from as u64, self.frontier + to as u64, cause);
        }
    }

    /// At the end: a channel that was never heard did not start late.
    pub(super) fn close(&mut self) {
        if !self.wrote_audio {
            self.gaps.rename(Cause::LateStart, Cause::NoMedia);
        }
    }

    #[cfg(test)]
    pub(super) fn held_samples(&self) -> usize {
        self.samples.len()
    }

    fn grow(&mut self, to: usize) {
        if self.samples.len() < to {
            self.reserve(to - self.samples.len());
            self.samples.resize(to, 0);
            self.marks.extend(to, 0);
        }
    }

    /// Room for a usual talk at once, and no more than that: a buffer that doubles would be a third empty.
    fn reserve(&mut self, more: usize) {
        let wanted = self.samples.len() + more;
        if wanted > self.samples.capacity() {
            let room = if wanted <= USUAL { USUAL } else { wanted.next_multiple_of(USUAL) };
            self.samples.reserve_exact(room - self.samples.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::g711::MU;

    fn left(track: &mut Track, frames: usize) -> Vec<i16> {
        let mut out = vec![0; frames * 2];
        track.take(frames, 0, &mut out);
        assert!(out.iter().skip(1).step_by(2).all(|s| *s == 0), "the other channel stays untouched");
        out.into_iter().step_by(2).collect()
    }

    #[test]
    fn what_came_first_stays_and_holes_are_silence() {
        let mut track = Track::default();
        assert_eq!(track.place(4, &[0x8f; 4], &MU), Placed::In);
        assert_eq!(track.place(2, &[0xef; 4], &MU), Placed::In);
        let (a, b) = (MU[0x8f], MU[0xef]);
        assert_eq!(left(&mut track, 10), [0, 0, b, b, a, a, a, a, 0, 0]);
        assert_eq!(track.frontier(), 10);
    }

    #[test]
    fn before_the_answer_is_cut_and_after_the_frontier_is_late() {
        let mut track = Track::default();
        assert_eq!(track.place(-2, &[0x8f; 4], &MU), Placed::In);
        assert_eq!(left(&mut track, 4), [MU[0x8f], MU[0x8f], 0, 0]);
        assert_eq!(track.place(2, &[0x8f; 4], &MU), Placed::Late);
        assert_eq!(left(&mut track, 4), [MU[0x8f], MU[0x8f], 0, 0]);
        assert_eq!(track.gaps().samples(Cause::Late), 2);
        assert_eq!(track.place(i64::MIN, &[0; 4], &MU), Placed::In);
        assert_eq!(track.place(i64::MAX, &[0; 4], &MU), Placed::TooFar);
        assert_eq!(track.place(limits::RECORDER_BUFFER as i64 + 8, &[0; 4], &MU), Placed::TooFar);
    }

    #[test]
    fn a_cause_is_known_for_what_is_silent_only() {
        let mut track = Track::default();
        track.place(0, &[0x8f; 80], &MU);
        track.explain(0, 800, Cause::Loss);
        track.place(400, &[0x8f; 80], &MU);
        track.explain(0, 1_600, Cause::Dtx);
        left(&mut track, 1_600);
        assert_eq!(track.gaps().samples(Cause::Loss), 320 + 320);
        assert_eq!(track.gaps().samples(Cause::Dtx), 800);
    }
}
