//! RTP of two sides → one timeline → stereo samples, and a map of what was not heard.
//!
//! The timeline starts at the answer and counts samples at 8000 Hz; left is the caller, right the company. Packets may
//! come late, twice, out of order, never, or with timestamps that lie: each goes to its own place or nowhere, and the
//! recording is as long as the talk, whatever the packets say. How a stream finds its place: `stream`. How one channel
//! waits in memory for packets that are late: `track`. What is told of silence: `gaps`. How packets of codecs that keep
//! state come to be decoded in order: `ordered`.
//!
//! The driver gives packets in order of arrival and calls [`Recorder::tick`] with the same clock; `tick` hands out what
//! is older than [`limits::RECORDER_REORDER`], [`Recorder::finish`] the rest.

mod fill;
mod gaps;
mod marks;
mod ordered;
mod pauses;
pub(crate) mod sequence;
mod stream;
#[cfg(test)]
mod tests;
mod track;

use rtp_rs::RtpReader;
use serde::Serialize;

use crate::core::event::Gap;
use crate::core::media::{Flowing, PayloadFormat};
use crate::ids::Side;
use crate::limits;
use crate::time::{Mono, Now};
use crate::wire::codec::Codec;
use crate::wire::codec::g711::RATE;

pub use gaps::Cause;
use pauses::Pauses;
use stream::{Packet, Stream};
use track::{Placed, Track};

const SAMPLES_PER_MS: u64 = RATE as u64 / 1_000;
const BLOCK: u64 = limits::RECORDER_BLOCK.as_millis() as u64 * SAMPLES_PER_MS;
const REORDER: u64 = limits::RECORDER_REORDER.as_millis() as u64 * SAMPLES_PER_MS;
/// One `tick` hands out at most so much, so that a driver that comes late writes in bounded pieces.
const CHUNK: u64 = RATE as u64;
/// An Opus packet of so many bytes has no frame in it.
const OPUS_NOTHING: usize = 2;
/// What a packet in an unknown format stands for.
const UNKNOWN_PACKET: i64 = 20 * SAMPLES_PER_MS as i64;
/// Silence up to here after the end of a hold belongs to the hold: the other phone is still waking up.
const RESUME: i64 = 2_000 * SAMPLES_PER_MS as i64;
/// And silence before it: the phone stops sending before its re-INVITE has reached us.
const PARK: i64 = 1_000 * SAMPLES_PER_MS as i64;

/// One recording in the making.
#[derive(Debug)]
pub struct Recorder {
    started: Mono,
    channels: [Channel; 2],
    pauses: Pauses,
}

/// What a finished recording was like.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Length in samples of each channel.
    pub frames: u64,
    /// Of both channels, the caller's first, each in order of time.
    pub gaps: Vec<Gap>,
    /// Samples that are missing because we did not keep up.
    pub overload: u64,
    pub stats: Stats,
}

/// Counters by side, for the sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    pub caller: SideStats,
    pub company: SideStats,
}

/// What one side's packets were like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SideStats {
    /// Packets with audio that were placed.
    pub audio: u64,
    /// Key presses, comfort noise and formats that cannot be decoded.
    pub silent: u64,
    pub duplicates: u64,
    /// Came after their place was written.
    pub late: u64,
    /// Had a timestamp no place could be found for.
    pub misplaced: u64,
    /// Not RTP, empty or too large.
    pub malformed: u64,
    /// Of the right payload type, and no packet of that codec.
    #[serde(skip_serializing_if = "is_zero")]
    pub undecodable: u64,
    /// SSRCs seen; one that comes back after [`limits::RECORDER_STREAMS`] others counts again.
    pub streams: u64,
    /// Times a stream was placed by arrival again, because its timestamps paused or jumped.
    pub anchored_anew: u64,
    /// Corrections for the drift of the sender's clock.
    pub drift_steps: u64,
}

impl SideStats {
    fn note(&mut self, placed: Placed) {
        match placed {
            Placed::In => {}
            Placed::Late => self.late += 1,
            Placed::TooFar => self.misplaced += 1,
        }
    }
}

impl Recorder {
    /// A recording whose sample 0 is the instant `started`: the answer. Until [`Recorder::on_formats`] is called, the
    /// static payload types hold (RFC 3551 §6: 0 PCMU, 8 PCMA, 9 G722, 13 comfort noise).
    pub fn new(started: Now) -> Recorder {
        Recorder { started: started.mono, channels: Default::default(), pauses: Pauses::default() }
    }

    /// From now on losses are concealed, and silences have the noise that the sender told of (RFC 3389).
    pub fn conceal(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.track.fill());
    }

    /// What a side agreed on, first time or again. `flowing` `None`: nothing known, nothing expected.
    pub fn on_formats(&mut self, at: Mono, side: Side, formats: &[PayloadFormat], flowing: Option<Flowing>) {
        let position = self.position(at);
        let channel = &mut self.channels[side.index()];
        channel.kinds = kinds(formats);
        match (channel.hold_since, flowing) {
            (None, Some(Flowing { from_side: false, .. })) => channel.hold_since = Some(position.max(0)),
            (Some(since), Some(Flowing { from_side: true, .. })) => {
                channel.hold_since = None;
                channel.resumed = Some((channel.explain_hold(since, position), position));
            }
            _ => {}
        }
    }

    /// From `at` on nothing is recorded of either side, whatever comes and wherever its timestamps say it belongs; what is
    /// placed there already is taken out again.
    pub fn on_pause(&mut self, at: Mono) {
        self.pauses.begin(self.position(at).max(0) as u64);
    }

    /// From `at` on everything is recorded again.
    pub fn on_resume(&mut self, at: Mono) {
        self.pauses.end(self.position(at).saturating_add(1).max(0) as u64);
    }

    /// One RTP packet of a side, as it came. Not before `arrival`s already given, give or take a few milliseconds.
    pub fn on_rtp(&mut self, arrival: Mono, side: Side, packet: &[u8]) {
        let at = self.position(arrival);
        self.channels[side.index()].on_rtp(at, packet);
    }

    /// Packets of a side that came in `first..=last` were not given to us because we were behind.
    pub fn on_overload(&mut self, side: Side, first: Mono, last: Mono) {
        let (first, last) = (self.position(first), self.position(last) + UNKNOWN_PACKET);
        self.channels[side.index()].track.explain(first, last, Cause::Overload);
    }

    /// Hands out what is old enough at `now` as interleaved samples, at most a second, into `out` (cleared first).
    /// Returns the number of frames, 0 when the next block is not full. To be repeated until it returns 0.
    pub fn tick(&mut self, now: Mono, out: &mut Vec<i16>) -> usize {
        out.clear();
        let at = self.position(now);
        for channel in &mut self.channels {
            channel.on_time(at);
        }
        let due = at.saturating_sub(REORDER as i64 + self.written() as i64);
        if due < BLOCK as i64 { 0 } else { self.take(due as u64, out) }
    }

    /// When [`Recorder::tick`] has a block next.
    pub fn poll_timeout(&self) -> (Mono, &'static str) {
        let samples = self.written() + BLOCK + REORDER;
        (self.started + std::time::Duration::from_micros(samples * 125), "recorder_block")
    }

    /// Frames handed out so far.
    pub fn written(&self) -> u64 {
        self.channels[0].track.frontier()
    }

    /// The talk ended at `now`: hands out what is left, a second at a time, so that the length is exactly that of the
    /// talk. To be repeated until it returns 0; then [`Recorder::finish`].
    pub fn drain(&mut self, now: Mono, out: &mut Vec<i16>) -> usize {
        out.clear();
        for channel in &mut self.channels {
            channel.finish_streams();
        }
        let left = (self.position(now).max(0) as u64).saturating_sub(self.written());
        self.take(left, out)
    }

    /// The verdict, after [`Recorder::drain`]. `talk`: samples from the answer to the end; when that is less than was
    /// handed out, because the end was told late, the rest is not part of the recording.
    pub fn finish(mut self, talk: u64) -> Summary {
        let frames = self.written().min(talk);
        for channel in &mut self.channels {
            channel.close(frames as i64);
        }
        let [caller, company] = &self.channels;
        let mut gaps = caller.track.gaps().list(Side::Caller, frames);
        gaps.extend(company.track.gaps().list(Side::Company, frames));
        Summary {
            frames,
            gaps,
            overload: self.channels.iter().map(|c| c.track.gaps().samples(Cause::Overload)).sum(),
            stats: Stats { caller: caller.stats, company: company.stats },
        }
    }

    fn take(&mut self, frames: u64, out: &mut Vec<i16>) -> usize {
        let frames = frames.min(CHUNK) as usize;
        out.resize(frames * 2, 0);
        let first = self.written();
        for (start, end) in self.pauses.within(first, first + frames as u64) {
            for channel in &mut self.channels {
                channel.track.mute(start, end);
            }
        }
        self.pauses.forget(first + frames as u64);
        for (index, channel) in self.channels.iter_mut().enumerate() {
            channel.track.take(frames, index, out);
        }
        frames
    }

    /// Samples since the answer; negative before it.
    fn position(&self, at: Mono) -> i64 {
        let nanos = i128::from(at.0) - i128::from(self.started.0);
        i64::try_from(nanos * i128::from(RATE) / 1_000_000_000).unwrap_or(i64::MAX)
    }
}

// The shape that serde wants.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a payload type means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Audio(Codec),
    /// RFC 4733, with its clock in kHz.
    Dtmf(u8),
    /// RFC 3389.
    Noise,
    Unknown,
}

#[derive(Debug)]
struct Channel {
    kinds: [Kind; 128],
    /// Most recently used last.
    streams: Vec<Stream>,
    track: Track,
    stats: SideStats,
    /// On hold from here.
    hold_since: Option<i64>,
    /// A hold that ended: where its silence began, and where it ended.
    resumed: Option<(i64, i64)>,
}

impl Default for Channel {
    fn default() -> Self {
        Channel {
            kinds: kinds(&[]),
            streams: Vec::new(),
            track: Track::default(),
            stats: SideStats::default(),
            hold_since: None,
            resumed: None,
        }
    }
}

impl Channel {
    fn on_rtp(&mut self, at: i64, bytes: &[u8]) {
        let Ok(reader) = RtpReader::new(bytes) else {
            self.stats.malformed += 1;
            return;
        };
        let payload = reader.payload();
        if payload.is_empty() || bytes.len() > limits::RTP_PACKET {
            self.stats.malformed += 1;
            return;
        }
        let packet = Packet {
            at,
            sequence: u16::from(reader.sequence_number()),
            timestamp: reader.timestamp(),
            marker: reader.mark(),
            payload,
        };
        let kind = self.kinds.get(usize::from(reader.payload_type())).copied().unwrap_or(Kind::Unknown);
        self.use_stream(reader.ssrc());
        let Some(stream) = self.streams.last_mut() else { return };
        let (cause, stretch) = match kind {
            Kind::Audio(codec) if codec == Codec::Opus && payload.len() <= OPUS_NOTHING => {
                // RFC 6716 §3.4, RFC 7587 §3.1.3: nothing to be heard while a packet of the length it names lasts.
                let units = codec.duration(payload).unwrap_or_default();
                (Cause::Dtx, (at, at + i64::from(units * RATE / codec.clock())))
            }
            Kind::Audio(codec) => {
                stream.on_audio(packet, codec, &mut self.track, &mut self.stats);
                self.explain_resume();
                return;
            }
            Kind::Dtmf(khz) => (Cause::Dtmf, (at - event_duration(payload, khz), at)),
            Kind::Noise => {
                if let Some(level) = payload.first() {
                    self.track.on_noise(at, *level);
                }
                (Cause::Dtx, (at, at))
            }
            Kind::Unknown => (Cause::Codec, (at, at + UNKNOWN_PACKET)),
        };
        self.stats.silent += 1;
        stream.on_silence(packet, cause, stretch, &mut self.track, &mut self.stats);
    }

    /// Brings the stream of this SSRC to the end of the list; a new one takes the place of the one quiet longest.
    fn use_stream(&mut self, ssrc: u32) {
        if self.streams.last().is_some_and(|s| s.ssrc == ssrc) {
            return;
        }
        if let Some(index) = self.streams.iter().position(|s| s.ssrc == ssrc) {
            self.streams[index..].rotate_left(1);
            return;
        }
        if self.streams.len() >= limits::RECORDER_STREAMS {
            let mut oldest = self.streams.remove(0);
            oldest.finish(&mut self.track, &mut self.stats);
        }
        self.stats.streams += 1;
        self.streams.push(Stream::new(ssrc));
    }

    fn on_time(&mut self, at: i64) {
        for stream in &mut self.streams {
            stream.on_time(at, &mut self.track, &mut self.stats);
        }
        self.explain_resume();
    }

    fn finish_streams(&mut self) {
        for stream in &mut self.streams {
            stream.finish(&mut self.track, &mut self.stats);
        }
    }

    /// The last words on silence that nothing came after.
    fn close(&mut self, end: i64) {
        self.explain_resume();
        if let Some(since) = self.hold_since.take() {
            self.explain_hold(since, end);
        }
        let said = self.streams.last().and_then(|s| s.silence().map(|cause| (s.last_at, cause)));
        if let Some((since, cause @ Cause::Dtx)) = said {
            self.track.explain(since, end, cause);
        }
        self.track.close();
    }

    /// `since..end` was a hold, and a little of the silence before. Returns where that began.
    fn explain_hold(&mut self, since: i64, end: i64) -> i64 {
        let heard_to = self.track.heard_to().map_or(0, |at| at as i64);
        let from = if heard_to < since && since - heard_to <= PARK { heard_to } else { since };
        self.track.explain(from, end, Cause::Hold);
        from
    }

    /// After a hold, silence up to the first audio belongs to it.
    fn explain_resume(&mut self) {
        let Some((from, end)) = self.resumed else { return };
        let Some(next) = self.track.heard_from(end) else { return };
        self.resumed = None;
        if next - end <= RESUME {
            self.track.explain(from, next, Cause::Hold);
        }
    }
}

/// RFC 4733 §2.3: event, flags and volume, duration in timestamp units.
fn event_duration(payload: &[u8], khz: u8) -> i64 {
    match payload {
        [_, _, high, low, ..] => {
            i64::from(u16::from_be_bytes([*high, *low])) * SAMPLES_PER_MS as i64 / i64::from(khz.max(1))
        }
        _ => 0,
    }
}

/// Payload types to meanings. A type that nobody named keeps its static meaning.
fn kinds(formats: &[PayloadFormat]) -> [Kind; 128] {
    let mut kinds = [Kind::Unknown; 128];
    kinds[0] = Kind::Audio(Codec::Pcmu);
    kinds[8] = Kind::Audio(Codec::Pcma);
    kinds[9] = Kind::Audio(Codec::G722);
    kinds[13] = Kind::Noise;
    for format in formats {
        let Some(kind) = kinds.get_mut(usize::from(format.payload_type)) else { continue };
        *kind = match Codec::of_format(&format.name, format.clock_rate, format.channels) {
            Some(codec) => Kind::Audio(codec),
            _ if format.name.eq_ignore_ascii_case("telephone-event") => {
                Kind::Dtmf(u8::try_from(format.clock_rate / 1_000).unwrap_or(u8::MAX))
            }
            _ if format.name.eq_ignore_ascii_case("CN") => Kind::Noise,
            _ => Kind::Unknown,
        };
    }
    kinds
}
