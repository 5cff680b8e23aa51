//! The webhook sink: each event POSTed as the CloudEvents object that the journal has, signed by Standard Webhooks.
//!
//! # What counts
//!
//! * Any 2xx is a delivery. The reply's body means nothing to us.
//! * Everything else is tried again, for 24 hours, 4xx too: a receiver that was deployed broken is mended sooner than
//!   lost events are missed. `Retry-After` (429, 503 and any other) is honoured for the sink as a whole; after 410 Gone
//!   the sink rests an hour at a time. Redirects are not followed and are failures.
//! * `webhook-id` is the event's id: the same at every attempt, so a receiver can drop what it has.
//! * Renewals of leases are not sent: a page's heartbeat is no news to a receiver. They are in the journal and in the
//!   `jsonl` sink.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use url::Url;

use super::files::{Cursor, CursorFile, DeadLetters};
use super::guard::{Guard, GuardedResolver, Refused};
use super::{Order, Status};
use crate::config::Secret;
use crate::core::outbox::{Delivered, Outbox, Rules, Verdict};
use crate::core::signature as sign;
use crate::io::clock;
use crate::io::journal::{Journal, Record};
use crate::limits;
use crate::time::{Mono, Wall};

/// Cursors are written at most so often.
const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// Rest after 410 Gone.
const GONE: Duration = Duration::from_secs(3_600);
/// A delivered reply's body is drained so long, so that the connection can serve again.
const DRAIN: Duration = Duration::from_millis(500);

/// Sends one thing, once, signed.
#[derive(Debug)]
pub(in crate::io) struct Webhook {
    client: Client,
    url: Url,
    key: Vec<u8>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::io) struct Failure {
    /// Stable: `status_<n>`, `redirect_refused`, `address_refused`, `timeout`, `connect_failed`, `request_failed`.
    pub(in crate::io) code: String,
    pub(super) retry_after: Option<Duration>,
}

/// Why a webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BadWebhook {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("header {0:?} cannot be sent")]
    Header(String),
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

impl Webhook {
    /// `timeout` is for the whole request, with its answer.
    pub(in crate::io) fn new(
        url: &Url,
        secret: &Secret,
        headers: &BTreeMap<String, String>,
        allow_private: bool,
        timeout: Duration,
    ) -> Result<Webhook, BadWebhook> {
        let guard = Guard::new(url, allow_private)?;
        Webhook::build(url, secret, headers, GuardedResolver::system(guard), timeout)
    }

    fn build(
        url: &Url,
        secret: &Secret,
        headers: &BTreeMap<String, String>,
        resolver: GuardedResolver,
        timeout: Duration,
    ) -> Result<Webhook, BadWebhook> {
        // Another part of the daemon may have chosen it already; the first choice stands.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .default_headers(own_headers(headers)?)
            .user_agent(concat!("Leaseline/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(resolver)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .pool_max_idle_per_host(limits::SINK_PARALLEL)
            .build()?;
        Ok(Webhook { client, url: url.clone(), key: sign::key(&secret.0) })
    }

    /// `id` is the event's, `event` its JSON.
    pub(super) async fn send(&self, id: &str, event: String, now: Wall) -> Result<(), Failure> {
        let response = self.post(id, "application/cloudevents+json; charset=utf-8", event, now).await?;
        let verdict = judge(response.status(), response.headers(), now);
        let _slow_body_is_left = tokio::time::timeout(DRAIN, drain(response)).await;
        verdict
    }

    /// One request, signed; the answer with any status.
    pub(in crate::io) async fn post(
        &self,
        id: &str,
        content_type: &'static str,
        body: String,
        now: Wall,
    ) -> Result<Response, Failure> {
        let timestamp = now.0.div_euclid(1_000_000);
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, content_type)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign::signature(&self.key, id, timestamp, body.as_bytes()))
            .body(body);
        request.send().await.map_err(|error| Failure { code: failure_code(&error).into(), retry_after: None })
    }
}

fn own_headers(headers: &BTreeMap<String, String>) -> Result<HeaderMap, BadWebhook> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = || BadWebhook::Header(name.clone());
        let header = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| bad())?;
        value.set_sensitive(true);
        if header.as_str().starts_with("webhook-")
            || [CONTENT_TYPE.as_str(), "content-length", "host"].contains(&header.as_str())
        {
            return Err(bad());
        }
        map.insert(header, value);
    }
    Ok(map)
}

fn judge(status: StatusCode, headers: &HeaderMap, now: Wall) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let asked = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    let gone = (status == StatusCode::GONE).then_some(GONE);
    let code = if status.is_redirection() { "redirect_refused".into() } else { format!("status_{}", status.as_u16()) };
    Err(Failure { code, retry_after: asked.max(gone) })
}

/// RFC 9110 §10.2.3: seconds, or a date.
pub(in crate::io) fn retry_after(text: &str, now: Wall) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::from_millis(Wall(at.as_microsecond()).millis_since(now)))
}

pub(in crate::io) fn failure_code(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.is::<Refused>() {
            return "address_refused";
        }
        cause = inner.source();
    }
    match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect_failed",
        _ => "request_failed",
    }
}

/// A short body is read so that the connection can be used again; a long one is dropped with its connection.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > limits::SINK_REPLY {
            return;
        }
    }
}

/// Delivers the journal to one webhook.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) journal: Journal,
    pub(super) webhook: Arc<Webhook>,
    pub(super) cursor_file: CursorFile,
    pub(super) dead: Arc<DeadLetters>,
    pub(super) status: Arc<Status>,
    /// Where to begin.
    pub(super) cursor: Cursor,
    pub(super) seed: u64,
    pub(super) rules: Rules,
}

type Sent = (u64, Result<(), Failure>);

impl Worker {
    /// Until told to stop, or, told to drain, until nothing more can be delivered soon.
    pub(super) async fn run(self, mut order: watch::Receiver<Order>) {
        let mut outbox = Outbox::new(self.rules.clone(), self.cursor.seq, self.seed);
        let mut last = self.journal.watch();
        let mut flying: JoinSet<Sent> = JoinSet::new();
        let mut seq_of: HashMap<Id, u64> = HashMap::new();
        // What was settled when the cursor was saved, and when that was.
        let mut saved: (u64, Option<Mono>) = (0, None);
        loop {
            let newest = *last.borrow_and_update();
            self.fill(&mut outbox, clock::mono(), newest).await;
            while let Some(seq) = outbox.poll_delivery(clock::mono()) {
                seq_of.insert(flying.spawn(self.attempt(seq)).id(), seq);
            }
            if outbox.settled() != saved.0 && saved.1.is_none_or(|at| clock::mono() >= at + CURSOR_EVERY) {
                saved = (if self.save(&outbox).await { outbox.settled() } else { saved.0 }, Some(clock::mono()));
            }
            self.status.set(outbox.cursor(), outbox.waiting(), outbox.failures());
            let told = *order.borrow_and_update();
            let caught_up = outbox.waiting() == 0 && outbox.newest() >= newest;
            let hopeless = flying.is_empty() && outbox.failures() > 0;
            if told == Order::Stop || told == Order::Drain && (caught_up || hopeless) {
                break;
            }
            let due = outbox.poll_timeout().map(|(at, _)| at);
            let save_at = saved.1.filter(|_| outbox.settled() != saved.0).map(|at| at + CURSOR_EVERY);
            let wake = due.into_iter().chain(save_at).min();
            tokio::select! {
                Some(joined) = flying.join_next_with_id() => {
                    let (seq, sent) = settle(joined, &mut seq_of);
                    self.on_sent(&mut outbox, seq, sent).await;
                }
                changed = last.changed(), if outbox.room() > 0 && outbox.newest() >= newest => {
                    if changed.is_err() { break }
                }
                () = sleep_until(wake) => {}
                changed = order.changed() => if changed.is_err() { break },
            }
        }
        flying.shutdown().await;
        if outbox.settled() != saved.0 {
            self.save(&outbox).await;
        }
    }

    /// Takes in what the journal has, up to `newest`, as far as there is room.
    async fn fill(&self, outbox: &mut Outbox, now: Mono, newest: u64) {
        while outbox.newest() < newest && outbox.room() > 0 {
            let (journal, after, max) = (self.journal.clone(), outbox.newest(), outbox.room());
            let read = tokio::task::spawn_blocking(move || journal.read(after, max)).await;
            match read.map_err(std::io::Error::other).and_then(|read| read) {
                Ok(records) if records.is_empty() => outbox.skip(newest),
                Ok(records) => records.iter().for_each(|record| self.take_in(outbox, now, record)),
                Err(error) => {
                    tracing::error!(sink = %self.name, %error, "the journal cannot be read");
                    return tokio::time::sleep(limits::JOURNAL_RETRY).await;
                }
            }
        }
    }

    fn attempt(&self, seq: u64) -> impl Future<Output = Sent> + use<> {
        let (journal, webhook, name) = (self.journal.clone(), self.webhook.clone(), self.name.clone());
        async move {
            let record = tokio::task::spawn_blocking(move || journal.get(seq)).await;
            let sent = match record.map_err(std::io::Error::other).and_then(|record| record) {
                Ok(Some(record)) => match record.head().map(|head| head.id.to_string()) {
                    Ok(id) => webhook.send(&id, record.event.to_string(), clock::wall()).await,
                    Err(_) => Ok(()),
                },
                Ok(None) => {
                    tracing::error!(sink = %name, seq, "the record is gone from the journal");
                    Ok(())
                }
                Err(_) => Err(Failure { code: "journal_unreadable".into(), retry_after: None }),
            };
            (seq, sent)
        }
    }

    async fn on_sent(&self, outbox: &mut Outbox, seq: u64, sent: Result<(), Failure>) {
        let delivered = match &sent {
            Ok(()) => Delivered::Yes,
            Err(failure) => Delivered::No { retry_after: failure.retry_after },
        };
        let verdict = outbox.on_result(clock::mono(), seq, delivered);
        match (verdict, sent) {
            (Verdict::Settled, _) => self.status.on_delivered(1),
            (Verdict::Dead { attempts }, Err(failure)) => match self.bury(seq, failure.code, attempts).await {
                Ok(()) => outbox.bury(clock::mono(), seq),
                Err(error) => {
                    tracing::error!(sink = %self.name, seq, %error, "a dead letter cannot be written");
                    outbox.postpone(clock::mono(), seq);
                }
            },
            (_, Err(failure)) => {
                tracing::debug!(sink = %self.name, seq, code = failure.code, "not delivered");
                if outbox.failures() == 1 || failure.code == "status_410" {
                    tracing::warn!(sink = %self.name, code = failure.code, "the sink fails");
                }
                self.status.on_failure(failure.code);
            }
            _ => {}
        }
    }

    async fn bury(&self, seq: u64, reason: String, attempts: u32) -> std::io::Result<()> {
        let (journal, dead) = (self.journal.clone(), self.dead.clone());
        let buried = tokio::task::spawn_blocking(move || match journal.get(seq)? {
            Some(record) => dead.bury(&record, &reason, attempts, clock::wall()),
            None => Ok(()),
        });
        buried.await.map_err(std::io::Error::other)??;
        tracing::error!(sink = %self.name, seq, attempts, "given up: in the dead letters");
        self.status.on_dead();
        Ok(())
    }

    fn take_in(&self, outbox: &mut Outbox, now: Mono, record: &Record) {
        match record.head() {
            _ if self.cursor.is_settled(record.seq) => outbox.skip(record.seq),
            Ok(head) if head.kind != "leaseline.lease.renewed" => outbox.push(now, record.seq, &head.subject),
            _ => outbox.skip(record.seq),
        }
    }

    /// `false`: the disk refused.
    async fn save(&self, outbox: &Outbox) -> bool {
        let waiting = outbox.unsettled(limits::SINK_LISTED);
        let upto = waiting.as_ref().map(|_| outbox.newest().max(self.cursor.upto.unwrap_or(0)));
        let mut waiting = waiting.unwrap_or_default();
        // Not taken in again yet since the start.
        waiting.extend(self.cursor.waiting.iter().filter(|seq| upto.is_some() && **seq > outbox.newest()));
        let (file, cursor) = (self.cursor_file.clone(), Cursor { seq: outbox.cursor(), upto, waiting });
        let saved = tokio::task::spawn_blocking(move || file.save(&cursor)).await;
        match saved.map_err(std::io::Error::other).and_then(|saved| saved) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(sink = %self.name, %error, "the cursor cannot be written");
                false
            }
        }
    }
}

/// A panic while sending is one failed attempt.
fn settle(joined: Result<(Id, Sent), JoinError>, seq_of: &mut HashMap<Id, u64>) -> Sent {
    match joined {
        Ok((id, sent)) => {
            seq_of.remove(&id);
            sent
        }
        Err(error) => {
            let seq = seq_of.remove(&error.id()).unwrap_or_default();
            tracing::error!(seq, %error, "sending an event panicked");
            (seq, Err(Failure { code: "request_failed".into(), retry_after: None }))
        }
    }
}

async fn sleep_until(at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock::instant(at)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(784_111_777_000_000);

    #[test]
    fn answers_are_judged() {
        let judge = |status: u16, header: Option<&str>| {
            let mut headers = HeaderMap::new();
            header.map(|value| headers.insert(RETRY_AFTER, value.parse().unwrap()));
            judge(StatusCode::from_u16(status).unwrap(), &headers, NOW)
        };
        let failed = |code: &str, seconds: Option<u64>| {
            Err(Failure { code: code.into(), retry_after: seconds.map(Duration::from_secs) })
        };
        assert_eq!(judge(200, None), Ok(()));
        assert_eq!(judge(204, Some("5")), Ok(()));
        assert_eq!(judge(302, None), failed("redirect_refused", None));
        assert_eq!(judge(400, None), failed("status_400", None));
        assert_eq!(judge(410, None), failed("status_410", Some(3_600)));
        assert_eq!(judge(429, Some("120")), failed("status_429", Some(120)));
        assert_eq!(judge(503, Some("Sun, 06 Nov 1994 08:50:37 GMT")), failed("status_503", Some(60)));
        assert_eq!(judge(503, Some("Sun, 06 Nov 1994 08:00:00 GMT")), failed("status_503", Some(0)));
        assert_eq!(judge(503, Some("soon")), failed("status_503", None));
        assert_eq!(judge(503, Some("-1")), failed("status_503", None));
    }

    #[test]
    fn own_headers_cannot_take_the_place_of_ours() {
        let with = |name: &str, value: &str| own_headers(&BTreeMap::from([(name.into(), value.into())]));
        assert!(with("authorization", "Bearer x").is_ok());
        for (name, value) in [("webhook-id", "x"), ("Content-Type", "x"), ("host", "x"), ("a b", "x"), ("x", "a\r\nb")]
        {
            assert!(with(name, value).is_err(), "{name}");
        }
    }

    fn short(url: &str, lookup: &'static [&'static str]) -> Webhook {
        let url: Url = url.parse().unwrap();
        let guard = Guard::new(&url, false).unwrap();
        let resolver = GuardedResolver::with(guard, move |_| async move {
            Ok(lookup.iter().map(|address| address.parse().unwrap()).collect())
        });
        Webhook::build(&url, &Secret("x".into()), &BTreeMap::new(), resolver, Duration::from_millis(200)).unwrap()
    }

    #[tokio::test]
    async fn failures_have_stable_codes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = format!("http://{}/", listener.local_addr().unwrap());
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let table = [
            (silent, "timeout"),
            (format!("http://{closed}/"), "connect_failed"),
            ("http://rebind.example/".into(), "address_refused"),
        ];
        for (url, code) in table {
            let failure = short(&url, &["10.0.0.1", "169.254.169.254"]).send("id", "{}".into(), NOW).await;
            assert_eq!(failure.unwrap_err().code, code, "{url}");
        }
    }
}
