//! The catalogue of companies, sites and pools: what is in force, a change with its diff before it is saved, versions and the way back.
//!
//! An entry is edited in a form with a field for each of its keys, or as text. Nothing of it needs JavaScript.

mod controls;
mod entry;
mod fields;

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use self::controls::{Controls, Wrong};
use self::fields::Part;
use super::frame::Page;
use super::parts::{heading, sheet, tag};
use super::view::{View, address};
use crate::config::{Company, Sink};
use crate::core::catalogue::document;
use crate::core::rights::Right;
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
            a.button href="/catalogue/edit?part=companies" { (view.t("catalogue-new-company")) }
            a.button href="/catalogue/edit?part=sites" { (view.t("catalogue-new-site")) }
            a.button href="/catalogue/edit?part=pools" { (view.t("catalogue-new-pool")) }
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
    let edit = |part| address("/catalogue/edit", [("part", part), ("name", company.name.as_str())].into_iter());
    html! {
        tr {
            th scope="row" { (company.name) }
            td.mono.cut { (company.forward_to.iter().map(|to| to.uri.clone()).collect::<Vec<_>>().join(", ")) }
            td.cut { @match tracking.as_object() {
                None => "–",
                Some(rules) => (rules.iter().map(|(key, value)| format!("{key}: {}", text(value))).collect::<Vec<_>>().join(", ")),
            } }
            td {
                @if view.has_right(Right::Route) {
                    a href=(edit("companies")) aria-label={ (view.t("company-routes-edit")) " " (company.name) } {
                        (view.t("company-routes-edit")) }
                    " · "
                }
                a href=(edit("tracking")) aria-label={ (view.t("company-tracking-edit")) " " (company.name) } {
                    (view.t("company-tracking-edit")) }
            }
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

/// `GET /catalogue/edit?part=…&name=…&as=…`: one entry as a form or (`as=text`) as text, or the whole as text.
pub(super) async fn edit(view: View) -> Result<Response, Problem> {
    let (_, etag, catalogue) = current(&view, None).await?;
    let part = view.asked("part").and_then(Part::of);
    let name = view.asked("name").unwrap_or_default();
    let Some(part) = part else {
        return Ok(text_editor(
            &view,
            StatusCode::OK,
            &Editor { part: "all", name: "", etag: &etag },
            &pretty(&catalogue),
            &[],
        ));
    };
    let editor = Editor { part: part.name, name, etag: &etag };
    let entry = existing(&catalogue, part.name, name).cloned().unwrap_or_else(|| fresh(&view, part.name));
    if view.asked("as") == Some("text") {
        return Ok(text_editor(&view, StatusCode::OK, &editor, &pretty(&entry), &[]));
    }
    Ok(form_editor(&view, StatusCode::OK, &editor, part, &entry, &[]))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The entry of this name.
fn existing<'c>(catalogue: &'c Value, part: &str, name: &str) -> Option<&'c Value> {
    match part {
        "tracking" => catalogue[part].get(name),
        list => catalogue[list].get(place(catalogue, list, name)?),
    }
}

fn place(catalogue: &Value, list: &str, name: &str) -> Option<usize> {
    catalogue[list].as_array()?.iter().position(|entry| entry["name"] == name)
}

fn fresh(view: &View, part: &str) -> Value {
    let company = view.config.companies.first().map(|company| company.name.clone()).unwrap_or_default();
    match part {
        "companies" => json!({ "name": "" }),
        "sites" => json!({ "name": "", "company": company, "origins": ["https://www.example.com"] }),
        "pools" => {
            let site = view.config.sites.iter().find(|site| site.company == company).map(|site| site.name.clone());
            json!({ "name": "", "company": company, "site": site, "kind": "dynamic", "numbers": [] })
        }
        _ => json!({}),
    }
}

/// What is edited.
struct Editor<'a> {
    part: &'a str,
    /// Of the entry as it is in force; empty: a new one.
    name: &'a str,
    /// Of the catalogue that was seen.
    etag: &'a str,
}

/// A form with a field for each key of the entry.
fn form_editor(
    view: &View,
    status: StatusCode,
    editor: &Editor<'_>,
    part: &Part,
    entry: &Value,
    wrong: &[Wrong],
) -> Response {
    let controls = Controls::new(view, wrong);
    let fields = controls.groups(part, entry);
    let elsewhere = controls.elsewhere();
    let as_text =
        address("/catalogue/edit", [("part", editor.part), ("name", editor.name), ("as", "text")].into_iter());
    let actions = html! { a.button href=(as_text) { (view.t("catalogue-as-text")) } };
    let fields = html! {
        // Return in a field is the first button of the form.
        button.visually-hidden type="submit" tabindex="-1" aria-hidden="true" { (view.t("catalogue-show-diff")) }
        @if !wrong.is_empty() {
            div.problem role="alert" {
                p { (view.t("catalogue-wrong")) }
                @if !elsewhere.is_empty() { ul { @for line in elsewhere { li.bad-text { (line) } } } }
            }
        }
        (fields)
    };
    let is_there = !editor.name.is_empty() && editor.part != "tracking";
    editing(view, status, editor, is_there, actions, fields)
}

/// The same as text, for who prefers it.
fn text_editor(view: &View, status: StatusCode, editor: &Editor<'_>, written: &str, wrong: &[Wrong]) -> Response {
    let lines = written.lines().count().clamp(8, 32);
    let told = |(key, message): &Wrong| if key.is_empty() { message.clone() } else { format!("{key}: {message}") };
    let fields = html! {
        @if !wrong.is_empty() { pre.bad-text.problem role="alert" { (wrong.iter().map(told).collect::<Vec<_>>().join("\n")) } }
        label { span { (view.t("catalogue-json")) } textarea.mono name="json" rows=(lines) spellcheck="false" { (written) } }
        p.soft { (view.t("catalogue-keys")) }
    };
    let is_there = !editor.name.is_empty() && editor.part != "all" && editor.part != "tracking";
    editing(view, status, editor, is_there, html! {}, fields)
}

fn editing(
    view: &View,
    status: StatusCode,
    editor: &Editor<'_>,
    can_go: bool,
    actions: Markup,
    fields: Markup,
) -> Response {
    let title = match editor.name {
        "" => view.t("catalogue-edit").into_owned(),
        name => view.ta("catalogue-edit-name", &[("name", name.into())]).into_owned(),
    };
    let body = html! {
        p.crumbs { a href="/catalogue" { (view.t("nav-catalogue")) } }
        (heading(&title, actions))
        form.wide-form method="post" action="/catalogue/diff" {
            input type="hidden" name="part" value=(editor.part);
            input type="hidden" name="name" value=(editor.name);
            input type="hidden" name="tag" value=(editor.etag);
            (fields)
            div.buttons {
                button.primary type="submit" { (view.t("catalogue-show-diff")) }
                @if can_go { button.danger type="submit" name="remove" value="1" { (view.t("catalogue-remove")) } }
                a.button href="/catalogue" { (view.t("cancel")) }
            }
        }
    };
    (status, view.show(Page { title: &title, nav: "/catalogue", scripts: &[], body })).into_response()
}

/// `POST /catalogue/diff`: what the change would change, or what is wrong with it; nothing is saved.
pub(super) async fn diff(view: View, request: Request) -> Result<Response, Problem> {
    let form = form(request).await?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (part, name, etag) = (field("part"), field("name"), field("tag"));
    let editor = Editor { part, name, etag };
    let (_, _, before) = current(&view, None).await?;
    let by_fields = Part::of(part).filter(|_| !form.contains_key("json"));
    let entry = match by_fields {
        Some(part) => entry::read(part, &form, existing(&before, part.name, name).unwrap_or(&Value::Null)),
        None => match serde_json::from_str::<Value>(field("json")) {
            Ok(entry) => entry,
            Err(error) => {
                let wrong = [(String::new(), error.to_string())];
                return Ok(text_editor(&view, StatusCode::UNPROCESSABLE_ENTITY, &editor, field("json"), &wrong));
            }
        },
    };
    let is_about_rows = ["up", "drop", "more"].iter().any(|button| form.contains_key(*button));
    if let Some(part) = by_fields.filter(|_| is_about_rows) {
        let entry = entry::without(entry::raised(entry, field("up")), field("drop"));
        return Ok(form_editor(&view, StatusCode::OK, &editor, part, &entry, &[]));
    }
    let after = changed(before.clone(), part, name, (!form.contains_key("remove")).then(|| entry.clone()));
    let catalogue = Box::new(after.clone());
    let wrong = ask(&view.state, |answer| Ask::Check { catalogue, answer }).await?;
    if wrong.is_empty() {
        return Ok(review(&view, &before, &after, etag));
    }
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(match by_fields {
        Some(part) => {
            form_editor(&view, status, &editor, part, &entry, &of_entry(wrong, &after, part.name, &entry, name))
        }
        None => text_editor(&view, status, &editor, field("json"), &wrong),
    })
}

/// Keys of the catalogue that lie within the entry as keys of the entry; the others stay as they are.
fn of_entry(wrong: Vec<Wrong>, after: &Value, part: &str, entry: &Value, name: &str) -> Vec<Wrong> {
    let prefix = match part {
        "tracking" => Some(format!("{part}.{name}")),
        list => after[list]
            .as_array()
            .and_then(|all| all.iter().position(|one| one == entry))
            .map(|at| format!("{list}[{at}]")),
    };
    let within = |key: String| {
        let rest = prefix.as_ref().and_then(|prefix| key.strip_prefix(prefix.as_str()));
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('.'));
        rest.map(|rest| rest.trim_start_matches('.').to_owned()).unwrap_or(key)
    };
    wrong.into_iter().map(|(key, message)| (within(key), message)).collect()
}

/// The catalogue with this entry in place of the one of this name; without an entry, without it.
pub(super) fn changed(mut catalogue: Value, part: &str, name: &str, entry: Option<Value>) -> Value {
    match (part, entry) {
        ("companies" | "sites" | "pools", entry) => {
            let at = place(&catalogue, part, name).filter(|_| !name.is_empty());
            if catalogue[part].is_null() {
                catalogue[part] = json!([]);
            }
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
            let says_nothing = entry.as_object().is_some_and(Map::is_empty);
            match catalogue["tracking"].as_object_mut() {
                Some(tracking) if says_nothing => drop(tracking.remove(name)),
                Some(tracking) => drop(tracking.insert(name.to_owned(), entry)),
                None => catalogue["tracking"] = json!({ name: entry }),
            }
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
    let wanted = Wanted { what, if_match: if_match.to_owned(), by, note, may_route: view.may(Right::Route) };
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
        assert_eq!(changed(json!({}), "companies", "", Some(json!({ "name": "c" })))["companies"][0]["name"], "c");
        assert_eq!(with("tracking", "acme", Some(json!({ "plan": "flat" })))["tracking"]["acme"]["plan"], "flat");
        assert_eq!(with("all", "", Some(json!({}))), json!({}));
        assert_eq!(with("nonsense", "", Some(json!({}))), before);
    }
}
