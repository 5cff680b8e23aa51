//! SIGHUP: the configuration is read again. A bad file is refused whole; the old one stays.

use std::sync::Arc;

use crate::config::Config;
use crate::core::attribution::Model;
use crate::io::lease_feed::feed_numbers;
use crate::io::model::load_model;
use crate::io::signalling::Command;
use crate::io::systemd;

use super::Daemon;

impl Daemon {
    /// Reads the file again and hands the parts what they can change while calls go on. Calls in progress keep what
    /// they began with.
    pub async fn reload(&mut self) {
        systemd::reloading();
        let path = self.config_path.as_deref();
        match Config::load(path).and_then(|config| self.catalogue.applied(config, path)) {
            Err(problems) => tracing::error!("the new configuration is refused, the old one stays:\n{problems}"),
            Ok(new) => {
                self.adopt(new).await;
                tracing::info!("the new configuration is in force");
            }
        }
        systemd::ready("taking calls");
    }

    /// Hands the parts a configuration that was found good.
    pub(super) async fn adopt(&mut self, mut new: Config) {
        warn_of_regions(&new);
        keep_what_needs_a_restart(&self.config.load_full(), &mut new);
        new.sip.calls_max = new.sip.calls_max.min(self.engine.calls_max());
        let model = self.take_model(&new);
        self.written = new;
        self.put_in_force(model).await;
    }

    /// The model of attribution, as its file is now.
    fn take_model(&self, new: &Config) -> Option<Arc<Model>> {
        let read = load_model(new)
            .inspect_err(|error| tracing::error!(%error, "the model of attribution cannot be read, the old one stays"));
        let model = read.ok()?;
        self.allocator.set_forecast(model.forecast());
        Some(model)
    }

    /// Pools have other numbers than before: calls to them are known, and visitors get them.
    pub(super) async fn take_pools(&mut self) {
        self.put_in_force(None).await;
        tracing::info!("the pools' new numbers are in force");
    }

    /// With another model of attribution, if there is one.
    async fn put_in_force(&mut self, model: Option<Arc<Model>>) {
        let mut new = self.written.clone();
        self.pools.configure(&mut new);
        let new = Arc::new(new);
        let settings = self.settings.successor(Arc::clone(&new));
        self.settings = Arc::new(match model {
            Some(model) => settings.with_model(model),
            None => settings,
        });
        self.say(Command::Reload(Arc::clone(&self.settings)));
        self.allocator.reconfigure(&new);
        if let (Some(feed), Some(rules)) = (&self.feed, &new.lease_feed) {
            feed.reconfigure(feed_numbers(&new), rules.stale_after);
        }
        for bad in self.sinks.apply(&new.sinks).await {
            tracing::error!(%bad, "this sink is not running");
        }
        for bad in self.exports.apply(Arc::clone(&new)).await {
            tracing::error!(%bad, "this export is not running");
        }
        self.ears.apply(&new);
        self.messages.set_bytes_max(new.trace.memory);
        self.index.configure(&new);
        self.config.store(new);
    }
}

/// Tells of files of regions that are not used whole.
pub(super) fn warn_of_regions(config: &Config) {
    if let Some(warning) = config.regions.warning() {
        tracing::warn!("{warning}");
    }
}

/// Sockets, threads and the data folder are taken at start.
fn keep_what_needs_a_restart(old: &Config, new: &mut Config) {
    let mut kept = Vec::new();
    let mut keep = |differs: bool, key: &'static str| {
        if differs {
            kept.push(key);
        }
    };
    keep(old.node.data_dir != new.node.data_dir, "node.data_dir");
    keep(old.node.id != new.node.id, "node.id");
    keep(old.sip.listen != new.sip.listen, "sip.listen");
    keep(old.sip.advertise != new.sip.advertise, "sip.advertise");
    keep(format!("{:?}", old.media) != format!("{:?}", new.media), "media");
    keep(old.trace.hep != new.trace.hep, "trace.hep");
    new.trace.hep.clone_from(&old.trace.hep);
    keep(old.http.listen != new.http.listen, "http.listen");
    let feed = |config: &Config| config.lease_feed.as_ref().map(|feed| feed.url.clone());
    keep(feed(old) != feed(new), "lease_feed.url");
    if !kept.is_empty() {
        tracing::warn!(keys = kept.join(", "), "these keys take effect at the next start");
    }
    new.node.data_dir.clone_from(&old.node.data_dir);
    new.node.id.clone_from(&old.node.id);
    new.sip.listen.clone_from(&old.sip.listen);
    new.sip.advertise.clone_from(&old.sip.advertise);
    new.media.clone_from(&old.media);
    new.http.listen = old.http.listen;
    if feed(old) != feed(new) {
        new.lease_feed.clone_from(&old.lease_feed);
    }
}
