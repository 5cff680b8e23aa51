//! The allocator against a model, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::config::PoolKind;
use crate::core::lease::LeaseTable;
use crate::time::{Mono, Wall};

const TTL: Duration = Duration::from_secs(90);
const HOLD: Duration = Duration::from_secs(600);
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

fn rules() -> Rules {
    Rules { ttl: TTL, renew_after: Duration::from_secs(30), memory: MEMORY }
}

fn pool(name: &str, site: Option<&str>, numbers: std::ops::Range<u32>) -> Arc<config::Pool> {
    Arc::new(config::Pool {
        name: name.into(),
        company: "acme".into(),
        site: site.map(Into::into),
        kind: PoolKind::Dynamic,
        numbers: numbers.map(number).collect(),
        calls_max_per_number: 0,
        hold: HOLD,
        channel: None,
        recording: None,
    })
}

fn number(index: u32) -> E164 {
    E164::parse(&format!("+442079460{index:03}")).unwrap()
}

fn site(name: &str) -> Arc<config::Site> {
    Arc::new(config::Site { name: name.into(), company: "acme".into(), origins: Vec::new() })
}

fn start() -> Now {
    Now { mono: Mono(5_000_000_000), wall: Wall(1_790_000_000_000_000) }
}

/// What is known of a number by the rules alone.
#[derive(Clone, Debug)]
struct Theirs {
    number: E164,
    /// On the page until then, unless renewed.
    lapses: Mono,
    /// Held for them until then, unless it is on somebody else's page.
    until: Mono,
}

/// The allocator with everything around it that could disagree with it.
struct World {
    now: Now,
    allocator: Allocator,
    numbers: u32,
    /// As the journal writes it.
    journal: Vec<(String, Value)>,
    table: LeaseTable,
    revision: u64,
    ids: BTreeMap<String, LeaseId>,
    /// By visitor.
    model: BTreeMap<String, Theirs>,
    used: BTreeSet<E164>,
    lives: u8,
}

impl World {
    fn new(numbers: u32) -> World {
        World {
            now: start(),
            allocator: Allocator::new(rules(), &[pool("web", Some("site"), 0..numbers)], &[site("site")], [7; 32]),
            numbers,
            journal: Vec::new(),
            table: LeaseTable::new(),
            revision: 0,
            ids: BTreeMap::new(),
            model: BTreeMap::new(),
            used: BTreeSet::new(),
            lives: 100,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Allocator, Now, &mut Vec<Output>) -> T) -> T {
        let mut out = Vec::new();
        let answer = act(&mut self.allocator, self.now, &mut out);
        for output in out {
            match output {
                Output::Change(change) => {
                    self.revision += 1;
                    self.table.apply(&change, self.revision);
                }
                Output::Event(event) => {
                    let data = match &event.body {
                        Body::LeaseSignal { lease, .. } => serde_json::to_value(lease),
                        body => serde_json::to_value(&Record::from_body(body).expect("a lease event").lease),
                    };
                    self.journal.push((event.body.kind().to_owned(), data.unwrap()));
                }
            }
        }
        answer
    }

    fn records(&self) -> Vec<Record> {
        self.journal.iter().filter_map(|(kind, data)| Record::from_json(kind, data)).collect()
    }

    fn acquire(&mut self, visitor: &str) -> Result<Granted, NoNumber> {
        // A campaign of their own, so that nobody shares.
        self.acquire_from(visitor, visitor)
    }

    fn acquire_from(&mut self, visitor: &str, campaign: &str) -> Result<Granted, NoNumber> {
        let (visitor_id, session) = (Some(visitor.into()), session(campaign));
        let ask = Ask { site: "site".into(), visitor_id, session, ..Ask::default() };
        self.act(|allocator, now, out| allocator.acquire(now, ask, out))
    }

    /// Somebody else has the number on their page.
    fn is_taken(&self, number: &E164, visitor: &str) -> bool {
        let now = self.now.mono;
        self.model.iter().any(|(name, t)| name != visitor && t.number == *number && now < t.lapses)
    }

    /// Time passes; timers run as they come due.
    fn wait(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some((at, _)) = self.allocator.poll_timeout().filter(|(at, _)| *at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            self.act(|allocator, now, out| allocator.handle_timeout(now, out));
        }
        self.now = end;
    }

    fn check(&self) {
        let mut visitors = BTreeMap::new();
        for (state, lease) in self.allocator.leases() {
            assert_eq!(visitors.insert(lease.visitor_id.clone(), ()), None, "one number a visitor");
            let entry = self.table.lookup(&lease.number).expect("the table knows every lease");
            assert!(entry.holders.len() <= 1, "two holders of one number");
            if state == NumberState::Leased {
                assert_eq!(entry.active(), Some(&lease), "table and allocator differ");
            } else {
                assert!(entry.past.contains(&lease), "table and allocator differ");
            }
        }
        let fresh = LeaseTable::new();
        for change in self.allocator.snapshot() {
            fresh.apply(&change, 0);
        }
        for index in 0..self.numbers {
            let number = number(index);
            assert_eq!(fresh.lookup(&number), self.table.lookup(&number), "snapshot and changes differ");
        }
        let pool = self.allocator.pools().next().unwrap();
        let states = |wanted| self.allocator.numbers().filter(|info| info.state == wanted).count();
        let counted = [NumberState::Free, NumberState::Leased, NumberState::Held].map(states);
        assert_eq!([pool.free, pool.leased, pool.held], counted, "counts and states differ");
        assert_eq!(counted.iter().sum::<usize>(), pool.numbers);
    }

    /// A restart at this moment: same leases on the same numbers.
    fn check_replay(&self) {
        let mut again =
            Allocator::new(rules(), &[pool("web", Some("site"), 0..self.numbers)], &[site("site")], [9; 32]);
        again.restore(self.now, self.records().into_iter(), &mut Vec::new());
        let held = |allocator: &Allocator| -> Vec<(NumberState, LeaseId, E164, String)> {
            let row = |(state, lease): (NumberState, Arc<Lease>)| {
                (state, lease.lease_id, lease.number.clone(), lease.visitor_id.clone())
            };
            let mut rows: Vec<_> = allocator.leases().map(row).collect();
            rows.sort_by_key(|row| row.1);
            rows
        };
        assert_eq!(held(&again), held(&self.allocator), "the journal tells another story");
    }

    fn restart(&mut self) {
        // A seed of its own for every life: lease ids must never come again.
        self.lives += 1;
        let seed = [self.lives; 32];
        self.allocator = Allocator::new(rules(), &[pool("web", Some("site"), 0..self.numbers)], &[site("site")], seed);
        self.table = LeaseTable::new();
        self.now.mono = Mono(1_000_000_000 + self.now.mono.0 % 7_000_000_000);
        let records = self.records();
        self.act(|allocator, now, out| allocator.restore(now, records.into_iter(), out));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Acquire(u8),
    Renew(u8),
    Release(u8),
    Signal(u8),
    Wait(u16),
    WallStep(i32),
    Restart,
}

/// What may happen besides visitors coming and going.
#[derive(Clone, Copy, PartialEq)]
enum Upset {
    Nothing,
    WallSteps,
    Restarts,
}

fn ops(upset: Upset) -> impl Strategy<Value = Vec<Op>> {
    let visitor = 0..12u8;
    let wall_step = prop_oneof![Just(3600), Just(-3600), Just(31_536_000), Just(-31_536_000)].prop_map(Op::WallStep);
    // Not by a weight of zero: shrinking would take what must not happen.
    let upset = match upset {
        Upset::Nothing => Just(Op::Wait(1)).boxed(),
        Upset::WallSteps => wall_step.boxed(),
        Upset::Restarts => Just(Op::Restart).boxed(),
    };
    let op = prop_oneof![
        6 => visitor.clone().prop_map(Op::Acquire),
        4 => visitor.clone().prop_map(Op::Renew),
        4 => visitor.clone().prop_map(Op::Release),
        2 => visitor.prop_map(Op::Signal),
        6 => prop_oneof![1..60u16, 60..900u16].prop_map(Op::Wait),
        2 => upset,
    ];
    prop::collection::vec(op, 1..120)
}

fn apply(world: &mut World, op: &Op) {
    let now = world.now.mono;
    world.model.retain(|_, theirs| theirs.until > now);
    let name = |v: &u8| format!("v{v}");
    match op {
        Op::Acquire(v) => {
            let visitor = name(v);
            let had = world.model.get(&visitor).map(|theirs| theirs.number.clone());
            let had = had.filter(|number| !world.is_taken(number, &visitor));
            let mine = match (had, world.acquire(&visitor)) {
                (Some(had), answer) => {
                    let granted = answer.expect("theirs");
                    assert!(granted.returning);
                    assert_eq!(granted.lease.number, had, "the same visitor has another number");
                    granted.lease
                }
                (None, Ok(granted)) => {
                    let got = &granted.lease.number;
                    assert!(!world.is_taken(got, &visitor), "on somebody else's page");
                    let is_new = (0..world.numbers).map(number).any(|n| !world.used.contains(&n));
                    assert!(granted.returning || !is_new || !world.used.contains(got), "never used come first");
                    granted.lease
                }
                (None, Err(refusal)) => {
                    assert_eq!(refusal.code, "pool_exhausted");
                    let is_idle = |n: &E164| !world.is_taken(n, &visitor);
                    assert!(!(0..world.numbers).map(number).any(|n| is_idle(&n)), "refused while nobody sees a number");
                    return;
                }
            };
            world.used.insert(mine.number.clone());
            world.ids.insert(visitor.clone(), mine.lease_id);
            world.model.insert(visitor, Theirs { number: mine.number.clone(), lapses: now + TTL, until: now + HOLD });
        }
        Op::Renew(v) | Op::Release(v) | Op::Signal(v) => {
            let visitor = name(v);
            let Some(id) = world.ids.get(&visitor).copied() else { return };
            let theirs = world.model.get(&visitor).cloned();
            let is_taken = theirs.as_ref().is_some_and(|theirs| world.is_taken(&theirs.number, &visitor));
            let is_known = theirs.is_some() && !(is_taken && matches!(op, Op::Renew(_)));
            if let Some(theirs) = world.model.get_mut(&visitor) {
                let on_page = now < theirs.lapses;
                match op {
                    Op::Renew(_) | Op::Signal(_) if !on_page && !is_taken => {
                        (theirs.lapses, theirs.until) = (now + TTL, now + HOLD);
                    }
                    Op::Renew(_) if on_page => (theirs.lapses, theirs.until) = (now + TTL, now + HOLD),
                    Op::Release(_) if on_page => (theirs.lapses, theirs.until) = (now, now + HOLD),
                    Op::Signal(_) if on_page => theirs.until = now + HOLD,
                    _ => {}
                }
            }
            let ok = match op {
                Op::Renew(_) => world.act(|a, now, out| a.renew(now, id, out)).is_ok(),
                Op::Release(_) => world.act(|a, now, out| a.release(now, id, out)).is_ok(),
                _ => world.act(|a, now, out| a.signal(now, id, "copy", out)).is_ok(),
            };
            assert_eq!(ok, is_known, "{op:?}: known while theirs, unknown after");
        }
        Op::Wait(seconds) => world.wait(Duration::from_secs((*seconds).into())),
        Op::Restart => {
            world.restart();
            let origin = world.now.mono;
            for theirs in world.model.values_mut() {
                theirs.until = origin + theirs.until.since(now);
                if now < theirs.lapses {
                    (theirs.lapses, theirs.until) = (origin + TTL, origin + HOLD);
                } else {
                    theirs.lapses = Mono::default();
                }
            }
        }
        Op::WallStep(seconds) => world.now.wall.0 += i64::from(*seconds) * 1_000_000,
    }
}

proptest! {
    /// Never two holders, never refused while nobody sees a number, whatever the wall clock does (H04, H07).
    #[test]
    fn keeps_its_promises(ops in ops(Upset::WallSteps), numbers in 1..6u32) {
        let mut world = World::new(numbers);
        for op in &ops {
            apply(&mut world, op);
            world.check();
        }
    }

    /// All of this over any number of restarts from the journal.
    #[test]
    fn survives_restarts(ops in ops(Upset::Restarts), numbers in 1..6u32) {
        let mut world = World::new(numbers);
        for op in &ops {
            apply(&mut world, op);
            world.check();
        }
    }

    /// The journal alone gives the same map back at any moment (H14).
    #[test]
    fn replay_is_the_same(ops in ops(Upset::Nothing), numbers in 1..6u32) {
        let mut world = World::new(numbers);
        for op in &ops {
            apply(&mut world, op);
            world.check_replay();
        }
    }

    /// A journal cut anywhere restores what its beginning says, and the allocator goes on in good order (H13).
    #[test]
    fn cut_journal(ops in ops(Upset::Nothing), numbers in 1..6u32, cut in 0..100usize) {
        let mut world = World::new(numbers);
        for op in &ops {
            apply(&mut world, op);
        }
        world.journal.truncate(cut);
        world.restart();
        world.check();
        for visitor in 0..20 {
            let _ = world.acquire(&format!("w{visitor}"));
            world.check();
        }
        world.wait(HOLD + TTL + Duration::from_secs(1));
        world.check();
        let pool = world.allocator.pools().next().unwrap();
        prop_assert_eq!(pool.free, pool.numbers, "everything ends");
    }
}

fn session(campaign: &str) -> Session {
    Session { utm: [("campaign".to_owned(), campaign.to_owned())].into(), ..Session::default() }
}

#[test]
fn after_a_restart_live_leases_live_on_and_holds_last_as_long_as_they_would() {
    let mut world = World::new(3);
    let on_page = world.acquire("a").unwrap().lease;
    let left = world.acquire("b").unwrap().lease;
    world.act(|a, now, out| a.release(now, left.lease_id, out)).unwrap();
    world.wait(Duration::from_secs(60));
    world.restart();
    assert_eq!(world.acquire("a").unwrap().lease.lease_id, on_page.lease_id);
    world.wait(HOLD - Duration::from_secs(61));
    assert_eq!(world.allocator.pools().next().unwrap().held, 2, "b a second before the end; a lapsed");
    world.wait(Duration::from_secs(1));
    assert_eq!(world.allocator.pools().next().unwrap().held, 1);
    assert_eq!(world.act(|a, now, out| a.renew(now, left.lease_id, out)), Err(Refused::UnknownLease));
    let last = world.table.lookup(&left.number).unwrap();
    assert_eq!(last.last().unwrap().visitor_id, "b", "still remembered");
}

#[test]
fn a_lease_that_nobody_renews_after_a_restart_is_held_from_the_restart() {
    let mut world = World::new(1);
    world.acquire("a").unwrap();
    world.wait(Duration::from_secs(80));
    world.now = world.now.after(Duration::from_secs(300));
    world.restart();
    world.wait(HOLD - Duration::from_secs(1));
    assert_eq!(world.allocator.pools().next().unwrap().held, 1, "nobody watched while we were away");
    world.wait(Duration::from_secs(1));
    assert_eq!(world.allocator.pools().next().unwrap().free, 1);
}

#[test]
fn away_for_a_day_everything_is_free_and_the_last_holders_are_known() {
    let mut world = World::new(2);
    let lease = world.acquire("a").unwrap().lease;
    world.now = world.now.after(Duration::from_secs(24 * 3600));
    world.restart();
    world.check();
    let pool = world.allocator.pools().next().unwrap();
    assert_eq!((pool.free, pool.leased, pool.held), (2, 0, 0));
    assert_eq!(world.table.lookup(&lease.number).unwrap().last().unwrap().visitor_id, "a");
    assert_eq!(world.journal.last().unwrap().0, "leaseline.lease.expired");
    assert_eq!(world.acquire("b").unwrap().lease.number, number(1), "never used comes first");
}

#[test]
fn a_clock_set_back_over_a_restart_prolongs_no_hold() {
    let mut world = World::new(1);
    let lease = world.acquire("a").unwrap().lease;
    world.act(|a, now, out| a.release(now, lease.lease_id, out)).unwrap();
    world.now.wall = world.now.wall - Duration::from_secs(365 * 24 * 3600);
    world.restart();
    world.wait(HOLD - Duration::from_secs(1));
    assert_eq!(world.allocator.pools().next().unwrap().held, 1);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.allocator.pools().next().unwrap().free, 1);
}

#[test]
fn the_last_holder_is_forgotten_when_the_memory_ends() {
    let mut world = World::new(1);
    let lease = world.acquire("a").unwrap().lease;
    world.act(|a, now, out| a.release(now, lease.lease_id, out)).unwrap();
    world.wait(MEMORY - Duration::from_secs(1));
    assert!(world.table.lookup(&lease.number).is_some());
    world.wait(Duration::from_secs(1));
    assert!(world.table.is_empty());
    assert_eq!(world.allocator.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn renewals_are_journaled_sparsely() {
    let mut world = World::new(1);
    let lease = world.acquire("a").unwrap().lease;
    for _ in 0..12 {
        world.wait(Duration::from_secs(15));
        world.act(|a, now, out| a.renew(now, lease.lease_id, out)).unwrap();
    }
    let renewed = world.journal.iter().filter(|(kind, _)| kind == "leaseline.lease.renewed").count();
    assert_eq!(renewed, 4, "180 s of renewals every 15 s, one event every 45 s");
    assert_eq!(world.table.lookup(&lease.number).unwrap().active().unwrap().seen_at, world.now.wall);
}

#[test]
fn a_direct_visit_does_not_erase_the_campaign() {
    let mut world = World::new(1);
    let mut visit = |session| {
        let ask = Ask { site: "site".into(), visitor_id: Some("a".into()), session, ..Ask::default() };
        world.act(|a, now, out| a.acquire(now, ask, out)).unwrap().lease.session.utm.get("campaign").cloned()
    };
    assert_eq!(visit(session("kitchens")).as_deref(), Some("kitchens"));
    let direct = Session { landing_page: Some("https://acme.example/".into()), ..Session::default() };
    assert_eq!(visit(direct).as_deref(), Some("kitchens"));
    assert_eq!(visit(session("baths")).as_deref(), Some("baths"));
}

#[test]
fn refusals() {
    let mut world = World::new(1);
    let ask = |site: &str, visitor: &str| Ask {
        site: site.into(),
        visitor_id: Some(visitor.into()),
        session: session(visitor),
        ..Ask::default()
    };
    let code = world.act(|a, now, out| a.acquire(now, ask("other", "a"), out)).unwrap_err().code;
    assert_eq!(code, "unknown_site");
    let drawn = world.act(|a, now, out| a.acquire(now, ask("site", "not a visitor id"), out)).unwrap().lease;
    assert!(drawn.visitor_id.len() == 32 && is_visitor_id(&drawn.visitor_id), "a bad id is replaced");
    let refusal = world.acquire("b").unwrap_err();
    assert_eq!((refusal.code, refusal.visitor_id.as_str()), ("pool_exhausted", "b"));
    assert_eq!(world.allocator.pools().next().unwrap().exhausted, 1);
    let guessed = LeaseId(drawn.lease_id.0 ^ 1);
    assert_eq!(world.act(|a, now, out| a.renew(now, guessed, out)), Err(Refused::UnknownLease));
    let signal = |world: &mut World, name: &str| world.act(|a, now, out| a.signal(now, drawn.lease_id, name, out));
    for bad in ["", "Tap", "tel tap", "x\r\ny", &"a".repeat(33)] {
        assert_eq!(signal(&mut world, bad), Err(Refused::BadSignal), "{bad:?}");
    }
    for _ in 0..limits::LEASE_SIGNALS {
        assert_eq!(signal(&mut world, "tel_tap"), Ok(()));
    }
    assert_eq!(signal(&mut world, "tel_tap"), Err(Refused::TooManySignals));
    let empty = Allocator::new(rules(), &[], &[site("site")], [1; 32]);
    world.allocator = empty;
    assert_eq!(world.acquire("a").unwrap_err().code, "no_pool");
}

#[test]
fn a_new_configuration_keeps_leases() {
    let mut world = World::new(3);
    let (a, b, c) = (world.acquire("a").unwrap(), world.acquire("b").unwrap(), world.acquire("c").unwrap());
    // Number 0 moves to another pool, 1 leaves, 2 moves to another company, 3 is new.
    let mut foreign = config::Pool::clone(&pool("theirs", Some("their-site"), 2..3));
    foreign.company = "other".into();
    let pools = [pool("web-2", Some("site"), 0..1), Arc::new(foreign), pool("more", None, 3..4)];
    let sites = [site("site")];
    world.act(|allocator, now, out| allocator.reconfigure(now, rules(), &pools, &sites, out));
    assert_eq!(world.acquire("a").unwrap().lease.lease_id, a.lease.lease_id);
    let gone = b.lease.lease_id;
    assert!(world.act(|allocator, now, out| allocator.renew(now, gone, out)).is_ok(), "its page still shows it");
    let lost = c.lease.lease_id;
    assert_eq!(world.act(|allocator, now, out| allocator.renew(now, lost, out)), Err(Refused::UnknownLease));
    assert_eq!(world.table.lookup(&number(2)), None, "nothing of one company is shown to another");
    assert_eq!(
        world.acquire("d").unwrap().lease.number,
        number(3),
        "the pool without a site serves all of the company"
    );
    assert_eq!(world.acquire("e").unwrap_err().code, "pool_exhausted");
    let states: Vec<_> = world.allocator.pools().map(|p| (p.name, p.numbers, p.free, p.leased, p.held)).collect();
    let expected = [("web-2", 1, 0, 1, 0), ("theirs", 1, 1, 0, 0), ("more", 1, 0, 1, 0)];
    assert_eq!(states, expected.map(|(name, n, f, l, h)| (name.to_owned(), n, f, l, h)));
    world.wait(TTL + HOLD + Duration::from_secs(1));
    assert_eq!(world.table.lookup(&number(1)), None, "what left the configuration is forgotten after its hold");
    // It comes back, and into the slot that was vacated.
    let pools = [pool("web", Some("site"), 0..4)];
    world.act(|allocator, now, out| allocator.reconfigure(now, rules(), &pools, &sites, out));
    let pool = world.allocator.pools().next().unwrap();
    assert_eq!((pool.numbers, pool.free), (4, 4));
}

#[test]
fn many_timers_come_in_turns() {
    let numbers: Vec<E164> = (0..25_000u32).map(|index| E164::parse(&format!("+4420794{index:05}")).unwrap()).collect();
    let mut big = config::Pool::clone(&pool("web", Some("site"), 0..1));
    big.numbers = numbers;
    let mut world = World::new(1);
    world.allocator = Allocator::new(rules(), &[Arc::new(big)], &[site("site")], [3; 32]);
    for visitor in 0..25_000 {
        world.acquire(&format!("v{visitor}")).unwrap();
    }
    world.now = world.now.after(TTL);
    let mut turns = 0;
    while world.allocator.poll_timeout().is_some_and(|(at, _)| at <= world.now.mono) {
        world.act(|allocator, now, out| allocator.handle_timeout(now, out));
        turns += 1;
    }
    assert_eq!(turns, 3, "at most {} a turn", limits::ALLOCATOR_TURN);
    assert_eq!(world.allocator.pools().next().unwrap().held, 25_000);
}
