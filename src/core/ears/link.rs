//! A link to a PBX that we keep up: connect, log in, read on, ask for signs of life, and after a loss try again, each time
//! later. What is said over it is a [`Dialect`]'s.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

use crate::config::{Ear, EarKind};
use crate::limits;
use crate::time::{Mono, Now, Wakeup, Wall};

use super::Report;
use super::asterisk::Asterisk;
use super::freeswitch::FreeSwitch;

/// What a PBX's side of the conversation amounts to.
#[derive(Debug)]
pub enum Word {
    /// Say this.
    Send(Vec<u8>),
    /// We are let in, and hear of calls from here on.
    Ready,
    Report(Box<Report>),
    /// These calls are in progress, and no others.
    Synced(HashSet<String>),
}

/// One conversation, from the first byte to the loss of the link.
pub trait Dialect: std::fmt::Debug + Send {
    /// The link is there.
    fn begin(&mut self, out: &mut Vec<Word>);

    /// Bytes as they come.
    ///
    /// # Errors
    /// Stable code of why there is nothing more to say: `login_refused`, `not_asterisk`, `not_freeswitch`, `pbx_stopped`.
    fn take(&mut self, now: Wall, bytes: &[u8], out: &mut Vec<Word>) -> Result<(), &'static str>;

    /// Asks for a sign of life.
    fn ping(&self, out: &mut Vec<Word>);
}

/// What reaches a link.
#[derive(Debug)]
pub enum Input<'a> {
    /// The connection asked for is there.
    Connected,
    Bytes(&'a [u8]),
    /// It is not there, or not any more; stable code of why.
    Lost(&'static str),
    Timeout,
}

/// What a link wants done.
#[derive(Debug)]
pub enum Order {
    /// Connect; answered by [`Input::Connected`] or [`Input::Lost`]. What was there before is closed.
    Connect,
    Send(Vec<u8>),
    /// Close the connection; nothing answers.
    Close,
    Report(Box<Report>),
    /// The link is lost that was up: from now on nothing is known of its calls.
    Lost,
    /// After the link is up: these calls are in progress, and no others.
    Synced(HashSet<String>),
    /// What the operator is to know has changed.
    State(LinkState),
}

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// `connecting`, `up` or `down`.
    pub state: &'static str,
    /// Since when.
    pub since: Wall,
    /// Stable code of why it is down: `unreachable`, `connect_timeout`, `closed`, `login_refused`, `login_timeout`,
    /// `silent`, `pbx_stopped`, `not_asterisk`, `not_freeswitch`, `bad_address`, or one of TLS.
    pub reason: Option<&'static str>,
    /// When it is tried again, from `since` on.
    pub again: Option<Duration>,
}

impl LinkState {
    /// Not tried yet.
    pub fn connecting(since: Wall) -> LinkState {
        LinkState { state: "connecting", since, reason: None, again: None }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Link {
    ear: Arc<Ear>,
    state: State,
    talk: Box<dyn Dialect>,
    /// Failures since it was up.
    failures: u32,
    random: ChaCha12Rng,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// To be tried at this time.
    Waiting(Mono),
    /// Until this time.
    Connecting(Mono),
    LoggingIn(Mono),
    Up {
        heard: Mono,
        /// A sign of life was asked for.
        asked: bool,
    },
}

impl Link {
    /// To be driven with [`Input::Timeout`] at once. `seed` decides the pauses between attempts.
    pub fn new(now: Now, ear: Arc<Ear>, seed: u64) -> Link {
        let random = ChaCha12Rng::seed_from_u64(seed);
        Link { talk: dialect(&ear), ear, state: State::Waiting(now.mono), failures: 0, random }
    }

    /// When to come back, and why.
    pub fn poll_timeout(&self) -> Wakeup {
        match self.state {
            State::Waiting(at) => (at, "connect"),
            State::Connecting(until) => (until, "connecting"),
            State::LoggingIn(until) => (until, "login"),
            State::Up { heard, asked: false } => (heard + limits::EAR_PING, "ping"),
            State::Up { heard, asked: true } => (heard + limits::EAR_SILENT, "silence"),
        }
    }

    /// The only way to change it.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Order>) {
        match (input, self.state) {
            (Input::Timeout, _) => self.on_timeout(now, out),
            (Input::Connected, State::Connecting(_)) => {
                self.talk = dialect(&self.ear);
                self.state = State::LoggingIn(now.mono + limits::EAR_CONNECT);
                let mut words = Vec::new();
                self.talk.begin(&mut words);
                self.carry_out(now, words, out);
            }
            (Input::Bytes(bytes), State::LoggingIn(_) | State::Up { .. }) => self.on_bytes(now, bytes, out),
            (Input::Lost(why), State::Connecting(_) | State::LoggingIn(_) | State::Up { .. }) => {
                self.lose(now, why, out);
            }
            // Of a connection that is given up.
            (Input::Connected | Input::Bytes(_) | Input::Lost(_), _) => {}
        }
    }

    fn on_timeout(&mut self, now: Now, out: &mut Vec<Order>) {
        if self.poll_timeout().0 > now.mono {
            return;
        }
        match self.state {
            State::Waiting(_) => {
                self.state = State::Connecting(now.mono + limits::EAR_CONNECT);
                out.push(Order::Connect);
            }
            State::Connecting(_) => self.lose(now, "connect_timeout", out),
            State::LoggingIn(_) => self.lose(now, "login_timeout", out),
            State::Up { asked: true, .. } => self.lose(now, "silent", out),
            State::Up { heard, asked: false } => {
                self.state = State::Up { heard, asked: true };
                let mut words = Vec::new();
                self.talk.ping(&mut words);
                self.carry_out(now, words, out);
            }
        }
    }

    fn on_bytes(&mut self, now: Now, bytes: &[u8], out: &mut Vec<Order>) {
        if let State::Up { heard, asked } = &mut self.state {
            (*heard, *asked) = (now.mono, false);
        }
        let mut words = Vec::new();
        let taken = self.talk.take(now.wall, bytes, &mut words);
        self.carry_out(now, words, out);
        if let Err(why) = taken {
            self.lose(now, why, out);
        }
    }

    fn carry_out(&mut self, now: Now, words: Vec<Word>, out: &mut Vec<Order>) {
        for word in words {
            match word {
                Word::Send(bytes) => out.push(Order::Send(bytes)),
                Word::Report(report) => out.push(Order::Report(report)),
                Word::Synced(alive) => out.push(Order::Synced(alive)),
                Word::Ready => {
                    self.failures = 0;
                    self.state = State::Up { heard: now.mono, asked: false };
                    let state = LinkState { state: "up", since: now.wall, reason: None, again: None };
                    out.push(Order::State(state));
                }
            }
        }
    }

    fn lose(&mut self, now: Now, why: &'static str, out: &mut Vec<Order>) {
        out.push(Order::Close);
        if matches!(self.state, State::Up { .. }) {
            out.push(Order::Lost);
        }
        let pause = limits::EAR_AGAIN.saturating_mul(2_u32.saturating_pow(self.failures.min(10)));
        let pause = pause.min(limits::EAR_AGAIN_MAX);
        // Several links to one PBX need not come back in the same moment.
        let jitter = pause / 4 * u32::from(self.random.next_u32().to_le_bytes()[0]) / 255;
        let pause = pause - jitter;
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting(now.mono + pause);
        let state = LinkState { state: "down", since: now.wall, reason: Some(why), again: Some(pause) };
        out.push(Order::State(state));
    }
}

fn dialect(ear: &Arc<Ear>) -> Box<dyn Dialect> {
    match ear.kind {
        EarKind::FreeSwitch => Box::new(FreeSwitch::new(Arc::clone(ear))),
        EarKind::Asterisk | EarKind::Http => Box::new(Asterisk::new(Arc::clone(ear))),
    }
}

#[cfg(test)]
mod tests;
