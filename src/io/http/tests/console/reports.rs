//! The screens of reports: the figures of the API, as a person reads them, and who may see which.

use super::*;
use crate::core::credit::Model;
use crate::core::event::keeper::{CountedData, GrownData, KeeperEvent};
use crate::core::event::work::{CostImportData, CostRow, ScoredData, ValuedData, WorkEvent};
use crate::core::rights::Role;
use crate::io::clock;

/// The day of all calls here.
const DAY: &str = "since=2026-11-21&until=2026-11-21";

impl World {
    /// A screen about the day of the calls.
    async fn screen(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        let (status, text) = self.see(&format!("{path}{mark}{DAY}"), &[]).await;
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    /// The same of the API.
    async fn report(&self, name: &str, more: &str) -> Value {
        let answer = self.get(&format!("/v1/reports/{name}?{DAY}{more}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A call from a source that is known.
    fn call_from(
        &self,
        minute: u64,
        [source, medium, campaign]: [&str; 3],
        change: impl FnOnce(&mut CallData),
    ) -> CallId {
        let mut data = call_data(minute, Some(Outcome::Answered));
        let utm = [("source", source), ("medium", medium), ("campaign", campaign)];
        let utm = utm.map(|(key, value)| (key.to_owned(), value.to_owned()));
        data.attribution = Attribution {
            kind: AttributionKind::Visitor,
            confidence: 0.9,
            visitor_id: Some(format!("v-{minute}")),
            session: Some(Arc::new(Session { utm: utm.into(), ..Session::default() })),
            caller_region: Some("GB-LND".into()),
            candidates: vec![Candidate { visitor_id: format!("v-{minute}"), probability: 0.9, evidence: Vec::new() }],
            ..Attribution::default()
        };
        change(&mut data);
        let id = data.call_id;
        self.tell(EventBody::CallEnded(Box::new(data)), &id.to_string());
        id
    }

    fn told_work(&self, event: WorkEvent) {
        self.tell(EventBody::Work(Box::new(event)), "work");
    }

    /// Five calls of two sources, two of them missed; a cost, a deal.
    fn some_calls(&self) {
        let kitchens = ["yandex", "cpc", "kitchens"];
        let first = self.call_from(1, kitchens, |call| call.talk_ms = 90_000);
        self.call_from(2, kitchens, |call| call.caller = Some("+447900000001".into()));
        self.call_from(3, ["yandex", "cpc", "doors"], |call| call.outcome = Some(Outcome::NoAnswer));
        self.call_from(4, ["newsletter", "email", "april"], |_| {});
        self.call_from(5, ["newsletter", "email", "april"], |call| {
            (call.outcome, call.caller) = (Some(Outcome::Busy), None);
        });
        let cost = CostRow {
            day: "2026-11-21".into(),
            source: "yandex".into(),
            medium: "cpc".into(),
            campaign: "kitchens".into(),
            cost: 20_000,
            currency: "EUR".into(),
            ..CostRow::default()
        };
        let import =
            CostImportData { import_id: "i".into(), by: "anna".into(), company: "acme".into(), rows: vec![cost] };
        self.told_work(WorkEvent::CostImported(import));
        self.told_work(WorkEvent::Valued(ValuedData {
            call_id: first,
            company: "acme".into(),
            by: "crm".into(),
            deal_id: Some("d1".into()),
            stage: Some("won".into()),
            value: 100_000,
            currency: "EUR".into(),
        }));
    }
}

/// Cells of the rows of all tables, as text; heads and bodies.
fn rows(page: &str) -> Vec<Vec<String>> {
    let text = |cell: &str| {
        let mut out = String::new();
        let mut in_tag = false;
        for c in cell.chars() {
            match c {
                '<' => in_tag = true,
                '>' => in_tag = false,
                c if !in_tag => out.push(c),
                _ => {}
            }
        }
        out.trim().to_owned()
    };
    let cells = |row: &str| {
        let row = row.split("</tr>").next().unwrap_or_default();
        let cells = row.split_inclusive("</t").filter(|cell| cell.contains("<th") || cell.contains("<td"));
        cells
            .map(|cell| {
                let at = cell.find("<th").or_else(|| cell.find("<td")).unwrap();
                text(cell[at..].trim_end_matches("</t"))
            })
            .collect::<Vec<_>>()
    };
    page.split("<tr>").skip(1).map(cells).collect()
}

fn row(page: &str, name: &str) -> Vec<String> {
    let all = rows(page);
    // A picture has its figures as a table, too, with fewer columns.
    let found = all.iter().filter(|row| row.first().is_some_and(|cell| cell == name)).max_by_key(|row| row.len());
    found.unwrap_or_else(|| panic!("no row {name} in {all:?}")).clone()
}

/// The figure of a tile.
fn tile(page: &str, label: &str) -> String {
    let tile = page.split("<div class=\"tile\">").skip(1).find(|tile| {
        let head = tile.split("</dt>").next().unwrap_or_default();
        head.split('>').any(|part| part.split('<').next() == Some(label))
    });
    let tile = tile.unwrap_or_else(|| panic!("no tile {label}"));
    let figure = tile.split("<span class=\"figure\">").nth(1).and_then(|rest| rest.split('<').next());
    figure.unwrap().to_owned()
}

/// C5: the four columns of every channel, and conversion; the figures are those of the API.
#[tokio::test]
async fn c05_channels_have_their_four_columns_and_the_conversion() {
    let world = world(None);
    world.some_calls();
    let page = world.screen("/channels").await;
    let head = rows(&page).remove(0);
    let wanted =
        ["Source", "Unique visitors", "Callers", "Qualified calls", "All calls", "Conversioncallers ÷ visitors"];
    assert_eq!(head, wanted);
    let answer = world.report("sources", "").await;
    for of in answer["rows"].as_array().unwrap().iter().filter(|of| of["calls"] != 0) {
        let cells = row(&page, of["name"].as_str().unwrap());
        for (at, key) in ["unique_visitors", "callers", "quality_calls", "calls"].iter().enumerate() {
            assert_eq!(cells[at + 1], of[*key].to_string(), "{key} of {cells:?}");
        }
    }
    assert_eq!(row(&page, "yandex")[2..5], ["2", "1", "3"].map(str::to_owned));
    assert_eq!(row(&page, "Total")[4], "5");
    let by_pool = world.screen("/channels?by=pool").await;
    assert_eq!(row(&by_pool, "acme-web")[4], "5", "P9: a pool has its name in reports");
}

/// R1: from source down to keyword, and the way back.
#[tokio::test]
async fn r01_sources_are_opened_level_by_level() {
    let world = world(None);
    world.some_calls();
    let top = world.screen("/sources").await;
    assert!(top.contains("source=yandex\""), "a link down");
    let below = world.screen("/sources?source=yandex&medium=cpc").await;
    assert_eq!((row(&below, "kitchens")[4].as_str(), row(&below, "doors")[4].as_str()), ("2", "1"));
    assert!(
        below.contains("All sources")
            && below.contains("medium=cpc&amp;since=2026-11-21&amp;until=2026-11-21&amp;campaign=doors")
    );
    assert!(!below.contains("newsletter"));
    let csv =
        format!("/v1/reports/sources?format=csv&amp;{}&amp;source=yandex&amp;medium=cpc", DAY.replace('&', "&amp;"));
    assert!(below.contains(&csv), "the same rows as a file");
    let file = world.get(&csv.replace("&amp;", "&")).await;
    assert_eq!((file.status, file.header("content-type")), (200, "text/csv; charset=utf-8"));
}

/// R2: ROI and ROMI with their formulas beside the figures.
#[tokio::test]
async fn r02_costs_and_revenue_stand_with_their_formulas() {
    let world = world(None);
    world.some_calls();
    let page = world.screen("/sources?margin=0.5").await;
    for how in [
        "ROI<small>(revenue − cost) ÷ cost",
        "ROMI<small>(revenue × margin − cost) ÷ cost",
        "CPL<small>cost ÷ leads",
        "CAC<small>cost ÷ deals",
    ] {
        assert!(page.contains(how), "{how}");
    }
    let all = rows(&page);
    let bills = all.iter().find(|row| row[0] == "yandex" && row.len() == 9).unwrap();
    let figures = bills.iter().map(|cell| cell.replace(['\u{a0}', '\u{202f}'], " ")).collect::<Vec<_>>();
    let wanted = ["yandex", "200.00", "1", "200.00", "1", "200.00", "1,000", "400 %", "150 %"];
    assert_eq!(figures, wanted);
    let none = world.see("/sources?since=2026-10-01&until=2026-10-02", &[]).await.1;
    assert!(none.contains("Nothing happened in this time."));
}

/// R3: the same calls by every model; whatever the model, the credit adds up to the conversions.
#[tokio::test]
async fn r03_models_stand_side_by_side_and_can_be_compared() {
    let world = world(None);
    world.some_calls();
    let page = world.screen("/models?look_back=7").await;
    let answer = world.report("models", "&look_back=7").await;
    let total = row(&page, "Total");
    assert_eq!(total.len(), 1 + Model::ALL.len());
    for cell in &total[1..] {
        assert_eq!(*cell, format!("{}.0", answer["conversions"]), "{total:?}");
    }
    assert!(page.contains("Half as much for every seven days"), "each with its rule");
    let sources = world.screen("/sources?model=first&against=linear").await;
    assert!(sources.contains("Credit<small>First visit") && sources.contains("Difference<small>to Linear"));
    assert_eq!(row(&sources, "Total")[9], "0.0", "models only share out");
}

/// R8: what it was in as many days before.
#[tokio::test]
async fn r08_the_period_stands_beside_the_one_before() {
    let world = world(None);
    world.some_calls();
    let page = world.see("/sources?since=2026-11-22&until=2026-11-22", &[]).await.1;
    assert!(page.contains("before: 5 (−100\u{202f}%)") && page.contains("Nothing happened in this time."));
    assert!(page.contains("22 Nov, compared with 21 Nov."));
    let overview = world.see("/?since=2026-11-22&until=2026-11-22", &[]).await.1;
    assert_eq!(tile(&overview, "Calls"), "0");
    assert!(overview.contains("before: 5 (−100\u{202f}%)"));
}

/// C3: which call of its caller each was.
#[tokio::test]
async fn c03_first_and_repeat_calls_are_told_apart() {
    let world = world(None);
    world.some_calls();
    let page = world.screen("/repeat").await;
    let tiles = ["All calls", "First calls", "Repeat calls", "Withheld", "Callers"].map(|label| tile(&page, label));
    assert_eq!(tiles, ["5", "3", "1", "1", "3"]);
    assert_eq!(
        (row(&page, "1")[1].as_str(), row(&page, "2")[1].as_str(), row(&page, "10+")[1].as_str()),
        ("3", "1", "0")
    );
    assert_eq!(row(&page, "21 Nov")[1..], ["3", "1", "1"].map(str::to_owned));
}

/// C10: missed calls by hour, who was called back, by agent; and the overview of it.
#[tokio::test]
async fn c10_missed_calls_agents_and_hours_are_watched() {
    let world = world(None);
    world.some_calls();
    let scored = ScoredData {
        call_id: world.call_from(6, ["a", "b", "c"], |_| {}),
        company: "acme".into(),
        by: "anna".into(),
        agent: None,
        card: [("greeting".to_owned(), 80)].into(),
        score: 80,
    };
    world.told_work(WorkEvent::Scored(scored));
    let missed = world.screen("/missed").await;
    assert_eq!(tile(&missed, "Missed calls"), "2");
    assert_eq!((tile(&missed, "Not called back"), tile(&missed, "Withheld numbers")), ("1".into(), "1".into()));
    assert_eq!(missed.matches("class=\"row\" href=\"/calls/").count(), 2, "links to the cards");
    let waiting = world.screen("/missed?waiting=1").await;
    assert_eq!(waiting.matches("class=\"row\" href=\"/calls/").count(), 1);
    // Whoever waits is marked as called back where the list is.
    assert_eq!(missed.matches("/called-back\"").count(), 1);
    assert!(waiting.contains("name=\"back\" value=\"/missed?waiting=1&amp;"), "{waiting}");
    let saturday = row(&missed, "Sat");
    assert_eq!((saturday.len(), saturday[1 + 10].as_str()), (25, "2"));
    let hours = world.screen("/hours").await;
    assert_eq!(tile(&hours, "Busiest hour"), "Sat, 10–11");
    assert_eq!(row(&hours, "10")[1..], ["4", "2"].map(str::to_owned));
    let agents = world.screen("/agents").await;
    let cells = rows(&agents).into_iter().find(|row| row.len() == 9 && row[1] == "4").unwrap();
    assert_eq!((cells[2].as_str(), cells[7].as_str(), cells[8].as_str()), ("0", "1", "80"), "{cells:?}");
    let overview = world.screen("/").await;
    assert_eq!((tile(&overview, "Calls"), tile(&overview, "Qualified calls")), ("6".into(), "1".into()));
    assert_eq!(tile(&overview, "Missed").replace('\u{202f}', " "), "33 %");
    assert_eq!(tile(&overview, "Answered in 20 s").replace('\u{202f}', " "), "100 %");
}

/// P4: regions of callers add up to all calls.
#[tokio::test]
async fn p04_regions_add_up_to_all_calls() {
    let world = world(None);
    world.some_calls();
    let page = world.screen("/regions").await;
    let answer = world.report("regions", "").await;
    assert_eq!(tile(&page, "All calls"), "5");
    let of = |region: &str| row(&page, if region.is_empty() { "unknown" } else { region });
    let shown = answer["rows"].as_array().unwrap().iter().map(|region| {
        let cells = of(region["region"].as_str().unwrap());
        assert!(cells.contains(&region["calls"].to_string()), "{cells:?}");
        region["calls"].as_i64().unwrap()
    });
    assert_eq!(shown.sum::<i64>(), 5);
}

/// P7: what is known of the callers of static numbers, with what must be known about it.
#[tokio::test]
async fn p07_static_numbers_have_their_caveat() {
    let world = world(None);
    world.call_from(1, ["billboard", "offline", "ring road"], |call| {
        (call.pool, call.attribution.kind) = ("acme-billboard".into(), AttributionKind::Static);
        call.attribution.session = None;
        let channel = [("source", "billboard"), ("medium", "offline")];
        let channel = channel.map(|(key, value)| (key.to_owned(), value.to_owned()));
        call.attribution.channel = Some(Arc::new(channel.into()));
    });
    let page = world.screen("/sources").await;
    assert!(page.contains("Calls to static numbers") && page.contains("may have come another way before"));
}

/// A7: minutes of shortage beside the calls that they may have spoilt.
#[tokio::test]
async fn a07_shortage_stands_beside_the_calls_that_it_affected() {
    let world = world(None);
    let window = CountedData {
        pool: "acme-web".into(),
        company: "acme".into(),
        from: Wall::parse_rfc3339("2026-11-21T10:00:00Z").unwrap(),
        for_ms: 3_600_000,
        visits: 40,
        free: 20,
        soft_held: 6,
        shared: 10,
        without: 4,
        busy_max: 2,
        minutes_short: 17,
        calls: 8,
        calls_contended: 3,
        ..CountedData::default()
    };
    world.tell(EventBody::Keeper(Box::new(KeeperEvent::Counted(window))), "acme-web");
    let all = world.screen("/pools").await;
    let cells: Vec<String> = rows(&all).into_iter().find(|row| row.len() == 8 && row[0] == "acme-web").unwrap();
    let cells = cells.iter().map(|cell| cell.replace('\u{202f}', " ")).collect::<Vec<_>>();
    assert_eq!(cells, ["acme-web", "40", "10 %", "25 %", "2", "17", "3", "38 %"]);
    let one = world.screen("/pools/acme-web").await;
    assert_eq!(tile(&one, "Minutes of shortage"), "17");
    let fill = rows(&one).into_iter().find(|row| row[0] == "21 Nov" && row.len() == 4).unwrap();
    assert_eq!(fill[1..], ["2", "0", "2"], "on pages, the others, size of the pool");
    assert_eq!(row(&one, "21 Nov")[1..], ["20", "10", "6", "0", "4", "0"], "what visitors were given");
    for part in ["size of the pool", "a number held for another", "no number"] {
        assert!(one.contains(part), "{part}");
    }
}

/// A2: numbers that came by themselves are seen in the size of the pool, and among what happened to it.
#[tokio::test]
async fn a02_growth_is_seen_in_the_size_of_the_pool() {
    let world = world(None);
    let window = CountedData {
        pool: "acme-web".into(),
        company: "acme".into(),
        from: Wall::parse_rfc3339("2026-11-21T10:00:00Z").unwrap(),
        for_ms: 3_600_000,
        visits: 3,
        free: 3,
        busy_max: 2,
        ..CountedData::default()
    };
    world.tell(EventBody::Keeper(Box::new(KeeperEvent::Counted(window))), "acme-web");
    let grown = GrownData {
        order_id: "o-1".into(),
        pool: "acme-web".into(),
        company: "acme".into(),
        source: "stock".into(),
        numbers: vec![E164::parse("+442079460002").unwrap()],
        unit_price: None,
        total: None,
        currency: None,
        reason: "shortage".into(),
        size: 3,
    };
    world.tell(EventBody::Keeper(Box::new(KeeperEvent::Grown(grown))), "acme-web");
    let page = world.see("/pools/acme-web?since=2026-11-20&until=2026-11-21", &[]).await.1;
    let size = |day: &str| {
        let found = rows(&page).into_iter().find(|row| row[0] == day && row.len() == 4);
        found.unwrap()[3].clone()
    };
    assert_eq!((size("20 Nov"), size("21 Nov")), ("2".into(), "3".into()));
    assert!(page.contains("What happened to pools and numbers") && page.contains(">grown<"));
}

/// W8: what selective tracking saves in numbers, and costs in calls of which only the source is known.
#[tokio::test]
async fn w08_the_numbers_say_what_selective_tracking_saves() {
    let world = world(Some(TOKEN));
    let engineer = world.user("egon", &["engineer@acme"]);
    let marketer = world.user("mia", &["marketer@acme"]);
    let title = "What selective tracking saves, 30 days";
    assert!(!world.see("/numbers", &[("cookie", &marketer)]).await.1.contains(title), "every visit got a number");
    let window = CountedData {
        pool: "acme-web".into(),
        company: "acme".into(),
        from: clock::wall(),
        for_ms: 3_600_000,
        visits: 100,
        free: 50,
        source_static: 50,
        busy_max: 10,
        ..CountedData::default()
    };
    world.tell(EventBody::Keeper(Box::new(KeeperEvent::Counted(window))), "acme-web");
    let page = world.see("/numbers", &[("cookie", &marketer)]).await.1;
    assert!(page.contains(title));
    assert_eq!(row(&page, "acme")[1..], ["100", "50\u{202f}%", "10", "20", "10", "–"]);
    assert!(!world.see("/numbers", &[("cookie", &engineer)]).await.1.contains(title), "reports are not for engineers");
}

/// How sure attributions were, and what of it is known to be right.
#[tokio::test]
async fn the_quality_of_the_attribution_is_shown() {
    let world = world(None);
    world.some_calls();
    let page = world.screen("/quality").await;
    let tiles = ["All calls", "Sure, 80 % and more", "Unknown", "Checked", "Calibration error"];
    let tiles = tiles.map(|label| tile(&page, label).replace('\u{202f}', " "));
    assert_eq!(tiles, ["5", "100 %", "0 %", "0", "–"]);
    assert!(page.contains("Of no call in this time is the truth known"));
    assert_eq!(row(&page, "90–\u{2060}100\u{202f}%")[1], "5");
}

/// Who listened, changed, exported: for those who may know, page by page.
#[tokio::test]
async fn the_audit_is_shown_to_those_who_may_know() {
    let world = world(Some(TOKEN));
    let id = world.call(1, Some(Outcome::Answered));
    for n in 0..101 {
        let played = crate::core::event::PlayedData {
            call_id: id,
            by: format!("user-{n}"),
            address: "198.18.0.1".into(),
            reason: None,
            download: false,
        };
        world.tell(EventBody::RecordingPlayed(played), &id.to_string());
    }
    let admin = world.user("adam", &["admin@acme"]);
    let page = world.see(&format!("/audit?{DAY}"), &[("cookie", &admin)]).await.1;
    assert!(page.contains("user-100") && page.contains("listened") && !page.contains("user-0<"), "newest first");
    assert!(page.contains(&format!("href=\"/calls/{id}\"")));
    let older = page.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let rest = world.see(&older.replace("&amp;", "&"), &[("cookie", &admin)]).await.1;
    assert!(rest.contains("user-0<") && !rest.contains("user-100") && rest.contains("rel=\"prev\""));
    let marketer = world.user("mia", &["marketer@acme"]);
    assert_eq!(world.see("/audit", &[("cookie", &marketer)]).await.0, 403);
    let of_other = world.user("olga", &["auditor@other"]);
    assert!(!world.see(&format!("/audit?{DAY}"), &[("cookie", &of_other)]).await.1.contains("user-1"));
}

/// On a busy day every call counts, not the newest page of them.
#[tokio::test]
async fn a_busy_day_is_counted_whole() {
    let world = world(None);
    for n in 0..(limits::CALLS_PAGE as u64 + 50) {
        let mut data = call_data(n % 60, Some(Outcome::Answered));
        data.call_id = CallId(data.call_id.0 + (u128::from(n) << 8));
        let (id, time) = (data.call_id, data.started_at);
        let body = EventBody::CallEnded(Box::new(data));
        assert!(world.state.journal.append(Event { time, subject: id.to_string(), body }));
    }
    assert!(world.state.journal.flush(Duration::from_secs(10)));
    world.state.index.settle();
    assert_eq!(tile(&world.screen("/").await, "Calls"), "250");
    assert_eq!(tile(&world.screen("/hours").await, "All calls"), "250");
}

/// Days and hours are those of the company's clocks, in figures and in words.
#[tokio::test]
async fn days_are_those_of_the_companys_clocks() {
    let config = CONFIG.replace("name = \"acme\"\nforward", "name = \"acme\"\ntime_zone = \"Europe/Moscow\"\nforward");
    let world = world_of(&config, None, None, mpsc::unbounded_channel().0);
    // Half past ten in the evening in UTC is the next day in Moscow.
    world.call_from(750, ["yandex", "cpc", "x"], |call| call.outcome = Some(Outcome::NoAnswer));
    let day = "since=2026-11-22&until=2026-11-22";
    let of = |path: &'static str| format!("{path}?{day}&company=acme");
    assert_eq!(tile(&world.see(&of("/"), &[]).await.1, "Calls"), "1");
    let missed = world.see(&of("/missed"), &[]).await.1;
    assert!(missed.contains("22 Nov, 01:30:00") && missed.contains("Time zone: Europe/Moscow."), "{missed}");
    assert!(world.see(&format!("/calls?{day}"), &[]).await.1.contains("22 Nov, 01:30:00"));
    assert!(world.see(&format!("/?{day}&company=other"), &[]).await.1.contains("Time zone: UTC."));
}

/// What cannot be asked is said on the page itself, with the form to mend it.
#[tokio::test]
async fn a_day_that_is_none_is_named_on_the_page() {
    let world = world(None);
    world.some_calls();
    let paths = [
        "/",
        "/sources",
        "/channels",
        "/models",
        "/repeat",
        "/missed",
        "/hours",
        "/regions",
        "/agents",
        "/quality",
        "/audit",
        "/pools",
        "/pools/acme-web",
    ];
    for path in paths {
        let (status, page) = world.see(&format!("{path}?since=yesterday-ish"), &[]).await;
        assert_eq!(status, 400, "{path}");
        assert!(
            page.contains("role=\"alert\">“yesterday-ish” does not go into “From”: a day like 2026-11-22"),
            "{path}: {page}"
        );
        assert!(page.contains("<form class=\"filters\""), "{path}");
    }
    for (query, said) in [
        ("since=2026-11-22&until=2026-11-21", "“2026-11-21” does not go into “To”"),
        ("period=ever", "choose one of the periods"),
        ("model=best", "choose one of the models"),
        ("look_back=8", "7, 30 or 90 days are possible"),
        ("margin=2", "a share from 0 to 1"),
        ("since=1900-01-01", "not more than ten years"),
        ("medium=cpc", "each needs the ones before it"),
    ] {
        let (status, page) = world.see(&format!("/sources?{query}"), &[]).await;
        assert_eq!(status, 400, "{query}");
        assert!(page.contains(said), "{query}: {page}");
    }
    let russian = world.see("/sources?until=31.12.2026", &[("cookie", "leaseline_lang=ru")]).await;
    assert_eq!(russian.0, 400);
    assert!(russian.1.contains("Значение «31.12.2026» не подходит для поля «По»"));
}

/// Presets are kept in the address, with everything else that was chosen.
#[tokio::test]
async fn a_period_is_chosen_by_name_and_kept() {
    let world = world(None);
    let page = world.see("/sources?period=last_month&source=yandex&company=acme", &[]).await.1;
    assert!(page.contains("href=\"/sources?source=yandex&amp;company=acme&amp;period=7d\""), "{page}");
    assert!(page.contains("name=\"period\" value=\"last_month\"") && page.contains("name=\"source\" value=\"yandex\""));
    let chosen = page.split("aria-current=\"true\"").nth(1).unwrap();
    assert!(chosen.starts_with(">Last month<"), "{}", &chosen[..40]);
    let own = world.see("/sources?period=7d&since=2026-11-01", &[]).await.1;
    assert!(own.contains("value=\"2026-11-01\"") && !own.contains("name=\"period\""), "days count more than a name");
}

/// The navigation has what the role may open, and nothing else.
#[tokio::test]
async fn the_navigation_has_what_the_role_may_open() {
    let world = world(Some(TOKEN));
    for role in Role::ALL {
        let cookie = world.user(role.as_str(), &[&format!("{}@*", role.as_str())]);
        let page = world.see("/", &[("cookie", &cookie)]).await.1;
        let nav = page.split("<nav class=\"side\"").nth(1).and_then(|rest| rest.split("</nav>").next()).unwrap();
        for route in super::super::super::console::routes().into_iter().filter(|route| route.methods.contains(&"GET")) {
            let shown = nav.contains(&format!("<a href=\"{}\"", route.path));
            let may = route.access.right(&axum::http::Method::GET).is_none_or(|right| role.rights().has(right));
            assert!(may || !shown, "{role:?} {}", route.path);
            if shown {
                let status = world.see(route.path, &[("cookie", &cookie)]).await.0;
                assert!(status != 403 && status != 404, "{role:?} {}: {status}", route.path);
            }
        }
        assert_eq!(
            nav.contains("href=\"/sources\""),
            role.rights().has(crate::core::rights::Right::Reports),
            "{role:?}"
        );
        assert!(nav.contains("href=\"/missed\""), "{role:?}");
    }
}

/// Who may not take reports out has no link to a file; who may not see money sees none; other companies are not there.
#[tokio::test]
async fn a_screen_shows_what_the_role_may_see() {
    let world = world(Some(TOKEN));
    world.some_calls();
    let see = async |role: &str, path: &str| {
        let cookie = world.user(&format!("{}-{}", role.replace('@', "-"), path.len()), &[role]);
        world.see(&format!("{path}?{DAY}"), &[("cookie", &cookie)]).await.1
    };
    assert!(see("marketer@acme", "/hours").await.contains("/v1/reports/hours?format=csv"));
    assert!(!see("auditor@acme", "/hours").await.contains("format=csv"));
    let marketer = see("marketer@acme", "/").await;
    assert_eq!((tile(&marketer, "Calls"), tile(&marketer, "Cost per lead")), ("5".into(), "200.00\u{a0}EUR".into()));
    let agent = see("agent@acme", "/").await;
    assert_eq!(tile(&agent, "Calls"), "5");
    assert!(!agent.contains("Cost per lead"));
    assert_eq!(tile(&see("marketer@other", "/").await, "Calls"), "0");
    let pools = see("marketer@other", "/pools").await;
    assert!(!pools.contains("acme-web") && !see("marketer@other", "/numbers").await.contains("020 7946 0000"));
    let missed = see("marketer@acme", "/missed").await;
    assert!(!missed.contains("+447900000003") && missed.contains("+4479"), "numbers behind dots");
}
