//! `leaseline plan`: how many numbers a site needs.

mod picture;
mod table;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Exit, complain, load, say};
use crate::core::event::Body;
use crate::core::event::keeper::KeeperEvent;
use crate::core::keeper::money::Money;
use crate::core::sizing::Demand;
use crate::core::sizing::measured::{Measured, Summary};
use crate::core::sizing::plan::{Forecast, Plan, Question, Right, plan};
use crate::io::clock;
use crate::io::journal::read_journal;
use crate::limits;
use crate::simulate;
use crate::simulate::policy::contenders;
use crate::simulate::spec::Spec;

/// Say how many numbers a site needs: blocking, price, and what else the same money would buy.
///
/// From traffic that is stated (--visits-per-day or --peak-visits-per-hour), or from what the site's own journal has
/// (--config FILE --site NAME); what is stated goes before what was measured. Exit 0, 2 when the journal cannot be read,
/// 64 when there is nothing to plan from.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Visits that are to see a number, in a day.
    #[arg(long, value_name = "N", value_parser = positive)]
    visits_per_day: Option<f64>,
    /// Visits in the busiest hour; without it, 8.1 % of the day's.
    #[arg(long, value_name = "N", value_parser = positive)]
    peak_visits_per_hour: Option<f64>,
    /// Mean time that a visitor is on the site.
    #[arg(long, value_name = "DURATION", value_parser = crate::config::parse_duration)]
    page_time: Option<Duration>,
    /// How long a number rests with its visitor after the page; the pool's own with --site.
    #[arg(long, value_name = "DURATION", value_parser = crate::config::parse_duration)]
    hold: Option<Duration>,
    /// Share of visits that may go without a number of their own.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = crate::config::parse_share)]
    blocking: f64,
    /// How bursty visits are: variance over mean of the concurrent visitors; 1 when they are independent.
    #[arg(long, value_name = "Z", value_parser = peakedness)]
    peakedness: Option<f64>,
    /// Price of one number a month.
    #[arg(long, value_name = "AMOUNT", value_parser = Money::from_str)]
    price: Option<Money>,
    /// Its currency.
    #[arg(long, value_name = "CODE", value_parser = crate::config::parse_currency)]
    currency: Option<String>,
    /// Campaigns or other channels to tell apart, for the comparison with static numbers.
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Times with so many times the traffic: `3` or `3@2026-12-01..2026-12-24`. May be repeated.
    #[arg(long, value_name = "FACTOR[@FROM..UNTIL]", value_parser = Forecast::from_str)]
    forecast: Vec<Forecast>,
    /// Configuration of the daemon whose journal is measured.
    #[arg(long, value_name = "FILE", requires = "site")]
    config: Option<PathBuf>,
    /// The site in it.
    #[arg(long, value_name = "NAME", requires = "config")]
    site: Option<String>,
    /// Days of the journal to look at.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,
    /// Run the allocator and the attribution at these sizes in a simulated world (`leaseline simulate`), and show how many
    /// calls are credited right. Takes a minute or so.
    #[arg(long, value_name = "WORLD", num_args = 0..=1, default_missing_value = "default")]
    simulate: Option<String>,
    /// Draw blocking against size.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Share of a day's visits that come in its busiest hour: 122 of 1,500 in the traffic that `leaseline simulate` has.
const PEAK_SHARE: f64 = 122.0 / 1_500.0;
const PAGE_TIME: Duration = Duration::from_secs(180);
/// Long enough that a third of it fills the numbers' memories, short enough to wait for.
const SIMULATED_DAYS: u32 = 21;
const HOLD: Duration = Duration::from_secs(1_800);

pub(super) fn execute(args: Args) -> Exit {
    match answer(&args) {
        Ok(()) => Exit::Done,
        Err((message, exit)) => {
            if !message.is_empty() {
                complain(message);
            }
            exit
        }
    }
}

type Failed = (String, Exit);

fn answer(args: &Args) -> Result<(), Failed> {
    if args.forecast.len() > limits::FORECASTS {
        return Err((format!("more than {} forecasts", limits::FORECASTS), Exit::Usage));
    }
    let measured = match (&args.config, &args.site) {
        (Some(config), Some(site)) => Some(measure(config, site, args.days)?),
        _ => None,
    };
    let demand = demand(args, measured.as_ref())?;
    let channels = args.channels.or(measured.as_ref().and_then(|site| site.summary.as_ref()).map(|s| s.campaigns));
    let question =
        Question { demand, target: args.blocking, price: args.price, channels, forecasts: args.forecast.clone() };
    let mut plan = plan(&question);
    if let Some(world) = &args.simulate {
        simulated(world, question.demand.visits_per_hour / PEAK_SHARE, &mut plan)?;
    }
    if let Some(path) = &args.svg {
        let drawn = picture::svg(&question, &plan)
            .and_then(|svg| std::fs::write(path, svg).map_err(|error| format!("{}: {error}", path.display())));
        drawn.map_err(|message| (message, Exit::CouldNot))?;
    }
    let summary = measured.as_ref().and_then(|site| site.summary.as_ref());
    if args.json {
        say(as_json(args, &question, &plan, measured.as_ref()));
    } else {
        say(table::text(&question, &plan, args.currency.as_deref().unwrap_or_default(), summary).trim_end());
    }
    Ok(())
}

/// Fills in how many calls are credited right, at the sizes that the simulation has numbers for.
fn simulated(world: &str, visits_per_day: f64, plan: &mut Plan) -> Result<(), Failed> {
    let usage = |message: String| (message, Exit::Usage);
    let mut spec = Spec::load(world).map_err(|error| usage(error.to_string()))?;
    (spec.days, spec.warm_up_days) = (SIMULATED_DAYS, SIMULATED_DAYS / 3);
    let policies = contenders(&["leaseline".to_owned()]).map_err(usage)?;
    let numbers: Vec<usize> = plan.sizes.iter().map(|size| size.numbers).filter(|n| *n <= simulate::NUMBERS).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shows = std::io::stderr().is_terminal();
    let run = simulate::Plan {
        spec,
        seed: 1,
        seeds: 1,
        visits_per_day: vec![visits_per_day],
        spam: Vec::new(),
        numbers,
        policies,
        threads,
    };
    let report = simulate::simulate(&run, |done, all| {
        if shows {
            eprint!("\r{done} of {all} sizes");
        }
    });
    if shows {
        eprint!("\r\x1b[K");
    }
    let report = report.map_err(|why| usage(format!("--simulate: {why}")))?;
    for size in &mut plan.sizes {
        let right = report.runs.iter().find(|run| run.numbers == size.numbers).map(|run| run.score.right);
        size.right =
            right.map(|right| Right { visitor: right.visitor, campaign: right.campaign, source: right.source });
    }
    Ok(())
}

/// What the journal says of a site.
struct Site {
    name: String,
    hold: Duration,
    numbers: usize,
    summary: Option<Summary>,
}

fn measure(file: &Path, site: &str, days: u32) -> Result<Site, Failed> {
    let config = load(Some(file)).map_err(|exit| (String::new(), exit))?;
    let known = config.sites.iter().find(|known| known.name == site).ok_or_else(|| {
        let names: Vec<&str> = config.sites.iter().map(|site| site.name.as_str()).collect();
        (format!("there is no site `{site}`; the configuration has: {}", names.join(", ")), Exit::Usage)
    })?;
    let of_site = |pool: &&std::sync::Arc<crate::config::Pool>| pool.site.as_deref() == Some(&known.name);
    let pools: Vec<_> = config.pools.iter().filter(of_site).collect();
    let from = clock::wall() - Duration::from_secs(86_400) * days;
    let mut measured = Measured::new(site, from);
    let read = read_journal(&config.node.data_dir, |record| {
        let Ok((_, event)) = record.event() else { return };
        match event.body {
            Body::Keeper(event) => {
                let KeeperEvent::Counted(window) = *event else { return };
                if !pools.iter().any(|pool| pool.name == window.pool) {
                    return;
                }
                measured.turned_away(window.from, window.without);
            }
            body => measured.observe(&body),
        }
    });
    read.map_err(|error| {
        (format!("the journal in {} cannot be read: {error}", config.node.data_dir.display()), Exit::CouldNot)
    })?;
    Ok(Site {
        name: site.to_owned(),
        hold: pools.iter().map(|pool| pool.hold).max().unwrap_or(HOLD),
        numbers: pools.iter().map(|pool| pool.numbers.len()).sum(),
        summary: measured.summary(),
    })
}

fn demand(args: &Args, site: Option<&Site>) -> Result<Demand, Failed> {
    let summary = site.and_then(|site| site.summary.as_ref());
    let stated = args.peak_visits_per_hour.or(args.visits_per_day.map(|day| day * PEAK_SHARE));
    let peak = stated.or(summary.map(|summary| summary.peak)).ok_or_else(|| match site {
        Some(site) => {
            let message = format!(
                "the journal has no visits of `{}` in the last {} days; state them: --visits-per-day N",
                site.name, args.days
            );
            (message, Exit::Usage)
        }
        None => {
            let message = "nothing to plan from: state the traffic (--visits-per-day N or --peak-visits-per-hour N), or \
                           have it measured (--config FILE --site NAME)";
            (message.to_owned(), Exit::Usage)
        }
    })?;
    let page = args.page_time.or(summary.map(|summary| summary.page).filter(|page| !page.is_zero()));
    Ok(Demand {
        visits_per_hour: peak,
        page: page.unwrap_or(PAGE_TIME),
        hold: args.hold.or(site.map(|site| site.hold)).unwrap_or(HOLD),
        peakedness: args.peakedness.or(summary.map(|summary| summary.peakedness)).unwrap_or(1.0),
    })
}

fn as_json(args: &Args, question: &Question, plan: &Plan, site: Option<&Site>) -> Value {
    let demand = question.demand;
    let mut answer = json!({
        "demand": {
            "visits_per_hour": demand.visits_per_hour,
            "page_ms": demand.page.as_millis() as u64,
            "hold_ms": demand.hold.as_millis() as u64,
            "peakedness": demand.peakedness,
        },
        "target": question.target,
        "currency": args.currency,
        "plan": plan,
    });
    if let Some(Site { name, numbers, summary, .. }) = site {
        answer["site"] = json!({ "name": name, "numbers": numbers });
        if let Some(summary) = summary {
            answer["site"]["measured"] = json!({
                "visits": summary.visits,
                "days": summary.days,
                "peak_visits_per_hour": summary.peak,
                "busiest_hour": summary.busiest.1,
                "busiest_hour_visits": summary.busiest.0,
                "page_ms": summary.page.as_millis() as u64,
                "peakedness": summary.peakedness,
                "holders_max": summary.holders,
                "sources": summary.sources,
                "campaigns": summary.campaigns,
            });
        }
    }
    answer
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn positive(text: &str) -> Result<f64, String> {
    let good = number(text).filter(|number| *number > 0.0 && *number <= 1e9);
    good.ok_or_else(|| "write a number above 0, like 1500".to_owned())
}

fn peakedness(text: &str) -> Result<f64, String> {
    number(text).filter(|z| (1.0..=1_000.0).contains(z)).ok_or_else(|| "write a number from 1 to 1000".to_owned())
}

#[cfg(test)]
mod tests;
