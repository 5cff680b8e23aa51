//! One policy lives through the world in virtual time.

use super::policy::{Answer, Contender, Policy, Ring, Shown};
use super::world::{DAY, Dials, Ms, VisitId, What, World};

/// What became of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub call: u32,
    /// `None`: the real number was dialled, and the tracker never heard of it.
    pub answer: Option<Answer>,
}

/// Runs the policy through the world. Returns the calls after the warm-up, in order.
pub fn run(world: &World, warm_up_days: u32, contender: &Contender, numbers: usize) -> Vec<Outcome> {
    let mut run = Run {
        world,
        policy: contender.start(world, numbers),
        numbers,
        shown: vec![None; world.visits.len()],
        dialled: vec![None; world.calls.len()],
        outcomes: Vec::new(),
    };
    let counted = Ms::from(warm_up_days) * DAY;
    let mut has_learned = false;
    for happening in &world.happenings {
        if happening.at >= counted && !has_learned {
            run.policy.learn(counted);
            has_learned = true;
        }
        run.happen(happening.at, happening.what, has_learned);
    }
    run.outcomes
}

struct Run<'w> {
    world: &'w World,
    policy: Box<dyn Policy + 'w>,
    numbers: usize,
    /// What each visit's page showed last; `None`: the real number.
    shown: Vec<Option<usize>>,
    dialled: Vec<Option<usize>>,
    outcomes: Vec<Outcome>,
}

impl Run<'_> {
    fn happen(&mut self, at: Ms, what: What, is_counted: bool) {
        let visits = &self.world.visits;
        match what {
            What::Open(id) => {
                let shown = self.policy.open(at, id, &visits[id as usize]);
                self.show(id, shown);
            }
            What::Beat(id) => {
                let shown = self.policy.beat(at, id, &visits[id as usize]);
                self.show(id, shown);
            }
            What::Visible(id) => {
                let shown = self.policy.visible(at, id, &visits[id as usize]);
                self.show(id, shown);
            }
            What::Hidden(id) => self.policy.hidden(at, id),
            What::Tap(id) => self.policy.tap(at, id),
            What::Copy(id) => self.policy.copy(at, id),
            What::Close(id) => self.policy.close(at, id, &visits[id as usize]),
            What::Call(id) => self.call(at, id, is_counted),
        }
    }

    fn show(&mut self, id: VisitId, shown: Shown) {
        match shown {
            Shown::Same => {}
            Shown::Number(number) => self.shown[id as usize] = Some(number),
            Shown::Real => self.shown[id as usize] = None,
        }
    }

    fn call(&mut self, at: Ms, id: u32, is_counted: bool) {
        let call = &self.world.calls[id as usize];
        let number = match call.dials {
            Dials::Seen(visit) => self.shown[visit as usize],
            Dials::Again(before) => self.dialled[before as usize],
            Dials::Place(place) => Some(((place * self.numbers as f64) as usize).min(self.numbers - 1)),
        };
        self.dialled[id as usize] = number;
        let ring = |number| Ring { caller: call.caller.as_ref(), region: call.region.as_ref(), number };
        let answer = number.map(|number| self.policy.call(at, ring(number)));
        if is_counted {
            self.outcomes.push(Outcome { call: id, answer });
        }
    }
}
