//! The trunks of the configuration, how their registrations stand and whether they answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::AppState;
use crate::config::{Source, Trunk};

/// `GET /v1/trunks`.
pub(super) async fn list(State(state): State<Arc<AppState>>) -> Json<Value> {
    let config = state.config.load();
    let row = |trunk: &Arc<Trunk>| {
        let registration = trunk.register.as_ref().map(|register| {
            let now = state.live.trunk(&trunk.name);
            json!({
                "registrar": register.registrar,
                "state": now.as_ref().map_or("registering", |now| now.state),
                "registered": now.as_ref().is_some_and(|now| now.registered),
                "expires_at": now.as_ref().and_then(|now| now.expires_at),
                "last_error": now.as_ref().and_then(|now| now.last_error),
            })
        });
        let probe = trunk.probe.map(|_| {
            let now = state.live.probe(&trunk.name);
            let rtt = now.as_ref().and_then(|now| now.rtt);
            json!({
                "state": now.as_ref().map_or("unknown", |now| now.state),
                "last_change": now.as_ref().and_then(|now| now.last_change),
                "last_error": now.as_ref().and_then(|now| now.last_error),
                "rtt_ms": rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
            })
        });
        json!({
            "name": trunk.name,
            "match": trunk.sources.iter().map(source).collect::<Vec<_>>(),
            "address": trunk.address,
            "registration": registration,
            "probe": probe,
        })
    };
    Json(json!({ "trunks": config.trunks.iter().map(row).collect::<Vec<_>>() }))
}

/// As `match` writes it.
pub(super) fn source(source: &Source) -> String {
    match source {
        Source::Network(net) => net.to_string(),
        Source::Address(address) => address.to_string(),
        Source::Tls(name) => format!("tls:{name}"),
    }
}
