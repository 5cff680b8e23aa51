//! Start, reload and end: mistakes in the configuration, a second daemon, SIGHUP, SIGTERM.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::node::{NUMBER, Node, PATIENCE, PROGRAM, holds};

#[test]
fn every_mistake_of_a_configuration_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    fs::write(
        &file,
        "[sip]\nlisten = [\"udp://nowhere\"]\n[media]\naddress = \"127.0.0.1\"\nports = \"9-1\"\ncolour = 1\n\
         [[trunk]]\nname = \"c\"\nmatch = [\"0.0.0.0/0\"]\n[[company]]\nname = \"a\"\nforward_to = []\n\
         [[pool]]\nname = \"p\"\ncompany = \"nobody\"\nkind = \"static\"\nnumbers = [\"hello\"]\n",
    )
    .unwrap();
    for command in ["check", "run"] {
        let done = Command::new(PROGRAM).arg(command).arg("--config").arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
        assert_eq!(done.status.code(), Some(64), "{command}: {text}");
        for word in ["listen", "ports", "colour", "match", "forward_to", "nobody", "hello", "bad.toml"] {
            assert!(text.contains(word), "{command} says nothing of {word}:\n{text}");
        }
    }
}

#[test]
fn a_second_daemon_is_refused_with_a_sentence() {
    let first = Node::started("");
    // The same folder.
    let (code, text) = first.refuses_to_start();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("used by another leaseline"), "{text}");
    // The same ports, another folder.
    for table in [
        format!("[sip]\nlisten = [\"udp://{}\"]\n", first.sip()),
        format!("[http]\nlisten = \"{}\"\n", first.http_at()),
    ] {
        let second = Node::new(&table);
        let (code, text) = second.refuses_to_start();
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("cannot listen on") && text.contains(&first.address.to_string()), "{text}");
    }
    first.get("/healthz").expect("the first one lives");
}

#[test]
fn a_reload_takes_the_good_file_and_refuses_the_broken_one() {
    let mut node = Node::started("");
    node.answering();
    let call = node.call(NUMBER, Duration::from_secs(60));
    node.wait_for_events("call.answered", 1);
    fs::write(node.config_path(), "[node]\nid = 5\nwhat = true\n").unwrap();
    node.signal(Signal::SIGHUP);
    holds("the broken file is refused", || node.log().contains("is refused, the old one stays"));
    node.honest_call();
    // Another number, and none of the old ones.
    node.extra = "[[pool]]\nname = \"board\"\ncompany = \"acme\"\nkind = \"static\"\nnumbers = [\"+442079460600\"]\n\
        channel = { source = \"bus\" }\n"
        .to_owned();
    node.write_config();
    node.signal(Signal::SIGHUP);
    holds("the good file is taken", || node.log().contains("the new configuration is in force"));
    let report = node.report(node.call("+442079460600", Duration::from_millis(500)));
    assert!(report.answered, "{report:?}");
    assert_eq!(node.report(node.call(NUMBER, Duration::ZERO)).status, 404);
    assert!(!call.is_over(), "the running call goes on");
    assert!(call.hang_up(&node).talk_ms > 500);
    node.stop();
}

#[test]
fn sigterm_drains() {
    let mut node = Node::started("");
    node.answering();
    let call = node.call(NUMBER, Duration::from_secs(60));
    node.wait_for_events("call.answered", 1);
    node.signal(Signal::SIGTERM);
    holds("it says that it drains", || node.get("/readyz").is_some_and(|(status, _)| status == 503));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (us, sip) = (socket.local_addr().unwrap(), node.sip());
    let invite = format!(
        "INVITE sip:{NUMBER}@{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKd\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{us}>;tag=d\r\nTo: <sip:b@{sip}>\r\nCall-ID: d\r\nCSeq: 1 INVITE\r\nContact: <sip:a@{us}>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    socket.send_to(invite.as_bytes(), sip).unwrap();
    let mut buffer = [0; 4_096];
    let length = socket.recv(&mut buffer).unwrap();
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(answer.starts_with("SIP/2.0 503 ") && answer.contains("Retry-After: "), "{answer}");
    assert!(!call.is_over(), "the running call goes on");
    let report = call.hang_up(&node);
    assert!(report.answered);
    assert_eq!(node.wait_for_end(), Some(0));
    let ended = node.events_of("call.ended");
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &"caller_hung_up".into()));
    assert_eq!(node.events_of("node.stopped").len(), 1, "the sinks heard the end");
    assert_eq!(node.verify().0, Some(0));
}

#[test]
fn a_second_sigterm_cuts_the_drain_short() {
    let mut node = Node::started("");
    node.answering();
    let call = node.call(NUMBER, Duration::from_secs(60));
    node.wait_for_events("call.answered", 1);
    node.signal(Signal::SIGTERM);
    holds("it says that it drains", || node.get("/readyz").is_some_and(|(status, _)| status == 503));
    let asked = Instant::now();
    node.signal(Signal::SIGTERM);
    assert_eq!(node.wait_for_end(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(15), "the drain time is 20 s");
    assert!(node.report(call).answered);
    let ended = node.events_of("call.ended");
    assert_eq!((ended.len(), &ended[0]["reason"], &ended[0]["hangup_by"]), (1, &"shutdown".into(), &"system".into()));
    assert_eq!(ended[0]["recording"]["state"], "complete");
}
