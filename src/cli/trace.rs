//! `leaseline trace`: what was said in a call.

use std::path::PathBuf;

use super::daemon::{Daemon, Failed};
use super::{Exit, complain, load, say, small_runtime};
use crate::config::Config;

/// Show the SIP messages of a live or recent call of the running daemon, or save them as a capture for Wireshark.
///
/// Without CALL: the newest calls, so that one can be chosen. Exit 0 when it was shown, 1 when there is no such call,
/// 2 when the daemon cannot be asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The call's id, as events and `GET /v1/calls` name it; `last` is the newest call.
    call: Option<String>,
    /// Configuration of the daemon: where its HTTP listens, and the token.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's HTTP address instead, like http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Write the messages into this file, which Wireshark and tshark open; `-` is the standard output.
    #[arg(long, short, value_name = "FILE.pcap")]
    out: Option<PathBuf>,
    /// Every message whole, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match small_runtime() {
        Ok(runtime) => runtime.block_on(show(&args, &config)).unwrap_or_else(|problem| {
            complain(problem.0);
            problem.1
        }),
        Err(exit) => exit,
    }
}

async fn show(args: &Args, config: &Config) -> Result<Exit, Failed> {
    let daemon = Daemon::new(args.url.as_deref(), config)?;
    let Some(call) = &args.call else { return list(&daemon, args.json).await };
    let call = if call == "last" { newest(&daemon).await? } else { call.clone() };
    if call.is_empty() || !call.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err((format!("`{call}` is not the id of a call"), Exit::Usage));
    }
    if let Some(out) = &args.out {
        let file = daemon.get(&format!("/v1/calls/{call}/trace")).await?;
        return save(out, &file);
    }
    let format = if args.json { "json" } else { "text" };
    let ladder = daemon.get(&format!("/v1/calls/{call}/ladder?format={format}")).await?;
    say(String::from_utf8_lossy(&ladder).trim_end());
    Ok(Exit::Done)
}

fn save(out: &std::path::Path, file: &[u8]) -> Result<Exit, Failed> {
    use std::io::Write as _;
    let written =
        if out.as_os_str() == "-" { std::io::stdout().lock().write_all(file) } else { std::fs::write(out, file) };
    written.map_err(|e| (format!("cannot write {}: {e}", out.display()), Exit::CouldNot))?;
    Ok(Exit::Done)
}

/// The newest calls, one a line.
async fn list(daemon: &Daemon, json: bool) -> Result<Exit, Failed> {
    let calls = daemon.get("/v1/calls?limit=20").await?;
    if json {
        say(String::from_utf8_lossy(&calls));
        return Ok(Exit::Done);
    }
    let calls: serde_json::Value = serde_json::from_slice(&calls).unwrap_or_default();
    let Some(calls) = calls["calls"].as_array().filter(|calls| !calls.is_empty()) else {
        complain("the daemon knows no calls yet");
        return Ok(Exit::Bad);
    };
    for call in calls {
        let text = |key: &str| call[key].as_str().unwrap_or("-").to_owned();
        say(format_args!("{}  {}  {:<16}  {}", text("call_id"), text("started_at"), text("number"), text("outcome")));
    }
    Ok(Exit::Done)
}

async fn newest(daemon: &Daemon) -> Result<String, Failed> {
    let calls = daemon.get("/v1/calls?limit=1").await?;
    let calls: serde_json::Value = serde_json::from_slice(&calls).unwrap_or_default();
    let newest = calls["calls"][0]["call_id"].as_str();
    newest.map(str::to_owned).ok_or_else(|| ("the daemon knows no calls yet".to_owned(), Exit::Bad))
}
