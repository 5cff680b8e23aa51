//! What a trunk's configuration does to the headers of an INVITE: pass on, add, rewrite, drop. No rule reaches a header
//! that forms the dialog, and no value can become two lines: what has a control character is left out.

use std::borrow::Cow;

use crate::config::{HeaderRules, Trunk};
use crate::core::attribution;
use crate::core::event::CallData;
use crate::limits;
use crate::wire::sip::Message;

/// Header lines.
pub type Lines = Vec<(Cow<'static, str>, String)>;

/// Headers that no rule may name, long names in lower case. Names of one letter are compact forms, which no rule may
/// use.
const OURS: [&str; 42] = [
    "accept",
    "allow",
    "allow-events",
    "authorization",
    "call-id",
    "contact",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "cseq",
    "date",
    "event",
    "expires",
    "flow-timer",
    "from",
    "history-info",
    "identity",
    "identity-info",
    "join",
    "max-forwards",
    "mime-version",
    "min-se",
    "path",
    "privacy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-require",
    "rack",
    "record-route",
    "refer-to",
    "referred-by",
    "replaces",
    "require",
    "route",
    "rseq",
    "security-client",
    "service-route",
    "session-expires",
    "supported",
    "timestamp",
];

/// Words that may stand in braces in a value that is added.
const WORDS: [&str; 11] =
    ["call_id", "number", "caller", "company", "pool", "trunk", "source", "medium", "campaign", "term", "content"];

/// Whether no rule may name this header.
pub fn is_ours(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.len() < 2
        || OURS.binary_search(&lower.as_str()).is_ok()
        || matches!(lower.as_str(), "to" | "via" | "user-agent" | "server" | "www-authenticate" | "unsupported")
}

/// Checks a value with placeholders.
///
/// # Errors
/// A sentence that names the words.
pub fn check_template(text: &str) -> Result<(), String> {
    let plain = WORDS.iter().fold(text.to_owned(), |text, word| text.replace(&format!("{{{word}}}"), ""));
    match plain.contains(['{', '}']) {
        true => Err(format!("has braces that are none of {{{}}}", WORDS.join("}, {"))),
        false => Ok(()),
    }
}

/// What the caller's INVITE brings that may go on: listed by the trunk that it comes from or the one that it goes to.
pub fn pass(lines: &mut Lines, invite: &Message, from: &Trunk, to: &Trunk) {
    let both = [&from.headers, &to.headers];
    let names = both.iter().take(if std::ptr::eq(from, to) { 1 } else { 2 }).flat_map(|rules| &rules.pass);
    for name in names {
        if lines.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            continue;
        }
        for value in invite.headers(name).take(limits::HEADER_VALUES).filter(|value| is_clean(value)) {
            lines.push((Cow::Owned(name.clone()), value.to_owned()));
        }
    }
}

/// Adds, rewrites and drops, in this order.
pub fn apply(lines: &mut Lines, rules: &HeaderRules, data: &CallData) {
    for (name, template) in &rules.add {
        let Some(value) = filled(template, data).filter(|value| is_clean(value)) else { continue };
        lines.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        lines.push((Cow::Owned(name.clone()), value));
    }
    for rule in &rules.rewrite {
        let is_named = |line: &&mut (Cow<'static, str>, String)| line.0.eq_ignore_ascii_case(&rule.header);
        for (_, value) in lines.iter_mut().filter(is_named) {
            if let Cow::Owned(changed) = rule.pattern.replace_all(value, rule.replace.as_str()) {
                *value = changed;
            }
        }
        lines.retain(|(name, value)| !name.eq_ignore_ascii_case(&rule.header) || is_clean(value));
    }
    if !rules.drop.is_empty() {
        lines.retain(|(name, _)| !rules.drop.iter().any(|dropped| name.eq_ignore_ascii_case(dropped)));
    }
}

/// One line, not empty, not too long.
fn is_clean(value: &str) -> bool {
    !value.trim().is_empty()
        && value.len() <= limits::HEADER_VALUE
        && !value.chars().any(|c| c.is_control() && c != '\t')
}

/// The template with its words filled in; `None` when it has words and none of them is known.
fn filled(template: &str, data: &CallData) -> Option<String> {
    let mut out = String::with_capacity(template.len());
    let (mut rest, mut words, mut known) = (template, 0, 0);
    while let Some((before, word, after)) =
        rest.split_once('{').and_then(|(before, rest)| rest.split_once('}').map(|(word, after)| (before, word, after)))
    {
        out.push_str(before);
        words += 1;
        if let Some(value) = value_of(word, data) {
            known += 1;
            out.extend(value.chars().filter(|c| !c.is_control()));
        }
        rest = after;
    }
    out.push_str(rest);
    (words == 0 || known > 0).then_some(out)
}

fn value_of<'d>(word: &str, data: &'d CallData) -> Option<Cow<'d, str>> {
    Some(match word {
        "call_id" => Cow::Owned(data.call_id.to_string()),
        "number" => Cow::Borrowed(data.number.as_str()),
        "caller" => Cow::Borrowed(data.caller.as_deref()?),
        "company" => Cow::Borrowed(&data.company),
        "pool" => Cow::Borrowed(&data.pool),
        "trunk" => Cow::Borrowed(&data.trunk),
        _ => Cow::Owned(attribution::source_line(&data.attribution, &format!("{{{word}}}"))?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Rewrite;
    use crate::core::event::cloud::tests::call;
    use crate::wire::sip::build::Builder;

    fn lines(of: &[(&'static str, &str)]) -> Lines {
        of.iter().map(|(name, value)| (Cow::Borrowed(*name), (*value).to_owned())).collect()
    }

    fn rewrite(header: &str, pattern: &str, replace: &str) -> Rewrite {
        Rewrite { header: header.into(), pattern: regex::Regex::new(pattern).unwrap(), replace: replace.into() }
    }

    #[test]
    fn the_list_of_names_is_sorted() {
        assert!(OURS.is_sorted());
        for name in ["Via", "CALL-ID", "v", "From", "content-length", "Identity", "Route", "Privacy"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["X-Account", "P-Charge-Info", "Subject", "Alert-Info", "Diversion", "P-Asserted-Identity"] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn added_rewritten_and_dropped() {
        let rules = HeaderRules {
            pass: Vec::new(),
            add: vec![
                ("X-Number".into(), "n={number};c={caller}".into()),
                ("X-Campaign".into(), "{campaign}".into()),
                ("X-Static".into(), "yes".into()),
            ],
            drop: vec!["x-leaseline-call".into()],
            rewrite: vec![rewrite("X-Number", r"\+44(\d+)", "0$1"), rewrite("X-Bad", "a", "\r\nVia: x")],
        };
        let mut found = lines(&[("X-Leaseline-Call", "1"), ("X-Static", "no"), ("X-Bad", "a")]);
        apply(&mut found, &rules, &call(1));
        assert_eq!(found, lines(&[("X-Number", "n=02079460007;c=02079460123"), ("X-Static", "yes")]));
    }

    #[test]
    fn a11_what_passes_is_listed_and_clean() {
        let text = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nCall-ID: a\r\n\
                    CSeq: 1 INVITE\r\nTo: <sip:a@b>\r\nFrom: <sip:a@b>;tag=1\r\nX-Account: 7\r\n folded\r\n\
                    X-Evil: \x1b[2Jx\r\nX-Other: 1\r\nP-Charge-Info: <sip:1@x>\r\nX-Account: 8\r\n\
                    Content-Length: 0\r\n\r\n";
        let invite = Message::parse(bytes::Bytes::from(text)).unwrap();
        let headers = HeaderRules { pass: vec!["x-account".into(), "X-Evil".into()], ..HeaderRules::default() };
        let trunk = Trunk { headers, ..Trunk::bare("carrier") };
        let mut found = Lines::new();
        pass(&mut found, &invite, &trunk, &Trunk::bare(""));
        assert_eq!(found.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["7 folded", "8"]);
    }

    #[test]
    fn templates() {
        for good in ["", "{caller}", "a {number} b", "{source}/{term}"] {
            assert!(check_template(good).is_ok(), "{good}");
        }
        for bad in ["{", "}", "{nobody}", "{caller", "{{caller}}"] {
            assert!(check_template(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// A12: whatever a caller sends and a rule makes of it, the message has exactly the lines that were meant.
        #[test]
        fn a12_no_value_becomes_two_lines(caller in "\\PC*|[\\x00-\\x1f\r\na-z]*", value in "[\\x00-\\x7f]{0,40}") {
            let mut data = call(1);
            data.caller = Some(caller);
            let rules = HeaderRules {
                add: vec![("X-Caller".into(), "{caller}".into())],
                rewrite: vec![rewrite("X-Value", "a", "\n")],
                ..HeaderRules::default()
            };
            let mut found = lines(&[("X-Value", value.as_str())]);
            apply(&mut found, &rules, &data);
            let mut builder = Builder::request("INVITE", "sip:a@b");
            for (name, value) in &found {
                builder = builder.header(name, value);
            }
            let count = found.len() + 1;
            let bytes = match builder.finish() {
                Ok(bytes) => bytes,
                Err(_) => return Ok(()),
            };
            let message = Message::parse(bytes).unwrap();
            prop_assert_eq!(message.all_headers().count(), count);
        }
    }
}
