//! Every limit: its code, its wait, and that a refusal changes nothing.

use std::path::Path;

use super::*;

const TEXT: &str = r#"
[sip]
listen = ["udp://203.0.113.1:5060"]
[media]
address = "203.0.113.1"
[[trunk]]
name = "carrier"
match = ["192.0.2.0/24"]
[[company]]
name = "acme"
forward_to = ["sip:sales@198.51.100.1:5060"]
#COMPANY#
[[company]]
name = "other"
forward_to = ["sip:sales@198.51.100.1:5060"]
[[pool]]
name = "print"
company = "acme"
kind = "static"
numbers = ["+442079460500", "+442079460501"]
channel = { source = "print" }
"#;

struct World {
    config: Config,
    admission: Admission,
    now: Now,
    source: IpAddr,
    company: usize,
    caller: Option<&'static str>,
    destination: &'static str,
    number: usize,
    is_costly: bool,
}

impl World {
    fn new(changes: &[(&str, &str)]) -> World {
        let text = changes.iter().fold(TEXT.to_owned(), |text, (old, new)| text.replace(old, new));
        let config = Config::parse(&text, "test", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        World {
            config,
            admission: Admission::default(),
            now: Now { mono: Mono(1_000_000_000), wall: Wall::parse_rfc3339("2026-11-21T23:00:00Z").unwrap() },
            source: "192.0.2.10".parse().unwrap(),
            company: 0,
            caller: Some("+447700900123"),
            destination: "sip:sales@198.51.100.1:5060",
            number: 0,
            is_costly: false,
        }
    }

    fn check(&mut self) -> Result<Admitted, Reject> {
        let ask = Ask {
            trunk: &self.config.trunks[0],
            source: self.source,
            company: &self.config.companies[self.company],
            pool: &self.config.pools[0],
            number: &self.config.pools[0].numbers[self.number],
            caller: self.caller,
            destination: Some(self.destination),
            is_costly: self.is_costly,
        };
        let mut admitted = self.admission.check(self.now, &self.config, &ask)?;
        // Nothing came in between: there is still room.
        self.admission.enter(self.now, &mut admitted, 0, self.destination, self.is_costly).expect("room");
        Ok(admitted)
    }

    fn refusal(&mut self) -> (u16, &'static str, Option<u32>) {
        // A refusal changes nothing: the second says the same.
        let before = format!("{:?}", self.admission);
        let first = self.check().expect_err("full");
        let second = self.check().expect_err("full");
        assert_eq!(first, second);
        // Buckets note when they were looked at; nothing else may differ.
        let calls = |text: &str| text.matches("calls: ").count();
        assert_eq!(calls(&before), calls(&format!("{:?}", self.admission)));
        assert_eq!(codes::find(first.code).map(|entry| entry.status), Some(first.status), "{}", first.code);
        assert_eq!(codes::find(first.code).map(|entry| entry.waits), Some(first.retry_after.is_some()));
        (first.status, first.code, first.retry_after)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    fn assert_empty(&self) {
        let Admission { node, trunks, companies, numbers, callers, destinations, costly, .. } = &self.admission;
        assert_eq!(node.calls, 0);
        let left = [trunks, companies, numbers, callers, destinations, costly].map(Tallies::len);
        assert_eq!(left, [0; 6], "nothing is remembered of calls that are over");
    }
}

#[test]
fn each_cap_has_its_code_and_recovers() {
    let company = |keys: &'static str| ("#COMPANY#", keys);
    let table = [
        (("[sip]", "[sip]\ncalls_max = 1"), 503, "calls_max", Some(5)),
        (("name = \"carrier\"", "name = \"carrier\"\ncalls_max = 1"), 503, "trunk_calls_max", Some(5)),
        (company("[company.limits]\ncalls_max = 1"), 486, "company_calls_max", None),
        (("kind = \"static\"", "kind = \"static\"\ncalls_max_per_number = 1"), 486, "number_calls_max", None),
        (company("[company.limits]\ncalls_max_per_caller = 1"), 486, "caller_calls_max", None),
        (company("[company.fraud]\ndestination_calls_max = 1"), 480, "destination_calls_max", None),
        (company("[company.fraud]\ncostly_calls_max = 1"), 480, "costly_calls_max", None),
    ];
    for (change, status, code, wait) in table {
        let mut world = World::new(&[change]);
        world.is_costly = code == "costly_calls_max";
        let first = world.check().expect("room");
        assert_eq!(world.refusal(), (status, code, wait));
        // What the cap does not speak of goes on.
        match code {
            "company_calls_max" | "destination_calls_max" => world.company = 1,
            "number_calls_max" => world.number = 1,
            "caller_calls_max" => world.caller = None,
            "costly_calls_max" => world.is_costly = false,
            _ => {
                world.admission.release(world.now, &first);
                assert!(world.check().is_ok(), "{code}: it recovers");
                continue;
            }
        }
        let other = world.check().expect("another one");
        let now = world.now;
        [first, other].iter().for_each(|admitted| world.admission.release(now, admitted));
        world.assert_empty();
    }
}

#[test]
fn each_rate_says_when_to_come_back() {
    let company = |keys: &'static str| ("#COMPANY#", keys);
    let table = [
        (("[sip]", "[sip]\ncalls_per_second_max = 2"), 503, "call_rate", 1),
        (("name = \"carrier\"", "name = \"carrier\"\ncalls_per_second_max = 2"), 503, "trunk_call_rate", 1),
        (("[sip]", "[sip.defence]\nsource_calls_per_second_max = 2\n[sip]"), 503, "source_call_rate", 1),
        (company("[company.limits]\ncalls_per_second_max = 2"), 480, "company_call_rate", 1),
        (company("[company.fraud]\ndestination_calls_per_minute_max = 2"), 480, "destination_call_rate", 30),
    ];
    for (change, status, code, wait) in table {
        let mut world = World::new(&[change]);
        let admitted: Vec<Admitted> = (0..2).map(|_| world.check().expect("a token")).collect();
        assert_eq!(world.refusal(), (status, code, Some(wait)));
        for (index, other) in [(1, "192.0.2.11"), (0, "192.0.2.11")] {
            world.company = index;
            world.source = other.parse().unwrap();
            let others_go_on = match code {
                "source_call_rate" => true,
                "company_call_rate" | "destination_call_rate" => index == 1,
                _ => false,
            };
            let looked = world.check();
            assert_eq!(looked.is_ok(), others_go_on, "{code} {index}");
            if let Ok(admitted) = looked {
                world.admission.release(world.now, &admitted);
            }
        }
        (world.company, world.source) = (0, "192.0.2.10".parse().unwrap());
        world.pass(Duration::from_secs(wait.into()));
        let third = world.check().expect("a token by then");
        admitted.iter().chain([&third]).for_each(|admitted| world.admission.release(world.now, admitted));
        assert_eq!(world.admission.calls(), 0);
    }
}

#[test]
fn a_full_node_tells_how_often_calls_end() {
    let mut world = World::new(&[("[sip]", "[sip]\ncalls_max = 3")]);
    let mut held: std::collections::VecDeque<Admitted> = (0..3).map(|_| world.check().expect("room")).collect();
    for _ in 0..30 {
        world.pass(Duration::from_secs(12));
        let over = held.pop_front().expect("a call");
        world.admission.release(world.now, &over);
        held.push_back(world.check().expect("room"));
    }
    assert_eq!(world.refusal(), (503, "calls_max", Some(12)));
    world.pass(Duration::from_secs(9));
    assert_eq!(world.refusal(), (503, "calls_max", Some(3)));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.refusal(), (503, "calls_max", Some(1)));
}

#[test]
fn an_overloaded_node_refuses_new_calls_until_its_queue_is_short() {
    let mut world = World::new(&[]);
    world.admission.loaded(world.now.mono, Duration::from_millis(500));
    assert!(world.check().is_ok());
    world.admission.loaded(world.now.mono, Duration::from_millis(2_100));
    assert_eq!(world.refusal(), (503, "overload", Some(3)));
    // A measurement says nothing any more after a second.
    world.pass(Duration::from_millis(1_000));
    assert!(world.check().is_ok());
    world.admission.loaded(world.now.mono, Duration::from_secs(9));
    world.admission.loaded(world.now.mono, Duration::from_millis(10));
    assert!(world.check().is_ok());
    let mut never = World::new(&[("[sip]", "[sip]\noverload_after = \"0s\"")]);
    never.admission.loaded(never.now.mono, Duration::from_secs(9));
    assert!(never.check().is_ok());
}

#[test]
fn a_day_has_so_many_minutes() {
    let mut world = World::new(&[("#COMPANY#", "[company.fraud]\nminutes_per_day_max = 10")]);
    let mut admitted = world.check().expect("a new day");
    world.admission.answered(world.now.wall, &mut admitted);
    world.admission.answered(world.now.wall, &mut admitted);
    world.pass(Duration::from_secs(599));
    assert!(world.check().is_ok());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.refusal(), (480, "minutes_spent", Some(50 * 60)));
    world.company = 1;
    assert!(world.check().is_ok(), "only that company stops");
    world.company = 0;
    world.admission.release(world.now, &admitted);
    assert_eq!(world.refusal().1, "minutes_spent");
    world.pass(Duration::from_secs(50 * 60));
    assert!(world.check().is_ok(), "tomorrow");
}

/// Every destination of a call counts, not only its first.
#[test]
fn later_destinations_have_the_same_caps() {
    let keys = "[company.fraud]\ndestination_calls_max = 1\ncostly_calls_max = 1";
    let mut world = World::new(&[("#COMPANY#", keys)]);
    let mut first = world.check().expect("room");
    let now = world.now;
    let enter = |world: &mut World, admitted: &mut Admitted, key, uri, costly| {
        world.admission.enter(now, admitted, key, uri, costly).map_err(|reject| reject.code)
    };
    assert_eq!(enter(&mut world, &mut first, 1, "sip:+448712345678@x", true), Ok(()));
    world.destination = "sip:other@198.51.100.2";
    let mut second = world.check().expect("another destination");
    let full = "sip:sales@198.51.100.1:5060";
    assert_eq!(enter(&mut world, &mut second, 1, full, false), Err("destination_calls_max"));
    assert_eq!(enter(&mut world, &mut second, 2, "sip:+448712345679@x", true), Err("costly_calls_max"));
    world.admission.leave(now.mono, &mut first, 0);
    assert_eq!(enter(&mut world, &mut second, 1, full, false), Ok(()));
    world.admission.leave(now.mono, &mut first, 1);
    assert_eq!(enter(&mut world, &mut second, 2, "sip:+448712345679@x", true), Ok(()));
    // What is left twice, or was never entered, changes nothing.
    world.admission.leave(now.mono, &mut first, 1);
    world.admission.leave(now.mono, &mut first, 9);
    [&first, &second].iter().for_each(|admitted| world.admission.release(now, admitted));
    world.assert_empty();
}
