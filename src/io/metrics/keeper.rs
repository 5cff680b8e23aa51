//! Figures of pools that manage themselves.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::InPool;
use crate::core::keeper::PoolFigures;

/// By pool; never by number.
#[derive(Debug, Default)]
pub struct Keeper {
    minutes_short: Family<InPool, Counter>,
    not_own: Family<InPool, Counter>,
    short: Family<InPool, Gauge>,
    added: Family<InPool, Gauge>,
    resting: Family<InPool, Gauge>,
    /// Numbers from which the last test call did not come back.
    pub tests_failed: Gauge,
}

impl Keeper {
    /// Takes over the machine's figures, which are totals.
    pub fn show(&self, pool: &str, figures: &PoolFigures) {
        let label = InPool { pool: pool.to_owned() };
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.minutes_short.get_or_create(&label).inner().store(figures.minutes_short, Ordering::Relaxed);
        self.not_own.get_or_create(&label).inner().store(figures.not_own, Ordering::Relaxed);
        self.short.get_or_create(&label).set(i64::from(figures.is_short));
        self.added.get_or_create(&label).set(gauge(figures.added));
        self.resting.get_or_create(&label).set(gauge(figures.resting));
    }

    pub(super) fn register(&self, r: &mut Registry) {
        let help = "Minutes in which a visitor got no number of their own";
        r.register("pool_shortage_minutes", help, self.minutes_short.clone());
        r.register("pool_visits_not_own", "Visits without a number of their own", self.not_own.clone());
        r.register("pool_short", "1 while visitors run short of numbers as a rule", self.short.clone());
        r.register("pool_numbers_added", "Numbers beyond the configuration", self.added.clone());
        r.register("pool_numbers_resting", "Numbers that visitors do not get for a while", self.resting.clone());
        let help = "Numbers from which the last test call did not come back";
        r.register("numbers_untested", help, self.tests_failed.clone());
    }
}
