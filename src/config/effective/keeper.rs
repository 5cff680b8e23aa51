//! Pools that manage themselves, as they will be used.

use super::super::keeper::{Grow, Keeping, MailSecurity};
use super::super::parse::schedule::span_text;
use super::super::value::{duration_text, share_text};
use super::{MASK, Writer, ranges};

/// `[pool.grow]`, behind its pool.
pub(super) fn write_grow(out: &mut Writer, grow: &Grow) {
    out.table("[pool.grow]");
    out.plain("enabled", grow.enabled);
    out.text("window", duration_text(grow.window));
    out.plain("short_windows", grow.short_windows);
    out.plain("windows", grow.windows);
    out.text("threshold", share_text(grow.threshold));
    out.plain("visits_min", grow.visits_min);
    out.text("blocking", share_text(grow.blocking));
    out.plain("respect_hold", grow.respect_hold);
    out.plain("numbers_max", grow.numbers_max);
    out.plain("per_day_max", grow.per_day_max);
    out.option("spend_max", grow.spend_max);
    out.list("stock", ranges(&grow.stock));
    out.option("shared_stock", grow.shared_stock.as_ref().map(|stock| &stock.name));
    out.option("provider", grow.provider.as_ref());
    out.option("price", grow.price);
    out.option("currency", grow.currency.as_ref());
    out.text("listen", duration_text(grow.listen));
    out.text("shrink_after", duration_text(grow.shrink_after));
    out.text("quiet", duration_text(grow.quiet));
    out.list("notify", &grow.notify);
    out.list("forecast", &grow.forecasts);
}

pub(super) fn write_keeping(out: &mut Writer, keeping: &Keeping) {
    for provider in &keeping.providers {
        out.table("[[provider]]");
        out.text("name", &provider.name);
        out.text("url", &provider.url);
        out.text("secret", MASK);
        out.map("headers", provider.headers.keys().map(|key| (key.as_str(), MASK)));
        out.plain("allow_private", provider.allow_private);
        out.text("timeout", duration_text(provider.timeout));
        out.list("countries", &provider.countries);
    }
    for stock in &keeping.stocks {
        out.table("[[stock]]");
        out.text("name", &stock.name);
        out.list("numbers", ranges(&stock.numbers));
        out.text("quarantine", duration_text(stock.quarantine));
    }
    out.table("[notify]");
    out.list("to", &keeping.notify.to);
    if let Some(smtp) = &keeping.notify.smtp {
        out.table("[notify.smtp]");
        out.text("host", &smtp.host);
        out.plain("port", smtp.port);
        let security = MailSecurity::ALL.iter().find(|(_, security)| *security == smtp.security);
        out.text("security", security.map_or("", |(name, _)| name));
        if let Some((user, _)) = &smtp.login {
            out.text("user", user);
            out.text("password", MASK);
        }
        out.text("from", &smtp.from);
        out.option("ca", smtp.ca.as_ref().map(|ca| ca.display()));
    }
    let hygiene = &keeping.hygiene;
    out.table("[hygiene]");
    out.plain("background_max", hygiene.background_max);
    out.text("confidence", share_text(hygiene.confidence));
    out.text("rest", duration_text(hygiene.rest));
    out.plain("leak_calls", hygiene.leak_calls);
    let test = &keeping.self_test;
    out.table("[self_test]");
    out.plain("enabled", test.enabled);
    out.text("window", span_text(test.window));
    out.text("time_zone", &test.zone);
    out.text("spacing", duration_text(test.spacing));
    out.text("timeout", duration_text(test.timeout));
    out.option("to", test.to.as_ref());
    out.option("from", test.from.as_ref());
}
