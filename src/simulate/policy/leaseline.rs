//! Ours: the production allocator and attribution, driven as the daemon drives them, with the world's clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Policy, Ring, Shown};
use crate::config::Config;
use crate::core::attribution::{self, Attributor, Forecast, Observer, Question};
use crate::core::event::AttributionKind;
use crate::core::lease::LeaseTable;
use crate::core::pool::{Allocator, Ask, Output, Rules};
use crate::ids::{E164, LeaseId};
use crate::simulate::world::{Ms, Visit, VisitId, World, clocks};
use crate::time::Now;

const SITE: &str = "shop";

/// The allocator, its lease table, and what pages remember.
pub(super) struct Leaseline<'w> {
    world: &'w World,
    by_risk: bool,
    numbers: Vec<E164>,
    rules: Rules,
    allocator: Allocator,
    table: LeaseTable,
    attributor: Attributor,
    observer: Observer,
    revision: u64,
    /// The lease that each cookie's pages have.
    leases: Vec<Option<LeaseId>>,
    out: Vec<Output>,
}

impl<'w> Leaseline<'w> {
    /// `by_risk`: the production choice of a number; else the one that was left longest ago.
    pub(super) fn new(world: &'w World, numbers: usize, by_risk: bool) -> Leaseline<'w> {
        let config = configuration(numbers);
        let rules =
            Rules { ttl: config.lease.ttl, renew_after: config.lease.renew_after, memory: config.attribution.memory };
        let mut allocator = Allocator::new(rules, &config.pools, &config.sites, [7; 32]);
        if !by_risk {
            allocator.set_forecast(Arc::new(Forecast::none()));
        }
        Leaseline {
            world,
            by_risk,
            numbers: config.pools.first().map(|pool| pool.numbers.clone()).unwrap_or_default(),
            rules,
            allocator,
            table: LeaseTable::new(),
            attributor: Attributor::default(),
            observer: Observer::default(),
            revision: 0,
            leases: vec![None; world.cookies.len()],
            out: Vec::new(),
        }
    }

    /// Runs what has come due, each at its time, and says what time it is.
    fn turn(&mut self, at: Ms) -> Now {
        let now = clocks(at);
        while let Some((due, _)) = self.allocator.poll_timeout().filter(|(due, _)| *due <= now.mono) {
            let then = clocks(due.0.div_ceil(1_000_000));
            self.allocator.handle_timeout(then, &mut self.out);
            self.apply();
        }
        now
    }

    fn apply(&mut self) {
        for output in self.out.drain(..) {
            match output {
                Output::Change(change) => {
                    self.revision += 1;
                    self.table.apply(&change, self.revision);
                }
                Output::Event(event) => self.observer.observe(event.time, &event.body),
            }
        }
    }

    fn lease(&self, id: VisitId) -> Option<LeaseId> {
        self.leases[self.world.visits[id as usize].cookie as usize]
    }

    fn signal(&mut self, at: Ms, id: VisitId, name: &str) {
        let now = self.turn(at);
        if let Some(lease) = self.lease(id) {
            // A lease that is gone has nothing to hear.
            let _ = self.allocator.signal(now, lease, name, &mut self.out);
            self.apply();
        }
    }

    /// The visitor where one is likelier than nobody; campaign and source as all candidates together make them likeliest.
    fn answer(&self, answer: &attribution::Answer) -> Answer {
        let attribution = &answer.attribution;
        let persons = answer.persons.iter();
        let candidates = persons.filter_map(|one| Some((cookie(&one.lease.visitor_id)?, one.probability))).collect();
        let is_known = attribution.kind == AttributionKind::Visitor;
        let (mut campaigns, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for person in answer.persons.iter().filter(|_| is_known) {
            if let Some(campaign) = self.world.campaign_of(&person.lease.session) {
                *campaigns.entry(campaign).or_insert(0.0) += person.probability;
                *sources.entry(self.world.source_of(campaign)).or_insert(0.0) += person.probability;
            }
        }
        Answer {
            cookie: attribution.visitor_id.as_deref().and_then(cookie),
            campaign: likeliest(&campaigns),
            source: likeliest(&sources),
            confidence: Some(attribution.confidence),
            candidates,
        }
    }
}

fn likeliest(shares: &BTreeMap<u16, f64>) -> Option<u16> {
    shares.iter().max_by(|left, right| left.1.total_cmp(right.1)).map(|(index, _)| *index)
}

impl Policy for Leaseline<'_> {
    fn open(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown {
        let now = self.turn(at);
        let ask = Ask {
            site: SITE.into(),
            visitor_id: Some(format!("w{}", visit.cookie)),
            session: self.world.session(id),
            device: visit.device,
            region: visit.region.clone(),
        };
        let granted = self.allocator.acquire(now, ask, &mut self.out);
        self.apply();
        let granted = granted.ok().filter(|granted| granted.swap);
        self.leases[visit.cookie as usize] = granted.as_ref().map(|granted| granted.lease.lease_id);
        let number = granted.and_then(|granted| self.numbers.iter().position(|one| *one == granted.lease.number));
        number.map_or(Shown::Real, Shown::Number)
    }

    fn beat(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown {
        let now = self.turn(at);
        let Some(lease) = self.lease(id) else { return Shown::Same };
        let renewed = self.allocator.renew(now, lease, &mut self.out);
        self.apply();
        match renewed {
            Ok(lease) => self.numbers.iter().position(|one| *one == lease.number).map_or(Shown::Real, Shown::Number),
            // As the page script does: the lease is gone, so ask anew.
            Err(_) => self.open(at, id, visit),
        }
    }

    fn visible(&mut self, at: Ms, id: VisitId, visit: &Visit) -> Shown {
        self.signal(at, id, "visible");
        self.beat(at, id, visit)
    }

    fn hidden(&mut self, at: Ms, id: VisitId) {
        self.signal(at, id, "hidden");
    }

    fn tap(&mut self, at: Ms, id: VisitId) {
        self.signal(at, id, "tel_tap");
    }

    fn copy(&mut self, at: Ms, id: VisitId) {
        self.signal(at, id, "copy");
    }

    fn close(&mut self, at: Ms, id: VisitId, _: &Visit) {
        let now = self.turn(at);
        if let Some(lease) = self.lease(id) {
            // Released twice is released once, and a lease that is gone needs none.
            let _ = self.allocator.release(now, lease, &mut self.out);
            self.apply();
        }
    }

    fn call(&mut self, at: Ms, ring: Ring<'_>) -> Answer {
        let now = self.turn(at);
        let question = Question {
            company: "acme",
            number: &self.numbers[ring.number],
            caller: ring.caller.map(E164::as_str),
            caller_region: ring.region.map(|region| &**region),
            channel: None,
            memory: self.rules.memory,
        };
        self.attributor.observe(&self.table, now.wall, &question, &mut self.observer);
        let answer = self.attributor.decide(&self.table, now.wall, &question);
        self.attributor.learn(now.wall, &question, &answer);
        self.answer(&answer)
    }

    /// As `leaseline fit` does: from leases and calls alone.
    fn learn(&mut self, _: Ms) {
        let fitted = self.observer.fit(&self.attributor.model, "warm-up");
        if self.by_risk {
            self.allocator.set_forecast(Arc::new(fitted.model.forecast()));
        }
        self.attributor.model = Arc::new(fitted.model);
    }
}

/// A company with one site and one pool; everything else as it is by default.
fn configuration(numbers: usize) -> Config {
    let text = format!(
        r#"
[[trunk]]
name = "carrier"
match = ["127.0.0.0/8"]
[[company]]
name = "acme"
forward_to = ["sip:+442079460999@127.0.0.1:5080"]
[[site]]
name = "{SITE}"
company = "acme"
origins = ["https://shop.example"]
[[pool]]
name = "web"
company = "acme"
site = "{SITE}"
kind = "dynamic"
numbers = ["+442079460000..+442079460{:03}"]
hold = "30m"
"#,
        numbers - 1
    );
    Config::parse(&text, "simulate", std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn cookie(visitor_id: &str) -> Option<u32> {
    visitor_id.strip_prefix('w')?.parse().ok()
}
