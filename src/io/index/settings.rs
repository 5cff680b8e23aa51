//! What the configuration says that figures depend on.

use std::collections::HashMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::{Config, PoolRules};
use crate::time::Wall;

/// Calendars and money of companies, thresholds of pools. Made anew with every configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    companies: HashMap<String, CompanySettings>,
    pools: HashMap<(String, String), i64>,
}

/// See [`Settings`].
#[derive(Clone, Debug)]
pub struct CompanySettings {
    /// As the configuration names it.
    pub time_zone: String,
    /// ISO 4217.
    pub currency: String,
    calendar: Calendar,
}

/// Days and hours as a company's clocks show them.
#[derive(Clone, Debug)]
pub struct Calendar(TimeZone);

/// The zone of companies that the configuration does not know any more.
pub(super) const UTC: &str = "UTC";

impl Settings {
    pub fn of(config: &Config) -> Settings {
        let company = |company: &std::sync::Arc<crate::config::Company>| {
            let settings = CompanySettings {
                time_zone: company.time_zone.clone(),
                currency: company.currency.clone(),
                calendar: Calendar::of(&company.time_zone),
            };
            (company.name.clone(), settings)
        };
        let pool = |pool: &std::sync::Arc<crate::config::Pool>| {
            ((pool.company.clone(), pool.name.clone()), millis(pool.rules.quality_talk()))
        };
        Settings {
            companies: config.companies.iter().map(company).collect(),
            pools: config.pools.iter().map(pool).collect(),
        }
    }

    pub(super) fn time_zone(&self, company: &str) -> &str {
        self.companies.get(company).map_or(UTC, |settings| &settings.time_zone)
    }

    /// Of this company; none that is not configured.
    pub fn company(&self, name: &str) -> Option<&CompanySettings> {
        self.companies.get(name)
    }

    /// Talk of so long makes a quality call.
    pub(super) fn quality_ms(&self, company: &str, pool: &str) -> i64 {
        let known = self.pools.get(&(company.to_owned(), pool.to_owned())).copied();
        known.unwrap_or_else(|| millis(PoolRules::QUALITY_TALK))
    }
}

impl CompanySettings {
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }
}

impl Calendar {
    /// Of this zone of the IANA database; UTC when there is none of this name.
    pub fn of(time_zone: &str) -> Calendar {
        Calendar(TimeZone::get(time_zone).unwrap_or(TimeZone::UTC))
    }

    /// The zone whose clocks these are.
    pub fn zone(&self) -> &TimeZone {
        &self.0
    }

    /// Days since 1970 and the hour.
    pub fn day_and_hour(&self, at: Wall) -> (i64, i64) {
        let instant = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let local = at.0.div_euclid(1_000_000) + i64::from(self.0.to_offset(instant).seconds());
        (local.div_euclid(86_400), local.rem_euclid(86_400) / 3_600)
    }
}

/// `2026-11-22`, for days since 1970.
pub fn day_text(day: i64) -> String {
    let (year, month, date) = Wall(day.saturating_mul(86_400_000_000)).date();
    format!("{year:04}-{month:02}-{date:02}")
}

/// Days since 1970, for `2026-11-22`.
pub fn parse_day(text: &str) -> Option<i64> {
    let is_date = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let midnight = is_date.then(|| Wall::parse_rfc3339(&format!("{text}T00:00:00Z"))).flatten()?;
    Some(midnight.0.div_euclid(86_400_000_000))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_those_of_the_companys_clocks() {
        let at = Wall::parse_rfc3339("2026-11-21T22:30:00Z").unwrap();
        let of = |zone: &str| {
            let (day, hour) = Calendar::of(zone).day_and_hour(at);
            (day_text(day), hour)
        };
        assert_eq!(of("UTC"), ("2026-11-21".to_owned(), 22));
        assert_eq!(of("Europe/Moscow"), ("2026-11-22".to_owned(), 1));
        assert_eq!(of("Asia/Kolkata"), ("2026-11-22".to_owned(), 4));
        assert_eq!(of("America/New_York"), ("2026-11-21".to_owned(), 17));
        assert_eq!(parse_day("2026-11-22").map(day_text).as_deref(), Some("2026-11-22"));
        assert_eq!([parse_day("2026-13-01"), parse_day("22.11.2026"), parse_day("")], [None; 3]);
    }
}
