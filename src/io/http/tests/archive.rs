//! Who hears, holds and erases.

use super::*;

const USERS: &str = "a-long-random-text-for-tests\"\n[[http.user]]\nname = \"anna\"\ntoken = \"anna's-own";

/// A call with its recording and sidecar on the disk.
fn recorded(world: &World, minute: u64) -> CallId {
    let id = world.call(minute, Some(Outcome::Answered));
    let folder = world.folder.path().join("data/recordings/2026/11/21");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{id}.wav")), vec![7; 1_000]).unwrap();
    let sidecar = json!({ "call_id": id, "caller": format!("+4479000000{minute:02}"), "company": "acme",
        "attribution": { "visitor_id": "v1" }, "recording": { "sha256": "00" } });
    std::fs::write(folder.join(format!("{id}.json")), sidecar.to_string()).unwrap();
    id
}

/// `data` of the events of a kind, as they stand in the journal.
fn told(world: &World, kind: &str) -> Vec<Value> {
    assert!(world.state.journal.flush(Duration::from_secs(10)));
    let records = world.state.journal.read(0, 1_000).unwrap();
    let events = records.iter().map(|record| serde_json::from_str::<Value>(&record.event).unwrap());
    events.filter(|event| event["type"] == format!("leaseline.recording.{kind}")).map(|e| e["data"].clone()).collect()
}

#[tokio::test]
async fn who_hears_a_recording_stands_in_the_journal() {
    let world = world(Some(USERS));
    let id = recorded(&world, 1);
    let path = format!("/v1/calls/{id}/recording");
    let anna = ("authorization", "Bearer anna's-own");
    assert_eq!(world.get(&path).await.code(), "token_required");
    assert_eq!(told(&world, "played"), Vec::<Value>::new(), "who may not hear it has not heard it");

    let answer = world.ask("GET", &format!("{path}?reason=complaint%207"), &[anna], Body::empty()).await;
    assert_eq!((answer.status, answer.body.len()), (200, 1_000));
    let heard = told(&world, "played");
    assert_eq!(heard.len(), 1);
    let wanted = json!({ "call_id": id, "by": "anna", "address": "127.0.0.1", "reason": "complaint 7" });
    assert_eq!(heard[0], wanted);
    // A player's further pieces are the same hearing; a head or a file that is known already is none.
    for range in ["bytes=0-99", "bytes=100-"] {
        assert_eq!(world.ask("GET", &path, &[anna, ("range", range)], Body::empty()).await.status, 206);
    }
    world.ask("HEAD", &path, &[anna], Body::empty()).await;
    assert_eq!(told(&world, "played").len(), 1);
    // Somebody else's is another.
    let token = format!("Bearer {TOKEN}");
    let header = [("authorization", token.as_str()), ("x-reason", "audit")];
    assert_eq!(world.ask("GET", &format!("{path}?download=1"), &header, Body::empty()).await.status, 200);
    let heard = told(&world, "played");
    assert_eq!(
        (&heard[1]["by"], &heard[1]["reason"], &heard[1]["download"]),
        (&json!("token"), &json!("audit"), &json!(true))
    );
    let long = format!("{path}?reason={}", "x".repeat(501));
    assert_eq!(world.ask("GET", &long, &[anna], Body::empty()).await.code(), "bad_parameter");
}

#[tokio::test]
async fn an_encrypted_recording_is_played_where_the_identity_is() {
    use age::secrecy::ExposeSecret as _;
    let identity = age::x25519::Identity::generate();
    let recipients = crate::io::recordings::Recipients::parse(&[identity.to_public().to_string()]).unwrap();
    for known in [false, true] {
        let world = world(None);
        let id = world.call(1, Some(Outcome::Answered));
        let folder = world.folder.path().join("data/recordings/2026/11/21");
        std::fs::create_dir_all(&folder).unwrap();
        let frames = 50_000;
        let mut plain = crate::wire::wav::header(frames * 4).to_vec();
        plain.extend((0..frames * 4).map(|n| (n % 251) as u8));
        std::fs::write(folder.join(format!("{id}.wav.part")), &plain).unwrap();
        crate::io::recordings::repair(&world.folder.path().join("data"), &recipients);
        let path = format!("/v1/calls/{id}/recording");
        if !known {
            let answer = world.get(&path).await;
            assert_eq!((answer.status, answer.code().as_str()), (409, "recording_encrypted"));
            assert_eq!(told(&world, "played"), Vec::<Value>::new());
            continue;
        }
        let file = world.folder.path().join("identity.txt");
        std::fs::write(&file, identity.to_string().expose_secret()).unwrap();
        let mut config = Config::clone(&world.state.config.load());
        config.recording.keep.identity_file = Some(file);
        world.state.config.store(Arc::new(config));
        let whole = world.get(&path).await;
        assert_eq!((whole.status, whole.header("content-length")), (200, "200044"));
        assert!(whole.body == plain);
        let part = world.ask("GET", &path, &[("range", "bytes=65530-140000")], Body::empty()).await;
        assert!(part.status == 206 && part.body == plain[65_530..140_001]);
        assert_eq!(told(&world, "played").len(), 1);
        // Without its key nobody opens it.
        let erasure = json!({ "call_id": id, "why": "art. 17" }).to_string();
        let encrypted = folder.join(format!("{id}.wav.age"));
        let copy = std::fs::read(&encrypted).unwrap();
        assert_eq!(world.ask("POST", "/v1/erasures", &[], erasure).await.json()["erased"], json!([id]));
        std::fs::write(&encrypted, copy).unwrap();
        assert_eq!(world.get(&path).await.code(), "recording_encrypted", "a copy that came back is of no use");
    }
}

#[tokio::test]
async fn a_user_signs_in_by_their_own_token() {
    let world = world(Some(USERS));
    let answer = world.ask("POST", "/session", &[("authorization", "Bearer anna's-own")], Body::empty()).await;
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let id = recorded(&world, 1);
    let path = format!("/v1/calls/{id}/recording");
    assert_eq!(world.ask("GET", &path, &[("cookie", &cookie)], Body::empty()).await.status, 200);
    assert_eq!(told(&world, "played")[0]["by"], "anna");
    let bad = world.ask("POST", "/session", &[("authorization", "Bearer anna's")], Body::empty()).await;
    assert_eq!(bad.code(), "wrong_token");
}

#[tokio::test]
async fn erased_by_caller_except_what_is_held() {
    let world = world(None);
    let (first, second) = (recorded(&world, 1), recorded(&world, 2));
    let hold = format!("/v1/calls/{first}/hold");
    let why = json!({ "why": "case 7" }).to_string();
    assert_eq!(world.ask("POST", &hold, &[], why.clone()).await.status, 204);
    assert_eq!(told(&world, "held"), [json!({ "call_id": first, "by": "local", "why": "case 7" })]);

    let erase = async |body: Value| world.ask("POST", "/v1/erasures", &[], body.to_string()).await;
    let dry = erase(json!({ "visitor_id": "v1", "why": "art. 17", "dry_run": true })).await.json();
    assert_eq!((&dry["erased"], &dry["held"]), (&json!([second]), &json!([first])));
    assert_eq!(world.get(&format!("/v1/calls/{second}/recording")).await.status, 200);
    let done = erase(json!({ "caller": "+447900000002", "why": "art. 17" })).await.json();
    assert_eq!((&done["erased"], &done["held"]), (&json!([second]), &json!([])));
    let gone = world.get(&format!("/v1/calls/{second}/recording")).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "recording_erased"));
    assert_eq!(
        (&told(&world, "erased")[0]["by"], &told(&world, "erased")[0]["why"]),
        (&json!("local"), &json!("art. 17"))
    );
    assert_eq!(erase(json!({ "call_id": first, "why": "x" })).await.json()["held"], json!([first]));

    assert_eq!(world.ask("DELETE", &format!("{hold}?why=closed"), &[], Body::empty()).await.status, 204);
    assert_eq!(world.ask("DELETE", &hold, &[], Body::empty()).await.code(), "not_held");
    assert_eq!(erase(json!({ "call_id": first, "why": "x" })).await.json()["erased"], json!([first]));
    assert_eq!(world.ask("POST", &hold, &[], why).await.code(), "no_recording");
    for bad in [
        json!({ "why": "x" }),
        json!({ "why": "x", "caller": "nobody" }),
        json!({ "why": "x", "visitor_id": "v", "caller": "+44" }),
    ] {
        assert_eq!(erase(bad).await.code(), "bad_subject");
    }
    for bad in
        [json!({ "caller": "+44" }), json!({ "caller": "+44", "why": " " }), json!({ "caller": "+44", "why": "a\nb" })]
    {
        assert_eq!(erase(bad).await.status, 400);
    }
}
