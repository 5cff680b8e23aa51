//! HTTP: the API for pages, programs and people (CONTRACT §3), the page script, the console and the demo page.
//!
//! One table of routes ([`routes`]) says for every path what it does and who may use it; the router is made from it, and
//! so are the tests that walk all of it. Nothing here decides about calls: handlers read projections and give orders.

mod access;
mod archive;
mod assets;
mod audit;
mod bans;
mod body;
mod callrail;
mod calls;
mod catalogue;
mod console;
mod contacts;
mod demo;
mod events;
mod exports;
mod heard;
mod imports;
mod joins;
mod leads;
mod leases;
mod links;
mod live;
mod mask;
mod messages;
mod oidc;
mod pause;
mod problem;
mod rate;
mod recording;
mod reports;
mod seen;
mod serve;
mod session;
mod setup;
mod status;
mod stream;
mod tokens;
mod trunks;
mod users;
mod visitor;
mod visits;
mod work;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

pub use access::Access;
pub use demo::{Demo, DemoStep};
pub use live::{LiveCall, LiveCalls, LiveState, Phase, Readiness};
pub use problem::Problem;
pub use serve::serve;

use crate::config::Config;
use crate::core::catalogue::AddressQuota;
use crate::core::rights::Right;
use crate::ids::CallId;
use crate::io::allocator::AllocatorHandle;
use crate::io::archive::Archive;
use crate::io::catalogue::{Books, Orders};
use crate::io::clock;
use crate::io::ears::Board;
use crate::io::export::Exports;
use crate::io::index::Index;
use crate::io::journal::Journal;
use crate::io::keeper::KeeperHandle;
use crate::io::messages::Messages;
use crate::io::metrics::Metrics;
use crate::io::people::People;
use crate::io::signalling::Command;
use crate::limits;
use access::Caller;
use rate::RateLimit;

/// What HTTP shows and orders about.
#[derive(Debug)]
pub struct Parts {
    /// Swapped whole on reload.
    pub config: Arc<ArcSwap<Config>>,
    pub metrics: Arc<Metrics>,
    pub allocator: AllocatorHandle,
    pub journal: Journal,
    pub index: Index,
    pub live: Arc<LiveCalls>,
    pub messages: Arc<Messages>,
    pub archive: Arc<Archive>,
    /// To the owner of the configuration.
    pub orders: Orders,
    pub ledger: Arc<Books>,
    pub people: Arc<People>,
    pub keeper: KeeperHandle,
    pub exports: Arc<Exports>,
    pub readiness: Arc<Readiness>,
    /// PBXs that tell of their calls.
    pub board: Arc<Board>,
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
    index: Index,
    live: Arc<LiveCalls>,
    messages: Arc<Messages>,
    archive: Arc<Archive>,
    orders: Orders,
    ledger: Arc<Books>,
    people: Arc<People>,
    quota: Mutex<AddressQuota>,
    keeper: KeeperHandle,
    exports: Arc<Exports>,
    listeners: archive::Listeners,
    readiness: Arc<Readiness>,
    board: Arc<Board>,
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
            index: parts.index,
            live: parts.live,
            messages: parts.messages,
            archive: parts.archive,
            orders: parts.orders,
            ledger: parts.ledger,
            people: parts.people,
            quota: Mutex::default(),
            keeper: parts.keeper,
            exports: parts.exports,
            listeners: archive::Listeners::default(),
            readiness: parts.readiness,
            board: parts.board,
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

    /// The company of a call, where we know the call.
    async fn company_of(&self, call: CallId) -> Option<String> {
        match self.live.company(call) {
            Some(company) => Some(company),
            None => self
                .index
                .ask(move |reader| reader.call(call))
                .await
                .ok()
                .flatten()
                .map(|view| view.call.company.clone()),
        }
    }

    /// The same where blocking is allowed.
    fn company_of_blocking(&self, call: CallId) -> Option<String> {
        let indexed = || self.index.read(|reader| reader.call(call)).ok().flatten();
        self.live.company(call).or_else(|| indexed().map(|view| view.call.company.clone()))
    }

    /// Whether somebody who is being told things still may be.
    fn still_has(&self, caller: &Caller) -> bool {
        let http = &self.config.load().http;
        match &*caller.name {
            "local" => access::is_open(self, http),
            name if access::token_of(http, name).is_some() => {
                caller.session.is_none_or(|key| self.people.has_session(&key))
            }
            name => self.people.still_has(name, &caller.rights, caller.session.as_ref(), clock::mono()),
        }
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
    use Access::{Needs, Open, Page, Split};
    use Right::{
        Account, Audit, Calls, Catalogue, Control, Costs, Defence, Edit, Erase, Exports, Feed, Heard, Leads, Lease,
        Leases, Listen, Messages, Node, Reports, Users, Work,
    };
    let mut routes = vec![
        route("/v1/leases", Page(Lease, Leases), &["GET", "POST"], get(leases::list).post(leases::acquire)),
        route("/v1/leases/{id}/renew", Page(Lease, Leases), &["POST"], post(leases::renew)),
        route("/v1/leases/{id}/release", Page(Lease, Leases), &["POST"], post(leases::release)),
        route("/v1/leases/{id}/signal", Page(Lease, Leases), &["POST"], post(leases::signal)),
        route("/v1/leases/{id}/session", Page(Lease, Leases), &["POST"], post(leases::update)),
        route("/v1/script", Needs(Node), &["GET"], get(assets::script_versions)),
        route("/v1/feed/leases", Needs(Feed), &["GET"], get(leases::feed)),
        route("/v1/numbers", Needs(Leases), &["GET"], get(leases::numbers)),
        route("/v1/numbers/seen", Page(Lease, Leases), &["POST"], post(seen::seen)),
        route("/v1/pools", Needs(Leases), &["GET"], get(leases::pools)),
        route("/v1/catalogue", Split(Catalogue, Edit), &["GET", "PUT"], get(catalogue::current).put(catalogue::replace)),
        route("/v1/catalogue/versions", Needs(Catalogue), &["GET"], get(catalogue::versions)),
        route("/v1/catalogue/rollback", Needs(Edit), &["POST"], post(catalogue::roll_back)),
        route("/v1/catalogue/explain", Needs(Catalogue), &["POST"], post(catalogue::explain)),
        route("/v1/ledger", Needs(Leases), &["GET"], get(catalogue::ledger)),
        route("/v1/trunks", Needs(Node), &["GET"], get(trunks::list)),
        route("/v1/calls", Needs(Calls), &["GET"], get(calls::list)),
        route("/v1/calls/live", Needs(Calls), &["GET"], get(calls::live)),
        route("/v1/calls/{id}", Split(Calls, Control), &["GET", "DELETE"], get(calls::one).delete(calls::hangup)),
        route("/v1/calls/{id}/recording", Needs(Listen), &["GET"], get(recording::recording)),
        route("/v1/calls/{id}/hold", Needs(Erase), &["POST", "DELETE"], post(archive::hold).delete(archive::release)),
        route("/v1/erasures", Needs(Erase), &["POST"], post(archive::erase)),
        route("/v1/calls/{id}/recording/pause", Needs(Control), &["POST"], post(pause::pause)),
        route("/v1/calls/{id}/recording/resume", Needs(Control), &["POST"], post(pause::resume)),
        route("/v1/calls/{id}/recording/off", Needs(Control), &["POST"], post(pause::off)),
        route("/v1/calls/{id}/ladder", Needs(Messages), &["GET"], get(messages::ladder)),
        route("/v1/calls/{id}/trace", Needs(Messages), &["GET"], get(messages::trace)),
        route("/v1/calls/{id}/label", Needs(Work), &["PUT"], put(work::label)),
        route("/v1/calls/{id}/comments", Needs(Work), &["POST"], post(work::comment)),
        route("/v1/calls/{id}/comments/{comment}", Needs(Work), &["PUT", "DELETE"],
            put(work::change_comment).delete(work::delete_comment)),
        route("/v1/calls/{id}/score", Needs(Work), &["PUT"], put(work::score)),
        route("/v1/calls/{id}/value", Needs(Work), &["PUT"], put(work::value)),
        route("/v1/calls/{id}/called_back", Needs(Work), &["PUT"], put(work::called_back)),
        route("/v1/contacts", Needs(Calls), &["GET"], get(contacts::list)),
        route("/v1/contacts/consent", Needs(Work), &["PUT"], put(work::consent)),
        route("/v1/leads", Page(Leads, Reports), &["POST"], post(leads::receive)),
        route("/v1/heard", Needs(Heard), &["POST"], post(heard::tell)),
        route("/v1/ears", Needs(Node), &["GET"], get(heard::list)),
        route("/v1/costs", Needs(Costs), &["POST"], post(imports::costs)),
        route("/v1/deals", Needs(Costs), &["POST"], post(imports::deals)),
        route("/v1/reports/{report}", Needs(Reports), &["GET"], get(reports::one)),
        route("/v1/visitors/{id}", Needs(Calls), &["GET"], get(reports::visitor)),
        route("/v1/visitors/{id}/join", Needs(Work), &["POST"], post(joins::join)),
        route("/v1/visitors/{id}/identify", Needs(Leads), &["POST"], post(joins::identify)),
        route("/v1/visitors/{id}/part", Needs(Work), &["POST"], post(joins::part)),
        route("/v1/index", Needs(Node), &["GET"], get(reports::status)),
        route("/v1/index/rebuild", Needs(Edit), &["POST"], post(reports::rebuild)),
        route("/v3/a/{account}/calls.json", Needs(Calls), &["GET"], get(callrail::list)),
        route("/v3/a/{account}/calls/{id}", Needs(Calls), &["GET"], get(callrail::one)),
        route("/v3/a/{account}/calls/{id}/recording.json", Needs(Calls), &["GET"], get(callrail::recording)),
        route("/v1/exports", Needs(Exports), &["GET"], get(exports::list)),
        route("/v1/exports/{name}/deliveries", Needs(Exports), &["GET"], get(exports::deliveries)),
        route("/v1/exports/{name}/replay", Needs(Edit), &["POST"], post(exports::replay)),
        route("/v1/exports/{name}/dry-run", Needs(Edit), &["POST"], post(exports::dry_run)),
        route("/v1/bans", Needs(Node), &["GET"], get(bans::list)),
        route("/v1/bans/{address}", Needs(Defence), &["DELETE"], delete(bans::end)),
        route("/v1/events", Needs(Calls), &["GET"], get(events::events)),
        route("/v1/audit", Needs(Audit), &["GET"], get(audit::list)),
        route("/v1/users", Needs(Users), &["GET", "POST"], get(users::list).post(users::add)),
        route("/v1/users/{name}", Needs(Users), &["PATCH", "DELETE"], patch(users::change).delete(users::remove)),
        route("/v1/tokens", Needs(Users), &["GET", "POST"], get(tokens::list).post(tokens::add)),
        route("/v1/tokens/{id}", Needs(Users), &["DELETE"], delete(tokens::remove)),
        route("/v1/session", Open, &["GET", "POST", "DELETE"], get(session::show).post(session::sign_in).delete(session::sign_out)),
        route("/v1/session/oidc", Open, &["GET"], get(oidc::begin)),
        route("/v1/session/oidc/callback", Open, &["GET"], get(oidc::end)),
        route("/v1/session/password", Needs(Account), &["POST"], post(session::new_password)),
        route("/v1/session/totp", Needs(Account), &["POST", "PUT", "DELETE"],
            post(session::offer_totp).put(session::confirm_totp).delete(session::drop_totp)),
        route("/v1/setup", Open, &["POST"], post(setup::follow)),
        route("/metrics", Needs(Node), &["GET"], get(status::metrics)),
        route("/v1/openapi.json", Open, &["GET"], get(assets::openapi)),
        route("/healthz", Open, &["GET"], get(status::healthz)),
        route("/readyz", Open, &["GET"], get(status::readyz)),
        route("/session", Open, &["GET", "POST", "DELETE"], get(session::show).post(session::sign_in).delete(session::sign_out)),
        route("/leaseline.js", Open, &["GET"], get(assets::page_script)),
        route(assets::versioned_script_path(), Open, &["GET"], get(assets::versioned_script)),
        route("/assets/{file}", Open, &["GET"], get(assets::asset_file)),
    ];
    routes.extend(console::routes());
    if demo {
        routes.extend([
            route("/demo", Open, &["GET"], get(assets::demo)),
            route("/demo/call", Needs(Lease), &["POST"], post(status::demo_call)),
            route("/demo/events", Needs(Calls), &["GET"], get(events::demo_steps)),
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
            .layer(middleware::from_fn_with_state(state.clone(), console::problems))
            .layer(middleware::from_fn_with_state(access::Guard { state: state.clone(), access, path }, access::guard))
            .layer(middleware::from_fn_with_state(state.clone(), console::problems));
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
     media-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

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
