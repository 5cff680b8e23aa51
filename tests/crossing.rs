//! Both sides act at once, and the network meddles with one message: every pair of actions, in each order, with every
//! message lost, doubled and late. After each run nothing is left, and the table of verdicts is a snapshot.
//!
//! A verdict is how the call ended, the final responses that the caller heard, and those that the company's phones gave.

mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use leaseline::core::b2bua::{Counts, Settings};
use leaseline::core::event::Body;
use leaseline::wire::sip::Message;

use world::phone::{Answering, Calling, Do, Phone};
use world::{CARRIER, CONFIG, Meddle, OFFICE, SHOP, World, settings};

const MEDDLES: [(&str, Meddle); 4] = [
    ("lost", Meddle::Lost),
    ("doubled", Meddle::Doubled),
    ("0.7 s late", Meddle::Late(700)),
    ("5 s late", Meddle::Late(5_000)),
];

/// Who acts how many milliseconds after the other. A message needs five to us, so that three still cross.
const ORDERS: [(&str, u64, u64); 3] = [("at once", 0, 0), ("caller first", 0, 3), ("company first", 3, 0)];

/// An INVITE is so long on its way to the company.
const WAY: u64 = 10;

/// So many messages of a scenario are meddled with at most; what follows are copies of a 2xx that nobody acknowledges.
const MESSAGES: usize = 40;

/// After this everything is over, whatever happened.
const BOUND: Duration = Duration::from_secs(200);

#[derive(Clone, Debug, Default)]
struct Scenario {
    name: String,
    calling: Calling,
    /// What the caller's phone does with re-INVITEs.
    carrier: Answering,
    shop: Answering,
}

fn name(caller: &str, company: &str, order: (&str, u64, u64)) -> String {
    format!("caller {caller}, company {company}, {}", order.0)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Both act half a second after the INVITE. What does not end the call leaves it to be answered and hung up.
fn before_the_answer(caller: &str, company: &str, order: (&str, u64, u64)) -> Scenario {
    let (at, there) = (ms(500 + order.1), ms(500 + order.2 - WAY));
    let mut calling = Calling { hang_up: Some(ms(2_000)), ..Calling::default() };
    match caller {
        "CANCEL" => calling.cancel = Some(at),
        "BYE" => calling.timed = vec![(at, Do::HangUp)],
        "UPDATE" => calling.timed = vec![(at, Do::Update(Some("sendonly")))],
        other => panic!("no such action: {other}"),
    }
    let mut shop = Answering { answer: Some((ms(1_500), 200)), ..Answering::default() };
    match company {
        "200" => shop.answer = Some((there, 200)),
        "183" => shop.ringing.push((there, 183, true)),
        "UPDATE" => shop.timed = vec![(there, Do::Update(Some("sendonly")))],
        "BYE" => shop.timed = vec![(there, Do::HangUp)],
        "486" => shop.answer = Some((there, 486)),
        other => panic!("no such action: {other}"),
    }
    Scenario { name: name(caller, company, order), calling, shop, ..Scenario::default() }
}

/// Both act a second after the INVITE, which was answered after a fifth of one.
fn after_the_answer(caller: &str, company: &str, order: (&str, u64, u64)) -> Scenario {
    let (at, there) = (ms(1_000 + order.1), ms(1_000 + order.2 - WAY));
    let mut calling = Calling { hang_up: Some(ms(5_000)), ..Calling::default() };
    match caller {
        "BYE" => calling.timed = vec![(at, Do::HangUp)],
        "re-INVITE" => calling.timed = vec![(at, Do::Reinvite("sendonly"))],
        "UPDATE" => calling.timed = vec![(at, Do::Update(Some("sendonly")))],
        "no ACK" => calling.acknowledges = false,
        // The 200 is at the caller 225 ms after the INVITE.
        "ACK" => calling.ack_after = at - ms(225),
        other => panic!("no such action: {other}"),
    }
    let what = match company {
        "BYE" => Do::HangUp,
        "re-INVITE" => Do::Reinvite("recvonly"),
        "UPDATE" => Do::Update(Some("recvonly")),
        "200 again" => Do::Again,
        other => panic!("no such action: {other}"),
    };
    let shop = Answering { answer: Some((ms(200), 200)), timed: vec![(there, what)], ..Answering::default() };
    Scenario { name: name(caller, company, order), calling, shop, ..Scenario::default() }
}

/// The same with reliable provisional responses on both legs. Offer and answer are exchanged before; with a late PRACK the
/// caller acts by it, and `PRACK with the answer` brings the answer to the company's offer.
fn reliably(caller: &str, company: &str, order: (&str, u64, u64)) -> Scenario {
    let mut scenario = match caller {
        "PRACK" | "PRACK with the answer" => before_the_answer("UPDATE", company, order),
        other => before_the_answer(other, company, order),
    };
    let allow = || ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK".to_owned());
    let calling = &mut scenario.calling;
    if caller.starts_with("PRACK") {
        calling.timed.clear();
        // The 183 is at the caller 120 ms after its INVITE.
        calling.pracks = Some(ms(500 + order.1 - 120));
        calling.offers = caller == "PRACK";
    }
    calling.headers = vec![("Supported", "100rel".to_owned()), allow()];
    let shop = &mut scenario.shop;
    if company == "183" {
        shop.ringing.pop();
        shop.ringing.push((ms(500 + order.2 - WAY), 180, false));
    }
    if let Some(first) = shop.ringing.first_mut() {
        *first = (ms(100), 183, true);
    }
    shop.reliable = true;
    shop.headers = vec![allow()];
    scenario.name = name(caller, company, order);
    scenario
}

/// One side takes back the re-INVITE that it has made a moment before, while the other side acts.
fn taken_back(caller: &str, company: &str, order: (&str, u64, u64)) -> Scenario {
    let plain = |what: &str| if matches!(what, "CANCEL" | "200") { "BYE".to_owned() } else { what.to_owned() };
    let mut scenario = after_the_answer(&plain(caller), &plain(company), order);
    // The re-INVITE is a tenth of a second before, and it is answered in the moment in which it is taken back.
    let cancelled = |at: Duration, to: u64, what| vec![(at, Do::Reinvite(what)), (at + ms(100 + to), Do::Cancel)];
    let answer = |to: u64| ms(100 - WAY + to);
    (scenario.shop.reinvite_after, scenario.carrier.reinvite_after) = (ms(1_000), ms(1_000));
    match caller {
        "CANCEL" => scenario.calling.timed = cancelled(ms(900), order.1, "sendonly"),
        "200" => (scenario.calling.timed, scenario.carrier.reinvite_after) = (Vec::new(), answer(order.1)),
        _ => {}
    }
    match company {
        "CANCEL" => scenario.shop.timed = cancelled(ms(900 - WAY), order.2, "recvonly"),
        "200" => (scenario.shop.timed, scenario.shop.reinvite_after) = (Vec::new(), answer(order.2)),
        _ => {}
    }
    scenario.name = name(caller, company, order);
    scenario
}

fn play(settings: &Arc<Settings>, scenario: &Scenario, meddle: Option<(usize, Meddle)>) -> (World, bool) {
    let mut world = World::with_settings(7, settings.clone());
    world.meddle = meddle;
    world.add(CARRIER, Phone::new(scenario.carrier.clone()));
    world.add(SHOP, Phone::new(scenario.shop.clone()));
    world.add(OFFICE, Phone::new(Answering::default()));
    world.dial(scenario.calling.clone());
    let quiet = world.run(BOUND);
    (world, quiet)
}

/// What must be true after every run; else what is not.
fn fault(world: &World, quiet: bool) -> Option<String> {
    let started = world.events.iter().filter(|event| matches!(event.body, Body::CallStarted(_))).count();
    let after_end = world.events.iter().skip_while(|event| !matches!(event.body, Body::CallEnded(_))).count();
    let dialogs = || world.phones.values().flat_map(|phone| &phone.dialogs);
    let up: Vec<_> = dialogs().filter(|(_, dialog)| dialog.up).map(|(call, _)| call).collect();
    let told = told(world);
    let checks = [
        (quiet, "not quiet".to_owned()),
        (world.counts() == Counts::default(), format!("left: {:?}", world.counts())),
        (world.media.values().all(|media| media.closed), "media left open".to_owned()),
        (world.phones.values().all(Phone::is_quiet), "a phone still waits".to_owned()),
        (started == 1 && world.ended().len() == 1, format!("{started} calls, {} ended", world.ended().len())),
        (after_end <= 1, "an event after call.ended".to_owned()),
        (up.is_empty(), format!("still up: {up:?}")),
        (told.len() == 1, format!("the caller was told {told:?}")),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
}

/// Different final responses to the caller's INVITE that we sent.
fn told(world: &World) -> Vec<u16> {
    let mut told: Vec<u16> = Vec::new();
    for (from, to, bytes) in &world.sent {
        if *from != world.us_at || to.to_string() != CARRIER {
            continue;
        }
        let message = Message::parse(bytes.clone()).expect("we can read what we send");
        let is_first = message.cseq().is_ok_and(|cseq| cseq.number == 1 && cseq.method == "INVITE");
        let status = if message.is_request() { 0 } else { message.status() };
        if is_first && status >= 200 && !told.contains(&status) {
            told.push(status);
        }
    }
    told
}

fn verdict(world: &World) -> String {
    let ended = world.ended();
    let end = ended.first().map_or_else(String::new, |data| {
        let outcome = data.outcome.map_or("", |outcome| outcome.as_str());
        format!("{outcome} {} {}", data.reason.as_deref().unwrap_or(""), data.sip_status.unwrap_or(0))
    });
    let mut text = end + ":";
    for (name, at) in [("caller", CARRIER), ("shop", SHOP), ("office", OFFICE)] {
        let phone = world.phones.get(&at.parse().expect("an address"));
        for dialog in phone.into_iter().flat_map(|phone| phone.dialogs.values()) {
            let finals: Vec<_> = dialog.finals.iter().map(u16::to_string).collect();
            let finals = if finals.is_empty() { "none".to_owned() } else { finals.join("+") };
            let _ = write!(text, " {name} {finals}");
        }
    }
    text
}

/// What the phones' own requests were answered, in the undisturbed run.
fn heard(world: &World) -> String {
    let mut heard: Vec<(String, usize)> = Vec::new();
    for (name, at) in [("caller", CARRIER), ("shop", SHOP)] {
        let phone = world.phones.get(&at.parse().expect("an address"));
        for (method, status) in phone.into_iter().flat_map(|p| p.dialogs.values()).flat_map(|dialog| &dialog.heard) {
            let text = format!("{name} {method} {status}");
            match heard.last_mut() {
                Some((last, times)) if *last == text => *times += 1,
                _ => heard.push((text, 1)),
            }
        }
    }
    let text = |(text, times): &(String, usize)| if *times > 1 { format!("{text} x{times}") } else { text.clone() };
    heard.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Plays all of them. Gives the table, with the number of runs.
fn table(scenarios: &[Scenario]) -> String {
    let settings = settings(CONFIG);
    let mut table = String::new();
    let (mut runs, mut faults) = (0, Vec::new());
    for scenario in scenarios {
        let (plain, quiet) = play(&settings, scenario, None);
        let usual = verdict(&plain);
        let note = |world: &World, quiet, how: &str, faults: &mut Vec<String>| {
            if let Some(what) = fault(world, quiet) {
                faults.push(format!("{}: {how}: {what}\n{}", scenario.name, world.ladder()));
            }
        };
        note(&plain, quiet, "undisturbed", &mut faults);
        runs += 1;
        let messages = plain.sent.len();
        let _ = writeln!(table, "\n{}\n   {messages:>3} messages  {usual}", scenario.name);
        let heard = heard(&plain);
        if !heard.is_empty() {
            let _ = writeln!(table, "       answers  {heard}");
        }
        for (name, meddle) in MEDDLES {
            let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
            for index in 0..messages.min(MESSAGES) {
                let (world, quiet) = play(&settings, scenario, Some((index, meddle)));
                note(&world, quiet, &format!("message {index} {name}"), &mut faults);
                *verdicts.entry(verdict(&world)).or_default() += 1;
                runs += 1;
            }
            let same = verdicts.remove(&usual).unwrap_or(0);
            let _ = write!(table, "   {name:<10} {same:>3} the same");
            for (verdict, count) in verdicts {
                let _ = write!(table, ", {count} {verdict}");
            }
            table.push('\n');
        }
    }
    for fault in faults.iter().take(6) {
        println!("{fault}");
    }
    let heads: Vec<_> = faults.iter().filter_map(|fault| fault.lines().next()).collect();
    assert!(faults.is_empty(), "{} of {runs} runs break a promise:\n{}", faults.len(), heads.join("\n"));
    format!("{runs} runs\n{table}")
}

#[test]
fn crossing_before_the_answer() {
    let mut scenarios = Vec::new();
    for caller in ["CANCEL", "BYE", "UPDATE"] {
        for company in ["200", "183", "UPDATE", "BYE", "486"] {
            scenarios.extend(ORDERS.map(|order| before_the_answer(caller, company, order)));
        }
    }
    insta::assert_snapshot!(table(&scenarios));
}

#[test]
fn crossing_after_the_answer() {
    let mut scenarios = Vec::new();
    for caller in ["BYE", "re-INVITE", "UPDATE", "ACK", "no ACK"] {
        for company in ["BYE", "re-INVITE", "UPDATE", "200 again"] {
            // Without ACK the caller does nothing that could come first or second.
            let orders = if caller == "no ACK" { &ORDERS[..1] } else { &ORDERS[..] };
            scenarios.extend(orders.iter().map(|order| after_the_answer(caller, company, *order)));
        }
    }
    insta::assert_snapshot!(table(&scenarios));
}

#[test]
fn crossing_with_reliable_provisionals() {
    let mut scenarios = Vec::new();
    for caller in ["PRACK", "PRACK with the answer", "CANCEL", "BYE", "UPDATE"] {
        for company in ["200", "183", "UPDATE", "BYE", "486"] {
            scenarios.extend(ORDERS.map(|order| reliably(caller, company, order)));
        }
    }
    insta::assert_snapshot!(table(&scenarios));
}

#[test]
fn crossing_of_re_invites_that_are_taken_back() {
    let mut scenarios = Vec::new();
    for (caller, company) in [
        ("CANCEL", "200"),
        ("CANCEL", "BYE"),
        ("CANCEL", "re-INVITE"),
        ("CANCEL", "UPDATE"),
        ("CANCEL", "CANCEL"),
        ("200", "CANCEL"),
        ("BYE", "CANCEL"),
        ("re-INVITE", "CANCEL"),
        ("UPDATE", "CANCEL"),
    ] {
        scenarios.extend(ORDERS.map(|order| taken_back(caller, company, order)));
    }
    insta::assert_snapshot!(table(&scenarios));
}
