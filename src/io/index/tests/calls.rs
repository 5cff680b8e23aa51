//! Lists of calls, and one call.

use super::*;
use crate::core::event::{RecordingData, RecordingState, RecordingSummary};

fn numbers(page: &Page) -> Vec<u128> {
    page.calls.iter().map(|view| view.call.call_id.0 & 0xffff).collect()
}

fn filter(json: serde_json::Value) -> Filter {
    serde_json::from_value(json).unwrap()
}

fn list(world: &World, query: serde_json::Value) -> Vec<u128> {
    numbers(&world.read(|reader| reader.calls(&filter(query))))
}

#[test]
fn a_call_goes_through_its_phases_and_an_end_stays() {
    let world = world();
    let whole = call(1, NOON);
    let id = whole.call_id;
    let started = CallData { outcome: None, ended_at: None, ..whole.clone() };
    let phase = || world.read(|reader| reader.call(id)).map(|view| (view.phase, view.in_progress));
    world.tell(NOON, Body::CallStarted(Box::new(started.clone())));
    assert_eq!(phase(), Some((Phase::Ringing, true)));
    world.tell(NOON, Body::CallAnswered(Box::new(started.clone())));
    assert_eq!(phase(), Some((Phase::Talking, true)));
    let recording = RecordingSummary { state: RecordingState::Complete, ..RecordingSummary::default() };
    let sealed = RecordingData { call_id: id, recording: recording.clone() };
    world.tell(NOON, Body::RecordingSealed(sealed));
    assert_eq!(world.read(|reader| reader.call(id)).unwrap().call.recording, Some(recording));
    world.tell(NOON, Body::CallEnded(Box::new(whole.clone())));
    world.tell(NOON, Body::CallStarted(Box::new(started)));
    let view = world.read(|reader| reader.call(id)).unwrap();
    assert_eq!((view.phase, view.call.outcome), (Phase::Ended, Some(Outcome::Answered)));
    assert_eq!(*view.call, whole, "the call as its end told it");
    assert!(world.read(|reader| reader.call(CallId(2))).is_none());
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!((&json["call_id"], &json["phase"]), (&id.to_string().into(), &"ended".into()));
    let detail = world.read(|reader| reader.detail(id)).unwrap();
    let kinds: Vec<&str> = detail.events.iter().filter_map(|event| event["type"].as_str()).collect();
    let call = ["started", "answered"].map(|kind| format!("leaseline.call.{kind}"));
    assert_eq!(kinds[..2], call);
    assert_eq!((kinds.len(), kinds[2]), (5, "leaseline.recording.sealed"));
}

#[test]
fn filters_hold_together() {
    let world = world();
    for n in 1..=8_u64 {
        let mut data = call(n, NOON + n as i64 * MINUTE);
        if n % 2 == 0 {
            (data.company, data.pool) = ("other".into(), "other-web".into());
            data.caller = Some("anonymous".into());
            (data.outcome, data.answered_at, data.talk_ms) = (Some(Outcome::Busy), None, 0);
        }
        match n {
            3 => {
                data.number = E164::parse("+442079460003").unwrap();
                let utm = [("source", "Yandex"), ("campaign", "kitchens"), ("term", "доставка пиццы")];
                data.attribution = by_visitor("v3", 0.9, None, &utm);
                data.caller_name = Some("Ann Example".into());
            }
            5 => (data.attribution, data.talk_ms) = (by_billboard(), 59_000),
            _ => {}
        }
        if n == 6 {
            world.tell(NOON, Body::CallStarted(Box::new(data)));
        } else {
            world.call(data);
        }
    }
    world.tell(NOON, Body::Work(Box::new(label(&call(7, NOON + 7 * MINUTE), Some("spam")))));
    let table = [
        (serde_json::json!({}), vec![8, 7, 6, 5, 4, 3, 2, 1]),
        (serde_json::json!({"company": "other"}), vec![8, 6, 4, 2]),
        (serde_json::json!({"company": "nobody"}), vec![]),
        (serde_json::json!({"company": "other", "outcome": "busy", "in_progress": false}), vec![8, 4, 2]),
        (serde_json::json!({"in_progress": true}), vec![6]),
        (serde_json::json!({"number": " 442079460003"}), vec![3]),
        (serde_json::json!({"caller": "anonymous"}), vec![8, 6, 4, 2]),
        (serde_json::json!({"caller": "+44 20 7946 0101"}), vec![1]),
        (serde_json::json!({"attribution": "visitor"}), vec![3]),
        (serde_json::json!({"visitor_id": "v3", "campaign": "kitchens", "source": "yandex"}), vec![3]),
        (serde_json::json!({"source": "billboard"}), vec![5]),
        (serde_json::json!({"term": "Доставка пиццы"}), vec![3]),
        (serde_json::json!({"campaign": "other"}), vec![]),
        (serde_json::json!({"since": "2026-11-21T12:02:00Z", "until": "2026-11-21T12:05:00Z"}), vec![4, 3, 2]),
        (serde_json::json!({"pool": "none"}), vec![]),
        (serde_json::json!({"label": "spam"}), vec![7]),
        (serde_json::json!({"label": "", "company": "acme"}), vec![5, 3, 1]),
        (serde_json::json!({"quality": true}), vec![7, 3, 1]),
        (serde_json::json!({"quality": false, "company": "acme"}), vec![5]),
        (serde_json::json!({"first": true}), vec![7, 5, 3, 2, 1]),
        (serde_json::json!({"first": false}), vec![8, 6, 4]),
        (serde_json::json!({"confidence_min": 0.8, "confidence_max": 0.95}), vec![3]),
        (serde_json::json!({"region": "GB", "talk_min": 90}), vec![7, 3, 1]),
        (serde_json::json!({"region": "FR"}), vec![]),
        (serde_json::json!({"talk_min": 1, "talk_max": 60}), vec![5]),
        (serde_json::json!({"missed": true}), vec![8, 4, 2]),
        (serde_json::json!({"waiting": true}), vec![8, 4, 2]),
        (serde_json::json!({"q": "9460003"}), vec![3]),
        (serde_json::json!({"q": "ann ex"}), vec![3]),
        (serde_json::json!({"q": "Kitch"}), vec![3]),
        (serde_json::json!({"q": "%"}), vec![]),
        (serde_json::json!({"agent": "sip:+442079460999@127.0.0.1:5080"}), vec![7, 5, 3, 1]),
    ];
    for (query, expected) in table {
        assert_eq!(list(&world, query.clone()), expected, "{query}");
    }
    assert!(serde_json::from_value::<Filter>(serde_json::json!({"compani": "x"})).is_err());
    let scoped = Filter { scope: Some(vec!["acme".into()]), ..filter(serde_json::json!({"company": "other"})) };
    assert_eq!(world.read(|reader| reader.calls(&scoped)).calls, []);
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap_while_calls_come_in() {
    let world = world();
    (1..=25).for_each(|n| world.tell(NOON, Body::CallStarted(Box::new(call(n, NOON + n as i64)))));
    for query in [serde_json::json!({"limit": 10}), serde_json::json!({"limit": 10, "trunk": "x"})] {
        let Ok(mut query) = serde_json::from_value::<Filter>(query) else { continue };
        let mut seen = Vec::new();
        for n in 100.. {
            let page = world.read(|reader| reader.calls(&query));
            seen.extend(numbers(&page));
            world.tell(NOON, Body::CallStarted(Box::new(call(n, NOON + n as i64))));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    }
}

fn label(of: &CallData, label: Option<&str>) -> crate::core::event::work::WorkEvent {
    crate::core::event::work::WorkEvent::Labelled(crate::core::event::work::LabelledData {
        call_id: of.call_id,
        company: of.company.clone(),
        by: "anna".into(),
        label: label.map(str::to_owned),
        rule: None,
    })
}
