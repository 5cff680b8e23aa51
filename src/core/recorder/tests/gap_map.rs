//! What the event says of silence.

use super::*;

const SECOND: i64 = 1_000 * MS;

fn flowing(from_side: bool) -> Option<Flowing> {
    Some(Flowing { from_side, to_side: true })
}

#[test]
fn loss_is_named_where_it_was() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(200);
    a.lose(|k, _| (50..60).contains(&k) || k == 70);
    let heard = record(&[&a], &[], 4 * SECOND);
    assert_eq!(heard.gaps(Side::Caller), [(1_000, 200, "loss"), (1_400, 20, "loss")]);
    assert_eq!(heard.aligned(Side::Caller), 0);
}

#[test]
fn a_loss_longer_than_the_window_is_still_named() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(400);
    a.lose(|k, _| (50..250).contains(&k));
    assert_eq!(record(&[&a], &[], 8 * SECOND).gaps(Side::Caller), [(1_000, 4_000, "loss")]);
}

#[test]
fn hold_with_and_without_timestamps() {
    for timestamps_go_on in [true, false] {
        let mut a = Phone::new(Side::Caller, 0);
        a.talk(100).pause(5 * SECOND, timestamps_go_on).talk(100);
        let words = [
            (2 * SECOND + 300, Side::Caller, vec![], flowing(false)),
            (7 * SECOND - 200, Side::Caller, vec![], flowing(true)),
        ];
        let heard = record(&[&a], &words, 9 * SECOND);
        assert_eq!(heard.aligned(Side::Caller), 0);
        assert_eq!(heard.gaps(Side::Caller), [(2_000, 5_000, "hold")], "{timestamps_go_on}");
    }
}

#[test]
fn a_talk_that_ends_on_hold() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(100);
    let words = [(2 * SECOND + 20 * MS, Side::Caller, vec![], flowing(false))];
    assert_eq!(record(&[&a], &words, 9 * SECOND).gaps(Side::Caller), [(2_000, 7_000, "hold")]);
}

#[test]
fn key_presses_are_silence_of_their_own() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(100);
    for k in 1..=8u16 {
        let [high, low] = (k * 160).to_be_bytes();
        let end = if k == 8 { 0x80 } else { 0 };
        a.send(101, k == 1, &[5, end | 10, high, low], None);
        a.clock += 20 * MS;
    }
    a.timestamp = a.timestamp.wrapping_add(8 * 160);
    a.talk(100);
    let words = [(-SECOND, Side::Caller, vec![format(0, "PCMU"), format(101, "TELEPHONE-EVENT")], flowing(true))];
    let heard = record(&[&a], &words, a.clock);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.gaps(Side::Caller), [(2_000, 160, "dtmf")]);
    assert_eq!(heard.stats(Side::Caller).silent, 8);
}

#[test]
fn a_format_that_cannot_be_decoded() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(50);
    a.payload_type = 18;
    a.talk(50);
    a.payload_type = 0;
    a.talk(50);
    a.network(|k, wire, _| {
        if (50..100).contains(&k) {
            wire.due = None;
        }
    });
    let heard = record(&[&a], &[], 3 * SECOND);
    assert_eq!(heard.aligned(Side::Caller), 0);
    assert_eq!(heard.gaps(Side::Caller), [(1_000, 1_000, "codec")]);

    let mut only = Phone::new(Side::Company, 0);
    only.payload_type = 96;
    only.talk(100);
    assert_eq!(record(&[&only], &[], 2 * SECOND).gaps(Side::Company), [(0, 2_000, "codec")]);
}

#[test]
fn silence_to_the_end_after_comfort_noise() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(50);
    a.send(13, false, &[60], None);
    assert_eq!(record(&[&a], &[], 3 * SECOND).gaps(Side::Caller), [(1_000, 2_000, "dtx")]);
}

#[test]
fn what_we_dropped_ourselves_is_named() {
    let mut a = Phone::new(Side::Caller, 0);
    a.talk(100);
    a.lose(|k, _| (50..60).contains(&k));
    let mut recorder = Recorder::new(STARTED);
    let mut out = Vec::new();
    for wire in &a.sent {
        if wire.arrival == 60 * 160 {
            recorder.on_overload(Side::Caller, mono(50 * 160), mono(59 * 160));
        }
        recorder.on_rtp(mono(wire.arrival), Side::Caller, &wire.bytes);
        while recorder.tick(mono(wire.arrival), &mut out) > 0 {}
    }
    while recorder.drain(mono(2 * SECOND), &mut out) > 0 {}
    let summary = recorder.finish(u64::MAX);
    assert_eq!(summary.overload, 10 * 160);
    let gap = &summary.gaps[0];
    assert_eq!((gap.at_ms, gap.for_ms, gap.cause.as_str()), (1_000, 200, "overload"));
}

#[test]
fn a_talk_without_any_media() {
    let heard = record(&[], &[], 5 * SECOND + 3);
    assert_eq!(heard.gaps(Side::Caller), [(0, 5_000, "no_media")]);
    assert_eq!(heard.gaps(Side::Company), [(0, 5_000, "no_media")]);
}

#[test]
fn fax_is_a_gap_of_its_own() {
    let mut phone = Phone::new(Side::Caller, 0);
    phone.talk(100).pause(2_000 * MS, true).talk(100);
    let fax = PayloadFormat { payload_type: 127, ..format(127, "T38") };
    let words = vec![
        (2_010 * MS, Side::Caller, vec![fax], Some(Flowing { from_side: true, to_side: true })),
        (3_990 * MS, Side::Caller, vec![format(0, "PCMU")], Some(Flowing { from_side: true, to_side: true })),
    ];
    let heard = record(&[&phone], &words, 6_000 * MS);
    assert_eq!(heard.aligned(Side::Caller), 0);
    let gaps = heard.gaps(Side::Caller);
    let fax: u64 = gaps.iter().filter(|gap| gap.2 == "fax").map(|gap| gap.1).sum();
    assert!(fax >= 1_970, "{gaps:?}");
}
