//! The journal told again: the same leases, signals and calls through the same machines give the same attributions.
//! A restart takes its memory of callers from it, `leaseline explain` its reasons, `leaseline fit` its model.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Attributor, Model, Observer, Question};
use crate::core::event::{AttributionKind, Body, CallData, Event};
use crate::core::lease::{Change, Lease, LeaseTable};
use crate::time::Wall;

/// What the journal's events so far amount to.
#[derive(Debug)]
pub struct Retelling {
    table: LeaseTable,
    attributor: Attributor,
    observer: Option<Observer>,
    memory: Duration,
    revision: u64,
}

impl Retelling {
    /// From the beginning of a journal. `memory`: how long former holders are candidates.
    pub fn new(model: Arc<Model>, memory: Duration) -> Retelling {
        let attributor = Attributor { model, ..Attributor::default() };
        Retelling { table: LeaseTable::new(), attributor, observer: None, memory, revision: 0 }
    }

    /// The same, and everything is shown to somebody who learns.
    #[must_use]
    pub fn observed(self) -> Retelling {
        Retelling { observer: Some(Observer::default()), ..self }
    }

    /// Takes the next event. For a call that starts: who is calling, decided again.
    pub fn take(&mut self, event: &Event) -> Option<Answer> {
        if let Some(observer) = &mut self.observer {
            observer.observe(event.time, &event.body);
        }
        match &event.body {
            Body::LeaseGranted(lease) | Body::LeaseRenewed(lease) => self.apply(&Change::Active(Arc::clone(lease))),
            Body::LeaseReleased(lease) | Body::LeaseExpired(lease) => self.apply(&Change::Ended(Arc::clone(lease))),
            Body::LeaseSignal { lease, .. } => self.signal(lease),
            Body::CallStarted(call) => return self.decide(call),
            _ => {}
        }
        None
    }

    /// What was learned of callers.
    pub fn into_attributor(self) -> Attributor {
        self.attributor
    }

    /// What was observed, when somebody learns.
    pub fn observer(&self) -> Option<&Observer> {
        self.observer.as_ref()
    }

    fn apply(&mut self, change: &Change) {
        let (Change::Active(lease) | Change::Ended(lease)) = change else { return };
        // The table knows nothing of static numbers.
        if !lease.class.is_of_visitors() {
            return;
        }
        self.revision += 1;
        self.table.apply(change, self.revision);
    }

    /// A mark on a lease, wherever the lease stands.
    fn signal(&mut self, lease: &Arc<Lease>) {
        let entry = self.table.lookup(&lease.number);
        let is_past = entry.is_some_and(|entry| entry.past.iter().any(|past| past.lease_id == lease.lease_id));
        let lease = Arc::clone(lease);
        self.apply(&if is_past { Change::Ended(lease) } else { Change::Active(lease) });
    }

    fn decide(&mut self, call: &CallData) -> Option<Answer> {
        if call.attribution.kind == AttributionKind::Static {
            return None;
        }
        let question = Question {
            company: &call.company,
            number: &call.number,
            caller: call.caller.as_deref(),
            caller_region: call.attribution.caller_region.as_deref(),
            channel: None,
            memory: self.memory,
        };
        let at: Wall = call.started_at;
        if let Some(observer) = &mut self.observer {
            self.attributor.observe(&self.table, at, &question, observer);
        }
        let answer = self.attributor.decide(&self.table, at, &question);
        self.attributor.learn(at, &question, &answer);
        Some(answer)
    }
}
