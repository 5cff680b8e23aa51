//! Diversion (RFC 5806): who sent the call on before it came to us.

use serde::{Deserialize, Serialize};

use super::presentable;
use crate::config::Trunk;
use crate::core::number;
use crate::core::route::user_of;
use crate::limits;
use crate::wire::sip::{Message, NameAddr};

/// One who diverted the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// E.164 where it could be read, else the user part; `None` when it is to be withheld.
    pub number: Option<String>,
    /// `user-busy`, `no-answer`, `unconditional`, `deflection`, `time-of-day`, … (RFC 5806 §4).
    pub reason: String,
    /// Diversions that this value stands for.
    pub counter: u32,
    /// Most diversions that this one allows.
    #[serde(skip)]
    pub limit: Option<u32>,
}

/// All values, latest first (RFC 5806 §5.2: the top one).
pub(super) fn read(request: &Message, trunk: &Trunk) -> Vec<Diversion> {
    let values = request.list("Diversion").take(limits::DIVERSIONS + 1);
    values.filter_map(|value| NameAddr::parse(value).ok()).map(|value| one(&value, trunk)).collect()
}

/// Diversions that happened, by the counters.
pub(super) fn total(diversions: &[Diversion]) -> usize {
    diversions.iter().map(|one| usize::try_from(one.counter).unwrap_or(usize::MAX)).fold(0, usize::saturating_add)
}

/// RFC 5806 §5: a diverter said how often the call may be diverted, and ours would be one more.
pub(super) fn limit_reached(diversions: &[Diversion]) -> bool {
    let mut done = 0u32;
    diversions.iter().any(|one| {
        done = done.saturating_add(one.counter);
        one.limit.is_some_and(|limit| done > limit)
    })
}

fn one(value: &NameAddr<'_>, trunk: &Trunk) -> Diversion {
    let hidden = value.param("privacy").is_some_and(|privacy| !privacy.trim_matches('"').eq_ignore_ascii_case("off"));
    let user = user_of(&value.uri).filter(|_| !hidden);
    let number = user.and_then(|user| {
        let read = number::caller(&user, trunk.country.as_deref()).map(|number| number.as_str().to_owned());
        read.or_else(|| presentable(&user))
    });
    let reason = value.param("reason").map(|reason| reason.trim_matches('"')).filter(|reason| is_reason(reason));
    let digits = |name: &str| value.param(name)?.trim_matches('"').parse::<u32>().ok();
    Diversion {
        number,
        reason: reason.unwrap_or("unknown").to_ascii_lowercase(),
        counter: digits("counter").unwrap_or(1).max(1),
        limit: digits("limit"),
    }
}

/// A token, so that it can stand in a header of ours.
fn is_reason(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
