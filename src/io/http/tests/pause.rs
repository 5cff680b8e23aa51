//! Pause, resume and withdrawal, with a signalling side that answers.

use super::*;

#[tokio::test]
async fn a_pause_is_ordered_answered_and_refused() {
    let (commands, mut orders) = mpsc::unbounded_channel();
    let world = world_asking(None, None, commands);
    let id = world.call(1, None);
    let answers = ["", "not_answered", "not_recorded", "call_ended", "recording_started", "unknown_call", ""];
    let answering = tokio::spawn(async move {
        let mut told = Vec::new();
        for code in answers {
            let done = if code.is_empty() { Ok(()) } else { Err(code) };
            match orders.recv().await.unwrap() {
                Command::Pause(call, pause, answer) => {
                    told.push((call, Some(pause)));
                    answer.send(done).unwrap();
                }
                Command::DoNotRecord(call, answer) => {
                    told.push((call, None));
                    answer.send(done).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        told
    });
    let order = |word: &str| format!("/v1/calls/{id}/recording/{word}");
    let paused = world.ask("POST", &order("pause"), &[], Body::empty()).await;
    assert_eq!((paused.status, paused.json()), (200, json!({ "call_id": id, "recording": "paused" })));
    for code in ["not_answered", "not_recorded", "call_ended", "recording_started", "call_ended"] {
        let word = if code == "recording_started" { "off" } else { "resume" };
        let refused = world.ask("POST", &order(word), &[], Body::empty()).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, code));
    }
    let off = world.ask("POST", &order("off"), &[], Body::empty()).await;
    assert_eq!(off.json()["recording"], "off");
    let told = answering.await.unwrap();
    let words = [Some(true), Some(false), Some(false), Some(false), None, Some(false), None];
    assert_eq!(told, words.map(|word| (id, word)));
    let gone = world.ask("POST", &order("pause"), &[], Body::empty()).await;
    assert_eq!((gone.status, gone.code().as_str()), (503, "signalling_busy"));
    let unknown = world.ask("POST", "/v1/calls/x/recording/pause", &[], Body::empty()).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "unknown_call"));
}
