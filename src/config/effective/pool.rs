//! What pools, sites and companies say about who gets a number.

use super::super::parse::schedule::{WEEK, span_text};
use super::super::pool::DEVICES;
use super::super::value::duration_text;
use super::super::{Binding, Conditions, PoolKind, PoolRules, Track, Tracking, Visits};
use super::{MASK, Writer};

pub(super) fn of_pool(out: &mut Writer, kind: PoolKind, rules: &PoolRules) {
    out.option("title", rules.title.as_ref());
    out.text("quality_talk", duration_text(rules.quality_talk()));
    if kind == PoolKind::Static {
        return;
    }
    out.plain("priority", rules.priority);
    out.list("traffic", rules.traffic.iter().map(|traffic| traffic.as_str()));
    out.text("binding", Binding::as_str(rules.binding));
    out.list("static_pools", &rules.static_pools);
    out.option("overflow_pool", rules.overflow_pool.as_ref());
}

/// Tables come after the keys of the pool.
pub(super) fn conditions(out: &mut Writer, header: &str, all: &[Conditions]) {
    for conditions in all {
        out.table(header);
        for (key, patterns) in conditions.texts().into_iter().filter(|(_, patterns)| !patterns.is_empty()) {
            out.list(key, patterns.texts());
        }
        if !conditions.click_ids.is_empty() {
            out.list("click_ids", &conditions.click_ids);
        }
        if !conditions.device.is_empty() {
            let names = DEVICES.iter().filter(|(_, device)| conditions.device.contains(device));
            out.list("device", names.map(|(name, _)| name));
        }
        for (key, places) in [("region", &conditions.region), ("language", &conditions.language)] {
            if !places.is_empty() {
                out.list(key, places.texts());
            }
        }
        if let Some(hours) = &conditions.hours {
            let days = hours.week.iter().zip(WEEK).filter(|(spans, _)| !spans.is_empty());
            out.list("days", days.clone().map(|(_, day)| day));
            let spans = days.map(|(spans, _)| spans).next().map_or(&[][..], Vec::as_slice);
            out.list("hours", spans.iter().map(|span| span_text(*span)));
            out.text("time_zone", &hours.zone);
        }
    }
}

pub(super) fn of_site(out: &mut Writer, visits: &Visits) {
    out.list("exclude", &visits.exclude);
    out.option("staff_secret", visits.staff_secret.as_ref().map(|_| MASK));
    out.text("staff_for", duration_text(visits.staff_for));
    out.plain("bots", visits.bots);
    out.plain("leases_per_address_max", visits.leases_per_address_max);
    out.text("track", Track::as_str(visits.track));
    out.plain("score_min", visits.score_min);
    conditions(out, "[[site.worth]]", &visits.worth);
}

pub(super) fn of_company(out: &mut Writer, tracking: &Tracking) {
    if tracking.is_default() {
        return;
    }
    out.table("[company.tracking]");
    out.list("features", tracking.features.iter().map(|feature| feature.as_str()));
    out.plain("numbers_max", tracking.numbers_max);
    out.option("currency", tracking.currency.as_ref());
    out.text("plan", tracking.plan.as_str());
    out.text("display_price", tracking.display_price);
    out.text("number_price", tracking.number_price);
    out.text("fee", tracking.fee);
    out.plain("numbers_included", tracking.numbers_included);
    out.text("overage", tracking.overage.as_str());
    out.option("day_cap", tracking.day_cap);
    out.option("month_cap", tracking.month_cap);
}
