//! Once a second: gauges are read, and systemd hears that signalling answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::core::lease::LeaseTable;
use crate::io::allocator::AllocatorHandle;
use crate::io::clock;
use crate::io::dns::DnsFigures;
use crate::io::journal::Journal;
use crate::io::lease_feed::LeaseFeed;
use crate::io::media::MediaEngine;
use crate::io::metrics::{Metrics, Reason, ToSink};
use crate::io::recordings::Recordings;
use crate::io::signalling::Command;
use crate::io::sinks::SinkStatus;
use crate::io::systemd;

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) engine: Arc<MediaEngine>,
    pub(super) recordings: Arc<Recordings>,
    pub(super) journal: Journal,
    pub(super) allocator: AllocatorHandle,
    /// The table, when another node feeds it.
    pub(super) table_stale: Option<Arc<LeaseTable>>,
}

pub(super) async fn run(parts: Parts) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut media_seen = BTreeMap::new();
    let mut relayed_seen = 0;
    loop {
        tick.tick().await;
        let (answer, figures) = oneshot::channel();
        if parts.commands.send(Command::Figures(answer)).is_err() {
            return;
        }
        // The answer comes from signalling's own loop: a loop that hangs feeds no watchdog.
        let Ok(figures) = figures.await else { return };
        systemd::alive();
        let metrics = &parts.metrics;
        let agent = figures.counts.agent;
        metrics.sip_streams(&figures.streams.open, &figures.streams.failed, &figures.streams.closed);
        metrics.sip.hops_down.set(gauge(figures.hops_down));
        count_dns(metrics, &figures.dns);
        for (reason, total) in figures.drops.iter() {
            metrics.sip_dropped(reason.as_str(), total);
        }
        metrics.sip.banned.set(gauge(figures.bans));
        metrics.sip.bans.inner().store(figures.banned, Ordering::Relaxed);
        metrics.sip.queue_age.set(signed(figures.measured.queue_age));
        metrics.sip.kernel_dropped.inner().store(figures.measured.kernel_dropped, Ordering::Relaxed);
        metrics.sip.transactions.set(gauge(agent.client_transactions + agent.server_transactions));
        metrics.media.ports_used.set(gauge(parts.engine.used_pairs() * 2));
        metrics.media.ports_total.set(gauge((parts.engine.used_pairs() + parts.engine.free_pairs()) * 2));
        metrics.recordings.active.set(gauge(parts.recordings.active()));
        metrics.recordings.lag.set(parts.recordings.lag(clock::mono()).as_secs_f64());
        metrics.recordings.sealing.set(gauge(parts.recordings.sealing()));
        let stats = parts.journal.stats();
        metrics.journal.seq.set(signed(stats.last_seq));
        metrics.journal.queue.set(signed(stats.queued));
        metrics.journal.degraded.set(i64::from(stats.degraded));
        metrics.journal.dropped.inner().store(stats.dropped, Ordering::Relaxed);
        if let Some(table) = &parts.table_stale {
            metrics.leases.feed_stale.set(i64::from(table.is_stale()));
            metrics.leases.feed_revision.set(signed(table.revision()));
        }
        count_media(&parts, &mut media_seen, &mut relayed_seen);
        count_leases(&parts);
    }
}

/// Media threads keep totals; counters want what is new.
fn count_media(parts: &Parts, seen: &mut BTreeMap<&'static str, u64>, relayed_seen: &mut u64) {
    let stats = parts.engine.stats();
    parts.metrics.recordings.packets_lost.inner().store(stats.tap_lost, Ordering::Relaxed);
    parts.metrics.media.kernel_dropped.inner().store(stats.kernel_dropped, Ordering::Relaxed);
    let last = std::mem::replace(relayed_seen, stats.relayed_packets);
    parts.metrics.media.relayed.inc_by(stats.relayed_packets.saturating_sub(last));
    for (refusal, total) in stats.refused.iter() {
        let last = seen.insert(refusal.as_str(), total).unwrap_or(0);
        if total > last {
            parts.metrics.media_dropped(refusal.as_str(), total - last);
        }
    }
}

fn count_dns(metrics: &Metrics, figures: &DnsFigures) {
    let totals = [
        ("hit", figures.hits),
        ("stale", figures.stale),
        ("found", figures.found),
        ("nothing", figures.nothing),
        ("failed", figures.failed),
    ];
    for (reason, total) in totals {
        metrics.sip.dns_lookups.get_or_create(&Reason { reason }).inner().store(total, Ordering::Relaxed);
    }
    metrics.sip.dns_milliseconds.inner().store(figures.milliseconds, Ordering::Relaxed);
}

fn count_leases(parts: &Parts) {
    use crate::io::metrics::InPool;
    for pool in parts.allocator.pools() {
        let label = InPool { pool: pool.name.clone() };
        parts.metrics.leases.active.get_or_create(&label).set(gauge(pool.leased));
        parts.metrics.leases.free.get_or_create(&label).set(gauge(pool.free));
    }
}

/// What the daemon itself owns: deliveries, and the feed it follows.
pub(super) fn count_deliveries(metrics: &Metrics, sinks: &[SinkStatus], feed: Option<&LeaseFeed>) {
    for sink in sinks {
        let label = ToSink { sink: sink.name.clone() };
        metrics.sinks.lag.get_or_create(&label).set(signed(sink.lag));
        metrics.sinks.failures.get_or_create(&label).set(signed(sink.failures));
        metrics.sinks.dead_letters.get_or_create(&label).set(signed(sink.dead));
        metrics.sinks.delivered.get_or_create(&label).inner().store(sink.delivered, Ordering::Relaxed);
    }
    if let Some(feed) = feed {
        let given_up = feed.counts().resyncs.values().sum();
        metrics.leases.feed_reconnects.inner().store(given_up, Ordering::Relaxed);
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
