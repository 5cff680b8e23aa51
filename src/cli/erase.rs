//! `leaseline erase`: recordings of one call, one caller or one visitor.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::daemon::{Daemon, Failed};
use super::{Exit, complain, load, say, small_runtime};

/// Erase the recordings of one call, one caller or one visitor through the running daemon.
///
/// A tombstone stays of each, in its folder, in the manifest of its day and in the journal. Recordings under a legal
/// hold and calls in progress are kept and named. Exit 0 when nothing is left, 1 when something is.
#[derive(Debug, clap::Args)]
#[group(id = "subject", required = true, multiple = false)]
pub(super) struct Args {
    /// The call's id.
    #[arg(long, value_name = "ID", group = "subject")]
    call: Option<String>,
    /// Telephone number of a caller; its digits are compared.
    #[arg(long, value_name = "NUMBER", group = "subject")]
    caller: Option<String>,
    /// A website visitor, as events name them.
    #[arg(long, value_name = "ID", group = "subject")]
    visitor: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct How {
    /// Why; stays in the tombstones.
    #[arg(long, value_name = "TEXT", default_value = "asked for at the command line")]
    why: String,
    /// Only say what would be erased.
    #[arg(long)]
    dry_run: bool,
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
        Ok(runtime) => runtime.block_on(erase(&args)).unwrap_or_else(|(problem, exit)| {
            complain(problem);
            exit
        }),
        Err(exit) => exit,
    }
}

async fn erase(args: &Args) -> Result<Exit, Failed> {
    let How { why, dry_run, config, url, json } = &args.how;
    let config = match load(config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let mut body = json!({ "why": why, "dry_run": dry_run });
    for (key, value) in [("call_id", &args.call), ("caller", &args.caller), ("visitor_id", &args.visitor)] {
        if let Some(value) = value {
            body[key] = Value::from(value.as_str());
        }
    }
    let answer = Daemon::new(url.as_deref(), &config)?.post("/v1/erasures", &body).await?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let count = |key: &str| answer[key].as_array().map_or(0, Vec::len);
    if *json {
        say(&answer);
    } else {
        let erased = if *dry_run { "would be erased" } else { "erased" };
        for (key, text) in
            [("erased", erased), ("held", "held"), ("in_progress", "being recorded"), ("failed", "could not be erased")]
        {
            for call in answer[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
                say(format_args!("{call} {text}"));
            }
        }
        complain(format_args!("{} {erased}", count("erased")));
    }
    Ok(if count("held") + count("in_progress") + count("failed") == 0 { Exit::Done } else { Exit::Bad })
}
