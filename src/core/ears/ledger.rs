//! Every call that PBXs tell of, by our id and by theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::core::event::CallData;
use crate::ids::{CallId, E164};
use crate::limits;
use crate::time::{Mono, Now, Wall};

use super::Report;
use super::told::Told;

/// A call as a PBX calls it: name of the ear, and its id there.
pub type Name = (String, String);

/// What is asked when a call comes in one way: did it come in the other?
#[derive(Clone, Copy, Debug)]
pub struct Likeness<'a> {
    pub number: &'a E164,
    pub caller: Option<&'a str>,
    pub sip_call_ids: [Option<&'a str>; 2],
    pub at: Wall,
}

/// A call that passes us, or did a moment ago.
#[derive(Clone, Debug)]
struct Passed {
    call: CallId,
    number: E164,
    caller: Option<String>,
    started: Wall,
    ended: Wall,
    since: Mono,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    calls: BTreeMap<CallId, Told>,
    names: HashMap<Name, CallId>,
    /// Names in the order in which they may be forgotten, the earliest first.
    order: VecDeque<(Mono, Name)>,
    timers: BTreeSet<(Mono, CallId)>,
    /// Stages of calls that nobody has told of.
    early: HashMap<Name, (Mono, Vec<Report>)>,
    passed: VecDeque<Passed>,
}

impl Ledger {
    /// Calls in progress.
    pub fn count(&self) -> usize {
        self.calls.len()
    }

    pub fn has_room(&self) -> bool {
        self.calls.len() < limits::HEARD_CALLS
    }

    /// Which call of ours this is.
    pub fn find(&self, ear: &str, id: &str) -> Option<CallId> {
        // The map's key is a pair of texts.
        self.names.get(&(ear.to_owned(), id.to_owned())).copied()
    }

    pub fn get(&self, call: CallId) -> Option<&Told> {
        self.calls.get(&call)
    }

    pub fn live(&self) -> impl Iterator<Item = &Told> {
        self.calls.values()
    }

    /// From now on this name means this call.
    pub fn name(&mut self, now: Mono, ear: &str, id: &str, call: CallId) {
        let name = (ear.to_owned(), id.to_owned());
        if self.names.insert(name.clone(), call).is_none() {
            self.order.push_back((now + limits::HEARD_MEMORY, name));
        }
        while self.names.len() > limits::HEARD_NAMES
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    /// Puts a call in, or back.
    pub fn put(&mut self, told: Told) {
        let id = told.data().call_id;
        if let Some(before) = self.calls.get(&id) {
            self.timers.remove(&(before.due(), id));
        }
        self.timers.insert((told.due(), id));
        self.calls.insert(id, told);
    }

    pub fn take(&mut self, call: CallId) -> Option<Told> {
        let told = self.calls.remove(&call)?;
        self.timers.remove(&(told.due(), call));
        Some(told)
    }

    /// Calls of this PBX.
    pub fn of_ear(&self, ear: &str) -> Vec<CallId> {
        self.calls.iter().filter(|(_, told)| told.ear().name == ear).map(|(id, _)| *id).collect()
    }

    /// Keeps a stage until its call is told of; `false`: there is no room.
    pub fn keep_early(&mut self, now: Mono, report: Report) -> bool {
        let name = (report.ear.name.clone(), report.id.clone());
        let has_room = self.early.len() < limits::HEARD_EARLY_CALLS || self.early.contains_key(&name);
        let kept = self.early.entry(name);
        match kept {
            std::collections::hash_map::Entry::Vacant(_) if !has_room => false,
            entry => {
                let (_, reports) = entry.or_insert_with(|| (now + limits::HEARD_EARLY, Vec::new()));
                let has_room = reports.len() < limits::HEARD_EARLY_STAGES;
                if has_room {
                    reports.push(report);
                }
                has_room
            }
        }
    }

    /// Stages that came before their call, in the order of a call.
    pub fn take_early(&mut self, ear: &str, id: &str) -> Vec<Report> {
        let kept = self.early.remove(&(ear.to_owned(), id.to_owned()));
        let mut reports = kept.map(|(_, reports)| reports).unwrap_or_default();
        reports.sort_by_key(|report| report.stage);
        reports
    }

    /// A call that passed us is over.
    pub fn passed(&mut self, now: Now, data: &CallData) {
        let passed = Passed {
            call: data.call_id,
            number: data.number.clone(),
            caller: data.caller.clone(),
            started: data.started_at,
            ended: data.ended_at.unwrap_or(now.wall),
            since: now.mono,
        };
        self.passed.push_back(passed);
        self.forget_passed(now.mono);
    }

    /// A call that passed us a moment ago and is the one that is told of now.
    pub fn has_passed(&mut self, now: Mono, like: &Likeness<'_>) -> Option<CallId> {
        self.forget_passed(now);
        let same = |one: &&Passed| {
            one.number == *like.number
                && one.caller.as_deref() == like.caller
                && (is_near(one.started, like.at) || one.caller.is_some() && is_within(one.started, one.ended, like.at))
        };
        self.passed.iter().rev().find(same).map(|one| one.call)
    }

    /// A call that a PBX (another than `but`) told of and that is the one that comes in now.
    pub fn like(&self, like: &Likeness<'_>, but: Option<&str>) -> Option<CallId> {
        let others = || self.calls.values().filter(|told| but.is_none_or(|but| told.ear().name != but));
        let by_id = |told: &&Told| {
            told.sip_call_id().is_some_and(|id| like.sip_call_ids.iter().flatten().any(|known| *known == id))
        };
        let by_look = |told: &&Told| {
            let data = told.data();
            data.number == *like.number && data.caller.as_deref() == like.caller && is_near(data.started_at, like.at)
        };
        let found = others().find(by_id).or_else(|| others().find(by_look));
        found.map(|told| told.data().call_id)
    }

    /// When to come back.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next call whose time has come.
    pub fn due(&mut self, now: Mono) -> Option<Told> {
        let (_, call) = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
        self.take(call)
    }

    /// Lets go of what nobody will ask for any more. Names of calls in progress stay.
    pub fn sweep(&mut self, now: Mono) {
        self.early.retain(|_, (until, _)| *until > now);
        while let Some((until, name)) = self.order.front()
            && *until <= now
        {
            let is_live = self.names.get(name).is_some_and(|call| self.calls.contains_key(call));
            let Some((_, name)) = self.order.pop_front() else { return };
            if is_live {
                self.order.push_back((now + limits::HEARD_MEMORY, name));
            } else {
                self.names.remove(&name);
            }
        }
    }

    fn forget_passed(&mut self, now: Mono) {
        let is_old = |one: &Passed| now.since(one.since) > limits::HEARD_SAME;
        while self.passed.front().is_some_and(is_old) || self.passed.len() > limits::HEARD_EARLY_CALLS {
            self.passed.pop_front();
        }
    }
}

/// Within the time in which two reports are one call.
pub fn is_near(one: Wall, other: Wall) -> bool {
    Duration::from_millis(one.millis_since(other).max(other.millis_since(one))) <= limits::HEARD_SAME
}

fn is_within(from: Wall, until: Wall, at: Wall) -> bool {
    from <= at && at <= until
}
