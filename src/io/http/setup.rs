//! One-time links: the first owner, and everybody who is to choose a password. There is no default password anywhere.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};
use serde::Deserialize;

use super::access::Caller;
use super::problem::Problem;
use super::session::{not_in, with_cookie};
use super::users::{blocking, denied, hash};
use super::{AppState, body};
use crate::io::people::Denied;

/// `GET /setup#LINK`: the page that a link leads to. The link itself stands behind the `#`, so no server's log has it.
pub(super) async fn page() -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { "Choose a password · Leaseline" }
                link rel="icon" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/base.css";
                script type="module" src="/assets/setup.js" {}
            }
            body {
                main {
                    form #setup {
                        h1 { "Choose a password" }
                        p #first hidden {
                            label { "Name " input name="user" autocomplete="username" maxlength="64" autocapitalize="none"; }
                        }
                        p {
                            label {
                                "Password "
                                input name="password" type="password" autocomplete="new-password" minlength="10" required;
                            }
                        }
                        p { "Ten characters or more; a few words are good." }
                        p #said role="alert" {}
                        button { "Go on" }
                    }
                }
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

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
    super::leases::within_address(&state.beat_rate, &caller)?;
    let Follow { link, user, password } = body::read(request).await?;
    let Some(of) = state.people.link_for(&link) else {
        state.people.refused("", "bad_link", caller.address);
        return Err(Problem::not_found("unknown_link", "This link was used, is too old, or never was one."));
    };
    let Some(password) = password else {
        return Ok(axum::Json(serde_json::json!({ "user": of })).into_response());
    };
    let name = of.clone().or(user).unwrap_or_default();
    let hash = hash(password, name.clone()).await?;
    let (people, address) = (Arc::clone(&state.people), caller.address.to_string());
    let name = blocking(move || match people.follow(&link, Some(&name), &hash, address) {
        Err(Denied::Unknown) => Err(Denied::Unknown),
        other => other,
    })
    .await?;
    if state.config.load().http.users.iter().any(|user| *user.name == *name) {
        tracing::warn!(user = name, "a user has the name of one of the configuration");
    }
    let cookie = match state.people.begin_session(&name, "setup", caller.address) {
        Ok(cookie) => cookie,
        // A disabled user's link gives a password, not a way in.
        Err(crate::io::people::NotIn::Credentials) => return Err(denied(Denied::Unknown)),
        Err(other) => return Err(not_in(other)),
    };
    let age = state.config.load().http.session_max.as_secs();
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), &cookie, age, &caller))
}
