//! A real webhook that decides where calls go: it is asked by HTTP, signed; it answers, thinks too long, dies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, Mac};
use serde_json::Value;

use crate::node::{NUMBER, Node, PATIENCE};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Headers (names in lower case) and body of one question.
type Asked = (Vec<(String, String)>, Vec<u8>);

/// Answers every question with what `answer` says, as one connection after the other brings it. `None`: it never does.
fn webhook(answer: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> (SocketAddr, mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, questions) = mpsc::channel();
    let (answer, count) = (std::sync::Arc::new(answer), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (asked, answer, count) = (asked.clone(), answer.clone(), count.clone());
            std::thread::spawn(move || -> std::io::Result<()> {
                let stream = stream?;
                let mut reader = BufReader::new(stream.try_clone()?);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    assert_eq!(line.trim_end(), "POST /decide HTTP/1.1");
                    let mut headers = Vec::new();
                    loop {
                        line.clear();
                        reader.read_line(&mut line)?;
                        let Some((name, value)) = line.trim_end().split_once(':') else { break };
                        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                    }
                    let length = headers.iter().find(|(name, _)| name == "content-length");
                    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
                    reader.read_exact(&mut body)?;
                    let _ = asked.send((headers, body));
                    let nth = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    // Who never answers keeps the connection open.
                    let Some(said) = answer(nth) else { continue };
                    (&stream).write_all(said.as_bytes())?;
                }
            });
        }
    });
    (address, questions)
}

fn ok(body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// A node whose one destination is a phone that is not there; only the webhook knows the one that is.
fn asking(webhook: SocketAddr, keys: &str) -> Node {
    let mut node = Node::new("");
    let (address, company) = (node.address, node.company());
    node.extra = format!(
        "[[company]]\nname = \"acme\"\nring_timeout = \"2s\"\n\
         forward_to = [{{ name = \"gone\", uri = \"sip:gone@{address}:5099\" }}]\n[company.decide]\n\
         url = \"http://{webhook}/decide\"\nsecret = \"{SECRET}\"\n{keys}\n\
         headers = {{ Authorization = \"Bearer of keys\" }}\n\
         forward_to = [{{ name = \"anna\", uri = \"sip:anna@{company}\" }}]\n"
    );
    node.write_config();
    node.start();
    node.answering();
    node
}

fn decision(ended: &Value) -> (&str, &str) {
    let decision = &ended["route"]["decision"];
    (decision["verdict"].as_str().unwrap_or_default(), decision["reason"].as_str().unwrap_or_default())
}

#[test]
fn a_webhook_is_asked_and_its_word_counts() {
    let (address, questions) = webhook(|_| ok(r#"{"destinations":["anna"]}"#));
    let mut node = asking(address, "timeout = \"5s\"");
    for count in 1..=3 {
        let report = node.report(node.call(NUMBER, Duration::from_millis(300)));
        assert!(report.answered, "{report:?}\n{}", node.log());
        let ended = node.wait_for_events("call.ended", count).pop().unwrap();
        assert_eq!(decision(&ended), ("forward", ""), "{ended}");
        assert_eq!((&ended["route"]["decided_by"], &ended["outcome"]), (&"webhook".into(), &"answered".into()));
        let (headers, body) = questions.recv_timeout(PATIENCE).expect("a question");
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
        let key = base64::engine::general_purpose::STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
        let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(signed).chain_update(&body);
        let signature = format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header("webhook-signature"), signature);
        assert_eq!(
            (header("authorization"), header("webhook-id")),
            ("Bearer of keys", ended["call_id"].as_str().unwrap())
        );
        let question: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&question["number"], &question["source"]), (&NUMBER.into(), &"billboard".into()));
        assert_eq!(question["destinations"], serde_json::json!(["gone", "anna"]));
    }
    assert_eq!(node.metric("leaseline_decisions_total{reason=\"forward\"}"), Some(3.0));
    node.stop();
}

#[test]
fn a_webhook_that_is_of_no_use_costs_its_time_and_no_more() {
    let (address, questions) = webhook(|nth| match nth {
        0 => ok(r#"{"reject":486}"#),
        1 => Some("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned()),
        2 => ok(&format!("{{\"x\":\"{}\"}}", "x".repeat(20_000))),
        3 => Some("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned()),
        _ => None,
    });
    let mut node = asking(address, "timeout = \"300ms\"");
    for (nth, said) in [
        ("reject", ""),
        ("default", "decision_status"),
        ("default", "decision_unreadable"),
        ("default", "decision_status"),
        // Three failures in a row: it is left alone.
        ("default", "decision_suspended"),
    ]
    .into_iter()
    .enumerate()
    {
        let report = node.report(node.call(NUMBER, Duration::from_millis(300)));
        assert!(!report.answered, "nobody is there");
        let ended = node.wait_for_events("call.ended", nth + 1).pop().unwrap();
        assert_eq!(decision(&ended), said, "{ended}");
    }
    assert_eq!(questions.try_iter().count(), 4);
    node.stop();
}

#[test]
fn a_webhook_that_hangs_or_is_not_there_is_not_waited_for() {
    let (hangs, _questions) = webhook(|_| None);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, reason) in [(hangs, "decision_late"), (closed, "decision_unreachable")] {
        let mut node = asking(address, "timeout = \"300ms\"\ndefault = \"refuse\"");
        let report = node.report(node.call(NUMBER, Duration::from_millis(300)));
        assert!(!report.answered);
        let ended = node.wait_for_events("call.ended", 1).pop().unwrap();
        assert_eq!(decision(&ended), ("reject", reason), "{ended}");
        assert_eq!((&ended["sip_status"], &ended["reason"]), (&480.into(), &"decision_missing".into()));
        node.stop();
    }
}
