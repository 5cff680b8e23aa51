//! The planner: how many numbers a site needs, what they cost, and what else the same money would buy.

use std::str::FromStr;
use std::time::Duration;

use axum::response::Response;
use maud::{Markup, html};

use super::chart::{Chart, Kind, Series, Unit};
use super::frame::Page;
use super::parts::{Tile, field, heading, sheet, tiles};
use super::view::View;
use crate::core::keeper::money::Money;
use crate::core::sizing::plan::{Forecast, Plan, Question, plan};
use crate::core::sizing::{Demand, blocking};
use crate::io::http::body;
use crate::io::http::problem::Problem;
use crate::limits;

/// Places of the curve.
const POINTS: usize = 40;

/// `GET /planner`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let question = question(&view)?;
    let answer = plan(&question);
    let title = view.t("nav-planner");
    let value = |name: &str, usual: &str| view.asked(name).unwrap_or(usual).to_owned();
    let body = html! {
        (heading(&title, html! {}))
        p.soft.measure { (view.t("planner-about")) }
        form.filters method="get" action="/planner" {
            (field(&view.t("planner-visits"), "visits_per_day", "number", &value("visits_per_day", "1500")))
            (field(&view.t("planner-page"), "page_time", "text", &value("page_time", "3m")))
            (field(&view.t("planner-hold"), "hold", "text", &value("hold", "30m")))
            (field(&view.t("planner-blocking"), "blocking", "text", &value("blocking", "1%")))
            (field(&view.t("planner-price"), "price", "text", &value("price", "")))
            (field(&view.t("planner-channels"), "channels", "number", &value("channels", "")))
            (field(&view.t("planner-forecast"), "forecast", "text", &value("forecast", "")))
            div.buttons { button.primary type="submit" { (view.t("planner-plan")) } }
        }
        (tiles(&[
            tile(&view, "planner-numbers", view.lang.figure(answer.numbers as u64)),
            tile(&view, "planner-numbers-hold", view.lang.figure(answer.numbers_with_hold as u64)),
            tile(&view, "planner-on-page", view.lang.decimal(answer.on_page, 1)),
        ]))
        (curve(&view, &question, &answer).figure(&view))
        (sizes(&view, &answer))
        (compared(&view, &answer))
    };
    Ok(view.show(Page { title: &title, nav: "/planner", scripts: &[], body }))
}

fn tile<'a>(view: &View, key: &str, value: String) -> Tile<'a> {
    Tile { label: view.t(key), value, before: None, spark: None, link: None }
}

fn question(view: &View) -> Result<Question, Problem> {
    let duration = |name: &str, usual: u64| match view.asked(name) {
        None => Ok(Duration::from_secs(usual)),
        Some(text) => {
            crate::config::parse_duration(text).map_err(|error| body::bad_parameter(name, &error.to_string()))
        }
    };
    let positive = |name: &str, usual: f64| match view.asked(name) {
        None => Ok(usual),
        Some(text) => {
            let figure = text.parse::<f64>().ok().filter(|figure| figure.is_finite() && *figure > 0.0 && *figure < 1e9);
            figure.ok_or_else(|| body::bad_parameter(name, "a figure above 0"))
        }
    };
    // The busiest hour of a day has this share of its visits, as in `leaseline plan`.
    let peak = positive("visits_per_day", 1_500.0)? * 122.0 / 1_500.0;
    let demand = Demand {
        visits_per_hour: peak,
        page: duration("page_time", 180)?,
        hold: duration("hold", 1_800)?,
        peakedness: 1.0,
    };
    let target = match view.asked("blocking") {
        None => 0.01,
        Some(text) => {
            crate::config::parse_share(text).map_err(|error| body::bad_parameter("blocking", &error.to_string()))?
        }
    };
    if !(target > 0.0 && target < 1.0) {
        return Err(body::bad_parameter("blocking", "a share above 0 and below 100 %"));
    }
    let price = view
        .asked("price")
        .map(|text| Money::from_str(text).map_err(|_| body::bad_parameter("price", "an amount, like 1.50")));
    let channels = view.asked("channels").map(|text| {
        text.parse().ok().filter(|n| *n <= limits::NUMBERS).ok_or_else(|| body::bad_parameter("channels", "a count"))
    });
    let forecast = view
        .asked("forecast")
        .map(|text| Forecast::from_str(text).map_err(|error| body::bad_parameter("forecast", &error)));
    Ok(Question {
        demand,
        target,
        price: price.transpose()?,
        channels: channels.transpose()?,
        forecasts: forecast.transpose()?.into_iter().collect(),
    })
}

fn curve(view: &View, question: &Question, plan: &Plan) -> Chart {
    let last = (plan.numbers_with_hold.max(plan.numbers) * 5 / 4).max(4);
    let step = last.div_ceil(POINTS).max(1);
    let sizes: Vec<usize> = (0..=last).step_by(step).collect();
    let share = |load: f64| sizes.iter().map(|n| blocking(*n, load, question.demand.peakedness)).collect();
    Chart {
        title: view.t("planner-curve").into_owned(),
        kind: Kind::Lines,
        unit: Unit::Share,
        what: view.t("numbers").into_owned(),
        names: sizes.iter().map(|n| view.lang.figure(*n as u64)).collect(),
        series: vec![
            Series { name: view.t("planner-blocked").into_owned(), values: share(plan.on_page) },
            Series { name: view.t("planner-reused").into_owned(), values: share(plan.with_hold) },
        ],
        aim: Some(Series { name: view.t("planner-aim").into_owned(), values: vec![question.target; sizes.len()] }),
    }
}

fn sizes(view: &View, plan: &Plan) -> Markup {
    html! {
        h2 { (view.t("planner-sizes")) }
        (sheet(&view.t("planner-sizes"), html! {
            table {
                thead { tr { th.num scope="col" { (view.t("numbers")) } th.num scope="col" { (view.t("planner-blocked")) } th.num
                    scope="col" { (view.t("planner-reused")) } th.num scope="col" { (view.t("planner-cost")) } } }
                tbody { @for size in &plan.sizes { tr {
                    th.num scope="row" { (view.lang.figure(size.numbers as u64)) }
                    td.num { (view.lang.share(size.blocked)) }
                    td.num { (view.lang.share(size.reused)) }
                    td.num { (size.price.map_or("–".to_owned(), |price| price.to_string())) }
                } } }
            }
        }))
    }
}

fn compared(view: &View, plan: &Plan) -> Markup {
    html! {
        @if !plan.compare.is_empty() {
            h2 { (view.t("planner-compare")) }
            (sheet(&view.t("planner-compare"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("planner-way")) } th.num scope="col" { (view.t("numbers")) } th.num
                        scope="col" { (view.t("planner-cost")) } th scope="col" { (view.t("planner-tells")) } } }
                    tbody { @for way in &plan.compare { tr {
                        th scope="row" { (view.word("plan", way.kind)) }
                        td.num { (view.lang.figure(way.numbers as u64)) }
                        td.num { (way.price.map_or("–".to_owned(), |price| price.to_string())) }
                        td { (view.word("tells", way.tells)) }
                    } } }
                }
            }))
        }
        @for forecast in &plan.forecasts {
            p { (view.ta("planner-forecasted", &[("forecast", (&forecast.forecast.to_string()).into()), ("numbers",
                (&view.lang.figure(forecast.numbers as u64)).into()), ("more", (&view.lang.figure(forecast.more as u64)).into())])) }
        }
    }
}
