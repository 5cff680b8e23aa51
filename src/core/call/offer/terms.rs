//! Formats of one side in the terms of the other: what is added to an offer because we can transcode, and what an answer
//! is called in the offer that it answers.

use super::presses::is_event;
use crate::config::CodecList;
use crate::wire::codec::Codec;
use crate::wire::sdp::{Audio, Format};

/// What every telephone has, and what costs next to nothing to make of one another.
const EVERYWHERE: [Codec; 2] = [Codec::Pcma, Codec::Pcmu];
/// RFC 3551 §6: numbers for whom there is none.
const DYNAMIC: std::ops::Range<u8> = 96..128;

/// The codec of a format, when we can decode and encode it.
pub(super) fn codec(format: &Format) -> Option<Codec> {
    Codec::of_format(&format.name, format.clock_rate, format.channels)
}

/// The same format, under whatever number. What has no name is nothing.
pub(super) fn same(a: &Format, b: &Format) -> bool {
    !a.name.is_empty() && (&a.name, a.clock_rate, a.channels) == (&b.name, b.clock_rate, b.channels)
}

/// Codecs that a leg may be offered beside those of the other side: those of its list, else G.711.
fn ours(allowed: &CodecList) -> impl Iterator<Item = Codec> {
    let everywhere = EVERYWHERE.into_iter().filter(|_| allowed.is_empty());
    allowed.iter().filter_map(|name| Codec::of_name(name)).chain(everywhere)
}

fn has(audio: &Audio, wanted: Codec) -> bool {
    audio.formats.iter().any(|format| codec(format) == Some(wanted))
}

/// Whether a leg needs [`extend`]: none of the codecs that it may be offered by us is in the description.
pub(super) fn needs_ours(audio: &Audio, allowed: &CodecList) -> bool {
    !ours(allowed).any(|codec| has(audio, codec))
}

/// Puts codecs of ours behind those in the description. Gives their payload types, one bit each.
pub(super) fn extend(audio: &mut Audio, allowed: &CodecList) -> u128 {
    let mut extra = 0;
    for codec in ours(allowed) {
        if has(audio, codec) {
            continue;
        }
        let is_free = |number: &u8| audio.formats.iter().all(|format| format.payload_type != *number);
        let fixed = match codec {
            Codec::Pcmu => Some(0),
            Codec::Pcma => Some(8),
            Codec::G722 => Some(9),
            Codec::Opus => None,
        };
        let Some(payload_type) = fixed.into_iter().chain(DYNAMIC.rev()).find(is_free) else { continue };
        let rtpmap = (codec == Codec::Opus).then(|| "opus/48000/2".to_owned());
        extra |= 1 << payload_type;
        audio.formats.push(Format {
            payload_type,
            name: codec.name().to_owned(),
            clock_rate: codec.clock(),
            channels: if codec == Codec::Opus { 2 } else { 1 },
            rtpmap,
            fmtp: None,
        });
    }
    extra
}

/// Every format of the answer stands in the offer under the same number.
pub(super) fn are_of(answer: &Audio, offer: &Audio) -> bool {
    let is_there = |format: &Format| {
        offer.formats.iter().any(|other| other.payload_type == format.payload_type && other.name == format.name)
    };
    answer.formats.iter().all(is_there)
}

/// The answer's formats as the offer calls them, in the answer's order; a codec that was not offered becomes the first
/// of the offer that we can make. `None`: nothing is left.
pub(super) fn of(answer: &Audio, offer: &Audio, transcode: bool) -> Option<Vec<Format>> {
    let named = |format: &Format| {
        let same_number =
            offer.formats.iter().find(|other| other.payload_type == format.payload_type && other.name == format.name);
        let same = same_number.or_else(|| offer.formats.iter().find(|other| same(format, other)));
        let press = || offer.formats.iter().find(|other| is_event(format) && is_event(other));
        same.map(|other| Format { fmtp: format.fmtp.clone(), ..other.clone() }).or_else(|| press().cloned())
    };
    let mut formats: Vec<Format> = Vec::with_capacity(answer.formats.len());
    for format in answer.formats.iter().filter_map(named) {
        if formats.iter().all(|known| known.payload_type != format.payload_type) {
            formats.push(format);
        }
    }
    if formats.iter().any(Format::is_codec) {
        return Some(formats);
    }
    let makes = transcode && answer.formats.iter().any(|format| codec(format).is_some());
    let made = offer.formats.iter().find(|format| makes && codec(format).is_some())?;
    formats.insert(0, Format { fmtp: None, ..made.clone() });
    Some(formats)
}

/// Whether the two have a codec in common.
pub(super) fn shares(a: &Audio, b: &Audio) -> bool {
    a.formats.iter().any(|format| format.is_codec() && b.formats.iter().any(|other| same(format, other)))
}

/// They have none, and one of those that they have keeps state.
pub(super) fn costs(caller: &Audio, company: &Audio) -> bool {
    let mut all = caller.formats.iter().chain(&company.formats).filter_map(codec);
    !shares(caller, company) && all.any(|codec| codec.law().is_none())
}
