//! Prometheus metrics, for alarms. Labels come from closed enums, from reason codes in our source and from names in the
//! configuration; never from the network, so the number of series does not grow with traffic.
//!
//! Everything is atomic: parts hold an `Arc<Metrics>` and count. Whoever counts once a packet takes its `Counter` out of
//! the family once, at start, and keeps it.

mod archive;
mod ears;
mod keeper;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use archive::Archive;
pub use ears::Ears;
pub use keeper::Keeper;

use crate::core::decide;
use crate::core::event::{AttributionKind, Outcome, RecordingState};
use crate::core::siprec;

/// All metrics of one daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub sip: Sip,
    pub calls: Calls,
    pub media: Media,
    pub recordings: Recordings,
    pub archive: Archive,
    pub leases: Leases,
    pub keeper: Keeper,
    pub ears: Ears,
    pub journal: Journal,
    pub sinks: Sinks,
    pub http: Http,
}

/// SIP messages.
#[derive(Debug, Default)]
pub struct Sip {
    pub requests: Family<SipRequest, Counter>,
    pub responses: Family<SipResponse, Counter>,
    /// Datagrams and stream messages that were dropped without an answer, by reason code.
    pub dropped: Family<Reason, Counter>,
    /// Strangers' addresses that are banned now, and how many were since the start.
    pub banned: Gauge,
    pub bans: Counter,
    /// How long the newest message had waited in our queue, in microseconds.
    pub queue_age: Gauge,
    /// Datagrams that the kernel threw away because we did not read them in time.
    pub kernel_dropped: Counter,
    pub transactions: Gauge,
    /// Stream connections of every kind, those being opened too.
    pub connections: Gauge,
    /// Questions to DNS and to its cache, by what came of them.
    pub dns_lookups: Family<Reason, Counter>,
    /// Time that DNS servers took, all questions together.
    pub dns_milliseconds: Counter,
    /// Next hops that failed and have not answered since.
    pub hops_down: Gauge,
    /// 1 while we are registered at a trunk.
    pub registered: Family<OfTrunk, Gauge>,
    /// 1 while a trunk answers our probes, 0 while it does not; none when it is not asked.
    pub trunk_up: Family<OfTrunk, Gauge>,
    pub connections_by: Family<OverTransport, Gauge>,
    /// Connections that never came to be: handshakes, limits, strangers.
    pub connections_failed: Family<Reason, Counter>,
    pub connections_closed: Family<Reason, Counter>,
}

/// Calls.
#[derive(Debug)]
pub struct Calls {
    pub active: Gauge,
    pub trunk_active: Family<OfTrunk, Gauge>,
    pub started: Counter,
    pub ended: Family<CallOutcome, Counter>,
    /// INVITEs that never became a call, by reason code and trunk.
    pub refused: Family<Refusal, Counter>,
    /// Alarms of the rules against toll fraud, by company.
    pub fraud: Family<OfCompany, Counter>,
    /// Calls that a company's webhook was to decide on, by what it said, or by why it said nothing.
    pub decided: Family<Reason, Counter>,
    pub attributed: Family<Attributed, Counter>,
    /// Panics caught at the edge of one call.
    pub crashed: Counter,
    /// INVITE to 200, answered calls.
    pub ring_seconds: Histogram,
    /// 200 to BYE, answered calls.
    pub talk_seconds: Histogram,
}

/// RTP relay.
#[derive(Debug, Default)]
pub struct Media {
    /// Packets sent on, by the side they came from.
    pub relayed: Counter,
    pub dropped: Family<Reason, Counter>,
    /// Datagrams that the kernel threw away because we did not read them in time.
    pub kernel_dropped: Counter,
    pub ports_used: Gauge,
    pub ports_total: Gauge,
}

/// Recorder.
#[derive(Debug, Default)]
pub struct Recordings {
    pub active: Gauge,
    pub sealed: Family<Sealed, Counter>,
    /// Rounds over a third party's recorder that came to nothing, by reason code.
    pub siprec_failed: Family<Reason, Counter>,
    /// Packets that found the recorder's queue full: a gap in a file.
    pub packets_lost: Counter,
    /// How far the files are behind the talk, in seconds.
    pub lag: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Ended, and not yet sealed.
    pub sealing: Gauge,
}

/// Allocator and lease table.
#[derive(Debug, Default)]
pub struct Leases {
    pub active: Family<InPool, Gauge>,
    /// Numbers of the pool that nobody holds.
    pub free: Family<InPool, Gauge>,
    pub granted: Family<InPool, Counter>,
    /// Requests that found no free number.
    pub exhausted: Family<InPool, Counter>,
    pub excluded: Family<Excluded, Counter>,
    /// 1 while the lease table is out of step with its allocator.
    pub feed_stale: Gauge,
    pub feed_revision: Gauge,
    pub feed_reconnects: Counter,
}

/// Event journal.
#[derive(Debug, Default)]
pub struct Journal {
    /// Number of the last event written.
    pub seq: Gauge,
    pub queue: Gauge,
    /// Events that could not be written.
    pub dropped: Counter,
    /// 1 while the disk refuses and events wait in memory.
    pub degraded: Gauge,
}

/// Delivery of events.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Events in the journal that the sink has not confirmed.
    pub lag: Family<ToSink, Gauge>,
    pub delivered: Family<ToSink, Counter>,
    /// Failed attempts since the last success.
    pub failures: Family<ToSink, Gauge>,
    pub dead_letters: Family<ToSink, Gauge>,
}

/// HTTP server.
#[derive(Debug, Default)]
pub struct Http {
    pub requests: Family<HttpRequest, Counter>,
    pub connections: Gauge,
    /// Connections closed at once because there were too many.
    pub connections_refused: Counter,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Received,
    Sent,
}

impl EncodeLabelValue for Direction {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let text = match self {
            Direction::Received => "received",
            Direction::Sent => "sent",
        };
        EncodeLabelValue::encode(&text, encoder)
    }
}

/// Labels of one SIP request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SipRequest {
    pub direction: Direction,
    pub method: &'static str,
    /// Name in the configuration; `none` for destinations and for whoever is no trunk's.
    pub trunk: String,
}

/// Labels of one SIP response.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SipResponse {
    pub direction: Direction,
    /// `1xx` … `6xx`.
    pub class: &'static str,
    /// A status of the RFCs; `other` for the rest, so that a peer cannot make series.
    pub code: &'static str,
    pub trunk: String,
}

/// Why an INVITE of a trunk was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refusal {
    pub reason: &'static str,
    pub trunk: String,
}

/// Name of a trunk in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfTrunk {
    pub trunk: String,
}

/// Name of a company in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfCompany {
    pub company: String,
}

/// A stream transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OverTransport {
    pub transport: &'static str,
}

/// A stable reason code; only text from our source fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallOutcome {
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attributed {
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Sealed {
    pub state: &'static str,
}

/// A visit that is not tracked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Excluded {
    pub site: String,
    pub reason: &'static str,
}

/// Name of a pool in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InPool {
    pub pool: String,
}

/// Name of a sink in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ToSink {
    pub sink: String,
}

/// Labels of one HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HttpRequest {
    /// The route as written in the router (`/v1/calls/{id}`), `none` when no route matched.
    pub route: String,
    pub method: &'static str,
    /// `2xx` … `5xx`.
    pub class: &'static str,
}

impl Calls {
    /// Calls in progress that came in through this trunk.
    pub fn of_trunk(&self, trunk: &str) -> Gauge {
        self.trunk_active.get_or_create(&OfTrunk { trunk: trunk.to_owned() }).clone()
    }
}

fn label(name: Option<&str>) -> String {
    name.unwrap_or("none").to_owned()
}

impl Metrics {
    /// All metrics at zero, registered under the prefix `leaseline`.
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("leaseline"),
            sip: Sip::default(),
            calls: Calls {
                active: Gauge::default(),
                trunk_active: Family::default(),
                fraud: Family::default(),
                decided: Family::default(),
                started: Counter::default(),
                ended: Family::default(),
                refused: Family::default(),
                attributed: Family::default(),
                crashed: Counter::default(),
                ring_seconds: Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0]),
                talk_seconds: Histogram::new([5.0, 15.0, 30.0, 60.0, 180.0, 600.0, 1_800.0]),
            },
            media: Media::default(),
            recordings: Recordings::default(),
            archive: Archive::default(),
            leases: Leases::default(),
            keeper: Keeper::default(),
            ears: Ears::default(),
            journal: Journal::default(),
            sinks: Sinks::default(),
            http: Http::default(),
        };
        metrics.register();
        metrics
    }

    /// The text that `/metrics` answers (OpenMetrics).
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing into a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// The counter of these requests.
    pub fn sip_requests(&self, direction: Direction, method: &rsip::Method, trunk: Option<&str>) -> Counter {
        let labels = SipRequest { direction, method: method_label(method), trunk: label(trunk) };
        self.sip.requests.get_or_create_owned(&labels)
    }

    /// The counter of these responses.
    pub fn sip_responses(&self, direction: Direction, status: u16, trunk: Option<&str>) -> Counter {
        let (class, code) = (class(status), status_label(status));
        self.sip.responses.get_or_create_owned(&SipResponse { direction, class, code, trunk: label(trunk) })
    }

    /// Messages dropped, or refused without becoming anything: `total` since the start.
    pub fn sip_dropped(&self, reason: &'static str, total: u64) {
        self.sip.dropped.get_or_create(&Reason { reason }).inner().store(total, Ordering::Relaxed);
    }

    /// Whether we are registered at a trunk.
    pub fn trunk_registered(&self, trunk: &str, registered: bool) {
        self.sip.registered.get_or_create(&OfTrunk { trunk: trunk.to_owned() }).set(i64::from(registered));
    }

    /// What a trunk's probe has found; `None`: it is not asked any more.
    pub fn trunk_up(&self, trunk: &str, up: Option<bool>) {
        let labels = OfTrunk { trunk: trunk.to_owned() };
        match up {
            Some(up) => {
                self.sip.trunk_up.get_or_create(&labels).set(i64::from(up));
            }
            None => {
                self.sip.trunk_up.remove(&labels);
            }
        }
    }

    /// Stream connections now, by transport; those that never came to be and those that ended, by reason, as totals
    /// since the start.
    pub fn sip_streams(
        &self,
        open: &BTreeMap<&'static str, usize>,
        failed: &BTreeMap<&'static str, u64>,
        closed: &BTreeMap<&'static str, u64>,
    ) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.sip.connections.set(gauge(open.values().sum()));
        for transport in ["tcp", "tls", "ws", "wss"] {
            let count = open.get(transport).copied().unwrap_or(0);
            self.sip.connections_by.get_or_create(&OverTransport { transport }).set(gauge(count));
        }
        for (totals, family) in [(failed, &self.sip.connections_failed), (closed, &self.sip.connections_closed)] {
            for (reason, total) in totals {
                family.get_or_create(&Reason { reason }).inner().store(*total, Ordering::Relaxed);
            }
        }
    }

    /// An INVITE that never became a call.
    pub fn call_refused(&self, reason: &'static str, trunk: Option<&str>) {
        self.calls.refused.get_or_create(&Refusal { reason, trunk: label(trunk) }).inc();
    }

    /// A call that a company's webhook was to decide on is over; `result` is one of [`decide::RESULTS`].
    pub fn decided(&self, result: &str) {
        if let Some(reason) = decide::RESULTS.into_iter().find(|known| *known == result) {
            self.calls.decided.get_or_create(&Reason { reason }).inc();
        }
    }

    /// No place of a third party's recorder took a call, or the one that did has stopped.
    pub fn siprec_failed(&self, reason: &str) {
        if let Some(reason) = siprec::REASONS.into_iter().find(|known| *known == reason) {
            self.recordings.siprec_failed.get_or_create(&Reason { reason }).inc();
        }
    }

    /// An alarm of the rules against toll fraud.
    pub fn fraud_suspected(&self, company: Option<&str>) {
        self.calls.fraud.get_or_create(&OfCompany { company: label(company) }).inc();
    }

    pub fn call_started(&self, attribution: AttributionKind, trunk: &str) {
        self.calls.of_trunk(trunk).inc();
        let kind = match attribution {
            AttributionKind::Visitor => "visitor",
            AttributionKind::Static => "static",
            AttributionKind::None => "none",
        };
        self.calls.started.inc();
        self.calls.active.inc();
        self.calls.attributed.get_or_create(&Attributed { kind }).inc();
    }

    /// The end of a call that [`Metrics::call_started`] was told of.
    pub fn call_ended(&self, outcome: Outcome, ring_ms: u64, talk_ms: u64) {
        self.calls.active.dec();
        self.calls.ended.get_or_create(&CallOutcome { outcome: outcome.as_str() }).inc();
        if outcome == Outcome::Answered {
            self.calls.ring_seconds.observe(ring_ms as f64 / 1_000.0);
            self.calls.talk_seconds.observe(talk_ms as f64 / 1_000.0);
        }
    }

    pub fn media_dropped(&self, reason: &'static str, packets: u64) {
        self.media.dropped.get_or_create(&Reason { reason }).inc_by(packets);
    }

    pub fn recording_sealed(&self, state: RecordingState) {
        let state = match state {
            RecordingState::Complete => "complete",
            RecordingState::Degraded => "degraded",
            RecordingState::Failed => "failed",
            RecordingState::Off => "off",
        };
        self.recordings.sealed.get_or_create(&Sealed { state }).inc();
    }

    pub fn lease_granted(&self, pool: &str) {
        self.leases.granted.get_or_create(&InPool { pool: pool.to_owned() }).inc();
    }

    /// A visit that saw the real number, and why.
    pub fn visit_excluded(&self, site: &str, reason: &'static str) {
        self.leases.excluded.get_or_create(&Excluded { site: site.to_owned(), reason }).inc();
    }

    pub fn pool_exhausted(&self, pool: &str) {
        self.leases.exhausted.get_or_create(&InPool { pool: pool.to_owned() }).inc();
    }

    /// One answered HTTP request; `route` is the router's pattern, never the path.
    pub fn http_request(&self, route: &str, method: &axum::http::Method, status: u16) {
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let labels = HttpRequest { route: route.to_owned(), method, class: class(status) };
        self.http.requests.get_or_create(&labels).inc();
    }

    #[rustfmt::skip]
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("build", "What is running", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let m = &self.sip;
        r.register("sip_requests", "SIP requests by method and trunk", m.requests.clone());
        r.register("sip_responses", "SIP responses by code and trunk", m.responses.clone());
        r.register("sip_banned", "Strangers' addresses that are banned now", m.banned.clone());
        r.register("sip_bans", "Bans since the start", m.bans.clone());
        r.register("sip_queue_age_microseconds", "How long the newest message had waited for us", m.queue_age.clone());
        r.register("sip_kernel_dropped", "Datagrams that the kernel threw away before we read them", m.kernel_dropped.clone());
        r.register("sip_dropped", "SIP messages dropped or refused, by reason", m.dropped.clone());
        r.register("sip_transactions", "SIP transactions in memory", m.transactions.clone());
        r.register("sip_connections", "SIP stream connections", m.connections.clone());
        r.register("dns_lookups", "DNS questions by outcome", m.dns_lookups.clone());
        r.register("dns_milliseconds", "Time that DNS servers took", m.dns_milliseconds.clone());
        r.register("sip_hops_down", "Next hops that failed and have not answered since", m.hops_down.clone());
        r.register("trunk_registered", "1 while we are registered at a trunk", m.registered.clone());
        r.register("trunk_up", "1 while a trunk answers our probes", m.trunk_up.clone());
        r.register("sip_connections_by", "SIP stream connections by transport", m.connections_by.clone());
        let failed = m.connections_failed.clone();
        r.register("sip_connections_failed", "SIP connections that never came to be, by reason", failed);
        r.register("sip_connections_closed", "SIP connections that ended, by reason", m.connections_closed.clone());
        let m = &self.calls;
        r.register("calls_active", "Calls in progress", m.active.clone());
        r.register("trunk_calls_active", "Calls in progress by trunk", m.trunk_active.clone());
        r.register("decisions", "Calls that a webhook was to decide on, by what came of it", m.decided.clone());
        r.register("fraud_suspected", "Alarms about toll fraud by company", m.fraud.clone());
        r.register("calls_started", "Calls that came in", m.started.clone());
        r.register("calls_ended", "Calls by outcome", m.ended.clone());
        r.register("calls_refused", "INVITEs refused before they became a call", m.refused.clone());
        r.register("calls_attributed", "Calls by kind of attribution", m.attributed.clone());
        r.register("calls_crashed", "Panics caught in one call", m.crashed.clone());
        r.register("call_ring_seconds", "INVITE to 200", m.ring_seconds.clone());
        r.register("call_talk_seconds", "200 to BYE", m.talk_seconds.clone());
        let m = &self.media;
        r.register("media_packets_relayed", "RTP packets sent on", m.relayed.clone());
        r.register("media_packets_dropped", "Media packets refused", m.dropped.clone());
        let help = "Media datagrams that the kernel threw away before we read them";
        r.register("media_kernel_dropped", help, m.kernel_dropped.clone());
        r.register("media_ports_used", "Media port pairs in use", m.ports_used.clone());
        r.register("media_ports", "Media port pairs configured", m.ports_total.clone());
        let m = &self.recordings;
        r.register("recordings_active", "Recordings being written", m.active.clone());
        r.register("recordings", "Recordings by verdict", m.sealed.clone());
        r.register("siprec_failed", "Copies of calls that no recorder took, by reason", m.siprec_failed.clone());
        r.register("recorder_lag_seconds", "How far the files are behind the talk", m.lag.clone());
        r.register("recordings_sealing", "Recordings that have ended and are not sealed yet", m.sealing.clone());
        r.register("recorder_packets_lost", "Packets that found the recorder's queue full", m.packets_lost.clone());
        let m = &self.archive;
        r.register("archive_days_closed", "Days whose manifest was written", m.days_closed.clone());
        r.register("archive_recordings_erased", "Recordings erased", m.erased.clone());
        r.register("archive_erasures_left", "Recordings due to be erased that the next run takes", m.erasures_left.clone());
        r.register("archive_alarms", "Events that an operator must look at", m.alarms.clone());
        r.register("archive_recordings_packed", "Recordings made into FLAC", m.packed.clone());
        r.register("archive_uploads", "Recordings stored in an archive", m.uploads.clone());
        r.register("archive_upload_failures", "Attempts at that which failed", m.upload_failures.clone());
        r.register("archive_upload_lag_events", "Events that an archive has not looked at", m.upload_lag.clone());
        r.register("archive_timestamps", "Days that have got their time stamp", m.stamps.clone());
        r.register("archive_timestamp_failures", "Attempts at that which failed", m.stamp_failures.clone());
        r.register("archive_timestamps_left", "Days that wait for their time stamp", m.stamps_left.clone());
        let help = "Recordings that wait for an archive or are on their way there";
        r.register("archive_uploads_waiting", help, m.uploads_waiting.clone());
        r.register("archive_packs_left", "Recordings due to be made smaller", m.packs_left.clone());
        r.register("recordings_disk_free_bytes", "Free space on the disk of recordings", m.disk_free.clone());
        let help = "0: enough room; 1: below disk_free_min or disk_free_erase; 2: below both";
        r.register("recordings_disk_level", help, m.disk_level.clone());
        let m = &self.leases;
        r.register("leases_active", "Numbers on visitors' pages", m.active.clone());
        r.register("leases_free", "Numbers of the pool that nobody holds", m.free.clone());
        r.register("leases_granted", "Leases granted", m.granted.clone());
        r.register("visits_excluded", "Visits of offices, staff and crawlers, which see the real number", m.excluded.clone());
        r.register("leases_exhausted", "Requests that found no free number", m.exhausted.clone());
        r.register("lease_feed_stale", "1 while the lease table is out of step", m.feed_stale.clone());
        r.register("lease_feed_revision", "Last revision of the lease table", m.feed_revision.clone());
        r.register("lease_feed_reconnects", "Times the lease feed was opened again", m.feed_reconnects.clone());
        self.keeper.register(r);
        self.ears.register(r);
        let m = &self.journal;
        r.register("journal_seq", "Number of the last event written", m.seq.clone());
        r.register("journal_queue", "Events that wait for the disk", m.queue.clone());
        r.register("journal_dropped", "Events that could not be written", m.dropped.clone());
        r.register("journal_degraded", "1 while the disk refuses and events wait in memory", m.degraded.clone());
        let m = &self.sinks;
        r.register("sink_lag_events", "Events not yet confirmed by the sink", m.lag.clone());
        r.register("sink_delivered", "Events delivered", m.delivered.clone());
        r.register("sink_failures", "Failed attempts since the last success", m.failures.clone());
        r.register("sink_dead_letters", "Events in the dead-letter list", m.dead_letters.clone());
        let m = &self.http;
        r.register("http_requests", "HTTP requests by route", m.requests.clone());
        r.register("http_connections", "HTTP connections", m.connections.clone());
        r.register("http_connections_refused", "HTTP connections closed at once: too many", m.connections_refused.clone());
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

fn method_label(method: &rsip::Method) -> &'static str {
    use rsip::Method as M;
    match method {
        M::Ack => "ACK",
        M::Bye => "BYE",
        M::Cancel => "CANCEL",
        M::Info => "INFO",
        M::Invite => "INVITE",
        M::Message => "MESSAGE",
        M::Notify => "NOTIFY",
        M::Options => "OPTIONS",
        M::PRack => "PRACK",
        M::Publish => "PUBLISH",
        M::Refer => "REFER",
        M::Register => "REGISTER",
        M::Subscribe => "SUBSCRIBE",
        M::Update => "UPDATE",
    }
}

/// The statuses of RFC 3261 §21 and of the registry since.
fn status_label(status: u16) -> &'static str {
    macro_rules! known {
        ($($status:literal)*) => {
            match status {
                $($status => stringify!($status),)*
                _ => "other",
            }
        };
    }
    known!(100 180 181 182 183 199 200 202 204 300 301 302 305 380
        400 401 402 403 404 405 406 407 408 410 412 413 414 415 416 417 420 421 422 423 424 425 428 429 430 433 436 437
        438 439 440 469 470 480 481 482 483 484 485 486 487 488 489 491 493 494
        500 501 502 503 504 505 513 555 580 600 603 604 606 607 608)
}

fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        600..=699 => "6xx",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracked_call_shows_in_every_family_it_touches() {
        let metrics = Metrics::new();
        metrics.sip_requests(Direction::Received, &rsip::Method::Invite, Some("carrier")).inc();
        metrics.sip_responses(Direction::Sent, 180, None).inc();
        metrics.call_started(AttributionKind::Visitor, "carrier");
        metrics.call_refused("calls_max", Some("carrier"));
        metrics.fraud_suspected(Some("acme"));
        metrics.media.relayed.inc_by(500);
        metrics.call_ended(Outcome::Answered, 3_000, 61_000);
        metrics.recording_sealed(RecordingState::Complete);
        metrics.lease_granted("acme-web");
        let text = metrics.render();
        for line in [
            r#"leaseline_sip_requests_total{direction="received",method="INVITE",trunk="carrier"} 1"#,
            r#"leaseline_sip_responses_total{direction="sent",class="1xx",code="180",trunk="none"} 1"#,
            r#"leaseline_calls_refused_total{reason="calls_max",trunk="carrier"} 1"#,
            r#"leaseline_trunk_calls_active{trunk="carrier"} 1"#,
            r#"leaseline_fraud_suspected_total{company="acme"} 1"#,
            r#"leaseline_calls_attributed_total{kind="visitor"} 1"#,
            r#"leaseline_calls_ended_total{outcome="answered"} 1"#,
            "leaseline_calls_active 0",
            r#"leaseline_media_packets_relayed_total 500"#,
            r#"leaseline_call_ring_seconds_bucket{le="5.0"} 1"#,
            r#"leaseline_recordings_total{state="complete"} 1"#,
            r#"leaseline_leases_granted_total{pool="acme-web"} 1"#,
            concat!("leaseline_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn unknown_statuses_do_not_make_series() {
        let metrics = Metrics::new();
        for status in 0..u16::MAX {
            metrics.sip_responses(Direction::Received, status, None).inc();
        }
        let series = metrics.render().lines().filter(|l| l.starts_with("leaseline_sip_responses_total")).count();
        // One for each known code, and one for each class's others.
        assert_eq!(series, 75 + 7);
    }
}
