//! Every code with which an INVITE is refused at the door: the one table of them. Metric label, event field, log and
//! console text are this code and nothing else; `tests/tidy.rs` finds a code that is used and not listed.

/// One way to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    /// What the caller's side hears.
    pub status: u16,
    /// `Retry-After` goes with it.
    pub waits: bool,
    /// For the person who reads it.
    pub meaning: &'static str,
}

const fn code(code: &'static str, status: u16, waits: bool, meaning: &'static str) -> Code {
    Code { code, status, waits, meaning }
}

/// The table. 503 speaks of this node or trunk, so that a carrier takes another way; 486 and 480 of one number or
/// company, for which no other way is better (RFC 3261 §21.4, §21.5.4).
pub const CODES: &[Code] = &[
    code("draining", 503, true, "the daemon stops and takes no new calls"),
    code("overload", 503, true, "messages wait too long in our queue: new calls are refused first"),
    code("calls_max", 503, true, "[sip] calls_max: as many calls as this node takes"),
    code("call_rate", 503, true, "[sip] calls_per_second_max"),
    code("trunk_calls_max", 503, true, "[[trunk]] calls_max"),
    code("trunk_call_rate", 503, true, "[[trunk]] calls_per_second_max"),
    code("source_call_rate", 503, true, "[sip.defence] source_calls_per_second_max: one address of a trunk"),
    code("company_calls_max", 486, false, "[company.limits] calls_max"),
    code("company_call_rate", 480, true, "[company.limits] calls_per_second_max"),
    code("number_calls_max", 486, false, "[[pool]] calls_max_per_number"),
    code("caller_calls_max", 486, false, "[company.limits] calls_max_per_caller"),
    code("destination_denied", 403, false, "[fraud]: every destination of the call is one that is never dialled"),
    code(
        "destination_calls_max",
        480,
        false,
        "[company.fraud] destination_calls_max: calls at once to one destination",
    ),
    code("destination_call_rate", 480, true, "[company.fraud] destination_calls_per_minute_max"),
    code("costly_calls_max", 480, false, "[company.fraud] costly_calls_max: calls at once to a costly prefix"),
    code("minutes_spent", 480, true, "[company.fraud] minutes_per_day_max"),
    code("number_unknown", 404, false, "the number is none of ours, or cannot be read; the answer does not say which"),
    code("not_a_trunk", 403, false, "a destination of ours calls us, and is nobody's trunk"),
    code("replaces_malformed", 400, false, "INVITE from the company's side with a Replaces that cannot be read"),
    code("replaces_unknown_dialog", 481, false, "the same, naming no dialog of ours (RFC 3891)"),
    code(
        "replaces_early_dialog",
        481,
        false,
        "the same, naming a caller's leg that was not answered yet (RFC 3891 §3)",
    ),
    code("replaces_caller", 603, false, "INVITE with Replaces that names a caller's leg: nobody may cut a caller off"),
    code(
        "privacy_not_possible",
        500,
        false,
        "the caller's Privacy is critical and asks for what we cannot do (RFC 3323)",
    ),
    code("anonymity_disallowed", 433, false, "the caller withholds the number and the trunk refuses that (RFC 5079)"),
    code("diverted_too_often", 482, false, "the call was diverted more often than the trunk allows"),
    code("identity_missing", 428, false, "[trunk.stir] verify: nobody vouches for the caller (RFC 8224)"),
    code(
        "identity_stale",
        403,
        false,
        "the caller was vouched for more than a minute ago, or by a clock that is wrong",
    ),
    code("identity_unreadable", 438, false, "no Identity header can be read"),
    code("identity_algorithm", 438, false, "a signature by another algorithm than ES256"),
    code("identity_info_mismatch", 438, false, "Identity names two certificates: `info` and `x5u` differ"),
    code("identity_caller_mismatch", 438, false, "somebody else is vouched for, or the caller has no number"),
    code("identity_dialled_mismatch", 438, false, "the signature is for a call to another number"),
    code("identity_signature", 438, false, "the signature is not the certificate's"),
    code(
        "certificate_unavailable",
        436,
        false,
        "[trunk.stir]: no certificate_file for this URL, and it cannot be fetched",
    ),
    code("certificate_not_trusted", 437, false, "the certificate leads to no root of trusted_file, or has run out"),
    code("certificate_not_authoritative", 437, false, "the certificate does not speak for the caller's number"),
    code("no_common_codec", 488, false, "the offer has no audio that we take"),
    code("media_not_encrypted", 488, false, "the offer is in clear where `media_encryption` wants keys"),
    code("media_encryption_off", 488, false, "the offer is encrypted in a way that `media_encryption` does not name"),
    code(
        "no_media_key",
        488,
        false,
        "the offer is encrypted and has no key of a suite that we know, or not what a handshake needs",
    ),
    code("bad_session_description", 488, false, "the offer cannot be read"),
];

/// The entry of a code.
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_table() {
        let mut table = String::new();
        for Code { code, status, waits, meaning } in CODES {
            let waits = if *waits { "Retry-After" } else { "" };
            writeln!(table, "{code:<24} {status} {waits:<11} {meaning}").expect("text");
            assert_eq!(CODES.iter().filter(|other| other.code == *code).count(), 1, "{code} stands twice");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
        insta::assert_snapshot!(table);
    }
}
