//! What crosses from the caller's leg to the company's, and what never does. Nothing is copied that is not listed here:
//! no Via, Route, Contact, Call-ID, tag, User-Agent or unknown header of one side reaches the other.

use std::borrow::Cow;

use crate::config::AttributionRules;
use crate::core::attribution;
use crate::core::event::Attribution;
use crate::core::identity::CallerIdentity;
use crate::core::reason;
use crate::ids::{CallId, E164};
use crate::wire::sip::Message;
use crate::wire::sip::build;

/// Header lines.
pub type Lines = Vec<(Cow<'static, str>, String)>;

/// `From` of the company's INVITE, without tag: the caller's number, or RFC 3323's anonymous form when withheld. The
/// display name is the attribution's (when configured), else the caller's own.
pub fn from(identity: &CallerIdentity, attribution: &Attribution, rules: &AttributionRules, our_host: &str) -> String {
    let shown = rules.display_name.as_deref().and_then(|template| attribution::source_line(attribution, template));
    let display = shown.or_else(|| identity.display.clone());
    match &identity.number {
        Some(number) => {
            let user = build::escape_user(number);
            match display {
                Some(display) => format!("{} <sip:{user}@{our_host}>", build::quote_display(&display)),
                None => format!("<sip:{user}@{our_host}>"),
            }
        }
        None => {
            let display = display.unwrap_or_else(|| "Anonymous".to_owned());
            format!("{} <sip:anonymous@anonymous.invalid>", build::quote_display(&display))
        }
    }
}

/// Headers of our own that tell the company what the call is.
pub fn towards_company(
    call: CallId,
    number: &E164,
    identity: &CallerIdentity,
    attribution: &Attribution,
    rules: &AttributionRules,
    our_host: &str,
) -> Lines {
    let mut lines: Lines =
        vec![("X-Leaseline-Call".into(), call.to_string()), ("X-Leaseline-Number".into(), number.as_str().to_owned())];
    match &identity.number {
        // RFC 3325 §5: only what was asserted to us by somebody we believe; From alone is not vouched for by us.
        Some(caller) if identity.asserted => {
            let user = build::escape_user(caller);
            lines.push(("P-Asserted-Identity".into(), format!("<sip:{user}@{our_host}>")));
        }
        None if identity.reason == Some("withheld") => lines.push(("Privacy".into(), "id".to_owned())),
        _ => {}
    }
    if let Some(name) = &rules.header
        && let Some(source) = attribution::source_line(attribution, "{source} · {medium} · {campaign} · {term}")
    {
        lines.push((Cow::Owned(name.clone()), source));
    }
    lines
}

/// `Reason` (RFC 3326) of a BYE or CANCEL crosses when it is a SIP or Q.850 cause; its text does not.
pub fn reason(request: &Message) -> Lines {
    reason::read(request).iter().map(reason::Reason::line).collect()
}
