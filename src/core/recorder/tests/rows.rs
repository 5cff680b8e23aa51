//! Rows E19 and E20 of the reliability list.

use proptest::prelude::*;

use super::*;
use crate::core::media::Remote;
use crate::core::media_address::OwnMedia;
use crate::core::relay::{Refusal, Relay};

const SECOND: i64 = 1_000 * MS;
const BOTH_WAYS: Flowing = Flowing { from_side: true, to_side: true };

/// A relay whose sides have agreed on both laws.
fn relay() -> (Relay, [std::net::SocketAddr; 2]) {
    let own = OwnMedia { addresses: vec!["203.0.113.9".parse().unwrap()], ports: (20_000, 29_999) };
    let mut relay = Relay::new(mono(0), Arc::new(own), Duration::ZERO);
    let sources = ["192.0.2.10:4000", "192.0.2.11:4000"].map(|text| text.parse::<std::net::SocketAddr>().unwrap());
    for side in Side::BOTH {
        let rtp = sources[side.index()];
        let formats = vec![format(8, "PCMA"), format(0, "PCMU"), format(13, "CN")];
        let remote = Remote {
            rtp,
            rtcp: std::net::SocketAddr::new(rtp.ip(), rtp.port() + 1),
            signalling: rtp.ip(),
            nat: false,
            vouched: true,
            rtcp_mux: false,
            said: formats.len(),
            formats,
            flowing: BOTH_WAYS,
            presses: Default::default(),
            secure: None,
        };
        relay.set_remote(mono(0), side, Some(&remote)).unwrap();
    }
    (relay, sources)
}

#[test]
fn e19_codec_packet_time_and_size_change_in_mid_stream() {
    let mut phone = Phone::new(Side::Caller, 0);
    for (k, ms) in [20, 10, 30, 40, 60, 20].into_iter().cycle().take(24).enumerate() {
        (phone.payload_type, phone.law) = if k % 2 == 0 { (0, Law::Mu) } else { (8, Law::A) };
        phone.ptime = ms * MS;
        phone.talk(12);
    }
    // Comfort noise and a pause, then packets of one sample, then of 80 samples.
    phone.send(13, false, &[60], None);
    phone.pause(200 * MS, true);
    phone.ptime = 1;
    phone.talk(400);
    phone.ptime = 10 * MS;
    phone.talk(50);
    let length = phone.clock;
    // And some that nobody can mean.
    let huge: Vec<Wire> = (0..10)
        .map(|k| Wire {
            arrival: k * SECOND / 2,
            side: Side::Caller,
            bytes: rtp(8, false, 40_000, 7, phone.ssrc, &[0x55; 8_000]),
            due: None,
        })
        .collect();
    let (mut relay, sources) = relay();
    let mut accepted = phone.clone();
    accepted.sent.clear();
    let mut sent: Vec<Wire> = phone.sent.iter().cloned().chain(huge).collect();
    sent.sort_by_key(|wire| wire.arrival);
    for wire in sent {
        let verdict = relay.on_rtp(mono(wire.arrival), Side::Caller, sources[0], &wire.bytes);
        if wire.bytes.len() > limits::RTP_PACKET {
            assert_eq!(verdict, Err(Refusal::TooLong), "oversize is dropped");
            continue;
        }
        if let Ok(passed) = verdict {
            assert_eq!(passed.to, Some(sources[1]), "and everything else goes on");
            accepted.sent.push(wire);
        } else {
            assert_eq!(verdict, Err(Refusal::RateLimit), "8,000 packets a second are more than a leg may");
        }
    }
    let heard = record(&[&accepted], &[], length);
    assert_eq!(heard.aligned(Side::Caller), 0, "the recorder follows");
    let stats = heard.stats(Side::Caller);
    assert_eq!((stats.malformed, stats.misplaced, stats.undecodable, stats.streams), (0, 0, 0, 1));
    let gaps = heard.gaps(Side::Caller);
    assert!(gaps.iter().any(|gap| gap.2 == "dtx" && gap.1.abs_diff(200) <= 2), "{gaps:?}");
}

#[test]
fn e19_the_recorder_leaves_oversize_alone_too() {
    let mut phone = Phone::new(Side::Caller, 0);
    phone.talk(100);
    let bytes = rtp(0, false, 9, 9, phone.ssrc, &[0x55; 8_000]);
    phone.sent.push(Wire { arrival: SECOND, side: Side::Caller, bytes, due: None });
    let heard = record(&[&phone], &[], 2 * SECOND);
    assert_eq!((heard.aligned(Side::Caller), heard.stats(Side::Caller).malformed), (0, 1));
}

/// A click in the middle of each packet of `ptime` samples, by a clock that is `ppm` off.
struct Clicks {
    side: Side,
    ppm: i64,
    ptime: i64,
    packet: i64,
}

impl Clicks {
    /// When the packet is sent, by our clock.
    fn due(&self, packet: i64) -> i64 {
        let theirs = packet * self.ptime;
        theirs + theirs * self.ppm / 1_000_000
    }

    /// How far the nearest click is from a place.
    fn off(&self, place: i64) -> i64 {
        let near = place * 1_000_000 / (1_000_000 + self.ppm) / self.ptime;
        (near - 1..=near + 1).map(|k| (place - self.due(k) - self.ptime / 2).abs()).min().unwrap_or_default()
    }

    fn next(&mut self) -> (i64, Vec<u8>) {
        let k = self.packet;
        self.packet += 1;
        let mut payload = vec![0xff; self.ptime as usize];
        payload[self.ptime as usize / 2] = 0x80;
        let timestamp = (k * self.ptime) as u32;
        (self.due(k), rtp(0, false, k as u16, timestamp, 1 + self.side.index() as u32, &payload))
    }
}

/// Two clocks that drift apart by a tenth of a per cent, for two hours: 7.2 s at the end.
#[test]
fn e20_clocks_that_are_500_ppm_off_for_two_hours() {
    const HOURS: i64 = 2 * 3_600 * SECOND;
    const PTIME: i64 = 60 * MS;
    let mut senders =
        [(Side::Caller, 500), (Side::Company, -500)].map(|(side, ppm)| Clicks { side, ppm, ptime: PTIME, packet: 0 });
    let mut recorder = Recorder::new(STARTED);
    let (mut out, mut written, mut at) = (Vec::new(), 0i64, 0);
    let (mut clicks, mut worst) = ([0i64; 2], [0i64; 2]);
    let mut listen = |out: &[i16], written: i64, senders: &[Clicks; 2]| {
        for (n, frame) in out.chunks_exact(2).enumerate() {
            for side in [0, 1] {
                if frame[side].unsigned_abs() > 20_000 {
                    let position = written + n as i64;
                    worst[side] = worst[side].max(senders[side].off(position));
                    clicks[side] += 1;
                }
            }
        }
    };
    let mut pending = senders.each_mut().map(Clicks::next);
    while at < HOURS {
        at += 200 * MS;
        loop {
            let first = usize::from(pending[1].0 < pending[0].0);
            if pending[first].0 > at {
                break;
            }
            let (when, bytes) = std::mem::replace(&mut pending[first], senders[first].next());
            recorder.on_rtp(mono(when), senders[first].side, &bytes);
        }
        loop {
            let frames = recorder.tick(mono(at), &mut out) as i64;
            if frames == 0 {
                break;
            }
            listen(&out, written, &senders);
            written += frames;
        }
    }
    loop {
        let frames = recorder.drain(mono(HOURS), &mut out) as i64;
        if frames == 0 {
            break;
        }
        listen(&out, written, &senders);
        written += frames;
    }
    assert_eq!(written, HOURS, "as long as the talk");
    assert!(worst.iter().all(|off| *off <= 20 * MS), "channels stay within a packet: {worst:?} samples");
    for side in [0, 1] {
        let due = HOURS * 1_000_000 / (PTIME * (1_000_000 + senders[side].ppm));
        assert!(clicks[side].abs_diff(due) <= 2, "{} of {due}", clicks[side]);
    }
    let stats = recorder.finish(u64::MAX).stats;
    assert!(stats.caller.drift_steps > 100 && stats.company.drift_steps > 100, "{stats:?}");
    assert_eq!(stats.caller.anchored_anew + stats.company.anchored_anew, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Half a minute over a bad network: everything that came in time is at its place, and where loss was there is a gap.
    #[test]
    fn e20_jitter_loss_duplicates_and_bursts(
        seed in 1u32..u32::MAX,
        ppm in -500i64..=500,
        jitter_ms in 0i64..=200,
        loss in 0u32..=50,
        duplicates in 0u32..=20,
        burst_ms in 0i64..=150,
    ) {
        const LENGTH: i64 = 30 * SECOND;
        let mut random = seed;
        let mut draw = move |below: u32| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random % below.max(1)
        };
        let mut sender = Clicks { side: Side::Caller, ppm, ptime: 20 * MS, packet: 0 };
        let (mut sent, mut lost, mut came) = (Vec::new(), 0, 0);
        while sender.due(sender.packet) < LENGTH {
            let (due, bytes) = sender.next();
            if sender.packet > 3 && draw(100) < loss {
                lost += 1;
                continue;
            }
            came += 1;
            // Every two seconds nothing comes through for a while, then everything at once.
            let held = 2 * SECOND - due % (2 * SECOND);
            let burst = if held < burst_ms * MS { held } else { 0 };
            let arrival = due + burst.max(i64::from(draw((jitter_ms * MS) as u32 + 1)));
            if draw(100) < duplicates {
                sent.push((arrival + i64::from(draw(400)), bytes.clone()));
            }
            sent.push((arrival, bytes));
        }
        sent.sort_by_key(|(arrival, _)| *arrival);
        let mut recorder = Recorder::new(STARTED);
        let (mut all, mut out, mut tick) = (Vec::<i16>::new(), Vec::new(), 0);
        for (arrival, bytes) in sent.iter().filter(|(arrival, _)| *arrival < LENGTH) {
            while tick < *arrival {
                while recorder.tick(mono(tick), &mut out) > 0 {
                    all.extend(out.iter().copied().step_by(2));
                }
                tick += 20 * MS;
            }
            recorder.on_rtp(mono(*arrival), Side::Caller, bytes);
        }
        while recorder.drain(mono(LENGTH), &mut out) > 0 {
            all.extend(out.iter().copied().step_by(2));
        }
        let summary = recorder.finish(u64::MAX);
        prop_assert_eq!((all.len() as i64, summary.frames as i64), (LENGTH, LENGTH), "length");
        // Behind the first seconds, in which the smallest delay is still looked for.
        let clicks: Vec<i64> = (0i64..).zip(&all).filter(|(_, s)| s.unsigned_abs() > 20_000).map(|(n, _)| n).collect();
        prop_assert!(clicks.len() as i64 <= came, "nothing twice");
        for at in clicks.iter().filter(|at| **at > 5 * SECOND) {
            let off = sender.off(*at);
            prop_assert!(off <= 20 * MS, "{off} samples off at {at}");
        }
        let stats = summary.stats.caller;
        let missing = lost * 20 + stats.late as i64 * 20 + stats.misplaced as i64 * 20;
        let told: i64 = summary.gaps.iter().filter(|gap| gap.channel == Side::Caller).map(|gap| gap.for_ms as i64).sum();
        prop_assert!((told - missing).abs() <= 400 + missing / 5, "{told} ms told, {missing} ms missing: {stats:?}");
        prop_assert!(stats.late + stats.misplaced <= came as u64 / 10, "{stats:?}");
    }
}
