//! One-time links: the first owner, and everybody who is to choose a password. There is no default password anywhere.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::Caller;
use super::problem::Problem;
use super::session::{not_in, signed};
use super::users::{blocking, denied, hash};
use super::{AppState, body};
use crate::io::people::{Denied, NotIn};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    link: String,
    /// Of the first owner.
    #[serde(default)]
    user: Option<String>,
    /// Absent: only asks who the link is for.
    #[serde(default)]
    password: Option<String>,
}

/// `POST /v1/setup`: 204 with the cookie of a session. Without a password, 200: who the link is for.
pub(super) async fn follow(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let Follow { link, user, password } = body::read(request).await?;
    let Some(password) = password else {
        let of = known(&state, &caller, &link)?;
        return Ok(axum::Json(serde_json::json!({ "user": of })).into_response());
    };
    let cookie = take(&state, &caller, &link, user, password).await?;
    Ok(signed(&state, StatusCode::NO_CONTENT.into_response(), &cookie, &caller))
}

/// Who the link is for; `None`: a first owner.
fn known(state: &AppState, caller: &Caller, link: &str) -> Result<Option<String>, Problem> {
    super::leases::within_address(&state.beat_rate, caller)?;
    state.people.link_for(link).ok_or_else(|| {
        state.people.refused("", "bad_link", caller.address);
        Problem::not_found("unknown_link", "This link was used, is too old, or never was one.")
    })
}

/// Follows a link with the password that was chosen. Gives what the cookie of the session holds.
pub(super) async fn take(
    state: &Arc<AppState>,
    caller: &Caller,
    link: &str,
    user: Option<String>,
    password: String,
) -> Result<String, Problem> {
    let name = known(state, caller, link)?.or(user).unwrap_or_default();
    let hash = hash(password, name.clone()).await?;
    let (people, address, link) = (Arc::clone(&state.people), caller.address.to_string(), link.to_owned());
    let name = blocking(move || people.follow(&link, Some(&name), &hash, address)).await?;
    if state.config.load().http.users.iter().any(|user| *user.name == *name) {
        tracing::warn!(user = name, "a user has the name of one of the configuration");
    }
    match state.people.begin_session(&name, "setup", caller.address) {
        Ok(cookie) => Ok(cookie),
        // A disabled user's link gives a password, not a way in.
        Err(NotIn::Credentials) => Err(denied(Denied::Unknown)),
        Err(other) => Err(not_in(other)),
    }
}
