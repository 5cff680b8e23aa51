//! What is decided from what is known, in virtual time and with the built-in model.

use super::*;
use crate::core::event::Session;
use crate::core::lease::{Change, Class, Device, Lease, Page};
use crate::ids::LeaseId;

const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
const T0: Wall = Wall(1_790_000_000_000_000);
const CALLER: &str = "+442079460900";

/// Visitor `v<id>` of a campaign of their own, who sees the number since [`T0`].
fn lease(id: u128) -> Lease {
    Lease {
        lease_id: LeaseId(id),
        number: number(),
        company: "acme".into(),
        site: "site".into(),
        pool: "web".into(),
        visitor_id: format!("v{id}"),
        session: Arc::new(Session {
            utm: [("source", format!("s{id}")), ("campaign", format!("c{id}"))].map(|(k, v)| (k.into(), v)).into(),
            ..Session::default()
        }),
        granted_at: T0,
        seen_at: T0,
        expires_at: T0 + Duration::from_secs(90),
        released_at: None,
        hold_until: T0 + Duration::from_secs(1_800),
        shared: false,
        class: Class::Free,
        page: Page { device: Device::Mobile, ..Page::default() },
    }
}

fn on_page(lease: Lease) -> Change {
    Change::Active(Arc::new(lease))
}

fn gone(lease: Lease, after: u64) -> Change {
    let left = T0 + Duration::from_secs(after);
    Change::Ended(Arc::new(Lease { released_at: Some(left), seen_at: left, ..lease }))
}

fn number() -> E164 {
    E164::parse("+442079460007").unwrap()
}

struct Desk {
    table: LeaseTable,
    who: Attributor,
}

impl Desk {
    fn new(changes: &[Change]) -> Desk {
        let table = LeaseTable::new();
        for (change, revision) in changes.iter().zip(1..) {
            table.apply(change, revision);
        }
        Desk { table, who: Attributor::default() }
    }

    fn ask(&self, after: u64, caller: Option<&str>, caller_region: Option<&str>) -> Answer {
        let number = number();
        let now = T0 + Duration::from_secs(after);
        self.who.decide(&self.table, now, &question(&number, caller, caller_region))
    }

    /// A call that counts.
    fn call(&mut self, after: u64, caller: &str) -> Attribution {
        let number = number();
        let now = T0 + Duration::from_secs(after);
        let question = question(&number, Some(caller), None);
        let answer = self.who.decide(&self.table, now, &question);
        self.who.learn(now, &question, &answer);
        answer.attribution
    }

    /// Method, visitor, evidence of the best.
    fn best(&self, after: u64) -> (String, Option<String>, Vec<String>) {
        let attribution = self.ask(after, None, None).attribution;
        let evidence = attribution.candidates.first().map(|best| best.evidence.clone()).unwrap_or_default();
        (attribution.method, attribution.visitor_id, evidence)
    }
}

fn question<'a>(number: &'a E164, caller: Option<&'a str>, caller_region: Option<&'a str>) -> Question<'a> {
    Question { company: "acme", number, caller, caller_region, channel: None, memory: MEMORY }
}

fn share(answer: &Answer, visitor: &str) -> f64 {
    let of = |one: &&Candidate| one.visitor_id == visitor;
    answer.attribution.candidates.iter().find(of).map_or(0.0, |one| one.probability)
}

#[test]
fn who_sees_the_number_is_likelier_than_who_saw_it() {
    let desk = Desk::new(&[gone(lease(1), 60), on_page(lease(2))]);
    assert_eq!(desk.best(1_900), ("active_lease".into(), Some("v2".into()), vec!["on the page for 31 min".into()]));
    let answer = desk.ask(1_900, None, None);
    assert!(answer.attribution.nobody > 0.0 && share(&answer, "v1") > 0.0, "{:?}", answer.attribution);
    let whole = answer.nobody + answer.persons.iter().map(|person| person.probability).sum::<f64>();
    assert!((whole - 1.0).abs() < 1e-9, "probabilities add up: {whole}");
    // The table is in step, so a clock that jumped back ends no lease.
    assert_eq!(desk.ask(0, None, None).attribution.kind, AttributionKind::Visitor);
}

#[test]
fn who_left_fades_and_is_forgotten() {
    let desk = Desk::new(&[gone(lease(1), 120)]);
    let known = [121, 1_800, 86_400].map(|after| share(&desk.ask(after, None, None), "v1"));
    assert!(known[0] > known[1] && known[1] > known[2], "{known:?}");
    assert_eq!(desk.best(600).0, "last_holder");
    assert_eq!(desk.best(20 * 86_400).0, "nobody", "a print or a misdial is likelier by then");
    let over = desk.ask(31 * 86_400, None, None).attribution;
    assert_eq!((over.kind, over.method.as_str()), (AttributionKind::None, "none"));
}

#[test]
fn a_tap_tells_two_who_share_a_number_apart() {
    let tapped = |at| Page { device: Device::Mobile, tapped_at: Some(at), hidden_at: Some(at), ..Page::default() };
    let shared = |id, page| on_page(Lease { shared: true, page, ..lease(id) });
    let desk = Desk::new(&[shared(1, tapped(T0 + Duration::from_secs(40))), shared(2, Page::default())]);
    let answer = desk.ask(45, None, None);
    assert!(share(&answer, "v1") > 0.95, "{:?}", answer.attribution);
    assert_eq!(answer.attribution.contention, 2);
    assert_eq!(answer.attribution.candidates[0].evidence[0], "tapped the number 5 s ago");
}

#[test]
fn a_region_tells_two_who_share_a_number_apart() {
    let from = |region: &str| Page { region: Some(region.into()), ..Page::default() };
    let shared = |id, page| on_page(Lease { shared: true, page, ..lease(id) });
    let desk = Desk::new(&[shared(1, from("RU-MOW")), shared(2, from("RU-SPE"))]);
    let answer = desk.ask(45, Some(CALLER), Some("RU-MOW"));
    assert!(share(&answer, "v1") > 0.9, "{:?}", answer.attribution);
    assert!(share(&desk.ask(45, Some(CALLER), Some("RU-SPE")), "v2") > 0.9);
    let unknown = desk.ask(45, Some(CALLER), None);
    assert!((share(&unknown, "v1") - share(&unknown, "v2")).abs() < 0.001, "{:?}", unknown.attribution);
    let country = desk.ask(45, Some(CALLER), Some("RU"));
    assert!((share(&country, "v1") - share(&country, "v2")).abs() < 0.001, "a country says nothing here");
}

#[test]
fn c03_a_repeat_caller_is_not_credited_to_todays_holder() {
    let mut desk = Desk::new(&[on_page(lease(1))]);
    assert_eq!(desk.call(30, CALLER).visitor_id.as_deref(), Some("v1"));
    desk.table.apply(&gone(lease(1), 60), 2);
    desk.table.apply(&on_page(lease(2)), 3);
    let again = desk.call(3 * 86_400 + 30, CALLER);
    assert_eq!((again.visitor_id.as_deref(), again.method.as_str()), (Some("v1"), "known_caller"));
    assert_eq!(again.candidates[0].evidence[0], "this caller called 3 d ago and was taken for them");
    // Somebody new is today's holder, and is told from the caller who is known by then.
    assert_eq!(desk.call(3 * 86_400 + 90, "+442079460901").visitor_id.as_deref(), Some("v2"));
}

#[test]
fn a_known_caller_who_dials_a_number_they_never_saw_is_who_sees_it() {
    let mut desk = Desk::new(&[on_page(lease(1))]);
    assert_eq!(desk.call(30, CALLER).visitor_id.as_deref(), Some("v1"));
    let other = E164::parse("+442079460008").unwrap();
    desk.table.apply(&on_page(Lease { number: other.clone(), ..lease(2) }), 2);
    let answer = desk.who.decide(&desk.table, T0 + Duration::from_secs(40), &question(&other, Some(CALLER), None));
    assert_eq!(answer.attribution.visitor_id.as_deref(), Some("v2"), "{:?}", answer.attribution);
    // The same person in another browser, or whoever has their telephone: not as sure as a new caller.
    assert!((0.5..0.95).contains(&answer.attribution.confidence), "{:?}", answer.attribution);
}

#[test]
fn a_known_caller_who_taps_as_somebody_else_is_believed() {
    let mut desk = Desk::new(&[on_page(lease(1))]);
    desk.call(30, CALLER);
    desk.table.apply(&gone(lease(1), 60), 2);
    let later = 40 * 86_400;
    let tapped_at = Some(T0 + Duration::from_secs(later - 5));
    let granted_at = T0 + Duration::from_secs(later - 60);
    let page = Page { device: Device::Mobile, tapped_at, hidden_at: tapped_at, ..Page::default() };
    desk.table.apply(&on_page(Lease { granted_at, page, ..lease(2) }), 3);
    assert_eq!(desk.call(later, CALLER).visitor_id.as_deref(), Some("v2"), "positive evidence");
}

#[test]
fn a_tap_that_was_answered_is_no_sign_of_the_next_call() {
    let page = |at| Page { device: Device::Mobile, tapped_at: Some(T0 + Duration::from_secs(at)), ..Page::default() };
    let shared = |id, page| on_page(Lease { shared: true, page, ..lease(id) });
    let mut desk = Desk::new(&[shared(1, page(10)), shared(2, Page::default())]);
    assert_eq!(desk.call(15, CALLER).visitor_id.as_deref(), Some("v1"));
    assert_eq!(desk.call(20, "+442079460901").visitor_id.as_deref(), Some("v2"));
}

#[test]
fn sources_are_surer_than_visitors() {
    let session = |id| Session {
        utm: [("source".to_owned(), "shop".to_owned()), ("content".to_owned(), format!("{id}"))].into(),
        ..Session::default()
    };
    let of = |id| on_page(Lease { shared: true, session: Arc::new(session(id)), ..lease(id) });
    let attribution = Desk::new(&[of(1), of(2), of(3)]).ask(60, None, None).attribution;
    assert!(attribution.confidence < 0.4);
    assert_eq!(attribution.sources.len(), 1);
    assert!(attribution.sources[0].probability > 0.9, "{:?}", attribution.sources);
}

#[test]
fn a_number_that_rings_for_nobody_makes_every_call_doubtful() {
    let mut desk = Desk::new(&[]);
    for call in 0..200 {
        desk.call(call * 600, &format!("+4420794609{:02}", call % 100));
    }
    desk.table.apply(&gone(lease(1), 119_000), 2);
    let doubtful = desk.ask(120_000, None, None);
    let quiet = Desk::new(&[gone(lease(1), 119_000)]).ask(120_000, None, None);
    assert!(doubtful.nobody > 0.9 && quiet.nobody < 0.5, "{} {}", doubtful.nobody, quiet.nobody);
}

#[test]
fn a_stale_table_goes_by_the_clock() {
    let desk = Desk::new(&[on_page(lease(1))]);
    desk.table.set_stale(true);
    assert!(desk.ask(0, None, None).attribution.stale);
    assert_eq!(desk.best(150).0, "active_lease", "within the guard");
    assert_eq!(desk.best(151).0, "last_holder");
    assert_eq!(desk.best(40 * 86_400).0, "none");
}

#[test]
fn channel_or_nobody() {
    let desk = Desk::new(&[]);
    let channel: Channel = Arc::new([("source".to_owned(), "billboard".to_owned())].into());
    let number = number();
    let question = Question { channel: Some(&channel), ..question(&number, None, None) };
    let attribution = desk.who.decide(&desk.table, T0, &question).attribution;
    assert_eq!((attribution.kind, attribution.confidence), (AttributionKind::Static, 1.0));
    assert_eq!(source_line(&attribution, SOURCE_TEMPLATE).as_deref(), Some("billboard"));
    let nobody = desk.ask(0, None, None).attribution;
    assert_eq!((nobody.kind, nobody.method.as_str()), (AttributionKind::None, "none"));
    assert_eq!(source_line(&nobody, SOURCE_TEMPLATE), None);
}

#[test]
fn a_model_goes_through_its_file() {
    let model = Model::default();
    assert!(model.is_whole());
    let text = serde_json::to_string(&model).unwrap();
    let read: Model = serde_json::from_str(&text).unwrap();
    assert!((read.background - model.background).abs() < 1e-12 && read.is_whole());
    assert!(serde_json::from_str::<Model>("{}").is_err());
    let tail = model.forecast();
    assert!((tail.beyond(0.0) - 1.0).abs() < 1e-9);
    assert!(tail.beyond(60.0) > tail.beyond(3_600.0) && tail.beyond(40.0 * 86_400.0) == 0.0);
}

mod told_again {
    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::core::event::{Body, CallData, Event};
    use crate::core::pool::{Allocator, Ask, Output, Rules};
    use crate::ids::CallId;
    use crate::time::{Mono, Now};

    #[derive(Clone, Debug)]
    enum Op {
        Visit(u8),
        Signal(u8, u8),
        Leave(u8),
        Call(u8, u8),
        Wait(u32),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (0..9u8).prop_map(Op::Visit),
            3 => (0..9u8, 0..4u8).prop_map(|(visitor, signal)| Op::Signal(visitor, signal)),
            2 => (0..9u8).prop_map(Op::Leave),
            3 => (0..3u8, 0..5u8).prop_map(|(number, caller)| Op::Call(number, caller)),
            4 => prop_oneof![1..60_000u32, 60_000..4_000_000u32].prop_map(Op::Wait),
        ];
        prop::collection::vec(op, 1..80)
    }

    /// A daemon's lease side: allocator, table, attribution, and what it writes.
    struct Live {
        now: Now,
        allocator: Allocator,
        table: LeaseTable,
        who: Attributor,
        leases: std::collections::BTreeMap<u8, LeaseId>,
        journal: Vec<Event>,
        told: Vec<Attribution>,
    }

    impl Live {
        fn new() -> Live {
            let text = r#"
                [[trunk]]
                name = "t"
                match = ["127.0.0.0/8"]
                [[company]]
                name = "acme"
                forward_to = ["sip:a@127.0.0.1:5080"]
                [[site]]
                name = "site"
                company = "acme"
                origins = ["https://shop.example"]
                [[pool]]
                name = "web"
                company = "acme"
                site = "site"
                kind = "dynamic"
                numbers = ["+442079460000..+442079460002"]
            "#;
            let config = config::Config::parse(text, "test", std::path::Path::new("")).unwrap();
            let rules = Rules { ttl: config.lease.ttl, renew_after: config.lease.renew_after, memory: MEMORY };
            Live {
                now: Now { mono: Mono(1_000_000_000), wall: T0 },
                allocator: Allocator::new(rules, &config.pools, &config.sites, [3; 32]),
                table: LeaseTable::new(),
                who: Attributor::default(),
                leases: Default::default(),
                journal: Vec::new(),
                told: Vec::new(),
            }
        }

        fn act(&mut self, act: impl FnOnce(&mut Allocator, Now, &mut Vec<Output>)) {
            let mut out = Vec::new();
            act(&mut self.allocator, self.now, &mut out);
            for output in out {
                match output {
                    Output::Change(change) => self.table.apply(&change, 0),
                    Output::Event(event) => self.journal.push(event),
                }
            }
        }

        fn apply(&mut self, op: &Op) {
            match *op {
                Op::Visit(visitor) => {
                    let utm = [("campaign".to_owned(), format!("c{}", visitor % 3))].into();
                    let ask = Ask {
                        site: "site".into(),
                        visitor_id: Some(format!("v{visitor}")),
                        session: Session { utm, ..Session::default() },
                        device: if visitor % 2 == 0 { Device::Mobile } else { Device::Desktop },
                        region: Some(format!("XA-{}", visitor % 4).into()),
                        ..Ask::default()
                    };
                    let mut lease = None;
                    self.act(|a, now, out| lease = a.acquire(now, ask, out).ok().map(|granted| granted.lease.lease_id));
                    self.leases.extend(lease.map(|lease| (visitor, lease)));
                }
                Op::Signal(visitor, signal) => {
                    let name = ["tel_tap", "copy", "hidden", "visible"][usize::from(signal)];
                    if let Some(&lease) = self.leases.get(&visitor) {
                        self.act(|a, now, out| {
                            let _ = a.signal(now, lease, name, out);
                        });
                    }
                }
                Op::Leave(visitor) => {
                    if let Some(&lease) = self.leases.get(&visitor) {
                        self.act(|a, now, out| {
                            let _ = a.release(now, lease, out);
                        });
                    }
                }
                Op::Call(number, caller) => self.call(number, caller),
                Op::Wait(millis) => {
                    let end = self.now.after(Duration::from_micros(u64::from(millis) * 1_003));
                    while let Some((at, _)) = self.allocator.poll_timeout().filter(|(at, _)| *at <= end.mono) {
                        self.now = self.now.after(at.since(self.now.mono));
                        self.act(|a, now, out| a.handle_timeout(now, out));
                    }
                    self.now = end;
                }
            }
        }

        fn call(&mut self, number: u8, caller: u8) {
            let number = E164::parse(&format!("+44207946000{number}")).unwrap();
            let caller = format!("+44207946090{caller}");
            let region = Some("XA-1").filter(|_| caller.ends_with('1'));
            let question = question(&number, Some(&caller), region);
            let answer = self.who.decide(&self.table, self.now.wall, &question);
            self.who.learn(self.now.wall, &question, &answer);
            let call_id = CallId(self.told.len() as u128);
            let data = CallData {
                company: "acme".into(),
                caller: Some(caller.clone()),
                ..CallData::new(call_id, number.clone(), answer.attribution.clone(), self.now.wall)
            };
            let (time, subject) = (self.now.wall, call_id.to_string());
            self.journal.push(Event { time, subject, body: Body::CallStarted(Box::new(data)) });
            self.told.push(answer.attribution);
        }
    }

    proptest! {
        /// Leases, signals and calls told again give the same attributions, and the same memory for the next run.
        #[test]
        fn the_same_events_give_the_same_attributions(ops in ops()) {
            let mut live = Live::new();
            for op in &ops {
                live.apply(op);
            }
            let mut again = Retelling::new(Arc::default(), MEMORY).observed();
            let told: Vec<Attribution> =
                live.journal.iter().filter_map(|event| again.take(event)).map(|answer| answer.attribution).collect();
            prop_assert_eq!(&told, &live.told);
            let fitted = again.observer().unwrap().fit(&Model::default(), "test");
            prop_assert!(fitted.after >= fitted.before - 0.5 && fitted.model.is_whole(), "{fitted:?}");
            prop_assert_eq!(again.into_attributor().calls.callers(), live.who.calls.callers());
        }
    }
}
