//! Every field of every event stands in the published description, with its type.

use std::collections::BTreeSet;

use super::*;
use crate::core::event::cloud;
use crate::core::event::cloud::tests::{every_body, full_call};
use crate::ids::EventId;

/// Whether a value fits its schema: no key that is not described, none missing that is required, types and enumerations
/// as they say. Adds to `found` what does not.
fn look(at: &str, value: &Value, schema: &Value, all: &Value, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/components/schemas/");
        return look(at, value, &all[name], all, found);
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        found.insert(format!("{at}: {value} is not in {known:?}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number");
    if !kinds.is_empty() && !fits {
        found.insert(format!("{at} is {kind}, not {kinds:?}"));
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let at = format!("{at}.{name}");
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Null) => drop(found.insert(format!("{at} is not described"))),
                    (Value::Null, more) => look(&at, field, more, all, found),
                    (known, _) => look(&at, field, known, all, found),
                }
            }
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            found.extend(
                required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}.{name} is missing")),
            );
        }
        Value::Array(items) => {
            items.iter().for_each(|item| look(&format!("{at}[]"), item, &schema["items"], all, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_field_of_every_event_is_described() {
    let world = world(None);
    let document = world.get("/v1/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let by_type = &schemas["Event"]["x-data-by-type"];
    let mut found = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let full = || Box::new(full_call(1));
    let calls = [EventBody::CallStarted(full()), EventBody::CallAnswered(full()), EventBody::CallEnded(full())];
    for body in every_body().into_iter().chain(calls) {
        let event = Event { time: Wall(1_790_000_001_000_000), subject: "x".into(), body };
        let mut written: Value = serde_json::from_str(&cloud::to_json(&event, EventId(9), "leaseline/edge-1")).unwrap();
        // The API adds the place in the journal.
        written["seq"] = 7.into();
        let kind = event.body.kind();
        kinds.insert(kind.to_owned());
        look(kind, &written["data"], &by_type[kind], schemas, &mut found);
        let mut outside = written.clone();
        outside["data"] = json!({});
        look("event", &outside, &schemas["Event"], schemas, &mut found);
        assert!(!by_type[kind].is_null(), "{kind} is not described");
    }
    assert_eq!(found, BTreeSet::new());
    let described: BTreeSet<String> = by_type.as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, kinds, "every type that is described is written, and the other way round");
}
