//! What was really recorded: known signals of both sides through the real program, under what networks and phones do, in
//! every codec. Each scene is written as a capture of a whole call (INVITE, RTP, re-INVITE, BYE) and given to
//! `leaseline replay`: negotiation, relay, recorder and seal as with a live call, in the capture's time. The table is a
//! snapshot; what it must keep is asserted beside it.
//!
//! The caller's signal sweeps up in a second, the company's down, and again: no two places of a second are alike, and
//! neither is like the other. Each second of each channel is compared with what the sender meant to be there: how many
//! samples it is off, and how like it is.

#![allow(clippy::unwrap_used)] // a test's way to fail

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use leaseline::ids::Side;
use leaseline::wire::codec::Codec;
use leaseline::wire::codec::speech::Encoder;
use leaseline::wire::pcap::Carrier;
use leaseline::wire::pcap::write::{Frame, write};

/// Samples of a millisecond.
const MS: i64 = 8;
const SECOND: i64 = 1_000 * MS;
const FRAME: i64 = 20 * MS;
/// How far a window may be off to be found, in samples.
const REACH: i64 = 170;
const WINDOW: usize = 2_000;
/// Below it a window is too damaged to say where it belongs: Opus needs some packets to find its way after a hole.
const CLEAR: f64 = 0.6;

/// A codec's packets of one side's signal, 20 ms each.
struct Voice {
    codec: Codec,
    payload_type: u8,
    packets: Vec<Vec<u8>>,
}

/// Sample `n` of a side's signal at this rate.
fn signal(side: Side, n: i64, rate: i64) -> i16 {
    let t = n.rem_euclid(rate) as f64 / rate as f64;
    let (from, to) = match side {
        Side::Caller => (300.0, 1_200.0),
        Side::Company => (1_900.0, 700.0),
    };
    let swell = 0.2 + 0.8 * (TAU / 2.0 * t).sin();
    (8_000.0 * swell * (TAU * (from * t + (to - from) * t * t / 2.0)).sin()) as i16
}

impl Voice {
    fn new(side: Side, codec: Codec) -> Voice {
        let rate = codec.audio_rate();
        let mut encoder = Encoder::new(codec, rate).unwrap();
        let mut buffer = [0; 1_400];
        let frame = i64::from(rate / 50);
        let packets = (0..What::Skew(0).seconds() * 50)
            .map(|k| {
                let samples: Vec<i16> =
                    (k * frame..(k + 1) * frame).map(|n| signal(side, n, i64::from(rate))).collect();
                let length = encoder.encode(&samples, &mut buffer).unwrap();
                buffer[..length].to_vec()
            })
            .collect();
        let payload_type = match codec {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => 111,
        };
        Voice { codec, payload_type, packets }
    }

    /// What this side says of itself: its codec first, and what scenes change to.
    fn described(&self, side: Side, rtp: SocketAddr, direction: &str, version: usize) -> String {
        let (ip, port) = (rtp.ip(), rtp.port());
        let (own, clock) = (self.payload_type, self.codec.clock());
        let channels = if self.codec == Codec::Opus { "/2" } else { "" };
        let id = side.index() + 7;
        format!(
            "v=0\r\no=phone {id} {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {own} 0 13 101\r\na=rtpmap:{own} {}/{clock}{channels}\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
            self.codec.name()
        )
        .replace(" 0 0 13", " 0 13")
    }
}

/// Voices of both sides.
type Voices = [Voice; 2];

/// A packet under way, and where it comes from.
struct Flight {
    arrival: i64,
    side: Side,
    source: SocketAddr,
    bytes: Vec<u8>,
}

/// One side that sends.
struct Sender {
    side: Side,
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Our time, in samples since the answer.
    clock: i64,
    flights: Vec<Flight>,
}

/// A call: what is sent, what is said, and what ought to be in the recording.
struct Scene {
    flights: Vec<Flight>,
    /// When the company says where it is now, and which way its media goes.
    words: Vec<(i64, SocketAddr, &'static str)>,
    meant: [Vec<Option<i16>>; 2],
}

fn source(side: Side, party: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 10 + side.index() as u8], 4_000 + 2 * party))
}

impl Sender {
    fn new(side: Side, clock: i64) -> Sender {
        let index = side.index() as u32;
        Sender {
            side,
            source: source(side, 0),
            ssrc: 0x1111 * (index + 1),
            sequence: 65_500,
            timestamp: u32::MAX - 9_000 + index,
            clock,
            flights: Vec::new(),
        }
    }

    /// Talks for so many packets from where the signal is at this time.
    fn talk(&mut self, voice: &Voice, packets: i64, meant: &mut [Option<i16>]) {
        for _ in 0..packets {
            let k = (self.clock / FRAME) as usize;
            self.send(voice.payload_type, &voice.packets[k % voice.packets.len()]);
            for n in self.clock..self.clock + FRAME {
                let of_signal = n - self.clock + k as i64 * FRAME;
                if let Some(place) = usize::try_from(n).ok().and_then(|n| meant.get_mut(n)) {
                    *place = Some(signal(self.side, of_signal, 8_000));
                }
            }
            self.pause(voice, FRAME);
        }
    }

    fn send(&mut self, payload_type: u8, payload: &[u8]) {
        let bytes = rtp(payload_type, self.sequence, self.timestamp, self.ssrc, payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.flights.push(Flight { arrival: self.clock, side: self.side, source: self.source, bytes });
    }

    fn pause(&mut self, voice: &Voice, samples: i64) {
        self.clock += samples;
        self.timestamp = self.timestamp.wrapping_add((samples * i64::from(voice.codec.clock()) / 8_000) as u32);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Clean,
    Loss(u32),
    Jitter,
    Reorder,
    Duplicates,
    Hold,
    Dtx,
    NewSsrc,
    CodecChange,
    Skew(i64),
    LateStart,
    OneWay,
    Transfer,
}

const CONDITIONS: [(What, &str); 17] = [
    (What::Clean, "clean"),
    (What::Loss(1), "loss 1 %"),
    (What::Loss(3), "loss 3 %"),
    (What::Loss(10), "loss 10 %"),
    (What::Jitter, "jitter 60 ms"),
    (What::Reorder, "reordered"),
    (What::Duplicates, "duplicates"),
    (What::Hold, "hold"),
    (What::Dtx, "dtx"),
    (What::NewSsrc, "new ssrc"),
    (What::CodecChange, "codec change"),
    (What::Skew(200), "+200 ppm"),
    (What::Skew(-200), "-200 ppm"),
    (What::Skew(500), "+500 ppm"),
    (What::LateStart, "late start"),
    (What::OneWay, "one way"),
    (What::Transfer, "transfer"),
];

impl What {
    fn seconds(self) -> i64 {
        if matches!(self, What::Skew(_)) { 40 } else { 8 }
    }

    /// Samples that a second may be off: a millisecond; a packet where two clocks drift apart; and what the smallest of
    /// fifty delays leaves.
    fn bound(self, codec: Codec) -> i64 {
        match self {
            What::Skew(_) => FRAME,
            What::Jitter => 3 * MS,
            // With every tenth packet lost Opus is not itself in any second: nothing can be told of its place.
            What::Loss(10) if codec == Codec::Opus => REACH,
            _ if codec == Codec::Opus => MS + 2,
            _ => MS,
        }
    }

    /// First sample that is compared: under jitter the first seconds may be off by what the first twelve delays leave.
    fn first(self) -> usize {
        if self == What::Jitter { 3 * SECOND as usize } else { REACH as usize }
    }

    fn likeness(self, codec: Codec) -> f64 {
        match self {
            What::Clean | What::Jitter | What::Reorder | What::Duplicates | What::OneWay => 0.9,
            _ if codec == Codec::Opus => 0.3,
            What::Loss(_) | What::Skew(_) => 0.5,
            _ => 0.8,
        }
    }
}

fn random(seed: &mut u32) -> u32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    *seed
}

fn scene(what: What, voices: &Voices, plain: &Voices) -> Scene {
    let length = what.seconds() * SECOND;
    let packets = length / FRAME;
    let mut meant = [vec![None; length as usize], vec![None; length as usize]];
    let mut words = Vec::new();
    let mut flights = Vec::new();
    let mut seed = 0x1234_5677;
    for side in Side::BOTH {
        let (voice, meant) = (&voices[side.index()], &mut meant[side.index()]);
        let mut sender = Sender::new(side, 0);
        match what {
            What::Hold if side == Side::Company => {
                sender.talk(voice, 150, meant);
                words.push((3 * SECOND, sender.source, "recvonly"));
                sender.clock += 2 * SECOND;
                words.push((5 * SECOND - 10 * MS, sender.source, "sendrecv"));
                sender.talk(voice, 150, meant);
            }
            What::Dtx => {
                for _ in 0..4 {
                    sender.talk(voice, 60, meant);
                    match voice.codec {
                        Codec::Opus => sender.send(voice.payload_type, &[1 << 3]),
                        _ => sender.send(13, &[70]),
                    }
                    sender.pause(voice, 40 * FRAME);
                }
            }
            What::NewSsrc => {
                sender.talk(voice, packets / 2, meant);
                (sender.ssrc, sender.sequence, sender.timestamp) = (0xabcd, 7, 99);
                sender.talk(voice, packets / 2, meant);
            }
            What::CodecChange => {
                sender.talk(&plain[side.index()], packets / 4, meant);
                sender.talk(voice, packets / 2, meant);
                sender.talk(&plain[side.index()], packets / 4, meant);
            }
            What::LateStart if side == Side::Company => {
                sender.clock = 2 * SECOND + 7 * FRAME;
                sender.talk(voice, packets - 107, meant);
            }
            What::OneWay if side == Side::Company => {}
            What::Transfer if side == Side::Company => {
                sender.talk(voice, packets / 2, meant);
                let flights = std::mem::take(&mut sender.flights);
                sender = Sender { source: source(side, 1), ssrc: 0x7777, ..Sender::new(side, sender.clock) };
                sender.flights = flights;
                words.push((sender.clock - 2 * MS, sender.source, "sendrecv"));
                sender.talk(voice, packets / 2, meant);
            }
            What::Skew(ppm) => {
                sender.talk(voice, packets, meant);
                let by_our_clock = |t: i64| t + t * ppm / 1_000_000;
                for (n, sample) in meant.iter_mut().enumerate() {
                    *sample = Some(signal(side, n as i64 - n as i64 * ppm / 1_000_000, 8_000));
                }
                for flight in &mut sender.flights {
                    flight.arrival = by_our_clock(flight.arrival) + i64::from(random(&mut seed) % 40);
                }
            }
            _ => sender.talk(voice, packets, meant),
        }
        let mut k = 0;
        let mut copies = Vec::new();
        sender.flights.retain_mut(|flight| {
            k += 1;
            let r = random(&mut seed);
            match what {
                What::Loss(percent) => return k < 3 || r % 100 >= percent,
                What::Jitter => flight.arrival += i64::from(r % (60 * MS) as u32),
                What::Reorder if k % 10 == 0 => flight.arrival += 45 * MS,
                What::Duplicates if k % 3 == 0 => copies.push(Flight {
                    arrival: flight.arrival + i64::from(r % 300),
                    bytes: flight.bytes.clone(),
                    ..*flight
                }),
                _ => {}
            }
            true
        });
        flights.extend(sender.flights);
        flights.extend(copies);
    }
    flights.sort_by_key(|flight| flight.arrival);
    Scene { flights, words, meant }
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The signalling address of a side: no port that media could have.
fn phone(side: Side) -> SocketAddr {
    SocketAddr::new(source(side, 0).ip(), 5_060)
}

/// A request, and its response when `status` is one, within the only dialog of a capture.
struct Message<'a> {
    from: Side,
    method: &'a str,
    sequence: u32,
    status: &'a str,
    sdp: &'a str,
}

impl Message<'_> {
    fn text(&self) -> String {
        let (caller, company) = (phone(Side::Caller), phone(Side::Company));
        let tags = ["caller", "company"];
        let party = |side: Side| [format!("<sip:7@{caller}>"), format!("<sip:8@{company}>")][side.index()].clone();
        let tag = |side: Side| tags[side.index()];
        let (from, to) = (self.from, self.from.other());
        let is_first = from == Side::Caller && self.method == "INVITE" && self.status.is_empty();
        let to_tag = if is_first { String::new() } else { format!(";tag={}", tag(to)) };
        let (first, who) = match self.status {
            "" => (format!("{} sip:+442079460500@{} SIP/2.0", self.method, phone(to)), from),
            status => (format!("SIP/2.0 {status}"), to),
        };
        let kind = if self.sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{first}\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{}{}\r\nMax-Forwards: 70\r\nFrom: {};tag={}\r\nTo: {}{to_tag}\r\n\
             Call-ID: scene\r\nCSeq: {} {}\r\nContact: {}\r\n{kind}Content-Length: {}\r\n\r\n{}",
            phone(from),
            tag(from),
            self.sequence,
            party(from),
            tag(from),
            party(to),
            self.sequence,
            self.method,
            party(who),
            self.sdp.len(),
            self.sdp
        )
    }
}

/// The scene as somebody between the two phones would have captured it.
fn capture(scene: &Scene, voices: &Voices, length: i64) -> Vec<u8> {
    /// Begin of the call, in microseconds; it is answered a second later.
    const BEGIN: i64 = 1_800_000_000_000_000;
    let mut frames: Vec<(i64, SocketAddr, SocketAddr, Vec<u8>)> = Vec::new();
    let mut say = |at: i64, message: Message<'_>| {
        let speaker = if message.status.is_empty() { message.from } else { message.from.other() };
        frames.push((at, phone(speaker), phone(speaker.other()), message.text().into_bytes()));
    };
    let (caller, company) = (Side::Caller, Side::Company);
    let described =
        |side: Side, rtp, direction: &str, version| voices[side.index()].described(side, rtp, direction, version);
    fn invite<'a>(from: Side, sequence: u32, status: &'a str, sdp: &'a str) -> Message<'a> {
        Message { from, method: "INVITE", sequence, status, sdp }
    }
    let ack = |from, sequence| Message { from, method: "ACK", sequence, status: "", sdp: "" };
    let offer = described(caller, source(caller, 0), "sendrecv", 1);
    let answer = described(company, source(company, 0), "sendrecv", 1);
    say(-SECOND, invite(caller, 1, "", &offer));
    say(-SECOND + MS, invite(caller, 1, "180 Ringing", ""));
    say(0, invite(caller, 1, "200 OK", &answer));
    say(MS, ack(caller, 1));
    for (n, (at, rtp, direction)) in scene.words.iter().enumerate() {
        let sequence = n as u32 + 1;
        let answering = if *direction == "recvonly" { "sendonly" } else { "sendrecv" };
        let (offer, answer) =
            (described(company, *rtp, direction, n + 2), described(caller, source(caller, 0), answering, n + 2));
        say(*at, invite(company, sequence, "", &offer));
        say(*at, invite(company, sequence, "200 OK", &answer));
        say(*at, ack(company, sequence));
    }
    let bye = |status| Message { from: caller, method: "BYE", sequence: 2, status, sdp: "" };
    say(length, bye(""));
    say(length, bye("200 OK"));
    let flights = scene.flights.iter().filter(|flight| flight.arrival < length);
    frames.extend(flights.map(|flight| {
        let to = source(flight.side.other(), 0);
        (flight.arrival, flight.source, to, flight.bytes.clone())
    }));
    frames.sort_by_key(|frame| frame.0);
    write(frames.iter().map(|(at, source, destination, payload)| Frame {
        at: BEGIN + (SECOND + at) * 125,
        source: *source,
        destination: *destination,
        carrier: Carrier::Udp,
        payload,
    }))
}

/// What the program made of a scene.
struct Heard {
    channels: [Vec<i16>; 2],
    /// Milliseconds by cause, of each side.
    gaps: [std::collections::BTreeMap<String, u64>; 2],
}

/// Gives a scene to the real program.
fn play(scene: &Scene, voices: &Voices, length: i64) -> Heard {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scene.pcap");
    std::fs::write(&file, capture(scene, voices, length)).unwrap();
    let out = folder.path().join("out");
    let done = Command::new(env!("CARGO_BIN_EXE_leaseline")).arg("replay").arg(&file).arg("--out").arg(&out).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let found = |ending: &str| {
        let all = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        let mut all = all.filter(|path| path.extension().is_some_and(|e| e == ending) && !is_log(path));
        all.next().unwrap_or_else(|| panic!("no {ending}: {}", String::from_utf8_lossy(&done.stdout)))
    };
    let mut reader = hound::WavReader::open(found("wav")).unwrap();
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().unwrap();
    assert_eq!(samples.len() as i64, length * 2, "as long as the talk");
    let sidecar: serde_json::Value = serde_json::from_slice(&std::fs::read(found("json")).unwrap()).unwrap();
    let gaps = Side::BOTH.map(|side| {
        let mut sums = std::collections::BTreeMap::new();
        let all = sidecar["recording"]["gaps"].as_array().unwrap().iter();
        for gap in all.filter(|gap| gap["channel"] == ["caller", "company"][side.index()]) {
            *sums.entry(gap["cause"].as_str().unwrap().to_owned()).or_default() += gap["for_ms"].as_u64().unwrap();
        }
        sums
    });
    Heard { channels: [0, 1].map(|c| samples.iter().skip(c).step_by(2).copied().collect()), gaps }
}

/// Beside the sidecars `replay` writes files of its own.
fn is_log(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name == "events" || name == "ladder")
}

/// How many samples later than meant a window is, and how like it is then; `None` when nothing was meant there.
fn compare(meant: &[Option<i16>], heard: &[i16], from: usize) -> Option<(i64, f64)> {
    let window = meant.get(from..from + WINDOW)?;
    if window.iter().any(Option::is_none) {
        return None;
    }
    let a: Vec<f32> = window.iter().map(|sample| f32::from(sample.unwrap_or_default())).collect();
    let power = a.iter().map(|s| s * s).sum::<f32>();
    let like = |shift: i64| {
        let at = usize::try_from(from as i64 + shift).ok()?;
        let b = heard.get(at..at + WINDOW)?;
        let (mut product, mut own) = (0.0, 1.0);
        for (a, b) in a.iter().zip(b) {
            let b = f32::from(*b);
            product += a * b;
            own += b * b;
        }
        Some(f64::from(product / (power * own).sqrt()))
    };
    let found = (-REACH..=REACH).filter_map(|shift| Some((shift, like(shift)?)));
    found.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The worst second of a channel: samples off, and likeness.
fn worst(meant: &[Option<i16>], heard: &[i16], first: usize, step: usize) -> Option<(i64, f64)> {
    let found: Vec<(i64, f64)> =
        (first..meant.len()).step_by(step).filter_map(|from| compare(meant, heard, from)).collect();
    let clear = found.iter().filter(|(_, like)| *like > CLEAR);
    let shift = clear.map(|f| f.0).max_by_key(|shift| shift.abs()).or_else(|| Some(found.first()?.0))?;
    Some((shift, found.iter().map(|f| f.1).fold(1.0, f64::min)))
}

fn causes(heard: &Heard, side: Side) -> String {
    let listed: Vec<String> = heard.gaps[side.index()].iter().map(|(cause, ms)| format!("{cause} {ms}")).collect();
    if listed.is_empty() { "-".to_owned() } else { listed.join(", ") }
}

/// Every condition in this codec: the table, and what in it may not be.
fn table(codec: Codec) -> (String, Vec<String>) {
    let voices = Side::BOTH.map(|side| Voice::new(side, codec));
    let plain = Side::BOTH.map(|side| Voice::new(side, Codec::Pcmu));
    let mut table = format!("{:<13}{:>20}{:>20}   not heard, ms\n", "", "caller off, like", "company off, like");
    let mut faults = Vec::new();
    for (what, name) in CONDITIONS {
        let length = what.seconds() * SECOND;
        let scene = scene(what, &voices, &plain);
        let heard = play(&scene, &voices, length);
        let step = if matches!(what, What::Skew(_)) { 31_000 } else { 7_000 };
        let found =
            Side::BOTH.map(|side| worst(&scene.meant[side.index()], &heard.channels[side.index()], what.first(), step));
        let shown = found.map(|f| f.map_or("nothing".to_owned(), |(off, like)| format!("{off}, {like:.2}")));
        let gaps = Side::BOTH.map(|side| causes(&heard, side)).join(" | ");
        let _ = writeln!(table, "{name:<13}{:>20}{:>20}   {gaps}", shown[0], shown[1]);
        for (side, found) in Side::BOTH.into_iter().zip(found) {
            let other = &heard.channels[side.other().index()];
            let leaked = worst(&scene.meant[side.index()], other, what.first(), 4 * step);
            let wrong = match found {
                None => what != What::OneWay || side != Side::Company,
                Some((off, like)) => {
                    off.abs() > what.bound(codec)
                        || like < what.likeness(codec)
                        || leaked.is_some_and(|(_, like)| like > 0.3)
                }
            };
            if wrong {
                faults.push(format!("{name}, {side:?}: {found:?}, in the other channel {leaked:?}"));
            }
        }
    }
    (table, faults)
}

fn check(codec: Codec) {
    let (table, faults) = table(codec);
    println!("{table}");
    assert!(faults.is_empty(), "{faults:#?}");
    insta::assert_snapshot!(codec.name().to_lowercase(), table);
}

#[test]
fn what_is_recorded_of_pcmu() {
    check(Codec::Pcmu);
}

#[test]
fn what_is_recorded_of_pcma() {
    check(Codec::Pcma);
}

#[test]
fn what_is_recorded_of_g722() {
    check(Codec::G722);
}

#[test]
fn what_is_recorded_of_opus() {
    check(Codec::Opus);
}
