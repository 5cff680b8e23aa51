//! What crosses from the caller's leg to the company's, and what never does. Nothing is copied that is not listed here
//! or in a trunk's rules: no Via, Route, Contact, Call-ID, tag, User-Agent or unknown header of one side reaches the
//! other. Every INVITE towards a destination is worded by [`Wording::write`].

use std::borrow::Cow;

use crate::config::{AttributionRules, IdentityRules, StirForward, Trunk};
use crate::core::event::CallData;
use crate::core::header_rules;
use crate::core::identity::{self, CallerIdentity};
use crate::core::{attribution, number};
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;
use crate::wire::sip::build::{escape_user, quote_display};
use crate::wire::sip::{Message, Uri};

pub use crate::core::header_rules::Lines;

/// What is known when an INVITE is written.
#[derive(Debug)]
pub struct Wording<'a> {
    pub data: &'a CallData,
    pub identity: &'a CallerIdentity,
    /// The caller's INVITE.
    pub invite: &'a Message,
    pub attribution: &'a AttributionRules,
    /// Host and port under which the destination knows us.
    pub our_host: &'a str,
    /// The trunk that the call came from.
    pub from: &'a Trunk,
    /// The trunk that it goes out through; one with defaults for destinations that belong to none.
    pub to: &'a Trunk,
    /// Request-URI, with the number as E.164.
    pub uri: &'a str,
    /// Which try of this call it is, from 1.
    pub attempt: usize,
    pub now: Wall,
}

/// The parts of an INVITE that speak of who calls whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worded {
    pub request_uri: String,
    /// Without tag.
    pub from: String,
    pub to: String,
    pub lines: Lines,
}

impl Wording<'_> {
    /// Everything by the rules of the two trunks.
    pub fn write(&self) -> Worded {
        let request_uri = self.request_uri();
        let mut lines = self.own_lines();
        self.identity_lines(&request_uri, &mut lines);
        self.passports(&request_uri, &mut lines);
        header_rules::pass(&mut lines, self.invite, self.from, self.to);
        header_rules::apply(&mut lines, &self.from.headers, self.data);
        if !std::ptr::eq(self.from, self.to) {
            header_rules::apply(&mut lines, &self.to.headers, self.data);
        }
        Worded { to: format!("<{request_uri}>"), from: self.caller_line(), request_uri, lines }
    }

    fn rules(&self) -> &IdentityRules {
        &self.to.identity
    }

    fn host(&self) -> &str {
        self.rules().domain.as_deref().unwrap_or(self.our_host)
    }

    /// The Request-URI with its number in the trunk's format. A user part that is no number stays.
    fn request_uri(&self) -> String {
        let formatted = || {
            let uri = Uri::parse(self.uri).ok()?;
            let number = E164::parse(&uri.user_unescaped()?)?;
            let (before, after) = self.uri.split_once('@')?;
            let scheme = before.split_once(':')?.0;
            Some(format!("{scheme}:{}@{after}", escape_user(&self.written(number.as_str()))))
        };
        match self.to.number_format {
            crate::config::NumberFormat::E164 => self.uri.to_owned(),
            _ => formatted().unwrap_or_else(|| self.uri.to_owned()),
        }
    }

    fn written<'n>(&self, number: &'n str) -> Cow<'n, str> {
        number::written(number, self.to.number_format, self.to.country.as_deref())
    }

    /// `sip:` URI of a number at our host.
    fn uri_of(&self, number: &str, verstat: Option<&str>) -> String {
        let user = escape_user(&self.written(number));
        match verstat {
            Some(verstat) => format!("sip:{user};verstat={verstat}@{}", self.host()),
            None => format!("sip:{user}@{}", self.host()),
        }
    }

    /// The name beside the caller's number: the attribution's when configured, else what is known of the caller.
    fn display(&self) -> Option<String> {
        let template = self.attribution.display_name.as_deref();
        let shown = template.and_then(|template| attribution::source_line(&self.data.attribution, template));
        let name = shown.or_else(|| self.data.caller_name.clone())?;
        fitted(&name, self.rules())
    }

    /// The caller's number, or RFC 3323's anonymous form when withheld.
    fn caller_line(&self) -> String {
        let number = self.identity.number.as_deref();
        match number.or(self.rules().fallback.as_ref().map(E164::as_str)) {
            Some(number) => {
                let verstat = self.verstat().filter(|_| self.identity.number.is_some());
                let uri = self.uri_of(number, verstat);
                match self.display() {
                    Some(display) => format!("{} <{uri}>", quote_display(&display)),
                    None => format!("<{uri}>"),
                }
            }
            None => {
                let display = self.display().unwrap_or_else(|| "Anonymous".to_owned());
                format!("{} <sip:anonymous@anonymous.invalid>", quote_display(&display))
            }
        }
    }

    /// Headers of our own that tell the company what the call is.
    fn own_lines(&self) -> Lines {
        let mut lines: Lines = vec![
            ("X-Leaseline-Call".into(), self.data.call_id.to_string()),
            ("X-Leaseline-Number".into(), self.data.number.as_str().to_owned()),
        ];
        if let Some(name) = &self.attribution.header
            && let Some(source) =
                attribution::source_line(&self.data.attribution, "{source} · {medium} · {campaign} · {term}")
        {
            lines.push((Cow::Owned(name.clone()), source));
        }
        lines
    }

    fn identity_lines(&self, request_uri: &str, lines: &mut Lines) {
        let rules = self.rules();
        let identity = self.identity;
        let is_withheld = identity.reason == Some("withheld");
        // RFC 3325 §5: only what was asserted to us by somebody we believe, unless the trunk wants From vouched for.
        let shown = identity.number.as_deref().filter(|_| identity.asserted || rules.assert_from);
        // RFC 3325 §7: a withheld number leaves the trust domain in no header.
        let hidden = identity.hidden.as_deref().filter(|_| rules.trusted);
        if let Some(number) = shown.or(hidden) {
            let uri = self.uri_of(number, self.verstat());
            if rules.send_remote_party {
                let privacy = if is_withheld { "full" } else { "off" };
                let line = format!("<{uri}>;party=calling;screen=yes;privacy={privacy}");
                lines.push(("Remote-Party-ID".into(), line));
            }
            if rules.send_asserted {
                lines.push(("P-Asserted-Identity".into(), format!("<{uri}>")));
            }
        }
        if is_withheld {
            lines.push(("Privacy".into(), "id".to_owned()));
        }
        if rules.diversion {
            self.diversion_lines(lines);
        }
        if rules.history_info {
            let number = self.data.number.as_str();
            let target = identity::Target { number, uri: request_uri, attempt: self.attempt };
            let entries = identity::history(&identity.history, identity.privacy, rules.trusted, target, self.host());
            lines.extend(entries.into_iter().map(|entry| ("History-Info".into(), entry)));
        }
    }

    /// RFC 5806 §5: the tracked number on top, then the ones that came. Their hosts are ours: where they are is nobody's
    /// business.
    fn diversion_lines(&self, lines: &mut Lines) {
        let own = self.uri_of(self.data.number.as_str(), None);
        lines.push(("Diversion".into(), format!("<{own}>;reason=unconditional;counter=1")));
        for earlier in &self.identity.diversions {
            let tail = format!("reason={};counter={}", earlier.reason, earlier.counter);
            let value = match &earlier.number {
                Some(number) => format!("<{}>;{tail}", self.uri_of(number, None)),
                None => format!("<sip:anonymous@anonymous.invalid>;{tail};privacy=full"),
            };
            lines.push(("Diversion".into(), value));
        }
    }

    /// What STIR found, for a trunk that wants it beside the number.
    fn verstat(&self) -> Option<&str> {
        let found = self.data.stir.as_ref().filter(|_| self.to.stir.verstat)?;
        Some(&found.verstat)
    }

    /// Identity (RFC 8224): what came goes on, with ours beside it, or ours alone when nobody vouched for the caller.
    fn passports(&self, request_uri: &str, lines: &mut Lines) {
        let rules = &self.to.stir;
        if rules.forward == StirForward::Drop && rules.signer.is_none() {
            return;
        }
        let came = self.invite.headers("Identity").take(limits::PASSPORTS);
        let came: Vec<&str> = came.filter(|value| !value.chars().any(char::is_control)).collect();
        let caller = self.identity.number.as_deref().filter(|_| self.identity.reason.is_none());
        let parsed = Uri::parse(self.uri).ok().and_then(|uri| E164::parse(&uri.user_unescaped()?));
        let dest = parsed.as_ref().map_or(request_uri, E164::as_str);
        let number = self.data.number.as_str();
        let ours = rules.signer.as_ref().zip(caller).and_then(|(signer, caller)| match rules.forward {
            _ if came.is_empty() => signer.shaken(self.data.call_id, caller, dest, self.now),
            StirForward::Div => signer.div(caller, number, dest, self.now),
            StirForward::Drop => signer.shaken(self.data.call_id, caller, dest, self.now),
            StirForward::Pass => None,
        });
        if rules.forward != StirForward::Drop {
            lines.extend(came.iter().map(|value| ("Identity".into(), (*value).to_owned())));
        }
        if let Some(value) = ours {
            lines.push(("Identity".into(), value));
            // RFC 8224 §4.1: a message that is signed says when.
            lines.extend(date(self.now).map(|date| ("Date".into(), date)));
        }
    }
}

/// As `Date` has it (RFC 3261 §20.17).
fn date(now: Wall) -> Option<String> {
    let at = jiff::Timestamp::from_microsecond(now.0).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

/// A display name as the trunk can take it: its letters, its length.
fn fitted(name: &str, rules: &IdentityRules) -> Option<String> {
    let name = if rules.ascii { Cow::Owned(deunicode::deunicode(name)) } else { Cow::Borrowed(name) };
    let end = (0..=rules.display_bytes_max.min(name.len())).rev().find(|at| name.is_char_boundary(*at))?;
    let name = name.get(..end)?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}
