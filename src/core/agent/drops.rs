//! What the agent did not take, counted by reason.

use crate::wire::sip::Malformed;

/// Why a message was dropped or refused by the agent itself. Closed, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    // Dropped without a word.
    /// Bytes that are no SIP request we could answer.
    NotSip,
    /// From nobody we know, and not part of anything of ours.
    Stranger,
    /// From an address that is banned.
    Banned,
    /// An OPTIONS of somebody who asks too often.
    OptionsRate,
    /// A response that cannot be read.
    MalformedResponse,
    /// A response to nothing we have asked.
    ResponseUnmatched,
    /// A response whose branch is ours, but not its method, Call-ID, From tag or the number of its Via values.
    ResponseForeign,
    /// A 2xx to INVITE without To tag: there is no dialog to acknowledge it in.
    SuccessWithoutTag,
    /// A 2xx of one more fork than we keep.
    TooManyForks,
    /// A copy of a reliable provisional response that was acknowledged.
    ProvisionalAgain,
    /// A reliable provisional response that came before the one that it follows.
    ProvisionalEarly,
    /// An ACK that acknowledges nothing.
    AckUnmatched,
    /// A late copy of an INVITE whose dialog lives.
    LateCopy,
    /// More transactions than even dialogs may have.
    Flood,
    /// A message of ours was not sent because a value in it holds a forbidden byte.
    Unwritable,
    /// A 401 or 407 of somebody else than the trunk that the credentials are for.
    ChallengeElsewhere,
    /// A 401 or 407 of another realm, or without anything that we can answer.
    ChallengeUnfit,
    /// A 401 or 407 to our credentials.
    LoginRefused,
    /// Somebody who must log in first sends too much.
    LoginRate,
    /// An ICMP error that quotes no request of ours that waits for its first answer.
    BounceUnmatched,
    // Refused.
    /// 401 to somebody who may log in.
    Challenged,
    /// 401 to credentials that are wrong.
    LoginWrong,
    /// 400.
    Malformed,
    /// 505.
    Version,
    /// 405.
    MethodNotAllowed,
    /// 416.
    UnsupportedScheme,
    /// 482.
    Merged,
    /// 420.
    BadExtension,
    /// 415.
    UnsupportedMedia,
    /// 415.
    UnsupportedEncoding,
    /// 406.
    NotAcceptable,
    /// 483.
    TooManyHops,
    /// 481 to a request within a dialog that we do not have.
    UnknownDialog,
    /// 481 to a CANCEL of nothing.
    UnknownCancel,
    /// 481 to a CANCEL from another address than its INVITE's.
    ForeignCancel,
    /// 503.
    Overload,
    /// 500 to a CSeq number that is not higher than the last.
    CseqTooLow,
    /// 491.
    Glare,
    /// 500 to an INVITE or UPDATE while another one waits.
    RequestPending,
    /// 421.
    ExtensionRequired,
    /// 422.
    SessionTooShort,
    /// 481 to a PRACK of nothing.
    PrackUnmatched,
}

impl DropReason {
    /// Every reason, in the order of the declaration.
    pub const ALL: [DropReason; 42] = {
        use DropReason::*;
        [
            NotSip,
            Stranger,
            Banned,
            OptionsRate,
            MalformedResponse,
            ResponseUnmatched,
            ResponseForeign,
            SuccessWithoutTag,
            TooManyForks,
            ProvisionalAgain,
            ProvisionalEarly,
            AckUnmatched,
            LateCopy,
            Flood,
            Unwritable,
            ChallengeElsewhere,
            ChallengeUnfit,
            LoginRefused,
            LoginRate,
            BounceUnmatched,
            Challenged,
            LoginWrong,
            Malformed,
            Version,
            MethodNotAllowed,
            UnsupportedScheme,
            Merged,
            BadExtension,
            UnsupportedMedia,
            UnsupportedEncoding,
            NotAcceptable,
            TooManyHops,
            UnknownDialog,
            UnknownCancel,
            ForeignCancel,
            Overload,
            CseqTooLow,
            Glare,
            RequestPending,
            ExtensionRequired,
            SessionTooShort,
            PrackUnmatched,
        ]
    };

    pub(super) fn of(fault: Malformed) -> DropReason {
        if fault.status() == 505 { DropReason::Version } else { DropReason::Malformed }
    }

    /// Stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::NotSip => "not_sip",
            DropReason::Stranger => "stranger",
            DropReason::Banned => "banned",
            DropReason::OptionsRate => "options_rate",
            DropReason::MalformedResponse => "malformed_response",
            DropReason::ResponseUnmatched => "response_unmatched",
            DropReason::ResponseForeign => "response_foreign",
            DropReason::SuccessWithoutTag => "success_without_tag",
            DropReason::TooManyForks => "too_many_forks",
            DropReason::ProvisionalAgain => "provisional_again",
            DropReason::ProvisionalEarly => "provisional_early",
            DropReason::AckUnmatched => "ack_unmatched",
            DropReason::LateCopy => "late_copy",
            DropReason::Flood => "flood",
            DropReason::Unwritable => "unwritable",
            DropReason::ChallengeElsewhere => "challenge_elsewhere",
            DropReason::ChallengeUnfit => "challenge_unfit",
            DropReason::LoginRefused => "login_refused",
            DropReason::LoginRate => "login_rate",
            DropReason::BounceUnmatched => "bounce_unmatched",
            DropReason::Challenged => "challenged",
            DropReason::LoginWrong => "login_wrong",
            DropReason::Malformed => "malformed",
            DropReason::Version => "version",
            DropReason::MethodNotAllowed => "method_not_allowed",
            DropReason::UnsupportedScheme => "unsupported_scheme",
            DropReason::Merged => "merged",
            DropReason::BadExtension => "bad_extension",
            DropReason::UnsupportedMedia => "unsupported_media",
            DropReason::UnsupportedEncoding => "unsupported_encoding",
            DropReason::NotAcceptable => "not_acceptable",
            DropReason::TooManyHops => "too_many_hops",
            DropReason::UnknownDialog => "unknown_dialog",
            DropReason::UnknownCancel => "unknown_cancel",
            DropReason::ForeignCancel => "foreign_cancel",
            DropReason::Overload => "overload",
            DropReason::CseqTooLow => "cseq_too_low",
            DropReason::Glare => "glare",
            DropReason::RequestPending => "request_pending",
            DropReason::ExtensionRequired => "extension_required",
            DropReason::SessionTooShort => "session_too_short",
            DropReason::PrackUnmatched => "prack_unmatched",
        }
    }
}

/// Counts since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops {
    counts: [u64; DropReason::ALL.len()],
}

impl Default for Drops {
    fn default() -> Drops {
        Drops { counts: [0; DropReason::ALL.len()] }
    }
}

impl Drops {
    pub fn get(&self, reason: DropReason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// Every reason that occurred.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().map(|reason| (reason, self.get(reason))).filter(|(_, count)| *count > 0)
    }

    pub(super) fn count(&mut self, reason: DropReason) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let mut drops = Drops::default();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?} is out of place in ALL");
            drops.count(reason);
        }
        assert!(drops.iter().all(|(_, count)| count == 1));
        assert_eq!(drops.iter().count(), DropReason::PrackUnmatched as usize + 1);
    }
}
