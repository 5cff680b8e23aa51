//! The configuration as it will be used, as TOML that reads back to the same; secrets masked.

mod archive;
mod ears;
mod export;
mod keeper;
mod pool;
mod trunk;
mod voice;
mod within;

use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use super::dialogs::Timer;
use super::parse::schedule::span_text;
use super::value::{duration_text, listener_text, size_text, source_text};
use super::{
    ClientCertificates, Codecs, Company, CompanyLimits, Config, Defence, Destination, DialledIn, Dialogs, Engine,
    Fsync, Glob, Listener, MinVersion, Pool, PoolKind, Rule, Schedule, Sink, Source, Store, Then, Trunk, Ways,
};
use crate::core::agent::Reliable;
use crate::ids::E164;

/// What stands in place of a secret.
const MASK: &str = "…";

impl Config {
    /// The configuration as it will be used, defaults filled in. Secrets are masked.
    pub fn effective_toml(&self) -> String {
        let mut out = Writer::default();
        self.write_node(&mut out);
        self.write_leases(&mut out);
        for trunk in &self.trunks {
            write_trunk(&mut out, trunk);
        }
        for recorder in &self.recorders {
            out.table("[[siprec]]");
            out.text("name", &recorder.name);
            out.list("uri", &recorder.uris);
            out.option("trunk", recorder.trunk_name.as_ref());
            out.text("answer_timeout", duration_text(recorder.answer_timeout));
            out.plain("retries", recorder.retries);
            out.text("retry_after", duration_text(recorder.retry_after));
        }
        for ear in &self.ears {
            ears::write(&mut out, ear);
        }
        for company in &self.companies {
            write_company(&mut out, company);
        }
        for site in &self.sites {
            out.table("[[site]]");
            out.text("name", &site.name);
            out.text("company", &site.company);
            out.list("origins", &site.origins);
            pool::of_site(&mut out, &site.visits);
        }
        for pool in &self.pools {
            write_pool(&mut out, pool);
            if let Some(grow) = self.keeping.grow.get(&pool.name) {
                keeper::write_grow(&mut out, grow);
            }
        }
        keeper::write_keeping(&mut out, &self.keeping);
        archive::write_retention(&mut out, &self.recording.keep);
        for caller in &self.callers {
            out.table("[[caller]]");
            out.text("number", &caller.number);
            out.text("name", &caller.name);
            out.option("company", caller.company.as_ref());
            out.option("note", caller.note.as_ref());
            if !caller.recording {
                out.plain("recording", false);
            }
        }
        for sink in &self.sinks {
            write_sink(&mut out, sink);
        }
        for export in &self.exports {
            export::write(&mut out, export);
        }
        archive::write_archives(&mut out, &self.archives);
        out.text
    }

    fn write_node(&self, out: &mut Writer) {
        out.table("[node]");
        out.text("id", &self.node.id);
        out.text("data_dir", self.node.data_dir.display());
        out.text("drain", duration_text(self.node.drain));
        out.table("[sip]");
        out.items("listen", self.sip.listen.iter().map(listener_item));
        out.option("advertise", self.sip.advertise.as_ref());
        out.text("user_agent", &self.sip.user_agent);
        out.plain("calls_max", self.sip.calls_max);
        out.plain("calls_per_second_max", self.sip.calls_per_second_max);
        out.text("large_requests", self.sip.large_requests.as_str());
        write_dialogs(out, &self.sip.dialogs);
        out.text("call_length_max", duration_text(self.sip.call_length_max));
        out.text("overload_after", duration_text(self.sip.overload_after));
        self.write_streams(out);
        write_defence(out, &self.sip.defence);
        self.write_dns(out);
        out.table("[media]");
        out.text("address", self.media.address);
        out.option("address6", self.media.address6);
        out.option("advertise", self.media.advertise);
        out.text("ports", format_args!("{}-{}", self.media.ports.0, self.media.ports.1));
        out.plain("threads", self.media.threads);
        let codecs = match self.media.codecs {
            Codecs::Recordable => "recordable",
            Codecs::Any => "any",
        };
        out.text("codecs", codecs);
        out.plain("transcode", self.media.transcode);
        out.text("silence_max", duration_text(self.media.silence_max));
        let engine = match self.media.engine {
            Engine::Auto => "auto",
            Engine::Epoll => "epoll",
            Engine::IoUring => "io_uring",
        };
        out.text("engine", engine);
        out.plain("dscp", self.media.dscp);
        if let Some(identity) = &self.media.dtls {
            out.table("[media.dtls]");
            out.text("certificate", identity.certificate.display());
            out.text("key", identity.key.display());
        }
        out.table("[recording]");
        out.plain("enabled", self.recording.enabled);
        let fsync = match self.recording.fsync {
            Fsync::None => "none",
            Fsync::Seal => "seal",
            Fsync::Second => "second",
        };
        out.text("fsync", fsync);
        out.text("format", if self.recording.store == Store::Pcm { "pcm" } else { "g711" });
        out.text("disk_free_min", size_text(self.recording.disk_free_min));
        out.text("disk_free_erase", size_text(self.recording.disk_free_erase));
        archive::write_keep(out, &self.recording.keep);
        voice::of_recording(out, &self.recording);
        out.table("[http]");
        out.text("listen", self.http.listen);
        out.option("token", self.http.token.as_ref().map(|_| MASK));
        out.list("trusted_proxies", &self.http.trusted_proxies);
        out.plain("sign_in", self.http.sign_in);
        out.text("session_idle", duration_text(self.http.session_idle));
        out.text("session_max", duration_text(self.http.session_max));
        if let Some(oidc) = &self.http.oidc {
            out.table("[http.oidc]");
            out.text("issuer", &oidc.issuer);
            out.text("client_id", &oidc.client_id);
            out.option("client_secret", oidc.client_secret.as_ref().map(|_| MASK));
            out.text("public_url", &oidc.public_url);
            out.list("scopes", &oidc.scopes);
            out.text("claim", &oidc.claim);
            out.text("groups_claim", &oidc.groups_claim);
            out.map("roles", oidc.roles.iter().map(|(group, roles)| (group.as_str(), roles.as_str())));
            out.option("title", oidc.title.as_deref());
        }
        for user in &self.http.users {
            out.table("[[http.user]]");
            out.text("name", &user.name);
            out.text("token", MASK);
        }
    }

    fn write_dns(&self, out: &mut Writer) {
        let dns = &self.sip.dns;
        out.table("[sip.dns]");
        out.list("servers", &dns.servers);
        out.text("timeout", duration_text(dns.timeout));
        out.plain("private", dns.private);
    }

    fn write_streams(&self, out: &mut Writer) {
        let streams = &self.sip.streams;
        out.table("[sip.streams]");
        out.plain("connections_max", streams.connections_max);
        out.plain("connections_per_address_max", streams.connections_per_address_max);
        out.text("first_message", duration_text(streams.first_message));
        out.text("idle", duration_text(streams.idle));
        out.text("ping", duration_text(streams.ping));
        out.table("[sip.websocket]");
        out.list("origins", &self.sip.websocket_origins);
        let tls = &self.sip.tls;
        out.table("[sip.tls]");
        out.option("certificate", tls.identity.as_ref().map(|identity| identity.certificate.display()));
        out.option("key", tls.identity.as_ref().map(|identity| identity.key.display()));
        out.option("ca", tls.ca.as_ref().map(|ca| ca.file.display()));
        let client_certificates = match tls.client_certificates {
            ClientCertificates::Off => "off",
            ClientCertificates::Optional => "optional",
            ClientCertificates::Required => "required",
        };
        out.text("client_certificates", client_certificates);
        out.text("min_version", if tls.min_version == MinVersion::Tls12 { "1.2" } else { "1.3" });
    }

    fn write_leases(&self, out: &mut Writer) {
        out.table("[lease]");
        out.text("ttl", duration_text(self.lease.ttl));
        out.text("renew_after", duration_text(self.lease.renew_after));
        if let Some(feed) = &self.lease_feed {
            out.table("[lease_feed]");
            out.text("url", &feed.url);
            out.option("token", feed.token.as_ref().map(|_| MASK));
            out.text("stale_after", duration_text(feed.stale_after));
        }
        out.table("[attribution]");
        out.text("memory", duration_text(self.attribution.memory));
        out.text("model", self.attribution.model.display());
        out.text("header", self.attribution.header.as_deref().unwrap_or_default());
        out.text("display_name", self.attribution.display_name.as_deref().unwrap_or_default());
        out.table("[regions]");
        out.list("russia", self.regions.russia.iter().map(|file| file.display()));
        out.option("database", self.regions.database.as_ref().map(|file| file.display()));
        out.table("[fraud]");
        out.list("deny", &self.fraud.deny);
        out.list("deny_countries", &self.fraud.deny_countries);
        out.list("allow", &self.fraud.allow);
        out.list("costly", &self.fraud.costly);
        out.table("[log]");
        out.plain("json", self.log.json);
        out.text("filter", &self.log.filter);
        out.table("[trace]");
        out.text("memory", size_text(self.trace.memory));
        if let Some(hep) = &self.trace.hep {
            out.table("[trace.hep]");
            out.text("address", hep.address);
            out.plain("capture_id", hep.capture_id);
            out.option("password", hep.password.as_ref().map(|_| MASK));
        }
    }
}

fn listener_item(listener: &Listener) -> String {
    let url = quoted(listener_text(listener));
    match &listener.advertise {
        Some(advertise) => format!("{{ url = {url}, advertise = {} }}", quoted(advertise)),
        None => url,
    }
}

fn write_trunk(out: &mut Writer, trunk: &Trunk) {
    out.table("[[trunk]]");
    out.text("name", &trunk.name);
    out.list("match", trunk.sources.iter().map(source_text));
    if trunk.sources.iter().any(|source| matches!(source, Source::Network(net) if net.prefix_len() == 0)) {
        out.plain("match_any", true);
    }
    let dialled_in = match trunk.dialled_in {
        DialledIn::RequestUri => "request-uri",
        DialledIn::To => "to",
        DialledIn::PCalledPartyId => "p-called-party-id",
        DialledIn::Diversion => "diversion",
    };
    out.option("address", trunk.address.as_ref());
    out.text("dialled_in", dialled_in);
    out.option("country", trunk.country.as_ref());
    out.text("prefix", &trunk.prefix);
    out.plain("trust_identity", trunk.trust_identity);
    out.plain("nat", trunk.nat);
    out.list("media_networks", trunk.media_networks.iter());
    out.plain("siprec", trunk.siprec);
    out.text("large_requests", trunk.large_requests.as_str());
    out.plain("calls_max", trunk.calls_max);
    out.plain("calls_per_second_max", trunk.calls_per_second_max);
    trunk::write(out, trunk);
    if let Some(register) = &trunk.register {
        out.table("[trunk.register]");
        out.text("registrar", &register.registrar);
        out.text("user", register.aor.strip_prefix("sip:").unwrap_or(&register.aor));
        out.list("contacts", &register.contacts);
        out.text("expires", duration_text(register.expires));
    }
    if let Some(probe) = &trunk.probe {
        out.table("[trunk.probe]");
        out.text("every", duration_text(probe.every));
        out.text("timeout", duration_text(probe.timeout));
    }
    if let Some(credentials) = &trunk.credentials {
        out.table("[trunk.credentials]");
        out.text("user", &credentials.user);
        out.text("password", MASK);
        out.option("realm", credentials.realm.as_ref());
    }
    trunk::write_login(out, trunk);
}

fn write_company(out: &mut Writer, company: &Company) {
    out.table("[[company]]");
    out.text("name", &company.name);
    out.text("time_zone", &company.time_zone);
    out.text("currency", &company.currency);
    out.plain("forward_to", destinations(&company.forward_to));
    out.text("strategy", company.strategy.as_str());
    out.text("ring_timeout", duration_text(company.ring_timeout));
    out.text("ring_timeout_total", duration_text(company.ring_timeout_total));
    out.plain("final_statuses", format!("{:?}", company.final_statuses));
    out.plain("retry_statuses", format!("{:?}", company.retry_statuses));
    out.plain("nat", company.nat);
    out.list("media_networks", company.media_networks.iter());
    within::of_company(out, &company.transfer);
    out.option("media_encryption", company.media_encryption.map(|encryption| encryption.as_str()));
    voice::whether_recorded(out, company.recording);
    out.option("siprec", company.siprec_name.as_ref());
    out.list("labels", &company.work.labels);
    out.list("stages", &company.work.stages);
    if !company.work.score_card.is_empty() {
        out.list("score_card", &company.work.score_card);
    }
    write_limits(out, &company.limits);
    for (name, overflow) in [("busy", &company.busy), ("no_answer", &company.no_answer)] {
        if let Some(ways) = overflow {
            out.table(&format!("[company.{name}]"));
            write_ways(out, ways);
        }
    }
    if let Some(schedule) = &company.schedule {
        write_schedule(out, schedule);
    }
    voice::of_company(out, company);
    pool::of_company(out, &company.tracking);
    for rule in &company.work.rules {
        out.table("[[company.label_rule]]");
        out.text("name", &rule.name);
        out.text("label", &rule.label);
        out.option("talk_min", rule.talk_min.map(duration_text));
        out.option("talk_max", rule.talk_max.map(duration_text));
        if !rule.outcome.is_empty() {
            out.list("outcome", rule.outcome.iter().map(|outcome| outcome.as_str()));
        }
        if let Some(hidden) = rule.hidden_caller {
            out.plain("hidden_caller", hidden);
        }
        if let Some(least) = rule.calls_min {
            out.plain("calls_min", least);
        }
        out.text("within", duration_text(rule.within));
    }
    if let Some(closed) = &company.closed {
        out.table("[company.closed]");
        write_then(out, closed);
    }
    for rule in &company.rules {
        write_rule(out, rule);
    }
    if let Some(decide) = &company.decide {
        out.table("[company.decide]");
        out.text("url", &decide.url);
        out.text("timeout", duration_text(decide.timeout));
        out.text("default", decide.fallback.as_str());
        out.text("secret", MASK);
        out.map("headers", decide.headers.keys().map(|key| (key.as_str(), MASK)));
        out.plain("allow_private", decide.allow_private);
        if !decide.forward_to.is_empty() {
            out.plain("forward_to", destinations(&decide.forward_to));
        }
    }
}

fn write_schedule(out: &mut Writer, schedule: &Schedule) {
    out.table("[company.schedule]");
    out.text("time_zone", &schedule.zone);
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    for (day, spans) in days.iter().zip(&schedule.week) {
        out.list(day, spans.iter().map(|span| span_text(*span)));
    }
    out.list("holidays", &schedule.holidays);
}

fn write_rule(out: &mut Writer, rule: &Rule) {
    out.table("[[company.rule]]");
    out.text("name", &rule.name);
    write_then(out, &rule.then);
    voice::of_rule(out, rule);
    out.table("[company.rule.when]");
    let when = &rule.when;
    let lists = [
        ("source", &when.source),
        ("medium", &when.medium),
        ("campaign", &when.campaign),
        ("pool", &when.pool),
        ("number", &when.number),
        ("caller", &when.caller),
    ];
    for (key, globs) in lists.iter().filter(|(_, globs)| !globs.is_empty()) {
        out.list(key, globs.iter().map(Glob::as_str));
    }
    if !when.region.is_empty() {
        out.list("region", &when.region);
    }
    if let Some(known) = when.known {
        out.plain("known", known);
    }
    out.text("hours", when.hours.as_str());
}

fn write_then(out: &mut Writer, then: &Then) {
    match then {
        Then::Forward(ways) => write_ways(out, ways),
        Then::Refuse(status) => out.plain("refuse", status),
        Then::Usual => {}
    }
}

fn write_ways(out: &mut Writer, ways: &Ways) {
    out.plain("forward_to", destinations(&ways.forward_to));
    out.text("strategy", ways.strategy.as_str());
}

pub(super) const fn follow(follows: bool) -> &'static str {
    if follows { "follow" } else { "refuse" }
}

/// A list of destinations: a plain URI as a text, others as tables.
fn destinations(list: &[Arc<Destination>]) -> String {
    let one = |destination: &Arc<Destination>| {
        let mut keys = Vec::new();
        let mut text = |key: &str, value: Option<&String>| {
            keys.extend(value.map(|value| format!("{key} = {}", quoted(value))));
        };
        text("name", destination.name.as_ref());
        text("uri", Some(&destination.uri).filter(|_| destination.number.is_none()));
        text("trunk", destination.trunk_name.as_ref());
        text("number", destination.number.as_ref());
        text("ring_timeout", destination.ring_timeout.map(duration_text).as_ref());
        let encryption = destination.media_encryption.map(|encryption| encryption.as_str().to_owned());
        text("media_encryption", encryption.as_ref());
        text("redirects", destination.redirects.map(|follows| follow(follows).to_owned()).as_ref());
        keys.extend(destination.calls_max.map(|calls| format!("calls_max = {calls}")));
        if destination.weight != 1 {
            keys.push(format!("weight = {}", destination.weight));
        }
        let is_plain = keys.len() == 1 && destination.number.is_none();
        if is_plain { quoted(&destination.uri) } else { format!("{{ {} }}", keys.join(", ")) }
    };
    format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn write_dialogs(out: &mut Writer, dialogs: &Dialogs) {
    let reliable = match dialogs.reliable {
        Reliable::Off => "off",
        Reliable::Supported => "supported",
        Reliable::Required => "required",
    };
    out.text("reliable_provisional", reliable);
    let timer = match dialogs.timer {
        Timer::Off => "off",
        Timer::Supported => "supported",
        Timer::Wanted => "wanted",
    };
    out.text("timer", timer);
    out.text("session_expires", duration_text(dialogs.session_expires));
    out.text("min_se", duration_text(dialogs.min_se));
}

fn write_defence(out: &mut Writer, defence: &Defence) {
    out.table("[sip.defence]");
    out.plain("ban_after", defence.ban_after);
    out.text("ban_window", duration_text(defence.ban_window));
    out.text("ban_time", duration_text(defence.ban_time));
    out.plain("options_per_second_max", defence.options_per_second_max);
    out.plain("source_calls_per_second_max", defence.source_calls_per_second_max);
}

fn write_limits(out: &mut Writer, limits: &CompanyLimits) {
    out.table("[company.limits]");
    out.plain("calls_max", limits.calls_max);
    out.plain("calls_per_second_max", limits.calls_per_second_max);
    out.plain("calls_max_per_caller", limits.calls_max_per_caller);
    out.table("[company.fraud]");
    out.plain("destination_calls_max", limits.destination_calls_max);
    out.plain("destination_calls_per_minute_max", limits.destination_calls_per_minute_max);
    out.plain("costly_calls_max", limits.costly_calls_max);
    out.plain("minutes_per_day_max", limits.minutes_per_day_max);
}

fn write_pool(out: &mut Writer, pool: &Pool) {
    out.table("[[pool]]");
    out.text("name", &pool.name);
    out.text("company", &pool.company);
    out.option("site", pool.site.as_ref());
    out.text("kind", if pool.kind == PoolKind::Static { "static" } else { "dynamic" });
    out.list("numbers", ranges(&pool.numbers));
    out.plain("calls_max_per_number", pool.calls_max_per_number);
    if pool.kind == PoolKind::Dynamic {
        out.text("hold", duration_text(pool.hold));
    }
    voice::whether_recorded(out, pool.recording);
    if let Some(channel) = &pool.channel {
        out.map("channel", channel.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    }
    pool::of_pool(out, pool.kind, &pool.rules);
    pool::conditions(out, "[[pool.conditions]]", &pool.rules.conditions);
}

fn write_sink(out: &mut Writer, sink: &Sink) {
    out.table("[[sink]]");
    match sink {
        Sink::Jsonl { name, path } => {
            out.text("kind", "jsonl");
            out.text("name", name);
            out.text("path", path.display());
        }
        Sink::Webhook { name, url, headers, allow_private, secret: _ } => {
            out.text("kind", "webhook");
            out.text("name", name);
            out.text("url", url);
            out.text("secret", MASK);
            // Their values are often keys.
            out.map("headers", headers.keys().map(|key| (key.as_str(), MASK)));
            out.plain("allow_private", allow_private);
        }
    }
}

/// Runs of consecutive numbers as `+A..+B`.
fn ranges(numbers: &[E164]) -> Vec<String> {
    let value = |n: &E164| n.digits().parse::<u64>().unwrap_or(0);
    let follows = |a: &E164, b: &E164| a.digits().len() == b.digits().len() && value(a) + 1 == value(b);
    let range = |run: &[E164]| match run {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}..{last}"),
    };
    numbers.chunk_by(follows).map(range).collect()
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn table(&mut self, header: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}{header}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {}", quoted(value)));
    }

    fn option(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn list(&mut self, key: &str, items: impl IntoIterator<Item = impl Display>) {
        self.items(key, items.into_iter().map(quoted));
    }

    /// Values as TOML writes them.
    fn items(&mut self, key: &str, items: impl Iterator<Item = String>) {
        self.line(format_args!("{key} = [{}]", items.collect::<Vec<_>>().join(", ")));
    }

    fn map<'a>(&mut self, key: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
        let entries: Vec<String> = entries.map(|(key, value)| format!("{} = {}", quoted(key), quoted(value))).collect();
        self.line(format_args!("{key} = {{ {} }}", entries.join(", ")));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A TOML basic string.
fn quoted(value: impl Display) -> String {
    let mut out = String::from("\"");
    for c in value.to_string().chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
