//! Non-INVITE server transaction: RFC 3261 §17.2.2.
//!
//! One bound is added: a request that nobody answered within 64·T1 is forgotten without a word, because the client has
//! given up by then and a 408 would only be noise (RFC 4320 §4.2).

use super::{Action, PATIENCE};
use crate::time::{Mono, Wakeup};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Trying,
    Proceeding,
    /// The final response is out; copies of the request get it again.
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A copy of the request.
    Request,
    /// The user sends 100–199.
    Provisional,
    /// The user sends 200–699.
    Final,
    Timeout,
}

/// One request of the far side that is neither INVITE nor ACK.
#[derive(Clone, Debug)]
pub struct Server {
    state: State,
    reliable: bool,
    /// Timer J, or the bound on the user.
    ends: Option<Mono>,
}

impl Server {
    /// `reliable`: the transport is a stream.
    pub fn new(now: Mono, reliable: bool) -> Server {
        Server { state: State::Trying, reliable, ends: Some(now + PATIENCE) }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Action>) {
        match (self.state, input) {
            (State::Proceeding | State::Completed, Input::Request) => out.push(Action::Send),
            (State::Trying | State::Proceeding, Input::Provisional) => {
                out.push(Action::Send);
                self.state = State::Proceeding;
            }
            (State::Trying | State::Proceeding, Input::Final) => {
                out.push(Action::Send);
                self.state = if self.reliable { State::Terminated } else { State::Completed };
                self.ends = (!self.reliable).then(|| now + PATIENCE);
            }
            (_, Input::Timeout) => {
                if self.ends.is_some_and(|at| now >= at) {
                    self.state = State::Terminated;
                    self.ends = None;
                }
            }
            (State::Trying, Input::Request) => {}
            (State::Completed, Input::Provisional | Input::Final) => {}
            (State::Terminated, _) => {}
        }
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let why = if self.state == State::Completed { "timer J" } else { "unanswered" };
        self.ends.map(|at| (at, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::transaction::table::{self, Line};

    #[test]
    fn every_state_and_input() {
        let reach: [&[Input]; 4] = [&[], &[Input::Provisional], &[Input::Final], &[Input::Timeout]];
        let inputs = [Input::Request, Input::Provisional, Input::Final, Input::Timeout];
        let mut text = String::new();
        for reliable in [false, true] {
            text.push_str(if reliable { "stream\n" } else { "datagram\n" });
            for path in reach {
                let mut machine = Server::new(Mono(0), reliable);
                for input in path {
                    let now = if *input == Input::Timeout { Mono(0) + PATIENCE } else { Mono(0) };
                    machine.handle(now, *input, &mut Vec::new());
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
}
