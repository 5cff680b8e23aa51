//! Calls that we are told of: a PBX keeps the media, and says what becomes of its calls.
//!
//! A report names a call by the PBX's own id and says which stage it has reached. The first that has a called number of
//! ours is a call at the door ([`crate::core::b2bua`] looks the number up and decides who is calling, as on an INVITE);
//! from then on it is a [`told::Told`], whose stages come in any order and more than once.
//!
//! Reports come from three kinds of PBX: over the Manager Interface of Asterisk ([`ami`] reads it, [`asterisk`] knows what
//! its events mean), over the event socket of FreeSWITCH ([`esl`], [`freeswitch`]), and by HTTP. The first two are links
//! that we keep up ([`link`]).
//!
//! Who wins when the same call also passes us as SIP: the call that passes us, always. A PBX behind us that tells of it is
//! told which call that is; a PBX before us that told of it first gives it up to us, id and attribution included. The same
//! call is told by its SIP Call-ID where the PBX gives one that we know; else by called number, caller and time.

pub mod ami;
pub mod asterisk;
pub mod esl;
pub mod freeswitch;
pub mod ledger;
pub mod link;
pub mod told;

use std::sync::Arc;

use crate::config::Ear;
use crate::core::event::{CallData, HangupBy, Outcome};
use crate::core::rights::Companies;
use crate::ids::CallId;
use crate::limits;
use crate::time::Wall;

/// What a call has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It came in.
    Offered,
    Ringing,
    Answered,
    Ended,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Offered, Stage::Ringing, Stage::Answered, Stage::Ended];

    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Offered => "offered",
            Stage::Ringing => "ringing",
            Stage::Answered => "answered",
            Stage::Ended => "ended",
        }
    }
}

/// One word of a PBX on one of its calls.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who says it.
    pub ear: Arc<Ear>,
    /// The PBX's own id of the call.
    pub id: String,
    pub stage: Stage,
    /// When, if not now; by the PBX's clock.
    pub at: Option<Wall>,
    /// When the call came in, if that is known and was not told.
    pub offered_at: Option<Wall>,
    /// As the PBX writes them.
    pub called: Option<String>,
    pub caller: Option<String>,
    pub caller_name: Option<String>,
    /// SIP Call-ID of a leg.
    pub sip_call_id: Option<String>,
    /// Who rings, or has answered.
    pub by: Option<String>,
    /// Of an end: Q.850 cause, what became of the call, who hung up.
    pub cause: Option<u16>,
    pub outcome: Option<Outcome>,
    pub hangup_by: Option<HangupBy>,
    /// Companies whose calls this may be about.
    pub within: Companies,
}

impl Report {
    /// With nothing but who, which and what. Ids longer than [`limits::HEARD_NAME`] are cut.
    pub fn new(ear: &Arc<Ear>, id: &str, stage: Stage) -> Report {
        Report {
            ear: Arc::clone(ear),
            id: cut(id, limits::HEARD_NAME).to_owned(),
            stage,
            at: None,
            offered_at: None,
            called: None,
            caller: None,
            caller_name: None,
            sip_call_id: None,
            by: None,
            cause: None,
            outcome: None,
            hangup_by: None,
            within: Companies::All,
        }
    }
}

/// What became of a report.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The call, as it stands.
    Call(Box<Heard>),
    /// Nobody has told of the call yet; the stage is kept until somebody does.
    Early,
    /// Not taken, by stable code: `number_unknown`, `number_excluded`, `time_out_of_range`, `call_unknown`,
    /// `too_many_calls`.
    Refused(&'static str),
}

/// A call that somebody told of.
#[derive(Clone, Debug)]
pub struct Heard {
    pub call_id: CallId,
    /// Absent when the call is over and only its id is remembered.
    pub data: Option<CallData>,
    pub state: &'static str,
    /// This report began it.
    pub is_new: bool,
    /// The call passes us as SIP, or another PBX told of it first: this one's word changes nothing.
    pub is_duplicate: bool,
}

/// The beginning of a text, at most so many bytes, without control characters at its ends.
pub(in crate::core) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().trim_matches(|c: char| c.is_control() || c.is_whitespace())
}

/// A text of a PBX that is there and says something: `<unknown>` and the like say nothing.
pub(in crate::core) fn said(text: Option<&str>) -> Option<String> {
    let text = cut(text?, limits::HEARD_TEXT);
    let is_nothing = ["", "<unknown>", "unknown", "anonymous", "asterisk", "0000000000", "s"].contains(&text);
    (!is_nothing && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// Whether this could be a telephone number: a `+` at most, and three digits or more.
pub(in crate::core) fn is_dialable(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (3..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What became of a call that nobody answered, by its Q.850 cause.
pub(in crate::core) fn outcome_of(cause: Option<u16>) -> Outcome {
    match cause {
        Some(17) => Outcome::Busy,
        Some(16 | 0) | None => Outcome::Cancelled,
        Some(18..=20) => Outcome::NoAnswer,
        Some(21) => Outcome::Rejected,
        Some(_) => Outcome::Failed,
    }
}
