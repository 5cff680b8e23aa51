//! Redirections: refused unless the configuration follows them, and then only to where its calls go anyway.

use crate::world::phone::{Answering, Calling, Phone};
use crate::world::{CARRIER, OFFICE, SHOP, World};
use crate::{MS, SECOND, ended, forward_to, hop, invites, refusing, rings, tried, world_with};

const DESK: &str = "198.51.100.3:5060";
const FOLLOW: &str = "{ name = \"pbx\", uri = \"sip:a@198.51.100.1\", redirects = \"follow\" }, \
                      { name = \"office\", uri = \"sip:b@198.51.100.2\" }";

fn redirecting(contacts: &str) -> Answering {
    Answering { headers: vec![("Contact", contacts.to_owned())], ..refusing(302) }
}

/// The first destination follows redirections; the second is the office.
fn following(contacts: &str) -> World {
    world_with(&forward_to(FOLLOW, ""), redirecting(contacts), Answering::default())
}

#[test]
fn contacts_are_tried_by_preference() {
    let contacts =
        "<sip:201@198.51.100.2>;q=0.2, <sip:202@198.51.100.2:5060;transport=udp>;q=0.9, <sip:203@198.51.100.2>";
    let mut world = following(contacts);
    world.phone(OFFICE).set_answering(rings(100 * MS, Some((300 * MS, 486))));
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    let data = ended(&world);
    let wanted = [
        ("pbx", 302),
        ("sip:203@198.51.100.2", 486),
        ("sip:202@198.51.100.2:5060;transport=udp", 486),
        ("sip:201@198.51.100.2", 486),
        ("office", 486),
    ];
    assert_eq!(tried(&data), wanted.map(|(name, status)| (name.to_owned(), status)));
    let redirected: Vec<bool> =
        data.route.expect("a route").attempts.iter().map(|attempt| attempt.redirected).collect();
    assert_eq!(redirected, [false, true, true, true, false]);
}

#[test]
fn a_contact_that_is_configured_is_that_destination() {
    let mut world = following("<sip:b@198.51.100.2;x=1>");
    world.dial(Calling::default());
    world.settle();
    // It is in the list already, and its turn comes.
    assert_eq!(tried(&ended(&world)), [("pbx".to_owned(), 502), ("office".to_owned(), 200)]);
}

/// D06: wherever a redirection leads that the configuration does not go to, it is a refusal.
#[test]
fn a_redirection_to_anywhere_else_is_not_followed() {
    let long = format!("<sip:{}@198.51.100.2>", "a".repeat(4_000));
    for contact in [
        "<sip:+881835210000@198.51.100.2>",
        "<sip:00881835210000@198.51.100.2>",
        "<sip:%2B881835210000@198.51.100.2>",
        "<sip:+88%31835210000,,1@198.51.100.2>",
        "<sip:a@evil.example>",
        "<sip:a@192.0.2.10>",
        "<sip:a@203.0.113.1>",
        "<sip:+442079460500@198.51.100.2>",
        "<sip:a@198.51.100.22>",
        "<sip:x@198.51.100.2;maddr=192.0.2.66>",
        "<tel:+442079460777>",
        "<http://198.51.100.2/>",
        "<mailto:a@198.51.100.2>",
        "*",
        "nonsense",
        "",
        long.as_str(),
    ] {
        let shop = redirecting(contact);
        let only = FOLLOW.split(", {").next().expect("one").to_owned();
        let office = "[company.no_answer]\nforward_to = [\"sip:b@198.51.100.2\"]";
        let mut world = world_with(&forward_to(&only, office), shop, Answering::default());
        world.dial(Calling::default());
        world.settle();
        let data = ended(&world);
        assert_eq!((data.sip_status, data.reason.as_deref()), (Some(502), Some("redirection_refused")), "{contact}");
        assert_eq!(invites(&world, OFFICE), 0, "{contact}");
        let allowed = [CARRIER, SHOP].map(|at| at.parse::<std::net::SocketAddr>().expect("an address"));
        assert!(world.sent.iter().all(|(from, to, _)| *from != world.us_at || allowed.contains(to)), "{contact}");
    }
}

/// Only 300, 301 and 302 name other places for the call (RFC 3261 §21.3).
#[test]
fn which_answers_are_redirections() {
    for (status, followed) in [(300, true), (301, true), (302, true), (305, false), (380, false), (399, false)] {
        let shop = Answering { headers: vec![("Contact", "<sip:201@198.51.100.2>".to_owned())], ..refusing(status) };
        let mut world = world_with(&forward_to(FOLLOW, ""), shop, Answering::default());
        world.dial(Calling::default());
        world.settle();
        let to = ended(&world).forwarded_to;
        assert_eq!(to.as_deref() == Some("sip:201@198.51.100.2"), followed, "{status}");
    }
}

/// Two phones that send every call to each other.
#[test]
fn a_circle_ends() {
    let both = FOLLOW.replace("sip:b@198.51.100.2\"", "sip:b@198.51.100.2\", redirects = \"follow\"");
    let mut world = world_with(
        &forward_to(&both, ""),
        redirecting("<sip:b@198.51.100.2>, <sip:c@198.51.100.2>"),
        redirecting("<sip:a@198.51.100.1>, <sip:c@198.51.100.2>"),
    );
    world.dial(Calling::default());
    world.settle();
    let data = ended(&world);
    assert_eq!(data.reason.as_deref(), Some("redirection_refused"));
    assert_eq!((invites(&world, SHOP), invites(&world, OFFICE)), (1, 2), "a, c, b");
}

/// A phone that names four new ones each time: three deep, four wide, eight in all.
#[test]
fn redirections_are_bounded() {
    let only = FOLLOW.split(", {").next().expect("one").to_owned();
    let contacts =
        |from: u32| (0..9).map(|i| format!("<sip:{}@198.51.100.1>", from + i)).collect::<Vec<_>>().join(", ");
    let mut world = world_with(&forward_to(&only, ""), redirecting(&contacts(100)), Answering::default());
    let call = world.dial(Calling::default());
    for round in 1..40 {
        world.pass(60 * MS);
        world.phone(SHOP).set_answering(redirecting(&contacts(100 * (round + 1))));
    }
    world.settle();
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [502]);
    assert_eq!(tried(&ended(&world)).len(), 1 + 8);
}

#[test]
fn of_several_that_ring_the_contact_takes_the_place_at_once() {
    let list = format!("{FOLLOW}, \"sip:c@{DESK}\"");
    let office = rings(200 * MS, Some((6 * SECOND, 200)));
    let mut world = world_with(
        &forward_to(&list, "strategy = \"parallel\""),
        redirecting("<sip:mobile@198.51.100.3>, <sip:box@198.51.100.3>;q=0.1"),
        office,
    );
    world.add(DESK, Phone::new(rings(100 * MS, Some((2 * SECOND, 200)))));
    world.dial(Calling::default());
    insta::assert_snapshot!(world.settle());
    let data = ended(&world);
    assert_eq!(data.forwarded_to.as_deref(), Some("sip:c@198.51.100.3:5060"));
    assert_eq!(invites(&world, DESK), 2, "c and mobile, and not the box");
}

#[test]
fn the_trunk_says_it_for_its_destinations_and_a_destination_for_itself() {
    let trunk = "[[trunk]]\nname = \"pbx\"\nmatch = [\"198.51.100.0/24\"]\nredirects = \"follow\"\n[[company]]";
    for (own, followed) in [("", true), (", redirects = \"refuse\"", false), (", redirects = \"follow\"", true)] {
        let list = format!("{{ uri = \"sip:a@198.51.100.1\"{own} }}, \"sip:b@198.51.100.2\"");
        let config = forward_to(&list, "").replace("[[company]]", trunk);
        let mut world = world_with(&config, redirecting("<sip:201@198.51.100.2>"), Answering::default());
        world.dial(Calling::default());
        world.settle();
        assert_eq!(tried(&ended(&world)).iter().any(|(name, _)| name.contains("201")), followed, "{own}");
    }
}

/// A PBX known by its name redirects to its address.
#[test]
fn who_redirects_may_name_itself_by_its_address() {
    let list = "{ name = \"pbx\", uri = \"sip:a@pbx.example\", redirects = \"follow\" }";
    let mut world = world_with(&forward_to(list, ""), redirecting("<sip:201@198.51.100.1>"), Answering::default());
    world.names.insert("pbx.example".into(), vec![hop(SHOP)]);
    world.dial(Calling::default());
    world.pass(120 * MS);
    world.phone(SHOP).set_answering(Answering::default());
    world.settle();
    assert_eq!(tried(&ended(&world)).first(), Some(&("pbx".to_owned(), 302)));
    assert_eq!(invites(&world, SHOP), 2);
}

#[test]
fn the_caller_gives_up_on_a_contact() {
    let mut world = following("<sip:201@198.51.100.2>");
    world.phone(OFFICE).set_answering(rings(100 * MS, None));
    world.dial(Calling { cancel: Some(2 * SECOND), ..Calling::default() });
    world.settle();
    assert_eq!(tried(&ended(&world)), [("pbx".to_owned(), 302), ("sip:201@198.51.100.2".to_owned(), 487)]);
}
