//! What the allocator wants to know of the model: how many calls are still to be expected of somebody who left.

use std::collections::BTreeMap;

use super::hazards::Hazards;
use super::model::{Model, STAYS, stay_bin};
use crate::core::lease::Lease;
use crate::core::source::Source;

/// Bins of the table.
const BINS: usize = 16;

/// Calls to be expected, relative to somebody of no particular source and stay who leaves now.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// A table, because the allocator asks a hundred times for each number it gives.
    edges: [f64; BINS],
    beyond: [f64; BINS],
    slope: [f64; BINS],
    stay: [f64; STAYS],
    sources: BTreeMap<String, f64>,
}

impl Default for Forecast {
    fn default() -> Forecast {
        Model::default().forecast()
    }
}

impl Model {
    /// What the allocator needs of it.
    pub fn forecast(&self) -> Forecast {
        let mut forecast = Forecast {
            edges: [f64::INFINITY; BINS],
            beyond: [0.0; BINS],
            slope: [0.0; BINS],
            stay: self.stay,
            sources: self.sources.clone(),
        };
        if let Some(left) = self.left.first() {
            forecast.take(left);
        }
        forecast
    }
}

impl Forecast {
    /// Nobody calls any more: no number has a risk, and the one that was left longest ago is given.
    pub fn none() -> Forecast {
        let mut forecast = Forecast::default();
        (forecast.beyond, forecast.slope) = ([0.0; BINS], [0.0; BINS]);
        forecast
    }

    fn take(&mut self, left: &Hazards) {
        let whole = left.beyond(0.0).max(f64::MIN_POSITIVE);
        for (bin, edge) in left.edges().iter().enumerate().take(BINS) {
            self.edges[bin] = *edge;
            self.beyond[bin] = left.beyond(*edge) / whole;
            self.slope[bin] = left.rate(bin) / whole;
        }
    }

    /// How much likelier than others this visitor calls, once they have left.
    pub fn weight(&self, lease: &Lease) -> f64 {
        let stay = stay_bin(lease.left_at().seconds_since(lease.granted_at));
        let source = self.sources.get(&Source::of(&lease.session).source).copied().unwrap_or(1.0);
        self.stay[stay] * source
    }

    /// 1 at the moment of leaving, falling to 0. `age` in seconds.
    pub fn beyond(&self, age: f64) -> f64 {
        let bin = self.edges.iter().take_while(|edge| **edge <= age).count().saturating_sub(1);
        (self.beyond[bin] - self.slope[bin] * (age - self.edges[bin]).max(0.0)).max(0.0)
    }
}
