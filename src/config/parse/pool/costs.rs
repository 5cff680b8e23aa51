//! `[company.tracking]`.

use super::super::super::read::{Reader, Section};
use super::super::super::{Feature, Money, Overage, Plan, Tracking, value};
use super::super::defence::many;
use super::chosen;
use crate::limits;

/// What the company may use and what it pays.
pub(in super::super) fn tracking<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>) -> Tracking {
    let mut s = r.section(company, "tracking");
    let default = Tracking::default();
    let features = r.list(&mut s, "features", feature).optional();
    let mut money = |key| r.text(&mut s, key, amount).optional();
    let amounts = ["display_price", "number_price", "fee"].map(&mut money);
    let caps = ["day_cap", "month_cap"].map(money);
    let tracking = Tracking {
        features: features.map_or(default.features, |list| list.into_iter().map(|(feature, _)| feature).collect()),
        numbers_max: many(r, &mut s, "numbers_max", limits::NUMBERS as u64),
        currency: r.text(&mut s, "currency", |text| value::printable(text, 8)).optional(),
        plan: chosen(r, &mut s, "plan", &Plan::ALL),
        display_price: amounts[0].unwrap_or_default(),
        number_price: amounts[1].unwrap_or_default(),
        fee: amounts[2].unwrap_or_default(),
        numbers_included: many(r, &mut s, "numbers_included", limits::NUMBERS as u64),
        overage: chosen(r, &mut s, "overage", &Overage::ALL),
        day_cap: caps[0],
        month_cap: caps[1],
    };
    let capped = tracking.day_cap.or(tracking.month_cap).is_some();
    if capped && tracking.price_of_display() == Money(0) {
        let message =
            "`day_cap` and `month_cap` bound what displays cost; set `display_price`, with plan = \"display\"";
        r.problem(s.place(), message);
    }
    r.end(s);
    tracking
}

fn feature(text: &str) -> Result<Feature, String> {
    let found = Feature::ALL.iter().find(|(name, _)| *name == text).map(|(_, feature)| *feature);
    found.ok_or_else(|| {
        let names: Vec<&str> = Feature::ALL.iter().map(|(name, _)| *name).collect();
        format!("`{}` is not a feature; it is one of {}", text.escape_debug(), names.join(", "))
    })
}

fn amount(text: &str) -> Result<Money, String> {
    let money = Money::parse(text);
    money.ok_or_else(|| format!("`{}` is not an amount; write it like \"0.02\" or \"3690\"", text.escape_debug()))
}
