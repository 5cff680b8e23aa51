//! How right a policy was.
//!
//! *Right, wrong, none* are shares of the calls of people who were on the site, after the warm-up. A visitor is right
//! when it is the person who calls, by whichever of their cookies; source and campaign when they are those of the visit
//! that the call comes from (the last one of its cookie that did not come directly). A call that reached the real number,
//! because nothing else was shown, counts as none.
//!
//! *Calibration* is over all calls that reached the tracker, those of robots, misdials and strangers too: there, "nobody"
//! is the right answer. A policy that gives no probability counts as sure of what it says.
//!
//! *Exports* are the calls that are attributed to a visitor with a confidence of 0.8 or more: `share_at_0_8` of the calls
//! of people who were on the site, and how many of all exported ones, strangers' included, name the right person.

use std::collections::BTreeMap;

use serde::Serialize;

use super::policy::Answer;
use super::runner::Outcome;
use super::world::{Kind, World};

/// What is exported to advertisers.
const EXPORT: f64 = 0.8;
/// No answer is believed to be impossible: bounds the loss of those that are always sure.
const DOUBT: f64 = 0.001;
const BINS: usize = 10;

/// A share for each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Levels {
    pub visitor: f64,
    pub campaign: f64,
    pub source: f64,
}

/// Answers of one range of confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub calls: u32,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that was right.
    pub right: f64,
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OfKind {
    pub calls: u32,
    /// Of strangers: nobody was named.
    pub right: Levels,
    pub none: Levels,
}

/// Figures of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Of people who were on the site, after the warm-up.
    pub calls: u32,
    /// Of robots, misdials and others who were not.
    pub strangers: u32,
    /// Of those who were, to the real number, because nothing else was shown.
    pub untracked: u32,
    pub right: Levels,
    pub wrong: Levels,
    pub none: Levels,
    /// Right at the source, averaged over sources: small ones count as much as large ones.
    pub source_macro: f64,
    /// Total variation between the true shares of sources and those reported; unknown is a source.
    pub source_distance: f64,
    /// Mean of -ln(probability given to who it was), natural, at most that of [`DOUBT`].
    pub log_loss: f64,
    pub brier: f64,
    /// Expected calibration error in ten bins.
    pub ece: f64,
    pub share_at_0_8: f64,
    pub right_at_0_8: f64,
    pub reliability: Vec<Bin>,
    pub by_kind: BTreeMap<Kind, OfKind>,
}

/// Scores what one policy said in worlds of one description.
pub fn score(lives: &[(&World, Vec<Outcome>)]) -> Score {
    let mut tally = Tally::default();
    for (world, outcomes) in lives {
        for sources in [&mut tally.true_sources, &mut tally.said_sources, &mut tally.right_sources] {
            sources.resize(world.sources.len() + 1, 0);
        }
        outcomes.iter().for_each(|outcome| tally.count(world, outcome));
    }
    tally.finish()
}

#[derive(Default)]
struct Tally {
    score: Score,
    bins: [Counted; BINS],
    kinds: BTreeMap<Kind, KindTally>,
    /// By source; the last is unknown.
    true_sources: Vec<u32>,
    said_sources: Vec<u32>,
    right_sources: Vec<u32>,
    tracked: u32,
    loss: f64,
    squares: f64,
    exported: u32,
    exported_of_visitors: u32,
    exported_right: u32,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    calls: u32,
    confidence: f64,
    right: u32,
}

#[derive(Clone, Copy, Default)]
struct KindTally {
    calls: u32,
    right: [u32; 3],
    none: [u32; 3],
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Right,
    Wrong,
    None,
}

impl Tally {
    fn count(&mut self, world: &World, outcome: &Outcome) {
        let call = &world.calls[outcome.call as usize];
        let unknown = Answer::default();
        let answer = outcome.answer.as_ref().unwrap_or(&unknown);
        let said_source = answer.source.or(answer.campaign.map(|campaign| world.source_of(campaign)));
        let verdicts = match call.visit {
            Some(visit) => {
                let campaign = world.visits[visit as usize].campaign;
                let source = world.source_of(campaign);
                let person = answer.cookie.map(|cookie| world.cookies[cookie as usize]);
                let verdicts = [
                    verdict(person, world.person(visit)),
                    verdict(answer.campaign, campaign),
                    verdict(said_source, source),
                ];
                self.score.calls += 1;
                self.score.untracked += u32::from(outcome.answer.is_none());
                self.true_sources[usize::from(source)] += 1;
                self.right_sources[usize::from(source)] += u32::from(verdicts[2] == Verdict::Right);
                let said = said_source.map_or(world.sources.len(), usize::from);
                self.said_sources[said] += 1;
                verdicts
            }
            None => {
                self.score.strangers += 1;
                [answer.cookie.is_none(), answer.campaign.is_none(), said_source.is_none()]
                    .map(|is_right| if is_right { Verdict::Right } else { Verdict::Wrong })
            }
        };
        let kind = self.kinds.entry(call.kind).or_default();
        kind.calls += 1;
        for (level, verdict) in verdicts.iter().enumerate() {
            kind.right[level] += u32::from(*verdict == Verdict::Right);
            kind.none[level] += u32::from(*verdict == Verdict::None);
        }
        if outcome.answer.is_some() {
            self.calibrate(world, call.visit.map(|visit| world.person(visit)), answer, verdicts[0] == Verdict::Right);
        }
    }

    fn calibrate(&mut self, world: &World, person: Option<u32>, answer: &Answer, is_right: bool) {
        let confidence = answer.confidence.unwrap_or(1.0).clamp(0.0, 1.0);
        let bin = &mut self.bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.calls += 1;
        bin.confidence += confidence;
        bin.right += u32::from(is_right);
        self.tracked += 1;
        self.squares += (confidence - f64::from(u8::from(is_right))).powi(2);
        self.loss -= truth_share(world, person, answer, confidence).clamp(DOUBT, 1.0).ln();
        if answer.cookie.is_some() && confidence >= EXPORT {
            self.exported += 1;
            self.exported_of_visitors += u32::from(person.is_some());
            self.exported_right += u32::from(is_right);
        }
    }

    fn finish(mut self) -> Score {
        let (mut right, mut none) = ([0; 3], [0; 3]);
        for (kind, tally) in &self.kinds {
            self.score.by_kind.insert(
                *kind,
                OfKind {
                    calls: tally.calls,
                    right: levels(tally.right, tally.calls),
                    none: levels(tally.none, tally.calls),
                },
            );
            if !matches!(kind, Kind::Spam | Kind::Misdial | Kind::Leak) {
                for level in 0..3 {
                    right[level] += tally.right[level];
                    none[level] += tally.none[level];
                }
            }
        }
        let calls = self.score.calls;
        let wrong = [0, 1, 2].map(|level| calls - right[level] - none[level]);
        self.score.right = levels(right, calls);
        self.score.wrong = levels(wrong, calls);
        self.score.none = levels(none, calls);
        let sources = self.true_sources.iter().zip(&self.right_sources).filter(|(calls, _)| **calls > 0);
        let shares: Vec<f64> = sources.map(|(calls, right)| share(*right, *calls)).collect();
        self.score.source_macro = rounded(shares.iter().sum::<f64>() / (shares.len().max(1)) as f64);
        let pairs = self.true_sources.iter().zip(&self.said_sources);
        let apart: f64 = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum();
        self.score.source_distance = rounded(apart / 2.0 / f64::from(calls.max(1)));
        let tracked = f64::from(self.tracked.max(1));
        self.score.log_loss = rounded(self.loss / tracked);
        self.score.brier = rounded(self.squares / tracked);
        let apart = |bin: &Counted| (bin.confidence - f64::from(bin.right)).abs();
        self.score.ece = rounded(self.bins.iter().map(apart).sum::<f64>() / tracked);
        self.score.share_at_0_8 = share(self.exported_of_visitors, calls);
        self.score.right_at_0_8 = share(self.exported_right, self.exported);
        self.score.reliability = self.bins.iter().enumerate().map(|(index, bin)| reliability(index, bin)).collect();
        self.score
    }
}

/// What the policy gave to who it was: a person's cookies together, or what is left for nobody.
fn truth_share(world: &World, person: Option<u32>, answer: &Answer, confidence: f64) -> f64 {
    let theirs = |cookie: u32| person == Some(world.cookies[cookie as usize]);
    if answer.candidates.is_empty() {
        // Only the answer itself has a probability.
        let is_right = answer.cookie.map_or(person.is_none(), theirs);
        return if is_right { confidence } else { 0.0 };
    }
    let of = |wanted: &dyn Fn(u32) -> bool| -> f64 {
        answer.candidates.iter().filter(|(cookie, _)| wanted(*cookie)).map(|(_, probability)| probability).sum()
    };
    if person.is_some() { of(&theirs) } else { 1.0 - of(&|_| true) }
}

fn verdict<T: PartialEq>(said: Option<T>, truth: T) -> Verdict {
    match said {
        Some(said) if said == truth => Verdict::Right,
        Some(_) => Verdict::Wrong,
        None => Verdict::None,
    }
}

fn reliability(index: usize, bin: &Counted) -> Bin {
    let mean = if bin.calls > 0 { bin.confidence / f64::from(bin.calls) } else { 0.0 };
    Bin {
        from: index as f64 / BINS as f64,
        to: (index + 1) as f64 / BINS as f64,
        calls: bin.calls,
        confidence: rounded(mean),
        right: share(bin.right, bin.calls),
    }
}

fn levels(counts: [u32; 3], calls: u32) -> Levels {
    let [visitor, campaign, source] = counts.map(|count| share(count, calls));
    Levels { visitor, campaign, source }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { rounded(f64::from(part) / f64::from(whole)) }
}

/// Four places: what a run of some thousand calls can tell, and the same on every machine.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::spec::Spec;

    fn world() -> World {
        let mut spec = Spec::load("default").unwrap();
        (spec.days, spec.warm_up_days, spec.visits_per_day) = (4, 1, 500.0);
        World::new(&spec, 1)
    }

    /// What a policy says that answers each call so.
    fn said(world: &World, answer: impl Fn(Option<u32>) -> Option<Answer>) -> Score {
        let outcome = |call: usize| Outcome { call: call as u32, answer: answer(world.calls[call].visit) };
        score(&[(world, (0..world.calls.len()).map(outcome).collect())])
    }

    fn truth(world: &World, visit: u32, confidence: f64) -> Answer {
        let seen = &world.visits[visit as usize];
        Answer {
            cookie: Some(seen.cookie),
            campaign: Some(seen.campaign),
            confidence: Some(confidence),
            ..Answer::default()
        }
    }

    #[test]
    fn who_knows_everything_is_right() {
        let world = world();
        let all = said(&world, |visit| Some(visit.map_or_else(Answer::default, |visit| truth(&world, visit, 1.0))));
        let one = Levels { visitor: 1.0, campaign: 1.0, source: 1.0 };
        assert_eq!((all.right, all.wrong, all.none), (one, Levels::default(), Levels::default()));
        assert_eq!(
            (all.log_loss, all.brier, all.ece, all.source_macro, all.source_distance),
            (0.0, 0.0, 0.0, 1.0, 0.0)
        );
        assert_eq!((all.share_at_0_8, all.right_at_0_8), (1.0, 1.0));
        assert!(all.calls > 40 && all.strangers > 2 && all.untracked == 0);
        assert_eq!((all.calls + all.strangers) as usize, world.calls.len());
    }

    #[test]
    fn confidence_is_held_against_the_truth() {
        let world = world();
        let humble = said(&world, |visit| visit.map(|visit| truth(&world, visit, 0.7)));
        assert_eq!((humble.ece, humble.share_at_0_8, humble.right_at_0_8), (0.3, 0.0, 0.0));
        assert_eq!(humble.log_loss, 0.3567, "-ln 0.7");
        assert_eq!(humble.brier, 0.09);
        let bin = humble.reliability[7];
        assert_eq!((bin.from, bin.to, bin.calls, bin.confidence, bin.right), (0.7, 0.8, humble.calls, 0.7, 1.0));
        // Somebody whom nobody is.
        let elsewhere = Answer { cookie: Some(0), ..truth(&world, 0, 0.9) };
        let wrong = said(&world, |visit| visit.filter(|visit| world.person(*visit) != 0).map(|_| elsewhere.clone()));
        assert!(wrong.wrong.visitor > 0.95 && wrong.right_at_0_8 == 0.0 && wrong.share_at_0_8 > 0.95);
        assert!((wrong.log_loss - 6.9078).abs() < 1e-9, "bounded: -ln 0.001");
    }

    #[test]
    fn nobody_is_an_answer() {
        let world = world();
        let silent = said(&world, |_| Some(Answer { confidence: Some(0.25), ..Answer::default() }));
        assert_eq!(silent.none, Levels { visitor: 1.0, campaign: 1.0, source: 1.0 });
        assert_eq!(silent.source_distance, 1.0);
        assert_eq!(silent.by_kind[&Kind::Spam].right.visitor, 1.0);
        assert_eq!(silent.reliability[2].right, share(silent.strangers, silent.strangers + silent.calls));
        let unseen = said(&world, |_| None);
        assert_eq!((unseen.untracked, unseen.none.visitor, unseen.ece), (unseen.calls, 1.0, 0.0));
    }

    #[test]
    fn a_person_is_all_their_cookies() {
        let world = world();
        let twice = world.calls.iter().find_map(|call| {
            let visit = call.visit?;
            let person = world.person(visit);
            let other = |id: &u32| world.cookies[*id as usize] == person && *id != world.visits[visit as usize].cookie;
            Some((visit, (0..world.cookies.len() as u32).find(other)?))
        });
        let (called, other) = twice.expect("somebody calls who has two cookies");
        let candidates = [(other, 0.5), (world.visits[called as usize].cookie, 0.25)].into_iter().collect();
        let answer = Answer { cookie: Some(other), confidence: Some(0.5), candidates, ..Answer::default() };
        let index = world.calls.iter().position(|call| call.visit == Some(called)).unwrap();
        let score = score(&[(&world, vec![Outcome { call: index as u32, answer: Some(answer) }])]);
        assert_eq!((score.calls, score.right.visitor, score.none.source), (1, 1.0, 1.0));
        assert_eq!(score.log_loss, 0.2877, "-ln 0.75: both cookies are theirs");
    }
}
