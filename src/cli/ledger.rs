//! `leaseline ledger`: what tracking cost.

use std::path::PathBuf;

use serde_json::Value;

use super::daemon::{Daemon, Failed};
use super::{Exit, complain, load, say, small_runtime};

/// Show what tracking cost in one month, by pool and company, as the running daemon's journal has it.
///
/// Exit 0 when it was shown, 2 when the daemon cannot be asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The month, like 2026-11; without it, this one.
    month: Option<String>,
    /// Of this company alone.
    #[arg(long, value_name = "NAME")]
    company: Option<String>,
    /// Configuration of the daemon: where its HTTP listens, and the token.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's HTTP address instead.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    match small_runtime() {
        Ok(runtime) => runtime.block_on(show(&args)).unwrap_or_else(|(problem, exit)| {
            complain(problem);
            exit
        }),
        Err(exit) => exit,
    }
}

async fn show(args: &Args) -> Result<Exit, Failed> {
    let config = load(args.config.as_deref()).map_err(|exit| (String::new(), exit))?;
    let asked = [("month", &args.month), ("company", &args.company)];
    let pairs = asked.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let answer = Daemon::new(args.url.as_deref(), &config)?.get(&format!("/v1/ledger?{query}")).await?;
    if args.json {
        say(String::from_utf8_lossy(&answer));
        return Ok(Exit::Done);
    }
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = answer["pools"].as_array().cloned().unwrap_or_default();
    say(format_args!(
        "{:<24} {:<8} {:>9} {:>12} {:>8} {:>12} {:>7} {:>8}",
        "pool", "kind", "displays", "cost", "numbers", "cost", "calls", "quality"
    ));
    for row in &rows {
        say(format_args!(
            "{:<24} {:<8} {:>9} {:>12} {:>8} {:>12} {:>7} {:>8}",
            text(&row["pool"]),
            text(&row["kind"]),
            row["displays"],
            text(&row["display_cost"]),
            row["numbers"],
            text(&row["number_cost"]),
            row["calls"],
            row["quality_calls"]
        ));
    }
    for company in answer["companies"].as_array().into_iter().flatten() {
        let currency = text(&company["currency"]);
        let (name, total, fee) = (text(&company["company"]), text(&company["total"]), text(&company["fee"]));
        let unit = if currency.is_empty() { String::new() } else { format!("{currency} ") };
        say(format_args!("company {name}: {unit}{total}, of it a fee of {fee}"));
    }
    Ok(Exit::Done)
}
