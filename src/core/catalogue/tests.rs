//! Choice, explanation, exclusion, ledger.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use std::net::IpAddr;

use super::*;
use crate::config::{Config, Money};
use crate::core::event::{Body, CallData, Event};
use crate::core::lease::{Class, Lease, Page};
use crate::core::source::completed;
use crate::ids::{CallId, E164, LeaseId};
use crate::time::Mono;

const BASE: &str = r#"
[[company]]
name = "acme"
forward_to = ["sip:1@192.0.2.1"]
[[company]]
name = "other"
forward_to = ["sip:2@192.0.2.1"]
[[site]]
name = "shop"
company = "acme"
origins = ["https://shop.example"]
"#;

fn config(more: &str) -> Config {
    Config::parse(&format!("{BASE}{more}"), "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(more: &str) -> String {
    Config::parse(&format!("{BASE}{more}"), "", Path::new("")).expect_err("a mistake").to_string()
}

fn pool(name: &str, number: u32, keys: &str) -> String {
    format!(
        "[[pool]]\nname = \"{name}\"\ncompany = \"acme\"\nsite = \"shop\"\nkind = \"dynamic\"\n\
         numbers = [\"+44207946{number:04}\"]\n{keys}\n"
    )
}

fn fixed(name: &str, number: u32, channel: &str) -> String {
    format!(
        "[[pool]]\nname = \"{name}\"\ncompany = \"acme\"\nkind = \"static\"\nnumbers = [\"+44207946{number:04}\"]\n\
         channel = {{ {channel} }}\n"
    )
}

fn visit(page: &str, referrer: &str) -> Session {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    completed(Session { landing_page: some(page), referrer: some(referrer), ..Session::default() })
}

fn noon() -> Wall {
    // A Sunday.
    Wall::parse_rfc3339("2026-11-22T12:00:00Z").expect("a time")
}

fn facts<'a>(session: &'a Session, source: &'a Source) -> Facts<'a> {
    Facts { session, source, device: Device::Unknown, region: None, language: None, at: noon() }
}

/// Names of the pools that fit a page, in order; checked against the explanation.
fn chosen(config: &Config, page: &str, referrer: &str) -> Vec<String> {
    let session = visit(page, referrer);
    let source = Source::of(&session);
    of_facts(config, &facts(&session, &source))
}

fn of_facts(config: &Config, facts: &Facts<'_>) -> Vec<String> {
    let selector = Selector::new(&config.pools, &config.sites);
    let names: Vec<String> =
        selector.choose("shop", facts).into_iter().map(|index| config.pools[index].name.clone()).collect();
    let explained = explain(&config.sites[0], None, &config.pools, &Visit::default(), facts);
    let fitting = explained.pools.iter().filter(|view| view.fits).map(|view| view.pool.clone());
    assert_eq!(fitting.collect::<Vec<_>>(), names, "the explanation is of the choice");
    names
}

#[test]
fn p01_a_number_is_of_one_pool_in_whatever_form_it_is_written() {
    let twice = format!("{}{}", pool("a", 1, ""), pool("b", 2, "").replace("+442079460002", "+44 (20) 7946-00.01"));
    assert!(refused(&twice).contains("+442079460001 stands in pool `a` too; a number belongs to one pool, once"));
    let within =
        pool("a", 1, "").replace("[\"+442079460001\"]", "[\"+442079460000..+442079460009\", \"+44 20 7946 0004\"]");
    assert!(refused(&within).contains("stands in this pool twice"));
}

#[test]
fn p17_conversations_are_recorded_unless_somebody_says_otherwise() {
    let pools = [pool("web", 1, ""), fixed("board", 500, "source = \"board\"")].concat();
    let config = config(&pools);
    assert!(config.recording.enabled);
    assert!(config.companies.iter().all(|company| company.recording.is_none()));
    assert!(config.pools.iter().all(|pool| pool.recording.is_none()), "nothing switches it off");
}

#[test]
fn p05_a_static_channel_needs_no_site() {
    let config = config(&fixed("board", 500, "source = \"billboard\", medium = \"offline\"").replace("shop", ""));
    assert_eq!(config.pools[0].site, None);
    assert!(warnings(&config).is_empty());
}

#[test]
fn p06_a_static_channel_of_an_online_source_is_warned_of() {
    let more = [
        fixed("ads", 500, "source = \"Google\", medium = \"cpc\""),
        fixed("vk", 501, "source = \"vk\""),
        fixed("flyer", 502, "source = \"yandex\", medium = \"offline\""),
        fixed("card", 503, "source = \"business card\""),
        fixed("behind", 504, "source = \"google\""),
        pool("web", 1, "static_pools = [\"behind\"]"),
    ];
    let warned = warnings(&config(&more.concat()));
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[0].starts_with("pool ads: `Google` is an online source"), "{}", warned[0]);
    assert!(warned[1].starts_with("pool vk: "), "{}", warned[1]);
}

#[test]
fn p10_priority_then_the_most_specific_then_the_name() {
    let more = [
        pool("zeta", 1, "priority = 10"),
        pool("beta", 2, "priority = 5\n[[pool.conditions]]\nutm_source = \"yandex\""),
        pool("alfa", 3, "priority = 5"),
        pool(
            "gamma",
            4,
            "priority = 5\ntraffic = [\"yandex_direct\"]\n[[pool.conditions]]\nutm_source = \"yandex\"\nutm_campaign = \"kitchens*\"",
        ),
        pool("delta", 5, "priority = 5"),
    ];
    let config = config(&more.concat());
    let page = "https://shop.example/?utm_source=Yandex&utm_medium=cpc&utm_campaign=Kitchens%202026";
    assert_eq!(chosen(&config, page, ""), ["zeta", "gamma", "beta", "alfa", "delta"]);
    assert_eq!(chosen(&config, "https://shop.example/?utm_source=yandex", ""), ["zeta", "beta", "alfa", "delta"]);
    assert_eq!(chosen(&config, "https://shop.example/", ""), ["zeta", "alfa", "delta"]);

    let session = visit(page, "");
    let source = Source::of(&session);
    let explained = explain(&config.sites[0], None, &config.pools, &Visit::default(), &facts(&session, &source));
    let because: Vec<&str> = explained.pools.iter().map(|view| view.because.as_str()).collect();
    assert_eq!(
        because,
        [
            "fits, and is asked first",
            "fits; `zeta` has priority 10, this one 5",
            "fits; `gamma` has the same priority and asked for more (3 against 1)",
            "fits; `beta` has the same priority and asked for more (1 against 0)",
            "fits; `alfa` has the same priority, asked for as much, and comes first by name",
        ]
    );
    let session = visit("https://shop.example/?utm_source=google", "");
    let source = Source::of(&session);
    let explained = explain(&config.sites[0], None, &config.pools, &Visit::default(), &facts(&session, &source));
    let gamma = explained.pools.iter().find(|view| view.pool == "gamma").expect("there");
    assert_eq!(gamma.because, "does not fit: traffic, conditions[0].utm_source, conditions[0].utm_campaign");
    let check =
        Check { key: "conditions[0].utm_source".into(), wanted: "yandex".into(), found: "google".into(), holds: false };
    assert!(gamma.checks.contains(&check), "{:?}", gamma.checks);
}

#[test]
fn w03_a_number_is_shown_only_where_the_conditions_fit() {
    let fits = |keys: &str, facts: &Facts<'_>| {
        !of_facts(&config(&pool("web", 1, &format!("[[pool.conditions]]\n{keys}"))), facts).is_empty()
    };
    let page = "https://shop.example/Kitchens/oak?utm_source=YaDirect&utm_medium=cpc&utm_term=%D0%BA%D1%83%D1%85%D0%BD%D0%B8&yclid=7";
    let session = visit(page, "https://m.vk.com/away");
    let source = Source::of(&session);
    let there =
        Facts { device: Device::Mobile, region: Some("RU-MOW"), language: Some("ru"), ..facts(&session, &source) };
    let bare = visit("https://shop.example/", "");
    let direct = Source::of(&bare);
    let nothing = facts(&bare, &direct);
    for (keys, first, second) in [
        ("utm_source = \"yadirect\"", true, false),
        ("utm_source = \"yandex\"", false, false),
        ("utm_medium = [\"cpc\", \"cpm\"]", true, false),
        ("utm_term = \"*Кухни*\"", true, false),
        ("utm_content = \"*\"", false, false),
        ("utm_campaign = \"!test\"", true, true),
        ("source = \"direct\"", false, true),
        ("medium = [\"cpc\", \"none\"]", true, true),
        ("click_ids = [\"gclid\", \"yclid\"]", true, false),
        ("click_ids = \"gclid\"", false, false),
        ("referrer = \"vk.com\"", true, false),
        ("referrer = \"!vk.com\"", false, true),
        ("landing_path = \"/kitchens/*\"", true, false),
        ("landing_path = \"/\"", false, true),
        ("device = [\"mobile\", \"tablet\"]", true, false),
        ("region = \"RU\"", true, false),
        ("region = \"!RU-MOW\"", false, true),
        ("language = \"ru\"", true, false),
        ("time_zone = \"Europe/Moscow\"\nhours = [\"09:00-18:00\"]", true, true),
        ("time_zone = \"Europe/Moscow\"\nhours = [\"09:00-18:00\"]\ndays = [\"monday\"]", false, false),
        ("time_zone = \"America/New_York\"\nhours = [\"09:00-18:00\"]", false, false),
        ("utm_source = \"yadirect\"\ndevice = \"desktop\"", false, false),
        ("utm_source = \"yadirect\"\n[[pool.conditions]]\ndevice = \"desktop\"", true, false),
    ] {
        assert_eq!((fits(keys, &there), fits(keys, &nothing)), (first, second), "{keys}");
    }
    let explained = explain(
        &config("").sites[0],
        None,
        &config(&pool("web", 1, "[[pool.conditions]]\nutm_source = \"yadirect\"")).pools,
        &Visit::default(),
        &nothing,
    );
    assert_eq!((explained.verdict, explained.reason), ("real_number", Some("no_pool_fits")));
}

#[test]
fn w07_offices_staff_and_crawlers_see_the_real_number() {
    let config = config("exclude = [\"203.0.113.0/24\", \"2001:db8:1::/48\"]\nstaff_secret = \"a secret of tests\"\n");
    let visits = &config.sites[0].visits;
    let (session, source) = (Session::default(), Source::default());
    let facts = facts(&session, &source);
    let of =
        |address: &str| Visit { address: Some(address.parse().unwrap()), ..Visit::default() }.judge(visits, &facts);
    assert_eq!(of("203.0.113.77"), Judgement::Excluded("excluded_address"));
    assert_eq!(of("::ffff:203.0.113.77"), Judgement::Excluded("excluded_address"));
    assert_eq!(of("2001:db8:1:5::9"), Judgement::Excluded("excluded_address"));
    assert_eq!(of("203.0.114.1"), Judgement::Number);
    assert_eq!(of("2001:db8:2::1"), Judgement::Number);

    let staff = Staff::new("a secret of tests");
    let until = noon() + Duration::from_secs(60);
    let proof = staff.proof(until);
    let shown = |proof: &str, at: Wall| {
        Visit { staff: Some(proof), ..Visit::default() }.judge(visits, &Facts { at, ..facts }).code()
    };
    assert_eq!(shown(&proof, noon()), Some("excluded_staff"));
    assert_eq!(shown(&proof, until), None, "it has ended");
    let later = proof.replacen(char::is_numeric, "9", 1);
    for forged in [
        "",
        ".",
        "9999999999.",
        &later,
        &proof.replace('.', ":"),
        &format!("9{proof}"),
        &"é".repeat(40),
        &proof[..proof.len() - 1],
    ] {
        assert_eq!(shown(forged, noon()), None, "{forged}");
    }
    assert_eq!(shown(&Staff::new("another").proof(until), noon()), None);

    assert!(is_crawler("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)"));
    assert!(is_crawler("Googlebot/2.1 (+http://www.google.com/bot.html)"));
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
    assert!(!is_crawler(chrome));
    for code in ["bot", "prefetch"] {
        let nobody = Visit { nobody: Some(code), ..Visit::default() };
        assert_eq!(nobody.judge(visits, &facts), Judgement::Excluded(code));
    }
    let open = crate::config::Visits { bots: false, ..visits.clone() };
    assert_eq!(Visit { nobody: Some("bot"), ..Visit::default() }.judge(&open, &facts), Judgement::Number);
}

#[test]
fn w07_an_address_cannot_drain_a_pool() {
    let mut quota = AddressQuota::default();
    let second = |n: u64| Mono(n * 1_000_000_000);
    let [one, near, far] = ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"].map(|a| a.parse::<IpAddr>().unwrap());
    for n in 0..5 {
        assert!(quota.may(one, 5, second(n)));
        quota.count(one, second(n));
    }
    assert!(!quota.may(near, 5, second(10)), "of one network");
    assert!(quota.may(far, 5, second(10)) && quota.may(one, 0, second(10)));
    assert!(quota.may(one, 5, second(3_600)), "an hour later");
    for n in 0..u32::try_from(crate::limits::QUOTA_ADDRESSES).unwrap() + 100 {
        quota.count(IpAddr::from(n.to_be_bytes()), second(10));
    }
    assert!(!quota.may(one, 5, second(20)), "who was known stays known");
}

#[test]
fn w08_numbers_are_spent_on_visits_worth_one() {
    let rule = config("track = \"rule\"\n[[site.worth]]\nmedium = \"cpc\"\n[[site.worth]]\nclick_ids = \"gclid\"\n");
    let score_of_50 = config("track = \"score\"\nscore_min = 50\n[[site.worth]]\nlanding_path = \"/kitchens\"\n");
    let judged = |config: &Config, page: &str, device, returning| {
        let session = visit(page, "");
        let source = Source::of(&session);
        let facts = Facts { device, ..facts(&session, &source) };
        Visit { returning, ..Visit::default() }.judge(&config.sites[0].visits, &facts).code()
    };
    let not = Some("not_worth_a_number");
    let paid = "https://shop.example/?utm_source=yandex&utm_medium=cpc";
    for (page, device, returning, by_rule, by_score) in [
        (paid, Device::Desktop, false, None, None),
        ("https://shop.example/?gclid=1", Device::Desktop, false, None, None),
        ("https://shop.example/", Device::Desktop, false, not, not),
        ("https://shop.example/", Device::Mobile, false, not, not),
        ("https://shop.example/", Device::Mobile, true, not, None),
        ("https://shop.example/kitchens", Device::Desktop, false, not, None),
        ("https://shop.example/?ysclid=1&utm_term=oak", Device::Mobile, false, not, None),
    ] {
        assert_eq!(judged(&rule, page, device, returning), by_rule, "{page} by rule");
        assert_eq!(judged(&score_of_50, page, device, returning), by_score, "{page} by score");
    }
    assert!(refused("track = \"rule\"\n").contains("needs [[site.worth]]"));
    let session = visit(paid, "");
    let source = Source::of(&session);
    let facts = Facts { device: Device::Mobile, ..facts(&session, &source) };
    let parts = vec![("paid visit", 50), ("on a phone", 20), ("was here before", 20)];
    assert_eq!(score(&facts, true), Score { points: 90, parts });
}

#[test]
fn w08_others_see_the_static_number_of_their_source() {
    let more = [
        pool("web", 1, "static_pools = [\"ya\", \"ya-kitchens\", \"site\"]\noverflow_pool = \"rest\""),
        fixed("ya", 500, "source = \"Yandex\""),
        fixed("ya-kitchens", 501, "source = \"yandex\", medium = \"cpc\", campaign = \"kitchens\""),
        fixed("site", 502, "source = \"direct\""),
        fixed("rest", 503, "source = \"website\""),
    ];
    let config = config(&more.concat());
    let fallbacks = Fallbacks::new(&config.pools);
    let behind = |page: &str| {
        let found = fallbacks.behind(["web"].into_iter(), &Source::of(&visit(page, ""))).expect("a number");
        (found.pool, found.class)
    };
    let kitchens = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=Kitchens";
    assert_eq!(behind(kitchens), ("ya-kitchens".to_owned(), Class::SourceStatic));
    assert_eq!(behind("https://shop.example/?yclid=1"), ("ya".to_owned(), Class::SourceStatic));
    assert_eq!(behind("https://shop.example/"), ("site".to_owned(), Class::SourceStatic));
    assert_eq!(behind("https://shop.example/?gclid=1"), ("rest".to_owned(), Class::Overflow));
    assert_eq!(fallbacks.behind(["nobody"].into_iter(), &Source::default()), None);
    for (keys, says) in [
        ("static_pools = [\"nobody\"]", "there is no pool `nobody`"),
        ("overflow_pool = \"web\"", "pool `web` is dynamic"),
        ("static_pools = [\"bare\"]", "the channel of pool `bare` has no `source`"),
    ] {
        let text = format!("{}{}", pool("web", 1, keys), fixed("bare", 500, "name = \"x\""));
        assert!(refused(&text).contains(says), "{keys}: {}", refused(&text));
    }
}

fn lease(company: &str, pool: &str, at: Wall, class: Class) -> Event {
    let lease = Arc::new(Lease {
        lease_id: LeaseId(1),
        number: E164::parse("+442079460001").unwrap(),
        company: company.into(),
        site: "shop".into(),
        pool: pool.into(),
        visitor_id: "v".into(),
        session: Arc::default(),
        granted_at: at,
        seen_at: at,
        expires_at: at,
        released_at: None,
        hold_until: at,
        shared: false,
        class,
        page: Page::default(),
    });
    Event { time: at, subject: String::new(), body: Body::LeaseGranted(lease) }
}

fn call(pool: &str, caller: Option<&str>, talk: u64, at: Wall) -> Event {
    let number = E164::parse("+442079460500").unwrap();
    let mut call = CallData::new(CallId(1), number, crate::core::event::Attribution::default(), at);
    call.company = "acme".into();
    call.pool = pool.into();
    call.caller = caller.map(str::to_owned);
    call.talk_ms = talk;
    call.answered_at = (talk > 0).then_some(at);
    Event { time: at, subject: String::new(), body: Body::CallEnded(Box::new(call)) }
}

const PRICED: &str = r#"
[[company]]
name = "acme"
forward_to = ["sip:1@192.0.2.1"]
[company.tracking]
display_price = "0.02"
number_price = "1.50"
day_cap = "0.06"
month_cap = "0.10"
[[site]]
name = "shop"
company = "acme"
origins = ["https://shop.example"]
"#;

fn priced(more: &str) -> Config {
    Config::parse(&format!("{PRICED}{more}"), "", Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn p21_a_lease_is_what_is_billed_until_the_cap() {
    let config = priced(&[pool("web", 1, ""), fixed("board", 500, "source = \"board\"")].concat());
    let tracking = &config.companies[0].tracking;
    let mut ledger = Ledger::default();
    let day = Duration::from_secs(86_400);
    for n in 0..3 {
        assert_eq!(ledger.exhausted("acme", tracking, noon()), None, "{n}");
        ledger.observe(&lease("acme", "web", noon(), Class::Free));
    }
    ledger.observe(&lease("acme", "board", noon(), Class::SourceStatic));
    assert_eq!(ledger.exhausted("acme", tracking, noon()), Some("day_cap_reached"));
    assert_eq!(ledger.exhausted("other", tracking, noon()), None);
    assert_eq!(ledger.exhausted("acme", tracking, noon() + day), None, "the next day");
    for _ in 0..2 {
        ledger.observe(&lease("acme", "web", noon() + day, Class::Shared));
    }
    assert_eq!(ledger.exhausted("acme", tracking, noon() + day), Some("month_cap_reached"));
    assert_eq!(ledger.exhausted("acme", tracking, noon() + 30 * day), None, "the next month");
    // What is no lease costs nothing.
    let Body::LeaseGranted(one) = lease("acme", "web", noon(), Class::Free).body else { panic!("a grant") };
    for body in [Body::LeaseRenewed(Arc::clone(&one)), Body::LeaseReleased(Arc::clone(&one)), Body::LeaseExpired(one)] {
        ledger.observe(&Event { time: noon(), subject: String::new(), body });
    }
    let rows = ledger.month(&config, noon());
    let web = rows.iter().find(|row| row.pool == "web").expect("a row");
    assert_eq!((web.month.as_str(), web.displays, web.display_cost), ("2026-11", 5, Money::parse("0.10").unwrap()));
}

#[test]
fn p22_a_static_channel_costs_its_number() {
    let config = priced(&[pool("web", 1, ""), fixed("board", 500, "source = \"board\"")].concat());
    let rows = Ledger::default().month(&config, noon());
    let cost: BTreeMap<&str, (&str, String, String)> = rows
        .iter()
        .map(|row| (row.pool.as_str(), (row.kind, row.display_cost.to_string(), row.number_cost.to_string())))
        .collect();
    assert_eq!(cost["board"], ("static", "0.00".to_owned(), "1.50".to_owned()));
    assert_eq!(cost["web"], ("dynamic", "0.00".to_owned(), "1.50".to_owned()));
}

#[test]
fn p23_a_flat_plan_includes_numbers() {
    let flat = |overage: &str| {
        let tracking = format!(
            "plan = \"flat\"\nfee = \"3690\"\nnumbers_included = 3\nnumber_price = \"150\"\noverage = \"{overage}\"\n[[site]]"
        );
        let head = PRICED.replace(
            "display_price = \"0.02\"\nnumber_price = \"1.50\"\nday_cap = \"0.06\"\nmonth_cap = \"0.10\"\n[[site]]",
            &tracking,
        );
        let pools = pool("web", 1, "").replace("[\"+442079460001\"]", "[\"+442079460001..+442079460004\"]");
        Config::parse(&format!("{head}{pools}{}", fixed("board", 500, "source = \"board\"")), "", Path::new(""))
    };
    let config = flat("charge").unwrap_or_else(|problems| panic!("{problems}"));
    let mut ledger = Ledger::default();
    ledger.observe(&lease("acme", "web", noon(), Class::Free));
    let rows = ledger.month(&config, noon());
    let costs: Vec<(&str, u64, String, String)> = rows
        .iter()
        .map(|row| (row.pool.as_str(), row.displays, row.display_cost.to_string(), row.number_cost.to_string()))
        .collect();
    assert_eq!(costs, [("board", 0, "0.00".into(), "150.00".into()), ("web", 1, "0.00".into(), "150.00".into())]);
    let refused = flat("refuse").expect_err("too many numbers").to_string();
    assert!(refused.contains("has 5 numbers in its pools and 3 are included in its plan"), "{refused}");
}

#[test]
fn p24_what_a_company_may_use_can_be_withheld() {
    let with = |features: &str, more: &str| {
        let head = PRICED.replace("day_cap", &format!("features = {features}\nday_cap"));
        Config::parse(&format!("{head}{more}"), "", Path::new(""))
    };
    let params = pool("web", 1, "binding = \"params\"");
    let conditions = pool("web", 1, "traffic = [\"organic\"]");
    for (features, more, says) in [
        ("[]", pool("web", 1, ""), "does not have the feature \"dynamic\""),
        ("[\"dynamic\"]", params.clone(), "does not have the feature \"params\""),
        ("[\"dynamic\"]", conditions.clone(), "does not have the feature \"conditions\""),
        (
            "[\"dynamic\"]",
            format!("track = \"score\"\n{}", pool("web", 1, "")),
            "does not have the feature \"selective\"",
        ),
    ] {
        let problems = with(features, &more).expect_err("withheld").to_string();
        assert!(problems.contains(says), "{problems}");
    }
    for (features, more) in [
        ("[]", fixed("board", 500, "source = \"board\"")),
        ("[\"dynamic\", \"params\"]", params),
        ("[\"dynamic\", \"conditions\"]", conditions),
    ] {
        assert!(with(features, &more).is_ok(), "{features}");
    }
    let limited = PRICED.replace("day_cap", "numbers_max = 1\nday_cap");
    let two = format!("{limited}{}{}", pool("a", 1, ""), pool("b", 2, ""));
    let problems = Config::parse(&two, "", Path::new("")).expect_err("too many").to_string();
    assert!(problems.contains("has 2 numbers in its pools; `tracking.numbers_max` is 1"), "{problems}");
}

#[test]
fn p04_calls_of_a_static_channel_are_counted_by_region() {
    let config = priced(&fixed("board", 500, "source = \"board\""));
    let mut ledger = Ledger::default();
    for caller in [Some("+442079460123"), Some("+442079460124"), Some("+79161234567"), None, Some("anonymous")] {
        ledger.observe(&call("board", caller, 5_000, noon()));
    }
    let row = ledger.month(&config, noon()).remove(0);
    let regions: Vec<(&str, u64)> = row.regions.iter().map(|(region, calls)| (region.as_str(), *calls)).collect();
    assert_eq!(regions, [("GB", 2), ("RU", 1), ("unknown", 2)]);
    assert_eq!(row.regions.values().sum::<u64>(), row.calls);
}

#[test]
fn c04_a_quality_call_is_one_with_so_much_talk_as_the_pool_says_now() {
    let with =
        |talk: &str| priced(&format!("{}quality_talk = \"{talk}\"\n", fixed("board", 500, "source = \"board\"")));
    let mut ledger = Ledger::default();
    for talk in [0, 29_000, 29_900, 30_000, 61_000, 90_000_000] {
        ledger.observe(&call("board", None, talk, noon()));
    }
    let quality = |config: &Config| ledger.month(config, noon())[0].quality_calls;
    assert_eq!(quality(&with("30s")), 3);
    assert_eq!(quality(&with("1m")), 2, "the same calls, another threshold");
    assert_eq!(quality(&with("24h")), 1);
    let row = ledger.month(&with("30s"), noon()).remove(0);
    assert_eq!((row.calls, row.answered), (6, 5));
}

#[test]
fn p09_a_title_can_change_and_the_name_stays_the_key_of_reports() {
    let mut ledger = Ledger::default();
    ledger.observe(&call("web", None, 5_000, noon()));
    for title in ["Kitchens", "Kitchens and doors"] {
        let row = ledger.month(&priced(&pool("web", 1, &format!("title = \"{title}\""))), noon()).remove(0);
        assert_eq!((row.pool.as_str(), row.title.as_deref(), row.calls), ("web", Some(title), 1));
    }
    let gone = ledger.month(&priced(""), noon()).remove(0);
    assert_eq!((gone.pool.as_str(), gone.kind, gone.calls), ("web", "removed", 1));
}

prop_compose! {
    fn any_pools()(pools in prop::collection::vec((0..3_u32, 0..6_usize, 0..6_usize), 1..8)) -> String {
        const KEYS: [&str; 6] = ["", "traffic = [\"organic\", \"yandex_direct\"]", "traffic = [\"direct\"]", "", "", ""];
        const CONDITIONS: [&str; 6] = [
            "",
            "[[pool.conditions]]\nutm_source = \"a*\"",
            "[[pool.conditions]]\nutm_source = \"a*\"\nutm_medium = \"!cpc\"\n[[pool.conditions]]\nlanding_path = \"/x*\"",
            "[[pool.conditions]]\ndevice = \"mobile\"",
            "[[pool.conditions]]\nmedium = \"none\"\nreferrer = \"!vk.com\"",
            "[[pool.conditions]]\nclick_ids = \"yclid\"",
        ];
        pools.iter().zip(1..).map(|((priority, keys, conditions), n)| {
            pool(&format!("p{n}"), n, &format!("priority = {priority}\n{}\n{}", KEYS[*keys], CONDITIONS[*conditions]))
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What is explained is what is chosen; the choice is a total order that does not depend on the order of the file.
    #[test]
    fn choice_and_explanation_agree_and_the_order_is_total(
        text in any_pools(),
        page in "https://shop\\.example/[xy]?(\\?(utm_source=[ab]|yclid=1|utm_source=a&utm_medium=cpc))?",
        mobile in any::<bool>(),
    ) {
        let mut config = config(&text);
        let session = visit(&page, "");
        let source = Source::of(&session);
        let device = if mobile { Device::Mobile } else { Device::Desktop };
        let facts = Facts { device, ..facts(&session, &source) };
        let names = of_facts(&config, &facts);
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        prop_assert_eq!(distinct.len(), names.len());
        config.pools.reverse();
        prop_assert_eq!(of_facts(&config, &facts), names);
    }
}
