//! Calls that PBXs tell of, at the door: whose they are, who is calling, and whether they are calls that pass us anyway.

use std::collections::HashSet;
use std::sync::Arc;

use super::{B2bua, Output};
use crate::config::{Company, Ear, EarKind, Pool, PoolKind};
use crate::core::attribution;
use crate::core::ears::ledger::{Likeness, is_near};
use crate::core::ears::told::Told;
use crate::core::ears::{Answer, Heard, Report, Stage};
use crate::core::event::{Attribution, Body, CallData, Event};
use crate::core::number;
use crate::ids::{CallId, E164};
use crate::limits;
use crate::time::{Now, Wall};

/// A call that a PBX has told of and that comes in here, too: it goes on here, under the id that it has.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) call_id: CallId,
    pub(super) attribution: Attribution,
    pub(super) started_at: Wall,
}

impl B2bua {
    /// A PBX's word on one of its calls. What it changes is among the outputs.
    pub fn hear(&mut self, now: Now, report: Report) -> Answer {
        self.ears.sweep(now.mono);
        let answer = match self.ears.find(&report.ear.name, &report.id) {
            Some(call) => self.hear_again(now, call, &report),
            None => self.hear_new(now, report),
        };
        self.end_told(now);
        answer
    }

    /// The link to this PBX is lost: until now its calls went on.
    pub fn ear_lost(&mut self, now: Now, ear: &str) {
        for call in self.ears.of_ear(ear) {
            if let Some(mut told) = self.ears.take(call) {
                told.lives(now);
                self.ears.put(told);
            }
        }
    }

    /// The PBX has listed its calls: those that it does not name have ended, and nobody heard it.
    pub fn ear_synced(&mut self, now: Now, ear: &str, alive: &HashSet<String>) {
        for call in self.ears.of_ear(ear) {
            let Some(mut told) = self.ears.take(call) else { continue };
            if told.data().pbx_call_id.as_ref().is_some_and(|id| alive.contains(id)) {
                told.lives(now);
            } else {
                told.end_unheard(now);
            }
            self.ears.put(told);
        }
        self.end_told(now);
    }

    /// A call that an earlier run was told of. `seen`: the last moment of which that run knew. `None`: its PBX is not
    /// configured any more.
    pub fn restore_told(&mut self, now: Now, data: CallData, seen: Wall) -> Option<()> {
        let ear = self.settings.config.ears.iter().find(|ear| ear.name == data.trunk)?;
        let id = data.pbx_call_id.clone()?;
        let told = Told::restored(now, ear, data, seen, self.settings.config.sip.call_length_max);
        self.ears.name(now.mono, &ear.name.clone(), &id, told.data().call_id);
        self.ears.put(told);
        Some(())
    }

    /// Calls whose time has come are told to be over.
    pub(super) fn end_told(&mut self, now: Now) {
        while let Some(told) = self.ears.due(now.mono) {
            let call = told.data().call_id;
            let body = told.on_timeout(now);
            self.tell(now, call, body);
        }
    }

    /// The call that a PBX told of and that comes in now by SIP.
    pub(super) fn told_of(
        &self,
        now: Now,
        company: &Company,
        number: &E164,
        caller: Option<&str>,
        sip_call_id: Option<&str>,
    ) -> Option<Known> {
        if self.ears.count() == 0 {
            return None;
        }
        let like = Likeness { number, caller, sip_call_ids: [sip_call_id, None], at: now.wall };
        let data = self.ears.get(self.ears.like(&like, None)?)?.data();
        // What a PBX has connected already is no call that is yet to be.
        let fits = data.company == company.name && data.answered_at.is_none();
        fits.then(|| Known {
            call_id: data.call_id,
            attribution: data.attribution.clone(),
            started_at: data.started_at,
        })
    }

    /// The call goes on here; its PBX's further words change nothing.
    pub(super) fn take_over(&mut self, call: CallId, trunk: &str) {
        let Some(told) = self.ears.take(call) else { return };
        tracing::info!(%call, ear = told.ear().name, "a call that a PBX told of passes us: it goes on here");
        let from = told.data().trunk.clone();
        self.out.push_back(Output::TakenOver { call, from, to: trunk.to_owned() });
    }

    /// A call that passed us is over; a PBX may still tell of it.
    pub(super) fn remember_passed(&mut self, now: Now, data: &CallData) {
        if !self.settings.config.ears.is_empty() {
            self.ears.passed(now, data);
        }
    }

    fn hear_again(&mut self, now: Now, call: CallId, report: &Report) -> Answer {
        let company = self.company_of(call);
        if company.is_some_and(|company| !report.within.has(company)) {
            return Answer::Refused("number_unknown");
        }
        let is_its_own = self.ears.get(call).is_some_and(|told| told.ear().name == report.ear.name);
        if !is_its_own {
            return Answer::Call(Box::new(self.as_it_stands(call, false, true)));
        }
        self.apply(now, call, report);
        Answer::Call(Box::new(self.as_it_stands(call, false, false)))
    }

    fn hear_new(&mut self, now: Now, report: Report) -> Answer {
        let Some(called) = report.called.clone() else {
            if report.ear.kind != EarKind::Http {
                return Answer::Refused("call_unknown");
            }
            let kept = self.ears.keep_early(now.mono, report);
            return if kept { Answer::Early } else { Answer::Refused("too_many_calls") };
        };
        let settings = Arc::clone(&self.settings);
        let ear = Arc::clone(&report.ear);
        if !ear.takes_number(&called) {
            return Answer::Refused("number_excluded");
        }
        let Some(started_at) = began(now, &report) else { return Answer::Refused("time_out_of_range") };
        let caller = report.caller.as_deref().and_then(|text| number::caller(text, ear.country.as_deref()));
        let caller = caller.map(|number| number.as_str().to_owned());
        let Some((number, company, pool)) = self.owner(&ear, &called, caller.as_deref()) else {
            return Answer::Refused("number_unknown");
        };
        if !report.within.has(&company.name) {
            return Answer::Refused("number_unknown");
        }
        let ids = [report.sip_call_id.as_deref(), None];
        let like = Likeness { number: &number, caller: caller.as_deref(), sip_call_ids: ids, at: started_at };
        let passing = self.passing(&like);
        let passing = passing.or_else(|| self.ears.has_passed(now.mono, &like));
        if let Some(call) = passing.or_else(|| self.ears.like(&like, Some(&ear.name))) {
            self.ears.name(now.mono, &ear.name, &report.id, call);
            return Answer::Call(Box::new(self.as_it_stands(call, true, true)));
        }
        if !self.ears.has_room() {
            return Answer::Refused("too_many_calls");
        }
        let attribution = self.attribute(started_at, &company, &pool, &number, caller.as_deref());
        let known = caller.as_deref().and_then(|caller| settings.directory.caller(caller, &company.name));
        let data = CallData {
            company: company.name.clone(),
            pool: pool.name.clone(),
            caller_reason: caller.is_none().then(|| {
                let reason = if report.caller.is_some() { "unreadable" } else { "withheld" };
                reason.to_owned()
            }),
            caller_name: known.map(|known| known.name.clone()).or_else(|| report.caller_name.clone()),
            caller_note: known.and_then(|known| known.note.clone()),
            caller,
            trunk: ear.name.clone(),
            via: Some(ear.kind.as_str().into()),
            pbx_call_id: Some(report.id.clone()),
            ..CallData::new(self.call_id(now), number, attribution, started_at)
        };
        let call = data.call_id;
        self.tell(now, call, Body::CallStarted(Box::new(data.clone())));
        self.ears.name(now.mono, &ear.name, &report.id, call);
        self.ears.put(Told::new(now, &ear, data, report.sip_call_id.clone()));
        if report.stage != Stage::Offered {
            self.apply(now, call, &report);
        }
        for early in self.ears.take_early(&ear.name, &report.id) {
            self.apply(now, call, &early);
        }
        Answer::Call(Box::new(self.as_it_stands(call, true, false)))
    }

    /// Whose number it is, looked up as on an INVITE. Of a shared one, who the caller called before decides; where nobody
    /// was called, the PBX's own company.
    fn owner(&self, ear: &Ear, called: &str, caller: Option<&str>) -> Option<(E164, Arc<Company>, Arc<Pool>)> {
        let calls = &self.attributor.calls;
        number::candidates(called, ear.country.as_deref(), "").into_iter().find_map(|number| {
            let before = |company: &str| {
                let dialled = caller.and_then(|caller| calls.dialled(company, caller, &number));
                dialled.or_else(|| (ear.company.as_deref() == Some(company)).then_some(Wall(i64::MIN)))
            };
            let owner = self.settings.directory.owner_for(&number, before)?.clone();
            Some((number, owner.company, owner.pool))
        })
    }

    /// Who is calling, decided once, at the call's beginning.
    fn attribute(
        &mut self,
        at: Wall,
        company: &Company,
        pool: &Pool,
        number: &E164,
        caller: Option<&str>,
    ) -> Attribution {
        let settings = Arc::clone(&self.settings);
        let caller_region = caller.and_then(|number| settings.regions.of(number));
        let who = attribution::Question {
            company: &company.name,
            number,
            caller,
            caller_region: caller_region.as_deref(),
            channel: pool.channel.as_ref().filter(|_| pool.kind == PoolKind::Static),
            memory: settings.config.attribution.memory,
        };
        let answer = self.attributor.decide(&self.leases, at, &who);
        self.attributor.learn(at, &who, &answer);
        answer.attribution
    }

    /// The call that passes us now and is this one: by SIP Call-ID of one of its legs, else by number and caller while it
    /// lasts, and of withheld callers by the time at which it began.
    fn passing(&self, like: &Likeness<'_>) -> Option<CallId> {
        let has_leg = |wanted: &str| {
            let mut legs = self.legs.iter().filter(|(leg, _)| self.agent.sip_call_id(**leg) == Some(wanted));
            legs.next().map(|(_, (call, _))| *call)
        };
        let by_id = like.sip_call_ids.into_iter().flatten().find_map(has_leg);
        let looks = |data: &CallData| {
            let is_same = data.number == *like.number && data.caller.as_deref() == like.caller;
            let is_then = data.started_at <= like.at && like.caller.is_some() || is_near(data.started_at, like.at);
            is_same && is_then
        };
        let by_look = || {
            let calls = self.calls.values().filter(|call| looks(call.data())).map(|call| call.id());
            calls.chain(self.heard.values().filter(|heard| looks(heard.data())).map(|heard| heard.id())).max()
        };
        by_id.or_else(by_look)
    }

    fn apply(&mut self, now: Now, call: CallId, report: &Report) {
        let longest = self.settings.config.sip.call_length_max;
        if let Some(mut told) = self.ears.take(call) {
            for body in told.take(now, report, longest) {
                self.tell(now, call, body);
            }
            self.ears.put(told);
        }
    }

    fn as_it_stands(&self, call_id: CallId, is_new: bool, is_duplicate: bool) -> Heard {
        let told = self.ears.get(call_id).map(|told| (told.data(), told.state()));
        let passing = || self.calls.get(&call_id).map(|call| (call.data(), call.phase()));
        let copied = || self.heard.get(&call_id).map(|heard| (heard.data(), heard.phase()));
        let found = told.or_else(passing).or_else(copied);
        let (data, state) = found.map_or((None, "ended"), |(data, state)| (Some(data.clone()), state));
        Heard { call_id, data, state, is_new: is_new && !is_duplicate, is_duplicate }
    }

    /// Whose call it is, while it is in progress.
    fn company_of(&self, call: CallId) -> Option<&str> {
        let told = self.ears.get(call).map(|told| told.data());
        let passing = || self.calls.get(&call).map(|call| call.data());
        let copied = || self.heard.get(&call).map(|heard| heard.data());
        told.or_else(passing).or_else(copied).map(|data| data.company.as_str())
    }

    fn tell(&mut self, now: Now, call: CallId, body: Body) {
        self.out.push_back(Output::Event(Event { time: now.wall, subject: call.to_string(), body }));
    }
}

/// When the call came in, as far as clocks of others can be believed.
fn began(now: Now, report: &Report) -> Option<Wall> {
    let at = report.offered_at.or(report.at).unwrap_or(now.wall);
    let is_believed = at <= now.wall + limits::HEARD_AHEAD && at >= now.wall - limits::HEARD_LATE;
    is_believed.then(|| at.min(now.wall))
}
