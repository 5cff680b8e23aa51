//! `leaseline simulate`: how right attribution is with so many numbers, in a synthetic world where the truth is known.
//!
//! *Method.* A world is drawn from a seed and a file that says what it is like ([`spec`]): people who come, read, come
//! back, and call; robots and strangers who call too ([`world`]). Each policy then lives through the same world in virtual
//! time ([`runner`]): it is told what pages and calls tell a tracker, and never the truth. Ours is the allocator and the
//! attribution of the daemon, not a copy of them; the others do what their vendors document ([`policy`]). What they said
//! is compared with the truth ([`score`]).
//!
//! *How to read the figures.* Behaviour in the world is assumed, so figures compare policies and sizes with each other;
//! they do not forecast a site. With 1,500 visits a day for 40 days some 1,700 calls are counted, so one run is good to
//! about a point, and the difference of two policies in the same world to less, because both meet the same calls. Models
//! are learned from the calls of the warm-up, without the truth; the world's densities and the model's are of different
//! families and share no code.

pub mod density;
mod picture;
pub mod policy;
mod report;
pub mod runner;
pub mod score;
pub mod spec;
pub mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use picture::picture;
use policy::Contender;
pub use report::{Report, Run, table};
use spec::Spec;
use world::World;

/// Numbers that one run may have: those of the range that is reserved for fiction.
pub const NUMBERS: usize = 1_000;
/// Threads that help at most; more than there are runs are of no use.
pub const THREADS: usize = 64;

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: Spec,
    pub seed: u64,
    /// Worlds of `seed`, `seed + 1`, …, whose calls are scored together; 1 or more.
    pub seeds: u64,
    /// Instead of the world's, each for itself.
    pub visits_per_day: Vec<f64>,
    /// Shares of robots' calls instead of the world's, each for itself.
    pub spam: Vec<f64>,
    /// Sizes of the pool, each from 1 to [`NUMBERS`].
    pub numbers: Vec<usize>,
    pub policies: Vec<Contender>,
    pub threads: usize,
}

impl Plan {
    /// The worlds' descriptions: every traffic with every share of spam.
    ///
    /// # Errors
    /// What no world can have.
    pub fn specs(&self) -> Result<Vec<Spec>, String> {
        let or = |list: &[f64], own: f64| if list.is_empty() { vec![own] } else { list.to_vec() };
        let mut specs = Vec::new();
        for visits_per_day in or(&self.visits_per_day, self.spec.visits_per_day) {
            for spam in or(&self.spam, self.spec.noise.spam) {
                let mut spec = Spec { visits_per_day, ..self.spec.clone() };
                spec.noise.spam = spam;
                spec.check()?;
                specs.push(spec);
            }
        }
        Ok(specs)
    }
}

/// One policy in the worlds of one description.
struct Job {
    spec: usize,
    policy: Contender,
    numbers: usize,
}

/// Runs every policy with every size in every world. `progress` is told how many of how many runs are done; the report
/// does not depend on the number of threads.
///
/// # Errors
/// What no world can have.
pub fn simulate(plan: &Plan, progress: impl Fn(usize, usize) + Sync) -> Result<Report, String> {
    let specs = plan.specs()?;
    let seeds: Vec<u64> = (0..plan.seeds.max(1)).map(|more| plan.seed.wrapping_add(more)).collect();
    let worlds: Vec<Vec<World>> =
        specs.iter().map(|spec| seeds.iter().map(|seed| World::new(spec, *seed)).collect()).collect();
    let jobs: Vec<Job> = (0..specs.len())
        .flat_map(|spec| plan.policies.iter().map(move |policy| (spec, *policy)))
        .flat_map(|(spec, policy)| plan.numbers.iter().map(move |numbers| Job { spec, policy, numbers: *numbers }))
        .collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let found: Mutex<Vec<(usize, score::Score)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.clamp(1, jobs.len().clamp(1, THREADS)) {
            scope.spawn(|| {
                while let Some((index, job)) = take(&jobs, &next) {
                    let live = |world| runner::run(world, specs[job.spec].warm_up_days, &job.policy, job.numbers);
                    let lives: Vec<_> = worlds[job.spec].iter().map(|world| (world, live(world))).collect();
                    let score = score::score(&lives);
                    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, score));
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    let runs = jobs.iter().zip(found).map(|(job, (_, score))| {
        let spec = &specs[job.spec];
        Run {
            policy: job.policy.name.to_owned(),
            numbers: job.numbers,
            visits_per_day: spec.visits_per_day,
            spam: spec.noise.spam,
            cost: spec.number_price * job.numbers as f64,
            score,
        }
    });
    Ok(Report::new(plan, &specs[0], &worlds[0], runs.collect()))
}

fn take<'a, T>(jobs: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(index).map(|job| (index, job))
}

#[cfg(test)]
mod tests;
