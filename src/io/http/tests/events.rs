//! The journal over HTTP.

use super::*;

#[tokio::test]
async fn events_are_read_from_a_cursor() {
    let world = world(None);
    for n in 0..5 {
        world.call(n, Some(Outcome::Answered));
    }
    let all = world.get("/v1/events").await;
    let seqs: Vec<u64> = all.json().as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert_eq!(all.json()[0]["specversion"], "1.0");
    assert_eq!(all.json()[0]["type"], "leaseline.call.ended");
    assert_eq!(all.header("leaseline-newest"), "5");
    let page = world.get("/v1/events?after=1&limit=2").await;
    assert_eq!(page.header("link"), "</v1/events?after=3>; rel=\"next\"");
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    let lines = world.ask("GET", "/v1/events?after=3", &[("accept", "application/x-ndjson")], Body::empty()).await;
    assert_eq!(
        (lines.header("content-type"), String::from_utf8(lines.body.clone()).unwrap().lines().count()),
        ("application/x-ndjson", 2)
    );
    assert_eq!(world.get("/v1/events?type=leaseline.call.").await.json().as_array().unwrap().len(), 5);
    let none = world.get("/v1/events?type=leaseline.lease.").await;
    assert_eq!((none.json(), none.header("link")), (json!([]), "</v1/events?after=5>; rel=\"next\""));
    assert_eq!(world.get("/v1/events?after=18446744073709551615").await.json(), json!([]));
}

#[tokio::test]
async fn a_stream_of_events_resumes_and_follows() {
    let world = world(None);
    world.call(1, Some(Outcome::Answered));
    world.call(2, Some(Outcome::Answered));
    let request = Request::get("/v1/events?after=0")
        .header("host", "localhost")
        .header("accept", "text/event-stream")
        .header("last-event-id", "1")
        .body(Body::empty())
        .unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    for wanted in ["id: 2\n", "id: 3\n"] {
        while !text.contains(wanted) {
            text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        if wanted == "id: 2\n" {
            assert!(!text.contains("id: 1\n"), "{text}");
            world.call(3, Some(Outcome::Answered));
        }
    }
    assert!(text.contains("data: {\"seq\":3,\"specversion\""), "{text}");
    world.state.closing.send_replace(true);
    while let Some(chunk) = stream.next().await {
        chunk.unwrap();
    }
}

#[tokio::test]
async fn streams_are_bounded() {
    let world = world(None);
    let mut open = Vec::new();
    for _ in 0..limits::HTTP_STREAMS {
        let request = Request::get("/v1/feed/leases").header("host", "localhost").body(Body::empty()).unwrap();
        open.push(world.router.clone().oneshot(request).await.unwrap());
    }
    let answer = world.get("/v1/feed/leases").await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "too_many_streams", "10"));
    open.clear();
    let request = Request::get("/v1/feed/leases").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(world.router.clone().oneshot(request).await.unwrap().status(), 200);
}
