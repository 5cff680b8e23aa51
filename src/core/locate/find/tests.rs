//! Every branch of RFC 3263 §4, from a zone in text.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::Names;
use super::*;
use crate::config::Listener;
use crate::wire::sip::Uri;

/// Listeners on IPv4 (`udp`) and IPv6 (`udp6`).
fn reach(listeners: &str) -> Reach {
    let listener = |text: &str| {
        let (name, address) = match text.strip_suffix('6') {
            Some(name) => (name, "[2001:db8::99]:5060"),
            None => (text, "198.51.100.99:5060"),
        };
        let transport = super::super::transport(name).expect(name);
        Listener::new(transport, address.parse().expect(address))
    };
    Reach::new(&listeners.split(' ').map(listener).collect::<Vec<_>>(), true)
}

/// `NAME TYPE DATA…`, a record a line; a type followed by `!` alone fails.
fn zone(text: &str) -> Answers {
    let mut answers = Answers::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words[i].parse().expect(line);
        let kind = match words[1] {
            "NAPTR" => Kind::Naptr,
            "SRV" => Kind::Srv,
            "A" => Kind::A,
            "AAAA" => Kind::Aaaa,
            other => panic!("{other}"),
        };
        let lookup = Lookup::new(kind, words[0]);
        if words[2] == "!" {
            answers.insert(lookup, Answer::Failed);
            continue;
        }
        match kind {
            Kind::Naptr => {
                let empty = Answer::Naptr(Vec::new());
                let Answer::Naptr(records) = answers.entry(lookup).or_insert(empty) else { panic!("{line}") };
                let (flags, service, replacement) = (words[4].into(), words[5].into(), words[6].into());
                records.push(Naptr { order: number(2), preference: number(3), flags, service, replacement });
            }
            Kind::Srv => {
                let empty = Answer::Srv(Vec::new());
                let Answer::Srv(records) = answers.entry(lookup).or_insert(empty) else { panic!("{line}") };
                records.push(Srv { priority: number(2), weight: number(3), port: number(4), target: words[5].into() });
            }
            Kind::A | Kind::Aaaa => {
                let empty = Answer::Addresses(Vec::new());
                let Answer::Addresses(records) = answers.entry(lookup).or_insert(empty) else { panic!("{line}") };
                records.push(words[2].parse().expect(line));
            }
        }
    }
    answers
}

/// Asks and answers until the hops are there. What the zone does not have does not exist.
fn drive(uri: &str, listeners: &str, zone: &Answers, seed: u64) -> (Vec<Hop>, usize) {
    let names = Names::of(["pbx.example"]);
    let query = Query::of(&Uri::parse(uri).expect(uri), &names).expect(uri);
    let (mut answers, mut steps) = (Answers::new(), 0);
    loop {
        match find(&query, &reach(listeners), &answers, seed) {
            Ok(hops) => return (hops, steps),
            Err(wanted) => {
                steps += 1;
                assert!(!wanted.is_empty() && steps < 5, "{wanted:?}");
                for lookup in wanted {
                    let answer = zone.get(&lookup).cloned().unwrap_or(Answer::Nothing);
                    assert!(answers.insert(lookup, answer).is_none(), "asked twice");
                }
            }
        }
    }
}

fn shown(hops: &[Hop]) -> String {
    let show = |hop: &Hop| {
        let named = if hop.name.is_some() { "+name" } else { "" };
        format!("{}{named} {}", hop.transport.to_string().to_lowercase(), hop.remote)
    };
    hops.iter().map(show).collect::<Vec<_>>().join(", ")
}

const ZONE: &str = "
    pbx.example             NAPTR 20 10 s SIP+D2U  _sip._udp.pbx.example
    pbx.example             NAPTR 10 20 s SIP+D2T  _sip._tcp.pbx.example
    pbx.example             NAPTR 10 10 S sips+d2t _sips._tcp.pbx.example
    pbx.example             NAPTR 1 1 s SIP+D2S  _sip._sctp.pbx.example
    pbx.example             NAPTR 1 1 u E2U+sip  _sip._udp.pbx.example
    pbx.example             NAPTR 1 1 s SIP+D2U  .
    pbx.example             A 192.0.2.1
    _sip._udp.pbx.example   SRV 10 0 5070 u.pbx.example
    _sip._udp.pbx.example   SRV 20 0 5071 spare.pbx.example
    _sip._tcp.pbx.example   SRV 10 0 5080 t.pbx.example
    _sips._tcp.pbx.example  SRV 10 0 5091 s.pbx.example
    u.pbx.example           A 192.0.2.10
    spare.pbx.example       A 192.0.2.11
    t.pbx.example           A 192.0.2.20
    s.pbx.example           A 192.0.2.30
    srv.example             A 192.0.2.2
    _sip._udp.srv.example   SRV 1 0 5070 u.pbx.example
    _sip._tcp.srv.example   SRV 1 0 5080 t.pbx.example
    _sips._tcp.srv.example  SRV 1 0 5091 s.pbx.example
    bare.example            A 192.0.2.3
    bare.example            AAAA 2001:db8::3
    gone.example            A 192.0.2.4
    _sip._udp.gone.example  SRV 0 0 0 .
    _sip._tcp.half.example  SRV 0 0 0 .
    _sip._udp.half.example  SRV 0 0 5060 bare.example
    numeric.example         A 192.0.2.5
    _sip._udp.numeric.example SRV 0 0 5066 192.0.2.66
    lame.example            NAPTR !
    _sip._udp.lame.example  SRV !
    lame.example            A 192.0.2.6
    dead.example            A !
    nowhere.example         NAPTR 1 1 s SIP+D2U _sip._udp.nothing.example
    nowhere.example         A 192.0.2.7
";

#[test]
fn every_branch_of_rfc_3263() {
    let zone = zone(ZONE);
    for (what, uri, listeners, hops) in [
        ("address", "sip:a@192.0.2.1", "udp tcp", "udp 192.0.2.1:5060"),
        ("address, transport", "sip:a@192.0.2.1;transport=tcp", "udp tcp", "tcp 192.0.2.1:5060"),
        ("address, sips", "sips:a@192.0.2.1", "udp tls", "tls 192.0.2.1:5061"),
        ("address, sips, no TLS here", "sips:a@192.0.2.1", "udp tcp", ""),
        ("address of a version we lack", "sip:a@[2001:db8::1]", "udp tcp", ""),
        ("port: no SRV", "sip:a@pbx.example:5999", "udp tcp tls", "udp 192.0.2.1:5999"),
        ("port, transport: no SRV", "sip:a@pbx.example:5999;transport=tcp", "udp tcp", "tcp 192.0.2.1:5999"),
        ("port, sips: no SRV, TLS", "sips:a@pbx.example:5999", "udp tls", "tls+name 192.0.2.1:5999"),
        (
            "transport: its SRV, no NAPTR",
            "sip:a@pbx.example;transport=udp",
            "udp tcp",
            "udp 192.0.2.10:5070, udp 192.0.2.11:5071",
        ),
        ("transport tls: its SRV", "sip:a@pbx.example;transport=tls", "udp tls", "tls+name 192.0.2.30:5091"),
        ("transport without SRV: addresses", "sip:a@bare.example;transport=tcp", "udp tcp", "tcp 192.0.2.3:5060"),
        ("ws has no SRV", "sip:a@pbx.example;transport=ws", "udp ws", "ws 192.0.2.1:80"),
        ("wss has no SRV", "sip:a@pbx.example;transport=wss", "udp wss", "wss+name 192.0.2.1:443"),
        ("a transport that we do not speak", "sip:a@pbx.example;transport=tls", "udp tcp", ""),
        (
            "NAPTR: order, then preference; what we speak",
            "sip:a@pbx.example",
            "udp tcp tls",
            "tls+name 192.0.2.30:5091, tcp 192.0.2.20:5080, udp 192.0.2.10:5070, udp 192.0.2.11:5071",
        ),
        (
            "NAPTR without TLS here",
            "sip:a@pbx.example",
            "udp tcp",
            "tcp 192.0.2.20:5080, udp 192.0.2.10:5070, udp 192.0.2.11:5071",
        ),
        ("NAPTR, sips: TLS only", "sips:a@pbx.example", "udp tcp tls", "tls+name 192.0.2.30:5091"),
        (
            "no NAPTR: SRV of each transport",
            "sip:a@srv.example",
            "tcp udp tls",
            "udp 192.0.2.10:5070, tcp 192.0.2.20:5080, tls 192.0.2.30:5091",
        ),
        ("no NAPTR, sips: SRV of TLS", "sips:a@srv.example", "udp tcp tls", "tls 192.0.2.30:5091"),
        ("neither: addresses over UDP", "sip:a@bare.example", "udp tcp", "udp 192.0.2.3:5060"),
        ("neither, sips: addresses over TLS", "sips:a@bare.example", "udp tls", "tls 192.0.2.3:5061"),
        ("neither, no UDP here", "sip:a@bare.example", "tcp", "tcp 192.0.2.3:5060"),
        (
            "both versions, in the order of the listeners",
            "sip:a@bare.example",
            "udp6 udp",
            "udp [2001:db8::3]:5060, udp 192.0.2.3:5060",
        ),
        ("a target of a dot: nobody is there", "sip:a@gone.example;transport=udp", "udp", ""),
        ("a dot of one transport leaves the other", "sip:a@half.example", "udp tcp", "udp 192.0.2.3:5060"),
        ("an address as SRV target", "sip:a@numeric.example;transport=udp", "udp", "udp 192.0.2.66:5066"),
        ("NAPTR and SRV fail: addresses", "sip:a@lame.example", "udp", "udp 192.0.2.6:5060"),
        ("everything fails", "sip:a@dead.example", "udp", ""),
        ("NAPTR leads to nothing", "sip:a@nowhere.example", "udp", ""),
        ("nothing exists", "sip:a@nxdomain.example", "udp tcp tls", ""),
        ("localhost is not asked", "sip:a@localhost:5070", "udp", "udp 127.0.0.1:5070"),
    ] {
        let (found, steps) = drive(uri, listeners, &zone, 1);
        assert_eq!(shown(&found), hops, "{what}");
        assert!(steps <= 2, "{what}: {steps} steps");
    }
}

/// B27: what no answer may lead to is left out, the rest is used.
#[test]
fn forbidden_addresses_are_dropped() {
    let zone = zone(
        "pbx.example A 0.0.0.0
         pbx.example A 255.255.255.255
         pbx.example A 224.0.0.1
         pbx.example A 198.51.100.99
         pbx.example A 192.0.2.1
         ours.example A 198.51.100.99",
    );
    assert_eq!(shown(&drive("sip:a@pbx.example:5060", "udp", &zone, 3).0), "udp 192.0.2.1:5060");
    assert_eq!(shown(&drive("sip:a@ours.example:5060", "udp", &zone, 3).0), "");
}

/// B27: fifty records.
#[test]
fn many_records_cost_no_more_than_few() {
    let mut text = String::new();
    for n in 1..=50 {
        text.push_str(&format!("many.example A 192.0.2.{n}\n_sip._udp.srv.example SRV {n} 0 5060 t{n}.example\n"));
        text.push_str(&format!("t{n}.example A 203.0.113.{n}\nt{n}.example A 203.0.113.{}\n", n + 100));
    }
    let zone = zone(&text);
    assert_eq!(drive("sip:a@many.example:5060", "udp", &zone, 3).0.len(), limits::RESOLVED_ADDRESSES);
    let (hops, steps) = drive("sip:a@srv.example;transport=udp", "udp", &zone, 3);
    assert_eq!((hops.len(), steps), (limits::RESOLVED_HOPS, 2));
    // The best priorities are those that are used.
    assert!(
        hops[..2].iter().all(|hop| ["203.0.113.1", "203.0.113.101"].contains(&hop.remote.ip().to_string().as_str()))
    );
}

proptest! {
    /// Whatever DNS says: each hop once, allowed, of our listeners, TLS for `sips:`; the same seed gives the same order;
    /// and without caps in the way, every address of every target is there.
    #[test]
    fn every_hop_is_tried_once(
        srv in prop::collection::vec((0_u16..3, 0_u16..4, 0_u16..3, 0_u8..6), 0..6),
        addresses in prop::collection::vec((0_u8..6, 0_u8..8), 0..6),
        secure: bool,
        seed: u64,
    ) {
        let label = if secure { "_sips._tcp" } else { "_sip._udp" };
        let mut text = String::new();
        for (priority, weight, port, target) in &srv {
            text.push_str(&format!("{label}.x.example SRV {priority} {weight} {} t{target}.example\n", 5060 + port));
        }
        for (target, last) in &addresses {
            text.push_str(&format!("t{target}.example A 192.0.2.{last}\n"));
        }
        let zone = zone(&text);
        let uri = if secure { "sips:a@x.example" } else { "sip:a@x.example;transport=udp" };
        let (hops, _) = drive(uri, "udp tcp tls", &zone, seed);
        prop_assert_eq!(&hops, &drive(uri, "udp tcp tls", &zone, seed).0);
        let got: BTreeSet<SocketAddr> = hops.iter().map(|hop| hop.remote).collect();
        prop_assert_eq!(got.len(), hops.len());
        prop_assert!(hops.iter().all(|hop| (hop.transport == Transport::Tls) == secure));
        let all = srv.iter().flat_map(|(_, _, port, target)| {
            let of = addresses.iter().filter(move |(of, _)| of == target);
            of.map(move |(_, last)| SocketAddr::from(([192, 0, 2, *last], 5060 + port)))
        });
        let all: BTreeSet<SocketAddr> = all.collect();
        if all.len() <= limits::RESOLVED_HOPS {
            prop_assert_eq!(got, all);
        }
        // Priorities are kept: no target stands before one of a better priority.
        let rank = |hop: &Hop| {
            let serves = |(_, _, port, target): &&(u16, u16, u16, u8)| {
                let of = |(t, last): &(u8, u8)| t == target && SocketAddr::from(([192, 0, 2, *last], 5060 + port)) == hop.remote;
                addresses.iter().any(of)
            };
            srv.iter().filter(serves).map(|(priority, ..)| *priority).min()
        };
        let ranks: Vec<_> = hops.iter().map(rank).collect();
        prop_assert!(ranks.is_sorted(), "{:?}", ranks);
    }
}
