//! Sequence numbers of one RTP stream (RFC 3550 §A.1): what is next, missing, late or a copy.

/// RFC 3550 §A.1 `MAX_DROPOUT` and `MAX_MISORDER`.
const DROPOUT: i16 = 3_000;
const MISORDER: i16 = 100;

/// How a sequence number follows the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// First of the stream, or after a jump that is no loss.
    Fresh,
    Next,
    /// So many are missing before it.
    After(u16),
    Reordered,
    Duplicate,
}

/// Highest sequence number and which of the 64 up to it were seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    highest: u16,
    seen: u64,
}

impl Sequence {
    /// `first` is the first of the stream.
    pub(crate) fn new(first: u16) -> Sequence {
        Sequence { highest: first, seen: 1 }
    }

    /// Notes one more.
    pub(crate) fn order(&mut self, sequence: u16) -> Order {
        let ahead = sequence.wrapping_sub(self.highest) as i16;
        match ahead {
            1..DROPOUT => {
                self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
                self.highest = sequence;
                if ahead == 1 { Order::Next } else { Order::After(ahead as u16 - 1) }
            }
            -63..=0 => {
                let bit = 1u64 << -ahead;
                if self.seen & bit != 0 {
                    return Order::Duplicate;
                }
                self.seen |= bit;
                Order::Reordered
            }
            _ if (-MISORDER..0).contains(&ahead) => Order::Reordered,
            _ => Order::Fresh,
        }
    }
}
