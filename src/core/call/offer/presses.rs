//! Key presses in descriptions: which legs agree on events in RTP (RFC 4733), by the rules of their trunks.
//!
//! A leg that speaks of keys in INFO agrees on no events, and then the other may have them all the same: what it sends in
//! its RTP becomes INFO. A leg that wants events is offered them, whoever it talks with.

use std::borrow::Cow;

use crate::config::Keys;
use crate::wire::sdp::{Audio, Format};

/// The number that most use (RFC 3551 §6 has none).
const USUAL: u8 = 101;
const DYNAMIC: std::ops::Range<u8> = 96..128;
const NAME: &str = "TELEPHONE-EVENT";

pub(super) fn is_event(format: &Format) -> bool {
    format.name == NAME
}

pub(super) fn has_events(audio: &Audio) -> bool {
    audio.formats.iter().any(is_event)
}

/// Fits a description of one side for the other, of which `to` holds as `from` does of its writer. `offer`: what it
/// answers. Gives payload types that are ours, one bit each.
pub(super) fn fit(audio: &mut Cow<'_, Audio>, offer: Option<&Audio>, (to, from): (Keys, Keys)) -> u128 {
    if to == Keys::Info {
        if has_events(audio) {
            audio.to_mut().formats.retain(|format| !is_event(format));
        }
        return 0;
    }
    let is_wanted = from == Keys::Info || to == Keys::Rtp;
    if !is_wanted || has_events(audio) {
        return 0;
    }
    let ours = match offer {
        Some(offer) => offer.formats.iter().find(|format| is_event(format)).cloned(),
        None => event(audio),
    };
    let Some(ours) = ours else { return 0 };
    let bit = 1 << ours.payload_type;
    audio.to_mut().formats.push(ours);
    bit
}

/// Without the events that are ours.
pub(super) fn drop_ours(audio: &mut Cow<'_, Audio>, ours: u128) {
    let is_ours = |format: &Format| is_event(format) && ours >> format.payload_type & 1 == 1;
    if ours != 0 && audio.formats.iter().any(is_ours) {
        audio.to_mut().formats.retain(|format| !is_ours(format));
    }
}

/// Events of the other side may reach this one, whose description this is, in its RTP.
pub(super) fn reach_in_rtp(audio: &Audio, (own, other): (Keys, Keys)) -> bool {
    own != Keys::Info && (other != Keys::Rtp || has_events(audio))
}

/// Events under a number that is free, by the clock of the codec that comes first (RFC 4733 §2.1).
fn event(audio: &Audio) -> Option<Format> {
    let is_free = |number: &u8| audio.formats.iter().all(|format| format.payload_type != *number);
    let payload_type = [USUAL].into_iter().chain(DYNAMIC).find(is_free)?;
    let clock_rate = audio.formats.iter().find(|format| format.is_codec())?.clock_rate;
    let rtpmap = Some(format!("telephone-event/{clock_rate}"));
    let fmtp = Some("0-15".to_owned());
    Some(Format { payload_type, name: NAME.to_owned(), clock_rate, channels: 1, rtpmap, fmtp })
}
