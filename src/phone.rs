//! Test phones: one that calls and one that answers, for `leaseline call`, `leaseline answer` and the demo. Real SIP on
//! the same machines as the daemon's, real RTP with G.711, sounds from a file or built in.
//!
//! They are phones for tests, not for people: one transport, G.711, no registration, no encryption of media.

mod answer;
mod audio;
mod call;
mod line;
mod rtp;
mod sdp;
mod streams;

use std::time::Duration;

use serde::Serialize;

use crate::config::Tls;

pub use answer::{AnswerOptions, Answered, answer};
pub use audio::{Sound, read_wav};
pub use call::{CallOptions, CallReport, call};
pub use rtp::Figures;

/// How a phone's messages travel.
#[derive(Clone, Debug, Default)]
pub enum Over {
    #[default]
    Udp,
    Tcp,
    Tls(Box<Secured>),
}

/// TLS of a phone.
#[derive(Clone, Debug)]
pub struct Secured {
    /// Certificates to show and to believe.
    pub rules: Tls,
    /// Whose certificate a server must show: a host name or an address. Of no meaning to a phone that answers.
    pub name: String,
}

impl Over {
    /// What a URI says of it.
    const fn parameter(&self) -> &'static str {
        match self {
            Over::Udp => "",
            Over::Tcp => ";transport=tcp",
            Over::Tls(_) => ";transport=tls",
        }
    }
}

/// One thing that a phone did or saw, for ladders.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Since the phone was switched on.
    #[serde(rename = "at_ms", serialize_with = "millis")]
    pub at: Duration,
    #[serde(flatten)]
    pub what: What,
}

/// See [`Step`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// A message that went out: its first line, and whether it carried SDP.
    Sent { line: String, sdp: bool },
    /// A message that came in.
    Received { line: String, sdp: bool },
    /// A call came in.
    Invited { number: String, caller: String },
    /// The far side rings; with `early_media`, it is heard too.
    Ringing { early_media: bool },
    /// The call is up.
    Talking,
    /// A call of the answering phone is over.
    Ended(Answered),
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// This phone.
    Us,
    /// The far side.
    Them,
    /// Nobody: time ran out or the network failed.
    Nobody,
}

impl std::fmt::Display for EndedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EndedBy::Us => "this phone",
            EndedBy::Them => "the far side",
            EndedBy::Nobody => "nobody",
        })
    }
}

fn millis<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
