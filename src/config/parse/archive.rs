//! `[[retention]]`, and the part of `[recording]` that is about afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::read::{Found, Reader, Section};
use super::super::{Company, Keep, Packing, Pool, S3, Secret, TimeAuthority, value};
use super::{DAY, choice_found, duration, small};
use crate::core::archive::retention::Rule;
use crate::core::archive::timestamp::Roots;
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
    let archive_after = duration(r, s, "archive_after", Duration::ZERO, DAY * 36_500).or(Duration::ZERO);
    let rule = |days| Rule { name: "retention_days".to_owned(), company: None, pool: None, days, low_priority: false };
    let archive_as = choice_found(r, s, "archive_as", &Packing::ALL).or(Packing::Flac);
    let time_authority = time_authority(r, s);
    Keep {
        signing_key_file: signing_key_file.unwrap_or_else(|| data_dir.join("keys").join("signing.key")),
        retention: u32::try_from(days).ok().filter(|days| *days > 0).map(rule).into_iter().collect(),
        deletions_max: small(most),
        recipients: recipients.or(Vec::new()).into_iter().map(|(recipient, _)| recipient).collect(),
        identity_file,
        archive_after,
        archive_as,
        time_authority,
    }
}

/// Who time-stamps closed days.
fn time_authority<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<TimeAuthority> {
    let url = r.text(s, "timestamp_url", value::http_url).optional();
    let base = r.relative("");
    let roots = r.text(s, "timestamp_roots", |text| {
        let file = base.join(text);
        let pem = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let roots = Roots::parse(&pem).ok_or_else(|| format!("{} has no certificates in PEM", file.display()))?;
        Ok((file, roots))
    });
    if let (None, Found::Is(_, place)) = (&url, &roots) {
        r.problem(place, "is of use only with `timestamp_url`");
    }
    let (roots_file, roots) = roots.optional().unzip();
    Some(TimeAuthority { url: url?, roots, roots_file })
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
        let priority = choice_found(r, &mut s, "priority", &[("normal", false), ("low", true)]).or(false);
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
            rules.push(Rule {
                name,
                company,
                pool,
                days: u32::try_from(days).unwrap_or(u32::MAX),
                low_priority: priority,
            });
        }
        r.end(s);
    }
    rules.append(&mut keep.retention);
    keep.retention = rules;
}

/// `[[archive]]`: storages, each with a name of its own.
pub(super) fn archives<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Vec<S3> {
    let mut archives: Vec<S3> = Vec::new();
    for mut s in r.sections(root, "archive") {
        let kind = choice_found(r, &mut s, "kind", &[("s3", ())]);
        r.required(&s, "kind", kind, "\"s3\"");
        let name = r.text(&mut s, "name", value::name).or("s3".to_owned());
        let keep_local = r.boolean(&mut s, "keep_local").or(true);
        if archives.iter().any(|archive| archive.name == name) {
            r.problem(s.place(), format!("the name `{name}` is taken; give each archive a `name` of its own"));
        }
        let storage = storage(r, &mut s, name, keep_local);
        if archives.len() >= limits::ARCHIVES {
            r.problem(s.place(), "more archives than are used");
        } else {
            archives.extend(storage);
        }
        r.end(s);
    }
    archives
}

/// Where a storage is, and what opens it.
pub(super) fn storage<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, name: String, keep_local: bool) -> Option<S3> {
    let endpoint = r.text(s, "endpoint", value::http_url);
    let endpoint = r.required(s, "endpoint", endpoint, "where the storage is, like \"https://s3.example.com\"");
    let bucket = r.text(s, "bucket", |text| value::printable(text, 255));
    let bucket = r.required(s, "bucket", bucket, "the name of a bucket that is there");
    let region = r.text(s, "region", |text| value::printable(text, 64)).or("us-east-1".to_owned());
    let path_style = r.boolean(s, "path_style").or(true);
    let prefix = r.text(s, "prefix", |text| value::printable(text, 512)).or(String::new());
    let access_key = r.secret(s, "access_key", "access_key_file");
    let access_key = r.required(s, "access_key", access_key, "the key's name (or `access_key_file`)");
    let secret_key = r.secret(s, "secret_key", "secret_key_file");
    let secret_key = r.required(s, "secret_key", secret_key, "the key itself (or `secret_key_file`)");
    let (endpoint, bucket, secret_key) = (endpoint?, bucket?, Secret(secret_key?));
    let access_key: Arc<str> = access_key?;
    Some(S3 { name, endpoint, bucket, region, path_style, prefix, access_key, secret_key, keep_local })
}
