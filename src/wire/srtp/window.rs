//! Which indexes of a stream were there already (RFC 3711 §3.3.1, §3.3.2).

/// Indexes that may be late: 2.5 s of packets of 20 ms. The RFC wants 64 at least.
const WIDTH: u64 = u128::BITS as u64;

/// The highest index so far and which of those just below it were there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest - n` was there.
    seen: u128,
}

impl Window {
    /// A window in which nothing was seen yet, this index to be the first.
    pub(super) fn before(index: u64) -> Window {
        Window { highest: index, seen: 0 }
    }

    pub(super) fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(age) => age < WIDTH && self.seen & (1 << age) == 0,
        }
    }

    pub(super) fn note(&mut self, index: u64) {
        match self.highest.checked_sub(index) {
            Some(age) if age < WIDTH => self.seen |= 1 << age,
            Some(_) => {}
            None => {
                let ahead = index - self.highest;
                self.seen = if ahead < WIDTH { self.seen << ahead | 1 } else { 1 };
                self.highest = index;
            }
        }
    }
}

/// What is kept of one SSRC.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) rtp: Option<Window>,
    /// Of a stream that is received.
    pub(super) rtcp: Option<Window>,
    /// Of a stream that is sent.
    sent_rtcp: u32,
}

impl Stream {
    pub(super) fn new(ssrc: u32) -> Stream {
        Stream { ssrc, rtp: None, rtcp: None, sent_rtcp: 0 }
    }

    /// The index that this sequence number most likely means: roll-over counter and sequence number.
    pub(super) fn rtp_index(&self, sequence: u16) -> u64 {
        let sequence = u64::from(sequence);
        let Some(Window { highest, .. }) = self.rtp else { return sequence };
        let (rollover, last) = (highest >> 16, highest & 0xffff);
        let rollover = if last < 0x8000 && sequence > last + 0x8000 {
            // Before the first wrap there is nothing that it could be late from.
            rollover.saturating_sub(1)
        } else if last >= 0x8000 && sequence < last - 0x8000 {
            rollover + 1
        } else {
            rollover
        };
        rollover << 16 | sequence
    }

    /// Index of the next SRTCP packet; `None` after 2³¹.
    pub(super) fn next_rtcp(&mut self) -> Option<u32> {
        self.sent_rtcp = Some(self.sent_rtcp + 1).filter(|index| *index < 1 << 31)?;
        Some(self.sent_rtcp)
    }
}
