//! What a recorder is told of a call: RFC 7865 metadata, and our attribution in a namespace of ours.

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;

use crate::core::agent::Payload;
use crate::core::event::{Attribution, AttributionKind, CallData};
use crate::ids::{CallId, Side};
use crate::limits;
use crate::time::Wall;
use crate::wire::multipart::{self, Part};
use crate::wire::rs_metadata::{self, Extension, ExtensionText, MediaStream, Metadata, NameId, Participant};

/// Labels of the two streams, by [`Side::index`].
pub(super) const LABELS: [&str; 2] = ["1", "2"];
/// Namespace of the element that carries our attribution.
const NAMESPACE: &str = "urn:leaseline:recording:1";

/// One call, as its recorder is told of it.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) call: CallId,
    metadata: Metadata,
    company: String,
    number: String,
}

impl Facts {
    /// `host`: ours, for callers who have no number that is one.
    pub(super) fn new(call: &CallData, host: &str, now: Wall, random: &mut ChaCha12Rng) -> Facts {
        let mut draw = || draw_id(random);
        let streams: Vec<MediaStream> =
            LABELS.iter().map(|label| MediaStream { id: draw(), label: (*label).to_owned() }).collect();
        let caller = Participant {
            id: draw(),
            names: vec![NameId { aor: caller_aor(call, host), name: call.caller_name.clone() }],
            joined: call.started_at.to_rfc3339(),
            left: None,
            sends: Some(Side::Caller.index()),
            hears: Some(Side::Company.index()),
        };
        let mut facts = Facts {
            call: call.call_id,
            metadata: Metadata {
                group: draw(),
                session: draw(),
                started: call.started_at.to_rfc3339(),
                recorded: now.to_rfc3339(),
                participants: vec![caller],
                streams,
                extension: Some(extension(call)),
            },
            company: call.company.clone(),
            number: call.number.as_str().to_owned(),
        };
        facts.company_is(call.forwarded_to.as_deref().unwrap_or_default(), draw(), now);
        facts
    }

    /// Another party stands for the company from now on.
    pub(super) fn company_is(&mut self, uri: &str, id: u128, now: Wall) {
        let participants = &mut self.metadata.participants;
        if let Some(last) = participants.iter_mut().skip(1).last() {
            (last.left, last.sends, last.hears) = (Some(now.to_rfc3339()), None, None);
        }
        // Of a call that is sent on for ever the oldest parties are forgotten, never the caller.
        if participants.len() >= limits::SIPREC_PARTIES {
            participants.remove(1);
        }
        // The number that was dialled first: who records by number finds it there.
        let mut names = vec![NameId { aor: format!("tel:{}", self.number), name: Some(self.company.clone()) }];
        if !uri.is_empty() {
            names.push(NameId { aor: uri.to_owned(), name: None });
        }
        participants.push(Participant {
            id,
            names,
            joined: now.to_rfc3339(),
            left: None,
            sends: Some(Side::Company.index()),
            hears: Some(Side::Caller.index()),
        });
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// A random UUID (RFC 9562 §5.4).
pub(super) fn draw_id(random: &mut ChaCha12Rng) -> u128 {
    let drawn = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    drawn & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62
}

fn caller_aor(call: &CallData, host: &str) -> String {
    match call.caller.as_deref() {
        Some(number) if number.starts_with('+') => format!("tel:{number}"),
        Some(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte)) => {
            format!("sip:{name}@{host}")
        }
        // RFC 3323 §4.1.1.3.
        _ => "sip:anonymous@anonymous.invalid".to_owned(),
    }
}

fn extension(call: &CallData) -> Extension {
    let attribution: &Attribution = &call.attribution;
    let kind = match attribution.kind {
        AttributionKind::Visitor => "visitor",
        AttributionKind::Static => "static",
        AttributionKind::None => "none",
    };
    let mut attributes = vec![
        ("call_id", call.call_id.to_string()),
        ("number", call.number.as_str().to_owned()),
        ("company", call.company.clone()),
        ("pool", call.pool.clone()),
        ("attribution", kind.to_owned()),
        ("method", attribution.method.clone()),
        ("confidence", format!("{:.3}", attribution.confidence)),
    ];
    attributes.extend(attribution.visitor_id.clone().map(|visitor| ("visitor_id", visitor)));
    let mut children = Vec::new();
    let mut note = |element, name: &str, text: &str| {
        if children.len() < limits::SIPREC_TEXTS {
            children.push(ExtensionText { element, name: name.to_owned(), text: text.to_owned() });
        }
    };
    for (name, text) in attribution.channel.iter().flat_map(|channel| channel.iter()) {
        note("channel", name, text);
    }
    if let Some(session) = &attribution.session {
        session.utm.iter().for_each(|(name, text)| note("utm", name, text));
        session.click_ids.iter().for_each(|(name, text)| note("click_id", name, text));
    }
    Extension { namespace: NAMESPACE, element: "call", attributes, children }
}

/// Headers of our INVITE and re-INVITE; `contact` is the plain one.
pub(super) fn headers(contact: &str) -> Vec<(std::borrow::Cow<'static, str>, String)> {
    vec![("Contact".into(), self::contact(contact)), ("Require".into(), "siprec".to_owned())]
}

/// Who we are in a recording session (RFC 7866 §7.1).
pub(super) fn contact(contact: &str) -> String {
    format!("{contact};+sip.src")
}

/// The description with the metadata (RFC 7866 §9.1). `boundary`: a number that nobody who speaks in the body knows.
pub(super) fn payload(facts: &Facts, description: Bytes, boundary: u64) -> Payload {
    let xml = rs_metadata::to_xml(facts.metadata());
    let boundary = format!("leaseline-{boundary:016x}");
    let description = Part { content_type: "application/sdp", disposition: None, content: &description };
    let metadata =
        Part { content_type: rs_metadata::MEDIA_TYPE, disposition: Some("recording-session"), content: xml.as_bytes() };
    let bytes = multipart::write(&boundary, &[description, metadata]);
    Payload { content_type: format!("multipart/mixed;boundary={boundary}"), bytes }
}
