//! History-Info (RFC 7044): the places where the call has been. Hosts of others never leave us: of an entry only the
//! user part, its index and its reasons are kept.

use std::fmt::Write as _;

use crate::core::identity::Privacy;
use crate::core::route::user_of;
use crate::limits;
use crate::wire::sip::{Message, NameAddr, escape_user};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// User part; empty when there was none.
    pub user: String,
    /// `1.2.1`.
    pub index: String,
    /// How the target was found: `rc`, `mp` or `np`, and the index it was found from.
    pub target: Option<(&'static str, String)>,
    /// Embedded Reason as `SIP;cause=486`.
    pub reason: Option<String>,
    /// Embedded `Privacy: history`: this entry is to be withheld.
    pub is_private: bool,
}

/// Where an INVITE of ours goes, for its entry.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The tracked number.
    pub number: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// Which try of this call it is, from 1.
    pub attempt: usize,
}

/// Entries with a good index, in order, as many as [`limits::HISTORY`].
pub(super) fn read(request: &Message) -> Vec<Entry> {
    request.list("History-Info").take(limits::HISTORY).filter_map(|value| one(&NameAddr::parse(value).ok()?)).collect()
}

/// The values of our own header: what came, an entry for the tracked number and one for the destination, which is found
/// from it by our configuration (`mp`, RFC 7044 §5).
pub fn entries(came: &[Entry], privacy: Privacy, trusted: bool, target: Target<'_>, our_host: &str) -> Vec<String> {
    let hides = |entry: &Entry| !trusted && (entry.is_private || privacy.hides_history());
    let mut lines: Vec<String> = came.iter().map(|entry| written(entry, hides(entry), our_host)).collect();
    let tracked = match came.last() {
        // The last entry is the number that was dialled already.
        Some(last) if last.user.trim_start_matches('+') == target.number.trim_start_matches('+') => last.index.clone(),
        Some(last) => {
            let index = format!("{}.1", last.index);
            lines.push(format!("<sip:{}@{our_host}>;index={index};np={}", escape_user(target.number), last.index));
            index
        }
        None => {
            lines.push(format!("<sip:{}@{our_host}>;index=1", escape_user(target.number)));
            "1".to_owned()
        }
    };
    lines.push(format!("<{}>;index={tracked}.{};mp={tracked}", target.uri, target.attempt));
    lines
}

fn written(entry: &Entry, hidden: bool, our_host: &str) -> String {
    let mut line = match (hidden, entry.user.is_empty()) {
        (true, _) => "<sip:anonymous@anonymous.invalid".to_owned(),
        (false, true) => format!("<sip:{our_host}"),
        (false, false) => format!("<sip:{}@{our_host}", escape_user(&entry.user)),
    };
    let mut gap = '?';
    if entry.is_private && !hidden {
        line.push_str("?Privacy=history");
        gap = '&';
    }
    if let Some(reason) = &entry.reason {
        let escaped = reason.replace(';', "%3B").replace('=', "%3D");
        let _ = write!(line, "{gap}Reason={escaped}");
    }
    let _ = write!(line, ">;index={}", entry.index);
    if let Some((how, from)) = &entry.target {
        let _ = write!(line, ";{how}={from}");
    }
    line
}

fn one(value: &NameAddr<'_>) -> Option<Entry> {
    let index = value.param("index").filter(|index| is_index(index))?.to_owned();
    let target = ["rc", "mp", "np"].into_iter().find_map(|how| {
        let from = value.param(how).filter(|from| is_index(from))?;
        Some((how, from.to_owned()))
    });
    let user = user_of(&value.uri).unwrap_or_default();
    let user = user.chars().filter(|c| !c.is_control()).take(limits::CALLER_TEXT).collect();
    let mut entry = Entry { user, index, target, reason: None, is_private: false };
    for header in value.uri.headers.split('&') {
        let Some((name, text)) = header.split_once('=') else { continue };
        if name.eq_ignore_ascii_case("Privacy") {
            entry.is_private |= text.to_ascii_lowercase().contains("history");
        } else if name.eq_ignore_ascii_case("Reason") {
            let plain = text.replace("%3B", ";").replace("%3b", ";").replace("%3D", "=").replace("%3d", "=");
            entry.reason = crate::core::reason::read_one(&plain).map(|reason| reason.to_string());
        }
    }
    Some(entry)
}

/// `1.10.3`: numbers of up to four digits, up to sixteen of them (RFC 7044 §5.1).
fn is_index(text: &str) -> bool {
    text.len() <= 64
        && text.split('.').count() <= 16
        && text.split('.').all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}
