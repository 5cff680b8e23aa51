//! Conversations with FreeSWITCH, as it holds them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Config;

const NOW: Wall = Wall(1_790_000_000_000_000);

fn ear(extra: &str) -> Arc<Ear> {
    let text = format!(
        "[[ears]]\nname = \"pbx\"\nkind = \"freeswitch\"\naddress = \"127.0.0.1:8021\"\nsecret = \"ClueCon\"\n{extra}\n"
    );
    Arc::clone(&Config::parse(&text, "test", std::path::Path::new("")).unwrap().ears[0])
}

fn told(words: &[Word]) -> Vec<String> {
    let line = |word: &Word| match word {
        Word::Send(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
        Word::Ready => "ready".to_owned(),
        Word::Synced(alive) => {
            let mut alive: Vec<&str> = alive.iter().map(String::as_str).collect();
            alive.sort_unstable();
            format!("synced {}", alive.join(" "))
        }
        Word::Report(report) => {
            let Report { id, stage, called, caller, by, cause, outcome, hangup_by, sip_call_id, .. } = &**report;
            let mut text = format!("{} {id}", stage.as_str());
            for more in [called, caller, by, sip_call_id].into_iter().flatten() {
                text += &format!(" {more}");
            }
            if *stage == Stage::Ended {
                text += &format!(" {cause:?} {outcome:?} {hangup_by:?}");
            }
            text
        }
    };
    words.iter().map(line).collect()
}

struct Talk(FreeSwitch);

impl Talk {
    fn new(extra: &str) -> Talk {
        let mut talk = Talk(FreeSwitch::new(ear(extra)));
        talk.say("Content-Type: auth/request\n\n");
        talk.say("Content-Type: command/reply\nReply-Text: +OK accepted\n\n");
        talk.say("Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n");
        talk.api(&json!({ "row_count": 0 }));
        talk
    }

    fn say(&mut self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.0.take(NOW, text.as_bytes(), &mut words).unwrap();
        told(&words)
    }

    fn body(&mut self, kind: &str, body: &Value) -> Vec<String> {
        let body = body.to_string();
        self.say(&format!("Content-Length: {}\nContent-Type: {kind}\n\n{body}", body.len()))
    }

    fn api(&mut self, body: &Value) -> Vec<String> {
        self.body("api/response", body)
    }

    fn event(&mut self, name: &str, id: &str, more: Value) -> Vec<String> {
        let mut event = json!({ "Event-Name": name, "Unique-ID": id });
        for (key, value) in more.as_object().unwrap() {
            event[key] = value.clone();
        }
        self.body("text/event-json", &event)
    }

    fn comes(&mut self) -> Vec<String> {
        self.event(
            "CHANNEL_CREATE",
            "a-1",
            json!({ "Call-Direction": "inbound", "Channel-Name": "sofia/external/07700900123@192.0.2.9",
                "Caller-Context": "public", "Caller-Destination-Number": "+442079460500",
                "Caller-Caller-ID-Number": "07700900123", "Caller-Caller-ID-Name": "07700900123",
                "variable_sip_call_id": "call-1@carrier" }),
        )
    }
}

#[test]
fn it_logs_in_subscribes_and_asks_for_the_calls() {
    let mut talk = Talk(FreeSwitch::new(ear("")));
    assert_eq!(talk.say("Content-Type: auth/request\n\n"), ["auth ClueCon"]);
    assert_eq!(talk.say("Content-Type: command/reply\nReply-Text: +OK accepted\n\n"), [EVENTS]);
    let subscribed = talk.say("Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n");
    assert_eq!(subscribed, ["ready", "api show channels as json"]);
    assert_eq!(talk.api(&json!({ "row_count": 0 })), ["synced "]);
}

#[test]
fn who_is_not_let_in_is_told_why() {
    for (first, then, why) in [
        (
            "Content-Type: auth/request\n\n",
            "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n",
            "login_refused",
        ),
        ("", "Content-Type: text/rude-rejection\nContent-Length: 0\n\n", "login_refused"),
        ("", "Asterisk Call Manager/5.0.2\r\nA: b\r\n\r\n", "not_freeswitch"),
        ("Content-Type: auth/request\n\n", "Content-Type: text/disconnect-notice\n\n", "pbx_stopped"),
    ] {
        let mut talk = Talk(FreeSwitch::new(ear("")));
        talk.say(first);
        assert_eq!(talk.0.take(NOW, then.as_bytes(), &mut Vec::new()), Err(why), "{then}");
    }
}

#[test]
fn an_answered_call_from_its_channel_to_its_hangup() {
    let mut talk = Talk::new("trunks = [\"sofia/external\"]\ncontexts = [\"public\"]");
    assert_eq!(talk.comes(), ["offered a-1 +442079460500 07700900123 call-1@carrier"]);
    let leg = json!({ "Call-Direction": "outbound", "Other-Leg-Unique-ID": "a-1",
        "Channel-Name": "sofia/internal/1001@192.0.2.50:5060" });
    assert!(talk.event("CHANNEL_CREATE", "b-1", leg.clone()).is_empty());
    assert_eq!(talk.event("CHANNEL_PROGRESS", "b-1", leg.clone()), ["ringing a-1 1001"]);
    assert!(talk.event("CHANNEL_ANSWER", "a-1", json!({})).is_empty(), "a menu");
    assert_eq!(talk.event("CHANNEL_ANSWER", "b-1", leg.clone()), ["answered a-1 1001"]);
    assert!(talk.event("CHANNEL_BRIDGE", "a-1", leg.clone()).is_empty(), "known");
    assert!(talk.event("CHANNEL_HANGUP_COMPLETE", "b-1", leg).is_empty());
    let end = json!({ "Hangup-Cause": "NORMAL_CLEARING", "variable_hangup_cause_q850": "16",
        "variable_sip_hangup_disposition": "recv_bye" });
    let ended = talk.event("CHANNEL_HANGUP_COMPLETE", "a-1", end);
    assert_eq!(ended, ["ended a-1 Some(16) Some(Cancelled) Some(Caller)"]);
}

#[test]
fn calls_that_do_not_come_in_and_those_of_other_trunks_are_nobodys() {
    let mut talk = Talk::new("trunks = [\"sofia/gateway\"]");
    assert!(talk.comes().is_empty());
    let outbound = json!({ "Call-Direction": "outbound", "Caller-Destination-Number": "+442079460500" });
    assert!(Talk::new("").event("CHANNEL_CREATE", "b-1", outbound).is_empty());
    let mut talk = Talk::new("answered = \"picked_up\"");
    talk.comes();
    assert_eq!(talk.event("CHANNEL_ANSWER", "a-1", json!({})), ["answered a-1"]);
}

#[test]
fn calls_in_progress_are_found_again() {
    let mut talk = Talk(FreeSwitch::new(ear("")));
    talk.say("Content-Type: auth/request\n\n");
    talk.say("Content-Type: command/reply\nReply-Text: +OK accepted\n\n");
    talk.say("Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n");
    let row = |id: &str, direction: &str, state: &str| {
        json!({ "uuid": id, "direction": direction, "created_epoch": "1789999990", "name": "sofia/external/1@x",
            "callstate": state, "dest": "0500", "cid_num": "07700900123", "context": "public", "application": "bridge" })
    };
    let rows = [row("a-1", "inbound", "RINGING"), row("a-2", "inbound", "ACTIVE"), row("b-2", "outbound", "ACTIVE")];
    assert_eq!(
        talk.api(&json!({ "row_count": 3, "rows": rows })),
        ["offered a-1 0500 07700900123", "offered a-2 0500 07700900123", "answered a-2", "synced a-1 a-2 b-2"]
    );
    // A list that is not whole ends nobody's call.
    for list in [json!("nonsense"), json!({ "row_count": 2, "rows": [row("a-1", "inbound", "ACTIVE")] }), json!({})] {
        let mut talk = Talk(FreeSwitch::new(ear("")));
        talk.say("Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK\n\n");
        talk.say("Content-Type: command/reply\nReply-Text: +OK\n\n");
        assert!(!talk.api(&list).iter().any(|word| word.starts_with("synced")), "{list}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_without_harm(parts in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "Content-Length: [0-9]{0,20}\n".prop_map(String::into_bytes),
            "Content-Type: (auth/request|command/reply|api/response|text/event-json)\n".prop_map(String::into_bytes),
            Just(b"Reply-Text: +OK\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"{\"Event-Name\":\"CHANNEL_CREATE\",\"Unique-ID\":\"a\",\"Call-Direction\":\"inbound\"}".to_vec()),
        ], 0..60)) {
        let mut talk = Talk(FreeSwitch::new(ear("")));
        for part in &parts {
            if talk.0.take(NOW, part, &mut Vec::new()).is_err() {
                break;
            }
        }
    }
}
