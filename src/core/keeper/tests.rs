//! The machine in virtual time, with a journal that is a list: a restart reads it again.

mod stock;

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::core::event::cloud::to_json;
use crate::core::event::{Attribution, AttributionKind, CallData, Candidate, RefusedData};
use crate::core::keeper::money::Money;
use crate::core::sizing::measured::tests::visit;
use crate::ids::{CallId, EventId};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// A Monday, at midnight.
const START: Wall = Wall(1_794_787_200_000_000);

const STOCK: &str =
    "enabled = true\nstock = [\"+442079460600..+442079460619\"]\nprice = \"1.20\"\ncurrency = \"GBP\"\n";
const PROVIDER: &str = "enabled = true\nprovider = \"carrier\"\nprice = \"2.00\"\ncurrency = \"GBP\"\n";

struct World {
    keeper: Keeper,
    now: Wall,
    journal: Vec<Event>,
    visits: u128,
    grow: String,
}

fn config(grow: &str) -> Config {
    let text = config_text(grow);
    Config::parse(&text, "test", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn config_text(grow: &str) -> String {
    format!(
        r#"
[[company]]
name = "acme"
forward_to = ["sip:desk@127.0.0.1:5080"]
[[site]]
name = "site"
company = "acme"
origins = ["http://localhost"]
[[pool]]
name = "web"
company = "acme"
site = "site"
kind = "dynamic"
numbers = ["+442079460000..+442079460003"]
[pool.grow]
{grow}
[[provider]]
name = "carrier"
url = "http://127.0.0.1:9/orders"
secret = "x"
countries = ["GB"]
[notify]
to = ["ops@example.com"]
[notify.smtp]
host = "127.0.0.1"
port = 25
security = "off"
from = "leaseline@example.com"
[hygiene]
background_max = 3
leak_calls = 4
[self_test]
enabled = true
to = "127.0.0.1:5060"
from = "+442079460999"
"#
    )
}

impl World {
    fn new(grow: &str) -> World {
        let keeper = Keeper::new(&config(grow), [7; 32]);
        World { keeper, now: START, journal: Vec::new(), visits: 0, grow: grow.to_owned() }
    }

    /// What is not in the journal is forgotten.
    fn restart(&mut self) {
        self.keeper = Keeper::new(&config(&self.grow), [8; 32]);
        let journal = std::mem::take(&mut self.journal);
        journal.iter().for_each(|event| self.keeper.observe(event));
        self.journal = journal;
    }

    fn reconfigure(&mut self, grow: &str) {
        self.grow = grow.to_owned();
        self.keeper.configure(&config(grow));
        self.settle();
    }

    fn write(&mut self, events: Vec<Event>) {
        for event in events {
            self.keeper.observe(&event);
            self.journal.push(event);
        }
    }

    /// Turns until nothing more is decided.
    fn settle(&mut self) {
        for _ in 0..20 {
            let mut out = Vec::new();
            self.keeper.handle_timeout(self.now, &mut out);
            if out.is_empty() {
                return;
            }
            self.write(out);
        }
        panic!("it never comes to rest: {:?}", self.journal.last());
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.settle();
    }

    /// An hour with so many visits that got a number of their own, for three minutes, and so many that got none.
    fn hour(&mut self, own: u64, without: u64) {
        for _ in 0..own {
            self.visits += 1;
            let [granted, left] = visit(self.visits, "c", self.now, 3 * MINUTE);
            let event = |body| Event { time: self.now, subject: String::new(), body };
            let events = vec![event(granted), event(left)];
            self.write(events);
        }
        self.keeper.count(self.now, "web", without, own.min(4));
        self.pass(HOUR);
    }

    /// Six hours of shortage: three of them make a trend.
    fn short_morning(&mut self) {
        for _ in 0..3 {
            self.hour(200, 40);
        }
    }

    /// `data` of the events of this type.
    fn told(&self, kind: &str) -> Vec<Value> {
        let kind = format!("leaseline.{kind}");
        let of_kind = self.journal.iter().filter(|event| event.body.kind() == kind);
        let read =
            |event| serde_json::from_str::<Value>(&to_json(event, EventId(1), "x")).expect("JSON")["data"].clone();
        of_kind.map(read).collect()
    }

    fn answer(&mut self, order_id: &str, answer: Answer) {
        let mut out = Vec::new();
        self.keeper.answered(self.now, order_id, answer, &mut out);
        self.write(out);
        self.settle();
    }

    fn letter_is_taken(&mut self, letter: &Letter) {
        let mut out = Vec::new();
        self.keeper.letter_done(self.now, &letter.id, Ok(1), &mut out);
        self.write(out);
    }

    fn call(&mut self, number: &str, caller: &str, known: bool) {
        let kind = if known { AttributionKind::Visitor } else { AttributionKind::None };
        let candidate = Candidate { visitor_id: "v".into(), probability: 0.9, evidence: Vec::new() };
        let attribution = Attribution {
            kind,
            confidence: if known { 0.9 } else { 0.0 },
            candidates: known.then_some(candidate).into_iter().collect(),
            ..Attribution::default()
        };
        let number = self::number(number);
        let mut call = CallData::new(CallId(1), number, attribution, self.now);
        (call.company, call.pool, call.caller) = ("acme".into(), "web".into(), Some(caller.into()));
        let event = Event { time: self.now, subject: String::new(), body: Body::CallEnded(Box::new(call)) };
        self.write(vec![event]);
        self.settle();
    }

    fn size(&self) -> usize {
        let mut config = config(&self.grow);
        self.keeper.join(&mut config);
        config.pools[0].numbers.len()
    }
}

fn number(text: &str) -> E164 {
    E164::parse(text).expect("a number")
}

fn numbers(count: u64) -> Answer {
    let numbers = (0..count).map(|n| number(&format!("+4420794607{n:02}"))).collect();
    Answer::Numbers { numbers, unit_price: Some(Money(15_000)), currency: Some("GBP".into()) }
}

// ── A1 ──

#[test]
fn a1_a_spike_is_no_shortage_and_a_trend_is() {
    let mut world = World::new("");
    world.hour(200, 190);
    world.hour(200, 0);
    // Too few to say anything.
    world.hour(1, 9);
    assert_eq!(world.told("pool.shortage"), Vec::<Value>::new());
    world.hour(200, 10);
    world.hour(200, 3);
    assert_eq!(world.told("pool.shortage"), Vec::<Value>::new(), "1.5 % is below the threshold");
    world.hour(200, 10);
    let told = world.told("pool.shortage");
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["over"], &told[0]["short"], &told[0]["numbers"]), (&json!(false), &json!(3), &json!(4)));
    assert!(told[0]["planned"].as_u64() > Some(10), "{told:?}");
    world.hour(200, 10);
    assert_eq!(world.told("pool.shortage").len(), 1, "told once");
    for _ in 0..26 {
        world.hour(100, 0);
    }
    assert_eq!(world.told("pool.shortage")[1]["over"], true);
    assert_eq!(world.told("pool.growth_ordered"), Vec::<Value>::new(), "nobody switched growth on");
}

#[test]
fn a1_windows_survive_a_restart_and_are_counted_once() {
    let mut world = World::new("");
    world.hour(200, 10);
    world.hour(200, 10);
    world.restart();
    world.settle();
    assert_eq!(world.told("pool.counted").len(), 2);
    world.hour(200, 10);
    assert_eq!(world.told("pool.shortage").len(), 1);
    let window = &world.told("pool.counted")[0];
    assert_eq!((&window["visits"], &window["free"], &window["without"]), (&json!(210), &json!(200), &json!(10)));
    assert_eq!((&window["page_ms"], &window["from"]), (&json!(180_000), &json!("2026-11-16T00:00:00.000Z")));
}

// ── A2 ──

#[test]
fn a2_the_pool_grows_to_the_planned_size_from_the_stock() {
    let mut world = World::new(&format!("{STOCK}per_day_max = 100"));
    world.short_morning();
    let grown = world.told("pool.grown");
    assert_eq!(grown.len(), 1);
    // 240 visits an hour for 3 minutes: 12 Erlang, 20 numbers at 1 %.
    assert_eq!((world.size(), &grown[0]["size"], &grown[0]["reason"]), (20, &json!(20), &json!("shortage")));
    assert_eq!(grown[0]["numbers"][0], "+442079460600");
    assert_eq!((&grown[0]["unit_price"], &grown[0]["total"]), (&json!("1.20"), &json!("19.20")));
    world.restart();
    world.settle();
    assert_eq!((world.size(), world.told("pool.grown").len()), (20, 1), "exactly once");
    // Windows from before it grew say nothing of the pool as it is now.
    world.hour(200, 0);
    assert_eq!((world.size(), world.told("pool.shortage").len()), (20, 2));
}

#[test]
fn a2_limits_hold() {
    for (limit, reason, first) in [
        ("per_day_max = 3", "limit_day", 7),
        ("numbers_max = 9", "limit_size", 9),
        ("spend_max = \"6.00\"", "limit_spend", 9),
    ] {
        let per_day = if limit.starts_with("per_day") { "" } else { "per_day_max = 100\n" };
        let mut world = World::new(&format!("{STOCK}{per_day}{limit}\n"));
        world.short_morning();
        assert_eq!(world.size(), first, "{limit}");
        world.short_morning();
        assert_eq!(world.size(), first, "{limit}: the shortage goes on");
        let refused = world.told("pool.growth_refused");
        assert_eq!((refused.len(), &refused[0]["reason"]), (1, &json!(reason)), "{limit}");
        world.short_morning();
        assert_eq!(world.told("pool.growth_refused").len(), 1, "{limit}: told once a day");
        world.pass(DAY);
        world.short_morning();
        let more = if reason == "limit_day" { first + 3 } else { first };
        assert_eq!(world.size(), more, "{limit}: on the next day");
    }
}

#[test]
fn a2_an_order_is_asked_again_with_the_same_key_until_it_is_answered() {
    let mut world = World::new(PROVIDER);
    world.short_morning();
    let [first] = world.keeper.orders(world.now).try_into().expect("one order");
    let body: Value = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!((&body["count"], &body["country"], &body["unit_price_max"]), (&json!(10), &json!("GB"), &json!("2.00")));
    assert_eq!((body["order_id"].as_str(), &*first.provider), (Some(&*first.order_id), "carrier"));
    assert_eq!(world.keeper.orders(world.now), [], "it is under way");
    // The process dies before the answer.
    world.restart();
    world.settle();
    assert_eq!(world.keeper.orders(world.now), std::slice::from_ref(&first));
    world.answer(&first.order_id, Answer::Failed("status_500".into()));
    assert_eq!(world.keeper.orders(world.now), []);
    world.pass(MINUTE);
    assert_eq!(world.keeper.orders(world.now), std::slice::from_ref(&first));
    world.answer(&first.order_id, Answer::Later(HOUR));
    world.pass(59 * MINUTE);
    assert_eq!(world.keeper.orders(world.now), []);
    world.pass(MINUTE);
    assert_eq!(world.keeper.orders(world.now).len(), 1);
    world.answer(&first.order_id, numbers(10));
    // An answer that comes twice adds nothing.
    world.answer(&first.order_id, numbers(10));
    assert_eq!((world.size(), world.told("pool.grown").len(), world.told("pool.growth_ordered").len()), (14, 1, 1));
    assert_eq!(world.told("pool.grown")[0]["total"], "15.00");
    world.restart();
    world.settle();
    assert_eq!((world.size(), world.keeper.orders(world.now)), (14, Vec::new()));
}

#[test]
fn a2_a_provider_that_fails_for_a_day_has_failed() {
    let mut world = World::new(PROVIDER);
    world.short_morning();
    let mut asked = 0;
    while world.told("pool.growth_refused").is_empty() {
        for order in world.keeper.orders(world.now) {
            asked += 1;
            world.answer(&order.order_id, Answer::Failed("connect_failed".into()));
        }
        world.pass(MINUTE);
    }
    let refused = &world.told("pool.growth_refused")[0];
    assert_eq!((&refused["reason"], &refused["detail"]), (&json!("provider_failed"), &json!("connect_failed")));
    assert!((80..150).contains(&asked), "no tight retry: {asked}");
    assert!(world.now >= START + DAY);
    // It may have given numbers and been cut short: its order stands until it says.
    world.pass(HOUR);
    let order = world.keeper.orders(world.now).remove(0);
    world.answer(&order.order_id, Answer::Failed("connect_failed".into()));
    assert_eq!(world.told("pool.growth_refused").len(), 1, "told once a day");
    world.pass(HOUR);
    assert_eq!(world.keeper.orders(world.now), std::slice::from_ref(&order));
    world.answer(&order.order_id, numbers(10));
    assert_eq!((world.size(), world.told("pool.growth_ordered").len()), (14, 1));
}

#[test]
fn a2_what_a_provider_may_not_do() {
    let with = |numbers: &[&str], price: Option<u64>, currency: Option<&str>| Answer::Numbers {
        numbers: numbers.iter().map(|text| number(text)).collect(),
        unit_price: price.map(Money),
        currency: currency.map(str::to_owned),
    };
    let new = "+442079460700";
    for (answer, reason) in [
        (with(&[new], Some(20_001), None), "price_too_high"),
        (with(&[new], Some(10), Some("EUR")), "price_too_high"),
        (with(&["+442079460000"], None, None), "provider_answer_bad"),
    ] {
        let mut world = World::new(PROVIDER);
        world.short_morning();
        let order = world.keeper.orders(world.now).remove(0);
        world.answer(&order.order_id, answer);
        assert_eq!((world.size(), &world.told("pool.growth_refused")[0]["reason"]), (4, &json!(reason)));
    }
    // Numbers that are ours already, that stand twice and that nobody ordered are left out.
    let mut world = World::new(&format!("{PROVIDER}per_day_max = 2"));
    world.short_morning();
    let order = world.keeper.orders(world.now).remove(0);
    world.answer(&order.order_id, with(&["+442079460000", new, new, "+442079460701", "+442079460702"], None, None));
    assert_eq!(world.told("pool.grown")[0]["numbers"], json!([new, "+442079460701"]));
}

// ── A3, A4 ──

#[test]
fn a3_one_letter_for_each_growth_with_numbers_price_total_and_reason() {
    let mut world = World::new(&format!("{STOCK}per_day_max = 2"));
    world.short_morning();
    let [letter] = world.keeper.letters(world.now).try_into().expect("one letter");
    assert_eq!(
        (letter.to.as_slice(), &*letter.subject),
        (&["ops@example.com".to_owned()][..], "Leaseline: 2 numbers added to web")
    );
    for words in [
        "+44 20 7946 0600",
        "+44 20 7946 0601",
        "Price of one: 1.20 GBP a month",
        "Together:     2.40 GBP a month",
        "visitors shared numbers again and again",
        "The pool has 6 numbers now.",
    ] {
        assert!(letter.text.contains(words), "{words}: {}", letter.text);
    }
    assert_eq!(world.keeper.letters(world.now), [], "it is under way");
    // The process dies before the mail server answers: the same letter, with the same id.
    world.restart();
    assert_eq!(world.keeper.letters(world.now), std::slice::from_ref(&letter));
    let mut out = Vec::new();
    world.keeper.letter_done(world.now, &letter.id, Err("mail_failed".into()), &mut out);
    assert_eq!((out.len(), world.keeper.letters(world.now)), (0, Vec::new()));
    world.pass(MINUTE);
    assert_eq!(world.keeper.letters(world.now).len(), 1);
    world.letter_is_taken(&letter);
    world.restart();
    world.pass(HOUR);
    assert_eq!((world.keeper.letters(world.now), world.told("notice.sent").len()), (Vec::new(), 1));
}

#[test]
fn a3_the_pools_own_people_get_its_letters() {
    let mut world = World::new(&format!("{STOCK}notify = [\"shop@example.com\"]"));
    world.short_morning();
    assert_eq!(world.keeper.letters(world.now)[0].to, ["shop@example.com"]);
}

#[test]
fn a4_no_stock_is_another_letter_once_a_day_and_no_tight_retry() {
    let mut world = World::new(PROVIDER);
    world.short_morning();
    let order = world.keeper.orders(world.now).remove(0);
    world.answer(&order.order_id, Answer::Empty);
    let mut letters = 0;
    let mut orders = 0;
    for _ in 0..48 {
        for letter in world.keeper.letters(world.now) {
            assert!(letter.subject.contains("no_stock") && letter.text.contains("carrier has none left"), "{letter:?}");
            letters += 1;
            world.letter_is_taken(&letter);
        }
        for order in world.keeper.orders(world.now) {
            orders += 1;
            world.answer(&order.order_id, Answer::Empty);
        }
        world.hour(200, 40);
    }
    assert_eq!((letters, orders), (2, 1), "once a day");
    assert_eq!(world.told("pool.growth_refused")[0]["reason"], "no_stock");
}

#[test]
fn a4_an_empty_stock_asks_the_provider() {
    let mut world = World::new(&format!("{PROVIDER}stock = [\"+442079460600\"]\nper_day_max = 50"));
    world.short_morning();
    assert_eq!(world.told("pool.grown")[0]["numbers"], json!(["+442079460600"]));
    world.short_morning();
    let order = world.keeper.orders(world.now).remove(0);
    assert_eq!(order.provider, "carrier");
}

// ── A5, A6 ──

#[test]
fn a5_pools_whose_numbers_cannot_be_bought_are_refused_with_the_reason() {
    let problem = |grow: &str, from: &str, to: &str| {
        let text = config("").effective_toml().replace("enabled = false", "enabled = false\n# here").to_string();
        let text = text.replacen("[pool.grow]\nenabled = false\n# here", &format!("[pool.grow]\n{grow}"), 1);
        let text = text.replace(from, to).replace("secret = \"…\"", "secret = \"x\"");
        let problems = Config::parse(&text, "test", Path::new("")).expect_err(grow);
        problems.to_string()
    };
    let own = problem("enabled = true", "", "");
    assert!(own.contains("these numbers are your own"), "{own}");
    let country =
        problem("enabled = true\nprovider = \"carrier\"", "countries = [\"GB\"]", "countries = [\"UA\", \"KZ\"]");
    assert!(country.contains("has no numbers of GB") && country.contains("UA, KZ"), "{country}");
    let nobody = problem("enabled = true\nprovider = \"other\"", "", "");
    assert!(nobody.contains("no provider `other`"), "{nobody}");
    // A provider may say so, too.
    let mut world = World::new(PROVIDER);
    world.short_morning();
    let order = world.keeper.orders(world.now).remove(0);
    world.answer(&order.order_id, Answer::Refused { code: "country_not_served".into(), detail: None });
    assert_eq!(world.told("pool.growth_refused")[0]["reason"], "country_not_served");
    assert!(world.keeper.letters(world.now)[0].text.contains("carrier refused: country_not_served"));
}

#[test]
fn a6_one_switch_and_an_event_for_each_turn_of_it() {
    let mut world = World::new("enabled = false\n");
    world.short_morning();
    assert_eq!(world.told("pool.growth_switched"), Vec::<Value>::new());
    world.reconfigure(STOCK);
    let told = world.told("pool.growth_switched");
    assert_eq!((told.len(), &told[0]["enabled"], &told[0]["by"]), (1, &json!(true), &json!("configuration")));
    assert_eq!(
        (&told[0]["numbers_max"], &told[0]["per_day_max"], &told[0]["source"]),
        (&json!(100), &json!(10), &json!("stock"))
    );
    assert_eq!(world.size(), 14, "the shortage was there already");
    world.restart();
    world.settle();
    assert_eq!(world.told("pool.growth_switched").len(), 1);
    world.reconfigure("enabled = false\n");
    assert_eq!(world.told("pool.growth_switched")[1]["enabled"], false);
    assert_eq!(world.size(), 14, "what was added stays");
}

// ── A7, A8, A9 ──

#[test]
fn a7_minutes_of_shortage_are_counted() {
    let mut world = World::new("");
    for minute in 0..10 {
        world.keeper.count(world.now, "web", u64::from(minute % 2 == 0) * 3, 4);
        world.now = world.now + MINUTE;
    }
    let view = world.keeper.pool(world.now, "web").expect("the pool");
    assert_eq!((view.minutes_short, view.short, view.grows), (5, false, false));
    // Calls of that time which several may have made.
    for contention in [1, 2, 3] {
        let attribution = Attribution { contention, ..Attribution::default() };
        let mut call = CallData::new(CallId(1), number("+442079460001"), attribution, world.now);
        call.pool = "web".into();
        let event = Event { time: world.now, subject: String::new(), body: Body::CallEnded(Box::new(call)) };
        world.write(vec![event]);
    }
    assert_eq!(world.keeper.pool(world.now, "web").map(|view| view.calls_contended), Some(2));
    let (_, figures) = world.keeper.figures().next().expect("the pool");
    assert_eq!((figures.minutes_short, figures.not_own), (5, 15));
    world.pass(HOUR);
    assert_eq!(world.keeper.pool(world.now, "web").map(|view| view.minutes_short), Some(5));
    let window = &world.told("pool.counted")[0];
    assert_eq!([&window["minutes_short"], &window["calls"], &window["calls_contended"]], [5, 3, 2]);
    world.pass(2 * DAY);
    assert_eq!(world.keeper.pool(world.now, "web").map(|view| view.minutes_short), Some(0));
}

#[test]
fn a8_a_forecast_makes_the_pool_ready_the_day_before() {
    let mut world = World::new(&format!("{STOCK}forecast = [\"3@2026-11-19..2026-11-20\"]"));
    for _ in 0..47 {
        world.hour(20, 0);
    }
    assert_eq!(world.size(), 4, "the 17th");
    world.hour(20, 0);
    // 20 visits an hour, three times: 3 Erlang, 8 numbers at 1 %.
    let ordered = world.told("pool.growth_ordered");
    assert_eq!((ordered.len(), &ordered[0]["reason"], &ordered[0]["planned"]), (1, &json!("forecast"), &json!(8)));
    assert_eq!(world.size(), 8);
}

#[test]
fn a9_numbers_that_are_not_needed_leave_when_nobody_calls_them() {
    let mut world = World::new(&format!("{STOCK}shrink_after = \"7d\"\nquiet = \"3d\""));
    world.short_morning();
    assert_eq!(world.size(), 14);
    // A week with one visit a quarter of an hour needs two numbers.
    for _ in 0..8 * 24 {
        world.hour(4, 0);
    }
    let leaving = world.told("number.leaving");
    assert_eq!(leaving.len(), 10, "what was added, and nothing of the configuration");
    assert_eq!(world.size(), 14, "calls go where they went");
    assert_eq!(world.keeper.resting(world.now).len(), 10);
    let called = leaving[0]["number"].as_str().expect("a number").to_owned();
    world.pass(2 * DAY);
    world.call(&called, "+442079460111", true);
    world.restart();
    world.pass(DAY);
    assert_eq!((world.size(), world.told("number.left").len()), (5, 9), "all but the one that was called");
    world.pass(2 * DAY);
    assert_eq!((world.size(), world.told("number.left").len()), (4, 10));
    assert_eq!(world.keeper.resting(world.now).len(), 0);
}

#[test]
fn a9_a_provider_takes_its_number_back_and_a_shortage_keeps_it() {
    let mut world = World::new(&format!("{PROVIDER}shrink_after = \"7d\"\nquiet = \"3d\""));
    world.short_morning();
    let order = world.keeper.orders(world.now).remove(0);
    world.answer(&order.order_id, numbers(10));
    for _ in 0..8 * 24 {
        world.hour(4, 0);
    }
    assert_eq!(world.told("number.leaving").len(), 10);
    for _ in 0..3 {
        world.hour(30, 20);
    }
    let back = world.told("number.returned");
    assert!(!back.is_empty() && back.iter().all(|data| data["reason"] == "needed"), "{back:?}");
    assert_eq!(world.told("pool.growth_ordered").len(), 1, "nothing is bought while numbers can stay");
    // The others leave: the provider is asked to take them, until it does.
    world.pass(3 * DAY);
    let releases = world.keeper.orders(world.now);
    assert_eq!(releases.len(), 10 - back.len());
    let body: Value = serde_json::from_str(&releases[0].body).expect("JSON");
    assert_eq!(body["type"], "leaseline.numbers.release");
    world.answer(&releases[0].order_id, Answer::Failed("status_500".into()));
    assert_eq!(world.told("number.left"), Vec::<Value>::new());
    world.pass(HOUR);
    let again = world.keeper.orders(world.now);
    assert_eq!(again[0], releases[0], "the same key");
    world.answer(&again[0].order_id, Answer::Empty);
    assert_eq!(world.told("number.left").len(), 1);
}

// ── numbers ──

#[test]
fn a_number_that_strangers_call_rests_until_it_is_quiet() {
    let mut world = World::new("");
    let dirty = "+442079460001";
    for n in 0..3 {
        world.call(dirty, "+442079460333", true);
        world.call(dirty, &format!("+44207946010{n}"), false);
    }
    assert_eq!(world.told("number.rested")[0]["calls"], 3);
    assert_eq!(world.keeper.resting(world.now), BTreeSet::from([number(dirty)]));
    assert!(world.keeper.letters(world.now)[0].subject.contains("rests"));
    world.pass(6 * DAY);
    world.call(dirty, "+442079460104", false);
    world.pass(6 * DAY);
    world.restart();
    world.settle();
    assert_eq!(world.keeper.resting(world.now).len(), 1, "the week begins anew with every such call");
    world.pass(DAY);
    assert_eq!(
        (world.keeper.resting(world.now).len(), &world.told("number.returned")[0]["reason"]),
        (0, &json!("quiet"))
    );
    // Half of a pool works, whatever happens.
    for n in 0..4 {
        for caller in 0..3 {
            world.call(&format!("+44207946000{n}"), &format!("+44207946020{caller}"), false);
        }
    }
    assert_eq!(world.keeper.resting(world.now).len(), 2);
}

#[test]
fn a_number_that_nobody_saw_and_many_call_has_leaked() {
    let mut world = World::new("");
    for n in 0..4 {
        world.call("+442079460001", &format!("+44207946010{n}"), false);
    }
    let leaked = world.told("number.leaked");
    assert_eq!((leaked.len(), &leaked[0]["reason"], &leaked[0]["calls"]), (1, &json!("calls_burst"), &json!(4)));
    for n in 0..8 {
        world.call("+442079460001", &format!("+44207946012{n}"), false);
    }
    assert_eq!(world.told("number.leaked").len(), 1, "told once a week");
    // Slowly.
    for n in 0..4 {
        world.call("+442079460002", &format!("+44207946010{n}"), false);
        world.pass(12 * HOUR);
    }
    assert_eq!(world.told("number.leaked")[1]["reason"], "calls_without_visitors");
    // One who calls again and again is somebody; a visitor in between speaks for the number.
    for n in 0..12 {
        world.call("+442079460003", "+442079460100", false);
        world.call("+442079460000", &format!("+44207946013{}", n % 10), n % 3 == 0);
    }
    assert_eq!(world.told("number.leaked").len(), 2);
    let mut out = Vec::new();
    let page = Some("https://acme.example/old".to_owned());
    world.keeper.seen_as_static(world.now, &number("+442079460000"), page.clone(), &mut out);
    world.keeper.seen_as_static(world.now, &number("+442079460000"), page, &mut out);
    world.keeper.seen_as_static(world.now, &number("+442079460888"), None, &mut out);
    world.write(out);
    let seen = world.told("number.leaked");
    assert_eq!((seen.len(), &seen[2]["page"]), (3, &json!("https://acme.example/old")));
}

// ── calls of our own ──

#[test]
fn every_number_is_called_once_a_night() {
    let mut world = World::new("");
    assert_eq!(world.keeper.test_due(world.now), None, "it is midnight");
    world.pass(2 * HOUR);
    let mut called = Vec::new();
    for n in 0..6 {
        if let Some(test) = world.keeper.test_due(world.now) {
            assert_eq!(world.keeper.test_due(world.now), None, "one at a time");
            world.pass(Duration::from_secs(2));
            if n != 1 {
                let data = RefusedData {
                    trunk: "carrier".into(),
                    number: test.number.to_string(),
                    sip_status: 480,
                    reason: "rule_refused".into(),
                };
                let event = Event { time: world.now, subject: String::new(), body: Body::CallRefused(data) };
                world.write(vec![event]);
            }
            assert_eq!(world.keeper.test_is_back(), n != 1);
            let mut out = Vec::new();
            world.keeper.test_done(world.now, true, Some(480), &mut out);
            world.write(out);
            called.push(test.number);
        }
        assert_eq!(world.keeper.test_due(world.now), None, "they are apart");
        world.pass(MINUTE);
    }
    assert_eq!(called.len(), 4);
    let tested = world.told("number.tested");
    assert_eq!((&tested[0]["good"], &tested[0]["after_ms"]), (&json!(true), &json!(2_000)));
    assert_eq!((&tested[1]["good"], &tested[1]["reason"]), (&json!(false), &json!("not_returned")));
    assert_eq!(world.keeper.tests_failed(), 1);
    assert_eq!(world.keeper.letters(world.now), [], "the night is not over");
    world.restart();
    world.pass(4 * HOUR);
    let [letter] = world.keeper.letters(world.now).try_into().expect("one letter");
    assert!(letter.text.contains("+44 20 7946 0001 (not_returned)"), "{}", letter.text);
    world.letter_is_taken(&letter);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.keeper.letters(world.now), []);
    world.now = START + DAY + 3 * HOUR;
    world.settle();
    assert!(world.keeper.test_due(world.now).is_some(), "the next night");
}

#[test]
fn a_test_call_rings_nowhere() {
    let mut config = config("");
    Keeper::new(&config, [0; 32]).join(&mut config);
    let rule = &config.companies[0].rules[0];
    assert_eq!((&*rule.name, rule.when.caller[0].as_str()), ("self-test", "+442079460999"));
}

// ── exactly once ──

/// What may happen between an order and its numbers.
#[derive(Clone, Copy, Debug)]
enum Op {
    Hour {
        own: u8,
        without: u8,
    },
    /// Time, and a turn of the machine.
    Wait(u16),
    /// The journal writes so many of the events that wait for it.
    Write(u8),
    /// It drops them: its disk is full.
    Drop,
    /// Orders reach the provider; its answer comes back, or is lost.
    Ask {
        answered: bool,
    },
    /// Everything that is not in the journal is gone.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..80_u8, 0..60_u8).prop_map(|(own, without)| Op::Hour { own, without }),
        3 => (1..4_000_u16).prop_map(Op::Wait),
        4 => (1..6_u8).prop_map(Op::Write),
        1 => Just(Op::Drop),
        4 => any::<bool>().prop_map(|answered| Op::Ask { answered }),
        2 => Just(Op::Crash),
    ]
}

/// A machine whose journal lags behind, and a provider that keeps its word.
struct Lagging {
    world: World,
    waiting: std::collections::VecDeque<Event>,
    given: BTreeMap<String, Vec<E164>>,
    next: u64,
}

impl Lagging {
    fn turn(&mut self) {
        let mut out = Vec::new();
        self.world.keeper.handle_timeout(self.world.now, &mut out);
        self.waiting.extend(out);
    }

    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some(event) = self.waiting.pop_front() else { return };
            self.world.write(vec![event]);
        }
    }

    fn ask(&mut self, answered: bool) {
        for order in self.world.keeper.orders(self.world.now) {
            let count = serde_json::from_str::<Value>(&order.body).expect("JSON")["count"].as_u64().expect("a count");
            let given = self.given.entry(order.order_id.clone()).or_insert_with(|| {
                self.next += count;
                (self.next - count..self.next).map(|n| number(&format!("+4420794{n:05}"))).collect()
            });
            let answer = match answered {
                true => Answer::Numbers { numbers: given.clone(), unit_price: None, currency: None },
                false => Answer::Failed("answer_cut".into()),
            };
            let mut out = Vec::new();
            self.world.keeper.answered(self.world.now, &order.order_id, answer, &mut out);
            self.waiting.extend(out);
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Hour { own, without } => {
                for _ in 0..own {
                    self.world.visits += 1;
                    let bodies = visit(self.world.visits, "c", self.world.now, 3 * MINUTE);
                    let time = self.world.now;
                    self.waiting.extend(bodies.map(|body| Event { time, subject: String::new(), body }));
                }
                self.write(usize::from(own) * 2);
                self.world.keeper.count(self.world.now, "web", u64::from(without), 4);
                self.world.now = self.world.now + HOUR;
                self.turn();
            }
            Op::Wait(seconds) => {
                self.world.now = self.world.now + Duration::from_secs(seconds.into());
                self.turn();
            }
            Op::Write(count) => self.write(count.into()),
            Op::Drop => self.waiting.clear(),
            Op::Ask { answered } => self.ask(answered),
            Op::Crash => {
                self.waiting.clear();
                self.world.restart();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a2_nothing_is_bought_twice_or_lost_whatever_dies_when(ops in prop::collection::vec(op(), 1..80)) {
        let world = World::new(&format!("{PROVIDER}visits_min = 10\nper_day_max = 5"));
        let mut lagging = Lagging { world, waiting: Default::default(), given: BTreeMap::new(), next: 10_000 };
        ops.into_iter().for_each(|op| lagging.act(op));
        // In the end everything is well again.
        for _ in 0..6 {
            lagging.act(Op::Wait(1_000));
            lagging.write(usize::MAX);
            lagging.ask(true);
            lagging.write(usize::MAX);
        }
        let given: Vec<&E164> = lagging.given.values().flatten().collect();
        let added: Vec<E164> = {
            let mut config = config(&lagging.world.grow);
            lagging.world.keeper.join(&mut config);
            config.pools[0].numbers[4..].to_vec()
        };
        prop_assert_eq!(added.iter().collect::<BTreeSet<_>>(), given.iter().copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(added.len(), given.len());
        // Each day has its limit.
        let grown = lagging.world.told("pool.grown");
        prop_assert!(grown.iter().all(|data| data["numbers"].as_array().is_some_and(|numbers| numbers.len() <= 5)));
        // And a restart says the same.
        let before = lagging.world.size();
        lagging.world.restart();
        prop_assert_eq!(lagging.world.size(), before);
    }
}
