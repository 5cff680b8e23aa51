//! Visitors who are one person: joined by a link that they followed, by a user of the site, or by hand; and parted again.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::access::Caller;
use super::calls::{scope, unanswered};
use super::problem::Problem;
use super::{AppState, body};
use crate::core::event::work::{IdentifiedData, JoinData, WorkEvent};
use crate::core::lease::is_visitor_id;
use crate::core::rights::Right;
use crate::io::index::report::{self, Timeline};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    other_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteUser {
    user_id: String,
}

/// Bytes of a site's name for a user: as many as an e-mail address has at most (RFC 5321, 4.5.3.1).
const USER_ID: usize = 254;

/// `POST /v1/visitors/{id}/identify`: this visitor signed in to the site as this user, says the site's own server. All
/// visitors of one user are one person. 204.
pub(super) async fn identify(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let SiteUser { user_id } = body::read(request).await?;
    if user_id.trim().is_empty() || user_id.len() > USER_ID {
        let wanted = format!("the site's name for the user, at most {USER_ID} bytes");
        return Err(body::bad_parameter("user_id", &wanted));
    }
    let company = state.person(&caller, Right::Leads, &id).await?.company;
    let user = IdentifiedData::key(&company, user_id.trim());
    state.told(WorkEvent::VisitorIdentified(IdentifiedData { company, visitor_id: id, user })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/visitors/{id}/join`: the other one is the same person. 204.
pub(super) async fn join(
    state: State<Arc<AppState>>,
    caller: Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    say(state, caller, id, request, true).await
}

/// `POST /v1/visitors/{id}/part`: it is not. Each has their own history again. 204.
pub(super) async fn part(
    state: State<Arc<AppState>>,
    caller: Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    say(state, caller, id, request, false).await
}

async fn say(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
    together: bool,
) -> Result<StatusCode, Problem> {
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let Other { other_id } = body::read(request).await?;
    let (one, other) =
        (state.person(&caller, Right::Work, &id).await?, state.person(&caller, Right::Work, &other_id).await?);
    if one.company != other.company || id == other_id {
        return Err(body::bad_parameter("other_id", "another visitor of the same company"));
    }
    let pair = |joined: &report::JoinedId| {
        joined.visitor_id == other_id && joined.to == id || joined.visitor_id == id && joined.to == other_id
    };
    if !together && !one.joined.iter().chain(&other.joined).any(pair) {
        let detail = "These two were not joined to each other; `joined` of the visitor says who was.";
        return Err(Problem::new(StatusCode::CONFLICT, "not_joined", detail));
    }
    let (company, how, by) = (one.company, "by_hand".to_owned(), caller.name.to_string());
    let data = JoinData { company, visitor_id: id, other_id, how, by };
    let event = if together { WorkEvent::VisitorJoined(data) } else { WorkEvent::VisitorParted(data) };
    state.told(event).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl AppState {
    /// Somebody followed a link of ours from one site to another, where they were known by another id. The lease is given
    /// all the same when the journal takes nothing.
    pub(super) fn joined(&self, site: &str, visitor: &str, before: &str) {
        let config = self.config.load();
        let Some(site) = config.sites.iter().find(|known| known.name == site) else { return };
        let data = JoinData {
            company: site.company.clone(),
            visitor_id: visitor.to_owned(),
            other_id: before.to_owned(),
            how: "link".to_owned(),
            by: "page".to_owned(),
        };
        if self.noted(WorkEvent::VisitorJoined(data)).is_err() {
            tracing::warn!("the journal does not take that two visitors are one");
        }
    }

    /// A visitor of a company in which the caller has this right.
    async fn person(&self, caller: &Caller, right: Right, id: &str) -> Result<Timeline, Problem> {
        let unknown = || Problem::not_found("unknown_visitor", "There is no such visitor.");
        if !is_visitor_id(id) {
            return Err(unknown());
        }
        let (scope, id) = (scope(caller.rights.companies(right)), id.to_owned());
        let found = self.index.ask(move |reader| report::visitor(reader, scope.as_deref(), &id)).await;
        found.map_err(unanswered)?.ok_or_else(unknown)
    }
}
