//! Leads: forms, chats, whatever is no call. They share the visitor's identity, so they are counted to the same source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::access::{self, Caller};
use super::problem::Problem;
use super::work::{line, new_id};
use super::{AppState, body, leases, visitor};
use crate::core::event::Session;
use crate::core::event::work::{LeadData, WorkEvent};
use crate::core::lease::is_visitor_id;
use crate::core::rights::Right;
use crate::core::source::completed;
use crate::limits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeadBody {
    #[serde(default)]
    site: Option<String>,
    /// Of programs, when no site is known.
    #[serde(default)]
    company: Option<String>,
    /// The sender's own: the same one again is the same lead.
    #[serde(default)]
    lead_id: Option<String>,
    #[serde(default = "form")]
    kind: String,
    #[serde(default)]
    visitor_id: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    consent: bool,
    #[serde(default)]
    session: Option<Session>,
    /// How long ago the visit, and with it its click ids, began.
    #[serde(default)]
    age_ms: u64,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

fn form() -> String {
    "form".to_owned()
}

/// `POST /v1/leads`: 201.
pub(super) async fn receive(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    leases::within(&state.lease_rate, &caller)?;
    let headers = request.headers().clone();
    let lead: LeadBody = body::read(request).await?;
    let (company, site) = whose(&state, &caller, lead.site, lead.company)?;
    // A program speaks for a visitor; a page is the visitor's.
    let cookie = caller.origin.as_ref().and_then(|_| visitor::known(&headers));
    let visitor_id = lead.visitor_id.filter(|id| is_visitor_id(id)).or(cookie);
    let phone =
        lead.phone.map(|phone| line("phone", &phone, limits::LABEL)).transpose()?.filter(|text| !text.is_empty());
    let phone = phone.map(|text| state.phone(&company, &text).map_or(text, |number| number.to_string()));
    let email = lead.email.map(|email| line("email", &email, 254)).transpose()?.filter(|text| !text.is_empty());
    if email.as_ref().is_some_and(|email| !email.contains('@')) {
        return Err(body::bad_parameter("email", "an e-mail address"));
    }
    let name = lead.name.map(|name| line("name", &name, 200)).transpose()?.filter(|text| !text.is_empty());
    if visitor_id.is_none() && phone.is_none() && email.is_none() {
        let detail = "Send at least one of `visitor_id`, `phone` and `email`: else it is nobody's lead.";
        return Err(Problem::bad_request("nobodys_lead", detail));
    }
    if lead.fields.len() > limits::LEAD_FIELDS
        || lead.fields.iter().any(|(name, text)| name.len() > limits::LABEL || text.len() > limits::LEAD_FIELD)
    {
        let wanted = format!("at most {} fields of {} bytes", limits::LEAD_FIELDS, limits::LEAD_FIELD);
        return Err(body::bad_parameter("fields", &wanted));
    }
    // An id of a page's own choosing could replace somebody else's lead.
    let given = lead.lead_id.filter(|_| caller.authorised).map(|id| line("lead_id", &id, limits::LABEL)).transpose()?;
    let lead_id = match given.filter(|id| !id.is_empty()) {
        Some(id) => format!("{company}:{id}"),
        None => new_id()?,
    };
    let session = lead.session.unwrap_or_default();
    let age = Duration::from_millis(lead.age_ms).min(limits::VISIT_AGE);
    let clicked_at = (!session.click_ids.is_empty()).then(|| state.allocator.now().wall - age);
    let data = LeadData {
        lead_id: lead_id.clone(),
        kind: line("kind", &lead.kind, limits::LABEL)?,
        company,
        site,
        visitor_id: visitor_id.clone(),
        phone,
        email,
        name,
        consent: lead.consent,
        session: Arc::new(completed(Session { clicked_at, ..session })),
        fields: lead.fields,
    };
    state.told(WorkEvent::LeadReceived(Box::new(data))).await?;
    Ok((StatusCode::CREATED, Json(json!({ "lead_id": lead_id, "visitor_id": visitor_id }))).into_response())
}

/// Company and site of a lead: a page speaks for its own site only.
fn whose(
    state: &AppState,
    caller: &Caller,
    site: Option<String>,
    company: Option<String>,
) -> Result<(String, String), Problem> {
    let config = state.config.load();
    let Some(site) = site else {
        let company =
            company.filter(|_| caller.authorised).ok_or_else(|| body::bad_parameter("site", "the site's name"))?;
        return Ok((state.company(caller, Right::Leads, &company)?.name, String::new()));
    };
    if !access::origin_fits(&config, &site, caller, Right::Leads, state.demo.is_some()) {
        return Err(Problem::forbidden("origin_not_allowed", "This page is not one of the site's `origins`."));
    }
    let known = config.sites.iter().find(|known| known.name == site);
    let of = known.ok_or_else(|| Problem::not_found("unknown_site", "No site of this name is configured."))?;
    if company.is_some_and(|company| company != of.company) {
        return Err(body::bad_parameter("company", "the site's own, or absent"));
    }
    Ok((of.company.clone(), site))
}
