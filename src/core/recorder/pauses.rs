//! Stretches of the timeline in which nothing is recorded. They are muted where samples leave for the file, the one place
//! that every sample passes, so it does not matter who placed what and when.

/// Pauses that still matter.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// Since when nothing is recorded.
    open: Option<u64>,
    /// Ended, in order, and not yet written.
    ended: Vec<(u64, u64)>,
}

/// Who pauses and resumes more often within the recorder's window gets one pause of all.
const SEPARATE: usize = 64;

impl Pauses {
    pub(super) fn begin(&mut self, at: u64) {
        self.open.get_or_insert(at);
    }

    pub(super) fn end(&mut self, at: u64) {
        let Some(start) = self.open.take().filter(|start| *start < at) else { return };
        let is_full = self.ended.len() >= SEPARATE;
        match self.ended.last_mut() {
            Some(last) if is_full || last.1 >= start => last.1 = last.1.max(at),
            _ => self.ended.push((start, at)),
        }
    }

    /// What of `from..to` is paused.
    pub(super) fn within(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let open = self.open.map(|start| (start, u64::MAX));
        let cut = move |(start, end): (u64, u64)| (start.max(from), end.min(to));
        self.ended.iter().copied().chain(open).map(cut).filter(|(start, end)| start < end)
    }

    /// Everything before this is written.
    pub(super) fn forget(&mut self, before: u64) {
        self.ended.retain(|(_, end)| *end > before);
    }
}
