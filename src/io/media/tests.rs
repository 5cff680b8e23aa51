use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::ports::tests::free_range;
use super::tap::{self, TapMessage, TapReceiver};
use super::*;
use crate::config::Engine;
use crate::core::event::MediaSummary;
use crate::core::media::{CopyTo, Flowing, PayloadFormat, RecordingSpec, Remote};
use crate::core::relay::Refusal;
use crate::ids::Side;
use crate::limits::{PORT_QUARANTINE, PORT_QUARANTINE_MIN};
use crate::time::{Mono, Wall};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(10);
const BOTH_WAYS: Flowing = Flowing { from_side: true, to_side: true };

/// Every test runs over both drivers; over io_uring where this machine allows it.
macro_rules! over_both_drivers {
    ($($name:ident)*) => {
        mod over_epoll {
            $(#[test] fn $name() { super::$name(super::Engine::Epoll); })*
        }
        mod over_io_uring {
            $(#[test] fn $name() { if super::driver::choose(super::Engine::IoUring).is_ok() { super::$name(super::Engine::IoUring); } })*
        }
    };
}

mod dtls;
mod presses;
mod secure;

over_both_drivers! {
    two_way_relay_with_rtcp_and_nothing_left_after_close
    early_media_flows_while_the_caller_is_silent
    e01_e12_a_spoofed_source_is_never_relayed_recorded_or_answered
    behind_nat_a_source_is_learned_and_then_served
    e04_hold_and_resume
    a_recording_hears_everything_in_order_and_stops
    copies_arrive_as_they_were_sent
    a_paused_recording_gets_no_packet
    e10_ports_rest_and_the_last_callers_stragglers_reach_nobody
    e22_a_panic_ends_one_call_and_no_other
    e09_a_flood_on_one_call_does_not_silence_another
    e21_what_the_kernel_drops_is_counted
    e15_silence_of_both_sides_is_told
    commands_answer_by_notice_and_the_end_closes_every_call
    a_call_may_join_ipv6_and_ipv4
    e11_an_unreachable_port_costs_its_packets_and_no_more
    rtcp_on_a_shared_port_is_relayed_and_made
}

/// An engine with one thread on loopback, a clock that can be moved on, and everything it says.
struct Bench {
    engine: MediaEngine,
    notices: Receiver<(CallId, MediaNotice)>,
    tap: TapReceiver,
    ahead: Arc<AtomicU64>,
    started: Instant,
}

impl Bench {
    fn new(engine: Engine, pairs: u16) -> Bench {
        Bench::with(engine, pairs, |_, _| {})
    }

    /// `before` sees each notice first, on the media thread.
    fn with(engine: Engine, pairs: u16, before: impl Fn(CallId, &MediaNotice) + Send + Sync + 'static) -> Bench {
        let config = config::Media {
            address: HERE,
            address6: None,
            advertise: None,
            ports: free_range(pairs),
            threads: 1,
            codecs: config::Codecs::Recordable,
            transcode: true,
            silence_max: Duration::from_secs(60),
            dscp: 46,
            engine,
            dtls: None,
        };
        let ahead = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let offset = ahead.clone();
        let clock: Clock = Arc::new(move || now(started, &offset));
        let (door, tap) = tap::channel();
        let (sender, notices) = channel();
        let tell = move |call, notice: MediaNotice| {
            before(call, &notice);
            let _ = sender.send((call, notice));
        };
        Bench { engine: MediaEngine::start(&config, clock, door, tell).unwrap(), notices, tap, ahead, started }
    }

    fn now(&self) -> Now {
        now(self.started, &self.ahead)
    }

    fn move_on(&self, by: Duration) {
        self.ahead.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    fn open(&self, call: u128) -> Call {
        let open = Open { call: CallId(call), address: [HERE, HERE] };
        let local = self.engine.open(CallId(call), &open, self.now()).unwrap();
        Call { id: CallId(call), local, phones: [Phone::new(HERE), Phone::new(HERE)] }
    }

    /// Opens a call whose sides know each other.
    fn talk(&self, call: u128) -> Call {
        let call = self.open(call);
        for side in Side::BOTH {
            self.remote(&call, side, call.phones[side.index()].remote());
        }
        call
    }

    /// Gives a command and waits until the thread has taken it.
    fn command(&self, call: &Call, command: MediaCommand) {
        self.engine.command(call.id, command);
        self.barrier();
    }

    fn remote(&self, call: &Call, side: Side, remote: Remote) {
        self.command(call, MediaCommand::Remote(side, Some(remote)));
    }

    /// Orders are taken in order: when a command that is refused was answered, those before it are done. A second
    /// recording of the same call is without effect, so a call of its own is opened and closed.
    fn barrier(&self) {
        let id = CallId(u128::MAX);
        let open = Open { call: id, address: [HERE, HERE] };
        self.engine.open(id, &open, self.now()).unwrap();
        self.engine.command(id, MediaCommand::Close(self.now()));
        let mut others = Vec::new();
        loop {
            let (call, notice) = self.notices.recv_timeout(PATIENCE).expect("the media thread answers");
            if call == id {
                break;
            }
            others.push(notice);
        }
        assert!(
            others.iter().all(|n| matches!(n, MediaNotice::FirstPacket(..) | MediaNotice::Quiet { .. })),
            "unexpected: {others:?}"
        );
    }

    fn close(&self, call: &Call) -> MediaSummary {
        self.engine.command(call.id, MediaCommand::Close(self.now()));
        self.closed(call)
    }

    fn closed(&self, call: &Call) -> MediaSummary {
        loop {
            match self.notices.recv_timeout(PATIENCE).expect("the call is closed") {
                (id, MediaNotice::Closed(summary)) if id == call.id => return *summary,
                _ => {}
            }
        }
    }
}

fn now(started: Instant, ahead: &AtomicU64) -> Now {
    let ns = started.elapsed().as_nanos() as u64 + ahead.load(Ordering::Relaxed);
    Now { mono: Mono(ns), wall: Wall((ns / 1_000) as i64) }
}

struct Call {
    id: CallId,
    local: [LocalMedia; 2],
    phones: [Phone; 2],
}

impl Call {
    /// Sends one packet from a side's phone and expects it, byte for byte, at the other side's.
    fn says(&self, from: Side, sequence: u16) {
        let bytes = rtp(sequence);
        self.phones[from.index()].rtp.send_to(&bytes, self.local[from.index()].rtp).unwrap();
        let (heard, source) = self.phones[from.other().index()].hear().expect("relayed");
        assert_eq!(heard, bytes);
        assert_eq!(source, self.local[from.other().index()].rtp, "out of the leg's own port");
    }

    fn rtcp(&self, side: Side) -> SocketAddr {
        let rtp = self.local[side.index()].rtp;
        SocketAddr::new(rtp.ip(), rtp.port() + 1)
    }
}

struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Phone {
    fn new(address: IpAddr) -> Phone {
        let socket = || {
            let socket = UdpSocket::bind((address, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Phone { rtp: socket(), rtcp: socket() }
    }

    fn remote(&self) -> Remote {
        let rtp = self.rtp.local_addr().unwrap();
        Remote {
            rtp,
            rtcp: self.rtcp.local_addr().unwrap(),
            signalling: rtp.ip(),
            vouched: true,
            nat: false,
            rtcp_mux: false,
            formats: vec![format(8, "PCMA"), format(101, "TELEPHONE-EVENT")],
            said: 2,
            flowing: BOTH_WAYS,
            presses: Default::default(),
            secure: None,
        }
    }

    fn hear(&self) -> Option<(Vec<u8>, SocketAddr)> {
        hear(&self.rtp)
    }

    /// What has come until now.
    fn heard(&self) -> Option<Vec<u8>> {
        self.rtp.set_nonblocking(true).unwrap();
        let heard = self.hear();
        self.rtp.set_nonblocking(false).unwrap();
        heard.map(|(bytes, _)| bytes)
    }

    /// Nothing has come until now.
    fn heard_nothing(&self) -> bool {
        [&self.rtp, &self.rtcp].into_iter().all(|socket| {
            socket.set_nonblocking(true).unwrap();
            let nothing = hear(socket).is_none();
            socket.set_nonblocking(false).unwrap();
            nothing
        })
    }
}

fn hear(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 2_048];
    socket.recv_from(&mut buffer).ok().map(|(n, source)| (buffer[..n].to_vec(), source))
}

fn format(payload_type: u8, name: &str) -> PayloadFormat {
    PayloadFormat { payload_type, name: name.into(), clock_rate: 8_000, channels: 1 }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 8];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    bytes.extend_from_slice(&77u32.to_be_bytes());
    bytes.extend((0..160).map(|i| (i as u8) ^ (sequence as u8)));
    bytes
}

const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 77];

fn two_way_relay_with_rtcp_and_nothing_left_after_close(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    assert_eq!((bench.engine.calls(), bench.engine.used_pairs()), (1, 2));
    for sequence in 0..20 {
        call.says(Side::Caller, sequence);
        call.says(Side::Company, sequence);
    }
    for side in Side::BOTH {
        call.phones[side.index()].rtcp.send_to(&REPORT, call.rtcp(side)).unwrap();
        let (bytes, source) = hear(&call.phones[side.other().index()].rtcp).expect("RTCP relayed");
        assert_eq!((&bytes[..], source), (&REPORT[..], call.rtcp(side.other())));
    }
    let summary = bench.close(&call);
    for leg in [&summary.caller, &summary.company] {
        assert_eq!((leg.received, leg.relayed, leg.lost, leg.rtcp), (20, 20, 0, 1));
        assert!(leg.mos.is_some_and(|mos| mos > 4.0) && leg.refused.is_empty(), "{leg:?}");
    }
    assert_eq!((bench.engine.calls(), bench.engine.used_pairs()), (0, 0));
    bench.barrier();
    let stats = bench.engine.stats();
    assert_eq!((stats.relayed_packets, stats.relayed_rtcp, stats.relayed_bytes), (40, 2, 40 * 172));
}

fn early_media_flows_while_the_caller_is_silent(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    for sequence in 0..10 {
        call.says(Side::Company, sequence);
    }
    let (id, notice) = bench.notices.recv_timeout(PATIENCE).unwrap();
    assert!(id == call.id && matches!(notice, MediaNotice::FirstPacket(Side::Company, _)), "{notice:?}");
}

fn e01_e12_a_spoofed_source_is_never_relayed_recorded_or_answered(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.open(1);
    let attacker = Phone::new(HERE);
    let spray = || {
        for sequence in 0..50 {
            for side in Side::BOTH {
                attacker.rtp.send_to(&rtp(sequence), call.local[side.index()].rtp).unwrap();
                attacker.rtcp.send_to(&REPORT, call.rtcp(side)).unwrap();
            }
        }
    };
    spray();
    for side in Side::BOTH {
        bench.remote(&call, side, call.phones[side.index()].remote());
    }
    bench.command(&call, MediaCommand::Record(RecordingSpec { call: call.id, started: bench.now() }));
    spray();
    // The honest packet comes behind them to the same sockets, so they have been judged when it is heard.
    call.says(Side::Caller, 1_000);
    call.says(Side::Company, 1_000);
    assert!(attacker.heard_nothing());
    assert!(call.phones.iter().all(|phone| phone.rtp.local_addr().is_ok() && phone.heard_nothing()));
    let summary = bench.close(&call);
    assert_eq!((summary.caller.received, summary.company.received), (1, 1));
    assert!(summary.caller.refused["wrong_source"] >= 100, "{:?}", summary.caller.refused);
    assert_eq!(recorded(&bench.tap, call.id).len(), 2);
}

fn behind_nat_a_source_is_learned_and_then_served(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    let behind = Remote { rtp: "10.0.0.9:4000".parse().unwrap(), nat: true, ..call.phones[1].remote() };
    bench.remote(&call, Side::Company, behind);
    // Datagrams of two sockets need not keep their order.
    call.phones[0].rtp.send_to(&rtp(0), call.local[0].rtp).unwrap();
    bench.barrier();
    for sequence in 0..5 {
        call.phones[1].rtp.send_to(&rtp(sequence), call.local[1].rtp).unwrap();
    }
    let (heard, _) = call.phones[0].hear().expect("the fifth is believed");
    assert_eq!(heard, rtp(4));
    call.says(Side::Caller, 1);
    assert!(call.phones[1].heard_nothing(), "what came before it was learned was not sent");
    assert_eq!(bench.close(&call).company.refused["learning"], 4);
}

fn e04_hold_and_resume(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    call.says(Side::Caller, 1);
    let held = Remote { flowing: Flowing { from_side: true, to_side: false }, ..call.phones[1].remote() };
    bench.remote(&call, Side::Company, held);
    call.phones[0].rtp.send_to(&rtp(2), call.local[0].rtp).unwrap();
    call.says(Side::Company, 1);
    bench.remote(&call, Side::Company, call.phones[1].remote());
    call.says(Side::Caller, 3);
    let summary = bench.close(&call);
    assert_eq!((summary.caller.received, summary.caller.relayed), (3, 2));
}

/// Copies for a third party's recorder: as sent, each side to its own place, from ports of their own, of the payload types
/// that were agreed on; nothing that the recorder sends meets the call.
fn copies_arrive_as_they_were_sent(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    let recorder = [Phone::new(HERE), Phone::new(HERE)];
    bench.engine.command(call.id, MediaCommand::Copies(Copies::Open(HERE)));
    let ports = match bench.notices.recv_timeout(PATIENCE).expect("an answer") {
        (id, MediaNotice::Copies(Ok(ports))) if id == call.id => ports,
        other => panic!("{other:?}"),
    };
    assert_eq!(bench.engine.used_pairs(), 4);
    call.says(Side::Caller, 1);
    let aim = |side: Side, types| {
        let to = CopyTo { rtp: recorder[side.index()].rtp.local_addr().unwrap(), types };
        bench.command(&call, MediaCommand::Copies(Copies::To(side, Some(to))));
    };
    aim(Side::Caller, u128::MAX);
    aim(Side::Company, u128::MAX);
    for side in Side::BOTH {
        for sequence in 2..5 {
            call.says(side, sequence);
            let (heard, source) = recorder[side.index()].hear().expect("a copy");
            assert_eq!((heard, source), (rtp(sequence), ports[side.index()].rtp));
        }
    }
    // What the recorder says is nobody's.
    for side in Side::BOTH {
        recorder[side.index()].rtp.send_to(&rtp(9), ports[side.index()].rtp).unwrap();
    }
    aim(Side::Caller, 0);
    bench.command(&call, MediaCommand::Copies(Copies::To(Side::Company, None)));
    call.says(Side::Caller, 5);
    call.says(Side::Company, 5);
    aim(Side::Caller, u128::MAX);
    bench.engine.command(call.id, MediaCommand::Pause(true));
    while !matches!(bench.notices.recv_timeout(PATIENCE).unwrap().1, MediaNotice::Paused(true, _)) {}
    call.says(Side::Caller, 6);
    assert!(recorder.iter().all(Phone::heard_nothing), "not agreed on, stopped, paused");
    let summary = bench.close(&call);
    assert_eq!((summary.caller.received, summary.company.received), (6, 4));
    assert_eq!(bench.engine.used_pairs(), 0, "the end of the call gives the ports back");
    bench.engine.command(call.id, MediaCommand::Copies(Copies::Open(HERE)));
    let late = bench.notices.recv_timeout(PATIENCE).expect("an answer").1;
    assert!(matches!(late, MediaNotice::Copies(Err("media_closed"))), "{late:?}");
}

fn a_recording_hears_everything_in_order_and_stops(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    call.says(Side::Caller, 1);
    bench.command(&call, MediaCommand::Record(RecordingSpec { call: call.id, started: bench.now() }));
    call.says(Side::Caller, 2);
    call.says(Side::Company, 9);
    let inactive = Flowing { from_side: false, to_side: false };
    bench.remote(&call, Side::Company, Remote { flowing: inactive, ..call.phones[1].remote() });
    call.phones[0].rtp.send_to(&rtp(3), call.local[0].rtp).unwrap();
    // The held side does not hear it; the recorder does.
    let deadline = Instant::now() + PATIENCE;
    while bench.engine.stats().received_packets < 4 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let at = bench.now();
    bench.engine.command(call.id, MediaCommand::Close(at));
    bench.closed(&call);
    let mut told = Vec::new();
    while let Ok(message) = bench.tap.try_recv() {
        match message {
            TapMessage::Start { spec, sides } => {
                assert_eq!(spec.call, call.id);
                assert!(sides.iter().all(|s| s.flowing == Some(BOTH_WAYS) && s.formats.len() == 2));
                told.push("start".to_owned());
            }
            TapMessage::Formats { side, formats, .. } => {
                assert_eq!((side, formats.flowing), (Side::Company, Some(inactive)));
                told.push("formats".to_owned());
            }
            TapMessage::Packets(batch) => {
                for packet in batch.packets() {
                    let sequence = u16::from_be_bytes([packet.bytes[2], packet.bytes[3]]);
                    assert_eq!(packet.bytes, rtp(sequence));
                    told.push(format!("{:?} {sequence}", packet.side));
                }
            }
            TapMessage::Pause { paused, .. } => told.push(format!("pause {paused}")),
            TapMessage::Lost(lost) => panic!("{lost:?}"),
            TapMessage::Stop { at: stopped, .. } => {
                assert_eq!(stopped, at);
                told.push("stop".to_owned());
            }
        }
    }
    assert_eq!(told, ["start", "Caller 2", "Company 9", "formats", "Caller 3", "stop"]);
}

/// Row G10: what comes after the word that it pauses never leaves the media thread.
fn a_paused_recording_gets_no_packet(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    bench.command(&call, MediaCommand::Record(RecordingSpec { call: call.id, started: bench.now() }));
    call.says(Side::Caller, 1);
    for (paused, sequence) in [(true, 2), (false, 3), (true, 4)] {
        bench.engine.command(call.id, MediaCommand::Pause(paused));
        loop {
            match bench.notices.recv_timeout(PATIENCE).expect("the pause is told") {
                (id, MediaNotice::Paused(told, _)) => break assert_eq!((id, told), (call.id, paused)),
                (_, MediaNotice::FirstPacket(..)) => {}
                other => panic!("{other:?}"),
            }
        }
        call.says(Side::Caller, sequence);
    }
    bench.close(&call);
    let mut told = Vec::new();
    while let Ok(message) = bench.tap.try_recv() {
        match message {
            TapMessage::Pause { paused, .. } => told.push(format!("pause {paused}")),
            TapMessage::Packets(batch) => told.extend(batch.packets().map(|packet| packet.bytes[3].to_string())),
            _ => {}
        }
    }
    assert_eq!(told, ["1", "pause true", "pause false", "3", "pause true"]);
}

/// Packets of a call that reached the recorder.
fn recorded(tap: &TapReceiver, call: CallId) -> Vec<(Side, Vec<u8>)> {
    let mut packets = Vec::new();
    while let Ok(message) = tap.try_recv() {
        if let TapMessage::Packets(batch) = message {
            packets.extend(batch.packets().filter(|p| p.call == call).map(|p| (p.side, p.bytes.to_vec())));
        }
    }
    packets
}

fn e10_ports_rest_and_the_last_callers_stragglers_reach_nobody(engine: Engine) {
    let bench = Bench::new(engine, 2);
    let open = |id| {
        bench
            .engine
            .open(CallId(id), &Open { call: CallId(id), address: [HERE, HERE] }, bench.now())
            .map(|local| Call { id: CallId(id), local, phones: [Phone::new(HERE), Phone::new(HERE)] })
    };
    let first = open(1).unwrap();
    assert_eq!(open(1).err(), Some("media_open_twice"));
    assert_eq!(open(2).err(), Some("no_media_ports"));
    bench.close(&first);
    assert_eq!((bench.engine.used_pairs(), bench.engine.free_pairs()), (0, 0));
    assert_eq!(open(2).err(), Some("no_media_ports"));
    bench.move_on(PORT_QUARANTINE);
    assert_eq!(bench.engine.free_pairs(), 2);
    let second = open(3).unwrap();
    for side in Side::BOTH {
        bench.engine.command(second.id, MediaCommand::Remote(side, Some(second.phones[side.index()].remote())));
    }
    // Known to be in force when the sides hear each other.
    let deadline = Instant::now() + PATIENCE;
    while bench.engine.stats().relayed_packets == 0 && Instant::now() < deadline {
        second.phones[0].rtp.send_to(&rtp(0), second.local[0].rtp).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    second.phones[1].hear().expect("the new call talks");
    let before = bench.engine.stats();
    for sequence in 0..20 {
        for (phone, local) in first.phones.iter().zip(&second.local) {
            phone.rtp.send_to(&rtp(sequence), local.rtp).unwrap();
        }
    }
    while bench.engine.stats().refused.of(Refusal::WrongSource) < before.refused.of(Refusal::WrongSource) + 40 {
        assert!(Instant::now() < deadline, "{:?}", bench.engine.stats());
        std::thread::yield_now();
    }
    assert!(first.phones.iter().all(Phone::heard_nothing));
    assert_eq!(bench.close(&second).company.received, 0);
}

fn e22_a_panic_ends_one_call_and_no_other(engine: Engine) {
    const CURSED: CallId = CallId(13);
    let bench = Bench::with(engine, 20, |call, notice| {
        if call == CURSED && matches!(notice, MediaNotice::FirstPacket(..)) {
            panic!("first packet of a cursed call");
        }
    });
    let (well, cursed) = (bench.talk(1), bench.talk(13));
    cursed.phones[0].rtp.send_to(&rtp(1), cursed.local[0].rtp).unwrap();
    let (id, notice) = bench.notices.recv_timeout(PATIENCE).unwrap();
    assert_eq!(id, CURSED);
    assert!(matches!(&notice, MediaNotice::Crashed(text) if text == "first packet of a cursed call"), "{notice:?}");
    assert_eq!(bench.closed(&cursed).caller.received, 1);
    well.says(Side::Caller, 1);
    assert_eq!((bench.engine.calls(), bench.engine.used_pairs()), (1, 2));
    bench.close(&well);
    assert_eq!(bench.engine.stats().crashed, 1);
}

fn e09_a_flood_on_one_call_does_not_silence_another(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let (flooded, quiet) = (bench.talk(1), bench.talk(2));
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sequence = 0u16;
            while !stop.load(Ordering::Relaxed) {
                sequence = sequence.wrapping_add(1);
                let _ = flooded.phones[0].rtp.send_to(&rtp(sequence), flooded.local[0].rtp);
            }
        });
        for sequence in 0..20 {
            quiet.says(Side::Caller, sequence);
            quiet.says(Side::Company, sequence);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let summary = bench.close(&quiet);
    assert_eq!((summary.caller.relayed, summary.company.relayed), (20, 20));
}

fn e21_what_the_kernel_drops_is_counted(engine: Engine) {
    const SENT: u64 = 2_000;
    let (go_on, wait) = channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let first = std::sync::Once::new();
    // The media thread stands still at the first packet, while many more come than the socket's buffer holds.
    let bench = Bench::with(engine, 20, move |_, notice| {
        if matches!(notice, MediaNotice::FirstPacket(..)) {
            first.call_once(|| {
                let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
            });
        }
    });
    let call = bench.talk(1);
    for sequence in 0..SENT {
        call.phones[0].rtp.send_to(&rtp(sequence as u16), call.local[0].rtp).unwrap();
    }
    go_on.send(()).unwrap();
    // It looks by itself before the call ends.
    bench.move_on(Duration::from_secs(6));
    let deadline = Instant::now() + PATIENCE;
    let seen = |stats: MediaStats| stats.kernel_dropped + stats.received_packets;
    while seen(bench.engine.stats()) < SENT / 2 {
        assert!(Instant::now() < deadline, "{:?}", bench.engine.stats());
        // Wakes the thread, which does not know that the clock was moved.
        bench.engine.command(call.id, MediaCommand::Remote(Side::Company, Some(call.phones[1].remote())));
        // Not faster than it takes them: it shows its figures when it has taken all. The ports of the barrier before have
        // rested by then.
        bench.move_on(PORT_QUARANTINE_MIN);
        bench.barrier();
    }
    let leg = bench.close(&call).caller;
    let read = leg.received + leg.refused.values().sum::<u64>();
    assert!(leg.kernel_dropped > 1_000, "{leg:?}");
    // On a busy machine the loopback's own queue drops some before they reach the socket, and counts them elsewhere.
    assert!(leg.kernel_dropped + read <= SENT, "{leg:?}");
    bench.barrier();
    assert_eq!(bench.engine.stats().kernel_dropped, leg.kernel_dropped);
}

fn e15_silence_of_both_sides_is_told(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let call = bench.talk(1);
    bench.move_on(Duration::from_secs(61));
    let mut told = Vec::new();
    while told.len() < 3 {
        match bench.notices.recv_timeout(PATIENCE).unwrap() {
            (id, MediaNotice::Quiet { side, .. }) if id == call.id => told.push(side.as_str()),
            (id, MediaNotice::Silent) if id == call.id => told.push("silent"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["silent", "caller", "company"]);
}

fn e11_an_unreachable_port_costs_its_packets_and_no_more(engine: Engine) {
    let bench = Bench::new(engine, 20);
    let mut call = bench.talk(1);
    call.says(Side::Caller, 0);
    // The company's phone is gone: each packet to it comes back as ICMP.
    let gone = call.phones[1].rtp.local_addr().unwrap();
    let elsewhere = UdpSocket::bind((HERE, 0)).unwrap();
    drop(std::mem::replace(&mut call.phones[1].rtp, elsewhere));
    for sequence in 1..20 {
        call.phones[0].rtp.send_to(&rtp(sequence), call.local[0].rtp).unwrap();
    }
    // A turn reads a few datagrams of a socket; all of them have been sent on before the port is there again.
    let deadline = Instant::now() + PATIENCE;
    while bench.engine.stats().relayed_packets < 20 {
        assert!(Instant::now() < deadline, "{:?}", bench.engine.stats());
        std::thread::yield_now();
    }
    let again = UdpSocket::bind(gone).unwrap();
    again.set_read_timeout(Some(PATIENCE)).unwrap();
    call.phones[1].rtp = again;
    call.phones[0].rtp.send_to(&rtp(20), call.local[0].rtp).unwrap();
    // What was counted may leave the ring a moment later, and then it finds the port open.
    let heard = (0..20).map(|_| call.phones[1].hear().expect("relayed").0).find(|bytes| *bytes == rtp(20));
    assert!(heard.is_some());
    call.says(Side::Company, 0);
    let summary = bench.close(&call);
    assert_eq!((summary.caller.received, summary.company.received), (21, 1));
}

fn rtcp_on_a_shared_port_is_relayed_and_made(engine: Engine) {
    let bench = Bench::new(engine, 40);
    let call = bench.open(1);
    for side in Side::BOTH {
        bench.remote(&call, side, Remote { rtcp_mux: true, ..call.phones[side.index()].remote() });
    }
    call.says(Side::Caller, 1);
    call.phones[0].rtp.send_to(&REPORT, call.local[0].rtp).unwrap();
    let (bytes, source) = call.phones[1].hear().expect("RTCP relayed");
    assert_eq!((&bytes[..], source), (&REPORT[..], call.local[1].rtp));
    // The company reports nothing, so the caller gets reports of ours, out of the same port.
    bench.move_on(Duration::from_secs(11));
    bench.barrier();
    let (bytes, source) = call.phones[0].hear().expect("RTCP made");
    assert_eq!(source, call.local[0].rtp);
    assert_eq!(crate::wire::rtcp::Rtcp::parse(&bytes).map(|rtcp| rtcp.sent_at), Ok(None), "it sent nothing to report");
    let summary = bench.close(&call);
    assert_eq!(summary.caller.rtcp, 1);
    assert!(summary.caller.rtcp_made >= 1, "{summary:?}");
}

fn commands_answer_by_notice_and_the_end_closes_every_call(engine: Engine) {
    let Bench { engine, notices, .. } = Bench::new(engine, 4);
    for id in [1, 2, 3] {
        engine.command(CallId(id), MediaCommand::Open(Open { call: CallId(id), address: [HERE, HERE] }));
    }
    engine.command(CallId(99), MediaCommand::Close(Now::default()));
    drop(engine);
    let told: Vec<_> = notices.try_iter().map(|(call, notice)| (call.0, notice_name(&notice))).collect();
    assert_eq!(told[..3], [(1, "opened"), (2, "opened"), (3, "refused no_media_ports")]);
    let mut closed = told[3..].to_vec();
    closed.sort_unstable();
    assert_eq!(closed, [(1, "closed"), (2, "closed")]);
}

fn notice_name(notice: &MediaNotice) -> &'static str {
    match notice {
        MediaNotice::Opened(_) => "opened",
        MediaNotice::Refused("no_media_ports") => "refused no_media_ports",
        MediaNotice::Closed(_) => "closed",
        _ => "other",
    }
}

fn a_call_may_join_ipv6_and_ipv4(engine: Engine) {
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((six, 0)).is_err() {
        return;
    }
    let bench = Bench::new(engine, 20);
    let open = Open { call: CallId(6), address: [six, HERE] };
    let local = bench.engine.open(CallId(6), &open, bench.now()).unwrap();
    let call = Call { id: CallId(6), local, phones: [Phone::new(six), Phone::new(HERE)] };
    for side in Side::BOTH {
        bench.remote(&call, side, call.phones[side.index()].remote());
    }
    call.says(Side::Caller, 1);
    call.says(Side::Company, 1);
}
