//! Who may call, how many at once and how fast: decided at the door, before any state exists.
//!
//! All limits are looked at first and counted afterwards, so a refusal changes nothing. `Retry-After` is computed: of a
//! rate, the time until its bucket has the next token; of calls at once, the time in which a call has lately ended.

pub mod bucket;
pub mod codes;
mod minutes;
mod tally;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Company, Config, Pool, Trunk};
use crate::ids::E164;
use crate::limits;
use crate::time::{Mono, Now, Wall};

use bucket::{Bucket, Rate};
use minutes::Minutes;
pub use minutes::Spent;
use tally::{Tallies, Tally};

/// A refusal: the place that knows why names the status and the stable code together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    pub status: u16,
    /// Metric label, event field, log and console text; one of [`codes::CODES`].
    pub code: &'static str,
    /// Seconds to wait, where waiting helps.
    pub retry_after: Option<u32>,
}

impl Reject {
    pub const fn new(status: u16, code: &'static str) -> Reject {
        Reject { status, code, retry_after: None }
    }

    /// One of the table's codes, with its status, to be tried again after `wait`.
    fn later(code: &'static str, wait: Duration) -> Reject {
        let status = codes::find(code).map_or(503, |entry| entry.status);
        Reject { status, code, retry_after: Some(seconds(wait)) }
    }

    /// One of the table's codes, for which nobody can say when.
    fn listed(code: &'static str) -> Reject {
        Reject::new(codes::find(code).map_or(503, |entry| entry.status), code)
    }

    /// A rule against fraud, not a matter of room: worth an alarm.
    pub fn is_fraud(&self) -> bool {
        matches!(
            self.code,
            "destination_denied"
                | "destination_calls_max"
                | "destination_call_rate"
                | "costly_calls_max"
                | "minutes_spent"
        )
    }
}

/// Whole seconds that are never too short.
fn seconds(wait: Duration) -> u32 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX).max(1)
}

/// One call that asks to be let in.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub trunk: &'a Arc<Trunk>,
    /// Address that the INVITE came from.
    pub source: IpAddr,
    pub company: &'a Arc<Company>,
    pub pool: &'a Pool,
    pub number: &'a E164,
    pub caller: Option<&'a str>,
    /// Where the call goes first, when that is known. Its room is looked at only: whoever sends the call there takes it
    /// by [`Admission::enter`].
    pub destination: Option<&'a str>,
    /// That destination begins with a costly prefix.
    pub is_costly: bool,
}

/// Proof that [`Admission::check`] let a call in; given back by [`Admission::release`].
#[derive(Debug)]
pub struct Admitted {
    trunk: Arc<Trunk>,
    company: Arc<Company>,
    number: Option<E164>,
    caller: Option<Box<str>>,
    /// Destinations that it is at, as far as they are counted.
    entered: Vec<Entered>,
    answered: Option<Wall>,
}

/// A destination that a call is at.
#[derive(Debug)]
struct Entered {
    /// The call's own name for it.
    key: u32,
    destination: Option<Box<str>>,
    is_costly: bool,
}

/// Counts calls, and the rate at which they come.
#[derive(Debug, Default)]
pub struct Admission {
    node: Tally,
    trunks: Tallies,
    companies: Tallies,
    /// Of these only what has a limit is counted, under `company number` and the like.
    numbers: Tallies,
    callers: Tallies,
    destinations: Tallies,
    costly: Tallies,
    sources: Sources,
    minutes: Minutes,
    draining: bool,
    /// How long messages have waited in our queue, and when that was measured.
    lag: Option<(Mono, Duration)>,
    /// Between the ends of calls, smoothed.
    turnover: Turnover,
    /// Calls whose sides have no codec in common.
    transcoded: usize,
}

impl Admission {
    /// Whether one more call may be transcoded.
    pub fn may_transcode(&self) -> bool {
        self.transcoded < limits::TRANSCODED_CALLS
    }

    /// A call is transcoded from now on.
    pub fn transcodes(&mut self) {
        self.transcoded += 1;
    }

    /// One that was is over.
    pub fn transcoded(&mut self) {
        self.transcoded = self.transcoded.saturating_sub(1);
    }

    /// From now on nobody new comes in.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Calls let in and not yet released.
    pub fn calls(&self) -> usize {
        self.node.calls
    }

    /// What was measured of our own queue: how long the message that is handled now has waited.
    pub fn loaded(&mut self, now: Mono, lag: Duration) {
        self.lag = Some((now, lag));
    }

    /// Talk of today from before the start.
    pub fn restore(&mut self, spent: Spent) {
        self.minutes.restore(spent);
    }

    /// Lets one call in or says why not. A refusal changes nothing.
    ///
    /// # Errors
    /// The first limit that is reached: of the node, the trunk, the company, then the rules against fraud.
    pub fn check(&mut self, now: Now, config: &Config, ask: &Ask<'_>) -> Result<Admitted, Reject> {
        self.node_has_room(now.mono, config)?;
        self.trunk_has_room(now.mono, config, ask)?;
        let keys = Keys::of(ask);
        self.company_has_room(now.mono, ask, &keys)?;
        let destination = ask.destination.and_then(|uri| destination_key(ask.company, uri));
        self.is_within_budget(now, ask.company, destination.as_deref(), ask.is_costly)?;
        let sip = &config.sip;
        self.node
            .look(now.mono, Rate::per_second(sip.calls_per_second_max))
            .map_err(|w| Reject::later("call_rate", w))?;
        self.sources.draw(now.mono, ask.source, Rate::per_second(sip.defence.source_calls_per_second_max));
        self.node.take(Rate::per_second(sip.calls_per_second_max));
        self.trunks.take(now.mono, &ask.trunk.name, Rate::per_second(ask.trunk.calls_per_second_max));
        let limits = &ask.company.limits;
        self.companies.take(now.mono, &ask.company.name, Rate::per_second(limits.calls_per_second_max));
        let Keys { number, caller } = keys;
        if let Some(number) = number {
            self.numbers.take(now.mono, number.as_str(), Rate::default());
        }
        if let Some(caller) = &caller {
            self.callers.take(now.mono, caller, Rate::default());
        }
        Ok(Admitted {
            trunk: Arc::clone(ask.trunk),
            company: Arc::clone(ask.company),
            number: number.cloned(),
            caller,
            entered: Vec::new(),
            answered: None,
        })
    }

    /// This call is about to be sent to a destination, under the call's own `key` for it: the first, the next, one of
    /// several that ring together, an overflow, a redirection, a transfer. A refusal changes nothing.
    ///
    /// # Errors
    /// The company's rules against toll fraud, as at the door.
    pub fn enter(
        &mut self,
        now: Now,
        admitted: &mut Admitted,
        key: u32,
        uri: &str,
        is_costly: bool,
    ) -> Result<(), Reject> {
        let company = &admitted.company;
        let is_costly = is_costly && company.limits.costly_calls_max > 0;
        let destination = destination_key(company, uri);
        self.is_within_budget(now, company, destination.as_deref(), is_costly)?;
        if let Some(destination) = &destination {
            let rate = Rate::per_minute(company.limits.destination_calls_per_minute_max);
            self.destinations.take(now.mono, destination, rate);
        }
        if is_costly {
            self.costly.take(now.mono, &company.name, Rate::default());
        }
        if destination.is_some() || is_costly {
            admitted.entered.push(Entered { key, destination, is_costly });
        }
        Ok(())
    }

    /// The call is not at this destination any more.
    pub fn leave(&mut self, now: Mono, admitted: &mut Admitted, key: u32) {
        if let Some(at) = admitted.entered.iter().position(|entered| entered.key == key) {
            let entered = admitted.entered.swap_remove(at);
            self.left(now, &admitted.company, &entered);
        }
    }

    fn left(&mut self, now: Mono, company: &Company, entered: &Entered) {
        if let Some(destination) = &entered.destination {
            let rate = Rate::per_minute(company.limits.destination_calls_per_minute_max);
            self.destinations.release(now, destination, rate);
        }
        if entered.is_costly {
            self.costly.release(now, &company.name, Rate::default());
        }
    }

    /// The company of this call talks from now on: its minutes run.
    pub fn answered(&mut self, now: Wall, admitted: &mut Admitted) {
        if admitted.answered.is_none() {
            admitted.answered = Some(now);
            self.minutes.begin(&admitted.company.name, now);
        }
    }

    /// The call is over, at `now`.
    pub fn release(&mut self, now: Now, admitted: &Admitted) {
        if let Some(answered) = admitted.answered {
            self.minutes.end(&admitted.company.name, answered, now.wall);
        }
        self.node.release();
        self.turnover.ended(now.mono);
        self.trunks.release(now.mono, &admitted.trunk.name, Rate::per_second(admitted.trunk.calls_per_second_max));
        let limits = &admitted.company.limits;
        self.companies.release(now.mono, &admitted.company.name, Rate::per_second(limits.calls_per_second_max));
        if let Some(number) = &admitted.number {
            self.numbers.release(now.mono, number.as_str(), Rate::default());
        }
        if let Some(caller) = &admitted.caller {
            self.callers.release(now.mono, caller, Rate::default());
        }
        for entered in &admitted.entered {
            self.left(now.mono, &admitted.company, entered);
        }
    }

    /// Drain, overload and the node's calls: looked at before anything is read of the call.
    pub fn node_has_room(&self, now: Mono, config: &Config) -> Result<(), Reject> {
        if self.draining {
            return Err(Reject::later("draining", config.node.drain));
        }
        let most = config.sip.overload_after;
        if let Some((at, lag)) = self.lag
            && !most.is_zero()
            && lag > most
            && now.since(at) < limits::LOAD_FRESH
        {
            // What waits now is served first; then its number has halved.
            return Err(Reject::later("overload", lag));
        }
        if self.node.calls >= config.sip.calls_max {
            return Err(Reject::later("calls_max", self.turnover.wait(now)));
        }
        Ok(())
    }

    fn trunk_has_room(&mut self, now: Mono, config: &Config, ask: &Ask<'_>) -> Result<(), Reject> {
        let trunk = ask.trunk;
        if self.trunks.calls(&trunk.name) >= trunk.calls_max {
            return Err(Reject::later("trunk_calls_max", self.turnover.wait(now)));
        }
        let rate = Rate::per_second(trunk.calls_per_second_max);
        self.trunks.look(now, &trunk.name, rate).map_err(|wait| Reject::later("trunk_call_rate", wait))?;
        let rate = Rate::per_second(config.sip.defence.source_calls_per_second_max);
        self.sources.look(now, ask.source, rate).map_err(|wait| Reject::later("source_call_rate", wait))
    }

    fn company_has_room(&mut self, now: Mono, ask: &Ask<'_>, keys: &Keys<'_>) -> Result<(), Reject> {
        let limits = &ask.company.limits;
        let full = |calls: usize, most: usize| most > 0 && calls >= most;
        if full(self.companies.calls(&ask.company.name), limits.calls_max) {
            return Err(Reject::listed("company_calls_max"));
        }
        let rate = Rate::per_second(limits.calls_per_second_max);
        self.companies.look(now, &ask.company.name, rate).map_err(|wait| Reject::later("company_call_rate", wait))?;
        if keys.number.is_some_and(|number| full(self.numbers.calls(number.as_str()), ask.pool.calls_max_per_number)) {
            return Err(Reject::listed("number_calls_max"));
        }
        if keys.caller.as_ref().is_some_and(|caller| full(self.callers.calls(caller), limits.calls_max_per_caller)) {
            return Err(Reject::listed("caller_calls_max"));
        }
        Ok(())
    }

    fn is_within_budget(
        &mut self,
        now: Now,
        company: &Company,
        destination: Option<&str>,
        is_costly: bool,
    ) -> Result<(), Reject> {
        let limits = &company.limits;
        if let Some(destination) = destination {
            let most = limits.destination_calls_max;
            if most > 0 && self.destinations.calls(destination) >= most {
                return Err(Reject::listed("destination_calls_max"));
            }
            let rate = Rate::per_minute(limits.destination_calls_per_minute_max);
            let looked = self.destinations.look(now.mono, destination, rate);
            looked.map_err(|wait| Reject::later("destination_call_rate", wait))?;
        }
        let most = limits.costly_calls_max;
        if is_costly && most > 0 && self.costly.calls(&company.name) >= most {
            return Err(Reject::listed("costly_calls_max"));
        }
        if limits.minutes_per_day_max > 0 {
            let most = Duration::from_secs(u64::from(limits.minutes_per_day_max) * 60);
            self.minutes
                .within(&company.name, now.wall, most)
                .map_err(|tomorrow| Reject::later("minutes_spent", tomorrow))?;
        }
        Ok(())
    }
}

/// What is counted of a call beside node, trunk and company: nothing, when nothing is limited.
#[derive(Debug)]
struct Keys<'a> {
    number: Option<&'a E164>,
    caller: Option<Box<str>>,
}

/// Under what the calls to a destination are counted; nothing, when they are not limited.
fn destination_key(company: &Company, uri: &str) -> Option<Box<str>> {
    let limits = &company.limits;
    let is_limited = limits.destination_calls_max > 0 || limits.destination_calls_per_minute_max > 0;
    is_limited.then(|| of_company(company, uri))
}

fn of_company(company: &Company, text: &str) -> Box<str> {
    format!("{} {text}", company.name).into_boxed_str()
}

impl<'a> Keys<'a> {
    fn of(ask: &Ask<'a>) -> Keys<'a> {
        let limits = &ask.company.limits;
        Keys {
            number: Some(ask.number).filter(|_| ask.pool.calls_max_per_number > 0),
            // Those who withhold their number are not one caller.
            caller: ask.caller.filter(|_| limits.calls_max_per_caller > 0).map(|text| of_company(ask.company, text)),
        }
    }
}

/// Buckets of single addresses; a full table forgets those that are as good as new, and then limits nobody else.
#[derive(Debug, Default)]
struct Sources {
    buckets: std::collections::HashMap<IpAddr, Bucket>,
}

impl Sources {
    fn look(&mut self, now: Mono, source: IpAddr, rate: Rate) -> Result<(), Duration> {
        match self.buckets.get_mut(&source) {
            Some(bucket) => bucket.look(now, rate),
            None => Ok(()),
        }
    }

    fn draw(&mut self, now: Mono, source: IpAddr, rate: Rate) {
        if !rate.is_limited() {
            return self.buckets.clear();
        }
        if self.buckets.len() >= limits::RATE_SOURCES && !self.buckets.contains_key(&source) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now, rate));
            if self.buckets.len() >= limits::RATE_SOURCES {
                return;
            }
        }
        let _ = self.buckets.entry(source).or_default().draw(now, rate);
    }
}

/// How often calls end, for whoever waits for one to.
#[derive(Debug, Default)]
struct Turnover {
    last: Option<Mono>,
    /// Time between two ends, smoothed over about eight.
    gap: Option<Duration>,
}

impl Turnover {
    fn ended(&mut self, now: Mono) {
        if let Some(last) = self.last.replace(now) {
            let gap = now.since(last).min(limits::RETRY_MAX);
            self.gap = Some(self.gap.map_or(gap, |old| (old * 7 + gap) / 8));
        }
    }

    fn wait(&self, now: Mono) -> Duration {
        let gap = self.gap.unwrap_or(limits::RETRY_UNKNOWN);
        // Calls that should have ended by now are overdue: each moment one may.
        let passed = self.last.map_or(Duration::ZERO, |last| now.since(last));
        gap.saturating_sub(passed).clamp(Duration::from_secs(1), limits::RETRY_MAX)
    }
}

#[cfg(test)]
mod tests;
