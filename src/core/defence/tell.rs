//! What a far side can make us say is bounded: so many a second are told, and the next one says how many were not.

use crate::time::Mono;

/// See the module.
#[derive(Clone, Debug)]
pub struct Teller {
    most: u32,
    second: u64,
    told: u32,
    suppressed: u64,
}

impl Teller {
    pub const fn new(per_second: u32) -> Teller {
        Teller { most: per_second, second: u64::MAX, told: 0, suppressed: 0 }
    }

    /// `None`: keep quiet. Else how many kept quiet since the last one that was told.
    pub fn may_tell(&mut self, now: Mono) -> Option<u64> {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            (self.second, self.told) = (second, 0);
        }
        if self.told >= self.most {
            self.suppressed += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_line_counts_those_that_were_not_written() {
        let mut teller = Teller::new(2);
        let said: Vec<_> =
            [0, 1, 2, 3, 999, 1_000, 1_001, 2_500].map(|ms| teller.may_tell(Mono(ms * 1_000_000))).into();
        assert_eq!(said, [Some(0), Some(0), None, None, None, Some(3), Some(0), Some(0)]);
    }
}
