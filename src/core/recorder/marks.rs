//! What the samples of a track are, as runs: most of a talk is one long run, and a mark a sample would cost half as much
//! memory as the samples themselves.

use std::collections::VecDeque;

/// Marks of consecutive samples, the first of them at offset 0. Neighbours differ; a run is never empty.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Ends of the runs, counted from `origin`, and their marks.
    runs: VecDeque<(u64, u8)>,
    /// Samples that were taken off the front so far.
    origin: u64,
}

impl Marks {
    /// How many samples have a mark.
    pub(super) fn len(&self) -> usize {
        self.runs.back().map_or(0, |(end, _)| (end - self.origin) as usize)
    }

    /// Marks the samples behind the last one, up to offset `to`.
    pub(super) fn extend(&mut self, to: usize, mark: u8) {
        if to > self.len() {
            self.push(self.origin + to as u64, mark);
        }
    }

    /// Replaces the marks of `from..to`, all of which are there, by what `becomes` makes of them.
    pub(super) fn replace(&mut self, from: usize, to: usize, becomes: impl Fn(u8) -> u8) {
        // Most packets meet nothing: they are put behind all others.
        if self.within(from, to).all(|(_, _, mark)| becomes(mark) == mark) {
            return;
        }
        let (from, to) = (self.origin + from as u64, self.origin + to as u64);
        let first = self.runs.partition_point(|(end, _)| *end <= from);
        let tail: Vec<(u64, u8)> = self.runs.drain(first..).collect();
        let mut start = self.runs.back().map_or(self.origin, |(end, _)| *end);
        for (end, mark) in tail {
            if start < from {
                self.push(end.min(from), mark);
            }
            if end > from && start < to {
                self.push(end.min(to), becomes(mark));
            }
            if end > to {
                self.push(end, mark);
            }
            start = end;
        }
    }

    /// The runs within `from..to`, as offsets.
    pub(super) fn within(&self, from: usize, to: usize) -> impl Iterator<Item = (usize, usize, u8)> {
        let origin = self.origin;
        let first = self.runs.partition_point(|(end, _)| *end <= origin + from as u64);
        let mut start = from;
        self.runs.range(first..).map_while(move |(end, mark)| {
            let (at, end) = (start, ((end - origin) as usize).min(to));
            start = end;
            (at < end).then_some((at, end, *mark))
        })
    }

    /// Length and mark of the run at `from`, as far as `to`.
    pub(super) fn run(&self, from: usize, to: usize) -> Option<(usize, u8)> {
        self.within(from, to).next().map(|(start, end, mark)| (end - start, mark))
    }

    /// Takes `count` samples off the front.
    pub(super) fn forget(&mut self, count: usize) {
        self.origin += count.min(self.len()) as u64;
        while self.runs.front().is_some_and(|(end, _)| *end <= self.origin) {
            self.runs.pop_front();
        }
    }

    fn push(&mut self, end: u64, mark: u8) {
        match self.runs.back_mut() {
            Some((last, same)) if *same == mark => *last = end,
            _ => self.runs.push_back((end, mark)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Extend(usize, u8),
        AtLeast(usize, usize, u8),
        Forget(usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0usize..60, 0u8..4).prop_map(|(to, mark)| Step::Extend(to, mark)),
            (0usize..60, 0usize..60, 0u8..4).prop_map(|(a, b, mark)| Step::AtLeast(a.min(b), a.max(b), mark)),
            (0usize..20).prop_map(Step::Forget),
        ]
    }

    proptest! {
        /// The same as a mark a sample.
        #[test]
        fn runs_are_what_single_marks_are(steps in proptest::collection::vec(any_step(), 1..60)) {
            let mut marks = Marks::default();
            let mut plain: Vec<u8> = Vec::new();
            for step in steps {
                match step {
                    Step::Extend(to, mark) => {
                        marks.extend(to, mark);
                        plain.resize(plain.len().max(to), mark);
                    }
                    Step::AtLeast(from, to, mark) => {
                        let (from, to) = (from.min(plain.len()), to.min(plain.len()));
                        marks.replace(from, to, |old| old.max(mark));
                        plain[from..to].iter_mut().for_each(|old| *old = (*old).max(mark));
                    }
                    Step::Forget(count) => {
                        marks.forget(count);
                        plain.drain(..count.min(plain.len()));
                    }
                }
                prop_assert_eq!(marks.len(), plain.len());
                let told: Vec<u8> = marks.within(0, plain.len()).flat_map(|(a, b, mark)| vec![mark; b - a]).collect();
                prop_assert_eq!(&told, &plain);
                let (a, b) = (plain.len() / 3, plain.len() / 2);
                let told: Vec<u8> = marks.within(a, b).flat_map(|(a, b, mark)| vec![mark; b - a]).collect();
                prop_assert_eq!(&told, &plain[a..b]);
                let ends = marks.runs.iter().zip(marks.runs.iter().skip(1));
                prop_assert!(ends.clone().all(|(a, b)| a.0 < b.0 && a.1 != b.1), "{:?}", marks.runs);
            }
        }
    }
}
