//! Lists of destinations: `forward_to` of a company and of everything in it that sends calls somewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::check::Marks;
use super::super::read::{Found, Item, Place, Reader, Section};
use super::super::{Company, Destination, MediaEncryption, Source, Strategy, Trunk, Ways, destination, value};
use super::{MINUTE, SECOND, choice, count, duration};
use crate::limits;

/// `forward_to` and `strategy` of a table.
pub(super) fn ways<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Ways {
    let forward_to = destinations(r, s, marks);
    Ways { forward_to, strategy: choice(r, s, "strategy", &Strategy::ALL).unwrap_or_default() }
}

/// The same of a table that need not have them.
pub(super) fn optional_ways<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Ways> {
    match r.items(s, "forward_to") {
        Found::Absent => {
            if choice(r, s, "strategy", &Strategy::ALL).is_some() {
                r.problem(s.place(), "`strategy` is of no use without `forward_to`");
            }
            None
        }
        Found::Bad | Found::Is(..) => Some(ways(r, s, marks)),
    }
}

/// `forward_to` alone, of a table that need not have it.
pub(super) fn optional_list<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    marks: &mut Marks,
) -> Vec<Arc<Destination>> {
    match r.items(s, "forward_to") {
        Found::Absent => Vec::new(),
        Found::Bad | Found::Is(..) => destinations(r, s, marks),
    }
}

/// The list under `forward_to`, which must be there. Trunks are filled in later by [`through_trunks`].
fn destinations<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Vec<Arc<Destination>> {
    let list = match r.items(s, "forward_to") {
        Found::Is(items, place) => {
            if items.is_empty() || items.len() > limits::DESTINATIONS {
                let n = items.len();
                r.problem(&place, format!("has {n} destinations; write 1 to {}", limits::DESTINATIONS));
            }
            Some(items)
        }
        found => r.required(s, "forward_to", found, "the company's destinations, like [\"sip:{number}@192.0.2.20\"]"),
    };
    let read = list.into_iter().flatten().filter_map(|item| match item {
        Item::Text(text, place) => match destination::parse(text) {
            Ok(_) => Some((Destination::plain(text), place)),
            Err(message) => {
                r.problem(&place, message);
                None
            }
        },
        Item::Table(mut section) => {
            let place = section.place().clone();
            let destination = one(r, &mut section);
            r.end(section);
            Some((destination?, place))
        }
    });
    let mut list = Vec::new();
    for (destination, place) in read {
        marks.destinations.push(place);
        list.push(Arc::new(destination));
    }
    list
}

/// `{ uri = "sip:…", trunk = "carrier", … }` or `{ trunk = "carrier", number = "+44…" }`.
fn one<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<Destination> {
    let uri = r.text(s, "uri", |text| destination::parse(text).map(|_| text.to_owned()));
    let trunk = r.text(s, "trunk", value::name);
    let number = r.text(s, "number", |text| match text {
        "{number}" | "{caller}" => Ok(text.to_owned()),
        text => value::number(text).map(|number| number.as_str().to_owned()),
    });
    let good = match (&uri, &number) {
        (Found::Is(..), Found::Absent) => true,
        (Found::Absent, Found::Is(..)) if matches!(trunk, Found::Is(..)) => true,
        (Found::Bad, _) | (_, Found::Bad) => false,
        (Found::Is(..), Found::Is(_, place)) => {
            r.problem(place, "`uri` and `number` are both given; keep one of them");
            false
        }
        (Found::Absent, _) => {
            let message = "needs `uri`, or `number` with the `trunk` that takes it";
            r.problem(s.place(), message);
            false
        }
    };
    let weight = r.integer(s, "weight", 0..1_001).or(1);
    let destination = Destination {
        name: r.text(s, "name", value::name).optional(),
        label: Arc::from(""),
        counted: None,
        uri: uri.or(String::new()),
        trunk_name: trunk.optional(),
        number: number.optional(),
        trunk: None,
        weight: u32::try_from(weight).unwrap_or(1),
        calls_max: count(r, s, "calls_max", 1),
        ring_timeout: duration(r, s, "ring_timeout", SECOND, 10 * MINUTE).optional(),
        redirects: redirects(r, s),
        media_encryption: choice(r, s, "media_encryption", &MediaEncryption::ALL),
    };
    good.then_some(destination)
}

/// `redirects` of a destination or a trunk: whether a 3xx of theirs is followed.
pub(super) fn redirects<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<bool> {
    choice(r, s, "redirects", &[("refuse", false), ("follow", true)])
}

/// Finds the trunk of every destination, and writes the URIs of those that are a number at a trunk.
pub(super) fn through_trunks(
    r: &mut Reader<'_>,
    companies: &mut [Company],
    marks: &[Marks],
    trunks: &[Arc<Trunk>],
    trunks_lost: bool,
) {
    let by_name: HashMap<&str, &Arc<Trunk>> = trunks.iter().map(|trunk| (trunk.name.as_str(), trunk)).collect();
    let marks = marks.iter().filter(|marks| !marks.lost);
    for (company, marks) in companies.iter_mut().zip(marks) {
        let mut places = marks.destinations.iter();
        let (name, idle_matters) = (company.name.clone(), company.needs_idle_times());
        for destination in company.every_destination_mut() {
            let place = places.next().cloned().unwrap_or_default();
            let Some(destination) = Arc::get_mut(destination) else { continue };
            if let Some(name) = &destination.trunk_name {
                destination.trunk = by_name.get(name.as_str()).map(|trunk| Arc::clone(trunk));
                if destination.trunk.is_none() {
                    if !trunks_lost {
                        r.problem(&place, format!("there is no trunk `{name}`; add a [[trunk]] or correct the name"));
                    }
                    continue;
                }
            }
            if let Some(number) = destination.number.clone() {
                match destination.proxy().and_then(|address| address.split_once(':')) {
                    Some((scheme, host)) => destination.uri = format!("{scheme}:{number}@{host}"),
                    None => no_way_out(r, &place, destination.trunk_name.as_deref().unwrap_or_default()),
                }
            }
            if destination.trunk.is_none()
                && let Ok(target) = destination::parse(&destination.uri)
            {
                destination.trunk = by_host(trunks, &target).or_else(|| by_source(trunks, target.address?)).cloned();
            }
            destination.label = Arc::from(destination.name.as_deref().unwrap_or(&destination.uri));
            if destination.calls_max.is_some() || idle_matters {
                destination.counted = Some(Arc::from(format!("{name}/{}", destination.label)));
            }
        }
    }
}

fn no_way_out(r: &mut Reader<'_>, place: &Place, trunk: &str) {
    let message = format!("trunk `{trunk}` has no `address`; give it one, like \"sip:sbc.carrier.example\"");
    r.problem(place, message);
}

fn by_host<'c>(trunks: &'c [Arc<Trunk>], target: &destination::Destination) -> Option<&'c Arc<Trunk>> {
    trunks.iter().find(|trunk| {
        let way = trunk.address.as_deref().and_then(|text| destination::parse(text).ok());
        way.is_some_and(|way| way.host.eq_ignore_ascii_case(&target.host))
    })
}

/// The trunk with the longest prefix that holds the address.
fn by_source(trunks: &[Arc<Trunk>], address: IpAddr) -> Option<&Arc<Trunk>> {
    let address = address.to_canonical();
    let held = |trunk: &Arc<Trunk>| {
        let length = |source: &Source| match source {
            Source::Network(net) => net.contains(&address).then(|| net.prefix_len()),
            Source::Address(one) => (one.ip() == address).then_some(u8::MAX),
            Source::Tls(_) => None,
        };
        trunk.sources.iter().filter_map(length).max()
    };
    trunks.iter().filter_map(|trunk| Some((held(trunk)?, trunk))).max_by_key(|(length, _)| *length).map(|(_, t)| t)
}
