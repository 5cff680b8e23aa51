//! What can only be seen across tables: references, uniqueness, addresses that meet each other.

mod pools;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::read::{Found, Place, Reader};
use super::value::source_text;
use super::{Codecs, Config, Listener, Login, Pool, Sink, Source, destination};
use crate::core::media::is_recordable;
use crate::ids::E164;

/// Where the things stand that the checks speak about. Names in the order of the tables that were read whole.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) listen: Vec<Place>,
    /// The certificate or its key could not be read: that was said already.
    pub(super) tls_is_bad: bool,
    pub(super) media_address: Option<Place>,
    pub(super) media_address6: Option<Place>,
    pub(super) media_ports: Option<Place>,
    pub(super) http_listen: Option<Place>,
    /// A token was written, but wrongly: that was said already.
    pub(super) http_token_is_bad: bool,
    pub(super) trunks: Vec<Marks>,
    pub(super) recorders: Vec<Marks>,
    pub(super) ears: Vec<Marks>,
    pub(super) companies: Vec<Marks>,
    pub(super) sites: Vec<Marks>,
    pub(super) pools: Vec<Marks>,
    pub(super) sinks: Vec<Marks>,
    pub(super) exports: Vec<Marks>,
}

/// Places of one table of a list.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) name: Place,
    pub(super) keys: BTreeMap<&'static str, Place>,
    /// Items of the table's long list (`match`, `numbers`): index of the first value, and place.
    pub(super) items: Vec<(usize, Place)>,
    /// Its destinations, in the order of `Company::every_destination`.
    pub(super) destinations: Vec<Place>,
    /// The table could not be read; it has no value.
    pub(super) lost: bool,
}

impl Marks {
    pub(super) fn note<T>(&mut self, key: &'static str, found: &Found<T>) {
        if let Found::Is(_, place) = found {
            self.keys.insert(key, place.clone());
        }
    }

    pub(super) fn key(&self, key: &str) -> &Place {
        self.keys.get(key).unwrap_or(&self.name)
    }

    /// Place of the item that value `i` came from, and the item's index.
    fn item(&self, i: usize) -> (usize, &Place) {
        let item = self.items.partition_point(|(first, _)| *first <= i).saturating_sub(1);
        (item, self.items.get(item).map_or(&self.name, |(_, place)| place))
    }
}

/// Marks of the tables that have a value, in the values' order.
fn kept(marks: &[Marks]) -> impl Iterator<Item = &Marks> {
    marks.iter().filter(|marks| !marks.lost)
}

/// All checks across tables.
pub(super) fn across(r: &mut Reader<'_>, config: &Config, places: &Places) {
    listeners(r, config, places);
    http(r, config, places);
    placeholders(r, config);
    unique(r, "trunk", config.trunks.iter().map(|t| t.name.as_str()), &places.trunks);
    unique(r, "recorder", config.recorders.iter().map(|s| s.name.as_str()), &places.recorders);
    unique(r, "ear", config.ears.iter().map(|e| e.name.as_str()), &places.ears);
    unique(r, "company", config.companies.iter().map(|c| c.name.as_str()), &places.companies);
    unique(r, "site", config.sites.iter().map(|s| s.name.as_str()), &places.sites);
    unique(r, "pool", config.pools.iter().map(|p| p.name.as_str()), &places.pools);
    unique(r, "sink", config.sinks.iter().map(sink_name), &places.sinks);
    unique(r, "export", config.exports.iter().map(|export| export.name.as_str()), &places.exports);
    sources(r, config, places);
    logins(r, config, places);
    codecs(r, config, places);
    let owner = numbers(r, config, places);
    references(r, config, places);
    pools::pools(r, config, places);
    destinations(r, config, places, &owner);
    recorders(r, config, places);
    ears(r, config, places);
}

/// Via, Contact and SDP need an address that others can send to.
fn listeners(r: &mut Reader<'_>, config: &Config, places: &Places) {
    for (i, (listener, place)) in config.sip.listen.iter().zip(&places.listen).enumerate() {
        let is_named = listener.advertise.is_some() || config.sip.advertise.is_some();
        if listener.address.ip().is_unspecified() && !is_named {
            let message = format!(
                "`{}` is every address of this machine, and nobody can answer to that; \
                 name one address, or set `sip.advertise` to what others see",
                listener.address.ip()
            );
            r.problem(place, message);
        }
        let taken = |other: &&Listener| {
            let same_kind = (other.transport == rsip::Transport::Udp) == (listener.transport == rsip::Transport::Udp);
            same_kind && other.address == listener.address
        };
        match config.sip.listen.iter().take(i).find(taken) {
            Some(other) if other.transport == listener.transport => {
                r.problem(place, "stands twice in the list; take one out");
            }
            Some(other) => {
                let message = format!("{} is taken by {} already; use another port", listener.address, other.transport);
                r.problem(place, message);
            }
            None => {}
        }
        let is_tls = matches!(listener.transport, rsip::Transport::Tls | rsip::Transport::Wss);
        if is_tls && config.sip.tls.identity.is_none() && !places.tls_is_bad {
            r.problem(place, "needs a certificate; set `sip.tls.certificate` and `sip.tls.key`");
        }
        media_port(r, config, places, listener);
    }
    let media = [(Some(config.media.address), &places.media_address), (config.media.address6, &places.media_address6)];
    for (address, place) in media {
        if let (Some(address), Some(place), None) = (address, place, config.media.advertise)
            && address.is_unspecified()
        {
            let message = format!(
                "`{address}` is every address of this machine, and nobody can send media to that; \
                 name one address, or set `media.advertise` to what others see"
            );
            r.problem(place, message);
        }
    }
}

/// A listener inside the range of media ports would be taken away from one or the other.
fn media_port(r: &mut Reader<'_>, config: &Config, places: &Places, listener: &Listener) {
    let (first, last) = config.media.ports;
    let port = listener.address.port();
    let meet = meets(listener.address.ip(), config.media.address);
    if listener.transport == rsip::Transport::Udp && (first..=last).contains(&port) && meet {
        let place = places.media_ports.clone().unwrap_or_default();
        r.problem(&place, format!("the range holds port {port}, on which SIP listens; move one of them"));
    }
}

/// Whether sockets on both addresses can take the same datagram.
fn meets(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

/// What everybody tries first.
const GUESSES: [&str; 8] = ["secret", "token", "password", "changeme", "change-me", "admin", "leaseline", "123456"];

fn is_guess(secret: &str) -> bool {
    GUESSES.iter().any(|guess| secret.trim().eq_ignore_ascii_case(guess))
}

fn is_beyond_loopback(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Whoever leaves an example's text in the place of a secret has none. On loopback nobody is kept out anyway.
fn placeholders(r: &mut Reader<'_>, config: &Config) {
    let mut listeners = config.sip.listen.iter().map(|listener| listener.address).chain([config.http.listen]);
    let Some(open) = listeners.find(|address| is_beyond_loopback(*address)) else { return };
    for place in std::mem::take(&mut r.placeholders) {
        let message =
            format!("is the text of an example, which everybody knows, and `{open}` is open to others; replace it");
        r.problem(&place, message);
    }
}

fn http(r: &mut Reader<'_>, config: &Config, places: &Places) {
    let listen = config.http.listen;
    if let Some(place) = &places.http_listen
        && config.http.token.is_none()
        && !config.http.sign_in
        && !places.http_token_is_bad
        && is_beyond_loopback(listen)
    {
        let message = format!(
            "`{listen}` is open to others, and the API gives out calls and recordings: \
             set `http.token` or `http.token_file`, or `http.sign_in = true`, or listen on 127.0.0.1"
        );
        r.problem(place, message);
    }
    let tokens = config.http.token.iter().chain(config.http.users.iter().map(|user| &user.token.0));
    if let Some(place) = &places.http_listen
        && is_beyond_loopback(listen)
        && let Some(guess) = tokens.map(|token| &**token).find(|token| is_guess(token))
    {
        let message =
            format!("`{listen}` is open to others, and the token `{guess}` is one that everybody tries first");
        r.problem(place, message);
    }
    let clash = config.sip.listen.iter().any(|l| {
        l.transport != rsip::Transport::Udp && l.address.port() == listen.port() && meets(l.address.ip(), listen.ip())
    });
    if let (true, Some(place)) = (clash, &places.http_listen) {
        r.problem(place, format!("port {} is taken by SIP over TCP; use another", listen.port()));
    }
}

fn unique<'a>(r: &mut Reader<'_>, what: &str, names: impl Iterator<Item = &'a str>, marks: &'a [Marks]) {
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    for (name, marks) in names.zip(kept(marks)) {
        if let Some(first) = seen.insert(name, &marks.name) {
            let first = first.key.trim_end_matches(".name");
            let message = format!("`{name}` is the name of {first} too; give each {what} a `name` of its own");
            r.problem(marks.key("name"), message);
        }
    }
}

fn sink_name(sink: &Sink) -> &str {
    match sink {
        Sink::Jsonl { name, .. } | Sink::Webhook { name, .. } => name,
    }
}

/// Two trunks with the same network: which one a call came from would be chance.
fn sources(r: &mut Reader<'_>, config: &Config, places: &Places) {
    let mut seen: HashMap<&Source, &str> = HashMap::new();
    for (trunk, marks) in config.trunks.iter().zip(kept(&places.trunks)) {
        for (i, source) in trunk.sources.iter().enumerate() {
            if let Some(other) = seen.insert(source, &trunk.name) {
                let source = source_text(source);
                let message = format!("`{source}` belongs to trunk `{other}` already; a source has one trunk, once");
                r.problem(marks.item(i).1, message);
            }
        }
    }
}

/// A name that logs in says whose call it is; and we ask for it before we know who is there, so in one way only.
fn logins(r: &mut Reader<'_>, config: &Config, places: &Places) {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let mut first: Option<(&Login, &str)> = None;
    let open = config.sip.listen.iter().map(|listener| listener.address).find(|address| is_beyond_loopback(*address));
    for (trunk, marks) in config.trunks.iter().zip(kept(&places.trunks)) {
        let Some(login) = &trunk.login else { continue };
        let place = marks.key("login");
        for user in &login.users {
            if let Some(other) = seen.insert(&user.user, &trunk.name) {
                let message =
                    format!("user `{}` logs in to trunk `{other}` already; a user has one trunk, once", user.user);
                r.problem(place, message);
            }
            if let Some(open) = open.filter(|_| is_guess(&user.secret.0) || *user.secret.0 == *user.user) {
                let why = "is one that everybody tries first";
                r.problem(place, format!("`{open}` is open to others, and the password of user `{}` {why}", user.user));
            }
        }
        let (of_first, name) = *first.get_or_insert((login, &trunk.name));
        if (&of_first.realm, &of_first.algorithms) != (&login.realm, &login.algorithms) {
            let message =
                format!("`realm` and `algorithms` must be those of trunk `{name}`: we ask before we know who it is");
            r.problem(place, message);
        }
    }
}

/// A trunk that only knows codecs which are not relayed could have no call at all.
fn codecs(r: &mut Reader<'_>, config: &Config, places: &Places) {
    for (trunk, marks) in config.trunks.iter().zip(kept(&places.trunks)) {
        let is_relayed = |name: &str| config.media.codecs == Codecs::Any || is_recordable(name);
        if !trunk.codecs.is_empty() && !trunk.codecs.iter().any(|name| is_relayed(name)) {
            let message = "none of these is relayed: `media.codecs` is \"recordable\", which is PCMU, PCMA, G722 \
                           and opus; add one of them, or set it to \"any\"";
            r.problem(marks.key("codecs"), message);
        }
    }
}

/// A number stands in one pool only, once.
fn numbers<'c>(r: &mut Reader<'_>, config: &'c Config, places: &Places) -> HashMap<&'c E164, &'c Pool> {
    let total = config.pools.iter().map(|pool| pool.numbers.len()).sum();
    let mut owner: HashMap<&E164, &Pool> = HashMap::with_capacity(total);
    for (pool, marks) in config.pools.iter().zip(kept(&places.pools)) {
        // One problem an item is enough: ranges that overlap would give thousands.
        let mut reported = None;
        for (i, number) in pool.numbers.iter().enumerate() {
            let Some(other) = owner.insert(number, pool) else { continue };
            let (item, place) = marks.item(i);
            if reported.replace(item) == Some(item) {
                continue;
            }
            let twice = other.name == pool.name;
            let other = if twice { "this pool twice".to_owned() } else { format!("pool `{}` too", other.name) };
            r.problem(place, format!("{number} stands in {other}; a number belongs to one pool, once"));
        }
    }
    owner
}

fn references(r: &mut Reader<'_>, config: &Config, places: &Places) {
    let companies_lost = places.companies.iter().any(|marks| marks.lost);
    let sites_lost = places.sites.iter().any(|marks| marks.lost);
    let no_company = |name: &str| {
        let missing = !companies_lost && !config.companies.iter().any(|c| c.name == name);
        missing.then(|| format!("there is no company `{name}`; add a [[company]] or correct the name"))
    };
    for (site, marks) in config.sites.iter().zip(kept(&places.sites)) {
        if let Some(message) = no_company(&site.company) {
            r.problem(marks.key("company"), message);
        }
    }
    for (pool, marks) in config.pools.iter().zip(kept(&places.pools)) {
        if let Some(message) = no_company(&pool.company) {
            r.problem(marks.key("company"), message);
        }
        let Some(name) = &pool.site else { continue };
        let message = match config.sites.iter().find(|s| s.name == *name) {
            None if sites_lost => continue,
            None => format!("there is no site `{name}`; add a [[site]] or correct the name"),
            Some(site) if site.company == pool.company || no_company(&site.company).is_some() => continue,
            Some(site) => {
                format!("site `{name}` belongs to company `{}`, this pool to `{}`", site.company, pool.company)
            }
        };
        r.problem(marks.key("site"), message);
    }
}

/// A call must not be forwarded to ourselves: it would come back for ever.
fn destinations(r: &mut Reader<'_>, config: &Config, places: &Places, owner: &HashMap<&E164, &Pool>) {
    for (company, marks) in config.companies.iter().zip(kept(&places.companies)) {
        for (destination, place) in company.every_destination().zip(&marks.destinations) {
            let text = &destination.uri;
            let Ok(parsed) = destination::parse(text) else { continue };
            let proxy = destination.proxy().and_then(|text| destination::parse(text).ok());
            if leads_here(config, proxy.as_ref().unwrap_or(&parsed)) {
                let message = format!(
                    "`{text}` is this node itself: the call would come back for ever; name the company's phone or PBX"
                );
                r.problem(place, message);
            }
            let transport = proxy.as_ref().unwrap_or(&parsed).transport;
            if let Some(transport) = transport.filter(|t| !config.sip.listen.iter().any(|l| l.transport == *t)) {
                let scheme = transport.to_string().to_ascii_lowercase();
                let message = format!(
                    "`{text}` is called over {transport}, and `sip.listen` has no {scheme}:// to call from; add one"
                );
                r.problem(place, message);
            }
            let user = parsed.fixed_user.as_deref().and_then(E164::parse);
            if let Some(pool) = user.and_then(|number| owner.get(&number).copied()) {
                let message = format!(
                    "`{text}` is a number of pool `{}`: the call would come back; name the company's own number, or \
                     write {{number}} if its PBX takes tracking numbers",
                    pool.name
                );
                r.problem(place, message);
            }
        }
    }
}

/// A copy of a call must not come back to us as a call of its own, and needs a listener to be offered from.
fn recorders(r: &mut Reader<'_>, config: &Config, places: &Places) {
    for (recorder, marks) in config.recorders.iter().zip(kept(&places.recorders)) {
        for (uri, place) in recorder.uris.iter().zip(&marks.destinations) {
            let Ok(hop) = destination::parse(recorder.next_hop(uri)) else { continue };
            if leads_here(config, &hop) {
                r.problem(place, format!("`{uri}` is this node itself; name the recorder"));
            }
            if let Some(transport) = hop.transport.filter(|t| !config.sip.listen.iter().any(|l| l.transport == *t)) {
                let scheme = transport.to_string().to_ascii_lowercase();
                let message = format!(
                    "`{uri}` is called over {transport}, and `sip.listen` has no {scheme}:// to call from; add one"
                );
                r.problem(place, message);
            }
        }
    }
}

/// Events call both `trunk`: nobody could tell them apart.
fn ears(r: &mut Reader<'_>, config: &Config, places: &Places) {
    for (ear, marks) in config.ears.iter().zip(kept(&places.ears)) {
        if config.trunks.iter().any(|trunk| trunk.name == ear.name) {
            r.problem(&marks.name, format!("`{}` is the name of a trunk, too; use another", ear.name));
        }
    }
}

/// Whether a destination is one of our listeners, as far as it can be seen without asking DNS.
fn leads_here(config: &Config, destination: &destination::Destination) -> bool {
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16])];
    let addresses = match destination.address {
        Some(address) => vec![address.to_canonical()],
        None if destination.host.eq_ignore_ascii_case("localhost") => loopback.to_vec(),
        None => Vec::new(),
    };
    let listens = |listener: &Listener| {
        let own = listener.address.ip().to_canonical();
        listener.address.port() == destination.likely_port()
            && addresses.iter().any(|a| own == *a || own.is_unspecified() && a.is_loopback() || a.is_unspecified())
    };
    let advertised = config.sip.advertise.as_deref().is_some_and(|text| {
        let whole = text.parse::<SocketAddr>().ok().map(|a| (a.ip().to_string(), a.port()));
        let (host, port) = whole.unwrap_or_else(|| match text.split_once(':') {
            Some((host, port)) if !text.starts_with('[') => (host.to_owned(), port.parse().unwrap_or(5060)),
            _ => {
                (text.trim_matches(['[', ']']).to_owned(), config.sip.listen.first().map_or(5060, |l| l.address.port()))
            }
        });
        host.eq_ignore_ascii_case(&destination.host) && port == destination.likely_port()
    });
    advertised || config.sip.listen.iter().any(listens)
}
