//! An entry of the catalogue as the fields of a form, and back.
//!
//! What was typed becomes the entry as it is, good or not: the reader of configurations says what is wrong with it, and
//! the form shows the same entry again with that beside its fields.

use serde_json::{Map, Value, json};

use super::Form;
use super::fields::{DESTINATION, Field, Kind, Part};

/// In front of the path of a field.
pub(super) const FIELD: &str = "e.";
/// Behind the path of boxes: what is not ticked is not sent, and what is not on the page is not unticked.
pub(super) const BOXES: &str = ":boxes";

/// The entry that a form describes. Keys without a field on the page stay as they are in `before`.
pub(super) fn read(part: &Part, form: &Form, before: &Value) -> Value {
    let fields = part.groups.iter().flat_map(|group| group.fields);
    Value::Object(table(fields, "", form, Some(before)))
}

fn table<'f>(
    fields: impl Iterator<Item = &'f Field>,
    at: &str,
    form: &Form,
    before: Option<&Value>,
) -> Map<String, Value> {
    let mut out = Map::new();
    for field in fields {
        let path = join(at, field.key);
        let before = before.and_then(|entry| entry.get(field.key));
        if let Some(value) = value(&field.kind, &path, form, before) {
            out.insert(field.key.to_owned(), value);
        }
    }
    out
}

/// The path of a key of a table.
pub(super) fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

fn value(kind: &Kind, path: &str, form: &Form, before: Option<&Value>) -> Option<Value> {
    let typed = form.get(&format!("{FIELD}{path}")).map(|text| text.trim().replace("\r\n", "\n"));
    match kind {
        Kind::Table(_, fields) => {
            let inner = table(fields.iter(), path, form, before);
            (!inner.is_empty()).then_some(Value::Object(inner))
        }
        Kind::Whole(_, fields) => Some(Value::Object(table(fields.iter(), path, form, before))),
        Kind::Tables(_, fields) => list(fields, path, form, before, Value::Object),
        Kind::Destinations => {
            let written = before.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let read = |row: Map<String, Value>| match row.get("uri") {
                Some(uri) if row.len() == 1 && !written.contains(&Value::Object(row.clone())) => uri.clone(),
                _ => Value::Object(row),
            };
            list(DESTINATION, path, form, before, read)
        }
        Kind::Choices(_) | Kind::Names(_) => {
            if !form.contains_key(&format!("{FIELD}{path}{BOXES}")) {
                return before.cloned();
            }
            let chosen = ticked(form, path);
            // The order in which boxes stand is no change.
            let same = |before: &&Value| {
                let mut written = texts(before);
                written.sort_unstable();
                let mut chosen: Vec<&str> = chosen.clone();
                chosen.sort_unstable();
                written == chosen
            };
            before.filter(same).cloned().or_else(|| (!chosen.is_empty()).then(|| json!(chosen)))
        }
        Kind::Check(usual) => {
            if !form.contains_key(&format!("{FIELD}{path}{BOXES}")) {
                return before.cloned();
            }
            let on = typed.is_some();
            (before.is_some() || on != *usual).then_some(Value::Bool(on))
        }
        _ => match typed {
            None => before.cloned(),
            Some(typed) if typed.is_empty() => None,
            // Whoever wrote it in another form meant the same.
            Some(typed) if before.is_some_and(|before| written(kind, before) == typed) => before.cloned(),
            Some(typed) => Some(leaf(kind, &typed)),
        },
    }
}

/// The rows that say something.
fn list(
    fields: &'static [Field],
    path: &str,
    form: &Form,
    before: Option<&Value>,
    read: impl Fn(Map<String, Value>) -> Value,
) -> Option<Value> {
    let rows = rows(form, path);
    if rows.is_empty() {
        return before.cloned();
    }
    let says =
        |row: &Map<String, Value>| row.values().any(|value| value.as_object().is_none_or(|inner| !inner.is_empty()));
    let row = |at: usize| table(fields.iter(), &format!("{path}[{at}]"), form, before.and_then(|list| list.get(at)));
    let rows: Vec<Value> = rows.into_iter().map(row).filter(says).map(read).collect();
    (!rows.is_empty()).then_some(Value::Array(rows))
}

fn leaf(kind: &Kind, typed: &str) -> Value {
    let lines = || typed.lines().map(str::trim).filter(|line| !line.is_empty());
    match kind {
        Kind::Number => typed.parse::<i64>().map_or_else(|_| typed.into(), Value::from),
        Kind::YesNo => match typed {
            "true" => true.into(),
            "false" => false.into(),
            other => other.into(),
        },
        Kind::Lines => json!(lines().collect::<Vec<_>>()),
        Kind::Statuses => {
            let words = typed.split([' ', ',', '\n']).filter(|word| !word.is_empty());
            json!(words.map(|word| leaf(&Kind::Number, word)).collect::<Vec<_>>())
        }
        Kind::Pairs => {
            let pair = |line: &str| {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                (key.trim().to_owned(), Value::from(value.trim()))
            };
            Value::Object(lines().map(pair).collect())
        }
        _ => typed.into(),
    }
}

/// A value as its control shows it.
pub(super) fn written(kind: &Kind, value: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match (kind, value) {
        (Kind::Lines, Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join("\n"),
        (Kind::Statuses, Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        (Kind::Pairs, Value::Object(map)) => {
            map.iter().map(|(key, value)| format!("{key} = {}", plain(value))).collect::<Vec<_>>().join("\n")
        }
        (_, value) => plain(value),
    }
}

/// The texts of a list.
pub(super) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Which rows of a list of tables the form has.
fn rows(form: &Form, path: &str) -> Vec<usize> {
    let start = format!("{FIELD}{path}[");
    let row = |(key, _): (&String, &String)| key.strip_prefix(&start)?.split_once("].")?.0.parse::<usize>().ok();
    let mut rows: Vec<usize> =
        form.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start)).filter_map(row).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Which boxes of a list are ticked.
fn ticked<'f>(form: &'f Form, path: &str) -> Vec<&'f str> {
    let start = format!("{FIELD}{path}[");
    let ticked = form.range(start.clone()..).map(|(key, _)| key).take_while(|key| key.starts_with(&start));
    ticked.filter_map(|key| key.get(start.len()..)?.strip_suffix(']')).collect()
}

/// The row of this path one place up: of a list of which the first that fits counts.
pub(super) fn raised(mut entry: Value, path: &str) -> Value {
    if let Some((rows, at)) = row(&mut entry, path)
        && at > 0
    {
        rows.swap(at - 1, at);
    }
    entry
}

/// Without the row of this path.
pub(super) fn without(mut entry: Value, path: &str) -> Value {
    if let Some((rows, at)) = row(&mut entry, path) {
        rows.remove(at);
    }
    entry
}

/// The list that a row is in, and its place there.
fn row<'v>(entry: &'v mut Value, path: &str) -> Option<(&'v mut Vec<Value>, usize)> {
    let (list, at) = path.strip_suffix(']')?.rsplit_once('[')?;
    let at = at.parse::<usize>().ok()?;
    let rows = find(entry, list)?.as_array_mut()?;
    (at < rows.len()).then_some((rows, at))
}

fn find<'v>(entry: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.').try_fold(entry, |value, step| {
        let (key, index) = step.strip_suffix(']').and_then(|step| step.split_once('[')).unzip();
        let value = value.get_mut(key.unwrap_or(step))?;
        match index {
            None => Some(value),
            Some(index) => value.get_mut(index.parse::<usize>().ok()?),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        fields.iter().map(|(key, value)| (format!("{FIELD}{key}"), (*value).to_owned())).collect()
    }

    fn pool(fields: &[(&str, &str)], before: &Value) -> Value {
        read(Part::of("pools").unwrap(), &form(fields), before)
    }

    #[test]
    fn every_control_becomes_its_value_and_what_is_empty_is_left_out() {
        let typed = [
            ("name", " web "),
            ("title", ""),
            ("numbers", "+442079460000\r\n\r\n +442079460010..+442079460019 \r\n"),
            ("channel", "source = billboard\nmedium=off=line\nodd"),
            ("priority", "5"),
            ("calls_max_per_number", "many"),
            ("recording", "false"),
            ("traffic:boxes", ""),
            ("traffic[organic]", "1"),
            ("traffic[direct]", "1"),
            ("static_pools:boxes", ""),
            ("conditions[0].utm_source", "yandex*\n!test"),
            ("conditions[0].hours", ""),
            ("conditions[1].medium", ""),
            ("conditions[7].device:boxes", ""),
            ("conditions[7].device[mobile]", "1"),
            ("grow.enabled:boxes", ""),
            ("grow.enabled", "1"),
            ("grow.respect_hold:boxes", ""),
            ("grow.windows", "12"),
        ];
        let wanted = json!({
            "name": "web",
            "numbers": ["+442079460000", "+442079460010..+442079460019"],
            "channel": { "source": "billboard", "medium": "off=line", "odd": "" },
            "priority": 5,
            "calls_max_per_number": "many",
            "recording": false,
            "traffic": ["direct", "organic"],
            "conditions": [{ "utm_source": ["yandex*", "!test"] }, { "device": ["mobile"] }],
            "grow": { "enabled": true, "windows": 12 },
        });
        assert_eq!(pool(&typed, &json!({})), wanted);
    }

    #[test]
    fn what_is_not_on_the_page_or_says_the_same_stays_as_it_was() {
        let before = json!({
            "name": "web", "quality_talk": "30s", "numbers": ["+442079460000"], "traffic": ["organic", "direct"],
            "conditions": [{ "medium": "cpc" }], "grow": { "enabled": false, "price": "1.2" },
        });
        assert_eq!(pool(&[], &before), before);
        let same = [
            ("name", "web"),
            ("numbers", "+442079460000"),
            ("traffic:boxes", ""),
            ("traffic[direct]", "1"),
            ("traffic[organic]", "1"),
            ("grow.enabled:boxes", ""),
            ("grow.price", "1.2"),
        ];
        assert_eq!(pool(&same, &before), before);
        let cleared = [("quality_talk", ""), ("traffic:boxes", ""), ("conditions[0].medium", ""), ("grow.price", "")];
        let left = json!({ "name": "web", "numbers": ["+442079460000"], "grow": { "enabled": false } });
        assert_eq!(pool(&cleared, &before), left);
    }

    #[test]
    fn a_destination_is_a_text_or_a_table_and_a_rule_has_its_when() {
        let company =
            |fields: &[(&str, &str)], before: &Value| read(Part::of("companies").unwrap(), &form(fields), before);
        let typed = [
            ("name", "acme"),
            ("retry_statuses", "486, 603 x"),
            ("forward_to[0].uri", "sip:a@192.0.2.1"),
            ("forward_to[0].weight", ""),
            ("forward_to[1].trunk", "carrier"),
            ("forward_to[1].number", "+442079460998"),
            ("forward_to[2].uri", ""),
            ("rule[0].name", "all"),
            ("rule[0].refuse", "603"),
            ("rule[1].name", ""),
            ("rule[1].when.hours", ""),
        ];
        let wanted = json!({
            "name": "acme",
            "retry_statuses": [486, 603, "x"],
            "forward_to": ["sip:a@192.0.2.1", { "trunk": "carrier", "number": "+442079460998" }],
            "rule": [{ "name": "all", "when": {}, "refuse": 603 }],
        });
        assert_eq!(company(&typed, &json!({})), wanted);
        let before = json!({ "forward_to": [{ "uri": "sip:a@192.0.2.1" }] });
        assert_eq!(company(&[("forward_to[0].uri", "sip:a@192.0.2.1")], &before), before, "as it was written");
    }

    #[test]
    fn a_row_goes_up_or_out_and_nothing_else_moves() {
        let entry = json!({ "a": [{ "b": [1, 2, 3] }, { "b": [] }], "c": 5 });
        assert_eq!(raised(entry.clone(), "a[0].b[2]")["a"][0]["b"], json!([1, 3, 2]));
        assert_eq!(raised(entry.clone(), "a[1]")["a"][0], json!({ "b": [] }));
        assert_eq!(without(entry.clone(), "a[0].b[1]")["a"][0]["b"], json!([1, 3]));
        assert_eq!(without(entry.clone(), "a[2]"), entry);
        for path in ["", "a", "a[0]", "a[2]", "a[x]", "c[1]", "a[0].b[3]", "nobody[1]", "]["] {
            assert_eq!(raised(entry.clone(), path), entry, "{path}");
        }
    }
}
