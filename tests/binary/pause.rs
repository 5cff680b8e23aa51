//! A recording that pauses, from the order to the file.

use std::fs;
use std::time::Duration;

use crate::node::{NUMBER, Node, alone};

#[test]
fn nothing_said_in_a_pause_is_in_the_file() {
    let _alone = alone();
    let mut node = Node::started("");
    node.answering();
    let call = node.call(NUMBER, Duration::from_secs(4));
    let id = node.wait_for_events("call.answered", 1)[0]["call_id"].as_str().unwrap().to_owned();
    let order = |word: &str| node.request(&format!("POST /v1/calls/{id}/recording/{word}"), "").unwrap();
    // The talk has to be heard before and after.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(order("off").0, 409);
    assert_eq!(order("pause").0, 200);
    assert_eq!(order("pause").0, 200, "it pauses already");
    assert_eq!(node.json("/v1/calls/live")["calls"][0]["recording_paused"], true);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(order("resume").0, 200);
    node.report(call);
    let paused = node.wait_for_events("recording.paused", 1)[0]["at_ms"].as_u64().unwrap();
    let resumed = node.wait_for_events("recording.resumed", 1)[0]["at_ms"].as_u64().unwrap();
    let ended = node.wait_for_events("call.ended", 1).remove(0);
    assert_eq!(order("pause").0, 409, "the call is over");
    let recording = &ended["recording"];
    assert_eq!(recording["state"], "complete", "{recording}");
    let wav = fs::read(node.data().join(recording["path"].as_str().unwrap())).unwrap();
    let samples: Vec<i16> = wav[44..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    let of = |from: u64, to: u64, channel: usize| {
        let frames = samples.chunks_exact(2).skip(from as usize * 8).take((to - from) as usize * 8);
        frames.map(|frame| i32::from(frame[channel].unsigned_abs())).max().unwrap()
    };
    for channel in [0, 1] {
        assert_eq!(of(paused, resumed, channel), 0, "silent from {paused} to {resumed}");
        assert!(of(paused - 500, paused, channel) > 1_000 && of(resumed + 40, resumed + 540, channel) > 1_000);
    }
    let gaps = recording["gaps"].as_array().unwrap();
    let pauses: Vec<_> = gaps.iter().filter(|gap| gap["cause"] == "pause").collect();
    assert_eq!(pauses.len(), 2, "{gaps:?}");
    assert!(pauses.iter().all(|gap| gap["at_ms"].as_u64().unwrap().abs_diff(paused) <= 1), "{gaps:?}");
    node.stop();
    let (code, text) = node.verify();
    assert_eq!(code, Some(0), "{text}");
}
