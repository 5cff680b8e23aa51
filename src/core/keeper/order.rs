//! What is asked of a provider of numbers, and what its answer means.
//!
//! An order is `POST`ed as JSON; the header `webhook-id` and the field `order_id` are its idempotency key, the same at
//! every attempt: a provider that knows the key answers what it answered before. Answers:
//!
//! | Answer | Means |
//! |---|---|
//! | 2xx `{"numbers": ["+44…"], "unit_price": "1.20", "currency": "GBP"}` | these are ours now; fewer than asked are fine |
//! | 2xx without numbers, 404, 409, 410 | none left (`no_stock`) |
//! | 202, 425, 429, 503 with `Retry-After` | ask again then, with the same key |
//! | other 4xx, `{"code": "country_not_served"}` | refused, with its code |
//! | 5xx, no answer | ask again, with the same key |

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::money::Money;
use crate::core::event::keeper::OrderedData;
use crate::ids::E164;
use crate::limits;

/// A request to a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub order_id: String,
    pub provider: String,
    pub body: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Numbers {
        numbers: Vec<E164>,
        unit_price: Option<Money>,
        currency: Option<String>,
    },
    /// It has none.
    Empty,
    /// It will not; a stable code, and its words.
    Refused {
        code: String,
        detail: Option<String>,
    },
    /// Not yet: again after so long.
    Later(Duration),
    /// Nobody knows; a stable code.
    Failed(String),
}

/// The body of an order. `country`: of the pool's numbers.
pub(super) fn order(data: &OrderedData, country: Option<String>) -> Value {
    json!({
        "type": "leaseline.numbers.order",
        "order_id": data.order_id,
        "company": data.company,
        "pool": data.pool,
        "count": data.count,
        "country": country,
        "unit_price_max": data.unit_price_max,
        "currency": data.currency,
        "reason": data.reason,
    })
}

/// The body of the request that takes a number back.
pub(super) fn release(order_id: &str, company: &str, pool: &str, number: &E164) -> Value {
    json!({
        "type": "leaseline.numbers.release",
        "order_id": order_id,
        "company": company,
        "pool": pool,
        "numbers": [number],
    })
}

/// Reads an answer. `retry_after`: what the header asks for.
pub fn answer(status: u16, body: &[u8], retry_after: Option<Duration>) -> Answer {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Said {
        numbers: Vec<String>,
        unit_price: Option<Money>,
        currency: Option<String>,
        code: Option<String>,
        detail: Option<String>,
    }
    let said: Result<Said, _> =
        if body.iter().all(u8::is_ascii_whitespace) { Ok(Said::default()) } else { serde_json::from_slice(body) };
    let later = || Answer::Later(retry_after.unwrap_or(LATER).clamp(Duration::from_secs(1), LATER_MAX));
    match (status, said) {
        (202 | 425 | 429, _) => later(),
        (503, _) if retry_after.is_some() => later(),
        (404 | 409 | 410, _) => Answer::Empty,
        (200..=299, Ok(said)) => {
            let numbers: Option<Vec<E164>> = said.numbers.iter().map(|text| E164::parse(text)).collect();
            match numbers {
                Some(numbers) if numbers.is_empty() => Answer::Empty,
                Some(numbers) => Answer::Numbers { numbers, unit_price: said.unit_price, currency: said.currency },
                None => bad("a number is not E.164"),
            }
        }
        (200..=299, Err(error)) => bad(&error.to_string()),
        (400..=499, said) => {
            let said = said.unwrap_or_default();
            let code = said.code.filter(|code| is_code(code)).unwrap_or_else(|| "provider_refused".to_owned());
            let words = |text: String| text.chars().filter(|c| !c.is_control()).take(limits::PROVIDER_WORDS).collect();
            Answer::Refused { code, detail: said.detail.map(words).or(Some(format!("status {status}"))) }
        }
        _ => Answer::Failed(format!("status_{status}")),
    }
}

const LATER: Duration = Duration::from_secs(60);
const LATER_MAX: Duration = Duration::from_secs(6 * 3_600);

fn bad(why: &str) -> Answer {
    Answer::Refused { code: "provider_answer_bad".to_owned(), detail: Some(why.to_owned()) }
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let number = |text| E164::parse(text).expect("a number");
        let refused = |code: &str, detail: &str| Answer::Refused { code: code.into(), detail: Some(detail.into()) };
        let told = r#"{"numbers":["+442079460600"],"unit_price":"1.2","currency":"GBP"}"#;
        let numbers = Answer::Numbers {
            numbers: vec![number("+442079460600")],
            unit_price: Some(Money(12_000)),
            currency: Some("GBP".into()),
        };
        let minute = Duration::from_secs(60);
        for (status, body, after, expected) in [
            (200, told, None, numbers.clone()),
            (201, told, None, numbers),
            (200, "", None, Answer::Empty),
            (204, "", None, Answer::Empty),
            (200, r#"{"numbers":[]}"#, None, Answer::Empty),
            (404, "gone", None, Answer::Empty),
            (409, "{}", None, Answer::Empty),
            (202, "", None, Answer::Later(minute)),
            (503, "", Some(2 * minute), Answer::Later(2 * minute)),
            (429, "", Some(Duration::ZERO), Answer::Later(Duration::from_secs(1))),
            (503, "", None, Answer::Failed("status_503".into())),
            (500, "<html>", None, Answer::Failed("status_500".into())),
            (302, "", None, Answer::Failed("status_302".into())),
            (422, r#"{"code":"country_not_served"}"#, None, refused("country_not_served", "status 422")),
            (400, r#"{"code":"Bad Code!","detail":"a\nb"}"#, None, refused("provider_refused", "ab")),
            (401, "no", None, refused("provider_refused", "status 401")),
            (200, r#"{"numbers":["020 7946 0600"]}"#, None, refused("provider_answer_bad", "a number is not E.164")),
        ] {
            assert_eq!(answer(status, body.as_bytes(), after), expected, "{status} {body}");
        }
        let broken = answer(200, b"<html>", None);
        assert!(matches!(broken, Answer::Refused { code, .. } if code == "provider_answer_bad"));
    }
}
