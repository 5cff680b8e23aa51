//! `[company.schedule]`: when a company takes calls.

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Opening hours by the clocks of one time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// As written, of the IANA database.
    pub zone: String,
    pub time_zone: TimeZone,
    /// Monday first.
    pub week: [Vec<Span>; 7],
    /// Days on which nobody is there, whatever the weekday says.
    pub holidays: Vec<Date>,
}

/// Part of a day, in minutes since midnight. An end that is not after the beginning is on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: u16,
    pub to: u16,
}

/// What happens to a call when the company is closed, or by a rule.
#[derive(Clone, Debug)]
pub enum Then {
    /// These destinations.
    Forward(super::Ways),
    /// Refused with this status.
    Refuse(u16),
    /// As without the rule.
    Usual,
}

impl Then {
    /// Its destinations.
    pub fn ways(&self) -> Option<&super::Ways> {
        match self {
            Then::Forward(ways) => Some(ways),
            Then::Refuse(_) | Then::Usual => None,
        }
    }

    pub(in crate::config) fn ways_mut(&mut self) -> Option<&mut super::Ways> {
        match self {
            Then::Forward(ways) => Some(ways),
            Then::Refuse(_) | Then::Usual => None,
        }
    }
}
