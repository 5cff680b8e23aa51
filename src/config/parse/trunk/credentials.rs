//! `[trunk.credentials]`: what we log in with at the trunk.

use std::sync::Arc;

use super::super::super::read::{Reader, Section};
use super::super::super::{Secret, value};
use crate::core::auth::Credentials;
use crate::limits;

/// `trunk`: the trunk's name, when it was read.
pub(super) fn credentials<'t>(
    r: &mut Reader<'t>,
    trunk: &mut Section<'_, 't>,
    name: Option<&str>,
) -> Option<Arc<Credentials>> {
    let mut s = r.section(trunk, "credentials");
    let user = r.text(&mut s, "user", user);
    let user = r.required(&s, "user", user, "the name that the trunk knows us by");
    let secret = r.secret(&mut s, "password", "password_file");
    let secret = r.required(&s, "password", secret, "the password, or `password_file`");
    let realm = r.text(&mut s, "realm", realm).optional();
    r.end(s);
    Some(Arc::new(Credentials { user: user?, secret: Secret(secret?), realm, trunk: name?.into() }))
}

/// User part of a login.
pub(super) fn user(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; write the name that the trunk knows us by".to_owned());
    }
    value::printable(text, limits::AUTH_USER)
}

pub(super) fn realm(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; leave it out to answer any realm".to_owned());
    }
    value::printable(text, limits::AUTH_REALM)
}
