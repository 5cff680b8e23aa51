//! Days of a report: presets that move with the calendar.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Unit};

use crate::time::Wall;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Days by a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Preset {
    Today,
    Yesterday,
    Week,
    /// The last thirty days, today among them.
    #[default]
    Month,
    Quarter,
    Year,
    ThisMonth,
    LastMonth,
}

impl Preset {
    pub(super) const ALL: [Preset; 8] = [
        Preset::Today,
        Preset::Yesterday,
        Preset::Week,
        Preset::Month,
        Preset::Quarter,
        Preset::Year,
        Preset::ThisMonth,
        Preset::LastMonth,
    ];

    /// As it stands in the address.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Preset::Today => "today",
            Preset::Yesterday => "yesterday",
            Preset::Week => "7d",
            Preset::Month => "30d",
            Preset::Quarter => "90d",
            Preset::Year => "365d",
            Preset::ThisMonth => "this_month",
            Preset::LastMonth => "last_month",
        }
    }

    pub(super) fn of_code(code: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.code() == code)
    }

    /// First and last day, seen from today; days since 1970.
    pub(super) fn days(self, today: i64) -> (i64, i64) {
        let first = date(today).map_or(today, |date| day_of(date.first_of_month()));
        match self {
            Preset::Today => (today, today),
            Preset::Yesterday => (today - 1, today - 1),
            Preset::Week => (today - 6, today),
            Preset::Month => (today - 29, today),
            Preset::Quarter => (today - 89, today),
            Preset::Year => (today - 364, today),
            Preset::ThisMonth => (first, today),
            Preset::LastMonth => (date(first - 1).map_or(first - 1, |date| day_of(date.first_of_month())), first - 1),
        }
    }
}

/// Days since 1970.
pub(super) fn day_of(date: Date) -> i64 {
    EPOCH.until((Unit::Day, date)).map_or(0, |span| i64::from(span.get_days()))
}

/// The date of a day since 1970; none beyond all calendars.
pub(super) fn date(day: i64) -> Option<Date> {
    EPOCH.checked_add(Span::new().try_days(day).ok()?).ok()
}

/// When a day begins there.
pub(super) fn start(day: i64, zone: &TimeZone) -> Option<Wall> {
    let zoned = date(day)?.to_zoned(zone.clone()).ok()?;
    Some(Wall(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::index::{day_text, parse_day};

    #[test]
    fn presets_follow_the_calendar() {
        let of = |preset: Preset, today: &str| {
            let (since, until) = preset.days(parse_day(today).unwrap());
            format!("{} {}", day_text(since), day_text(until))
        };
        for (code, wanted) in [
            ("today", "2026-03-01 2026-03-01"),
            ("yesterday", "2026-02-28 2026-02-28"),
            ("7d", "2026-02-23 2026-03-01"),
            ("30d", "2026-01-31 2026-03-01"),
            ("90d", "2025-12-02 2026-03-01"),
            ("365d", "2025-03-02 2026-03-01"),
            ("this_month", "2026-03-01 2026-03-01"),
            ("last_month", "2026-02-01 2026-02-28"),
        ] {
            assert_eq!(of(Preset::of_code(code).unwrap(), "2026-03-01"), wanted, "{code}");
        }
        assert_eq!(of(Preset::LastMonth, "2026-01-15"), "2025-12-01 2025-12-31");
        assert_eq!(Preset::of_code("ever"), None);
        assert_eq!(date(i64::MAX), None);
    }

    #[test]
    fn a_day_begins_at_midnight_there() {
        let day = parse_day("2026-11-21").unwrap();
        let moscow = TimeZone::get("Europe/Moscow").unwrap();
        assert_eq!(start(day, &moscow), Wall::parse_rfc3339("2026-11-20T21:00:00Z"));
        assert_eq!(date(day).map(day_of), Some(day));
    }
}
