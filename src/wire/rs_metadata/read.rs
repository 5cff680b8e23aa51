//! XML → what a recorder must know of a session: who takes part, under which addresses, and the labels of what each sends.
//! Of the other vocabulary of RFC 7865, and of that of older drafts, only what says this is read.
//!
//! Hostile documents: no DTD, so no entity of theirs; a bound on nodes and on depth; texts and lists are cut.

use roxmltree::{Document, Node, ParsingOptions};

use super::NameId;
use crate::limits;

/// One who takes part in a recorded session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speaker {
    pub names: Vec<NameId>,
    /// Labels of the streams that it sends.
    pub sends: Vec<String>,
}

/// Why a document tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("not text")]
    NotText,
    #[error("deeper than is read")]
    TooDeep,
    #[error("not XML that is read")]
    Unreadable,
}

/// Those who take part, in the document's order. Who has left is not among them.
pub fn read(xml: &[u8]) -> Result<Vec<Speaker>, MetadataError> {
    let text = std::str::from_utf8(xml).map_err(|_| MetadataError::NotText)?;
    if is_too_deep(text) {
        return Err(MetadataError::TooDeep);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: limits::SIPREC_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| MetadataError::Unreadable)?;
    let root = document.root_element();
    let labels = labels(root);
    let mut speakers = Vec::new();
    for participant in named(root, "participant").take(limits::SIPREC_PARTIES) {
        let id = attribute(participant, &["participant_id", "id"]);
        let associations = named(root, "participantstreamassoc")
            .filter(|one| id.is_some() && attribute(*one, &["participant_id", "id"]) == id);
        let own: Vec<Node<'_, '_>> = associations.chain([participant]).collect();
        let ends = |one: &Node<'_, '_>| named(*one, "disassociate-time").next().is_some();
        let has_left = named(root, "participantsessionassoc")
            .any(|one| id.is_some() && attribute(one, &["participant_id", "id"]) == id && ends(&one));
        if has_left {
            continue;
        }
        let sends = own.iter().filter(|one| !ends(one)).flat_map(|one| named(*one, "send"));
        let sends = sends.filter_map(|send| {
            let stream = send.text()?.trim();
            labels.iter().find(|(id, _)| *id == stream).map(|(_, label)| cut(label))
        });
        let mut speaker = Speaker { names: names(participant), sends: sends.take(limits::SDP_MEDIA).collect() };
        speaker.sends.dedup();
        speakers.push(speaker);
    }
    Ok(speakers)
}

/// Streams' ids and labels.
fn labels<'d>(root: Node<'d, '_>) -> Vec<(&'d str, &'d str)> {
    let streams = named(root, "stream").take(limits::SDP_MEDIA * 2);
    let label = |stream: Node<'d, '_>| {
        let id = attribute(stream, &["stream_id", "id"])?;
        Some((id, named(stream, "label").next()?.text()?.trim()))
    };
    streams.filter_map(label).collect()
}

fn names(participant: Node<'_, '_>) -> Vec<NameId> {
    let all = participant.children().filter(|child| is(*child, "nameID") || is(*child, "aor"));
    let one = |child: Node<'_, '_>| {
        let aor = attribute(child, &["aor"]).or_else(|| child.text().map(str::trim))?;
        let name = named(child, "name").next().and_then(|name| name.text()).map(|name| cut(name.trim()));
        Some(NameId { aor: cut(aor), name: name.filter(|name| !name.is_empty()) })
    };
    all.filter_map(one).take(limits::SIPREC_NAMES).collect()
}

/// Children of this local name, whatever the namespace: drafts and vendors disagree about it.
fn named<'d, 'i>(node: Node<'d, 'i>, name: &'static str) -> impl Iterator<Item = Node<'d, 'i>> {
    node.children().filter(move |child| is(*child, name))
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn attribute<'d>(node: Node<'d, '_>, names: &[&str]) -> Option<&'d str> {
    names.iter().find_map(|name| node.attribute(*name))
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(limits::SIPREC_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// Counts tags only, so that a document is refused before anything follows its depth.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'<', bytes) {
        match bytes.get(at + 1) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'?' | b'!') | None => {}
            Some(_) => {
                let rest = bytes.get(at..).unwrap_or_default();
                let is_empty =
                    memchr::memchr(b'>', rest).is_some_and(|end| end > 0 && rest.get(end - 1) == Some(&b'/'));
                depth += usize::from(!is_empty);
            }
        }
        if depth > limits::SIPREC_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::{MediaStream, Metadata, Participant, to_xml};
    use super::*;

    fn name(aor: &str) -> NameId {
        NameId { aor: aor.into(), name: None }
    }

    #[test]
    fn our_own_metadata_reads_back() {
        let party = |id, aor: &str, left: Option<&str>| Participant {
            id,
            names: vec![name(aor)],
            joined: "2026-11-21T10:00:00Z".into(),
            left: left.map(str::to_owned),
            sends: Some(usize::try_from(id).unwrap_or(0) % 2),
            hears: None,
        };
        let metadata = Metadata {
            participants: vec![
                party(0, "tel:+447700900123", None),
                party(3, "sip:gone@192.0.2.1", Some("2026-11-21T10:00:05Z")),
                party(1, "tel:+442079460500", None),
            ],
            streams: ["1", "2"].map(|label| MediaStream { id: label.len() as u128, label: label.into() }).to_vec(),
            ..Metadata::default()
        };
        let mut metadata = metadata;
        metadata.streams[1].id = 9;
        let speakers = read(to_xml(&metadata).as_bytes()).unwrap();
        assert_eq!(
            speakers,
            [
                Speaker { names: vec![name("tel:+447700900123")], sends: vec!["1".into()] },
                Speaker { names: vec![name("tel:+442079460500")], sends: vec!["2".into()] },
            ]
        );
    }

    #[test]
    fn older_drafts_are_read_too() {
        let xml = "<r:recording xmlns:r='urn:ietf:params:xml:ns:recording'><r:participant id='a' session='s'>\
            <r:nameID aor='sip:07700900123@pbx.example'><r:name> Ann </r:name></r:nameID><r:send>x</r:send></r:participant>\
            <r:stream id='x' session='s'><r:label>96</r:label></r:stream></r:recording>";
        let ann = NameId { aor: "sip:07700900123@pbx.example".into(), name: Some("Ann".into()) };
        assert_eq!(read(xml.as_bytes()).unwrap(), [Speaker { names: vec![ann], sends: vec!["96".into()] }]);
    }

    /// What metadata does to those who read it without care.
    #[test]
    fn bombs() {
        let laughs = "<!DOCTYPE r [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><recording>&b;</recording>";
        let outside = "<!DOCTYPE r [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><recording>&a;</recording>";
        let deep = format!("<recording>{}", "<a>".repeat(9_000));
        let wide = format!("<recording>{}</recording>", "<a/>".repeat(8_000));
        let attributes = format!("<recording {}/>", (0..4_000).map(|i| format!("a{i}='' ")).collect::<String>());
        let parties = format!("<recording>{}</recording>", "<participant/>".repeat(500));
        assert_eq!(read(laughs.as_bytes()), Err(MetadataError::Unreadable));
        assert_eq!(read(outside.as_bytes()), Err(MetadataError::Unreadable));
        assert_eq!(read(deep.as_bytes()), Err(MetadataError::TooDeep));
        assert_eq!(read(wide.as_bytes()), Err(MetadataError::Unreadable));
        assert!(read(attributes.as_bytes()).is_ok_and(|speakers| speakers.is_empty()));
        assert_eq!(read(parties.as_bytes()).unwrap().len(), limits::SIPREC_PARTIES);
        assert_eq!(read(b"\xff\xfe<"), Err(MetadataError::NotText));
        assert_eq!(read(b""), Err(MetadataError::Unreadable));
        assert_eq!(read(b"<recording>"), Err(MetadataError::Unreadable));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(xml in "[<>/a-z='\" &;!\\[\\]?-]{0,200}") {
            let _ = read(xml.as_bytes());
        }
    }
}
