//! `[sip.tls]`: certificate, key and whom to believe; `[media.dtls]`: certificate and key.

use std::path::PathBuf;
use std::time::SystemTime;

use super::super::check::Places;
use super::super::dtls::DtlsIdentity;
use super::super::read::{Found, Place, Reader, Section};
use super::super::tls::{Authorities, ClientCertificates, Identity, MinVersion, Tls};
use super::choice;

pub(super) fn tls<'t>(r: &mut Reader<'t>, sip: &mut Section<'_, 't>, places: &mut Places) -> Tls {
    let mut s = r.section(sip, "tls");
    let (identity, is_wanted) = pair(r, &mut s, "sip.tls", Identity::read);
    let ca = file(r, &mut s, "ca");
    let ca = ca.and_then(|(file, place)| Authorities::read(file).map_err(|message| r.problem(&place, message)).ok());
    let asked = [
        ("off", ClientCertificates::Off),
        ("optional", ClientCertificates::Optional),
        ("required", ClientCertificates::Required),
    ];
    let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
    let default = Tls::default();
    let tls = Tls {
        identity,
        ca,
        client_certificates: choice(r, &mut s, "client_certificates", &asked).unwrap_or(default.client_certificates),
        min_version: choice(r, &mut s, "min_version", &versions).unwrap_or(default.min_version),
    };
    places.tls_is_bad = is_wanted && tls.identity.is_none();
    r.end(s);
    tls
}

/// `[media.dtls]`.
pub(super) fn dtls<'t>(r: &mut Reader<'t>, media: &mut Section<'_, 't>) -> Option<DtlsIdentity> {
    let mut s = r.section(media, "dtls");
    let (identity, _) = pair(r, &mut s, "media.dtls", DtlsIdentity::read);
    r.end(s);
    identity
}

/// A certificate and its key, read at this time, and whether any of them is named.
fn pair<'t, T>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    section: &str,
    read: impl FnOnce(PathBuf, PathBuf, i64) -> Result<T, String>,
) -> (Option<T>, bool) {
    let (certificate, key) = (file(r, s, "certificate"), file(r, s, "key"));
    let is_wanted = certificate.is_some() || key.is_some();
    let identity = match (certificate, key) {
        (Some((certificate, place)), Some((key, _))) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let read = read(certificate, key, i64::try_from(now).unwrap_or(i64::MAX));
            read.map_err(|message| r.problem(&place, message)).ok()
        }
        (Some((_, place)), None) => {
            r.problem(&place, format!("has no key; set `{section}.key` too"));
            None
        }
        (None, Some((_, place))) => {
            r.problem(&place, format!("has no certificate; set `{section}.certificate` too"));
            None
        }
        (None, None) => None,
    };
    (identity, is_wanted)
}

fn file<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str) -> Option<(PathBuf, Place)> {
    let text = r.text(s, key, |text| {
        if text.is_empty() || text.contains('\0') { Err("is not a path".to_owned()) } else { Ok(text.to_owned()) }
    });
    match text {
        Found::Is(text, place) => Some((r.relative(&text), place)),
        Found::Absent | Found::Bad => None,
    }
}
