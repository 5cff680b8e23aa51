//! Reports: each against what a person would count by hand.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::core::credit::Model;
use crate::core::event::keeper::{CountedData, KeeperEvent};
use crate::core::event::work::{
    CalledBackData, CostImportData, CostRow, IdentifiedData, JoinData, LabelledData, LeadData, ScoredData, ValuedData,
    WorkEvent,
};
use crate::core::event::{RouteAttempt, RouteData};
use crate::io::index::report::{self, ReportFilter, SourceRow, Sources, Step};

const GOOGLE: [(&str, &str); 5] =
    [("source", "google"), ("medium", "cpc"), ("campaign", "sale"), ("content", "banner 1"), ("term", "kitchen")];
const YANDEX: [(&str, &str); 3] = [("source", "yandex"), ("medium", "cpc"), ("campaign", "brand")];

/// The day of [`NOON`].
fn today() -> i64 {
    parse_day("2026-11-21").unwrap()
}

fn days(since: i64, until: i64) -> ReportFilter {
    ReportFilter::of_days(today() + since, today() + until)
}

fn sources(world: &World, filter: &ReportFilter) -> Sources {
    world.read(|reader| report::sources(reader, filter))
}

fn row<'s>(sources: &'s Sources, name: &str) -> &'s SourceRow {
    sources.rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name}: {sources:?}"))
}

fn work(world: &World, event: WorkEvent) {
    world.tell(NOON, Body::Work(Box::new(event)));
}

fn missed_call(n: u64, at: i64) -> CallData {
    CallData { outcome: Some(Outcome::NoAnswer), answered_at: None, talk_ms: 0, ..call(n, at) }
}

#[test]
fn r01_calls_are_broken_down_from_source_to_search_term() {
    let world = world();
    world.visit(1, "v1", NOON, &GOOGLE);
    world.call(CallData { attribution: by_visitor("v1", 1.0, Some(1), &GOOGLE), ..call(1, NOON + MINUTE) });
    let other = [GOOGLE[0], GOOGLE[1], ("campaign", "Brand")];
    world.call(CallData { attribution: by_visitor("v2", 1.0, None, &other), ..call(2, NOON + MINUTE) });
    world.call(CallData { attribution: by_billboard(), pool: "acme-billboard".into(), ..call(3, NOON + MINUTE) });
    world.call(call(4, NOON + MINUTE));
    let mut filter = days(0, 0);
    let top = sources(&world, &filter);
    let calls = |sources: &Sources| sources.rows.iter().map(|row| (row.name.clone(), row.calls)).collect::<Vec<_>>();
    let named =
        |rows: &[(&str, i64)]| rows.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect::<Vec<_>>();
    assert_eq!((top.level, top.total.calls), ("source", 4));
    assert_eq!(calls(&top), named(&[("google", 2), (UNKNOWN, 1), ("billboard", 1)]));
    let steps = ["medium", "campaign", "content", "term"];
    let wanted = [
        named(&[("cpc", 2)]),
        named(&[("sale", 1), ("brand", 1)]),
        named(&[("banner 1", 1)]),
        named(&[("kitchen", 1)]),
    ];
    for (at, wanted) in wanted.into_iter().enumerate() {
        filter.path[at] = Some(["Google", "cpc", "sale", "banner 1", "kitchen"][at].to_owned());
        let below = sources(&world, &filter);
        assert_eq!((below.level, calls(&below)), (steps[at], wanted));
    }
    filter.path[4] = Some("kitchen".into());
    assert_eq!(sources(&world, &filter).total.calls, 1, "one term alone");
    filter.path[1] = None;
    assert!(matches!(world.index.read(|reader| report::sources(reader, &filter)), Err(IndexError::Bad(_))));
    let of_pool = ReportFilter { pool: Some("acme-billboard".into()), ..days(0, 0) };
    assert_eq!(calls(&sources(&world, &of_pool)), named(&[("billboard", 1)]));
    let scoped = ReportFilter { scope: Some(vec!["other".into()]), ..days(0, 0) };
    assert_eq!(sources(&world, &scoped).rows, []);
}

#[test]
fn r02_costs_and_deals_make_cpl_cac_roi_and_romi() {
    let world = world();
    let data = CallData { attribution: by_visitor("v1", 1.0, None, &GOOGLE), ..call(1, NOON) };
    world.call(data.clone());
    let cost = |cost: i64, currency: &str, term: &str| CostRow {
        day: "2026-11-21".into(),
        source: "Google".into(),
        medium: "cpc".into(),
        campaign: "sale".into(),
        content: "banner 1".into(),
        term: term.into(),
        cost,
        currency: currency.into(),
        clicks: 10,
        impressions: 1_000,
    };
    let import = |rows| {
        WorkEvent::CostImported(CostImportData { import_id: "i".into(), by: "a".into(), company: "acme".into(), rows })
    };
    work(&world, import(vec![cost(99_999, "GBP", "kitchen"), cost(7, "USD", "sink")]));
    work(&world, import(vec![cost(20_000, "GBP", "kitchen")]));
    let valued = |value: i64, stage: &str| {
        WorkEvent::Valued(ValuedData {
            call_id: data.call_id,
            company: "acme".into(),
            by: "crm".into(),
            deal_id: Some("d1".into()),
            stage: Some(stage.into()),
            value,
            currency: "GBP".into(),
        })
    };
    work(&world, valued(70_000, "in_progress"));
    let filter = ReportFilter { margin: 0.5, ..days(0, 0) };
    assert_eq!(row(&sources(&world, &filter), "google").money.revenue, 0, "a deal that is not won brings nothing yet");
    work(&world, valued(100_000, "won"));
    let answer = sources(&world, &filter);
    let money = row(&answer, "google").money;
    assert_eq!((money.cost, money.clicks, money.revenue, money.deals), (20_000, 10, 100_000, 1));
    assert_eq!((money.cpl, money.cac), (Some(20_000.0), Some(20_000.0)));
    assert_eq!((money.roi, money.romi), (Some(4.0), Some(1.5)));
    assert_eq!((answer.currency.as_str(), answer.other_currencies.as_slice()), ("GBP", &["USD".to_owned()][..]));
    assert_eq!(answer.formulas["roi"], "(revenue - cost) / cost");
    assert_eq!(answer.formulas["romi"], "(revenue * margin - cost) / cost");
    work(&world, valued(100_000, "lost"));
    assert_eq!(sources(&world, &filter).total.money.revenue, 0);
}

#[test]
fn r03_the_credit_of_every_model_adds_up_to_the_calls() {
    let world = world();
    let direct: [(&str, &str); 0] = [];
    world.visit(1, "v1", NOON - 14 * DAY, &GOOGLE);
    world.visit(2, "v1", NOON - 7 * DAY, &YANDEX);
    world.visit(3, "v1", NOON, &direct);
    let mut attribution = by_visitor("v1", 0.8, Some(3), &direct);
    attribution.session = Some(session(&direct));
    world.call(CallData { attribution, ..call(1, NOON) });
    let credit = |look_back: i64| {
        let filter = ReportFilter { look_back, ..days(0, 0) };
        let answer = world.read(|reader| report::models(reader, &filter));
        assert_eq!(answer.conversions, 1);
        for model in Model::ALL {
            let sum: f64 = answer.rows.iter().map(|row| row.credits.of(model)).sum();
            assert!((sum - 1.0).abs() < 1e-9 && (answer.total.of(model) - 1.0).abs() < 1e-9, "{model:?} {answer:?}");
        }
        move |name: &str, model: Model| {
            let row = answer.rows.iter().find(|row| row.name == name);
            row.map_or(0.0, |row| (row.credits.of(model) * 1e6).round() / 1e6)
        }
    };
    let month = credit(30);
    assert_eq!(month("google", Model::First), 0.8);
    assert_eq!(month("yandex", Model::LastNonDirect), 0.8);
    assert_eq!(month("direct", Model::Last), 0.8);
    assert_eq!(month("google", Model::Linear), 0.266667);
    assert_eq!(month("google", Model::Position), 0.32);
    assert_eq!(month("direct", Model::TimeDecay), 0.457143);
    assert_eq!(month(UNKNOWN, Model::Linear), 0.2, "what is not certain is nobody's");
    let week = credit(7);
    assert_eq!((week("google", Model::First), week("yandex", Model::First)), (0.0, 0.8));
}

#[test]
fn r08_a_period_stands_beside_the_one_before() {
    let world = world();
    for n in 0..3 {
        world.call(call(n, NOON));
    }
    world.call(call(7, NOON - 2 * DAY));
    world.call(missed_call(8, NOON - 3 * DAY));
    let answer = world.read(|reader| report::overview(reader, &days(-1, 0)));
    assert_eq!((answer.total.calls, answer.previous.calls), (3, 2));
    assert_eq!((answer.period.since.as_str(), answer.period.until.as_str()), ("2026-11-20", "2026-11-21"));
    assert_eq!(answer.previous_period.until, "2026-11-19");
    assert_eq!((answer.change.calls, answer.change.cost), (Some(0.5), None));
    assert_eq!((answer.total.callers, answer.total.first_calls, answer.total.quality_calls), (3, 3, 3));
    assert_eq!((answer.total.talk_ms, answer.total.answered_soon_share), (Some(90_000.0), Some(1.0)));
    assert_eq!(answer.previous.missed_share, Some(0.5));
    assert_eq!(answer.rows.iter().map(|day| day.calls).collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn c04_another_threshold_changes_the_reports_of_the_past() {
    let world = world();
    for (n, talk_ms) in [10_000, 59_999, 60_000, 90_000].into_iter().enumerate() {
        let attribution = by_visitor("v1", 1.0, None, &GOOGLE);
        world.call(CallData { talk_ms, attribution, ..call(n as u64, NOON) });
    }
    let quality = || {
        let total = sources(&world, &days(0, 0)).total;
        (total.quality_calls, (total.quality_credit * 1e6).round() / 1e6)
    };
    assert_eq!(quality(), (2, 2.0));
    for (threshold, wanted) in [("10s", 4), ("61s", 1), ("60s", 2)] {
        let text = CONFIG.replace("quality_talk = \"60s\"", &format!("quality_talk = \"{threshold}\""));
        world.index.configure(&config(&text));
        // The order goes before this event.
        world.tell(NOON, Body::NodeStopped);
        assert_eq!(quality(), (wanted, wanted as f64), "{threshold}");
    }
}

#[test]
fn c05_visitors_callers_quality_calls_and_calls_of_a_channel() {
    let world = world();
    for (n, visitor) in ["a", "b", "c", "a"].into_iter().enumerate() {
        world.visit(n as u128 + 1, visitor, NOON + n as i64 * MINUTE, &GOOGLE);
    }
    world.visit(9, "a", NOON - 5 * DAY, &GOOGLE);
    let google = || by_visitor("a", 1.0, None, &GOOGLE);
    world.call(CallData { attribution: google(), ..call(1, NOON) });
    world.call(CallData { attribution: google(), talk_ms: 3_000, ..call(1, NOON + 9 * MINUTE) });
    world.call(CallData { attribution: google(), ..missed_call(2, NOON) });
    let answer = sources(&world, &days(0, 0));
    let google = row(&answer, "google");
    assert_eq!((google.unique_visitors, google.callers, google.quality_calls, google.calls), (3, 2, 1, 3));
    assert_eq!(google.conversion, Some(2.0 / 3.0));
    assert_eq!(answer.formulas["conversion"], "callers / unique_visitors");
    assert_eq!(row(&sources(&world, &days(-5, 0)), "google").unique_visitors, 3, "who came twice counts once");
    assert_eq!(row(&sources(&world, &days(-5, 0)), "google").visits, 5);
}

#[test]
fn c05_nobody_counts_twice_in_any_span_of_days_and_at_any_place() {
    let world = world();
    let channels: [&[(&str, &str)]; 4] = [&GOOGLE, &YANDEX, &[("source", "google"), ("medium", "organic")], &[]];
    let names = ["google", "yandex", "google", "direct"];
    let mut seen: Vec<(i64, &str, String)> = Vec::new();
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for n in 0..200_u128 {
        let day = -20 + (n / 10) as i64;
        let (channel, visitor) = (draw(4) as usize, format!("v{}", draw(25)));
        world.visit(n + 1, &visitor, NOON + day * DAY + n as i64 * MINUTE % 600, channels[channel]);
        seen.push((day, names[channel], visitor));
    }
    for (since, until) in [(-20, -1), (-20, -20), (-7, -3), (-13, -2), (-1, 0)] {
        let within = || seen.iter().filter(|(day, ..)| (since..=until).contains(day));
        let answer = sources(&world, &days(since, until));
        let mut by_source: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for (_, source, visitor) in within() {
            by_source.entry(source).or_default().insert(visitor);
        }
        for (source, visitors) in by_source {
            assert_eq!(row(&answer, source).unique_visitors, visitors.len() as i64, "{source} {since}..{until}");
        }
        let all: HashSet<&str> = within().map(|(.., visitor)| visitor.as_str()).collect();
        assert_eq!(answer.total.unique_visitors, all.len() as i64, "{since}..{until}");
        assert_eq!(answer.total.visits, within().count() as i64);
    }
}

#[test]
fn c03_first_calls_repeat_calls_and_calls_of_each_caller() {
    let world = world();
    for (n, caller) in [1, 2, 1, 1, 3, 2].into_iter().enumerate() {
        world.call(CallData { call_id: CallId(n as u128 + 1), ..call(caller, NOON + n as i64 * MINUTE) });
    }
    world.call(CallData { caller: None, ..call(9, NOON) });
    let answer = world.read(|reader| report::repeat(reader, &days(0, 0)));
    assert_eq!((answer.calls, answer.first, answer.repeat, answer.withheld), (7, 3, 3, 1));
    assert_eq!((answer.callers, answer.calls_per_caller), (3, Some(2.0)));
    assert_eq!(answer.rows.iter().map(|row| row.calls).collect::<Vec<_>>(), [3, 2, 1, 0, 0, 0, 0, 0, 0, 0]);
    let total = sources(&world, &days(0, 0)).total;
    assert_eq!((total.first_calls, total.repeat_calls), (3, 3));
}

#[test]
fn c10_missed_calls_call_backs_hours_and_agents() {
    let world = world();
    let busy = RouteAttempt { destination: "ben".into(), status: 487, ring_ms: 9_000, redirected: false };
    let took = RouteAttempt { destination: "ann".into(), status: 200, ring_ms: 4_000, redirected: false };
    let route = |attempts: Vec<RouteAttempt>| Some(Box::new(RouteData { attempts, ..RouteData::default() }));
    let lost = [missed_call(1, NOON), missed_call(2, NOON), missed_call(3, NOON)];
    for (n, data) in lost.iter().enumerate() {
        let caller = if n == 2 { None } else { data.caller.clone() };
        world.call(CallData { ended_at: Some(Wall(NOON)), route: route(vec![busy.clone()]), caller, ..data.clone() });
    }
    let again = CallData { route: route(vec![busy, took]), ..call(1, NOON + 9 * MINUTE) };
    world.call(again.clone());
    let missed = || world.read(|reader| report::missed(reader, &days(0, 0)));
    let answer = missed();
    assert_eq!((answer.calls, answer.missed, answer.called_back), (4, 3, 1));
    assert_eq!((answer.not_called_back, answer.withheld), (1, 1));
    assert_eq!(answer.wait_ms, Some(545_000.0), "nine minutes and five seconds till the answer");
    assert_eq!(answer.rows[1], report_wait(15, 1));
    let waiting = Filter { waiting: Some(true), ..Filter::default() };
    let listed = world.read(|reader| reader.calls(&waiting)).calls;
    assert_eq!(listed.iter().map(|view| view.call.call_id).collect::<Vec<_>>(), [lost[1].call_id]);
    let mark = |done| {
        let of = CalledBackData { call_id: lost[1].call_id, company: "acme".into(), by: "ann".into(), done };
        world.tell(NOON + 2 * MINUTE, Body::Work(Box::new(WorkEvent::CalledBack(of))));
    };
    mark(true);
    assert_eq!((missed().not_called_back, missed().rows[0]), (0, report_wait(5, 1)));
    mark(false);
    assert_eq!((missed().not_called_back, missed().rows[0]), (1, report_wait(5, 0)));
    let hours = world.read(|reader| report::hours(reader, &days(0, 0))).rows;
    assert_eq!((hours.len(), hours[0].weekday, hours[0].hour, hours[0].calls), (1, 6, 12, 4), "Saturday at noon");
    let card = [("greeting".to_owned(), 80)].into();
    work(
        &world,
        WorkEvent::Scored(ScoredData {
            call_id: again.call_id,
            company: "acme".into(),
            by: "eve".into(),
            agent: None,
            card,
            score: 80,
        }),
    );
    let agents = world.read(|reader| report::agents(reader, &days(0, 0))).rows;
    let of = |name: &str| agents.iter().find(|agent| agent.agent == name).unwrap();
    assert_eq!((of("ann").answered, of("ann").missed, of("ann").score), (1, 0, Some(80.0)));
    assert_eq!((of("ben").answered, of("ben").missed), (0, 4));
}

fn report_wait(within: i64, calls: i64) -> report::Wait {
    report::Wait { within_min: Some(within), calls }
}

#[test]
fn regions_add_up_and_contradictions_are_counted() {
    let world = world();
    world.visit(1, "v1", NOON, &GOOGLE);
    for (n, region) in ["GB", "GB-LND", "GB-MAN", "FR"].into_iter().enumerate() {
        let mut attribution = by_visitor("v1", 1.0, Some(1), &GOOGLE);
        attribution.caller_region = Some(region.into());
        world.call(CallData { attribution, ..call(n as u64, NOON) });
    }
    world.call(call(9, NOON));
    let answer = world.read(|reader| report::regions(reader, &days(0, 0)));
    assert_eq!((answer.calls, answer.compared, answer.mismatch_share), (5, 4, Some(0.5)));
    assert_eq!(answer.rows.iter().map(|row| row.calls).sum::<i64>(), 5);
}

#[test]
fn attributions_are_held_against_what_forms_tell() {
    let world = world();
    for (n, visitor) in ["a", "b", "c"].into_iter().enumerate() {
        world.call(CallData { attribution: by_visitor(visitor, 0.9, None, &GOOGLE), ..call(n as u64, NOON) });
    }
    world.call(CallData { attribution: by_visitor("d", 0.3, None, &GOOGLE), ..call(7, NOON) });
    world.call(call(8, NOON));
    for (phone, visitor) in [(0, "a"), (1, "somebody else")] {
        work(
            &world,
            WorkEvent::LeadReceived(Box::new(LeadData {
                lead_id: format!("l{phone}"),
                kind: "form".into(),
                company: "acme".into(),
                site: "acme-site".into(),
                visitor_id: Some(visitor.into()),
                phone: call(phone, NOON).caller,
                email: None,
                name: None,
                consent: true,
                session: session(&GOOGLE),
                fields: BTreeMap::new(),
            })),
        );
    }
    let answer = world.read(|reader| report::quality(reader, &days(0, 0)));
    assert_eq!((answer.calls, answer.kinds.visitor, answer.kinds.none), (5, 4, 1));
    assert_eq!((answer.sure_share, answer.unknown_share), (Some(0.75), Some(0.2)));
    let bin = answer.rows[9];
    assert_eq!((bin.calls, bin.checked, bin.right), (3, 2, Some(0.5)));
    assert!((answer.calibration_error.unwrap() - 0.4).abs() < 1e-9, "{answer:?}");
    assert_eq!(sources(&world, &days(0, 0)).total.leads, 2);
}

#[test]
fn p07_a_static_caller_is_joined_to_later_web_visits_with_a_caveat() {
    let world = world();
    let at_billboard = CallData { attribution: by_billboard(), pool: "acme-billboard".into(), ..call(1, NOON) };
    world.call(at_billboard.clone());
    let statics = || world.read(|reader| report::statics(reader, &days(0, 0)));
    assert_eq!((statics().rows[0].calls, statics().rows[0].joined), (1, 0));
    world.visit(5, "v5", NOON + DAY, &GOOGLE);
    world.call(CallData { attribution: by_visitor("v5", 0.95, Some(5), &GOOGLE), ..call(1, NOON + DAY + MINUTE) });
    assert_eq!((statics().rows[0].joined, statics().rows[0].joined_share), (1, Some(1.0)));
    assert!(statics().caveat.contains("not who saw it"));
    let detail = world.read(|reader| reader.detail(at_billboard.call_id)).unwrap();
    assert_eq!((detail.web_visits.len(), detail.web_visits[0].after_the_call), (1, true));
    assert_eq!(detail.web_visits[0].visitor_id, "v5");
    assert!(detail.caveat.is_some() && detail.view.facts.joined);
}

#[test]
fn w06_the_history_of_a_visitor() {
    let world = world();
    let lease = world.visit(1, "v1", NOON, &GOOGLE);
    world.tell(NOON + MINUTE, Body::LeaseSignal { lease: Arc::clone(&lease), signal: "tel_tap".into() });
    let mut moved = Lease::clone(&lease);
    moved.session = session(&YANDEX);
    moved.seen_at = Wall(NOON + 5 * MINUTE);
    world.tell(NOON + 5 * MINUTE, Body::LeaseRenewed(Arc::new(moved.clone())));
    moved.released_at = Some(Wall(NOON + 6 * MINUTE));
    world.tell(NOON + 6 * MINUTE, Body::LeaseReleased(Arc::new(moved)));
    world.call(CallData { attribution: by_visitor("v1", 0.9, Some(1), &GOOGLE), ..call(1, NOON + 2 * MINUTE) });
    let answer = world.read(|reader| report::visitor(reader, None, "v1")).unwrap();
    assert_eq!((answer.visits, answer.calls, answer.rows.len()), (2, 1, 3));
    let Step::Visit(first) = &answer.rows[0] else { panic!("{answer:?}") };
    assert!(first.first && first.term == "kitchen" && first.region == "GB-LND" && first.content == "banner 1");
    assert_eq!(first.landing_page.as_deref(), Some("https://acme.example/kitchens"));
    assert_eq!(first.signals.iter().map(|signal| &*signal.kind).collect::<Vec<_>>(), ["tel_tap"]);
    assert!(matches!(&answer.rows[1], Step::Call { confidence, .. } if *confidence == 0.9));
    let Step::Visit(second) = &answer.rows[2] else { panic!("{answer:?}") };
    assert!(!second.first && second.source == "yandex" && second.ended_at == Some(Wall(NOON + 6 * MINUTE)));
    assert!(world.read(|reader| report::visitor(reader, None, "nobody")).is_none());
    assert!(world.read(|reader| report::visitor(reader, Some(&["other".to_owned()]), "v1")).is_none());
}

#[test]
fn a07_shortage_minutes_stand_beside_the_calls_they_touched() {
    let world = world();
    for hour in 0..3 {
        let window = CountedData {
            pool: "acme-web".into(),
            company: "acme".into(),
            from: Wall(NOON + hour * 60 * MINUTE),
            for_ms: 3_600_000,
            visits: 20,
            free: 10,
            shared: 10,
            busy_max: 8 + hour as u64,
            minutes_short: 7,
            calls: 5,
            calls_contended: 2,
            ..CountedData::default()
        };
        world.tell(NOON, Body::Keeper(Box::new(KeeperEvent::Counted(window))));
    }
    let answer = world.read(|reader| report::pools(reader, &days(0, 0)));
    let sums = answer.rows[0].sums;
    assert_eq!((sums.shortage_minutes, sums.calls, sums.affected_calls, sums.busy_max), (21, 15, 6, 10));
    assert_eq!((answer.rows[0].short_share, answer.rows[0].affected_share), (Some(0.5), Some(0.4)));
    assert_eq!(answer.rows[0].by_day.len(), 1);
}

#[test]
fn w08_numbers_saved_against_accuracy_lost() {
    let world = world();
    let window = CountedData {
        pool: "acme-web".into(),
        company: "acme".into(),
        from: Wall(NOON),
        for_ms: 3_600_000,
        visits: 100,
        free: 40,
        source_static: 60,
        busy_max: 8,
        ..CountedData::default()
    };
    world.tell(NOON, Body::Keeper(Box::new(KeeperEvent::Counted(window))));
    world.call(CallData { attribution: by_visitor("v1", 0.9, None, &GOOGLE), ..call(1, NOON) });
    world.call(CallData { attribution: by_billboard(), ..call(2, NOON) });
    let answer = world.read(|reader| report::savings(reader, &days(0, 0)));
    let row = &answer.rows[0];
    assert_eq!((row.numbers_used, row.numbers_for_all, row.numbers_saved), (8, 20, 12));
    assert_eq!((row.selective_share, row.accuracy_lost), (Some(0.6), Some(0.5)));
}

#[test]
fn labels_are_counted_where_the_calls_came_from() {
    let world = world();
    let data = CallData { attribution: by_visitor("v1", 1.0, None, &GOOGLE), ..call(1, NOON) };
    world.call(data.clone());
    for label in [Some("spam"), Some("good"), None, Some("good")] {
        work(
            &world,
            WorkEvent::Labelled(LabelledData {
                call_id: data.call_id,
                company: "acme".into(),
                by: "anna".into(),
                label: label.map(str::to_owned),
                rule: None,
            }),
        );
    }
    assert_eq!(row(&sources(&world, &days(0, 0)), "google").labels, [("good".to_owned(), 1)].into());
    let audit = world.read(|reader| report::audit(reader, &days(-1, 1), Some("labelled"), None));
    assert_eq!(audit.rows.len(), 4);
}

/// W9: two ids of one person are told together, share the credit of later calls, and can be parted.
#[test]
fn w09_browsers_of_one_user_and_of_equal_forms_are_one_person() {
    let world = world();
    for (n, visitor) in ["phone", "laptop", "tablet", "shared", "stranger"].into_iter().enumerate() {
        world.visit(n as u128 + 1, visitor, NOON + n as i64 * MINUTE, &GOOGLE);
    }
    let identified = |visitor: &str, user: &str| {
        let (company, visitor_id) = ("acme".to_owned(), visitor.to_owned());
        let user = IdentifiedData::key("acme", user);
        work(&world, WorkEvent::VisitorIdentified(IdentifiedData { company, visitor_id, user }));
    };
    let form = |visitor: &str, phone: Option<u64>, email: Option<&str>| {
        let lead_id = format!("{visitor} {phone:?} {email:?}");
        let data = LeadData {
            lead_id,
            kind: "form".into(),
            company: "acme".into(),
            site: "acme-site".into(),
            visitor_id: Some(visitor.into()),
            phone: phone.and_then(|n| call(n, NOON).caller),
            email: email.map(str::to_owned),
            name: None,
            consent: false,
            session: session(&GOOGLE),
            fields: BTreeMap::new(),
        };
        work(&world, WorkEvent::LeadReceived(Box::new(data)));
    };
    let told = |id: &str| {
        let timeline = world.read(|reader| report::visitor(reader, None, id)).expect("known");
        let mut joined: Vec<_> =
            timeline.joined.iter().map(|other| format!("{} {}", other.visitor_id, other.how)).collect();
        joined.sort();
        joined
    };
    identified("phone", "anna");
    assert!(told("phone").is_empty());
    identified("laptop", "anna");
    assert_eq!((told("phone"), told("laptop")), (vec!["laptop user".to_owned()], vec!["phone user".to_owned()]));
    // A browser at which two people sign in would make them one.
    identified("shared", "anna");
    assert_eq!(told("phone"), ["laptop user", "shared user"]);
    identified("shared", "boris");
    identified("stranger", "boris");
    assert_eq!((told("phone"), told("shared"), told("stranger")), (vec!["laptop user".to_owned()], vec![], vec![]));
    // Forms: by number or by address, however it is written.
    form("tablet", None, Some("anna@home.example"));
    form("phone", Some(1), Some("Anna@Home.example"));
    let names: Vec<_> = told("tablet").iter().map(|told| told[..told.find(' ').unwrap()].to_owned()).collect();
    assert_eq!(names, ["laptop", "phone"], "and who is one with them");
    form("stranger", Some(2), None);
    assert!(told("stranger").is_empty());
    // What somebody took apart stays apart, though the same user signs in again.
    let text = |text: &str| text.to_owned();
    let (visitor_id, other_id) = (text("phone"), text("laptop"));
    let part = JoinData { company: text("acme"), visitor_id, other_id, how: text("by_hand"), by: text("ann") };
    work(&world, WorkEvent::VisitorParted(part));
    identified("laptop", "anna");
    assert!(told("laptop").is_empty());
}

#[test]
fn w09_visitors_who_are_joined_have_one_history_until_they_are_parted() {
    let world = world();
    let join = |together: bool| {
        let text = |text: &str| text.to_owned();
        let data = JoinData {
            company: text("acme"),
            visitor_id: text("phone"),
            other_id: text("laptop"),
            how: text("by_hand"),
            by: text("ann"),
        };
        if together { WorkEvent::VisitorJoined(data) } else { WorkEvent::VisitorParted(data) }
    };
    world.visit(1, "laptop", NOON, &GOOGLE);
    world.visit(2, "phone", NOON + MINUTE, &YANDEX);
    let told = |id: &str| {
        let timeline = world.read(|reader| report::visitor(reader, None, id)).expect("known");
        let joined: Vec<_> = timeline.joined.iter().map(|other| other.visitor_id.clone()).collect();
        (timeline.visits, timeline.rows.len(), joined)
    };
    assert_eq!(told("phone"), (1, 1, vec![]));
    work(&world, join(true));
    // A second time, and the other way round, is the same.
    work(&world, join(true));
    assert_eq!(told("phone"), (2, 2, vec!["laptop".to_owned()]));
    assert_eq!(told("laptop"), (2, 2, vec!["phone".to_owned()]));
    world.call(CallData { attribution: by_visitor("phone", 1.0, Some(2), &YANDEX), ..call(1, NOON + 2 * MINUTE) });
    let first = ReportFilter { model: Model::First, ..days(0, 0) };
    assert_eq!(row(&sources(&world, &first), "google").credit, 1.0, "the laptop was there first");
    work(&world, join(false));
    assert_eq!(told("phone"), (1, 2, vec![]), "its visit and its call");
    assert_eq!(told("laptop"), (1, 1, vec![]));
    // What was told of the call stays: it was so when it was told.
    assert_eq!(row(&sources(&world, &first), "google").credit, 1.0);
}
