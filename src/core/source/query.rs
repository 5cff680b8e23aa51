//! Campaign parameters and click ids out of a landing page's address, as browsers and ad systems really write them: UTF-8
//! percent escapes, `+` for a space, raw letters and spaces, escapes of windows-1251 from old campaign settings, `%u0434`
//! of JavaScript's `escape`. Nothing here fails: what cannot be read is kept as it stands.

use std::borrow::Cow;

use crate::core::event::Session;
use crate::limits;

/// The session with what its landing page says of campaign and clicks, where the page's script sent none of it. What the
/// script sent stays.
pub fn completed(mut session: Session) -> Session {
    let Some(page) = session.landing_page.as_deref().filter(|page| page.contains('?')) else { return session };
    let (wants_utm, wants_clicks) = (session.utm.is_empty(), session.click_ids.is_empty());
    if !wants_utm && !wants_clicks {
        return session;
    }
    let (mut utm, mut clicks) = (Vec::new(), Vec::new());
    for (key, value) in pairs(page) {
        let key = key.to_ascii_lowercase();
        match key.strip_prefix("utm_") {
            Some(name) if wants_utm && !name.is_empty() => utm.push((name.to_owned(), value.into_owned())),
            None if wants_clicks && super::is_click_id(&key) => clicks.push((key, value.into_owned())),
            _ => {}
        }
    }
    // Of a parameter that stands twice the first counts, as browsers' `get` has it.
    for (key, value) in utm {
        session.utm.entry(key).or_insert(value);
    }
    for (key, value) in clicks {
        session.click_ids.entry(key).or_insert(value);
    }
    session
}

/// One parameter of a page's address, decoded; the first of several.
pub fn parameter(page: &str, name: &str) -> Option<String> {
    pairs(page).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The query's pairs, decoded, at most [`limits::QUERY_PAIRS`].
fn pairs(page: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let query = page.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    query.split('&').filter(|pair| !pair.is_empty()).take(limits::QUERY_PAIRS).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    })
}

/// One part of a query, as text.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let (bytes, escaped) = unescaped(text.as_bytes());
    match String::from_utf8(bytes) {
        Ok(text) => Cow::Owned(text),
        // Raw letters are UTF-8 in any case; only a part that is all escapes can be of the old encoding.
        Err(error) if escaped => {
            let (text, _) = encoding_rs::WINDOWS_1251.decode_without_bom_handling(error.as_bytes());
            Cow::Owned(text.into_owned())
        }
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// Bytes behind the escapes, and whether everything outside of ASCII came from one-byte escapes.
fn unescaped(text: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut only_escapes = true;
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match (hex(after, 2), after.first()) {
                (Some(byte), _) => {
                    // Two digits are at most 255.
                    bytes.push(u8::try_from(byte).unwrap_or(b'?'));
                    rest = after.get(2..).unwrap_or_default();
                }
                (None, Some(b'u' | b'U')) if after.get(1..).and_then(|digits| hex(digits, 4)).is_some() => {
                    let unit = after.get(1..).and_then(|digits| hex(digits, 4)).unwrap_or_default();
                    let letter = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    only_escapes = false;
                    rest = after.get(5..).unwrap_or_default();
                }
                _ => bytes.push(b'%'),
            },
            other => {
                only_escapes &= other.is_ascii();
                bytes.push(other);
            }
        }
    }
    (bytes, only_escapes)
}

fn hex(digits: &[u8], count: usize) -> Option<u32> {
    let digits = digits.get(..count)?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}
