//! How many numbers a site needs.
//!
//! # Derivation
//!
//! A visitor occupies one number from the moment the page shows it until it is no longer theirs alone: while they are on
//! the page and, where the hold is to be respected, for the hold after it. With λ visits an hour that need a number and a
//! mean occupation of `s + h` (page time and hold), λ·(s + h) numbers are busy in the mean (Little's law): the offered
//! load *a*, in Erlang. Visits come independently of each other, so their arrivals are Poisson within an hour, and a
//! visitor for whom nothing is free does not wait: a loss system, M/G/n/n. Its blocking probability is Erlang's loss
//! formula, which depends on the occupation by its mean only:
//!
//! ```text
//! B(0, a) = 1        B(n, a) = a·B(n−1, a) / (n + a·B(n−1, a))
//! ```
//!
//! Computed as `1/B(n) = 1 + (n/a) · 1/B(n−1)`, which adds positive terms only: nothing cancels, whatever the size.
//!
//! Advertisements make visits come in bursts. Then the number of busy numbers varies more than its mean (*peakedness* z,
//! variance over mean of the concurrent holders of a pool without a bound; 1 for Poisson). Hayward's approximation gives
//! such a load to `n/z` numbers with `a/z` Erlang. `n/z` is no whole number as a rule, so B is continued between whole
//! ones by Fortet's integral `1/B(x, a) = ∫₀^∞ e^(−t)·(1 + t/a)^x dt`, taken for the fraction of x and carried on by the
//! same recursion.
//!
//! The size for a target is the smallest n whose blocking is not above it. What a blocked visit costs in wrong sources is
//! not derived here: it depends on how calls follow visits, and is measured by running the production allocator and the
//! production attribution in a simulated world at that size (`leaseline simulate`). Size is chosen by these two figures,
//! blocking and simulated error of the posterior, and by nothing else.

pub mod measured;
pub mod plan;

use std::time::Duration;

use crate::limits;

/// What the stated or measured traffic of a site comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Visits that need a number, in the busiest hour.
    pub visits_per_hour: f64,
    /// Mean time that a number is on a page.
    pub page: Duration,
    /// Time after the page for which a number is kept for its visitor.
    pub hold: Duration,
    /// Variance over mean of the concurrent holders; 1 when visits are independent of each other.
    pub peakedness: f64,
}

impl Demand {
    /// Numbers that are on pages in the mean, in Erlang.
    pub fn on_page(&self) -> f64 {
        offered(self.visits_per_hour, self.page, Duration::ZERO)
    }

    /// Numbers that are on pages or held in the mean, in Erlang.
    pub fn with_hold(&self) -> f64 {
        offered(self.visits_per_hour, self.page, self.hold)
    }

    /// The same site with so many times the visits.
    #[must_use]
    pub fn times(self, factor: f64) -> Demand {
        Demand { visits_per_hour: self.visits_per_hour * factor, ..self }
    }
}

/// Offered load in Erlang: visits an hour times the mean time that each takes a number.
pub fn offered(visits_per_hour: f64, page: Duration, hold: Duration) -> f64 {
    visits_per_hour * (page + hold).as_secs_f64() / 3_600.0
}

/// Share of visits that find no number of `numbers` under a load of `load` Erlang with this peakedness.
///
/// 0 without load; 1 without numbers. A peakedness below 1 or not finite counts as 1: smoother traffic than independent
/// visits is not relied on.
pub fn blocking(numbers: usize, load: f64, peakedness: f64) -> f64 {
    if load.is_nan() || load <= 0.0 {
        return 0.0;
    }
    let z = if peakedness.is_finite() { peakedness.max(1.0) } else { 1.0 };
    1.0 / inverse(numbers as f64 / z, load / z)
}

/// The smallest number of numbers whose blocking is not above `target` (a share between 0 and 1), at most
/// [`limits::NUMBERS`].
pub fn numbers_for(load: f64, peakedness: f64, target: f64) -> usize {
    let fits = |numbers: usize| blocking(numbers, load, peakedness) <= target;
    // Blocking falls with every number, so the place where it passes the target can be searched by halves.
    let (mut low, mut high) = (0, 1);
    while !fits(high) {
        if high >= limits::NUMBERS {
            return limits::NUMBERS;
        }
        (low, high) = (high, (high * 2).min(limits::NUMBERS));
    }
    if fits(low) {
        return low;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle }
    }
    high
}

/// The greatest load in Erlang that so many numbers carry with a blocking of at most `target`.
pub fn load_for(numbers: usize, peakedness: f64, target: f64) -> f64 {
    let fits = |load: f64| blocking(numbers, load, peakedness) <= target;
    if target >= 1.0 || numbers == 0 {
        return if target >= 1.0 { f64::INFINITY } else { 0.0 };
    }
    let (mut low, mut high) = (0.0, 1.0);
    while fits(high) && high < 1e12 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..100 {
        let middle = low + (high - low) / 2.0;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

/// `1/B(x, a)` for real x ≥ 0 and a > 0; infinite when B is below what a double can hold.
fn inverse(x: f64, a: f64) -> f64 {
    let whole = x.floor().min(limits::NUMBERS as f64);
    let fraction = (x - x.floor()).clamp(0.0, 1.0);
    let mut value = if fraction < 1e-12 { 1.0 } else { fortet(fraction, a) };
    for step in 1..=whole as usize {
        value = 1.0 + (fraction + step as f64) / a * value;
        if value.is_infinite() {
            break;
        }
    }
    value
}

/// Fortet's integral for an x between 0 and 1, by Simpson's rule over `t = u²`: the new variable takes the steepness out
/// of small loads, where `(1 + t/a)^x` rises almost at once.
fn fortet(x: f64, a: f64) -> f64 {
    // e^(-49) of the integrand is left out, which is below the last digit of a double.
    const UNTIL: f64 = 7.0;
    const STEPS: usize = 512;
    let width = UNTIL / STEPS as f64;
    let at = |u: f64| 2.0 * u * (-u * u).exp() * (1.0 + u * u / a).powf(x);
    let inner = (1..STEPS).map(|i| at(i as f64 * width) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum::<f64>();
    (at(0.0) + inner + at(UNTIL)) * width / 3.0
}

#[cfg(test)]
mod tests;
