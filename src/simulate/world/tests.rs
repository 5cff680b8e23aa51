//! The world is as its description says.

use std::collections::BTreeSet;

use super::*;

fn world(name: &str, change: impl FnOnce(&mut Spec)) -> (Spec, World) {
    let mut spec = Spec::load(name).unwrap();
    change(&mut spec);
    let world = World::new(&spec, 1);
    (spec, world)
}

fn of<'w>(world: &'w World, kinds: &'w [Kind]) -> impl Iterator<Item = &'w Call> {
    world.calls.iter().filter(|call| kinds.contains(&call.kind))
}

#[track_caller]
fn within(what: &str, share: f64, range: std::ops::RangeInclusive<f64>) {
    assert!(range.contains(&share), "{what}: {share:.4} is not in {range:?}");
}

const FIRST: &[Kind] = &[Kind::OnPage, Kind::Soon, Kind::Late];

#[test]
fn rates_are_as_specified() {
    for name in ["default", "heldout"] {
        let (spec, world) = world(name, |_| ());
        let visits = world.visits.len() as f64;
        let count = |kinds| of(&world, kinds).count() as f64;
        let (first, all) = (count(FIRST), world.calls.len() as f64);
        // Bursts add a few per cent.
        within("visits a day", visits / f64::from(spec.days) / spec.visits_per_day, 0.97..=1.08);
        within("blocked", f64::from(world.blocked_visits) / visits, 0.05..=0.25);
        // The chance of a call is capped, and late calls may fall after the end.
        let open = visits - f64::from(world.blocked_visits);
        within("calls a visit", first / open / spec.calls.per_visit, 0.85..=1.1);
        within("from the page", count(&[Kind::OnPage]) / first - spec.calls.on_page, -0.03..=0.05);
        within("soon", count(&[Kind::Soon]) / first - spec.calls.soon, -0.03..=0.04);
        within("again", count(&[Kind::Again]) / all, 0.15..=0.21);
        within("redialled", count(&[Kind::Redial]) / all, 0.04..=0.1);
        within("spam", count(&[Kind::Spam]) / all - spec.noise.spam, -0.01..=0.01);
        within("misdials", count(&[Kind::Misdial]) / all - spec.noise.misdial, -0.005..=0.005);
        within("leaked", count(&[Kind::Leak]) / f64::from(spec.days), 0.1..=0.7);
        let withheld = of(&world, FIRST).filter(|call| call.caller.is_none()).count() as f64;
        within("withheld", withheld / first - spec.calls.withheld, -0.02..=0.02);
        within("visits a person", visits / f64::from(world.people), 1.2..=1.4);
        let mobile = world.visits.iter().filter(|visit| visit.device == Device::Mobile).count() as f64;
        within("mobile", mobile / visits - spec.devices.mobile, -0.05..=0.05);
    }
}

#[test]
fn regions_agree_for_about_three_quarters() {
    let (_, world) = world("default", |_| ());
    let seen = |call: &Call| world.visits[call.visit? as usize].region.clone().zip(call.region.clone());
    let pairs: Vec<_> = of(&world, FIRST).filter_map(seen).collect();
    let same = pairs.iter().filter(|(page, caller)| page == caller).count();
    within("agree", same as f64 / pairs.len() as f64, 0.70..=0.82);
}

#[test]
fn phones_tap_before_they_call() {
    let (spec, world) = world("default", |_| ());
    let mut tapped = vec![None; world.visits.len()];
    let (mut calls, mut by_tap) = (0, 0);
    for Happening { at, what } in &world.happenings {
        match what {
            What::Tap(visit) => tapped[*visit as usize] = Some(*at),
            What::Call(id) => {
                let call = &world.calls[*id as usize];
                let Some(visit) = call.visit.filter(|_| call.kind == Kind::OnPage) else { continue };
                if world.visits[visit as usize].device == Device::Mobile {
                    calls += 1;
                    by_tap +=
                        u32::from(tapped[visit as usize].is_some_and(|tap| (2_000..=13_000).contains(&(at - tap))));
                }
            }
            _ => {}
        }
    }
    within("taps", f64::from(by_tap) / f64::from(calls) - spec.calls.tap, -0.03..=0.04);
}

#[test]
fn pages_speak_in_order() {
    let (_, world) = world("default", |spec| (spec.days, spec.warm_up_days) = (6, 2));
    let mut open = vec![false; world.visits.len()];
    let mut hidden = vec![false; world.visits.len()];
    let mut before = 0;
    for Happening { at, what } in &world.happenings {
        assert!((before..world.length).contains(at));
        before = *at;
        match *what {
            What::Open(id) => (open[id as usize], hidden[id as usize]) = (true, false),
            What::Close(id) => assert!(std::mem::replace(&mut open[id as usize], false) && !hidden[id as usize]),
            What::Hidden(id) => assert!(open[id as usize] && !std::mem::replace(&mut hidden[id as usize], true)),
            What::Visible(id) => assert!(open[id as usize] && std::mem::replace(&mut hidden[id as usize], false)),
            What::Beat(id) | What::Tap(id) | What::Copy(id) => assert!(open[id as usize] && !hidden[id as usize]),
            What::Call(id) => match world.calls[id as usize].dials {
                Dials::Again(earlier) => assert!(earlier < id),
                Dials::Seen(visit) => assert_eq!(world.calls[id as usize].visit, Some(visit)),
                Dials::Place(place) => assert!((0.0..1.0).contains(&place)),
            },
        }
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let small = |spec: &mut Spec| (spec.days, spec.warm_up_days, spec.visits_per_day) = (4, 1, 400.0);
    let (spec, one) = world("default", small);
    assert_eq!(one.happenings, World::new(&spec, 1).happenings);
    assert_ne!(one.happenings, World::new(&spec, 2).happenings);
    // More spam moves nobody else.
    let noisy = world("default", |spec| {
        small(spec);
        spec.noise.spam = 0.4;
    });
    let people = |world: &World| -> Vec<Happening> {
        let strangers: BTreeSet<u32> =
            (0..world.calls.len() as u32).filter(|id| world.calls[*id as usize].visit.is_none()).collect();
        let is_stranger = |what: &What| matches!(what, What::Call(id) if strangers.contains(id));
        world.happenings.iter().filter(|happening| !is_stranger(&happening.what)).copied().collect()
    };
    assert!(noisy.1.calls.len() > one.calls.len());
    assert_eq!(people(&one), people(&noisy.1));
}

#[test]
fn sessions_name_their_campaign() {
    let (_, world) = world("default", |spec| (spec.days, spec.warm_up_days) = (2, 1));
    for id in 0..world.visits.len() as u32 {
        let session = world.session(id);
        assert_eq!(world.campaign_of(&session), Some(world.visits[id as usize].campaign));
    }
    // A visit that came directly with a cookie that knew better tells of the earlier one.
    assert!(world.visits.iter().enumerate().any(|(id, visit)| visit.touch < id as u32));
}

#[test]
fn odd_worlds_end() {
    let text = crate::simulate::spec::DEFAULT;
    for (good, odd) in [
        ("median = 70, sigma = 1.374, max = 7200", "median = 1e300, sigma = 50"),
        ("median = 240, sigma = 1.4, max = 21600", "median = 1e-300, sigma = 50"),
        ("median = 110, sigma = 1.0, max = 3600", "median = 1e9, sigma = 9"),
        ("median = 36000, sigma = 1.8, max = 2592000", "median = 1e-9, sigma = 0"),
        ("engagement = 0.5", "engagement = nan"),
        ("on_page_power = 0.6", "on_page_power = -inf"),
        ("zipf = 0.9", "zipf = nan"),
        ("leak_from = 0.4", "leak_from = 1"),
        ("mobile = 0.62", "mobile = 0"),
        ("missed = 0.12", "missed = 1"),
    ] {
        assert!(text.contains(good), "{good}");
        let Ok(mut spec) = Spec::parse(&text.replacen(good, odd, 1), "odd") else { continue };
        (spec.days, spec.warm_up_days, spec.visits_per_day) = (2, 1, 60.0);
        let world = World::new(&spec, 1);
        assert!(world.happenings.iter().all(|happening| happening.at < world.length), "{odd}");
    }
}
