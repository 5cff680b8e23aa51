//! Metadata → XML, in the order of the schema (RFC 7865 §10).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Extension, Metadata, Participant};
use crate::limits;

/// The document. Text of others is escaped; what XML cannot hold is left out, and each text is cut at
/// [`limits::SIPREC_TEXT`] bytes.
pub fn to_xml(metadata: &Metadata) -> String {
    let mut xml = Xml(String::with_capacity(2_048));
    let (group, session) = (id(metadata.group), id(metadata.session));
    xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
    xml.open("recording", &[("xmlns", "urn:ietf:params:xml:ns:recording:1")]);
    xml.leaf("datamode", "complete");
    xml.open("group", &[("group_id", &group)]);
    xml.leaf("associate-time", &metadata.recorded);
    xml.close("group");
    xml.open("session", &[("session_id", &session)]);
    xml.leaf("group-ref", &group);
    xml.leaf("start-time", &metadata.started);
    if let Some(extension) = &metadata.extension {
        write_extension(&mut xml, extension);
    }
    xml.close("session");
    for participant in &metadata.participants {
        xml.open("participant", &[("participant_id", &id(participant.id))]);
        for name in &participant.names {
            xml.open("nameID", &[("aor", &name.aor)]);
            if let Some(name) = &name.name {
                xml.leaf("name", name);
            }
            xml.close("nameID");
        }
        xml.close("participant");
    }
    for stream in &metadata.streams {
        xml.open("stream", &[("stream_id", &id(stream.id)), ("session_id", &session)]);
        xml.leaf("label", &stream.label);
        xml.close("stream");
    }
    xml.open("sessionrecordingassoc", &[("session_id", &session)]);
    xml.leaf("associate-time", &metadata.recorded);
    xml.close("sessionrecordingassoc");
    for participant in &metadata.participants {
        let ids = [("participant_id", &*id(participant.id)), ("session_id", &session)];
        xml.open("participantsessionassoc", &ids);
        write_times(&mut xml, participant);
        xml.close("participantsessionassoc");
    }
    for participant in &metadata.participants {
        xml.open("participantstreamassoc", &[("participant_id", &id(participant.id))]);
        for (element, stream) in [("send", participant.sends), ("recv", participant.hears)] {
            if let Some(stream) = stream.and_then(|index| metadata.streams.get(index)) {
                xml.leaf(element, &id(stream.id));
            }
        }
        write_times(&mut xml, participant);
        xml.close("participantstreamassoc");
    }
    xml.close("recording");
    xml.0
}

fn write_times(xml: &mut Xml, participant: &Participant) {
    xml.leaf("associate-time", &participant.joined);
    if let Some(left) = &participant.left {
        xml.leaf("disassociate-time", left);
    }
}

fn write_extension(xml: &mut Xml, extension: &Extension) {
    let mut attributes = vec![("xmlns", extension.namespace)];
    attributes.extend(extension.attributes.iter().map(|(name, value)| (*name, value.as_str())));
    xml.open(extension.element, &attributes);
    for child in &extension.children {
        xml.open_inline(child.element, &[("name", &child.name)]);
        xml.text(&child.text);
        xml.close(child.element);
    }
    xml.close(extension.element);
}

/// RFC 7865 §8: a UUID in base 64.
fn id(id: u128) -> String {
    STANDARD.encode(id.to_be_bytes())
}

struct Xml(String);

impl Xml {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open_inline(name, attributes);
        self.raw("\r\n");
    }

    fn open_inline(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.raw("<");
        self.raw(name);
        for (name, value) in attributes {
            self.raw(" ");
            self.raw(name);
            self.raw("=\"");
            self.text(value);
            self.raw("\"");
        }
        self.raw(">");
    }

    fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">\r\n");
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.open_inline(name, &[]);
        self.text(text);
        self.close(name);
    }

    /// Text, also of attributes. XML 1.0 §2.2 has no place for most control characters, escaped or not.
    fn text(&mut self, text: &str) {
        let mut written = 0;
        for c in text.chars() {
            written += c.len_utf8();
            if written > limits::SIPREC_TEXT {
                return;
            }
            match c {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                '\'' => self.raw("&apos;"),
                '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {}
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ExtensionText, MediaStream, NameId};
    use super::*;

    fn name(aor: &str, name: Option<&str>) -> NameId {
        NameId { aor: aor.into(), name: name.map(str::to_owned) }
    }

    #[test]
    fn the_document() {
        let metadata = Metadata {
            group: 1,
            session: 2,
            started: "2026-11-21T10:00:00.000Z".into(),
            recorded: "2026-11-21T10:00:03.000Z".into(),
            participants: vec![
                Participant {
                    id: 3,
                    names: vec![name("tel:+447700900123", Some("A <b> & \"c\"\u{0}\u{1b}"))],
                    joined: "2026-11-21T10:00:00.000Z".into(),
                    left: None,
                    sends: Some(0),
                    hears: Some(1),
                },
                Participant {
                    id: 4,
                    names: vec![name("tel:+442079460500", None), name("sip:desk@192.0.2.20", Some("acme"))],
                    joined: "2026-11-21T10:00:03.000Z".into(),
                    left: Some("2026-11-21T10:00:09.000Z".into()),
                    sends: Some(1),
                    hears: Some(7),
                },
            ],
            streams: vec![MediaStream { id: 5, label: "1".into() }, MediaStream { id: 6, label: "2".into() }],
            extension: Some(Extension {
                namespace: "urn:leaseline:recording:1",
                element: "call",
                attributes: vec![("number", "+442079460500".into())],
                children: vec![ExtensionText { element: "utm", name: "source".into(), text: "a&b".into() }],
            }),
        };
        insta::assert_snapshot!(to_xml(&metadata).replace("\r\n", "\n"));
    }

    #[test]
    fn a_text_has_an_end() {
        let long = "é".repeat(limits::SIPREC_TEXT);
        let metadata = Metadata {
            participants: vec![Participant { names: vec![name(&long, Some(&long))], ..Participant::default() }],
            ..Metadata::default()
        };
        assert!(to_xml(&metadata).len() < 2_600);
    }
}
