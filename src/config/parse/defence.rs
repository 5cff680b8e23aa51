//! `[sip.defence]`, `[fraud]`, `[company.limits]`, `[company.fraud]`.

use std::time::Duration;

use super::super::read::{Found, Reader, Section};
use super::super::{CompanyLimits, Defence, Fraud};
use super::{DAY, SECOND, duration, small};
use crate::limits;

pub(super) fn defence<'t>(r: &mut Reader<'t>, sip: &mut Section<'_, 't>) -> Defence {
    let mut s = r.section(sip, "defence");
    let default = Defence::default();
    let defence = Defence {
        ban_after: whole(r, &mut s, "ban_after", 1_000_000).unwrap_or(default.ban_after),
        ban_window: duration(r, &mut s, "ban_window", SECOND, DAY).or(default.ban_window),
        ban_time: duration(r, &mut s, "ban_time", SECOND, 30 * DAY).or(default.ban_time),
        options_per_second_max: whole(r, &mut s, "options_per_second_max", 100_000)
            .unwrap_or(default.options_per_second_max),
        source_calls_per_second_max: whole(r, &mut s, "source_calls_per_second_max", 100_000).unwrap_or(0),
    };
    r.end(s);
    defence
}

/// Zero switches the rule off.
pub(super) fn overload_after<'t>(r: &mut Reader<'t>, sip: &mut Section<'_, 't>) -> Duration {
    duration(r, sip, "overload_after", Duration::ZERO, 30 * SECOND).or(limits::OVERLOAD_AFTER)
}

pub(super) fn fraud<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Fraud {
    let mut s = r.section(root, "fraud");
    let default = Fraud::default();
    let mut list = |r: &mut Reader<'t>, key, read: fn(&str) -> Result<String, String>, default: Vec<String>| match r
        .list(&mut s, key, read)
    {
        Found::Is(items, place) => {
            if items.len() > limits::FRAUD_PREFIXES {
                r.problem(&place, format!("has more than {} items", limits::FRAUD_PREFIXES));
            }
            items.into_iter().map(|(item, _)| item).collect()
        }
        Found::Absent | Found::Bad => default,
    };
    let fraud = Fraud {
        deny: list(r, "deny", prefix, default.deny),
        deny_countries: list(r, "deny_countries", country, default.deny_countries),
        allow: list(r, "allow", prefix, default.allow),
        costly: list(r, "costly", prefix, default.costly),
    };
    r.end(s);
    fraud
}

pub(super) fn company_limits<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>) -> CompanyLimits {
    let calls = limits::CALLS as u64;
    let mut s = r.section(company, "limits");
    let mut limits = CompanyLimits {
        calls_max: many(r, &mut s, "calls_max", calls),
        calls_per_second_max: whole(r, &mut s, "calls_per_second_max", 100_000).unwrap_or(0),
        calls_max_per_caller: many(r, &mut s, "calls_max_per_caller", calls),
        ..CompanyLimits::default()
    };
    r.end(s);
    let mut s = r.section(company, "fraud");
    limits.destination_calls_max = many(r, &mut s, "destination_calls_max", calls);
    limits.destination_calls_per_minute_max =
        whole(r, &mut s, "destination_calls_per_minute_max", 100_000).unwrap_or(0);
    limits.costly_calls_max = many(r, &mut s, "costly_calls_max", calls);
    limits.minutes_per_day_max = whole(r, &mut s, "minutes_per_day_max", 100_000_000).unwrap_or(0);
    r.end(s);
    limits
}

/// 0: no limit.
pub(super) fn many<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str, most: u64) -> usize {
    r.integer(s, key, 0..most + 1).optional().map_or(0, small)
}

fn whole<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str, most: u32) -> Option<u32> {
    let found = r.integer(s, key, 0..u64::from(most) + 1).optional();
    found.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

fn prefix(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('+').filter(|digits| (1..=15).contains(&digits.len()));
    if digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a prefix; write `+` and up to 15 digits, like \"+881\"", text.escape_debug()))
}

fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a country; write two capital letters of ISO 3166, like \"GB\"", text.escape_debug()))
}
