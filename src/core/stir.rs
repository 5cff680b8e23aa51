//! STIR/SHAKEN (RFC 8224, 8225, 8226, 8588, 8946): who vouches for the caller's number, and how far that holds.
//!
//! An `info` URL names a certificate that the configuration has, or one at a host that the configuration lets be asked:
//! [`wanted`] says which those are, and somebody else fetches them. Nothing else that a message names is ever fetched. Time
//! is given, so that the same message has the same verdict in a replay.

mod certificate;
mod fetched;
mod passport;
mod sign;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Wall;
use crate::wire::sip::Message;

pub use certificate::Store;
pub use fetched::{Answer, Fetched, wanted};
pub use sign::{Attest, Signer};

use passport::Passport;

/// Verdict words of ATIS-1000074 and 3GPP TS 24.229.
pub const PASSED: &str = "TN-Validation-Passed";
/// A signature was there and did not hold.
pub const FAILED: &str = "TN-Validation-Failed";
/// There was nothing to validate.
pub const NONE: &str = "No-TN-Validation";

/// What was found, as it stands in events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StirData {
    /// `TN-Validation-Passed`, `TN-Validation-Failed` or `No-TN-Validation`.
    pub verstat: String,
    /// `A`, `B` or `C` (RFC 8588 §4).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origid: Option<String>,
    /// Whom the certificate speaks for (RFC 8226 §9): `spc:…`, `tn:+…`, `tn:+…/count`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub authority: Vec<String>,
    /// Numbers that the call was sent on from, each vouched for (RFC 8946), in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub diverted_from: Vec<String>,
    /// Stable code: `verified`, or what is wrong.
    pub code: String,
}

/// Why a call is not vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Status for a trunk whose calls must be (RFC 8224 §6.2.2).
    pub status: u16,
    pub code: &'static str,
}

impl Fault {
    const fn new(status: u16, code: &'static str) -> Fault {
        Fault { status, code }
    }
}

const ABSENT: Fault = Fault::new(428, "identity_missing");
const UNREADABLE: Fault = Fault::new(438, "identity_unreadable");
const ALGORITHM: Fault = Fault::new(438, "identity_algorithm");
const INFO_MISMATCH: Fault = Fault::new(438, "identity_info_mismatch");
const STALE: Fault = Fault::new(403, "identity_stale");
const CALLER_MISMATCH: Fault = Fault::new(438, "identity_caller_mismatch");
const DIALLED_MISMATCH: Fault = Fault::new(438, "identity_dialled_mismatch");
const SIGNATURE: Fault = Fault::new(438, "identity_signature");
const NO_CERTIFICATE: Fault = Fault::new(436, "certificate_unavailable");
const NOT_TRUSTED: Fault = Fault::new(437, "certificate_not_trusted");
const NOT_AUTHORITATIVE: Fault = Fault::new(437, "certificate_not_authoritative");

/// Whose call it claims to be: digits or `+` and digits.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub caller: Option<&'a str>,
    pub dialled: &'a str,
}

/// Verifies the Identity headers of an INVITE. `Ok` when the caller's number is vouched for; the data says more in both
/// cases.
pub fn verify(
    store: &Store,
    fetched: &Fetched,
    invite: &Message,
    claim: Claim<'_>,
    now: Wall,
) -> (StirData, Option<Fault>) {
    let known = Known { store, fetched, seconds: now.seconds() };
    let tokens: Vec<Result<Passport, Fault>> = invite
        .headers("Identity")
        .take(limits::PASSPORTS)
        .map(|value| passport::read(value, || compact_claims(invite, claim)))
        .collect();
    let of_caller = |passport: &&Passport| matches!(passport.ppt.as_deref(), None | Some("shaken"));
    let mut fault = tokens.iter().find_map(|token| token.as_ref().err().copied()).unwrap_or(ABSENT);
    for passport in tokens.iter().flatten().filter(of_caller) {
        match verify_call(known, passport, &tokens, claim) {
            Ok((authority, diverted_from)) => {
                let data = StirData { authority, diverted_from, ..data_of(passport, PASSED, "verified") };
                return (data, None);
            }
            Err(found) => fault = found,
        }
    }
    let verstat = if fault == ABSENT { NONE } else { FAILED };
    let claimed = tokens.iter().flatten().find(of_caller);
    let nothing = || StirData {
        verstat: verstat.to_owned(),
        attest: None,
        origid: None,
        authority: Vec::new(),
        diverted_from: Vec::new(),
        code: fault.code.to_owned(),
    };
    (claimed.map_or_else(nothing, |passport| data_of(passport, verstat, fault.code)), Some(fault))
}

fn data_of(passport: &Passport, verstat: &str, code: &str) -> StirData {
    StirData {
        verstat: verstat.to_owned(),
        attest: passport.attest.clone(),
        origid: passport.origid.clone(),
        authority: Vec::new(),
        diverted_from: Vec::new(),
        code: code.to_owned(),
    }
}

/// RFC 8224 §4.1: in the compact form both ends build the claims from the message.
fn compact_claims(invite: &Message, claim: Claim<'_>) -> Option<(String, String, u64)> {
    let date = jiff::fmt::rfc2822::parse(invite.header("Date")?).ok()?.timestamp().as_second();
    Some((digits(claim.caller?)?, digits(claim.dialled)?, u64::try_from(date).ok()?))
}

/// Digits of a telephone number (RFC 8224 §8.3): the leading `+` and visual separators go.
fn digits(number: &str) -> Option<String> {
    let plain: String = number.chars().filter(|c| !matches!(c, '+' | '-' | '.' | '(' | ')' | ' ')).collect();
    let is_number = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
    is_number.then_some(plain)
}

/// The caller's own PASSporT, and the way from its destination to the number that was dialled (RFC 8946 §5).
fn verify_call(
    known: Known<'_>,
    passport: &Passport,
    tokens: &[Result<Passport, Fault>],
    claim: Claim<'_>,
) -> Result<(Vec<String>, Vec<String>), Fault> {
    let caller = claim.caller.and_then(digits).ok_or(CALLER_MISMATCH)?;
    let dialled = digits(claim.dialled).ok_or(DIALLED_MISMATCH)?;
    if passport.orig != caller {
        return Err(CALLER_MISMATCH);
    }
    let mut at = passport;
    let mut diverted_from = Vec::new();
    while !at.dest.contains(&dialled) {
        let sent_on = |next: &&Passport| {
            next.ppt.as_deref() == Some("div")
                && next.orig == passport.orig
                && next.div.as_ref().is_some_and(|from| at.dest.contains(from) && !diverted_from.contains(from))
        };
        let next = tokens.iter().flatten().find(sent_on).ok_or(DIALLED_MISMATCH)?;
        check(known, next, next.div.as_deref().unwrap_or_default())?;
        diverted_from.extend(next.div.clone());
        at = next;
    }
    let authority = check(known, passport, &caller)?;
    Ok((authority, diverted_from))
}

/// One PASSporT by itself: fresh, signed, by a certificate that is trusted and speaks for `number`.
fn check(known: Known<'_>, passport: &Passport, number: &str) -> Result<Vec<String>, Fault> {
    if !is_fresh(passport, known.seconds) {
        return Err(STALE);
    }
    let found = known.verify(&passport.x5u, passport.signing_input.as_bytes(), &passport.signature)?;
    if !found.covers(number) {
        return Err(NOT_AUTHORITATIVE);
    }
    Ok(found.shown())
}

/// RFC 8224 §4.1.
fn is_fresh(passport: &Passport, seconds: u64) -> bool {
    passport.iat.abs_diff(seconds) <= limits::PASSPORT_AGE.as_secs()
}

/// All certificates that are known now.
#[derive(Clone, Copy)]
struct Known<'a> {
    store: &'a Store,
    fetched: &'a Fetched,
    seconds: u64,
}

impl Known<'_> {
    /// Those of the configuration first; fetched ones where this trunk's rules let them be fetched.
    fn verify(&self, url: &str, message: &[u8], signature: &[u8]) -> Result<certificate::Authority, Fault> {
        let fetched = || self.fetched.chain(url, self.seconds).filter(|_| self.store.may_fetch(url));
        let chain = self.store.chain(url).or_else(fetched).ok_or(NO_CERTIFICATE)?;
        self.store.verify(chain, message, signature, self.seconds)
    }
}

#[cfg(test)]
mod tests;
