//! Signing in, and the switches of language and theme.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::catalogue::Form;
use super::frame::Page;
use super::text::Lang;
use super::view::{LANG, THEME, Theme, View};
use crate::io::http::body;
use crate::io::http::problem::Problem;

/// How long a browser keeps a switch: a year.
const KEPT: u32 = 365 * 24 * 3_600;

/// `GET /sign-in`.
pub(super) async fn sign_in(view: View) -> Result<Response, Problem> {
    let title = view.t("sign-in");
    let body = html! {
        div.sheet.pad.sign-in {
            h1 { (title) }
            form #sign-in-form method="post" action="/session" data-next=(here(view.asked("next").unwrap_or("/")))
                data-wrong=(view.t("sign-in-wrong")) {
                label { span { (view.t("sign-in-token")) } input type="password" name="token" autocomplete="current-password"
                    required autofocus; }
                p.bad-text role="alert" hidden {}
                div.buttons { button.primary type="submit" { (view.t("sign-in")) } }
            }
            noscript { p.soft { (view.t("sign-in-script")) } }
        }
    };
    Ok(view.show(Page { title: &title, nav: "", scripts: &[], body }))
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
