//! Tables of the file → the types of [`super`]. Each function reads one table, with its defaults.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::check::{self, Marks, Places};
use super::problem::Problems;
use super::read::{Found, Place, Reader, Section};
use super::{
    AttributionRules, Codecs, Company, Config, DialledIn, Fsync, Http, LeaseFeed, LeaseRules, Listener, Log, Media,
    Node, Pool, PoolKind, Recording, Secret, Sink, Sip, Site, Trunk, destination, value,
};
use crate::core::lease::Channel;
use crate::ids::E164;
use crate::limits;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads a whole configuration. `file` is for messages; relative paths start at `base`.
pub(super) fn config(text: &str, file: &str, base: &Path) -> Result<Config, Problems> {
    let mut reader = Reader::new(text, file, base);
    let config = document(&mut reader, text);
    reader.finish()?;
    Ok(config)
}

/// Every key that the reader asks for, as `section.key`.
#[cfg(test)]
pub(super) fn known_keys(text: &str) -> std::collections::BTreeSet<String> {
    let mut reader = Reader::new(text, "", Path::new(""));
    document(&mut reader, text);
    reader.known.clone()
}

fn document<'t>(r: &mut Reader<'t>, text: &'t str) -> Config {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        r.problem_at(at, String::new(), format!("not TOML: {}", error.message().trim().replace('\n', ", ")));
    }
    // What a broken file seems to say is not worth a second opinion.
    let empty = DeTable::default();
    let table = if r.has_problems() { &empty } else { document.get_ref() };
    let mut root = Section::root(table);
    let mut places = Places::default();

    let node = node(r, &mut root);
    let media = media(r, &mut root, &mut places);
    let sip = sip(r, &mut root, media.ports, &mut places);
    let recording = recording(r, &mut root);
    let http = http(r, &mut root, &mut places);
    let lease = lease(r, &mut root);
    let lease_feed = lease_feed(r, &mut root);
    let attribution = attribution(r, &mut root);
    let log = log(r, &mut root);
    let trunks = tables(r, &mut root, "trunk", &mut places.trunks, |r, s, m| trunk(r, s, sip.calls_max, m));
    let companies = tables(r, &mut root, "company", &mut places.companies, company);
    let sites = tables(r, &mut root, "site", &mut places.sites, site);
    let mut count = 0;
    let pools = tables(r, &mut root, "pool", &mut places.pools, |r, s, m| pool(r, s, &mut count, m));
    let sinks = tables(r, &mut root, "sink", &mut places.sinks, |r, s, m| sink(r, s, &node.data_dir, m));
    r.end(root);

    let config = Config {
        node,
        sip,
        media,
        recording,
        http,
        lease,
        lease_feed,
        attribution,
        log,
        trunks: trunks.into_iter().map(Arc::new).collect(),
        companies: companies.into_iter().map(Arc::new).collect(),
        sites: sites.into_iter().map(Arc::new).collect(),
        pools: pools.into_iter().map(Arc::new).collect(),
        sinks,
    };
    check::across(r, &config, &places);
    config
}

fn node<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Node {
    let mut s = r.section(root, "node");
    let node = Node {
        id: r.text(&mut s, "id", value::name).or("leaseline".to_owned()),
        data_dir: path(r, &mut s, "data_dir").unwrap_or_else(|| r.relative("leaseline-data")),
        drain: duration(r, &mut s, "drain", Duration::ZERO, DAY).or(30 * SECOND),
    };
    r.end(s);
    node
}

fn sip<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, ports: (u16, u16), places: &mut Places) -> Sip {
    let mut s = r.section(root, "sip");
    let room = (usize::from(ports.1 - ports.0) + 1) / 4;
    let default = [rsip::Transport::Udp, rsip::Transport::Tcp]
        .map(|transport| Listener { transport, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)) });
    let listen = match r.list(&mut s, "listen", value::listener) {
        Found::Is(listen, place) => {
            if listen.is_empty() {
                r.problem(&place, "is empty: nobody could call; write [\"udp://127.0.0.1:5060\"]");
            }
            let (listen, at) = listen.into_iter().unzip();
            places.listen = at;
            listen
        }
        Found::Absent | Found::Bad => default.to_vec(),
    };
    let sip = Sip {
        listen,
        advertise: r.text(&mut s, "advertise", value::host_port).optional(),
        user_agent: r.text(&mut s, "user_agent", |text| value::printable(text, 128)).or(concat!(
            "Leaseline/",
            env!("CARGO_PKG_VERSION")
        )
        .to_owned()),
        calls_max: count(r, &mut s, "calls_max", 1).unwrap_or(room.min(limits::CALLS)),
        calls_per_second_max: rate(r, &mut s),
        call_length_max: duration(r, &mut s, "call_length_max", MINUTE, DAY).or(limits::CALL_LENGTH),
    };
    r.end(s);
    sip
}

fn media<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, places: &mut Places) -> Media {
    let mut s = r.section(root, "media");
    let address = match r.text(&mut s, "address", address) {
        Found::Is(address, place) => {
            places.media_address = Some(place);
            address
        }
        Found::Absent | Found::Bad => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let address6 = match r.text(&mut s, "address6", address_v6) {
        Found::Is(address, place) => {
            places.media_address6 = Some(place);
            Some(address)
        }
        Found::Absent | Found::Bad => None,
    };
    let ports = match r.text(&mut s, "ports", value::ports) {
        Found::Is(ports, place) => {
            places.media_ports = Some(place);
            ports
        }
        Found::Absent | Found::Bad => (20_000, 29_999),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let media = Media {
        address,
        address6,
        advertise: r.text(&mut s, "advertise", specified_address).optional(),
        ports,
        threads: r.integer(&mut s, "threads", 1..65).optional().map_or(cores.min(4), small),
        codecs: choice(r, &mut s, "codecs", &[("recordable", Codecs::Recordable), ("any", Codecs::Any)])
            .unwrap_or(Codecs::Recordable),
        silence_max: duration(r, &mut s, "silence_max", Duration::ZERO, DAY).or(MINUTE),
    };
    r.end(s);
    media
}

fn recording<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Recording {
    let mut s = r.section(root, "recording");
    let ways = [("none", Fsync::None), ("seal", Fsync::Seal), ("second", Fsync::Second)];
    let recording = Recording {
        enabled: r.boolean(&mut s, "enabled").or(true),
        fsync: choice(r, &mut s, "fsync", &ways).unwrap_or(Fsync::Seal),
        disk_free_min: r.text(&mut s, "disk_free_min", value::size).or(200 << 20),
    };
    r.end(s);
    recording
}

fn http<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, places: &mut Places) -> Http {
    let mut s = r.section(root, "http");
    let listen = match r.text(&mut s, "listen", socket_address) {
        Found::Is(listen, place) => {
            places.http_listen = Some(place);
            listen
        }
        Found::Absent | Found::Bad => SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
    };
    let token = r.secret(&mut s, "token", "token_file");
    places.http_token_is_bad = matches!(token, Found::Bad);
    let proxies = r.list(&mut s, "trusted_proxies", value::network).or(Vec::new());
    let http = Http {
        listen,
        token: token.optional(),
        trusted_proxies: proxies.into_iter().map(|(proxy, _)| proxy).collect(),
    };
    r.end(s);
    http
}

fn lease<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> LeaseRules {
    let mut s = r.section(root, "lease");
    let rules = LeaseRules {
        ttl: duration(r, &mut s, "ttl", 5 * SECOND, DAY).or(90 * SECOND),
        renew_after: duration(r, &mut s, "renew_after", SECOND, DAY).or(30 * SECOND),
    };
    if rules.renew_after >= rules.ttl {
        let message = "`renew_after` must be shorter than `ttl`, or every lease lapses before its renewal";
        r.problem(s.place(), message);
    }
    r.end(s);
    rules
}

fn lease_feed<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Option<LeaseFeed> {
    let mut s = r.section(root, "lease_feed");
    let url = r.text(&mut s, "url", value::http_url);
    let url = r.required(&s, "url", url, "the address of the allocator's /v1/feed/leases");
    let token = r.secret(&mut s, "token", "token_file").optional();
    let stale_after = duration(r, &mut s, "stale_after", SECOND, DAY).or(30 * SECOND);
    r.end(s);
    url.map(|url| LeaseFeed { url, token, stale_after })
}

fn attribution<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> AttributionRules {
    let mut s = r.section(root, "attribution");
    let unless_empty = |text: &str, read: fn(&str) -> Result<String, String>| {
        if text.is_empty() { Ok(None) } else { read(text).map(Some) }
    };
    let rules = AttributionRules {
        memory: duration(r, &mut s, "memory", Duration::ZERO, 400 * DAY).or(30 * DAY),
        header: r
            .text(&mut s, "header", |text| unless_empty(text, value::header_name))
            .or(Some("X-Leaseline-Source".to_owned())),
        display_name: r.text(&mut s, "display_name", |text| unless_empty(text, display_name)).or(None),
    };
    r.end(s);
    rules
}

fn log<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Log {
    let mut s = r.section(root, "log");
    let filter = |text: &str| match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(e) => Err(format!("is not a log filter ({e}); write it like \"info\" or \"info,leaseline::core=debug\"")),
    };
    let log = Log {
        json: r.boolean(&mut s, "json").or(false),
        filter: r.text(&mut s, "filter", filter).or("info".to_owned()),
    };
    r.end(s);
    log
}

fn trunk<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, calls_max: usize, marks: &mut Marks) -> Option<Trunk> {
    let name = named(r, s, marks);
    let any = r.boolean(s, "match_any").or(false);
    let sources = r.list(s, "match", value::network);
    let sources = match r.required(s, "match", sources, "the addresses of the trunk, like [\"192.0.2.10\"]") {
        None => Vec::new(),
        Some(sources) => {
            if sources.is_empty() || sources.len() > limits::TRUNK_SOURCES {
                let message = match sources.len() {
                    0 => "is empty: nobody could call; write the addresses of the trunk, like [\"192.0.2.10\"]"
                        .to_owned(),
                    n => format!("has {n} networks; at most {} are read", limits::TRUNK_SOURCES),
                };
                r.problem(s.place(), format!("`match` {message}"));
            }
            for (net, place) in sources.iter().filter(|(net, _)| net.prefix_len() == 0 && !any) {
                let message = format!(
                    "`{net}` is everybody on the network: anyone could place calls; \
                     name the trunk's addresses, or write `match_any = true` if you mean it"
                );
                r.problem(place, message);
            }
            marks.items = sources.iter().enumerate().map(|(i, (_, place))| (i, place.clone())).collect();
            sources.into_iter().map(|(net, _)| net).collect()
        }
    };
    let ways = [
        ("request-uri", DialledIn::RequestUri),
        ("to", DialledIn::To),
        ("p-called-party-id", DialledIn::PCalledPartyId),
        ("diversion", DialledIn::Diversion),
    ];
    let trunk = Trunk {
        sources,
        dialled_in: choice(r, s, "dialled_in", &ways).unwrap_or(DialledIn::RequestUri),
        country: r.text(s, "country", country).optional(),
        prefix: r.text(s, "prefix", prefix).or(String::new()),
        trust_identity: r.boolean(s, "trust_identity").or(true),
        nat: r.boolean(s, "nat").or(false),
        calls_max: count(r, s, "calls_max", 1).unwrap_or(calls_max),
        calls_per_second_max: rate(r, s),
        name: name?,
    };
    Some(trunk)
}

fn company<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Company> {
    let name = named(r, s, marks);
    let forward_to = r.list(s, "forward_to", |text| destination::parse(text).map(|_| text.to_owned()));
    let forward_to =
        r.required(s, "forward_to", forward_to, "the company's destinations, like [\"sip:{number}@192.0.2.20\"]");
    if let Some(n) = forward_to.as_ref().map(Vec::len).filter(|n| *n == 0 || *n > limits::DESTINATIONS) {
        let message = format!("`forward_to` has {n} destinations; write 1 to {}", limits::DESTINATIONS);
        r.problem(s.place(), message);
    }
    let forward_to = forward_to.unwrap_or_default();
    marks.items = forward_to.iter().enumerate().map(|(i, (_, place))| (i, place.clone())).collect();
    let status = |text: &toml::de::DeValue<'_>| {
        let code = text.as_integer().and_then(|n| n.as_str().parse::<u16>().ok());
        code.filter(|code| (400..700).contains(code))
            .ok_or_else(|| "must be SIP statuses from 400 to 699, like [486]".to_owned())
    };
    let final_statuses = r.get(s, "final_statuses", |value| {
        let array = value.as_array().ok_or_else(|| "must be a list of SIP statuses, like [486]".to_owned())?;
        array.iter().map(|item| status(item.get_ref())).collect::<Result<Vec<u16>, String>>()
    });
    let company = Company {
        forward_to: forward_to.into_iter().map(|(text, _)| text).collect(),
        ring_timeout: duration(r, s, "ring_timeout", SECOND, 10 * MINUTE).or(30 * SECOND),
        final_statuses: final_statuses.or(Vec::new()),
        nat: r.boolean(s, "nat").or(false),
        recording: r.boolean(s, "recording").optional(),
        name: name?,
    };
    Some(company)
}

fn site<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<Site> {
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
    Some(Site { name: name?, company: company?, origins })
}

fn pool<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, total: &mut usize, marks: &mut Marks) -> Option<Pool> {
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
    let site = site.optional();
    let hold = hold.or(30 * MINUTE);
    let channel: Option<Channel> = channel.optional().map(Arc::new);
    Some(Pool { name: name?, company: company?, site, kind: kind?, numbers: flat, hold, channel })
}

fn sink<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, data_dir: &Path, marks: &mut Marks) -> Option<Sink> {
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
fn names_private_address(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(a)) => a.is_private() || a.is_loopback() || a.is_link_local(),
        Some(url::Host::Ipv6(a)) => a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

// ── helpers of more than one table ──

fn tables<'d, 't, T>(
    r: &mut Reader<'t>,
    root: &mut Section<'d, 't>,
    name: &'static str,
    all_marks: &mut Vec<Marks>,
    mut read: impl FnMut(&mut Reader<'t>, &mut Section<'d, 't>, &mut Marks) -> Option<T>,
) -> Vec<T> {
    let sections = r.sections(root, name);
    if sections.len() > limits::CONFIG_TABLES {
        r.problem(sections.last().map_or(&Place::default(), Section::place), "more tables of this kind than are read");
        return Vec::new();
    }
    let mut values = Vec::with_capacity(sections.len());
    for mut section in sections {
        if !section.is_present() {
            continue;
        }
        let mut marks = Marks::default();
        if let Some(value) = read(r, &mut section, &mut marks) {
            values.push(value);
            all_marks.push(marks);
        } else {
            // A name that could not be read may be the one that another table speaks of.
            all_marks.push(Marks { lost: true, ..marks });
        }
        r.end(section);
    }
    values
}

fn named<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, marks: &mut Marks) -> Option<String> {
    match r.text(s, "name", value::name) {
        Found::Is(name, place) => {
            marks.name = place;
            Some(name)
        }
        found => r.required(s, "name", found, "a name for it, like \"main\""),
    }
}

fn choice_found<'t, T: Copy>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    choices: &[(&'static str, T)],
) -> Found<T> {
    r.text(s, key, |text| {
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("`{}` is not one of {}", text.escape_debug(), names.join(", "))
        })
    })
}

fn choice<'t, T: Copy>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    choices: &[(&'static str, T)],
) -> Option<T> {
    choice_found(r, s, key, choices).optional()
}

fn duration<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    min: Duration,
    max: Duration,
) -> Found<Duration> {
    r.text(s, key, |text| {
        let duration = value::duration(text)?;
        if duration < min || duration > max {
            let (min, max) = (value::duration_text(min), value::duration_text(max));
            return Err(format!("`{text}` must be from \"{min}\" to \"{max}\""));
        }
        Ok(duration)
    })
}

fn count<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str, min: u64) -> Option<usize> {
    r.integer(s, key, min..limits::CALLS as u64 + 1).optional().map(small)
}

/// Calls per second; 0: no limit.
fn rate<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> u32 {
    let rate = r.integer(s, "calls_per_second_max", 0..100_001).or(0);
    u32::try_from(rate).unwrap_or(u32::MAX)
}

fn small(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn path<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str) -> Option<std::path::PathBuf> {
    let text = r.text(s, key, |text| {
        if text.is_empty() || text.contains('\0') {
            return Err("is not a path".to_owned());
        }
        Ok(text.to_owned())
    });
    text.optional().map(|text| r.relative(&text))
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an IP address; write it like \"192.0.2.5\" (names are not looked up here)")
    })
}

fn address_v6(text: &str) -> Result<IpAddr, String> {
    let address = address(text)?;
    if address.is_ipv6() { Ok(address) } else { Err(format!("`{text}` is not an IPv6 address; `address` is for IPv4")) }
}

fn specified_address(text: &str) -> Result<IpAddr, String> {
    let address = address(text)?;
    if address.is_unspecified() {
        return Err(format!("nobody can send to `{text}`; name the address that others see"));
    }
    Ok(address)
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let how = "write it like \"127.0.0.1:8080\" or \"[::1]:8080\"";
    let address: SocketAddr = text.parse().map_err(|_| format!("`{text}` is not an address with a port; {how}"))?;
    if address.port() == 0 {
        Err("port 0 would be a different one at each start; name a port".to_owned())
    } else {
        Ok(address)
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

/// Words in braces that the display name may hold.
const DISPLAY_WORDS: [&str; 9] =
    ["source", "medium", "campaign", "term", "content", "company", "pool", "number", "caller"];

fn display_name(text: &str) -> Result<String, String> {
    let text = value::printable(text, 128)?;
    let bare = DISPLAY_WORDS.iter().fold(text.clone(), |text, word| text.replace(&format!("{{{word}}}"), ""));
    if bare.contains(['{', '}']) {
        return Err(format!("has braces that are none of {{{}}}", DISPLAY_WORDS.join("}, {")));
    }
    Ok(text)
}

fn channel_entry(key: &str, text: &str) -> Result<(), String> {
    value::name(key)?;
    value::printable(text, limits::CHANNEL_VALUE).map(drop)
}

fn http_header(name: &str, text: &str) -> Result<(), String> {
    let taken = ["content-type", "content-length", "host", "transfer-encoding", "connection"];
    let lower = name.to_ascii_lowercase();
    if taken.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        return Err(format!("`{name}` is written by the sink itself; take it out"));
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&b);
    if !(1..=128).contains(&name.len()) || !name.bytes().all(token) {
        return Err("is not a header name".to_owned());
    }
    value::printable(text, 1024).map(drop)
}
