//! A call's recording, as signalling sees it: whether there is one, its pauses, and the keys that were pressed.
//!
//! A pause is ordered over the API or by keys of the company, and holds from the instant that the media thread names. From
//! the order on, digits are masked: what was pressed while nothing was to be kept is kept nowhere. The digit that was down
//! when the pause began or ended belongs to it.

use std::time::Duration;

use super::{Call, Ctx, State};
use crate::core::dtmf::Digit;
use crate::core::event::{Body, DigitData, PauseData, PausedBy, RecordingSummary};
use crate::core::media::{MediaCommand, RecordingSpec};
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Now};

/// How a call's recording stands, for whoever wants to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has answered yet; then it will begin.
    Awaited,
    Running,
    Paused,
    /// An order is on its way to the media thread.
    Changing,
    /// There is none.
    Off,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// When it began.
    since: Option<Mono>,
    /// What was ordered last, and by whom; and what the media thread has said last.
    ordered: bool,
    by: [PausedBy; 2],
    is_paused: bool,
    /// End of the last pause.
    resumed: Option<Mono>,
    /// Somebody does not want this call recorded.
    withdrawn: bool,
    pub(super) digits: Vec<DigitData>,
    keys: Keys,
    /// The last key of each side, and how it was told.
    last: [Option<(Digit, Way)>; 2],
}

/// How a key was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Rtp,
    Info,
    Tone,
}

/// The company's last keys, and when the last of them came.
#[derive(Debug, Default)]
struct Keys {
    pressed: String,
    last: Mono,
}

impl Keys {
    /// The longest sequence that is looked for.
    const LENGTH: usize = 8;

    fn press(&mut self, digit: &Digit) {
        if digit.at.since(self.last) > limits::DTMF_SEQUENCE {
            self.pressed.clear();
        }
        if self.pressed.len() >= Keys::LENGTH {
            self.pressed.remove(0);
        }
        self.pressed.push(digit.key);
        self.last = digit.at;
    }

    /// Whether the last keys are these; then they are used up.
    fn take(&mut self, wanted: &str) -> bool {
        let fits = !wanted.is_empty() && self.pressed.ends_with(wanted);
        if fits {
            self.pressed.clear();
        }
        fits
    }
}

impl Call {
    /// How the recording stands.
    pub fn recording_stage(&self) -> Stage {
        let record = &self.record;
        match &self.state {
            _ if !self.is_recording_wanted() => Stage::Off,
            State::Deciding { .. } | State::Opening | State::Hunting(_) | State::Announcing(_) => Stage::Awaited,
            State::Talking(_) | State::Mailbox { .. } if record.ordered != record.is_paused => Stage::Changing,
            State::Talking(_) | State::Mailbox { .. } if record.is_paused => Stage::Paused,
            State::Talking(_) | State::Mailbox { .. } => Stage::Running,
            State::Ending { .. } | State::Ended => Stage::Off,
        }
    }

    /// Nobody has said that this call is not to be recorded.
    pub(super) fn is_recording_wanted(&self) -> bool {
        self.facts.recorded && !self.record.withdrawn
    }

    /// Both sides are connected: the recording begins, unless it is not wanted.
    pub(super) fn begin_recording(&mut self, ctx: &mut Ctx<'_>) {
        self.record.since = Some(ctx.now.mono);
        if self.is_recording_wanted() {
            self.recording_started = true;
            let spec = RecordingSpec { call: self.id(), started: ctx.now };
            ctx.media(self.id(), MediaCommand::Record(spec));
        }
    }

    /// This call is not to be recorded. Without effect once it is.
    pub(super) fn withdraw_recording(&mut self) {
        self.record.withdrawn |= !self.recording_started;
    }

    /// What `call.ended` says of a recording that never was.
    pub(super) fn no_recording(&self) -> RecordingSummary {
        let reason = self.record.withdrawn.then(|| "consent_withdrawn".to_owned());
        RecordingSummary { reason, ..RecordingSummary::default() }
    }

    /// Orders a pause, or its end.
    pub(super) fn order_pause(&mut self, pause: bool, by: PausedBy, ctx: &mut Ctx<'_>) {
        if !matches!(self.recording_stage(), Stage::Running | Stage::Paused | Stage::Changing) {
            return;
        }
        let record = &mut self.record;
        if record.ordered != pause {
            record.ordered = pause;
            record.by[usize::from(pause)] = by;
            ctx.media(self.id(), MediaCommand::Pause(pause));
        }
    }

    /// The media thread has paused, or gone on.
    pub(super) fn on_paused(&mut self, paused: bool, at: Now, ctx: &mut Ctx<'_>) {
        let id = self.id();
        let record = &mut self.record;
        if record.is_paused == paused || !matches!(self.state, State::Talking(_) | State::Mailbox { .. }) {
            return;
        }
        record.is_paused = paused;
        if !paused {
            record.resumed = Some(at.mono);
        }
        // Whole milliseconds that lie within the pause.
        let rounded = if paused { at.mono + Duration::from_nanos(999_999) } else { at.mono };
        let data = PauseData { call_id: id, at_ms: record.millis(rounded), by: record.by[usize::from(paused)] };
        let body = if paused { Body::RecordingPaused(data) } else { Body::RecordingResumed(data) };
        ctx.event(id, body);
    }

    /// A side has pressed a key. `false`: it is known already, told in another way.
    pub(super) fn on_digit(&mut self, side: Side, way: Way, digit: &Digit, ctx: &mut Ctx<'_>) -> bool {
        if !matches!(self.state, State::Talking(_)) {
            return false;
        }
        let last = self.record.last[side.index()].as_ref();
        if last.is_some_and(|(last, told)| *told != way && is_same(last, digit)) {
            return false;
        }
        self.record.last[side.index()] = Some((*digit, way));
        let rules = &ctx.settings.config.recording.keys;
        self.record.list(side, digit, rules.digits);
        if side == Side::Company {
            self.record.keys.press(digit);
            let order = if self.record.ordered { &rules.resume } else { &rules.pause };
            if self.record.keys.take(order) {
                self.order_pause(!self.record.ordered, PausedBy::CompanyKeys, ctx);
            }
        }
        true
    }
}

/// Two words on one press: what is told in INFO comes when the key is pressed or when it is let go, some time later.
fn is_same(a: &Digit, b: &Digit) -> bool {
    let near = |first: &Digit, second: &Digit| second.at <= first.at + first.length + limits::DTMF_SAME;
    a.key == b.key && near(a, b) && near(b, a)
}

impl Record {
    fn list(&mut self, side: Side, digit: &Digit, listed: crate::config::Digits) {
        use crate::config::Digits;
        if listed == Digits::Off || self.digits.len() >= limits::DTMF_DIGITS {
            return;
        }
        let in_pause = self.ordered || self.is_paused || self.resumed.is_some_and(|end| digit.at < end);
        let masked = in_pause || listed == Digits::Masked;
        self.digits.push(DigitData {
            side,
            digit: (!masked).then(|| digit.key.to_string()),
            at_ms: self.millis(digit.at),
            for_ms: u64::try_from(digit.length.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Since the answer.
    fn millis(&self, at: Mono) -> u64 {
        self.since.map_or(0, |since| u64::try_from(at.since(since).as_millis()).unwrap_or(u64::MAX))
    }
}
