//! Why it ended, told on: what one side said by `Reason` (RFC 3326) goes to the other as far as its trunk wants to hear
//! it, and into the event.

use crate::config::ReasonHeader;
use crate::core::admission::Reject;
use crate::core::call::{Call, Ctx, ending, headers};
use crate::core::event::{HangupBy, Outcome};
use crate::core::reason::{self, Protocol, Reason};
use crate::ids::Side;
use crate::wire::sip::{Message, quote_display};

/// Cause of a normal end (Q.850 16): what a BYE without a reason says.
const NORMAL_CLEARING: u16 = 16;

impl Call {
    /// What `message` says of why, for the event; and the lines that go on to `to`.
    pub(super) fn take_reasons(&mut self, message: &Message, to: Side, ctx: &Ctx<'_>) -> headers::Lines {
        let reasons = reason::read(message);
        let data = &mut self.facts.data;
        data.q850_cause = None;
        data.sip_reason = None;
        for reason in &reasons {
            match reason.protocol {
                Protocol::Q850 => data.q850_cause = Some(reason.cause),
                Protocol::Sip => {
                    let text = reason.text.as_deref().map_or_else(String::new, |text| format!(" {text}"));
                    data.sip_reason = Some(format!("{}{text}", reason.cause));
                }
            }
        }
        match self.reason_header(to, ctx) {
            ReasonHeader::Off => Vec::new(),
            _ => reasons.iter().map(Reason::line).collect(),
        }
    }

    /// Reasons of the refusal that the caller hears (RFC 6432).
    pub(super) fn refusal_reasons(&self, why: &ending::Why, ctx: &Ctx<'_>) -> headers::Lines {
        let told = self.reason_header(Side::Caller, ctx);
        let mut lines = refusal(told, Reject::new(why.status, why.reason));
        if let (ReasonHeader::Responses | ReasonHeader::Codes, Some(cause)) = (told, self.facts.data.q850_cause) {
            lines.retain(|(_, value)| !value.starts_with("Q.850"));
            lines.insert(0, Reason::q850(cause).line());
        }
        lines
    }

    /// What an end by ourselves says to `to`.
    pub(super) fn own_reason(&self, to: Side, code: &str, ctx: &Ctx<'_>) -> headers::Lines {
        match self.reason_header(to, ctx) {
            ReasonHeader::Codes => vec![own(480, code)],
            _ => Vec::new(),
        }
    }

    /// What the event says when nobody named a cause.
    pub(super) fn default_cause(&mut self, why: &ending::Why) {
        let by_a_side = why.outcome == Outcome::Answered && why.hangup_by != HangupBy::System;
        let cause = if by_a_side { Some(NORMAL_CLEARING) } else { reason::q850_of(why.status) };
        let data = &mut self.facts.data;
        data.q850_cause = data.q850_cause.or(cause);
    }

    fn reason_header(&self, to: Side, ctx: &Ctx<'_>) -> ReasonHeader {
        let trunk = match to {
            Side::Caller => &self.facts.trunk,
            Side::Company => self.way_out.as_ref().unwrap_or(&ctx.settings.plain),
        };
        trunk.reason_header
    }
}

/// Reason lines of a refusal of ours.
pub fn refusal(told: ReasonHeader, reject: Reject) -> headers::Lines {
    let mut lines = headers::Lines::new();
    if told >= ReasonHeader::Responses {
        lines.extend(reason::q850_of(reject.status).map(|cause| Reason::q850(cause).line()));
    }
    if told >= ReasonHeader::Codes {
        lines.push(own(reject.status, reject.code));
    }
    lines
}

fn own(status: u16, code: &str) -> (std::borrow::Cow<'static, str>, String) {
    ("Reason".into(), format!("SIP;cause={status};text={}", quote_display(code)))
}
