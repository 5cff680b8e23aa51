//! `[sip.defence]`, `[fraud]`, `[company.limits]` and `[company.fraud]`: what a flood, a scanner or a thief may do at most.

use std::time::Duration;

/// Against strangers, and against known ones who ask too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defence {
    /// So many points within `ban_window` ban a stranger's address; 0: nobody is banned. See
    /// [`crate::core::defence::sources`] for what gives points.
    pub ban_after: u32,
    pub ban_window: Duration,
    pub ban_time: Duration,
    /// OPTIONS outside of dialogs that one trunk or destination has answered; 0: no limit.
    pub options_per_second_max: u32,
    /// New calls a second from one address of a trunk; 0: no limit.
    pub source_calls_per_second_max: u32,
}

impl Default for Defence {
    fn default() -> Defence {
        Defence {
            ban_after: 60,
            ban_window: Duration::from_secs(60),
            ban_time: Duration::from_secs(3_600),
            options_per_second_max: 50,
            source_calls_per_second_max: 0,
        }
    }
}

/// `[fraud]`: numbers that no destination may have, and those that cost much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fraud {
    /// Prefixes (`+881`) that are never dialled.
    pub deny: Vec<String>,
    /// ISO 3166 regions whose numbers are never dialled.
    pub deny_countries: Vec<String>,
    /// Exceptions; the longer prefix wins.
    pub allow: Vec<String>,
    /// Prefixes of which a company may have `costly_calls_max` calls at once.
    pub costly: Vec<String>,
}

impl Default for Fraud {
    fn default() -> Fraud {
        // Global mobile satellite, international networks, shared cost and premium rate (ITU-T E.164.D).
        let deny = ["+870", "+878", "+881", "+882", "+883", "+979"].map(str::to_owned).to_vec();
        Fraud { deny, deny_countries: Vec::new(), allow: Vec::new(), costly: Vec::new() }
    }
}

/// `[company.limits]` and `[company.fraud]`; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompanyLimits {
    pub calls_max: usize,
    pub calls_per_second_max: u32,
    pub calls_max_per_caller: usize,
    /// Calls at once to one destination.
    pub destination_calls_max: usize,
    pub destination_calls_per_minute_max: u32,
    /// Calls at once to destinations with one of the costly prefixes.
    pub costly_calls_max: usize,
    /// Talk a day (UTC), running calls included.
    pub minutes_per_day_max: u32,
}
