//! Tables of the file → the types of [`super`]. Each function reads one table, with its defaults.

mod archive;
mod caller;
mod company;
mod decide;
mod defence;
mod destinations;
mod dialogs;
mod dns;
mod ears;
mod export;
mod keeper;
mod media;
mod oidc;
mod pool;
mod prompts;
mod regions;
mod rule;
pub(super) mod schedule;
mod sip;
mod siprec;
mod tls;
mod trace;
mod trunk;
mod web;
mod within;
mod work;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use self::caller::caller;
use self::company::company;
use self::defence::fraud;
use self::media::{media, recording};
use self::sip::sip;
use self::trace::trace;
use self::trunk::trunk;
pub(super) use self::web::names_private_address;
use self::web::{pool, sink, site};
use super::check::{self, Marks, Places};
use super::problem::Problems;
use super::read::{Found, Place, Reader, Section};
use super::{
    AttributionRules, Company, Config, Http, KnownCaller, LeaseFeed, LeaseRules, Log, Node, Secret, Siprec, Trunk,
    User, value,
};
use crate::limits;

const MILLISECOND: Duration = Duration::from_millis(1);
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
    let mut recording = recording(r, &mut root, &node.data_dir);
    let http = http(r, &mut root, &mut places);
    let lease = lease(r, &mut root);
    let lease_feed = lease_feed(r, &mut root);
    let regions = regions::regions(r, &mut root);
    let attribution = attribution(r, &mut root, &node.data_dir);
    let fraud = fraud(r, &mut root);
    let log = log(r, &mut root);
    let trace = trace(r, &mut root);
    let trunks = tables(r, &mut root, "trunk", &mut places.trunks, |r, s, m| trunk(r, s, &sip, m));
    let trunks: Vec<Arc<Trunk>> = trunks.into_iter().map(Arc::new).collect();
    let mut recorders = tables(r, &mut root, "siprec", &mut places.recorders, siprec::siprec);
    let mut companies = tables(r, &mut root, "company", &mut places.companies, company);
    let trunks_lost = places.trunks.iter().any(|marks| marks.lost);
    siprec::through_trunks(r, &mut recorders, &places.recorders, &trunks, trunks_lost);
    let recorders: Vec<Arc<Siprec>> = recorders.into_iter().map(Arc::new).collect();
    let recorders_lost = places.recorders.iter().any(|marks| marks.lost);
    siprec::of_companies(r, &mut companies, &places.companies, &recorders, recorders_lost);
    destinations::through_trunks(r, &mut companies, &places.companies, &trunks, trunks_lost);
    let ears = tables(r, &mut root, "ears", &mut places.ears, ears::ear);
    ears::of_companies(r, &ears, &places.ears, &companies);
    let sites = tables(r, &mut root, "site", &mut places.sites, site);
    let mut count = 0;
    let mut grows = BTreeMap::new();
    let pools = tables(r, &mut root, "pool", &mut places.pools, |r, s, m| {
        let (pool, grow) = (pool(r, s, &mut count, m), keeper::grow(r, s));
        if let (Some(pool), Some(grow)) = (&pool, grow) {
            grows.insert(pool.name.clone(), (grow, m.name.clone()));
        }
        pool
    });
    let keeping = keeper::keeping(r, &mut root, grows, &pools, &companies);
    archive::retention(r, &mut root, &mut recording.keep, &companies, &pools);
    let callers = callers(r, &mut root, &companies);
    let sinks = tables(r, &mut root, "sink", &mut places.sinks, |r, s, m| sink(r, s, &node.data_dir, m));
    let exports = tables(r, &mut root, "export", &mut places.exports, export::export);
    export::of_companies(r, &exports, &places.exports, &companies, keeping.notify.smtp.is_some());
    let archives = archive::archives(r, &mut root);
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
        regions,
        fraud,
        log,
        trace,
        trunks,
        recorders,
        ears: ears.into_iter().map(Arc::new).collect(),
        companies: companies.into_iter().map(Arc::new).collect(),
        sites: sites.into_iter().map(Arc::new).collect(),
        pools: pools.into_iter().map(Arc::new).collect(),
        keeping,
        callers,
        sinks,
        exports: exports.into_iter().map(Arc::new).collect(),
        archives,
    };
    check::across(r, &config, &places);
    config
}

/// `[[caller]]` tables: a number once for each company, and companies that are there.
fn callers<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, companies: &[Company]) -> Vec<Arc<KnownCaller>> {
    let sections = r.sections(root, "caller");
    if sections.len() > limits::KNOWN_CALLERS {
        r.problem(sections.last().map_or(&Place::default(), Section::place), "more callers than are read");
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut callers = Vec::with_capacity(sections.len());
    for mut section in sections {
        if let Some(known) = caller(r, &mut section) {
            if let Some(name) = &known.company
                && !companies.iter().any(|company| company.name == *name)
            {
                r.problem(section.place(), format!("the company `{name}` is not there"));
            }
            if !seen.insert((known.number.clone(), known.company.clone())) {
                r.problem(section.place(), format!("`{}` is there already", known.number));
            }
            callers.push(Arc::new(known));
        }
        r.end(section);
    }
    callers
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
        users: users(r, &mut s),
        sign_in: r.boolean(&mut s, "sign_in").or(false),
        session_idle: duration(r, &mut s, "session_idle", MINUTE, 30 * DAY).or(8 * 60 * MINUTE),
        session_max: duration(r, &mut s, "session_max", MINUTE, 365 * DAY).or(7 * DAY),
        oidc: oidc::read(r, &mut s),
    };
    if let (true, None) = (!http.users.is_empty() && !places.http_token_is_bad, &http.token) {
        r.problem(
            s.place(),
            "has users and no `token`: without it everybody on this machine may do everything; set it",
        );
    }
    r.end(s);
    http
}

/// `[[http.user]]`: names and tokens that are different.
fn users<'t>(r: &mut Reader<'t>, http: &mut Section<'_, 't>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for mut s in r.sections(http, "user") {
        let name = r.text(&mut s, "name", value::name);
        let name = r.required(&s, "name", name, "who it is: recordings say who heard them");
        let token = r.secret(&mut s, "token", "token_file");
        let token = r.required(&s, "token", token, "a long random text of their own (or `token_file`)");
        if let (Some(name), Some(token)) = (name, token) {
            if ["token", "local"].contains(&name.as_str()) || users.iter().any(|user| *user.name == *name) {
                r.problem(s.place(), format!("the name `{name}` is taken"));
            }
            if users.iter().any(|user| user.token.0 == token) {
                r.problem(s.place(), "another user has this token too; nobody could tell them apart");
            }
            users.push(User { name: name.into(), token: Secret(token) });
        }
        r.end(s);
    }
    if users.len() > limits::HTTP_USERS {
        r.problem(http.place(), "more users than are read");
        users.clear();
    }
    users
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

fn attribution<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, data_dir: &Path) -> AttributionRules {
    let mut s = r.section(root, "attribution");
    let unless_empty = |text: &str, read: fn(&str) -> Result<String, String>| {
        if text.is_empty() { Ok(None) } else { read(text).map(Some) }
    };
    let rules = AttributionRules {
        memory: duration(r, &mut s, "memory", Duration::ZERO, 400 * DAY).or(30 * DAY),
        model: path(r, &mut s, "model").unwrap_or_else(|| data_dir.join("model.json")),
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
