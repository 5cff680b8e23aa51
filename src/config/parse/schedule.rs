//! `[company.schedule]`, and what happens when a company is closed.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::check::Marks;
use super::super::read::{Reader, Section};
use super::super::{Schedule, Span, Then};
use super::destinations::{optional_ways, ways};
use crate::limits;

const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// `[company.schedule]`.
pub(super) fn schedule<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>) -> Option<Schedule> {
    let mut s = r.section(company, "schedule");
    let zone = r.text(&mut s, "time_zone", |text| match TimeZone::get(text) {
        Ok(time_zone) => Ok((text.to_owned(), time_zone)),
        Err(_) => Err(format!("`{}` is not a time zone; write it like \"Europe/London\"", text.escape_debug())),
    });
    let zone = r.required(&s, "time_zone", zone, "the clocks that the hours follow, like \"Europe/London\"");
    let mut total = 0;
    let week = WEEK.map(|day| {
        let spans: Vec<Span> = r.list(&mut s, day, span).or(Vec::new()).into_iter().map(|(span, _)| span).collect();
        total += spans.len();
        spans
    });
    let holidays = r.list(&mut s, "holidays", |text| {
        text.parse::<Date>()
            .map_err(|_| format!("`{}` is not a day; write it like \"2026-12-25\"", text.escape_debug()))
    });
    let mut holidays: Vec<Date> = holidays.or(Vec::new()).into_iter().map(|(day, _)| day).collect();
    holidays.sort_unstable();
    if s.is_present() && total == 0 {
        r.problem(s.place(), "has no hours: nobody would ever be there; write some, like monday = [\"09:00-18:00\"]");
    }
    if total > limits::SCHEDULE_SPANS || holidays.len() > limits::SCHEDULE_HOLIDAYS {
        let (spans, days) = (limits::SCHEDULE_SPANS, limits::SCHEDULE_HOLIDAYS);
        r.problem(s.place(), format!("has more than {spans} spans or {days} holidays"));
    }
    r.end(s);
    zone.map(|(zone, time_zone)| Schedule { zone, time_zone, week, holidays })
}

/// `[company.closed]`: destinations, or a refusal.
pub(super) fn closed<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Then> {
    let mut s = r.section(company, "closed");
    let is_there = s.is_present();
    let refuse = refusal(r, &mut s);
    let then = match refuse {
        Some(status) => {
            if optional_ways(r, &mut s, marks).is_some() {
                r.problem(s.place(), "`forward_to` and `refuse` are both given; keep one of them");
            }
            Then::Refuse(status)
        }
        None => Then::Forward(ways(r, &mut s, marks)),
    };
    r.end(s);
    is_there.then_some(then)
}

/// `refuse`: a final status for the caller.
pub(super) fn refusal<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<u16> {
    r.integer(s, "refuse", 400..700).optional().and_then(|status| u16::try_from(status).ok())
}

/// `09:00-18:00`, `22:00-06:00` (until the next morning), `00:00-24:00`.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let bad = || format!("`{}` is not a part of a day; write it like \"09:00-18:00\"", text.escape_debug());
    let (from, to) = text.split_once('-').ok_or_else(bad)?;
    let minutes = |text: &str| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
    };
    let (from, to) = (minutes(from).ok_or_else(bad)?, minutes(to).ok_or_else(bad)?);
    if from == to || from == 24 * 60 || to == 0 {
        return Err(format!("`{text}` has no length; a whole day is \"00:00-24:00\", and midnight as an end is 24:00"));
    }
    Ok(Span { from, to })
}

/// The text that [`span`] reads.
pub(in super::super) fn span_text(span: Span) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", span.from / 60, span.from % 60, span.to / 60, span.to % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_day() {
        for text in ["09:00-18:00", "22:00-06:00", "00:00-24:00", "23:59-24:00"] {
            assert_eq!(span(text).map(span_text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "9-18",
            "09:00",
            "09:00-09:00",
            "24:00-01:00",
            "22:00-00:00",
            "09:60-10:00",
            "-1:00-02:00",
            "25:00-26:00",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
