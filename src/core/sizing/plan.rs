//! From a site's demand to sizes with their blocking and their price, and what else the same money would buy.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Demand, blocking, numbers_for};
use crate::core::keeper::money::Money;
use crate::limits;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub demand: Demand,
    /// Share of visits that may go without a number of their own, above 0 and below 1.
    pub target: f64,
    /// Of one number a month.
    pub price: Option<Money>,
    /// Channels (campaigns) that the site has, when it is known.
    pub channels: Option<usize>,
    pub forecasts: Vec<Forecast>,
}

/// Times with other traffic than usual: a campaign, a season.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    pub factor: f64,
    /// First and last day, as dates (`2026-12-01`); none: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Forecast {
    /// Whether it is for this day (`2026-12-01`).
    pub fn is_for(&self, day: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= day) && self.until.as_deref().is_none_or(|until| day <= until)
    }
}

impl FromStr for Forecast {
    type Err = String;

    /// `3` or `3@2026-12-01..2026-12-24`.
    fn from_str(text: &str) -> Result<Forecast, String> {
        let how = || "write it like 3 or 3@2026-12-01..2026-12-24".to_owned();
        let (factor, dates) = text.split_once('@').map_or((text, None), |(factor, dates)| (factor, Some(dates)));
        let factor = factor.parse::<f64>().ok().filter(|factor| *factor > 0.0 && *factor <= 1_000.0).ok_or_else(how)?;
        let Some(dates) = dates else { return Ok(Forecast { factor, from: None, until: None }) };
        let (from, until) = dates.split_once("..").ok_or_else(how)?;
        let date = |text: &str| text.parse::<jiff::civil::Date>().map_err(|_| how());
        let (from, until) = (date(from)?, date(until)?);
        if until < from {
            return Err(format!("{until} is before {from}"));
        }
        Ok(Forecast { factor, from: Some(from.to_string()), until: Some(until.to_string()) })
    }
}

impl fmt::Display for Forecast {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.until) {
            (Some(from), Some(until)) => write!(f, "{}@{from}..{until}", self.factor),
            _ => write!(f, "{}", self.factor),
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Erlang of numbers on pages, and of numbers on pages or held.
    pub on_page: f64,
    pub with_hold: f64,
    /// The smallest size with which no more than the target's share of visits shares a number with a visitor who is on
    /// the page, too.
    pub numbers: usize,
    /// The smallest size with which no more than that share gets a number that is still held for another.
    pub numbers_with_hold: usize,
    pub sizes: Vec<Size>,
    pub compare: Vec<Alternative>,
    pub forecasts: Vec<Forecasted>,
}

/// One size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    pub numbers: usize,
    /// Share of visits that find every number on somebody's page.
    pub blocked: f64,
    /// Share of visits that get a number whose last visitor left less than the hold ago, or share one.
    pub reused: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Share of calls that are credited right in a simulated world with so many numbers; absent: not simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<Right>,
}

/// Shares of calls, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Right {
    pub visitor: f64,
    pub campaign: f64,
    pub source: f64,
}

/// One way to spend numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// `one_dynamic`, `static_per_channel` or `dynamic_per_channel`.
    pub kind: &'static str,
    pub numbers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// What a call tells at best: `visitor` or `channel`.
    pub tells: &'static str,
}

/// A forecast with what it needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecasted {
    #[serde(flatten)]
    pub forecast: Forecast,
    pub numbers: usize,
    /// Beyond the usual size.
    pub more: usize,
    /// Of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
}

/// Answers the question.
pub fn plan(question: &Question) -> Plan {
    let Question { demand, target, price, channels: _, forecasts } = question;
    let (on_page, with_hold, z) = (demand.on_page(), demand.with_hold(), demand.peakedness);
    let numbers = numbers_for(on_page, z, *target);
    let numbers_with_hold = numbers_for(with_hold, z, *target);
    let cost = |numbers: usize| price.map(|price| price.times(numbers));
    let size = |numbers| Size {
        numbers,
        blocked: blocking(numbers, on_page, z),
        reused: blocking(numbers, with_hold, z),
        price: cost(numbers),
        right: None,
    };
    let forecasted = |forecast: &Forecast| {
        let needed = numbers_for(demand.times(forecast.factor).on_page(), z, *target);
        let more = needed.saturating_sub(numbers);
        Forecasted { forecast: forecast.clone(), numbers: needed, more, price: cost(more) }
    };
    Plan {
        on_page,
        with_hold,
        numbers,
        numbers_with_hold,
        sizes: shown(on_page, with_hold, z, *target).into_iter().map(size).collect(),
        compare: compare(question, numbers, cost),
        forecasts: forecasts.iter().map(forecasted).collect(),
    }
}

/// Sizes that are worth a line: those of the usual targets for both loads, and powers of two between them.
fn shown(on_page: f64, with_hold: f64, z: f64, target: f64) -> Vec<usize> {
    let mut sizes: Vec<usize> = [0.05, 0.01, 0.001, target]
        .into_iter()
        .flat_map(|target| [on_page, with_hold].map(|load| numbers_for(load, z, target)))
        .filter(|numbers| *numbers > 0)
        .collect();
    let (least, most) = (sizes.iter().min().copied().unwrap_or(1), sizes.iter().max().copied().unwrap_or(1));
    let powers = std::iter::successors(Some(4_usize), |size| size.checked_mul(2)).take_while(|size| *size < most);
    sizes.extend(powers.filter(|size| *size > least).take(limits::PLAN_SIZES));
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// One dynamic pool for the whole site against a static number for each channel, and against a dynamic pool for each:
/// many small pools cannot lend to each other, so together they need more.
fn compare(question: &Question, numbers: usize, cost: impl Fn(usize) -> Option<Money>) -> Vec<Alternative> {
    let mut ways = vec![("one_dynamic", numbers, "visitor")];
    if let Some(channels) = question.channels.filter(|channels| *channels > 0) {
        let each = question.demand.times(1.0 / channels as f64);
        let small = numbers_for(each.on_page(), each.peakedness, question.target);
        ways.push(("static_per_channel", channels, "channel"));
        ways.push(("dynamic_per_channel", small.saturating_mul(channels), "visitor"));
    }
    let way = |(kind, numbers, tells)| Alternative { kind, numbers, price: cost(numbers), tells };
    ways.into_iter().map(way).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn question() -> Question {
        let demand = Demand {
            visits_per_hour: 100.0,
            page: Duration::from_secs(180),
            hold: Duration::from_secs(1_800),
            peakedness: 1.0,
        };
        let price = Some("1.20".parse().expect("an amount"));
        Question { demand, target: 0.01, price, channels: Some(40), forecasts: Vec::new() }
    }

    #[test]
    fn sizes_stand_with_their_shares_and_prices() {
        let plan = plan(&question());
        assert_eq!((plan.on_page, plan.with_hold, plan.numbers, plan.numbers_with_hold), (5.0, 55.0, 11, 69));
        assert!(plan.sizes.windows(2).all(|pair| pair[0].numbers < pair[1].numbers));
        let of = |numbers| plan.sizes.iter().find(|size| size.numbers == numbers).expect("a line");
        assert!(of(11).blocked <= 0.01 && of(11).reused > 0.7 && of(69).reused <= 0.01);
        assert_eq!(of(11).price.map(|price| price.to_string()).as_deref(), Some("13.20"));
    }

    #[test]
    fn p19_many_static_pools_are_compared_with_one_dynamic() {
        let plan = plan(&question());
        let told: Vec<_> = plan.compare.iter().map(|way| (way.kind, way.numbers, way.tells)).collect();
        // 0.125 Erlang for each of 40 channels: two numbers each.
        let expected = [
            ("one_dynamic", 11, "visitor"),
            ("static_per_channel", 40, "channel"),
            ("dynamic_per_channel", 80, "visitor"),
        ];
        assert_eq!(told, expected);
        let prices: Vec<_> = plan.compare.iter().filter_map(|way| way.price).map(|price| price.to_string()).collect();
        assert_eq!(prices, ["13.20", "48.00", "96.00"]);
    }

    #[test]
    fn a8_a_forecast_says_how_many_more() {
        let forecast = Forecast { factor: 3.0, from: Some("2026-12-01".into()), until: Some("2026-12-24".into()) };
        let plan = plan(&Question { forecasts: vec![forecast.clone()], ..question() });
        // 15 Erlang at 1 %.
        let price = Some("15.60".parse().expect("an amount"));
        assert_eq!(plan.forecasts, [Forecasted { forecast, numbers: 24, more: 13, price }]);
    }

    #[test]
    fn nobody_needs_nothing() {
        let mut question = question();
        question.demand.visits_per_hour = 0.0;
        let plan = plan(&question);
        assert_eq!((plan.numbers, plan.sizes.len()), (0, 0));
    }
}
