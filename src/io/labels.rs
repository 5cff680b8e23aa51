//! Sets the labels of rules: follows the journal, and tells it of every call that a rule fits.
//!
//! `<data_dir>/labels.cursor` says how far it came. After a crash it goes on from there, and leaves alone what got a label
//! meanwhile: a person's word is not overwritten.

use std::collections::HashSet;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::clock;
use super::journal::{Journal, Record};
use crate::config::Config;
use crate::core::event::work::{LabelledData, WorkEvent};
use crate::core::event::{Body, CallData, Event, cloud};
use crate::core::labels::Labeller;
use crate::ids::CallId;

/// Records read at a time.
const BATCH: usize = 500;
/// Records before the cursor that are read for the callers in them.
const BACK: u64 = 50_000;

/// Runs until the journal ends.
pub async fn run(journal: Journal, config: Arc<ArcSwap<Config>>, data_dir: PathBuf) {
    let path = data_dir.join("labels.cursor");
    let newest = journal.last_seq();
    // Without a cursor nothing of the past is labelled: rules are for what comes.
    let cursor = read_cursor(&path).unwrap_or(newest).min(newest);
    let mut labeller = Labeller::default();
    let mut labelled = HashSet::new();
    let mut follow = journal.follow(cursor.saturating_sub(BACK));
    let mut written = None;
    // What was journaled before this start may have got its label already.
    let mut waiting: Vec<Box<CallData>> = Vec::new();
    loop {
        let at = follow.position();
        if at >= newest {
            for call in waiting.drain(..).filter(|call| !labelled.contains(&call.call_id)) {
                set(&journal, &config, &mut labeller, &call);
            }
        }
        if at >= cursor && written != Some(at) {
            match write_cursor(&path, at) {
                Ok(()) => written = Some(at),
                Err(error) => tracing::warn!(%error, "labels.cursor cannot be written"),
            }
        }
        let records = match follow.next(BATCH).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "rules set no labels any more: the journal cannot be read");
                return;
            }
        };
        for record in records {
            match body_of(&record) {
                Some(Body::CallEnded(call)) if record.seq <= cursor => {
                    labeller.label(&call, None);
                }
                Some(Body::CallEnded(call)) if record.seq <= newest => waiting.push(call),
                Some(Body::CallEnded(call)) => set(&journal, &config, &mut labeller, &call),
                Some(Body::Work(work)) if record.seq > cursor && record.seq <= newest => {
                    if let WorkEvent::Labelled(label) = *work {
                        labelled.insert(label.call_id);
                    }
                }
                _ => {}
            }
        }
    }
}

fn set(journal: &Journal, config: &ArcSwap<Config>, labeller: &mut Labeller, call: &CallData) {
    let config = config.load();
    let work = config.companies.iter().find(|company| company.name == call.company).map(|company| &company.work);
    if let Some(rule) = labeller.label(call, work) {
        journal.append(labelled(call.call_id, &call.company, &rule.label, &rule.name));
    }
}

fn labelled(call_id: CallId, company: &str, label: &str, rule: &str) -> Event {
    let work = WorkEvent::Labelled(LabelledData {
        call_id,
        company: company.to_owned(),
        by: "rule".to_owned(),
        label: Some(label.to_owned()),
        rule: Some(rule.to_owned()),
    });
    Event { time: clock::wall(), subject: work.subject(), body: Body::Work(Box::new(work)) }
}

fn body_of(record: &Record) -> Option<Body> {
    let is_ours = record.event.contains("leaseline.call.ended") || record.event.contains("leaseline.call.labelled");
    is_ours.then(|| cloud::from_json(&record.event).ok()).flatten().map(|(_, event)| event.body)
}

fn read_cursor(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn write_cursor(path: &Path, seq: u64) -> io::Result<()> {
    let temporary = path.with_extension("cursor.tmp");
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{seq}")?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::event::Outcome;
    use crate::core::event::cloud::tests::{call, event};
    use crate::io::journal;

    const RULES: &str = r#"
[[company.label_rule]]
name = "long"
label = "good"
talk_min = "1m"
"#;

    fn config(folder: &Path) -> Arc<ArcSwap<Config>> {
        let text = include_str!("../../config/leaseline.toml");
        let at = text.find("# What this company may have; 0 everywhere").unwrap();
        let text = format!("{}{RULES}{}", &text[..at], &text[at..]);
        Arc::new(ArcSwap::from_pointee(Config::parse(&text, "test", folder).unwrap()))
    }

    fn ended(n: u128) -> Event {
        let data = CallData { talk_ms: 90_000, outcome: Some(Outcome::Answered), ..call(n) };
        event(n, Body::CallEnded(Box::new(data)))
    }

    async fn labels(journal: &Journal, count: usize) -> Vec<LabelledData> {
        let mut follow = journal.follow(0);
        let mut found = Vec::new();
        while found.len() < count {
            for record in follow.next(100).await.unwrap() {
                if let Some(Body::Work(work)) = body_of(&record)
                    && let WorkEvent::Labelled(label) = *work
                {
                    found.push(label);
                }
            }
        }
        found
    }

    /// C7: a rule sets a label when a call has ended; after a restart it goes on where it was, and a person's word stays.
    #[tokio::test]
    async fn c07_a_rule_labels_a_call_once_and_never_over_a_persons_word() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path(), journal::tests::options()).unwrap();
        let config = config(folder.path());
        let start = || tokio::spawn(run(journal.clone(), config.clone(), folder.path().to_owned()));
        let task = start();
        // The first look at the journal is what the cursor begins with.
        while read_cursor(&folder.path().join("labels.cursor")).is_none() {
            tokio::task::yield_now().await;
        }
        journal.append(ended(1));
        let first = labels(&journal, 1).await;
        assert_eq!(
            (first[0].call_id, first[0].label.as_deref(), first[0].rule.as_deref()),
            (CallId(1), Some("good"), Some("long"))
        );
        task.abort();
        let _ = task.await;
        journal.append(ended(2));
        journal.append(ended(3));
        let by_hand = LabelledData {
            call_id: CallId(3),
            company: "acme".into(),
            by: "anna".into(),
            label: Some("spam".into()),
            rule: None,
        };
        journal.append(event(3, Body::Work(Box::new(WorkEvent::Labelled(by_hand)))));
        assert!(journal.flush(Duration::from_secs(20)));
        let task = start();
        journal.append(ended(4));
        let all = labels(&journal, 4).await;
        task.abort();
        let said: Vec<(u128, &str)> = all.iter().map(|label| (label.call_id.0, &*label.by)).collect();
        assert_eq!(said, [(1, "rule"), (3, "anna"), (2, "rule"), (4, "rule")]);
    }
}
