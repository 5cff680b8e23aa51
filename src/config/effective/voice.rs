//! What is heard, pressed and recorded.

use super::super::{Digits, RecordingKeys};
use super::Writer;

pub(super) fn of_recording(out: &mut Writer, keys: &RecordingKeys) {
    out.text("pause_keys", &keys.pause);
    out.text("resume_keys", &keys.resume);
    let digits = Digits::ALL.iter().find(|(_, digits)| *digits == keys.digits);
    out.option("digits", digits.map(|(name, _)| name));
}

pub(super) fn whether_recorded(out: &mut Writer, recording: Option<bool>) {
    if let Some(recording) = recording {
        out.plain("recording", recording);
    }
}
