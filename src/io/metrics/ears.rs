//! Figures of PBXs that tell of their calls.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::core::ears::Stage;

/// By the PBX's name; never by number.
#[derive(Debug, Default)]
pub struct Ears {
    up: Family<OfEar, Gauge>,
    calls: Family<OfEar, Counter>,
    reports: Family<Reported, Counter>,
    lost: Family<Lost, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfEar {
    ear: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reported {
    ear: String,
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Lost {
    ear: String,
    reason: &'static str,
}

impl Ears {
    /// Whether its link is up; `None`: there is none any more.
    pub fn up(&self, ear: &str, up: Option<bool>) {
        let label = OfEar { ear: ear.to_owned() };
        match up {
            Some(up) => drop(self.up.get_or_create(&label).set(i64::from(up))),
            None => drop(self.up.remove(&label)),
        }
    }

    /// A link was lost, or could not be made.
    pub fn lost(&self, ear: &str, reason: &'static str) {
        self.lost.get_or_create(&Lost { ear: ear.to_owned(), reason }).inc();
    }

    /// A report of a call of ours; `is_new`: it began one.
    pub fn reported(&self, ear: &str, stage: Stage, is_new: bool) {
        self.reports.get_or_create(&Reported { ear: ear.to_owned(), stage: stage.as_str() }).inc();
        if is_new {
            self.calls.get_or_create(&OfEar { ear: ear.to_owned() }).inc();
        }
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register("ear_up", "1 while the link to a PBX that tells of its calls is up", self.up.clone());
        r.register("ear_lost", "Links to PBXs that were lost or not made, by reason", self.lost.clone());
        r.register("ear_calls", "Calls that began with a PBX's report", self.calls.clone());
        r.register("ear_reports", "Reports on calls of ours by stage", self.reports.clone());
    }
}
