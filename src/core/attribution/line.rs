//! The attribution as one line, and field by field: for headers, display names, routing rules.

use crate::core::event::Attribution;
use crate::core::source::natural_source;
use crate::limits;

/// Template of the line when nothing else is configured.
pub const SOURCE_TEMPLATE: &str = "{source} · {campaign}";

/// The attribution in one line, for a header or a display name: `Yandex.Direct · kitchens`. `template` may name
/// `{source}`, `{medium}`, `{campaign}`, `{term}`, `{content}` and `{visitor}`. Text between two fields stays when
/// there are fields on both sides of it, text before the first and after the last when that field is known. `None`
/// when nothing is known. The line has no control or direction characters and at most [`limits::SOURCE_LINE`]
/// characters.
pub fn source_line(attribution: &Attribution, template: &str) -> Option<String> {
    let mut line = String::new();
    let (mut is_first, mut is_last_known) = (true, false);
    let mut rest = template;
    while let Some((before, name, after)) = next_field(rest) {
        rest = after;
        let value = field(attribution, name).map(|value| clean(&value)).filter(|value| !value.is_empty());
        is_last_known = value.is_some();
        if let Some(value) = value {
            if is_first || !line.is_empty() {
                line.push_str(before);
            }
            line.push_str(&value);
        }
        is_first = false;
    }
    if line.is_empty() {
        return None;
    }
    if is_last_known {
        line.push_str(rest);
    }
    Some(clean(&line).chars().take(limits::SOURCE_LINE).collect())
}

/// Text before the next `{name}`, the name, and the rest.
fn next_field(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// One field of the attribution by name, as [`source_line`] shows it.
pub fn field(attribution: &Attribution, name: &str) -> Option<String> {
    let session = attribution.session.as_deref();
    let of = |key: &str| {
        let utm = session.and_then(|session| session.utm.get(key));
        utm.or_else(|| attribution.channel.as_ref().and_then(|channel| channel.get(key))).cloned()
    };
    match name {
        "source" => of("source").filter(|source| !source.is_empty()).or_else(|| session.map(natural_source)),
        "medium" | "campaign" | "term" | "content" => of(name),
        "visitor" => attribution.visitor_id.clone(),
        _ => None,
    }
}

/// Without control, line-separating, direction-changing and invisible characters; white space made one space.
fn clean(text: &str) -> String {
    let hidden = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let spaced: String = text.chars().filter(|c| !hidden(c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::event::Session;

    fn visit(session: Session) -> Attribution {
        let session = Some(Arc::new(session));
        Attribution { session, visitor_id: Some("v1".into()), ..Attribution::default() }
    }

    fn utm(pairs: &[(&str, &str)]) -> Session {
        let utm = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Session { utm, ..Session::default() }
    }

    #[test]
    fn lines() {
        let full = utm(&[("source", "Yandex.Direct"), ("medium", "cpc"), ("campaign", "kitchens")]);
        let click = Session { click_ids: [("gclid".to_owned(), "x".to_owned())].into(), ..Session::default() };
        let referred = Session { referrer: Some("https://www.example.org/page?q=1".into()), ..Session::default() };
        let table: &[(&Session, &str, Option<&str>)] = &[
            (&full, SOURCE_TEMPLATE, Some("Yandex.Direct · kitchens")),
            (&full, "{source} / {term} / {campaign}", Some("Yandex.Direct / kitchens")),
            (&full, "[{source}] ({term})", Some("[Yandex.Direct")),
            (&full, "Ad: {source}, {medium}!", Some("Ad: Yandex.Direct, cpc!")),
            (&full, "{term}{content}", None),
            (&full, "{term} {visitor}", Some("v1")),
            (&full, "no fields", None),
            (&full, "{source", None),
            (&full, "{source} {nonsense}", Some("Yandex.Direct")),
            (&click, SOURCE_TEMPLATE, Some("google")),
            (&referred, SOURCE_TEMPLATE, Some("example.org")),
            (&Session::default(), SOURCE_TEMPLATE, Some("direct")),
        ];
        for (session, template, expected) in table {
            assert_eq!(source_line(&visit((*session).clone()), template).as_deref(), *expected, "{template}");
        }
    }

    #[test]
    fn lines_carry_nothing_but_text() {
        let hostile =
            utm(&[("source", "a\r\nX-Evil: 1\0\u{202e}b\u{2028}c\u{feff}"), ("campaign", &"ы".repeat(5_000))]);
        let line = source_line(&visit(hostile), SOURCE_TEMPLATE).unwrap();
        assert!(line.starts_with("a X-Evil: 1 bc · ыы"), "{line}");
        assert_eq!(line.chars().count(), limits::SOURCE_LINE);
    }
}
