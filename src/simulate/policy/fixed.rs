//! Static call tracking: each source has a number of its own, and no visitor is told apart.
//!
//! With more numbers than sources, the largest campaigns get one of their own. With fewer, the largest sources have theirs
//! and the rest shares the last number, whose calls are of no source.

use super::{Answer, Policy, Ring, Shown};
use crate::simulate::world::{Ms, Visit, VisitId, World};

/// What one number stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Meaning {
    source: Option<u16>,
    campaign: Option<u16>,
}

#[derive(Debug)]
pub(super) struct Fixed {
    meanings: Vec<Meaning>,
    /// Number of each campaign.
    numbers: Vec<usize>,
}

impl Fixed {
    pub(super) fn new(world: &World, numbers: usize) -> Fixed {
        let mut of_source: Vec<(f64, u16)> = (0..world.sources.len() as u16).map(|source| (0.0, source)).collect();
        for campaign in &world.campaigns {
            of_source[usize::from(campaign.source)].0 += campaign.share;
        }
        of_source.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut meanings = vec![Meaning::default(); numbers];
        let mut number_of = vec![numbers - 1; world.sources.len()];
        let own = if numbers >= of_source.len() { of_source.len() } else { numbers - 1 };
        for (index, (_, source)) in of_source.iter().take(own).enumerate() {
            meanings[index].source = Some(*source);
            number_of[usize::from(*source)] = index;
        }
        let mut by_campaign: Vec<usize> =
            world.campaigns.iter().map(|campaign| number_of[usize::from(campaign.source)]).collect();
        let mut largest: Vec<usize> = (0..by_campaign.len()).collect();
        largest.sort_by(|a, b| world.campaigns[*b].share.total_cmp(&world.campaigns[*a].share));
        // Sources without campaigns have a number of their own already.
        let named = largest.into_iter().filter(|index| world.campaigns[*index].name.is_some());
        for (campaign, index) in named.zip(own..if own < of_source.len() { own } else { numbers }) {
            meanings[index] =
                Meaning { source: Some(world.campaigns[campaign].source), campaign: Some(campaign as u16) };
            by_campaign[campaign] = index;
        }
        for (campaign, index) in by_campaign.iter().enumerate() {
            if world.campaigns[campaign].name.is_none() && meanings[*index].source.is_some() {
                meanings[*index].campaign = Some(campaign as u16);
            }
        }
        Fixed { meanings, numbers: by_campaign }
    }
}

impl Policy for Fixed {
    fn open(&mut self, _: Ms, _: VisitId, visit: &Visit) -> Shown {
        Shown::Number(self.numbers[usize::from(visit.campaign)])
    }

    fn beat(&mut self, _: Ms, _: VisitId, _: &Visit) -> Shown {
        Shown::Same
    }

    fn call(&mut self, _: Ms, ring: Ring<'_>) -> Answer {
        let Meaning { source, campaign } = self.meanings[ring.number];
        Answer { source, campaign, ..Answer::default() }
    }
}
