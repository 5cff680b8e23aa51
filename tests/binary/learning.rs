//! Who is calling, told again by the real program from its journal: `explain`, `fit` and `replay --model`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::node::{Node, PROGRAM, holds};

/// Calls that `fit` wants at least, and one more.
const CALLS: usize = 51;

fn run(node: &Node, words: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(PROGRAM).args(words).arg("--config").arg(node.config_path()).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code(), text)
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn a_model_is_learned_from_the_journal_and_explained_and_compared() {
    let mut node = Node::started("");
    node.answering();
    assert_eq!(run(&node, &["fit"]).0, Some(1), "nothing to learn from");
    let lease = node.lease("visitor-a");
    let id = lease["lease_id"].as_str().unwrap().to_owned();
    let number = lease["number"].as_str().unwrap().to_owned();
    node.request(&format!("POST /v1/leases/{id}/signal"), "{\"signal\":\"tel_tap\"}").unwrap();
    let calls: Vec<_> = (0..CALLS).map(|_| node.call(&number, Duration::ZERO)).collect();
    for call in calls {
        let report = node.report(call);
        assert!(report.answered, "{report:?}\n{}", node.log());
    }
    let told = node.wait_for_events("call.ended", CALLS);
    assert!(told.iter().all(|call| call["attribution"]["model"] == "built-in-1"), "{told:?}");

    let (exit, text) = run(&node, &["explain", "last"]);
    assert!(
        exit == Some(0) && text.contains("visitor visitor-a") && text.contains("model built-in-1"),
        "{exit:?} {text}"
    );
    let one = told[0]["call_id"].as_str().unwrap();
    let (exit, text) = run(&node, &["explain", one, "--json"]);
    let explained = read(&text);
    assert_eq!((exit, &explained["same"], &explained["told"]), (Some(0), &json!(true), &told[0]["attribution"]));
    assert_eq!(run(&node, &["explain", "00000000-0000-7000-8000-000000000000"]).0, Some(2));

    let (exit, text) = run(&node, &["fit", "--json"]);
    assert_eq!(exit, Some(0), "{text}");
    let fitted = read(&text);
    let version = fitted["model"]["version"].as_str().unwrap().to_owned();
    assert_eq!((&fitted["calls"], &fitted["leases"]), (&json!(CALLS), &json!(1)));
    let likelihood = |which: &str| fitted["log_likelihood"][which].as_f64().unwrap();
    assert!(version.starts_with("fit-") && likelihood("after") >= likelihood("before"));
    node.signal(Signal::SIGHUP);
    holds("the file is read", || node.log().contains("the new configuration is in force"));
    assert!(node.report(node.call(&number, Duration::ZERO)).answered);
    let last = node.wait_for_events("call.ended", CALLS + 1).pop().unwrap();
    assert_eq!(last["attribution"]["model"], version.as_str());

    let model = node.data().join("model.json").to_str().unwrap().to_owned();
    let (exit, text) = run(&node, &["replay", "--model", &model, "--json"]);
    let compared = read(&text);
    assert_eq!((&compared["calls"], &compared["model"]), (&json!(CALLS + 1), &json!(version)));
    assert_eq!(
        (exit, &compared["not_reproduced"]),
        (Some(0), &json!(0)),
        "the last call is what this model says: {text}"
    );
    let same = compared["same"].as_u64().unwrap();
    assert_eq!(same as usize + compared["changed"].as_array().unwrap().len(), CALLS + 1);
    let (_, text) = run(&node, &["replay", "--model", &model, "--since", "2100-01-01"]);
    assert!(text.starts_with("0 calls under model fit-"), "{text}");

    // What is no model, and what the arguments cannot be.
    std::fs::write(node.data().join("bad.json"), "{}").unwrap();
    let bad = node.data().join("bad.json").to_str().unwrap().to_owned();
    let (exit, text) = run(&node, &["replay", "--model", &bad]);
    assert!(exit == Some(2) && text.contains("bad.json: is not a model"), "{exit:?} {text}");
    assert_eq!(run(&node, &["replay", "--model", &model, "--since", "yesterday"]).0, Some(64));
    let usage = Command::new(PROGRAM).arg("replay").output().unwrap();
    assert_eq!(usage.status.code(), Some(64));
    assert!(!Path::new(&model).with_extension("json.new").exists());
    node.stop();
}
