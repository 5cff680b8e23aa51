//! What people, and rules, say of a company's calls.

use std::sync::Arc;
use std::time::Duration;

use crate::core::event::Outcome;

/// Words of the company's own, and what sets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Labels that a call may have; default `spam`, `good`, `warm`, `cold`.
    pub labels: Vec<String>,
    /// Stages of a deal; default `new`, `in_progress`, `won`, `lost`.
    pub stages: Vec<String>,
    /// Criteria of the score-card; default none: any may be scored.
    pub score_card: Vec<String>,
    /// The first that fits a call that has ended sets its label.
    pub rules: Vec<Arc<LabelRule>>,
}

impl Default for Work {
    fn default() -> Work {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Work {
            labels: words(&["spam", "good", "warm", "cold"]),
            stages: words(&["new", "in_progress", "won", "lost"]),
            score_card: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// What a call must be for a label; all that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRule {
    pub name: Arc<str>,
    pub label: String,
    /// Talk of so long or longer,
    pub talk_min: Option<Duration>,
    /// and shorter than this.
    pub talk_max: Option<Duration>,
    /// One of these; empty: any.
    pub outcome: Vec<Outcome>,
    /// The caller withheld their number, or did not.
    pub hidden_caller: Option<bool>,
    /// At least so many calls of the caller, this one among them,
    pub calls_min: Option<u64>,
    /// within so long; default 1 h.
    pub within: Duration,
}
