//! Users: who there is, with which roles where; adding them, changing what they may, helping them back in.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use maud::{Markup, html};

use super::catalogue::Form;
use super::frame::Page;
use super::parts::{empty, heading, sheet, tag};
use super::said::{done, field, ticked};
use super::view::{View, address};
use crate::core::rights::{Grant, Rights, Role};
use crate::io::clock;
use crate::io::http::problem::Problem;
use crate::io::http::{body, users};
use crate::io::people::UserChange;
use crate::io::people::store::UserRecord;

/// Beginning of a box's name; the grant follows.
const GRANT: &str = "grant:";

/// `GET /users`, and `GET /users?user=NAME`: one of them.
pub(super) async fn page(view: View) -> Response {
    shown(&view, &Form::new(), None)
}

fn shown(view: &View, form: &Form, problem: Option<&Problem>) -> Response {
    let loaded = view.state.people.now(clock::mono());
    let rights = view.caller.as_ref().map(|caller| caller.rights.clone()).unwrap_or_default();
    let seen: Vec<&UserRecord> = loaded.book.users.iter().filter(|user| rights.covers(&user.rights())).collect();
    if let Some(user) = view.asked("user").and_then(|name| seen.iter().find(|user| user.name == name)) {
        return one(view, user, problem);
    }
    let title = view.t("nav-users");
    let body = html! {
        (heading(&title, html! { a.button href="/tokens" { (view.t("nav-tokens")) } }))
        (view.notice())
        (view.alert(problem))
        @if seen.is_empty() { (empty(&view.t("users-none"), html! {})) } @else { (list(view, &seen)) }
        section.sheet.pad.apart aria-labelledby="add" {
            h2 #add { (view.t("user-add")) }
            form.stack method="post" action="/users" {
                label { span { (view.t("sign-in-name")) } input type="text" name="name" value=(field(form, "name")) maxlength="64"
                    autocomplete="off" autocapitalize="none" spellcheck="false" required; small { (view.t("user-name-hint")) } }
                (matrix(view, &rights, &ticked(form, GRANT)))
                p.soft { (view.t("user-add-hint")) }
                div.buttons { button.primary type="submit" { (view.t("user-add")) } }
            }
        }
    };
    view.answer(Page { title: &title, nav: "/users", scripts: &[], body }, problem)
}

fn list(view: &View, users: &[&UserRecord]) -> Markup {
    sheet(
        &view.t("nav-users"),
        html! {
            table.people {
                thead { tr { th scope="col" { (view.t("sign-in-name")) } th scope="col" { (view.t("user-roles")) } th scope="col" {
                    (view.t("user-state")) } th.c-since scope="col" { (view.t("user-created")) } } }
                tbody { @for user in users { tr {
                    th scope="row" { a.row href=(link(&user.name)) { (user.name) } }
                    td { (roles(view, &user.roles)) }
                    td { (state(view, user)) }
                    td.c-since { (view.time(user.created_at)) }
                } } }
            }
        },
    )
}

fn link(name: &str) -> String {
    address("/users", [("user", name)].into_iter())
}

fn state(view: &View, user: &UserRecord) -> Markup {
    html! {
        span.tags {
            @if user.disabled { (tag("bad", &view.t("user-disabled"))) }
            @else if user.password.is_none() && user.oidc.is_none() { (tag("warn", &view.t("user-invited"))) }
            @else { (tag("good", &view.t("user-active"))) }
            @if user.totp.is_some() { (tag("accent", &view.t("account-totp"))) }
        }
    }
}

/// Roles by company, in words.
pub(super) fn roles(view: &View, written: &[String]) -> Markup {
    let grants: Vec<Grant> = written.iter().filter_map(|text| text.parse().ok()).collect();
    html! {
        @if grants.is_empty() { span.soft { (view.t("user-no-role")) } }
        ul.grants { @for grant in &grants {
            li { strong { (view.word("role", grant.role.as_str())) } " · " @match &grant.company {
                Some(company) => { (company) }, None => { (view.t("companies-all")) } } }
        } }
    }
}

/// What may be given: roles across, companies down. Only what whoever asks could give stands there.
fn matrix(view: &View, rights: &Rights, has: &[String]) -> Markup {
    let all = std::iter::once(None);
    let places = all.chain(view.config.companies.iter().map(|company| Some(company.name.as_str())));
    let grant = |role: Role, company: Option<&str>| Grant { role, company: company.map(Into::into) };
    let may = |role: Role, company: Option<&str>| {
        let is_sensible = role != Role::Owner || company.is_none();
        is_sensible && rights.covers(&Rights::of_grants(&[grant(role, company)]))
    };
    let rows: Vec<Option<&str>> =
        places.filter(|company| Role::ALL.into_iter().any(|role| may(role, *company))).collect();
    html! {
        fieldset.matrix {
            legend { (view.t("user-roles")) }
            div.scroll tabindex="0" role="region" aria-label=(view.t("user-roles")) {
                table {
                    thead { tr { th scope="col" { (view.t("filter-company")) } @for role in Role::ALL { th scope="col" {
                        (view.word("role", role.as_str())) } } } }
                    tbody { @for company in rows {
                        @let name = company.map_or_else(|| view.t("companies-all").into_owned(), str::to_owned);
                        tr {
                            th scope="row" { (name) }
                            @for role in Role::ALL {
                                @let text = grant(role, company).to_string();
                                td { @if may(role, company) { label.check {
                                    input type="checkbox" name={ (GRANT) (text) } value="1" checked[has.contains(&text)]
                                        aria-label={ (view.word("role", role.as_str())) ", " (name) };
                                    span.on-phone { (view.word("role", role.as_str())) }
                                } } }
                            }
                        }
                    } }
                }
            }
            details { summary { (view.t("roles-what")) } dl.roles-what { @for role in Role::ALL {
                div { dt { (view.word("role", role.as_str())) } dd { (view.word("role-may", role.as_str())) } }
            } } }
        }
    }
}

fn one(view: &View, user: &UserRecord, problem: Option<&Problem>) -> Response {
    let title = view.ta("user-title", &[("name", (&user.name).into())]);
    let rights = view.caller.as_ref().map(|caller| caller.rights.clone()).unwrap_or_default();
    let act = |action: &str, key: &str, danger: bool| {
        html! {
            form method="post" action="/users/change" {
                input type="hidden" name="user" value=(user.name);
                button.danger[danger] type="submit" name="action" value=(action) { (view.t(key)) }
                small { (view.word("hint", key)) }
            }
        }
    };
    let body = html! {
        p.crumbs { a href="/users" { (view.t("nav-users")) } }
        (heading(&title, state(view, user)))
        (view.notice())
        (view.alert(problem))
        div.forms {
            section.sheet.pad aria-labelledby="grants" {
                h2 #grants { (view.t("user-may")) }
                form.stack method="post" action="/users/change" {
                    input type="hidden" name="user" value=(user.name);
                    (matrix(view, &rights, &user.roles))
                    div.buttons { button.primary type="submit" name="action" value="roles" { (view.t("save")) } }
                }
            }
            section.sheet.pad aria-labelledby="help" {
                h2 #help { (view.t("user-access")) }
                div.acts {
                    (act("reset", "user-reset", false))
                    @if user.totp.is_some() { (act("totp_off", "user-totp-off", false)) }
                    (act("sign_out", "user-sign-out", false))
                    @if user.disabled { (act("enable", "user-enable", false)) } @else { (act("disable", "user-disable", true)) }
                    form method="post" action="/users/change" {
                        input type="hidden" name="user" value=(user.name);
                        label.check { input type="checkbox" name="sure" value="1" required; (view.t("user-remove-sure")) }
                        button.danger type="submit" name="action" value="remove" { (view.t("user-remove")) }
                    }
                }
            }
        }
    };
    view.answer(Page { title: &title, nav: "/users", scripts: &[], body }, problem)
}

/// `POST /users`: the link with which the new user chooses a password is shown this once.
pub(super) async fn add(view: View, request: Request) -> Result<Response, Problem> {
    let base = base(&view, request.headers());
    let form: Form = body::read(request).await?;
    let view = view.at("/users");
    let (name, roles) = (field(&form, "name"), ticked(&form, GRANT));
    match users::make(&view.state, view.who()?, name, roles, None).await {
        Ok(link) => Ok(linked(&view, &name.to_lowercase(), &base, link.as_deref().unwrap_or_default())),
        Err(problem) => Ok(shown(&view, &form, Some(&problem))),
    }
}

/// `POST /users/change`: what the button says, of one user.
pub(super) async fn change(view: View, request: Request) -> Result<Response, Problem> {
    let base = base(&view, request.headers());
    let form: Form = body::read(request).await?;
    let mut view = view.at("/users");
    let (name, action) = (field(&form, "user").to_owned(), field(&form, "action"));
    view.query.push(("user".to_owned(), name.clone()));
    let caller = view.who()?;
    let plain = UserChange::default;
    let (change, said) = match action {
        "roles" => (UserChange { roles: Some(ticked(&form, GRANT)), ..plain() }, "roles"),
        "reset" => (UserChange { end_sessions: true, link: true, ..plain() }, ""),
        "totp_off" => (UserChange { totp_off: true, ..plain() }, "user-totp-off"),
        "sign_out" => (UserChange { end_sessions: true, ..plain() }, "user-sign-out"),
        "disable" => (UserChange { disabled: Some(true), ..plain() }, "user-disable"),
        "enable" => (UserChange { disabled: Some(false), ..plain() }, "user-enable"),
        "remove" if field(&form, "sure") == "1" => {
            return match users::take_away(&view.state, caller, name.clone()).await {
                Ok(()) => Ok(done("/users", "user-remove")),
                Err(problem) => Ok(shown(&view, &form, Some(&problem))),
            };
        }
        _ => return Err(body::bad_parameter("action", "what a button of the page says")),
    };
    match users::apply(&view.state, caller, &name, change).await {
        Ok(Some(link)) => Ok(linked(&view, &name, &base, &link)),
        Ok(None) => Ok(axum::response::IntoResponse::into_response(axum::response::Redirect::to(&address(
            "/users",
            [("user", name.as_str()), ("done", said)].into_iter(),
        )))),
        Err(problem) => Ok(shown(&view, &form, Some(&problem))),
    }
}

/// How this server is reached, as the browser knows it.
fn base(view: &View, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if view.caller.as_ref().is_some_and(|caller| caller.secure) { "https" } else { "http" };
    format!("{scheme}://{host}")
}

fn linked(view: &View, name: &str, base: &str, link: &str) -> Response {
    let title = view.ta("user-link-title", &[("name", name.into())]);
    let body = html! {
        p.crumbs { a href="/users" { (view.t("nav-users")) } }
        (heading(&title, html! {}))
        div.sheet.pad.once {
            p.lead { (view.t("user-link-lead")) }
            pre #link.secret tabindex="0" { (base) "/setup#" (link) }
            p.soft { (view.t("user-link-how")) }
            div.buttons {
                button.js-only type="button" data-copy="link" data-done=(view.t("copied")) { (view.t("copy")) }
                a.button href="/users" { (view.t("user-link-done")) }
            }
        }
    };
    view.show(Page { title: &title, nav: "/users", scripts: &[], body })
}
