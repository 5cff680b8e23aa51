//! How full the disk of recordings is: two marks, and what is done below each.
//!
//! Below the first no new recording begins; below the second recordings of low priority are erased, the oldest first. A
//! call is never refused or ended for it. A mark counts as left behind only when a little more is free than it asks for,
//! so that a disk that hovers there is not told of again and again.

/// Marks in bytes of free space; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Below it no new recording begins.
    pub low: u64,
    /// Below it recordings of low priority are erased.
    pub erase: u64,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    #[default]
    Good,
    /// Below one of the marks.
    Low,
    /// Below both.
    Critical,
}

/// Watches one disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskWatch {
    is_low: bool,
    is_erasing: bool,
}

impl Marks {
    /// More than this must be free for early erasure to end: the mark and a twentieth.
    pub const fn enough(self) -> u64 {
        above(self.erase)
    }
}

impl DiskWatch {
    /// So many bytes are free. Gives the level, and whether it is another than before.
    pub fn look(&mut self, marks: Marks, free: u64) -> (Level, bool) {
        let before = self.level();
        let below = |was: bool, mark: u64| if was { free < above(mark) } else { free < mark };
        self.is_low = below(self.is_low, marks.low);
        self.is_erasing = below(self.is_erasing, marks.erase);
        (self.level(), self.level() != before)
    }

    /// Recordings of low priority go.
    pub const fn is_erasing(&self) -> bool {
        self.is_erasing
    }

    const fn level(&self) -> Level {
        match (self.is_low, self.is_erasing) {
            (false, false) => Level::Good,
            (true, true) => Level::Critical,
            _ => Level::Low,
        }
    }
}

const fn above(mark: u64) -> u64 {
    mark.saturating_add(mark / 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_left_behind_with_a_little_more_than_it_asks_for() {
        let marks = Marks { low: 1_000, erase: 400 };
        let mut watch = DiskWatch::default();
        let mut look = |free| watch.look(marks, free);
        assert_eq!(look(1_000), (Level::Good, false));
        assert_eq!(look(999), (Level::Low, true));
        assert_eq!(look(1_049), (Level::Low, false));
        assert_eq!(look(399), (Level::Critical, true));
        assert_eq!(look(419), (Level::Critical, false));
        assert_eq!(look(420), (Level::Low, true));
        assert_eq!(look(399), (Level::Critical, true));
        assert_eq!(look(u64::MAX), (Level::Good, true));
        assert_eq!(DiskWatch::default().look(Marks::default(), 0), (Level::Good, false), "no mark, no verdict");
        assert_eq!(DiskWatch::default().look(Marks { low: u64::MAX, erase: 0 }, 5), (Level::Low, true));
    }
}
