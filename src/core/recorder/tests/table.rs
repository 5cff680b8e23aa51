//! What was really recorded: known signals of both sides through the relay and the recorder, under what networks and
//! phones do, in every codec. The table is a snapshot; what it must keep is asserted beside it.
//!
//! The caller's signal sweeps up in a second, the company's down, and again: no two places of a second are alike, and
//! neither is like the other. Each second of each channel is compared with what the sender meant to be there: how many
//! samples it is off, and how like it is.

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::*;
use crate::core::media::Remote;
use crate::core::media_address::OwnMedia;
use crate::core::relay::Relay;
use crate::wire::codec::speech::Encoder;

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

    fn formats(&self) -> Vec<PayloadFormat> {
        let (clock_rate, channels) = (self.codec.clock(), if self.codec == Codec::Opus { 2 } else { 1 });
        let codec =
            PayloadFormat { payload_type: self.payload_type, name: self.codec.name().into(), clock_rate, channels };
        vec![codec, format(0, "PCMU"), format(13, "CN"), format(101, "TELEPHONE-EVENT")]
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
    words: Vec<(i64, Side, Option<Flowing>, SocketAddr)>,
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
        let bytes = rtp(payload_type, false, self.sequence, self.timestamp, self.ssrc, payload);
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
                let flowing = |from_side| Some(Flowing { from_side, to_side: true });
                sender.talk(voice, 150, meant);
                words.push((3 * SECOND, side, flowing(false), sender.source));
                sender.clock += 2 * SECOND;
                words.push((5 * SECOND - 10 * MS, side, flowing(true), sender.source));
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
                words.push((sender.clock, side, Some(Flowing { from_side: true, to_side: true }), sender.source));
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

/// Plays a scene through the relay, and what it accepts into the recorder.
fn play(scene: &Scene, voices: &Voices, length: i64) -> Heard {
    let own = OwnMedia { addresses: vec!["203.0.113.9".parse().unwrap()], ports: (20_000, 29_999) };
    let mut relay = Relay::new(mono(0), Arc::new(own), Duration::ZERO);
    let mut recorder = Recorder::new(STARTED);
    let say = |at: i64, side: Side, flowing, rtp: SocketAddr, relay: &mut Relay, recorder: &mut Recorder| {
        let formats = voices[side.index()].formats();
        recorder.on_formats(mono(at), side, &formats, flowing);
        let flowing = flowing.unwrap_or(Flowing { from_side: true, to_side: true });
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
        let remote = Remote {
            rtp,
            rtcp,
            signalling: rtp.ip(),
            vouched: true,
            nat: false,
            rtcp_mux: false,
            said: formats.len(),
            presses: Default::default(),
            secure: None,
            formats,
            flowing,
        };
        relay.set_remote(mono(at), side, Some(&remote)).unwrap();
    };
    for side in Side::BOTH {
        say(0, side, Some(Flowing { from_side: true, to_side: true }), source(side, 0), &mut relay, &mut recorder);
    }
    let (mut all, mut out) = (Vec::new(), Vec::new());
    let mut words = scene.words.iter().peekable();
    let mut tick = 0;
    for flight in scene.flights.iter().filter(|flight| flight.arrival <= length) {
        while let Some((at, side, flowing, rtp)) = words.next_if(|word| word.0 <= flight.arrival) {
            say(*at, *side, *flowing, *rtp, &mut relay, &mut recorder);
        }
        while tick <= flight.arrival {
            while recorder.tick(mono(tick), &mut out) > 0 {
                all.extend_from_slice(&out);
            }
            tick += FRAME;
        }
        let at = mono(flight.arrival);
        if relay.on_rtp(at, flight.side, flight.source, &flight.bytes).is_ok() {
            recorder.on_rtp(at, flight.side, &flight.bytes);
        }
    }
    while recorder.drain(mono(length), &mut out) > 0 {
        all.extend_from_slice(&out);
    }
    let summary = recorder.finish(u64::MAX);
    assert_eq!((summary.frames as i64, all.len() as i64), (length, length * 2), "as long as the talk");
    let channels = [0, 1].map(|c| all.iter().skip(c).step_by(2).copied().collect());
    Heard { channels, summary, sent: Vec::new() }
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
    let mut sums: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for (_, ms, cause) in heard.gaps(side) {
        *sums.entry(cause).or_default() += ms;
    }
    let listed: Vec<String> = sums.iter().map(|(cause, ms)| format!("{cause} {ms}")).collect();
    if listed.is_empty() { "-".to_owned() } else { listed.join(", ") }
}

#[test]
fn the_table_of_what_was_recorded() {
    let voices: Vec<Voices> = Codec::ALL.iter().map(|codec| Side::BOTH.map(|side| Voice::new(side, *codec))).collect();
    let mut table =
        format!("{:<13}{:<6}{:>20}{:>20}   not heard, ms\n", "", "", "caller off, like", "company off, like");
    let mut faults = Vec::new();
    for (what, name) in CONDITIONS {
        for (own, codec) in voices.iter().zip(Codec::ALL) {
            let length = what.seconds() * SECOND;
            let scene = scene(what, own, &voices[0]);
            let heard = play(&scene, own, length);
            let step = if matches!(what, What::Skew(_)) { 31_000 } else { 7_000 };
            let found = Side::BOTH
                .map(|side| worst(&scene.meant[side.index()], &heard.channels[side.index()], what.first(), step));
            let shown = found.map(|f| f.map_or("nothing".to_owned(), |(off, like)| format!("{off}, {like:.2}")));
            let gaps = Side::BOTH.map(|side| causes(&heard, side)).join(" | ");
            let _ = writeln!(table, "{name:<13}{:<6}{:>20}{:>20}   {gaps}", codec.name(), shown[0], shown[1]);
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
                    faults.push(format!("{name}, {codec:?}, {side:?}: {found:?}, in the other channel {leaked:?}"));
                }
            }
        }
    }
    println!("{table}");
    assert!(faults.is_empty(), "{faults:#?}");
    insta::assert_snapshot!(table);
}
