//! Telephone numbers, names and addresses of callers, masked for those who work without knowing them.
//!
//! What is masked is not only the field that holds a number: the same digits stand in URIs, in SIP messages, in notes. So
//! the numbers of an object are collected first, and then hidden wherever they stand in it.

use serde_json::Value;

/// Fields that hold a number or an address that is a number.
const NUMBERS: [&str; 5] =
    ["caller", "phone", "caller_number", "customer_phone_number", "formatted_customer_phone_number"];
/// Fields that hold what a person is called, or what was written about them.
const NAMES: [&str; 4] = ["caller_name", "caller_note", "customer_name", "formatted_customer_name"];
/// Fields that people write into: whatever looks like a number there is hidden.
const TEXTS: [&str; 6] = ["text", "note", "why", "fields", "filter", "search"];
/// Digits at the end of a number that make it that number, however its beginning is written.
const TAIL: usize = 9;
/// Fewer digits than this are no subscriber's number.
const SHORTEST: usize = 7;

/// `+442079460123` becomes `+442********23`: the country or the beginning of it, and what tells two callers apart on one
/// page. Texts without digits (`anonymous`) stay.
pub fn number(text: &str) -> String {
    // Of a URI the user is the number; the host is ours or a carrier's.
    if let Some((user, host)) = text.split_once('@') {
        return format!("{}@{host}", number(user));
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let (first, last) = if digits >= SHORTEST { (3, 2) } else { (0, 0) };
    let mut at = 0;
    let masked = text.chars().map(|c| {
        if !c.is_ascii_digit() {
            return c;
        }
        at += 1;
        if at <= first || at > digits - last { c } else { '*' }
    });
    masked.collect()
}

/// `anna@acme.example` becomes `a***@acme.example`.
pub fn email(text: &str) -> String {
    match text.split_once('@') {
        Some((name, domain)) => format!("{}***@{domain}", name.chars().next().unwrap_or('*')),
        None => "***".to_owned(),
    }
}

/// Hides whatever looks like a telephone number: digits with the signs that people put between them.
pub fn text(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(['\0']) {
        let between = matches!(c, ' ' | '-' | '(' | ')' | '.' | '/' | '\u{a0}') && !run.is_empty();
        if c.is_ascii_digit() || (c == '+' && run.is_empty()) || between {
            run.push(c);
            continue;
        }
        flush(&mut run, &mut hidden);
        if c != '\0' {
            hidden.push(c);
        }
    }
    hidden
}

/// Masks one object of the API, in place.
pub fn value(value: &mut Value) {
    let mut tails = Vec::new();
    collect(value, &mut tails);
    tails.sort();
    tails.dedup();
    hide(value, "", &tails, false);
}

fn flush(run: &mut String, into: &mut String) {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    // A date and a time have as many digits as a number; both are written otherwise.
    into.push_str(&if (SHORTEST..=15).contains(&digits) { number(run) } else { std::mem::take(run) });
    run.clear();
}

/// The ends of all numbers that stand where numbers stand.
fn collect(value: &Value, tails: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if is_number(name, fields) => tails.extend(tail(text)),
                    field => collect(field, tails),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, tails)),
        _ => {}
    }
}

/// Diversions and participants of a call hold numbers under names that mean something else elsewhere.
fn is_number(name: &str, fields: &serde_json::Map<String, Value>) -> bool {
    NUMBERS.contains(&name)
        || (name == "number" && fields.contains_key("counter"))
        || (name == "address" && fields.contains_key("channel"))
}

fn tail(text: &str) -> Option<String> {
    // The user of a URI; the host may have digits, too.
    let user = text.split('@').next().unwrap_or_default();
    let digits: String = user.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= SHORTEST).then(|| digits[digits.len().saturating_sub(TAIL)..].to_owned())
}

fn hide(value: &mut Value, name: &str, tails: &[String], in_text: bool) {
    let in_text = in_text || TEXTS.contains(&name);
    match value {
        Value::String(content) => {
            if let Some(masked) = masked(content, name, tails, in_text) {
                *content = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, name, tails, in_text)),
        Value::Object(fields) => {
            let is_person = fields.contains_key("lead_id") || fields.contains_key("consent");
            let numbers: Vec<String> = fields.keys().filter(|name| is_number(name, fields)).cloned().collect();
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::String(content) if numbers.contains(name) => *content = number(content),
                    Value::String(content) if name == "name" && is_person => *content = initial(content),
                    field => hide(field, name, tails, in_text),
                }
            }
        }
        _ => {}
    }
}

fn masked(content: &str, name: &str, tails: &[String], in_text: bool) -> Option<String> {
    if NAMES.contains(&name) {
        return Some(initial(content));
    }
    if name == "email" {
        return Some(email(content));
    }
    let hidden = if in_text { text(content) } else { content.to_owned() };
    let hidden = without(&hidden, tails);
    (hidden != content).then_some(hidden)
}

fn initial(text: &str) -> String {
    text.chars().next().map_or_else(String::new, |first| format!("{first}***"))
}

/// Masks every run of digits that has one of these ends in it.
fn without(text: &str, tails: &[String]) -> String {
    if tails.iter().all(|tail| !text.contains(tail.as_str())) {
        return text.to_owned();
    }
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        hidden.push_str(before);
        if tails.iter().any(|tail| run.contains(tail.as_str())) {
            hidden.push_str(&number(run));
        } else {
            hidden.push_str(run);
        }
        rest = after;
    }
    hidden.push_str(rest);
    hidden
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_keeps_its_beginning_and_its_end() {
        for (whole, hidden) in [
            ("+442079460123", "+442*******23"),
            ("sip:+442079460123@192.0.2.1", "sip:+442*******23@192.0.2.1"),
            ("anonymous", "anonymous"),
            ("101", "***"),
            ("", ""),
        ] {
            assert_eq!(number(whole), hidden);
        }
        assert_eq!(email("anna@acme.example"), "a***@acme.example");
    }

    #[test]
    fn the_callers_number_is_hidden_wherever_it_stands() {
        let mut call = json!({
            "call_id": "0123456789abcdef0123456789abcdef",
            "caller": "+442079460123",
            "caller_name": "Ann Smith",
            "number": "+442079460007",
            "forwarded_to": "sip:02079460123@192.0.2.9",
            "started_at": "2026-11-21T10:00:00.000Z",
            "diversion": [{"number": "+442079460200", "reason": "busy", "counter": 1}],
            "participants": [{"address": "tel:+442079460201", "channel": "caller"}],
            "events": [{"data": {"caller": "+442079460123", "text": "ring 020 7946 0555 back, today 10-12"}}],
            "messages": [{"text": "INVITE sip:x\r\nFrom: <sip:2079460123@a>;tag=1\r\nP: +442079460200"}],
        });
        value(&mut call);
        let text = call.to_string();
        for gone in ["79460123", "79460200", "79460201", "7946 0555", "Smith"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        for kept in ["+442079460007", "0123456789abcdef0123456789abcdef", "2026-11-21T10:00:00.000Z", "today 10-12"] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
        assert_eq!(call["caller"], "+442*******23");
    }

    #[test]
    fn a_lead_keeps_its_campaign_and_loses_its_person() {
        let mut lead = json!({
            "lead_id": "1", "phone": "+442079460123", "email": "ann@acme.example", "name": "Ann Smith",
            "fields": {"comment": "call 020-7946-0123", "product": "kitchen"},
            "session": {"utm": {"campaign": "spring 2026"}},
        });
        value(&mut lead);
        let text = lead.to_string();
        assert!(!text.contains("0123") && !text.contains("Smith") && !text.contains("ann@"), "{text}");
        assert!(text.contains("kitchen") && text.contains("spring 2026"), "{text}");
    }
}
