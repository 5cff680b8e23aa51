//! How figures of reports are shown: counts, shares, durations, money, beside those of the days before.

use maud::{Markup, html};

use super::super::chart::{Chart, Kind, Series, Unit};
use super::super::parts::{Tile, bar};
use super::super::text::Lang;
use super::super::view::View;
use crate::io::index::UNKNOWN;
use crate::io::index::report::Day;

/// Places of a picture of days that still can be told apart.
const PLACES: usize = 62;

/// A count; sums of the index are not negative.
pub(in super::super) fn count(view: &View, count: i64) -> String {
    view.lang.figure(u64::try_from(count).unwrap_or(0))
}

pub(in super::super) fn share(view: &View, share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| view.lang.share(share))
}

/// A mean of milliseconds.
pub(in super::super) fn time(view: &View, ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), |ms| view.lang.duration(ms.max(0.0).round() as u64))
}

/// Credit: fractions of calls.
pub(in super::super) fn credit(view: &View, credit: f64) -> String {
    view.lang.decimal(credit, 1)
}

/// A difference with its sign.
pub(in super::super) fn signed(difference: f64, shown: String) -> String {
    if difference > 0.0 && shown.bytes().any(|b| matches!(b, b'1'..=b'9')) { format!("+{shown}") } else { shown }
}

/// Of what was so many before.
pub(in super::super) fn change(view: &View, now: i64, before: i64) -> Option<String> {
    let change = (before > 0).then(|| (now - before) as f64 / before as f64)?;
    Some(signed(change, view.lang.share(change)))
}

/// An amount in minor units.
pub(in super::super) fn money(lang: Lang, minor: f64, currency: &str) -> String {
    format!("{}\u{a0}{currency}", amount(lang, minor, currency))
}

/// The same without the currency, which stands above.
fn amount(lang: Lang, minor: f64, currency: &str) -> String {
    let places = places(currency);
    let amount = minor / 10f64.powi(places);
    // Cents of large amounts tell nothing.
    let shown = if amount.abs() >= 1_000.0 { 0 } else { usize::try_from(places).unwrap_or(2) };
    lang.decimal(amount, shown)
}

/// Decimal places of a currency's minor unit (ISO 4217).
fn places(currency: &str) -> i32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
        | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// An amount, where there is one.
pub(in super::super) fn money_of(view: &View, minor: Option<f64>, currency: &str) -> String {
    minor.map_or_else(|| "–".to_owned(), |minor| money(view.lang, minor, currency))
}

/// An amount whose currency stands above.
pub(in super::super) fn amount_of(view: &View, minor: Option<f64>, currency: &str) -> String {
    minor.map_or_else(|| "–".to_owned(), |minor| amount(view.lang, minor, currency))
}

/// A bar, and its figure where all figures of the column stand.
pub(in super::super) fn measured(share: f64, class: &str, figure: &str) -> Markup {
    html! { span.measured { (bar(share, class)) span { (figure) } } }
}

/// A tile without anything beside its figure.
pub(in super::super) fn tile<'a>(view: &View, key: &str, value: String) -> Tile<'a> {
    Tile { label: view.lang.text(key, &[]), value, before: None, spark: None, link: None }
}

/// What it was in the days before, and by how much it has changed.
pub(in super::super) fn before(view: &View, figure: &str, change: Option<&str>) -> Option<String> {
    let said = match change {
        Some(change) => view.ta("report-before-change", &[("figure", figure.into()), ("change", change.into())]),
        None => view.ta("report-before", &[("figure", figure.into())]),
    };
    Some(said.into_owned())
}

/// The name of a group, or the word for none.
pub(in super::super) fn known(view: &View, name: &str) -> String {
    if name.is_empty() || name == UNKNOWN { view.t("unknown").into_owned() } else { name.to_owned() }
}

/// A name that fits beneath a column of a picture.
pub(in super::super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() > most { text.chars().take(most - 1).chain(['…']).collect() } else { text.to_owned() }
}

/// Letters of a name beneath one of so many columns.
pub(in super::super) const fn letters(columns: usize) -> usize {
    if columns > 9 { 10 } else { 14 }
}

/// The heading of a column, with how its figure is made.
pub(in super::super) fn made(name: &str, how: &str) -> Markup {
    html! { th.num scope="col" { (name) small { (how) } } }
}

/// Today there; days since 1970.
pub(in super::super) fn today(view: &View) -> i64 {
    super::period::day_of(view.today())
}

/// A day of the index in words.
pub(in super::super) fn day(view: &View, text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |date| view.lang.day(date, view.today()))
}

/// Days as a picture; of long times a place is a week or a month of days, the last one whole.
pub(in super::super) fn days<'d, D>(
    view: &View,
    title: &str,
    kind: Kind,
    rows: &'d [D],
    name: impl Fn(&'d D) -> &'d str,
    series: &[(&str, &dyn Fn(&'d D) -> i64)],
) -> Chart {
    let step = step(rows.len());
    let places: Vec<&[D]> = rows.rchunks(step).rev().collect();
    let sum =
        |pick: &dyn Fn(&'d D) -> i64| places.iter().map(|days| days.iter().map(pick).sum::<i64>() as f64).collect();
    Chart {
        title: view.lang.text(title, &[]).into_owned(),
        kind,
        unit: Unit::Count,
        what: view.t(if step == 1 { "day" } else { "report-days-from" }).into_owned(),
        names: places.iter().filter_map(|days| days.first()).map(|first| day(view, name(first))).collect(),
        series: series
            .iter()
            .map(|(key, pick)| Series { name: view.lang.text(key, &[]).into_owned(), values: sum(*pick) })
            .collect(),
        aim: None,
    }
}

/// Days of one place.
pub(in super::super) const fn step(days: usize) -> usize {
    match days {
        0..=PLACES => 1,
        63..=434 => 7,
        _ => 30,
    }
}

/// Sums of days for a small line.
pub(in super::super) fn line(rows: &[Day], pick: impl Fn(&Day) -> i64) -> Vec<f64> {
    rows.rchunks(step(rows.len())).rev().map(|days| days.iter().map(&pick).sum::<i64>() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_places_of_its_currency() {
        for (minor, currency, wanted) in [
            (123_456.0, "GBP", "1,235\u{a0}GBP"),
            (9_950.0, "EUR", "99.50\u{a0}EUR"),
            (500.0, "JPY", "500\u{a0}JPY"),
            (1_500.0, "KWD", "1.500\u{a0}KWD"),
            (-250.0, "USD", "−2.50\u{a0}USD"),
        ] {
            assert_eq!(money(Lang::En, minor, currency), wanted);
        }
        assert_eq!(money(Lang::Ru, 9_950.0, "RUB"), "99,50\u{a0}RUB");
    }

    #[test]
    fn long_times_are_put_together() {
        assert_eq!([1, 62, 63, 365, 435].map(step), [1, 1, 7, 7, 30]);
        assert_eq!((cut("kitchens", 14), cut("a-long-campaign", 6)), ("kitchens".into(), "a-lon…".into()));
        assert_eq!(
            (signed(0.5, "50".into()), signed(-0.5, "−50".into()), signed(0.001, "0".into())),
            ("+50".into(), "−50".into(), "0".into())
        );
    }
}
