//! Strangers by address, in a table of fixed size: points for what they send, and bans.
//!
//! A message that belongs to nothing gives one point; one that is no SIP or has an unknown method two; one whose
//! User-Agent is a known scanner's ten, which is a hint and no proof, for anybody writes there what they like; a wrong
//! password five. So many points within a window ban the address for a time. Source addresses of UDP can be forged: that
//! is why a known peer has no points, why a ban costs a stranger nothing but its TCP connections and its logins, and why
//! messages of running dialogs are looked for before bans are.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use foldhash::fast::FixedState;
use memchr::memmem;

use super::{Ban, until};
use crate::config::Defence as Rules;
use crate::limits;
use crate::time::{Mono, Now, Wall};

/// Points of a wrong password.
pub const FAILED_LOGIN: u32 = 5;
const SCANNER: u32 = 10;
const GARBAGE: u32 = 2;
/// Points of a message that may be an honest one.
pub const USUAL: u32 = 1;

/// Places among which an address may choose.
const WAYS: usize = 4;

/// What most of an address's points were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Why {
    #[default]
    Insistence,
    Garbage,
    Scanner,
    FailedLogin,
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Why::Insistence => "insistence",
            Why::Garbage => "garbage",
            Why::Scanner => "scanner",
            Why::FailedLogin => "failed_login",
        }
    }
}

/// What one more message made of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    Watched,
    Banned,
    NewlyBanned(Ban),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    address: IpAddr,
    points: u32,
    messages: u64,
    /// Begin of the window.
    since: Mono,
    why: Why,
    ban: Option<(Mono, Wall)>,
}

impl Slot {
    fn is_banned(&self, now: Mono) -> bool {
        self.ban.is_some_and(|(until, _)| now < until)
    }

    /// Who goes when a place is needed: bans last, then who has most points.
    fn worth(&self, now: Mono) -> (bool, u32) {
        (self.is_banned(now), self.points)
    }
}

#[derive(Debug)]
pub(super) struct Sources {
    slots: Box<[Option<Slot>]>,
    hasher: FixedState,
    banned: u64,
}

impl Sources {
    pub(super) fn new(seed: u64) -> Sources {
        let slots = vec![None; limits::STRANGERS].into_boxed_slice();
        Sources { slots, hasher: FixedState::with_seed(seed), banned: 0 }
    }

    /// Counts one message; `points` is asked only of those who are not banned.
    pub(super) fn note(
        &mut self,
        now: Now,
        rules: &Rules,
        source: IpAddr,
        points: impl FnOnce() -> (u32, Why),
    ) -> Noted {
        let address = subscriber(source);
        let slot = self.slot_of(now.mono, address);
        slot.messages += 1;
        if slot.is_banned(now.mono) {
            return Noted::Banned;
        }
        if slot.ban.take().is_some() || now.mono.since(slot.since) >= rules.ban_window {
            (slot.points, slot.since, slot.why) = (0, now.mono, Why::default());
        }
        let (points, why) = points();
        slot.points = slot.points.saturating_add(points);
        if points > USUAL {
            slot.why = why;
        }
        if slot.points < rules.ban_after {
            return Noted::Watched;
        }
        let until = until(now, rules.ban_time);
        slot.ban = Some(until);
        let ban = Ban { address, reason: slot.why.as_str().to_owned(), until: until.1, messages: slot.messages };
        self.banned += 1;
        Noted::NewlyBanned(ban)
    }

    pub(super) fn is_banned(&self, now: Mono, source: IpAddr) -> bool {
        let address = subscriber(source);
        let ways = self.slots.get(self.places(address)).unwrap_or_default();
        ways.iter().flatten().any(|slot| slot.address == address && slot.is_banned(now))
    }

    pub(super) fn bans(&self, now: Now) -> Vec<Ban> {
        let in_force = self.slots.iter().flatten().filter(|slot| slot.is_banned(now.mono));
        let ban = |slot: &Slot| {
            let (_, until) = slot.ban?;
            let reason = slot.why.as_str().to_owned();
            Some(Ban { address: slot.address, reason, until, messages: slot.messages })
        };
        let mut bans: Vec<Ban> = in_force.filter_map(ban).collect();
        bans.sort_unstable_by_key(|ban| (ban.until, ban.address));
        bans
    }

    pub(super) fn banned(&self) -> u64 {
        self.banned
    }

    /// As if it had never been seen; `true` when it had a ban.
    pub(super) fn forget(&mut self, source: IpAddr) -> bool {
        let address = subscriber(source);
        let places = self.places(address);
        let ways = self.slots.get_mut(places).unwrap_or_default();
        let slot = ways.iter_mut().find(|slot| slot.is_some_and(|slot| slot.address == address));
        slot.and_then(Option::take).is_some_and(|slot| slot.ban.is_some())
    }

    fn places(&self, address: IpAddr) -> std::ops::Range<usize> {
        let mut hasher = self.hasher.build_hasher();
        match address {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
        let sets = self.slots.len() / WAYS;
        let set = usize::try_from(hasher.finish() % sets as u64).unwrap_or(0);
        set * WAYS..(set + 1) * WAYS
    }

    /// The slot of this address; a new one takes the place of the least of its neighbours.
    fn slot_of(&mut self, now: Mono, address: IpAddr) -> &mut Slot {
        let places = self.places(address);
        let new = Slot { address, points: 0, messages: 0, since: now, why: Why::default(), ban: None };
        let ways = self.slots.get_mut(places).unwrap_or_default();
        let own = ways.iter().position(|slot| slot.is_some_and(|slot| slot.address == address));
        let place = own.unwrap_or_else(|| {
            let worth = |(_, slot): &(usize, &Option<Slot>)| slot.map_or((false, 0), |slot| slot.worth(now));
            ways.iter().enumerate().min_by_key(worth).map_or(0, |(place, _)| place)
        });
        let slot = &mut ways[place];
        if own.is_none() {
            *slot = Some(new);
        }
        slot.get_or_insert(new)
    }
}

/// An IPv4 address, or the /64 of an IPv6 address: who has one address of it has all.
pub fn subscriber(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// How bad a message is, without reading it.
pub fn points(bytes: &[u8]) -> (u32, Why) {
    const METHODS: [&[u8]; 15] = [
        b"INVITE ",
        b"OPTIONS ",
        b"REGISTER ",
        b"ACK ",
        b"BYE ",
        b"CANCEL ",
        b"SUBSCRIBE ",
        b"NOTIFY ",
        b"PUBLISH ",
        b"MESSAGE ",
        b"INFO ",
        b"PRACK ",
        b"UPDATE ",
        b"REFER ",
        b"SIP/2.0 ",
    ];
    if !METHODS.iter().any(|method| bytes.starts_with(method)) {
        return (GARBAGE, Why::Garbage);
    }
    if is_scanner(bytes) { (SCANNER, Why::Scanner) } else { (USUAL, Why::Insistence) }
}

/// User-Agent of the programs that knock on every door (beginnings, in small letters).
const SCANNERS: [&str; 9] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sundayddr",
    "pplsip",
    "vaxsipuseragent",
    "gulp",
];

fn is_scanner(bytes: &[u8]) -> bool {
    let Some(at) = memmem::find(bytes, b"\nUser-Agent:") else { return false };
    let value = bytes.get(at + 12..).unwrap_or_default().trim_ascii_start();
    SCANNERS.iter().any(|name| value.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())))
}

#[cfg(test)]
mod tests;
