//! Who may do what. Every route names its [`Access`]; one guard in front of all of them decides, once for all: whether the
//! caller may, whether the call in the path is one of theirs, and whether they see numbers whole.
//!
//! Without a token and without users the listener is on loopback (the configuration refuses anything else) and the API is
//! open to whoever is on this machine; then the `Host` must be a loopback name, so that a foreign page cannot reach us by
//! rebinding its own name (DNS rebinding). Else a request carries a token as `Authorization: Bearer`, or the cookie of a
//! session. What a cookie allows is allowed to our own pages only: to change anything, the browser must say that the
//! request is of our origin.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::{AppState, mask};
use crate::config::{Config, Http};
use crate::core::rights::{Right, Rights};
use crate::core::session::SessionKey;
use crate::ids::CallId;
use crate::io::clock;

/// Rule of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, the page script, the console's own files (they hold nothing of the company), signing in.
    Open,
    /// POST by pages of the configured sites, known by their `Origin`, and by whoever has the first right; other methods
    /// by whoever has the second.
    Page(Right, Right),
    /// Whoever has this right.
    Needs(Right),
    /// The first to read, the second to do anything else.
    Split(Right, Right),
}

impl Access {
    /// What a request of this method needs; `None`: nothing.
    pub(super) fn right(self, method: &Method) -> Option<Right> {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match self {
            Access::Open => None,
            Access::Page(post, _) if !reads || *method == Method::OPTIONS => Some(post),
            Access::Page(_, right) | Access::Needs(right) => Some(right),
            Access::Split(read, write) => Some(if reads { read } else { write }),
        }
    }
}

/// Name of the console's cookie.
pub(super) const COOKIE: &str = "leaseline_session";

/// What the guard found out; handlers read it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The client, behind trusted proxies too.
    pub address: IpAddr,
    /// Somebody we know, who may do what the route is for.
    pub authorised: bool,
    /// Who it is: the name of a user, `token` with `http.token`, `token:NAME` with an API token, `local` without any;
    /// empty when nobody is known.
    pub name: Arc<str>,
    pub rights: Arc<Rights>,
    /// The session whose cookie came.
    pub session: Option<SessionKey>,
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

/// What stands in the path, if it can be read.
type Params = Result<RawPathParams, RawPathParamsRejection>;

/// The guard. Runs before any handler of the route, and counts what came of it.
pub(super) async fn guard(State(guard): State<Guard>, params: Params, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = check(&guard, params, request, next).await;
    guard.state.metrics.http_request(guard.path, &method, response.status().as_u16());
    response
}

async fn check(guard: &Guard, params: Params, mut request: Request, next: Next) -> Response {
    let state = &guard.state;
    let config = state.config.load_full();
    let method = request.method().clone();
    let access = match guard.access {
        Access::Page(_, read) if !matches!(method, Method::POST | Method::OPTIONS) => Access::Needs(read),
        access => access,
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let (caller, cors) = match decide(state, &config, access, peer, &method, request.headers()) {
        Ok(decided) => decided,
        Err(problem) => return *problem,
    };
    let is_page = matches!(access, Access::Page(..));
    if is_page && method == Method::OPTIONS {
        return preflight(cors);
    }
    let mut whole = caller.rights.shows_numbers();
    if let Some(right) = access.right(&method)
        && (guard.path.starts_with("/v1/calls/{id}") || guard.path.starts_with("/calls/{id}"))
    {
        match of_call(state, &caller, params, right).await {
            Ok(company) => whole = whole || company.is_some_and(|company| caller.rights.shows_numbers_of(&company)),
            Err(problem) => return problem.into_response(),
        }
    }
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if is_page {
        allow_origin(response.headers_mut(), cors);
    }
    // The feed has no end, and nobody's number but ours.
    if whole || guard.path == "/v1/feed/leases" { response } else { mask::response(response).await }
}

/// Whether the call in the path is one that the caller may see, and do this to; its company, where we know it. A call of
/// another company is no call.
async fn of_call(state: &AppState, caller: &Caller, params: Params, right: Right) -> Result<Option<String>, Problem> {
    if caller.rights.may_everywhere(right) && caller.rights.shows_numbers() {
        return Ok(None);
    }
    let unknown = || Problem::not_found("unknown_call", "There is no such call.");
    let mut params = params.iter().flat_map(RawPathParams::iter);
    let id = params.find(|(name, _)| *name == "id").and_then(|(_, id)| id.parse::<CallId>().ok());
    let company = match id {
        Some(id) => state.company_of(id).await,
        None => None,
    };
    match company {
        None if caller.rights.may_everywhere(right) => Ok(None),
        None => Err(unknown()),
        Some(company) if !caller.rights.sees(&company) => Err(unknown()),
        Some(company) if !caller.rights.may_in(right, &company) => Err(not_allowed(right)),
        Some(company) => Ok(Some(company)),
    }
}

fn not_allowed(right: Right) -> Problem {
    let detail = format!("Your roles do not have the right `{}` that this needs.", right.as_str());
    Problem::forbidden("not_allowed", detail)
}

type Decided = (Caller, Option<HeaderValue>);

/// Refuses, or says who is calling and which origin the answer is for.
fn decide(
    state: &AppState,
    config: &Config,
    access: Access,
    peer: Option<SocketAddr>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Decided, Box<Response>> {
    let refuse = |problem: Problem| Box::new(problem.into_response());
    let http = &config.http;
    let is_open = is_open(state, http);
    if is_open && !host_is_loopback(headers) {
        return Err(refuse(Problem::forbidden(
            "host_not_allowed",
            "Without http.token this server answers only under localhost, 127.0.0.1 and [::1].",
        )));
    }
    let demo = state.demo.is_some();
    let (address, secure) = client(peer, headers, http);
    let who = who(state, http, is_open, method, headers);
    let right = access.right(method);
    let rights = who.as_ref().map(|who| Arc::clone(&who.rights)).unwrap_or_default();
    let authorised = who.is_some() && right.is_none_or(|right| rights.may(right));
    let origin = headers.get(header::ORIGIN);
    let known = who.is_some();
    let (name, session) = who.map(|who| (who.name, who.session)).unwrap_or_default();
    let mut caller = Caller { address, authorised, name, rights, session, origin: None, secure };
    match (access, right) {
        // Signing in and out: a page of others must not do it for somebody.
        (Access::Open, _) if !is_read(method) && origin.is_some_and(|o| !is_same_origin(o, headers)) => {
            Err(refuse(foreign_origin()))
        }
        (Access::Open, _) | (_, None) => Ok((caller, None)),
        (Access::Page(..), Some(_)) => match origin {
            Some(value) if is_site(config, value) || (demo && is_same_origin(value, headers)) => {
                caller.origin = value.to_str().ok().map(str::to_owned);
                // A page's rights are a page's, whatever cookie travels with it.
                let bearer = bearer(state, http, headers);
                caller.authorised = bearer.is_some_and(|who| right.is_some_and(|right| who.rights.may(right)));
                Ok((caller, Some(value.clone())))
            }
            None if authorised => Ok((caller, None)),
            None if known => Err(refuse(right.map_or_else(foreign_origin, not_allowed))),
            _ => Err(Box::new(vary(
                Problem::forbidden("origin_not_allowed", "Only pages of a configured site (`origins`) may ask here.")
                    .into_response(),
            ))),
        },
        _ if !known => Err(refuse(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "Sign in, or send a token as `Authorization: Bearer …`.",
        ))),
        _ if origin.is_some_and(|o| !is_same_origin(o, headers)) => Err(refuse(foreign_origin())),
        (_, Some(right)) if !authorised => Err(refuse(not_allowed(right))),
        _ => Ok((caller, None)),
    }
}

fn foreign_origin() -> Problem {
    Problem::forbidden("origin_not_allowed", "Pages of another origin may not use this part of the API.")
}

/// Nobody has to say who they are: no token, no user, and none wanted.
pub(super) fn is_open(state: &AppState, http: &Http) -> bool {
    http.token.is_none() && !http.sign_in && !state.people.has_users(clock::mono())
}

/// Origin of the page's own site, when the request said one: a lease belongs to a site, and only its pages may ask.
pub(super) fn origin_fits(config: &Config, site: &str, caller: &Caller, right: Right, demo: bool) -> bool {
    let Some(origin) = &caller.origin else {
        let company = config.sites.iter().find(|s| s.name == site).map(|s| &s.company);
        return caller.authorised && company.is_none_or(|company| caller.rights.may_in(right, company));
    };
    let of_site = config.sites.iter().any(|s| s.name == site && s.origins.iter().any(|o| same(o, origin)));
    // The demo's page is ours and served by ourselves, on whatever port we got.
    of_site || (demo && !config.sites.iter().any(|s| s.origins.iter().any(|o| same(o, origin))))
}

/// Who a request says it is.
#[derive(Debug)]
struct Who {
    name: Arc<str>,
    rights: Arc<Rights>,
    session: Option<SessionKey>,
}

/// Whose token, or whose cookie, comes with this.
fn who(state: &AppState, http: &Http, is_open: bool, method: &Method, headers: &HeaderMap) -> Option<Who> {
    if let Some(who) = bearer(state, http, headers) {
        return Some(who);
    }
    if is_open {
        return Some(Who { name: "local".into(), rights: Arc::new(Rights::all()), session: None });
    }
    if !is_own_page(method, headers) {
        return None;
    }
    cookies(headers).filter(|(name, _)| *name == COOKIE).find_map(|(_, value)| {
        let token_of = |name: &str| token_of(http, name).map(|token| digest(&token));
        let times = (http.session_idle, http.session_max);
        let (key, known) = state.people.by_session(value, clock::mono(), times, token_of)?;
        Some(Who { name: known.name, rights: known.rights, session: Some(key) })
    })
}

/// A cookie travels with requests that other pages cause; the browser says so in Sec-Fetch-Site, or sends an Origin. To
/// read, it is enough that nothing says otherwise; to change, something must say that it is our page.
fn is_own_page(method: &Method, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(|origin| is_same_origin(origin, headers));
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(b"same-origin") => origin != Some(false),
        Some(b"none") => is_read(method),
        Some(_) => false,
        None => origin.unwrap_or(is_read(method)),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn bearer(state: &AppState, http: &Http, headers: &HeaderMap) -> Option<Who> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, given) = given.split_once(' ')?;
    let given = match scheme {
        _ if scheme.eq_ignore_ascii_case("bearer") => given.trim(),
        // As CallRail's clients send it.
        "Token" => given.trim().strip_prefix("token=")?.trim_matches('"'),
        _ => return None,
    };
    if let Some(name) = owner(http, |token| is_equal(given, token)) {
        return Some(Who { name, rights: Arc::new(Rights::all()), session: None });
    }
    let known = state.people.by_token(given, clock::now())?;
    Some(Who { name: known.name, rights: known.rights, session: None })
}

/// The name that goes with the token that fits.
fn owner(http: &Http, fits: impl Fn(&str) -> bool) -> Option<Arc<str>> {
    let token = http.token.as_ref()?;
    if fits(token) {
        return Some("token".into());
    }
    http.users.iter().find(|user| fits(&user.token.0)).map(|user| Arc::clone(&user.name))
}

/// The name in the configuration of this token, as somebody typed it.
pub(super) fn name_of(http: &Http, given: &str) -> Option<Arc<str>> {
    owner(http, |token| is_equal(given, token))
}

/// The token of this name in the configuration: a session that it began holds while it stands there.
pub(super) fn token_of(http: &Http, name: &str) -> Option<Arc<str>> {
    match name {
        "token" => http.token.clone(),
        name => http.users.iter().find(|user| *user.name == *name).map(|user| user.token.0.clone()),
    }
}

/// Hash of a token, by which a session knows it.
pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
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
