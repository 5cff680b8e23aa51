//! Who may do what. Every route names its [`Access`]; one guard in front of all of them decides.
//!
//! Without a token the listener is on loopback (the configuration refuses anything else) and the API is open to whoever
//! is on this machine; then the `Host` must be a loopback name, so that a foreign page cannot reach us by rebinding its
//! own name (DNS rebinding). With a token, a request carries it as `Authorization: Bearer`, or carries the console's
//! cookie, which is not the token but made from it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::AppState;
use super::problem::Problem;
use crate::config::{Config, Http};

/// Rule of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, the page script, the console's own files (they hold nothing of the company).
    Open,
    /// POST by pages of the configured sites, known by their `Origin`, and by whoever may use the API; other methods as
    /// with [`Access::Token`].
    Page,
    /// The API: token or cookie, or loopback without a token.
    Token,
}

/// Name of the console's cookie.
pub(super) const COOKIE: &str = "leaseline_session";

/// What the guard found out; handlers read it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The client, behind trusted proxies too.
    pub address: IpAddr,
    /// May use the whole API.
    pub authorised: bool,
    /// Who it is: the name of a user, `token` with `http.token`, `local` without any; empty when not authorised.
    pub name: Arc<str>,
    /// The `Origin` of a page.
    pub origin: Option<String>,
    /// TLS ended at a trusted proxy.
    pub secure: bool,
}

/// What the guard of one route knows.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub state: Arc<AppState>,
    pub access: Access,
    /// As in the router; the metrics' label.
    pub path: &'static str,
}

/// The guard. Runs before any handler of the route, and counts what came of it.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = check(&guard, request, next).await;
    guard.state.metrics.http_request(guard.path, &method, response.status().as_u16());
    response
}

async fn check(guard: &Guard, mut request: Request, next: Next) -> Response {
    let config = guard.state.config.load_full();
    let method = request.method();
    let access = match guard.access {
        Access::Page if !matches!(*method, Method::POST | Method::OPTIONS) => Access::Token,
        access => access,
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let (caller, cors) = match decide(&config, access, peer, method, request.headers(), guard.state.demo.is_some()) {
        Ok(decided) => decided,
        Err(problem) => return *problem,
    };
    if access == Access::Page && *method == Method::OPTIONS {
        return preflight(cors);
    }
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if access == Access::Page {
        allow_origin(response.headers_mut(), cors);
    }
    response
}

type Decided = (Caller, Option<HeaderValue>);

/// Refuses, or says who is calling and which origin the answer is for.
fn decide(
    config: &Config,
    access: Access,
    peer: Option<SocketAddr>,
    method: &Method,
    headers: &HeaderMap,
    demo: bool,
) -> Result<Decided, Box<Response>> {
    let refuse = |problem: Problem| Box::new(problem.into_response());
    let http = &config.http;
    if http.token.is_none() && !host_is_loopback(headers) {
        return Err(refuse(Problem::forbidden(
            "host_not_allowed",
            "Without http.token this server answers only under localhost, 127.0.0.1 and [::1].",
        )));
    }
    let (address, secure) = client(peer, headers, http);
    let name = who(http, method, headers);
    let authorised = name.is_some();
    let origin = headers.get(header::ORIGIN);
    let mut caller = Caller { address, authorised, name: name.unwrap_or_default(), origin: None, secure };
    match access {
        Access::Open => Ok((caller, None)),
        Access::Token if !authorised => Err(refuse(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "Send the token of the configuration as `Authorization: Bearer …`.",
        ))),
        Access::Token if origin.is_some_and(|o| !is_same_origin(o, headers)) => Err(refuse(Problem::forbidden(
            "origin_not_allowed",
            "Pages of another origin may not use this part of the API.",
        ))),
        Access::Token => Ok((caller, None)),
        Access::Page => match origin {
            Some(value) if is_site(config, value) || (demo && is_same_origin(value, headers)) => {
                caller.origin = value.to_str().ok().map(str::to_owned);
                // A page's rights are a page's, whatever cookie travels with it.
                caller.authorised = bearer(http, headers).is_some();
                Ok((caller, Some(value.clone())))
            }
            None if authorised => Ok((caller, None)),
            _ => Err(Box::new(vary(
                Problem::forbidden("origin_not_allowed", "Only pages of a configured site (`origins`) may ask here.")
                    .into_response(),
            ))),
        },
    }
}

/// Origin of the page's own site, when the request said one: a lease belongs to a site, and only its pages may ask.
pub(super) fn origin_fits(config: &Config, site: &str, caller: &Caller, demo: bool) -> bool {
    let Some(origin) = &caller.origin else { return caller.authorised };
    let of_site = config.sites.iter().any(|s| s.name == site && s.origins.iter().any(|o| same(o, origin)));
    // The demo's page is ours and served by ourselves, on whatever port we got.
    of_site || (demo && !config.sites.iter().any(|s| s.origins.iter().any(|o| same(o, origin))))
}

/// Value of the console's cookie: proof of the token, of no use anywhere else, void when the token changes.
pub(super) fn cookie_value(token: &str) -> String {
    let key = Sha256::digest(token.as_bytes());
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(b"leaseline console session 1");
    mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

/// Whose token, or whose cookie, comes with this.
fn who(http: &Http, method: &Method, headers: &HeaderMap) -> Option<Arc<str>> {
    if let Some(name) = bearer(http, headers) {
        return Some(name);
    }
    if http.token.is_none() {
        return Some("local".into());
    }
    // A cookie travels with requests that other pages cause; the browser says so in Sec-Fetch-Site, or sends an Origin.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let own = match site {
        Some(site) => site == b"same-origin" || (site == b"none" && method == Method::GET),
        None => headers.get(header::ORIGIN).is_none_or(|o| is_same_origin(o, headers)),
    };
    if !own {
        return None;
    }
    cookies(headers)
        .filter(|(name, _)| *name == COOKIE)
        .find_map(|(_, value)| owner(http, |token| is_equal(value, &cookie_value(token))))
}

fn bearer(http: &Http, headers: &HeaderMap) -> Option<Arc<str>> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, given) = given.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| owner(http, |token| is_equal(given.trim(), token))).flatten()
}

/// The name that goes with the token that fits.
fn owner(http: &Http, fits: impl Fn(&str) -> bool) -> Option<Arc<str>> {
    let token = http.token.as_ref()?;
    if fits(token) {
        return Some("token".into());
    }
    http.users.iter().find(|user| fits(&user.token.0)).map(|user| Arc::clone(&user.name))
}

/// The token of the user of this name.
pub(super) fn token_of<'h>(http: &'h Http, name: &str) -> Option<&'h str> {
    let user = http.users.iter().find(|user| *user.name == *name).map(|user| &*user.token.0);
    user.or(http.token.as_deref())
}

/// Compares without telling by its duration how much was right: hashes, not the texts, are compared.
fn is_equal(left: &str, right: &str) -> bool {
    let (left, right) = (Sha256::digest(left.as_bytes()), Sha256::digest(right.as_bytes()));
    left.iter().zip(right.iter()).fold(0u8, |differs, (l, r)| differs | (l ^ r)) == 0
}

pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// The client's address, and whether it came by TLS: what the last trusted proxy says, when one stands in front.
fn client(peer: Option<SocketAddr>, headers: &HeaderMap, http: &Http) -> (IpAddr, bool) {
    let peer = peer.map_or(IpAddr::from([127, 0, 0, 1]), |peer| peer.ip().to_canonical());
    let is_proxy = |address: &IpAddr| http.trusted_proxies.iter().any(|net| net.contains(address));
    if !is_proxy(&peer) {
        return (peer, false);
    }
    let said = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> = said.flat_map(|line| line.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
    let client = hops.into_iter().rev().find(|hop| !is_proxy(hop)).unwrap_or(peer);
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    (client.to_canonical(), secure)
}

fn host_is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_same_origin(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let (Ok(origin), Some(host)) = (origin.to_str(), headers.get(header::HOST).and_then(|h| h.to_str().ok())) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "http" | "https") && !rest.is_empty() && rest.eq_ignore_ascii_case(host)
    })
}

fn is_site(config: &Config, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    config.sites.iter().any(|site| site.origins.iter().any(|known| same(known, origin)))
}

fn same(known: &str, origin: &str) -> bool {
    known.trim_end_matches('/').eq_ignore_ascii_case(origin)
}

fn preflight(origin: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow_origin(headers, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn allow_origin(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        // The visitor's cookie, when the page and we are one site. No right comes of it.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    response
}
