//! The command from its arguments to its text.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn args(text: &str) -> Args {
    Command::try_parse_from(std::iter::once("plan").chain(text.split_whitespace())).expect("good arguments").args
}

#[test]
fn stated_traffic_is_planned() {
    let args =
        args("--visits-per-day 1500 --price 1.20 --currency GBP --channels 12 --forecast 3@2026-12-01..2026-12-24");
    let demand = demand(&args, None).expect("traffic");
    assert!((demand.visits_per_hour - 122.0).abs() < 1e-9);
    let question = Question {
        demand,
        target: args.blocking,
        price: args.price,
        channels: args.channels,
        forecasts: args.forecast.clone(),
    };
    let plan = plan(&question);
    let text = table::text(&question, &plan, "GBP", None);
    insta::assert_snapshot!(text);
    let json = as_json(&args, &question, &plan, None);
    assert_eq!(json["plan"]["numbers"], 13);
    assert_eq!(json["plan"]["forecasts"][0]["from"], "2026-12-01");
    assert_eq!(json["plan"]["compare"][1]["price"], "14.40");
    let svg = picture::svg(&question, &plan).expect("a picture");
    assert!(svg.starts_with("<svg") && svg.contains("<polyline"), "{svg}");
}

#[test]
fn bad_arguments_are_told() {
    for (text, word) in [
        ("--visits-per-day 0", "above 0"),
        ("--visits-per-day NaN", "above 0"),
        ("--visits-per-day 10 --blocking 0%", "above 0 and below"),
        ("--visits-per-day 10 --blocking 200%", "above 0 and below"),
        ("--visits-per-day 10 --price 1,20", "1.20"),
        ("--visits-per-day 10 --currency euro", "ISO 4217"),
        ("--visits-per-day 10 --page-time 3", "duration"),
        ("--visits-per-day 10 --forecast 3@2026-12-24..2026-12-01", "before"),
        ("--visits-per-day 10 --forecast x", "2026-12-01"),
        ("--visits-per-day 10 --peakedness 0.5", "from 1"),
        ("--site shop", "--config"),
        ("--config a.toml", "--site"),
    ] {
        let refused = Command::try_parse_from(std::iter::once("plan").chain(text.split_whitespace()));
        let message = refused.expect_err(text).to_string();
        assert!(message.contains(word), "{text}: {message}");
    }
    let (message, exit) = demand(&args("--page-time 3m"), None).expect_err("no traffic");
    assert!(message.contains("--visits-per-day") && exit == Exit::Usage);
}
