//! Users: who there is, and what they may. Nobody gives or takes more than they have.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::problem::Problem;
use super::{AppState, body};
use crate::config::Config;
use crate::core::rights::Grant;
use crate::io::clock;
use crate::io::people::store::UserRecord;
use crate::io::people::{Asks, Denied, NewUser, UserChange, secret};

/// `GET /v1/users`: those whose rights the caller has, too.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [] = body::query(&request, [])?;
    let loaded = state.people.now(clock::mono());
    let seen = loaded.book.users.iter().filter(|user| caller.rights.covers(&user.rights()));
    Ok(Json(json!({ "users": seen.map(row).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    name: String,
    roles: Vec<String>,
    #[serde(default)]
    password: Option<String>,
}

/// `POST /v1/users`: 201. Without a password the answer has a one-time link with which they choose it.
pub(super) async fn add(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let AddBody { name, roles, password } = body::read(request).await?;
    let link = make(&state, &caller, &name, roles, password).await?;
    let loaded = state.people.now(clock::mono());
    let added = loaded.user(&name.trim().to_lowercase()).map(|(user, _)| row(user)).unwrap_or_default();
    Ok((StatusCode::CREATED, Json(with_link(added, link))).into_response())
}

/// Adds a user. Gives the text of a one-time link when there is no password.
pub(super) async fn make(
    state: &Arc<AppState>,
    caller: &Caller,
    name: &str,
    roles: Vec<String>,
    password: Option<String>,
) -> Result<Option<String>, Problem> {
    let config = state.config.load_full();
    companies_exist(&config, &roles)?;
    if config.http.users.iter().any(|user| *user.name == *name.trim().to_lowercase()) {
        return Err(denied(Denied::Taken));
    }
    let password = match password {
        None => None,
        Some(password) => Some(hash(password, name.to_owned()).await?),
    };
    let (people, asking) = (Arc::clone(&state.people), caller.clone());
    let new = NewUser { name: name.to_owned(), roles, password, oidc: None };
    blocking(move || people.add(&asks(&asking), new)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    disabled: Option<bool>,
    /// A link with which they choose a new password; all their sessions end.
    #[serde(default)]
    reset: bool,
    /// Takes their second factor away: the phone is lost.
    #[serde(default)]
    totp_off: bool,
    /// Signs them out everywhere.
    #[serde(default)]
    sign_out: bool,
}

/// `PATCH /v1/users/{name}`.
pub(super) async fn change(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let name = named(name)?;
    let ChangeBody { roles, disabled, reset, totp_off, sign_out } = body::read(request).await?;
    let change =
        UserChange { roles, disabled, totp_off, end_sessions: sign_out || reset, link: reset, ..UserChange::default() };
    let link = apply(&state, &caller, &name, change).await?;
    let loaded = state.people.now(clock::mono());
    let user = loaded.book.users.iter().find(|user| user.name == name).map(row).unwrap_or_default();
    Ok(Json(with_link(user, link)))
}

/// Changes a user whom the caller may know of. Gives the text of the link, when one is wanted.
pub(super) async fn apply(
    state: &Arc<AppState>,
    caller: &Caller,
    name: &str,
    change: UserChange,
) -> Result<Option<String>, Problem> {
    if let Some(roles) = &change.roles {
        companies_exist(&state.config.load(), roles)?;
    }
    seen(state, caller, name)?;
    let (people, asking, who) = (Arc::clone(&state.people), caller.clone(), name.to_owned());
    blocking(move || people.change(&asks(&asking), &who, change)).await
}

/// `DELETE /v1/users/{name}`.
pub(super) async fn remove(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let name = named(name)?;
    take_away(&state, &caller, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user whom the caller may know of.
pub(super) async fn take_away(state: &Arc<AppState>, caller: &Caller, name: String) -> Result<(), Problem> {
    seen(state, caller, &name)?;
    let (people, asking) = (Arc::clone(&state.people), caller.clone());
    blocking(move || people.remove(&asks(&asking), &name)).await
}

/// Who asks, as changes want to know it.
pub(super) fn asks(caller: &Caller) -> Asks<'_> {
    Asks { name: &caller.name, rights: &caller.rights, address: caller.address.to_string() }
}

/// Hash of a new password, or why it will not do.
pub(super) async fn hash(password: String, name: String) -> Result<String, Problem> {
    if let Some(why) = secret::too_weak(&password, &name) {
        return Err(Problem::bad_request("weak_password", why));
    }
    let hashed = tokio::task::spawn_blocking(move || secret::hashed(&password)).await;
    hashed.ok().flatten().ok_or_else(|| Problem::internal("no_hash", &"a password could not be hashed"))
}

/// Does a change where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Denied> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal("change_failed", &error))?;
    done.map_err(denied)
}

pub(super) fn denied(denied: Denied) -> Problem {
    match denied {
        Denied::Unknown => Problem::not_found("not_found", "There is none of this name."),
        Denied::Taken => Problem::new(StatusCode::CONFLICT, "name_taken", "There is one of this name already."),
        Denied::TooMuch => {
            Problem::forbidden("not_yours_to_give", "Nobody gives, changes or takes away rights that they do not have.")
        }
        Denied::Bad(why) => Problem::bad_request("bad_field", why),
        Denied::LastOwner => {
            Problem::new(StatusCode::CONFLICT, "last_owner", "Somebody must stay an owner; make another one first.")
        }
        Denied::Full => Problem::new(StatusCode::CONFLICT, "too_many", "There are as many as there can be."),
        Denied::Journal => Problem::unavailable("journal_full", "The journal cannot write this down; try again.", 10),
        Denied::Io(error) => Problem::internal("users_file", &error),
    }
}

pub(super) fn companies_exist(config: &Config, roles: &[String]) -> Result<(), Problem> {
    let grants = roles.iter().filter_map(|role| role.parse::<Grant>().ok()).filter_map(|grant| grant.company);
    let unknown = grants.into_iter().find(|company| config.companies.iter().all(|known| known.name != **company));
    match unknown {
        None => Ok(()),
        Some(company) => Err(unknown_company(&company)),
    }
}

pub(super) fn unknown_company(name: &str) -> Problem {
    Problem::bad_request("unknown_company", format!("No company `{}` is configured.", name.escape_debug()))
}

/// Whether the caller may know of this user at all.
fn seen(state: &AppState, caller: &Caller, name: &str) -> Result<(), Problem> {
    let loaded = state.people.now(clock::mono());
    let user = loaded.book.users.iter().find(|user| user.name == name);
    match user.is_some_and(|user| caller.rights.covers(&user.rights())) {
        true => Ok(()),
        false => Err(denied(Denied::Unknown)),
    }
}

fn named(name: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    name.ok().map(|Path(name)| name).ok_or_else(|| denied(Denied::Unknown))
}

fn row(user: &UserRecord) -> Value {
    json!({
        "name": user.name,
        "roles": user.roles,
        "disabled": user.disabled,
        "totp": user.totp.is_some(),
        "password": user.password.is_some(),
        "oidc": user.oidc.is_some(),
        "created_at": user.created_at,
    })
}

fn with_link(mut row: Value, link: Option<String>) -> Value {
    if let Some(link) = link {
        row["link"] = format!("/setup#{link}").into();
    }
    row
}
