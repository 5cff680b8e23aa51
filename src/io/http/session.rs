//! Signing in and out, and one's own account: password and second factor.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access::{self, COOKIE, Caller, cookies};
use super::problem::Problem;
use super::users::{self, blocking};
use super::{AppState, body};
use crate::config;
use crate::core::session::{Holder, SessionKey};
use crate::io::clock;
use crate::io::people::oidc::OidcError;
use crate::io::people::store::TotpRecord;
use crate::io::people::{NotIn, UserChange, secret, session_key};

/// `GET /v1/session`: who is asking, what they may, and how one signs in here.
pub(super) async fn show(State(state): State<Arc<AppState>>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let config = state.config.load();
    let loaded = state.people.now(clock::mono());
    let rights: Map<String, Value> =
        caller.rights.listed().into_iter().map(|(right, of)| (right.as_str().to_owned(), json!(of))).collect();
    let user = caller.authorised.then(|| loaded.user(&caller.name)).flatten();
    Json(json!({
        "authorised": caller.authorised,
        "token_required": !access::is_open(&state, &config.http),
        "name": caller.authorised.then_some(&*caller.name),
        "rights": rights,
        "numbers": caller.authorised && caller.rights.shows_numbers(),
        "account": user.map(|(user, _)| json!({
            "roles": user.roles,
            "totp": user.totp.is_some(),
            "recovery_codes": user.totp.as_ref().map_or(0, |totp| totp.recovery.len()),
            "password": user.password.is_some(),
        })),
        "users": !loaded.book.users.is_empty(),
        "identity_provider": config.http.oidc.as_ref().map(config::Oidc::title),
        "node": if caller.authorised { json!(config.node.id) } else { Value::Null },
        "demo": state.demo.is_some(),
    }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SignIn {
    user: String,
    password: String,
    /// Of the second factor, or a recovery code.
    code: Option<String>,
}

/// `POST /v1/session`, with name and password, or with a token of the configuration as bearer: the browser gets a cookie.
/// Whatever session the browser had before is over: nobody can have laid one under it.
pub(super) async fn sign_in(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let config = state.config.load_full();
    let has_bearer = request.headers().contains_key(header::AUTHORIZATION);
    let before: Option<SessionKey> = session_of(request.headers());
    let cookie = if has_bearer {
        let token = access::token_of(&config.http, &caller.name).filter(|_| caller.authorised);
        let Some(token) = token else {
            return Err(wrong_token(&state, &caller));
        };
        let holder = Holder::Token { name: Arc::clone(&caller.name), token: access::digest(&token) };
        state.people.begin_any(holder, "token", caller.address).map_err(not_in)?
    } else {
        let SignIn { user, password, code } = body::read(request).await?;
        if user.is_empty() && access::is_open(&state, &config.http) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        state.people.sign_in(&user, password, code, caller.address).await.map_err(not_in)?
    };
    if let Some(before) = before {
        state.people.end_session(&before);
    }
    Ok(signed(&state, StatusCode::NO_CONTENT.into_response(), &cookie, &caller))
}

/// A token of the configuration, as somebody typed it. Gives what the cookie holds.
pub(super) fn by_token(state: &AppState, caller: &Caller, given: &str) -> Result<String, Problem> {
    state.people.token_attempt(caller.address).map_err(|seconds| not_in(NotIn::Wait(seconds)))?;
    let http = &state.config.load().http;
    let name = access::name_of(http, given).ok_or_else(|| wrong_token(state, caller))?;
    let holder = Holder::Token { name, token: access::digest(given) };
    state.people.begin_any(holder, "token", caller.address).map_err(not_in)
}

fn wrong_token(state: &AppState, caller: &Caller) -> Problem {
    state.people.refused("", "bad_credentials", caller.address);
    let detail = "This is neither the configuration's http.token nor a user's.";
    Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", detail)
}

/// `DELETE /v1/session[?everywhere=true]`.
pub(super) async fn sign_out(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let [everywhere] = body::query(&request, ["everywhere"])?;
    if let Some(key) = session_of(request.headers()).or(caller.session) {
        state.people.end_session(&key);
    }
    if everywhere.as_deref() == Some("true") && caller.session.is_some() {
        end_all(&state, &caller).await?;
    }
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), "", 0, &caller))
}

/// Signs the caller out everywhere.
pub(super) async fn end_all(state: &Arc<AppState>, caller: &Caller) -> Result<(), Problem> {
    state.people.end_sessions(&caller.name);
    if state.people.now(clock::mono()).user(&caller.name).is_some() {
        change(state, caller, UserChange { end_sessions: true, ..UserChange::default() }).await?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current: String,
    new: String,
}

/// `POST /v1/session/password`: all other sessions end, and this one goes on under another id.
pub(super) async fn new_password(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    own(&state, &caller)?;
    let NewPassword { current, new } = body::read(request).await?;
    let cookie = set_password(&state, &caller, current, new).await?;
    Ok(signed(&state, StatusCode::NO_CONTENT.into_response(), &cookie, &caller))
}

/// Changes one's own password. Gives what the cookie of the new session holds.
pub(super) async fn set_password(
    state: &Arc<AppState>,
    caller: &Caller,
    current: String,
    new: String,
) -> Result<String, Problem> {
    own(state, caller)?;
    password_fits(state, caller, current).await?;
    let hash = users::hash(new, caller.name.to_string()).await?;
    change(state, caller, UserChange { password: Some(hash), ..UserChange::default() }).await?;
    state.people.end_sessions(&caller.name);
    state.people.begin_session(&caller.name, "password", caller.address).map_err(not_in)
}

/// `POST /v1/session/totp`: a secret for an authenticator, as text, as address and as picture. Nothing is changed until a
/// code confirms it.
pub(super) async fn offer_totp(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let Offer { secret, url, svg } = new_totp(&state, &caller)?;
    Ok(Json(json!({ "secret": secret, "url": url, "svg": svg })))
}

/// A secret that waits for its first code.
pub(super) struct Offer {
    pub secret: String,
    /// `otpauth://totp/…`
    pub url: String,
    pub svg: Option<String>,
}

/// Makes a secret, and keeps it with the session until it is confirmed.
pub(super) fn new_totp(state: &AppState, caller: &Caller) -> Result<Offer, Problem> {
    let key = own(state, caller)?;
    let failed = || Problem::internal("no_randomness", &"a secret could not be made");
    let secret = secret::totp_secret().ok_or_else(failed)?;
    let offer = shown_totp(state, caller, secret.clone()).ok_or_else(failed)?;
    state.people.offer(&key, secret);
    Ok(offer)
}

/// The secret that the session was offered and has not confirmed.
pub(super) fn offered_totp(state: &AppState, caller: &Caller) -> Option<Offer> {
    let secret = state.people.offered(&caller.session?).filter(|secret| !secret.is_empty())?;
    shown_totp(state, caller, secret)
}

fn shown_totp(state: &AppState, caller: &Caller, secret: String) -> Option<Offer> {
    let url = secret::totp_url(&secret, &caller.name, &state.config.load().node.id)?;
    Some(Offer { svg: secret::picture(&url), secret, url })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// `PUT /v1/session/totp`: a code of the secret that was shown; answers the recovery codes, once.
pub(super) async fn confirm_totp(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    own(&state, &caller)?;
    let Code { code } = body::read(request).await?;
    let codes = totp_on(&state, &caller, &code).await?;
    Ok(Json(json!({ "recovery_codes": codes })))
}

/// Takes the offered secret into use, when the code is one of it. Gives the recovery codes.
pub(super) async fn totp_on(state: &Arc<AppState>, caller: &Caller, code: &str) -> Result<Vec<String>, Problem> {
    let key = own(state, caller)?;
    let secret = state.people.offered(&key).filter(|secret| !secret.is_empty()).ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "no_secret_shown", "Ask for a secret first: POST /v1/session/totp.")
    })?;
    let Some(last_step) = secret::totp_step(&secret, code, clock::wall().seconds()) else {
        return Err(Problem::bad_request("bad_code", "This is not the code of now; is the phone's clock right?"));
    };
    let (codes, recovery) =
        secret::recovery_codes().ok_or_else(|| Problem::internal("no_randomness", &"no recovery codes"))?;
    let totp = Some(TotpRecord { secret, last_step, recovery });
    change(state, caller, UserChange { totp, ..UserChange::default() }).await?;
    state.people.offer(&key, String::new());
    Ok(codes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    password: String,
}

/// `DELETE /v1/session/totp`, with the password once more.
pub(super) async fn drop_totp(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    own(&state, &caller)?;
    let Password { password } = body::read(request).await?;
    let cookie = totp_off(&state, &caller, password).await?;
    Ok(signed(&state, StatusCode::NO_CONTENT.into_response(), &cookie, &caller))
}

/// Takes one's own second factor away. Gives what the cookie of the new session holds.
pub(super) async fn totp_off(state: &Arc<AppState>, caller: &Caller, password: String) -> Result<String, Problem> {
    own(state, caller)?;
    password_fits(state, caller, password).await?;
    change(state, caller, UserChange { totp_off: true, ..UserChange::default() }).await?;
    state.people.begin_session(&caller.name, "password", caller.address).map_err(not_in)
}

/// An answer to somebody who has just signed in.
pub(super) fn signed(state: &AppState, response: Response, cookie: &str, caller: &Caller) -> Response {
    let age = state.config.load().http.session_max.as_secs();
    with_cookie(response, cookie, age, caller)
}

/// An answer that sets the console's cookie; without a value it takes it away.
pub(super) fn with_cookie(mut response: Response, value: &str, seconds: u64, caller: &Caller) -> Response {
    let secure = if caller.secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn not_in(why: NotIn) -> Problem {
    let unauthorised = |code, detail: &str| Problem::new(StatusCode::UNAUTHORIZED, code, detail);
    match why {
        NotIn::Wait(seconds) => Problem {
            retry_after: Some(seconds),
            ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "Too many attempts; wait and try again.")
        },
        NotIn::Credentials => unauthorised("bad_credentials", "Name or password is wrong."),
        NotIn::CodeWanted => unauthorised("code_required", "Send the code of the authenticator, too."),
        NotIn::Code => unauthorised("bad_code", "This code is wrong, or was used before."),
        NotIn::NoRole => Problem::forbidden(
            "no_role",
            "The identity provider knows you, and nobody has given you a role here; ask whoever runs this node.",
        ),
        NotIn::Provider(error @ OidcError::Provider(_)) => {
            Problem::new(StatusCode::BAD_GATEWAY, "provider_failed", error.to_string())
        }
        NotIn::Provider(error) => Problem::forbidden("provider_failed", error.to_string()),
        NotIn::Late => unauthorised("sign_in_expired", "This took too long; begin again with name and password."),
        NotIn::Failed(why) => Problem::internal("sign_in_failed", &why),
    }
}

/// The session of a user with an account: tokens have no password to change.
fn own(state: &AppState, caller: &Caller) -> Result<SessionKey, Problem> {
    let has_account = state.people.now(clock::mono()).user(&caller.name).is_some();
    caller.session.filter(|_| has_account).ok_or_else(|| {
        Problem::forbidden("no_account", "Sign in with name and password: a token has no account of its own.")
    })
}

async fn password_fits(state: &AppState, caller: &Caller, password: String) -> Result<(), Problem> {
    match state.people.is_password(&caller.name, password).await.map_err(not_in)? {
        true => Ok(()),
        false => Err(Problem::forbidden("bad_credentials", "The current password is another one.")),
    }
}

async fn change(state: &Arc<AppState>, caller: &Caller, change: UserChange) -> Result<Option<String>, Problem> {
    let (people, caller) = (Arc::clone(&state.people), caller.clone());
    blocking(move || people.change(&users::asks(&caller), &caller.name, change)).await
}

/// The session whose cookie comes with this, whether it is one of ours or not.
pub(super) fn session_of(headers: &HeaderMap) -> Option<SessionKey> {
    cookies(headers).filter(|(name, _)| *name == COOKIE).find_map(|(_, value)| session_key(value))
}
