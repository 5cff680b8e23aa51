//! `[trunk.register]`: a trunk that we log in to.

use std::sync::Arc;

use super::super::super::read::{Reader, Section};
use super::super::super::{Register, Secret, value};
use super::super::{DAY, MINUTE, duration};
use super::credentials::{realm, user};
use crate::core::auth::Credentials;
use crate::limits;
use crate::wire::sip::{Uri, escape_user};

/// The registration, and the credentials that stand in it.
pub(super) fn register<'t>(
    r: &mut Reader<'t>,
    trunk: &mut Section<'_, 't>,
    name: Option<&str>,
) -> Option<(Register, Option<Arc<Credentials>>)> {
    let mut s = r.section(trunk, "register");
    let registrar = r.text(&mut s, "registrar", registrar);
    let registrar = r.required(&s, "registrar", registrar, "where to register, like \"sip:carrier.example\"");
    let user = r.text(&mut s, "user", user);
    let user = r.required(&s, "user", user, "the name that the trunk knows us by");
    let secret = r.secret(&mut s, "password", "password_file").optional();
    let realm = r.text(&mut s, "realm", realm).optional();
    let contacts = r.list(&mut s, "contacts", value::host_port).or(Vec::new());
    if contacts.len() > limits::REGISTER_CONTACTS {
        let message =
            format!("`contacts` has {} hosts; at most {} are used", contacts.len(), limits::REGISTER_CONTACTS);
        r.problem(s.place(), message);
    }
    let expires = duration(r, &mut s, "expires", MINUTE, DAY).or(60 * MINUTE);
    r.end(s);
    let (registrar, user) = (registrar?, user?);
    let (part, host) = match user.split_once('@') {
        Some((part, host)) => (part, host.to_owned()),
        None => (&*user, Uri::parse(&registrar).ok().map(|uri| host_text(uri.host))?),
    };
    let aor = format!("sip:{}@{host}", escape_user(part));
    let contacts = contacts.into_iter().map(|(contact, _)| contact).collect();
    // Digest knows the user by the part before the @, unless [trunk.credentials] says otherwise.
    let login = |secret| Credentials {
        user: part.to_owned(),
        secret: Secret(secret),
        realm,
        trunk: name.unwrap_or_default().into(),
    };
    Some((Register { registrar, aor, contacts, expires }, secret.map(|secret| Arc::new(login(secret)))))
}

fn host_text(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn registrar(text: &str) -> Result<String, String> {
    let bad = || format!("`{}` is not a registrar; write it like \"sip:carrier.example\"", text.escape_debug());
    let uri = Uri::parse(text).map_err(|_| bad())?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['@', '?', '<', '>', '"', '{']);
    if !uri.is_sip() || uri.host.is_empty() || !plain {
        return Err(bad());
    }
    crate::core::locate::Query::of(&uri, &crate::core::locate::Names::default()).map_err(|_| bad())?;
    Ok(text.to_owned())
}
