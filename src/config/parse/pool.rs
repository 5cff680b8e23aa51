//! What `[[pool]]`, `[[site]]` and `[company.tracking]` say about who gets a number.

mod conditions;
mod costs;
mod visits;

use std::time::Duration;

use super::super::check::Marks;
use super::super::read::{Found, Reader, Section};
use super::super::{Binding, PoolKind, PoolRules, value};
use super::{DAY, choice, choice_found, duration};
use crate::core::source::Traffic;
use crate::limits;

pub(super) use costs::tracking;
pub(super) use visits::visits;

/// Keys of a pool beyond its numbers.
pub(super) fn rules<'t>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    kind: Option<PoolKind>,
    marks: &mut Marks,
) -> PoolRules {
    let title = r.text(s, "title", |text| value::printable(text, 128)).optional();
    let quality_talk = duration(r, s, "quality_talk", Duration::ZERO, DAY).optional();
    let priority = r.integer(s, "priority", 0..1_000_001);
    let traffic = r.list(s, "traffic", preset);
    let binding = choice_found(r, s, "binding", &Binding::ALL);
    let static_pools = r.list(s, "static_pools", value::name);
    marks.note("static_pools", &static_pools);
    let overflow_pool = r.text(s, "overflow_pool", value::name);
    marks.note("overflow_pool", &overflow_pool);
    if kind == Some(PoolKind::Static) {
        let given = [
            ("priority", place(&priority)),
            ("traffic", place(&traffic)),
            ("binding", place(&binding)),
            ("static_pools", place(&static_pools)),
            ("overflow_pool", place(&overflow_pool)),
        ];
        for (key, place) in given.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            r.problem(&place, format!("a static pool is never leased, so `{key}` does nothing here; take it out"));
        }
    }
    let conditions = conditions::tables(r, s, "conditions", limits::POOL_CONDITIONS);
    if kind == Some(PoolKind::Static) && !conditions.is_empty() {
        r.problem(s.place(), "a static pool is never leased, so `conditions` do nothing here; take them out");
    }
    let strip = |list: Found<Vec<(_, _)>>| list.or(Vec::new()).into_iter().map(|(item, _)| item).collect();
    PoolRules {
        title,
        priority: priority.optional().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        traffic: traffic.or(Vec::new()).into_iter().map(|(item, _)| item).collect(),
        conditions,
        binding: binding.or(Binding::Visitor),
        static_pools: strip(static_pools),
        overflow_pool: overflow_pool.optional(),
        quality_talk,
    }
}

fn place<T>(found: &Found<T>) -> Option<super::super::read::Place> {
    match found {
        Found::Is(_, place) => Some(place.clone()),
        Found::Absent | Found::Bad => None,
    }
}

fn preset(text: &str) -> Result<Traffic, String> {
    let found = Traffic::ALL.iter().find(|(name, _)| *name == text).map(|(_, traffic)| *traffic);
    found.ok_or_else(|| {
        let names: Vec<&str> = Traffic::ALL.iter().map(|(name, _)| *name).collect();
        format!("`{}` is not a kind of traffic; it is one of {}", text.escape_debug(), names.join(", "))
    })
}

/// A choice with its default.
fn chosen<'t, T: Copy + Default>(
    r: &mut Reader<'t>,
    s: &mut Section<'_, 't>,
    key: &'static str,
    choices: &[(&'static str, T)],
) -> T {
    choice(r, s, key, choices).unwrap_or_default()
}
