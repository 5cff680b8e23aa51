//! A plan for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::keeper::money::Money;
use crate::core::sizing::measured::Summary;
use crate::core::sizing::plan::{Plan, Question};

/// Everything on one page. `summary`: what was measured, when something was.
pub(super) fn text(question: &Question, plan: &Plan, currency: &str, summary: Option<&Summary>) -> String {
    let mut out = String::new();
    let demand = question.demand;
    let mut line = |text: String| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{}", text.trim_end());
    };
    if let Some(found) = summary {
        line(format!(
            "Measured   {} visits on {} days; the busiest hour had {} ({}); {} sources, {} campaigns",
            found.visits, found.days, found.busiest.0, found.busiest.1, found.sources, found.campaigns
        ));
    }
    line(format!(
        "Traffic    {:.0} visits in the busiest hour, {} on the page, held for {} after it",
        demand.visits_per_hour,
        span(demand.page),
        span(demand.hold)
    ));
    line(format!(
        "Load       {:.1} Erlang on pages, {:.1} with holds; peakedness {:.2}",
        plan.on_page, plan.with_hold, demand.peakedness
    ));
    line(String::new());
    let simulated = plan.sizes.iter().any(|size| size.right.is_some());
    line(format!(
        "{:>10}   {:>13}   {:>16}   {:>14}{}",
        "numbers",
        "shared",
        "reused in hold",
        price_head(question, currency),
        if simulated { format!("   {:>8}   {:>8}", "visitor", "source") } else { String::new() }
    ));
    for size in &plan.sizes {
        let mark = match size.numbers {
            n if n == plan.numbers => "»",
            n if n == plan.numbers_with_hold => "›",
            _ => " ",
        };
        let price = size.price.map_or(String::new(), |price| amount(price, currency));
        let right = size
            .right
            .map_or(String::new(), |right| format!("   {:>8}   {:>8}", percent(right.visitor), percent(right.source)));
        line(format!(
            "{mark} {:>8}   {:>13}   {:>16}   {price:>14}{right}",
            size.numbers,
            percent(size.blocked),
            percent(size.reused)
        ));
    }
    line(String::new());
    line(format!(
        "»  {} numbers: at most {} of visits share one with somebody who is on the page, too.",
        plan.numbers,
        percent(question.target)
    ));
    if !demand.hold.is_zero() {
        line(format!(
            "›  {} numbers: at most {} get one that is still held for another. Holds are a preference, not a need.",
            plan.numbers_with_hold,
            percent(question.target)
        ));
    }
    line(match plan.sizes.iter().any(|size| size.right.is_some()) {
        true => "   visitor, source: calls credited right in a simulated world with that traffic.".to_owned(),
        false => "   What sharing costs in wrong sources: --simulate.".to_owned(),
    });
    if plan.compare.len() > 1 {
        line(String::new());
        for way in &plan.compare {
            let name = match way.kind {
                "one_dynamic" => "one dynamic pool for the site",
                "static_per_channel" => "a static number for each channel",
                _ => "a dynamic pool for each channel",
            };
            let price = way.price.map_or(String::new(), |price| format!(", {} a month", amount(price, currency)));
            line(format!("{name:<34} {:>6} numbers{price}; tells the {}", way.numbers, way.tells));
        }
    }
    for found in &plan.forecasts {
        let when = match (&found.forecast.from, &found.forecast.until) {
            (Some(from), Some(until)) => format!("{from} to {until}"),
            _ => "always".to_owned(),
        };
        let price = found.price.map_or(String::new(), |price| format!(", {} a month", amount(price, currency)));
        line(format!("× {} ({when}): {} numbers, {} more{price}", found.forecast.factor, found.numbers, found.more));
    }
    out
}

fn price_head(question: &Question, currency: &str) -> String {
    match question.price {
        Some(_) => format!("{currency} a month").trim_start().to_owned(),
        None => String::new(),
    }
}

fn amount(price: Money, currency: &str) -> String {
    format!("{price} {currency}").trim_end().to_owned()
}

/// Three digits that count; small shares as powers.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent >= 10.0 => format!("{percent:.1} %"),
        percent if percent >= 0.01 => format!("{percent:.2} %"),
        percent if percent > 0.0 => "< 0.01 %".to_owned(),
        _ => "0 %".to_owned(),
    }
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, s) => format!("{s} s"),
        (m, 0) => format!("{m} min"),
        (m, s) => format!("{m} min {s} s"),
    }
}
