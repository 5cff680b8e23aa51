//! kill -9 in the middle of ten recorded calls, and a disk that is full.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::{NUMBER, Node, alone, holds, wavs};

/// Who holds which number, without what a restart may renew.
fn leases(node: &Node) -> BTreeMap<String, (Value, Value, Value)> {
    let listed = node.json("/v1/leases");
    let rows = listed["leases"].as_array().or(listed.as_array()).expect("a list").clone();
    let key = |row: &Value| row["lease_id"].as_str().or(row["id"].as_str()).expect("an id").to_owned();
    rows.iter()
        .map(|row| (key(row), (row["number"].clone(), row["visitor_id"].clone(), row["session"].clone())))
        .collect()
}

#[test]
fn g06_killed_in_the_middle_of_ten_recorded_calls() {
    let _alone = alone();
    let mut node = Node::started("");
    node.answering();
    for n in 0..5 {
        node.lease(&format!("visitor-{n}"));
    }
    let held = leases(&node);
    assert_eq!(held.len(), 5);
    let calls: Vec<_> = (0..10).map(|_| node.call(NUMBER, Duration::from_secs(60))).collect();
    node.wait_for_events("call.answered", 10);
    let talking = Instant::now();
    // Long enough that a lost second shows.
    holds("three seconds of talk", || talking.elapsed() > Duration::from_secs(3));
    let talked = talking.elapsed();
    node.child.as_mut().unwrap().kill().unwrap();
    node.wait_for_end();

    node.start();
    let ended = node.wait_for_events("call.ended", 10);
    assert_eq!(ended.len(), 10);
    let mut ids = std::collections::BTreeSet::new();
    for data in &ended {
        assert_eq!(data["outcome"], "lost_in_crash", "{data}");
        assert!(ids.insert(data["call_id"].to_string()), "ended twice");
        let path = node.data().join(data["recording"]["path"].as_str().expect("a recording"));
        let reader = hound::WavReader::open(&path).unwrap();
        let long = Duration::from_secs_f64(f64::from(reader.duration()) / 8_000.0);
        assert!(long + Duration::from_secs(1) >= talked, "{long:?} of {talked:?} were kept");
        assert_eq!((reader.spec().channels, reader.into_samples::<i16>().all(|sample| sample.is_ok())), (2, true));
    }
    let files = wavs(&node.data());
    assert_eq!((files.len(), files.iter().filter(|file| file.extension().unwrap() == "part").count()), (10, 0));
    assert_eq!(leases(&node), held, "the leases are as before");
    let recovered = |node: &Node| {
        let mut ids: Vec<_> =
            node.events_of("recording.recovered").iter().map(|data| data["call_id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(recovered(&node), ids.iter().cloned().collect::<Vec<_>>(), "each is told once");
    let (code, text) = node.verify();
    assert_eq!(code, Some(0), "{text}");
    for call in calls {
        call.hang_up(&node);
    }
    node.honest_call();
    node.stop();
    assert_eq!(node.verify().0, Some(0));
    // A second restart finds nothing to mend.
    node.start();
    assert_eq!((node.events_of("call.ended").len(), recovered(&node).len()), (11, 10));
}

/// The soft limit of the running program's file size, in bytes.
fn file_size_limit(node: &Node, limit: &str) -> bool {
    let done = Command::new("prlimit").args(["--pid", &node.pid().to_string(), &format!("--fsize={limit}:")]).status();
    done.is_ok_and(|status| status.success())
}

#[test]
fn g03_a_full_disk_costs_the_recording_and_not_the_call() {
    let _alone = alone();
    let node = Node::started("");
    node.answering();
    node.honest_call();
    // Recordings outgrow this within three seconds (32 kB a second); journal and events do not.
    if !file_size_limit(&node, "96000") {
        assert!(std::env::var_os("CI").is_none(), "prlimit is missing");
        eprintln!("skipped: prlimit is missing");
        return;
    }
    let report = node.report(node.call(NUMBER, Duration::from_secs(6)));
    assert!(report.answered && report.talk_ms >= 5_900, "the call goes on: {report:?}");
    assert!(report.media.received > 250, "with its audio: {report:?}");
    let ended = node.wait_for_events("call.ended", 2).pop().unwrap();
    assert_eq!(
        (&ended["outcome"], &ended["recording"]["reason"]),
        (&"answered".into(), &"disk_full".into()),
        "{ended}"
    );
    assert_ne!(ended["recording"]["state"], "complete");
    // What is there plays.
    if let Some(path) = ended["recording"]["path"].as_str() {
        let reader = hound::WavReader::open(node.data().join(path)).unwrap();
        assert!(reader.duration() > 8_000, "a playable beginning");
    }
    assert!(file_size_limit(&node, "unlimited"));
    node.honest_call();
    let (code, text) = node.verify();
    assert_eq!(code, Some(0), "{text}");
    assert!(fs::metadata(node.data().join("events.jsonl")).unwrap().len() > 0);
}
