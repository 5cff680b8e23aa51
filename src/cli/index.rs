//! `leaseline index`: the index made anew from the journal; and, hidden, generated data to measure it on.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::daemon::{Daemon, Failed};
use super::{Exit, complain, load, say, small_runtime};
use crate::config::Config;
use crate::io::clock;
use crate::io::index::generate::{Plan, Timing, generate_index, generate_journal, measure as measure_index};
use crate::io::index::{Calendar, Progress, rebuild_offline};
use crate::io::journal::{Journal, OnDamage, OpenError, Options};

/// The index that reports and lists of calls are read from.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Rebuild(Rebuild),
    #[command(hide = true)]
    Generate(Generate),
    #[command(hide = true)]
    Measure(Measure),
}

/// Write generated data, for measuring and for trying out: into an index without a journal, or into a journal.
#[derive(Debug, clap::Args)]
struct Generate {
    /// Configuration of whose companies it is; without it, the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to; `journal` or `index.sqlite` are made there.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    #[arg(long, default_value_t = 365)]
    days: u64,
    /// Visits for each call.
    #[arg(long, default_value_t = 3)]
    visits: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Into a journal, for a daemon to be started on.
    #[arg(long)]
    journal: bool,
}

/// Ask an index every report, and say how long each took.
#[derive(Debug, clap::Args)]
struct Measure {
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the index.
    folder: PathBuf,
}

/// Make the index anew from the journal. A running daemon does it itself, beside the index that serves meanwhile.
///
/// Exit 0 when it is done, 2 when it cannot be.
#[derive(Debug, clap::Args)]
struct Rebuild {
    /// Configuration of the daemon: where its data is, where its HTTP listens, and the token.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's HTTP address instead.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn execute(args: Args) -> Exit {
    let args = match args.what {
        What::Rebuild(args) => args,
        What::Generate(args) => return finish(generate(&args)),
        What::Measure(args) => return finish(measure(&args)),
    };
    let done = load(args.config.as_deref()).map_err(|exit| (String::new(), exit)).and_then(|config| match &args.url {
        Some(_) => ask(&args, &config),
        None => alone(&config).unwrap_or_else(|| ask(&args, &config)),
    });
    finish(done.map(|records| format!("the index has {records} records")))
}

fn finish(done: Result<String, Failed>) -> Exit {
    match done {
        Ok(text) => {
            say(text);
            Exit::Done
        }
        Err((problem, exit)) => {
            if !problem.is_empty() {
                complain(problem);
            }
            exit
        }
    }
}

fn generate(args: &Generate) -> Result<String, Failed> {
    let config = load(args.config.as_deref()).map_err(|exit| (String::new(), exit))?;
    let failed = |error: &dyn std::fmt::Display| (format!("not generated: {error}"), Exit::CouldNot);
    std::fs::create_dir_all(&args.out).map_err(|error| failed(&error))?;
    let Generate { calls, days, visits, seed, .. } = *args;
    let plan = Plan { calls, days, visits, seed, until: clock::wall() };
    let mut shown = Shown::new();
    let told = |call| shown.show(Progress { seq: call, of: calls });
    let events = if args.journal {
        let options =
            Options { source: format!("leaseline/{}", config.node.id), seed: [7; 32], on_damage: OnDamage::Refuse };
        let (journal, _) = Journal::open(&args.out, options).map_err(|error| failed(&error))?;
        generate_journal(&journal, &config, plan, told)
    } else {
        generate_index(&args.out, &config, plan, told)
    };
    Ok(format!("{} events of {calls} calls", events.map_err(|error| failed(&error))?))
}

fn measure(args: &Measure) -> Result<String, Failed> {
    let config = load(args.config.as_deref()).map_err(|exit| (String::new(), exit))?;
    let failed = |error: &dyn std::fmt::Display| (format!("not measured: {error}"), Exit::CouldNot);
    let options = Options { source: "leaseline/measure".into(), seed: [7; 32], on_damage: OnDamage::Refuse };
    let (journal, _) = Journal::open(&args.folder, options).map_err(|error| failed(&error))?;
    let today = Calendar::of("UTC").day_and_hour(clock::wall()).0;
    let timings = measure_index(&args.folder, &journal, &config, today).map_err(|error| failed(&error))?;
    let line = |timing: &Timing| {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        format!("{:<40} {:>9.1} {:>9.1}", timing.question, ms(timing.median), ms(timing.longest))
    };
    let lines: Vec<String> = timings.iter().map(line).collect();
    Ok(format!("{:<40} {:>9} {:>9}\n{}", "ms", "median", "longest", lines.join("\n")))
}

/// Without a daemon; `None`: there is one.
fn alone(config: &Config) -> Option<Result<u64, Failed>> {
    let failed = |problem: String| Some(Err((problem, Exit::CouldNot)));
    let data_dir = &config.node.data_dir;
    if !data_dir.join("journal").exists() {
        return failed(format!("there is no journal in {}", data_dir.display()));
    }
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        return failed(format!("the operating system gives no random bytes: {error}"));
    }
    let options = Options { source: format!("leaseline/{}", config.node.id), seed, on_damage: OnDamage::Refuse };
    let journal = match Journal::open(data_dir, options) {
        Ok((journal, _)) => journal,
        Err(OpenError::Locked { .. }) => return None,
        Err(error) => return failed(error.to_string()),
    };
    let mut shown = Shown::new();
    let made = rebuild_offline(data_dir, &journal, config, |progress| shown.show(progress));
    shown.end();
    Some(made.map(|progress| progress.seq).map_err(|error| (format!("not rebuilt: {error}"), Exit::CouldNot)))
}

/// The daemon does it.
fn ask(args: &Rebuild, config: &Config) -> Result<u64, Failed> {
    let runtime = small_runtime().map_err(|exit| (String::new(), exit))?;
    runtime.block_on(async {
        let daemon = Daemon::new(args.url.as_deref(), config)?;
        let rebuilt = |status: &Value| status["rebuilt"].as_u64().unwrap_or(0);
        let status = async |daemon: &Daemon| -> Result<Value, Failed> {
            Ok(serde_json::from_slice(&daemon.get("/v1/index").await?).unwrap_or_default())
        };
        let before = rebuilt(&status(&daemon).await?);
        daemon.post("/v1/index/rebuild", &Value::Object(serde_json::Map::new())).await?;
        let mut shown = Shown::new();
        let mut seen = false;
        loop {
            let now = status(&daemon).await?;
            if rebuilt(&now) > before {
                shown.end();
                return Ok(now["seq"].as_u64().unwrap_or(0));
            }
            let progress = &now["rebuild"];
            if seen && progress.is_null() {
                shown.end();
                return Err(("the daemon could not rebuild its index; its log says why".to_owned(), Exit::CouldNot));
            }
            seen |= !progress.is_null();
            let figure = |name: &str| progress[name].as_u64().unwrap_or(0);
            shown.show(Progress { seq: figure("seq"), of: figure("of") });
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
}

/// Progress on a terminal; nothing in a pipe.
struct Shown {
    is_terminal: bool,
    last: u64,
}

impl Shown {
    fn new() -> Shown {
        Shown { is_terminal: std::io::stderr().is_terminal(), last: 0 }
    }

    fn show(&mut self, progress: Progress) {
        let percent = (progress.seq * 100).checked_div(progress.of).unwrap_or(0);
        if self.is_terminal && percent != self.last {
            self.last = percent;
            eprint!("\r{percent} % of {} records", progress.of);
        }
    }

    fn end(&self) {
        if self.is_terminal && self.last > 0 {
            eprintln!();
        }
    }
}
