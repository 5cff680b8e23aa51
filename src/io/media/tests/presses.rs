//! Keys over real sockets: what a phone hears of them, as events in the place of audio, as events alone, and not at all.

use super::*;
use crate::core::dtmf::{Detector, EventPacket};
use crate::core::media::Presses;
use crate::wire::rtp::Rtp;

over_both_drivers! {
    a_key_takes_the_place_of_audio_and_the_audio_goes_on
    a_key_without_audio_has_a_stream_of_its_own
    events_do_not_go_to_a_side_that_hears_of_keys_in_info
    tones_are_keys_where_that_is_wanted
}

const KEY: Duration = Duration::from_millis(100);

/// Keys in these packets.
fn keys(packets: &[Vec<u8>]) -> String {
    let (mut detector, mut keys) = (Detector::default(), String::new());
    for (n, bytes) in packets.iter().enumerate() {
        let rtp = Rtp::parse(bytes).unwrap();
        if rtp.payload_type() != 101 {
            continue;
        }
        let packet = EventPacket {
            ssrc: rtp.ssrc(),
            sequence: rtp.sequence(),
            timestamp: rtp.timestamp(),
            marker: rtp.marker(),
            clock_rate: 8_000,
            payload: rtp.payload(),
        };
        detector.on_packet(Mono(n as u64 * 20_000_000), &packet, |digit| keys.push(digit.key));
    }
    keys
}

fn a_key_takes_the_place_of_audio_and_the_audio_goes_on(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    call.says(Side::Caller, 0);
    bench.command(&call, MediaCommand::Press(Side::Company, '5', KEY));
    let mut heard = Vec::new();
    for sequence in 1..20 {
        call.phones[0].rtp.send_to(&rtp(sequence), call.local[0].rtp).unwrap();
        heard.push(call.phones[1].hear().expect("something").0);
    }
    assert_eq!(keys(&heard), "5");
    let numbers: Vec<(u32, u16)> =
        heard.iter().map(|b| Rtp::parse(b).map(|p| (p.ssrc(), p.sequence())).unwrap()).collect();
    assert_eq!(numbers, (1..20).map(|n| (77, n)).collect::<Vec<_>>(), "one stream without a seam");
    assert_eq!(
        heard[7..],
        (8..20).map(rtp).collect::<Vec<_>>(),
        "five packets of the key, two more ends, then the audio"
    );
    call.says(Side::Company, 1);
    let summary = bench.close(&call);
    assert_eq!((summary.caller.received, summary.caller.relayed), (20, 20));
}

fn a_key_without_audio_has_a_stream_of_its_own(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    bench.engine.command(call.id, MediaCommand::Press(Side::Caller, '#', KEY));
    let heard: Vec<Vec<u8>> = (0..7).map(|_| call.phones[0].hear().expect("a packet of the key").0).collect();
    assert_eq!(keys(&heard), "#");
    bench.close(&call);
}

fn events_do_not_go_to_a_side_that_hears_of_keys_in_info(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    let presses = Presses { by_info: true, ..Presses::default() };
    bench.remote(&call, Side::Company, Remote { presses, ..call.phones[1].remote() });
    let event = |sequence: u16, end: u8| {
        let mut bytes = rtp(sequence);
        bytes.truncate(12);
        bytes[1] = 101;
        bytes.extend([7, end | 10, 1, 0]);
        bytes
    };
    for sequence in 1..4 {
        call.phones[0].rtp.send_to(&event(sequence, if sequence == 3 { 0x80 } else { 0 }), call.local[0].rtp).unwrap();
    }
    call.says(Side::Caller, 4);
    let told = std::iter::from_fn(|| bench.notices.recv_timeout(PATIENCE).ok()).find_map(|(_, notice)| {
        if let MediaNotice::Digit(side, digit) = notice { Some((side, digit.key)) } else { None }
    });
    assert_eq!(told, Some((Side::Caller, '7')), "but we have heard it");
    // The other way they go.
    call.phones[1].rtp.send_to(&event(1, 0), call.local[1].rtp).unwrap();
    assert_eq!(call.phones[0].hear().expect("relayed").0, event(1, 0));
    bench.close(&call);
}

fn tones_are_keys_where_that_is_wanted(engine: Engine) {
    for inband in [false, true] {
        let bench = Bench::new(engine, 20);
        let call = bench.talk(1);
        let presses = Presses { inband, ..Presses::default() };
        bench.remote(&call, Side::Caller, Remote { presses, ..call.phones[0].remote() });
        for sequence in 0..20u16 {
            let mut bytes = rtp(sequence);
            bytes.truncate(12);
            bytes.extend((0..160u32).map(|n| {
                let n = f64::from(u32::from(sequence) * 160 + n) / 8_000.0;
                let on = (5..10).contains(&sequence);
                let tones = (std::f64::consts::TAU * 852.0 * n).sin() + (std::f64::consts::TAU * 1_336.0 * n).sin();
                crate::wire::codec::g711::Law::A.encode(if on { (6_000.0 * tones) as i16 } else { 0 })
            }));
            call.phones[0].rtp.send_to(&bytes, call.local[0].rtp).unwrap();
            assert_eq!(call.phones[1].hear().expect("relayed").0, bytes, "tones cross as they are");
        }
        bench.engine.command(call.id, MediaCommand::Close(bench.now()));
        let mut tones = String::new();
        while let Ok((_, notice)) = bench.notices.recv_timeout(PATIENCE) {
            match notice {
                MediaNotice::Tone(Side::Caller, digit) => tones.push(digit.key),
                MediaNotice::Closed(_) => break,
                _ => {}
            }
        }
        assert_eq!(tones, if inband { "8" } else { "" });
    }
}
