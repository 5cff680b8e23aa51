//! Of events: who was calling, and the visit behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::LeaseId;
use crate::time::Wall;

/// The visit that a number was shown to: what the page said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_page: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// `source`, `medium`, `campaign`, `term`, `content` and whatever else the page had.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub utm: BTreeMap<String, String>,
    /// `gclid`, `yclid`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub click_ids: BTreeMap<String, String>,
    /// `ga`, `ym`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_ids: BTreeMap<String, String>,
    /// `page` (where the visitor is now), `screen`, `time_zone`, `consent` and whatever else the page said of itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client: BTreeMap<String, String>,
    /// When the click ids were first seen, by our clock: advertising systems want the time of the click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicked_at: Option<Wall>,
}

/// The same visit, whenever it was told: each telling reckons `clicked_at` anew, a few milliseconds off.
impl PartialEq for Session {
    fn eq(&self, other: &Session) -> bool {
        let Session { landing_page, referrer, utm, click_ids, client_ids, client, clicked_at: _ } = other;
        self.landing_page == *landing_page
            && self.referrer == *referrer
            && self.utm == *utm
            && self.click_ids == *click_ids
            && self.client_ids == *client_ids
            && self.client == *client
    }
}

impl Eq for Session {}

/// What the attribution speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributionKind {
    /// A website visitor, by lease.
    Visitor,
    /// A channel that owns the number.
    Static,
    /// Nobody is known.
    #[default]
    None,
}

/// Who is calling, and how sure we are. Decided once, at the INVITE, and pinned to the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    pub kind: AttributionKind,
    /// `active_lease`, `last_holder`, `known_caller`, `static_channel`; `nobody` when it is likelier that no visitor is
    /// calling, `none` when none is known.
    pub method: String,
    /// 0 to 1.
    pub confidence: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_id: Option<LeaseId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub visitor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<Arc<Session>>,
    /// Channel of a static pool: `source`, `medium`, `campaign`, ….
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel: Option<Arc<BTreeMap<String, String>>>,
    /// The lease table was out of step with its allocator when we looked.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub stale: bool,
    /// Version of the model that decided.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub model: String,
    /// Probability that no visitor we know of is calling.
    #[serde(skip_serializing_if = "is_nil", default)]
    pub nobody: f64,
    /// How many visitors had the number on their pages.
    #[serde(skip_serializing_if = "is_none_of", default)]
    pub contention: u32,
    /// Where the caller's number is from: ISO 3166-2, or ISO 3166-1 when no more is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller_region: Option<String>,
    /// The candidates by where they came from, the likeliest first: often sure where the visitor is not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<SourceShare>,
    pub candidates: Vec<Candidate>,
}

/// How probable it is that the caller came from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceShare {
    pub source: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub medium: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub campaign: String,
    pub probability: f64,
}

fn is_none_of(count: &u32) -> bool {
    *count == 0
}

fn is_nil(probability: &f64) -> bool {
    *probability == 0.0
}

/// One who may be calling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub visitor_id: String,
    pub probability: f64,
    pub evidence: Vec<String>,
}
