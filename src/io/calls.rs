//! Calls as the API shows them: a projection of the journal in memory, newest first. It holds all calls in progress and
//! the last [`limits::CALLS_LISTED`] that ended; a restart rebuilds it from the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::archive::forget;
use crate::core::event::{AttributionKind, Body, CallData, Event, Outcome};
use crate::ids::CallId;
use crate::io::journal::Journal;
use crate::limits;
use crate::time::Wall;

/// The calls. Shared by the task that follows the journal and by the API.
#[derive(Debug, Default)]
pub struct Calls {
    inner: RwLock<Inner>,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Neither answered nor ended.
    Ringing,
    Talking,
    Ended,
}

/// One call: the fields of CONTRACT §4, and where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallView {
    #[serde(flatten)]
    pub call: Arc<CallData>,
    pub phase: Phase,
    pub in_progress: bool,
}

/// One call with its events as they are in the journal.
#[derive(Clone, Debug, Serialize)]
pub struct CallDetail {
    #[serde(flatten)]
    pub view: CallView,
    /// CloudEvents objects, oldest first.
    pub events: Vec<Value>,
}

/// Which calls to list; all that is given must hold. The fields are the query of `GET /v1/calls`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    pub company: Option<String>,
    pub pool: Option<String>,
    /// The tracking number; only its digits are compared.
    pub number: Option<String>,
    /// Likewise.
    pub caller: Option<String>,
    pub outcome: Option<Outcome>,
    /// Started at or after.
    pub since: Option<Wall>,
    /// Started before.
    pub until: Option<Wall>,
    /// Kind of attribution.
    pub attribution: Option<AttributionKind>,
    pub visitor_id: Option<String>,
    /// `utm.source` of the visit, or `source` of the static channel.
    pub source: Option<String>,
    /// Likewise `medium`.
    pub medium: Option<String>,
    /// Likewise `campaign`.
    pub campaign: Option<String>,
    pub in_progress: Option<bool>,
    /// `next` of the page before.
    pub cursor: Option<CallId>,
    /// Calls on the page, at most [`limits::CALLS_PAGE`]; default 50.
    pub limit: Option<usize>,
}

/// A page of calls, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    pub calls: Vec<CallView>,
    /// `cursor` of the next page; `None`: this is the last one.
    pub next: Option<CallId>,
}

impl Calls {
    /// Takes in one event of the journal, in order; `seq` is its record's number. The same one twice changes nothing.
    pub fn observe(&self, seq: u64, event: &Event) {
        let call = match &event.body {
            Body::CallStarted(call) | Body::CallAnswered(call) | Body::CallEnded(call) => call.call_id,
            Body::RecordingSealed(sealed) | Body::RecordingRecovered(sealed) => sealed.call_id,
            Body::CallCrashed { call_id, .. } => *call_id,
            Body::RecordingPlayed(played) => played.call_id,
            Body::RecordingErased(erased) => erased.call_id,
            Body::RecordingHeld(hold) | Body::RecordingReleased(hold) => hold.call_id,
            Body::RecordingArchived(archived) => archived.call_id,
            _ => return,
        };
        self.inner.write().unwrap_or_else(PoisonError::into_inner).observe(call, seq, &event.body);
    }

    pub fn list(&self, filter: &Filter) -> Page {
        let limit = filter.limit.unwrap_or(50).clamp(1, limits::CALLS_PAGE);
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let older = |call: &CallId| filter.cursor.is_none_or(|cursor| *call < cursor);
        let found = inner.calls.iter().rev().filter(|(call, entry)| older(call) && matches(filter, entry));
        let mut calls: Vec<CallView> = found.take(limit + 1).map(|(_, entry)| entry.view()).collect();
        let more = calls.len() > limit;
        calls.truncate(limit);
        let next = calls.last().filter(|_| more).map(|view| view.call.call_id);
        Page { calls, next }
    }

    pub fn get(&self, call: CallId) -> Option<CallView> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).calls.get(&call).map(Entry::view)
    }

    /// One call with its events, read from the journal: call it where blocking is allowed.
    pub fn detail(&self, journal: &Journal, call: CallId) -> io::Result<Option<CallDetail>> {
        let found = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            inner.calls.get(&call).map(|entry| (entry.view(), entry.events.clone(), entry.forgotten))
        };
        let Some((view, seqs, forgotten)) = found else { return Ok(None) };
        let mut events = Vec::new();
        for seq in seqs {
            if let Some(record) = journal.get(seq)? {
                let mut event = serde_json::from_str(&record.event)?;
                if forgotten {
                    forget::event(&mut event);
                }
                events.push(event);
            }
        }
        Ok(Some(CallDetail { view, events }))
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// Ids begin with the time, so this is in order of start.
    calls: BTreeMap<CallId, Entry>,
    /// Those that may be forgotten.
    ended: BTreeSet<CallId>,
}

#[derive(Debug)]
struct Entry {
    data: Arc<CallData>,
    phase: Phase,
    /// Records in the journal.
    events: Vec<u64>,
    /// Its recording was erased on somebody's wish: nothing says who called any more.
    forgotten: bool,
}

impl Inner {
    fn observe(&mut self, call: CallId, seq: u64, body: &Body) {
        match body {
            Body::CallStarted(data) => self.put(data, Phase::Ringing),
            Body::CallAnswered(data) => self.put(data, Phase::Talking),
            Body::CallEnded(data) => self.put(data, Phase::Ended),
            Body::RecordingSealed(sealed) => {
                if let Some(entry) = self.calls.get_mut(&call) {
                    Arc::make_mut(&mut entry.data).recording = Some(sealed.recording.clone());
                }
            }
            Body::RecordingErased(erased) => {
                if forget::is_wish(erased)
                    && let Some(entry) = self.calls.get_mut(&call)
                {
                    entry.forgotten = true;
                    forget::call(Arc::make_mut(&mut entry.data));
                }
                let recording = self.calls.get_mut(&call).and_then(|e| Arc::make_mut(&mut e.data).recording.as_mut());
                if let Some(recording) = recording {
                    recording.path = None;
                    recording.reason = Some("erased".to_owned());
                }
            }
            _ => {}
        }
        let entry = self.calls.get_mut(&call).filter(|entry| entry.events.len() < limits::CALL_EVENTS);
        // Told again, or told before the journal gave it a number.
        if let Some(entry) = entry.filter(|entry| entry.events.last().copied().unwrap_or(0) < seq) {
            entry.events.push(seq);
        }
        while self.ended.len() > limits::CALLS_LISTED {
            let oldest = self.ended.pop_first();
            oldest.map(|oldest| self.calls.remove(&oldest));
        }
    }

    /// An end stays an end, whatever comes after it.
    fn put(&mut self, data: &CallData, phase: Phase) {
        let call = data.call_id;
        if phase != Phase::Ended && self.ended.contains(&call) {
            return;
        }
        // As many as there can be in progress; more are left-overs of a damaged journal.
        let room = self.calls.len() < limits::CALLS_LISTED + limits::CALLS || phase == Phase::Ended;
        if !room && !self.calls.contains_key(&call) {
            return;
        }
        let data = Arc::new(data.clone());
        let fresh = || Entry { data: data.clone(), phase, events: Vec::new(), forgotten: false };
        let entry = self.calls.entry(call).or_insert_with(fresh);
        (entry.data, entry.phase) = (data.clone(), phase);
        if phase == Phase::Ended {
            self.ended.insert(call);
        }
    }
}

impl Entry {
    fn view(&self) -> CallView {
        CallView { call: self.data.clone(), phase: self.phase, in_progress: self.phase != Phase::Ended }
    }
}

fn matches(filter: &Filter, entry: &Entry) -> bool {
    let call = &*entry.data;
    let text = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    let number = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| same_number(wanted, is));
    let origin = |wanted: &Option<String>, key: &str| {
        wanted.as_ref().is_none_or(|wanted| origin(call, key).is_some_and(|is| is == wanted))
    };
    text(&filter.company, &call.company)
        && text(&filter.pool, &call.pool)
        && number(&filter.number, call.number.as_str())
        && number(&filter.caller, call.caller.as_deref().unwrap_or_default())
        && filter.outcome.is_none_or(|outcome| call.outcome == Some(outcome))
        && filter.since.is_none_or(|since| call.started_at >= since)
        && filter.until.is_none_or(|until| call.started_at < until)
        && filter.attribution.is_none_or(|kind| call.attribution.kind == kind)
        && text(&filter.visitor_id, call.attribution.visitor_id.as_deref().unwrap_or_default())
        && origin(&filter.source, "source")
        && origin(&filter.medium, "medium")
        && origin(&filter.campaign, "campaign")
        && filter.in_progress.is_none_or(|wanted| wanted == (entry.phase != Phase::Ended))
}

/// `source`, `medium` or `campaign` of the visit or of the static channel.
fn origin<'a>(call: &'a CallData, key: &str) -> Option<&'a str> {
    let session = call.attribution.session.as_ref().and_then(|session| session.utm.get(key));
    let channel = call.attribution.channel.as_ref().and_then(|channel| channel.get(key));
    session.or(channel).map(String::as_str)
}

/// By digits, since a `+` in a query arrives as a space; without digits by text.
fn same_number(wanted: &str, is: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    match digits(wanted) {
        none if none.is_empty() => wanted == is,
        wanted => wanted == digits(is),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::event::cloud::tests::{call, ended, event, started};
    use crate::core::event::{Attribution, RecordingData, RecordingState, RecordingSummary, Session};
    use crate::ids::E164;
    use crate::io::journal;

    fn numbers(page: &Page) -> Vec<u128> {
        page.calls.iter().map(|view| view.call.call_id.0).collect()
    }

    fn filter(json: serde_json::Value) -> Filter {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_call_goes_through_its_phases_and_an_end_stays() {
        let calls = Calls::default();
        calls.observe(1, &started(1));
        assert_eq!(calls.get(CallId(1)).unwrap().phase, Phase::Ringing);
        calls.observe(2, &event(1, Body::CallAnswered(Box::new(call(1)))));
        let view = calls.get(CallId(1)).unwrap();
        assert_eq!((view.phase, view.in_progress), (Phase::Talking, true));
        let recording = RecordingSummary { state: RecordingState::Complete, ..RecordingSummary::default() };
        let sealed = RecordingData { call_id: CallId(1), recording: recording.clone() };
        calls.observe(3, &event(1, Body::RecordingSealed(sealed)));
        assert_eq!(calls.get(CallId(1)).unwrap().call.recording, Some(recording));
        calls.observe(4, &ended(1, Outcome::Answered));
        calls.observe(5, &started(1));
        let view = calls.get(CallId(1)).unwrap();
        assert_eq!((view.phase, view.call.outcome), (Phase::Ended, Some(Outcome::Answered)));
        assert_eq!(calls.get(CallId(2)), None);
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!((&json["call_id"], &json["phase"]), (&CallId(1).to_string().into(), &"ended".into()));
    }

    #[test]
    fn filters_hold_together() {
        let calls = Calls::default();
        for n in 1..=6_u128 {
            let mut data = call(n);
            data.started_at = Wall(i64::try_from(n).unwrap() * 1_000_000);
            if n % 2 == 0 {
                data.company = "other".into();
                data.caller = Some("anonymous".into());
                data.outcome = Some(Outcome::Busy);
            }
            if n == 3 {
                data.number = E164::parse("+442079460003").unwrap();
                let utm = BTreeMap::from([("source".into(), "yandex".into()), ("campaign".into(), "kitchens".into())]);
                data.attribution = Attribution {
                    kind: AttributionKind::Visitor,
                    visitor_id: Some("v3".into()),
                    session: Some(Arc::new(Session { utm, ..Session::default() })),
                    ..Attribution::default()
                };
            }
            if n == 4 {
                data.attribution.channel = Some(Arc::new(BTreeMap::from([("source".into(), "billboard".into())])));
            }
            let body = if n == 6 { Body::CallEnded } else { Body::CallStarted };
            calls.observe(1, &event(n, body(Box::new(data))));
        }
        let table = [
            (serde_json::json!({}), vec![6, 5, 4, 3, 2, 1]),
            (serde_json::json!({"company": "other"}), vec![6, 4, 2]),
            (serde_json::json!({"company": "other", "outcome": "busy", "in_progress": true}), vec![4, 2]),
            (serde_json::json!({"number": " 442079460003"}), vec![3]),
            (serde_json::json!({"caller": "anonymous"}), vec![6, 4, 2]),
            (serde_json::json!({"caller": "+44 20 7946 0123"}), vec![5, 3, 1]),
            (serde_json::json!({"attribution": "visitor"}), vec![3]),
            (serde_json::json!({"visitor_id": "v3", "campaign": "kitchens", "source": "yandex"}), vec![3]),
            (serde_json::json!({"source": "billboard"}), vec![4]),
            (serde_json::json!({"campaign": "other"}), vec![]),
            (serde_json::json!({"since": "1970-01-01T00:00:02Z", "until": "1970-01-01T00:00:05Z"}), vec![4, 3, 2]),
            (serde_json::json!({"pool": "none"}), vec![]),
        ];
        for (query, expected) in table {
            assert_eq!(numbers(&calls.list(&filter(query.clone()))), expected, "{query}");
        }
        assert!(serde_json::from_value::<Filter>(serde_json::json!({"compani": "x"})).is_err());
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap_while_calls_come_in() {
        let calls = Calls::default();
        (1..=25).for_each(|n| calls.observe(1, &started(n)));
        let mut query = filter(serde_json::json!({"limit": 10}));
        let mut seen = Vec::new();
        for n in 100.. {
            let page = calls.list(&query);
            seen.extend(numbers(&page));
            calls.observe(1, &started(n));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    }

    #[test]
    fn the_oldest_ended_calls_are_forgotten_and_none_in_progress() {
        let calls = Calls::default();
        calls.observe(1, &started(1));
        for n in 2..=limits::CALLS_LISTED as u128 + 11 {
            calls.observe(1, &ended(n, Outcome::Busy));
        }
        assert!(calls.get(CallId(1)).is_some());
        assert_eq!((calls.get(CallId(11)), calls.get(CallId(12)).is_some()), (None, true));
        assert_eq!(calls.inner.read().unwrap().calls.len(), limits::CALLS_LISTED + 1);
    }

    #[test]
    fn one_call_comes_with_its_events_from_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), journal::tests::options()).unwrap();
        let calls = Arc::new(Calls::default());
        let observer = calls.clone();
        journal.observe(move |seq, event| observer.observe(seq, event));
        for event in [started(1), started(2), ended(1, Outcome::Busy)] {
            calls.observe(0, &event);
            assert!(journal.append(event));
        }
        assert!(journal.flush(Duration::from_secs(20)));
        assert_eq!(calls.inner.read().unwrap().calls[&CallId(1)].events, [1, 3]);
        let detail = calls.detail(&journal, CallId(1)).unwrap().unwrap();
        let kinds: Vec<&str> = detail.events.iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(kinds, ["leaseline.call.started", "leaseline.call.ended"]);
        assert!(calls.detail(&journal, CallId(3)).unwrap().is_none());
    }
}
