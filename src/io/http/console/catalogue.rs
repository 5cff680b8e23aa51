//! The catalogue of sites and pools: what is in force, a change with its diff before it is saved, versions and the way back.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::frame::Page;
use super::parts::{heading, sheet, tag};
use super::view::{View, address};
use crate::config::{Company, Sink};
use crate::core::catalogue::document;
use crate::io::catalogue::{Ask, Refused, Shown, Wanted, What};
use crate::io::http::body;
use crate::io::http::catalogue::{ask, refused};
use crate::io::http::problem::Problem;
use crate::limits;
use crate::time::Wall;

/// Versions of the list.
const VERSIONS: usize = 50;

/// Fields of a form.
pub(super) type Form = BTreeMap<String, String>;

/// Reads a form, which may be as large as a catalogue.
pub(super) async fn form(request: Request) -> Result<Form, Problem> {
    body::read_up_to(request, limits::HTTP_CATALOGUE).await
}

/// What is in force, with secrets masked.
pub(super) async fn current(view: &View, version: Option<u64>) -> Result<Shown, Problem> {
    let (version, tag, catalogue) = ask(&view.state, |answer| Ask::Show { version, answer }).await?.map_err(refused)?;
    Ok((version, tag, document::masked(catalogue)))
}

/// `GET /catalogue`.
pub(super) async fn page(view: View) -> Result<Response, Problem> {
    let (version, _, catalogue) = current(&view, None).await?;
    let versions = ask(&view.state, |answer| Ask::Versions { limit: VERSIONS, answer }).await?.map_err(refused)?;
    let title = view.t("nav-catalogue");
    let body = html! {
        (heading(&title, html! {
            a.button.primary href="/channels/new" { (view.t("nav-new-channel")) }
            a.button href="/catalogue/edit?part=sites" { (view.t("catalogue-new-site")) }
            a.button href="/catalogue/edit?part=all" { (view.t("catalogue-whole")) }
        }))
        @if view.asked("saved").is_some() { p.notice role="status" { (view.t("catalogue-saved")) } }
        p.soft { (view.ta("catalogue-version", &[("version", (&version.version.to_string()).into()), ("by", (&version.by).into())])) }
        h2 { (view.t("sites")) }
        (entries(&view, "sites", &catalogue["sites"]))
        h2 { (view.t("nav-pools")) }
        (entries(&view, "pools", &catalogue["pools"]))
        h2 { (view.t("companies")) }
        (companies(&view, &catalogue["tracking"]))
        h2 { (view.t("sinks")) }
        (sinks(&view))
        h2 { (view.t("versions")) }
        @if versions.is_empty() { p.soft { (view.t("versions-none")) } } @else { (list(&view, &versions)) }
    };
    Ok(view.show(Page { title: &title, nav: "/catalogue", scripts: &[], body }))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn entries(view: &View, part: &str, list: &Value) -> Markup {
    let columns: &[&str] = if part == "sites" {
        &["company", "origins"]
    } else {
        &["company", "site", "kind", "numbers", "traffic", "priority"]
    };
    let rows = list.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if rows.is_empty() { p.soft { (view.t("catalogue-none")) } } @else {
            (sheet(&view.t(if part == "sites" { "sites" } else { "nav-pools" }), html! {
                table {
                    thead { tr { th scope="col" { (view.t("key-name")) } @for column in columns { th scope="col" {
                        (view.word("key", column)) } } th scope="col" { span.visually-hidden { (view.t("edit")) } } } }
                    tbody { @for row in rows {
                        @let name = text(&row["name"]);
                        tr {
                            th scope="row" { (name) }
                            @for column in columns { td.cut { (text(&row[*column])) } }
                            td { a href=(address("/catalogue/edit", [("part", part), ("name", name.as_str())].into_iter()))
                                aria-label={ (view.t("edit")) " " (name) } { (view.t("edit")) } }
                        }
                    } }
                }
            }))
        }
    }
}

fn companies(view: &View, tracking: &Value) -> Markup {
    html! {
        p.soft { (view.t("companies-file")) }
        (sheet(&view.t("companies"), html! {
            table {
                thead { tr { th scope="col" { (view.t("key-name")) } th scope="col" { (view.t("company-forward")) } th scope="col"
                    { (view.t("company-tracking")) } th scope="col" { span.visually-hidden { (view.t("edit")) } } } }
                tbody { @for company in &view.config.companies { (company_row(view, company, &tracking[company.name.as_str()])) } }
            }
        }))
    }
}

fn company_row(view: &View, company: &Company, tracking: &Value) -> Markup {
    html! {
        tr {
            th scope="row" { (company.name) }
            td.mono.cut { (company.forward_to.iter().map(|to| to.uri.clone()).collect::<Vec<_>>().join(", ")) }
            td.cut { (if tracking.is_null() { "–".to_owned() } else { tracking.to_string() }) }
            td { a href=(address("/catalogue/edit", [("part", "tracking"), ("name", company.name.as_str())].into_iter()))
                aria-label={ (view.t("edit")) " " (company.name) } { (view.t("edit")) } }
        }
    }
}

fn sinks(view: &View) -> Markup {
    html! {
        p.soft { (view.t("sinks-file")) }
        ul.plain { @for sink in &view.config.sinks {
            li { @match sink {
                Sink::Jsonl { name, path } => { strong { (name) } " " span.mono.soft { (path.display()) } },
                Sink::Webhook { name, url, .. } => { strong { (name) } " " span.mono.soft { (url.host_str().unwrap_or_default()) } },
            } }
        } }
    }
}

fn list(view: &View, versions: &[Value]) -> Markup {
    html! {
        (sheet(&view.t("versions"), html! {
            table {
                thead { tr { th.num scope="col" { (view.t("version")) } th scope="col" { (view.t("column-time")) } th scope="col" {
                    (view.t("version-by")) } th scope="col" { (view.t("version-changes")) } } }
                tbody { @for version in versions {
                    @let number = version["version"].as_u64().unwrap_or(0);
                    tr {
                        th.num scope="row" { a href={ "/catalogue/versions/" (number) } { (number) } @if version["current"] == true
                            { " " (tag("good", &view.t("version-current"))) } }
                        td { @if let Some(at) = version["at"].as_str().and_then(Wall::parse_rfc3339) { (view.time(at)) } }
                        td { (text(&version["by"])) @if let Some(note) = version["note"].as_str() { small { (note) } } }
                        td { ul { @for change in version["changes"].as_array().into_iter().flatten().take(6) { li.mono {
                            (text(change)) } } } }
                    }
                } }
            }
        }))
    }
}

/// `GET /catalogue/edit?part=…&name=…`: one entry, or the whole of it.
pub(super) async fn edit(view: View) -> Result<Response, Problem> {
    let (_, etag, catalogue) = current(&view, None).await?;
    let part = view.asked("part").filter(|part| ["sites", "pools", "tracking"].contains(part)).unwrap_or("all");
    let name = view.asked("name").unwrap_or_default();
    let entry = match part {
        "all" => catalogue,
        "tracking" => catalogue["tracking"].get(name).cloned().unwrap_or_else(|| json!({})),
        list => place(&catalogue, list, name).map_or_else(|| fresh(&view, list), |at| catalogue[list][at].clone()),
    };
    let written = serde_json::to_string_pretty(&entry).unwrap_or_default();
    Ok(editor(&view, StatusCode::OK, &Editor { part, name, etag: &etag, written: &written, problem: "" }))
}

fn place(catalogue: &Value, list: &str, name: &str) -> Option<usize> {
    catalogue[list].as_array()?.iter().position(|entry| entry["name"] == name)
}

fn fresh(view: &View, list: &str) -> Value {
    let company = view.config.companies.first().map(|company| company.name.clone()).unwrap_or_default();
    match list {
        "sites" => json!({ "name": "", "company": company, "origins": ["https://www.example.com"] }),
        _ => json!({ "name": "", "company": company, "site": "", "kind": "dynamic", "numbers": [] }),
    }
}

struct Editor<'a> {
    part: &'a str,
    name: &'a str,
    etag: &'a str,
    written: &'a str,
    problem: &'a str,
}

fn editor(view: &View, status: StatusCode, editor: &Editor<'_>) -> Response {
    let title = match editor.name {
        "" => view.t("catalogue-edit").into_owned(),
        name => view.ta("catalogue-edit-name", &[("name", name.into())]).into_owned(),
    };
    let lines = editor.written.lines().count().clamp(8, 32);
    let body = html! {
        p.crumbs { a href="/catalogue" { (view.t("nav-catalogue")) } }
        (heading(&title, html! {}))
        @if !editor.problem.is_empty() { pre.bad-text.problem role="alert" { (editor.problem) } }
        form.wide-form method="post" action="/catalogue/diff" {
            input type="hidden" name="part" value=(editor.part);
            input type="hidden" name="name" value=(editor.name);
            input type="hidden" name="tag" value=(editor.etag);
            label { span { (view.t("catalogue-json")) } textarea.mono name="json" rows=(lines) spellcheck="false" { (editor.written) } }
            p.soft { (view.t("catalogue-keys")) }
            div.buttons {
                button.primary type="submit" { (view.t("catalogue-show-diff")) }
                @if !editor.name.is_empty() && ["sites", "pools"].contains(&editor.part) { button.danger type="submit"
                    name="remove" value="1" { (view.t("catalogue-remove")) } }
                a.button href="/catalogue" { (view.t("cancel")) }
            }
        }
    };
    (status, view.show(Page { title: &title, nav: "/catalogue", scripts: &[], body })).into_response()
}

/// `POST /catalogue/diff`: what the change would change; nothing is saved.
pub(super) async fn diff(view: View, request: Request) -> Result<Response, Problem> {
    let form = form(request).await?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (part, name, etag, written) = (field("part"), field("name"), field("tag"), field("json"));
    let (_, _, before) = current(&view, None).await?;
    let entry = match serde_json::from_str::<Value>(written) {
        Ok(entry) => entry,
        Err(error) => {
            let problem = error.to_string();
            let again = Editor { part, name, etag, written, problem: &problem };
            return Ok(editor(&view, StatusCode::UNPROCESSABLE_ENTITY, &again));
        }
    };
    let after = changed(before.clone(), part, name, (!form.contains_key("remove")).then_some(entry));
    Ok(review(&view, &before, &after, etag))
}

/// The catalogue with this entry in place of the one of this name; without an entry, without it.
pub(super) fn changed(mut catalogue: Value, part: &str, name: &str, entry: Option<Value>) -> Value {
    match (part, entry) {
        ("sites" | "pools", entry) => {
            let at = place(&catalogue, part, name).filter(|_| !name.is_empty());
            if let Some(list) = catalogue[part].as_array_mut() {
                match (at, entry) {
                    (Some(at), Some(entry)) => list[at] = entry,
                    (Some(at), None) => drop(list.remove(at)),
                    (None, Some(entry)) => list.push(entry),
                    (None, None) => {}
                }
            }
            catalogue
        }
        ("tracking", Some(entry)) => {
            catalogue["tracking"][name] = entry;
            catalogue
        }
        ("all", Some(entry)) => entry,
        _ => catalogue,
    }
}

/// The diff, with the button that saves it.
pub(super) fn review(view: &View, before: &Value, after: &Value, etag: &str) -> Response {
    let title = view.t("catalogue-diff");
    let changes = document::changes(before, after);
    let body = html! {
        p.crumbs { a href="/catalogue" { (view.t("nav-catalogue")) } }
        (heading(&title, html! {}))
        (diffed(view, &changes))
        form.wide-form method="post" action="/catalogue/save" {
            input type="hidden" name="tag" value=(etag);
            textarea.hidden-field name="json" hidden aria-hidden="true" tabindex="-1" { (after.to_string()) }
            label { span { (view.t("catalogue-note")) } input type="text" name="note" maxlength="200"; }
            div.buttons {
                @if !changes.is_empty() { button.primary type="submit" { (view.t("catalogue-save")) } }
                a.button href="/catalogue" { (view.t("cancel")) }
            }
        }
    };
    view.show(Page { title: &title, nav: "/catalogue", scripts: &[], body })
}

fn diffed(view: &View, changes: &[String]) -> Markup {
    html! {
        @if changes.is_empty() { p.soft { (view.t("catalogue-no-change")) } } @else {
            ul.diff { @for line in changes { li.mono { (line) } } }
        }
    }
}

/// `POST /catalogue/save`.
pub(super) async fn save(view: View, request: Request) -> Result<Response, Problem> {
    let form = form(request).await?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let catalogue =
        serde_json::from_str(field("json")).map_err(|error| Problem::bad_request("bad_json", error.to_string()))?;
    take(&view, What::Catalogue(catalogue), field("tag"), field("note")).await?;
    Ok(Redirect::to("/catalogue?saved=1").into_response())
}

/// `POST /catalogue/rollback`.
pub(super) async fn roll_back(view: View, request: Request) -> Result<Response, Problem> {
    let form = form(request).await?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let to = field("to").parse().map_err(|_| body::bad_parameter("to", "a version"))?;
    take(&view, What::RollBack(to), field("tag"), field("note")).await?;
    Ok(Redirect::to("/catalogue?saved=1").into_response())
}

/// Puts it in force, or says everything that is wrong with it.
pub(super) async fn take(view: &View, what: What, if_match: &str, note: &str) -> Result<Shown, Problem> {
    let note: String = note.chars().filter(|c| !c.is_control()).take(limits::ARCHIVE_WORDS).collect();
    let note = Some(note).filter(|note| !note.is_empty());
    let by = view.user().unwrap_or_default().to_owned();
    let wanted = Wanted { what, if_match: if_match.to_owned(), by, note };
    let taken: Result<Shown, Refused> =
        ask(&view.state, |answer| Ask::Take { wanted: Box::new(wanted), answer }).await?;
    taken.map_err(refused)
}

/// `GET /catalogue/versions/{version}`: what going back to it would change.
pub(super) async fn version(number: Result<Path<u64>, PathRejection>, view: View) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("unknown_version", "This version is not kept.");
    let Path(number) = number.map_err(|_| unknown())?;
    let (now, etag, catalogue) = current(&view, None).await?;
    let (then, _, old) = current(&view, Some(number)).await?;
    let title = view.ta("version-title", &[("version", (&number.to_string()).into())]);
    let body = html! {
        p.crumbs { a href="/catalogue" { (view.t("nav-catalogue")) } }
        (heading(&title, html! {}))
        p.soft { (then.at) " · " (then.by) @if let Some(note) = &then.note { " · " (note) } }
        h2 { (view.t("version-changes")) }
        (diffed(&view, &then.changes))
        @if now.version != number {
            h2 { (view.t("version-back")) }
            (diffed(&view, &document::changes(&catalogue, &old)))
            form method="post" action="/catalogue/rollback" {
                input type="hidden" name="to" value=(number);
                input type="hidden" name="tag" value=(etag);
                button.danger type="submit" { (view.t("version-roll-back")) }
            }
        }
        details { summary { (view.t("catalogue-json")) } pre.json tabindex="0" {
            (serde_json::to_string_pretty(&old).unwrap_or_default()) } }
    };
    Ok(view.show(Page { title: &title, nav: "/catalogue", scripts: &[], body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_the_place_of_its_name() {
        let before =
            json!({ "sites": [{ "name": "a" }], "pools": [{ "name": "p", "kind": "static" }], "tracking": {} });
        let with = |part: &str, name: &str, entry: Option<Value>| changed(before.clone(), part, name, entry);
        assert_eq!(with("pools", "p", Some(json!({ "name": "q" })))["pools"], json!([{ "name": "q" }]));
        assert_eq!(with("pools", "", Some(json!({ "name": "q" })))["pools"][1]["name"], "q");
        assert_eq!(with("sites", "a", None)["sites"], json!([]));
        assert_eq!(with("sites", "nobody", None), before);
        assert_eq!(with("tracking", "acme", Some(json!({ "plan": "flat" })))["tracking"]["acme"]["plan"], "flat");
        assert_eq!(with("all", "", Some(json!({}))), json!({}));
        assert_eq!(with("nonsense", "", Some(json!({}))), before);
    }
}
