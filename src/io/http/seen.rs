//! Pages tell of numbers of ours that no lease put there: a saved page, a cache, an advertisement.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::access::{self, Caller};
use super::problem::Problem;
use super::{AppState, body, leases};
use crate::config::PoolKind;
use crate::core::number;
use crate::core::rights::Right;
use crate::limits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenBody {
    site: String,
    /// As the page shows it.
    number: String,
    #[serde(default)]
    page: Option<String>,
}

/// `POST /v1/numbers/seen`: 204, whether the number is one of the site's pools or not.
pub(super) async fn seen(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<StatusCode, Problem> {
    leases::within(&state.lease_rate, &caller)?;
    let SeenBody { site, number: shown, page } = body::read(request).await?;
    let config = state.config.load();
    if !access::origin_fits(&config, &site, &caller, Right::Lease, state.demo.is_some()) {
        return Err(Problem::forbidden("origin_not_allowed", "This page is not one of the site's `origins`."));
    }
    let mut pools =
        config.pools.iter().filter(|pool| pool.kind == PoolKind::Dynamic && pool.site.as_ref() == Some(&site));
    let found = pools.find_map(|pool| {
        let country = pool.numbers.first().and_then(number::region);
        let number = number::normalise(&shown, country.as_deref(), "")?;
        pool.numbers.contains(&number).then_some(number)
    });
    if let Some(number) = found {
        let page = page.map(|page| page.chars().filter(|c| !c.is_control()).take(limits::SEEN_PAGE).collect());
        state.keeper.seen_as_static(&state.journal, &number, page);
    }
    Ok(StatusCode::NO_CONTENT)
}
