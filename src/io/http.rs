//! HTTP: the API for pages, programs and people (CONTRACT §3), the page script, the console and the demo page.
//!
//! One table of routes ([`routes`]) says for every path what it does and who may use it; the router is made from it, and
//! so are the tests that walk all of it. Nothing here decides about calls: handlers read projections and give orders.

mod access;
mod archive;
mod assets;
mod bans;
mod body;
mod calls;
mod catalogue;
mod demo;
mod events;
mod leases;
mod links;
mod live;
mod messages;
mod pause;
mod problem;
mod rate;
mod recording;
mod seen;
mod serve;
mod status;
mod stream;
mod trunks;
mod visitor;
mod visits;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

pub use access::Access;
pub use demo::{Demo, DemoStep};
pub use live::{LiveCall, LiveCalls, LiveState, Phase, Readiness};
pub use problem::Problem;
pub use serve::serve;

use crate::config::Config;
use crate::core::catalogue::AddressQuota;
use crate::io::allocator::AllocatorHandle;
use crate::io::archive::Archive;
use crate::io::calls::Calls;
use crate::io::catalogue::{Books, Orders};
use crate::io::journal::Journal;
use crate::io::keeper::KeeperHandle;
use crate::io::messages::Messages;
use crate::io::metrics::Metrics;
use crate::io::signalling::Command;
use crate::limits;
use rate::RateLimit;

/// What HTTP shows and orders about.
#[derive(Debug)]
pub struct Parts {
    /// Swapped whole on reload.
    pub config: Arc<ArcSwap<Config>>,
    pub metrics: Arc<Metrics>,
    pub allocator: AllocatorHandle,
    pub journal: Journal,
    pub calls: Arc<Calls>,
    pub live: Arc<LiveCalls>,
    pub messages: Arc<Messages>,
    pub archive: Arc<Archive>,
    /// To the owner of the configuration.
    pub orders: Orders,
    pub ledger: Arc<Books>,
    pub keeper: KeeperHandle,
    pub readiness: Arc<Readiness>,
    /// For what only signalling knows.
    pub signalling: mpsc::UnboundedSender<Command>,
    /// Only with `leaseline demo`.
    pub demo: Option<Arc<Demo>>,
}

/// State of all handlers.
#[derive(Debug)]
pub struct AppState {
    config: Arc<ArcSwap<Config>>,
    metrics: Arc<Metrics>,
    allocator: AllocatorHandle,
    journal: Journal,
    calls: Arc<Calls>,
    live: Arc<LiveCalls>,
    messages: Arc<Messages>,
    archive: Arc<Archive>,
    orders: Orders,
    ledger: Arc<Books>,
    quota: Mutex<AddressQuota>,
    keeper: KeeperHandle,
    listeners: archive::Listeners,
    readiness: Arc<Readiness>,
    signalling: mpsc::UnboundedSender<Command>,
    demo: Option<Arc<Demo>>,
    /// `<data_dir>`; recordings are opened below it.
    data_dir: PathBuf,
    links: links::Links,
    lease_rate: RateLimit,
    beat_rate: RateLimit,
    streams: Arc<Semaphore>,
    /// True when the server stops: streams end.
    closing: watch::Sender<bool>,
}

impl AppState {
    pub fn new(parts: Parts) -> Arc<AppState> {
        let data_dir = parts.config.load().node.data_dir.clone();
        Arc::new(AppState {
            config: parts.config,
            metrics: parts.metrics,
            allocator: parts.allocator,
            journal: parts.journal,
            calls: parts.calls,
            live: parts.live,
            messages: parts.messages,
            archive: parts.archive,
            orders: parts.orders,
            ledger: parts.ledger,
            quota: Mutex::default(),
            keeper: parts.keeper,
            listeners: archive::Listeners::default(),
            readiness: parts.readiness,
            signalling: parts.signalling,
            demo: parts.demo,
            data_dir,
            links: links::Links::start(),
            lease_rate: RateLimit::new(limits::HTTP_LEASE_BURST, limits::HTTP_LEASE_RATE),
            beat_rate: RateLimit::new(limits::HTTP_BEAT_BURST, limits::HTTP_BEAT_RATE),
            streams: Arc::new(Semaphore::new(limits::HTTP_STREAMS)),
            closing: watch::Sender::new(false),
        })
    }

    /// New leases of addresses.
    fn quota(&self) -> MutexGuard<'_, AddressQuota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream.
    fn stream_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = self.streams.clone().try_acquire_owned();
        place.map_err(|_| Problem::unavailable("too_many_streams", "Too many event or feed streams are open.", 10))
    }
}

/// One path and its rule.
struct Route {
    path: &'static str,
    access: Access,
    methods: &'static [&'static str],
    handler: MethodRouter<Arc<AppState>>,
}

fn route(
    path: &'static str,
    access: Access,
    methods: &'static [&'static str],
    handler: MethodRouter<Arc<AppState>>,
) -> Route {
    Route { path, access, methods, handler }
}

/// Every path there is (CONTRACT §3). The demo's stand only when it runs.
#[rustfmt::skip]
fn routes(demo: bool) -> Vec<Route> {
    use Access::{Open, Page, Token};
    let mut routes = vec![
        route("/v1/leases", Page, &["GET", "POST"], get(leases::list).post(leases::acquire)),
        route("/v1/leases/{id}/renew", Page, &["POST"], post(leases::renew)),
        route("/v1/leases/{id}/release", Page, &["POST"], post(leases::release)),
        route("/v1/leases/{id}/signal", Page, &["POST"], post(leases::signal)),
        route("/v1/leases/{id}/session", Page, &["POST"], post(leases::update)),
        route("/v1/script", Token, &["GET"], get(assets::script_versions)),
        route("/v1/feed/leases", Token, &["GET"], get(leases::feed)),
        route("/v1/numbers", Token, &["GET"], get(leases::numbers)),
        route("/v1/numbers/seen", Page, &["POST"], post(seen::seen)),
        route("/v1/pools", Token, &["GET"], get(leases::pools)),
        route("/v1/catalogue", Token, &["GET", "PUT"], get(catalogue::current).put(catalogue::replace)),
        route("/v1/catalogue/versions", Token, &["GET"], get(catalogue::versions)),
        route("/v1/catalogue/rollback", Token, &["POST"], post(catalogue::roll_back)),
        route("/v1/catalogue/explain", Token, &["POST"], post(catalogue::explain)),
        route("/v1/ledger", Token, &["GET"], get(catalogue::ledger)),
        route("/v1/trunks", Token, &["GET"], get(trunks::list)),
        route("/v1/calls", Token, &["GET"], get(calls::list)),
        route("/v1/calls/live", Token, &["GET"], get(calls::live)),
        route("/v1/calls/{id}", Token, &["GET", "DELETE"], get(calls::one).delete(calls::hangup)),
        route("/v1/calls/{id}/recording", Token, &["GET"], get(recording::recording)),
        route("/v1/calls/{id}/hold", Token, &["POST", "DELETE"], post(archive::hold).delete(archive::release)),
        route("/v1/erasures", Token, &["POST"], post(archive::erase)),
        route("/v1/calls/{id}/recording/pause", Token, &["POST"], post(pause::pause)),
        route("/v1/calls/{id}/recording/resume", Token, &["POST"], post(pause::resume)),
        route("/v1/calls/{id}/recording/off", Token, &["POST"], post(pause::off)),
        route("/v1/calls/{id}/ladder", Token, &["GET"], get(messages::ladder)),
        route("/v1/calls/{id}/trace", Token, &["GET"], get(messages::trace)),
        route("/v1/bans", Token, &["GET"], get(bans::list)),
        route("/v1/bans/{address}", Token, &["DELETE"], delete(bans::end)),
        route("/v1/events", Token, &["GET"], get(events::events)),
        route("/metrics", Token, &["GET"], get(status::metrics)),
        route("/v1/openapi.json", Open, &["GET"], get(assets::openapi)),
        route("/healthz", Open, &["GET"], get(status::healthz)),
        route("/readyz", Open, &["GET"], get(status::readyz)),
        route("/session", Open, &["GET", "POST", "DELETE"], get(status::session).post(status::sign_in).delete(status::sign_out)),
        route("/leaseline.js", Open, &["GET"], get(assets::page_script)),
        route(assets::versioned_script_path(), Open, &["GET"], get(assets::versioned_script)),
        route("/assets/{file}", Open, &["GET"], get(assets::asset_file)),
        route("/", Open, &["GET"], get(assets::console)),
    ];
    if demo {
        routes.extend([
            route("/demo", Open, &["GET"], get(assets::demo)),
            route("/demo/call", Token, &["POST"], post(status::demo_call)),
            route("/demo/events", Token, &["GET"], get(events::demo_steps)),
        ]);
    }
    routes
}

/// The whole service. Answers to anything, panics on nothing.
pub fn router(state: Arc<AppState>) -> Router {
    let mut router = Router::new();
    for Route { path, access, methods, handler } in routes(state.demo.is_some()) {
        let allow = allow(methods);
        let guarded = handler
            .fallback(move || std::future::ready(not_allowed(allow.clone())))
            .layer(middleware::from_fn_with_state(access::Guard { state: state.clone(), access, path }, access::guard));
        router = router.route(path, guarded);
    }
    let unknown = state.metrics.clone();
    router
        .fallback(any(move |request: Request| {
            unknown.http_request("none", request.method(), StatusCode::NOT_FOUND.as_u16());
            std::future::ready(Problem::not_found("not_found", "There is nothing at this path; see /v1/openapi.json."))
        }))
        .layer(middleware::from_fn(secure))
        .with_state(state)
}

fn allow(methods: &[&str]) -> HeaderValue {
    let mut allow = methods.join(", ");
    if methods.contains(&"GET") {
        allow.push_str(", HEAD");
    }
    HeaderValue::from_str(&allow).unwrap_or(HeaderValue::from_static("GET"))
}

fn not_allowed(allow: HeaderValue) -> Response {
    let detail = format!("This path knows: {}.", allow.to_str().unwrap_or_default());
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response();
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// Policy of our own pages: nothing inline, nothing from elsewhere, framed by nobody.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers that every answer has.
async fn secure(request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let is_cached = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    // A 304 without one leaves the page its own; with one it would change the cached page's policy (RFC 9111 §3.2).
    if !is_cached {
        let policy = if is_page { PAGE_POLICY } else { "default-src 'none'; frame-ancestors 'none'" };
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry("cross-origin-resource-policy").or_insert(HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_head {
        *response.body_mut() = axum::body::Body::empty();
    }
    response
}

/// Between two signs of life on a stream.
const HEARTBEAT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
