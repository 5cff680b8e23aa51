//! How often something is followed by a call, by how long ago it was: rates that are constant between edges.
//!
//! A rate is learned as calls divided by time under observation, edge by edge; no shape is assumed, so whatever the
//! visitors of a site do is followed. Edges are finer where rates change fast.

use serde::{Deserialize, Serialize};

/// Calls per second of one thing (a page that is shown, a tap), by its age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Hazards {
    /// Beginnings of the bins, seconds, ascending, the first 0.
    edges: Vec<f64>,
    /// End of the last bin, seconds: nothing happens after it.
    end: f64,
    rates: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    edges: Vec<f64>,
    end: f64,
    rates: Vec<f64>,
}

impl From<Hazards> for Written {
    fn from(Hazards { edges, end, rates }: Hazards) -> Written {
        Written { edges, end, rates }
    }
}

impl From<Written> for Hazards {
    /// Whatever was written, a rate stands for every edge and edges ascend.
    fn from(Written { mut edges, end, mut rates }: Written) -> Hazards {
        edges.retain(|edge| edge.is_finite() && *edge >= 0.0);
        edges.sort_by(f64::total_cmp);
        rates.resize(edges.len(), 0.0);
        rates.iter_mut().for_each(|rate| *rate = if rate.is_finite() { rate.max(0.0) } else { 0.0 });
        Hazards { edges, end, rates }
    }
}

impl Hazards {
    /// `expected`: how many calls a bin is expected to bring to somebody who stays through it.
    pub(super) fn expecting(edges: &[f64], end: f64, expected: &[f64]) -> Hazards {
        let mut hazards = Hazards { edges: edges.to_vec(), end, rates: vec![0.0; edges.len()] };
        for (bin, expected) in expected.iter().enumerate() {
            hazards.rates[bin] = expected / hazards.width(bin);
        }
        hazards
    }

    pub(super) fn bins(&self) -> usize {
        self.rates.len()
    }

    /// The bin of this age, seconds; none when nothing is expected any more.
    pub(super) fn bin(&self, age: f64) -> Option<usize> {
        let age = age.max(0.0);
        if age >= self.end { None } else { self.edges.partition_point(|edge| *edge <= age).checked_sub(1) }
    }

    /// The bin of this age, or the last: for what goes on as long as it lasts.
    pub(super) fn bin_or_last(&self, age: f64) -> Option<usize> {
        self.bin(age).or(self.bins().checked_sub(1))
    }

    pub(super) fn rate(&self, bin: usize) -> f64 {
        self.rates[bin]
    }

    pub(super) fn set(&mut self, bin: usize, rate: f64) {
        self.rates[bin] = rate;
    }

    fn edge_after(&self, bin: usize) -> f64 {
        self.edges.get(bin + 1).copied().unwrap_or(self.end)
    }

    pub(super) fn width(&self, bin: usize) -> f64 {
        self.edge_after(bin) - self.edges[bin]
    }

    /// Adds the seconds that a stretch of ages `from..to` spends in each bin.
    pub(super) fn spread(&self, from: f64, to: f64, weight: f64, seconds: &mut [f64]) {
        for (bin, seconds) in seconds.iter_mut().enumerate().take(self.bins()) {
            let inside = to.min(self.edge_after(bin)) - from.max(self.edges[bin]);
            *seconds += weight * inside.max(0.0);
        }
    }

    /// Where the bins begin and what is expected beyond each, for [`super::Forecast`].
    pub(super) fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Calls expected after this age.
    pub(super) fn beyond(&self, age: f64) -> f64 {
        (0..self.bins()).map(|bin| (self.edge_after(bin) - age.max(self.edges[bin])).max(0.0) * self.rates[bin]).sum()
    }
}
