//! Challenges and credentials: WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization (RFC 3261 §25.1
//! with the lists of challenges of RFC 9110 §11.6.1, which real peers send). Reading never guesses: what has two
//! readings is refused. Writing gives one header line whatever the values are.

use std::borrow::Cow;

use super::text;
use crate::limits;

/// One challenge, or the credentials of one request: scheme and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthValue<'a> {
    /// `Digest`, as written.
    pub scheme: &'a str,
    params: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> AuthValue<'a> {
    /// All of one header line, in order. `None` when the line cannot be read in one way only, or has more than we read.
    pub fn read(line: &'a str) -> Option<Vec<AuthValue<'a>>> {
        let mut values: Vec<AuthValue<'a>> = Vec::new();
        // Behind a scheme its first parameter follows without a comma.
        let mut rest = text::trim_str(line);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(',') {
                rest = text::trim_str(after);
                continue;
            }
            let (word, after) = token(rest)?;
            let after_blanks = text::trim_str(after);
            match after_blanks.strip_prefix('=').map(text::trim_str) {
                Some(value) if !values.is_empty() => {
                    let (value, left) = value_of(value)?;
                    let current = values.last_mut()?;
                    let again = current.params.iter().any(|(name, _)| name.eq_ignore_ascii_case(word));
                    if again || current.params.len() >= limits::AUTH_PARAMS {
                        return None;
                    }
                    current.params.push((word, value));
                    rest = end_of_element(left)?;
                }
                Some(_) => return None,
                None => {
                    let ends = after.is_empty() || after.starts_with([',', ' ', '\t']);
                    if !ends || values.len() >= limits::AUTH_CHALLENGES {
                        return None;
                    }
                    values.push(AuthValue { scheme: word, params: Vec::new() });
                    rest = skip_token68(after_blanks);
                }
            }
        }
        (!values.is_empty()).then_some(values)
    }

    /// The value of a parameter, without its quotes and escapes.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// Writes one challenge or one set of credentials.
#[derive(Debug)]
pub struct AuthWriter {
    text: String,
    first: bool,
    good: bool,
}

impl AuthWriter {
    /// `scheme` and parameter names are ours: tokens.
    pub fn new(scheme: &str) -> AuthWriter {
        AuthWriter { text: format!("{scheme} "), first: true, good: true }
    }

    /// `name="value"`, quotes and backslashes escaped.
    #[must_use]
    pub fn quoted(mut self, name: &str, value: &str) -> AuthWriter {
        self.begin(name);
        self.text.push('"');
        for c in value.chars() {
            self.good &= !c.is_control();
            if matches!(c, '"' | '\\') {
                self.text.push('\\');
            }
            self.text.push(c);
        }
        self.text.push('"');
        self
    }

    /// `name=value`.
    #[must_use]
    pub fn plain(mut self, name: &str, value: &str) -> AuthWriter {
        self.begin(name);
        self.good &= text::is_token(value.as_bytes());
        self.text.push_str(value);
        self
    }

    /// The header value; `None` when a value had a control character, or one that had to be a token is none.
    pub fn finish(self) -> Option<String> {
        self.good.then_some(self.text)
    }

    fn begin(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.text.push_str(", ");
        }
        self.text.push_str(name);
        self.text.push('=');
    }
}

fn token(rest: &str) -> Option<(&str, &str)> {
    let len = rest.bytes().take_while(|&b| text::is_token_byte(b)).count();
    rest.split_at_checked(len).filter(|(word, _)| !word.is_empty())
}

/// A quoted string, or the run of bytes up to the next comma or blank: peers leave out quotes where the grammar has
/// them.
fn value_of(rest: &str) -> Option<(Cow<'_, str>, &str)> {
    if rest.starts_with('"') {
        let (quoted, left) = rest.split_at_checked(text::quoted_len(rest.as_bytes())?)?;
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let value = if inner.contains('\\') { Cow::Owned(text::unquote(inner)) } else { Cow::Borrowed(inner) };
        return is_sane(&value).then_some((value, left));
    }
    let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
    let (value, left) = rest.split_at_checked(end)?;
    let is_good = !value.is_empty() && !value.contains('"') && is_sane(value);
    is_good.then_some((Cow::Borrowed(value), left))
}

fn is_sane(value: &str) -> bool {
    value.len() <= limits::AUTH_VALUE && !value.chars().any(char::is_control)
}

/// What follows a parameter: a comma, or the end.
fn end_of_element(left: &str) -> Option<&str> {
    let left = text::trim_str(left);
    if left.is_empty() { Some(left) } else { left.strip_prefix(',').map(text::trim_str) }
}

/// `Negotiate YWJj==`: schemes that we do not know may have one run of base 64 instead of parameters.
fn skip_token68(rest: &str) -> &str {
    let is_68 = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    let run = rest.bytes().take_while(|&b| is_68(b)).count();
    let pad = rest.bytes().skip(run).take_while(|&b| b == b'=').count();
    match rest.split_at_checked(run + pad) {
        Some((word, left)) if !word.is_empty() && (left.is_empty() || left.starts_with(',')) => left,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let Some(values) = AuthValue::read(line) else { return "refused".to_owned() };
        let one = |value: &AuthValue<'_>| {
            let params: Vec<String> = value.params.iter().map(|(n, v)| format!("{n}=[{v}]")).collect();
            format!("{}({})", value.scheme, params.join(" "))
        };
        values.iter().map(one).collect::<Vec<_>>().join(" + ")
    }

    #[test]
    fn lines_and_how_they_are_read() {
        let lines = [
            r#"Digest realm="a", nonce="b""#,
            r#"digest realm = "a" ,nonce=  "b",algorithm=MD5, qop="auth,auth-int""#,
            r#"Digest realm="a\"b\\c, d", nonce="x,y=z""#,
            r#"Digest realm="a", nonce="b", Digest realm="a", nonce="c", algorithm=SHA-256"#,
            r#"Basic realm="x", Digest realm="a", nonce="b""#,
            r#"Negotiate YWJjZGU==, Digest realm="a", nonce="b""#,
            r#"Negotiate, Digest realm="a", nonce="b""#,
            r#"NoOneKnowsThisScheme opaque-data=here, realm="x""#,
            r#",, Digest realm="a",, nonce="b","#,
            r#"Digest stale=TRUE,realm=unquoted.example,nonce=abc+/=="#,
            r#"Digest realm="é", nonce="ü""#,
            // As good as base 64.
            r#"Digest realm=, nonce="c""#,
            // Refused.
            r#"Digest realm="a", realm="b", nonce="c""#,
            r#"Digest realm="a" nonce="b""#,
            r#"Digest realm="a"#,
            r#"Digest realm="a"b, nonce="c""#,
            r#"realm="a", nonce="b""#,
            "Digest realm=\"a\tb\\\u{0}\", nonce=\"c\"",
            "Digest: realm=\"a\"",
            "",
            ",",
        ];
        let text: String = lines.iter().map(|line| format!("{line}\n    {}\n", shown(line))).collect();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn bounds() {
        let many: Vec<String> = (0..=limits::AUTH_PARAMS).map(|i| format!("p{i}=1")).collect();
        assert_eq!(shown(&format!("Digest {}", many.join(","))), "refused");
        assert_eq!(shown(&vec!["Digest"; limits::AUTH_CHALLENGES + 1].join(",")), "refused");
        let long = "x".repeat(limits::AUTH_VALUE + 1);
        assert_eq!(shown(&format!("Digest realm=\"{long}\"")), "refused");
    }

    proptest::proptest! {
        /// What is written is one line that reads back to the same, whatever the values (D04).
        #[test]
        fn written_lines_read_back(realm in "\\PC{0,40}", nonce in "[\\x20-\\x7e]{0,40}", opaque in ".{0,40}") {
            let line = AuthWriter::new("Digest").quoted("realm", &realm).quoted("nonce", &nonce)
                .quoted("opaque", &opaque).plain("nc", "00000001").finish();
            let has_control = [&realm, &nonce, &opaque].iter().any(|v| v.chars().any(char::is_control));
            proptest::prop_assert_eq!(line.is_none(), has_control);
            if let Some(line) = line {
                proptest::prop_assert!(!line.contains(['\r', '\n', '\0']));
                let values = AuthValue::read(&line).expect("reads back");
                proptest::prop_assert_eq!(values.len(), 1);
                proptest::prop_assert_eq!(values[0].param("REALM"), Some(&*realm));
                proptest::prop_assert_eq!(values[0].param("nonce"), Some(&*nonce));
                proptest::prop_assert_eq!(values[0].param("opaque"), Some(&*opaque));
                proptest::prop_assert_eq!(values[0].param("nc"), Some("00000001"));
            }
        }

        #[test]
        fn reading_never_panics(line in ".{0,200}", bits in "[Dd\",=\\\\ a]{0,60}") {
            let _ = AuthValue::read(&line);
            let _ = AuthValue::read(&bits);
        }
    }
}
