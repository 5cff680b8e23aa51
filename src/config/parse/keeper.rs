//! `[pool.grow]`, `[[provider]]`, `[notify]`, `[hygiene]` and `[self_test]`.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::super::keeper::{Grow, Hygiene, Keeping, MailSecurity, Notify, Provider, SelfTest, Smtp, Stock};
use super::super::read::{Found, Reader, Section};
use super::super::{Company, Pool, PoolKind, Secret, value};
use super::web::{http_header, names_private_address};
use super::{DAY, MINUTE, SECOND, choice, duration, schedule, small};
use crate::core::keeper::money::Money;
use crate::core::number;
use crate::core::sizing::plan::Forecast;
use crate::ids::E164;
use crate::limits;

const HOUR: Duration = Duration::from_secs(3_600);

/// `[pool.grow]` of one pool.
pub(super) fn grow<'t>(r: &mut Reader<'t>, pool: &mut Section<'_, 't>) -> Option<Grow> {
    let mut s = r.section(pool, "grow");
    let grow = grow_keys(r, &mut s);
    let is_there = s.is_present();
    r.end(s);
    is_there.then_some(grow)
}

fn grow_keys<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Grow {
    let stock = r.list(s, "stock", |text| value::range(text, limits::NUMBERS)).or(Vec::new());
    let shared_stock = r.text(s, "shared_stock", value::name).optional();
    let grow = Grow {
        enabled: r.boolean(s, "enabled").or(false),
        window: duration(r, s, "window", SECOND, DAY).or(HOUR),
        short_windows: small(r.integer(s, "short_windows", 1..limits::GROW_WINDOWS as u64 + 1).or(3)),
        windows: small(r.integer(s, "windows", 1..limits::GROW_WINDOWS as u64 + 1).or(24)),
        threshold: r.text(s, "threshold", value::share).or(0.02),
        visits_min: r.integer(s, "visits_min", 1..1_000_000_001).or(20),
        blocking: r.text(s, "blocking", value::share).or(0.01),
        respect_hold: r.boolean(s, "respect_hold").or(false),
        numbers_max: small(r.integer(s, "numbers_max", 1..limits::NUMBERS as u64 + 1).or(100)),
        per_day_max: small(r.integer(s, "per_day_max", 1..limits::NUMBERS as u64 + 1).or(10)),
        spend_max: r.text(s, "spend_max", money).optional(),
        stock: stock.into_iter().flat_map(|(numbers, _)| numbers).collect(),
        shared_stock: shared_stock
            .map(|name| Arc::new(Stock { name, numbers: Vec::new(), quarantine: Duration::ZERO })),
        provider: r.text(s, "provider", value::name).optional(),
        price: r.text(s, "price", money).optional(),
        currency: r.text(s, "currency", value::currency).optional(),
        listen: duration(r, s, "listen", Duration::ZERO, 90 * DAY).or(Duration::ZERO),
        shrink_after: duration(r, s, "shrink_after", Duration::ZERO, 400 * DAY).or(Duration::ZERO),
        quiet: duration(r, s, "quiet", HOUR, 400 * DAY).or(30 * DAY),
        notify: addresses(r, s, "notify"),
        forecasts: r.list(s, "forecast", Forecast::from_str).or(Vec::new()).into_iter().map(|(f, _)| f).collect(),
    };
    if grow.short_windows > grow.windows {
        r.problem(s.place(), "`short_windows` is more than `windows`: it would never grow");
    }
    if grow.spend_max.is_some() && grow.price.is_none() {
        r.problem(s.place(), "`spend_max` needs `price`: what one number costs a month");
    }
    if grow.stock.len() > limits::NUMBERS || grow.forecasts.len() > limits::FORECASTS {
        r.problem(s.place(), "has more numbers in stock or more forecasts than are read");
    }
    grow
}

/// All of it, once the pools are read. `grows`: `[pool.grow]` by pool, with the place of the pool's name.
pub(super) fn keeping<'t>(
    r: &mut Reader<'t>,
    root: &mut Section<'_, 't>,
    mut grows: BTreeMap<String, (Grow, super::Place)>,
    pools: &[Pool],
    companies: &[Company],
) -> Keeping {
    let providers = providers(r, root);
    let taken: HashSet<&E164> = pools.iter().flat_map(|pool| &pool.numbers).collect();
    let stocks = stocks(r, root, &taken);
    for (grow, place) in grows.values_mut() {
        let Some(named) = &grow.shared_stock else { continue };
        match stocks.iter().find(|stock| stock.name == named.name) {
            Some(stock) => grow.shared_stock = Some(Arc::clone(stock)),
            None => {
                let message = format!("`grow.shared_stock`: there is no stock `{}`; add a [[stock]]", named.name);
                r.problem(place, message);
            }
        }
    }
    let mut stocked: HashSet<&E164> = stocks.iter().flat_map(|stock| &stock.numbers).collect();
    for (name, (grow, place)) in &grows {
        if let Some(pool) = pools.iter().find(|pool| pool.name == *name)
            && let Err(message) = can_grow(pool, grow, &providers)
        {
            r.problem(place, message);
        }
        if let Some(number) = grow.stock.iter().find(|number| taken.contains(number) || !stocked.insert(number)) {
            let message = format!("`grow.stock`: {number} stands elsewhere, too; a number belongs to one pool, once");
            r.problem(place, message);
        }
    }
    let hygiene = hygiene(r, root);
    let self_test = self_test(r, root);
    if self_test.enabled && companies.is_empty() {
        r.problem(root.place(), "`self_test` is enabled, and there is no company whose numbers could be called");
    }
    Keeping {
        grow: grows.into_iter().map(|(name, (grow, _))| (name, Arc::new(grow))).collect(),
        providers,
        stocks,
        notify: notify(r, root),
        hygiene,
        self_test,
    }
}

/// `[[stock]]`: numbers for pools of any company. `taken`: those of the pools.
fn stocks<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>, taken: &HashSet<&E164>) -> Vec<Arc<Stock>> {
    let mut stocks: Vec<Arc<Stock>> = Vec::new();
    for mut s in r.sections(root, "stock") {
        let name = r.text(&mut s, "name", value::name);
        let name = r.required(&s, "name", name, "a name for it, like \"city\"");
        let numbers = r.list(&mut s, "numbers", |text| value::range(text, limits::NUMBERS)).or(Vec::new());
        let numbers: Vec<E164> = numbers.into_iter().flat_map(|(numbers, _)| numbers).collect();
        let quarantine = duration(r, &mut s, "quarantine", DAY, 400 * DAY).or(30 * DAY);
        if let Some(name) = name {
            let mut seen: HashSet<&E164> = stocks.iter().flat_map(|stock| &stock.numbers).collect();
            let twice = numbers.iter().find(|number| taken.contains(number) || !seen.insert(number));
            if let Some(number) = twice {
                let message =
                    format!("`stock.numbers`: {number} stands elsewhere, too; a number belongs to one pool, once");
                r.problem(s.place(), message);
            } else if numbers.is_empty() || numbers.len() > limits::NUMBERS {
                r.problem(s.place(), format!("has no numbers, or more than {}", limits::NUMBERS));
            } else if stocks.iter().any(|known| known.name == name) {
                r.problem(s.place(), format!("the name `{name}` is taken; give each stock a `name` of its own"));
            } else if stocks.len() >= limits::PROVIDERS {
                r.problem(s.place(), "more stocks than are used");
            } else {
                stocks.push(Arc::new(Stock { name, numbers, quarantine }));
            }
        }
        r.end(s);
    }
    stocks
}

/// Whether more numbers of this pool's kind can be had at all; else why not.
fn can_grow(pool: &Pool, grow: &Grow, providers: &[Arc<Provider>]) -> Result<(), String> {
    if pool.kind == PoolKind::Static {
        return Err("`grow` is for dynamic pools: a static one has the numbers of its channel".to_owned());
    }
    let Some(name) = &grow.provider else {
        if grow.enabled && grow.stock.is_empty() && grow.shared_stock.is_none() {
            let message = "`grow.enabled`: these numbers are your own, and there is nobody to get more from; name a \
                           `provider`, or give a `stock`";
            return Err(message.to_owned());
        }
        return Ok(());
    };
    let Some(provider) = providers.iter().find(|provider| provider.name == *name) else {
        return Err(format!("`grow.provider`: there is no provider `{name}`; add a [[provider]] or correct the name"));
    };
    let region = pool.numbers.first().and_then(number::region);
    match region.filter(|region| !provider.countries.is_empty() && !provider.countries.contains(region)) {
        Some(region) => Err(format!(
            "`grow.provider`: `{name}` has no numbers of {region}, which this pool's are; it has {}",
            provider.countries.join(", ")
        )),
        None => Ok(()),
    }
}

fn providers<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Vec<Arc<Provider>> {
    let mut providers: Vec<Arc<Provider>> = Vec::new();
    for mut s in r.sections(root, "provider") {
        let name = r.text(&mut s, "name", value::name);
        let name = r.required(&s, "name", name, "a name for it, like \"carrier\"");
        let url = r.text(&mut s, "url", value::http_url);
        let url =
            r.required(&s, "url", url, "the webhook that orders go to, like \"https://numbers.example.com/orders\"");
        let secret = r.secret(&mut s, "secret", "secret_file");
        let secret = r.required(&s, "secret", secret, "the key that signs orders (or `secret_file`)");
        let headers = r.map(&mut s, "headers", http_header).or(BTreeMap::new());
        let allow_private = r.boolean(&mut s, "allow_private").optional();
        let timeout = duration(r, &mut s, "timeout", SECOND, 5 * MINUTE).or(30 * SECOND);
        let countries = r.list(&mut s, "countries", value::country).or(Vec::new());
        if let (Some(name), Some(url), Some(secret)) = (name, url, secret) {
            if providers.iter().any(|known| known.name == name) || name == STOCK {
                r.problem(s.place(), format!("the name `{name}` is taken; give each provider a `name` of its own"));
            } else if providers.len() >= limits::PROVIDERS {
                r.problem(s.place(), "more providers than are used");
            } else {
                providers.push(Arc::new(Provider {
                    allow_private: allow_private.unwrap_or_else(|| names_private_address(&url)),
                    secret: Secret(secret),
                    countries: countries.into_iter().map(|(country, _)| country).collect(),
                    name,
                    url,
                    headers,
                    timeout,
                }));
            }
        }
        r.end(s);
    }
    providers
}

/// What events call numbers of `[pool.grow] stock`; no provider may have this name.
const STOCK: &str = "stock";

fn notify<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Notify {
    let mut s = r.section(root, "notify");
    let to = addresses(r, &mut s, "to");
    let mut inner = r.section(&mut s, "smtp");
    let is_there = inner.is_present();
    let host = r.text(&mut inner, "host", host);
    let host = r.required(&inner, "host", host, "the mail server, like \"mail.example.com\"");
    let security = choice(r, &mut inner, "security", &MailSecurity::ALL).unwrap_or_default();
    let usual = if security == MailSecurity::Tls { 465 } else { 587 };
    let port = r.integer(&mut inner, "port", 1..65_536).or(usual);
    let user = r.text(&mut inner, "user", |text| value::printable(text, 256)).optional();
    let password = r.secret(&mut inner, "password", "password_file").optional();
    let from = r.text(&mut inner, "from", address);
    let from = r.required(&inner, "from", from, "whose letters these are, like \"leaseline@example.com\"");
    let ca = super::path(r, &mut inner, "ca");
    if is_there && user.is_some() != password.is_some() {
        r.problem(inner.place(), "has one of `user` and `password`; the server wants both or none");
    }
    if is_there && security == MailSecurity::Off && user.is_some() {
        r.problem(inner.place(), "`security = \"off\"` would send the password in the clear");
    }
    r.end(inner);
    r.end(s);
    let login = user.zip(password.map(Secret));
    let smtp = host.zip(from).map(|(host, from)| {
        Arc::new(Smtp { host, port: u16::try_from(port).unwrap_or(587), security, login, from, ca })
    });
    Notify { to, smtp }
}

fn hygiene<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> Hygiene {
    let mut s = r.section(root, "hygiene");
    let usual = Hygiene::default();
    let hygiene = Hygiene {
        background_max: r
            .integer(&mut s, "background_max", 0..limits::BACKGROUND_CALLS as u64 + 1)
            .or(usual.background_max),
        confidence: r.text(&mut s, "confidence", value::share).or(usual.confidence),
        rest: duration(r, &mut s, "rest", HOUR, 90 * DAY).or(usual.rest),
        leak_calls: r.integer(&mut s, "leak_calls", 0..limits::BACKGROUND_CALLS as u64 + 1).or(usual.leak_calls),
    };
    r.end(s);
    hygiene
}

fn self_test<'t>(r: &mut Reader<'t>, root: &mut Section<'_, 't>) -> SelfTest {
    let mut s = r.section(root, "self_test");
    let usual = SelfTest::default();
    let zone = r.text(&mut s, "time_zone", |text| match TimeZone::get(text) {
        Ok(time_zone) => Ok((text.to_owned(), time_zone)),
        Err(_) => Err(format!("`{}` is not a time zone; write it like \"Europe/London\"", text.escape_debug())),
    });
    let (zone, time_zone) = zone.or((usual.zone, usual.time_zone));
    let to = r.text(&mut s, "to", place);
    let from = r.text(&mut s, "from", value::number);
    let enabled = r.boolean(&mut s, "enabled").or(false);
    let (to, from) = if enabled {
        (
            r.required(&s, "to", to, "who carries the call, like \"sip.carrier.example:5060\""),
            r.required(&s, "from", from, "the caller's number, like \"+442079460999\""),
        )
    } else {
        (to.optional(), from.optional())
    };
    let self_test = SelfTest {
        enabled,
        window: r.text(&mut s, "window", schedule::span).or(usual.window),
        zone,
        time_zone,
        spacing: duration(r, &mut s, "spacing", SECOND, HOUR).or(usual.spacing),
        timeout: duration(r, &mut s, "timeout", SECOND, 2 * MINUTE).or(usual.timeout),
        to,
        from,
    };
    r.end(s);
    self_test
}

pub(super) fn addresses<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str) -> Vec<String> {
    match r.list(s, key, address) {
        Found::Is(list, place) => {
            if list.len() > limits::RECIPIENTS {
                r.problem(&place, format!("has more than {} addresses", limits::RECIPIENTS));
            }
            list.into_iter().map(|(address, _)| address).collect()
        }
        Found::Absent | Found::Bad => Vec::new(),
    }
}

fn address(text: &str) -> Result<String, String> {
    let read = text.parse::<lettre::Address>();
    read.map(|_| text.to_owned()).map_err(|_| format!("`{}` is not an address of mail", text.escape_debug()))
}

fn money(text: &str) -> Result<Money, String> {
    text.parse().map_err(|bad| format!("`{}` {bad}", text.escape_debug()))
}

fn host(text: &str) -> Result<String, String> {
    let good = value::is_host_name(text) || text.parse::<std::net::IpAddr>().is_ok();
    if good { Ok(text.to_owned()) } else { Err(format!("`{}` is not a host", text.escape_debug())) }
}

/// `HOST:PORT`.
fn place(text: &str) -> Result<String, String> {
    let good = text.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() > 0)
        || text
            .rsplit_once(':')
            .is_some_and(|(host, port)| value::is_host_name(host) && port.parse::<u16>().is_ok_and(|port| port > 0));
    if good { Ok(text.to_owned()) } else { Err(format!("`{}` is not HOST:PORT", text.escape_debug())) }
}
