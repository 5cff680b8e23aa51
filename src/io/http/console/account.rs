//! One's own account: password, second factor, sessions; and the switches of language and theme, which nobody signs in for.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, PreEscaped, html};

use super::catalogue::Form;
use super::frame::Page;
use super::parts::{empty, heading, sheet, tag};
use super::said::{done, field};
use super::text::Lang;
use super::view::{LANG, THEME, Theme, View};
use crate::io::clock;
use crate::io::http::problem::Problem;
use crate::io::http::{body, session};
use crate::io::people::store::UserRecord;
use crate::limits;

/// How long a browser keeps a switch: a year.
const KEPT: u32 = 365 * 24 * 3_600;

/// `GET /account`.
pub(super) async fn page(view: View) -> Response {
    shown(&view, None)
}

fn shown(view: &View, problem: Option<&Problem>) -> Response {
    let title = view.t("account");
    let loaded = view.state.people.now(clock::mono());
    let user = view.user().and_then(|name| loaded.user(name)).map(|(user, _)| user);
    let body = html! {
        (heading(&title, html! {
            @if view.caller.as_ref().is_some_and(|caller| caller.session.is_some()) {
                form method="post" action="/sign-out" { button type="submit" { (view.t("sign-out")) } }
            }
        }))
        (view.notice())
        (view.alert(problem))
        @match user {
            Some(user) => {
                dl.facts {
                    div { dt { (view.t("sign-in-name")) } dd { strong { (user.name) } } }
                    div.wide { dt { (view.t("user-roles")) } dd { (super::users::roles(view, &user.roles)) } }
                }
                @if user.password.is_some() { div.forms { (password(view)) (second_factor(view, user)) } }
                @else { p { (view.t("account-elsewhere")) } }
            },
            None => { (empty(&view.t("account-none"), html! {})) },
        }
        (sessions(view))
    };
    view.answer(Page { title: &title, nav: "/account", scripts: &[], body }, problem)
}

fn password(view: &View) -> Markup {
    html! {
        section.sheet.pad aria-labelledby="password" {
            h2 #password { (view.t("account-password")) }
            form.stack method="post" action="/account/password" {
                label { span { (view.t("account-current")) } input type="password" name="current" autocomplete="current-password"
                    maxlength=(limits::PASSWORD_MAX) required; }
                label { span { (view.t("account-new")) } input type="password" name="new" autocomplete="new-password"
                    minlength=(limits::PASSWORD_MIN) maxlength=(limits::PASSWORD_MAX) required; }
                label { span { (view.t("account-again")) } input type="password" name="again" autocomplete="new-password"
                    minlength=(limits::PASSWORD_MIN) maxlength=(limits::PASSWORD_MAX) required; }
                p.soft { (view.t("account-password-hint")) }
                div.buttons { button.primary type="submit" { (view.t("account-password-set")) } }
            }
        }
    }
}

fn second_factor(view: &View, user: &UserRecord) -> Markup {
    let offer = view.caller.as_ref().and_then(|caller| session::offered_totp(&view.state, caller));
    html! {
        section.sheet.pad aria-labelledby="totp" {
            h2 #totp { (view.t("account-totp")) " "
                @if user.totp.is_some() { (tag("good", &view.t("totp-is-on"))) } @else { (tag("", &view.t("totp-is-off"))) } }
            @match (&user.totp, offer) {
                (Some(totp), _) => {
                    p { (view.tn("totp-recovery-left", totp.recovery.len() as u64)) }
                    form.stack method="post" action="/account/totp/off" {
                        label { span { (view.t("sign-in-password")) } input type="password" name="password"
                            autocomplete="current-password" maxlength=(limits::PASSWORD_MAX) required; }
                        p.soft { (view.t("totp-off-hint")) }
                        div.buttons { button.danger type="submit" { (view.t("totp-off")) } }
                    }
                },
                (None, Some(offer)) => {
                    p { (view.t("totp-scan")) }
                    @if let Some(svg) = &offer.svg { div.qr role="img" aria-label=(view.t("totp-picture")) { (PreEscaped(svg)) } }
                    p.soft { (view.t("totp-by-hand")) }
                    p.mono.id #totp-secret { (offer.secret) }
                    form.stack method="post" action="/account/totp/confirm" {
                        label { span { (view.t("sign-in-code")) } input.mono type="text" name="code" inputmode="numeric"
                            autocomplete="one-time-code" maxlength="8" required; }
                        div.buttons { button.primary type="submit" { (view.t("totp-confirm")) } }
                    }
                },
                (None, None) => {
                    p { (view.t("totp-why")) }
                    form method="post" action="/account/totp" { button.primary type="submit" name="offer" value="1" {
                        (view.t("totp-on")) } }
                },
            }
        }
    }
}

/// What a form calls a session: some of its key, which opens nothing.
fn short(key: &[u8; 32]) -> String {
    key.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn sessions(view: &View) -> Markup {
    let Some(caller) = view.caller.as_ref().filter(|caller| caller.session.is_some()) else { return html! {} };
    let http = &view.config.http;
    let all = view.state.people.sessions_of(&caller.name, (http.session_idle, http.session_max));
    let now = clock::mono();
    html! {
        section aria-labelledby="sessions" {
            h2 #sessions { (view.t("account-sessions")) }
            (sheet(&view.t("account-sessions"), html! {
                table {
                    thead { tr { th scope="col" { (view.t("session-began")) } th scope="col" { (view.t("session-seen")) } th scope="col" {
                        (view.t("session-address")) } th scope="col" { span.visually-hidden { (view.t("session-end")) } } } }
                    tbody { @for one in &all { tr {
                        td { (view.ta("ago", &[("span", (&view.lang.span(now.since(one.began))).into())])) }
                        td { (view.ta("ago", &[("span", (&view.lang.span(now.since(one.seen))).into())])) }
                        td.mono { (one.address) }
                        td { @if caller.session == Some(one.key) { (tag("accent", &view.t("session-this"))) } @else {
                            form method="post" action="/account/sessions" { button type="submit" name="end" value=(short(&one.key)) {
                                (view.t("session-end")) } }
                        } }
                    } } }
                }
            }))
            form.more method="post" action="/account/sessions" { button.danger type="submit" name="end" value="all" {
                (view.t("session-end-all")) } }
        }
    }
}

/// `POST /account/password`.
pub(super) async fn set_password(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let view = view.at("/account");
    let caller = view.who()?.clone();
    let given = |name: &str| form.get(name).cloned().unwrap_or_default();
    if given("new") != given("again") {
        let problem = Problem::bad_request("passwords_differ", "The new password was typed in two ways.");
        return Ok(shown(&view, Some(&problem)));
    }
    match session::set_password(&view.state, &caller, given("current"), given("new")).await {
        Ok(cookie) => Ok(session::signed(&view.state, done("/account", "password"), &cookie, &caller)),
        Err(problem) => Ok(shown(&view, Some(&problem))),
    }
}

/// `POST /account/totp`: a secret is made, and the page shows it.
pub(super) async fn offer_totp(view: View, request: Request) -> Result<Response, Problem> {
    let _: Form = body::read(request).await?;
    let view = view.at("/account");
    match session::new_totp(&view.state, view.who()?) {
        Ok(_) => Ok(Redirect::to("/account#totp").into_response()),
        Err(problem) => Ok(shown(&view, Some(&problem))),
    }
}

/// `POST /account/totp/confirm`: the recovery codes, which are shown this once.
pub(super) async fn confirm_totp(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let view = view.at("/account");
    let codes = match session::totp_on(&view.state, view.who()?, field(&form, "code")).await {
        Ok(codes) => codes,
        Err(problem) => return Ok(shown(&view, Some(&problem))),
    };
    let title = view.t("recovery-title");
    let body = html! {
        p.crumbs { a href="/account" { (view.t("account")) } }
        (heading(&title, html! {}))
        div.sheet.pad.once {
            p.lead { (view.t("recovery-lead")) }
            p { (view.t("recovery-how")) }
            pre #codes.secret tabindex="0" { (codes.join("\n")) }
            div.buttons {
                button.js-only type="button" data-copy="codes" data-done=(view.t("copied")) { (view.t("copy")) }
                button.js-only type="button" data-print { (view.t("print")) }
                a.button.primary href="/account?done=totp-on" { (view.t("recovery-kept")) }
            }
        }
    };
    Ok(view.show(Page { title: &title, nav: "/account", scripts: &[], body }))
}

/// `POST /account/totp/off`.
pub(super) async fn drop_totp(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let view = view.at("/account");
    let caller = view.who()?.clone();
    let password = form.get("password").cloned().unwrap_or_default();
    match session::totp_off(&view.state, &caller, password).await {
        Ok(cookie) => Ok(session::signed(&view.state, done("/account", "totp-off"), &cookie, &caller)),
        Err(problem) => Ok(shown(&view, Some(&problem))),
    }
}

/// `POST /account/sessions`: ends one of one's sessions, or all of them.
pub(super) async fn end_sessions(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let caller = view.who()?.clone();
    let wanted = field(&form, "end");
    if wanted == "all" {
        session::end_all(&view.state, &caller).await?;
        return Ok(session::with_cookie(Redirect::to("/sign-in").into_response(), "", 0, &caller));
    }
    let http = &view.config.http;
    let all = view.state.people.sessions_of(&caller.name, (http.session_idle, http.session_max));
    let found = all.iter().find(|one| short(&one.key) == wanted);
    let found = found.ok_or_else(|| Problem::not_found("unknown_session", "There is no such session."))?;
    view.state.people.end_session(&found.key);
    Ok(done("/account", "session"))
}

/// `POST /preferences`: 303 back to the page.
pub(super) async fn preferences(view: View, request: Request) -> Result<Response, Problem> {
    let form: Form = body::read(request).await?;
    let mut response = Redirect::to(here(form.get("back").map_or("/", String::as_str))).into_response();
    let mut keep = |name: &str, value: &str| {
        let secure = if view.caller.as_ref().is_some_and(|caller| caller.secure) { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; Max-Age={KEPT}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    };
    if let Some(lang) = form.get("lang").and_then(|code| Lang::of_code(code)) {
        keep(LANG, lang.code());
    }
    if let Some(theme) = form.get("theme").and_then(|code| Theme::ALL.into_iter().find(|theme| theme.code() == code)) {
        keep(THEME, theme.code());
    }
    Ok(response)
}

/// A path of ours, or the first page: nobody is sent elsewhere.
pub(in crate::io::http) fn here(path: &str) -> &str {
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '\r', '\n', '\t'])
        && path.is_ascii()
        && path.len() < 2_000;
    if is_ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(here("/calls?since=2026-11-22"), "/calls?since=2026-11-22");
        for bad in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x", "javascript:1"]
        {
            assert_eq!(here(bad), "/", "{bad:?}");
        }
    }
}
