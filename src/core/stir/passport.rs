//! PASSporT (RFC 8225) in an Identity header (RFC 8224 §4): reading.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{ALGORITHM, Fault, INFO_MISMATCH, UNREADABLE, digits};
use crate::limits;
use crate::wire::sip::Params;

/// What a token claims. Telephone numbers are digits only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passport {
    /// `shaken`, `div`, …; `None`: the base form.
    pub(super) ppt: Option<String>,
    pub(super) x5u: String,
    /// Seconds since the epoch.
    pub(super) iat: u64,
    pub(super) orig: String,
    pub(super) dest: Vec<String>,
    pub(super) div: Option<String>,
    pub(super) attest: Option<String>,
    pub(super) origid: Option<String>,
    pub(super) signing_input: String,
    /// `r || s`, 64 bytes.
    pub(super) signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    x5u: String,
    ppt: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    orig: Party,
    dest: Parties,
    iat: u64,
    div: Option<Party>,
    attest: Option<String>,
    origid: Option<String>,
}

#[derive(Deserialize)]
struct Party {
    tn: Option<String>,
    uri: Option<String>,
}

#[derive(Deserialize)]
struct Parties {
    #[serde(default)]
    tn: Vec<String>,
    #[serde(default)]
    uri: Vec<String>,
}

/// Reads one Identity value. `claims` gives caller, dialled number and time for the compact form.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(value: &str, claims: impl FnOnce() -> Option<(String, String, u64)>) -> Result<Passport, Fault> {
    let (token, params) = value.split_once(';').ok_or(UNREADABLE)?;
    let param = |name: &str| Params::new(params).find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v);
    let info = param("info").ok_or(UNREADABLE)?;
    let info = info.strip_prefix('<').and_then(|info| info.strip_suffix('>')).ok_or(UNREADABLE)?;
    if param("alg").is_some_and(|alg| alg != "ES256") {
        return Err(ALGORITHM);
    }
    let mut parts = token.trim().split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(UNREADABLE);
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| UNREADABLE)?;
    match (header, payload) {
        ("", "") => compact(info, param("ppt"), claims().ok_or(UNREADABLE)?, signature),
        _ => full(info, param("ppt"), header, payload, signature),
    }
}

fn full(info: &str, ppt: Option<&str>, header: &str, payload: &str, signature: Vec<u8>) -> Result<Passport, Fault> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| UNREADABLE);
    let read: Header = serde_json::from_slice(&decode(header)?).map_err(|_| UNREADABLE)?;
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| UNREADABLE)?;
    if read.alg != "ES256" {
        return Err(ALGORITHM);
    }
    if read.typ != "passport" || ppt.is_some_and(|ppt| read.ppt.as_deref() != Some(ppt)) {
        return Err(UNREADABLE);
    }
    if read.x5u != info {
        return Err(INFO_MISMATCH);
    }
    let known = |text: &String| matches!(text.as_str(), "A" | "B" | "C");
    // RFC 8588 §4: `shaken` without these is none.
    if read.ppt.as_deref() == Some("shaken") && (!claims.attest.as_ref().is_some_and(known) || claims.origid.is_none())
        || read.ppt.as_deref() == Some("div") && claims.div.is_none()
        || claims.dest.tn.len() + claims.dest.uri.len() > limits::PASSPORT_PARTIES
    {
        return Err(UNREADABLE);
    }
    let one = |party: &Party| party.tn.as_deref().and_then(digits).or_else(|| party.uri.clone());
    let mut dest: Vec<String> = claims.dest.tn.iter().filter_map(|tn| digits(tn)).collect();
    dest.extend(claims.dest.uri);
    let short =
        |text: String| -> String { text.chars().filter(|c| !c.is_control()).take(limits::CALLER_TEXT).collect() };
    Ok(Passport {
        ppt: read.ppt,
        x5u: read.x5u,
        iat: claims.iat,
        orig: one(&claims.orig).ok_or(UNREADABLE)?,
        dest,
        div: claims.div.as_ref().and_then(one),
        attest: claims.attest.filter(known),
        origid: claims.origid.map(short),
        signing_input: format!("{header}.{payload}"),
        signature,
    })
}

/// RFC 8225 §7: keys in lexicographic order, no white space. Extensions have claims that the message does not show, so
/// only the base form can be compact here.
fn compact(
    info: &str,
    ppt: Option<&str>,
    (orig, dest, iat): (String, String, u64),
    signature: Vec<u8>,
) -> Result<Passport, Fault> {
    if ppt.is_some() {
        return Err(UNREADABLE);
    }
    let header = serde_json::json!({ "alg": "ES256", "typ": "passport", "x5u": info });
    let claims = serde_json::json!({ "dest": { "tn": [dest] }, "iat": iat, "orig": { "tn": orig } });
    Ok(Passport {
        ppt: None,
        x5u: info.to_owned(),
        iat,
        orig,
        dest: vec![dest],
        div: None,
        attest: None,
        origid: None,
        signing_input: signing_input(&header, &claims),
        signature,
    })
}

/// Both parts in base64, with a dot between; the objects' keys must be in order already.
pub(super) fn signing_input(header: &serde_json::Value, claims: &serde_json::Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}
