//! API tokens: for programs, with the rights they need, the companies they are for and an end. The secret is shown once.

use axum::extract::Request;
use axum::response::Response;
use maud::{Markup, html};

use super::catalogue::Form;
use super::frame::Page;
use super::parts::{empty, field as input, heading, sheet, tag};
use super::said::{done, field, ticked};
use super::view::View;
use crate::core::rights::{Right, Rights};
use crate::io::clock;
use crate::io::http::problem::Problem;
use crate::io::http::{body, tokens};
use crate::io::people::NewToken;
use crate::io::people::store::TokenRecord;
use crate::time::Wall;

/// Beginnings of the names of boxes.
const SCOPE: &str = "scope:";
const COMPANY: &str = "company:";

/// `GET /tokens`.
pub(super) async fn page(view: View) -> Response {
    shown(&view, &Form::new(), None)
}

fn shown(view: &View, form: &Form, problem: Option<&Problem>) -> Response {
    let loaded = view.state.people.now(clock::mono());
    let rights = view.caller.as_ref().map(|caller| caller.rights.clone()).unwrap_or_default();
    let seen: Vec<&TokenRecord> = loaded.book.tokens.iter().filter(|token| rights.covers(&token.rights())).collect();
    let title = view.t("nav-tokens");
    let body = html! {
        (heading(&title, html! { a.button href="/users" { (view.t("nav-users")) } }))
        (view.notice())
        (view.alert(problem))
        @if seen.is_empty() { (empty(&view.t("tokens-none"), html! {})) } @else { (list(view, &seen)) }
        section.sheet.pad.apart aria-labelledby="add" { h2 #add { (view.t("token-add")) } (adding(view, &rights, form)) }
    };
    view.answer(Page { title: &title, nav: "/tokens", scripts: &[], body }, problem)
}

fn list(view: &View, all: &[&TokenRecord]) -> Markup {
    sheet(
        &view.t("nav-tokens"),
        html! {
            table.people {
                thead { tr { th scope="col" { (view.t("token-name")) } th scope="col" { (view.t("token-scopes")) } th scope="col" {
                    (view.t("token-companies")) } th scope="col" { (view.t("token-expires")) }
                    th.c-since scope="col" { (view.t("user-created")) }
                    th scope="col" { span.visually-hidden { (view.t("token-revoke")) } } } }
                tbody { @for token in all { tr {
                    th scope="row" { (token.name) }
                    td { span.tags { @for scope in &token.scopes { span.tag title=(view.word("right", scope)) { (scope) } } } }
                    td { @if token.companies.is_empty() { (view.t("companies-all")) } @else { (token.companies.join(", ")) } }
                    td { @match token.expires_at {
                        None => { span.soft { (view.t("token-never")) } },
                        Some(at) => { (view.time(at)) @if at <= view.now { " " (tag("bad", &view.t("token-expired"))) } },
                    } }
                    td.c-since { (view.time(token.created_at)) small { (token.created_by) } }
                    td { form method="post" action="/tokens/revoke" { button.danger type="submit" name="id" value=(token.id)
                        aria-label={ (view.t("token-revoke")) " " (token.name) } { (view.t("token-revoke")) } } }
                } } }
            }
        },
    )
}

fn adding(view: &View, rights: &Rights, form: &Form) -> Markup {
    let (scopes, companies) = (ticked(form, SCOPE), ticked(form, COMPANY));
    // A token has no account of its own.
    let offered = Right::ALL.into_iter().filter(|right| *right != Right::Account && rights.may(*right));
    let is_everywhere = rights.may_everywhere(Right::Users);
    html! {
        form.stack method="post" action="/tokens" {
            label { span { (view.t("token-name")) } input type="text" name="name" value=(field(form, "name")) maxlength="64"
                autocomplete="off" autocapitalize="none" spellcheck="false" required; small { (view.t("user-name-hint")) } }
            fieldset.ticks { legend { (view.t("token-scopes")) }
                @for right in offered {
                    @let name = right.as_str();
                    label.check { input type="checkbox" name={ (SCOPE) (name) } value="1" checked[scopes.iter().any(|had| had == name)];
                        span { code { (name) } " " small { (view.word("right", name)) } } }
                }
            }
            fieldset.ticks { legend { (view.t("token-companies")) }
                p.soft { (view.t(if is_everywhere { "token-companies-all" } else { "token-companies-some" })) }
                @for company in view.companies_with(Right::Users) {
                    label.check { input type="checkbox" name={ (COMPANY) (company) } value="1" checked[companies.iter().any(|had| had ==
                        company)]; (company) }
                }
            }
            (input(&view.t("token-expires"), "expires", "date", field(form, "expires")))
            p.soft { (view.t("token-expires-hint")) }
            div.buttons { button.primary type="submit" { (view.t("token-add")) } }
        }
    }
}

/// `POST /tokens`: the token is shown this once.
pub(super) async fn add(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let view = view.at("/tokens");
    let expires_at = match field(&form, "expires") {
        "" => None,
        day => match Wall::parse_rfc3339(&format!("{day}T23:59:59Z")).filter(|at| *at > view.now) {
            Some(at) => Some(at),
            None => {
                let problem = Problem::bad_request("bad_expiry", "The last day must be a day to come.");
                return Ok(shown(&view, &form, Some(&problem)));
            }
        },
    };
    let name = field(&form, "name").to_owned();
    let new = NewToken { name, scopes: ticked(&form, SCOPE), companies: ticked(&form, COMPANY), expires_at };
    match tokens::make(&view.state, view.who()?, new).await {
        Ok((record, token)) => Ok(made(&view, &record, &token)),
        Err(problem) => Ok(shown(&view, &form, Some(&problem))),
    }
}

fn made(view: &View, record: &TokenRecord, token: &str) -> Response {
    let title = view.ta("token-made", &[("name", (&record.name).into())]);
    let body = html! {
        p.crumbs { a href="/tokens" { (view.t("nav-tokens")) } }
        (heading(&title, html! {}))
        div.sheet.pad.once {
            p.lead { (view.t("token-once")) }
            pre #token.secret tabindex="0" { (token) }
            p.soft { (view.t("token-use")) " " code { "Authorization: Bearer …" } }
            div.buttons {
                button.js-only type="button" data-copy="token" data-done=(view.t("copied")) { (view.t("copy")) }
                a.button href="/tokens" { (view.t("token-kept")) }
            }
        }
    };
    view.show(Page { title: &title, nav: "/tokens", scripts: &[], body })
}

/// `POST /tokens/revoke`.
pub(super) async fn revoke(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    tokens::revoke(&view.state, view.who()?, field(&form, "id").to_owned()).await?;
    Ok(done("/tokens", "token-revoke"))
}
