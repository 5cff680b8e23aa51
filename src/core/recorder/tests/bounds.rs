//! Whatever the packets say, the recording is as long as the talk and memory stays small.

use proptest::prelude::*;

use super::*;

/// Mostly plausible packets with lies mixed in.
fn packet() -> impl Strategy<Value = (u16, u16, u32, u8, u8, u16)> {
    let sequence = prop_oneof![any::<u16>(), 0..50u16];
    let timestamp = prop_oneof![
        any::<u32>(),
        (0..200u32).prop_map(|k| k * 160),
        Just(u32::MAX),
        Just(1 << 31),
        Just((1 << 31) - 1),
    ];
    let size = prop_oneof![Just(160u16), 0..2_000u16];
    (0..400u16, sequence, timestamp, 0..6u8, any::<u8>(), size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn e08_length_is_the_talk_and_memory_is_bounded(
        packets in proptest::collection::vec(packet(), 1..300),
        ticks in any::<u64>(),
    ) {
        let mut recorder = Recorder::new(STARTED);
        let mut out = Vec::new();
        let mut total = 0;
        let mut at = -20 * MS;
        let payload = [0x55u8; 2_000];
        for (k, (step, sequence, timestamp, ssrc, kind, size)) in packets.into_iter().enumerate() {
            at += i64::from(step);
            let pt = [0, 8, 13, 101, 99, 0, 0, 0][usize::from(kind % 8)];
            let side = Side::BOTH[usize::from(kind >> 7)];
            let bytes = rtp(pt, kind & 0x40 != 0, sequence, timestamp, ssrc.into(), &payload[..size.into()]);
            recorder.on_rtp(mono(at), side, &bytes);
            if ticks >> (k % 64) & 1 == 1 {
                loop {
                    let frames = recorder.tick(mono(at), &mut out);
                    prop_assert_eq!(out.len(), frames * 2);
                    total += frames as i64;
                    if frames == 0 { break }
                }
                prop_assert!(total <= at.max(0), "ahead of the clock");
            }
            for channel in &recorder.channels {
                prop_assert!(channel.track.held_samples() <= limits::RECORDER_BUFFER);
                prop_assert!(channel.streams.len() <= limits::RECORDER_STREAMS);
            }
        }
        let end = at + 100;
        loop {
            let frames = recorder.drain(mono(end), &mut out);
            if frames == 0 { break }
            total += frames as i64;
        }
        let summary = recorder.finish(u64::MAX);
        prop_assert_eq!(total, end.max(0));
        prop_assert_eq!(summary.frames as i64, total);
        for side in Side::BOTH {
            let gaps: Vec<_> = summary.gaps.iter().filter(|g| g.channel == side).collect();
            prop_assert!(gaps.len() <= limits::RECORDER_GAPS + 1);
            let sum: u64 = gaps.iter().map(|g| g.for_ms).sum();
            prop_assert!(sum <= total as u64 / 8 + gaps.len() as u64, "gaps are no longer than the recording");
            prop_assert!(gaps.windows(2).all(|g| g[0].at_ms <= g[1].at_ms));
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in -100i64..100_000) {
        let mut recorder = Recorder::new(STARTED);
        recorder.on_rtp(mono(at), Side::Caller, &bytes);
        recorder.on_rtp(Mono(0), Side::Caller, &bytes);
        recorder.on_rtp(Mono(u64::MAX), Side::Caller, &bytes);
        recorder.on_overload(Side::Caller, Mono(u64::MAX), Mono(0));
        recorder.on_formats(Mono(u64::MAX), Side::Caller, &[format(255, "X")], None);
        let mut out = Vec::new();
        recorder.tick(mono(at), &mut out);
    }
}

#[test]
fn e08_timestamps_that_jump_by_half_their_range_make_no_long_file() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(500);
    a.network(|k, wire, _| {
        let lie = if k % 2 == 0 { 0u32 } else { 1 << 31 };
        wire.bytes[4..8].copy_from_slice(&lie.to_be_bytes());
    });
    let heard = record(&[&a], &[], 80_000);
    assert_eq!(heard.summary.frames, 80_000);
}

#[test]
fn a_gap_at_every_second_packet_is_summed() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(2_000);
    a.lose(|k, _| k % 2 == 1);
    let heard = record(&[&a], &[], 2_000 * 160);
    let gaps = heard.gaps(Side::Caller);
    assert_eq!(gaps.len(), limits::RECORDER_GAPS + 1);
    let total: u64 = gaps.iter().map(|g| g.1).sum();
    assert_eq!((gaps.last().map(|g| g.2), total), (Some("more"), 1_000 * 20));
}

#[test]
fn e08_numbers_may_wrap_at_every_packet() {
    for k in 0..40 {
        let mut a = Phone::new(Side::Caller, 0);
        (a.sequence, a.timestamp) = (0u16.wrapping_sub(k), 0u32.wrapping_sub(u32::from(k) * 160 + 7));
        a.talk(60);
        let heard = record(&[&a], &[], 60 * 160);
        assert_eq!(heard.aligned(Side::Caller), 0, "{k}");
        assert!(heard.gaps(Side::Caller).is_empty(), "{k}: {:?}", heard.gaps(Side::Caller));
    }
}
