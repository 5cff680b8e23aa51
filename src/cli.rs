//! The command line: arguments in, exit code out. One file a command.
//!
//! Exit codes are promises: 0 done, 1 the thing checked is bad, 2 it could not be done, 64 bad usage or configuration.

mod answer;
mod call;
mod check;
mod daemon;
mod decrypt;
mod demo;
mod erase;
mod explain;
mod fit;
mod index;
mod keys;
mod ladder;
mod ledger;
mod plan;
mod pools;
mod replay;
mod route;
mod run;
mod simulate;
mod told;
mod trace;
mod user;
mod verify;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

/// Call tracking that a company runs itself: a SIP back-to-back user agent that knows which website visitor is calling.
#[derive(Debug, Parser)]
#[command(name = "leaseline", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Demo(demo::Args),
    Check(check::Args),
    Call(call::Args),
    Answer(answer::Args),
    Replay(replay::Args),
    Route(route::Args),
    Plan(plan::Args),
    Fit(fit::Args),
    Explain(explain::Args),
    Verify(verify::Args),
    Simulate(simulate::Args),
    Keys(keys::Args),
    Erase(erase::Args),
    Decrypt(decrypt::Args),
    Trace(trace::Args),
    Pools(pools::Args),
    Ledger(ledger::Args),
    Index(index::Args),
    User(user::Args),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The thing checked is bad.
    Bad,
    /// It could not be done.
    CouldNot,
    /// Bad usage or configuration (`EX_USAGE` of sysexits.h).
    Usage,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Bad => 1,
            Exit::CouldNot => 2,
            Exit::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Reads the arguments and does what they say.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    run_command(args).into()
}

fn run_command(args: impl Iterator<Item = OsString>) -> Exit {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(e) => {
            // Help and version come this way too; a closed pipe is no reason to fail.
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match command {
        Command::Run(args) => run::execute(args),
        Command::Demo(args) => demo::execute(args),
        Command::Check(args) => check::execute(args),
        Command::Call(args) => call::execute(args),
        Command::Answer(args) => answer::execute(args),
        Command::Replay(args) => replay::execute(args),
        Command::Route(args) => route::execute(args),
        Command::Plan(args) => plan::execute(args),
        Command::Fit(args) => fit::execute(args),
        Command::Explain(args) => explain::execute(args),
        Command::Verify(args) => verify::execute(args),
        Command::Simulate(args) => simulate::execute(args),
        Command::Keys(args) => keys::execute(args),
        Command::Erase(args) => erase::execute(args),
        Command::Decrypt(args) => decrypt::execute(args),
        Command::Trace(args) => trace::execute(args),
        Command::Pools(args) => pools::execute(args),
        Command::Ledger(args) => ledger::execute(args),
        Command::User(args) => user::execute(args),
        Command::Index(args) => index::execute(args),
    }
}

/// The configuration, or its problems on stderr and the exit code for them.
fn load(file: Option<&Path>) -> Result<Config, Exit> {
    Config::load(file).map_err(|problems| {
        complain(problems);
        Exit::Usage
    })
}

/// To stdout. A reader that has gone away (`| head`) is not an error.
fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// To stderr.
fn complain(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A runtime for commands that are one task or two.
fn small_runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
        complain(format_args!("cannot start: {e}"));
        Exit::CouldNot
    })
}

/// Resolves when the person at the terminal, or the script that started us, wants an end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn exit(args: &[&str]) -> Exit {
        run_command(std::iter::once("leaseline").chain(args.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_commands_are_the_contracts() {
        let names: Vec<String> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "run", "demo", "check", "call", "answer", "replay", "route", "plan", "fit", "explain", "verify",
                "simulate", "keys", "erase", "decrypt", "trace", "pools", "ledger", "index", "user"
            ]
        );
    }

    #[test]
    fn exit_codes() {
        let folder = tempfile::tempdir().expect("a folder");
        let bad = folder.path().join("bad.toml");
        std::fs::write(&bad, "[node]\nidd = 1\n").expect("written");
        let bad = bad.to_str().expect("UTF-8");
        let empty = folder.path().join("empty.pcap");
        std::fs::write(&empty, [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 12], &[1, 0, 0, 0]].concat())
            .expect("written");
        let empty = empty.to_str().expect("UTF-8");
        let busy = concat!(env!("CARGO_MANIFEST_DIR"), "/pcap-fixtures/busy.pcap");
        let out = folder.path().join("a/b");
        let out = out.to_str().expect("UTF-8");
        for (args, expected) in [
            (vec!["--version"], Exit::Done),
            (vec!["call", "--help"], Exit::Done),
            (vec![], Exit::Usage),
            (vec!["dance"], Exit::Usage),
            (vec!["call"], Exit::Usage),
            (vec!["call", "+442079460000", "--for", "5"], Exit::Usage),
            (vec!["verify"], Exit::Usage),
            (vec!["check"], Exit::Done),
            (vec!["pools"], Exit::Done),
            (vec!["pools", "https://shop.example/?utm_source=yandex"], Exit::Done),
            (vec!["pools", "https://shop.example/", "--json", "--device", "mobile"], Exit::Done),
            (vec!["pools", "https://shop.example/", "--user-agent", "Googlebot/2.1"], Exit::Bad),
            (vec!["pools", "https://shop.example/", "--site", "nobody"], Exit::Usage),
            (vec!["pools", "https://shop.example/", "--at", "noon"], Exit::Usage),
            (vec!["pools", "--staff-link", "7d"], Exit::Usage),
            (vec!["route"], Exit::Usage),
            (vec!["route", "--codes"], Exit::Done),
            (vec!["route", "+442079460000"], Exit::Done),
            (vec!["route", "+442079460000", "--json"], Exit::Done),
            (vec!["route", "+442079469999"], Exit::Bad),
            (vec!["route", "+442079460000", "--trunk", "nobody"], Exit::Usage),
            (vec!["route", "+442079460000", "--at", "noon"], Exit::Usage),
            (vec!["plan"], Exit::Usage),
            (vec!["plan", "--visits-per-day", "1500", "--json"], Exit::Done),
            (vec!["plan", "--visits-per-day", "many"], Exit::Usage),
            (vec!["plan", "--config", bad, "--site", "x"], Exit::Usage),
            (vec!["check", "--config", bad], Exit::Usage),
            (vec!["check", "--config", "no/such/file"], Exit::Usage),
            (vec!["replay", "no/such/file.pcap"], Exit::CouldNot),
            (vec!["replay", bad], Exit::CouldNot),
            (vec!["replay", empty], Exit::Bad),
            (vec!["replay", busy], Exit::Done),
            (vec!["replay", busy, "--json", "--out", out], Exit::Done),
        ] {
            assert_eq!(exit(&args), expected, "{args:?}");
        }
        assert_eq!([Exit::Done, Exit::Bad, Exit::CouldNot, Exit::Usage].map(Exit::code), [0, 1, 2, 64]);
        let events = std::fs::read_to_string(folder.path().join("a/b/events.jsonl")).expect("events");
        assert_eq!(events.lines().count(), 2, "started and ended: {events}");
    }
}
