//! Defence in front of the calls: what strangers send is silence to them and one counter to us, who insists is banned,
//! and calls that look like somebody's theft stop one company and raise one alarm.

pub mod fraud;
pub mod sources;
pub mod tell;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Defence as Rules;
use crate::core::admission::bucket::{Bucket, Rate};
use crate::limits;
use crate::time::{Mono, Now, Wall};

use fraud::Alarms;
use sources::{Sources, Why};
use tell::Teller;

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// IPv6: the first address of its /64, which is one subscriber's.
    pub address: IpAddr,
    /// `scanner`, `garbage`, `failed_login` or `insistence`.
    pub reason: String,
    pub until: Wall,
    /// Messages of this address since it was first seen.
    pub messages: u64,
}

/// What becomes of a stranger's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Silence.
    Dropped,
    /// Silence, and the address is banned by now or was before.
    Banned,
    /// The message that was one too many; the event is wanted when there are not too many of them.
    NewlyBanned(Option<Ban>),
}

/// See the module.
#[derive(Debug)]
pub struct Defence {
    sources: Sources,
    /// Addresses that names led to: destinations and registrars as good as configured.
    familiar: HashSet<IpAddr>,
    familiar_order: VecDeque<IpAddr>,
    options: HashMap<IpAddr, Bucket>,
    /// Numbers that are none of ours, in a row, by trunk.
    unknown: HashMap<String, u32>,
    pub alarms: Alarms,
    bans_told: Teller,
    /// Log lines and events of refusals.
    pub refusals: Teller,
    pub refusal_lines: Teller,
}

impl Defence {
    /// The seed spreads the sources over the table, so that nobody can choose a neighbour's place.
    pub fn new(seed: u64) -> Defence {
        Defence {
            sources: Sources::new(seed),
            familiar: HashSet::new(),
            familiar_order: VecDeque::new(),
            options: HashMap::new(),
            unknown: HashMap::new(),
            alarms: Alarms::default(),
            bans_told: Teller::new(limits::BAN_EVENTS_PER_SECOND),
            refusals: Teller::new(limits::REFUSAL_EVENTS_PER_SECOND),
            refusal_lines: Teller::new(limits::LOG_LINES_PER_SECOND),
        }
    }

    /// A message of a stranger that belongs to nothing of ours.
    pub fn on_stranger(&mut self, now: Now, rules: &Rules, source: IpAddr, bytes: &[u8]) -> Verdict {
        self.judge(now, rules, source, || sources::points(bytes))
    }

    /// Somebody gave a wrong password.
    pub fn on_failed_login(&mut self, now: Now, rules: &Rules, source: IpAddr) -> Verdict {
        self.judge(now, rules, source, || (sources::FAILED_LOGIN, Why::FailedLogin))
    }

    fn judge(&mut self, now: Now, rules: &Rules, source: IpAddr, points: impl FnOnce() -> (u32, Why)) -> Verdict {
        if rules.ban_after == 0 || self.is_familiar(source) {
            return Verdict::Dropped;
        }
        match self.sources.note(now, rules, source, points) {
            sources::Noted::Watched => Verdict::Dropped,
            sources::Noted::Banned => Verdict::Banned,
            sources::Noted::NewlyBanned(ban) => {
                Verdict::NewlyBanned(self.bans_told.may_tell(now.mono).is_some().then_some(ban))
            }
        }
    }

    /// Whether messages of this address need not be looked at. A configured peer never is banned: the caller asks for
    /// strangers only.
    pub fn is_banned(&self, now: Mono, source: IpAddr) -> bool {
        self.sources.is_banned(now, source)
    }

    /// Bans in force, the one that ends first first.
    pub fn bans(&self, now: Now) -> Vec<Ban> {
        self.sources.bans(now)
    }

    /// How many bans there were since the start.
    pub fn banned(&self) -> u64 {
        self.sources.banned()
    }

    /// Ends a ban; `false` when there is none.
    pub fn unban(&mut self, source: IpAddr) -> bool {
        self.sources.forget(source)
    }

    /// A name of the configuration led here: never banned from now on.
    pub fn is_led_to(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        if !self.familiar.insert(address) {
            return;
        }
        self.sources.forget(address);
        self.familiar_order.push_back(address);
        if self.familiar_order.len() > limits::FAMILIAR
            && let Some(oldest) = self.familiar_order.pop_front()
        {
            self.familiar.remove(&oldest);
        }
    }

    /// A name of the configuration led here once.
    pub fn is_familiar(&self, address: IpAddr) -> bool {
        self.familiar.contains(&address.to_canonical())
    }

    /// Whether one more OPTIONS of this known address is answered.
    pub fn may_ask(&mut self, now: Mono, rules: &Rules, source: IpAddr) -> bool {
        let rate = Rate::per_second(rules.options_per_second_max);
        if !rate.is_limited() {
            return true;
        }
        if self.options.len() >= limits::RATE_SOURCES && !self.options.contains_key(&source) {
            self.options.retain(|_, bucket| !bucket.is_full(now, rate));
            if self.options.len() >= limits::RATE_SOURCES {
                return false;
            }
        }
        self.options.entry(source).or_default().draw(now, rate).is_ok()
    }

    /// What a trunk dialled was one of our numbers, or not. Gives how many in a row were not, when that is a search.
    pub fn dialled(&mut self, trunk: &str, is_ours: bool) -> Option<u32> {
        if is_ours {
            self.unknown.remove(trunk);
            return None;
        }
        if !self.unknown.contains_key(trunk) {
            self.unknown.insert(trunk.to_owned(), 0);
        }
        let count = self.unknown.get_mut(trunk)?;
        *count = count.saturating_add(1);
        (*count >= limits::UNKNOWN_IN_A_ROW).then_some(*count)
    }
}

/// The end of a ban that begins now.
fn until(now: Now, time: Duration) -> (Mono, Wall) {
    (now.mono + time, now.wall + time)
}
