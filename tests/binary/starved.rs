//! A node without its share of the machine: no processor for a while (row C16), nobody who reads its log (row C18).

use std::io::Read as _;
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::hostile::{invite, receive};
use crate::node::{NUMBER, Node, PATIENCE, alone, holds};

/// C16: what has waited too long is refused when it is a new call, and served when it belongs to one.
#[test]
fn after_a_while_without_processor_new_calls_are_refused_and_running_ones_served() {
    let _alone = alone();
    let node = Node::started("");
    node.answering();
    let running = node.call(NUMBER, Duration::from_millis(1_500));
    node.wait_for_events("call.answered", 1);
    node.signal(Signal::SIGSTOP);
    let stat = format!("/proc/{}/stat", node.pid());
    holds("it stands still", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    carrier.set_read_timeout(Some(PATIENCE)).unwrap();
    for n in 0..20 {
        carrier.send_to(invite(&node, NUMBER, &carrier, &format!("late{n}")).as_bytes(), node.sip()).unwrap();
    }
    // Longer than `overload_after`, and until the running call has said BYE.
    std::thread::sleep(Duration::from_millis(2_500));
    node.signal(Signal::SIGCONT);
    for _ in 0..20 {
        let answer = receive(&carrier).expect("an answer");
        assert!(answer.starts_with("SIP/2.0 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    }
    let report = node.report(running);
    assert!(report.answered && report.status == 200, "{report:?}");
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"answered".into(), &"caller_hung_up".into()), "{ended}");
    holds("each is counted", || {
        node.metric("leaseline_calls_refused_total{reason=\"overload\",trunk=\"carrier\"}") == Some(20.0)
    });
    node.honest_call();
}

/// C18: nobody reads stderr while strangers, searchers and broken peers have much to be logged.
#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let _alone = alone();
    let mut node = Node::new("[log]\nfilter = \"trace\"\n");
    let (mut reader, writer) = std::io::pipe().unwrap();
    node.start_with(Stdio::from(writer));
    node.answering();
    let carrier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    for round in 0..4 {
        for n in 0..500 {
            let id = format!("search{round}x{n}");
            carrier.send_to(invite(&node, "+442079460777", &carrier, &id).as_bytes(), node.sip()).unwrap();
            stranger.send_to(invite(&node, NUMBER, &stranger, &id).as_bytes(), node.sip()).unwrap();
            stranger.send_to(b"\x16\x03\x01 garbage", node.sip()).unwrap();
            drop(std::net::TcpStream::connect(node.sip()));
        }
        node.honest_call();
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(node.pid()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = reader.read_to_string(&mut text);
        text
    });
    assert_eq!(node.wait_for_end(), Some(0));
    let text = reading.join().unwrap();
    // 6,000 messages that are nobody's business: a line a second of each kind, and how many more there were.
    let lines = text.lines().filter(|line| line.contains(" WARN ") || line.contains(" INFO ")).count();
    assert!(lines < 400, "{lines} lines\n{}", text.lines().take(50).collect::<Vec<_>>().join("\n"));
    assert!(!text.contains("panicked"));
}
