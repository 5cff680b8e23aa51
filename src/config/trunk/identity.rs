//! `[trunk.identity]`: whom the trunk's calls come from, and what it is told of the caller of ours.

use crate::ids::E164;
use crate::limits;

/// A header that names the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// P-Asserted-Identity (RFC 3325); only of a trusted trunk.
    Asserted,
    /// Remote-Party-ID (draft-ietf-sip-privacy); only of a trusted trunk.
    RemoteParty,
    /// P-Preferred-Identity (RFC 3325); only of a trusted trunk, and never asserted.
    Preferred,
    From,
}

/// What becomes of the display name that a trunk's calls bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisplayRule {
    Keep,
    Strip,
    /// This text instead.
    Replace(String),
}

/// How numbers are written towards a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// `+442079460007`.
    #[default]
    E164,
    /// `442079460007`.
    Plain,
    /// `02079460007` for numbers of the trunk's country, others as [`NumberFormat::International`].
    National,
    /// `00442079460007`.
    International,
}

/// How much of the reasons for an end a trunk is told by `Reason` (RFC 3326). Each includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonHeader {
    Off,
    /// In BYE and CANCEL: what the other side gave.
    #[default]
    Requests,
    /// In final responses too (RFC 6432), with the Q.850 cause that fits when the other side gave none.
    Responses,
    /// And our own stable codes as the text of a SIP reason.
    Codes,
}

/// `[trunk.identity]`.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// Where the caller is looked for, in order.
    pub sources: Vec<IdentitySource>,
    pub display: DisplayRule,
    /// Callers who withhold their number get 433 (RFC 5079).
    pub withheld_refused: bool,
    /// P-Asserted-Identity goes out.
    pub send_asserted: bool,
    /// Remote-Party-ID goes out.
    pub send_remote_party: bool,
    /// From's number is vouched for too, not only what a trusted trunk asserted.
    pub assert_from: bool,
    /// The far side belongs to our trust domain (RFC 3324): numbers of callers who withhold them go to it, with
    /// `Privacy: id`.
    pub trusted: bool,
    /// Stands in From when there is no caller's number to show; none: `anonymous@anonymous.invalid`.
    pub fallback: Option<E164>,
    /// Host of From and its kin; none: our own.
    pub domain: Option<String>,
    /// Diversion (RFC 5806) goes out, with the tracked number as the one that diverts.
    pub diversion: bool,
    /// History-Info (RFC 7044) goes out.
    pub history_info: bool,
    /// Longest display name in bytes of UTF-8; 0: none.
    pub display_bytes_max: usize,
    /// Display names are written in ASCII letters.
    pub ascii: bool,
}

impl Default for IdentityRules {
    fn default() -> IdentityRules {
        IdentityRules {
            sources: vec![IdentitySource::Asserted, IdentitySource::RemoteParty, IdentitySource::From],
            display: DisplayRule::Keep,
            withheld_refused: false,
            send_asserted: true,
            send_remote_party: false,
            assert_from: false,
            trusted: false,
            fallback: None,
            domain: None,
            diversion: false,
            history_info: false,
            display_bytes_max: limits::DISPLAY_NAME,
            ascii: false,
        }
    }
}
