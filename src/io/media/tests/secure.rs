//! Encrypted legs, over real sockets: what crosses, what is recorded, and what never does.

use super::*;
use crate::core::media::{Secure, SecureMedia};
use crate::wire::srtp::{Context, MasterKey, Suite};

over_both_drivers! {
    an_encrypted_leg_and_a_plain_one_speak_and_the_recording_is_in_clear
    two_encrypted_legs_have_keys_of_their_own
    e13_bad_tags_replays_and_clear_packets_are_dropped
    e13_no_clear_audio_reaches_an_encrypted_leg
    e12_stun_dtls_and_others_on_rtp_ports_get_no_reply
}

fn key(suite: Suite, fill: u8) -> MasterKey {
    MasterKey::new(suite, &vec![fill; suite.key_len() + suite.salt_len()]).unwrap()
}

/// The phone's end of an encrypted leg, and what the engine is told of it.
struct Keys {
    send: Context,
    receive: Context,
    engine: SecureMedia,
}

fn keys(suite: Suite, fill: u8) -> Keys {
    let (theirs, ours) = (key(suite, fill), key(suite, fill + 1));
    let engine = SecureMedia { receive: theirs, send: ours };
    Keys { send: Context::new(&theirs), receive: Context::new(&ours), engine }
}

impl Keys {
    fn seal(&mut self, is_rtcp: bool, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        bytes.resize(packet.len() + 20, 0);
        let sealed = match is_rtcp {
            false => self.send.protect_rtp(&mut bytes, packet.len()),
            true => self.send.protect_rtcp(&mut bytes, packet.len()),
        };
        bytes.truncate(sealed.unwrap());
        bytes
    }

    fn open(&mut self, is_rtcp: bool, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        let opened = match is_rtcp {
            false => self.receive.unprotect_rtp(&mut bytes, packet.len()),
            true => self.receive.unprotect_rtcp(&mut bytes, packet.len()),
        };
        bytes.truncate(opened.expect("sealed for this phone"));
        bytes
    }
}

fn secured(bench: &Bench, call: &Call, side: Side, keys: &SecureMedia) {
    let secure = Some(Box::new(Secure::Keys(keys.clone())));
    bench.remote(call, side, Remote { secure, ..call.phones[side.index()].remote() });
}

fn an_encrypted_leg_and_a_plain_one_speak_and_the_recording_is_in_clear(engine: Engine) {
    for suite in Suite::ALL {
        let bench = Bench::new(engine, 20);
        let call = bench.talk(1);
        let mut phone = keys(suite, 3);
        secured(&bench, &call, Side::Company, &phone.engine);
        bench.command(&call, MediaCommand::Record(RecordingSpec { call: call.id, started: bench.now() }));
        let [caller, company] = &call.phones;
        for sequence in 0..50 {
            let clear = rtp(sequence);
            caller.rtp.send_to(&clear, call.local[0].rtp).unwrap();
            let (heard, _) = company.hear().expect("relayed");
            assert_ne!(heard[12..40], clear[12..40]);
            assert_eq!(phone.open(false, &heard), clear);
            company.rtp.send_to(&phone.seal(false, &clear), call.local[1].rtp).unwrap();
            assert_eq!(caller.hear().expect("relayed").0, clear);
        }
        caller.rtcp.send_to(&REPORT, call.rtcp(Side::Caller)).unwrap();
        let (heard, _) = hear(&company.rtcp).expect("RTCP relayed");
        assert_eq!(phone.open(true, &heard), REPORT);
        company.rtcp.send_to(&phone.seal(true, &REPORT), call.rtcp(Side::Company)).unwrap();
        assert_eq!(hear(&caller.rtcp).expect("RTCP relayed").0, REPORT);
        let summary = bench.close(&call);
        for leg in [&summary.caller, &summary.company] {
            assert_eq!((leg.received, leg.relayed, leg.rtcp), (50, 50, 1));
            assert!(leg.refused.is_empty(), "{leg:?}");
        }
        let recorded = recorded(&bench.tap, call.id);
        assert_eq!(recorded.len(), 100);
    }
}

fn two_encrypted_legs_have_keys_of_their_own(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    let mut phones = [keys(Suite::AeadAes256Gcm, 3), keys(Suite::AesCm128HmacSha1_32, 9)];
    for side in Side::BOTH {
        secured(&bench, &call, side, &phones[side.index()].engine);
    }
    for sequence in 0..20 {
        for from in Side::BOTH {
            let clear = rtp(sequence);
            let sealed = phones[from.index()].seal(false, &clear);
            call.phones[from.index()].rtp.send_to(&sealed, call.local[from.index()].rtp).unwrap();
            let (heard, _) = call.phones[from.other().index()].hear().expect("relayed");
            assert_eq!(phones[from.other().index()].open(false, &heard), clear);
        }
    }
    bench.close(&call);
}

/// E13: drops only, each with its reason; the call goes on.
fn e13_bad_tags_replays_and_clear_packets_are_dropped(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    let mut phone = keys(Suite::AesCm128HmacSha1_80, 3);
    secured(&bench, &call, Side::Company, &phone.engine);
    bench.command(&call, MediaCommand::Record(RecordingSpec { call: call.id, started: bench.now() }));
    let [caller, company] = &call.phones;
    let send = |bytes: &[u8]| {
        company.rtp.send_to(bytes, call.local[1].rtp).unwrap();
    };
    let mut forger = keys(Suite::AesCm128HmacSha1_80, 30);
    let good = phone.seal(false, &rtp(1));
    send(&good);
    assert_eq!(caller.hear().expect("relayed").0, rtp(1));
    for n in 0..1_000u16 {
        match n % 4 {
            0 => send(&forger.seal(false, &rtp(n + 5_000))),
            1 => send(&good),
            2 => send(&rtp(n)),
            _ => {
                let mut bad = good.clone();
                let last = bad.len() - 1;
                bad[usize::from(n) % last] ^= 1;
                send(&bad);
            }
        }
        if n % 20 == 0 {
            // The kernel's buffer holds some hundred of them.
            send(&phone.seal(false, &rtp(2 + n / 20)));
            assert_eq!(caller.hear().expect("the call goes on").0, rtp(2 + n / 20));
        }
    }
    company.rtcp.send_to(&REPORT, call.rtcp(Side::Company)).unwrap();
    company.rtcp.send_to(&forger.seal(true, &REPORT), call.rtcp(Side::Company)).unwrap();
    send(&phone.seal(false, &rtp(4_000)));
    assert_eq!(caller.hear().expect("the call goes on").0, rtp(4_000));
    bench.barrier();
    assert!(caller.heard_nothing() && company.heard_nothing());
    let summary = bench.close(&call);
    assert_eq!((summary.company.received, summary.company.relayed), (52, 52));
    let refused = &summary.company.refused;
    assert!(refused["srtp_auth"] >= 100 && refused["srtp_replay"] >= 250, "{refused:?}");
    assert_eq!((refused.len(), refused.values().sum::<u64>()), (3, 1_002), "{refused:?}");
    assert_eq!(recorded(&bench.tap, call.id).len(), 52);
}

/// E13: what was in clear on one leg is never in clear on the encrypted one, repeated packets and all.
fn e13_no_clear_audio_reaches_an_encrypted_leg(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    let mut phone = keys(Suite::AeadAes128Gcm, 3);
    secured(&bench, &call, Side::Company, &phone.engine);
    let [caller, company] = &call.phones;
    let mut sent = 0;
    for sequence in [5, 5, 6, 4, 6, 500, 7, 65_000, 8] {
        caller.rtp.send_to(&rtp(sequence), call.local[0].rtp).unwrap();
        sent += 1;
    }
    caller.rtp.send_to(&rtp(1_000), call.local[0].rtp).unwrap();
    let mut heard = 0;
    loop {
        let (bytes, _) = company.hear().expect("the last one at least");
        heard += 1;
        if phone.open(false, &bytes) == rtp(1_000) {
            break;
        }
    }
    let summary = bench.close(&call);
    let not_sent = summary.caller.refused["srtp_not_sent"];
    assert_eq!((heard + not_sent, summary.caller.received), (sent + 1, sent + 1), "{summary:?}");
    assert!(not_sent >= 2);
}

/// E12: other protocols on an RTP port get no answer, on a plain leg and on an encrypted one.
fn e12_stun_dtls_and_others_on_rtp_ports_get_no_reply(engine: Engine) {
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48];
    hello.resize(73, 7);
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let turn = [0x40, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let strange: [&[u8]; 6] =
        [&stun, &hello, &hello[..30], &turn, b"OPTIONS sip:a@b SIP/2.0\\r\\n\\r\\n", &[0, 0, 6, 1, 2, 3, 4, 5]];
    for is_secured in [false, true] {
        let bench = Bench::new(engine, 20);
        let call = bench.talk(1);
        let mut phone = keys(Suite::AesCm128HmacSha1_80, 3);
        if is_secured {
            secured(&bench, &call, Side::Company, &phone.engine);
        }
        let stranger = Phone::new(HERE);
        for bytes in strange {
            for port in [call.local[1].rtp, call.rtcp(Side::Company)] {
                call.phones[1].rtp.send_to(bytes, port).unwrap();
                call.phones[1].rtcp.send_to(bytes, port).unwrap();
                stranger.rtp.send_to(bytes, port).unwrap();
            }
        }
        let clear = rtp(1);
        let packet = if is_secured { phone.seal(false, &clear) } else { clear.clone() };
        call.phones[1].rtp.send_to(&packet, call.local[1].rtp).unwrap();
        assert_eq!(call.phones[0].hear().expect("relayed").0, clear);
        bench.barrier();
        assert!(stranger.heard_nothing() && call.phones.iter().all(Phone::heard_nothing));
        let summary = bench.close(&call);
        assert_eq!(summary.company.received, 1);
    }
}
