//! The index made anew from the journal: without the daemon, and beside one that goes on with its calls.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::node::{NUMBER, Node, PROGRAM, holds};

fn leaseline(node: &Node, args: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(PROGRAM).args(args).arg("--config").arg(node.config_path()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    (done.status.code(), text)
}

/// What lists and reports say, without what changes while nobody does anything.
fn said(node: &Node) -> Vec<Value> {
    let paths = [
        "calls",
        "contacts",
        "reports/overview",
        "reports/sources",
        "reports/models",
        "reports/missed",
        "reports/hours",
    ];
    paths.iter().map(|path| node.json(&format!("/v1/{path}"))).collect()
}

fn ids(node: &Node) -> Vec<String> {
    let calls = node.json("/v1/calls");
    calls["calls"].as_array().unwrap().iter().map(|call| call["call_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_index_that_is_damaged_is_made_anew_without_the_daemon() {
    let mut node = Node::started("");
    node.answering();
    for _ in 0..3 {
        node.honest_call();
    }
    holds("the list has them", || ids(&node).len() == 3);
    let before = said(&node);
    node.stop();

    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let path = node.data().join(name);
        if path.exists() {
            fs::write(path, "no index").unwrap();
        }
    }
    let (code, text) = leaseline(&node, &["index", "rebuild"]);
    assert_eq!(code, Some(0), "{text}");
    let records: u64 = text.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(text.starts_with("the index has ") && records > 6, "{text}");
    let (_, verified) = node.verify();
    node.start();
    assert_eq!(said(&node), before, "{verified}");
    // It was that index: nothing had to be made anew at the start.
    assert_eq!(node.json("/v1/index")["rebuilt"], 0);
    node.stop();

    // Where there is no journal there is nothing to make it of.
    fs::rename(node.data(), node.dir.path().join("away")).unwrap();
    let (code, text) = leaseline(&node, &["index", "rebuild"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is no journal in"), "{text}");
}

#[test]
fn a_running_daemon_makes_its_index_anew_while_calls_go_on() {
    let mut node = Node::new("");
    // A past that takes some time to read.
    let out = node.data();
    let generate = ["index", "generate", "--journal", "--calls", "3000", "--days", "3", "--out", out.to_str().unwrap()];
    let (code, text) = leaseline(&node, &generate);
    assert_eq!(code, Some(0), "{text}");
    node.start();
    node.answering();
    let is_whole = |node: &Node| {
        let index = node.json("/v1/index");
        index["rebuild"].is_null() && index["seq"] == index["journal_seq"]
    };
    holds("the past is in the index", || is_whole(&node));
    let talking = node.call(NUMBER, Duration::from_secs(120));
    holds("a call goes on", || node.live_calls() == 1);

    // By the command: it waits until it is done.
    let (code, text) = leaseline(&node, &["index", "rebuild"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("the index has "), "{text}");
    assert_eq!(node.json("/v1/index")["rebuilt"], 1);

    // By the API: one call comes and goes meanwhile, the other one goes on, and lists answer all the time.
    let (status, body) = node.request("POST /v1/index/rebuild", "").unwrap();
    assert_eq!(status, 202, "{body}");
    node.honest_call();
    assert!(!ids(&node).is_empty());
    holds("it is made anew", || node.json("/v1/index")["rebuilt"] == 2);
    assert_eq!(node.live_calls(), 1);
    let report = talking.hang_up(&node);
    assert!(report.answered, "{report:?}");
    let ended = node.wait_for_events("call.ended", 2);
    let ended: Vec<&str> = ended.iter().rev().take(2).map(|call| call["call_id"].as_str().unwrap()).collect();
    holds("both calls are in the list", || {
        let listed = ids(&node);
        ended.iter().all(|id| listed.iter().any(|listed| listed == id))
    });

    // The same as one that is made without the daemon.
    holds("the index is whole", || is_whole(&node));
    let before = said(&node);
    node.stop();
    let (code, text) = leaseline(&node, &["index", "rebuild"]);
    assert_eq!(code, Some(0), "{text}");
    node.start();
    assert_eq!(said(&node), before);
    node.stop();
}
