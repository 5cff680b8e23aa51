//! The traffic of a site as its journal tells it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Demand;
use crate::core::event::Body;
use crate::core::lease::Lease;
use crate::core::source::Source;
use crate::ids::LeaseId;
use crate::limits;
use crate::time::Wall;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Reads events, oldest first, and keeps what sizing needs of one site.
#[derive(Debug, Default)]
pub struct Measured {
    site: String,
    /// Nothing before this counts.
    from: Wall,
    hours: BTreeMap<i64, Hour>,
    /// Leases that are on pages.
    alive: HashMap<LeaseId, Wall>,
    /// Time on pages of leases that ended, in seconds.
    page: f64,
    ended: u64,
    /// Until when the number of concurrent holders is accounted for.
    at: Option<Wall>,
    channels: BTreeMap<Source, u64>,
}

/// One hour of the calendar.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    visits: u64,
    /// Seconds that are accounted for; the concurrent holders over them, and their squares.
    seconds: f64,
    holders: f64,
    squares: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub visits: u64,
    pub days: usize,
    /// Visits of the busiest hour that is no freak: with five days and more, the busiest day is left out.
    pub peak: f64,
    /// Visits of the busiest hour of all, and when it began.
    pub busiest: (u64, Wall),
    pub page: Duration,
    pub peakedness: f64,
    /// Most concurrent holders in the mean of an hour.
    pub holders: f64,
    /// Distinct sources, and distinct campaigns (source, medium and campaign together).
    pub sources: usize,
    pub campaigns: usize,
}

impl Measured {
    /// Of the site with this name, from `from` on.
    pub fn new(site: &str, from: Wall) -> Measured {
        Measured { site: site.to_owned(), from, ..Measured::default() }
    }

    /// Takes in an event; those of other sites are passed over.
    pub fn observe(&mut self, body: &Body) {
        match body {
            Body::LeaseGranted(lease) if self.is_ours(lease) => self.granted(lease),
            // A page that came back to a lease that had ended.
            Body::LeaseRenewed(lease) if self.is_ours(lease) && self.alive.len() < limits::NUMBERS => {
                self.account(lease.seen_at);
                self.alive.entry(lease.lease_id).or_insert(lease.seen_at);
            }
            Body::LeaseReleased(lease) | Body::LeaseExpired(lease) if self.is_ours(lease) => {
                self.account(lease.left_at());
                if let Some(since) = self.alive.remove(&lease.lease_id) {
                    self.page += lease.left_at().millis_since(since) as f64 / 1_000.0;
                    self.ended += 1;
                }
            }
            _ => {}
        }
    }

    /// Visits that got no number: no lease tells of them.
    pub fn turned_away(&mut self, at: Wall, visits: u64) {
        if at >= self.from {
            self.hour(at).visits += visits;
        }
    }

    /// `None`: nobody came.
    pub fn summary(&self) -> Option<Summary> {
        let visits = self.hours.values().map(|hour| hour.visits).sum();
        let mut days: BTreeMap<i64, u64> = BTreeMap::new();
        for (hour, of) in &self.hours {
            let most = days.entry(hour.div_euclid(24)).or_default();
            *most = (*most).max(of.visits);
        }
        let busiest = self.hours.iter().max_by_key(|(hour, of)| (of.visits, std::cmp::Reverse(**hour)))?;
        let mut peaks: Vec<u64> = days.values().copied().filter(|peak| *peak > 0).collect();
        peaks.sort_unstable_by(|a, b| b.cmp(a));
        let peak = if peaks.len() >= 5 { peaks.get(1) } else { peaks.first() };
        let sources: std::collections::BTreeSet<&str> = self.channels.keys().map(|s| s.source.as_str()).collect();
        Some(Summary {
            visits,
            days: days.len(),
            peak: *peak? as f64,
            busiest: (busiest.1.visits, Wall(busiest.0 * HOUR)),
            page: Duration::from_secs_f64(if self.ended == 0 { 0.0 } else { self.page / self.ended as f64 }),
            peakedness: self.peakedness(),
            holders: self.hours.values().map(|hour| hour.holders / HOUR_SECONDS).fold(0.0, f64::max),
            sources: sources.len(),
            campaigns: self.channels.len(),
        })
    }

    fn granted(&mut self, lease: &Lease) {
        self.account(lease.granted_at);
        self.hour(lease.granted_at).visits += 1;
        if self.alive.len() < limits::NUMBERS {
            self.alive.insert(lease.lease_id, lease.granted_at);
        }
        let source = Source::of(&lease.session);
        if self.channels.len() < limits::PLAN_CHANNELS || self.channels.contains_key(&source) {
            *self.channels.entry(source).or_default() += 1;
        }
    }

    /// Variance over mean of the concurrent holders within hours, over those with a tenth of the busiest's holders; 1
    /// when that is less, or when there is too little to say.
    fn peakedness(&self) -> f64 {
        let most = self.hours.values().map(|hour| hour.holders).fold(0.0, f64::max);
        let busy = self.hours.values().filter(|hour| hour.seconds >= HOUR_SECONDS / 2.0 && hour.holders * 10.0 >= most);
        let (mut variances, mut means) = (0.0, 0.0);
        for hour in busy {
            let mean = hour.holders / hour.seconds;
            variances += hour.squares / hour.seconds - mean * mean;
            means += mean;
        }
        if means > 0.0 { (variances / means).max(1.0) } else { 1.0 }
    }

    /// Accounts for the concurrent holders up to `until`, hour by hour.
    fn account(&mut self, until: Wall) {
        let Some(mut at) = self.at.filter(|at| *at < until) else {
            self.at = self.at.or(Some(until));
            return;
        };
        let holders = self.alive.len() as f64;
        // Events of an old journal, or a clock that jumped: nobody held a number all that while.
        if until.0 - at.0 > DAY {
            at = until;
        }
        while at < until {
            let hour = at.0.div_euclid(HOUR);
            let end = Wall((hour + 1) * HOUR).min(until);
            let seconds = (end.0 - at.0) as f64 / 1e6;
            let of = self.hours.entry(hour).or_default();
            of.seconds += seconds;
            of.holders += holders * seconds;
            of.squares += holders * holders * seconds;
            at = end;
        }
        self.at = Some(until);
    }

    fn hour(&mut self, at: Wall) -> &mut Hour {
        self.hours.entry(at.0.div_euclid(HOUR)).or_default()
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        lease.site == self.site && lease.granted_at >= self.from && lease.class.is_of_visitors()
    }
}

const HOUR_SECONDS: f64 = 3_600.0;

impl Summary {
    /// What sizing asks, with the hold that is wanted.
    pub fn demand(&self, hold: Duration) -> Demand {
        Demand { visits_per_hour: self.peak, page: self.page, hold, peakedness: self.peakedness }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::event::Session;
    use crate::core::lease::{Class, Page};
    use crate::ids::E164;

    /// A lease of visit `n`, who came at `at` and stayed for `stay`, as granted and as released.
    pub(crate) fn visit(n: u128, campaign: &str, at: Wall, stay: Duration) -> [Body; 2] {
        let utm = [("source", "google"), ("campaign", campaign)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let lease = Lease {
            lease_id: LeaseId(n),
            number: E164::parse("+442079460001").expect("a number"),
            company: "acme".into(),
            site: "site".into(),
            pool: "web".into(),
            visitor_id: format!("{n:032x}"),
            session: Arc::new(Session { utm: utm.into(), ..Session::default() }),
            granted_at: at,
            seen_at: at,
            expires_at: at,
            released_at: None,
            hold_until: at,
            shared: false,
            class: Class::Free,
            page: Page::default(),
        };
        let left = Lease { released_at: Some(at + stay), ..lease.clone() };
        [Body::LeaseGranted(Arc::new(lease)), Body::LeaseReleased(Arc::new(left))]
    }

    fn read(mut visits: Vec<(Wall, Body)>) -> Measured {
        visits.sort_by_key(|(at, _)| *at);
        let mut measured = Measured::new("site", Wall(0));
        visits.iter().for_each(|(_, body)| measured.observe(body));
        measured
    }

    /// One visit every `every`, for two hours a day, on `days` days.
    fn regular(days: i64, every: Duration, stay: Duration) -> Vec<(Wall, Body)> {
        let mut all = Vec::new();
        for day in 0..days {
            let start = Wall(day * DAY + 9 * HOUR);
            for n in 0..(7_200 / every.as_secs()) {
                let at = start + every * u32::try_from(n).expect("few");
                let [came, left] = visit(u128::from(n) + day as u128 * 10_000, &format!("c{}", n % 3), at, stay);
                all.extend([(at, came), (at + stay, left)]);
            }
        }
        all
    }

    #[test]
    fn a_regular_site() {
        let found = read(regular(3, Duration::from_secs(60), Duration::from_secs(180))).summary().expect("visits");
        assert_eq!((found.visits, found.days, found.peak), (360, 3, 60.0));
        assert_eq!((found.page, found.sources, found.campaigns), (Duration::from_secs(180), 1, 3));
        assert!((found.holders - 3.0).abs() < 0.1, "{found:?}");
        // One a minute for three minutes each is smoother than chance.
        assert!((found.peakedness - 1.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn bursts_show_in_the_peakedness() {
        let mut all = Vec::new();
        // Twenty at once, every half hour: concurrent holders are 20 for a tenth of the time.
        for n in 0..20_i64 {
            for burst in 0..8_i64 {
                let at = Wall(9 * HOUR + burst * HOUR / 2);
                let [came, left] = visit((burst * 100 + n) as u128, "c", at, Duration::from_secs(180));
                all.extend([(at, came), (at + Duration::from_secs(180), left)]);
            }
        }
        let found = read(all).summary().expect("visits");
        assert!(found.peakedness > 10.0, "{found:?}");
    }

    #[test]
    fn the_one_day_that_is_not_like_the_others_is_left_out() {
        let mut all = regular(6, Duration::from_secs(60), Duration::from_secs(60));
        for n in 0..500_i64 {
            let at = Wall(2 * DAY + 14 * HOUR + n * 1_000_000);
            all.extend(visit(900_000 + n as u128, "c", at, Duration::from_secs(5)).map(|body| (at, body)));
        }
        let found = read(all).summary().expect("visits");
        assert_eq!((found.peak, found.busiest.0), (60.0, 500));
        assert_eq!(found.busiest.1, Wall(2 * DAY + 14 * HOUR));
    }

    #[test]
    fn others_sites_and_times_are_not_ours() {
        let mut measured = Measured::new("other", Wall(0));
        visit(1, "c", Wall(HOUR), Duration::from_secs(9)).iter().for_each(|body| measured.observe(body));
        assert_eq!(measured.summary(), None);
        let mut late = Measured::new("site", Wall(DAY));
        visit(1, "c", Wall(HOUR), Duration::from_secs(9)).iter().for_each(|body| late.observe(body));
        late.turned_away(Wall(HOUR), 3);
        assert_eq!(late.summary(), None);
        late.turned_away(Wall(DAY), 3);
        assert_eq!(late.summary().map(|found| (found.visits, found.peakedness)), Some((3, 1.0)));
    }
}
