//! Signing in: by name and password, then by the code of the authenticator where the account has one; or by a token of the
//! configuration. Signing out. Plain forms: nothing here needs a script.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::account::here;
use super::catalogue::Form;
use super::frame::Page;
use super::said::field;
use super::view::{View, address};
use crate::io::clock;
use crate::io::http::access::{Caller, is_open};
use crate::io::http::problem::Problem;
use crate::io::http::{body, session};
use crate::io::people::Step;

/// What is asked for.
enum Ask<'a> {
    /// Name and password; the name as it was typed.
    Name(&'a str),
    /// A code; the ticket of the first step.
    Code(&'a str),
    Token,
}

/// `GET /sign-in`.
pub(super) async fn page(view: View) -> Response {
    let next = here(view.asked("next").unwrap_or("/")).to_owned();
    shown(&view, &Ask::Name(""), &next, None)
}

/// `POST /sign-in`: one of the forms. Whatever session the browser had before is over.
pub(super) async fn post(view: View, request: Request) -> Result<Response, Problem> {
    let before = session::session_of(request.headers());
    let form: Form = body::read(request).await?;
    let next = here(field(&form, "next")).to_owned();
    let mut view = view.at("/sign-in");
    view.query.push(("next".to_owned(), next.clone()));
    let caller = view.who()?.clone();
    let (ticket, token, user) = (field(&form, "ticket"), field(&form, "token"), field(&form, "user"));
    let refused = |ask: &Ask<'_>, problem: &Problem| Ok(shown(&view, ask, &next, Some(problem)));
    let cookie = if !ticket.is_empty() {
        let code = field(&form, "code").to_owned();
        match view.state.people.sign_in_with_code(ticket, code, caller.address).await.map_err(session::not_in) {
            Ok(cookie) => cookie,
            Err(problem) if problem.code == "sign_in_expired" => return refused(&Ask::Name(""), &problem),
            Err(problem) => return refused(&Ask::Code(ticket), &problem),
        }
    } else if !token.is_empty() {
        match session::by_token(&view.state, &caller, token) {
            Ok(cookie) => cookie,
            Err(problem) => return refused(&Ask::Token, &problem),
        }
    } else if user.is_empty() {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "bad_credentials", "Name or password is wrong.");
        return refused(&Ask::Name(""), &problem);
    } else {
        // Blanks may be part of a password.
        let password = form.get("password").cloned().unwrap_or_default();
        match view.state.people.sign_in_begin(user, password, caller.address).await.map_err(session::not_in) {
            Ok(Step::In(cookie)) => cookie,
            Ok(Step::Code(ticket)) => return Ok(shown(&view, &Ask::Code(&ticket), &next, None)),
            Err(problem) => return refused(&Ask::Name(user), &problem),
        }
    };
    if let Some(before) = before {
        view.state.people.end_session(&before);
    }
    Ok(session::signed(&view.state, Redirect::to(&next).into_response(), &cookie, &caller))
}

/// `POST /sign-out`.
pub(super) async fn out(view: View, request: Request) -> Result<Response, Problem> {
    let caller: &Caller = view.who()?;
    if let Some(key) = session::session_of(request.headers()).or(caller.session) {
        view.state.people.end_session(&key);
    }
    Ok(session::with_cookie(Redirect::to("/sign-in").into_response(), "", 0, caller))
}

fn shown(view: &View, ask: &Ask<'_>, next: &str, problem: Option<&Problem>) -> Response {
    let http = &view.config.http;
    let has_users = !view.state.people.now(clock::mono()).book.users.is_empty();
    let has_tokens = http.token.is_some() || !http.users.is_empty();
    let title = view.t("sign-in");
    let body = html! {
        div.sheet.pad.sign-in {
            h1 { (title) }
            (view.alert(problem))
            @match ask {
                Ask::Code(ticket) => { (code(view, ticket, next)) },
                _ if is_open(&view.state, http) => {
                    p { (view.t("sign-in-open")) }
                    p.more { a.button.primary href=(next) { (view.t("nav-overview")) } }
                },
                _ => {
                    @if let Some(provider) = &http.oidc {
                        p.more { a.button.primary href=(address("/v1/session/oidc", [("next", next)].into_iter())) {
                            (view.ta("sign-in-provider", &[("name", (&provider.title()).into())])) } }
                    }
                    @if has_users {
                        @let user = if let Ask::Name(user) = ask { user } else { "" };
                        (by_name(view, user, next))
                    } @else { p.soft { (view.t("sign-in-first")) } }
                    @if has_tokens && has_users {
                        details open[matches!(ask, Ask::Token)] { summary { (view.t("sign-in-by-token")) } (by_token(view, next)) }
                    } @else if has_tokens { (by_token(view, next)) }
                },
            }
        }
    };
    view.answer(Page { title: &title, nav: "", scripts: &[], body }, problem)
}

fn by_name(view: &View, user: &str, next: &str) -> Markup {
    html! {
        form #sign-in-form method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            label { span { (view.t("sign-in-name")) }
                input type="text" name="user" value=(user) autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64"
                    required autofocus[user.is_empty()]; }
            label { span { (view.t("sign-in-password")) }
                input type="password" name="password" autocomplete="current-password" maxlength="256" required
                    autofocus[!user.is_empty()]; }
            div.buttons { button.primary type="submit" { (view.t("sign-in")) } }
        }
    }
}

fn by_token(view: &View, next: &str) -> Markup {
    html! {
        form #token-form method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            label { span { (view.t("sign-in-token")) } input type="password" name="token" autocomplete="off" required; }
            p.soft { (view.t("sign-in-token-hint")) }
            div.buttons { button.primary type="submit" { (view.t("sign-in-with-token")) } }
        }
    }
}

fn code(view: &View, ticket: &str, next: &str) -> Markup {
    html! {
        form #code-form method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            input type="hidden" name="ticket" value=(ticket);
            label { span { (view.t("sign-in-code")) }
                input.mono type="text" name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="64"
                    required autofocus; }
            p.soft { (view.t("sign-in-code-hint")) }
            div.buttons {
                button.primary type="submit" { (view.t("sign-in")) }
                a.button href=(address("/sign-in", [("next", next)].into_iter())) { (view.t("sign-in-other")) }
            }
        }
    }
}
