//! `leaseline simulate`: how right attribution is with so many numbers, in a synthetic world.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::{Exit, complain, say};
use crate::simulate::policy::{CONTENDERS, contenders};
use crate::simulate::spec::{Spec, built_in};
use crate::simulate::{NUMBERS, Plan, Report, picture, simulate, table};

/// Run the allocator and the attribution of this program, and what others document, through a synthetic world where the
/// truth is known: how many calls get the right visitor, campaign and source with how many numbers.
///
/// The same seed and world give the same figures. Behaviour in the world is assumed, so the figures compare policies and
/// sizes with each other; they do not forecast your site.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that describes the world, or the name of one that is built in: `default`, or `heldout`, on which nothing
    /// was tuned.
    #[arg(long, value_name = "FILE", default_value = "default")]
    world: String,
    /// The world is drawn from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Worlds of so many seeds, from `--seed` on; their calls are counted together, so chance matters less.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Sizes of the pool.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "4,8,16,32,64,128", value_parser = size)]
    numbers: Vec<usize>,
    /// Traffic, instead of the world's; several are run one by one.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    visits_per_day: Vec<f64>,
    /// Shares of calls that robots make, from 0 to 1, instead of the world's; several are run one by one.
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',')]
    spam: Vec<f64>,
    /// Policies by name, or `all`.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "all")]
    policy: Vec<String>,
    /// Days that are simulated, instead of the world's. A third of them is the warm-up unless it is given.
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Days whose calls are not counted, at the beginning.
    #[arg(long, value_name = "DAYS")]
    warm_up: Option<u32>,
    /// Runs at the same time. The figures do not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Also by kind of call.
    #[arg(long)]
    detail: bool,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
    /// Also draws a picture into this file (SVG).
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only prints the description of a built-in world, to be changed and given to `--world`.
    #[arg(long)]
    print_world: bool,
}

pub(super) fn execute(args: Args) -> Exit {
    if args.print_world {
        return print_world(&args.world);
    }
    let plan = match plan(&args) {
        Ok(plan) => plan,
        Err(why) => {
            complain(why);
            return Exit::Usage;
        }
    };
    let shows = std::io::stderr().is_terminal();
    let report = simulate(&plan, |done, all| {
        if shows {
            eprint!("\r{done} of {all} runs");
        }
    });
    if shows {
        eprint!("\r\x1b[K");
    }
    let report = match report {
        Ok(report) => report,
        Err(why) => {
            complain(why);
            return Exit::Usage;
        }
    };
    if let Some(exit) = drawn(&args, &report) {
        return exit;
    }
    if args.json {
        match serde_json::to_string(&report) {
            Ok(json) => say(json),
            Err(error) => {
                complain(error);
                return Exit::CouldNot;
            }
        }
    } else {
        say(table(&report, args.detail).trim_end());
    }
    Exit::Done
}

/// The picture, when one is wanted; an exit code when there is none.
fn drawn(args: &Args, report: &Report) -> Option<Exit> {
    let path = args.svg.as_ref()?;
    let written = picture(report).and_then(|svg| std::fs::write(path, svg).map_err(|error| error.to_string()));
    written.err().map(|why| {
        complain(format_args!("{}: {why}", path.display()));
        Exit::CouldNot
    })
}

fn print_world(name: &str) -> Exit {
    let Some(text) = built_in(name) else {
        complain(format_args!("--print-world: {name:?} is not built in"));
        return Exit::Usage;
    };
    say(text.trim_end());
    Exit::Done
}

fn plan(args: &Args) -> Result<Plan, String> {
    let mut spec = Spec::load(&args.world).map_err(|error| error.to_string())?;
    if let Some(days) = args.days {
        spec.days = days;
        spec.warm_up_days = days / 3;
    }
    spec.warm_up_days = args.warm_up.unwrap_or(spec.warm_up_days);
    let policies = contenders(&args.policy).map_err(|unknown| {
        let names: Vec<&str> = CONTENDERS.iter().map(|one| one.name).collect();
        format!("--policy: {unknown:?} is none of all, {}", names.join(", "))
    })?;
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let plan = Plan {
        spec,
        seed: args.seed,
        seeds: args.seeds,
        visits_per_day: args.visits_per_day.clone(),
        spam: args.spam.clone(),
        numbers: args.numbers.clone(),
        policies,
        threads,
    };
    plan.specs()?;
    Ok(plan)
}

fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (1..=NUMBERS).contains(size));
    size.ok_or_else(|| format!("a pool has 1 to {NUMBERS} numbers here"))
}
