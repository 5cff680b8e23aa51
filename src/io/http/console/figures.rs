//! Figures of many calls: by where they came from, by hour, by region, by who answered; who was missed and reached again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::format::local;
use super::view::View;
use crate::core::event::{CallData, Outcome};
use crate::io::http::problem::Problem;
use crate::io::index::{CallView, Filter};
use crate::limits;

/// From where a call came, from the widest to the narrowest.
pub(super) const LEVELS: [&str; 5] = ["source", "medium", "campaign", "content", "term"];

/// What a group of calls comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub calls: u64,
    pub answered: u64,
    /// Talk of the pool's threshold or longer.
    pub quality: u64,
    /// First calls of their callers.
    pub first: u64,
    pub callers: BTreeSet<String>,
    pub talk_ms: u64,
    pub wait_ms: u64,
    /// Answered within twenty seconds.
    pub quick: u64,
}

impl Figures {
    fn add(&mut self, view: &CallView) {
        let call = &view.call;
        self.calls += 1;
        let is_answered = call.outcome == Some(Outcome::Answered);
        self.answered += u64::from(is_answered);
        self.quality += u64::from(view.facts.quality);
        self.first += u64::from(view.facts.first == Some(true));
        self.quick += u64::from(is_answered && call.ring_ms <= 20_000);
        self.talk_ms += call.talk_ms;
        self.wait_ms += call.ring_ms;
        if let Some(caller) = &call.caller {
            self.callers.insert(caller.clone());
        }
    }
}

/// Calls of a time, oldest first.
pub(super) struct Calls {
    pub calls: Vec<CallView>,
    /// More there were than are kept.
    pub is_cut: bool,
}

impl Calls {
    /// Those that the address asks for, that have ended.
    pub(super) async fn asked(view: &View) -> Result<Calls, Problem> {
        let filter = super::calls::filter(view)?;
        let mut filter = Filter { cursor: None, in_progress: Some(false), limit: Some(limits::CALLS_PAGE), ..filter };
        let mut calls = Calls { calls: Vec::new(), is_cut: false };
        while !calls.is_cut {
            let page = view.found(filter.clone()).await?;
            calls.calls.extend(page.calls.into_iter().filter(|call| view.sees(&call.call.company)));
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                break;
            }
            calls.is_cut = calls.calls.len() >= limits::CONSOLE_REPORT_CALLS;
        }
        calls.calls.reverse();
        Ok(calls)
    }

    /// All of them together.
    pub(super) fn total(&self) -> Figures {
        self.by(|_| Some(String::new())).into_values().next().unwrap_or_default()
    }

    /// In groups; calls without one are left out.
    pub(super) fn by(&self, group: impl Fn(&CallView) -> Option<String>) -> BTreeMap<String, Figures> {
        let mut groups: BTreeMap<String, Figures> = BTreeMap::new();
        for call in &self.calls {
            if let Some(name) = group(call) {
                groups.entry(name).or_default().add(call);
            }
        }
        groups
    }

    /// Calls by weekday (Monday first) and hour, there.
    pub(super) fn hours(&self, zone: &TimeZone, wanted: impl Fn(&CallData) -> bool) -> [[u64; 24]; 7] {
        let mut hours = [[0; 24]; 7];
        for call in self.calls.iter().filter(|call| wanted(&call.call)) {
            let at = local(call.call.started_at, zone);
            let day = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or(0);
            let hour = usize::try_from(at.hour()).unwrap_or(0);
            if let Some(cell) = hours.get_mut(day).and_then(|day| day.get_mut(hour)) {
                *cell += 1;
            }
        }
        hours
    }

    /// Missed calls, newest first.
    pub(super) fn missed(&self) -> impl Iterator<Item = &CallView> {
        self.calls.iter().rev().filter(|call| call.facts.missed)
    }
}

/// One part of where a call came from; empty when it is not known.
pub(super) fn part(call: &CallView, level: &str) -> String {
    let facts = &call.facts;
    let part = match level {
        "source" => &facts.source,
        "medium" => &facts.medium,
        "campaign" => &facts.campaign,
        "content" => &facts.content,
        _ => &facts.term,
    };
    part.clone()
}
