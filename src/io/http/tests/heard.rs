//! A PBX tells of its calls, with a signalling side that listens.

use super::*;
use crate::core::attribution;
use crate::core::ears::{Answer as Answered, Heard, Report, Stage};
use crate::core::event::{AttributionKind, HangupBy};
use crate::core::rights::Companies;

const EARS: &str = "[[ears]]\nname = \"cloud\"\nkind = \"http\"\n";

/// What signalling was told, and what it says to everything.
fn listening(
    config: &str,
    answer: impl Fn(&Report) -> Answered + Send + 'static,
) -> (World, mpsc::UnboundedReceiver<Report>) {
    let (commands, mut orders) = mpsc::unbounded_channel();
    let (told, reports) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            if let Command::Hear(report, to) = order {
                let _ = to.send(answer(&report));
                let _ = told.send(*report);
            }
        }
    });
    (world_of(&format!("{CONFIG}{config}"), Some(TOKEN), None, commands), reports)
}

fn heard(_: &Report) -> Answered {
    let data = call_data(1, None);
    let session = crate::core::event::Session {
        utm: [("source".to_owned(), "newsletter".to_owned())].into(),
        ..Default::default()
    };
    let known =
        Attribution { kind: AttributionKind::Visitor, session: Some(Arc::new(session)), ..Attribution::default() };
    let data = CallData { attribution: known, ..data };
    Answered::Call(Box::new(Heard {
        call_id: data.call_id,
        data: Some(data),
        state: "offered",
        is_new: true,
        is_duplicate: false,
    }))
}

impl World {
    async fn says(&self, token: &str, body: Value) -> Answer {
        let headers = [("authorization", token), ("content-type", "application/json")];
        self.ask("POST", "/v1/heard", &headers, body.to_string()).await
    }
}

#[tokio::test]
async fn a_pbx_tells_of_a_call_and_hears_who_is_calling() {
    let (world, mut reports) = listening(EARS, heard);
    let token = format!("Bearer {TOKEN}");
    let answer = world
        .says(
            &token,
            json!({"call_id": "a-1", "stage": "offered", "number": "+442079460001", "caller": "+447700900123",
            "at": "2026-11-21T10:00:00Z", "sip_call_id": "x@pbx"}),
        )
        .await;
    assert_eq!(answer.status, 201);
    let said = answer.json();
    assert_eq!(
        (&said["state"], &said["duplicate"], &said["company"]),
        (&json!("offered"), &json!(false), &json!("acme"))
    );
    assert_eq!(said["attribution"]["session"]["utm"]["source"], "newsletter");
    assert_eq!(
        said["source"],
        attribution::source_line(
            &serde_json::from_value(said["attribution"].clone()).unwrap(),
            attribution::SOURCE_TEMPLATE
        )
        .unwrap()
    );
    let report = reports.recv().await.unwrap();
    assert_eq!((report.stage, report.id.as_str(), &*report.ear.name), (Stage::Offered, "a-1", "cloud"));
    assert_eq!((report.called.as_deref(), report.sip_call_id.as_deref()), (Some("+442079460001"), Some("x@pbx")));
    assert_eq!(report.at, Wall::parse_rfc3339("2026-11-21T10:00:00Z"));
    let form = [("authorization", token.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let ended = "call_id=a-1&stage=ended&cause=17&hangup_by=caller&outcome=busy";
    assert_eq!(world.ask("POST", "/v1/heard", &form, ended).await.status, 201);
    let report = reports.recv().await.unwrap();
    assert_eq!(
        (report.cause, report.outcome, report.hangup_by),
        (Some(17), Some(Outcome::Busy), Some(HangupBy::Caller))
    );
    let ears = world.ask("GET", "/v1/ears", &[("authorization", &token)], Body::empty()).await;
    assert_eq!(ears.status, 200);
}

#[tokio::test]
async fn what_cannot_be_a_report_is_said() {
    let (world, _reports) = listening(EARS, heard);
    let token = format!("Bearer {TOKEN}");
    for (body, code) in [
        (json!({"call_id": "", "stage": "offered", "number": "1"}), "bad_parameter"),
        (json!({"call_id": "a", "stage": "offered"}), "bad_parameter"),
        (json!({"call_id": "a", "stage": "gone"}), "bad_parameter"),
        (json!({"call_id": "a", "stage": "ended", "at": "yesterday"}), "bad_parameter"),
        (json!({"call_id": "a", "stage": "ended", "cause": "x"}), "bad_parameter"),
        (json!({"call_id": "a", "stage": "ended", "outcome": "fine"}), "bad_parameter"),
        (json!({"call_id": "a".repeat(200), "stage": "ended"}), "bad_parameter"),
        (json!({"call_id": "a", "stage": "ended", "ear": "other"}), "unknown_ear"),
    ] {
        assert_eq!(world.says(&token, body.clone()).await.code(), code, "{body}");
    }
    assert_eq!(world.says("Bearer no", json!({"call_id": "a", "stage": "ended"})).await.status, 401);
    let (silent, _reports) = listening("", heard);
    assert_eq!(silent.says(&token, json!({"call_id": "a", "stage": "ended"})).await.code(), "unknown_ear");
}

#[tokio::test]
async fn what_signalling_does_not_take_is_said() {
    for (code, status) in
        [("number_unknown", 404), ("number_excluded", 404), ("time_out_of_range", 422), ("too_many_calls", 503)]
    {
        let (world, _reports) = listening(EARS, move |_| Answered::Refused(code));
        let answer = world.says(&format!("Bearer {TOKEN}"), json!({"call_id": "a", "stage": "ended"})).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let (world, _reports) = listening(EARS, |_| Answered::Early);
    let answer = world.says(&format!("Bearer {TOKEN}"), json!({"call_id": "a", "stage": "ended"})).await;
    assert_eq!((answer.status, answer.json()), (202, json!({"state": "awaited"})));
}

#[tokio::test]
async fn a_token_tells_of_its_companies_calls_alone() {
    let (world, mut reports) = listening(EARS, heard);
    let stage = json!({"call_id": "a", "stage": "ringing"});
    let of_acme = world.token("pbx", &["heard"], &["acme"]);
    assert_eq!(world.says(&of_acme, stage.clone()).await.status, 201);
    assert_eq!(reports.recv().await.unwrap().within, Companies::Only(["acme".into()].into()));
    let leads = world.token("crm", &["leads"], &["acme"]);
    assert_eq!(world.says(&leads, stage).await.status, 403);
}

/// What a PBX carries it alone can end.
#[tokio::test]
async fn a_call_of_a_pbx_is_not_hung_up_here() {
    let world = world(None);
    let data = CallData { via: Some("http".into()), pbx_call_id: Some("a".into()), ..call_data(1, None) };
    let id = data.call_id;
    world.tell(EventBody::CallStarted(Box::new(data)), &id.to_string());
    let answer = world.ask("DELETE", &format!("/v1/calls/{id}"), &[], Body::empty()).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "not_carried"));
    let live = world.get("/v1/calls/live").await.json();
    assert_eq!(live["calls"].as_array().or(live.as_array()).unwrap()[0]["via"], "http");
}
