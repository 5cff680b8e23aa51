//! Visits that see a static number because they got none of their own: that of their source, or the overflow number.
//!
//! They have leases like others, so that pages treat all alike and the journal tells each step of a shortage
//! ([`crate::core::lease::Class`]). But such a lease takes nothing from anybody: the number is not given out by it, nobody
//! has a right to it, nothing is held after it, and the lease table does not know of it, because a call to a static number
//! is its channel's. After a restart pages ask anew.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Allocator, Granted, LeaseId, Output, Refused, Timer, VisitorKey, event, mark, replaces, visitor_key};
use crate::core::catalogue::Static;
use crate::core::event::{Body, Session};
use crate::core::lease::{Lease, Page};
use crate::ids::E164;
use crate::limits;
use crate::time::{Mono, Now};

/// A static number on a page.
#[derive(Debug)]
pub(super) struct Display {
    lease: Arc<Lease>,
    key: VisitorKey,
    signals: u32,
    /// It lapses then.
    deadline: Mono,
    /// The last event of it.
    journaled: Mono,
}

/// Whose page it is, and what is known of the visit.
pub(super) struct Visit {
    pub(super) company: String,
    pub(super) site: String,
    pub(super) visitor_id: String,
    pub(super) session: Session,
    pub(super) page: Page,
}

impl Allocator {
    /// Shows a static number. None: so many pages show one that this one keeps the real number.
    pub(super) fn display(&mut self, now: Now, shown: Static, visit: Visit, out: &mut Vec<Output>) -> Option<Granted> {
        let key = visitor_key(&visit.site, &visit.visitor_id);
        let before = self.displayed_to(key, &visit.visitor_id);
        if let Some(id) = before.filter(|id| self.displays[id].lease.number == shown.number) {
            let lease = self.redisplay(now, id, Some(visit.session), out);
            return Some(Granted { lease, shared: true, swap: true, returning: true, reason: None });
        }
        if let Some(id) = before {
            self.end_display(now, id, true, out);
        }
        if self.displays.len() >= limits::DISPLAYS {
            return None;
        }
        let lease = Arc::new(Lease {
            lease_id: LeaseId(self.draw()),
            number: shown.number,
            company: visit.company,
            site: visit.site,
            pool: shown.pool,
            visitor_id: visit.visitor_id,
            session: Arc::new(visit.session),
            granted_at: now.wall,
            seen_at: now.wall,
            expires_at: now.wall + self.rules.ttl,
            released_at: None,
            hold_until: now.wall + self.rules.ttl,
            shared: true,
            class: shown.class,
            page: visit.page,
        });
        let deadline = now.mono + self.rules.ttl;
        let display = Display { lease: Arc::clone(&lease), key, signals: 0, deadline, journaled: now.mono };
        self.displays.insert(lease.lease_id, display);
        self.shown_to.insert(key, lease.lease_id);
        self.timers.insert((deadline, Timer::Display(lease.lease_id)));
        out.push(event(now, &lease, Body::LeaseGranted(Arc::clone(&lease))));
        Some(Granted { lease, shared: true, swap: true, returning: false, reason: None })
    }

    /// The static number that this visitor sees.
    pub(super) fn displayed_to(&self, key: VisitorKey, visitor: &str) -> Option<LeaseId> {
        let id = *self.shown_to.get(&key)?;
        (self.displays.get(&id)?.lease.visitor_id == visitor).then_some(id)
    }

    pub(super) fn is_display(&self, id: LeaseId) -> bool {
        self.displays.contains_key(&id)
    }

    /// What is known of the visit that sees it.
    pub(super) fn displayed(&self, id: LeaseId) -> Option<Session> {
        self.displays.get(&id).map(|display| Session::clone(&display.lease.session))
    }

    /// It is still on the page.
    pub(super) fn redisplay(
        &mut self,
        now: Now,
        id: LeaseId,
        session: Option<Session>,
        out: &mut Vec<Output>,
    ) -> Arc<Lease> {
        let ttl = self.rules.ttl;
        let display = self.displays.get_mut(&id).expect("the caller found it");
        let mut lease = Lease::clone(&display.lease);
        (lease.seen_at, lease.expires_at, lease.hold_until) = (now.wall, now.wall + ttl, now.wall + ttl);
        let newer = session.filter(|session| replaces(session, &lease.session));
        let is_due = newer.is_some() || now.mono.since(display.journaled) >= ttl / 2;
        if let Some(session) = newer {
            lease.session = Arc::new(session);
        }
        lease.page.hidden_at = None;
        let lease = Arc::new(lease);
        (display.lease, display.deadline) = (Arc::clone(&lease), now.mono + ttl);
        if is_due {
            display.journaled = now.mono;
            out.push(event(now, &lease, Body::LeaseRenewed(Arc::clone(&lease))));
        }
        lease
    }

    /// Something the page saw.
    pub(super) fn display_signal(
        &mut self,
        now: Now,
        id: LeaseId,
        name: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        let display = self.displays.get_mut(&id).ok_or(Refused::UnknownLease)?;
        if display.signals >= limits::LEASE_SIGNALS {
            return Err(Refused::TooManySignals);
        }
        display.signals += 1;
        let mut lease = Lease::clone(&display.lease);
        mark(&mut lease.page, name, now);
        lease.seen_at = now.wall;
        display.lease = Arc::new(lease);
        let lease = Arc::clone(&display.lease);
        out.push(event(now, &lease, Body::LeaseSignal { lease: Arc::clone(&lease), signal: name.to_owned() }));
        Ok(())
    }

    /// The page was left or has a number of its own now (`is_released`), or it lapsed.
    pub(super) fn end_display(
        &mut self,
        now: Now,
        id: LeaseId,
        is_released: bool,
        out: &mut Vec<Output>,
    ) -> Option<Arc<Lease>> {
        let Display { lease, key, .. } = self.displays.remove(&id)?;
        if self.shown_to.get(&key) == Some(&id) {
            self.shown_to.remove(&key);
        }
        let mut lease = Lease::clone(&lease);
        if is_released {
            (lease.seen_at, lease.released_at) = (now.wall, Some(now.wall));
        }
        lease.hold_until = now.wall;
        let lease = Arc::new(lease);
        let body = if is_released { Body::LeaseReleased } else { Body::LeaseExpired };
        out.push(event(now, &lease, body(Arc::clone(&lease))));
        Some(lease)
    }

    /// Static numbers that the configuration has no more are shown no more: pages learn it when they renew.
    pub(super) fn end_displays_but(&mut self, now: Now, numbers: &HashSet<&E164>, out: &mut Vec<Output>) {
        let gone = self.displays.iter().filter(|(_, display)| !numbers.contains(&display.lease.number));
        let mut gone: Vec<LeaseId> = gone.map(|(id, _)| *id).collect();
        gone.sort_unstable();
        for id in gone {
            self.end_display(now, id, true, out);
        }
    }

    /// Its timer fired: it has lapsed, or was renewed since.
    pub(super) fn display_timeout(&mut self, now: Now, id: LeaseId, out: &mut Vec<Output>) {
        let Some(display) = self.displays.get(&id) else { return };
        if display.deadline > now.mono {
            self.timers.insert((display.deadline, Timer::Display(id)));
        } else {
            self.end_display(now, id, false, out);
        }
    }
}
