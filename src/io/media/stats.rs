//! Counters of the media threads: each thread counts for itself and lets others look once a turn.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::relay::Refusal;

/// Counters of the media threads since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaStats {
    /// RTP and RTCP datagrams read, wanted or not, and their bytes.
    pub received_packets: u64,
    pub received_bytes: u64,
    /// RTP packets sent on, and their bytes.
    pub relayed_packets: u64,
    pub relayed_bytes: u64,
    /// RTCP packets sent on.
    pub relayed_rtcp: u64,
    /// Packets that the operating system would not send.
    pub send_failed: u64,
    /// RTP datagrams that the kernel dropped because nobody read them in time. Asked for every five seconds.
    pub kernel_dropped: u64,
    /// Packets that the recorder had no room for.
    pub tap_lost: u64,
    /// Calls closed by a panic of ours.
    pub crashed: u64,
    pub refused: RefusedPackets,
}

/// Refused packets by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedPackets([u64; Refusal::ALL.len()]);

impl RefusedPackets {
    /// Every reason, also those that never came up.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.iter().copied().zip(self.0.iter().copied())
    }

    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize]
    }
}

const SCALARS: usize = 9;

/// The same figures where other threads can read them.
pub(super) type Cells = [AtomicU64; SCALARS + Refusal::ALL.len()];

impl MediaStats {
    /// The sum of both.
    pub fn plus(self, other: &MediaStats) -> MediaStats {
        let mut sum = self.to_cells();
        sum.iter_mut().zip(other.to_cells()).for_each(|(a, b)| *a += b);
        MediaStats::from_cells(sum)
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused.0[refusal as usize] += 1;
    }

    /// What was last published.
    pub(super) fn read(cells: &Cells) -> MediaStats {
        MediaStats::from_cells(std::array::from_fn(|i| cells[i].load(Ordering::Relaxed)))
    }

    /// Lets others see these figures.
    pub(super) fn publish(&self, cells: &Cells) {
        for (cell, value) in cells.iter().zip(self.to_cells()) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    fn to_cells(&self) -> [u64; SCALARS + Refusal::ALL.len()] {
        let scalars = [
            self.received_packets,
            self.received_bytes,
            self.relayed_packets,
            self.relayed_bytes,
            self.relayed_rtcp,
            self.send_failed,
            self.kernel_dropped,
            self.tap_lost,
            self.crashed,
        ];
        let mut all = scalars.into_iter().chain(self.refused.0);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    }

    fn from_cells(cells: [u64; SCALARS + Refusal::ALL.len()]) -> MediaStats {
        let [
            received_packets,
            received_bytes,
            relayed_packets,
            relayed_bytes,
            relayed_rtcp,
            send_failed,
            kernel_dropped,
            tap_lost,
            crashed,
            refused @ ..,
        ] = cells;
        MediaStats {
            received_packets,
            received_bytes,
            relayed_packets,
            relayed_bytes,
            relayed_rtcp,
            send_failed,
            kernel_dropped,
            tap_lost,
            crashed,
            refused: RefusedPackets(refused),
        }
    }
}
