//! Sign-in with the company's identity provider: the browser goes there and comes back with a code. What the provider tells
//! is read in [`crate::io::people::oidc`].

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, html};
use subtle::ConstantTimeEq;

use super::access::{Caller, cookies};
use super::console::here;
use super::problem::Problem;
use super::session::{not_in, with_cookie};
use super::{AppState, body};
use crate::limits;

/// What the browser keeps while it is away: only the one that began a sign-in can end it.
const STATE: &str = "leaseline_oidc";
/// Where that cookie is sent.
const PATH: &str = "/v1/session/oidc";

/// `GET /v1/session/oidc[?next=/path]`: 303 to the provider.
pub(super) async fn begin(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let [next] = body::query(&request, ["next"])?;
    let config = state.config.load_full();
    let rules = config.http.oidc.as_ref().ok_or_else(none)?;
    let next = here(next.as_deref().unwrap_or("/")).to_owned();
    let (url, kept) = state.people.begin_elsewhere(rules, next).await.map_err(not_in)?;
    let response = Redirect::to(url.as_str()).into_response();
    Ok(keep(response, &kept, limits::OIDC_WAIT.as_secs(), &caller))
}

/// `GET /v1/session/oidc/callback?code=…&state=…`: as the provider sends the browser back. The answer is a small page: a
/// redirect would still belong to the provider's navigation, and the session's cookie is not sent with that.
pub(super) async fn end(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let config = state.config.load_full();
    let rules = config.http.oidc.as_ref().ok_or_else(none)?;
    // Providers add parameters of their own.
    let pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let (mut code, mut given, mut error, mut issuer) = (None, None, None, None);
    for (key, value) in pairs.take(limits::CONSOLE_PARAMETERS) {
        match &*key {
            "code" => code = Some(value.into_owned()),
            "state" => given = Some(value.into_owned()),
            "error" | "error_description" => {
                error = Some(value.chars().filter(|c| !c.is_control()).take(200).collect())
            }
            "iss" => issuer = Some(value.into_owned()),
            _ => {}
        }
    }
    if let Some(error) = error {
        let error: String = error;
        return Err(Problem::forbidden("provider_failed", format!("The identity provider says: {error}")));
    }
    let kept = cookies(request.headers()).find(|(name, _)| *name == STATE).map(|(_, value)| value.to_owned());
    let same = |kept: &String, given: &String| bool::from(kept.as_bytes().ct_eq(given.as_bytes()));
    // RFC 9207: whose answer it is, where the provider says so.
    let is_theirs = issuer.is_none_or(|issuer| issuer == rules.issuer);
    let (Some(code), Some(kept), true) =
        (code, kept.zip(given).filter(|(kept, given)| same(kept, given)).map(|(kept, _)| kept), is_theirs)
    else {
        let detail = "This sign-in was not begun in this browser, or it took too long; begin again.";
        return Err(Problem::bad_request("unexpected_sign_in", detail));
    };
    let signed_in = state.people.sign_in_elsewhere(rules, (&kept, code), caller.address).await;
    let (cookie, next) = signed_in.map_err(not_in)?;
    if let Some(before) = caller.session {
        state.people.end_session(&before);
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content={ "0;url=" (next) };
                title { "Leaseline" }
            }
            body { p { a href=(next) { "Leaseline" } } }
        }
    };
    let response = keep(page.into_response(), "", 0, &caller);
    Ok(with_cookie(response, &cookie, config.http.session_max.as_secs(), &caller))
}

fn none() -> Problem {
    Problem::not_found("no_provider", "No identity provider is configured; sign in with name and password.")
}

/// `Lax`: the browser comes back from another site, and must bring it.
fn keep(mut response: Response, value: &str, seconds: u64, caller: &Caller) -> Response {
    let secure = if caller.secure { "; Secure" } else { "" };
    let cookie = format!("{STATE}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
