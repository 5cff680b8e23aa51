//! The rules of the others, by a virtual clock.

use super::lending::{CALLER_MEMORY, HARD_30, LAST_VIEWER, LONGEST_FREE, Lending, RANDOM, Rule, UNBIND};
use super::*;
use crate::core::lease::Device;

const MINUTE: Ms = 60_000;

struct Bench {
    policy: Lending,
}

impl Bench {
    fn new(rule: Rule, numbers: usize) -> Bench {
        Bench { policy: Lending::new(rule, numbers) }
    }

    fn visit(who: u32) -> Visit {
        Visit { cookie: who, campaign: who as u16, touch: who, device: Device::Mobile, region: None }
    }

    fn open(&mut self, at: Ms, who: u32) -> usize {
        match self.policy.open(at, who, &Bench::visit(who)) {
            Shown::Number(number) => number,
            other => panic!("{other:?}"),
        }
    }

    fn beat(&mut self, at: Ms, who: u32) {
        self.policy.beat(at, who, &Bench::visit(who));
    }

    fn close(&mut self, at: Ms, who: u32) {
        self.policy.close(at, who, &Bench::visit(who));
    }

    fn call(&mut self, at: Ms, number: usize, caller: Option<&str>) -> Option<u32> {
        let caller = caller.and_then(E164::parse);
        let answer = self.policy.call(at, Ring { caller: caller.as_ref(), region: None, number });
        assert_eq!((answer.campaign, answer.confidence), (answer.cookie.map(|cookie| cookie as u16), None));
        answer.cookie
    }
}

#[test]
fn rockstat_holds_five_minutes_and_fifteen_at_most() {
    let mut bench = Bench::new(RANDOM, 2);
    let number = bench.open(0, 1);
    assert_ne!(bench.open(0, 2), number, "only a free number is given");
    assert_eq!(bench.call(5 * MINUTE, number, None), Some(1));
    assert_eq!(bench.call(5 * MINUTE + 1, number, None), None, "five minutes after the last activity");
    let number = bench.open(20 * MINUTE, 3);
    for minute in 21..40 {
        bench.beat(minute * MINUTE, 3);
    }
    assert_eq!(bench.call(35 * MINUTE, number, None), Some(3));
    assert_eq!(bench.call(35 * MINUTE + 1, number, None), None, "fifteen minutes after it was lent");
    // Every number comes, in no order.
    let mut bench = Bench::new(RANDOM, 8);
    let given: Vec<usize> = (0..40).map(|who| bench.open(Ms::from(who) * 10 * MINUTE, who)).collect();
    assert!((0..8).all(|number| given.contains(&number)) && given[..8] != [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn ninjatrack_takes_the_last_viewer_of_the_hour() {
    let mut bench = Bench::new(LAST_VIEWER, 1);
    assert_eq!([bench.open(0, 1), bench.open(1_000, 2)], [0, 0]);
    assert_eq!(bench.call(2_000, 0, None), Some(2), "whoever else is on the page");
    assert_eq!(bench.call(1_000 + 60 * MINUTE, 0, None), Some(2));
    assert_eq!(bench.call(1_001 + 60 * MINUTE, 0, None), None);
    let mut bench = Bench::new(LAST_VIEWER, 3);
    assert_eq!([1, 2, 3, 4].map(|who| bench.open(0, who)), [1, 2, 0, 1], "numbers go round");
}

#[test]
fn lptracker_unbinds_after_three_minutes_and_by_a_call() {
    let mut bench = Bench::new(UNBIND, 2);
    let number = bench.open(0, 1);
    bench.beat(2 * MINUTE, 1);
    assert_eq!(bench.call(5 * MINUTE, number, None), Some(1), "three minutes after the last activity");
    assert_eq!(bench.call(5 * MINUTE, number, None), None, "unbound by the call");
    let number = bench.open(10 * MINUTE, 2);
    assert_eq!(bench.call(13 * MINUTE + 1, number, None), None);
}

#[test]
fn mango_keeps_the_number_half_an_hour_after_the_visit() {
    let mut bench = Bench::new(HARD_30, 2);
    let number = bench.open(0, 1);
    bench.beat(MINUTE, 1);
    bench.close(2 * MINUTE, 1);
    assert_ne!(bench.open(30 * MINUTE, 2), number, "held");
    assert_eq!(bench.open(31 * MINUTE, 1), number, "and the visitor's, when they come back");
    bench.close(32 * MINUTE, 1);
    assert_eq!(bench.call(62 * MINUTE, number, None), Some(1));
    assert_eq!(bench.call(62 * MINUTE + 1, number, None), None);
    // None is free: the one that was left longest ago is taken away.
    let mut bench = Bench::new(HARD_30, 2);
    let (one, _) = (bench.open(0, 1), bench.open(1_000, 2));
    assert_eq!(bench.open(2_000, 3), one);
    assert_eq!(bench.call(3_000, one, None), Some(3));
}

#[test]
fn longest_free_credits_the_last_holder_for_ever() {
    let mut bench = Bench::new(LONGEST_FREE, 3);
    assert_eq!([1, 2, 3].map(|who| bench.open(Ms::from(who), who)), [0, 1, 2]);
    assert_eq!(bench.call(60 * 24 * 60 * MINUTE, 1, None), Some(2));
    let later = 24 * 60 * MINUTE;
    bench.beat(later - MINUTE, 1);
    assert_eq!(bench.open(later, 4), 0, "number 0 was lent first; a beat after the hold changes nothing");
    assert_eq!(Bench::new(LONGEST_FREE, 1).call(0, 0, None), None, "nobody had it");
}

#[test]
fn primegate_remembers_callers() {
    let mut bench = Bench::new(CALLER_MEMORY, 1);
    bench.open(0, 1);
    assert_eq!(bench.call(1_000, 0, Some("+99901")), Some(1));
    let later = 24 * 60 * MINUTE;
    bench.open(later, 2);
    assert_eq!(bench.call(later, 0, Some("+99901")), Some(1), "today's visitor is not who called before");
    assert_eq!(bench.call(later, 0, Some("+99902")), Some(2));
    assert_eq!(bench.call(later, 0, None), Some(2), "withheld");
}

#[test]
fn static_numbers_know_the_source_only() {
    let mut spec = crate::simulate::spec::Spec::load("default").unwrap();
    (spec.days, spec.warm_up_days, spec.visits_per_day) = (2, 1, 200.0);
    let world = World::new(&spec, 1);
    for (numbers, own) in [(1, 0), (4, 3), (8, 8), (10, 8), (200, 8)] {
        let mut policy = fixed::Fixed::new(&world, numbers);
        let mut sources = std::collections::BTreeSet::new();
        for (id, visit) in world.visits.iter().enumerate() {
            let Shown::Number(number) = policy.open(0, id as u32, visit) else { panic!("a number") };
            let answer = policy.call(0, Ring { caller: None, region: None, number });
            assert_eq!(answer.cookie, None);
            assert!(answer.source.is_none_or(|source| source == world.source_of(visit.campaign)), "{numbers}");
            assert!(answer.campaign.is_none_or(|campaign| campaign == visit.campaign), "{numbers}");
            assert!(numbers < 200 || answer.campaign.is_some());
            sources.extend(answer.source);
        }
        assert_eq!(sources.len(), own, "{numbers} numbers");
    }
}

#[test]
fn names() {
    let names = |list: &[&str]| contenders(&list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(names(&["all"]).unwrap().len(), CONTENDERS.len());
    assert_eq!(names(&["unbind", "leaseline"]).unwrap()[1].name, "leaseline");
    assert_eq!(names(&["leaseline", "lukc"]).unwrap_err(), "lukc");
}
