//! Where the numbers of a pool stand, so that the choice looks at a few instead of all: those that nobody sees, longest
//! left first, and beside that by the campaign and the source of whoever left last; those on pages by campaign.

use std::collections::{BTreeSet, HashMap};

use super::choose::Kin;
use super::{NumberState, Slot};
use crate::limits;

type Shelves = HashMap<u64, BTreeSet<(u64, usize)>, foldhash::fast::FixedState>;

/// The numbers of one pool.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// (when left, counted; slot).
    pub(super) idle: BTreeSet<(u64, usize)>,
    pub(super) by_campaign: Shelves,
    pub(super) by_source: Shelves,
    /// On pages and not full: (sharers, slot).
    pub(super) busy: Shelves,
    /// Visitors that may see one of the numbers at once.
    pub(super) sharers_max: u64,
}

/// Where a number stands. It says all that is needed to find it again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Place {
    /// In no pool, or vacant.
    #[default]
    Off,
    Idle {
        order: u64,
        kin: Option<Kin>,
        is_held: bool,
    },
    Busy {
        sharers: u64,
        kin: Option<Kin>,
    },
}

impl Place {
    /// Leased and held, as the pool counts them.
    pub(super) fn counts(self) -> (usize, usize) {
        match self {
            Place::Off => (0, 0),
            Place::Idle { is_held, .. } => (0, usize::from(is_held)),
            Place::Busy { .. } => (1, 0),
        }
    }
}

impl Slot {
    /// `kin`: of whoever sees it, else of whoever left last.
    pub(super) fn place_now(&self, kin: Option<Kin>) -> Place {
        if self.is_vacant || self.pool.is_none() {
            return Place::Off;
        }
        match self.state() {
            // As if it were full: nobody joins.
            NumberState::Leased if self.is_resting => Place::Busy { sharers: limits::LEASE_SHARERS as u64, kin },
            NumberState::Leased => Place::Busy { sharers: self.on_page.len() as u64, kin },
            _ if self.is_resting => Place::Off,
            state => Place::Idle { order: self.order, kin, is_held: state == NumberState::Held },
        }
    }
}

impl Shelf {
    pub(super) fn put(&mut self, place: Place, slot: usize) {
        match place {
            Place::Off => {}
            Place::Idle { order, kin, .. } => {
                self.idle.insert((order, slot));
                if let Some(kin) = kin {
                    self.by_campaign.entry(kin.campaign).or_default().insert((order, slot));
                    self.by_source.entry(kin.source).or_default().insert((order, slot));
                }
            }
            Place::Busy { sharers, kin } => {
                if let Some(kin) = kin.filter(|_| sharers < self.sharers_max) {
                    self.busy.entry(kin.campaign).or_default().insert((sharers, slot));
                }
            }
        }
    }

    pub(super) fn take(&mut self, place: Place, slot: usize) {
        match place {
            Place::Off => {}
            Place::Idle { order, kin, .. } => {
                self.idle.remove(&(order, slot));
                if let Some(kin) = kin {
                    remove(&mut self.by_campaign, kin.campaign, (order, slot));
                    remove(&mut self.by_source, kin.source, (order, slot));
                }
            }
            Place::Busy { sharers, kin } => {
                if let Some(kin) = kin {
                    remove(&mut self.busy, kin.campaign, (sharers, slot));
                }
            }
        }
    }
}

fn remove(shelves: &mut Shelves, key: u64, what: (u64, usize)) {
    if let Some(shelf) = shelves.get_mut(&key) {
        shelf.remove(&what);
        if shelf.is_empty() {
            shelves.remove(&key);
        }
    }
}
