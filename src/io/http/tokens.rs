//! API tokens: for programs, with the rights they need and no more. Shown once; what is kept is a hash.

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
use super::users::{asks, blocking, denied, unknown_company};
use super::{AppState, body};
use crate::io::clock;
use crate::io::people::store::TokenRecord;
use crate::io::people::{Denied, NewToken};
use crate::time::Wall;

/// `GET /v1/tokens`: those whose rights the caller has, too.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let [] = body::query(&request, [])?;
    let loaded = state.people.now(clock::mono());
    let seen = loaded.book.tokens.iter().filter(|token| caller.rights.covers(&token.rights()));
    Ok(Json(json!({ "tokens": seen.map(row).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    name: String,
    scopes: Vec<String>,
    /// Empty: all.
    #[serde(default)]
    companies: Vec<String>,
    #[serde(default)]
    expires_at: Option<Wall>,
}

/// `POST /v1/tokens`: 201 with the token, which nobody can read again.
pub(super) async fn add(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let AddBody { name, scopes, companies, expires_at } = body::read(request).await?;
    let (record, token) = make(&state, &caller, NewToken { name, scopes, companies, expires_at }).await?;
    let mut shown = row(&record);
    shown["token"] = token.into();
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// Makes a token: what is kept of it, and the token itself.
pub(super) async fn make(
    state: &Arc<AppState>,
    caller: &Caller,
    new: NewToken,
) -> Result<(TokenRecord, String), Problem> {
    let config = state.config.load_full();
    let known = |name: &&String| config.companies.iter().all(|known| known.name != **name);
    if let Some(unknown) = new.companies.iter().find(known) {
        return Err(unknown_company(unknown));
    }
    let (people, asking) = (Arc::clone(&state.people), caller.clone());
    blocking(move || people.add_token(&asks(&asking), new)).await
}

/// `DELETE /v1/tokens/{id}`: it is good for nothing from now on.
pub(super) async fn remove(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Ok(Path(id)) = id else { return Err(denied(Denied::Unknown)) };
    revoke(&state, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a token away.
pub(super) async fn revoke(state: &Arc<AppState>, caller: &Caller, id: String) -> Result<(), Problem> {
    let (people, asking) = (Arc::clone(&state.people), caller.clone());
    blocking(move || people.remove_token(&asks(&asking), &id)).await
}

fn row(token: &TokenRecord) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "companies": token.companies,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
    })
}
