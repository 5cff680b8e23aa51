//! Names that lead to several places, and trunks that are asked whether they are there.

use std::time::Duration;

use leaseline::core::b2bua::{Counts, Input};
use leaseline::core::event::Body;
use leaseline::core::locate::{Answer, Kind, Lookup, Srv};

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, World};

/// One destination by name: the shop first, then the office; the trunk `pbx` asks both.
fn by_name() -> World {
    let one = CONFIG.replace(
        r#"["sip:sales@198.51.100.1:5060", "sip:{number}@198.51.100.2:5060"]"#,
        r#"["sip:sales@pbx.example"]"#,
    );
    let mut world = World::new(7, &one.replace("[[company]]", &format!("{}[[company]]", trunk("sip:pbx.example"))));
    let srv = |priority, target: &str| Srv { priority, weight: 0, port: 5060, target: target.into() };
    world.dns.insert(
        Lookup::new(Kind::Srv, "_sip._udp.pbx.example"),
        Answer::Srv(vec![srv(10, "shop.pbx.example"), srv(20, "office.pbx.example")]),
    );
    for (name, address) in [("shop.pbx.example", [198, 51, 100, 1]), ("office.pbx.example", [198, 51, 100, 2])] {
        world.dns.insert(Lookup::new(Kind::A, name), Answer::Addresses(vec![address.into()]));
    }
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(OFFICE, Phone::new(Answering::default()));
    world
}

fn trunk(address: &str) -> String {
    format!(
        "[[trunk]]\nname = \"pbx\"\nmatch = [\"198.51.100.0/24\"]\naddress = \"{address}\"\n\
         [trunk.probe]\nevery = \"60s\"\ntimeout = \"5s\"\n"
    )
}

fn probed(address: &str) -> World {
    let mut world = World::new(7, &CONFIG.replace("[[company]]", &format!("{}[[company]]", trunk(address))));
    world.add(CARRIER, Phone::new(Answering::default()));
    world
}

/// What was told of the trunk, in order.
fn told(world: &World) -> Vec<String> {
    let told = world.events.iter().filter_map(|event| match &event.body {
        Body::TrunkUp(data) | Body::TrunkDown(data) => {
            Some(format!("{} {}", data.state, data.reason.as_deref().unwrap_or("-")))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn a_trunk_goes_up_and_down_and_up() {
    let mut world = probed("sip:198.51.100.1");
    world.add(SHOP, Phone::new(Answering::default()));
    world.pass(70 * SECOND);
    let shop = world.phones.remove(&SHOP.parse().expect("an address")).expect("a phone");
    world.pass(130 * SECOND);
    assert_eq!(world.us.health().count(), 1, "calls avoid it");
    world.add(SHOP, shop);
    world.pass(70 * SECOND);
    assert_eq!(world.us.health().count(), 0, "calls go there again");
    world.phone(SHOP).options = Some((503, vec![("Retry-After", "200".to_owned())]));
    world.pass(70 * SECOND);
    assert_eq!(world.us.health().count(), 1, "calls avoid it");
    world.phone(SHOP).options = Some((404, Vec::new()));
    world.pass(70 * SECOND);
    assert_eq!(told(&world), ["up -", "down timeout", "up -", "degraded unavailable", "up -"]);
    let rtt = world.probes.last().and_then(|state| state.rtt);
    assert_eq!(rtt, Some(Duration::from_millis(10)));
    // Nobody is asked any more, and nothing is left.
    assert_eq!(world.counts().probes, 1);
    world.input(Input::Drain);
    assert_eq!(world.probes.last().map(|state| state.state), Some("gone"));
    assert!(world.run(60 * SECOND));
    assert_eq!(world.counts(), Counts::default());
    insta::assert_snapshot!(world.ladder());
}

#[test]
fn a_name_that_leads_nowhere_is_down() {
    let mut world = probed("sip:nowhere.example");
    world.pass(70 * SECOND);
    assert_eq!(told(&world), ["down unresolved"]);
    let mut world = probed("sip:nowhere.example");
    world.dns_is_mute = true;
    world.pass(70 * SECOND);
    assert_eq!(told(&world), ["down unresolved"]);
}

#[test]
fn a_trunk_is_as_well_as_its_best_place() {
    let mut world = by_name();
    world.pass(70 * SECOND);
    assert_eq!(told(&world), ["up -"], "the office answers");
    assert_eq!(world.us.health().count(), 1, "the shop does not, and calls know");
    world.add(SHOP, Phone::new(Answering::default()));
    world.pass(70 * SECOND);
    assert_eq!(told(&world), ["up -"]);
    assert_eq!(world.us.health().count(), 0);
}

/// B27: DNS that never answers costs the caller two seconds a name, and nobody else anything.
#[test]
fn b27_a_resolver_that_never_answers() {
    let named = |uris: &str| {
        let of_acme = r#"["sip:sales@198.51.100.1:5060", "sip:{number}@198.51.100.2:5060"]"#;
        let other = "[[company]]\nname = \"other\"\nforward_to = [\"sip:desk@198.51.100.2:5060\"]\n\
                     [[pool]]\nname = \"other-print\"\ncompany = \"other\"\nkind = \"static\"\n\
                     numbers = [\"+442079460600\"]\nchannel = { source = \"print\" }\n";
        let mut world = World::new(7, &format!("{}{other}", CONFIG.replace(of_acme, uris)));
        world.dns_is_mute = true;
        world.add(CARRIER, Phone::new(Answering::default()));
        world.add(OFFICE, Phone::new(Answering::default()));
        world
    };
    let mut next = named(r#"["sip:sales@pbx.example", "sip:{number}@198.51.100.2:5060"]"#);
    next.dial(Calling::default());
    // Another company's call, while the first one waits.
    next.pass(Duration::from_millis(500));
    next.dial(Calling { request_uri: "sip:+442079460600@203.0.113.1".into(), ..Calling::default() });
    insta::assert_snapshot!("b27_the_next_destination", next.settle());
    let mut none = named(r#"["sip:sales@pbx.example", "sip:sales@spare.example"]"#);
    let call = none.dial(Calling::default());
    insta::assert_snapshot!("b27_no_destination", none.settle());
    let finals = &none.phone(CARRIER).dialogs[&call].finals;
    assert!(matches!(finals.as_slice(), [502 | 503]), "{finals:?}");
}

/// A name with two places, the first of them dead: one call waits for it, the next ones do not, until a probe is answered.
#[test]
fn calls_go_where_somebody_answers() {
    let mut world = by_name();
    let mut answered = Vec::new();
    for (after, repaired) in [(0, false), (5, false), (40, true)] {
        world.pass(after * SECOND);
        if repaired {
            world.add(SHOP, Phone::new(Answering::default()));
            world.pass(70 * SECOND);
            assert_eq!(world.us.health().count(), 0, "the probe was answered");
        }
        let call = world.dial(Calling::default());
        let dialled = world.now.mono;
        while world.phone(CARRIER).dialogs[&call].finals.is_empty() {
            world.pass(Duration::from_millis(100));
        }
        let shop = world.phones.get(&SHOP.parse().expect("an address")).map_or(0, |shop| shop.dialogs.len());
        answered.push((world.now.mono.since(dialled).as_secs(), world.phone(OFFICE).dialogs.len(), shop));
        world.pass(15 * SECOND);
    }
    // Seconds until the answer, calls at the office, calls at the shop.
    assert_eq!(answered, [(9, 1, 0), (1, 2, 0), (1, 2, 1)], "{}", world.ladder());
}

/// E17: whose media may be sent to before it has been heard, by where its description says that it is.
#[test]
fn e17_who_is_vouched_for() {
    let described = |ip: &str| {
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n")
    };
    let gateways = |networks: &str| {
        let config = CONFIG.replace("country = \"GB\"", &format!("country = \"GB\"\nmedia_networks = {networks}"));
        config.replace("name = \"acme\"", &format!("name = \"acme\"\nmedia_networks = {networks}"))
    };
    let vouched = |config: &str, caller: &str, shop: &str| {
        let mut world = World::new(7, config);
        world.add(CARRIER, Phone::new(Answering::default()));
        world.add(SHOP, Phone::new(Answering { sdp: Some(described(shop)), ..Answering::default() }));
        world.dial(Calling { sdp: Some(described(caller)), ..Calling::default() });
        world.pass(5 * SECOND);
        let media = world.media.values().next().expect("a call");
        media.remotes.each_ref().map(|remote| remote.as_ref().expect("both have spoken").vouched)
    };
    // The trunk's own networks, and where the destination signals.
    assert_eq!(vouched(CONFIG, "192.0.2.77", "198.51.100.1"), [true, true]);
    // Anybody else has to speak first.
    assert_eq!(vouched(CONFIG, "203.0.113.9", "203.0.113.9"), [false, false]);
    assert_eq!(vouched(CONFIG, "192.0.2.10", "192.0.2.10"), [true, false]);
    assert_eq!(vouched(&gateways("[\"203.0.113.0/28\"]"), "203.0.113.9", "203.0.113.9"), [true, true]);
    assert_eq!(vouched(&gateways("[\"203.0.113.0/28\"]"), "203.0.113.99", "203.0.113.99"), [false, false]);
}
