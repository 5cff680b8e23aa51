//! Calls of nobody who was on the site: robots, misdials, and a number of the pool that got out.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::{Call, CallId, DAY, Dials, HOUR, Happening, Kind, Ms, Regions, What, World, ms};
use crate::simulate::density::{happens, pick, poisson, unit};
use crate::simulate::spec::Spec;

/// Serial numbers of callers from here on are nobody's who visits.
const STRANGERS: u32 = 50_000_000;

/// Adds the calls of strangers.
pub(super) fn disturb(world: &mut World, spec: &Spec, seed: u64) {
    let real = world.calls.len() as f64;
    let all = real / (1.0 - spec.noise.spam - spec.noise.misdial);
    let mut strangers =
        Strangers { regions: Regions::new(spec), spec, next: STRANGERS, rng: super::generator(seed, 4), world };
    strangers.robots((all * spec.noise.spam).round() as usize);
    strangers.misdials((all * spec.noise.misdial).round() as usize);
    strangers.leak();
}

struct Strangers<'a> {
    world: &'a mut World,
    spec: &'a Spec,
    regions: Regions,
    next: u32,
    rng: ChaCha8Rng,
}

impl Strangers<'_> {
    fn robots(&mut self, calls: usize) {
        let noise = &self.spec.noise;
        let mut left = calls;
        while left > 0 {
            let who = (!happens(noise.robot_withheld, &mut self.rng)).then(|| self.stranger());
            let mut at = self.daytime();
            // Geometric: another call with this probability.
            let more = 1.0 - 1.0 / noise.robot_calls;
            loop {
                let place = unit(&mut self.rng);
                self.call(at, who.as_ref(), place, Kind::Spam);
                left -= 1;
                at += ms(noise.robot_pause.draw(&mut self.rng).max(20.0));
                if left == 0 || at >= self.world.length || !happens(more, &mut self.rng) {
                    break;
                }
            }
        }
    }

    fn misdials(&mut self, calls: usize) {
        for _ in 0..calls {
            let who = self.stranger();
            let (at, place) = (self.daytime(), unit(&mut self.rng));
            self.call(at, Some(&who), place, Kind::Misdial);
        }
    }

    fn leak(&mut self) {
        let noise = &self.spec.noise;
        let from = (noise.leak_from * self.world.length as f64) as Ms;
        let days = (self.world.length - from.min(self.world.length)) as f64 / DAY as f64;
        let place = unit(&mut self.rng);
        for _ in 0..poisson(noise.leak_per_day * days, &mut self.rng) {
            let mut at = self.daytime();
            while at < from {
                at = self.daytime();
            }
            let who = self.stranger();
            self.call(at, Some(&who), place, Kind::Leak);
        }
    }

    fn call(&mut self, at: Ms, who: Option<&(u32, usize)>, place: f64, kind: Kind) {
        let id = self.world.calls.len() as CallId;
        self.world.calls.push(Call {
            caller: who.and_then(|(serial, region)| super::caller(region + 1, *serial)),
            region: who.map(|(_, region)| Arc::clone(&self.regions.codes[*region])),
            dials: Dials::Place(place),
            visit: None,
            kind,
        });
        self.world.happenings.push(Happening { at, what: What::Call(id) });
    }

    /// A number nobody else has, and its region.
    fn stranger(&mut self) -> (u32, usize) {
        self.next += 1;
        (self.next, pick(&self.regions.weights, &mut self.rng))
    }

    /// Any day, in its busier hours rather.
    fn daytime(&mut self) -> Ms {
        let day = (unit(&mut self.rng) * (self.world.length / DAY) as f64) as Ms;
        let hour = pick(&self.spec.arrivals.hours, &mut self.rng) as Ms;
        day * DAY + hour * HOUR + ms(3_600.0 * unit(&mut self.rng))
    }
}
