//! Reports: one place that reads what the address asks, shows the form for it and frames what a screen draws; a file a
//! screen. Every figure comes from the sums that the index keeps, as in the API.

pub(super) mod agents;
pub(super) mod audit;
pub(super) mod channels;
pub(super) mod hours;
pub(super) mod missed;
pub(super) mod models;
mod period;
pub(super) mod pools;
pub(super) mod quality;
pub(super) mod regions;
pub(super) mod repeat;
pub(super) mod show;
pub(super) mod sources;

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::frame::Page;
use super::parts::{heading, options};
use super::view::{View, address};
use crate::core::credit::Model;
use crate::core::rights::Right;
use crate::io::http::calls::unanswered;
use crate::io::http::problem::Problem;
use crate::io::http::reports::{self, Bad, PATH};
use crate::io::index::report::ReportFilter;
use crate::io::index::{Filter, IndexError, Reader};
use period::Preset;

/// Days before a call from which visits may have credit.
const LOOK_BACKS: [&str; 3] = ["7", "30", "90"];

/// One screen.
#[derive(Debug)]
pub(super) struct Screen {
    /// Its entry of the navigation.
    pub nav: &'static str,
    /// Key of its title.
    pub title: &'static str,
    /// The report of the API with the same rows.
    pub report: &'static str,
    /// Of which companies it tells.
    pub right: Right,
    /// What can be asked beside days, company and pool.
    pub fields: &'static [Field],
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Pool,
    /// As many days before are shown, too.
    Before,
    /// The way down from source to keyword, chosen by links.
    Path,
    Model,
    /// A second model, to see the difference.
    Against,
    LookBack,
    Currency,
    Margin,
    /// Parameters that this screen has for itself.
    Own(&'static str),
}

/// What the address asks of a screen.
#[derive(Debug)]
pub(super) struct Asked {
    pub filter: ReportFilter,
    screen: &'static Screen,
}

/// What ends a screen early: the form with what is wrong, or a problem.
#[derive(Debug)]
pub(super) struct Stop(Box<Response>);

/// What a screen answers.
pub(super) type Shown = Result<Response, Stop>;

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop(Box::new(problem.into_response()))
    }
}

impl Asked {
    /// Reads the address.
    ///
    /// # Errors
    /// The screen with its form and a message that names what cannot be asked.
    pub(super) fn of(view: &View, screen: &'static Screen) -> Result<Asked, Stop> {
        let refuse = |bad: Bad| {
            let field = view.word("report-field", bad.name);
            let wanted = view.word("report-wants", bad.name);
            let value = view.asked(bad.name).unwrap_or_default().to_owned();
            let said = [("field", (&*field).into()), ("value", (&value).into()), ("wanted", (&*wanted).into())];
            refused(view, screen, &view.ta("report-bad", &said))
        };
        let mut filter = read(view).map_err(refuse)?;
        filter.scope = view.scope(screen.right);
        Ok(Asked { filter, screen })
    }

    /// Asks the index.
    ///
    /// # Errors
    /// As [`Asked::of`]; and a problem when it cannot answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        view: &View,
        ask: impl FnOnce(&Reader<'_>, &ReportFilter) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, Stop> {
        let filter = self.filter.clone();
        match view.state.index.ask(move |reader| ask(reader, &filter)).await {
            Ok(answer) => Ok(answer),
            Err(IndexError::Bad(why)) => Err(refused(view, self.screen, &why)),
            Err(error) => Err(unanswered(error).into()),
        }
    }

    /// The page: heading, form, days, and what the screen has drawn.
    pub(super) fn show(&self, view: &View, body: Markup) -> Response {
        let title = view.t(self.screen.title);
        let body = html! {
            (heading(&title, self.csv(view)))
            (self.head(view))
            (body)
        };
        view.show(Page { title: &title, nav: self.screen.nav, scripts: &[], body })
    }

    /// The form, and of which days the figures are.
    pub(super) fn head(&self, view: &View) -> Markup {
        self.head_with(view, &html! {})
    }

    /// The same with more fields.
    pub(super) fn head_with(&self, view: &View, more: &Markup) -> Markup {
        let status = view.state.index.status();
        let behind = status.journal_seq.saturating_sub(status.seq);
        let zone = view.zone.iana_name().unwrap_or("UTC");
        html! {
            (form(view, self.screen, more))
            p.soft.days {
                @let (now, before) = (self.days(view, &self.filter), self.days(view, &self.filter.previous()));
                @let key = if self.screen.fields.contains(&Field::Before) { "report-days-before" } else { "report-days" };
                (view.lang.text(key, &[("days", (&now).into()), ("before", (&before).into()), ("zone", zone.into())]))
                @if behind > 0 { " " span.behind { (view.tn("report-behind", behind)) } }
            }
        }
    }

    /// Days of a filter in words.
    fn days(&self, view: &View, filter: &ReportFilter) -> String {
        let day = |day: i64| period::date(day).map_or_else(String::new, |date| view.lang.day(date, view.today()));
        if filter.since == filter.until {
            return day(filter.until);
        }
        format!("{} – {}", day(filter.since), day(filter.until))
    }

    /// The same rows as a file, for those who may take reports out.
    pub(super) fn csv(&self, view: &View) -> Markup {
        html! {
            @if view.may(Right::Export) && view.may(Right::Reports) {
                a.button href=(self.csv_address(view)) { (view.t("csv")) }
            }
        }
    }

    fn csv_address(&self, view: &View) -> String {
        let filter = &self.filter;
        let period = filter.period();
        let (look_back, margin) = (filter.look_back.to_string(), filter.margin.to_string());
        let has = |field: Field| self.screen.fields.contains(&field);
        let mut pairs = vec![("format", "csv"), ("since", &*period.since), ("until", &*period.until)];
        let pool = if has(Field::Pool) { &filter.pool } else { &None };
        let named = [("company", &filter.company), ("pool", pool), ("currency", &filter.currency)];
        pairs.extend(named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        if has(Field::Path) {
            let parts = PATH.into_iter().zip(&filter.path);
            pairs.extend(parts.filter_map(|(name, value)| Some((name, value.as_deref()?))));
        }
        if has(Field::Model) {
            pairs.push(("model", filter.model.as_str()));
        }
        if has(Field::LookBack) {
            pairs.push(("look_back", &look_back));
        }
        if let Some(kind) = view.asked("kind").filter(|_| self.screen.report == "audit") {
            pairs.push(("kind", kind));
        }
        if has(Field::Margin) {
            pairs.push(("margin", &margin));
        }
        address(&format!("/v1/reports/{}", self.screen.report), pairs.into_iter())
    }

    /// Calls of these days, this company and this pool, there.
    pub(super) fn calls(&self, view: &View) -> Filter {
        Filter {
            company: self.filter.company.clone(),
            pool: self.filter.pool.clone(),
            since: period::start(self.filter.since, &view.zone),
            until: period::start(self.filter.until + 1, &view.zone),
            ..Filter::default()
        }
    }

    /// How many parts of the source are chosen.
    pub(super) fn depth(&self) -> usize {
        self.filter.path.iter().take_while(|part| part.is_some()).count()
    }
}

fn read(view: &View) -> Result<ReportFilter, Bad> {
    let today = period::day_of(view.today());
    let mut filter = reports::filter(&|name| view.asked(name).map(str::to_owned), || today)?;
    let wrong = |name| Bad { name, wanted: String::new() };
    if !LOOK_BACKS.contains(&view.asked("look_back").unwrap_or(LOOK_BACKS[1])) {
        return Err(wrong("look_back"));
    }
    if view.asked("against").is_some_and(|text| Model::parse(text).is_none()) {
        return Err(wrong("against"));
    }
    if !(0.0..=1.0).contains(&filter.margin) {
        return Err(wrong("margin"));
    }
    if let Some(preset) = preset(view)? {
        (filter.since, filter.until) = preset.days(today);
    }
    if filter.until < filter.since {
        return Err(wrong(if view.asked("until").is_some() { "until" } else { "since" }));
    }
    Ok(filter)
}

/// The preset in force; days that the address names count more than one.
fn preset(view: &View) -> Result<Option<Preset>, Bad> {
    if view.asked("since").is_some() || view.asked("until").is_some() {
        return Ok(None);
    }
    let wrong = || Bad { name: "period", wanted: String::new() };
    view.asked("period").map_or(Ok(Some(Preset::default())), |code| Preset::of_code(code).ok_or_else(wrong).map(Some))
}

/// The screen with its form, and why it cannot be shown.
fn refused(view: &View, screen: &Screen, why: &str) -> Stop {
    let title = view.t(screen.title);
    let body = html! {
        (heading(&title, html! {}))
        (form(view, screen, &html! {}))
        p.problem role="alert" { (why) }
    };
    let mut response = view.show(Page { title: &title, nav: screen.nav, scripts: &[], body });
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Stop(Box::new(response))
}

fn form(view: &View, screen: &Screen, more: &Markup) -> Markup {
    let preset = preset(view).ok().flatten();
    let value = |name: &str| view.asked(name).unwrap_or_default();
    let has = |field: Field| screen.fields.contains(&field);
    let kept = screen.fields.iter().flat_map(|field| match field {
        Field::Path => PATH.to_vec(),
        Field::Own(name) => vec![*name],
        _ => Vec::new(),
    });
    let kept: Vec<(&str, &str)> = kept.filter_map(|name| Some((name, view.asked(name)?))).collect();
    let chip = |of: Preset| {
        view.link(&[("period", Some(of.code())), ("since", None), ("until", None), ("cursor", None), ("before", None)])
    };
    let models = || Model::ALL.map(|model| (model.as_str(), view.word("model", model.as_str()))).into_iter();
    html! {
        nav.presets aria-label=(view.t("report-period")) {
            @for of in Preset::ALL {
                a.chip href=(chip(of)) aria-current=[(preset == Some(of)).then_some("true")] { (view.word("period", of.code())) }
            }
        }
        form.filters method="get" action=(view.path) {
            label { span { (view.t("filter-since")) } input type="date" name="since" value=(value("since")); }
            label { span { (view.t("filter-until")) } input type="date" name="until" value=(value("until")); }
            (choice(view, "company", "filter-company", companies(view, screen.right)))
            @if has(Field::Pool) { (choice(view, "pool", "filter-pool", pools(view, screen.right))) }
            (more)
            @if has(Field::Model) {
                label { span { (view.t("report-model")) } select name="model" {
                    (options(Some(view.asked("model").unwrap_or(Model::default().as_str())), models())) } }
            }
            @if has(Field::Against) {
                label { span { (view.t("report-against")) } select name="against" {
                    (options(Some(against(view).as_str()), models())) } }
            }
            @if has(Field::LookBack) {
                label { span { (view.t("report-look-back")) } select name="look_back" {
                    (options(Some(view.asked("look_back").unwrap_or(LOOK_BACKS[1])), LOOK_BACKS.iter().map(|days| (*days,
                        view.tn("report-look-back-days", days.parse().unwrap_or(0)))))) } }
            }
            @if has(Field::Currency) { (choice(view, "currency", "report-currency", currencies(view))) }
            @if has(Field::Margin) {
                label { span { (view.t("report-margin")) } input type="text" inputmode="decimal" name="margin" placeholder="1"
                    value=(value("margin")); }
            }
            @if let Some(preset) = preset.filter(|_| view.asked("period").is_some()) { input type="hidden" name="period"
                value=(preset.code()); }
            @for (name, value) in &kept { input type="hidden" name=(name) value=(value); }
            div.buttons { button.primary type="submit" { (view.t("filters-apply")) } a.button href=(view.path) {
                (view.t("filters-clear")) } }
        }
    }
}

/// The model that the chosen one is compared with.
pub(super) fn against(view: &View) -> Model {
    view.asked("against").and_then(Model::parse).unwrap_or(Model::Last)
}

/// A list of which something may be chosen; when there is but one, there is nothing to choose.
fn choice(view: &View, name: &str, label: &str, all: BTreeSet<String>) -> Markup {
    let is_wanted = all.len() > 1 || view.asked(name).is_some();
    let each = all.iter().map(|value| (value.as_str(), Cow::from(value.as_str())));
    html! {
        @if is_wanted {
            label { span { (view.lang.text(label, &[])) } select name=(name) {
                (options(view.asked(name), std::iter::once(("", view.t("any"))).chain(each))) } }
        }
    }
}

fn companies(view: &View, right: Right) -> BTreeSet<String> {
    let names = view.config.companies.iter().map(|company| company.name.clone());
    names.filter(|name| view.may_in(right, name)).collect()
}

/// Of the company that is asked about, else of all.
pub(super) fn pools(view: &View, right: Right) -> BTreeSet<String> {
    let of = |company: &str| view.asked("company").is_none_or(|asked| asked == company) && view.may_in(right, company);
    view.config.pools.iter().filter(|pool| of(&pool.company)).map(|pool| pool.name.clone()).collect()
}

fn currencies(view: &View) -> BTreeSet<String> {
    let asked = view.asked("currency").map(str::to_owned);
    view.config.companies.iter().map(|company| company.currency.clone()).chain(asked).collect()
}
