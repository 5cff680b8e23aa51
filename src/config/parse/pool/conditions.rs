//! `[[pool.conditions]]` and `[[site.worth]]`.

use jiff::tz::TimeZone;

use super::super::super::pool::DEVICES;
use super::super::super::read::{Found, Reader, Section};
use super::super::super::{Conditions, Patterns, Places, Schedule, value};
use super::super::rule::patterns;
use super::super::schedule::{WEEK, span};
use crate::core::lease::Device;
use crate::core::source::is_click_id;

/// Every table of this name.
pub(super) fn tables<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    most: usize,
) -> Vec<Conditions> {
    let sections = r.sections(s, key);
    if let Some(last) = sections.get(most) {
        r.problem(last.place(), format!("at most {most} of these tables are read"));
        return Vec::new();
    }
    let mut all = Vec::with_capacity(sections.len());
    for mut section in sections {
        let conditions = conditions(r, &mut section);
        if section.is_present() && conditions.specificity() == 0 && !r.has_problems() {
            r.problem(section.place(), "asks for nothing; write a condition or take the table out");
        }
        all.push(conditions);
        r.end(section);
    }
    all
}

fn conditions<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Conditions {
    let mut texts = |key| {
        let mut all = Patterns::default();
        patterns(r, s, key, pattern).iter().for_each(|text| all.push(text));
        all
    };
    Conditions {
        utm_source: texts("utm_source"),
        utm_medium: texts("utm_medium"),
        utm_campaign: texts("utm_campaign"),
        utm_term: texts("utm_term"),
        utm_content: texts("utm_content"),
        source: texts("source"),
        medium: texts("medium"),
        campaign: texts("campaign"),
        referrer: texts("referrer"),
        landing_path: texts("landing_path"),
        click_ids: patterns(r, s, "click_ids", click_id),
        device: patterns(r, s, "device", device),
        region: places(r, s, "region", region),
        language: places(r, s, "language", language),
        hours: hours(r, s),
    }
}

fn places<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    read: fn(&str) -> Result<String, String>,
) -> Places {
    let mut all = Places::default();
    patterns(r, s, key, read).iter().for_each(|text| all.push(text));
    all
}

/// `hours`, `days` and `time_zone`: a schedule with the same spans on each of the days.
fn hours<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<Schedule> {
    let zone = r.text(s, "time_zone", |text| match TimeZone::get(text) {
        Ok(time_zone) => Ok((text.to_owned(), time_zone)),
        Err(_) => Err(format!("`{}` is not a time zone; write it like \"Europe/London\"", text.escape_debug())),
    });
    let (days, spans) = (r.list(s, "days", day), r.list(s, "hours", span));
    if zone.is_absent() && days.is_absent() && spans.is_absent() {
        return None;
    }
    let hint = "the clocks that `days` and `hours` follow, like \"Europe/London\"";
    let zone = r.required(s, "time_zone", zone, hint);
    if let Found::Is(_, place) = &days
        && spans.is_absent()
    {
        r.problem(place, "needs `hours` too; the whole day is [\"00:00-24:00\"]");
    }
    let spans: Vec<_> = spans.or(Vec::new()).into_iter().map(|(span, _)| span).collect();
    let days: Vec<usize> = match days {
        Found::Is(days, _) => days.into_iter().map(|(day, _)| day).collect(),
        Found::Absent | Found::Bad => (0..7).collect(),
    };
    let week = std::array::from_fn(|day| if days.contains(&day) { spans.clone() } else { Vec::new() });
    zone.map(|(zone, time_zone)| Schedule { zone, time_zone, week, holidays: Vec::new() })
}

fn day(text: &str) -> Result<usize, String> {
    let found = WEEK.iter().position(|day| *day == text);
    found.ok_or_else(|| format!("`{}` is not a day; it is one of {}", text.escape_debug(), WEEK.join(", ")))
}

fn pattern(text: &str) -> Result<String, String> {
    if text.strip_prefix('!').unwrap_or(text).is_empty() {
        return Err("an empty pattern fits nothing; `*` is any text".to_owned());
    }
    value::printable(text, 256)
}

fn click_id(text: &str) -> Result<String, String> {
    if is_click_id(text) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a click id that we know; write it like \"gclid\" or \"yclid\"", text.escape_debug()))
}

fn device(text: &str) -> Result<Device, String> {
    let found = DEVICES.iter().find(|(name, _)| *name == text).map(|(_, device)| *device);
    found.ok_or_else(|| {
        let names: Vec<&str> = DEVICES.iter().map(|(name, _)| *name).collect();
        format!("`{}` is not a device; it is one of {}", text.escape_debug(), names.join(", "))
    })
}

fn region(text: &str) -> Result<String, String> {
    let code = text.strip_prefix('!').unwrap_or(text);
    let (country, part) = code.split_once('-').unwrap_or((code, "X"));
    let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    if is_country && (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a region; write ISO 3166, like \"GB\" or \"GB-LND\"", text.escape_debug()))
}

fn language(text: &str) -> Result<String, String> {
    let code = text.strip_prefix('!').unwrap_or(text);
    let is_tag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if code.split('-').all(is_tag) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a language; write it like \"en\" or \"en-GB\"", text.escape_debug()))
}
