//! Calls and recordings.

use super::*;

#[tokio::test]
async fn calls_are_listed_filtered_and_paged() {
    let world = world(None);
    let ids: Vec<CallId> =
        (0..5).map(|n| world.call(n, Some(if n == 2 { Outcome::Busy } else { Outcome::Answered }))).collect();
    let mut seen = Vec::new();
    let mut path = "/v1/calls?limit=2".to_owned();
    loop {
        let page = world.get(&path).await.json();
        seen.extend(page["calls"].as_array().unwrap().iter().map(|call| call["call_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/calls?limit=2&cursor={cursor}");
    }
    let newest_first: Vec<String> = ids.iter().rev().map(CallId::to_string).collect();
    assert_eq!(seen, newest_first);
    for (query, wanted) in [
        ("outcome=busy", 1),
        ("outcome=failed", 0),
        ("caller=%2B447900000003", 1),
        ("q=0000004", 1),
        ("q=7946", 5),
        ("since=2026-11-21T10:02:00Z", 3),
        ("since=2026-11-21&until=2026-11-21", 5),
        ("until=2026-11-20", 0),
        ("pool=other", 0),
        ("attribution=none", 5),
    ] {
        let page = world.get(&format!("/v1/calls?{query}")).await.json();
        assert_eq!(page["calls"].as_array().unwrap().len(), wanted, "{query}");
    }
    let page = world.get("/v1/calls?q=7946&limit=2").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(cursor, ids[3].to_string(), "a search pages too");
    for query in ["outcome=great", "since=yesterday", "cursor=x", "limit=many", "in_progress=perhaps"] {
        assert_eq!(world.get(&format!("/v1/calls?{query}")).await.code(), "bad_parameter", "{query}");
    }
}

#[tokio::test]
async fn one_call_has_its_events_and_is_hung_up_only_while_it_lasts() {
    let world = world(None);
    let id = world.call(1, None);
    let call = world.get(&format!("/v1/calls/{id}")).await.json();
    assert_eq!(call["in_progress"], true);
    assert_eq!(call["events"][0]["type"], "leaseline.call.started");
    let live = world.get("/v1/calls/live").await.json();
    assert_eq!((&live["calls"][0]["call_id"], &live["calls"][0]["state"]), (&json!(id), &json!("calling")));
    assert_eq!(world.get("/v1/calls/live?pool=other").await.json()["calls"], json!([]));
    assert_eq!(world.ask("DELETE", &format!("/v1/calls/{id}"), &[], Body::empty()).await.status, 202);
    world.call(1, Some(Outcome::Answered));
    assert_eq!(world.get("/v1/calls/live").await.json()["calls"], json!([]));
    let ended = world.ask("DELETE", &format!("/v1/calls/{id}"), &[], Body::empty()).await;
    assert_eq!((ended.status, ended.code().as_str()), (409, "call_ended"));
    for unknown in [&"0".repeat(32), "live2", "%00"] {
        assert_eq!(world.get(&format!("/v1/calls/{unknown}")).await.code(), "unknown_call");
        let answer = world.ask("DELETE", &format!("/v1/calls/{unknown}"), &[], Body::empty()).await;
        assert_eq!(answer.status, 404);
    }
}

fn write_recording(world: &World, id: CallId, ending: &str, bytes: &[u8]) -> std::path::PathBuf {
    let folder = world.folder.path().join("data/recordings/2026/11/21");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{id}{ending}"));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn g08_a_recording_is_served_whole_and_in_ranges() {
    let world = world(None);
    let id = world.call(1, Some(Outcome::Answered));
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    write_recording(&world, id, ".wav", &bytes);
    let path = format!("/v1/calls/{id}/recording");
    let whole = world.get(&path).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "audio/wav"));
    assert_eq!(whole.header("content-disposition"), format!("inline; filename=\"{id}.wav\""));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.body == bytes);
    assert!(world.get(&format!("{path}?download=1")).await.header("content-disposition").starts_with("attachment"));
    let head = world.ask("HEAD", &path, &[], Body::empty()).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "200000", 0));

    let tag = whole.header("etag").to_owned();
    let part = world.ask("GET", &path, &[("range", "bytes=1000-1999")], Body::empty()).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 1000-1999/200000"));
    assert!(part.body == bytes[1_000..2_000]);
    let fresh = world.ask("GET", &path, &[("range", "bytes=-10"), ("if-range", &tag)], Body::empty()).await;
    assert!(fresh.status == 206 && fresh.body == bytes[199_990..]);
    let changed = world.ask("GET", &path, &[("range", "bytes=-10"), ("if-range", "\"old\"")], Body::empty()).await;
    assert_eq!((changed.status, changed.body.len()), (200, 200_000));
    let outside = world.ask("GET", &path, &[("range", "bytes=200000-")], Body::empty()).await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */200000"));
    assert_eq!(outside.code(), "range_not_satisfiable");
    // Of HEAD there are no ranges (RFC 9110 §14.2), and two headers are no range.
    let head = world.ask("HEAD", &path, &[("range", "bytes=0-99")], Body::empty()).await;
    assert_eq!((head.status, head.header("content-length"), head.header("content-range")), (200, "200000", ""));
    let twice = world.ask("GET", &path, &[("range", "bytes=0-9"), ("range", "bytes=20-29")], Body::empty()).await;
    assert_eq!((twice.status, twice.body.len()), (200, 200_000));
    // Row G08: no range at all, several that overlap, more than there can be (RFC 9110 §14.2: the whole, or none of it).
    for (range, status, length) in [
        ("bytes=9-1", 200, 200_000),
        ("bytes=0-99,50-149", 200, 200_000),
        ("bytes=--1", 200, 200_000),
        ("bytes=-1", 206, 1),
        ("bytes=18446744073709551616-", 416, 0),
        ("bytes=0-18446744073709551616", 206, 200_000),
        ("bytes=-18446744073709551616", 206, 200_000),
        ("bytes=-0", 416, 0),
    ] {
        let answer = world.ask("GET", &path, &[("range", range)], Body::empty()).await;
        assert_eq!(answer.status, status, "{range}");
        assert!(status == 416 || answer.body.len() == length, "{range}: {}", answer.body.len());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let known = world.ask("GET", &path, &[("if-none-match", &tag)], Body::empty()).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}

#[tokio::test]
async fn g07_a_growing_recording_and_a_link_are_not_served() {
    let world = world(None);
    let growing = world.call(1, None);
    write_recording(&world, growing, ".wav.part", b"RIFF");
    let answer = world.get(&format!("/v1/calls/{growing}/recording")).await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "recording_in_progress"));

    let linked = world.call(2, Some(Outcome::Answered));
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let path = write_recording(&world, linked, ".wav", b"");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(Path::new(&secret), &path).unwrap();
    let answer = world.get(&format!("/v1/calls/{linked}/recording")).await;
    assert!(answer.status >= 400 && !answer.body.windows(6).any(|w| w == b"secret"));

    let none = world.call(3, Some(Outcome::Busy));
    assert_eq!(world.get(&format!("/v1/calls/{none}/recording")).await.code(), "no_recording");
    assert_eq!(world.get("/v1/calls/..%2f..%2fsecret/recording").await.code(), "unknown_call");
}

#[tokio::test]
async fn what_was_said_is_shown_as_json_as_text_and_as_a_capture() {
    use crate::core::agent::Flow;
    use crate::ids::Side;
    use crate::io::signalling::Seen;

    let world = world(None);
    let id = world.call(0, Some(Outcome::Answered));
    let flow = |transport| Flow {
        transport,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.2:5070".parse().unwrap(),
        connection: 0,
        name: None,
    };
    let messages = &world.state.messages;
    messages.on_leg(id, Side::Caller, "a");
    messages.on_leg(id, Side::Company, "b");
    let say = |at, seen, transport, text: String| {
        messages.on_message(Wall(at), seen, &flow(transport), &text.into());
    };
    let invite = "INVITE sip:1@x SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n".to_owned();
    say(1_000_000, Seen::Received, rsip::Transport::Udp, invite);
    let busy = "SIP/2.0 486 Busy Here\r\nCall-ID: b\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".to_owned();
    say(1_250_000, Seen::Received, rsip::Transport::Tcp, busy);

    let ladder = world.get(&format!("/v1/calls/{id}/ladder")).await.json();
    let lines: Vec<_> =
        ladder["messages"].as_array().unwrap().iter().map(|m| (&m["side"], &m["line"], &m["sdp"])).collect();
    assert_eq!(
        lines,
        [
            (&json!("caller"), &json!("INVITE sip:1@x"), &json!(true)),
            (&json!("company"), &json!("486 Busy Here (INVITE)"), &json!(false)),
        ]
    );
    let text = world.get(&format!("/v1/calls/{id}/ladder?format=text")).await;
    assert!(text.header("content-type").starts_with("text/plain"));
    insta::assert_snapshot!(String::from_utf8(text.body).unwrap());

    let file = world.get(&format!("/v1/calls/{id}/trace")).await;
    assert_eq!(file.header("content-type"), "application/vnd.tcpdump.pcap");
    let capture = crate::wire::pcap::Capture::read(&file.body).unwrap();
    assert_eq!(capture.packets.len(), 2);
    assert_eq!(capture.packets[0].source, "192.0.2.2:5070".parse().unwrap());

    assert_eq!(world.get(&format!("/v1/calls/{id}/ladder?format=svg")).await.code(), "bad_parameter");
    let other = world.call(1, Some(Outcome::Answered));
    assert_eq!(world.get(&format!("/v1/calls/{other}/ladder")).await.code(), "messages_not_kept");
    assert_eq!(world.get(&format!("/v1/calls/{}/trace", CallId(5))).await.code(), "unknown_call");
}
