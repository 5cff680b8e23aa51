//! Non-INVITE client transaction: RFC 3261 §17.1.2.

use super::{Action, PATIENCE, Resend};
use crate::limits::{T2, T4};
use crate::time::{Mono, Wakeup};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Trying,
    Proceeding,
    /// Absorbs copies of the final response.
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// 100–199.
    Provisional,
    /// 200–699.
    Final,
    TransportError,
    Timeout,
}

/// One request of ours that is neither INVITE nor ACK.
#[derive(Clone, Debug)]
pub struct Client {
    state: State,
    reliable: bool,
    /// Timer E.
    resend: Option<Resend>,
    /// Timer F or K, by state.
    ends: Option<Mono>,
}

impl Client {
    /// Sends the request. `reliable`: the transport is a stream.
    pub fn start(now: Mono, reliable: bool, out: &mut Vec<Action>) -> Client {
        out.push(Action::Send);
        let resend = (!reliable).then(|| Resend::start(now));
        Client { state: State::Trying, reliable, resend, ends: Some(now + PATIENCE) }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Action>) {
        match (self.state, input) {
            (State::Trying | State::Proceeding, Input::Provisional) => {
                out.push(Action::Deliver);
                self.state = State::Proceeding;
                if let Some(resend) = &mut self.resend {
                    resend.slow_down(T2);
                }
            }
            (State::Trying | State::Proceeding, Input::Final) => {
                out.push(Action::Deliver);
                if self.reliable {
                    self.enter(State::Terminated, None);
                } else {
                    self.enter(State::Completed, Some(now + T4));
                }
            }
            (State::Trying | State::Proceeding, Input::TransportError) => {
                out.push(Action::TransportFailed);
                self.enter(State::Terminated, None);
            }
            (_, Input::Timeout) => self.on_timeout(now, out),
            (State::Completed | State::Terminated, _) => {}
        }
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let ends = if self.state == State::Completed { "timer K" } else { "timer F" };
        let resend = self.resend.map(|resend| (resend.at, "timer E"));
        resend.into_iter().chain(self.ends.map(|at| (at, ends))).min()
    }

    fn on_timeout(&mut self, now: Mono, out: &mut Vec<Action>) {
        if self.ends.is_some_and(|at| now >= at) {
            if self.state != State::Completed {
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
        let reach: [&[Input]; 4] = [&[], &[Input::Provisional], &[Input::Final], &[Input::TransportError]];
        let inputs = [Input::Provisional, Input::Final, Input::TransportError, Input::Timeout];
        let mut text = String::new();
        for reliable in [false, true] {
            text.push_str(if reliable { "stream\n" } else { "datagram\n" });
            for path in reach {
                let mut machine = Client::start(Mono(0), reliable, &mut Vec::new());
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
    fn eleven_copies_in_32_seconds_and_then_a_time_out() {
        let mut actions = Vec::new();
        let mut machine = Client::start(Mono(0), false, &mut actions);
        while let Some((at, _)) = machine.poll_timeout() {
            machine.handle(at, Input::Timeout, &mut actions);
        }
        assert_eq!(actions.iter().filter(|a| **a == Action::Send).count(), 11);
        assert_eq!(actions.last(), Some(&Action::TimedOut));
    }
}
