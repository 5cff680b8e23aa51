//! Legs of browsers, over real sockets: ICE, the handshake, audio both ways with a plain leg, and what is recorded.

use std::net::SocketAddr;

use super::*;
use crate::core::media::{DtlsMedia, Secure};
use crate::io::media::dtls::tests::Browser;
use crate::wire::sdp::Fingerprint;

/// A barrier takes ports that rest for a while, and a handshake has some.
const PAIRS: u16 = 60;

/// Waits until the thread has read so many packets. It says so at the end of a turn: what it relays is on its way by then.
fn received(bench: &Bench, packets: u64) {
    let begun = Instant::now();
    while bench.engine.stats().received_packets < packets {
        assert!(begun.elapsed() < PATIENCE, "a packet is missing");
        std::thread::yield_now();
    }
}

over_both_drivers! {
    a_browser_and_a_plain_phone_speak_and_the_recording_is_in_clear
    two_browsers_speak
    e14_a_hello_from_a_wrong_source_first_leaves_the_handshake_untouched
    no_clear_audio_before_the_keys_and_none_with_another_certificate
    checks_without_the_password_get_no_answer
    media_follows_the_nominated_pair
}

/// A phone of the bench that is a browser.
struct End<'a> {
    phone: &'a Phone,
    port: SocketAddr,
    browser: Browser,
}

fn described(bench: &Bench, call: &Call, side: Side, media: DtlsMedia) {
    let nowhere: SocketAddr = "0.0.0.0:9".parse().unwrap();
    let secure = Some(Box::new(Secure::Dtls(media)));
    let remote = call.phones[side.index()].remote();
    bench.remote(call, side, Remote { rtp: nowhere, rtcp: nowhere, rtcp_mux: true, secure, ..remote });
}

fn browser<'a>(bench: &Bench, call: &'a Call, side: Side, begins: bool) -> End<'a> {
    let browser = Browser::new(bench.now().mono, begins);
    described(bench, call, side, browser.media());
    End { phone: &call.phones[side.index()], port: call.local[side.index()].rtp, browser }
}

impl End<'_> {
    fn send(&self, bytes: &[u8]) {
        self.phone.rtp.send_to(bytes, self.port).unwrap();
    }

    /// The pair is proved and nominated.
    fn nominate(&self) {
        self.send(&self.browser.nomination());
        let (answer, source) = self.phone.hear().expect("an answer");
        assert!(self.browser.is_success(&answer) && source == self.port);
    }

    fn handshake(&mut self, bench: &Bench) {
        let first = self.browser.handshake(bench.now().mono, None);
        first.iter().for_each(|bytes| self.send(bytes));
        while self.browser.keys.is_none() {
            let (bytes, _) = self.phone.hear().expect("the handshake goes on");
            for bytes in self.browser.handshake(bench.now().mono, Some(&bytes)) {
                self.send(&bytes);
            }
        }
        // Its last words are acknowledged, in some versions.
        bench.barrier();
        while let Some(bytes) = self.phone.heard() {
            self.browser.handshake(bench.now().mono, Some(&bytes));
        }
    }

    fn seal(&mut self, is_rtcp: bool, packet: &[u8]) -> Vec<u8> {
        let (send, _) = self.browser.keys.as_mut().expect("keys");
        let mut bytes = [packet, &[0; 20]].concat();
        let length = match is_rtcp {
            false => send.protect_rtp(&mut bytes, packet.len()),
            true => send.protect_rtcp(&mut bytes, packet.len()),
        };
        bytes.truncate(length.unwrap());
        bytes
    }

    /// The next datagram that is media, opened.
    fn open(&mut self, is_rtcp: bool) -> Vec<u8> {
        let (mut bytes, source) = loop {
            let (bytes, source) = self.phone.hear().expect("media");
            if bytes[0] >= 64 {
                break (bytes, source);
            }
        };
        assert_eq!(source, self.port, "RTP and RTCP out of one port");
        let (_, receive) = self.browser.keys.as_mut().expect("keys");
        let length = bytes.len();
        let opened = match is_rtcp {
            false => receive.unprotect_rtp(&mut bytes, length),
            true => receive.unprotect_rtcp(&mut bytes, length),
        };
        bytes.truncate(opened.expect("sealed for this browser"));
        bytes
    }
}

fn a_browser_and_a_plain_phone_speak_and_the_recording_is_in_clear(engine: Engine) {
    for begins in [true, false] {
        let bench = Bench::new(engine, PAIRS);
        let call = bench.talk(1);
        let mut side = browser(&bench, &call, Side::Caller, begins);
        side.nominate();
        side.handshake(&bench);
        bench.command(&call, MediaCommand::Record(RecordingSpec { call: call.id, started: bench.now() }));
        let company = &call.phones[1];
        for sequence in 0..50 {
            let clear = rtp(sequence);
            let sealed = side.seal(false, &clear);
            assert_ne!(sealed[12..40], clear[12..40]);
            side.send(&sealed);
            assert_eq!(company.hear().expect("relayed").0, clear);
            company.rtp.send_to(&clear, call.local[1].rtp).unwrap();
            assert_eq!(side.open(false), clear);
        }
        // Reports share the browser's port, and have one of their own on the plain side.
        let report = side.seal(true, &REPORT);
        side.send(&report);
        assert_eq!(hear(&company.rtcp).expect("RTCP relayed").0, REPORT);
        company.rtcp.send_to(&REPORT, call.rtcp(Side::Company)).unwrap();
        assert_eq!(side.open(true), REPORT);
        let summary = bench.close(&call);
        for leg in [&summary.caller, &summary.company] {
            assert_eq!((leg.received, leg.relayed, leg.rtcp), (50, 50, 1));
            assert!(leg.refused.is_empty(), "{leg:?}");
        }
        let heard = recorded(&bench.tap, call.id);
        assert_eq!(heard.len(), 100);
    }
}

fn two_browsers_speak(engine: Engine) {
    let bench = Bench::new(engine, PAIRS);
    let call = bench.talk(1);
    let mut sides = Side::BOTH.map(|side| browser(&bench, &call, side, true));
    for side in &mut sides {
        side.nominate();
        side.handshake(&bench);
    }
    let [caller, company] = &mut sides;
    for sequence in 0..20 {
        let sealed = caller.seal(false, &rtp(sequence));
        caller.send(&sealed);
        assert_eq!(company.open(false), rtp(sequence));
        let sealed = company.seal(false, &rtp(sequence));
        company.send(&sealed);
        assert_eq!(caller.open(false), rtp(sequence));
    }
    bench.close(&call);
}

/// E14: the wrong hello comes first, also from the very address that the browser's SDP could name.
fn e14_a_hello_from_a_wrong_source_first_leaves_the_handshake_untouched(engine: Engine) {
    let bench = Bench::new(engine, PAIRS);
    let call = bench.talk(1);
    let mut side = browser(&bench, &call, Side::Caller, true);
    let stranger = Phone::new(HERE);
    let mut other = Browser::new(bench.now().mono, true);
    let hello = other.handshake(bench.now().mono, None);
    let port = side.port;
    let spray = |from: &Phone| {
        for bytes in &hello {
            from.rtp.send_to(bytes, port).unwrap();
            from.rtp.send_to(&bytes[..bytes.len() / 2], port).unwrap();
        }
    };
    spray(&stranger);
    spray(side.phone);
    bench.barrier();
    assert!(stranger.heard_nothing() && side.phone.heard_nothing(), "nothing is proved yet: no reply to anybody");
    side.nominate();
    spray(&stranger);
    side.handshake(&bench);
    spray(&stranger);
    let sealed = side.seal(false, &rtp(1));
    side.send(&sealed);
    assert_eq!(call.phones[1].hear().expect("relayed").0, rtp(1));
    bench.barrier();
    assert!(stranger.heard_nothing());
    let summary = bench.close(&call);
    assert_eq!(summary.caller.refused["dtls_source"], 8 * hello.len() as u64, "{:?}", summary.caller.refused);
    assert_eq!(summary.caller.refused.len(), 1);
}

fn no_clear_audio_before_the_keys_and_none_with_another_certificate(engine: Engine) {
    let bench = Bench::new(engine, PAIRS);
    let call = bench.talk(1);
    let mut side = browser(&bench, &call, Side::Caller, true);
    described(&bench, &call, Side::Caller, DtlsMedia { fingerprint: Fingerprint([7; 32]), ..side.browser.media() });
    side.nominate();
    side.send(&rtp(1));
    call.phones[1].rtp.send_to(&rtp(1), call.local[1].rtp).unwrap();
    let first = side.browser.handshake(bench.now().mono, None);
    first.iter().for_each(|bytes| side.send(bytes));
    bench.barrier();
    while let Some(bytes) = side.phone.heard() {
        assert!((20..64).contains(&bytes[0]), "nothing but the handshake is sent: {:?}", &bytes[..2]);
        for bytes in side.browser.handshake(bench.now().mono, Some(&bytes)) {
            side.send(&bytes);
        }
        bench.barrier();
    }
    let before = bench.engine.stats().received_packets;
    side.send(&rtp(2));
    call.phones[1].rtp.send_to(&rtp(2), call.local[1].rtp).unwrap();
    received(&bench, before + 2);
    assert!(call.phones[1].heard_nothing());
    let summary = bench.close(&call);
    let refused = &summary.caller.refused;
    assert_eq!((refused["srtp_no_keys"], refused["dtls_failed"] >= 1), (2, true), "{refused:?}");
    assert_eq!((summary.caller.received, summary.company.received, summary.company.relayed), (0, 2, 0));
    assert_eq!(summary.company.refused["srtp_not_sent"], 2);
}

fn checks_without_the_password_get_no_answer(engine: Engine) {
    let bench = Bench::new(engine, PAIRS);
    let call = bench.talk(1);
    let side = browser(&bench, &call, Side::Caller, true);
    let stranger = Phone::new(HERE);
    stranger.rtp.send_to(&side.browser.check("0000000000000000engin3", true), side.port).unwrap();
    stranger.rtp.send_to(&side.browser.nomination()[..40], side.port).unwrap();
    // On the other leg, and on the port of reports, nobody speaks ICE.
    side.phone.rtp.send_to(&side.browser.nomination(), call.local[1].rtp).unwrap();
    side.phone.rtp.send_to(&side.browser.nomination(), call.rtcp(Side::Caller)).unwrap();
    bench.barrier();
    assert!(stranger.heard_nothing() && side.phone.heard_nothing());
    side.nominate();
    let summary = bench.close(&call);
    assert_eq!((summary.caller.refused["ice_auth"], summary.caller.refused["not_rtp"]), (1, 1));
}

fn media_follows_the_nominated_pair(engine: Engine) {
    let bench = Bench::new(engine, PAIRS);
    let call = bench.talk(1);
    let mut side = browser(&bench, &call, Side::Caller, true);
    side.nominate();
    side.handshake(&bench);
    let moved = Phone::new(HERE);
    let sealed = side.seal(false, &rtp(1));
    moved.rtp.send_to(&sealed, side.port).unwrap();
    bench.barrier();
    assert!(call.phones[1].heard_nothing(), "right keys from an address that is not proved");
    moved.rtp.send_to(&side.browser.nomination(), side.port).unwrap();
    assert!(side.browser.is_success(&moved.hear().expect("an answer").0));
    moved.rtp.send_to(&sealed, side.port).unwrap();
    assert_eq!(call.phones[1].hear().expect("relayed").0, rtp(1));
    call.phones[1].rtp.send_to(&rtp(9), call.local[1].rtp).unwrap();
    assert!(moved.hear().expect("media").0.len() > 172 && side.phone.heard_nothing());
    // Nobody has asked for 31 s: nothing is sent there any more, from the thread's next look at its clocks on.
    bench.move_on(Duration::from_secs(31));
    for sequence in 10.. {
        let before = bench.engine.stats().received_packets;
        call.phones[1].rtp.send_to(&rtp(sequence), call.local[1].rtp).unwrap();
        received(&bench, before + 1);
        if moved.heard().is_none() {
            break;
        }
        assert!(sequence < 40, "media still goes to who has gone");
    }
    bench.close(&call);
}
