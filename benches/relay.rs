//! What the relay decides, per packet, without sockets.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use leaseline::core::media::{Flowing, PayloadFormat, Remote};
use leaseline::core::media_address::OwnMedia;
use leaseline::core::relay::Relay;
use leaseline::ids::{CallId, Side};
use leaseline::io::media::tap;
use leaseline::time::Mono;
use leaseline::wire::srtp::{Context, MasterKey, Suite};

const PACKETS: usize = 1_000;
const STEP: Duration = Duration::from_millis(20);

fn remote(address: &str, nat: bool) -> Remote {
    let rtp: SocketAddr = address.parse().expect("an address");
    let format =
        |payload_type, name: &str| PayloadFormat { payload_type, name: name.into(), clock_rate: 8_000, channels: 1 };
    Remote {
        rtp,
        rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        signalling: rtp.ip(),
        vouched: true,
        nat,
        rtcp_mux: false,
        formats: vec![format(8, "PCMA"), format(101, "TELEPHONE-EVENT")],
        said: 2,
        flowing: Flowing { from_side: true, to_side: true },
        presses: Default::default(),
        secure: None,
    }
}

fn packets() -> Vec<Vec<u8>> {
    let packet = |i: usize| {
        let mut bytes = vec![0x80, 8];
        bytes.extend_from_slice(&(i as u16).to_be_bytes());
        bytes.extend_from_slice(&(i as u32 * 160).to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 7]);
        bytes.resize(172, 0xd5);
        bytes
    };
    (0..PACKETS).map(packet).collect()
}

fn relay(c: &mut Criterion) {
    let own = Arc::new(OwnMedia { addresses: vec![[192, 0, 2, 1].into()], ports: (20_000, 29_999) });
    let caller: SocketAddr = "198.51.100.7:4000".parse().expect("an address");
    let stranger: SocketAddr = "203.0.113.66:4000".parse().expect("an address");
    let packets = packets();
    let mut group = c.benchmark_group("relay");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for (name, nat, source) in
        [("accepted", false, caller), ("accepted behind NAT", true, caller), ("stranger", false, stranger)]
    {
        let mut relay = Relay::new(Mono(0), own.clone(), Duration::from_secs(60));
        for (side, address) in [(Side::Caller, "198.51.100.7:4000"), (Side::Company, "192.0.2.20:6000")] {
            relay.set_remote(Mono(0), side, Some(&remote(address, nat))).expect("an acceptable address");
        }
        let mut now = Mono(0);
        group.bench_function(name, |b| {
            b.iter(|| {
                for packet in &packets {
                    now = now + STEP;
                    let _ = black_box(relay.on_rtp(now, Side::Caller, source, black_box(packet)));
                }
            });
        });
    }
    let (door, receiver) = tap::channel();
    let mut tap = door.tap();
    group.bench_function("tap", |b| {
        b.iter(|| {
            for packet in &packets {
                black_box(tap.packet(CallId(1), Side::Caller, Mono(0), black_box(packet)));
            }
            while receiver.try_recv().is_ok() {}
        });
    });
    group.finish();
}

/// SRTP of one leg: seal and open, G.711 packets of 20 ms.
fn srtp(c: &mut Criterion) {
    let packets = packets();
    let mut group = c.benchmark_group("srtp");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for suite in Suite::ALL {
        let master = MasterKey::new(suite, &vec![7; suite.key_len() + suite.salt_len()]).expect("a key");
        group.bench_function(format!("seal and open {}", suite.as_str()), |b| {
            b.iter(|| {
                let (mut send, mut receive) = (Context::new(&master), Context::new(&master));
                let mut buffer = [0; 256];
                for packet in &packets {
                    buffer[..packet.len()].copy_from_slice(packet);
                    let sealed = send.protect_rtp(&mut buffer, packet.len()).expect("room");
                    black_box(receive.unprotect_rtp(&mut buffer, sealed)).expect("the same key");
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, relay, srtp);
criterion_main!(benches);
