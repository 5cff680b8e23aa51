//! `[[site]]`: which visits get a number at all.

use std::time::Duration;

use ipnet::IpNet;

use super::super::Secret;
use super::Conditions;

/// Which visits of a site get a number.
#[derive(Clone, Debug)]
pub struct Visits {
    /// Offices and remote staff: their visits see the real number.
    pub exclude: Vec<IpNet>,
    /// Signs links for staff whose addresses change; none: there are no such links.
    pub staff_secret: Option<Secret>,
    /// A staff link marks a browser for so long; default 90 days.
    pub staff_for: Duration,
    /// Crawlers that say so, and pages that are only prefetched, see the real number; default true.
    pub bots: bool,
    /// New leases an hour for one address (IPv6: for its /64); 0: no limit. Default 60.
    pub leases_per_address_max: u32,
    /// Which of the others get a number of their own.
    pub track: Track,
    /// What makes a visit worth a number: with `track = "rule"` alone, with `"score"` whatever the score is.
    pub worth: Vec<Conditions>,
    /// How likely a call must look, with `track = "score"`: 0 to 100.
    pub score_min: u32,
}

impl Visits {
    pub(in crate::config) const STAFF_FOR: Duration = Duration::from_secs(90 * 86_400);
    pub(in crate::config) const LEASES_PER_ADDRESS: u32 = 60;
    pub(in crate::config) const SCORE_MIN: u32 = 40;
}

impl Default for Visits {
    fn default() -> Visits {
        Visits {
            exclude: Vec::new(),
            staff_secret: None,
            staff_for: Visits::STAFF_FOR,
            bots: true,
            leases_per_address_max: Visits::LEASES_PER_ADDRESS,
            track: Track::All,
            worth: Vec::new(),
            score_min: Visits::SCORE_MIN,
        }
    }
}

/// Selective tracking: which visits get a number of their own; the others see the static number of their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Track {
    #[default]
    All,
    /// Those that fit one of `worth`.
    Rule,
    /// Those whose score is `score_min` at least.
    Score,
}

impl Track {
    pub const ALL: [(&'static str, Track); 3] = [("all", Track::All), ("rule", Track::Rule), ("score", Track::Score)];

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Track::All => "all",
            Track::Rule => "rule",
            Track::Score => "score",
        }
    }
}
