//! What a recorded packet costs: place, decode, interleave, note gaps. Without the file.
//!
//! One iteration is one second of one call: 100 packets of 20 ms, both sides, and the blocks that become due; divide by
//! 100 for the cost of a packet.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leaseline::core::recorder::Recorder;
use leaseline::ids::Side;
use leaseline::time::Now;

const PACKETS: u64 = 50;

/// A call that goes on from iteration to iteration.
struct Talk {
    recorder: Recorder,
    packet: Vec<u8>,
    out: Vec<i16>,
    k: u64,
}

impl Talk {
    fn new(payload_type: u8) -> Talk {
        let mut packet = vec![0x80, payload_type, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend((0..160).map(|i| (i * 7 + 3) as u8));
        Talk { recorder: Recorder::new(Now::default()), packet, out: Vec::new(), k: 0 }
    }

    /// `arrives`: does packet k arrive, and how much later than it was sent?
    fn second(&mut self, arrives: impl Fn(u64) -> Option<Duration>) -> usize {
        let mut frames = 0;
        for _ in 0..PACKETS {
            let k = self.k;
            self.k += 1;
            let Some(late) = arrives(k) else { continue };
            self.packet[2..4].copy_from_slice(&(k as u16).to_be_bytes());
            self.packet[4..8].copy_from_slice(&((k * 160) as u32).to_be_bytes());
            let at = (Now::default()).after(Duration::from_millis(k * 20) + late).mono;
            for side in Side::BOTH {
                self.recorder.on_rtp(at, side, &self.packet);
            }
            frames += self.recorder.tick(at, &mut self.out);
        }
        black_box(&self.out);
        frames
    }
}

fn recorder(c: &mut Criterion) {
    let mut group = c.benchmark_group("recorder");
    group.throughput(Throughput::Elements(PACKETS * 2));
    group.bench_function("clean", |b| {
        let mut talk = Talk::new(0);
        b.iter(|| talk.second(|_| Some(Duration::ZERO)));
    });
    group.bench_function("jitter 19 ms", |b| {
        let mut talk = Talk::new(8);
        b.iter(|| talk.second(|k| Some(Duration::from_millis(k * 7_919 % 19))));
    });
    group.bench_function("loss 3 %", |b| {
        let mut talk = Talk::new(8);
        b.iter(|| talk.second(|k| (k * 7_919 % 100 >= 3).then_some(Duration::ZERO)));
    });
    group.finish();
}

criterion_group!(benches, recorder);
criterion_main!(benches);
