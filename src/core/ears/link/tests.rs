//! The life of a link in virtual time.

use super::*;
use crate::core::ears::asterisk;
use crate::time::{Mono, Wall};

struct World {
    now: Now,
    link: Link,
}

impl World {
    fn new() -> World {
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_790_000_000_000_000) };
        World { now, link: Link::new(now, asterisk::tests::ear(""), 7) }
    }

    fn give(&mut self, input: Input<'_>) -> Vec<String> {
        let mut out = Vec::new();
        self.link.handle(self.now, input, &mut out);
        let line = |order: &Order| match order {
            Order::Connect => "connect".to_owned(),
            Order::Close => "close".to_owned(),
            Order::Lost => "lost".to_owned(),
            Order::Synced(_) => "synced".to_owned(),
            Order::Report(report) => format!("report {}", report.id),
            Order::Send(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                text.lines().next().unwrap_or_default().to_owned()
            }
            Order::State(state) => format!("{} {}", state.state, state.reason.unwrap_or_default()),
        };
        out.iter().map(line).collect()
    }

    /// Waits for the next deadline, and meets it; how long that was.
    fn wait(&mut self) -> (Duration, Vec<String>) {
        let wait = self.link.poll_timeout().0.since(self.now.mono);
        self.now = self.now.after(wait);
        (wait, self.give(Input::Timeout))
    }

    fn log_in(&mut self) -> Vec<String> {
        let mut said = self.give(Input::Connected);
        let hello = b"Asterisk Call Manager/5.0.2\r\nResponse: Success\r\nChallenge: 1\r\n\r\n";
        said.extend(self.give(Input::Bytes(hello)));
        said.extend(self.give(Input::Bytes(b"Response: Success\r\n\r\n")));
        said
    }
}

#[test]
fn it_comes_up_asks_for_signs_of_life_and_is_given_up_without() {
    let mut world = World::new();
    assert_eq!(world.wait(), (Duration::ZERO, vec!["connect".to_owned()]));
    assert_eq!(world.log_in(), ["Action: Challenge", "Action: Login", "up ", "Action: CoreShowChannels"]);
    assert_eq!(world.wait(), (limits::EAR_PING, vec!["Action: Ping".to_owned()]));
    assert!(world.give(Input::Bytes(b"Response: Success\r\nPing: Pong\r\n\r\n")).is_empty());
    assert_eq!(world.wait(), (limits::EAR_PING, vec!["Action: Ping".to_owned()]));
    let (after, said) = world.wait();
    assert_eq!(
        (after, said),
        (limits::EAR_SILENT - limits::EAR_PING, vec!["close".into(), "lost".into(), "down silent".into()])
    );
    assert!(world.give(Input::Bytes(b"Event: late\r\n\r\n")).is_empty(), "of the connection that is given up");
}

#[test]
fn a_link_that_is_not_to_be_had_is_tried_later_and_later() {
    let mut world = World::new();
    world.wait();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(world.give(Input::Lost("unreachable")), ["close", "down unreachable"]);
        let (pause, said) = world.wait();
        assert_eq!(said, ["connect"]);
        pauses.push(pause);
    }
    assert!(pauses[0] <= limits::EAR_AGAIN && pauses.iter().all(|pause| *pause <= limits::EAR_AGAIN_MAX));
    assert!(pauses.windows(2).take(5).all(|two| two[0] < two[1]), "{pauses:?}");
    // Once it was up, the next loss is a first one.
    world.log_in();
    assert_eq!(world.give(Input::Lost("closed")), ["close", "lost", "down closed"]);
    assert!(world.wait().0 <= limits::EAR_AGAIN);
}

#[test]
fn a_wrong_password_and_a_mute_pbx_are_said_and_tried_again() {
    let mut world = World::new();
    world.wait();
    world.give(Input::Connected);
    world.give(Input::Bytes(b"Asterisk Call Manager/5.0.2\r\nResponse: Success\r\nChallenge: 1\r\n\r\n"));
    let refused = world.give(Input::Bytes(b"Response: Error\r\nMessage: Authentication failed\r\n\r\n"));
    assert_eq!(refused, ["close", "down login_refused"]);
    assert_eq!(world.wait().1, ["connect"]);
    assert_eq!(world.give(Input::Connected), ["Action: Challenge"]);
    assert_eq!(world.wait(), (limits::EAR_CONNECT, vec!["close".into(), "down login_timeout".into()]));
    world.wait();
    assert_eq!(world.wait(), (limits::EAR_CONNECT, vec!["close".into(), "down connect_timeout".into()]));
    world.wait();
    world.give(Input::Connected);
    assert_eq!(world.give(Input::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n")), ["close", "down not_asterisk"]);
}
