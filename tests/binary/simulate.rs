//! `leaseline simulate`: what the contract promises of it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::node::PROGRAM;

const SMALL: &[&str] = &["simulate", "--days", "4", "--visits-per-day", "200", "--numbers", "4,16"];

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

#[test]
fn json_has_the_shape_of_the_contract() {
    let args = [SMALL, &["--policy", "leaseline,longest-free", "--seed", "7", "--json"]].concat();
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "no progress in a pipe: {:?}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["world"]["seed"], 7);
    let runs = report["runs"].as_array().unwrap();
    let names: Vec<_> =
        runs.iter().map(|run| (run["policy"].as_str().unwrap(), run["numbers"].as_u64().unwrap())).collect();
    assert_eq!(names, [("leaseline", 4), ("leaseline", 16), ("longest-free", 4), ("longest-free", 16)]);
    for run in runs {
        assert_eq!(run["visits_per_day"], 200.0);
        assert!(run["calls"].as_u64().unwrap() > 5);
        for level in ["visitor", "campaign", "source"] {
            let share = |of: &str| run[of][level].as_f64().unwrap();
            let all = share("right") + share("wrong") + share("none");
            assert!((all - 1.0).abs() < 0.001, "{level}: {all}");
        }
        for key in ["log_loss", "ece", "share_at_0_8", "right_at_0_8"] {
            assert!(run[key].as_f64().unwrap() >= 0.0, "{key}");
        }
    }
    assert_eq!(run(&args).stdout, output.stdout, "the same seed, the same answer");
}

#[test]
fn worlds_tables_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("mine.toml");
    let printed = run(&["simulate", "--print-world"]);
    assert_eq!(printed.status.code(), Some(0));
    let mine = String::from_utf8(printed.stdout).unwrap().replace("name = \"default\"", "name = \"mine\"");
    std::fs::write(&world, mine).unwrap();
    let (world, svg) = (world.to_str().unwrap(), folder.path().join("picture.svg"));
    let output = run(&[SMALL, &["--world", world, "--policy", "unbind", "--svg", svg.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("World \"mine\", seed 1") && text.contains("unbind                16"), "{text}");
    assert!(std::fs::read_to_string(svg).unwrap().contains("</svg>"));
}

#[test]
fn what_cannot_be_simulated_is_said() {
    for (args, code, expected) in [
        (&["--world", "no/such.toml"][..], 64, "cannot read no/such.toml"),
        (&["--policy", "best"], 64, "\"best\" is none of all, leaseline, "),
        (&["--numbers", "0"], 64, "1 to 1000 numbers"),
        (&["--spam", "0.95"], 64, "no room for callers"),
        (&["--days", "4", "--warm-up", "4"], 64, "warm-up"),
        (&["--days", "0"], 64, "warm-up"),
        (&["--visits-per-day", "-5"], 64, ""),
        (&["--visits-per-day", "1e12"], 64, "5,000,000 visits"),
        (&["--world", "mine", "--print-world"], 64, "not built in"),
        (
            &["--days", "2", "--visits-per-day", "50", "--numbers", "4", "--svg", "no/such/folder/x.svg"],
            2,
            "no/such/folder",
        ),
    ] {
        let output = run(&[&["simulate"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}
