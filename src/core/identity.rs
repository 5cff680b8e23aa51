//! Who calls, and the way the call came: everything that an INVITE says of its caller, read as far as its trunk is
//! believed. Withheld numbers stay here: they go to nobody but a trunk of our own trust domain.

mod diversion;
mod history;
mod privacy;

use crate::config::{DisplayRule, IdentitySource, StirVerify, Trunk};
use crate::core::admission::Reject;
use crate::core::route::user_of;
use crate::core::stir::{self, Fetched, StirData};
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;
use crate::wire::sip::{Message, NameAddr};

pub use diversion::Diversion;
pub use history::{Entry, Target, entries as history};
pub use privacy::Privacy;

/// Who calls, as far as this trunk is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerIdentity {
    /// E.164 where it could be read, else the user part as it came.
    pub number: Option<String>,
    /// Display name, cleaned of control characters.
    pub display: Option<String>,
    /// Why `number` is absent: `withheld` or `unreadable`.
    pub reason: Option<&'static str>,
    /// The trunk vouches for `number` (RFC 3325): it did not come from From, where anybody writes what they like.
    pub asserted: bool,
    /// The asserted number of a caller who withholds it. Never in events or logs.
    pub hidden: Option<String>,
    /// What the caller asked to be kept private.
    pub privacy: Privacy,
    /// Who diverted the call before it came to us, latest first; only of a trusted trunk.
    pub diversions: Vec<Diversion>,
    /// History-Info of a trusted trunk, in order.
    pub history: Vec<Entry>,
}

impl CallerIdentity {
    /// Who vouches for the caller's number, when the trunk's calls are verified.
    ///
    /// # Errors
    /// The fault as RFC 8224 §6.2.2 has it, when the trunk's calls must be vouched for.
    pub fn vouched(
        &self,
        trunk: &Trunk,
        fetched: &Fetched,
        request: &Message,
        dialled: &E164,
        now: Wall,
    ) -> Result<Option<StirData>, Reject> {
        if trunk.stir.verify == StirVerify::Off {
            return Ok(None);
        }
        let caller = self.number.as_deref().or(self.hidden.as_deref());
        let claim = stir::Claim { caller, dialled: dialled.as_str() };
        match stir::verify(&trunk.stir.store, fetched, request, claim, now) {
            (_, Some(fault)) if trunk.stir.verify == StirVerify::Require => Err(Reject::new(fault.status, fault.code)),
            (data, _) => Ok(Some(data)),
        }
    }
}

/// Reads the caller by the trunk's rules.
///
/// # Errors
/// `anonymity_disallowed` (433, RFC 5079) when the trunk takes no withheld callers, `privacy_not_possible` (500,
/// RFC 3323 §5) when the caller insists on privacy of a kind that we do not know, `diverted_too_often` (482).
pub fn admit(trunk: &Trunk, request: &Message) -> Result<CallerIdentity, Reject> {
    let identity = caller(trunk, request);
    if identity.privacy.insists_on_unknown() {
        return Err(Reject::new(500, "privacy_not_possible"));
    }
    if identity.reason == Some("withheld") && trunk.identity.withheld_refused {
        return Err(Reject::new(433, "anonymity_disallowed"));
    }
    if diversion::total(&identity.diversions) > limits::DIVERSIONS || diversion::limit_reached(&identity.diversions) {
        return Err(Reject::new(482, "diverted_too_often"));
    }
    Ok(identity)
}

/// The first source of the trunk's list that names a caller; withheld by Privacy (RFC 3323), by the privacy of
/// Remote-Party-ID or by an anonymous From.
pub fn caller(trunk: &Trunk, request: &Message) -> CallerIdentity {
    let privacy = Privacy::read(request.list("Privacy"));
    let (diversions, history) = match trunk.trust_identity {
        true => (diversion::read(request, trunk), history::read(request)),
        false => (Vec::new(), Vec::new()),
    };
    let way = CallerIdentity { privacy, diversions, history, ..CallerIdentity::default() };
    let party = trunk.identity.sources.iter().find_map(|source| party(trunk, *source, request));
    let Some(party) = party else {
        return CallerIdentity { reason: Some("unreadable"), ..way };
    };
    let display = match &trunk.identity.display {
        DisplayRule::Keep => party.display.filter(|_| !party.name_hidden),
        DisplayRule::Strip => None,
        DisplayRule::Replace(text) => Some(text.clone()),
    };
    if privacy.hides_caller() || party.number_hidden {
        let hidden = party.number.filter(|_| party.asserted);
        return CallerIdentity { reason: Some("withheld"), hidden, ..way };
    }
    CallerIdentity {
        asserted: party.asserted && party.number.is_some(),
        reason: party.number.is_none().then_some("unreadable"),
        number: party.number,
        display,
        ..way
    }
}

/// One who is named by a header.
struct Party {
    number: Option<String>,
    display: Option<String>,
    number_hidden: bool,
    name_hidden: bool,
    asserted: bool,
}

fn party(trunk: &Trunk, source: IdentitySource, request: &Message) -> Option<Party> {
    match source {
        IdentitySource::From => party_of_from(trunk, request),
        _ if !trunk.trust_identity => None,
        IdentitySource::Asserted => {
            best_of(trunk, request, "P-Asserted-Identity").map(|party| Party { asserted: true, ..party })
        }
        IdentitySource::Preferred => best_of(trunk, request, "P-Preferred-Identity"),
        IdentitySource::RemoteParty => {
            let values = request.list("Remote-Party-ID").take(limits::IDENTITIES);
            let mut calling = values
                .filter_map(|value| NameAddr::parse(value).ok())
                .filter(|value| value.param("party").is_none_or(|party| party.eq_ignore_ascii_case("calling")));
            calling.next().map(|value| party_of_remote(trunk, &value))
        }
    }
}

fn party_of_from(trunk: &Trunk, request: &Message) -> Option<Party> {
    // An anonymous From says that the caller wants privacy only when nothing better names the caller.
    request.from().ok().map(|from| read_party(trunk, &from))
}

/// RFC 3325 §9.1: a `sip` and a `tel` value may stand there. The first that is a number names the caller, the first
/// display name is theirs.
fn best_of(trunk: &Trunk, request: &Message, name: &str) -> Option<Party> {
    let mut best: Option<Party> = None;
    for value in request.list(name).take(limits::IDENTITIES) {
        let Ok(value) = NameAddr::parse(value) else { continue };
        let party = read_party(trunk, &value);
        let is_number = |party: &Party| party.number.as_ref().is_some_and(|number| number.starts_with('+'));
        best = Some(match best {
            None => party,
            Some(first) if !is_number(&first) && is_number(&party) => {
                Party { display: first.display.or(party.display), ..party }
            }
            Some(first) => Party { display: first.display.or(party.display), ..first },
        });
    }
    best
}

/// draft-ietf-sip-privacy: `privacy=full|name|uri|off`, also with `-network`; `screen=no`: nobody checked it.
fn party_of_remote(trunk: &Trunk, value: &NameAddr<'_>) -> Party {
    let party = read_party(trunk, value);
    let (mut number_hidden, mut name_hidden) = (party.number_hidden, false);
    for word in value.param("privacy").unwrap_or("off").trim_matches('"').split([',', ' ']).filter(|w| !w.is_empty()) {
        let word = word.get(..4).unwrap_or(word).to_ascii_lowercase();
        match word.as_str() {
            "off" => {}
            "name" => name_hidden = true,
            _ => (number_hidden, name_hidden) = (true, true),
        }
    }
    let asserted = value.param("screen").is_none_or(|screen| screen.trim_matches('"').eq_ignore_ascii_case("yes"));
    Party { asserted, number_hidden, name_hidden, ..party }
}

fn read_party(trunk: &Trunk, party: &NameAddr<'_>) -> Party {
    let user = user_of(&party.uri).unwrap_or_default();
    let anonymous = ["anonymous", "restricted", "unavailable", "unknown", "private"]
        .iter()
        .any(|word| user.eq_ignore_ascii_case(word))
        || party.uri.host.eq_ignore_ascii_case("anonymous.invalid");
    let number = crate::core::number::caller(&user, trunk.country.as_deref())
        .map(|number| number.as_str().to_owned())
        // Letters are a name; signs alone are nobody.
        .or_else(|| presentable(&user).filter(|text| text.chars().any(char::is_alphanumeric)));
    Party {
        number: number.filter(|_| !anonymous),
        display: presentable(&party.display_text()),
        number_hidden: anonymous,
        name_hidden: false,
        asserted: false,
    }
}

/// Text without control characters, bounded; `None` when nothing is left. Marks that turn the direction of writing are
/// left out with them: they make one number look like another.
fn presentable(text: &str) -> Option<String> {
    let is_mark = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean: String = text.chars().filter(|c| !c.is_control() && !is_mark(*c)).take(limits::CALLER_TEXT).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests;
