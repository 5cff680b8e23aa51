//! What a synthetic world is like, read from a TOML file. `config/worlds/default.toml` gives the reason of each figure.

use std::path::Path;

use serde::Deserialize;

use super::density::Density;

/// The world that is simulated when none is named.
pub const DEFAULT: &str = include_str!("../../config/worlds/default.toml");
/// A world of other families and another mix, on which nothing is ever tuned.
pub const HELD_OUT: &str = include_str!("../../config/worlds/heldout.toml");

/// Sources and campaigns are indexes of 16 bits, numbers of the pool have three digits.
const CAMPAIGNS: usize = 1_000;
/// What one run keeps in memory: a year of a busy site.
const VISITS: f64 = 5_000_000.0;

/// A world. Times are in seconds, shares and probabilities from 0 to 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub name: String,
    pub about: String,
    pub visits_per_day: f64,
    pub days: u32,
    /// Calls of the first days are attributed, but not counted.
    pub warm_up_days: u32,
    /// What one number costs a month, in whatever money.
    pub number_price: f64,
    pub arrivals: Arrivals,
    pub source: Vec<Source>,
    pub devices: Devices,
    pub regions: Regions,
    pub visit: Visit,
    pub returns: Returns,
    pub calls: Calls,
    pub noise: Noise,
    pub losses: Losses,
}

/// When visits come.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// Weight of each hour of the day.
    pub hours: [f64; 24],
    /// Weight of each day of the week, Monday first.
    pub week: [f64; 7],
    /// Bursts of one campaign in 30 days.
    pub bursts: f64,
    /// In a burst the campaign has so many times its visits.
    pub burst_factor: f64,
    /// How long one lasts, in seconds.
    pub burst_length: Density,
}

/// Where visits come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `utm_source` of a tagged source, host of a referring one.
    pub name: String,
    pub kind: SourceKind,
    #[serde(default)]
    pub medium: String,
    /// Name of the click id that the advertiser adds.
    #[serde(default)]
    pub click_id: Option<String>,
    /// Weight among the sources.
    pub share: f64,
    /// Tagged campaigns; sources without tags have one that nobody can name.
    #[serde(default = "one")]
    pub campaigns: usize,
    /// Exponent of Zipf's law over the campaigns.
    #[serde(default)]
    pub zipf: f64,
    /// How much more or less its visitors call.
    pub calls: f64,
}

fn one() -> usize {
    1
}

/// What a page can tell of a visit's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Campaign parameters in the address.
    Tagged,
    /// A referrer and nothing else.
    Referrer,
    /// Nothing.
    Direct,
}

/// On what pages are seen; the rest is desktops.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    pub mobile: f64,
    pub tablet: f64,
}

/// Where people are and what is seen of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    pub count: usize,
    pub zipf: f64,
    /// The page's address is placed where the person is; else anywhere.
    pub address_right: f64,
    /// The page's address is placed nowhere.
    pub address_unknown: f64,
    /// The telephone number belongs to where the person is; else anywhere.
    pub caller_right: f64,
    /// The telephone number belongs to no region.
    pub caller_unknown: f64,
}

/// One visit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// Time in sight of the visitor, all pages together.
    pub time: Density,
    /// Probability that another page follows.
    pub next_page: f64,
    /// Probability that the page goes to the background for a while: another tab or program.
    pub background: f64,
    pub background_time: Density,
    /// Probability that a phone's link is tapped and no call comes of it.
    pub idle_tap: f64,
}

/// Who comes back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returns {
    /// Probability that another visit follows.
    pub share: f64,
    pub after: Density,
    /// On the same device with its cookie.
    pub same_cookie: f64,
    /// On the same device without it; the rest comes on another device.
    pub lost_cookie: f64,
    /// Directly.
    pub direct: f64,
    /// From the source of the last visit; the rest comes from anywhere.
    pub same_source: f64,
}

/// Who calls, when and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Probability of a call for a visit, on average.
    pub per_visit: f64,
    /// The probability grows with this power of the time on the site.
    pub engagement: f64,
    /// Share of calls from the page, and of those soon after leaving; the rest is late.
    pub on_page: f64,
    pub soon: f64,
    /// Where in the visit a call from the page falls: u^power of it, u even.
    pub on_page_power: f64,
    pub soon_after: Density,
    pub late_after: Density,
    /// Late and repeated calls are made between these hours of the day.
    pub awake: [f64; 2],
    pub talk: Density,
    /// Of calls from a phone's page: by tapping the number.
    pub tap: f64,
    /// Tap to INVITE.
    pub tap_lead: Density,
    /// After a call made with the page's phone, the visitor goes on reading.
    pub reads_on: f64,
    /// Of calls dialled beside a desktop's page: the number was copied before.
    pub copy: f64,
    pub copy_lead: Density,
    pub missed: f64,
    /// After a missed call.
    pub redial: f64,
    pub redial_after: Density,
    /// After an answered call: again, the same number.
    pub again: f64,
    pub again_after: Density,
    /// People who withhold their number.
    pub withheld: f64,
}

/// Calls of nobody who was on the site.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Of all calls: robots. Their count does not grow with the pool.
    pub spam: f64,
    /// Calls of one robot, on average, before it changes its number.
    pub robot_calls: f64,
    pub robot_withheld: f64,
    /// Between two calls of a robot.
    pub robot_pause: Density,
    /// Of all calls: people who mistyped.
    pub misdial: f64,
    /// One number of the pool got into a cached page or a directory: so many calls a day.
    pub leak_per_day: f64,
    /// From this part of the time on.
    pub leak_from: f64,
}

/// What of a visit does not arrive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    pub beats: f64,
    /// The page's last word; phones are worse at it.
    pub closes_mobile: f64,
    pub closes_desktop: f64,
    /// The script is blocked: the visitor sees the real number.
    pub blocked_mobile: f64,
    pub blocked_desktop: f64,
}

/// Why there is no such world.
#[derive(Debug, thiserror::Error)]
pub enum BadSpec {
    #[error("cannot read {0}: {1}")]
    Unreadable(String, std::io::Error),
    #[error("{0}: {1}")]
    Malformed(String, Box<toml::de::Error>),
    #[error("{0}: {1}")]
    Impossible(String, String),
}

/// The description of a world that is built in: `default` or `heldout`.
pub fn built_in(name: &str) -> Option<&'static str> {
    match name {
        "default" => Some(DEFAULT),
        "heldout" => Some(HELD_OUT),
        _ => None,
    }
}

impl Spec {
    /// `default`, `heldout` or a file.
    pub fn load(name: &str) -> Result<Spec, BadSpec> {
        if let Some(text) = built_in(name) {
            return Spec::parse(text, name);
        }
        let text = std::fs::read_to_string(Path::new(name));
        Spec::parse(&text.map_err(|error| BadSpec::Unreadable(name.to_owned(), error))?, name)
    }

    /// Reads a text; `file` is for messages.
    pub fn parse(text: &str, file: &str) -> Result<Spec, BadSpec> {
        let spec: Spec = toml::from_str(text).map_err(|error| BadSpec::Malformed(file.to_owned(), Box::new(error)))?;
        spec.check().map_err(|why| BadSpec::Impossible(file.to_owned(), why))?;
        Ok(spec)
    }

    /// # Errors
    /// The first thing that no world can have.
    pub fn check(&self) -> Result<(), String> {
        for (key, share) in self.shares() {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("{key} = {share}: a share is from 0 to 1"));
            }
        }
        let campaigns: usize = self.source.iter().map(|source| source.campaigns).sum();
        let weights = self.source.iter().map(|source| source.share);
        let all_weights = || self.arrivals.hours.iter().chain(&self.arrivals.week).copied().chain(weights.clone());
        let is = |good: bool, why: &str| if good { Ok(()) } else { Err(why.to_owned()) };
        is((1..=CAMPAIGNS).contains(&campaigns), "1 to 1000 campaigns are wanted")?;
        is(self.source.iter().all(|source| source.campaigns > 0), "a source has one campaign at least")?;
        is(all_weights().all(|weight| weight >= 0.0 && weight.is_finite()), "weights are 0 or more")?;
        is(weights.clone().sum::<f64>() > 0.0, "all sources have share 0")?;
        is(self.arrivals.hours.iter().sum::<f64>() > 0.0, "all hours have weight 0")?;
        is(self.arrivals.week.iter().sum::<f64>() > 0.0, "all days of the week have weight 0")?;
        is((1..=99).contains(&self.regions.count), "1 to 99 regions are wanted")?;
        is(self.visits_per_day > 0.0, "visits_per_day must be above 0")?;
        is(self.visits_per_day * f64::from(self.days) <= VISITS, "more than 5,000,000 visits in all")?;
        is(self.warm_up_days < self.days, "the warm-up must end before the last day")?;
        is(self.arrivals.burst_factor >= 1.0 && self.arrivals.bursts >= 0.0, "a burst has more visits, not fewer")?;
        is(self.noise.spam + self.noise.misdial < 0.9, "spam and misdials leave no room for callers")?;
        is(self.arrivals.burst_factor <= 100.0 && self.arrivals.bursts <= 100.0, "100 bursts of 100 times are enough")?;
        is((0.0..=1_000.0).contains(&self.noise.leak_per_day), "leak_per_day is from 0 to 1000")?;
        is(self.number_price.is_finite() && self.number_price >= 0.0, "number_price is 0 or more")?;
        is(self.noise.robot_calls >= 1.0, "robot_calls must be 1 or more")?;
        is(self.returns.share <= 0.9 && self.calls.again <= 0.9 && self.visit.next_page <= 0.9, "no end of it: 0.9")?;
        is(self.calls.redial * self.calls.missed <= 0.9, "no end of redialling")?;
        let [from, to] = self.calls.awake;
        is(0.0 <= from && from < to && to <= 24.0, "calls.awake are two hours of the day, the earlier first")
    }

    fn shares(&self) -> Vec<(&'static str, f64)> {
        let Spec { devices, regions, visit, returns, calls, noise, losses, .. } = self;
        vec![
            ("devices.mobile", devices.mobile),
            ("devices.tablet", devices.tablet),
            ("devices together", devices.mobile + devices.tablet),
            ("regions.address_right", regions.address_right),
            ("regions.address_unknown", regions.address_unknown),
            ("regions.caller_right", regions.caller_right),
            ("regions.caller_unknown", regions.caller_unknown),
            ("visit.next_page", visit.next_page),
            ("visit.background", visit.background),
            ("visit.idle_tap", visit.idle_tap),
            ("returns.share", returns.share),
            ("returns.same_cookie and lost_cookie", returns.same_cookie + returns.lost_cookie),
            ("returns.direct and same_source", returns.direct + returns.same_source),
            ("calls.per_visit", calls.per_visit),
            ("calls.on_page and soon", calls.on_page + calls.soon),
            ("calls.tap", calls.tap),
            ("calls.reads_on", calls.reads_on),
            ("calls.copy", calls.copy),
            ("calls.missed", calls.missed),
            ("calls.redial", calls.redial),
            ("calls.again", calls.again),
            ("calls.withheld", calls.withheld),
            ("noise.spam", noise.spam),
            ("noise.robot_withheld", noise.robot_withheld),
            ("noise.misdial", noise.misdial),
            ("noise.leak_from", noise.leak_from),
            ("losses.beats", losses.beats),
            ("losses.closes_mobile", losses.closes_mobile),
            ("losses.closes_desktop", losses.closes_desktop),
            ("losses.blocked_mobile", losses.blocked_mobile),
            ("losses.blocked_desktop", losses.blocked_desktop),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worlds_are_good() {
        for name in ["default", "heldout"] {
            let spec = Spec::load(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(spec.name, name);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (good, bad, expected) in [
            ("on_page = 0.65", "on_page = 1.65", "calls.on_page and soon"),
            ("warm_up_days = 13", "warm_up_days = 40", "warm-up"),
            ("awake = [8, 21]", "awake = [21, 8]", "calls.awake"),
            ("leak_per_day = 0.6", "leak_per_day = 1e9", "leak_per_day"),
            ("number_price = 1.0", "number_price = nan", "number_price"),
            ("burst_factor = 5", "burst_factor = 1e9", "bursts"),
            ("share = 0.24", "share = -0.24", "weights"),
            ("campaigns = 12", "campaigns = 0", "one campaign at least"),
            ("on_page = 0.65", "on_pages = 0.65", "unknown field `on_pages`"),
            ("family = \"log_normal\"", "family = \"bell\"", "unknown variant `bell`"),
        ] {
            assert!(DEFAULT.contains(good), "{good}");
            let error = Spec::parse(&DEFAULT.replacen(good, bad, 1), "world.toml").unwrap_err().to_string();
            assert!(error.starts_with("world.toml: ") && error.contains(expected), "{error}");
        }
        assert!(Spec::load("no/such/world.toml").unwrap_err().to_string().starts_with("cannot read no/such"));
    }
}
