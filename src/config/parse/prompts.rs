//! `[company.prompts]`, `[company.voicemail]` and the prompts of rules.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::super::prompts::{AnnouncementAt, Prompts, Sound, TakenAfter, Voicemail};
use super::super::read::{Found, Reader, Section};
use super::{MINUTE, SECOND, choice, duration};
use crate::limits;
use crate::wire::sound;

pub(super) fn prompts<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>) -> Prompts {
    let mut s = r.section(company, "prompts");
    let prompts = Prompts {
        announcement: sound(r, &mut s, "announcement"),
        announcement_at: choice(r, &mut s, "announcement_at", &AnnouncementAt::ALL).unwrap_or_default(),
        whisper: sound(r, &mut s, "whisper"),
        ringback: sound(r, &mut s, "ringback"),
        busy: sound(r, &mut s, "busy"),
        hold: sound(r, &mut s, "hold"),
    };
    r.end(s);
    prompts
}

pub(super) fn voicemail<'t>(r: &mut Reader<'t>, company: &mut Section<'_, 't>) -> Option<Voicemail> {
    let mut s = r.section(company, "voicemail");
    let is_there = s.is_present();
    let after = r.list(&mut s, "after", |text| {
        let found = TakenAfter::ALL.iter().find(|(name, _)| *name == text).map(|(_, after)| *after);
        found.ok_or_else(|| format!("`{}` is not one of \"no_answer\", \"busy\", \"closed\"", text.escape_debug()))
    });
    let all = || TakenAfter::ALL.map(|(_, after)| after).to_vec();
    let voicemail = Voicemail {
        greeting: sound(r, &mut s, "greeting"),
        tone: Arc::new(Sound::tone()),
        after: after.optional().map_or_else(all, |list| list.into_iter().map(|(after, _)| after).collect()),
        length_max: duration(r, &mut s, "length_max", 5 * SECOND, 60 * MINUTE).or(3 * MINUTE),
    };
    r.end(s);
    is_there.then_some(voicemail)
}

/// A WAV file, read and converted once.
pub(super) fn sound<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>, key: &'static str) -> Option<Arc<Sound>> {
    let found =
        r.text(s, key, |text| if text.is_empty() { Err("is not a file".to_owned()) } else { Ok(text.to_owned()) });
    let Found::Is(file, place) = found else { return None };
    let path = r.relative(&file);
    match load(file, &path) {
        Ok(sound) => Some(Arc::new(sound)),
        Err(why) => {
            r.problem(&place, format!("{} {why}", path.display()));
            None
        }
    }
}

fn load(file: String, path: &std::path::Path) -> Result<Sound, String> {
    use std::io::Read as _;
    let open = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    let read = open.take(limits::PROMPT_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > limits::PROMPT_FILE {
        return Err(format!("has more than {} MiB", limits::PROMPT_FILE >> 20));
    }
    let samples = sound::read(&bytes).map_err(|bad| bad.to_string())?;
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Sound { file, sha256, samples: samples.into() })
}
