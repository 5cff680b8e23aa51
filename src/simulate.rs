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
    /// Sizes of the pool, each from 1 to [`NUMBERS`].
    pub numbers: Vec<usize>,
    pub policies: Vec<Contender>,
    pub threads: usize,
}

/// Runs every policy with every size. `progress` is told how many of how many runs are done; the report does not depend
/// on the number of threads.
pub fn simulate(plan: &Plan, progress: impl Fn(usize, usize) + Sync) -> Report {
    let world = World::new(&plan.spec, plan.seed);
    let jobs: Vec<(Contender, usize)> =
        plan.policies.iter().flat_map(|policy| plan.numbers.iter().map(move |numbers| (*policy, *numbers))).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let found: Mutex<Vec<(usize, score::Score)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.clamp(1, jobs.len().clamp(1, THREADS)) {
            scope.spawn(|| {
                while let Some((index, (policy, numbers))) = take(&jobs, &next) {
                    let outcomes = runner::run(&world, plan.spec.warm_up_days, policy, *numbers);
                    let score = score::score(&world, &outcomes);
                    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, score));
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    let scores = found.into_iter().map(|(_, score)| score);
    Report::new(plan, &world, jobs.iter().zip(scores).map(|((policy, numbers), score)| (*policy, *numbers, score)))
}

fn take<'a, T>(jobs: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(index).map(|job| (index, job))
}

#[cfg(test)]
mod tests;
