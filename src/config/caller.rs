//! `[[caller]]`: callers that the company knows by name.

use crate::ids::E164;

/// A caller whose name is known.
#[derive(Clone, Debug)]
pub struct KnownCaller {
    pub number: E164,
    /// Shown with the call.
    pub name: String,
    /// Known to this company only; none: to all.
    pub company: Option<String>,
    /// Stands in the event.
    pub note: Option<String>,
    /// `false`: this caller's calls are recorded by nobody's word; default `true`: as the other keys say.
    pub recording: bool,
}
