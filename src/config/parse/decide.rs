//! `[company.decide]`.

use super::super::check::Marks;
use super::super::read::{Reader, Section};
use super::super::{Decide, Fallback, Secret, value};
use super::destinations::optional_list;
use super::web::{http_header, names_private_address};
use super::{choice, duration};
use crate::limits;

pub(super) fn decide<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Decide> {
    let mut s = r.section(company, "decide");
    let is_there = s.is_present();
    let url = r.text(&mut s, "url", value::http_url);
    let secret = r.secret(&mut s, "secret", "secret_file");
    let (url, secret) = if is_there {
        let url = r.required(&s, "url", url, "the webhook that is asked, like \"https://crm.example.com/decide\"");
        let hint =
            "the key that signs the questions (or `secret_file`), so that the webhook can tell them from others'";
        (url, r.required(&s, "secret", secret, hint))
    } else {
        (url.optional(), secret.optional())
    };
    let timeout = duration(r, &mut s, "timeout", limits::DECISION_TIMEOUT_MIN, limits::DECISION_TIMEOUT_MAX);
    let fallback = choice(r, &mut s, "default", &Fallback::ALL).unwrap_or_default();
    let headers = r.map(&mut s, "headers", http_header).or(std::collections::BTreeMap::new());
    let allow_private = r.boolean(&mut s, "allow_private").optional();
    let forward_to = optional_list(r, &mut s, marks);
    r.end(s);
    let url = url?;
    Some(Decide {
        allow_private: allow_private.unwrap_or_else(|| names_private_address(&url)),
        timeout: timeout.or(limits::DECISION_TIMEOUT),
        secret: Secret(secret?),
        url,
        fallback,
        headers,
        forward_to,
    })
}
