//! What is heard, pressed and recorded.

use super::super::{AnnouncementAt, Company, Digits, Loss, Recording, Rule, TakenAfter};
use super::Writer;

pub(super) fn of_recording(out: &mut Writer, recording: &Recording) {
    let keys = &recording.keys;
    out.text("pause_keys", &keys.pause);
    out.text("resume_keys", &keys.resume);
    let digits = Digits::ALL.iter().find(|(_, digits)| *digits == keys.digits);
    out.option("digits", digits.map(|(name, _)| name));
    let loss = Loss::ALL.iter().find(|(_, loss)| *loss == recording.loss);
    out.option("loss", loss.map(|(name, _)| name));
}

pub(super) fn whether_recorded(out: &mut Writer, recording: Option<bool>) {
    if let Some(recording) = recording {
        out.plain("recording", recording);
    }
}

pub(super) fn of_rule(out: &mut Writer, rule: &Rule) {
    whether_recorded(out, rule.recording);
    out.option("announcement", rule.announcement.as_ref().map(|sound| &sound.file));
    out.option("whisper", rule.whisper.as_ref().map(|sound| &sound.file));
}

/// Tables of a company.
pub(super) fn of_company(out: &mut Writer, company: &Company) {
    let prompts = &company.prompts;
    let at = AnnouncementAt::ALL.iter().find(|(_, at)| *at == prompts.announcement_at);
    let files = [
        ("announcement", &prompts.announcement),
        ("whisper", &prompts.whisper),
        ("ringback", &prompts.ringback),
        ("busy", &prompts.busy),
        ("hold", &prompts.hold),
    ];
    out.table("[company.prompts]");
    for (key, sound) in files {
        out.option(key, sound.as_ref().map(|sound| &sound.file));
    }
    out.option("announcement_at", at.map(|(name, _)| name));
    if let Some(voicemail) = &company.voicemail {
        out.table("[company.voicemail]");
        out.option("greeting", voicemail.greeting.as_ref().map(|sound| &sound.file));
        let name = |after: &TakenAfter| TakenAfter::ALL.iter().find(|(_, one)| one == after).map(|(name, _)| *name);
        out.list("after", voicemail.after.iter().filter_map(name));
        out.text("length_max", super::duration_text(voicemail.length_max));
    }
}
