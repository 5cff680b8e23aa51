//! `[[caller]]`: callers that the company knows by name.

use super::super::caller::KnownCaller;
use super::super::read::{Reader, Section};
use super::super::value;
use crate::limits;

/// `None` when the number or the name is missing or bad.
pub(super) fn caller<'t>(r: &mut Reader<'t>, s: &mut Section<'_, 't>) -> Option<KnownCaller> {
    let number = r.text(s, "number", value::number);
    let number = r.required(s, "number", number, "the caller's number, like \"+442079460123\"");
    let text = |text: &str| match text.trim() {
        "" => Err("is empty".to_owned()),
        text => value::printable(text, limits::DISPLAY_NAME),
    };
    let name = r.text(s, "name", text);
    let name = r.required(s, "name", name, "the name that is shown with the call");
    let company = r.text(s, "company", value::name).optional();
    let note = r.text(s, "note", |text| value::printable(text, limits::CALLER_NOTE)).optional();
    let recording = r.boolean(s, "recording").or(true);
    Some(KnownCaller { number: number?, name: name?, company, note, recording })
}
