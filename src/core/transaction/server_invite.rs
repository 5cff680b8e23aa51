//! INVITE server transaction: RFC 3261 §17.2.1 with RFC 6026 §7.1.
//!
//! The 100 of §17.2.1 is the user's: the agent's owner sends it at once or refuses at once.

use super::{Action, PATIENCE, Resend};
use crate::limits::{T2, T4};
use crate::time::{Mono, Wakeup};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Proceeding,
    /// A non-2xx is out and repeated until its ACK.
    Completed,
    /// ACK came; its copies are absorbed.
    Confirmed,
    /// A 2xx is out; copies of the INVITE are absorbed, ACKs go to the user.
    Accepted,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A copy of the INVITE.
    Request,
    Ack,
    /// The user sends 100–199.
    Provisional,
    /// The user sends 200–299.
    Success,
    /// The user sends 300–699.
    Failure,
    Timeout,
}

/// One INVITE of the far side.
#[derive(Clone, Debug)]
pub struct ServerInvite {
    state: State,
    reliable: bool,
    /// Timer G.
    resend: Option<Resend>,
    /// Timer H, I or L, by state.
    ends: Option<Mono>,
}

impl ServerInvite {
    /// `reliable`: the transport is a stream.
    pub fn new(reliable: bool) -> ServerInvite {
        ServerInvite { state: State::Proceeding, reliable, resend: None, ends: None }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Action>) {
        match (self.state, input) {
            (State::Proceeding, Input::Request | Input::Provisional) | (State::Completed, Input::Request) => {
                out.push(Action::Send);
            }
            (State::Proceeding, Input::Success) => {
                out.push(Action::Send);
                self.enter(State::Accepted, Some(now + PATIENCE));
            }
            (State::Accepted, Input::Success) => out.push(Action::Send),
            (State::Proceeding, Input::Failure) => {
                out.push(Action::Send);
                self.enter(State::Completed, Some(now + PATIENCE));
                self.resend = (!self.reliable).then(|| Resend::start(now));
            }
            (State::Completed, Input::Ack) if self.reliable => self.enter(State::Terminated, None),
            (State::Completed, Input::Ack) => self.enter(State::Confirmed, Some(now + T4)),
            (State::Accepted, Input::Ack) => out.push(Action::Deliver),
            (_, Input::Timeout) => self.on_timeout(now, out),
            (State::Proceeding, Input::Ack) => {}
            (State::Completed, Input::Provisional | Input::Success | Input::Failure) => {}
            (State::Accepted, Input::Request | Input::Provisional | Input::Failure) => {}
            (State::Confirmed | State::Terminated, _) => {}
        }
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let ends = match self.state {
            State::Completed => "timer H",
            State::Confirmed => "timer I",
            State::Accepted => "timer L",
            State::Proceeding | State::Terminated => return None,
        };
        let resend = self.resend.map(|resend| (resend.at, "timer G"));
        resend.into_iter().chain(self.ends.map(|at| (at, ends))).min()
    }

    fn on_timeout(&mut self, now: Mono, out: &mut Vec<Action>) {
        if self.ends.is_some_and(|at| now >= at) {
            if self.state == State::Completed {
                out.push(Action::TimedOut);
            }
            self.enter(State::Terminated, None);
        } else if self.resend.as_mut().is_some_and(|resend| resend.due(now, T2)) {
            out.push(Action::Send);
        }
    }

    fn enter(&mut self, state: State, ends: Option<Mono>) {
        self.state = state;
        self.resend = None;
        self.ends = ends;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::transaction::table::{self, Line};

    #[test]
    fn every_state_and_input() {
        let reach: [&[Input]; 4] = [&[], &[Input::Failure], &[Input::Failure, Input::Ack], &[Input::Success]];
        let inputs = [Input::Request, Input::Ack, Input::Provisional, Input::Success, Input::Failure, Input::Timeout];
        let mut text = String::new();
        for reliable in [false, true] {
            text.push_str(if reliable { "stream\n" } else { "datagram\n" });
            for path in reach {
                let mut machine = ServerInvite::new(reliable);
                for input in path {
                    machine.handle(Mono(0), *input, &mut Vec::new());
                }
                for input in inputs {
                    let mut after = machine.clone();
                    let mut actions = Vec::new();
                    let now = match input {
                        Input::Timeout => machine.poll_timeout().map_or(Mono(0), |(at, _)| at),
                        _ => Mono(0),
                    };
                    after.handle(now, input, &mut actions);
                    let line = Line {
                        before: &machine.state,
                        input: &input,
                        after: &after.state,
                        actions: &actions,
                        next: after.poll_timeout(),
                        now,
                    };
                    table::write(&mut text, &line);
                }
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn eleven_copies_of_a_refusal_without_ack() {
        let mut actions = Vec::new();
        let mut machine = ServerInvite::new(false);
        machine.handle(Mono(0), Input::Failure, &mut actions);
        while let Some((at, _)) = machine.poll_timeout() {
            machine.handle(at, Input::Timeout, &mut actions);
        }
        assert_eq!(actions.iter().filter(|a| **a == Action::Send).count(), 11);
        assert_eq!(actions.last(), Some(&Action::TimedOut));
    }
}
