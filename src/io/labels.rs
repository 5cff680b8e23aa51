//! Sets the labels of rules: follows the journal, and tells it of every call that a rule fits.
//!
//! `<data_dir>/labels.cursor` says how far it came, never beyond a call whose label is not on the disk yet. After a crash it
//! goes on from there, and leaves alone what got a label meanwhile: a person's word is not overwritten. A cursor that cannot
//! be read is told of, and the newest records are judged again, behind the last call that a rule has labelled.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::archive::write_whole;
use super::clock;
use super::journal::{Journal, Record};
use crate::config::Config;
use crate::core::event::work::{LabelledData, WorkEvent};
use crate::core::event::{Body, CallData, Event, cloud};
use crate::core::labels::Labeller;
use crate::ids::CallId;
use crate::limits;

/// Records read at a time.
const BATCH: usize = 500;
/// Records before the cursor that are read for the callers in them.
const BACK: u64 = 50_000;

/// Runs until the journal ends.
pub async fn run(journal: Journal, config: Arc<ArcSwap<Config>>, data_dir: PathBuf) {
    let path = data_dir.join("labels.cursor");
    let newest = journal.last_seq();
    // Whether the file is to say something new.
    let mut is_due = false;
    let cursor = match read_cursor(&path).await {
        Ok(Some(cursor)) => cursor.min(newest),
        // Without a cursor nothing of the past is labelled: rules are for what comes.
        Ok(None) => {
            is_due = true;
            newest
        }
        Err(error) => {
            is_due = true;
            let from = newest.saturating_sub(BACK);
            tracing::error!(%error, from, "labels.cursor cannot be read: calls since this record without a label are judged again");
            from
        }
    };
    let mut follow = journal.follow(cursor.saturating_sub(BACK));
    let mut rules = Rules { journal, config, labeller: Labeller::default(), told: BTreeMap::new() };
    let mut past = Some(Past::default());
    loop {
        let at = follow.position();
        if at >= newest {
            past.take().into_iter().for_each(|past| rules.catch_up(past));
            if is_due {
                match write_cursor(&path, rules.done(at)).await {
                    Ok(()) => is_due = false,
                    Err(error) => tracing::warn!(%error, "labels.cursor cannot be written"),
                }
            }
        }
        let records = match follow.next(BATCH).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "rules set no labels: the journal cannot be read");
                tokio::time::sleep(limits::JOURNAL_RETRY).await;
                continue;
            }
        };
        for record in records {
            if record.seq > newest {
                past.take().into_iter().for_each(|past| rules.catch_up(past));
            }
            let Some(body) = body_of(&record) else { continue };
            is_due |= record.seq > cursor;
            match (body, &mut past) {
                (Body::CallEnded(call), _) if record.seq <= cursor => rules.remember(&call),
                (Body::CallEnded(call), Some(past)) => past.calls.push((record.seq, call)),
                (Body::CallEnded(call), None) => rules.judge(record.seq, &call),
                (Body::Work(work), past) => {
                    if let WorkEvent::Labelled(label) = *work {
                        rules.told.retain(|_, call| *call != label.call_id);
                        if let Some(past) = past {
                            past.labelled.insert(label.call_id, label.rule.is_some());
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Calls that ended between the cursor and this start, and who has a label: by a rule, or by a person.
#[derive(Default)]
struct Past {
    calls: Vec<(u64, Box<CallData>)>,
    labelled: HashMap<CallId, bool>,
}

struct Rules {
    journal: Journal,
    config: Arc<ArcSwap<Config>>,
    labeller: Labeller,
    /// Calls by the record of their end whose label has been told and has not come back from the disk.
    told: BTreeMap<u64, CallId>,
}

impl Rules {
    /// Calls are judged in their order: what is in front of one that a rule has labelled was judged, too.
    fn catch_up(&mut self, past: Past) {
        let judged = past.calls.iter().rposition(|(_, call)| past.labelled.get(&call.call_id) == Some(&true));
        for (at, (seq, call)) in past.calls.iter().enumerate() {
            if judged.is_some_and(|judged| at <= judged) || past.labelled.contains_key(&call.call_id) {
                self.remember(call);
            } else {
                self.judge(*seq, call);
            }
        }
    }

    /// A call whose label is decided: it counts for the calls of this caller that follow.
    fn remember(&mut self, call: &CallData) {
        self.labeller.label(call, None);
    }

    fn judge(&mut self, seq: u64, call: &CallData) {
        let config = self.config.load();
        let work = config.companies.iter().find(|company| company.name == call.company).map(|company| &company.work);
        if let Some(rule) = self.labeller.label(call, work)
            && self.journal.append(labelled(call.call_id, &call.company, &rule.label, &rule.name))
        {
            self.told.insert(seq, call.call_id);
        }
    }

    /// The record up to which no label is missing on the disk, of all read up to `at`.
    fn done(&self, at: u64) -> u64 {
        self.told.first_key_value().map_or(at, |(seq, _)| at.min(seq - 1))
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

/// `None`: there is no cursor yet.
async fn read_cursor(path: &Path) -> io::Result<Option<u64>> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => text.trim().parse().map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn write_cursor(path: &Path, seq: u64) -> io::Result<()> {
    let path = path.to_owned();
    let written = tokio::task::spawn_blocking(move || write_whole(&path, format!("{seq}\n").as_bytes())).await;
    written.map_err(io::Error::other)?
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
        while !matches!(read_cursor(&folder.path().join("labels.cursor")).await, Ok(Some(_))) {
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
        journal.append(by_hand(3, "spam"));
        assert!(journal.flush(Duration::from_secs(20)));
        let task = start();
        journal.append(ended(4));
        let all = labels(&journal, 4).await;
        task.abort();
        let said: Vec<(u128, &str)> = all.iter().map(|label| (label.call_id.0, &*label.by)).collect();
        assert_eq!(said, [(1, "rule"), (3, "anna"), (2, "rule"), (4, "rule")]);
    }

    fn by_hand(n: u128, label: &str) -> Event {
        let label = LabelledData {
            call_id: CallId(n),
            company: "acme".into(),
            by: "anna".into(),
            label: Some(label.into()),
            rule: None,
        };
        event(n, Body::Work(Box::new(WorkEvent::Labelled(label))))
    }

    /// C7: a cursor that a power cut left empty, or torn, loses no label and sets none twice. What was judged before a call
    /// that a rule has labelled stays as it is.
    #[tokio::test]
    async fn c07_a_cursor_that_cannot_be_read_loses_no_label() {
        for broken in ["", "\0\0\0\0", "12garbage"] {
            let folder = tempfile::tempdir().unwrap();
            let (journal, _) = Journal::open(folder.path(), journal::tests::options()).unwrap();
            journal.append(ended(1));
            journal.append(ended(2));
            journal.append(labelled(CallId(2), "acme", "good", "long"));
            journal.append(ended(3));
            journal.append(ended(4));
            journal.append(by_hand(4, "spam"));
            assert!(journal.flush(Duration::from_secs(20)));
            let path = folder.path().join("labels.cursor");
            std::fs::write(&path, broken).unwrap();
            let task = tokio::spawn(run(journal.clone(), config(folder.path()), folder.path().to_owned()));
            let all = labels(&journal, 3).await;
            // The cursor is good again, and follows the label.
            while !matches!(read_cursor(&path).await, Ok(Some(7))) {
                tokio::task::yield_now().await;
            }
            task.abort();
            let said: Vec<(u128, &str)> = all.iter().map(|label| (label.call_id.0, &*label.by)).collect();
            assert_eq!(said, [(2, "rule"), (4, "anna"), (3, "rule")], "{broken:?}");
            assert_eq!(journal.last_seq(), 7, "{broken:?}");
        }
    }

    /// The cursor waits in front of a call until its label is on the disk: a power cut in between loses none.
    #[test]
    fn c07_the_cursor_never_passes_a_label_that_is_not_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path(), journal::tests::options()).unwrap();
        let labeller = Labeller::default();
        let mut rules = Rules { journal, config: config(folder.path()), labeller, told: BTreeMap::new() };
        assert_eq!(rules.done(9), 9);
        let Body::CallEnded(call) = ended(1).body else { unreachable!() };
        rules.judge(10, &call);
        rules.judge(12, &CallData { call_id: CallId(2), ..*call });
        assert_eq!((rules.done(9), rules.done(12)), (9, 9));
        rules.told.retain(|_, call| *call != CallId(1));
        assert_eq!(rules.done(13), 11);
        rules.told.clear();
        assert_eq!(rules.done(14), 14);
    }
}
