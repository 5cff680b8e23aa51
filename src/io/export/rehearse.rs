//! Dry runs: what a destination would be sent of the calls that are known, by the filter as it is or as it might be, and
//! what of that differs from what it was sent. Nothing is counted, here or there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::NoExport;
use super::client::Client;
use super::intake::{needs, told};
use super::store::{Store, StoreError};
use crate::config::Config;
use crate::config::export::{Export, Filter};
use crate::core::event::AttributionKind;
use crate::core::export::plan::Given;
use crate::core::export::talk::{take_token, token_wanted};
use crate::core::export::{Ask, At, Delivery, Destination, Memo, Planned, Step, Wish, destination, plan, shown, wish};
use crate::io::clock;

/// What a dry run is to look at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// Calls, newest first; at most 200.
    pub limit: Option<usize>,
    /// Instead of the filter of the configuration; what is not named stays as it is there.
    pub filter: Option<FilterWanted>,
    /// The destination is asked to validate the first of them, where its contract has a way to ask.
    pub validate: bool,
}

/// A filter as it might be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterWanted {
    pub qualified: Option<bool>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    pub consent: Option<bool>,
    pub labels: Option<Vec<String>>,
    pub not_labels: Option<Vec<String>>,
    pub first_call: Option<bool>,
    pub attribution: Option<Vec<AttributionKind>>,
}

/// What would be.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// Calls that were looked at.
    pub calls: usize,
    /// Those the destination has and would have.
    pub same: usize,
    /// Those it does not have and would get, those whose content changes, those that would be taken back.
    pub added: Vec<Value>,
    pub changed: Vec<Value>,
    pub removed: Vec<Value>,
    /// Those that it neither has nor gets, with the stable code of why.
    pub left_out: Vec<Value>,
    /// What the destination said of the first one, when it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Value>,
}

/// Why there is no dry run.
#[derive(Debug, thiserror::Error)]
pub enum NoRehearsal {
    #[error(transparent)]
    Export(#[from] NoExport),
    /// Advertising and analytics get nobody who did not agree, in a dry run either.
    #[error("consent cannot be left out for this destination")]
    Consent,
}

impl From<StoreError> for NoRehearsal {
    fn from(error: StoreError) -> NoRehearsal {
        NoRehearsal::Export(NoExport::Store(error))
    }
}

/// Most calls of one dry run.
const CALLS_MAX: usize = 200;

pub(super) async fn rehearse(
    export: &Arc<Export>,
    store: &Arc<Store>,
    client: &Client,
    config: &Config,
    wanted: Wanted,
) -> Result<Rehearsal, NoRehearsal> {
    let filter = filter(export, wanted.filter.unwrap_or_default())?;
    let destination = destination(export);
    let now = clock::wall();
    let rows = {
        let (store, max) = (Arc::clone(store), wanted.limit.unwrap_or(50).min(CALLS_MAX));
        let read = tokio::task::spawn_blocking(move || store.calls(max)).await;
        read.map_err(|error| StoreError::Io(std::io::Error::other(error)))??
    };
    let mut rehearsal = Rehearsal {
        calls: rows.len(),
        same: 0,
        added: Vec::new(),
        changed: Vec::new(),
        removed: Vec::new(),
        left_out: Vec::new(),
        validation: None,
    };
    let traits = destination.traits();
    let mut first: Option<Delivery> = None;
    for row in &rows {
        let told = told(config, row);
        let opted_out = store.is_opted_out(&row.call.company, row.call.caller.as_deref())?;
        let wish = wish(&filter, &told, Given { opted_out, needs: needs(&export.kind) }, now);
        // One that the destination has already is as good to ask about as a new one.
        if wish == Wish::Send && first.is_none() && destination.fits(&told, traits.action, now).is_ok() {
            first = plan(&mut Planned::default(), &traits, true, told.clone(), row.seq, now);
        }
        let mut planned = row.planned.clone();
        let delivery = plan(&mut planned, &traits, wish == Wish::Send, told.clone(), row.seq, now);
        let call_id = row.call.call_id;
        let Some(delivery) = delivery else {
            match (&row.planned.has, wish) {
                (Some(_), _) => rehearsal.same += 1,
                (None, Wish::No(why)) => rehearsal.left_out.push(json!({ "call_id": call_id, "reason": why })),
                (None, _) => rehearsal.left_out.push(json!({ "call_id": call_id, "reason": "label_awaited" })),
            }
            continue;
        };
        if let Err(code) = destination.fits(&told, delivery.action, now) {
            rehearsal.left_out.push(json!({ "call_id": call_id, "reason": code }));
            continue;
        }
        let shown = json!({
            "call_id": call_id,
            "action": delivery.action,
            "before": row.planned.has,
            "after": planned.has,
            "request": request(&destination, &delivery),
        });
        match (row.planned.has.is_some(), planned.has.is_some()) {
            (false, _) => rehearsal.added.push(shown),
            (true, true) => rehearsal.changed.push(shown),
            (true, false) => rehearsal.removed.push(shown),
        }
    }
    if let (true, Some(delivery)) = (wanted.validate, first) {
        rehearsal.validation = validate(&*destination, store, client, &delivery).await?;
    }
    Ok(rehearsal)
}

fn filter(export: &Export, wanted: FilterWanted) -> Result<Filter, NoRehearsal> {
    if export.kind.is_advertising() && wanted.consent == Some(false) {
        return Err(NoRehearsal::Consent);
    }
    let old = export.filter.clone();
    Ok(Filter {
        qualified: wanted.qualified.unwrap_or(old.qualified),
        confidence: wanted.confidence.unwrap_or(old.confidence),
        consent: wanted.consent.unwrap_or(old.consent),
        labels: wanted.labels.unwrap_or(old.labels),
        not_labels: wanted.not_labels.unwrap_or(old.not_labels),
        first_call: wanted.first_call.unwrap_or(old.first_call),
        attribution: wanted.attribution.unwrap_or(old.attribution),
        wait: old.wait,
    })
}

/// The first thing that would be asked, without credentials.
fn request(destination: &Arc<dyn Destination>, delivery: &Delivery) -> Value {
    let at = At { now: clock::wall(), token: None };
    let ask = match destination.step(std::slice::from_ref(delivery), &mut Memo::default(), None, &at) {
        Step::Ask(ask) => ask,
        Step::Refused { code, detail } => return json!({ "refused": code, "detail": detail }),
        _ => return Value::Null,
    };
    match *ask {
        Ask::Http(request) => {
            let mut url = request.url.clone();
            url.set_query(None);
            let body = String::from_utf8_lossy(&request.body);
            let body = serde_json::from_str(&body).unwrap_or_else(|_| json!(body));
            // The path of some contracts holds a key: the host says enough.
            json!({ "method": request.method, "host": url.host_str(), "body": body })
        }
        Ask::Mail(letter) => json!({ "subject": letter.subject, "text": letter.text }),
        Ask::File { name, body } => json!({ "file": name, "bytes": body.len() }),
        Ask::Recording(call) => json!({ "recording": call }),
    }
}

async fn validate(
    destination: &dyn Destination,
    store: &Arc<Store>,
    client: &Client,
    delivery: &Delivery,
) -> Result<Option<Value>, NoRehearsal> {
    let now = clock::wall();
    let mut tokens = store.tokens()?;
    if let Some(request) = token_wanted(destination, &mut tokens, now) {
        let answer = client.request(request).await;
        let taken = take_token(&mut tokens, &answer, now);
        store.save_tokens(&tokens)?;
        if let Err(Step::Again { code, .. }) = taken {
            return Ok(Some(json!({ "failed": code })));
        }
    }
    let at = At { now, token: tokens.access.as_deref() };
    let Some(request) = destination.rehearse(std::slice::from_ref(delivery), &at) else { return Ok(None) };
    let answer = client.request(request).await;
    let said = match answer.json() {
        Value::Null => json!(shown(answer.body())),
        said => said,
    };
    Ok(Some(json!({ "status": answer.status(), "answer": said })))
}
