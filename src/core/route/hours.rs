//! Whether a company is open. Told the time, it reads no clock; zones come from the database that is built in.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::config::{Schedule, Span};
use crate::time::Wall;

/// What the schedule says of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// There is no schedule.
    Always,
    Open,
    Closed,
    /// Closed, because the day is a holiday.
    Holiday,
}

impl Hours {
    pub const fn is_open(self) -> bool {
        matches!(self, Hours::Always | Hours::Open)
    }

    /// As events and commands write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Hours::Always => "always",
            Hours::Open => "open",
            Hours::Closed => "closed",
            Hours::Holiday => "holiday",
        }
    }
}

/// Hours follow the clock on the wall: in the hour that a change of clocks leaves out nobody can call, in the one that it
/// repeats both count. A span that ends on the next day belongs to the day on which it began, holidays too.
pub fn hours(schedule: Option<&Schedule>, at: Wall) -> Hours {
    let Some(schedule) = schedule else { return Hours::Always };
    // Out of range is thousands of years away.
    let Ok(at) = Timestamp::from_microsecond(at.0) else { return Hours::Closed };
    let local = at.to_zoned(schedule.time_zone.clone()).datetime();
    let minute = minute_of(local.hour(), local.minute());
    let today = local.date();
    let is_holiday = |day: Date| schedule.holidays.binary_search(&day).is_ok();
    let spans_of = |day: Date| {
        let index = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0);
        schedule.week.get(index).map_or(&[][..], Vec::as_slice)
    };
    let begun_today = |span: &Span| span.from <= minute && (minute < span.to || wraps(*span));
    let begun_yesterday = |span: &Span| wraps(*span) && minute < span.to;
    let yesterday = today.checked_sub(1.day()).ok().filter(|day| !is_holiday(*day));
    let open = !is_holiday(today) && spans_of(today).iter().any(begun_today)
        || yesterday.is_some_and(|day| spans_of(day).iter().any(begun_yesterday));
    match open {
        true => Hours::Open,
        false if is_holiday(today) => Hours::Holiday,
        false => Hours::Closed,
    }
}

/// The span ends on the day after.
const fn wraps(span: Span) -> bool {
    span.to <= span.from
}

fn minute_of(hour: i8, minute: i8) -> u16 {
    u16::try_from(i32::from(hour) * 60 + i32::from(minute)).unwrap_or(0)
}

/// When the answer changes next, for people: at most a week ahead, to the minute.
pub fn next_change(schedule: &Schedule, at: Wall) -> Option<Wall> {
    let now = hours(Some(schedule), at).is_open();
    let minute = Duration::from_secs(60);
    let mut then = Wall(at.0 - at.0.rem_euclid(60_000_000));
    for _ in 0..8 * 24 * 60 {
        then = then + minute;
        if hours(Some(schedule), then).is_open() != now {
            return Some(then);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn schedule(keys: &str) -> Schedule {
        let text = format!(
            "[[company]]\nname = \"acme\"\nforward_to = [\"sip:1@192.0.2.1\"]\n[company.closed]\nrefuse = 480\n\
             [company.schedule]\n{keys}"
        );
        let config = Config::parse(&text, "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        config.companies[0].schedule.clone().expect("a schedule")
    }

    fn at(text: &str) -> Wall {
        Wall::parse_rfc3339(text).expect("a time")
    }

    fn table(schedule: &Schedule, times: &[(&str, &str)]) {
        for (time, expected) in times {
            assert_eq!(hours(Some(schedule), at(time)).as_str(), *expected, "{time}");
        }
    }

    #[test]
    fn weekdays_and_holidays() {
        let schedule = schedule(
            "time_zone = \"Europe/London\"\nmonday = [\"09:00-13:00\", \"14:00-18:00\"]\nfriday = [\"00:00-24:00\"]\n\
             holidays = [\"2026-12-25\"]",
        );
        table(
            &schedule,
            &[
                // 23 November 2026 is a Monday.
                ("2026-11-23T08:59:59Z", "closed"),
                ("2026-11-23T09:00:00Z", "open"),
                ("2026-11-23T12:59:59Z", "open"),
                ("2026-11-23T13:00:00Z", "closed"),
                ("2026-11-23T14:00:00Z", "open"),
                ("2026-11-23T18:00:00Z", "closed"),
                ("2026-11-24T10:00:00Z", "closed"),
                ("2026-11-27T00:00:00Z", "open"),
                ("2026-11-27T23:59:59Z", "open"),
                ("2026-11-28T00:00:00Z", "closed"),
                ("2026-12-25T12:00:00Z", "holiday"),
                ("2026-12-26T12:00:00Z", "closed"),
            ],
        );
        assert_eq!(next_change(&schedule, at("2026-11-23T09:30:30Z")), Some(at("2026-11-23T13:00:00Z")));
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin() {
        let schedule =
            schedule("time_zone = \"UTC\"\nfriday = [\"22:00-06:00\"]\nholidays = [\"2026-12-04\", \"2026-11-28\"]");
        table(
            &schedule,
            &[
                ("2026-11-27T21:59:00Z", "closed"),
                ("2026-11-27T22:00:00Z", "open"),
                // Saturday is a holiday, Friday's night is not.
                ("2026-11-28T05:59:00Z", "open"),
                ("2026-11-28T06:00:00Z", "holiday"),
                ("2026-12-04T23:00:00Z", "holiday"),
                ("2026-12-05T01:00:00Z", "closed"),
            ],
        );
    }

    #[test]
    fn clocks_go_forward_and_back() {
        let london = schedule("time_zone = \"Europe/London\"\nsunday = [\"01:30-02:30\"]");
        table(
            &london,
            &[
                // 29 March 2026: 01:00 GMT is 02:00 BST; 01:30 to 02:00 does not exist.
                ("2026-03-29T00:59:59Z", "closed"),
                ("2026-03-29T01:00:00Z", "open"),
                ("2026-03-29T01:29:59Z", "open"),
                ("2026-03-29T01:30:00Z", "closed"),
                // 25 October 2026: 01:00 to 02:00 comes twice; from 01:30 BST on, and from 01:30 GMT on.
                ("2026-10-25T00:29:59Z", "closed"),
                ("2026-10-25T00:30:00Z", "open"),
                ("2026-10-25T00:59:59Z", "open"),
                ("2026-10-25T01:00:00Z", "closed"),
                ("2026-10-25T01:30:00Z", "open"),
                ("2026-10-25T02:29:59Z", "open"),
                ("2026-10-25T02:30:00Z", "closed"),
            ],
        );
        // Half-hour zones, and a zone whose day is another one.
        let kolkata = schedule("time_zone = \"Asia/Kolkata\"\nmonday = [\"00:00-01:00\"]");
        table(&kolkata, &[("2026-11-22T18:30:00Z", "open"), ("2026-11-22T19:30:00Z", "closed")]);
        let auckland = schedule("time_zone = \"Pacific/Auckland\"\nmonday = [\"08:00-09:00\"]");
        table(&auckland, &[("2026-11-22T19:00:00Z", "open"), ("2026-11-23T19:00:00Z", "closed")]);
    }
}
