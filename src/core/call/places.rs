//! Room at destinations: places at those whose calls are counted, and the company's rules against toll fraud. Every
//! destination of a call asks for it, whichever way the call came to it, and gives it back when the call has left.

use std::sync::Arc;

use super::ending::Why;
use super::{Call, Ctx, NewCall};
use crate::config::Destination;
use crate::core::admission::Reject;
use crate::core::b2bua::fraud_suspected;
use crate::core::event::{HangupBy, Outcome};

/// A place at a destination whose calls are counted.
#[derive(Debug)]
pub(super) struct Seat {
    /// The call's own name for the destination.
    pub(super) key: u32,
    pub(super) line: Arc<str>,
}

/// A destination that a call is about to be sent to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) key: u32,
    pub(super) uri: &'a str,
    pub(super) is_costly: bool,
    /// As it is configured, if it is.
    pub(super) destination: Option<&'a Destination>,
}

impl Call {
    /// Takes room at a target of the hunt.
    pub(super) fn take_place_at(&mut self, index: usize, ctx: &mut Ctx<'_>) -> Result<(), Why> {
        let Call { facts, seats, .. } = self;
        let NewCall { plan, admitted, data, trunk, company, .. } = facts;
        let Some(target) = plan.targets.get(index) else { return Ok(()) };
        let place = Place {
            key: key(index),
            uri: &target.uri,
            is_costly: target.is_costly,
            destination: Some(&*target.destination),
        };
        let who = Who { company: &company.name, trunk: &trunk.name, number: &data.number };
        take(place, seats, admitted, who, ctx)
    }

    /// Takes room at a destination that is not one of the hunt.
    pub(super) fn take_place(&mut self, place: Place<'_>, ctx: &mut Ctx<'_>) -> Result<(), Why> {
        let Call { facts, seats, .. } = self;
        let NewCall { admitted, data, trunk, company, .. } = facts;
        let who = Who { company: &company.name, trunk: &trunk.name, number: &data.number };
        take(place, seats, admitted, who, ctx)
    }

    /// The call has left a destination. `talked`: it was connected to it.
    pub(super) fn give_back(&mut self, key: u32, talked: bool, ctx: &mut Ctx<'_>) {
        ctx.admission.leave(ctx.now.mono, &mut self.facts.admitted, key);
        if let Some(at) = self.seats.iter().position(|seat| seat.key == key) {
            let seat = self.seats.swap_remove(at);
            ctx.desk.release(ctx.now.mono, &seat.line, talked);
        }
    }
}

/// The name of a target of the hunt.
pub(super) fn key(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[derive(Clone, Copy)]
struct Who<'a> {
    company: &'a str,
    trunk: &'a str,
    number: &'a crate::ids::E164,
}

fn take(
    place: Place<'_>,
    seats: &mut Vec<Seat>,
    admitted: &mut crate::core::admission::Admitted,
    who: Who<'_>,
    ctx: &mut Ctx<'_>,
) -> Result<(), Why> {
    if let Some(destination) = place.destination
        && !ctx.desk.take(destination)
    {
        return Err(Why::new(Outcome::Busy, "destination_full", HangupBy::System, 486));
    }
    let line = place.destination.and_then(|destination| destination.counted.as_ref());
    if let Err(reject) = ctx.admission.enter(ctx.now, admitted, place.key, place.uri, place.is_costly) {
        if let Some(line) = line {
            ctx.desk.release(ctx.now.mono, line, false);
        }
        let alarm = ctx.alarms.suspect(ctx.now.mono, who.company, who.trunk, who.number, reject);
        ctx.out.extend(alarm.map(|data| fraud_suspected(ctx.now, who.company, data)));
        let Reject { status, code, .. } = reject;
        // Not a matter of busy or no answer: the destinations for those are not tried instead.
        return Err(Why::new(Outcome::Rejected, code, HangupBy::System, status));
    }
    seats.extend(line.map(|line| Seat { key: place.key, line: Arc::clone(line) }));
    Ok(())
}
