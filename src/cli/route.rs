//! `leaseline route`: where a call would go, and why, and what it would say of its caller. Nothing is called; DNS is asked
//! with `--resolve` only, and a webhook that decides never is.

mod encryption;
mod explain;
mod invite;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use serde::Serialize;

use super::{Exit, complain, load, say};
use crate::config::{Company, Config, PoolKind, Trunk};
use crate::core::b2bua::Settings;
use crate::core::call::ending;
use crate::core::defence::fraud;
use crate::core::event::{Attribution, AttributionKind, CallData};
use crate::core::locate::{Hop, Query};
use crate::core::number;
use crate::core::route::{self, Desk, Plan, Question, Target};
use crate::io::clock;
use crate::io::dns::Dns;
use crate::time::Wall;

pub(super) use explain::explain;
use invite::{Incoming, Invite};

/// Say where a call to a number would go and why, or why it would be refused. Nothing is called.
///
/// Exit 0, 1 when the call would be refused, or 64.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number as it would be dialled.
    #[arg(value_name = "NUMBER", required_unless_present = "codes")]
    number: Option<String>,
    /// The caller as the trunk would write it; without it: withheld.
    #[arg(long, value_name = "CALLER")]
    from: Option<String>,
    /// The trunk that it would come from; without it, the first.
    #[arg(long, value_name = "NAME")]
    trunk: Option<String>,
    /// When, like 2026-12-24T18:00:00Z; without it: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What the visit is taken to be, for rules that ask for it; static pools have it from their channel.
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    #[arg(long, value_name = "TEXT")]
    medium: Option<String>,
    #[arg(long, value_name = "TEXT")]
    campaign: Option<String>,
    /// Ask DNS where the destinations' names lead (RFC 3263), as the call would.
    #[arg(long)]
    resolve: bool,
    /// Show the INVITE that each destination would get: Request-URI, From, identity, headers by the trunks' rules.
    #[arg(long)]
    invite: bool,
    /// A header of the caller's INVITE, like "X-Account: 7", for rules that pass it on. Any number of them.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Print what follows each status of a destination instead.
    #[arg(long)]
    codes: bool,
    /// The configuration; without it, the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
struct Answer {
    number: String,
    trunk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// `always`, `open`, `closed` or `holiday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hours_change_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Who is asked first.
    #[serde(skip_serializing_if = "Option::is_none")]
    decide: Option<Decider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refusal>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    status: u16,
    code: &'static str,
}

/// A webhook that may send the call elsewhere.
#[derive(Debug, Serialize)]
struct Decider {
    url: String,
    timeout_ms: u128,
    /// `route` or `refuse`: what happens without its answer.
    default: &'static str,
    /// What it may name.
    may_name: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Step {
    destination: String,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk: Option<String>,
    /// Transport and address, or what is looked up at the call.
    hop: String,
    /// What DNS says of that, best first; with `--resolve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hops: Option<Vec<String>>,
    ring_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_max: Option<usize>,
    /// Its 3xx are followed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redirects: bool,
    /// Why it would not be called: a number that `[fraud]` denies, or one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite: Option<Invite>,
}

pub(super) fn execute(args: Args) -> Exit {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if args.codes {
        for company in &config.companies {
            say(format_args!("# {}\n{}", company.name, ending::table(company)));
        }
        return Exit::Done;
    }
    let runtime = match super::small_runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let mut dns = None;
    let look_up = |query: &Query, settings: &Settings| {
        let dns = dns.get_or_insert_with(|| Dns::new(&settings.config.sip.dns, [7; 32]));
        tokio::task::LocalSet::new().block_on(&runtime, dns.locate(query, &settings.reach()))
    };
    let answer = match answer(&args, config, look_up) {
        Ok(answer) => answer,
        Err(message) => {
            complain(message);
            return Exit::Usage;
        }
    };
    let refused = answer.refused.is_some();
    if args.json {
        say(serde_json::json!(answer))
    } else {
        say(in_words(&answer).trim_end())
    }
    if refused { Exit::Bad } else { Exit::Done }
}

fn answer(args: &Args, config: Config, look_up: impl FnMut(&Query, &Settings) -> Vec<Hop>) -> Result<Answer, String> {
    let at = match &args.at {
        Some(text) => {
            Wall::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is not a time like 2026-12-24T18:00:00Z"))?
        }
        None => clock::wall(),
    };
    let trunk = match &args.trunk {
        Some(name) => config.trunks.iter().find(|trunk| trunk.name == *name),
        None => config.trunks.first(),
    };
    let trunk = Arc::clone(trunk.ok_or("there is no such trunk; nobody could call")?);
    let listeners = config.sip.listen.clone();
    let settings = Settings::new(Arc::new(config), listeners);
    let dialled = args.number.as_deref().unwrap_or_default();
    let mut answer = Answer { number: dialled.to_owned(), trunk: trunk.name.clone(), ..Answer::default() };
    let written = number::candidates(dialled, trunk.country.as_deref(), &trunk.prefix);
    let owned = written.into_iter().find_map(|number| Some((settings.directory.owner_of(&number)?.clone(), number)));
    let Some((owner, number)) = owned else {
        answer.refused = Some(Refusal { status: 404, code: "number_unknown" });
        return Ok(answer);
    };
    let incoming = Incoming::new(args, &trunk, &number)?;
    let attribution = attribution(args, owner.pool.channel.as_ref().filter(|_| owner.pool.kind == PoolKind::Static));
    answer.number = number.as_str().to_owned();
    answer.company = Some(owner.company.name.clone());
    answer.pool = Some(owner.pool.name.clone());
    answer.caller = incoming.caller().map(str::to_owned);
    if let Some(reject) = incoming.refusal(&trunk) {
        answer.refused = Some(Refusal { status: reject.status, code: reject.code });
        return Ok(answer);
    }
    let question = Question {
        company: &owner.company,
        pool: &owner.pool.name,
        number: &number,
        caller: incoming.caller(),
        attribution: &attribution,
        at,
    };
    let mut plan = decide(&mut answer, &question, &settings);
    if plan.refused.is_none() {
        let parties = (&*owner.company, &*owner.pool);
        let data = invite::data(&incoming, parties, &trunk, &number, &attribution, &settings, at);
        let mut call = Call { args, incoming, data, trunk: &trunk, settings: &settings, look_up };
        let targets = plan.targets.iter_mut().enumerate();
        answer.destinations = targets.map(|(index, target)| call.step(index, target, &owner.company)).collect();
        let is_final = owner.company.decide.is_none() && !answer.destinations.is_empty();
        if is_final && answer.destinations.iter().all(|step| step.refused.is_some()) {
            answer.refused = Some(Refusal { status: 403, code: "destination_denied" });
        }
    }
    Ok(answer)
}

fn decide(answer: &mut Answer, question: &Question<'_>, settings: &Settings) -> Plan {
    let company = question.company;
    let plan = Desk::default().plan(question, settings.names(), &mut ChaCha12Rng::from_seed([0; 32]));
    answer.hours = Some(plan.hours.as_str());
    answer.rule = plan.rule.as_ref().map(|rule| rule.to_string());
    let change = company.schedule.as_ref().and_then(|schedule| route::next_change(schedule, question.at));
    answer.hours_change_at = change.map(Wall::to_rfc3339);
    answer.refused = plan.refused.map(|reject| Refusal { status: reject.status, code: reject.code });
    answer.decide = company.decide.as_ref().map(|rules| Decider {
        url: rules.url.to_string(),
        timeout_ms: rules.timeout.as_millis(),
        default: rules.fallback.as_str(),
        may_name: company.every_destination().map(|one| one.label.to_string()).collect(),
    });
    if plan.refused.is_none() {
        answer.strategy = Some(plan.strategy.as_str());
    }
    plan
}

/// What one step needs to be told.
struct Call<'a, L> {
    args: &'a Args,
    incoming: Incoming,
    data: CallData,
    trunk: &'a Trunk,
    settings: &'a Settings,
    look_up: L,
}

impl<L: FnMut(&Query, &Settings) -> Vec<Hop>> Call<'_, L> {
    fn step(&mut self, index: usize, target: &mut Target, company: &Company) -> Step {
        let settings = self.settings;
        let may_be_called = fraud::may_be_called(&settings.config.fraud, &settings.directory, target);
        let resolved = self.args.resolve.then(|| match target.literal() {
            Some(hop) => vec![hop],
            None => (self.look_up)(&target.query, settings),
        });
        let hop = match target.literal() {
            Some(hop) => in_words_of(hop, settings),
            None => format!("the addresses of {}", target.query.host),
        };
        let first = target.literal().or_else(|| resolved.as_ref()?.first().copied());
        let invite = self
            .args
            .invite
            .then(|| invite::invite(&self.incoming, &self.data, self.trunk, (index, target, first), settings));
        let destination = &target.destination;
        Step {
            destination: destination.label.to_string(),
            uri: target.uri.clone(),
            trunk: target.trunk.as_ref().map(|trunk| trunk.name.clone()),
            hop,
            hops: resolved.map(|hops| hops.into_iter().map(|hop| in_words_of(hop, settings)).collect()),
            ring_s: destination.ring_timeout.unwrap_or(company.ring_timeout).as_secs(),
            calls_max: destination.calls_max,
            redirects: destination.follows(),
            refused: (!may_be_called).then_some("destination_denied"),
            invite,
        }
    }
}

fn in_words_of(hop: Hop, settings: &Settings) -> String {
    if settings.is_ours(hop.remote) {
        return format!("{} is this node itself: not called", hop.remote);
    }
    match route::flow_towards(hop, &settings.listeners) {
        Some(flow) => format!("{} {} from {}", hop.transport, hop.remote, flow.local),
        None => format!("{} {}, for which there is no listener: not called", hop.transport, hop.remote),
    }
}

fn attribution(args: &Args, channel: Option<&crate::core::lease::Channel>) -> Attribution {
    let mut values: BTreeMap<String, String> = channel.map(|channel| (**channel).clone()).unwrap_or_default();
    for (name, value) in [("source", &args.source), ("medium", &args.medium), ("campaign", &args.campaign)] {
        values.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
    }
    let kind = if values.is_empty() { AttributionKind::None } else { AttributionKind::Static };
    Attribution { kind, channel: Some(Arc::new(values)).filter(|values| !values.is_empty()), ..Attribution::default() }
}

fn in_words(answer: &Answer) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} over trunk {}", answer.number, answer.trunk);
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<9} {value}");
        }
    };
    line("company", answer.company.as_deref());
    line("pool", answer.pool.as_deref());
    line("caller", answer.caller.as_deref());
    let hours = answer.hours.map(|hours| match &answer.hours_change_at {
        Some(at) => format!("{hours}, until {at}"),
        None => hours.to_owned(),
    });
    line("hours", hours.as_deref());
    line("rule", answer.rule.as_deref().or(answer.hours.map(|_| "none: the company's own destinations")));
    let decide = answer.decide.as_ref().map(|decide| {
        let otherwise = if decide.default == "refuse" { "480" } else { "what follows" };
        format!("{} is asked, for {} ms; else {otherwise}", decide.url, decide.timeout_ms)
    });
    line("decides", decide.as_deref());
    line("strategy", answer.strategy);
    for (i, step) in answer.destinations.iter().enumerate() {
        step_in_words(&mut text, i + 1, step);
    }
    if let Some(refused) = &answer.refused {
        let _ = writeln!(text, "  refused   {} {}", refused.status, refused.code);
    }
    text
}

fn step_in_words(text: &mut String, nth: usize, step: &Step) {
    let trunk = step.trunk.as_ref().map(|trunk| format!(" through trunk {trunk}")).unwrap_or_default();
    let most = step.calls_max.map(|most| format!(", at most {most} calls")).unwrap_or_default();
    let redirects = if step.redirects { ", 3xx followed" } else { "" };
    let _ = writeln!(text, "  {nth}. {}{trunk}, {} s{most}{redirects}", step.uri, step.ring_s);
    if let Some(code) = step.refused {
        let _ = writeln!(text, "     not called: {code}");
    }
    let mut line = |shown: &str| {
        let _ = writeln!(text, "     {shown}");
    };
    match &step.hops {
        None => line(&step.hop),
        Some(hops) if hops.is_empty() => line(&format!("{}: DNS knows none", step.hop)),
        Some(hops) => hops.iter().for_each(|hop| line(hop)),
    }
    if let Some(Invite { request_uri, from, to, headers }) = &step.invite {
        line(&format!("INVITE {request_uri}"));
        line(&format!("From: {from}"));
        line(&format!("To: {to}"));
        headers.iter().for_each(|(name, value)| line(&format!("{name}: {value}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(args: &[&str]) -> String {
        ask_of(CONFIG, args)
    }

    fn ask_of(config: &str, args: &[&str]) -> String {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line = std::iter::once("route").chain(args.iter().copied());
        let args = <Line as clap::Parser>::parse_from(line).args;
        let config =
            Config::parse(config, "", std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        // DNS knows one name.
        let look_up = |query: &Query, _: &Settings| {
            let hop =
                |text: &str| Hop { transport: rsip::Transport::Tcp, remote: text.parse().expect(text), name: None };
            let known = &*query.host == "pbx.example";
            if known { vec![hop("198.51.100.7:5060"), hop("203.0.113.1:5060")] } else { Vec::new() }
        };
        let answer = answer(&args, config, look_up).expect("an answer");
        in_words(&answer)
    }

    const CONFIG: &str = r#"
[sip]
listen = ["udp://203.0.113.1:5060", "tcp://203.0.113.1:5060"]
[media]
address = "203.0.113.1"
[[trunk]]
name = "carrier"
match = ["192.0.2.0/24"]
country = "GB"
[[trunk]]
name = "way-out"
match = ["198.51.100.9"]
address = "sip:198.51.100.9"
prefix = "9"
[[company]]
name = "acme"
forward_to = [
  { name = "desk", uri = "sip:desk@198.51.100.1", calls_max = 3, ring_timeout = "15s" },
  "sip:{number}@pbx.example;transport=tcp",
  { trunk = "way-out", number = "+442079460999" },
]
[company.schedule]
time_zone = "Europe/London"
monday = ["09:00-18:00"]
[[company.rule]]
name = "kitchens"
when = { campaign = "kitchen*" }
forward_to = ["sip:kitchens@198.51.100.2"]
strategy = "parallel"
[[pool]]
name = "print"
company = "acme"
kind = "static"
numbers = ["+442079460500..+442079460509"]
channel = { source = "print" }
"#;

    #[test]
    fn a_call_is_explained() {
        let open = "2026-11-23T10:00:00Z";
        let cases: [&[&str]; 5] = [
            &["02079460500", "--from", "07700900123", "--at", open],
            &["+442079460500", "--campaign", "Kitchens 2026", "--at", open],
            &["+442079460500", "--at", "2026-11-23T20:00:00Z"],
            &["+442079460777", "--at", open],
            &["9442079460501", "--trunk", "way-out", "--at", open],
        ];
        insta::assert_snapshot!(cases.map(ask).join("\n"));
    }

    #[test]
    fn the_invite_and_the_addresses_are_shown() {
        let open = "2026-11-23T10:00:00Z";
        let rules = CONFIG
            .replace("prefix = \"9\"", "prefix = \"9\"\nnumber_format = \"plain\"\n[trunk.identity]\ndiversion = true")
            .replace("country = \"GB\"", "country = \"GB\"\n[trunk.headers]\npass = [\"X-Account\"]");
        let cases: [&[&str]; 3] = [
            &["02079460500", "--from", "07700900123", "--at", open, "--invite", "--header", "X-Account: 7"],
            &["02079460500", "--at", open, "--invite"],
            &["02079460500", "--from", "07700900123", "--at", open, "--resolve"],
        ];
        insta::assert_snapshot!(cases.map(|case| ask_of(&rules, case)).join("\n"));
    }

    #[test]
    fn what_would_not_be_called_is_said() {
        let open = "2026-11-23T10:00:00Z";
        let decide = "[company.decide]\nurl = \"https://crm.example/decide\"\nsecret = \"key\"\n[company.schedule]";
        let config = CONFIG
            .replace("[company.schedule]", decide)
            .replace("sip:desk@198.51.100.1\"", "sip:+881835210000@198.51.100.1\", redirects = \"follow\"")
            .replace("sip:kitchens@", "sip:00881835210000@")
            .replace("country = \"GB\"", "country = \"GB\"\nidentity = { withheld = \"refuse\" }");
        let cases: [&[&str]; 3] = [
            &["02079460500", "--from", "07700900123", "--at", open],
            &["02079460500", "--from", "07700900123", "--at", open, "--campaign", "kitchens"],
            &["02079460500", "--at", open],
        ];
        insta::assert_snapshot!(cases.map(|case| ask_of(&config, case)).join("\n"));
    }

    #[test]
    fn trunks_and_pools_are_explained() {
        let more = "[[trunk]]\nname = \"phones\"\nnat = true\ntrust_identity = false\ninfo = \"absorb\"\n\
            [trunk.login]\nusers = [{ user = \"office\", password = \"long enough\" }]\n\
            [[trunk]]\nname = \"far\"\nredirects = \"follow\"\n[trunk.register]\nregistrar = \"sip:carrier.example\"\n\
            user = \"acme\"\npassword = \"long enough\"\n[trunk.probe]\nevery = \"30s\"\n[[company]]";
        let text = CONFIG.replacen("[[company]]", more, 1);
        let config = Config::parse(&text, "", std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        insta::assert_snapshot!(explain(&config));
        assert!(explain(&Config::builtin()).lines().all(|line| line.starts_with("# ")));
    }
}
