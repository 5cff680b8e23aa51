//! Alignment and content under what networks and phones do.

use super::*;

const SECOND: i64 = 1_000 * MS;

/// Two phones that talk for `seconds` from the answer on, the company 40 ms later.
fn pair(seconds: usize) -> (Phone, Phone) {
    let (mut a, mut b) = (Phone::new(Side::Caller, 3), Phone::new(Side::Company, 40 * MS));
    a.talk(seconds * 50);
    b.talk(seconds * 50);
    (a, b)
}

/// Up to 30 ms, the first packet on time.
fn jitter(k: usize, wire: &mut Wire, r: u32) {
    if k > 0 {
        wire.arrival += i64::from(r % (30 * MS as u32));
    }
}

#[test]
fn a_clean_talk_is_exact() {
    let (a, b) = pair(10);
    let heard = record(&[&a, &b], &[], 10 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.aligned(Side::Company), 0);
    assert!(heard.summary.gaps.is_empty(), "{:?}", heard.summary.gaps);
    assert_eq!(heard.stats(Side::Caller).anchored_anew + heard.stats(Side::Company).drift_steps, 0);
}

#[test]
fn loss_and_jitter_and_reordering_and_duplicates_shift_nothing() {
    let (mut a, mut b) = pair(60);
    for phone in [&mut a, &mut b] {
        phone.lose(|k, r| k > 0 && r % 100 < 3);
        phone.network(jitter);
        let copies: Vec<Wire> = phone.sent.iter().step_by(7).cloned().collect();
        phone.sent.extend(copies.into_iter().map(|w| Wire { arrival: w.arrival + 13 * MS, ..w }));
    }
    let heard = record(&[&a, &b], &[], 60 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.aligned(Side::Company), 0);
    assert!(heard.stats(Side::Caller).duplicates > 400);
    assert_eq!(heard.stats(Side::Caller).anchored_anew, 0);
    assert!(heard.gaps(Side::Caller).iter().all(|g| g.2 == "loss" && g.1 >= 20), "{:?}", heard.gaps(Side::Caller));
}

#[test]
fn a_first_packet_that_is_late_shifts_nothing() {
    let (mut a, mut b) = pair(20);
    a.network(|k, wire, r| if k == 0 { wire.arrival += 28 * MS } else { jitter(k, wire, r) });
    b.network(|k, wire, _| wire.arrival += if k < 5 { 60 * MS } else { 0 });
    let heard = record(&[&a, &b], &[], 20 * SECOND);
    let places = heard.places(Side::Caller, 400);
    let shift = places[0].1.expect("the first packet is in the recording");
    assert!((0..8 * MS).contains(&shift), "the smallest of twelve delays: {shift}");
    let later = places.iter().filter(|place| place.0 > 4 * SECOND).filter_map(|place| place.1);
    assert!(later.clone().all(|shift| (0..MS * 2).contains(&shift)), "the smallest of fifty: {:?}", later.max());
    assert_eq!(heard.aligned(Side::Company), 0);
}

#[test]
fn one_side_starts_late() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(400);
    let mut b = Phone::new(Side::Company, 3 * SECOND + 17);
    b.talk(200);
    let heard = record(&[&a, &b], &[], 8 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.aligned(Side::Company), 0);
    assert_eq!(heard.gaps(Side::Company), [(0, 3_002, "late_start"), (7_002, 998, "no_media")]);
}

#[test]
fn two_seconds_of_nothing_with_and_without_timestamps() {
    for timestamps_go_on in [true, false] {
        let (a, mut b) = pair(12);
        b = Phone::new(b.side, b.clock - 12 * SECOND);
        b.talk(200).pause(2 * SECOND, timestamps_go_on).talk(300);
        b.network(jitter);
        let heard = record(&[&a, &b], &[], 12 * SECOND);
        assert_eq!(heard.aligned(Side::Caller), 0);
        let places = heard.places(Side::Company, 160);
        // Where a late anchor is corrected, the packet there loses some milliseconds.
        assert!(places.iter().filter(|place| place.1.is_none()).count() <= usize::from(!timestamps_go_on));
        for (due, shift) in places {
            let Some(shift) = shift else { continue };
            let most = if due > 5 * SECOND && !timestamps_go_on { 8 * MS } else { 0 };
            assert!((0..=most).contains(&shift), "due {due}: {shift}, timestamps {timestamps_go_on}");
        }
        heard.no_crosstalk(Side::Company);
        let gaps = heard.gaps(Side::Company);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].0 == 4_040 && (1_995..2_009).contains(&gaps[0].1) && gaps[0].2 == "dtx", "{gaps:?}");
    }
}

#[test]
fn a_network_that_stands_still_and_then_bursts_shifts_nothing() {
    let (mut a, b) = pair(12);
    a.network(|k, wire, _| {
        if (150..165).contains(&k) {
            wire.arrival = 170 * 160;
        }
    });
    let heard = record(&[&a, &b], &[], 12 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.stats(Side::Caller).anchored_anew, 0);
    assert!(heard.gaps(Side::Caller).is_empty());
}

#[test]
fn a_stall_longer_than_the_window_is_late_and_shifts_nothing() {
    let (mut a, b) = pair(12);
    a.network(|k, wire, _| {
        if (150..250).contains(&k) {
            wire.arrival = 250 * 160;
        }
    });
    let heard = record(&[&a, &b], &[], 12 * SECOND);
    let places = heard.places(Side::Caller, 1_600);
    assert!(places.iter().all(|(_, shift)| matches!(shift, None | Some(0))));
    let missing = places.iter().filter(|p| p.1.is_none()).count();
    assert!((50..=85).contains(&missing), "{missing}");
    let gaps = heard.gaps(Side::Caller);
    assert!(gaps.len() == 1 && gaps[0].0 == 3_000 && gaps[0].2 == "late", "{gaps:?}");
}

#[test]
fn silence_suppression_with_comfort_noise_and_markers() {
    let mut a = Phone::new(Side::Caller, 0);
    for _ in 0..6 {
        a.talk(50);
        a.send(13, false, &[60], None);
        a.pause(700 * MS, true);
        let first = a.sent.len();
        a.talk(10);
        a.sent[first].bytes[1] |= 0x80;
    }
    a.network(jitter);
    let heard = record(&[&a], &[], 12 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    let gaps = heard.gaps(Side::Caller);
    assert_eq!(gaps.iter().filter(|g| g.1 == 700 && g.2 == "dtx").count(), 6, "{gaps:?}");
    assert_eq!(heard.gaps(Side::Company), [(0, 12_000, "no_media")]);
}

#[test]
fn a_marker_after_a_short_pause_without_timestamps_corrects_the_place() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(100).pause(90 * MS, false);
    let first = a.sent.len();
    a.talk(100);
    a.sent[first].bytes[1] |= 0x80;
    let heard = record(&[&a], &[], 5 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
}

#[test]
fn a_new_ssrc_goes_on_in_the_same_channel() {
    let (mut a, b) = pair(3);
    a.ssrc = 0xdead_beef;
    a.sequence = 9;
    a.timestamp = 17;
    a.talk(150);
    let heard = record(&[&a, &b], &[], 6 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.stats(Side::Caller).streams, 2);
    assert!(heard.gaps(Side::Caller).is_empty(), "{:?}", heard.gaps(Side::Caller));
}

#[test]
fn a_restart_of_the_sequence_and_the_timestamps() {
    // With new timestamps; with the old ones; and one whose numbers look like copies of old packets.
    for (sequence, timestamp) in [(40_000, Some(5)), (3, None), (640, Some(99))] {
        let (mut a, b) = pair(3);
        a.sequence = sequence;
        a.timestamp = timestamp.unwrap_or(a.timestamp);
        a.talk(150);
        let heard = record(&[&a, &b], &[], 6 * SECOND);
        assert_eq!(heard.aligned(Side::Caller), 0, "{sequence}");
        assert_eq!(heard.aligned(Side::Company), 0);
    }
}

#[test]
fn sequence_and_timestamp_wrap() {
    let mut a = Phone::new(Side::Caller, 0);
    a.sequence = u16::MAX - 120;
    a.timestamp = u32::MAX - 100 * 160 + 33;
    a.talk(400).network(jitter);
    let heard = record(&[&a], &[], 8 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert!(heard.gaps(Side::Caller).is_empty());
}

#[test]
fn codec_and_packet_time_change_in_mid_stream() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(100);
    (a.law, a.payload_type) = (Law::A, 8);
    a.talk(50);
    for ptime in [10, 30, 40, 60, 1] {
        a.ptime = ptime * MS;
        a.talk(25);
    }
    a.ptime = 77;
    a.talk(40);
    (a.law, a.payload_type) = (Law::Mu, 0);
    a.talk(40);
    let length = a.clock;
    let heard = record(&[&a], &[], length);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert!(heard.gaps(Side::Caller).is_empty(), "{:?}", heard.gaps(Side::Caller));
}

#[test]
fn dynamic_payload_types_are_read_from_the_formats() {
    let mut a = Phone::new(Side::Caller, 0);
    (a.law, a.payload_type) = (Law::A, 107);
    a.talk(100);
    let words = [(-SECOND, Side::Caller, vec![format(107, "pcma"), format(101, "TELEPHONE-EVENT")], None)];
    assert_eq!(record(&[&a], &words, 2 * SECOND).aligned(Side::Caller), 0);
}

#[test]
fn clocks_that_drift_stay_within_one_packet() {
    for ppm in [200i64, -200, 500, -500] {
        let mut a = Phone::new(Side::Caller, 0);
        a.talk(600 * 50);
        a.network(|_, wire, r| {
            // What the sender calls a second takes a little longer, or less, by our clock.
            let true_time = wire.arrival + wire.arrival * ppm / 1_000_000;
            wire.due = wire.due.take().map(|(_, audio)| (true_time, audio));
            wire.arrival = true_time + i64::from(r % (30 * MS as u32));
        });
        let length = 600 * SECOND - 200 * SECOND / 1_000;
        let heard = record(&[&a], &[], length);
        let places = heard.places(Side::Caller, 400);
        let found = places.iter().filter_map(|p| p.1);
        let (least, most) = found.clone().fold((0, 0), |(a, b), s| (a.min(s), b.max(s)));
        assert!(least >= -160 && most <= 160, "{ppm} ppm: {least}..{most} samples");
        // A step back costs the packet it overlaps; a step forward costs nothing.
        assert!(found.count() + 40 >= places.len(), "{ppm}");
        let steps = heard.stats(Side::Caller).drift_steps;
        let expected = (ppm.unsigned_abs() * 600 / 1_000).div_ceil(20);
        assert!((expected / 2..=expected * 2).contains(&steps), "{ppm} ppm: {steps} steps");
    }
}

#[test]
fn early_media_is_not_recorded_but_its_stream_keeps_its_place() {
    let mut b = Phone::new(Side::Company, -1_500 * MS - 5);
    b.talk(250);
    let heard = record(&[&b], &[], 3 * SECOND);
    assert_eq!(heard.aligned(Side::Company), 0);
    assert!(heard.gaps(Side::Company).is_empty(), "{:?}", heard.gaps(Side::Company));
    let first = heard.sent.iter().find(|w| w.arrival >= 0).map(|w| w.arrival as usize);
    assert!(heard.channels[1][..first.unwrap()].iter().all(|s| *s == 0));
}

#[test]
fn a_single_packet_with_a_wild_timestamp_moves_nobody_else() {
    for wild in [5 * SECOND, -6 * SECOND, 1 << 30] {
        let (mut a, b) = pair(5);
        a.network(|k, wire, _| {
            if k == 100 {
                let lie = (0x8000_0000u32).wrapping_add((k as i64 * 160 + wild) as u32);
                wire.bytes[4..8].copy_from_slice(&lie.to_be_bytes());
                wire.due = None;
            }
        });
        let heard = record(&[&a, &b], &[], 5 * SECOND);
        assert_eq!(heard.aligned(Side::Caller), 0, "{wild}");
        assert_eq!(heard.stats(Side::Caller).misplaced, 1);
    }
}

#[test]
fn two_streams_at_once_in_one_channel_hurt_each_other_only_where_they_overlap() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(200);
    let mut flood = Phone::new(Side::Caller, SECOND);
    for k in 0..100 {
        flood.ssrc = 0x5000 + k;
        flood.talk(1);
    }
    let heard = record(&[&a, &flood], &[], 4 * SECOND);
    let places = heard.places(Side::Caller, 0);
    let before = places.iter().filter(|(due, _)| *due < SECOND - 160).all(|p| p.1 == Some(0));
    let after = places.iter().filter(|(due, _)| *due > 3 * SECOND + 160).all(|p| p.1 == Some(0));
    assert!(before && after);
    assert_eq!(heard.stats(Side::Caller).streams, 101);
}
