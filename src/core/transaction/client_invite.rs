//! INVITE client transaction: RFC 3261 §17.1.1 with RFC 6026 §7.2.

use std::time::Duration;

use super::{Action, PATIENCE, Resend};
use crate::time::{Mono, Wakeup};

/// Timer D on unreliable transports: at least 32 s (RFC 3261 §17.1.1.2).
const TIMER_D: Duration = Duration::from_secs(32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Calling,
    Proceeding,
    /// A non-2xx came; copies of it get the ACK again.
    Completed,
    /// A 2xx came; its copies go to the user.
    Accepted,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// 100–199.
    Provisional,
    /// 200–299.
    Success,
    /// 300–699.
    Failure,
    TransportError,
    Timeout,
}

/// One INVITE of ours.
#[derive(Clone, Debug)]
pub struct ClientInvite {
    state: State,
    reliable: bool,
    /// Timer A.
    resend: Option<Resend>,
    /// Timer B, D or M, by state.
    ends: Option<Mono>,
}

impl ClientInvite {
    /// Sends the request. `reliable`: the transport is a stream.
    pub fn start(now: Mono, reliable: bool, out: &mut Vec<Action>) -> ClientInvite {
        out.push(Action::Send);
        let resend = (!reliable).then(|| Resend::start(now));
        ClientInvite { state: State::Calling, reliable, resend, ends: Some(now + PATIENCE) }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Action>) {
        match (self.state, input) {
            (State::Calling, Input::Provisional) => {
                out.push(Action::Deliver);
                self.enter(State::Proceeding, None);
            }
            (State::Proceeding, Input::Provisional) | (State::Accepted, Input::Success) => out.push(Action::Deliver),
            (State::Calling | State::Proceeding, Input::Success) => {
                out.push(Action::Deliver);
                self.enter(State::Accepted, Some(now + PATIENCE));
            }
            (State::Calling | State::Proceeding, Input::Failure) => {
                out.extend([Action::SendAck, Action::Deliver]);
                if self.reliable {
                    self.enter(State::Terminated, None);
                } else {
                    self.enter(State::Completed, Some(now + TIMER_D));
                }
            }
            (State::Completed, Input::Failure) => out.push(Action::SendAck),
            // The answer was delivered already: what fails now is an ACK, and a copy of the response will ask again.
            (State::Completed, Input::TransportError) => {}
            // A peer that answered is alive; what was refused is something else that went to the same address.
            (State::Proceeding | State::Accepted, Input::TransportError) => {}
            (State::Calling, Input::TransportError) => {
                out.push(Action::TransportFailed);
                self.enter(State::Terminated, None);
            }
            (_, Input::Timeout) => self.on_timeout(now, out),
            (State::Completed, Input::Provisional | Input::Success) => {}
            (State::Accepted, Input::Provisional | Input::Failure) => {}
            (State::Terminated, _) => {}
        }
    }

    pub fn poll_timeout(&self) -> Option<Wakeup> {
        let ends = match self.state {
            State::Calling => "timer B",
            State::Completed => "timer D",
            State::Accepted => "timer M",
            State::Proceeding | State::Terminated => return None,
        };
        let resend = self.resend.map(|resend| (resend.at, "timer A"));
        resend.into_iter().chain(self.ends.map(|at| (at, ends))).min()
    }

    fn on_timeout(&mut self, now: Mono, out: &mut Vec<Action>) {
        if self.ends.is_some_and(|at| now >= at) {
            if self.state == State::Calling {
                out.push(Action::TimedOut);
            }
            self.enter(State::Terminated, None);
        } else if self.resend.as_mut().is_some_and(|resend| resend.due(now, PATIENCE)) {
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
        let reach: [&[Input]; 5] =
            [&[], &[Input::Provisional], &[Input::Failure], &[Input::Success], &[Input::TransportError]];
        let inputs = [Input::Provisional, Input::Success, Input::Failure, Input::TransportError, Input::Timeout];
        let mut text = String::new();
        for reliable in [false, true] {
            text.push_str(if reliable { "stream\n" } else { "datagram\n" });
            for path in reach {
                let mut machine = ClientInvite::start(Mono(0), reliable, &mut Vec::new());
                for input in path {
                    machine.handle(Mono(0), *input, &mut Vec::new());
                }
                for input in inputs {
                    let mut after = machine.clone();
                    let mut actions = Vec::new();
                    // A time-out is tried at the machine's own time.
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
    fn seven_copies_in_32_seconds_and_then_a_time_out() {
        let mut actions = Vec::new();
        let mut machine = ClientInvite::start(Mono(0), false, &mut actions);
        while let Some((at, _)) = machine.poll_timeout() {
            machine.handle(at, Input::Timeout, &mut actions);
        }
        assert_eq!(actions.iter().filter(|a| **a == Action::Send).count(), 7);
        assert_eq!(actions.last(), Some(&Action::TimedOut));
    }
}
