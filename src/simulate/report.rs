//! What a simulation found: JSON for programs, a table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::Plan;
use super::policy::{CONTENDERS, Contender};
use super::score::Score;
use super::world::{Kind, World};

/// Right at the source so often, a pool is large enough.
const ENOUGH: f64 = 0.95;

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub world: WorldFacts,
    pub runs: Vec<Run>,
    /// Numbers needed to be right at the source for 95 % of calls, by policy.
    pub needed: BTreeMap<String, Needed>,
}

/// The world that was drawn.
#[derive(Clone, Debug, Serialize)]
pub struct WorldFacts {
    pub name: String,
    pub about: String,
    pub seed: u64,
    pub visits_per_day: f64,
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
    /// Of all numbers, a month.
    pub cost: f64,
    #[serde(flatten)]
    pub score: Score,
}

/// Numbers needed for a goal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Needed {
    /// The smallest size that was run from which on every size reaches the goal.
    pub source_95: Option<usize>,
    /// The same between the sizes that were run, a straight line over the logarithm of the size.
    pub source_95_interpolated: Option<f64>,
}

impl Report {
    pub(super) fn new(plan: &Plan, world: &World, scores: impl Iterator<Item = (Contender, usize, Score)>) -> Report {
        let spec = &plan.spec;
        let run = |(policy, numbers, score): (Contender, usize, Score)| Run {
            policy: policy.name.to_owned(),
            numbers,
            visits_per_day: spec.visits_per_day,
            cost: spec.number_price * numbers as f64,
            score,
        };
        let runs: Vec<Run> = scores.map(run).collect();
        let needed = plan.policies.iter().map(|policy| (policy.name.to_owned(), needed(&runs, policy.name))).collect();
        let mut calls = BTreeMap::new();
        for call in &world.calls {
            *calls.entry(call.kind).or_default() += 1;
        }
        let facts = WorldFacts {
            name: spec.name.clone(),
            about: spec.about.clone(),
            seed: plan.seed,
            visits_per_day: spec.visits_per_day,
            days: spec.days,
            warm_up_days: spec.warm_up_days,
            number_price: spec.number_price,
            sources: world.sources.len(),
            campaigns: world.campaigns.len(),
            people: world.people,
            visits: world.visits.len(),
            blocked_visits: world.blocked_visits,
            blocked_calls: world.blocked_calls,
            calls,
        };
        Report { world: facts, runs, needed }
    }
}

fn needed(runs: &[Run], policy: &str) -> Needed {
    let mut sizes: Vec<(usize, f64)> =
        runs.iter().filter(|run| run.policy == policy).map(|run| (run.numbers, run.score.right.source)).collect();
    sizes.sort_by_key(|(numbers, _)| *numbers);
    let short = sizes.iter().rposition(|(_, right)| *right < ENOUGH);
    let reached = sizes.get(short.map_or(0, |short| short + 1)).copied();
    let interpolated = match (short.map(|short| sizes[short]), reached) {
        (Some((below, less)), Some((above, more))) => {
            let (low, high) = ((below as f64).ln(), (above as f64).ln());
            Some((low + (high - low) * (ENOUGH - less) / (more - less)).exp())
        }
        (None, Some((numbers, _))) => Some(numbers as f64),
        _ => None,
    };
    Needed {
        source_95: reached.map(|(numbers, _)| numbers),
        source_95_interpolated: interpolated.map(|numbers| (numbers * 10.0).round() / 10.0),
    }
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
        facts.days,
        facts.calls.values().sum::<u32>(),
        facts.warm_up_days
    )?;
    writeln!(text, "\n{:<15} {:>4}   right, % of calls     none  log   calibration  exported", "", "")?;
    writeln!(text, "{:<15} {:>4}   visitor camp. source     %   loss     error, %    % / right %", "policy", "nos.")?;
    let mut before = "";
    for run in &report.runs {
        if !before.is_empty() && before != run.policy {
            writeln!(text)?;
        }
        before = &run.policy;
        let Score { right, none, log_loss, ece, share_at_0_8, right_at_0_8, .. } = &run.score;
        writeln!(
            text,
            "{:<15} {:>4}   {:>6.1} {:>6.1} {:>6.1}  {:>5.1} {log_loss:>6.2}       {:>5.1}   {:>5.1} / {:>5.1}",
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
            for (kind, of) in &run.score.by_kind {
                let name = serde_json::to_value(kind).ok();
                writeln!(
                    text,
                    "  {:<18}   {:>6.1} {:>6.1} {:>6.1}  {:>5.1}   {} calls",
                    name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default(),
                    100.0 * of.right.visitor,
                    100.0 * of.right.campaign,
                    100.0 * of.right.source,
                    100.0 * of.none.visitor,
                    of.calls,
                )?;
            }
        }
    }
    writeln!(text, "\nNumbers needed to be right at the source for 95 % of calls:")?;
    for (policy, needed) in &report.needed {
        let about = CONTENDERS.iter().find(|one| one.name == *policy).map_or("", |one| one.about);
        let numbers = needed.source_95_interpolated.map_or_else(|| "never".to_owned(), |n| format!("{n:.0}"));
        writeln!(text, "{policy:<15} {numbers:>5}   {about}")?;
    }
    Ok(())
}
