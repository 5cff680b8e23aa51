//! `[[trunk]]`: who may send us calls, and a way out.

mod credentials;
mod headers;
mod identity;
mod login;
mod probe;
mod reach;
mod register;
mod stir;

pub(super) use reach::media_networks;

use super::super::check::Marks;
use super::super::read::{Found, Reader, Section};
use super::super::{DialledIn, MediaEncryption, NumberFormat, ReasonHeader, Sip, Source, Trunk, destination, value};
use super::destinations::redirects;
use super::{choice, count, named, rate, sip, within};
use crate::limits;

pub(super) fn trunk<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, node: &Sip, marks: &mut Marks) -> Option<Trunk> {
    let name = named(r, s, marks);
    let any = r.boolean(s, "match_any").or(false);
    let sources = r.list(s, "match", value::source);
    let register = register::register(r, s, name.as_deref());
    // Where we register is where its calls come from.
    let login = login::login(r, s);
    if login.is_some() {
        marks.keys.insert("login", s.place().clone());
    }
    // Who logs in may come from anywhere.
    let is_found = register.is_some() || login.is_some();
    let sources = if is_found && sources.is_absent() { Found::Is(Vec::new(), s.place().clone()) } else { sources };
    let sources = match r.required(s, "match", sources, "the addresses of the trunk, like [\"192.0.2.10\"]") {
        None => Vec::new(),
        Some(sources) => {
            if sources.is_empty() && !is_found || sources.len() > limits::TRUNK_SOURCES {
                let message = match sources.len() {
                    0 => "is empty: nobody could call; write the addresses of the trunk, like [\"192.0.2.10\"]"
                        .to_owned(),
                    n => format!("has {n} networks; at most {} are read", limits::TRUNK_SOURCES),
                };
                r.problem(s.place(), format!("`match` {message}"));
            }
            let is_everybody = |source: &Source| matches!(source, Source::Network(net) if net.prefix_len() == 0);
            for (source, place) in sources.iter().filter(|(source, _)| is_everybody(source) && !any) {
                let message = format!(
                    "`{}` is everybody on the network: anyone could place calls; \
                     name the trunk's addresses, or write `match_any = true` if you mean it",
                    value::source_text(source)
                );
                r.problem(place, message);
            }
            marks.items = sources.iter().enumerate().map(|(i, (_, place))| (i, place.clone())).collect();
            sources.into_iter().map(|(source, _)| source).collect()
        }
    };
    let ways = [
        ("request-uri", DialledIn::RequestUri),
        ("to", DialledIn::To),
        ("p-called-party-id", DialledIn::PCalledPartyId),
        ("diversion", DialledIn::Diversion),
    ];
    let formats = [
        ("e164", NumberFormat::E164),
        ("plain", NumberFormat::Plain),
        ("national", NumberFormat::National),
        ("international", NumberFormat::International),
    ];
    let reasons = [
        ("off", ReasonHeader::Off),
        ("requests", ReasonHeader::Requests),
        ("responses", ReasonHeader::Responses),
        ("codes", ReasonHeader::Codes),
    ];
    let (register, registers_with) = register.unzip();
    let address = r.text(s, "address", way_out).optional();
    let matched = sources.iter().filter_map(|source| match source {
        Source::Network(net) => Some(*net),
        Source::Address(_) | Source::Tls(_) => None,
    });
    let media_networks = reach::media_networks(r, s, matched);
    let (codecs, codecs_at) = reach::codecs(r, s);
    if let Some(place) = codecs_at {
        marks.keys.insert("codecs", place);
    }
    let registrar = register.as_ref().map(|register| register.registrar.as_str());
    let transports = reach::transports(r, s, [("address", address.as_deref()), ("register.registrar", registrar)]);
    let trunk = Trunk {
        sources,
        probe: probe::probe(r, s, address.is_some() || register.is_some()),
        address,
        dialled_in: choice(r, s, "dialled_in", &ways).unwrap_or(DialledIn::RequestUri),
        country: r.text(s, "country", country).optional(),
        prefix: r.text(s, "prefix", prefix).or(String::new()),
        trust_identity: r.boolean(s, "trust_identity").or(true),
        nat: r.boolean(s, "nat").or(false),
        media_networks,
        siprec: r.boolean(s, "siprec").or(false),
        large_requests: sip::large_requests(r, s).unwrap_or(node.large_requests),
        calls_max: count(r, s, "calls_max", 1).unwrap_or(node.calls_max),
        calls_per_second_max: rate(r, s),
        codecs,
        media_encryption: choice(r, s, "media_encryption", &MediaEncryption::ALL),
        transports,
        number_format: choice(r, s, "number_format", &formats).unwrap_or_default(),
        reason_header: choice(r, s, "reason_header", &reasons).unwrap_or_default(),
        redirects: redirects(r, s).unwrap_or(false),
        within: within::of_trunk(r, s),
        identity: identity::identity(r, s),
        headers: headers::headers(r, s),
        stir: stir::stir(r, s),
        credentials: credentials::credentials(r, s, name.as_deref()).or(registers_with.flatten()),
        register,
        login,
        name: name?,
    };
    Some(trunk)
}

fn way_out(text: &str) -> Result<String, String> {
    let way = destination::parse(text)?;
    match way.has_user {
        true => Err(format!("`{text}` has a user; the way out is a host, like \"sip:sbc.carrier.example\"")),
        false => Ok(text.to_owned()),
    }
}

fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a country; write two capital letters of ISO 3166, like \"GB\"", text.escape_debug()))
}

fn prefix(text: &str) -> Result<String, String> {
    let dialled = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'*' | b'#');
    if text.len() <= 16 && text.bytes().all(dialled) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not a prefix; write up to 16 digits", text.escape_debug()))
}
