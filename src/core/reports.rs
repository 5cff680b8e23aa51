//! RTCP that we make (RFC 3550 §6): where a side sends no reports of its own, the other one gets ours about its media,
//! so that its phone sees that somebody listens and knows what gets lost. And what RTCP tells us: the round trip.
//!
//! We speak for the silent side: the source of what we send is its SSRC, because its packets go on unchanged. As soon as
//! it reports by itself we are silent. Two parties at the rate of a telephone call report every five seconds
//! (RFC 3550 §6.2), drawn anew each time between half and one and a half of that (§6.3.1), from a seed.

use std::time::Duration;

use crate::core::media_quality::StreamQuality;
use crate::ids::Side;
use crate::time::{Mono, Now, Wall};
use crate::wire::rtcp::{Echo, Received, Report, Rtcp, Sent};

/// Mean time between two reports (RFC 3550 §6.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// A side that has not reported for so long does not report: longer than the longest pause between two reports.
const ABSENT: Duration = Duration::from_secs(10);
/// Round trips beyond this are a mistake of somebody's clock.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
/// From 1900, where NTP begins, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// The reports of one call.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    legs: [Leg; 2],
    next_at: Mono,
    random: u64,
}

/// What is known of one side's RTCP.
#[derive(Clone, Debug, Default)]
struct Leg {
    /// Its last report.
    heard_at: Option<Mono>,
    /// Its last sender report.
    came: Option<(u32, Mono)>,
    /// The last sender report that went to it, of the other side or of ours.
    went: Option<(u32, Mono)>,
    round_trip: Option<Duration>,
    /// Packets expected and received at our last report about it.
    before: (u64, u64),
}

impl Reports {
    /// The first reports are due when a side has been silent long enough.
    pub(super) fn new(now: Mono, seed: u64) -> Reports {
        Reports { legs: [Leg::default(), Leg::default()], next_at: now + ABSENT, random: seed }
    }

    /// When [`Reports::make`] has something to do.
    pub(super) fn next_at(&self) -> Mono {
        self.next_at
    }

    /// From a side's accepted compound packet.
    pub(super) fn on_rtcp(&mut self, now: Mono, from: Side, rtcp: &Rtcp) {
        let leg = &mut self.legs[from.index()];
        leg.heard_at = Some(now);
        if let (Some(echo), Some((sent_at, went))) = (rtcp.echo, leg.went)
            && echo.sent_at == sent_at
        {
            let held = Duration::from_nanos((u64::from(echo.held) * 1_000_000_000) >> 16);
            leg.round_trip = now.since(went).checked_sub(held).filter(|trip| *trip < ROUND_TRIP_MAX).or(leg.round_trip);
        }
        if let Some(sent_at) = rtcp.sent_at {
            leg.came = Some((sent_at, now));
        }
    }

    /// A side's sender report was sent on.
    pub(super) fn on_relayed(&mut self, now: Mono, to: Side, sent_at: u32) {
        self.legs[to.index()].went = Some((sent_at, now));
    }

    /// From us to this side and back, as its last answer showed.
    pub(super) fn round_trip(&self, side: Side) -> Option<Duration> {
        self.legs[side.index()].round_trip
    }

    /// It is time: draws the next one. True for the sides whose far side is silent.
    pub(super) fn due(&mut self, now: Mono) -> [bool; 2] {
        let share = self.draw() >> 32;
        // Half to one and a half; divided by e - 3/2, which the reconsideration of timers costs (RFC 3550 §6.3.1).
        let interval = INTERVAL.as_nanos() as u64;
        let drawn = (interval / 2 + ((interval >> 16) * (share >> 16))) * 1_000 / 1_218;
        self.next_at = now + Duration::from_nanos(drawn);
        let is_absent = |leg: &Leg| leg.heard_at.is_none_or(|at| now.since(at) >= ABSENT);
        let [caller, company] = &self.legs;
        [is_absent(company), is_absent(caller)]
    }

    /// A report for `side`: about what came from it, and about the other side's stream, which it gets.
    pub(super) fn make(&mut self, now: Now, side: Side, from_it: &StreamQuality, to_it: &StreamQuality) -> Report {
        let name = self.name();
        let own_source = self.random_of(3) as u32;
        let leg = &mut self.legs[side.index()];
        let answers = leg.came.map(|(sent_at, at)| {
            let held = now.mono.since(at).as_nanos() as u64;
            Echo { sent_at, held: u32::try_from((held << 8) / (1_000_000_000 >> 8)).unwrap_or(u32::MAX) }
        });
        let received = from_it.source().map(|source| {
            let (expected, received) = (from_it.received() + from_it.lost(), from_it.received());
            let (expected_before, received_before) = std::mem::replace(&mut leg.before, (expected, received));
            let expected = expected.saturating_sub(expected_before);
            let lost = expected.saturating_sub(received.saturating_sub(received_before));
            Received {
                source: source.ssrc,
                fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
                lost: from_it.lost(),
                highest: source.highest,
                jitter: (from_it.jitter_ms() * f64::from(source.clock_rate) / 1e3) as u32,
                answers,
            }
        });
        let source = to_it.source();
        let sent = source.as_ref().map(|source| {
            let ntp = ntp(now.wall);
            leg.went = Some(((ntp >> 16) as u32, now.mono));
            let since = now.mono.since(source.at).as_nanos() as u64;
            let ticks = (since / 1_000) * u64::from(source.clock_rate) / 1_000_000;
            let timestamp = source.timestamp.wrapping_add(ticks as u32);
            Sent { ntp, timestamp, packets: source.packets as u32, octets: source.octets as u32 }
        });
        Report { sender: source.map_or(own_source, |source| source.ssrc), sent, received, name }
    }

    /// Our canonical name, the same for the whole call (RFC 7022).
    fn name(&self) -> [u8; 16] {
        let bits = self.random_of(1).to_be_bytes();
        let digit = |i: usize| b"0123456789abcdef"[usize::from(bits[i / 2] >> (4 * (1 - i % 2)) & 15)];
        std::array::from_fn(digit)
    }

    fn draw(&mut self) -> u64 {
        // The upper half stays the call's own; the lower one counts.
        self.random = self.random & !0xffff_ffff | u64::from((self.random as u32).wrapping_add(1));
        mix(self.random)
    }

    fn random_of(&self, what: u64) -> u64 {
        mix((self.random >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(what << 48))
    }
}

/// SplitMix64: one bit of input changes half of the output.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn ntp(wall: Wall) -> u64 {
    let micros = u64::try_from(wall.0).unwrap_or(0);
    let seconds = micros / 1_000_000 + NTP_EPOCH;
    (seconds << 32) | (((micros % 1_000_000) << 32) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { mono: Mono(seconds * 1_000_000_000), wall: Wall((1_800_000_000 + seconds as i64) * 1_000_000) }
    }

    fn stream(packets: impl Iterator<Item = u16>) -> StreamQuality {
        let mut quality = StreamQuality::default();
        for sequence in packets {
            let time = Mono(u64::from(sequence) * 20_000_000);
            quality.on_packet(time, 77, sequence, Some((u32::from(sequence) * 160, 8_000)));
            quality.on_payload(160);
        }
        quality
    }

    #[test]
    fn reports_come_every_five_seconds_more_or_less_and_the_same_for_a_seed() {
        let times = |seed: u64| {
            let mut reports = Reports::new(Mono(0), seed);
            let mut times = vec![reports.next_at()];
            for _ in 0..1_000 {
                let now = reports.next_at();
                assert_eq!(reports.due(now), [true, true]);
                times.push(reports.next_at());
            }
            times
        };
        let drawn = times(5 << 32);
        assert_eq!(drawn[0], Mono(10_000_000_000));
        let gaps: Vec<Duration> = drawn.windows(2).map(|two| two[1].since(two[0])).collect();
        assert!(gaps.iter().all(|gap| (2_052..6_160).contains(&gap.as_millis())), "{gaps:?}");
        let mean = gaps.iter().sum::<Duration>() / gaps.len() as u32;
        assert!((3_900..4_300).contains(&mean.as_millis()), "{mean:?}");
        assert_eq!(times(5 << 32), drawn);
        assert_ne!(times(6 << 32), drawn);
    }

    #[test]
    fn a_side_that_reports_is_left_to_itself() {
        let mut reports = Reports::new(Mono(0), 1);
        let rtcp = Rtcp { sender: 9, sent_at: None, echo: None };
        reports.on_rtcp(at(5).mono, Side::Company, &rtcp);
        assert_eq!(reports.due(at(10).mono), [false, true], "the caller hears the company's own");
        assert_eq!(reports.due(at(15).mono), [true, true], "no more");
    }

    #[test]
    fn a_report_says_what_came_and_what_was_sent() {
        let mut reports = Reports::new(Mono(0), 7 << 32);
        let sr = Rtcp { sender: 77, sent_at: Some(0xabcd), echo: None };
        reports.on_rtcp(at(8).mono, Side::Caller, &sr);
        let from_it = stream((0..100).filter(|i| i % 10 != 5));
        let to_it = stream(0..50);
        let report = reports.make(at(10), Side::Caller, &from_it, &to_it);
        let received = report.received.unwrap();
        assert_eq!((received.source, received.lost, received.highest), (77, 10, 99));
        assert_eq!(received.fraction_lost, 25, "a tenth of 256");
        assert_eq!(received.answers, Some(Echo { sent_at: 0xabcd, held: 2 << 16 }));
        let sent = report.sent.unwrap();
        assert_eq!((report.sender, sent.packets, sent.octets), (77, 50, 8_000));
        assert_eq!(sent.ntp >> 32, 1_800_000_010 + NTP_EPOCH);
        // The last packet left at 0.98 s with 7,840; 9.02 s later the clock shows 80,000.
        assert_eq!(sent.timestamp, 80_000);
        assert!(report.name.iter().all(u8::is_ascii_hexdigit));
        let again = reports.make(at(15), Side::Caller, &from_it, &to_it).received.unwrap();
        assert_eq!((again.fraction_lost, again.lost), (0, 10), "nothing new was lost");
    }

    #[test]
    fn nothing_heard_makes_an_empty_receiver_report() {
        let mut reports = Reports::new(Mono(0), 7 << 32);
        let none = StreamQuality::default();
        let report = reports.make(at(10), Side::Caller, &none, &none);
        assert_eq!((report.sent, report.received), (None, None));
        assert_eq!(reports.make(at(15), Side::Caller, &none, &none).sender, report.sender, "the same source");
    }

    #[test]
    fn the_round_trip_is_what_was_not_held() {
        let mut reports = Reports::new(Mono(0), 1);
        let report = reports.make(at(10), Side::Company, &StreamQuality::default(), &stream(0..5));
        let sent_at = (report.sent.unwrap().ntp >> 16) as u32;
        let answer = |sent_at, held| Rtcp { sender: 9, sent_at: None, echo: Some(Echo { sent_at, held }) };
        reports.on_rtcp(at(11).mono, Side::Company, &answer(sent_at ^ 1, 0));
        assert_eq!(reports.round_trip(Side::Company), None, "of some other report");
        reports.on_rtcp(at(11).mono, Side::Company, &answer(sent_at, 2 << 16));
        assert_eq!(reports.round_trip(Side::Company), None, "held for longer than it was away");
        reports.on_rtcp(at(11).mono, Side::Company, &answer(sent_at, 1 << 15));
        assert_eq!(reports.round_trip(Side::Company), Some(Duration::from_millis(500)));
        reports.on_relayed(at(20).mono, Side::Company, 42);
        reports.on_rtcp(at(21).mono, Side::Company, &answer(42, (1 << 16) - (1 << 14)));
        assert_eq!(reports.round_trip(Side::Company), Some(Duration::from_millis(250)));
        assert_eq!(reports.round_trip(Side::Caller), None);
    }
}
