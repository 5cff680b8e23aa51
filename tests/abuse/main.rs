//! What hostile, broken and unlucky peers do to the whole signalling machine, in virtual time: every refusal has an exact
//! answer, an exact code, and leaves nothing behind.
#![allow(clippy::unwrap_used)] // a test's way to fail

#[path = "../common/mod.rs"]
mod common;
#[path = "../world/mod.rs"]
mod world;

mod calls;
mod defence;
mod descriptions;
mod doors;
mod fraud;
mod login;
mod money;
mod numbers;
mod raw;
mod text;
mod torture;

use std::time::Duration;

use leaseline::core::event::Body;

use world::phone::{Answering, Calling, Phone};
use world::{CARRIER, OFFICE, SHOP, World};

const SECOND: Duration = Duration::from_secs(1);
const STRANGER: &str = "198.18.0.1:5060";

/// A carrier, and two company phones that answer.
fn world(config: &str) -> World {
    world_with(config, Answering::default())
}

fn world_with(config: &str, shop: Answering) -> World {
    let mut world = World::new(7, config);
    world.add(CARRIER, Phone::new(Answering::default()));
    world.add(SHOP, Phone::new(shop));
    world.add(OFFICE, Phone::new(Answering::default()));
    world
}

/// What must hold after anything: nothing is left, every start has one end and nothing after it, nothing of ours went to
/// an address that no rule allows, and the next honest call connects, is recorded and ends.
fn assert_healthy(world: &mut World) {
    let ladder = world.settle();
    let before = world.ended().len();
    let call = world.dial(Calling::default());
    world.settle();
    let honest = world.ended().last().map(|data| (**data).clone()).expect("the honest call's end");
    assert_eq!(world.ended().len(), before + 1);
    assert_eq!(world.phone(CARRIER).dialogs[&call].finals, [200], "the next honest call fails\n{ladder}");
    assert!(honest.talk_ms > 9_000 && honest.recording.is_some_and(|recording| recording.path.is_some()));
    let mut open = std::collections::BTreeSet::new();
    for event in &world.events {
        match &event.body {
            Body::CallStarted(_) => assert!(open.insert(event.subject.clone()), "started twice"),
            Body::CallEnded(_) => assert!(open.remove(&event.subject), "ended without a start, or twice"),
            Body::CallRefused(_) | Body::FraudSuspected(_) | Body::DefenceBanned(_) => {}
            _ => assert!(open.contains(&event.subject), "an event outside of its call"),
        }
    }
    assert!(open.is_empty(), "started and not ended: {open:?}");
    let allowed: Vec<_> = [CARRIER, SHOP, OFFICE].map(|at| at.parse::<std::net::SocketAddr>().unwrap()).to_vec();
    for (from, to, bytes) in &world.sent {
        if *from == world.us_at {
            assert!(allowed.contains(to), "sent to {to}: {}", bytes.escape_ascii());
        }
    }
}

/// Statuses that went to the carrier in answer to what was injected.
fn answers(world: &World) -> Vec<u16> {
    world.sent_to(CARRIER).iter().filter(|message| !message.is_request()).map(|message| message.status()).collect()
}

/// Counters of the agent that rose, and codes of the door's refusals.
fn codes(world: &World) -> String {
    let drops = world.us.agent().drops().iter().map(|(reason, count)| (reason.as_str(), count));
    let mut words: Vec<String> =
        drops.map(|(code, count)| if count == 1 { code.to_owned() } else { format!("{code}*{count}") }).collect();
    words.extend(world.refused.iter().map(|code| (*code).to_owned()));
    words.join(" ")
}
