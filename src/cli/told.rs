//! Where a journal is that is told again, and `replay --model`: all of its calls decided by another model.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::{Exit, complain, load, say};
use crate::config::Config;
use crate::core::attribution::Retelling;
use crate::core::event::{Attribution, AttributionKind, Body};
use crate::ids::CallId;
use crate::io::journal::read_journal;
use crate::io::model::read_model;
use crate::time::Wall;

/// Whose journal.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// Configuration of the daemon: where its data is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder instead.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Source {
    /// Does something with the configuration that this names; says what went wrong.
    pub(super) fn with(&self, act: impl FnOnce(&Config) -> io::Result<Exit>) -> Exit {
        let mut config = match load(self.config.as_deref()) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        if let Some(data) = &self.data {
            config.node.data_dir.clone_from(data);
            config.attribution.model = data.join("model.json");
        }
        act(&config).unwrap_or_else(|error| {
            complain(error);
            Exit::CouldNot
        })
    }
}

/// A call that the other model takes for somebody else's.
#[derive(Debug, Serialize)]
struct Changed {
    call_id: CallId,
    started_at: Wall,
    told: Brief,
    decided: Brief,
}

#[derive(Debug, PartialEq, Serialize)]
struct Brief {
    method: String,
    visitor_id: Option<String>,
    confidence: f64,
    model: String,
}

/// What both say of all calls.
#[derive(Debug, Default, Serialize)]
struct Compared {
    model: String,
    calls: u64,
    /// The same visitor, or nobody both times.
    same: u64,
    /// Another visitor; a visitor who was nobody; nobody who was a visitor.
    other_visitor: u64,
    visitor_instead_of_nobody: u64,
    nobody_instead_of_visitor: u64,
    /// Means over all calls.
    confidence_told: f64,
    confidence_decided: f64,
    /// Calls that a model of this very version decided otherwise: the journal does not reproduce them.
    not_reproduced: u64,
    changed: Vec<Changed>,
}

/// Decides every call of the journal again.
pub(super) fn compare(config: &Config, model: &Path, since: Option<Wall>, as_json: bool) -> io::Result<Exit> {
    let model = Arc::new(read_model(model)?);
    let mut compared = Compared { model: model.version.clone(), ..Compared::default() };
    let mut retelling = Retelling::new(model, config.attribution.memory);
    read_journal(&config.node.data_dir, |record| {
        let Ok((_, event)) = record.event() else { return };
        let answer = retelling.take(&event);
        // Whoever has a static number's channel is not decided, it is written.
        if let (Body::CallStarted(call), Some(answer)) = (&event.body, answer)
            && since.is_none_or(|since| call.started_at >= since)
        {
            compared.take(call.call_id, call.started_at, &call.attribution, &answer.attribution);
        }
    })?;
    compared.finish();
    if as_json {
        say(json!(compared))
    } else {
        compared.show()
    }
    Ok(if compared.not_reproduced > 0 { Exit::Bad } else { Exit::Done })
}

impl Compared {
    fn take(&mut self, call_id: CallId, started_at: Wall, told: &Attribution, decided: &Attribution) {
        let visitor = |of: &Attribution| of.visitor_id.clone().filter(|_| of.kind == AttributionKind::Visitor);
        let (before, now) = (visitor(told), visitor(decided));
        self.calls += 1;
        self.confidence_told += told.confidence;
        self.confidence_decided += decided.confidence;
        self.not_reproduced += u64::from(told.model == decided.model && told != decided);
        let count = match (&before, &now) {
            (before, now) if before == now => &mut self.same,
            (Some(_), Some(_)) => &mut self.other_visitor,
            (None, _) => &mut self.visitor_instead_of_nobody,
            (_, None) => &mut self.nobody_instead_of_visitor,
        };
        *count += 1;
        if before != now {
            self.changed.push(Changed { call_id, started_at, told: brief(told), decided: brief(decided) });
        }
    }

    fn finish(&mut self) {
        let calls = self.calls.max(1) as f64;
        self.confidence_told /= calls;
        self.confidence_decided /= calls;
    }

    fn show(&self) {
        for Changed { call_id, started_at, told, decided } in &self.changed {
            say(format_args!("{started_at}  {call_id}  {}  ->  {}", told.line(), decided.line()));
        }
        say(format_args!(
            "{} calls under model {}: {} as they were told, {} another visitor, {} a visitor instead of nobody, {} \
             nobody instead of a visitor; mean confidence {:.3} told, {:.3} decided",
            self.calls,
            self.model,
            self.same,
            self.other_visitor,
            self.visitor_instead_of_nobody,
            self.nobody_instead_of_visitor,
            self.confidence_told,
            self.confidence_decided,
        ));
        if self.not_reproduced > 0 {
            complain(format_args!(
                "{} calls were decided by this very model, and otherwise: the journal is not whole, or the memory of the \
                 configuration was another",
                self.not_reproduced
            ));
        }
    }
}

impl Brief {
    fn line(&self) -> String {
        let who = self.visitor_id.as_deref().unwrap_or("nobody");
        format!("{who} ({}, {:.3})", self.method, self.confidence)
    }
}

fn brief(attribution: &Attribution) -> Brief {
    let Attribution { method, visitor_id, confidence, model, .. } = attribution;
    Brief { method: method.clone(), visitor_id: visitor_id.clone(), confidence: *confidence, model: model.clone() }
}
