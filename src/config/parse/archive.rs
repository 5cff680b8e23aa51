//! `[[retention]]`, and the part of `[recording]` that is about afterwards.

use std::path::Path;

use super::super::read::{Reader, Section};
use super::super::{Company, Keep, Pool, value};
use super::small;
use crate::core::archive::retention::Rule;
use crate::limits;

/// A hundred years.
const DAYS_MAX: u64 = 36_500;

/// The keys of `[recording]`; retention's classes come with [`retention`].
pub(super) fn keep<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, data_dir: &Path) -> Keep {
    let signing_key_file = super::path(r, s, "signing_key_file");
    let days = r.integer(s, "retention_days", 0..DAYS_MAX + 1).or(0);
    let most = r.integer(s, "deletions_max", 1..1_000_001).or(1_000);
    let recipients = r.list(s, "recipients", |text| {
        let read = text.parse::<age::x25519::Recipient>();
        read.map(|_| text.to_owned()).map_err(|_| "is not a recipient of age, like \"age1…\"".to_owned())
    });
    let identity_file = super::path(r, s, "identity_file");
    let rule = |days| Rule { name: "retention_days".to_owned(), company: None, pool: None, days };
    Keep {
        signing_key_file: signing_key_file.unwrap_or_else(|| data_dir.join("keys").join("signing.key")),
        retention: u32::try_from(days).ok().filter(|days| *days > 0).map(rule).into_iter().collect(),
        deletions_max: small(most),
        recipients: recipients.or(Vec::new()).into_iter().map(|(recipient, _)| recipient).collect(),
        identity_file,
    }
}

/// `[[retention]]`: classes of calls, in front of the rule for all others.
pub(super) fn retention<'t>(
    r: &mut Reader<'t>,
    root: &mut Section<'_, 't>,
    keep: &mut Keep,
    companies: &[Company],
    pools: &[Pool],
) {
    let mut rules = Vec::new();
    for mut s in r.sections(root, "retention") {
        let name = r.text(&mut s, "name", value::name);
        let name = r.required(&s, "name", name, "what tombstones call this rule, like \"short\"");
        let company = r.text(&mut s, "company", value::name).optional();
        let pool = r.text(&mut s, "pool", value::name).optional();
        let days = r.integer(&mut s, "days", 0..DAYS_MAX + 1);
        let days = r.required(&s, "days", days, "how many days after the call its recording goes; 0: never");
        let unknown = |wanted: &Option<String>, mut known: Box<dyn Iterator<Item = &str> + '_>| {
            wanted.clone().filter(|wanted| !known.any(|name| name == wanted))
        };
        if let Some(company) = unknown(&company, Box::new(companies.iter().map(|company| company.name.as_str()))) {
            r.problem(s.place(), format!("the company `{company}` is not there"));
        }
        if let Some(pool) = unknown(&pool, Box::new(pools.iter().map(|pool| pool.name.as_str()))) {
            r.problem(s.place(), format!("the pool `{pool}` is not there"));
        }
        if rules.len() >= limits::RETENTION_RULES {
            r.problem(s.place(), "more rules than are read");
        } else if let (Some(name), Some(days)) = (name, days) {
            rules.push(Rule { name, company, pool, days: u32::try_from(days).unwrap_or(u32::MAX) });
        }
        r.end(s);
    }
    rules.append(&mut keep.retention);
    keep.retention = rules;
}
