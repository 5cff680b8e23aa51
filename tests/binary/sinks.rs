//! A webhook receiver that is dead, and comes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use base64::Engine;
use hmac::{Hmac, Mac};
use serde_json::Value;

use crate::node::{Node, PATIENCE, holds};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Got {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Takes every request with 200, one connection after the other.
fn receiver(listener: TcpListener) -> mpsc::Receiver<Got> {
    let (got, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let got = got.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                let stream = stream?;
                let mut reader = BufReader::new(stream.try_clone()?);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    let mut headers = Vec::new();
                    loop {
                        line.clear();
                        reader.read_line(&mut line)?;
                        let Some((name, value)) = line.trim_end().split_once(':') else { break };
                        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                    }
                    let length = headers.iter().find(|(name, _)| name == "content-length");
                    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body)?;
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
                    if got.send(Got { headers, body }).is_err() {
                        return Ok(());
                    }
                }
            });
        }
    });
    received
}

#[test]
fn a_dead_receiver_costs_nothing_and_gets_everything_later() {
    // An address where nobody listens, until later.
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = reserved.local_addr().unwrap();
    drop(reserved);
    let sinks = format!(
        "[[sink]]\nkind = \"jsonl\"\n[[sink]]\nkind = \"webhook\"\nurl = \"http://{address}/hook\"\nsecret = \"{SECRET}\"\n"
    );
    let mut node = Node::started(&sinks);
    node.answering();
    for _ in 0..3 {
        node.honest_call();
    }
    // Whoever watches the metrics sees it.
    let metric = |name: &str| node.metric(&format!("leaseline_sink_{name}{{sink=\"webhook\"}}"));
    holds("the sink is behind", || metric("lag_events") > Some(11.0) && metric("failures") > Some(0.0));
    assert_eq!(metric("delivered_total"), Some(0.0));
    let received = receiver(TcpListener::bind(address).unwrap());
    let key = base64::engine::general_purpose::STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let mut ended = 0;
    let mut seen: Vec<Value> = Vec::new();
    while ended < 3 {
        let got = received.recv_timeout(PATIENCE + PATIENCE).expect("every event arrives");
        let signed = format!("{}.{}.", got.header("webhook-id"), got.header("webhook-timestamp"));
        let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(signed).chain_update(&got.body);
        let expected = format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()));
        assert!(got.header("webhook-signature").split(' ').any(|signature| signature == expected));
        let event: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(event["id"], got.header("webhook-id"));
        if event["type"] == "leaseline.call.ended" {
            ended += 1;
            let of_call = seen.iter().filter(|earlier| earlier["subject"] == event["subject"]).count();
            assert_eq!(of_call, 3, "the end comes after started, answered and sealed");
        }
        seen.push(event);
    }
    holds("the sink has caught up", || metric("lag_events") == Some(0.0) && metric("failures") == Some(0.0));
    assert!(metric("delivered_total") > Some(11.0) && metric("dead_letters") == Some(0.0));
    node.stop();
    assert_eq!(node.events_of("call.ended").len(), 3);
}
