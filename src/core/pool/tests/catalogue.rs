//! Pools that choose their visitors, in virtual time.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::core::source::completed;

const SITE: &str = r#"
[[company]]
name = "acme"
forward_to = ["sip:1@192.0.2.1"]
[[site]]
name = "shop"
company = "acme"
origins = ["https://shop.example"]
"#;

const STATIC: &str = r#"
[[pool]]
name = "ya"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "yandex" }
[[pool]]
name = "rest"
company = "acme"
kind = "static"
numbers = ["+442079460501"]
channel = { source = "website" }
"#;

fn pool(name: &str, numbers: &str, keys: &str) -> String {
    format!(
        "[[pool]]\nname = \"{name}\"\ncompany = \"acme\"\nsite = \"shop\"\nkind = \"dynamic\"\nhold = \"10m\"\n\
         numbers = [\"{numbers}\"]\n{keys}\n"
    )
}

struct World {
    allocator: Allocator,
    now: Now,
    out: Vec<Output>,
}

impl World {
    fn new(pools: &str) -> World {
        let config = config::Config::parse(&format!("{SITE}{pools}"), "", Path::new(""));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let rules = rules();
        let now = Now { mono: Mono(5_000_000_000), wall: Wall(1_790_000_000_000_000) };
        let allocator = Allocator::new(rules, &config.pools, &config.sites, [3; 32]);
        World { allocator, now, out: Vec::new() }
    }

    fn ask(&mut self, visitor: &str, query: &str, instead: Option<&'static str>) -> Result<Granted, NoNumber> {
        let page = format!("https://shop.example/?{query}");
        let session = completed(Session { landing_page: Some(page), ..Session::default() });
        let ask = Ask { site: "shop".into(), visitor_id: Some(visitor.into()), session, instead, ..Ask::default() };
        self.allocator.handle_timeout(self.now, &mut self.out);
        self.allocator.acquire(self.now, ask, &mut self.out)
    }

    /// Number (its last three digits) and pool of a lease.
    fn lease(&mut self, visitor: &str, query: &str) -> (String, String) {
        let lease = self.ask(visitor, query, None).unwrap_or_else(|none| panic!("{none:?}")).lease;
        (lease.number.as_str()[10..].to_owned(), lease.pool.clone())
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.allocator.handle_timeout(self.now, &mut self.out);
    }

    fn state(&self, pool: &str) -> PoolState {
        self.allocator.pools().find(|state| state.name == pool).expect("a pool")
    }
}

#[test]
fn p03_a_static_number_is_never_leased() {
    let mut world = World::new(&format!("{}{STATIC}", pool("web", "+442079460000..+442079460003", "")));
    let given: Vec<String> = (0..4).map(|n| world.lease(&format!("v{n}"), &format!("utm_source=s{n}")).0).collect();
    assert!(!given.iter().any(|number| number.starts_with('5')), "{given:?}");
    assert_eq!(world.ask("v4", "utm_source=s4", None).unwrap_err().code, "pool_exhausted");
    assert!(world.allocator.numbers().all(|info| info.pool == "web"));
}

#[test]
fn p08_as_many_visitors_as_numbers_have_numbers_of_their_own() {
    let mut world = World::new(&pool("web", "+442079460000..+442079460004", ""));
    let mut given: Vec<String> = (0..5).map(|n| world.lease(&format!("v{n}"), &format!("utm_source=s{n}")).0).collect();
    given.sort();
    assert_eq!(given, ["000", "001", "002", "003", "004"]);
    for n in 5..8 {
        assert_eq!(world.ask(&format!("v{n}"), &format!("utm_source=s{n}"), None).unwrap_err().code, "pool_exhausted");
    }
    assert_eq!((world.state("web").granted, world.state("web").exhausted), (5, 3));
}

#[test]
fn p10_the_pool_of_highest_priority_gives_the_number_and_the_next_when_it_has_none() {
    let direct = "priority = 10\n[[pool.conditions]]\nutm_source = \"yandex\"";
    let pools = [pool("all", "+442079460010", "priority = 5"), pool("yandex", "+442079460000", direct)].concat();
    let mut world = World::new(&pools);
    assert_eq!(world.lease("v1", "utm_source=yandex&utm_campaign=a").1, "yandex");
    assert_eq!(world.lease("v2", "utm_source=yandex&utm_campaign=b").1, "all");
    assert_eq!(world.ask("v3", "utm_source=yandex&utm_campaign=c", None).unwrap_err().code, "pool_exhausted");
    assert_eq!((world.state("yandex").exhausted, world.state("all").exhausted), (1, 0));
}

#[test]
fn w03_a_visit_that_fits_no_pool_has_no_lease() {
    let mut world = World::new(&pool("web", "+442079460000", "traffic = [\"yandex_direct\"]"));
    let none = world.ask("v1", "utm_source=google", None).unwrap_err();
    assert_eq!(none.code, "no_pool_fits");
    assert!(world.out.is_empty(), "nothing happened: {:?}", world.out);
    assert_eq!(world.lease("v1", "yclid=1").1, "web");
    assert_eq!(world.lease("v1", "utm_source=google").1, "web", "who has a number keeps it");
}

#[test]
fn p13_a_number_bound_to_parameters_is_one_for_each_campaign() {
    let mut world = World::new(&pool("web", "+442079460000..+442079460002", "binding = \"params\""));
    let a = world.lease("a1", "utm_source=s&utm_medium=m&utm_campaign=A").0;
    let b = world.lease("b1", "utm_source=s&utm_medium=m&utm_campaign=B").0;
    assert_ne!(a, b, "two campaigns never share while numbers remain");
    for n in 2..30 {
        assert_eq!(world.lease(&format!("a{n}"), "utm_source=S&utm_medium=M&utm_campaign=a").0, a, "visitor {n}");
    }
    // Everybody of A leaves (lapses); the number stays A's for the hold.
    world.wait(89);
    assert_eq!(world.lease("b1", "utm_source=s&utm_medium=m&utm_campaign=B").0, b);
    world.wait(300);
    let c = world.lease("c1", "utm_source=s&utm_medium=m&utm_campaign=C").0;
    assert!(c != a && c != b, "A and B are held: {c}");
    assert_eq!(world.lease("a99", "utm_source=s&utm_medium=m&utm_campaign=A").0, a, "within the hold");
    // A fourth campaign finds every number held or shown: it gets one that nobody looks at.
    world.wait(89);
    world.lease("a99", "utm_source=s&utm_medium=m&utm_campaign=A");
    let d = world.lease("d1", "utm_source=s&utm_medium=m&utm_campaign=D").0;
    assert_ne!(d, a, "A's is on a page");
    // A visitor who comes again from another campaign sees that campaign's number.
    assert_eq!(world.lease("a99", "utm_source=s&utm_medium=m&utm_campaign=D").0, d);
    // Long after, every number is nobody's.
    world.wait(3_600);
    let again: std::collections::BTreeSet<String> =
        ["X", "Y", "Z"].map(|c| world.lease(c, &format!("utm_source=s&utm_campaign={c}")).0).into();
    assert_eq!(again.len(), 3);
}

#[test]
fn w08_when_numbers_run_out_each_step_is_told() {
    let keys = "static_pools = [\"ya\"]\noverflow_pool = \"rest\"";
    let mut world = World::new(&format!("{}{STATIC}", pool("web", "+442079460000", keys)));
    assert_eq!(world.ask("v1", "utm_source=yandex&utm_campaign=a", None).unwrap().lease.class, Class::Free);
    assert_eq!(world.ask("v2", "utm_source=yandex&utm_campaign=a", None).unwrap().lease.class, Class::Shared);
    let mut step = |visitor: &str, query: &str, instead| {
        let granted = world.ask(visitor, query, instead).unwrap();
        let (number, class) = (granted.lease.number.as_str()[10..].to_owned(), granted.lease.class);
        assert!(granted.swap && granted.shared && granted.lease.shared);
        (number, class, granted.reason.unwrap())
    };
    let (yandex, rest) = (("500".to_owned(), Class::SourceStatic), ("501".to_owned(), Class::Overflow));
    let told = |(number, class): &(String, Class), reason| (number.clone(), *class, reason);
    assert_eq!(step("v3", "utm_source=yandex&utm_campaign=b", None), told(&yandex, "pool_exhausted"));
    assert_eq!(step("v4", "utm_source=google", None), told(&rest, "pool_exhausted"));
    let not_worth = step("v5", "utm_source=yandex&utm_campaign=a", Some("not_worth_a_number"));
    assert_eq!(not_worth, told(&yandex, "not_worth_a_number"));
    assert!(world.ask("v1", "", Some("not_worth_a_number")).is_ok(), "who has a number keeps it");
    let web = world.state("web");
    assert_eq!((web.source_static, web.overflow, web.exhausted), (2, 1, 2));
}

#[test]
fn p11_a_number_stays_reserved_after_the_visit_and_not_a_second_longer() {
    let mut world = World::new(&pool("web", "+442079460000", ""));
    let lease = world.ask("v1", "utm_source=a", None).unwrap().lease;
    world.wait(20);
    world.allocator.release(world.now, lease.lease_id, &mut world.out).expect("held");
    let state = |world: &World| world.allocator.numbers().next().expect("a number").state;
    world.wait(599);
    assert_eq!(state(&world), NumberState::Held);
    assert!(world.allocator.renew(world.now, lease.lease_id, &mut world.out).is_ok(), "still theirs");
    world.allocator.release(world.now, lease.lease_id, &mut world.out).expect("held again");
    world.wait(601);
    assert_eq!(state(&world), NumberState::Free);
    assert!(world.allocator.renew(world.now, lease.lease_id, &mut world.out).is_err());
}

#[test]
fn p12_the_hold_is_thirty_minutes_and_never_under_five() {
    let text = |hold: &str| format!("{SITE}{}", pool("web", "+442079460000", "").replace("hold = \"10m\"\n", hold));
    let read = |hold: &str| config::Config::parse(&text(hold), "", Path::new(""));
    assert_eq!(read("").expect("good").pools[0].hold, Duration::from_secs(1_800));
    assert_eq!(read("hold = \"5m\"\n").expect("good").pools[0].hold, Duration::from_secs(300));
    assert!(read("hold = \"299s\"\n").expect_err("too short").to_string().contains("must be from \"5m\""));
    // A page that is not heard of any more counts as closed after the lease's time; the last sign starts the hold.
    let mut world = World::new(&pool("web", "+442079460000", ""));
    world.lease("v1", "utm_source=a");
    let state = |world: &World| world.allocator.numbers().next().expect("a number").state;
    world.wait(89);
    assert_eq!(state(&world), NumberState::Leased);
    world.wait(2);
    assert_eq!(state(&world), NumberState::Held);
    world.wait(600 - 92);
    assert_eq!(state(&world), NumberState::Held, "the hold counts from the last sign");
    world.wait(2);
    assert_eq!(state(&world), NumberState::Free);
}

/// Events of the journal so far, and of leases in the table.
fn told(world: &World) -> (Vec<&'static str>, usize) {
    let events = world.out.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.body.kind()),
        Output::Change(_) => None,
    });
    (events.collect(), world.out.iter().filter(|output| matches!(output, Output::Change(_))).count())
}

#[test]
fn w08_a_static_number_on_a_page_is_a_lease_that_takes_nothing() {
    let keys = "overflow_pool = \"rest\"";
    let mut world = World::new(&format!("{}{STATIC}", pool("web", "+442079460000", keys)));
    let own = world.ask("v1", "utm_source=a", None).unwrap().lease;
    world.out.clear();
    let first = world.ask("v2", "utm_source=b", None).unwrap();
    let again = world.ask("v2", "utm_source=b", None).unwrap();
    assert_eq!((again.lease.lease_id, again.returning, first.returning), (first.lease.lease_id, true, false));
    let id = first.lease.lease_id;
    world.wait(60);
    assert_eq!(world.allocator.renew(world.now, id, &mut world.out).unwrap().number, first.lease.number);
    world.allocator.signal(world.now, id, "tel_tap", &mut world.out).unwrap();
    world.allocator.update(world.now, id, Session::default(), &mut world.out).unwrap();
    assert_eq!(world.allocator.signal(world.now, id, "No!", &mut world.out), Err(Refused::BadSignal));
    let page = ["leaseline.lease.granted", "leaseline.lease.renewed", "leaseline.lease.signal"];
    assert_eq!(told(&world).0, page, "renewed once a half of its time");
    // Silent for its time, it lapses, and a page that comes back asks anew.
    world.wait(91);
    assert_eq!(world.allocator.renew(world.now, id, &mut world.out), Err(Refused::UnknownLease));
    assert!(told(&world).0.contains(&"leaseline.lease.expired"));
    // Its visitor gets a number of their own as soon as there is one.
    let _ = world.allocator.renew(world.now, own.lease_id, &mut world.out).unwrap();
    let third = world.ask("v3", "utm_source=c", None).unwrap().lease;
    assert_eq!(third.class, Class::Overflow);
    world.allocator.release(world.now, own.lease_id, &mut world.out).unwrap();
    world.out.clear();
    assert_eq!(world.ask("v3", "utm_source=c", None).unwrap().lease.class, Class::SoftHeld);
    assert_eq!(told(&world).0, ["leaseline.lease.released", "leaseline.lease.granted"]);
    assert_eq!(world.allocator.renew(world.now, third.lease_id, &mut world.out), Err(Refused::UnknownLease));
    assert_eq!(world.allocator.displays.len() + world.allocator.shown_to.len(), 0, "nothing is left");
    // Gone from the configuration, it is shown no more.
    let fourth = world.ask("v4", "utm_source=d", None).unwrap().lease;
    let config = format!("{SITE}{}", pool("web", "+442079460000", ""));
    let config = config::Config::parse(&config, "", Path::new("")).unwrap();
    world.allocator.reconfigure(world.now, rules(), &config.pools, &config.sites, &mut world.out);
    assert_eq!(world.allocator.renew(world.now, fourth.lease_id, &mut world.out), Err(Refused::UnknownLease));
    let changes = told(&world).1;
    world.ask("v4", "utm_source=d", None).unwrap_err();
    assert_eq!(told(&world).1, changes, "the table never heard of any of it");
}
