//! Requests that are too large for a datagram go over TCP (RFC 3261 §18.1.1), and datagrams that come to nobody end the
//! waiting (§18.4).

use leaseline::core::agent::{Failure, Flow};
use leaseline::core::b2bua::Input;

use crate::SECOND;
use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, CONFIG, OFFICE, SHOP, US, World};

/// A header of the caller crosses and makes the company's INVITE large. `sip`: more keys.
fn config(sip: &str) -> String {
    CONFIG
        .replace("[sip]\nlisten = [", &format!("[sip]\n{sip}listen = [\"tcp://{US}\", "))
        .replace("[[company]]", "[trunk.headers]\npass = [\"X-Long\", \"X-Longer\"]\n[[company]]")
}

fn world() -> World {
    world_of(&config(""))
}

fn world_of(config: &str) -> World {
    let mut world = World::new(7, config);
    for address in [CARRIER, SHOP, OFFICE] {
        world.add(address, Phone::new(Answering::default()));
    }
    world
}

fn large() -> Calling {
    let long = "word ".repeat(120).trim_end().to_owned();
    Calling { headers: vec![("X-Long", long.clone()), ("X-Longer", long)], ..Calling::default() }
}

fn refuses_tcp(world: &mut World, address: &str) {
    world.no_tcp.insert(address.parse().expect("an address"));
}

/// Transports of the INVITEs that went there.
fn ways(world: &World, address: &str) -> Vec<String> {
    let invites = world.sent_to(address).into_iter().filter(|message| message.method_token() == "INVITE");
    invites.map(|invite| invite.top_via().expect("a Via").transport.to_owned()).collect()
}

fn tcp_to(address: &str) -> Flow {
    let [local, remote] = [US, address].map(|text| text.parse().expect("an address"));
    Flow { transport: rsip::Transport::Tcp, local, remote, connection: 0, name: None }
}

#[test]
fn a_large_invite_goes_over_tcp_and_the_rest_of_the_call_by_udp() {
    let mut world = world();
    world.dial(large());
    insta::assert_snapshot!(world.settle());
}

#[test]
fn who_takes_no_tcp_gets_it_by_udp_and_the_next_one_at_once() {
    let mut world = world();
    refuses_tcp(&mut world, SHOP);
    world.dial(large());
    let ladder = world.settle();
    world.dial(large());
    world.settle();
    assert_eq!(ways(&world, SHOP), ["TCP", "UDP", "UDP"]);
    assert_eq!(world.us.health().count(), 0, "the destination is no worse for it");
    world.pass(SECOND * 600);
    world.dial(large());
    world.settle();
    assert_eq!(ways(&world, SHOP), ["TCP", "UDP", "UDP", "TCP", "UDP"], "after a while it is tried again");
    insta::assert_snapshot!(ladder);
}

#[test]
fn the_node_and_each_trunk_can_turn_it_off() {
    let (off, on) = ("large_requests = \"udp\"\n", "large_requests = \"tcp\"\n");
    let without = "transports = [\"udp\"]\n";
    for (sip, trunk, way) in [
        ("", "", "TCP"),
        (off, "", "UDP"),
        ("", off, "UDP"),
        (off, on, "TCP"),
        ("", without, "UDP"),
        (on, without, "UDP"),
    ] {
        let pbx = "[[trunk]]\nname = \"pbx\"\nmatch = [\"198.51.100.0/24\"]\naddress = \"sip:198.51.100.1\"\n";
        let config = config(sip)
            .replace("[[company]]", &format!("{pbx}{trunk}[[company]]"))
            .replace("\"sip:sales@198.51.100.1:5060\"", "{ trunk = \"pbx\", number = \"+442079460998\" }");
        let mut world = world_of(&config);
        world.dial(large());
        world.settle();
        assert_eq!(ways(&world, SHOP), [way], "{sip} {trunk}");
    }
}

/// B28: closed before anything was heard, while it rings, and in mid-call.
#[test]
fn a_connection_that_breaks_ends_no_call() {
    // Before the first answer: by UDP, at once.
    let mut early = world();
    early.dial(large());
    early.pass(SECOND / 100);
    early.input(Input::Unreachable(Failure::of(&tcp_to(SHOP), "destination_unreachable")));
    let ladder = early.settle();
    assert_eq!(ways(&early, SHOP), ["TCP", "UDP"]);
    assert_eq!(early.ended()[0].outcome.map(|outcome| outcome.as_str()), Some("answered"));
    // While it rings, and while they talk: nobody notices.
    for after in [SECOND / 2, SECOND * 5] {
        let mut world = world();
        world.dial(large());
        world.pass(after);
        world.input(Input::Unreachable(Failure::of(&tcp_to(SHOP), "destination_unreachable")));
        world.settle();
        assert_eq!(ways(&world, SHOP), ["TCP"]);
        assert!(world.ended()[0].talk_ms > 9_000, "{}", world.ladder());
    }
    insta::assert_snapshot!(ladder);
}

#[test]
fn a_destination_that_icmp_says_is_nobody_costs_no_time() {
    let mut world = world();
    world.icmp = true;
    world.phones.remove(&SHOP.parse().expect("an address"));
    world.dial(Calling::default());
    let ladder = world.settle();
    assert_eq!((ways(&world, SHOP).len(), world.us.health().count()), (1, 1), "no copy, and it is known to be down");
    insta::assert_snapshot!(ladder);
}

#[test]
fn nobody_anywhere_is_an_answer_at_once() {
    let mut world = world();
    world.icmp = true;
    for address in [SHOP, OFFICE] {
        world.phones.remove(&address.parse().expect("an address"));
    }
    world.dial(Calling::default());
    let ladder = world.settle();
    let data = world.ended()[0];
    assert_eq!((data.reason.as_deref(), data.sip_status), (Some("destination_unreachable"), Some(502)), "{ladder}");
}
