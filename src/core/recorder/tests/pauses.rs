//! Row G10 of the reliability list: from the pause on no sample of either side, whatever comes when.

use super::*;

const SECOND: i64 = 1_000 * MS;

/// Plays two phones into a recorder that pauses and goes on at these times, and checks what must be true of every such
/// recording. Gives the gaps of the caller.
fn paused(phones: [&Phone; 2], pauses: &[(i64, i64)], length: i64) -> Vec<(u64, u64, String)> {
    let mut sent: Vec<&Wire> = phones.iter().flat_map(|phone| &phone.sent).collect();
    sent.sort_by_key(|wire| wire.arrival);
    let mut sent = sent.into_iter().filter(|wire| wire.arrival <= length).peekable();
    let mut words: Vec<(i64, bool)> = pauses.iter().flat_map(|(from, to)| [(*from, true), (*to, false)]).collect();
    words.retain(|(at, _)| *at <= length);
    let mut words = words.into_iter().peekable();
    let (mut recorder, mut all, mut out) = (Recorder::new(STARTED), Vec::new(), Vec::new());
    for at in 0..=length {
        while let Some((at, pause)) = words.next_if(|word| word.0 == at) {
            if pause { recorder.on_pause(mono(at)) } else { recorder.on_resume(mono(at)) }
        }
        // Unlike the media thread, which keeps them back, this one lets all packets through.
        while let Some(wire) = sent.next_if(|wire| wire.arrival <= at) {
            recorder.on_rtp(mono(wire.arrival), wire.side, &wire.bytes);
        }
        if at % 160 == 0 {
            while recorder.tick(mono(at), &mut out) > 0 {
                all.extend_from_slice(&out);
            }
        }
    }
    while recorder.drain(mono(length), &mut out) > 0 {
        all.extend_from_slice(&out);
    }
    let summary = recorder.finish(length as u64);
    assert_eq!((summary.frames as i64, all.len() as i64), (length, length * 2), "as long as the talk");
    for (from, to) in pauses {
        let within = &all[*from as usize * 2..(*to).min(length) as usize * 2];
        assert!(within.iter().all(|sample| *sample == 0), "heard in the pause {from}..{to}");
        let before = &all[(*from as usize - 400) * 2..*from as usize * 2];
        assert!(before.iter().any(|sample| *sample != 0), "heard up to the pause at {from}");
        let after = all.get(*to as usize * 2 + 2..(*to as usize + 400) * 2).unwrap_or_default();
        assert!(after.is_empty() || after.iter().any(|sample| *sample != 0), "heard after the pause to {to}");
    }
    let of = |side| summary.gaps.iter().filter(move |gap| gap.channel == side);
    let shown = |side| of(side).map(|gap| (gap.at_ms, gap.for_ms, gap.cause.clone())).collect::<Vec<_>>();
    let pauses = |side| shown(side).into_iter().filter(|gap| gap.2 == "pause").collect::<Vec<_>>();
    assert_eq!(pauses(Side::Caller), pauses(Side::Company), "both sides pause");
    shown(Side::Caller)
}

fn talking(seconds: usize) -> [Phone; 2] {
    Side::BOTH.map(|side| {
        let mut phone = Phone::new(side, 0);
        phone.talk(seconds * 50);
        phone
    })
}

fn gap(at_ms: u64, for_ms: u64, cause: &str) -> (u64, u64, String) {
    (at_ms, for_ms, cause.to_owned())
}

#[test]
fn g10_nothing_is_heard_from_the_pause_to_its_end() {
    let [a, b] = talking(10);
    let gaps = paused([&a, &b], &[(2 * SECOND + 77, 5 * SECOND + 33)], 10 * SECOND);
    assert_eq!(gaps, [gap(2_009, 2_995, "pause")]);
    let twice = [(SECOND, 2 * SECOND), (3 * SECOND, 3 * SECOND + 8)];
    assert_eq!(paused([&a, &b], &twice, 10 * SECOND), [gap(1_000, 1_000, "pause"), gap(3_000, 1, "pause")]);
}

#[test]
fn g10_an_end_within_a_pause_and_a_pause_to_the_end() {
    let [a, b] = talking(10);
    assert_eq!(paused([&a, &b], &[(2 * SECOND, 99 * SECOND)], 4 * SECOND + 5), [gap(2_000, 2_001, "pause")]);
    assert_eq!(paused([&a, &b], &[(4 * SECOND - 1, 99 * SECOND)], 4 * SECOND), [gap(3_999, 0, "pause")]);
}

#[test]
fn g10_what_was_said_in_the_pause_and_comes_after_it_is_not_heard() {
    let [mut a, mut b] = talking(10);
    // Everything of the last 190 ms of the pause is held up somewhere and comes in one burst after it.
    for phone in [&mut a, &mut b] {
        phone.network(|_, wire, _| {
            if (4 * SECOND - 190 * MS..4 * SECOND).contains(&wire.arrival) {
                wire.arrival = 4 * SECOND + 5 * MS;
            }
        });
    }
    let gaps = paused([&a, &b], &[(2 * SECOND, 4 * SECOND)], 10 * SECOND);
    assert_eq!(gaps, [gap(2_000, 2_000, "pause")]);
}

#[test]
fn g10_what_was_said_before_the_pause_and_reaches_into_it_is_cut() {
    let [mut a, b] = talking(10);
    // Packets of the pause that come before it: only a wrong clock does that.
    a.network(|_, wire, _| {
        if (2 * SECOND..2 * SECOND + 80 * MS).contains(&wire.arrival) {
            wire.arrival = 2 * SECOND - MS;
        }
    });
    assert_eq!(paused([&a, &b], &[(2 * SECOND, 4 * SECOND)], 6 * SECOND), [gap(2_000, 2_000, "pause")]);
}

#[test]
fn g10_loss_jitter_keys_and_another_stream_in_a_pause() {
    let [mut a, mut b] = talking(4);
    for k in 1..=8u16 {
        let [high, low] = (k * 160).to_be_bytes();
        a.send(101, k == 1, &[5, if k == 8 { 0x8a } else { 10 }, high, low], None);
        a.clock += 20 * MS;
    }
    a.timestamp += 1_280;
    a.talk(50);
    (a.ssrc, a.timestamp, a.sequence) = (99, 7, 60_000);
    a.talk(250);
    b.talk(350);
    for phone in [&mut a, &mut b] {
        phone.network(|_, wire, r| wire.arrival += i64::from(r % 60) * MS).lose(|_, r| r % 20 == 0);
    }
    let gaps = paused([&a, &b], &[(3 * SECOND, 6 * SECOND + 500)], 10 * SECOND);
    assert!(gaps.contains(&gap(3_000, 3_063, "pause")), "{gaps:?}");
}
