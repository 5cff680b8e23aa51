//! What connectors of CallRail ask, and what they read.

use super::*;

#[tokio::test]
async fn a_connector_of_callrail_reads_pages_fields_and_sums() {
    let world = world(None);
    for n in 1..=3_u128 {
        let call = CallData {
            company: "acme".into(),
            pool: "acme-web".into(),
            caller: Some(format!("+4420794601{n:02}")),
            outcome: Some(Outcome::Answered),
            answered_at: Some(Wall(1_790_000_005_000_000)),
            ended_at: Some(Wall(1_790_000_065_000_000)),
            talk_ms: 60_000,
            ..CallData::new(
                CallId(n),
                E164::parse("+442079460000").unwrap(),
                Attribution::default(),
                Wall(1_790_000_000_000_000 + i64::try_from(n).unwrap()),
            )
        };
        let event = Event {
            time: Wall(1_790_000_066_000_000),
            subject: CallId(n).to_string(),
            body: EventBody::CallEnded(Box::new(call)),
        };
        world.state.journal.append(event);
    }
    assert!(world.state.journal.flush(Duration::from_secs(10)));
    let page = world.get("/v3/a/1/calls.json?per_page=2&fields=source,first_call,no_such&answered=true").await.json();
    assert_eq!((&page["total_records"], &page["total_pages"], &page["page"]), (&json!(3), &json!(2), &json!(1)));
    let first = &page["calls"][0];
    assert_eq!(
        (&first["id"], &first["answered"], &first["direction"]),
        (&json!(CallId(3)), &json!(true), &json!("inbound"))
    );
    assert_eq!((&first["first_call"], &first["no_such"]), (&json!(true), &Value::Null));
    assert!(first.get("duration").is_some() && first.get("gclid").is_none(), "{first}");
    let rest = world.get("/v3/a/1/calls.json?per_page=2&page=2").await.json();
    assert_eq!(rest["calls"].as_array().unwrap().len(), 1);
    // By cursor, as newer connectors do.
    let relative = world.get("/v3/a/1/calls.json?per_page=2&relative_pagination=true").await.json();
    assert_eq!((relative["has_next_page"].clone(), relative["calls"].as_array().unwrap().len()), (json!(true), 2));
    let next = world.get(relative["next_page"].as_str().unwrap()).await.json();
    assert_eq!((next["has_next_page"].clone(), next["calls"].as_array().unwrap().len()), (json!(false), 1));
    let one = world.get(&format!("/v3/a/1/calls/{}.json?fields=tags", CallId(1))).await.json();
    assert_eq!((&one["id"], &one["tags"]), (&json!(CallId(1)), &json!([])));
    let summary = world.get("/v3/a/1/calls/summary.json?group_by=source").await.json();
    assert_eq!(summary["total_results"]["total_calls"], 3);
    let days = world.get("/v3/a/1/calls/timeseries.json").await.json();
    assert_eq!(days["data"][0]["total_calls"], 3);
    assert_eq!(world.get("/v3/a/1/calls.json?direction=outbound").await.json()["calls"], json!([]));
    for bad in ["calls.json?page=0", "calls.json?start_date=soon", "calls/summary.json?group_by=moon"] {
        assert_eq!(world.get(&format!("/v3/a/1/{bad}")).await.status, 400, "{bad}");
    }
    assert_eq!(world.get("/v3/a/1/calls/nobody.json").await.status, 404);
    assert_eq!(world.get(&format!("/v3/a/1/calls/{}/recording.json", CallId(1))).await.status, 404);
}
