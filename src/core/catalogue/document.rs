//! The catalogue as one value: sites, pools, where companies' calls go, and what they may use and pay, in JSON with the
//! keys of the configuration file:
//!
//! ```json
//! {"companies": [{"name": "acme", "forward_to": ["sip:sales@192.0.2.20"]}], "sites": [{"name": "shop", …}],
//!  "pools": [{"name": "web", …}], "tracking": {"acme": {"number_price": "1.50"}}}
//! ```
//!
//! Of a company it has [`COMPANY`]; the other keys stay what the file says, so that nobody lifts a limit or reads a secret
//! here. A company that `companies` does not name is the file's, so a catalogue of before there were any is still good; one
//! that the file does not have is new.
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

/// Keys of a company that the catalogue has, beside its name: where calls go, by which clocks, and the words of its people.
pub const COMPANY: [&str; 17] = [
    "time_zone",
    "currency",
    "forward_to",
    "strategy",
    "ring_timeout",
    "ring_timeout_total",
    "retry_statuses",
    "final_statuses",
    "busy",
    "no_answer",
    "schedule",
    "closed",
    "rule",
    "labels",
    "stages",
    "score_card",
    "label_rule",
];

/// Those of them that do not say where calls go.
const WORDS: [&str; 6] = ["time_zone", "currency", "labels", "stages", "score_card", "label_rule"];

/// The first company whose calls would go elsewhere, and the key that says so; one that comes or goes, too.
pub fn rerouted(before: &Value, after: &Value) -> Option<(String, &'static str)> {
    let companies = |of: &'_ Value| of["companies"].as_array().cloned().unwrap_or_default();
    let (old, new) = (companies(before), companies(after));
    let names = old.iter().chain(&new).filter_map(|company| company["name"].as_str());
    names.into_iter().find_map(|name| {
        let of = |list: &[Value]| list.iter().find(|company| company["name"] == name).cloned().unwrap_or_default();
        let (old, new) = (of(&old), of(&new));
        if old.is_null() != new.is_null() {
            return Some((name.to_owned(), "name"));
        }
        let mut routing = COMPANY.into_iter().filter(|key| !WORDS.contains(key));
        routing.find(|key| old[*key] != new[*key]).map(|key| (name.to_owned(), key))
    })
}

/// The catalogue that a configuration file has.
///
/// # Errors
/// The text is not TOML.
pub fn of_file(text: &str) -> Result<Value, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let list = |key: &str| table.get(key).map_or_else(|| json!([]), |value| json!(value));
    let (mut companies, mut tracking) = (Vec::new(), Map::new());
    for company in table.get("company").and_then(toml::Value::as_array).into_iter().flatten() {
        let Some(name) = company.get("name").and_then(toml::Value::as_str) else { continue };
        if let Some(rules) = company.get("tracking") {
            tracking.insert(name.to_owned(), json!(rules));
        }
        let of_catalogue = |key: &&str| Some(((*key).to_owned(), json!(company.get(*key)?)));
        let keys = std::iter::once(("name".to_owned(), Value::from(name)));
        companies.push(Value::Object(keys.chain(COMPANY.iter().filter_map(of_catalogue)).collect()));
    }
    Ok(json!({ "companies": companies, "sites": list("site"), "pools": list("pool"), "tracking": tracking }))
}

/// The catalogue with the companies that it leaves to the file, in the file's order. `of_file`: [`of_file`].
pub fn completed(mut catalogue: Value, of_file: &Value) -> Value {
    let own = catalogue["companies"].as_array().cloned().unwrap_or_default();
    let says = |name: &Value| own.iter().find(|company| company["name"] == *name);
    let filed = of_file["companies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kept = filed.iter().map(|company| says(&company["name"]).unwrap_or(company));
    let new = own.iter().filter(|company| !filed.iter().any(|filed| filed["name"] == company["name"]));
    let all: Vec<Value> = kept.chain(new).cloned().collect();
    // What is no catalogue at all, its reader refuses.
    if let Some(object) = catalogue.as_object_mut()
        && object.get("companies").is_none_or(Value::is_array)
    {
        object.insert("companies".to_owned(), all.into());
    }
    catalogue
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
        return Err(vec![(
            String::new(),
            "must be an object with `companies`, `sites`, `pools` and `tracking`".to_owned(),
        )]);
    };
    for key in object.keys().filter(|key| !["companies", "sites", "pools", "tracking"].contains(&key.as_str())) {
        problem(key, "unknown key; known here: companies, sites, pools, tracking");
    }
    for key in ["sites", "pools"] {
        if !object.get(key).is_some_and(Value::is_array) {
            problem(key, "must be a list of objects");
        }
    }
    let companies = match object.get("companies") {
        None => &[],
        Some(Value::Array(companies)) => companies.as_slice(),
        Some(_) => {
            problem("companies", "must be a list of objects");
            &[]
        }
    };
    of_companies(companies, &mut problem);
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
    for (i, company) in companies.iter().enumerate() {
        if let toml::Value::Table(said) = take(&format!("companies[{i}]"), company) {
            route(&mut table, said);
        }
    }
    for company in table.get_mut("company").and_then(toml::Value::as_array_mut).into_iter().flatten() {
        let Some(company) = company.as_table_mut() else { continue };
        let name = company.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        company.remove("tracking");
        if let Some(value) = rules.remove(name.as_str()) {
            company.insert("tracking".to_owned(), value);
        }
    }
    for company in rules.keys() {
        problem(&format!("tracking.{company}"), "there is no company of this name");
    }
    match (wrong.is_empty(), toml::to_string(&table)) {
        (true, Ok(text)) => Ok(text),
        (true, Err(error)) => Err(vec![(String::new(), format!("cannot be written as configuration: {error}"))]),
        (false, _) => Err(wrong),
    }
}

/// What is wrong with the form of companies.
fn of_companies(companies: &[Value], problem: &mut impl FnMut(&str, &str)) {
    for (i, company) in companies.iter().enumerate() {
        let Some(keys) = company.as_object() else {
            problem(&format!("companies[{i}]"), "must be an object");
            continue;
        };
        match company["name"].as_str() {
            None | Some("") => problem(&format!("companies[{i}].name"), "is missing; write the name of the company"),
            Some(_) if companies.iter().take(i).any(|other| other["name"] == company["name"]) => {
                problem(&format!("companies[{i}].name"), "is the name of another company, too");
            }
            Some(_) => {}
        }
        for key in keys.keys().filter(|key| *key != "name" && !COMPANY.contains(&key.as_str())) {
            let message = match key.as_str() {
                "tracking" => "stands under `tracking`, by the name of the company".to_owned(),
                _ => format!(
                    "is not of the catalogue: of a company it has {}; the rest stands in the file",
                    COMPANY.join(", ")
                ),
            };
            problem(&format!("companies[{i}].{key}"), &message);
        }
    }
}

/// Puts what the catalogue says of a company in place of what the file says; a company that the file does not have is new.
fn route(table: &mut toml::Table, said: toml::Table) {
    let none = || toml::Value::Array(Vec::new());
    let Some(filed) = table.entry("company").or_insert_with(none).as_array_mut() else { return };
    let same = |company: &&mut toml::Value| company.get("name") == said.get("name");
    match filed.iter_mut().find(same).and_then(toml::Value::as_table_mut) {
        Some(company) => {
            COMPANY.iter().for_each(|key| drop(company.remove(*key)));
            company.extend(said);
        }
        None => filed.push(said.into()),
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
    for (what, list) in [("company", "companies"), ("site", "sites"), ("pool", "pools")] {
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
        assert_eq!(completed(catalogue.clone(), &catalogue), catalogue);
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

    const FILE: &str = r#"
[[company]]
name = "acme"
forward_to = ["sip:a@192.0.2.1"]
strategy = "parallel"
nat = true
[company.tracking]
fee = "5"
[[company]]
name = "other"
forward_to = ["sip:o@192.0.2.1"]
"#;

    fn read(catalogue: &Value) -> Config {
        let text = merged(FILE, catalogue).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        Config::parse(&text, "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn a_company_of_the_catalogue_wins_and_the_others_are_the_files() {
        let filed = of_file(FILE).expect("TOML");
        assert_eq!(
            filed["companies"][0],
            json!({ "name": "acme", "forward_to": ["sip:a@192.0.2.1"], "strategy": "parallel" })
        );
        let rule = json!({ "name": "r", "when": {}, "forward_to": [{ "uri": "sip:r@192.0.2.3", "weight": 5 }] });
        let said = json!({
            "companies": [
                { "name": "acme", "forward_to": ["sip:b@192.0.2.2"], "ring_timeout": "9s", "rule": [rule], "busy": null },
                { "name": "new", "forward_to": ["sip:n@192.0.2.4"] },
            ],
            "sites": [], "pools": [], "tracking": { "new": { "number_price": "2" } },
        });
        let config = read(&said);
        let names: Vec<&str> = config.companies.iter().map(|company| company.name.as_str()).collect();
        assert_eq!(names, ["acme", "other", "new"]);
        let uri = |at: usize| config.companies[at].forward_to[0].uri.as_str();
        assert_eq!([uri(0), uri(1), uri(2)], ["sip:b@192.0.2.2", "sip:o@192.0.2.1", "sip:n@192.0.2.4"]);
        let acme = &config.companies[0];
        assert_eq!((acme.strategy.as_str(), acme.ring_timeout.as_secs(), acme.rules.len()), ("order", 9, 1));
        assert!(acme.nat, "what the catalogue does not have is the file's");
        let whole = completed(said, &filed);
        let names: Vec<&Value> =
            whole["companies"].as_array().unwrap().iter().map(|company| &company["name"]).collect();
        assert_eq!(names, ["acme", "other", "new"]);
        assert_eq!(whole["companies"][1], filed["companies"][1]);
        let lines = changes(&filed, &whole);
        for line in [
            r#"company acme: forward_to: ["sip:a@192.0.2.1"] → ["sip:b@192.0.2.2"]"#,
            r#"company acme: strategy: "parallel" → none"#,
            "company new: added",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line}: {lines:?}");
        }

        // A catalogue of before it had companies.
        let old = json!({ "sites": [], "pools": [], "tracking": {} });
        assert_eq!(read(&old).companies[0].forward_to[0].uri, "sip:a@192.0.2.1");
        assert_eq!(completed(old, &filed)["companies"], filed["companies"]);
    }

    #[test]
    fn mistakes_in_companies_are_named() {
        let wrong = json!({
            "companies": [
                5, {}, { "name": "acme", "forward_to": [], "limits": { "calls_max": 0 }, "tracking": {} }, { "name": "acme" },
            ],
            "sites": [], "pools": [],
        });
        let problems = merged(FILE, &wrong).expect_err("bad");
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
        let wanted =
            ["companies[0]", "companies[1].name", "companies[2].limits", "companies[2].tracking", "companies[3].name"];
        assert_eq!(keys, wanted);
        for odd in [json!({}), json!("x"), json!([null]), json!([{ "name": ["a"] }])] {
            let wrong = json!({ "companies": odd, "sites": [], "pools": [] });
            if let Ok(text) = merged(FILE, &wrong) {
                assert!(Config::parse(&text, "", Path::new("")).is_err() || odd == json!([null]), "{odd}");
            }
            completed(wrong, &of_file(FILE).expect("TOML"));
        }
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
