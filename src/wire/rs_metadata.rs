//! Metadata of a recording session (RFC 7865), `application/rs-metadata+xml`: who speaks, and in which stream.

mod read;
mod write;

pub use read::{MetadataError, Speaker, read};
pub use write::to_xml;

/// The media type.
pub const MEDIA_TYPE: &str = "application/rs-metadata+xml";

/// Everything that a recording session's client tells of one communication session: the complete form of RFC 7865, never
/// a partial one. Times are RFC 3339 text; ids are unique 128-bit numbers (RFC 7865 §8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub group: u128,
    pub session: u128,
    /// Start of the communication session, and when it was associated with this recording session.
    pub started: String,
    pub recorded: String,
    pub participants: Vec<Participant>,
    pub streams: Vec<MediaStream>,
    pub extension: Option<Extension>,
}

/// One who takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    pub id: u128,
    /// Addresses of record: URIs, each with a name.
    pub names: Vec<NameId>,
    pub joined: String,
    /// Has left the session.
    pub left: Option<String>,
    /// Streams, by their place in [`Metadata::streams`], that it sends and hears.
    pub sends: Option<usize>,
    pub hears: Option<usize>,
}

/// An address of record (RFC 7865 §6.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameId {
    pub aor: String,
    pub name: Option<String>,
}

/// One stream and its label in the session description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaStream {
    pub id: u128,
    pub label: String,
}

/// One element in a namespace of its own: name, attributes, then elements with a text each, as name, attribute and text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    pub namespace: &'static str,
    pub element: &'static str,
    pub attributes: Vec<(&'static str, String)>,
    pub children: Vec<ExtensionText>,
}

/// `<element name="…">text</element>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionText {
    pub element: &'static str,
    pub name: String,
    pub text: String,
}
