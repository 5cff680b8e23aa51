//! Templates of webhooks and notices: the operator's text around what is known of a call. Rendering is bounded in work and
//! size, and reaches nothing but the values it is given.

use std::fmt;

use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::Value as Json;

use crate::limits;

/// Whether a template can be used; a sentence that says why not.
pub fn check(text: &str) -> Result<(), String> {
    if text.len() > limits::EXPORT_TEMPLATE {
        return Err(format!("has more than {} bytes", limits::EXPORT_TEMPLATE));
    }
    environment().template_from_str(text).map(drop).map_err(|error| format!("is not a template: {error}"))
}

/// The template with these values.
///
/// # Errors
/// What is wrong: a value that is not there, too much work, too long a text.
pub fn render(text: &str, values: &Json) -> Result<String, String> {
    let environment = environment();
    let template = environment.template_from_str(text).map_err(|error| error.to_string())?;
    let mut out = Bounded::default();
    template.render_captured_to(value_of(values), &mut out).map_err(|error| error.to_string())?;
    String::from_utf8(out.bytes).map_err(|_| "not text".to_owned())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(limits::EXPORT_FUEL));
    // `| tojson` is there for who writes JSON; nothing is escaped behind their back.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value_of).collect::<Vec<_>>()),
        Json::Object(entries) => Value::from_pairs(entries.iter().map(|(key, value)| (key.as_str(), value_of(value)))),
    }
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
}

impl std::io::Write for Bounded {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + part.len() > limits::EXPORT_RENDERED {
            return Err(std::io::Error::other("the text is too long"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_and_nothing_else() {
        let values = json!({"call": {"number": "+442079460007", "caller": null}, "label": "good \"one\""});
        assert_eq!(render("{{ call.number }}|{{ nobody.there }}|{{ label | tojson }}", &values).unwrap(), {
            "+442079460007||\"good \\\"one\\\"\""
        });
        assert!(check("{{ call.number }}").is_ok());
        assert!(check("{% if %}").is_err() && check(&"x".repeat(limits::EXPORT_TEMPLATE + 1)).is_err());
        assert!(render("{% include 'other' %}", &values).is_err(), "no other file is reached");
    }

    #[test]
    fn work_and_size_are_bounded() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        assert!(render(endless, &json!({})).is_err());
        let long = json!({"text": "x".repeat(10_000)});
        assert!(render("{% for a in range(100) %}{{ text }}{% endfor %}", &long).is_err());
    }
}
