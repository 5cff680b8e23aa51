//! Numbers that are out of use for a while: whoever has one keeps it, and nobody else gets it.

use super::Allocator;
use crate::ids::E164;

impl Allocator {
    /// Takes a number out of use, or puts it back. Its visitors keep it, and may come back to it while they hold it; it
    /// is neither given nor shared. Calls and their attribution do not notice. `false`: it is no number of a pool.
    pub fn set_resting(&mut self, number: &E164, resting: bool) -> bool {
        let Some(&slot) = self.numbers.get(number) else { return false };
        if self.slots[slot].is_resting != resting {
            self.slots[slot].is_resting = resting;
            self.settle(slot);
        }
        true
    }
}
