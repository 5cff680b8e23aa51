//! What is left of a call when somebody has had its recording erased: that it was, when, how long, on which number, how it
//! went; and nothing that says who called. One place knows which fields those are.
//!
//! The journal is a chain of hashes and keeps its records as they were written: it is the proof that nothing else was
//! changed, and its own retention is the operator's to decide. Everything made of it, the list of calls, the file of
//! events, is made without them.

use serde_json::Value;

use crate::core::event::{CallData, ErasedData};

/// In place of why there is no number.
const ERASED: &str = "erased";

/// Was it somebody's wish? Age and a full disk take the sound, and leave what is known of the call.
pub fn is_wish(erased: &ErasedData) -> bool {
    !["retention", "disk"].contains(&erased.by.as_str())
}

/// Takes out who called.
pub fn call(data: &mut CallData) {
    data.caller = None;
    data.caller_reason = Some(ERASED.to_owned());
    data.caller_name = None;
    data.caller_note = None;
    data.diversion.clear();
    data.stir = None;
    data.dtmf.clear();
    let attribution = &mut data.attribution;
    attribution.lease_id = None;
    attribution.visitor_id = None;
    attribution.session = None;
    attribution.candidates.clear();
}

/// The same for an event as CloudEvents has it; `false`: it says nothing of who called.
pub fn event(event: &mut Value) -> bool {
    let kind = event["type"].as_str().unwrap_or_default();
    if !["leaseline.call.started", "leaseline.call.answered", "leaseline.call.ended"].contains(&kind) {
        return false;
    }
    let Ok(mut data) = serde_json::from_value::<CallData>(event["data"].clone()) else { return false };
    call(&mut data);
    match serde_json::to_value(data) {
        Ok(data) => event["data"] = data,
        Err(_) => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::cloud::{self, tests as events};
    use crate::core::event::{Body, Candidate, DigitData};
    use crate::ids::{EventId, Side};

    fn known() -> CallData {
        let mut data = events::call(7);
        data.caller = Some("+442079460123".into());
        data.caller_name = Some("Ann Example".into());
        data.caller_note = Some("likes blue".into());
        data.dtmf = vec![DigitData { side: Side::Caller, digit: Some("4".into()), at_ms: 1, for_ms: 2 }];
        data.attribution.visitor_id = Some("visitor-9".into());
        let evidence = vec!["lease".into()];
        data.attribution.candidates = vec![Candidate { visitor_id: "visitor-9".into(), probability: 1.0, evidence }];
        data
    }

    #[test]
    fn nothing_says_who_called_and_the_rest_stays() {
        let ended = events::event(7, Body::CallEnded(Box::new(known())));
        let text = cloud::to_json(&ended, EventId(1), "leaseline/x");
        let mut value: Value = serde_json::from_str(&text).unwrap();
        let before = value.clone();
        assert!(event(&mut value));
        let text = value.to_string();
        for word in ["460123", "Ann", "blue", "visitor-9", "dtmf"] {
            assert!(before.to_string().contains(word) && !text.contains(word), "{word}: {text}");
        }
        for field in ["id", "time", "type", "subject"] {
            assert_eq!(value[field], before[field]);
        }
        for field in ["call_id", "number", "started_at", "talk_ms", "outcome", "company"] {
            assert_eq!(value["data"][field], before["data"][field]);
        }
        let again = value.clone();
        assert!(event(&mut value) && value == again, "twice is once");
        let mut other = serde_json::json!({ "type": "leaseline.recording.held", "data": {} });
        assert!(!event(&mut other));
    }

    #[test]
    fn age_and_a_full_disk_are_nobodys_wish() {
        let by = |by: &str| ErasedData {
            call_id: crate::ids::CallId(1),
            erased_at: crate::time::Wall(0),
            by: by.into(),
            why: String::new(),
            file: None,
            sha256: None,
        };
        assert!(is_wish(&by("anna")) && is_wish(&by("operator")));
        assert!(!is_wish(&by("retention")) && !is_wish(&by("disk")));
    }
}
