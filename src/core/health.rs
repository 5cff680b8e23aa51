//! Which hops are down: a destination that did not answer is not waited for by every call that follows.
//!
//! | What a hop did | Rule |
//! |---|---|
//! | said nothing in time, or could not be reached | down for 30 s, then twice as long after each trial that fails, 10 min at most |
//! | 503 with `Retry-After` | down for that long, an hour at most (RFC 3261 §21.5.4) |
//! | 503 without | as the first line, beginning at 5 s |
//! | any other answer | up |
//!
//! A hop that is down is tried last, never banned: when nothing else is left, it is tried. When its time is over, one call
//! (or probe) tries it at its place, the others go on as before until the outcome is known.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::core::locate::Hop;
use crate::limits;
use crate::time::Mono;

const SECOND: Duration = Duration::from_secs(1);

/// What a hop did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No response at all to a request (RFC 3261 Timer B or F, or our own patience).
    Timeout,
    /// Nothing could be sent: refused, unreachable, reset, a certificate that is not theirs.
    Transport,
    /// 503, with its `Retry-After`.
    Unavailable { retry_after: Option<Duration> },
}

impl Fault {
    /// Stable code for logs, events and the API.
    pub const fn code(self) -> &'static str {
        match self {
            Fault::Timeout => "timeout",
            Fault::Transport => "unreachable",
            Fault::Unavailable { .. } => "unavailable",
        }
    }
}

/// See the module. Holds [`limits::HEALTH_HOPS`] at most; hops that are up take no room.
#[derive(Debug, Default)]
pub struct Health {
    down: HashMap<Hop, Down, FixedState>,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    until: Mono,
    /// How long it was given the last time.
    given: Duration,
    fault: Fault,
    /// Its time is over, and somebody tries it.
    trial: bool,
}

impl Health {
    /// Whether this hop is to be left alone for now.
    pub fn is_down(&self, now: Mono, hop: &Hop) -> bool {
        self.fault(now, hop).is_some()
    }

    /// Why it is down.
    pub fn fault(&self, now: Mono, hop: &Hop) -> Option<Fault> {
        if self.down.is_empty() {
            return None;
        }
        self.down.get(hop).filter(|down| down.until > now).map(|down| down.fault)
    }

    /// Puts the hops that are down behind the others, those first whose time is over soonest; the order is otherwise kept.
    /// A hop whose time is over counts as up for whoever asks first: to be called once for each attempt.
    pub fn arrange(&mut self, now: Mono, hops: &mut [Hop]) {
        if self.down.is_empty() {
            return;
        }
        hops.sort_by_key(|hop| self.down.get(hop).map(|down| down.until).filter(|until| *until > now));
        for hop in hops {
            if let Some(down) = self.down.get_mut(hop).filter(|down| down.until <= now) {
                down.until = now + limits::HEALTH_TRIAL;
                down.trial = true;
            }
        }
    }

    /// A request to this hop failed. True when it was up until now.
    pub fn failed(&mut self, now: Mono, hop: &Hop, fault: Fault) -> bool {
        self.make_room(now, hop);
        let known = self.down.get(hop).filter(|down| now.since(down.until) < limits::HEALTH_MEMORY).copied();
        let first = match fault {
            Fault::Timeout | Fault::Transport => limits::HEALTH_DOWN,
            Fault::Unavailable { retry_after: Some(asked) } => asked.clamp(SECOND, limits::HEALTH_RETRY_AFTER),
            Fault::Unavailable { retry_after: None } => limits::HEALTH_BUSY,
        };
        let asked = matches!(fault, Fault::Unavailable { retry_after: Some(_) });
        let (given, until) = match known {
            None => (first, now + first),
            Some(known) if asked => (first, known.until.max(now + first)),
            Some(known) if known.trial || known.until <= now => {
                let given = first.max(known.given * 2).min(limits::HEALTH_DOWN_MAX);
                (given, now + given)
            }
            // Requests that were under way together are one failure.
            Some(known) => (known.given, known.until),
        };
        self.down.insert(*hop, Down { until, given, fault, trial: false });
        known.is_none()
    }

    /// This hop answered: it is up. True when it was not.
    pub fn answered(&mut self, hop: &Hop) -> bool {
        !self.down.is_empty() && self.down.remove(hop).is_some()
    }

    /// How many hops are remembered as failed.
    pub fn count(&self) -> usize {
        self.down.len()
    }

    fn make_room(&mut self, now: Mono, hop: &Hop) {
        if self.down.len() < limits::HEALTH_HOPS || self.down.contains_key(hop) {
            return;
        }
        self.down.retain(|_, down| now.since(down.until) < limits::HEALTH_MEMORY);
        if self.down.len() >= limits::HEALTH_HOPS {
            let soonest = self.down.iter().min_by_key(|(_, down)| down.until).map(|(hop, _)| *hop);
            soonest.and_then(|hop| self.down.remove(&hop));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(last: u8) -> Hop {
        let remote = std::net::SocketAddr::from(([192, 0, 2, last], 5060));
        Hop { transport: rsip::Transport::Udp, remote, name: None }
    }

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    /// From when on the hop counts as up, when nothing more happens.
    fn up_at(health: &Health) -> Option<u64> {
        health.down.get(&hop(1)).map(|down| down.until.0 / 1_000_000_000)
    }

    #[test]
    fn each_failed_trial_doubles_the_wait() {
        let mut health = Health::default();
        assert!(health.failed(at(0), &hop(1), Fault::Timeout));
        let mut now = 0;
        for wait in [30, 60, 120, 240, 480, 600, 600] {
            assert!(health.is_down(at(now + wait - 1), &hop(1)), "{wait}");
            assert!(!health.is_down(at(now + wait), &hop(1)), "{wait}");
            now += wait + 3;
            assert!(!health.failed(at(now), &hop(1), Fault::Transport));
        }
        assert!(health.answered(&hop(1)));
        assert!(!health.answered(&hop(1)));
        assert!(!health.is_down(at(now), &hop(1)));
        assert!(health.failed(at(now), &hop(1), Fault::Timeout));
        assert_eq!(up_at(&health), Some(now + 30));
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let mut health = Health::default();
        for second in 0..20 {
            health.failed(at(second), &hop(1), Fault::Timeout);
        }
        assert_eq!(up_at(&health), Some(30));
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        let unavailable = |seconds| Fault::Unavailable { retry_after: Some(Duration::from_secs(seconds)) };
        for (asked, given) in [(0, 1), (1, 1), (120, 120), (3_600, 3_600), (4_294_967_295, 3_600), (u64::MAX, 3_600)] {
            let mut health = Health::default();
            health.failed(at(0), &hop(1), unavailable(asked));
            assert_eq!(up_at(&health), Some(given), "{asked}");
        }
        let mut health = Health::default();
        health.failed(at(0), &hop(1), Fault::Unavailable { retry_after: None });
        assert_eq!(up_at(&health), Some(5));
        health.failed(at(1), &hop(1), unavailable(60));
        assert_eq!(up_at(&health), Some(61));
        // A shorter word does not take back a longer one.
        health.failed(at(2), &hop(1), unavailable(5));
        assert_eq!(up_at(&health), Some(61));
    }

    #[test]
    fn hops_that_are_down_are_tried_last_and_never_left_out() {
        let mut health = Health::default();
        health.failed(at(0), &hop(1), Fault::Timeout);
        health.failed(at(5), &hop(2), Fault::Timeout);
        let mut hops = [hop(2), hop(1), hop(3), hop(4)];
        health.arrange(at(6), &mut hops);
        assert_eq!(hops, [hop(3), hop(4), hop(1), hop(2)]);
        let mut only = [hop(1)];
        health.arrange(at(6), &mut only);
        assert_eq!(only, [hop(1)]);
    }

    #[test]
    fn one_call_tries_what_was_down() {
        let mut health = Health::default();
        health.failed(at(0), &hop(1), Fault::Timeout);
        let order = |health: &mut Health, now| {
            let mut hops = [hop(1), hop(2)];
            health.arrange(at(now), &mut hops);
            hops
        };
        assert_eq!(order(&mut health, 29), [hop(2), hop(1)]);
        assert_eq!(order(&mut health, 30), [hop(1), hop(2)]);
        // The first is at it: the second goes where it works, until the trial has taken too long to mean anything.
        assert_eq!(order(&mut health, 31), [hop(2), hop(1)]);
        assert_eq!(order(&mut health, 40), [hop(1), hop(2)]);
        health.failed(at(41), &hop(1), Fault::Timeout);
        assert_eq!(up_at(&health), Some(41 + 60));
        health.answered(&hop(1));
        assert_eq!(order(&mut health, 42), [hop(1), hop(2)]);
    }

    #[test]
    fn old_failures_do_not_count() {
        let mut health = Health::default();
        health.failed(at(0), &hop(1), Fault::Timeout);
        assert!(health.failed(at(30 + 3_600), &hop(1), Fault::Timeout));
        assert_eq!(up_at(&health), Some(30 + 3_600 + 30));
    }

    #[test]
    fn memory_is_bounded_and_the_longest_sentences_stay() {
        let mut health = Health::default();
        let many = |n: u32| Hop { remote: (std::net::Ipv4Addr::from(0x0a00_0000 + n), 5060).into(), ..hop(1) };
        health.failed(at(0), &hop(1), Fault::Unavailable { retry_after: Some(Duration::from_secs(3_600)) });
        for n in 0..10_000 {
            health.failed(at(1), &many(n), Fault::Timeout);
        }
        assert_eq!(health.count(), limits::HEALTH_HOPS);
        assert!(health.is_down(at(2), &hop(1)));
        // What nobody speaks of any more makes room first.
        health.failed(at(10_000), &many(20_000), Fault::Timeout);
        assert_eq!(health.count(), 1);
    }
}
