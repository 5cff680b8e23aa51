//! PBXs that carry calls themselves and tell of them, each in its way, and the visitor whom the event names.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::node::{Node, holds, until};

#[path = "../contracts/pbx.rs"]
mod pbx;

use pbx::{Pbx, SECRET, USER};

const CALLER: &str = "07700900123";

fn link(pbx: &Pbx, kind: &str, secret: &str) -> String {
    let user = if kind == "asterisk" { format!("user = \"{USER}\"\n") } else { String::new() };
    format!(
        "[[ears]]\nname = \"{kind}\"\nkind = \"{kind}\"\naddress = \"{}\"\n{user}secret = \"{secret}\"\ncountry = \"GB\"\n",
        pbx.address
    )
}

const CLOUD: &str = "[[ears]]\nname = \"cloud\"\nkind = \"http\"\ncountry = \"GB\"\n";

/// A visitor's number, as a PBX in the country writes it.
fn leased(node: &Node, visitor: &str) -> (String, String) {
    let number = node.lease(visitor)["number"].as_str().unwrap().to_owned();
    let national = number.replace("+44", "0");
    (number, national)
}

fn newchannel(id: &str, called: &str) -> Value {
    json!({ "Event": "Newchannel", "Channel": format!("PJSIP/carrier-{id}"), "ChannelStateDesc": "Ring", "CallerIDNum": CALLER,
        "Context": "from-trunk", "Exten": called, "Uniqueid": id, "Linkedid": id })
}

fn dial_end(id: &str) -> Value {
    json!({ "Event": "DialEnd", "DialStatus": "ANSWER", "Uniqueid": id, "Linkedid": id, "DestChannel": "PJSIP/101-2",
        "DestUniqueid": "x.2", "DestLinkedid": id })
}

fn hangup(id: &str) -> Value {
    json!({ "Event": "Hangup", "Cause": "16", "Uniqueid": id, "Linkedid": id })
}

fn tell(node: &Node, body: &Value) -> (u16, Value) {
    let (status, body) = node.request("POST /v1/heard", &body.to_string()).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

fn standing(node: &Node, ear: &str) -> Value {
    let ears = node.json("/v1/ears");
    ears["ears"].as_array().unwrap().iter().find(|one| one["name"] == ear).cloned().unwrap_or_default()
}

/// Every event of calls, by call: exactly one start and one end each.
fn each_once(node: &Node, calls: usize) {
    let (started, ended) = (node.events_of("call.started"), node.events_of("call.ended"));
    let ids = |events: &[Value]| {
        let mut ids: Vec<String> = events.iter().map(|data| data["call_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!((ids(&started), started.len()), (ids(&ended), calls));
}

#[test]
fn each_of_three_pbxs_tells_of_a_visitors_call() {
    let (asterisk, freeswitch) = (Pbx::asterisk(), Pbx::freeswitch());
    let ears = link(&asterisk, "asterisk", SECRET) + &link(&freeswitch, "freeswitch", SECRET) + CLOUD;
    let mut node = Node::started(&ears);
    asterisk.wait_heard(1);
    freeswitch.wait_heard(1);
    holds("both links are up", || ["asterisk", "freeswitch"].iter().all(|ear| standing(&node, ear)["state"] == "up"));
    assert_eq!(node.metric("leaseline_ear_up{ear=\"asterisk\"}"), Some(1.0));

    let (number, national) = leased(&node, "visitor-one");
    // Garbage in between is nobody's call.
    asterisk.says(b"\r\n\r\nEvent\r\n:::\r\n\xff\xfe\x00: \xff\r\nEvent: Newchannel\r\n\r\n");
    asterisk.event(&newchannel("1.1", &national));
    let started = node.wait_for_events("call.started", 1).pop().unwrap();
    assert_eq!(started["attribution"]["visitor_id"], "visitor-one", "{started}");
    assert_eq!((&started["number"], &started["via"]), (&json!(number), &json!("asterisk")));
    assert_eq!((&started["caller"], &started["trunk"]), (&json!("+447700900123"), &json!("asterisk")));
    assert_eq!(node.live_calls(), 1);
    asterisk.event(&dial_end("1.1"));
    asterisk.event(&hangup("1.1"));
    let ended = node.wait_for_events("call.ended", 1).pop().unwrap();
    assert_eq!((&ended["outcome"], &ended["forwarded_to"]), (&json!("answered"), &json!("PJSIP/101")), "{ended}");

    let (_, national) = leased(&node, "visitor-two");
    freeswitch.says(b"Content-Length: 7\nContent-Type: text/event-json\n\n{\"a\": [\n\n");
    freeswitch.event(&json!({ "Event-Name": "CHANNEL_CREATE", "Unique-ID": "f-1", "Call-Direction": "inbound",
        "Caller-Destination-Number": national, "Caller-Caller-ID-Number": "07700900124", "Channel-Name": "sofia/external/1@x" }));
    let started = node.wait_for_events("call.started", 2).pop().unwrap();
    assert_eq!((&started["attribution"]["visitor_id"], &started["via"]), (&json!("visitor-two"), &json!("freeswitch")));
    freeswitch
        .event(&json!({ "Event-Name": "CHANNEL_HANGUP_COMPLETE", "Unique-ID": "f-1", "Hangup-Cause": "USER_BUSY",
        "variable_hangup_cause_q850": "17" }));
    let ended = node.wait_for_events("call.ended", 2).pop().unwrap();
    assert_eq!((&ended["outcome"], &ended["q850_cause"]), (&json!("busy"), &json!(17)));

    let (_, national) = leased(&node, "visitor-three");
    let offered = json!({ "call_id": "c-1", "stage": "offered", "number": national, "caller": "07700900125" });
    // The end is told first, and everything twice.
    let end = json!({ "call_id": "c-1", "stage": "ended", "cause": 16, "hangup_by": "caller" });
    assert_eq!(tell(&node, &end).0, 202);
    let (status, said) = tell(&node, &offered);
    assert_eq!((status, &said["attribution"]["visitor_id"]), (201, &json!("visitor-three")), "{said}");
    assert_eq!(said["source"], "visitor-three");
    assert_eq!(tell(&node, &json!({ "call_id": "c-1", "stage": "answered", "answered_by": "anna" })).0, 200);
    assert_eq!(tell(&node, &offered).1["call_id"], said["call_id"]);
    assert_eq!(tell(&node, &end).0, 200);
    let ended = node.wait_for_events("call.ended", 3).pop().unwrap();
    assert_eq!((&ended["attribution"]["visitor_id"], &ended["via"]), (&json!("visitor-three"), &json!("http")));
    assert_eq!((&ended["outcome"], &ended["forwarded_to"]), (&json!("answered"), &json!("anna")));
    assert_eq!(tell(&node, &json!({ "call_id": "c-2", "stage": "offered", "number": "02079461234" })).0, 404);
    each_once(&node, 3);

    // The index has them, and what is counted is counted by name.
    holds("the index has them", || node.json("/v1/calls")["calls"].as_array().is_some_and(|calls| calls.len() == 3));
    for ear in ["asterisk", "freeswitch", "cloud"] {
        assert_eq!(standing(&node, ear)["calls"], 1, "{ear}");
        assert_eq!(node.metric(&format!("leaseline_ear_calls_total{{ear=\"{ear}\"}}")), Some(1.0));
    }
    assert_eq!(node.metric("leaseline_calls_active"), Some(0.0));
    assert!(!node.get("/metrics").unwrap().1.contains("7700900"));
    node.stop();
}

#[test]
fn a_lost_link_and_a_restart_end_no_call_wrongly() {
    let pbx = Pbx::asterisk();
    let mut node = Node::started(&link(&pbx, "asterisk", SECRET));
    pbx.wait_heard(1);
    let (_, national) = leased(&node, "visitor-one");
    let channel = |id: &str| {
        json!({ "Channel": format!("PJSIP/carrier-{id}"), "ChannelStateDesc": "Up", "Context": "ivr", "Exten": "s",
            "Uniqueid": id, "Linkedid": id, "Duration": "00:00:05", "BridgeId": "b" })
    };
    for (id, caller) in [("1.1", "07700900123"), ("1.2", "07700900124"), ("1.3", "07700900125")] {
        let mut event = newchannel(id, &national);
        event["CallerIDNum"] = json!(caller);
        pbx.event(&event);
        pbx.event(&dial_end(id));
    }
    node.wait_for_events("call.answered", 3);
    // The first ends while nobody listens.
    pbx.in_progress(vec![channel("1.2"), channel("1.3")]);
    pbx.hangs_up();
    pbx.wait_heard(2);
    let ended = node.wait_for_events("call.ended", 1);
    assert_eq!((&ended[0]["pbx_call_id"], &ended[0]["reason"]), (&json!("1.1"), &json!("ended_unheard")));
    // The next ends while we are not there.
    node.stop();
    assert_eq!(node.events_of("call.ended").len(), 1);
    pbx.in_progress(vec![channel("1.3")]);
    node.start();
    pbx.wait_heard(3);
    let ended = node.wait_for_events("call.ended", 2);
    assert_eq!((&ended[1]["pbx_call_id"], &ended[1]["outcome"]), (&json!("1.2"), &json!("answered")));
    // And after a crash the last one is heard to its end.
    node.signal(Signal::SIGKILL);
    node.wait_for_end();
    node.start();
    pbx.wait_heard(4);
    assert_eq!(node.live_calls(), 1);
    assert_eq!(node.metric("leaseline_calls_active"), Some(1.0));
    pbx.event(&hangup("1.3"));
    let ended = node.wait_for_events("call.ended", 3);
    assert_eq!((&ended[2]["pbx_call_id"], &ended[2]["reason"]), (&json!("1.3"), &json!("pbx_hangup")));
    assert_eq!(ended[2]["attribution"]["visitor_id"], "visitor-one");
    each_once(&node, 3);
    assert_eq!(node.metric("leaseline_calls_active"), Some(0.0));
    node.stop();
}

#[test]
fn a_wrong_password_is_said_and_tried_again_until_a_reload_mends_it() {
    let (asterisk, freeswitch) = (Pbx::asterisk(), Pbx::freeswitch());
    let both = |secret: &str| link(&asterisk, "asterisk", secret) + &link(&freeswitch, "freeswitch", secret);
    let mut node = Node::started(&both("not-this-one"));
    for (pbx, ear) in [(&asterisk, "asterisk"), (&freeswitch, "freeswitch")] {
        pbx.wait_refused(2);
        holds("it is down", || standing(&node, ear)["last_error"] == "login_refused");
        let log = node.log();
        let line = log.lines().find(|line| line.contains("login_refused") && line.contains(ear)).unwrap_or_default();
        assert!(line.contains("check `user` and `secret`") && line.contains("again_in_ms"), "{log}");
        assert!(!log.contains("not-this-one"), "the secret stands in the log");
    }
    node.extra = both(SECRET) + CLOUD;
    node.write_config();
    node.signal(Signal::SIGHUP);
    asterisk.wait_heard(1);
    freeswitch.wait_heard(1);
    let (_, national) = leased(&node, "visitor-one");
    asterisk.event(&newchannel("1.1", &national));
    node.wait_for_events("call.started", 1);
    // A link that goes takes no call with it.
    node.extra = link(&freeswitch, "freeswitch", SECRET);
    node.write_config();
    node.signal(Signal::SIGHUP);
    holds("the link is gone", || standing(&node, "asterisk").is_null());
    assert_eq!(node.live_calls(), 1);
    assert!(node.events_of("call.ended").is_empty());
    assert_eq!(node.metric("leaseline_ear_up{ear=\"asterisk\"}"), None);
    node.stop();
}

/// The PBX behind us tells of the call that we pass to it: one call, the one that passes us.
#[test]
fn a_call_that_passes_us_and_is_told_of_is_one_call() {
    let mut node = Node::started(CLOUD);
    node.answering();
    let number = node.lease("visitor-one")["number"].as_str().unwrap().to_owned();
    let calling = node.call(&number, Duration::from_secs(60));
    let started = node.wait_for_events("call.started", 1).pop().unwrap();
    let offered = json!({ "call_id": "p-1", "stage": "offered", "number": number, "caller": "+442079460990" });
    let (status, said) = tell(&node, &offered);
    assert_eq!((status, &said["duplicate"], &said["call_id"]), (200, &json!(true), &started["call_id"]));
    assert_eq!(said["attribution"]["visitor_id"], "visitor-one");
    until("it talks", || (!node.events_of("call.answered").is_empty()).then_some(()));
    calling.hang_up(&node);
    tell(&node, &json!({ "call_id": "p-1", "stage": "ended" }));
    node.wait_for_events("call.ended", 1);
    each_once(&node, 1);
    node.stop();
}
