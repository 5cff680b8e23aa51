//! What a simulation found: JSON for programs, a table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::Plan;
use super::policy::CONTENDERS;
use super::score::Score;
use super::spec::Spec;
use super::world::{Kind, World};

/// Right at the source so often, a pool is large enough.
const ENOUGH: f64 = 0.95;

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub world: WorldFacts,
    pub runs: Vec<Run>,
    /// Numbers needed to be right at the source for 95 % of calls.
    pub needed: Vec<Needed>,
}

/// The world that was drawn; the first one where there are several, with the calls of all its seeds.
#[derive(Clone, Debug, Serialize)]
pub struct WorldFacts {
    pub name: String,
    pub about: String,
    pub seed: u64,
    pub seeds: u64,
    pub visits_per_day: f64,
    pub spam: f64,
    pub days: u32,
    pub warm_up_days: u32,
    pub number_price: f64,
    pub sources: usize,
    pub campaigns: usize,
    pub people: u32,
    pub visits: usize,
    /// Visits whose script was blocked.
    pub blocked_visits: u32,
    /// Calls that no policy can know of, for the same reason.
    pub blocked_calls: u32,
    /// All calls to numbers of the pool, those of the warm-up too, by kind.
    pub calls: BTreeMap<Kind, u32>,
}

/// One policy with one size of pool.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub policy: String,
    pub numbers: usize,
    pub visits_per_day: f64,
    /// Share of robots' calls.
    pub spam: f64,
    /// Of all numbers, a month.
    pub cost: f64,
    #[serde(flatten)]
    pub score: Score,
}

/// Numbers that a policy needs for a goal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Needed {
    pub policy: String,
    pub visits_per_day: f64,
    pub spam: f64,
    /// The smallest size that was run and reaches the goal.
    pub source_95: Option<usize>,
    /// The same between the sizes that were run: a straight line over the logarithm of the size.
    pub source_95_interpolated: Option<f64>,
}

impl Report {
    pub(super) fn new(plan: &Plan, spec: &Spec, worlds: &[World], runs: Vec<Run>) -> Report {
        let mut calls = BTreeMap::new();
        for call in worlds.iter().flat_map(|world| &world.calls) {
            *calls.entry(call.kind).or_default() += 1;
        }
        let facts = WorldFacts {
            name: spec.name.clone(),
            about: spec.about.clone(),
            seed: plan.seed,
            seeds: plan.seeds.max(1),
            visits_per_day: spec.visits_per_day,
            spam: spec.noise.spam,
            days: spec.days,
            warm_up_days: spec.warm_up_days,
            number_price: spec.number_price,
            sources: worlds.first().map_or(0, |world| world.sources.len()),
            campaigns: worlds.first().map_or(0, |world| world.campaigns.len()),
            people: worlds.iter().map(|world| world.people).sum(),
            visits: worlds.iter().map(|world| world.visits.len()).sum(),
            blocked_visits: worlds.iter().map(|world| world.blocked_visits).sum(),
            blocked_calls: worlds.iter().map(|world| world.blocked_calls).sum(),
            calls,
        };
        // Runs of one policy in one world follow each other.
        let alike = |a: &Run, b: &Run| a.policy == b.policy && a.visits_per_day == b.visits_per_day && a.spam == b.spam;
        let needed = runs.chunk_by(alike).filter_map(needed).collect();
        Report { world: facts, runs, needed }
    }
}

fn needed(runs: &[Run]) -> Option<Needed> {
    let mut sizes: Vec<(usize, f64)> = runs.iter().map(|run| (run.numbers, run.score.right.source)).collect();
    sizes.sort_by_key(|(numbers, _)| *numbers);
    let at = sizes.iter().position(|(_, right)| *right >= ENOUGH);
    let interpolated = at.map(|at| match at.checked_sub(1).map(|before| sizes[before]) {
        None => sizes[at].0 as f64,
        Some((below, less)) => {
            let (low, high) = ((below as f64).ln(), (sizes[at].0 as f64).ln());
            (low + (high - low) * (ENOUGH - less) / (sizes[at].1 - less)).exp()
        }
    });
    let first = runs.first()?;
    Some(Needed {
        policy: first.policy.clone(),
        visits_per_day: first.visits_per_day,
        spam: first.spam,
        source_95: at.map(|at| sizes[at].0),
        source_95_interpolated: interpolated.map(|numbers| (numbers * 10.0).round() / 10.0),
    })
}

/// The report for people. `detail`: also by kind of call.
pub fn table(report: &Report, detail: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report, detail);
    text
}

fn write(text: &mut String, report: &Report, detail: bool) -> std::fmt::Result {
    let facts = &report.world;
    writeln!(text, "World {:?}, seed {}: {}", facts.name, facts.seed, facts.about)?;
    writeln!(
        text,
        "{} visits of {} people in {} days, {} calls; counted after day {}",
        facts.visits,
        facts.people,
        facts.days * facts.seeds as u32,
        facts.calls.values().sum::<u32>(),
        facts.warm_up_days
    )?;
    writeln!(text, "\n{:<19} {:>4}   right, % of calls     none  log   calibration  exported", "", "")?;
    writeln!(text, "{:<19} {:>4}   visitor camp. source     %   loss     error, %    % / right %", "policy", "nos.")?;
    let mut before: Option<&Run> = None;
    for run in &report.runs {
        if before.is_none_or(|before| (before.visits_per_day, before.spam) != (run.visits_per_day, run.spam)) {
            writeln!(text, "\n{} visits a day, {:.0} % of calls from robots", run.visits_per_day, 100.0 * run.spam)?;
        } else if before.is_some_and(|before| before.policy != run.policy) {
            writeln!(text)?;
        }
        before = Some(run);
        let Score { right, none, log_loss, ece, share_at_0_8, right_at_0_8, .. } = &run.score;
        writeln!(
            text,
            "{:<19} {:>4}   {:>6.1} {:>6.1} {:>6.1}  {:>5.1} {log_loss:>6.2}       {:>5.1}   {:>5.1} / {:>5.1}",
            run.policy,
            run.numbers,
            100.0 * right.visitor,
            100.0 * right.campaign,
            100.0 * right.source,
            100.0 * none.visitor,
            100.0 * ece,
            100.0 * share_at_0_8,
            100.0 * right_at_0_8,
        )?;
        if detail {
            by_kind(text, &run.score)?;
        }
    }
    writeln!(text, "\nNumbers needed to be right at the source for 95 % of calls:")?;
    for needed in &report.needed {
        let about = CONTENDERS.iter().find(|one| one.name == needed.policy).map_or("", |one| one.about);
        let numbers = needed.source_95_interpolated.map_or_else(|| "more".to_owned(), |n| format!("{n:.0}"));
        writeln!(text, "{:<19} {numbers:>4}   {about}", needed.policy)?;
    }
    Ok(())
}

fn by_kind(text: &mut String, score: &Score) -> std::fmt::Result {
    for (kind, of) in &score.by_kind {
        let name = serde_json::to_value(kind).ok();
        writeln!(
            text,
            "  {:<22}   {:>6.1} {:>6.1} {:>6.1}  {:>5.1}   {} calls",
            name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default(),
            100.0 * of.right.visitor,
            100.0 * of.right.campaign,
            100.0 * of.right.source,
            100.0 * of.none.visitor,
            of.calls,
        )?;
    }
    Ok(())
}
