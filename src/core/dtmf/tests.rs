//! Row E18 of the reliability list: presses as networks and phones make them.

use super::*;

const RATE: u32 = 8_000;

/// A phone's events: each packet with its arrival in milliseconds.
#[derive(Clone, Debug, Default)]
struct Sent(Vec<(u64, Wire)>);

#[derive(Clone, Debug)]
struct Wire {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: [u8; 4],
}

impl Sent {
    /// A press from `ms` on, for `length` ms: a packet every 20 ms, the end three times.
    fn press(mut self, key: char, ms: u64, length: u64) -> Sent {
        let timestamp = (0x8000_0000u64 + ms * 8) as u32;
        for step in 1..=length / 20 {
            self.packet(key, timestamp, ms + step * 20, (step * 160) as u16, step == 1, false);
        }
        for copy in 0..3 {
            self.packet(key, timestamp, ms + length + copy * 5, (length * 8) as u16, false, true);
        }
        self
    }

    fn packet(&mut self, key: char, timestamp: u32, ms: u64, duration: u16, marker: bool, end: bool) {
        let sequence = self.0.len() as u16;
        let [high, low] = duration.to_be_bytes();
        let payload = [event(key).unwrap_or(16), if end { 0x8a } else { 0x0a }, high, low];
        self.0.push((ms, Wire { ssrc: 7, sequence, timestamp, marker, payload }));
    }

    fn change(mut self, change: impl Fn(usize, &mut (u64, Wire))) -> Sent {
        self.0.iter_mut().enumerate().for_each(|(index, packet)| change(index, packet));
        self
    }

    fn without(mut self, lost: impl Fn(usize, &Wire) -> bool) -> Sent {
        let mut index = 0;
        self.0.retain(|(_, wire)| {
            index += 1;
            !lost(index - 1, wire)
        });
        self
    }

    /// `key@start+length` of all that was told, to the end of time.
    fn heard(&self) -> String {
        let start = Mono(10_000_000_000);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut detector = Detector::default();
        let mut told = Vec::new();
        for (ms, wire) in &self.0 {
            while let Some((due, _)) = detector.poll_timeout().filter(|(due, _)| *due <= at(*ms)) {
                told.extend(detector.on_timeout(due));
            }
            let Wire { ssrc, sequence, timestamp, marker, ref payload } = *wire;
            let packet = EventPacket { ssrc, sequence, timestamp, marker, clock_rate: RATE, payload };
            detector.on_packet(at(*ms), &packet, |digit| told.push(digit));
        }
        while let Some((due, _)) = detector.poll_timeout() {
            told.extend(detector.on_timeout(due));
        }
        let shown = |d: &Digit| format!("{}@{}+{}", d.key, d.at.since(start).as_millis(), d.length.as_millis());
        told.iter().map(shown).collect::<Vec<_>>().join(" ")
    }
}

fn ends(wire: &Wire) -> bool {
    wire.payload[1] & 0x80 != 0
}

#[test]
fn each_digit_once_with_its_length() {
    let one = || Sent::default().press('5', 0, 100);
    let two = || Sent::default().press('1', 0, 100).press('1', 200, 80);
    let all = "0123456789*#ABCD".chars().enumerate();
    let dialled = all.clone().fold(Sent::default(), |sent, (n, key)| sent.press(key, n as u64 * 200, 60));
    let wanted: Vec<String> = all.map(|(n, key)| format!("{key}@{}+60", n * 200)).collect();
    assert_eq!(dialled.heard(), wanted.join(" "));
    for (what, sent, heard) in [
        ("the end comes three times", one(), "5@0+100"),
        ("pound and star", Sent::default().press('#', 0, 60).press('*', 100, 60), "#@0+60 *@100+60"),
        ("every packet twice", Sent(one().0.into_iter().flat_map(|p| [p.clone(), p]).collect()), "5@0+100"),
        ("the end is lost", one().without(|_, wire| ends(wire)), "5@0+100"),
        ("only one end is left", one().without(|index, _| index != 6), "5@5+100"),
        ("the first packets are lost", one().without(|index, _| index < 3), "5@0+100"),
        ("the same key again", two(), "1@0+100 1@200+80"),
        (
            "the same key again, the end between lost",
            two().without(|index, _| (5..8).contains(&index)),
            "1@0+100 1@200+80",
        ),
        (
            "the same key again, end and marker lost",
            two().without(|index, _| (5..9).contains(&index)),
            "1@0+100 1@200+80",
        ),
        (
            "the same key again, of which only an end came",
            two().without(|index, wire| index > 7 && !ends(wire)),
            "1@0+100 1@200+80",
        ),
        (
            "another key, the end between lost",
            Sent::default().press('1', 0, 100).press('2', 120, 60).without(|index, _| (5..8).contains(&index)),
            "1@0+100 2@120+60",
        ),
        (
            "late by a press",
            {
                let mut sent = Sent::default().press('1', 0, 100).press('2', 120, 60);
                let late = sent.0.remove(2);
                sent.0.insert(8, (150, late.1));
                sent
            },
            "1@0+100 2@120+60",
        ),
        (
            "in the wrong order",
            {
                let mut sent = one();
                sent.0.swap(0, 1);
                sent.0.swap(2, 4);
                sent
            },
            "5@0+100",
        ),
        ("the marker on every packet", one().change(|_, (_, wire)| wire.marker = true), "5@0+100"),
        ("no marker at all", two().change(|_, (_, wire)| wire.marker = false), "1@0+100 1@200+80"),
        ("no length at all", one().change(|_, (_, wire)| (wire.payload[2], wire.payload[3]) = (0, 0)), "5@20+80"),
        ("an event above 15", Sent::default().press('F', 0, 100), ""),
        (
            "an event above 15 in a press",
            {
                let mut sent = Sent::default().press('1', 0, 60).without(|_, wire| ends(wire));
                sent.0.extend(Sent::default().press('F', 80, 40).0);
                sent
            },
            "1@0+60",
        ),
        (
            "timestamps wrap",
            two().change(|_, (_, wire)| wire.timestamp = wire.timestamp.wrapping_add(0x7fff_ff00)),
            "1@0+100 1@200+80",
        ),
        (
            "sequence numbers wrap",
            two().change(|_, (_, wire)| wire.sequence = wire.sequence.wrapping_add(65_533)),
            "1@0+100 1@200+80",
        ),
        (
            "the timestamp moves with every packet",
            one().change(|index, (_, wire)| wire.timestamp += index as u32 * 160),
            "5@0+100",
        ),
        (
            "another SSRC in mid-press, counting on",
            one().change(|index, (_, wire)| {
                if index > 2 {
                    (wire.ssrc, wire.timestamp) = (8, 99)
                }
            }),
            "5@0+100",
        ),
        (
            "another SSRC in mid-press, counting anew",
            one().change(|index, (_, wire)| {
                if index > 2 {
                    (wire.ssrc, wire.timestamp) = (8, 99);
                    let [high, low] = (u16::from_be_bytes([wire.payload[2], wire.payload[3]]) - 480).to_be_bytes();
                    (wire.payload[2], wire.payload[3]) = (high, low);
                }
            }),
            "5@0+100",
        ),
        (
            "another SSRC between copies of the end",
            one().change(|index, (_, wire)| {
                if index > 5 {
                    (wire.ssrc, wire.timestamp) = (8, 99)
                }
            }),
            "5@0+100",
        ),
    ] {
        assert_eq!(sent.heard(), heard, "{what}");
    }
}

#[test]
fn a_long_press_is_one_digit() {
    // RFC 4733 §2.5.1.3: 12 s are a segment of 65535 units and the rest.
    let segmented = |step: fn(u64) -> (u32, u16)| {
        let mut sent = Sent::default();
        for packet in 1..=600u64 {
            let (timestamp, duration) = step(packet * 160);
            sent.packet('9', 0xffff_f000u32.wrapping_add(timestamp), packet * 20, duration, packet == 1, packet == 600);
        }
        sent
    };
    let in_segments = |units: u64| if units <= 0xffff { (0, units as u16) } else { (0xffff, (units - 0xffff) as u16) };
    assert_eq!(segmented(in_segments).heard(), "9@0+12000");
    assert_eq!(segmented(in_segments).without(|index, _| (405..412).contains(&index)).heard(), "9@0+12000");
    assert_eq!(segmented(|units| (0, units as u16)).heard(), "9@0+12000", "the duration wraps");
}

#[test]
fn nothing_is_too_odd_for_it() {
    let mut detector = Detector::default();
    let mut told = 0;
    let mut x = 1u32;
    for n in 0..200_000u64 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let payload = [(x >> 8) as u8 & 0x1f, (x >> 16) as u8, (x >> 24) as u8, x as u8];
        let length = (x >> 3) as usize % 5;
        let packet = EventPacket {
            ssrc: x >> 30,
            sequence: x as u16,
            timestamp: if x & 64 == 0 { x } else { 800 },
            marker: x & 32 == 0,
            clock_rate: x >> 20 & 1,
            payload: &payload[..length],
        };
        detector.on_packet(Mono(n * 1_000_000), &packet, |_| told += 1);
        detector.on_timeout(Mono(n * 1_000_000));
    }
    assert!(told > 0);
}
