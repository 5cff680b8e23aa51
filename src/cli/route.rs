//! `leaseline route`: where a call would go, and why. Nothing is called and nobody is asked.

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
use crate::core::event::{Attribution, AttributionKind};
use crate::core::number;
use crate::core::route::{self, Desk, Question, Target};
use crate::ids::E164;
use crate::io::clock;
use crate::time::Wall;

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

#[derive(Debug, Serialize)]
struct Step {
    destination: String,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk: Option<String>,
    /// Transport and address, or what is looked up at the call.
    hop: String,
    ring_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_max: Option<usize>,
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
    let answer = match answer(&args, config) {
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

fn answer(args: &Args, config: Config) -> Result<Answer, String> {
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
    let caller = args.from.as_deref().map(|text| caller_of(&trunk, text));
    let attribution = attribution(args, owner.pool.channel.as_ref().filter(|_| owner.pool.kind == PoolKind::Static));
    answer.number = number.as_str().to_owned();
    answer.company = Some(owner.company.name.clone());
    answer.pool = Some(owner.pool.name.clone());
    answer.caller.clone_from(&caller);
    let question = Question {
        company: &owner.company,
        pool: &owner.pool.name,
        number: &number,
        caller: caller.as_deref(),
        attribution: &attribution,
        at,
    };
    decide(&mut answer, &question, &settings);
    Ok(answer)
}

fn decide(answer: &mut Answer, question: &Question<'_>, settings: &Settings) {
    let company = question.company;
    let plan = Desk::default().plan(question, settings.names(), &mut ChaCha12Rng::from_seed([0; 32]));
    answer.hours = Some(plan.hours.as_str());
    answer.rule = plan.rule.as_ref().map(|rule| rule.to_string());
    let change = company.schedule.as_ref().and_then(|schedule| route::next_change(schedule, question.at));
    answer.hours_change_at = change.map(Wall::to_rfc3339);
    answer.refused = plan.refused.map(|reject| Refusal { status: reject.status, code: reject.code });
    if plan.refused.is_none() {
        answer.strategy = Some(plan.strategy.as_str());
        answer.destinations = plan.targets.iter().map(|target| step(target, company, settings)).collect();
    }
}

fn step(target: &Target, company: &Company, settings: &Settings) -> Step {
    let destination = &target.destination;
    let hop = match target.literal() {
        Some(hop) if settings.is_ours(hop.remote) => format!("{} is this node itself: not called", hop.remote),
        Some(hop) => match route::flow_towards(hop, &settings.listeners) {
            Some(flow) => format!("{} {} from {}", hop.transport, hop.remote, flow.local),
            None => format!("{} {}, for which there is no listener: not called", hop.transport, hop.remote),
        },
        None => format!("the addresses of {}", target.query.host),
    };
    Step {
        destination: destination.label.to_string(),
        uri: target.uri.clone(),
        trunk: target.trunk.as_ref().map(|trunk| trunk.name.clone()),
        hop,
        ring_s: destination.ring_timeout.unwrap_or(company.ring_timeout).as_secs(),
        calls_max: destination.calls_max,
    }
}

fn caller_of(trunk: &Trunk, text: &str) -> String {
    number::caller(text, trunk.country.as_deref()).map_or_else(|| text.to_owned(), |number| number.as_str().to_owned())
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
    line("strategy", answer.strategy);
    for (i, step) in answer.destinations.iter().enumerate() {
        let trunk = step.trunk.as_ref().map(|trunk| format!(" through trunk {trunk}")).unwrap_or_default();
        let most = step.calls_max.map(|most| format!(", at most {most} calls")).unwrap_or_default();
        let _ = writeln!(text, "  {}. {}{trunk}, {} s{most}\n     {}", i + 1, step.uri, step.ring_s, step.hop);
    }
    if let Some(refused) = &answer.refused {
        let _ = writeln!(text, "  refused   {} {}", refused.status, refused.code);
    }
    text
}

/// What `leaseline check` adds, as comments of TOML: what each trunk may send, and where each pool's calls go.
pub(super) fn explain(config: &Config) -> String {
    let mut text = String::new();
    let listeners = config.sip.listen.clone();
    let settings = Settings::new(Arc::new(config.clone()), listeners);
    let example = config.pools.first().and_then(|pool| pool.numbers.first());
    for trunk in &config.trunks {
        let _ = writeln!(text, "# trunk {}: {}", trunk.name, accepted(trunk, example));
    }
    for pool in &config.pools {
        let company = config.companies.iter().find(|company| company.name == pool.company);
        let (Some(company), Some(number)) = (company, pool.numbers.first()) else { continue };
        let targets = route::targets(&company.forward_to, number, None, settings.names());
        let uris: Vec<&str> = targets.iter().map(|target| target.uri.as_str()).collect();
        let count = pool.numbers.len();
        let rules = match company.rules.len() {
            0 => String::new(),
            1 => ", after 1 rule".to_owned(),
            n => format!(", after {n} rules"),
        };
        let hours = if company.schedule.is_some() { ", in its hours" } else { "" };
        let strategy = company.strategy.as_str();
        let _ = writeln!(
            text,
            "# pool {}: {count} from {number}: {} ({strategy}{rules}{hours})",
            pool.name,
            uris.join(", ")
        );
    }
    text
}

fn accepted(trunk: &Trunk, example: Option<&E164>) -> String {
    let mut sources: Vec<String> = trunk.sources.iter().map(ToString::to_string).collect();
    sources.extend(trunk.register.as_ref().map(|register| format!("where {} is", register.registrar)));
    sources.extend(trunk.login.as_ref().map(|login| match login.users.len() {
        1 => "whoever logs in as its user".to_owned(),
        users => format!("whoever logs in as one of its {users} users"),
    }));
    let over = match trunk.transports.is_limited() {
        true => format!(" over {}", trunk.transports.names().collect::<Vec<_>>().join(", ")),
        false => String::new(),
    };
    let codecs = match trunk.codecs.is_empty() {
        true => String::new(),
        false => format!(", with {}", trunk.codecs.join(", ")),
    };
    let rate = match trunk.calls_per_second_max {
        0 => String::new(),
        rate => format!(", {rate} new ones a second"),
    };
    let forms = example.map(|number| forms(trunk, number)).unwrap_or_default();
    format!("calls from {}{over}, at most {} at once{rate}{codecs}{forms}", sources.join(", "), trunk.calls_max)
}

/// Ways of writing a number that this trunk may use: those that are read back as the number.
fn forms(trunk: &Trunk, number: &E164) -> String {
    let digits = number.digits();
    let display = number::display(number);
    let national = display.split_once(' ').map(|(_, rest)| format!("0{}", rest.replace([' ', '-'], "")));
    let forms = [Some(number.as_str().to_owned()), Some(digits.to_owned()), Some(format!("00{digits}")), national];
    let is_read = |text: &String| {
        let text = format!("{}{text}", trunk.prefix);
        number::candidates(&text, trunk.country.as_deref(), &trunk.prefix).contains(number)
    };
    let forms: Vec<String> =
        forms.into_iter().flatten().filter(is_read).map(|text| format!("{}{text}", trunk.prefix)).collect();
    format!("; {number} may be dialled as {}", forms.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(args: &[&str]) -> String {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line = std::iter::once("route").chain(args.iter().copied());
        let args = <Line as clap::Parser>::parse_from(line).args;
        let config =
            Config::parse(CONFIG, "", std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        let answer = answer(&args, config).expect("an answer");
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
    fn trunks_and_pools_are_explained() {
        let config =
            Config::parse(CONFIG, "", std::path::Path::new("")).unwrap_or_else(|problems| panic!("{problems}"));
        insta::assert_snapshot!(explain(&config));
        assert!(explain(&Config::builtin()).lines().all(|line| line.starts_with("# ")));
    }

    #[test]
    fn every_way_to_be_a_trunk_is_explained() {
        let text = "[[trunk]]\nname = \"plain\"\nmatch = [\"192.0.2.1\"]\n\
                    [[trunk]]\nname = \"narrow\"\nmatch = [\"192.0.2.2\"]\ncodecs = [\"PCMA\"]\ntransports = [\"tls\", \"tcp\"]\n\
                    [[trunk]]\nname = \"far\"\n[trunk.register]\nregistrar = \"sip:carrier.example\"\nuser = \"a\"\n\
                    [[trunk]]\nname = \"office\"\n[trunk.login]\nusers = [{ user = \"x\", password = \"y\" }]\n";
        let config = Config::parse(text, "", std::path::Path::new("")).expect("good");
        insta::assert_snapshot!(explain(&config));
    }
}
