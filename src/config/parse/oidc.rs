//! `[http.oidc]`.

use std::collections::BTreeMap;

use super::super::read::{Reader, Section};
use super::super::{Oidc, Secret, value};
use super::web::names_private_address;
use crate::core::rights::Grant;

pub(super) fn read<'t>(r: &mut Reader<'t>, http: &mut Section<'_, 't>) -> Option<Oidc> {
    let mut s = r.section(http, "oidc");
    let is_there = s.is_present();
    let issuer = r.text(&mut s, "issuer", issuer);
    let client_id = r.text(&mut s, "client_id", |text| value::printable(text, 256));
    let public_url = r.text(&mut s, "public_url", value::origin);
    let (issuer, client_id, public_url) = if is_there {
        let hint = "the provider as it names itself, like \"https://id.example.com/realms/acme\"";
        let issuer = r.required(&s, "issuer", issuer, hint);
        let client_id = r.required(&s, "client_id", client_id, "how the provider knows this node");
        let hint = "the address of this node as browsers see it, like \"https://calls.example.com\"";
        (issuer, client_id, r.required(&s, "public_url", public_url, hint))
    } else {
        (issuer.optional(), client_id.optional(), public_url.optional())
    };
    let client_secret = r.secret(&mut s, "client_secret", "client_secret_file").optional();
    let scopes = r.list(&mut s, "scopes", scope).optional();
    let claim = r.text(&mut s, "claim", |text| value::printable(text, 128)).or("email".to_owned());
    let groups_claim = r.text(&mut s, "groups_claim", |text| value::printable(text, 128)).or("groups".to_owned());
    let roles = r.map(&mut s, "roles", |_, roles| grants(roles)).or(BTreeMap::new());
    let title = r.text(&mut s, "title", |text| value::printable(text, 64)).optional();
    r.end(s);
    Some(Oidc {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: client_secret.map(Secret),
        public_url: public_url?,
        scopes: match scopes {
            Some(scopes) => scopes.into_iter().map(|(scope, _)| scope).collect(),
            None => vec!["email".to_owned(), "profile".to_owned()],
        },
        claim,
        groups_claim,
        roles,
        title,
    })
}

/// Kept as it is written: the provider's tokens name it letter by letter.
fn issuer(text: &str) -> Result<String, String> {
    let url = value::http_url(text)?;
    if url.scheme() != "https" && !names_private_address(&url) {
        return Err("must begin with https:// beyond this machine and its network: it says who may sign in".to_owned());
    }
    Ok(text.to_owned())
}

/// RFC 6749 §3.3.
fn scope(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    match !text.is_empty() && text.len() <= 128 && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err("is not a scope, like \"email\"".to_owned()),
    }
}

fn grants(text: &str) -> Result<(), String> {
    for grant in text.split(',') {
        grant.trim().parse::<Grant>().map_err(|bad| format!("`{}`: {bad}", grant.trim()))?;
    }
    Ok(())
}
