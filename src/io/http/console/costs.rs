//! What advertising cost: a CSV file, or its text, is checked line by line, shown, and imported; and what came with which
//! import.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::Request;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::Page;
use super::parts::{empty, heading, options, sheet, tag};
use super::view::{View, address};
use super::work::money;
use crate::core::event::work::CostRow;
use crate::core::rights::Right;
use crate::io::http::calls::{scope, unanswered};
use crate::io::http::problem::Problem;
use crate::io::http::{body, imports};
use crate::io::index::CostImport;
use crate::limits;

/// Rows that a check shows.
const SHOWN: usize = 20;
/// The first lines of a file.
const EXAMPLE: &str = "day,source,medium,campaign,amount,clicks\n2026-11-01,google,cpc,kitchens,12.50,10\n";

/// What was sent, and what came of it.
#[derive(Default)]
struct Sent {
    company: String,
    text: String,
    checked: Option<Vec<CostRow>>,
    problem: Option<Problem>,
}

/// `GET /costs`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    shown(&view, &Sent::default()).await
}

/// `POST /costs`: checks, and imports when that is wanted.
pub(super) async fn import(view: View, request: Request) -> Result<Response, Problem> {
    // A form has some bytes around the text.
    let fields = body::fields(request, limits::HTTP_IMPORT + limits::HTTP_BODY).await?;
    let view = view.at("/costs");
    let caller = view.who()?.clone();
    let given = |name: &str| fields.get(name).map(Vec::as_slice).unwrap_or_default();
    let text = if given("file").is_empty() { given("text") } else { given("file") };
    let company = String::from_utf8_lossy(given("company")).trim().to_owned();
    let only_checks = given("go") != b"import";
    let mut sent =
        Sent { company: company.clone(), text: String::from_utf8_lossy(text).into_owned(), ..Sent::default() };
    let outcome = if text.iter().all(u8::is_ascii_whitespace) {
        Err(Problem::bad_request("nothing_sent", "Choose a file, or paste its lines."))
    } else {
        imports::costs_of_text(&view.state, &caller, &company, text, only_checks).await
    };
    match outcome {
        Ok((_, rows)) if rows.is_empty() => {
            sent.problem = Some(Problem::bad_request("nothing_sent", "There is no line below the names."));
        }
        Ok((_, rows)) if only_checks => sent.checked = Some(rows),
        Ok((id, _)) => {
            let link = address("/costs", [("done", "costs"), ("import", id.as_str())].into_iter());
            return Ok(Redirect::to(&link).into_response());
        }
        Err(problem) if problem.status.is_server_error() => return Err(problem),
        Err(problem) => sent.problem = Some(problem),
    }
    shown(&view, &sent).await
}

async fn shown(view: &View, sent: &Sent) -> Result<Response, Problem> {
    let companies = view.caller.as_ref().map(|caller| scope(caller.rights.companies(Right::Costs)));
    let companies = companies.unwrap_or_else(|| Some(Vec::new()));
    let read = view.state.index.ask(move |reader| reader.cost_imports(companies.as_deref(), limits::IMPORTS_SHOWN));
    let all = read.await.map_err(unanswered)?;
    let title = view.t("nav-costs");
    let problem = sent.problem.as_ref();
    let names = view.companies_with(Right::Costs).into_iter().map(|name| (name, Cow::from(name)));
    let body = html! {
        (heading(&title, html! {}))
        (view.notice())
        @match problem { Some(problem) if problem.code == "bad_rows" => { (wrong_lines(view, &problem.detail)) }, other => {
            (view.alert(other)) } }
        @if let Some(rows) = &sent.checked { (checked(view, rows)) }
        form.wide-form.sheet.pad method="post" action="/costs" enctype="multipart/form-data" {
            label { span { (view.t("filter-company")) } select name="company" { (options(Some(&sent.company), names)) } }
            label { span { (view.t("costs-file")) } input type="file" name="file" accept=".csv,text/csv,text/plain"; }
            label { span { (view.t("costs-text")) } textarea.mono name="text" rows="8" spellcheck="false" placeholder=(EXAMPLE) {
                (sent.text) } }
            p.soft { (view.t("costs-columns")) }
            div.buttons {
                button.primary[sent.checked.is_none()] type="submit" name="go" value="check" { (view.t("costs-check")) }
                button.primary[sent.checked.is_some()] type="submit" name="go" value="import" { (view.t("costs-import")) }
            }
            p.soft { (view.t("costs-whole")) }
        }
        h2 { (view.t("costs-imports")) }
        @if all.is_empty() { (empty(&view.t("costs-none"), html! {})) } @else { (list(view, &all)) }
    };
    Ok(view.answer(Page { title: &title, nav: "/costs", scripts: &[], body }, problem))
}

/// Every line that is wrong, with what is wrong with it.
fn wrong_lines(view: &View, detail: &str) -> Markup {
    html! {
        div.problem role="alert" {
            p.bad-text { strong { (view.word("problem", "bad_rows")) } }
            ul { @for line in detail.lines() { li { (wrong_line(view, line)) } } }
        }
    }
}

/// `line 3: …` in the reader's language, as far as it is a sentence of ours.
fn wrong_line(view: &View, text: &str) -> Markup {
    let Some((at, why)) = text.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) else {
        let more = text.strip_prefix("and ").and_then(|rest| rest.strip_suffix(" more")).and_then(|n| n.parse().ok());
        return html! { @match more { Some(more) => { (view.tn("costs-more-lines", more)) }, None => { span lang="en" { (text) } } } };
    };
    let field = why.strip_prefix('`').and_then(|rest| rest.split_once("` must be ")).map(|(field, _)| field);
    let known = field.and_then(|field| view.lang.find(&format!("costs-wrong-{field}"), &[]));
    html! { strong { (view.ta("costs-line", &[("line", at.into())])) } " "
    @match known { Some(known) => { (known) }, None => { span lang="en" { (why) } } } }
}

fn checked(view: &View, rows: &[CostRow]) -> Markup {
    let mut sums: BTreeMap<(&str, &str), (i64, u64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((&row.source, &row.currency)).or_default();
        *sum = (sum.0.saturating_add(row.cost), sum.1.saturating_add(row.clicks));
    }
    let days = || rows.iter().map(|row| row.day.as_str());
    let (first, last) = (days().min().unwrap_or_default(), days().max().unwrap_or_default());
    html! {
        p.notice role="status" { (view.tn("costs-good", rows.len() as u64)) " " (first) " – " (last) ". " (view.t("costs-not-yet")) }
        (sheet(&view.t("costs-sums"), html! {
            table {
                thead { tr { th scope="col" { (view.t("utm-source")) } th.num scope="col" { (view.t("costs-cost")) } th.num scope="col" {
                    (view.t("costs-clicks")) } } }
                tbody { @for ((source, currency), (cost, clicks)) in sums.iter().take(SHOWN) { tr {
                    th scope="row" { (source) } td.num { (money(view, *cost, currency)) } td.num { (view.lang.figure(*clicks)) } } } }
            }
        }))
    }
}

fn list(view: &View, all: &[CostImport]) -> Markup {
    let fresh = view.asked("import");
    sheet(
        &view.t("costs-imports"),
        html! {
            table {
                thead { tr { th scope="col" { (view.t("column-time")) } th scope="col" { (view.t("filter-company")) } th scope="col" {
                    (view.t("costs-days")) } th.num scope="col" { (view.t("costs-rows")) } th.num scope="col" { (view.t("costs-cost")) }
                    th.num scope="col" { (view.t("costs-clicks")) } th scope="col" { (view.t("version-by")) } } }
                tbody { @for one in all { tr {
                    th scope="row" { (view.time(one.at))
                        @if fresh == Some(one.import_id.as_str()) { " " (tag("good", &view.t("costs-fresh"))) } }
                    td { (one.company) }
                    td.nowrap { (one.since) @if one.until != one.since { " – " (one.until) } }
                    td.num { (view.lang.figure(u64::try_from(one.rows).unwrap_or(0))) }
                    td.num { (money(view, one.cost, &one.currency)) }
                    td.num { (view.lang.figure(u64::try_from(one.clicks).unwrap_or(0))) }
                    td { (one.by) }
                } } }
            }
        },
    )
}
