//! The catalogue as one value: sites, pools, and what companies may use and pay, in JSON with the keys of the
//! configuration file:
//!
//! ```json
//! {"sites": [{"name": "shop", …}], "pools": [{"name": "web", …}], "tracking": {"acme": {"number_price": "1.50"}}}
//! ```
//!
//! It is put into the file's other tables and read as one configuration, so that the same checks hold and nothing is good
//! here that would not be good there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::limits;

/// What stands in place of a secret.
const MASK: &str = "…";
/// Keys whose values nobody is shown.
const SECRETS: [&str; 1] = ["staff_secret"];

/// The catalogue that a configuration file has.
///
/// # Errors
/// The text is not TOML.
pub fn of_file(text: &str) -> Result<Value, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let list = |key: &str| table.get(key).map_or_else(|| json!([]), |value| json!(value));
    let mut tracking = Map::new();
    for company in table.get("company").and_then(toml::Value::as_array).into_iter().flatten() {
        let name = company.get("name").and_then(toml::Value::as_str);
        if let Some((name, rules)) = name.zip(company.get("tracking")) {
            tracking.insert(name.to_owned(), json!(rules));
        }
    }
    Ok(json!({ "sites": list("site"), "pools": list("pool"), "tracking": tracking }))
}

/// The configuration file's text with this catalogue in place of its own.
///
/// # Errors
/// What is wrong with the form of the catalogue, as (key, message); what is wrong with its values the reader of
/// configurations finds.
pub fn merged(text: &str, catalogue: &Value) -> Result<String, Vec<(String, String)>> {
    let mut wrong = Vec::new();
    let mut problem = |key: &str, message: &str| wrong.push((key.to_owned(), message.to_owned()));
    let Some(object) = catalogue.as_object() else {
        return Err(vec![(String::new(), "must be an object with `sites`, `pools` and `tracking`".to_owned())]);
    };
    for key in object.keys().filter(|key| !["sites", "pools", "tracking"].contains(&key.as_str())) {
        problem(key, "unknown key; known here: sites, pools, tracking");
    }
    for key in ["sites", "pools"] {
        if !object.get(key).is_some_and(Value::is_array) {
            problem(key, "must be a list of objects");
        }
    }
    let nothing = Map::new();
    let tracking = match object.get("tracking") {
        None => &nothing,
        Some(Value::Object(tracking)) => tracking,
        Some(_) => {
            problem("tracking", "must be an object with the names of companies");
            &nothing
        }
    };
    let mut table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            problem("", &format!("the configuration file is not TOML: {}", error.message()));
            return Err(wrong);
        }
    };
    let mut take = |key: &str, value: &Value| match toml::Value::try_from(without_null(value)) {
        Ok(value) => value,
        Err(error) => {
            problem(key, &format!("cannot be written as configuration: {error}"));
            toml::Value::Array(Vec::new())
        }
    };
    let (sites, pools) = (take("sites", &catalogue["sites"]), take("pools", &catalogue["pools"]));
    let mut rules: BTreeMap<&str, toml::Value> = BTreeMap::new();
    for (company, value) in tracking {
        rules.insert(company, take(&format!("tracking.{company}"), value));
    }
    table.insert("site".to_owned(), sites);
    table.insert("pool".to_owned(), pools);
    for company in table.get_mut("company").and_then(toml::Value::as_array_mut).into_iter().flatten() {
        let Some(company) = company.as_table_mut() else { continue };
        let name = company.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        company.remove("tracking");
        if let Some(value) = rules.remove(name.as_str()) {
            company.insert("tracking".to_owned(), value);
        }
    }
    for company in rules.keys() {
        problem(&format!("tracking.{company}"), "there is no company of this name in the configuration file");
    }
    match (wrong.is_empty(), toml::to_string(&table)) {
        (true, Ok(text)) => Ok(text),
        (true, Err(error)) => Err(vec![(String::new(), format!("cannot be written as configuration: {error}"))]),
        (false, _) => Err(wrong),
    }
}

/// Names of the companies of a configuration file, in its order.
pub fn companies(text: &str) -> Vec<String> {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let companies = table.get("company").and_then(toml::Value::as_array).into_iter().flatten();
    let name = |company: &toml::Value| company.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    companies.map(name).collect()
}

/// For people and programs: without the keys of staff links.
pub fn masked(mut catalogue: Value) -> Value {
    for site in catalogue["sites"].as_array_mut().into_iter().flatten() {
        if let Some(secret) = site.get_mut("staff_secret") {
            *secret = MASK.into();
        }
    }
    catalogue
}

/// What came back from people and programs: masked keys are those that the sites of the same name have in `before`.
pub fn unmasked(mut catalogue: Value, before: &Value) -> Value {
    for site in catalogue["sites"].as_array_mut().into_iter().flatten() {
        let same = named(&before["sites"], site["name"].as_str().unwrap_or_default());
        let secret = same.and_then(|site| site.get("staff_secret"));
        if let (Some(Value::String(text)), Some(secret)) = (site.get_mut("staff_secret"), secret)
            && text == MASK
        {
            *text = secret.as_str().unwrap_or_default().to_owned();
        }
    }
    catalogue
}

/// What is different, a line for each key of a site, pool or company; at most [`limits::CATALOGUE_CHANGES`].
pub fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, list) in [("site", "sites"), ("pool", "pools")] {
        of_list(what, &before[list], &after[list], &mut lines);
    }
    let nothing = Map::new();
    let companies = |of: &'_ Value| of["tracking"].as_object().unwrap_or(&nothing).clone();
    let (old, new) = (companies(before), companies(after));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        of_keys(&format!("company {name}"), old.get(name), new.get(name), &mut lines);
    }
    if lines.len() > limits::CATALOGUE_CHANGES {
        let more = lines.len() - limits::CATALOGUE_CHANGES;
        lines.truncate(limits::CATALOGUE_CHANGES);
        lines.push(format!("and {more} more"));
    }
    lines
}

fn of_list(what: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    let items = |of: &'_ Value| of.as_array().cloned().unwrap_or_default();
    for old in items(before) {
        let name = old["name"].as_str().unwrap_or_default();
        match named(after, name) {
            None => lines.push(format!("{what} {name}: removed")),
            Some(new) => of_keys(&format!("{what} {name}"), Some(&old), Some(new), lines),
        }
    }
    for new in items(after) {
        let name = new["name"].as_str().unwrap_or_default();
        if named(before, name).is_none() {
            lines.push(format!("{what} {name}: added"));
        }
    }
}

fn of_keys(what: &str, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    let keys =
        |of: Option<&Value>| of.and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
    let all: std::collections::BTreeSet<String> = keys(before).into_iter().chain(keys(after)).collect();
    for key in all {
        let (old, new) = (before.and_then(|of| of.get(&key)), after.and_then(|of| of.get(&key)));
        if old != new {
            lines.push(format!("{what}: {key}: {} → {}", short(&key, old), short(&key, new)));
        }
    }
}

/// A value in a line; of a secret only that it is there.
fn short(key: &str, value: Option<&Value>) -> String {
    let value = value.map(|value| if SECRETS.contains(&key) { Value::from(MASK) } else { value.clone() });
    let text = value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    match text.char_indices().nth(limits::CATALOGUE_VALUE) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn named<'v>(list: &'v Value, name: &str) -> Option<&'v Value> {
    list.as_array()?.iter().find(|item| item["name"] == name)
}

/// TOML has no null: what is null is absent.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_null(value)))
            .collect(),
        Value::Array(list) => list.iter().filter(|value| !value.is_null()).map(without_null).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{BUILTIN, Config};

    #[test]
    fn what_a_file_has_goes_back_into_it() {
        let catalogue = of_file(BUILTIN).expect("TOML");
        assert_eq!(catalogue["pools"][0]["name"], "acme-web");
        let text = merged(BUILTIN, &catalogue).expect("good");
        let again = Config::parse(&text, "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(again.effective_toml(), Config::builtin().effective_toml());
        assert_eq!(changes(&catalogue, &catalogue), Vec::<String>::new());
    }

    #[test]
    fn changes_are_named_and_secrets_are_not() {
        let before = of_file(BUILTIN).expect("TOML");
        let mut after = before.clone();
        after["pools"][0]["priority"] = 5.into();
        after["pools"][1]["name"] = "acme-flyer".into();
        after["sites"][0]["staff_secret"] = "hidden from all".into();
        after["tracking"]["acme"] = json!({ "number_price": "1.50" });
        let lines = changes(&before, &after);
        let wanted = [
            "site acme-site: staff_secret: none → \"…\"",
            "pool acme-web: priority: none → 5",
            "pool acme-billboard: removed",
            "pool acme-flyer: added",
            "company acme: number_price: none → \"1.50\"",
        ];
        assert_eq!(lines, wanted);
        let mut other = after.clone();
        other["sites"][0]["staff_secret"] = "another one".into();
        assert_eq!(changes(&after, &other), ["site acme-site: staff_secret: \"…\" → \"…\""], "it is a change");
        let shown = masked(after.clone());
        assert!(!shown.to_string().contains("hidden"));
        assert_eq!(unmasked(shown, &after), after);
    }

    #[test]
    fn every_mistake_of_form_is_named() {
        let wrong = json!({ "sites": {}, "pools": 5, "tracking": { "nobody": {} }, "pool": [] });
        let problems = merged(BUILTIN, &wrong).expect_err("bad");
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["pool", "sites", "pools", "tracking.nobody"]);
        for odd in
            [json!(null), json!([]), json!("x"), json!({ "sites": [1], "pools": [null], "tracking": { "acme": [] } })]
        {
            // Whatever it is, it is refused here or by the reader.
            if let Ok(text) = merged(BUILTIN, &odd) {
                assert!(Config::parse(&text, "", Path::new("")).is_err(), "{odd}");
            }
        }
    }
}
