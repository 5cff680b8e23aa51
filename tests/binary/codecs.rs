//! Codecs through the running program: what each side hears of the other, and what is in the recording.

use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use leaseline::wire::codec::Codec;
use leaseline::wire::codec::speech::{Decoder, Encoder};
use leaseline::wire::rtp::Rtp;
use leaseline::wire::sip::Message;
use leaseline::wire::sip::build::Builder;

use crate::line::Line;
use crate::node::{NUMBER, Node, PATIENCE, alone};

const TALK: u32 = 3;

const fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    }
}

/// A phone's media: one codec, a steady tone of its own.
struct Phone {
    socket: UdpSocket,
    codec: Codec,
    hz: f64,
}

impl Phone {
    fn new(node: &Node, codec: Codec, hz: f64) -> Phone {
        let socket = UdpSocket::bind((node.address, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Phone { socket, codec, hz }
    }

    fn sdp(&self) -> String {
        let here = self.socket.local_addr().unwrap();
        let (number, name) = (payload_type(self.codec), self.codec.name());
        let channels = if self.codec == Codec::Opus { "/2" } else { "" };
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n\
             a=rtpmap:{number} {name}/{}{channels}\r\n",
            self.codec.clock(),
            ip = here.ip(),
            port = here.port()
        )
    }

    /// Packets of 20 ms.
    fn packets(&self, ssrc: u32) -> Vec<Vec<u8>> {
        let rate = self.codec.audio_rate();
        let mut encoder = Encoder::new(self.codec, rate).unwrap();
        let mut buffer = [0; 1_400];
        let frame = rate / 50;
        (0..TALK * 50)
            .map(|k| {
                let sample = |n: u32| (9_000.0 * (TAU * self.hz * f64::from(n) / f64::from(rate)).sin()) as i16;
                let samples: Vec<i16> = (k * frame..(k + 1) * frame).map(sample).collect();
                let length = encoder.encode(&samples, &mut buffer).unwrap();
                let mut packet = vec![0x80, payload_type(self.codec) | if k == 0 { 0x80 } else { 0 }];
                packet.extend((k as u16).to_be_bytes());
                packet.extend((k * self.codec.clock() / 50).to_be_bytes());
                packet.extend(ssrc.to_be_bytes());
                packet.extend(&buffer[..length]);
                packet
            })
            .collect()
    }

    /// All that has come, decoded; every packet is of this phone's codec.
    fn heard(&self) -> Vec<i16> {
        let mut decoder = Decoder::new(self.codec, 8_000).unwrap();
        let (mut samples, mut buffer) = (Vec::new(), [0; 2_000]);
        self.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let rtp = Rtp::parse(&buffer[..length]).unwrap();
            assert_eq!(rtp.payload_type(), payload_type(self.codec));
            decoder.decode(rtp.payload(), &mut samples).unwrap();
        }
        samples
    }
}

/// Share of the power that is at this frequency.
fn share(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 1.0);
    for (n, sample) in samples.iter().enumerate() {
        let (s, turn) = (f64::from(*sample), TAU * hz * n as f64 / 8_000.0);
        re += s * turn.cos();
        im += s * turn.sin();
        all += s * s;
    }
    (re * re + im * im) * 2.0 / (all * samples.len().max(1) as f64)
}

/// Where the media of the other side of a description is.
fn media_of(message: &Message) -> SocketAddr {
    let text = String::from_utf8(message.body().to_vec()).unwrap();
    let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    let port = after("m=audio ").split(' ').next().unwrap().parse().unwrap();
    SocketAddr::new(after("c=IN IP4 ").parse().unwrap(), port)
}

fn formats(message: &Message) -> String {
    let text = String::from_utf8(message.body().to_vec()).unwrap();
    text.lines().find_map(|line| line.split_once("RTP/AVP ")).unwrap().1.to_owned()
}

/// Both phones talk for some seconds; what they heard, the event and the two channels of the recording are checked.
fn talk(caller: Codec, company: Codec) {
    let mut node = Node::started("");
    let (a, b) = (Phone::new(&node, caller, 700.0), Phone::new(&node, company, 1_300.0));
    let desk = UdpSocket::bind(node.company()).unwrap();
    desk.connect(node.sip()).unwrap();
    let mut desk = Line::udp(desk);
    let mut line = Line::to(&node);
    let uri = format!("sip:{NUMBER}@{}", node.sip());
    let invite = line.request("INVITE", &uri, &format!("<{uri}>"), "codecs", 1);
    assert!(line.say(&invite.body("application/sdp", a.sdp().as_bytes()).finish().unwrap()));

    let invited = desk.hear_request("INVITE");
    let contact = format!("<sip:desk@{}>", node.company());
    let ok = Builder::response_to(&invited, 200, None, Some("company"), desk.here).header("Contact", &contact);
    assert!(desk.say(&ok.body("application/sdp", b.sdp().as_bytes()).finish().unwrap()));
    desk.hear_request("ACK");
    let answered = line.hear_status(200);
    let to = answered.header("To").unwrap().to_owned();
    let target = answered.contact().unwrap().unwrap().uri.text.to_owned();
    assert!(line.say(&line.request("ACK", &target, &to, "codecs", 1).finish().unwrap()));
    assert_eq!(formats(&answered), payload_type(caller).to_string(), "the caller hears of its own codec");

    let ways = [(&a, media_of(&answered), a.packets(1)), (&b, media_of(&invited), b.packets(2))];
    let begun = Instant::now();
    for k in 0..(TALK * 50) as usize {
        std::thread::sleep((Duration::from_millis(20) * k as u32).saturating_sub(begun.elapsed()));
        for (phone, to, packets) in &ways {
            phone.socket.send_to(&packets[k], to).unwrap();
        }
    }
    let heard = [a.heard(), b.heard()];
    assert!(line.say(&line.request("BYE", &target, &to, "codecs", 2).finish().unwrap()));
    desk.hear_request("BYE");

    let pair = format!("{caller:?} and {company:?}");
    for (samples, hz, who) in [(&heard[0], 1_300.0, "caller"), (&heard[1], 700.0, "company")] {
        assert!(samples.len() > 7_000 * TALK as usize, "{pair}: the {who} heard {} samples", samples.len());
        assert!(share(&samples[4_000..16_000], hz) > 0.9, "{pair}: the {who} heard {}", share(samples, hz));
    }
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!(ended["media"]["caller"]["codec"], caller.name());
    assert_eq!(ended["media"]["company"]["codec"], company.name());
    let recording = &ended["recording"];
    let wav = std::fs::read(node.data().join(recording["path"].as_str().unwrap())).unwrap();
    let samples: Vec<i16> = wav[44..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    for (channel, own, other) in [(0, 700.0, 1_300.0), (1, 1_300.0, 700.0)] {
        let channel: Vec<i16> = samples.iter().skip(channel).step_by(2).copied().skip(8_000).take(8_000).collect();
        let (own, other) = (share(&channel, own), share(&channel, other));
        assert!(own > 0.9 && other < 0.01, "{pair}: {own} of its own, {other} of the other: {recording}");
    }
    node.stop();
}

#[test]
fn a_call_in_g722_is_recorded() {
    let _alone = alone();
    talk(Codec::G722, Codec::G722);
}

#[test]
fn a_call_in_opus_is_recorded() {
    let _alone = alone();
    talk(Codec::Opus, Codec::Opus);
}

#[test]
fn a_caller_in_opus_talks_with_a_company_in_pcma() {
    let _alone = alone();
    talk(Codec::Opus, Codec::Pcma);
}

#[test]
fn a_caller_in_pcmu_talks_with_a_company_in_pcma() {
    let _alone = alone();
    talk(Codec::Pcmu, Codec::Pcma);
}

#[test]
fn a_caller_in_g722_talks_with_a_company_in_pcmu() {
    let _alone = alone();
    talk(Codec::G722, Codec::Pcmu);
}
