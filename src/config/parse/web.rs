//! `[[site]]`, `[[pool]]` and `[[sink]]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::check::Marks;
use super::super::read::{Found, Place, Reader, Section};
use super::super::{Pool, PoolKind, Secret, Sink, Site, value};
use super::defence::many;
use super::{DAY, MINUTE, choice_found, duration, named, path};
use crate::core::lease::Channel;
use crate::ids::E164;
use crate::limits;

pub(super) fn site<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Site> {
    let name = named(r, s, marks);
    let company = r.text(s, "company", value::name);
    marks.note("company", &company);
    let company = r.required(s, "company", company, "the `name` of a [[company]]");
    let origins = r.list(s, "origins", value::origin);
    let origins = r.required(s, "origins", origins, "the site's addresses, like [\"https://www.example.com\"]");
    if origins.as_ref().is_some_and(Vec::is_empty) {
        r.problem(s.place(), "`origins` is empty: no page could ask for a number; write [\"https://www.example.com\"]");
    }
    let origins = origins.unwrap_or_default().into_iter().map(|(origin, _)| origin).collect();
    let visits = super::pool::visits(r, s);
    Some(Site { name: name?, company: company?, origins, visits })
}

pub(super) fn pool<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    total: &mut usize,
    marks: &mut Marks,
) -> Option<Pool> {
    let name = named(r, s, marks);
    let company = r.text(s, "company", value::name);
    marks.note("company", &company);
    let company = r.required(s, "company", company, "the `name` of a [[company]]");
    let kind = choice_found(r, s, "kind", &[("static", PoolKind::Static), ("dynamic", PoolKind::Dynamic)]);
    let kind = r.required(s, "kind", kind, "\"dynamic\" (leased to visitors) or \"static\" (belongs to a channel)");
    let room = limits::NUMBERS.saturating_sub(*total);
    let numbers = r.list(s, "numbers", |text| value::range(text, room));
    let numbers = r.required(s, "numbers", numbers, "the numbers, like [\"+442079460000..+442079460099\"]");
    if numbers.as_ref().is_some_and(Vec::is_empty) {
        r.problem(s.place(), "`numbers` is empty; write [\"+442079460000..+442079460099\"]");
    }
    let mut flat: Vec<E164> = Vec::new();
    for (part, place) in numbers.unwrap_or_default() {
        marks.items.push((flat.len(), place));
        flat.extend(part);
    }
    *total += flat.len();
    if *total > limits::NUMBERS {
        r.problem(s.place(), format!("the pools hold more than {} numbers in all", limits::NUMBERS));
        flat.clear();
    }
    let calls_max_per_number = many(r, s, "calls_max_per_number", limits::CALLS as u64);
    let site = r.text(s, "site", value::name);
    marks.note("site", &site);
    let hold = duration(r, s, "hold", limits::HOLD_MIN, 30 * DAY);
    let channel = r.map(s, "channel", channel_entry);
    match kind {
        Some(PoolKind::Dynamic) if site.is_absent() => {
            r.problem(
                s.place(),
                "a dynamic pool needs `site`: the `name` of the [[site]] whose visitors get its numbers",
            );
        }
        Some(PoolKind::Static) => {
            if channel.is_absent() {
                r.problem(
                    s.place(),
                    "a static pool needs `channel`, like { source = \"billboard\", medium = \"offline\" }",
                );
            }
            if let Found::Is(_, place) = &site {
                r.problem(place, "a static pool is never leased, so `site` does nothing here; take it out");
            }
            if let Found::Is(_, place) = &hold {
                r.problem(place, "a static pool is never leased, so `hold` does nothing here; take it out");
            }
        }
        _ => {}
    }
    if let Found::Is(map, place) = &channel
        && (map.is_empty() || map.len() > limits::CHANNEL_KEYS)
    {
        r.problem(place, format!("has {} keys; write 1 to {}", map.len(), limits::CHANNEL_KEYS));
    }
    let recording = r.boolean(s, "recording").optional();
    let rules = super::pool::rules(r, s, kind, marks);
    let site = site.optional();
    let hold = hold.or(30 * MINUTE);
    let channel: Option<Channel> = channel.optional().map(Arc::new);
    let (name, company, kind) = (name?, company?, kind?);
    Some(Pool { name, company, site, kind, numbers: flat, hold, channel, calls_max_per_number, recording, rules })
}

pub(super) fn sink<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    data_dir: &Path,
    marks: &mut Marks,
) -> Option<Sink> {
    #[derive(Clone, Copy)]
    enum Kind {
        Jsonl,
        Webhook,
    }
    let kind = choice_found(r, s, "kind", &[("jsonl", Kind::Jsonl), ("webhook", Kind::Webhook)]);
    let kind = r.required(s, "kind", kind, "\"jsonl\" or \"webhook\"");
    let name = r.text(s, "name", value::name);
    marks.name = Place { key: format!("{}.name", s.place().key), span: s.place().span.clone() };
    marks.note("name", &name);
    let Some(kind) = kind else {
        // Which keys belong here is not known without a kind: look at all, so that none is called unknown.
        for key in ["path", "url", "secret", "secret_file", "headers", "allow_private"] {
            drop(r.get(s, key, |_| Ok(())));
        }
        return None;
    };
    match kind {
        Kind::Jsonl => {
            let path = path(r, s, "path").unwrap_or_else(|| data_dir.join("events.jsonl"));
            Some(Sink::Jsonl { name: name.or("jsonl".to_owned()), path })
        }
        Kind::Webhook => {
            let url = r.text(s, "url", value::http_url);
            let url = r.required(s, "url", url, "where events are sent, like \"https://crm.example.com/hook\"");
            let secret = r.secret(s, "secret", "secret_file");
            let hint = "the key that signs events (or `secret_file`), so that the receiver can tell them from others'";
            let secret = r.required(s, "secret", secret, hint);
            let headers = r.map(s, "headers", http_header).or(BTreeMap::new());
            let allow_private = r.boolean(s, "allow_private").optional();
            let name = name.or("webhook".to_owned());
            url.zip(secret).map(|(url, secret)| {
                let allow_private = allow_private.unwrap_or_else(|| names_private_address(&url));
                Sink::Webhook { name, url, secret: Secret(secret), headers, allow_private }
            })
        }
    }
}

/// The operator wrote the address out: then it is meant.
pub(in super::super) fn names_private_address(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(a)) => a.is_private() || a.is_loopback() || a.is_link_local(),
        Some(url::Host::Ipv6(a)) => a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn channel_entry(key: &str, text: &str) -> Result<(), String> {
    value::name(key)?;
    value::printable(text, limits::CHANNEL_VALUE).map(drop)
}

pub(super) fn http_header(name: &str, text: &str) -> Result<(), String> {
    let taken = ["content-type", "content-length", "host", "transfer-encoding", "connection"];
    let lower = name.to_ascii_lowercase();
    if taken.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        return Err(format!("`{name}` is written by the request itself; take it out"));
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&b);
    if !(1..=128).contains(&name.len()) || !name.bytes().all(token) {
        return Err("is not a header name".to_owned());
    }
    value::printable(text, 1024).map(drop)
}
