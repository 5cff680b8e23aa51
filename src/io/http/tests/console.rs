//! The console's pages: each in every language, nothing of a caller as markup, nobody in without a right.

mod catalogue;
mod reports;

use super::*;
use crate::core::event::{
    AttributionKind, Candidate, Gap, MediaSummary, RecordingState, RecordingSummary, Session, SourceShare,
};
use crate::ids::Side;
use crate::wire::wav::{Format, Layout};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
/// What a caller or a page may send.
const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

impl World {
    async fn see(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut all = vec![BROWSER];
        all.extend_from_slice(headers);
        let answer = self.ask("GET", path, &all, Body::empty()).await;
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers =
            [BROWSER, ("content-type", "application/x-www-form-urlencoded"), ("origin", "http://127.0.0.1:8080")];
        self.ask("POST", path, &headers, body).await
    }

    /// A call with everything a call can have, every text of it hostile, and its recording on the disk.
    fn evil_call(&self) -> CallId {
        let mut data = call_data(7, Some(Outcome::Answered));
        let utm = ["source", "medium", "campaign", "term"].map(|key| (key.to_owned(), EVIL.to_owned()));
        data.caller_name = Some(EVIL.into());
        data.forwarded_to = Some(EVIL.into());
        data.reason = Some(EVIL.into());
        data.attribution = Attribution {
            kind: AttributionKind::Visitor,
            method: "active_lease".into(),
            confidence: 0.75,
            visitor_id: Some(EVIL.into()),
            session: Some(Arc::new(Session {
                landing_page: Some(EVIL.into()),
                referrer: Some(EVIL.into()),
                utm: utm.into(),
                click_ids: [(EVIL.to_owned(), EVIL.to_owned())].into(),
                ..Session::default()
            })),
            model: EVIL.into(),
            nobody: 0.2,
            contention: 2,
            sources: ["yandex", EVIL]
                .map(|source| SourceShare {
                    source: source.into(),
                    medium: String::new(),
                    campaign: EVIL.into(),
                    probability: 0.5,
                })
                .into(),
            candidates: vec![Candidate {
                visitor_id: EVIL.into(),
                probability: 0.75,
                evidence: vec!["left the page 5 min ago".into(), EVIL.into()],
            }],
            ..Attribution::default()
        };
        let (year, month, day) = data.started_at.date();
        let path = format!("recordings/{year:04}/{month:02}/{day:02}/{}.wav", data.call_id);
        let file = self.state.data_dir.join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut bytes = Layout::of(Format::PLAIN).header(8_000).to_vec();
        bytes.extend(std::iter::repeat_n([0, 0x20, 0, 0x40], 8_000).flatten());
        std::fs::write(file, bytes).unwrap();
        let gap = Gap { channel: Side::Company, at_ms: 100, for_ms: 200, cause: EVIL.into(), concealed: false };
        data.recording = Some(RecordingSummary {
            state: RecordingState::Degraded,
            path: Some(path),
            duration_ms: 1_000,
            gaps: vec![gap],
            ..RecordingSummary::default()
        });
        data.media = Some(MediaSummary::default());
        let id = data.call_id;
        self.tell(EventBody::CallEnded(Box::new(data)), &id.to_string());
        id
    }
}

/// Paths of all pages, filled in.
fn pages(call: CallId) -> Vec<String> {
    let routes = super::super::console::routes().into_iter().filter(|route| route.methods.contains(&"GET"));
    let fill = |path: &str| {
        let path = path.replace("{id}", &call.to_string()).replace("{name}", "acme-web").replace("{version}", "0");
        path.replace("{number}", "442079460000")
    };
    let mut pages: Vec<String> = routes.map(|route| fill(route.path)).filter(|path| !path.ends_with(".csv")).collect();
    for page in &mut pages {
        if page == "/install/checks" {
            page.push_str("?site=acme-site");
        }
    }
    pages.extend(
        [
            "/channels/new?pool=acme-web",
            "/channels/new?kind=static",
            "/catalogue/edit?part=pools&name=acme-web",
            "/catalogue/edit?part=pools&name=acme-web&as=text",
            "/catalogue/edit?part=pools",
            "/catalogue/edit?part=sites&name=acme-site",
            "/catalogue/edit?part=tracking&name=acme",
            "/catalogue/edit?part=companies&name=acme",
            "/catalogue/edit?part=companies",
            "/calls?col=term&col=region&q=4479",
            "/events?kind=audit",
        ]
        .map(str::to_owned),
    );
    pages
}

#[tokio::test]
async fn every_page_renders_in_every_language_and_is_a_whole_page() {
    let world = world_changing(CONFIG);
    world.lease("v-1").await;
    let call = world.evil_call();
    for page in pages(call) {
        for (lang, theme) in [("en", "light"), ("ru", "dark")] {
            let cookie = format!("leaseline_lang={lang}; leaseline_theme={theme}");
            let (status, text) = world.see(&page, &[("cookie", &cookie)]).await;
            assert_eq!(status, 200, "{page}: {text}");
            for part in ["<!DOCTYPE html>", "<title>", "<main ", "<nav ", "<header ", "class=\"skip\"", "</html>"] {
                assert!(text.contains(part), "{page} has no {part}");
            }
            assert!(text.contains(&format!("<html lang=\"{lang}\" data-theme=\"{theme}\">")), "{page}");
            assert_eq!(text.matches("<h1").count(), 1, "{page}");
            let ids = text.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            let mut seen = std::collections::BTreeSet::new();
            ids.for_each(|id| assert!(seen.insert(id.to_owned()), "{page}: id {id} stands twice"));
            for inline in [" style=", "<style", " onclick=", "javascript:"] {
                assert!(!text.contains(inline), "{page} has {inline}");
            }
        }
    }
}

#[tokio::test]
async fn i01_what_callers_and_pages_send_is_text_everywhere() {
    let world = world_changing(CONFIG);
    world
        .page(
            "/v1/leases",
            json!({ "site": "acme-site", "visitor_id": "v-1", "session": { "landing_page": EVIL, "utm": {
        "source": EVIL, "campaign": EVIL } } })
            .to_string(),
        )
        .await;
    let call = world.evil_call();
    let mut shown = 0;
    let asked = url::form_urlencoded::byte_serialize(EVIL.as_bytes()).collect::<String>();
    let more = ["/calls?source=", "/calls?q=", "/numbers?pool=", "/sign-in?next=", "/planner?price=", "/nothing?x="];
    for page in pages(call).into_iter().chain(more.map(|page| format!("{page}{asked}"))) {
        let (_, text) = world.see(&page, &[]).await;
        assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{page}");
        shown += text.matches("&lt;script&gt;alert(1)").count();
    }
    assert!(shown > 10, "the texts are there: {shown}");
    let csv = world.get("/calls.csv").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"));
}

#[tokio::test]
async fn a_stranger_is_sent_to_sign_in_and_a_program_is_told_so() {
    let world = world(Some(TOKEN));
    for route in super::super::console::routes() {
        let path = route.path.replace("{id}", &"0".repeat(32)).replace("{name}", "x").replace("{version}", "0");
        let path = path.replace("{number}", "1");
        for method in route.methods.iter().filter(|_| route.access != Access::Open) {
            let answer = world.ask(method, &path, &[BROWSER], Body::empty()).await;
            let wanted = if *method == "GET" { 303 } else { 401 };
            assert_eq!(answer.status, wanted, "{method} {path}");
            assert_eq!(world.ask(method, &path, &[], Body::empty()).await.code(), "token_required");
        }
    }
    let answer = world.ask("GET", "/calls?since=2026-11-22", &[BROWSER], Body::empty()).await;
    assert_eq!(answer.header("location"), "/sign-in?next=%2Fcalls%3Fsince%3D2026-11-22");
    let (status, text) = world.see("/sign-in?next=//evil.example", &[]).await;
    assert_eq!(status, 200);
    assert!(
        text.contains("name=\"next\" value=\"/\"") && !text.contains("test-1"),
        "the node's name is nobody's business"
    );
    let bearer = format!("Bearer {TOKEN}");
    let (status, text) = world.see("/calls/0", &[("authorization", &bearer)]).await;
    assert_eq!(status, 404);
    assert!(text.contains("There is no such call") && text.contains("<nav "), "{text}");
}

#[tokio::test]
async fn language_and_theme_are_kept_in_cookies() {
    let world = world(None);
    let answer = world.send("/preferences", &[("lang", "ru"), ("back", "/calls?since=2026-11-22")]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/calls?since=2026-11-22"));
    assert!(answer.header("set-cookie").starts_with("leaseline_lang=ru; Path=/; Max-Age=31536000; HttpOnly"));
    let nonsense = world.send("/preferences", &[("lang", "xx"), ("theme", "x\r\ny"), ("back", "//evil.example")]).await;
    assert_eq!((nonsense.header("location"), nonsense.header("set-cookie")), ("/", ""));
    assert!(world.see("/", &[("accept-language", "ru-RU,ru;q=0.9")]).await.1.contains("Обзор"));
    assert!(world.see("/", &[("accept-language", "ru"), ("cookie", "leaseline_lang=en")]).await.1.contains("Overview"));
}

#[tokio::test]
async fn c08_the_card_has_the_player_with_both_voices_gaps_and_speed() {
    let world = world(None);
    let call = world.evil_call();
    let (_, text) = world.see(&format!("/calls/{call}"), &[]).await;
    assert!(text.contains(&format!("src=\"/v1/calls/{call}/recording\"")));
    for part in [
        "<path class=\"caller\" d=\"M0.5",
        "<path class=\"company\" d=\"M0.5",
        "class=\"gap\"",
        "data-speed",
        "data-seek=\"100\"",
        "player.js",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(text.contains("left the page 5 min ago"));
    let (_, russian) = world.see(&format!("/calls/{call}"), &[("cookie", "leaseline_lang=ru")]).await;
    assert!(russian.contains("ушёл со страницы 5 мин назад"));
    let events = world.get("/v1/events").await.json().to_string();
    assert!(!events.contains("recording.played"), "who looks has not listened");
}

#[tokio::test]
async fn p18_the_wizard_makes_a_channel_in_five_steps() {
    let world = world_changing(CONFIG);
    let answers = |step: &'static str, more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("step", step), ("kind", "dynamic"), ("site", "acme-site"), ("name", "direct")];
        fields.extend_from_slice(more);
        fields
    };
    let text = |answer: &Answer| String::from_utf8_lossy(&answer.body).into_owned();
    let refused = world.send("/channels/new", &[("step", "0"), ("kind", "dynamic"), ("name", "acme-web")]).await;
    assert_eq!(refused.status, 422);
    assert!(
        text(&refused).contains("A pool of this name is there already.") && text(&refused).contains("needs a site")
    );
    let two = world.send("/channels/new", &answers("0", &[])).await;
    assert!(
        text(&two).contains("name=\"traffic\"")
            && text(&two).contains("yandex_direct")
            && text(&two).contains("utm_source")
    );
    let traffic = [("mode", "standard"), ("traffic", "yandex_direct")];
    let three = world.send("/channels/new", &answers("1", &traffic)).await;
    assert!(text(&three).contains("name=\"numbers\"") && text(&three).contains("value=\"yandex_direct\""));
    let with = |numbers: &'static str| [traffic[0], traffic[1], ("country", "GB"), ("numbers", numbers)];
    let bad = world.send("/channels/new", &answers("2", &with("twelve\n+442079460001"))).await;
    assert_eq!(bad.status, 422);
    assert!(text(&bad).contains("no phone number: twelve") && text(&bad).contains("+442079460001 is in another pool"));
    let good = with("020 7946 0010, +44 20 7946 0011; (020) 7946-0010");
    let four = world.send("/channels/new", &answers("2", &good)).await;
    assert!(text(&four).contains("2 numbers") && text(&four).contains("1 was written twice"), "{}", text(&four));
    let mut last = good.to_vec();
    last.push(("hold", "30m"));
    let made = world.send("/channels/new", &answers("3", &last)).await;
    assert_eq!((made.status, made.header("location")), (303, "/channels/new?pool=direct"), "{}", text(&made));
    let config = world.state.config.load();
    let pool = config.pools.iter().find(|pool| pool.name == "direct").unwrap();
    let numbers: Vec<&str> = pool.numbers.iter().map(E164::as_str).collect();
    assert_eq!(numbers, ["+442079460010", "+442079460011"]);
    assert_eq!(pool.rules.traffic.len(), 1);
    let five = world.see("/channels/new?pool=direct", &[]).await.1;
    assert!(five.contains("data-site=&quot;acme-site&quot;") && five.contains("data-poll="));
}

#[tokio::test]
async fn r07_the_install_check_follows_what_happens() {
    let world = world(None);
    let done = async || {
        let text = world.see("/install/checks?site=acme-site&fragment=1", &[]).await.1;
        assert!(!text.contains("<html"), "only the list");
        text.split("<p class=\"soft\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned()
    };
    assert_eq!(done().await, "0 of 6");
    let lease = world.lease("v-1").await;
    assert_eq!(done().await, "2 of 6", "snippet and numbers");
    let id = lease["lease_id"].as_str().unwrap();
    assert_eq!(world.page(&format!("/v1/leases/{id}/signal"), r#"{"signal":"tel_tap"}"#).await.status, 204);
    assert_eq!(done().await, "3 of 6", "tap");
    world.evil_call();
    assert_eq!(done().await, "5 of 6", "call and recording");
    let page = world.see("/install", &[]).await.1;
    assert!(page.contains("leaseline.js") && page.contains("data-site=&quot;acme-site&quot;"));
}

#[tokio::test]
async fn the_catalogue_is_changed_after_its_diff_and_can_go_back() {
    let world = world_changing(CONFIG);
    let page = world.see("/catalogue/edit?part=pools&name=acme-billboard", &[]).await.1;
    let tag = page.split("name=\"tag\" value=\"").nth(1).unwrap().split('"').next().unwrap().replace("&quot;", "\"");
    let entry = r#"{"name":"acme-billboard","company":"acme","kind":"static","numbers":["+442079460501"],"channel":{"source":"<b>"}}"#;
    let edit = [("part", "pools"), ("name", "acme-billboard"), ("tag", tag.as_str())];
    let broken = world.send("/catalogue/diff", &[edit[0], edit[1], edit[2], ("json", "{")]).await;
    assert_eq!(broken.status, 422);
    let diff = world.send("/catalogue/diff", &[edit[0], edit[1], edit[2], ("json", entry)]).await;
    let text = String::from_utf8(diff.body).unwrap();
    assert!(text.contains("+442079460501") && text.contains("class=\"diff\"") && !text.contains("<b>"), "{text}");
    let json = text.split("name=\"json\"").nth(1).and_then(|rest| rest.split_once('>')).map(|(_, rest)| {
        let raw = rest.split("</textarea").next().unwrap_or_default();
        raw.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    });
    let saved = world.send("/catalogue/save", &[("tag", &tag), ("json", &json.unwrap()), ("note", "a test")]).await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (303, "/catalogue?saved=1"),
        "{:?}",
        String::from_utf8_lossy(&saved.body)
    );
    let page = world.see("/catalogue?saved=1", &[]).await.1;
    assert!(page.contains("a test") && page.contains("+442079460501"));
    let stale = world.send("/catalogue/save", &[("tag", &tag), ("json", "{}")]).await;
    assert_eq!(stale.status, 412, "somebody was quicker");
    let back = world.see("/catalogue/versions/0", &[]).await.1;
    assert!(back.contains("+442079460500"), "what going back would change");
    let now = back.split("name=\"tag\" value=\"").nth(1).unwrap().split('"').next().unwrap().replace("&quot;", "\"");
    let rolled = world.send("/catalogue/rollback", &[("to", "0"), ("tag", &now)]).await;
    assert_eq!(rolled.status, 303);
    assert!(!world.see("/catalogue", &[]).await.1.contains("+442079460501 "));
}
