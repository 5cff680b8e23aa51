//! What earlier calls say about this one: who this caller was taken for, who called for this visitor, how often the
//! number rings for nobody. A projection of the calls that were attributed, in their order; the same calls give the same
//! memory.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::core::lease::Lease;
use crate::ids::E164;
use crate::limits;
use crate::time::Wall;

/// A caller who has called before.
#[derive(Clone, Debug)]
pub struct Known {
    /// The last call.
    pub last: Wall,
    pub calls: u32,
    /// Numbers they dialled, the last first.
    pub numbers: SmallVec<[E164; 2]>,
    /// Who it may have been, the likeliest first.
    pub persons: SmallVec<[Person; 2]>,
    /// Probability that it was nobody who saw a page.
    pub nobody: f64,
}

/// A visitor as a caller.
#[derive(Clone, Debug)]
pub struct Person {
    pub lease: Arc<Lease>,
    pub probability: f64,
}

/// The last call that was taken for a visitor's.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub caller: Option<u64>,
    pub probability: f64,
    pub at: Wall,
}

/// How often a number rings for nobody.
#[derive(Clone, Copy, Debug)]
struct Noise {
    since: Wall,
    calls: f64,
}

/// Callers and visitors of earlier calls. Bounded: two generations, of which the older goes when the younger is full.
#[derive(Clone, Debug, Default)]
pub struct CallMemory {
    callers: Generations<Known>,
    visitors: Generations<Joined>,
    numbers: HashMap<E164, Noise, foldhash::fast::FixedState>,
    /// When the memory begins.
    began: Option<Wall>,
}

/// What a decision teaches.
#[derive(Debug)]
pub struct Lesson<'a> {
    pub at: Wall,
    pub company: &'a str,
    pub number: &'a E164,
    pub caller: Option<&'a str>,
    /// The likeliest first.
    pub persons: &'a [Person],
    pub nobody: f64,
}

/// Numbers that are remembered of one caller.
const NUMBERS_DIALLED: usize = 4;
/// A day of an ordinary number weighs as much as what a number has shown itself, in days.
const NOISE_PRIOR: f64 = 5.0 * 86_400.0;

impl CallMemory {
    pub fn known(&self, company: &str, caller: &str) -> Option<&Known> {
        self.callers.get(caller_key(company, caller))
    }

    /// When this caller last called the company by this number, as far as its last calls go.
    pub fn dialled(&self, company: &str, caller: &str, number: &E164) -> Option<Wall> {
        self.known(company, caller).filter(|known| known.numbers.contains(number)).map(|known| known.last)
    }

    pub(super) fn joined(&self, company: &str, visitor: &str) -> Option<&Joined> {
        self.visitors.get(caller_key(company, visitor))
    }

    /// Callers that are known.
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// Calls per second for nobody to this number, when an ordinary one has `usual`.
    pub(super) fn background(&self, number: &E164, now: Wall, usual: f64) -> f64 {
        let Some(began) = self.began else { return usual };
        let (calls, since) = self.numbers.get(number).map_or((0.0, began), |noise| (noise.calls, noise.since));
        let watched = now.seconds_since(since);
        (usual * NOISE_PRIOR + calls) / (NOISE_PRIOR + watched)
    }

    /// Takes note of an attributed call.
    pub fn learn(&mut self, lesson: &Lesson<'_>) {
        let began = *self.began.get_or_insert(lesson.at);
        let caller = lesson.caller.map(|caller| caller_key(lesson.company, caller));
        if let Some(key) = caller {
            let before = self.callers.get(key);
            let calls = before.map_or(0, |known| known.calls) + 1;
            let mut numbers = before.map(|known| known.numbers.clone()).unwrap_or_default();
            numbers.retain(|number| number != lesson.number);
            numbers.truncate(NUMBERS_DIALLED - 1);
            numbers.insert(0, lesson.number.clone());
            let persons = lesson.persons.iter().take(2).cloned().collect();
            self.callers.insert(key, Known { last: lesson.at, calls, numbers, persons, nobody: lesson.nobody });
        }
        for person in lesson.persons.iter().filter(|person| person.probability >= 0.05) {
            let key = caller_key(lesson.company, &person.lease.visitor_id);
            self.visitors.insert(key, Joined { caller, probability: person.probability, at: lesson.at });
        }
        if self.numbers.len() < limits::NOISY_NUMBERS || self.numbers.contains_key(lesson.number) {
            let noise = self.numbers.entry(lesson.number.clone()).or_insert(Noise { since: began, calls: 0.0 });
            noise.calls += lesson.nobody;
        }
    }
}

/// Two companies' callers have nothing to do with each other.
pub(super) fn caller_key(company: &str, text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::default().hash_one((company, text))
}

#[derive(Clone, Debug)]
struct Generations<T> {
    young: HashMap<u64, T, foldhash::fast::FixedState>,
    old: HashMap<u64, T, foldhash::fast::FixedState>,
}

impl<T> Default for Generations<T> {
    fn default() -> Generations<T> {
        Generations { young: HashMap::default(), old: HashMap::default() }
    }
}

impl<T> Generations<T> {
    fn get(&self, key: u64) -> Option<&T> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    fn insert(&mut self, key: u64, value: T) {
        self.old.remove(&key);
        if self.young.len() >= limits::CALLERS_KNOWN && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
