//! An auditor's day: a node closes the days of its recordings, somebody erases, somebody cheats.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::node::{Node, PROGRAM, holds};

/// Folders of days that there are, in order.
fn days(data: &Path) -> Vec<PathBuf> {
    let below = |folder: &Path| {
        let mut found: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
        found.sort();
        found
    };
    let years = below(&data.join("recordings"));
    years.iter().flat_map(|year| below(year)).flat_map(|month| below(&month)).collect()
}

fn leaseline(args: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(PROGRAM).args(args).output().unwrap();
    (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The whole answer to somebody who wants to hear a call.
fn hear(node: &Node, call: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(node.http_at()).unwrap();
    let host = node.http_at();
    let head =
        format!("GET /v1/calls/{call}/recording?reason=audit HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// What was recorded today, as if it were of long ago: closing a day waits for its end.
fn age(data: &Path, day: &str) -> PathBuf {
    let today = days(data).pop().expect("a day");
    let old = data.join("recordings/2026/01").join(day);
    fs::create_dir_all(old.parent().unwrap()).unwrap();
    fs::rename(today, &old).unwrap();
    old
}

#[test]
fn a_copied_folder_and_the_public_key_are_enough_for_an_auditor() {
    let mut node = Node::started("");
    node.answering();
    let mut calls = Vec::new();
    for day in ["01", "02"] {
        node.honest_call();
        node.honest_call();
        calls = node.events_of("call.ended").iter().map(|data| data["call_id"].as_str().unwrap().to_owned()).collect();
        assert!(hear(&node, calls.last().unwrap()).starts_with(b"HTTP/1.1 200 "));
        node.stop();
        age(&node.data(), day);
        node.start();
    }
    let closed = node.wait_for_events("archive.day_closed", 2);
    assert_eq!((&closed[0]["records"], &closed[1]["records"]), (&2.into(), &2.into()));
    let played = node.events_of("recording.played");
    assert_eq!((played.len(), &played[0]["by"], &played[0]["reason"]), (2, &"local".into(), &"audit".into()));

    let key_file = node.data().join("keys/signing.key");
    let (code, shown) = leaseline(&["keys", "show", key_file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let key = shown.lines().last().unwrap().to_owned();
    assert_eq!(closed[0]["key"], key.as_str());
    let copy = node.dir.path().join("copy");
    let copied = |copy: &Path| {
        let _ = fs::remove_dir_all(copy);
        let done = Command::new("cp").arg("-r").arg(node.data().join("recordings")).arg(copy).status().unwrap();
        assert!(done.success());
    };
    copied(&copy);
    let verify = |key: &str| leaseline(&["verify", copy.to_str().unwrap(), "--key", key]);
    assert_eq!(verify(&key), (Some(0), String::new()));

    // Somebody erases a call the right way …
    let config = node.config_path();
    let config = config.to_str().unwrap();
    let erase = |args: &[&str]| leaseline(&[&["erase", "--config", config, "--json"], args].concat());
    let (code, text) = erase(&["--call", &calls[0], "--dry-run"]);
    assert_eq!(
        (code, &serde_json::from_str::<Value>(&text).unwrap()["erased"][0]),
        (Some(0), &calls[0].as_str().into())
    );
    let (code, text) = erase(&["--call", &calls[0], "--why", "art. 17"]);
    assert_eq!(
        (code, &serde_json::from_str::<Value>(&text).unwrap()["erased"][0]),
        (Some(0), &calls[0].as_str().into())
    );
    assert_eq!(node.wait_for_events("recording.erased", 1)[0]["why"], "art. 17");
    // Who called is forgotten with it: in the file of events, in the list of calls, and nowhere else.
    let told = fs::read_to_string(node.data().join("events.jsonl")).unwrap();
    let of = |call: &str| told.lines().filter(|line| line.contains(call)).collect::<Vec<_>>().join("\n");
    assert!(!of(&calls[0]).contains("+442079460990") && of(&calls[1]).contains("+442079460990"));
    assert_eq!(of(&calls[0]).lines().count(), of(&calls[1]).lines().count(), "no event is lost");
    let listed = |call: &str| node.json(&format!("/v1/calls/{call}")).to_string();
    assert!(!listed(&calls[0]).contains("+442079460990") && listed(&calls[1]).contains("+442079460990"));
    copied(&copy);
    assert_eq!(verify(&key), (Some(0), String::new()), "what was erased on purpose is no finding");
    assert!(!copy.join("2026/01/01").join(format!("{}.wav", calls[0])).exists());
    // … and somebody else the wrong way.
    let wav = copy.join("2026/01/02").join(format!("{}.wav", calls[2]));
    fs::remove_file(&wav).unwrap();
    fs::remove_file(wav.with_extension("json")).unwrap();
    let (code, text) = verify(&key);
    assert_eq!(code, Some(1));
    assert!(text.starts_with(wav.to_str().unwrap()) && text.contains("(missing)"), "{text}");
    let (other, _) = (node.dir.path().join("other.key"), ());
    let (_, shown) = leaseline(&["keys", "new", other.to_str().unwrap()]);
    let (code, text) = verify(shown.lines().last().unwrap());
    assert!(code == Some(1) && text.contains("(wrong_key)") && text.contains("(wrong_signature)"), "{text}");
    assert_eq!(leaseline(&["verify", copy.to_str().unwrap(), "--key", "nonsense"]).0, Some(64));

    let (code, text) = node.verify();
    assert_eq!(code, Some(0), "{text}");
    holds("the metric counts it", || node.metric("leaseline_archive_days_closed_total") == Some(1.0));
}
