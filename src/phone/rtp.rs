//! One phone's audio stream: 20 ms packets out, figures and a tape of what comes in.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rtp_rs::{RtpPacketBuilder, RtpReader, Seq};
use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::audio::{Sound, Tape};
use crate::limits;
use crate::wire::codec::g711::{Law, RATE};

/// Samples of 20 ms.
const FRAME: u32 = RATE / 50;

/// Where our audio goes and how it is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) rtp: SocketAddr,
    pub(super) law: Law,
    pub(super) payload_type: u8,
    /// The far side wants our audio (not on hold).
    pub(super) send: bool,
}

/// What one phone sent and heard (RFC 3550 §6.4.1 for lost and jitter).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Packets.
    pub sent: u64,
    pub received: u64,
    /// Expected by their sequence numbers, and missing.
    pub lost: u64,
    pub jitter_ms: f64,
    /// From the opening of the port to the first packet.
    pub first_after_ms: Option<u64>,
}

/// An open stream. Dropping it ends it without figures.
#[derive(Debug)]
pub(super) struct Media {
    /// Where we listen; for SDP.
    pub(super) local: SocketAddr,
    remote: watch::Sender<Option<Remote>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Figures>,
}

impl Media {
    /// Takes an even port and begins to listen. Nothing is sent before [`Media::set`].
    pub(super) async fn open(ip: IpAddr, sound: Sound, record: Option<&Path>) -> io::Result<Media> {
        let socket = even_port(ip).await?;
        let local = socket.local_addr()?;
        let tape = record.map(Tape::create).transpose()?;
        let (remote, remote_changes) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let stream = Stream { socket, remote: remote_changes, sound, tape, inbound: Inbound::default(), sent: 0 };
        Ok(Media { local, remote, stop, task: tokio::spawn(stream.run(stopped)) })
    }

    /// Where to send from now on; `None`: nowhere.
    pub(super) fn set(&self, remote: Option<Remote>) {
        self.remote.send_replace(remote);
    }

    /// Ends the stream and its tape.
    pub(super) async fn close(self) -> Figures {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

/// RTP wants an even port (RFC 3550 §11).
async fn even_port(ip: IpAddr) -> io::Result<UdpSocket> {
    for _ in 0..64 {
        let socket = UdpSocket::bind((ip, 0)).await?;
        if socket.local_addr()?.port() % 2 == 0 {
            return Ok(socket);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no even UDP port is free"))
}

struct Stream {
    socket: UdpSocket,
    remote: watch::Receiver<Option<Remote>>,
    sound: Sound,
    tape: Option<Tape>,
    inbound: Inbound,
    sent: u64,
}

impl Stream {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Figures {
        let began = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut outbound = Outbound::new();
        let mut buffer = [0; limits::RTP_PACKET];
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                _ = ticks.tick() => {
                    let remote = *self.remote.borrow();
                    let packet = outbound.tick(&self.sound, remote);
                    // A far side that is gone (ICMP) is heard of in signalling.
                    if let Some((packet, to)) = packet && self.socket.send_to(&packet, to).await.is_ok() {
                        self.sent += 1;
                    }
                }
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, _)) = received else { continue };
                    let law = self.remote.borrow().map_or(Law::Mu, |remote| remote.law);
                    let packet = buffer.get(..length).unwrap_or_default();
                    self.inbound.take(packet, began.elapsed(), law, self.tape.as_mut());
                }
            }
        }
        // What came before the end was heard. The socket itself is asked: tokio may not have looked at it yet.
        let rest = self.socket.into_std().ok();
        while let Some(Ok((length, _))) = rest.as_ref().map(|socket| socket.recv_from(&mut buffer)) {
            let law = self.remote.borrow().map_or(Law::Mu, |remote| remote.law);
            self.inbound.take(buffer.get(..length).unwrap_or_default(), began.elapsed(), law, self.tape.as_mut());
        }
        if let Some(Err(e)) = self.tape.map(Tape::finish) {
            tracing::warn!(error = %e, "the phone's tape could not be finished");
        }
        Figures {
            sent: self.sent,
            received: self.inbound.received,
            lost: self.inbound.lost(),
            jitter_ms: self.inbound.jitter / f64::from(RATE) * 1000.0,
            first_after_ms: self.inbound.began.map(|at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// Numbers of what we send.
struct Outbound {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Samples of the sound that were played.
    played: u64,
    talking: bool,
}

impl Outbound {
    fn new() -> Outbound {
        let seed = getrandom::u64().unwrap_or(0x1ea5_e11e_1ea5_e11e);
        let [a, b, c, d, e, f, g, h] = seed.to_be_bytes();
        Outbound {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]) >> 1,
            timestamp: u32::from(u16::from_be_bytes([g, h])),
            played: 0,
            talking: false,
        }
    }

    /// The packet of this tick. Time passes also when there is nobody to send to.
    fn tick(&mut self, sound: &Sound, remote: Option<Remote>) -> Option<(Vec<u8>, SocketAddr)> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME);
        let Some(remote) = remote.filter(|remote| remote.send) else {
            self.talking = false;
            return None;
        };
        let payload: Vec<u8> =
            (0..u64::from(FRAME)).map(|n| remote.law.encode(sound.sample(self.played + n))).collect();
        self.played += u64::from(FRAME);
        let packet = RtpPacketBuilder::new()
            .payload_type(remote.payload_type)
            .ssrc(self.ssrc)
            .sequence(Seq::from(self.sequence))
            .timestamp(timestamp)
            .marked(!self.talking)
            .payload(&payload)
            .build();
        self.sequence = self.sequence.wrapping_add(1);
        self.talking = true;
        packet.ok().map(|packet| (packet, remote.rtp))
    }
}

/// Counts of what comes in, per RFC 3550 appendix A.1, A.3 and A.8.
#[derive(Default)]
struct Inbound {
    received: u64,
    /// Arrival of the first packet of all.
    began: Option<Duration>,
    ssrc: Option<u32>,
    /// Of earlier sources, lost.
    lost_before: u64,
    /// Packets of this source.
    of_source: u64,
    first: i64,
    highest: i64,
    jitter: f64,
    transit: Option<f64>,
    /// Where timestamp `origin` stands on the tape.
    origin: u32,
    origin_at: u64,
}

impl Inbound {
    /// Takes a datagram; true when it was RTP.
    fn take(&mut self, bytes: &[u8], at: Duration, law: Law, tape: Option<&mut Tape>) -> bool {
        let Ok(packet) = RtpReader::new(bytes) else { return false };
        if (72..=76).contains(&packet.payload_type()) {
            return false;
        }
        self.received += 1;
        let sequence = u16::from(packet.sequence_number());
        let began = *self.began.get_or_insert(at);
        let arrival = at.saturating_sub(began).as_secs_f64() * f64::from(RATE);
        if self.ssrc != Some(packet.ssrc()) {
            self.lost_before = self.lost();
            self.ssrc = Some(packet.ssrc());
            self.of_source = 0;
            self.first = i64::from(sequence);
            self.highest = self.first;
            self.transit = None;
            self.origin = packet.timestamp();
            // A new source goes on where the clock stands; the tape begins with the first packet of all.
            self.origin_at = arrival as u64;
        }
        self.of_source += 1;
        let step = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        self.highest = self.highest.max(self.highest + step);
        let transit = arrival - f64::from(packet.timestamp().wrapping_sub(self.origin) as i32);
        if let Some(before) = self.transit.replace(transit) {
            self.jitter += ((transit - before).abs() - self.jitter) / 16.0;
        }
        let audio = matches!(packet.payload_type(), 0 | 8) || packet.payload().len() >= 80;
        let offset = packet.timestamp().wrapping_sub(self.origin) as i32;
        if let (Some(tape), Ok(offset), true) = (tape, u64::try_from(offset), audio) {
            tape.write(self.origin_at + offset, packet.payload().iter().map(|code| law.decode(*code)));
        }
        true
    }

    fn lost(&self) -> u64 {
        let expected = self.ssrc.map_or(0, |_| self.highest - self.first + 1);
        self.lost_before + u64::try_from(expected).unwrap_or(0).saturating_sub(self.of_source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(inbound: &mut Inbound, ssrc: u32, sequences: impl Iterator<Item = u16>) {
        for (n, sequence) in sequences.enumerate() {
            let packet = RtpPacketBuilder::new()
                .payload_type(0)
                .ssrc(ssrc)
                .sequence(Seq::from(sequence))
                .timestamp(u32::try_from(n).expect("small") * 160)
                .payload(&[0xff; 160])
                .build()
                .expect("a packet");
            let at = Duration::from_millis(20 * n as u64);
            assert!(inbound.take(&packet, at, Law::Mu, None));
        }
    }

    #[test]
    fn losses_are_counted_over_the_wrap_and_new_sources() {
        let mut inbound = Inbound::default();
        feed(&mut inbound, 1, [65_534, 65_535, 0, 2, 1, 5].into_iter());
        assert_eq!((inbound.received, inbound.lost()), (6, 2));
        assert!(inbound.jitter < 1e-6, "packets came in time: {}", inbound.jitter);
        feed(&mut inbound, 2, [100, 102].into_iter());
        assert_eq!((inbound.received, inbound.lost()), (8, 3));
        assert!(!inbound.take(b"not RTP", Duration::ZERO, Law::Mu, None));
    }

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_sound_goes_out_as_packets_of_20_ms() {
        let far = UdpSocket::bind((LOOPBACK, 0)).await.expect("bound");
        let media = Media::open(LOOPBACK, Sound::Tone(1000), None).await.expect("open");
        assert_eq!(media.local.port() % 2, 0);
        let rtp = far.local_addr().expect("bound");
        media.set(Some(Remote { rtp, law: Law::A, payload_type: 8, send: true }));
        let mut samples = Vec::new();
        let mut buffer = [0; 1500];
        for n in 0..10 {
            let wait = tokio::time::timeout(Duration::from_secs(10), far.recv(&mut buffer));
            let length = wait.await.expect("in time").expect("received");
            let packet = RtpReader::new(&buffer[..length]).expect("RTP");
            assert_eq!((packet.payload_type(), packet.payload().len(), packet.mark()), (8, 160, n == 0));
            samples.extend(packet.payload().iter().map(|code| Law::A.decode(*code)));
        }
        let turns = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
        assert!(turns.abs_diff(samples.len() / 8) <= 1, "1000 Hz turns once in 8 samples: {turns}");
        assert!(media.close().await.sent >= 10);
    }

    #[tokio::test]
    async fn what_comes_is_on_the_tape() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tape.wav");
        let far = UdpSocket::bind((LOOPBACK, 0)).await.expect("bound");
        let media = Media::open(LOOPBACK, Sound::Silence, Some(&path)).await.expect("open");
        for n in [0_u8, 1, 3] {
            let packet = RtpPacketBuilder::new()
                .payload_type(0)
                .sequence(Seq::from(u16::from(n)))
                .timestamp(u32::from(n) * 160)
                .payload(&[Law::Mu.encode(1000 * i16::from(n + 1)); 160])
                .build()
                .expect("a packet");
            far.send_to(&packet, media.local).await.expect("sent");
        }
        let figures = media.close().await;
        assert_eq!((figures.received, figures.lost), (3, 1));
        let samples: Vec<i16> =
            hound::WavReader::open(&path).expect("opened").samples().map(|s| s.expect("a sample")).collect();
        let level = |n: usize| (f64::from(samples[n * 160]) / 1000.0).round();
        assert_eq!((samples.len(), [0, 1, 2, 3].map(level)), (640, [1.0, 2.0, 0.0, 4.0]));
    }
}
